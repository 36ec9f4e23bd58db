/* Products: a pass's rows quantised into tiles, then panel by panel, each thread its own panels. */
#include "native/internal.h"

#include <string.h>

#include "num/num.h"

/* The root mean square of a row, inverted. */
static float inverse_rms(const struct native *native, const float *x, uint32_t n, uint8_t exponent)
{
    int32_t sums[4];
    native->kernels->squares(x, n, exponent, sums);
    return native_inverse_rms(native, sums, n, num_scale_down(exponent));
}

/* The exponent that attention promised: a bound from the codes of the values each row saw. */
static uint8_t bound_exponent(const struct native *native, const struct native_stage *stage,
                              uint32_t row)
{
    const uint32_t heads = native->graph->kv_heads;
    const uint8_t *codes = native->head_codes + (size_t)row * heads;
    uint8_t largest = 0;
    for (uint32_t i = 0; i < heads; i++)
        largest = BASE_MAX(largest, codes[i]);
    const uint8_t exponent = BASE_MAX(num_exponent(num_code_bound(largest)), NUM_EXPONENT_MIN);
    if (native->options.keep_tensors)
        *native_row(native, stage->exponent, row) = exponent;
    return exponent;
}

/* The exponent of a row of x times gain (or NULL): as it is, or as the residual sum it is is
 * bounded by what was added to what; growth: of the two. */
static uint8_t sum_exponent(const struct native *native, const struct native_stage *stage,
                            uint32_t row, const float *gain, uint32_t growth, uint8_t activations)
{
    const bool bounded = stage->op->kind == GRAPH_NORM_LINEAR && stage->op->input_count == 3;
    const float *x = native_row(native, stage->inputs[bounded ? 1 : 0], row);
    const uint8_t exponent = native->kernels->exponent(x, gain, stage->matrices[0]->inputs);
    return bounded ? num_exponent_grown(exponent, activations, stage->op->growth[growth])
                   : exponent;
}

/* Puts row r into its tile; returns what its sums are multiplied with. *activations: the exponent
 * of the row in the product before, and in this one afterwards. */
static float quantise_row(const struct native *native, const struct native_stage *stage,
                          uint32_t row, uint8_t *activations, uint8_t *out, size_t stride)
{
    const struct native_kernels *kernels = native->kernels;
    const float *x = native_row(native, stage->inputs[0], row);
    const float *gain = stage->op->gain;
    const uint32_t n = stage->matrices[0]->inputs;
    const uint8_t exponent = stage->exponent != NATIVE_NONE
                                 ? bound_exponent(native, stage, row)
                                 : sum_exponent(native, stage, row, gain, 0, *activations);
    kernels->quantise(x, gain, n, exponent, out, stride);
    float factor = num_scale_down(exponent);
    if (gain != NULL)
        factor = factor *
                 inverse_rms(native, x, n, sum_exponent(native, stage, row, NULL, 1, *activations));
    else if (native->options.keep_tensors && stage->op->output_count == 2)
        *native_row(native, stage->op->outputs[1], row) = exponent;
    *activations = exponent;
    return factor;
}

static void quantise_rows(struct native *native, const struct native_stage *stage, uint32_t first,
                          uint32_t end, uint8_t *tiles, float *factors, uint8_t *exponents)
{
    const uint32_t rows = native_rows(native), quads = stage->matrices[0]->quads;
    for (uint32_t row = first; row < end; row++) {
        size_t stride;
        uint8_t *out = native_tile_row(tiles, row, rows, quads, &stride);
        factors[row] = quantise_row(native, stage, row, &exponents[row], out, stride);
    }
}

/* Rows first .. end - 1 are multiplied. */
struct inputs {
    const uint8_t *tiles;
    const float *factors;
    uint32_t first, end;
};

static float *output_row(const struct native *native, const struct native_stage *stage,
                         uint32_t output, uint32_t row)
{
    if (!stage->logits)
        return native_row(native, stage->outputs[output], row);
    if (native->options.keep_tensors)
        return native->kept_logits + (size_t)row * native->graph->vocab;
    return native->wanted_logits[row];
}

/* A panel that is multiplied with later, to be fetched from memory while another is worked on. */
struct ahead {
    const int8_t *data;
    size_t bytes;
};

