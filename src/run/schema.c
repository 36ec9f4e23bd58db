/*
 * JSON Schema to a grammar. What the grammar admits is JSON in one spelling: no white space but a
 * space after ':' and ',', properties in the schema's order, numbers of at most 15 digits. All of
 * it satisfies the schema; a keyword that could not be kept is refused by its name and place.
 */
#include "run/grammar.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define UNROLLED_MAX 4096 /* minLength, maxLength, minItems, maxItems */
#define DEPTH_MAX 64u
#define NAMED_MAX 1024u

/* A $ref that was met, and its rule. */
struct named {
    const json_t *schema;
    uint32_t rule;
};

struct schema_compiler {
    struct run_graph *graph;
    const json_t *root;
    struct named named[NAMED_MAX];
    size_t named_count;
    uint32_t character, string, number, integer, value, array, object, space; /* rules */
    struct takt_error *error;
    char place[512]; /* a JSON pointer */
    unsigned depth;
    bool failed;
};

static uint32_t refuse(struct schema_compiler *c, enum takt_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static uint32_t refuse(struct schema_compiler *c, enum takt_status status, const char *format, ...)
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

static uint32_t bytes(struct schema_compiler *c, const char *ranges, uint32_t next)
{
    return run_graph_bytes(c->graph, ranges, next);
}

static uint32_t text(struct schema_compiler *c, const char *literal, uint32_t next)
{
    return run_graph_literal(c->graph, literal, strlen(literal), next);
}

static uint32_t either(struct schema_compiler *c, uint32_t a, uint32_t b)
{
    return run_graph_split(c->graph, a, b);
}

static uint32_t call(struct schema_compiler *c, uint32_t rule, uint32_t next)
{
    return run_graph_call(c->graph, rule, next);
}

/* ---- JSON itself ----------------------------------------------------------------------------- */

#define HEX "09afAF"
#define TAIL "\x80\xBF"

/* \uXXXX: no NUL, and surrogates in pairs, so that every parser takes it. */
static uint32_t escape(struct schema_compiler *c, uint32_t end)
{
    const uint32_t one = bytes(c, HEX, end), two = bytes(c, HEX, one), three = bytes(c, HEX, two);
    const uint32_t low = bytes(c, "ddDD", bytes(c, "cfCF", two));
    const uint32_t pair = bytes(c, "ddDD",
                                bytes(c,
                                      "8"
                                      "9"
                                      "abAB",
                                      bytes(c, HEX, bytes(c, HEX, text(c, "\\u", low)))));
    const uint32_t zeros = text(
        c, "0",
        either(c, bytes(c, "19afAF", two),
               text(c, "0",
                    either(c, bytes(c, "19afAF", one), text(c, "0", bytes(c, "19afAF", end))))));
    const uint32_t plain = bytes(c, "19acefACEF", three);
    const uint32_t before = bytes(c, "ddDD", bytes(c, "07", two));
    const uint32_t unicode = either(c, either(c, zeros, plain), either(c, before, pair));
    return either(c, bytes(c, "\"\"\\\\//bbffnnrrtt", end), text(c, "u", unicode));
}

/* One character of a string: UTF-8 as it stands, or escaped. */
static void make_character(struct schema_compiler *c)
{
    c->character = run_graph_rule(c->graph, false);
    const uint32_t end = run_graph_end(c->graph);
    const uint32_t one = bytes(c, TAIL, end), two = bytes(c, TAIL, one),
                   three = bytes(c, TAIL, two);
    uint32_t at = bytes(c, " !#[]\x7F", end);
    at = either(c, at, text(c, "\\", escape(c, end)));
    at = either(c, at, bytes(c, "\xC2\xDF", one));
    at = either(c, at, text(c, "\xE0", bytes(c, "\xA0\xBF", one)));
    at = either(c, at, bytes(c, "\xE1\xEC\xEE\xEF", two));
    at = either(c, at, text(c, "\xED", bytes(c, "\x80\x9F", one)));
    at = either(c, at, text(c, "\xF0", bytes(c, "\x90\xBF", two)));
    at = either(c, at, bytes(c, "\xF1\xF3", three));
    at = either(c, at, text(c, "\xF4", bytes(c, "\x80\x8F", two)));
    c->graph->rules[c->character].start = at;
}

/* A loop: any number of what begins at `body`, which leads to the node returned. */
static uint32_t loop_node(struct schema_compiler *c, uint32_t next)
{
    return run_graph_split(c->graph, next, next); /* its other way is set when the body is there */
}

static void make_string(struct schema_compiler *c)
{
    c->string = run_graph_rule(c->graph, false);
    const uint32_t close = text(c, "\"", run_graph_end(c->graph));
    const uint32_t loop = loop_node(c, close);
    c->graph->nodes[loop].other = call(c, c->character, loop);
    c->graph->rules[c->string].start = text(c, "\"", loop);
}

/* Up to `most` more digits. */
static uint32_t digits(struct schema_compiler *c, unsigned most, uint32_t next)
{
    uint32_t at = next;
    for (unsigned i = 0; i < most; i++) {
        at = either(c, next, bytes(c, "09", at));
    }
    return at;
}

static uint32_t whole_number(struct schema_compiler *c, uint32_t next)
{
    const uint32_t body = either(c, text(c, "0", next), bytes(c, "19", digits(c, 14, next)));
    return either(c, body, text(c, "-", body));
}

static void make_numbers(struct schema_compiler *c)
{
    const uint32_t end = run_graph_end(c->graph);
    c->integer = run_graph_rule(c->graph, false);
    c->graph->rules[c->integer].start = whole_number(c, end);
    c->number = run_graph_rule(c->graph, false);
    const uint32_t exponent = bytes(c, "09", either(c, end, bytes(c, "09", end)));
    const uint32_t power =
        either(c, end, bytes(c, "eeEE", either(c, exponent, bytes(c, "++--", exponent))));
    const uint32_t fraction = either(c, power, text(c, ".", bytes(c, "09", digits(c, 14, power))));
    c->graph->rules[c->number].start = whole_number(c, fraction);
}

/* A space that may be there. */
static uint32_t space(struct schema_compiler *c, uint32_t next)
{
    return either(c, next, text(c, " ", next));
}

/* item, or item "," item and so on, then next: any number, at least one. */
static uint32_t list_of(struct schema_compiler *c, uint32_t item, uint32_t next)
{
    const uint32_t loop = loop_node(c, next);
    c->graph->nodes[loop].other = text(c, ",", space(c, call(c, item, loop)));
    return call(c, item, loop);
}

/* An object of any keys, each with a value by the rule. */
static uint32_t map_of(struct schema_compiler *c, uint32_t value, uint32_t next)
{
    const uint32_t member = run_graph_rule(c->graph, false);
    c->graph->rules[member].start =
        call(c, c->string, text(c, ":", space(c, call(c, value, run_graph_end(c->graph)))));
    const uint32_t close = text(c, "}", next);
    return text(c, "{", either(c, close, list_of(c, member, close)));
}

static void make_values(struct schema_compiler *c)
{
    c->value = run_graph_rule(c->graph, false);
    c->array = run_graph_rule(c->graph, true);
    c->object = run_graph_rule(c->graph, true);
    const uint32_t end = run_graph_end(c->graph);
    uint32_t at = either(c, call(c, c->string, end), call(c, c->number, end));
    at = either(c, at, either(c, text(c, "true", end), text(c, "false", end)));
    at = either(c, at, text(c, "null", end));
    at = either(c, at, either(c, call(c, c->array, end), call(c, c->object, end)));
    c->graph->rules[c->value].start = at;
    const uint32_t close = text(c, "]", run_graph_end(c->graph));
    c->graph->rules[c->array].start = text(c, "[", either(c, close, list_of(c, c->value, close)));
    c->graph->rules[c->object].start = map_of(c, c->value, run_graph_end(c->graph));
}

/* ---- keywords -------------------------------------------------------------------------------- */

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
static bool only(struct schema_compiler *c, const json_t *schema, const char *const *list)
{
    size_t count = 0;
    while (list[count]) {
        count++;
    }
    void *at = json_object_iter((json_t *)(uintptr_t)schema);
    for (; at; at = json_object_iter_next((json_t *)(uintptr_t)schema, at)) {
        const char *key = json_object_iter_key(at);
        if (!is_one_of(key, notes, BASE_COUNT(notes)) && !is_one_of(key, list, count)) {
            refuse(c, TAKT_UNSUPPORTED, "the keyword '%.60s' is not supported here", key);
            return false;
        }
    }
    return true;
}

/* A count among the keywords; `absent` when it is not there. */
static long count_of(struct schema_compiler *c, const json_t *schema, const char *key, long absent)
{
    const json_t *value = json_object_get(schema, key);
    if (!value) {
        return absent;
    }
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        refuse(c, TAKT_USAGE, "'%s' must be a whole number, not negative", key);
        return absent;
    }
    if (json_integer_value(value) > UNROLLED_MAX) {
        refuse(c, TAKT_UNSUPPORTED, "'%s' of more than %d is not supported", key, UNROLLED_MAX);
        return absent;
    }
    return (long)json_integer_value(value);
}

