/*
 * GEMM and LSTM laid out by hand: values against exact sums, bit for bit, and cycles.
 */
#include "tests.h"

#include "chip/chip.h"
#include "compile/standalone.h"
#include "exact_f16.h"
#include "mutate.h"
#include "num/num.h"
#include "run/bench.h"
#include "takt.h"

#include <stdlib.h>
#include <string.h>

/* ---- a machine with a program ---------------------------------------------------------------- */

struct bench {
    struct compile_standalone *program;
    struct chip *chip;
    struct chip_text *text;
    uint32_t lanes;
};

static void bench_open(struct bench *bench, struct compile_standalone *program)
{
    struct takt_error error;
    bench->program = program;
    bench->lanes = machine_lanes(&program->program.machine);
    if (program_check(&program->program, &error) != TAKT_OK)
        fail_msg("%s", error.message);
    assert_int_equal(chip_create(&bench->chip, &program->program.machine, &error), TAKT_OK);
    assert_int_equal(chip_text_create(&bench->text, &program->program, &error), TAKT_OK);
}

static void bench_close(struct bench *bench)
{
    chip_text_destroy(bench->text);
    chip_destroy(bench->chip);
    compile_standalone_destroy(bench->program);
}

static void bench_run(struct bench *bench)
{
    struct takt_error error;
    uint64_t cycles;
    if (chip_run(bench->chip, bench->text, &cycles, &error) != TAKT_OK)
        fail_msg("%s", error.message);
    assert_int_equal(cycles, bench->program->program.cycles);
}

/* Item `item` of a binding, as little-endian elements of the binding's width. */
static void put(struct bench *bench, const char *name, uint32_t item, const uint32_t *elements)
{
    const struct program_binding *b = program_binding(&bench->program->program, name);
    uint8_t word[MACHINE_LANES_MAX];
    assert_non_null(b);
    for (uint32_t row = 0; row < b->rows; row++) {
        for (uint32_t byte = 0; byte < b->element_bytes; byte++) {
            for (uint32_t lane = 0; lane < bench->lanes; lane++) {
                const int32_t source = b->source[row * bench->lanes + lane];
                word[lane] = (uint8_t)(source < 0 ? 0 : elements[source] >> (8 * byte));
            }
            chip_write_word(bench->chip,
                            b->places[(item * b->rows + row) * b->element_bytes + byte], word);
        }
    }
}

static void get(struct bench *bench, const char *name, uint32_t item, uint32_t *elements)
{
    const struct program_binding *b = program_binding(&bench->program->program, name);
    uint8_t word[MACHINE_LANES_MAX];
    assert_non_null(b);
    memset(elements, 0, b->elements * sizeof *elements);
    for (uint32_t row = 0; row < b->rows; row++) {
        for (uint32_t byte = 0; byte < b->element_bytes; byte++) {
            chip_read_word(bench->chip, b->places[(item * b->rows + row) * b->element_bytes + byte],
                           word);
            for (uint32_t lane = 0; lane < bench->lanes; lane++) {
                const int32_t source = b->source[row * bench->lanes + lane];
                if (source >= 0 && row < b->rows) /* copies hold the same */
                    elements[source] &= ~(255u << (8 * byte)),
                        elements[source] |= (uint32_t)word[lane] << (8 * byte);
            }
        }
    }
}

static uint32_t *random_halves(size_t count, uint64_t seed, uint32_t low, uint32_t high)
{
    uint32_t *values = malloc(count * sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < count; i++) {
        const uint64_t bits = base_random_u64(seed, 9, i);
        values[i] = (uint32_t)(low + bits % (high - low)) | (uint32_t)(bits >> 63 << 15);
    }
    return values;
}

/* ---- GEMM ------------------------------------------------------------------------------------ */

struct shape {
    uint32_t superlanes, m, k, n;
    uint32_t low, high; /* magnitudes: bit patterns */
};

