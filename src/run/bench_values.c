/*
 * Operands for the benchmark programs, and what must come of them, from plain loops.
 *
 * Operands of products are fp16 of magnitude 2^-6 to 4, multiples of 2^-16; so a product is a
 * multiple of 2^-32 below 2^4, a sum of 4096 of them one below 2^16: 48 bits, which binary64 adds
 * exactly in any order. The machine, whose sums are exact over the whole range of fp16, is tested
 * over all of it by tests/test_f16.c and tests/test_standalone.c.
 */
#include "run/bench.h"

#include "num/num.h"

#include <stdlib.h>
#include <string.h>

#define SUM_TERMS_MAX 4096u

/* ---- tensors --------------------------------------------------------------------------------- */

void bench_tensor_free(struct bench_tensor *tensor)
{
    free(tensor->elements);
    tensor->elements = NULL;
}

static enum takt_status tensor_create(struct bench_tensor *tensor, const struct program *program,
                                      const char *name, struct takt_error *error)
{
    tensor->binding = program_binding(program, name);
    BASE_ASSERT(tensor->binding != NULL);
    const size_t count = (size_t)tensor->binding->items * tensor->binding->elements;
    tensor->elements = calloc(count, sizeof *tensor->elements);
    return tensor->elements != NULL
               ? TAKT_OK
               : base_fail(error, TAKT_MEMORY, "no memory for %zu elements of %s", count, name);
}

static void write_item(struct chip *chip, const struct program *program,
                       const struct program_binding *b, uint32_t item, const uint32_t *elements)
{
    const uint32_t lanes = machine_lanes(&program->machine);
    uint8_t planes[4][MACHINE_LANES_MAX];
    for (uint32_t row = 0; row < b->rows; row++) {
        for (uint32_t lane = 0; lane < lanes; lane++) {
            const int32_t source = b->source[(size_t)row * lanes + lane];
            const uint32_t bits = source >= 0 ? elements[source] : 0;
            for (uint32_t i = 0; i < b->element_bytes; i++) {
                planes[i][lane] = (uint8_t)(bits >> (8 * i));
            }
        }
        const size_t place = ((size_t)item * b->rows + row) * b->element_bytes;
        for (uint32_t i = 0; i < b->element_bytes; i++) {
            chip_write_word(chip, b->places[place + i], planes[i]);
        }
    }
}

static void write_tensor(struct chip *chip, const struct program *program,
                         const struct bench_tensor *tensor)
{
    const struct program_binding *b = tensor->binding;
    for (uint32_t item = 0; item < b->items; item++) {
        write_item(chip, program, b, item, tensor->elements + (size_t)item * b->elements);
    }
}

/* Compares an item that the chip holds, every copy of every element. */
static enum takt_status check_item(const struct chip *chip, const struct program *program,
                                   const char *name, uint32_t item, const uint32_t *expected,
                                   struct takt_error *error)
{
    const struct program_binding *b = program_binding(program, name);
    const uint32_t lanes = machine_lanes(&program->machine);
    uint8_t planes[4][MACHINE_LANES_MAX] = {{0}};
    BASE_ASSERT(b != NULL);
    for (uint32_t row = 0; row < b->rows; row++) {
        const size_t place = ((size_t)item * b->rows + row) * b->element_bytes;
        for (uint32_t i = 0; i < b->element_bytes; i++) {
            chip_read_word(chip, b->places[place + i], planes[i]);
        }
        for (uint32_t lane = 0; lane < lanes; lane++) {
            const int32_t source = b->source[(size_t)row * lanes + lane];
            const uint32_t bits = (uint32_t)planes[0][lane] | (uint32_t)planes[1][lane] << 8 |
                                  (uint32_t)planes[2][lane] << 16 | (uint32_t)planes[3][lane] << 24;
            if (source >= 0 && bits != expected[source]) {
                return base_fail(error, TAKT_FAULT,
                                 "%s, item %u, element %d is 0x%x, exact is 0x%x", name, item,
                                 source, bits, expected[source]);
            }
        }
    }
    return TAKT_OK;
}

