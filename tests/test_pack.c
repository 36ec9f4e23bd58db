/*
 * Weights on their way from the file into panels: the kernels of every level against the plain
 * ones, then whole models, packed from the file, against the image that the chip's programs are
 * made of.
 */
#include "tests.h"

#include "base/base.h"
#include "gguf_writer.h"
#include "native/internal.h"
#include "num/num.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void require(enum takt_status status, const struct takt_error *error)
{
    if (status != TAKT_OK)
        fail_msg("%s", error->message);
}

/* ---- kernels --------------------------------------------------------------------------------- */

#define BUFFER_BYTES ((size_t)1 << 19)

/* A buffer that ends where an unreadable page begins. */
static unsigned char *guarded(void)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *base =
        mmap(NULL, BUFFER_BYTES + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(base != MAP_FAILED && mprotect(base + BUFFER_BYTES, page, PROT_NONE) == 0);
    return base;
}

static void release(unsigned char *base)
{
    munmap(base, BUFFER_BYTES + (size_t)sysconf(_SC_PAGESIZE));
}

/* A row of Q8_0: ordinary factors, or any finite ones, or with one that is none. */
enum kind { ORDINARY, ANY, ZERO, NOT_FINITE, KINDS };

static void fill_blocks(unsigned char *data, uint32_t n, enum kind kind)
{
    for (uint32_t b = 0; b < n / 32; b++) {
        const uint64_t random = base_random_u64(n, (uint64_t)kind, b);
        uint32_t half = (uint32_t)random & 0xFFFFu;
        if (kind == ORDINARY || kind == NOT_FINITE)
            half = 0x1000u + half % 0x400u;
        else if (kind == ANY && (half & 0x7C00u) == 0x7C00u)
            half &= 0x83FFu;
        else if (kind == ZERO)
            half = 0;
        if (kind == NOT_FINITE && b == n / 32 - 1)
            half = random & 0x10000u ? 0x7C00u : 0xFE00u;
        data[34 * b] = (unsigned char)half;
        data[34 * b + 1] = (unsigned char)(half >> 8);
        for (uint32_t j = 0; j < 32; j++)
            data[34 * b + 2 + j] = (unsigned char)base_random_u64(n, 9, 32 * b + j);
    }
}

/* What the contract says of the row's values. */
static void expected_channel(const unsigned char *data, uint32_t n, int8_t *out, float *scale)
{
    const struct model_tensor tensor = {"row", MODEL_Q8_0, 1, n, data};
    float *row = malloc(n * sizeof *row);
    assert_non_null(row);
    model_row(&tensor, 0, row);
    num_quantise_channel(row, n, out, scale);
    free(row);
}

static void check_blocks(const struct native_kernels *level, unsigned char *const memory[3])
{
    static const uint32_t sizes[] = {32, 64, 96, 288, 576, 2048, 5632};
    for (size_t i = 0; i < BASE_COUNT(sizes) * KINDS; i++) {
        const uint32_t n = sizes[i / KINDS];
        const enum kind kind = (enum kind)(i % KINDS);
        unsigned char *data = memory[0] + BUFFER_BYTES - n / 32 * 34;
        int8_t *got = (int8_t *)memory[1] + BUFFER_BYTES - n;
        int8_t *expected = (int8_t *)memory[2] + BUFFER_BYTES - n;
        float scale[2];
        fill_blocks(data, n, kind);
        level->blocks(data, n, got, &scale[0]);
        if (kind == NOT_FINITE) {
            assert_int_equal(num_exponent(scale[0]), 255);
            continue;
        }
        expected_channel(data, n, expected, &scale[1]);
        if (memcmp(&scale[0], &scale[1], sizeof scale[0]) != 0 || memcmp(got, expected, n) != 0)
            fail_msg("blocks of level %s: %u weights of kind %d differ", level->name, n, kind);
    }
}

static void check_panel(const struct native_kernels *level, unsigned char *const memory[3])
{
    static const uint32_t sizes[] = {1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 72, 144};
    for (size_t i = 0; i < BASE_COUNT(sizes); i++) {
        const uint32_t quads = sizes[i];
        const size_t stride = native_up(4 * quads, 64), bytes = quads * NATIVE_PANEL_QUAD_BYTES;
        int8_t *channels = (int8_t *)memory[0] + BUFFER_BYTES - NATIVE_PANEL * stride;
        int8_t *got = (int8_t *)memory[1] + BUFFER_BYTES - bytes;
        int8_t *expected = (int8_t *)memory[2] + BUFFER_BYTES - bytes;
        int32_t sums[2][NATIVE_PANEL];
        for (size_t k = 0; k < NATIVE_PANEL * stride; k++)
            channels[k] = (int8_t)((int)(base_random_u64(quads, 1, k) % 255u) - 127);
        level->panel(channels, stride, quads, got, sums[0]);
        native_kernels_scalar.panel(channels, stride, quads, expected, sums[1]);
        if (memcmp(got, expected, bytes) != 0 || memcmp(sums[0], sums[1], sizeof sums[0]) != 0)
            fail_msg("panel of level %s: %u quads differ", level->name, quads);
    }
}

