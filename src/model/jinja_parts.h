/*
 * What the template language's files share. Everything lives in the memory of one context and is
 * dropped with it; a failure leaves by longjmp to the one place that set the context up, so that
 * code between need not check.
 */
#ifndef MODEL_JINJA_PARTS_H
#define MODEL_JINJA_PARTS_H

#include "model/jinja.h"

#include <setjmp.h>

#define JINJA_DEPTH_MAX 600u /* nested expressions, calls and values: a bound on the C stack */

struct jinja_block;

struct jinja_context {
    jmp_buf *jump;
    struct takt_error *error;
    const char *name, *source; /* of the template, for messages */
    size_t source_length;
    struct jinja_block *blocks;
    size_t allocated_bytes, limit_bytes;
    uint64_t steps, step_limit;
    uint32_t depth;
    uint32_t position; /* where in the source the work is */
    int64_t now;
};

/* Does not return. The message is "NAME: line L, column C: "the source there": ..." */
_Noreturn void jinja_fail(struct jinja_context *context, enum takt_status status, uint32_t position,
                          const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The same at the context's own position. */
#define JINJA_FAIL(context, status, ...)                                                           \
    jinja_fail(context, status, (context)->position, __VA_ARGS__)
/* Zeroed, 16-byte aligned; fails rather than return NULL. */
void *jinja_allocate(struct jinja_context *context, size_t count, size_t size_bytes);
#define JINJA_NEW(context, type, count) ((type *)jinja_allocate((context), (count), sizeof(type)))
void jinja_release(struct jinja_context *context); /* all of it */
void jinja_charge(struct jinja_context *context, uint64_t steps);
void jinja_enter(struct jinja_context *context);
static inline void jinja_leave(struct jinja_context *context)
{
    context->depth--;
}

/* ---- values ---------------------------------------------------------------------------------- */

/* marks[i] = 1: byte i is foreign; NULL: none is. */
struct jinja_string {
    const char *bytes;
    const unsigned char *marks;
    size_t length;
};

enum jinja_kind {
    JINJA_UNDEFINED,
    JINJA_NONE,
    JINJA_BOOL,
    JINJA_INT,
    JINJA_FLOAT,
    JINJA_STRING,
    JINJA_LIST,
    JINJA_DICT,
    JINJA_LOOP,
    JINJA_MACRO,
    JINJA_FUNCTION, /* one of the environment's, by name */
    JINJA_METHOD    /* of a value */
};

struct jinja_value {
    enum jinja_kind kind;
    union {
        bool boolean;
        int64_t integer;
        double real;
        const struct jinja_string *string;
        struct jinja_list *list;
        struct jinja_dict *dict;
        struct jinja_loop *loop;
        const struct jinja_macro *macro;
        const struct jinja_string *function;
        const struct jinja_method *method;
    };
};

struct jinja_list {
    struct jinja_value *items;
    size_t count, capacity;
};

struct jinja_entry {
    struct jinja_string key;
    struct jinja_value value;
};

/* In the order of insertion. */
struct jinja_dict {
    struct jinja_entry *entries;
    size_t count, capacity;
    uint32_t *slots; /* beyond a few entries: hash -> entry + 1; 0 = free */
    size_t slot_mask;
    bool is_namespace;
};

struct jinja_loop {
    struct jinja_list *items;
    size_t index, depth;
    struct jinja_value last_changed;
};

struct jinja_macro {
    const struct jinja_node *node;
    struct jinja_frame *frame;
    bool is_caller;
};

struct jinja_method {
    struct jinja_value self;
    struct jinja_string name;
};

struct jinja_value jinja_string(struct jinja_context *context, const char *bytes,
                                const unsigned char *marks, size_t length);
struct jinja_value jinja_copy(struct jinja_context *context, const char *bytes, size_t length);
struct jinja_value jinja_list(struct jinja_context *context);
struct jinja_value jinja_dict(struct jinja_context *context);
static inline struct jinja_value jinja_bool(bool value)
{
    return (struct jinja_value){.kind = JINJA_BOOL, .boolean = value};
}
static inline struct jinja_value jinja_integer(int64_t value)
{
    return (struct jinja_value){.kind = JINJA_INT, .integer = value};
}
static inline struct jinja_value jinja_real(double value)
{
    return (struct jinja_value){.kind = JINJA_FLOAT, .real = value};
}
static inline struct jinja_value jinja_none(void)
{
    return (struct jinja_value){.kind = JINJA_NONE};
}
static inline struct jinja_value jinja_undefined(void)
{
    return (struct jinja_value){.kind = JINJA_UNDEFINED};
}

void jinja_append(struct jinja_context *context, struct jinja_list *list, struct jinja_value value);
void jinja_put(struct jinja_context *context, struct jinja_dict *dict,
               const struct jinja_string *key, struct jinja_value value);
/* NULL when there is none. */
struct jinja_value *jinja_find(const struct jinja_dict *dict, const char *key, size_t length);
struct jinja_value jinja_from_json(struct jinja_context *context, const json_t *json, bool foreign,
                                   const char *key);

const char *jinja_kind_name(enum jinja_kind kind);
bool jinja_truth(struct jinja_value value);
bool jinja_is(const struct jinja_string *string, const char *text);
bool jinja_equal(struct jinja_context *context, struct jinja_value a, struct jinja_value b);
/* <0, 0, >0; FORMAT when the kinds have no order. fold: strings without regard to case. */
int jinja_compare(struct jinja_context *context, struct jinja_value a, struct jinja_value b,
                  bool fold);
static inline bool jinja_is_number(struct jinja_value value)
{
    return value.kind == JINJA_INT || value.kind == JINJA_FLOAT || value.kind == JINJA_BOOL;
}
double jinja_number(struct jinja_value value); /* of a number */
/* The members of a list, keys of a dict, characters of a string; FORMAT for others. */
struct jinja_list *jinja_iterate(struct jinja_context *context, struct jinja_value value);
size_t jinja_characters(const struct jinja_string *string);

/* ---- text ------------------------------------------------------------------------------------ */

struct jinja_builder {
    char *bytes;
    unsigned char *marks; /* NULL until a foreign byte comes */
    size_t length, capacity;
};
void jinja_write(struct jinja_context *context, struct jinja_builder *builder, const char *bytes,
                 const unsigned char *marks, size_t length);
static inline void jinja_write_string(struct jinja_context *context, struct jinja_builder *builder,
                                      const struct jinja_string *string)
{
    jinja_write(context, builder, string->bytes, string->marks, string->length);
}
void jinja_write_code(struct jinja_context *context, struct jinja_builder *builder, uint32_t code,
                      bool foreign);
/* As {{ value }} prints it; none has no text and fails. */
void jinja_print(struct jinja_context *context, struct jinja_builder *builder,
                 struct jinja_value value);
struct jinja_value jinja_built(struct jinja_context *context, const struct jinja_builder *builder);
/* The value as a string. */
const struct jinja_string *jinja_text(struct jinja_context *context, struct jinja_value value);

struct jinja_json_style {
    int64_t indent; /* 0: one line */
    bool ascii, sort, undefined_word;
    const struct jinja_string *item_separator, *key_separator; /* NULL: the usual */
};
void jinja_write_json(struct jinja_context *context, struct jinja_builder *builder,
                      struct jinja_value value, const struct jinja_json_style *style);

/* ---- the tree -------------------------------------------------------------------------------- */

enum jinja_node_kind {
    JINJA_TEXT,       /* value */
    JINJA_OUTPUT,     /* a */
    JINJA_IF,         /* a: condition; b: body; c: else or NULL */
    JINJA_FOR,        /* a: target; b: iterable; c: body; d: condition; e: else */
    JINJA_SET,        /* a: target; b: value */
    JINJA_SET_BLOCK,  /* a: target; b: body; items: filters */
    JINJA_MACRO_NODE, /* name; items: parameters (KEYWORD; a: default or NULL); b: body */
    JINJA_CALL_BLOCK, /* a: call; items: caller's parameters; b: body */
    JINJA_FILTERED,   /* items: filters; b: body */
    JINJA_WITH,       /* items: KEYWORD; b: body */
    JINJA_DO,         /* a */
    JINJA_BREAK,
    JINJA_CONTINUE,
    JINJA_BODY,          /* items */
    JINJA_LITERAL,       /* value */
    JINJA_NAME,          /* name */
    JINJA_TUPLE,         /* items */
    JINJA_ARRAY,         /* items */
    JINJA_OBJECT,        /* items: key, value, key, value */
    JINJA_MEMBER,        /* a.name */
    JINJA_INDEX,         /* a[b] */
    JINJA_SLICE,         /* a[b:c:d] */
    JINJA_CALL,          /* a; items: arguments */
    JINJA_FILTER,        /* a (NULL in FILTERED); name; items: arguments */
    JINJA_TEST,          /* a; name; items: arguments; negated */
    JINJA_NOT,           /* a */
    JINJA_MINUS,         /* a */
    JINJA_PLUS,          /* a */
    JINJA_BINARY,        /* a, b; operator */
    JINJA_AND,           /* a, b */
    JINJA_OR,            /* a, b */
    JINJA_CHOICE,        /* b if a else c (c NULL: undefined) */
    JINJA_KEYWORD,       /* name; a */
    JINJA_SPREAD,        /* *a */
    JINJA_KEYWORD_SPREAD /* **a */
};

enum jinja_operator {
    JINJA_ADD,
    JINJA_SUBTRACT,
    JINJA_MULTIPLY,
    JINJA_DIVIDE,
    JINJA_FLOOR_DIVIDE,
    JINJA_MODULO,
    JINJA_POWER,
    JINJA_CONCAT,
    JINJA_EQUAL,
    JINJA_NOT_EQUAL,
    JINJA_LESS,
    JINJA_LESS_EQUAL,
    JINJA_GREATER,
    JINJA_GREATER_EQUAL,
    JINJA_IN,
    JINJA_NOT_IN
};

struct jinja_node {
    enum jinja_node_kind kind;
    enum jinja_operator operator;
    bool negated;
    uint32_t position; /* in the source */
    uint32_t count;
    struct jinja_string name;
    struct jinja_value value;
    struct jinja_node *a, *b, *c, *d, *e;
    struct jinja_node **items;
};

/* The whole source; lives in the context's memory. */
struct jinja_node *jinja_parse(struct jinja_context *context);

/* ---- running --------------------------------------------------------------------------------- */

struct jinja_arguments {
    struct jinja_value *values;
    size_t count;
    struct jinja_dict *keywords; /* NULL: none */
};
/* The argument at a place or of a name; undefined when it is not there. */
struct jinja_value jinja_argument(const struct jinja_arguments *arguments, size_t index,
                                  const char *name);
int64_t jinja_argument_integer(struct jinja_context *context,
                               const struct jinja_arguments *arguments, size_t index,
                               const char *name, int64_t otherwise);
bool jinja_argument_truth(const struct jinja_arguments *arguments, size_t index, const char *name,
                          bool otherwise);
const struct jinja_string *jinja_argument_string(struct jinja_context *context,
                                                 const struct jinja_arguments *arguments,
                                                 size_t index, const char *name);

void jinja_run(struct jinja_context *context, const struct jinja_node *tree,
               const struct jinja_variable *variables, size_t count, struct jinja_builder *out);
/* a.name and a[index]: undefined when there is none; USAGE of undefined fails. */
struct jinja_value jinja_member(struct jinja_context *context, struct jinja_value object,
                                const char *name, size_t length);
/* "details.priority" or "items.0" */
struct jinja_value jinja_path(struct jinja_context *context, struct jinja_value object,
                              const struct jinja_string *path);
struct jinja_value jinja_filter(struct jinja_context *context, const struct jinja_string *name,
                                struct jinja_value value, const struct jinja_arguments *arguments);
bool jinja_test(struct jinja_context *context, const struct jinja_string *name,
                struct jinja_value value, const struct jinja_arguments *arguments);
bool jinja_contains(struct jinja_context *context, struct jinja_value container,
                    struct jinja_value item);
bool jinja_has_method(struct jinja_value self, const struct jinja_string *name);
struct jinja_value jinja_call_method(struct jinja_context *context, struct jinja_value self,
                                     const struct jinja_string *name,
                                     const struct jinja_arguments *arguments);
struct jinja_value jinja_call_function(struct jinja_context *context,
                                       const struct jinja_string *name,
                                       const struct jinja_arguments *arguments);
bool jinja_is_function(const struct jinja_string *name);
/* "%s: %d" % values */
struct jinja_value jinja_format(struct jinja_context *context, const struct jinja_string *format,
                                const struct jinja_value *values, size_t count);
/* "{} {0} {name} {:>8} {:.2f}".format(...) */
struct jinja_value jinja_format_braces(struct jinja_context *context,
                                       const struct jinja_string *format,
                                       const struct jinja_arguments *arguments);
bool jinja_is_letter(uint32_t code);
/* Where `what` first stands at or after `from`; SIZE_MAX when nowhere. */
size_t jinja_find_text(const struct jinja_string *string, const struct jinja_string *what,
                       size_t from);
/* Where it last stands and ends at or before `end`. */
size_t jinja_find_last_text(const struct jinja_string *string, const struct jinja_string *what,
                            size_t end);
enum jinja_cased { JINJA_LOWER, JINJA_UPPER, JINJA_CAPITALIZE, JINJA_TITLE, JINJA_TITLE_FILTER };
struct jinja_value jinja_cased(struct jinja_context *context, const struct jinja_string *string,
                               enum jinja_cased how);
struct jinja_value jinja_strip(struct jinja_context *context, const struct jinja_string *string,
                               const struct jinja_string *set, bool left, bool right);
struct jinja_value jinja_replace(struct jinja_context *context, const struct jinja_string *string,
                                 const struct jinja_string *from, const struct jinja_string *to,
                                 int64_t count);
struct jinja_value jinja_slice_string(struct jinja_context *context,
                                      const struct jinja_string *string, size_t start, size_t end);
void jinja_sort(struct jinja_context *context, struct jinja_list *list,
                const struct jinja_string *attribute, bool fold, bool reverse);

#endif
