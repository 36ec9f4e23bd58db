/*
 * Placing work of the switch units, and of memory moved by addresses that are data.
 *
 * Requires: buffers with slices. start is the cycle of the unit's first issue; for scatter and
 * gather the first issue at the slices.
 */
#include "compile/place.h"

/* The word address that step i adds to a buffer's own. */
static uint16_t offset_address(const struct buffer *buffer, const struct access *offset, uint32_t i)
{
    return (uint16_t)(buffer->address + access_vector(offset, i));
}

/* ---- transpose ------------------------------------------------------------------------------- */

/* Sixteen streams from a stripe or skew buffer, step by step. */
static bool read_stripes(struct place *p, const struct task *task, struct place_route route,
                         uint32_t base, int64_t start)
{
    struct buffer *buffer = &p->c->buffers[task->in.buffer];
    for (uint32_t i = 0; i < task->n; i++) {
        uint32_t first = access_vector(&task->in, i) * STRIPES;
        for (uint32_t j = 0; j < STRIPES; j++) {
            if ((task->rows >> j & 1) == 0) {
                continue;
            }
            struct access one = access_constant(task->in.buffer, first + j);
            BASE_ASSERT(first + j < buffer->count);
            if (!place_read(p, &one, task->plane, 1, 1, route, base + j, start + i)) {
                return false;
            }
        }
    }
    return true;
}

/* The same with Gather. The map flows the way the data does, so one read of it serves every slice
 * it passes: it comes from nearer the VXM than they are. */
static bool gather_stripes(struct place *p, const struct task *task, struct place_route route,
                           uint32_t base, int64_t start)
{
    struct buffer *buffer = &p->c->buffers[task->in.buffer];
    uint32_t nearest = slice_position(p->machine, buffer->slice);
    uint32_t furthest = slice_position(p->machine, buffer->slice + STRIPES - 1);
    uint32_t origin = slice_position(p->machine, p->c->buffers[task->map.buffer].slice);
    BASE_ASSERT(route.west ? origin >= nearest : origin <= nearest);
    int64_t lead = place_distance(furthest, route.to) + p->machine->mem_gather_cycles;
    struct place_route map_route = {route.west, furthest};
    uint32_t map;
    if (!place_read_any(p, &task->map, 0, 1, task->n, map_route, start - lead, &map)) {
        return false;
    }
    for (uint32_t i = 0; i < task->n; i++) {
        for (uint32_t j = 0; j < STRIPES; j++) {
            uint32_t from = slice_position(p->machine, buffer->slice + j);
            int64_t leaves = start + i - place_distance(from, route.to);
            int64_t issue = leaves - p->machine->mem_gather_cycles;
            struct isa_instruction gather = {.op = ISA_GATHER,
                                             .address = offset_address(buffer, &task->offset, i),
                                             .map = ISA_STREAM(route.west, map),
                                             .d = ISA_STREAM(route.west, base + j)};
            if (!place_may_read(p, buffer, 0, issue) ||
                !place_issue(p, slice_queue(p->machine, buffer->slice + j), issue, &gather) ||
                !reserve_stream(p->reserve, route.west, base + j, 1, from, route.to, leaves)) {
                return false;
            }
        }
    }
    return true;
}

static bool write_stripes(struct place *p, const struct task *task, uint32_t from, bool west,
                          uint32_t base, int64_t lands)
{
    for (uint32_t i = 0; i < task->n; i++) {
        for (uint32_t j = 0; j < STRIPES; j++) {
            struct access one =
                access_constant(task->out.buffer, access_vector(&task->out, i) * STRIPES + j);
            if (!place_write(p, &one, task->out_plane, 1, 1, from, west, base + j, from,
                             lands + i)) {
                return false;
            }
        }
    }
    return true;
}

bool place_transpose(struct place *p, const struct task *task, int64_t start)
{
    uint32_t position = machine_sxm_position(p->machine, task->hemisphere);
    struct place_route route = place_route(p, task->in.buffer, position);
    uint32_t queue =
        machine_queue_sxm(p->machine, task->hemisphere, ISA_UNIT_SXM_TRANSPOSE, task->unit);
    struct place_mark mark = place_mark(p);
    for (uint32_t in = 0; in < ISA_STREAMS && p->hint == 0; in += STRIPES) {
        bool got = task->offset.buffer == NONE ? read_stripes(p, task, route, in, start)
                                               : gather_stripes(p, task, route, in, start);
        struct place_mark read_mark = place_mark(p);
        for (uint32_t out = 0; got && out < ISA_STREAMS && p->hint == 0; out += STRIPES) {
            struct isa_instruction transpose = {.op = ISA_TRANSPOSE,
                                                .address = (uint16_t)task->rows,
                                                .a = ISA_STREAM(route.west, in),
                                                .d = ISA_STREAM(!route.west, out)};
            bool ok = write_stripes(p, task, position, !route.west, out,
                                    start + p->machine->sxm_transpose_cycles);
            for (uint32_t i = 0; ok && i < task->n; i++) {
                ok = place_issue(p, queue, start + i, &transpose);
            }
            if (ok) {
                return true;
            }
            place_rollback(p, read_mark);
        }
        place_rollback(p, mark);
    }
    return false;
}

