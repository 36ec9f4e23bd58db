/* Strings: case, stripping, searching, replacing, formats. */
#include "model/jinja_parts.h"
#include "model/unicode.h"

#include <string.h>

struct jinja_value jinja_slice_string(struct jinja_context *context,
                                      const struct jinja_string *string, size_t start, size_t end)
{
    return jinja_string(context, string->bytes + start,
                        string->marks == NULL ? NULL : string->marks + start, end - start);
}

bool jinja_is_letter(uint32_t code)
{
    enum unicode_category category = unicode_category(code);
    return category >= UNICODE_LU && category <= UNICODE_LO;
}

/* Does a word begin behind this character? For the filter title, which knows marks alone. */
static bool ends_word(uint32_t code, enum jinja_cased how)
{
    if (how == JINJA_TITLE)
        return !jinja_is_letter(code);
    return unicode_is_space(code) || code == '-' || code == '(' || code == '{' || code == '[' ||
           code == '<';
}

struct jinja_value jinja_cased(struct jinja_context *context, const struct jinja_string *string,
                               enum jinja_cased how)
{
    struct jinja_builder builder = {NULL, NULL, 0, 0};
    bool begins = true;
    size_t size;
    jinja_charge(context, string->length);
    for (size_t i = 0; i < string->length; i += size) {
        uint32_t code = unicode_decode(string->bytes + i, string->length - i, &size), to[3];
        bool foreign = string->marks != NULL && string->marks[i] != 0;
        bool upper = how == JINJA_UPPER || (how != JINJA_LOWER && begins);
        begins = how == JINJA_CAPITALIZE ? false : ends_word(code, how);
        size_t count = upper ? unicode_upper(code, to) : unicode_lower(code, to);
        for (size_t j = 0; j < count; j++)
            jinja_write_code(context, &builder, to[j], foreign);
    }
    return jinja_built(context, &builder);
}

static bool in_set(uint32_t code, const struct jinja_string *set)
{
    if (set == NULL)
        return unicode_is_space(code);
    size_t size;
    for (size_t i = 0; i < set->length; i += size)
        if (unicode_decode(set->bytes + i, set->length - i, &size) == code)
            return true;
    return false;
}

struct jinja_value jinja_strip(struct jinja_context *context, const struct jinja_string *string,
                               const struct jinja_string *set, bool left, bool right)
{
    size_t start = 0, end = string->length, size;
    jinja_charge(context, 1 + (set == NULL ? 0 : set->length / 16));
    while (left && start < end &&
           in_set(unicode_decode(string->bytes + start, end - start, &size), set)) {
        jinja_charge(context, 1);
        start += size;
    }
    while (right && end > start) {
        size_t at = end - 1;
        while (at > start && ((unsigned char)string->bytes[at] & 0xC0) == 0x80 && end - at < 4)
            at--;
        uint32_t code = unicode_decode(string->bytes + at, end - at, &size);
        if (at + size != end || !in_set(code, set))
            break;
        jinja_charge(context, 1);
        end = at;
    }
    return jinja_slice_string(context, string, start, end);
}

size_t jinja_find_text(const struct jinja_string *string, const struct jinja_string *what,
                       size_t from)
{
    if (from > string->length || what->length > string->length - from)
        return SIZE_MAX;
    if (what->length == 0)
        return from;
    const char *found =
        memmem(string->bytes + from, string->length - from, what->bytes, what->length);
    return found == NULL ? SIZE_MAX : (size_t)(found - string->bytes);
}

size_t jinja_find_last_text(const struct jinja_string *string, const struct jinja_string *what,
                            size_t end)
{
    if (what->length > end)
        return SIZE_MAX;
    for (size_t at = end - what->length + 1; at-- != 0;)
        if (memcmp(string->bytes + at, what->bytes, what->length) == 0)
            return at;
    return SIZE_MAX;
}

