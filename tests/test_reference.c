/*
 * The reference: equal bits for every division into chunks, refusal of damaged weights, and sanity
 * against a binary32 forward pass. The contract is bits (chip = reference); the bounds against
 * binary32 are generous and only there to catch gross errors. docs/NUMERICS.md has measured ones.
 */
#include "tests.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "float_forward.h"
#include "gguf_writer.h"
#include "graph/reference.h"
#include "num/num.h"
#include "shared.h"

static const char fable_path[] = "models/fable/fable-q8_0.gguf";

/* A model opened and ready to run. It points into itself: never copied. */
struct loaded {
    struct model *model;
    struct base_arena arena;
    struct graph graph;
    struct reference *reference;
};

static void require(enum takt_status status, const struct takt_error *error)
{
    if (status != TAKT_OK)
        fail_msg("%s", error->message);
}

static void load(struct loaded *loaded, const char *path, uint32_t context, uint32_t chunk_max)
{
    struct takt_error error;
    *loaded = (struct loaded){0};
    require(model_open(&loaded->model, path, &error), &error);
    require(base_arena_create(&loaded->arena, graph_arena_bytes(loaded->model), &error), &error);
    require(graph_build(loaded->model, &loaded->arena, &loaded->graph, &error), &error);
    require(reference_create(&loaded->reference, &loaded->graph, context, chunk_max, &error),
            &error);
}

static void unload(struct loaded *loaded)
{
    reference_destroy(loaded->reference);
    base_arena_destroy(&loaded->arena);
    model_close(loaded->model);
}

/* Opens a random model made for one test. */
static void load_random(struct loaded *loaded, const struct gguf_random *shape, uint32_t chunk_max)
{
    char path[] = "/tmp/takt-reference-XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    close(descriptor);
    assert_true(gguf_write_random(path, shape));
    load(loaded, path, 80, chunk_max);
    unlink(path);
}

static const struct gguf_random shapes[] = {
    {.seed = 1,
     .layers = 2,
     .width = 36,
     .heads = 3,
     .kv_heads = 1,
     .head_dim = 10,
     .ffn = 50,
     .vocab = 263,
     .tied = true,
     .type = MODEL_F32},
    {.seed = 2,
     .layers = 1,
     .width = 64,
     .heads = 4,
     .kv_heads = 2,
     .ffn = 96,
     .vocab = 300,
     .type = MODEL_Q8_0},
    {.seed = 3,
     .layers = 3,
     .width = 22,
     .heads = 1,
     .kv_heads = 1,
     .head_dim = 22,
     .ffn = 7,
     .vocab = 270,
     .type = MODEL_BF16,
     .spm = true},
};

/* ---- chunks ------------------------------------------------------------------------------------
 */

static void run_chunks(struct loaded *loaded, const uint32_t *tokens, uint32_t count,
                       uint32_t chunk, float *logits)
{
    for (uint32_t start = 0; start < count; start += chunk)
        reference_step(loaded->reference, tokens + start, BASE_MIN(chunk, count - start), start,
                       logits + (size_t)start * loaded->graph.vocab);
}

static void check_chunks(struct loaded *loaded)
{
    static const uint32_t chunks[] = {1, 7, 16, 64};
    enum { COUNT = 70 };
    uint32_t tokens[COUNT];
    for (uint32_t i = 0; i < COUNT; i++)
        tokens[i] = (uint32_t)(base_random_u64(7, 0, i) % loaded->graph.vocab);
    size_t floats = (size_t)COUNT * loaded->graph.vocab;
    float *first = calloc(floats, sizeof *first);
    float *other = calloc(floats, sizeof *other);
    assert_true(first != NULL && other != NULL);
    run_chunks(loaded, tokens, COUNT, chunks[0], first);
    for (size_t i = 1; i < BASE_COUNT(chunks); i++) {
        run_chunks(loaded, tokens, COUNT, chunks[i], other);
        assert_memory_equal(first, other, floats * sizeof *first);
    }
    /* A timeline that goes back and on again: what lay beyond is forgotten. */
    run_chunks(loaded, tokens, 20, 16, other);
    assert_memory_equal(first, other, (size_t)20 * loaded->graph.vocab * sizeof *first);
    free(first);
    free(other);
}

