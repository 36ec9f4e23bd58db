/* Strings held to patterns: tables by hand, the C library's regular expressions as a second
 * opinion, and every spelling of a character. */
#include "tests.h"

#include "grammar_helper.h"
#include "json_schema.h"
#include "run/language.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

/* In C a backslash of a pattern is written four times: once for C, once for JSON. */
#define PATTERN(text) "{\"type\":\"string\",\"pattern\":\"" text "\"}"

static void patterns(void **state)
{
    (void)state;
    static const struct grammar_case cases[] = {
        {PATTERN("^ab?c*$"),
         {"\"a\"", "\"ab\"", "\"accc\"", "\"abc\""},
         {"\"\"", "\"abb\"", "\"xa\""}},
        {PATTERN("b"), {"\"b\"", "\"abc\"", "\"\\n\\u0062\""}, {"\"\"", "\"ac\"", "\"B\""}},
        {PATTERN("^b|c$"), {"\"bx\"", "\"xc\"", "\"b\""}, {"\"xb\"", "\"cx\""}},
        {PATTERN("^(?:ab|c){2,3}$"), {"\"cc\"", "\"abcab\""}, {"\"c\"", "\"cccc\"", "\"abca\""}},
        {PATTERN("^(?<year>\\\\d{4})-\\\\d\\\\d$"), {"\"2024-07\""}, {"\"2024-7\"", "\"2o24-07\""}},
        {PATTERN("^[^a-c\\\\d]$"),
         {"\"d\"", "\"\xC3\xA9\"", "\"\\n\"", "\"-\""},
         {"\"b\"", "\"7\"", "\"\""}},
        {PATTERN("^[\\\\w.-]+$"), {"\"a_Z.9-\""}, {"\"\"", "\"a b\"", "\"\xC3\xA9\""}},
        {PATTERN("^\\\\S\\\\s\\\\W\\\\D$"),
         {"\"a\\u00a0!x\"", "\"7\\t--\""},
         {"\"  -x\"", "\"a -7\""}},
        {PATTERN("^.$"),
         {"\"x\"", "\"\xF0\x9F\x98\x80\"", "\"\\ud83d\\ude00\""},
         {"\"\\n\"", "\"\\u2028\"", "\"xy\""}},
        {PATTERN("^[\xC3\xA9\\\\u4e00-\\\\u{4E09}]$"),
         {"\"\xC3\xA9\"", "\"\\u00E9\"", "\"\xE4\xB8\x80\"", "\"\\u4E05\""},
         {"\"e\"", "\"\\u4e0a\"", "\"\\u00e8\""}},
        {PATTERN("^\\\\ud83d\\\\ude00$"),
         {"\"\xF0\x9F\x98\x80\"", "\"\\uD83D\\uDE00\""},
         {"\"\\ud83d\\ude01\""}},
        {PATTERN("^\\\"\\\\\\\\/$"), {"\"\\\"\\\\/\"", "\"\\u0022\\u005C\\/\""}, {"\"\\\"/\""}},
        {PATTERN("^[\\\\b\\\\x41\\\\cJ]$"), {"\"\\b\"", "\"A\"", "\"\\n\""}, {"\"b\"", "\"J\""}},
        {PATTERN("^((((){4096}){4096}){0,4096}){4096}a$"), {"\"a\""}, {"\"\""}},
        {PATTERN("^$"), {"\"\""}, {"\" \"", "\"\\n\""}},
        {PATTERN("^a*?b+?$"), {"\"b\"", "\"aabb\""}, {"\"a\""}},
        {PATTERN("^{a}x{,2}y]$"), {"\"{a}x{,2}y]\""}, {"\"xy\"", "\"a\""}},
        {PATTERN("^(a*)*(|b)$"), {"\"\"", "\"aaab\""}, {"\"bb\"", "\"ba\""}},
        {PATTERN("a^b|x$y|[^]{2}z"), {"\"\\n\\nz\""}, {"\"ab\"", "\"xy\"", "\"z\""}},
        {"{\"type\":\"string\",\"pattern\":\"^a*$\",\"minLength\":2,\"maxLength\":3}",
         {"\"aa\"", "\"aaa\""},
         {"\"a\"", "\"aaaa\"", "\"ab\""}},
        {"{\"type\":[\"string\",\"null\"],\"pattern\":\"^x\",\"maxLength\":2}",
         {"null", "\"x\"", "\"xy\""},
         {"\"\"", "\"xyz\"", "\"yx\""}},
    };
    grammar_check_cases(cases, BASE_COUNT(cases));
}