static struct ahead ahead_of(const struct native_matrix *matrix, uint32_t panel)
{
    const size_t bytes = (size_t)matrix->quads * NATIVE_PANEL_QUAD_BYTES;
    return (struct ahead){matrix->weights + panel * bytes, bytes};
}

/* acc of `tokens` rows with one panel. Each call fetches as much of what comes next as its part in
 * the rows is, so that memory is asked evenly. */
static void multiply(const struct native *native, const struct native_matrix *matrix,
                     uint32_t panel, const struct inputs *inputs, uint32_t row, uint32_t tokens,
                     struct ahead next, float *acc)
{
    const size_t panel_bytes = (size_t)matrix->quads * NATIVE_PANEL_QUAD_BYTES;
    const uint32_t rows = inputs->end - inputs->first, done = row - inputs->first;
    const size_t from = next.bytes * done / rows;
    const size_t bytes = next.bytes * (done + tokens) / rows - from;
    const uint32_t ahead = (uint32_t)((bytes + matrix->quads - 1) / matrix->quads);
    native->kernels->product(
        matrix->weights + panel * panel_bytes, matrix->starts + panel * NATIVE_PANEL, matrix->quads,
        inputs->tiles + (size_t)row * matrix->quads * NATIVE_TOKEN_QUAD_BYTES, tokens,
        next.bytes > 0 ? next.data + from : NULL, BASE_MIN(ahead, NATIVE_PANEL_QUAD_BYTES), acc);
}

static const float *bias_of(const struct native_matrix *matrix, uint32_t first)
{
    return matrix->bias != NULL ? matrix->bias + first : NULL;
}

static void plain_panel(const struct native *native, const struct native_stage *stage,
                        uint32_t output, uint32_t panel, const struct inputs *inputs,
                        struct ahead next, float *acc)
{
    const struct native_matrix *matrix = stage->matrices[output];
    const uint32_t first = panel * NATIVE_PANEL;
    const uint32_t n = BASE_MIN(matrix->outputs - first, NATIVE_PANEL);
    for (uint32_t row = inputs->first; row < inputs->end; row += NATIVE_TILE) {
        const uint32_t tokens = BASE_MIN(inputs->end - row, NATIVE_TILE);
        multiply(native, matrix, panel, inputs, row, tokens, next, acc);
        for (uint32_t m = 0; m < tokens; m++) {
            const float *addend = stage->addend == NATIVE_NONE
                                      ? NULL
                                      : native_row(native, stage->addend, row + m) + first;
            float *out = output_row(native, stage, output, row + m) + first;
            native->kernels->scale(acc + (size_t)m * NATIVE_PANEL, matrix->scales + first,
                                   inputs->factors[row + m], bias_of(matrix, first), addend, n,
                                   out);
            if (stage->cap > 0.0f)
                native->kernels->softcap(out, stage->cap, n, out);
        }
    }
}

static void gated_panel(const struct native *native, const struct native_stage *stage,
                        uint32_t panel, const struct inputs *inputs, const struct ahead next[2],
                        float *acc)
{
    const struct native_kernels *kernels = native->kernels;
    const struct native_matrix *gate = stage->matrices[0], *up = stage->matrices[1];
    void (*join)(const float *, const float *, uint32_t, float *) =
        stage->gate == NATIVE_SWIGLU ? kernels->swiglu : kernels->geglu;
    float *acc_up = acc + NATIVE_TILE * NATIVE_PANEL, *joined = acc_up + NATIVE_TILE * NATIVE_PANEL;
    const uint32_t first = panel * NATIVE_PANEL;
    const uint32_t n = BASE_MIN(gate->outputs - first, NATIVE_PANEL);
    for (uint32_t row = inputs->first; row < inputs->end; row += NATIVE_TILE) {
        const uint32_t tokens = BASE_MIN(inputs->end - row, NATIVE_TILE);
        multiply(native, gate, panel, inputs, row, tokens, next[0], acc);
        multiply(native, up, panel, inputs, row, tokens, next[1], acc_up);
        for (uint32_t m = 0; m < tokens; m++) {
            float *g = acc + (size_t)m * NATIVE_PANEL, *u = acc_up + (size_t)m * NATIVE_PANEL;
            const float factor = inputs->factors[row + m];
            kernels->scale(g, gate->scales + first, factor, bias_of(gate, first), NULL,
                           NATIVE_PANEL, g);
            kernels->scale(u, up->scales + first, factor, bias_of(up, first), NULL, NATIVE_PANEL,
                           u);
        }
        join(acc, acc_up, tokens * NATIVE_PANEL, joined); /* of many at a time */
        for (uint32_t m = 0; m < tokens; m++)
            memcpy(native_row(native, stage->outputs[0], row + m) + first,
                   joined + (size_t)m * NATIVE_PANEL, n * sizeof *joined);
    }
}

