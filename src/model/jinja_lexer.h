/* The parser's files: statements (jinja_parse.c) over expressions (jinja_expression.c) over words,
 * marks and literals (jinja_lexer.c). */
#ifndef MODEL_JINJA_LEXER_H
#define MODEL_JINJA_LEXER_H

#include "model/jinja_parts.h"

/* A place in the source, which ends with a NUL. Copying it looks ahead. */
struct jinja_lexer {
    struct jinja_context *context;
    size_t at;
};

struct jinja_node *jinja_node(struct jinja_lexer *lexer, enum jinja_node_kind kind,
                              uint32_t position);
void jinja_add_item(struct jinja_lexer *lexer, struct jinja_node *node, struct jinja_node *item);
_Noreturn void jinja_unexpected(struct jinja_lexer *lexer, const char *wanted);

/* Each skips white space first; those that take move on only when they return true. */
void jinja_skip_space(struct jinja_lexer *lexer);
bool jinja_take(struct jinja_lexer *lexer, const char *mark); /* "(", "=" (but not "==") ... */
bool jinja_take_word(struct jinja_lexer *lexer, const char *word);
bool jinja_take_name(struct jinja_lexer *lexer, struct jinja_string *name);
bool jinja_peek_name(struct jinja_lexer *lexer);

static inline bool jinja_is_digit(char c)
{
    return c >= '0' && c <= '9';
}
/* At a quote: strings one behind the other are one. */
struct jinja_node *jinja_parse_string(struct jinja_lexer *lexer);
/* At a digit. */
struct jinja_node *jinja_parse_number(struct jinja_lexer *lexer);

/* choice: may be "a if b else c". */
struct jinja_node *jinja_parse_expression(struct jinja_lexer *lexer, bool choice);
/* One expression, or several with commas, which are a tuple. */
struct jinja_node *jinja_parse_tuple(struct jinja_lexer *lexer, bool choice);
/* What is assigned to: a name or names with commas; with `members` also name.name. */
struct jinja_node *jinja_parse_target(struct jinja_lexer *lexer, bool members);
/* Behind "(", up to ")", into items. */
void jinja_parse_arguments(struct jinja_lexer *lexer, struct jinja_node *node);

#endif
