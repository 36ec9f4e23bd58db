/*
 * architectures: each against a plain binary32 forward pass, and against logits of another's
 * making.
 *
 * architectures.inc holds every fifth logit of four positions of 96 tokens as llama.cpp computes
 * them (node-llama-cpp 3.22.1, CPU, one thread, context 128, over the file that tools/architectures
 * writes; its cache is F16, so they are not those of binary32 to the last digit).
 */
#include "tests.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "architectures.h"
#include "float_forward.h"
#include "graph/binary32.h"
#include "graph/reference.h"
#include "takt.h"

enum { COUNT = 96, VOCAB = 320, STEP = 5, POSITIONS = 128 };

/* The tokens that the vectors were made with. */
static uint32_t token_at(uint32_t i)
{
    return (i * 37 + i * i * 11 + 5) % VOCAB;
}

static const struct {
    const char *name;
    uint32_t position;
    double logits[VOCAB / STEP];
} vectors[] = {
#define VECTOR(name, position, ...) {#name, position, {__VA_ARGS__}},
#include "architectures.inc"
#undef VECTOR
};

struct run {
    struct model *model;
    struct base_arena arena;
    struct graph graph;
    float *profile, *exact; /* [COUNT][VOCAB] */
};

static void require(enum takt_status status, const struct takt_error *error)
{
    if (status != TAKT_OK)
        fail_msg("%s", error->message);
}

static void run_reference(struct run *run, uint32_t chunk, float *logits)
{
    struct reference *reference;
    struct takt_error error;
    uint32_t tokens[COUNT];
    for (uint32_t i = 0; i < COUNT; i++)
        tokens[i] = token_at(i);
    require(reference_create(&reference, &run->graph, POSITIONS, chunk, &error), &error);
    for (uint32_t at = 0; at < COUNT; at += chunk)
        reference_step(reference, tokens + at, BASE_MIN(chunk, COUNT - at), at,
                       logits + (size_t)at * VOCAB);
    reference_destroy(reference);
}

static void run_float(struct run *run)
{
    struct float_forward *forward = float_forward_create(run->model, POSITIONS);
    for (uint32_t i = 0; i < COUNT; i++)
        float_forward_step(forward, token_at(i), i, run->exact + (size_t)i * VOCAB);
    float_forward_destroy(forward);
}

/* The pass that accuracy is measured against, in chunks, beside this one of the tests. */
static double binary32_difference(const struct run *run)
{
    struct binary32_weights *weights;
    struct takt_error error;
    require(binary32_weights_create(&weights, run->model, &error), &error);
    struct binary32 *state = binary32_create(weights, POSITIONS, 23);
    float *logits = calloc(COUNT * VOCAB, sizeof(float));
    assert_true(state != NULL && logits != NULL);
    uint32_t tokens[COUNT];
    for (uint32_t i = 0; i < COUNT; i++)
        tokens[i] = token_at(i);
    for (uint32_t at = 0; at < COUNT; at += 23)
        binary32_step(state, tokens + at, BASE_MIN(23u, COUNT - at), at,
                      logits + (size_t)at * VOCAB);
    double worst = 0.0;
    for (size_t i = 0; i < COUNT * VOCAB; i++)
        worst = fmax(worst, fabs((double)logits[i] - (double)run->exact[i]));
    free(logits);
    binary32_destroy(state);
    binary32_weights_destroy(weights);
    return worst;
}

static void open_run(struct run *run, const struct architecture_shape *shape)
{
    char path[] = "/tmp/takt-architecture-XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    close(descriptor);
    assert_true(gguf_write_random(path, &shape->shape));
    struct takt_error error;
    *run = (struct run){0};
    enum takt_status status = model_open(&run->model, path, &error);
    unlink(path);
    require(status, &error);
    model_set_context(run->model, POSITIONS);
    require(base_arena_create(&run->arena, graph_arena_bytes(run->model), &error), &error);
    require(graph_build(run->model, &run->arena, &run->graph, &error), &error);
    run->profile = calloc(COUNT * VOCAB, sizeof(float));
    run->exact = calloc(COUNT * VOCAB, sizeof(float));
    assert_true(run->profile != NULL && run->exact != NULL);
}

static void close_run(struct run *run)
{
    free(run->profile);
    free(run->exact);
    base_arena_destroy(&run->arena);
    model_close(run->model);
}

/* The largest difference from the vectors of this name, and how many there were. */
static double worst_difference(const char *name, const float *logits, uint32_t *found)
{
    double worst = 0.0;
    *found = 0;
    for (size_t v = 0; v < BASE_COUNT(vectors); v++) {
        if (strcmp(vectors[v].name, name) != 0)
            continue;
        (*found)++;
        const float *row = logits + (size_t)vectors[v].position * VOCAB;
        for (uint32_t i = 0; i < VOCAB / STEP; i++)
            worst = fmax(worst, fabs((double)row[i * STEP] - vectors[v].logits[i]));
    }
    return worst;
}

static const struct architecture_shape *find_shape(const char *name)
{
    const struct architecture_shape *shape = architecture_shape(0);
    for (size_t i = 0; shape != NULL && strcmp(shape->name, name) != 0;)
        shape = architecture_shape(++i);
    assert_non_null(shape);
    return shape;
}

