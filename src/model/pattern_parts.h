/* What the pattern's two files share: pattern_parse.c makes a program, pattern.c tables of it. */
#ifndef MODEL_PATTERN_PARTS_H
#define MODEL_PATTERN_PARTS_H

#include "model/pattern.h"
#include "model/unicode.h"

#define PATTERN_PROGRAM_MAX 16384u
#define PATTERN_SETS_MAX 60u /* distinct sets of characters */

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

#endif
