/* Schemas taken together ('allOf', 'oneOf', '$ref' and 'anyOf' beside other keywords), and what
 * objects and arrays may have beyond named members. */
#include "tests.h"

#include "grammar_helper.h"
#include "json_schema.h"

#include <stdlib.h>
#include <string.h>

#define OBJECT(text) "{\"type\":\"object\"," text "}"
#define ARRAY(text) "{\"type\":\"array\"," text "}"

static void together(void **state)
{
    (void)state;
    static const struct grammar_case cases[] = {
        {"{\"allOf\":[{\"type\":\"integer\",\"minimum\":3},{\"maximum\":5,"
         "\"multipleOf\":2},{\"minimum\":1,"
         "\"multipleOf\":4}]}",
         {"4"},
         {"3", "2", "8", "5"}},
        {"{\"type\":[\"string\",\"null\"],\"minLength\":2,\"allOf\":[{\"pattern\":\"^"
         "a\"},{\"pattern\":\"b$\"},"
         "{\"maxLength\":3}]}",
         {"\"ab\"", "\"axb\"", "null"},
         {"\"a\"", "\"axxb\"", "\"bb\"", "\"ac\""}},
        {"{\"allOf\":[{\"type\":\"number\"},{\"type\":[\"integer\",\"string\"]}]}",
         {"7", "-3"},
         {"7.5", "\"\""}},
        {"{\"allOf\":[" OBJECT(
             "\"properties\":{\"a\":{\"type\":\"integer\"}},"
             "\"required\":[\"a\"]") "," OBJECT("\"properties\":{\"b\":{\"type\":\"null\"},\"a\":{"
                                                "\"minimum\":5}},"
                                                "\"required\":[\"b\"]") "]}",
         {"{\"a\":5,\"b\":null}"},
         {"{\"a\":4,\"b\":null}", "{\"a\":5}", "{\"b\":null}", "{\"b\":null,\"a\":5}"}},
        {"{\"allOf\":[" OBJECT(
             "\"properties\":{\"a\":{}},\"additionalProperties\":"
             "false") "," OBJECT("\"properties\":{\"b\":{},\"a\":{\"type\":\"null\"}}") "]}",
         {"{}", "{\"a\":null}"},
         {"{\"b\":null}", "{\"a\":null,\"b\":1}", "{\"a\":1}"}},
        {"{\"$ref\":\"#/$defs/"
         "p\",\"maximum\":7,\"title\":\"t\",\"$defs\":{\"p\":{\"type\":\"integer\","
         "\"minimum\":6}}}",
         {"6", "7"},
         {"5", "8"}},
        {OBJECT("\"properties\":{\"a\":{\"type\":\"null\"},\"b\":{\"type\":\"null\"}},"
                "\"anyOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]"),
         {"{\"a\":null}", "{\"b\":null}", "{\"a\":null,\"b\":null}"},
         {"{}"}},
        {"{\"allOf\":[{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"integer\"}]},{"
         "\"anyOf\":[{\"minimum\":3},"
         "{\"type\":\"boolean\"},{\"type\":\"string\",\"maxLength\":1}]}]}",
         {"3", "\"x\"", "\"xy\""}, /* of strings, 'minimum' says nothing */
         {"true", "2", "3.5"}},
    };
    grammar_check_cases(cases, BASE_COUNT(cases));
    static const struct grammar_case values[] = {
        {"{\"enum\":[1,2,3.5,\"a\",\"bb\",[4],{\"x\":1}],\"minimum\":2,\"maxLength\":1,\"items\":"
         "false}",
         {"2", "3.5", "\"a\"", "{\"x\":1}"},
         {"1", "\"bb\"", "[4]"}},
        {"{\"enum\":[[1,1],[1,2],{\"a\":1},{\"b\":1},{\"c\":\"x\"}],\"uniqueItems\":true,"
         "\"propertyNames\":{\"pattern\":\"[ac]\"},"
         "\"additionalProperties\":{\"type\":\"integer\"}}",
         {"[1,2]", "{\"a\":1}"},
         {"[1,1]", "{\"b\":1}", "{\"c\":\"x\"}"}},
        {"{\"const\":0.1}", {"0.1"}, {"0.10000000000000001"}},
        {"{\"const\":{\"a\":[1,2.5,null,true,\"\\u00e9\"]}}",
         {"{\"a\":[1,2.5,null,true,\"\xC3\xA9\"]}"},
         {"{}"}},
        {"{\"allOf\":[{\"enum\":[1,2,3]},{\"enum\":[3,2.0,9]},{\"const\":2}]}", {"2"}, {"3", "1"}},
    };
    grammar_check_cases(values, BASE_COUNT(values));
}

