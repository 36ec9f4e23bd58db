/*
 * Words and marks of expressions, and the literals that are one word: strings and numbers.
 * Requires: a source that ends with a NUL. Fills in: names, and the nodes of literals.
 */
#include "model/jinja_lexer.h"
#include "model/unicode.h"

#include <string.h>

/* ---- words and marks ------------------------------------------------------------------------- */

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

static bool is_name(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (unsigned char)c >= 0x80 || (!first && jinja_is_digit(c));
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
        uint32_t digit = jinja_is_digit(c)      ? (uint32_t)(c - '0')
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

struct jinja_node *jinja_parse_string(struct jinja_lexer *lexer)
{
    struct jinja_builder builder = {NULL, NULL, 0, 0};
    struct jinja_node *node = jinja_node(lexer, JINJA_LITERAL, (uint32_t)lexer->at);
    while (take_string(lexer, &builder)) /* neighbours are one string */
        ;
    node->value = jinja_built(lexer->context, &builder);
    return node;
}

struct jinja_node *jinja_parse_number(struct jinja_lexer *lexer)
{
    const char *source = lexer->context->source;
    struct jinja_node *node = jinja_node(lexer, JINJA_LITERAL, (uint32_t)lexer->at);
    char text[64];
    size_t used = 0;
    bool real = false;
    for (;; lexer->at++) {
        char c = source[lexer->at];
        bool point = c == '.' && !real && jinja_is_digit(source[lexer->at + 1]);
        bool exponent = (c == 'e' || c == 'E') && used != 0 &&
                        (jinja_is_digit(source[lexer->at + 1]) ||
                         ((source[lexer->at + 1] == '-' || source[lexer->at + 1] == '+') &&
                          jinja_is_digit(source[lexer->at + 2])));
        bool sign = (c == '-' || c == '+') && used != 0 && (text[used - 1] | 32) == 'e';
        if (c == '_' && jinja_is_digit(source[lexer->at + 1]))
            continue;
        if (!jinja_is_digit(c) && !point && !exponent && !sign)
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
