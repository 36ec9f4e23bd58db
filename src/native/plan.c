/*
 * From the graph's operations to the stages of a pass. Fused, where nothing else reads what lies
 * between: a product and the sum or the cap after it; gate and up with their gate; rotary embedding
 * with attention. What is fused away is not stored.
 */
#include "native/internal.h"

struct planner {
    struct native *native;
    struct base_arena *arena;
    uint32_t *readers;              /* [tensor_count]: how many */
    const struct graph_op **reader; /* [tensor_count]: the last of them */
    const struct graph_op **maker;  /* [tensor_count] */
    struct native_stage **made_by;  /* [tensor_count]: the stage that makes a tensor */
};

static bool only_reader(const struct planner *p, uint32_t tensor)
{
    return p->readers[tensor] == 1 && tensor != p->native->graph->logits;
}

static struct native_stage *add_stage(struct planner *p, enum native_stage_kind kind,
                                      const struct graph_op *op)
{
    struct native_stage *stage = &p->native->stages[p->native->stage_count++];
    *stage = (struct native_stage){.kind = kind,
                                   .op = op,
                                   .gate = NATIVE_INPUT,
                                   .exponent = NATIVE_NONE,
                                   .addend = NATIVE_NONE};
    for (uint32_t i = 0; i < GRAPH_OP_MAX; i++) {
        stage->inputs[i] = i < op->input_count ? op->inputs[i] : NATIVE_NONE;
        stage->outputs[i] = i < op->output_count ? op->outputs[i] : NATIVE_NONE;
    }
    for (uint32_t i = 0; i < op->output_count; i++)
        p->made_by[op->outputs[i]] = stage;
    return stage;
}

static void add_product(struct planner *p, const struct graph_op *op)
{
    struct native *native = p->native;
    struct native_stage *stage = add_stage(p, NATIVE_PRODUCT, op);
    if (op->kind == GRAPH_LINEAR && op->input_count > 1)
        stage->exponent = op->inputs[1];
    stage->logits = op->outputs[0] == native->graph->logits;
    for (; stage->matrix_count < GRAPH_OP_MAX && op->matrices[stage->matrix_count] != NULL;) {
        const uint32_t i = stage->matrix_count++;
        const struct graph_matrix *source = op->matrices[i];
        struct native_matrix *matrix = &native->matrices[native->matrix_count++];
        *matrix = (struct native_matrix){
            .source = source,
            .inputs = source->inputs,
            .outputs = source->outputs,
            .quads = (source->inputs + 3) / 4,
            .panels = (source->outputs + NATIVE_PANEL - 1) / NATIVE_PANEL,
        };
        stage->matrices[i] = matrix;
    }
}

/* The stage before `op` whose only output is op's input i, with no other reader; or NULL. */
static struct native_stage *feeder(const struct planner *p, const struct graph_op *op, uint32_t i,
                                   enum native_stage_kind kind)
{
    struct native_stage *stage = p->made_by[op->inputs[i]];
    return stage && stage->kind == kind && only_reader(p, op->inputs[i]) ? stage : NULL;
}

static void add_sum(struct planner *p, const struct graph_op *op)
{
    struct native_stage *last = &p->native->stages[p->native->stage_count - 1];
    struct native_stage *product = feeder(p, op, 1, NATIVE_PRODUCT);
    if (product != last || product->matrix_count != 1 || product->cap > 0.0f ||
        product->addend != NATIVE_NONE || op->inputs[0] == op->inputs[1]) {
        add_stage(p, NATIVE_ADD, op);
        return;
    }
    product->addend = op->inputs[0];
    product->outputs[0] = op->outputs[0];
    p->made_by[op->outputs[0]] = product;
}

