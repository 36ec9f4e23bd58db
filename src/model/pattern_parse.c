/* A pattern's text to a tree, and the tree to a program of jumps and sets of characters. */
#include "model/pattern_parts.h"

#include <stdlib.h>
#include <string.h>

#define NESTING_MAX 64u
#define REPEAT_MAX 1000u
#define NODES_MAX 16384u

enum node_kind { NODE_SET, NODE_ASSERTION, NODE_SEQUENCE, NODE_ALTERNATIVES, NODE_REPEAT };

/* A list of nodes hangs on `child`, each with its next; 0 ends it, and is no node. */
struct node {
    enum node_kind kind;
    enum pattern_kind assertion;
    uint32_t set, child, next, least, most; /* most: UINT32_MAX = any number */
    bool lazy;
};

struct parser {
    struct pattern_program *program;
    struct node *nodes;
    uint32_t node_count, node_capacity;
    const char *where, *source;
    size_t length, at;
    uint32_t depth;
    bool fold; /* (?i: */
    enum takt_status status;
    struct takt_error *error;
};

static void fail(struct parser *parser, enum takt_status status, const char *why)
{
    if (parser->status != TAKT_OK)
        return;
    size_t show = BASE_MIN(parser->length - BASE_MIN(parser->at, parser->length), (size_t)30);
    show = base_utf8_whole_prefix(parser->source + parser->at, show);
    parser->status =
        base_fail(parser->error, status, "%s: pattern, character %zu: \"%.*s\": %s", parser->where,
                  parser->at + 1, (int)show, parser->source + parser->at, why);
}

static bool more(const struct parser *parser)
{
    return parser->status == TAKT_OK && parser->at < parser->length;
}

static bool take(struct parser *parser, const char *text)
{
    size_t length = strlen(text);
    if (parser->status != TAKT_OK || parser->length - parser->at < length ||
        memcmp(parser->source + parser->at, text, length) != 0)
        return false;
    parser->at += length;
    return true;
}

static uint32_t take_character(struct parser *parser)
{
    size_t size;
    uint32_t code = unicode_decode(parser->source + parser->at, parser->length - parser->at, &size);
    parser->at += size;
    return code;
}

/* ---- sets ------------------------------------------------------------------------------------ */

