/* ICU: a program's text decoded and checked once, and what issues from the queues in each cycle. */
#include "chip/internal.h"

#include <string.h>

/* ---- text ------------------------------------------------------------------------------------ */

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
    if (unit.unit != ISA_UNIT_VXM && unit.unit != ISA_UNIT_VXM_LARGE)
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

static enum takt_status decode_queue(struct chip_text *text, const struct program *program,
                                     uint32_t queue, struct takt_error *error)
{
    struct machine_queue unit = machine_queue(&text->machine, queue);
    struct chip_word *words = text->words[queue];
    uint32_t count = 0;
    for (uint32_t i = 0; i < program->queue_words[queue]; i++) {
        struct isa_instruction instruction;
        struct takt_error cause;
        if (isa_decode(program->text[queue][i], &instruction, &cause) != TAKT_OK)
            return refuse(&text->machine, queue, i, cause.message, error);
        const char *reason;
        if (instruction.op == ISA_REPEAT) {
            struct chip_word *before = count > 0 ? &words[count - 1u] : NULL;
            reason = repeat_objection(&instruction, before);
            if (reason || !before)
                return refuse(&text->machine, queue, i, reason, error);
            before->repeat_count = instruction.count;
            before->repeat_delay = instruction.delay;
            before->repeat_step = instruction.step;
            continue;
        }
        words[count].instruction = instruction;
        set_widths(&words[count]);
        reason = objection(&text->machine, unit, &words[count]);
        if (reason)
            return refuse(&text->machine, queue, i, reason, error);
        enum isa_op op = (enum isa_op)instruction.op;
        text->stores[queue] |= op == ISA_WRITE || op == ISA_READ_WRITE || op == ISA_SCATTER;
        count++;
    }
    text->counts[queue] = count;
    return TAKT_OK;
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
    size_t bytes = sizeof(struct chip_text) + 8192u;
    for (uint32_t queue = 0; queue < queue_count; queue++)
        bytes += (size_t)program->queue_words[queue] * sizeof(struct chip_word) + 256u;
    struct base_arena arena = {0};
    status = base_arena_create(&arena, bytes, error);
    if (status != TAKT_OK)
        return status;
    struct chip_text *text = BASE_NEW(&arena, struct chip_text, 1);
    text->machine = program->machine;
    text->queue_count = queue_count;
    text->counts = BASE_NEW(&arena, uint32_t, queue_count);
    text->stores = BASE_NEW(&arena, bool, queue_count);
    text->words = BASE_NEW(&arena, struct chip_word *, queue_count);
    for (uint32_t queue = 0; queue < queue_count; queue++)
        text->words[queue] = BASE_NEW(&arena, struct chip_word, program->queue_words[queue]);
    text->arena = arena;
    for (uint32_t queue = 0; queue < queue_count && status == TAKT_OK; queue++)
        status = decode_queue(text, program, queue, error);
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
    struct base_arena arena = text->arena; /* the text lies in it */
    base_arena_destroy(&arena);
}

/* ---- queues ---------------------------------------------------------------------------------- */

/* Marks the queue to be looked at when it next issues; far wakes are looked at again on the way. */
static void arm(struct chip *chip, const struct chip_queue *queue)
{
    uint64_t ahead = queue->wake - chip->cycle;
    uint64_t cycle = ahead < CHIP_RING ? queue->wake : chip->cycle + CHIP_RING - 1u;
    chip->ready[cycle & (CHIP_RING - 1u)][queue->index / 64u] |= UINT64_C(1)
                                                                 << (queue->index % 64u);
}

void chip_icu_reset(struct chip *chip, const struct chip_text *text)
{
    chip->running = 0;
    chip->notifies = 0;
    chip->last_park = 0;
    memset(chip->ready, 0, sizeof chip->ready);
    memset(chip->events, 0, sizeof chip->events);
    for (uint32_t i = 0; i < chip->queue_count; i++) {
        struct chip_queue *queue = &chip->queues[i];
        queue->words = text->words[i];
        queue->count = text->counts[i];
        queue->stores = text->stores[i];
        queue->next = 0;
        queue->repetition = 0;
        queue->issued = 0;
        queue->parked = false;
        queue->lanes_on = chip->lanes;
        queue->wake = 0;
        if (queue->count == 0)
            continue;
        chip->running++;
        arm(chip, queue);
    }
}

