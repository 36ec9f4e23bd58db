/*
 * Expressions, by Jinja2's grammar: first what is one value, then what binds weaker and weaker.
 * Requires: words, marks and literals by jinja_lexer.c. Fills in: the tree's nodes.
 */
#include "model/jinja_lexer.h"

#include <string.h>

/* ---- nodes ----------------------------------------------------------------------------------- */

struct jinja_node *jinja_node(struct jinja_lexer *lexer, enum jinja_node_kind kind,
                              uint32_t position)
{
    struct jinja_node *node = JINJA_NEW(lexer->context, struct jinja_node, 1);
    node->kind = kind;
    node->position = position;
    return node;
}

void jinja_add_item(struct jinja_lexer *lexer, struct jinja_node *node, struct jinja_node *item)
{
    /* Room for 4, then for the next power of two whenever the count reaches one. */
    bool full = node->count == 0 || (node->count >= 4 && (node->count & (node->count - 1)) == 0);
    if (full) {
        size_t room = node->count == 0 ? 4 : 2 * (size_t)node->count;
        struct jinja_node **items = JINJA_NEW(lexer->context, struct jinja_node *, room);
        if (node->count != 0)
            memcpy(items, node->items, node->count * sizeof(*items));
        node->items = items;
    }
    node->items[node->count++] = item;
}

/* ---- primaries ------------------------------------------------------------------------------- */

static struct jinja_node *parse_array(struct jinja_lexer *lexer, uint32_t position)
{
    struct jinja_node *node = jinja_node(lexer, JINJA_ARRAY, position);
    while (!jinja_take(lexer, "]")) {
        if (node->count != 0 && !jinja_take(lexer, ","))
            jinja_unexpected(lexer, ", or ]");
        if (node->count != 0 && jinja_take(lexer, "]"))
            break;
        jinja_add_item(lexer, node, jinja_parse_expression(lexer, true));
    }
    return node;
}

static struct jinja_node *parse_object(struct jinja_lexer *lexer, uint32_t position)
{
    struct jinja_node *node = jinja_node(lexer, JINJA_OBJECT, position);
    while (!jinja_take(lexer, "}")) {
        if (node->count != 0 && !jinja_take(lexer, ","))
            jinja_unexpected(lexer, ", or }");
        if (node->count != 0 && jinja_take(lexer, "}"))
            break;
        jinja_add_item(lexer, node, jinja_parse_expression(lexer, true));
        if (!jinja_take(lexer, ":"))
            jinja_unexpected(lexer, ":");
        jinja_add_item(lexer, node, jinja_parse_expression(lexer, true));
    }
    return node;
}

static struct jinja_node *parse_parentheses(struct jinja_lexer *lexer, uint32_t position)
{
    if (jinja_take(lexer, ")"))
        return jinja_node(lexer, JINJA_TUPLE, position);
    struct jinja_node *node = jinja_parse_tuple(lexer, true);
    if (!jinja_take(lexer, ")"))
        jinja_unexpected(lexer, ")");
    return node;
}

static struct jinja_node *parse_name(struct jinja_lexer *lexer, uint32_t position)
{
    struct jinja_node *node = jinja_node(lexer, JINJA_NAME, position);
    if (!jinja_take_name(lexer, &node->name))
        jinja_unexpected(lexer, "an expression");
    struct jinja_node *literal = jinja_node(lexer, JINJA_LITERAL, position);
    if (jinja_is(&node->name, "true") || jinja_is(&node->name, "True"))
        literal->value = jinja_bool(true);
    else if (jinja_is(&node->name, "false") || jinja_is(&node->name, "False"))
        literal->value = jinja_bool(false);
    else if (jinja_is(&node->name, "none") || jinja_is(&node->name, "None"))
        literal->value = jinja_none();
    else
        return node;
    return literal;
}

static struct jinja_node *parse_primary(struct jinja_lexer *lexer)
{
    jinja_skip_space(lexer);
    uint32_t position = (uint32_t)lexer->at;
    char c = lexer->context->source[lexer->at];
    if (c == '\'' || c == '"')
        return jinja_parse_string(lexer);
    if (jinja_is_digit(c))
        return jinja_parse_number(lexer);
    if (jinja_take(lexer, "("))
        return parse_parentheses(lexer, position);
    if (jinja_take(lexer, "["))
        return parse_array(lexer, position);
    if (jinja_take(lexer, "{"))
        return parse_object(lexer, position);
    return parse_name(lexer, position);
}

/* ---- what follows a primary ------------------------------------------------------------------ */

