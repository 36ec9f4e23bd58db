/* Methods of strings, lists, mappings and loops. */
#include "model/jinja_parts.h"
#include "model/unicode.h"

#include <string.h>

/* ---- methods of strings ---------------------------------------------------------------------- */

static struct jinja_value split_spaces(struct jinja_context *context,
                                       const struct jinja_string *string, int64_t most)
{
    struct jinja_value list = jinja_list(context);
    size_t at = 0, size;
    jinja_charge(context, string->length / 4);
    for (;;) {
        while (at < string->length &&
               unicode_is_space(unicode_decode(string->bytes + at, string->length - at, &size)))
            at += size;
        if (at == string->length)
            return list;
        size_t start = at;
        if (most >= 0 && list.list->count == (size_t)most) {
            struct jinja_value rest = jinja_slice_string(context, string, at, string->length);
            jinja_append(context, list.list, jinja_strip(context, rest.string, NULL, false, true));
            return list;
        }
        while (at < string->length &&
               !unicode_is_space(unicode_decode(string->bytes + at, string->length - at, &size)))
            at += size;
        jinja_append(context, list.list, jinja_slice_string(context, string, start, at));
    }
}

static struct jinja_value split(struct jinja_context *context, const struct jinja_string *string,
                                const struct jinja_string *separator, int64_t most, bool from_right)
{
    if (separator == NULL)
        return split_spaces(context, string, from_right ? -1 : most);
    if (separator->length == 0)
        JINJA_FAIL(context, TAKT_FORMAT, "split by an empty text");
    struct jinja_value list = jinja_list(context);
    jinja_charge(context, string->length / 4);
    size_t at = 0, end = string->length;
    for (int64_t parts = 0; most < 0 || parts < most; parts++) {
        size_t found = from_right ? jinja_find_last_text(string, separator, end)
                                  : jinja_find_text(string, separator, at);
        if (found == SIZE_MAX)
            break;
        jinja_append(context, list.list,
                     from_right
                         ? jinja_slice_string(context, string, found + separator->length, end)
                         : jinja_slice_string(context, string, at, found));
        at = found + separator->length;
        end = from_right ? found : end;
    }
    jinja_append(context, list.list, jinja_slice_string(context, string, from_right ? 0 : at, end));
    for (size_t i = 0; from_right && i < list.list->count / 2; i++) {
        struct jinja_value *items = list.list->items, swap = items[i];
        items[i] = items[list.list->count - 1 - i];
        items[list.list->count - 1 - i] = swap;
    }
    return list;
}

static struct jinja_value split_lines(struct jinja_context *context,
                                      const struct jinja_string *string, bool keep_ends)
{
    struct jinja_value list = jinja_list(context);
    for (size_t at = 0; at < string->length;) {
        size_t end = at;
        while (end < string->length && string->bytes[end] != '\n' && string->bytes[end] != '\r')
            end++;
        size_t next = end < string->length ? end + 1 : end;
        if (next < string->length && string->bytes[end] == '\r' && string->bytes[next] == '\n')
            next++;
        jinja_append(context, list.list,
                     jinja_slice_string(context, string, at, keep_ends ? next : end));
        at = next;
    }
    return list;
}

static bool has_affix(struct jinja_context *context, const struct jinja_string *string,
                      struct jinja_value affix, bool front)
{
    if (affix.kind == JINJA_LIST) {
        for (size_t i = 0; i < affix.list->count; i++)
            if (has_affix(context, string, affix.list->items[i], front))
                return true;
        return false;
    }
    if (affix.kind != JINJA_STRING)
        JINJA_FAIL(context, TAKT_FORMAT, "%s is no text to begin or end with",
                   jinja_kind_name(affix.kind));
    size_t length = affix.string->length;
    return length <= string->length && memcmp(string->bytes + (front ? 0 : string->length - length),
                                              affix.string->bytes, length) == 0;
}

static struct jinja_value partition(struct jinja_context *context,
                                    const struct jinja_string *string,
                                    const struct jinja_string *separator, bool last)
{
    struct jinja_value list = jinja_list(context);
    size_t found = last ? jinja_find_last_text(string, separator, string->length)
                        : jinja_find_text(string, separator, 0);
    bool none = found == SIZE_MAX;
    size_t start = none ? (last ? 0 : string->length) : found;
    size_t end = none ? start : found + separator->length;
    jinja_append(context, list.list, jinja_slice_string(context, string, 0, start));
    jinja_append(context, list.list, jinja_slice_string(context, string, start, end));
    jinja_append(context, list.list, jinja_slice_string(context, string, end, string->length));
    return list;
}

