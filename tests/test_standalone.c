/*
 * GEMM and LSTM laid out by hand: values against exact sums, bit for bit, and cycles.
 */
#include "tests.h"

#include "chip/chip.h"
#include "compile/standalone.h"
#include "exact_f16.h"
#include "num/num.h"
#include "run/bench.h"
#include "standalone_bench.h"
#include "takt.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* Items of a binding, where it is there, from and to a matrix: element e of item i is at
 * i * item_stride + e * element_stride. */
static void put_matrix(struct bench *bench, const char *name, const uint32_t *matrix,
                       size_t item_stride, size_t element_stride)
{
    const struct program_binding *b = program_binding(&bench->program->program, name);
    uint32_t *item = calloc(b ? b->elements : 1, sizeof *item);
    assert_non_null(item);
    for (uint32_t i = 0; b && i < b->items; i++) {
        for (uint32_t e = 0; e < b->elements; e++)
            item[e] = matrix[i * item_stride + e * element_stride];
        put(bench, name, i, item);
    }
    free(item);
}

static void get_matrix(struct bench *bench, const char *name, uint32_t *matrix, size_t item_stride,
                       size_t element_stride)
{
    const struct program_binding *b = program_binding(&bench->program->program, name);
    uint32_t *item = calloc(b ? b->elements : 1, sizeof *item);
    assert_non_null(item);
    for (uint32_t i = 0; b && i < b->items; i++) {
        get(bench, name, i, item);
        for (uint32_t e = 0; e < b->elements; e++)
            matrix[i * item_stride + e * element_stride] = item[e];
    }
    free(item);
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
    machine.superlanes = s->superlanes;
    if (s->superlanes < 20)
        machine.icu_buffer_blocks = 0; /* so short blocks come too late */
    if (compile_gemm(&program, &machine, s->m, s->k, s->n, &error) != TAKT_OK)
        fail_msg("%s", error.message);
    bench_open(&bench, program);
    uint32_t *a = random_halves((size_t)s->m * s->k, 1, s->low, s->high); /* columns of m */
    uint32_t *x = random_halves((size_t)s->n * s->k, 2, s->low, s->high); /* columns of k */
    uint32_t *c = calloc((size_t)s->m * s->n, sizeof *c);
    assert_non_null(c);
    const struct program_binding *wide = program_binding(&program->program, "x.rows");
    const uint32_t by_columns = wide ? wide->elements : 0;
    put_matrix(&bench, "a", a, s->m, 1);
    put_matrix(&bench, "a.rows", a, 1, s->m);
    put_matrix(&bench, "x", x + (size_t)by_columns * s->k, s->k, 1);
    put_matrix(&bench, "x.rows", x, 1, s->k);
    bench_run(&bench);
    get_matrix(&bench, "c", c + (size_t)by_columns * s->m, s->m, 1);
    get_matrix(&bench, "c.rows", c, 1, s->m);
    for (uint32_t n = 0; n < s->n; n++) {
        for (uint32_t m = 0; m < s->m; m++) {
            struct exact_sum sum = {0};
            const uint32_t got = c[(size_t)n * s->m + m];
            for (uint32_t k = 0; k < s->k; k++)
                exact_add_product(&sum, (uint16_t)a[(size_t)k * s->m + m],
                                  (uint16_t)x[(size_t)n * s->k + k]);
            if (got != exact_round(&sum))
                fail_msg("%u x %u x %u: c[%u][%u] = %08x, expected %08x", s->m, s->k, s->n, m, n,
                         got, exact_round(&sum));
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
        {2, 70, 50, 160, 0, 0x7C00},        /* all of it by columns */
        {20, 100, 170, 330, 0, 0x7C00},     /* one tile by columns, ten columns by rows */
        {3, 48, 96, 1, 0, 0x7C00},          /* nothing for the east */
    };
    for (uint32_t i = 0; i < BASE_COUNT(shapes); i++)
        check_gemm(&shapes[i]);
}

/* The worst of the sizes that takt bench chip runs. */
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
    assert_int_equal(compile_gemm(&program, &machine, 2304, 4096, 1856, &error), TAKT_OK);
    assert_int_equal(chip_create_check_only(&chip, &machine, &error), TAKT_OK);
    assert_int_equal(chip_text_create(&text, &program->program, &error), TAKT_OK);
    if (chip_run(chip, text, &cycles, &error) != TAKT_OK)
        fail_msg("%s", error.message);
    assert_int_equal(cycles, program->program.cycles);
    assert_true(100 * compile_gemm_bound(&machine, 2304, 4096, 1856) > 94 * cycles);
    chip_text_destroy(text);
    chip_destroy(chip);
    compile_standalone_destroy(program);
}

