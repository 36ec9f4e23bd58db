/* SXM: what moves bytes across lanes. Permuter, distributors, transposers, shifters and rotator of
 * one hemisphere. */
#include "chip/internal.h"

#include <string.h>

static bool permute(struct chip *chip, struct chip_queue *queue, const struct chip_word *word)
{
    const struct isa_instruction *instruction = &word->instruction;
    const uint8_t *value = chip_read(chip, queue, word, instruction->a);
    const uint8_t *low = value ? chip_read(chip, queue, word, instruction->map) : NULL;
    const uint8_t *high = low ? chip_read(chip, queue, word, instruction->map + 1u) : NULL;
    if (!high)
        return false;
    uint8_t *out = chip_emit(chip, queue, word, instruction->d, chip->machine.sxm_permute_cycles);
    if (chip->check_only)
        return true;
    uint64_t taken[MACHINE_LANES_MAX / 64u] = {0};
    for (uint32_t lane = 0; lane < queue->lanes_on; lane++) {
        uint32_t from = (uint32_t)low[lane] | (uint32_t)high[lane] << 8;
        if (from >= chip->lanes)
            return chip_fault(chip, CHIP_FAULT_RANGE, queue->index, word, queue->repetition,
                              "lane %u: map entry %u, lanes are 0..%u", lane, from,
                              chip->lanes - 1u);
        if (taken[from / 64u] >> (from % 64u) & 1u)
            return chip_fault(chip, CHIP_FAULT_RANGE, queue->index, word, queue->repetition,
                              "lane %u: map entry %u was taken by an earlier lane", lane, from);
        taken[from / 64u] |= UINT64_C(1) << (from % 64u);
        out[lane] = value[from];
    }
    return true;
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
    if (chip->check_only)
        return true;
    for (uint32_t lane = 0; lane < chip->lanes; lane++) {
        uint32_t from = map[lane];
        if (from == UINT8_MAX)
            out[lane] = 0;
        else if (from < MACHINE_LANES_PER_SUPERLANE)
            out[lane] =
                value[lane / MACHINE_LANES_PER_SUPERLANE * MACHINE_LANES_PER_SUPERLANE + from];
        else
            return chip_fault(chip, CHIP_FAULT_RANGE, queue->index, word, queue->repetition,
                              "lane %u: map entry %u, must be 0..15 or 255", lane, from);
    }
    return true;
}

static bool transpose(struct chip *chip, struct chip_queue *queue, const struct chip_word *word)
{
    static const uint8_t zeros[MACHINE_LANES_MAX];
    const struct isa_instruction *instruction = &word->instruction;
    const uint8_t *in[16];
    uint8_t *out[16];
    for (uint32_t i = 0; i < 16; i++) {
        in[i] = zeros;
        if (instruction->address >> i & 1u)
            in[i] = chip_read(chip, queue, word, instruction->a + i);
        if (!in[i])
            return false;
    }
    for (uint32_t i = 0; i < 16; i++)
        out[i] =
            chip_emit(chip, queue, word, instruction->d + i, chip->machine.sxm_transpose_cycles);
    if (!chip->check_only)
        chip_lanes_transpose(in, out, chip->lanes);
    return true;
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

bool chip_sxm_issue(struct chip *chip, struct chip_queue *queue, const struct chip_word *word)
{
    switch ((enum isa_op)word->instruction.op) {
    case ISA_PERMUTE: return permute(chip, queue, word);
    case ISA_DISTRIBUTE: return distribute(chip, queue, word);
    case ISA_TRANSPOSE: return transpose(chip, queue, word);
    case ISA_SHIFT_UP:
    case ISA_SHIFT_DOWN: return shift(chip, queue, word);
    case ISA_SELECT: return select_lanes(chip, queue, word);
    case ISA_ROTATE_3: return rotate(chip, queue, word, 3);
    case ISA_ROTATE_4: return rotate(chip, queue, word, 4);
    default: base_assert_failed("an SXM instruction", __FILE__, __LINE__);
    }
}
