/*
 * Lowering attention, first half: the KV cache.
 *
 * Requires: k (after rotary embedding) and v in the head layouts. Fills in: tasks.
 *
 * The cache holds K transposed: weights whose columns are positions, so that one activation vector
 * a head scores a tile of positions; and V as it comes: weights whose rows are positions. Sixteen
 * rows of K, each superlane's bytes repeated in every superlane, go through the transposer, and the
 * superlane of their block of sixteen positions is stored. The scales' codes travel as one more
 * group of rows.
 *
 * Rows wait for their block to fill in a ring of the layer. A chunk that begins at a block's first
 * position needs no ring: token m's row is row m % 16 of block m / 16 of a buffer that all layers
 * share, and only the last block's rows are kept in the layer's ring for the steps that follow.
 */
#include "compile/lower_attention.h"

uint32_t attention_word_heads(const struct attention *a, uint32_t word)
{
    return BASE_MIN(a->plan->heads_word, a->c->graph->kv_heads - word * a->plan->heads_word);
}

uint32_t attention_floats(const struct attention *a, uint32_t count, const char *name, uint32_t i)
{
    return build_buffer(a->c, BUFFER_LINEAR, 4, count, "attention.%s.%u", name, i);
}

uint32_t attention_map(struct compiler *c, const char *name, bool striped, uint32_t count)
{
    uint32_t buffer =
        build_buffer(c, striped ? BUFFER_STRIPE : BUFFER_LINEAR, 1, count, "%s", name);
    c->buffers[buffer].inner = !striped;
    return buffer;
}

struct access attention_by_token(uint32_t buffer, uint32_t base, uint32_t chunk)
{
    return (struct access){.buffer = buffer, .base = base, .n0 = chunk, .s0 = 1, .n1 = 1};
}

uint32_t attention_hemisphere(const struct attention *a, uint32_t word)
{
    return (a->turn + word) % 2;
}

struct access attention_tokens(const struct attention *a, uint32_t buffer, uint32_t piece)
{
    uint32_t stride = a->c->chunk;
    struct access access = access_linear(buffer, piece * stride + a->first);
    access.s0 = a->chunk == stride ? 1 : stride;
    return access;
}

struct access attention_by_head(uint32_t buffer, uint32_t base, uint32_t heads, uint32_t chunk)
{
    return (struct access){.buffer = buffer, .base = base, .n0 = chunk, .n1 = heads, .s1 = 1};
}

/* ---- K and V: codes, bytes, appends ---------------------------------------------------------- */

/* The scale code of each lane, and its maximum over the lanes of a head. */
static uint32_t lower_codes(struct attention *a)
{
    struct compiler *c = a->c;
    uint32_t n = a->plan->kv_words * a->chunk;
    uint32_t bytes = build_buffer(c, BUFFER_STRIPE, 1, 2 * n, "attention.codes");
    const uint32_t tensors[2] = {a->k, a->v};
    for (uint32_t i = 0; i < 2; i++) {
        build_kernel(c, n, "code");
        uint16_t x = build_input(c, attention_tokens(a, tensors[i], 0), 4);
        x = build_op(c, ISA_SHR_B32_IMM, x, REF_NONE, 20);
        x = build_op(c, ISA_AND_B32_IMM, x, REF_NONE, 0x7FF);
        x = build_op(c, ISA_ADD_I32_IMM, x, REF_NONE, 0u - NUM_CODE_BASE);
        x = build_op(c, ISA_CVT_I32_U8, x, REF_NONE, 0);
        build_output(c, x, access_linear(bytes, i * n));
    }
    return lower_max_bytes(c, bytes, 2 * n, true, "attention.code");
}

uint16_t attention_bound(struct compiler *c, uint16_t code)
{
    uint16_t u = build_op(c, ISA_CVT_U8_I32, code, REF_NONE, 0);
    u = build_op(c, ISA_ADD_I32_IMM, u, REF_NONE, NUM_CODE_BASE + 1);
    return build_op(c, ISA_SHL_B32_IMM, u, REF_NONE, 20);
}