static void kernels(void **state)
{
    (void)state;
    unsigned char *memory[3] = {guarded(), guarded(), guarded()};
    const struct native_kernels *level;
    for (size_t i = 0; (level = native_kernels_at(i)) != NULL; i++)
        if (level->supported()) {
            check_blocks(level, memory);
            check_panel(level, memory);
        }
    for (int i = 0; i < 3; i++)
        release(memory[i]);
}

/* ---- whole models ---------------------------------------------------------------------------- */

/* A random model in a file of its own, and the graph with its image. */
struct made {
    char path[64];
    struct model *model;
    struct base_arena arena;
    struct graph graph;
};

static void make(struct made *made, const struct gguf_random *shape)
{
    struct takt_error error;
    *made = (struct made){.path = "/tmp/takt-pack-XXXXXX"};
    const int descriptor = mkstemp(made->path);
    assert_true(descriptor >= 0);
    close(descriptor);
    assert_true(gguf_write_random(made->path, shape));
    require(model_open(&made->model, made->path, &error), &error);
    require(base_arena_create(&made->arena, graph_arena_bytes(made->model), &error), &error);
}

static void unmake(struct made *made)
{
    base_arena_destroy(&made->arena);
    model_close(made->model);
    unlink(made->path);
}

static const struct gguf_random shapes[] = {
    {.seed = 1,
     .layers = 2,
     .width = 64,
     .heads = 4,
     .kv_heads = 2,
     .ffn = 96,
     .vocab = 300,
     .tied = true,
     .type = MODEL_Q8_0},
    {.seed = 2,
     .layers = 2,
     .width = 36,
     .heads = 6,
     .kv_heads = 3,
     .ffn = 50,
     .vocab = 259,
     .type = MODEL_F32},
    {.seed = 3,
     .layers = 1,
     .width = 96,
     .heads = 3,
     .kv_heads = 1,
     .ffn = 160,
     .vocab = 290,
     .tied = true,
     .type = MODEL_F16,
     .architecture = "qwen2"},
    {.seed = 4,
     .layers = 2,
     .width = 64,
     .heads = 2,
     .kv_heads = 2,
     .ffn = 64,
     .vocab = 280,
     .type = MODEL_Q8_0,
     .architecture = "qwen3"},
    {.seed = 5,
     .layers = 2,
     .width = 64,
     .heads = 4,
     .kv_heads = 2,
     .ffn = 128,
     .vocab = 270,
     .tied = true,
     .type = MODEL_BF16,
     .architecture = "gemma3"},
};

static enum takt_status pack(struct native **native, const struct graph *graph, uint32_t threads,
                             const char *level, struct takt_error *error)
{
    const struct native_options options = {
        .context = 32, .sessions = 1, .batch = 4, .threads = threads, .level = level};
    return native_create(native, graph, &options, error);
}

/* Every weight where the layout has it, and zeros elsewhere. */
static void expect_matrix(const struct native_matrix *got, const struct graph_matrix *image)
{
    for (uint32_t n = 0; n < got->panels * NATIVE_PANEL; n++) {
        const bool there = n < image->outputs;
        int32_t sum = 0;
        for (uint32_t k = 0; k < 4 * got->quads; k++) {
            const int8_t expected =
                there && k < image->inputs ? image->weights[(size_t)n * image->inputs + k] : 0;
            const size_t quad = (size_t)(n / NATIVE_PANEL) * got->quads + k / 4;
            const int8_t weight =
                got->weights[quad * NATIVE_PANEL_QUAD_BYTES + 4 * (n % NATIVE_PANEL) + k % 4];
            if (weight != expected)
                fail_msg("%s: output %u, input %u is %d, not %d", image->name, n, k, weight,
                         expected);
            sum += weight;
        }
        const float scale = there ? image->scales[n] : 0.0f;
        assert_memory_equal(&got->scales[n], &scale, sizeof scale);
        assert_int_equal(got->starts[n], -128 * sum);
        if (there && got->bias != NULL)
            assert_memory_equal(&got->bias[n], &image->bias[n], sizeof(float));
    }
}

