/*
 * Lower: the graph's operations become tasks.
 *
 * Requires: a plan. Fills in: buffers, tasks, binding requests.
 * Every value rests in memory between tasks; a tensor is one buffer, vector = piece * tokens +
 * token, reused by every layer. A sum that follows a product is part of the product's epilogue.
 */
#include "compile/internal.h"

#include <string.h>

struct lowering {
    struct compiler *c;
    uint32_t *tensors; /* [tensor_count] buffers */
};

static void request(struct compiler *c, const char *name, bool output, uint32_t buffer,
                    uint32_t items, uint32_t rows, uint32_t elements, const int32_t *source,
                    bool item_major)
{
    BASE_ASSERT(c->request_count < BASE_COUNT(c->requests));
    struct binding_request *r = &c->requests[c->request_count++];
    *r = (struct binding_request){.output = output,
                                  .buffer = buffer,
                                  .items = items,
                                  .rows = rows,
                                  .elements = elements,
                                  .source = source,
                                  .item_major = item_major};
    snprintf(r->name, sizeof r->name, "%s", name);
}

static int32_t *identity(struct compiler *c, uint32_t count)
{
    int32_t *source = BASE_NEW(&c->arena, int32_t, count);
    for (uint32_t i = 0; i < count; i++) {
        source[i] = (int32_t)i;
    }
    return source;
}

static void request_inputs(struct compiler *c)
{
    const struct compile_plan *plan = c->plan;
    uint32_t lanes = plan->lanes, chunk = c->chunk, head_dim = c->graph->head_dim;
    int32_t *rope = BASE_NEW(&c->arena, int32_t, lanes);
    for (uint32_t l = 0; l < lanes; l++) {
        int32_t element = plan->kv_layout.source[l];
        rope[l] = element < 0 ? -1 : element % (int32_t)head_dim;
    }
    const char *angles[2] = {"rope_cos", "rope_sin"};
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t buffer = build_buffer(c, BUFFER_LINEAR, 4, chunk, "%s", angles[i]);
        request(c, angles[i], false, buffer, chunk, 1, head_dim, rope, true);
    }
    int32_t *all = identity(c, c->tiles * lanes);
    request(c, "mask", false, build_buffer(c, BUFFER_LINEAR, 1, c->tiles * chunk, "mask"), chunk,
            c->tiles, c->bucket, all, false);
    const char *striped[2] = {"v_map", "k_map"}, *blocks[2] = {"k_read_map", "k_write_map"};
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t buffer = build_buffer(c, BUFFER_STRIPE, 1, chunk * STRIPES, "%s", striped[i]);
        request(c, striped[i], false, buffer, chunk * STRIPES, 1, lanes, all, true);
        buffer = build_buffer(c, BUFFER_LINEAR, 1, c->blocks, "%s", blocks[i]);
        request(c, blocks[i], false, buffer, c->blocks, 1, lanes, all, true);
    }
    if (chunk > 1 && !c->all_logits) {
        request(c, "row_map", false, build_buffer(c, BUFFER_LINEAR, 1, 1, "row_map"), 1, 1, lanes,
                all, true);
    }
}

/* The buffer of a tensor: named by its role, so that layers share it. */
static uint32_t make_tensor(struct lowering *w, uint32_t tensor, const struct layout *layout,
                            uint32_t tokens)
{
    const char *name = w->c->graph->tensors[tensor].name;
    const char *dot = strrchr(name, '.');
    w->tensors[tensor] = build_buffer(w->c, BUFFER_LINEAR, 4, layout->pieces * tokens, "%s",
                                      dot == NULL ? name : dot + 1);
    return w->tensors[tensor];
}

static void lower_input(struct lowering *w, const struct graph_op *op)
{
    const struct layout *layout = &w->c->plan->width_layout;
    uint32_t x = make_tensor(w, op->outputs[0], layout, w->c->chunk);
    request(w->c, "x", false, x, w->c->chunk, layout->pieces, w->c->graph->width, layout->source,
            false);
}

