/* Arguments of filters, tests and functions; tests. */
#include "model/jinja_parts.h"

#include <string.h>

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