static uint32_t compile(struct schema_compiler *c, const json_t *schema, uint32_t next);

/* The same one level deeper, with the place named. */
static uint32_t compile_at(struct schema_compiler *c, const json_t *schema, const char *name,
                           uint32_t next)
{
    const size_t length = strlen(c->place);
    snprintf(c->place + length, sizeof c->place - length, "/%s", name);
    uint32_t at = 0;
    if (c->depth == DEPTH_MAX) {
        refuse(c, TAKT_LIMIT, "nested more than %u deep", DEPTH_MAX);
    } else {
        c->depth++;
        at = compile(c, schema, next);
        c->depth--;
    }
    if (!c->failed) {
        c->place[length] = '\0';
    }
    return at;
}

static uint32_t rule_of(struct schema_compiler *c, const json_t *schema, const char *name,
                        bool container)
{
    const uint32_t rule = run_graph_rule(c->graph, container);
    const uint32_t start = compile_at(c, schema, name, run_graph_end(c->graph));
    c->graph->rules[rule].start = start;
    return rule;
}

/* ---- literals -------------------------------------------------------------------------------- */

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted texts that share their first `depth` bytes, as a tree of their bytes. */
static uint32_t tree(struct schema_compiler *c, char **texts, size_t count, size_t depth,
                     uint32_t next)
{
    uint32_t at = RUN_NO_NODE;
    for (size_t i = 0; i < count;) {
        size_t same = i + 1;
        while (same < count && texts[same][depth] == texts[i][depth]) {
            same++;
        }
        uint32_t branch = next;
        if (same - i == 1) {
            branch = text(c, texts[i] + depth, next); /* alone from here */
        } else if (texts[i][depth] != '\0') {
            const uint32_t rest = tree(c, texts + i, same - i, depth + 1, next);
            branch = run_graph_literal(c->graph, texts[i] + depth, 1, rest);
        }
        at = either(c, at, branch);
        i = same;
    }
    return at;
}

