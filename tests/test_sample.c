/* Draws, against a plain sampler that sorts; what is done to logits before; log probabilities. */
#include "tests.h"

#include "num/num.h"
#include "run/run.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STREAM 0x73616d706c65u /* of src/run/sample.c: the draws' own */

struct ranked {
    uint32_t token;
    float logit;
};

static int by_rank(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->logit != y->logit) {
        return x->logit > y->logit ? -1 : 1;
    }
    return x->token < y->token ? -1 : 1;
}

/* By the letter of sample.c's opening comment, with a sorted list. */
static uint32_t draw_plainly(const float *logits, uint32_t vocab, const struct takt_sampling *s,
                             uint64_t position)
{
    struct ranked *list = calloc(vocab, sizeof *list);
    double *weights = calloc(vocab, sizeof *weights);
    bool *kept = calloc(vocab, sizeof *kept);
    assert_true(list && weights && kept);
    for (uint32_t i = 0; i < vocab; i++) {
        list[i] = (struct ranked){i, logits[i]};
    }
    qsort(list, vocab, sizeof *list, by_rank);
    const uint32_t best = list[0].token;
    for (uint32_t i = 0; i < vocab; i++) {
        const float x = (logits[i] - logits[best]) / s->temperature;
        weights[i] = x >= -16.0f ? (double)num_exp(x) : 0.0;
    }
    const uint32_t most = s->top_k > 0 ? BASE_MIN(s->top_k, vocab) : vocab;
    double total = 0.0, sum = 0.0;
    for (uint32_t i = 0; i < most; i++) {
        kept[list[i].token] = true;
    }
    for (uint32_t i = 0; i < vocab; i++) { /* in token order, as sums are */
        total += kept[i] ? weights[i] : 0.0;
    }
    for (uint32_t i = 0; i < most && s->top_p < 1.0f; i++) {
        kept[list[i].token] = i == 0 || sum < (double)s->top_p * total;
        sum += weights[list[i].token];
    }
    total = sum = 0.0;
    for (uint32_t i = 0; i < vocab; i++) {
        kept[i] = kept[i] && weights[i] >= (double)s->min_p;
        total += kept[i] ? weights[i] : 0.0;
    }
    const double goal = (double)base_random_f32(s->seed, STREAM, position) * total;
    uint32_t token = best;
    for (uint32_t i = 0; i < vocab && !(sum > goal); i++) {
        sum += kept[i] ? weights[i] : 0.0;
        token = sum > goal ? i : token;
    }
    free(list);
    free(weights);
    free(kept);
    return token;
}

/* Few tokens and many, sharp rows and flat ones: with a list of candidates and without. */
static void as_if_sorted(void **state)
{
    (void)state;
    static const uint32_t vocabs[] = {1, 7, 300, 5000, 20000};
    static const struct takt_sampling settings[] = {
        {.temperature = 1.0f, .top_p = 1.0f},
        {.temperature = 0.4f, .top_p = 0.9f},
        {.temperature = 1.3f, .top_k = 40, .top_p = 1.0f},
        {.temperature = 1.0f, .top_k = 200, .top_p = 0.7f, .min_p = 0.02f},
        {.temperature = 2.0f, .top_p = 1.0f, .min_p = 0.3f},
        {.temperature = 1e-30f, .top_p = 1.0f},
    };
    float *logits = calloc(20000, sizeof *logits);
    assert_non_null(logits);
    for (size_t v = 0; v < BASE_COUNT(vocabs); v++) {
        for (uint32_t k = 0; k < 12; k++) {
            const float spread = k % 3 == 0 ? 60.0f : k % 3 == 1 ? 8.0f : 0.5f;
            for (uint32_t i = 0; i < vocabs[v]; i++) {
                logits[i] = spread * base_random_f32(k, 1, i);
            }
            for (size_t s = 0; s < BASE_COUNT(settings); s++) {
                struct takt_sampling sampling = settings[s];
                sampling.seed = k;
                assert_int_equal(takt_sample(logits, vocabs[v], &sampling, k * 31 + s),
                                 draw_plainly(logits, vocabs[v], &sampling, k * 31 + s));
            }
        }
    }
    free(logits);
}

