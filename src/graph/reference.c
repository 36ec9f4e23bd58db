/*
 * The reference interpreter: docs/NUMERICS.md line by line. Every assignment of a float below
 * rounds once, to binary32; what is summed over elements is an int32, and none can overflow.
 */
#include "graph/reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "num/num.h"

/* The keys and values of one layer; position-major. */
struct cache {
    int8_t *k, *v;            /* [context][kv_heads][head_dim] */
    uint8_t *k_code, *v_code; /* [context][kv_heads] */
};

struct reference {
    const struct graph *graph;
    struct base_arena arena;
    uint32_t context, chunk_max;
    float **values;       /* [tensor_count] of [chunk_max][width] */
    struct cache *cache;  /* [layers] */
    float *gained;        /* [widest]: x * gain of one token */
    float *gained_before; /* [widest]: the same of x before the last product was added */
    int16_t *a16, *x16;   /* [widest]: a token's activations as integers */
    float *score;         /* [context]: of one head; then its exponentials, then the weights of V */
    int16_t *u16;         /* [context] */
};

/* Sums of 255 * 127 over this many terms stay below 2^31: heads of the cache, and its positions. */
#define SUM_MAX (INT32_MAX / (127 * 255))

/* ---- creation -------------------------------------------------------------------------------- */

static uint32_t widest(const struct graph *graph)
{
    uint32_t width = 0;
    for (uint32_t i = 0; i < graph->tensor_count; i++)
        width = BASE_MAX(width, graph->tensors[i].width);
    return width;
}

static size_t arena_bytes(const struct graph *graph, uint32_t context, uint32_t chunk_max)
{
    size_t allocations = 16 + graph->tensor_count + 4 * (size_t)graph->layers;
    size_t bytes = 64 * allocations + graph->tensor_count * sizeof(float *) +
                   graph->layers * sizeof(struct cache) +
                   widest(graph) * (2 * sizeof(float) + 2 * sizeof(int16_t)) +
                   context * (sizeof(float) + sizeof(int16_t));
    for (uint32_t i = 0; i < graph->tensor_count; i++)
        bytes += (size_t)chunk_max * graph->tensors[i].width * sizeof(float);
    return bytes + (size_t)graph->layers * context * graph->kv_heads * 2 * (graph->head_dim + 1);
}

static void allocate(struct reference *r)
{
    const struct graph *graph = r->graph;
    size_t positions = (size_t)r->context * graph->kv_heads;
    r->values = BASE_NEW(&r->arena, float *, graph->tensor_count);
    for (uint32_t i = 0; i < graph->tensor_count; i++)
        r->values[i] = BASE_NEW(&r->arena, float, (size_t)r->chunk_max * graph->tensors[i].width);
    r->cache = BASE_NEW(&r->arena, struct cache, graph->layers);
    for (uint32_t i = 0; i < graph->layers; i++) {
        r->cache[i].k = BASE_NEW(&r->arena, int8_t, positions * graph->head_dim);
        r->cache[i].v = BASE_NEW(&r->arena, int8_t, positions * graph->head_dim);
        r->cache[i].k_code = BASE_NEW(&r->arena, uint8_t, positions);
        r->cache[i].v_code = BASE_NEW(&r->arena, uint8_t, positions);
    }
    r->gained = BASE_NEW(&r->arena, float, widest(graph));
    r->gained_before = BASE_NEW(&r->arena, float, widest(graph));
    r->a16 = BASE_NEW(&r->arena, int16_t, widest(graph));
    r->x16 = BASE_NEW(&r->arena, int16_t, widest(graph));
    r->score = BASE_NEW(&r->arena, float, r->context);
    r->u16 = BASE_NEW(&r->arena, int16_t, r->context);
}

