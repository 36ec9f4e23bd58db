/*
 * MXM, fp16: the two planes of a hemisphere in tandem. The low bytes of the weights lie in plane 0,
 * the high bytes in plane 1; each product of two fp16 numbers takes the multipliers of both planes
 * four times, so one issue meets half of the rows. Plane 0's queues lead.
 *
 * Sums are exact: every product is a multiple of 2^-48 below 2^32, and a sum is kept in 96 bits,
 * as low + 2^32 high (low within 0 .. 2^32 - 1) in units of 2^-48, beside three flags of what is
 * not finite. Nothing is rounded until a sum leaves as binary32, so no order matters.
 */
#include "chip/internal.h"

#include "num/num.h"

#include <string.h>

#define FIELD_MASK 0xFFFFFFFF

/* 96 bits hold so many results of the largest magnitude, rows/2 products each: 2^47 / 65504^2 =
 * 32800 products. */
static uint32_t results_that_fit(uint32_t lanes)
{
    return 32800u / (lanes / 2u);
}

/* ---- creation -------------------------------------------------------------------------------- */

static uint32_t accumulator_count(const struct machine *machine)
{
    return machine->mxm_accumulators / 2u;
}

static size_t sums_bytes(size_t count, size_t lanes)
{
    return count * (lanes * (2u * sizeof(int64_t) + 1u) + 1u) + 512u;
}

size_t chip_f16_bytes(const struct machine *machine)
{
    size_t lanes = machine_lanes(machine), count = accumulator_count(machine);
    return 2u * (sums_bytes(CHIP_RESULTS, lanes) + sums_bytes(count, lanes) +
                 lanes * lanes * (1u + CHIP_F16_DIGITS) * sizeof(int16_t) +
                 count * sizeof(uint16_t) + 2048u);
}

static void create_sums(struct chip *chip, struct chip_sums *sums, size_t count)
{
    size_t lanes = chip->lanes;
    sums->low = BASE_NEW(&chip->arena, int64_t, count * lanes);
    sums->high = BASE_NEW(&chip->arena, int64_t, count * lanes);
    sums->flags = BASE_NEW(&chip->arena, uint8_t, count * lanes);
    sums->special = BASE_NEW(&chip->arena, bool, count);
}

void chip_f16_create(struct chip *chip)
{
    size_t lanes = chip->lanes, count = accumulator_count(&chip->machine);
    for (uint32_t h = 0; h < 2; h++) {
        struct chip_pair *pair = &chip->pairs[h];
        create_sums(chip, &pair->results, CHIP_RESULTS);
        create_sums(chip, &pair->accumulators, count);
        pair->added = BASE_NEW(&chip->arena, uint16_t, count);
        pair->weights.bits = BASE_NEW(&chip->arena, uint16_t, lanes * lanes);
        pair->weights.digits = BASE_NEW(&chip->arena, int16_t, CHIP_F16_DIGITS * lanes * lanes);
    }
}

void chip_f16_reset(struct chip *chip)
{
    for (uint32_t h = 0; h < 2; h++) {
        struct chip_pair *pair = &chip->pairs[h];
        pair->weights.valid = false;
        pair->busy = UINT64_MAX;
        memset(pair->added, 0, accumulator_count(&chip->machine) * sizeof *pair->added);
    }
}

/* One vector of sums. */
static struct chip_sums sums_at(const struct chip_sums *sums, size_t index, uint32_t lanes)
{
    return (struct chip_sums){sums->low + index * lanes, sums->high + index * lanes,
                              sums->flags + index * lanes, sums->special + index};
}

/* ---- weights --------------------------------------------------------------------------------- */

/* A plane's byte of one weight; rows not loaded are zero. */
static uint32_t byte_at(const struct chip_weights *weights, uint32_t interleave, uint32_t row,
                        uint32_t column, uint32_t lanes)
{
    size_t at = ((size_t)(row / interleave) * lanes + column) * interleave + row % interleave;
    return (uint8_t)weights->rows[at];
}

