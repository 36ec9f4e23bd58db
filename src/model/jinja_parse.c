/*
 * Source to tree: text between tags with its white space control, then statements. Expressions are
 * in jinja_expression.c.
 */
#include "model/jinja_lexer.h"

#include <string.h>

/* ---- text ------------------------------------------------------------------------------------ */

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/*
 * The text from the lexer's place up to the next tag, as Jinja cuts it: white space before {%-
 * goes, and the indentation before a {% or {# that begins its line (lstrip_blocks).
 */
static struct jinja_node *parse_text(struct jinja_lexer *lexer)
{
    struct jinja_context *context = lexer->context;
    const char *source = context->source;
    size_t start = lexer->at, end = start;
    while (
        end < context->source_length &&
        !(source[end] == '{' && strchr("{%#", source[end + 1]) != NULL && source[end + 1] != '\0'))
        end++;
    lexer->at = end;
    size_t stop = end;
    if (end == context->source_length) {
        /* keep_trailing_newline is off: the last line's end is not part of the template. */
        if (stop > start && source[stop - 1] == '\n')
            stop--;
        if (stop > start && stop < end && source[stop - 1] == '\r')
            stop--;
    } else if (source[end + 2] == '-') {
        while (stop > start && is_space(source[stop - 1]))
            stop--;
    } else if (source[end + 1] != '{' && source[end + 2] != '+') {
        size_t line = stop;
        while (line > start && source[line - 1] != '\n' && is_space(source[line - 1]))
            line--;
        bool begins_line = line == 0 || source[line - 1] == '\n';
        stop = begins_line ? line : stop;
    }
    if (stop == start)
        return NULL;
    struct jinja_node *node = jinja_node(lexer, JINJA_TEXT, (uint32_t)start);
    node->value = jinja_string(context, source + start, NULL, stop - start);
    return node;
}

/* After a tag's end: "-%}" takes all white space, "%}" and "#}" the end of their line. */
static void skip_after(struct jinja_lexer *lexer, char closer, bool strip)
{
    const char *source = lexer->context->source;
    if (strip) {
        while (is_space(source[lexer->at]))
            lexer->at++;
    } else if (closer != '}') {
        if (source[lexer->at] == '\r' && source[lexer->at + 1] == '\n')
            lexer->at++;
        if (source[lexer->at] == '\n')
            lexer->at++;
    }
}

/* "%}" or "}}", with the sign before it. */
static void expect_close(struct jinja_lexer *lexer, char closer)
{
    const char *source = lexer->context->source;
    jinja_skip_space(lexer);
    char sign = source[lexer->at];
    if ((sign == '-' || sign == '+') && source[lexer->at + 1] == closer &&
        source[lexer->at + 2] == '}')
        lexer->at++;
    else
        sign = '\0';
    if (source[lexer->at] != closer || source[lexer->at + 1] != '}')
        jinja_unexpected(lexer, closer == '%' ? "%}" : "}}");
    lexer->at += 2;
    if (sign != '+')
        skip_after(lexer, closer, sign == '-');
}

static void skip_comment(struct jinja_lexer *lexer)
{
    struct jinja_context *context = lexer->context;
    const char *end = strstr(context->source + lexer->at + 2, "#}");
    if (end == NULL || (size_t)(end - context->source) >= context->source_length)
        jinja_fail(context, TAKT_FORMAT, (uint32_t)lexer->at, "the comment has no end");
    bool strip = end[-1] == '-', plain = end[-1] == '+';
    lexer->at = (size_t)(end - context->source) + 2;
    if (!plain)
        skip_after(lexer, '#', strip);
}

/* ---- statements ------------------------------------------------------------------------------ */

static struct jinja_node *parse_body(struct jinja_lexer *lexer, const char *const *ends);

static void open_tag(struct jinja_lexer *lexer)
{
    lexer->at += 2;
    char sign = lexer->context->source[lexer->at];
    if (sign == '-' || sign == '+')
        lexer->at++;
}

/* The word of a tag; the lexer stands behind it. */
static struct jinja_string tag_word(struct jinja_lexer *lexer)
{
    struct jinja_string word;
    if (!jinja_take_name(lexer, &word))
        jinja_unexpected(lexer, "the name of a statement");
    return word;
}

