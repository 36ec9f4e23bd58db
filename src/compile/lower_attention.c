/*
 * Lowering attention, second half: scores, softmax, weighted sum.
 *
 * Requires: q (after rotary embedding) as 16-bit activations, the cache with the step's tokens.
 * Fills in: tasks; 16-bit activations of the product that follows.
 *
 * Items are pairs (query head, token), head-major: item = head * chunk + token.
 */
#include "compile/lower_attention.h"

/* ---- scores ---------------------------------------------------------------------------------- */

/* In the kernel that makes the pieces of a word of query heads: their 16-bit activations, each head
 * in the lanes of its KV head. */
void lower_queries(struct compiler *c, uint16_t x, uint32_t word, uint32_t q16)
{
    const struct plan_layer *layer = &c->plan->layers[c->layer];
    uint32_t groups = c->plan->group_heads;
    struct access up = attention_by_head(layer->query_up, word * groups, groups, c->chunk);
    x = build_op(c, ISA_MUL_F32, x, build_input(c, up, 4), 0);
    build_output(c, build_op(c, ISA_CVT_F32_I16, x, REF_NONE, 0),
                 access_linear(q16, word * groups * c->chunk));
}

/* Scores of one KV head's queries: only the rows of its lanes are loaded, the others count as zero.
 */
static void lower_score_sums(struct attention *a, uint32_t kv, uint32_t t, uint32_t hi, uint32_t lo)
{
    struct compiler *c = a->c;
    const struct compile_plan *plan = a->plan;
    uint32_t word = kv / plan->heads_word, index = kv % plan->heads_word * plan->head_superlanes;
    uint32_t buffer = a->key_tiles[word], n = a->groups * a->chunk;
    const struct buffer *cache = &plan->buffers[buffer];
    struct tile tile = {.hemisphere = attention_hemisphere(a, word),
                        .plane = 0,
                        .slice = cache->slice,
                        .address = cache->address + t * plan->key_groups + index,
                        .address_step = 1,
                        .index = index,
                        .index_step = 1,
                        .count = plan->head_superlanes,
                        .buffer = buffer};
    build_load(c, &tile, "K");
    struct pass *pass = build_pass(c, &tile, n, true, true, "scores");
    struct access q = attention_tokens(a, a->q, word * a->groups);
    build_segment(pass, true, 1, q, access_linear(hi, kv * n));
    build_segment(pass, false, 0, q, access_linear(lo, kv * n));
}

/* In the open kernel: the score, capped where the model caps it, in a kernel of its own then. */
uint16_t attention_capped(struct attention *a, uint16_t s, uint32_t first, uint32_t n)
{
    struct compiler *c = a->c;
    if (!(c->graph->score_cap > 0.0f)) {
        return s;
    }
    uint32_t plain = attention_floats(a, a->items, "score_plain", 0),
             capped = attention_floats(a, a->items, "score_capped", 0);
    build_output(c, s, access_linear(plain, first));
    build_kernel(c, n, "cap score");
    s = lower_softcap(c, build_input(c, access_linear(plain, first), 4), c->graph->score_cap);
    build_output(c, s, access_linear(capped, first));
    build_kernel(c, n, "score");
    return build_input(c, access_linear(capped, first), 4);
}

/* Items of a set of maxima. */
static uint32_t maximum_items(const struct attention *a)
{
    return a->items / a->maximum_sets;
}

static const char *maximum_name(const struct attention *a, uint32_t kv, char name[32])
{
    snprintf(name, 32, a->maximum_sets == 1 ? "attention.score" : "attention.score%u", kv);
    return name;
}

struct access attention_spread(struct attention *a, uint32_t kv)
{
    char name[32];
    uint32_t first = a->maximum_sets == 1 ? kv * a->groups * a->chunk : 0;
    return access_linear(build_buffer(a->c, BUFFER_SKEW, 4, maximum_items(a), "%s.spread",
                                      maximum_name(a, kv, name)),
                         first);
}