static void test_chunks_random(void **state)
{
    (void)state;
    for (size_t i = 0; i < BASE_COUNT(shapes); i++) {
        struct loaded loaded;
        load_random(&loaded, &shapes[i], 64);
        check_chunks(&loaded);
        unload(&loaded);
    }
}

static void test_chunks_fable(void **state)
{
    (void)state;
    struct loaded loaded;
    load(&loaded, fable_path, 80, 64);
    check_chunks(&loaded);
    unload(&loaded);
}

/* The logits themselves: the same on every compiler, level of optimisation and processor. */
static void test_fixed_bits(void **state)
{
    (void)state;
    struct loaded loaded;
    load(&loaded, fable_path, 64, 64);
    uint32_t tokens[64];
    for (uint32_t i = 0; i < 64; i++)
        tokens[i] = (uint32_t)(base_random_u64(13, 0, i) % loaded.graph.vocab);
    size_t bytes = (size_t)64 * loaded.graph.vocab * sizeof(float);
    float *logits = malloc(bytes);
    struct base_digest *digest = base_digest_create();
    assert_true(logits != NULL && digest != NULL);
    reference_step(loaded.reference, tokens, 64, 0, logits);
    base_digest_update(digest, logits, bytes);
    char hex[65];
    base_digest_hex(digest, hex);
    base_digest_destroy(digest);
    free(logits);
    unload(&loaded);
    assert_string_equal(hex, "68eaed4462f46353b8dd85faa309a1ff189fbcfc003d7c03c4fe3e844882c5db");
}

/* ---- what the graph refuses --------------------------------------------------------------------
 */

static void check_refused(const struct loaded *loaded, struct model_tensor *tensor, uint32_t row,
                          uint32_t column, float value, const char *place)
{
    struct model_tensor original = *tensor;
    size_t at = (size_t)row * tensor->columns + column;
    size_t bytes = (size_t)tensor->rows * tensor->columns * sizeof(float);
    unsigned char *damaged = malloc(bytes);
    assert_non_null(damaged);
    memcpy(damaged, original.data, bytes);
    memcpy(damaged + at * sizeof value, &value, sizeof value);
    tensor->data = damaged;
    struct base_arena arena;
    struct graph graph;
    struct takt_error error;
    require(base_arena_create(&arena, graph_arena_bytes(loaded->model), &error), &error);
    assert_int_equal(graph_build(loaded->model, &arena, &graph, &error), TAKT_FORMAT);
    if (strstr(error.message, place) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error.message, place);
    base_arena_destroy(&arena);
    free(damaged);
    *tensor = original;
}

static void test_refuses_damaged_weights(void **state)
{
    (void)state;
    struct gguf_random shape = shapes[0];
    shape.tied = false;
    struct loaded loaded;
    load_random(&loaded, &shape, 1);
    struct model *model = loaded.model;
    check_refused(&loaded, &model->layer[1].up, 3, 5, NAN,
                  "blk.1.ffn_up.weight, row 3, column 5 is NaN");
    check_refused(&loaded, &model->layer[0].k, 9, 0, INFINITY, "row 9, column 0 is infinite");
    check_refused(&loaded, &model->layer[0].ffn_norm, 0, 35, -INFINITY, "blk.0.ffn_norm.weight");
    check_refused(&loaded, &model->embedding, 262, 1, NAN, "token_embd.weight, row 262, column 1");
    check_refused(&loaded, &model->output, 262, 35, NAN, "output.weight, row 262, column 35");
    unload(&loaded);
}

static void test_context_limit(void **state)
{
    (void)state;
    struct loaded loaded;
    load_random(&loaded, &shapes[1], 1);
    struct reference *reference;
    struct takt_error error;
    assert_int_equal(reference_create(&reference, &loaded.graph, 66312, 1, &error), TAKT_LIMIT);
    assert_null(reference);
    unload(&loaded);
}

