/*
 * Standalone programs: instructions with cycles, in any order, become text. As in emit.c, every
 * queue first waits at Sync for the one Notify, so cycle 0 here is machine cycle notify_cycles.
 */
#include "compile/standalone.h"

#include <stdlib.h>
#include <string.h>

#define BINDINGS_MAX 8u
#define NOP_MAX 65535u

/* ---- creation -------------------------------------------------------------------------------- */

enum takt_status standalone_create(struct compile_standalone **out, const struct machine *machine,
                                   size_t bytes, struct takt_error *error)
{
    *out = NULL;
    struct compile_standalone *standalone = calloc(1, sizeof *standalone);
    if (standalone == NULL) {
        return base_fail(error, TAKT_MEMORY, "no memory for a program");
    }
    enum takt_status status = base_arena_create(&standalone->arena, bytes, error);
    if (status != TAKT_OK) {
        free(standalone);
        return status;
    }
    struct program *program = &standalone->program;
    program->machine = *machine;
    program->queue_count = machine_queue_count(machine);
    program->queue_words = BASE_NEW(&standalone->arena, uint32_t, program->queue_count);
    program->text = BASE_NEW(&standalone->arena, uint64_t *, program->queue_count);
    program->bindings = BASE_NEW(&standalone->arena, struct program_binding, BINDINGS_MAX);
    standalone->queues =
        BASE_NEW(&standalone->arena, struct compile_standalone_queue, program->queue_count);
    *out = standalone;
    return TAKT_OK;
}

void compile_standalone_destroy(struct compile_standalone *standalone)
{
    if (standalone != NULL) {
        base_arena_destroy(&standalone->arena);
        free(standalone);
    }
}

struct program_binding *standalone_binding(struct compile_standalone *standalone, const char *name,
                                           bool output, uint32_t element_bytes, uint32_t items,
                                           uint32_t rows, uint32_t elements)
{
    struct program *program = &standalone->program;
    BASE_ASSERT(program->binding_count < BINDINGS_MAX);
    struct program_binding *binding = &program->bindings[program->binding_count++];
    (void)snprintf(binding->name, sizeof binding->name, "%s", name);
    binding->output = output;
    binding->element_bytes = element_bytes;
    binding->items = items;
    binding->rows = rows;
    binding->elements = elements;
    binding->source =
        BASE_NEW(&standalone->arena, int32_t, (size_t)rows * machine_lanes(&program->machine));
    binding->places =
        BASE_NEW(&standalone->arena, struct program_place, (size_t)items * rows * element_bytes);
    return binding;
}

/* ---- instructions ---------------------------------------------------------------------------- */

uint32_t standalone_item_end(const struct standalone_item *item)
{
    const struct standalone_run *run = &item->run;
    return run->cycle + (run->count - 1) * run->delay +
           (item->instruction.op == ISA_IFETCH ? 2u : 1u);
}

void standalone_put(struct compile_standalone *standalone, uint32_t queue,
                    struct standalone_run run, struct isa_instruction instruction)
{
    struct compile_standalone_queue *q = &standalone->queues[queue];
    struct standalone_item *item = BASE_NEW(&standalone->arena, struct standalone_item, 1);
    BASE_ASSERT(run.count > 0 && run.delay > 0 && run.cycle < (UINT32_C(1) << 31));
    item->run = run;
    item->instruction = instruction;
    item->before = q->last;
    while (item->before != NULL && item->before->run.cycle > run.cycle) {
        item->before = item->before->before;
    }
    item->after = item->before != NULL ? item->before->after : q->first;
    *(item->before != NULL ? &item->before->after : &q->first) = item;
    *(item->after != NULL ? &item->after->before : &q->last) = item;
    standalone->clashes |= item->before != NULL && standalone_item_end(item->before) > run.cycle;
    standalone->clashes |=
        item->after != NULL && standalone_item_end(item) > item->after->run.cycle;
}

static uint32_t slice_position(const struct machine *machine, uint32_t slice)
{
    return machine_mem_position(machine, slice / machine->mem_slices, slice % machine->mem_slices);
}

static uint32_t slice_queue(const struct machine *machine, uint32_t slice)
{
    return machine_queue_mem(machine, slice / machine->mem_slices, slice % machine->mem_slices);
}

/* Cycles from one position to another in the stream's direction. */
static uint32_t distance(uint8_t stream, uint32_t from, uint32_t to)
{
    BASE_ASSERT(ISA_STREAM_WEST(stream) ? to <= from : to >= from);
    return ISA_STREAM_WEST(stream) ? from - to : to - from;
}