static uint32_t alternatives(struct schema_compiler *c, char **texts, size_t count, uint32_t next)
{
    qsort(texts, count, sizeof *texts, compare_texts);
    return tree(c, texts, count, 0, next);
}

static bool is_of_type(const json_t *value, const char *type)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT: return strcmp(type, "object") == 0;
    case JSON_ARRAY: return strcmp(type, "array") == 0;
    case JSON_STRING: return strcmp(type, "string") == 0;
    case JSON_INTEGER: return strcmp(type, "integer") == 0 || strcmp(type, "number") == 0;
    case JSON_REAL: return strcmp(type, "number") == 0;
    case JSON_NULL: return strcmp(type, "null") == 0;
    default: return strcmp(type, "boolean") == 0;
    }
}

/* type: a name, an array of names, or NULL for any. */
static bool type_admits(const json_t *type, const json_t *value)
{
    bool admits = !type || (json_is_string(type) && is_of_type(value, json_string_value(type)));
    for (size_t i = 0; !admits && i < json_array_size(type); i++) {
        const char *name = json_string_value(json_array_get(type, i));
        admits = name && is_of_type(value, name);
    }
    return admits;
}

/* One of the values, of those that the type beside them admits. */
static uint32_t literals(struct schema_compiler *c, const json_t *list, const json_t *type,
                         uint32_t next)
{
    char **texts = calloc(json_array_size(list) + 1, sizeof(char *));
    size_t count = 0;
    BASE_ASSERT(texts);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *value = json_array_get(list, i);
        if (type_admits(type, value)) {
            texts[count] = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
            count += texts[count] != NULL;
        }
    }
    const uint32_t at =
        count > 0 ? alternatives(c, texts, count, next)
                  : refuse(c, TAKT_USAGE, "'enum' must be an array with a value of the type in it");
    for (size_t i = 0; i < count; i++) {
        free(texts[i]);
    }
    free(texts);
    return at;
}

/* ---- strings and numbers --------------------------------------------------------------------- */

static uint32_t string_type(struct schema_compiler *c, const json_t *schema, uint32_t next)
{
    static const char *const keys[] = {"type", "minLength", "maxLength", NULL};
    if (!only(c, schema, keys)) {
        return 0;
    }
    const long least = count_of(c, schema, "minLength", 0);
    const long most = count_of(c, schema, "maxLength", -1);
    if (most >= 0 && least > most) {
        return refuse(c, TAKT_UNSUPPORTED, "nothing is at least %ld and at most %ld long", least,
                      most);
    }
    const uint32_t close = text(c, "\"", next);
    uint32_t at = close;
    if (most < 0) {
        at = loop_node(c, close);
        c->graph->nodes[at].other = call(c, c->character, at);
    }
    for (long i = least; i < most; i++) {
        at = either(c, close, call(c, c->character, at));
    }
    for (long i = 0; i < least; i++) {
        at = call(c, c->character, at);
    }
    return text(c, "\"", at);
}

