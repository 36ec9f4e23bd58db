/*
 * Sampling, on the host: a pure function of (logits, sampling, position). No allocation, no
 * sorting.
 *
 * Order: temperature, then top-k, then top-p. A token's weight is num_exp((logit - largest logit) /
 * temperature), binary32; sums of weights are binary64, in token order. What a filter keeps is
 * described by a threshold on the logit and how many of the tokens exactly at it are kept, lowest
 * ids first; the threshold is found digit by digit over the logits' ordered bit patterns. The draw
 * walks the kept tokens in id order until the sum of weights passes u x total, u = base_random_f32.
 */
#include "run/run.h"

#include "num/num.h"

#define SAMPLE_STREAM                                                                              \
    0x73616d706c65u /* "sample": keeps these draws apart from other uses of a seed */
#define DIGITS 256u

/* Kept: key > threshold, and the first `ties` tokens with key == threshold. */
struct kept {
    uint32_t threshold;
    uint64_t ties;
};

struct distribution {
    const float *logits;
    uint32_t vocab;
    float largest, temperature;
};

/* Bits that order as the numbers do; both zeros alike; NaN below everything. */
static uint32_t ordered_key(float x)
{
    if (!(x == x)) {
        return 0;
    }
    const uint32_t bits = num_bits(x == 0.0f ? 0.0f : x);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

static double weight(const struct distribution *d, uint32_t token)
{
    const float w = num_exp((d->logits[token] - d->largest) / d->temperature);
    return w == w ? (double)w : 0.0;
}

static bool is_kept(const struct kept *kept, uint32_t key, uint64_t *ties_seen)
{
    if (key == kept->threshold) {
        return (*ties_seen)++ < kept->ties;
    }
    return key > kept->threshold;
}

static uint32_t greedy(const float *logits, uint32_t vocab)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < vocab; i++) {
        if (ordered_key(logits[i]) > ordered_key(logits[best])) {
            best = i;
        }
    }
    return best;
}

/* Measures of the kept tokens under one prefix of their keys, by the next eight bits. */
struct histogram {
    double measure[DIGITS];
    uint64_t count[DIGITS];
};

/* A token's measure is 1 (top-k) or its weight (top-p). */
static void fill_histogram(const struct distribution *d, const struct kept *from, bool by_weight,
                           uint32_t prefix, int shift, struct histogram *histogram)
{
    *histogram = (struct histogram){{0}, {0}};
    uint64_t ties_seen = 0;
    for (uint32_t i = 0; i < d->vocab; i++) {
        const uint32_t key = ordered_key(d->logits[i]);
        const bool same_prefix = (uint64_t)key >> (shift + 8) == (uint64_t)prefix >> (shift + 8);
        if (is_kept(from, key, &ties_seen) && same_prefix) {
            histogram->measure[key >> shift & 0xFF] += by_weight ? weight(d, i) : 1.0;
            histogram->count[key >> shift & 0xFF]++;
        }
    }
}

/* The digit, from the top, at which the sum reaches the goal, or the lowest there is; *above grows
 * by the measure of the digits over it. */
static uint32_t choose_digit(const struct histogram *histogram, double goal, double *above)
{
    uint32_t lowest = 0;
    while (lowest < DIGITS - 1 && histogram->count[lowest] == 0) {
        lowest++;
    }
    uint32_t digit = DIGITS - 1;
    while (digit > lowest && *above + histogram->measure[digit] < goal) {
        *above += histogram->measure[digit];
        digit--;
    }
    return digit;
}

/* The smallest set of largest logits within `from` whose measure reaches the goal; all of `from`
 * where rounding keeps the sum below it. */
static struct kept keep_largest(const struct distribution *d, const struct kept *from,
                                bool by_weight, double goal)
{
    struct histogram histogram;
    uint32_t threshold = 0;
    double above = 0.0;
    uint64_t tied = 0;
    double tied_measure = 0.0;
    for (int shift = 24; shift >= 0; shift -= 8) {
        fill_histogram(d, from, by_weight, threshold, shift, &histogram);
        const uint32_t digit = choose_digit(&histogram, goal, &above);
        threshold |= digit << shift;
        tied = histogram.count[digit];
        tied_measure = histogram.measure[digit];
    }
    uint64_t ties = 1;
    while (ties < tied && above + tied_measure * ((double)ties / (double)tied) < goal) {
        ties++;
    }
    return (struct kept){threshold, ties};
}

static double total_weight(const struct distribution *d, const struct kept *kept)
{
    double total = 0.0;
    uint64_t ties_seen = 0;
    for (uint32_t i = 0; i < d->vocab; i++) {
        if (is_kept(kept, ordered_key(d->logits[i]), &ties_seen)) {
            total += weight(d, i);
        }
    }
    return total;
}

uint32_t takt_sample(const float *logits, uint32_t vocab, const struct takt_sampling *sampling,
                     uint64_t position)
{
    const uint32_t best = greedy(logits, vocab);
    if (!(sampling->temperature > 0.0f)) {
        return best;
    }
    const struct distribution d = {logits, vocab, logits[best], sampling->temperature};
    struct kept kept = {0, UINT64_MAX};
    if (sampling->top_k > 0 && sampling->top_k < vocab) {
        kept = keep_largest(&d, &kept, false, (double)sampling->top_k);
    }
    if (sampling->top_p < 1.0f) {
        kept = keep_largest(&d, &kept, true, (double)sampling->top_p * total_weight(&d, &kept));
    }
    const double goal =
        (double)base_random_f32(sampling->seed, SAMPLE_STREAM, position) * total_weight(&d, &kept);
    double sum = 0.0;
    uint64_t ties_seen = 0;
    for (uint32_t i = 0; i < vocab; i++) {
        if (is_kept(&kept, ordered_key(logits[i]), &ties_seen)) {
            sum += weight(&d, i);
            if (sum > goal) {
                return i;
            }
        }
    }
    return best; /* no weight is a number: infinite logits */
}
