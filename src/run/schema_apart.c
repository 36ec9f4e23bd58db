/*
 * 'oneOf': written like 'anyOf' where it is proven that nothing the grammar writes for one branch
 * satisfies another. The grammar writes less than a branch admits (no properties that it does not
 * name), which makes more branches exclude each other than do by themselves.
 */
#include "run/schema.h"

#include <math.h>
#include <string.h>

#define DEPTH_MAX 12u
#define BRANCHES_MAX 256u /* each is compared with each */

static bool excludes(struct schema_compiler *c, const json_t *a, const json_t *b, unsigned depth);

/* The same of schemas that are not flat yet; an absent one is true. */
static bool raw_excludes(struct schema_compiler *c, const json_t *a, const json_t *b,
                         unsigned depth)
{
    json_t *x = a ? run_schema_flat(c, a) : json_true();
    json_t *y = b ? run_schema_flat(c, b) : json_true();
    const bool result = x && y && excludes(c, x, y, depth + 1);
    json_decref(x);
    json_decref(y);
    return result;
}

/* ---- types ----------------------------------------------------------------------------------- */

/* The strings a schema admits. `more`: rather more than less, for formats are known in part. */
static bool strings_of(struct schema_compiler *c, const json_t *schema, bool more,
                       struct run_language *language)
{
    json_t *copy = json_copy((json_t *)(uintptr_t)schema);
    if (more) {
        json_object_del(copy, SCHEMA_FORMATS);
        json_object_del(copy, "format");
    }
    const bool made = run_schema_string_language(c, copy, language);
    json_decref(copy);
    return made;
}

static bool strings_exclude(struct schema_compiler *c, const json_t *a, const json_t *b)
{
    struct run_language x = {0}, y = {0}, common = {0};
    const bool apart = strings_of(c, a, false, &x) && strings_of(c, b, true, &y) &&
                       run_language_both(&common, &x, &y) && run_language_is_empty(&common);
    run_language_free(&x);
    run_language_free(&y);
    run_language_free(&common);
    return apart;
}

static double limit(const json_t *schema, const char *key, double absent)
{
    const json_t *value = json_object_get(schema, key);
    return json_is_number(value) ? json_number_value(value) : absent;
}

/* Is every number of a below every one of b? */
static bool numbers_below(const json_t *a, const json_t *b)
{
    const double high = limit(a, "maximum", HUGE_VAL), low = limit(b, "minimum", -HUGE_VAL);
    const double under = limit(a, "exclusiveMaximum", HUGE_VAL);
    const double over = limit(b, "exclusiveMinimum", -HUGE_VAL);
    return high < low || under <= low || high <= over || under <= over;
}

static const json_t *item_at(const json_t *schema, size_t index)
{
    const json_t *first = json_array_get(json_object_get(schema, "prefixItems"), index);
    return first ? first : json_object_get(schema, "items");
}

static bool arrays_exclude(struct schema_compiler *c, const json_t *a, const json_t *b,
                           unsigned depth)
{
    const double least = limit(a, "minItems", 0);
    if (least > limit(b, "maxItems", HUGE_VAL) ||
        limit(a, "maxItems", HUGE_VAL) < limit(b, "minItems", 0)) {
        return true;
    }
    bool apart = false;
    for (size_t i = 0; (double)i < least && i < 32 && !apart; i++) {
        apart = raw_excludes(c, item_at(a, i), item_at(b, i), depth);
    }
    return apart;
}

static bool objects_exclude(struct schema_compiler *c, const json_t *a, const json_t *b,
                            unsigned depth)
{
    const json_t *always = json_object_get(a, "required"), *wanted = json_object_get(b, "required");
    bool apart = limit(a, "maxProperties", HUGE_VAL) < limit(b, "minProperties", 0);
    for (size_t i = 0; i < json_array_size(wanted) && !apart; i++) {
        const char *name = json_string_value(json_array_get(wanted, i));
        apart = name && !run_schema_may_write(a, name);
    }
    for (size_t i = 0; i < json_array_size(always) && !apart && !c->failed; i++) {
        const char *name = json_string_value(json_array_get(always, i));
        json_t *mine = name ? run_schema_property(c, a, name, true) : NULL;
        json_t *other = name ? run_schema_property(c, b, name, false) : NULL;
        apart = mine && other && raw_excludes(c, mine, other, depth);
        json_decref(mine);
        json_decref(other);
    }
    return apart;
}