/* Panel i of a stage is panel *panel of matrix *output (with a gate: of both). */
static void locate(const struct native_stage *stage, uint32_t i, uint32_t *output, uint32_t *panel)
{
    *output = 0;
    *panel = i;
    while (*panel >= stage->matrices[*output]->panels)
        *panel -= stage->matrices[(*output)++]->panels;
}

/* What the thread multiplies with after item i: the next of its share, or where it begins in the
 * product that follows. */
static void look_ahead(const struct native *native, const struct native_stage *stage, uint32_t i,
                       uint32_t index, struct ahead next[2])
{
    uint32_t output, panel, item = i + 1, first, end;
    next[0] = next[1] = (struct ahead){NULL, 0};
    native_share_of(native, stage, index, &first, &end);
    if (item <= first || item > end)
        return; /* another's */
    if (item == end) {
        stage = stage->product_after;
        native_share_of(native, stage, index, &item, &end);
        if (item == end)
            return;
    }
    locate(stage, item % native_panels(stage), &output, &panel);
    next[0] = ahead_of(stage->matrices[output], panel);
    if (stage->gate != NATIVE_INPUT)
        next[1] = ahead_of(stage->matrices[1], panel);
}

/* Few rows: quantising them twice is cheaper than a barrier. */
static bool each_alone(const struct native *native)
{
    return native_rows(native) <= NATIVE_ALONE_ROWS && !native->options.keep_tensors;
}

void native_multiply(struct native *native, const struct native_stage *stage, uint32_t index,
                     const struct native_run *run)
{
    struct native_worker *worker = &native->workers[index];
    const bool alone = each_alone(native);
    const uint32_t panels = native_panels(stage), block = run->first / panels;
    const struct inputs inputs = {.tiles = alone ? worker->tile : native->activations,
                                  .factors = alone ? worker->factors : native->factors,
                                  .first = native_block_row(native, stage, block),
                                  .end = native_block_row(native, stage, block + 1)};
    BASE_ASSERT(run->end <= (block + 1) * panels);
    for (uint32_t item = run->first; item < run->end; item++) {
        struct ahead next[2] = {{NULL, 0}, {NULL, 0}};
        uint32_t output, panel;
        /* A single row is done so soon that the processor's own prefetching is ahead already. */
        if (inputs.end - inputs.first > 1)
            look_ahead(native, stage, item, index, next);
        locate(stage, item - block * panels, &output, &panel);
        if (stage->gate != NATIVE_INPUT)
            gated_panel(native, stage, panel, &inputs, next, worker->acc);
        else
            plain_panel(native, stage, output, panel, &inputs, next[0], worker->acc);
    }
}

void native_product(struct native *native, const struct native_stage *stage, uint32_t index)
{
    struct native_worker *worker = &native->workers[index];
    const uint32_t rows = native_rows(native), threads = native->options.threads;
    struct native_run run;
    if (each_alone(native)) {
        quantise_rows(native, stage, 0, rows, worker->tile, worker->factors, worker->exponents);
    } else {
        const bool blocks = native_blocks(native, stage) > 1; /* each its own */
        quantise_rows(native, stage,
                      blocks ? native_block_row(native, stage, index)
                             : native_share(rows, index, threads),
                      blocks ? native_block_row(native, stage, index + 1)
                             : native_share(rows, index + 1, threads),
                      native->activations, native->factors, native->exponents);
        native_pool_barrier(native->pool);
    }
    while (native_take(native, stage, index, &run))
        native_multiply(native, stage, index, &run);
}