static void join_bytes(const struct chip *chip, uint32_t hemisphere, uint16_t *bits)
{
    const uint32_t lanes = chip->lanes, interleave = chip->kernel->interleave;
    memset(bits, 0, (size_t)lanes * lanes * sizeof *bits);
    for (uint32_t byte = 0; byte < 2; byte++) {
        const struct chip_plane *plane = &chip->planes[MACHINE_PLANES * hemisphere + byte];
        const struct chip_weights *weights = &plane->weights[plane->installed];
        for (uint32_t row = 0; row < lanes; row++) {
            if (!(weights->loaded >> (row / MACHINE_WEIGHT_ROWS) & 1u))
                continue;
            uint16_t *out = bits + (size_t)row * lanes;
            for (uint32_t column = 0; column < lanes; column++)
                out[column] =
                    (uint16_t)(out[column] | byte_at(weights, interleave, row, column, lanes)
                                                 << (8u * byte));
        }
    }
}

/* The value times 2^24, an integer below 2^40; of what is not finite, zero. */
static inline int64_t fixed(uint32_t bits)
{
    uint32_t exponent = bits >> 10 & 31u;
    int64_t fraction = (int64_t)(bits & 1023u) | (exponent != 0 ? 1024 : 0);
    int64_t value = exponent == 31u ? 0 : fraction << (exponent - (exponent != 0));
    return bits & 0x8000u ? -value : value;
}

static inline bool is_special(uint32_t bits)
{
    return (bits & 0x7C00u) == 0x7C00u;
}

/* Takes the lowest digit of `bits` bits, within -2^(bits-1) .. 2^(bits-1) - 1, off the value. */
static inline int16_t take_digit(int64_t *value, uint32_t bits)
{
    int64_t half = INT64_C(1) << (bits - 1u);
    int64_t digit = ((*value + half) & (2 * half - 1)) - half;
    *value = (*value - digit) / (2 * half);
    return (int16_t)digit;
}

static void prepare(struct chip *chip, uint32_t hemisphere)
{
    struct chip_f16_weights *weights = &chip->pairs[hemisphere].weights;
    const uint32_t lanes = chip->lanes;
    join_bytes(chip, hemisphere, weights->bits);
    weights->special = false;
    uint32_t used = 1;
    for (uint32_t row = 0; row < lanes; row++) {
        const uint16_t *in = weights->bits + (size_t)row * lanes;
        int16_t *out =
            weights->digits + (size_t)(row / 2u) * CHIP_F16_DIGITS * lanes * 2u + row % 2u;
        for (uint32_t column = 0; column < lanes; column++) {
            int64_t value = fixed(in[column]);
            weights->special |= is_special(in[column]);
            int16_t low = take_digit(&value, CHIP_F16_WEIGHT_BITS);
            int16_t middle = take_digit(&value, CHIP_F16_WEIGHT_BITS);
            out[2u * (size_t)column] = low;
            out[2u * (size_t)(lanes + column)] = middle;
            out[2u * (size_t)(2u * lanes + column)] = (int16_t)value;
            used = BASE_MAX(used, value != 0 ? 3u : middle != 0 ? 2u : 1u);
        }
    }
    weights->digits_used = used;
    weights->valid = true;
}

/* ---- products -------------------------------------------------------------------------------- */

/* What is not finite: exact sums leave these terms out and the flags tell. */
static void find_flags(const struct chip_f16_weights *weights, const uint16_t *activation,
                       uint32_t first, uint32_t lanes, struct chip_sums *out)
{
    memset(out->flags, 0, lanes);
    for (uint32_t row = first; row < first + lanes / 2u; row++) {
        uint32_t a = activation[row - first];
        const uint16_t *bits = weights->bits + (size_t)row * lanes;
        for (uint32_t column = 0; column < lanes; column++) {
            uint32_t w = bits[column];
            if (!is_special(a) && !is_special(w))
                continue;
            bool nan = (is_special(a) && (a & 1023u)) || (is_special(w) && (w & 1023u)) ||
                       (a & 0x7FFFu) == 0 || (w & 0x7FFFu) == 0;
            out->flags[column] |= nan                 ? CHIP_F16_NAN
                                  : (a ^ w) & 0x8000u ? CHIP_F16_MINUS
                                                      : CHIP_F16_PLUS;
        }
    }
    *out->special = true;
}

