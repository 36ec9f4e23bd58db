/*
 * A pattern's text to a tree, and the tree to a program of jumps and sets of characters, which
 * pattern_class.c reads.
 * Requires: UTF-8. Fills in: the program's instructions, behind its sets.
 */
#include "model/pattern_parts.h"

#include <stdlib.h>
#include <string.h>

#define REPEAT_MAX 1000u
#define NODES_MAX 16384u

enum node_kind { NODE_SET, NODE_ASSERTION, NODE_SEQUENCE, NODE_ALTERNATIVES, NODE_REPEAT };

/* A list of nodes hangs on `child`, each with its next; 0 ends it, and is no node. */
struct pattern_node {
    enum node_kind kind;
    enum pattern_kind assertion;
    uint32_t set, child, next, least, most; /* most: UINT32_MAX = any number */
    bool lazy;
};

/* ---- reading --------------------------------------------------------------------------------- */

void pattern_fail(struct pattern_parser *parser, enum takt_status status, const char *why)
{
    if (parser->status != TAKT_OK)
        return;
    size_t show = BASE_MIN(parser->length - BASE_MIN(parser->at, parser->length), (size_t)30);
    show = base_utf8_whole_prefix(parser->source + parser->at, show);
    parser->status =
        base_fail(parser->error, status, "%s: pattern, character %zu: \"%.*s\": %s", parser->where,
                  parser->at + 1, (int)show, parser->source + parser->at, why);
}

bool pattern_more(const struct pattern_parser *parser)
{
    return parser->status == TAKT_OK && parser->at < parser->length;
}

bool pattern_take(struct pattern_parser *parser, const char *text)
{
    size_t length = strlen(text);
    if (parser->status != TAKT_OK || parser->length - parser->at < length ||
        memcmp(parser->source + parser->at, text, length) != 0)
        return false;
    parser->at += length;
    return true;
}

uint32_t pattern_take_character(struct pattern_parser *parser)
{
    size_t size;
    uint32_t code = unicode_decode(parser->source + parser->at, parser->length - parser->at, &size);
    parser->at += size;
    return code;
}

/* ---- tree ------------------------------------------------------------------------------------ */

static uint32_t make_node(struct pattern_parser *parser, enum node_kind kind)
{
    if (parser->node_count == parser->node_capacity) {
        uint32_t capacity = parser->node_capacity == 0 ? 64 : 2 * parser->node_capacity;
        struct pattern_node *grown =
            capacity > NODES_MAX ? NULL : realloc(parser->nodes, capacity * sizeof(*grown));
        if (grown == NULL) {
            pattern_fail(parser, TAKT_LIMIT, "the pattern is too large");
            return 0;
        }
        parser->nodes = grown;
        parser->node_capacity = capacity;
    }
    parser->nodes[parser->node_count] = (struct pattern_node){.kind = kind};
    return parser->node_count++;
}

/* "{2,5}": false when the brace is a character of its own. */
static bool take_counts(struct pattern_parser *parser, uint32_t *least, uint32_t *most)
{
    size_t begin = parser->at;
    if (!pattern_take(parser, "{"))
        return false;
    uint32_t counts[2] = {0, 0};
    bool given[2] = {false, false}, comma = false;
    for (size_t i = 0; i < 2; i++) {
        while (pattern_more(parser) && parser->source[parser->at] >= '0' &&
               parser->source[parser->at] <= '9' && counts[i] <= REPEAT_MAX) {
            counts[i] = 10 * counts[i] + (uint32_t)(parser->source[parser->at++] - '0');
            given[i] = true;
        }
        if (i == 0)
            comma = pattern_take(parser, ",");
    }
    if (!pattern_take(parser, "}") || (!given[0] && !given[1])) {
        parser->at = begin;
        return false;
    }
    *least = counts[0];
    *most = given[1] ? counts[1] : comma ? UINT32_MAX : counts[0];
    if (counts[0] > REPEAT_MAX || counts[1] > REPEAT_MAX || *most < *least)
        pattern_fail(parser, TAKT_LIMIT,
                     "a count that is too large, or less than the least, is before");
    return true;
}

