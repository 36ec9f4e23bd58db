/* Tensor formats: how elements lie in blocks, and their exact values. */
#ifndef MODEL_TENSOR_H
#define MODEL_TENSOR_H

#include "model/model.h"

/* A row is a whole number of blocks of `block` elements in `block_bytes` bytes. */
struct model_format {
    const char *name;
    uint32_t number; /* in GGUF files */
    uint32_t block, block_bytes;
};

const struct model_format *model_tensor_format(enum model_type type);
/* From the file's number; false for types that takt does not read. */
bool model_tensor_type(uint32_t number, enum model_type *type);
/* The name of any type a file may hold, "unknown" beyond. */
const char *model_tensor_type_name(uint32_t number);
uint64_t model_row_bytes(const struct model_tensor *tensor);

#endif
