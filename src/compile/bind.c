/*
 * Bind: the inputs and outputs that lower asked for get their places by name.
 *
 * Requires: allocated buffers. Fills in: the program's bindings and parameters.
 */
#include "compile/internal.h"

#include <string.h>

static void bind_one(struct compiler *c, const struct binding_request *request,
                     struct program_binding *binding, struct base_arena *arena)
{
    uint32_t rows = request->rows, items = request->items * request->waves;
    uint32_t planes = c->buffers[request->buffers[0]].planes;
    uint32_t lanes = c->plan->lanes;
    memcpy(binding->name, request->name, sizeof binding->name);
    binding->output = request->output;
    binding->element_bytes = planes;
    binding->items = items;
    binding->rows = rows;
    binding->elements = request->elements;
    binding->source = BASE_NEW(arena, int32_t, (size_t)rows * lanes);
    memcpy(binding->source, request->source, (size_t)rows * lanes * sizeof(int32_t));
    binding->places = BASE_NEW(arena, struct program_place, (size_t)items * rows * planes);
    for (uint32_t i = 0; i < items; i++) {
        const struct buffer *buffer = &c->buffers[request->buffers[i / request->items]];
        uint32_t item = i % request->items;
        for (uint32_t r = 0; r < rows; r++) {
            uint32_t vector = request->item_major ? item * rows + r : r * request->items + item;
            for (uint32_t b = 0; b < planes; b++) {
                binding->places[(i * rows + r) * planes + b] = buffer_place(buffer, vector, b);
            }
        }
    }
}

enum takt_status compile_bind(struct compiler *c, struct program *program, struct base_arena *arena)
{
    program->binding_count = c->request_count;
    program->bindings = BASE_NEW(arena, struct program_binding, c->request_count);
    for (uint32_t i = 0; i < c->request_count; i++) {
        bind_one(c, &c->requests[i], &program->bindings[i], arena);
    }
    const struct program_parameter parameters[] = {
        {"chunk", c->chunk * c->waves},
        {"wave", c->chunk},
        {"bucket", c->bucket},
        {"all_logits", c->all_logits},
        {"blocks", c->blocks * c->waves},
        {"row_ring", c->plan->row_ring},
        {"k_groups", c->plan->key_groups},
        {"superlanes", c->plan->superlanes},
    };
    program->parameter_count = BASE_COUNT(parameters);
    program->parameters = BASE_NEW(arena, struct program_parameter, BASE_COUNT(parameters));
    memcpy(program->parameters, parameters, sizeof parameters);
    return TAKT_OK;
}
