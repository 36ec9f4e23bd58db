/*
 * Programs for tests: of a text, or drawn at random.
 * Fills in: programs that program_check accepts, with machines, bindings and images of many forms.
 */
#include "tests.h"

#include "program_helper.h"

#include <string.h>

#define ARENA_BYTES ((size_t)64 << 20)

void program_new_arena(struct base_arena *arena)
{
    assert_int_equal(base_arena_create(arena, ARENA_BYTES, NULL), TAKT_OK);
}

void program_of_text(const char *source, struct base_arena *arena,
                     struct program_assembly *assembly)
{
    struct takt_error error = {TAKT_OK, ""};
    if (program_assemble("t.s", source, strlen(source), arena, assembly, &error) != TAKT_OK) {
        fail_msg("%s", error.message);
    }
}

bool program_same_image(const struct program_image *a, const struct program_image *b, size_t lanes)
{
    bool same = a->segment_count == b->segment_count;
    for (uint32_t i = 0; same && i < a->segment_count; i++) {
        const struct program_segment *x = &a->segments[i], *y = &b->segments[i];
        same = x->slice == y->slice && x->address == y->address && x->count == y->count &&
               (x->count == 0 || memcmp(x->data, y->data, x->count * lanes) == 0);
    }
    return same;
}

/* ---- random programs ------------------------------------------------------------------------- */

static uint32_t draw(uint64_t seed, uint64_t *counter, uint32_t below)
{
    return (uint32_t)(base_random_u64(seed, 9, (*counter)++) % below);
}

/* Operands within this machine; false when the row has no room for them in the queue. */
static bool draw_operands(const struct machine *machine, struct machine_queue queue,
                          struct isa_instruction *instruction, uint64_t seed, uint64_t *counter)
{
    const struct isa_op_info *info = isa_op_info((enum isa_op)instruction->op);
    for (size_t i = 0; i < ISA_FIELDS_MAX && info->fields[i] != ISA_FIELD_NONE; i++) {
        const struct isa_field_info *field = isa_field_info(info->fields[i]);
        uint32_t value = draw(seed, counter, 1u << (field->bits < 32 ? field->bits : 31));
        if (info->fields[i] == ISA_FIELD_ADDRESS || info->fields[i] == ISA_FIELD_ADDRESS2) {
            value %= machine->mem_words;
        } else if (info->fields[i] == ISA_FIELD_INDEX) {
            value %= info->unit == ISA_UNIT_MXM_WEIGHTS ? machine->superlanes
                                                        : machine->mxm_accumulators;
        } else if (info->fields[i] == ISA_FIELD_DISTANCE) {
            value %= machine_lanes(machine);
        } else if (info->fields[i] == ISA_FIELD_LINK) {
            if (machine->c2c_links < 2) {
                return false;
            }
            value = value % (machine->c2c_links / 2) * 2 + queue.hemisphere;
        } else if (info->fields[i] == ISA_FIELD_SUPERLANES) {
            value = 1 + value % machine->superlanes;
        } else if (field->kind == ISA_KIND_POSITIVE && value == 0) {
            value = 1;
        } else if (field->width > 0) {
            value -= value % field->width;
            if (queue.unit == ISA_UNIT_VXM || queue.unit == ISA_UNIT_VXM_LARGE) {
                /* into the first group of four that the row reaches */
                value = (value & 32u) | (8 * (queue.index / 4) + value % 4);
            }
        }
        isa_field_put(instruction, info->fields[i], value);
    }
    return true;
}

static void random_queue(struct program *program, uint32_t index, struct base_arena *arena,
                         uint64_t seed, uint64_t *counter)
{
    uint32_t words = draw(seed, counter, 12);
    struct machine_queue queue = machine_queue(&program->machine, index);
    bool own = false; /* the word before is of the queue's own unit */
    program->text[index] = BASE_NEW(arena, uint64_t, words);
    while (program->queue_words[index] < words) {
        struct isa_instruction instruction = {0};
        instruction.op = (uint8_t)draw(seed, counter, ISA_OP_COUNT);
        enum isa_op op = (enum isa_op)instruction.op;
        if (!machine_queue_accepts(queue.unit, op) || (op == ISA_REPEAT && !own) ||
            (op == ISA_ABC_F16 && queue.index != 0)) {
            continue;
        }
        if (!draw_operands(&program->machine, queue, &instruction, seed, counter)) {
            continue;
        }
        if (op == ISA_REPEAT) {
            instruction.step = 0;
        }
        own = isa_op_info(op)->unit != ISA_UNIT_ICU;
        program->text[index][program->queue_words[index]++] = isa_encode(&instruction);
    }
}

