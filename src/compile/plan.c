/*
 * Plan: where everything that outlives a step lies.
 *
 * Requires: a graph and a machine. Fills in: layouts, products with their weight tiles, constants,
 * the KV cache, the image. All programs of a model share one plan, so that they share one memory.
 *
 * A hemisphere's outer slices hold weights: sixteen for each plane of the MXM next to them (sixteen
 * for both on a machine with few slices), row r of a tile in slice r % 16, so that one LW takes a
 * word from each. The inner slices hold constants; what is left anywhere serves temporaries
 * (allocate.c).
 */
#include "compile/plan.h"

#include <string.h>

/* ---- layouts --------------------------------------------------------------------------------- */

static void layout_create(struct compile_plan *plan, struct layout *layout, uint32_t pieces)
{
    layout->pieces = pieces;
    layout->source = BASE_NEW(&plan->arena, int32_t, (size_t)pieces * plan->lanes);
    for (size_t i = 0; i < (size_t)pieces * plan->lanes; i++) {
        layout->source[i] = -1;
    }
}

static void layout_split(struct compile_plan *plan, struct layout *layout, uint32_t width,
                         bool even)
{
    uint32_t pieces = (width + plan->lanes - 1) / plan->lanes;
    uint32_t size = even ? (width + pieces - 1) / pieces : plan->lanes;
    layout_create(plan, layout, pieces);
    for (uint32_t i = 0; i < width; i++) {
        layout->source[i / size * plan->lanes + i % size] = (int32_t)i;
    }
}

/* Heads side by side, each beginning at a superlane; q's pieces hold, for each word of KV heads,
 * one query head of every KV head, in the lanes of that KV head: q, K and V then meet lane by lane.
 */
static void layout_heads(struct compile_plan *plan, struct layout *layout, uint32_t groups)
{
    const struct graph *g = plan->graph;
    layout_create(plan, layout, plan->kv_words * groups);
    for (uint32_t kv = 0; kv < g->kv_heads; kv++) {
        uint32_t word = kv / plan->heads_word;
        uint32_t lane = kv % plan->heads_word * plan->head_superlanes * MACHINE_LANES_PER_SUPERLANE;
        for (uint32_t i = 0; i < groups * g->head_dim; i++) {
            uint32_t piece = word * groups + i / g->head_dim, d = i % g->head_dim;
            uint32_t element = (kv * groups + i / g->head_dim) * g->head_dim + d;
            layout->source[piece * plan->lanes + lane + d] = (int32_t)element;
        }
    }
}

uint32_t layout_groups(const struct compile_plan *plan, const struct layout *layout, uint32_t piece)
{
    uint32_t used = 0;
    for (uint32_t l = 0; l < plan->lanes; l++) {
        used = layout->source[piece * plan->lanes + l] >= 0 ? l + 1 : used;
    }
    return (used + MACHINE_WEIGHT_ROWS - 1) / MACHINE_WEIGHT_ROWS;
}

static enum takt_status plan_heads(struct compile_plan *plan, struct takt_error *error)
{
    const struct graph *g = plan->graph;
    plan->group_heads = g->heads / g->kv_heads;
    plan->head_superlanes = (g->head_dim + STRIPES - 1) / STRIPES;
    if (plan->head_superlanes > plan->superlanes || g->head_dim % 2 != 0) {
        return base_fail(
            error, TAKT_UNSUPPORTED,
            "compile: heads of %u elements; this version needs an even number of at most "
            "%u on machine \"%s\"; use --target reference",
            g->head_dim, plan->lanes, plan->machine.name);
    }
    /* Two scale codes a head share the sixteen lanes of one superlane: eight heads a word. */
    plan->heads_word = BASE_MIN(g->kv_heads, plan->superlanes / plan->head_superlanes);
    plan->heads_word = BASE_MIN(plan->heads_word, STRIPES / 2);
    plan->kv_words = (g->kv_heads + plan->heads_word - 1) / plan->heads_word;
    plan->key_groups = plan->heads_word * plan->head_superlanes + 1;
    plan->unaligned_max = compile_aligned(plan->chunk_max) ? 1 : plan->chunk_max;
    plan->row_ring = compile_blocks(plan->unaligned_max);
    layout_split(plan, &plan->width_layout, g->width, true);
    layout_split(plan, &plan->ffn_layout, g->ffn, true);
    layout_split(plan, &plan->vocab_layout, g->vocab, false);
    layout_heads(plan, &plan->q_layout, plan->group_heads);
    layout_heads(plan, &plan->kv_layout, 1);
    return TAKT_OK;
}

