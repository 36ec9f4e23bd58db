/*
 * From a model to the operations of one step: checks the weights, quantises them, and lists what is
 * computed in order. Shapes were checked when the file was opened; here they are relied upon.
 */
#include "graph/graph.h"

#include <stdio.h>

#include "num/num.h"

enum { OPS_A_LAYER = 10, TENSORS_A_LAYER = 14, MATRICES_A_LAYER = 7 };

/* The longest contraction whose int32 sums cannot overflow: |weight| <= 127, byte <= 255. */
#define CONTRACTION_MAX (INT32_MAX / (127 * 255))

struct builder {
    const struct model *model;
    struct base_arena *arena;
    struct graph *graph;
    struct takt_error *error;
    float *row; /* one dequantised row, the widest tensor's */
};

/* ---- memory ---------------------------------------------------------------------------------- */

static size_t aligned(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static size_t matrix_bytes(const struct model_tensor *tensor)
{
    return aligned(sizeof(struct graph_matrix)) + aligned((size_t)tensor->rows * tensor->columns) +
           aligned(tensor->rows * sizeof(float));
}

static uint32_t widest_row(const struct model *model)
{
    uint32_t widest = BASE_MAX(model->width, model->ffn);
    return BASE_MAX(widest, model->heads * model->head_dim);
}

static uint32_t op_total(const struct model *model)
{
    return 2 + OPS_A_LAYER * model->layers;
}

static uint32_t tensor_total(const struct model *model)
{
    return 2 + TENSORS_A_LAYER * model->layers;
}

size_t graph_arena_bytes(const struct model *model)
{
    size_t gain = aligned(model->width * sizeof(float));
    size_t bytes = aligned(op_total(model) * sizeof(struct graph_op)) +
                   aligned(tensor_total(model) * sizeof(struct graph_tensor)) +
                   aligned(widest_row(model) * sizeof(float)) + gain +
                   matrix_bytes(model->tied ? &model->embedding : &model->output);
    for (uint32_t i = 0; i < model->layers; i++) {
        const struct model_layer *layer = &model->layer[i];
        const struct model_tensor *matrices[MATRICES_A_LAYER] = {
            &layer->q, &layer->k, &layer->v, &layer->o, &layer->gate, &layer->up, &layer->down};
        for (uint32_t j = 0; j < MATRICES_A_LAYER; j++)
            bytes += matrix_bytes(matrices[j]);
        bytes += 2 * gain;
    }
    return bytes;
}

/* ---- weights --------------------------------------------------------------------------------- */

/* Dequantises row r into the builder's row, or to `out`; a NaN or an infinity is a damaged file. */
static enum takt_status read_row(struct builder *b, const struct model_tensor *tensor, uint32_t r,
                                 float *out)
{
    model_row(tensor, r, out);
    for (uint32_t c = 0; c < tensor->columns; c++)
        if (num_exponent(out[c]) == 255)
            return base_fail(b->error, TAKT_FORMAT,
                             "%s: tensor %s, row %u, column %u is %s; the file is damaged or was "
                             "converted wrongly, convert it again",
                             b->model->path, tensor->name, r, c,
                             out[c] != out[c] ? "NaN" : "infinite");
    return TAKT_OK;
}

static enum takt_status build_matrix(struct builder *b, const struct model_tensor *tensor,
                                     const struct graph_matrix **out)
{
    uint32_t inputs = tensor->columns;
    uint32_t outputs = tensor->rows;
    BASE_ASSERT(inputs <= widest_row(b->model));
    if (inputs > CONTRACTION_MAX)
        return base_fail(
            b->error, TAKT_LIMIT,
            "%s: tensor %s contracts over %u inputs; exact 32-bit sums hold %d at most, "
            "use a narrower model",
            b->model->path, tensor->name, inputs, CONTRACTION_MAX);
    struct graph_matrix *matrix = BASE_NEW(b->arena, struct graph_matrix, 1);
    int8_t *weights = BASE_NEW(b->arena, int8_t, (size_t)outputs * inputs);
    float *scales = BASE_NEW(b->arena, float, outputs);
    snprintf(matrix->name, sizeof matrix->name, "%s", tensor->name);
    for (uint32_t n = 0; n < outputs; n++) {
        enum takt_status status = read_row(b, tensor, n, b->row);
        if (status != TAKT_OK)
            return status;
        num_quantise_channel(b->row, inputs, weights + (size_t)n * inputs, &scales[n]);
    }
    matrix->inputs = inputs;
    matrix->outputs = outputs;
    matrix->weights = weights;
    matrix->scales = scales;
    *out = matrix;
    return TAKT_OK;
}

static enum takt_status build_gain(struct builder *b, const struct model_tensor *tensor,
                                   const float **out)
{
    BASE_ASSERT(tensor->columns == b->model->width);
    float *gain = BASE_NEW(b->arena, float, tensor->columns);
    *out = gain;
    return read_row(b, tensor, 0, gain);
}

/* An embedding that is not also the output matrix is read row by row later; look at it now. */
static enum takt_status check_embedding(struct builder *b)
{
    const struct model_tensor *tensor = &b->model->embedding;
    enum takt_status status = TAKT_OK;
    for (uint32_t r = 0; r < tensor->rows && status == TAKT_OK; r++)
        status = read_row(b, tensor, r, b->row);
    return status;
}

/* ---- operations ------------------------------------------------------------------------------ */

static uint32_t add_tensor(struct builder *b, uint32_t layer, const char *name, uint32_t width)
{
    struct graph *graph = b->graph;
    BASE_ASSERT(graph->tensor_count < tensor_total(b->model));
    struct graph_tensor *tensor = &graph->tensors[graph->tensor_count];
    if (layer < b->model->layers)
        snprintf(tensor->name, sizeof tensor->name, "blk.%u.%s", layer, name);
    else
        snprintf(tensor->name, sizeof tensor->name, "%s", name);
    tensor->width = width;
    return graph->tensor_count++;
}

static struct graph_op *add_op(struct builder *b, enum graph_op_kind kind, uint32_t layer)
{
    BASE_ASSERT(b->graph->op_count < op_total(b->model));
    struct graph_op *op = &b->graph->ops[b->graph->op_count++];
    op->kind = kind;
    op->layer = layer;
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
    uint32_t tensor = add_tensor(b, op->layer, name, width);
    op->outputs[op->output_count++] = tensor;
    return tensor;
}

static uint32_t add_sum(struct builder *b, uint32_t layer, uint32_t x, uint32_t y, const char *name)
{
    struct graph_op *op = add_op(b, GRAPH_ADD, layer);
    add_input(op, x);
    add_input(op, y);
    return add_output(b, op, name, b->graph->width);
}

static uint32_t add_rope(struct builder *b, uint32_t layer, uint32_t x, uint32_t heads,
                         const char *name)
{
    struct graph_op *op = add_op(b, GRAPH_ROPE, layer);
    op->heads = heads;
    add_input(op, x);
    return add_output(b, op, name, heads * b->graph->head_dim);
}

/* One product with one or more matrices; gain NULL for LINEAR. outputs[count] are tensor indices.
 */
static enum takt_status add_product(struct builder *b, uint32_t layer, uint32_t x,
                                    const struct model_tensor *gain, uint32_t count,
                                    const struct model_tensor *const *matrices,
                                    const char *const *names, uint32_t *outputs)
{
    struct graph_op *op = add_op(b, gain ? GRAPH_NORM_LINEAR : GRAPH_LINEAR, layer);
    add_input(op, x);
    enum takt_status status = gain ? build_gain(b, gain, &op->gain) : TAKT_OK;
    for (uint32_t i = 0; i < count && status == TAKT_OK; i++) {
        outputs[i] = add_output(b, op, names[i], matrices[i]->rows);
        status = build_matrix(b, matrices[i], &op->matrices[i]);
    }
    return status;
}

/* x + o . attention(rope(q), rope(k), v); *x becomes the sum. */
static enum takt_status add_attention_block(struct builder *b, uint32_t layer, uint32_t *x)
{
    const struct model_layer *weights = &b->model->layer[layer];
    const struct graph *graph = b->graph;
    const struct model_tensor *qkv[] = {&weights->q, &weights->k, &weights->v};
    const char *const names[] = {"q", "k", "v"};
    uint32_t made[3];
    enum takt_status status =
        add_product(b, layer, *x, &weights->attention_norm, 3, qkv, names, made);
    if (status != TAKT_OK)
        return status;
    uint32_t q = add_rope(b, layer, made[0], graph->heads, "q_rope");
    uint32_t k = add_rope(b, layer, made[1], graph->kv_heads, "k_rope");
    struct graph_op *op = add_op(b, GRAPH_ATTENTION, layer);
    op->heads = graph->heads;
    add_input(op, q);
    add_input(op, k);
    add_input(op, made[2]);
    uint32_t attention = add_output(b, op, "attention", graph->heads * graph->head_dim);
    uint32_t bound = add_output(b, op, "attention_exponent", 1);
    const struct model_tensor *matrix = &weights->o;
    const char *const name = "o";
    uint32_t o;
    status = add_product(b, layer, attention, NULL, 1, &matrix, &name, &o);
    add_input(&b->graph->ops[b->graph->op_count - 1], bound);
    if (status == TAKT_OK)
        *x = add_sum(b, layer, *x, o, "attention_sum");
    return status;
}

/* x + down . swiglu(gate, up); *x becomes the sum. */
static enum takt_status add_ffn_block(struct builder *b, uint32_t layer, uint32_t *x)
{
    const struct model_layer *weights = &b->model->layer[layer];
    const struct model_tensor *matrices[] = {&weights->gate, &weights->up};
    const char *const names[] = {"gate", "up"};
    uint32_t made[2];
    enum takt_status status =
        add_product(b, layer, *x, &weights->ffn_norm, 2, matrices, names, made);
    if (status != TAKT_OK)
        return status;
    struct graph_op *op = add_op(b, GRAPH_SWIGLU, layer);
    add_input(op, made[0]);
    add_input(op, made[1]);
    uint32_t hidden = add_output(b, op, "swiglu", b->graph->ffn);
    const struct model_tensor *matrix = &weights->down;
    const char *const name = "down";
    uint32_t down;
    status = add_product(b, layer, hidden, NULL, 1, &matrix, &name, &down);
    if (status == TAKT_OK)
        *x = add_sum(b, layer, *x, down, "out");
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
                            .rope_base = model->rope_base,
                            .model = model};
}

