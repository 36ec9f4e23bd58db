/* Lines, words, numbers and names of assembly text, and the place of what is wrong with them. */
#include "program/source.h"
#include "program/rules.h"

#include <string.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

bool program_source_next_line(struct program_source *source, enum takt_status *status)
{
    *status = TAKT_OK;
    if (source->at >= source->length) {
        return false;
    }
    const char *start = source->text + source->at;
    size_t rest = source->length - source->at;
    const char *newline = memchr(start, '\n', rest);
    size_t bytes = newline != NULL ? (size_t)(newline - start) : rest;
    if (source->line == UINT32_MAX) {
        *status = base_fail(source->error, TAKT_LIMIT, "%s: more than %u lines", source->path,
                            UINT32_MAX);
        return false;
    }
    source->line++;
    if (bytes >= PROGRAM_SOURCE_LINE) {
        *status =
            base_fail(source->error, TAKT_LIMIT, "%s:%u: a line of %zu bytes; split it, at most %u",
                      source->path, source->line, bytes, PROGRAM_SOURCE_LINE - 1);
        return false;
    }
    const char *nul = memchr(start, '\0', bytes);
    if (nul != NULL) {
        *status = base_fail(source->error, TAKT_FORMAT, "%s:%u:%zu: a NUL byte; expected text",
                            source->path, source->line, (size_t)(nul - start) + 1);
        return false;
    }
    memcpy(source->buffer, start, bytes);
    source->buffer[bytes] = '\0';
    source->cursor = source->buffer;
    source->at += bytes + 1;
    return true;
}

struct program_token program_source_peek(const struct program_source *source)
{
    const char *cursor = source->cursor;
    while (is_space(*cursor)) {
        cursor++;
    }
    struct program_token token = {cursor, 0};
    if (*cursor == '"') {
        const char *quote = strchr(cursor + 1, '"');
        token.length = quote != NULL ? (size_t)(quote - cursor) + 1 : strlen(cursor);
        return token;
    }
    while (!is_space(cursor[token.length]) && cursor[token.length] != ';' &&
           cursor[token.length] != '\0') {
        token.length++;
    }
    return token;
}

struct program_token program_source_next(struct program_source *source)
{
    struct program_token token = program_source_peek(source);
    source->cursor = token.start + token.length;
    return token;
}

bool program_token_is(struct program_token token, const char *text)
{
    return strlen(text) == token.length && memcmp(text, token.start, token.length) == 0;
}

enum takt_status program_source_fail(const struct program_source *source,
                                     struct program_token token, enum takt_status status,
                                     const char *message)
{
    return base_fail(source->error, status, "%s:%u:%zu: %s", source->path, source->line,
                     (size_t)(token.start - source->buffer) + 1, message);
}

enum takt_status program_source_refuse(const struct program_source *source,
                                       struct program_token token, const char *expected)
{
    char message[200];
    char quoted[ISA_QUOTE_SIZE] = "the line's end";
    if (token.length > 0) {
        isa_quote(token.start, token.length, quoted);
    }
    (void)snprintf(message, sizeof message, "%s: expected %.140s", quoted, expected);
    return program_source_fail(source, token, TAKT_FORMAT, message);
}

enum takt_status program_source_number(struct program_source *source, const char *what,
                                       int64_t minimum, int64_t maximum, int64_t *value)
{
    struct program_token token = program_source_next(source);
    char text[32];
    bool fits = token.length > 0 && token.length < sizeof text;
    if (fits) {
        memcpy(text, token.start, token.length);
        text[token.length] = '\0';
    }
    if (!fits || !base_parse_i64(text, minimum, maximum, value)) {
        char expected[120];
        (void)snprintf(expected, sizeof expected, "%.60s, %lld..%lld", what, (long long)minimum,
                       (long long)maximum);
        return program_source_refuse(source, token, expected);
    }
    return TAKT_OK;
}

enum takt_status program_source_name(struct program_source *source, const char *what, char *name,
                                     size_t size)
{
    struct program_token token = program_source_next(source);
    memset(name, 0, size);
    if (token.length < size) {
        memcpy(name, token.start, token.length);
    }
    if (!program_rules_name(name, size)) {
        char expected[120];
        (void)snprintf(expected, sizeof expected, "%.60s, one word of 1..%zu characters", what,
                       size - 1);
        return program_source_refuse(source, token, expected);
    }
    return TAKT_OK;
}

enum takt_status program_source_end(struct program_source *source)
{
    struct program_token token = program_source_next(source);
    return token.length == 0 ? TAKT_OK
                             : program_source_refuse(source, token, "nothing more on this line");
}
