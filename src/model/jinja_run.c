/* Statements: output, conditions, loops, assignments, macros. */
#include "model/jinja_scope.h"

#include <string.h>

/* ---- scopes ---------------------------------------------------------------------------------- */

void jinja_assign(struct jinja_context *context, struct jinja_frame *frame,
                  const struct jinja_string *name, struct jinja_value value)
{
    jinja_charge(context, 1 + frame->count / 8);
    for (uint32_t i = 0; i < frame->count; i++) {
        const struct jinja_string *known = &frame->slots[i].name;
        if (known->length == name->length && memcmp(known->bytes, name->bytes, name->length) == 0) {
            frame->slots[i].value = value;
            return;
        }
    }
    if (frame->count == frame->capacity) {
        uint32_t capacity = frame->capacity == 0 ? 4 : 2 * frame->capacity;
        struct jinja_variable_slot *slots =
            JINJA_NEW(context, struct jinja_variable_slot, capacity);
        if (frame->count != 0)
            memcpy(slots, frame->slots, frame->count * sizeof(*slots));
        frame->slots = slots;
        frame->capacity = capacity;
    }
    frame->slots[frame->count++] = (struct jinja_variable_slot){*name, value};
}

const struct jinja_value *jinja_look_up(struct jinja_context *context,
                                        const struct jinja_frame *frame,
                                        const struct jinja_string *name)
{
    for (; frame != NULL; frame = frame->parent) {
        jinja_charge(context, 1 + frame->count / 8);
        for (uint32_t i = 0; i < frame->count; i++) {
            const struct jinja_string *known = &frame->slots[i].name;
            if (known->length == name->length &&
                memcmp(known->bytes, name->bytes, name->length) == 0)
                return &frame->slots[i].value;
        }
    }
    return NULL;
}

/* Once a macro holds a scope, all around it stay as well. */
static void keep(struct jinja_frame *frame)
{
    for (; frame != NULL && !frame->kept; frame = frame->parent)
        frame->kept = true;
}

/* ---- assignments ----------------------------------------------------------------------------- */

static void assign_to(struct jinja_context *context, struct jinja_frame *frame,
                      const struct jinja_node *target, struct jinja_value value)
{
    context->position = target->position;
    if (target->kind == JINJA_NAME) {
        jinja_assign(context, frame, &target->name, value);
        return;
    }
    if (target->kind == JINJA_TUPLE) {
        if (value.kind != JINJA_LIST)
            JINJA_FAIL(context, TAKT_FORMAT, "%s cannot be unpacked into %u names",
                       jinja_kind_name(value.kind), target->count);
        if (value.list->count != target->count)
            JINJA_FAIL(context, TAKT_FORMAT, "%zu items cannot be unpacked into %u names",
                       value.list->count, target->count);
        for (uint32_t i = 0; i < target->count; i++)
            assign_to(context, frame, target->items[i], value.list->items[i]);
        return;
    }
    struct jinja_value object = jinja_evaluate(context, frame, target->a);
    context->position = target->position;
    if (target->kind != JINJA_MEMBER || object.kind != JINJA_DICT || !object.dict->is_namespace)
        JINJA_FAIL(context, TAKT_FORMAT, "only members of a namespace can be assigned to");
    jinja_put(context, object.dict, &target->name, value);
}

static struct jinja_value apply_filters(struct jinja_context *context, struct jinja_frame *frame,
                                        const struct jinja_node *node, struct jinja_value value)
{
    for (uint32_t i = 0; i < node->count; i++) {
        const struct jinja_node *filter = node->items[i];
        struct jinja_arguments arguments = jinja_evaluate_arguments(context, frame, filter);
        context->position = filter->position;
        value = jinja_filter(context, &filter->name, value, &arguments);
    }
    return value;
}

static struct jinja_value capture(struct jinja_context *context, struct jinja_frame *frame,
                                  const struct jinja_node *body)
{
    struct jinja_builder builder = {NULL, NULL, 0, 0};
    struct jinja_frame *scope = JINJA_NEW(context, struct jinja_frame, 1);
    scope->parent = frame;
    (void)jinja_execute(context, scope, body, &builder);
    return jinja_built(context, &builder);
}

/* ---- loops ----------------------------------------------------------------------------------- */

static size_t loop_depth(struct jinja_context *context, const struct jinja_frame *frame)
{
    static const struct jinja_string name = {"loop", NULL, 4};
    const struct jinja_value *outer = jinja_look_up(context, frame, &name);
    return outer != NULL && outer->kind == JINJA_LOOP ? outer->loop->depth + 1 : 1;
}

static struct jinja_frame *fresh_frame(struct jinja_context *context, struct jinja_frame *old,
                                       struct jinja_frame *parent)
{
    if (old == NULL || old->kept) {
        old = JINJA_NEW(context, struct jinja_frame, 1);
        old->parent = parent;
    }
    old->count = 0;
    return old;
}