void jinja_parse_arguments(struct jinja_lexer *lexer, struct jinja_node *node)
{
    while (!jinja_take(lexer, ")")) {
        if (node->count != 0 && !jinja_take(lexer, ","))
            jinja_unexpected(lexer, ", or )");
        if (node->count != 0 && jinja_take(lexer, ")"))
            break;
        jinja_skip_space(lexer);
        struct jinja_node *argument = jinja_node(lexer, JINJA_KEYWORD, (uint32_t)lexer->at);
        struct jinja_lexer ahead = *lexer;
        if (jinja_take_name(&ahead, &argument->name) && jinja_take(&ahead, "=")) {
            *lexer = ahead;
            argument->a = jinja_parse_expression(lexer, true);
        } else if (jinja_take(lexer, "**")) {
            argument->kind = JINJA_KEYWORD_SPREAD;
            argument->a = jinja_parse_expression(lexer, true);
        } else if (jinja_take(lexer, "*")) {
            argument->kind = JINJA_SPREAD;
            argument->a = jinja_parse_expression(lexer, true);
        } else {
            argument = jinja_parse_expression(lexer, true);
        }
        jinja_add_item(lexer, node, argument);
    }
}

/* Behind "[": an index or a slice. */
static struct jinja_node *parse_subscript(struct jinja_lexer *lexer, struct jinja_node *object,
                                          uint32_t position)
{
    struct jinja_node *node = jinja_node(lexer, JINJA_INDEX, position);
    node->a = object;
    struct jinja_node **parts[3] = {&node->b, &node->c, &node->d};
    for (size_t i = 0; i < 3; i++) {
        struct jinja_lexer ahead = *lexer;
        if (!jinja_take(&ahead, ":") && !jinja_take(&ahead, "]"))
            *parts[i] = jinja_parse_expression(lexer, true);
        if (jinja_take(lexer, "]")) {
            if (node->kind == JINJA_INDEX && node->b == NULL)
                jinja_fail(lexer->context, TAKT_FORMAT, position, "an index is missing");
            return node;
        }
        if (i == 2 || !jinja_take(lexer, ":"))
            jinja_unexpected(lexer, i == 2 ? "]" : ": or ]");
        node->kind = JINJA_SLICE;
    }
    return node;
}

static struct jinja_node *parse_member(struct jinja_lexer *lexer, struct jinja_node *object,
                                       uint32_t position)
{
    struct jinja_node *node = jinja_node(lexer, JINJA_MEMBER, position);
    node->a = object;
    jinja_skip_space(lexer);
    if (jinja_is_digit(lexer->context->source[lexer->at])) { /* items.0 */
        node->kind = JINJA_INDEX;
        node->b = jinja_node(lexer, JINJA_LITERAL, (uint32_t)lexer->at);
        int64_t index = 0;
        for (; jinja_is_digit(lexer->context->source[lexer->at]) && index < 100000000; lexer->at++)
            index = 10 * index + (lexer->context->source[lexer->at] - '0');
        node->b->value = jinja_integer(index);
    } else if (!jinja_take_name(lexer, &node->name)) {
        jinja_unexpected(lexer, "a name");
    }
    return node;
}

static struct jinja_node *parse_postfix(struct jinja_lexer *lexer, struct jinja_node *node)
{
    uint32_t position = node->position; /* a chain is quoted from its beginning */
    for (uint32_t chain = 0;; chain++) {
        if (chain == JINJA_DEPTH_MAX / 2)
            jinja_fail(lexer->context, TAKT_LIMIT, position, "a chain of more than %u parts",
                       chain);
        if (jinja_take(lexer, ".")) {
            node = parse_member(lexer, node, position);
        } else if (jinja_take(lexer, "[")) {
            node = parse_subscript(lexer, node, position);
        } else if (jinja_take(lexer, "(")) {
            struct jinja_node *call = jinja_node(lexer, JINJA_CALL, position);
            call->a = node;
            jinja_parse_arguments(lexer, call);
            node = call;
        } else {
            return node;
        }
    }
}

static struct jinja_node *parse_unary(struct jinja_lexer *lexer, bool filters);

/* The argument of a test without parentheses: "is divisibleby 3". */
static bool test_has_argument(struct jinja_lexer *lexer)
{
    static const char *const words[] = {"and", "or", "else", "if", "is", "not", "in", "recursive"};
    jinja_skip_space(lexer);
    char c = lexer->context->source[lexer->at];
    if (c == '\'' || c == '"' || c == '[' || jinja_is_digit(c))
        return true;
    struct jinja_lexer ahead = *lexer;
    struct jinja_string name;
    if (!jinja_take_name(&ahead, &name))
        return false;
    for (size_t i = 0; i < BASE_COUNT(words); i++)
        if (jinja_is(&name, words[i]))
            return false;
    return true;
}