static void one_of(void **state)
{
    (void)state;
    static const struct grammar_case cases[] = {
        {"{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"integer\"},{\"type\":\"null\"}]}",
         {"\"\"", "1", "null"},
         {"1.5"}},
        {"{\"oneOf\":[{\"type\":\"integer\",\"maximum\":3},{\"type\":\"number\","
         "\"exclusiveMinimum\":3}]}",
         {"3", "3.5"},
         {"2.5"}},
        {"{\"oneOf\":[" OBJECT("\"properties\":{\"k\":{\"const\":\"a\"},\"v\":{}},\"required\":"
                               "[\"k\"]") "," OBJECT("\"properties\":{\"k\":{\"enum\":[\"b\",\"c\"]"
                                                     "}},\"required\":[\"k\"]") "]}",
         {"{\"k\":\"a\"}", "{\"k\":\"c\"}", "{\"k\":\"a\",\"v\":1}"},
         {"{}", "{\"k\":\"c\",\"v\":1}"}},
        /* Neither writes what the other requires. */
        {"{\"oneOf\":[" OBJECT("\"properties\":{\"a\":{\"type\":\"null\"}},\"required\":["
                               "\"a\"]") "," OBJECT("\"properties\":{\"b\":{\"type\":\"null\"}},"
                                                    "\"required\":[\"b\"]") "]}",
         {"{\"a\":null}", "{\"b\":null}"},
         {"{\"a\":null,\"b\":null}", "{}"}},
        {"{\"oneOf\":[{\"type\":\"string\",\"pattern\":\"^a\"},{\"type\":\"string\","
         "\"pattern\":\"^[b-z]\"}]}",
         {"\"a\"", "\"b\""},
         {"\"\"", "\"A\""}},
        {"{\"oneOf\":[{\"enum\":[1,\"x\"]},{\"type\":\"string\",\"minLength\":2}]}",
         {"1", "\"x\"", "\"yy\""},
         {"\"y\""}},
        {"{\"oneOf\":[" ARRAY("\"maxItems\":1") "," ARRAY(
             "\"minItems\":2,\"items\":{\"type\":\"null\"}") "]}",
         {"[]", "[1]", "[null,null]"},
         {"[null,1]"}},
        {"{\"oneOf\":[" ARRAY("\"prefixItems\":[{\"const\":1}],\"minItems\":1") "," ARRAY(
             "\"prefixItems\":[{\"const\":2}],\"minItems\":1,\"maxItems\":1") "]}",
         {"[1]", "[2]", "[1,2]"},
         {"[2,1]", "[]"}},
        {"{\"oneOf\":[{\"$ref\":\"#/$defs/leaf\"},{\"$ref\":\"#/$defs/"
         "node\"}],\"$defs\":{\"leaf\":{\"type\":\"integer\"},"
         "\"node\":" OBJECT("\"properties\":{\"l\":{\"$ref\":\"#\"},\"r\":{\"$ref\":\"#\"}},"
                            "\"required\":[\"l\",\"r\"]") "}}",
         {"1", "{\"l\":1,\"r\":{\"l\":2,\"r\":3}}"},
         {"{\"l\":1}"}},
        {"{\"oneOf\":[{\"type\":\"boolean\"}],\"discriminator\":{\"propertyName\":\"k\"}}",
         {"true"},
         {"1"}},
    };
    grammar_check_cases(cases, BASE_COUNT(cases));
}

