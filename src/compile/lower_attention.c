/*
 * Lowering attention: the KV cache's appends, scores, softmax, weighted sum.
 *
 * Requires: q, k (after rotary embedding) and v in the head layouts. Fills in: tasks.
 *
 * The cache holds K transposed: weights whose columns are positions, so that one activation vector
 * a head scores a tile of positions; and V as it comes: weights whose rows are positions. Sixteen
 * rows of K, each superlane's bytes repeated in every superlane, go through the transposer, and the
 * superlane of their block of sixteen positions is stored. The scales' codes travel as one more
 * group of rows.
 *
 * Items are pairs (query head, token), head-major: item = head * chunk + token.
 */
#include "compile/internal.h"

struct attention {
    struct compiler *c;
    const struct compile_plan *plan;
    const struct plan_layer *layer;
    uint32_t chunk, tiles, items, groups; /* groups: query heads a KV head */
    uint32_t q, k, v;
    /* What the values' codes bound, per KV head and token, and per token. */
    uint32_t weight_up, weight_down, output_up;
    const struct attention_result *result;
};

static uint32_t word_heads(const struct attention *a, uint32_t word)
{
    return BASE_MIN(a->plan->heads_word, a->c->graph->kv_heads - word * a->plan->heads_word);
}

static uint32_t floats(const struct attention *a, uint32_t count, const char *name, uint32_t i)
{
    return build_buffer(a->c, BUFFER_LINEAR, 4, count, "attention.%s.%u", name, i);
}

/* ---- K and V: codes, bytes, appends
 * ------------------------------------------------------------------------ */

/* The scale code of each lane, and its maximum over the lanes of a head. */
static uint32_t lower_codes(struct attention *a)
{
    struct compiler *c = a->c;
    uint32_t n = a->plan->kv_words * a->chunk;
    uint32_t bytes = build_buffer(c, BUFFER_STRIPE, 1, 2 * n, "attention.codes");
    const uint32_t tensors[2] = {a->k, a->v};
    for (uint32_t i = 0; i < 2; i++) {
        build_kernel(c, n, "code");
        uint16_t x = build_input(c, access_linear(tensors[i], 0), 4);
        x = build_op(c, ISA_SHR_B32_IMM, x, REF_NONE, 20);
        x = build_op(c, ISA_AND_B32_IMM, x, REF_NONE, 0x7FF);
        x = build_op(c, ISA_ADD_I32_IMM, x, REF_NONE, 0u - NUM_CODE_BASE);
        x = build_op(c, ISA_CVT_I32_U8, x, REF_NONE, 0);
        build_output(c, x, access_linear(bytes, i * n));
    }
    return lower_max_bytes(c, bytes, 2 * n, true, "attention.code");
}

/* U: the bound of a code, as ops. */
static uint16_t lower_bound(struct compiler *c, uint16_t code)
{
    uint16_t u = build_op(c, ISA_CVT_U8_I32, code, REF_NONE, 0);
    u = build_op(c, ISA_ADD_I32_IMM, u, REF_NONE, NUM_CODE_BASE + 1);
    return build_op(c, ISA_SHL_B32_IMM, u, REF_NONE, 20);
}

static uint32_t lower_bytes(struct attention *a, uint32_t tensor, uint32_t codes, uint32_t first,
                            const char *name)
{
    struct compiler *c = a->c;
    uint32_t n = a->plan->kv_words * a->chunk;
    uint32_t bytes = build_buffer(c, BUFFER_LINEAR, 1, n, "attention.%s8", name);
    build_kernel(c, n, "quantise");
    uint16_t u = lower_bound(c, build_input(c, access_linear(codes, first), 1));
    u = build_op(c, ISA_RDIV_F32_IMM, u, REF_NONE, num_bits(127.0f));
    u = build_op(c, ISA_MUL_F32, build_input(c, access_linear(tensor, 0), 4), u, 0);
    build_output(c, build_op(c, ISA_CVT_F32_I8, u, REF_NONE, 0), access_linear(bytes, 0));
    return bytes;
}

static uint32_t map_buffer(struct compiler *c, const char *name, bool striped, uint32_t count)
{
    uint32_t buffer =
        build_buffer(c, striped ? BUFFER_STRIPE : BUFFER_LINEAR, 1, count, "%s", name);
    c->buffers[buffer].inner = !striped;
    return buffer;
}

