/*
 * Traces: a run, kept, so that the same text need not be timed again.
 *
 * Which value each instruction takes is settled by cycles and positions, and the text alone decides
 * those. So when a text runs again on a chip, its second run is kept: every op on values in its
 * order, with the places of its operands. From the third run on only these are done. Faults of
 * timing cannot come then, for they would have come before; those of data (a map's entries) are
 * checked as ever and told as ever. Text is compared before each run with what was
 * decoded; a Scatter that is about to change it ends the repetition, and the run begins again,
 * timed, without the ops that are done. What a run may not do to be kept: upset words, switch
 * superlanes off, fetch text that was not decoded beforehand, use links or instructions whose
 * values are not apart from their timing.
 */
#include "chip/internal.h"

#include <stdlib.h>
#include <string.h>

#define ISSUES_MAX (1u << 26) /* of a text whose runs are kept: a bound on addresses */
#define OPS_MAX (1u << 22)    /* of a kept run: some 300 MB */

void chip_trace_destroy(struct chip_trace *trace)
{
    if (!trace)
        return;
    struct base_arena arena = trace->arena; /* the trace lies in it */
    base_arena_destroy(&arena);
}

/* ---- ops ------------------------------------------------------------------------------------- */

struct chip_op chip_op_of(const struct chip *chip, const struct chip_queue *queue,
                          const struct chip_word *word)
{
    return (struct chip_op){.word = word,
                            .cycle = (uint32_t)chip->cycle,
                            .repetition = (uint16_t)queue->repetition,
                            .queue = (uint8_t)queue->index,
                            .code = word->instruction.op};
}

bool chip_value(struct chip *chip, const struct chip_op *op, const uint32_t *operands,
                const struct chip_range *range)
{
    switch (chip->queues[op->queue].unit.unit) {
    case ISA_UNIT_MEM: return chip_mem_value(chip, op, operands, range);
    case ISA_UNIT_VXM:
    case ISA_UNIT_VXM_LARGE: return chip_vxm_value(chip, op, operands, range);
    case ISA_UNIT_MXM_WEIGHTS:
    case ISA_UNIT_MXM_ACTIVATIONS:
    case ISA_UNIT_MXM_RESULTS: return chip_mxm_value(chip, op, operands, range);
    default: return chip_sxm_value(chip, op, operands, range);
    }
}

bool chip_compute(struct chip *chip, const struct chip_op *op, const uint32_t *operands,
                  uint32_t count, uint32_t end)
{
    if (chip->skip > 0) {
        chip->skip--;
        return true;
    }
    if (chip->recording)
        chip_record_op(chip, op, operands, count);
    if (end == chip->lanes)
        return chip_value(chip, op, operands, &chip->whole);
    struct chip_range range = chip->whole;
    range.end = range.lanes_on = end;
    return chip_value(chip, op, operands, &range);
}

/* ---- recording ------------------------------------------------------------------------------- */

/* Issues of all queues, an upper bound on ops. */
static uint64_t count_issues(const struct chip_text *text)
{
    uint64_t issues = 0;
    for (uint32_t q = 0; q < text->queue_count; q++)
        for (uint32_t w = 0; w < text->queues[q].count; w++)
            issues += 1u + (uint64_t)text->queues[q].words[w].repeat_count;
    return issues;
}

/* Addresses for all the ops there can be; only what is used becomes memory. */
static struct chip_trace *create(const struct chip *chip, const struct chip_text *text)
{
    const uint64_t issues = 2u * count_issues(text); /* a ReadWrite is two */
    if (issues > ISSUES_MAX)
        return NULL;
    const size_t bytes =
        sizeof(struct chip_trace) + chip->queue_count * sizeof(uint64_t) +
        2u * chip->machine.mem_slices * sizeof(uint32_t) +
        (size_t)issues * (sizeof(struct chip_op) + CHIP_OPERANDS * sizeof(uint32_t) +
                          sizeof(struct chip_fetched)) +
        4096u;
    struct base_arena arena = {0};
    if (base_arena_create(&arena, bytes, NULL) != TAKT_OK)
        return NULL;
    struct chip_trace *trace = BASE_NEW(&arena, struct chip_trace, 1);
    trace->layout_bytes = chip->arena.used_bytes;
    trace->op_capacity = (uint32_t)issues;
    trace->queue_issued = BASE_NEW(&arena, uint64_t, chip->queue_count);
    trace->text_first = BASE_NEW(&arena, uint32_t, 2u * chip->machine.mem_slices);
    memset(trace->text_first, 0xFF, 2u * chip->machine.mem_slices * sizeof(uint32_t));
    trace->ops = BASE_NEW(&arena, struct chip_op, issues);
    trace->operands = BASE_NEW(&arena, uint32_t, issues * CHIP_OPERANDS);
    trace->fetched = BASE_NEW(&arena, struct chip_fetched, issues);
    trace->arena = arena;
    return trace;
}

