/*
 * Engines, sessions, generation. What must hold: a step's cycles are the compiled ones; the logits
 * are a function of model and tokens alone, whatever the target, the chunk and the bucket.
 */
#include "tests.h"

#include "gguf_writer.h"
#include "num/num.h"
#include "runs.h"
#include "takt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FABLE "models/fable/fable-q8_0.gguf"

/* ---- models ---------------------------------------------------------------------------------- */

static void random_model(char path[64], const struct gguf_random *shape)
{
    snprintf(path, 64, "/tmp/takt-run-XXXXXX");
    const int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    assert_true(gguf_write_random(path, shape));
}

/* Sizes that are multiples of nothing; grouped queries. */
static const struct gguf_random odd_shape = {.seed = 3,
                                             .layers = 2,
                                             .width = 72,
                                             .heads = 6,
                                             .kv_heads = 2,
                                             .head_dim = 14,
                                             .ffn = 101,
                                             .vocab = 300,
                                             .context = 1024};

static const struct gguf_random tied_shape = {.seed = 4,
                                              .layers = 1,
                                              .width = 64,
                                              .heads = 4,
                                              .kv_heads = 4,
                                              .ffn = 96,
                                              .vocab = 333,
                                              .context = 1024,
                                              .tied = true,
                                              .spm = true,
                                              .type = MODEL_Q8_0};

static struct takt_engine *open_engine(const char *path, enum takt_target target, uint32_t context,
                                       uint32_t chunk)
{
    return runs_open(
        &(struct run_case){.model = path, .target = target, .context = context, .chunk = chunk});
}

static bool have_fable(void)
{
    return access(FABLE, R_OK) == 0;
}

/* ---- generation ------------------------------------------------------------------------------ */

static void digest_of(const char *path, enum takt_target target, uint32_t context, uint32_t chunk,
                      const char *prompt, uint32_t tokens, char digest[65])
{
    runs_digest(&(struct run_case){.model = path,
                                   .target = target,
                                   .context = context,
                                   .chunk = chunk,
                                   .prompt = prompt,
                                   .tokens = tokens},
                digest);
}

/* The reference one token at a time against a target with every chunk size. */
static void compare_chunks(const char *path, enum takt_target target, uint32_t context,
                           const char *prompt, uint32_t tokens)
{
    static const uint32_t chunks[] = {1, 7, 16, 64, 128};
    char expected[65], digest[65];
    digest_of(path, TAKT_TARGET_REFERENCE, context, 1, prompt, tokens, expected);
    for (size_t i = 0; i < BASE_COUNT(chunks); i++) {
        digest_of(path, target, context, chunks[i], prompt, tokens, digest);
        assert_string_equal(digest, expected);
    }
    runs_expect_native(
        (struct run_case){.model = path, .context = context, .prompt = prompt, .tokens = tokens},
        expected);
}

static const char prompt_short[] = "Once upon a time there was a fox who found a key.";

/* About `words` words, so that a prompt passes a bucket of 320 positions. */
static char *long_prompt(size_t words)
{
    static const char *const list[] = {"fox ", "key ", "river ", "and ", "the ", "found "};
    struct base_text text = {0};
    for (size_t i = 0; i < words; i++) {
        const char *word = list[base_random_u64(1, 2, i) % BASE_COUNT(list)];
        base_text_append(&text, word, strlen(word));
    }
    return text.data;
}

static void with_random(const struct gguf_random *shape, enum takt_target target,
                        const char *prompt, uint32_t context, uint32_t tokens)
{
    char path[64];
    random_model(path, shape);
    compare_chunks(path, target, context, prompt, tokens);
    unlink(path);
}

static void reference_chunks_agree(void **state)
{
    (void)state;
    with_random(&odd_shape, TAKT_TARGET_REFERENCE, prompt_short, 128, 6);
    with_random(&tied_shape, TAKT_TARGET_REFERENCE, prompt_short, 128, 6);
}

static void chip_equals_reference_odd(void **state)
{
    (void)state;
    with_random(&odd_shape, TAKT_TARGET_CHIP, prompt_short, 128, 4);
}

static void chip_equals_reference_tied(void **state)
{
    (void)state;
    with_random(&tied_shape, TAKT_TARGET_CHIP, prompt_short, 128, 4);
}