/* The node as the quantifiers behind it repeat it. */
static uint32_t parse_quantifiers(struct pattern_parser *parser, uint32_t child)
{
    uint32_t least, most;
    for (;;) {
        if (pattern_take(parser, "*")) {
            least = 0;
            most = UINT32_MAX;
        } else if (pattern_take(parser, "+")) {
            least = 1;
            most = UINT32_MAX;
        } else if (pattern_take(parser, "?")) {
            least = 0;
            most = 1;
        } else if (!take_counts(parser, &least, &most)) {
            return child;
        }
        uint32_t repeat = make_node(parser, NODE_REPEAT);
        struct pattern_node *node = &parser->nodes[repeat];
        if (parser->status != TAKT_OK)
            return child;
        node->lazy = pattern_take(parser, "?");
        if (!node->lazy)
            (void)pattern_take(parser, "+"); /* possessive: see pattern.h */
        node->child = child;
        node->least = least;
        node->most = most;
        if (++parser->depth > PATTERN_NESTING_MAX) {
            pattern_fail(parser, TAKT_LIMIT, "nested too deep");
            return child;
        }
        child = repeat;
    }
}

static uint32_t parse_alternatives(struct pattern_parser *parser);

static uint32_t make_assertion(struct pattern_parser *parser, enum pattern_kind kind, uint32_t set)
{
    uint32_t made = make_node(parser, NODE_ASSERTION);
    if (parser->status == TAKT_OK) {
        parser->nodes[made].assertion = kind;
        parser->nodes[made].set = set;
    }
    return made;
}

/* Behind "(?=" or "(?!": one set of characters, then ")". */
static uint32_t parse_lookahead(struct pattern_parser *parser, bool negated)
{
    struct pattern_set set = {NULL, 0, 0};
    uint32_t code;
    if (pattern_take(parser, "["))
        pattern_parse_class(parser, &set);
    else if (!pattern_take(parser, "\\"))
        pattern_add_code(parser, &set, pattern_more(parser) ? pattern_take_character(parser) : 0);
    else if (pattern_parse_escape(parser, &set, &code))
        pattern_add_code(parser, &set, code);
    uint32_t number = pattern_intern(parser, &set);
    if (!pattern_take(parser, ")"))
        pattern_fail(parser, TAKT_UNSUPPORTED, "lookahead by more than one character");
    return make_assertion(parser, negated ? PATTERN_NOT_AHEAD : PATTERN_AHEAD, number);
}

static uint32_t parse_group(struct pattern_parser *parser)
{
    bool fold = parser->fold;
    if (pattern_take(parser, "?="))
        return parse_lookahead(parser, false);
    if (pattern_take(parser, "?!"))
        return parse_lookahead(parser, true);
    if (pattern_take(parser, "?i:"))
        parser->fold = true;
    else if (!pattern_take(parser, "?:") && !pattern_take(parser, "?>") && pattern_more(parser) &&
             parser->source[parser->at] == '?')
        pattern_fail(parser, TAKT_UNSUPPORTED, "a group that takt does not know");
    if (++parser->depth > PATTERN_NESTING_MAX)
        pattern_fail(parser, TAKT_LIMIT, "nested too deep");
    uint32_t inside = parser->status == TAKT_OK ? parse_alternatives(parser) : 0;
    if (!pattern_take(parser, ")"))
        pattern_fail(parser, TAKT_FORMAT, ") is missing");
    parser->depth--;
    parser->fold = fold;
    return inside;
}

