/*
 * Lowering what some models have beside llama's operations: norms that no product follows, caps,
 * the exponent of GELU.
 *
 * Requires: tensors as LINEAR buffers, vector = piece * tokens + token. Fills in: tasks.
 */
#include "compile/internal.h"

/* ---- elementwise ----------------------------------------------------------------------------- */

uint16_t lower_softcap(struct compiler *c, uint16_t x, float cap)
{
    uint16_t t = build_op(c, ISA_MUL_F32_IMM, x, REF_NONE, num_bits(2.0f / cap));
    t = build_op(c, ISA_EXP_F32, t, REF_NONE, 0);
    t = build_op(c, ISA_ADD_F32_IMM, t, REF_NONE, num_bits(1.0f));
    t = build_op(c, ISA_RDIV_F32_IMM, t, REF_NONE, num_bits(cap * -2.0f));
    return build_op(c, ISA_ADD_F32_IMM, t, REF_NONE, num_bits(cap));
}

uint16_t lower_gelu_exponent(struct compiler *c, uint16_t x)
{
    x = build_op(c, ISA_COPY_B32, x, REF_NONE, 0); /* a slice is read once a cycle */
    uint16_t t = build_op(c, ISA_MUL_F32, x, x, 0);
    t = build_op(c, ISA_MUL_F32_IMM, t, REF_NONE, num_bits(NUM_GELU_C3));
    t = build_op(c, ISA_ADD_F32_IMM, t, REF_NONE, num_bits(NUM_GELU_C1));
    return build_op(c, ISA_MUL_F32, t, x, 0);
}

/* ---- norms ----------------------------------------------------------------------------------- */

struct norm {
    const struct graph_op *op;
    const char *name;
    uint32_t x, pieces, tokens;
    uint32_t up, down; /* [tokens] binary32: 2^(141-E), 2^(E-141) */
};

static uint32_t floats(struct compiler *c, uint32_t count, const char *name, const char *what)
{
    return build_buffer(c, BUFFER_LINEAR, 4, count, "%s.%s", name, what);
}

/* The exponent of each token's whole tensor, as the two powers of two. */
static void lower_scales(struct compiler *c, struct norm *n)
{
    uint32_t bytes = build_buffer(c, BUFFER_STRIPE, 1, n->tokens, "%s.bytes", n->name);
    for (uint32_t p = 0; p < n->pieces; p++) {
        build_kernel(c, n->tokens, n->name);
        uint16_t e = build_input(c, access_linear(n->x, p * n->tokens), 4);
        e = build_op(c, ISA_SHR_B32_IMM, e, REF_NONE, EXPONENT_SHIFT);
        build_output(c, e, exponent_target(c, n->pieces, p, n->tokens, bytes, 0, n->name));
    }
    reduce_exponents(c, n->pieces, n->tokens, bytes, 0, n->name);
    uint32_t exponents = lower_max_bytes(c, bytes, n->tokens, false, n->name);
    n->up = floats(c, n->tokens, n->name, "up");
    n->down = floats(c, n->tokens, n->name, "down");
    build_kernel(c, n->tokens, n->name);
    build_output(c, lower_scale_up(c, access_linear(exponents, 0)), access_linear(n->up, 0));
    build_kernel(c, n->tokens, n->name);
    build_output(c, lower_scale_down(c, access_linear(exponents, 0)), access_linear(n->down, 0));
}

static uint32_t lower_squares(struct compiler *c, const struct norm *n)
{
    uint32_t squares = floats(c, n->pieces * n->tokens, n->name, "squares");
    for (uint32_t p = 0; p < n->pieces; p++) {
        build_kernel(c, n->tokens, n->name);
        uint16_t v = build_input(c, access_linear(n->x, p * n->tokens), 4);
        v = build_op(c, ISA_MUL_F32, v, build_input(c, access_linear(n->up, 0), 4), 0);
        v = build_op(c, ISA_CVT_F32_I16, v, REF_NONE, 0);
        build_output(c, build_op(c, ISA_MUL_I16, v, v, 0), access_linear(squares, p * n->tokens));
    }
    return squares;
}