enum takt_status reference_create(struct reference **reference, const struct graph *graph,
                                  uint32_t context, uint32_t chunk_max, struct takt_error *error)
{
    *reference = NULL;
    BASE_ASSERT(context > 0 && chunk_max > 0);
    if (context > SUM_MAX)
        return base_fail(
            error, TAKT_LIMIT,
            "a context of %u positions: exact 32-bit sums hold %d at most, ask for fewer", context,
            SUM_MAX);
    struct reference *r = calloc(1, sizeof *r);
    if (r == NULL)
        return base_fail(error, TAKT_MEMORY, "reference: no memory for %zu bytes", sizeof *r);
    r->graph = graph;
    r->context = context;
    r->chunk_max = chunk_max;
    enum takt_status status =
        base_arena_create(&r->arena, arena_bytes(graph, context, chunk_max), error);
    if (status != TAKT_OK) {
        free(r);
        return status;
    }
    allocate(r);
    *reference = r;
    return TAKT_OK;
}

void reference_destroy(struct reference *reference)
{
    if (reference == NULL)
        return;
    base_arena_destroy(&reference->arena);
    free(reference);
}

/* ---- integer products --------------------------------------------------------------------------
 */

/* The group's exponent: the only thing its elements share. */
static uint8_t group_exponent(const float *x, uint32_t n)
{
    uint8_t exponent = NUM_EXPONENT_MIN;
    for (uint32_t i = 0; i < n; i++)
        exponent = BASE_MAX(exponent, num_exponent(x[i]));
    return exponent;
}

static void quantise(const float *x, uint32_t n, uint8_t exponent, int16_t *a16)
{
    for (uint32_t i = 0; i < n; i++)
        a16[i] = num_quantise_i16(x[i], exponent);
}

static uint8_t group_quantise(const float *x, uint32_t n, int16_t *a16)
{
    uint8_t exponent = group_exponent(x, n);
    quantise(x, n, exponent, a16);
    return exponent;
}

/* Sum of a16[i] * w[i * stride], by byte planes: 256 * float(sum of high) + float(sum of low). */
static float product(const int16_t *a16, const int8_t *w, size_t stride, uint32_t n)
{
    int32_t sum_high = 0;
    int32_t sum_low = 0;
    for (uint32_t i = 0; i < n; i++) {
        int32_t low = a16[i] & 255;
        int32_t high = (a16[i] - low) / 256;
        sum_high += high * w[i * stride];
        sum_low += low * w[i * stride];
    }
    return fmaf(256.0f, (float)sum_high, (float)sum_low);
}

static float byte_sum(const int32_t *sums, uint32_t count)
{
    float t = (float)sums[count - 1];
    for (uint32_t b = count - 1; b-- > 0;)
        t = fmaf(256.0f, t, (float)sums[b]);
    return t;
}

/* ---- operations, each on one token ----------------------------------------------------------- */

static void linear(const struct graph_matrix *matrix, const int16_t *a16, float factor, float *y)
{
    for (uint32_t n = 0; n < matrix->outputs; n++) {
        const int8_t *weights = matrix->weights + (size_t)n * matrix->inputs;
        float acc = product(a16, weights, 1, matrix->inputs);
        float scaled = acc * matrix->scales[n];
        y[n] = scaled * factor;
        if (matrix->bias != NULL)
            y[n] = y[n] + matrix->bias[n];
    }
}

/* 1 / sqrt(mean square + eps) of n values, of which x16 are the integers and down the scale; the
 * squares are summed as integers. */
static float inverse_rms(const struct reference *r, const int16_t *x16, uint32_t n, float down)
{
    int32_t sums[4] = {0, 0, 0, 0};
    for (uint32_t i = 0; i < n; i++) {
        uint32_t square = (uint32_t)(x16[i] * x16[i]);
        for (uint32_t b = 0; b < 4; b++)
            sums[b] += (int32_t)(square >> 8 * b & 255u);
    }
    float t = byte_sum(sums, 4);
    t = t * down;
    t = t * down;
    float reciprocal = 1.0f / (float)n;
    float mean = t * reciprocal;
    float biased = mean + r->graph->norm_epsilon;
    return num_rsqrt(biased);
}

/* The exponent of x, as it is or as x = previous + a product is bounded. */
static uint8_t sum_exponent(const float *x, const float *previous, const float *activations,
                            int32_t growth, uint32_t n)
{
    if (previous == NULL)
        return group_exponent(x, n);
    return num_exponent_grown(group_exponent(previous, n), (uint8_t)*activations, growth);
}

