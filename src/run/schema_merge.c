/*
 * Several schemas that one value must satisfy, as one: 'allOf', and what stands beside '$ref',
 * 'anyOf' and 'oneOf'. A flat schema has none of these, or is an 'anyOf' of such and nothing else,
 * or a boolean. What the schemas say of one property or item is kept as an 'allOf' for later.
 */
#include "run/schema.h"

#include <stdlib.h>
#include <string.h>

#define FLAT_DEPTH_MAX 64u
#define FLAT_MAX 200000u /* schemas made flat, in all */
#define BRANCHES_MAX 256u
#define PAIRS_MAX 4096u

static json_t *shared(const json_t *json)
{
    return json_incref((json_t *)(uintptr_t)json);
}

/* Both of two schemas, either of which may be absent; a new reference. */
json_t *run_schema_join(const json_t *a, const json_t *b)
{
    if (!a || json_is_true(a) || (b && json_equal(a, b))) {
        return b ? shared(b) : json_true();
    }
    if (!b || json_is_true(b)) {
        return shared(a);
    }
    if (json_is_false(a) || json_is_false(b)) {
        return json_false();
    }
    return json_pack("{s:[O,O]}", "allOf", a, b);
}

/* ---- keywords that both have ----------------------------------------------------------------- */

static bool is_among(const char *key, const char *const *list)
{
    while (*list && strcmp(*list, key) != 0) {
        list++;
    }
    return *list != NULL;
}

static bool has_type(const json_t *types, const char *name)
{
    bool has = json_is_string(types) && strcmp(json_string_value(types), name) == 0;
    for (size_t i = 0; !has && i < json_array_size(types); i++) {
        const char *item = json_string_value(json_array_get(types, i));
        has = item && strcmp(item, name) == 0;
    }
    return has;
}

/* Types that both name; an integer is a number. */
static json_t *common_types(const json_t *a, const json_t *b)
{
    static const char *const names[] = {"string", "integer", "array", "object", "null", "boolean"};
    json_t *types = json_array();
    for (size_t i = 0; i < BASE_COUNT(names); i++) {
        const bool whole = strcmp(names[i], "integer") == 0;
        const bool in_a = has_type(a, names[i]) || (whole && has_type(a, "number"));
        const bool in_b = has_type(b, names[i]) || (whole && has_type(b, "number"));
        const bool number = whole && has_type(a, "number") && has_type(b, "number");
        if (in_a && in_b) {
            json_array_append_new(types, json_string(number ? "number" : names[i]));
        }
    }
    return types;
}

static json_t *common_values(const json_t *a, const json_t *b)
{
    json_t *values = json_array();
    for (size_t i = 0; i < json_array_size(a); i++) {
        for (size_t j = 0; j < json_array_size(b); j++) {
            if (run_schema_equal(json_array_get(a, i), json_array_get(b, j))) {
                json_array_append(values, json_array_get(a, i));
                break;
            }
        }
    }
    return values;
}

static json_t *all_of_both(const json_t *a, const json_t *b)
{
    json_t *all = json_copy((json_t *)(uintptr_t)a);
    for (size_t i = 0; i < json_array_size(b); i++) {
        json_array_append(all, json_array_get(b, i));
    }
    return all;
}

static json_t *common_multiple(struct schema_compiler *c, const json_t *a, const json_t *b)
{
    json_int_t x = json_integer_value(a), y = json_integer_value(b);
    if (x <= 0 || y <= 0 || x > 1000000 || y > 1000000) {
        run_schema_refuse(c, TAKT_UNSUPPORTED,
                          "two of 'multipleOf' that are no small whole numbers are not supported");
        return NULL;
    }
    const json_int_t product = x * y;
    while (y != 0) {
        const json_int_t rest = x % y;
        x = y;
        y = rest;
    }
    return json_integer(product / x);
}

