/* Weights into panels: on every thread, each its own panels, which it will also be the one to read.
 */
#include "native/internal.h"

#include <string.h>

struct packing {
    struct native *native;
    const struct native_matrix *matrix;
};

static void pack_output(const struct native_matrix *matrix, uint32_t n)
{
    const struct graph_matrix *source = matrix->source;
    const uint32_t panel = n / NATIVE_PANEL, lane = n % NATIVE_PANEL;
    int8_t *out = matrix->weights + (size_t)panel * matrix->quads * NATIVE_PANEL_QUAD_BYTES;
    int32_t sum = 0;
    for (uint32_t k = 0; k < matrix->inputs; k++) {
        const int8_t weight = source->weights[(size_t)n * matrix->inputs + k];
        out[(size_t)(k / 4) * NATIVE_PANEL_QUAD_BYTES + 4 * lane + k % 4] = weight;
        sum += weight;
    }
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
    const uint32_t end = native_share(matrix->panels, index + 1, threads) * NATIVE_PANEL;
    for (uint32_t n = native_share(matrix->panels, index, threads) * NATIVE_PANEL;
         n < BASE_MIN(end, matrix->outputs); n++)
        pack_output(matrix, n);
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
