/*
 * MXM: four planes of weights. Sums are made when activations are issued, with the weights they
 * meet, and wait in a ring until their cycle; only then may a result instruction take them.
 */
#include "chip/internal.h"

#include <math.h>
#include <string.h>

/* ---- creation -------------------------------------------------------------------------------- */

/* One installed, one being loaded, and those on their way: an IW at most every second cycle. */
static uint32_t weights_count(const struct machine *machine)
{
    return 2u + machine->mxm_install_cycles / 2u;
}

static size_t round64(size_t bytes)
{
    return (bytes + 63u) / 64u * 64u;
}

size_t chip_mxm_bytes(const struct machine *machine)
{
    size_t lanes = machine_lanes(machine);
    size_t weights = round64(lanes * lanes) + round64(lanes * sizeof(int32_t)) +
                     round64(sizeof(struct chip_weights));
    size_t plane = weights * weights_count(machine) +
                   CHIP_RESULTS * (lanes * sizeof(int32_t) + sizeof(struct chip_word *)) +
                   machine->mxm_accumulators * (lanes * sizeof(int32_t) + sizeof(bool));
    return CHIP_PLANES * (plane + 1024u) + chip_f16_bytes(machine);
}

void chip_mxm_create(struct chip *chip)
{
    const struct machine *machine = &chip->machine;
    size_t lanes = chip->lanes;
    BASE_ASSERT(machine->mxm_result_cycles < CHIP_RESULTS);
    for (uint32_t p = 0; p < CHIP_PLANES; p++) {
        struct chip_plane *plane = &chip->planes[p];
        plane->weights_count = weights_count(machine);
        plane->weights = BASE_NEW(&chip->arena, struct chip_weights, plane->weights_count);
        for (uint32_t i = 0; i < plane->weights_count; i++) {
            plane->weights[i].rows = BASE_NEW(&chip->arena, int8_t, lanes * lanes);
            plane->weights[i].sums = BASE_NEW(&chip->arena, int32_t, lanes);
        }
        plane->results = BASE_NEW(&chip->arena, int32_t, CHIP_RESULTS * lanes);
        plane->sources = BASE_NEW(&chip->arena, const struct chip_word *, CHIP_RESULTS);
        plane->accumulators = BASE_NEW(&chip->arena, int32_t, machine->mxm_accumulators * lanes);
        plane->full = BASE_NEW(&chip->arena, bool, machine->mxm_accumulators);
    }
    chip_f16_create(chip);
}

void chip_mxm_reset(struct chip *chip)
{
    chip->arrived = 0;
    chip->results_pending = 0;
    for (uint32_t p = 0; p < CHIP_PLANES; p++) {
        struct chip_plane *plane = &chip->planes[p];
        for (uint32_t i = 0; i < plane->weights_count; i++)
            plane->weights[i].loaded = 0;
        plane->installed = plane->weights_count - 1u;
        plane->buffer = 0;
        plane->any_installed = false;
        memset(plane->full, 0, chip->machine.mxm_accumulators * sizeof(bool));
    }
    chip_f16_reset(chip);
}

/* ---- weights --------------------------------------------------------------------------------- */

static bool load(struct chip *chip, struct chip_queue *queue, const struct chip_word *word)
{
    struct chip_plane *plane = &chip->planes[queue->plane];
    struct chip_weights *weights = &plane->weights[plane->buffer];
    int64_t group = chip_address(queue, word, word->instruction.address);
    if (group < 0 || group >= (int64_t)chip->machine.superlanes)
        return chip_fault(chip, CHIP_FAULT_RANGE, queue->index, word, queue->repetition,
                          "row group %lld, a plane has 0..%u", (long long)group,
                          chip->machine.superlanes - 1u);
    if (weights->loaded >> group & 1u)
        return chip_fault(chip, CHIP_FAULT_WEIGHT_BUFFER, queue->index, word, queue->repetition,
                          "row group %lld was loaded since the last install", (long long)group);
    uint32_t operands[MACHINE_WEIGHT_ROWS + 1u];
    for (uint32_t i = 0; i < MACHINE_WEIGHT_ROWS; i++) {
        const uint8_t *row = chip_read(chip, queue, word, word->instruction.a + i);
        if (!row)
            return false;
        operands[i] = chip_operand(chip, row);
    }
    weights->loaded |= UINT64_C(1) << group;
    weights->sums_valid = false;
    if (chip->check_only)
        return true;
    operands[MACHINE_WEIGHT_ROWS] = chip_operand(chip, weights->rows);
    const struct chip_op op = chip_op_of(chip, queue, word);
    return chip_compute(chip, &op, operands, MACHINE_WEIGHT_ROWS + 1u, chip->lanes);
}

