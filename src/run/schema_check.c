/*
 * The keywords that are known, what each must be, and a walk over all of a schema that refuses the
 * others by their place in it, before schemas are taken together and places are lost.
 */
#include "run/schema.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 256u

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

bool run_schema_check(struct schema_compiler *c, const json_t *schema)
{
    const char *wanted, *key = run_schema_misshapen(schema, &wanted);
    if (!json_is_object(schema) && !json_is_boolean(schema)) {
        run_schema_refuse(c, TAKT_USAGE, "a schema must be an object or a boolean");
    } else if (key) {
        run_schema_refuse(c, TAKT_USAGE, "'%s' must be %s", key, wanted);
    }
    return !c->failed;
}

/* ---- all of a schema ------------------------------------------------------------------------- */

struct walk {
    struct schema_compiler *c;
    const json_t *seen[SCHEMA_NAMED_MAX]; /* what references point at */
    size_t seen_count;
    unsigned depth;
};

static void visit(struct walk *walk, const json_t *schema);

/* What stands under key, and under name or index in it if that is not NULL or SIZE_MAX. */
static void step(struct walk *walk, const json_t *schema, const char *key, const char *name,
                 size_t index)
{
    struct schema_compiler *c = walk->c;
    const size_t length = strlen(c->place), room = sizeof c->place - length;
    if (name) {
        snprintf(c->place + length, room, "/%s/%s", key, name);
    } else if (index != SIZE_MAX) {
        snprintf(c->place + length, room, "/%s/%zu", key, index);
    } else {
        snprintf(c->place + length, room, "/%s", key);
    }
    visit(walk, schema);
    if (!c->failed) {
        c->place[length] = '\0';
    }
}

/* Once for all references to it, at its own place. */
static void follow(struct walk *walk, const json_t *reference)
{
    struct schema_compiler *c = walk->c;
    const json_t *target = run_schema_find(c, reference);
    bool seen = !target || walk->seen_count == SCHEMA_NAMED_MAX;
    for (size_t i = 0; i < walk->seen_count && !seen; i++) {
        seen = walk->seen[i] == target;
    }
    if (seen) {
        return;
    }
    walk->seen[walk->seen_count++] = target;
    char *place = strdup(c->place);
    BASE_ASSERT(place);
    snprintf(c->place, sizeof c->place, "%s", json_string_value(reference) + 1);
    visit(walk, target);
    if (!c->failed) {
        snprintf(c->place, sizeof c->place, "%s", place);
    }
    free(place);
}

static void check_pattern(struct schema_compiler *c, const char *key, const char *pattern)
{
    struct run_steps steps;
    struct takt_error error;
    const enum takt_status status = run_steps_parse(&steps, pattern, &error);
    if (status != TAKT_OK) {
        run_schema_refuse(c, status, "'%s': %s", key, error.message);
    }
    run_steps_free(&steps);
}

static void visit_keyword(struct walk *walk, const char *key, enum shape shape, const json_t *value)
{
    const char *name;
    json_t *member;
    switch (shape) {
    case SHAPE_STRING:
        if (strcmp(key, "pattern") == 0) {
            check_pattern(walk->c, key, json_string_value(value));
        } else if (strcmp(key, "$ref") == 0) {
            follow(walk, value);
        }
        return;
    case SHAPE_SCHEMA:
    case SHAPE_ITEMS:
        if (!json_is_array(value)) {
            step(walk, value, key, NULL, SIZE_MAX);
            return;
        }
        /* fall through */
    case SHAPE_SCHEMAS:
    case SHAPE_LIST:
        for (size_t i = 0; i < json_array_size(value) && !walk->c->failed; i++) {
            step(walk, json_array_get(value, i), key, NULL, i);
        }
        return;
    case SHAPE_MEMBERS:
        json_object_foreach((json_t *)(uintptr_t)value, name, member)
        {
            if (strcmp(key, "patternProperties") == 0 && !walk->c->failed) {
                check_pattern(walk->c, key, name);
            }
            if (!walk->c->failed) {
                step(walk, member, key, name, SIZE_MAX);
            }
        }
        return;
    default: return;
    }
}

static void visit(struct walk *walk, const json_t *schema)
{
    struct schema_compiler *c = walk->c;
    if (walk->depth == DEPTH_MAX) {
        run_schema_refuse(c, TAKT_LIMIT, "nested more than %u deep", DEPTH_MAX);
        return;
    }
    if (!run_schema_check(c, schema) || !run_schema_only(c, schema, NULL)) {
        return;
    }
    walk->depth++;
    for (size_t i = 0; i < BASE_COUNT(keywords) && !c->failed; i++) {
        const json_t *value = json_object_get(schema, keywords[i].key);
        if (value) {
            visit_keyword(walk, keywords[i].key, keywords[i].shape, value);
        }
    }
    walk->depth--;
}

bool run_schema_check_all(struct schema_compiler *c, const json_t *schema)
{
    struct walk *walk = calloc(1, sizeof *walk);
    BASE_ASSERT(walk);
    walk->c = c;
    visit(walk, schema);
    free(walk);
    return !c->failed;
}