/* ---- addresses ------------------------------------------------------------------------------- */

/* `words` words in sixteen slices from `slice` on; all at one address. */
static uint32_t take_group(struct compile_plan *plan, uint32_t slice, uint32_t words)
{
    uint32_t *used = &plan->quad_used[slice / MACHINE_SLICES_PER_POSITION];
    uint32_t address = 0;
    for (uint32_t i = 0; i < 4; i++) {
        address = BASE_MAX(address, used[i]);
    }
    for (uint32_t i = 0; i < 4; i++) {
        used[i] = address + words;
    }
    return address;
}

static uint32_t add_buffer(struct compile_plan *plan, const char *name, enum buffer_kind kind,
                           uint32_t planes, uint32_t count, uint32_t slice, uint32_t address)
{
    BASE_ASSERT(plan->buffer_count < plan->buffer_capacity);
    struct buffer *b = &plan->buffers[plan->buffer_count];
    *b = (struct buffer){.kind = kind,
                         .planes = planes,
                         .count = count,
                         .slice = slice,
                         .address = address,
                         .fixed = true};
    snprintf(b->name, sizeof b->name, "%s", name);
    return plan->buffer_count++;
}

/* A constant in the inner slices, hemispheres in turn. */
static uint32_t take_constant(struct compile_plan *plan, const char *name, uint32_t planes,
                              uint32_t count)
{
    uint32_t inner = plan->group_slice[0][0] / MACHINE_SLICES_PER_POSITION;
    uint32_t best = NONE;
    for (uint32_t i = 0; i < 2 * inner; i++) {
        uint32_t quad = i % 2 * (plan->quads / 2) + i / 2;
        if (best == NONE || plan->quad_used[quad] < plan->quad_used[best]) {
            best = quad;
        }
    }
    uint32_t address = plan->quad_used[best];
    plan->quad_used[best] += count;
    plan->bytes_constants += (uint64_t)count * 4 * plan->lanes;
    return add_buffer(plan, name, BUFFER_LINEAR, planes, count, best * MACHINE_SLICES_PER_POSITION,
                      address);
}

/* Planes (hemisphere + 2 * plane of it), beginning with the one whose memory is emptiest. */
static void order_planes(const struct compile_plan *plan, uint32_t order[PLANES])
{
    uint32_t used[PLANES];
    for (uint32_t i = 0; i < PLANES; i++) {
        uint32_t slice = plan->group_slice[i % 2][i / 2];
        used[i] = plan->quad_used[slice / MACHINE_SLICES_PER_POSITION];
        order[i] = i;
    }
    for (uint32_t i = 1; i < PLANES; i++) {
        for (uint32_t j = i; j > 0 && used[order[j]] < used[order[j - 1]]; j--) {
            uint32_t swap = order[j];
            order[j] = order[j - 1];
            order[j - 1] = swap;
        }
    }
}

static void product_create(struct compile_plan *plan, struct product *product,
                           const struct graph_matrix *matrix, const struct layout *in,
                           const struct layout *out)
{
    product->matrix = matrix;
    product->in = in;
    product->out = out;
    product->tiles = BASE_NEW(&plan->arena, struct weight_tile, (size_t)in->pieces * out->pieces);
}

/* Products that share their input run side by side: each plane gets a quarter of their row groups,
 * in order, so that a column may be divided between planes by its rows. */