/* Items that the loop's condition lets through. */
static struct jinja_list *loop_items(struct jinja_context *context, struct jinja_frame *frame,
                                     const struct jinja_node *node)
{
    struct jinja_value value = jinja_evaluate(context, frame, node->b);
    context->position = node->position;
    struct jinja_list *all = jinja_iterate(context, value);
    struct jinja_list *items = jinja_list(context).list;
    struct jinja_frame *scope = NULL;
    for (size_t i = 0; i < all->count; i++) {
        jinja_charge(context, 1);
        if (node->d != NULL) {
            scope = fresh_frame(context, scope, frame);
            assign_to(context, scope, node->a, all->items[i]);
            if (!jinja_truth(jinja_evaluate(context, scope, node->d)))
                continue;
        }
        jinja_append(context, items, all->items[i]);
    }
    return items;
}

static enum jinja_flow execute_for(struct jinja_context *context, struct jinja_frame *frame,
                                   const struct jinja_node *node, struct jinja_builder *out)
{
    static const struct jinja_string name = {"loop", NULL, 4};
    struct jinja_list *items = loop_items(context, frame, node);
    struct jinja_frame *scope = NULL;
    struct jinja_loop *loop = JINJA_NEW(context, struct jinja_loop, 1);
    loop->items = items;
    loop->depth = loop_depth(context, frame);
    for (size_t i = 0; i < items->count; i++) {
        jinja_charge(context, 1);
        scope = fresh_frame(context, scope, frame);
        loop->index = i;
        jinja_assign(context, scope, &name, (struct jinja_value){.kind = JINJA_LOOP, .loop = loop});
        assign_to(context, scope, node->a, items->items[i]);
        if (jinja_execute(context, scope, node->c, out) == JINJA_BROKEN)
            break;
    }
    if (items->count == 0 && node->e != NULL)
        return jinja_execute(context, frame, node->e, out);
    return JINJA_NEXT;
}

/* ---- macros ---------------------------------------------------------------------------------- */

static struct jinja_value make_macro(struct jinja_context *context, struct jinja_frame *frame,
                                     const struct jinja_node *node, bool is_caller)
{
    struct jinja_macro *macro = JINJA_NEW(context, struct jinja_macro, 1);
    *macro = (struct jinja_macro){node, frame, is_caller};
    keep(frame);
    return (struct jinja_value){.kind = JINJA_MACRO, .macro = macro};
}

/* Arguments beyond the parameters are there as varargs and kwargs. */
static void bind_rest(struct jinja_context *context, struct jinja_frame *scope,
                      const struct jinja_node *node, const struct jinja_arguments *arguments)
{
    static const struct jinja_string varargs = {"varargs", NULL, 7}, kwargs = {"kwargs", NULL, 6};
    struct jinja_value list = jinja_list(context), dict = jinja_dict(context);
    for (size_t i = node->count; i < arguments->count; i++)
        jinja_append(context, list.list, arguments->values[i]);
    for (size_t i = 0; arguments->keywords != NULL && i < arguments->keywords->count; i++) {
        const struct jinja_entry *entry = &arguments->keywords->entries[i];
        bool known = false;
        for (uint32_t j = 0; j < node->count; j++)
            known = known ||
                    (node->items[j]->name.length == entry->key.length &&
                     memcmp(node->items[j]->name.bytes, entry->key.bytes, entry->key.length) == 0);
        if (!known)
            jinja_put(context, dict.dict, &entry->key, entry->value);
    }
    jinja_assign(context, scope, &varargs, list);
    jinja_assign(context, scope, &kwargs, dict);
}

struct jinja_value jinja_call_macro(struct jinja_context *context, const struct jinja_macro *macro,
                                    const struct jinja_arguments *arguments,
                                    struct jinja_value caller)
{
    static const struct jinja_string caller_name = {"caller", NULL, 6};
    const struct jinja_node *node = macro->node;
    struct jinja_frame *scope = JINJA_NEW(context, struct jinja_frame, 1);
    scope->parent = macro->frame;
    uint32_t position = context->position;
    bind_rest(context, scope, node, arguments);
    for (uint32_t i = 0; i < node->count; i++) {
        const struct jinja_node *parameter = node->items[i];
        const struct jinja_value *given = i < arguments->count ? &arguments->values[i] : NULL;
        if (given == NULL && arguments->keywords != NULL)
            given = jinja_find(arguments->keywords, parameter->name.bytes, parameter->name.length);
        struct jinja_value value = jinja_undefined();
        if (given != NULL)
            value = *given;
        else if (parameter->a != NULL)
            value = jinja_evaluate(context, scope, parameter->a);
        jinja_assign(context, scope, &parameter->name, value);
    }
    if (!macro->is_caller)
        jinja_assign(context, scope, &caller_name, caller);
    struct jinja_builder builder = {NULL, NULL, 0, 0};
    (void)jinja_execute(context, scope, node->b, &builder);
    context->position = position;
    return jinja_built(context, &builder);
}

