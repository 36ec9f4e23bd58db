/* What bench.c and bench_values.c share: a standalone program on a chip, and its tensors. */
#ifndef RUN_BENCH_H
#define RUN_BENCH_H

#include "chip/chip.h"
#include "compile/standalone.h"

/* A tensor as its binding has it: item after item, elements of 1 to 4 bytes as bits. */
struct bench_tensor {
    const struct program_binding *binding;
    uint32_t *elements; /* [items][elements] */
};

/* Random operands for every input of the program, written to the chip; the outputs it must give,
 * from plain loops. FAULT names the first element that differs. */
enum takt_status bench_gemm_fill(struct chip *chip, const struct program *program,
                                 struct bench_tensor *a, struct bench_tensor *x,
                                 struct takt_error *error);
enum takt_status bench_gemm_check(const struct chip *chip, const struct program *program,
                                  const struct bench_tensor *a, const struct bench_tensor *x,
                                  struct takt_error *error);
struct bench_lstm {
    struct bench_tensor w, bias, x, h, c;
};
enum takt_status bench_lstm_fill(struct chip *chip, const struct program *program,
                                 struct bench_lstm *lstm, struct takt_error *error);
enum takt_status bench_lstm_check(const struct chip *chip, const struct program *program,
                                  const struct bench_lstm *lstm, struct takt_error *error);
void bench_tensor_free(struct bench_tensor *tensor);

#endif
