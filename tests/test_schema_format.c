/* Formats of strings: the calendar counted day by day, addresses read by the C library, and tables.
 */
#include "tests.h"

#include "grammar_helper.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FORMAT(name) "{\"type\":\"string\",\"format\":\"" name "\"}"

static void tables(void **state)
{
    (void)state;
    static const struct grammar_case cases[] = {
        {FORMAT("time"),
         {"\"00:00:00Z\"", "\"23:59:59.123456789+23:59\"", "\"12:30:01-00:00\""},
         {"\"24:00:00Z\"", "\"12:60:00Z\"", "\"12:00:60Z\"", "\"12:00:00\"", "\"12:00:00.Z\"",
          "\"12:00:00+24:00\"", "\"12:00Z\"", "\"12:00:00.1234567890Z\""}},
        {FORMAT("date-time"),
         {"\"2024-02-29T12:00:00Z\"", "\"0001-01-01T00:00:00.5+05:30\""},
         {"\"2023-02-29T12:00:00Z\"", "\"2024-02-28 12:00:00Z\"", "\"2024-02-28\"",
          "\"0000-01-01T00:00:00Z\"", "\"2024-02-28T12:00:00\""}},
        {FORMAT("duration"),
         {"\"P3W\"", "\"P1Y2M3DT4H5M6S\"", "\"PT1S\"", "\"PT36H\"", "\"P1M\"", "\"P1DT1M\""},
         {"\"P\"", "\"P1\"", "\"PT\"", "\"P1YT\"", "\"P1W1D\"", "\"P1Y1D\"", "\"PT1H1S\"", "\"1D\"",
          "\"P1D1M\""}},
        {FORMAT("uuid"),
         {"\"2eb8aa08-aa98-11ea-b4aa-73b441d16380\"", "\"2EB8AA08-AA98-11EA-B4AA-73B441D16380\""},
         {"\"2eb8aa08aa9811eab4aa73b441d16380\"", "\"2eb8aa08-aa98-11ea-b4aa-73b441d1638\"",
          "\"2eb8aa08-aa98-11ea-b4aa-73b441d1638g\"",
          "\"{2eb8aa08-aa98-11ea-b4aa-73b441d16380}\""}},
        {FORMAT("email"),
         {"\"joe@example.com\"", "\"a.b+c!#$%&'*/=?^_`{|}~-@sub-domain.example.org\""},
         {"\"joe\"", "\"@example.com\"", "\".a@example.com\"", "\"a.@example.com\"",
          "\"a..b@example.com\"", "\"a@example\"", "\"a@-x.com\"", "\"a@x-.com\"", "\"a b@x.com\"",
          "\"a@x.c0m\"",
          "\"a123456789b123456789c123456789d123456789e123456789f123456789g1234@example.com\""}},
        {FORMAT("hostname"),
         {"\"localhost\"", "\"www.example.com\"", "\"a-b.c1.d\"", "\"1.a\""},
         {"\"\"", "\"-a\"", "\"a-\"", "\"a..b\"", "\"a.\"", "\"a_b\"", "\"1.2.3.4\"", "\"x--y\"",
          "\"a123456789b123456789c123456789d\"", "\"a.b.c.d.e.f.g.h.i\""}},
        {FORMAT("ipv4"),
         {"\"0.0.0.0\"", "\"255.249.199.9\""},
         {"\"256.0.0.0\"", "\"1.2.3\"", "\"01.2.3.4\""}},
        {FORMAT("ipv6"),
         {"\"::\"", "\"::1\"", "\"1::\"", "\"2001:db8::8:800:200C:417A\"", "\"1:2:3:4:5:6:7:8\"",
          "\"::ffff:192.0.2.1\"", "\"1:2:3:4:5:6:1.2.3.4\"", "\"1:2:3:4:5:6:7::\""},
         {"\"1:2:3:4:5:6:7\"", "\"1::2::3\"", "\":1\"", "\"1:2:3:4:5:6:7:8:9\"", "\"12345::\"",
          "\":::\"", "\"::1:2:3:4:5:6:7:8\"", "\"1:2:3:4:5:6:7:1.2.3.4\"", "\"::1%eth0\""}},
        {FORMAT("uri"),
         {"\"https://example.com/a%20b?x=1&y=/#top\"", "\"mailto:joe@example.com\"",
          "\"urn:isbn:0451450523\"", "\"http://u:p@[::1]:8080/\"", "\"file:///etc/hosts\"",
          "\"ftp://a.b\""},
         {"\"example.com\"", "\"//example.com\"", "\"http://a b\"", "\"http://a/%2\"",
          "\"1http://a\"", "\"http://a:65536/\"", "\"http://a/#b#c\"", "\"http://a/\\\"\"",
          "\"http://[::1\"", "\"http://a/{b}\""}},
        {FORMAT("json-pointer"), {"\"\"", "\"/a~1b/~0//0\""}, {"\"a\"", "\"/a~\"", "\"/~2\""}},
        {FORMAT("relative-json-pointer"),
         {"\"0\"", "\"1#\"", "\"2/a\""},
         {"\"\"", "\"01\"", "\"/a\"", "\"0##\""}},
        {"{\"format\":\"date\",\"pattern\":\"^19.*-0[1-3]-\",\"maxLength\":10}",
         {"\"1999-01-01\""},
         {"\"2000-01-01\"", "\"1999-04-01\"", "7"}},
    };
    grammar_check_cases(cases, BASE_COUNT(cases));
    static const struct grammar_refusal refusals[] = {
        {FORMAT("regex"), "the format 'regex' is not supported", TAKT_UNSUPPORTED},
        {FORMAT("Date"), "the format 'Date'", TAKT_UNSUPPORTED},
        {"{\"type\":\"string\",\"format\":1}", "'format' must be a string", TAKT_USAGE},
        {"{\"type\":\"string\",\"format\":\"uuid\",\"maxLength\":35}", "no string is",
         TAKT_UNSUPPORTED},
    };
    grammar_check_refusals(refusals, BASE_COUNT(refusals));
}