/* The vector's half as digits, pairs of rows side by side, and how many digits are in use. */
static void split_activation(const uint8_t *low, const uint8_t *high, uint32_t first, uint32_t rows,
                             struct chip_f16_activation *out)
{
    uint32_t used = 1;
    out->special = false;
    for (uint32_t row = 0; row < rows; row++) {
        uint32_t bits = (uint32_t)low[first + row] | (uint32_t)high[first + row] << 8;
        int64_t value = fixed(bits);
        out->bits[row] = (uint16_t)bits;
        out->special |= is_special(bits);
        for (uint32_t i = 0; i < CHIP_F16_ACTIVATION_DIGITS; i++) {
            int16_t digit = i + 1u < CHIP_F16_ACTIVATION_DIGITS
                                ? take_digit(&value, CHIP_F16_ACTIVATION_BITS)
                                : (int16_t)value;
            out->digits[i][row] = digit;
            used = digit != 0 ? BASE_MAX(used, i + 1u) : used;
        }
    }
    out->digits_used = used;
    out->rows = rows;
}

static void product(struct chip *chip, struct chip_pair *pair, const uint8_t *low,
                    const uint8_t *high, uint32_t half, struct chip_sums *out)
{
    struct chip_f16_activation activation;
    const uint32_t lanes = chip->lanes, rows = lanes / 2u;
    split_activation(low, high, half * rows, rows, &activation);
    chip->kernel->f16(&pair->weights, &activation, half * rows / 2u, lanes, out->low, out->high);
    *out->special = false;
    if (pair->weights.special || activation.special)
        find_flags(&pair->weights, activation.bits, half * rows, lanes, out);
}

bool chip_f16_multiply(struct chip *chip, struct chip_queue *queue, const struct chip_word *word)
{
    uint32_t hemisphere = queue->plane / MACHINE_PLANES;
    struct chip_pair *pair = &chip->pairs[hemisphere];
    for (uint32_t i = 0; i < MACHINE_PLANES; i++)
        if (!chip->planes[MACHINE_PLANES * hemisphere + i].any_installed)
            return chip_fault(chip, CHIP_FAULT_WEIGHT_BUFFER, queue->index, word, queue->repetition,
                              "fp16 activations reach plane %u without installed weights", i);
    const uint8_t *low = chip_read(chip, queue, word, word->instruction.a);
    const uint8_t *high = low ? chip_read(chip, queue, word, word->instruction.a + 1u) : NULL;
    if (!high)
        return false;
    pair->busy = chip->cycle;
    uint64_t cycle = chip->cycle + chip->machine.mxm_result_cycles;
    struct chip_sums out =
        sums_at(&pair->results, (size_t)(cycle & (CHIP_RESULTS - 1u)), chip->lanes);
    if (!chip->check_only && !pair->weights.valid)
        prepare(chip, hemisphere);
    if (!chip->check_only)
        product(chip, pair, low, high, word->instruction.address, &out);
    return true;
}

/* ---- results --------------------------------------------------------------------------------- */

static void add(const struct chip_sums *from, struct chip_sums *to, uint32_t lanes)
{
    int64_t *restrict low = to->low, *restrict high = to->high;
    const int64_t *restrict more_low = from->low, *restrict more_high = from->high;
    for (uint32_t column = 0; column < lanes; column++) {
        int64_t sum = low[column] + more_low[column];
        high[column] += more_high[column] + (sum > FIELD_MASK ? 1 : 0);
        low[column] = sum & FIELD_MASK;
    }
    if (!*from->special && !*to->special)
        return;
    for (uint32_t column = 0; column < lanes; column++)
        to->flags[column] = (uint8_t)((*to->special ? to->flags[column] : 0) |
                                      (*from->special ? from->flags[column] : 0));
    *to->special = true;
}

