/* SXM: what moves bytes across lanes. Permuter, distributors, transposers, shifters and rotator of
 * one hemisphere. */
#include "chip/internal.h"

#include <string.h>

/* Operands as the units find them, for the values below. */
static bool compute(struct chip *chip, const struct chip_queue *queue, const struct chip_word *word,
                    const uint32_t *operands, uint32_t count, uint32_t end)
{
    const struct chip_op op = chip_op_of(chip, queue, word);
    return chip->check_only || chip_compute(chip, &op, operands, count, end);
}

static bool permute(struct chip *chip, struct chip_queue *queue, const struct chip_word *word)
{
    const struct isa_instruction *instruction = &word->instruction;
    const uint8_t *value = chip_read(chip, queue, word, instruction->a);
    const uint8_t *low = value ? chip_read(chip, queue, word, instruction->map) : NULL;
    const uint8_t *high = low ? chip_read(chip, queue, word, instruction->map + 1u) : NULL;
    if (!high)
        return false;
    uint8_t *out = chip_emit(chip, queue, word, instruction->d, chip->machine.sxm_permute_cycles);
    const uint32_t operands[4] = {chip_operand(chip, value), chip_operand(chip, low),
                                  chip_operand(chip, high), chip_operand(chip, out)};
    return compute(chip, queue, word, operands, 4, queue->lanes_on);
}

static bool distribute(struct chip *chip, struct chip_queue *queue, const struct chip_word *word)
{
    const struct isa_instruction *instruction = &word->instruction;
    const uint8_t *value = chip_read(chip, queue, word, instruction->a);
    const uint8_t *map = value ? chip_read(chip, queue, word, instruction->map) : NULL;
    if (!map)
        return false;
    uint8_t *out =
        chip_emit(chip, queue, word, instruction->d, chip->machine.sxm_distribute_cycles);
    const uint32_t operands[3] = {chip_operand(chip, value), chip_operand(chip, map),
                                  chip_operand(chip, out)};
    return compute(chip, queue, word, operands, 3, chip->lanes);
}

static bool transpose(struct chip *chip, struct chip_queue *queue, const struct chip_word *word)
{
    const struct isa_instruction *instruction = &word->instruction;
    uint32_t operands[32];
    for (uint32_t i = 0; i < 16; i++) {
        const uint8_t *in = chip->zeros;
        if (instruction->address >> i & 1u)
            in = chip_read(chip, queue, word, instruction->a + i);
        if (!in)
            return false;
        operands[i] = chip_operand(chip, in);
    }
    for (uint32_t i = 0; i < 16; i++)
        operands[16 + i] = chip_operand(chip, chip_emit(chip, queue, word, instruction->d + i,
                                                        chip->machine.sxm_transpose_cycles));
    return compute(chip, queue, word, operands, 32, chip->lanes);
}

/* Up: towards higher lanes. */
static bool shift(struct chip *chip, struct chip_queue *queue, const struct chip_word *word)
{
    const uint32_t distance = word->instruction.address;
    const bool up = word->instruction.op == ISA_SHIFT_UP;
    if (distance >= chip->lanes)
        return chip_fault(chip, CHIP_FAULT_RANGE, queue->index, word, queue->repetition,
                          "a shift by %u lanes, a vector has %u", distance, chip->lanes);
    const uint8_t *value = chip_read(chip, queue, word, word->instruction.a);
    if (!value)
        return false;
    uint8_t *out =
        chip_emit(chip, queue, word, word->instruction.d, chip->machine.sxm_shift_cycles);
    if (chip->check_only)
        return true;
    const size_t kept = chip->lanes - distance;
    memcpy(up ? out + distance : out, up ? value : value + distance, kept);
    memset(up ? out : out + kept, 0, distance);
    return true;
}

