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

/* What a slice does in all of the step, bank by bank. */
struct load {
    uint64_t reads[2], writes[2];
};

struct allocation {
    struct compiler *c;
    uint32_t first;      /* the first temporary */
    uint32_t *floor;     /* [slices] words the plan has taken */
    uint8_t *neighbours; /* [temporaries][buffers] how much it costs if they share a slice */
    bool *linked;        /* [temporaries][buffers] one comes from the other through a switch unit */
    bool (*wanted)[2];   /* [temporaries] a matrix unit of this hemisphere writes it */
    uint8_t *crossing;   /* the same, of the same bank: one is read as the other is written */
    uint64_t *reads, *writes; /* [buffers] vectors */
    struct load *load;        /* [slices] of what has its place */
    struct load *fixed_load;  /* [slices] of that, the weights' and the plan's */
    uint64_t mean;            /* of a slice, when all have theirs */
    bool met;                 /* of two that can never share a slice, two do */
};

/*
 * What it costs when two buffers of a task share a slice. Two that a unit reads in the same cycle
 * can never share one, and results of one level hardly; the others of a kernel can unless its burst
 * is long; the rest only wait. CROSS: one is read while the other is written, which a slice does at
 * once where they lie in different banks. ALIGNED, for a scatter and the sixteen slices it stores
 * to: they meet slice by slice, so only the same first slice is bad.
 */
enum { SAME_TASK = 1, SAME_BURST = 16, SAME_RESULT = 120, SAME_CYCLE = 121, ALIGNED = 240 };
enum { CROSS_TASK = 3, CROSS_KERNEL = 12 };
/* What it costs when a buffer is not where its maker is. */
enum { OTHER_HEMISPHERE = 6 };
/* What two that can never share one cost besides. Of several waves, for which room and slices are
 * scarce: words in slices with weights that cost as much as a clash of 1; what a slice as busy as
 * the mean of all costs. */
enum { WORDS_A_CLASH = 4, MEAN_LOAD = 16, NEVER = 10000 };

static void meet_one(struct allocation *a, uint8_t *costs, uint32_t x, uint32_t y, uint8_t cost)
{
    if (x >= a->first) {
        uint8_t *entry = &costs[(size_t)(x - a->first) * a->c->buffer_count + y];
        *entry = BASE_MAX(*entry, cost);
    }
}

static void meet(struct allocation *a, uint32_t x, uint32_t y, uint8_t cost)
{
    if (x != NONE && y != NONE && x != y) {
        meet_one(a, a->neighbours, x, y, cost);
        meet_one(a, a->neighbours, y, x, cost);
    }
}