static void copy(const struct chip_sums *from, struct chip_sums *to, uint32_t lanes)
{
    memcpy(to->low, from->low, lanes * sizeof *to->low);
    memcpy(to->high, from->high, lanes * sizeof *to->high);
    *to->special = *from->special;
    if (*from->special)
        memcpy(to->flags, from->flags, lanes);
}

static void round_sums(const struct chip_sums *sums, uint32_t lanes, uint32_t *out)
{
    for (uint32_t column = 0; column < lanes; column++)
        out[column] = num_bits(num_fixed96_to_f32(sums->high[column], (uint32_t)sums->low[column]));
    for (uint32_t column = 0; *sums->special && column < lanes; column++) {
        uint32_t flags = sums->flags[column];
        if (flags == CHIP_F16_PLUS)
            out[column] = 0x7F800000u;
        else if (flags == CHIP_F16_MINUS)
            out[column] = 0xFF800000u;
        else if (flags != 0)
            out[column] = 0x7FC00000u;
    }
}

/* An fp16 accumulator takes two of each plane. */
static bool any_full(const struct chip *chip, uint32_t hemisphere, uint32_t index)
{
    const struct chip_plane *planes = &chip->planes[MACHINE_PLANES * hemisphere];
    return planes[0].full[2u * index] || planes[0].full[2u * index + 1u] ||
           planes[1].full[2u * index] || planes[1].full[2u * index + 1u];
}

static void set_full(struct chip *chip, uint32_t hemisphere, uint32_t index, bool full)
{
    for (uint32_t i = 0; i < 2u * MACHINE_PLANES; i++)
        chip->planes[MACHINE_PLANES * hemisphere + i / 2u].full[2u * index + i % 2u] = full;
}

static bool check_accumulator(struct chip *chip, struct chip_queue *queue,
                              const struct chip_word *word, int64_t index)
{
    const uint32_t hemisphere = queue->plane / MACHINE_PLANES;
    const uint32_t count = accumulator_count(&chip->machine);
    if (index < 0 || index >= (int64_t)count)
        return chip_fault(chip, CHIP_FAULT_RANGE, queue->index, word, queue->repetition,
                          "fp16 accumulator %lld, a hemisphere has 0..%u", (long long)index,
                          count - 1u);
    const uint32_t added = chip->pairs[hemisphere].added[index];
    if (word->instruction.op == ISA_ACC_SET) {
        if (any_full(chip, hemisphere, (uint32_t)index))
            return chip_fault(chip, CHIP_FAULT_ACCUMULATOR, queue->index, word, queue->repetition,
                              "fp16 accumulator %lld is full, or an integer one in its place",
                              (long long)index);
        return true;
    }
    if (added == 0)
        return chip_fault(chip, CHIP_FAULT_ACCUMULATOR, queue->index, word, queue->repetition,
                          "fp16 accumulator %lld is empty", (long long)index);
    if (added == results_that_fit(chip->lanes))
        return chip_fault(chip, CHIP_FAULT_ACCUMULATOR, queue->index, word, queue->repetition,
                          "fp16 accumulator %lld: more than %u results may not fit 96 bits",
                          (long long)index, added);
    return true;
}