/* in[0]: x; in[1] and in[2], if there: what bounds it. */
static void norm_linear(struct reference *r, const struct graph_op *op, const float *const *in,
                        float *const *outputs)
{
    uint32_t n = op->matrices[0]->inputs;
    for (uint32_t i = 0; i < n; i++) {
        r->gained[i] = in[0][i] * op->gain[i];
        r->gained_before[i] = in[1] != NULL ? in[1][i] * op->gain[i] : 0.0f;
    }
    const float *before = in[1] != NULL ? r->gained_before : NULL;
    uint8_t exponent = sum_exponent(r->gained, before, in[2], op->growth[0], n);
    uint8_t x_exponent = sum_exponent(in[0], in[1], in[2], op->growth[1], n);
    quantise(r->gained, n, exponent, r->a16);
    quantise(in[0], n, x_exponent, r->x16);
    float down = num_scale_down(x_exponent);
    float factor = num_scale_down(exponent) * inverse_rms(r, r->x16, n, down);
    for (uint32_t i = 0; i < op->output_count; i++)
        linear(op->matrices[i], r->a16, factor, outputs[i]);
}

/* `heads` equal parts, each by its own root mean square; the integers share the token's exponent.
 */
static void norm(struct reference *r, const struct graph_op *op, const float *x, uint32_t width,
                 float *y)
{
    uint32_t n = width / op->heads;
    float down = num_scale_down(group_quantise(x, width, r->x16));
    for (uint32_t from = 0; from < width; from += n) {
        float factor = inverse_rms(r, r->x16 + from, n, down);
        for (uint32_t i = 0; i < n; i++) {
            float normed = x[from + i] * factor;
            y[from + i] = normed * op->gain[i];
        }
    }
}

static void rope(const struct graph *graph, const struct graph_op *op, uint32_t position,
                 const float *x, float *y)
{
    for (uint32_t pair = 0; pair < graph->head_dim / 2; pair++) {
        float c, s;
        graph_rope(graph, op->rope, pair, position, &c, &s);
        for (uint32_t head = 0; head < op->heads; head++) {
            size_t i = (size_t)head * graph->head_dim + 2 * pair;
            float t1 = x[i] * c;
            float t2 = x[i + 1] * -s;
            y[i] = t1 + t2;
            t1 = x[i + 1] * c;
            t2 = x[i] * s;
            y[i + 1] = t1 + t2;
        }
    }
}

static void swiglu(const float *gate, const float *up, uint32_t n, float *y)
{
    for (uint32_t i = 0; i < n; i++) {
        float t = num_exp(gate[i] * -1.0f);
        t = t + 1.0f;
        float hidden = gate[i] / t;
        y[i] = hidden * up[i];
    }
}

static void geglu(const float *gate, const float *up, uint32_t n, float *y)
{
    for (uint32_t i = 0; i < n; i++) {
        float hidden = num_gelu(gate[i]);
        y[i] = hidden * up[i];
    }
}

/* ---- attention ------------------------------------------------------------------------------- */

/* Stores one head's key or value of one position: int8 and the code of its scale. */
static void store(const float *x, uint32_t n, int8_t *out, uint8_t *code)
{
    *code = 0;
    for (uint32_t i = 0; i < n; i++)
        *code = BASE_MAX(*code, num_code(x[i]));
    for (uint32_t i = 0; i < n; i++)
        out[i] = num_code_quantise(x[i], *code);
}

static void append(const struct graph *graph, struct cache *cache, uint32_t position,
                   const float *k, const float *v)
{
    for (uint32_t head = 0; head < graph->kv_heads; head++) {
        size_t at = (size_t)position * graph->kv_heads + head;
        size_t from = (size_t)head * graph->head_dim;
        store(k + from, graph->head_dim, cache->k + at * graph->head_dim, &cache->k_code[at]);
        store(v + from, graph->head_dim, cache->v + at * graph->head_dim, &cache->v_code[at]);
    }
}

