/* See binary32.h. Activations are [token][element]; matrices lie transposed, [input][output]. */
#include "graph/binary32.h"

#include "num/num.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Wider vectors where the processor has them; the same operations in the same order. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) &&                             \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define WIDE __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define WIDE
#endif

/* NULL data: the model has no such part. */
struct matrix {
    uint32_t inputs, outputs;
    float *data;
};

struct layer {
    struct matrix q, k, v, o, gate, up, down;
    float *q_bias, *k_bias, *v_bias, *o_bias;
    float *attention_norm, *q_norm, *k_norm, *attention_post_norm, *ffn_norm, *ffn_post_norm;
};

struct binary32_weights {
    const struct model *model;
    struct base_arena arena;
    float *embedding; /* [vocab][width] */
    struct matrix output;
    float *output_norm;
    struct layer *layers;
};

struct binary32 {
    const struct binary32_weights *weights;
    uint32_t context, chunk;
    struct base_arena arena;
    float **keys, **values; /* [layers] of [context][kv_heads * head_dim] */
    float *x, *normed, *q, *mixed, *gate, *up, *sum; /* [chunk][...] */
    float *scores;                                   /* [context] */
};

/* ---- weights --------------------------------------------------------------------------------- */

static size_t padded(size_t floats)
{
    return (floats * sizeof(float) + 63) / 64 * 64 + 64;
}

static size_t tensor_bytes(const struct model_tensor *tensor)
{
    return padded((size_t)tensor->rows * tensor->columns);
}

static size_t weights_bytes(const struct model *model)
{
    size_t bytes = 4096 + model->layers * sizeof(struct layer) + tensor_bytes(&model->embedding) +
                   tensor_bytes(&model->output) + tensor_bytes(&model->output_norm);
    uint32_t widest = BASE_MAX(BASE_MAX(model->width, model->ffn), model->heads * model->head_dim);
    bytes += padded(widest);
    for (uint32_t i = 0; i < model->layers; i++) {
        const struct model_layer *l = &model->layer[i];
        const struct model_tensor *all[] = {
            &l->attention_norm, &l->q,       &l->k,      &l->v,      &l->o,
            &l->q_bias,         &l->k_bias,  &l->v_bias, &l->o_bias, &l->q_norm,
            &l->k_norm,         &l->gate,    &l->up,     &l->down,   &l->attention_post_norm,
            &l->ffn_post_norm,  &l->ffn_norm};
        for (size_t j = 0; j < BASE_COUNT(all); j++)
            bytes += tensor_bytes(all[j]);
    }
    return bytes;
}

struct loading {
    struct binary32_weights *weights;
    float *row; /* the widest */
    struct takt_error *error;
    enum takt_status status; /* the first failure; then nothing more is read */
};

static bool read_row(struct loading *loading, const struct model_tensor *tensor, uint32_t r,
                     float *out)
{
    model_row(tensor, r, out);
    for (uint32_t c = 0; c < tensor->columns; c++)
        if (num_exponent(out[c]) == 255) {
            loading->status =
                base_fail(loading->error, TAKT_FORMAT, "%s: tensor %s, row %u, column %u is %s",
                          loading->weights->model->path, tensor->name, r, c,
                          out[c] != out[c] ? "NaN" : "infinite");
            return false;
        }
    return true;
}

static struct matrix load_matrix(struct loading *loading, const struct model_tensor *tensor)
{
    struct matrix matrix = {tensor->columns, tensor->rows, NULL};
    matrix.data = BASE_NEW(&loading->weights->arena, float, (size_t)tensor->rows * tensor->columns);
    for (uint32_t r = 0; loading->status == TAKT_OK && r < tensor->rows; r++) {
        if (!read_row(loading, tensor, r, loading->row))
            break;
        for (uint32_t c = 0; c < tensor->columns; c++)
            matrix.data[(size_t)c * tensor->rows + r] = loading->row[c];
    }
    return matrix;
}

static float *load_vector(struct loading *loading, const struct model_tensor *tensor, float offset)
{
    if (tensor->data == NULL || loading->status != TAKT_OK)
        return NULL;
    float *data = BASE_NEW(&loading->weights->arena, float, tensor->columns);
    read_row(loading, tensor, 0, data);
    for (uint32_t i = 0; i < tensor->columns; i++)
        data[i] += offset;
    return data;
}

