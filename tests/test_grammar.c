/* Answers held to a form: whatever is drawn, it parses and satisfies the schema, and ends in time.
 */
#include "tests.h"

#include "json_schema.h"
#include "run/grammar.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FABLE "models/fable/fable-q8_0.gguf"

static struct takt_engine *engine;

static int setup(void **state)
{
    (void)state;
    const struct takt_engine_options options = {.model_path = FABLE,
                                                .target = TAKT_TARGET_REFERENCE};
    return takt_engine_open(&engine, &options, NULL) == TAKT_OK &&
                   run_trie_create(&engine->trie, engine, NULL) == TAKT_OK
               ? 0
               : -1;
}

static int teardown(void **state)
{
    (void)state;
    takt_engine_close(engine);
    return 0;
}

/* Draws tokens at random, as long as the grammar lets, at most `most`; the text is malloc'ed. NULL
 * when a step allowed nothing. Every token allowed must be one that run_grammar_allows admits. */
static char *draw(struct takt_grammar *grammar, uint32_t most, uint64_t seed)
{
    const uint32_t vocab = engine->graph.vocab;
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
        if (run_is_end(engine, token)) {
            assert_true(run_grammar_accepts(grammar, state));
            break;
        }
        const size_t before = text.length;
        tokenizer_decode(engine->model->tokenizer, token, false, false, &text);
        state = run_grammar_step(grammar, state, text.data + before, text.length - before);
        assert_true(state != RUN_DEAD);
    }
    assert_true(run_grammar_accepts(grammar, state));
    free(logits);
    return text.data;
}

static struct takt_grammar *grammar_of(const json_t *schema)
{
    char *text = json_dumps(schema, 0);
    const struct takt_grammar_options options = {
        .kind = TAKT_GRAMMAR_SCHEMA, .json = text, .length = strlen(text)};
    struct takt_grammar *grammar;
    struct takt_error error;
    if (takt_grammar_open(&grammar, engine, &options, &error) != TAKT_OK) {
        fail_msg("%s: %s", text, error.message);
    }
    free(text);
    return grammar;
}

static void check(const json_t *schema, const char *text)
{
    json_error_t reason;
    json_t *value = json_loads(text, JSON_DECODE_ANY, &reason);
    if (!value || !json_schema_holds(schema, schema, value)) {
        char *shown = json_dumps(schema, 0);
        fail_msg("%s does not satisfy %s (%s)", text, shown, value ? "" : reason.text);
    }
    json_decref(value);
}

/* Random schemas, random tokens, budgets from the least possible on. */
static void random_schemas(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        json_t *schema = json_schema_random(seed);
        struct takt_grammar *grammar = grammar_of(schema);
        const uint32_t least = takt_grammar_least_tokens(grammar);
        const uint32_t budgets[] = {least, least + 3, least + 60};
        for (size_t i = 0; i < BASE_COUNT(budgets); i++) {
            char *text = draw(grammar, budgets[i], seed * 10 + i);
            check(schema, text);
            free(text);
        }
        takt_grammar_close(grammar);
        json_decref(schema);
    }
}

/* Does the grammar take the text, and is it whole then? */
static bool takes(struct takt_grammar *grammar, const char *text)
{
    const uint32_t state =
        run_grammar_step(grammar, run_grammar_start(grammar), text, strlen(text));
    return run_grammar_accepts(grammar, state);
}

static struct takt_grammar *grammar_of_text(const char *schema)
{
    json_t *json = json_loads(schema, 0, NULL);
    assert_non_null(json);
    struct takt_grammar *grammar = grammar_of(json);
    json_decref(json);
    return grammar;
}

