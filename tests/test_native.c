/*
 * Kernels of every level this CPU has against the scalar ones, bit for bit: sizes, alignments,
 * ordinary and extreme values, and a page behind each operand that must not be touched. Then whole
 * models: every level, number of threads, batch and chunk against the reference.
 */
#include "tests.h"

#include "base/base.h"
#include "gguf_writer.h"
#include "native/kernels.h"
#include "num/num.h"
#include "runs.h"
#include "takt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- memory that ends where an unreadable page begins ---------------------------------------- */

enum { BUFFERS = 10 };
#define BUFFER_BYTES ((size_t)1 << 18)

static unsigned char *buffers[BUFFERS]; /* the end of each */

static int open_buffers(void **state)
{
    (void)state;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < BUFFERS; i++) {
        unsigned char *base = mmap(NULL, BUFFER_BYTES + page, PROT_READ | PROT_WRITE,
                                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (base == MAP_FAILED || mprotect(base + BUFFER_BYTES, page, PROT_NONE) != 0)
            return -1;
        buffers[i] = base + BUFFER_BYTES;
    }
    return 0;
}

static int close_buffers(void **state)
{
    (void)state;
    for (int i = 0; i < BUFFERS; i++)
        munmap(buffers[i] - BUFFER_BYTES, BUFFER_BYTES + (size_t)sysconf(_SC_PAGESIZE));
    return 0;
}

/* The last `bytes` bytes of buffer i. */
static void *at_end(int i, size_t bytes)
{
    assert_true(bytes <= BUFFER_BYTES);
    return buffers[i] - bytes;
}

/* ---- values ---------------------------------------------------------------------------------- */

/* Kinds of rows: what a model makes; all magnitudes; numbers that round to ties; special ones. */
enum kind { ORDINARY, WIDE, TIES, SPECIAL, KINDS };

static float value_of(enum kind kind, uint64_t seed, uint64_t i)
{
    static const float special[] = {0.0f,       -0.0f,      1.0f,        -1.0f,           0x1p-149f,
                                    -0x1p-130f, 0x1p127f,   -0x1.8p127f, 0x1.fffffep127f, 88.72283f,
                                    88.72284f,  -87.33654f, -87.33655f,  0x1p-20f};
    const uint64_t random = base_random_u64(seed, 1, i);
    const float unit = base_random_f32(seed, 2, i) * 2.0f - 1.0f;
    switch (kind) {
    case ORDINARY: return unit * 4.0f;
    case WIDE: return num_float((uint32_t)(random % 0x7F000000u) | (uint32_t)(random >> 63) << 31);
    case TIES: return (float)((int64_t)(random % 4001u) - 2000) * 0x1p-3f;
    default: return special[random % BASE_COUNT(special)];
    }
}

static float *row(int buffer, enum kind kind, uint64_t seed, uint32_t n)
{
    float *x = at_end(buffer, n * sizeof *x);
    for (uint32_t i = 0; i < n; i++)
        x[i] = value_of(kind, seed, i);
    return x;
}

static const struct native_kernels *const plain = &native_kernels_scalar;

/* Calls check for each other level this CPU has. */
static void each_level(void (*check)(const struct native_kernels *level))
{
    const struct native_kernels *level;
    for (size_t i = 1; (level = native_kernels_at(i)) != NULL; i++)
        if (level->supported())
            check(level);
}

static void expect_same(const char *kernel, const struct native_kernels *level, const void *a,
                        const void *b, size_t bytes, uint32_t n)
{
    if (memcmp(a, b, bytes) != 0) {
        size_t i = 0;
        while (((const unsigned char *)a)[i] == ((const unsigned char *)b)[i])
            i++;
        fail_msg("%s of level %s, n = %u: byte %zu of %zu differs", kernel, level->name, n, i,
                 bytes);
    }
}

static const uint32_t sizes[] = {1,  2,  3,  4,  7,  8,  14, 15,  16,  17,  31,
                                 32, 33, 48, 63, 64, 65, 96, 127, 288, 576, 1001};