/* wide: NONE, or a buffer for the same as 16 bits. */
static uint32_t lower_bytes(struct attention *a, uint32_t tensor, uint32_t first, uint32_t wide,
                            enum buffer_kind kind, const char *name)
{
    struct compiler *c = a->c;
    uint32_t n = a->plan->kv_words * a->chunk;
    uint32_t bytes = build_buffer(c, kind, 1, n, "attention.%s8", name);
    build_kernel(c, n, "quantise");
    uint16_t u = attention_bound(c, build_input(c, access_linear(a->codes, first), 1));
    u = build_op(c, ISA_RDIV_F32_IMM, u, REF_NONE, num_bits(127.0f));
    u = build_op(c, ISA_MUL_F32, build_input(c, attention_tokens(a, tensor, 0), 4), u, 0);
    u = build_op(c, ISA_CVT_F32_I8, u, REF_NONE, 0);
    build_output(c, u, access_linear(bytes, 0));
    if (wide != NONE) {
        u = build_op(c, ISA_CVT_I8_I32, u, REF_NONE, 0);
        build_output(c, build_op(c, ISA_CVT_I32_I16, u, REF_NONE, 0), access_linear(wide, 0));
    }
    return bytes;
}

/* One vector a token, stored in the slice and at the address its position says. */
static void lower_append(struct attention *a, uint32_t in, uint32_t base, const char *map_name,
                         uint32_t target, uint32_t address)
{
    struct compiler *c = a->c;
    c->buffers[in].inner = true; /* apart from every slice that is stored to */
    uint32_t map = attention_map(c, map_name, true, c->chunk * STRIPES);
    for (uint32_t j = 0; j < STRIPES; j += MACHINE_SLICES_PER_POSITION) {
        struct task *task = build_task(c, TASK_SCATTER, a->chunk, "append");
        task->in = access_linear(in, base);
        task->shared_value = true;
        task->map = access_linear(map, a->first * STRIPES + j);
        task->map.s0 = STRIPES;
        task->target_buffer = target;
        task->target_slice = j;
        task->target_address = access_constant(target, address);
    }
}

/* The codes of K and V of all heads of a word, to the lanes of their rows, in every superlane. */
static void lower_code_rows(struct attention *a, uint32_t word, uint32_t codes, struct access out)
{
    struct compiler *c = a->c;
    const struct compile_plan *plan = a->plan;
    uint32_t h = 1 - attention_hemisphere(a, word);
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
                      i == 1 ? out : access_none());
    }
}

/* One superlane's bytes of each token of a word, in every superlane. */
static void lower_replicated(struct attention *a, uint32_t word, uint32_t superlane, uint32_t turn,
                             struct access out)
{
    struct compiler *c = a->c;
    const struct compile_plan *plan = a->plan;
    uint32_t h = turn % 2;
    struct tile tile = {.hemisphere = h,
                        .plane = turn / 2 % MACHINE_PLANES,
                        .slice = plan->group_slice[h][0],
                        .address = plan->constants.replicate[h],
                        .index = superlane,
                        .count = 1,
                        .buffer = NONE};
    build_load(c, &tile, "replicate");
    struct pass *pass = build_pass(c, &tile, a->chunk, true, true, "replicate");
    build_segment(pass, true, 0, access_linear(a->k8, word * a->chunk), out);
}

static void lower_key_rows(struct attention *a, uint32_t word)
{
    struct compiler *c = a->c;
    const struct compile_plan *plan = a->plan;
    uint32_t turn = 1 - attention_hemisphere(a, word) + 2; /* one plane of that hemisphere */
    uint32_t groups = attention_word_heads(a, word) * plan->head_superlanes;
    uint32_t rows = build_buffer(c, BUFFER_LINEAR, 1, plan->key_groups * a->chunk,
                                 "attention.rows.%u", word % 2);
    for (uint32_t s = 0; s < groups; s++) {
        lower_replicated(a, word, s, turn, access_linear(rows, s * a->chunk));
        lower_append(a, rows, s * a->chunk, "k_map", a->key_rows[word], s);
    }
    uint32_t last = plan->key_groups - 1;
    lower_code_rows(a, word, a->codes, access_linear(rows, last * a->chunk));
    lower_append(a, rows, last * a->chunk, "k_map", a->key_rows[word], last);
}

/* ---- the same for a chunk that begins at a block's first position ---------------------------- */

/* Row m % 16 of group `group` of block m / 16, over the tokens m. */
static struct access block_rows(const struct attention *a, uint32_t rows, uint32_t group)
{
    return (struct access){.buffer = rows,
                           .base = group * STRIPES,
                           .n0 = STRIPES,
                           .s0 = 1,
                           .n1 = 1u << 30,
                           .s1 = a->plan->key_groups * STRIPES};
}

