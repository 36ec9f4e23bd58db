/* SXM: what moves bytes across lanes. Permuter, distributors, transposers of one hemisphere. */
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
    for (uint32_t lane = 0; lane < chip->lanes; lane++) {
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

bool chip_sxm_issue(struct chip *chip, struct chip_queue *queue, const struct chip_word *word)
{
    switch ((enum isa_op)word->instruction.op) {
    case ISA_PERMUTE: return permute(chip, queue, word);
    case ISA_DISTRIBUTE: return distribute(chip, queue, word);
    case ISA_TRANSPOSE: return transpose(chip, queue, word);
    default: base_assert_failed("an SXM instruction", __FILE__, __LINE__);
    }
}
