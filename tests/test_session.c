/*
 * Sessions of one engine: batches, truncation, prefixes. What must hold on every target: a
 * session's logits are a function of its tokens alone, whatever it is batched with and however it
 * came to hold them.
 */
#include "tests.h"

#include "base/base.h"
#include "gguf_writer.h"
#include "native/internal.h"
#include "run/run.h"
#include "runs.h"
#include "takt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { VOCAB = 300, SESSIONS = 5, MOST = 40 };

static const struct gguf_random shape = {.seed = 11,
                                         .layers = 2,
                                         .width = 72,
                                         .heads = 6,
                                         .kv_heads = 2,
                                         .head_dim = 14,
                                         .ffn = 101,
                                         .vocab = VOCAB,
                                         .context = 64};

struct scene {
    char path[64];
    struct takt_engine *engine;
    uint32_t tokens[SESSIONS][MOST];
    float expected[SESSIONS][MOST][VOCAB]; /* by the reference, one token at a time */
};

static struct takt_engine *open_engine(const char *path, enum takt_target target, uint32_t chunk,
                                       uint32_t users)
{
    return runs_open(&(struct run_case){
        .model = path, .target = target, .context = 64, .chunk = chunk, .users = users});
}

static struct takt_session *open_session(struct takt_engine *engine)
{
    struct takt_session *session;
    struct takt_error error = {0};
    if (takt_session_open(&session, engine, &error) != TAKT_OK)
        fail_msg("%s", error.message);
    return session;
}

static struct scene *scene_open(enum takt_target target, uint32_t chunk, uint32_t users)
{
    struct scene *scene = calloc(1, sizeof *scene);
    assert_non_null(scene);
    snprintf(scene->path, sizeof scene->path, "/tmp/takt-session-XXXXXX");
    const int file = mkstemp(scene->path);
    assert_true(file >= 0);
    close(file);
    assert_true(gguf_write_random(scene->path, &shape));
    struct takt_engine *reference = open_engine(scene->path, TAKT_TARGET_REFERENCE, 1, 1);
    for (uint32_t s = 0; s < SESSIONS; s++) {
        struct takt_session *session = open_session(reference);
        for (uint32_t i = 0; i < MOST; i++)
            scene->tokens[s][i] = (uint32_t)(base_random_u64(5, s, i) % VOCAB);
        assert_int_equal(takt_session_extend(session, scene->tokens[s], MOST, NULL,
                                             &scene->expected[s][0][0], NULL),
                         TAKT_OK);
        takt_session_close(session);
    }
    takt_engine_close(reference);
    scene->engine = open_engine(scene->path, target, chunk, users);
    return scene;
}

static void scene_close(struct scene *scene)
{
    takt_engine_close(scene->engine);
    unlink(scene->path);
    free(scene);
}

static void expect(const struct scene *scene, uint32_t s, size_t length, const float *logits)
{
    assert_memory_equal(logits, scene->expected[s][length - 1], VOCAB * sizeof *logits);
}

/* Rounds of batches in which every session takes a number of tokens of its own. */
static void batches(enum takt_target target, uint32_t chunk, uint32_t users)
{
    static const size_t counts[][SESSIONS] = {
        {1, 7, 0, 12, 3}, {1, 0, 9, 1, 1}, {1, 1, 1, 1, 1}, {0, 0, 17, 0, 2}, {13, 1, 1, 1, 1}};
    struct scene *scene = scene_open(target, chunk, users);
    struct takt_session *sessions[SESSIONS];
    size_t done[SESSIONS] = {0};
    static float logits[SESSIONS][VOCAB];
    for (uint32_t s = 0; s < SESSIONS; s++)
        sessions[s] = open_session(scene->engine);
    for (size_t round = 0; round < BASE_COUNT(counts); round++) {
        struct takt_batch_item items[SESSIONS];
        size_t used = 0;
        for (uint32_t s = SESSIONS; s-- > 0;) /* not in the order they were opened in */
            if (counts[round][s] > 0)
                items[used++] = (struct takt_batch_item){sessions[s], scene->tokens[s] + done[s],
                                                         counts[round][s], logits[s]};
        assert_int_equal(takt_extend_batch(scene->engine, items, used, NULL), TAKT_OK);
        for (uint32_t s = 0; s < SESSIONS; s++) {
            done[s] += counts[round][s];
            assert_int_equal(takt_session_length(sessions[s]), done[s]);
            if (counts[round][s] > 0)
                expect(scene, s, done[s], logits[s]);
        }
    }
    for (uint32_t s = 0; s < SESSIONS; s++)
        takt_session_close(sessions[s]);
    scene_close(scene);
}