static void members(void **state)
{
    (void)state;
    static const struct grammar_case cases[] = {
        {OBJECT("\"properties\":{\"a\":{\"type\":\"null\"}},\"additionalProperties\":{\"type\":"
                "\"integer\"}"),
         {"{}", "{\"a\":null}", "{\"a\":null,\"b\":1,\"aa\":2}", "{\"\":3}"},
         {"{\"a\":1}", "{\"\\u0061\":1}", "{\"b\":null}", "{\"b\":1,\"a\":null}"}},
        {OBJECT("\"required\":[\"a\"],\"additionalProperties\":{\"type\":\"integer\"}"),
         {"{\"a\":1}", "{\"a\":1,\"b\":2}"},
         {"{\"a\":null}", "{}", "{\"b\":1}"}},
        {OBJECT("\"properties\":{\"a\":{\"type\":\"null\"},\"b\":{\"type\":\"null\"},\"c\":{"
                "\"type\":\"null\"}},"
                "\"minProperties\":1,\"maxProperties\":2"),
         {"{\"a\":null}", "{\"a\":null,\"c\":null}", "{\"c\":null}"},
         {"{}", "{\"a\":null,\"b\":null,\"c\":null}"}},
        {OBJECT("\"properties\":{\"a\":{},\"b\":{}},\"required\":[\"b\"],\"maxProperties\":1"),
         {"{\"b\":1}"},
         {"{\"a\":1}", "{\"a\":1,\"b\":1}"}},
        {OBJECT("\"minProperties\":1,\"maxProperties\":2"),
         {"{\"x\":1}", "{\"x\":1,\"y\":[]}"},
         {"{}", "{\"x\":1,\"y\":2,\"z\":3}"}},
        {OBJECT("\"properties\":{\"a\":{\"type\":\"null\"}},\"additionalProperties\":{\"type\":"
                "\"integer\"},\"minProperties\":2,"
                "\"maxProperties\":3"),
         {"{\"a\":null,\"b\":1}", "{\"a\":null,\"b\":1,\"c\":1}"},
         {"{\"b\":1,\"c\":1}", "{\"a\":null}", "{\"a\":null,\"b\":1,\"c\":1,\"d\":1}"}},
        {OBJECT("\"patternProperties\":{\"^n_\":{\"type\":\"integer\"},\"_s$\":{\"minimum\":5}},"
                "\"additionalProperties\":{\"type\":\"null\"},\"properties\":{\"n_1\":{\"maximum\":"
                "9}}"),
         {"{\"n_\":1}", "{\"n_s\":5}", "{\"x\":null}", "{\"n_1\":9,\"_s\":5.5}"},
         {"{\"n_\":null}", "{\"n_s\":4}", "{\"x\":1}", "{\"n_1\":10}", "{\"n_1\":\"\"}",
          "{\"n_s\":5.5}"}},
        {OBJECT("\"patternProperties\":{\"^a\":{\"type\":\"null\"}}"),
         {"{}", "{\"ab\":null}"},
         {"{\"b\":1}", "{\"a\":1}"}},
        {OBJECT("\"propertyNames\":{\"pattern\":\"^[a-z]+$\",\"maxLength\":2},"
                "\"additionalProperties\":{\"type\":\"null\"}"),
         {"{}", "{\"ab\":null}"},
         {"{\"abc\":null}", "{\"A\":null}", "{\"ab\":1}"}},
        {OBJECT("\"propertyNames\":{\"enum\":[\"x\",\"y\"]},\"additionalProperties\":{\"type\":"
                "\"null\"},\"properties\":{\"z\":{}}"),
         {"{\"x\":null,\"y\":null}"},
         {"{\"z\":1}", "{\"w\":null}"}},
        {OBJECT("\"properties\":{\"a\":false,\"b\":true}"), {"{}", "{\"b\":1}"}, {"{\"a\":1}"}},
        {OBJECT("\"properties\":{\"a\":{\"allOf\":[{\"type\":\"null\"},{\"type\":\"string\"}]},"
                "\"b\":true}"),
         {"{}", "{\"b\":1}"},
         {"{\"a\":null}"}},
    };
    grammar_check_cases(cases, BASE_COUNT(cases));
}