/* y = x * cos + swapped * sin: neighbours exchanged by the distributors. */
static void lower_rope(struct lowering *w, const struct graph_op *op)
{
    struct compiler *c = w->c;
    const struct compile_plan *plan = c->plan;
    const struct layout *layout = op->heads == c->graph->heads ? &plan->q_layout : &plan->kv_layout;
    uint32_t n = layout->pieces * c->chunk, x = w->tensors[op->inputs[0]];
    uint32_t y = make_tensor(w, op->outputs[0], layout, c->chunk);
    uint32_t swapped = build_buffer(c, BUFFER_LINEAR, 4, n, "swapped.%u", layout->pieces);
    struct task *task = build_task(c, TASK_DISTRIBUTE, n, "swap");
    task->hemisphere = NONE;
    task->planes = 4;
    task->in = access_linear(x, 0);
    task->map = access_constant(plan->constants.swap_map, 0);
    task->out = access_linear(swapped, 0);
    const char *angles[2] = {"rope_cos", "rope_sin"};
    uint16_t products[2];
    build_kernel(c, n, "rope");
    for (uint32_t i = 0; i < 2; i++) {
        struct access angle =
            access_linear(build_buffer(c, BUFFER_LINEAR, 4, c->chunk, "%s", angles[i]), 0);
        angle.n0 = c->chunk;
        uint16_t value = build_input(c, access_linear(i == 0 ? x : swapped, 0), 4);
        products[i] = build_op(c, ISA_MUL_F32, value, build_input(c, angle, 4), 0);
    }
    build_output(c, build_op(c, ISA_ADD_F32, products[0], products[1], 0), access_linear(y, 0));
}

static void lower_attention_op(struct lowering *w, const struct graph_op *op)
{
    struct compiler *c = w->c;
    uint32_t count = c->plan->q_layout.pieces * c->chunk;
    struct attention_result result = {build_buffer(c, BUFFER_LINEAR, 2, count, "o.q16"),
                                      build_buffer(c, BUFFER_LINEAR, 4, c->chunk, "o.down")};
    lower_attention(c, w->tensors[op->inputs[0]], w->tensors[op->inputs[1]],
                    w->tensors[op->inputs[2]], &result);
    w->tensors[op->outputs[0]] = result.q16;
    w->tensors[op->outputs[1]] = result.down;
}

static void lower_swiglu(struct lowering *w, const struct graph_op *op)
{
    struct compiler *c = w->c;
    const struct layout *layout = &c->plan->ffn_layout;
    uint32_t gate = w->tensors[op->inputs[0]], up = w->tensors[op->inputs[1]];
    uint32_t out = make_tensor(w, op->outputs[0], layout, c->chunk);
    for (uint32_t p = 0; p < layout->pieces; p++) {
        uint32_t first = p * c->chunk;
        build_kernel(c, c->chunk, "swiglu");
        uint16_t g = build_input(c, access_linear(gate, first), 4), later = g;
        for (uint32_t i = 0; i < 3; i++) { /* g again, when its exponential is there */
            later = build_op(c, ISA_COPY_B32, later, REF_NONE, 0);
        }
        uint16_t t = build_op(c, ISA_MUL_F32_IMM, g, REF_NONE, num_bits(-1.0f));
        t = build_op(c, ISA_EXP_F32, t, REF_NONE, 0);
        t = build_op(c, ISA_ADD_F32_IMM, t, REF_NONE, num_bits(1.0f));
        t = build_op(c, ISA_DIV_F32, later, t, 0);
        t = build_op(c, ISA_MUL_F32, t, build_input(c, access_linear(up, first), 4), 0);
        build_output(c, t, access_linear(out, first));
    }
}

static const struct product *find_product(const struct compile_plan *plan,
                                          const struct graph_matrix *matrix, uint32_t layer)
{
    if (layer == plan->graph->layers) {
        return &plan->output;
    }
    const struct plan_layer *l = &plan->layers[layer];
    const struct product *products[] = {&l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down};
    for (uint32_t i = 0; i < BASE_COUNT(products); i++) {
        if (products[i]->matrix == matrix) {
            return products[i];
        }
    }
    base_assert_failed("matrix of another graph", __FILE__, __LINE__);
}

/* The row whose logits are wanted, found by an address that is data. */
static uint32_t lower_choose_row(struct compiler *c, uint32_t x)
{
    uint32_t pieces = c->plan->width_layout.pieces;
    uint32_t chosen = build_buffer(c, BUFFER_LINEAR, 4, pieces, "chosen");
    struct task *task = build_task(c, TASK_GATHER, pieces, "choose");
    task->planes = 4;
    task->in = access_linear(x, 0);
    task->in.s0 = c->chunk;
    task->map = access_constant(build_buffer(c, BUFFER_LINEAR, 1, 1, "row_map"), 0);
    task->out = access_linear(chosen, 0);
    return chosen;
}