/* More than 320 positions: the second bucket, entered in the middle of the prompt. */
static void chip_equals_reference_second_bucket(void **state)
{
    (void)state;
    char path[64], expected[65], digest[65];
    char *prompt = long_prompt(100);
    random_model(path, &odd_shape);
    digest_of(path, TAKT_TARGET_REFERENCE, 700, 1, prompt, 4, expected);
    digest_of(path, TAKT_TARGET_CHIP, 700, 16, prompt, 4, digest);
    assert_string_equal(digest, expected);
    digest_of(path, TAKT_TARGET_CHIP, 700, 7, prompt, 4, digest);
    assert_string_equal(digest, expected);
    unlink(path);
    free(prompt);
}

/* Decoding across the border of two buckets. */
static void chip_equals_reference_over_border(void **state)
{
    (void)state;
    char path[64], expected[65], digest[65];
    char *prompt = long_prompt(70);
    random_model(path, &odd_shape);
    struct takt_engine *engine = open_engine(path, TAKT_TARGET_REFERENCE, 700, 64);
    uint32_t *ids;
    size_t count;
    assert_int_equal(takt_tokenize(engine, prompt, strlen(prompt), true, true, &ids, &count, NULL),
                     TAKT_OK);
    free(ids);
    takt_engine_close(engine);
    /* Cut so that four tokens remain before position 320; a byte is at least a token's share. */
    while (count > 316) {
        prompt[strlen(prompt) - 1] = '\0';
        count--;
    }
    digest_of(path, TAKT_TARGET_REFERENCE, 700, 64, prompt, 12, expected);
    digest_of(path, TAKT_TARGET_CHIP, 700, 64, prompt, 12, digest);
    assert_string_equal(digest, expected);
    runs_expect_native(
        (struct run_case){.model = path, .context = 700, .prompt = prompt, .tokens = 12}, expected);
    unlink(path);
    free(prompt);
}

/* ---- sessions -------------------------------------------------------------------------------- */

static void session_logits_agree(enum takt_target target, uint32_t chunk, size_t expected_steps)
{
    enum { COUNT = 20, VOCAB = 300 };
    char path[64];
    random_model(path, &odd_shape);
    struct takt_engine *engine = open_engine(path, target, 64, chunk);
    uint32_t tokens[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        tokens[i] = (uint32_t)(base_random_u64(7, 0, i) % VOCAB);
    }
    float *all = calloc(COUNT * VOCAB, sizeof *all);
    float last[VOCAB], again[VOCAB];
    struct takt_session *session;
    assert_int_equal(takt_session_open(&session, engine, NULL), TAKT_OK);
    assert_int_equal(takt_session_extend(session, tokens, COUNT, last, all, NULL), TAKT_OK);
    assert_memory_equal(last, all + (COUNT - 1) * VOCAB, sizeof last);
    assert_int_equal(takt_session_length(session), COUNT);
    takt_session_close(session);

    /* The same tokens in other pieces; without all logits the padded chunk's row map is used. */
    static const size_t pieces[] = {3, 1, 11, 5};
    size_t done = 0;
    assert_int_equal(takt_session_open(&session, engine, NULL), TAKT_OK);
    for (size_t i = 0; i < BASE_COUNT(pieces); i++) {
        assert_int_equal(takt_session_extend(session, tokens + done, pieces[i], again, NULL, NULL),
                         TAKT_OK);
        done += pieces[i];
        assert_memory_equal(again, all + (done - 1) * VOCAB, sizeof again);
    }
    const struct takt_step *steps;
    assert_int_equal(takt_session_steps(session, &steps), expected_steps);
    assert_false(steps[1].prefill);
    assert_true(steps[2].prefill);
    takt_session_close(session);
    takt_engine_close(engine);
    free(all);
    unlink(path);
}

static void session_pieces_reference(void **state)
{
    (void)state;
    session_logits_agree(TAKT_TARGET_REFERENCE, 8, 5); /* 3, 1, 8 + 3, 5 */
}

static void session_pieces_chip(void **state)
{
    (void)state;
    session_logits_agree(TAKT_TARGET_CHIP, 8, 5); /* 3, 1, 8 + 3, 5 */
}

/* Chunks of whole blocks: a piece that begins within one has the tokens before it computed again.
 */
static void session_pieces_blocks(void **state)
{
    (void)state;
    session_logits_agree(TAKT_TARGET_CHIP, 16, 5); /* 3, 1, 11, 1 + 4 */
    session_logits_agree(TAKT_TARGET_CHIP, 32, 4); /* 3, 1, 11, 5 */
}

