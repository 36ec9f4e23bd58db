/*
 * A pattern's sets of characters: classes, escapes, categories, scripts.
 * Requires: the parser stands behind the "[" or the backslash.
 * Fills in: the program's sets, each once, in order and apart.
 */
#include "model/pattern_parts.h"

#include <stdlib.h>
#include <string.h>

/* ---- sets ------------------------------------------------------------------------------------ */

void pattern_add_range(struct pattern_parser *parser, struct pattern_set *set, uint32_t first,
                       uint32_t last)
{
    if (set->count == set->capacity) {
        size_t capacity = set->capacity == 0 ? 16 : 2 * set->capacity;
        struct unicode_range *grown = realloc(set->ranges, capacity * sizeof(*grown));
        if (grown == NULL) {
            pattern_fail(parser, TAKT_MEMORY, "no memory; free some");
            return;
        }
        set->ranges = grown;
        set->capacity = capacity;
    }
    set->ranges[set->count++] = (struct unicode_range){first, last};
}

static int by_first(const void *a, const void *b)
{
    const struct unicode_range *left = a, *right = b;
    return left->first < right->first ? -1 : left->first > right->first;
}

static void normalise(struct pattern_set *set)
{
    size_t used = 0;
    if (set->count == 0)
        return;
    qsort(set->ranges, set->count, sizeof(*set->ranges), by_first);
    for (size_t i = 1; i < set->count; i++) {
        if (set->ranges[i].first <= set->ranges[used].last + 1)
            set->ranges[used].last = BASE_MAX(set->ranges[used].last, set->ranges[i].last);
        else
            set->ranges[++used] = set->ranges[i];
    }
    set->count = used + 1;
}

static void invert(struct pattern_parser *parser, struct pattern_set *set)
{
    struct pattern_set other = {NULL, 0, 0};
    uint32_t next = 0;
    normalise(set);
    for (size_t i = 0; i < set->count; i++) {
        if (set->ranges[i].first > next)
            pattern_add_range(parser, &other, next, set->ranges[i].first - 1);
        next = set->ranges[i].last + 1;
    }
    if (next <= UNICODE_MAX)
        pattern_add_range(parser, &other, next, UNICODE_MAX);
    free(set->ranges);
    *set = other;
}

static void add_set(struct pattern_parser *parser, struct pattern_set *set,
                    const struct pattern_set *more)
{
    for (size_t i = 0; i < more->count; i++)
        pattern_add_range(parser, set, more->ranges[i].first, more->ranges[i].last);
}

static void add_categories(struct pattern_parser *parser, struct pattern_set *set, uint32_t mask)
{
    for (uint32_t code = 0, last; code <= UNICODE_MAX; code = last + 1)
        if ((UNICODE_MASK(unicode_run(code, &last)) & mask) != 0)
            pattern_add_range(parser, set, code, last);
}

void pattern_add_code(struct pattern_parser *parser, struct pattern_set *set, uint32_t code)
{
    uint32_t lower[3], upper[3];
    pattern_add_range(parser, set, code, code);
    if (!parser->fold)
        return;
    if (unicode_lower(code, lower) == 1)
        pattern_add_range(parser, set, lower[0], lower[0]);
    if (unicode_upper(code, upper) == 1)
        pattern_add_range(parser, set, upper[0], upper[0]);
    if ((code | 32) == 's')
        pattern_add_range(parser, set, 0x17F, 0x17F);
    if ((code | 32) == 'k')
        pattern_add_range(parser, set, 0x212A, 0x212A);
}

static void add_spaces(struct pattern_parser *parser, struct pattern_set *set)
{
    for (uint32_t code = 0; code <= 0x3000; code++)
        if (unicode_is_space(code))
            pattern_add_range(parser, set, code, code);
}