/* Replaces score[0..n) by exp(score - largest); returns their sum, on the grid of 2^-23. */
static float exponentials(float *score, uint32_t n)
{
    float largest = score[0];
    for (uint32_t p = 1; p < n; p++)
        largest = largest > score[p] ? largest : score[p];
    int32_t sums[3] = {0, 0, 0};
    for (uint32_t p = 0; p < n; p++) {
        float difference = score[p] - largest;
        score[p] = num_exp(difference);
        float on_grid = score[p] * 8388608.0f;
        uint32_t fixed = (uint32_t)num_f32_to_i32(on_grid);
        for (uint32_t b = 0; b < 3; b++)
            sums[b] += (int32_t)(fixed >> 8 * b & 255u);
    }
    return byte_sum(sums, 3) * 0x1p-23f;
}

/* The largest scale code of a head's values at positions first..n-1. */
static uint8_t largest_code(const struct cache *cache, uint32_t kv_heads, uint32_t kv_head,
                            uint32_t first, uint32_t n)
{
    uint8_t code = 0;
    for (uint32_t p = first; p < n; p++)
        code = BASE_MAX(code, cache->v_code[(size_t)p * kv_heads + kv_head]);
    return code;
}

/* What a query head attends to: positions first .. first + n - 1 of a KV head. */
struct view {
    const int8_t *k, *v;            /* of the first position; the next is `stride` further */
    const uint8_t *k_code, *v_code; /* the next is `kv_heads` further */
    size_t stride;
    uint32_t n, kv_heads;
    uint8_t largest; /* of its v_code */
};

/* One query head. q16: its query; q_down: its scale; out[head_dim]. */
static void attend(struct reference *r, const struct view *view, const int16_t *q16, float q_down,
                   float *out)
{
    const struct graph *graph = r->graph;
    for (uint32_t p = 0; p < view->n; p++) {
        float acc = product(q16, view->k + p * view->stride, 1, graph->head_dim);
        float k_scale =
            num_code_scale(view->k_code[(size_t)p * view->kv_heads]) * graph->score_scale;
        float scaled = acc * q_down;
        r->score[p] = scaled * k_scale;
        if (graph->score_cap > 0.0f)
            r->score[p] = num_softcap(r->score[p], graph->score_cap);
    }
    float denominator = exponentials(r->score, view->n);
    for (uint32_t p = 0; p < view->n; p++)
        r->score[p] = r->score[p] * num_code_scale(view->v_code[(size_t)p * view->kv_heads]);
    /* No exponential is above 1, so no weight is above the largest scale. */
    uint8_t exponent = BASE_MAX(num_exponent(num_code_scale(view->largest)), NUM_EXPONENT_MIN);
    quantise(r->score, view->n, exponent, r->u16);
    float factor = num_scale_down(exponent) / denominator;
    for (uint32_t d = 0; d < graph->head_dim; d++)
        out[d] = product(r->u16, view->v + d, view->stride, view->n) * factor;
}

static void attention(struct reference *r, const struct graph_op *op, uint32_t position,
                      const float *q, float *out, float *bound)
{
    const struct graph *graph = r->graph;
    const struct cache *cache = &r->cache[op->layer];
    uint32_t queries_a_kv_head = op->heads / graph->kv_heads;
    uint32_t first = graph_first_position(op, position);
    uint8_t largest = 0;
    for (uint32_t head = 0; head < op->heads; head++) {
        size_t from = (size_t)head * graph->head_dim;
        uint32_t kv_head = head / queries_a_kv_head;
        size_t at = (size_t)first * graph->kv_heads + kv_head;
        struct view view = {.k = cache->k + at * graph->head_dim,
                            .v = cache->v + at * graph->head_dim,
                            .k_code = cache->k_code + at,
                            .v_code = cache->v_code + at,
                            .stride = (size_t)graph->kv_heads * graph->head_dim,
                            .n = position + 1 - first,
                            .kv_heads = graph->kv_heads};
        view.largest = largest_code(cache, graph->kv_heads, kv_head, first, position + 1);
        largest = BASE_MAX(largest, view.largest);
        quantise(q + from, graph->head_dim, op->head_exponents[head], r->a16);
        attend(r, &view, r->a16, num_scale_down(op->head_exponents[head]), out + from);
    }
    /* A weighted mean of values is not above their bound. */
    *bound = BASE_MAX(num_exponent(num_code_bound(largest)), NUM_EXPONENT_MIN);
}

