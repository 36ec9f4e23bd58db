/* Filters of lists and mappings, and sorting. */
#include "model/jinja_filter.h"

#include <string.h>

/* ---- sorting --------------------------------------------------------------------------------- */

struct sort_item {
    struct jinja_value key, item;
};

/* Stable, by merging halves: comparisons may fail half-way, which qsort does not expect. */
static void merge_sort(struct jinja_context *context, struct sort_item *items,
                       struct sort_item *scratch, size_t count, bool fold, bool reverse)
{
    if (count < 2)
        return;
    size_t half = count / 2, left = 0, right = half, used = 0;
    merge_sort(context, items, scratch, half, fold, reverse);
    merge_sort(context, items + half, scratch, count - half, fold, reverse);
    jinja_charge(context, count);
    while (left < half && right < count) {
        int order = jinja_compare(context, items[left].key, items[right].key, fold);
        bool take_left = reverse ? order >= 0 : order <= 0;
        scratch[used++] = take_left ? items[left++] : items[right++];
    }
    while (left < half)
        scratch[used++] = items[left++];
    memcpy(items, scratch, used * sizeof(*items));
}

void jinja_sort(struct jinja_context *context, struct jinja_list *list,
                const struct jinja_string *attribute, bool fold, bool reverse)
{
    struct sort_item *items = JINJA_NEW(context, struct sort_item, list->count + 1);
    struct sort_item *scratch = JINJA_NEW(context, struct sort_item, list->count + 1);
    for (size_t i = 0; i < list->count; i++) {
        items[i].item = list->items[i];
        items[i].key =
            attribute == NULL ? list->items[i] : jinja_path(context, list->items[i], attribute);
    }
    merge_sort(context, items, scratch, list->count, fold, reverse);
    for (size_t i = 0; i < list->count; i++)
        list->items[i] = items[i].item;
}

static struct jinja_list *copy_of(struct jinja_context *context, struct jinja_value value)
{
    const struct jinja_list *source = jinja_iterate(context, value);
    struct jinja_list *copy = jinja_list(context).list;
    jinja_charge(context, source->count);
    for (size_t i = 0; i < source->count; i++)
        jinja_append(context, copy, source->items[i]);
    return copy;
}

static struct jinja_value as_list(struct jinja_list *list)
{
    return (struct jinja_value){.kind = JINJA_LIST, .list = list};
}

/* ---- filters --------------------------------------------------------------------------------- */

JINJA_FILTER(batch)
{
    const struct jinja_list *items = jinja_iterate(context, value);
    int64_t size = jinja_argument_integer(context, arguments, 0, "linecount", 0);
    struct jinja_list *out = jinja_list(context).list;
    if (size < 1)
        JINJA_FAIL(context, TAKT_FORMAT, "batch of %lld items", (long long)size);
    for (size_t i = 0; i < items->count; i++) {
        if (i % (size_t)size == 0)
            jinja_append(context, out, jinja_list(context));
        jinja_append(context, out->items[out->count - 1].list, items->items[i]);
    }
    return as_list(out);
}

JINJA_FILTER(dictsort)
{
    static const struct jinja_string first = {"0", NULL, 1}, second = {"1", NULL, 1};
    static const struct jinja_string items = {"items", NULL, 5};
    const struct jinja_arguments none = {NULL, 0, NULL};
    if (value.kind != JINJA_DICT)
        JINJA_FAIL(context, TAKT_FORMAT, "dictsort of %s", jinja_kind_name(value.kind));
    bool sensitive = jinja_argument_truth(arguments, 0, "case_sensitive", false);
    const struct jinja_string *by = jinja_argument_string(context, arguments, 1, "by");
    bool reverse = jinja_argument_truth(arguments, 2, "reverse", false);
    struct jinja_value list = jinja_call_method(context, value, &items, &none);
    bool by_value = by != NULL && jinja_is(by, "value");
    jinja_sort(context, list.list, by_value ? &second : &first, !sensitive, reverse);
    return list;
}

JINJA_FILTER(first)
{
    (void)arguments;
    const struct jinja_list *items = jinja_iterate(context, value);
    return items->count == 0 ? jinja_undefined() : items->items[0];
}

JINJA_FILTER(last)
{
    (void)arguments;
    const struct jinja_list *items = jinja_iterate(context, value);
    return items->count == 0 ? jinja_undefined() : items->items[items->count - 1];
}

