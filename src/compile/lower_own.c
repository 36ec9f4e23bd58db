/*
 * Lowering attention: the token's own position, in a step of one token.
 *
 * Requires: q16 and k8 of the token. Fills in: tasks.
 *
 * A key becomes a column of the cache by way of copies, the ring and the transposer, some 250
 * cycles. Its own token need not wait for that: the dot product of q and k is a product lane by
 * lane and a sum over the lanes of a head, which a tile of ones makes, in every lane. The integers
 * are those that the cache would give: |q16 * k8| < 2^23 has three bytes, and the sum of at most
 * 320 lanes fits 32 bits.
 */
#include "compile/lower_attention.h"

static struct tile head_tile(const struct attention *a, uint32_t kv, uint32_t plane,
                             const uint32_t addresses[2], uint32_t count)
{
    const struct compile_plan *plan = a->plan;
    uint32_t h = plane % 2;
    return (struct tile){.hemisphere = h,
                         .plane = plane / 2 % MACHINE_PLANES,
                         .slice = plan->group_slice[h][0],
                         .address = addresses[h],
                         .index = kv % plan->heads_word * plan->head_superlanes,
                         .index_step = 1,
                         .count = count,
                         .buffer = NONE};
}

/* One lane of a KV head's codes, of K (which = 0) or V, in every lane. */
static void lower_head_code(struct attention *a, uint32_t kv, uint32_t plane, uint32_t which)
{
    struct compiler *c = a->c;
    const struct compile_plan *plan = a->plan;
    struct tile tile = head_tile(a, kv, plane, plan->constants.pick, 1);
    build_load(c, &tile, "own code");
    struct pass *pass = build_pass(c, &tile, 1, true, true, "own code");
    build_segment(pass, false, 0,
                  access_linear(a->codes, which * plan->kv_words + kv / plan->heads_word),
                  access_linear(a->own_codes[which], kv));
}

/* Sums over the lanes of a KV head of a word's products. */
static void lower_head_sums(struct attention *a, uint32_t kv, uint32_t plane, uint32_t products)
{
    struct compiler *c = a->c;
    const struct compile_plan *plan = a->plan;
    uint32_t word = kv / plan->heads_word;
    struct tile tile = head_tile(a, kv, plane, plan->constants.ones, plan->head_superlanes);
    build_load(c, &tile, "own score");
    struct pass *pass = build_pass(c, &tile, a->groups, true, true, "own score");
    for (uint32_t b = 0; b < 3; b++) {
        build_segment(pass, b == 2, b, access_linear(products, word * a->groups),
                      access_linear(a->own_sums[b], kv * a->groups));
    }
}

/* score[tile]: what the cache gave, where the own position has minus infinity, and the own score.
 */
static void lower_own_scores(struct attention *a, uint32_t t)
{
    struct compiler *c = a->c;
    uint32_t cached = attention_floats(a, a->items, "score_cached", t);
    uint32_t score = attention_floats(a, a->items, "score", t);
    for (uint32_t kv = 0; kv < c->graph->kv_heads; kv++) {
        uint32_t first = kv * a->groups;
        uint16_t sums[3];
        build_kernel(c, a->groups, "own score");
        for (uint32_t b = 0; b < 3; b++) {
            sums[b] = build_input(c, access_linear(a->own_sums[b], first), 4);
        }
        uint16_t s = build_op(c, ISA_SHL_B32_IMM, sums[2], REF_NONE, 16);
        uint16_t middle = build_op(c, ISA_SHL_B32_IMM, sums[1], REF_NONE, 8);
        s = build_op(c, ISA_ADD_I32, s, middle, 0);
        s = build_op(c, ISA_ADD_I32, s, sums[0], 0);
        s = build_op(c, ISA_CVT_I32_F32, s, REF_NONE, 0);
        struct access down = attention_by_head(a->layer->query_down, first, a->groups, 1);
        s = build_op(c, ISA_MUL_F32, s, build_input(c, down, 4), 0);
        s = build_op(c, ISA_MUL_F32, s, build_input(c, access_constant(a->own_scale, kv), 4), 0);
        s = attention_capped(a, s, first, a->groups);
        uint16_t here =
            build_input(c,
                        access_constant(attention_map(c, "own", false, a->tiles * c->chunk),
                                        t * c->chunk + a->first),
                        1);
        s = build_op(c, ISA_SELECT_F32_IMM, here, s, 0xFF800000u);
        s = build_op(c, ISA_MAX_F32, build_input(c, access_linear(cached, first), 4), s, 0);
        build_output(c, s, access_linear(score, first));
        if (a->tiles == 1) {
            build_output(c, s, attention_spread(a, kv));
        }
    }
}

void attention_own(struct attention *a)
{
    struct compiler *c = a->c;
    uint32_t kv_heads = c->graph->kv_heads, words = a->plan->kv_words;
    uint32_t products =
        build_buffer(c, BUFFER_LINEAR, 3, words * a->groups, "attention.own_products");
    for (uint32_t w = 0; w < words; w++) {
        build_kernel(c, a->groups, "own product");
        uint16_t q = build_input(c, attention_tokens(a, a->q, w * a->groups), 2);
        uint16_t k = build_input(c, access_constant(a->k16, w), 2);
        build_output(c, build_op(c, ISA_MUL_I16, q, k, 0), access_linear(products, w * a->groups));
    }
    for (uint32_t b = 0; b < 3; b++) {
        a->own_sums[b] = attention_floats(a, c->graph->heads, "own_sums", b);
    }
    for (uint32_t i = 0; i < 2; i++) {
        a->own_codes[i] = build_buffer(c, BUFFER_LINEAR, 1, kv_heads, "attention.own_codes.%u", i);
    }
    uint32_t first_plane = c->turn;
    c->turn += kv_heads;
    for (uint32_t kv = 0; kv < kv_heads; kv++) {
        uint32_t plane = (first_plane + kv) % PLANES;
        lower_head_code(a, kv, plane, 0);
        lower_head_sums(a, kv, plane, products);
    }
    a->own_scale = attention_floats(a, kv_heads, "own_scale", 0);
    build_kernel(c, kv_heads, "own scale");
    uint16_t u = attention_bound(c, build_input(c, access_linear(a->own_codes[0], 0), 1));
    u = build_op(c, ISA_MUL_F32_IMM, u, REF_NONE, num_bits(1.0f / 127.0f));
    u = build_op(c, ISA_MUL_F32_IMM, u, REF_NONE, num_bits(c->graph->score_scale));
    build_output(c, u, access_linear(a->own_scale, 0));
    for (uint32_t t = 0; t < a->tiles; t++) {
        lower_own_scores(a, t);
    }
    for (uint32_t kv = 0; kv < kv_heads; kv++) {
        lower_head_code(a, kv, (first_plane + kv) % PLANES, 1);
    }
}
