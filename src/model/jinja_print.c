/*
 * Text of values: built byte by byte with its marks, printed as {{ value }} is, or as JSON.
 * Requires: a builder, zeroed at first. Fills in: its bytes; its marks from the first foreign byte.
 */
#include "model/jinja_parts.h"
#include "model/unicode.h"

#include <math.h>
#include <string.h>

/* ---- building -------------------------------------------------------------------------------- */

static void reserve(struct jinja_context *context, struct jinja_builder *builder, size_t more,
                    bool marked)
{
    if (more > builder->capacity - builder->length) {
        size_t capacity = BASE_MAX((size_t)64, 2 * builder->capacity);
        capacity = BASE_MAX(capacity, builder->length + more);
        char *bytes = JINJA_NEW(context, char, capacity);
        if (builder->length != 0)
            memcpy(bytes, builder->bytes, builder->length);
        builder->bytes = bytes;
        if (builder->marks != NULL) {
            unsigned char *marks = JINJA_NEW(context, unsigned char, capacity);
            memcpy(marks, builder->marks, builder->length);
            builder->marks = marks;
        }
        builder->capacity = capacity;
    }
    if (marked && builder->marks == NULL)
        builder->marks = JINJA_NEW(context, unsigned char, builder->capacity);
}

void jinja_write(struct jinja_context *context, struct jinja_builder *builder, const char *bytes,
                 const unsigned char *marks, size_t length)
{
    if (length == 0)
        return;
    jinja_charge(context, length / 16);
    reserve(context, builder, length, marks != NULL);
    memcpy(builder->bytes + builder->length, bytes, length);
    if (marks != NULL)
        memcpy(builder->marks + builder->length, marks, length);
    else if (builder->marks != NULL)
        memset(builder->marks + builder->length, 0, length);
    builder->length += length;
}

void jinja_write_code(struct jinja_context *context, struct jinja_builder *builder, uint32_t code,
                      bool foreign)
{
    static const unsigned char ones[4] = {1, 1, 1, 1};
    char bytes[4];
    jinja_write(context, builder, bytes, foreign ? ones : NULL, unicode_encode(code, bytes));
}

struct jinja_value jinja_built(struct jinja_context *context, const struct jinja_builder *builder)
{
    return jinja_string(context, builder->length == 0 ? "" : builder->bytes, builder->marks,
                        builder->length);
}

/* ---- printing -------------------------------------------------------------------------------- */

static void print_real(struct jinja_context *context, struct jinja_builder *builder, double real)
{
    char text[40];
    if (isnan(real) || isinf(real)) {
        snprintf(text, sizeof(text), "%s",
                 isnan(real) ? "NaN"
                 : real < 0  ? "-Infinity"
                             : "Infinity");
    } else {
        /* The fewest digits that read back as the same number. */
        for (int digits = 15; digits <= 17; digits++) {
            double back = 0.0;
            snprintf(text, sizeof(text), "%.*g", digits, real);
            if (base_parse_f64(text, -HUGE_VAL, HUGE_VAL, &back) && back == real)
                break;
        }
        if (strpbrk(text, ".e") == NULL)
            strcat(text, ".0");
    }
    jinja_write(context, builder, text, NULL, strlen(text));
}

void jinja_print(struct jinja_context *context, struct jinja_builder *builder,
                 struct jinja_value value)
{
    char text[32];
    struct jinja_json_style style = {.undefined_word = true};
    switch (value.kind) {
    case JINJA_UNDEFINED: break;
    case JINJA_NONE: JINJA_FAIL(context, TAKT_FORMAT, "none has no text");
    case JINJA_BOOL:
        snprintf(text, sizeof(text), "%s", value.boolean ? "true" : "false");
        jinja_write(context, builder, text, NULL, strlen(text));
        break;
    case JINJA_INT:
        snprintf(text, sizeof(text), "%lld", (long long)value.integer);
        jinja_write(context, builder, text, NULL, strlen(text));
        break;
    case JINJA_FLOAT: print_real(context, builder, value.real); break;
    case JINJA_STRING: jinja_write_string(context, builder, value.string); break;
    case JINJA_LIST:
    case JINJA_DICT: jinja_write_json(context, builder, value, &style); break;
    default:
        JINJA_FAIL(context, TAKT_FORMAT, "a %s cannot be printed; is () missing?",
                   jinja_kind_name(value.kind));
    }
}

