/*
 * Does a value that is written out satisfy a schema? For 'enum' and 'const' beside other keywords,
 * and for the proof that the branches of a 'oneOf' exclude each other. Where only a part of what a
 * keyword admits is known (a format), or nothing, the answer is that it is not known.
 */
#include "run/schema.h"

#include <math.h>
#include <string.h>

bool run_schema_equal(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b)) {
        return json_is_integer(a) && json_is_integer(b)
                   ? json_integer_value(a) == json_integer_value(b)
                   : json_number_value(a) == json_number_value(b);
    }
    if (json_typeof(a) != json_typeof(b)) {
        return false;
    }
    bool equal = true;
    if (json_is_array(a)) {
        equal = json_array_size(a) == json_array_size(b);
        for (size_t i = 0; equal && i < json_array_size(a); i++) {
            equal = run_schema_equal(json_array_get(a, i), json_array_get(b, i));
        }
        return equal;
    }
    if (json_is_object(a)) {
        const char *key;
        json_t *value;
        equal = json_object_size(a) == json_object_size(b);
        json_object_foreach((json_t *)(uintptr_t)a, key, value)
        {
            const json_t *other = json_object_get(b, key);
            equal = equal && other && run_schema_equal(value, other);
        }
        return equal;
    }
    return json_equal(a, b);
}

static enum schema_truth both(enum schema_truth a, enum schema_truth b)
{
    if (a == SCHEMA_NO || b == SCHEMA_NO) {
        return SCHEMA_NO;
    }
    return a == SCHEMA_YES ? b : SCHEMA_UNKNOWN;
}

static enum schema_truth truth(bool is)
{
    return is ? SCHEMA_YES : SCHEMA_NO;
}

static bool is_whole(const json_t *value)
{
    return json_is_integer(value) ||
           (json_is_real(value) && floor(json_real_value(value)) == json_real_value(value));
}

bool run_schema_is_type(const json_t *value, const char *type)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT: return strcmp(type, "object") == 0;
    case JSON_ARRAY: return strcmp(type, "array") == 0;
    case JSON_STRING: return strcmp(type, "string") == 0;
    case JSON_INTEGER:
    case JSON_REAL:
        return strcmp(type, "number") == 0 || (strcmp(type, "integer") == 0 && is_whole(value));
    case JSON_NULL: return strcmp(type, "null") == 0;
    default: return strcmp(type, "boolean") == 0;
    }
}

static bool is_of_types(const json_t *value, const json_t *types)
{
    bool is = json_is_string(types) && run_schema_is_type(value, json_string_value(types));
    for (size_t i = 0; !is && i < json_array_size(types); i++) {
        const char *name = json_string_value(json_array_get(types, i));
        is = name && run_schema_is_type(value, name);
    }
    return is;
}

/* ---- each kind of value ---------------------------------------------------------------------- */

static enum schema_truth holds_number(const char *key, const json_t *said, const json_t *value)
{
    const double x = json_number_value(value), y = json_number_value(said);
    if (!json_is_number(said)) {
        return SCHEMA_UNKNOWN;
    }
    if (strcmp(key, "minimum") == 0) {
        return truth(x >= y);
    }
    if (strcmp(key, "maximum") == 0) {
        return truth(x <= y);
    }
    if (strcmp(key, "exclusiveMinimum") == 0) {
        return truth(x > y);
    }
    if (strcmp(key, "exclusiveMaximum") == 0) {
        return truth(x < y);
    }
    if (strcmp(key, "multipleOf") == 0 && json_is_integer(value) && json_is_integer(said) &&
        y > 0) {
        return truth(json_integer_value(value) % json_integer_value(said) == 0);
    }
    return SCHEMA_UNKNOWN;
}

static enum schema_truth takes(struct schema_compiler *c, const char *pattern, const char *text)
{
    struct run_language language;
    enum schema_truth result = SCHEMA_UNKNOWN;
    if (run_language_pattern(&language, pattern, &c->work_left, NULL) == TAKT_OK) {
        result = truth(run_language_takes(&language, text));
    }
    run_language_free(&language);
    return result;
}

