/*
 * Image: the bytes that lie in memory before the first step.
 *
 * Requires: a plan with addresses. Fills in: plan->image.
 */
#include "compile/plan.h"

#include <string.h>

static uint8_t *add_segment(struct compile_plan *plan, uint32_t slice, uint32_t address,
                            uint32_t count)
{
    BASE_ASSERT(plan->image.segment_count < plan->segment_capacity);
    uint8_t *data = BASE_NEW(&plan->arena, uint8_t, (size_t)count * plan->lanes);
    plan->image.segments[plan->image.segment_count++] =
        (struct program_segment){(uint16_t)slice, (uint16_t)address, count, data};
    return data;
}

/* ---- weights --------------------------------------------------------------------------------- */

static void add_weight_segments(struct compile_plan *plan)
{
    for (uint32_t h = 0; h < 2; h++) {
        for (uint32_t p = 0; p < MACHINE_PLANES; p++) {
            if (p == 1 && plan->group_slice[h][1] == plan->group_slice[h][0]) {
                plan->group_data[h][1] = plan->group_data[h][0];
                continue;
            }
            plan->group_data[h][p] = BASE_NEW(&plan->arena, uint8_t *, STRIPES);
            for (uint32_t j = 0; j < STRIPES && plan->group_words[h][p] > 0; j++) {
                plan->group_data[h][p][j] =
                    add_segment(plan, plan->group_slice[h][p] + j, 0, plan->group_words[h][p]);
            }
        }
    }
}

static void fill_tile(struct compile_plan *plan, const struct product *product, uint32_t column,
                      uint32_t row)
{
    const struct weight_tile *tile = &product->tiles[column * product->in->pieces + row];
    const int32_t *outputs = &product->out->source[column * plan->lanes];
    const int32_t *inputs = &product->in->source[row * plan->lanes];
    uint8_t **data = plan->group_data[tile->hemisphere][tile->plane];
    for (uint32_t lane = 0; lane < plan->lanes; lane++) {
        if (outputs[lane] < 0) {
            continue;
        }
        const int8_t *channel =
            &product->matrix->weights[(size_t)outputs[lane] * product->matrix->inputs];
        for (uint32_t r = 0; r < tile->groups * MACHINE_WEIGHT_ROWS; r++) {
            if (inputs[r] >= 0) {
                size_t word = tile->address + r / STRIPES;
                data[r % STRIPES][word * plan->lanes + lane] = (uint8_t)channel[inputs[r]];
            }
        }
    }
}

/* ---- constants: byte planes of a LINEAR buffer ----------------------------------------------- */

static void put_constant(struct compile_plan *plan, uint32_t index, const uint32_t *values)
{
    const struct buffer *b = &plan->buffers[index];
    for (uint32_t plane = 0; plane < b->planes; plane++) {
        uint8_t *data = add_segment(plan, b->slice + plane, b->address, b->count);
        for (size_t i = 0; i < (size_t)b->count * plan->lanes; i++) {
            data[i] = (uint8_t)(values[i] >> (8 * plane));
        }
    }
}

/* binary32 values of a tensor, piece by piece in its layout; zero where a lane holds nothing. */
static void put_floats(struct compile_plan *plan, uint32_t index, const struct layout *layout,
                       const float *values, uint32_t *scratch)
{
    for (size_t i = 0; i < (size_t)layout->pieces * plan->lanes; i++) {
        scratch[i] = layout->source[i] < 0 ? 0 : num_bits(values[layout->source[i]]);
    }
    put_constant(plan, index, scratch);
}

static void put_product(struct compile_plan *plan, const struct product *product, uint32_t *scratch)
{
    for (uint32_t column = 0; column < product->out->pieces; column++) {
        for (uint32_t row = 0; row < product->in->pieces; row++) {
            fill_tile(plan, product, column, row);
        }
    }
    put_floats(plan, product->scale, product->out, product->matrix->scales, scratch);
    if (product->bias != NONE) {
        put_floats(plan, product->bias, product->out, product->matrix->bias, scratch);
    }
}