static struct layer load_layer(struct loading *loading, const struct model_layer *from,
                               float offset)
{
    return (struct layer){.q = load_matrix(loading, &from->q),
                          .k = load_matrix(loading, &from->k),
                          .v = load_matrix(loading, &from->v),
                          .o = load_matrix(loading, &from->o),
                          .gate = load_matrix(loading, &from->gate),
                          .up = load_matrix(loading, &from->up),
                          .down = load_matrix(loading, &from->down),
                          .q_bias = load_vector(loading, &from->q_bias, 0.0f),
                          .k_bias = load_vector(loading, &from->k_bias, 0.0f),
                          .v_bias = load_vector(loading, &from->v_bias, 0.0f),
                          .o_bias = load_vector(loading, &from->o_bias, 0.0f),
                          .attention_norm = load_vector(loading, &from->attention_norm, offset),
                          .q_norm = load_vector(loading, &from->q_norm, offset),
                          .k_norm = load_vector(loading, &from->k_norm, offset),
                          .attention_post_norm =
                              load_vector(loading, &from->attention_post_norm, offset),
                          .ffn_norm = load_vector(loading, &from->ffn_norm, offset),
                          .ffn_post_norm = load_vector(loading, &from->ffn_post_norm, offset)};
}

enum takt_status binary32_weights_create(struct binary32_weights **out, const struct model *model,
                                         struct takt_error *error)
{
    *out = NULL;
    struct binary32_weights *w = calloc(1, sizeof *w);
    if (w == NULL)
        return base_fail(error, TAKT_MEMORY, "%s: no memory for it in binary32", model->path);
    w->model = model;
    struct loading loading = {.weights = w, .error = error};
    loading.status = base_arena_create(&w->arena, weights_bytes(model), error);
    if (loading.status == TAKT_OK) {
        uint32_t widest =
            BASE_MAX(BASE_MAX(model->width, model->ffn), model->heads * model->head_dim);
        loading.row = BASE_NEW(&w->arena, float, widest);
        w->embedding = BASE_NEW(&w->arena, float, (size_t)model->vocab * model->width);
        for (uint32_t r = 0; loading.status == TAKT_OK && r < model->vocab; r++)
            read_row(&loading, &model->embedding, r, w->embedding + (size_t)r * model->width);
        w->output = load_matrix(&loading, &model->output);
        w->output_norm = load_vector(&loading, &model->output_norm, model->gain_offset);
        w->layers = BASE_NEW(&w->arena, struct layer, model->layers);
    }
    for (uint32_t i = 0; loading.status == TAKT_OK && i < model->layers; i++)
        w->layers[i] = load_layer(&loading, &model->layer[i], model->gain_offset);
    if (loading.status != TAKT_OK) {
        binary32_weights_destroy(w);
        return loading.status;
    }
    *out = w;
    return TAKT_OK;
}

void binary32_weights_destroy(struct binary32_weights *weights)
{
    if (weights == NULL)
        return;
    base_arena_destroy(&weights->arena);
    free(weights);
}

/* ---- a timeline ------------------------------------------------------------------------------ */

struct binary32 *binary32_create(const struct binary32_weights *weights, uint32_t context,
                                 uint32_t chunk)
{
    const struct model *model = weights->model;
    size_t q = (size_t)model->heads * model->head_dim,
           kv = (size_t)model->kv_heads * model->head_dim;
    size_t a_token = 3 * (size_t)model->width + 2 * q + 2 * (size_t)model->ffn;
    size_t bytes = 4096 + chunk * padded(a_token) + padded(context) +
                   model->layers * (2 * padded(context * kv) + 2 * sizeof(float *));
    struct binary32 *s = calloc(1, sizeof *s);
    if (s == NULL || base_arena_create(&s->arena, bytes, NULL) != TAKT_OK) {
        free(s);
        return NULL;
    }
    s->weights = weights;
    s->context = context;
    s->chunk = chunk;
    s->keys = BASE_NEW(&s->arena, float *, model->layers);
    s->values = BASE_NEW(&s->arena, float *, model->layers);
    for (uint32_t i = 0; i < model->layers; i++) {
        s->keys[i] = BASE_NEW(&s->arena, float, context *kv);
        s->values[i] = BASE_NEW(&s->arena, float, context *kv);
    }
    s->x = BASE_NEW(&s->arena, float, (size_t)chunk * model->width);
    s->normed = BASE_NEW(&s->arena, float, (size_t)chunk * model->width);
    s->sum = BASE_NEW(&s->arena, float, (size_t)chunk * model->width);
    s->q = BASE_NEW(&s->arena, float, chunk *q);
    s->mixed = BASE_NEW(&s->arena, float, chunk *q);
    s->gate = BASE_NEW(&s->arena, float, (size_t)chunk * model->ffn);
    s->up = BASE_NEW(&s->arena, float, (size_t)chunk * model->ffn);
    s->scores = BASE_NEW(&s->arena, float, context);
    return s;
}

