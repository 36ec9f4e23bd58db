/*
 * Programs that are laid out by hand rather than compiled from a graph: each instruction in the
 * cycle that its generator chose. The machine's own checks prove the result.
 *
 * gemm.c and lstm.c build on standalone.c; nothing here knows of graphs, plans or passes.
 */
#ifndef COMPILE_STANDALONE_H
#define COMPILE_STANDALONE_H

#include "program/program.h"

/* A program with the memory it lies in. */
struct compile_standalone {
    struct base_arena arena;
    struct program program;
    struct compile_standalone_queue *queues; /* while it is built */
    bool clashes; /* two instructions want one queue in one cycle: to be built anew */
};

/*
 * C [M x N] = A [M x K] x X [K x N], fp16 operands, exact sums over K, results binary32, rounded
 * once. The first columns of C, a multiple of the lanes, are computed by columns, the rest by rows;
 * operands and results lie accordingly, and a binding is there where it is needed. By columns:
 * "x.rows" (input; item k of K holds row k of those columns of X), "a.rows" (input; item m of M
 * holds row m of A), "c.rows" (output; item m of M). By rows: "x" (input; an item is a column of
 * X), "a" (input; item k of K holds column k of A), "c" (output; an item is a column). LIMIT when
 * memory has no room. macs_bound = cycles that M x N x K would take at the peak of two
 * [1 x 160] x [160 x 320] a cycle (half the lanes by the lanes).
 */
enum takt_status compile_gemm(struct compile_standalone **gemm, const struct machine *machine,
                              uint32_t m, uint32_t k, uint32_t n, struct takt_error *error);
uint64_t compile_gemm_bound(const struct machine *machine, uint32_t m, uint32_t k, uint32_t n);

/*
 * One step of an LSTM of `hidden` units and as many inputs, batch 1, fp16 weights, x and h, the
 * rest binary32 (docs/COMPILER.md has the expressions). hidden: even, at most twice the lanes.
 * Gates in the order i, g, f, o. Bindings: "w" (input; item j of 2 hidden holds the weights of
 * input j, of x first, then of h, as 4 hidden elements, a gate after another), "bias" (input,
 * binary32, 4 hidden; those of i, f and o negated), "x", "h", "c" (inputs), "h.new", "c.new"
 * (outputs, in the places of "h" and "c": a next step needs only its x).
 */
enum takt_status compile_lstm(struct compile_standalone **lstm, const struct machine *machine,
                              uint32_t hidden, struct takt_error *error);

/* All weights of all planes from memory to installed; *installed_cycles: from the issue of the
 * first Read to the first activations that meet them, which the program issues. */
enum takt_status compile_fill(struct compile_standalone **fill, const struct machine *machine,
                              uint32_t *installed_cycles, struct takt_error *error);

void compile_standalone_destroy(struct compile_standalone *standalone);

/* ---- for the generators ---------------------------------------------------------------------- */

enum takt_status standalone_create(struct compile_standalone **standalone,
                                   const struct machine *machine, size_t bytes,
                                   struct takt_error *error);

/* The instruction issues in `cycle` (0: the first after all queues are released), then count - 1
 * more times, delay cycles apart, its address or index by step higher each time. */
struct standalone_run {
    uint32_t cycle, count, delay;
    int32_t step;
};
static inline struct standalone_run standalone_once(uint32_t cycle)
{
    return (struct standalone_run){cycle, 1, 1, 0};
}
void standalone_put(struct compile_standalone *standalone, uint32_t queue,
                    struct standalone_run run, struct isa_instruction instruction);

/* Reads words from `address` on of a global slice so that the first passes `position` in
 * run.cycle; writes what passes the slice of a value that is at `position` in run.cycle. */
void standalone_read(struct compile_standalone *standalone, uint32_t slice, uint32_t address,
                     uint8_t stream, uint32_t position, struct standalone_run run);
void standalone_write(struct compile_standalone *standalone, uint32_t slice, uint32_t address,
                      uint8_t stream, uint32_t position, struct standalone_run run);
/* Cycles from the read's issue to `position`. */
uint32_t standalone_read_cycles(const struct machine *machine, uint32_t slice, uint32_t position);

struct program_binding *standalone_binding(struct compile_standalone *standalone, const char *name,
                                           bool output, uint32_t element_bytes, uint32_t items,
                                           uint32_t rows, uint32_t elements);
/*
 * Makes the text: Notify and Sync, the instructions with their waits, the final Sync. Nothing may
 * clash. Where a queue's text is more than it begins with, slice `sender` of each hemisphere holds
 * and sends it on STANDALONE_TEXT_STREAM in either direction, and the slice one position farther in
 * the sender's own on the stream below. Both must have no other work. LIMIT when text comes too
 * late, or is more than a block without a sender (STANDALONE_NO_SENDER).
 */
#define STANDALONE_NO_SENDER UINT32_MAX
#define STANDALONE_TEXT_STREAM 31u
enum takt_status standalone_finish(struct compile_standalone *standalone, uint32_t sender,
                                   struct takt_error *error);

/* ---- between standalone.c and standalone_fetch.c --------------------------------------------- */

/* Instructions of a queue by cycle: a run, or an Ifetch, which takes two cycles. */
struct standalone_item {
    struct standalone_run run;
    struct isa_instruction instruction;
    struct standalone_item *before, *after;
};
struct compile_standalone_queue {
    struct standalone_item *first, *last;
};
uint32_t standalone_item_end(const struct standalone_item *item); /* first cycle after it */
/* The queue that sends the Notify: the first that runs. */
uint32_t standalone_notifier(const struct compile_standalone *standalone);
enum takt_status standalone_fetch(struct compile_standalone *standalone, uint32_t sender,
                                  struct takt_error *error);

#endif