bool chip_f16_accumulate(struct chip *chip, struct chip_queue *queue, const struct chip_word *word,
                         uint32_t *out, bool *emits)
{
    const uint32_t hemisphere = queue->plane / MACHINE_PLANES, lanes = chip->lanes;
    struct chip_pair *pair = &chip->pairs[hemisphere];
    const enum isa_op op = (enum isa_op)word->instruction.op;
    const struct chip_sums result =
        sums_at(&pair->results, (size_t)(chip->cycle & (CHIP_RESULTS - 1u)), lanes);
    *emits = op == ISA_ACC_PASS || op == ISA_ACC_OUT;
    for (uint32_t lane = queue->lanes_on; !chip->check_only && lane < lanes; lane++) {
        result.low[lane] = result.high[lane] = 0; /* superlanes that Config left off */
        result.flags[lane] = 0;
    }
    if (op == ISA_ACC_PASS) {
        if (!chip->check_only)
            round_sums(&result, lanes, out);
        return true;
    }
    int64_t index = chip_address(queue, word, word->instruction.address);
    if (!check_accumulator(chip, queue, word, index))
        return false;
    struct chip_sums sums = sums_at(&pair->accumulators, (size_t)index, lanes);
    set_full(chip, hemisphere, (uint32_t)index, op != ISA_ACC_OUT);
    pair->added[index] = (uint16_t)(op == ISA_ACC_SET   ? 1u
                                    : op == ISA_ACC_OUT ? 0u
                                                        : pair->added[index] + 1u);
    if (chip->check_only)
        return true;
    if (op == ISA_ACC_SET)
        copy(&result, &sums, lanes);
    else
        add(&result, &sums, lanes);
    if (op == ISA_ACC_OUT)
        round_sums(&sums, lanes, out);
    return true;
}

/* ---- the plain kernel ------------------------------------------------------------------------ */

void chip_f16_combine(const int32_t *digits, uint32_t stride, uint32_t columns, int64_t *low,
                      int64_t *high)
{
    for (uint32_t column = 0; column < columns; column++) {
        int64_t below = 0, above = 0; /* in units of 1 and of 2^32 */
        for (uint32_t i = 0; i < CHIP_F16_DIGITS; i++) {
            for (uint32_t j = 0; j < CHIP_F16_ACTIVATION_DIGITS; j++) {
                uint32_t shift = CHIP_F16_WEIGHT_BITS * i + CHIP_F16_ACTIVATION_BITS * j;
                int64_t sum = digits[(CHIP_F16_ACTIVATION_DIGITS * i + j) * stride + column];
                if (shift < 32)
                    below += sum * (INT64_C(1) << shift);
                else
                    above += sum * (INT64_C(1) << (shift - 32u));
            }
        }
        below += low[column];
        high[column] += above + (below >> 32);
        low[column] = below & FIELD_MASK;
    }
}

void chip_f16_plain(const struct chip_f16_weights *weights,
                    const struct chip_f16_activation *activation, uint32_t first_pair,
                    uint32_t lanes, int64_t *low, int64_t *high)
{
    int32_t sums[CHIP_F16_DIGITS * CHIP_F16_ACTIVATION_DIGITS][16];
    memset(low, 0, lanes * sizeof *low);
    memset(high, 0, lanes * sizeof *high);
    for (uint32_t column = 0; column < lanes; column += 16u) {
        for (uint32_t row = 0; row < activation->rows; row += CHIP_F16_ROWS) {
            uint32_t end = BASE_MIN(row + CHIP_F16_ROWS, activation->rows);
            memset(sums, 0, sizeof sums);
            for (uint32_t i = 0; i < weights->digits_used; i++) {
                for (uint32_t r = row; r < end; r++) {
                    const int16_t *restrict w =
                        weights->digits +
                        (((size_t)(first_pair + r / 2u) * CHIP_F16_DIGITS + i) * lanes + column) *
                            2u +
                        r % 2u;
                    for (uint32_t j = 0; j < activation->digits_used; j++) {
                        int32_t a = activation->digits[j][r];
                        int32_t *restrict to = sums[CHIP_F16_ACTIVATION_DIGITS * i + j];
                        for (uint32_t k = 0; a != 0 && k < 16u; k++)
                            to[k] += a * w[2u * k];
                    }
                }
            }
            chip_f16_combine(sums[0], 16, 16, low + column, high + column);
        }
    }
}
