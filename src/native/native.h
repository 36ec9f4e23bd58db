/*
 * native: the graph of a step on this CPU, as fast as it goes, with the reference's bits.
 *
 * Owns: packed weights, kernels for each instruction set, the threads, the KV caches of all
 * sessions, the order of work in a pass. Refuses to: know programs, chips, tokenizers, the
 * environment or the clock; to give other bits for another level, thread count or batch.
 * Why the bits cannot differ: what crosses elements is an integer sum or a maximum, whose order is
 * free, and everything else is the contract's own expression (docs/NUMERICS.md). docs/NATIVE.md
 * has the layouts and the arithmetic.
 * Invariants: all memory is laid out when the executor is created; a step allocates nothing. One
 * thread at a time calls; the pool is inside.
 * Read next: kernels.h, layout.c, pack.c, packed.h, plan.c, step.c, attention.c, pool.c.
 */
#ifndef NATIVE_NATIVE_H
#define NATIVE_NATIVE_H

#include "base/base.h"
#include "graph/graph.h"

struct native;
struct native_packed; /* packed.h */

/* The levels of kernels built in, plainest first; NULL beyond the last. *usable: this CPU can. */
const char *native_level(size_t index, bool *usable);

struct native_options {
    uint32_t context;  /* positions a session holds */
    uint32_t sessions; /* slots 0 .. sessions - 1 */
    uint32_t batch;    /* most tokens of a pass */
    uint32_t threads;  /* at least 1, the calling one among them */
    const char *level; /* NULL: the best this CPU has */
    bool keep_tensors; /* for native_tensor: every tensor of a pass has memory of its own */
    const struct native_packed *packed; /* weights packed before; NULL: from the graph. It must stay
                                         */
    void (*on_load)(void *user, uint64_t done, uint64_t total); /* weights; may be NULL */
    void *user;
};

/* The graph: built, or listed; then the weights go from the file into their panels, and what
 * follows from them into the graph (graph.h). LIMIT, MEMORY, UNSUPPORTED (an operation or a level,
 * by name), USAGE (no such level), FORMAT (a weight is NaN or infinite). */
enum takt_status native_create(struct native **native, const struct graph *graph,
                               const struct native_options *options, struct takt_error *error);
void native_destroy(struct native *native);

/* Tokens of one session, at positions start .. start + count - 1; its cache holds those before. */
struct native_item {
    uint32_t slot, start, count;
    const uint32_t *tokens;
    float *logits; /* NULL, or of the last token [vocab], or with `all` of each [count][vocab] */
    bool all;
};
/* One pass: items of different slots, at most `batch` tokens together. */
void native_step(struct native *native, const struct native_item *items, uint32_t count);
/* What is to be done with the logits of a pass, on the executor's threads: index 0 .. threads - 1.
 */
void native_together(struct native *native, void (*function)(void *user, uint32_t index),
                     void *user);
/* Positions 0 .. length - 1 of slot `to` become those of `from`. */
void native_copy(struct native *native, uint32_t to, uint32_t from, uint32_t length);

/* With keep_tensors: the values of a tensor in the last pass, [tokens of the pass][width]; NULL for
 * one that no stage stores (it lives in registers between two fused operations) or that was
 * computed for some tokens only. */
const float *native_tensor(const struct native *native, uint32_t tensor);

/* What the memory is spent on, in bytes. */
struct native_memory {
    uint64_t weights, cache, cache_a_session, rope, work;
    /* Multiplications and additions of bytes: of a token, and of a row of logits. */
    uint64_t token_operations, output_operations;
    uint64_t matrix_bytes; /* of weights alone: what a decode step reads */
};
void native_memory(const struct native *native, struct native_memory *memory);

/* Probes of the machine, on the executor's threads: each reads its part of the weights once,
 * plainly (returns their bytes); each multiplies bytes in registers for a while (returns the number
 * of multiplications and additions). The caller has the clock. */
uint64_t native_probe_read(struct native *native);
uint64_t native_probe_peak(struct native *native);

const char *native_level_name(const struct native *native);
uint32_t native_threads(const struct native *native);

#endif