static void session_refuses(void **state)
{
    (void)state;
    char path[64];
    random_model(path, &odd_shape);
    struct takt_engine *engine = open_engine(path, TAKT_TARGET_REFERENCE, 8, 4);
    struct takt_session *session;
    struct takt_error error = {0};
    const uint32_t tokens[9] = {5, 6, 7, 8, 9, 10, 11, 12, 13}, wrong = 300;
    assert_int_equal(takt_session_open(&session, engine, NULL), TAKT_OK);
    assert_int_equal(takt_session_extend(session, tokens, 9, NULL, NULL, &error), TAKT_CONTEXT);
    assert_int_equal(takt_session_length(session), 0);
    assert_int_equal(takt_session_extend(session, &wrong, 1, NULL, NULL, &error), TAKT_USAGE);
    assert_int_equal(takt_session_extend(session, tokens, 8, NULL, NULL, &error), TAKT_OK);
    assert_int_equal(takt_session_extend(session, tokens, 1, NULL, NULL, &error), TAKT_CONTEXT);
    assert_non_null(strstr(error.message, "8"));
    assert_int_equal(takt_session_extend(session, tokens, 0, NULL, NULL, &error), TAKT_OK);
    takt_session_close(session);
    takt_engine_close(engine);
    unlink(path);
}

/* ---- how generation ends --------------------------------------------------------------------- */

static void finish_of(struct takt_engine *engine, const struct takt_request *request,
                      const char *finish, size_t tokens)
{
    struct takt_result result;
    struct takt_error error = {0};
    if (takt_generate(engine, request, &result, &error) != TAKT_OK) {
        fail_msg("%s", error.message);
    }
    assert_string_equal(result.finish, finish);
    assert_int_equal(result.token_count, tokens);
    assert_null(runs_check_steps(&result, TAKT_TARGET_REFERENCE));
    takt_result_free(&result);
}

static bool stop_at_third(void *user, const char *text, size_t length)
{
    (void)text;
    (void)length;
    return ++*(int *)user < 3;
}

static void finishes(void **state)
{
    (void)state;
    char path[64];
    random_model(path, &odd_shape);
    struct takt_engine *engine = open_engine(path, TAKT_TARGET_REFERENCE, 12, 4);
    int calls = 0;
    struct takt_request request = {
        .prompt = "12345678", .max_tokens = 2, .sampling = {.top_p = 1.0f}};
    uint32_t *ids;
    size_t prompt;
    assert_int_equal(takt_tokenize(engine, request.prompt, 8, true, true, &ids, &prompt, NULL),
                     TAKT_OK);
    free(ids);
    finish_of(engine, &request, "length", 2);
    request.max_tokens = 0;
    finish_of(engine, &request, "length", 0);
    request.max_tokens = 100;
    finish_of(engine, &request, "context", 12 - prompt + 1);
    request.on_text = stop_at_third;
    request.user = &calls;
    finish_of(engine, &request, "interrupted", 3);
    takt_engine_close(engine);
    unlink(path);
}

