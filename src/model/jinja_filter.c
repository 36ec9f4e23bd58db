/* Filters, tests, and the functions of the environment. */
#include "model/jinja_parts.h"
#include "model/unicode.h"

#include <math.h>
#include <string.h>

#define INDENT_MAX 256

/* ---- arguments ------------------------------------------------------------------------------- */

struct jinja_value jinja_argument(const struct jinja_arguments *arguments, size_t index,
                                  const char *name)
{
    if (index < arguments->count)
        return arguments->values[index];
    const struct jinja_value *found =
        arguments->keywords == NULL ? NULL : jinja_find(arguments->keywords, name, strlen(name));
    return found == NULL ? jinja_undefined() : *found;
}

int64_t jinja_argument_integer(struct jinja_context *context,
                               const struct jinja_arguments *arguments, size_t index,
                               const char *name, int64_t otherwise)
{
    struct jinja_value value = jinja_argument(arguments, index, name);
    if (value.kind == JINJA_UNDEFINED || value.kind == JINJA_NONE)
        return otherwise;
    if (value.kind == JINJA_BOOL)
        return value.boolean;
    if (value.kind != JINJA_INT)
        JINJA_FAIL(context, TAKT_FORMAT, "%s is a whole number, not %s", name,
                   jinja_kind_name(value.kind));
    return value.integer;
}

bool jinja_argument_truth(const struct jinja_arguments *arguments, size_t index, const char *name,
                          bool otherwise)
{
    struct jinja_value value = jinja_argument(arguments, index, name);
    return value.kind == JINJA_UNDEFINED ? otherwise : jinja_truth(value);
}

const struct jinja_string *jinja_argument_string(struct jinja_context *context,
                                                 const struct jinja_arguments *arguments,
                                                 size_t index, const char *name)
{
    struct jinja_value value = jinja_argument(arguments, index, name);
    if (value.kind == JINJA_UNDEFINED || value.kind == JINJA_NONE)
        return NULL;
    if (value.kind != JINJA_STRING)
        JINJA_FAIL(context, TAKT_FORMAT, "%s is a string, not %s", name[0] == '\0' ? "it" : name,
                   jinja_kind_name(value.kind));
    return value.string;
}

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

/* What filters of text take: a string, or a number's. */
static const struct jinja_string *text_of(struct jinja_context *context, struct jinja_value value)
{
    if (value.kind != JINJA_STRING && value.kind != JINJA_UNDEFINED && !jinja_is_number(value))
        JINJA_FAIL(context, TAKT_FORMAT, "%s is no text", jinja_kind_name(value.kind));
    return jinja_text(context, value);
}

#define FILTER(name)                                                                               \
    static struct jinja_value filter_##name(struct jinja_context *context,                         \
                                            struct jinja_value value,                              \
                                            const struct jinja_arguments *arguments)

FILTER(abs)
{
    (void)arguments;
    if (!jinja_is_number(value))
        JINJA_FAIL(context, TAKT_FORMAT, "abs of %s", jinja_kind_name(value.kind));
    if (value.kind == JINJA_FLOAT)
        return jinja_real(fabs(value.real));
    int64_t whole = value.kind == JINJA_BOOL ? value.boolean : value.integer;
    return jinja_integer(whole < 0 && whole != INT64_MIN ? -whole : whole);
}

FILTER(attr)
{
    const struct jinja_string *name = jinja_argument_string(context, arguments, 0, "name");
    return name == NULL ? jinja_undefined()
                        : jinja_member(context, value, name->bytes, name->length);
}

FILTER(batch)
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

FILTER(bool)
{
    (void)context;
    (void)arguments;
    return jinja_bool(jinja_truth(value));
}

FILTER(capitalize)
{
    (void)arguments;
    return jinja_cased(context, text_of(context, value), JINJA_CAPITALIZE);
}

FILTER(default)
{
    (void)context;
    bool empty = jinja_argument_truth(arguments, 1, "boolean", false) && !jinja_truth(value);
    if (value.kind != JINJA_UNDEFINED && !empty)
        return value;
    struct jinja_value other = jinja_argument(arguments, 0, "default_value");
    return other.kind == JINJA_UNDEFINED ? jinja_string(context, "", NULL, 0) : other;
}

FILTER(dictsort)
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

