/* Diff: two schedules side by side, and the first instruction at which they part. */
#include "inspect/inspect.h"

#include <string.h>

#define TASKS_TOLD 12u

struct pair {
    const struct inspect_side *side[2];
    struct inspect_bounds bounds[2];
};

static const struct inspect *of(const struct pair *p, uint32_t i)
{
    return p->side[i]->inspect;
}

/* ---- the first difference -------------------------------------------------------------------- */

struct parting {
    uint32_t issue[2]; /* NONE where one has ended */
    bool same;         /* there is none */
};

static bool same_issue(const struct pair *p, uint32_t index)
{
    const struct inspect_issue *issues[2];
    struct isa_instruction in[2];
    char queue[2][32];
    for (uint32_t i = 0; i < 2; i++) {
        issues[i] = &of(p, i)->code.issues[index];
        in[i] = inspect_instruction(of(p, i), index);
        machine_queue_name(of(p, i)->machine, issues[i]->queue, queue[i]);
    }
    return issues[0]->cycle == issues[1]->cycle && strcmp(queue[0], queue[1]) == 0 &&
           isa_encode(&in[0]) == isa_encode(&in[1]);
}

static struct parting find_parting(const struct pair *p)
{
    uint32_t counts[2] = {of(p, 0)->code.issue_count, of(p, 1)->code.issue_count};
    uint32_t i = 0;
    while (i < counts[0] && i < counts[1] && same_issue(p, i)) {
        i++;
    }
    return (struct parting){{i < counts[0] ? i : INSPECT_NONE, i < counts[1] ? i : INSPECT_NONE},
                            i == counts[0] && i == counts[1]};
}

static void put_issue(const struct inspect *inspect, uint32_t issue, bool json,
                      struct base_text *out)
{
    if (issue == INSPECT_NONE) {
        base_text_format(out, json ? "null" : "has ended");
        return;
    }
    const struct inspect_issue *at = &inspect->code.issues[issue];
    const struct compile_task *task = inspect_task(inspect, at->placement);
    struct isa_instruction in = inspect_instruction(inspect, issue);
    char queue[32], line[96];
    machine_queue_name(inspect->machine, at->queue, queue);
    isa_print(&in, line, sizeof line);
    if (!json) {
        base_text_format(out, "cycle %u, %s: %s", at->cycle, queue, line);
        if (at->placement != INSPECT_NONE) {
            base_text_format(out, "  (%s of layer %u)", task->name, task->layer);
        }
        return;
    }
    base_text_format(out, "{\"cycle\":%u,\"queue\":\"%s\",\"instruction\":", at->cycle, queue);
    inspect_json_string(out, line);
    if (at->placement != INSPECT_NONE) {
        base_text_format(out, ",\"layer\":%u,\"task\":", task->layer);
        inspect_json_string(out, task->name);
    }
    base_text_format(out, "}");
}

/* ---- tasks of the critical path -------------------------------------------------------------- */

struct task_cycles {
    const char *name;
    uint64_t cycles[2];
};

struct tasks {
    struct task_cycles items[512];
    uint32_t count;
};

static int64_t difference(const uint64_t cycles[2])
{
    return (int64_t)cycles[1] - (int64_t)cycles[0];
}

static uint64_t size_of(int64_t value)
{
    return value < 0 ? (uint64_t)-value : (uint64_t)value;
}

/* By name, those that differ most first. */
static void count_tasks(const struct pair *p, struct tasks *tasks)
{
    tasks->count = 0;
    for (uint32_t s = 0; s < 2; s++) {
        for (uint32_t i = 0; i < of(p, s)->step_count; i++) {
            const struct inspect_step *step = &of(p, s)->steps[i];
            const char *name = inspect_task(of(p, s), step->placement)->name;
            uint32_t k = 0;
            while (k < tasks->count && strcmp(tasks->items[k].name, name) != 0) {
                k++;
            }
            if (k == tasks->count && k < BASE_COUNT(tasks->items)) {
                tasks->items[tasks->count++] = (struct task_cycles){.name = name};
            }
            if (k < tasks->count) {
                tasks->items[k].cycles[s] += step->to - step->from;
            }
        }
    }
    for (uint32_t i = 1; i < tasks->count; i++) {
        for (uint32_t k = i; k > 0; k--) {
            struct task_cycles *x = &tasks->items[k - 1], *y = &tasks->items[k];
            if (size_of(difference(x->cycles)) >= size_of(difference(y->cycles))) {
                break;
            }
            struct task_cycles swap = *x;
            *x = *y;
            *y = swap;
        }
    }
}