static void check_gemm(const struct shape *s)
{
    struct machine machine;
    struct compile_standalone *program;
    struct takt_error error;
    struct bench bench;
    machine_tsp1(&machine);
    machine.icu_buffer_blocks = 0; /* as takt bench chip has it */
    machine.superlanes = s->superlanes;
    if (compile_gemm(&program, &machine, s->m, s->k, s->n, &error) != TAKT_OK)
        fail_msg("%s", error.message);
    bench_open(&bench, program);
    uint32_t *a = random_halves((size_t)s->m * s->k, 1, s->low, s->high); /* columns of m */
    uint32_t *x = random_halves((size_t)s->n * s->k, 2, s->low, s->high); /* columns of k */
    uint32_t *c = malloc(s->m * sizeof *c);
    assert_non_null(c);
    for (uint32_t k = 0; k < s->k; k++)
        put(&bench, "a", k, a + (size_t)k * s->m);
    for (uint32_t n = 0; n < s->n; n++)
        put(&bench, "x", n, x + (size_t)n * s->k);
    bench_run(&bench);
    for (uint32_t n = 0; n < s->n; n++) {
        get(&bench, "c", n, c);
        for (uint32_t m = 0; m < s->m; m++) {
            struct exact_sum sum = {0};
            for (uint32_t k = 0; k < s->k; k++)
                exact_add_product(&sum, (uint16_t)a[(size_t)k * s->m + m],
                                  (uint16_t)x[(size_t)n * s->k + k]);
            if (c[m] != exact_round(&sum))
                fail_msg("%u x %u x %u: c[%u][%u] = %08x, expected %08x", s->m, s->k, s->n, m, n,
                         c[m], exact_round(&sum));
        }
    }
    free(a);
    free(x);
    free(c);
    bench_close(&bench);
}

static void gemm_is_exact(void **state)
{
    (void)state;
    static const struct shape shapes[] = {
        {20, 700, 1000, 70, 0, 0x7C00}, /* several tiles, the last of each cut; any finite value */
        {20, 320, 160, 33, 0x2C00, 0x4000}, /* one half tile: sums leave at once */
        {20, 64, 321, 5, 0, 0x1000},        /* few columns: loading bounds; small and subnormal */
        {2, 33, 100, 301, 0x3000, 0x7C01},  /* several blocks; infinities here and there */
        {3, 48, 96, 1, 0, 0x7C00},          /* nothing for the east */
    };
    for (uint32_t i = 0; i < BASE_COUNT(shapes); i++)
        check_gemm(&shapes[i]);
}

/* What the schedule costs beyond its products: filling, and draining. */
static void gemm_keeps_the_multipliers_busy(void **state)
{
    (void)state;
    struct machine machine;
    struct compile_standalone *program;
    struct chip *chip;
    struct chip_text *text;
    struct takt_error error;
    uint64_t cycles;
    machine_tsp1(&machine);
    machine.icu_buffer_blocks = 0; /* as takt bench chip has it */
    assert_int_equal(compile_gemm(&program, &machine, 2304, 4096, 1376, &error), TAKT_OK);
    assert_int_equal(chip_create_check_only(&chip, &machine, &error), TAKT_OK);
    assert_int_equal(chip_text_create(&text, &program->program, &error), TAKT_OK);
    if (chip_run(chip, text, &cycles, &error) != TAKT_OK)
        fail_msg("%s", error.message);
    assert_int_equal(cycles, program->program.cycles);
    assert_true(cycles < 8 * 26 * 1376 / 2 + 200);
    assert_true(10 * compile_gemm_bound(&machine, 2304, 4096, 1376) > 8 * cycles);
    chip_text_destroy(text);
    chip_destroy(chip);
    compile_standalone_destroy(program);
}

static void gemm_refuses_what_does_not_fit(void **state)
{
    (void)state;
    struct machine machine;
    struct compile_standalone *program;
    struct takt_error error;
    machine_tsp1(&machine);
    machine.icu_buffer_blocks = 0; /* as takt bench chip has it */
    static const uint32_t sizes[][3] = {{0, 1, 1},     {1, 0, 1},         {1, 1, 0},
                                        {1, 32801, 1}, {65535, 32800, 2}, {320, 320, 20000}};
    for (uint32_t i = 0; i < BASE_COUNT(sizes); i++) {
        assert_int_equal(
            compile_gemm(&program, &machine, sizes[i][0], sizes[i][1], sizes[i][2], &error),
            TAKT_LIMIT);
        assert_null(program);
    }
}

/* ---- LSTM ------------------------------------------------------------------------------------ */

struct network {
    uint32_t hidden;
    uint32_t *w;    /* [2 hidden][4 hidden] fp16 */
    uint32_t *bias; /* [4 hidden] binary32, of i, f, o negated */
    uint32_t *h;    /* [hidden] fp16 */
    uint32_t *c;    /* [hidden] binary32 */
};