FILTER(escape)
{
    static const char *const entities[] = {"&",    "&amp;", "<",     "&lt;", ">",
                                           "&gt;", "\"",    "&#34;", "'",    "&#39;"};
    (void)arguments;
    const struct jinja_string *text = text_of(context, value);
    for (size_t i = 0; i < BASE_COUNT(entities); i += 2) {
        const struct jinja_string from = {entities[i], NULL, 1};
        const struct jinja_string to = {entities[i + 1], NULL, strlen(entities[i + 1])};
        text = jinja_replace(context, text, &from, &to, -1).string;
    }
    return (struct jinja_value){.kind = JINJA_STRING, .string = text};
}

FILTER(first)
{
    (void)arguments;
    const struct jinja_list *items = jinja_iterate(context, value);
    return items->count == 0 ? jinja_undefined() : items->items[0];
}

FILTER(last)
{
    (void)arguments;
    const struct jinja_list *items = jinja_iterate(context, value);
    return items->count == 0 ? jinja_undefined() : items->items[items->count - 1];
}

/* The number a text begins with, as far as it is one; false when it does not begin with one. */
static bool leading_number(const struct jinja_string *text, bool real, double *number)
{
    char digits[64];
    size_t used = 0, at = 0;
    while (at < text->length && unicode_is_space((unsigned char)text->bytes[at]))
        at++;
    for (; at < text->length && used + 1 < sizeof(digits); at++) {
        char c = text->bytes[at];
        bool sign = (c == '-' || c == '+') && (used == 0 || (digits[used - 1] | 32) == 'e');
        bool exponent = real && (c | 32) == 'e' && used != 0;
        if (!(c >= '0' && c <= '9') && !sign && !exponent && !(real && c == '.'))
            break;
        digits[used++] = c;
    }
    for (; used != 0; used--) {
        digits[used] = '\0';
        if (base_parse_f64(digits, -1e308, 1e308, number))
            return true;
    }
    return false;
}

FILTER(float)
{
    double number;
    if (jinja_is_number(value))
        return jinja_real(jinja_number(value));
    if (value.kind == JINJA_STRING && leading_number(value.string, true, &number))
        return jinja_real(number);
    struct jinja_value other = jinja_argument(arguments, 0, "default");
    (void)context;
    return other.kind == JINJA_UNDEFINED ? jinja_real(0.0) : other;
}

FILTER(int)
{
    double number;
    (void)context;
    if (value.kind == JINJA_INT)
        return value;
    if (value.kind == JINJA_BOOL)
        return jinja_integer(value.boolean);
    bool known = value.kind == JINJA_FLOAT && isfinite(value.real);
    number = known ? trunc(value.real) : 0.0;
    if (value.kind == JINJA_STRING) {
        int64_t whole;
        char text[32];
        const struct jinja_string *plain =
            jinja_strip(context, value.string, NULL, true, true).string;
        if (plain->length < sizeof(text)) {
            memcpy(text, plain->bytes, plain->length);
            text[plain->length] = '\0';
            bool decimal = memchr(text, 'x', plain->length) == NULL;
            if (decimal && base_parse_i64(text, INT64_MIN, INT64_MAX, &whole))
                return jinja_integer(whole);
        }
        known = leading_number(value.string, false, &number);
    }
    if (known && fabs(number) < 9.2e18)
        return jinja_integer((int64_t)number);
    struct jinja_value other = jinja_argument(arguments, 0, "default");
    return other.kind == JINJA_UNDEFINED ? jinja_integer(0) : other;
}

FILTER(format)
{
    return jinja_format(context, text_of(context, value), arguments->values, arguments->count);
}

FILTER(groupby)
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

FILTER(indent)
{
    const struct jinja_string *text = text_of(context, value);
    struct jinja_value width = jinja_argument(arguments, 0, "width");
    bool first = jinja_argument_truth(arguments, 1, "first", false);
    bool blank = jinja_argument_truth(arguments, 2, "blank", false);
    char spaces[INDENT_MAX];
    memset(spaces, ' ', sizeof(spaces));
    struct jinja_string pad = {spaces, NULL, 4};
    if (width.kind == JINJA_STRING) {
        pad = *width.string;
    } else {
        int64_t count = jinja_argument_integer(context, arguments, 0, "width", 4);
        pad.length = (size_t)BASE_MIN(BASE_MAX(count, 0), INDENT_MAX);
    }
    struct jinja_builder builder = {NULL, NULL, 0, 0};
    for (size_t start = 0, line = 0; start <= text->length; line++) {
        const char *end = memchr(text->bytes + start, '\n', text->length - start);
        size_t stop = end == NULL ? text->length : (size_t)(end - text->bytes);
        if ((line != 0 || first) && (stop != start || blank))
            jinja_write_string(context, &builder, &pad);
        jinja_write(context, &builder, text->bytes + start,
                    text->marks == NULL ? NULL : text->marks + start,
                    stop - start + (end == NULL ? 0 : 1));
        start = stop + 1;
    }
    return jinja_built(context, &builder);
}

