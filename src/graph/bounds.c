/*
 * Bounds of residual sums and of queries, from the weights: everything in binary64, in the order of
 * the elements, so that it is the same everywhere.
 */
#include "graph/bounds.h"

#include <math.h>
#include <stdlib.h>

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

/* How many times the largest activation an output of the matrix is taken to be, times |factor[n]|
 * (NULL: 1), as a power of two. */
static int32_t matrix_growth(const struct graph_matrix *matrix, const float *factor)
{
    double largest = 0.0;
    for (uint32_t n = 0; n < matrix->outputs; n++) {
        const int8_t *weights = matrix->weights + (size_t)n * matrix->inputs;
        uint32_t sum = 0;
        uint64_t squares = 0;
        for (uint32_t k = 0; k < matrix->inputs; k++) {
            sum += (uint32_t)abs(weights[k]);
            squares += (uint32_t)(weights[k] * weights[k]);
        }
        double length = LENGTHS_MAX * sqrt((double)squares);
        double magnitude = length < (double)sum ? length : (double)sum;
        magnitude = magnitude * (double)matrix->scales[n];
        magnitude = factor != NULL ? magnitude * fabs((double)factor[n]) : magnitude;
        largest = magnitude > largest ? magnitude : largest;
    }
    return num_growth(largest);
}

static void bound_sum(const struct graph *graph, struct graph_op *op)
{
    const struct graph_op *sum = maker_of(graph, op->inputs[0]);
    const struct graph_op *product = maker_of(graph, sum->inputs[1]);
    BASE_ASSERT(sum->kind == GRAPH_ADD && product->kind == GRAPH_LINEAR);
    op->growth[0] = matrix_growth(product->matrices[0], op->gain);
    op->growth[1] = matrix_growth(product->matrices[0], NULL);
}

/* ---- queries --------------------------------------------------------------------------------- */

/* The square of the largest that output n can be when the mean square of the input is one: by
 * Cauchy and Schwarz, inputs * sum of (w * gain)^2. */
static double channel_power(const struct graph_op *product, uint32_t n)
{
    const struct graph_matrix *matrix = product->matrices[0];
    const int8_t *weights = matrix->weights + (size_t)n * matrix->inputs;
    double sum = 0.0;
    for (uint32_t k = 0; k < matrix->inputs; k++) {
        double w = (double)weights[k] * (double)product->gain[k];
        sum += w * w;
    }
    double scale = (double)matrix->scales[n];
    return (double)matrix->inputs * (sum * (scale * scale));
}

/* The largest length of a pair of neighbours n, n + 1: rotary embedding turns it, no more. */
static double pair_bound(const struct graph *graph, const struct graph_op *maker, uint32_t n)
{
    if (maker->kind == GRAPH_NORM) { /* the mean square of a head is one, times its gain */
        const float *gain = maker->gain + n % graph->head_dim;
        double a = fabs((double)gain[0]), b = fabs((double)gain[1]);
        return sqrt((double)graph->head_dim) * (a > b ? a : b);
    }
    double bound = sqrt(channel_power(maker, n) + channel_power(maker, n + 1));
    const float *bias = maker->matrices[0]->bias;
    if (bias != NULL) {
        double a = (double)bias[n], b = (double)bias[n + 1];
        bound = bound + sqrt(a * a + b * b);
    }
    return bound;
}

/* A 64th more covers the roundings on the way. */
static void bound_queries(const struct graph *graph, struct graph_op *op, struct base_arena *arena)
{
    const struct graph_op *rope = maker_of(graph, op->inputs[0]);
    const struct graph_op *maker = maker_of(graph, rope->inputs[0]);
    BASE_ASSERT(rope->kind == GRAPH_ROPE &&
                (maker->kind == GRAPH_NORM || maker->kind == GRAPH_NORM_LINEAR));
    double magnitude = graph->ropes[rope->rope].magnitude;
    magnitude = magnitude > 1.0 ? magnitude : 1.0;
    uint8_t *exponents = BASE_NEW(arena, uint8_t, op->heads);
    for (uint32_t head = 0; head < op->heads; head++) {
        double largest = 0.0;
        for (uint32_t i = 0; i < graph->head_dim; i += 2) {
            double bound = pair_bound(graph, maker, head * graph->head_dim + i);
            largest = bound > largest ? bound : largest;
        }
        exponents[head] = num_exponent_of_bound(largest * magnitude * (1.0 + 1.0 / 64.0));
    }
    op->head_exponents = exponents;
}

void bounds_build(struct graph *graph, struct base_arena *arena)
{
    for (uint32_t i = 0; i < graph->op_count; i++) {
        struct graph_op *op = &graph->ops[i];
        if (op->kind == GRAPH_NORM_LINEAR && op->input_count == 3)
            bound_sum(graph, op);
        else if (op->kind == GRAPH_ATTENTION)
            bound_queries(graph, op, arena);
    }
}
