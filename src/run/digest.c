/*
 * A digest of logits that costs little: each row is folded to 64 bits, and SHA-256 runs over those.
 *
 * The fold is the sum over i of (bits(logit[i]) + a(i)) * (bits(logit[i + 1]) + b(i)) mod 2^64 over
 * the pairs of a row, a(i) and b(i) words of a fixed sequence: a multilinear hash, blind to nothing
 * but a chance of 2^-32 a row. Sums of integers have no order, so a processor may take as many
 * lanes as it has. It shows differences between honest runs; it does not stop a forger.
 */
#include "run/run.h"

#include <string.h>

/* One step of a Weyl sequence each: odd 64-bit constant, high half taken. */
#define STEP UINT64_C(0x9E3779B97F4A7C15)

static uint32_t word(uint64_t index)
{
    return (uint32_t)((index * STEP) >> 32);
}

void run_digest_fold(struct base_digest *digest, const float *logits, uint32_t vocab)
{
    uint64_t sum = vocab;
    for (uint32_t i = 0; i + 1 < vocab; i += 2) {
        uint32_t pair[2];
        memcpy(pair, logits + i, sizeof pair);
        sum += (uint64_t)(pair[0] + word(i + 1)) * (uint64_t)(pair[1] + word(i + 2));
    }
    if (vocab % 2 == 1) {
        uint32_t last;
        memcpy(&last, logits + vocab - 1, sizeof last);
        sum += (uint64_t)(last + word(vocab)) * STEP;
    }
    unsigned char bytes[8];
    for (uint32_t i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)(sum >> (8 * i));
    }
    base_digest_update(digest, bytes, sizeof bytes);
}