/* Every element of a normalised product's input and of the queries is within the bound that its
 * exponent was taken from: nothing is quantised at the end of its range. */
static void check_bounds(const struct loaded *loaded)
{
    const struct graph *graph = &loaded->graph;
    for (uint32_t i = 0; i < graph->op_count; i++) {
        const struct graph_op *op = &graph->ops[i];
        uint32_t width;
        const float *in[3] = {NULL, NULL, NULL};
        for (uint32_t j = 0; j < op->input_count; j++)
            in[j] = reference_tensor(loaded->reference, graph->tensors[op->inputs[j]].name, &width);
        if (op->kind == GRAPH_NORM_LINEAR && op->input_count == 3) {
            uint8_t largest[2] = {0, 0};
            width = graph->width;
            for (uint32_t n = 0; n < width; n++) {
                largest[0] = BASE_MAX(largest[0], num_exponent(in[1][n] * op->gain[n]));
                largest[1] = BASE_MAX(largest[1], num_exponent(in[1][n]));
            }
            for (uint32_t n = 0; n < 2 * width; n++) {
                float x = n < width ? in[0][n] * op->gain[n] : in[0][n - width];
                uint32_t e = num_exponent_grown(largest[n / width], (uint8_t)in[2][0],
                                                op->growth[n / width]);
                assert_true(fabs((double)x) <= ldexp(1.0, (int)e - 126));
            }
        } else if (op->kind == GRAPH_ATTENTION) {
            for (uint32_t n = 0; n < graph->heads * graph->head_dim; n++) {
                uint32_t e = op->head_exponents[n / graph->head_dim];
                assert_true(fabs((double)in[0][n]) <= ldexp(1.0, (int)e - 126));
            }
        }
    }
}

static void test_bounds(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < BASE_COUNT(shapes); i++) {
        struct loaded loaded;
        load_random(&loaded, &shapes[i], 1);
        float *logits = calloc(loaded.graph.vocab, sizeof *logits);
        assert_non_null(logits);
        for (uint32_t position = 0; position < 8; position++) {
            uint32_t token = position * 7 % loaded.graph.vocab;
            reference_step(loaded.reference, &token, 1, position, logits);
            check_bounds(&loaded);
        }
        free(logits);
        unload(&loaded);
    }
}

static void test_tensors(void **state)
{
    (void)state;
    struct loaded loaded;
    load_random(&loaded, &shapes[0], 2);
    float *logits = calloc(2 * (size_t)loaded.graph.vocab, sizeof *logits);
    assert_non_null(logits);
    reference_step(loaded.reference, (const uint32_t[]){5, 6}, 2, 0, logits);
    uint32_t width;
    const float *q = reference_tensor(loaded.reference, "blk.1.q", &width);
    assert_true(q != NULL && width == 30);
    const float *last = reference_tensor(loaded.reference, "logits", &width);
    assert_true(last != NULL && width == loaded.graph.vocab);
    assert_memory_equal(last, logits, 2 * (size_t)width * sizeof *logits);
    assert_null(reference_tensor(loaded.reference, "blk.2.q", &width));
    free(logits);
    unload(&loaded);
}

/* ---- against binary32 --------------------------------------------------------------------------
 */

struct comparison {
    uint32_t positions, same_top, predicted;
    double divergence, loss, float_loss;
};

static void compare(struct loaded *loaded, struct float_forward *forward, const uint32_t *tokens,
                    uint32_t count, struct comparison *totals)
{
    uint32_t vocab = loaded->graph.vocab;
    float *logits = calloc(vocab, sizeof *logits);
    float *expected = calloc(vocab, sizeof *expected);
    assert_true(logits != NULL && expected != NULL);
    for (uint32_t i = 0; i < count; i++) {
        reference_step(loaded->reference, &tokens[i], 1, i, logits);
        float_forward_step(forward, tokens[i], i, expected);
        totals->positions++;
        totals->same_top += float_top(logits, vocab) == float_top(expected, vocab);
        totals->divergence += float_divergence(expected, logits, vocab);
        if (i + 1 == count)
            break;
        totals->predicted++;
        totals->loss += float_negative_log_likelihood(logits, vocab, tokens[i + 1]);
        totals->float_loss += float_negative_log_likelihood(expected, vocab, tokens[i + 1]);
    }
    free(logits);
    free(expected);
}