static float sigmoid(float negated_bias, float sum)
{
    return 1.0f / (num_exp(negated_bias - sum) + 1.0f);
}

/* The step in plain loops; x, h in fp16, c in binary32, gates i g f o. */
static void reference_step(struct network *net, const uint32_t *x)
{
    const uint32_t hidden = net->hidden;
    float *sums = malloc(4 * (size_t)hidden * sizeof *sums);
    assert_non_null(sums);
    for (uint32_t r = 0; r < 4 * hidden; r++) {
        struct exact_sum sum = {0};
        for (uint32_t j = 0; j < 2 * hidden; j++)
            exact_add_product(&sum, (uint16_t)net->w[(size_t)j * 4 * hidden + r],
                              (uint16_t)(j < hidden ? x[j] : net->h[j - hidden]));
        sums[r] = num_float(exact_round(&sum));
    }
    for (uint32_t u = 0; u < hidden; u++) {
        float bias[4];
        for (uint32_t gate = 0; gate < 4; gate++)
            bias[gate] = num_float(net->bias[gate * hidden + u]);
        const float i = sigmoid(bias[0], sums[u]);
        const float g = num_tanh(sums[hidden + u] + bias[1]);
        const float f = sigmoid(bias[2], sums[2 * hidden + u]);
        const float o = sigmoid(bias[3], sums[3 * hidden + u]);
        const float kept = f * num_float(net->c[u]), added = g * i;
        const float c = kept + added;
        net->c[u] = num_bits(c);
        net->h[u] = num_f32_to_f16(o * num_tanh(c));
    }
    free(sums);
}

static void network_create(struct network *net, uint32_t hidden)
{
    net->hidden = hidden;
    net->w = random_halves(8 * (size_t)hidden * hidden, 11, 0x1000, 0x2E00); /* up to 0.09 */
    net->bias = calloc(4 * (size_t)hidden, sizeof *net->bias);
    net->h = random_halves(hidden, 12, 0x1000, 0x3A00);
    net->c = calloc(hidden, sizeof *net->c);
    assert_true(net->bias && net->c);
    for (uint32_t i = 0; i < 4 * hidden; i++)
        net->bias[i] = num_bits((float)(base_random_u64(13, 0, i) % 2048u) / 512.0f - 2.0f);
    for (uint32_t i = 0; i < hidden; i++)
        net->c[i] = num_bits((float)(base_random_u64(14, 0, i) % 4096u) / 1024.0f - 2.0f);
}

static void network_free(struct network *net)
{
    free(net->w);
    free(net->bias);
    free(net->h);
    free(net->c);
}

/* Some steps; weights, h and c stay in memory from one to the next. Returns the cycles of one. */
static uint64_t check_lstm(const struct machine *machine, uint32_t hidden, uint32_t steps)
{
    struct compile_standalone *program;
    struct takt_error error;
    struct bench bench;
    struct network net;
    network_create(&net, hidden);
    if (compile_lstm(&program, machine, hidden, &error) != TAKT_OK)
        fail_msg("%s", error.message);
    bench_open(&bench, program);
    for (uint32_t j = 0; j < 2 * hidden; j++)
        put(&bench, "w", j, net.w + (size_t)j * 4 * hidden);
    put(&bench, "bias", 0, net.bias);
    put(&bench, "h", 0, net.h);
    put(&bench, "c", 0, net.c);
    uint32_t *got = malloc(hidden * sizeof *got);
    assert_non_null(got);
    for (uint32_t step = 0; step < steps; step++) {
        uint32_t *x = random_halves(hidden, 20 + step, 0x2000, 0x4200);
        put(&bench, "x", 0, x);
        bench_run(&bench);
        reference_step(&net, x);
        free(x);
        get(&bench, "h.new", 0, got);
        for (uint32_t u = 0; u < hidden; u++)
            if (got[u] != net.h[u])
                fail_msg("step %u: h[%u] = %04x, expected %04x", step, u, got[u], net.h[u]);
        get(&bench, "c.new", 0, got);
        assert_memory_equal(got, net.c, hidden * sizeof *got);
    }
    free(got);
    const uint64_t cycles = program->program.cycles;
    network_free(&net);
    bench_close(&bench);
    return cycles;
}

