/*
 * Checksums: eight sums side by side, each of every eighth word, so that the multiplications
 * overlap. A step, sum = (sum ^ word) * odd number, can be undone, so two inputs that differ in one
 * word never come together again.
 */
#include "base/base.h"

#include <string.h>

#define FACTOR 0x9E3779B97F4A7C15u

enum { SUMS = 8 };

uint64_t base_checksum(uint64_t seed, const void *data, size_t size_bytes)
{
    BASE_ASSERT(size_bytes % (SUMS * sizeof(uint64_t)) == 0);
    const unsigned char *from = data;
    uint64_t sums[SUMS];
    for (uint64_t i = 0; i < SUMS; i++)
        sums[i] = (seed + i) * FACTOR;
    for (size_t at = 0; at < size_bytes; at += sizeof sums) {
        uint64_t words[SUMS];
        memcpy(words, from + at, sizeof words);
        for (int i = 0; i < SUMS; i++)
            sums[i] = (sums[i] ^ words[i]) * FACTOR;
    }
    uint64_t sum = seed ^ size_bytes;
    for (int i = 0; i < SUMS; i++)
        sum = (sum ^ sums[i] ^ sums[i] >> 32) * FACTOR;
    return sum;
}
