/*
 * Allocate: temporary buffers get slices and addresses.
 *
 * Requires: lowered tasks. Fills in: slice and address of every buffer.
 * Buffers that one task uses at once should not share slices, for a slice issues one instruction a
 * cycle: each buffer in turn takes the place where fewest of its neighbours are, then the emptiest,
 * away from the weights; then in the hemisphere where its maker is, for the other is 28 hops away.
 * Buffers live for the whole step; layers reuse them.
 */
#include "compile/internal.h"

#include <stdlib.h>
#include <string.h>

struct allocation {
    struct compiler *c;
    uint32_t first;      /* the first temporary */
    uint32_t *floor;     /* [slices] words the plan has taken */
    uint8_t *neighbours; /* [temporaries][buffers] how much it costs if they share a slice */
    bool *linked;        /* [temporaries][buffers] one comes from the other through a switch unit */
    bool (*wanted)[2];   /* [temporaries] a matrix unit of this hemisphere writes it */
    uint64_t *traffic;   /* [buffers] vectors that are read and written */
    uint64_t *load;      /* [slices] instructions, of what has its place */
    uint64_t *fixed_load; /* [slices] of that, the weights' and the plan's */
    uint64_t mean;        /* of a slice, when all have theirs */
    bool met;             /* of two that can never share a slice, two do */
};

/*
 * What it costs when two buffers of a task share a slice. Two that a unit reads, or that one result
 * is stored to, in the same cycle can never share one; the others of a kernel can unless its burst
 * is long; the rest only wait. ALIGNED, for a scatter and the sixteen slices it stores to: they
 * meet slice by slice, so only the same first slice is bad.
 */
enum { SAME_TASK = 1, SAME_KERNEL = 4, SAME_BURST = 16, SAME_CYCLE = 120, ALIGNED = 240 };
/* What it costs when a buffer is not where its maker is. */
enum { OTHER_HEMISPHERE = 6 };
/* Of several waves, for which room and slices are scarce: words in slices with weights that cost as
 * much as a clash of 1; what a slice as busy as the mean of all costs; two that never can. */
enum { WORDS_A_CLASH = 4, MEAN_LOAD = 16, NEVER = 10000 };

static void meet_one(struct allocation *a, uint32_t x, uint32_t y, uint8_t cost)
{
    if (x >= a->first) {
        uint8_t *entry = &a->neighbours[(size_t)(x - a->first) * a->c->buffer_count + y];
        *entry = BASE_MAX(*entry, cost);
    }
}

static void meet(struct allocation *a, uint32_t x, uint32_t y, uint8_t cost)
{
    if (x != NONE && y != NONE && x != y) {
        meet_one(a, x, y, cost);
        meet_one(a, y, x, cost);
    }
}

static void meet_all(struct allocation *a, const uint32_t *list, uint32_t n, uint8_t cost)
{
    for (uint32_t x = 0; x < n; x++) {
        for (uint32_t y = 0; y < x; y++) {
            meet(a, list[x], list[y], cost);
        }
    }
}

/* Operands of operations of one level are read in one cycle. */
static void meet_operands(struct allocation *a, const struct kernel *kernel)
{
    struct kernel k = *kernel;
    uint32_t level[KERNEL_INPUTS_MAX];
    kernel_levels(&k);
    for (uint32_t i = 0; i < k.op_count; i++) {
        const uint16_t operands[2] = {k.ops[i].a, k.ops[i].b};
        for (uint32_t j = 0; j < 2; j++) {
            if (REF_IS_INPUT(operands[j])) {
                level[REF_INDEX(operands[j])] = k.ops[i].level;
            }
        }
    }
    for (uint32_t x = 0; x < k.input_count; x++) {
        for (uint32_t y = 0; y < x; y++) {
            if (level[x] == level[y]) {
                meet(a, k.inputs[x].access.buffer, k.inputs[y].access.buffer, SAME_CYCLE);
            }
        }
    }
}

/* What the task reads on its way into one unit, then what it stores. */
static void find_neighbours(struct allocation *a, const struct task *task)
{
    uint32_t list[KERNEL_INPUTS_MAX + KERNEL_OUTPUTS_MAX + 16], n = 0;
    for (uint32_t i = 0; task->kernel != NULL && i < task->kernel->input_count; i++) {
        list[n++] = task->kernel->inputs[i].access.buffer;
    }
    list[n++] = task->in.buffer;
    list[n++] = task->map.buffer;
    meet_all(a, list, n, task->kernel == NULL ? SAME_CYCLE : SAME_BURST);
    if (task->kernel != NULL) {
        meet_operands(a, task->kernel);
    }
    uint32_t inputs = n;
    for (uint32_t i = 0; task->kernel != NULL && i < task->kernel->output_count; i++) {
        list[n++] = task->kernel->outputs[i].access.buffer;
    }
    meet_all(a, list + inputs, n - inputs, SAME_CYCLE); /* results of one level pass together */
    meet_all(a, list, n, task->kernel != NULL ? SAME_KERNEL : SAME_TASK);
    for (uint32_t i = 0; task->pass != NULL && i < task->pass->segment_count; i++) {
        list[n++] = task->pass->segments[i].input.buffer;
        list[n++] = task->pass->segments[i].output.buffer;
    }
    list[n++] = task->out.buffer;
    meet_all(a, list, n, SAME_TASK);
    if (task->kind == TASK_SCATTER) {
        meet(a, task->in.buffer, task->target_buffer, ALIGNED);
        meet(a, task->map.buffer, task->target_buffer, ALIGNED);
    }
}

