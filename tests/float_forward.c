/* See float_forward.h. */
#include "float_forward.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct matrix {
    uint32_t rows, columns;
    float *data; /* [rows][columns] */
};

enum { PARTS = 17 };

struct layer {
    union {
        struct {
            struct matrix attention_norm, q, k, v, o, q_bias, k_bias, v_bias, o_bias, q_norm,
                k_norm, attention_post_norm, ffn_post_norm, ffn_norm, gate, up, down;
        };
        struct matrix parts[PARTS]; /* a part that the model lacks has no data */
    };
    float *keys, *values; /* [context][kv_heads * head_dim] */
};

struct float_forward {
    const struct model *model;
    uint32_t context;
    struct matrix embedding, output_norm, output;
    struct layer *layers;
    float *x, *normed, *q, *heads, *gate, *up, *sum, *scores;
};

/* ---- creation -------------------------------------------------------------------------------- */

static float *floats(size_t count)
{
    float *data = calloc(count, sizeof *data);
    BASE_ASSERT(data != NULL);
    return data;
}

static struct matrix load(const struct model_tensor *tensor)
{
    struct matrix matrix = {tensor->rows, tensor->columns, NULL};
    if (tensor->data == NULL)
        return matrix;
    matrix.data = floats((size_t)tensor->rows * tensor->columns);
    for (uint32_t r = 0; r < tensor->rows; r++)
        model_row(tensor, r, matrix.data + (size_t)r * tensor->columns);
    return matrix;
}

static struct matrix load_norm(const struct model *model, const struct model_tensor *tensor)
{
    struct matrix matrix = load(tensor);
    for (uint32_t i = 0; i < matrix.columns; i++)
        matrix.data[i] += model->gain_offset;
    return matrix;
}

static struct layer load_layer(const struct model *model, uint32_t index, uint32_t context)
{
    const struct model_layer *from = &model->layer[index];
    size_t cached = (size_t)context * model->kv_heads * model->head_dim;
    return (struct layer){.attention_norm = load_norm(model, &from->attention_norm),
                          .q = load(&from->q),
                          .k = load(&from->k),
                          .v = load(&from->v),
                          .o = load(&from->o),
                          .q_bias = load(&from->q_bias),
                          .k_bias = load(&from->k_bias),
                          .v_bias = load(&from->v_bias),
                          .o_bias = load(&from->o_bias),
                          .q_norm = load_norm(model, &from->q_norm),
                          .k_norm = load_norm(model, &from->k_norm),
                          .attention_post_norm = load_norm(model, &from->attention_post_norm),
                          .ffn_post_norm = load_norm(model, &from->ffn_post_norm),
                          .ffn_norm = load_norm(model, &from->ffn_norm),
                          .gate = load(&from->gate),
                          .up = load(&from->up),
                          .down = load(&from->down),
                          .keys = floats(cached),
                          .values = floats(cached)};
}

struct float_forward *float_forward_create(const struct model *model, uint32_t context)
{
    struct float_forward *f = calloc(1, sizeof *f);
    BASE_ASSERT(f != NULL);
    f->model = model;
    f->context = context;
    f->embedding = load(&model->embedding);
    f->output_norm = load_norm(model, &model->output_norm);
    f->output = load(model->tied ? &model->embedding : &model->output);
    f->layers = calloc(model->layers, sizeof *f->layers);
    BASE_ASSERT(f->layers != NULL);
    for (uint32_t i = 0; i < model->layers; i++)
        f->layers[i] = load_layer(model, i, context);
    uint32_t attention = model->heads * model->head_dim;
    f->x = floats(model->width);
    f->normed = floats(model->width);
    f->q = floats(attention);
    f->heads = floats(attention);
    f->gate = floats(model->ffn);
    f->up = floats(model->ffn);
    f->sum = floats(model->width);
    f->scores = floats(context);
    return f;
}

