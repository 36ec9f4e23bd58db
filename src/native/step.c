/* A pass: all stages, on all threads. */
#include "native/internal.h"

#include <math.h>
#include <string.h>

#include "num/num.h"

/* ---- stages without a product ---------------------------------------------------------------- */

static void embed_rows(struct native *native, const struct native_stage *stage, uint32_t first,
                       uint32_t end)
{
    for (uint32_t row = first; row < end; row++)
        graph_embedding(native->graph, native->row_tokens[row],
                        native_row(native, stage->outputs[0], row));
}

static void rope_row(const struct native *native, const struct native_stage *stage, uint32_t row)
{
    const uint32_t n = native->graph->head_dim;
    const size_t at = native_rope_at(native, stage->op->rope, native->row_positions[row]);
    const float *x = native_row(native, stage->inputs[0], row);
    float *out = native_row(native, stage->outputs[0], row);
    for (uint32_t head = 0; head < stage->op->heads; head++)
        native->kernels->rope(x + (size_t)head * n, native->cosines + at, native->sines + at, n,
                              out + (size_t)head * n);
}

float native_inverse_rms(const struct native *native, const int32_t sums[4], uint32_t n, float down)
{
    float t = fmaf(256.0f, (float)sums[3], (float)sums[2]);
    t = fmaf(256.0f, t, (float)sums[1]);
    t = fmaf(256.0f, t, (float)sums[0]);
    t = t * down;
    t = t * down;
    const float reciprocal = 1.0f / (float)n;
    const float mean = t * reciprocal;
    const float biased = mean + native->graph->norm_epsilon;
    return num_rsqrt(biased);
}

/* Each part by its own root mean square; the integers share the row's exponent. */
static void norm_row(const struct native *native, const struct native_stage *stage, const float *x,
                     uint32_t width, float *out)
{
    const struct native_kernels *kernels = native->kernels;
    const uint32_t n = width / stage->op->heads;
    const uint8_t exponent = kernels->exponent(x, NULL, width);
    for (uint32_t from = 0; from < width; from += n) {
        int32_t sums[4];
        kernels->squares(x + from, n, exponent, sums);
        kernels->norm(x + from, native_inverse_rms(native, sums, n, num_scale_down(exponent)),
                      stage->op->gain, n, out + from);
    }
}

static void elementwise_rows(const struct native *native, const struct native_stage *stage,
                             uint32_t first, uint32_t end)
{
    const uint32_t width = native->graph->tensors[stage->outputs[0]].width;
    for (uint32_t row = first; row < end; row++) {
        const float *x = native_row(native, stage->inputs[0], row);
        float *out = native_row(native, stage->outputs[0], row);
        switch (stage->kind) {
        case NATIVE_ROPE: rope_row(native, stage, row); break;
        case NATIVE_NORM: norm_row(native, stage, x, width, out); break;
        case NATIVE_SOFTCAP: native->kernels->softcap(x, stage->op->cap, width, out); break;
        case NATIVE_GEGLU:
            native->kernels->geglu(x, native_row(native, stage->inputs[1], row), width, out);
            break;
        case NATIVE_SWIGLU:
            native->kernels->swiglu(x, native_row(native, stage->inputs[1], row), width, out);
            break;
        case NATIVE_ADD:
            native->kernels->add(x, native_row(native, stage->inputs[1], row), width, out);
            break;
        default: BASE_ASSERT(false);
        }
    }
}

/* What is read after the narrow stage moves to where the wanted rows are now. */
static void carry_rows(const struct native *native)
{
    for (uint32_t i = 0; i < native->carry_count; i++) {
        const uint32_t tensor = native->carry[i];
        for (uint32_t j = 0; j < native->wanted; j++)
            if (native->wanted_rows[j] != j)
                memcpy(native_row(native, tensor, j),
                       native_row(native, tensor, native->wanted_rows[j]),
                       native->graph->tensors[tensor].width * sizeof(float));
    }
}

/* At the end of a stage: waits for the others, or helps them when they are far behind. */
static void meet(struct native *native, const struct native_stage *stage, uint32_t index)
{
    struct native_run run;
    if (native_pool_meet(native->pool))
        return;
    while (native_help(native, stage, index, &run))
        if (stage->kind == NATIVE_PRODUCT)
            native_multiply(native, stage, index, &run);
        else
            native_attend(native, stage, index, &run);
    native_pool_barrier(native->pool);
}

static void run_stage(struct native *native, const struct native_stage *stage, uint32_t index)
{
    const uint32_t rows = native_rows(native), threads = native->options.threads;
    const uint32_t first = native_share(rows, index, threads);
    const uint32_t end = native_share(rows, index + 1, threads);
    switch (stage->kind) {
    case NATIVE_INPUT: embed_rows(native, stage, first, end); break;
    case NATIVE_PRODUCT: native_product(native, stage, index); break;
    case NATIVE_ATTENTION: native_attention(native, stage, index); break;
    default: elementwise_rows(native, stage, first, end); break;
    }
    if (stage + 1 < native->stages + native->stage_count && stage[1].kind == NATIVE_ATTENTION)
        native_expect_attention(native, stage + 1, index);
    if (stage->divided_after != NULL)
        native_divide(native, stage->divided_after, index);
    if (stage->kind == NATIVE_PRODUCT || stage->kind == NATIVE_ATTENTION)
        meet(native, stage, index);
    else
        native_pool_barrier(native->pool);
}