JINJA_FILTER(groupby)
{
    const struct jinja_string *path = jinja_argument_string(context, arguments, 0, "attribute");
    struct jinja_list *items = copy_of(context, value), *out = jinja_list(context).list;
    if (path == NULL)
        JINJA_FAIL(context, TAKT_FORMAT, "groupby needs an attribute");
    jinja_sort(context, items, path, true, false);
    struct jinja_value key = jinja_undefined();
    for (size_t i = 0; i < items->count; i++) {
        struct jinja_value own = jinja_path(context, items->items[i], path);
        if (i == 0 || !jinja_equal(context, own, key)) {
            struct jinja_value group = jinja_list(context);
            jinja_append(context, group.list, own);
            jinja_append(context, group.list, jinja_list(context));
            jinja_append(context, out, group);
            key = own;
        }
        jinja_append(context, out->items[out->count - 1].list->items[1].list, items->items[i]);
    }
    return as_list(out);
}

JINJA_FILTER(items)
{
    static const struct jinja_string name = {"items", NULL, 5};
    (void)arguments;
    const struct jinja_arguments none = {NULL, 0, NULL};
    if (value.kind == JINJA_UNDEFINED)
        return jinja_list(context);
    if (value.kind != JINJA_DICT)
        JINJA_FAIL(context, TAKT_FORMAT, "items of %s", jinja_kind_name(value.kind));
    return jinja_call_method(context, value, &name, &none);
}

JINJA_FILTER(join)
{
    const struct jinja_list *items = jinja_iterate(context, value);
    const struct jinja_string *separator = jinja_argument_string(context, arguments, 0, "d");
    if (separator == NULL)
        separator = jinja_argument_string(context, arguments, 0, "separator");
    const struct jinja_string *path = jinja_argument_string(context, arguments, 1, "attribute");
    struct jinja_builder builder = {NULL, NULL, 0, 0};
    for (size_t i = 0; i < items->count; i++) {
        struct jinja_value item =
            path == NULL ? items->items[i] : jinja_path(context, items->items[i], path);
        if (i != 0 && separator != NULL)
            jinja_write_string(context, &builder, separator);
        if (item.kind != JINJA_NONE)
            jinja_print(context, &builder, item);
    }
    return jinja_built(context, &builder);
}

JINJA_FILTER(length)
{
    (void)arguments;
    switch (value.kind) {
    case JINJA_UNDEFINED: return jinja_integer(0);
    case JINJA_STRING: return jinja_integer((int64_t)jinja_characters(value.string));
    case JINJA_LIST: return jinja_integer((int64_t)value.list->count);
    case JINJA_DICT: return jinja_integer((int64_t)value.dict->count);
    default: JINJA_FAIL(context, TAKT_FORMAT, "%s has no length", jinja_kind_name(value.kind));
    }
}

JINJA_FILTER(list)
{
    (void)arguments;
    return as_list(copy_of(context, value));
}

/* What a filter's rest of arguments is, when it names another filter or test. */
static struct jinja_arguments rest_of(const struct jinja_arguments *arguments, size_t skip)
{
    size_t gone = BASE_MIN(skip, arguments->count);
    return (struct jinja_arguments){arguments->values == NULL ? NULL : arguments->values + gone,
                                    arguments->count - gone, arguments->keywords};
}

JINJA_FILTER(map)
{
    const struct jinja_list *items = jinja_iterate(context, value);
    struct jinja_list *out = jinja_list(context).list;
    const struct jinja_string *path =
        jinja_argument_string(context, arguments, SIZE_MAX, "attribute");
    const struct jinja_string *name = jinja_argument_string(context, arguments, 0, "");
    struct jinja_arguments rest = rest_of(arguments, 1);
    if (path == NULL && name == NULL)
        JINJA_FAIL(context, TAKT_FORMAT, "map needs an attribute or a filter");
    for (size_t i = 0; i < items->count; i++) {
        jinja_charge(context, 1);
        struct jinja_value mapped;
        if (path != NULL) {
            mapped = jinja_path(context, items->items[i], path);
            if (mapped.kind == JINJA_UNDEFINED)
                mapped = jinja_argument(arguments, SIZE_MAX, "default");
        } else {
            mapped = jinja_filter(context, name, items->items[i], &rest);
        }
        jinja_append(context, out, mapped);
    }
    return as_list(out);
}

static struct jinja_value extreme(struct jinja_context *context, struct jinja_value value,
                                  const struct jinja_arguments *arguments, int sign)
{
    const struct jinja_list *items = jinja_iterate(context, value);
    bool fold = !jinja_argument_truth(arguments, 0, "case_sensitive", false);
    const struct jinja_string *path = jinja_argument_string(context, arguments, 1, "attribute");
    struct jinja_value best = jinja_undefined(), best_key = best;
    for (size_t i = 0; i < items->count; i++) {
        struct jinja_value item = items->items[i];
        struct jinja_value key = path == NULL ? item : jinja_path(context, item, path);
        if (i == 0 || sign * jinja_compare(context, key, best_key, fold) > 0) {
            best = item;
            best_key = key;
        }
    }
    return best;
}

JINJA_FILTER(max)
{
    return extreme(context, value, arguments, 1);
}

