/*
 * Attention over int8 caches. Keys lie as panels whose outputs are positions, values as panels
 * whose contraction is positions, so both products are the one kernel. A unit is some rows of one
 * item over one KV head: all query heads of that head share a read of the cache.
 */
#include "native/internal.h"

#include "num/num.h"

struct shape {
    uint32_t head_dim, quads, group; /* quads of head_dim; query heads a KV head */
    uint32_t context;                /* a multiple of 32 */
};

static struct shape shape_of(const struct native *native)
{
    const struct graph *graph = native->graph;
    return (struct shape){graph->head_dim, (graph->head_dim + 3) / 4,
                          graph->heads / graph->kv_heads,
                          native_up(native->options.context, NATIVE_PANEL)};
}

/* ---- units ----------------------------------------------------------------------------------- */

static uint64_t cost(const struct native *native, const struct native_unit *unit)
{
    return (uint64_t)unit->rows * (native->row_positions[unit->row] + 64u);
}

/* Boundaries by cost: thread i takes units until it has its share of the total. */
static void divide(struct native *native)
{
    const uint32_t threads = native->options.threads;
    uint64_t total = 0, sum = 0;
    for (uint32_t i = 0; i < native->unit_count; i++)
        total += cost(native, &native->units[i]);
    uint32_t thread = 0;
    for (uint32_t i = 0; i < native->unit_count; i++) {
        while (thread < threads && sum * threads >= total * thread)
            native->unit_first[thread++] = i;
        sum += cost(native, &native->units[i]);
    }
    while (thread <= threads)
        native->unit_first[thread++] = native->unit_count;
}

void native_units(struct native *native)
{
    const struct graph *graph = native->graph;
    const uint32_t group = graph->heads / graph->kv_heads;
    const uint32_t most = BASE_MAX(NATIVE_ATTENTION_ROWS / group, 1);
    uint32_t row = 0;
    native->unit_count = 0;
    native->prepare = false;
    for (uint32_t i = 0; i < native->item_count; i++) {
        const uint32_t count = native->items[i].count;
        const bool alone = count == 1 && !native->options.keep_tensors;
        native->prepare = native->prepare || !alone;
        for (uint32_t head = 0; head < graph->kv_heads; head++)
            for (uint32_t done = 0; done < count; done += most)
                native->units[native->unit_count++] =
                    (struct native_unit){i, row + done, BASE_MIN(count - done, most), head, alone};
        row += count;
    }
    divide(native);
}

/* ---- into the cache -------------------------------------------------------------------------- */

static void append_key(const struct native *native, const struct shape *shape,
                       const struct native_cache *cache, uint32_t position, const float *k,
                       int8_t *bytes)
{
    const uint8_t code = native->kernels->code(k, shape->head_dim);
    native->kernels->code_quantise(k, shape->head_dim, code, bytes);
    int8_t *out = cache->k +
                  (size_t)(position / NATIVE_PANEL) * shape->quads * NATIVE_PANEL_QUAD_BYTES +
                  4 * (position % NATIVE_PANEL);
    int32_t sum = 0;
    for (uint32_t d = 0; d < shape->head_dim; d++) {
        out[(size_t)(d / 4) * NATIVE_PANEL_QUAD_BYTES + d % 4] = bytes[d];
        sum += bytes[d];
    }
    cache->k_starts[position] = -128 * sum;
    cache->k_scales[position] = num_code_scale(code) * native->graph->score_scale;
}

static void append_value(const struct native *native, const struct shape *shape,
                         const struct native_cache *cache, uint32_t position, const float *v,
                         int8_t *bytes)
{
    const uint8_t code = native->kernels->code(v, shape->head_dim);
    native->kernels->code_quantise(v, shape->head_dim, code, bytes);
    for (uint32_t d = 0; d < shape->head_dim; d++) {
        const size_t panel = (size_t)(d / NATIVE_PANEL) * (shape->context / 4);
        cache->v[(panel + position / 4) * NATIVE_PANEL_QUAD_BYTES + 4 * (d % NATIVE_PANEL) +
                 position % 4] = bytes[d];
    }
    cache->v_codes[position] = code;
    cache->v_scales[position] = num_code_scale(code);
}

