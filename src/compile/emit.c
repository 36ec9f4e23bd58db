/*
 * Emit: instructions with cycles become text.
 *
 * Requires: each queue's instructions sorted by cycle. Fills in: the program's text and its cycles.
 * Every queue first waits at Sync for the one Notify of the program, so schedule cycle 0 is machine
 * cycle notify_cycles; the last word is the Sync at which the queue parks. Runs of one instruction
 * at even distances become Repeat, gaps become Nop.
 */
#include "compile/internal.h"

#define COUNT_MAX 65535u

struct writer {
    uint64_t *words; /* NULL while counting */
    uint32_t count;
};

static void put(struct writer *w, const struct isa_instruction *instruction)
{
    if (w->words != NULL) {
        w->words[w->count] = isa_encode(instruction);
    }
    w->count++;
}

static void put_op(struct writer *w, enum isa_op op)
{
    struct isa_instruction instruction = {.op = (uint8_t)op};
    put(w, &instruction);
}

static void put_nops(struct writer *w, uint64_t cycles)
{
    while (cycles > 0) {
        uint64_t n = BASE_MIN(cycles, EMIT_NOP_MAX);
        struct isa_instruction nop = {.op = ISA_NOP, .count = (uint16_t)n};
        put(w, &nop);
        cycles -= n;
    }
}

static bool steps(enum isa_op op)
{
    const struct isa_op_info *info = isa_op_info(op);
    for (uint32_t i = 0; i < ISA_FIELDS_MAX; i++) {
        if (info->fields[i] == ISA_FIELD_ADDRESS || info->fields[i] == ISA_FIELD_INDEX) {
            return true;
        }
    }
    return false;
}

/* Does b repeat a but for its address (of a ReadWrite, both alike)? *step = the difference. */
static bool repeats(const struct isa_instruction *a, const struct isa_instruction *b, int32_t *step)
{
    *step = (int32_t)b->address - (int32_t)a->address;
    return a->op == b->op && a->a == b->a && a->b == b->b && a->d == b->d && a->map == b->map &&
           a->imm == b->imm && b->address2 - a->address2 == (a->op == ISA_READ_WRITE ? *step : 0) &&
           (*step == 0 || (steps((enum isa_op)a->op) && *step >= INT16_MIN && *step <= INT16_MAX));
}

uint32_t emit_run_length(const struct queue_issues *q, uint32_t i, uint32_t *delay, int32_t *step)
{
    if (i + 1 >= q->count || q->items[i].placement == NONE || q->items[i + 1].placement == NONE ||
        !repeats(&q->items[i].instruction, &q->items[i + 1].instruction, step)) {
        return 1;
    }
    *delay = q->items[i + 1].cycle - q->items[i].cycle;
    uint32_t n = 2;
    int32_t next;
    while (i + n < q->count && n < COUNT_MAX && q->items[i + n].placement != NONE &&
           q->items[i + n].cycle - q->items[i + n - 1].cycle == *delay &&
           repeats(&q->items[i + n - 1].instruction, &q->items[i + n].instruction, &next) &&
           next == *step) {
        n++;
    }
    bool pays = n > 2 || *delay > 1;
    return pays && *delay <= 65535 ? n : 1;
}

uint32_t emit_duration(const struct isa_instruction *instruction)
{
    return instruction->op == ISA_IFETCH ? 2 : 1;
}

static void put_queue(struct writer *w, const struct queue_issues *q, bool notifier, uint32_t start)
{
    if (notifier) {
        put_op(w, ISA_NOTIFY);
    }
    put_op(w, ISA_SYNC);
    uint64_t now = start;
    for (uint32_t i = 0; i < q->count;) {
        uint32_t delay = 0;
        int32_t step = 0;
        uint32_t n = emit_run_length(q, i, &delay, &step);
        put_nops(w, start + q->items[i].cycle - now);
        put(w, &q->items[i].instruction);
        if (n > 1) {
            struct isa_instruction repeat = {.op = ISA_REPEAT,
                                             .count = (uint16_t)(n - 1),
                                             .delay = (uint16_t)delay,
                                             .step = (int16_t)step};
            put(w, &repeat);
        }
        now = (uint64_t)start + q->items[i + n - 1].cycle +
              emit_duration(&q->items[i + n - 1].instruction);
        i += n;
    }
    put_op(w, ISA_SYNC);
}