/* Both ways: what belongs is taken, what does not is not. */
static void borders(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *good[6], *bad[8];
    } cases[] = {
        {"{\"type\":\"integer\",\"minimum\":-12,\"maximum\":105}",
         {"-12", "-9", "0", "99", "105"},
         {"-13", "106", "-0", "007", "1.0", "1000", "-120"}},
        {"{\"type\":\"integer\",\"exclusiveMinimum\":7,\"exclusiveMaximum\":10.5}",
         {"8", "10"},
         {"7", "11", "80"}},
        {"{\"type\":\"integer\"}", {"0", "-1", "999999999999999"}, {"01", "1e3", "+1"}},
        {"{\"type\":\"number\"}", {"0", "-0.5", "1e9", "1.25E-07"}, {".5", "1.", "1e", "00"}},
        {"{\"type\":\"string\",\"minLength\":1,\"maxLength\":2}",
         {"\"a\"", "\"\xC3\xA9\\n\"", "\"\\u00e9\\ud83d\\ude00\""},
         {"\"\"", "\"abc\"", "\"\xC3\"", "\"\\ud83d\"", "\"\\u0000\"", "\"\t\"", "\"\\x\""}},
        {"{\"enum\":[\"a\",\"ab\",3]}", {"\"a\"", "\"ab\"", "3"}, {"\"b\"", "\"abc\"", "4"}},
        {"{\"type\":\"array\",\"items\":{\"type\":\"null\"},\"minItems\":1,\"maxItems\":2}",
         {"[null]", "[null,null]", "[null, null]"},
         {"[]", "[null,]", "[null,null,null]", "[ null]"}},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"null\"},\"b\":{\"type\":\"null\"}"
         "},\"required\":[\"b\"]}",
         {"{\"a\":null,\"b\":null}", "{\"b\": null}"},
         {"{}", "{\"a\":null}", "{\"b\":null,\"a\":null}", "{\"b\":null,}", "{,\"b\":null}"}},
        {"{\"type\":[\"integer\",\"null\"],\"minimum\":5}", {"null", "5"}, {"4", "\"\""}},
        {"{\"enum\":[1,\"x\",null],\"type\":\"string\"}", {"\"x\""}, {"1", "null"}},
    };
    for (size_t i = 0; i < BASE_COUNT(cases); i++) {
        struct takt_grammar *grammar = grammar_of_text(cases[i].schema);
        for (size_t j = 0; j < 6 && cases[i].good[j]; j++) {
            if (!takes(grammar, cases[i].good[j])) {
                fail_msg("%s: not taken: %s", cases[i].schema, cases[i].good[j]);
            }
        }
        for (size_t j = 0; j < 8 && cases[i].bad[j]; j++) {
            if (takes(grammar, cases[i].bad[j])) {
                fail_msg("%s: taken: %s", cases[i].schema, cases[i].bad[j]);
            }
        }
        takt_grammar_close(grammar);
    }
}

/* What cannot be kept is named, with its place. */
static void refusals(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *part;
        enum takt_status status;
    } cases[] = {
        {"{\"type\":\"string\",\"pattern\":\"a*\"}", "#: the keyword 'pattern'", TAKT_UNSUPPORTED},
        {"{\"properties\":{\"x\":{\"type\":\"number\",\"minimum\":1}}}",
         "#/properties/x: the keyword 'minimum'", TAKT_UNSUPPORTED},
        {"{\"oneOf\":[{}]}", "'oneOf'", TAKT_UNSUPPORTED},
        {"{\"allOf\":[{},{}]}", "'allOf'", TAKT_UNSUPPORTED},
        {"{\"type\":\"array\",\"uniqueItems\":true}", "'uniqueItems'", TAKT_UNSUPPORTED},
        {"{\"type\":\"thing\"}", "no type 'thing'", TAKT_USAGE},
        {"{\"type\":7}", "'type' must be", TAKT_USAGE},
        {"{\"$ref\":\"#/$defs/a\"}", "points at nothing", TAKT_USAGE},
        {"{\"$ref\":\"other.json\"}", "another document", TAKT_UNSUPPORTED},
        {"{\"$ref\":\"#\"}", "nothing satisfies", TAKT_UNSUPPORTED},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#\"}},\"required\":[\"a\"]}",
         "nothing satisfies", TAKT_UNSUPPORTED},
        {"{\"type\":\"string\",\"minLength\":3,\"maxLength\":2}", "nothing is at least",
         TAKT_UNSUPPORTED},
        {"{\"type\":\"string\",\"minLength\":5000}", "'minLength' of more", TAKT_UNSUPPORTED},
        {"{\"enum\":[]}", "'enum' must be", TAKT_USAGE},
        {"{\"type\":\"array\",\"items\":{\"type\":\"array\",\"minItems\":3000,\"items\":"
         "{\"type\":\"string\",\"minLength\":4000}}, \"minItems\": -1}",
         "'minItems' must be", TAKT_USAGE},
        {"[]", "must be an object", TAKT_USAGE},
        {"{", "not JSON", TAKT_FORMAT},
    };
    for (size_t i = 0; i < BASE_COUNT(cases); i++) {
        const struct takt_grammar_options options = {.kind = TAKT_GRAMMAR_SCHEMA,
                                                     .json = cases[i].schema,
                                                     .length = strlen(cases[i].schema)};
        struct takt_grammar *grammar;
        struct takt_error error = {0};
        const enum takt_status status = takt_grammar_open(&grammar, engine, &options, &error);
        if (status != cases[i].status || !strstr(error.message, cases[i].part)) {
            fail_msg("%s: %d, \"%s\"", cases[i].schema, (int)status, error.message);
        }
        assert_null(grammar);
    }
}

