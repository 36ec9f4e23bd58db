/*
 * Values: making, finding in, comparing, iterating. Their text is made by jinja_print.c.
 * Owns: the order of a mapping's entries, which is the order in which they were put.
 */
#include "model/jinja_parts.h"
#include "model/unicode.h"

#include <string.h>

#define DICT_INDEX_MIN 9u /* entries from which a dict is hashed */

const char *jinja_kind_name(enum jinja_kind kind)
{
    static const char *const names[] = {"undefined", "none",   "boolean",  "integer",
                                        "float",     "string", "list",     "mapping",
                                        "loop",      "macro",  "function", "method"};
    return names[kind];
}

struct jinja_value jinja_string(struct jinja_context *context, const char *bytes,
                                const unsigned char *marks, size_t length)
{
    struct jinja_string *string = JINJA_NEW(context, struct jinja_string, 1);
    *string = (struct jinja_string){bytes, marks, length};
    return (struct jinja_value){.kind = JINJA_STRING, .string = string};
}

struct jinja_value jinja_copy(struct jinja_context *context, const char *bytes, size_t length)
{
    char *copy = JINJA_NEW(context, char, length + 1);
    memcpy(copy, bytes, length);
    return jinja_string(context, copy, NULL, length);
}

struct jinja_value jinja_list(struct jinja_context *context)
{
    return (struct jinja_value){.kind = JINJA_LIST,
                                .list = JINJA_NEW(context, struct jinja_list, 1)};
}

struct jinja_value jinja_dict(struct jinja_context *context)
{
    return (struct jinja_value){.kind = JINJA_DICT,
                                .dict = JINJA_NEW(context, struct jinja_dict, 1)};
}

void jinja_append(struct jinja_context *context, struct jinja_list *list, struct jinja_value value)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 4 : 2 * list->capacity;
        struct jinja_value *items = JINJA_NEW(context, struct jinja_value, capacity);
        if (list->count != 0)
            memcpy(items, list->items, list->count * sizeof(*items));
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = value;
}

/* ---- dicts ----------------------------------------------------------------------------------- */

static size_t hash_key(const char *key, size_t length)
{
    uint64_t hash = UINT64_C(0xCBF29CE484222325);
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)key[i]) * UINT64_C(0x100000001B3);
    return (size_t)(hash ^ hash >> 29);
}

static bool key_is(const struct jinja_entry *entry, const char *key, size_t length)
{
    return entry->key.length == length && memcmp(entry->key.bytes, key, length) == 0;
}

struct jinja_value *jinja_find(const struct jinja_dict *dict, const char *key, size_t length)
{
    if (dict->slots == NULL) {
        for (size_t i = 0; i < dict->count; i++)
            if (key_is(&dict->entries[i], key, length))
                return &dict->entries[i].value;
        return NULL;
    }
    for (size_t slot = hash_key(key, length);; slot++) {
        uint32_t entry = dict->slots[slot & dict->slot_mask];
        if (entry == 0)
            return NULL;
        if (key_is(&dict->entries[entry - 1], key, length))
            return &dict->entries[entry - 1].value;
    }
}

static void index_entry(struct jinja_dict *dict, size_t entry)
{
    size_t slot = hash_key(dict->entries[entry].key.bytes, dict->entries[entry].key.length);
    while (dict->slots[slot & dict->slot_mask] != 0)
        slot++;
    dict->slots[slot & dict->slot_mask] = (uint32_t)entry + 1;
}

void jinja_put(struct jinja_context *context, struct jinja_dict *dict,
               const struct jinja_string *key, struct jinja_value value)
{
    struct jinja_value *found = jinja_find(dict, key->bytes, key->length);
    if (found != NULL) {
        *found = value;
        return;
    }
    if (dict->count == dict->capacity) {
        size_t capacity = dict->capacity == 0 ? 4 : 2 * dict->capacity;
        struct jinja_entry *entries = JINJA_NEW(context, struct jinja_entry, capacity);
        if (dict->count != 0)
            memcpy(entries, dict->entries, dict->count * sizeof(*entries));
        dict->entries = entries;
        dict->capacity = capacity;
        if (capacity >= DICT_INDEX_MIN) {
            dict->slot_mask = 4 * capacity - 1;
            dict->slots = JINJA_NEW(context, uint32_t, 4 * capacity);
            for (size_t i = 0; i < dict->count; i++)
                index_entry(dict, i);
        }
    }
    dict->entries[dict->count] = (struct jinja_entry){*key, value};
    if (dict->slots != NULL)
        index_entry(dict, dict->count);
    dict->count++;
}

