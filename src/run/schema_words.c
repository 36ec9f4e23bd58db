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

/* What a schema may say without being asked to keep it. */
static const char *const notes[] = {"title",       "description", "default",  "examples",
                                    "$schema",     "$id",         "$comment", "$defs",
                                    "definitions", "deprecated",  "readOnly", "writeOnly"};

static bool is_one_of(const char *word, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(word, list[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Refuses what is in the schema beyond the notes and the list (NULL-terminated). */
bool run_schema_only(struct schema_compiler *c, const json_t *schema, const char *const *list)
{
    size_t count = 0;
    while (list[count]) {
        count++;
    }
    void *at = json_object_iter((json_t *)(uintptr_t)schema);
    for (; at; at = json_object_iter_next((json_t *)(uintptr_t)schema, at)) {
        const char *key = json_object_iter_key(at);
        if (!is_one_of(key, notes, BASE_COUNT(notes)) && !is_one_of(key, list, count)) {
            run_schema_refuse(c, TAKT_UNSUPPORTED, "the keyword '%.60s' is not supported here",
                              key);
            return false;
        }
    }
    return true;
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