static bool install(struct chip *chip, struct chip_queue *queue, const struct chip_word *word)
{
    struct chip_plane *plane = &chip->planes[queue->plane];
    if (plane->weights[plane->buffer].loaded == 0)
        return chip_fault(chip, CHIP_FAULT_WEIGHT_BUFFER, queue->index, word, queue->repetition,
                          "install of an empty weight buffer");
    uint64_t cycle = chip->cycle + chip->machine.mxm_install_cycles;
    chip->events[cycle & (CHIP_EVENTS - 1u)] |= (uint16_t)CHIP_EVENT_INSTALL(queue->plane);
    plane->buffer = (plane->buffer + 1u) % plane->weights_count;
    return true;
}

/* The oldest weights on their way arrive; those they replace become a free buffer. */
void chip_mxm_install(struct chip *chip, uint32_t p)
{
    struct chip_plane *plane = &chip->planes[p];
    plane->weights[plane->installed].loaded = 0;
    plane->installed = (plane->installed + 1u) % plane->weights_count;
    plane->any_installed = true;
    chip->pairs[p / MACHINE_PLANES].weights.valid = false;
}

/* ---- activations ----------------------------------------------------------------------------- */

static bool multiply_i8(struct chip *chip, struct chip_queue *queue, const struct chip_word *word)
{
    struct chip_plane *plane = &chip->planes[queue->plane];
    if (chip->pairs[queue->plane / MACHINE_PLANES].busy == chip->cycle)
        return chip_fault(chip, CHIP_FAULT_TWO_PRODUCERS, queue->index, word, queue->repetition,
                          "an fp16 product of plane 0 takes this plane's multipliers this cycle");
    if (!plane->any_installed)
        return chip_fault(chip, CHIP_FAULT_WEIGHT_BUFFER, queue->index, word, queue->repetition,
                          "activations reach a plane without installed weights");
    const uint8_t *activation = chip_read(chip, queue, word, word->instruction.a);
    if (!activation)
        return false;
    size_t result = (size_t)((chip->cycle + chip->machine.mxm_result_cycles) & (CHIP_RESULTS - 1u));
    if (chip->check_only)
        return true;
    struct chip_weights *weights = &plane->weights[plane->installed];
    const uint32_t operands[4] = {chip_operand(chip, activation), chip_operand(chip, weights->rows),
                                  chip_operand(chip, weights->sums),
                                  chip_operand(chip, plane->results + result * chip->lanes)};
    struct chip_op op = chip_op_of(chip, queue, word);
    op.loaded = weights->loaded;
    op.fresh = !weights->sums_valid;
    weights->sums_valid |= word->instruction.op == ISA_ABC_I8;
    return chip_compute(chip, &op, operands, 4, chip->lanes);
}

static bool multiply(struct chip *chip, struct chip_queue *queue, const struct chip_word *word)
{
    struct chip_plane *plane = &chip->planes[queue->plane];
    if (word->instruction.op == ISA_ABC_F16)
        chip_record_break(chip);
    if (!(word->instruction.op == ISA_ABC_F16 ? chip_f16_multiply(chip, queue, word)
                                              : multiply_i8(chip, queue, word)))
        return false;
    uint64_t cycle = chip->cycle + chip->machine.mxm_result_cycles;
    size_t result = (size_t)(cycle & (CHIP_RESULTS - 1u));
    plane->sources[result] = word;
    chip->events[cycle & (CHIP_EVENTS - 1u)] |= (uint16_t)CHIP_EVENT_RESULT(queue->plane);
    chip->results_pending++;
    return true;
}

