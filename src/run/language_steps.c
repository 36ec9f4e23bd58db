/* A regular expression's tree to a graph of steps, from its end; repetitions are written out. */
#include "run/language.h"

#include <stdlib.h>

#define STEPS_MAX 16384u

struct writer {
    struct run_steps *steps;
    const struct run_pattern_node *nodes;
    bool full;
};

static uint32_t add_step(struct writer *writer, struct run_step step)
{
    struct run_steps *steps = writer->steps;
    if (steps->count == STEPS_MAX) {
        writer->full = true;
        return 0;
    }
    if (steps->count == steps->capacity) {
        steps->capacity = steps->capacity ? steps->capacity * 2 : 256;
        steps->steps = realloc(steps->steps, steps->capacity * sizeof *steps->steps);
        BASE_ASSERT(steps->steps);
    }
    steps->steps[steps->count] = step;
    return steps->count++;
}

static uint32_t build(struct writer *writer, uint32_t item, uint32_t next);

static uint32_t build_repeat(struct writer *writer, const struct run_pattern_node *node,
                             uint32_t next)
{
    uint32_t at = next;
    if (node->most == RUN_EVER) {
        const struct run_step loop = {.kind = RUN_STEP_SPLIT, .next = next, .other = next};
        at = add_step(writer, loop);
        const uint32_t body = build(writer, node->child, at);
        writer->steps->steps[at].other = body;
    }
    for (uint32_t i = node->least; node->most != RUN_EVER && i < node->most && !writer->full; i++) {
        const uint32_t body = build(writer, node->child, at);
        if (body == at) {
            break; /* it is empty, however often */
        }
        at = add_step(writer,
                      (struct run_step){.kind = RUN_STEP_SPLIT, .next = next, .other = body});
    }
    for (uint32_t i = 0; i < node->least && !writer->full; i++) {
        const uint32_t body = build(writer, node->child, at);
        if (body == at) {
            break;
        }
        at = body;
    }
    return at;
}

/* A sequence's items, the last one first. */
static uint32_t build_sequence(struct writer *writer, uint32_t first, uint32_t next)
{
    uint32_t count = 0;
    for (uint32_t i = first; i; i = writer->nodes[i].next) {
        count++;
    }
    uint32_t *items = calloc((size_t)count + 1, sizeof *items);
    BASE_ASSERT(items);
    for (uint32_t i = first, j = 0; i; i = writer->nodes[i].next) {
        items[j++] = i;
    }
    while (count > 0 && !writer->full) {
        next = build(writer, items[--count], next);
    }
    free(items);
    return next;
}

static uint32_t build(struct writer *writer, uint32_t item, uint32_t next)
{
    const struct run_pattern_node *node = &writer->nodes[item];
    if (writer->full) {
        return 0;
    }
    switch (node->kind) {
    case RUN_PATTERN_SET: return add_step(writer, (struct run_step){RUN_STEP_SET, next, node->set});
    case RUN_PATTERN_BEGIN:
        return add_step(writer, (struct run_step){.kind = RUN_STEP_BEGIN, .next = next});
    case RUN_PATTERN_END:
        return add_step(writer, (struct run_step){.kind = RUN_STEP_END, .next = next});
    case RUN_PATTERN_SEQUENCE: return build_sequence(writer, node->child, next);
    case RUN_PATTERN_REPEAT: return build_repeat(writer, node, next);
    case RUN_PATTERN_ALTERNATIVES: break;
    }
    uint32_t at = build(writer, node->child, next);
    for (uint32_t i = writer->nodes[node->child].next; i; i = writer->nodes[i].next) {
        const uint32_t other = build(writer, i, next);
        at = add_step(writer, (struct run_step){RUN_STEP_SPLIT, at, other});
    }
    return at;
}

/* Found anywhere: any characters go before. What comes behind is the subset construction's. */
bool run_steps_build(struct run_steps *steps, const struct run_pattern_node *nodes, uint32_t tree,
                     uint32_t any)
{
    struct writer writer = {steps, nodes, false};
    const uint32_t found = add_step(&writer, (struct run_step){.kind = RUN_STEP_FOUND});
    const uint32_t match = build(&writer, tree, found);
    const uint32_t before =
        add_step(&writer, (struct run_step){.kind = RUN_STEP_SPLIT, .next = match});
    const uint32_t skip = add_step(&writer, (struct run_step){RUN_STEP_SET, before, any});
    steps->steps[before].other = skip;
    steps->start = before;
    return !writer.full;
}

void run_steps_free(struct run_steps *steps)
{
    free(steps->steps);
    free(steps->sets);
    free(steps->ranges);
    *steps = (struct run_steps){0};
}