const struct jinja_string *jinja_text(struct jinja_context *context, struct jinja_value value)
{
    if (value.kind == JINJA_STRING)
        return value.string;
    struct jinja_builder builder = {NULL, NULL, 0, 0};
    jinja_print(context, &builder, value);
    return jinja_built(context, &builder).string;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void write_plain(struct jinja_context *context, struct jinja_builder *builder,
                        const char *text)
{
    jinja_write(context, builder, text, NULL, strlen(text));
}

static void write_escaped(struct jinja_context *context, struct jinja_builder *builder,
                          const struct jinja_string *string, bool ascii)
{
    static const char letters[] = "\bb\ff\nn\rr\tt\"\"\\\\";
    write_plain(context, builder, "\"");
    size_t size;
    for (size_t i = 0; i < string->length; i += size) {
        uint32_t code = unicode_decode(string->bytes + i, string->length - i, &size);
        const unsigned char *marks = string->marks == NULL ? NULL : string->marks + i;
        unsigned char ones[16];
        memset(ones, marks != NULL && marks[0] != 0, sizeof(ones));
        char text[16] = "";
        for (const char *letter = letters; *letter != '\0'; letter += 2)
            if (code == (unsigned char)letter[0])
                snprintf(text, sizeof(text), "\\%c", letter[1]);
        if (text[0] == '\0' && (code < 0x20 || (ascii && code >= 0x7F && code <= 0xFFFF)))
            snprintf(text, sizeof(text), "\\u%04x", code);
        else if (text[0] == '\0' && ascii && code > 0xFFFF)
            snprintf(text, sizeof(text), "\\u%04x\\u%04x", 0xD800 + ((code - 0x10000) >> 10),
                     0xDC00 + ((code - 0x10000) & 0x3FF));
        if (text[0] == '\0')
            jinja_write(context, builder, string->bytes + i, marks, size);
        else
            jinja_write(context, builder, text, ones, strlen(text));
    }
    write_plain(context, builder, "\"");
}

struct json_writer {
    struct jinja_context *context;
    struct jinja_builder *builder;
    const struct jinja_json_style *style;
};

static void write_separator(struct json_writer *writer, bool key)
{
    const struct jinja_string *separator =
        key ? writer->style->key_separator : writer->style->item_separator;
    if (separator != NULL)
        jinja_write_string(writer->context, writer->builder, separator);
    else
        write_plain(writer->context, writer->builder,
                    key                         ? ": "
                    : writer->style->indent > 0 ? ","
                                                : ", ");
}

static void write_line(struct json_writer *writer, size_t level)
{
    if (writer->style->indent <= 0)
        return;
    write_plain(writer->context, writer->builder, "\n");
    for (size_t i = 0; i < level * (size_t)writer->style->indent; i++)
        write_plain(writer->context, writer->builder, " ");
}

static void write_value(struct json_writer *writer, struct jinja_value value, size_t level);

static void write_dict(struct json_writer *writer, const struct jinja_dict *dict, size_t level)
{
    struct jinja_context *context = writer->context;
    struct jinja_value keys = jinja_list(context);
    for (size_t i = 0; i < dict->count; i++)
        jinja_append(context, keys.list,
                     (struct jinja_value){.kind = JINJA_STRING, .string = &dict->entries[i].key});
    if (writer->style->sort)
        jinja_sort(context, keys.list, NULL, false, false);
    write_plain(context, writer->builder, "{");
    for (size_t i = 0; i < dict->count; i++) {
        const struct jinja_string *key = keys.list->items[i].string;
        if (i != 0)
            write_separator(writer, false);
        write_line(writer, level + 1);
        write_escaped(context, writer->builder, key, writer->style->ascii);
        write_separator(writer, true);
        write_value(writer, *jinja_find(dict, key->bytes, key->length), level + 1);
    }
    if (dict->count != 0)
        write_line(writer, level);
    write_plain(context, writer->builder, "}");
}

static void write_list(struct json_writer *writer, const struct jinja_list *list, size_t level)
{
    write_plain(writer->context, writer->builder, "[");
    for (size_t i = 0; i < list->count; i++) {
        if (i != 0)
            write_separator(writer, false);
        write_line(writer, level + 1);
        write_value(writer, list->items[i], level + 1);
    }
    if (list->count != 0)
        write_line(writer, level);
    write_plain(writer->context, writer->builder, "]");
}

static void write_value(struct json_writer *writer, struct jinja_value value, size_t level)
{
    struct jinja_context *context = writer->context;
    jinja_enter(context);
    jinja_charge(context, 1);
    switch (value.kind) {
    case JINJA_UNDEFINED:
        write_plain(context, writer->builder, writer->style->undefined_word ? "undefined" : "null");
        break;
    case JINJA_NONE: write_plain(context, writer->builder, "null"); break;
    case JINJA_STRING:
        write_escaped(context, writer->builder, value.string, writer->style->ascii);
        break;
    case JINJA_LIST: write_list(writer, value.list, level); break;
    case JINJA_DICT: write_dict(writer, value.dict, level); break;
    case JINJA_LOOP:
    case JINJA_MACRO:
    case JINJA_FUNCTION:
    case JINJA_METHOD:
        JINJA_FAIL(context, TAKT_FORMAT, "a %s has no JSON", jinja_kind_name(value.kind));
    default: jinja_print(context, writer->builder, value); break;
    }
    jinja_leave(context);
}

void jinja_write_json(struct jinja_context *context, struct jinja_builder *builder,
                      struct jinja_value value, const struct jinja_json_style *style)
{
    struct json_writer writer = {context, builder, style};
    write_value(&writer, value, 0);
}