/* Numbers of exactly `length` digits, from low to high (as digits). */
static uint32_t same_length(struct schema_compiler *c, const char *low, const char *high,
                            size_t length, uint32_t next)
{
    if (length == 0) {
        return next;
    }
    if (strspn(low, "0") >= length && strspn(high, "9") >= length) {
        return bytes(c, "09", same_length(c, low + 1, high + 1, length - 1, next));
    }
    char first[3] = {low[0], low[0], '\0'}, last[3] = {high[0], high[0], '\0'};
    if (low[0] == high[0]) {
        return bytes(c, first, same_length(c, low + 1, high + 1, length - 1, next));
    }
    static const char nines[] = "999999999999999999999999", zeros[] = "000000000000000000000000";
    uint32_t at = bytes(c, first, same_length(c, low + 1, nines, length - 1, next));
    at = either(c, at, bytes(c, last, same_length(c, zeros, high + 1, length - 1, next)));
    if (high[0] - low[0] > 1) {
        const char between[3] = {(char)(low[0] + 1), (char)(high[0] - 1), '\0'};
        at = either(c, at, bytes(c, between, same_length(c, zeros, nines, length - 1, next)));
    }
    return at;
}

/* Whole numbers from low to high, neither negative. */
static uint32_t natural_range(struct schema_compiler *c, int64_t low, int64_t high, uint32_t next)
{
    uint32_t at = RUN_NO_NODE;
    int64_t begin = low;
    while (begin <= high) {
        char from[24], to[24];
        const int length = snprintf(from, sizeof from, "%lld", (long long)begin);
        int64_t end = 1;
        for (int i = 0; i < length; i++) {
            end *= 10;
        }
        end = BASE_MIN(end - 1, high);
        snprintf(to, sizeof to, "%lld", (long long)end);
        at = either(c, at, same_length(c, from, to, (size_t)length, next));
        begin = end + 1;
    }
    return at;
}

#define WHOLE_MAX INT64_C(999999999999999)

/* A bound as a whole number: the least not below it, or the most not above. */
static int64_t bound(struct schema_compiler *c, const json_t *schema, const char *key,
                     const char *exclusive, bool lower, int64_t absent)
{
    int64_t result = absent;
    const char *const keys[2] = {key, exclusive};
    for (int i = 0; i < 2; i++) {
        const json_t *value = json_object_get(schema, keys[i]);
        if (!value) {
            continue;
        }
        if (!json_is_number(value)) {
            refuse(c, TAKT_USAGE, "'%s' must be a number", keys[i]);
            return absent;
        }
        const double real = json_number_value(value);
        double whole = lower ? ceil(real) : floor(real);
        if (i == 1 && whole == real) {
            whole += lower ? 1 : -1;
        }
        whole = fmin(fmax(whole, -(double)WHOLE_MAX - 1), (double)WHOLE_MAX + 1);
        const int64_t here = (int64_t)whole;
        result = lower ? BASE_MAX(result, here) : BASE_MIN(result, here);
    }
    return result;
}

static uint32_t integer_type(struct schema_compiler *c, const json_t *schema, uint32_t next)
{
    static const char *const keys[] = {
        "type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", NULL};
    if (!only(c, schema, keys)) {
        return 0;
    }
    const int64_t low = bound(c, schema, "minimum", "exclusiveMinimum", true, -WHOLE_MAX);
    const int64_t high = bound(c, schema, "maximum", "exclusiveMaximum", false, WHOLE_MAX);
    if (low == -WHOLE_MAX && high == WHOLE_MAX) {
        return call(c, c->integer, next);
    }
    if (low > high) {
        return refuse(c, TAKT_UNSUPPORTED,
                      "no whole number of at most 15 digits is within its "
                      "bounds");
    }
    uint32_t at = RUN_NO_NODE;
    if (high >= 0) {
        at = natural_range(c, BASE_MAX(low, 0), high, next);
    }
    if (low < 0) {
        at = either(c, at, text(c, "-", natural_range(c, high < 0 ? -high : 1, -low, next)));
    }
    return at;
}

static uint32_t number_type(struct schema_compiler *c, const json_t *schema, uint32_t next)
{
    static const char *const keys[] = {"type", NULL};
    return only(c, schema, keys) ? call(c, c->number, next) : 0;
}

