/*
 * Lowering a maximum over all lanes, of up to sixteen vectors at once.
 *
 * Requires: the vectors in sixteen slices. Fills in: tasks.
 *
 * Transpose (lane x of output stream i = lane i of vector x, in each superlane), then a tree over
 * the sixteen streams: lane x of every superlane holds vector x's maximum over that superlane.
 * Rotate by every number of superlanes, tree again: over all superlanes. At last a distributor
 * gives each vector's value to all sixteen lanes. binary32 goes the same way, byte plane by byte
 * plane through the switch units, whole through the trees. With `segments` the rotations stay
 * within each KV head's superlanes.
 *
 * Many groups of sixteen go together, each step a burst over the groups: trees of few inputs, and
 * rotations in two levels (by 0 .. a-1, then by multiples of a): 7 for 20 superlanes, not 20.
 */
#include "compile/internal.h"

#define REDUCE_MAX 20u
#define FEW_ITEMS 2u
#define MANY_GROUPS 4u

struct shape { /* bytes or binary32 */
    uint32_t planes;
    enum buffer_kind kind;
    enum isa_op op;
};

static const struct shape BYTES = {1, BUFFER_STRIPE, ISA_MAX_U8};
static const struct shape FLOATS = {4, BUFFER_SKEW, ISA_MAX_F32};

/* Vectors base .. base + count - 1 of a spread buffer into one vector. */
static void reduce(struct compiler *c, const struct shape *shape, uint32_t buffer, uint32_t base,
                   uint32_t count, struct access out, const char *name)
{
    if (count > REDUCE_MAX) {
        uint32_t parts = (count + STRIPES - 1) / STRIPES;
        uint32_t part =
            build_buffer(c, shape->kind, shape->planes, parts, "%s.part%u", name, shape->planes);
        for (uint32_t i = 0; i < parts; i++) {
            reduce(c, shape, buffer, base + i * STRIPES, BASE_MIN(STRIPES, count - i * STRIPES),
                   access_constant(part, i), name);
        }
        buffer = part;
        base = 0;
        count = parts;
    }
    uint16_t refs[REDUCE_MAX];
    build_kernel(c, 1, name);
    for (uint32_t i = 0; i < count; i++) {
        refs[i] = build_input(c, access_constant(buffer, base + i), shape->planes);
    }
    uint16_t result = build_reduce(c, shape->op, refs, count, build_width(c, shape->planes));
    if (REF_IS_INPUT(result)) {
        result = build_op(c, shape->planes == 1 ? ISA_COPY_B8 : ISA_COPY_B32, result, REF_NONE, 0);
    }
    build_output(c, result, out);
}

/* Over the sixteen lanes of each superlane: vector `group` of the result. */
static void lower_lanes(struct compiler *c, const struct shape *shape, uint32_t in, uint32_t items,
                        uint32_t group, uint32_t turned, uint32_t out, const char *name)
{
    uint32_t left = items - group * STRIPES;
    for (uint32_t b = 0; b < shape->planes; b++) {
        struct task *task = build_task(c, TASK_TRANSPOSE, 1, "%s.lanes", name);
        task->hemisphere = NONE;
        task->unit = (group * shape->planes + b) % MACHINE_TRANSPOSERS;
        task->rows = left >= STRIPES ? 0xFFFFu : (1u << left) - 1;
        task->plane = task->out_plane = b;
        task->in = access_constant(in, group);
        task->out = access_constant(turned, group);
    }
    reduce(c, shape, turned, group * STRIPES, STRIPES, access_constant(out, group), name);
}

/* Over superlanes: `rotations` of them, of each head's with `segments`. */
static void lower_superlanes(struct compiler *c, const struct shape *shape, uint32_t in,
                             bool segments, uint32_t rotations, uint32_t group, uint32_t rotated,
                             uint32_t out, const char *name)
{
    uint32_t stride = (rotations + STRIPES - 1) / STRIPES * STRIPES;
    for (uint32_t b = 0; b < shape->planes; b++) {
        struct task *task = build_task(c, TASK_PERMUTE, rotations, "%s.superlanes", name);
        task->hemisphere = b % 2 == 0 ? NONE : OPPOSITE; /* each has one permuter */
        task->plane = task->out_plane = b;
        task->in = access_constant(in, group);
        /* Both permuters at once: each has a copy of the map. */
        uint32_t map =
            segments ? c->plan->constants.segment_map : c->plan->constants.rotate_map[b % 2];
        task->map = access_linear(map, 0);
        task->out = access_linear(rotated, group * stride);
    }
    reduce(c, shape, rotated, group * stride, rotations, access_constant(out, group), name);
}

/* ---- many groups: every step a burst over them ----------------------------------------------- */