static void prefixes(enum takt_target target)
{
    struct scene *scene = scene_open(target, 8, 1);
    struct takt_session *a = open_session(scene->engine), *b = open_session(scene->engine);
    float logits[VOCAB];
    const struct takt_step *steps;
    assert_int_equal(takt_session_extend(a, scene->tokens[0], 30, NULL, NULL, NULL), TAKT_OK);
    assert_int_equal(takt_session_extend(b, scene->tokens[1], 35, NULL, NULL, NULL), TAKT_OK);
    /* Back to the middle of a step, on with other tokens, back again. */
    assert_int_equal(takt_session_truncate(a, 11, NULL), TAKT_OK);
    assert_int_equal(takt_session_length(a), 11);
    assert_true(takt_session_steps(a, &steps) <= 11);
    assert_int_equal(takt_session_extend(a, scene->tokens[1], 20, NULL, NULL, NULL), TAKT_OK);
    assert_int_equal(takt_session_truncate(a, 11, NULL), TAKT_OK);
    assert_int_equal(takt_session_extend(a, scene->tokens[0] + 11, 9, logits, NULL, NULL), TAKT_OK);
    expect(scene, 0, 20, logits);
    /* b takes over a's beginning; a goes on as if nothing had been. */
    assert_int_equal(takt_session_copy_prefix(b, a, 17, NULL), TAKT_OK);
    assert_int_equal(takt_session_length(b), 17);
    assert_memory_equal(takt_session_tokens(b), scene->tokens[0], 17 * sizeof(uint32_t));
    assert_int_equal(takt_session_extend(b, scene->tokens[0] + 17, 1, logits, NULL, NULL), TAKT_OK);
    expect(scene, 0, 18, logits);
    assert_int_equal(takt_session_extend(a, scene->tokens[0] + 20, 5, logits, NULL, NULL), TAKT_OK);
    expect(scene, 0, 25, logits);
    assert_int_equal(takt_session_extend(b, scene->tokens[0] + 18, 16, logits, NULL, NULL),
                     TAKT_OK);
    expect(scene, 0, 34, logits);
    /* From the third block back into the middle of the first, on with one token at a time. */
    assert_int_equal(takt_session_truncate(b, 9, NULL), TAKT_OK);
    for (uint32_t i = 9; i < 14; i++) {
        assert_int_equal(takt_session_extend(b, scene->tokens[0] + i, 1, logits, NULL, NULL),
                         TAKT_OK);
        expect(scene, 0, i + 1, logits);
    }
    /* Down to nothing. */
    assert_int_equal(takt_session_truncate(b, 0, NULL), TAKT_OK);
    assert_int_equal(takt_session_steps(b, &steps), 0);
    assert_int_equal(takt_session_extend(b, scene->tokens[1], 3, logits, NULL, NULL), TAKT_OK);
    expect(scene, 1, 3, logits);
    takt_session_close(a);
    takt_session_close(b);
    scene_close(scene);
}

static void batches_reference(void **state)
{
    (void)state;
    batches(TAKT_TARGET_REFERENCE, 64, 1);
    batches(TAKT_TARGET_REFERENCE, 7, 1);
}

static void batches_native(void **state)
{
    (void)state;
    batches(TAKT_TARGET_NATIVE, 64, 1);
    batches(TAKT_TARGET_NATIVE, 7, 1);
    batches(TAKT_TARGET_NATIVE, 1, 1);
}

static void prefixes_native(void **state)
{
    (void)state;
    prefixes(TAKT_TARGET_NATIVE);
}

static void batches_chip(void **state)
{
    (void)state;
    batches(TAKT_TARGET_CHIP, 16, 1);
}

/* Sessions that share a chip: those that are extended by one token each are one step. */
static void batches_chip_users(void **state)
{
    (void)state;
    batches(TAKT_TARGET_CHIP, 16, 2);
    batches(TAKT_TARGET_CHIP, 1, 3);
}

/* Both tokens of two users take one step's cycles, fewer than two steps of one. */
static void users_share_steps(void **state)
{
    (void)state;
    struct scene *scene = scene_open(TAKT_TARGET_CHIP, 1, 2);
    struct takt_session *sessions[2];
    float logits[2][VOCAB];
    struct takt_batch_item items[2];
    const struct takt_step *steps[2];
    for (uint32_t s = 0; s < 2; s++) {
        sessions[s] = open_session(scene->engine);
        assert_int_equal(takt_session_extend(sessions[s], scene->tokens[s], 1, NULL, NULL, NULL),
                         TAKT_OK);
        items[s] = (struct takt_batch_item){sessions[s], scene->tokens[s] + 1, 1, logits[s]};
    }
    assert_int_equal(takt_extend_batch(scene->engine, items, 2, NULL), TAKT_OK);
    for (uint32_t s = 0; s < 2; s++) {
        expect(scene, s, 2, logits[s]);
        assert_int_equal(takt_session_steps(sessions[s], &steps[s]), 2);
        assert_int_equal(steps[s][1].cycles_executed, steps[s][1].cycles_compiled);
        assert_true(steps[s][1].cycles_executed < 2 * steps[s][0].cycles_executed);
    }
    assert_int_equal(steps[0][1].cycles_executed, steps[1][1].cycles_executed);
    takt_session_close(sessions[0]);
    takt_session_close(sessions[1]);
    scene_close(scene);
}

static void prefixes_reference(void **state)
{
    (void)state;
    prefixes(TAKT_TARGET_REFERENCE);
}

static void prefixes_chip(void **state)
{
    (void)state;
    prefixes(TAKT_TARGET_CHIP);
}