static uint32_t plain_type(struct schema_compiler *c, const json_t *schema, const char *type,
                           uint32_t next)
{
    static const char *const keys[] = {"type", NULL};
    if (!only(c, schema, keys)) {
        return 0;
    }
    return strcmp(type, "null") == 0 ? text(c, "null", next)
                                     : either(c, text(c, "true", next), text(c, "false", next));
}

/* ---- arrays ---------------------------------------------------------------------------------- */

static uint32_t array_type(struct schema_compiler *c, const json_t *schema, uint32_t next)
{
    static const char *const keys[] = {"type", "items", "minItems", "maxItems", NULL};
    if (!only(c, schema, keys)) {
        return 0;
    }
    const json_t *items = json_object_get(schema, "items");
    const long least = count_of(c, schema, "minItems", 0);
    const long most = count_of(c, schema, "maxItems", -1);
    if (most >= 0 && least > most) {
        return refuse(c, TAKT_UNSUPPORTED, "nothing has at least %ld and at most %ld items", least,
                      most);
    }
    const uint32_t close = text(c, "]", next);
    if (most == 0) {
        return text(c, "[", close);
    }
    const uint32_t item = items ? rule_of(c, items, "items", false) : c->value;
    uint32_t at = close; /* after an item */
    if (most < 0) {
        at = loop_node(c, close);
        c->graph->nodes[at].other = text(c, ",", space(c, call(c, item, at)));
    }
    for (long i = BASE_MAX(least, 1); i < most; i++) {
        at = either(c, close, text(c, ",", space(c, call(c, item, at))));
    }
    for (long i = 1; i < least; i++) {
        at = text(c, ",", space(c, call(c, item, at)));
    }
    at = call(c, item, at);
    return text(c, "[", least > 0 ? at : either(c, close, at));
}

/* ---- objects --------------------------------------------------------------------------------- */

#define PROPERTIES_MAX 512u

struct property {
    const char *name;
    uint32_t rule;
    bool required;
};

static bool is_required(const json_t *required, const char *name)
{
    for (size_t i = 0; i < json_array_size(required); i++) {
        const char *item = json_string_value(json_array_get(required, i));
        if (item && strcmp(item, name) == 0) {
            return true;
        }
    }
    return false;
}

static size_t list_properties(struct schema_compiler *c, const json_t *schema,
                              struct property *list)
{
    const json_t *properties = json_object_get(schema, "properties");
    const json_t *required = json_object_get(schema, "required");
    size_t count = 0;
    if (json_object_size(properties) + json_array_size(required) > PROPERTIES_MAX) {
        refuse(c, TAKT_LIMIT, "more than %u properties", PROPERTIES_MAX);
        return 0;
    }
    void *at = json_object_iter((json_t *)(uintptr_t)properties);
    for (; at && !c->failed; at = json_object_iter_next((json_t *)(uintptr_t)properties, at)) {
        const char *name = json_object_iter_key(at);
        const size_t length = strlen(c->place);
        snprintf(c->place + length, sizeof c->place - length, "/properties");
        list[count++] = (struct property){name, rule_of(c, json_object_iter_value(at), name, false),
                                          is_required(required, name)};
        if (!c->failed) {
            c->place[length] = '\0';
        }
    }
    for (size_t i = 0; i < json_array_size(required); i++) {
        const char *name = json_string_value(json_array_get(required, i));
        if (!name) {
            refuse(c, TAKT_USAGE, "'required' must be an array of strings");
            return 0;
        }
        bool known = json_object_get(properties, name) != NULL;
        for (size_t j = 0; j < count; j++) {
            known = known || strcmp(list[j].name, name) == 0;
        }
        if (!known) {
            list[count++] = (struct property){name, c->value, true};
        }
    }
    return count;
}

static uint32_t member(struct schema_compiler *c, const struct property *property, bool comma,
                       uint32_t next)
{
    json_t *name = json_string(property->name);
    char *key = json_dumps(name, JSON_ENCODE_ANY);
    json_decref(name);
    BASE_ASSERT(key);
    uint32_t at = call(c, property->rule, next);
    at = text(c, key, text(c, ":", space(c, at)));
    free(key);
    return comma ? text(c, ",", space(c, at)) : at;
}

/* Properties in their order; what may be left out has a way past it. */
static uint32_t object_members(struct schema_compiler *c, const struct property *list, size_t count,
                               uint32_t next)
{
    uint32_t first = text(c, "}", next), later = first; /* before and after some member */
    for (size_t i = count; i > 0; i--) {
        const struct property *property = &list[i - 1];
        const uint32_t opening = member(c, property, false, later);
        const uint32_t following = member(c, property, true, later);
        first = property->required ? opening : either(c, opening, first);
        later = property->required ? following : either(c, following, later);
    }
    return text(c, "{", first);
}

