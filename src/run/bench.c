/*
 * Part two of takt.h: programs laid out by hand for the figures that were published of the chip,
 * compiled, executed, compared.
 */
#include "run/bench.h"

#include "takt.h"

/* V7: a product of [2304 x 4096] with [4096 x N] at 80 % of the peak or more, N = 1376 .. 3500. */
#define GEMM_M 2304u
#define GEMM_K 4096u
#define GEMM_FIRST 1376u
#define GEMM_LAST 3500u
#define GEMM_STEP 32u
#define GEMM_VALUES 3u /* of them, how many with values */
/* V8: one step of an LSTM of 512 units, batch 1: 575 ns at 900 MHz. */
#define LSTM_UNITS 512u
#define LSTM_CYCLES 517u
/* M7: all weights from memory to installed in under 40 cycles. */
#define INSTALL_CYCLES 39u

struct bench {
    const struct takt_bench_options *options;
    struct machine machine;
};

static double seconds(const struct bench *bench)
{
    return bench->options->clock ? bench->options->clock() : 0.0;
}

static enum takt_status write_file(const struct bench *bench, const struct program *program,
                                   const struct takt_bench_row *row, struct takt_error *error)
{
    struct base_text path = {0};
    base_text_format(&path, "%s/%s", bench->options->folder, row->name);
    if (row->n > 0) {
        base_text_format(&path, "-%u", row->n);
    }
    base_text_format(&path, ".takt");
    const enum takt_status status = program_write(program, NULL, path.data, error);
    base_text_free(&path);
    return status;
}

/* Executes a program from the memory that `chip` holds; it must take the cycles it was made for. */
static enum takt_status execute(const struct bench *bench, struct chip *chip,
                                const struct program *program, struct takt_bench_row *row,
                                struct takt_error *error)
{
    struct chip_text *text = NULL;
    enum takt_status status = program_check(program, error);
    if (status == TAKT_OK && bench->options->folder) {
        status = write_file(bench, program, row, error);
    }
    if (status == TAKT_OK) {
        row->text_bytes = program_text_bytes(program);
        status = chip_text_create(&text, program, error);
    }
    if (status == TAKT_OK) {
        chip_load_text(chip, text);
        const double begin = seconds(bench);
        uint64_t cycles;
        status = chip_run(chip, text, &cycles, error);
        row->machine_seconds = seconds(bench) - begin;
        if (status == TAKT_OK && cycles != program->cycles) {
            status = base_fail(error, TAKT_FAULT, "%s took %llu cycles, not %llu", row->name,
                               (unsigned long long)cycles, (unsigned long long)program->cycles);
        }
    }
    chip_text_destroy(text);
    return status;
}

static enum takt_status give(const struct bench *bench, const struct takt_bench_row *row,
                             struct takt_error *error)
{
    if (bench->options->on_row && !bench->options->on_row(bench->options->user, row)) {
        return base_fail(error, TAKT_INTERRUPTED, "interrupted");
    }
    return TAKT_OK;
}

/* ---- the rows -------------------------------------------------------------------------------- */

static enum takt_status bench_install(const struct bench *bench, struct takt_error *error)
{
    struct takt_bench_row row = {.name = "install",
                                 .what = "all weights of all planes, memory to installed",
                                 .bound_cycles = bench->machine.superlanes,
                                 .limit_cycles = INSTALL_CYCLES};
    struct compile_standalone *fill = NULL;
    struct chip *chip = NULL;
    uint32_t installed = 0;
    enum takt_status status = compile_fill(&fill, &bench->machine, &installed, error);
    if (status == TAKT_OK) {
        status = chip_create_check_only(&chip, &bench->machine, error);
    }
    if (status == TAKT_OK) {
        status = execute(bench, chip, &fill->program, &row, error);
    }
    row.cycles = installed;
    if (status == TAKT_OK) {
        status = give(bench, &row, error);
    }
    chip_destroy(chip);
    compile_standalone_destroy(fill);
    return status;
}

