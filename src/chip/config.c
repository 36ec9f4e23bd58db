/*
 * Config: a queue whose unit has superlanes off. Operands are copied with zeros in those, results
 * are zeroed after the issue that gave them, stores leave memory alone (mem.c). A queue with all
 * superlanes on takes none of these ways.
 */
#include "chip/internal.h"

#include <string.h>

const uint8_t *chip_config_operand(struct chip *chip, const struct chip_queue *queue,
                                   const uint8_t *value)
{
    BASE_ASSERT(chip->trimmed_count < CHIP_TRIMMED);
    uint8_t *copy = chip->trimmed + (size_t)chip->trimmed_count++ * chip->stride_bytes;
    memcpy(copy, value, queue->lanes_on);
    memset(copy + queue->lanes_on, 0, chip->lanes - queue->lanes_on);
    return copy;
}

void chip_config_trim(struct chip *chip, const struct chip_queue *queue)
{
    for (uint32_t i = 0; i < chip->given_count; i++)
        memset(chip->given[i] + queue->lanes_on, 0, chip->lanes - queue->lanes_on);
    chip->given_count = 0;
    chip->trimmed_count = 0;
}