static uint32_t object_type(struct schema_compiler *c, const json_t *schema, uint32_t next)
{
    static const char *const keys[] = {"type", "properties", "required", "additionalProperties",
                                       NULL};
    const json_t *properties = json_object_get(schema, "properties");
    const json_t *required = json_object_get(schema, "required");
    const json_t *more = json_object_get(schema, "additionalProperties");
    if (!only(c, schema, keys)) {
        return 0;
    }
    if ((properties && !json_is_object(properties)) || (required && !json_is_array(required))) {
        return refuse(c, TAKT_USAGE, "'properties' must be an object, 'required' an array");
    }
    if (more && !json_is_boolean(more) && !json_is_object(more)) {
        return refuse(c, TAKT_USAGE, "'additionalProperties' must be a boolean or a schema");
    }
    if (json_object_size(properties) + json_array_size(required) == 0) {
        if (json_is_false(more)) {
            return text(c, "{}", next);
        }
        if (json_is_object(more)) {
            return map_of(c, rule_of(c, more, "additionalProperties", false), next);
        }
        return call(c, c->object, next);
    }
    struct property *list = calloc(PROPERTIES_MAX, sizeof *list);
    BASE_ASSERT(list);
    const size_t count = list_properties(c, schema, list);
    const uint32_t at = c->failed ? 0 : object_members(c, list, count, next);
    free(list);
    return at;
}

/* ---- schemas --------------------------------------------------------------------------------- */

/* "#", "#/$defs/name" and so on: what it points at. */
static const json_t *find_reference(struct schema_compiler *c, const char *reference)
{
    const json_t *at = c->root;
    if (reference[0] != '#') {
        refuse(c, TAKT_UNSUPPORTED, "'$ref' to another document (%.100s) is not supported",
               reference);
        return NULL;
    }
    for (const char *part = reference + 1; *part == '/' && at;) {
        const size_t length = strcspn(part + 1, "/");
        char name[256];
        size_t used = 0;
        for (size_t i = 1; i <= length && used + 1 < sizeof name; i++) {
            const bool escaped = part[i] == '~' && i < length && (part[i + 1] | 1) == '1';
            name[used++] = escaped ? (part[i + 1] == '0' ? '~' : '/') : part[i];
            i += escaped;
        }
        name[used] = '\0';
        at = json_is_array(at) ? json_array_get(at, strtoul(name, NULL, 10))
                               : json_object_get(at, name);
        part += length + 1;
    }
    if (!at) {
        refuse(c, TAKT_USAGE, "'$ref' %.100s points at nothing", reference);
    }
    return at;
}

static uint32_t reference(struct schema_compiler *c, const json_t *schema, uint32_t next)
{
    static const char *const keys[] = {"$ref", NULL};
    const char *name = json_string_value(json_object_get(schema, "$ref"));
    if (!only(c, schema, keys)) {
        return 0;
    }
    const json_t *target = name ? find_reference(c, name) : NULL;
    if (!target) {
        return c->failed ? 0 : refuse(c, TAKT_USAGE, "'$ref' must be a string");
    }
    for (size_t i = 0; i < c->named_count; i++) {
        if (c->named[i].schema == target) {
            return call(c, c->named[i].rule, next);
        }
    }
    if (c->named_count == NAMED_MAX) {
        return refuse(c, TAKT_LIMIT, "more than %u references", NAMED_MAX);
    }
    const uint32_t rule = run_graph_rule(c->graph, false);
    c->named[c->named_count++] = (struct named){target, rule};
    const uint32_t start = compile_at(c, target, "$ref", run_graph_end(c->graph));
    c->graph->rules[rule].start = start;
    return call(c, rule, next);
}

static uint32_t any_of(struct schema_compiler *c, const json_t *schema, const char *key,
                       uint32_t next)
{
    const char *const keys[] = {key, NULL};
    const json_t *list = json_object_get(schema, key);
    if (!only(c, schema, keys)) {
        return 0;
    }
    const size_t count = json_array_size(list);
    if (count == 0) {
        return refuse(c, TAKT_USAGE, "'%s' must be an array with something in it", key);
    }
    if (count > 1 && strcmp(key, "allOf") == 0) {
        return refuse(c, TAKT_UNSUPPORTED, "'allOf' of several schemas is not supported");
    }
    uint32_t at = RUN_NO_NODE;
    for (size_t i = 0; i < count && !c->failed; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s/%zu", key, i);
        at = either(c, at, compile_at(c, json_array_get(list, i), name, next));
    }
    return at;
}