/* "L", "Lu", "Han", "Script=Han", "IsHan", "Letter" ... */
static void add_property(struct pattern_parser *parser, struct pattern_set *set, const char *name,
                         size_t length)
{
    static const struct {
        const char *name, *category;
    } words[] = {{"Letter", "L"},
                 {"Mark", "M"},
                 {"Number", "N"},
                 {"Punctuation", "P"},
                 {"Symbol", "S"},
                 {"Separator", "Z"},
                 {"Other", "C"},
                 {"Uppercase_Letter", "Lu"},
                 {"Lowercase_Letter", "Ll"},
                 {"Decimal_Number", "Nd"},
                 {"Digit", "Nd"}};
    static const char *const prefixes[] = {"Script=", "sc=", "Is", "gc="};
    for (size_t i = 0; i < BASE_COUNT(prefixes); i++)
        if (length > strlen(prefixes[i]) && memcmp(name, prefixes[i], strlen(prefixes[i])) == 0) {
            name += strlen(prefixes[i]);
            length -= strlen(prefixes[i]);
        }
    for (size_t i = 0; i < BASE_COUNT(words); i++)
        if (strlen(words[i].name) == length && memcmp(words[i].name, name, length) == 0) {
            name = words[i].category;
            length = strlen(name);
        }
    uint32_t mask = unicode_category_mask(name, length);
    size_t count;
    const struct unicode_range *script = unicode_script(name, length, &count);
    if (mask != 0)
        add_categories(parser, set, mask);
    else if (length == 11 && memcmp(name, "White_Space", 11) == 0)
        add_spaces(parser, set);
    else if (script != NULL)
        for (size_t i = 0; i < count; i++)
            pattern_add_range(parser, set, script[i].first, script[i].last);
    else
        pattern_fail(parser, TAKT_UNSUPPORTED, "a property that takt does not know");
}

#define WORD_MASK                                                                                  \
    (UNICODE_MASK(UNICODE_LU) | UNICODE_MASK(UNICODE_LL) | UNICODE_MASK(UNICODE_LT) |              \
     UNICODE_MASK(UNICODE_LM) | UNICODE_MASK(UNICODE_LO) | UNICODE_MASK(UNICODE_MN) |              \
     UNICODE_MASK(UNICODE_MC) | UNICODE_MASK(UNICODE_ME) | UNICODE_MASK(UNICODE_ND) |              \
     UNICODE_MASK(UNICODE_NL) | UNICODE_MASK(UNICODE_PC))

/* ---- escapes --------------------------------------------------------------------------------- */

/* Behind "\x" or "\u": digits as they are, or between braces. */
static uint32_t take_hex(struct pattern_parser *parser, size_t digits)
{
    uint32_t code = 0;
    bool braces = pattern_take(parser, "{");
    for (size_t i = 0; pattern_more(parser) && (braces ? i < 8 : i < digits); i++) {
        char c = parser->source[parser->at];
        uint32_t digit = c >= '0' && c <= '9'                 ? (uint32_t)(c - '0')
                         : (c | 32) >= 'a' && (c | 32) <= 'f' ? (uint32_t)((c | 32) - 'a') + 10
                                                              : 16;
        if (digit == 16)
            break;
        code = code << 4 | digit;
        parser->at++;
    }
    if ((braces && !pattern_take(parser, "}")) || code > UNICODE_MAX)
        pattern_fail(parser, TAKT_FORMAT, "not a code point");
    return code;
}