static void add_range(struct parser *parser, struct pattern_set *set, uint32_t first, uint32_t last)
{
    if (set->count == set->capacity) {
        size_t capacity = set->capacity == 0 ? 16 : 2 * set->capacity;
        struct unicode_range *grown = realloc(set->ranges, capacity * sizeof(*grown));
        if (grown == NULL) {
            fail(parser, TAKT_MEMORY, "no memory; free some");
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

static void invert(struct parser *parser, struct pattern_set *set)
{
    struct pattern_set other = {NULL, 0, 0};
    uint32_t next = 0;
    normalise(set);
    for (size_t i = 0; i < set->count; i++) {
        if (set->ranges[i].first > next)
            add_range(parser, &other, next, set->ranges[i].first - 1);
        next = set->ranges[i].last + 1;
    }
    if (next <= UNICODE_MAX)
        add_range(parser, &other, next, UNICODE_MAX);
    free(set->ranges);
    *set = other;
}

static void add_set(struct parser *parser, struct pattern_set *set, const struct pattern_set *more)
{
    for (size_t i = 0; i < more->count; i++)
        add_range(parser, set, more->ranges[i].first, more->ranges[i].last);
}

static void add_categories(struct parser *parser, struct pattern_set *set, uint32_t mask)
{
    for (uint32_t code = 0, last; code <= UNICODE_MAX; code = last + 1)
        if ((UNICODE_MASK(unicode_run(code, &last)) & mask) != 0)
            add_range(parser, set, code, last);
}

/* One code point, and with (?i: its other cases. */
static void add_code(struct parser *parser, struct pattern_set *set, uint32_t code)
{
    uint32_t lower[3], upper[3];
    add_range(parser, set, code, code);
    if (!parser->fold)
        return;
    if (unicode_lower(code, lower) == 1)
        add_range(parser, set, lower[0], lower[0]);
    if (unicode_upper(code, upper) == 1)
        add_range(parser, set, upper[0], upper[0]);
    if ((code | 32) == 's')
        add_range(parser, set, 0x17F, 0x17F);
    if ((code | 32) == 'k')
        add_range(parser, set, 0x212A, 0x212A);
}

static void add_spaces(struct parser *parser, struct pattern_set *set)
{
    for (uint32_t code = 0; code <= 0x3000; code++)
        if (unicode_is_space(code))
            add_range(parser, set, code, code);
}

/* "L", "Lu", "Han", "Script=Han", "IsHan", "Letter" ... */
static void add_property(struct parser *parser, struct pattern_set *set, const char *name,
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
            add_range(parser, set, script[i].first, script[i].last);
    else
        fail(parser, TAKT_UNSUPPORTED, "a property that takt does not know");
}

#define WORD_MASK                                                                                  \
    (UNICODE_MASK(UNICODE_LU) | UNICODE_MASK(UNICODE_LL) | UNICODE_MASK(UNICODE_LT) |              \
     UNICODE_MASK(UNICODE_LM) | UNICODE_MASK(UNICODE_LO) | UNICODE_MASK(UNICODE_MN) |              \
     UNICODE_MASK(UNICODE_MC) | UNICODE_MASK(UNICODE_ME) | UNICODE_MASK(UNICODE_ND) |              \
     UNICODE_MASK(UNICODE_NL) | UNICODE_MASK(UNICODE_PC))

/* Behind "\x" or "\u": digits as they are, or between braces. */
static uint32_t take_hex(struct parser *parser, size_t digits)
{
    uint32_t code = 0;
    bool braces = take(parser, "{");
    for (size_t i = 0; more(parser) && (braces ? i < 8 : i < digits); i++) {
        char c = parser->source[parser->at];
        uint32_t digit = c >= '0' && c <= '9'                 ? (uint32_t)(c - '0')
                         : (c | 32) >= 'a' && (c | 32) <= 'f' ? (uint32_t)((c | 32) - 'a') + 10
                                                              : 16;
        if (digit == 16)
            break;
        code = code << 4 | digit;
        parser->at++;
    }
    if ((braces && !take(parser, "}")) || code > UNICODE_MAX)
        fail(parser, TAKT_FORMAT, "not a code point");
    return code;
}

/* Behind a backslash. True when it was one character, in *code; false when it was a set. */
static bool parse_escape(struct parser *parser, struct pattern_set *set, uint32_t *code)
{
    static const char plain[] = "n\nr\rt\tf\fv\va\ae\x1b";
    struct pattern_set own = {NULL, 0, 0};
    if (!more(parser)) {
        fail(parser, TAKT_FORMAT, "a backslash at the end");
        return true;
    }
    char letter = parser->source[parser->at];
    if ((unsigned char)letter >= 0x80 || memchr("sSdDwWpPhxu", letter, 11) == NULL) {
        *code = take_character(parser);
        for (const char *pair = plain; *pair != '\0'; pair += 2)
            if (letter == pair[0])
                *code = (unsigned char)pair[1];
        bool word = (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
                    (letter >= '0' && letter <= '9');
        if (word && *code == (unsigned char)letter)
            fail(parser, TAKT_UNSUPPORTED, "an escape that takt does not know is before this");
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
        add_range(parser, &own, '0', '9');
        add_range(parser, &own, 'a', 'f');
        add_range(parser, &own, 'A', 'F');
        break;
    default: {
        bool braces = take(parser, "{"), negated = braces && take(parser, "^");
        const char *name = parser->source + parser->at;
        size_t length = braces ? 0 : 1;
        while (braces && parser->at + length < parser->length && name[length] != '}')
            length++;
        if (parser->at + length + (braces ? 1 : 0) > parser->length) {
            fail(parser, TAKT_FORMAT, "a property has no end");
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

static void parse_class_items(struct parser *parser, struct pattern_set *set);

/* Behind "&&": what the rest of the class does not hold goes. */
static void intersect(struct parser *parser, struct pattern_set *set)
{
    struct pattern_set rest = {NULL, 0, 0};
    parse_class_items(parser, &rest);
    invert(parser, &rest);
    invert(parser, set);
    add_set(parser, set, &rest);
    invert(parser, set);
    free(rest.ranges);
}

/* Behind "[", up to "]". */
static void parse_class(struct parser *parser, struct pattern_set *set)
{
    struct pattern_set own = {NULL, 0, 0};
    bool negated = take(parser, "^");
    if (++parser->depth > NESTING_MAX)
        fail(parser, TAKT_LIMIT, "nested too deep");
    parse_class_items(parser, &own);
    if (!take(parser, "]"))
        fail(parser, TAKT_FORMAT, "] is missing");
    if (negated)
        invert(parser, &own);
    add_set(parser, set, &own);
    free(own.ranges);
    parser->depth--;
}

/* The items of a class, the first of which may be "]". */
static void parse_class_items(struct parser *parser, struct pattern_set *set)
{
    bool first = true;
    for (; more(parser) && (first || parser->source[parser->at] != ']'); first = false) {
        uint32_t code = 0, last;
        bool single = true;
        if (take(parser, "&&")) {
            intersect(parser, set);
            break;
        }
        if (take(parser, "[:"))
            fail(parser, TAKT_UNSUPPORTED, "a POSIX class is before this");
        else if (take(parser, "[")) {
            parse_class(parser, set);
            continue;
        } else if (take(parser, "\\"))
            single = parse_escape(parser, set, &code);
        else
            code = take_character(parser);
        if (!single)
            continue;
        last = code;
        if (parser->at + 1 < parser->length && parser->source[parser->at] == '-' &&
            parser->source[parser->at + 1] != ']') {
            parser->at++;
            bool range = true;
            if (take(parser, "\\"))
                range = parse_escape(parser, set, &last);
            else
                last = take_character(parser);
            if (!range || last < code)
                fail(parser, TAKT_FORMAT, "a range that runs backwards is before this");
        }
        if (last - code > 64 || !parser->fold)
            add_range(parser, set, code, BASE_MAX(code, last));
        else
            for (; code <= last; code++)
                add_code(parser, set, code);
    }
}

/* The set's number; equal sets share one. Takes the ranges. */
static uint32_t intern(struct parser *parser, struct pattern_set *set)
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
        fail(parser, TAKT_LIMIT, "too many different sets of characters");
        free(set->ranges);
        return 0;
    }
    program->sets[program->set_count] = *set;
    return program->set_count++;
}

/* ---- tree ------------------------------------------------------------------------------------ */

static uint32_t make_node(struct parser *parser, enum node_kind kind)
{
    if (parser->node_count == parser->node_capacity) {
        uint32_t capacity = parser->node_capacity == 0 ? 64 : 2 * parser->node_capacity;
        struct node *grown =
            capacity > NODES_MAX ? NULL : realloc(parser->nodes, capacity * sizeof(*grown));
        if (grown == NULL) {
            fail(parser, TAKT_LIMIT, "the pattern is too large");
            return 0;
        }
        parser->nodes = grown;
        parser->node_capacity = capacity;
    }
    parser->nodes[parser->node_count] = (struct node){.kind = kind};
    return parser->node_count++;
}

/* "{2,5}": false when the brace is a character of its own. */
static bool take_counts(struct parser *parser, uint32_t *least, uint32_t *most)
{
    size_t begin = parser->at;
    if (!take(parser, "{"))
        return false;
    uint32_t counts[2] = {0, 0};
    bool given[2] = {false, false}, comma = false;
    for (size_t i = 0; i < 2; i++) {
        while (more(parser) && parser->source[parser->at] >= '0' &&
               parser->source[parser->at] <= '9' && counts[i] <= REPEAT_MAX) {
            counts[i] = 10 * counts[i] + (uint32_t)(parser->source[parser->at++] - '0');
            given[i] = true;
        }
        if (i == 0)
            comma = take(parser, ",");
    }
    if (!take(parser, "}") || (!given[0] && !given[1])) {
        parser->at = begin;
        return false;
    }
    *least = counts[0];
    *most = given[1] ? counts[1] : comma ? UINT32_MAX : counts[0];
    if (counts[0] > REPEAT_MAX || counts[1] > REPEAT_MAX || *most < *least)
        fail(parser, TAKT_LIMIT, "a count that is too large, or less than the least, is before");
    return true;
}

/* The node as the quantifiers behind it repeat it. */
static uint32_t parse_quantifiers(struct parser *parser, uint32_t child)
{
    uint32_t least, most;
    for (;;) {
        if (take(parser, "*")) {
            least = 0;
            most = UINT32_MAX;
        } else if (take(parser, "+")) {
            least = 1;
            most = UINT32_MAX;
        } else if (take(parser, "?")) {
            least = 0;
            most = 1;
        } else if (!take_counts(parser, &least, &most)) {
            return child;
        }
        uint32_t repeat = make_node(parser, NODE_REPEAT);
        struct node *node = &parser->nodes[repeat];
        if (parser->status != TAKT_OK)
            return child;
        node->lazy = take(parser, "?");
        if (!node->lazy)
            (void)take(parser, "+"); /* possessive: see pattern.h */
        node->child = child;
        node->least = least;
        node->most = most;
        if (++parser->depth > NESTING_MAX) {
            fail(parser, TAKT_LIMIT, "nested too deep");
            return child;
        }
        child = repeat;
    }
}

static uint32_t parse_alternatives(struct parser *parser);

static uint32_t make_assertion(struct parser *parser, enum pattern_kind kind, uint32_t set)
{
    uint32_t made = make_node(parser, NODE_ASSERTION);
    if (parser->status == TAKT_OK) {
        parser->nodes[made].assertion = kind;
        parser->nodes[made].set = set;
    }
    return made;
}

/* Behind "(?=" or "(?!": one set of characters, then ")". */
static uint32_t parse_lookahead(struct parser *parser, bool negated)
{
    struct pattern_set set = {NULL, 0, 0};
    uint32_t code;
    if (take(parser, "["))
        parse_class(parser, &set);
    else if (!take(parser, "\\"))
        add_code(parser, &set, more(parser) ? take_character(parser) : 0);
    else if (parse_escape(parser, &set, &code))
        add_code(parser, &set, code);
    uint32_t number = intern(parser, &set);
    if (!take(parser, ")"))
        fail(parser, TAKT_UNSUPPORTED, "lookahead by more than one character");
    return make_assertion(parser, negated ? PATTERN_NOT_AHEAD : PATTERN_AHEAD, number);
}

static uint32_t parse_group(struct parser *parser)
{
    bool fold = parser->fold;
    if (take(parser, "?="))
        return parse_lookahead(parser, false);
    if (take(parser, "?!"))
        return parse_lookahead(parser, true);
    if (take(parser, "?i:"))
        parser->fold = true;
    else if (!take(parser, "?:") && !take(parser, "?>") && more(parser) &&
             parser->source[parser->at] == '?')
        fail(parser, TAKT_UNSUPPORTED, "a group that takt does not know");
    if (++parser->depth > NESTING_MAX)
        fail(parser, TAKT_LIMIT, "nested too deep");
    uint32_t inside = parser->status == TAKT_OK ? parse_alternatives(parser) : 0;
    if (!take(parser, ")"))
        fail(parser, TAKT_FORMAT, ") is missing");
    parser->depth--;
    parser->fold = fold;
    return inside;
}

static uint32_t parse_atom(struct parser *parser)
{
    struct pattern_set set = {NULL, 0, 0};
    uint32_t code;
    if (take(parser, "("))
        return parse_group(parser);
    if (take(parser, "^") || take(parser, "\\A"))
        return make_assertion(parser, PATTERN_START, 0);
    if (take(parser, "$") || take(parser, "\\z"))
        return make_assertion(parser, PATTERN_END, 0);
    if (take(parser, "[")) {
        parse_class(parser, &set);
    } else if (take(parser, ".")) {
        add_range(parser, &set, 0, '\n' - 1);
        add_range(parser, &set, '\n' + 1, UNICODE_MAX);
    } else if (take(parser, "\\")) {
        if (parse_escape(parser, &set, &code))
            add_code(parser, &set, code);
    } else if (memchr("*+?", parser->source[parser->at], 3) != NULL) {
        fail(parser, TAKT_FORMAT, "nothing is there to repeat");
    } else {
        add_code(parser, &set, take_character(parser));
    }
    uint32_t number = intern(parser, &set), made = make_node(parser, NODE_SET);
    if (parser->status == TAKT_OK)
        parser->nodes[made].set = number;
    return made;
}

static uint32_t parse_sequence(struct parser *parser)
{
    uint32_t sequence = make_node(parser, NODE_SEQUENCE), last = 0;
    while (more(parser) && parser->source[parser->at] != '|' && parser->source[parser->at] != ')') {
        uint32_t depth = parser->depth, item = parse_atom(parser);
        item = parse_quantifiers(parser, item);
        parser->depth = depth;
        if (parser->status != TAKT_OK)
            break;
        /* A group's node may be in use elsewhere no more than once: lists never share. */
        if (last == 0)
            parser->nodes[sequence].child = item;
        else
            parser->nodes[last].next = item;
        last = item;
    }
    return sequence;
}

static uint32_t parse_alternatives(struct parser *parser)
{
    uint32_t all = make_node(parser, NODE_ALTERNATIVES), last = parse_sequence(parser);
    if (parser->status == TAKT_OK)
        parser->nodes[all].child = last;
    while (take(parser, "|")) {
        uint32_t next = parse_sequence(parser);
        if (parser->status != TAKT_OK)
            break;
        parser->nodes[last].next = next;
        last = next;
    }
    return all;
}

/* ---- program --------------------------------------------------------------------------------- */

static uint32_t emit(struct parser *parser, enum pattern_kind kind, uint32_t a, uint32_t b)
{
    struct pattern_program *program = parser->program;
    if (program->count == PATTERN_PROGRAM_MAX) {
        fail(parser, TAKT_LIMIT, "the pattern is too large");
        return 0;
    }
    if (program->count == program->capacity) {
        uint32_t capacity = program->capacity == 0 ? 64 : 2 * program->capacity;
        struct pattern_instruction *grown =
            realloc(program->instructions, capacity * sizeof(*grown));
        if (grown == NULL) {
            fail(parser, TAKT_MEMORY, "no memory; free some");
            return 0;
        }
        program->instructions = grown;
        program->capacity = capacity;
    }
    program->instructions[program->count] = (struct pattern_instruction){kind, a, b};
    return program->count++;
}

static void emit_node(struct parser *parser, uint32_t index);

/* Jumps to the end hang together by their targets until the end is known. */
static void emit_alternatives(struct parser *parser, const struct node *node)
{
    uint32_t chain = UINT32_MAX;
    for (uint32_t child = node->child; child != 0 && parser->status == TAKT_OK;
         child = parser->nodes[child].next) {
        if (parser->nodes[child].next == 0) {
            emit_node(parser, child);
            break;
        }
        uint32_t fork = emit(parser, PATTERN_FORK, 0, 0);
        emit_node(parser, child);
        chain = emit(parser, PATTERN_JUMP, chain, 0);
        if (parser->status != TAKT_OK)
            return;
        parser->program->instructions[fork].a = fork + 1;
        parser->program->instructions[fork].b = chain + 1;
    }
    while (chain != UINT32_MAX && parser->status == TAKT_OK) {
        uint32_t previous = parser->program->instructions[chain].a;
        parser->program->instructions[chain].a = parser->program->count;
        chain = previous;
    }
}

static void set_fork(struct parser *parser, uint32_t fork, uint32_t out, bool lazy)
{
    struct pattern_instruction *at = &parser->program->instructions[fork];
    at->a = lazy ? out : fork + 1;
    at->b = lazy ? fork + 1 : out;
}

static void emit_repeat(struct parser *parser, const struct node *node)
{
    uint32_t forks[REPEAT_MAX], count = 0;
    for (uint32_t i = 0; i < node->least && parser->status == TAKT_OK; i++)
        emit_node(parser, node->child);
    if (node->most == UINT32_MAX) {
        uint32_t fork = emit(parser, PATTERN_FORK, 0, 0);
        emit_node(parser, node->child);
        emit(parser, PATTERN_JUMP, fork, 0);
        if (parser->status == TAKT_OK)
            set_fork(parser, fork, parser->program->count, node->lazy);
        return;
    }
    for (uint32_t i = node->least; i < node->most && parser->status == TAKT_OK; i++) {
        forks[count++] = emit(parser, PATTERN_FORK, 0, 0);
        emit_node(parser, node->child);
    }
    for (uint32_t i = 0; i < count && parser->status == TAKT_OK; i++)
        set_fork(parser, forks[i], parser->program->count, node->lazy);
}

static void emit_node(struct parser *parser, uint32_t index)
{
    const struct node *node = &parser->nodes[index];
    if (parser->status != TAKT_OK)
        return;
    switch (node->kind) {
    case NODE_SET: emit(parser, PATTERN_SET, node->set, 0); break;
    case NODE_ASSERTION: emit(parser, node->assertion, node->set, 0); break;
    case NODE_SEQUENCE:
        for (uint32_t child = node->child; child != 0; child = parser->nodes[child].next)
            emit_node(parser, child);
        break;
    case NODE_ALTERNATIVES: emit_alternatives(parser, node); break;
    case NODE_REPEAT: emit_repeat(parser, node); break;
    }
}

enum takt_status pattern_parse(struct pattern_program *program, const char *where,
                               const char *source, size_t length, struct takt_error *error)
{
    *program = (struct pattern_program){0};
    struct parser parser = {.program = program,
                            .where = where,
                            .source = source,
                            .length = length,
                            .status = TAKT_OK,
                            .error = error};
    (void)make_node(&parser, NODE_SEQUENCE); /* 0 is no node */
    uint32_t root = parse_alternatives(&parser);
    if (more(&parser))
        fail(&parser, TAKT_FORMAT, "a ) that closes nothing");
    emit_node(&parser, root);
    emit(&parser, PATTERN_MATCH, 0, 0);
    free(parser.nodes);
    if (parser.status != TAKT_OK)
        pattern_program_free(program);
    return parser.status;
}

void pattern_program_free(struct pattern_program *program)
{
    for (uint32_t i = 0; i < program->set_count; i++)
        free(program->sets[i].ranges);
    free(program->instructions);
    *program = (struct pattern_program){0};
}
