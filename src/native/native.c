/* Creation and destruction. */
#include "native/native.h"

#include "native/internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "num/num.h"

/* Sums of 255 * 127 over this many terms stay below 2^31: the positions of the cache. */
#define SUM_MAX (INT32_MAX / (127 * 255))

static enum takt_status choose_level(struct native *native, struct takt_error *error)
{
    const char *wanted = native->options.level;
    const struct native_kernels *kernels;
    for (size_t i = 0; (kernels = native_kernels_at(i)) != NULL; i++) {
        const bool usable = kernels->supported();
        if (!wanted && usable)
            native->kernels = kernels;
        if (wanted && strcmp(wanted, kernels->name) == 0) {
            if (!usable)
                return base_fail(
                    error, TAKT_UNSUPPORTED,
                    "this CPU cannot run kernels of level %s; leave the choice to takt", wanted);
            native->kernels = kernels;
        }
    }
    if (!native->kernels)
        return base_fail(error, TAKT_USAGE,
                         "%s is not a level of CPU kernels built into this program", wanted);
    return TAKT_OK;
}

static enum takt_status check_options(const struct native_options *options,
                                      struct takt_error *error)
{
    BASE_ASSERT(options->context > 0 && options->sessions > 0);
    BASE_ASSERT(options->batch > 0 && options->threads > 0);
    if (options->context > SUM_MAX)
        return base_fail(
            error, TAKT_LIMIT,
            "a context of %u positions: exact 32-bit sums hold %d at most, ask for fewer",
            options->context, SUM_MAX);
    return TAKT_OK;
}

/* Pages of two MiB spare the address translation that a sequential read of the weights would wait
 * for; a system that has none goes on without. */
static void prefer_large_pages(struct base_arena *arena)
{
#ifdef MADV_HUGEPAGE
    if (arena->base != NULL)
        madvise(arena->base, arena->capacity_bytes, MADV_HUGEPAGE);
#endif
    (void)arena;
}

static size_t plan_arena_bytes(const struct graph *graph)
{
    return graph->op_count * (sizeof(struct native_stage) + 64) +
           graph->op_count * GRAPH_OP_MAX * sizeof(struct native_matrix) +
           graph->tensor_count * (64 + 4 * sizeof(void *)) + 4096;
}

static enum takt_status create(struct native *native, struct takt_error *error)
{
    enum takt_status status = check_options(&native->options, error);
    if (status == TAKT_OK)
        status = choose_level(native, error);
    if (status == TAKT_OK)
        status = base_arena_create(&native->plan_arena, plan_arena_bytes(native->graph), error);
    if (status == TAKT_OK)
        status = native_plan(native, &native->plan_arena, error);
    if (status == TAKT_OK)
        status = native_layout(native, error);
    if (status == TAKT_OK)
        status = native_pool_create(&native->pool, native->options.threads, error);
    if (status != TAKT_OK)
        return status;
    prefer_large_pages(&native->weights);
    prefer_large_pages(&native->arena);
    return native->options.packed != NULL ? native_packed_check(native, error)
                                          : native_pack(native, error);
}

enum takt_status native_create(struct native **native, const struct graph *graph,
                               const struct native_options *options, struct takt_error *error)
{
    *native = NULL;
    struct native *made = calloc(1, sizeof *made);
    if (!made)
        return base_fail(error, TAKT_MEMORY, "no memory for the native executor");
    made->graph = graph;
    made->options = *options;
    const enum takt_status status = create(made, error);
    if (status != TAKT_OK) {
        native_destroy(made);
        return status;
    }
    *native = made;
    return TAKT_OK;
}

void native_destroy(struct native *native)
{
    if (!native)
        return;
    native_pool_destroy(native->pool);
    base_arena_destroy(&native->arena);
    base_arena_destroy(&native->weights);
    base_arena_destroy(&native->plan_arena);
    free(native);
}

const float *native_tensor(const struct native *native, uint32_t tensor)
{
    BASE_ASSERT(native->options.keep_tensors && tensor < native->graph->tensor_count);
    return tensor == native->graph->logits ? native->kept_logits : native->values[tensor];
}

void native_memory(const struct native *native, struct native_memory *memory)
{
    *memory = native->memory;
    for (uint32_t i = 0; i < native->stage_count; i++) {
        const struct native_stage *stage = &native->stages[i];
        for (uint32_t j = 0; j < stage->matrix_count; j++) {
            const struct native_matrix *matrix = stage->matrices[j];
            const uint64_t bytes =
                (uint64_t)matrix->panels * matrix->quads * NATIVE_PANEL_QUAD_BYTES;
            memory->matrix_bytes += bytes;
            *(stage->logits ? &memory->output_operations : &memory->token_operations) += 4 * bytes;
        }
    }
}

const char *native_level_name(const struct native *native)
{
    return native->kernels->name;
}

uint32_t native_threads(const struct native *native)
{
    return native->options.threads;
}