static bool select_lanes(struct chip *chip, struct chip_queue *queue, const struct chip_word *word)
{
    const struct isa_instruction *instruction = &word->instruction;
    const uint8_t *a = chip_read(chip, queue, word, instruction->a);
    const uint8_t *b = a ? chip_read(chip, queue, word, instruction->b) : NULL;
    const uint8_t *map = b ? chip_read(chip, queue, word, instruction->map) : NULL;
    if (!map)
        return false;
    uint8_t *out = chip_emit(chip, queue, word, instruction->d, chip->machine.sxm_shift_cycles);
    if (chip->check_only)
        return true;
    for (uint32_t lane = 0; lane < chip->lanes; lane++) {
        if (map[lane] > 1u && map[lane] != UINT8_MAX)
            return chip_fault(chip, CHIP_FAULT_RANGE, queue->index, word, queue->repetition,
                              "lane %u: map entry %u, must be 0, 1 or 255", lane,
                              (unsigned)map[lane]);
        out[lane] = map[lane] == 0 ? a[lane] : map[lane] == 1 ? b[lane] : 0;
    }
    return true;
}

/* Every cyclic turn of the n x n block in each superlane. */
static bool rotate(struct chip *chip, struct chip_queue *queue, const struct chip_word *word,
                   uint32_t n)
{
    const uint8_t *value = chip_read(chip, queue, word, word->instruction.a);
    if (!value)
        return false;
    for (uint32_t turn = 0; turn < n * n; turn++) {
        uint8_t *out = chip_emit(chip, queue, word, word->instruction.d + turn,
                                 chip->machine.sxm_rotate_cycles);
        if (chip->check_only)
            continue;
        memset(out, 0, chip->lanes);
        for (uint32_t first = 0; first < chip->lanes; first += MACHINE_LANES_PER_SUPERLANE)
            for (uint32_t r = 0; r < n; r++)
                for (uint32_t c = 0; c < n; c++)
                    out[first + n * r + c] =
                        value[first + (r + turn / n) % n * n + (c + turn % n) % n];
    }
    return true;
}

/* ---- values ---------------------------------------------------------------------------------- */

/* Is the map one of lanes 0 .. end - 1, none twice? */
static bool check_map(struct chip *chip, const struct chip_op *op, const uint8_t *low,
                      const uint8_t *high, uint32_t end, bool report)
{
    uint64_t taken[MACHINE_LANES_MAX / 64u] = {0};
    for (uint32_t lane = 0; lane < end; lane++) {
        uint32_t from = (uint32_t)low[lane] | (uint32_t)high[lane] << 8;
        if (from >= chip->lanes)
            return report && chip_fault(chip, CHIP_FAULT_RANGE, op->queue, op->word, op->repetition,
                                        "lane %u: map entry %u, lanes are 0..%u", lane, from,
                                        chip->lanes - 1u);
        if (taken[from / 64u] >> (from % 64u) & 1u)
            return report &&
                   chip_fault(chip, CHIP_FAULT_RANGE, op->queue, op->word, op->repetition,
                              "lane %u: map entry %u was taken by an earlier lane", lane, from);
        taken[from / 64u] |= UINT64_C(1) << (from % 64u);
    }
    return true;
}

/* The map, checked: as it is remembered, or now. Maps are few, and the same again and again. */
static const struct chip_permutation *find_permutation(struct chip *chip, const struct chip_op *op,
                                                       const uint8_t *low, const uint8_t *high,
                                                       const struct chip_range *range)
{
    const uint32_t lanes = chip->lanes, size = MACHINE_LANES_PER_SUPERLANE;
    const uint32_t begin = (uint32_t)low[0] | (uint32_t)high[0] << 8;
    struct chip_permutation *known = &range->permutations[begin / size % CHIP_PERMUTATIONS];
    if (known->known && !memcmp(known->low, low, lanes) && !memcmp(known->high, high, lanes))
        return known;
    if (!check_map(chip, op, low, high, lanes, range->report))
        return NULL;
    memcpy(known->low, low, lanes);
    memcpy(known->high, high, lanes);
    known->known = known->by_superlane = true;
    for (uint32_t lane = 0; lane < lanes; lane++) {
        uint32_t from = (uint32_t)low[lane] | (uint32_t)high[lane] << 8;
        if (lane % size == 0)
            known->from[lane / size] = (uint8_t)(from / size);
        known->by_superlane =
            known->by_superlane && from == known->from[lane / size] * size + lane % size;
    }
    return known;
}

