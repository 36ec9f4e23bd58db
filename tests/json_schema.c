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

static bool matches(const char *pattern, const char *text)
{
    json_t *schema = json_pack("{s:s}", "pattern", pattern);
    const bool is = holds_pattern(schema, text);
    json_decref(schema);
    return is;
}

static double number(const json_t *schema, const char *key, double absent);

static bool holds_member(const json_t *root, const json_t *schema, const char *name,
                         const json_t *value)
{
    const json_t *own = json_object_get(json_object_get(schema, "properties"), name);
    const json_t *more = json_object_get(schema, "additionalProperties");
    const json_t *names = json_object_get(schema, "propertyNames");
    bool holds = !own || json_schema_holds(root, own, value), named = own != NULL;
    const char *pattern;
    json_t *wanted;
    json_object_foreach(json_object_get(schema, "patternProperties"), pattern, wanted)
    {
        if (matches(pattern, name)) {
            named = true;
            holds = holds && json_schema_holds(root, wanted, value);
        }
    }
    json_t *text = json_string(name);
    holds = holds && (!names || json_schema_holds(root, names, text));
    json_decref(text);
    return holds && (named || !more || json_schema_holds(root, more, value));
}

static bool holds_object(const json_t *root, const json_t *schema, const json_t *value)
{
    const json_t *required = json_object_get(schema, "required");
    const char *key;
    json_t *item;
    bool holds = true;
    json_object_foreach((json_t *)(uintptr_t)value, key, item)
    {
        holds = holds && holds_member(root, schema, key, item);
    }
    for (size_t i = 0; i < json_array_size(required); i++) {
        holds = holds && json_object_get(value, json_string_value(json_array_get(required, i)));
    }
    const double count = (double)json_object_size(value);
    return holds && count >= number(schema, "minProperties", 0) &&
           count <= number(schema, "maxProperties", HUGE_VAL);
}

static bool holds_array(const json_t *root, const json_t *schema, const json_t *value)
{
    const json_t *first = json_object_get(schema, "prefixItems");
    const json_t *items = json_object_get(schema, "items");
    const bool set = json_is_true(json_object_get(schema, "uniqueItems"));
    bool holds = true;
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *wanted = json_array_get(first, i) ? json_array_get(first, i) : items;
        holds = holds && (!wanted || json_schema_holds(root, wanted, json_array_get(value, i)));
        for (size_t j = 0; j < i && set; j++) {
            holds = holds && !json_equal(json_array_get(value, i), json_array_get(value, j));
        }
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

/* How many of the schemas hold. */
static size_t count_holding(const json_t *root, const json_t *list, const json_t *value)
{
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        count += json_schema_holds(root, json_array_get(list, i), value);
    }
    return count;
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
        if (!json_schema_holds(root, target, value)) {
            return false;
        }
    }
    const json_t *any = json_object_get(schema, "anyOf"), *all = json_object_get(schema, "allOf");
    const json_t *one = json_object_get(schema, "oneOf"), *values = json_object_get(schema, "enum");
    bool listed = !values;
    for (size_t i = 0; i < json_array_size(values); i++) {
        listed = listed || json_equal(json_array_get(values, i), value);
    }
    const json_t *fixed = json_object_get(schema, "const");
    return listed && (!fixed || json_equal(fixed, value)) &&
           (!any || count_holding(root, any, value) > 0) &&
           count_holding(root, all, value) == json_array_size(all) &&
           (!one || count_holding(root, one, value) == 1) && holds_type(schema, value) &&
           holds_bounds(schema, value) &&
           (!json_is_object(value) || holds_object(root, schema, value)) &&
           (!json_is_array(value) || holds_array(root, schema, value));
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

/* ---- several at once, at random -------------------------------------------------------------- */

static json_t *make_part(struct maker *maker, unsigned depth);