static void place_tiles(struct compile_plan *plan, struct product *const *products, uint32_t count)
{
    uint32_t order[PLANES], total = 0, sum = 0;
    order_planes(plan, order);
    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < count; i++) {
            const struct product *product = products[i];
            uint32_t rows = product->in->pieces;
            for (uint32_t t = 0; t < rows * product->out->pieces; t++) {
                uint32_t groups = layout_groups(plan, product->in, t % rows);
                if (pass == 0) {
                    total += groups;
                    continue;
                }
                uint32_t turn = order[(uint64_t)sum * PLANES / total];
                sum += groups;
                struct weight_tile *tile = &product->tiles[t];
                tile->hemisphere = turn % 2;
                tile->plane = turn / 2;
                tile->slice = plan->group_slice[turn % 2][turn / 2];
                tile->groups = groups;
                tile->address = take_group(plan, tile->slice, groups);
                plan->bytes_weights += (uint64_t)groups * STRIPES * plan->lanes;
            }
        }
    }
}

static const struct graph_op *find_op(const struct graph *g, uint32_t layer,
                                      enum graph_op_kind kind, uint32_t nth)
{
    for (uint32_t i = 0; i < g->op_count; i++) {
        if (g->ops[i].layer == layer && g->ops[i].kind == kind && nth-- == 0) {
            return &g->ops[i];
        }
    }
    return NULL;
}

static void plan_products(struct compile_plan *plan)
{
    const struct graph *g = plan->graph;
    for (uint32_t l = 0; l < g->layers; l++) {
        struct plan_layer *layer = &plan->layers[l];
        const struct graph_op *qkv = find_op(g, l, GRAPH_NORM_LINEAR, 0);
        const struct graph_op *ffn = find_op(g, l, GRAPH_NORM_LINEAR, 1);
        const struct graph_op *o = find_op(g, l, GRAPH_LINEAR, 0);
        const struct graph_op *down = find_op(g, l, GRAPH_LINEAR, 1);
        BASE_ASSERT(qkv != NULL && ffn != NULL && o != NULL && down != NULL);
        const struct layout *width = &plan->width_layout, *ffn_layout = &plan->ffn_layout;
        product_create(plan, &layer->q, qkv->matrices[0], width, &plan->q_layout);
        product_create(plan, &layer->k, qkv->matrices[1], width, &plan->kv_layout);
        product_create(plan, &layer->v, qkv->matrices[2], width, &plan->kv_layout);
        product_create(plan, &layer->o, o->matrices[0], &plan->q_layout, width);
        product_create(plan, &layer->gate, ffn->matrices[0], width, ffn_layout);
        product_create(plan, &layer->up, ffn->matrices[1], width, ffn_layout);
        product_create(plan, &layer->down, down->matrices[0], ffn_layout, width);
        place_tiles(plan, (struct product *[]){&layer->q, &layer->k, &layer->v}, 3);
        place_tiles(plan, (struct product *[]){&layer->o}, 1);
        place_tiles(plan, (struct product *[]){&layer->gate, &layer->up}, 2);
        place_tiles(plan, (struct product *[]){&layer->down}, 1);
    }
    const struct graph_op *last = find_op(g, g->layers, GRAPH_NORM_LINEAR, 0);
    BASE_ASSERT(last != NULL);
    product_create(plan, &plan->output, last->matrices[0], &plan->width_layout,
                   &plan->vocab_layout);
    place_tiles(plan, (struct product *[]){&plan->output}, 1);
    for (uint32_t h = 0; h < 2; h++) {
        for (uint32_t p = 0; p < MACHINE_PLANES; p++) {
            uint32_t slice = plan->group_slice[h][p];
            plan->group_words[h][p] = plan->quad_used[slice / MACHINE_SLICES_PER_POSITION];
        }
    }
}

static uint32_t take_bias(struct compile_plan *plan, const struct product *product)
{
    return product->matrix->bias == NULL ? NONE
                                         : take_constant(plan, "bias", 4, product->out->pieces);
}