void chip_record_begin(struct chip *chip, const struct chip_text *text)
{
    struct chip_history *history = text->history;
    chip->recording = NULL;
    if (chip->check_only || history->hopeless || history->trace || history->runs++ == 0)
        return;
    if (chip->upset_count > 0 || chip->arena.used_bytes / 16u > UINT32_MAX)
        return;
    chip->recording = create(chip, text);
    history->hopeless = !chip->recording;
}

void chip_record_break(struct chip *chip)
{
    if (chip->recording)
        chip->recording->broken = true;
}

void chip_record_op(struct chip *chip, const struct chip_op *op, const uint32_t *operands,
                    uint32_t count)
{
    struct chip_trace *trace = chip->recording;
    trace->broken = trace->broken || trace->op_count == OPS_MAX;
    if (trace->broken)
        return;
    BASE_ASSERT(trace->op_count < trace->op_capacity && count <= CHIP_OPERANDS);
    struct chip_op *kept = &trace->ops[trace->op_count++];
    *kept = *op;
    kept->first = trace->operand_count;
    memcpy(trace->operands + trace->operand_count, operands, count * sizeof *operands);
    trace->operand_count += count;
}

struct shape {         /* operands 0 .. inputs - 1, then the results among stream buffers */
    uint32_t crossing; /* of the first ones all lanes are taken */
    uint32_t outputs_first, outputs_end;
};

static struct shape shape_of(const struct chip_op *op)
{
    const struct chip_word *word = op->word;
    const uint32_t operands = (uint32_t)word->a_width + word->b_width;
    switch ((enum isa_op)word->instruction.op) {
    case ISA_READ:
    case ISA_WRITE:
    case ISA_READ_WRITE: return (struct shape){0, 1, 2};
    case ISA_GATHER: return (struct shape){0, 2, 3};
    case ISA_SCATTER: return (struct shape){1, 0, 0}; /* all of the map: spares_text */
    case ISA_LW:
    case ISA_ACC_SET:
    case ISA_ACC_ADD: return (struct shape){0, 0, 0};
    case ISA_ABC_I8:
    case ISA_ABC_U8: return (struct shape){1, 0, 0};
    case ISA_ACC_PASS: return (struct shape){0, 1, 5};
    case ISA_ACC_OUT: return (struct shape){0, 2, 6};
    case ISA_PERMUTE: return (struct shape){3, 3, 4};
    case ISA_DISTRIBUTE: return (struct shape){0, 2, 3};
    case ISA_TRANSPOSE: return (struct shape){0, 16, 32};
    default: return (struct shape){0, operands, operands + word->d_width};
    }
}

static bool in_memory(const struct chip *chip, const uint8_t *vector)
{
    const size_t bytes =
        2u * (size_t)chip->machine.mem_slices * chip->machine.mem_words * chip->lanes;
    return vector >= chip->memory && vector < chip->memory + bytes;
}

/* The word of memory that went into the stream buffer, as it is; NULL when something else did. */
static const uint8_t *word_behind(const struct chip *chip, const struct chip_trace *trace,
                                  const uint8_t *vector)
{
    const uint32_t buffer = chip_operand(chip, vector);
    for (uint32_t i = trace->op_count; i-- > 0;) {
        const struct chip_op *op = &trace->ops[i];
        const uint32_t *operands = trace->operands + op->first;
        const struct shape shape = shape_of(op);
        for (uint32_t k = shape.outputs_first; k < shape.outputs_end; k++)
            if (operands[k] == buffer)
                return op->code == ISA_READ ? chip_operand_at(chip, operands[0]) : NULL;
    }
    return NULL;
}

/*
 * A vector of text that went by as decoded beforehand. Its word in memory is compared again before
 * each later run. During one a Write cannot change it, for then this run is not kept; a Scatter
 * could, so it is watched (spares_text).
 */
void chip_record_fetch(struct chip *chip, const struct chip_queue *queue, const uint8_t *vector,
                       const uint8_t *text)
{
    struct chip_trace *trace = chip->recording;
    if (!trace || trace->broken)
        return;
    const uint8_t *word = in_memory(chip, vector) ? vector : word_behind(chip, trace, vector);
    trace->broken = queue->own || !word || !in_memory(chip, word) ||
                    memcmp(vector, text, chip->lanes) != 0 || memcmp(word, text, chip->lanes) != 0;
    if (trace->broken)
        return;
    const size_t index = (size_t)(word - chip->memory) / chip->lanes;
    const uint32_t slice = (uint32_t)(index / chip->machine.mem_words);
    const uint32_t address = (uint32_t)(index % chip->machine.mem_words);
    const struct chip_queue *source = NULL;
    for (uint32_t q = 0; q < chip->queue_count; q++)
        if (chip->queues[q].unit.unit == ISA_UNIT_MEM && chip->queues[q].slice == slice)
            source = &chip->queues[q];
    BASE_ASSERT(source != NULL && trace->fetched_count < trace->op_capacity);
    trace->broken = source->stored && (source->stored[address / 64u] >> (address % 64u) & 1u);
    trace->text_first[slice] = BASE_MIN(trace->text_first[slice], address);
    trace->fetched[trace->fetched_count++] = (struct chip_fetched){chip_operand(chip, word), text};
}