/* Enough text that every kind of queue must fetch some; what was fetched is what is executed. */
static void gemm_fetches_its_text(void **state)
{
    (void)state;
    struct machine machine;
    struct compile_standalone *program;
    struct bench bench;
    struct bench_gemm gemm = {0};
    struct takt_error error;
    uint64_t cycles;
    machine_tsp1(&machine);
    machine.superlanes = 10;
    assert_int_equal(compile_gemm(&program, &machine, 320, 640, 3000, &error), TAKT_OK);
    bench_open(&bench, program);
    uint32_t blocks = 0, fetching = 0;
    for (uint32_t q = 0; q < program->program.queue_count; q++) {
        blocks += program->program.text_blocks[q];
        fetching += program->program.text_blocks[q] > 0;
    }
    assert_true(fetching > 40 && blocks > 150);
    /* The senders' own text too. */
    for (uint32_t hemisphere = 0; hemisphere < 2; hemisphere++)
        assert_true(program->program.text_blocks[machine_queue_mem(&machine, hemisphere,
                                                                   machine.mem_slices - 17)] > 0);
    assert_int_equal(bench_gemm_fill(bench.chip, &program->program, &gemm, &error), TAKT_OK);
    bench_run(&bench);
    if (bench_gemm_check(bench.chip, &program->program, &gemm, &error) != TAKT_OK)
        fail_msg("%s", error.message);
    /* A block that is not there any more. */
    const uint8_t zeros[MACHINE_LANES_MAX] = {0};
    const uint32_t queue = machine_queue_mxm(&machine, MACHINE_EAST, 0, ISA_UNIT_MXM_ACTIVATIONS);
    assert_true(program->program.text_blocks[queue] > 0);
    chip_write_word(bench.chip, program->program.text_places[queue][0], zeros);
    assert_int_equal(chip_run(bench.chip, bench.text, &cycles, &error), TAKT_FAULT);
    bench_gemm_free(&gemm);
    bench_close(&bench);
}

static void gemm_refuses_what_does_not_fit(void **state)
{
    (void)state;
    struct machine machine;
    struct compile_standalone *program;
    struct takt_error error;
    machine_tsp1(&machine);
    static const uint32_t sizes[][3] = {{0, 1, 1},     {1, 0, 1},         {1, 1, 0},
                                        {1, 32801, 1}, {65535, 32800, 2}, {5000, 5000, 20000}};
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
    const uint64_t cycles = check_lstm(&machine, 512, 3);
    assert_true(cycles <= 517);
}

/* Gates that follow each other too fast are held apart. */
static void small_lstms_are_exact(void **state)
{
    (void)state;
    struct machine machine;
    machine_tsp1(&machine);
    (void)check_lstm(&machine, 2, 3);
    (void)check_lstm(&machine, 320, 2);
    (void)check_lstm(&machine, 600, 1);
    machine.superlanes = 2;
    machine.icu_buffer_blocks = 0;
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
    char folder[] = "/tmp/takt-bench-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    const struct takt_bench_options options = {
        .on_row = first_rows, .user = &seen, .folder = folder};
    assert_int_equal(takt_bench_chip(&options, &error), TAKT_INTERRUPTED);
    assert_int_equal(seen.rows, 4);
    assert_true(seen.held && seen.values);
    static const char *const names[] = {"install", "lstm-512", "gemm-fp16-1376", "gemm-fp16-1408"};
    for (size_t i = 0; i < BASE_COUNT(names); i++) {
        struct base_arena arena;
        struct program program;
        struct program_image image;
        snprintf(path, sizeof path, "%s/%s.takt", folder, names[i]);
        assert_int_equal(base_arena_create(&arena, (size_t)64 << 20, NULL), TAKT_OK);
        assert_int_equal(program_read(path, &arena, &program, &image, &error), TAKT_OK);
        base_arena_destroy(&arena);
        unlink(path);
    }
    assert_int_equal(rmdir(folder), 0);
}

/* Its references agree with the machine, and notice one wrong bit. */
static void bench_notices_a_wrong_bit(void **state)
{
    (void)state;
    struct machine machine;
    struct compile_standalone *program;
    struct bench bench;
    struct bench_gemm gemm = {0};
    struct bench_lstm lstm = {{0}, {0}, {0}, {0}, {0}};
    struct takt_error error;
    uint8_t word[MACHINE_LANES_MAX];
    machine_tsp1(&machine);
    machine.icu_buffer_blocks = 0; /* blocks of so few lanes are too short to be fetched */
    machine.superlanes = 3;
    assert_int_equal(compile_gemm(&program, &machine, 100, 70, 37, &error), TAKT_OK);
    bench_open(&bench, program);
    assert_int_equal(bench_gemm_fill(bench.chip, &program->program, &gemm, &error), TAKT_OK);
    bench_run(&bench);
    if (bench_gemm_check(bench.chip, &program->program, &gemm, &error) != TAKT_OK)
        fail_msg("%s", error.message);
    const struct program_place last = program_binding(&program->program, "c")->places[36 * 12];
    chip_read_word(bench.chip, last, word);
    word[0] ^= 1;
    chip_write_word(bench.chip, last, word);
    assert_int_equal(bench_gemm_check(bench.chip, &program->program, &gemm, &error), TAKT_FAULT);
    bench_gemm_free(&gemm);
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

TEST_GROUP(standalone, cmocka_unit_test(gemm_is_exact),
           cmocka_unit_test(gemm_keeps_the_multipliers_busy),
           cmocka_unit_test(gemm_fetches_its_text),
           cmocka_unit_test(gemm_refuses_what_does_not_fit),
           cmocka_unit_test(lstm_512_is_exact_and_in_time), cmocka_unit_test(small_lstms_are_exact),
           cmocka_unit_test(bench_gives_rows_until_told_to_stop),
           cmocka_unit_test(bench_notices_a_wrong_bit));
