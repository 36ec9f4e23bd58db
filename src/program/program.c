/* What a program may be: the rules for one word of a queue, for bindings, parameters and images. */
#include "program/program.h"
#include "program/rules.h"

#include <string.h>

#define ARENA_ALIGNMENT 64u

/* ---- shared ---------------------------------------------------------------------------------- */

void *program_rules_take(struct base_arena *arena, uint64_t count, uint64_t size_bytes)
{
    size_t used = arena->used_bytes + (ARENA_ALIGNMENT - 1);
    used -= used % ARENA_ALIGNMENT;
    if (used > arena->capacity_bytes ||
        (size_bytes != 0 && count > (arena->capacity_bytes - used) / size_bytes)) {
        return NULL;
    }
    return base_arena_alloc(arena, (size_t)count, (size_t)size_bytes);
}

uint64_t program_rules_sources(const struct program_binding *binding, uint32_t lanes)
{
    return (uint64_t)binding->rows * lanes;
}

uint64_t program_rules_places(const struct program_binding *binding)
{
    BASE_ASSERT(binding->element_bytes <= 4);
    uint64_t rows = (uint64_t)binding->items * binding->rows;
    return rows > UINT64_MAX / 4 ? UINT64_MAX : rows * binding->element_bytes;
}

bool program_rules_name(const char *name, size_t size)
{
    size_t length = 0;
    while (length < size && name[length] != '\0') {
        char c = name[length];
        if (c <= ' ' || c > '~' || c == '"' || c == ';') {
            return false;
        }
        length++;
    }
    return length > 0 && length < size;
}

/* ---- one word -------------------------------------------------------------------------------- */

static bool has_field(enum isa_op op, enum isa_field field)
{
    const struct isa_op_info *info = isa_op_info(op);
    for (size_t i = 0; i < ISA_FIELDS_MAX; i++) {
        if (info->fields[i] == field) {
            return true;
        }
    }
    return false;
}

/* One past the largest value a field of this instruction may have on this machine; 0 when only the
 * encoding bounds it. */
static uint32_t field_bound(const struct machine *machine, enum isa_unit unit, enum isa_field field)
{
    if (field == ISA_FIELD_ADDRESS || field == ISA_FIELD_ADDRESS2) {
        return machine->mem_words;
    }
    if (field == ISA_FIELD_INDEX) {
        return unit == ISA_UNIT_MXM_WEIGHTS ? machine_lanes(machine) / MACHINE_WEIGHT_ROWS
                                            : machine->mxm_accumulators;
    }
    if (field == ISA_FIELD_DISTANCE) {
        return machine_lanes(machine);
    }
    if (field == ISA_FIELD_SUPERLANES) {
        return machine->superlanes + 1;
    }
    return 0;
}

static enum takt_status check_range(const struct machine *machine,
                                    const struct isa_instruction *instruction, int64_t offset,
                                    struct takt_error *error)
{
    const struct isa_op_info *op = isa_op_info((enum isa_op)instruction->op);
    for (size_t i = 0; i < ISA_FIELDS_MAX && op->fields[i] != ISA_FIELD_NONE; i++) {
        uint32_t bound = field_bound(machine, op->unit, op->fields[i]);
        int64_t value = (int64_t)isa_field_get(instruction, op->fields[i]) + offset;
        if (bound != 0 && (value < 0 || value >= (int64_t)bound)) {
            return base_fail(error, TAKT_FORMAT, "%s: %s = %lld%s is outside 0..%u", op->mnemonic,
                             isa_field_info(op->fields[i])->name, (long long)value,
                             offset != 0 ? " in the last repetition" : "", bound - 1);
        }
    }
    return TAKT_OK;
}

static enum takt_status check_repeat(const struct machine *machine,
                                     const struct isa_instruction *previous,
                                     const struct isa_instruction *repeat, struct takt_error *error)
{
    if (previous == NULL || isa_op_info((enum isa_op)previous->op)->unit == ISA_UNIT_ICU) {
        return base_fail(error, TAKT_FORMAT,
                         "repeat: must directly follow an instruction of the queue's unit");
    }
    enum isa_op op = (enum isa_op)previous->op;
    if (repeat->step != 0 && !has_field(op, ISA_FIELD_ADDRESS) && !has_field(op, ISA_FIELD_INDEX)) {
        return base_fail(error, TAKT_FORMAT, "repeat: STEP = %d, but %s has no address or index",
                         repeat->step, isa_op_info(op)->mnemonic);
    }
    return check_range(machine, previous, (int64_t)repeat->step * repeat->count, error);
}

