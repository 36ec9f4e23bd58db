/*
 * Waves: the buffers that waves of a chunk can have in common.
 *
 * Requires: lowered tasks. Fills in: fewer buffers.
 * Every wave was lowered with buffers of its own. Two of them that are the same thing of two waves
 * become one where, in the order of the tasks, neither holds anything that is still to be read
 * while the other does. Tasks are placed in this order, and each after those before it that use
 * the same vectors, so that is all it takes.
 */
#include "compile/internal.h"

#include <string.h>

#define PLANES_MAX 4u

/* A byte plane of a vector: what it holds was begun in turn `begun`, and last touched in `touched`.
 */
struct held {
    uint32_t begun, touched;
    bool written, read; /* ever; since it was begun */
};

struct sharing {
    struct compiler *c;
    uint32_t turn, words;
    struct held **held; /* [buffers][vectors * PLANES_MAX] */
    uint64_t **busy;    /* [buffers][turns / 64] turns in which it holds something */
    bool *alone;        /* [buffers] it shares with none */
    uint32_t *becomes;  /* [buffers] */
};

/* ---- who holds what, and when ---------------------------------------------------------------- */

static void end_held(struct sharing *s, uint32_t buffer, const struct held *held)
{
    for (uint32_t turn = held->begun; held->written && turn <= held->touched; turn++) {
        s->busy[buffer][turn / 64] |= 1ull << turn % 64;
    }
}

static void touch(struct sharing *s, uint32_t buffer, uint32_t vector, uint32_t plane, bool write)
{
    struct held *held = &s->held[buffer][vector * PLANES_MAX + plane];
    if (write && held->read) {
        end_held(s, buffer, held);
        held->written = false;
    }
    if (write && !held->written) {
        *held = (struct held){.begun = s->turn, .written = true};
    }
    held->touched = s->turn;
    held->read = !write;
    s->alone[buffer] = s->alone[buffer] || !held->written; /* read first: it comes from outside */
}

/* `planes` byte planes of the access's n vectors, or of the sixteen from each of them on. */
static void touch_all(struct sharing *s, const struct access *access, uint32_t n, bool sixteens,
                      uint32_t plane, uint32_t planes, bool write)
{
    if (access->buffer == NONE || s->alone[access->buffer]) {
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t vector = access_vector(access, i);
        for (uint32_t j = 0; j < (sixteens ? STRIPES : 1u); j++) {
            for (uint32_t b = plane; b < plane + planes; b++) {
                touch(s, access->buffer, sixteens ? vector * STRIPES + j : vector, b, write);
            }
        }
    }
}

static void leave_alone(struct sharing *s, uint32_t buffer)
{
    if (buffer != NONE) {
        s->alone[buffer] = true;
    }
}

static void touch_kernel(struct sharing *s, const struct kernel *k, uint32_t n)
{
    for (uint32_t i = 0; i < k->input_count; i++) {
        touch_all(s, &k->inputs[i].access, n, false, 0, k->inputs[i].planes, false);
    }
    for (uint32_t i = 0; i < k->output_count; i++) {
        const struct access *out = &k->outputs[i].access;
        touch_all(s, out, n, false, 0, s->c->buffers[out->buffer].planes, true);
    }
}

static void touch_pass(struct sharing *s, const struct pass *pass)
{
    for (uint32_t i = 0; i < pass->segment_count; i++) {
        const struct pass_segment *segment = &pass->segments[i];
        const uint32_t out = segment->output.buffer;
        touch_all(s, &segment->input, pass->vectors, false, segment->plane, 1, false);
        touch_all(s, &segment->output, pass->vectors, false, 0,
                  out == NONE ? 0 : s->c->buffers[out].planes, true);
    }
}

static void touch_task(struct sharing *s, const struct task *task)
{
    const uint32_t n = task->n;
    s->turn = task->turn;
    switch (task->kind) {
    case TASK_KERNEL: touch_kernel(s, task->kernel, n); break;
    case TASK_PASS: touch_pass(s, task->pass); break;
    case TASK_TRANSPOSE:
        if (task->offset.buffer != NONE) { /* addresses are data */
            leave_alone(s, task->in.buffer);
        }
        touch_all(s, &task->in, n, true, task->plane, 1, false);
        touch_all(s, &task->map, n, false, 0, 1, false);
        touch_all(s, &task->out, n, true, task->out_plane, 1, true);
        break;
    case TASK_PERMUTE:
        touch_all(s, &task->in, n, false, task->plane, 1, false);
        touch_all(s, &task->map, n, false, 0, 2, false);
        touch_all(s, &task->out, n, false, task->out_plane, 1, true);
        break;
    case TASK_DISTRIBUTE:
        touch_all(s, &task->in, n, false, task->plane, task->planes, false);
        touch_all(s, &task->map, n, false, 0, 1, false);
        touch_all(s, &task->out, n, false, task->out_plane, task->planes, true);
        break;
    case TASK_LOAD: leave_alone(s, task->tile.buffer); break;
    case TASK_SCATTER:
    case TASK_GATHER:
    case TASK_KEEP:
        leave_alone(s, task->in.buffer);
        leave_alone(s, task->map.buffer);
        leave_alone(s, task->out.buffer);
        leave_alone(s, task->kind == TASK_SCATTER ? task->target_buffer : NONE);
        break;
    }
}

