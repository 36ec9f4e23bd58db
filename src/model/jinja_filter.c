/* Filters of text and numbers, and the table of all filters. */
#include "model/jinja_filter.h"
#include "model/unicode.h"

#include <math.h>
#include <string.h>

#define INDENT_MAX 256

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

FILTER(lower)
{
    (void)arguments;
    return jinja_cased(context, text_of(context, value), JINJA_LOWER);
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

FILTER(string)
{
    (void)arguments;
    return (struct jinja_value){.kind = JINJA_STRING, .string = jinja_text(context, value)};
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
                   {"batch", jinja_filter_batch},
                   {"bool", filter_bool},
                   {"capitalize", filter_capitalize},
                   {"count", jinja_filter_length},
                   {"d", filter_default},
                   {"default", filter_default},
                   {"dictsort", jinja_filter_dictsort},
                   {"e", filter_escape},
                   {"escape", filter_escape},
                   {"first", jinja_filter_first},
                   {"float", filter_float},
                   {"format", filter_format},
                   {"groupby", jinja_filter_groupby},
                   {"indent", filter_indent},
                   {"int", filter_int},
                   {"items", jinja_filter_items},
                   {"join", jinja_filter_join},
                   {"last", jinja_filter_last},
                   {"length", jinja_filter_length},
                   {"list", jinja_filter_list},
                   {"lower", filter_lower},
                   {"map", jinja_filter_map},
                   {"max", jinja_filter_max},
                   {"min", jinja_filter_min},
                   {"reject", jinja_filter_reject},
                   {"rejectattr", jinja_filter_rejectattr},
                   {"replace", filter_replace},
                   {"reverse", jinja_filter_reverse},
                   {"round", filter_round},
                   {"safe", filter_safe},
                   {"select", jinja_filter_select},
                   {"selectattr", jinja_filter_selectattr},
                   {"sort", jinja_filter_sort},
                   {"string", filter_string},
                   {"sum", jinja_filter_sum},
                   {"title", filter_title},
                   {"tojson", filter_tojson},
                   {"trim", filter_trim},
                   {"truncate", filter_truncate},
                   {"unique", jinja_filter_unique},
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
