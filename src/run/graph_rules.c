/* Graphs of grammars: built node by node from the end, then measured. */
#include "run/grammar.h"

#include <stdlib.h>
#include <string.h>

uint32_t run_graph_rule(struct run_graph *graph, bool container)
{
    if (graph->rule_count == graph->rule_capacity) {
        const uint32_t capacity = graph->rule_capacity ? graph->rule_capacity * 2 : 64;
        struct run_rule *grown = realloc(graph->rules, capacity * sizeof *grown);
        BASE_ASSERT(grown);
        graph->rules = grown;
        graph->rule_capacity = capacity;
    }
    graph->full = graph->full || graph->rule_count >= RUN_RULES_MAX;
    graph->rules[graph->rule_count] = (struct run_rule){RUN_NO_NODE, container};
    return graph->full ? 0 : graph->rule_count++;
}

static uint32_t add(struct run_graph *graph, struct run_node node)
{
    if (graph->node_count == graph->node_capacity) {
        const uint32_t capacity = graph->node_capacity ? graph->node_capacity * 2 : 1024;
        struct run_node *grown = realloc(graph->nodes, capacity * sizeof *grown);
        BASE_ASSERT(grown);
        graph->nodes = grown;
        graph->node_capacity = capacity;
    }
    graph->full = graph->full || graph->node_count >= RUN_NODES_MAX;
    graph->nodes[graph->node_count] = node;
    return graph->full ? 0 : graph->node_count++;
}

uint32_t run_graph_end(struct run_graph *graph)
{
    return add(graph, (struct run_node){.kind = RUN_NODE_END});
}

static void set_ranges(uint64_t set[4], const char *ranges)
{
    for (; ranges[0]; ranges += 2) {
        for (unsigned byte = (unsigned char)ranges[0]; byte <= (unsigned char)ranges[1]; byte++) {
            set[byte / 64] |= UINT64_C(1) << (byte % 64);
        }
    }
}

/* ranges: pairs of first and last byte; none of them is 0. */
uint32_t run_graph_bytes(struct run_graph *graph, const char *ranges, uint32_t next)
{
    struct run_node node = {.kind = RUN_NODE_BYTES, .next = next};
    set_ranges(node.set, ranges);
    return add(graph, node);
}

uint32_t run_graph_set(struct run_graph *graph, const uint64_t set[4], uint32_t next)
{
    struct run_node node = {.kind = RUN_NODE_BYTES, .next = next};
    memcpy(node.set, set, sizeof node.set);
    return add(graph, node);
}

uint32_t run_graph_except(struct run_graph *graph, const char *ranges, uint32_t next)
{
    struct run_node node = {.kind = RUN_NODE_BYTES, .next = next};
    set_ranges(node.set, ranges);
    for (size_t i = 0; i < 4; i++) {
        node.set[i] = ~node.set[i];
    }
    return add(graph, node);
}

uint32_t run_graph_literal(struct run_graph *graph, const char *text, size_t length, uint32_t next)
{
    for (size_t i = length; i > 0; i--) {
        const unsigned char byte = (unsigned char)text[i - 1];
        struct run_node node = {.kind = RUN_NODE_BYTES, .next = next};
        node.set[byte / 64] = UINT64_C(1) << (byte % 64);
        next = add(graph, node);
    }
    return next;
}

uint32_t run_graph_split(struct run_graph *graph, uint32_t a, uint32_t b)
{
    if (a == RUN_NO_NODE || b == RUN_NO_NODE) {
        return a == RUN_NO_NODE ? b : a;
    }
    return add(graph, (struct run_node){.kind = RUN_NODE_SPLIT, .next = a, .other = b});
}

uint32_t run_graph_call(struct run_graph *graph, uint32_t rule, uint32_t next)
{
    return add(graph, (struct run_node){.kind = RUN_NODE_CALL, .next = next, .other = rule});
}

/* ---- bytes to the end ------------------------------------------------------------------------ */

static bool spellable(const uint64_t set[4], const bool single[256])
{
    for (unsigned byte = 0; byte < 256; byte++) {
        if ((set[byte / 64] >> (byte % 64) & 1) && single[byte]) {
            return true;
        }
    }
    return false;
}

static uint32_t sum(uint32_t a, uint32_t b)
{
    return a >= RUN_NEVER || b >= RUN_NEVER || a + b >= RUN_NEVER ? RUN_NEVER : a + b;
}