/* One vector a token, stored in the slice and at the address its position says. */
static void lower_append(struct attention *a, uint32_t in, uint32_t base, const char *map_name,
                         uint32_t target, uint32_t address)
{
    struct compiler *c = a->c;
    uint32_t map = map_buffer(c, map_name, true, a->chunk * STRIPES);
    for (uint32_t j = 0; j < STRIPES; j += MACHINE_SLICES_PER_POSITION) {
        struct task *task = build_task(c, TASK_SCATTER, a->chunk, "append");
        task->in = access_linear(in, base);
        task->shared_value = true;
        task->map = access_linear(map, j);
        task->map.s0 = STRIPES;
        task->target_buffer = target;
        task->target_slice = j;
        task->target_address = access_constant(target, address);
    }
}

/* The codes of K and V of all heads of a word, to the lanes of their rows, in every superlane. */
static void lower_code_rows(struct attention *a, uint32_t word, uint32_t codes, uint32_t out,
                            uint32_t base)
{
    struct compiler *c = a->c;
    const struct compile_plan *plan = a->plan;
    uint32_t h = (c->layer + word + 1) % 2;
    const uint32_t addresses[2] = {plan->constants.select_k[h], plan->constants.select_v[h]};
    for (uint32_t i = 0; i < 2; i++) {
        struct tile tile = {.hemisphere = h,
                            .plane = 1,
                            .slice = plan->group_slice[h][0],
                            .address = addresses[i],
                            .address_step = 1,
                            .index_step = plan->head_superlanes,
                            .count = plan->heads_word,
                            .buffer = NONE};
        build_load(c, &tile, "codes");
        struct pass *pass = build_pass(c, &tile, a->chunk, i == 0, i == 1, "codes");
        build_segment(pass, false, 0, access_linear(codes, (i * plan->kv_words + word) * a->chunk),
                      i == 1 ? access_linear(out, base) : access_none());
    }
}

static void lower_key_rows(struct attention *a, uint32_t word, uint32_t k8, uint32_t codes)
{
    struct compiler *c = a->c;
    const struct compile_plan *plan = a->plan;
    uint32_t h = (c->layer + word + 1) % 2;
    uint32_t groups = word_heads(a, word) * plan->head_superlanes;
    uint32_t rows = build_buffer(c, BUFFER_LINEAR, 1, plan->key_groups * a->chunk,
                                 "attention.rows.%u", word % 2);
    for (uint32_t s = 0; s < groups; s++) {
        struct tile tile = {.hemisphere = h,
                            .plane = 1,
                            .slice = plan->group_slice[h][0],
                            .address = plan->constants.replicate[h],
                            .index = s,
                            .count = 1,
                            .buffer = NONE};
        build_load(c, &tile, "replicate");
        struct pass *pass = build_pass(c, &tile, a->chunk, true, true, "replicate");
        build_segment(pass, true, 0, access_linear(k8, word * a->chunk),
                      access_linear(rows, s * a->chunk));
        lower_append(a, rows, s * a->chunk, "k_map", a->layer->key_rows[word], s);
    }
    uint32_t last = plan->key_groups - 1;
    lower_code_rows(a, word, codes, rows, last * a->chunk);
    lower_append(a, rows, last * a->chunk, "k_map", a->layer->key_rows[word], last);
}