static void put_places(const struct compiler *c, struct program *program, struct base_arena *arena)
{
    program->text_blocks = BASE_NEW(arena, uint32_t, program->queue_count);
    program->text_places = BASE_NEW(arena, struct program_place *, program->queue_count);
    for (uint32_t i = 0; i < program->queue_count; i++) {
        program->text_blocks[i] = c->text_blocks[i];
        program->text_places[i] = BASE_NEW(arena, struct program_place, c->text_blocks[i]);
        for (uint32_t j = 0; j < c->text_blocks[i]; j++) {
            program->text_places[i][j] = c->text_places[i][j];
        }
    }
}

enum takt_status emit(struct compiler *c, struct program *program, struct base_arena *arena)
{
    uint32_t queues = machine_queue_count(c->machine);
    uint32_t start = c->machine->notify_cycles;
    program->machine = *c->machine;
    program->queue_count = queues;
    program->queue_words = BASE_NEW(arena, uint32_t, queues);
    program->text = BASE_NEW(arena, uint64_t *, queues);
    bool notified = false;
    for (uint32_t i = 0; i < queues; i++) {
        const struct queue_issues *q = &c->queues[i];
        if (q->count == 0) {
            continue;
        }
        struct writer counter = {0};
        put_queue(&counter, q, !notified, start);
        struct writer writer = {BASE_NEW(arena, uint64_t, counter.count), 0};
        put_queue(&writer, q, !notified, start);
        notified = true;
        program->queue_words[i] = writer.count;
        program->text[i] = writer.words;
    }
    if (c->text_blocks != NULL) {
        put_places(c, program, arena);
    }
    /* The last queue parks one cycle after its last instruction. */
    program->cycles = start + c->end_cycle + 1;
    return TAKT_OK;
}

/* Reads the text back and demands the schedule: every instruction, every cycle. */
static void check_queue(const struct compiler *c, const struct program *program, uint32_t index)
{
    const struct queue_issues *q = &c->queues[index];
    uint64_t now = c->machine->notify_cycles;
    uint32_t next = 0;
    bool started = false;
    struct isa_instruction last = {0};
    for (uint32_t i = 0; i < program->queue_words[index]; i++) {
        struct isa_instruction in;
        enum takt_status status = isa_decode(program->text[index][i], &in, NULL);
        BASE_ASSERT(status == TAKT_OK);
        if (in.op == ISA_NOTIFY) {
            continue;
        }
        if (in.op == ISA_SYNC) {
            BASE_ASSERT(!started || (next == q->count && i + 1 == program->queue_words[index]));
            started = true;
            continue;
        }
        if (in.op == ISA_NOP) {
            now += in.count;
            continue;
        }
        uint32_t times = in.op == ISA_REPEAT ? in.count : 1;
        uint32_t delay = in.op == ISA_REPEAT ? in.delay : 1;
        now += in.op == ISA_REPEAT ? delay - 1u : 0;
        for (uint32_t k = 0; k < times; k++, next++) {
            if (in.op == ISA_REPEAT) {
                last.address = (uint16_t)(last.address + in.step);
                last.address2 =
                    (uint16_t)(last.address2 + (last.op == ISA_READ_WRITE ? in.step : 0));
            } else {
                last = in;
            }
            BASE_ASSERT(next < q->count && now == c->machine->notify_cycles + q->items[next].cycle);
            BASE_ASSERT(isa_encode(&last) == isa_encode(&q->items[next].instruction));
            now += k + 1 < times ? delay : emit_duration(&last);
        }
    }
    BASE_ASSERT(next == q->count);
}

enum takt_status emit_check(struct compiler *c, const struct program *program)
{
    for (uint32_t i = 0; i < program->queue_count; i++) {
        check_queue(c, program, i);
    }
    return TAKT_OK;
}
