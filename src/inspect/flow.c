/*
 * Flow: who takes what from whom, and what bounds the start of every placement.
 *
 * Requires: code. Fills in: producers, placements, chain_cycles, units.
 * Goes through the program cycle by cycle with the streams, memory words, weight buffers and
 * accumulators as the machine has them, but holds in each the number of the issue that made the
 * value instead of the value. A Scatter or Gather may touch any word of its region.
 */
#include "inspect/flow.h"

#include <string.h>

#define RING 64u     /* diagonals of a stream, and cycles a result is under way to it */
#define RESULTS 256u /* cycles of results of a plane */
#define STREAMS (2u * ISA_STREAMS)
#define EDGES_MAX (ISA_FIELDS_MAX * 16u) /* streams an instruction takes, at most */
#define PLANES (2u * MACHINE_PLANES)

struct slot {
    int64_t diagonal;
    uint32_t issue;
};

struct landing {
    uint32_t issue;
    uint8_t stream, position;
};

struct place_of_queue {
    struct machine_queue unit;
    uint32_t read_east, read_west, write, slice, plane;
};

struct plane {
    uint32_t installs[2]; /* the last IW and the one before */
    uint32_t last_load, last_product;
    uint32_t results[RESULTS], result_cycles[RESULTS];
    uint32_t *accumulators;
};

struct flow {
    struct inspect *inspect;
    const struct machine *machine;
    struct place_of_queue *queues;
    struct slot slots[STREAMS][RING];
    struct landing *landings[RING];
    uint32_t landing_count[RING], landing_capacity;
    uint32_t *writers, *readers;               /* [slices][words]: the last of each */
    uint32_t *region_writers, *region_readers; /* [regions] */
    struct plane planes[PLANES];
    uint32_t *queue_last;   /* [queues] */
    uint32_t *queue_before; /* [queues] the last one in a cycle before that one's */
    uint32_t *earliest;     /* [issues]: if every unit were there as often as wanted */
    uint32_t *origins;      /* [issues]: the value's maker outside MEM */
    uint32_t *rests;        /* [issues]: cycles that value lay in memory on its way */
    uint32_t edge_count;
    uint32_t now;
    struct flow_units units;
};

/* ---- where queues are ------------------------------------------------------------------------ */

static void place_queue(const struct machine *machine, uint32_t index, struct place_of_queue *q)
{
    q->unit = machine_queue(machine, index);
    uint32_t h = q->unit.hemisphere, position = 0;
    switch (q->unit.unit) {
    case ISA_UNIT_MEM:
        position = machine_mem_position(machine, h, q->unit.index);
        q->slice = h * machine->mem_slices + q->unit.index;
        break;
    case ISA_UNIT_VXM:
    case ISA_UNIT_VXM_LARGE: {
        uint32_t column = q->unit.index % MACHINE_VXM_COLUMNS;
        q->read_east = machine_vxm_read_position(machine, column, false);
        q->read_west = machine_vxm_read_position(machine, column, true);
        q->write = machine_vxm_write_position(machine, column);
        return;
    }
    case ISA_UNIT_MXM_WEIGHTS:
    case ISA_UNIT_MXM_ACTIVATIONS:
    case ISA_UNIT_MXM_RESULTS:
        position = machine_mxm_position(machine, h);
        q->plane = h * MACHINE_PLANES + q->unit.index;
        break;
    case ISA_UNIT_SXM_PERMUTE:
    case ISA_UNIT_SXM_DISTRIBUTE:
    case ISA_UNIT_SXM_TRANSPOSE:
    case ISA_UNIT_SXM_SHIFT:
    case ISA_UNIT_SXM_ROTATE: position = machine_sxm_position(machine, h); break;
    default: break;
    }
    q->read_east = q->read_west = q->write = position;
}

/* ---- edges ----------------------------------------------------------------------------------- */

static uint32_t cycle_of(const struct flow *f, uint32_t issue)
{
    return f->inspect->code.issues[issue].cycle;
}

/* The placement of issue i may begin no earlier than makes i issue at `cycle`, because of `after`.
 */