static void expect_bounds(const struct graph *got, const struct graph *expected)
{
    for (uint32_t i = 0; i < expected->op_count; i++) {
        const struct graph_op *a = &got->ops[i], *b = &expected->ops[i];
        assert_memory_equal(a->growth, b->growth, sizeof a->growth);
        if (b->kind == GRAPH_ATTENTION)
            assert_memory_equal(a->head_exponents, b->head_exponents, b->heads);
    }
}

static void check_packed(const struct made *made, uint32_t threads, const char *level)
{
    struct takt_error error;
    struct base_arena arena;
    struct graph graph;
    struct native *native;
    require(base_arena_create(&arena, graph_arena_bytes(made->model), &error), &error);
    require(graph_list(made->model, &arena, &graph, &error), &error);
    require(pack(&native, &graph, threads, level, &error), &error);
    assert_null(graph.matrices[0].weights);
    for (uint32_t i = 0; i < native->matrix_count; i++)
        expect_matrix(&native->matrices[i], &made->graph.matrices[i]);
    expect_bounds(&graph, &made->graph);
    require(graph_image(&graph, &error), &error); /* for the chip, after all */
    for (uint32_t i = 0; i < graph.matrix_count; i++) {
        const struct graph_matrix *a = &graph.matrices[i], *b = &made->graph.matrices[i];
        assert_memory_equal(a->weights, b->weights, (size_t)b->inputs * b->outputs);
        assert_memory_equal(a->scales, b->scales, b->outputs * sizeof(float));
    }
    native_destroy(native);
    base_arena_destroy(&arena);
}

static void whole_models(void **state)
{
    (void)state;
    for (size_t i = 0; i < BASE_COUNT(shapes); i++) {
        struct made made;
        struct takt_error error;
        make(&made, &shapes[i]);
        require(graph_build(made.model, &made.arena, &made.graph, &error), &error);
        bool usable;
        const char *level;
        for (size_t j = 0; (level = native_level(j, &usable)) != NULL; j++)
            for (uint32_t threads = 1; usable && threads <= 3; threads++)
                check_packed(&made, threads, level);
        struct native *native; /* from the image */
        require(pack(&native, &made.graph, 2, NULL, &error), &error);
        for (uint32_t j = 0; j < native->matrix_count; j++)
            expect_matrix(&native->matrices[j], &made.graph.matrices[j]);
        native_destroy(native);
        unmake(&made);
    }
}

/* ---- damage ---------------------------------------------------------------------------------- */

/* The tensor with two bytes changed, packed: refused with the place, whatever the threads. */
static void check_damage(const struct made *made, struct model_tensor *tensor, size_t at,
                         uint16_t bits, const char *place)
{
    const struct model_tensor original = *tensor;
    const size_t bytes = (size_t)(model_row_data(&original, 1) - original.data) * original.rows;
    unsigned char *damaged = malloc(bytes);
    assert_non_null(damaged);
    memcpy(damaged, original.data, bytes);
    damaged[at] = (unsigned char)bits;
    damaged[at + 1] = (unsigned char)(bits >> 8);
    tensor->data = damaged;
    for (uint32_t threads = 1; threads <= 3; threads++) {
        struct takt_error error;
        struct base_arena arena;
        struct graph graph;
        struct native *native;
        require(base_arena_create(&arena, graph_arena_bytes(made->model), &error), &error);
        require(graph_list(made->model, &arena, &graph, &error), &error);
        assert_int_equal(pack(&native, &graph, threads, NULL, &error), TAKT_FORMAT);
        if (strstr(error.message, place) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", error.message, place);
        base_arena_destroy(&arena);
    }
    free(damaged);
    *tensor = original;
}

static void damage(void **state)
{
    (void)state;
    struct made made;
    make(&made, &shapes[0]);
    struct model_layer *layer = made.model->layer;
    check_damage(&made, &layer[1].up, (5 * 2 + 1) * 34, 0x7E00, /* row 5, its second block */
                 "blk.1.ffn_up.weight, row 5, column 32 is NaN");
    check_damage(&made, &layer[0].q, 0, 0x7C00, "blk.0.attn_q.weight, row 0, column 0 is ");
    unmake(&made);
    make(&made, &shapes[1]);
    layer = made.model->layer;
    check_damage(&made, &layer[0].down, (35 * 50 + 49) * 4 + 2, 0xFF80,
                 "blk.0.ffn_down.weight, row 35, column 49 is ");
    unmake(&made);
}

TEST_GROUP(pack, cmocka_unit_test(kernels), cmocka_unit_test(whole_models),
           cmocka_unit_test(damage));
