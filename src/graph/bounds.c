/*
 * Bounds of residual sums and of queries, from the weights: everything in binary64, in the order of
 * the elements, so that it is the same everywhere.
 */
#include "graph/bounds.h"

#include <math.h>

#include "num/num.h"

static const struct graph_op *maker_of(const struct graph *graph, uint32_t tensor)
{
    for (uint32_t i = 0; i < graph->op_count; i++)
        for (uint32_t j = 0; j < graph->ops[i].output_count; j++)
            if (graph->ops[i].outputs[j] == tensor)
                return &graph->ops[i];
    base_assert_failed("a tensor that nothing makes", __FILE__, __LINE__);
}

/* ---- residual sums --------------------------------------------------------------------------- */

/* An output is at most the sum of its channel's magnitudes times the largest activation, which
 * takes every activation at its largest and with the channel's signs. This many lengths of the
 * channel are what activations come to that have anything random about them: beyond, they saturate.
 */
#define LENGTHS_MAX 8.0

/* Of a channel: how many times the largest activation its output is taken to be. */
static double channel_magnitude(const int8_t *weights, uint32_t inputs, float scale)
{
    uint32_t sum = 0, squares = 0; /* at most 66,311 times 127 squared, below 2^31 */
    for (uint32_t k = 0; k < inputs; k++) {
        const int32_t w = weights[k];
        sum += (uint32_t)(w < 0 ? -w : w);
        squares += (uint32_t)(w * w);
    }
    double length = LENGTHS_MAX * sqrt((double)squares);
    double magnitude = length < (double)sum ? length : (double)sum;
    return magnitude * (double)scale;
}

/* The largest of the matrix, times |factor[n]| (NULL: 1), as a power of two. */
static int32_t matrix_growth(const struct graph_matrix *matrix, const float *factor)
{
    double largest = 0.0;
    for (uint32_t n = 0; n < matrix->outputs; n++) {
        double magnitude = matrix->magnitudes[n];
        magnitude = factor != NULL ? magnitude * fabs((double)factor[n]) : magnitude;
        largest = magnitude > largest ? magnitude : largest;
    }
    return num_growth(largest);
}

static const struct graph_matrix *sum_matrix(const struct graph *graph, const struct graph_op *op)
{
    const struct graph_op *sum = maker_of(graph, op->inputs[0]);
    const struct graph_op *product = maker_of(graph, sum->inputs[1]);
    BASE_ASSERT(sum->kind == GRAPH_ADD && product->kind == GRAPH_LINEAR);
    return product->matrices[0];
}

static bool is_bounded_sum(const struct graph_op *op)
{
    return op->kind == GRAPH_NORM_LINEAR && op->input_count == 3;
}

/* ---- queries --------------------------------------------------------------------------------- */

/* Channels whose sums are made side by side: one alone would wait for each of its additions. */
#define CHANNELS 8u

/* The square of the largest that an output can be when the mean square of the input is one: by
 * Cauchy and Schwarz, inputs * sum of (w * gain)^2, in the order of the inputs. */