FILTER(items)
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

FILTER(join)
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

FILTER(length)
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

FILTER(list)
{
    (void)arguments;
    return as_list(copy_of(context, value));
}

FILTER(lower)
{
    (void)arguments;
    return jinja_cased(context, text_of(context, value), JINJA_LOWER);
}

/* What a filter's rest of arguments is, when it names another filter or test. */
static struct jinja_arguments rest_of(const struct jinja_arguments *arguments, size_t skip)
{
    size_t gone = BASE_MIN(skip, arguments->count);
    return (struct jinja_arguments){arguments->values == NULL ? NULL : arguments->values + gone,
                                    arguments->count - gone, arguments->keywords};
}

FILTER(map)
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

FILTER(max)
{
    return extreme(context, value, arguments, 1);
}

FILTER(min)
{
    return extreme(context, value, arguments, -1);
}

FILTER(replace)
{
    const struct jinja_string *from = jinja_argument_string(context, arguments, 0, "old");
    const struct jinja_string *to = jinja_argument_string(context, arguments, 1, "new");
    if (from == NULL || to == NULL)
        JINJA_FAIL(context, TAKT_FORMAT, "replace needs two strings");
    return jinja_replace(context, text_of(context, value), from, to,
                         jinja_argument_integer(context, arguments, 2, "count", -1));
}

FILTER(reverse)
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

FILTER(round)
{
    int64_t digits = jinja_argument_integer(context, arguments, 0, "precision", 0);
    const struct jinja_string *method = jinja_argument_string(context, arguments, 1, "method");
    if (!jinja_is_number(value) || digits < -300 || digits > 300)
        JINJA_FAIL(context, TAKT_FORMAT, "round of %s", jinja_kind_name(value.kind));
    double scale = pow(10.0, (double)digits), scaled = jinja_number(value) * scale;
    if (method != NULL && jinja_is(method, "ceil"))
        scaled = ceil(scaled);
    else if (method != NULL && jinja_is(method, "floor"))
        scaled = floor(scaled);
    else
        scaled = nearbyint(scaled); /* halves to even, as Python */
    return jinja_real(scaled / scale);
}

