/* Expressions, by Jinja2's grammar: what binds weakest comes first. */
#include "model/jinja_lexer.h"
#include "model/unicode.h"

#include <stdlib.h>
#include <string.h>

/* ---- words and marks ------------------------------------------------------------------------- */

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

void jinja_unexpected(struct jinja_lexer *lexer, const char *wanted)
{
    jinja_skip_space(lexer);
    jinja_fail(lexer->context, TAKT_FORMAT, (uint32_t)lexer->at,
               lexer->at >= lexer->context->source_length ? "the template ends where %s is expected"
                                                          : "%s is expected",
               wanted);
}

void jinja_skip_space(struct jinja_lexer *lexer)
{
    const char *source = lexer->context->source;
    while (source[lexer->at] == ' ' || (source[lexer->at] >= '\t' && source[lexer->at] <= '\r'))
        lexer->at++;
}

bool jinja_take(struct jinja_lexer *lexer, const char *mark)
{
    jinja_skip_space(lexer);
    const char *at = lexer->context->source + lexer->at;
    size_t length = strlen(mark);
    if (strncmp(at, mark, length) != 0)
        return false;
    /* Longer marks that begin alike, and the ends of tags, are not this one. */
    static const char *const longer[] = {
        "==", "**", "//", "<=", ">=", "!=", "-%}", "-}}", "+%}", "+}}", "%}"};
    for (size_t i = 0; i < BASE_COUNT(longer); i++)
        if (strlen(longer[i]) > length && strncmp(at, longer[i], strlen(longer[i])) == 0)
            return false;
    lexer->at += length;
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (unsigned char)c >= 0x80 || (!first && is_digit(c));
}

bool jinja_peek_name(struct jinja_lexer *lexer)
{
    jinja_skip_space(lexer);
    return is_name(lexer->context->source[lexer->at], true);
}

bool jinja_take_name(struct jinja_lexer *lexer, struct jinja_string *name)
{
    if (!jinja_peek_name(lexer))
        return false;
    const char *source = lexer->context->source;
    size_t start = lexer->at;
    while (is_name(source[lexer->at], false))
        lexer->at++;
    *name = (struct jinja_string){source + start, NULL, lexer->at - start};
    return true;
}

bool jinja_take_word(struct jinja_lexer *lexer, const char *word)
{
    struct jinja_lexer ahead = *lexer;
    struct jinja_string name;
    if (!jinja_take_name(&ahead, &name) || !jinja_is(&name, word))
        return false;
    *lexer = ahead;
    return true;
}

/* ---- literals -------------------------------------------------------------------------------- */

/* `digits` hexadecimal digits. */
static uint32_t take_hex(struct jinja_lexer *lexer, size_t digits)
{
    uint32_t value = 0;
    for (size_t i = 0; i < digits; i++) {
        char c = lexer->context->source[lexer->at];
        uint32_t digit = is_digit(c)            ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A') + 10
                                                : 16;
        if (digit == 16)
            jinja_unexpected(lexer, "a hexadecimal digit");
        value = value << 4 | digit;
        lexer->at++;
    }
    return value;
}

/* A character above U+FFFF may be written as two halves. */
static uint32_t take_second_half(struct jinja_lexer *lexer, uint32_t code)
{
    const char *at = lexer->context->source + lexer->at;
    if (code < 0xD800 || code > 0xDBFF || at[0] != '\\' || at[1] != 'u')
        return code;
    struct jinja_lexer ahead = *lexer;
    ahead.at += 2;
    uint32_t low = take_hex(&ahead, 4);
    if (low < 0xDC00 || low > 0xDFFF)
        return code;
    *lexer = ahead;
    return 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
}