static void bound(struct flow *f, uint32_t i, uint32_t after, int64_t cycle,
                  enum inspect_reason reason)
{
    const struct inspect_issue *issues = f->inspect->code.issues;
    uint32_t own = issues[i].placement, other = issues[after].placement;
    if (own == INSPECT_NONE || other == INSPECT_NONE || other >= own) {
        return; /* what is placed later never stood in the way */
    }
    int64_t held = (int64_t)issues[i].cycle - cycle;
    if (held < 0) {
        return;
    }
    struct inspect_placement *p = &f->inspect->placements[own];
    bool better =
        p->reason == INSPECT_START || held < p->held || (held == p->held && reason < p->reason) ||
        (held == p->held && reason == p->reason && issues[after].cycle > issues[p->after].cycle);
    if (better) {
        p->reason = reason;
        p->at = i;
        p->after = after;
        p->held = (uint32_t)held;
    }
}

/* Issue i takes what `after` gave, and could not have before `cycle`. */
static void depend(struct flow *f, uint32_t i, uint32_t after, int64_t cycle,
                   enum inspect_reason reason)
{
    if (after == INSPECT_NONE) {
        return;
    }
    int64_t distance = cycle - (int64_t)cycle_of(f, after);
    f->earliest[i] = (uint32_t)BASE_MAX((int64_t)f->earliest[i],
                                        (int64_t)f->earliest[after] + BASE_MAX(distance, 0));
    bound(f, i, after, cycle, reason);
}

static void wait_for(struct flow *f, uint32_t i, uint32_t after, int64_t cycle,
                     enum inspect_reason reason)
{
    if (after != INSPECT_NONE) {
        bound(f, i, after, cycle, reason);
    }
}

static bool in_memory(const struct flow *f, uint32_t issue)
{
    return f->queues[f->inspect->code.issues[issue].queue].unit.unit == ISA_UNIT_MEM;
}

/* The last of what an issue takes decides where its value comes from. */
static void take_origin(struct flow *f, uint32_t i, uint32_t after, uint32_t rest)
{
    if (after == INSPECT_NONE) {
        return;
    }
    bool passed_on = in_memory(f, after);
    uint32_t origin = passed_on ? f->origins[after] : after;
    if (origin != INSPECT_NONE &&
        (f->origins[i] == INSPECT_NONE || cycle_of(f, origin) > cycle_of(f, f->origins[i]))) {
        f->origins[i] = origin;
        f->rests[i] = rest + (passed_on ? f->rests[after] : 0);
    }
}

/* ---- streams --------------------------------------------------------------------------------- */

static int64_t diagonal_of(uint32_t cycle, uint32_t stream, uint32_t position)
{
    return ISA_STREAM_WEST(stream) ? (int64_t)cycle + position : (int64_t)cycle - position;
}

static struct slot *slot_of(struct flow *f, uint32_t stream, int64_t diagonal)
{
    return &f->slots[stream % STREAMS][(uint64_t)diagonal % RING];
}

static void land(struct flow *f)
{
    uint32_t bucket = f->now % RING;
    for (uint32_t i = 0; i < f->landing_count[bucket]; i++) {
        const struct landing *l = &f->landings[bucket][i];
        int64_t diagonal = diagonal_of(f->now, l->stream, l->position);
        *slot_of(f, l->stream, diagonal) = (struct slot){diagonal, l->issue};
    }
    f->landing_count[bucket] = 0;
}

static void take_stream(struct flow *f, uint32_t i, uint32_t stream)
{
    const struct place_of_queue *q = &f->queues[f->inspect->code.issues[i].queue];
    uint32_t position = ISA_STREAM_WEST(stream) ? q->read_west : q->read_east;
    int64_t diagonal = diagonal_of(f->now, stream, position);
    const struct slot *slot = slot_of(f, stream, diagonal);
    if (slot->diagonal == diagonal) {
        depend(f, i, slot->issue, f->now, INSPECT_DATA);
        take_origin(f, i, slot->issue, 0);
        f->inspect->edges[f->edge_count++] = slot->issue;
    }
}