/* ---- a step ---------------------------------------------------------------------------------- */

static float *value(const struct reference *r, uint32_t tensor, uint32_t token)
{
    return r->values[tensor] + (size_t)token * r->graph->tensors[tensor].width;
}

/* Runs one operation for token m of the step, at `position`. */
static void run_op(struct reference *r, const struct graph_op *op, uint32_t m, uint32_t id,
                   uint32_t position)
{
    const struct graph *graph = r->graph;
    const float *in[GRAPH_OP_MAX] = {NULL, NULL, NULL};
    float *out[GRAPH_OP_MAX] = {NULL, NULL, NULL};
    for (uint32_t i = 0; i < op->input_count; i++)
        in[i] = value(r, op->inputs[i], m);
    for (uint32_t i = 0; i < op->output_count; i++)
        out[i] = value(r, op->outputs[i], m);
    uint32_t width = graph->tensors[op->outputs[0]].width;
    switch (op->kind) {
    case GRAPH_INPUT: graph_embedding(graph, id, out[0]); break;
    case GRAPH_NORM_LINEAR: norm_linear(r, op, in, out); break;
    case GRAPH_LINEAR: {
        uint32_t n = op->matrices[0]->inputs;
        uint8_t exponent = in[1] != NULL ? (uint8_t)*in[1] : group_exponent(in[0], n);
        quantise(in[0], n, exponent, r->a16);
        linear(op->matrices[0], r->a16, num_scale_down(exponent), out[0]);
        if (out[1] != NULL)
            *out[1] = exponent;
        break;
    }
    case GRAPH_NORM: norm(r, op, in[0], width, out[0]); break;
    case GRAPH_ROPE: rope(graph, op, position, in[0], out[0]); break;
    case GRAPH_ATTENTION: attention(r, op, position, in[0], out[0], out[1]); break;
    case GRAPH_SWIGLU: swiglu(in[0], in[1], width, out[0]); break;
    case GRAPH_GEGLU: geglu(in[0], in[1], width, out[0]); break;
    case GRAPH_SOFTCAP:
        for (uint32_t i = 0; i < width; i++)
            out[0][i] = num_softcap(in[0][i], op->cap);
        break;
    case GRAPH_ADD:
        for (uint32_t i = 0; i < width; i++)
            out[0][i] = in[0][i] + in[1][i];
        break;
    }
}

void reference_step(struct reference *reference, const uint32_t *tokens, uint32_t count,
                    uint32_t start, float *logits)
{
    struct reference *r = reference;
    const struct graph *graph = r->graph;
    BASE_ASSERT(count > 0 && count <= r->chunk_max);
    BASE_ASSERT(start <= r->context && count <= r->context - start);
    for (uint32_t m = 0; m < count; m++)
        BASE_ASSERT(tokens[m] < graph->vocab);
    for (uint32_t i = 0; i < graph->op_count; i++) {
        const struct graph_op *op = &graph->ops[i];
        if (op->kind == GRAPH_ATTENTION)
            for (uint32_t m = 0; m < count; m++)
                append(graph, &r->cache[op->layer], start + m, value(r, op->inputs[1], m),
                       value(r, op->inputs[2], m));
        for (uint32_t m = 0; m < count; m++)
            run_op(r, op, m, tokens[m], start + m);
    }
    memcpy(logits, r->values[graph->logits], (size_t)count * graph->vocab * sizeof *logits);
}

const float *reference_tensor(const struct reference *reference, const char *name, uint32_t *width)
{
    const struct graph *graph = reference->graph;
    for (uint32_t i = 0; i < graph->tensor_count; i++)
        if (strcmp(graph->tensors[i].name, name) == 0) {
            *width = graph->tensors[i].width;
            return reference->values[i];
        }
    return NULL;
}
