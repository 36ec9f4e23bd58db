/*
 * Path: from the last instruction back to the first, placement by placement: what made each begin
 * when it did. Every cycle of the program gets one owner, so layers add up to the program.
 *
 * Requires: placements with what bounds them. Fills in: steps, layers, start and end.
 * A placement owns the cycles from the one in which what bounds it was there to the one in which
 * what the next placement waited for was there. They are spent waiting (nothing was missing but a
 * free place: a queue or stream), moving (to a unit, and back to memory) or working (in a unit).
 */
#include "inspect/inspect.h"

#include <string.h>

const char *inspect_reason_name(enum inspect_reason reason)
{
    static const char *const names[INSPECT_REASONS] = {"start",  "data",  "install",
                                                       "buffer", "reuse", "queue"};
    return names[reason];
}

/* An IW keeps no distance to its loads: it may wait for the last product with the old weights. */
static uint32_t install_after(const struct inspect *inspect, uint32_t exit)
{
    const struct inspect_code *code = &inspect->code;
    const struct inspect_issue *issue = &code->issues[exit];
    if (code->words[issue->word].instruction.op != ISA_IW) {
        return INSPECT_NONE;
    }
    uint32_t loaded = 0; /* the cycle after its last load */
    const struct inspect_placement *p = &inspect->placements[issue->placement];
    for (uint32_t i = 0; i < p->issue_count; i++) {
        uint32_t other = inspect->by_placement[p->issue_first + i];
        if (other != exit && code->issues[other].queue == issue->queue) {
            loaded = BASE_MAX(loaded, code->issues[other].cycle + 1);
        }
    }
    if (issue->cycle <= loaded) {
        return INSPECT_NONE;
    }
    struct machine_queue unit = machine_queue(inspect->machine, issue->queue);
    uint32_t queue =
        machine_queue_mxm(inspect->machine, unit.hemisphere, unit.index, ISA_UNIT_MXM_ACTIVATIONS);
    for (uint32_t i = exit; i-- > 0 && code->issues[i].cycle + 64 > issue->cycle;) {
        if (code->issues[i].queue == queue) {
            return i;
        }
    }
    for (uint32_t i = exit; i < code->issue_count && code->issues[i].cycle == issue->cycle; i++) {
        if (code->issues[i].queue == queue) {
            return i; /* in the same cycle, by a later queue */
        }
    }
    return INSPECT_NONE;
}

/* Cycles of from .. to - 1 in which an instruction of the placement is in a unit outside memory. */
static uint32_t working_cycles(const struct inspect *inspect, const struct inspect_placement *p,
                               uint32_t from, uint32_t to)
{
    uint32_t working = 0, counted = from; /* up to here */
    for (uint32_t i = 0; i < p->issue_count; i++) {
        uint32_t index = inspect->by_placement[p->issue_first + i];
        const struct inspect_issue *issue = &inspect->code.issues[index];
        const struct isa_instruction *in = &inspect->code.words[issue->word].instruction;
        if (isa_op_info((enum isa_op)in->op)->unit == ISA_UNIT_MEM) {
            continue;
        }
        uint32_t begin = BASE_MAX(issue->cycle, counted);
        uint32_t end = BASE_MIN(issue->cycle + inspect_latency(inspect->machine, in), to);
        if (end > begin) {
            working += end - begin;
            counted = end;
        }
    }
    return working;
}

/* What bounds the placement as far as its issue `exit` goes. */
static struct inspect_step find_bound(const struct inspect *inspect, uint32_t exit)
{
    const struct inspect_issue *issues = inspect->code.issues;
    uint32_t placement = issues[exit].placement;
    const struct inspect_placement *p = &inspect->placements[placement];
    struct inspect_step step = {.placement = placement,
                                .waiting = p->held,
                                .reason = p->reason,
                                .at = p->at,
                                .after = p->after};
    uint32_t install = install_after(inspect, exit);
    if (install != INSPECT_NONE && issues[install].placement < placement) {
        step.waiting = 0;
        step.reason = INSPECT_BUFFER;
        step.at = exit;
        step.after = install;
    }
    if (step.after == INSPECT_NONE) { /* it began with the program */
        step.from = BASE_MIN(p->first, inspect->machine->notify_cycles);
        step.waiting = p->first - step.from;
        return step;
    }
    /* What `after` still does belongs to `after`. */
    struct isa_instruction in = inspect_instruction(inspect, step.after);
    uint32_t done = issues[step.after].cycle + inspect_latency(inspect->machine, &in);
    step.from = BASE_MIN(issues[step.at].cycle - step.waiting, done);
    return step;
}