static void random_binding(struct program *program, uint32_t index, struct base_arena *arena,
                           uint64_t seed, uint64_t *counter)
{
    struct program_binding *binding = &program->bindings[index];
    uint32_t lanes = machine_lanes(&program->machine);
    (void)snprintf(binding->name, sizeof binding->name, "tensor.%u", index);
    binding->output = draw(seed, counter, 2) != 0;
    binding->element_bytes = 1u << draw(seed, counter, 3);
    binding->items = draw(seed, counter, 4);
    binding->rows = draw(seed, counter, 4);
    binding->elements = 1 + draw(seed, counter, 3 * lanes);
    binding->source = BASE_NEW(arena, int32_t, binding->rows * lanes);
    for (uint32_t i = 0; i < binding->rows * lanes; i++) {
        int32_t run = (int32_t)(i % binding->elements);
        binding->source[i] = draw(seed, counter, 8) != 0 ? run : -1;
    }
    uint32_t places = binding->items * binding->rows * binding->element_bytes;
    binding->places = BASE_NEW(arena, struct program_place, places);
    for (uint32_t i = 0; i < places; i++) {
        binding->places[i].slice = (uint16_t)draw(seed, counter, 2 * program->machine.mem_slices);
        binding->places[i].address = (uint16_t)draw(seed, counter, program->machine.mem_words);
    }
}

static void random_image(const struct machine *machine, struct program_image *image,
                         struct base_arena *arena, uint64_t seed, uint64_t *counter)
{
    uint32_t lanes = machine_lanes(machine);
    image->segment_count = draw(seed, counter, 5);
    image->segments = BASE_NEW(arena, struct program_segment, image->segment_count);
    for (uint32_t i = 0; i < image->segment_count; i++) {
        struct program_segment *segment = &image->segments[i];
        uint32_t count = 1 + draw(seed, counter, 3);
        uint8_t *data = BASE_NEW(arena, uint8_t, count * lanes);
        for (uint32_t j = 0; j < count * lanes; j++) {
            data[j] = j < lanes ? 7 : (uint8_t)draw(seed, counter, 256);
        }
        *segment = (struct program_segment){(uint16_t)(3 * i), (uint16_t)(i + 2), count, data};
    }
}

/* Places for the blocks of half of the texts that have more than one. */
static void random_text_places(struct program *program, struct base_arena *arena, uint64_t seed,
                               uint64_t *counter)
{
    const struct machine *machine = &program->machine;
    program->text_blocks = BASE_NEW(arena, uint32_t, program->queue_count);
    program->text_places = BASE_NEW(arena, struct program_place *, program->queue_count);
    for (uint32_t i = 0; i < program->queue_count; i++) {
        const uint32_t blocks = program_text_block_count(program, i);
        if (blocks < 2 || draw(seed, counter, 2) == 0) {
            continue;
        }
        program->text_blocks[i] = blocks - 1;
        program->text_places[i] = BASE_NEW(arena, struct program_place, blocks - 1);
        for (uint32_t b = 0; b + 1 < blocks; b++) {
            program->text_places[i][b].slice =
                (uint16_t)draw(seed, counter, 2 * machine->mem_slices);
            program->text_places[i][b].address =
                (uint16_t)draw(seed, counter, machine->mem_words - 1);
        }
    }
}

void program_random(struct program *program, struct program_image *image, struct base_arena *arena,
                    uint64_t seed)
{
    uint64_t counter = 0;
    memset(program, 0, sizeof *program);
    machine_tsp1(&program->machine);
    program->machine.superlanes = 1 + draw(seed, &counter, 4);
    program->machine.mem_slices = 20 + 4 * draw(seed, &counter, 4);
    program->machine.vxm_cycles = 1 + draw(seed, &counter, 4);
    program->cycles = base_random_u64(seed, 1, 1) >> (1 + draw(seed, &counter, 60));
    program->queue_count = machine_queue_count(&program->machine);
    program->queue_words = BASE_NEW(arena, uint32_t, program->queue_count);
    program->text = BASE_NEW(arena, uint64_t *, program->queue_count);
    for (uint32_t i = 0; i < program->queue_count; i++) {
        random_queue(program, i, arena, seed, &counter);
    }
    random_text_places(program, arena, seed, &counter);
    program->binding_count = draw(seed, &counter, 5);
    program->bindings = BASE_NEW(arena, struct program_binding, program->binding_count);
    for (uint32_t i = 0; i < program->binding_count; i++) {
        random_binding(program, i, arena, seed, &counter);
    }
    program->parameter_count = draw(seed, &counter, 4);
    program->parameters = BASE_NEW(arena, struct program_parameter, program->parameter_count);
    for (uint32_t i = 0; i < program->parameter_count; i++) {
        (void)snprintf(program->parameters[i].name, sizeof program->parameters[i].name, "p%u", i);
        uint64_t value = base_random_u64(seed, 2, i);
        memcpy(&program->parameters[i].value, &value, sizeof value);
    }
    random_image(&program->machine, image, arena, seed, &counter);
}