/* Gains of norms that no product follows, and what norms of heads need. */
static void plan_norms(struct compile_plan *plan)
{
    const struct graph *g = plan->graph;
    bool heads = false;
    plan->norm_gains = BASE_NEW(&plan->arena, uint32_t, g->op_count);
    for (uint32_t i = 0; i < g->op_count; i++) {
        const struct graph_op *op = &g->ops[i];
        plan->norm_gains[i] = NONE;
        if (op->kind == GRAPH_NORM) {
            plan->norm_gains[i] =
                take_constant(plan, "norm gain", 4, plan_norm_layout(plan, op)->pieces);
            heads = heads || plan_norm_layout(plan, op) != &plan->width_layout;
        }
    }
    for (uint32_t h = 0; heads && h < 2; h++) {
        plan->constants.head_ones[h] = take_group(plan, plan->group_slice[h][0], plan->superlanes);
    }
}

static void plan_constants(struct compile_plan *plan)
{
    struct plan_constants *k = &plan->constants;
    for (uint32_t h = 0; h < 2; h++) {
        uint32_t slice = plan->group_slice[h][0];
        k->ones[h] = take_group(plan, slice, 1);
        k->pick[h] = take_group(plan, slice, 1);
        k->replicate[h] = take_group(plan, slice, 1);
        k->select_k[h] = take_group(plan, slice, plan->heads_word);
        k->select_v[h] = take_group(plan, slice, plan->heads_word);
    }
    k->swap_map = take_constant(plan, "swap_map", 1, 1);
    k->broadcast_map = take_constant(plan, "broadcast_map", 1, STRIPES);
    for (uint32_t h = 0; h < 2; h++) { /* hemispheres in turn */
        k->rotate_map[h] = take_constant(plan, "rotate_map", 2, plan->superlanes);
    }
    k->segment_map = take_constant(plan, "segment_map", 2, plan->head_superlanes);
    k->head_bits = take_constant(plan, "head_bits", 4, plan->heads_word);
    struct product *products[7];
    for (uint32_t l = 0; l < plan->graph->layers; l++) {
        struct plan_layer *layer = &plan->layers[l];
        layer->gain_attention = take_constant(plan, "gain", 4, plan->width_layout.pieces);
        layer->gain_ffn = take_constant(plan, "gain", 4, plan->width_layout.pieces);
        layer->query_up = take_constant(plan, "query_up", 4, plan->q_layout.pieces);
        layer->query_down = take_constant(plan, "query_down", 4, plan->graph->heads);
        plan_layer_products(layer, products);
        for (uint32_t i = 0; i < BASE_COUNT(products); i++) {
            products[i]->scale = take_constant(plan, "scale", 4, products[i]->out->pieces);
            products[i]->bias = take_bias(plan, products[i]);
        }
    }
    plan->gain_output = take_constant(plan, "gain", 4, plan->width_layout.pieces);
    plan->output.scale = take_constant(plan, "scale", 4, plan->output.out->pieces);
    plan->output.bias = take_bias(plan, &plan->output);
    plan_norms(plan);
}

void plan_layer_products(struct plan_layer *layer, struct product *products[7])
{
    struct product *all[7] = {&layer->q,    &layer->k,  &layer->v,   &layer->o,
                              &layer->gate, &layer->up, &layer->down};
    memcpy(products, all, sizeof all);
}

/* Which of a hemisphere's two groups of slices is the emptier. */
static uint32_t emptier(const struct compile_plan *plan, uint32_t hemisphere)
{
    const uint32_t *slices = plan->group_slice[hemisphere];
    return plan->quad_used[slices[1] / MACHINE_SLICES_PER_POSITION] <
           plan->quad_used[slices[0] / MACHINE_SLICES_PER_POSITION];
}

/* One word of heads of one user: V and K transposed beside the two planes of a hemisphere, K's
 * newest rows across. */
static void plan_cache_word(struct compile_plan *plan, struct plan_layer *layer, uint32_t index,
                            uint32_t h)
{
    uint32_t v = emptier(plan, h);
    uint32_t words[3] = {plan->row_ring * plan->key_groups, plan->context_tiles * plan->key_groups,
                         plan->value_rows};
    uint32_t slices[3] = {plan->group_slice[1 - h][emptier(plan, 1 - h)],
                          plan->group_slice[h][1 - v], plan->group_slice[h][v]};
    uint32_t *buffers[3] = {&layer->key_rows[index], &layer->key_tiles[index],
                            &layer->values[index]};
    const char *names[3] = {"key_rows", "key_tiles", "values"};
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t address = take_group(plan, slices[i], words[i]);
        *buffers[i] =
            add_buffer(plan, names[i], BUFFER_STRIPE, 1, words[i] * STRIPES, slices[i], address);
        plan->buffers[*buffers[i]].whole = true;
        plan->bytes_kv += (uint64_t)words[i] * STRIPES * plan->lanes;
    }
}

