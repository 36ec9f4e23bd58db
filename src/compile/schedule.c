/*
 * Schedule: every task, in order, gets the earliest cycle at which everything it needs is free.
 *
 * Requires: allocated buffers. Fills in: task->start, the instructions of every queue, end_cycle.
 * A task placed later may still start earlier: weights load while the chain before them waits.
 */
#include "compile/place.h"

#include <stdlib.h>
#include <string.h>

#define ATTEMPTS_MAX 200000
#define FAMILIES 1024u
/* Then a burst is halved: of several waves soon, for among their short ones a long one waits for
 * ever. */
#define BURST_ATTEMPTS 2000u
#define WAVES_BURST_ATTEMPTS 30u

static bool place_task(struct place *p, const struct task *task, int64_t start)
{
    p->hint = 0;
    switch (task->kind) {
    case TASK_KERNEL: return place_kernel(p, task, start);
    case TASK_LOAD: return place_load(p, task, start);
    case TASK_PASS: return place_pass(p, task, start);
    case TASK_TRANSPOSE: return place_transpose(p, task, start);
    case TASK_PERMUTE: return place_permute(p, task, start);
    case TASK_DISTRIBUTE: return place_distribute(p, task, start);
    case TASK_SCATTER: return place_scatter(p, task, start);
    case TASK_GATHER: return place_gather(p, task, start);
    case TASK_KEEP: return place_keep(p, task, start);
    }
    return false;
}

static void commit(struct place *p, const struct task *task)
{
    for (uint32_t i = 0; i < p->update_count; i++) {
        uint32_t *cycle = p->updates[i].cycle;
        *cycle = BASE_MAX(*cycle, p->updates[i].value);
    }
    if (task->kind == TASK_LOAD) {
        p->planes[task->tile.hemisphere][task->tile.plane] = p->plane_after;
    } else if (task->kind == TASK_PASS) {
        p->planes[task->pass->hemisphere][task->pass->plane] = p->plane_after;
    }
    p->update_count = 0;
    p->push_count = 0;
    p->kernel_task = NULL; /* a part's address may come again */
    reserve_commit(p->reserve);
    account_placed(p->c);
}

static void prepare(struct compiler *c, struct place *p)
{
    c->queues = BASE_NEW(&c->arena, struct queue_issues, machine_queue_count(c->machine));
    for (uint32_t i = 0; i < c->buffer_count; i++) {
        struct buffer *b = &c->buffers[i];
        uint32_t count = b->whole ? 1 : b->count;
        b->written = BASE_NEW(&c->arena, uint32_t, count);
        b->read = BASE_NEW(&c->arena, uint32_t, count);
    }
    *p = (struct place){.c = c, .machine = c->machine, .reserve = reserve_create(c)};
    c->reserve = p->reserve;
    for (uint32_t q = 0; q < machine_queue_count(c->machine); q++) {
        if (c->gaps[q]) { /* a load is never divided */
            reserve_keep(p->reserve, q, program_block_bytes(c->machine), c->machine->superlanes);
        }
    }
    p->families = BASE_NEW(&c->arena, struct place_family, FAMILIES);
    p->pushes = BASE_NEW(&c->arena, uint32_t, 1u << 22);
    p->updates = BASE_NEW(&c->arena, struct place_update, 1u << 22);
}

/* Tasks that do the same to other vectors of the same buffers stand in each other's way: the next
 * one looks from where the last one went. Where that was; 0 for a task of another sort. */
static uint64_t *family_start(struct place *p, const struct task *task)
{
    uint32_t in = task->in.buffer, out = task->out.buffer;
    if (task->kind == TASK_KERNEL) {
        in = task->kernel->inputs[0].access.buffer;
        out = task->kernel->outputs[0].access.buffer;
    } else if (task->kind == TASK_LOAD || task->kind == TASK_PASS) {
        return NULL;
    }
    struct place_family key = {task->kind, task->layer, in, out, task->plane, 0};
    struct place_family *f = &p->families[(in * 31 + out * 7 + task->plane) % FAMILIES];
    if (f->kind != key.kind || f->layer != key.layer || f->in != in || f->out != out ||
        f->plane != key.plane) {
        *f = key;
    }
    return &f->start;
}

/* Tries cycle after cycle; false when nothing is found in `attempts`. */
static bool find_start(struct place *p, struct task *task, uint32_t attempts)
{
    const struct place_mark empty = {0, 0, 0};
    uint64_t *family = family_start(p, task);
    const int64_t first = BASE_MAX(p->c->begin, family == NULL ? 0 : (int64_t)*family);
    for (int64_t start = first; attempts > 0 && start < INT32_MAX; attempts--) {
        if (place_task(p, task, start)) {
            task->start = (uint64_t)start;
            if (family != NULL) {
                *family = task->start;
            }
            commit(p, task);
            return true;
        }
        place_rollback(p, empty);
        start += BASE_MAX(p->hint, 1);
    }
    return false;
}

/* A task with some of another's vectors, and what it points to. */
struct part {
    struct task task;
    struct kernel kernel;
    struct pass pass;
};

static void cut_kernel(struct part *part, const struct kernel *whole, uint32_t first)
{
    struct kernel *k = part->task.kernel = &part->kernel;
    *k = *whole;
    for (uint32_t i = 0; i < k->input_count; i++) {
        k->inputs[i].access.first += first;
    }
    for (uint32_t i = 0; i < k->output_count; i++) {
        k->outputs[i].access.first += first;
    }
}