enum takt_status graph_build(const struct model *model, struct base_arena *arena,
                             struct graph *graph, struct takt_error *error)
{
    struct builder b = {.model = model, .arena = arena, .graph = graph, .error = error};
    describe(model, graph);
    graph->ops = BASE_NEW(arena, struct graph_op, op_total(model));
    graph->tensors = BASE_NEW(arena, struct graph_tensor, tensor_total(model));
    b.row = BASE_NEW(arena, float, widest_row(model));
    enum takt_status status = model->tied ? TAKT_OK : check_embedding(&b);
    uint32_t x = add_output(&b, add_op(&b, GRAPH_INPUT, model->layers), "input", model->width);
    for (uint32_t layer = 0; layer < model->layers && status == TAKT_OK; layer++) {
        status = add_attention_block(&b, layer, &x);
        if (status == TAKT_OK)
            status = add_ffn_block(&b, layer, &x);
    }
    if (status != TAKT_OK)
        return status;
    const struct model_tensor *output = model->tied ? &model->embedding : &model->output;
    const char *const name = "logits";
    status =
        add_product(&b, model->layers, x, &model->output_norm, 1, &output, &name, &graph->logits);
    BASE_ASSERT(status != TAKT_OK || graph->op_count == op_total(model));
    BASE_ASSERT(status != TAKT_OK || graph->tensor_count == tensor_total(model));
    return status;
}