static void draw_halves(uint32_t *elements, size_t count, uint64_t seed, uint32_t low,
                        uint32_t high)
{
    for (size_t i = 0; i < count; i++) {
        const uint64_t bits = base_random_u64(seed, 0, i);
        elements[i] = (uint32_t)(low + bits % (high - low)) | (uint32_t)(bits >> 63 << 15);
    }
}

#define HALF_MIN 0x2400u /* 2^-6 */
#define HALF_END 0x4400u /* 4 */

static float *widen(const uint32_t *elements, size_t count)
{
    float *values = malloc(count * sizeof *values);
    for (size_t i = 0; values != NULL && i < count; i++) {
        values[i] = num_f16_to_f32((uint16_t)elements[i]);
    }
    return values;
}

/* ---- GEMM ------------------------------------------------------------------------------------ */

/* Columns of C that the program computes by columns: the first. */
static uint32_t by_columns(const struct program *program)
{
    const struct program_binding *wide = program_binding(program, "x.rows");
    return wide != NULL ? wide->elements : 0;
}

static void find_sizes(const struct program *program, struct bench_gemm *gemm)
{
    const struct program_binding *a = program_binding(program, "a");
    const struct program_binding *a_rows = program_binding(program, "a.rows");
    const struct program_binding *x = program_binding(program, "x");
    BASE_ASSERT(a != NULL || a_rows != NULL);
    gemm->m = a != NULL ? a->elements : a_rows->items;
    gemm->k = a != NULL ? a->items : a_rows->elements;
    gemm->n = by_columns(program) + (x != NULL ? x->items : 0);
}

/* Items of a binding are rows or columns of a matrix: element e of item i is at
 * i * item_stride + e * element_stride. */
static void write_matrix(struct chip *chip, const struct program *program, const char *name,
                         const uint32_t *matrix, size_t item_stride, size_t element_stride,
                         uint32_t *item)
{
    const struct program_binding *b = program_binding(program, name);
    for (uint32_t i = 0; b != NULL && i < b->items; i++) {
        for (uint32_t e = 0; e < b->elements; e++) {
            item[e] = matrix[i * item_stride + e * element_stride];
        }
        write_item(chip, program, b, i, item);
    }
}

enum takt_status bench_gemm_fill(struct chip *chip, const struct program *program,
                                 struct bench_gemm *gemm, struct takt_error *error)
{
    find_sizes(program, gemm);
    const size_t m = gemm->m, k = gemm->k, n = gemm->n, wide = by_columns(program);
    uint32_t *item = calloc(BASE_MAX(BASE_MAX(m, k), n), sizeof *item);
    gemm->a = calloc(m * k, sizeof *gemm->a);
    gemm->x = calloc(n * k, sizeof *gemm->x);
    if (!item || !gemm->a || !gemm->x) {
        free(item);
        return base_fail(error, TAKT_MEMORY, "no memory for the operands");
    }
    draw_halves(gemm->a, m * k, 1, HALF_MIN, HALF_END);
    draw_halves(gemm->x, n * k, 2, HALF_MIN, HALF_END);
    write_matrix(chip, program, "a", gemm->a, m, 1, item);
    write_matrix(chip, program, "a.rows", gemm->a, 1, m, item);
    write_matrix(chip, program, "x.rows", gemm->x, 1, k, item);
    write_matrix(chip, program, "x", gemm->x + wide * k, k, 1, item);
    free(item);
    return TAKT_OK;
}

void bench_gemm_free(struct bench_gemm *gemm)
{
    free(gemm->a);
    free(gemm->x);
    gemm->a = gemm->x = NULL;
}

enum { TILE_N = 4, TILE_M = 8 };

