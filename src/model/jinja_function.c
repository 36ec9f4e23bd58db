/* The functions every template has: namespace, range, dict, raise_exception, strftime_now. */
#include "model/jinja_parts.h"

#include <string.h>

#define RANGE_MAX 1000000

static const char *const functions[] = {"namespace", "range", "dict", "raise_exception",
                                        "strftime_now"};

bool jinja_is_function(const struct jinja_string *name)
{
    for (size_t i = 0; i < BASE_COUNT(functions); i++)
        if (jinja_is(name, functions[i]))
            return true;
    return false;
}

static struct jinja_value make_dict(struct jinja_context *context,
                                    const struct jinja_arguments *arguments, bool is_namespace)
{
    struct jinja_value dict = jinja_dict(context), source = jinja_argument(arguments, 0, "");
    dict.dict->is_namespace = is_namespace;
    if (source.kind == JINJA_LIST) {
        for (size_t i = 0; i < source.list->count; i++) {
            struct jinja_value pair = source.list->items[i];
            if (pair.kind != JINJA_LIST || pair.list->count != 2)
                JINJA_FAIL(context, TAKT_FORMAT, "pairs of a key and a value are expected");
            jinja_put(context, dict.dict, jinja_text(context, pair.list->items[0]),
                      pair.list->items[1]);
        }
    } else if (source.kind != JINJA_DICT && source.kind != JINJA_UNDEFINED) {
        JINJA_FAIL(context, TAKT_FORMAT, "%s is no mapping", jinja_kind_name(source.kind));
    }
    const struct jinja_dict *sources[2] = {source.kind == JINJA_DICT ? source.dict : NULL,
                                           arguments->keywords};
    for (size_t s = 0; s < 2; s++)
        for (size_t i = 0; sources[s] != NULL && i < sources[s]->count; i++)
            jinja_put(context, dict.dict, &sources[s]->entries[i].key,
                      sources[s]->entries[i].value);
    return dict;
}

static struct jinja_value make_range(struct jinja_context *context,
                                     const struct jinja_arguments *arguments)
{
    bool from = arguments->count > 1;
    int64_t start = from ? jinja_argument_integer(context, arguments, 0, "start", 0) : 0;
    int64_t stop = jinja_argument_integer(context, arguments, from ? 1 : 0, "stop", 0);
    int64_t step = jinja_argument_integer(context, arguments, 2, "step", 1);
    struct jinja_value list = jinja_list(context);
    if (step == 0)
        JINJA_FAIL(context, TAKT_FORMAT, "a range's step must not be 0");
    for (int64_t i = start; step > 0 ? i < stop : i > stop;) {
        if (list.list->count == RANGE_MAX)
            JINJA_FAIL(context, TAKT_LIMIT, "a range of more than %d numbers", RANGE_MAX);
        jinja_append(context, list.list, jinja_integer(i));
        if (__builtin_add_overflow(i, step, &i))
            break;
    }
    return list;
}

/* ---- the date -------------------------------------------------------------------------------- */

struct date {
    int64_t year;
    int month, day, hour, minute, second, weekday, yearday; /* month, day from 1; Sunday = 0 */
};

/* The proleptic Gregorian calendar, counted in years that begin in March. */
static struct date date_of(int64_t seconds)
{
    int64_t days = seconds / 86400, rest = seconds % 86400;
    if (rest < 0) {
        rest += 86400;
        days--;
    }
    int64_t since = days + 719468; /* from 0000-03-01 */
    int64_t era = (since >= 0 ? since : since - 146096) / 146097;
    int64_t day_of_era = since - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t march = (5 * day + 2) / 153;
    struct date date = {.month = (int)(march < 10 ? march + 3 : march - 9),
                        .day = (int)(day - (153 * march + 2) / 5 + 1),
                        .hour = (int)(rest / 3600),
                        .minute = (int)(rest / 60 % 60),
                        .second = (int)(rest % 60),
                        .weekday = (int)(((days + 4) % 7 + 7) % 7)};
    date.year = year_of_era + era * 400 + (date.month <= 2 ? 1 : 0);
    bool leap = (date.year % 4 == 0 && date.year % 100 != 0) || date.year % 400 == 0;
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    date.yearday = before[date.month - 1] + date.day + (leap && date.month > 2 ? 1 : 0);
    return date;
}