static void lstm_512_is_exact_and_in_time(void **state)
{
    (void)state;
    struct machine machine;
    machine_tsp1(&machine);
    machine.icu_buffer_blocks = 0; /* as takt bench chip has it */
    const uint64_t cycles = check_lstm(&machine, 512, 3);
    assert_true(cycles <= 517);
}

/* Gates that follow each other too fast are held apart. */
static void small_lstms_are_exact(void **state)
{
    (void)state;
    struct machine machine;
    machine_tsp1(&machine);
    machine.icu_buffer_blocks = 0; /* as takt bench chip has it */
    (void)check_lstm(&machine, 2, 3);
    (void)check_lstm(&machine, 320, 2);
    (void)check_lstm(&machine, 600, 1);
    machine.superlanes = 2;
    (void)check_lstm(&machine, 20, 4);
    (void)check_lstm(&machine, 64, 2);
    machine.mxm_install_cycles = 9;
    machine.vxm_cycles = 5;
    machine.mxm_result_cycles = 20;
    (void)check_lstm(&machine, 46, 2);
    machine.mem_slices = 60;
    (void)check_lstm(&machine, 22, 2);
    struct compile_standalone *program;
    assert_int_equal(compile_lstm(&program, &machine, 66, NULL), TAKT_LIMIT);
    assert_int_equal(compile_lstm(&program, &machine, 7, NULL), TAKT_LIMIT);
    machine.mem_slices = 40;
    assert_int_equal(compile_lstm(&program, &machine, 8, NULL), TAKT_LIMIT);
}

/* ---- takt bench chip ------------------------------------------------------------------------- */

struct seen {
    uint32_t rows;
    bool held, values;
};

static bool first_rows(void *user, const struct takt_bench_row *row)
{
    struct seen *seen = user;
    seen->held = seen->held && row->cycles <= row->limit_cycles && row->bound_cycles < row->cycles;
    seen->values = seen->values || row->values;
    return ++seen->rows < 4;
}

static void bench_gives_rows_until_told_to_stop(void **state)
{
    (void)state;
    struct seen seen = {0, true, false};
    struct takt_error error;
    const struct takt_bench_options options = {.on_row = first_rows, .user = &seen};
    assert_int_equal(takt_bench_chip(&options, &error), TAKT_INTERRUPTED);
    assert_int_equal(seen.rows, 4);
    assert_true(seen.held && seen.values);
}

/* Its references agree with the machine, and notice one wrong bit. */
static void bench_notices_a_wrong_bit(void **state)
{
    (void)state;
    struct machine machine;
    struct compile_standalone *program;
    struct bench bench;
    struct bench_tensor a = {0}, x = {0};
    struct bench_lstm lstm = {{0}, {0}, {0}, {0}, {0}};
    struct takt_error error;
    uint8_t word[MACHINE_LANES_MAX];
    machine_tsp1(&machine);
    machine.icu_buffer_blocks = 0; /* as takt bench chip has it */
    machine.superlanes = 3;
    assert_int_equal(compile_gemm(&program, &machine, 100, 70, 37, &error), TAKT_OK);
    bench_open(&bench, program);
    assert_int_equal(bench_gemm_fill(bench.chip, &program->program, &a, &x, &error), TAKT_OK);
    bench_run(&bench);
    if (bench_gemm_check(bench.chip, &program->program, &a, &x, &error) != TAKT_OK)
        fail_msg("%s", error.message);
    const struct program_place last = program_binding(&program->program, "c")->places[36 * 12];
    chip_read_word(bench.chip, last, word);
    word[0] ^= 1;
    chip_write_word(bench.chip, last, word);
    assert_int_equal(bench_gemm_check(bench.chip, &program->program, &a, &x, &error), TAKT_FAULT);
    bench_tensor_free(&a);
    bench_tensor_free(&x);
    bench_close(&bench);

    assert_int_equal(compile_lstm(&program, &machine, 90, &error), TAKT_OK);
    bench_open(&bench, program);
    assert_int_equal(bench_lstm_fill(bench.chip, &program->program, &lstm, &error), TAKT_OK);
    bench_run(&bench);
    if (bench_lstm_check(bench.chip, &program->program, &lstm, &error) != TAKT_OK)
        fail_msg("%s", error.message);
    lstm.c.elements[89] ^= 1u << 12;
    assert_int_equal(bench_lstm_check(bench.chip, &program->program, &lstm, &error), TAKT_FAULT);
    struct bench_tensor *tensors[] = {&lstm.w, &lstm.bias, &lstm.x, &lstm.h, &lstm.c};
    for (size_t i = 0; i < BASE_COUNT(tensors); i++)
        bench_tensor_free(tensors[i]);
    bench_close(&bench);
}

