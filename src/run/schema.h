/*
 * The parts of the compiler of schemas (schema.c), which fills a grammar's graph from its end: each
 * part returns the node at which what it describes begins, and leads to the node `next`.
 */
#ifndef RUN_SCHEMA_H
#define RUN_SCHEMA_H

#include "run/grammar.h"
#include "run/language.h"

#include <jansson.h>
#include <string.h>

#define SCHEMA_UNROLLED_MAX 4096 /* minLength, maxLength, minItems, maxItems */
#define SCHEMA_NAMED_MAX 1024u

/* A $ref that was met, and its rule. */
struct schema_named {
    const json_t *schema;
    uint32_t rule;
};

#define SCHEMA_CHARACTERS_SLOTS 512u

/* A set of characters, and its rule. */
struct schema_characters {
    struct schema_characters *next;
    uint32_t rule, count;
    struct run_range ranges[];
};

struct schema_compiler {
    struct run_graph *graph;
    const json_t *root;
    struct schema_named named[SCHEMA_NAMED_MAX];
    size_t named_count;
    uint32_t character, string, number, integer, value, array, object; /* rules */
    struct schema_characters *characters[SCHEMA_CHARACTERS_SLOTS];     /* a hash table */
    uint64_t work_left;                                                /* for languages */
    struct takt_error *error;
    char place[512]; /* a JSON pointer */
    unsigned depth;
    bool failed;
};

static inline uint32_t schema_bytes(struct schema_compiler *c, const char *ranges, uint32_t next)
{
    return run_graph_bytes(c->graph, ranges, next);
}

static inline uint32_t schema_text(struct schema_compiler *c, const char *literal, uint32_t next)
{
    return run_graph_literal(c->graph, literal, strlen(literal), next);
}

static inline uint32_t schema_either(struct schema_compiler *c, uint32_t a, uint32_t b)
{
    return run_graph_split(c->graph, a, b);
}

static inline uint32_t schema_call(struct schema_compiler *c, uint32_t rule, uint32_t next)
{
    return run_graph_call(c->graph, rule, next);
}

/* ---- schema_words.c -------------------------------------------------------------------------- */

/* Sets the error, with the place, unless there is one. Returns 0. */
uint32_t run_schema_refuse(struct schema_compiler *c, enum takt_status status, const char *format,
                           ...) __attribute__((format(printf, 3, 4)));
/* Refuses what is in the schema beyond what needs no keeping and the list (NULL-terminated). */
bool run_schema_only(struct schema_compiler *c, const json_t *schema, const char *const *list);
/* A count among the keywords; `absent` when it is not there. */
long run_schema_count(struct schema_compiler *c, const json_t *schema, const char *key,
                      long absent);

/* ---- schema_json.c --------------------------------------------------------------------------- */

/* Makes the rules of JSON itself. */
void run_schema_make_rules(struct schema_compiler *c);
/* A loop: any number of what its `other` is set to begin with, which leads back to it. */
uint32_t run_schema_loop(struct schema_compiler *c, uint32_t next);
/* A space that may be there. */
uint32_t run_schema_space(struct schema_compiler *c, uint32_t next);
/* An object of any keys, each with a value by the rule. */
uint32_t run_schema_map(struct schema_compiler *c, uint32_t value, uint32_t next);

/* ---- schema_character.c, schema_string.c, schema_format.c
 * ------------------------------------------------------
 */

/* The rule of one character of the ranges (in order, apart), however JSON spells it. */
uint32_t run_schema_characters(struct schema_compiler *c, const struct run_range *ranges,
                               uint32_t count);
void run_schema_forget_characters(struct schema_compiler *c);
/* The strings of a language, without their quotes. */
uint32_t run_schema_language(struct schema_compiler *c, const struct run_language *language,
                             uint32_t next);

/* The patterns (two, or one and NULL) of a string of the format; NULL: there is no such format. */
const char *const *run_schema_format(const char *name);

/* ---- schema.c -------------------------------------------------------------------------------- */

uint32_t run_schema_any(struct schema_compiler *c, const json_t *schema, uint32_t next);
/* The same one level deeper, with the place named. */
uint32_t run_schema_at(struct schema_compiler *c, const json_t *schema, const char *name,
                       uint32_t next);
/* A rule of the same. */
uint32_t run_schema_rule(struct schema_compiler *c, const json_t *schema, const char *name,
                         bool container);

/* ---- the types ------------------------------------------------------------------------------- */

/* One of the values, of those that the type beside them admits. */
uint32_t run_schema_literals(struct schema_compiler *c, const json_t *list, const json_t *type,
                             uint32_t next);
uint32_t run_schema_types(struct schema_compiler *c, const json_t *schema, uint32_t next);
uint32_t run_schema_string(struct schema_compiler *c, const json_t *schema, uint32_t next);
uint32_t run_schema_integer(struct schema_compiler *c, const json_t *schema, uint32_t next);
uint32_t run_schema_number(struct schema_compiler *c, const json_t *schema, uint32_t next);
uint32_t run_schema_array(struct schema_compiler *c, const json_t *schema, uint32_t next);
uint32_t run_schema_object(struct schema_compiler *c, const json_t *schema, uint32_t next);
/* Text in which "<tool_call>" begins a call. */
uint32_t run_schema_tools(struct schema_compiler *c, const json_t *tools,
                          const struct takt_grammar_options *options);

#endif
