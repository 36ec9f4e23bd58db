/*
 * Lowering products: exponents, 16-bit activations, passes through weight tiles, the epilogue.
 *
 * Requires: tensors as LINEAR buffers, vector = piece * tokens + token. Fills in: tasks.
 */
#include "compile/internal.h"

uint16_t lower_scale_up(struct compiler *c, struct access exponent)
{
    uint16_t e =
        build_op(c, ISA_MAX_U8_IMM, build_input(c, exponent, 1), REF_NONE, NUM_EXPONENT_MIN);
    e = build_op(c, ISA_CVT_U8_I32, e, REF_NONE, 0);
    e = build_op(c, ISA_SHL_B32_IMM, e, REF_NONE, EXPONENT_SHIFT);
    return build_op(c, ISA_RSUB_I32_IMM, e, REF_NONE, 268u << EXPONENT_SHIFT);
}

uint16_t lower_scale_down(struct compiler *c, struct access exponent)
{
    uint16_t e =
        build_op(c, ISA_MAX_U8_IMM, build_input(c, exponent, 1), REF_NONE, NUM_EXPONENT_MIN);
    e = build_op(c, ISA_CVT_U8_I32, e, REF_NONE, 0);
    e = build_op(c, ISA_SHL_B32_IMM, e, REF_NONE, EXPONENT_SHIFT);
    return build_op(c, ISA_ADD_I32_IMM, e, REF_NONE, 0u - (14u << EXPONENT_SHIFT));
}

uint16_t lower_combine(struct compiler *c, struct access hi, struct access lo)
{
    uint16_t h = build_op(c, ISA_CVT_I32_F32, build_input(c, hi, 4), REF_NONE, 0);
    uint16_t l = build_op(c, ISA_CVT_I32_F32, build_input(c, lo, 4), REF_NONE, 0);
    return build_op(c, ISA_FMA_F32_IMM, h, l, num_bits(256.0f));
}

void lower_reduce_burst(struct compiler *c, enum isa_op op, const struct access *inputs,
                        uint32_t count, uint32_t planes, uint32_t n, struct access out,
                        const char *name)
{
    /* A wide tree comes back to its columns: bursts must be over by then. */
    uint32_t burst = count <= 8 ? n : BASE_MIN(n, SHORT_BURST);
    if (count > STRIPES) {
        uint32_t parts = (count + STRIPES - 1) / STRIPES;
        struct access part[KERNEL_INPUTS_MAX];
        BASE_ASSERT(parts <= KERNEL_INPUTS_MAX);
        for (uint32_t i = 0; i < parts; i++) {
            uint32_t few = BASE_MIN(STRIPES, count - i * STRIPES);
            part[i] = access_linear(
                build_buffer(c, BUFFER_LINEAR, planes, n, "%s.%u.part%u", name, count, i), 0);
            lower_reduce_burst(c, op, inputs + i * STRIPES, few, planes, n, part[i], name);
        }
        lower_reduce_burst(c, op, part, parts, planes, n, out, name);
        return;
    }
    for (uint32_t first = 0; first < n; first += burst) {
        uint16_t refs[KERNEL_INPUTS_MAX];
        build_kernel(c, BASE_MIN(burst, n - first), name);
        for (uint32_t i = 0; i < count; i++) {
            struct access access = inputs[i];
            access.first += first;
            refs[i] = build_input(c, access, planes);
        }
        struct access to = out;
        to.first += first;
        uint16_t result = build_reduce(c, op, refs, count, build_width(c, planes));
        if (REF_IS_INPUT(result)) { /* of one */
            result = build_op(c, planes == 1 ? ISA_COPY_B8 : ISA_COPY_B32, result, REF_NONE, 0);
        }
        build_output(c, result, to);
    }
}

