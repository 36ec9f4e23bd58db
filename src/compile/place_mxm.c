/*
 * Placing work of the matrix units: loading a tile of weights, passing vectors through it.
 *
 * Requires: tasks of a plane in the order in which they are to happen. start is the first LW, or
 * the first ABC.
 */
#include "compile/place.h"

static uint32_t mxm_queue(const struct place *p, uint32_t hemisphere, uint32_t plane,
                          enum isa_unit unit)
{
    return machine_queue_mxm(p->machine, hemisphere, plane, unit);
}

static bool not_before(struct place *p, int64_t cycle, int64_t earliest)
{
    if (cycle >= earliest) {
        return true;
    }
    p->hint = BASE_MAX(p->hint, earliest - cycle);
    return false;
}

static bool load_rows(struct place *p, const struct tile *tile, uint32_t base, int64_t start)
{
    uint32_t to = machine_mxm_position(p->machine, tile->hemisphere);
    bool west = tile->hemisphere == MACHINE_WEST;
    uint32_t queue = mxm_queue(p, tile->hemisphere, tile->plane, ISA_UNIT_MXM_WEIGHTS);
    for (uint32_t i = 0; i < tile->count; i++) {
        struct isa_instruction lw = {.op = ISA_LW,
                                     .address = (uint16_t)(tile->index + i * tile->index_step),
                                     .a = ISA_STREAM(west, base)};
        if (!place_issue(p, queue, start + i, &lw)) {
            return false;
        }
        for (uint32_t j = 0; j < MACHINE_WEIGHT_ROWS; j++) {
            uint32_t from = slice_position(p->machine, tile->slice + j);
            int64_t leaves = start + i - place_distance(from, to);
            int64_t issue = leaves - p->machine->mem_read_cycles;
            struct isa_instruction read = {.op = ISA_READ,
                                           .address =
                                               (uint16_t)(tile->address + i * tile->address_step),
                                           .d = ISA_STREAM(west, base + j)};
            if (!not_before(p, issue, 0) ||
                (tile->buffer != NONE &&
                 !place_may_read(p, &p->c->buffers[tile->buffer], 0, issue)) ||
                !place_issue(p, slice_queue(p->machine, tile->slice + j), issue, &read) ||
                !reserve_stream(p->reserve, west, base + j, 1, from, to, leaves)) {
                return false;
            }
        }
    }
    return true;
}

bool place_load(struct place *p, const struct task *task, int64_t start)
{
    const struct tile *tile = &task->tile;
    const struct plane_state *state = &p->planes[tile->hemisphere][tile->plane];
    if (!not_before(p, start, state->buffer_free)) {
        return false;
    }
    struct place_mark mark = place_mark(p);
    bool placed = false;
    for (uint32_t base = 0; base < ISA_STREAMS && !placed && p->hint == 0; base += STRIPES) {
        placed = load_rows(p, tile, base, start);
        if (!placed) {
            place_rollback(p, mark);
        }
    }
    /* The old weights serve until the last vector of the pass before has met them. */
    int64_t install = BASE_MAX(start + tile->count, state->abc_free - 1);
    struct isa_instruction iw = {.op = ISA_IW};
    uint32_t queue = mxm_queue(p, tile->hemisphere, tile->plane, ISA_UNIT_MXM_WEIGHTS);
    if (!placed || !place_issue(p, queue, install, &iw)) {
        return false;
    }
    p->plane_after = (struct plane_state){.buffer_free = install + 1,
                                          .installed = install + p->machine->mxm_install_cycles,
                                          .abc_free = state->abc_free};
    return true;
}

static bool issue_results(struct place *p, const struct pass *pass,
                          const struct pass_segment *segment, uint32_t slot, uint32_t stream,
                          int64_t cycle)
{
    bool west = pass->hemisphere == MACHINE_EAST;
    uint32_t queue = mxm_queue(p, pass->hemisphere, pass->plane, ISA_UNIT_MXM_RESULTS);
    for (uint32_t i = 0; i < pass->vectors; i++) {
        struct isa_instruction acc = {.address = (uint16_t)(slot + i)};
        if (segment->output.buffer == NONE) {
            acc.op = pass->first ? ISA_ACC_SET : ISA_ACC_ADD;
        } else {
            acc.op = pass->first ? ISA_ACC_PASS : ISA_ACC_OUT;
            acc.address = pass->first ? 0 : acc.address;
            acc.d = ISA_STREAM(west, stream);
        }
        if (!place_issue(p, queue, cycle + i, &acc)) {
            return false;
        }
    }
    return true;
}

/* The sums of one segment: onto a group of four streams and to memory (as many bytes as the buffer
 * has). */
static bool place_results(struct place *p, const struct pass *pass,
                          const struct pass_segment *segment, uint32_t slot, int64_t cycle)
{
    if (segment->output.buffer == NONE) {
        return issue_results(p, pass, segment, slot, 0, cycle);
    }
    bool west = pass->hemisphere == MACHINE_EAST;
    uint32_t from = machine_mxm_position(p->machine, pass->hemisphere);
    uint32_t planes = p->c->buffers[segment->output.buffer].planes;
    int64_t lands = cycle + p->machine->mxm_emit_cycles;
    struct place_mark mark = place_mark(p);
    for (uint32_t s = 0; s < ISA_STREAMS && p->hint == 0; s += 4) {
        bool ok =
            place_write(p, &segment->output, 0, planes, pass->vectors, from, west, s, from, lands);
        /* Bytes nobody stores still land: their slots must be free where they do. */
        for (uint32_t i = 0; ok && planes < 4 && i < pass->vectors; i++) {
            ok = reserve_stream(p->reserve, west, s + planes, 4 - planes, from, from, lands + i);
        }
        if (ok && issue_results(p, pass, segment, slot, s, cycle)) {
            return true;
        }
        place_rollback(p, mark);
    }
    return false;
}

bool place_pass(struct place *p, const struct task *task, int64_t start)
{
    const struct pass *pass = task->pass;
    const struct plane_state *state = &p->planes[pass->hemisphere][pass->plane];
    if (!not_before(p, start, BASE_MAX(state->installed, state->abc_free))) {
        return false;
    }
    uint32_t position = machine_mxm_position(p->machine, pass->hemisphere);
    uint32_t queue = mxm_queue(p, pass->hemisphere, pass->plane, ISA_UNIT_MXM_ACTIVATIONS);
    for (uint32_t s = 0; s < pass->segment_count; s++) {
        const struct pass_segment *segment = &pass->segments[s];
        int64_t cycle = start + (int64_t)s * pass->vectors;
        uint32_t stream;
        struct place_route route = place_route(p, segment->input.buffer, position);
        if (!place_read_any(p, &segment->input, segment->plane, 1, pass->vectors, route, cycle,
                            &stream)) {
            return false;
        }
        struct isa_instruction abc = {.op = segment->is_signed ? ISA_ABC_I8 : ISA_ABC_U8,
                                      .a = ISA_STREAM(route.west, stream)};
        for (uint32_t i = 0; i < pass->vectors; i++) {
            if (!place_issue(p, queue, cycle + i, &abc)) {
                p->hint = BASE_MAX(p->hint, 1);
                return false;
            }
        }
        uint32_t slot = s * pass->slots + pass->first_slot;
        if (!place_results(p, pass, segment, slot, cycle + p->machine->mxm_result_cycles)) {
            return false;
        }
    }
    p->plane_after = *state;
    p->plane_after.abc_free = start + (int64_t)pass->vectors * pass->segment_count;
    return true;
}