static enum schema_truth holds_string(struct schema_compiler *c, const char *key,
                                      const json_t *said, const json_t *value)
{
    const char *text = json_string_value(value), *name = json_string_value(said);
    size_t length = 0;
    for (size_t i = 0; text[i]; i++) {
        length += ((unsigned char)text[i] & 0xC0) != 0x80;
    }
    if (strcmp(key, "minLength") == 0 || strcmp(key, "maxLength") == 0) {
        const double bound = json_number_value(said);
        return truth(key[1] == 'i' ? (double)length >= bound : (double)length <= bound);
    }
    if (strcmp(key, "pattern") == 0 && name) {
        return takes(c, name, text);
    }
    const char *const *patterns =
        strcmp(key, "format") == 0 && name ? run_schema_format(name) : NULL;
    if (!patterns) {
        return SCHEMA_UNKNOWN;
    }
    enum schema_truth result = takes(c, patterns[0], text);
    result = patterns[1] ? both(result, takes(c, patterns[1], text)) : result;
    return result == SCHEMA_YES ? SCHEMA_YES : SCHEMA_UNKNOWN; /* a part of the format is known */
}

static bool all_differ(const json_t *list)
{
    bool differ = true;
    for (size_t i = 0; i < json_array_size(list) && differ; i++) {
        for (size_t j = 0; j < i && differ; j++) {
            differ = !run_schema_equal(json_array_get(list, i), json_array_get(list, j));
        }
    }
    return differ;
}

static enum schema_truth holds_array(struct schema_compiler *c, const json_t *schema,
                                     const char *key, const json_t *said, const json_t *value)
{
    const size_t count = json_array_size(value);
    if (strcmp(key, "minItems") == 0 || strcmp(key, "maxItems") == 0) {
        const double bound = json_number_value(said);
        return truth(key[1] == 'i' ? (double)count >= bound : (double)count <= bound);
    }
    if (strcmp(key, "uniqueItems") == 0) {
        return truth(json_is_false(said) || all_differ(value));
    }
    const size_t before = json_array_size(json_object_get(schema, "prefixItems"));
    const bool first = strcmp(key, "prefixItems") == 0;
    if (!first && (strcmp(key, "items") != 0 || json_is_array(said))) {
        return SCHEMA_UNKNOWN;
    }
    enum schema_truth result = SCHEMA_YES;
    for (size_t i = first ? 0 : before; i < (first ? BASE_MIN(count, before) : count); i++) {
        const json_t *item = first ? json_array_get(said, i) : said;
        result = both(result, run_schema_holds(c, item, json_array_get(value, i)));
    }
    return result;
}

/* All keywords that speak of properties, at once. */
static enum schema_truth holds_properties(struct schema_compiler *c, const json_t *schema,
                                          const json_t *value)
{
    const json_t *names = json_object_get(schema, "propertyNames");
    enum schema_truth result = SCHEMA_YES;
    const char *name;
    json_t *item;
    json_object_foreach((json_t *)(uintptr_t)value, name, item)
    {
        json_t *text = json_string(name);
        result = names ? both(result, run_schema_holds(c, names, text)) : result;
        json_decref(text);
        json_t *said = run_schema_property(c, schema, name, false);
        result = both(result, said ? run_schema_holds(c, said, item) : SCHEMA_UNKNOWN);
        json_decref(said);
    }
    const json_t *required = json_object_get(schema, "required");
    for (size_t i = 0; i < json_array_size(required); i++) {
        const char *wanted = json_string_value(json_array_get(required, i));
        result = both(result, truth(wanted && json_object_get(value, wanted)));
    }
    const json_t *least = json_object_get(schema, "minProperties");
    const json_t *most = json_object_get(schema, "maxProperties");
    const double count = (double)json_object_size(value);
    return both(result, truth((!least || count >= json_number_value(least)) &&
                              (!most || count <= json_number_value(most))));
}

/* ---- schemas --------------------------------------------------------------------------------- */