static uint32_t one_type(struct schema_compiler *c, const json_t *schema, const char *type,
                         uint32_t next)
{
    if (strcmp(type, "string") == 0) {
        return string_type(c, schema, next);
    }
    if (strcmp(type, "integer") == 0) {
        return integer_type(c, schema, next);
    }
    if (strcmp(type, "number") == 0) {
        return number_type(c, schema, next);
    }
    if (strcmp(type, "array") == 0) {
        return array_type(c, schema, next);
    }
    if (strcmp(type, "object") == 0) {
        return object_type(c, schema, next);
    }
    if (strcmp(type, "null") == 0 || strcmp(type, "boolean") == 0) {
        return plain_type(c, schema, type, next);
    }
    return refuse(c, TAKT_USAGE, "there is no type '%.40s'", type);
}

/* Several types: each with the keywords that speak of it. */
static uint32_t several_types(struct schema_compiler *c, const json_t *schema, const json_t *types,
                              uint32_t next)
{
    static const struct {
        const char *type, *keys[6];
    } owned[] = {
        {"string", {"minLength", "maxLength"}},
        {"integer", {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}},
        {"number", {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}},
        {"array", {"items", "minItems", "maxItems"}},
        {"object", {"properties", "required", "additionalProperties"}},
    };
    uint32_t at = RUN_NO_NODE;
    for (size_t i = 0; i < json_array_size(types) && !c->failed; i++) {
        const char *type = json_string_value(json_array_get(types, i));
        if (!type) {
            return refuse(c, TAKT_USAGE, "'type' must be a string or an array of strings");
        }
        json_t *copy = json_copy((json_t *)(uintptr_t)schema);
        for (size_t j = 0; j < BASE_COUNT(owned); j++) {
            for (size_t k = 0; k < 6 && owned[j].keys[k] && strcmp(owned[j].type, type) != 0; k++) {
                const bool shared = owned[j].keys[k][0] == 'm' || owned[j].keys[k][0] == 'e';
                const bool number = strcmp(type, "integer") == 0 || strcmp(type, "number") == 0;
                if (!(shared && number && j < 3 && j > 0)) {
                    json_object_del(copy, owned[j].keys[k]);
                }
            }
        }
        at = either(c, at, one_type(c, copy, type, next));
        json_decref(copy);
    }
    return at == RUN_NO_NODE && !c->failed ? refuse(c, TAKT_USAGE, "'type' must name a type") : at;
}

static uint32_t compile(struct schema_compiler *c, const json_t *schema, uint32_t next)
{
    static const char *const enum_keys[] = {"enum", "type", NULL};
    static const char *const const_keys[] = {"const", "type", NULL};
    static const char *const none[] = {NULL};
    if (c->failed || c->graph->full) {
        return 0;
    }
    if (json_is_true(schema)) {
        return call(c, c->value, next);
    }
    if (!json_is_object(schema)) {
        return refuse(c, TAKT_USAGE, "a schema must be an object");
    }
    if (json_object_get(schema, "$ref")) {
        return reference(c, schema, next);
    }
    if (json_object_get(schema, "anyOf")) {
        return any_of(c, schema, "anyOf", next);
    }
    if (json_object_get(schema, "allOf")) {
        return any_of(c, schema, "allOf", next);
    }
    if (json_object_get(schema, "enum")) {
        return only(c, schema, enum_keys) ? literals(c, json_object_get(schema, "enum"),
                                                     json_object_get(schema, "type"), next)
                                          : 0;
    }
    if (json_object_get(schema, "const")) {
        json_t *list = json_array();
        json_array_append(list, json_object_get(schema, "const"));
        const uint32_t at = only(c, schema, const_keys)
                                ? literals(c, list, json_object_get(schema, "type"), next)
                                : 0;
        json_decref(list);
        return at;
    }
    const json_t *type = json_object_get(schema, "type");
    if (json_is_string(type)) {
        return one_type(c, schema, json_string_value(type), next);
    }
    if (json_is_array(type)) {
        return several_types(c, schema, type, next);
    }
    if (type) {
        return refuse(c, TAKT_USAGE, "'type' must be a string or an array of strings");
    }
    if (json_object_get(schema, "properties")) {
        return object_type(c, schema, next);
    }
    return only(c, schema, none) ? call(c, c->value, next) : 0;
}

/* ---- calls of tools -------------------------------------------------------------------------- */

