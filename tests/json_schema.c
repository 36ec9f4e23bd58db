/* JSON Schema checked plainly, and schemas made at random. */
#include "json_schema.h"

#include "base/base.h"

#include <math.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

static bool is_type(const json_t *value, const char *type)
{
    if (strcmp(type, "number") == 0) {
        return json_is_number(value);
    }
    if (strcmp(type, "integer") == 0) {
        return json_is_integer(value) ||
               (json_is_real(value) && floor(json_real_value(value)) == json_real_value(value));
    }
    const struct {
        const char *name;
        bool is;
    } kinds[] = {{"object", json_is_object(value)},
                 {"array", json_is_array(value)},
                 {"string", json_is_string(value)},
                 {"null", json_is_null(value)},
                 {"boolean", json_is_boolean(value)}};
    for (size_t i = 0; i < BASE_COUNT(kinds); i++) {
        if (strcmp(kinds[i].name, type) == 0) {
            return kinds[i].is;
        }
    }
    return false;
}

static double number(const json_t *schema, const char *key, double absent)
{
    const json_t *value = json_object_get(schema, key);
    return value ? json_number_value(value) : absent;
}

static size_t characters(const char *text)
{
    size_t count = 0;
    for (; *text; text++) {
        count += ((unsigned char)*text & 0xC0) != 0x80;
    }
    return count;
}

/* By the C library: patterns that it reads as ECMA-262 does, which have no class but of ASCII. */
static bool holds_pattern(const json_t *schema, const char *text)
{
    const char *pattern = json_string_value(json_object_get(schema, "pattern"));
    regex_t library;
    if (!pattern) {
        return true;
    }
    BASE_ASSERT(regcomp(&library, pattern, REG_EXTENDED | REG_NOSUB) == 0);
    const bool holds = regexec(&library, text, 0, NULL, 0) == 0;
    regfree(&library);
    return holds;
}

static bool holds_object(const json_t *root, const json_t *schema, const json_t *value)
{
    const json_t *properties = json_object_get(schema, "properties");
    const json_t *more = json_object_get(schema, "additionalProperties");
    const json_t *required = json_object_get(schema, "required");
    const char *key;
    json_t *item;
    bool holds = true;
    json_object_foreach((json_t *)(uintptr_t)value, key, item)
    {
        const json_t *property = json_object_get(properties, key);
        const json_t *wanted = property ? property : more;
        holds = holds && (!wanted || json_schema_holds(root, wanted, item));
    }
    for (size_t i = 0; i < json_array_size(required); i++) {
        holds = holds && json_object_get(value, json_string_value(json_array_get(required, i)));
    }
    return holds;
}

/* digits * 10^exponent, of at most 15 digits. */
static uint64_t digits_of(double value, int *exponent)
{
    char text[40]; /* -d.dddddddddddddde-xx */
    snprintf(text, sizeof text, "%.14e", value);
    char *point = strchr(text, '.');
    *exponent = atoi(strchr(text, 'e') + 1) - 14;
    memmove(point, point + 1, 14);
    point[14] = '\0';
    return (uint64_t)llabs(atoll(text));
}

/* In decimal arithmetic, which doubles are not. */
static bool holds_multiple(const json_t *schema, double value)
{
    const json_t *of = json_object_get(schema, "multipleOf");
    if (!of || value == 0) {
        return true;
    }
    int shift, of_shift;
    uint64_t digits = digits_of(value, &shift);
    const uint64_t of_digits = digits_of(json_number_value(of), &of_shift);
    for (; shift < of_shift && digits % 10 == 0; shift++) {
        digits /= 10;
    }
    for (; shift > of_shift; shift--) {
        digits = digits % of_digits * 10;
    }
    return shift == of_shift && digits % of_digits == 0;
}