struct access attention_maximum(struct attention *a, uint32_t kv)
{
    char name[32];
    uint32_t first = a->maximum_sets == 1 ? kv * a->groups * a->chunk : 0;
    return access_linear(
        build_buffer(a->c, BUFFER_LINEAR, 4, maximum_items(a), "%s.max", maximum_name(a, kv, name)),
        first);
}

/* score[tile][item], masked positions -infinity; a copy for the maximum when there is but one tile.
 */
static void lower_scores(struct attention *a, uint32_t t, uint32_t scales)
{
    struct compiler *c = a->c;
    uint32_t hi = attention_floats(a, a->items, "score_hi", t % 2),
             lo = attention_floats(a, a->items, "score_lo", t % 2);
    uint32_t score = attention_floats(a, a->items, "score", t), n = a->groups * a->chunk;
    uint32_t cached = a->own ? attention_floats(a, a->items, "score_cached", t) : score;
    uint32_t mask = attention_map(c, a->mask, false, a->tiles * c->chunk);
    for (uint32_t kv = 0; kv < c->graph->kv_heads; kv++) {
        lower_score_sums(a, kv, t, hi, lo);
    }
    for (uint32_t kv = 0; kv < c->graph->kv_heads; kv++) {
        build_kernel(c, n, "score");
        uint16_t s = lower_combine(c, access_linear(hi, kv * n), access_linear(lo, kv * n));
        struct access down =
            attention_by_head(a->layer->query_down, kv * a->groups, a->groups, a->chunk);
        s = build_op(c, ISA_MUL_F32, s, build_input(c, down, 4), 0);
        struct access scale = access_constant(scales, t * c->graph->kv_heads + kv);
        s = build_op(c, ISA_MUL_F32, s, build_input(c, scale, 4), 0);
        s = attention_capped(a, s, kv * n, n);
        uint16_t allowed =
            build_input(c, attention_by_token(mask, t * c->chunk + a->first, a->chunk), 1);
        s = build_op(c, ISA_SELECT_F32_IMM, allowed, s, 0xFF800000u);
        build_output(c, s, access_linear(cached, kv * n));
        if (a->tiles == 1 && !a->own) {
            build_output(c, s, attention_spread(a, kv));
        }
    }
}

/* ---- softmax, weighted sum ------------------------------------------------------------------- */

/* Exponentials as integers of at most 2^23: three bytes hold them. */
static uint32_t grid_buffer(struct attention *a, uint32_t tile)
{
    return build_buffer(a->c, BUFFER_LINEAR, 3, a->items, "attention.grid.%u", tile);
}

/* e = exp(s - max): on the grid for the denominator; times V's scale, as 16 bits, for the sum. */
static uint32_t lower_exponentials(struct attention *a, uint32_t t, uint32_t scales)
{
    struct compiler *c = a->c;
    uint32_t n = a->groups * a->chunk, score = attention_floats(a, a->items, "score", t);
    uint32_t grid = grid_buffer(a, t);
    uint32_t p16 = build_buffer(c, BUFFER_LINEAR, 2, a->items, "attention.p16.%u", t);
    for (uint32_t kv = 0; kv < c->graph->kv_heads; kv++) {
        build_kernel(c, n, "exp");
        uint16_t s = build_input(c, access_linear(score, kv * n), 4);
        uint16_t e = build_op(c, ISA_SUB_F32, s, build_input(c, attention_maximum(a, kv), 4), 0);
        e = build_op(c, ISA_EXP_F32, e, REF_NONE, 0);
        uint16_t g = build_op(c, ISA_MUL_F32_IMM, e, REF_NONE, num_bits(8388608.0f));
        build_output(c, build_op(c, ISA_CVT_F32_I32, g, REF_NONE, 0), access_linear(grid, kv * n));
        struct access scale = access_constant(scales, t * c->graph->kv_heads + kv);
        uint16_t w = build_op(c, ISA_MUL_F32, e, build_input(c, scale, 4), 0);
        struct access up = attention_by_token(a->weight_up, kv * a->chunk, a->chunk);
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
        grids[t] = grid_buffer(a, t);
    }
    for (uint32_t s = 0; s < 3; s++) {
        sums[s] = attention_floats(a, a->items, "denominator", s);
    }
    lower_ones(c, grids, a->tiles, 0, a->items, planes, sums, 3, "denominator");
    uint32_t ratio = attention_floats(a, a->items, "ratio", 0);
    for (uint32_t kv = 0; kv < c->graph->kv_heads; kv++) {
        build_kernel(c, n, "denominator");
        uint16_t d =
            lower_combine(c, access_linear(sums[0], kv * n), access_linear(sums[1], kv * n));
        uint16_t low = build_input(c, access_linear(sums[2], kv * n), 4);
        low = build_op(c, ISA_CVT_I32_F32, low, REF_NONE, 0);
        d = build_op(c, ISA_FMA_F32_IMM, d, low, num_bits(256.0f));
        d = build_op(c, ISA_MUL_F32_IMM, d, REF_NONE, num_bits(1.0f / 8388608.0f));
        uint16_t down =
            build_input(c, attention_by_token(a->weight_down, kv * a->chunk, a->chunk), 4);
        build_output(c, build_op(c, ISA_DIV_F32, down, d, 0), access_linear(ratio, kv * n));
    }
    return ratio;
}