/* ---- what threads must wait for -------------------------------------------------------------- */

/* Stream buffers that ops wrote last, and that an op took all lanes of last: 1 + op. */
struct uses {
    uint32_t *writers, *readers;
    uint32_t first, stride, count; /* operands of the first buffer, of one to the next */
};

static bool find_buffer(const struct uses *uses, uint32_t operand, uint32_t *buffer)
{
    *buffer = (operand - uses->first) / uses->stride;
    return operand >= uses->first && *buffer < uses->count;
}

/*
 * Threads that have divided the lanes go their own ways but for ops that take all lanes of a
 * vector: these wait until everyone has made their lanes of it, and whoever fills its buffer again
 * waits until everyone has taken it. Vectors taken straight from memory are never stored to.
 */
static void find_waits(const struct chip *chip, struct chip_trace *trace, struct uses *uses)
{
    for (uint32_t i = 0; i < trace->op_count; i++) {
        struct chip_op *op = &trace->ops[i];
        const uint32_t *operands = trace->operands + op->first;
        const struct shape shape = shape_of(op);
        uint32_t buffer;
        for (uint32_t k = 0; k < shape.crossing; k++) {
            if (find_buffer(uses, operands[k], &buffer)) {
                op->wait = BASE_MAX(op->wait, uses->writers[buffer]);
                uses->readers[buffer] = i + 1u;
            }
        }
        for (uint32_t k = shape.outputs_first; k < shape.outputs_end; k++) {
            if (find_buffer(uses, operands[k], &buffer)) {
                op->wait = BASE_MAX(op->wait, uses->readers[buffer]);
                uses->writers[buffer] = i + 1u;
                uses->readers[buffer] = 0;
            }
        }
    }
    (void)chip;
}

static bool plan_waits(const struct chip *chip, struct chip_trace *trace)
{
    struct uses uses = {.first = chip_operand(chip, chip->buffers),
                        .stride = chip->stride_bytes / 16u,
                        .count = chip->buffer_count};
    uses.writers = calloc(uses.count, sizeof *uses.writers);
    uses.readers = calloc(uses.count, sizeof *uses.readers);
    const bool enough = uses.writers && uses.readers;
    if (enough)
        find_waits(chip, trace, &uses);
    free(uses.writers);
    free(uses.readers);
    return enough;
}

void chip_record_end(struct chip *chip, const struct chip_text *text, bool sound,
                     uint64_t issued_before)
{
    struct chip_trace *trace = chip->recording;
    chip->recording = NULL;
    if (!trace)
        return;
    if (!sound || trace->broken || !plan_waits(chip, trace)) {
        chip_trace_destroy(trace);
        text->history->hopeless = true;
        return;
    }
    trace->cycles = chip_cycles_taken(chip);
    trace->issued = chip->issued - issued_before;
    for (uint32_t q = 0; q < chip->queue_count; q++)
        trace->queue_issued[q] = chip->queues[q].issued;
    text->history->trace = trace;
}

/* ---- doing it again -------------------------------------------------------------------------- */

const struct chip_trace *chip_trace_of(const struct chip *chip, const struct chip_text *text)
{
    const struct chip_trace *trace = text->history->trace;
    if (!trace || chip->check_only || chip->upset_count > 0 ||
        chip->arena.used_bytes != trace->layout_bytes)
        return NULL;
    for (uint32_t i = 0; i < trace->fetched_count; i++)
        if (memcmp(chip_operand_at(chip, trace->fetched[i].operand), trace->fetched[i].text,
                   chip->lanes) != 0)
            return NULL; /* someone changed the text: let it be fetched */
    return trace;
}

bool chip_replay(struct chip *chip, const struct chip_trace *trace, uint32_t *done)
{
    struct chip_range range;
    const uint32_t stopped = chip_team_run(chip, trace, &range);
    if (stopped < trace->op_count) {
        const struct chip_op *op = &trace->ops[stopped];
        chip->cycle = op->cycle;
        range.report = true;
        range.text_first = NULL;
        *done = stopped;
        if (op->code != ISA_SCATTER)
            return chip_value(chip, op, trace->operands + op->first, &range);
        return false; /* it wrote nothing yet: timed, it stores, or faults */
    }
    chip->cycle = trace->cycles;
    chip->issued += trace->issued;
    for (uint32_t q = 0; q < chip->queue_count; q++)
        chip->queues[q].issued = trace->queue_issued[q];
    return true;
}