/* Rotary embedding of all heads of a tensor's row, into `out`. */
static void embed(const struct native *native, const float *x, uint32_t heads, uint32_t table,
                  uint32_t position, float *out)
{
    const uint32_t n = native->graph->head_dim;
    const float *cosines = native->cosines + native_rope_at(native, table, position);
    const float *sines = native->sines + native_rope_at(native, table, position);
    for (uint32_t head = 0; head < heads; head++)
        native->kernels->rope(x + (size_t)head * n, cosines, sines, n, out + (size_t)head * n);
}

/* The row's query after rotary embedding. */
static const float *make_query(const struct native *native, const struct native_stage *stage,
                               uint32_t row, float *buffer)
{
    const struct graph *graph = native->graph;
    const float *q = native_row(native, stage->inputs[0], row);
    if (stage->rope_q) {
        embed(native, q, graph->heads, stage->table_q, native->row_positions[row], buffer);
        q = buffer;
    }
    return q;
}

static void append(const struct native *native, const struct native_stage *stage, uint32_t row,
                   uint32_t kv_head, struct native_worker *worker)
{
    const struct shape shape = shape_of(native);
    const uint32_t position = native->row_positions[row];
    const size_t at = (size_t)kv_head * shape.head_dim;
    const struct native_cache cache = native_cache_at(
        native, native->items[native->row_items[row]].slot, stage->op->layer, kv_head);
    const float *k = native_row(native, stage->inputs[1], row) + at;
    const float *v = native_row(native, stage->inputs[2], row) + at;
    if (stage->rope_k) {
        embed(native, k, 1, stage->table_k, position, worker->k);
        k = worker->k;
    }
    append_key(native, &shape, &cache, position, k, worker->bytes);
    append_value(native, &shape, &cache, position, v, worker->bytes);
}

/* Rows of items with several: the cache must hold them all before any is attended to. */
static void prepare(struct native *native, const struct native_stage *stage, uint32_t index)
{
    const struct graph *graph = native->graph;
    const uint32_t threads = native->options.threads, width = graph->heads * graph->head_dim;
    const uint32_t end = native_share(native->rows, index + 1, threads);
    for (uint32_t row = native_share(native->rows, index, threads); row < end; row++) {
        if (native->items[native->row_items[row]].count == 1 && !native->options.keep_tensors)
            continue;
        make_query(native, stage, row, native->queries + (size_t)row * width);
        for (uint32_t head = 0; head < graph->kv_heads; head++)
            append(native, stage, row, head, &native->workers[index]);
    }
}

/* ---- a unit ---------------------------------------------------------------------------------- */

struct query_row {
    uint32_t row, out_row;     /* of the pass; where its output goes */
    uint32_t first, positions; /* it sees first .. positions - 1 */
    const float *q;            /* [heads * head_dim] */
    uint8_t code;
};

struct attending {
    const struct native *native;
    const struct native_stage *stage;
    struct shape shape;
    struct native_worker *worker;
    struct native_cache cache;
    uint32_t kv_head;
    struct query_row rows[NATIVE_ATTENTION_ROWS];
    uint32_t row_count, queries; /* queries = row_count * group */
};

static const struct query_row *row_of(const struct attending *a, uint32_t query)
{
    return &a->rows[query / a->shape.group];
}

static uint32_t head_of(const struct attending *a, uint32_t query)
{
    return a->kv_head * a->shape.group + query % a->shape.group;
}

static uint8_t window_code(const struct native_cache *cache, uint32_t first, uint32_t end)
{
    uint8_t code = 0;
    for (uint32_t p = first; p < end; p++)
        code = BASE_MAX(code, cache->v_codes[p]);
    return code;
}

/* The largest value code each row sees: from what was known before the item on. */
static void collect_rows(struct attending *a, const struct native_unit *unit)
{
    const struct native *native = a->native;
    const struct native_cache *cache = &a->cache;
    const size_t width = (size_t)native->graph->heads * a->shape.head_dim;
    uint32_t position = native->items[unit->item].start;
    uint8_t code = position > 0 ? cache->v_most[position - 1] : 0;
    for (uint32_t i = 0; i < unit->rows; i++) {
        const uint32_t row = unit->row + i;
        for (; position <= native->row_positions[row]; position++)
            code = BASE_MAX(code, cache->v_codes[position]);
        cache->v_most[native->row_positions[row]] = code;
        const uint32_t first = graph_first_position(a->stage->op, native->row_positions[row]);
        const uint8_t seen = first > 0 ? window_code(cache, first, position) : code;
        const uint32_t out_row = a->stage->narrow ? native->row_outputs[row] : row;
        if (out_row == NATIVE_NONE)
            continue;
        struct query_row *entry = &a->rows[a->row_count++];
        *entry =
            (struct query_row){.row = row,
                               .out_row = out_row,
                               .first = first,
                               .positions = native->row_positions[row] + 1,
                               .q = a->stage->rope_q ? native->queries + row * width
                                                     : native_row(native, a->stage->inputs[0], row),
                               .code = seen};
        if (unit->alone && a->stage->rope_q)
            entry->q = a->worker->q;
        native->head_codes[(size_t)out_row * native->graph->kv_heads + unit->kv_head] = seen;
    }
    a->queries = a->row_count * a->shape.group;
}

