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
#define SCHEMA_NAMED_MAX 4096u

/* What a $ref points at, or the root and the text of schemas taken together, or a type's text; and
 * its rule. */
struct schema_named {
    const void *schema;
    char *text;
    uint32_t rule;
};

/* Keywords of schemas taken together: lists of what 'pattern' and 'format' say. No document has
 * them, for they are not UTF-8. */
#define SCHEMA_PATTERNS "\xFFpatterns"
#define SCHEMA_FORMATS                                                                             \
    "\xFF"                                                                                         \
    "formats"

enum schema_truth { SCHEMA_NO, SCHEMA_YES, SCHEMA_UNKNOWN };

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
    unsigned together;                 /* such schemas around the one at work */
    unsigned flat_depth, flat_count;   /* schema_merge.c */
    unsigned holds_depth, holds_count; /* schema_holds.c */
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

/* These two set what was left open, by a node that is made before: making one may move them all. */
static inline void schema_repeat(struct schema_compiler *c, uint32_t loop, uint32_t body)
{
    c->graph->nodes[loop].other = body;
}

static inline void schema_start(struct schema_compiler *c, uint32_t rule, uint32_t node)
{
    c->graph->rules[rule].start = node;
}

/* ---- schema_words.c -------------------------------------------------------------------------- */

/* Sets the error, with the place, unless there is one. Returns 0. */
uint32_t run_schema_refuse(struct schema_compiler *c, enum takt_status status, const char *format,
                           ...) __attribute__((format(printf, 3, 4)));
/* Of what no value can be: refused where the schema itself asks for it; where schemas are taken
 * together, a branch that nothing comes of. */