/* Properties of a few names, so that schemas taken together speak of the same ones. */
static json_t *make_members(struct maker *maker, unsigned depth)
{
    static const char *const names[] = {"a", "b", "kind", "x1"};
    json_t *properties = json_object(), *required = json_array(), *schema = json_object();
    for (size_t i = 0; i < BASE_COUNT(names); i++) {
        if (below(maker, 2)) {
            json_object_set_new(properties, names[i], make_part(maker, depth + 1));
        }
        if (below(maker, 3) == 0) {
            json_array_append_new(required, json_string(names[i]));
        }
    }
    json_object_set_new(schema, "type", json_string("object"));
    json_object_set_new(schema, "properties", properties);
    json_object_set_new(schema, "required", required);
    switch (below(maker, 6)) {
    case 0: json_object_set_new(schema, "additionalProperties", json_false()); break;
    case 1: json_object_set_new(schema, "additionalProperties", make_part(maker, depth + 1)); break;
    case 2:
        json_object_set_new(schema, "patternProperties",
                            json_pack("{s:o}", "^x[0-9]$", make_part(maker, depth + 1)));
        break;
    case 3: json_object_set_new(schema, "propertyNames", json_pack("{s:i}", "maxLength", 3)); break;
    default: break;
    }
    bound(maker, schema, "minProperties", "maxProperties", 0, 4);
    return schema;
}

static json_t *make_items(struct maker *maker, unsigned depth)
{
    json_t *schema = json_pack("{s:s}", "type", "array"), *first = json_array();
    const uint32_t count = below(maker, 3);
    for (uint32_t i = 0; i < count; i++) {
        json_array_append_new(first, make_part(maker, depth + 1));
    }
    json_object_set_new(schema, "prefixItems", first);
    json_object_set_new(schema, "items",
                        below(maker, 3) ? make_part(maker, depth + 1) : json_false());
    bound(maker, schema, "minItems", "maxItems", 0, 3);
    return schema;
}

static json_t *make_list(struct maker *maker, const char *key, unsigned depth)
{
    json_t *list = json_array(), *schema = json_object();
    const uint32_t count = 1 + below(maker, 3);
    for (uint32_t i = 0; i < count; i++) {
        json_array_append_new(list, make_part(maker, depth + 1));
    }
    json_object_set_new(schema, key, list);
    if (below(maker, 3) == 0) {
        json_object_set_new(schema, "type", json_pack("[s,s,s]", "object", "string", "integer"));
    }
    return schema;
}

static json_t *make_part(struct maker *maker, unsigned depth)
{
    static const char *const plain[] = {
        "{\"type\":\"integer\",\"minimum\":3,\"maximum\":40}",
        "{\"type\":\"number\",\"exclusiveMaximum\":10,\"multipleOf\":0.5}",
        "{\"multipleOf\":4}",
        "{\"type\":\"string\",\"pattern\":\"^[a-c]*$\",\"maxLength\":4}",
        "{\"minLength\":2,\"pattern\":\"b|x\"}",
        "{\"type\":[\"string\",\"null\"],\"maxLength\":3}",
        "{\"enum\":[\"a\",\"bb\",\"kind\",4,8,null,{\"a\":1}]}",
        "{\"const\":\"bb\"}",
        "{\"type\":\"array\",\"uniqueItems\":true,\"items\":{\"enum\":[1,2,\"3\"]}}",
        "{\"$ref\":\"#/$defs/tree\"}",
        "true",
        "{\"type\":\"boolean\"}"};
    switch (below(maker, depth < 3 ? 9 : 4)) {
    case 4: return make_list(maker, "allOf", depth);
    case 5: return make_list(maker, "oneOf", depth);
    case 6: return make_list(maker, "anyOf", depth);
    case 7: return make_items(maker, depth);
    case 8: return make_members(maker, depth);
    default: return json_loads(plain[below(maker, BASE_COUNT(plain))], JSON_DECODE_ANY, NULL);
    }
}

json_t *json_schema_random_together(uint64_t seed)
{
    static const char *const roots[] = {"allOf", "oneOf", "anyOf"};
    struct maker maker = {.seed = seed};
    json_t *schema = seed % 4 < 3 ? make_list(&maker, roots[seed % 4], 0) : make_members(&maker, 0);
    json_object_set_new(
        schema, "$defs",
        json_loads("{\"tree\":{\"type\":\"object\",\"properties\":{\"kind\":{\"const\":\"tree\"},"
                   "\"b\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/tree\"}}},"
                   "\"required\":[\"kind\"]}}",
                   0, NULL));
    return schema;
}