static uint32_t lower_aligned_rows(struct attention *a, uint32_t word)
{
    struct compiler *c = a->c;
    const struct compile_plan *plan = a->plan;
    uint32_t groups = attention_word_heads(a, word) * plan->head_superlanes;
    uint32_t rows = build_buffer(c, BUFFER_STRIPE, 1, plan->key_groups * a->chunk,
                                 "attention.rows.%u", word % 2);
    for (uint32_t s = 0; s < groups; s++) {
        lower_replicated(a, word, s, c->turn++, block_rows(a, rows, s));
    }
    lower_code_rows(a, word, a->codes, block_rows(a, rows, plan->key_groups - 1));
    return rows;
}

/* The last block's rows, for the steps that follow. */
static void lower_kept_rows(struct attention *a, uint32_t word, uint32_t rows)
{
    struct compiler *c = a->c;
    uint32_t map = attention_map(c, "k_keep_map", false, 1);
    for (uint32_t j = 0; j < STRIPES; j += MACHINE_SLICES_PER_POSITION) {
        struct task *task = build_task(c, TASK_KEEP, a->plan->key_groups, "keep K");
        task->in = access_linear(rows, 0);
        task->map = access_constant(map, 0);
        task->out = access_linear(a->key_rows[word], 0);
        task->target_slice = j;
    }
}

static void lower_aligned_values(struct attention *a, uint32_t word)
{
    struct compiler *c = a->c;
    uint32_t map = attention_map(c, "v_map", false, c->blocks);
    for (uint32_t j = 0; j < STRIPES; j += MACHINE_SLICES_PER_POSITION) {
        struct task *task = build_task(c, TASK_SCATTER, c->blocks, "append");
        task->in = access_linear(a->v8, word * a->chunk + j);
        task->in.s0 = STRIPES;
        task->map = access_linear(map, 0);
        task->shared_map = true;
        task->target_buffer = a->values[word];
        task->target_slice = j;
        task->target_address = access_constant(a->values[word], 0);
    }
}

/* ---- blocks of columns ----------------------------------------------------------------------- */

/* A copy of the host's map for each position of slices, so that all sixteen can store at once. Made
 * where they are first needed: nothing waits for it. */
static void lower_write_maps(struct compiler *c, uint32_t maps[4])
{
    uint32_t source = attention_map(c, "k_write_map", false, c->blocks);
    bool made = (c->write_maps_made >> c->wave & 1) != 0;
    c->write_maps_made |= 1u << c->wave;
    if (!made) {
        build_kernel(c, c->blocks, "k_write_map");
    }
    uint16_t copy =
        made ? REF_NONE
             : build_op(c, ISA_COPY_B8, build_input(c, access_linear(source, 0), 1), REF_NONE, 0);
    for (uint32_t i = 0; i < 4; i++) {
        maps[i] = build_buffer(c, BUFFER_LINEAR, 1, c->blocks, "k_write_map.%u", i);
        if (!made) {
            build_output(c, copy, access_linear(maps[i], 0));
        }
    }
}

/* Blocks of sixteen positions that the step touches: transposed, into the tiles. `rows`: where they
 * lie block by block, or NONE, when they are gathered from the layer's ring. */
static void lower_key_tiles(struct attention *a, uint32_t word, uint32_t rows)
{
    struct compiler *c = a->c;
    uint32_t groups = a->plan->key_groups;
    uint32_t write_maps[STRIPES / MACHINE_SLICES_PER_POSITION];
    lower_write_maps(c, write_maps);
    for (uint32_t b = a->first_block; b < a->first_block + a->blocks; b++) {
        /* One for each home of tiles: the allocator then keeps it out of their slices. */
        uint32_t home = a->plan->buffers[a->key_tiles[word]].slice;
        uint32_t block =
            build_buffer(c, BUFFER_STRIPE, 1, groups * STRIPES, "key_block.%u.%u", home, b % 2);
        struct task *task = build_task(c, TASK_TRANSPOSE, groups, "transpose K");
        task->hemisphere = NONE;
        task->unit = b % MACHINE_TRANSPOSERS;
        task->rows = 0xFFFF;
        if (rows != NONE) {
            task->in = access_linear(rows, b * groups);
        } else {
            uint32_t map = attention_map(c, "k_read_map", false, c->blocks);
            task->in = access_linear(a->key_rows[word], 0);
            task->offset = access_linear(a->key_rows[word], 0);
            task->map = access_constant(map, b);
        }
        task->out = access_linear(block, 0);
        for (uint32_t j = 0; j < STRIPES; j += MACHINE_SLICES_PER_POSITION) {
            task = build_task(c, TASK_SCATTER, groups, "store K");
            task->in = access_linear(block, j);
            task->in.s0 = STRIPES;
            task->map = access_constant(write_maps[j / MACHINE_SLICES_PER_POSITION], b);
            task->shared_map = true;
            task->target_buffer = a->key_tiles[word];
            task->target_slice = j;
            task->target_address = access_linear(a->key_tiles[word], 0);
        }
    }
}