static void lower_norm_linear(struct lowering *w, const struct graph_op *op)
{
    struct compiler *c = w->c;
    const struct compile_plan *plan = c->plan;
    bool logits = op->layer == c->graph->layers;
    uint32_t x = w->tensors[op->inputs[0]], tokens = c->chunk, gain = plan->gain_output, scale;
    if (!logits) {
        const struct plan_layer *layer = &plan->layers[op->layer];
        gain = op->matrices[2] != NULL ? layer->gain_attention : layer->gain_ffn;
    } else if (c->chunk > 1 && !c->all_logits) {
        x = lower_choose_row(c, x);
        tokens = 1;
    }
    const char *name = logits ? "logits" : op->matrices[2] != NULL ? "qkv" : "ffn";
    uint32_t q16 = lower_normalise(c, x, gain, tokens, &scale, name);
    for (uint32_t i = 0; i < op->output_count; i++) {
        const struct product *product = find_product(plan, op->matrices[i], op->layer);
        uint32_t out = make_tensor(w, op->outputs[i], product->out, tokens);
        lower_product(c, product, q16, tokens, scale, NONE, out, name);
        if (logits) {
            request(c, "logits", true, out, tokens, product->out->pieces, c->graph->vocab,
                    product->out->source, false);
        }
    }
}

/* A product of plain activations; `sum` is the ADD that takes its result, or NULL. */
static void lower_linear(struct lowering *w, const struct graph_op *op, const struct graph_op *sum)
{
    struct compiler *c = w->c;
    const struct product *product = find_product(c->plan, op->matrices[0], op->layer);
    uint32_t residual = NONE, result = op->outputs[0], scale;
    if (sum != NULL) {
        residual = w->tensors[sum->inputs[sum->inputs[0] == result ? 1 : 0]];
        result = sum->outputs[0];
    }
    const char *name = product == &c->plan->layers[op->layer].o ? "o" : "down";
    uint32_t q16 = w->tensors[op->inputs[0]];
    if (op->input_count == 2) { /* attention has made the activations and their scale */
        scale = w->tensors[op->inputs[1]];
    } else {
        q16 = lower_activations(c, q16, product->in->pieces, c->chunk, &scale, name);
    }
    uint32_t out = make_tensor(w, result, product->out, c->chunk);
    lower_product(c, product, q16, c->chunk, scale, residual, out, name);
}

static void lower_op(struct lowering *w, uint32_t *index)
{
    struct compiler *c = w->c;
    const struct graph_op *op = &c->graph->ops[*index];
    const struct graph_op *next = *index + 1 < c->graph->op_count ? op + 1 : NULL;
    c->layer = op->layer;
    switch (op->kind) {
    case GRAPH_INPUT: lower_input(w, op); break;
    case GRAPH_NORM_LINEAR: lower_norm_linear(w, op); break;
    case GRAPH_LINEAR:
        if (next == NULL || next->kind != GRAPH_ADD ||
            (next->inputs[0] != op->outputs[0] && next->inputs[1] != op->outputs[0])) {
            next = NULL;
        }
        lower_linear(w, op, next);
        *index += next != NULL;
        break;
    case GRAPH_ROPE: lower_rope(w, op); break;
    case GRAPH_ATTENTION: lower_attention_op(w, op); break;
    case GRAPH_SWIGLU: lower_swiglu(w, op); break;
    case GRAPH_ADD: base_assert_failed("a sum without a product before it", __FILE__, __LINE__);
    }
}

enum takt_status lower(struct compiler *c)
{
    struct lowering w = {c, BASE_NEW(&c->arena, uint32_t, c->graph->tensor_count)};
    request_inputs(c);
    for (uint32_t i = 0; i < c->graph->op_count; i++) {
        lower_op(&w, &i);
    }
    return TAKT_OK;
}

static void check_access(const struct compiler *c, const struct access *access, uint32_t n)
{
    if (access->buffer != NONE) {
        BASE_ASSERT(access->buffer < c->buffer_count);
        BASE_ASSERT(access_vector(access, 0) < c->buffers[access->buffer].count);
        BASE_ASSERT(access_vector(access, n - 1) < c->buffers[access->buffer].count);
    }
}

/* Every access stays inside its buffer; passes fit the accumulators; kernels are in order. */
enum takt_status lower_check(struct compiler *c)
{
    for (uint32_t i = 0; i < c->task_count; i++) {
        const struct task *task = &c->tasks[i];
        const struct kernel *k = task->kernel;
        for (uint32_t j = 0; k != NULL && j < k->input_count; j++) {
            check_access(c, &k->inputs[j].access, task->n);
        }
        for (uint32_t j = 0; k != NULL && j < k->output_count; j++) {
            check_access(c, &k->outputs[j].access, task->n);
            BASE_ASSERT(k->outputs[j].op < k->op_count);
        }
        for (uint32_t j = 0; task->pass != NULL && j < task->pass->segment_count; j++) {
            check_access(c, &task->pass->segments[j].input, task->n);
            check_access(c, &task->pass->segments[j].output, task->n);
        }
        if (task->pass != NULL && !(task->pass->first && task->pass->last)) {
            BASE_ASSERT(task->n * task->pass->segment_count <= c->machine->mxm_accumulators);
        }
    }
    return TAKT_OK;
}