/* Blocks of sixteen positions that the step touches: transposed, into the tiles. */
static void lower_key_tiles(struct attention *a, uint32_t word)
{
    struct compiler *c = a->c;
    uint32_t groups = a->plan->key_groups;
    uint32_t read_map = map_buffer(c, "k_read_map", false, c->blocks);
    uint32_t write_map = map_buffer(c, "k_write_map", false, c->blocks);
    for (uint32_t b = 0; b < c->blocks; b++) {
        /* One for each home of tiles: the allocator then keeps it out of their slices. */
        uint32_t home = a->plan->buffers[a->layer->key_tiles[word]].slice;
        uint32_t block = build_buffer(c, BUFFER_STRIPE, 1, groups * STRIPES,
                                      "attention.block.%u.%u", home, b % 2);
        struct task *task = build_task(c, TASK_TRANSPOSE, groups, "transpose K");
        task->hemisphere = NONE;
        task->unit = b % MACHINE_TRANSPOSERS;
        task->rows = 0xFFFF;
        task->in = access_linear(a->layer->key_rows[word], 0);
        task->offset = access_linear(a->layer->key_rows[word], 0);
        task->map = access_constant(read_map, b);
        task->out = access_linear(block, 0);
        for (uint32_t j = 0; j < STRIPES; j += MACHINE_SLICES_PER_POSITION) {
            task = build_task(c, TASK_SCATTER, groups, "store K");
            task->in = access_linear(block, j);
            task->in.s0 = STRIPES;
            task->map = access_constant(write_map, b);
            task->shared_map = true;
            task->target_buffer = a->layer->key_tiles[word];
            task->target_slice = j;
            task->target_address = access_linear(a->layer->key_tiles[word], 0);
        }
    }
}

/* Scales of K (times 1/sqrt(head_dim)) and V, lanes = positions: vector tile * kv_heads + head. */
static void lower_scales(struct attention *a, uint32_t scales[2])
{
    struct compiler *c = a->c;
    const struct compile_plan *plan = a->plan;
    uint32_t kv_heads = c->graph->kv_heads;
    for (uint32_t i = 0; i < 2; i++) {
        scales[i] = floats(a, a->tiles * kv_heads, "scales", i);
        for (uint32_t kv = 0; kv < kv_heads; kv++) {
            uint32_t row = kv % plan->heads_word * 2 + i;
            struct access codes = access_linear(a->layer->key_tiles[kv / plan->heads_word],
                                                (plan->key_groups - 1) * STRIPES + row);
            codes.s0 = plan->key_groups * STRIPES;
            struct access out = access_linear(scales[i], kv);
            out.s0 = kv_heads;
            build_kernel(c, a->tiles, "scale");
            uint16_t u = lower_bound(c, build_input(c, codes, 1));
            u = build_op(c, ISA_MUL_F32_IMM, u, REF_NONE, num_bits(1.0f / 127.0f));
            if (i == 0) {
                float factor = num_rsqrt((float)c->graph->head_dim);
                u = build_op(c, ISA_MUL_F32_IMM, u, REF_NONE, num_bits(factor));
            }
            build_output(c, u, out);
        }
    }
}

/* ---- scores
 * ----------------------------------------------------------------------------------------------------
 */

/* Query heads as 16-bit activations, zero outside their KV head's lanes: [items]. */
static uint32_t lower_queries(struct attention *a, uint32_t *down)
{
    struct compiler *c = a->c;
    uint32_t pieces = a->plan->kv_words * a->groups;
    uint32_t bytes = build_buffer(c, BUFFER_STRIPE, 1, a->chunk, "attention.q.bytes");
    lower_exponents(c, a->q, pieces, a->chunk, bytes, 0, "attention.q");
    uint32_t exponents = lower_max_bytes(c, bytes, a->chunk, false, "attention.q");
    *down = floats(a, a->chunk, "q.down", 0);
    build_kernel(c, a->chunk, "q scale");
    build_output(c, lower_scale_down(c, access_linear(exponents, 0)), access_linear(*down, 0));
    uint32_t q16 = build_buffer(c, BUFFER_LINEAR, 2, a->items, "attention.q16");
    for (uint32_t head = 0; head < c->graph->heads; head++) {
        uint32_t kv = head / a->groups, word = kv / a->plan->heads_word;
        uint32_t piece = word * a->groups + head % a->groups;
        build_kernel(c, a->chunk, "quantise q");
        uint16_t up = lower_scale_up(c, access_linear(exponents, 0));
        uint16_t x = build_input(c, access_linear(a->q, piece * a->chunk), 4);
        if (word_heads(a, word) > 1) {
            struct access mask =
                access_constant(a->plan->constants.head_mask, kv % a->plan->heads_word);
            x = build_op(c, ISA_SELECT_F32_IMM, build_input(c, mask, 1), x, 0);
        }
        x = build_op(c, ISA_MUL_F32, x, up, 0);
        build_output(c, build_op(c, ISA_CVT_F32_I16, x, REF_NONE, 0),
                     access_linear(q16, head * a->chunk));
    }
    return q16;
}

