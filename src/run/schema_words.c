/* The words of a schema: which it may use, what they say, and how one is refused. */
#include "run/schema.h"

#include <string.h>

uint32_t run_schema_refuse(struct schema_compiler *c, enum takt_status status, const char *format,
                           ...)
{
    char what[400];
    va_list list;
    va_start(list, format);
    vsnprintf(what, sizeof what, format, list);
    va_end(list);
    if (!c->failed) {
        base_fail(c->error, status, "schema at #%s: %s", c->place, what);
        if (c->error) {
            c->error->status = status;
        }
    }
    c->failed = true;
    return 0;
}

uint32_t run_schema_nothing(struct schema_compiler *c, uint32_t next, const char *format, ...)
{
    char what[300];
    va_list list;
    va_start(list, format);
    vsnprintf(what, sizeof what, format, list);
    va_end(list);
    return c->together > 0 ? schema_bytes(c, "", next)
                           : run_schema_refuse(c, TAKT_UNSUPPORTED, "%s", what);
}

/* What a schema may say without being asked to keep it. */
static const char *const notes[] = {
    "title", "description", "default",    "examples", "$schema",   "$id",           "$comment",
    "$defs", "definitions", "deprecated", "readOnly", "writeOnly", "discriminator", NULL};

static bool is_one_of(const char *word, const char *const *list)
{
    while (*list && strcmp(*list, word) != 0) {
        list++;
    }
    return *list != NULL;
}

bool run_schema_is_note(const char *key)
{
    return is_one_of(key, notes);
}

/* list: NULL for every keyword that is known at all. */
bool run_schema_only(struct schema_compiler *c, const json_t *schema, const char *const *list)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)schema, key, value)
    {
        const bool known = list ? is_one_of(key, list) : run_schema_is_known(key);
        if (!known && !is_one_of(key, notes)) {
            run_schema_refuse(c, TAKT_UNSUPPORTED, "the keyword '%.60s' is not supported here",
                              key);
            return false;
        }
    }
    return true;
}

/* Is the first of the list there, and nothing that is neither a note nor in the list? */
bool run_schema_has_only(const json_t *schema, const char *const *list)
{
    bool only = json_object_get(schema, list[0]) != NULL;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)schema, key, value)
    {
        only = only && (is_one_of(key, notes) || is_one_of(key, list));
    }
    return only;
}

/* A count among the keywords; `absent` when it is not there. */
long run_schema_count(struct schema_compiler *c, const json_t *schema, const char *key, long absent)
{
    const json_t *value = json_object_get(schema, key);
    if (!value) {
        return absent;
    }
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        run_schema_refuse(c, TAKT_USAGE, "'%s' must be a whole number, not negative", key);
        return absent;
    }
    if (json_integer_value(value) > SCHEMA_UNROLLED_MAX) {
        run_schema_refuse(c, TAKT_UNSUPPORTED, "'%s' of more than %d is not supported", key,
                          SCHEMA_UNROLLED_MAX);
        return absent;
    }
    return (long)json_integer_value(value);
}
