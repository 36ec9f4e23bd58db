/* JSON itself, as every schema may use it: strings, numbers, lists, any value. */
#include "run/schema.h"

#include <string.h>

/* A loop: any number of what begins at `body`, which leads to the node returned. */
uint32_t run_schema_loop(struct schema_compiler *c, uint32_t next)
{
    return run_graph_split(c->graph, next, next); /* its other way is set when the body is there */
}

static void make_string(struct schema_compiler *c)
{
    c->string = run_graph_rule(c->graph, false);
    const uint32_t close = schema_text(c, "\"", run_graph_end(c->graph));
    const uint32_t loop = run_schema_loop(c, close);
    schema_repeat(c, loop, schema_call(c, c->character, loop));
    schema_start(c, c->string, schema_text(c, "\"", loop));
}

/* Up to `most` more digits. */
static uint32_t digits(struct schema_compiler *c, unsigned most, uint32_t next)
{
    uint32_t at = next;
    for (unsigned i = 0; i < most; i++) {
        at = schema_either(c, next, schema_bytes(c, "09", at));
    }
    return at;
}

static uint32_t whole_number(struct schema_compiler *c, uint32_t next)
{
    const uint32_t body =
        schema_either(c, schema_text(c, "0", next), schema_bytes(c, "19", digits(c, 14, next)));
    return schema_either(c, body, schema_text(c, "-", body));
}

static void make_numbers(struct schema_compiler *c)
{
    const uint32_t end = run_graph_end(c->graph);
    c->integer = run_graph_rule(c->graph, false);
    schema_start(c, c->integer, whole_number(c, end));
    c->number = run_graph_rule(c->graph, false);
    const uint32_t exponent =
        schema_bytes(c, "09", schema_either(c, end, schema_bytes(c, "09", end)));
    const uint32_t power = schema_either(
        c, end,
        schema_bytes(c, "eeEE", schema_either(c, exponent, schema_bytes(c, "++--", exponent))));
    const uint32_t fraction =
        schema_either(c, power, schema_text(c, ".", schema_bytes(c, "09", digits(c, 14, power))));
    schema_start(c, c->number, whole_number(c, fraction));
}

/* A space that may be there. */
uint32_t run_schema_space(struct schema_compiler *c, uint32_t next)
{
    return schema_either(c, next, schema_text(c, " ", next));
}

/* item, or item "," item and so on, then next: any number, at least one. */
static uint32_t list_of(struct schema_compiler *c, uint32_t item, uint32_t next)
{
    const uint32_t loop = run_schema_loop(c, next);
    schema_repeat(c, loop, schema_text(c, ",", run_schema_space(c, schema_call(c, item, loop))));
    return schema_call(c, item, loop);
}

/* An object of any keys, each with a value by the rule. */
static uint32_t map(struct schema_compiler *c, uint32_t value, uint32_t next)
{
    const uint32_t member = run_graph_rule(c->graph, false);
    schema_start(c, member,
                 schema_call(c, c->string,
                             schema_text(c, ":",
                                         run_schema_space(
                                             c, schema_call(c, value, run_graph_end(c->graph))))));
    const uint32_t close = schema_text(c, "}", next);
    return schema_text(c, "{", schema_either(c, close, list_of(c, member, close)));
}

static void make_values(struct schema_compiler *c)
{
    c->value = run_graph_rule(c->graph, false);
    c->array = run_graph_rule(c->graph, true);
    c->object = run_graph_rule(c->graph, true);
    const uint32_t end = run_graph_end(c->graph);
    uint32_t at = schema_either(c, schema_call(c, c->string, end), schema_call(c, c->number, end));
    at = schema_either(c, at,
                       schema_either(c, schema_text(c, "true", end), schema_text(c, "false", end)));
    at = schema_either(c, at, schema_text(c, "null", end));
    at = schema_either(
        c, at, schema_either(c, schema_call(c, c->array, end), schema_call(c, c->object, end)));
    schema_start(c, c->value, at);
    const uint32_t close = schema_text(c, "]", run_graph_end(c->graph));
    schema_start(c, c->array,
                 schema_text(c, "[", schema_either(c, close, list_of(c, c->value, close))));
    schema_start(c, c->object, map(c, c->value, run_graph_end(c->graph)));
}

void run_schema_make_rules(struct schema_compiler *c)
{
    const struct run_range all = {RUN_CHARACTER_FIRST, RUN_CHARACTER_LAST};
    c->character = run_schema_characters(c, &all, 1);
    make_string(c);
    make_numbers(c);
    make_values(c);
}
