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
    /* A wide tree comes back to its columns: bursts must be over by then, or the tree be of
     * narrower ones. */
    uint32_t burst = count <= 8 ? n : BASE_MIN(n, SHORT_BURST);
    uint32_t widest = n < LONG_BURST ? STRIPES : planes == 1 ? 8 : 5;
    if (count > widest) {
        uint32_t parts = (count + widest - 1) / widest, most = (count + parts - 1) / parts;
        struct access part[KERNEL_INPUTS_MAX];
        BASE_ASSERT(parts <= KERNEL_INPUTS_MAX);
        for (uint32_t i = 0; i < parts; i++) {
            uint32_t few = BASE_MIN(most, count - i * most);
            part[i] = access_linear(
                build_buffer(c, BUFFER_LINEAR, planes, n, "%s.%u.part%u", name, count, i), 0);
            lower_reduce_burst(c, op, inputs + i * most, few, planes, n, part[i], name);
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
    if (tokens >= LONG_BURST) { /* sixteen slices have no room for so many */
        return access_linear(
            build_buffer(c, BUFFER_LINEAR, 1, tokens, "%s.exp%u.%u", name, first, p), 0);
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

/* ---- the products themselves ----------------------------------------------------------------- */

/* Rows of a column that one plane adds up. */
struct part {
    uint32_t use, column, row, rows;
};

/* A column on its way: parts still to come, and the buffers of those that are there. */
struct column {
    bool done;
    uint32_t part_count, missing;
    uint32_t buffers[PLANES]; /* which pair of sums each part has */
};

#define SUM_PAIRS 16u /* at most two parts a plane wait for the rest of their columns */

struct products {
    struct compiler *c;
    const struct product_use *uses;
    uint32_t q16, tokens, scale;
    struct column *columns[PRODUCTS_MAX];
    struct part *parts[PLANES]; /* of each plane, in order */
    uint32_t part_count[PLANES];
    uint64_t busy; /* pairs of sums in use */
};

static const struct weight_tile *tile_of(const struct product *product, uint32_t column,
                                         uint32_t row)
{
    return &product->tiles[column * product->in->pieces + row];
}

static uint32_t plane_of(const struct weight_tile *tile)
{
    return tile->hemisphere + 2 * tile->plane;
}

static void add_parts(struct products *p, uint32_t use, uint32_t column)
{
    const struct product *product = p->uses[use].product;
    uint32_t rows = product->in->pieces;
    for (uint32_t row = 0; row < rows;) {
        uint32_t plane = plane_of(tile_of(product, column, row)), first = row;
        while (row < rows && plane_of(tile_of(product, column, row)) == plane) {
            row++;
        }
        p->parts[plane][p->part_count[plane]++] = (struct part){use, column, first, row - first};
        p->columns[use][column].missing++;
    }
}

/* Pairs of sums are shared by products. A part takes the next that is free, round and round, so
 * that it seldom waits for who had it before; it is taken until the part's column is done. */
static uint32_t take_sums(struct products *p, uint32_t plane)
{
    uint32_t index = p->c->turn++ % (SUM_PAIRS / PLANES) * PLANES + plane;
    for (uint32_t i = 0; (p->busy >> index & 1) != 0; i++) {
        BASE_ASSERT(i < SUM_PAIRS / PLANES);
        index = (index + PLANES) % SUM_PAIRS;
    }
    p->busy |= 1ull << index;
    return index;
}

/* A plane has every fourth pair. */
static uint32_t sums(const struct products *p, const char *which, uint32_t index)
{
    return build_buffer(p->c, BUFFER_LINEAR, 4, p->tokens, "%s.%u.%u", which, p->tokens, index);
}

static void lower_part(struct products *p, const struct part *part)
{
    struct compiler *c = p->c;
    const struct product_use *use = &p->uses[part->use];
    struct column *column = &p->columns[part->use][part->column];
    uint32_t plane = plane_of(tile_of(use->product, part->column, part->row));
    uint32_t index = take_sums(p, plane), hi = sums(p, "sum_hi", index),
             lo = sums(p, "sum_lo", index);
    column->buffers[column->part_count++] = index;
    uint32_t batch =
        part->rows == 1 ? p->tokens : BASE_MIN(p->tokens, c->machine->mxm_accumulators / 2);
    for (uint32_t first = 0; first < p->tokens; first += batch) {
        for (uint32_t i = 0; i < part->rows; i++) {
            const struct weight_tile *weights = tile_of(use->product, part->column, part->row + i);
            struct tile tile = {.hemisphere = weights->hemisphere,
                                .plane = weights->plane,
                                .slice = weights->slice,
                                .address = weights->address,
                                .address_step = 1,
                                .index_step = 1,
                                .count = weights->groups,
                                .buffer = NONE};
            bool last = i + 1 == part->rows;
            build_load(c, &tile, use->name);
            struct pass *pass =
                build_pass(c, &tile, BASE_MIN(batch, p->tokens - first), i == 0, last, use->name);
            struct access in = access_linear(p->q16, (part->row + i) * p->tokens + first);
            build_segment(pass, true, 1, in, last ? access_linear(hi, first) : access_none());
            build_segment(pass, false, 0, in, last ? access_linear(lo, first) : access_none());
        }
    }
    column->missing--;
}

/* A column's sums over all its parts, as binary32. */
static uint16_t combine_parts(struct products *p, const struct column *column, const char *which)
{
    struct compiler *c = p->c;
    uint16_t sum = REF_NONE;
    for (uint32_t i = 0; i < column->part_count; i++) {
        uint16_t part = build_input(c, access_linear(sums(p, which, column->buffers[i]), 0), 4);
        sum = i == 0 ? part : build_op(c, ISA_ADD_I32, sum, part, 0);
    }
    return build_op(c, ISA_CVT_I32_F32, sum, REF_NONE, 0);
}

static void lower_column(struct products *p, uint32_t index, uint32_t column_index)
{
    struct compiler *c = p->c;
    const struct product_use *use = &p->uses[index];
    const struct column *column = &p->columns[index][column_index];
    build_kernel(c, p->tokens, use->name);
    uint16_t hi = combine_parts(p, column, "sum_hi"), lo = combine_parts(p, column, "sum_lo");
    uint16_t y = build_op(c, ISA_FMA_F32_IMM, hi, lo, num_bits(256.0f));
    struct access scale = access_constant(use->product->scale, column_index);
    y = build_op(c, ISA_MUL_F32, y, build_input(c, scale, 4), 0);
    y = build_op(c, ISA_MUL_F32, y, build_input(c, access_linear(p->scale, 0), 4), 0);
    if (use->product->bias != NONE) {
        struct access bias = access_constant(use->product->bias, column_index);
        y = build_op(c, ISA_ADD_F32, y, build_input(c, bias, 4), 0);
    }
    if (use->residual != NONE) {
        uint16_t x = build_input(c, access_linear(use->residual, column_index * p->tokens), 4);
        y = build_op(c, ISA_ADD_F32, x, y, 0);
    }
    use->epilogue(c, y, column_index, use->context);
    p->columns[index][column_index].done = true;
    for (uint32_t i = 0; i < column->part_count; i++) {
        p->busy &= ~(1ull << column->buffers[i]);
    }
}

/* The epilogue of a column all of whose parts are there, and of one that waited for it. */
static void finish_column(struct products *p, uint32_t count, uint32_t use, uint32_t column)
{
    const struct product_use *uses = p->uses;
    bool waits = uses[use].after_previous && !p->columns[use - 1][column].done;
    if (p->columns[use][column].missing > 0 || waits) {
        return;
    }
    lower_column(p, use, column);
    if (use + 1 < count && uses[use + 1].after_previous) {
        finish_column(p, count, use + 1, column);
    }
}

void lower_products(struct compiler *c, const struct product_use *uses, uint32_t count,
                    uint32_t q16, uint32_t tokens, uint32_t scale)
{
    struct products p = {.c = c, .uses = uses, .q16 = q16, .tokens = tokens, .scale = scale};
    uint32_t room = 0, next[PLANES] = {0};
    BASE_ASSERT(count <= PRODUCTS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        room += uses[i].product->out->pieces * uses[i].product->in->pieces;
    }
    for (uint32_t i = 0; i < PLANES; i++) {
        p.parts[i] = BASE_NEW(&c->arena, struct part, room);
    }
    for (uint32_t i = 0; i < count; i++) {
        p.columns[i] = BASE_NEW(&c->arena, struct column, uses[i].product->out->pieces);
        for (uint32_t column = 0; column < uses[i].product->out->pieces; column++) {
            add_parts(&p, i, column);
        }
    }
    /* Planes in turn, so that none has all the streams. */
    for (bool more = true; more;) {
        more = false;
        for (uint32_t plane = 0; plane < PLANES; plane++) {
            if (next[plane] == p.part_count[plane]) {
                continue;
            }
            const struct part *part = &p.parts[plane][next[plane]++];
            lower_part(&p, part);
            finish_column(&p, count, part->use, part->column);
            more = true;
        }
    }
}

void epilogue_store(struct compiler *c, uint16_t y, uint32_t column, const void *context)
{
    const struct stored *s = context;
    build_output(c, y, access_linear(s->out, column * s->tokens));
}

/* ---- the gate ------------------------------------------------------------------------------- */

/* In the open kernel, where y is `up`: y * gate / (1 + exp(-gate)), with its exponents; or, for
 * GELU, with what the exponential takes already there. */
void epilogue_swiglu(struct compiler *c, uint16_t y, uint32_t column, const void *context)
{
    const struct gated *g = context;
    const bool gelu = g->exponents != NONE;
    uint16_t gate = build_input(c, access_linear(g->gate, column * g->tokens), 4), later = gate;
    for (uint32_t i = 0; i < (gelu ? 2u : 3u); i++) { /* again, when its exponential is there */
        later = build_op(c, ISA_COPY_B32, later, REF_NONE, 0);
    }
    uint16_t t = gelu ? build_input(c, access_linear(g->exponents, column * g->tokens), 4)
                      : build_op(c, ISA_MUL_F32_IMM, gate, REF_NONE, num_bits(-1.0f));
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