void binary32_destroy(struct binary32 *state)
{
    if (state == NULL)
        return;
    base_arena_destroy(&state->arena);
    free(state);
}

/* ---- operations ------------------------------------------------------------------------------ */

enum { TOKENS = 4, COLUMNS = 32 };

/* Sums of TOKENS rows over COLUMNS outputs, in registers; the sum over k in its order. */
WIDE static void multiply_block(const float *w, size_t stride, const float *x, size_t x_stride,
                                uint32_t inputs, float out[TOKENS][COLUMNS])
{
    float sum[TOKENS][COLUMNS] = {{0}};
    for (uint32_t k = 0; k < inputs; k++)
        for (uint32_t t = 0; t < TOKENS; t++)
            for (uint32_t n = 0; n < COLUMNS; n++)
                sum[t][n] += x[t * x_stride + k] * w[k * stride + n];
    memcpy(out, sum, sizeof sum);
}

static void multiply_edge(const struct matrix *m, const float *x, uint32_t first, uint32_t end,
                          float *y)
{
    for (uint32_t n = first; n < end; n++)
        y[n] = 0.0f;
    for (uint32_t k = 0; k < m->inputs; k++)
        for (uint32_t n = first; n < end; n++)
            y[n] += x[k] * m->data[(size_t)k * m->outputs + n];
}

/* y[count][outputs] = x[count][inputs] . m + bias */
static void multiply(const struct matrix *m, const float *bias, const float *x, uint32_t count,
                     float *y)
{
    uint32_t whole = m->outputs / COLUMNS * COLUMNS, tokens = count / TOKENS * TOKENS;
    for (uint32_t n = 0; n < whole; n += COLUMNS)
        for (uint32_t t = 0; t < tokens; t += TOKENS) {
            float block[TOKENS][COLUMNS];
            multiply_block(m->data + n, m->outputs, x + (size_t)t * m->inputs, m->inputs, m->inputs,
                           block);
            for (uint32_t i = 0; i < TOKENS; i++)
                memcpy(y + (size_t)(t + i) * m->outputs + n, block[i], sizeof block[i]);
        }
    for (uint32_t t = 0; t < count; t++)
        multiply_edge(m, x + (size_t)t * m->inputs, t < tokens ? whole : 0, m->outputs,
                      y + (size_t)t * m->outputs);
    for (uint32_t t = 0; bias != NULL && t < count; t++)
        for (uint32_t n = 0; n < m->outputs; n++)
            y[(size_t)t * m->outputs + n] += bias[n];
}

/* `parts` parts of n values each; gain NULL = nothing to do; in place or not. */
static void normalise(const struct model *model, const float *gain, uint32_t n, size_t parts,
                      const float *x, float *y)
{
    for (size_t p = 0; gain != NULL && p < parts; p++, x += n, y += n) {
        float sum = 0.0f;
        for (uint32_t i = 0; i < n; i++)
            sum += x[i] * x[i];
        float factor = 1.0f / sqrtf(sum / (float)n + model->norm_epsilon);
        for (uint32_t i = 0; i < n; i++)
            y[i] = x[i] * factor * gain[i];
    }
}

static void rotate(const struct model *model, const struct model_rope *rope, uint32_t heads,
                   uint32_t start, uint32_t count, float *x)
{
    uint32_t half = rope->rotary / 2;
    size_t stride = (size_t)heads * model->head_dim;
    for (uint32_t i = 0; i < half; i++) {
        double divisor = rope->scale;
        if (rope->factors != NULL)
            divisor *= (double)rope->factors[i];
        size_t a = model->rope_halves ? i : 2 * i, b = model->rope_halves ? i + half : 2 * i + 1;
        for (uint32_t t = 0; t < count; t++) {
            float c, s;
            num_rope_scaled(rope->base, rope->rotary, i, divisor, rope->magnitude, start + t, &c,
                            &s);
            for (uint32_t h = 0; h < heads; h++) {
                float *head = x + t * stride + (size_t)h * model->head_dim;
                float first = head[a], second = head[b];
                head[a] = first * c - second * s;
                head[b] = second * c + first * s;
            }
        }
    }
}

static float capped(float x, float cap)
{
    return cap > 0.0f ? cap * num_tanh(x / cap) : x;
}