static struct jinja_node *parse_test(struct jinja_lexer *lexer, struct jinja_node *value)
{
    struct jinja_node *node = jinja_node(lexer, JINJA_TEST, value->position);
    node->a = value;
    node->negated = jinja_take_word(lexer, "not");
    if (!jinja_take_name(lexer, &node->name))
        jinja_unexpected(lexer, "the name of a test");
    if (jinja_take(lexer, "("))
        jinja_parse_arguments(lexer, node);
    else if (test_has_argument(lexer))
        jinja_add_item(lexer, node, parse_postfix(lexer, parse_primary(lexer)));
    return node;
}

static struct jinja_node *parse_filters(struct jinja_lexer *lexer, struct jinja_node *node)
{
    for (uint32_t chain = 0;; chain++) {
        if (chain == JINJA_DEPTH_MAX / 2)
            jinja_fail(lexer->context, TAKT_LIMIT, node->position,
                       "a chain of more than %u filters", chain);
        if (jinja_take(lexer, "|")) {
            struct jinja_node *filter = jinja_node(lexer, JINJA_FILTER, node->position);
            filter->a = node;
            if (!jinja_take_name(lexer, &filter->name))
                jinja_unexpected(lexer, "the name of a filter");
            if (jinja_take(lexer, "("))
                jinja_parse_arguments(lexer, filter);
            node = parse_postfix(lexer, filter);
        } else if (jinja_take_word(lexer, "is")) {
            node = parse_test(lexer, node);
        } else {
            return node;
        }
    }
}

static struct jinja_node *parse_unary(struct jinja_lexer *lexer, bool filters)
{
    jinja_skip_space(lexer);
    uint32_t position = (uint32_t)lexer->at;
    struct jinja_node *node;
    bool minus = jinja_take(lexer, "-");
    if (minus || jinja_take(lexer, "+")) {
        node = jinja_node(lexer, minus ? JINJA_MINUS : JINJA_PLUS, position);
        jinja_enter(lexer->context);
        node->a = parse_unary(lexer, false);
        jinja_leave(lexer->context);
    } else {
        node = parse_postfix(lexer, parse_primary(lexer));
    }
    return filters ? parse_filters(lexer, node) : node;
}

/* ---- operators ------------------------------------------------------------------------------- */

struct operator_mark {
    const char *mark;
    enum jinja_operator operator;
};

/* Levels from the strongest; each is left to right, as Jinja's ** is too. */
static const struct operator_mark levels[4][5] = {
    {{"**", JINJA_POWER}},
    {{"*", JINJA_MULTIPLY}, {"//", JINJA_FLOOR_DIVIDE}, {"/", JINJA_DIVIDE}, {"%", JINJA_MODULO}},
    {{"~", JINJA_CONCAT}},
    {{"+", JINJA_ADD}, {"-", JINJA_SUBTRACT}}};

static struct jinja_node *binary(struct jinja_lexer *lexer, struct jinja_node *left,
                                 struct jinja_node *right, enum jinja_operator operator)
{
    struct jinja_node *node = jinja_node(lexer, JINJA_BINARY, left->position);
    node->a = left;
    node->b = right;
    node->operator= operator;
    return node;
}

static struct jinja_node *parse_level(struct jinja_lexer *lexer, int level)
{
    if (level < 0)
        return parse_unary(lexer, true);
    struct jinja_node *node = parse_level(lexer, level - 1);
    for (uint32_t chain = 0;; chain++) {
        const struct operator_mark *found = NULL;
        for (size_t i = 0; found == NULL && i < 5 && levels[level][i].mark != NULL; i++)
            if (jinja_take(lexer, levels[level][i].mark))
                found = &levels[level][i];
        if (found == NULL)
            return node;
        if (chain == JINJA_DEPTH_MAX / 2)
            jinja_fail(lexer->context, TAKT_LIMIT, node->position,
                       "a chain of more than %u operators", chain);
        node = binary(lexer, node, parse_level(lexer, level - 1), found->operator);
    }
}

static bool take_comparison(struct jinja_lexer *lexer, enum jinja_operator *operator)
{
    static const struct operator_mark marks[] = {
        {"==", JINJA_EQUAL},         {"!=", JINJA_NOT_EQUAL}, {"<=", JINJA_LESS_EQUAL},
        {">=", JINJA_GREATER_EQUAL}, {"<", JINJA_LESS},       {">", JINJA_GREATER}};
    for (size_t i = 0; i < BASE_COUNT(marks); i++)
        if (jinja_take(lexer, marks[i].mark)) {
            *operator= marks[i].operator;
            return true;
        }
    struct jinja_lexer ahead = *lexer;
    *operator= JINJA_NOT_IN;
    if (jinja_take_word(&ahead, "not") && jinja_take_word(&ahead, "in")) {
        *lexer = ahead;
        return true;
    }
    *operator= JINJA_IN;
    return jinja_take_word(lexer, "in");
}

