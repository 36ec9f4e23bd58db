/*
 * Models of random weights in published shapes (shapes.def), for measuring where the trained ones
 * are not at hand. A weight is a pure function of (seed, tensor, element): the same on every host,
 * whatever the number of layers and, but for rounding, the type.
 *
 * Embeddings have deviation 0.02; matrices 1/sqrt(inputs), so that activations keep order one;
 * norms are 1 with deviation 0.05. A draw is the sum of four 16-bit uniforms: bell-shaped, within
 * 3.47 deviations. The file is streamed: memory is a few MiB for any shape.
 */
#ifndef MODEL_SYNTH_H
#define MODEL_SYNTH_H

#include "model/model.h"

#define SYNTH_LAYERS_MAX 1000u

struct synth_shape {
    const char *name;
    uint32_t layers, width, ffn, heads, kv_heads, vocab, context;
    float rope_base;
    bool tied;
    const char *note; /* how it differs from what was published, "" = not at all */
};

/* The shapes in the order of their table; NULL beyond the last. */
const struct synth_shape *model_synth_shape(size_t index);
const struct synth_shape *model_synth_find(const char *name);
/* With the shape's own layers. Bytes: of the tensors, with the padding between them. */
uint64_t model_synth_parameters(const struct synth_shape *shape);
uint64_t model_synth_bytes(const struct synth_shape *shape, enum model_type type);

struct synth_request {
    struct synth_shape shape;  /* layers may be any number from 1 to SYNTH_LAYERS_MAX */
    uint32_t layers_published; /* of the shape, for the model's name */
    uint64_t seed;
    enum model_type type; /* of matrices and embeddings; norms are F32 */
    const char *path;
    /* Called after every few MiB with bytes of the whole file; false stops. May be NULL. */
    bool (*on_progress)(void *user, uint64_t done_bytes, uint64_t total_bytes);
    void *user;
};
/* IO, MEMORY, INTERRUPTED; after any of them nothing is left under the path. */
enum takt_status model_synthesise(const struct synth_request *request, struct takt_error *error);

/* ---- between synth.c and synth_header.c ------------------------------------------------------ */

struct synth_tensor {
    char name[64];
    uint32_t columns, rows; /* rows = 0: a vector */
    enum model_type type;
    uint64_t stream; /* of base_random_u64 */
    float mean, deviation;
    uint64_t offset, size_bytes; /* within the data section */
};

/* Everything before the data section, with its padding. tensors[count]. */
void model_synth_header(const struct synth_request *request, const struct synth_tensor *tensors,
                        size_t count, struct base_text *out);

#define SYNTH_ALIGNMENT 32u /* what GGUF has without a key that says otherwise */

#endif
