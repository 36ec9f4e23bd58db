/* How the items of a stage, panels of a product or units of attention, are divided among threads.
 */
#include "native/internal.h"

static uint32_t panel_total(const struct native_stage *stage)
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
    const uint32_t total = panel_total(stage), threads = native->options.threads;
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

/* Nothing is read through an item but what the barrier before the stage has made known. */
static bool take(_Atomic uint64_t *items, bool front, uint32_t *item)
{
    uint64_t seen = atomic_load_explicit(items, memory_order_relaxed);
    for (;;) {
        const uint32_t first = (uint32_t)seen, end = (uint32_t)(seen >> 32);
        if (first >= end)
            return false;
        const uint64_t left = front ? seen + 1 : seen - (UINT64_C(1) << 32);
        if (atomic_compare_exchange_weak_explicit(items, &seen, left, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            *item = front ? first : end - 1;
            return true;
        }
    }
}

bool native_take(struct native *native, const struct native_stage *stage, uint32_t index,
                 uint32_t *item)
{
    const uint32_t threads = native->options.threads;
    for (uint32_t i = 0; i < threads; i++)
        if (take(&native->left[(index + i) % threads].items[stage->turn], i == 0, item))
            return true;
    return false;
}
