/*
 * Lowering the input of a normalised product: 16-bit activations of x * gain, and the sum of
 * squares of x that its scale needs.
 *
 * Requires: x as a LINEAR buffer, vector = piece * tokens + token, or in the kernel that makes it.
 * Fills in: tasks.
 *
 * The exponents are bounds where x = previous + a product: they follow from the largest exponents
 * of `previous`, found while the product's input was being made, and from the exponent of that
 * input. So the kernel that makes x quantises it too, and no maximum stands in the chain.
 */
#include "compile/internal.h"

struct normalised lower_normalised(struct compiler *c, uint32_t x, uint32_t gain, uint32_t tokens,
                                   const char *name)
{
    uint32_t pieces = c->plan->width_layout.pieces;
    struct normalised n = {.x = x, .gain = gain, .pieces = pieces, .tokens = tokens, .name = name};
    n.q16 = build_buffer(c, BUFFER_LINEAR, 2, pieces * tokens, "%s.q16", name);
    n.squares = build_buffer(c, BUFFER_LINEAR, 4, pieces * tokens, "%s.squares", name);
    for (uint32_t i = 0; i < 2; i++) {
        n.up[i] = build_buffer(c, BUFFER_LINEAR, 4, tokens, "%s.up%u", name, i);
        n.down[i] = build_buffer(c, BUFFER_LINEAR, 4, tokens, "%s.down%u", name, i);
    }
    return n;
}

/* The largest exponents of x * gain (vectors 0 .. tokens-1) and of x (the next ones), in every
 * lane. */
static uint32_t lower_exponents(struct compiler *c, const struct normalised *n, uint32_t x)
{
    uint32_t bytes = build_buffer(c, BUFFER_STRIPE, 1, 2 * n->tokens, "%s.bytes", n->name);
    for (uint32_t p = 0; p < n->pieces; p++) {
        build_kernel(c, n->tokens, n->name);
        uint16_t value = build_input(c, access_linear(x, p * n->tokens), 4);
        uint16_t gain = build_input(c, access_constant(n->gain, p), 4);
        uint16_t xg = build_op(c, ISA_MUL_F32, value, gain, 0);
        uint16_t e = build_op(c, ISA_SHR_B32_IMM, xg, REF_NONE, EXPONENT_SHIFT);
        build_output(c, e, exponent_target(c, n->pieces, p, n->tokens, bytes, 0, n->name));
        build_kernel(c, n->tokens, n->name);
        value = build_input(c, access_linear(x, p * n->tokens), 4);
        e = build_op(c, ISA_SHR_B32_IMM, value, REF_NONE, EXPONENT_SHIFT);
        build_output(c, e, exponent_target(c, n->pieces, p, n->tokens, bytes, n->tokens, n->name));
    }
    reduce_exponents(c, n->pieces, n->tokens, bytes, 0, n->name);
    reduce_exponents(c, n->pieces, n->tokens, bytes, n->tokens, n->name);
    return lower_max_bytes(c, bytes, 2 * n->tokens, false, n->name);
}

/* 2^(141-E) and 2^(E-141) of the open kernel's exponent byte. */
static void output_scales(struct compiler *c, const struct normalised *n, uint32_t i, uint16_t e)
{
    e = build_op(c, ISA_MAX_U8_IMM, e, REF_NONE, NUM_EXPONENT_MIN);
    e = build_op(c, ISA_CVT_U8_I32, e, REF_NONE, 0);
    e = build_op(c, ISA_SHL_B32_IMM, e, REF_NONE, EXPONENT_SHIFT);
    uint16_t up = build_op(c, ISA_RSUB_I32_IMM, e, REF_NONE, 268u << EXPONENT_SHIFT);
    build_output(c, up, access_linear(n->up[i], 0));
    uint16_t down = build_op(c, ISA_ADD_I32_IMM, e, REF_NONE, 0u - (14u << EXPONENT_SHIFT));
    build_output(c, down, access_linear(n->down[i], 0));
}

void lower_exact(struct compiler *c, const struct normalised *n)
{
    uint32_t exponents = lower_exponents(c, n, n->x);
    for (uint32_t i = 0; i < 2; i++) {
        build_kernel(c, n->tokens, n->name);
        uint16_t e = build_input(c, access_linear(exponents, i * n->tokens), 1);
        output_scales(c, n, i, e);
    }
}

void lower_bounds(struct compiler *c, const struct normalised *n, uint32_t previous,
                  uint32_t activations, const int32_t growth[2])
{
    uint32_t exponents = lower_exponents(c, n, previous);
    for (uint32_t i = 0; i < 2; i++) {
        build_kernel(c, n->tokens, n->name);
        uint16_t e = build_op(c, ISA_MAX_U8_IMM, build_input(c, access_linear(activations, 0), 1),
                              REF_NONE, NUM_EXPONENT_MIN);
        e = build_op(c, ISA_CVT_U8_I32, e, REF_NONE, 0);
        e = build_op(c, ISA_ADD_I32_IMM, e, REF_NONE, (uint32_t)growth[i]);
        e = build_op(c, ISA_CVT_I32_U8, e, REF_NONE, 0);
        uint16_t before = build_input(c, access_linear(exponents, i * n->tokens), 1);
        e = build_op(c, ISA_MAX_U8, e, before, 0);
        e = build_op(c, ISA_MAX_U8_IMM, e, REF_NONE, NUM_EXPONENT_MIN);
        e = build_op(c, ISA_CVT_U8_I32, e, REF_NONE, 0);
        e = build_op(c, ISA_ADD_I32_IMM, e, REF_NONE, 1);
        output_scales(c, n, i, build_op(c, ISA_CVT_I32_U8, e, REF_NONE, 0));
    }
}