static void sessions_both(void **state)
{
    (void)state;
    batches(TAKT_TARGET_BOTH, 16, 1);
    prefixes(TAKT_TARGET_BOTH);
}

/* A weight that went wrong on one side: the fault names the first tensor that shows it, and whose
 * it is; the session is over then. */
static void both_finds_the_first_bit(void **state)
{
    (void)state;
    struct scene *scene = scene_open(TAKT_TARGET_BOTH, 4, 1);
    struct takt_session *session = open_session(scene->engine);
    struct takt_error error = {0};
    const uint32_t *tokens = scene->tokens[0];
    float logits[VOCAB];
    assert_int_equal(takt_session_extend(session, tokens, 6, logits, NULL, &error), TAKT_OK);
    expect(scene, 0, 6, logits);
    /* The second layer's queries: the eighth matrix after the first layer's seven. */
    struct native_matrix *matrix = &scene->engine->native->matrices[7];
    assert_string_equal(matrix->source->name, "blk.1.attn_q.weight");
    matrix->scales[5] *= 2.0f;
    assert_int_equal(takt_session_extend(session, tokens + 6, 3, logits, NULL, &error), TAKT_FAULT);
    assert_non_null(strstr(error.message, "native leaves the reference at tensor blk.1.q of layer "
                                          "1, position 6, element 5:"));
    assert_int_equal(takt_session_extend(session, tokens, 1, NULL, NULL, &error), TAKT_FAULT);
    takt_session_close(session);
    matrix->scales[5] *= 0.5f;
    scene_close(scene);
}

static void refused_batches(void **state)
{
    (void)state;
    struct scene *scene = scene_open(TAKT_TARGET_REFERENCE, 8, 1);
    struct takt_engine *other = open_engine(scene->path, TAKT_TARGET_REFERENCE, 8, 1);
    struct takt_session *a = open_session(scene->engine), *b = open_session(scene->engine);
    struct takt_session *stranger = open_session(other);
    const uint32_t *tokens = scene->tokens[0], wrong = VOCAB;
    struct takt_error error = {0};
    struct takt_batch_item items[2] = {{a, tokens, 5, NULL}, {b, tokens, 0, NULL}};
    assert_int_equal(takt_extend_batch(scene->engine, items, 2, &error), TAKT_USAGE);
    items[1] = (struct takt_batch_item){stranger, tokens, 1, NULL};
    assert_int_equal(takt_extend_batch(scene->engine, items, 2, &error), TAKT_USAGE);
    items[1] = (struct takt_batch_item){a, tokens, 1, NULL};
    assert_int_equal(takt_extend_batch(scene->engine, items, 2, &error), TAKT_USAGE);
    items[1] = (struct takt_batch_item){b, &wrong, 1, NULL};
    assert_int_equal(takt_extend_batch(scene->engine, items, 2, &error), TAKT_USAGE);
    items[1] = (struct takt_batch_item){b, tokens, 65, NULL};
    assert_int_equal(takt_extend_batch(scene->engine, items, 2, &error), TAKT_CONTEXT);
    assert_int_equal(takt_session_length(a), 0); /* nothing was run */
    assert_int_equal(takt_session_truncate(a, 1, &error), TAKT_USAGE);
    assert_int_equal(takt_session_copy_prefix(b, a, 1, &error), TAKT_USAGE);
    assert_int_equal(takt_session_copy_prefix(stranger, a, 0, &error), TAKT_USAGE);
    takt_session_close(a);
    takt_session_close(b);
    takt_session_close(stranger);
    takt_engine_close(other);
    scene_close(scene);
}

static void sessions_run_out(void **state)
{
    (void)state;
    struct scene *scene = scene_open(TAKT_TARGET_REFERENCE, 8, 1);
    struct takt_engine_options options = {
        .model_path = scene->path, .target = TAKT_TARGET_NATIVE, .sessions = 2};
    struct takt_engine *engine;
    struct takt_error error = {0};
    struct takt_session *third;
    assert_int_equal(takt_engine_open(&engine, &options, &error), TAKT_OK);
    struct takt_session *first = open_session(engine), *second = open_session(engine);
    assert_int_equal(takt_session_open(&third, engine, &error), TAKT_LIMIT);
    assert_non_null(strstr(error.message, "2"));
    takt_session_close(first);
    assert_int_equal(takt_session_open(&third, engine, &error), TAKT_OK);
    takt_session_close(second);
    takt_session_close(third);
    takt_engine_close(engine);
    scene_close(scene);
}

TEST_GROUP(session, cmocka_unit_test(batches_reference), cmocka_unit_test(batches_chip),
           cmocka_unit_test(batches_chip_users), cmocka_unit_test(users_share_steps),
           cmocka_unit_test(batches_native), cmocka_unit_test(prefixes_native),
           cmocka_unit_test(sessions_both), cmocka_unit_test(both_finds_the_first_bit),
           cmocka_unit_test(prefixes_reference), cmocka_unit_test(prefixes_chip),
           cmocka_unit_test(refused_batches), cmocka_unit_test(sessions_run_out));