/* As lower_lanes, of all groups. */
static void lower_many_lanes(struct compiler *c, const struct shape *shape, uint32_t in,
                             uint32_t items, uint32_t out, const char *name)
{
    uint32_t full = items / STRIPES, left = items % STRIPES, groups = full + (left > 0);
    uint32_t turned =
        build_buffer(c, shape->kind, shape->planes, groups * STRIPES, "%s.turned", name);
    for (uint32_t i = 0; i < 2 * shape->planes; i++) {
        bool whole = i < shape->planes;
        if (whole ? full == 0 : left == 0) {
            continue;
        }
        struct task *task = build_task(c, TASK_TRANSPOSE, whole ? full : 1, "%s.lanes", name);
        task->hemisphere = NONE;
        task->unit = i % MACHINE_TRANSPOSERS;
        task->rows = whole ? 0xFFFFu : (1u << left) - 1;
        task->plane = task->out_plane = i % shape->planes;
        task->in = access_linear(in, whole ? 0 : full);
        task->out = access_linear(turned, whole ? 0 : full);
    }
    struct access streams[STRIPES];
    for (uint32_t i = 0; i < STRIPES; i++) {
        streams[i] = access_linear(turned, i);
        streams[i].s0 = STRIPES;
    }
    lower_reduce_burst(c, shape->op, streams, STRIPES, shape->planes, groups, access_linear(out, 0),
                       name);
}

/* The largest of vectors rotated by 0, step, 2 step .. (count of them). */
static void lower_rotations(struct compiler *c, const struct shape *shape, uint32_t in,
                            bool segments, uint32_t step, uint32_t count, uint32_t groups,
                            uint32_t out, const char *name)
{
    struct access parts[REDUCE_MAX] = {access_linear(in, 0)};
    BASE_ASSERT(count <= REDUCE_MAX);
    for (uint32_t r = 1; r < count; r++) {
        uint32_t rotated =
            build_buffer(c, BUFFER_LINEAR, shape->planes, groups, "%s.by%u", name, r * step);
        parts[r] = access_linear(rotated, 0);
        for (uint32_t b = 0; b < shape->planes; b++) {
            struct task *task = build_task(c, TASK_PERMUTE, groups, "%s.superlanes", name);
            task->hemisphere = (r + b) % 2 == 0 ? NONE : OPPOSITE; /* each has one permuter */
            task->plane = task->out_plane = b;
            task->in = access_linear(in, 0);
            uint32_t map = segments ? c->plan->constants.segment_map
                                    : c->plan->constants.rotate_map[(r + b) % 2];
            task->map = access_constant(map, r * step);
            task->out = access_linear(rotated, 0);
        }
    }
    lower_reduce_burst(c, shape->op, parts, count, shape->planes, groups, access_linear(out, 0),
                       name);
}

/* Each item's lane to all sixteen, in both hemispheres and on all distributors. */
static void lower_many_broadcasts(struct compiler *c, const struct shape *shape, uint32_t in,
                                  uint32_t items, uint32_t out, const char *name)
{
    uint32_t units = MACHINE_DISTRIBUTORS / shape->planes;
    uint32_t part = (items / (2 * units) + STRIPES - 1) / STRIPES * STRIPES;
    for (uint32_t first = 0, i = 0; first < items; first += part, i++) {
        struct task *task =
            build_task(c, TASK_DISTRIBUTE, BASE_MIN(part, items - first), "%s.broadcast", name);
        task->hemisphere = i % 2 == 0 ? NONE : OPPOSITE;
        task->planes = shape->planes;
        task->unit = shape->planes * (i / 2 % units);
        task->in = access_linear(in, first / STRIPES);
        task->in.n0 = STRIPES;
        task->in.s0 = 0;
        task->in.n1 = 1u << 30;
        task->in.s1 = 1;
        task->map = access_linear(c->plan->constants.broadcast_map, 0);
        task->map.n0 = STRIPES;
        task->out = access_linear(out, first);
    }
}

static uint32_t lower_max_many(struct compiler *c, const struct shape *shape, uint32_t in,
                               uint32_t items, bool segments, const char *name)
{
    uint32_t groups = (items + STRIPES - 1) / STRIPES, planes = shape->planes, step = 1;
    uint32_t superlanes = segments ? c->plan->head_superlanes : c->plan->superlanes;
    uint32_t lanes = build_buffer(c, BUFFER_LINEAR, planes, groups, "%s.lanes", name);
    uint32_t some = build_buffer(c, BUFFER_LINEAR, planes, groups, "%s.some", name);
    uint32_t all = build_buffer(c, BUFFER_LINEAR, planes, groups, "%s.all", name);
    uint32_t result = build_buffer(c, BUFFER_LINEAR, planes, items, "%s.max", name);
    while (step * step < superlanes) {
        step++;
    }
    lower_many_lanes(c, shape, in, items, lanes, name);
    lower_rotations(c, shape, lanes, segments, 1, step, groups, some, name);
    lower_rotations(c, shape, some, segments, step, (superlanes + step - 1) / step, groups, all,
                    name);
    lower_many_broadcasts(c, shape, all, items, result, name);
    return result;
}