/* isdigit and its like: every character is of the kind, and there is one. */
static bool all_are(const struct jinja_string *string, const char *what)
{
    size_t size;
    bool cased = false;
    for (size_t i = 0; i < string->length; i += size) {
        uint32_t code = unicode_decode(string->bytes + i, string->length - i, &size), to[3];
        enum unicode_category category = unicode_category(code);
        bool digit = category == UNICODE_ND, letter = jinja_is_letter(code), good = false;
        if (strcmp(what, "digit") == 0)
            good = digit;
        else if (strcmp(what, "alpha") == 0)
            good = letter;
        else if (strcmp(what, "alnum") == 0)
            good = digit || letter;
        else if (strcmp(what, "space") == 0)
            good = unicode_is_space(code);
        else if (strcmp(what, "upper") == 0)
            good = !(unicode_upper(code, to) != 1 || to[0] != code);
        else
            good = !(unicode_lower(code, to) != 1 || to[0] != code);
        bool has_case =
            (unicode_upper(code, to), to[0] != code) || (unicode_lower(code, to), to[0] != code);
        cased = cased || has_case;
        if (!good)
            return false;
    }
    bool about_case = strcmp(what, "upper") == 0 || strcmp(what, "lower") == 0;
    return string->length != 0 && (!about_case || cased);
}

static struct jinja_value pad(struct jinja_context *context, const struct jinja_string *string,
                              const struct jinja_arguments *arguments, const char *how)
{
    int64_t width = jinja_argument_integer(context, arguments, 0, "width", 0);
    const struct jinja_string *fill = jinja_argument_string(context, arguments, 1, "fillchar");
    static const struct jinja_string space = {" ", NULL, 1}, zero = {"0", NULL, 1};
    bool zeros = strcmp(how, "zfill") == 0;
    if (fill == NULL || zeros)
        fill = zeros ? &zero : &space;
    int64_t missing = width - (int64_t)jinja_characters(string);
    int64_t before = strcmp(how, "ljust") == 0    ? 0
                     : strcmp(how, "center") == 0 ? missing / 2
                                                  : missing;
    struct jinja_builder builder = {NULL, NULL, 0, 0};
    size_t sign = zeros && string->length != 0 && strchr("+-", string->bytes[0]) != NULL ? 1 : 0;
    jinja_write(context, &builder, string->bytes, string->marks, sign);
    for (int64_t i = 0; i < before; i++)
        jinja_write_string(context, &builder, fill);
    jinja_write(context, &builder, string->bytes + sign,
                string->marks == NULL ? NULL : string->marks + sign, string->length - sign);
    for (int64_t i = before; i < missing; i++)
        jinja_write_string(context, &builder, fill);
    return jinja_built(context, &builder);
}

static const struct jinja_string *needed(struct jinja_context *context,
                                         const struct jinja_arguments *arguments, size_t index)
{
    const struct jinja_string *string = jinja_argument_string(context, arguments, index, "");
    if (string == NULL)
        JINJA_FAIL(context, TAKT_FORMAT, "a text is missing between the parentheses");
    return string;
}

static int64_t position_of(const struct jinja_string *string, size_t at)
{
    const struct jinja_string before = {string->bytes, NULL, at};
    return at == SIZE_MAX ? -1 : (int64_t)jinja_characters(&before);
}

static int64_t count_of(struct jinja_context *context, const struct jinja_string *string,
                        const struct jinja_string *what)
{
    int64_t count = 0;
    if (what->length == 0)
        return (int64_t)jinja_characters(string) + 1;
    jinja_charge(context, string->length / 4);
    for (size_t at = 0; (at = jinja_find_text(string, what, at)) != SIZE_MAX; at += what->length)
        count++;
    return count;
}

static struct jinja_value join(struct jinja_context *context, const struct jinja_string *separator,
                               const struct jinja_list *list)
{
    struct jinja_builder builder = {NULL, NULL, 0, 0};
    for (size_t i = 0; i < list->count; i++) {
        if (i != 0)
            jinja_write_string(context, &builder, separator);
        jinja_print(context, &builder, list->items[i]);
    }
    return jinja_built(context, &builder);
}

