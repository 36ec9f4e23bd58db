/* Types: which keywords speak of which, and each type with its own. */
#include "run/schema.h"

#include <string.h>

static const char *const names[] = {"string", "integer", "number", "array",
                                    "object", "null",    "boolean"};

static bool owns(const char *owner, const char *type)
{
    return strcmp(owner, type) == 0 ||
           (strcmp(owner, "number") == 0 && strcmp(type, "integer") == 0);
}

static uint32_t plain(struct schema_compiler *c, const json_t *schema, const char *type,
                      uint32_t next)
{
    static const char *const keys[] = {"type", NULL};
    if (!run_schema_only(c, schema, keys)) {
        return 0;
    }
    return strcmp(type, "null") == 0
               ? schema_text(c, "null", next)
               : schema_either(c, schema_text(c, "true", next), schema_text(c, "false", next));
}

static uint32_t of_type(struct schema_compiler *c, const json_t *schema, const char *type,
                        uint32_t next)
{
    switch (type[0]) {
    case 's': return run_schema_string(c, schema, next);
    case 'i': return run_schema_integer(c, schema, next);
    case 'a': return run_schema_array(c, schema, next);
    case 'o': return run_schema_object(c, schema, next);
    case 'n':
        return strcmp(type, "number") == 0 ? run_schema_number(c, schema, next)
                                           : plain(c, schema, type, next);
    default: return plain(c, schema, type, next);
    }
}

/* Strings and numbers with keywords are a rule, one for all places that say the same. */
static uint32_t of_type_once(struct schema_compiler *c, json_t *schema, const char *type,
                             uint32_t next)
{
    const bool scalar = type[0] == 's' || owns("number", type);
    const char *key;
    json_t *value;
    void *after;
    json_object_foreach_safe(schema, after, key, value)
    {
        if (run_schema_is_note(key)) {
            json_object_del(schema, key);
        }
    }
    json_object_set_new(schema, "type", json_string(type));
    /* Half of the rules are left to references; lists of schemas taken together have no text. */
    char *text = scalar && json_object_size(schema) > 1 && c->named_count < SCHEMA_NAMED_MAX / 2
                     ? json_dumps(schema, JSON_SORT_KEYS | JSON_COMPACT)
                     : NULL;
    if (!text) {
        return of_type(c, schema, type, next);
    }
    uint32_t rule;
    if (!run_schema_find_rule(c, c->graph, text, &rule)) {
        const uint32_t start = of_type(c, schema, type, run_graph_end(c->graph));
        schema_start(c, rule, start);
    }
    return c->failed ? 0 : schema_call(c, rule, next);
}

/* The type with the keywords that speak of it; those of other types say nothing about it. */
static uint32_t one_type(struct schema_compiler *c, const json_t *schema, const char *type,
                         uint32_t next)
{
    bool known = false;
    for (size_t i = 0; i < BASE_COUNT(names); i++) {
        known = known || strcmp(names[i], type) == 0;
    }
    if (!known) {
        return run_schema_refuse(c, TAKT_USAGE, "there is no type '%.40s'", type);
    }
    json_t *copy = json_copy((json_t *)(uintptr_t)schema);
    BASE_ASSERT(copy);
    const char *key;
    json_t *value;
    void *after;
    json_object_foreach_safe(copy, after, key, value)
    {
        const char *owner = run_schema_owner(key);
        /* 'format' speaks of numbers too. */
        const bool format = owns("number", type) &&
                            (strcmp(key, "format") == 0 || strcmp(key, SCHEMA_FORMATS) == 0);
        if (owner && !owns(owner, type) && !format) {
            json_object_del(copy, key);
        }
    }
    const uint32_t at = of_type_once(c, copy, type, next);
    json_decref(copy);
    return at;
}

static uint32_t several_types(struct schema_compiler *c, const json_t *schema, const json_t *types,
                              uint32_t next)
{
    uint32_t at = RUN_NO_NODE;
    for (size_t i = 0; i < json_array_size(types) && !c->failed; i++) {
        const char *type = json_string_value(json_array_get(types, i));
        at = schema_either(c, at, one_type(c, schema, type, next));
    }
    return at;
}

/* Without a type, those that the keywords speak of; others would do too, but are not meant. */
static json_t *infer_types(const json_t *schema)
{
    static const char *const owners[] = {"string", "number", "array", "object"};
    json_t *types = json_array();
    for (size_t i = 0; i < BASE_COUNT(owners); i++) {
        const char *key;
        json_t *value;
        bool speaks = false;
        json_object_foreach((json_t *)(uintptr_t)schema, key, value)
        {
            const char *owner = run_schema_owner(key);
            speaks = speaks || (owner && strcmp(owner, owners[i]) == 0);
        }
        if (speaks) {
            json_array_append_new(types, json_string(owners[i]));
        }
    }
    return types;
}

json_t *run_schema_written_types(const json_t *schema)
{
    const json_t *type = json_object_get(schema, "type");
    return json_is_string(type)  ? json_pack("[O]", type)
           : json_is_array(type) ? json_incref((json_t *)(uintptr_t)type)
                                 : infer_types(schema);
}

uint32_t run_schema_types(struct schema_compiler *c, const json_t *schema, uint32_t next)
{
    static const char *const none[] = {NULL};
    json_t *types = run_schema_written_types(schema);
    uint32_t at = 0;
    if (json_array_size(types) > 0) {
        at = several_types(c, schema, types, next);
    } else if (run_schema_only(c, schema, none)) {
        at = schema_call(c, c->value, next);
    }
    json_decref(types);
    return at;
}