static bool permute_value(struct chip *chip, const struct chip_op *op, const uint32_t *operands,
                          const struct chip_range *range)
{
    const uint8_t *value = chip_operand_at(chip, operands[0]);
    const uint8_t *low = chip_operand_at(chip, operands[1]);
    const uint8_t *high = chip_operand_at(chip, operands[2]);
    uint8_t *out = chip_operand_at(chip, operands[3]);
    const uint32_t size = MACHINE_LANES_PER_SUPERLANE;
    if (range->lanes_on == chip->lanes) {
        const struct chip_permutation *known = find_permutation(chip, op, low, high, range);
        if (!known)
            return false;
        if (known->by_superlane) {
            for (uint32_t k = range->first / size; k < range->end / size; k++)
                memcpy(out + k * size, value + known->from[k] * size, size);
            return true;
        }
    } else if (!check_map(chip, op, low, high, range->lanes_on, range->report)) {
        return false;
    }
    for (uint32_t lane = range->first; lane < range->end; lane++)
        out[lane] = value[(uint32_t)low[lane] | (uint32_t)high[lane] << 8];
    return true;
}

static bool distribute_value(struct chip *chip, const struct chip_op *op, const uint32_t *operands,
                             const struct chip_range *range)
{
    const uint8_t *value = chip_operand_at(chip, operands[0]);
    const uint8_t *map = chip_operand_at(chip, operands[1]);
    uint8_t *out = chip_operand_at(chip, operands[2]);
    for (uint32_t lane = range->first; lane < range->end; lane++) {
        uint32_t from = map[lane], begin = lane - lane % MACHINE_LANES_PER_SUPERLANE;
        if (from == UINT8_MAX)
            out[lane] = 0;
        else if (from < MACHINE_LANES_PER_SUPERLANE)
            out[lane] = value[begin + from];
        else
            return range->report &&
                   chip_fault(chip, CHIP_FAULT_RANGE, op->queue, op->word, op->repetition,
                              "lane %u: map entry %u, must be 0..15 or 255", lane, from);
    }
    return true;
}

/* Operands. Permute: value, the map's two planes, result. Distribute: value, map, result.
 * Transpose: sixteen and sixteen. */
bool chip_sxm_value(struct chip *chip, const struct chip_op *op, const uint32_t *operands,
                    const struct chip_range *range)
{
    const uint8_t *in[16];
    uint8_t *out[16];
    switch ((enum isa_op)op->word->instruction.op) {
    case ISA_PERMUTE: return permute_value(chip, op, operands, range);
    case ISA_DISTRIBUTE: return distribute_value(chip, op, operands, range);
    case ISA_TRANSPOSE:
        for (uint32_t i = 0; i < 16; i++) {
            in[i] = chip_operand_at(chip, operands[i]) + range->first;
            out[i] = chip_operand_at(chip, operands[16 + i]) + range->first;
        }
        chip_lanes_transpose(in, out, range->end - range->first);
        return true;
    default: base_assert_failed("an SXM instruction with places", __FILE__, __LINE__);
    }
}

bool chip_sxm_issue(struct chip *chip, struct chip_queue *queue, const struct chip_word *word)
{
    switch ((enum isa_op)word->instruction.op) {
    case ISA_PERMUTE: return permute(chip, queue, word);
    case ISA_DISTRIBUTE: return distribute(chip, queue, word);
    case ISA_TRANSPOSE: return transpose(chip, queue, word);
    default: chip_record_break(chip); /* their values are not apart from their timing */
    }
    switch ((enum isa_op)word->instruction.op) {
    case ISA_SHIFT_UP:
    case ISA_SHIFT_DOWN: return shift(chip, queue, word);
    case ISA_SELECT: return select_lanes(chip, queue, word);
    case ISA_ROTATE_3: return rotate(chip, queue, word, 3);
    case ISA_ROTATE_4: return rotate(chip, queue, word, 4);
    default: base_assert_failed("an SXM instruction", __FILE__, __LINE__);
    }
}
