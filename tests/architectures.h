/* The seeded small models of architectures.def, as shapes for gguf_write_random. */
#ifndef TESTS_ARCHITECTURES_H
#define TESTS_ARCHITECTURES_H

#include "gguf_writer.h"

struct architecture_shape {
    const char *name;
    struct gguf_random shape;
};

/* NULL beyond the last. Each has 7 layers (gemma3's sixth and twelfth layers differ), 320 tokens,
 * matrices in F32. */
const struct architecture_shape *architecture_shape(size_t index);

#endif