static void quantise_queries(const struct attending *a)
{
    for (uint32_t i = 0; i < a->queries; i++) {
        const uint32_t head = head_of(a, i);
        size_t stride;
        uint8_t *out = native_tile_row(a->worker->queries, i, a->queries, a->shape.quads, &stride);
        a->native->kernels->quantise(row_of(a, i)->q + (size_t)head * a->shape.head_dim, NULL,
                                     a->shape.head_dim, a->stage->op->head_exponents[head], out,
                                     stride);
    }
}

static void scale_scores(const struct attending *a, uint32_t query, uint32_t p, const float *acc)
{
    const struct native_kernels *kernels = a->native->kernels;
    const float cap = a->native->graph->score_cap;
    float *out = a->worker->scores + (size_t)query * a->shape.context + p;
    const uint8_t exponent = a->stage->op->head_exponents[head_of(a, query)];
    kernels->scores(acc, num_scale_down(exponent), a->cache.k_scales + p, NATIVE_PANEL, out);
    if (cap > 0.0f)
        kernels->softcap(out, cap, NATIVE_PANEL, out);
}

/* Scores of all queries over all positions that the last of them sees. */
static void score(const struct attending *a)
{
    const struct native_kernels *kernels = a->native->kernels;
    const struct native_cache *cache = &a->cache;
    const uint32_t quads = a->shape.quads;
    const uint32_t positions = a->rows[a->row_count - 1].positions;
    for (uint32_t p = a->rows[0].first / NATIVE_PANEL * NATIVE_PANEL; p < positions;
         p += NATIVE_PANEL)
        for (uint32_t first = 0; first < a->queries; first += NATIVE_TILE) {
            const uint32_t tokens = BASE_MIN(a->queries - first, NATIVE_TILE);
            kernels->product(cache->k + (size_t)p * 4 * quads, cache->k_starts + p, quads,
                             a->worker->queries + (size_t)first * quads * NATIVE_TOKEN_QUAD_BYTES,
                             tokens, NULL, 0, a->worker->out);
            for (uint32_t m = 0; m < tokens; m++)
                scale_scores(a, first + m, p, a->worker->out + m * NATIVE_PANEL);
        }
}

/* One tile's weighted sums of values. */
static void weigh(const struct attending *a, uint32_t first, uint32_t tokens)
{
    const struct native *native = a->native;
    const struct native_cache *cache = &a->cache;
    const struct shape *shape = &a->shape;
    const uint32_t base = row_of(a, first)->first / NATIVE_PANEL * NATIVE_PANEL;
    const uint32_t quads = (row_of(a, first + tokens - 1)->positions - base + 3) / 4;
    float factors[NATIVE_TILE];
    for (uint32_t m = 0; m < tokens; m++) {
        const struct query_row *row = row_of(a, first + m);
        const uint8_t exponent =
            BASE_MAX(num_exponent(num_code_scale(row->code)), NUM_EXPONENT_MIN);
        const float denominator = native->kernels->softmax(
            a->worker->scores + (size_t)(first + m) * shape->context + base, cache->v_scales + base,
            row->first - base, row->positions - base, exponent, quads,
            a->worker->weights + m * NATIVE_TOKEN_QUAD_BYTES,
            (size_t)tokens * NATIVE_TOKEN_QUAD_BYTES);
        factors[m] = num_scale_down(exponent) / denominator;
    }
    for (uint32_t d = 0; d < shape->head_dim; d += NATIVE_PANEL) {
        native->kernels->product(cache->v + (size_t)d * shape->context +
                                     (size_t)base * NATIVE_PANEL,
                                 NULL, quads, a->worker->weights, tokens, NULL, 0, a->worker->out);
        for (uint32_t m = 0; m < tokens; m++) {
            const uint32_t head = a->kv_head * shape->group + (first + m) % shape->group;
            float *out = native_row(native, a->stage->outputs[0], row_of(a, first + m)->out_row) +
                         (size_t)head * shape->head_dim + d;
            const uint32_t n = BASE_MIN(shape->head_dim - d, NATIVE_PANEL);
            for (uint32_t i = 0; i < n; i++)
                out[i] = a->worker->out[m * NATIVE_PANEL + i] * factors[m];
        }
    }
}