/* One call, then next. */
static uint32_t tool_call(struct schema_compiler *c, const json_t *tools, uint32_t next)
{
    uint32_t names = RUN_NO_NODE;
    const uint32_t close = text(c, TAKT_TOOL_END, next);
    if (json_array_size(tools) == 0) {
        return refuse(c, TAKT_USAGE, "an array of tools is expected, with one at least");
    }
    for (size_t i = 0; i < json_array_size(tools) && !c->failed; i++) {
        const json_t *tool = json_array_get(tools, i);
        const char *name = json_string_value(json_object_get(tool, "name"));
        const json_t *parameters = json_object_get(tool, "parameters");
        snprintf(c->place, sizeof c->place, "/%.64s", name ? name : "");
        if (!name) {
            return refuse(c, TAKT_USAGE, "a tool has no name");
        }
        c->root = parameters;
        const uint32_t arguments = run_graph_rule(c->graph, false);
        const uint32_t end = run_graph_end(c->graph);
        const uint32_t start = parameters ? compile(c, parameters, end) : text(c, "{}", end);
        c->graph->rules[arguments].start = start;
        names =
            either(c, names, text(c, name, text(c, TAKT_TOOL_MIDDLE, call(c, arguments, close))));
    }
    return text(c, &TAKT_TOOL_BEGIN[1], names); /* without its '<' */
}

/* Text in which "<tool_call>" begins a call: state i has seen i bytes of it. */
static uint32_t tools_root(struct schema_compiler *c, const json_t *tools,
                           const struct takt_grammar_options *options)
{
    static const char word[] = "<tool_call>";
    enum { LENGTH = sizeof word - 1 };
    const uint32_t end = run_graph_end(c->graph);
    const uint32_t after = loop_node(c, end); /* of a call */
    const uint32_t rest = tool_call(c, tools, after);
    if (options->parallel && !c->failed) {
        c->graph->nodes[after].other = text(c, "\n<", rest);
    }
    if (options->must_call || c->failed) {
        return text(c, "<", rest);
    }
    uint32_t states[LENGTH];
    for (uint32_t i = 0; i < LENGTH; i++) {
        states[i] = loop_node(c, end);
    }
    const uint32_t again = text(c, "<", states[1]); /* '<' begins the word anew */
    c->graph->nodes[states[0]].other =
        either(c, again, run_graph_except(c->graph, "<<", states[0]));
    for (uint32_t i = 1; i < LENGTH; i++) {
        const char ranges[5] = {'<', '<', word[i], word[i], '\0'};
        const uint32_t other = run_graph_except(c->graph, ranges, states[0]);
        /* The last byte leads into the call, whose rest begins behind the whole word. */
        const uint32_t onward =
            i + 1 < LENGTH ? run_graph_literal(c->graph, word + i, 1, states[i + 1]) : RUN_NO_NODE;
        c->graph->nodes[states[i]].other = either(c, either(c, other, again), onward);
    }
    /* From the last state: ">" and on. `rest` begins with "tool_call>": go to its last byte. */
    uint32_t tail = rest;
    for (uint32_t i = 1; i + 1 < LENGTH; i++) {
        tail = c->graph->nodes[tail].next;
    }
    c->graph->nodes[states[LENGTH - 1]].other =
        either(c, c->graph->nodes[states[LENGTH - 1]].other, tail);
    return states[0];
}

/* ---- opening --------------------------------------------------------------------------------- */

static uint32_t compile_root(struct schema_compiler *c, const json_t *json,
                             const struct takt_grammar_options *options)
{
    switch (options->kind) {
    case TAKT_GRAMMAR_OBJECT: return call(c, c->object, run_graph_end(c->graph));
    case TAKT_GRAMMAR_SCHEMA: return compile(c, json, run_graph_end(c->graph));
    case TAKT_GRAMMAR_TOOLS: return tools_root(c, json, options);
    }
    return 0;
}

enum takt_status run_schema_compile(struct run_graph *graph,
                                    const struct takt_grammar_options *options,
                                    struct takt_error *error)
{
    struct takt_error own;
    json_error_t reason;
    json_t *json = NULL;
    if (options->kind != TAKT_GRAMMAR_OBJECT) {
        json = json_loadb(options->json, options->length, 0, &reason);
        if (!json) {
            return base_fail(error, TAKT_FORMAT, "the schema is not JSON: %.100s", reason.text);
        }
    }
    struct schema_compiler *c = calloc(1, sizeof *c);
    BASE_ASSERT(c);
    *c = (struct schema_compiler){.graph = graph, .root = json, .error = error ? error : &own};
    make_character(c);
    make_string(c);
    make_numbers(c);
    make_values(c);
    graph->root = run_graph_rule(graph, false);
    const uint32_t start = compile_root(c, json, options);
    graph->rules[graph->root].start = start;
    if (!c->failed && graph->full) {
        refuse(c, TAKT_LIMIT, "the schema is too large");
    }
    const enum takt_status status = c->failed ? c->error->status : TAKT_OK;
    free(c);
    json_decref(json);
    return status;
}
