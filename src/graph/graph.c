/*
 * From a model to the operations of one step: lists what is computed in order, then has the weights
 * read, checked and quantised. Shapes were checked when the file was opened; here they are relied
 * upon.
 */
#include "graph/graph.h"

#include <stdio.h>

#include "graph/bounds.h"
#include "graph/weights.h"
#include "num/num.h"

enum { OPS_A_LAYER = 14, TENSORS_A_LAYER = 19 };

/* A residual sum x = previous + product; `exponent`: of the product's activations. Tensors. */
struct sum {
    uint32_t x, previous, exponent;
    bool bounded; /* the product was added as it came, without bias or norm */
};

struct builder {
    const struct model *model;
    struct base_arena *arena;
    struct graph *graph;
    struct takt_error *error;
    struct weights weights;
    uint32_t layer;
    struct sum added;
};

/* ---- memory ---------------------------------------------------------------------------------- */

static size_t aligned(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static uint32_t op_room(const struct model *model)
{
    return 3 + OPS_A_LAYER * model->layers;
}

static uint32_t tensor_room(const struct model *model)
{
    return 3 + TENSORS_A_LAYER * model->layers;
}

size_t graph_arena_bytes(const struct model *model)
{
    return aligned(sizeof(bool)) + aligned(op_room(model) * sizeof(struct graph_op)) +
           aligned(tensor_room(model) * sizeof(struct graph_tensor)) + bounds_arena_bytes(model) +
           weights_arena_bytes(model);
}

/* ---- operations ------------------------------------------------------------------------------ */

static uint32_t add_tensor(struct builder *b, const char *name, uint32_t width)
{
    struct graph *graph = b->graph;
    BASE_ASSERT(graph->tensor_count < tensor_room(b->model));
    struct graph_tensor *tensor = &graph->tensors[graph->tensor_count];
    if (b->layer < b->model->layers)
        snprintf(tensor->name, sizeof tensor->name, "blk.%u.%s", b->layer, name);
    else
        snprintf(tensor->name, sizeof tensor->name, "%s", name);
    tensor->width = width;
    return graph->tensor_count++;
}

static struct graph_op *add_op(struct builder *b, enum graph_op_kind kind)
{
    BASE_ASSERT(b->graph->op_count < op_room(b->model));
    struct graph_op *op = &b->graph->ops[b->graph->op_count++];
    op->kind = kind;
    op->layer = b->layer;
    return op;
}

static void add_input(struct graph_op *op, uint32_t tensor)
{
    BASE_ASSERT(op->input_count < GRAPH_OP_MAX);
    op->inputs[op->input_count++] = tensor;
}

/* Names the operation's next output; returns its tensor index. */
static uint32_t add_output(struct builder *b, struct graph_op *op, const char *name, uint32_t width)
{
    BASE_ASSERT(op->output_count < GRAPH_OP_MAX);
    uint32_t tensor = add_tensor(b, name, width);
    op->outputs[op->output_count++] = tensor;
    return tensor;
}

/* An operation with one input and an output of the same width. */
static struct graph_op *add_map(struct builder *b, enum graph_op_kind kind, uint32_t *x,
                                const char *name)
{
    struct graph_op *op = add_op(b, kind);
    add_input(op, *x);
    *x = add_output(b, op, name, b->graph->tensors[*x].width);
    return op;
}

static uint32_t add_pair(struct builder *b, enum graph_op_kind kind, uint32_t x, uint32_t y,
                         const char *name)
{
    struct graph_op *op = add_op(b, kind);
    add_input(op, x);
    add_input(op, y);
    return add_output(b, op, name, b->graph->tensors[x].width);
}

/* RMS norm of each of `heads` parts; nothing where the model has no such gain. */
static void add_norm(struct builder *b, const struct model_tensor *gain, uint32_t heads,
                     uint32_t rotary, uint32_t *x, const char *name)
{
    if (gain->data == NULL)
        return;
    BASE_ASSERT(gain->columns * heads == b->graph->tensors[*x].width);
    struct graph_op *op = add_map(b, GRAPH_NORM, x, name);
    op->heads = heads;
    op->gain = weights_gain(&b->weights, gain, rotary);
}

static void add_rope(struct builder *b, uint32_t heads, uint32_t *x, const char *name)
{
    struct graph_op *op = add_map(b, GRAPH_ROPE, x, name);
    op->heads = heads;
    op->rope = b->model->layer[b->layer].rope;
}

struct factor {
    const char *name; /* of the output */
    const struct model_tensor *matrix, *bias;
    uint32_t rotary; /* the output is turned: 0 = it is not */
    uint32_t out;    /* its tensor */
};

/* One product with one or more matrices; gain NULL for LINEAR. */
static enum takt_status add_product(struct builder *b, uint32_t x, const struct model_tensor *gain,
                                    struct factor *factors, uint32_t count)
{
    struct graph_op *op = add_op(b, gain ? GRAPH_NORM_LINEAR : GRAPH_LINEAR);
    add_input(op, x);
    op->gain = gain ? weights_gain(&b->weights, gain, 0) : NULL;
    if (gain && b->added.bounded && b->added.x == x) {
        add_input(op, b->added.previous);
        add_input(op, b->added.exponent);
    }
    enum takt_status status = TAKT_OK;
    for (uint32_t i = 0; i < count && status == TAKT_OK; i++) {
        struct factor *f = &factors[i];
        f->out = add_output(b, op, f->name, f->matrix->rows);
        status =
            weights_matrix(&b->weights, f->matrix, f->bias, f->rotary, &op->matrices[i], b->error);
    }
    return status;
}

/* *x becomes the sum of it and y, which a product has made last, or a norm of that. */
static void add_sum(struct builder *b, uint32_t *x, uint32_t y, uint32_t exponent,
                    const struct model_tensor *bias, const char *name)
{
    const struct graph_op *last = &b->graph->ops[b->graph->op_count - 1];
    const bool plain = last->kind == GRAPH_LINEAR && (bias == NULL || bias->data == NULL);
    const uint32_t previous = *x;
    *x = add_pair(b, GRAPH_ADD, previous, y, name);
    b->added = (struct sum){*x, previous, exponent, plain};
}

/* x + norm(o . attention(rope(norm(q)), rope(norm(k)), v)), the norms where there are any; *x
 * becomes the sum. */
static enum takt_status add_attention_block(struct builder *b, uint32_t *x)
{
    const struct model_layer *layer = &b->model->layer[b->layer];
    const struct graph *graph = b->graph;
    const uint32_t rotary = b->model->ropes[layer->rope].rotary;
    struct factor qkv[] = {{"q", &layer->q, &layer->q_bias, rotary, 0},
                           {"k", &layer->k, &layer->k_bias, rotary, 0},
                           {"v", &layer->v, &layer->v_bias, 0, 0}};
    enum takt_status status = add_product(b, *x, &layer->attention_norm, qkv, 3);
    if (status != TAKT_OK)
        return status;
    uint32_t q = qkv[0].out, k = qkv[1].out;
    add_norm(b, &layer->q_norm, graph->heads, rotary, &q, "q_norm");
    add_norm(b, &layer->k_norm, graph->kv_heads, rotary, &k, "k_norm");
    add_rope(b, graph->heads, &q, "q_rope");
    add_rope(b, graph->kv_heads, &k, "k_rope");
    struct graph_op *op = add_op(b, GRAPH_ATTENTION);
    op->heads = graph->heads;
    op->window = layer->window;
    add_input(op, q);
    add_input(op, k);
    add_input(op, qkv[2].out);
    uint32_t attention = add_output(b, op, "attention", graph->heads * graph->head_dim);
    uint32_t bound = add_output(b, op, "attention_exponent", 1);
    struct factor o = {"o", &layer->o, &layer->o_bias, 0, 0};
    status = add_product(b, attention, NULL, &o, 1);
    if (status != TAKT_OK)
        return status;
    add_input(&graph->ops[graph->op_count - 1], bound);
    add_norm(b, &layer->attention_post_norm, 1, 0, &o.out, "o_norm");
    add_sum(b, x, o.out, bound, &layer->o_bias, "attention_sum");
    return TAKT_OK;
}

/* x + norm(down . (f(gate) * up)); *x becomes the sum. */
static enum takt_status add_ffn_block(struct builder *b, uint32_t *x)
{
    const struct model_layer *layer = &b->model->layer[b->layer];
    struct factor in[] = {{"gate", &layer->gate, NULL, 0, 0}, {"up", &layer->up, NULL, 0, 0}};
    enum takt_status status = add_product(b, *x, &layer->ffn_norm, in, 2);
    if (status != TAKT_OK)
        return status;
    uint32_t hidden = b->model->gelu ? add_pair(b, GRAPH_GEGLU, in[0].out, in[1].out, "geglu")
                                     : add_pair(b, GRAPH_SWIGLU, in[0].out, in[1].out, "swiglu");
    struct factor down = {"down", &layer->down, NULL, 0, 0};
    status = add_product(b, hidden, NULL, &down, 1);
    if (status != TAKT_OK)
        return status;
    struct graph_op *product = &b->graph->ops[b->graph->op_count - 1];
    uint32_t exponent = add_output(b, product, "down_exponent", 1);
    add_norm(b, &layer->ffn_post_norm, 1, 0, &down.out, "down_norm");
    add_sum(b, x, down.out, exponent, NULL, "out");
    return TAKT_OK;
}

static enum takt_status add_logits(struct builder *b, uint32_t x)
{
    const struct model *model = b->model;
    bool capped = model->logit_cap > 0.0f;
    struct factor output = {capped ? "logits_uncapped" : "logits",
                            model->tied ? &model->embedding : &model->output, NULL, 0, 0};
    enum takt_status status = add_product(b, x, &model->output_norm, &output, 1);
    b->graph->logits = output.out;
    if (status == TAKT_OK && capped)
        add_map(b, GRAPH_SOFTCAP, &b->graph->logits, "logits")->cap = model->logit_cap;
    return status;
}

static void describe(const struct model *model, struct graph *graph)
{
    *graph = (struct graph){.layers = model->layers,
                            .width = model->width,
                            .heads = model->heads,
                            .kv_heads = model->kv_heads,
                            .head_dim = model->head_dim,
                            .ffn = model->ffn,
                            .vocab = model->vocab,
                            .norm_epsilon = model->norm_epsilon,
                            .embedding_scale = model->embedding_scale,
                            .score_scale = model->score_scale,
                            .score_cap = model->score_cap,
                            .ropes = model->ropes,
                            .rope_count = model->rope_count,
                            .model = model};
}

enum takt_status graph_list(const struct model *model, struct base_arena *arena,
                            struct graph *graph, struct takt_error *error)
{
    struct builder b = {
        .model = model, .arena = arena, .graph = graph, .error = error, .layer = model->layers};
    describe(model, graph);
    graph->arena = arena;
    graph->bounded = BASE_NEW(arena, bool, 1);
    graph->ops = BASE_NEW(arena, struct graph_op, op_room(model));
    graph->tensors = BASE_NEW(arena, struct graph_tensor, tensor_room(model));
    weights_create(&b.weights, graph);
    if (!model->tied) /* its rows are read one by one later: looked at now */
        weights_check(&b.weights, &model->embedding);
    uint32_t x = add_output(&b, add_op(&b, GRAPH_INPUT), "input", model->width);
    for (b.layer = 0; b.layer < model->layers; b.layer++) {
        enum takt_status status = add_attention_block(&b, &x);
        if (status == TAKT_OK)
            status = add_ffn_block(&b, &x);
        if (status != TAKT_OK)
            return status;
    }
    enum takt_status status = add_logits(&b, x);
    if (status == TAKT_OK)
        status = weights_run(&b.weights, error);
    if (status == TAKT_OK)
        bounds_list(graph);
    return status;
}

enum takt_status graph_build(const struct model *model, struct base_arena *arena,
                             struct graph *graph, struct takt_error *error)
{
    enum takt_status status = graph_list(model, arena, graph, error);
    return status == TAKT_OK ? graph_image(graph, error) : status;
}

enum takt_status graph_image(const struct graph *graph, struct takt_error *error)
{
    if (graph->matrices[0].weights != NULL)
        return TAKT_OK;
    enum takt_status status = weights_image(graph, !*graph->bounded, error);
    if (status == TAKT_OK && !*graph->bounded)
        graph_bounds(graph);
    return status;
}

/* ---- a step's data --------------------------------------------------------------------------- */

void graph_embedding(const struct graph *graph, uint32_t token, float *out)
{
    BASE_ASSERT(token < graph->vocab);
    model_row(&graph->model->embedding, token, out);
    if (graph->embedding_scale != 1.0f)
        for (uint32_t i = 0; i < graph->width; i++)
            out[i] = out[i] * graph->embedding_scale;
}

void graph_rope(const struct graph *graph, uint32_t rope, uint32_t pair, uint32_t position,
                float *cosine, float *sine)
{
    BASE_ASSERT(rope < graph->rope_count && pair < graph->head_dim / 2);
    const struct model_rope *table = &graph->ropes[rope];
    *cosine = 1.0f;
    *sine = 0.0f;
    if (pair >= table->rotary / 2)
        return;
    double divisor = table->scale;
    if (table->factors != NULL)
        divisor *= (double)table->factors[pair];
    num_rope_scaled(table->base, table->rotary, pair, divisor, table->magnitude, position, cosine,
                    sine);
}

uint32_t graph_first_position(const struct graph_op *attention, uint32_t position)
{
    uint32_t window = attention->window;
    return window == 0 || position < window ? 0 : position - window + 1;
}