static const char *const string_methods[] = {
    "capitalize", "center",       "count",        "endswith", "find",       "format",
    "index",      "isalnum",      "isalpha",      "isdigit",  "islower",    "isnumeric",
    "isspace",    "isupper",      "join",         "ljust",    "lower",      "lstrip",
    "partition",  "removeprefix", "removesuffix", "replace",  "rfind",      "rjust",
    "rpartition", "rsplit",       "rstrip",       "split",    "splitlines", "startswith",
    "strip",      "title",        "upper",        "zfill",    "casefold",   "isdecimal"};

static struct jinja_value string_method(struct jinja_context *context,
                                        const struct jinja_string *self,
                                        const struct jinja_string *name,
                                        const struct jinja_arguments *arguments)
{
    const struct jinja_string *text = NULL;
    if (jinja_is(name, "upper"))
        return jinja_cased(context, self, JINJA_UPPER);
    if (jinja_is(name, "lower") || jinja_is(name, "casefold"))
        return jinja_cased(context, self, JINJA_LOWER);
    if (jinja_is(name, "title"))
        return jinja_cased(context, self, JINJA_TITLE);
    if (jinja_is(name, "capitalize"))
        return jinja_cased(context, self, JINJA_CAPITALIZE);
    if (jinja_is(name, "strip") || jinja_is(name, "lstrip") || jinja_is(name, "rstrip"))
        return jinja_strip(context, self, jinja_argument_string(context, arguments, 0, "chars"),
                           name->bytes[0] != 'r', name->bytes[0] != 'l');
    if (jinja_is(name, "startswith") || jinja_is(name, "endswith"))
        return jinja_bool(has_affix(context, self, jinja_argument(arguments, 0, "prefix"),
                                    name->bytes[0] == 's'));
    if (jinja_is(name, "split") || jinja_is(name, "rsplit"))
        return split(context, self, jinja_argument_string(context, arguments, 0, "sep"),
                     jinja_argument_integer(context, arguments, 1, "maxsplit", -1),
                     name->bytes[0] == 'r');
    if (jinja_is(name, "splitlines"))
        return split_lines(context, self, jinja_argument_truth(arguments, 0, "keepends", false));
    if (jinja_is(name, "replace"))
        return jinja_replace(context, self, needed(context, arguments, 0),
                             needed(context, arguments, 1),
                             jinja_argument_integer(context, arguments, 2, "count", -1));
    if (jinja_is(name, "join"))
        return join(context, self,
                    jinja_iterate(context, jinja_argument(arguments, 0, "iterable")));
    if (jinja_is(name, "format"))
        return jinja_format_braces(context, self, arguments);
    if (jinja_is(name, "partition") || jinja_is(name, "rpartition"))
        return partition(context, self, needed(context, arguments, 0), name->bytes[0] == 'r');
    if (jinja_is(name, "removeprefix") || jinja_is(name, "removesuffix")) {
        bool front = jinja_is(name, "removeprefix");
        text = needed(context, arguments, 0);
        struct jinja_value affix = {.kind = JINJA_STRING, .string = text};
        bool there = has_affix(context, self, affix, front);
        return jinja_slice_string(context, self, there && front ? text->length : 0,
                                  self->length - (there && !front ? text->length : 0));
    }
    if (jinja_is(name, "find") || jinja_is(name, "index"))
        text = needed(context, arguments, 0);
    if (text != NULL || jinja_is(name, "rfind")) {
        bool last = name->bytes[0] == 'r';
        text = needed(context, arguments, 0);
        int64_t at = position_of(self, last ? jinja_find_last_text(self, text, self->length)
                                            : jinja_find_text(self, text, 0));
        if (at < 0 && jinja_is(name, "index"))
            JINJA_FAIL(context, TAKT_FORMAT, "the text is not in there");
        return jinja_integer(at);
    }
    if (jinja_is(name, "count"))
        return jinja_integer(count_of(context, self, needed(context, arguments, 0)));
    if (jinja_is(name, "ljust") || jinja_is(name, "rjust") || jinja_is(name, "center") ||
        jinja_is(name, "zfill"))
        return pad(context, self, arguments,
                   jinja_is(name, "ljust")    ? "ljust"
                   : jinja_is(name, "rjust")  ? "rjust"
                   : jinja_is(name, "center") ? "center"
                                              : "zfill");
    jinja_charge(context, self->length / 4);
    const char *kind = jinja_is(name, "isalpha")   ? "alpha"
                       : jinja_is(name, "isalnum") ? "alnum"
                       : jinja_is(name, "isspace") ? "space"
                       : jinja_is(name, "isupper") ? "upper"
                       : jinja_is(name, "islower") ? "lower"
                                                   : "digit";
    return jinja_bool(all_are(self, kind));
}