static bool holds_bounds(const json_t *schema, const json_t *value)
{
    if (json_is_number(value)) {
        const double x = json_number_value(value);
        return x >= number(schema, "minimum", -HUGE_VAL) &&
               x <= number(schema, "maximum", HUGE_VAL) &&
               x > number(schema, "exclusiveMinimum", -HUGE_VAL) &&
               x < number(schema, "exclusiveMaximum", HUGE_VAL) && holds_multiple(schema, x);
    }
    if (json_is_string(value)) {
        const double length = (double)characters(json_string_value(value));
        return length >= number(schema, "minLength", 0) &&
               length <= number(schema, "maxLength", HUGE_VAL) &&
               holds_pattern(schema, json_string_value(value));
    }
    if (json_is_array(value)) {
        const double length = (double)json_array_size(value);
        return length >= number(schema, "minItems", 0) &&
               length <= number(schema, "maxItems", HUGE_VAL);
    }
    return true;
}

static bool holds_type(const json_t *schema, const json_t *value)
{
    const json_t *type = json_object_get(schema, "type");
    if (!type) {
        return true;
    }
    bool holds = json_is_string(type) && is_type(value, json_string_value(type));
    for (size_t i = 0; i < json_array_size(type); i++) {
        holds = holds || is_type(value, json_string_value(json_array_get(type, i)));
    }
    return holds;
}

bool json_schema_holds(const json_t *root, const json_t *schema, const json_t *value)
{
    if (json_is_boolean(schema)) {
        return json_is_true(schema);
    }
    const char *reference = json_string_value(json_object_get(schema, "$ref"));
    if (reference) {
        const json_t *target = strncmp(reference, "#/$defs/", 8) == 0
                                   ? json_object_get(json_object_get(root, "$defs"), reference + 8)
                                   : root;
        return json_schema_holds(root, target, value);
    }
    const json_t *list = json_object_get(schema, "anyOf");
    bool one = !list;
    for (size_t i = 0; i < json_array_size(list); i++) {
        one = one || json_schema_holds(root, json_array_get(list, i), value);
    }
    const json_t *values = json_object_get(schema, "enum");
    bool listed = !values;
    for (size_t i = 0; i < json_array_size(values); i++) {
        listed = listed || json_equal(json_array_get(values, i), value);
    }
    const json_t *fixed = json_object_get(schema, "const");
    bool holds = one && listed && (!fixed || json_equal(fixed, value)) &&
                 holds_type(schema, value) && holds_bounds(schema, value);
    if (holds && json_is_object(value)) {
        holds = holds_object(root, schema, value);
    }
    const json_t *items = json_object_get(schema, "items");
    for (size_t i = 0; holds && items && json_is_array(value) && i < json_array_size(value); i++) {
        holds = json_schema_holds(root, items, json_array_get(value, i));
    }
    return holds;
}

/* ---- at random ------------------------------------------------------------------------------- */

struct maker {
    uint64_t seed, drawn;
};

static uint32_t below(struct maker *maker, uint32_t count)
{
    return (uint32_t)(base_random_u64(maker->seed, 7, maker->drawn++) % count);
}

static json_t *make(struct maker *maker, unsigned depth);

static void bound(struct maker *maker, json_t *schema, const char *least, const char *most, int low,
                  uint32_t spread)
{
    const int from = low + (int)below(maker, spread);
    if (below(maker, 2)) {
        json_object_set_new(schema, least, json_integer(from));
    }
    if (below(maker, 2)) {
        json_object_set_new(schema, most, json_integer(from + (int)below(maker, spread)));
    }
}

static json_t *make_object(struct maker *maker, unsigned depth)
{
    static const char *const names[] = {"a", "b", "name", "na\"me", "\xC3\xA9", "kind", "b2"};
    json_t *properties = json_object(), *required = json_array();
    const uint32_t count = below(maker, 5);
    for (uint32_t i = 0; i < count; i++) {
        const char *name = names[below(maker, BASE_COUNT(names))];
        if (!json_object_get(properties, name) && below(maker, 2)) {
            json_array_append_new(required, json_string(name));
        }
        json_object_set_new(properties, name, make(maker, depth + 1));
    }
    json_t *schema = json_object();
    json_object_set_new(schema, "type", json_string("object"));
    json_object_set_new(schema, "properties", properties);
    json_object_set_new(schema, "required", required);
    if (below(maker, 2)) {
        json_object_set_new(schema, "additionalProperties", json_false());
    }
    return schema;
}