/* ---- products -------------------------------------------------------------------------------- */

static void product_case(const struct native_kernels *level, uint32_t quads, uint32_t tokens,
                         bool started, bool extreme)
{
    const uint64_t seed = quads * 64u + tokens * 2u + started;
    int8_t *panel = at_end(0, (size_t)quads * NATIVE_PANEL_QUAD_BYTES);
    uint8_t *tile = at_end(1, (size_t)quads * tokens * NATIVE_TOKEN_QUAD_BYTES);
    int32_t *start = at_end(2, NATIVE_PANEL * sizeof *start);
    float *expected = at_end(3, (size_t)tokens * NATIVE_PANEL * sizeof *expected);
    float *got = at_end(4, (size_t)tokens * NATIVE_PANEL * sizeof *got);
    int32_t sums[NATIVE_PANEL] = {0};
    for (uint32_t i = 0; i < quads * NATIVE_PANEL_QUAD_BYTES; i++) {
        const uint64_t random = base_random_u64(seed, 0, i);
        panel[i] = (int8_t)(extreme ? (random & 1u ? -128 : 127) : (int)(random % 256u) - 128);
        sums[i / 4 % NATIVE_PANEL] += panel[i];
    }
    for (uint32_t i = 0; i < quads * tokens * NATIVE_TOKEN_QUAD_BYTES; i++) {
        const uint64_t random = base_random_u64(seed, 1, i);
        tile[i] = (uint8_t)(extreme ? (random & 1u ? 255u : 0u) : random);
        if (!started && i % 8 < 4)
            tile[i] &= 127u;
    }
    for (uint32_t i = 0; i < NATIVE_PANEL; i++)
        start[i] = -128 * sums[i];
    const int8_t *variant_next = extreme ? panel : NULL; /* a hint: nothing depends on it */
    plain->product(panel, started ? start : NULL, quads, tile, tokens, NULL, 0, expected);
    level->product(panel, started ? start : NULL, quads, tile, tokens, variant_next,
                   started ? 128 : 32, got);
    expect_same("product", level, expected, got, (size_t)tokens * NATIVE_PANEL * sizeof *got,
                quads);
}

static void check_products(const struct native_kernels *level)
{
    static const uint32_t quads[] = {1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 25, 72, 144, 513};
    for (size_t i = 0; i < BASE_COUNT(quads); i++)
        for (uint32_t tokens = 1; tokens <= NATIVE_TILE; tokens++)
            for (uint32_t variant = 0; variant < 4; variant++)
                product_case(level, quads[i], tokens, variant & 1u, variant & 2u);
}

static void products(void **state)
{
    (void)state;
    each_level(check_products);
}

/* ---- around products ------------------------------------------------------------------------- */

static void check_scales(const struct native_kernels *level)
{
    for (uint32_t variant = 0; variant < 4u * KINDS; variant++)
        for (uint32_t n = 1; n <= NATIVE_PANEL; n++) {
            const enum kind kind = (enum kind)(variant / 4);
            float acc[NATIVE_PANEL];
            for (uint32_t i = 0; i < NATIVE_PANEL; i++)
                acc[i] = value_of(ORDINARY, 9, i) * 100000.0f;
            const float *scales = row(0, ORDINARY, 1, n);
            const float *bias = variant & 1u ? row(1, kind, 2, n) : NULL;
            const float *add = variant & 2u ? row(2, kind, 3, n) : NULL;
            float *expected = at_end(3, n * sizeof *expected), *got = at_end(4, n * sizeof *got);
            plain->scale(acc, scales, 0x1.34p-9f, bias, add, n, expected);
            level->scale(acc, scales, 0x1.34p-9f, bias, add, n, got);
            expect_same("scale", level, expected, got, n * sizeof *got, n);
            plain->scores(acc, 0x1p-4f, scales, n, expected);
            level->scores(acc, 0x1p-4f, scales, n, got);
            expect_same("scores", level, expected, got, n * sizeof *got, n);
        }
}