static void pattern_refusals(void **state)
{
    (void)state;
    static const struct grammar_refusal cases[] = {
        {PATTERN("a(?=b)"), "#: 'pattern': at offset 1, look-ahead", TAKT_UNSUPPORTED},
        {PATTERN("(?!b)"), "at offset 0, look-ahead", TAKT_UNSUPPORTED},
        {PATTERN("\xC3\xA9(?<=b)"), "at offset 1, look-behind", TAKT_UNSUPPORTED},
        {PATTERN("(a)\\\\1"), "at offset 3, back-references", TAKT_UNSUPPORTED},
        {PATTERN("(?<n>a)\\\\k<n>"), "at offset 7, back-references", TAKT_UNSUPPORTED},
        {PATTERN("\\\\bx"), "at offset 0, word boundaries", TAKT_UNSUPPORTED},
        {PATTERN("[\\\\p{L}]"), "at offset 1, Unicode properties", TAKT_UNSUPPORTED},
        {PATTERN("(?i:a)"), "at offset 0, groups of this kind", TAKT_UNSUPPORTED},
        {PATTERN("\\\\y"), "no such escape", TAKT_USAGE},
        {PATTERN("a\\\\"), "at offset 1, a backslash", TAKT_USAGE},
        {PATTERN("a**"), "at offset 2, there is nothing to repeat", TAKT_USAGE},
        {PATTERN("{3}"), "at offset 0, there is nothing", TAKT_USAGE},
        {PATTERN("(a"), "at offset 0, a group without its end", TAKT_USAGE},
        {PATTERN("a)"), "at offset 1, a ')'", TAKT_USAGE},
        {PATTERN("[a"), "a class without", TAKT_USAGE},
        {PATTERN("[b-a]"), "at offset 1, a range that ends", TAKT_USAGE},
        {PATTERN("a{3,2}"), "at offset 1, a repetition that ends", TAKT_USAGE},
        {PATTERN("^+"), "an anchor cannot be repeated", TAKT_USAGE},
        {PATTERN("\\\\ud800"), "half a surrogate pair", TAKT_USAGE},
        {PATTERN("\\\\x4"), "too few hexadecimal", TAKT_USAGE},
        {PATTERN("a{5000}"), "more than 4096", TAKT_LIMIT},
        {PATTERN("((a{1000}){1000}){1000}"), "the pattern is too large", TAKT_LIMIT},
        {PATTERN("(a|b)*a(a|b){20}$"), "too large an automaton", TAKT_LIMIT},
        {"{\"type\":\"string\",\"pattern\":\"^(a|b){4000}$\",\"minLength\":4001}", "no string is",
         TAKT_UNSUPPORTED},
        {"{\"type\":\"string\",\"pattern\":\"(a|b).{900}\",\"maxLength\":4000}", "than 8192 states",
         TAKT_LIMIT},
        {PATTERN("^[]$"), "no string is", TAKT_UNSUPPORTED},
        {"{\"type\":\"string\",\"pattern\":7}", "must be a string", TAKT_USAGE},
    };
    grammar_check_refusals(cases, BASE_COUNT(cases));
}

/* ---- beside the C library -------------------------------------------------------------------- */

struct maker {
    uint64_t seed, drawn;
    struct base_text text;
};

static uint32_t below(struct maker *maker, uint32_t count)
{
    return (uint32_t)(base_random_u64(maker->seed, 3, maker->drawn++) % count);
}

static void put(struct maker *maker, const char *text)
{
    base_text_append(&maker->text, text, strlen(text));
}

