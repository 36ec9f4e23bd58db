/*
 * Sampling, on the host: a pure function of (logits, sampling, position). No allocation, no
 * sorting.
 *
 * Order: temperature, then top-k, top-p, min-p. A token's weight is num_exp((logit - largest logit)
 * / temperature), binary32; one below e^-16 of the largest counts as zero. Sums of weights are
 * binary64, in token order. What top-k and top-p keep is described by a threshold on the logit and
 * how many of the tokens exactly at it are kept, lowest ids first; the threshold is found digit by
 * digit over the logits' ordered bit patterns. The draw walks the kept tokens in id order until the
 * sum of weights passes u x total, u = base_random_f32.
 *
 * Tokens of no weight cannot be drawn, so the others are listed first; a list that would be too
 * long for the stack is done without, more slowly and with the same result.
 */
#include "run/run.h"

#include "num/num.h"

#include <string.h>

#if defined(__x86_64__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) &&                \
    !defined(__SANITIZE_THREAD__)
#define FOR_EACH_CPU __attribute__((target_clones("avx2", "default")))
#else
#define FOR_EACH_CPU
#endif

#define SAMPLE_STREAM                                                                              \
    0x73616d706c65u /* "sample": keeps these draws apart from other uses of a seed */
#define DIGITS 256u
/* e^-16 = 1.1e-7, two steps of the draw's 24 bits: were all of 50,000 tokens just below it, half a
 * per cent of the draws. */
#define WEIGHT_FLOOR (-16.0f)
#define LISTED_MAX 8192u

/* Kept: key > threshold, and the first `ties` tokens with key == threshold. */
struct kept {
    uint32_t threshold;
    uint64_t ties;
};

struct distribution {
    const float *logits;
    float largest, temperature;
    uint32_t count; /* of tokens to look at */
    bool listed;    /* they are `tokens`; else all from 0 */
    uint32_t tokens[LISTED_MAX];
    float weights[LISTED_MAX];
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

static float weight_of(const struct distribution *d, uint32_t token)
{
    const float x = (d->logits[token] - d->largest) / d->temperature;
    return x >= WEIGHT_FLOOR ? num_exp(x) : 0.0f;
}

static uint32_t token_at(const struct distribution *d, uint32_t index)
{
    return d->listed ? d->tokens[index] : index;
}

static double weight_at(const struct distribution *d, uint32_t index)
{
    return (double)(d->listed ? d->weights[index] : weight_of(d, index));
}

/* Lists the tokens that have a weight, if they are few enough. */
static void list_tokens(struct distribution *d, uint32_t vocab)
{
    uint32_t count = 0;
    /* Surely below the floor; between this and the floor the division decides. */
    const float below = d->largest + (WEIGHT_FLOOR - 1.0f) * d->temperature;
    d->count = vocab;
    d->listed = false;
    for (uint32_t i = 0; i < vocab; i++) {
        if (d->logits[i] < below) {
            continue;
        }
        const float x = (d->logits[i] - d->largest) / d->temperature;
        if (x >= WEIGHT_FLOOR) {
            if (count == LISTED_MAX) {
                return;
            }
            d->tokens[count++] = i;
        }
    }
    d->listed = true;
    d->count = count;
    for (uint32_t i = 0; i < count; i++) {
        d->weights[i] = weight_of(d, d->tokens[i]);
    }
}

static bool is_kept(const struct kept *kept, uint32_t key, uint64_t *ties_seen)
{
    if (key == kept->threshold) {
        return (*ties_seen)++ < kept->ties;
    }
    return key > kept->threshold;
}

/*
 * The largest logits of blocks of 256 tokens, by their ordered bits (both zeros as +0): what a
 * processor can do many at a time. NaNs come out above infinity, or far below everything.
 */
#define BLOCK 256u
#define ABOVE_INFINITY 0x7F800001

FOR_EACH_CPU
static int32_t block_largest(const float *logits, uint32_t count)
{
    int32_t largest = INT32_MIN;
    for (uint32_t i = 0; i < count; i++) {
        const float x = logits[i] + 0.0f;
        int32_t bits;
        memcpy(&bits, &x, sizeof bits);
        bits ^= (bits >> 31) & 0x7FFFFFFF;
        largest = bits > largest ? bits : largest;
    }
    return largest;
}

/* The plain way, for rows with NaNs. */
static uint32_t greedy_slowly(const float *logits, uint32_t vocab)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < vocab; i++) {
        if (ordered_key(logits[i]) > ordered_key(logits[best])) {
            best = i;
        }
    }
    return best;
}