static void add_gate(struct planner *p, const struct graph_op *op, enum native_stage_kind kind)
{
    struct native_stage *last = &p->native->stages[p->native->stage_count - 1];
    struct native_stage *gate = feeder(p, op, 0, NATIVE_PRODUCT);
    if (gate != last || feeder(p, op, 1, NATIVE_PRODUCT) != last || gate->matrix_count != 2 ||
        gate->outputs[0] != op->inputs[0] || gate->outputs[1] != op->inputs[1]) {
        add_stage(p, kind, op);
        return;
    }
    gate->gate = kind;
    gate->outputs[0] = op->outputs[0];
    gate->outputs[1] = NATIVE_NONE;
    p->made_by[op->outputs[0]] = gate;
}

static void add_softcap(struct planner *p, const struct graph_op *op)
{
    struct native_stage *last = &p->native->stages[p->native->stage_count - 1];
    struct native_stage *product = feeder(p, op, 0, NATIVE_PRODUCT);
    if (product != last || product->matrix_count != 1 || product->addend != NATIVE_NONE ||
        product->cap > 0.0f) {
        add_stage(p, NATIVE_SOFTCAP, op);
        return;
    }
    product->cap = op->cap;
    product->logits = op->outputs[0] == p->native->graph->logits;
    product->outputs[0] = op->outputs[0];
    p->made_by[op->outputs[0]] = product;
}

/* A rotary embedding that only an attention reads, as query or key: the attention does its work. */
static bool absorbed(const struct planner *p, const struct graph_op *op)
{
    const uint32_t out = op->outputs[0];
    const struct graph_op *reader = p->reader[out];
    return op->kind == GRAPH_ROPE && only_reader(p, out) && !p->native->options.keep_tensors &&
           reader->kind == GRAPH_ATTENTION && reader->inputs[2] != out;
}

static void add_attention(struct planner *p, const struct graph_op *op)
{
    struct native_stage *stage = add_stage(p, NATIVE_ATTENTION, op);
    for (uint32_t i = 0; i < 2; i++) {
        const struct graph_op *rope = p->maker[op->inputs[i]];
        if (rope != NULL && absorbed(p, rope)) {
            stage->inputs[i] = rope->inputs[0];
            *(i == 0 ? &stage->rope_q : &stage->rope_k) = true;
            *(i == 0 ? &stage->table_q : &stage->table_k) = rope->rope;
        }
    }
}

static enum takt_status add_op(struct planner *p, const struct graph_op *op,
                               struct takt_error *error)
{
    static const char *const names[] = {
#define NAME(name, text, doc) [GRAPH_##name] = text,
        GRAPH_OPS(NAME)
#undef NAME
    };
    switch ((int)op->kind) {
    case GRAPH_INPUT: add_stage(p, NATIVE_INPUT, op); return TAKT_OK;
    case GRAPH_NORM_LINEAR:
    case GRAPH_LINEAR: add_product(p, op); return TAKT_OK;
    case GRAPH_ROPE:
        if (!absorbed(p, op))
            add_stage(p, NATIVE_ROPE, op);
        return TAKT_OK;
    case GRAPH_ATTENTION: add_attention(p, op); return TAKT_OK;
    case GRAPH_NORM: add_stage(p, NATIVE_NORM, op); return TAKT_OK;
    case GRAPH_SWIGLU: add_gate(p, op, NATIVE_SWIGLU); return TAKT_OK;
    case GRAPH_GEGLU: add_gate(p, op, NATIVE_GEGLU); return TAKT_OK;
    case GRAPH_SOFTCAP: add_softcap(p, op); return TAKT_OK;
    case GRAPH_ADD: add_sum(p, op); return TAKT_OK;
    default:
        return base_fail(error, TAKT_UNSUPPORTED,
                         "the native target has no kernel for %s yet; use another target",
                         (size_t)op->kind < BASE_COUNT(names) ? names[op->kind] : "an operation");
    }
}

