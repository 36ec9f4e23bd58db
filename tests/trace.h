/*
 * A second, plain interpreter of programs that do not fault: every issue of every queue in order,
 * with a hash of what it took and of what it gave. Two traces side by side show how far a change
 * reaches. Slow, checks nothing, shares no code with the machine.
 */
#ifndef TESTS_TRACE_H
#define TESTS_TRACE_H

#include "program/program.h"

/* One issue of an instruction (a repetition is an issue of its own, with its own address). */
struct trace_issue {
    uint64_t cycle;
    uint32_t queue;
    struct isa_instruction instruction;
    uint64_t taken, given; /* hashes of the operands' and the results' bytes */
    bool used;             /* a later issue took some of what it gave, or it gives no bytes */
};

struct trace {
    struct trace_issue *issues; /* by cycle, then queue */
    size_t count, capacity;
};

/* Runs the program over memory, [2 * mem_slices][mem_words][lanes], which it changes. kept: the
 * words that something after the program takes. */
void trace_run(struct trace *trace, const struct program *program, const bool *kept,
               uint8_t *memory);
void trace_free(struct trace *trace);

/* What differs between the traces of a program and of its mutant. */
struct trace_difference {
    uint64_t given_before, given_after; /* sums of what these give: equal = the same bytes */
    uint64_t changed;                   /* issues that only one has, or that are not the same */
    uint64_t reached;                   /* issues that both have and that take other bytes */
    uint64_t absorbed[ISA_OP_COUNT];    /* of them, those that give the same bytes */
};
/* Adds to *difference. */
void trace_compare(const struct trace *a, const struct trace *b,
                   struct trace_difference *difference);

#endif