/* One keyword of two schemas that differ in it; NULL: refused, or not of this kind. */
static json_t *merge_keyword(struct schema_compiler *c, const char *key, const json_t *a,
                             const json_t *b)
{
    static const char *const lower[] = {"minimum",  "exclusiveMinimum", "minLength",
                                        "minItems", "minProperties",    NULL};
    static const char *const upper[] = {"maximum",  "exclusiveMaximum", "maxLength",
                                        "maxItems", "maxProperties",    NULL};
    static const char *const lists[] = {"required", SCHEMA_PATTERNS, SCHEMA_FORMATS, NULL};
    static const char *const schemas[] = {"items", "additionalProperties", "propertyNames", NULL};
    const bool numbers = json_is_number(a) && json_is_number(b);
    const bool a_less = json_number_value(a) < json_number_value(b);
    if (is_among(key, lower) && numbers) {
        return shared(a_less ? b : a);
    }
    if (is_among(key, upper) && numbers) {
        return shared(a_less ? a : b);
    }
    if (is_among(key, lists) && json_is_array(a) && json_is_array(b)) {
        return all_of_both(a, b);
    }
    if (is_among(key, schemas)) {
        return run_schema_join(a, b);
    }
    if (strcmp(key, "type") == 0) {
        return common_types(a, b);
    }
    if (strcmp(key, "enum") == 0 && json_is_array(a) && json_is_array(b)) {
        return common_values(a, b);
    }
    if (strcmp(key, "multipleOf") == 0) {
        return common_multiple(c, a, b);
    }
    run_schema_refuse(c, TAKT_UNSUPPORTED,
                      "schemas that differ in '%.60s' cannot be taken together", key);
    return NULL;
}

/* ---- objects and arrays ---------------------------------------------------------------------- */

/* Into `merged`: the properties of `a`, each with what `b` says of it. */
static void merge_properties(json_t *merged, const json_t *a, const json_t *b)
{
    const json_t *others = json_object_get(b, "properties");
    const json_t *more = json_object_get(b, "additionalProperties");
    const char *name;
    json_t *property;
    json_object_foreach(json_object_get(a, "properties"), name, property)
    {
        const json_t *other = json_object_get(others, name);
        if (!json_object_get(merged, name)) {
            json_object_set_new(merged, name, run_schema_join(property, other ? other : more));
        }
    }
}

static bool speaks_of_names(const json_t *schema)
{
    return json_object_get(schema, "properties") || json_object_get(schema, "patternProperties") ||
           json_object_get(schema, "additionalProperties");
}

static void merge_objects(struct schema_compiler *c, json_t *merged, const json_t *a,
                          const json_t *b)
{
    const bool patterns =
        json_object_get(a, "patternProperties") || json_object_get(b, "patternProperties");
    if (!speaks_of_names(a) || !speaks_of_names(b)) {
        return;
    }
    if (patterns) {
        run_schema_refuse(c, TAKT_UNSUPPORTED,
                          "'patternProperties' cannot be taken together with another schema's "
                          "properties");
        return;
    }
    json_t *properties = json_object();
    merge_properties(properties, a, b);
    merge_properties(properties, b, a);
    if (json_object_size(properties) > 0) {
        json_object_set(merged, "properties", properties);
    }
    json_decref(properties);
}

static const json_t *item_at(const json_t *schema, size_t index)
{
    const json_t *first = json_array_get(json_object_get(schema, "prefixItems"), index);
    return first ? first : json_object_get(schema, "items");
}

static void merge_arrays(json_t *merged, const json_t *a, const json_t *b)
{
    const size_t count = BASE_MAX(json_array_size(json_object_get(a, "prefixItems")),
                                  json_array_size(json_object_get(b, "prefixItems")));
    json_t *items = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(items, run_schema_join(item_at(a, i), item_at(b, i)));
    }
    if (count > 0) {
        json_object_set(merged, "prefixItems", items);
    }
    json_decref(items);
}

/* ---- two schemas ----------------------------------------------------------------------------- */