static void link_one(struct allocation *a, uint32_t x, uint32_t y)
{
    if (x >= a->first) {
        a->linked[(size_t)(x - a->first) * a->c->buffer_count + y] = true;
    }
}

/* The buffer has its place: its slices are as much busier. */
static void add_load(struct allocation *a, uint32_t index)
{
    const struct buffer *b = &a->c->buffers[index];
    const uint32_t n = buffer_slices(b);
    for (uint32_t s = b->slice; s < b->slice + n; s++) {
        a->load[s] += a->traffic[index] * b->planes / n;
    }
}

static void add_traffic(struct allocation *a, uint32_t buffer, uint32_t vectors)
{
    if (buffer != NONE) {
        a->traffic[buffer] += vectors;
    }
}

static void find_traffic(struct allocation *a, const struct task *task)
{
    const struct kernel *k = task->kernel;
    const struct pass *pass = task->pass;
    for (uint32_t i = 0; k != NULL && i < k->input_count; i++) {
        add_traffic(a, k->inputs[i].access.buffer, task->n);
    }
    for (uint32_t i = 0; k != NULL && i < k->output_count; i++) {
        add_traffic(a, k->outputs[i].access.buffer, task->n);
    }
    for (uint32_t i = 0; pass != NULL && i < pass->segment_count; i++) {
        add_traffic(a, pass->segments[i].input.buffer, pass->vectors);
        add_traffic(a, pass->segments[i].output.buffer, pass->vectors);
    }
    add_traffic(a, task->in.buffer, task->n);
    add_traffic(a, task->map.buffer, task->n);
    add_traffic(a, task->out.buffer, task->n);
    for (uint32_t i = 0; task->kind == TASK_LOAD && i < STRIPES; i++) {
        a->load[task->tile.slice + i] += task->tile.count;
    }
}

/* How busy slices are: with weights, and with what the plan has placed. */
static void find_load(struct allocation *a)
{
    const struct compiler *c = a->c;
    for (uint32_t i = 0; i < c->buffer_count; i++) {
        a->mean += a->traffic[i] * c->buffers[i].planes;
        if (i < a->first) {
            add_load(a, i);
        }
    }
    a->mean = a->mean / (2 * c->machine->mem_slices) + 1;
    memcpy(a->fixed_load, a->load, 2 * c->machine->mem_slices * sizeof *a->load);
}

/* Where results of matrix and switch units should lie. */
static void find_homes(struct allocation *a, const struct task *task)
{
    for (uint32_t i = 0; task->pass != NULL && i < task->pass->segment_count; i++) {
        uint32_t output = task->pass->segments[i].output.buffer;
        if (output != NONE && output >= a->first) {
            a->wanted[output - a->first][task->pass->hemisphere] = true;
        }
    }
    bool near =
        task->hemisphere == NONE && (task->kind == TASK_TRANSPOSE || task->kind == TASK_PERMUTE ||
                                     task->kind == TASK_DISTRIBUTE);
    if (near) {
        link_one(a, task->in.buffer, task->out.buffer);
        link_one(a, task->out.buffer, task->in.buffer);
    }
}

/* How many of those that want the buffer in a hemisphere would find it in the other. */
static uint32_t far_makers(const struct allocation *a, uint32_t index, uint32_t hemisphere)
{
    const struct compiler *c = a->c;
    const bool *linked = &a->linked[(size_t)(index - a->first) * c->buffer_count];
    uint32_t far = a->wanted[index - a->first][1 - hemisphere];
    for (uint32_t i = 0; i < c->buffer_count; i++) {
        far += linked[i] && c->buffers[i].slice != NONE &&
               c->buffers[i].slice / c->machine->mem_slices != hemisphere;
    }
    return far;
}

static bool overlaps(const struct buffer *b, uint32_t slice, uint32_t slices)
{
    return b->slice != NONE && b->slice < slice + slices && slice < b->slice + buffer_slices(b);
}

