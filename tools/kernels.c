/*
 * The rate of every level's product, from the first cache, on this processor: kernels [INPUTS]
 * Processor time of the thread, the best of several runs. Watch it when a compiler changes.
 */
#include "base/base.h"
#include "native/kernels.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Multiplications and additions of bytes a second, both planes, in 10^9. */
static double rate(const struct native_kernels *level, uint32_t quads, uint32_t tokens,
                   const int8_t *panel, const uint8_t *tile)
{
    static float acc[NATIVE_TILE * NATIVE_PANEL];
    static const int32_t start[NATIVE_PANEL];
    const double operations = 4.0 * quads * NATIVE_PANEL_QUAD_BYTES * tokens;
    const uint32_t calls = (uint32_t)(2e7 / operations) + 1;
    double best = 0;
    for (int run = 0; run < 15; run++) {
        const double begin = cpu_seconds();
        for (uint32_t i = 0; i < calls; i++)
            level->product(panel, start, quads, tile, tokens, NULL, 0, acc);
        best = BASE_MAX(best, operations * calls / (cpu_seconds() - begin));
    }
    return best / 1e9;
}

/* ---- from memory ----------------------------------------------------------------------------- */

enum { MEMORY_BYTES = 128 << 20, RUNS = 15 };

static int by_size(const void *a, const void *b)
{
    double x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

/* All panels once: read plainly (tokens 0) or multiplied with; GB/s. */
static double pass(const struct native_kernels *level, uint32_t quads, uint32_t tokens,
                   const int8_t *panels, const uint8_t *tile, uint64_t *sum)
{
    static float acc[NATIVE_TILE * NATIVE_PANEL];
    static const int32_t start[NATIVE_PANEL];
    const size_t panel_bytes = (size_t)quads * NATIVE_PANEL_QUAD_BYTES;
    const size_t count = MEMORY_BYTES / panel_bytes;
    const double begin = cpu_seconds();
    if (tokens == 0)
        *sum += level->read(panels, count * panel_bytes / 256 * 256);
    for (size_t i = 0; tokens > 0 && i < count; i++)
        level->product(panels + i * panel_bytes, start, quads, tile, tokens,
                       tokens > 1 && i + 1 < count ? panels + (i + 1) * panel_bytes : NULL,
                       NATIVE_PANEL_QUAD_BYTES, acc);
    return (double)(count * panel_bytes) / (cpu_seconds() - begin) / 1e9;
}

/* Medians of passes in alternation, so that whatever else uses the memory meets all. */
static void print_memory(const struct native_kernels *level, uint32_t quads, const int8_t *panels,
                         const uint8_t *tile)
{
    static const uint32_t tokens[] = {0, 1, 4};
    double rates[3][RUNS];
    uint64_t sum = 0;
    for (int run = 0; run < RUNS; run++)
        for (int i = 0; i < 3; i++)
            rates[i][run] = pass(level, quads, tokens[i], panels, tile, &sum);
    for (int i = 0; i < 3; i++)
        qsort(rates[i], RUNS, sizeof rates[i][0], by_size);
    const double read = rates[0][RUNS / 2];
    printf("%-8s read %.1f GB/s; 1 token %.1f, %.0f %%; 4 tokens %.1f, %.0f %%%s\n", level->name,
           read, rates[1][RUNS / 2], rates[1][RUNS / 2] * 100 / read, rates[2][RUNS / 2],
           rates[2][RUNS / 2] * 100 / read, sum == 1 ? " " : "");
}

int main(int argc, char **argv)
{
    int64_t inputs = 576;
    if (argc > 2 || (argc == 2 && !base_parse_i64(argv[1], 4, 65536, &inputs))) {
        fprintf(stderr, "kernels [INPUTS]: 4 to 65536\n");
        return 2;
    }
    const uint32_t quads = (uint32_t)inputs / 4;
    const size_t panel_bytes = (size_t)quads * NATIVE_PANEL_QUAD_BYTES;
    const size_t tile_bytes = (size_t)quads * NATIVE_TILE * NATIVE_TOKEN_QUAD_BYTES;
    int8_t *panel = aligned_alloc(64, panel_bytes); /* as in the executor */
    uint8_t *tile = aligned_alloc(64, (tile_bytes + 63) / 64 * 64);
    if (panel)
        memset(panel, 1, panel_bytes);
    if (tile)
        memset(tile, 1, tile_bytes);
    const struct native_kernels *level;
    printf("GOPS        1      2      3      4      5      6 tokens\n");
    for (size_t i = 0; panel && tile && (level = native_kernels_at(i)) != NULL; i++) {
        if (!level->supported())
            continue;
        printf("%-8s", level->name);
        for (uint32_t tokens = 1; tokens <= NATIVE_TILE; tokens++)
            printf(" %6.0f", rate(level, quads, tokens, panel, tile));
        printf("\n");
    }
    int8_t *panels = aligned_alloc(64, MEMORY_BYTES);
    if (panels && tile) {
        memset(panels, 1, MEMORY_BYTES);
        printf("128 MiB of panels from memory, one thread\n");
        for (size_t i = 1; (level = native_kernels_at(i)) != NULL; i++)
            if (level->supported())
                print_memory(level, quads, panels, tile);
    }
    free(panels);
    free(panel);
    free(tile);
    return 0;
}