/* Where the exponent bytes of piece p of `pieces` go: straight to `out` when there is one piece. */
struct access exponent_target(struct compiler *c, uint32_t pieces, uint32_t p, uint32_t tokens,
                              uint32_t out, uint32_t first, const char *name)
{
    if (pieces == 1) {
        return access_linear(out, first);
    }
    uint32_t stride = (pieces + STRIPES - 1) / STRIPES * STRIPES;
    uint32_t part = build_buffer(c, BUFFER_STRIPE, 1, tokens * stride, "%s.exp%u", name, first);
    struct access access = access_linear(part, p);
    access.s0 = stride;
    return access;
}

void reduce_exponents(struct compiler *c, uint32_t pieces, uint32_t tokens, uint32_t out,
                      uint32_t first, const char *name)
{
    struct access inputs[KERNEL_INPUTS_MAX];
    if (pieces == 1) {
        return;
    }
    BASE_ASSERT(pieces <= KERNEL_INPUTS_MAX);
    for (uint32_t p = 0; p < pieces; p++) {
        inputs[p] = exponent_target(c, pieces, p, tokens, out, first, name);
    }
    lower_reduce_burst(c, ISA_MAX_U8, inputs, pieces, 1, tokens, access_linear(out, first), name);
}

uint32_t lower_quantise(struct compiler *c, uint32_t x, uint32_t pieces, uint32_t tokens,
                        uint32_t exponents, const char *name)
{
    uint32_t q16 = build_buffer(c, BUFFER_LINEAR, 2, pieces * tokens, "%s.q16", name);
    for (uint32_t p = 0; p < pieces; p++) {
        build_kernel(c, tokens, name);
        uint16_t up = lower_scale_up(c, access_linear(exponents, 0));
        uint16_t value =
            build_op(c, ISA_MUL_F32, build_input(c, access_linear(x, p * tokens), 4), up, 0);
        build_output(c, build_op(c, ISA_CVT_F32_I16, value, REF_NONE, 0),
                     access_linear(q16, p * tokens));
    }
    return q16;
}

/* Runs the vectors of byte planes through the tile of ones; sums over pieces. planes[]: which byte
 * planes of `in`, each with its output buffer. */
void lower_ones(struct compiler *c, const uint32_t *in, uint32_t pieces, uint32_t stride,
                uint32_t n, const uint32_t *planes, const uint32_t *outputs, uint32_t segments,
                const char *name)
{
    uint32_t turn = c->turn++, h = turn % 2;
    struct tile tile = {.hemisphere = h,
                        .plane = turn / 2 % MACHINE_PLANES,
                        .slice = c->plan->group_slice[h][0],
                        .address = c->plan->constants.ones[h],
                        .index_step = 1,
                        .count = c->plan->superlanes,
                        .buffer = NONE};
    uint32_t batch = pieces == 1 ? n : BASE_MIN(n, c->machine->mxm_accumulators / segments);
    build_load(c, &tile, name);
    for (uint32_t first = 0; first < n; first += batch) {
        for (uint32_t p = 0; p < pieces; p++) {
            bool last = p + 1 == pieces;
            struct pass *pass =
                build_pass(c, &tile, BASE_MIN(batch, n - first), p == 0, last, name);
            for (uint32_t s = 0; s < segments; s++) {
                build_segment(pass, false, planes[s], access_linear(in[p], p * stride + first),
                              last ? access_linear(outputs[s], first) : access_none());
            }
        }
    }
}

/* ---- the product itself ---------------------------------------------------------------------- */

static void lower_column(struct compiler *c, const struct product *product, uint32_t column,
                         uint32_t q16, uint32_t tokens, uint32_t hi, uint32_t lo, const char *name)
{
    uint32_t rows = product->in->pieces;
    uint32_t batch = rows == 1 ? tokens : BASE_MIN(tokens, c->machine->mxm_accumulators / 2);
    for (uint32_t first = 0; first < tokens; first += batch) {
        for (uint32_t row = 0; row < rows; row++) {
            const struct weight_tile *weights = &product->tiles[column * rows + row];
            struct tile tile = {.hemisphere = weights->hemisphere,
                                .plane = weights->plane,
                                .slice = weights->slice,
                                .address = weights->address,
                                .address_step = 1,
                                .index_step = 1,
                                .count = weights->groups,
                                .buffer = NONE};
            bool last = row + 1 == rows;
            build_load(c, &tile, name);
            struct pass *pass =
                build_pass(c, &tile, BASE_MIN(batch, tokens - first), row == 0, last, name);
            struct access in = access_linear(q16, row * tokens + first);
            build_segment(pass, true, 1, in, last ? access_linear(hi, first) : access_none());
            build_segment(pass, false, 0, in, last ? access_linear(lo, first) : access_none());
        }
    }
}