/* ---- permute, distribute --------------------------------------------------------------------- */

bool place_permute(struct place *p, const struct task *task, int64_t start)
{
    uint32_t position = machine_sxm_position(p->machine, task->hemisphere);
    uint32_t queue = machine_queue_sxm(p->machine, task->hemisphere, ISA_UNIT_SXM_PERMUTE, 0);
    struct place_route route = place_route(p, task->in.buffer, position);
    struct place_route map_route = place_route(p, task->map.buffer, position);
    uint32_t in, map, out;
    if (!place_read_any(p, &task->in, task->plane, 1, task->n, route, start, &in) ||
        !place_read_any(p, &task->map, 0, 2, task->n, map_route, start, &map) ||
        !place_write_any(p, &task->out, task->out_plane, 1, task->n, position, !route.west,
                         start + p->machine->sxm_permute_cycles, &out)) {
        return false;
    }
    struct isa_instruction permute = {.op = ISA_PERMUTE,
                                      .a = ISA_STREAM(route.west, in),
                                      .map = ISA_STREAM(map_route.west, map),
                                      .d = ISA_STREAM(!route.west, out)};
    for (uint32_t i = 0; i < task->n; i++) {
        if (!place_issue(p, queue, start + i, &permute)) {
            return false;
        }
    }
    return true;
}

bool place_distribute(struct place *p, const struct task *task, int64_t start)
{
    uint32_t position = machine_sxm_position(p->machine, task->hemisphere);
    struct place_route route = place_route(p, task->in.buffer, position);
    struct place_route map_route = place_route(p, task->map.buffer, position);
    uint32_t in, map, out;
    if (!place_read_any(p, &task->map, 0, 1, task->n, map_route, start, &map) ||
        !place_read_any(p, &task->in, task->plane, task->planes, task->n, route, start, &in) ||
        !place_write_any(p, &task->out, task->out_plane, task->planes, task->n, position,
                         !route.west, start + p->machine->sxm_distribute_cycles, &out)) {
        return false;
    }
    for (uint32_t b = 0; b < task->planes; b++) {
        uint32_t queue = machine_queue_sxm(p->machine, task->hemisphere, ISA_UNIT_SXM_DISTRIBUTE,
                                           task->unit + b);
        struct isa_instruction distribute = {.op = ISA_DISTRIBUTE,
                                             .a = ISA_STREAM(route.west, in + b),
                                             .map = ISA_STREAM(map_route.west, map),
                                             .d = ISA_STREAM(!route.west, out + b)};
        for (uint32_t i = 0; i < task->n; i++) {
            if (!place_issue(p, queue, start + i, &distribute)) {
                return false;
            }
        }
    }
    return true;
}

/* ---- scatter, gather ------------------------------------------------------------------------- */

/* One stream for the position, or one for each of its four slices (vector + 0..3). */
static bool read_shared(struct place *p, const struct access *access, bool shared, uint32_t n,
                        uint32_t position, int64_t start, uint8_t streams[4])
{
    /* From the vectors' own slices: a stripe may begin on the other side of the position. */
    const struct buffer *buffer = &p->c->buffers[access->buffer];
    uint32_t slice = buffer_place(buffer, access_vector(access, 0), 0).slice;
    struct place_route route = {slice_position(p->machine, slice) > position, position};
    for (uint32_t k = 0; k < MACHINE_SLICES_PER_POSITION; k++) {
        struct access one = *access;
        one.base += shared ? 0 : k;
        uint32_t stream = 0;
        if ((k == 0 || !shared) && !place_read_any(p, &one, 0, 1, n, route, start, &stream)) {
            return false;
        }
        streams[k] = k == 0 || !shared ? ISA_STREAM(route.west, stream) : streams[0];
    }
    return true;
}