uint32_t run_schema_nothing(struct schema_compiler *c, uint32_t next, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Refuses what is in the schema beyond what needs no keeping and the list (NULL-terminated; NULL:
 * every keyword that is known). */
bool run_schema_only(struct schema_compiler *c, const json_t *schema, const char *const *list);
/* Is the first of the list there, and nothing that neither needs no keeping nor is in the list? */
bool run_schema_has_only(const json_t *schema, const char *const *list);
bool run_schema_is_note(const char *key); /* it needs no keeping */
/* A count among the keywords; `absent` when it is not there. */
long run_schema_count(struct schema_compiler *c, const json_t *schema, const char *key,
                      long absent);

/* ---- schema_check.c -------------------------------------------------------------------------- */

/* Refuses what is wrong anywhere in a schema and what it refers to, by its place. */
bool run_schema_check_all(struct schema_compiler *c, const json_t *schema);
/* Refuses a schema that is none, or a keyword that is not what it must be. */
bool run_schema_check(struct schema_compiler *c, const json_t *schema);
/* A keyword of the schema that is not what it must be, and what that is; NULL: there is none. */
const char *run_schema_misshapen(const json_t *schema, const char **wanted);
/* Is it a keyword that may be kept to? */
bool run_schema_is_known(const char *key);
/* The type a keyword speaks of ("number" for both kinds); NULL for others. */
const char *run_schema_owner(const char *key);

/* ---- schema_json.c --------------------------------------------------------------------------- */

/* Makes the rules of JSON itself. */
void run_schema_make_rules(struct schema_compiler *c);
/* A loop: any number of what its `other` is set to begin with, which leads back to it. */
uint32_t run_schema_loop(struct schema_compiler *c, uint32_t next);
/* A space that may be there. */
uint32_t run_schema_space(struct schema_compiler *c, uint32_t next);

/* ---- strings: schema_character.c, schema_string.c, schema_format.c --------------------------- */

/* The rule of one character of the ranges (in order, apart), however JSON spells it. */
uint32_t run_schema_characters(struct schema_compiler *c, const struct run_range *ranges,
                               uint32_t count);
void run_schema_forget_characters(struct schema_compiler *c);
/* The strings of a language, without their quotes. */
uint32_t run_schema_language(struct schema_compiler *c, const struct run_language *language,
                             uint32_t next);

/* The strings that the keywords admit; false when refused. */
bool run_schema_string_language(struct schema_compiler *c, const json_t *schema,
                                struct run_language *language);
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

/* A rule for what has been met before under schema and text (malloc'ed, or NULL; taken over), or a
 * new one: then false, and its start is to be set. */
bool run_schema_find_rule(struct schema_compiler *c, const void *schema, char *text,
                          uint32_t *rule);
/* What a '$ref' points at; NULL when refused. */
const json_t *run_schema_find(struct schema_compiler *c, const json_t *reference);

/* ---- schema_merge.c, schema_apart.c, schema_holds.c, schema_literal.c ------------------------ */

/* New references; NULL when refused. */
json_t *run_schema_flat(struct schema_compiler *c, const json_t *schema);
/* The same one level deeper, with the place named; index: SIZE_MAX for none. */
json_t *run_schema_flat_at(struct schema_compiler *c, const json_t *schema, const char *key,
                           size_t index);
json_t *run_schema_join(const json_t *a, const json_t *b);
/* Two flat ones, whose references it takes over. */
json_t *run_schema_merge(struct schema_compiler *c, json_t *a, json_t *b);
/* Is nothing that is written for one of the list, with the rest (flat), what another admits? */
bool run_schema_check_apart(struct schema_compiler *c, const json_t *list, const json_t *rest);
bool run_schema_admits(const json_t *schema, const char *type);
enum schema_truth run_schema_holds(struct schema_compiler *c, const json_t *schema,
                                   const json_t *value);
bool run_schema_equal(const json_t *a, const json_t *b);
bool run_schema_is_type(const json_t *value, const char *type);
/* The values of 'enum' or 'const' that the other keywords admit; a new reference. */
json_t *run_schema_values(struct schema_compiler *c, const json_t *schema);
/* A value as text, in the fewest digits; malloc'ed. */
char *run_schema_write(const json_t *value);

/* ---- schema_ordered.c ------------------------------------------------------------------------ */

struct schema_part {
    char *text;    /* as it is written */
    uint32_t rule; /* of the value behind it and ':'; RUN_NO_NODE: none */
    bool required;
};

struct schema_parts {
    struct schema_part *list;
    uint32_t count;
    long least, most; /* written; most < 0: any number */
    uint32_t extra;   /* rule of what may follow them, any number; RUN_NO_NODE: nothing */
};
/* Parts in their order, with commas, then close. */
uint32_t run_schema_ordered(struct schema_compiler *c, const struct schema_parts *parts,
                            uint32_t close);

/* ---- the types ------------------------------------------------------------------------------- */

/* The types of what is written for a schema: an array, empty for any. A new reference. */
json_t *run_schema_written_types(const json_t *schema);
/* One of the values of 'enum' or 'const'. */
uint32_t run_schema_literals(struct schema_compiler *c, const json_t *schema, uint32_t next);
uint32_t run_schema_types(struct schema_compiler *c, const json_t *schema, uint32_t next);
uint32_t run_schema_string(struct schema_compiler *c, const json_t *schema, uint32_t next);
uint32_t run_schema_integer(struct schema_compiler *c, const json_t *schema, uint32_t next);
uint32_t run_schema_number(struct schema_compiler *c, const json_t *schema, uint32_t next);
uint32_t run_schema_array(struct schema_compiler *c, const json_t *schema, uint32_t next);
uint32_t run_schema_object(struct schema_compiler *c, const json_t *schema, uint32_t next);
/* May the property be in what is written for the schema? */
bool run_schema_may_write(const json_t *schema, const char *name);
/* What a schema says of a property; a new reference, NULL when refused. to_write: false when it is
 * not certain that the name is admitted; else only when it is certain that it is not. */
json_t *run_schema_property(struct schema_compiler *c, const json_t *schema, const char *name,
                            bool to_write);
/* Text in which "<tool_call>" begins a call. */
uint32_t run_schema_tools(struct schema_compiler *c, const json_t *tools,
                          const struct takt_grammar_options *options);

#endif
