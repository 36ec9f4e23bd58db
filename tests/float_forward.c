/* See float_forward.h. */
#include "float_forward.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct matrix {
    uint32_t rows, columns;
    float *data; /* [rows][columns] */
};

struct layer {
    struct matrix attention_norm, q, k, v, o, ffn_norm, gate, up, down;
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
    matrix.data = floats((size_t)tensor->rows * tensor->columns);
    for (uint32_t r = 0; r < tensor->rows; r++)
        model_row(tensor, r, matrix.data + (size_t)r * tensor->columns);
    return matrix;
}

static struct layer load_layer(const struct model *model, uint32_t index, uint32_t context)
{
    const struct model_layer *from = &model->layer[index];
    size_t cached = (size_t)context * model->kv_heads * model->head_dim;
    return (struct layer){.attention_norm = load(&from->attention_norm),
                          .q = load(&from->q),
                          .k = load(&from->k),
                          .v = load(&from->v),
                          .o = load(&from->o),
                          .ffn_norm = load(&from->ffn_norm),
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
    f->output_norm = load(&model->output_norm);
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
        float *owned[] = {l->attention_norm.data,
                          l->q.data,
                          l->k.data,
                          l->v.data,
                          l->o.data,
                          l->ffn_norm.data,
                          l->gate.data,
                          l->up.data,
                          l->down.data,
                          l->keys,
                          l->values};
        for (size_t j = 0; j < BASE_COUNT(owned); j++)
            free(owned[j]);
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

static void multiply(const struct matrix *matrix, const float *x, float *y)
{
    for (uint32_t r = 0; r < matrix->rows; r++)
        y[r] = dot(matrix->data + (size_t)r * matrix->columns, x, matrix->columns);
}

static void normalise(const struct float_forward *f, const struct matrix *gain, const float *x,
                      float *y)
{
    uint32_t n = gain->columns;
    float factor = 1.0f / sqrtf(dot(x, x, n) / (float)n + f->model->norm_epsilon);
    for (uint32_t i = 0; i < n; i++)
        y[i] = x[i] * factor * gain->data[i];
}

static void rotate(const struct model *model, uint32_t heads, uint32_t position, float *x)
{
    for (uint32_t i = 0; i < heads * model->head_dim; i += 2) {
        double power = (double)(i % model->head_dim) / model->head_dim;
        double angle = position * pow(model->ropes[0].base, -power);
        float c = (float)cos(angle);
        float s = (float)sin(angle);
        float first = x[i];
        x[i] = first * c - x[i + 1] * s;
        x[i + 1] = x[i + 1] * c + first * s;
    }
}

static void attend(struct float_forward *f, const struct layer *layer, uint32_t head,
                   uint32_t positions)
{
    const struct model *model = f->model;
    uint32_t n = model->head_dim;
    size_t stride = (size_t)model->kv_heads * n;
    size_t from = (size_t)(head / (model->heads / model->kv_heads)) * n;
    float *out = f->heads + (size_t)head * n;
    float largest = -INFINITY;
    for (uint32_t p = 0; p < positions; p++) {
        f->scores[p] =
            dot(f->q + (size_t)head * n, layer->keys + p * stride + from, n) / sqrtf((float)n);
        largest = fmaxf(largest, f->scores[p]);
    }
    float total = 0.0f;
    memset(out, 0, n * sizeof *out);
    for (uint32_t p = 0; p < positions; p++) {
        float weight = expf(f->scores[p] - largest);
        total += weight;
        for (uint32_t d = 0; d < n; d++)
            out[d] += weight * layer->values[p * stride + from + d];
    }
    for (uint32_t d = 0; d < n; d++)
        out[d] /= total;
}

static void run_layer(struct float_forward *f, struct layer *layer, uint32_t position)
{
    const struct model *model = f->model;
    size_t at = (size_t)position * model->kv_heads * model->head_dim;
    normalise(f, &layer->attention_norm, f->x, f->normed);
    multiply(&layer->q, f->normed, f->q);
    multiply(&layer->k, f->normed, layer->keys + at);
    multiply(&layer->v, f->normed, layer->values + at);
    rotate(model, model->heads, position, f->q);
    rotate(model, model->kv_heads, position, layer->keys + at);
    for (uint32_t head = 0; head < model->heads; head++)
        attend(f, layer, head, position + 1);
    multiply(&layer->o, f->heads, f->sum);
    for (uint32_t i = 0; i < model->width; i++)
        f->x[i] += f->sum[i];
    normalise(f, &layer->ffn_norm, f->x, f->normed);
    multiply(&layer->gate, f->normed, f->gate);
    multiply(&layer->up, f->normed, f->up);
    for (uint32_t i = 0; i < model->ffn; i++)
        f->gate[i] = f->gate[i] / (1.0f + expf(-f->gate[i])) * f->up[i];
    multiply(&layer->down, f->gate, f->sum);
    for (uint32_t i = 0; i < model->width; i++)
        f->x[i] += f->sum[i];
}

void float_forward_step(struct float_forward *f, uint32_t token, uint32_t position, float *logits)
{
    BASE_ASSERT(position < f->context && token < f->model->vocab);
    memcpy(f->x, f->embedding.data + (size_t)token * f->model->width,
           f->model->width * sizeof *f->x);
    for (uint32_t i = 0; i < f->model->layers; i++)
        run_layer(f, &f->layers[i], position);
    normalise(f, &f->output_norm, f->x, f->normed);
    multiply(&f->output, f->normed, logits);
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