static enum schema_truth holds_list(struct schema_compiler *c, const char *key, const json_t *list,
                                    const json_t *value)
{
    size_t yes = 0, no = 0;
    const size_t count = json_array_size(list);
    for (size_t i = 0; i < count; i++) {
        const enum schema_truth one = run_schema_holds(c, json_array_get(list, i), value);
        yes += one == SCHEMA_YES;
        no += one == SCHEMA_NO;
    }
    if (strcmp(key, "allOf") == 0) {
        return no > 0 ? SCHEMA_NO : yes == count ? SCHEMA_YES : SCHEMA_UNKNOWN;
    }
    if (no == count || (strcmp(key, "oneOf") == 0 && yes > 1)) {
        return SCHEMA_NO;
    }
    return yes > 0 && (strcmp(key, "anyOf") == 0 || yes + no == count) ? SCHEMA_YES
                                                                       : SCHEMA_UNKNOWN;
}

static bool is_listed(const json_t *list, const json_t *value)
{
    bool is = false;
    for (size_t i = 0; !is && i < json_array_size(list); i++) {
        is = run_schema_equal(json_array_get(list, i), value);
    }
    return is;
}

/* One keyword by itself. */
static enum schema_truth holds_keyword(struct schema_compiler *c, const json_t *schema,
                                       const char *key, const json_t *said, const json_t *value)
{
    if (run_schema_is_note(key)) {
        return SCHEMA_YES;
    }
    if (strcmp(key, "type") == 0) {
        return truth(is_of_types(value, said));
    }
    if (strcmp(key, "enum") == 0) {
        return truth(is_listed(said, value));
    }
    if (strcmp(key, "const") == 0) {
        return truth(run_schema_equal(said, value));
    }
    if (strcmp(key, "$ref") == 0) {
        const json_t *target = run_schema_find(c, said);
        return target ? run_schema_holds(c, target, value) : SCHEMA_UNKNOWN;
    }
    if (strcmp(key, "allOf") == 0 || strcmp(key, "anyOf") == 0 || strcmp(key, "oneOf") == 0) {
        return holds_list(c, key, said, value);
    }
    const char *owner = run_schema_owner(key);
    if (!owner) {
        return SCHEMA_UNKNOWN;
    }
    if (!run_schema_is_type(value, owner)) {
        return SCHEMA_YES; /* it speaks of other types */
    }
    switch (owner[0]) {
    case 'n': return holds_number(key, said, value);
    case 's': return holds_string(c, key, said, value);
    case 'a': return holds_array(c, schema, key, said, value);
    default: return SCHEMA_YES; /* once for all of them: holds_properties */
    }
}

enum schema_truth run_schema_holds(struct schema_compiler *c, const json_t *schema,
                                   const json_t *value)
{
    if (json_is_boolean(schema)) {
        return truth(json_is_true(schema));
    }
    const char *wanted;
    if (!json_is_object(schema) || run_schema_misshapen(schema, &wanted) || c->holds_depth == 64 ||
        c->holds_count == 200000) {
        return SCHEMA_UNKNOWN;
    }
    c->holds_depth++;
    c->holds_count++;
    enum schema_truth result = SCHEMA_YES;
    const char *key;
    json_t *said;
    json_object_foreach((json_t *)(uintptr_t)schema, key, said)
    {
        const json_t *list = json_is_array(said) ? said : NULL;
        const bool patterns = strcmp(key, SCHEMA_PATTERNS) == 0;
        if (!patterns && strcmp(key, SCHEMA_FORMATS) != 0) {
            result = both(result, holds_keyword(c, schema, key, said, value));
            continue;
        }
        for (size_t i = 0; i < json_array_size(list); i++) {
            result = both(result, holds_keyword(c, schema, patterns ? "pattern" : "format",
                                                json_array_get(list, i), value));
        }
    }
    if (json_is_object(value) && result != SCHEMA_NO) {
        result = both(result, holds_properties(c, schema, value));
    }
    c->holds_depth--;
    return result;
}