/* One query head at `position`, over positions first..position. */
static void attend(struct binary32 *s, const float *q, const float *k, const float *v,
                   uint32_t first, uint32_t position, float *out)
{
    const struct model *model = s->weights->model;
    uint32_t n = model->head_dim;
    size_t stride = (size_t)model->kv_heads * n;
    float largest = -INFINITY, total = 0.0f;
    for (uint32_t p = first; p <= position; p++) {
        float score = 0.0f;
        for (uint32_t d = 0; d < n; d++)
            score += q[d] * k[p * stride + d];
        s->scores[p] = capped(score * model->score_scale, model->score_cap);
        largest = BASE_MAX(largest, s->scores[p]);
    }
    memset(out, 0, n * sizeof *out);
    for (uint32_t p = first; p <= position; p++) {
        float weight = num_exp(s->scores[p] - largest);
        total += weight;
        for (uint32_t d = 0; d < n; d++)
            out[d] += weight * v[p * stride + d];
    }
    for (uint32_t d = 0; d < n; d++)
        out[d] /= total;
}

static void add_sum(struct binary32 *s, const float *norm, uint32_t count)
{
    const struct model *model = s->weights->model;
    normalise(model, norm, model->width, count, s->sum, s->sum);
    for (size_t i = 0; i < (size_t)count * model->width; i++)
        s->x[i] += s->sum[i];
}

static void attention_block(struct binary32 *s, uint32_t index, uint32_t start, uint32_t count)
{
    const struct model *model = s->weights->model;
    const struct model_layer *from = &model->layer[index];
    const struct model_rope *rope = &model->ropes[from->rope];
    const struct layer *l = &s->weights->layers[index];
    uint32_t group = model->heads / model->kv_heads, n = model->head_dim;
    size_t kv = (size_t)model->kv_heads * n;
    float *k = s->keys[index], *v = s->values[index];
    normalise(model, l->attention_norm, model->width, count, s->x, s->normed);
    multiply(&l->q, l->q_bias, s->normed, count, s->q);
    multiply(&l->k, l->k_bias, s->normed, count, k + start * kv);
    multiply(&l->v, l->v_bias, s->normed, count, v + start * kv);
    normalise(model, l->q_norm, n, (size_t)count * model->heads, s->q, s->q);
    normalise(model, l->k_norm, n, (size_t)count * model->kv_heads, k + start * kv, k + start * kv);
    rotate(model, rope, model->heads, start, count, s->q);
    rotate(model, rope, model->kv_heads, start, count, k + start * kv);
    for (uint32_t t = 0; t < count; t++) {
        uint32_t position = start + t;
        uint32_t first =
            from->window != 0 && position >= from->window ? position + 1 - from->window : 0;
        for (uint32_t h = 0; h < model->heads; h++) {
            size_t at = ((size_t)t * model->heads + h) * n, head = (size_t)(h / group) * n;
            attend(s, s->q + at, k + head, v + head, first, position, s->mixed + at);
        }
    }
    multiply(&l->o, l->o_bias, s->mixed, count, s->sum);
    add_sum(s, l->attention_post_norm, count);
}

static float gate_function(const struct model *model, float x)
{
    if (model->gelu)
        return 0.5f * x * (1.0f + num_tanh(0.7978845608f * (x + 0.044715f * x * x * x)));
    return x / (1.0f + num_exp(-x));
}

static void ffn_block(struct binary32 *s, uint32_t index, uint32_t count)
{
    const struct model *model = s->weights->model;
    const struct layer *l = &s->weights->layers[index];
    normalise(model, l->ffn_norm, model->width, count, s->x, s->normed);
    multiply(&l->gate, NULL, s->normed, count, s->gate);
    multiply(&l->up, NULL, s->normed, count, s->up);
    for (size_t i = 0; i < (size_t)count * model->ffn; i++)
        s->gate[i] = gate_function(model, s->gate[i]) * s->up[i];
    multiply(&l->down, NULL, s->gate, count, s->sum);
    add_sum(s, l->ffn_post_norm, count);
}

void binary32_step(struct binary32 *s, const uint32_t *tokens, uint32_t count, uint32_t start,
                   float *logits)
{
    const struct model *model = s->weights->model;
    BASE_ASSERT(count > 0 && count <= s->chunk && start + count <= s->context);
    for (uint32_t t = 0; t < count; t++) {
        BASE_ASSERT(tokens[t] < model->vocab);
        const float *row = s->weights->embedding + (size_t)tokens[t] * model->width;
        for (uint32_t i = 0; i < model->width; i++)
            s->x[(size_t)t * model->width + i] = row[i] * model->embedding_scale;
    }
    for (uint32_t i = 0; i < model->layers; i++) {
        attention_block(s, i, start, count);
        ffn_block(s, i, count);
    }
    normalise(model, s->weights->output_norm, model->width, count, s->x, s->normed);
    multiply(&s->weights->output, NULL, s->normed, count, logits);
    if (model->logit_cap > 0.0f)
        for (size_t i = 0; i < (size_t)count * model->vocab; i++)
            logits[i] = capped(logits[i], model->logit_cap);
}