/* What ECMA-262 and the C library read alike: no anchors within groups that repeat. */
static void make_pattern(struct maker *maker, unsigned depth)
{
    static const char *const atoms[] = {"a", "b", "c", "-", ".", "[ab]", "[^a]", "[a-c]", "[^b-]"};
    static const char *const quantifiers[] = {"*", "+", "?", "{2}", "{0,2}", "{1,}", "{1,3}"};
    const uint32_t alternatives = 1 + (below(maker, 3) == 0);
    for (uint32_t i = 0; i < alternatives; i++) {
        put(maker, i > 0 ? "|" : "");
        put(maker, depth == 0 && below(maker, 2) ? "^" : "");
        for (uint32_t parts = 1 + below(maker, 3); parts > 0; parts--) {
            if (depth < 3 && below(maker, 3) == 0) {
                put(maker, "(");
                make_pattern(maker, depth + 1);
                put(maker, ")");
            } else {
                put(maker, atoms[below(maker, BASE_COUNT(atoms))]);
            }
            put(maker, below(maker, 2) ? quantifiers[below(maker, BASE_COUNT(quantifiers))] : "");
        }
        put(maker, depth == 0 && below(maker, 2) ? "$" : "");
    }
}

static void beside_the_library(void **state)
{
    (void)state;
    unsigned matched = 0, asked = 0;
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct maker maker = {.seed = seed};
        make_pattern(&maker, 0);
        regex_t library;
        uint64_t work = RUN_LANGUAGE_WORK;
        struct run_language language;
        struct takt_error error;
        assert_int_equal(regcomp(&library, maker.text.data, REG_EXTENDED | REG_NOSUB), 0);
        const enum takt_status status =
            run_language_pattern(&language, maker.text.data, &work, &error);
        if (status != TAKT_OK && status != TAKT_LIMIT) {
            fail_msg("%s: %s", maker.text.data, error.message);
        }
        for (unsigned i = 0; i < 60 && status == TAKT_OK; i++) {
            char text[9] = "";
            const uint32_t length = below(&maker, 9);
            for (uint32_t j = 0; j < length; j++) {
                text[j] = "aabbcc-x"[below(&maker, 8)];
            }
            text[length] = '\0';
            const bool matches = regexec(&library, text, 0, NULL, 0) == 0;
            if (run_language_takes(&language, text) != matches) {
                fail_msg("'%s' %s '%s'", maker.text.data, matches ? "matches" : "does not match",
                         text);
            }
            matched += matches;
            asked++;
        }
        regfree(&library);
        run_language_free(&language);
        base_text_free(&maker.text);
    }
    assert_in_range(asked, 390 * 60, 400 * 60);         /* the others need too many states */
    assert_in_range(matched, asked / 5, asked * 4 / 5); /* both answers were tried */
}

/* ---- languages ------------------------------------------------------------------------------- */

static void cuts_and_opposites(void **state)
{
    (void)state;
    static const char *const words[] = {"", "a", "ab", "\xC3\xA9", "\xC3\xA8x", "abc", "b"};
    static const char *const others[] = {"c", "aba", "\xC3", "\xC3\xA8", "bb", "\xF0\x9F\x98\x80"};
    uint64_t work = RUN_LANGUAGE_WORK;
    struct run_language list, opposite, pattern, both, none;
    assert_true(run_language_words(&list, words, BASE_COUNT(words)));
    assert_true(run_language_not(&opposite, &list));
    assert_int_equal(run_language_pattern(&pattern, "^a", &work, NULL), TAKT_OK);
    assert_true(run_language_both(&both, &list, &pattern));
    assert_true(run_language_both(&none, &list, &opposite));
    for (size_t i = 0; i < BASE_COUNT(words); i++) {
        assert_true(run_language_takes(&list, words[i]));
        assert_false(run_language_takes(&opposite, words[i]));
        assert_int_equal(run_language_takes(&both, words[i]), words[i][0] == 'a');
    }
    for (size_t i = 0; i < BASE_COUNT(others); i++) {
        assert_false(run_language_takes(&list, others[i]));
        assert_true(run_language_takes(&opposite, others[i]));
        assert_false(run_language_takes(&both, others[i]));
    }
    assert_true(run_language_is_empty(&none));
    assert_false(run_language_is_empty(&both));
    struct run_language *const all[] = {&list, &opposite, &pattern, &both, &none};
    for (size_t i = 0; i < BASE_COUNT(all); i++) {
        run_language_free(all[i]);
    }
}