static void test_random_against_binary32(void **state)
{
    (void)state;
    for (size_t s = 0; s < BASE_COUNT(shapes); s++) {
        struct loaded loaded;
        load_random(&loaded, &shapes[s], 1);
        struct float_forward *forward = float_forward_create(loaded.model, 80);
        uint32_t tokens[80];
        for (uint32_t i = 0; i < 80; i++)
            tokens[i] = (uint32_t)(base_random_u64(9, s, i) % loaded.graph.vocab);
        struct comparison totals = {0};
        compare(&loaded, forward, tokens, 80, &totals);
        print_message("random %zu: same top %u of %u, KL %.2e\n", s, totals.same_top,
                      totals.positions, totals.divergence / totals.positions);
        assert_true(totals.divergence / totals.positions < 0.02);
        float_forward_destroy(forward);
        unload(&loaded);
    }
}

/* The mean loss over every 20th of the first 200 stories, in binary32 and in the profile. */
static struct comparison compare_stories(const char *model, uint32_t context)
{
    char model_path[1024], text_path[1024];
    tests_shared(text_path, "text/tinystories-valid-sample.txt");
    struct loaded loaded;
    load(&loaded, tests_shared(model_path, model), context, 1);
    struct float_forward *forward = float_forward_create(loaded.model, context);
    struct base_file file;
    struct takt_error error;
    require(base_file_map(&file, text_path, &error), &error);
    struct comparison totals = {0};
    static const char mark[] = "\n<|endoftext|>\n";
    const char *text = (const char *)file.data;
    const char *stop = text + file.size_bytes;
    for (uint32_t i = 0; i < 200; i++) {
        const char *end = memmem(text, (size_t)(stop - text), mark, strlen(mark));
        assert_non_null(end);
        if (i % 20 == 0) {
            uint32_t *ids;
            size_t count;
            require(tokenizer_encode(loaded.model->tokenizer, text, (size_t)(end - text), true,
                                     false, &ids, &count, &error),
                    &error);
            compare(&loaded, forward, ids, (uint32_t)BASE_MIN(count, context), &totals);
            free(ids);
        }
        text = end + strlen(mark);
    }
    base_file_unmap(&file);
    float_forward_destroy(forward);
    unload(&loaded);
    print_message("%s: %u positions, loss %.4f (binary32 %.4f), KL %.2e, same top %.4f\n", model,
                  totals.positions, totals.loss / totals.predicted,
                  totals.float_loss / totals.predicted, totals.divergence / totals.positions,
                  (double)totals.same_top / totals.positions);
    return totals;
}

static void check_loss(const struct comparison *totals, double published)
{
    double loss = totals->loss / totals->predicted;
    double float_loss = totals->float_loss / totals->predicted;
    assert_true(fabs(float_loss - published) < 0.15); /* of all 200 stories */
    assert_true(fabs(loss - float_loss) < 0.02);
    assert_true(totals->divergence / totals->positions < 0.01);
    assert_true(totals->same_top > totals->positions * 0.95);
}

static void test_loss_stories260k(void **state)
{
    (void)state;
    struct comparison totals = compare_stories("models/stories260k/stories260K.gguf", 512);
    check_loss(&totals, 1.3875);
}

static void test_loss_babyllama(void **state)
{
    (void)state;
    struct comparison totals = compare_stories("models/babyllama-105/babyllama-105-f32.gguf", 256);
    check_loss(&totals, 0.7599);
}

/* ---- published text
 * ------------------------------------------------------------------------------ */

