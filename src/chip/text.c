/* A program's text: decoded and checked once, and as the bytes that lie in memory. */
#include "chip/internal.h"

#include <string.h>

static enum takt_status refuse(const struct machine *machine, uint32_t queue, uint32_t index,
                               const char *reason, struct takt_error *error)
{
    char name[32];
    machine_queue_name(machine, queue, name);
    return base_fail(error, TAKT_FORMAT, "program: queue %s, word %u: %s", name, index, reason);
}

/* Operand widths, from the instruction's row. */
static void set_widths(struct chip_word *word)
{
    const struct isa_op_info *info = isa_op_info((enum isa_op)word->instruction.op);
    for (uint32_t i = 0; i < ISA_FIELDS_MAX && info->fields[i] != ISA_FIELD_NONE; i++) {
        const struct isa_field_info *field = isa_field_info(info->fields[i]);
        if (field->kind == ISA_KIND_STREAM_OUT)
            word->d_width = field->width;
        else if (field->kind == ISA_KIND_STREAM_IN && field->lsb == 32)
            word->a_width = field->width;
        else if (field->kind == ISA_KIND_STREAM_IN && field->lsb == 38)
            word->b_width = field->width;
    }
}

static bool steps(enum isa_op op)
{
    const struct isa_op_info *info = isa_op_info(op);
    for (uint32_t i = 0; i < ISA_FIELDS_MAX; i++)
        if (info->fields[i] == ISA_FIELD_ADDRESS || info->fields[i] == ISA_FIELD_INDEX)
            return true;
    return false;
}

/* NULL, or why this queue cannot hold the word. */
static const char *objection(const struct machine *machine, struct machine_queue unit,
                             const struct chip_word *word)
{
    const struct isa_instruction *in = &word->instruction;
    enum isa_op op = (enum isa_op)in->op;
    if (!machine_queue_accepts(unit.unit, op))
        return isa_op_info(op)->unit == ISA_UNIT_VXM_LARGE
                   ? "only a large ALU has this operation"
                   : "the queue's unit has no such operation";
    if (op == ISA_ABC_F16 && unit.index != 0)
        return "fp16 activations go to the queue of plane 0";
    if (unit.unit == ISA_UNIT_C2C && isa_op_info(op)->unit == ISA_UNIT_C2C && op != ISA_DESKEW &&
        (in->imm >= machine->c2c_links || in->imm % 2u != unit.hemisphere))
        return "the link is not one of this hemisphere's";
    if ((unit.unit != ISA_UNIT_VXM && unit.unit != ISA_UNIT_VXM_LARGE) ||
        isa_op_info(op)->unit == ISA_UNIT_ICU)
        return NULL;
    uint32_t row = unit.index / MACHINE_VXM_COLUMNS;
    if ((word->a_width && !machine_vxm_row_reaches(row, ISA_STREAM_INDEX(in->a))) ||
        (word->b_width && !machine_vxm_row_reaches(row, ISA_STREAM_INDEX(in->b))) ||
        (word->d_width && !machine_vxm_row_reaches(row, ISA_STREAM_INDEX(in->d))))
        return "the ALU's row does not reach a stream of this instruction";
    return NULL;
}

static const char *repeat_objection(const struct isa_instruction *repeat,
                                    const struct chip_word *before)
{
    if (!before)
        return "repeat without an instruction of the queue's unit directly before it";
    enum isa_op op = (enum isa_op)before->instruction.op;
    if (isa_op_info(op)->unit == ISA_UNIT_ICU || before->repeat_count)
        return "repeat without an instruction of the queue's unit directly before it";
    if (repeat->step != 0 && !steps(op))
        return "repeat with a step after an instruction without address or index";
    return NULL;
}

/* Marks what the word's stores may change in the slice. A Scatter reaches from its address on,
 * wherever its map says. */