/* Hemispheres in turn over layers and words. */
static void plan_cache(struct compile_plan *plan)
{
    uint32_t count = plan->users * plan->kv_words;
    for (uint32_t l = 0; l < plan->graph->layers; l++) {
        struct plan_layer *layer = &plan->layers[l];
        layer->key_rows = BASE_NEW(&plan->arena, uint32_t, count);
        layer->key_tiles = BASE_NEW(&plan->arena, uint32_t, count);
        layer->values = BASE_NEW(&plan->arena, uint32_t, count);
        for (uint32_t i = 0; i < count; i++) {
            plan_cache_word(plan, layer, i, (l + i % plan->kv_words + i / plan->kv_words) % 2);
        }
    }
}

static enum takt_status plan_capacity(const struct compile_plan *plan, struct takt_error *error)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < plan->quads; i++) {
        most = BASE_MAX(most, plan->quad_used[i]);
    }
    if (most < plan->machine.mem_words) {
        return TAKT_OK;
    }
    uint64_t needed = plan->bytes_weights + plan->bytes_kv + plan->bytes_constants;
    uint64_t available = 2ull * plan->machine.mem_slices * plan->machine.mem_words * plan->lanes;
    return base_fail(
        error, TAKT_CAPACITY,
        "compile: the model needs %llu bytes of chip memory (weights %llu, KV cache of %u "
        "positions %llu, constants %llu); one \"%s\" has %llu, and its fullest slices would "
        "hold %u of %u words; %u chips would do, which this version cannot join: use a "
        "smaller model, --ctx or --chunk",
        (unsigned long long)needed, (unsigned long long)plan->bytes_weights, plan->context,
        (unsigned long long)plan->bytes_kv, (unsigned long long)plan->bytes_constants,
        plan->machine.name, (unsigned long long)available, most, plan->machine.mem_words,
        most / plan->machine.mem_words + 1);
}

static void plan_slices(struct compile_plan *plan)
{
    uint32_t slices = plan->machine.mem_slices;
    bool shared = slices < 2 * STRIPES + 2 * MACHINE_SLICES_PER_POSITION;
    for (uint32_t h = 0; h < 2; h++) {
        plan->group_slice[h][0] = h * slices + slices - (shared ? STRIPES : 2 * STRIPES);
        plan->group_slice[h][1] = h * slices + slices - STRIPES;
    }
    plan->quads = 2 * slices / MACHINE_SLICES_PER_POSITION;
    plan->quad_used = BASE_NEW(&plan->arena, uint32_t, plan->quads);
}

/* Buffers of the plan lie above the weights, inside the machine, and apart. */
void plan_check(const struct compile_plan *plan)
{
    for (uint32_t i = 0; i < plan->buffer_count; i++) {
        const struct buffer *x = &plan->buffers[i];
        BASE_ASSERT(x->slice + buffer_slices(x) <= 2 * plan->machine.mem_slices);
        BASE_ASSERT(x->address + buffer_words(x) <= plan->machine.mem_words);
        for (uint32_t h = 0; h < 2; h++) {
            for (uint32_t p = 0; p < MACHINE_PLANES; p++) {
                uint32_t first = plan->group_slice[h][p];
                BASE_ASSERT(x->slice >= first + STRIPES || first >= x->slice + buffer_slices(x) ||
                            x->address >= plan->group_words[h][p]);
            }
        }
        for (uint32_t j = 0; j < i; j++) {
            const struct buffer *y = &plan->buffers[j];
            bool apart = x->address + buffer_words(x) <= y->address ||
                         y->address + buffer_words(y) <= x->address ||
                         x->slice + buffer_slices(x) <= y->slice ||
                         y->slice + buffer_slices(y) <= x->slice;
            BASE_ASSERT(apart);
        }
    }
}