/* After the last attention: what is read there but made before is carried over, row by row. */
static void find_narrow(struct planner *p)
{
    struct native *native = p->native;
    uint32_t last = NATIVE_NONE;
    for (uint32_t i = 0; i < native->stage_count; i++)
        if (native->stages[i].kind == NATIVE_ATTENTION)
            last = i;
    if (last == NATIVE_NONE || native->options.keep_tensors)
        return;
    native->stages[last].narrow = true;
    for (uint32_t i = last + 1; i < native->stage_count; i++)
        native->stages[i].after = true;
    bool *made = BASE_NEW(p->arena, bool, native->graph->tensor_count);
    bool *carried = BASE_NEW(p->arena, bool, native->graph->tensor_count);
    for (uint32_t i = 0; i < native->stage_count; i++) {
        const struct native_stage *stage = &native->stages[i];
        const uint32_t read[] = {stage->inputs[0], stage->inputs[1], stage->inputs[2],
                                 stage->addend};
        for (uint32_t j = 0; i > last && j < BASE_COUNT(read); j++)
            if (read[j] != NATIVE_NONE && made[read[j]] && !carried[read[j]]) {
                carried[read[j]] = true;
                native->carry[native->carry_count++] = read[j];
            }
        for (uint32_t j = 0; i < last && j < GRAPH_OP_MAX; j++)
            if (stage->outputs[j] != NATIVE_NONE)
                made[stage->outputs[j]] = true;
    }
}

static void link_products(struct native *native)
{
    const struct native_stage *after = NULL;
    for (uint32_t i = 0; i < 2 * native->stage_count; i++) { /* twice: from the last to the first */
        struct native_stage *stage =
            &native->stages[(2 * native->stage_count - 1 - i) % native->stage_count];
        if (stage->kind != NATIVE_PRODUCT)
            continue;
        stage->product_after = after;
        after = stage;
    }
}

static void link_divided(struct native *native)
{
    struct native_stage *before = NULL;
    for (uint32_t i = 0; i < native->stage_count; i++) {
        struct native_stage *stage = &native->stages[i];
        if (stage->kind != NATIVE_PRODUCT && stage->kind != NATIVE_ATTENTION)
            continue;
        if (before != NULL)
            before->divided_after = stage;
        else
            native->first_divided = stage;
        stage->turn = before != NULL ? 1 - before->turn : 0;
        before = stage;
    }
}

enum takt_status native_plan(struct native *native, struct base_arena *arena,
                             struct takt_error *error)
{
    const struct graph *graph = native->graph;
    struct planner p = {.native = native, .arena = arena};
    uint32_t matrices = 0;
    for (uint32_t i = 0; i < graph->op_count; i++)
        if (graph->ops[i].matrices[0] != NULL)
            matrices += graph->ops[i].output_count;
    p.readers = BASE_NEW(arena, uint32_t, graph->tensor_count);
    p.reader = BASE_NEW(arena, const struct graph_op *, graph->tensor_count);
    p.maker = BASE_NEW(arena, const struct graph_op *, graph->tensor_count);
    p.made_by = BASE_NEW(arena, struct native_stage *, graph->tensor_count);
    native->stages = BASE_NEW(arena, struct native_stage, graph->op_count);
    native->matrices = BASE_NEW(arena, struct native_matrix, matrices + 1);
    native->carry = BASE_NEW(arena, uint32_t, graph->tensor_count);
    for (uint32_t i = 0; i < graph->op_count; i++) {
        const struct graph_op *op = &graph->ops[i];
        for (uint32_t j = 0; j < op->input_count; j++) {
            p.readers[op->inputs[j]]++;
            p.reader[op->inputs[j]] = op;
        }
        for (uint32_t j = 0; j < op->output_count; j++)
            p.maker[op->outputs[j]] = op;
    }
    for (uint32_t i = 0; i < graph->op_count; i++) {
        const enum takt_status status = add_op(&p, &graph->ops[i], error);
        if (status != TAKT_OK)
            return status;
    }
    find_narrow(&p);
    link_products(native);
    link_divided(native);
    return TAKT_OK;
}