static void take_escape(struct jinja_lexer *lexer, struct jinja_builder *builder)
{
    static const char escapes[] = "n\nt\tr\rb\bf\fv\va\a\\\\''\"\"";
    struct jinja_context *context = lexer->context;
    char letter = context->source[lexer->at++];
    if (letter == 'x' || letter == 'u' || letter == 'U') {
        uint32_t code = take_hex(lexer, letter == 'x' ? 2 : letter == 'u' ? 4 : 8);
        code = take_second_half(lexer, code);
        bool whole = code <= UNICODE_MAX && (code < 0xD800 || code > 0xDFFF);
        jinja_write_code(context, builder, whole ? code : UNICODE_REPLACEMENT, false);
        return;
    }
    for (const char *pair = escapes; *pair != '\0'; pair += 2)
        if (letter == pair[0]) {
            jinja_write(context, builder, pair + 1, NULL, 1);
            return;
        }
    if (letter == '\n') /* a line goes on */
        return;
    const char both[2] = {'\\', letter};
    jinja_write(context, builder, both, NULL, letter == '\0' ? 1 : 2);
    lexer->at -= letter == '\0' ? 1 : 0;
}

static bool take_string(struct jinja_lexer *lexer, struct jinja_builder *builder)
{
    struct jinja_context *context = lexer->context;
    jinja_skip_space(lexer);
    size_t start = lexer->at;
    char quote = context->source[start];
    if (quote != '\'' && quote != '"')
        return false;
    lexer->at++;
    for (;;) {
        const char *at = context->source + lexer->at;
        size_t plain = strcspn(at, quote == '\'' ? "'\\" : "\"\\");
        jinja_write(context, builder, at, NULL, plain);
        lexer->at += plain;
        if (at[plain] == '\0')
            jinja_fail(context, TAKT_FORMAT, (uint32_t)start, "the string has no end");
        lexer->at++;
        if (at[plain] == quote)
            return true;
        take_escape(lexer, builder);
    }
}

static struct jinja_node *parse_string(struct jinja_lexer *lexer)
{
    struct jinja_builder builder = {NULL, NULL, 0, 0};
    struct jinja_node *node = jinja_node(lexer, JINJA_LITERAL, (uint32_t)lexer->at);
    while (take_string(lexer, &builder)) /* neighbours are one string */
        ;
    node->value = jinja_built(lexer->context, &builder);
    return node;
}

static struct jinja_node *parse_number(struct jinja_lexer *lexer)
{
    const char *source = lexer->context->source;
    struct jinja_node *node = jinja_node(lexer, JINJA_LITERAL, (uint32_t)lexer->at);
    char text[64];
    size_t used = 0;
    bool real = false;
    for (;; lexer->at++) {
        char c = source[lexer->at];
        bool point = c == '.' && !real && is_digit(source[lexer->at + 1]);
        bool exponent = (c == 'e' || c == 'E') && used != 0 &&
                        (is_digit(source[lexer->at + 1]) ||
                         ((source[lexer->at + 1] == '-' || source[lexer->at + 1] == '+') &&
                          is_digit(source[lexer->at + 2])));
        bool sign = (c == '-' || c == '+') && used != 0 && (text[used - 1] | 32) == 'e';
        if (c == '_' && is_digit(source[lexer->at + 1]))
            continue;
        if (!is_digit(c) && !point && !exponent && !sign)
            break;
        real = real || point || exponent;
        if (used + 1 < sizeof(text))
            text[used++] = c;
    }
    text[used] = '\0';
    double number = 0.0;
    int64_t whole = 0;
    if (!real && base_parse_i64(text, 0, INT64_MAX, &whole))
        node->value = jinja_integer(whole);
    else if (base_parse_f64(text, -1e308, 1e308, &number))
        node->value = jinja_real(number);
    else
        jinja_fail(lexer->context, TAKT_FORMAT, node->position, "the number is out of range");
    return node;
}

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
        return parse_string(lexer);
    if (is_digit(c))
        return parse_number(lexer);
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
    if (is_digit(lexer->context->source[lexer->at])) { /* items.0 */
        node->kind = JINJA_INDEX;
        node->b = jinja_node(lexer, JINJA_LITERAL, (uint32_t)lexer->at);
        int64_t index = 0;
        for (; is_digit(lexer->context->source[lexer->at]) && index < 100000000; lexer->at++)
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
    if (c == '\'' || c == '"' || c == '[' || is_digit(c))
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
