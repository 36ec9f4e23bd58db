/*
 * Units: what each unit does in each cycle of the program.
 *
 * Between two issues of a unit, the later one's value is under way from the cycle in which it was
 * made (outside memory) on; before that the unit waits for the task that makes it. Weights and other
 * words that lie in memory from the start have no maker: the unit then waits for what bounds the
 * placement of that issue, under that task's name.
 */
#include "inspect/flow.h"

#include <string.h>

const char *inspect_unit_name(enum inspect_unit unit)
{
    static const char *const names[INSPECT_UNITS] = {
        "MEM",           "VXM",         "MXM weights",    "MXM activations", "MXM results",
        "SXM transpose", "SXM permute", "SXM distribute", "other"};
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
    uint32_t placement = after == INSPECT_NONE ? INSPECT_NONE : inspect->code.issues[after].placement;
    return placement == INSPECT_NONE ? inspect->name_count
                                     : inspect->task_names[inspect->placements[placement].task];
}

void flow_units_issue(struct flow_units *units, uint32_t i, uint32_t origin)
{
    struct inspect *inspect = units->inspect;
    const struct inspect_issue *issue = &inspect->code.issues[i];
    enum inspect_unit u = units->unit_of[issue->queue];
    struct inspect_unit_cycles *cycles = &inspect->units[u];
    uint32_t from = units->last[u], now = issue->cycle;
    if (units->any[u] && now < from) {
        return; /* the cycle counts already */
    }
    if (!units->any[u]) { /* the program's start */
        from = BASE_MIN(now, inspect->machine->notify_cycles);
        cycles->idle += from;
    }
    uint32_t made = from; /* first cycle in which the value is under way */
    if (origin != INSPECT_NONE) {
        made = BASE_MIN(BASE_MAX(from, inspect->code.issues[origin].cycle), now);
        cycles->moving += now - made;
    } else {
        made = now;
    }
    cycles->waiting += made - from;
    units->waits[u][waited_for(inspect, i, origin)] += made - from;
    cycles->working++;
    units->any[u] = true;
    units->last[u] = now + 1;
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
