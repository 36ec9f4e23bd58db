/*
 * The target `both`: every step on the chip and on this CPU. At the first bit that differs the
 * session ends with a fault that says which; the reference, run over the same tokens, is the third
 * witness, and names the first tensor where the CPU leaves it.
 */
#include "run/run.h"

#include <stdlib.h>
#include <string.h>

enum takt_status run_both_open(struct takt_session *session, struct takt_error *error)
{
    const struct takt_engine *engine = session->engine;
    session->second_logits = calloc((size_t)engine->chunk * engine->graph.vocab, sizeof(float));
    session->first_logits = calloc((size_t)engine->chunk * engine->graph.vocab, sizeof(float));
    if (!session->second_logits || !session->first_logits) {
        return base_fail(error, TAKT_MEMORY, "%s: no memory to compare logits",
                         engine->model->path);
    }
    return TAKT_OK;
}

/* ---- where it went wrong --------------------------------------------------------------------- */

struct difference {
    uint32_t row, index; /* of the step; element */
    float chip, native;
};

static bool find_difference(const float *a, const float *b, uint32_t rows, uint32_t width,
                            struct difference *found)
{
    for (uint32_t row = 0; row < rows; row++) {
        for (uint32_t i = 0; i < width; i++) {
            const size_t at = (size_t)row * width + i;
            if (memcmp(a + at, b + at, sizeof *a) != 0) {
                *found = (struct difference){row, i, a[at], b[at]};
                return true;
            }
        }
    }
    return false;
}

/* The layer whose operation makes the tensor. */
static uint32_t layer_of(const struct graph *graph, uint32_t tensor)
{
    for (uint32_t i = 0; i < graph->op_count; i++) {
        for (uint32_t j = 0; j < graph->ops[i].output_count; j++) {
            if (graph->ops[i].outputs[j] == tensor) {
                return graph->ops[i].layer;
            }
        }
    }
    return graph->layers;
}

/* The first tensor, in the order they are computed, in which the last native pass is not the
 * reference. */
static bool native_differs(const struct takt_session *session, const struct reference *reference,
                           uint32_t rows, uint32_t *tensor, struct difference *found)
{
    const struct graph *graph = &session->engine->graph;
    for (uint32_t t = 0; t < graph->tensor_count; t++) {
        const float *values = native_tensor(session->engine->native, t);
        uint32_t width;
        const float *expected = reference_tensor(reference, graph->tensors[t].name, &width);
        if (values && expected && find_difference(expected, values, rows, width, found)) {
            *tensor = t;
            return true;
        }
    }
    return false;
}

static enum takt_status explain(const struct takt_session *session, const uint32_t *tokens,
                                uint32_t count, const struct difference *logits,
                                struct takt_error *error)
{
    const struct takt_engine *engine = session->engine;
    const struct graph *graph = &engine->graph;
    const uint32_t start = session->length;
    struct reference *reference;
    enum takt_status status =
        reference_create(&reference, graph, engine->context, engine->chunk, error);
    if (status != TAKT_OK) {
        return status;
    }
    float *out = session->first_logits; /* no longer wanted */
    for (uint32_t done = 0; done < start;) {
        const uint32_t step = BASE_MIN(start - done, engine->chunk);
        reference_step(reference, session->tokens + done, step, done, out);
        done += step;
    }
    reference_step(reference, tokens, count, start, out);
    uint32_t tensor;
    struct difference found;
    if (native_differs(session, reference, count, &tensor, &found)) {
        status =
            base_fail(error, TAKT_FAULT,
                      "%s: native leaves the reference at tensor %s of layer %u, position %u, "
                      "element %u: %a instead of %a; please report it",
                      engine->model->path, graph->tensors[tensor].name, layer_of(graph, tensor),
                      start + found.row, found.index, (double)found.native, (double)found.chip);
    } else {
        status = base_fail(error, TAKT_FAULT,
                           "%s: the chip leaves native and reference, which agree, at tensor %s of "
                           "layer %u, position %u, element %u: %a instead of %a; please report it",
                           engine->model->path, graph->tensors[graph->logits].name, graph->layers,
                           start + logits->row, logits->index, (double)logits->chip,
                           (double)logits->native);
    }
    reference_destroy(reference);
    return status;
}

/* ---- a step ---------------------------------------------------------------------------------- */

enum takt_status run_both_compare(struct takt_session *session, const uint32_t *tokens,
                                  uint32_t count, bool all, const float *logits,
                                  struct takt_error *error)
{
    struct takt_engine *engine = session->engine;
    const uint32_t rows = all ? count : 1;
    const struct native_item item = {.slot = session->slot,
                                     .start = session->length,
                                     .count = count,
                                     .tokens = tokens,
                                     .logits = session->second_logits,
                                     .all = all};
    native_step(engine->native, &item, 1);
    struct difference found;
    if (!find_difference(logits, session->second_logits, rows, engine->graph.vocab, &found)) {
        return TAKT_OK;
    }
    if (!all) {
        found.row = count - 1;
    }
    return explain(session, tokens, count, &found, error);
}