/*
 * A Notify arrives: the queues parked before this cycle issue in it. One that is parked at its last
 * word has nothing left to issue and stays.
 */
void chip_icu_release(struct chip *chip)
{
    chip->notifies--;
    for (uint32_t i = 0; i < chip->queue_count; i++) {
        struct chip_queue *queue = &chip->queues[i];
        if (!queue->parked || queue->next + 1u >= queue->count)
            continue;
        queue->parked = false;
        queue->next++;
        queue->wake = chip->cycle;
        chip->running++;
        arm(chip, queue);
    }
}

static bool issue_icu(struct chip *chip, struct chip_queue *queue, const struct chip_word *word)
{
    uint64_t cycle = chip->cycle + chip->machine.notify_cycles;
    switch ((enum isa_op)word->instruction.op) {
    case ISA_NOP:
        chip->issued--; /* nothing is issued */
        queue->next++;
        queue->wake += word->instruction.count;
        break;
    case ISA_SYNC:
        queue->parked = true;
        chip->running--;
        chip->last_park = chip->cycle;
        return true;
    case ISA_NOTIFY:
        /* Two in one cycle are one release. */
        if (!(chip->events[cycle & (CHIP_EVENTS - 1u)] & CHIP_EVENT_NOTIFY))
            chip->notifies++;
        chip->events[cycle & (CHIP_EVENTS - 1u)] |= CHIP_EVENT_NOTIFY;
        queue->next++;
        queue->wake++;
        break;
    case ISA_CONFIG:
        if (word->instruction.count > chip->machine.superlanes)
            return chip_fault(chip, CHIP_FAULT_RANGE, queue->index, word, 0,
                              "%u superlanes, the machine has %u",
                              (unsigned)word->instruction.count, chip->machine.superlanes);
        queue->lanes_on = word->instruction.count * MACHINE_LANES_PER_SUPERLANE;
        queue->next++;
        queue->wake++;
        break;
    default: base_assert_failed("an ICU instruction", __FILE__, __LINE__);
    }
    arm(chip, queue);
    return true;
}

static bool issue_unit(struct chip *chip, struct chip_queue *queue, const struct chip_word *word)
{
    switch (queue->unit.unit) {
    case ISA_UNIT_MEM: return chip_mem_issue(chip, queue, word);
    case ISA_UNIT_VXM:
    case ISA_UNIT_VXM_LARGE: return chip_vxm_issue(chip, queue, word);
    case ISA_UNIT_MXM_WEIGHTS:
    case ISA_UNIT_MXM_ACTIVATIONS:
    case ISA_UNIT_MXM_RESULTS: return chip_mxm_issue(chip, queue, word);
    case ISA_UNIT_SXM_PERMUTE:
    case ISA_UNIT_SXM_DISTRIBUTE:
    case ISA_UNIT_SXM_TRANSPOSE:
    case ISA_UNIT_SXM_SHIFT:
    case ISA_UNIT_SXM_ROTATE: return chip_sxm_issue(chip, queue, word);
    case ISA_UNIT_C2C: return chip_c2c_issue(chip, queue, word);
    case ISA_UNIT_ICU:
    case ISA_UNIT_COUNT: break;
    }
    base_assert_failed("a queue with a unit", __FILE__, __LINE__);
}

bool chip_icu_issue(struct chip *chip, struct chip_queue *queue)
{
    if (queue->wake > chip->cycle) {
        arm(chip, queue);
        return true;
    }
    if (queue->next == queue->count)
        return chip_fault(
            chip, CHIP_FAULT_DRY_QUEUE, queue->index, &queue->words[queue->count - 1u], 0,
            "no instruction after the last of %u, which must be a sync", queue->count);
    const struct chip_word *word = &queue->words[queue->next];
    chip->issued++;
    if (word->instruction.op <= ISA_CONFIG)
        return issue_icu(chip, queue, word);
    queue->issued++;
    if (!issue_unit(chip, queue, word))
        return false;
    if (queue->lanes_on < chip->lanes)
        chip_config_trim(chip, queue);
    if (queue->repetition < word->repeat_count) {
        queue->repetition++;
        queue->wake += word->repeat_delay;
    } else {
        queue->repetition = 0;
        queue->next++;
        queue->wake++;
    }
    arm(chip, queue);
    return true;
}