static bool is_never(const json_t *schema)
{
    const json_t *type = json_object_get(schema, "type"), *list = json_object_get(schema, "enum");
    return json_is_false(schema) || (json_is_array(type) && json_array_size(type) == 0) ||
           (json_is_array(list) && json_array_size(list) == 0);
}

/* Two flat ones that are no 'anyOf'; a new reference, NULL when refused. */
static json_t *merge_plain(struct schema_compiler *c, const json_t *a, const json_t *b)
{
    if (json_is_boolean(a) || json_is_boolean(b)) {
        return run_schema_join(a, b);
    }
    json_t *merged = json_copy((json_t *)(uintptr_t)a);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)b, key, value)
    {
        const json_t *own = json_object_get(a, key);
        if (!own) {
            json_object_set_nocheck(merged, key, value);
        } else if (!json_equal(own, value) && strcmp(key, "properties") != 0 &&
                   strcmp(key, "prefixItems") != 0 && strcmp(key, "patternProperties") != 0) {
            json_t *both = merge_keyword(c, key, own, value);
            if (!both) {
                json_decref(merged);
                return NULL;
            }
            json_object_set_new_nocheck(merged, key, both);
        }
    }
    merge_objects(c, merged, a, b);
    merge_arrays(merged, a, b);
    if (c->failed || is_never(merged)) {
        json_decref(merged);
        return c->failed ? NULL : json_false();
    }
    return merged;
}

/* Two flat schemas; takes over both references. */
json_t *run_schema_merge(struct schema_compiler *c, json_t *a, json_t *b)
{
    const json_t *branches = json_object_get(a, "anyOf"), *others = json_object_get(b, "anyOf");
    json_t *merged = NULL;
    if (c->failed || !a || !b) {
        merged = NULL;
    } else if (!branches && !others) {
        merged = merge_plain(c, a, b);
    } else {
        json_t *list = json_array();
        const size_t count = branches ? json_array_size(branches) : 1;
        const size_t other_count = others ? json_array_size(others) : 1;
        if (count * other_count > PAIRS_MAX) {
            run_schema_refuse(c, TAKT_LIMIT, "alternatives of alternatives: more than %u pairs",
                              PAIRS_MAX);
        }
        for (size_t i = 0; i < count * other_count && !c->failed; i++) {
            json_t *one = merge_plain(c, branches ? json_array_get(branches, i / other_count) : a,
                                      others ? json_array_get(others, i % other_count) : b);
            if (one && !json_is_false(one)) {
                json_array_append(list, one);
            }
            json_decref(one);
        }
        if (json_array_size(list) > BRANCHES_MAX) {
            run_schema_refuse(c, TAKT_LIMIT, "more than %u alternatives", BRANCHES_MAX);
        }
        merged = json_array_size(list) > 0 ? json_pack("{s:O}", "anyOf", list) : json_false();
        json_decref(list);
    }
    json_decref(a);
    json_decref(b);
    return merged;
}

/* ---- flat ------------------------------------------------------------------------------------ */

/* The keywords of a schema that are its own; each of pattern and format as a list of one. */
static json_t *own_keywords(const json_t *schema)
{
    static const char *const left_out[] = {"$ref", "allOf", "anyOf", "oneOf", "const", NULL};
    json_t *own = json_object();
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)schema, key, value)
    {
        const char *list = strcmp(key, "pattern") == 0  ? SCHEMA_PATTERNS
                           : strcmp(key, "format") == 0 ? SCHEMA_FORMATS
                                                        : NULL;
        if (list && json_is_string(value)) {
            json_object_set_new_nocheck(own, list, json_pack("[O]", value));
        } else if (!is_among(key, left_out) && !run_schema_is_note(key)) {
            json_object_set_nocheck(own, key, value);
        }
    }
    json_t *fixed = json_object_get(schema, "const");
    if (fixed) {
        json_t *one = json_pack("[O]", fixed);
        const json_t *list = json_object_get(schema, "enum");
        json_object_set_new(own, "enum", list ? common_values(list, one) : shared(one));
        json_decref(one);
    }
    const json_t *items = json_object_get(own, "items");
    if (json_is_array(items) && !json_object_get(own, "prefixItems")) { /* as before 2020 */
        json_object_set(own, "prefixItems", (json_t *)(uintptr_t)items);
        json_t *rest = json_object_get(own, "additionalItems");
        json_object_set_new(own, "items", rest ? shared(rest) : json_true());
    }
    json_object_del(own, "additionalItems"); /* beside a schema in 'items' it says nothing */
    if (json_object_size(own) == 0 || is_never(own)) {
        json_t *all = is_never(own) ? json_false() : json_true();
        json_decref(own);
        return all;
    }
    return own;
}

