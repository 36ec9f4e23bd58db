/* Tensor formats: how elements lie in blocks, and their exact values. */
#ifndef MODEL_TENSOR_H
#define MODEL_TENSOR_H

#include "model/model.h"

/* Bytes inside a file, not NUL-terminated. */
struct gguf_string {
    const char *text;
    size_t length;
};

/* A tensor as a file describes it. Its extent lies inside the file, apart from all others. */
struct tensor_record {
    struct gguf_string name; /* UTF-8, no NUL inside */
    uint64_t dims[4];        /* dims[0] is contiguous; unused ones are 1 */
    bool known;              /* one of takt's types; otherwise type and size_bytes mean nothing */
    enum model_type type;
    const char *type_name; /* as the file has it */
    uint32_t number;       /* GGUF: the type's number */
    uint64_t offset;       /* within its file */
    uint64_t size_bytes;
    const unsigned char *data;
    bool used; /* something was bound to it */
};

/* Sorts by name; false, and *twice, when a name stands twice. */
bool tensor_records_sort(struct tensor_record *records, size_t count, struct gguf_string *twice);
/* In sorted records; NULL when there is none. */
struct tensor_record *tensor_records_find(struct tensor_record *records, size_t count,
                                          const char *name);

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