/* The likeliest, wherever it stands: zeros are alike, infinities count, NaNs do not. */
static void greedy(void **state)
{
    (void)state;
    const struct takt_sampling sampling = {.top_p = 1.0f};
    float logits[1000];
    for (uint32_t at = 0; at < 1000; at += 37) {
        for (uint32_t i = 0; i < 1000; i++) {
            logits[i] = -5.0f - (float)(i % 11);
        }
        logits[at] = -1.0f;
        assert_int_equal(takt_sample(logits, 1000, &sampling, 0), at);
        logits[999 - at] = -1.0f;
        assert_int_equal(takt_sample(logits, 1000, &sampling, 0), BASE_MIN(at, 999 - at));
        logits[3] = -0.0f;
        logits[700] = 0.0f;
        assert_int_equal(takt_sample(logits, 1000, &sampling, 0), 3);
        logits[800] = NAN;
        logits[801] = -NAN;
        assert_int_equal(takt_sample(logits, 1000, &sampling, 0), 3);
        logits[900] = INFINITY;
        assert_int_equal(takt_sample(logits, 1000, &sampling, 0), 900);
    }
    for (uint32_t i = 0; i < 1000; i++) {
        logits[i] = i == 5 ? -FLT_MAX : -INFINITY;
    }
    assert_int_equal(takt_sample(logits, 1000, &sampling, 0), 5);
    for (uint32_t i = 0; i < 1000; i++) {
        logits[i] = NAN;
    }
    assert_int_equal(takt_sample(logits, 1000, &sampling, 0), 0);
}

static void adjustments(void **state)
{
    (void)state;
    float logits[5] = {2.0f, -2.0f, 1.0f, 0.5f, 3.0f};
    const struct takt_sampling sampling = {
        .repetition_penalty = 2.0f, .frequency_penalty = 0.25f, .presence_penalty = 0.5f};
    const struct takt_bias biases[] = {{4, -1.0f}, {3, 2.0f}};
    const uint32_t seen[] = {0, 1, 4}, counts[5] = {3, 0, 0, 0, 1};
    const struct run_adjustment adjustment = {&sampling, biases, 2, seen, 3, counts};
    run_adjust(logits, &adjustment);
    assert_true(logits[0] == (1.0f - 0.75f) - 0.5f);
    assert_true(logits[1] == -4.0f);
    assert_true(logits[2] == 1.0f);
    assert_true(logits[3] == 2.5f);
    assert_true(logits[4] == (1.0f - 0.25f) - 0.5f);
}

static void logprobs(void **state)
{
    (void)state;
    const float logits[4] = {0.0f, 1.0f, 1.0f, -1.0f};
    struct takt_token_logprobs out;
    run_logprobs(logits, 4, 3, 3, &out);
    const double total = 1.0 + 2.0 * exp(1.0) + exp(-1.0);
    assert_true(fabs((double)out.drawn.logprob - (-1.0 - log(total))) < 1e-6);
    assert_int_equal(out.top_count, 3);
    assert_int_equal(out.top[0].token, 1);
    assert_int_equal(out.top[1].token, 2);
    assert_int_equal(out.top[2].token, 0);
    assert_true(fabs((double)out.top[0].logprob - (1.0 - log(total))) < 1e-6);
}

/* One bit anywhere in a row changes the digest; so does the place of a value, and the length. */
static void digests(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {1, 15, 16, 1000, 1024, 3001};
    float row[3001], swapped;
    for (size_t n = 0; n < BASE_COUNT(lengths); n++) {
        const uint32_t length = lengths[n];
        char first[65], other[65];
        for (uint32_t i = 0; i < length; i++) {
            row[i] = base_random_f32(n, 2, i) - 0.5f;
        }
        struct base_digest *digest = base_digest_create();
        run_digest_fold(digest, row, length);
        base_digest_hex(digest, first);
        base_digest_destroy(digest);
        for (uint32_t k = 0; k < 40; k++) {
            const uint32_t at = (uint32_t)(base_random_u64(k, 3, n) % length);
            const uint32_t bits = num_bits(row[at]);
            row[at] = num_float(bits ^ 1u << (k % 32));
            digest = base_digest_create();
            run_digest_fold(digest, row, length);
            base_digest_hex(digest, other);
            base_digest_destroy(digest);
            row[at] = num_float(bits);
            assert_string_not_equal(first, other);
        }
        for (uint32_t far = 1; far < length; far = far * 3 + 1) {
            swapped = row[0];
            row[0] = row[far];
            row[far] = swapped;
            digest = base_digest_create();
            run_digest_fold(digest, row, length);
            base_digest_hex(digest, other);
            base_digest_destroy(digest);
            row[far] = row[0];
            row[0] = swapped;
            assert_string_not_equal(first, other);
        }
    }
}

TEST_GROUP(sample, cmocka_unit_test(as_if_sorted), cmocka_unit_test(greedy),
           cmocka_unit_test(adjustments), cmocka_unit_test(logprobs), cmocka_unit_test(digests));
