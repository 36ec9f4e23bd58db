/* Grammars drawn from at random and asked, for tests of what an answer may be. */
#include "tests.h"

#include "grammar_helper.h"
#include "json_schema.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FABLE "models/fable/fable-q8_0.gguf"

struct takt_engine *grammar_engine;

int grammar_setup(void **state)
{
    (void)state;
    const struct takt_engine_options options = {.model_path = FABLE,
                                                .target = TAKT_TARGET_REFERENCE};
    return takt_engine_open(&grammar_engine, &options, NULL) == TAKT_OK &&
                   run_trie_create(&grammar_engine->trie, grammar_engine, NULL) == TAKT_OK
               ? 0
               : -1;
}

int grammar_teardown(void **state)
{
    (void)state;
    takt_engine_close(grammar_engine);
    return 0;
}

char *grammar_draw(struct takt_grammar *grammar, uint32_t most, uint64_t seed)
{
    const uint32_t vocab = grammar_engine->graph.vocab;
    struct base_text text = {0};
    float *logits = calloc(vocab, sizeof *logits);
    uint32_t state = run_grammar_start(grammar);
    base_text_append(&text, "", 0);
    for (uint32_t i = 0; i < most && !run_grammar_complete(grammar, state); i++) {
        for (uint32_t t = 0; t < vocab; t++) {
            logits[t] = base_random_f32(seed, i, t);
        }
        state = run_grammar_room(grammar, state);
        run_grammar_mask(grammar, state, most - i - 1, logits);
        const struct takt_sampling greedy = {.top_p = 1.0f};
        const uint32_t token = takt_sample(logits, vocab, &greedy, i);
        assert_true(logits[token] > -INFINITY);
        assert_true(run_grammar_allows(grammar, state, token, most - i - 1));
        if (run_is_end(grammar_engine, token)) {
            assert_true(run_grammar_accepts(grammar, state));
            break;
        }
        const size_t before = text.length;
        tokenizer_decode(grammar_engine->model->tokenizer, token, false, false, &text);
        state = run_grammar_step(grammar, state, text.data + before, text.length - before);
        assert_true(state != RUN_DEAD);
    }
    assert_true(run_grammar_accepts(grammar, state));
    free(logits);
    return text.data;
}

struct takt_grammar *grammar_of_json(const json_t *schema)
{
    char *text = json_dumps(schema, 0);
    const struct takt_grammar_options options = {
        .kind = TAKT_GRAMMAR_SCHEMA, .json = text, .length = strlen(text)};
    struct takt_grammar *grammar;
    struct takt_error error;
    if (takt_grammar_open(&grammar, grammar_engine, &options, &error) != TAKT_OK) {
        fail_msg("%s: %s", text, error.message);
    }
    free(text);
    return grammar;
}

void grammar_check(const json_t *schema, const char *text)
{
    json_error_t reason;
    json_t *value = json_loads(text, JSON_DECODE_ANY, &reason);
    if (!value || !json_schema_holds(schema, schema, value)) {
        char *shown = json_dumps(schema, 0);
        fail_msg("%s does not satisfy %s (%s)", text, shown, value ? "" : reason.text);
    }
    json_decref(value);
}

bool grammar_takes(struct takt_grammar *grammar, const char *text)
{
    const uint32_t state =
        run_grammar_step(grammar, run_grammar_start(grammar), text, strlen(text));
    return run_grammar_accepts(grammar, state);
}

struct takt_grammar *grammar_of_text(const char *schema)
{
    json_t *json = json_loads(schema, 0, NULL);
    assert_non_null(json);
    struct takt_grammar *grammar = grammar_of_json(json);
    json_decref(json);
    return grammar;
}

void grammar_check_cases(const struct grammar_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct takt_grammar *grammar = grammar_of_text(cases[i].schema);
        for (size_t j = 0; j < BASE_COUNT(cases[i].good) && cases[i].good[j]; j++) {
            if (!grammar_takes(grammar, cases[i].good[j])) {
                fail_msg("%s: not taken: %s", cases[i].schema, cases[i].good[j]);
            }
        }
        for (size_t j = 0; j < BASE_COUNT(cases[i].bad) && cases[i].bad[j]; j++) {
            if (grammar_takes(grammar, cases[i].bad[j])) {
                fail_msg("%s: taken: %s", cases[i].schema, cases[i].bad[j]);
            }
        }
        takt_grammar_close(grammar);
    }
}

void grammar_check_refusals(const struct grammar_refusal *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct takt_grammar_options options = {.kind = TAKT_GRAMMAR_SCHEMA,
                                                     .json = cases[i].schema,
                                                     .length = strlen(cases[i].schema)};
        struct takt_grammar *grammar;
        struct takt_error error = {0};
        const enum takt_status status =
            takt_grammar_open(&grammar, grammar_engine, &options, &error);
        if (status != cases[i].status || !strstr(error.message, cases[i].part)) {
            fail_msg("%s: %d, \"%s\"", cases[i].schema, (int)status, error.message);
        }
        assert_null(grammar);
    }
}