static void walk(struct inspect *inspect)
{
    const struct inspect_code *code = &inspect->code;
    uint32_t exit = code->issue_count - 1;
    while (exit > 0 && code->issues[exit].placement == INSPECT_NONE) {
        exit--; /* reads of text are nobody's */
    }
    uint32_t to = code->issues[exit].cycle + 1;
    inspect->end_cycles = inspect->cycles > to ? inspect->cycles - to : 0;
    while (exit != INSPECT_NONE && code->issues[exit].placement != INSPECT_NONE) {
        struct inspect_step step = find_bound(inspect, exit);
        exit = step.after;
        if (step.from >= to) {
            continue;
        }
        const struct inspect_placement *p = &inspect->placements[step.placement];
        step.to = to;
        step.waiting = BASE_MIN(step.waiting, to - step.from);
        step.working = working_cycles(inspect, p, step.from + step.waiting, to);
        step.moving = to - step.from - step.waiting - step.working;
        to = step.from;
        inspect->steps[inspect->step_count++] = step;
    }
    inspect->start_cycles = to;
    for (uint32_t i = 0; i < inspect->step_count / 2; i++) {
        struct inspect_step swap = inspect->steps[i];
        inspect->steps[i] = inspect->steps[inspect->step_count - 1 - i];
        inspect->steps[inspect->step_count - 1 - i] = swap;
    }
}

const struct compile_task *inspect_task(const struct inspect *inspect, uint32_t placement)
{
    static const struct compile_task unknown = {"?", "?", "", 0};
    if (placement == INSPECT_NONE || inspect->account == NULL) {
        return &unknown;
    }
    return &inspect->account->tasks[inspect->placements[placement].task];
}

static void count_layers(struct inspect *inspect)
{
    const struct compile_account *account = inspect->account;
    const struct inspect_code *code = &inspect->code;
    for (uint32_t i = 0; i < account->task_count; i++) {
        inspect->layer_count = BASE_MAX(inspect->layer_count, account->tasks[i].layer + 1);
    }
    inspect->layers = BASE_NEW(&inspect->arena, struct inspect_layer, inspect->layer_count);
    for (uint32_t i = 0; i < inspect->layer_count; i++) {
        inspect->layers[i].first = UINT32_MAX;
    }
    for (uint32_t i = 0; i < code->issue_count; i++) {
        const struct inspect_issue *issue = &code->issues[i];
        if (issue->placement != INSPECT_NONE) {
            struct inspect_layer *layer =
                &inspect->layers[inspect_task(inspect, issue->placement)->layer];
            layer->first = BASE_MIN(layer->first, issue->cycle);
            layer->last = BASE_MAX(layer->last, issue->cycle);
            layer->issues[inspect_queue_unit(inspect, issue->queue)]++;
        }
    }
    for (uint32_t i = 0; i < inspect->step_count; i++) {
        const struct inspect_step *step = &inspect->steps[i];
        struct inspect_layer *layer =
            &inspect->layers[inspect_task(inspect, step->placement)->layer];
        layer->step_first = layer->step_count++ == 0 ? i : layer->step_first;
        layer->cycles += step->to - step->from;
        layer->working += step->working;
        layer->moving += step->moving;
        layer->waiting += step->waiting;
    }
}

void inspect_path(struct inspect *inspect)
{
    inspect->steps =
        BASE_NEW(&inspect->arena, struct inspect_step, (size_t)inspect->placement_count + 1);
    if (inspect->code.issue_count == 0) {
        inspect->start_cycles = inspect->cycles;
        return;
    }
    walk(inspect);
    if (inspect->account != NULL) {
        count_layers(inspect);
    }
}