/* ---- results --------------------------------------------------------------------------------- */

static void emit(struct chip *chip, struct chip_queue *queue, const struct chip_word *word,
                 uint8_t *planes[4])
{
    for (uint32_t i = 0; i < 4; i++)
        planes[i] =
            chip_emit(chip, queue, word, word->instruction.d + i, chip->machine.mxm_emit_cycles);
}

/* NULL, or the accumulator of the instruction, which is full or empty as it must be. */
static int32_t *find_accumulator(struct chip *chip, struct chip_queue *queue,
                                 const struct chip_word *word)
{
    struct chip_plane *plane = &chip->planes[queue->plane];
    enum isa_op op = (enum isa_op)word->instruction.op;
    int64_t index = chip_address(queue, word, word->instruction.address);
    if (index < 0 || index >= (int64_t)chip->machine.mxm_accumulators) {
        chip_fault(chip, CHIP_FAULT_RANGE, queue->index, word, queue->repetition,
                   "accumulator %lld, a plane has 0..%u", (long long)index,
                   chip->machine.mxm_accumulators - 1u);
        return NULL;
    }
    if (op != ISA_ACC_SET && chip->pairs[queue->plane / MACHINE_PLANES].added[index / 2] > 0) {
        chip_fault(chip, CHIP_FAULT_ACCUMULATOR, queue->index, word, queue->repetition,
                   "accumulator %lld belongs to an fp16 sum", (long long)index);
        return NULL;
    }
    if (plane->full[index] == (op == ISA_ACC_SET)) {
        chip_fault(chip, CHIP_FAULT_ACCUMULATOR, queue->index, word, queue->repetition,
                   "accumulator %lld is %s", (long long)index,
                   plane->full[index] ? "full" : "empty");
        return NULL;
    }
    plane->full[index] = op != ISA_ACC_OUT;
    return plane->accumulators + (size_t)index * chip->lanes;
}

static bool accumulate_i8(struct chip *chip, struct chip_queue *queue, const struct chip_word *word)
{
    struct chip_plane *plane = &chip->planes[queue->plane];
    enum isa_op op = (enum isa_op)word->instruction.op;
    int32_t *result = plane->results + (size_t)(chip->cycle & (CHIP_RESULTS - 1u)) * chip->lanes;
    if (queue->lanes_on < chip->lanes)
        memset(result + queue->lanes_on, 0, (chip->lanes - queue->lanes_on) * sizeof *result);
    uint32_t operands[6] = {chip_operand(chip, result)}, count = 1;
    if (op != ISA_ACC_PASS) {
        const int32_t *sums = find_accumulator(chip, queue, word);
        if (!sums)
            return false;
        operands[count++] = chip_operand(chip, sums);
    }
    if (op == ISA_ACC_PASS || op == ISA_ACC_OUT) {
        uint8_t *planes[4];
        emit(chip, queue, word, planes);
        for (uint32_t i = 0; i < 4; i++)
            operands[count++] = chip_operand(chip, planes[i]);
    }
    if (chip->check_only)
        return true;
    const struct chip_op record = chip_op_of(chip, queue, word);
    return chip_compute(chip, &record, operands, count, chip->lanes);
}

static bool accumulate(struct chip *chip, struct chip_queue *queue, const struct chip_word *word)
{
    const struct chip_plane *plane = &chip->planes[queue->plane];
    if (!(chip->arrived >> queue->plane & 1u))
        return chip_fault(chip, CHIP_FAULT_ACCUMULATOR, queue->index, word, queue->repetition,
                          "no result arrives this cycle");
    chip->arrived &= ~(1u << queue->plane);
    const struct chip_word *source = plane->sources[chip->cycle & (CHIP_RESULTS - 1u)];
    if (source->instruction.op != ISA_ABC_F16)
        return accumulate_i8(chip, queue, word);
    bool emits;
    if (!chip_f16_accumulate(chip, queue, word, chip->work_d, &emits))
        return false;
    if (emits) {
        uint8_t *planes[4];
        emit(chip, queue, word, planes);
        if (!chip->check_only)
            chip_lanes_split4(chip->work_d, chip->lanes, planes);
    }
    return true;
}