void attention_quantise(struct attention *a)
{
    uint32_t words = a->plan->kv_words;
    a->codes = lower_codes(a);
    a->k16 = a->own ? build_buffer(a->c, BUFFER_LINEAR, 2, words, "attention.k16") : NONE;
    a->k8 = lower_bytes(a, a->k, 0, a->k16, BUFFER_LINEAR, "k");
    a->v8 = lower_bytes(a, a->v, words * a->chunk, NONE,
                        a->c->aligned ? BUFFER_STRIPE : BUFFER_LINEAR, "v");
}

void attention_append_keys(struct attention *a)
{
    for (uint32_t w = 0; w < a->plan->kv_words; w++) {
        if (a->c->aligned) {
            uint32_t rows = lower_aligned_rows(a, w);
            lower_key_tiles(a, w, rows);
            lower_kept_rows(a, w, rows);
        } else {
            lower_key_rows(a, w);
            lower_key_tiles(a, w, NONE);
        }
    }
}

void attention_append_values(struct attention *a)
{
    for (uint32_t w = 0; w < a->plan->kv_words; w++) {
        if (a->c->aligned) {
            lower_aligned_values(a, w);
        } else {
            lower_append(a, a->v8, w * a->chunk, "v_map", a->values[w], 0);
        }
    }
}

/* ---- scales: lanes = positions --------------------------------------------------------------- */

/* The codes of K (i = 0) or V of a KV head in tile t of the cache. */
static struct access code_row(const struct attention *a, uint32_t t, uint32_t kv, uint32_t i)
{
    const struct compile_plan *plan = a->plan;
    uint32_t vector = (t + 1) * plan->key_groups - 1;
    return access_constant(a->key_tiles[kv / plan->heads_word],
                           vector * STRIPES + kv % plan->heads_word * 2 + i);
}

uint32_t attention_key_scales(struct attention *a)
{
    struct compiler *c = a->c;
    uint32_t kv_heads = c->graph->kv_heads;
    uint32_t scales = attention_floats(a, a->tiles * kv_heads, "scales", 0);
    for (uint32_t kv = 0; kv < kv_heads; kv++) {
        struct access codes = code_row(a, 0, kv, 0), out = access_linear(scales, kv);
        codes.n0 = 1u << 30;
        codes.s0 = a->plan->key_groups * STRIPES;
        out.s0 = kv_heads;
        build_kernel(c, a->tiles, "scale");
        uint16_t u = attention_bound(c, build_input(c, codes, 1));
        u = build_op(c, ISA_MUL_F32_IMM, u, REF_NONE, num_bits(1.0f / 127.0f));
        u = build_op(c, ISA_MUL_F32_IMM, u, REF_NONE, num_bits(c->graph->score_scale));
        build_output(c, u, out);
    }
    return scales;
}

uint32_t attention_value_scales(struct attention *a)
{
    struct compiler *c = a->c;
    uint32_t kv_heads = c->graph->kv_heads;
    uint32_t scales = attention_floats(a, a->tiles * kv_heads, "scales", 1);
    for (uint32_t i = 0; i < a->tiles * kv_heads; i++) {
        uint32_t t = i / kv_heads, kv = i % kv_heads;
        struct access codes =
            a->own ? access_linear(attention_seen(a, t, kv), 0) : code_row(a, t, kv, 1);
        build_kernel(c, 1, "scale");
        uint16_t u = attention_bound(c, build_input(c, codes, 1));
        u = build_op(c, ISA_MUL_F32_IMM, u, REF_NONE, num_bits(1.0f / 127.0f));
        build_output(c, u, access_linear(scales, i));
    }
    return scales;
}

/* ---- bounds from the values' codes: known before any score ----------------------------------- */

uint32_t attention_seen(struct attention *a, uint32_t t, uint32_t kv)
{
    return build_buffer(a->c, BUFFER_LINEAR, 1, a->chunk, "attention.seen.%u.%u", t, kv);
}