static void lower_score_sums(struct attention *a, uint32_t word, uint32_t t, uint32_t q16,
                             uint32_t hi, uint32_t lo)
{
    struct compiler *c = a->c;
    const struct compile_plan *plan = a->plan;
    uint32_t buffer = a->layer->key_tiles[word];
    const struct buffer *cache = &plan->buffers[buffer];
    uint32_t heads = word_heads(a, word) * a->groups;
    uint32_t first = word * plan->heads_word * a->groups * a->chunk;
    struct tile tile = {.hemisphere = (c->layer + word) % 2,
                        .plane = 0,
                        .slice = cache->slice,
                        .address = cache->address + t * plan->key_groups,
                        .address_step = 1,
                        .index_step = 1,
                        .count = word_heads(a, word) * plan->head_superlanes,
                        .buffer = buffer};
    build_load(c, &tile, "K");
    struct pass *pass = build_pass(c, &tile, heads * a->chunk, true, true, "scores");
    build_segment(pass, true, 1, access_linear(q16, first), access_linear(hi, first));
    build_segment(pass, false, 0, access_linear(q16, first), access_linear(lo, first));
}

static struct access by_token(uint32_t buffer, uint32_t base, uint32_t chunk)
{
    return (struct access){.buffer = buffer, .base = base, .n0 = chunk, .s0 = 1, .n1 = 1};
}

/* score[tile][item], masked positions -infinity; a copy for the maximum when there is but one tile.
 */
static void lower_scores(struct attention *a, uint32_t t, uint32_t q16, uint32_t down,
                         uint32_t scales, uint32_t spread)
{
    struct compiler *c = a->c;
    uint32_t hi = floats(a, a->items, "score_hi", t % 2),
             lo = floats(a, a->items, "score_lo", t % 2);
    uint32_t score = floats(a, a->items, "score", t), n = a->groups * a->chunk;
    uint32_t mask = map_buffer(c, "mask", false, a->tiles * a->chunk);
    for (uint32_t word = 0; word < a->plan->kv_words; word++) {
        lower_score_sums(a, word, t, q16, hi, lo);
    }
    for (uint32_t kv = 0; kv < c->graph->kv_heads; kv++) {
        build_kernel(c, n, "score");
        uint16_t s = lower_combine(c, access_linear(hi, kv * n), access_linear(lo, kv * n));
        s = build_op(c, ISA_MUL_F32, s, build_input(c, by_token(down, 0, a->chunk), 4), 0);
        struct access scale = access_constant(scales, t * c->graph->kv_heads + kv);
        s = build_op(c, ISA_MUL_F32, s, build_input(c, scale, 4), 0);
        uint16_t allowed = build_input(c, by_token(mask, t * a->chunk, a->chunk), 1);
        s = build_op(c, ISA_SELECT_F32_IMM, allowed, s, 0xFF800000u);
        build_output(c, s, access_linear(score, kv * n));
        if (a->tiles == 1) {
            build_output(c, s, access_linear(spread, kv * n));
        }
    }
}

/* ---- bounds from the values' codes: known before any score
 * ------------------------------------------------ */

/* The codes of one KV head at the positions of tile t that each token may see, else 0. */
static uint32_t lower_seen_codes(struct attention *a, uint32_t t, uint32_t kv, uint32_t spread)
{
    struct compiler *c = a->c;
    const struct compile_plan *plan = a->plan;
    uint32_t seen = build_buffer(c, BUFFER_LINEAR, 1, a->chunk, "attention.seen.%u.%u", t, kv);
    uint32_t vector = (t + 1) * plan->key_groups - 1;
    struct access row = access_constant(a->layer->key_tiles[kv / plan->heads_word],
                                        vector * STRIPES + kv % plan->heads_word * 2 + 1);
    uint32_t mask = map_buffer(c, "mask", false, a->tiles * a->chunk);
    build_kernel(c, a->chunk, "seen codes");
    uint16_t code = build_op(c, ISA_CVT_U8_I32, build_input(c, row, 1), REF_NONE, 0);
    uint16_t allowed = build_input(c, access_linear(mask, t * a->chunk), 1);
    code = build_op(c, ISA_SELECT_F32_IMM, allowed, code, 0);
    build_output(c, code, access_linear(seen, 0));
    if (a->tiles == 1) {
        build_output(c, code, access_linear(spread, kv * a->chunk));
    }
    return seen;
}