static uint32_t measure(const struct run_graph *graph, uint32_t at, const bool *is_spelled)
{
    const struct run_node *node = &graph->nodes[at];
    switch (node->kind) {
    case RUN_NODE_BYTES: return is_spelled[at] ? sum(1, graph->least[node->next]) : RUN_NEVER;
    case RUN_NODE_SPLIT: return BASE_MIN(graph->least[node->next], graph->least[node->other]);
    case RUN_NODE_CALL: return sum(graph->rule_least[node->other], graph->least[node->next]);
    case RUN_NODE_END: return 0;
    }
    return RUN_NEVER;
}

/* Until nothing changes. Nodes lead to earlier ones mostly, so a few rounds do. */
bool run_graph_finish(struct run_graph *graph, const bool single[256])
{
    bool *is_spelled = calloc((size_t)graph->node_count + 1, sizeof *is_spelled);
    graph->least = malloc(((size_t)graph->node_count + 1) * sizeof *graph->least);
    graph->rule_least = malloc(((size_t)graph->rule_count + 1) * sizeof *graph->rule_least);
    if (!is_spelled || !graph->least || !graph->rule_least) {
        free(is_spelled);
        return false;
    }
    for (uint32_t i = 0; i < graph->node_count; i++) {
        graph->least[i] = RUN_NEVER;
        is_spelled[i] =
            graph->nodes[i].kind == RUN_NODE_BYTES && spellable(graph->nodes[i].set, single);
    }
    for (uint32_t i = 0; i < graph->rule_count; i++) {
        graph->rule_least[i] = RUN_NEVER;
    }
    bool changed = true;
    while (changed) {
        changed = false;
        for (uint32_t i = 0; i < graph->node_count; i++) {
            const uint32_t least = measure(graph, i, is_spelled);
            changed = changed || least < graph->least[i];
            graph->least[i] = BASE_MIN(least, graph->least[i]);
        }
        for (uint32_t i = 0; i < graph->rule_count; i++) {
            const uint32_t least = graph->least[graph->rules[i].start];
            changed = changed || least < graph->rule_least[i];
            graph->rule_least[i] = BASE_MIN(least, graph->rule_least[i]);
        }
    }
    free(is_spelled);
    return true;
}

/* ---- what begins with itself ----------------------------------------------------------------- */

/* Nodes that the one may lead to without a byte: at most two, RUN_NO_NODE for none. */
static void leads_to(const struct run_graph *graph, uint32_t at, uint32_t to[2])
{
    const struct run_node *node = &graph->nodes[at];
    to[0] = to[1] = RUN_NO_NODE;
    if (node->kind == RUN_NODE_SPLIT) {
        to[0] = node->next;
        to[1] = node->other;
    } else if (node->kind == RUN_NODE_CALL) {
        to[0] = graph->rules[node->other].start;
        to[1] = graph->rule_least[node->other] == 0 ? node->next : RUN_NO_NODE;
    }
}

/* Depth first, by a stack of its own: a node that is met while it is open closes a circle. */
bool run_graph_begins_with_itself(const struct run_graph *graph)
{
    enum { NEW, OPEN, DONE };
    unsigned char *colour = calloc((size_t)graph->node_count + 1, 1);
    uint32_t *stack = malloc(((size_t)graph->node_count + 1) * sizeof *stack);
    bool found = false;
    BASE_ASSERT(colour && stack);
    for (uint32_t i = 0; i < graph->node_count && !found; i++) {
        uint32_t depth = 0;
        if (colour[i] == NEW) {
            colour[i] = OPEN;
            stack[depth++] = i;
        }
        while (depth > 0 && !found) {
            uint32_t to[2], next = RUN_NO_NODE;
            leads_to(graph, stack[depth - 1], to);
            for (size_t j = 0; j < 2; j++) {
                if (to[j] != RUN_NO_NODE) {
                    found = found || colour[to[j]] == OPEN;
                    next = colour[to[j]] == NEW ? to[j] : next;
                }
            }
            if (next == RUN_NO_NODE) {
                colour[stack[--depth]] = DONE;
            } else {
                colour[next] = OPEN;
                stack[depth++] = next;
            }
        }
    }
    free(colour);
    free(stack);
    return found;
}

void run_graph_free(struct run_graph *graph)
{
    free(graph->nodes);
    free(graph->rules);
    free(graph->least);
    free(graph->rule_least);
    *graph = (struct run_graph){0};
}
