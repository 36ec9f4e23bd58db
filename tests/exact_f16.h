/* Sums of products of fp16 in plain 128-bit integers: what the machine's must equal. */
#ifndef TESTS_EXACT_F16_H
#define TESTS_EXACT_F16_H

#include <stdbool.h>
#include <stdint.h>

__extension__ typedef __int128 exact_wide;

struct exact_sum {
    exact_wide value; /* in units of 2^-48 */
    bool nan, plus, minus;
};

void exact_add_product(struct exact_sum *sum, uint16_t a, uint16_t b);
/* Nearest even, as the bits of a binary32. */
uint32_t exact_round(const struct exact_sum *sum);

#endif