static json_t *make_enum(struct maker *maker)
{
    static const char *const texts[] = {"[\"red\",\"rot\",\"re\",\"\"]", "[1,12,null,true,\"1\"]",
                                        "[{\"a\":[1]},[],\"\\u00e9\"]"};
    json_t *schema = json_object();
    json_object_set_new(schema, "enum",
                        json_loads(texts[below(maker, BASE_COUNT(texts))], 0, NULL));
    return schema;
}

static json_t *make_number(struct maker *maker)
{
    json_t *schema = json_object();
    json_object_set_new(schema, "type", json_string(below(maker, 2) ? "integer" : "number"));
    bound(maker, schema, "minimum", "maximum", -300, 1500);
    if (below(maker, 4) == 0) {
        json_object_set_new(schema, "exclusiveMinimum", json_real(-300.5));
    }
    if (json_object_size(schema) < 3 && below(maker, 3) == 0) {
        json_object_set_new(schema, "multipleOf", json_real(0.5 * (1 + below(maker, 9))));
    }
    return schema;
}

static json_t *make_string(struct maker *maker)
{
    static const char *const patterns[] = {"^[a-z]+(-[0-9]{2})*$", "b|^x", "[A-C][^A-C]$",
                                           "^(red|green)?$", "\"|/"};
    json_t *schema = json_object();
    json_object_set_new(schema, "type", json_string("string"));
    if (below(maker, 2)) {
        json_object_set_new(schema, "pattern",
                            json_string(patterns[below(maker, BASE_COUNT(patterns))]));
        json_object_set_new(schema, "maxLength", json_integer(3 + below(maker, 6)));
    } else {
        bound(maker, schema, "minLength", "maxLength", 0, 6);
    }
    return schema;
}

static json_t *make_any(struct maker *maker, unsigned depth)
{
    json_t *schema = json_object(), *list = json_array();
    const uint32_t count = 1 + below(maker, 3);
    for (uint32_t i = 0; i < count; i++) {
        json_array_append_new(list, make(maker, depth + 1));
    }
    json_object_set_new(schema, "anyOf", list);
    return schema;
}

static json_t *make(struct maker *maker, unsigned depth)
{
    static const char *const plain[] = {"{\"type\":\"boolean\"}",
                                        "{\"type\":\"null\"}",
                                        "{\"type\":\"number\"}",
                                        "{}",
                                        "{\"type\":[\"string\",\"null\"],\"maxLength\":3}",
                                        ("{\"type\":\"object\",\"additionalProperties\":"
                                         "{\"type\":\"integer\"}}"),
                                        "{\"$ref\":\"#/$defs/list\"}",
                                        "{\"const\":\"x y\"}"};
    json_t *schema = json_object();
    switch (below(maker, depth < 4 ? 8 : 4)) {
    case 0: json_decref(schema); return make_string(maker);
    case 1: json_decref(schema); return make_number(maker);
    case 2: json_decref(schema); return make_enum(maker);
    case 4:
        json_object_set_new(schema, "type", json_string("array"));
        json_object_set_new(schema, "items", make(maker, depth + 1));
        bound(maker, schema, "minItems", "maxItems", 0, 4);
        return schema;
    case 5: json_decref(schema); return make_any(maker, depth);
    case 6:
    case 7: json_decref(schema); return make_object(maker, depth);
    default:
        json_decref(schema);
        return json_loads(plain[below(maker, BASE_COUNT(plain))], 0, NULL);
    }
}

json_t *json_schema_random(uint64_t seed)
{
    struct maker maker = {.seed = seed};
    json_t *schema = make_object(&maker, 0);
    json_object_set_new(
        schema, "$defs",
        json_loads("{\"list\":{\"type\":\"object\",\"properties\":{\"head\":{\"type\":\"string\"},"
                   "\"tail\":{\"anyOf\":[{\"type\":\"null\"},{\"$ref\":\"#/$defs/list\"}]}},"
                   "\"required\":[\"head\",\"tail\"]}}",
                   0, NULL));
    return schema;
}