static void lower_seen_codes(struct attention *a, uint32_t t, uint32_t kv, uint32_t spread)
{
    struct compiler *c = a->c;
    uint32_t mask = attention_map(c, a->mask, false, a->tiles * c->chunk);
    build_kernel(c, a->chunk, "seen codes");
    uint16_t code = build_input(c, code_row(a, t, kv, 1), 1);
    uint16_t allowed = build_input(c, access_linear(mask, t * c->chunk + a->first), 1);
    code = build_op(c, ISA_SELECT_B8_IMM, allowed, code, 0);
    if (a->own) {
        uint16_t here =
            build_input(c,
                        access_constant(attention_map(c, "own", false, a->tiles * c->chunk),
                                        t * c->chunk + a->first),
                        1);
        uint16_t own = build_input(c, access_constant(a->own_codes[1], kv), 1);
        code = build_op(c, ISA_OR_B8, code, build_op(c, ISA_SELECT_B8_IMM, here, own, 0), 0);
    }
    build_output(c, code, access_linear(attention_seen(a, t, kv), 0));
    if (a->tiles == 1) {
        build_output(c, code, access_linear(spread, kv * a->chunk));
    }
}

/* 2^(141-E) and 2^(E-141) of the exponent of a code's bound, times `factor`; E too, unless NONE. */
static void lower_bound_scales(struct compiler *c, struct access codes, uint32_t n, float factor,
                               uint32_t up, struct access down, struct access exponent)
{
    build_kernel(c, n, "bound");
    uint16_t u = attention_bound(c, build_input(c, codes, 1));
    u = build_op(c, ISA_MUL_F32_IMM, u, REF_NONE, num_bits(factor));
    u = build_op(c, ISA_AND_B32_IMM, u, REF_NONE, 0x7F800000u);
    build_output(c, build_op(c, ISA_RSUB_I32_IMM, u, REF_NONE, 268u << 23), access_linear(up, 0));
    build_output(c, build_op(c, ISA_ADD_I32_IMM, u, REF_NONE, 0u - (14u << 23)), down);
    if (exponent.buffer != NONE) {
        build_output(c, build_op(c, ISA_SHR_B32_IMM, u, REF_NONE, EXPONENT_SHIFT), exponent);
    }
}

/* The codes of one KV head over all tiles: into vectors kv * chunk .. of `spread`; returns them
 * again apart from the other heads', for the largest of all. */
static struct access lower_head_codes(struct attention *a, uint32_t kv, uint32_t spread)
{
    struct compiler *c = a->c;
    struct access tiles[KERNEL_INPUTS_MAX];
    for (uint32_t t = 0; t < a->tiles; t++) {
        lower_seen_codes(a, t, kv, spread);
        tiles[t] = access_linear(attention_seen(a, t, kv), 0);
    }
    if (a->tiles == 1) {
        return tiles[0];
    }
    uint32_t all = build_buffer(c, BUFFER_LINEAR, 1, a->chunk, "attention.seen_all.%u", kv);
    const struct access outs[2] = {access_linear(spread, kv * a->chunk), access_linear(all, 0)};
    for (uint32_t i = 0; i < (c->graph->kv_heads > 1 ? 2u : 1u); i++) {
        lower_reduce_burst(c, ISA_MAX_U8, tiles, a->tiles, 1, a->chunk, outs[i], "largest code");
    }
    return outs[1];
}

void attention_bounds(struct attention *a)
{
    struct compiler *c = a->c;
    uint32_t kv_heads = c->graph->kv_heads, n = kv_heads * a->chunk;
    uint32_t items = n + (kv_heads > 1 ? a->chunk : 0);
    uint32_t spread = build_buffer(c, BUFFER_STRIPE, 1, items, "attention.seen_codes");
    struct access *heads = BASE_NEW(&c->arena, struct access, kv_heads);
    for (uint32_t kv = 0; kv < kv_heads; kv++) {
        heads[kv] = lower_head_codes(a, kv, spread);
    }
    if (kv_heads > 1) {
        lower_reduce_burst(c, ISA_MAX_U8, heads, kv_heads, 1, a->chunk, access_linear(spread, n),
                           "largest code of all");
    }
    uint32_t codes = lower_max_bytes(c, spread, items, false, "attention.value");
    a->weight_up = attention_floats(a, n, "weight.up", 0);
    a->weight_down = attention_floats(a, n, "weight.down", 0);
    a->output_up = attention_floats(a, a->chunk, "output.up", 0);
    lower_bound_scales(c, access_linear(codes, 0), n, 1.0f / 127.0f, a->weight_up,
                       access_linear(a->weight_down, 0), access_none());
    lower_bound_scales(c, access_linear(codes, items - a->chunk), a->chunk, 1.0f, a->output_up,
                       attention_tokens(a, a->result.down, 0),
                       attention_tokens(a, a->result.exponent, 0));
}