/* Lowering keeps lists of the pieces of an input and of the tiles of positions: so many at most. */
static enum takt_status plan_limits(const struct compile_plan *plan, struct takt_error *error)
{
    const struct layout *inputs[] = {&plan->width_layout, &plan->ffn_layout, &plan->q_layout};
    const char *names[] = {"the width", "the feed-forward width", "the query heads"};
    for (uint32_t i = 0; i < BASE_COUNT(inputs); i++) {
        if (inputs[i]->pieces > KERNEL_INPUTS_MAX) {
            return base_fail(
                error, TAKT_UNSUPPORTED,
                "compile: %s in %u vectors of %u lanes on \"%s\"; this version joins at "
                "most %u; use --target reference",
                names[i], inputs[i]->pieces, plan->lanes, plan->machine.name, KERNEL_INPUTS_MAX);
        }
    }
    if (plan->context_tiles > KERNEL_INPUTS_MAX) {
        return base_fail(error, TAKT_LIMIT,
                         "compile: a context of %u positions; this version attends over at most %u "
                         "on \"%s\": use a smaller --ctx, or --target reference",
                         plan->context, KERNEL_INPUTS_MAX * plan->lanes, plan->machine.name);
    }
    return TAKT_OK;
}

bool plan_windowed(const struct compile_plan *plan, const struct graph_op *op)
{
    return op->kind == GRAPH_ATTENTION && op->window != 0 && op->window < plan->context;
}

const struct layout *plan_norm_layout(const struct compile_plan *plan, const struct graph_op *op)
{
    const struct graph *g = plan->graph;
    for (const struct graph_op *next = op + 1; next < g->ops + g->op_count; next++) {
        if (next->kind == GRAPH_ROPE && next->inputs[0] == op->outputs[0]) {
            return next->heads == g->heads ? &plan->q_layout : &plan->kv_layout;
        }
    }
    return &plan->width_layout;
}

/* A model may have one window, and one table of angles beside the first. */
static enum takt_status plan_operations(const struct compile_plan *plan, struct takt_error *error)
{
    const struct graph *graph = plan->graph;
    uint32_t window = 0;
    for (uint32_t i = 0; i < graph->op_count; i++) {
        const struct graph_op *op = &graph->ops[i];
        if (!plan_windowed(plan, op)) {
            continue;
        }
        if (window != 0 && window != op->window) {
            return base_fail(error, TAKT_UNSUPPORTED,
                             "compile: %s: windows of %u and of %u positions; this version lowers "
                             "one length to the chip: use --target native",
                             graph->model->path, window, op->window);
        }
        window = op->window;
    }
    return TAKT_OK;
}

enum takt_status plan_build(struct compile_plan *plan, struct takt_error *error)
{
    enum takt_status status = plan_operations(plan, error);
    if (status != TAKT_OK) {
        return status;
    }
    plan->lanes = machine_lanes(&plan->machine);
    plan->superlanes = plan->machine.superlanes;
    plan->context_tiles = (plan->context + plan->lanes - 1) / plan->lanes;
    plan->value_rows = (plan->context + MACHINE_WEIGHT_ROWS - 1) / MACHINE_WEIGHT_ROWS;
    plan_slices(plan);
    status = plan_heads(plan, error);
    if (status != TAKT_OK) {
        return status;
    }
    uint32_t layers = plan->graph->layers;
    plan->layers = BASE_NEW(&plan->arena, struct plan_layer, layers);
    plan->buffer_capacity = 17 + layers * (11 + 3 * plan->users * plan->kv_words);
    plan->buffer_capacity += layers * (7 + 4); /* biases, gains of norms */
    plan->buffers = BASE_NEW(&plan->arena, struct buffer, plan->buffer_capacity);
    plan_products(plan);
    plan_constants(plan);
    plan_cache(plan);
    status = plan_capacity(plan, error);
    if (status == TAKT_OK) {
        status = plan_limits(plan, error);
    }
    if (status == TAKT_OK) {
        status = graph_image(plan->graph, error);
    }
    if (status == TAKT_OK) {
        plan_image(plan);
    }
    return status;
}