/* ---- methods of mappings, lists, loops ------------------------------------------------------- */

static const char *const dict_methods[] = {"items",  "keys", "values", "get",
                                           "update", "pop",  "copy",   "setdefault"};
static const char *const list_methods[] = {"append", "extend", "index",   "count",
                                           "insert", "pop",    "reverse", "copy"};
static const char *const loop_methods[] = {"cycle", "changed"};

static struct jinja_value pair(struct jinja_context *context, const struct jinja_entry *entry)
{
    struct jinja_value list = jinja_list(context);
    jinja_append(context, list.list,
                 jinja_string(context, entry->key.bytes, entry->key.marks, entry->key.length));
    jinja_append(context, list.list, entry->value);
    return list;
}

static void remove_entry(struct jinja_context *context, struct jinja_dict *dict,
                         const struct jinja_string *key)
{
    struct jinja_dict *rest = jinja_dict(context).dict;
    jinja_charge(context, dict->count);
    for (size_t i = 0; i < dict->count; i++)
        if (dict->entries[i].key.length != key->length ||
            memcmp(dict->entries[i].key.bytes, key->bytes, key->length) != 0)
            jinja_put(context, rest, &dict->entries[i].key, dict->entries[i].value);
    rest->is_namespace = dict->is_namespace;
    *dict = *rest;
}

static struct jinja_value dict_method(struct jinja_context *context, struct jinja_dict *self,
                                      const struct jinja_string *name,
                                      const struct jinja_arguments *arguments)
{
    struct jinja_value list = jinja_list(context);
    bool items = jinja_is(name, "items"), keys = jinja_is(name, "keys");
    if (items || keys || jinja_is(name, "values")) {
        jinja_charge(context, self->count);
        for (size_t i = 0; i < self->count; i++) {
            const struct jinja_entry *entry = &self->entries[i];
            jinja_append(context, list.list,
                         items  ? pair(context, entry)
                         : keys ? jinja_string(context, entry->key.bytes, entry->key.marks,
                                               entry->key.length)
                                : entry->value);
        }
        return list;
    }
    if (jinja_is(name, "copy") || jinja_is(name, "update")) {
        struct jinja_value target = {.kind = JINJA_DICT, .dict = self};
        struct jinja_value source = jinja_argument(arguments, 0, "");
        if (jinja_is(name, "copy")) {
            source = target;
            target = jinja_dict(context);
        }
        const struct jinja_dict *sources[2] = {source.kind == JINJA_DICT ? source.dict : NULL,
                                               arguments->keywords};
        for (size_t s = 0; s < 2; s++)
            for (size_t i = 0; sources[s] != NULL && i < sources[s]->count; i++)
                jinja_put(context, target.dict, &sources[s]->entries[i].key,
                          sources[s]->entries[i].value);
        return jinja_is(name, "copy") ? target : jinja_none();
    }
    struct jinja_value key = jinja_argument(arguments, 0, "key");
    if (key.kind != JINJA_STRING)
        JINJA_FAIL(context, TAKT_FORMAT, "%s is no key of a mapping", jinja_kind_name(key.kind));
    const struct jinja_value *found = jinja_find(self, key.string->bytes, key.string->length);
    struct jinja_value value = jinja_argument(arguments, 1, "default");
    value = found != NULL ? *found : value.kind == JINJA_UNDEFINED ? jinja_none() : value;
    if (jinja_is(name, "setdefault") && found == NULL)
        jinja_put(context, self, key.string, value);
    if (jinja_is(name, "pop") && found != NULL)
        remove_entry(context, self, key.string);
    return value;
}