uint32_t standalone_read_cycles(const struct machine *machine, uint32_t slice, uint32_t position)
{
    uint32_t from = slice_position(machine, slice);
    return machine->mem_read_cycles + (from > position ? from - position : position - from);
}

void standalone_read(struct compile_standalone *standalone, uint32_t slice, uint32_t address,
                     uint8_t stream, uint32_t position, struct standalone_run run)
{
    const struct machine *machine = &standalone->program.machine;
    uint32_t cycles =
        machine->mem_read_cycles + distance(stream, slice_position(machine, slice), position);
    BASE_ASSERT(run.cycle >= cycles);
    run.cycle -= cycles;
    struct isa_instruction read = {.op = ISA_READ, .address = (uint16_t)address, .d = stream};
    standalone_put(standalone, slice_queue(machine, slice), run, read);
}

void standalone_write(struct compile_standalone *standalone, uint32_t slice, uint32_t address,
                      uint8_t stream, uint32_t position, struct standalone_run run)
{
    const struct machine *machine = &standalone->program.machine;
    run.cycle += distance(stream, position, slice_position(machine, slice));
    struct isa_instruction write = {.op = ISA_WRITE, .address = (uint16_t)address, .a = stream};
    standalone_put(standalone, slice_queue(machine, slice), run, write);
}

/* ---- text ------------------------------------------------------------------------------------ */

struct writer {
    uint64_t *words; /* NULL while counting */
    uint32_t count;
};

static void put(struct writer *writer, struct isa_instruction instruction)
{
    if (writer->words != NULL) {
        writer->words[writer->count] = isa_encode(&instruction);
    }
    writer->count++;
}

static void put_queue(struct writer *writer, const struct standalone_item *item, bool notifies,
                      uint32_t start)
{
    if (notifies) {
        put(writer, (struct isa_instruction){.op = ISA_NOTIFY});
    }
    put(writer, (struct isa_instruction){.op = ISA_SYNC});
    uint32_t now = start;
    for (; item != NULL; item = item->after) {
        uint32_t wait = start + item->run.cycle - now;
        for (; wait > 0; wait -= BASE_MIN(wait, NOP_MAX)) {
            put(writer, (struct isa_instruction){.op = ISA_NOP,
                                                 .count = (uint16_t)BASE_MIN(wait, NOP_MAX)});
        }
        put(writer, item->instruction);
        if (item->run.count > 1) {
            put(writer, (struct isa_instruction){.op = ISA_REPEAT,
                                                 .count = (uint16_t)(item->run.count - 1),
                                                 .delay = (uint16_t)item->run.delay,
                                                 .step = (int16_t)item->run.step});
        }
        now = start + standalone_item_end(item);
    }
    put(writer, (struct isa_instruction){.op = ISA_SYNC});
}

uint32_t standalone_notifier(const struct compile_standalone *standalone)
{
    uint32_t queue = 0;
    while (standalone->queues[queue].first == NULL) {
        queue++;
        BASE_ASSERT(queue < standalone->program.queue_count); /* some queue runs */
    }
    return queue;
}

enum takt_status standalone_finish(struct compile_standalone *standalone, uint32_t sender,
                                   struct takt_error *error)
{
    struct program *program = &standalone->program;
    const uint32_t start = program->machine.notify_cycles;
    BASE_ASSERT(!standalone->clashes);
    if (program->machine.icu_buffer_blocks > 0) {
        enum takt_status status = standalone_fetch(standalone, sender, error);
        if (status != TAKT_OK) {
            return status;
        }
        BASE_ASSERT(!standalone->clashes);
    }
    const uint32_t notifier = standalone_notifier(standalone);
    for (uint32_t i = notifier; i < program->queue_count; i++) {
        const struct compile_standalone_queue *queue = &standalone->queues[i];
        if (queue->first == NULL) {
            continue;
        }
        struct writer counter = {NULL, 0};
        put_queue(&counter, queue->first, i == notifier, start);
        struct writer writer = {BASE_NEW(&standalone->arena, uint64_t, counter.count), 0};
        put_queue(&writer, queue->first, i == notifier, start);
        program->text[i] = writer.words;
        program->queue_words[i] = writer.count;
        const uint64_t end = (uint64_t)start + standalone_item_end(queue->last) + 1;
        program->cycles = BASE_MAX(program->cycles, end);
    }
    standalone->queues = NULL;
    return TAKT_OK;
}
