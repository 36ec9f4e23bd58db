/* Expressions: names, members, slices, calls, operators. */
#include "model/jinja_scope.h"

#include "model/unicode.h"

#include <math.h>
#include <string.h>

/* ---- members --------------------------------------------------------------------------------- */

static struct jinja_value loop_member(const struct jinja_loop *loop,
                                      const struct jinja_string *name, bool *found)
{
    int64_t index = (int64_t)loop->index, count = (int64_t)loop->items->count;
    *found = true;
    if (jinja_is(name, "index"))
        return jinja_integer(index + 1);
    if (jinja_is(name, "index0"))
        return jinja_integer(index);
    if (jinja_is(name, "revindex"))
        return jinja_integer(count - index);
    if (jinja_is(name, "revindex0"))
        return jinja_integer(count - index - 1);
    if (jinja_is(name, "first"))
        return jinja_bool(index == 0);
    if (jinja_is(name, "last"))
        return jinja_bool(index == count - 1);
    if (jinja_is(name, "length"))
        return jinja_integer(count);
    if (jinja_is(name, "depth"))
        return jinja_integer((int64_t)loop->depth);
    if (jinja_is(name, "depth0"))
        return jinja_integer((int64_t)loop->depth - 1);
    if (jinja_is(name, "previtem"))
        return index == 0 ? jinja_undefined() : loop->items->items[index - 1];
    if (jinja_is(name, "nextitem"))
        return index + 1 == count ? jinja_undefined() : loop->items->items[index + 1];
    *found = false;
    return jinja_undefined();
}

static struct jinja_value bound_method(struct jinja_context *context, struct jinja_value self,
                                       const struct jinja_string *name)
{
    struct jinja_method *method = JINJA_NEW(context, struct jinja_method, 1);
    *method = (struct jinja_method){self, *name};
    return (struct jinja_value){.kind = JINJA_METHOD, .method = method};
}

struct jinja_value jinja_member(struct jinja_context *context, struct jinja_value object,
                                const char *bytes, size_t length)
{
    const struct jinja_string name = {bytes, NULL, length};
    bool found = false;
    struct jinja_value value = jinja_undefined();
    if (object.kind == JINJA_DICT) {
        const struct jinja_value *entry = jinja_find(object.dict, bytes, length);
        if (entry != NULL)
            return *entry;
    } else if (object.kind == JINJA_LOOP) {
        value = loop_member(object.loop, &name, &found);
    } else if (object.kind == JINJA_MACRO && jinja_is(&name, "name")) {
        return jinja_string(context, object.macro->node->name.bytes, NULL,
                            object.macro->node->name.length);
    } else if (jinja_is(&name, "length") &&
               (object.kind == JINJA_LIST || object.kind == JINJA_STRING)) {
        return jinja_integer(object.kind == JINJA_LIST ? (int64_t)object.list->count
                                                       : (int64_t)jinja_characters(object.string));
    }
    if (!found && jinja_has_method(object, &name))
        return bound_method(context, object, &name);
    return value;
}

static bool whole_index(struct jinja_value index, size_t count, size_t *at)
{
    int64_t value = index.kind == JINJA_BOOL ? index.boolean : index.integer;
    value += value < 0 ? (int64_t)count : 0;
    *at = (size_t)value;
    return value >= 0 && value < (int64_t)count;
}

static struct jinja_value index_value(struct jinja_context *context, struct jinja_value object,
                                      struct jinja_value index)
{
    size_t at;
    if (index.kind == JINJA_STRING)
        return jinja_member(context, object, index.string->bytes, index.string->length);
    if (object.kind == JINJA_UNDEFINED || object.kind == JINJA_NONE)
        return jinja_undefined(); /* as @huggingface/jinja */
    if (index.kind != JINJA_INT && index.kind != JINJA_BOOL) {
        if (index.kind == JINJA_UNDEFINED && object.kind == JINJA_DICT)
            return jinja_undefined();
        JINJA_FAIL(context, TAKT_FORMAT, "%s cannot be an index", jinja_kind_name(index.kind));
    }
    if (object.kind == JINJA_LIST)
        return whole_index(index, object.list->count, &at) ? object.list->items[at]
                                                           : jinja_undefined();
    if (object.kind == JINJA_STRING) {
        const struct jinja_list *characters = jinja_iterate(context, object);
        return whole_index(index, characters->count, &at) ? characters->items[at]
                                                          : jinja_undefined();
    }
    return jinja_undefined();
}

