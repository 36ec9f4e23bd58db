/*
 * Lower: the graph's operations become tasks.
 *
 * Requires: a plan. Fills in: buffers, tasks, binding requests.
 * Every value rests in memory between tasks; a tensor is one buffer, vector = piece * tokens +
 * token, reused by every layer. A sum that follows a product is part of the product's epilogue.
 */
#include "compile/internal.h"

#include <string.h>

/* Operations (of attention stages) that a wave is behind the one before it: with less their chains
 * wait for the same units, with more there is more to keep in memory at once. */
#define WAVE_LAG 3u

/* The longest epilogue has nine buffers in hand: a machine with fewer positions of slices than this
 * has no room to keep them apart. */
#define FUSED_QUADS_MIN 16u

struct lowering {
    struct compiler *c;
    uint32_t *tensors; /* [tensor_count] buffers */
    /* What an epilogue has already made for an operation further on; x or out is NONE otherwise. */
    struct normalised normalised;
    struct gated gated;
    uint32_t next, stage; /* the operation that comes next; of attention, its stage */
    struct attention *attention;
    uint32_t exponent; /* of attention's result, bytes in every lane */
};

static void request(struct compiler *c, const char *name, bool output, uint32_t buffer,
                    uint32_t items, uint32_t rows, uint32_t elements, const int32_t *source,
                    bool item_major)
{
    for (uint32_t i = 0; i < c->request_count; i++) {
        struct binding_request *r = &c->requests[i];
        if (strcmp(r->name, name) == 0) { /* the next wave's items */
            BASE_ASSERT(r->waves < WAVES_MAX && r->items == items && r->rows == rows);
            r->buffers[r->waves++] = buffer;
            return;
        }
    }
    BASE_ASSERT(c->request_count < BASE_COUNT(c->requests));
    struct binding_request *r = &c->requests[c->request_count++];
    *r = (struct binding_request){.output = output,
                                  .buffers = {buffer},
                                  .waves = 1,
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

/* "rope_cos", and of a second table "rope_cos1". */
static const char *angle_name(char name[32], uint32_t table, bool cosine)
{
    snprintf(name, 32, table == 0 ? "%s" : "%s%u", cosine ? "rope_cos" : "rope_sin", table);
    return name;
}

static bool any_window(const struct compiler *c)
{
    bool any = false;
    for (uint32_t i = 0; i < c->graph->op_count; i++) {
        any = any || plan_windowed(c->plan, &c->graph->ops[i]);
    }
    return any;
}

/* Where K and V go. */
static void request_maps(struct compiler *c, const int32_t *all)
{
    const struct {
        const char *name;
        enum buffer_kind kind;
        uint32_t items; /* 0: not of this step */
    } maps[] = {
        {"v_map", c->aligned ? BUFFER_LINEAR : BUFFER_STRIPE,
         c->aligned ? c->blocks : c->chunk * STRIPES},
        {"k_map", BUFFER_STRIPE, c->aligned ? 0 : c->chunk * STRIPES},
        {"k_read_map", BUFFER_LINEAR, c->aligned ? 0 : c->blocks},
        {"k_write_map", BUFFER_LINEAR, c->blocks},
        {"k_keep_map", BUFFER_LINEAR, c->aligned ? 1 : 0},
    };
    for (uint32_t i = 0; i < BASE_COUNT(maps); i++) {
        if (maps[i].items > 0) {
            uint32_t buffer = build_buffer(c, maps[i].kind, 1, maps[i].items, "%s", maps[i].name);
            request(c, maps[i].name, false, buffer, maps[i].items, 1, c->plan->lanes, all, true);
        }
    }
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
    for (uint32_t i = 0; i < 2 * c->graph->rope_count; i++) {
        char name[32];
        uint32_t buffer =
            build_buffer(c, BUFFER_LINEAR, 4, chunk, "%s", angle_name(name, i / 2, i % 2 == 0));
        request(c, name, false, buffer, chunk, 1, head_dim, rope, true);
    }
    int32_t *all = identity(c, c->tiles * lanes);
    request(c, "mask", false, build_buffer(c, BUFFER_LINEAR, 1, c->tiles * chunk, "mask"), chunk,
            c->tiles, c->bucket, all, false);
    if (any_window(c)) {
        request(c, "mask_window", false,
                build_buffer(c, BUFFER_LINEAR, 1, c->tiles * chunk, "mask_window"), chunk, c->tiles,
                c->bucket, all, false);
    }
    if (chunk == c->users) {
        request(c, "own", false, build_buffer(c, BUFFER_LINEAR, 1, c->tiles * chunk, "own"), chunk,
                c->tiles, c->bucket, all, false);
    }
    request_maps(c, all);
    if (chunk > 1 && !c->all_logits && c->wave + 1 == c->waves) {
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

/* The attention that takes the operation's output as queries; NULL when it is not queries. */
static const struct graph_op *query_of(const struct graph *g, const struct graph_op *op)
{
    const struct graph_op *next = op;
    while (next < g->ops + g->op_count && next->kind != GRAPH_ATTENTION) {
        next++;
    }
    bool query = next < g->ops + g->op_count && next->inputs[0] == op->outputs[0];
    return query ? next : NULL;
}

/* y = x * cos + swapped * sin: neighbours exchanged by the distributors. Queries are quantised in
 * the same kernel, for attention. */
static void lower_rope(struct lowering *w, const struct graph_op *op)
{
    struct compiler *c = w->c;
    const struct compile_plan *plan = c->plan;
    bool query = query_of(c->graph, op) != NULL;
    const struct layout *layout = query ? &plan->q_layout : &plan->kv_layout;
    uint32_t n = layout->pieces * c->chunk, x = w->tensors[op->inputs[0]];
    uint32_t swapped = build_buffer(c, BUFFER_LINEAR, 4, n, "swapped.%u", layout->pieces);
    struct task *task = build_task(c, TASK_DISTRIBUTE, n, "swap");
    task->hemisphere = NONE;
    task->planes = 4;
    task->in = access_linear(x, 0);
    task->map = access_constant(plan->constants.swap_map, 0);
    task->out = access_linear(swapped, 0);
    uint32_t words = query ? plan->kv_words : 1, pieces = layout->pieces / words;
    uint32_t y =
        query ? build_buffer(c, BUFFER_LINEAR, 2, c->graph->heads * c->chunk, "attention.q16")
              : make_tensor(w, op->outputs[0], layout, c->chunk);
    w->tensors[op->outputs[0]] = y;
    char angles[2][32];
    angle_name(angles[0], op->rope, true);
    angle_name(angles[1], op->rope, false);
    for (uint32_t word = 0; word < words; word++) {
        uint32_t first = word * pieces * c->chunk;
        uint16_t products[2];
        build_kernel(c, pieces * c->chunk, "rope");
        for (uint32_t i = 0; i < 2; i++) {
            struct access angle =
                access_linear(build_buffer(c, BUFFER_LINEAR, 4, c->chunk, "%s", angles[i]), 0);
            angle.n0 = c->chunk;
            uint16_t value = build_input(c, access_linear(i == 0 ? x : swapped, first), 4);
            products[i] = build_op(c, ISA_MUL_F32, value, build_input(c, angle, 4), 0);
        }
        uint16_t sum = build_op(c, ISA_ADD_F32, products[0], products[1], 0);
        if (query) {
            lower_queries(c, sum, word, y);
        } else {
            build_output(c, sum, access_linear(y, first));
        }
    }
}

static void open_attention(struct lowering *w, const struct graph_op *op)
{
    struct compiler *c = w->c;
    uint32_t count = c->plan->q_layout.pieces * c->chunk;
    struct attention_result result = {build_buffer(c, BUFFER_LINEAR, 2, count, "o.q16"),
                                      build_buffer(c, BUFFER_LINEAR, 4, c->chunk, "o.down"),
                                      build_buffer(c, BUFFER_LINEAR, 1, c->chunk, "o.exponent")};
    w->attention = lower_attention_open(c, op, w->tensors[op->inputs[0]], w->tensors[op->inputs[1]],
                                        w->tensors[op->inputs[2]], &result);
    w->tensors[op->outputs[0]] = result.q16;
    w->tensors[op->outputs[1]] = result.down;
    w->exponent = result.exponent;
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

/* Of `pieces` vectors a token: those of the token whose logits are wanted, found by an address that
 * is data. */
static uint32_t lower_choose_row(struct compiler *c, uint32_t in, uint32_t pieces, uint32_t planes,
                                 const char *name)
{
    uint32_t chosen = build_buffer(c, BUFFER_LINEAR, planes, pieces, "chosen.%s", name);
    struct task *task = build_task(c, TASK_GATHER, pieces, "choose");
    task->planes = planes;
    task->in = access_linear(in, 0);
    task->in.s0 = c->chunk;
    task->map = access_constant(build_buffer(c, BUFFER_LINEAR, 1, 1, "row_map"), 0);
    task->out = access_linear(chosen, 0);
    return chosen;
}

static const char *norm_name(const struct compiler *c, const struct graph_op *op)
{
    if (op->layer == c->graph->layers) {
        return "logits";
    }
    return op->matrices[2] != NULL ? "qkv" : "ffn";
}

static uint32_t norm_gain(const struct compiler *c, const struct graph_op *op)
{
    if (op->layer == c->graph->layers) {
        return c->plan->gain_output;
    }
    const struct plan_layer *layer = &c->plan->layers[op->layer];
    return op->matrices[2] != NULL ? layer->gain_attention : layer->gain_ffn;
}

/* A prefill step whose logits are wanted for one token computes them for that one. */
static bool chooses_row(const struct compiler *c, const struct graph_op *op)
{
    return op->layer == c->graph->layers && c->chunk > 1 && !c->all_logits;
}

/* The SWIGLU or GEGLU that takes both outputs, if it comes next. */
static const struct graph_op *find_swiglu(const struct graph *g, uint32_t index)
{
    const struct graph_op *op = &g->ops[index], *next = op + 1;
    bool gate =
        index + 1 < g->op_count && (next->kind == GRAPH_SWIGLU || next->kind == GRAPH_GEGLU);
    bool fits = gate && op->output_count == 2 && next->inputs[0] == op->outputs[0] &&
                next->inputs[1] == op->outputs[1];
    return fits ? next : NULL;
}

/* The gate of GELU: stored, and beside it what its exponential takes. */
static void epilogue_gelu(struct compiler *c, uint16_t y, uint32_t column, const void *context)
{
    const struct gated *g = context;
    build_output(c, y, access_linear(g->gate, column * g->tokens));
    build_kernel(c, g->tokens, "gelu");
    y = build_input(c, access_linear(g->gate, column * g->tokens), 4);
    build_output(c, lower_gelu_exponent(c, y), access_linear(g->exponents, column * g->tokens));
}

static void lower_ffn(struct lowering *w, const struct graph_op *op, const struct graph_op *swiglu,
                      uint32_t q16, uint32_t scale)
{
    struct compiler *c = w->c;
    const struct compile_plan *plan = c->plan;
    const struct product *gate = find_product(plan, op->matrices[0], op->layer);
    const struct product *up = find_product(plan, op->matrices[1], op->layer);
    struct stored stored = {make_tensor(w, op->outputs[0], gate->out, c->chunk), c->chunk};
    w->gated = (struct gated){
        .gate = stored.out,
        .exponents = NONE,
        .out = make_tensor(w, swiglu->outputs[0], up->out, c->chunk),
        .bytes = build_buffer(c, BUFFER_STRIPE, 1, c->chunk, "down.bytes"),
        .pieces = up->out->pieces,
        .tokens = c->chunk,
        .name = "down",
    };
    struct product_use uses[2] = {{gate, NONE, epilogue_store, &stored, "gate", false},
                                  {up, NONE, epilogue_swiglu, &w->gated, "up", true}};
    if (swiglu->kind == GRAPH_GEGLU) {
        w->gated.exponents =
            build_buffer(c, BUFFER_LINEAR, 4, gate->out->pieces * c->chunk, "gelu");
        uses[0].epilogue = epilogue_gelu;
        uses[0].context = &w->gated;
    }
    lower_products(c, uses, 2, q16, c->chunk, scale);
}

static void request_logits(struct compiler *c, uint32_t buffer, uint32_t tokens)
{
    const struct layout *layout = &c->plan->vocab_layout;
    request(c, "logits", true, buffer, tokens, layout->pieces, c->graph->vocab, layout->source,
            false);
}

/* Returns how many operations it did: a SWIGLU may be part of it. */
static uint32_t lower_norm_linear(struct lowering *w, uint32_t index)
{
    struct compiler *c = w->c;
    const struct graph_op *op = &c->graph->ops[index], *swiglu = find_swiglu(c->graph, index);
    uint32_t x = w->tensors[op->inputs[0]], tokens = c->chunk;
    if (w->normalised.x != x) {
        w->normalised = lower_normalised(c, x, norm_gain(c, op), tokens, norm_name(c, op));
        lower_exact(c, &w->normalised);
        lower_quantise_input(c, &w->normalised);
    }
    uint32_t q16 = w->normalised.q16, scale = lower_rms(c, &w->normalised);
    if (chooses_row(c, op)) {
        q16 = lower_choose_row(c, q16, w->normalised.pieces, 2, "q16");
        scale = lower_choose_row(c, scale, 1, 4, "scale");
        tokens = 1;
    }
    w->normalised.x = NONE;
    if (swiglu != NULL) {
        lower_ffn(w, op, swiglu, q16, scale);
        return 2;
    }
    struct product_use uses[PRODUCTS_MAX];
    struct stored stored[PRODUCTS_MAX];
    for (uint32_t i = 0; i < op->output_count; i++) {
        const struct product *product = find_product(c->plan, op->matrices[i], op->layer);
        stored[i] = (struct stored){make_tensor(w, op->outputs[i], product->out, tokens), tokens};
        uses[i] = (struct product_use){product,          NONE, epilogue_store, &stored[i],
                                       norm_name(c, op), false};
    }
    lower_products(c, uses, op->output_count, q16, tokens, scale);
    if (op->outputs[0] == c->graph->logits) {
        request_logits(c, stored[0].out, tokens);
    }
    return 1;
}

/* The logits, capped. */
static void lower_cap(struct lowering *w, const struct graph_op *op)
{
    struct compiler *c = w->c;
    const struct layout *layout = &c->plan->vocab_layout;
    uint32_t tokens = c->chunk > 1 && !c->all_logits ? 1 : c->chunk;
    uint32_t x = w->tensors[op->inputs[0]], y = make_tensor(w, op->outputs[0], layout, tokens);
    for (uint32_t p = 0; p < layout->pieces; p++) {
        build_kernel(c, tokens, "cap");
        uint16_t value = build_input(c, access_linear(x, p * tokens), 4);
        build_output(c, lower_softcap(c, value, op->cap), access_linear(y, p * tokens));
    }
    request_logits(c, y, tokens);
}

/* A norm that no product follows, and the sum that takes its result, if one does. */
static uint32_t lower_norm_op(struct lowering *w, uint32_t index)
{
    struct compiler *c = w->c;
    const struct graph_op *op = &c->graph->ops[index], *sum = op + 1;
    const struct layout *layout = plan_norm_layout(c->plan, op);
    uint32_t gain = c->plan->norm_gains[index], x = w->tensors[op->inputs[0]];
    bool added = sum->kind == GRAPH_ADD &&
                 (sum->inputs[0] == op->outputs[0] || sum->inputs[1] == op->outputs[0]);
    if (!added) {
        lower_norm(c, op, gain, x, NONE, make_tensor(w, op->outputs[0], layout, c->chunk));
        return 1;
    }
    uint32_t residual = w->tensors[sum->inputs[sum->inputs[0] == op->outputs[0] ? 1 : 0]];
    lower_norm(c, op, gain, x, residual, make_tensor(w, sum->outputs[0], layout, c->chunk));
    return 2;
}

/* A product of activations that are there already, and the sum that takes its result, unless a norm
 * comes between. */
static uint32_t lower_linear(struct lowering *w, uint32_t index)
{
    struct compiler *c = w->c;
    const struct graph_op *op = &c->graph->ops[index], *sum = op + 1, *norm = op + 2;
    uint32_t result = op->outputs[0], scale, q16, exponent;
    bool added = sum->kind == GRAPH_ADD;
    BASE_ASSERT(index + 2 < c->graph->op_count);
    BASE_ASSERT(!added || sum->inputs[0] == result || sum->inputs[1] == result);
    if (op->input_count == 2) { /* attention has made the activations and their scale */
        q16 = w->tensors[op->inputs[0]];
        scale = w->tensors[op->inputs[1]];
        exponent = w->exponent;
    } else {
        BASE_ASSERT(w->tensors[op->inputs[0]] == w->gated.out);
        q16 = lower_gated(c, &w->gated, &scale, &exponent);
    }
    const struct product *product = find_product(c->plan, op->matrices[0], op->layer);
    const char *name = op->input_count == 2 ? "o" : "down";
    if (!added) {
        struct stored alone = {make_tensor(w, result, product->out, c->chunk), c->chunk};
        struct product_use use = {product, NONE, epilogue_store, &alone, name, false};
        lower_products(c, &use, 1, q16, c->chunk, scale);
        return 1;
    }
    uint32_t residual = w->tensors[sum->inputs[sum->inputs[0] == result ? 1 : 0]];
    struct stored stored = {make_tensor(w, sum->outputs[0], product->out, c->chunk), c->chunk};
    struct product_use use = {product, residual, epilogue_store, &stored, name, false};
    if (norm->kind != GRAPH_NORM_LINEAR || norm->inputs[0] != sum->outputs[0]) {
        lower_products(c, &use, 1, q16, c->chunk, scale);
        return 2;
    }
    struct normalised *n = &w->normalised;
    *n = lower_normalised(c, stored.out, norm_gain(c, norm), c->chunk, norm_name(c, norm));
    if (norm->input_count == 3) {
        lower_bounds(c, n, residual, exponent, norm->growth);
    }
    if (norm->input_count == 3 && c->plan->quads >= FUSED_QUADS_MIN) {
        use.epilogue = epilogue_normalised;
        use.context = n;
        lower_products(c, &use, 1, q16, c->chunk, scale);
        return 2;
    }
    lower_products(c, &use, 1, q16, c->chunk, scale);
    if (norm->input_count != 3) {
        lower_exact(c, n);
    }
    lower_quantise_input(c, n);
    return 2;
}

/* Lowers the operation at index, and those that are part of it; returns how many. */
static uint32_t lower_op(struct lowering *w, uint32_t index)
{
    const struct graph_op *op = &w->c->graph->ops[index];
    switch (op->kind) {
    case GRAPH_INPUT: lower_input(w, op); break;
    case GRAPH_NORM_LINEAR: return lower_norm_linear(w, index);
    case GRAPH_LINEAR: return lower_linear(w, index);
    case GRAPH_ROPE: lower_rope(w, op); break;
    case GRAPH_NORM: return lower_norm_op(w, index);
    case GRAPH_SOFTCAP: lower_cap(w, op); break;
    case GRAPH_ATTENTION: /* lower_next goes through its stages */
    case GRAPH_SWIGLU:    /* part of the products before it */
    case GRAPH_GEGLU:
    case GRAPH_ADD: BASE_ASSERT(false); break;
    }
    return 1;
}

/* Lowers what comes next of a wave: an operation, of attention a stage. False at its end: only the
 * last wave goes on to the logits, unless those of every token are wanted. */
static bool lower_next(struct lowering *w, uint32_t wave)
{
    struct compiler *c = w->c;
    const struct graph_op *op = &c->graph->ops[w->next];
    const bool output = op->layer == c->graph->layers && op->kind != GRAPH_INPUT;
    if (w->next == c->graph->op_count || (output && wave + 1 < c->waves && !c->all_logits)) {
        return false;
    }
    c->wave = wave;
    c->layer = op->layer;
    c->turns++;
    if (op->kind != GRAPH_ATTENTION) {
        w->next += lower_op(w, w->next);
        return true;
    }
    if (w->stage == 0) {
        open_attention(w, op);
    }
    lower_attention_stage(c, w->attention, w->stage++);
    if (w->stage == lower_attention_stages()) {
        w->stage = 0;
        w->next++;
    }
    return true;
}

/* Waves go through a layer one behind the other: while one waits in its chain, others have the
 * units it does not use. Tasks are placed in this order. */
enum takt_status lower(struct compiler *c)
{
    struct lowering waves[WAVES_MAX];
    for (c->wave = 0; c->wave < c->waves; c->wave++) {
        struct lowering *w = &waves[c->wave];
        *w = (struct lowering){.c = c,
                               .tensors = BASE_NEW(&c->arena, uint32_t, c->graph->tensor_count)};
        w->normalised.x = w->gated.out = NONE;
        request_inputs(c);
    }
    bool more = true;
    for (uint32_t turn = 0; more; turn++) {
        more = false;
        for (uint32_t wave = 0; wave < c->waves; wave++) {
            more = turn < wave * WAVE_LAG || lower_next(&waves[wave], wave) || more;
        }
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
