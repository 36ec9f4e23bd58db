/* Calls of tools within text. */
#include "run/schema.h"

#include <string.h>

/* One call, then next. */
static uint32_t tool_call(struct schema_compiler *c, const json_t *tools, uint32_t next)
{
    uint32_t names = RUN_NO_NODE;
    const uint32_t close = schema_text(c, TAKT_TOOL_END, next);
    if (json_array_size(tools) == 0) {
        return run_schema_refuse(c, TAKT_USAGE, "an array of tools is expected, with one at least");
    }
    for (size_t i = 0; i < json_array_size(tools) && !c->failed; i++) {
        const json_t *tool = json_array_get(tools, i);
        const char *name = json_string_value(json_object_get(tool, "name"));
        const json_t *parameters = json_object_get(tool, "parameters");
        snprintf(c->place, sizeof c->place, "/%.64s", name ? name : "");
        if (!name) {
            return run_schema_refuse(c, TAKT_USAGE, "a tool has no name");
        }
        c->root = parameters;
        if (parameters && !run_schema_check_all(c, parameters)) {
            return 0;
        }
        const uint32_t arguments = run_graph_rule(c->graph, false);
        const uint32_t end = run_graph_end(c->graph);
        const uint32_t start =
            parameters ? run_schema_any(c, parameters, end) : schema_text(c, "{}", end);
        schema_start(c, arguments, start);
        names = schema_either(
            c, names,
            schema_text(c, name,
                        schema_text(c, TAKT_TOOL_MIDDLE, schema_call(c, arguments, close))));
    }
    return schema_text(c, &TAKT_TOOL_BEGIN[1], names); /* without its '<' */
}

/* Text in which "<tool_call>" begins a call: state i has seen i bytes of it. */
uint32_t run_schema_tools(struct schema_compiler *c, const json_t *tools,
                          const struct takt_grammar_options *options)
{
    static const char word[] = "<tool_call>";
    enum { LENGTH = sizeof word - 1 };
    const uint32_t end = run_graph_end(c->graph);
    const uint32_t after = run_schema_loop(c, end); /* of a call */
    const uint32_t rest = tool_call(c, tools, after);
    if (options->parallel && !c->failed) {
        schema_repeat(c, after, schema_text(c, "\n<", rest));
    }
    if (options->must_call || c->failed) {
        return schema_text(c, "<", rest);
    }
    uint32_t states[LENGTH];
    for (uint32_t i = 0; i < LENGTH; i++) {
        states[i] = run_schema_loop(c, end);
    }
    const uint32_t again = schema_text(c, "<", states[1]); /* '<' begins the word anew */
    schema_repeat(c, states[0],
                  schema_either(c, again, run_graph_except(c->graph, "<<", states[0])));
    for (uint32_t i = 1; i < LENGTH; i++) {
        const char ranges[5] = {'<', '<', word[i], word[i], '\0'};
        const uint32_t other = run_graph_except(c->graph, ranges, states[0]);
        /* The last byte leads into the call, whose rest begins behind the whole word. */
        const uint32_t onward =
            i + 1 < LENGTH ? run_graph_literal(c->graph, word + i, 1, states[i + 1]) : RUN_NO_NODE;
        schema_repeat(c, states[i], schema_either(c, schema_either(c, other, again), onward));
    }
    /* From the last state: ">" and on. `rest` begins with "tool_call>": go to its last byte. */
    uint32_t tail = rest;
    for (uint32_t i = 1; i + 1 < LENGTH; i++) {
        tail = c->graph->nodes[tail].next;
    }
    schema_repeat(c, states[LENGTH - 1],
                  schema_either(c, c->graph->nodes[states[LENGTH - 1]].other, tail));
    return states[0];
}