/* In the open kernel: activations of x * gain and squares of x, of piece p. */
static void quantise_piece(struct compiler *c, const struct normalised *n, uint16_t x, uint32_t p)
{
    uint16_t xg = build_op(c, ISA_MUL_F32, x, build_input(c, access_constant(n->gain, p), 4), 0);
    xg = build_op(c, ISA_MUL_F32, xg, build_input(c, access_linear(n->up[0], 0), 4), 0);
    build_output(c, build_op(c, ISA_CVT_F32_I16, xg, REF_NONE, 0),
                 access_linear(n->q16, p * n->tokens));
    uint16_t v = build_op(c, ISA_MUL_F32, x, build_input(c, access_linear(n->up[1], 0), 4), 0);
    v = build_op(c, ISA_CVT_F32_I16, v, REF_NONE, 0);
    build_output(c, build_op(c, ISA_MUL_I16, v, v, 0), access_linear(n->squares, p * n->tokens));
}

void epilogue_normalised(struct compiler *c, uint16_t y, uint32_t column, const void *context)
{
    const struct normalised *n = context;
    build_output(c, y, access_linear(n->x, column * n->tokens));
    if (n->tokens > SHORT_BURST) { /* one kernel has not enough operations for the burst */
        build_kernel(c, n->tokens, n->name);
        y = build_input(c, access_linear(n->x, column * n->tokens), 4);
    }
    quantise_piece(c, n, y, column);
}

void lower_quantise_input(struct compiler *c, const struct normalised *n)
{
    for (uint32_t p = 0; p < n->pieces; p++) {
        build_kernel(c, n->tokens, n->name);
        quantise_piece(c, n, build_input(c, access_linear(n->x, p * n->tokens), 4), p);
    }
}

/* The squares' sums, as binary32 in units of 2^(2 Ex - 282). */
static uint16_t lower_square_sum(struct compiler *c, const struct normalised *n)
{
    const uint32_t planes[4] = {3, 2, 1, 0};
    uint32_t sums[4], in[KERNEL_INPUTS_MAX];
    for (uint32_t p = 0; p < n->pieces; p++) {
        in[p] = n->squares;
    }
    for (uint32_t s = 0; s < 4; s++) {
        sums[s] = build_buffer(c, BUFFER_LINEAR, 4, n->tokens, "%s.square_sum%u", n->name, s);
    }
    lower_ones(c, in, n->pieces, n->tokens, n->tokens, planes, sums, 4, n->name);
    build_kernel(c, n->tokens, n->name);
    uint16_t t = lower_combine(c, access_linear(sums[0], 0), access_linear(sums[1], 0));
    for (uint32_t s = 2; s < 4; s++) {
        uint16_t low =
            build_op(c, ISA_CVT_I32_F32, build_input(c, access_linear(sums[s], 0), 4), REF_NONE, 0);
        t = build_op(c, ISA_FMA_F32_IMM, t, low, num_bits(256.0f));
    }
    return t;
}

uint32_t lower_rms(struct compiler *c, const struct normalised *n)
{
    uint32_t scale = build_buffer(c, BUFFER_LINEAR, 4, n->tokens, "%s.scale", n->name);
    uint16_t t = lower_square_sum(c, n);
    if (n->tokens > SHORT_BURST) { /* one kernel has not enough operations for the burst */
        uint32_t total = build_buffer(c, BUFFER_LINEAR, 4, n->tokens, "%s.total", n->name);
        build_output(c, t, access_linear(total, 0));
        build_kernel(c, n->tokens, n->name);
        t = build_input(c, access_linear(total, 0), 4);
    }
    uint16_t dx = build_input(c, access_linear(n->down[1], 0), 4);
    uint16_t again = build_op(c, ISA_COPY_B32, dx, REF_NONE, 0); /* a slice is read once a cycle */
    t = build_op(c, ISA_MUL_F32, t, dx, 0);
    t = build_op(c, ISA_MUL_F32, t, again, 0);
    t = build_op(c, ISA_MUL_F32_IMM, t, REF_NONE, num_bits(1.0f / (float)c->graph->width));
    t = build_op(c, ISA_ADD_F32_IMM, t, REF_NONE, num_bits(c->graph->norm_epsilon));
    t = build_op(c, ISA_RSQRT_F32, t, REF_NONE, 0);
    t = build_op(c, ISA_MUL_F32, build_input(c, access_linear(n->down[0], 0), 4), t, 0);
    build_output(c, t, access_linear(scale, 0));
    return scale;
}
