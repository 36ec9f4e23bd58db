/* GGUF files made by tests: pieces one at a time, or a whole random llama model. */
#ifndef TESTS_GGUF_WRITER_H
#define TESTS_GGUF_WRITER_H

#include "base/base.h"
#include "model/model.h"

/* A file in the making; start from {0}, end with gguf_writer_free. Little-endian hosts only. */
struct gguf_writer {
    struct base_text pairs, infos, data;
    uint64_t pair_count, tensor_count;
    const char *skip;      /* the key or tensor of this name is left out; NULL = none */
    uint32_t part, parts;  /* with parts > 1: only every parts-th tensor from `part` on is kept */
    uint64_t tensor_total; /* kept or not */
};

void gguf_writer_u32(struct gguf_writer *writer, const char *key, uint32_t value);
void gguf_writer_f32(struct gguf_writer *writer, const char *key, float value);
void gguf_writer_bool(struct gguf_writer *writer, const char *key, bool value);
void gguf_writer_string(struct gguf_writer *writer, const char *key, const char *value);
/* items: count values of 4 bytes; type: the file's number of their type (5 = i32, 6 = f32). */
void gguf_writer_array(struct gguf_writer *writer, const char *key, uint32_t type,
                       const void *items, uint64_t count);
/* strings: count texts already in the file's form (a u64 length, the bytes). */
void gguf_writer_strings(struct gguf_writer *writer, const char *key,
                         const struct base_text *strings, uint64_t count);
/* rows = 0: a vector of one dimension. type: the file's number (0 = F32, 1 = F16, 8, 30 = BF16). */
void gguf_writer_tensor(struct gguf_writer *writer, const char *name, uint32_t type,
                        uint32_t columns, uint32_t rows, const void *data, size_t bytes);
/* Appends the whole file to out. */
void gguf_writer_finish(const struct gguf_writer *writer, struct base_text *out);
void gguf_writer_free(struct gguf_writer *writer);

#define GGUF_RANDOM_TYPES 4u /* F32, F16, BF16, Q8_0 */

/*
 * A random model: every value a pure function of the seed. The tokenizer has control tokens
 * 0 <|endoftext|>, 1 <|im_start|>, 2 <|im_end|> (SPM: <unk>, <s>, </s>), then 256 byte tokens, then
 * merged letters; a smaller vocabulary is cut off there (printable bytes come first).
 */
struct gguf_random {
    const char *architecture; /* NULL = llama; or qwen2, qwen3, phi3, gemma2, gemma3 */
    uint64_t seed;
    uint32_t layers, width, heads, kv_heads;
    uint32_t head_dim; /* 0 = width / heads; must be even */
    uint32_t ffn;
    uint32_t vocab;       /* at least 4 */
    uint32_t context;     /* 0 = 512 */
    bool tied;            /* no output.weight */
    bool spm;             /* SentencePiece-style; otherwise byte-level gpt2 */
    bool no_template;     /* otherwise fable's ChatML */
    enum model_type type; /* of matrices, one of the first GGUF_RANDOM_TYPES; Q8_0 falls back to F32
                             where columns % 32 != 0 */
    const char *skip;     /* as in struct gguf_writer */
    uint32_t window;      /* attention.sliding_window; 0 = not said */
    bool rope_factors;    /* llama: a tensor of factors on the rotary frequencies; phi3: longrope */
};

void gguf_random_build(struct gguf_writer *writer, const struct gguf_random *shape);
/* Writes the file; false when it cannot be written. */
bool gguf_write_random(const char *path, const struct gguf_random *shape);

#endif