static void lower_weigh_word(struct attention *a, uint32_t word, const uint32_t *p16, uint32_t hi,
                             uint32_t lo)
{
    struct compiler *c = a->c;
    const struct compile_plan *plan = a->plan;
    uint32_t buffer = a->values[word];
    const struct buffer *cache = &plan->buffers[buffer];
    uint32_t n = attention_word_heads(a, word) * a->groups * a->chunk;
    uint32_t base = word * plan->heads_word * a->groups * a->chunk;
    uint32_t batch = a->tiles == 1 ? n : BASE_MIN(n, c->machine->mxm_accumulators / 2);
    for (uint32_t first = 0; first < n; first += batch) {
        for (uint32_t t = 0; t < a->tiles; t++) {
            struct tile tile = {
                .hemisphere = attention_hemisphere(a, word),
                .plane = 1,
                .slice = cache->slice,
                .address = cache->address + t * plan->superlanes,
                .address_step = 1,
                .index_step = 1,
                .count = BASE_MIN(plan->superlanes, plan->value_rows - t * plan->superlanes),
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
    uint16_t up = build_input(c, attention_by_token(a->output_up, 0, a->chunk), 4);
    o = build_op(c, ISA_MUL_F32, o, up, 0);
    build_output(c, build_op(c, ISA_CVT_F32_I16, o, REF_NONE, 0),
                 attention_tokens(a, a->result.q16, word * a->groups));
}

/* Each head's sums, scaled, into the lanes of its KV head; heads that share a vector are or-ed
 * together. */
static void lower_outputs(struct attention *a, uint32_t word, uint32_t hi, uint32_t lo,
                          uint32_t ratio)
{
    struct compiler *c = a->c;
    uint32_t n = a->groups * a->chunk, heads = attention_word_heads(a, word);
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
        parts[i] = access_linear(attention_floats(a, n, "part", i), 0);
        build_output(c, o, parts[i]);
    }
    uint16_t refs[STRIPES];
    build_kernel(c, n, "merge");
    for (uint32_t i = 0; i < heads; i++) {
        refs[i] = build_input(c, parts[i], 4);
    }
    end_output(a, build_reduce(c, ISA_OR_B32, refs, heads, build_width(c, 4)), word);
}

static void lower_weighted_sum(struct attention *a, const uint32_t *p16, uint32_t ratio)
{
    uint32_t hi = attention_floats(a, a->items, "weighed_hi", 0),
             lo = attention_floats(a, a->items, "weighed_lo", 0);
    for (uint32_t word = 0; word < a->plan->kv_words; word++) {
        lower_weigh_word(a, word, p16, hi, lo);
    }
    for (uint32_t word = 0; word < a->plan->kv_words; word++) {
        lower_outputs(a, word, hi, lo, ratio);
    }
}

/* The largest score of each item, in every lane. */
static void lower_maxima(struct attention *a)
{
    uint32_t n = maximum_items(a);
    for (uint32_t set = 0; set < a->maximum_sets; set++) {
        char name[32];
        struct access spread = attention_spread(a, set), scores[KERNEL_INPUTS_MAX];
        for (uint32_t t = 0; t < a->tiles; t++) {
            scores[t] = access_linear(attention_floats(a, a->items, "score", t), set * n);
        }
        if (a->tiles > 1) {
            lower_reduce_burst(a->c, ISA_MAX_F32, scores, a->tiles, 4, n, spread, "max score");
        }
        lower_max_f32(a->c, spread.buffer, n, maximum_name(a, set, name));
    }
}

/* ---- users, stage by stage ------------------------------------------------------------------- */

static void lower_all_scores(struct attention *a)
{
    for (uint32_t set = 0; set < a->maximum_sets; set++) { /* the widest first: allocate.c */
        attention_spread(a, set);
    }
    uint32_t key_scales = attention_key_scales(a);
    for (uint32_t t = 0; t < a->tiles; t++) {
        lower_scores(a, t, key_scales);
    }
    attention_append_values(a);
}

static void lower_keys(struct attention *a)
{
    attention_quantise(a);
    if (!a->own) {
        attention_append_keys(a);
    }
}

static void lower_own(struct attention *a)
{
    if (a->own) {
        attention_own(a);
    }
}

static void lower_softmax(struct attention *a)
{
    lower_maxima(a);
    attention_bounds(a);
    a->value_scales = attention_value_scales(a);
}

static void lower_weights(struct attention *a)
{
    for (uint32_t t = 0; t < a->tiles; t++) {
        a->p16[t] = lower_exponentials(a, t, a->value_scales);
    }
}

static void lower_denominators(struct attention *a)
{
    a->ratio = lower_ratios(a);
}

static void lower_result(struct attention *a)
{
    lower_weighted_sum(a, a->p16, a->ratio);
}

static void lower_append(struct attention *a)
{
    if (a->own) {
        attention_append_keys(a);
    }
}

/* What is in a chain first; what only the next step reads goes where it finds room. */
static void (*const STAGES[])(struct attention *) = {
    lower_keys,   lower_all_scores, lower_own,          lower_softmax,
    lower_append, lower_weights,    lower_denominators, lower_result};

uint32_t lower_attention_stages(void)
{
    return BASE_COUNT(STAGES);
}

struct attention *lower_attention_open(struct compiler *c, const struct graph_op *op, uint32_t q,
                                       uint32_t k, uint32_t v,
                                       const struct attention_result *result)
{
    const struct plan_layer *layer = &c->plan->layers[c->layer];
    struct attention *users = BASE_NEW(&c->arena, struct attention, c->users);
    /* A user's tokens attend to that user's cache: all tokens of the step, or one of each user. */
    for (uint32_t i = 0; i < c->users; i++) {
        uint32_t user = (c->first_user + i) * c->plan->kv_words, chunk = c->chunk / c->users;
        users[i] = (struct attention){.c = c,
                                      .plan = c->plan,
                                      .layer = layer,
                                      .key_rows = layer->key_rows + user,
                                      .key_tiles = layer->key_tiles + user,
                                      .values = layer->values + user,
                                      .chunk = chunk,
                                      .first = i * chunk,
                                      .turn = c->layer + c->first_user + i,
                                      .blocks = c->blocks / c->users,
                                      .mask = plan_windowed(c->plan, op) ? "mask_window" : "mask",
                                      .first_block = i * (c->blocks / c->users),
                                      .tiles = c->tiles,
                                      .items = c->graph->heads * chunk,
                                      .groups = c->plan->group_heads,
                                      .q = q,
                                      .k = k,
                                      .v = v,
                                      .result = *result,
                                      .own = chunk == 1,
                                      .maximum_sets = chunk < LONG_BURST ? 1 : c->graph->kv_heads};
    }
    return users;
}

void lower_attention_stage(struct compiler *c, struct attention *users, uint32_t stage)
{
    for (uint32_t i = 0; i < c->users; i++) {
        c->attending = c->users > 1 ? i : NONE;
        STAGES[stage](&users[i]);
    }
    c->attending = NONE;
}