/* ---- spellings ------------------------------------------------------------------------------- */

/* Every spelling of a character, NULL-terminated, without quotes; none that JSON does not know. */
static size_t spell(uint32_t character, char list[4][16])
{
    size_t count = 0;
    char *at = list[count];
    static const char values[] = "\"\\/\b\f\n\r\t", letters[] = "\"\\/bfnrt";
    if (character >= 0x20 && character != '"' && character != '\\') {
        if (character < 0x80) {
            at[0] = (char)character, at[1] = '\0';
        } else if (character < 0x800) {
            at[0] = (char)(0xC0 | character >> 6), at[1] = (char)(0x80 | (character & 63)),
            at[2] = '\0';
        } else if (character < 0x10000) {
            at[0] = (char)(0xE0 | character >> 12), at[1] = (char)(0x80 | (character >> 6 & 63));
            at[2] = (char)(0x80 | (character & 63)), at[3] = '\0';
        } else {
            at[0] = (char)(0xF0 | character >> 18), at[1] = (char)(0x80 | (character >> 12 & 63));
            at[2] = (char)(0x80 | (character >> 6 & 63)), at[3] = (char)(0x80 | (character & 63));
            at[4] = '\0';
        }
        count++;
    }
    for (size_t i = 0; values[i]; i++) {
        if ((uint32_t)values[i] == character) {
            snprintf(list[count++], 16, "\\%c", letters[i]);
        }
    }
    if (character < 0x10000) {
        snprintf(list[count++], 16, "\\u%04x", character);
    } else {
        const uint32_t rest = character - 0x10000;
        snprintf(list[count++], 16, "\\u%04X\\u%04x", 0xD800 | rest >> 10, 0xDC00 | (rest & 0x3FF));
    }
    return count;
}

/* At and beside every border of some sets, each spelling is taken if and only if it is a member. */
static void spellings(void **state)
{
    (void)state;
    static const uint32_t borders[] = {0x1F,    0x22,    0x2F,    0x41,     0x5C,    0x7F,
                                       0x80,    0xE9,    0x7FF,   0x800,    0xFFF,   0x1234,
                                       0xD7FF,  0xE000,  0xFFFF,  0x10000,  0x103FF, 0x10400,
                                       0x1F600, 0x2ABCD, 0xFFFFF, 0x100000, 0x10FFFE};
    const size_t count = BASE_COUNT(borders);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = i; j < count; j += 1 + j / 4) {
            char schema[128], text[32];
            snprintf(schema, sizeof schema, PATTERN("^[\\\\u{%X}-\\\\u{%X}]$"), borders[i],
                     borders[j]);
            struct takt_grammar *grammar = grammar_of_text(schema);
            for (size_t k = 0; k < 3 * count; k++) {
                const uint32_t character = borders[k / 3] + (uint32_t)(k % 3) - 1;
                const bool member = character >= borders[i] && character <= borders[j];
                char list[4][16];
                for (size_t s = spell(character, list); s > 0; s--) {
                    if (character >= 0xD800 && character <= 0xDFFF) {
                        continue;
                    }
                    snprintf(text, sizeof text, "\"%s\"", list[s - 1]);
                    if (grammar_takes(grammar, text) != member) {
                        fail_msg("%s: %staken: %s", schema, member ? "not " : "", text);
                    }
                }
            }
            takt_grammar_close(grammar);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, grammar_setup, grammar_teardown)

TEST_GROUP(schema, TEST(patterns), TEST(pattern_refusals), cmocka_unit_test(beside_the_library),
           cmocka_unit_test(cuts_and_opposites), TEST(spellings));