static void cut_pass(struct part *part, const struct pass *whole, uint32_t first, uint32_t n)
{
    struct pass *pass = part->task.pass = &part->pass;
    *pass = *whole;
    pass->vectors = n;
    pass->first_slot += first;
    for (uint32_t i = 0; i < pass->segment_count; i++) {
        pass->segments[i].input.first += first;
        pass->segments[i].output.first += first;
    }
}

/* The task with vectors first .. first + n - 1 only. */
static void cut(struct part *part, const struct task *whole, uint32_t first, uint32_t n)
{
    struct task *task = &part->task;
    *task = *whole;
    task->n = n;
    task->in.first += first;
    task->out.first += first;
    task->map.first += first;
    task->offset.first += first;
    task->target_address.first += first;
    if (whole->kernel != NULL) {
        cut_kernel(part, whole->kernel, first);
    }
    if (whole->pass != NULL) {
        cut_pass(part, whole->pass, first, n);
    }
}

/* Remembers which bursts had to be divided: the same task of the next layer is not tried whole.
 * Returns whether this one is known; `add` makes it so. */
static bool known_too_long(struct place *p, const struct task *task, bool add)
{
    for (uint32_t i = 0; i < p->long_count; i++) {
        const struct task *other = &p->long_tasks[i];
        if (other->kind == task->kind && other->n == task->n &&
            strcmp(other->name, task->name) == 0) {
            return true;
        }
    }
    if (add && p->long_count < BASE_COUNT(p->long_tasks)) {
        p->long_tasks[p->long_count++] = *task;
    }
    return false;
}

/* A burst that stands in its own way (an ALU or a slice wanted again before it is over) runs as
 * shorter ones. */
static bool place_in_parts(struct compiler *c, struct place *p, struct task *task)
{
    bool divisible = task->kind != TASK_LOAD && task->n > 1;
    if (!divisible) {
        return find_start(p, task, ATTEMPTS_MAX);
    }
    if (!known_too_long(p, task, false)) {
        if (find_start(p, task, c->waves > 1 ? WAVES_BURST_ATTEMPTS : BURST_ATTEMPTS)) {
            return true;
        }
        known_too_long(p, task, true);
    }
    const uint32_t half = task->n / 2;
    struct part part;
    cut(&part, task, 0, half);
    bool placed = place_in_parts(c, p, &part.task);
    task->start = part.task.start;
    if (placed) {
        cut(&part, task, half, task->n - half);
        placed = place_in_parts(c, p, &part.task);
    }
    return placed;
}

enum takt_status schedule(struct compiler *c)
{
    struct place p;
    prepare(c, &p);
    c->placement = 0;
    c->end_cycle = 0;
    for (uint32_t i = 0; i < c->task_count; i++) {
        struct task *task = &c->tasks[i];
        c->task_now = i;
        if (task->hemisphere == NONE || task->hemisphere == OPPOSITE) {
            uint32_t nearest = c->buffers[task->in.buffer].slice / c->machine->mem_slices;
            task->hemisphere = task->hemisphere == NONE ? nearest : 1 - nearest;
        }
        if (!place_in_parts(c, &p, task)) {
            return base_fail(
                c->error, TAKT_LIMIT,
                "compile: step of layer %u, \"%s\": no place in the schedule; a smaller "
                "--chunk needs less of the machine at once",
                task->layer, task->name);
        }
    }
    return TAKT_OK;
}

/* A slice's Read comes before its Write of the same cycle. */
static int by_cycle(const void *a, const void *b)
{
    const struct issue *x = a, *y = b;
    if (x->cycle != y->cycle) {
        return x->cycle < y->cycle ? -1 : 1;
    }
    return (x->instruction.op == ISA_WRITE) - (y->instruction.op == ISA_WRITE);
}

static void pair_queue(struct queue_issues *queue)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < queue->count; i++) {
        struct issue *issue = &queue->items[i];
        struct issue *last = kept == 0 ? NULL : &queue->items[kept - 1];
        if (last == NULL || last->cycle < issue->cycle) {
            queue->items[kept++] = *issue;
            continue;
        }
        BASE_ASSERT(last->instruction.op == ISA_READ && issue->instruction.op == ISA_WRITE);
        last->instruction.op = ISA_READ_WRITE;
        last->instruction.address2 = issue->instruction.address;
        last->instruction.a = issue->instruction.a;
        last->write_placement = issue->placement;
    }
    queue->count = kept;
}

/* Puts queues in order; a Read and a Write of one slice and cycle become a ReadWrite. */
enum takt_status schedule_pair(struct compiler *c)
{
    for (uint32_t q = 0; q < machine_queue_count(c->machine); q++) {
        struct queue_issues *queue = &c->queues[q];
        if (queue->count > 0) {
            qsort(queue->items, queue->count, sizeof queue->items[0], by_cycle);
            pair_queue(queue);
        }
    }
    return TAKT_OK;
}

/* Each queue issues at most one instruction a cycle, in order. */
enum takt_status schedule_check(struct compiler *c)
{
    for (uint32_t q = 0; q < machine_queue_count(c->machine); q++) {
        const struct queue_issues *queue = &c->queues[q];
        for (uint32_t i = 1; i < queue->count; i++) {
            BASE_ASSERT(queue->items[i].cycle > queue->items[i - 1].cycle);
        }
        if (queue->count > 0) {
            c->end_cycle = BASE_MAX(c->end_cycle, queue->items[queue->count - 1].cycle + 1u);
        }
    }
    return TAKT_OK;
}