bool place_scatter(struct place *p, const struct task *task, int64_t start)
{
    struct buffer *target = &p->c->buffers[task->target_buffer];
    uint32_t slice = target->slice + task->target_slice;
    uint32_t position = slice_position(p->machine, slice);
    uint8_t values[4], maps[4];
    if (!read_shared(p, &task->in, task->shared_value, task->n, position, start, values) ||
        !read_shared(p, &task->map, task->shared_map, task->n, position, start, maps)) {
        return false;
    }
    for (uint32_t k = 0; k < MACHINE_SLICES_PER_POSITION; k++) {
        for (uint32_t i = 0; i < task->n; i++) {
            struct isa_instruction scatter = {.op = ISA_SCATTER,
                                              .address =
                                                  offset_address(target, &task->target_address, i),
                                              .a = values[k],
                                              .map = maps[k]};
            if (!place_may_write(p, target, 0, start + i) ||
                !place_issue(p, slice_queue(p->machine, slice + k), start + i, &scatter)) {
                return false;
            }
        }
    }
    return true;
}

/* Vector task->in(i) + map of a LINEAR buffer goes to vector task->out(i) of another. */
bool place_gather(struct place *p, const struct task *task, int64_t start)
{
    struct buffer *source = &p->c->buffers[task->in.buffer];
    uint32_t position = slice_position(p->machine, source->slice);
    uint32_t target = slice_position(p->machine, p->c->buffers[task->out.buffer].slice);
    struct place_route map_route = place_route(p, task->map.buffer, position);
    uint32_t map, out;
    bool west = target < position;
    if (!place_read_any(p, &task->map, 0, 1, task->n, map_route, start, &map) ||
        !place_write_any(p, &task->out, 0, task->planes, task->n, position, west,
                         start + p->machine->mem_gather_cycles, &out)) {
        return false;
    }
    for (uint32_t i = 0; i < task->n; i++) {
        for (uint32_t v = 0; v < source->count; v++) { /* any of them may be the one */
            if (!place_may_read(p, source, v, start + i)) {
                return false;
            }
        }
        for (uint32_t b = 0; b < task->planes; b++) {
            struct program_place place = buffer_place(source, access_vector(&task->in, i), b);
            struct isa_instruction gather = {.op = ISA_GATHER,
                                             .address = place.address,
                                             .map = ISA_STREAM(map_route.west, map),
                                             .d = ISA_STREAM(west, out + b)};
            if (!place_issue(p, slice_queue(p->machine, place.slice), start + i, &gather)) {
                return false;
            }
        }
    }
    return true;
}

static bool keep_slice(struct place *p, const struct task *task, uint32_t slice, uint8_t map,
                       int64_t start)
{
    struct buffer *source = &p->c->buffers[task->in.buffer];
    struct buffer *kept = &p->c->buffers[task->out.buffer];
    uint32_t position = slice_position(p->machine, source->slice + slice);
    uint32_t target = slice_position(p->machine, kept->slice + slice);
    uint32_t out;
    bool west = target < position;
    struct access to = task->out;
    to.base = to.base * STRIPES + slice;
    to.s0 = STRIPES;
    if (!place_write_any(p, &to, 0, 1, task->n, position, west,
                         start + p->machine->mem_gather_cycles, &out)) {
        return false;
    }
    for (uint32_t i = 0; i < task->n; i++) {
        struct isa_instruction gather = {
            .op = ISA_GATHER,
            .address = (uint16_t)(source->address + access_vector(&task->in, i)),
            .map = map,
            .d = ISA_STREAM(west, out)};
        for (uint32_t v = slice; v < source->count; v += STRIPES) { /* any may be the one */
            if (!place_may_read(p, source, v, start + i)) {
                return false;
            }
        }
        if (!place_issue(p, slice_queue(p->machine, source->slice + slice), start + i, &gather)) {
            return false;
        }
    }
    return true;
}

/* Sixteen vectors from 16 (task->in(i) + map) on of a STRIPE buffer become those from 16
 * task->out(i) on of another, whose addresses are data too; the four in slices target_slice ...,
 * which lie at one position, so one map serves them. */
bool place_keep(struct place *p, const struct task *task, int64_t start)
{
    uint32_t first = p->c->buffers[task->in.buffer].slice + task->target_slice, stream;
    struct place_route route = place_route(p, task->map.buffer, slice_position(p->machine, first));
    if (!place_read_any(p, &task->map, 0, 1, task->n, route, start, &stream)) {
        return false;
    }
    uint8_t map = ISA_STREAM(route.west, stream);
    for (uint32_t k = 0; k < MACHINE_SLICES_PER_POSITION; k++) {
        if (!keep_slice(p, task, task->target_slice + k, map, start)) {
            return false;
        }
    }
    return true;
}
