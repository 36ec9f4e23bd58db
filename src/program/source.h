/* The lexer of assembly text: one line at a time, cut into words. Used by assemble.c and values.c.
 */
#ifndef PROGRAM_SOURCE_H
#define PROGRAM_SOURCE_H

#include "program/program.h"

/* A limit of takt: bytes of a line with its terminator. A word of 1024 lanes in hex is 2048. */
#define PROGRAM_SOURCE_LINE 16384u

struct program_source {
    const char *path; /* for messages */
    const char *text;
    size_t length, at; /* `at` is where the next line begins */
    uint32_t line;     /* number of the line in `buffer`, from 1 */
    const char *cursor;
    struct takt_error *error;
    char buffer[PROGRAM_SOURCE_LINE];
};

/* A word of the line: up to a space or ';', or in double quotes. Empty at the line's end. */
struct program_token {
    const char *start;
    size_t length;
};

/* Puts the next line into the buffer; false at the end of the text or when *status tells why not.
 */
bool program_source_next_line(struct program_source *source, enum takt_status *status);
struct program_token program_source_next(struct program_source *source);
/* What follows on the line, without moving on. */
struct program_token program_source_peek(const struct program_source *source);
bool program_token_is(struct program_token token, const char *text);

/* FORMAT: "path:line:column: "token": expected ..." */
enum takt_status program_source_refuse(const struct program_source *source,
                                       struct program_token token, const char *expected);
/* The same with a whole message in place of token and expectation. */
enum takt_status program_source_fail(const struct program_source *source,
                                     struct program_token token, enum takt_status status,
                                     const char *message);

/* The next word as a number; FORMAT with `what` and the bounds. */
enum takt_status program_source_number(struct program_source *source, const char *what,
                                       int64_t minimum, int64_t maximum, int64_t *value);
/* The next word as a name that program_rules_name accepts; size bytes, zero-padded. */
enum takt_status program_source_name(struct program_source *source, const char *what, char *name,
                                     size_t size);
enum takt_status program_source_end(struct program_source *source); /* nothing may follow */

/* values.c: one vector of elements of `width` bytes (1, 2 or 4) from the rest of the line, as
 * planes: planes[b * lanes + l] is byte b of lane l. */
enum takt_status program_source_vector(struct program_source *source, uint32_t width,
                                       uint32_t lanes, uint8_t *planes);

#endif