void float_forward_destroy(struct float_forward *f)
{
    if (f == NULL)
        return;
    for (uint32_t i = 0; i < f->model->layers; i++) {
        struct layer *l = &f->layers[i];
        for (size_t j = 0; j < PARTS; j++)
            free(l->parts[j].data);
        free(l->keys);
        free(l->values);
    }
    float *owned[] = {f->embedding.data,
                      f->output_norm.data,
                      f->output.data,
                      f->x,
                      f->normed,
                      f->q,
                      f->heads,
                      f->gate,
                      f->up,
                      f->sum,
                      f->scores};
    for (size_t j = 0; j < BASE_COUNT(owned); j++)
        free(owned[j]);
    free(f->layers);
    free(f);
}

/* ---- the forward pass --------------------------------------------------------------------------
 */

/* Sixteen partial sums, so that a compiler may use vectors without reordering anything. */
static float dot(const float *a, const float *b, uint32_t n)
{
    float partial[16] = {0};
    uint32_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (uint32_t j = 0; j < 16; j++)
            partial[j] += a[i + j] * b[i + j];
    float sum = 0.0f;
    for (uint32_t j = 0; j < 16; j++)
        sum += partial[j];
    for (; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void multiply(const struct matrix *matrix, const struct matrix *bias, const float *x,
                     float *y)
{
    for (uint32_t r = 0; r < matrix->rows; r++) {
        y[r] = dot(matrix->data + (size_t)r * matrix->columns, x, matrix->columns);
        if (bias != NULL && bias->data != NULL)
            y[r] += bias->data[r];
    }
}

/* In place or not. */
static void normalise(const struct float_forward *f, const struct matrix *gain, const float *x,
                      float *y)
{
    uint32_t n = gain->columns;
    float factor = 1.0f / sqrtf(dot(x, x, n) / (float)n + f->model->norm_epsilon);
    for (uint32_t i = 0; i < n; i++)
        y[i] = x[i] * factor * gain->data[i];
}

/* Each of `heads` parts, where the model has such a norm. */
static void normalise_parts(const struct float_forward *f, const struct matrix *gain,
                            uint32_t heads, float *x)
{
    for (uint32_t h = 0; gain->data != NULL && h < heads; h++)
        normalise(f, gain, x + (size_t)h * gain->columns, x + (size_t)h * gain->columns);
}

static void rotate(const struct model *model, const struct model_rope *rope, uint32_t heads,
                   uint32_t position, float *x)
{
    uint32_t half = rope->rotary / 2;
    for (uint32_t h = 0; h < heads; h++)
        for (uint32_t i = 0; i < half; i++) {
            float *head = x + (size_t)h * model->head_dim;
            float *a = model->rope_halves ? &head[i] : &head[2 * i];
            float *b = model->rope_halves ? &head[i + half] : &head[2 * i + 1];
            double angle = position * pow(rope->base, -(double)i / half) / rope->scale;
            if (rope->factors != NULL)
                angle /= (double)rope->factors[i];
            float c = (float)(cos(angle) * rope->magnitude);
            float s = (float)(sin(angle) * rope->magnitude);
            float first = *a;
            *a = first * c - *b * s;
            *b = *b * c + first * s;
        }
}

static float cap(float x, float most)
{
    return most > 0.0f ? most * tanhf(x / most) : x;
}

static void attend(struct float_forward *f, const struct layer *layer, uint32_t head,
                   uint32_t first, uint32_t end)
{
    const struct model *model = f->model;
    uint32_t n = model->head_dim;
    size_t stride = (size_t)model->kv_heads * n;
    size_t from = (size_t)(head / (model->heads / model->kv_heads)) * n;
    float *out = f->heads + (size_t)head * n;
    float largest = -INFINITY;
    for (uint32_t p = first; p < end; p++) {
        float score = dot(f->q + (size_t)head * n, layer->keys + p * stride + from, n);
        f->scores[p] = cap(score * model->score_scale, model->score_cap);
        largest = fmaxf(largest, f->scores[p]);
    }
    float total = 0.0f;
    memset(out, 0, n * sizeof *out);
    for (uint32_t p = first; p < end; p++) {
        float weight = expf(f->scores[p] - largest);
        total += weight;
        for (uint32_t d = 0; d < n; d++)
            out[d] += weight * layer->values[p * stride + from + d];
    }
    for (uint32_t d = 0; d < n; d++)
        out[d] /= total;
}

static void add_sum(struct float_forward *f, const struct matrix *norm)
{
    normalise_parts(f, norm, 1, f->sum);
    for (uint32_t i = 0; i < f->model->width; i++)
        f->x[i] += f->sum[i];
}

static float gate_function(const struct model *model, float x)
{
    if (model->gelu)
        return 0.5f * x * (1.0f + tanhf(0.7978845608f * (x + 0.044715f * x * x * x)));
    return x / (1.0f + expf(-x));
}

static void run_layer(struct float_forward *f, uint32_t index, uint32_t position)
{
    const struct model *model = f->model;
    const struct model_layer *from = &model->layer[index];
    const struct model_rope *rope = &model->ropes[from->rope];
    struct layer *layer = &f->layers[index];
    size_t at = (size_t)position * model->kv_heads * model->head_dim;
    normalise(f, &layer->attention_norm, f->x, f->normed);
    multiply(&layer->q, &layer->q_bias, f->normed, f->q);
    multiply(&layer->k, &layer->k_bias, f->normed, layer->keys + at);
    multiply(&layer->v, &layer->v_bias, f->normed, layer->values + at);
    normalise_parts(f, &layer->q_norm, model->heads, f->q);
    normalise_parts(f, &layer->k_norm, model->kv_heads, layer->keys + at);
    rotate(model, rope, model->heads, position, f->q);
    rotate(model, rope, model->kv_heads, position, layer->keys + at);
    uint32_t first = 0;
    if (from->window != 0 && position >= from->window)
        first = position + 1 - from->window;
    for (uint32_t head = 0; head < model->heads; head++)
        attend(f, layer, head, first, position + 1);
    multiply(&layer->o, &layer->o_bias, f->heads, f->sum);
    add_sum(f, &layer->attention_post_norm);
    normalise(f, &layer->ffn_norm, f->x, f->normed);
    multiply(&layer->gate, NULL, f->normed, f->gate);
    multiply(&layer->up, NULL, f->normed, f->up);
    for (uint32_t i = 0; i < model->ffn; i++)
        f->gate[i] = gate_function(model, f->gate[i]) * f->up[i];
    multiply(&layer->down, NULL, f->gate, f->sum);
    add_sum(f, &layer->ffn_post_norm);
}

void float_forward_step(struct float_forward *f, uint32_t token, uint32_t position, float *logits)
{
    const struct model *model = f->model;
    BASE_ASSERT(position < f->context && token < model->vocab);
    for (uint32_t i = 0; i < model->width; i++)
        f->x[i] = f->embedding.data[(size_t)token * model->width + i] * model->embedding_scale;
    for (uint32_t i = 0; i < model->layers; i++)
        run_layer(f, i, position);
    normalise(f, &f->output_norm, f->x, f->normed);
    multiply(&f->output, NULL, f->normed, logits);
    for (uint32_t i = 0; i < model->vocab; i++)
        logits[i] = cap(logits[i], model->logit_cap);
}

/* ---- measures ----------------------------------------------------------------------------------
 */

static double log_sum(const float *logits, uint32_t vocab)
{
    double largest = logits[float_top(logits, vocab)];
    double sum = 0.0;
    for (uint32_t i = 0; i < vocab; i++)
        sum += exp(logits[i] - largest);
    return largest + log(sum);
}

double float_negative_log_likelihood(const float *logits, uint32_t vocab, uint32_t token)
{
    return log_sum(logits, vocab) - logits[token];
}

double float_divergence(const float *p, const float *q, uint32_t vocab)
{
    double p_sum = log_sum(p, vocab);
    double q_sum = log_sum(q, vocab);
    double divergence = 0.0;
    for (uint32_t i = 0; i < vocab; i++) {
        double p_log = p[i] - p_sum;
        divergence += exp(p_log) * (p_log - (q[i] - q_sum));
    }
    return divergence;
}

uint32_t float_top(const float *logits, uint32_t vocab)
{
    uint32_t top = 0;
    for (uint32_t i = 1; i < vocab; i++)
        top = logits[i] > logits[top] ? i : top;
    return top;
}