static enum takt_status bench_lstm(const struct bench *bench, struct takt_error *error)
{
    struct takt_bench_row row = {.name = "lstm-512",
                                 .what = "one step of an LSTM of 512 units, batch 1, fp16 weights",
                                 .limit_cycles = LSTM_CYCLES,
                                 .values = true};
    const uint64_t bytes = (uint64_t)2 * LSTM_UNITS * 4 * LSTM_UNITS * 2;
    const uint64_t bytes_a_cycle =
        (uint64_t)2 * MACHINE_PLANES * MACHINE_WEIGHT_ROWS * machine_lanes(&bench->machine);
    row.bound_cycles = (bytes + bytes_a_cycle - 1) / bytes_a_cycle;
    struct compile_standalone *lstm = NULL;
    struct chip *chip = NULL;
    struct bench_lstm operands = {{0}, {0}, {0}, {0}, {0}};
    enum takt_status status = compile_lstm(&lstm, &bench->machine, LSTM_UNITS, error);
    if (status == TAKT_OK) {
        status = chip_create(&chip, &bench->machine, error);
    }
    if (status == TAKT_OK) {
        row.cycles = lstm->program.cycles;
        status = bench_lstm_fill(chip, &lstm->program, &operands, error);
    }
    if (status == TAKT_OK) {
        status = execute(bench, chip, &lstm->program, &row, error);
    }
    if (status == TAKT_OK) {
        status = bench_lstm_check(chip, &lstm->program, &operands, error);
    }
    if (status == TAKT_OK) {
        status = give(bench, &row, error);
    }
    bench_tensor_free(&operands.w);
    bench_tensor_free(&operands.bias);
    bench_tensor_free(&operands.x);
    bench_tensor_free(&operands.h);
    bench_tensor_free(&operands.c);
    chip_destroy(chip);
    compile_standalone_destroy(lstm);
    return status;
}

static enum takt_status bench_gemm(const struct bench *bench, uint32_t n, bool values,
                                   struct takt_error *error)
{
    struct takt_bench_row row = {.name = "gemm-fp16",
                                 .what = "[2304 x 4096] x [4096 x N], fp16, sums binary32",
                                 .n = n,
                                 .values = values};
    struct compile_standalone *gemm = NULL;
    struct chip *chip = NULL;
    struct bench_gemm operands = {0};
    enum takt_status status = compile_gemm(&gemm, &bench->machine, GEMM_M, GEMM_K, n, error);
    if (status == TAKT_OK) {
        row.cycles = gemm->program.cycles;
        row.bound_cycles = compile_gemm_bound(&bench->machine, GEMM_M, GEMM_K, n);
        row.limit_cycles = row.bound_cycles * 10 / 8; /* the bound is rounded up: a cycle at most */
        status = values ? chip_create(&chip, &bench->machine, error)
                        : chip_create_check_only(&chip, &bench->machine, error);
    }
    if (status == TAKT_OK && values) {
        status = bench_gemm_fill(chip, &gemm->program, &operands, error);
    }
    if (status == TAKT_OK) {
        status = execute(bench, chip, &gemm->program, &row, error);
    }
    if (status == TAKT_OK && values) {
        status = bench_gemm_check(chip, &gemm->program, &operands, error);
    }
    if (status == TAKT_OK) {
        status = give(bench, &row, error);
    }
    bench_gemm_free(&operands);
    chip_destroy(chip);
    compile_standalone_destroy(gemm);
    return status;
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* The first, the middle and the last. */
static bool has_values(uint32_t index, uint32_t count)
{
    for (uint32_t i = 0; i < GEMM_VALUES; i++) {
        if (index == i * (count - 1) / (GEMM_VALUES - 1)) {
            return true;
        }
    }
    return false;
}

enum takt_status takt_bench_chip(const struct takt_bench_options *options, struct takt_error *error)
{
    struct bench bench = {.options = options};
    enum takt_status status = TAKT_OK;
    machine_tsp1(&bench.machine);
    if (options->machine_path) {
        status = machine_read(&bench.machine, options->machine_path, error);
    }
    if (status == TAKT_OK) {
        status = bench_install(&bench, error);
    }
    if (status == TAKT_OK) {
        status = bench_lstm(&bench, error);
    }
    const uint32_t count = (GEMM_LAST - GEMM_FIRST) / GEMM_STEP + 1;
    for (uint32_t i = 0; status == TAKT_OK && i < count; i++) {
        const bool values = options->all && has_values(i, count);
        status = bench_gemm(&bench, GEMM_FIRST + i * GEMM_STEP, values, error);
    }
    return status;
}