/* 2^(141-E) and 2^(E-141) of the exponent of a code's bound, times `factor`. */
static void lower_bound_scales(struct compiler *c, struct access codes, uint32_t n, float factor,
                               uint32_t up, uint32_t down)
{
    build_kernel(c, n, "bound");
    uint16_t u = lower_bound(c, build_input(c, codes, 1));
    u = build_op(c, ISA_MUL_F32_IMM, u, REF_NONE, num_bits(factor));
    u = build_op(c, ISA_AND_B32_IMM, u, REF_NONE, 0x7F800000u);
    build_output(c, build_op(c, ISA_RSUB_I32_IMM, u, REF_NONE, 268u << 23), access_linear(up, 0));
    build_output(c, build_op(c, ISA_ADD_I32_IMM, u, REF_NONE, 0u - (14u << 23)),
                 access_linear(down, 0));
}

static void lower_bounds(struct attention *a)
{
    struct compiler *c = a->c;
    uint32_t kv_heads = c->graph->kv_heads, n = kv_heads * a->chunk;
    uint32_t items = n + (kv_heads > 1 ? a->chunk : 0), count = 0;
    uint32_t spread = build_buffer(c, BUFFER_STRIPE, 1, items, "attention.seen_codes");
    struct access *seen = BASE_NEW(&c->arena, struct access, (size_t)kv_heads * a->tiles);
    for (uint32_t kv = 0; kv < kv_heads; kv++) {
        for (uint32_t t = 0; t < a->tiles; t++) {
            seen[count++] = access_linear(lower_seen_codes(a, t, kv, spread), 0);
        }
        if (a->tiles > 1) {
            lower_reduce_burst(c, ISA_MAX_U8, &seen[kv * a->tiles], a->tiles, 1, a->chunk,
                               access_linear(spread, kv * a->chunk), "largest code");
        }
    }
    if (kv_heads > 1) {
        lower_reduce_burst(c, ISA_MAX_U8, seen, count, 1, a->chunk, access_linear(spread, n),
                           "largest code");
    }
    uint32_t codes = lower_max_bytes(c, spread, items, false, "attention.value");
    a->weight_up = floats(a, n, "weight.up", 0);
    a->weight_down = floats(a, n, "weight.down", 0);
    a->output_up = floats(a, a->chunk, "output.up", 0);
    lower_bound_scales(c, access_linear(codes, 0), n, 1.0f / 127.0f, a->weight_up, a->weight_down);
    lower_bound_scales(c, access_linear(codes, items - a->chunk), a->chunk, 1.0f, a->output_up,
                       a->result->down);
}

/* ---- softmax, weighted sum
 * ----------------------------------------------------------------------------------------- */

/* e = exp(s - max): on the grid for the denominator; times V's scale, as 16 bits, for the sum. */
static uint32_t lower_exponentials(struct attention *a, uint32_t t, uint32_t maximum,
                                   uint32_t scales)
{
    struct compiler *c = a->c;
    uint32_t n = a->groups * a->chunk, score = floats(a, a->items, "score", t);
    uint32_t grid = floats(a, a->items, "grid", t);
    uint32_t p16 = build_buffer(c, BUFFER_LINEAR, 2, a->items, "attention.p16.%u", t);
    for (uint32_t kv = 0; kv < c->graph->kv_heads; kv++) {
        build_kernel(c, n, "exp");
        uint16_t s = build_input(c, access_linear(score, kv * n), 4);
        uint16_t e =
            build_op(c, ISA_SUB_F32, s, build_input(c, access_linear(maximum, kv * n), 4), 0);
        e = build_op(c, ISA_EXP_F32, e, REF_NONE, 0);
        uint16_t g = build_op(c, ISA_MUL_F32_IMM, e, REF_NONE, num_bits(8388608.0f));
        build_output(c, build_op(c, ISA_CVT_F32_I32, g, REF_NONE, 0), access_linear(grid, kv * n));
        struct access scale = access_constant(scales, t * c->graph->kv_heads + kv);
        uint16_t w = build_op(c, ISA_MUL_F32, e, build_input(c, scale, 4), 0);
        struct access up = by_token(a->weight_up, kv * a->chunk, a->chunk);
        w = build_op(c, ISA_MUL_F32, w, build_input(c, up, 4), 0);
        build_output(c, build_op(c, ISA_CVT_F32_I16, w, REF_NONE, 0), access_linear(p16, kv * n));
    }
    return p16;
}