/* ---- from JSON ------------------------------------------------------------------------------- */

/* Names of roles are words of the protocol, not of the user: templates build control tokens of
 * them. Any other role is as foreign as the rest. */
static bool is_role(const char *key, const json_t *json)
{
    static const char *const roles[] = {"system",      "developer", "user",          "assistant",
                                        "tool",        "function",  "model",         "ipython",
                                        "observation", "documents", "tool_response", "critic"};
    if (key == NULL || strcmp(key, "role") != 0)
        return false;
    for (size_t i = 0; i < BASE_COUNT(roles); i++)
        if (strlen(roles[i]) == json_string_length(json) &&
            memcmp(roles[i], json_string_value(json), json_string_length(json)) == 0)
            return true;
    return false;
}

static struct jinja_string string_of(struct jinja_context *context, const char *bytes,
                                     size_t length, bool foreign)
{
    char *copy = JINJA_NEW(context, char, length + 1);
    memcpy(copy, bytes, length);
    unsigned char *marks = NULL;
    if (foreign && length != 0) {
        marks = JINJA_NEW(context, unsigned char, length);
        memset(marks, 1, length);
    }
    return (struct jinja_string){copy, marks, length};
}

struct jinja_value jinja_from_json(struct jinja_context *context, const json_t *json, bool foreign,
                                   const char *key)
{
    struct jinja_value value = jinja_none();
    jinja_enter(context);
    switch (json_typeof(json)) {
    case JSON_NULL: break;
    case JSON_TRUE: value = jinja_bool(true); break;
    case JSON_FALSE: value = jinja_bool(false); break;
    case JSON_INTEGER: value = jinja_integer(json_integer_value(json)); break;
    case JSON_REAL: value = jinja_real(json_real_value(json)); break;
    case JSON_STRING: {
        struct jinja_string string =
            string_of(context, json_string_value(json), json_string_length(json),
                      foreign && !is_role(key, json));
        value = jinja_string(context, string.bytes, string.marks, string.length);
        break;
    }
    case JSON_ARRAY: {
        size_t index;
        json_t *item;
        value = jinja_list(context);
        json_array_foreach(json, index, item)
            jinja_append(context, value.list, jinja_from_json(context, item, foreign, NULL));
        break;
    }
    case JSON_OBJECT: {
        const char *name;
        json_t *item;
        value = jinja_dict(context);
        json_object_foreach((json_t *)(uintptr_t)json, name, item)
        {
            struct jinja_string string = string_of(context, name, strlen(name), foreign);
            jinja_put(context, value.dict, &string, jinja_from_json(context, item, foreign, name));
        }
        break;
    }
    }
    jinja_leave(context);
    return value;
}

/* ---- truth, equality, order ------------------------------------------------------------------ */

bool jinja_is(const struct jinja_string *string, const char *text)
{
    return string->length == strlen(text) && memcmp(string->bytes, text, string->length) == 0;
}

bool jinja_truth(struct jinja_value value)
{
    switch (value.kind) {
    case JINJA_UNDEFINED:
    case JINJA_NONE: return false;
    case JINJA_BOOL: return value.boolean;
    case JINJA_INT: return value.integer != 0;
    case JINJA_FLOAT: return value.real != 0.0;
    case JINJA_STRING: return value.string->length != 0;
    case JINJA_LIST: return value.list->count != 0;
    case JINJA_DICT: return value.dict->count != 0 || value.dict->is_namespace;
    default: return true;
    }
}

double jinja_number(struct jinja_value value)
{
    if (value.kind == JINJA_FLOAT)
        return value.real;
    return value.kind == JINJA_BOOL ? (double)value.boolean : (double)value.integer;
}

static int order(double a, double b)
{
    return a < b ? -1 : a > b ? 1 : 0;
}

static int compare_numbers(struct jinja_value a, struct jinja_value b)
{
    if (a.kind == JINJA_INT && b.kind == JINJA_INT)
        return a.integer < b.integer ? -1 : a.integer > b.integer ? 1 : 0;
    return order(jinja_number(a), jinja_number(b));
}

static bool equal_lists(struct jinja_context *context, const struct jinja_list *a,
                        const struct jinja_list *b)
{
    bool equal = a->count == b->count;
    jinja_enter(context);
    jinja_charge(context, equal ? a->count : 0);
    for (size_t i = 0; equal && i < a->count; i++)
        equal = jinja_equal(context, a->items[i], b->items[i]);
    jinja_leave(context);
    return equal;
}