static void find_turns(struct sharing *s)
{
    const struct compiler *c = s->c;
    for (uint32_t i = 0; i < c->task_count; i++) {
        touch_task(s, &c->tasks[i]);
    }
    for (uint32_t b = c->plan->buffer_count; b < c->buffer_count; b++) {
        for (uint32_t i = 0; i < c->buffers[b].count * PLANES_MAX; i++) {
            end_held(s, b, &s->held[b][i]);
        }
    }
}

/* ---- which become one ------------------------------------------------------------------------ */

/* The same thing of different waves? */
static bool same_name(const char *a, const char *b)
{
    const char *at = strrchr(a, '@'), *other = strrchr(b, '@');
    return at != NULL && other != NULL && at - a == other - b &&
           memcmp(a, b, (size_t)(at - a)) == 0;
}

static bool may_join(const struct sharing *s, uint32_t index, uint32_t partner)
{
    if (s->alone[partner] || s->becomes[partner] != partner ||
        !same_name(s->c->buffers[index].name, s->c->buffers[partner].name)) {
        return false;
    }
    for (uint32_t i = 0; i < s->words; i++) {
        if ((s->busy[partner][i] & s->busy[index][i]) != 0) {
            return false;
        }
    }
    return true;
}

/* The buffer whose place this one takes, with all that lie there already; itself if none. */
static uint32_t find_partner(struct sharing *s, uint32_t index)
{
    for (uint32_t i = s->c->plan->buffer_count; i < index && !s->alone[index]; i++) {
        if (may_join(s, index, i)) {
            for (uint32_t j = 0; j < s->words; j++) {
                s->busy[i][j] |= s->busy[index][j];
            }
            return i;
        }
    }
    return index;
}

static void rename_access(const struct sharing *s, uint32_t *buffer)
{
    if (*buffer != NONE) {
        *buffer = s->becomes[*buffer];
    }
}

static void rename_task(const struct sharing *s, struct task *task)
{
    for (uint32_t i = 0; task->kernel != NULL && i < task->kernel->input_count; i++) {
        rename_access(s, &task->kernel->inputs[i].access.buffer);
    }
    for (uint32_t i = 0; task->kernel != NULL && i < task->kernel->output_count; i++) {
        rename_access(s, &task->kernel->outputs[i].access.buffer);
    }
    for (uint32_t i = 0; task->pass != NULL && i < task->pass->segment_count; i++) {
        rename_access(s, &task->pass->segments[i].input.buffer);
        rename_access(s, &task->pass->segments[i].output.buffer);
    }
    if (task->kind == TASK_LOAD) {
        rename_access(s, &task->tile.buffer);
    }
    if (task->kind == TASK_SCATTER) {
        rename_access(s, &task->target_address.buffer);
        rename_access(s, &task->target_buffer);
    }
    rename_access(s, &task->in.buffer);
    rename_access(s, &task->map.buffer);
    rename_access(s, &task->offset.buffer);
    rename_access(s, &task->out.buffer);
}

/* Buffers that lie with others are gone; everything names those that are left. */
static void renumber(struct sharing *s)
{
    struct compiler *c = s->c;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < c->buffer_count; i++) {
        if (s->becomes[i] == i) {
            c->buffers[kept] = c->buffers[i];
            s->becomes[i] = kept++;
        } else {
            s->becomes[i] = s->becomes[s->becomes[i]]; /* an earlier one: it has its number */
        }
    }
    c->buffer_count = kept;
    for (uint32_t i = 0; i < c->task_count; i++) {
        rename_task(s, &c->tasks[i]);
    }
    for (uint32_t i = 0; i < c->request_count; i++) {
        for (uint32_t w = 0; w < c->requests[i].waves; w++) {
            rename_access(s, &c->requests[i].buffers[w]);
        }
    }
}

enum takt_status waves_share(struct compiler *c)
{
    if (c->waves == 1) {
        return TAKT_OK;
    }
    struct sharing s = {.c = c, .words = c->turns / 64 + 1};
    s.held = BASE_NEW(&c->arena, struct held *, c->buffer_count);
    s.busy = BASE_NEW(&c->arena, uint64_t *, c->buffer_count);
    s.alone = BASE_NEW(&c->arena, bool, c->buffer_count);
    s.becomes = BASE_NEW(&c->arena, uint32_t, c->buffer_count);
    for (uint32_t b = 0; b < c->buffer_count; b++) {
        s.alone[b] = b < c->plan->buffer_count || c->buffers[b].whole;
        s.held[b] =
            s.alone[b] ? NULL : BASE_NEW(&c->arena, struct held, c->buffers[b].count * PLANES_MAX);
        s.busy[b] = s.alone[b] ? NULL : BASE_NEW(&c->arena, uint64_t, s.words);
    }
    for (uint32_t i = 0; i < c->request_count; i++) { /* the host's */
        for (uint32_t w = 0; w < c->requests[i].waves; w++) {
            s.alone[c->requests[i].buffers[w]] = true;
        }
    }
    find_turns(&s);
    for (uint32_t b = 0; b < c->buffer_count; b++) {
        s.becomes[b] = b < c->plan->buffer_count ? b : find_partner(&s, b);
    }
    renumber(&s);
    return TAKT_OK;
}