static uint32_t greedy(const float *logits, uint32_t vocab)
{
    int32_t best = INT32_MIN;
    uint32_t block = 0;
    for (uint32_t at = 0; at < vocab; at += BLOCK) {
        const int32_t here = block_largest(logits + at, BASE_MIN(vocab - at, BLOCK));
        if (here >= ABOVE_INFINITY) {
            return greedy_slowly(logits, vocab);
        }
        if (here > best) {
            best = here;
            block = at;
        }
    }
    const uint32_t bits = (uint32_t)(best ^ ((best >> 31) & 0x7FFFFFFF));
    for (uint32_t i = block; i < vocab && i < block + BLOCK; i++) {
        if (logits[i] == num_float(bits)) {
            return i;
        }
    }
    return greedy_slowly(logits, vocab); /* nothing but NaNs */
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
    for (uint32_t i = 0; i < d->count; i++) {
        const uint32_t key = ordered_key(d->logits[token_at(d, i)]);
        const bool same_prefix = (uint64_t)key >> (shift + 8) == (uint64_t)prefix >> (shift + 8);
        if (is_kept(from, key, &ties_seen) && same_prefix) {
            histogram->measure[key >> shift & 0xFF] += by_weight ? weight_at(d, i) : 1.0;
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

/* Calls for each kept token in id order; stops where the running sum of weights passes the goal. */
static double walk(const struct distribution *d, const struct kept *kept, float min_p, double goal,
                   uint32_t *token)
{
    double sum = 0.0;
    uint64_t ties_seen = 0;
    for (uint32_t i = 0; i < d->count; i++) {
        const uint32_t at = token_at(d, i);
        if (is_kept(kept, ordered_key(d->logits[at]), &ties_seen)) {
            const double weight = weight_at(d, i);
            sum += weight >= (double)min_p ? weight : 0.0;
            if (sum > goal) {
                *token = at;
                return sum;
            }
        }
    }
    return sum;
}

#define NO_GOAL 1e300

uint32_t takt_sample(const float *logits, uint32_t vocab, const struct takt_sampling *sampling,
                     uint64_t position)
{
    uint32_t token = greedy(logits, vocab);
    if (!(sampling->temperature > 0.0f)) {
        return token;
    }
    struct distribution d;
    d.logits = logits;
    d.largest = logits[token];
    d.temperature = sampling->temperature;
    list_tokens(&d, vocab);
    struct kept kept = {0, UINT64_MAX};
    if (sampling->top_k > 0 && sampling->top_k < vocab) {
        kept = keep_largest(&d, &kept, false, (double)sampling->top_k);
    }
    if (sampling->top_p < 1.0f) {
        const double total = walk(&d, &kept, 0.0f, NO_GOAL, &token);
        kept = keep_largest(&d, &kept, true, (double)sampling->top_p * total);
    }
    const float min_p = BASE_MIN(sampling->min_p, 1.0f); /* the likeliest has weight 1 */
    const double goal = (double)base_random_f32(sampling->seed, SAMPLE_STREAM, position) *
                        walk(&d, &kept, min_p, NO_GOAL, &token);
    walk(&d, &kept, min_p, goal, &token);
    return token; /* the likeliest where no weight is a number: infinite logits */
}

void run_adjust(float *logits, const struct run_adjustment *adjustment)
{
    const struct takt_sampling *sampling = adjustment->sampling;
    for (size_t i = 0; i < adjustment->bias_count; i++) {
        logits[adjustment->biases[i].token] += adjustment->biases[i].bias;
    }
    const float repetition = sampling->repetition_penalty;
    for (size_t i = 0; i < adjustment->seen_count; i++) {
        const uint32_t token = adjustment->seen[i];
        float x = logits[token];
        if (repetition > 0.0f && repetition != 1.0f) {
            x = x > 0.0f ? x / repetition : x * repetition;
        }
        const uint32_t drawn = adjustment->drawn_counts[token];
        if (drawn > 0) {
            x = (x - sampling->frequency_penalty * (float)drawn) - sampling->presence_penalty;
        }
        logits[token] = x;
    }
}

/* ln of the sum of exp(logit - largest), binary64, in token order. */
static double log_total(const float *logits, uint32_t vocab, float largest)
{
    double total = 0.0;
    for (uint32_t i = 0; i < vocab; i++) {
        const float w = num_exp(logits[i] - largest);
        total += w == w ? (double)w : 0.0;
    }
    return num_log(total >= 1.0 ? total : 1.0);
}

void run_logprobs(const float *logits, uint32_t vocab, uint32_t drawn, uint32_t top_count,
                  struct takt_token_logprobs *out)
{
    const float largest = logits[greedy(logits, vocab)];
    const double log = log_total(logits, vocab, largest);
    out->drawn =
        (struct takt_logprob){drawn, (float)(((double)logits[drawn] - (double)largest) - log)};
    out->top_count = 0;
    for (uint32_t i = 0; i < vocab && top_count > 0; i++) {
        const uint32_t key = ordered_key(logits[i]);
        uint32_t place = out->top_count;
        while (place > 0 && ordered_key(logits[out->top[place - 1].token]) < key) {
            place--;
        }
        if (place == top_count) {
            continue;
        }
        out->top_count = BASE_MIN(out->top_count + 1, top_count);
        for (uint32_t j = out->top_count - 1; j > place; j--) {
            out->top[j] = out->top[j - 1];
        }
        out->top[place] =
            (struct takt_logprob){i, (float)(((double)logits[i] - (double)largest) - log)};
    }
}