/* One of each list: read, and written. */
static void cross(struct allocation *a, const uint32_t *read, uint32_t reads,
                  const uint32_t *written, uint32_t writes, uint8_t cost)
{
    for (uint32_t i = 0; i < reads * writes; i++) {
        const uint32_t x = read[i % reads], y = written[i / reads];
        if (x != NONE && y != NONE && x != y) {
            meet_one(a, a->crossing, x, y, cost);
            meet_one(a, a->crossing, y, x, cost);
        }
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

static void find_pass_neighbours(struct allocation *a, const struct pass *pass)
{
    uint32_t in[PASS_SEGMENTS_MAX], out[PASS_SEGMENTS_MAX];
    const uint32_t n = pass->segment_count;
    for (uint32_t i = 0; i < n; i++) {
        in[i] = pass->segments[i].input.buffer;
        out[i] = pass->segments[i].output.buffer;
    }
    meet_all(a, in, n, SAME_TASK);
    meet_all(a, out, n, SAME_TASK);
    cross(a, in, n, out, n, CROSS_TASK);
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
    meet_all(a, list + inputs, n - inputs, SAME_RESULT); /* most are of one level */
    cross(a, list, inputs, list + inputs, n - inputs, CROSS_KERNEL);
    if (task->pass != NULL) {
        find_pass_neighbours(a, task->pass);
    }
    cross(a, list, inputs, &task->out.buffer, 1, CROSS_TASK);
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

/* ---- how busy slices are --------------------------------------------------------------------- */

static uint32_t bank_of(const struct allocation *a, uint32_t address)
{
    return address >= a->c->machine->mem_words / 2;
}

/* Cycles that a slice takes at least: a read of a bank and a write of the other share one. */
static uint64_t busy_cycles(const struct load *load)
{
    const uint64_t *r = load->reads, *w = load->writes;
    return BASE_MAX(BASE_MAX(r[0] + r[1], w[0] + w[1]), BASE_MAX(r[0] + w[0], r[1] + w[1]));
}

/* With the buffer in one of its slices. */
static struct load load_with(const struct allocation *a, uint32_t index, uint32_t slice,
                             uint32_t address)
{
    const struct buffer *b = &a->c->buffers[index];
    const uint32_t n = buffer_slices(b), bank = bank_of(a, address);
    struct load load = a->load[slice];
    load.reads[bank] += a->reads[index] * b->planes / n;
    load.writes[bank] += a->writes[index] * b->planes / n;
    return load;
}

/* The buffer has its place: its slices are as much busier. */
static void add_load(struct allocation *a, uint32_t index)
{
    const struct buffer *b = &a->c->buffers[index];
    for (uint32_t s = b->slice; s < b->slice + buffer_slices(b); s++) {
        a->load[s] = load_with(a, index, s, b->address);
    }
}

static void add_traffic(uint64_t *traffic, uint32_t buffer, uint32_t vectors)
{
    if (buffer != NONE) {
        traffic[buffer] += vectors;
    }
}

static void find_traffic(struct allocation *a, const struct task *task)
{
    const struct kernel *k = task->kernel;
    const struct pass *pass = task->pass;
    for (uint32_t i = 0; k != NULL && i < k->input_count; i++) {
        add_traffic(a->reads, k->inputs[i].access.buffer, task->n);
    }
    for (uint32_t i = 0; k != NULL && i < k->output_count; i++) {
        add_traffic(a->writes, k->outputs[i].access.buffer, task->n);
    }
    for (uint32_t i = 0; pass != NULL && i < pass->segment_count; i++) {
        add_traffic(a->reads, pass->segments[i].input.buffer, pass->vectors);
        add_traffic(a->writes, pass->segments[i].output.buffer, pass->vectors);
    }
    add_traffic(a->reads, task->in.buffer, task->n);
    add_traffic(a->reads, task->map.buffer, task->n);
    add_traffic(a->writes, task->out.buffer, task->n);
    for (uint32_t i = 0; task->kind == TASK_LOAD && i < STRIPES; i++) {
        a->load[task->tile.slice + i].reads[bank_of(a, task->tile.address)] += task->tile.count;
    }
}

/* How busy slices are: with weights, and with what the plan has placed. */
static void find_load(struct allocation *a)
{
    const struct compiler *c = a->c;
    for (uint32_t i = 0; i < c->buffer_count; i++) {
        a->mean += (a->reads[i] + a->writes[i]) * c->buffers[i].planes;
        if (i < a->first) {
            add_load(a, i);
        }
    }
    a->mean = a->mean / (2 * c->machine->mem_slices) + 1;
    memcpy(a->fixed_load, a->load, 2 * c->machine->mem_slices * sizeof *a->load);
}

/* ---- what a place costs ---------------------------------------------------------------------- */

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

/* The lowest address from `address` on at which the buffer is free of all others in slices slice ..
 */
static uint32_t lowest_address(const struct allocation *a, uint32_t index, uint32_t slice,
                               uint32_t address)
{
    const struct compiler *c = a->c;
    uint32_t slices = buffer_slices(&c->buffers[index]), words = buffer_words(&c->buffers[index]);
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
static uint32_t scarcity(const struct allocation *a, uint32_t index, uint32_t slice,
                         uint32_t address, bool weights)
{
    const struct buffer *b = &a->c->buffers[index];
    uint64_t most = 0;
    for (uint32_t s = slice; s < slice + buffer_slices(b); s++) {
        const struct load load = load_with(a, index, s, address);
        most = BASE_MAX(most, busy_cycles(&load));
    }
    return (weights ? buffer_words(b) / WORDS_A_CLASH : 0) + (uint32_t)(MEAN_LOAD * most / a->mean);
}

/* What it costs that the buffer meets others in its slices. */
static uint32_t clashes_of(const struct allocation *a, uint32_t index, uint32_t slice,
                           uint32_t address)
{
    const struct compiler *c = a->c;
    const uint32_t slices = buffer_slices(&c->buffers[index]), bank = bank_of(a, address);
    const size_t row = (size_t)(index - a->first) * c->buffer_count;
    uint32_t clashes = 0;
    for (uint32_t i = 0; i < c->buffer_count; i++) {
        const uint8_t always = a->neighbours[row + i], crossing = a->crossing[row + i];
        if ((always | crossing) == 0 || !overlaps(&c->buffers[i], slice, slices)) {
            continue;
        }
        const bool apart = always == ALIGNED && slices == STRIPES && slice != c->buffers[i].slice;
        const uint8_t same = bank_of(a, c->buffers[i].address) == bank ? crossing : 0;
        clashes += BASE_MAX(apart ? SAME_TASK : always, same);
        clashes += !apart && always >= SAME_CYCLE ? NEVER : 0;
    }
    return clashes;
}

struct spot {
    uint32_t slice, address;
    uint64_t cost; /* UINT64_MAX: there is no room */
};

/* The lowest place from address first to end - 1. */
static struct spot spot_of(const struct allocation *a, uint32_t index, uint32_t slice,
                           uint32_t first, uint32_t end)
{
    const struct compiler *c = a->c;
    const struct buffer *b = &c->buffers[index];
    const bool weights = slice % c->machine->mem_slices >= c->plan->group_slice[0][0];
    struct spot spot = {slice, lowest_address(a, index, slice, first), UINT64_MAX};
    if (spot.address + buffer_words(b) <= end && !(weights && b->inner)) {
        uint64_t cost = clashes_of(a, index, slice, spot.address);
        cost += c->waves > 1 ? scarcity(a, index, slice, spot.address, weights) : 0;
        cost += OTHER_HEMISPHERE * far_makers(a, index, slice / c->machine->mem_slices);
        spot.cost = cost << 32 | (uint64_t)weights << 31 | (spot.address - first);
    }
    return spot;
}

/* The best in these slices: in one of the banks, or else across both. */
static struct spot best_bank(const struct allocation *a, uint32_t index, uint32_t slice)
{
    const uint32_t words = a->c->machine->mem_words;
    struct spot best = spot_of(a, index, slice, 0, words / 2);
    const struct spot other = spot_of(a, index, slice, words / 2, words);
    best = other.cost < best.cost ? other : best;
    return best.cost == UINT64_MAX ? spot_of(a, index, slice, 0, words) : best;
}

static enum takt_status place_buffer(struct allocation *a, uint32_t index)
{
    struct compiler *c = a->c;
    struct buffer *b = &c->buffers[index];
    uint32_t slices = buffer_slices(b), per_hemisphere = c->machine->mem_slices;
    uint32_t step = slices > 2 ? MACHINE_SLICES_PER_POSITION : slices;
    struct spot best = {.cost = UINT64_MAX};
    for (uint32_t i = 0; i < 2 * per_hemisphere / step; i++) {
        const uint32_t h = (i + index) % 2;
        if (i / 2 * step + slices <= per_hemisphere) {
            const struct spot spot = best_bank(a, index, h * per_hemisphere + i / 2 * step);
            best = spot.cost < best.cost ? spot : best;
        }
    }
    if (best.cost == UINT64_MAX) {
        return base_fail(
            c->error, TAKT_CAPACITY,
            "compile: no room for \"%s\" (%u words in %u slices) of a step of %u tokens over "
            "%u positions beside weights and KV cache on \"%s\"; use a smaller --chunk or "
            "--ctx",
            b->name, buffer_words(b), slices, c->chunk * c->waves, c->bucket, c->machine->name);
    }
    b->slice = best.slice;
    b->address = best.address;
    a->met = a->met || best.cost >> 32 >= NEVER;
    add_load(a, index);
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
    uint64_t key = order == BY_TRAFFIC ? a->reads[index] + a->writes[index] : 0;
    for (uint32_t i = 0; order == BY_NEIGHBOURS && i < n; i++) {
        const size_t pair = (size_t)(index - a->first) * n + i;
        key += BASE_MAX(a->neighbours[pair], a->crossing[pair]);
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
    const uint32_t tokens = a->c->chunk * a->c->waves;
    const enum order orders[2] = {several ? BY_TRAFFIC : AS_LOWERED,
                                  several ? BY_NEIGHBOURS : AS_LOWERED};
    enum takt_status status = TAKT_CAPACITY;
    for (uint32_t i = 0; i < 4 && status == TAKT_CAPACITY; i++) {
        status = place_buffers(a, orders[i % 2], i >= 2);
        if (status == TAKT_OK && a->met) { /* the schedule would find no place */
            status = base_fail(a->c->error, TAKT_CAPACITY,
                               "compile: a step of %u tokens over %u positions needs more slices "
                               "at once than \"%s\" has; use %s",
                               tokens, a->c->bucket, a->c->machine->name,
                               tokens > 1 ? "a smaller --chunk" : "a machine with more mem_slices");
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
    a.crossing = BASE_NEW(&c->arena, uint8_t, (size_t)temporaries * c->buffer_count);
    a.linked = BASE_NEW(&c->arena, bool, (size_t)temporaries * c->buffer_count);
    a.wanted = (bool(*)[2])BASE_NEW(&c->arena, bool, (size_t)temporaries * 2);
    a.reads = BASE_NEW(&c->arena, uint64_t, c->buffer_count);
    a.writes = BASE_NEW(&c->arena, uint64_t, c->buffer_count);
    a.load = BASE_NEW(&c->arena, struct load, slices);
    a.fixed_load = BASE_NEW(&c->arena, struct load, slices);
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
