/* Types: which keywords speak of which, and each type with its own. */
#include "run/schema.h"

#include <string.h>

/* Keywords and the type whose values they speak of; "number" stands for integers too. */
static const struct {
    const char *key, *type;
} owners[] = {
    {"pattern", "string"},           {"format", "string"},
    {SCHEMA_PATTERNS, "string"},     {SCHEMA_FORMATS, "string"},
    {"minLength", "string"},         {"maxLength", "string"},
    {"minimum", "number"},           {"maximum", "number"},
    {"exclusiveMinimum", "number"},  {"exclusiveMaximum", "number"},
    {"multipleOf", "number"},        {"items", "array"},
    {"prefixItems", "array"},        {"additionalItems", "array"},
    {"minItems", "array"},           {"maxItems", "array"},
    {"uniqueItems", "array"},        {"properties", "object"},
    {"required", "object"},          {"additionalProperties", "object"},
    {"patternProperties", "object"}, {"propertyNames", "object"},
    {"minProperties", "object"},     {"maxProperties", "object"},
};

static const char *const names[] = {"string", "integer", "number", "array",
                                    "object", "null",    "boolean"};

const char *run_schema_owner(const char *key)
{
    for (size_t i = 0; i < BASE_COUNT(owners); i++) {
        if (strcmp(owners[i].key, key) == 0) {
            return owners[i].type;
        }
    }
    return NULL;
}

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
        c->graph->rules[rule].start = start;
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
    for (size_t i = 0; i < BASE_COUNT(owners); i++) {
        /* 'format' speaks of numbers too. */
        const bool format = owns("number", type) && (strcmp(owners[i].key, "format") == 0 ||
                                                     strcmp(owners[i].key, SCHEMA_FORMATS) == 0);
        if (!owns(owners[i].type, type) && !format) {
            json_object_del(copy, owners[i].key);
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
        if (!type) {
            return run_schema_refuse(c, TAKT_USAGE,
                                     "'type' must be a string or an array of strings");
        }
        at = schema_either(c, at, one_type(c, schema, type, next));
    }
    return at == RUN_NO_NODE && !c->failed
               ? run_schema_refuse(c, TAKT_USAGE, "'type' must name a type")
               : at;
}

/* Without a type, those that the keywords speak of; others would do too, but are not meant. */
static json_t *infer_types(const json_t *schema)
{
    json_t *types = json_array();
    for (size_t i = 0; i < BASE_COUNT(owners); i++) {
        const size_t count = json_array_size(types);
        const json_t *last = count > 0 ? json_array_get(types, count - 1) : NULL;
        const bool same = last && strcmp(json_string_value(last), owners[i].type) == 0;
        if (json_object_get(schema, owners[i].key) && !same) {
            json_array_append_new(types, json_string(owners[i].type));
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
    const json_t *type = json_object_get(schema, "type");
    if (json_is_string(type)) {
        return one_type(c, schema, json_string_value(type), next);
    }
    if (json_is_array(type)) {
        return several_types(c, schema, type, next);
    }
    if (type) {
        return run_schema_refuse(c, TAKT_USAGE, "'type' must be a string or an array of strings");
    }
    json_t *types = infer_types(schema);
    uint32_t at = 0;
    if (json_array_size(types) > 0) {
        at = several_types(c, schema, types, next);
    } else if (run_schema_only(c, schema, none)) {
        at = schema_call(c, c->value, next);
    }
    json_decref(types);
    return at;
}