/* "{% endfor %}": which end it was is the caller's affair, parse_body stopped before its word. */
static void expect_end(struct jinja_lexer *lexer, const char *word, uint32_t opened)
{
    if (lexer->context->source[lexer->at] == '\0')
        jinja_fail(lexer->context, TAKT_FORMAT, opened, "{%% %s %%} is missing", word);
    open_tag(lexer);
    (void)tag_word(lexer);
    struct jinja_string name; /* {% endmacro name %} */
    (void)jinja_take_name(lexer, &name);
    expect_close(lexer, '%');
}

/* Does the lexer stand at a tag with one of these words? */
static bool at_end(struct jinja_lexer *lexer, const char *const *ends)
{
    struct jinja_lexer ahead = *lexer;
    struct jinja_string word;
    if (lexer->context->source[lexer->at] == '\0')
        return false;
    open_tag(&ahead);
    if (!jinja_take_name(&ahead, &word))
        return false;
    for (size_t i = 0; ends != NULL && ends[i] != NULL; i++)
        if (jinja_is(&word, ends[i]))
            return true;
    return false;
}

static struct jinja_node *parse_if(struct jinja_lexer *lexer, uint32_t position)
{
    static const char *const ends[] = {"elif", "else", "endif", NULL};
    struct jinja_node *node = jinja_node(lexer, JINJA_IF, position);
    node->a = jinja_parse_expression(lexer, true);
    expect_close(lexer, '%');
    node->b = parse_body(lexer, ends);
    struct jinja_lexer ahead = *lexer;
    struct jinja_string word = {"", NULL, 0};
    if (lexer->context->source[lexer->at] != '\0') {
        open_tag(&ahead);
        word = tag_word(&ahead);
    }
    if (jinja_is(&word, "elif")) {
        uint32_t place = (uint32_t)lexer->at;
        *lexer = ahead;
        jinja_enter(lexer->context);
        node->c = parse_if(lexer, place);
        jinja_leave(lexer->context);
        return node;
    }
    if (jinja_is(&word, "else")) {
        *lexer = ahead;
        expect_close(lexer, '%');
        node->c = parse_body(lexer, ends + 2);
    }
    expect_end(lexer, "endif", position);
    return node;
}

static struct jinja_node *parse_for(struct jinja_lexer *lexer, uint32_t position)
{
    static const char *const ends[] = {"else", "endfor", NULL};
    struct jinja_node *node = jinja_node(lexer, JINJA_FOR, position);
    node->a = jinja_parse_target(lexer, false);
    if (!jinja_take_word(lexer, "in"))
        jinja_unexpected(lexer, "in");
    node->b = jinja_parse_tuple(lexer, false);
    if (jinja_take_word(lexer, "if"))
        node->d = jinja_parse_expression(lexer, true);
    if (jinja_take_word(lexer, "recursive"))
        jinja_fail(lexer->context, TAKT_UNSUPPORTED, position, "recursive loops are not there");
    expect_close(lexer, '%');
    node->c = parse_body(lexer, ends);
    if (at_end(lexer, (const char *const[]){"else", NULL})) {
        open_tag(lexer);
        (void)tag_word(lexer);
        expect_close(lexer, '%');
        node->e = parse_body(lexer, ends + 1);
    }
    expect_end(lexer, "endfor", position);
    return node;
}

/* "| trim | upper": filters without what they are applied to. */
static void parse_filters(struct jinja_lexer *lexer, struct jinja_node *node)
{
    do {
        struct jinja_node *filter = jinja_node(lexer, JINJA_FILTER, (uint32_t)lexer->at);
        if (!jinja_take_name(lexer, &filter->name))
            jinja_unexpected(lexer, "the name of a filter");
        if (jinja_take(lexer, "("))
            jinja_parse_arguments(lexer, filter);
        jinja_add_item(lexer, node, filter);
    } while (jinja_take(lexer, "|"));
}

static struct jinja_node *parse_set(struct jinja_lexer *lexer, uint32_t position)
{
    static const char *const ends[] = {"endset", NULL};
    struct jinja_node *node = jinja_node(lexer, JINJA_SET, position);
    node->a = jinja_parse_target(lexer, true);
    if (jinja_take(lexer, "=")) {
        node->b = jinja_parse_tuple(lexer, true);
        expect_close(lexer, '%');
        return node;
    }
    node->kind = JINJA_SET_BLOCK;
    if (jinja_take(lexer, "|"))
        parse_filters(lexer, node);
    expect_close(lexer, '%');
    node->b = parse_body(lexer, ends);
    expect_end(lexer, "endset", position);
    return node;
}