/* Is there such a day? The C library's calendar moves a day that is not to another. */
static bool is_day(int year, int month, int day)
{
    struct tm when = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day};
    timegm(&when);
    return year >= 1 && when.tm_year == year - 1900 && when.tm_mon == month - 1 &&
           when.tm_mday == day;
}

static void calendar(void **state)
{
    (void)state;
    static const int years[] = {0,    1,    4,    96,   100,  400,  1582,
                                1900, 1996, 1999, 2000, 2024, 2100, 9999};
    struct takt_grammar *grammar = grammar_of_text(FORMAT("date"));
    for (size_t i = 0; i < BASE_COUNT(years); i++) {
        for (int month = 0; month <= 13; month++) {
            for (int day = 0; day <= 32; day++) {
                char text[32];
                snprintf(text, sizeof text, "\"%04d-%02d-%02d\"", years[i], month, day);
                if (grammar_takes(grammar, text) != is_day(years[i], month, day)) {
                    fail_msg("%s", text);
                }
            }
        }
    }
    assert_false(grammar_takes(grammar, "\"2024-1-01\""));
    takt_grammar_close(grammar);
}

/* Whatever is drawn is what the C library takes it for. */
static void drawn(void **state)
{
    (void)state;
    static const char *const schemas[] = {FORMAT("date"), FORMAT("ipv4"), FORMAT("ipv6")};
    for (size_t i = 0; i < BASE_COUNT(schemas); i++) {
        struct takt_grammar *grammar = grammar_of_text(schemas[i]);
        const uint32_t least = takt_grammar_least_tokens(grammar);
        for (uint64_t seed = 0; seed < 40; seed++) {
            char *text = grammar_draw(grammar, least + 4 * (uint32_t)seed, seed);
            json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
            const char *string = json_string_value(value);
            unsigned char address[16];
            int year = 0, month = 0, day = 0;
            if (string && i == 0) {
                sscanf(string, "%4d-%2d-%2d", &year, &month, &day);
            }
            if (!string ||
                (i == 0 ? !is_day(year, month, day)
                        : inet_pton(i == 1 ? AF_INET : AF_INET6, string, address) != 1)) {
                fail_msg("%s: %s", schemas[i], text);
            }
            json_decref(value);
            free(text);
        }
        takt_grammar_close(grammar);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, grammar_setup, grammar_teardown)

TEST_GROUP(schema_format, TEST(tables), TEST(calendar), TEST(drawn));