/* 2^(E-141) / denominator for every item. */
static uint32_t lower_ratios(struct attention *a)
{
    struct compiler *c = a->c;
    const uint32_t planes[3] = {2, 1, 0};
    uint32_t grids[KERNEL_INPUTS_MAX], sums[3], n = a->groups * a->chunk;
    for (uint32_t t = 0; t < a->tiles; t++) {
        grids[t] = floats(a, a->items, "grid", t);
    }
    for (uint32_t s = 0; s < 3; s++) {
        sums[s] = floats(a, a->items, "denominator", s);
    }
    lower_ones(c, grids, a->tiles, 0, a->items, planes, sums, 3, "denominator");
    uint32_t ratio = floats(a, a->items, "ratio", 0);
    for (uint32_t kv = 0; kv < c->graph->kv_heads; kv++) {
        build_kernel(c, n, "denominator");
        uint16_t d =
            lower_combine(c, access_linear(sums[0], kv * n), access_linear(sums[1], kv * n));
        uint16_t low = build_input(c, access_linear(sums[2], kv * n), 4);
        low = build_op(c, ISA_CVT_I32_F32, low, REF_NONE, 0);
        d = build_op(c, ISA_FMA_F32_IMM, d, low, num_bits(256.0f));
        d = build_op(c, ISA_MUL_F32_IMM, d, REF_NONE, num_bits(1.0f / 8388608.0f));
        uint16_t down = build_input(c, by_token(a->weight_down, kv * a->chunk, a->chunk), 4);
        build_output(c, build_op(c, ISA_DIV_F32, down, d, 0), access_linear(ratio, kv * n));
    }
    return ratio;
}

static void lower_weigh_word(struct attention *a, uint32_t word, const uint32_t *p16, uint32_t hi,
                             uint32_t lo)
{
    struct compiler *c = a->c;
    const struct compile_plan *plan = a->plan;
    uint32_t buffer = a->layer->values[word];
    const struct buffer *cache = &plan->buffers[buffer];
    uint32_t n = word_heads(a, word) * a->groups * a->chunk;
    uint32_t base = word * plan->heads_word * a->groups * a->chunk;
    uint32_t batch = a->tiles == 1 ? n : BASE_MIN(n, c->machine->mxm_accumulators / 2);
    for (uint32_t first = 0; first < n; first += batch) {
        for (uint32_t t = 0; t < a->tiles; t++) {
            struct tile tile = {.hemisphere = (c->layer + word) % 2,
                                .plane = 1,
                                .slice = cache->slice,
                                .address = cache->address + t * plan->superlanes,
                                .address_step = 1,
                                .index_step = 1,
                                .count = plan->superlanes,
                                .buffer = buffer};
            bool last = t + 1 == a->tiles;
            build_load(c, &tile, "V");
            struct pass *pass =
                build_pass(c, &tile, BASE_MIN(batch, n - first), t == 0, last, "weigh");
            struct access in = access_linear(p16[t], base + first);
            struct access out = access_linear(hi, base + first);
            build_segment(pass, true, 1, in, last ? out : access_none());
            out.buffer = lo;
            build_segment(pass, false, 0, in, last ? out : access_none());
        }
    }
}

/* Ends the open kernel: o as 16 bits, for the product that follows. */
static void end_output(struct attention *a, uint16_t o, uint32_t word)
{
    struct compiler *c = a->c;
    uint16_t up = build_input(c, by_token(a->output_up, 0, a->chunk), 4);
    o = build_op(c, ISA_MUL_F32, o, up, 0);
    build_output(c, build_op(c, ISA_CVT_F32_I16, o, REF_NONE, 0),
                 access_linear(a->result->q16, word * a->groups * a->chunk));
}

/* Each head's sums, scaled, into the lanes of its KV head; heads that share a vector are or-ed
 * together. */