/* "(name, other=default)" into items. */
static void parse_parameters(struct jinja_lexer *lexer, struct jinja_node *node)
{
    while (!jinja_take(lexer, ")")) {
        if (node->count != 0 && !jinja_take(lexer, ","))
            jinja_unexpected(lexer, ", or )");
        if (node->count != 0 && jinja_take(lexer, ")"))
            break;
        struct jinja_node *parameter = jinja_node(lexer, JINJA_KEYWORD, (uint32_t)lexer->at);
        if (!jinja_take_name(lexer, &parameter->name))
            jinja_unexpected(lexer, "the name of a parameter");
        if (jinja_take(lexer, "="))
            parameter->a = jinja_parse_expression(lexer, true);
        jinja_add_item(lexer, node, parameter);
    }
}

static struct jinja_node *parse_macro(struct jinja_lexer *lexer, uint32_t position)
{
    static const char *const ends[] = {"endmacro", NULL};
    struct jinja_node *node = jinja_node(lexer, JINJA_MACRO_NODE, position);
    node->name = tag_word(lexer);
    if (!jinja_take(lexer, "("))
        jinja_unexpected(lexer, "(");
    parse_parameters(lexer, node);
    expect_close(lexer, '%');
    node->b = parse_body(lexer, ends);
    expect_end(lexer, "endmacro", position);
    return node;
}

static struct jinja_node *parse_call(struct jinja_lexer *lexer, uint32_t position)
{
    static const char *const ends[] = {"endcall", NULL};
    struct jinja_node *node = jinja_node(lexer, JINJA_CALL_BLOCK, position);
    if (jinja_take(lexer, "("))
        parse_parameters(lexer, node);
    node->a = jinja_parse_expression(lexer, true);
    if (node->a->kind != JINJA_CALL)
        jinja_fail(lexer->context, TAKT_FORMAT, position, "a call of a macro is expected");
    expect_close(lexer, '%');
    node->b = parse_body(lexer, ends);
    expect_end(lexer, "endcall", position);
    return node;
}

static struct jinja_node *parse_filter(struct jinja_lexer *lexer, uint32_t position)
{
    static const char *const ends[] = {"endfilter", NULL};
    struct jinja_node *node = jinja_node(lexer, JINJA_FILTERED, position);
    parse_filters(lexer, node);
    expect_close(lexer, '%');
    node->b = parse_body(lexer, ends);
    expect_end(lexer, "endfilter", position);
    return node;
}

static struct jinja_node *parse_with(struct jinja_lexer *lexer, uint32_t position)
{
    static const char *const ends[] = {"endwith", NULL};
    struct jinja_node *node = jinja_node(lexer, JINJA_WITH, position);
    while (jinja_peek_name(lexer)) {
        struct jinja_node *variable = jinja_node(lexer, JINJA_KEYWORD, (uint32_t)lexer->at);
        (void)jinja_take_name(lexer, &variable->name);
        if (!jinja_take(lexer, "="))
            jinja_unexpected(lexer, "=");
        variable->a = jinja_parse_expression(lexer, true);
        jinja_add_item(lexer, node, variable);
        if (!jinja_take(lexer, ","))
            break;
    }
    expect_close(lexer, '%');
    node->b = parse_body(lexer, ends);
    expect_end(lexer, "endwith", position);
    return node;
}

/* Marks around what the assistant said, for training: what is inside counts here. */
static struct jinja_node *parse_generation(struct jinja_lexer *lexer, uint32_t position)
{
    static const char *const ends[] = {"endgeneration", NULL};
    expect_close(lexer, '%');
    struct jinja_node *body = parse_body(lexer, ends);
    expect_end(lexer, "endgeneration", position);
    return body;
}