static void give_stream(struct flow *f, uint32_t i, uint32_t stream, uint32_t latency)
{
    const struct place_of_queue *q = &f->queues[f->inspect->code.issues[i].queue];
    uint32_t bucket = (f->now + latency) % RING;
    if (f->landing_count[bucket] < f->landing_capacity && latency < RING) {
        f->landings[bucket][f->landing_count[bucket]++] =
            (struct landing){i, (uint8_t)stream, (uint8_t)q->write};
    }
}

static void operands(struct flow *f, uint32_t i, const struct isa_instruction *in)
{
    const struct isa_op_info *info = isa_op_info((enum isa_op)in->op);
    uint32_t latency = inspect_latency(f->machine, in);
    for (uint32_t k = 0; k < ISA_FIELDS_MAX && info->fields[k] != ISA_FIELD_NONE; k++) {
        const struct isa_field_info *field = isa_field_info(info->fields[k]);
        uint32_t base = isa_field_get(in, info->fields[k]);
        for (uint32_t s = 0; s < field->width; s++) {
            bool left_out = in->op == ISA_TRANSPOSE && (in->address >> s & 1u) == 0;
            if (field->kind == ISA_KIND_STREAM_IN && !left_out) {
                take_stream(f, i, base + s);
            } else if (field->kind == ISA_KIND_STREAM_OUT) {
                give_stream(f, i, base + s, latency);
            }
        }
    }
}

/* ---- memory ---------------------------------------------------------------------------------- */

struct cell { /* what remembers who touched a word */
    uint32_t *writer, *reader;
};

static struct cell cell_of(struct flow *f, uint32_t slice, uint32_t address, bool by_data)
{
    size_t word = (size_t)slice * f->machine->mem_words + address;
    uint32_t region = f->inspect->region_of[word];
    if (region > 0 && (by_data || f->inspect->account->regions[region - 1].by_data)) {
        return (struct cell){&f->region_writers[region - 1], &f->region_readers[region - 1]};
    }
    return (struct cell){&f->writers[word], &f->readers[word]};
}

static void read_word(struct flow *f, uint32_t i, uint32_t slice, uint32_t address, bool by_data)
{
    if (address >= f->machine->mem_words) {
        return;
    }
    struct cell cell = cell_of(f, slice, address, by_data);
    size_t word = (size_t)slice * f->machine->mem_words + address;
    uint32_t region = f->inspect->region_of[word];
    if (by_data && region > 0 && *cell.writer == INSPECT_NONE) {
        cell.writer = &f->region_writers[region - 1];
    }
    if (*cell.writer != INSPECT_NONE) {
        depend(f, i, *cell.writer, (int64_t)cycle_of(f, *cell.writer) + 1, INSPECT_DATA);
        take_origin(f, i, *cell.writer, f->now - cycle_of(f, *cell.writer) - 1);
    }
    *cell.reader = i;
}

static void write_word(struct flow *f, uint32_t i, uint32_t slice, uint32_t address, bool by_data)
{
    if (address >= f->machine->mem_words) {
        return;
    }
    struct cell cell = cell_of(f, slice, address, by_data);
    if (*cell.reader != INSPECT_NONE) {
        wait_for(f, i, *cell.reader, (int64_t)cycle_of(f, *cell.reader) + 1, INSPECT_REUSE);
    }
    if (*cell.writer != INSPECT_NONE) {
        wait_for(f, i, *cell.writer, (int64_t)cycle_of(f, *cell.writer) + 1, INSPECT_REUSE);
    }
    *cell.writer = i;
    uint32_t region = f->inspect->region_of[(size_t)slice * f->machine->mem_words + address];
    if (region > 0) {
        f->region_writers[region - 1] = i; /* for a Gather, which may take any of them */
    }
}

static void memory(struct flow *f, uint32_t i, const struct isa_instruction *in)
{
    uint32_t slice = f->queues[f->inspect->code.issues[i].queue].slice;
    switch ((enum isa_op)in->op) {
    case ISA_READ: read_word(f, i, slice, in->address, false); break;
    case ISA_GATHER: read_word(f, i, slice, in->address, true); break;
    case ISA_WRITE: write_word(f, i, slice, in->address, false); break;
    case ISA_SCATTER: write_word(f, i, slice, in->address, true); break;
    default: break;
    }
}