static void run_pass(void *user, uint32_t index)
{
    struct native *native = user;
    for (uint32_t i = 0; i < native->stage_count; i++) {
        const struct native_stage *stage = &native->stages[i];
        run_stage(native, stage, index);
        if (!stage->narrow)
            continue;
        if (native->wanted == 0)
            return;
        if (index == 0) {
            carry_rows(native);
            native->narrowed = true;
        }
        native_pool_barrier(native->pool);
    }
}

/* ---- a pass ---------------------------------------------------------------------------------- */

/* Rotary angles are made when a position is first reached. */
static void fill_rope(struct native *native, uint32_t positions)
{
    const struct graph *graph = native->graph;
    for (; native->rope_filled < positions; native->rope_filled++)
        for (uint32_t table = 0; table < graph->rope_count; table++) {
            float *cosines = native->cosines + native_rope_at(native, table, native->rope_filled);
            float *sines = native->sines + native_rope_at(native, table, native->rope_filled);
            for (uint32_t pair = 0; pair < graph->head_dim / 2; pair++) {
                float c, s;
                graph_rope(graph, table, pair, native->rope_filled, &c, &s);
                cosines[2 * pair] = cosines[2 * pair + 1] = c;
                sines[2 * pair] = -s;
                sines[2 * pair + 1] = s;
            }
        }
}

static void add_rows(struct native *native, uint32_t item_index)
{
    const struct native_item *item = &native->items[item_index];
    for (uint32_t i = 0; i < item->count; i++) {
        const uint32_t row = native->rows++;
        native->row_tokens[row] = item->tokens[i];
        native->row_positions[row] = item->start + i;
        native->row_items[row] = item_index;
        native->row_outputs[row] = NATIVE_NONE;
        if (item->logits && (item->all || i == item->count - 1)) {
            native->row_outputs[row] = native->wanted;
            native->wanted_rows[native->wanted] = row;
            native->wanted_logits[native->wanted++] =
                item->logits + (item->all ? (size_t)i * native->graph->vocab : 0);
        }
    }
    fill_rope(native, item->start + item->count);
}

static void check_items(const struct native *native, const struct native_item *items,
                        uint32_t count)
{
    const struct native_options *options = &native->options;
    uint32_t rows = 0;
    for (uint32_t i = 0; i < count; i++) {
        BASE_ASSERT(items[i].slot < options->sessions && items[i].count > 0);
        BASE_ASSERT(items[i].start < options->context);
        BASE_ASSERT(items[i].count <= options->context - items[i].start);
        BASE_ASSERT(items[i].count <= options->batch - rows);
        rows += items[i].count;
        for (uint32_t j = 0; j < items[i].count; j++)
            BASE_ASSERT(items[i].tokens[j] < native->graph->vocab);
        for (uint32_t j = 0; j < i; j++)
            BASE_ASSERT(items[j].slot != items[i].slot);
    }
}

void native_step(struct native *native, const struct native_item *items, uint32_t count)
{
    check_items(native, items, count);
    native->items = items;
    native->item_count = count;
    native->rows = native->wanted = 0;
    native->narrowed = false;
    for (uint32_t i = 0; i < count; i++)
        add_rows(native, i);
    if (native->rows == 0)
        return;
    native_units(native);
    for (uint32_t i = 0; i < native->options.threads; i++)
        native_divide(native, native->first_divided, i);
    native_pool_run(native->pool, run_pass, native);
    for (uint32_t i = 0; native->options.keep_tensors && i < native->wanted; i++)
        memcpy(native->wanted_logits[i],
               native->kept_logits + (size_t)native->wanted_rows[i] * native->graph->vocab,
               native->graph->vocab * sizeof(float));
}

/* ---- prefixes -------------------------------------------------------------------------------- */

static void copy_cache(const struct native *native, const struct native_cache *to,
                       const struct native_cache *from, uint32_t length)
{
    const size_t head_dim = native->graph->head_dim, quads = (head_dim + 3) / 4;
    const size_t context = native_up(native->options.context, NATIVE_PANEL);
    const size_t panels = native_up(length, NATIVE_PANEL);
    memcpy(to->k, from->k, panels * 4 * quads);
    for (size_t d = 0; d < head_dim; d += NATIVE_PANEL)
        memcpy(to->v + d * context, from->v + d * context, panels * NATIVE_PANEL);
    memcpy(to->k_starts, from->k_starts, length * sizeof *to->k_starts);
    memcpy(to->k_scales, from->k_scales, length * sizeof *to->k_scales);
    memcpy(to->v_scales, from->v_scales, length * sizeof *to->v_scales);
    memcpy(to->v_codes, from->v_codes, length);
    memcpy(to->v_most, from->v_most, length);
}

void native_copy(struct native *native, uint32_t to, uint32_t from, uint32_t length)
{
    BASE_ASSERT(to != from && to < native->options.sessions && from < native->options.sessions);
    BASE_ASSERT(length <= native->options.context);
    for (uint32_t layer = 0; layer < native->graph->layers; layer++)
        for (uint32_t head = 0; head < native->graph->kv_heads; head++) {
            const struct native_cache a = native_cache_at(native, to, layer, head);
            const struct native_cache b = native_cache_at(native, from, layer, head);
            copy_cache(native, &a, &b, length);
        }
}

void native_together(struct native *native, void (*function)(void *user, uint32_t index),
                     void *user)
{
    native_pool_run(native->pool, function, user);
}