static void lower_outputs(struct attention *a, uint32_t word, uint32_t hi, uint32_t lo,
                          uint32_t ratio)
{
    struct compiler *c = a->c;
    uint32_t n = a->groups * a->chunk, heads = word_heads(a, word);
    struct access parts[STRIPES];
    for (uint32_t i = 0; i < heads; i++) {
        uint32_t item = (word * a->plan->heads_word + i) * n;
        build_kernel(c, n, "output");
        uint16_t o = lower_combine(c, access_linear(hi, item), access_linear(lo, item));
        o = build_op(c, ISA_MUL_F32, o, build_input(c, access_linear(ratio, item), 4), 0);
        if (heads == 1) {
            end_output(a, o, word);
            return;
        }
        struct access bits = access_constant(a->plan->constants.head_bits, i);
        o = build_op(c, ISA_AND_B32, o, build_input(c, bits, 4), 0);
        parts[i] = access_linear(floats(a, n, "part", i), 0);
        build_output(c, o, parts[i]);
    }
    uint16_t refs[STRIPES];
    build_kernel(c, n, "merge");
    for (uint32_t i = 0; i < heads; i++) {
        refs[i] = build_input(c, parts[i], 4);
    }
    end_output(a, build_reduce(c, ISA_OR_B32, refs, heads, 2), word);
}

static void lower_weighted_sum(struct attention *a, const uint32_t *p16, uint32_t ratio)
{
    uint32_t hi = floats(a, a->items, "weighed_hi", 0), lo = floats(a, a->items, "weighed_lo", 0);
    for (uint32_t word = 0; word < a->plan->kv_words; word++) {
        lower_weigh_word(a, word, p16, hi, lo);
    }
    for (uint32_t word = 0; word < a->plan->kv_words; word++) {
        lower_outputs(a, word, hi, lo, ratio);
    }
}

/* The largest score of each item, in every lane. */
static uint32_t lower_maxima(struct attention *a, uint32_t spread)
{
    struct compiler *c = a->c;
    if (a->tiles > 1) {
        struct access scores[KERNEL_INPUTS_MAX];
        for (uint32_t t = 0; t < a->tiles; t++) {
            scores[t] = access_linear(floats(a, a->items, "score", t), 0);
        }
        lower_reduce_burst(c, ISA_MAX_F32, scores, a->tiles, 4, a->items, access_linear(spread, 0),
                           "max score");
    }
    return lower_max_f32(c, spread, a->items, "attention.score");
}

void lower_attention(struct compiler *c, uint32_t q, uint32_t k, uint32_t v,
                     const struct attention_result *result)
{
    struct attention a = {.c = c,
                          .plan = c->plan,
                          .layer = &c->plan->layers[c->layer],
                          .chunk = c->chunk,
                          .tiles = c->tiles,
                          .items = c->graph->heads * c->chunk,
                          .groups = c->plan->group_heads,
                          .q = q,
                          .k = k,
                          .v = v,
                          .result = result};
    uint32_t codes = lower_codes(&a), scales[2], down, p16[KERNEL_INPUTS_MAX];
    uint32_t k8 = lower_bytes(&a, k, codes, 0, "k");
    uint32_t v8 = lower_bytes(&a, v, codes, c->plan->kv_words * c->chunk, "v");
    for (uint32_t w = 0; w < c->plan->kv_words; w++) {
        lower_append(&a, v8, w * c->chunk, "v_map", a.layer->values[w], 0);
        lower_key_rows(&a, w, k8, codes);
        lower_key_tiles(&a, w);
    }
    uint32_t q16 = lower_queries(&a, &down);
    lower_scales(&a, scales);
    uint32_t spread = build_buffer(c, BUFFER_SKEW, 4, a.items, "attention.maxima");
    for (uint32_t t = 0; t < a.tiles; t++) {
        lower_scores(&a, t, q16, down, scales[0], spread);
    }
    uint32_t maximum = lower_maxima(&a, spread);
    lower_bounds(&a);
    for (uint32_t t = 0; t < a.tiles; t++) {
        p16[t] = lower_exponentials(&a, t, maximum, scales[1]);
    }
    lower_weighted_sum(&a, p16, lower_ratios(&a));
}