JINJA_FILTER(min)
{
    return extreme(context, value, arguments, -1);
}

JINJA_FILTER(reverse)
{
    (void)arguments;
    const struct jinja_list *items = jinja_iterate(context, value);
    struct jinja_list *out = jinja_list(context).list;
    struct jinja_builder builder = {NULL, NULL, 0, 0};
    for (size_t i = items->count; i-- != 0;) {
        if (value.kind == JINJA_STRING)
            jinja_write_string(context, &builder, items->items[i].string);
        else
            jinja_append(context, out, items->items[i]);
    }
    return value.kind == JINJA_STRING ? jinja_built(context, &builder) : as_list(out);
}

/* select, reject: by a test on the item; selectattr, rejectattr: on an attribute of it. */
static struct jinja_value choose(struct jinja_context *context, struct jinja_value value,
                                 const struct jinja_arguments *arguments, bool attribute,
                                 bool wanted)
{
    const struct jinja_list *items = jinja_iterate(context, value);
    struct jinja_list *out = jinja_list(context).list;
    const struct jinja_string *path =
        attribute ? jinja_argument_string(context, arguments, 0, "attribute") : NULL;
    if (attribute && path == NULL)
        JINJA_FAIL(context, TAKT_FORMAT, "the name of an attribute is missing");
    size_t skip = attribute ? 1 : 0;
    const struct jinja_string *test = jinja_argument_string(context, arguments, skip, "test");
    struct jinja_arguments rest = rest_of(arguments, skip + 1);
    for (size_t i = 0; i < items->count; i++) {
        jinja_charge(context, 1);
        struct jinja_value key = items->items[i];
        if (attribute)
            key = jinja_path(context, key, path);
        bool holds = test == NULL ? jinja_truth(key) : jinja_test(context, test, key, &rest);
        if (holds == wanted)
            jinja_append(context, out, items->items[i]);
    }
    return as_list(out);
}

JINJA_FILTER(select)
{
    return choose(context, value, arguments, false, true);
}

JINJA_FILTER(reject)
{
    return choose(context, value, arguments, false, false);
}

JINJA_FILTER(selectattr)
{
    return choose(context, value, arguments, true, true);
}

JINJA_FILTER(rejectattr)
{
    return choose(context, value, arguments, true, false);
}

JINJA_FILTER(sort)
{
    struct jinja_list *items = copy_of(context, value);
    bool reverse = jinja_argument_truth(arguments, 0, "reverse", false);
    bool sensitive = jinja_argument_truth(arguments, 1, "case_sensitive", false);
    jinja_sort(context, items, jinja_argument_string(context, arguments, 2, "attribute"),
               !sensitive, reverse);
    return as_list(items);
}

JINJA_FILTER(sum)
{
    const struct jinja_list *items = jinja_iterate(context, value);
    const struct jinja_string *path = jinja_argument_string(context, arguments, 0, "attribute");
    struct jinja_value start = jinja_argument(arguments, 1, "start");
    double total = start.kind == JINJA_FLOAT ? start.real : 0.0;
    int64_t whole = start.kind == JINJA_INT ? start.integer : 0;
    bool real = start.kind == JINJA_FLOAT;
    for (size_t i = 0; i < items->count; i++) {
        struct jinja_value item =
            path == NULL ? items->items[i] : jinja_path(context, items->items[i], path);
        if (!jinja_is_number(item))
            JINJA_FAIL(context, TAKT_FORMAT, "sum over %s", jinja_kind_name(item.kind));
        real = real || item.kind == JINJA_FLOAT;
        total += jinja_number(item);
        if (item.kind != JINJA_FLOAT &&
            __builtin_add_overflow(whole, item.kind == JINJA_BOOL ? item.boolean : item.integer,
                                   &whole))
            JINJA_FAIL(context, TAKT_LIMIT, "the sum does not fit 64 bits");
    }
    return real ? jinja_real(total + (start.kind == JINJA_INT ? (double)start.integer : 0.0))
                : jinja_integer(whole);
}

JINJA_FILTER(unique)
{
    const struct jinja_list *items = jinja_iterate(context, value);
    struct jinja_list *out = jinja_list(context).list, *keys = jinja_list(context).list;
    bool fold = !jinja_argument_truth(arguments, 0, "case_sensitive", false);
    const struct jinja_string *path = jinja_argument_string(context, arguments, 1, "attribute");
    for (size_t i = 0; i < items->count; i++) {
        struct jinja_value key =
            path == NULL ? items->items[i] : jinja_path(context, items->items[i], path);
        if (fold && key.kind == JINJA_STRING)
            key = jinja_cased(context, key.string, JINJA_LOWER);
        if (jinja_contains(context, as_list(keys), key))
            continue;
        jinja_append(context, keys, key);
        jinja_append(context, out, items->items[i]);
    }
    return as_list(out);
}