struct jinja_value jinja_replace(struct jinja_context *context, const struct jinja_string *string,
                                 const struct jinja_string *from, const struct jinja_string *to,
                                 int64_t count)
{
    struct jinja_builder builder = {NULL, NULL, 0, 0};
    size_t at = 0;
    jinja_charge(context, string->length / 4);
    while (count != 0 && at <= string->length) {
        size_t found = jinja_find_text(string, from, at), size = 0;
        if (found == SIZE_MAX)
            break;
        jinja_charge(context, 1);
        jinja_write(context, &builder, string->bytes + at,
                    string->marks == NULL ? NULL : string->marks + at, found - at);
        jinja_write_string(context, &builder, to);
        at = found + from->length;
        if (from->length == 0) { /* between all characters */
            if (at == string->length) {
                at++;
                break;
            }
            (void)unicode_decode(string->bytes + at, string->length - at, &size);
            jinja_write(context, &builder, string->bytes + at,
                        string->marks == NULL ? NULL : string->marks + at, size);
            at += size;
        }
        count -= count > 0 ? 1 : 0;
    }
    if (at < string->length)
        jinja_write(context, &builder, string->bytes + at,
                    string->marks == NULL ? NULL : string->marks + at, string->length - at);
    return jinja_built(context, &builder);
}

/* ---- formats --------------------------------------------------------------------------------- */

/* One conversion like "%-5.2f" applied to a value; `spec` ends with its letter. */
static void write_conversion(struct jinja_context *context, struct jinja_builder *builder,
                             const char *flags, char letter, struct jinja_value value)
{
    char format[24], text[512];
    if (letter == 's' || letter == 'r') {
        const struct jinja_string *string = jinja_text(context, value);
        int width = 0, precision = -1;
        const char *point = strchr(flags, '.');
        bool left = strchr(flags, '-') != NULL;
        const char *digits = flags + strspn(flags, "-+ #0");
        for (; *digits >= '0' && *digits <= '9' && width < 10000; digits++)
            width = 10 * width + (*digits - '0');
        if (point != NULL)
            for (precision = 0, point++; *point >= '0' && *point <= '9' && precision < 1000000;
                 point++)
                precision = 10 * precision + (*point - '0');
        size_t end = 0, characters = 0, size;
        while (end < string->length && (precision < 0 || characters < (size_t)precision)) {
            (void)unicode_decode(string->bytes + end, string->length - end, &size);
            end += size;
            characters++;
        }
        for (size_t i = characters; !left && i < (size_t)width; i++)
            jinja_write(context, builder, " ", NULL, 1);
        jinja_write(context, builder, string->bytes, string->marks, end);
        for (size_t i = characters; left && i < (size_t)width; i++)
            jinja_write(context, builder, " ", NULL, 1);
        return;
    }
    bool real = strchr("eEfFgG", letter) != NULL;
    if (!jinja_is_number(value) || strchr("dixXoeEfFgG", letter) == NULL)
        JINJA_FAIL(context, TAKT_FORMAT, "%%%c cannot format %s", letter,
                   jinja_kind_name(value.kind));
    int used;
    if (real) {
        snprintf(format, sizeof(format), "%%%s%c", flags, letter);
        used = snprintf(text, sizeof(text), format, jinja_number(value));
    } else {
        snprintf(format, sizeof(format), "%%%sll%c", flags, letter);
        long long whole = value.kind == JINJA_INT ? (long long)value.integer
                          : value.kind == JINJA_BOOL
                              ? value.boolean
                              : (long long)BASE_MIN(BASE_MAX(value.real, -9e18), 9e18);
        used = snprintf(text, sizeof(text), format, whole);
    }
    if (used < 0 || (size_t)used >= sizeof(text))
        JINJA_FAIL(context, TAKT_LIMIT, "%%%s%c is too wide", flags, letter);
    jinja_write(context, builder, text, NULL, (size_t)used);
}