void lower_product(struct compiler *c, const struct product *product, uint32_t q16, uint32_t tokens,
                   uint32_t scale, uint32_t residual, lower_epilogue epilogue, const void *context,
                   const char *name)
{
    for (uint32_t column = 0; column < product->out->pieces; column++) {
        uint32_t hi =
            build_buffer(c, BUFFER_LINEAR, 4, tokens, "sum_hi.%u.%u", tokens, c->turn % 8);
        uint32_t lo =
            build_buffer(c, BUFFER_LINEAR, 4, tokens, "sum_lo.%u.%u", tokens, c->turn % 8);
        c->turn++;
        lower_column(c, product, column, q16, tokens, hi, lo, name);
        build_kernel(c, tokens, name);
        uint16_t y = lower_combine(c, access_linear(hi, 0), access_linear(lo, 0));
        y = build_op(c, ISA_MUL_F32, y, build_input(c, access_constant(product->scale, column), 4),
                     0);
        y = build_op(c, ISA_MUL_F32, y, build_input(c, access_linear(scale, 0), 4), 0);
        if (residual != NONE) {
            uint16_t x = build_input(c, access_linear(residual, column * tokens), 4);
            y = build_op(c, ISA_ADD_F32, x, y, 0);
        }
        epilogue(c, y, column, context);
    }
}

void epilogue_store(struct compiler *c, uint16_t y, uint32_t column, const void *context)
{
    const struct stored *s = context;
    build_output(c, y, access_linear(s->out, column * s->tokens));
}

/* ---- the gate ------------------------------------------------------------------------------- */

/* In the open kernel, where y is `up`: y * gate / (1 + exp(-gate)), with its exponents. */
void epilogue_swiglu(struct compiler *c, uint16_t y, uint32_t column, const void *context)
{
    const struct gated *g = context;
    uint16_t gate = build_input(c, access_linear(g->gate, column * g->tokens), 4), later = gate;
    for (uint32_t i = 0; i < 3; i++) { /* the gate again, when its exponential is there */
        later = build_op(c, ISA_COPY_B32, later, REF_NONE, 0);
    }
    uint16_t t = build_op(c, ISA_MUL_F32_IMM, gate, REF_NONE, num_bits(-1.0f));
    t = build_op(c, ISA_EXP_F32, t, REF_NONE, 0);
    t = build_op(c, ISA_ADD_F32_IMM, t, REF_NONE, num_bits(1.0f));
    t = build_op(c, ISA_DIV_F32, later, t, 0);
    t = build_op(c, ISA_MUL_F32, t, y, 0);
    build_output(c, t, access_linear(g->out, column * g->tokens));
    uint16_t e = build_op(c, ISA_SHR_B32_IMM, t, REF_NONE, EXPONENT_SHIFT);
    build_output(c, e, exponent_target(c, g->pieces, column, g->tokens, g->bytes, 0, g->name));
}

uint32_t lower_gated(struct compiler *c, const struct gated *g, uint32_t *scale, uint32_t *exponent)
{
    reduce_exponents(c, g->pieces, g->tokens, g->bytes, 0, g->name);
    uint32_t exponents = lower_max_bytes(c, g->bytes, g->tokens, false, g->name);
    *exponent = exponents;
    *scale = build_buffer(c, BUFFER_LINEAR, 4, g->tokens, "%s.down", g->name);
    build_kernel(c, g->tokens, g->name);
    build_output(c, lower_scale_down(c, access_linear(exponents, 0)), access_linear(*scale, 0));
    return lower_quantise(c, g->out, g->pieces, g->tokens, exponents, g->name);
}