/* Continues tokens[0..*count) greedily to `total` tokens; tokens has room. */
static void continue_greedily(struct loaded *loaded, uint32_t *tokens, uint32_t count,
                              uint32_t total)
{
    float *logits = calloc((size_t)count * loaded->graph.vocab, sizeof *logits);
    assert_non_null(logits);
    reference_step(loaded->reference, tokens, count, 0, logits);
    const float *last = logits + (size_t)(count - 1) * loaded->graph.vocab;
    for (; count < total; count++) {
        tokens[count] = float_top(last, loaded->graph.vocab);
        reference_step(loaded->reference, &tokens[count], 1, count, logits);
        last = logits;
    }
    free(logits);
}

static void test_stories260k_greedy(void **state)
{
    (void)state;
    static const char published[] =
        "Once upon a time, there was a little girl named Lily. She loved to play outside in the "
        "park. "
        "One day, she saw a big, red ball. She wanted to play with it, but it was too high.";
    char path[1024];
    struct loaded loaded;
    tests_shared(path, "models/stories260k/stories260K.gguf");
    load(&loaded, path, 128, 64);
    struct takt_error error;
    uint32_t *ids;
    size_t count;
    require(
        tokenizer_encode(loaded.model->tokenizer, published, 16, true, false, &ids, &count, &error),
        &error);
    uint32_t tokens[120];
    memcpy(tokens, ids, count * sizeof *ids);
    free(ids);
    continue_greedily(&loaded, tokens, (uint32_t)count, 120);
    struct base_text text = {0};
    base_text_append(&text, "", 0);
    for (uint32_t i = 1; i < 120; i++)
        tokenizer_decode(loaded.model->tokenizer, tokens[i], i == 1, false, &text);
    const char *start = text.data[0] == ' ' ? text.data + 1 : text.data;
    assert_int_equal(strncmp(start, published, strlen(published)), 0);
    base_text_free(&text);
    unload(&loaded);
}

/* Numbers of a vector file's first line that starts with `key`; returns how many. */
static uint32_t vector_numbers(const char *text, const char *key, uint32_t *out, uint32_t room)
{
    const char *line = strstr(text, key);
    assert_non_null(line);
    char *at;
    uint32_t count = 0;
    for (line += strlen(key); *line != '\n' && count < room; line = at) {
        out[count++] = (uint32_t)strtoul(line, &at, 10);
        assert_true(at != line);
    }
    return count;
}

static uint32_t check_vector(struct loaded *loaded, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "models/fable/vectors/%s.txt", name);
    struct base_file file;
    struct takt_error error;
    require(base_file_map(&file, path, &error), &error);
    struct base_text text = {0};
    base_text_append(&text, (const char *)file.data, file.size_bytes);
    base_file_unmap(&file);
    uint32_t tokens[256], greedy[64], top[1];
    uint32_t count = vector_numbers(text.data, "\nids ", tokens, 64);
    assert_int_equal(vector_numbers(text.data, "\ngreedy ", greedy, 64), 64);
    vector_numbers(text.data, "\ntop ", top, 1);
    base_text_free(&text);
    continue_greedily(loaded, tokens, count, count + 64);
    assert_int_equal(tokens[count], top[0]);
    uint32_t alike = 0;
    while (alike < 64 && tokens[count + alike] == greedy[alike])
        alike++;
    print_message("fable, vector %s: %u of 64 greedy tokens as in binary32 of the F16 file\n", name,
                  alike);
    return alike;
}

static void test_fable_vectors(void **state)
{
    (void)state;
    struct loaded loaded;
    load(&loaded, fable_path, 256, 64);
    check_vector(&loaded, "chat");
    check_vector(&loaded, "plain");
    check_vector(&loaded, "who");
    unload(&loaded);
}

TEST_GROUP(reference, cmocka_unit_test(test_chunks_random), cmocka_unit_test(test_chunks_fable),
           cmocka_unit_test(test_fixed_bits), cmocka_unit_test(test_refuses_damaged_weights),
           cmocka_unit_test(test_context_limit), cmocka_unit_test(test_bounds),
           cmocka_unit_test(test_tensors), cmocka_unit_test(test_random_against_binary32),
           cmocka_unit_test(test_loss_stories260k), cmocka_unit_test(test_loss_babyllama),
           cmocka_unit_test(test_stories260k_greedy), cmocka_unit_test(test_fable_vectors));