static void channel_powers(const struct graph_matrix *matrix, uint32_t count,
                           const int8_t *const rows[CHANNELS], const float *scales, double *powers)
{
    double sums[CHANNELS] = {0.0};
    for (uint32_t k = 0; k < matrix->inputs; k++) {
        const double gain = (double)matrix->power_gain[k];
        for (uint32_t i = 0; i < CHANNELS; i++) {
            const double w = (double)rows[i][k] * gain;
            sums[i] += w * w;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        const double scale = (double)scales[i];
        powers[i] = (double)matrix->inputs * (sums[i] * (scale * scale));
    }
}

void graph_channels(const struct graph_matrix *matrix, uint32_t first, uint32_t count,
                    const int8_t *rows, size_t stride, const float *scales)
{
    for (uint32_t i = 0; matrix->magnitudes != NULL && i < count; i++)
        matrix->magnitudes[first + i] =
            channel_magnitude(rows + i * stride, matrix->inputs, scales[i]);
    for (uint32_t i = 0; matrix->powers != NULL && i < count; i += CHANNELS) {
        const uint32_t used = BASE_MIN(count - i, CHANNELS);
        const int8_t *channels[CHANNELS];
        for (uint32_t j = 0; j < CHANNELS; j++)
            channels[j] = rows + (i + BASE_MIN(j, used - 1)) * stride;
        channel_powers(matrix, used, channels, scales + i, matrix->powers + first + i);
    }
}

/* The largest length of a pair of neighbours n, n + 1: rotary embedding turns it, no more. */
static double pair_bound(const struct graph *graph, const struct graph_op *maker, uint32_t n)
{
    if (maker->kind == GRAPH_NORM) { /* the mean square of a head is one, times its gain */
        const float *gain = maker->gain + n % graph->head_dim;
        double a = fabs((double)gain[0]), b = fabs((double)gain[1]);
        return sqrt((double)graph->head_dim) * (a > b ? a : b);
    }
    const struct graph_matrix *matrix = maker->matrices[0];
    double bound = sqrt(matrix->powers[n] + matrix->powers[n + 1]);
    const float *bias = matrix->bias;
    if (bias != NULL) {
        double a = (double)bias[n], b = (double)bias[n + 1];
        bound = bound + sqrt(a * a + b * b);
    }
    return bound;
}

/* Where the queries of an attention come from: a product, or the norm of each head after it. */
static const struct graph_op *query_maker(const struct graph *graph, const struct graph_op *op,
                                          uint32_t *table)
{
    const struct graph_op *rope = maker_of(graph, op->inputs[0]);
    const struct graph_op *maker = maker_of(graph, rope->inputs[0]);
    BASE_ASSERT(rope->kind == GRAPH_ROPE &&
                (maker->kind == GRAPH_NORM || maker->kind == GRAPH_NORM_LINEAR));
    *table = rope->rope;
    return maker;
}

/* A 64th more covers the roundings on the way. */
static void bound_queries(const struct graph *graph, const struct graph_op *op)
{
    uint32_t table;
    const struct graph_op *maker = query_maker(graph, op, &table);
    double magnitude = graph->ropes[table].magnitude;
    magnitude = magnitude > 1.0 ? magnitude : 1.0;
    for (uint32_t head = 0; head < op->heads; head++) {
        double largest = 0.0;
        for (uint32_t i = 0; i < graph->head_dim; i += 2) {
            double bound = pair_bound(graph, maker, head * graph->head_dim + i);
            largest = bound > largest ? bound : largest;
        }
        op->head_exponents[head] = num_exponent_of_bound(largest * magnitude * (1.0 + 1.0 / 64.0));
    }
}

/* ---- all ------------------------------------------------------------------------------------- */

static struct graph_matrix *own_matrix(const struct graph *graph, const struct graph_matrix *matrix)
{
    return &graph->matrices[matrix - graph->matrices];
}

void bounds_list(const struct graph *graph)
{
    for (uint32_t i = 0; i < graph->op_count; i++) {
        struct graph_op *op = &graph->ops[i];
        if (is_bounded_sum(op)) {
            struct graph_matrix *matrix = own_matrix(graph, sum_matrix(graph, op));
            matrix->magnitudes = BASE_NEW(graph->arena, double, matrix->outputs);
        }
        if (op->kind != GRAPH_ATTENTION)
            continue;
        op->head_exponents = BASE_NEW(graph->arena, uint8_t, op->heads);
        uint32_t table;
        const struct graph_op *maker = query_maker(graph, op, &table);
        if (maker->kind == GRAPH_NORM)
            continue;
        struct graph_matrix *matrix = own_matrix(graph, maker->matrices[0]);
        matrix->powers = BASE_NEW(graph->arena, double, matrix->outputs);
        matrix->power_gain = maker->gain;
    }
}

/* Two matrices a layer have magnitudes, one has powers. */
size_t bounds_arena_bytes(const struct model *model)
{
    const size_t most = BASE_MAX(model->width, model->heads * model->head_dim);
    return model->layers * (3 * (most * sizeof(double) + 64) + model->heads + 64);
}

void graph_bounds(const struct graph *graph)
{
    for (uint32_t i = 0; i < graph->op_count; i++) {
        struct graph_op *op = &graph->ops[i];
        if (is_bounded_sum(op)) {
            const struct graph_matrix *matrix = sum_matrix(graph, op);
            op->growth[0] = matrix_growth(matrix, op->gain);
            op->growth[1] = matrix_growth(matrix, NULL);
        } else if (op->kind == GRAPH_ATTENTION)
            bound_queries(graph, op);
    }
    *graph->bounded = true;
}