static void note_stores(const struct machine *machine, struct chip_queue_text *text,
                        const struct chip_word *word)
{
    enum isa_op op = (enum isa_op)word->instruction.op;
    int64_t address = op == ISA_READ_WRITE ? word->instruction.address2 : word->instruction.address;
    if (op == ISA_SCATTER) {
        int64_t last = address + (int64_t)word->repeat_count * word->repeat_step;
        text->scatter_first =
            BASE_MIN(text->scatter_first, (uint32_t)BASE_MAX(BASE_MIN(address, last), 0));
    }
    if ((op != ISA_WRITE && op != ISA_READ_WRITE) || !text->stored)
        return;
    for (uint32_t i = 0; i <= word->repeat_count; i++, address += word->repeat_step)
        if (address >= 0 && address < (int64_t)machine->mem_words)
            text->stored[address / 64] |= UINT64_C(1) << (address % 64);
}

/* Adds the instruction to the queue's words, or folds a Repeat into the last of them. NULL, or why
 * it cannot stand there. */
const char *chip_text_add(const struct machine *machine, uint32_t queue,
                          const struct isa_instruction *instruction, struct chip_queue_text *text)
{
    struct chip_word *word = &text->words[text->count];
    if (instruction->op == ISA_REPEAT) {
        struct chip_word *before = text->count > 0 ? word - 1 : NULL;
        const char *reason = repeat_objection(instruction, before);
        if (reason || !before)
            return reason;
        before->repeat_count = instruction->count;
        before->repeat_delay = instruction->delay;
        before->repeat_step = instruction->step;
        note_stores(machine, text, before);
        return NULL;
    }
    memset(word, 0, sizeof *word);
    word->instruction = *instruction;
    set_widths(word);
    const char *reason = objection(machine, machine_queue(machine, queue), word);
    if (reason)
        return reason;
    note_stores(machine, text, word);
    text->count++;
    return NULL;
}

/* Words of the packed text that lie, with their Repeat, in its first blocks. */
void chip_text_find_held(struct chip_queue_text *text, uint32_t block_bytes)
{
    uint32_t held = 0;
    for (uint32_t blocks = 0; blocks <= text->block_count; blocks++) {
        while (held < text->count && text->starts[held + 1u] <= blocks * block_bytes)
            held++;
        text->held[blocks] = held;
    }
}

static enum takt_status decode_queue(struct chip_text *text, const struct program *program,
                                     uint32_t queue, struct takt_error *error)
{
    struct chip_queue_text *out = &text->queues[queue];
    for (uint32_t i = 0; i < program->queue_words[queue]; i++) {
        struct isa_instruction instruction;
        struct takt_error cause;
        if (isa_decode(program->text[queue][i], &instruction, &cause) != TAKT_OK)
            return refuse(&text->machine, queue, i, cause.message, error);
        const uint32_t size = isa_packed_bytes((enum isa_op)instruction.op);
        const char *reason = chip_text_add(&text->machine, queue, &instruction, out);
        if (reason)
            return refuse(&text->machine, queue, i, reason, error);
        if (out->starts) {
            (void)isa_pack(&instruction, out->packed + out->packed_bytes);
            out->packed_bytes += size;
            out->starts[out->count] = out->packed_bytes;
        }
    }
    if (!out->starts)
        return TAKT_OK;
    out->block_count = (out->packed_bytes + text->block_bytes - 1u) / text->block_bytes;
    chip_text_find_held(out, text->block_bytes);
    if (program->text_blocks) {
        out->place_count = program->text_blocks[queue];
        out->places = program->text_places[queue];
        if (out->place_count > 0 && out->place_count + 1u != out->block_count)
            return refuse(&text->machine, queue, 0, "places for another number of blocks", error);
    }
    return TAKT_OK;
}

/* Bytes of a queue's packed text and its padding, at most. */
static size_t packed_most(const struct program *program, uint32_t queue, uint32_t block_bytes)
{
    return (size_t)program->queue_words[queue] * ISA_PACKED_MAX + block_bytes;
}