static void check_architecture(const char *name)
{
    struct run run;
    open_run(&run, find_shape(name));
    run_reference(&run, 1, run.profile);
    run_float(&run);
    double divergence = 0.0;
    for (size_t i = 0; i < COUNT; i++)
        divergence += float_divergence(run.exact + i * VOCAB, run.profile + i * VOCAB, VOCAB);
    uint32_t found;
    double exact = worst_difference(name, run.exact, &found);
    double profile = worst_difference(name, run.profile, &found);
    print_message("%s: KL from binary32 %.1e; largest difference of a logit from the vectors: "
                  "binary32 %.4f, profile %.3f\n",
                  name, divergence / COUNT, exact, profile);
    assert_int_equal(found, 4);
    assert_true(binary32_difference(&run) < 1e-3);
    assert_true(exact < 0.02);
    assert_true(divergence / COUNT < 0.01);
    float *again = calloc(COUNT * VOCAB, sizeof(float)); /* another division into steps */
    assert_non_null(again);
    run_reference(&run, 17, again);
    assert_memory_equal(again, run.profile, COUNT * VOCAB * sizeof(float));
    free(again);
    close_run(&run);
}

/* ---- on the chip ----------------------------------------------------------------------------- */

static struct takt_engine *open_engine(const char *path, enum takt_target target)
{
    const struct takt_engine_options options = {
        .model_path = path, .target = target, .context = POSITIONS, .chunk = 16};
    struct takt_engine *engine;
    struct takt_error error;
    require(takt_engine_open(&engine, &options, &error), &error);
    return engine;
}

/* 37 tokens of a prompt in chunks, the last one not full, then one by one. */
static void run_session(struct takt_engine *engine, uint32_t count, float *logits)
{
    struct takt_session *session;
    struct takt_error error;
    uint32_t tokens[COUNT];
    for (uint32_t i = 0; i < COUNT; i++)
        tokens[i] = token_at(i);
    require(takt_session_open(&session, engine, &error), &error);
    require(takt_session_extend(session, tokens, 37, NULL, logits, &error), &error);
    for (uint32_t i = 37; i < count; i++)
        require(
            takt_session_extend(session, tokens + i, 1, logits + (size_t)i * VOCAB, NULL, &error),
            &error);
    takt_session_close(session);
}

static void check_targets(const char *name, const struct gguf_random *shape, uint32_t count)
{
    char path[] = "/tmp/takt-architecture-XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    close(descriptor);
    assert_true(gguf_write_random(path, shape));
    const enum takt_target targets[] = {TAKT_TARGET_REFERENCE, TAKT_TARGET_CHIP,
                                        TAKT_TARGET_NATIVE};
    float *logits[BASE_COUNT(targets)];
    for (size_t t = 0; t < BASE_COUNT(targets); t++) {
        logits[t] = calloc(COUNT * VOCAB, sizeof(float));
        assert_non_null(logits[t]);
        struct takt_engine *engine = open_engine(path, targets[t]);
        run_session(engine, count, logits[t]);
        takt_engine_close(engine);
    }
    for (size_t t = 1; t < BASE_COUNT(targets); t++)
        for (size_t i = 0; i < (size_t)count * VOCAB; i++)
            if (memcmp(&logits[t][i], &logits[0][i], sizeof(float)) != 0)
                fail_msg("%s, target %zu: token %zu, logit %zu is %a, wanted %a", name, t,
                         i / VOCAB, i % VOCAB, (double)logits[t][i], (double)logits[0][i]);
    for (size_t t = 0; t < BASE_COUNT(targets); t++)
        free(logits[t]);
    unlink(path);
}

static void check_chip(const char *name, uint32_t count)
{
    check_targets(name, &find_shape(name)->shape, count);
}

/* Several pieces a vector, several words of heads, heads that are no multiple of a superlane. */
static void test_odd_shapes(void **state)
{
    (void)state;
    static const struct gguf_random odd[] = {
        {.architecture = "gemma3", .width = 736, .heads = 24, .kv_heads = 6, .head_dim = 12},
        {.architecture = "qwen3", .width = 352, .heads = 10, .kv_heads = 10, .head_dim = 26},
        {.architecture = "gemma2", .width = 96, .heads = 9, .kv_heads = 3, .head_dim = 30},
        {.architecture = "qwen2", .width = 32, .heads = 15, .kv_heads = 5, .head_dim = 4},
    };
    for (size_t i = 0; i < BASE_COUNT(odd); i++) {
        struct gguf_random shape = odd[i];
        shape.seed = 31 + i;
        shape.layers = 1;
        shape.ffn = 448;
        shape.vocab = VOCAB;
        shape.context = 128;
        shape.window = 21;
        check_targets(shape.architecture, &shape, 40);
    }
}

#define ARCHITECTURE(id, ...)                                                                      \
    static void test_##id##_chip(void **state)                                                     \
    {                                                                                              \
        (void)state;                                                                               \
        check_chip(#id, 44);                                                                       \
    }
#include "architectures.def"
#undef ARCHITECTURE

#define ARCHITECTURE(id, ...)                                                                      \
    static void test_##id(void **state)                                                            \
    {                                                                                              \
        (void)state;                                                                               \
        check_architecture(#id);                                                                   \
    }
#include "architectures.def"
#undef ARCHITECTURE

TEST_GROUP(architectures, cmocka_unit_test(test_llama), cmocka_unit_test(test_llama3),
           cmocka_unit_test(test_qwen2), cmocka_unit_test(test_qwen3), cmocka_unit_test(test_phi3),
           cmocka_unit_test(test_phi3_longrope), cmocka_unit_test(test_gemma2),
           cmocka_unit_test(test_gemma3), cmocka_unit_test(test_llama_chip),
           cmocka_unit_test(test_llama3_chip), cmocka_unit_test(test_qwen2_chip),
           cmocka_unit_test(test_qwen3_chip), cmocka_unit_test(test_phi3_chip),
           cmocka_unit_test(test_phi3_longrope_chip), cmocka_unit_test(test_gemma2_chip),
           cmocka_unit_test(test_gemma3_chip), cmocka_unit_test(test_odd_shapes));
