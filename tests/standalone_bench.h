/* A program laid out by hand on a chip of its own. */
#ifndef TESTS_STANDALONE_BENCH_H
#define TESTS_STANDALONE_BENCH_H

#include "chip/chip.h"
#include "compile/standalone.h"

struct bench {
    struct compile_standalone *program;
    struct chip *chip;
    struct chip_text *text;
    uint32_t lanes;
};

/* The test fails where these cannot do their work, or a run takes other cycles than it was made
 * for.
 */
void bench_open(struct bench *bench, struct compile_standalone *program);
void bench_close(struct bench *bench);
void bench_run(struct bench *bench);

#endif
