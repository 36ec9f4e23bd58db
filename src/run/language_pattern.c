/*
 * Regular expressions of ECMA-262 (without flags) to a tree.
 * Refused by name and offset: what no finite automaton can do (back-references), and what this one
 * does not (look-around, word boundaries, Unicode properties).
 */
#include "run/language.h"

#include <stdlib.h>
#include <string.h>

#define NESTING_MAX 64u
#define REPEAT_MAX 4096u
#define NODES_MAX 8192u /* of the tree */
#define SETS_MAX 1024u
#define RANGES_MAX 8192u
#define CLASS_MAX 512u /* ranges of one class, as written */
struct class
{
    struct run_range ranges[CLASS_MAX];
    uint32_t count;
};

struct parser {
    struct run_steps *steps;
    const char *pattern, *at;
    struct run_pattern_node *nodes;
    uint32_t node_count, depth;
    struct class class;
    struct takt_error *error;
    enum takt_status status;
};

/* ---- errors ---------------------------------------------------------------------------------- */

static uint32_t fail_at(struct parser *parser, const char *where, enum takt_status status,
                        const char *what)
{
    size_t offset = 0;
    for (const char *at = parser->pattern; at < where; at++) {
        offset += ((unsigned char)*at & 0xC0) != 0x80;
    }
    if (parser->status == TAKT_OK) {
        parser->status = status;
        base_fail(parser->error, status, "at offset %zu, %s", offset, what);
    }
    return 0;
}

static uint32_t unsupported(struct parser *parser, const char *where, const char *what)
{
    return fail_at(parser, where, TAKT_UNSUPPORTED, what);
}

static uint32_t wrong(struct parser *parser, const char *where, const char *what)
{
    return fail_at(parser, where, TAKT_USAGE, what);
}

static uint32_t too_large(struct parser *parser)
{
    return fail_at(parser, parser->at, TAKT_LIMIT, "the pattern is too large");
}

/* ---- sets of characters ---------------------------------------------------------------------- */

