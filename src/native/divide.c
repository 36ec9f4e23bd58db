/* How the items of a stage, panels of a product or units of attention, are divided among threads.
 */
#include "native/internal.h"

/* From so many rows a thread on the rows are divided, not the outputs: then a thread goes on with
 * what it made itself, and only attention looks at the others' rows. Every thread reads all weights
 * for that, but a panel is worked on for so long that the next one comes meanwhile. */
#define BLOCK_ROWS 64u

static uint32_t rows_of(const struct native *native, const struct native_stage *stage)
{
    return stage->after ? native->wanted : native->rows;
}

uint32_t native_blocks(const struct native *native, const struct native_stage *stage)
{
    const uint32_t threads = native->options.threads;
    return rows_of(native, stage) >= BLOCK_ROWS * threads ? threads : 1;
}

uint32_t native_block_row(const struct native *native, const struct native_stage *stage,
                          uint32_t block)
{
    const uint32_t rows = rows_of(native, stage), tiles = (rows + NATIVE_TILE - 1) / NATIVE_TILE;
    return BASE_MIN(native_share(tiles, block, native_blocks(native, stage)) * NATIVE_TILE, rows);
}

uint32_t native_panels(const struct native_stage *stage)
{
    if (stage->gate != NATIVE_INPUT)
        return stage->matrices[0]->panels;
    uint32_t panels = 0;
    for (uint32_t i = 0; i < stage->matrix_count; i++)
        panels += stage->matrices[i]->panels;
    return panels;
}

void native_share_of(const struct native *native, const struct native_stage *stage, uint32_t index,
                     uint32_t *first, uint32_t *end)
{
    if (stage->kind == NATIVE_ATTENTION) {
        *first = native->unit_first[index];
        *end = native->unit_first[index + 1];
        return;
    }
    const uint32_t threads = native->options.threads;
    const uint32_t total = native_panels(stage) * native_blocks(native, stage);
    *first = native_share(total, index, threads);
    *end = native_share(total, index + 1, threads);
}

void native_divide(struct native *native, const struct native_stage *stage, uint32_t index)
{
    uint32_t first, end;
    native_share_of(native, stage, index, &first, &end);
    /* The barrier makes it known to the others. */
    atomic_store_explicit(&native->left[index].items[stage->turn], (uint64_t)end << 32 | first,
                          memory_order_relaxed);
}

/* Items that a thread takes at once of those `left` of its share: half, so that the others could
 * help with the rest, but an eighth of the share at least. A locked instruction waits until all
 * that was written before it has arrived, so there must be few of them. */
static uint32_t run_of(const struct native *native, const struct native_stage *stage, uint32_t left)
{
    const uint32_t total = stage->kind == NATIVE_ATTENTION
                               ? native->unit_count
                               : native_panels(stage) * native_blocks(native, stage);
    const uint32_t least = total / native->options.threads / 8;
    return BASE_MIN(BASE_MAX((left + 1) / 2, BASE_MAX(least, 1)), left);
}

/* From the front of the thread's own share, from the back of another's. Nothing is read through an
 * item but what the barrier before the stage has made known. */
static bool take(const struct native *native, const struct native_stage *stage, uint32_t index,
                 bool own, struct native_run *run)
{
    _Atomic uint64_t *items = &native->left[index].items[stage->turn];
    uint64_t seen = atomic_load_explicit(items, memory_order_relaxed);
    for (;;) {
        const uint32_t first = (uint32_t)seen, end = (uint32_t)(seen >> 32);
        if (first >= end)
            return false;
        const uint32_t count = own ? run_of(native, stage, end - first) : 1;
        const uint64_t left = own ? seen + count : seen - ((uint64_t)count << 32);
        if (atomic_compare_exchange_weak_explicit(items, &seen, left, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            *run = own ? (struct native_run){first, first + count}
                       : (struct native_run){end - count, end};
            return true;
        }
    }
}

bool native_take(struct native *native, const struct native_stage *stage, uint32_t index,
                 struct native_run *run)
{
    return take(native, stage, index, true, run);
}

bool native_help(struct native *native, const struct native_stage *stage, uint32_t index,
                 struct native_run *run)
{
    const uint32_t threads = native->options.threads;
    for (uint32_t i = 1; i < threads; i++)
        if (take(native, stage, (index + i) % threads, false, run))
            return true;
    return false;
}