static void items(void **state)
{
    (void)state;
    static const struct grammar_case cases[] = {
        {ARRAY("\"prefixItems\":[{\"type\":\"integer\"},{\"type\":\"null\"}],\"items\":{"
               "\"type\":\"boolean\"}"),
         {"[]", "[1]", "[1,null]", "[1, null,true,false]"},
         {"[null]", "[1,1]", "[1,null,1]"}},
        {ARRAY("\"prefixItems\":[{\"type\":\"integer\"},{\"type\":\"null\"}],\"items\":false,"
               "\"minItems\":1"),
         {"[1]", "[1,null]"},
         {"[]", "[1,null,1]"}},
        {ARRAY("\"items\":[{\"type\":\"integer\"}],\"additionalItems\":{\"type\":\"null\"},"
               "\"maxItems\":2"),
         {"[]", "[1]", "[1,null]"},
         {"[null]", "[1,1]", "[1,null,null]"}},
        {ARRAY("\"prefixItems\":[{\"type\":\"integer\"},{\"type\":\"null\"}],\"maxItems\":1"),
         {"[]", "[1]"},
         {"[1,null]"}},
        {ARRAY("\"uniqueItems\":true,\"items\":{\"enum\":[\"a\",\"b\",3]},\"minItems\":1,"
               "\"maxItems\":2"),
         {"[\"a\"]", "[\"a\", 3]", "[3]"},
         {"[]", "[\"a\",\"a\"]", "[3,\"a\"]", "[\"a\",\"b\",3]"}},
        {ARRAY("\"uniqueItems\":false,\"items\":{\"type\":\"null\"}"), {"[null,null]"}, {"[1]"}},
        {ARRAY("\"uniqueItems\":true,\"items\":{\"type\":\"null\"},\"maxItems\":1"),
         {"[null]"},
         {"[null,null]"}},
        {"{\"allOf\":[" ARRAY(
             "\"prefixItems\":[{\"minimum\":3}],\"items\":{\"type\":"
             "\"integer\"}") "," ARRAY("\"items\":{\"maximum\":4},\"maxItems\":2") "]}",
         {"[]", "[3.5]", "[4,-7]"},
         {"[5]", "[2]", "[3,5]", "[3,3.5]", "[3,3,3]"}},
        {"{\"allOf\":[" ARRAY("\"items\":[{\"minimum\":3}],\"additionalItems\":{\"type\":"
                              "\"null\"}") "," ARRAY("\"items\":[{\"type\":\"integer\"},{}],"
                                                     "\"additionalItems\":false") "]}",
         {"[]", "[3]", "[4,null]"},
         {"[2]", "[3.5]", "[3,3]", "[3,null,null]"}},
        {"{\"items\":false}", {"[]"}, {"[1]"}},
    };
    grammar_check_cases(cases, BASE_COUNT(cases));
}