static const struct run_range digit_ranges[] = {{'0', '9'}};
static const struct run_range word_ranges[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
static const struct run_range space_ranges[] = {
    {9, 13},          {' ', ' '},       {0xA0, 0xA0},     {0x1680, 0x1680}, {0x2000, 0x200A},
    {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
static const struct run_range line_ranges[] = {{10, 10}, {13, 13}, {0x2028, 0x2029}};
static const struct run_range any_ranges[] = {{RUN_CHARACTER_FIRST, RUN_CHARACTER_LAST}};

static void add_range(struct parser *parser, struct run_range range)
{
    if (parser->class.count == CLASS_MAX) {
        too_large(parser);
        return;
    }
    parser->class.ranges[parser->class.count++] = range;
}

static int compare_ranges(const void *a, const void *b)
{
    const struct run_range *x = a, *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

/* In order, apart. U+0000 is left out: no string has it. */
static uint32_t tidy(struct run_range *ranges, uint32_t count)
{
    uint32_t kept = 0;
    qsort(ranges, count, sizeof *ranges, compare_ranges);
    for (uint32_t i = 0; i < count; i++) {
        struct run_range range = ranges[i];
        range.first = BASE_MAX(range.first, RUN_CHARACTER_FIRST);
        if (range.first > range.last) {
            continue;
        }
        if (kept > 0 && range.first <= ranges[kept - 1].last + 1) {
            ranges[kept - 1].last = BASE_MAX(ranges[kept - 1].last, range.last);
        } else {
            ranges[kept++] = range;
        }
    }
    return kept;
}

/* Adds all characters but those of the ranges, which are in order. */
static void add_others(struct parser *parser, const struct run_range *ranges, uint32_t count)
{
    uint32_t at = RUN_CHARACTER_FIRST;
    for (uint32_t i = 0; i < count; i++) {
        if (ranges[i].first > at) {
            add_range(parser, (struct run_range){at, ranges[i].first - 1});
        }
        at = ranges[i].last + 1;
    }
    if (at <= RUN_CHARACTER_LAST) {
        add_range(parser, (struct run_range){at, RUN_CHARACTER_LAST});
    }
}

/* The number of the set of these ranges (tidy); equal sets have one number. */
static uint32_t intern(struct parser *parser, const struct run_range *ranges, uint32_t count)
{
    struct run_steps *steps = parser->steps;
    for (uint32_t i = 0; i < steps->set_count; i++) {
        if (steps->sets[i].count == count &&
            (count == 0 ||
             memcmp(steps->ranges + steps->sets[i].first, ranges, count * sizeof *ranges) == 0)) {
            return i;
        }
    }
    if (steps->set_count == SETS_MAX || steps->range_count + count > RANGES_MAX) {
        return too_large(parser);
    }
    if (!steps->sets) {
        steps->sets = calloc(SETS_MAX, sizeof *steps->sets);
        steps->ranges = calloc(RANGES_MAX, sizeof *steps->ranges);
        BASE_ASSERT(steps->sets && steps->ranges);
    }
    memcpy(steps->ranges + steps->range_count, ranges, count * sizeof *ranges);
    steps->sets[steps->set_count] = (struct run_step_set){steps->range_count, count};
    steps->range_count += count;
    return steps->set_count++;
}

static uint32_t intern_class(struct parser *parser)
{
    parser->class.count = tidy(parser->class.ranges, parser->class.count);
    return intern(parser, parser->class.ranges, parser->class.count);
}

/* ---- the tree -------------------------------------------------------------------------------- */

static uint32_t add_node(struct parser *parser, struct run_pattern_node node)
{
    if (parser->node_count == NODES_MAX) {
        return too_large(parser);
    }
    parser->nodes[parser->node_count] = node;
    return parser->node_count++;
}

static bool more(const struct parser *parser)
{
    return parser->status == TAKT_OK && *parser->at;
}

static bool take(struct parser *parser, const char *text)
{
    const size_t length = strlen(text);
    if (parser->status != TAKT_OK || strncmp(parser->at, text, length) != 0) {
        return false;
    }
    parser->at += length;
    return true;
}

static uint32_t take_character(struct parser *parser)
{
    size_t size;
    const uint32_t character = run_character(parser->at, &size);
    parser->at += size;
    return character;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* `count` hexadecimal digits. */
static uint32_t take_hex(struct parser *parser, const char *from, unsigned count)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < count; i++, parser->at++) {
        const char c = *parser->at;
        if (!is_digit(c) && !((c | 32) >= 'a' && (c | 32) <= 'f')) {
            return wrong(parser, from, "an escape with too few hexadecimal digits");
        }
        value = value * 16 + (uint32_t)(is_digit(c) ? c - '0' : (c | 32) - 'a' + 10);
    }
    return value;
}

/* Behind "\u": four digits, two times four of a surrogate pair, or any in braces. */
static uint32_t take_unicode(struct parser *parser, const char *from)
{
    if (take(parser, "{")) {
        unsigned count = 0;
        while (parser->at[count] && parser->at[count] != '}') {
            count++;
        }
        const uint32_t value = count >= 1 && count <= 6
                                   ? take_hex(parser, from, count)
                                   : wrong(parser, from, "\\u{...} takes 1 to 6 digits");
        if (!take(parser, "}") || value > RUN_CHARACTER_LAST) {
            return wrong(parser, from, "\\u{...} is no character");
        }
        return value;
    }
    const uint32_t value = take_hex(parser, from, 4);
    if (value < 0xD800 || value > 0xDFFF) {
        return value;
    }
    if (value < 0xDC00 && take(parser, "\\u")) {
        const uint32_t low = take_hex(parser, from, 4);
        if (low >= 0xDC00 && low <= 0xDFFF) {
            return 0x10000 + ((value - 0xD800) << 10) + (low - 0xDC00);
        }
    }
    return wrong(parser, from, "half a surrogate pair is no character");
}

/* Behind a backslash at `from`: an escape that stands for one character. */
static uint32_t take_escaped(struct parser *parser, const char *from)
{
    const char c = *parser->at;
    static const char letters[] = "tnrvf", values[] = "\t\n\r\v\f";
    const char *known = c ? strchr(letters, c) : NULL;
    if (c == '\0') {
        return wrong(parser, from, "a backslash with nothing behind it");
    }
    if (known) {
        parser->at++;
        return (unsigned char)values[known - letters];
    }
    if (take(parser, "x")) {
        return take_hex(parser, from, 2);
    }
    if (take(parser, "u")) {
        return take_unicode(parser, from);
    }
    if (c == 'c' && is_letter(parser->at[1])) {
        parser->at += 2;
        return (unsigned char)parser->at[-1] % 32;
    }
    if (c == '0' && !is_digit(parser->at[1])) {
        parser->at++;
        return 0;
    }
    if (is_digit(c) || c == 'k') {
        return unsupported(parser, from, "back-references are not supported");
    }
    if (c == 'b' || c == 'B') {
        return unsupported(parser, from, "word boundaries (\\b, \\B) are not supported");
    }
    if (c == 'p' || c == 'P') {
        return unsupported(parser, from, "Unicode properties (\\p, \\P) are not supported");
    }
    if (is_letter(c)) {
        return wrong(parser, from, "there is no such escape");
    }
    return take_character(parser);
}

/* Behind a backslash: \d \w \s and their opposites. Adds to the class. */
static bool take_shorthand(struct parser *parser)
{
    const char c = *parser->at;
    const struct run_range *ranges = NULL;
    uint32_t count = 0;
    switch (c | 32) {
    case 'd': ranges = digit_ranges, count = BASE_COUNT(digit_ranges); break;
    case 'w': ranges = word_ranges, count = BASE_COUNT(word_ranges); break;
    case 's': ranges = space_ranges, count = BASE_COUNT(space_ranges); break;
    default: return false;
    }
    if (!is_letter(c)) {
        return false;
    }
    parser->at++;
    if (c & 32) {
        for (uint32_t i = 0; i < count; i++) {
            add_range(parser, ranges[i]);
        }
    } else {
        add_others(parser, ranges, count);
    }
    return true;
}

/* ---- classes --------------------------------------------------------------------------------- */

/* One member of a class, or its first end; false when it was a shorthand, which is added. */
static bool take_member(struct parser *parser, uint32_t *character)
{
    const char *from = parser->at;
    if (!take(parser, "\\")) {
        *character = take_character(parser);
        return true;
    }
    if (take_shorthand(parser)) {
        return false;
    }
    *character = take(parser, "b") ? 8 : take_escaped(parser, from);
    return true;
}

/* A character, or a range of them; beside a shorthand, '-' stands for itself. */
static void take_members(struct parser *parser)
{
    const char *from = parser->at;
    struct run_range range;
    if (!take_member(parser, &range.first)) {
        return;
    }
    range.last = range.first;
    if (parser->at[0] == '-' && parser->at[1] && parser->at[1] != ']') {
        parser->at++;
        if (!take_member(parser, &range.last)) {
            add_range(parser, (struct run_range){'-', '-'});
            range.last = range.first;
        }
    }
    if (range.first > range.last) {
        wrong(parser, from, "a range that ends before it begins");
    }
    add_range(parser, range);
}

/* Behind "[". */
static uint32_t take_class(struct parser *parser, const char *from)
{
    const bool others = take(parser, "^");
    parser->class.count = 0;
    while (more(parser) && *parser->at != ']') {
        take_members(parser);
    }
    if (!take(parser, "]")) {
        return wrong(parser, from, "a class without its end");
    }
    if (others) {
        struct class positive = parser->class;
        positive.count = tidy(positive.ranges, positive.count);
        parser->class.count = 0;
        add_others(parser, positive.ranges, positive.count);
    }
    return add_node(
        parser, (struct run_pattern_node){.kind = RUN_PATTERN_SET, .set = intern_class(parser)});
}

/* ---- expressions ----------------------------------------------------------------------------- */

static uint32_t take_alternatives(struct parser *parser);

/* Behind "(". */
static uint32_t take_group(struct parser *parser, const char *from)
{
    if (take(parser, "?=") || take(parser, "?!")) {
        return unsupported(parser, from, "look-ahead is not supported");
    }
    if (take(parser, "?<=") || take(parser, "?<!")) {
        return unsupported(parser, from, "look-behind is not supported");
    }
    if (take(parser, "?<")) {
        while (*parser->at && *parser->at != '>') {
            parser->at++;
        }
        if (!take(parser, ">")) {
            return wrong(parser, from, "a group's name without its end");
        }
    } else if (!take(parser, "?:") && *parser->at == '?') {
        return unsupported(parser, from, "groups of this kind are not supported");
    }
    if (parser->depth == NESTING_MAX) {
        return fail_at(parser, from, TAKT_LIMIT, "groups nested too deep");
    }
    parser->depth++;
    const uint32_t inner = take_alternatives(parser);
    parser->depth--;
    return take(parser, ")") ? inner : wrong(parser, from, "a group without its end");
}

static uint32_t take_number(const char **at)
{
    uint32_t value = 0;
    for (; is_digit(**at); (*at)++) {
        value = BASE_MIN(value * 10 + (uint32_t)(**at - '0'), REPEAT_MAX + 1);
    }
    return value;
}

/* A quantifier; braces that are none stand for themselves. */
static bool take_quantifier(struct parser *parser, uint32_t *least, uint32_t *most)
{
    const char *at = parser->at + 1;
    *least = *parser->at == '+';
    *most = *parser->at == '?' ? 1 : RUN_EVER;
    if (*parser->at && strchr("*+?", *parser->at)) {
        parser->at = at;
    } else {
        if (*parser->at != '{' || !is_digit(*at)) {
            return false;
        }
        *least = *most = take_number(&at);
        if (*at == ',') {
            at++;
            *most = is_digit(*at) ? take_number(&at) : RUN_EVER;
        }
        if (*at != '}') {
            return false;
        }
        if (*least > REPEAT_MAX || (*most > REPEAT_MAX && *most != RUN_EVER)) {
            fail_at(parser, parser->at, TAKT_LIMIT, "a repetition of more than 4096");
        } else if (*least > *most) {
            wrong(parser, parser->at, "a repetition that ends before it begins");
        }
        parser->at = at + 1;
    }
    take(parser, "?"); /* lazy or not: the language is the same */
    return true;
}

static uint32_t take_atom(struct parser *parser)
{
    const char *from = parser->at;
    parser->class.count = 0;
    if (take(parser, "(")) {
        return take_group(parser, from);
    }
    if (take(parser, "[")) {
        return take_class(parser, from);
    }
    if (take(parser, "^")) {
        return add_node(parser, (struct run_pattern_node){.kind = RUN_PATTERN_BEGIN});
    }
    if (take(parser, "$")) {
        return add_node(parser, (struct run_pattern_node){.kind = RUN_PATTERN_END});
    }
    uint32_t least, most;
    if (take_quantifier(parser, &least, &most)) {
        return wrong(parser, from, "there is nothing to repeat");
    }
    if (take(parser, ".")) {
        add_others(parser, line_ranges, BASE_COUNT(line_ranges));
    } else if (!take(parser, "\\")) {
        const uint32_t character = take_character(parser);
        add_range(parser, (struct run_range){character, character});
    } else if (!take_shorthand(parser)) {
        const uint32_t character = take_escaped(parser, from);
        add_range(parser, (struct run_range){character, character});
    }
    return add_node(
        parser, (struct run_pattern_node){.kind = RUN_PATTERN_SET, .set = intern_class(parser)});
}

static uint32_t take_sequence(struct parser *parser)
{
    const uint32_t sequence =
        add_node(parser, (struct run_pattern_node){.kind = RUN_PATTERN_SEQUENCE});
    uint32_t *tail = &parser->nodes[sequence].child;
    while (more(parser) && *parser->at != '|' && *parser->at != ')') {
        const char *from = parser->at;
        uint32_t item = take_atom(parser), least, most;
        if (parser->status == TAKT_OK && take_quantifier(parser, &least, &most)) {
            const enum run_pattern_kind kind = parser->nodes[item].kind;
            if (kind == RUN_PATTERN_BEGIN || kind == RUN_PATTERN_END) {
                wrong(parser, from, "an anchor cannot be repeated");
            }
            item = add_node(parser, (struct run_pattern_node){.kind = RUN_PATTERN_REPEAT,
                                                              .child = item,
                                                              .least = least,
                                                              .most = most});
        }
        *tail = item;
        tail = &parser->nodes[item].next;
    }
    return sequence;
}

static uint32_t take_alternatives(struct parser *parser)
{
    const uint32_t all =
        add_node(parser, (struct run_pattern_node){.kind = RUN_PATTERN_ALTERNATIVES});
    uint32_t *tail = &parser->nodes[all].child;
    do {
        const uint32_t one = take_sequence(parser);
        *tail = one;
        tail = &parser->nodes[one].next;
    } while (take(parser, "|"));
    return all;
}

/* ---- all of it ------------------------------------------------------------------------------- */

enum takt_status run_steps_parse(struct run_steps *steps, const char *pattern,
                                 struct takt_error *error)
{
    *steps = (struct run_steps){0};
    struct parser *parser = calloc(1, sizeof *parser);
    BASE_ASSERT(parser);
    *parser = (struct parser){.steps = steps, .pattern = pattern, .at = pattern, .error = error};
    parser->nodes = calloc(NODES_MAX, sizeof *parser->nodes);
    BASE_ASSERT(parser->nodes);
    parser->node_count = 1;
    const uint32_t tree = take_alternatives(parser);
    if (more(parser)) {
        wrong(parser, parser->at, "a ')' without its group");
    }
    const uint32_t any = intern(parser, any_ranges, 1);
    if (parser->status == TAKT_OK && !run_steps_build(steps, parser->nodes, tree, any)) {
        too_large(parser);
    }
    const enum takt_status status = parser->status;
    free(parser->nodes);
    free(parser);
    return status;
}