static uint32_t parse_atom(struct pattern_parser *parser)
{
    struct pattern_set set = {NULL, 0, 0};
    uint32_t code;
    if (pattern_take(parser, "("))
        return parse_group(parser);
    if (pattern_take(parser, "^") || pattern_take(parser, "\\A"))
        return make_assertion(parser, PATTERN_START, 0);
    if (pattern_take(parser, "$") || pattern_take(parser, "\\z"))
        return make_assertion(parser, PATTERN_END, 0);
    if (pattern_take(parser, "[")) {
        pattern_parse_class(parser, &set);
    } else if (pattern_take(parser, ".")) {
        pattern_add_range(parser, &set, 0, '\n' - 1);
        pattern_add_range(parser, &set, '\n' + 1, UNICODE_MAX);
    } else if (pattern_take(parser, "\\")) {
        if (pattern_parse_escape(parser, &set, &code))
            pattern_add_code(parser, &set, code);
    } else if (memchr("*+?", parser->source[parser->at], 3) != NULL) {
        pattern_fail(parser, TAKT_FORMAT, "nothing is there to repeat");
    } else {
        pattern_add_code(parser, &set, pattern_take_character(parser));
    }
    uint32_t number = pattern_intern(parser, &set), made = make_node(parser, NODE_SET);
    if (parser->status == TAKT_OK)
        parser->nodes[made].set = number;
    return made;
}

static uint32_t parse_sequence(struct pattern_parser *parser)
{
    uint32_t sequence = make_node(parser, NODE_SEQUENCE), last = 0;
    while (pattern_more(parser) && parser->source[parser->at] != '|' &&
           parser->source[parser->at] != ')') {
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

static uint32_t parse_alternatives(struct pattern_parser *parser)
{
    uint32_t all = make_node(parser, NODE_ALTERNATIVES), last = parse_sequence(parser);
    if (parser->status == TAKT_OK)
        parser->nodes[all].child = last;
    while (pattern_take(parser, "|")) {
        uint32_t next = parse_sequence(parser);
        if (parser->status != TAKT_OK)
            break;
        parser->nodes[last].next = next;
        last = next;
    }
    return all;
}

/* ---- program --------------------------------------------------------------------------------- */

static uint32_t emit(struct pattern_parser *parser, enum pattern_kind kind, uint32_t a, uint32_t b)
{
    struct pattern_program *program = parser->program;
    if (program->count == PATTERN_PROGRAM_MAX) {
        pattern_fail(parser, TAKT_LIMIT, "the pattern is too large");
        return 0;
    }
    if (program->count == program->capacity) {
        uint32_t capacity = program->capacity == 0 ? 64 : 2 * program->capacity;
        struct pattern_instruction *grown =
            realloc(program->instructions, capacity * sizeof(*grown));
        if (grown == NULL) {
            pattern_fail(parser, TAKT_MEMORY, "no memory; free some");
            return 0;
        }
        program->instructions = grown;
        program->capacity = capacity;
    }
    program->instructions[program->count] = (struct pattern_instruction){kind, a, b};
    return program->count++;
}

static void emit_node(struct pattern_parser *parser, uint32_t index);

/* Jumps to the end hang together by their targets until the end is known. */
static void emit_alternatives(struct pattern_parser *parser, const struct pattern_node *node)
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

static void set_fork(struct pattern_parser *parser, uint32_t fork, uint32_t out, bool lazy)
{
    struct pattern_instruction *at = &parser->program->instructions[fork];
    at->a = lazy ? out : fork + 1;
    at->b = lazy ? fork + 1 : out;
}

static void emit_repeat(struct pattern_parser *parser, const struct pattern_node *node)
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

static void emit_node(struct pattern_parser *parser, uint32_t index)
{
    const struct pattern_node *node = &parser->nodes[index];
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
    struct pattern_parser parser = {.program = program,
                                    .where = where,
                                    .source = source,
                                    .length = length,
                                    .status = TAKT_OK,
                                    .error = error};
    (void)make_node(&parser, NODE_SEQUENCE); /* 0 is no node */
    uint32_t root = parse_alternatives(&parser);
    if (pattern_more(&parser))
        pattern_fail(&parser, TAKT_FORMAT, "a ) that closes nothing");
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