static void refusals(void **state)
{
    (void)state;
    static const struct grammar_refusal cases[] = {
        {"{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"number\"}]}",
         "#: 'oneOf': what is written for branch 0", TAKT_UNSUPPORTED},
        {"{\"oneOf\":[{},{}]}", "'oneOf'", TAKT_UNSUPPORTED},
        {"{\"oneOf\":[" OBJECT("\"properties\":{\"a\":{}},\"required\":[\"a\"]") "," OBJECT(
             "\"properties\":{\"b\":{}}") "]}",
         "branch 0 might satisfy branch 1", TAKT_UNSUPPORTED},
        {"{\"oneOf\":[{\"type\":\"string\",\"format\":\"date\"},{\"type\":\"string\",\"format\":"
         "\"uuid\"}]}",
         "'oneOf'", TAKT_UNSUPPORTED},
        {"{\"oneOf\":[" OBJECT(
             "\"properties\":{\"a\":{},\"b\":{}},\"required\":[\"a\"]") "," OBJECT("\"properties\":"
                                                                                   "{\"a\":{},"
                                                                                   "\"b\":{}},"
                                                                                   "\"required\":["
                                                                                   "\"b\"]") "]}",
         "branch 0 might satisfy branch 1", TAKT_UNSUPPORTED},
        {"{\"oneOf\":[{\"type\":\"integer\",\"maximum\":3},{\"type\":\"integer\",\"minimum\":3}]}",
         "'oneOf'", TAKT_UNSUPPORTED},
        /* A second that is a leap: of the format, though never written. */
        {"{\"oneOf\":[{\"enum\":[\"1990-12-31T23:59:60Z\"]},{\"type\":\"string\",\"format\":\"date-"
         "time\"}]}",
         "'oneOf'", TAKT_UNSUPPORTED},
        {"{\"allOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}", "nothing satisfies",
         TAKT_UNSUPPORTED},
        {"{\"allOf\":[{\"$ref\":\"#\"}]}", "that lead to themselves", TAKT_LIMIT},
        {"{\"allOf\":[]}", "'allOf' must be an array", TAKT_USAGE},
        {"{\"allOf\":[{\"properties\":{\"a\":{}}},{\"if\":{}}]}", "#/allOf/1: the keyword 'if'",
         TAKT_UNSUPPORTED},
        {"{\"allOf\":[{\"properties\":{\"a\":{\"items\":[{},{\"pattern\":\"a(?=b)\"}]}}}]}",
         "#/allOf/0/properties/a/items/1: 'pattern': at offset 1, look-ahead", TAKT_UNSUPPORTED},
        {"{\"anyOf\":[{\"$ref\":\"#/$defs/a\"},{}],\"$defs\":{\"a\":{\"$ref\":\"#/$defs/"
         "b\"},\"b\":{\"additionalProperties\":"
         "{\"contains\":{}}},\"c\":{\"unused\":1}}}",
         "#/$defs/b/additionalProperties: the keyword 'contains'", TAKT_UNSUPPORTED},
        {OBJECT("\"patternProperties\":{\"^a\":{\"maxItems\":\"1\"}}"),
         "#/patternProperties/^a: 'maxItems' must be a whole", TAKT_USAGE},
        {"{\"not\":{}}", "#: the keyword 'not'", TAKT_UNSUPPORTED},
        {"{\"properties\":{\"a\":{\"oneOf\":[{\"dependentRequired\":{}}]}}}",
         "#/properties/a/oneOf/0: the keyword 'dependentRequired'", TAKT_UNSUPPORTED},
        {"{\"allOf\":[{\"multipleOf\":0.5},{\"multipleOf\":0.3}]}", "two of 'multipleOf'",
         TAKT_UNSUPPORTED},
        {"{\"allOf\":[{\"properties\":{\"a\":{}}},{\"patternProperties\":{\"a\":{}}}]}",
         "'patternProperties' cannot", TAKT_UNSUPPORTED},
        {OBJECT("\"minProperties\":2"), "'minProperties' of 2", TAKT_UNSUPPORTED},
        {OBJECT("\"properties\":{\"a\":{}},\"minProperties\":2"), "fewer than 2", TAKT_UNSUPPORTED},
        {OBJECT("\"minProperties\":1,\"maxProperties\":0"), "at least 1 and at most 0",
         TAKT_UNSUPPORTED},
        {OBJECT("\"patternProperties\":{\"(?=a)\":{}}"), "'patternProperties': at offset 0",
         TAKT_UNSUPPORTED},
        {OBJECT("\"propertyNames\":{\"anyOf\":[{\"minLength\":1},{\"maxLength\":0}]}"),
         "'propertyNames' of alternatives", TAKT_UNSUPPORTED},
        {OBJECT("\"required\":[\"a\"],\"additionalProperties\":false"), "nothing satisfies",
         TAKT_UNSUPPORTED},
        {ARRAY("\"uniqueItems\":true,\"items\":{\"type\":\"integer\"}"),
         "'uniqueItems' is supported for items of an", TAKT_UNSUPPORTED},
        {ARRAY("\"uniqueItems\":true,\"items\":{\"enum\":[1]},\"minItems\":2"), "fewer than 2",
         TAKT_UNSUPPORTED},
        /* Left recursion: a schema that is first of all itself. */
        {OBJECT("\"properties\":{\"a\":{\"$ref\":\"#/$defs/"
                "x\"}},\"required\":[\"a\"],\"$defs\":{\"x\":"
                "{\"anyOf\":[{\"$ref\":\"#/$defs/x\"},{\"type\":\"null\"}]}}"),
         "leads to itself", TAKT_UNSUPPORTED},
        {"{\"enum\":[{}],\"required\":{}}", "'required' must be an array of strings", TAKT_USAGE},
        {"{\"allOf\":[{\"type\":\"integer\"},{\"enum\":[1],\"minimum\":{}}]}",
         "#/allOf/1: 'minimum' must be a number", TAKT_USAGE},
        {"{\"propertyNames\":7}", "'propertyNames' must be a schema", TAKT_USAGE},
        {"{\"items\":[{}],\"prefixItems\":[{}]}", "'items' beside 'prefixItems'", TAKT_USAGE},
        {ARRAY("\"uniqueItems\":1"), "'uniqueItems' must be a boolean", TAKT_USAGE},
        {ARRAY("\"prefixItems\":{}"), "'prefixItems' must be", TAKT_USAGE},
        {ARRAY("\"items\":false,\"minItems\":1"), "nothing has at least 1", TAKT_UNSUPPORTED},
        /* Not known to be of the format: not written. */
        {"{\"enum\":[{\"1990-12-31T23:59:60Z\":1}],\"propertyNames\":{\"format\":\"date-time\"}}",
         "no value of 'enum'", TAKT_UNSUPPORTED},
        {"{\"enum\":[1,2],\"minimum\":3}", "no value of 'enum'", TAKT_UNSUPPORTED},
        {"false", "not JSON", TAKT_FORMAT},
    };
    grammar_check_refusals(cases, BASE_COUNT(cases));
}

