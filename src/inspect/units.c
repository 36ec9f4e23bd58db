/*
 * Units: what each unit does in each cycle of the program.
 *
 * Between two issues of a unit, the later one's value is under way for as long as it takes from
 * where it was made (outside memory); before that the unit waits for the task that makes it. Words
 * that lay ready in memory, as weights do, were not waited for: the unit then waits for what bounds
 * the placement of that issue, under that task's name.
 */
#include "inspect/flow.h"

#include <string.h>

const char *inspect_unit_name(enum inspect_unit unit)
{
    static const char *const names[INSPECT_UNITS] = {
        "MEM",         "VXM",           "MXM weights", "MXM activations",
        "MXM results", "SXM transpose", "SXM permute", "SXM distribute",
        "SXM shift",   "SXM rotate",    "other"};
    return names[unit];
}

enum inspect_unit inspect_queue_unit(const struct inspect *inspect, uint32_t queue)
{
    switch (machine_queue(inspect->machine, queue).unit) {
    case ISA_UNIT_MEM: return INSPECT_MEM;
    case ISA_UNIT_VXM:
    case ISA_UNIT_VXM_LARGE: return INSPECT_VXM;
    case ISA_UNIT_MXM_WEIGHTS: return INSPECT_WEIGHTS;
    case ISA_UNIT_MXM_ACTIVATIONS: return INSPECT_ACTIVATIONS;
    case ISA_UNIT_MXM_RESULTS: return INSPECT_RESULTS;
    case ISA_UNIT_SXM_TRANSPOSE: return INSPECT_TRANSPOSE;
    case ISA_UNIT_SXM_PERMUTE: return INSPECT_PERMUTE;
    case ISA_UNIT_SXM_DISTRIBUTE: return INSPECT_DISTRIBUTE;
    case ISA_UNIT_SXM_SHIFT: return INSPECT_SHIFT;
    case ISA_UNIT_SXM_ROTATE: return INSPECT_ROTATE;
    default: return INSPECT_OTHER;
    }
}

void flow_units_open(struct flow_units *units, struct inspect *inspect)
{
    const struct inspect_code *code = &inspect->code;
    units->inspect = inspect;
    units->unit_of = BASE_NEW(&inspect->arena, enum inspect_unit, code->queue_count);
    for (uint32_t q = 0; q < code->queue_count; q++) {
        enum inspect_unit unit = inspect_queue_unit(inspect, q);
        units->unit_of[q] = unit;
        inspect->units[unit].queues++;
        inspect->units[unit].queues_used += code->queue_issues[q] > 0;
        inspect->units[unit].issues += code->queue_issues[q];
    }
    for (uint32_t u = 0; u < INSPECT_UNITS; u++) {
        units->waits[u] = BASE_NEW(&inspect->arena, uint64_t, inspect->name_count + 1u);
    }
}

/* The task whose making of something the cycles before issue i were spent on; name_count: none. */
static uint32_t waited_for(const struct inspect *inspect, uint32_t i, uint32_t origin)
{
    uint32_t after = origin;
    if (after == INSPECT_NONE) {
        uint32_t own = inspect->code.issues[i].placement;
        after = own == INSPECT_NONE ? INSPECT_NONE : inspect->placements[own].after;
    }
    uint32_t placement =
        after == INSPECT_NONE ? INSPECT_NONE : inspect->code.issues[after].placement;
    return placement == INSPECT_NONE ? inspect->name_count
                                     : inspect->task_names[inspect->placements[placement].task];
}

/* The cycles from .. now - 1 before issue i, of a unit that does nothing in them. */
static void count_gap(struct flow_units *units, enum inspect_unit u, uint32_t i, uint32_t origin,
                      uint32_t rest, uint32_t from)
{
    const struct inspect *inspect = units->inspect;
    struct inspect_unit_cycles *cycles = &units->inspect->units[u];
    uint32_t now = inspect->code.issues[i].cycle, gap = now - from, moving = 0;
    if (origin != INSPECT_NONE) {
        uint32_t age = now - inspect->code.issues[origin].cycle;
        moving = BASE_MIN(gap, age - BASE_MIN(rest, age));
    }
    cycles->moving += moving;
    cycles->waiting += gap - moving;
    units->waits[u][waited_for(inspect, i, rest > 0 ? INSPECT_NONE : origin)] += gap - moving;
}

void flow_units_issue(struct flow_units *units, uint32_t i, uint32_t origin, uint32_t rest)
{
    struct inspect *inspect = units->inspect;
    const struct inspect_issue *issue = &inspect->code.issues[i];
    enum inspect_unit u = units->unit_of[issue->queue];
    uint32_t from = units->last[u];
    if (units->any[u] && issue->cycle < from) {
        return; /* the cycle counts already */
    }
    if (!units->any[u]) { /* the program's start */
        from = BASE_MIN(issue->cycle, inspect->machine->notify_cycles);
        inspect->units[u].idle += from;
    }
    count_gap(units, u, i, origin, rest, from);
    inspect->units[u].working++;
    units->any[u] = true;
    units->last[u] = issue->cycle + 1;
}

void flow_units_close(struct flow_units *units)
{
    struct inspect *inspect = units->inspect;
    for (uint32_t u = 0; u < INSPECT_UNITS; u++) {
        struct inspect_unit_cycles *cycles = &inspect->units[u];
        uint64_t end = units->any[u] ? units->last[u] : 0;
        cycles->idle += inspect->cycles > end ? inspect->cycles - end : 0;
        while (cycles->wait_count < INSPECT_WAITS_MAX) {
            uint32_t best = 0;
            for (uint32_t n = 1; n <= inspect->name_count; n++) {
                best = units->waits[u][n] > units->waits[u][best] ? n : best;
            }
            if (units->waits[u][best] == 0) {
                break;
            }
            cycles->waits[cycles->wait_count++] =
                (struct inspect_wait){best, units->waits[u][best]};
            units->waits[u][best] = 0;
        }
    }
}
