/* What the machine could do at best: see native.h. */
#include "native/internal.h"

#define PEAK_ROUNDS 2000000u

static void read_share(void *user, uint32_t index)
{
    const struct native *native = user;
    const uint32_t threads = native->options.threads;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < native->matrix_count; i++) {
        const struct native_matrix *matrix = &native->matrices[i];
        const size_t panel = (size_t)matrix->quads * NATIVE_PANEL_QUAD_BYTES;
        const size_t first = native_share(matrix->panels, index, threads);
        const size_t end = native_share(matrix->panels, index + 1, threads);
        sum += native->kernels->read(matrix->weights + first * panel,
                                     (end - first) * panel / 256 * 256);
    }
    native->workers[index].probe = sum;
}

uint64_t native_probe_read(struct native *native)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < native->matrix_count; i++)
        bytes += (uint64_t)native->matrices[i].panels * native->matrices[i].quads *
                 NATIVE_PANEL_QUAD_BYTES;
    native_pool_run(native->pool, read_share, native);
    return bytes;
}

static uint32_t rounds_of(const struct native *native)
{
    return (uint32_t)((uint64_t)PEAK_ROUNDS * 1024u / native->kernels->peak_ops);
}

static void peak_share(void *user, uint32_t index)
{
    const struct native *native = user;
    native->workers[index].probe = native->kernels->peak(rounds_of(native));
}

uint64_t native_probe_peak(struct native *native)
{
    native_pool_run(native->pool, peak_share, native);
    return (uint64_t)rounds_of(native) * native->kernels->peak_ops * native->options.threads;
}
