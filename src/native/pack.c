/* Weights into panels: on every thread, each its own panels, which it will also be the one to read.
 */
#include "native/internal.h"

#include <string.h>

struct packing {
    struct native *native;
    const struct native_matrix *matrix;
};

/* Row n of the source; beyond the last the first, to be cleared afterwards. */
static const int8_t *source_row(const struct native_matrix *matrix, uint32_t n)
{
    return matrix->source->weights + (n < matrix->outputs ? (size_t)n * matrix->inputs : 0);
}

/* Whole quads word by word, all outputs of a panel side by side; then what is left of the rows. */
static void pack_panel(const struct native_matrix *matrix, uint32_t panel)
{
    const uint32_t whole = matrix->inputs / 4;
    int8_t *out = matrix->weights + (size_t)panel * matrix->quads * NATIVE_PANEL_QUAD_BYTES;
    const int8_t *rows[NATIVE_PANEL];
    for (uint32_t lane = 0; lane < NATIVE_PANEL; lane++)
        rows[lane] = source_row(matrix, panel * NATIVE_PANEL + lane);
    for (uint32_t q = 0; q < whole; q++)
        for (uint32_t lane = 0; lane < NATIVE_PANEL; lane++)
            memcpy(out + (size_t)q * NATIVE_PANEL_QUAD_BYTES + 4 * lane, rows[lane] + 4 * q, 4);
    for (uint32_t lane = 0; lane < NATIVE_PANEL && whole < matrix->quads; lane++)
        memcpy(out + (size_t)whole * NATIVE_PANEL_QUAD_BYTES + 4 * lane, rows[lane] + 4 * whole,
               matrix->inputs % 4);
}

/* Beyond the last output there are zeros. */
static void clear_lanes(const struct native_matrix *matrix, uint32_t panel)
{
    int8_t *out = matrix->weights + (size_t)panel * matrix->quads * NATIVE_PANEL_QUAD_BYTES;
    const uint32_t used = matrix->outputs - panel * NATIVE_PANEL;
    for (uint32_t q = 0; used < NATIVE_PANEL && q < matrix->quads; q++)
        memset(out + (size_t)q * NATIVE_PANEL_QUAD_BYTES + 4 * used, 0, 4 * (NATIVE_PANEL - used));
}

static void pack_output(const struct native_matrix *matrix, uint32_t n)
{
    const struct graph_matrix *source = matrix->source;
    const int8_t *row = source->weights + (size_t)n * matrix->inputs;
    int32_t sum = 0;
    for (uint32_t k = 0; k < matrix->inputs; k++)
        sum += row[k];
    matrix->starts[n] = -128 * sum;
    matrix->scales[n] = source->scales[n];
    if (matrix->bias != NULL)
        matrix->bias[n] = source->bias[n];
}

static void pack_share(void *user, uint32_t index)
{
    const struct packing *packing = user;
    const struct native_matrix *matrix = packing->matrix;
    const uint32_t threads = packing->native->options.threads;
    const uint32_t end = native_share(matrix->panels, index + 1, threads);
    for (uint32_t panel = native_share(matrix->panels, index, threads); panel < end; panel++) {
        const uint32_t last = BASE_MIN((panel + 1) * NATIVE_PANEL, matrix->outputs);
        pack_panel(matrix, panel);
        clear_lanes(matrix, panel);
        for (uint32_t n = panel * NATIVE_PANEL; n < last; n++)
            pack_output(matrix, n);
    }
}

void native_pack(struct native *native)
{
    const struct native_options *options = &native->options;
    uint64_t done = 0;
    for (uint32_t i = 0; i < native->matrix_count; i++) {
        struct packing packing = {native, &native->matrices[i]};
        if (options->on_load)
            options->on_load(options->user, done, native->memory.weights);
        native_pool_run(native->pool, pack_share, &packing);
        done += (uint64_t)packing.matrix->outputs * packing.matrix->inputs;
    }
    if (options->on_load)
        options->on_load(options->user, native->memory.weights, native->memory.weights);
}
