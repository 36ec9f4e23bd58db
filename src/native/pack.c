/*
 * Weights from the file into panels: on every thread, each its own panels, which it will also be
 * the one to read. 32 channels at a time are quantised into a scratch that stays in the second
 * cache, and from there laid into their panel, so that no image of a matrix is ever in memory.
 * Where the graph has its image already (for the chip), that is laid out instead.
 */
#include "native/internal.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "num/num.h"

/* So often who waits is told: some milliseconds of work. */
#define REPORT_BYTES ((uint64_t)4 << 20)

struct packing {
    struct native *native;
    uint64_t total;
    _Atomic uint64_t done;    /* weights, of all threads */
    _Atomic uint32_t damaged; /* the first matrix with a value that is not finite, or NONE */
    _Atomic bool out_of_memory;
};

/* Of one thread. */
struct scratch {
    struct packing *packing;
    uint32_t index;
    size_t stride;
    int8_t *channels; /* [32][stride] */
    float *row;       /* the widest */
    float scales[NATIVE_PANEL];
    uint64_t unreported;
};

/* ---- a panel --------------------------------------------------------------------------------- */

static void quantise_channel(const struct native_kernels *kernels,
                             const struct graph_matrix *source, uint32_t n, float *row, int8_t *out,
                             float *scale)
{
    const uint32_t from = graph_matrix_row(source, n);
    if (source->tensor->type == MODEL_Q8_0) {
        kernels->blocks(model_row_data(source->tensor, from), source->inputs, out, scale);
        return;
    }
    model_row(source->tensor, from, row);
    kernels->channel(row, source->inputs, out, scale);
}

/* False when a value is NaN or infinite. */
static bool read_channels(struct scratch *scratch, const struct native_matrix *matrix,
                          uint32_t first, uint32_t count)
{
    const struct graph_matrix *source = matrix->source;
    bool finite = true;
    for (uint32_t i = 0; i < count; i++) {
        int8_t *out = scratch->channels + i * scratch->stride;
        if (source->weights != NULL) {
            memcpy(out, source->weights + (size_t)(first + i) * source->inputs, source->inputs);
            scratch->scales[i] = source->scales[first + i];
            continue;
        }
        quantise_channel(scratch->packing->native->kernels, source, first + i, scratch->row, out,
                         &scratch->scales[i]);
        finite = finite && num_exponent(scratch->scales[i]) != 255;
    }
    for (uint32_t i = count; i < NATIVE_PANEL; i++) {
        memset(scratch->channels + i * scratch->stride, 0, scratch->stride);
        scratch->scales[i] = 0.0f;
    }
    if (finite && !*scratch->packing->native->graph->bounded)
        graph_channels(source, first, count, scratch->channels, scratch->stride, scratch->scales);
    return finite;
}

static bool pack_panel(struct scratch *scratch, const struct native_matrix *matrix, uint32_t panel)
{
    const uint32_t first = panel * NATIVE_PANEL;
    const uint32_t count = BASE_MIN(matrix->outputs - first, NATIVE_PANEL);
    if (!read_channels(scratch, matrix, first, count))
        return false;
    int32_t *starts = matrix->starts + first;
    scratch->packing->native->kernels->panel(
        scratch->channels, scratch->stride, matrix->quads,
        matrix->weights + (size_t)panel * matrix->quads * NATIVE_PANEL_QUAD_BYTES, starts);
    for (uint32_t i = 0; i < NATIVE_PANEL; i++)
        starts[i] *= -128;
    memcpy(matrix->scales + first, scratch->scales, sizeof scratch->scales);
    for (uint32_t i = 0; matrix->bias != NULL && i < count; i++)
        matrix->bias[first + i] = matrix->source->bias[first + i];
    return true;
}

/* ---- a thread's share ------------------------------------------------------------------------ */

static void report(struct scratch *scratch, uint64_t bytes)
{
    struct packing *packing = scratch->packing;
    const struct native_options *options = &packing->native->options;
    scratch->unreported += bytes;
    if (scratch->unreported < REPORT_BYTES)
        return;
    const uint64_t done = atomic_fetch_add(&packing->done, scratch->unreported);
    scratch->unreported = 0;
    if (scratch->index == 0 && options->on_load)
        options->on_load(options->user, BASE_MIN(done, packing->total - 1), packing->total);
}

static void note_damage(struct packing *packing, uint32_t matrix)
{
    uint32_t first = atomic_load(&packing->damaged);
    while (matrix < first && !atomic_compare_exchange_weak(&packing->damaged, &first, matrix))
        ;
}

static void pack_matrix(struct scratch *scratch, uint32_t index)
{
    const struct native *native = scratch->packing->native;
    const struct native_matrix *matrix = &native->matrices[index];
    const uint32_t threads = native->options.threads;
    const uint32_t first = native_share(matrix->panels, scratch->index, threads);
    const uint32_t end = native_share(matrix->panels, scratch->index + 1, threads);
    scratch->stride = native_up(matrix->inputs, 64);
    memset(scratch->channels, 0, NATIVE_PANEL * scratch->stride);
    for (uint32_t panel = first; panel < end; panel++) {
        if (!pack_panel(scratch, matrix, panel)) {
            note_damage(scratch->packing, index);
            return;
        }
        report(scratch, (uint64_t)matrix->inputs * NATIVE_PANEL);
    }
    if (matrix->source->weights == NULL)
        model_release(native->graph->model, matrix->source->tensor, first * NATIVE_PANEL,
                      BASE_MIN(end * NATIVE_PANEL, matrix->outputs));
}

static void pack_share(void *user, uint32_t index)
{
    struct packing *packing = user;
    const struct native *native = packing->native;
    uint32_t widest = 0;
    for (uint32_t i = 0; i < native->matrix_count; i++)
        widest = BASE_MAX(widest, native->matrices[i].inputs);
    struct scratch scratch = {.packing = packing, .index = index};
    scratch.channels = aligned_alloc(64, (size_t)NATIVE_PANEL * native_up(widest, 64));
    scratch.row = calloc(widest, sizeof *scratch.row);
    if (scratch.channels == NULL || scratch.row == NULL)
        packing->out_of_memory = true;
    else /* a thread goes on to the end or its own damage, so that the first is always found */
        for (uint32_t i = 0; i < native->matrix_count && i < atomic_load(&packing->damaged); i++)
            pack_matrix(&scratch, i);
    free(scratch.channels);
    free(scratch.row);
}

enum takt_status native_pack(struct native *native, struct takt_error *error)
{
    const struct native_options *options = &native->options;
    const struct graph *graph = native->graph;
    struct packing packing = {.native = native, .damaged = NATIVE_NONE};
    for (uint32_t i = 0; i < native->matrix_count; i++)
        packing.total += (uint64_t)native->matrices[i].outputs * native->matrices[i].inputs;
    native_pool_run(native->pool, pack_share, &packing);
    if (packing.out_of_memory)
        return base_fail(error, TAKT_MEMORY, "%s: no memory to pack its weights; free some",
                         graph->model->path);
    if (packing.damaged != NATIVE_NONE)
        return graph_find_damage(graph->model, native->matrices[packing.damaged].source->tensor,
                                 error);
    if (!*graph->bounded)
        graph_bounds(graph);
    if (options->on_load)
        options->on_load(options->user, packing.total, packing.total);
    return TAKT_OK;
}