struct jinja_value jinja_path(struct jinja_context *context, struct jinja_value object,
                              const struct jinja_string *path)
{
    for (size_t start = 0; start <= path->length;) {
        const char *dot = memchr(path->bytes + start, '.', path->length - start);
        size_t end = dot == NULL ? path->length : (size_t)(dot - path->bytes);
        const char *part = path->bytes + start;
        int64_t index = 0;
        size_t digits = 0;
        while (digits < end - start && digits < 9 && part[digits] >= '0' && part[digits] <= '9')
            index = 10 * index + (part[digits++] - '0');
        if (object.kind == JINJA_DICT || object.kind == JINJA_LOOP)
            object = jinja_member(context, object, part, end - start);
        else if (object.kind == JINJA_LIST && digits != 0 && digits == end - start)
            object = index_value(context, object, jinja_integer(index));
        else
            return jinja_undefined();
        start = end + 1;
    }
    return object;
}

/* ---- slices ---------------------------------------------------------------------------------- */

static int64_t slice_bound(struct jinja_context *context, struct jinja_value value,
                           int64_t otherwise)
{
    if (value.kind == JINJA_UNDEFINED || value.kind == JINJA_NONE)
        return otherwise;
    if (value.kind != JINJA_INT)
        JINJA_FAIL(context, TAKT_FORMAT, "%s cannot be a bound of a slice",
                   jinja_kind_name(value.kind));
    return value.integer;
}