static void execute_call_block(struct jinja_context *context, struct jinja_frame *frame,
                               const struct jinja_node *node, struct jinja_builder *out)
{
    struct jinja_value called = jinja_evaluate(context, frame, node->a->a);
    struct jinja_arguments arguments = jinja_evaluate_arguments(context, frame, node->a);
    context->position = node->position;
    if (called.kind != JINJA_MACRO)
        JINJA_FAIL(context, TAKT_FORMAT, "%s is no macro", jinja_kind_name(called.kind));
    struct jinja_value caller = make_macro(context, frame, node, true);
    jinja_print(context, out, jinja_call_macro(context, called.macro, &arguments, caller));
}

/* ---- all of them ----------------------------------------------------------------------------- */

static enum jinja_flow execute_body(struct jinja_context *context, struct jinja_frame *frame,
                                    const struct jinja_node *node, struct jinja_builder *out)
{
    enum jinja_flow flow = JINJA_NEXT;
    for (uint32_t i = 0; i < node->count && flow == JINJA_NEXT; i++)
        flow = jinja_execute(context, frame, node->items[i], out);
    return flow;
}

static enum jinja_flow execute_with(struct jinja_context *context, struct jinja_frame *frame,
                                    const struct jinja_node *node, struct jinja_builder *out)
{
    struct jinja_frame *scope = fresh_frame(context, NULL, frame);
    for (uint32_t i = 0; i < node->count; i++)
        jinja_assign(context, scope, &node->items[i]->name,
                     jinja_evaluate(context, frame, node->items[i]->a));
    return jinja_execute(context, scope, node->b, out);
}

static void execute_output(struct jinja_context *context, struct jinja_frame *frame,
                           const struct jinja_node *node, struct jinja_builder *out)
{
    struct jinja_value value = jinja_evaluate(context, frame, node->a);
    context->position = node->position;
    if (value.kind != JINJA_NONE) /* nothing, as @huggingface/jinja */
        jinja_print(context, out, value);
}

static enum jinja_flow execute_one(struct jinja_context *context, struct jinja_frame *frame,
                                   const struct jinja_node *node, struct jinja_builder *out)
{
    switch (node->kind) {
    case JINJA_TEXT: jinja_write_string(context, out, node->value.string); break;
    case JINJA_OUTPUT: execute_output(context, frame, node, out); break;
    case JINJA_BODY: return execute_body(context, frame, node, out);
    case JINJA_IF:
        if (jinja_truth(jinja_evaluate(context, frame, node->a)))
            return jinja_execute(context, frame, node->b, out);
        return node->c == NULL ? JINJA_NEXT : jinja_execute(context, frame, node->c, out);
    case JINJA_FOR: return execute_for(context, frame, node, out);
    case JINJA_SET:
        assign_to(context, frame, node->a, jinja_evaluate(context, frame, node->b));
        break;
    case JINJA_SET_BLOCK:
        assign_to(context, frame, node->a,
                  apply_filters(context, frame, node, capture(context, frame, node->b)));
        break;
    case JINJA_MACRO_NODE:
        jinja_assign(context, frame, &node->name, make_macro(context, frame, node, false));
        break;
    case JINJA_CALL_BLOCK: execute_call_block(context, frame, node, out); break;
    case JINJA_FILTERED:
        jinja_print(context, out,
                    apply_filters(context, frame, node, capture(context, frame, node->b)));
        break;
    case JINJA_WITH: return execute_with(context, frame, node, out);
    case JINJA_DO: (void)jinja_evaluate(context, frame, node->a); break;
    case JINJA_BREAK: return JINJA_BROKEN;
    case JINJA_CONTINUE: return JINJA_CONTINUED;
    default: BASE_ASSERT(node->kind == JINJA_TEXT);
    }
    return JINJA_NEXT;
}

enum jinja_flow jinja_execute(struct jinja_context *context, struct jinja_frame *frame,
                              const struct jinja_node *node, struct jinja_builder *out)
{
    context->position = node->position;
    jinja_enter(context);
    jinja_charge(context, 1);
    enum jinja_flow flow = execute_one(context, frame, node, out);
    jinja_leave(context);
    return flow;
}

void jinja_run(struct jinja_context *context, const struct jinja_node *tree,
               const struct jinja_variable *variables, size_t count, struct jinja_builder *out)
{
    struct jinja_frame *frame = JINJA_NEW(context, struct jinja_frame, 1);
    for (size_t i = 0; i < count; i++) {
        const struct jinja_string name = {variables[i].name, NULL, strlen(variables[i].name)};
        jinja_assign(context, frame, &name,
                     jinja_from_json(context, variables[i].value, variables[i].foreign, NULL));
    }
    (void)jinja_execute(context, frame, tree, out);
}