static struct jinja_node *parse_raw(struct jinja_lexer *lexer, uint32_t position)
{
    struct jinja_context *context = lexer->context;
    const char *source = context->source;
    expect_close(lexer, '%');
    size_t start = lexer->at;
    for (const char *at = source + start; (at = strstr(at, "{%")) != NULL; at++) {
        struct jinja_lexer ahead = *lexer;
        struct jinja_string word;
        ahead.at = (size_t)(at - source);
        bool strip = at[2] == '-';
        open_tag(&ahead);
        if (!jinja_take_name(&ahead, &word) || !jinja_is(&word, "endraw"))
            continue;
        size_t end = (size_t)(at - source);
        while (strip && end > start && is_space(source[end - 1]))
            end--;
        expect_close(&ahead, '%');
        lexer->at = ahead.at;
        struct jinja_node *node = jinja_node(lexer, JINJA_TEXT, (uint32_t)start);
        node->value = jinja_string(context, source + start, NULL, end - start);
        return node;
    }
    jinja_fail(context, TAKT_FORMAT, position, "{%% endraw %%} is missing");
}

static struct jinja_node *parse_simple(struct jinja_lexer *lexer, uint32_t position,
                                       enum jinja_node_kind kind)
{
    struct jinja_node *node = jinja_node(lexer, kind, position);
    if (kind == JINJA_DO)
        node->a = jinja_parse_tuple(lexer, true);
    expect_close(lexer, '%');
    return node;
}

static struct jinja_node *parse_statement(struct jinja_lexer *lexer)
{
    static const struct {
        const char *word;
        struct jinja_node *(*parse)(struct jinja_lexer *lexer, uint32_t position);
    } statements[] = {{"if", parse_if},     {"for", parse_for},
                      {"set", parse_set},   {"macro", parse_macro},
                      {"call", parse_call}, {"filter", parse_filter},
                      {"with", parse_with}, {"generation", parse_generation},
                      {"raw", parse_raw}};
    uint32_t position = (uint32_t)lexer->at;
    open_tag(lexer);
    struct jinja_string word = tag_word(lexer);
    for (size_t i = 0; i < BASE_COUNT(statements); i++)
        if (jinja_is(&word, statements[i].word))
            return statements[i].parse(lexer, position);
    if (jinja_is(&word, "break"))
        return parse_simple(lexer, position, JINJA_BREAK);
    if (jinja_is(&word, "continue"))
        return parse_simple(lexer, position, JINJA_CONTINUE);
    if (jinja_is(&word, "do"))
        return parse_simple(lexer, position, JINJA_DO);
    bool end = word.length > 3 && memcmp(word.bytes, "end", 3) == 0;
    if (end || jinja_is(&word, "else") || jinja_is(&word, "elif"))
        jinja_fail(lexer->context, TAKT_FORMAT, position, "nothing is open that this could end");
    jinja_fail(lexer->context, TAKT_UNSUPPORTED, position, "takt has no statement %.*s",
               (int)BASE_MIN(word.length, (size_t)40), word.bytes);
}

/* Up to a tag with one of the words, before which the lexer then stands, or the source's end. */
static struct jinja_node *parse_body(struct jinja_lexer *lexer, const char *const *ends)
{
    struct jinja_context *context = lexer->context;
    struct jinja_node *body = jinja_node(lexer, JINJA_BODY, (uint32_t)lexer->at);
    jinja_enter(context);
    while (lexer->at < context->source_length) {
        struct jinja_node *node = parse_text(lexer);
        if (node != NULL)
            jinja_add_item(lexer, body, node);
        if (lexer->at >= context->source_length)
            break;
        uint32_t position = (uint32_t)lexer->at;
        switch (context->source[lexer->at + 1]) {
        case '#': skip_comment(lexer); break;
        case '{':
            node = jinja_node(lexer, JINJA_OUTPUT, position);
            open_tag(lexer);
            node->a = jinja_parse_tuple(lexer, true);
            expect_close(lexer, '}');
            jinja_add_item(lexer, body, node);
            break;
        default:
            if (at_end(lexer, ends)) {
                jinja_leave(context);
                return body;
            }
            jinja_add_item(lexer, body, parse_statement(lexer));
        }
    }
    jinja_leave(context);
    return body;
}

struct jinja_node *jinja_parse(struct jinja_context *context)
{
    struct jinja_lexer lexer = {context, 0};
    if (strlen(context->source) != context->source_length)
        jinja_fail(context, TAKT_FORMAT, (uint32_t)strlen(context->source),
                   "the template holds a zero byte");
    return parse_body(&lexer, NULL);
}
