/* Numbers between bounds and multiples: tables, and random ones counted in ten-thousandths. */
#include "tests.h"

#include "grammar_helper.h"
#include "json_schema.h"

#include <stdlib.h>
#include <string.h>

#define INTEGER(text) "{\"type\":\"integer\"," text "}"
#define NUMBER(text) "{\"type\":\"number\"," text "}"

static void tables(void **state)
{
    (void)state;
    static const struct grammar_case cases[] = {
        {INTEGER("\"multipleOf\":7,\"minimum\":-21,\"maximum\":35"),
         {"-21", "-7", "0", "7", "35"},
         {"-28", "1", "42", "-0", "6", "70"}},
        {INTEGER("\"multipleOf\":86400"),
         {"0", "86400", "-172800", "999999993600"},
         {"1", "86401", "8640"}},
        {INTEGER("\"multipleOf\":0.5,\"minimum\":1.5"),
         {"2", "3", "999999999999999"},
         {"1", "1.5"}},
        {INTEGER("\"multipleOf\":2.5"), {"0", "5", "-10"}, {"2", "1", "2.5", "7"}},
        {INTEGER("\"maximum\":9223372036854775807,\"minimum\":-9223372036854775808"),
         {"999999999999999", "-999999999999999"},
         {"9223372036854775807", "1000000000000000"}},
        {INTEGER("\"format\":\"int32\""),
         {"2147483647", "-2147483648"},
         {"2147483648", "-2147483649"}},
        {INTEGER("\"format\":\"int32\",\"minimum\":0"), {"0", "2147483647"}, {"2147483648", "-1"}},
        {INTEGER("\"format\":\"int64\""), {"999999999999999"}, {"1.5"}},
        {NUMBER("\"minimum\":0,\"maximum\":1"),
         {"0", "1", "0.0", "1.0", "0.5", "0.99999999999999", "1.00000000000000"},
         {"-0", "-0.1", "1.1", "1.00000000000001", "2", "0.", "00", "1e0", "10"}},
        {NUMBER("\"exclusiveMinimum\":0,\"exclusiveMaximum\":1"),
         {"0.1", "0.00000000000001", "0.99999999999999"},
         {"0", "0.0", "1", "1.0", "0.00000000000000"}},
        {NUMBER("\"minimum\":-2.25,\"maximum\":-0.5"),
         {"-2.25", "-0.5", "-1", "-2.2", "-2.249999", "-0.50"},
         {"-2.26", "-0.49", "-0", "0", "1", "-3"}},
        {NUMBER("\"minimum\":0"),
         {"0", "999999999.999999", "17.5"},
         {"1000000000", "0.0000001", "-1"}},
        {NUMBER("\"minimum\":1.5"),
         {"1.5", "1.500001", "2", "10.25"},
         {"1.4", "1.499999", "1", "0"}},
        {NUMBER("\"maximum\":1e300,\"minimum\":123456789012"),
         {"123456789012", "123456789012.001"},
         {"123456789011.999", "1"}},
        {NUMBER("\"multipleOf\":0.01"),
         {"0", "19.99", "-0.1", "5.000", "999999999.99"},
         {"0.001", "19.995"}},
        {NUMBER("\"multipleOf\":0.25,\"exclusiveMinimum\":0"),
         {"0.25", "0.5", "10.75", "3"},
         {"0", "0.2", "0.1"}},
        {NUMBER("\"multipleOf\":3"), {"0", "3.0", "-12"}, {"1", "3.5", "3.000003"}},
        {NUMBER("\"format\":\"float\""), {"1.5"}, {"1e39", "1000000000000"}},
        {"{\"type\":[\"number\",\"string\"],\"minimum\":3}", {"3", "\"\""}, {"2.9", "null"}},
        {"{\"minimum\":3}", {"3", "3.5"}, {"2", "\"\""}},
    };
    grammar_check_cases(cases, BASE_COUNT(cases));
    static const struct grammar_refusal refusals[] = {
        {INTEGER("\"minimum\":1.2,\"maximum\":1.8"), "no whole number of at most 15",
         TAKT_UNSUPPORTED},
        {INTEGER("\"minimum\":1e15"), "no whole number", TAKT_UNSUPPORTED},
        {INTEGER("\"minimum\":1,\"maximum\":6,\"multipleOf\":7"), "bounds and a multiple",
         TAKT_UNSUPPORTED},
        {INTEGER("\"minimum\":1,\"multipleOf\":1000000000000007"), "and a multiple",
         TAKT_UNSUPPORTED},
        {INTEGER("\"multipleOf\":0"), "'multipleOf' must be more than 0", TAKT_USAGE},
        {INTEGER("\"multipleOf\":\"2\""), "'multipleOf' must be a number", TAKT_USAGE},
        {INTEGER("\"format\":\"uint7\""), "the format 'uint7'", TAKT_UNSUPPORTED},
        {NUMBER("\"minimum\":0.12345678901234567"), "more than 15 digits", TAKT_UNSUPPORTED},
        {NUMBER("\"exclusiveMinimum\":true"), "'exclusiveMinimum' must be a number", TAKT_USAGE},
        {NUMBER("\"exclusiveMinimum\":5,\"maximum\":5"), "no number of at most", TAKT_UNSUPPORTED},
    };
    grammar_check_refusals(refusals, BASE_COUNT(refusals));
}