/* An ALU sees the stream groups its row reaches, in either direction. */
static enum takt_status check_reach(uint32_t alu, const struct isa_instruction *instruction,
                                    struct takt_error *error)
{
    const struct isa_op_info *op = isa_op_info((enum isa_op)instruction->op);
    uint32_t row = alu / MACHINE_VXM_COLUMNS;
    for (size_t i = 0; i < ISA_FIELDS_MAX && op->fields[i] != ISA_FIELD_NONE; i++) {
        const struct isa_field_info *field = isa_field_info(op->fields[i]);
        uint32_t stream = ISA_STREAM_INDEX(isa_field_get(instruction, op->fields[i]));
        if (field->width != 0 && !machine_vxm_row_reaches(row, stream)) {
            return base_fail(error, TAKT_FORMAT,
                             "%s: stream %u (%s) is not one that row %u of the VXM reaches",
                             op->mnemonic, stream, field->name, row);
        }
    }
    return TAKT_OK;
}

enum takt_status program_rules_word(const struct machine *machine, uint32_t queue,
                                    const struct isa_instruction *previous,
                                    const struct isa_instruction *instruction,
                                    struct takt_error *error)
{
    struct machine_queue place = machine_queue(machine, queue);
    enum isa_op op = (enum isa_op)instruction->op;
    if (!machine_queue_accepts(place.unit, op)) {
        return base_fail(error, TAKT_FORMAT, "%s: an instruction of %s, not of this queue (%s)",
                         isa_op_info(op)->mnemonic, isa_unit_name(isa_op_info(op)->unit),
                         isa_unit_name(place.unit));
    }
    if (op == ISA_ABC_F16 && place.index != 0) {
        return base_fail(error, TAKT_FORMAT, "%s: only in the queue of a hemisphere's plane 0",
                         isa_op_info(op)->mnemonic);
    }
    if (op == ISA_REPEAT) {
        return check_repeat(machine, previous, instruction, error);
    }
    if ((place.unit == ISA_UNIT_VXM || place.unit == ISA_UNIT_VXM_LARGE) &&
        isa_op_info(op)->unit != ISA_UNIT_ICU) {
        return check_reach(place.index, instruction, error);
    }
    if (isa_op_info(op)->unit == ISA_UNIT_C2C && op != ISA_DESKEW &&
        (instruction->imm >= machine->c2c_links || instruction->imm % 2 != place.hemisphere)) {
        return base_fail(error, TAKT_FORMAT,
                         "%s: link %u is not one of this hemisphere's (%s ones below %u)",
                         isa_op_info(op)->mnemonic, instruction->imm,
                         place.hemisphere == MACHINE_WEST ? "even" : "odd", machine->c2c_links);
    }
    return check_range(machine, instruction, 0, error);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static enum takt_status check_queue(const struct program *program, uint32_t queue,
                                    struct takt_error *error)
{
    struct isa_instruction pair[2];
    const struct isa_instruction *previous = NULL;
    struct takt_error inner = {TAKT_OK, ""};
    for (uint32_t i = 0; i < program->queue_words[queue]; i++) {
        struct isa_instruction *instruction = &pair[i & 1u];
        enum takt_status status = isa_decode(program->text[queue][i], instruction, &inner);
        if (status == TAKT_OK) {
            status = program_rules_word(&program->machine, queue, previous, instruction, &inner);
        }
        if (status != TAKT_OK) {
            char name[32];
            machine_queue_name(&program->machine, queue, name);
            return base_fail(error, status, "queue %s, word %u: %s", name, i, inner.message);
        }
        previous = instruction;
    }
    return TAKT_OK;
}

/* All blocks but the first, each two words of the machine. */
static enum takt_status check_text_places(const struct program *program, uint32_t queue,
                                          struct takt_error *error)
{
    const struct machine *machine = &program->machine;
    const uint32_t blocks = program_text_block_count(program, queue);
    char name[32];
    machine_queue_name(machine, queue, name);
    if (program->text_blocks[queue] == 0) {
        return TAKT_OK;
    }
    if (program->text_blocks[queue] + 1 != blocks) {
        return base_fail(error, TAKT_FORMAT,
                         "queue %s: places for %u blocks of text; it has %u after the first", name,
                         program->text_blocks[queue], blocks == 0 ? 0 : blocks - 1);
    }
    for (uint32_t i = 0; i < program->text_blocks[queue]; i++) {
        const struct program_place place = program->text_places[queue][i];
        if (place.slice >= 2 * machine->mem_slices || place.address + 1u >= machine->mem_words) {
            return base_fail(error, TAKT_FORMAT,
                             "queue %s: block %u of its text, slice %u address %u, is outside the "
                             "machine",
                             name, i + 1, place.slice, place.address);
        }
    }
    return TAKT_OK;
}

static enum takt_status check_binding(const struct machine *machine,
                                      const struct program_binding *binding,
                                      struct takt_error *error)
{
    if (!program_rules_name(binding->name, sizeof binding->name)) {
        return base_fail(error, TAKT_FORMAT, "binding: a name is not one printable word of 1..%zu",
                         sizeof binding->name - 1);
    }
    if (binding->element_bytes != 1 && binding->element_bytes != 2 && binding->element_bytes != 4) {
        return base_fail(error, TAKT_FORMAT, "binding %s: elements of %u bytes; expected 1, 2 or 4",
                         binding->name, binding->element_bytes);
    }
    uint64_t sources = program_rules_sources(binding, machine_lanes(machine));
    uint64_t places = program_rules_places(binding);
    if (sources > PROGRAM_ENTRIES_MAX || places > PROGRAM_ENTRIES_MAX) {
        return base_fail(error, TAKT_LIMIT,
                         "binding %s: %llu source entries, %llu places; at most %u of each",
                         binding->name, (unsigned long long)sources, (unsigned long long)places,
                         PROGRAM_ENTRIES_MAX);
    }
    for (uint64_t i = 0; i < sources; i++) {
        int32_t source = binding->source[i];
        if (source < -1 || source >= (int64_t)binding->elements) {
            return base_fail(error, TAKT_FORMAT,
                             "binding %s: entry %llu comes from element %d, outside -1..%lld",
                             binding->name, (unsigned long long)i, source,
                             (long long)binding->elements - 1);
        }
    }
    for (uint64_t i = 0; i < places; i++) {
        struct program_place place = binding->places[i];
        if (place.slice >= 2 * machine->mem_slices || place.address >= machine->mem_words) {
            return base_fail(error, TAKT_FORMAT,
                             "binding %s: place %llu, slice %u address %u, is outside the machine",
                             binding->name, (unsigned long long)i, place.slice, place.address);
        }
    }
    return TAKT_OK;
}

static enum takt_status check_names(const struct program *program, struct takt_error *error)
{
    if (program->binding_count > PROGRAM_BINDINGS_MAX ||
        program->parameter_count > PROGRAM_PARAMETERS_MAX) {
        return base_fail(error, TAKT_LIMIT, "%u bindings and %u parameters; at most %u and %u",
                         program->binding_count, program->parameter_count, PROGRAM_BINDINGS_MAX,
                         PROGRAM_PARAMETERS_MAX);
    }
    for (uint32_t i = 0; i < program->binding_count; i++) {
        const char *name = program->bindings[i].name;
        if (program_binding(program, name) != &program->bindings[i]) {
            return base_fail(error, TAKT_FORMAT, "binding %s: given twice", name);
        }
    }
    for (uint32_t i = 0; i < program->parameter_count; i++) {
        const char *name = program->parameters[i].name;
        if (!program_rules_name(name, sizeof program->parameters[i].name)) {
            return base_fail(error, TAKT_FORMAT,
                             "parameter %u: the name is not one printable word of 1..%zu", i,
                             sizeof program->parameters[i].name - 1);
        }
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(program->parameters[j].name, name) == 0) {
                return base_fail(error, TAKT_FORMAT, "parameter %s: given twice", name);
            }
        }
    }
    return TAKT_OK;
}