/* sums[n][m] over all k, of TILE_N columns of x and TILE_M rows of a. */
static void multiply_tile(const float *restrict a, size_t a_stride, const float *restrict x,
                          size_t x_stride, uint32_t k_count, double sums[TILE_N][TILE_M])
{
    double tile[TILE_N][TILE_M] = {{0}};
    for (uint32_t k = 0; k < k_count; k++) {
        for (uint32_t n = 0; n < TILE_N; n++) {
            const double factor = (double)x[n * x_stride + k];
            for (uint32_t m = 0; m < TILE_M; m++) {
                tile[n][m] += factor * (double)a[k * a_stride + m];
            }
        }
    }
    memcpy(sums, tile, sizeof tile);
}

/* Rows m .. m + TILE_M - 1 of every column of C, into c[n][TILE_M]. */
static void multiply_rows(const float *a, const float *x, uint32_t m, uint32_t m_count,
                          uint32_t k_count, uint32_t n_count, float *packed, double *c)
{
    for (uint32_t k = 0; k < k_count; k++) {
        for (uint32_t i = 0; i < TILE_M; i++) {
            packed[(size_t)k * TILE_M + i] =
                m + i < m_count ? a[(size_t)k * m_count + m + i] : 0.0f;
        }
    }
    for (uint32_t n = 0; n < n_count; n += TILE_N) {
        double sums[TILE_N][TILE_M];
        const uint32_t first = BASE_MIN(n, n_count - TILE_N); /* the last tile overlaps */
        multiply_tile(packed, TILE_M, x + (size_t)first * k_count, k_count, k_count, sums);
        memcpy(c + (size_t)first * TILE_M, sums, sizeof sums);
    }
}

/* c[n][m], as bits; false without memory. */
static bool multiply_all(const struct bench_gemm *gemm, uint32_t *c)
{
    const uint32_t m_count = gemm->m, k_count = gemm->k, n_count = gemm->n;
    float *a = widen(gemm->a, (size_t)m_count * k_count);
    float *x = widen(gemm->x, (size_t)n_count * k_count);
    float *packed = malloc((size_t)k_count * TILE_M * sizeof *packed);
    double *sums = malloc((size_t)n_count * TILE_M * sizeof *sums);
    const bool memory = a && x && packed && sums;
    for (uint32_t m = 0; memory && m < m_count; m += TILE_M) {
        multiply_rows(a, x, m, m_count, k_count, n_count, packed, sums);
        for (uint32_t n = 0; n < n_count; n++) {
            for (uint32_t i = 0; i < TILE_M && m + i < m_count; i++) {
                c[(size_t)n * m_count + m + i] = num_bits((float)sums[(size_t)n * TILE_M + i]);
            }
        }
    }
    free(a);
    free(x);
    free(packed);
    free(sums);
    return memory;
}

enum takt_status bench_gemm_check(const struct chip *chip, const struct program *program,
                                  const struct bench_gemm *gemm, struct takt_error *error)
{
    const size_t m_count = gemm->m, n_count = gemm->n, wide = by_columns(program);
    BASE_ASSERT(gemm->k <= SUM_TERMS_MAX && n_count >= TILE_N);
    uint32_t *c = malloc(n_count * m_count * sizeof *c);
    uint32_t *row = malloc(n_count * sizeof *row);
    enum takt_status status = TAKT_OK;
    if (!c || !row || !multiply_all(gemm, c)) {
        status = base_fail(error, TAKT_MEMORY, "no memory for the exact product");
    }
    for (size_t n = wide; status == TAKT_OK && n < n_count; n++) {
        status = check_item(chip, program, "c", (uint32_t)(n - wide), c + n * m_count, error);
    }
    for (size_t m = 0; status == TAKT_OK && wide > 0 && m < m_count; m++) {
        for (size_t n = 0; n < wide; n++) {
            row[n] = c[n * m_count + m];
        }
        status = check_item(chip, program, "c.rows", (uint32_t)m, row, error);
    }
    free(c);
    free(row);
    return status;
}

/* ---- LSTM ------------------------------------------------------------------------------------ */