/* Flat ones of a list, as an 'anyOf'; those that nothing satisfies are left out. */
static json_t *flat_branches(struct schema_compiler *c, const char *key, const json_t *list)
{
    json_t *branches = json_array();
    for (size_t i = 0; i < json_array_size(list) && !c->failed; i++) {
        json_t *one = run_schema_flat_at(c, json_array_get(list, i), key, i);
        const json_t *inner = json_object_get(one, "anyOf");
        if (inner) {
            json_array_extend(branches, (json_t *)(uintptr_t)inner);
        } else if (one && !json_is_false(one)) {
            json_array_append(branches, one);
        }
        json_decref(one);
    }
    json_t *flat =
        json_array_size(branches) > 0 ? json_pack("{s:O}", "anyOf", branches) : json_false();
    json_decref(branches);
    return flat;
}

static json_t *flat_object(struct schema_compiler *c, const json_t *schema)
{
    json_t *flat = own_keywords(schema);
    const json_t *reference = json_object_get(schema, "$ref");
    if (reference) {
        const json_t *target = run_schema_find(c, reference);
        flat = run_schema_merge(c, flat,
                                target ? run_schema_flat_at(c, target, "$ref", SIZE_MAX) : NULL);
    }
    const json_t *all = json_object_get(schema, "allOf");
    for (size_t i = 0; i < json_array_size(all) && !c->failed; i++) {
        flat = run_schema_merge(c, flat, run_schema_flat_at(c, json_array_get(all, i), "allOf", i));
    }
    const json_t *any = json_object_get(schema, "anyOf");
    if (any && !c->failed) {
        flat = run_schema_merge(c, flat, flat_branches(c, "anyOf", any));
    }
    const json_t *one = json_object_get(schema, "oneOf");
    if (one && !c->failed && run_schema_check_apart(c, one, flat)) {
        flat = run_schema_merge(c, flat, flat_branches(c, "oneOf", one));
    }
    return flat;
}

json_t *run_schema_flat(struct schema_compiler *c, const json_t *schema)
{
    if (json_is_boolean(schema)) {
        return shared(schema);
    }
    if (c->flat_depth == FLAT_DEPTH_MAX || c->flat_count == FLAT_MAX) {
        run_schema_refuse(c, TAKT_LIMIT,
                          "schemas taken together that lead to themselves, or too many");
        return NULL;
    }
    if (!run_schema_check(c, schema) || !run_schema_only(c, schema, NULL)) {
        return NULL;
    }
    c->flat_depth++;
    c->flat_count++;
    json_t *flat = flat_object(c, schema);
    c->flat_depth--;
    if (c->failed) {
        json_decref(flat);
        return NULL;
    }
    return flat;
}

json_t *run_schema_flat_at(struct schema_compiler *c, const json_t *schema, const char *key,
                           size_t index)
{
    const size_t length = strlen(c->place);
    snprintf(c->place + length, sizeof c->place - length, index == SIZE_MAX ? "/%s" : "/%s/%zu",
             key, index);
    json_t *flat = run_schema_flat(c, schema);
    if (!c->failed) {
        c->place[length] = '\0';
    }
    return flat;
}