static size_t text_bytes(const struct program *program, uint32_t block_bytes)
{
    size_t bytes =
        sizeof(struct chip_text) + 8192u + program->queue_count * sizeof(struct chip_queue_text);
    for (uint32_t queue = 0; queue < program->queue_count; queue++) {
        const size_t packed = packed_most(program, queue, block_bytes);
        bytes += program->queue_words[queue] * (sizeof(struct chip_word) + sizeof(uint32_t)) +
                 packed + packed / block_bytes * sizeof(uint32_t) +
                 program->machine.mem_words / 8u + 640u;
    }
    return bytes;
}

static void reserve(struct chip_text *text, const struct program *program, uint32_t queue)
{
    struct chip_queue_text *out = &text->queues[queue];
    const uint32_t count = program->queue_words[queue];
    out->words = BASE_NEW(&text->arena, struct chip_word, count + 1u);
    out->scatter_first = UINT32_MAX;
    if (machine_queue(&text->machine, queue).unit == ISA_UNIT_MEM && count > 0)
        out->stored = BASE_NEW(&text->arena, uint64_t, text->machine.mem_words / 64u + 1u);
    if (text->machine.icu_buffer_blocks == 0 || count == 0)
        return;
    const size_t packed = packed_most(program, queue, text->block_bytes);
    out->starts = BASE_NEW(&text->arena, uint32_t, count + 1u);
    out->packed = BASE_NEW(&text->arena, uint8_t, packed);
    out->held = BASE_NEW(&text->arena, uint32_t, packed / text->block_bytes + 1u);
}

enum takt_status chip_text_create(struct chip_text **out, const struct program *program,
                                  struct takt_error *error)
{
    *out = NULL;
    enum takt_status status = machine_check(&program->machine, error);
    if (status != TAKT_OK)
        return status;
    uint32_t queue_count = machine_queue_count(&program->machine);
    if (program->queue_count != queue_count)
        return base_fail(error, TAKT_FORMAT, "program: %u queues, its machine has %u",
                         program->queue_count, queue_count);
    const uint32_t block_bytes = program_block_bytes(&program->machine);
    struct base_arena arena = {0};
    status = base_arena_create(&arena, text_bytes(program, block_bytes), error);
    if (status != TAKT_OK)
        return status;
    struct chip_text *text = BASE_NEW(&arena, struct chip_text, 1);
    text->arena = arena;
    text->machine = program->machine;
    text->queue_count = queue_count;
    text->block_bytes = block_bytes;
    text->history = BASE_NEW(&text->arena, struct chip_history, 1);
    text->queues = BASE_NEW(&text->arena, struct chip_queue_text, queue_count);
    for (uint32_t queue = 0; queue < queue_count && status == TAKT_OK; queue++) {
        reserve(text, program, queue);
        status = decode_queue(text, program, queue, error);
    }
    if (status != TAKT_OK) {
        chip_text_destroy(text);
        return status;
    }
    *out = text;
    return TAKT_OK;
}

void chip_text_destroy(struct chip_text *text)
{
    if (!text)
        return;
    chip_trace_destroy(text->history->trace);
    struct base_arena arena = text->arena; /* the text lies in it */
    base_arena_destroy(&arena);
}

void chip_load_text(struct chip *chip, const struct chip_text *text)
{
    for (uint32_t queue = 0; queue < text->queue_count; queue++) {
        const struct chip_queue_text *from = &text->queues[queue];
        for (uint32_t block = 0; block < from->place_count; block++) {
            struct program_place place = from->places[block];
            const uint8_t *bytes = from->packed + (size_t)(block + 1u) * text->block_bytes;
            chip_write_word(chip, place, bytes);
            place.address++;
            chip_write_word(chip, place, bytes + chip->lanes);
        }
    }
}