static bool equal_dicts(struct jinja_context *context, const struct jinja_dict *a,
                        const struct jinja_dict *b)
{
    bool equal = a->count == b->count;
    jinja_enter(context);
    jinja_charge(context, equal ? a->count : 0);
    for (size_t i = 0; equal && i < a->count; i++) {
        const struct jinja_entry *entry = &a->entries[i];
        const struct jinja_value *other = jinja_find(b, entry->key.bytes, entry->key.length);
        equal = other != NULL && jinja_equal(context, entry->value, *other);
    }
    jinja_leave(context);
    return equal;
}

bool jinja_equal(struct jinja_context *context, struct jinja_value a, struct jinja_value b)
{
    bool a_nothing = a.kind == JINJA_UNDEFINED || a.kind == JINJA_NONE;
    bool b_nothing = b.kind == JINJA_UNDEFINED || b.kind == JINJA_NONE;
    if (a_nothing || b_nothing)
        return a_nothing && b_nothing;
    if (jinja_is_number(a) && jinja_is_number(b))
        return compare_numbers(a, b) == 0;
    if (a.kind != b.kind)
        return false;
    switch (a.kind) {
    case JINJA_STRING:
        return a.string->length == b.string->length &&
               memcmp(a.string->bytes, b.string->bytes, a.string->length) == 0;
    case JINJA_LIST: return a.list == b.list || equal_lists(context, a.list, b.list);
    case JINJA_DICT: return a.dict == b.dict || equal_dicts(context, a.dict, b.dict);
    case JINJA_LOOP: return a.loop == b.loop;
    case JINJA_MACRO: return a.macro == b.macro;
    default: return false;
    }
}

static int compare_strings(const struct jinja_string *a, const struct jinja_string *b)
{
    size_t shared = BASE_MIN(a->length, b->length);
    int result = shared == 0 ? 0 : memcmp(a->bytes, b->bytes, shared);
    if (result == 0)
        result = a->length < b->length ? -1 : a->length > b->length ? 1 : 0;
    return result;
}

int jinja_compare(struct jinja_context *context, struct jinja_value a, struct jinja_value b,
                  bool fold)
{
    if (jinja_is_number(a) && jinja_is_number(b))
        return compare_numbers(a, b);
    if (a.kind == JINJA_STRING && b.kind == JINJA_STRING) {
        jinja_charge(context, 1 + BASE_MIN(a.string->length, b.string->length) / 16);
        if (fold)
            return compare_strings(jinja_cased(context, a.string, JINJA_LOWER).string,
                                   jinja_cased(context, b.string, JINJA_LOWER).string);
        return compare_strings(a.string, b.string);
    }
    if (a.kind == JINJA_LIST && b.kind == JINJA_LIST) {
        size_t shared = BASE_MIN(a.list->count, b.list->count);
        int result = 0;
        jinja_enter(context);
        jinja_charge(context, shared);
        for (size_t i = 0; result == 0 && i < shared; i++)
            result = jinja_compare(context, a.list->items[i], b.list->items[i], fold);
        jinja_leave(context);
        return result != 0 ? result : order((double)a.list->count, (double)b.list->count);
    }
    JINJA_FAIL(context, TAKT_FORMAT, "%s and %s have no order", jinja_kind_name(a.kind),
               jinja_kind_name(b.kind));
}

/* ---- iterating ------------------------------------------------------------------------------- */

size_t jinja_characters(const struct jinja_string *string)
{
    size_t count = 0, size;
    for (size_t i = 0; i < string->length; i += size, count++)
        (void)unicode_decode(string->bytes + i, string->length - i, &size);
    return count;
}

struct jinja_list *jinja_iterate(struct jinja_context *context, struct jinja_value value)
{
    if (value.kind == JINJA_LIST)
        return value.list;
    struct jinja_value list = jinja_list(context);
    if (value.kind == JINJA_STRING) {
        size_t size;
        jinja_charge(context, value.string->length);
        for (size_t i = 0; i < value.string->length; i += size) {
            (void)unicode_decode(value.string->bytes + i, value.string->length - i, &size);
            jinja_append(context, list.list,
                         jinja_slice_string(context, value.string, i, i + size));
        }
    } else if (value.kind == JINJA_DICT) {
        for (size_t i = 0; i < value.dict->count; i++) {
            const struct jinja_string *key = &value.dict->entries[i].key;
            jinja_append(context, list.list,
                         jinja_string(context, key->bytes, key->marks, key->length));
        }
    } else if (value.kind != JINJA_UNDEFINED) {
        JINJA_FAIL(context, TAKT_FORMAT, "%s has no items to go through",
                   jinja_kind_name(value.kind));
    }
    return list.list;
}