/* ---- matrix units ---------------------------------------------------------------------------- */

static void weights(struct flow *f, uint32_t i, const struct isa_instruction *in)
{
    struct plane *p = &f->planes[f->queues[f->inspect->code.issues[i].queue].plane];
    if (in->op != ISA_IW) {
        if (p->installs[0] != INSPECT_NONE) {
            wait_for(f, i, p->installs[0], (int64_t)cycle_of(f, p->installs[0]) + 1,
                     INSPECT_BUFFER);
        }
        p->last_load = i;
        f->inspect->weight_loads++;
        return;
    }
    if (p->last_load != INSPECT_NONE) {
        depend(f, i, p->last_load, (int64_t)cycle_of(f, p->last_load) + 1, INSPECT_DATA);
        take_origin(f, i, p->last_load, f->now - cycle_of(f, p->last_load) - 1);
    }
    if (p->last_product != INSPECT_NONE) {
        wait_for(f, i, p->last_product,
                 (int64_t)cycle_of(f, p->last_product) + 1 - f->machine->mxm_install_cycles,
                 INSPECT_BUFFER);
    }
    p->installs[1] = p->installs[0];
    p->installs[0] = i;
}

static void activations(struct flow *f, uint32_t i)
{
    struct plane *p = &f->planes[f->queues[f->inspect->code.issues[i].queue].plane];
    uint32_t install = p->installs[0], cycles = f->machine->mxm_install_cycles;
    if (install != INSPECT_NONE && cycle_of(f, install) + cycles > f->now) {
        install = p->installs[1];
    }
    if (install != INSPECT_NONE) {
        depend(f, i, install, (int64_t)cycle_of(f, install) + cycles, INSPECT_INSTALL);
        take_origin(f, i, install, f->now - cycle_of(f, install) - cycles);
    }
    uint32_t at = (f->now + f->machine->mxm_result_cycles) % RESULTS;
    p->results[at] = i;
    p->result_cycles[at] = f->now + f->machine->mxm_result_cycles;
    p->last_product = i;
    /* In fp16 the multipliers of both planes of the hemisphere are in it. */
    f->inspect->products +=
        inspect_instruction(f->inspect, i).op == ISA_ABC_F16 ? MACHINE_PLANES : 1;
}

static void results(struct flow *f, uint32_t i, const struct isa_instruction *in)
{
    struct plane *p = &f->planes[f->queues[f->inspect->code.issues[i].queue].plane];
    uint32_t at = f->now % RESULTS;
    if (p->results[at] != INSPECT_NONE && p->result_cycles[at] == f->now) {
        depend(f, i, p->results[at], f->now, INSPECT_DATA);
        take_origin(f, i, p->results[at], 0);
    }
    bool held = in->op == ISA_ACC_SET || in->op == ISA_ACC_ADD || in->op == ISA_ACC_OUT;
    if (!held || in->address >= f->machine->mxm_accumulators) {
        return;
    }
    uint32_t before = p->accumulators[in->address];
    if (before != INSPECT_NONE && in->op != ISA_ACC_SET) {
        depend(f, i, before, (int64_t)cycle_of(f, before) + 1, INSPECT_DATA);
    } else if (before != INSPECT_NONE) {
        wait_for(f, i, before, (int64_t)cycle_of(f, before) + 1, INSPECT_REUSE);
    }
    p->accumulators[in->address] = i;
}

/* ---- the pass -------------------------------------------------------------------------------- */

static void fill(uint32_t *items, size_t count)
{
    memset(items, 0xFF, count * sizeof *items); /* INSPECT_NONE */
}

