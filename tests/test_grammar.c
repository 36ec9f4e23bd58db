/* Answers held to a form: whatever is drawn, it parses and satisfies the schema, and ends in time.
 */
#include "tests.h"

#include "grammar_helper.h"
#include "json_schema.h"

#include <stdlib.h>
#include <string.h>

/* Random schemas, random tokens, budgets from the least possible on. */
static void random_schemas(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        json_t *schema = json_schema_random(seed);
        struct takt_grammar *grammar = grammar_of_json(schema);
        const uint32_t least = takt_grammar_least_tokens(grammar);
        const uint32_t budgets[] = {least, least + 3, least + 60};
        for (size_t i = 0; i < BASE_COUNT(budgets); i++) {
            char *text = grammar_draw(grammar, budgets[i], seed * 10 + i);
            grammar_check(schema, text);
            free(text);
        }
        takt_grammar_close(grammar);
        json_decref(schema);
    }
}

/* Both ways: what belongs is taken, what does not is not. */
static void borders(void **state)
{
    (void)state;
    static const struct grammar_case cases[] = {
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
    grammar_check_cases(cases, BASE_COUNT(cases));
}

/* What cannot be kept is named, with its place. */
static void refusals(void **state)
{
    (void)state;
    static const struct grammar_refusal cases[] = {
        {"{\"properties\":{\"x\":{\"type\":\"string\",\"contentEncoding\":\"a\"}}}",
         "#/properties/x: the keyword 'contentEncoding'", TAKT_UNSUPPORTED},
        {"{\"type\":\"array\",\"uniqueItems\":true}", "'uniqueItems'", TAKT_UNSUPPORTED},
        {"{\"type\":\"thing\"}", "no type 'thing'", TAKT_USAGE},
        {"{\"type\":7}", "'type' must be", TAKT_USAGE},
        {"{\"$ref\":\"#/$defs/a\"}", "points at nothing", TAKT_USAGE},
        {"{\"$ref\":\"other.json\"}", "another document", TAKT_UNSUPPORTED},
        {"{\"$ref\":\"#\"}", "nothing satisfies", TAKT_UNSUPPORTED},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#\"}},\"required\":[\"a\"]}",
         "nothing satisfies", TAKT_UNSUPPORTED},
        {"{\"type\":\"string\",\"minLength\":3,\"maxLength\":2}", "no string is", TAKT_UNSUPPORTED},
        {"{\"type\":\"string\",\"minLength\":5000}", "'minLength' of more", TAKT_UNSUPPORTED},
        {"{\"enum\":[]}", "'enum' must be", TAKT_USAGE},
        {"{\"type\":\"array\",\"items\":{\"type\":\"array\",\"minItems\":3000,\"items\":"
         "{\"type\":\"string\",\"minLength\":4000}}, \"minItems\": -1}",
         "'minItems' must be", TAKT_USAGE},
        {"[]", "must be an object", TAKT_USAGE},
        {"{", "not JSON", TAKT_FORMAT},
    };
    grammar_check_refusals(cases, BASE_COUNT(cases));
}

/* Free JSON: an object, nested no deeper than parsers like, whatever is drawn. */
static void objects(void **state)
{
    (void)state;
    const struct takt_grammar_options options = {.kind = TAKT_GRAMMAR_OBJECT};
    struct takt_grammar *grammar;
    assert_int_equal(takt_grammar_open(&grammar, grammar_engine, &options, NULL), TAKT_OK);
    assert_int_equal(takt_grammar_least_tokens(grammar), 2);
    for (uint64_t seed = 0; seed < 30; seed++) {
        char *text = grammar_draw(grammar, 2 + (uint32_t)seed * 5, seed);
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
    assert_int_equal(takt_grammar_open(&grammar, grammar_engine, &options, NULL), TAKT_OK);
    assert_true(grammar_takes(grammar, ""));
    assert_true(grammar_takes(grammar, "No call < here <tool_cal <<tool <tool_callx>"));
    assert_true(grammar_takes(grammar, CALL_F));
    assert_true(grammar_takes(grammar, "Let me see. " CALL_G "\n" CALL_F));
    assert_true(grammar_takes(grammar, "<<tool" CALL_F));
    assert_false(grammar_takes(grammar, "<tool_call>"));
    assert_false(grammar_takes(grammar, "so <tool_call> it is"));
    assert_false(grammar_takes(grammar, CALL_F "!"));
    assert_false(grammar_takes(grammar, CALL_F CALL_F));
    takt_grammar_close(grammar);
    options.must_call = true;
    options.parallel = false;
    assert_int_equal(takt_grammar_open(&grammar, grammar_engine, &options, NULL), TAKT_OK);
    assert_true(grammar_takes(grammar, CALL_F));
    assert_false(grammar_takes(grammar, ""));
    assert_false(grammar_takes(grammar, "x" CALL_F));
    assert_false(grammar_takes(grammar, CALL_F "\n" CALL_F));
    for (uint64_t seed = 0; seed < 10; seed++) {
        char *text = grammar_draw(grammar, takt_grammar_least_tokens(grammar) + 9, seed);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, grammar_setup, grammar_teardown)

TEST_GROUP(grammar, TEST(borders), TEST(refusals), TEST(objects), TEST(tools), TEST(many_states),
           TEST(random_schemas));