FILTER(safe)
{
    (void)context;
    (void)arguments;
    return value;
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

FILTER(select)
{
    return choose(context, value, arguments, false, true);
}

FILTER(reject)
{
    return choose(context, value, arguments, false, false);
}

FILTER(selectattr)
{
    return choose(context, value, arguments, true, true);
}

FILTER(rejectattr)
{
    return choose(context, value, arguments, true, false);
}

FILTER(sort)
{
    struct jinja_list *items = copy_of(context, value);
    bool reverse = jinja_argument_truth(arguments, 0, "reverse", false);
    bool sensitive = jinja_argument_truth(arguments, 1, "case_sensitive", false);
    jinja_sort(context, items, jinja_argument_string(context, arguments, 2, "attribute"),
               !sensitive, reverse);
    return as_list(items);
}

FILTER(string)
{
    (void)arguments;
    return (struct jinja_value){.kind = JINJA_STRING, .string = jinja_text(context, value)};
}

FILTER(sum)
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

FILTER(title)
{
    (void)arguments;
    return jinja_cased(context, text_of(context, value), JINJA_TITLE_FILTER);
}

FILTER(tojson)
{
    struct jinja_json_style style = {0};
    struct jinja_value separators = jinja_argument(arguments, SIZE_MAX, "separators");
    style.indent = jinja_argument_integer(context, arguments, 0, "indent", 0);
    style.indent = BASE_MIN(BASE_MAX(style.indent, 0), INDENT_MAX);
    style.ascii = jinja_argument_truth(arguments, SIZE_MAX, "ensure_ascii", false);
    style.sort = jinja_argument_truth(arguments, SIZE_MAX, "sort_keys", false);
    if (separators.kind == JINJA_LIST && separators.list->count == 2 &&
        separators.list->items[0].kind == JINJA_STRING &&
        separators.list->items[1].kind == JINJA_STRING) {
        style.item_separator = separators.list->items[0].string;
        style.key_separator = separators.list->items[1].string;
    } else if (separators.kind != JINJA_UNDEFINED && separators.kind != JINJA_NONE) {
        JINJA_FAIL(context, TAKT_FORMAT, "separators are two strings");
    }
    struct jinja_builder builder = {NULL, NULL, 0, 0};
    jinja_write_json(context, &builder, value, &style);
    return jinja_built(context, &builder);
}

FILTER(trim)
{
    return jinja_strip(context, text_of(context, value),
                       jinja_argument_string(context, arguments, 0, "chars"), true, true);
}

FILTER(truncate)
{
    const struct jinja_string *text = text_of(context, value);
    int64_t length = jinja_argument_integer(context, arguments, 0, "length", 255);
    bool cuts_words = jinja_argument_truth(arguments, 1, "killwords", false);
    const struct jinja_string *end = jinja_argument_string(context, arguments, 2, "end");
    static const struct jinja_string dots = {"...", NULL, 3};
    int64_t leeway = jinja_argument_integer(context, arguments, 3, "leeway", 5);
    end = end == NULL ? &dots : end;
    int64_t room = length - (int64_t)jinja_characters(end);
    if ((int64_t)jinja_characters(text) <= length + BASE_MIN(leeway, 1 << 20) || room < 0)
        return value;
    size_t stop = 0, size;
    for (int64_t i = 0; i < room && stop < text->length; i++, stop += size)
        (void)unicode_decode(text->bytes + stop, text->length - stop, &size);
    for (size_t i = stop; !cuts_words && i != 0; i--)
        if (text->bytes[i] == ' ') {
            stop = i;
            break;
        }
    struct jinja_builder builder = {NULL, NULL, 0, 0};
    jinja_write(context, &builder, text->bytes, text->marks, stop);
    jinja_write_string(context, &builder, end);
    return jinja_built(context, &builder);
}

FILTER(unique)
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

FILTER(upper)
{
    (void)arguments;
    return jinja_cased(context, text_of(context, value), JINJA_UPPER);
}

FILTER(wordcount)
{
    static const struct jinja_string name = {"split", NULL, 5};
    (void)arguments;
    const struct jinja_arguments none = {NULL, 0, NULL};
    struct jinja_value text = {.kind = JINJA_STRING, .string = text_of(context, value)};
    return jinja_integer((int64_t)jinja_call_method(context, text, &name, &none).list->count);
}

struct jinja_value jinja_filter(struct jinja_context *context, const struct jinja_string *name,
                                struct jinja_value value, const struct jinja_arguments *arguments)
{
    static const struct {
        const char *name;
        struct jinja_value (*apply)(struct jinja_context *context, struct jinja_value value,
                                    const struct jinja_arguments *arguments);
    } filters[] = {{"abs", filter_abs},
                   {"attr", filter_attr},
                   {"batch", filter_batch},
                   {"bool", filter_bool},
                   {"capitalize", filter_capitalize},
                   {"count", filter_length},
                   {"d", filter_default},
                   {"default", filter_default},
                   {"dictsort", filter_dictsort},
                   {"e", filter_escape},
                   {"escape", filter_escape},
                   {"first", filter_first},
                   {"float", filter_float},
                   {"format", filter_format},
                   {"groupby", filter_groupby},
                   {"indent", filter_indent},
                   {"int", filter_int},
                   {"items", filter_items},
                   {"join", filter_join},
                   {"last", filter_last},
                   {"length", filter_length},
                   {"list", filter_list},
                   {"lower", filter_lower},
                   {"map", filter_map},
                   {"max", filter_max},
                   {"min", filter_min},
                   {"reject", filter_reject},
                   {"rejectattr", filter_rejectattr},
                   {"replace", filter_replace},
                   {"reverse", filter_reverse},
                   {"round", filter_round},
                   {"safe", filter_safe},
                   {"select", filter_select},
                   {"selectattr", filter_selectattr},
                   {"sort", filter_sort},
                   {"string", filter_string},
                   {"sum", filter_sum},
                   {"title", filter_title},
                   {"tojson", filter_tojson},
                   {"trim", filter_trim},
                   {"truncate", filter_truncate},
                   {"unique", filter_unique},
                   {"upper", filter_upper},
                   {"wordcount", filter_wordcount}};
    for (size_t i = 0; i < BASE_COUNT(filters); i++)
        if (jinja_is(name, filters[i].name)) {
            jinja_enter(context);
            struct jinja_value result = filters[i].apply(context, value, arguments);
            jinja_leave(context);
            return result;
        }
    JINJA_FAIL(context, TAKT_UNSUPPORTED, "takt has no filter %.*s",
               (int)BASE_MIN(name->length, (size_t)60), name->bytes);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static bool is_whole(struct jinja_context *context, struct jinja_value value,
                     const struct jinja_string *name)
{
    if (value.kind != JINJA_INT)
        JINJA_FAIL(context, TAKT_FORMAT, "%.*s asked of %s",
                   (int)BASE_MIN(name->length, (size_t)60), name->bytes,
                   jinja_kind_name(value.kind));
    return true;
}

static bool same_case(struct jinja_context *context, struct jinja_value value, enum jinja_cased how)
{
    return value.kind == JINJA_STRING &&
           jinja_equal(context, value, jinja_cased(context, value.string, how));
}

/* Tests of the value alone; false in *known when there is no such test. */
static bool test_alone(struct jinja_context *context, const struct jinja_string *name,
                       struct jinja_value value, bool *known)
{
    enum jinja_kind kind = value.kind;
    *known = true;
    if (jinja_is(name, "defined"))
        return kind != JINJA_UNDEFINED;
    if (jinja_is(name, "undefined"))
        return kind == JINJA_UNDEFINED;
    if (jinja_is(name, "none"))
        return kind == JINJA_NONE;
    if (jinja_is(name, "string"))
        return kind == JINJA_STRING;
    if (jinja_is(name, "mapping"))
        return kind == JINJA_DICT && !value.dict->is_namespace;
    if (jinja_is(name, "sequence"))
        return kind == JINJA_LIST || kind == JINJA_STRING || kind == JINJA_DICT;
    if (jinja_is(name, "iterable"))
        return kind == JINJA_LIST || kind == JINJA_STRING || kind == JINJA_DICT;
    if (jinja_is(name, "number"))
        return kind == JINJA_INT || kind == JINJA_FLOAT;
    if (jinja_is(name, "integer"))
        return kind == JINJA_INT;
    if (jinja_is(name, "float"))
        return kind == JINJA_FLOAT;
    if (jinja_is(name, "boolean"))
        return kind == JINJA_BOOL;
    if (jinja_is(name, "true"))
        return kind == JINJA_BOOL && value.boolean;
    if (jinja_is(name, "false"))
        return kind == JINJA_BOOL && !value.boolean;
    if (jinja_is(name, "callable"))
        return kind == JINJA_MACRO || kind == JINJA_FUNCTION || kind == JINJA_METHOD;
    if (jinja_is(name, "odd"))
        return is_whole(context, value, name) && value.integer % 2 != 0;
    if (jinja_is(name, "even"))
        return is_whole(context, value, name) && value.integer % 2 == 0;
    if (jinja_is(name, "lower"))
        return same_case(context, value, JINJA_LOWER);
    if (jinja_is(name, "upper"))
        return same_case(context, value, JINJA_UPPER);
    if (jinja_is(name, "escaped"))
        return false;
    *known = false;
    return false;
}

bool jinja_test(struct jinja_context *context, const struct jinja_string *name,
                struct jinja_value value, const struct jinja_arguments *arguments)
{
    static const struct {
        const char *name;
        int low, high; /* of the comparison's sign */
    } orders[] = {{"lt", -1, -1}, {"lessthan", -1, -1},  {"<", -1, -1}, {"le", -1, 0},
                  {"gt", 1, 1},   {"greaterthan", 1, 1}, {"ge", 0, 1}};
    bool known;
    bool result = test_alone(context, name, value, &known);
    if (known)
        return result;
    struct jinja_value other = jinja_argument(arguments, 0, "other");
    if (jinja_is(name, "eq") || jinja_is(name, "equalto") || jinja_is(name, "==") ||
        jinja_is(name, "sameas"))
        return jinja_equal(context, value, other);
    if (jinja_is(name, "ne") || jinja_is(name, "!="))
        return !jinja_equal(context, value, other);
    if (jinja_is(name, "in"))
        return jinja_contains(context, other, value);
    if (jinja_is(name, "divisibleby")) {
        if (other.kind != JINJA_INT || other.integer == 0)
            JINJA_FAIL(context, TAKT_FORMAT, "divisibleby needs a whole number but 0");
        return is_whole(context, value, name) &&
               (other.integer == -1 || value.integer % other.integer == 0);
    }
    for (size_t i = 0; i < BASE_COUNT(orders); i++)
        if (jinja_is(name, orders[i].name)) {
            int order = jinja_compare(context, value, other, false);
            order = order < 0 ? -1 : order > 0 ? 1 : 0;
            return order >= orders[i].low && order <= orders[i].high;
        }
    JINJA_FAIL(context, TAKT_UNSUPPORTED, "takt has no test %.*s",
               (int)BASE_MIN(name->length, (size_t)60), name->bytes);
}