/* More alternatives than a state has room for at first, each with a beginning of its own. */
static void many_branches(void **state)
{
    (void)state;
    struct base_text schema = {0};
    base_text_format(&schema, "{\"type\":\"array\",\"items\":{\"anyOf\":[");
    for (unsigned i = 0; i < 3000; i++) {
        base_text_format(&schema, "%s{\"type\":\"string\",\"pattern\":\"^x%u[^a]*$\"}",
                         i > 0 ? "," : "", i);
    }
    base_text_format(&schema, "]}}");
    struct takt_grammar *grammar = grammar_of_text(schema.data);
    assert_true(grammar_takes(grammar, "[\"x0\",\"x2999bc\",\"x17\"]"));
    assert_false(grammar_takes(grammar, "[\"x3000a\"]"));
    assert_false(grammar_takes(grammar, "[\"y1\"]"));
    char *text = grammar_draw(grammar, 60, 1);
    json_t *json = json_loads(schema.data, 0, NULL);
    grammar_check(json, text);
    json_decref(json);
    free(text);
    takt_grammar_close(grammar);
    base_text_free(&schema);
}

/* Nodes and rules move while a schema is compiled: wherever they do, loops are closed. */
static void many_sizes(void **state)
{
    (void)state;
    for (unsigned size = 1; size < 1200; size += 1 + size / 400) {
        char schema[256];
        snprintf(
            schema, sizeof schema,
            OBJECT("\"properties\":{\"a\":{\"pattern\":\"^x{%u}$\"},\"b\":" ARRAY(
                "\"items\":{\"type\":\"null\"}") "},\"additionalProperties\":{\"type\":\"null\"}"),
            size);
        struct takt_grammar *grammar = grammar_of_text(schema);
        assert_true(
            grammar_takes(grammar, "{\"b\":[null,null,null],\"c\":null,\"d\":null,\"e\":null}"));
        assert_true(grammar_takes(grammar, "{\"cc\":null,\"dd\":null,\"e\":null}"));
        takt_grammar_close(grammar);
    }
}

