/* JSON itself, as every schema may use it: strings, numbers, lists, any value. */
#include "run/schema.h"

#include <string.h>

#define HEX "09afAF"
#define TAIL "\x80\xBF"

/* \uXXXX: no NUL, and surrogates in pairs, so that every parser takes it. */
static uint32_t escape(struct schema_compiler *c, uint32_t end)
{
    const uint32_t one = schema_bytes(c, HEX, end), two = schema_bytes(c, HEX, one),
                   three = schema_bytes(c, HEX, two);
    const uint32_t low = schema_bytes(c, "ddDD", schema_bytes(c, "cfCF", two));
    const uint32_t pair = schema_bytes(
        c, "ddDD",
        schema_bytes(c,
                     "8"
                     "9"
                     "abAB",
                     schema_bytes(c, HEX, schema_bytes(c, HEX, schema_text(c, "\\u", low)))));
    const uint32_t zeros = schema_text(
        c, "0",
        schema_either(
            c, schema_bytes(c, "19afAF", two),
            schema_text(c, "0",
                        schema_either(c, schema_bytes(c, "19afAF", one),
                                      schema_text(c, "0", schema_bytes(c, "19afAF", end))))));
    const uint32_t plain = schema_bytes(c, "19acefACEF", three);
    const uint32_t before = schema_bytes(c, "ddDD", schema_bytes(c, "07", two));
    const uint32_t unicode =
        schema_either(c, schema_either(c, zeros, plain), schema_either(c, before, pair));
    return schema_either(c, schema_bytes(c, "\"\"\\\\//bbffnnrrtt", end),
                         schema_text(c, "u", unicode));
}

/* One character of a string: UTF-8 as it stands, or escaped. */
static void make_character(struct schema_compiler *c)
{
    c->character = run_graph_rule(c->graph, false);
    const uint32_t end = run_graph_end(c->graph);
    const uint32_t one = schema_bytes(c, TAIL, end), two = schema_bytes(c, TAIL, one),
                   three = schema_bytes(c, TAIL, two);
    uint32_t at = schema_bytes(c, " !#[]\x7F", end);
    at = schema_either(c, at, schema_text(c, "\\", escape(c, end)));
    at = schema_either(c, at, schema_bytes(c, "\xC2\xDF", one));
    at = schema_either(c, at, schema_text(c, "\xE0", schema_bytes(c, "\xA0\xBF", one)));
    at = schema_either(c, at, schema_bytes(c, "\xE1\xEC\xEE\xEF", two));
    at = schema_either(c, at, schema_text(c, "\xED", schema_bytes(c, "\x80\x9F", one)));
    at = schema_either(c, at, schema_text(c, "\xF0", schema_bytes(c, "\x90\xBF", two)));
    at = schema_either(c, at, schema_bytes(c, "\xF1\xF3", three));
    at = schema_either(c, at, schema_text(c, "\xF4", schema_bytes(c, "\x80\x8F", two)));
    c->graph->rules[c->character].start = at;
}

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
    c->graph->nodes[loop].other = schema_call(c, c->character, loop);
    c->graph->rules[c->string].start = schema_text(c, "\"", loop);
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
    c->graph->rules[c->integer].start = whole_number(c, end);
    c->number = run_graph_rule(c->graph, false);
    const uint32_t exponent =
        schema_bytes(c, "09", schema_either(c, end, schema_bytes(c, "09", end)));
    const uint32_t power = schema_either(
        c, end,
        schema_bytes(c, "eeEE", schema_either(c, exponent, schema_bytes(c, "++--", exponent))));
    const uint32_t fraction =
        schema_either(c, power, schema_text(c, ".", schema_bytes(c, "09", digits(c, 14, power))));
    c->graph->rules[c->number].start = whole_number(c, fraction);
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
    c->graph->nodes[loop].other =
        schema_text(c, ",", run_schema_space(c, schema_call(c, item, loop)));
    return schema_call(c, item, loop);
}

/* An object of any keys, each with a value by the rule. */
uint32_t run_schema_map(struct schema_compiler *c, uint32_t value, uint32_t next)
{
    const uint32_t member = run_graph_rule(c->graph, false);
    c->graph->rules[member].start = schema_call(
        c, c->string,
        schema_text(c, ":", run_schema_space(c, schema_call(c, value, run_graph_end(c->graph)))));
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
    c->graph->rules[c->value].start = at;
    const uint32_t close = schema_text(c, "]", run_graph_end(c->graph));
    c->graph->rules[c->array].start =
        schema_text(c, "[", schema_either(c, close, list_of(c, c->value, close)));
    c->graph->rules[c->object].start = run_schema_map(c, c->value, run_graph_end(c->graph));
}

void run_schema_make_rules(struct schema_compiler *c)
{
    make_character(c);
    make_string(c);
    make_numbers(c);
    make_values(c);
}
