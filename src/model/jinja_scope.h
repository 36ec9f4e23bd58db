/* Running: variables in scopes, and the two halves that call each other, statements (jinja_run.c)
 * and expressions (jinja_evaluate.c). */
#ifndef MODEL_JINJA_SCOPE_H
#define MODEL_JINJA_SCOPE_H

#include "model/jinja_parts.h"

struct jinja_variable_slot {
    struct jinja_string name;
    struct jinja_value value;
};

/* Variables of one scope; what is not in it is looked for in its parent. */
struct jinja_frame {
    struct jinja_frame *parent;
    struct jinja_variable_slot *slots;
    uint32_t count, capacity;
    bool kept; /* a macro or a call's block may look into it later */
};

void jinja_assign(struct jinja_context *context, struct jinja_frame *frame,
                  const struct jinja_string *name, struct jinja_value value);
/* NULL when no scope has it. */
const struct jinja_value *jinja_look_up(struct jinja_context *context,
                                        const struct jinja_frame *frame,
                                        const struct jinja_string *name);

enum jinja_flow { JINJA_NEXT, JINJA_BROKEN, JINJA_CONTINUED };
enum jinja_flow jinja_execute(struct jinja_context *context, struct jinja_frame *frame,
                              const struct jinja_node *node, struct jinja_builder *out);
struct jinja_value jinja_evaluate(struct jinja_context *context, struct jinja_frame *frame,
                                  const struct jinja_node *node);
struct jinja_arguments jinja_evaluate_arguments(struct jinja_context *context,
                                                struct jinja_frame *frame,
                                                const struct jinja_node *node);
/* caller: what the macro sees as caller(); undefined for none. */
struct jinja_value jinja_call_macro(struct jinja_context *context, const struct jinja_macro *macro,
                                    const struct jinja_arguments *arguments,
                                    struct jinja_value caller);

#endif