static struct jinja_value evaluate_slice(struct jinja_context *context, struct jinja_frame *frame,
                                         const struct jinja_node *node)
{
    struct jinja_value object = jinja_evaluate(context, frame, node->a), parts[3];
    const struct jinja_node *bounds[3] = {node->b, node->c, node->d};
    for (size_t i = 0; i < 3; i++)
        parts[i] =
            bounds[i] == NULL ? jinja_undefined() : jinja_evaluate(context, frame, bounds[i]);
    context->position = node->position;
    if (object.kind != JINJA_LIST && object.kind != JINJA_STRING)
        JINJA_FAIL(context, TAKT_FORMAT, "%s cannot be sliced", jinja_kind_name(object.kind));
    const struct jinja_list *items = jinja_iterate(context, object);
    int64_t count = (int64_t)items->count, step = slice_bound(context, parts[2], 1);
    if (step == 0)
        JINJA_FAIL(context, TAKT_FORMAT, "a slice's step must not be 0");
    int64_t lowest = step > 0 ? 0 : -1, highest = step > 0 ? count : count - 1;
    int64_t start = slice_bound(context, parts[0], step > 0 ? 0 : count - 1);
    int64_t stop = slice_bound(context, parts[1], step > 0 ? count : -count - 1);
    start = start < 0 ? BASE_MAX(start, -count - 1) + count : start;
    stop = stop < 0 ? BASE_MAX(stop, -count - 1) + count : stop;
    start = BASE_MIN(BASE_MAX(start, lowest), highest);
    stop = BASE_MIN(BASE_MAX(stop, lowest), highest);
    step = BASE_MIN(BASE_MAX(step, -count - 1), count + 1);
    struct jinja_value list = jinja_list(context);
    struct jinja_builder builder = {NULL, NULL, 0, 0};
    for (int64_t i = start; step > 0 ? i < stop : i > stop; i += step) {
        if (object.kind == JINJA_LIST)
            jinja_append(context, list.list, items->items[i]);
        else
            jinja_write_string(context, &builder, items->items[i].string);
    }
    return object.kind == JINJA_LIST ? list : jinja_built(context, &builder);
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void add_keyword(struct jinja_context *context, struct jinja_arguments *arguments,
                        const struct jinja_string *name, struct jinja_value value)
{
    if (arguments->keywords == NULL)
        arguments->keywords = jinja_dict(context).dict;
    jinja_put(context, arguments->keywords, name, value);
}

struct jinja_arguments jinja_evaluate_arguments(struct jinja_context *context,
                                                struct jinja_frame *frame,
                                                const struct jinja_node *node)
{
    struct jinja_arguments arguments = {NULL, 0, NULL};
    struct jinja_list list = {NULL, 0, 0};
    for (uint32_t i = 0; i < node->count; i++) {
        const struct jinja_node *item = node->items[i];
        if (item->kind == JINJA_KEYWORD) {
            add_keyword(context, &arguments, &item->name, jinja_evaluate(context, frame, item->a));
        } else if (item->kind == JINJA_SPREAD) {
            const struct jinja_list *all =
                jinja_iterate(context, jinja_evaluate(context, frame, item->a));
            for (size_t j = 0; j < all->count; j++)
                jinja_append(context, &list, all->items[j]);
        } else if (item->kind == JINJA_KEYWORD_SPREAD) {
            struct jinja_value all = jinja_evaluate(context, frame, item->a);
            if (all.kind != JINJA_DICT)
                JINJA_FAIL(context, TAKT_FORMAT, "** takes a mapping, not %s",
                           jinja_kind_name(all.kind));
            for (size_t j = 0; j < all.dict->count; j++)
                add_keyword(context, &arguments, &all.dict->entries[j].key,
                            all.dict->entries[j].value);
        } else {
            jinja_append(context, &list, jinja_evaluate(context, frame, item));
        }
    }
    arguments.values = list.items;
    arguments.count = list.count;
    return arguments;
}

static struct jinja_value call_value(struct jinja_context *context, struct jinja_value called,
                                     const struct jinja_arguments *arguments)
{
    switch (called.kind) {
    case JINJA_MACRO: return jinja_call_macro(context, called.macro, arguments, jinja_undefined());
    case JINJA_FUNCTION: return jinja_call_function(context, called.function, arguments);
    case JINJA_METHOD:
        return jinja_call_method(context, called.method->self, &called.method->name, arguments);
    default: JINJA_FAIL(context, TAKT_FORMAT, "%s cannot be called", jinja_kind_name(called.kind));
    }
}

/* x.items() is the method even where x has a key "items". */
static struct jinja_value evaluate_call(struct jinja_context *context, struct jinja_frame *frame,
                                        const struct jinja_node *node)
{
    const struct jinja_node *callee = node->a;
    struct jinja_value object = jinja_undefined(), called = jinja_undefined();
    bool method = false;
    if (callee->kind == JINJA_MEMBER) {
        object = jinja_evaluate(context, frame, callee->a);
        context->position = node->position;
        method = jinja_has_method(object, &callee->name);
        if (!method)
            called = jinja_member(context, object, callee->name.bytes, callee->name.length);
        if (!method && called.kind == JINJA_UNDEFINED)
            JINJA_FAIL(context, TAKT_UNSUPPORTED, "%s has no method %.*s",
                       jinja_kind_name(object.kind), (int)BASE_MIN(callee->name.length, (size_t)60),
                       callee->name.bytes);
    } else {
        called = jinja_evaluate(context, frame, callee);
        context->position = node->position;
        if (called.kind == JINJA_UNDEFINED && callee->kind == JINJA_NAME)
            JINJA_FAIL(context, TAKT_UNSUPPORTED, "takt has no function %.*s",
                       (int)BASE_MIN(callee->name.length, (size_t)60), callee->name.bytes);
    }
    struct jinja_arguments arguments = jinja_evaluate_arguments(context, frame, node);
    context->position = node->position;
    return method ? jinja_call_method(context, object, &callee->name, &arguments)
                  : call_value(context, called, &arguments);
}

/* ---- operators ------------------------------------------------------------------------------- */

static const char *const operator_marks[] = {"+",  "-",  "*", "/",  "//", "%",  "**", "~",
                                             "==", "!=", "<", "<=", ">",  ">=", "in", "not in"};

_Noreturn static void wrong_operands(struct jinja_context *context, enum jinja_operator operator,
                                     struct jinja_value a, struct jinja_value b)
{
    JINJA_FAIL(context, TAKT_FORMAT, "%s between %s and %s", operator_marks[operator],
               jinja_kind_name(a.kind), jinja_kind_name(b.kind));
}

static struct jinja_value whole_arithmetic(struct jinja_context *context,
                                           enum jinja_operator operator, int64_t a, int64_t b)
{
    int64_t result = 0;
    bool overflow = false;
    switch (operator) {
    case JINJA_ADD: overflow = __builtin_add_overflow(a, b, &result); break;
    case JINJA_SUBTRACT: overflow = __builtin_sub_overflow(a, b, &result); break;
    case JINJA_MULTIPLY: overflow = __builtin_mul_overflow(a, b, &result); break;
    default: /* // and %, rounded down */
        if (b == 0)
            JINJA_FAIL(context, TAKT_FORMAT, "division by 0");
        if (b == -1) { /* the least number has no negative */
            overflow = operator== JINJA_FLOOR_DIVIDE && __builtin_sub_overflow(0, a, &result);
            break;
        }
        int64_t rest = a % b, less = rest != 0 && (rest < 0) != (b < 0) ? 1 : 0;
        result = operator== JINJA_FLOOR_DIVIDE ? a / b - less : rest + less * b;
    }
    if (overflow)
        JINJA_FAIL(context, TAKT_LIMIT, "the result does not fit 64 bits");
    return jinja_integer(result);
}

static struct jinja_value power(struct jinja_context *context, struct jinja_value a,
                                struct jinja_value b)
{
    if (a.kind != JINJA_FLOAT && b.kind == JINJA_INT && b.integer >= 0) {
        int64_t base = a.kind == JINJA_BOOL ? a.boolean : a.integer, result = 1;
        bool small = base >= -1 && base <= 1; /* the exponent's parity is all that counts */
        int64_t times = small ? (b.integer == 0 ? 0 : 2 - b.integer % 2) : BASE_MIN(b.integer, 64);
        for (int64_t i = 0; i < times; i++)
            if (__builtin_mul_overflow(result, base, &result))
                JINJA_FAIL(context, TAKT_LIMIT, "the result does not fit 64 bits");
        return jinja_integer(result);
    }
    double result = pow(jinja_number(a), jinja_number(b));
    if (!isfinite(result))
        JINJA_FAIL(context, TAKT_FORMAT, "** gives no finite number");
    return jinja_real(result);
}

static struct jinja_value real_arithmetic(struct jinja_context *context,
                                          enum jinja_operator operator, double a, double b)
{
    bool divides = operator== JINJA_DIVIDE || operator== JINJA_FLOOR_DIVIDE || operator==
        JINJA_MODULO;
    if (divides && b == 0.0)
        JINJA_FAIL(context, TAKT_FORMAT, "division by 0");
    switch (operator) {
    case JINJA_ADD: return jinja_real(a + b);
    case JINJA_SUBTRACT: return jinja_real(a - b);
    case JINJA_MULTIPLY: return jinja_real(a * b);
    case JINJA_DIVIDE: return jinja_real(a / b);
    case JINJA_FLOOR_DIVIDE: return jinja_real(floor(a / b));
    default: return jinja_real(a - b * floor(a / b));
    }
}

static struct jinja_value repeat(struct jinja_context *context, struct jinja_value what,
                                 int64_t times)
{
    struct jinja_builder builder = {NULL, NULL, 0, 0};
    struct jinja_value list = jinja_list(context);
    for (int64_t i = 0; i < times; i++) {
        jinja_charge(context, 1);
        if (what.kind == JINJA_STRING)
            jinja_write_string(context, &builder, what.string);
        for (size_t j = 0; what.kind == JINJA_LIST && j < what.list->count; j++)
            jinja_append(context, list.list, what.list->items[j]);
    }
    return what.kind == JINJA_STRING ? jinja_built(context, &builder) : list;
}

/* Numbers and strings; a list in the middle of a text is a mistake of who made the messages. */
static bool prints(struct jinja_value value)
{
    return jinja_is_number(value) || value.kind == JINJA_STRING;
}

static struct jinja_value join_two(struct jinja_context *context, struct jinja_value a,
                                   struct jinja_value b)
{
    struct jinja_builder builder = {NULL, NULL, 0, 0};
    jinja_print(context, &builder, a);
    jinja_print(context, &builder, b);
    return jinja_built(context, &builder);
}

static struct jinja_value arithmetic(struct jinja_context *context, enum jinja_operator operator,
                                     struct jinja_value a, struct jinja_value b)
{
    if (operator== JINJA_CONCAT)
        return join_two(context, a, b);
    if (jinja_is_number(a) && jinja_is_number(b)) {
        if (operator== JINJA_POWER)
            return power(context, a, b);
        if (a.kind == JINJA_FLOAT || b.kind == JINJA_FLOAT || operator== JINJA_DIVIDE)
            return real_arithmetic(context, operator, jinja_number(a), jinja_number(b));
        return whole_arithmetic(context, operator, a.kind == JINJA_BOOL ? a.boolean : a.integer,
                                b.kind == JINJA_BOOL ? b.boolean : b.integer);
    }
    bool text = a.kind == JINJA_STRING || b.kind == JINJA_STRING;
    if (operator== JINJA_ADD && text && prints(a) &&
        prints(b)) /* as @huggingface/jinja: one string is enough */
        return join_two(context, a, b);
    if (operator== JINJA_ADD && a.kind == JINJA_LIST && b.kind == JINJA_LIST) {
        struct jinja_value list = repeat(context, a, 1);
        for (size_t i = 0; i < b.list->count; i++)
            jinja_append(context, list.list, b.list->items[i]);
        return list;
    }
    bool a_repeats = a.kind == JINJA_STRING || a.kind == JINJA_LIST;
    bool b_repeats = b.kind == JINJA_STRING || b.kind == JINJA_LIST;
    if (operator== JINJA_MULTIPLY && a_repeats && b.kind == JINJA_INT)
        return repeat(context, a, b.integer);
    if (operator== JINJA_MULTIPLY && b_repeats && a.kind == JINJA_INT)
        return repeat(context, b, a.integer);
    if (operator== JINJA_MODULO && a.kind == JINJA_STRING) {
        bool list = b.kind == JINJA_LIST;
        return jinja_format(context, a.string, list ? b.list->items : &b, list ? b.list->count : 1);
    }
    wrong_operands(context, operator, a, b);
}

bool jinja_contains(struct jinja_context *context, struct jinja_value container,
                    struct jinja_value item)
{
    switch (container.kind) {
    case JINJA_LIST:
        jinja_charge(context, container.list->count);
        for (size_t i = 0; i < container.list->count; i++)
            if (jinja_equal(context, container.list->items[i], item))
                return true;
        return false;
    case JINJA_DICT:
        return item.kind == JINJA_STRING &&
               jinja_find(container.dict, item.string->bytes, item.string->length) != NULL;
    case JINJA_STRING:
        if (item.kind != JINJA_STRING)
            wrong_operands(context, JINJA_IN, item, container);
        jinja_charge(context, container.string->length / 16);
        return item.string->length == 0 || memmem(container.string->bytes, container.string->length,
                                                  item.string->bytes, item.string->length) != NULL;
    case JINJA_UNDEFINED: return false;
    default: wrong_operands(context, JINJA_IN, item, container);
    }
}

static struct jinja_value evaluate_binary(struct jinja_context *context, struct jinja_frame *frame,
                                          const struct jinja_node *node)
{
    struct jinja_value a = jinja_evaluate(context, frame, node->a);
    struct jinja_value b = jinja_evaluate(context, frame, node->b);
    context->position = node->position;
    switch (node->operator) {
    case JINJA_EQUAL: return jinja_bool(jinja_equal(context, a, b));
    case JINJA_NOT_EQUAL: return jinja_bool(!jinja_equal(context, a, b));
    case JINJA_IN: return jinja_bool(jinja_contains(context, b, a));
    case JINJA_NOT_IN: return jinja_bool(!jinja_contains(context, b, a));
    case JINJA_LESS: return jinja_bool(jinja_compare(context, a, b, false) < 0);
    case JINJA_LESS_EQUAL: return jinja_bool(jinja_compare(context, a, b, false) <= 0);
    case JINJA_GREATER: return jinja_bool(jinja_compare(context, a, b, false) > 0);
    case JINJA_GREATER_EQUAL: return jinja_bool(jinja_compare(context, a, b, false) >= 0);
    default: return arithmetic(context, node->operator, a, b);
    }
}

static struct jinja_value evaluate_sign(struct jinja_context *context, struct jinja_frame *frame,
                                        const struct jinja_node *node)
{
    struct jinja_value value = jinja_evaluate(context, frame, node->a);
    context->position = node->position;
    if (!jinja_is_number(value))
        JINJA_FAIL(context, TAKT_FORMAT, "%s has no sign", jinja_kind_name(value.kind));
    if (value.kind == JINJA_FLOAT)
        return jinja_real(node->kind == JINJA_MINUS ? -value.real : value.real);
    int64_t whole = value.kind == JINJA_BOOL ? value.boolean : value.integer;
    return node->kind == JINJA_MINUS ? whole_arithmetic(context, JINJA_SUBTRACT, 0, whole)
                                     : jinja_integer(whole);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static struct jinja_value evaluate_name(struct jinja_context *context, struct jinja_frame *frame,
                                        const struct jinja_node *node)
{
    const struct jinja_value *found = jinja_look_up(context, frame, &node->name);
    if (found != NULL)
        return *found;
    if (jinja_is_function(&node->name))
        return (struct jinja_value){.kind = JINJA_FUNCTION, .function = &node->name};
    return jinja_undefined();
}

static struct jinja_value evaluate_items(struct jinja_context *context, struct jinja_frame *frame,
                                         const struct jinja_node *node)
{
    struct jinja_value value =
        node->kind == JINJA_OBJECT ? jinja_dict(context) : jinja_list(context);
    for (uint32_t i = 0; i < node->count; i++) {
        struct jinja_value item = jinja_evaluate(context, frame, node->items[i]);
        if (node->kind != JINJA_OBJECT) {
            jinja_append(context, value.list, item);
            continue;
        }
        const struct jinja_string *key = jinja_text(context, item);
        jinja_put(context, value.dict, key, jinja_evaluate(context, frame, node->items[++i]));
    }
    return value;
}

static struct jinja_value evaluate_filter(struct jinja_context *context, struct jinja_frame *frame,
                                          const struct jinja_node *node)
{
    struct jinja_value value = jinja_evaluate(context, frame, node->a);
    struct jinja_arguments arguments = jinja_evaluate_arguments(context, frame, node);
    context->position = node->position;
    return jinja_filter(context, &node->name, value, &arguments);
}

static struct jinja_value evaluate_test(struct jinja_context *context, struct jinja_frame *frame,
                                        const struct jinja_node *node)
{
    struct jinja_value value = jinja_evaluate(context, frame, node->a);
    struct jinja_arguments arguments = jinja_evaluate_arguments(context, frame, node);
    context->position = node->position;
    return jinja_bool(jinja_test(context, &node->name, value, &arguments) != node->negated);
}

static struct jinja_value evaluate_one(struct jinja_context *context, struct jinja_frame *frame,
                                       const struct jinja_node *node)
{
    struct jinja_value value;
    switch (node->kind) {
    case JINJA_LITERAL: return node->value;
    case JINJA_NAME: return evaluate_name(context, frame, node);
    case JINJA_TUPLE:
    case JINJA_ARRAY:
    case JINJA_OBJECT: return evaluate_items(context, frame, node);
    case JINJA_MEMBER:
        value = jinja_evaluate(context, frame, node->a);
        context->position = node->position;
        return jinja_member(context, value, node->name.bytes, node->name.length);
    case JINJA_INDEX: {
        value = jinja_evaluate(context, frame, node->a);
        struct jinja_value index = jinja_evaluate(context, frame, node->b);
        context->position = node->position;
        return index_value(context, value, index);
    }
    case JINJA_SLICE: return evaluate_slice(context, frame, node);
    case JINJA_CALL: return evaluate_call(context, frame, node);
    case JINJA_FILTER: return evaluate_filter(context, frame, node);
    case JINJA_TEST: return evaluate_test(context, frame, node);
    case JINJA_NOT: return jinja_bool(!jinja_truth(jinja_evaluate(context, frame, node->a)));
    case JINJA_MINUS:
    case JINJA_PLUS: return evaluate_sign(context, frame, node);
    case JINJA_BINARY: return evaluate_binary(context, frame, node);
    case JINJA_AND:
        value = jinja_evaluate(context, frame, node->a);
        return jinja_truth(value) ? jinja_evaluate(context, frame, node->b) : value;
    case JINJA_OR:
        value = jinja_evaluate(context, frame, node->a);
        return jinja_truth(value) ? value : jinja_evaluate(context, frame, node->b);
    case JINJA_CHOICE:
        if (jinja_truth(jinja_evaluate(context, frame, node->a)))
            return jinja_evaluate(context, frame, node->b);
        return node->c == NULL ? jinja_undefined() : jinja_evaluate(context, frame, node->c);
    default: BASE_ASSERT(node->kind == JINJA_LITERAL); return jinja_undefined();
    }
}

struct jinja_value jinja_evaluate(struct jinja_context *context, struct jinja_frame *frame,
                                  const struct jinja_node *node)
{
    context->position = node->position;
    jinja_enter(context);
    jinja_charge(context, 1);
    struct jinja_value value = evaluate_one(context, frame, node);
    jinja_leave(context);
    return value;
}
