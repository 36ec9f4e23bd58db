/*
 * The GGUF container, versions 2 and 3, little-endian: key-value pairs and tensor records over a
 * mapped file. Format: github.com/ggml-org/ggml/blob/master/docs/gguf.md.
 *
 * Invariant: after model_gguf_open every length, count, offset in the file has been checked, so
 * readers need no further bounds (a tensor of a type that takt does not read is kept, unknown, so
 * that it can be named). Keys, strings and tensor data point into the mapped file.
 */
#ifndef MODEL_GGUF_H
#define MODEL_GGUF_H

#include "model/tensor.h"

enum gguf_type {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_STRING,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
    GGUF_TYPE_COUNT
};

struct gguf_pair {
    struct gguf_string key; /* UTF-8, no NUL inside */
    enum gguf_type type;
    enum gguf_type element;    /* of an array; otherwise the type itself */
    uint64_t count;            /* elements; 1 of a scalar */
    const unsigned char *data; /* first element */
};

struct gguf {
    const char *path; /* for messages; the caller's */
    const unsigned char *data;
    size_t size_bytes;
    uint32_t version;
    uint32_t alignment;
    size_t pair_count, tensor_count;
    struct gguf_pair *pairs;       /* sorted by key, no duplicates */
    struct tensor_record *tensors; /* sorted by name, no duplicates; names of 1..64 bytes */
    struct base_arena arena;
    struct base_arena joined; /* tensors of several files */
};

/* Parses a mapped file, which must outlive *gguf. FORMAT, UNSUPPORTED, MEMORY. */
enum takt_status model_gguf_open(struct gguf *gguf, const char *path, const struct base_file *file,
                                 struct takt_error *error);
/*
 * Maps path and, where it says that it is one of several (split.count, names ending in
 * -00001-of-00005.gguf, any of which may be given), the others too: pairs are the first file's,
 * tensors of all. *files must be zeroed and outlive *gguf.
 */
enum takt_status model_gguf_open_files(struct gguf *gguf, struct model_files *files,
                                       const char *path, struct takt_error *error);
void model_gguf_close(struct gguf *gguf);

/* NULL when the file has none of that name. */
const struct gguf_pair *model_gguf_find(const struct gguf *gguf, const char *key);
struct tensor_record *model_gguf_find_tensor(const struct gguf *gguf, const char *name);

/*
 * Typed reads. Each leaves *value alone and returns OK when the key is absent and not required;
 * FORMAT when it is required and absent, of another type, or out of range.
 */
enum takt_status model_gguf_u32(const struct gguf *gguf, const char *key, bool required,
                                uint32_t minimum, uint32_t maximum, uint32_t *value,
                                struct takt_error *error);
enum takt_status model_gguf_f64(const struct gguf *gguf, const char *key, bool required,
                                double *value,
                                struct takt_error *error); /* finite; from f32 or f64 */
enum takt_status model_gguf_bool(const struct gguf *gguf, const char *key, bool *value,
                                 struct takt_error *error);
enum takt_status model_gguf_string(const struct gguf *gguf, const char *key, bool required,
                                   struct gguf_string *value, struct takt_error *error);
/* An array whose elements are of that type; *pair is NULL when absent and not required. */
enum takt_status model_gguf_array(const struct gguf *gguf, const char *key, bool required,
                                  enum gguf_type element, const struct gguf_pair **pair,
                                  struct takt_error *error);

/* Walks the strings of an array: start with cursor = pair->data, call at most pair->count times. */
struct gguf_string model_gguf_next_string(const unsigned char **cursor);

uint32_t model_gguf_read_u32(const unsigned char *data);
float model_gguf_read_f32(const unsigned char *data);
bool model_gguf_string_is(struct gguf_string string, const char *text);

#endif