/* The flags, width and precision in front: at most 10 characters, NUL-terminated. */
static size_t take_flags(struct jinja_context *context, const char *text, size_t length,
                         char flags[12])
{
    size_t used = 0;
    while (used < length && text[used] != '\0' && strchr("-+ #0123456789.", text[used]) != NULL) {
        if (used == 10)
            JINJA_FAIL(context, TAKT_FORMAT, "a conversion of more than 10 characters");
        flags[used] = text[used];
        used++;
    }
    flags[used] = '\0';
    return used;
}

struct jinja_value jinja_format(struct jinja_context *context, const struct jinja_string *format,
                                const struct jinja_value *values, size_t count)
{
    struct jinja_builder builder = {NULL, NULL, 0, 0};
    size_t next = 0;
    for (size_t i = 0; i < format->length; i++) {
        const unsigned char *mark = format->marks == NULL ? NULL : format->marks + i;
        char flags[12];
        if (format->bytes[i] != '%') {
            jinja_write(context, &builder, format->bytes + i, mark, 1);
            continue;
        }
        i += 1 + take_flags(context, format->bytes + i + 1, format->length - i - 1, flags);
        if (i >= format->length)
            JINJA_FAIL(context, TAKT_FORMAT, "the format ends within a conversion");
        if (format->bytes[i] == '%') {
            jinja_write(context, &builder, "%", NULL, 1);
            continue;
        }
        if (next == count)
            JINJA_FAIL(context, TAKT_FORMAT, "the format wants more than %zu values", count);
        write_conversion(context, &builder, flags, format->bytes[i], values[next++]);
    }
    return jinja_built(context, &builder);
}

struct jinja_value jinja_format_braces(struct jinja_context *context,
                                       const struct jinja_string *format,
                                       const struct jinja_arguments *arguments)
{
    struct jinja_builder builder = {NULL, NULL, 0, 0};
    size_t next = 0;
    for (size_t i = 0; i < format->length; i++) {
        const char *at = format->bytes + i;
        const unsigned char *mark = format->marks == NULL ? NULL : format->marks + i;
        if (*at != '{' && *at != '}') {
            jinja_write(context, &builder, at, mark, 1);
            continue;
        }
        if (i + 1 < format->length && at[1] == *at) {
            jinja_write(context, &builder, at, mark, 1);
            i++;
            continue;
        }
        const char *end = *at == '}' ? NULL : memchr(at, '}', format->length - i);
        if (end == NULL)
            JINJA_FAIL(context, TAKT_FORMAT, "a single %c in a format", *at);
        const char *colon = memchr(at, ':', (size_t)(end - at));
        const char *name = at + 1;
        size_t name_length = (size_t)((colon == NULL ? end : colon) - name);
        struct jinja_value value = jinja_undefined();
        const struct jinja_value *found = NULL;
        if (name_length == 0)
            found = next < arguments->count ? &arguments->values[next++] : NULL;
        else if (*name >= '0' && *name <= '9' && name_length == 1)
            found =
                (size_t)(*name - '0') < arguments->count ? &arguments->values[*name - '0'] : NULL;
        else if (arguments->keywords != NULL)
            found = jinja_find(arguments->keywords, name, name_length);
        if (found == NULL)
            JINJA_FAIL(context, TAKT_FORMAT, "the format wants a value that is not given");
        value = *found;
        char flags[12] = "";
        size_t used =
            colon == NULL ? 0 : take_flags(context, colon + 1, (size_t)(end - colon - 1), flags);
        const char *letter = colon == NULL ? end : colon + 1 + used;
        if (end - letter > 1)
            JINJA_FAIL(context, TAKT_UNSUPPORTED, "the conversion {%.*s}",
                       (int)BASE_MIN(end - name, 40), name);
        write_conversion(context, &builder, flags, letter == end ? 's' : *letter, value);
        i += (size_t)(end - at);
    }
    return jinja_built(context, &builder);
}