static void write_date(struct jinja_context *context, struct jinja_builder *builder,
                       const struct date *date, char letter, bool plain)
{
    static const char *const months[] = {"January",   "February", "March",    "April",
                                         "May",       "June",     "July",     "August",
                                         "September", "October",  "November", "December"};
    static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                       "Thursday", "Friday", "Saturday"};
    const char *padded = plain ? "%d" : "%02d";
    char text[64];
    int hour = date->hour % 12 == 0 ? 12 : date->hour % 12;
    switch (letter) {
    case 'Y': snprintf(text, sizeof(text), "%lld", (long long)date->year); break;
    case 'y': snprintf(text, sizeof(text), padded, (int)(date->year % 100)); break;
    case 'm': snprintf(text, sizeof(text), padded, date->month); break;
    case 'd': snprintf(text, sizeof(text), padded, date->day); break;
    case 'e': snprintf(text, sizeof(text), plain ? "%d" : "%2d", date->day); break;
    case 'H': snprintf(text, sizeof(text), padded, date->hour); break;
    case 'I': snprintf(text, sizeof(text), padded, hour); break;
    case 'M': snprintf(text, sizeof(text), padded, date->minute); break;
    case 'S': snprintf(text, sizeof(text), padded, date->second); break;
    case 'j': snprintf(text, sizeof(text), plain ? "%d" : "%03d", date->yearday); break;
    case 'p': snprintf(text, sizeof(text), "%s", date->hour < 12 ? "AM" : "PM"); break;
    case 'B': snprintf(text, sizeof(text), "%s", months[date->month - 1]); break;
    case 'b': snprintf(text, sizeof(text), "%.3s", months[date->month - 1]); break;
    case 'A': snprintf(text, sizeof(text), "%s", days[date->weekday]); break;
    case 'a': snprintf(text, sizeof(text), "%.3s", days[date->weekday]); break;
    case 'w': snprintf(text, sizeof(text), "%d", date->weekday); break;
    case 'F':
        snprintf(text, sizeof(text), "%lld-%02d-%02d", (long long)date->year, date->month,
                 date->day);
        break;
    case 'T':
        snprintf(text, sizeof(text), "%02d:%02d:%02d", date->hour, date->minute, date->second);
        break;
    case 'Z': snprintf(text, sizeof(text), "UTC"); break;
    case 'z': snprintf(text, sizeof(text), "+0000"); break;
    case '%': snprintf(text, sizeof(text), "%%"); break;
    default: JINJA_FAIL(context, TAKT_UNSUPPORTED, "takt has no %%%c in a date", letter);
    }
    jinja_write(context, builder, text, NULL, strlen(text));
}

static struct jinja_value strftime_now(struct jinja_context *context,
                                       const struct jinja_arguments *arguments)
{
    const struct jinja_string *format = jinja_argument_string(context, arguments, 0, "format");
    if (format == NULL)
        JINJA_FAIL(context, TAKT_FORMAT, "strftime_now needs a format");
    struct date date = date_of(context->now);
    struct jinja_builder builder = {NULL, NULL, 0, 0};
    for (size_t i = 0; i < format->length; i++) {
        if (format->bytes[i] != '%' || i + 1 == format->length) {
            jinja_write(context, &builder, format->bytes + i, NULL, 1);
            continue;
        }
        bool plain = format->bytes[i + 1] == '-' && i + 2 < format->length;
        i += plain ? 2 : 1;
        write_date(context, &builder, &date, format->bytes[i], plain);
    }
    return jinja_built(context, &builder);
}

struct jinja_value jinja_call_function(struct jinja_context *context,
                                       const struct jinja_string *name,
                                       const struct jinja_arguments *arguments)
{
    if (jinja_is(name, "namespace") || jinja_is(name, "dict"))
        return make_dict(context, arguments, jinja_is(name, "namespace"));
    if (jinja_is(name, "range"))
        return make_range(context, arguments);
    if (jinja_is(name, "strftime_now"))
        return strftime_now(context, arguments);
    BASE_ASSERT(jinja_is(name, "raise_exception"));
    const struct jinja_string *message =
        jinja_text(context, jinja_argument(arguments, 0, "message"));
    JINJA_FAIL(context, TAKT_USAGE, "the template says: %.*s",
               (int)BASE_MIN(message->length, (size_t)300), message->bytes);
}