bool chip_mxm_end_cycle(struct chip *chip)
{
    for (uint32_t p = 0; p < CHIP_PLANES; p++) {
        if (!(chip->arrived >> p & 1u))
            continue;
        uint32_t queue = machine_queue_mxm(&chip->machine, p / MACHINE_PLANES, p % MACHINE_PLANES,
                                           ISA_UNIT_MXM_ACTIVATIONS);
        const struct chip_word *source = chip->planes[p].sources[chip->cycle & (CHIP_RESULTS - 1u)];
        return chip_fault(chip, CHIP_FAULT_ACCUMULATOR, queue, source, 0,
                          "its result arrives this cycle and no acc instruction takes it");
    }
    return true;
}

bool chip_mxm_issue(struct chip *chip, struct chip_queue *queue, const struct chip_word *word)
{
    switch ((enum isa_op)word->instruction.op) {
    case ISA_LW: return load(chip, queue, word);
    case ISA_IW: return install(chip, queue, word);
    case ISA_ABC_I8:
    case ISA_ABC_U8:
    case ISA_ABC_F16: return multiply(chip, queue, word);
    case ISA_ACC_SET:
    case ISA_ACC_ADD:
    case ISA_ACC_OUT:
    case ISA_ACC_PASS: return accumulate(chip, queue, word);
    default: base_assert_failed("an MXM instruction", __FILE__, __LINE__);
    }
}

/* ---- values ---------------------------------------------------------------------------------- */

static int32_t *words_at(const struct chip *chip, uint32_t operand)
{
    return (int32_t *)(void *)chip_operand_at(chip, operand);
}

/* An accumulator takes or adds a result, modular; what leaves goes out in byte planes. */
static void sum_value(const struct chip *chip, enum isa_op op, const uint32_t *operands,
                      const struct chip_range *range)
{
    const int32_t *result = words_at(chip, operands[0]) + range->first;
    const uint32_t lanes = range->end - range->first;
    const uint32_t *out = (const uint32_t *)(const void *)result;
    if (op != ISA_ACC_PASS) {
        int32_t *sums = words_at(chip, *++operands) + range->first;
        uint32_t *to = op == ISA_ACC_ADD ? (uint32_t *)(void *)sums : range->d;
        if (op == ISA_ACC_SET) {
            memcpy(sums, result, lanes * sizeof *sums);
            return;
        }
        for (uint32_t lane = 0; lane < lanes; lane++)
            to[lane] = (uint32_t)sums[lane] + (uint32_t)result[lane];
        if (op == ISA_ACC_ADD)
            return;
        out = range->d;
    }
    uint8_t *planes[4];
    for (uint32_t i = 0; i < 4; i++)
        planes[i] = chip_operand_at(chip, operands[1 + i]) + range->first;
    chip_lanes_split4(out, lanes, planes);
}

/* Operands. LW: the rows, the weights. ABC: activations, weights, their sums, result. ACC: result,
 * accumulator but for acc.pass, the planes of what leaves. */