/* ---- ahead of a unit ------------------------------------------------------------------------- */

/* Beyond so many positions the processor's own prefetching follows the streams. */
#define AHEAD_POSITIONS 128u

static void expect(const void *data, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += 64)
        __builtin_prefetch((const unsigned char *)data + at);
}

/* Has what a unit alone will read, and the lines it will write, fetched from memory: a session's
 * cache was last touched a pass ago, and lies in a dozen places. */
static void expect_unit(const struct native *native, const struct native_stage *stage,
                        const struct native_unit *unit)
{
    const struct shape shape = shape_of(native);
    const struct native_cache cache =
        native_cache_at(native, native->items[unit->item].slot, stage->op->layer, unit->kv_head);
    const uint32_t own = native->row_positions[unit->row];
    const uint32_t base = graph_first_position(stage->op, own) / NATIVE_PANEL * NATIVE_PANEL;
    const uint32_t ends[] = {native_up(BASE_MIN(own + 1 - base, AHEAD_POSITIONS), NATIVE_PANEL),
                             own + 1 - base > AHEAD_POSITIONS ? NATIVE_PANEL : 0};
    const uint32_t begins[] = {base, own / NATIVE_PANEL * NATIVE_PANEL};
    for (uint32_t i = 0; i < 2 && ends[i] > 0; i++) {
        const size_t first = begins[i], n = ends[i];
        expect(cache.k_starts + first, n * sizeof(int32_t));
        expect(cache.k_scales + first, n * sizeof(float));
        expect(cache.v_scales + first, n * sizeof(float));
        expect(cache.k + first * 4 * shape.quads, n * 4 * shape.quads);
        for (size_t d = 0; d < shape.head_dim; d += NATIVE_PANEL)
            expect(cache.v + d * shape.context + first * NATIVE_PANEL, n * NATIVE_PANEL);
    }
    expect(cache.v_codes + own, 1);
    expect(cache.v_most + own, 1);
}

void native_expect_attention(const struct native *native, const struct native_stage *stage,
                             uint32_t index)
{
    const uint32_t first = native->unit_first[index];
    if (first < native->unit_first[index + 1] && native->units[first].alone)
        expect_unit(native, stage, &native->units[first]);
}

static void run_unit(struct native *native, const struct native_stage *stage,
                     const struct native_unit *unit, struct native_worker *worker)
{
    struct attending a = {.native = native,
                          .stage = stage,
                          .shape = shape_of(native),
                          .worker = worker,
                          .cache = native_cache_at(native, native->items[unit->item].slot,
                                                   stage->op->layer, unit->kv_head),
                          .kv_head = unit->kv_head};
    if (unit->alone) {
        if (worker->alone_row != unit->row)
            make_query(native, stage, unit->row, worker->q);
        worker->alone_row = unit->row;
        append(native, stage, unit->row, unit->kv_head, worker);
    }
    collect_rows(&a, unit);
    if (a.row_count == 0)
        return;
    quantise_queries(&a);
    score(&a);
    for (uint32_t first = 0; first < a.queries; first += NATIVE_TILE)
        weigh(&a, first, BASE_MIN(a.queries - first, NATIVE_TILE));
}

void native_attend(struct native *native, const struct native_stage *stage, uint32_t index,
                   const struct native_run *run)
{
    for (uint32_t i = run->first; i < run->end; i++) {
        if (i + 1 < native->unit_first[index + 1] && native->units[i + 1].alone)
            expect_unit(native, stage, &native->units[i + 1]);
        run_unit(native, stage, &native->units[i], &native->workers[index]);
    }
}

void native_attention(struct native *native, const struct native_stage *stage, uint32_t index)
{
    struct native_run run;
    native->workers[index].alone_row = NATIVE_NONE;
    if (native->prepare) {
        prepare(native, stage, index);
        native_pool_barrier(native->pool);
    }
    while (native_take(native, stage, index, &run))
        native_attend(native, stage, index, &run);
}