/* Sums over the lanes of each head, of every vector, in the lanes of the head. */
static void lower_head_sums(struct compiler *c, const struct norm *n, uint32_t squares,
                            const uint32_t sums[4])
{
    static const uint32_t planes[4] = {3, 2, 1, 0};
    uint32_t turn = c->turn++, h = turn % 2, count = n->pieces * n->tokens;
    struct tile tile = {.hemisphere = h,
                        .plane = turn / 2 % MACHINE_PLANES,
                        .slice = c->plan->group_slice[h][0],
                        .address = c->plan->constants.head_ones[h],
                        .address_step = 1,
                        .index_step = 1,
                        .count = c->plan->superlanes,
                        .buffer = NONE};
    build_load(c, &tile, n->name);
    struct pass *pass = build_pass(c, &tile, count, true, true, n->name);
    for (uint32_t s = 0; s < 4; s++) {
        build_segment(pass, false, planes[s], access_linear(squares, 0), access_linear(sums[s], 0));
    }
}

/* 1 / rms of `count` vectors of sums, from vector `first` on. */
static void lower_reciprocals(struct compiler *c, const struct norm *n, const uint32_t sums[4],
                              uint32_t part, uint32_t first, uint32_t total, uint32_t r)
{
    build_kernel(c, n->tokens, n->name);
    uint16_t t = lower_combine(c, access_linear(sums[0], first), access_linear(sums[1], first));
    for (uint32_t s = 2; s < 4; s++) {
        uint16_t low = build_input(c, access_linear(sums[s], first), 4);
        low = build_op(c, ISA_CVT_I32_F32, low, REF_NONE, 0);
        t = build_op(c, ISA_FMA_F32_IMM, t, low, num_bits(256.0f));
    }
    build_output(c, t, access_linear(total, first));
    build_kernel(c, n->tokens, n->name);
    t = build_input(c, access_linear(total, first), 4);
    uint16_t down = build_input(c, access_linear(n->down, 0), 4);
    uint16_t again = build_op(c, ISA_COPY_B32, down, REF_NONE, 0);
    t = build_op(c, ISA_MUL_F32, t, down, 0);
    t = build_op(c, ISA_MUL_F32, t, again, 0);
    t = build_op(c, ISA_MUL_F32_IMM, t, REF_NONE, num_bits(1.0f / (float)part));
    t = build_op(c, ISA_ADD_F32_IMM, t, REF_NONE, num_bits(c->graph->norm_epsilon));
    build_output(c, build_op(c, ISA_RSQRT_F32, t, REF_NONE, 0), access_linear(r, first));
}

void lower_norm(struct compiler *c, const struct graph_op *op, uint32_t gain, uint32_t x,
                uint32_t residual, uint32_t out)
{
    static const uint32_t planes[4] = {3, 2, 1, 0};
    static const char *const names[4] = {"sum3", "sum2", "sum1", "sum0"};
    const struct layout *layout = plan_norm_layout(c->plan, op);
    const bool heads = layout != &c->plan->width_layout;
    struct norm n = {.op = op,
                     .name = !heads                         ? "norm"
                             : layout == &c->plan->q_layout ? "q_norm"
                                                            : "k_norm",
                     .x = x,
                     .pieces = layout->pieces,
                     .tokens = c->chunk};
    uint32_t rows = heads ? n.pieces : 1; /* of sums: one a vector, or one a token */
    uint32_t part = c->graph->tensors[op->outputs[0]].width / op->heads;
    lower_scales(c, &n);
    uint32_t squares = lower_squares(c, &n), sums[4], in[KERNEL_INPUTS_MAX];
    for (uint32_t s = 0; s < 4; s++) {
        sums[s] = floats(c, rows * n.tokens, n.name, names[s]);
    }
    if (heads) {
        lower_head_sums(c, &n, squares, sums);
    } else {
        for (uint32_t p = 0; p < n.pieces; p++) {
            in[p] = squares;
        }
        lower_ones(c, in, n.pieces, n.tokens, n.tokens, planes, sums, 4, n.name);
    }
    uint32_t total = floats(c, rows * n.tokens, n.name, "total"),
             r = floats(c, rows * n.tokens, n.name, "reciprocal");
    for (uint32_t p = 0; p < rows; p++) {
        lower_reciprocals(c, &n, sums, part, p * n.tokens, total, r);
    }
    for (uint32_t p = 0; p < n.pieces; p++) {
        build_kernel(c, n.tokens, n.name);
        uint16_t y = build_input(c, access_linear(x, p * n.tokens), 4);
        struct access factor = access_linear(r, heads ? p * n.tokens : 0);
        y = build_op(c, ISA_MUL_F32, y, build_input(c, factor, 4), 0);
        y = build_op(c, ISA_MUL_F32, y, build_input(c, access_constant(gain, p), 4), 0);
        if (residual != NONE) {
            uint16_t before = build_input(c, access_linear(residual, p * n.tokens), 4);
            y = build_op(c, ISA_ADD_F32, before, y, 0);
        }
        build_output(c, y, access_linear(out, p * n.tokens));
    }
}
