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

/* The operands of a GEMM, fp16: A a column after another, X a column after another. */
struct bench_gemm {
    uint32_t m, k, n;
    uint32_t *a; /* [k][m] */
    uint32_t *x; /* [n][k] */
};

/* Random operands for every input of the program, written to the chip; and whether the outputs are
 * those of plain loops: FAULT names the first element that differs. */
enum takt_status bench_gemm_fill(struct chip *chip, const struct program *program,
                                 struct bench_gemm *gemm, struct takt_error *error);
enum takt_status bench_gemm_check(const struct chip *chip, const struct program *program,
                                  const struct bench_gemm *gemm, struct takt_error *error);
void bench_gemm_free(struct bench_gemm *gemm);
struct bench_lstm {
    struct bench_tensor w, bias, x, h, c;
};
enum takt_status bench_lstm_fill(struct chip *chip, const struct program *program,
                                 struct bench_lstm *lstm, struct takt_error *error);
enum takt_status bench_lstm_check(const struct chip *chip, const struct program *program,
                                  const struct bench_lstm *lstm, struct takt_error *error);
void bench_tensor_free(struct bench_tensor *tensor);

#endif
