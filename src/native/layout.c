/*
 * Memory: one arena for the weights, unless they lie in a file that is mapped, and one for all
 * else, laid out when the executor is created. The same text runs twice, first to count, then to
 * place, so the two cannot differ.
 */
#include "native/internal.h"

struct layout {
    unsigned char *base; /* NULL while counting */
    size_t bytes;
};

static void *take(struct layout *layout, size_t count, size_t size)
{
    unsigned char *taken = layout->base ? layout->base + layout->bytes : NULL;
    layout->bytes += (count * size + 63) / 64 * 64;
    return taken;
}
#define TAKE(layout, type, count) ((type *)take((layout), (count), sizeof(type)))

static uint32_t context_up(const struct native *native)
{
    return native_up(native->options.context, NATIVE_PANEL);
}

static void lay_weights(struct native *native, struct layout *layout)
{
    for (uint32_t i = 0; i < native->matrix_count; i++) {
        struct native_matrix *matrix = &native->matrices[i];
        const size_t outputs = (size_t)matrix->panels * NATIVE_PANEL;
        matrix->weights = TAKE(layout, int8_t, outputs * 4 * matrix->quads);
        matrix->starts = TAKE(layout, int32_t, outputs);
        matrix->scales = TAKE(layout, float, outputs);
        matrix->bias = matrix->source->bias != NULL ? TAKE(layout, float, outputs) : NULL;
    }
}

static void lay_cache(const struct native *native, struct layout *layout,
                      struct native_cache *cache)
{
    const size_t context = context_up(native);
    const size_t quads = (native->graph->head_dim + 3) / 4;
    const size_t elements = native_up(native->graph->head_dim, NATIVE_PANEL);
    *cache = (struct native_cache){
        .k = TAKE(layout, int8_t, context * 4 * quads),
        .k_starts = TAKE(layout, int32_t, context),
        .k_scales = TAKE(layout, float, context),
        .v = TAKE(layout, int8_t, elements * context),
        .v_scales = TAKE(layout, float, context),
        .v_codes = TAKE(layout, uint8_t, context),
        .v_most = TAKE(layout, uint8_t, context),
    };
}

/* All are of one size, so the first and the way to the next say where each is. */
static void lay_caches(struct native *native, struct layout *layout)
{
    const size_t a_session = (size_t)native->graph->layers * native->graph->kv_heads;
    const size_t count = a_session * native->options.sessions;
    const size_t before = layout->bytes;
    lay_cache(native, layout, &native->cache);
    native->cache_bytes = layout->bytes - before;
    take(layout, count - 1, native->cache_bytes);
}

/* Tensors: those whose values a stage stores, or reads. A tensor's buffer is free for another when
 * its last reader has run, unless all are kept. */
struct buffer {
    float *data;
    uint32_t width;
    bool used;
};

static uint32_t last_use(const struct native *native, uint32_t tensor)
{
    uint32_t last = 0;
    for (uint32_t i = 0; i < native->stage_count; i++) {
        const struct native_stage *stage = &native->stages[i];
        for (uint32_t j = 0; j < GRAPH_OP_MAX; j++)
            if (stage->inputs[j] == tensor || stage->outputs[j] == tensor)
                last = i;
        if (stage->addend == tensor)
            last = i;
    }
    return last;
}

static uint32_t buffer_for(struct native *native, struct buffer *buffers, uint32_t width)
{
    uint32_t i = 0;
    while (buffers[i].width > 0 &&
           (buffers[i].used || buffers[i].width != width || native->options.keep_tensors))
        i++;
    buffers[i].width = width;
    buffers[i].used = true;
    return i;
}

/* placement[tensor] = its buffer. The layout of buffers does not depend on addresses. */
static void place_tensors(struct native *native, struct base_arena *scratch, uint32_t *placement,
                          struct buffer *buffers)
{
    const struct graph *graph = native->graph;
    uint32_t *last = BASE_NEW(scratch, uint32_t, graph->tensor_count);
    for (uint32_t t = 0; t < graph->tensor_count; t++) {
        last[t] = last_use(native, t);
        placement[t] = NATIVE_NONE;
    }
    for (uint32_t i = 0; i < native->stage_count; i++) {
        const struct native_stage *stage = &native->stages[i];
        for (uint32_t j = 0; j < GRAPH_OP_MAX; j++) {
            const uint32_t tensor = stage->outputs[j];
            if (tensor != NATIVE_NONE && !stage->logits)
                placement[tensor] = buffer_for(native, buffers, graph->tensors[tensor].width);
        }
        for (uint32_t t = 0; t < graph->tensor_count; t++)
            if (placement[t] != NATIVE_NONE && last[t] == i)
                buffers[placement[t]].used = false;
    }
}

static void lay_tensors(struct native *native, struct layout *layout, const uint32_t *placement,
                        struct buffer *buffers)
{
    for (uint32_t i = 0; buffers[i].width > 0; i++)
        buffers[i].data = TAKE(layout, float, (size_t)native->options.batch *buffers[i].width);
    native->values = TAKE(layout, float *, native->graph->tensor_count);
    for (uint32_t t = 0; native->values && t < native->graph->tensor_count; t++)
        native->values[t] = placement[t] == NATIVE_NONE ? NULL : buffers[placement[t]].data;
    if (native->options.keep_tensors)
        native->kept_logits =
            TAKE(layout, float, (size_t)native->options.batch * native->graph->vocab);
}

static uint32_t widest_quads(const struct native *native)
{
    uint32_t quads = 0;
    for (uint32_t i = 0; i < native->matrix_count; i++)
        quads = BASE_MAX(quads, native->matrices[i].quads);
    return quads;
}