/* Numbers of binary32 between -2 and 2. */
static void draw_floats(struct bench_tensor *tensor, uint64_t seed)
{
    for (size_t i = 0; i < tensor->binding->elements; i++) {
        const uint32_t step = (uint32_t)(base_random_u64(seed, 0, i) % 4097u);
        tensor->elements[i] = num_bits((float)step / 1024.0f - 2.0f);
    }
}

enum takt_status bench_lstm_fill(struct chip *chip, const struct program *program,
                                 struct bench_lstm *lstm, struct takt_error *error)
{
    static const char *const names[] = {"w", "bias", "x", "h", "c"};
    struct bench_tensor *tensors[] = {&lstm->w, &lstm->bias, &lstm->x, &lstm->h, &lstm->c};
    for (size_t i = 0; i < BASE_COUNT(names); i++) {
        const enum takt_status status = tensor_create(tensors[i], program, names[i], error);
        if (status != TAKT_OK) {
            return status;
        }
    }
    const size_t hidden = lstm->x.binding->elements;
    draw_halves(lstm->w.elements, 8 * hidden * hidden, 3, 0x2400u, 0x2C00u); /* 2^-6 .. 2^-4 */
    draw_floats(&lstm->bias, 4);
    draw_halves(lstm->x.elements, hidden, 5, HALF_MIN, HALF_END);
    draw_halves(lstm->h.elements, hidden, 6, HALF_MIN, 0x3C00u);
    draw_floats(&lstm->c, 7);
    for (size_t i = 0; i < BASE_COUNT(names); i++) {
        write_tensor(chip, program, tensors[i]);
    }
    return TAKT_OK;
}

/* The sum of row r of the gates, exact in binary64, rounded once. */
static float gate_sum(const struct bench_lstm *lstm, uint32_t r)
{
    const uint32_t hidden = lstm->x.binding->elements, rows = 4 * hidden;
    double sum = 0;
    for (uint32_t j = 0; j < 2 * hidden; j++) {
        const uint32_t input = j < hidden ? lstm->x.elements[j] : lstm->h.elements[j - hidden];
        sum += (double)num_f16_to_f32((uint16_t)lstm->w.elements[(size_t)j * rows + r]) *
               (double)num_f16_to_f32((uint16_t)input);
    }
    return (float)sum;
}

static float sigmoid(const struct bench_lstm *lstm, uint32_t r)
{
    const float negated_bias = num_float(lstm->bias.elements[r]);
    return 1.0f / (num_exp(negated_bias - gate_sum(lstm, r)) + 1.0f);
}

enum takt_status bench_lstm_check(const struct chip *chip, const struct program *program,
                                  const struct bench_lstm *lstm, struct takt_error *error)
{
    const uint32_t hidden = lstm->x.binding->elements;
    BASE_ASSERT(2 * hidden <= SUM_TERMS_MAX);
    uint32_t *h = malloc(hidden * sizeof *h), *c = malloc(hidden * sizeof *c);
    enum takt_status status = TAKT_OK;
    if (!h || !c) {
        status = base_fail(error, TAKT_MEMORY, "no memory for an LSTM's state");
    }
    for (uint32_t u = 0; status == TAKT_OK && u < hidden; u++) {
        const uint32_t g_row = hidden + u;
        const float i = sigmoid(lstm, u), f = sigmoid(lstm, 2 * hidden + u);
        const float o = sigmoid(lstm, 3 * hidden + u);
        const float g = num_tanh(gate_sum(lstm, g_row) + num_float(lstm->bias.elements[g_row]));
        const float kept = f * num_float(lstm->c.elements[u]), added = g * i;
        const float state = kept + added;
        c[u] = num_bits(state);
        h[u] = num_f32_to_f16(o * num_tanh(state));
    }
    if (status == TAKT_OK) {
        status = check_item(chip, program, "h.new", 0, h, error);
    }
    if (status == TAKT_OK) {
        status = check_item(chip, program, "c.new", 0, c, error);
    }
    free(h);
    free(c);
    return status;
}
