/*
 * jinja: the template language of chat templates, as models' files use it.
 *
 * Owns: parsing and rendering, with limits on steps, memory and nesting, so that a hostile template
 * costs a bounded time and ends as an error. Refuses to: read files, clock or environment (the time
 * is the caller's), include other templates. Meaning: Jinja2's with trim_blocks and lstrip_blocks;
 * values print as @huggingface/jinja prints them (docs/TEMPLATES.md).
 * Invariant: each byte of the output knows whether the template wrote it or a foreign variable did.
 * Read next: jinja_parts.h, jinja_parse.c, jinja_run.c.
 */
#ifndef MODEL_JINJA_H
#define MODEL_JINJA_H

#include "base/base.h"

#include <jansson.h>

struct jinja;

/* name: of the template, for messages; copied. The source is copied too. FORMAT for wrong syntax,
 * UNSUPPORTED for a statement that takt does not have, LIMIT. */
enum takt_status jinja_compile(struct jinja **template, const char *name, const char *source,
                               size_t length, struct takt_error *error);
void jinja_destroy(struct jinja *template); /* NULL is fine */

struct jinja_variable {
    const char *name;
    const json_t *value;
    bool foreign; /* its strings are marked in the output */
};

/*
 * Appends the rendered text to *out and for each of its bytes 1 (foreign) or 0 to *marks (may be
 * NULL). now: seconds since 1970 in UTC. USAGE when the template raises an exception; UNSUPPORTED
 * for a filter, test or method that takt does not have, FORMAT for operations on the wrong kind of
 * value, LIMIT. A template may be rendered by several threads at once.
 */
enum takt_status jinja_render(const struct jinja *template, const struct jinja_variable *variables,
                              size_t count, int64_t now, struct base_text *out,
                              struct base_text *marks, struct takt_error *error);

#endif