bool chip_mxm_value(struct chip *chip, const struct chip_op *op, const uint32_t *operands,
                    const struct chip_range *range)
{
    const struct chip_word *word = op->word;
    enum isa_op code = (enum isa_op)word->instruction.op;
    struct chip_weights weights = {.loaded = op->loaded, .sums_valid = !op->fresh};
    if (code == ISA_LW) {
        const uint8_t *rows[MACHINE_WEIGHT_ROWS];
        for (uint32_t i = 0; i < MACHINE_WEIGHT_ROWS; i++)
            rows[i] = chip_operand_at(chip, operands[i]);
        weights.rows = (int8_t *)chip_operand_at(chip, operands[MACHINE_WEIGHT_ROWS]);
        int32_t group = word->instruction.address + (int32_t)op->repetition * word->repeat_step;
        chip->kernel->load(&weights, (uint32_t)group, rows, chip->lanes, range->first, range->end);
    } else if (code == ISA_ABC_I8 || code == ISA_ABC_U8) {
        weights.rows = (int8_t *)chip_operand_at(chip, operands[1]);
        weights.sums = words_at(chip, operands[2]);
        chip->kernel->product(&weights, chip_operand_at(chip, operands[0]), code == ISA_ABC_I8,
                              chip->lanes, range->first, range->end, words_at(chip, operands[3]));
    } else {
        sum_value(chip, code, operands, range);
    }
    return true;
}

/* ---- the plain kernel and the choice --------------------------------------------------------- */

static bool always(void)
{
    return true;
}

/* Order: rows 2k and 2k + 1 side by side, column by column. */
static void plain_load(struct chip_weights *weights, uint32_t group, const uint8_t *const rows[16],
                       uint32_t lanes, uint32_t first, uint32_t end)
{
    for (uint32_t pair = 0; pair < 8; pair++) {
        const uint8_t *restrict even = rows[2u * pair];
        const uint8_t *restrict odd = rows[2u * pair + 1u];
        uint8_t *restrict out =
            (uint8_t *)weights->rows + ((size_t)group * 8u + pair) * 2u * (size_t)lanes;
        for (uint32_t column = first; column < end; column++) {
            out[2u * column] = even[column];
            out[2u * column + 1u] = odd[column];
        }
    }
}

static int32_t activation_at(const uint8_t *activation, uint32_t row, bool is_signed)
{
    int32_t value = activation[row];
    return is_signed && value > 127 ? value - 256 : value;
}

static void plain_product(struct chip_weights *weights, const uint8_t *activation, bool is_signed,
                          uint32_t lanes, uint32_t first, uint32_t end, int32_t *restrict out)
{
    memset(out + first, 0, (end - first) * sizeof *out);
    for (uint32_t row = 0; row < lanes; row += 2) {
        int32_t even = activation_at(activation, row, is_signed);
        int32_t odd = activation_at(activation, row + 1u, is_signed);
        if (!(weights->loaded >> (row / MACHINE_WEIGHT_ROWS) & 1u) || (even == 0 && odd == 0))
            continue;
        const int8_t *restrict pairs = weights->rows + (size_t)row * lanes;
        for (uint32_t column = first; column < end; column++)
            out[column] += even * pairs[2u * column] + odd * pairs[2u * column + 1u];
    }
}

static void plain_fma(const uint32_t *a, uint32_t scale, const uint32_t *b, uint32_t lanes,
                      uint32_t *d)
{
    float factor;
    memcpy(&factor, &scale, sizeof factor);
    for (uint32_t lane = 0; lane < lanes; lane++) {
        float x, y;
        memcpy(&x, &a[lane], sizeof x);
        memcpy(&y, &b[lane], sizeof y);
        x = fmaf(x, factor, y);
        memcpy(&d[lane], &x, sizeof x);
    }
}

const struct chip_kernel chip_kernel_plain = {"plain", always,         plain_load, plain_product,
                                              2,       chip_f16_plain, plain_fma};

const struct chip_kernel *chip_kernel(uint32_t index)
{
    switch (index) {
    case 0: return &chip_kernel_plain;
#ifdef __x86_64__
    case 1: return &chip_kernel_avx2;
    case 2: return &chip_kernel_avx512;
#endif
    default: return NULL;
    }
}

const struct chip_kernel *chip_kernel_best(void)
{
    const struct chip_kernel *best = &chip_kernel_plain;
    for (uint32_t i = 0; chip_kernel(i); i++)
        if (chip_kernel(i)->supported())
            best = chip_kernel(i);
    return best;
}