/* ---- any machine ----------------------------------------------------------------------------- */

/* A program with its operands; which the other one has stay empty. */
struct subject {
    struct bench bench;
    struct bench_tensor a, x;
    struct bench_lstm lstm;
    bool is_gemm;
};

static void subject_fill(struct subject *s)
{
    struct takt_error error;
    const struct program *program = &s->bench.program->program;
    const enum takt_status status =
        s->is_gemm ? bench_gemm_fill(s->bench.chip, program, &s->a, &s->x, &error)
                   : bench_lstm_fill(s->bench.chip, program, &s->lstm, &error);
    assert_int_equal(status, TAKT_OK);
}

static enum takt_status subject_check(struct subject *s)
{
    const struct program *program = &s->bench.program->program;
    return s->is_gemm ? bench_gemm_check(s->bench.chip, program, &s->a, &s->x, NULL)
                      : bench_lstm_check(s->bench.chip, program, &s->lstm, NULL);
}

static void subject_drop(struct subject *s)
{
    struct bench_tensor *tensors[] = {&s->a,      &s->x,      &s->lstm.w, &s->lstm.bias,
                                      &s->lstm.x, &s->lstm.h, &s->lstm.c};
    for (size_t i = 0; i < BASE_COUNT(tensors); i++)
        bench_tensor_free(tensors[i]);
}

/* Refused, or executed without a fault in the cycles it was made for; with exact values if asked.
 */
static bool runs(enum takt_status status, struct compile_standalone **made, bool is_gemm,
                 bool values)
{
    struct subject s = {.is_gemm = is_gemm};
    struct takt_error error;
    if (status != TAKT_OK) {
        assert_int_equal(status, TAKT_LIMIT);
        return false;
    }
    bench_open(&s.bench, *made);
    if (values) {
        subject_fill(&s);
    } else {
        chip_destroy(s.bench.chip);
        assert_int_equal(chip_create_check_only(&s.bench.chip, &(*made)->program.machine, &error),
                         TAKT_OK);
    }
    bench_run(&s.bench);
    if (values)
        assert_int_equal(subject_check(&s), TAKT_OK);
    subject_drop(&s);
    bench_close(&s.bench);
    return true;
}

static void random_machines_are_obeyed(void **state)
{
    (void)state;
    uint32_t ran[3] = {0, 0, 0};
    for (uint64_t seed = 0; seed < 150; seed++) {
        struct machine machine;
        struct compile_standalone *program;
        uint32_t cycles;
        machine_tsp1(&machine);
        for (uint32_t i = 0; i < machine_parameter_count(); i++) {
            const struct machine_parameter *p = machine_parameter(i);
            const uint64_t dice = base_random_u64(seed, 1, i);
            if (dice % 3 == 0)
                machine_parameter_put(&machine, i,
                                      p->minimum +
                                          (uint32_t)(dice / 3 % (p->maximum - p->minimum + 1u)));
        }
        machine.icu_buffer_blocks = 0; /* as takt bench chip has it */
        if (seed % 3 == 0)             /* small enough to run with values */
            machine.superlanes = 1 + (uint32_t)(seed / 3 % 6);
        machine.mem_slices -= machine.mem_slices % 4;
        machine.mem_words -= machine.mem_words % 2;
        if (machine_check(&machine, NULL) != TAKT_OK)
            continue;
        const uint32_t m = 1 + (uint32_t)(base_random_u64(seed, 2, 0) % 900);
        const uint32_t k = 1 + (uint32_t)(base_random_u64(seed, 2, 1) % 900);
        const uint32_t n = 1 + (uint32_t)(base_random_u64(seed, 2, 2) % 200);
        const uint32_t hidden = 2 + 2 * (uint32_t)(base_random_u64(seed, 2, 3) % 300);
        ran[0] += runs(compile_gemm(&program, &machine, m, k, n, NULL), &program, true,
                       n >= 4 && machine.superlanes < 9);
        ran[1] += runs(compile_lstm(&program, &machine, hidden, NULL), &program, false,
                       machine.superlanes < 9);
        ran[2] += runs(compile_fill(&program, &machine, &cycles, NULL), &program, false, false);
    }
    assert_true(ran[0] > 40 && ran[1] > 20 && ran[2] > 40);
}