static struct jinja_value list_method(struct jinja_context *context, struct jinja_list *self,
                                      const struct jinja_string *name,
                                      const struct jinja_arguments *arguments)
{
    struct jinja_value value = jinja_argument(arguments, 0, "");
    if (jinja_is(name, "append")) {
        jinja_append(context, self, value);
    } else if (jinja_is(name, "extend")) {
        const struct jinja_list *more = jinja_iterate(context, value);
        for (size_t i = 0, count = more->count; i < count; i++)
            jinja_append(context, self, more->items[i]);
    } else if (jinja_is(name, "copy")) {
        struct jinja_value list = jinja_list(context);
        for (size_t i = 0; i < self->count; i++)
            jinja_append(context, list.list, self->items[i]);
        return list;
    } else if (jinja_is(name, "reverse")) {
        for (size_t i = 0; i < self->count / 2; i++) {
            struct jinja_value swap = self->items[i];
            self->items[i] = self->items[self->count - 1 - i];
            self->items[self->count - 1 - i] = swap;
        }
    } else if (jinja_is(name, "insert") || jinja_is(name, "pop")) {
        bool pops = jinja_is(name, "pop");
        int64_t count = (int64_t)self->count;
        int64_t at = jinja_argument_integer(context, arguments, 0, "index", pops ? -1 : 0);
        at = at < 0 ? BASE_MAX(at + count, pops ? -1 : 0) : BASE_MIN(at, count);
        jinja_charge(context, self->count);
        if (pops) {
            if (at < 0 || at >= count)
                JINJA_FAIL(context, TAKT_FORMAT, "pop from a list of %zu items", self->count);
            value = self->items[at];
            memmove(self->items + at, self->items + at + 1,
                    (size_t)(count - at - 1) * sizeof(*self->items));
            self->count--;
            return value;
        }
        jinja_append(context, self, jinja_none());
        memmove(self->items + at + 1, self->items + at,
                (size_t)(count - at) * sizeof(*self->items));
        self->items[at] = jinja_argument(arguments, 1, "object");
    } else {
        int64_t count = 0, first = -1;
        jinja_charge(context, self->count);
        for (size_t i = 0; i < self->count; i++)
            if (jinja_equal(context, self->items[i], value)) {
                first = first < 0 ? (int64_t)i : first;
                count++;
            }
        if (jinja_is(name, "index") && first < 0)
            JINJA_FAIL(context, TAKT_FORMAT, "the item is not in the list");
        return jinja_integer(jinja_is(name, "index") ? first : count);
    }
    return jinja_none();
}

static struct jinja_value loop_method(struct jinja_context *context, struct jinja_loop *self,
                                      const struct jinja_string *name,
                                      const struct jinja_arguments *arguments)
{
    if (jinja_is(name, "cycle")) {
        if (arguments->count == 0)
            JINJA_FAIL(context, TAKT_FORMAT, "cycle of nothing");
        return arguments->values[self->index % arguments->count];
    }
    struct jinja_value list = jinja_list(context);
    for (size_t i = 0; i < arguments->count; i++)
        jinja_append(context, list.list, arguments->values[i]);
    bool changed =
        self->last_changed.kind != JINJA_LIST || !jinja_equal(context, list, self->last_changed);
    self->last_changed = list;
    return jinja_bool(changed);
}

static bool among(const char *const *names, size_t count, const struct jinja_string *name)
{
    for (size_t i = 0; i < count; i++)
        if (jinja_is(name, names[i]))
            return true;
    return false;
}

bool jinja_has_method(struct jinja_value self, const struct jinja_string *name)
{
    switch (self.kind) {
    case JINJA_STRING: return among(string_methods, BASE_COUNT(string_methods), name);
    case JINJA_LIST: return among(list_methods, BASE_COUNT(list_methods), name);
    case JINJA_DICT:
        return !self.dict->is_namespace && among(dict_methods, BASE_COUNT(dict_methods), name);
    case JINJA_LOOP: return among(loop_methods, BASE_COUNT(loop_methods), name);
    default: return false;
    }
}

struct jinja_value jinja_call_method(struct jinja_context *context, struct jinja_value self,
                                     const struct jinja_string *name,
                                     const struct jinja_arguments *arguments)
{
    switch (self.kind) {
    case JINJA_STRING: return string_method(context, self.string, name, arguments);
    case JINJA_LIST: return list_method(context, self.list, name, arguments);
    case JINJA_LOOP: return loop_method(context, self.loop, name, arguments);
    default:
        BASE_ASSERT(self.kind == JINJA_DICT);
        return dict_method(context, self.dict, name, arguments);
    }
}