/* ---- at random ------------------------------------------------------------------------------- */

#define UNIT 10000 /* numbers are counted in 1/10000 */

static uint32_t below(uint64_t seed, uint64_t *drawn, uint32_t count)
{
    return (uint32_t)(base_random_u64(seed, 11, (*drawn)++) % count);
}

/* -12.5 and so on; `digits` behind the point, at most 4. */
static void write_number(char *text, size_t size, long units, unsigned digits)
{
    static const long parts[] = {10000, 1000, 100, 10, 1};
    const long magnitude = units < 0 ? -units : units;
    const int used = snprintf(text, size, "%s%ld", units < 0 ? "-" : "", magnitude / UNIT);
    if (digits > 0) {
        snprintf(text + used, size - (size_t)used, ".%0*ld", (int)digits,
                 magnitude % UNIT / parts[digits]);
    }
}

/* The least number of digits behind the point that say it all. */
static unsigned digits_of(long units)
{
    unsigned digits = 4;
    for (; digits > 0 && units % 10 == 0; digits--) {
        units /= 10;
    }
    return digits;
}

/* One random schema, and numbers near its bounds, both ways. */
static unsigned check_one(uint64_t seed)
{
    uint64_t drawn = 0;
    char schema[256] = "{\"type\":\"number\"", text[32];
    static const char *const keys[] = {"minimum", "maximum", "exclusiveMinimum",
                                       "exclusiveMaximum"};
    long limits[4] = {-1000000000, 1000000000, -1000000000, 1000000000}, multiple = 1;
    for (size_t i = 0; i < 4; i++) {
        if (below(seed, &drawn, 2)) {
            static const long grains[] = {1, 50, 1000, 10000, 100000};
            limits[i] = ((long)below(seed, &drawn, 400) - (i % 2 ? 100 : 300)) *
                        grains[below(seed, &drawn, 5)];
            write_number(text, sizeof text, limits[i], digits_of(limits[i]));
            snprintf(schema + strlen(schema), 64, ",\"%s\":%s", keys[i], text);
        }
    }
    if (below(seed, &drawn, 2)) {
        static const long multiples[] = {1, 100, 2500, 10000, 30000, 4000, 70000, 3, 120000};
        multiple = multiples[below(seed, &drawn, BASE_COUNT(multiples))];
        write_number(text, sizeof text, multiple, digits_of(multiple));
        snprintf(schema + strlen(schema), 64, ",\"multipleOf\":%s", text);
    }
    strcat(schema, "}");
    struct takt_grammar *grammar;
    const struct takt_grammar_options options = {
        .kind = TAKT_GRAMMAR_SCHEMA, .json = schema, .length = strlen(schema)};
    struct takt_error error;
    const bool opened = takt_grammar_open(&grammar, grammar_engine, &options, &error) == TAKT_OK;
    unsigned taken = 0;
    for (unsigned i = 0; i < 300; i++) {
        long units = limits[below(seed, &drawn, 4)];
        units = labs(units) == 1000000000 ? 0 : units;
        static const long grains[] = {1, 25, 1000, 10000};
        units += ((long)below(seed, &drawn, 41) - 20) * grains[below(seed, &drawn, 4)];
        units = below(seed, &drawn, 2) ? units / multiple * multiple : units;
        const unsigned least = digits_of(units);
        write_number(text, sizeof text, units, least + below(seed, &drawn, 5 - least));
        const bool holds = units >= limits[0] && units <= limits[1] && units > limits[2] &&
                           units < limits[3] && units % multiple == 0;
        if ((opened ? grammar_takes(grammar, text) : false) != holds) {
            fail_msg("%s: %staken: %s (%s)", schema, holds ? "not " : "", text,
                     opened ? "" : error.message);
        }
        taken += holds;
    }
    takt_grammar_close(grammar);
    return taken;
}

static void random_bounds(void **state)
{
    (void)state;
    unsigned taken = 0;
    for (uint64_t seed = 0; seed < 300; seed++) {
        taken += check_one(seed);
    }
    assert_in_range(taken, 300 * 300 / 8, 300 * 300 * 7 / 8); /* both answers were tried */
}

/* What is drawn satisfies the schema, by a check of its own. */
static void drawn(void **state)
{
    (void)state;
    static const char *const schemas[] = {
        INTEGER("\"multipleOf\":13,\"minimum\":-500"), NUMBER("\"multipleOf\":0.05,\"maximum\":-1"),
        NUMBER("\"exclusiveMinimum\":-0.125,\"exclusiveMaximum\":0.125"),
        INTEGER("\"multipleOf\":9973"), NUMBER("\"minimum\":99999.5")};
    for (size_t i = 0; i < BASE_COUNT(schemas); i++) {
        struct takt_grammar *grammar = grammar_of_text(schemas[i]);
        json_t *schema = json_loads(schemas[i], 0, NULL);
        for (uint64_t seed = 0; seed < 40; seed++) {
            char *text = grammar_draw(
                grammar, takt_grammar_least_tokens(grammar) + (uint32_t)seed / 2, seed);
            grammar_check(schema, text);
            free(text);
        }
        json_decref(schema);
        takt_grammar_close(grammar);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, grammar_setup, grammar_teardown)

TEST_GROUP(schema_number, TEST(tables), TEST(random_bounds), TEST(drawn));