static bool type_excludes(struct schema_compiler *c, const char *type, const json_t *a,
                          const json_t *b, unsigned depth)
{
    switch (type[0]) {
    case 's': return strings_exclude(c, a, b);
    case 'i': return numbers_below(a, b) || numbers_below(b, a);
    case 'a': return arrays_exclude(c, a, b, depth);
    case 'o': return objects_exclude(c, a, b, depth);
    default: return strcmp(type, "number") == 0 && (numbers_below(a, b) || numbers_below(b, a));
    }
}

static bool is_number(const char *type)
{
    return strcmp(type, "integer") == 0 || strcmp(type, "number") == 0;
}

/* May a value be of the type and one that the schema names? Without any, all are. */
bool run_schema_admits(const json_t *schema, const char *type)
{
    const json_t *types = json_object_get(schema, "type");
    const char *single = json_string_value(types);
    bool is =
        !types || (single && (strcmp(single, type) == 0 || (is_number(single) && is_number(type))));
    for (size_t i = 0; !is && i < json_array_size(types); i++) {
        const char *name = json_string_value(json_array_get(types, i));
        is = name && (strcmp(name, type) == 0 || (is_number(name) && is_number(type)));
    }
    return is;
}

static bool types_exclude(struct schema_compiler *c, const json_t *a, const json_t *b,
                          unsigned depth)
{
    json_t *types = run_schema_written_types(a);
    bool apart = json_array_size(types) > 0;
    for (size_t i = 0; i < json_array_size(types) && apart && !c->failed; i++) {
        const char *type = json_string_value(json_array_get(types, i));
        apart = type && (!run_schema_admits(b, type) || type_excludes(c, type, a, b, depth));
    }
    json_decref(types);
    return apart && !c->failed;
}

/* ---- schemas --------------------------------------------------------------------------------- */

/* None of the values satisfies the schema. */
static bool none_holds(struct schema_compiler *c, const json_t *values, const json_t *schema)
{
    bool none = true;
    for (size_t i = 0; i < json_array_size(values) && none; i++) {
        none = run_schema_holds(c, schema, json_array_get(values, i)) == SCHEMA_NO;
    }
    return none;
}

/* Does nothing that is written for a satisfy b? Both are flat. */
static bool excludes(struct schema_compiler *c, const json_t *a, const json_t *b, unsigned depth)
{
    if (json_is_boolean(a) || json_is_boolean(b) || depth > DEPTH_MAX || c->failed) {
        return json_is_false(a) || json_is_false(b);
    }
    const json_t *branches = json_object_get(a, "anyOf"), *others = json_object_get(b, "anyOf");
    if (branches || others) {
        const json_t *list = branches ? branches : others;
        bool all = true;
        for (size_t i = 0; i < json_array_size(list) && all; i++) {
            const json_t *one = json_array_get(list, i);
            all = branches ? excludes(c, one, b, depth) : excludes(c, a, one, depth);
        }
        return all;
    }
    const json_t *mine = json_object_get(a, "enum"), *theirs = json_object_get(b, "enum");
    if (mine || theirs) {
        return none_holds(c, mine ? mine : theirs, mine ? b : a);
    }
    return types_exclude(c, a, b, depth);
}

bool run_schema_check_apart(struct schema_compiler *c, const json_t *list, const json_t *rest)
{
    const size_t count = json_array_size(list);
    json_t *branches = json_array();
    if (count > BRANCHES_MAX) {
        run_schema_refuse(c, TAKT_LIMIT, "'oneOf' of more than %u schemas", BRANCHES_MAX);
    }
    for (size_t i = 0; i < count && !c->failed; i++) {
        json_t *one = run_schema_flat_at(c, json_array_get(list, i), "oneOf", i);
        json_array_append_new(branches,
                              one ? run_schema_merge(c, json_incref((json_t *)(uintptr_t)rest), one)
                                  : json_null());
    }
    for (size_t i = 0; i < count && !c->failed; i++) {
        for (size_t j = 0; j < count && !c->failed; j++) {
            if (i != j &&
                !excludes(c, json_array_get(branches, i), json_array_get(branches, j), 0)) {
                run_schema_refuse(
                    c, TAKT_UNSUPPORTED,
                    "'oneOf': what is written for branch %zu might satisfy branch %zu "
                    "too; let a type or a required property tell them apart, or use "
                    "'anyOf'",
                    i, j);
            }
        }
    }
    json_decref(branches);
    return !c->failed;
}