/* ---- tiles and maps that every model needs --------------------------------------------------- */

static void put_constant_tiles(struct compile_plan *plan)
{
    const struct plan_constants *k = &plan->constants;
    uint32_t lanes = plan->lanes;
    for (uint32_t h = 0; h < 2; h++) {
        /* Row 0 of a superlane to every lane; the other fifteen rows are zero. */
        memset(add_segment(plan, plan->group_slice[h][0], k->pick[h], 1), 1, lanes);
        for (uint32_t j = 0; j < STRIPES; j++) {
            uint32_t slice = plan->group_slice[h][0] + j;
            memset(add_segment(plan, slice, k->ones[h], 1), 1, lanes);
            uint8_t *replicate = add_segment(plan, slice, k->replicate[h], 1);
            for (uint32_t lane = j; lane < lanes; lane += STRIPES) {
                replicate[lane] = 1;
            }
        }
        /* Row 0 of a head's lanes (all of them hold its code) goes to lane 2 head, and 2 head + 1.
         */
        uint8_t *select_k =
            add_segment(plan, plan->group_slice[h][0], k->select_k[h], plan->heads_word);
        uint8_t *select_v =
            add_segment(plan, plan->group_slice[h][0], k->select_v[h], plan->heads_word);
        for (uint32_t head = 0; head < plan->heads_word; head++) {
            for (uint32_t s = 0; s < plan->superlanes; s++) {
                select_k[head * lanes + s * STRIPES + 2 * head] = 1;
                select_v[head * lanes + s * STRIPES + 2 * head + 1] = 1;
            }
        }
    }
}

/* The rows of a superlane meet the lanes of its head with ones. */
static void put_head_ones(struct compile_plan *plan)
{
    const uint32_t lanes = plan->lanes, hs = plan->head_superlanes;
    for (uint32_t h = 0; h < 2; h++) {
        for (uint32_t j = 0; j < STRIPES; j++) {
            uint8_t *ones = add_segment(plan, plan->group_slice[h][0] + j,
                                        plan->constants.head_ones[h], plan->superlanes);
            for (uint32_t s = 0; s < plan->heads_word * hs; s++) {
                memset(ones + (size_t)s * lanes + s / hs * hs * STRIPES, 1, hs * STRIPES);
            }
        }
    }
}

/* Gains of norms that no product follows: of heads, each head's lanes have them all. */
static void put_norms(struct compile_plan *plan, uint32_t *scratch)
{
    const struct graph *g = plan->graph;
    bool heads = false;
    for (uint32_t i = 0; i < g->op_count; i++) {
        if (plan->norm_gains[i] == NONE) {
            continue;
        }
        const struct graph_op *op = &g->ops[i];
        const struct layout *layout = plan_norm_layout(plan, op);
        const uint32_t part = g->tensors[op->outputs[0]].width / op->heads;
        for (size_t l = 0; l < (size_t)layout->pieces * plan->lanes; l++) {
            int32_t element = layout->source[l];
            scratch[l] = element < 0 ? 0 : num_bits(op->gain[(uint32_t)element % part]);
        }
        put_constant(plan, plan->norm_gains[i], scratch);
        heads = heads || layout != &plan->width_layout;
    }
    if (heads) {
        put_head_ones(plan);
    }
}