static void lay_worker(const struct native *native, struct layout *layout,
                       struct native_worker *worker)
{
    const struct graph *graph = native->graph;
    const uint32_t group = graph->heads / graph->kv_heads;
    const size_t rows = BASE_MAX(NATIVE_ATTENTION_ROWS, group);
    const size_t head_quads = (graph->head_dim + 3) / 4, context = context_up(native);
    *worker = (struct native_worker){
        .tile = TAKE(layout, uint8_t,
                     (size_t)widest_quads(native) * NATIVE_TOKEN_QUAD_BYTES * NATIVE_ALONE_ROWS),
        .acc = TAKE(layout, float, 3 * NATIVE_TILE * NATIVE_PANEL),
        .q = TAKE(layout, float, (size_t)graph->heads * graph->head_dim),
        .k = TAKE(layout, float, (size_t)graph->kv_heads * graph->head_dim),
        .bytes = TAKE(layout, int8_t, graph->head_dim),
        .scores = TAKE(layout, float, rows *context),
        .queries = TAKE(layout, uint8_t, rows * head_quads * NATIVE_TOKEN_QUAD_BYTES),
        .weights = TAKE(layout, uint8_t, NATIVE_TILE * context / 4 * NATIVE_TOKEN_QUAD_BYTES),
        .out = TAKE(layout, float, NATIVE_TILE *NATIVE_PANEL),
        .factors = TAKE(layout, float, NATIVE_ALONE_ROWS),
        .exponents = TAKE(layout, uint8_t, NATIVE_ALONE_ROWS),
    };
}

static void lay_work(struct native *native, struct layout *layout)
{
    const struct graph *graph = native->graph;
    const uint32_t batch = native->options.batch, threads = native->options.threads;
    struct native_worker *workers = TAKE(layout, struct native_worker, threads);
    struct native_worker counted;
    for (uint32_t i = 0; i < threads; i++)
        lay_worker(native, layout, workers ? &workers[i] : &counted);
    native->workers = workers;
    native->row_tokens = TAKE(layout, uint32_t, batch);
    native->row_positions = TAKE(layout, uint32_t, batch);
    native->row_items = TAKE(layout, uint32_t, batch);
    native->row_outputs = TAKE(layout, uint32_t, batch);
    native->wanted_rows = TAKE(layout, uint32_t, batch);
    native->wanted_logits = TAKE(layout, float *, batch);
    native->units = TAKE(layout, struct native_unit, (size_t)batch * graph->kv_heads);
    native->unit_first = TAKE(layout, uint32_t, threads + 1);
    native->left = TAKE(layout, struct native_left, threads);
    native->activations =
        TAKE(layout, uint8_t, (size_t)batch * widest_quads(native) * NATIVE_TOKEN_QUAD_BYTES);
    native->factors = TAKE(layout, float, batch);
    native->queries = TAKE(layout, float, (size_t)batch * graph->heads * graph->head_dim);
    native->exponents = TAKE(layout, uint8_t, batch);
    native->head_codes = TAKE(layout, uint8_t, (size_t)batch * graph->kv_heads);
}

static void lay_all(struct native *native, struct layout *layout, const uint32_t *placement,
                    struct buffer *buffers)
{
    struct native_memory *memory = &native->memory;
    const size_t rope = (size_t)native->options.context * native->graph->head_dim *
                        BASE_MAX(native->graph->rope_count, 1);
    size_t before = layout->bytes;
    lay_caches(native, layout);
    memory->cache = layout->bytes - before;
    memory->cache_a_session = memory->cache / native->options.sessions;
    before = layout->bytes;
    native->cosines = TAKE(layout, float, rope);
    native->sines = TAKE(layout, float, rope);
    memory->rope = layout->bytes - before;
    before = layout->bytes;
    lay_tensors(native, layout, placement, buffers);
    lay_work(native, layout);
    memory->work = layout->bytes - before;
}

static enum takt_status reserve(struct base_arena *arena, struct layout *layout,
                                struct takt_error *error)
{
    const enum takt_status status = base_arena_create(arena, layout->bytes, error);
    if (status == TAKT_OK)
        *layout = (struct layout){base_arena_alloc(arena, layout->bytes, 1), 0};
    return status;
}

/* Where the weights lie in a mapped file they are not written. */
static enum takt_status place_weights(struct native *native, struct takt_error *error)
{
    struct layout layout = {NULL, 0};
    lay_weights(native, &layout);
    native->memory.weights = layout.bytes;
    if (native->options.packed != NULL) {
        const enum takt_status status =
            native_packed_accept(native->options.packed, native, &layout.base, error);
        if (status != TAKT_OK)
            return status;
        layout.bytes = 0;
    } else {
        const enum takt_status status = reserve(&native->weights, &layout, error);
        if (status != TAKT_OK)
            return status;
    }
    lay_weights(native, &layout);
    return TAKT_OK;
}

enum takt_status native_layout(struct native *native, struct takt_error *error)
{
    const size_t tensors = native->graph->tensor_count;
    struct base_arena scratch = {0};
    enum takt_status status = place_weights(native, error);
    if (status == TAKT_OK)
        status = base_arena_create(
            &scratch, (tensors + 1) * (2 * sizeof(uint32_t) + sizeof(struct buffer)) + 256, error);
    if (status != TAKT_OK)
        return status;
    uint32_t *placement = BASE_NEW(&scratch, uint32_t, tensors);
    struct buffer *buffers = BASE_NEW(&scratch, struct buffer, tensors + 1);
    place_tensors(native, &scratch, placement, buffers);
    struct layout layout = {NULL, 0};
    lay_all(native, &layout, placement, buffers);
    status = reserve(&native->arena, &layout, error);
    if (status == TAKT_OK)
        lay_all(native, &layout, placement, buffers);
    base_arena_destroy(&scratch);
    return status;
}