static struct jinja_node *parse_compare(struct jinja_lexer *lexer)
{
    struct jinja_node *node = parse_level(lexer, 3), *last = NULL;
    enum jinja_operator operator;
    for (uint32_t chain = 0; take_comparison(lexer, &operator); chain++) {
        if (chain == JINJA_DEPTH_MAX / 2)
            jinja_fail(lexer->context, TAKT_LIMIT, node->position,
                       "a chain of more than %u comparisons", chain);
        struct jinja_node *right = parse_level(lexer, 3);
        /* a < b < c is a < b and b < c. */
        struct jinja_node *compared = binary(lexer, last == NULL ? node : last, right, operator);
        if (last != NULL) {
            struct jinja_node *both = jinja_node(lexer, JINJA_AND, node->position);
            both->a = node;
            both->b = compared;
            compared = both;
        }
        node = compared;
        last = right;
    }
    return node;
}

static struct jinja_node *parse_not(struct jinja_lexer *lexer)
{
    jinja_skip_space(lexer);
    uint32_t position = (uint32_t)lexer->at;
    if (!jinja_take_word(lexer, "not"))
        return parse_compare(lexer);
    struct jinja_node *node = jinja_node(lexer, JINJA_NOT, position);
    jinja_enter(lexer->context);
    node->a = parse_not(lexer);
    jinja_leave(lexer->context);
    return node;
}

static struct jinja_node *parse_logic(struct jinja_lexer *lexer, bool any)
{
    struct jinja_node *node = any ? parse_logic(lexer, false) : parse_not(lexer);
    for (uint32_t chain = 0; jinja_take_word(lexer, any ? "or" : "and"); chain++) {
        if (chain == JINJA_DEPTH_MAX / 2)
            jinja_fail(lexer->context, TAKT_LIMIT, node->position,
                       "a chain of more than %u conditions", chain);
        struct jinja_node *both = jinja_node(lexer, any ? JINJA_OR : JINJA_AND, node->position);
        both->a = node;
        both->b = any ? parse_logic(lexer, false) : parse_not(lexer);
        node = both;
    }
    return node;
}

struct jinja_node *jinja_parse_expression(struct jinja_lexer *lexer, bool choice)
{
    jinja_enter(lexer->context);
    struct jinja_node *node = parse_logic(lexer, true);
    while (choice && jinja_take_word(lexer, "if")) {
        struct jinja_node *chosen = jinja_node(lexer, JINJA_CHOICE, node->position);
        chosen->b = node;
        chosen->a = parse_logic(lexer, true);
        if (jinja_take_word(lexer, "else"))
            chosen->c = jinja_parse_expression(lexer, true);
        node = chosen;
    }
    jinja_leave(lexer->context);
    return node;
}

static bool at_tuple_end(struct jinja_lexer *lexer)
{
    jinja_skip_space(lexer);
    const char *at = lexer->context->source + lexer->at;
    static const char *const ends[] = {")", "}}", "%}", "-}}", "-%}", "+%}", "="};
    for (size_t i = 0; i < BASE_COUNT(ends); i++)
        if (strncmp(at, ends[i], strlen(ends[i])) == 0)
            return true;
    return *at == '\0';
}

struct jinja_node *jinja_parse_tuple(struct jinja_lexer *lexer, bool choice)
{
    struct jinja_node *node = jinja_parse_expression(lexer, choice);
    if (!jinja_take(lexer, ","))
        return node;
    struct jinja_node *tuple = jinja_node(lexer, JINJA_TUPLE, node->position);
    jinja_add_item(lexer, tuple, node);
    while (!at_tuple_end(lexer)) {
        jinja_add_item(lexer, tuple, jinja_parse_expression(lexer, choice));
        if (!jinja_take(lexer, ","))
            break;
    }
    return tuple;
}

struct jinja_node *jinja_parse_target(struct jinja_lexer *lexer, bool members)
{
    jinja_skip_space(lexer);
    uint32_t position = (uint32_t)lexer->at;
    bool parentheses = jinja_take(lexer, "(");
    struct jinja_node *tuple = jinja_node(lexer, JINJA_TUPLE, position);
    do {
        struct jinja_node *name = jinja_node(lexer, JINJA_NAME, (uint32_t)lexer->at);
        if (!jinja_take_name(lexer, &name->name))
            jinja_unexpected(lexer, "a name to assign to");
        if (members && jinja_take(lexer, "."))
            name = parse_member(lexer, name, name->position);
        jinja_add_item(lexer, tuple, name);
    } while (jinja_take(lexer, ","));
    if (parentheses && !jinja_take(lexer, ")"))
        jinja_unexpected(lexer, ")");
    return tuple->count == 1 && !parentheses ? tuple->items[0] : tuple;
}