static void put_maps(struct compile_plan *plan, uint32_t *scratch)
{
    const struct plan_constants *k = &plan->constants;
    uint32_t lanes = plan->lanes, superlanes = plan->superlanes, hs = plan->head_superlanes;
    for (uint32_t l = 0; l < lanes; l++) {
        scratch[l] = (l % STRIPES) ^ 1u;
    }
    put_constant(plan, k->swap_map, scratch);
    for (uint32_t i = 0; i < STRIPES * lanes; i++) {
        scratch[i] = i / lanes;
    }
    put_constant(plan, k->broadcast_map, scratch);
    for (uint32_t i = 0; i < superlanes * lanes; i++) {
        uint32_t turn = i / lanes, s = i % lanes / STRIPES;
        scratch[i] = (s + turn) % superlanes * STRIPES + i % STRIPES;
    }
    put_constant(plan, k->rotate_map[0], scratch);
    put_constant(plan, k->rotate_map[1], scratch);
    for (uint32_t i = 0; i < hs * lanes; i++) {
        uint32_t turn = i / lanes, s = i % lanes / STRIPES;
        uint32_t from = s < plan->heads_word * hs ? s / hs * hs + (s % hs + turn) % hs : s;
        scratch[i] = from * STRIPES + i % STRIPES;
    }
    put_constant(plan, k->segment_map, scratch);
    for (uint32_t i = 0; i < plan->heads_word * lanes; i++) {
        scratch[i] = i % lanes / STRIPES / hs == i / lanes ? 0xFFFFFFFFu : 0;
    }
    put_constant(plan, k->head_bits, scratch);
}

/* Scales of the queries: a lane has its head's. */
static void put_query_scales(struct compile_plan *plan, const struct graph_op *attention,
                             uint32_t *scratch)
{
    const struct plan_layer *layer = &plan->layers[attention->layer];
    const uint8_t *exponents = attention->head_exponents;
    uint32_t lanes = plan->lanes;
    for (size_t i = 0; i < (size_t)plan->q_layout.pieces * lanes; i++) {
        int32_t element = plan->q_layout.source[i];
        uint32_t head = element < 0 ? 0 : (uint32_t)element / plan->graph->head_dim;
        scratch[i] = element < 0 ? 0 : num_bits(num_scale_up(exponents[head]));
    }
    put_constant(plan, layer->query_up, scratch);
    for (size_t i = 0; i < (size_t)plan->graph->heads * lanes; i++) {
        scratch[i] = num_bits(num_scale_down(exponents[i / lanes]));
    }
    put_constant(plan, layer->query_down, scratch);
}

void plan_image(struct compile_plan *plan)
{
    const struct graph *g = plan->graph;
    uint32_t pieces = plan->superlanes;
    const struct layout *layouts[] = {&plan->width_layout, &plan->ffn_layout, &plan->q_layout,
                                      &plan->vocab_layout};
    for (uint32_t i = 0; i < BASE_COUNT(layouts); i++) {
        pieces = BASE_MAX(pieces, layouts[i]->pieces);
    }
    pieces = BASE_MAX(pieces, g->heads);
    uint32_t *scratch = BASE_NEW(&plan->arena, uint32_t, (size_t)(pieces + STRIPES) * plan->lanes);
    plan->segment_capacity = 4 * STRIPES + 2 * (3 * STRIPES + 3) + plan->buffer_count * 4;
    plan->image.segments = BASE_NEW(&plan->arena, struct program_segment, plan->segment_capacity);
    add_weight_segments(plan);
    put_constant_tiles(plan);
    put_maps(plan, scratch);
    for (uint32_t i = 0; i < g->op_count; i++) {
        const struct graph_op *op = &g->ops[i];
        if (op->kind == GRAPH_ATTENTION) {
            put_query_scales(plan, op, scratch);
        }
        if (op->kind != GRAPH_NORM_LINEAR) {
            continue;
        }
        uint32_t gain = plan->gain_output;
        if (op->layer < g->layers) {
            gain = op->matrices[2] != NULL ? plan->layers[op->layer].gain_attention
                                           : plan->layers[op->layer].gain_ffn;
        }
        put_floats(plan, gain, &plan->width_layout, op->gain, scratch);
    }
    for (uint32_t l = 0; l < g->layers; l++) {
        struct product *products[7];
        plan_layer_products(&plan->layers[l], products);
        for (uint32_t i = 0; i < BASE_COUNT(products); i++) {
            put_product(plan, products[i], scratch);
        }
    }
    put_product(plan, &plan->output, scratch);
    put_norms(plan, scratch);
}