static void scales(void **state)
{
    (void)state;
    each_level(check_scales);
}

/* Quads of a tile of `tokens`, of which token m is written; the others must stay as they are. */
static void quantise_case(const struct native_kernels *level, enum kind kind, uint32_t n,
                          bool with_gain)
{
    enum { TOKENS = 3, TOKEN = 1 };
    const size_t bytes = (size_t)((n + 3) / 4) * TOKENS * NATIVE_TOKEN_QUAD_BYTES;
    const size_t stride = TOKENS * NATIVE_TOKEN_QUAD_BYTES;
    const float *x = row(0, kind, n, n), *gain = with_gain ? row(1, ORDINARY, n + 1, n) : NULL;
    uint8_t *expected = at_end(2, bytes), *got = at_end(3, bytes);
    const uint8_t e = plain->exponent(x, gain, n);
    assert_int_equal(level->exponent(x, gain, n), e);
    for (int less = 0; less < 10; less += 3) { /* a bound below the largest saturates */
        const uint8_t exponent = (uint8_t)BASE_MAX(e - less, (int)NUM_EXPONENT_MIN);
        memset(expected, 0xA5, bytes);
        memset(got, 0xA5, bytes);
        plain->quantise(x, gain, n, exponent, expected + TOKEN * NATIVE_TOKEN_QUAD_BYTES, stride);
        level->quantise(x, gain, n, exponent, got + TOKEN * NATIVE_TOKEN_QUAD_BYTES, stride);
        expect_same("quantise", level, expected, got, bytes, n);
        int32_t sums[2][4];
        plain->squares(x, n, exponent, sums[0]);
        level->squares(x, n, exponent, sums[1]);
        expect_same("squares", level, sums[0], sums[1], sizeof sums[0], n);
    }
    int8_t *bytes_expected = at_end(4, n), *bytes_got = at_end(5, n);
    const uint8_t code = plain->code(x, n);
    assert_int_equal(level->code(x, n), code);
    plain->code_quantise(x, n, code, bytes_expected);
    level->code_quantise(x, n, code, bytes_got);
    expect_same("code_quantise", level, bytes_expected, bytes_got, n, n);
    float scale[2];
    plain->channel(x, n, bytes_expected, &scale[0]);
    level->channel(x, n, bytes_got, &scale[1]);
    expect_same("channel", level, bytes_expected, bytes_got, n, n);
    expect_same("channel's scale", level, &scale[0], &scale[1], sizeof scale[0], n);
}

static void check_quantising(const struct native_kernels *level)
{
    for (size_t i = 0; i < BASE_COUNT(sizes); i++)
        for (int kind = 0; kind < KINDS; kind++) {
            quantise_case(level, (enum kind)kind, sizes[i], false);
            quantise_case(level, (enum kind)kind, sizes[i], true);
        }
}

static void quantising(void **state)
{
    (void)state;
    each_level(check_quantising);
}

/* A NaN is written as 0, an infinity saturates; the exponent is 255. */
static void check_not_finite(const struct native_kernels *level)
{
    float *x = row(0, ORDINARY, 5, 40);
    x[3] = num_float(0x7FC00000u);
    x[17] = num_float(0x7F800000u);
    x[39] = num_float(0xFF800000u);
    uint8_t expected[80], got[80];
    assert_int_equal(level->exponent(x, NULL, 40), 255);
    plain->quantise(x, NULL, 40, 255, expected, 8);
    level->quantise(x, NULL, 40, 255, got, 8);
    expect_same("quantise", level, expected, got, sizeof got, 40);
    int8_t bytes[2][40];
    plain->code_quantise(x, 40, 255, bytes[0]);
    level->code_quantise(x, 40, 255, bytes[1]);
    expect_same("code_quantise", level, bytes[0], bytes[1], 40, 40);
}

static void not_finite(void **state)
{
    (void)state;
    each_level(check_not_finite);
}

