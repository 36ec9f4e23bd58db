/* What the pattern's files share: pattern_parse.c makes a program, with sets of characters by
 * pattern_class.c; pattern.c makes tables of it. */
#ifndef MODEL_PATTERN_PARTS_H
#define MODEL_PATTERN_PARTS_H

#include "model/pattern.h"
#include "model/unicode.h"

#define PATTERN_PROGRAM_MAX 16384u
#define PATTERN_SETS_MAX 60u /* distinct sets of characters */
#define PATTERN_NESTING_MAX 64u

enum pattern_kind {
    PATTERN_SET,       /* a character of set `a`, then on */
    PATTERN_FORK,      /* a first, then b */
    PATTERN_JUMP,      /* to a */
    PATTERN_AHEAD,     /* the next character is of set a */
    PATTERN_NOT_AHEAD, /* the next character, if there is one, is not of set a */
    PATTERN_START,     /* the text begins here */
    PATTERN_END,       /* the text ends here */
    PATTERN_MATCH
};

struct pattern_instruction {
    enum pattern_kind kind;
    uint32_t a, b;
};

/* Ranges, ascending and apart. */
struct pattern_set {
    struct unicode_range *ranges;
    size_t count, capacity;
};

struct pattern_program {
    struct pattern_instruction *instructions;
    uint32_t count, capacity;
    struct pattern_set sets[PATTERN_SETS_MAX];
    uint32_t set_count;
};

/* Frees what it made when it fails. */
enum takt_status pattern_parse(struct pattern_program *program, const char *where,
                               const char *source, size_t length, struct takt_error *error);
void pattern_program_free(struct pattern_program *program);

/* ---- parsing --------------------------------------------------------------------------------- */

struct pattern_parser {
    struct pattern_program *program;
    struct pattern_node *nodes;
    uint32_t node_count, node_capacity;
    const char *where, *source;
    size_t length, at;
    uint32_t depth;
    bool fold; /* (?i: */
    enum takt_status status;
    struct takt_error *error;
};

/* Reading. The first failure stays; behind it nothing is taken. */
void pattern_fail(struct pattern_parser *parser, enum takt_status status, const char *why);
bool pattern_more(const struct pattern_parser *parser);
bool pattern_take(struct pattern_parser *parser, const char *text);
uint32_t pattern_take_character(struct pattern_parser *parser);

/* Sets (pattern_class.c): what is read is added to `set`, whose ranges the caller frees. */
void pattern_add_range(struct pattern_parser *parser, struct pattern_set *set, uint32_t first,
                       uint32_t last);
/* One code point, and with (?i: its other cases. */
void pattern_add_code(struct pattern_parser *parser, struct pattern_set *set, uint32_t code);
/* Behind a backslash. True when it was one character, in *code; false when it was a set. */
bool pattern_parse_escape(struct pattern_parser *parser, struct pattern_set *set, uint32_t *code);
/* Behind "[", up to "]". */
void pattern_parse_class(struct pattern_parser *parser, struct pattern_set *set);
/* The set's number; equal sets share one. Takes the ranges. */
uint32_t pattern_intern(struct pattern_parser *parser, struct pattern_set *set);

#endif
