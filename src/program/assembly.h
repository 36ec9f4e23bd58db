/*
 * What the ".expect" lines of an assembly file say, as data for whoever runs the file
 * (docs/ASSEMBLY.md has the language).
 */
#ifndef PROGRAM_ASSEMBLY_H
#define PROGRAM_ASSEMBLY_H

#include "program/program.h"

enum program_expectation_kind {
    PROGRAM_EXPECT_MEMORY,    /* the word at `place` is `bytes` when the program has ended */
    PROGRAM_EXPECT_CYCLES,    /* the program takes `cycles` */
    PROGRAM_EXPECT_FAULT,     /* the machine faults */
    PROGRAM_EXPECT_CORRECTED, /* reads put `corrected` bits right */
};

struct program_expectation {
    enum program_expectation_kind kind;
    uint32_t line; /* of the source, from 1 */
    struct program_place place;
    const uint8_t *bytes; /* [lanes]; wider elements are one expectation a byte plane */
    uint64_t cycles;
    uint64_t corrected;
    char fault[32]; /* kind of fault as the chip names it */
    bool has_cycle, has_queue;
    uint64_t fault_cycle;
    uint32_t fault_queue;
};

/* ".cable A B": links A and B of the chip are joined. */
struct program_cable {
    uint32_t a, b;
};

/* ".upset SLICE ADDRESS SUPERLANE BIT": a bit of memory, or of its ECC, is turned. */
struct program_upset {
    struct program_place place;
    uint32_t superlane, bit;
};

#endif