/* ---- mutations ------------------------------------------------------------------------------- */

/* False: a fault, other cycles, other values, or refused. */
static bool survives(struct subject *s, const struct mutant *mutant)
{
    struct takt_error error;
    struct chip_text *text = NULL;
    uint64_t cycles = 0;
    bool same = program_check(&mutant->program, &error) == TAKT_OK &&
                chip_text_create(&text, &mutant->program, &error) == TAKT_OK;
    if (same) {
        chip_destroy(s->bench.chip);
        assert_int_equal(chip_create(&s->bench.chip, &mutant->program.machine, &error), TAKT_OK);
        subject_fill(s);
        same = chip_run(s->bench.chip, text, &cycles, &error) == TAKT_OK &&
               cycles == s->bench.program->program.cycles && subject_check(s) == TAKT_OK;
        subject_drop(s);
    }
    chip_text_destroy(text);
    return same;
}

/*
 * The changes that may pass: one more Read, of a word that nobody takes; an IW while nothing
 * multiplies; a low bit of a constant, which the rounding to fp16 takes; the latency of a unit that
 * has no work.
 */
static bool is_harmless(const struct machine *machine, const struct mutation *mutation)
{
    static const char *const idle[] = {"sxm_", "c2c_", "icu_", "mem_gather", "vxm_"};
    switch (mutation->kind) {
    case MUTATION_REPEAT_COUNT: return machine_queue(machine, mutation->queue).unit == ISA_UNIT_MEM;
    case MUTATION_EARLIER:
    case MUTATION_LATER: return mutation->instruction.op == ISA_IW;
    case MUTATION_IMMEDIATE: return true;
    case MUTATION_LATENCY:
        for (size_t i = 0; i < BASE_COUNT(idle); i++)
            if (strncmp(mutation->text, idle[i], strlen(idle[i])) == 0)
                return true;
        return false;
    default: return false;
    }
}

static void mutations_are_noticed(void **state)
{
    (void)state;
    enum { MUTANTS = 500 };
    for (uint32_t kind = 0; kind < 2; kind++) {
        struct subject s = {.is_gemm = kind == 0};
        struct machine machine;
        struct mutation_source source;
        struct compile_standalone *program;
        uint32_t survivors = 0;
        machine_tsp1(&machine);
        machine.superlanes = 3;
        machine.mem_words = 128;
        assert_int_equal(s.is_gemm ? compile_gemm(&program, &machine, 90, 130, 40, NULL)
                                   : compile_lstm(&program, &machine, 96, NULL),
                         TAKT_OK);
        bench_open(&s.bench, program);
        mutation_source_create(&source, &program->program);
        for (uint64_t i = 0; i < MUTANTS; i++) {
            struct mutant mutant;
            mutant_create(&mutant, &source, 5, i);
            if (survives(&s, &mutant)) {
                if (!is_harmless(&machine, &mutant.mutation)) {
                    char queue[32], line[96];
                    machine_queue_name(&machine, mutant.mutation.queue, queue);
                    isa_print(&mutant.mutation.instruction, line, sizeof line);
                    fail_msg("%s: %s `%s`: %s goes unnoticed", s.is_gemm ? "gemm" : "lstm", queue,
                             line, mutant.mutation.text);
                }
                survivors++;
            }
            mutant_free(&mutant);
        }
        mutation_source_free(&source);
        bench_close(&s.bench);
        assert_true(survivors < MUTANTS / 10);
    }
}

TEST_GROUP(standalone, cmocka_unit_test(gemm_is_exact),
           cmocka_unit_test(gemm_keeps_the_multipliers_busy),
           cmocka_unit_test(gemm_refuses_what_does_not_fit),
           cmocka_unit_test(lstm_512_is_exact_and_in_time), cmocka_unit_test(small_lstms_are_exact),
           cmocka_unit_test(bench_gives_rows_until_told_to_stop),
           cmocka_unit_test(bench_notices_a_wrong_bit), cmocka_unit_test(mutations_are_noticed),
           cmocka_unit_test(random_machines_are_obeyed));
