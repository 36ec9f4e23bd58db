/* Types: which keywords speak of which, and each type with its own. */
#include "run/schema.h"

#include <string.h>

enum shape {
    SHAPE_ANY,
    SHAPE_BOOLEAN,
    SHAPE_NUMBER,
    SHAPE_COUNT,
    SHAPE_STRING,
    SHAPE_NAMES,
    SHAPE_STRINGS,
    SHAPE_VALUES,
    SHAPE_SCHEMA,
    SHAPE_ITEMS,
    SHAPE_SCHEMAS,
    SHAPE_LIST,
    SHAPE_MEMBERS,
};

static const char *const shape_names[] = {
    [SHAPE_ANY] = "anything",
    [SHAPE_BOOLEAN] = "a boolean",
    [SHAPE_NUMBER] = "a number",
    [SHAPE_COUNT] = "a whole number, not negative",
    [SHAPE_STRING] = "a string",
    [SHAPE_NAMES] = "a string or an array of strings with one in it",
    [SHAPE_STRINGS] = "an array of strings",
    [SHAPE_VALUES] = "an array with something in it",
    [SHAPE_SCHEMA] = "a schema: an object or a boolean",
    [SHAPE_ITEMS] = "a schema or an array of schemas",
    [SHAPE_SCHEMAS] = "an array of schemas with one in it",
    [SHAPE_LIST] = "an array of schemas",
    [SHAPE_MEMBERS] = "an object of schemas",
};

/* Keywords, the type whose values they speak of ("number" stands for integers too; NULL: every
 * type), and what they must be. */
static const struct {
    const char *key, *type;
    enum shape shape;
} keywords[] = {
    {"type", NULL, SHAPE_NAMES},
    {"enum", NULL, SHAPE_VALUES},
    {"const", NULL, SHAPE_ANY},
    {"$ref", NULL, SHAPE_STRING},
    {"allOf", NULL, SHAPE_SCHEMAS},
    {"anyOf", NULL, SHAPE_SCHEMAS},
    {"oneOf", NULL, SHAPE_SCHEMAS},
    {"pattern", "string", SHAPE_STRING},
    {"format", "string", SHAPE_STRING},
    {SCHEMA_PATTERNS, "string", SHAPE_ANY},
    {SCHEMA_FORMATS, "string", SHAPE_ANY},
    {"minLength", "string", SHAPE_COUNT},
    {"maxLength", "string", SHAPE_COUNT},
    {"minimum", "number", SHAPE_NUMBER},
    {"maximum", "number", SHAPE_NUMBER},
    {"exclusiveMinimum", "number", SHAPE_NUMBER},
    {"exclusiveMaximum", "number", SHAPE_NUMBER},
    {"multipleOf", "number", SHAPE_NUMBER},
    {"items", "array", SHAPE_ITEMS},
    {"prefixItems", "array", SHAPE_LIST},
    {"additionalItems", "array", SHAPE_SCHEMA},
    {"minItems", "array", SHAPE_COUNT},
    {"maxItems", "array", SHAPE_COUNT},
    {"uniqueItems", "array", SHAPE_BOOLEAN},
    {"properties", "object", SHAPE_MEMBERS},
    {"required", "object", SHAPE_STRINGS},
    {"additionalProperties", "object", SHAPE_SCHEMA},
    {"patternProperties", "object", SHAPE_MEMBERS},
    {"propertyNames", "object", SHAPE_SCHEMA},
    {"minProperties", "object", SHAPE_COUNT},
    {"maxProperties", "object", SHAPE_COUNT},
};

static const char *const names[] = {"string", "integer", "number", "array",
                                    "object", "null",    "boolean"};

static bool are_strings(const json_t *list)
{
    bool are = json_is_array(list);
    for (size_t i = 0; are && i < json_array_size(list); i++) {
        are = json_is_string(json_array_get(list, i));
    }
    return are;
}

/* Schemas in a list or an object are asked themselves when their turn comes. */
static bool is_shaped(enum shape shape, const json_t *value)
{
    switch (shape) {
    case SHAPE_ANY: return true;
    case SHAPE_BOOLEAN: return json_is_boolean(value);
    case SHAPE_NUMBER: return json_is_number(value);
    case SHAPE_COUNT: return json_is_number(value) && json_number_value(value) >= 0;
    case SHAPE_STRING: return json_is_string(value);
    case SHAPE_NAMES:
        return json_is_string(value) || (are_strings(value) && json_array_size(value) > 0);
    case SHAPE_STRINGS: return are_strings(value);
    case SHAPE_SCHEMA: return json_is_object(value) || json_is_boolean(value);
    case SHAPE_ITEMS:
        return json_is_object(value) || json_is_boolean(value) || json_is_array(value);
    case SHAPE_VALUES:
    case SHAPE_SCHEMAS: return json_is_array(value) && json_array_size(value) > 0;
    case SHAPE_LIST: return json_is_array(value);
    case SHAPE_MEMBERS: return json_is_object(value);
    }
    return false;
}

const char *run_schema_misshapen(const json_t *schema, const char **wanted)
{
    for (size_t i = 0; i < BASE_COUNT(keywords); i++) {
        const json_t *value = json_object_get(schema, keywords[i].key);
        if (value && !is_shaped(keywords[i].shape, value)) {
            *wanted = shape_names[keywords[i].shape];
            return keywords[i].key;
        }
    }
    return NULL;
}

bool run_schema_is_known(const char *key)
{
    bool is = false;
    for (size_t i = 0; i < BASE_COUNT(keywords) && !is; i++) {
        is = strcmp(keywords[i].key, key) == 0;
    }
    return is;
}

const char *run_schema_owner(const char *key)
{
    for (size_t i = 0; i < BASE_COUNT(keywords); i++) {
        if (strcmp(keywords[i].key, key) == 0) {
            return keywords[i].type;
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
    for (size_t i = 0; i < BASE_COUNT(keywords); i++) {
        /* 'format' speaks of numbers too. */
        const bool format = owns("number", type) && (strcmp(keywords[i].key, "format") == 0 ||
                                                     strcmp(keywords[i].key, SCHEMA_FORMATS) == 0);
        if (keywords[i].type && !owns(keywords[i].type, type) && !format) {
            json_object_del(copy, keywords[i].key);
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
    json_t *types = json_array();
    for (size_t i = 0; i < BASE_COUNT(keywords); i++) {
        const size_t count = json_array_size(types);
        const json_t *last = count > 0 ? json_array_get(types, count - 1) : NULL;
        const bool same =
            last && keywords[i].type && strcmp(json_string_value(last), keywords[i].type) == 0;
        if (keywords[i].type && json_object_get(schema, keywords[i].key) && !same) {
            json_array_append_new(types, json_string(keywords[i].type));
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