/* Free JSON: an object, nested no deeper than parsers like, whatever is drawn. */
static void objects(void **state)
{
    (void)state;
    const struct takt_grammar_options options = {.kind = TAKT_GRAMMAR_OBJECT};
    struct takt_grammar *grammar;
    assert_int_equal(takt_grammar_open(&grammar, engine, &options, NULL), TAKT_OK);
    assert_int_equal(takt_grammar_least_tokens(grammar), 2);
    for (uint64_t seed = 0; seed < 30; seed++) {
        char *text = draw(grammar, 2 + (uint32_t)seed * 5, seed);
        json_t *value = json_loads(text, 0, NULL);
        if (!json_is_object(value)) {
            fail_msg("not an object: %s", text);
        }
        json_decref(value);
        free(text);
    }
    char deep[400] = "{\"a\":";
    for (unsigned i = 1; i < RUN_NESTING_MAX; i++) {
        strcat(deep, "[");
    }
    const uint32_t at = run_grammar_step(grammar, run_grammar_start(grammar), deep, strlen(deep));
    assert_true(at != RUN_DEAD);
    assert_int_equal(run_grammar_step(grammar, at, "[", 1), RUN_DEAD);
    assert_true(run_grammar_step(grammar, at, "7", 1) != RUN_DEAD);
    takt_grammar_close(grammar);
}

#define CALL_F "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\":1}}\n</tool_call>"
#define CALL_G "<tool_call>\n{\"name\": \"go\", \"arguments\": {}}\n</tool_call>"

static void tools(void **state)
{
    (void)state;
    static const char json[] =
        "[{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":{\"x\":{\"type\":"
        "\"integer\"}},\"required\":[\"x\"]}},{\"name\":\"go\"}]";
    struct takt_grammar_options options = {
        .kind = TAKT_GRAMMAR_TOOLS, .json = json, .length = strlen(json), .parallel = true};
    struct takt_grammar *grammar;
    assert_int_equal(takt_grammar_open(&grammar, engine, &options, NULL), TAKT_OK);
    assert_true(takes(grammar, ""));
    assert_true(takes(grammar, "No call < here <tool_cal <<tool <tool_callx>"));
    assert_true(takes(grammar, CALL_F));
    assert_true(takes(grammar, "Let me see. " CALL_G "\n" CALL_F));
    assert_true(takes(grammar, "<<tool" CALL_F));
    assert_false(takes(grammar, "<tool_call>"));
    assert_false(takes(grammar, "so <tool_call> it is"));
    assert_false(takes(grammar, CALL_F "!"));
    assert_false(takes(grammar, CALL_F CALL_F));
    takt_grammar_close(grammar);
    options.must_call = true;
    options.parallel = false;
    assert_int_equal(takt_grammar_open(&grammar, engine, &options, NULL), TAKT_OK);
    assert_true(takes(grammar, CALL_F));
    assert_false(takes(grammar, ""));
    assert_false(takes(grammar, "x" CALL_F));
    assert_false(takes(grammar, CALL_F "\n" CALL_F));
    for (uint64_t seed = 0; seed < 10; seed++) {
        char *text = draw(grammar, takt_grammar_least_tokens(grammar) + 9, seed);
        assert_int_equal(strncmp(text, TAKT_TOOL_BEGIN, strlen(TAKT_TOOL_BEGIN)), 0);
        free(text);
    }
    takt_grammar_close(grammar);
}

/* States come and go without a trace: a long walk through free JSON, with few of them kept. */
static void many_states(void **state)
{
    (void)state;
    struct takt_grammar *grammar = grammar_of_text("{\"type\":\"string\",\"maxLength\":4000}");
    uint32_t at = run_grammar_start(grammar);
    at = run_grammar_step(grammar, at, "\"", 1);
    for (unsigned i = 0; i < 4000; i++) {
        at = run_grammar_room(grammar, at);
        at = run_grammar_step(grammar, at, "\xE2\x82\xAC", 3);
        assert_true(at != RUN_DEAD);
    }
    assert_int_equal(run_grammar_step(grammar, at, "x", 1), RUN_DEAD);
    at = run_grammar_step(grammar, at, "\"", 1);
    assert_true(run_grammar_complete(grammar, at));
    takt_grammar_close(grammar);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

TEST_GROUP(grammar, TEST(borders), TEST(refusals), TEST(objects), TEST(tools), TEST(many_states),
           TEST(random_schemas));