/* ---- text ------------------------------------------------------------------------------------ */

static void put_row(struct base_text *out, const char *name, uint64_t a, uint64_t b)
{
    const uint64_t values[2] = {a, b};
    base_text_format(out, "  %-28s %13llu %13llu", name, (unsigned long long)a,
                     (unsigned long long)b);
    if (a == b) {
        base_text_format(out, "             =\n");
    } else if (a == 0) {
        base_text_format(out, " %+13lld\n", (long long)difference(values));
    } else {
        base_text_format(out, " %+13lld  %+.1f %%\n", (long long)difference(values),
                         100.0 * (double)difference(values) / (double)a);
    }
}

static void put_text(const struct pair *p, const struct parting *parting, const struct tasks *tasks,
                     struct base_text *out)
{
    const struct inspect *a = of(p, 0), *b = of(p, 1);
    for (uint32_t i = 0; i < 2; i++) {
        const struct inspect_facts *facts = p->side[i]->facts;
        base_text_format(out, "%c: %s on %s", 'A' + (int)i, p->side[i]->label, facts->machine);
        if (facts->chunk > 0) {
            base_text_format(out, ", %u token%s over %u positions", facts->chunk,
                             facts->chunk == 1 ? "" : "s", facts->bucket);
        }
        base_text_format(out, "\n");
    }
    base_text_format(out, "\n  %-28s %13s %13s %13s\n", "", "A", "B", "B - A");
    put_row(out, "cycles", a->cycles, b->cycles);
    put_row(out, "bound: weights", (uint64_t)p->bounds[0].weights, (uint64_t)p->bounds[1].weights);
    put_row(out, "bound: multiply-adds", (uint64_t)p->bounds[0].macs, (uint64_t)p->bounds[1].macs);
    put_row(out, "bound: dependent chain", a->chain_cycles, b->chain_cycles);
    put_row(out, "instructions", a->code.instruction_count, b->code.instruction_count);
    put_row(out, "text bytes", program_text_bytes(a->program), program_text_bytes(b->program));
    base_text_format(out, "\nInstructions of each unit\n");
    for (uint32_t u = 0; u < INSPECT_UNITS; u++) {
        if (a->units[u].issues + b->units[u].issues > 0) {
            put_row(out, inspect_unit_name((enum inspect_unit)u), a->units[u].issues,
                    b->units[u].issues);
        }
    }
    uint32_t layers = BASE_MAX(a->layer_count, b->layer_count);
    if (layers > 0) {
        base_text_format(out, "\nCycles of each layer on the critical path\n");
    }
    for (uint32_t l = 0; l < layers; l++) {
        char name[32];
        snprintf(name, sizeof name, "layer %u", l);
        put_row(out, l + 1 == layers ? "after the layers" : name,
                l < a->layer_count ? a->layers[l].cycles : 0,
                l < b->layer_count ? b->layers[l].cycles : 0);
    }
    if (tasks->count > 0 && difference(tasks->items[0].cycles) != 0) {
        base_text_format(out,
                         "\nTasks of the critical path that differ most, all layers together\n");
    }
    for (uint32_t i = 0; i < BASE_MIN(tasks->count, TASKS_TOLD); i++) {
        if (difference(tasks->items[i].cycles) != 0) {
            put_row(out, tasks->items[i].name, tasks->items[i].cycles[0],
                    tasks->items[i].cycles[1]);
        }
    }
    if (parting->same) {
        base_text_format(out, "\nEvery instruction is the same, in the same cycle.\n");
        return;
    }
    base_text_format(out, "\nThey part at\n  A ");
    put_issue(a, parting->issue[0], false, out);
    base_text_format(out, "\n  B ");
    put_issue(b, parting->issue[1], false, out);
    base_text_format(out, "\n");
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void put_pair(struct base_text *out, uint64_t a, uint64_t b)
{
    base_text_format(out, "[%llu,%llu]", (unsigned long long)a, (unsigned long long)b);
}

static void put_side(const struct pair *p, uint32_t i, struct base_text *out)
{
    const struct inspect_facts *facts = p->side[i]->facts;
    base_text_format(out, "{\"name\":");
    inspect_json_string(out, p->side[i]->label);
    base_text_format(out, ",\"machine\":");
    inspect_json_string(out, facts->machine);
    base_text_format(out, ",\"chunk\":%u,\"bucket\":%u,\"program_hash\":\"%s\"}", facts->chunk,
                     facts->bucket, facts->program_hash);
}

static void put_json(const struct pair *p, const struct parting *parting, const struct tasks *tasks,
                     struct base_text *out)
{
    const struct inspect *a = of(p, 0), *b = of(p, 1);
    base_text_format(out, "{\"a\":");
    put_side(p, 0, out);
    base_text_format(out, ",\"b\":");
    put_side(p, 1, out);
    base_text_format(out, ",\"cycles\":");
    put_pair(out, a->cycles, b->cycles);
    base_text_format(out,
                     ",\"bounds\":{\"weights\":[%.1f,%.1f],\"macs\":[%.1f,%.1f],"
                     "\"chain\":[%.0f,%.0f]},\"instructions\":",
                     p->bounds[0].weights, p->bounds[1].weights, p->bounds[0].macs,
                     p->bounds[1].macs, p->bounds[0].chain, p->bounds[1].chain);
    put_pair(out, a->code.instruction_count, b->code.instruction_count);
    base_text_format(out, ",\"text_bytes\":");
    put_pair(out, program_text_bytes(a->program), program_text_bytes(b->program));
    base_text_format(out, ",\"units\":{");
    for (uint32_t u = 0; u < INSPECT_UNITS; u++) {
        base_text_format(out, "%s\"%s\":", u > 0 ? "," : "",
                         inspect_unit_name((enum inspect_unit)u));
        put_pair(out, a->units[u].issues, b->units[u].issues);
    }
    base_text_format(out, "},\"layers\":[");
    for (uint32_t l = 0; l < BASE_MAX(a->layer_count, b->layer_count); l++) {
        base_text_append(out, ",", l > 0);
        put_pair(out, l < a->layer_count ? a->layers[l].cycles : 0,
                 l < b->layer_count ? b->layers[l].cycles : 0);
    }
    base_text_format(out, "],\"tasks\":{");
    for (uint32_t i = 0; i < tasks->count; i++) {
        base_text_append(out, ",", i > 0);
        inspect_json_string(out, tasks->items[i].name);
        base_text_append(out, ":", 1);
        put_pair(out, tasks->items[i].cycles[0], tasks->items[i].cycles[1]);
    }
    base_text_format(out, "},\"same\":%s", parting->same ? "true" : "false");
    if (!parting->same) {
        base_text_format(out, ",\"part\":[");
        put_issue(a, parting->issue[0], true, out);
        base_text_append(out, ",", 1);
        put_issue(b, parting->issue[1], true, out);
        base_text_format(out, "]");
    }
    base_text_format(out, "}\n");
}

void inspect_diff(const struct inspect_side *a, const struct inspect_side *b, bool json,
                  struct base_text *out)
{
    struct pair p = {{a, b},
                     {inspect_bounds(a->inspect, a->facts), inspect_bounds(b->inspect, b->facts)}};
    struct parting parting = find_parting(&p);
    struct tasks tasks;
    count_tasks(&p, &tasks);
    if (json) {
        put_json(&p, &parting, &tasks, out);
    } else {
        put_text(&p, &parting, &tasks, out);
    }
}