/* The lowest address at which the buffer is free of all others in slices slice .. */
static uint32_t lowest_address(const struct allocation *a, uint32_t index, uint32_t slice)
{
    const struct compiler *c = a->c;
    uint32_t slices = buffer_slices(&c->buffers[index]), words = buffer_words(&c->buffers[index]);
    uint32_t address = 0;
    for (uint32_t s = slice; s < slice + slices; s++) {
        address = BASE_MAX(address, a->floor[s]);
    }
    for (uint32_t i = a->first; i < c->buffer_count;) {
        const struct buffer *other = &c->buffers[i++];
        uint32_t end = other->address + buffer_words(other);
        if (overlaps(other, slice, slices) && other->address < address + words && address < end) {
            address = end;
            i = a->first; /* those before may be met now */
        }
    }
    return address;
}

/* Of several waves: what it costs to take room from weights, and cycles from busy slices. */
static uint32_t scarcity(const struct allocation *a, uint32_t index, uint32_t slice, bool weights)
{
    const struct buffer *b = &a->c->buffers[index];
    const uint32_t n = buffer_slices(b);
    uint64_t most = 0;
    for (uint32_t s = slice; s < slice + n; s++) {
        most = BASE_MAX(most, a->load[s]);
    }
    return (weights ? buffer_words(b) / WORDS_A_CLASH : 0) + (uint32_t)(MEAN_LOAD * most / a->mean);
}

static uint64_t cost_of(const struct allocation *a, uint32_t index, uint32_t slice,
                        uint32_t *address)
{
    const struct compiler *c = a->c;
    uint32_t slices = buffer_slices(&c->buffers[index]), clashes = 0;
    bool weights = slice % c->machine->mem_slices >= c->plan->group_slice[0][0];
    if (weights && c->buffers[index].inner) {
        return UINT64_MAX;
    }
    *address = lowest_address(a, index, slice);
    if (*address + buffer_words(&c->buffers[index]) > c->machine->mem_words) {
        return UINT64_MAX;
    }
    const uint8_t *neighbours = &a->neighbours[(size_t)(index - a->first) * c->buffer_count];
    for (uint32_t i = 0; i < c->buffer_count; i++) {
        if (neighbours[i] != 0 && overlaps(&c->buffers[i], slice, slices)) {
            bool apart =
                neighbours[i] == ALIGNED && slices == STRIPES && slice != c->buffers[i].slice;
            clashes += apart ? SAME_TASK : neighbours[i];
            clashes += c->waves > 1 && !apart && neighbours[i] >= SAME_CYCLE ? NEVER : 0;
        }
    }
    clashes += c->waves > 1 ? scarcity(a, index, slice, weights) : 0;
    clashes += OTHER_HEMISPHERE * far_makers(a, index, slice / c->machine->mem_slices);
    return (uint64_t)clashes << 32 | (uint64_t)weights << 31 | *address;
}

static enum takt_status place_buffer(struct allocation *a, uint32_t index)
{
    struct compiler *c = a->c;
    struct buffer *b = &c->buffers[index];
    uint32_t slices = buffer_slices(b), per_hemisphere = c->machine->mem_slices;
    uint32_t step = slices > 2 ? MACHINE_SLICES_PER_POSITION : slices;
    uint64_t best = UINT64_MAX;
    uint32_t best_slice = 0, best_address = 0;
    for (uint32_t i = 0; i < 2 * per_hemisphere / step; i++) {
        uint32_t h = (i + index) % 2, slice = h * per_hemisphere + i / 2 * step, address;
        if (i / 2 * step + slices > per_hemisphere) {
            continue;
        }
        uint64_t cost = cost_of(a, index, slice, &address);
        if (cost < best) {
            best = cost;
            best_slice = slice;
            best_address = address;
        }
    }
    if (best == UINT64_MAX) {
        return base_fail(
            c->error, TAKT_CAPACITY,
            "compile: no room for \"%s\" (%u words in %u slices) of a step of %u tokens over "
            "%u positions beside weights and KV cache on \"%s\"; use a smaller --chunk or "
            "--ctx",
            b->name, buffer_words(b), slices, c->chunk * c->waves, c->bucket, c->machine->name);
    }
    b->slice = best_slice;
    b->address = best_address;
    a->met = a->met || (c->waves > 1 && best >> 32 >= NEVER);
    if (c->waves > 1) {
        add_load(a, index);
    }
    return TAKT_OK;
}

/* ---- in which order ---------------------------------------------------------------------------
 *
 * Whoever comes first has the choice. A single wave has room: in the order of lowering, a tensor
 * lies near its maker. Of several, those come first that slices are busiest with, or else those
 * with most to keep away from. Wide first: those that need sixteen slices side by side, which only
 * those with weights have; what others take there is lost to them. */

enum order { AS_LOWERED, BY_TRAFFIC, BY_NEIGHBOURS };

struct turn {
    uint64_t key; /* the largest first */
    uint32_t index;
};