/* Long values that differ at their end only, and a set of very many. */
static void large_values(void **state)
{
    (void)state;
    enum { LENGTH = 100000, COUNT = 4000 };
    char *same = malloc(LENGTH + 1);
    memset(same, 'a', LENGTH);
    same[LENGTH] = '\0';
    struct base_text schema = {0}, text = {0};
    base_text_format(&schema, "{\"enum\":[\"%sx\",\"%sy\",\"%s\"]}", same, same, same);
    base_text_format(&text, "\"%sy\"", same);
    struct takt_grammar *grammar = grammar_of_text(schema.data);
    assert_true(grammar_takes(grammar, text.data));
    text.data[text.length - 2] = 'z';
    assert_false(grammar_takes(grammar, text.data));
    takt_grammar_close(grammar);
    base_text_free(&schema);
    base_text_free(&text);
    free(same);

    base_text_format(
        &schema, "{\"type\":\"array\",\"maxItems\":5,\"uniqueItems\":true,\"items\":{\"enum\":[0");
    for (int i = 1; i < COUNT; i++) {
        base_text_format(&schema, ",%d", i);
    }
    base_text_format(&schema, "]}}");
    grammar = grammar_of_text(schema.data);
    assert_true(grammar_takes(grammar, "[0,1,17,3998,3999]"));
    assert_false(grammar_takes(grammar, "[1,0]"));
    assert_false(grammar_takes(grammar, "[1,2,3,4,5,6]"));
    takt_grammar_close(grammar);
    base_text_free(&schema);
}

/* Random schemas: what is not refused is kept to. */
static void random_together(void **state)
{
    (void)state;
    unsigned opened = 0, refused_properly = 0;
    const uint64_t count = 400;
    for (uint64_t seed = 0; seed < count; seed++) {
        json_t *schema = json_schema_random_together(seed);
        char *text = json_dumps(schema, 0);
        const struct takt_grammar_options options = {
            .kind = TAKT_GRAMMAR_SCHEMA, .json = text, .length = strlen(text)};
        struct takt_grammar *grammar;
        struct takt_error error;
        if (takt_grammar_open(&grammar, grammar_engine, &options, &error) != TAKT_OK) {
            if (error.status != TAKT_UNSUPPORTED) {
                fail_msg("%s: %s", text, error.message);
            }
            refused_properly++;
        } else {
            opened++;
            const uint32_t least = takt_grammar_least_tokens(grammar);
            const uint32_t budgets[] = {least, least + 2, least + 8, least + 50};
            for (size_t i = 0; i < BASE_COUNT(budgets); i++) {
                char *drawn = grammar_draw(grammar, budgets[i], seed * 10 + i);
                grammar_check(schema, drawn);
                free(drawn);
            }
            takt_grammar_close(grammar);
        }
        free(text);
        json_decref(schema);
    }
    assert_int_equal(opened + refused_properly, count);
    assert_in_range(opened, count / 3, count);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, grammar_setup, grammar_teardown)

TEST_GROUP(schema_together, TEST(together), TEST(one_of), TEST(members), TEST(items),
           TEST(refusals), TEST(many_branches), TEST(many_sizes), TEST(large_values),
           TEST(random_together));