/* ---- elementwise ----------------------------------------------------------------------------- */

static void elementwise_case(const struct native_kernels *level, enum kind kind, uint32_t n)
{
    const float *x = row(0, kind, n, n), *y = row(1, kind, n + 7, n), *z = row(2, WIDE, n, n);
    const size_t bytes = n * sizeof(float);
    float *expected = at_end(3, bytes), *got = at_end(4, bytes);
#define COMPARE(kernel, ...)                                                                       \
    plain->kernel(__VA_ARGS__, expected);                                                          \
    level->kernel(__VA_ARGS__, got);                                                               \
    expect_same(#kernel, level, expected, got, bytes, n)
    COMPARE(add, x, y, n);
    COMPARE(swiglu, x, y, n);
    COMPARE(geglu, x, y, n);
    COMPARE(norm, x, 0x1.7p-3f, y, n);
    COMPARE(softcap, x, 30.0f, n);
    if (n % 2 == 0) {
        COMPARE(rope, x, y, z, n);
    }
#undef COMPARE
}

static void check_elementwise(const struct native_kernels *level)
{
    for (size_t i = 0; i < BASE_COUNT(sizes); i++)
        for (int kind = 0; kind < KINDS; kind++)
            if (kind != WIDE) /* products of those overflow to infinities of both signs: NaN */
                elementwise_case(level, (enum kind)kind, sizes[i]);
}

static void elementwise(void **state)
{
    (void)state;
    each_level(check_elementwise);
}

/* num_exp over its whole range, through the gate: g / (1 + exp(-g)) * 1. */
static void check_exponentials(const struct native_kernels *level)
{
    enum { N = 1000 };
    static float x[N], ones[N], expected[N], got[N];
    for (uint32_t block = 0; block < 400; block++) {
        for (uint32_t i = 0; i < N; i++) {
            x[i] = (base_random_f32(block, 3, i) * 2.0f - 1.0f) * (block % 2 ? 100.0f : 4.0f);
            ones[i] = 1.0f;
        }
        plain->swiglu(x, ones, N, expected);
        level->swiglu(x, ones, N, got);
        expect_same("exp", level, expected, got, sizeof got, block);
    }
}

static void exponentials(void **state)
{
    (void)state;
    each_level(check_exponentials);
}

/* ---- attention ------------------------------------------------------------------------------- */

static void softmax_case(const struct native_kernels *level, uint32_t first, uint32_t n,
                         uint32_t quads, float spread)
{
    const uint32_t room = (4 * quads + 31) / 32 * 32;
    const size_t stride = 2 * NATIVE_TOKEN_QUAD_BYTES, bytes = quads * stride;
    float *a = at_end(0, room * sizeof *a), *b = at_end(1, room * sizeof *b);
    float *v_scales = at_end(2, room * sizeof *v_scales);
    uint8_t *expected = at_end(3, bytes), *got = at_end(4, bytes);
    uint8_t largest = 0;
    for (uint32_t i = 0; i < room; i++) {
        a[i] = b[i] = value_of(ORDINARY, n, i) * spread;
        const uint8_t code = (uint8_t)(100u + base_random_u64(n, 4, i) % 50u);
        v_scales[i] = num_code_scale(code);
        largest = i >= first && i < n && code > largest ? code : largest;
    }
    memset(expected, 0x5A, bytes);
    memset(got, 0x5A, bytes);
    const uint8_t exponent = BASE_MAX(num_exponent(num_code_scale(largest)), NUM_EXPONENT_MIN);
    const float da = plain->softmax(a, v_scales, first, n, exponent, quads, expected, stride);
    const float db = level->softmax(b, v_scales, first, n, exponent, quads, got, stride);
    expect_same("softmax's denominator", level, &da, &db, sizeof da, n);
    expect_same("softmax", level, expected, got, bytes, n);
}

static void check_softmax(const struct native_kernels *level)
{
    for (size_t i = 0; i < BASE_COUNT(sizes); i++)
        for (uint32_t extra = 0; extra < 4; extra++) {
            const uint32_t n = sizes[i], quads = (n + 3) / 4 + extra;
            softmax_case(level, 0, n, quads, 1.0f);
            softmax_case(level, n / 2, n, quads, 30.0f);
            softmax_case(level, BASE_MIN(n - 1, 37), n, quads, 5.0f);
        }
}

static void softmax(void **state)
{
    (void)state;
    each_level(check_softmax);
}

/* ---- models ---------------------------------------------------------------------------------- */

enum { VOCAB = 300, SESSIONS = 4, MOST = 70 };

/* Sizes that are multiples of nothing; a shape whose heads are a panel and a half; grouped. */
static const struct gguf_random shapes[] = {
    {.seed = 31,
     .layers = 2,
     .width = 72,
     .heads = 6,
     .kv_heads = 2,
     .head_dim = 14,
     .ffn = 101,
     .vocab = VOCAB,
     .context = 128},
    {.seed = 32,
     .layers = 1,
     .width = 96,
     .heads = 2,
     .kv_heads = 2,
     .head_dim = 48,
     .ffn = 64,
     .vocab = VOCAB,
     .context = 128,
     .tied = true},
    {.seed = 33,
     .layers = 1,
     .width = 64,
     .heads = 40,
     .kv_heads = 1,
     .head_dim = 4,
     .ffn = 33,
     .vocab = VOCAB,
     .context = 128},
};

struct scene {
    char path[64];
    uint32_t tokens[SESSIONS][MOST];
    float expected[SESSIONS][MOST][VOCAB]; /* by the reference, one token at a time */
};

static struct takt_session *open_session(struct takt_engine *engine)
{
    struct takt_session *session;
    struct takt_error error = {0};
    if (takt_session_open(&session, engine, &error) != TAKT_OK)
        fail_msg("%s", error.message);
    return session;
}

static struct takt_engine *open_engine(const struct takt_engine_options *options)
{
    struct takt_engine *engine;
    struct takt_error error = {0};
    if (takt_engine_open(&engine, options, &error) != TAKT_OK)
        fail_msg("%s", error.message);
    return engine;
}

static void scene_open(struct scene *scene, const struct gguf_random *shape)
{
    snprintf(scene->path, sizeof scene->path, "/tmp/takt-native-XXXXXX");
    const int file = mkstemp(scene->path);
    assert_true(file >= 0);
    close(file);
    assert_true(gguf_write_random(scene->path, shape));
    struct takt_engine *engine = open_engine(&(struct takt_engine_options){
        .model_path = scene->path, .target = TAKT_TARGET_REFERENCE, .context = 128, .chunk = 1});
    for (uint32_t s = 0; s < SESSIONS; s++) {
        struct takt_session *session = open_session(engine);
        for (uint32_t i = 0; i < MOST; i++)
            scene->tokens[s][i] = (uint32_t)(base_random_u64(6, s, i) % VOCAB);
        assert_int_equal(takt_session_extend(session, scene->tokens[s], MOST, NULL,
                                             &scene->expected[s][0][0], NULL),
                         TAKT_OK);
        takt_session_close(session);
    }
    takt_engine_close(engine);
}

static void expect_logits(const struct scene *scene, const struct takt_engine_options *options,
                          uint32_t s, size_t length, const float *logits)
{
    if (memcmp(logits, scene->expected[s][length - 1], VOCAB * sizeof *logits) != 0)
        fail_msg("level %s, %u threads, chunk %u: session %u after %zu tokens", options->cpu,
                 options->threads, options->chunk, s, length);
}

/* All logits of one session, then rounds of batches in which each takes a number of its own. */
static void run_case(const struct scene *scene, const struct takt_engine_options *options)
{
    static const size_t rounds[][SESSIONS] = {{1, 1, 1, 1},  {5, 1, 20, 1}, {1, 1, 1, 1},
                                              {1, 33, 0, 7}, {1, 0, 1, 0},  {0, 1, 30, 1}};
    static float all[MOST][VOCAB], logits[SESSIONS][VOCAB];
    struct takt_engine *engine = open_engine(options);
    struct takt_session *sessions[SESSIONS];
    size_t done[SESSIONS] = {0};
    for (uint32_t s = 0; s < SESSIONS; s++)
        sessions[s] = open_session(engine);
    assert_int_equal(
        takt_session_extend(sessions[0], scene->tokens[0], MOST, NULL, &all[0][0], NULL), TAKT_OK);
    for (uint32_t i = 0; i < MOST; i++)
        expect_logits(scene, options, 0, i + 1, all[i]);
    assert_int_equal(takt_session_truncate(sessions[0], 0, NULL), TAKT_OK);
    for (size_t round = 0; round < BASE_COUNT(rounds); round++) {
        struct takt_batch_item items[SESSIONS];
        size_t used = 0;
        for (uint32_t s = 0; s < SESSIONS; s++)
            if (rounds[round][s] > 0)
                items[used++] = (struct takt_batch_item){sessions[s], scene->tokens[s] + done[s],
                                                         rounds[round][s], logits[s]};
        assert_int_equal(takt_extend_batch(engine, items, used, NULL), TAKT_OK);
        for (uint32_t s = 0; s < SESSIONS; s++) {
            done[s] += rounds[round][s];
            if (rounds[round][s] > 0)
                expect_logits(scene, options, s, done[s], logits[s]);
        }
    }
    for (uint32_t s = 0; s < SESSIONS; s++)
        takt_session_close(sessions[s]);
    takt_engine_close(engine);
}

static void every_setting(void **state)
{
    (void)state;
    static const uint32_t threads[] = {1, 2, 4}, chunks[] = {1, 7, 64, 512};
    struct scene *scene = calloc(1, sizeof *scene);
    assert_non_null(scene);
    for (size_t i = 0; i < BASE_COUNT(shapes); i++) {
        scene_open(scene, &shapes[i]);
        const char *level;
        bool usable;
        for (size_t l = 0; (level = takt_cpu_level(l, &usable)) != NULL; l++)
            for (size_t t = 0; usable && t < BASE_COUNT(threads); t++)
                for (size_t c = 0; c < BASE_COUNT(chunks); c++)
                    run_case(scene, &(struct takt_engine_options){.model_path = scene->path,
                                                                  .target = TAKT_TARGET_NATIVE,
                                                                  .context = 128,
                                                                  .chunk = chunks[c],
                                                                  .threads = threads[t],
                                                                  .cpu = level});
        unlink(scene->path);
    }
    free(scene);
}

static void levels_by_name(void **state)
{
    (void)state;
    struct takt_engine *engine;
    struct takt_error error = {0};
    char path[64] = "/tmp/takt-native-XXXXXX";
    const int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    assert_true(gguf_write_random(path, &shapes[0]));
    struct takt_engine_options options = {
        .model_path = path, .target = TAKT_TARGET_NATIVE, .cpu = "abacus"};
    assert_int_equal(takt_engine_open(&engine, &options, &error), TAKT_USAGE);
    assert_non_null(strstr(error.message, "abacus"));
    options.cpu = "scalar";
    struct takt_native_info info;
    engine = open_engine(&options);
    takt_native_info(engine, &info);
    assert_string_equal(info.cpu, "scalar");
    takt_engine_close(engine);
    unlink(path);
}

#define WITH_BUFFERS(test) cmocka_unit_test_setup_teardown(test, open_buffers, close_buffers)

TEST_GROUP(native, WITH_BUFFERS(products), WITH_BUFFERS(scales), WITH_BUFFERS(quantising),
           WITH_BUFFERS(not_finite), WITH_BUFFERS(elementwise), WITH_BUFFERS(exponentials),
           WITH_BUFFERS(softmax), cmocka_unit_test(every_setting),
           cmocka_unit_test(levels_by_name));