bool pattern_parse_escape(struct pattern_parser *parser, struct pattern_set *set, uint32_t *code)
{
    static const char plain[] = "n\nr\rt\tf\fv\va\ae\x1b";
    struct pattern_set own = {NULL, 0, 0};
    if (!pattern_more(parser)) {
        pattern_fail(parser, TAKT_FORMAT, "a backslash at the end");
        return true;
    }
    char letter = parser->source[parser->at];
    if ((unsigned char)letter >= 0x80 || memchr("sSdDwWpPhxu", letter, 11) == NULL) {
        *code = pattern_take_character(parser);
        for (const char *pair = plain; *pair != '\0'; pair += 2)
            if (letter == pair[0])
                *code = (unsigned char)pair[1];
        bool word = (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
                    (letter >= '0' && letter <= '9');
        if (word && *code == (unsigned char)letter)
            pattern_fail(parser, TAKT_UNSUPPORTED,
                         "an escape that takt does not know is before this");
        return true;
    }
    parser->at++;
    switch (letter | 32) {
    case 'x': *code = take_hex(parser, 2); return true;
    case 'u': *code = take_hex(parser, 4); return true;
    case 's': add_spaces(parser, &own); break;
    case 'd': add_categories(parser, &own, UNICODE_MASK(UNICODE_ND)); break;
    case 'w': add_categories(parser, &own, WORD_MASK); break;
    case 'h':
        pattern_add_range(parser, &own, '0', '9');
        pattern_add_range(parser, &own, 'a', 'f');
        pattern_add_range(parser, &own, 'A', 'F');
        break;
    default: {
        bool braces = pattern_take(parser, "{"), negated = braces && pattern_take(parser, "^");
        const char *name = parser->source + parser->at;
        size_t length = braces ? 0 : 1;
        while (braces && parser->at + length < parser->length && name[length] != '}')
            length++;
        if (parser->at + length + (braces ? 1 : 0) > parser->length) {
            pattern_fail(parser, TAKT_FORMAT, "a property has no end");
            return true;
        }
        add_property(parser, &own, name, length);
        parser->at += length + (braces ? 1 : 0);
        if (negated)
            invert(parser, &own);
    }
    }
    if (letter >= 'A' && letter <= 'Z')
        invert(parser, &own);
    add_set(parser, set, &own);
    free(own.ranges);
    return false;
}

/* ---- classes --------------------------------------------------------------------------------- */

static void parse_class_items(struct pattern_parser *parser, struct pattern_set *set);

/* Behind "&&": what the rest of the class does not hold goes. */
static void intersect(struct pattern_parser *parser, struct pattern_set *set)
{
    struct pattern_set rest = {NULL, 0, 0};
    parse_class_items(parser, &rest);
    invert(parser, &rest);
    invert(parser, set);
    add_set(parser, set, &rest);
    invert(parser, set);
    free(rest.ranges);
}

void pattern_parse_class(struct pattern_parser *parser, struct pattern_set *set)
{
    struct pattern_set own = {NULL, 0, 0};
    bool negated = pattern_take(parser, "^");
    if (++parser->depth > PATTERN_NESTING_MAX)
        pattern_fail(parser, TAKT_LIMIT, "nested too deep");
    parse_class_items(parser, &own);
    if (!pattern_take(parser, "]"))
        pattern_fail(parser, TAKT_FORMAT, "] is missing");
    if (negated)
        invert(parser, &own);
    add_set(parser, set, &own);
    free(own.ranges);
    parser->depth--;
}

/* The items of a class, the first of which may be "]". */
static void parse_class_items(struct pattern_parser *parser, struct pattern_set *set)
{
    bool first = true;
    for (; pattern_more(parser) && (first || parser->source[parser->at] != ']'); first = false) {
        uint32_t code = 0, last;
        bool single = true;
        if (pattern_take(parser, "&&")) {
            intersect(parser, set);
            break;
        }
        if (pattern_take(parser, "[:"))
            pattern_fail(parser, TAKT_UNSUPPORTED, "a POSIX class is before this");
        else if (pattern_take(parser, "[")) {
            pattern_parse_class(parser, set);
            continue;
        } else if (pattern_take(parser, "\\"))
            single = pattern_parse_escape(parser, set, &code);
        else
            code = pattern_take_character(parser);
        if (!single)
            continue;
        last = code;
        if (parser->at + 1 < parser->length && parser->source[parser->at] == '-' &&
            parser->source[parser->at + 1] != ']') {
            parser->at++;
            bool range = true;
            if (pattern_take(parser, "\\"))
                range = pattern_parse_escape(parser, set, &last);
            else
                last = pattern_take_character(parser);
            if (!range || last < code)
                pattern_fail(parser, TAKT_FORMAT, "a range that runs backwards is before this");
        }
        if (last - code > 64 || !parser->fold)
            pattern_add_range(parser, set, code, BASE_MAX(code, last));
        else
            for (; code <= last; code++)
                pattern_add_code(parser, set, code);
    }
}

uint32_t pattern_intern(struct pattern_parser *parser, struct pattern_set *set)
{
    struct pattern_program *program = parser->program;
    normalise(set);
    for (uint32_t i = 0; i < program->set_count; i++)
        if (program->sets[i].count == set->count &&
            (set->count == 0 || memcmp(program->sets[i].ranges, set->ranges,
                                       set->count * sizeof(*set->ranges)) == 0)) {
            free(set->ranges);
            return i;
        }
    if (program->set_count == PATTERN_SETS_MAX) {
        pattern_fail(parser, TAKT_LIMIT, "too many different sets of characters");
        free(set->ranges);
        return 0;
    }
    program->sets[program->set_count] = *set;
    return program->set_count++;
}