static int compare_turns(const void *x, const void *y)
{
    const struct turn *a = x, *b = y;
    if (a->key != b->key) {
        return a->key > b->key ? -1 : 1;
    }
    return a->index < b->index ? -1 : 1;
}

static uint64_t order_key(const struct allocation *a, uint32_t index, enum order order)
{
    const uint32_t n = a->c->buffer_count;
    uint64_t key = order == BY_TRAFFIC ? a->traffic[index] : 0;
    for (uint32_t i = 0; order == BY_NEIGHBOURS && i < n; i++) {
        key += a->neighbours[(size_t)(index - a->first) * n + i];
    }
    return key;
}

/* All of them; those placed by an earlier attempt lose their places. */
static enum takt_status place_buffers(struct allocation *a, enum order order, bool wide_first)
{
    struct compiler *c = a->c;
    const uint32_t n = c->buffer_count - a->first;
    struct turn *turns = BASE_NEW(&c->arena, struct turn, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        turns[i] = (struct turn){order_key(a, a->first + i, order), a->first + i};
        c->buffers[a->first + i].slice = NONE;
    }
    qsort(turns, n, sizeof *turns, compare_turns);
    memcpy(a->load, a->fixed_load, 2 * c->machine->mem_slices * sizeof *a->load);
    a->met = false;
    for (uint32_t round = 0; round < (wide_first ? 2u : 1u); round++) {
        for (uint32_t i = 0; i < n; i++) {
            bool wide = buffer_slices(&c->buffers[turns[i].index]) == STRIPES;
            enum takt_status status = TAKT_OK;
            if (!wide_first || wide == (round == 0)) {
                status = place_buffer(a, turns[i].index);
            }
            if (status != TAKT_OK) {
                return status;
            }
        }
    }
    return TAKT_OK;
}

static enum takt_status try_orders(struct allocation *a)
{
    const bool several = a->c->waves > 1;
    const enum order orders[2] = {several ? BY_TRAFFIC : AS_LOWERED,
                                  several ? BY_NEIGHBOURS : AS_LOWERED};
    enum takt_status status = TAKT_CAPACITY;
    for (uint32_t i = 0; i < 4 && status == TAKT_CAPACITY; i++) {
        status = place_buffers(a, orders[i % 2], i >= 2);
        if (status == TAKT_OK && a->met) { /* the schedule would find no place */
            status = base_fail(a->c->error, TAKT_CAPACITY,
                               "compile: a step of %u tokens over %u positions needs more slices "
                               "at once than \"%s\" has; use a smaller --chunk",
                               a->c->chunk * a->c->waves, a->c->bucket, a->c->machine->name);
        }
    }
    return status;
}

enum takt_status allocate(struct compiler *c)
{
    struct allocation a = {.c = c, .first = c->plan->buffer_count};
    const uint32_t slices = 2 * c->machine->mem_slices, temporaries = c->buffer_count - a.first;
    a.floor = BASE_NEW(&c->arena, uint32_t, slices);
    for (uint32_t s = 0; s < slices; s++) {
        a.floor[s] = c->plan->quad_used[s / MACHINE_SLICES_PER_POSITION];
    }
    a.neighbours = BASE_NEW(&c->arena, uint8_t, (size_t)temporaries * c->buffer_count);
    a.linked = BASE_NEW(&c->arena, bool, (size_t)temporaries * c->buffer_count);
    a.wanted = (bool(*)[2])BASE_NEW(&c->arena, bool, (size_t)temporaries * 2);
    a.traffic = BASE_NEW(&c->arena, uint64_t, c->buffer_count);
    a.load = BASE_NEW(&c->arena, uint64_t, slices);
    a.fixed_load = BASE_NEW(&c->arena, uint64_t, slices);
    for (uint32_t i = 0; i < c->task_count; i++) {
        find_neighbours(&a, &c->tasks[i]);
        find_homes(&a, &c->tasks[i]);
        find_traffic(&a, &c->tasks[i]);
    }
    find_load(&a);
    return try_orders(&a);
}

/* No two buffers share a word; all lie inside the machine. */
enum takt_status allocate_check(struct compiler *c)
{
    for (uint32_t i = c->plan->buffer_count; i < c->buffer_count; i++) {
        const struct buffer *x = &c->buffers[i];
        BASE_ASSERT(x->slice + buffer_slices(x) <= 2 * c->machine->mem_slices);
        BASE_ASSERT(x->address + buffer_words(x) <= c->machine->mem_words);
        for (uint32_t j = 0; j < i; j++) {
            const struct buffer *y = &c->buffers[j];
            bool apart = x->address + buffer_words(x) <= y->address ||
                         y->address + buffer_words(y) <= x->address;
            BASE_ASSERT(apart || !overlaps(y, x->slice, buffer_slices(x)));
        }
    }
    return TAKT_OK;
}