/* ---- which way ------------------------------------------------------------------------------- */

static uint32_t lower_max(struct compiler *c, const struct shape *shape, uint32_t in,
                          uint32_t items, bool segments, const char *name)
{
    const struct compile_plan *plan = c->plan;
    uint32_t groups = (items + STRIPES - 1) / STRIPES, planes = shape->planes;
    if (groups >= MANY_GROUPS) {
        return lower_max_many(c, shape, in, items, segments, name);
    }
    uint32_t rotations = segments ? plan->head_superlanes : plan->superlanes;
    uint32_t stride = (rotations + STRIPES - 1) / STRIPES * STRIPES;
    uint32_t turned = build_buffer(c, shape->kind, planes, groups * STRIPES, "%s.turned", name);
    uint32_t lanes = build_buffer(c, BUFFER_LINEAR, planes, groups, "%s.lanes", name);
    uint32_t all = build_buffer(c, BUFFER_LINEAR, planes, groups, "%s.all", name);
    uint32_t rotated = build_buffer(c, shape->kind, planes, groups * stride, "%s.rotated", name);
    uint32_t result = build_buffer(c, BUFFER_LINEAR, planes, items, "%s.max", name);
    for (uint32_t g = 0; g < groups; g++) {
        lower_lanes(c, shape, in, items, g, turned, lanes, name);
        lower_superlanes(c, shape, lanes, segments, rotations, g, rotated, all, name);
        uint32_t n = BASE_MIN(STRIPES, items - g * STRIPES);
        struct task *task = build_task(c, TASK_DISTRIBUTE, n, "%s.broadcast", name);
        task->hemisphere = NONE;
        task->planes = planes;
        task->unit = planes == 1 ? g % MACHINE_DISTRIBUTORS : 0;
        task->in = access_constant(all, g);
        task->map = access_linear(plan->constants.broadcast_map, 0);
        task->out = access_linear(result, g * STRIPES);
    }
    return result;
}

/*
 * One or two vectors: two trips instead of three. All rotations by superlanes (of the head), a
 * tree; then each of the sixteen lanes spread over its superlane, and a tree leaves the maximum
 * everywhere. A trip moves a vector an item and rotation, so this is for few items.
 */
static uint32_t lower_max_few(struct compiler *c, uint32_t in, uint32_t items, bool segments,
                              const char *name)
{
    const struct compile_plan *plan = c->plan;
    uint32_t rotations = segments ? plan->head_superlanes : plan->superlanes;
    uint32_t stride = (rotations + STRIPES - 1) / STRIPES * STRIPES;
    uint32_t rotated = build_buffer(c, BUFFER_STRIPE, 1, items * stride, "%s.rotated", name);
    uint32_t all[FEW_ITEMS]; /* read sixteen times each: not from one slice */
    uint32_t spread = build_buffer(c, BUFFER_STRIPE, 1, items * STRIPES, "%s.spread", name);
    uint32_t result = build_buffer(c, BUFFER_LINEAR, 1, items, "%s.max", name);
    for (uint32_t i = 0; i < items; i++) {
        all[i] = build_buffer(c, BUFFER_LINEAR, 1, 1, "%s.all%u", name, i);
        struct task *task = build_task(c, TASK_PERMUTE, rotations, "%s.superlanes", name);
        task->hemisphere = i == 0 ? NONE : OPPOSITE;
        task->in = access_constant(in, i);
        task->map = access_linear(
            segments ? plan->constants.segment_map : plan->constants.rotate_map[i % 2], 0);
        task->out = access_linear(rotated, i * stride);
        reduce(c, &BYTES, rotated, i * stride, rotations, access_constant(all[i], 0), name);
    }
    for (uint32_t i = 0; i < items; i++) {
        struct task *task = build_task(c, TASK_DISTRIBUTE, STRIPES, "%s.lanes", name);
        task->hemisphere = i == 0 ? NONE : OPPOSITE;
        task->planes = 1;
        task->unit = i % MACHINE_DISTRIBUTORS;
        task->in = access_constant(all[i], 0);
        task->map = access_linear(plan->constants.broadcast_map, 0);
        task->out = access_linear(spread, i * STRIPES);
        reduce(c, &BYTES, spread, i * STRIPES, STRIPES, access_constant(result, i), name);
    }
    return result;
}

uint32_t lower_max_bytes(struct compiler *c, uint32_t in, uint32_t items, bool segments,
                         const char *name)
{
    if (items <= FEW_ITEMS) {
        return lower_max_few(c, in, items, segments, name);
    }
    return lower_max(c, &BYTES, in, items, segments, name);
}

uint32_t lower_max_f32(struct compiler *c, uint32_t in, uint32_t items, const char *name)
{
    return lower_max(c, &FLOATS, in, items, false, name);
}