static void no_tokens_digest(void **state)
{
    (void)state;
    char path[64];
    random_model(path, &odd_shape);
    struct takt_engine *engine = open_engine(path, TAKT_TARGET_REFERENCE, 32, 4);
    struct takt_request request = {.prompt = "abc", .max_tokens = 0};
    struct takt_result result;
    assert_int_equal(takt_generate(engine, &request, &result, NULL), TAKT_OK);
    assert_string_equal(result.logits_digest, /* of nothing */
                        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    takt_result_free(&result);
    request.all_logits = true;
    assert_int_equal(takt_generate(engine, &request, &result, NULL), TAKT_OK);
    assert_string_not_equal(result.logits_digest,
                            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    takt_result_free(&result);
    takt_engine_close(engine);
    unlink(path);
}

static void fable_stops(void **state)
{
    (void)state;
    if (!have_fable()) {
        print_message("no %s\n", FABLE);
        skip();
    }
    struct takt_engine *engine = open_engine(FABLE, TAKT_TARGET_REFERENCE, 0, 16);
    const struct takt_request request = {
        .prompt = "Hello!", .chat = true, .max_tokens = 256, .sampling = {.top_p = 1.0f}};
    struct takt_result result;
    assert_int_equal(takt_generate(engine, &request, &result, NULL), TAKT_OK);
    assert_string_equal(result.finish, "stop");
    assert_null(strstr(result.text, "<|im_end|>"));
    assert_true(strlen(result.text) > 0);
    takt_result_free(&result);
    takt_engine_close(engine);
}

static void refusals(void **state)
{
    (void)state;
    char path[64];
    random_model(path, &odd_shape);
    struct takt_engine *engine = open_engine(path, TAKT_TARGET_REFERENCE, 4, 4);
    struct takt_request request = {.prompt = "1234567890", .max_tokens = 1};
    struct takt_result result;
    struct takt_error error = {0};
    assert_int_equal(takt_generate(engine, &request, &result, &error), TAKT_CONTEXT);
    assert_non_null(strstr(error.message, "context"));
    assert_null(strchr(error.message, '\n'));
    takt_result_free(&result);
    takt_engine_close(engine);
    const struct takt_engine_options chunky = {.model_path = path, .chunk = 100000};
    assert_int_equal(takt_engine_open(&engine, &chunky, &error), TAKT_LIMIT);
    const struct takt_engine_options absent = {.model_path = "/nonexistent.gguf"};
    assert_int_equal(takt_engine_open(&engine, &absent, &error), TAKT_IO);
    assert_null(engine);
    unlink(path);
}

/* ---- sampling -------------------------------------------------------------------------------- */

static void sample_greedy(void **state)
{
    (void)state;
    const float logits[5] = {1.0f, 3.0f, 3.0f, -0.0f, 0.0f};
    const float zeros[3] = {-0.0f, 0.0f, 0.0f};
    const struct takt_sampling greedy = {.top_p = 1.0f};
    assert_int_equal(takt_sample(logits, 5, &greedy, 9), 1);
    assert_int_equal(takt_sample(zeros, 3, &greedy, 9), 0);
    const struct takt_sampling one = {.temperature = 1.0f, .top_k = 1, .top_p = 1.0f};
    const struct takt_sampling none = {.temperature = 1.0f, .top_p = 0.0f};
    for (uint64_t position = 0; position < 50; position++) {
        assert_int_equal(takt_sample(logits, 5, &one, position), 1);
        assert_int_equal(takt_sample(logits, 5, &none, position), 1);
    }
}

/* Frequencies follow the softmax; the filters cut where a sorted list would. */
static void sample_frequencies(void **state)
{
    (void)state;
    enum { DRAWS = 20000 };
    const float logits[4] = {0.0f, 1.0f, -1.0f, 2.0f}; /* p = .087 .237 .032 .644 */
    const double expected[4] = {0.0871, 0.2369, 0.0321, 0.6439};
    struct takt_sampling sampling = {.temperature = 1.0f, .top_p = 1.0f, .seed = 5};
    int counts[4] = {0};
    for (uint64_t i = 0; i < DRAWS; i++) {
        counts[takt_sample(logits, 4, &sampling, i)]++;
    }
    for (int i = 0; i < 4; i++) {
        const double difference = counts[i] / (double)DRAWS - expected[i];
        assert_true(difference > -0.015 && difference < 0.015);
    }
    sampling.top_p = 0.8f; /* 3, then 1 */
    int others = 0, second = 0;
    for (uint64_t i = 0; i < DRAWS; i++) {
        const uint32_t token = takt_sample(logits, 4, &sampling, i);
        others += token != 3 && token != 1;
        second += token == 1;
    }
    assert_int_equal(others, 0);
    assert_true(second > DRAWS / 5 && second < DRAWS / 3);
    sampling.top_p = 0.6f; /* 3 alone */
    for (uint64_t i = 0; i < 500; i++) {
        assert_int_equal(takt_sample(logits, 4, &sampling, i), 3);
    }
}

/* Ties at the border of a filter: the lowest ids stay. */
static void sample_ties(void **state)
{
    (void)state;
    const float logits[6] = {1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f};
    const struct takt_sampling by_count = {.temperature = 1.0f, .top_k = 3, .top_p = 1.0f};
    const struct takt_sampling by_mass = {.temperature = 1.0f, .top_p = 0.5f};
    bool seen[6] = {false};
    for (uint64_t i = 0; i < 300; i++) {
        const uint32_t a = takt_sample(logits, 6, &by_count, i);
        const uint32_t b = takt_sample(logits, 6, &by_mass, i);
        assert_true(a < 3 && b < 3);
        seen[a] = true;
    }
    assert_true(seen[0] && seen[1] && seen[2]);
}

TEST_GROUP(run, cmocka_unit_test(sample_greedy), cmocka_unit_test(sample_frequencies),
           cmocka_unit_test(sample_ties), cmocka_unit_test(session_refuses),
           cmocka_unit_test(session_pieces_reference), cmocka_unit_test(session_pieces_blocks),
           cmocka_unit_test(reference_chunks_agree), cmocka_unit_test(finishes),
           cmocka_unit_test(no_tokens_digest), cmocka_unit_test(refusals),
           cmocka_unit_test(fable_stops), cmocka_unit_test(session_pieces_chip),
           cmocka_unit_test(chip_equals_reference_odd),
           cmocka_unit_test(chip_equals_reference_tied),
           cmocka_unit_test(chip_equals_reference_second_bucket),
           cmocka_unit_test(chip_equals_reference_over_border));
