/*
 * place: trying a task at a cycle. One function a kind of task; each books queues and stream slots
 * and writes down instructions, and returns false at the first thing that is taken or not yet there
 * (the schedule then undoes it and tries `hint` cycles later).
 */
#ifndef COMPILE_PLACE_H
#define COMPILE_PLACE_H

#include "compile/internal.h"

/* What the tasks before this one left in an MXM plane. */
struct plane_state {
    int64_t buffer_free; /* first cycle the next LW may issue */
    int64_t installed;   /* first cycle an ABC meets the tile loaded last */
    int64_t abc_free;    /* first cycle the next ABC may issue */
};

struct place_update { /* a dependency to record when the task stays */
    uint32_t *cycle;
    uint32_t value;
};

struct place_mark {
    uint32_t reserve, pushes, updates;
};

struct place_family { /* tasks of one kind between the same buffers in one layer */
    uint32_t kind, layer, in, out, plane;
    uint64_t start; /* of the last one */
};

struct place {
    struct compiler *c;
    const struct machine *machine;
    struct reserve *reserve;
    int64_t hint; /* after a failure: no earlier start than this much later can work */
    struct plane_state planes[2][MACHINE_PLANES];
    struct plane_state plane_after; /* of the task being tried */
    uint32_t push_count, update_count;
    uint32_t *pushes; /* queues that got an instruction, in order */
    struct place_update *updates;
    struct place_family *families;
    uint32_t long_count; /* bursts that had to be divided */
    struct task long_tasks[32];
    const struct task *kernel_task; /* whose mappings these are */
    struct variant *variants;
    uint32_t variant_count;
};

bool place_kernel(struct place *p, const struct task *task, int64_t start);
bool place_load(struct place *p, const struct task *task, int64_t start);
bool place_pass(struct place *p, const struct task *task, int64_t start);
bool place_transpose(struct place *p, const struct task *task, int64_t start);
bool place_permute(struct place *p, const struct task *task, int64_t start);
bool place_distribute(struct place *p, const struct task *task, int64_t start);
bool place_scatter(struct place *p, const struct task *task, int64_t start);
bool place_gather(struct place *p, const struct task *task, int64_t start);
bool place_keep(struct place *p, const struct task *task, int64_t start);

/* ---- the pieces (place.c) -------------------------------------------------------------------- */

struct place_mark place_mark(const struct place *p);
void place_rollback(struct place *p, struct place_mark mark);
/* Books the queue's cycle and writes the instruction down. */
bool place_issue(struct place *p, uint32_t queue, int64_t cycle,
                 const struct isa_instruction *instruction);

/* A value's way to a consumer: which direction it flows from its slice, and where it is read. */
struct place_route {
    bool west;
    uint32_t to;
};
/* To a unit at a fixed position. */
struct place_route place_route(const struct place *p, uint32_t buffer, uint32_t position);

/* Reads byte planes plane .. plane + planes - 1 of vectors i = 0 .. n-1 of the access so that
 * vector i is at route.to in cycle start + i, on streams stream .. */
bool place_read(struct place *p, const struct access *access, uint32_t plane, uint32_t planes,
                uint32_t n, struct place_route route, uint32_t stream, int64_t start);
/* The same on the first aligned streams that are free; *stream says which. */
bool place_read_any(struct place *p, const struct access *access, uint32_t plane, uint32_t planes,
                    uint32_t n, struct place_route route, int64_t start, uint32_t *stream);
/* Books the slots of results that land at position from in cycle start + i on streams stream .. +
 * planes-1 and stores them at the access (byte planes plane ..). at_least: a position they must
 * reach anyway. */
bool place_write(struct place *p, const struct access *access, uint32_t plane, uint32_t planes,
                 uint32_t n, uint32_t from, bool west, uint32_t stream, uint32_t at_least,
                 int64_t start);
bool place_write_any(struct place *p, const struct access *access, uint32_t plane, uint32_t planes,
                     uint32_t n, uint32_t from, bool west, int64_t start, uint32_t *stream);
/* Storing only: the slots are booked already. */
bool place_store(struct place *p, const struct access *access, uint32_t plane, uint32_t planes,
                 uint32_t n, uint32_t from, bool west, uint32_t stream, int64_t start);

/* How much later the burst must start for its dependencies and its slices' issue slots as booked
 * now; 0: these do not stand in the way. Nothing is booked. */
int64_t place_read_shift(const struct place *p, const struct access *access, uint32_t plane,
                         uint32_t planes, uint32_t n, struct place_route route, int64_t start);
int64_t place_store_shift(const struct place *p, const struct access *access, uint32_t plane,
                          uint32_t planes, uint32_t n, uint32_t from, int64_t start);

/* Dependencies. A read in `cycle` must follow what was written, a write both. */
bool place_may_read(struct place *p, struct buffer *buffer, uint32_t vector, int64_t cycle);
bool place_may_write(struct place *p, struct buffer *buffer, uint32_t vector, int64_t cycle);
uint32_t place_distance(uint32_t a, uint32_t b);

#endif