static struct flow *prepare(struct inspect *inspect)
{
    struct base_arena *arena = &inspect->arena;
    const struct machine *machine = inspect->machine;
    size_t words = 2u * (size_t)machine->mem_slices * machine->mem_words;
    uint32_t queues = inspect->code.queue_count, issues = inspect->code.issue_count;
    uint32_t regions = inspect->account != NULL ? inspect->account->region_count : 0;
    struct flow *f = BASE_NEW(arena, struct flow, 1);
    f->inspect = inspect;
    f->machine = machine;
    f->queues = BASE_NEW(arena, struct place_of_queue, queues);
    for (uint32_t q = 0; q < queues; q++) {
        place_queue(machine, q, &f->queues[q]);
    }
    for (uint32_t s = 0; s < STREAMS; s++) {
        for (uint32_t r = 0; r < RING; r++) {
            f->slots[s][r] = (struct slot){INT64_MIN, INSPECT_NONE};
        }
    }
    f->landing_capacity = queues * 17u;
    for (uint32_t r = 0; r < RING; r++) {
        f->landings[r] = BASE_NEW(arena, struct landing, f->landing_capacity);
    }
    uint32_t **all[] = {&f->writers,    &f->readers,      &f->region_writers, &f->region_readers,
                        &f->queue_last, &f->queue_before, &f->origins};
    const size_t counts[] = {words, words, regions, regions, queues, queues, issues};
    f->rests = BASE_NEW(arena, uint32_t, issues);
    inspect->edge_first = BASE_NEW(arena, uint32_t, issues + 1u);
    inspect->edges = BASE_NEW(arena, uint32_t, EDGES_MAX * (size_t)issues);
    for (size_t i = 0; i < BASE_COUNT(all); i++) {
        *all[i] = BASE_NEW(arena, uint32_t, counts[i]);
        fill(*all[i], counts[i]);
    }
    f->earliest = BASE_NEW(arena, uint32_t, issues);
    for (uint32_t p = 0; p < PLANES; p++) {
        struct plane *plane = &f->planes[p];
        memset(plane, 0xFF, sizeof *plane);
        plane->accumulators = BASE_NEW(arena, uint32_t, machine->mxm_accumulators);
        fill(plane->accumulators, machine->mxm_accumulators);
    }
    flow_units_open(&f->units, inspect);
    return f;
}

static void follow(struct flow *f, uint32_t i)
{
    const struct inspect_issue *issue = &f->inspect->code.issues[i];
    struct isa_instruction in = inspect_instruction(f->inspect, i);
    uint32_t before = f->queue_last[issue->queue];
    if (before != INSPECT_NONE && cycle_of(f, before) == issue->cycle) { /* a ReadWrite's Read */
        before = f->queue_before[issue->queue];
    }
    f->queue_before[issue->queue] = before;
    /* Where all begins with a Notify, nothing can be earlier than its arrival. */
    f->earliest[i] = BASE_MIN(f->machine->notify_cycles, cycle_of(f, 0));
    f->inspect->edge_first[i] = f->edge_count;
    if (before != INSPECT_NONE && cycle_of(f, before) + 1 == issue->cycle) {
        bound(f, i, before, issue->cycle, INSPECT_QUEUE);
    }
    operands(f, i, &in);
    switch (f->queues[issue->queue].unit.unit) {
    case ISA_UNIT_MEM: memory(f, i, &in); break;
    case ISA_UNIT_MXM_WEIGHTS: weights(f, i, &in); break;
    case ISA_UNIT_MXM_ACTIVATIONS: activations(f, i); break;
    case ISA_UNIT_MXM_RESULTS: results(f, i, &in); break;
    default: break;
    }
    f->queue_last[issue->queue] = i;
    flow_units_issue(&f->units, i, f->origins[i], f->rests[i]);
    /* One cycle for the last Sync after it. */
    f->inspect->chain_cycles = BASE_MAX(f->inspect->chain_cycles, (uint64_t)f->earliest[i] + 2u);
}

void inspect_flow(struct inspect *inspect)
{
    struct flow *f = prepare(inspect);
    const struct inspect_code *code = &inspect->code;
    uint32_t next = 0;
    for (f->now = 0; next < code->issue_count; f->now++) {
        land(f);
        while (next < code->issue_count && code->issues[next].cycle == f->now) {
            follow(f, next++);
        }
    }
    inspect->producers = f->origins;
    inspect->edge_first[code->issue_count] = f->edge_count;
    flow_units_close(&f->units);
}