enum takt_status program_check(const struct program *program, struct takt_error *error)
{
    enum takt_status status = machine_check(&program->machine, error);
    if (status != TAKT_OK) {
        return status;
    }
    uint32_t queues = machine_queue_count(&program->machine);
    if (program->queue_count != queues) {
        return base_fail(error, TAKT_FORMAT, "program of %u queues for a machine with %u",
                         program->queue_count, queues);
    }
    if (program->cycles > INT64_MAX) {
        return base_fail(error, TAKT_FORMAT, "program of %llu cycles; at most %lld",
                         (unsigned long long)program->cycles, (long long)INT64_MAX);
    }
    for (uint32_t i = 0; i < queues && status == TAKT_OK; i++) {
        status = check_queue(program, i, error);
        if (status == TAKT_OK && program->text_blocks != NULL) {
            status = check_text_places(program, i, error);
        }
    }
    for (uint32_t i = 0; i < program->binding_count && status == TAKT_OK; i++) {
        status = check_binding(&program->machine, &program->bindings[i], error);
    }
    return status == TAKT_OK ? check_names(program, error) : status;
}

enum takt_status program_image_check(const struct machine *machine,
                                     const struct program_image *image, struct takt_error *error)
{
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct program_segment *segment = &image->segments[i];
        if (segment->slice >= 2 * machine->mem_slices || segment->count > machine->mem_words ||
            segment->address + segment->count > machine->mem_words) {
            return base_fail(error, TAKT_FORMAT,
                             "image segment %u: slice %u, %u words from %u: outside the machine "
                             "(%u slices of %u words)",
                             i, segment->slice, segment->count, segment->address,
                             2 * machine->mem_slices, machine->mem_words);
        }
    }
    return TAKT_OK;
}

/* ---- look-up --------------------------------------------------------------------------------- */

const struct program_binding *program_binding(const struct program *program, const char *name)
{
    for (uint32_t i = 0; i < program->binding_count; i++) {
        if (strcmp(program->bindings[i].name, name) == 0) {
            return &program->bindings[i];
        }
    }
    return NULL;
}

int64_t program_parameter(const struct program *program, const char *name, int64_t otherwise)
{
    for (uint32_t i = 0; i < program->parameter_count; i++) {
        if (strcmp(program->parameters[i].name, name) == 0) {
            return program->parameters[i].value;
        }
    }
    return otherwise;
}
