/*
 * Languages: sets of strings, as deterministic automata over characters (not bytes: how JSON spells
 * a character is the grammar's matter). They come from regular expressions, lengths and lists of
 * words, and may be cut and complemented, so that several demands on one string become one
 * automaton. U+0000 is in none: the grammar never writes it.
 */
#ifndef RUN_LANGUAGE_H
#define RUN_LANGUAGE_H

#include "base/base.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RUN_CHARACTER_FIRST 1u
#define RUN_CHARACTER_LAST 0x10FFFFu
#define RUN_LANGUAGE_STATES_MAX 8192u
#define RUN_LANGUAGE_ARCS_MAX 65536u

struct run_range {
    uint32_t first, last; /* characters */
};

struct run_arc {
    struct run_range on;
    uint32_t to;
};

struct run_language_state {
    uint32_t first_arc, arc_count; /* in order, apart; what no arc names leads nowhere */
    bool accepts;
};

/* State 0 is the first; from every other one an accepting state can be reached. */
struct run_language {
    struct run_language_state *states;
    uint32_t state_count, state_capacity;
    struct run_arc *arcs;
    uint32_t arc_count, arc_capacity;
};

/* ---- made (each replaces what was not initialised before; false or a status: too large) ------ */

#define RUN_LANGUAGE_WORK                                                                          \
    UINT64_C(30000000) /* a fraction of a second, for all patterns of a schema */

/* What a regular expression of ECMA-262 finds a match in. The message names construct and place.
 * work_left: what may be spent is in it, and is taken from it. */
enum takt_status run_language_pattern(struct run_language *language, const char *pattern,
                                      uint64_t *work_left, struct takt_error *error);
/* Any characters, at least and at most so many; most < 0: any number. */
bool run_language_lengths(struct run_language *language, long least, long most);
/* These words and no others. */
bool run_language_words(struct run_language *language, const char *const *words, size_t count);

/* ---- of others ------------------------------------------------------------------------------- */

bool run_language_both(struct run_language *language, const struct run_language *a,
                       const struct run_language *b);
bool run_language_not(struct run_language *language, const struct run_language *a);
bool run_language_is_empty(const struct run_language *language);
bool run_language_takes(const struct run_language *language, const char *text);
void run_language_free(struct run_language *language); /* safe on a zeroed one and twice */

/* ---- the parts ------------------------------------------------------------------------------- */

/* One character of valid UTF-8, and the bytes it takes. */
uint32_t run_character(const char *text, size_t *size);
/* Adds a state or an arc to the state added last; false when there are too many. */
bool run_language_add_state(struct run_language *language, bool accepts);
bool run_language_add_arc(struct run_language *language, struct run_range on, uint32_t to);
/* Leaves out the states from which nothing is accepted. */
void run_language_trim(struct run_language *language);

/* A regular expression as a graph (language_pattern.c), before it becomes deterministic
 * (language_subset.c). Nodes lead to `next`; node 0 is where a match has been found. */
enum run_step_kind {
    RUN_STEP_FOUND,
    RUN_STEP_SET,   /* a character of the set `other` */
    RUN_STEP_SPLIT, /* next or other */
    RUN_STEP_BEGIN, /* only where the string begins */
    RUN_STEP_END,   /* only where it ends */
};

struct run_step {
    enum run_step_kind kind;
    uint32_t next, other;
};

struct run_step_set {
    uint32_t first, count; /* ranges, in order, apart */
};

struct run_steps {
    struct run_step *steps;
    uint32_t count, capacity, start;
    struct run_step_set *sets;
    uint32_t set_count, set_capacity;
    struct run_range *ranges;
    uint32_t range_count, range_capacity;
};

/* A regular expression's tree, as language_pattern.c reads it and language_steps.c writes it out.
 * Lists of nodes hang on `child`, each with its next; 0 ends a list and is no node. */
enum run_pattern_kind {
    RUN_PATTERN_SET,
    RUN_PATTERN_BEGIN,
    RUN_PATTERN_END,
    RUN_PATTERN_SEQUENCE,
    RUN_PATTERN_ALTERNATIVES,
    RUN_PATTERN_REPEAT,
};

#define RUN_EVER UINT32_MAX

struct run_pattern_node {
    enum run_pattern_kind kind;
    uint32_t child, next;
    uint32_t set;         /* SET */
    uint32_t least, most; /* REPEAT; most: RUN_EVER */
};

/* The graph of the tree, from its end; any: the set of all characters. False: too large. */
bool run_steps_build(struct run_steps *steps, const struct run_pattern_node *nodes, uint32_t tree,
                     uint32_t any);

enum takt_status run_steps_parse(struct run_steps *steps, const char *pattern,
                                 struct takt_error *error);
void run_steps_free(struct run_steps *steps);

#endif
