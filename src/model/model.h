/*
 * model: files people download, opened and checked.
 *
 * Owns: GGUF, tensor formats, hyper-parameters, tokenizers, chat templates. Refuses to: quantise,
 * compute, or trust any length in a file before it is checked.
 * Read next: model/tokenizer.h, then graph/graph.h.
 */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include "base/base.h"
#include "model/tokenizer.h"

enum model_type {
    MODEL_F32,
    MODEL_F16,
    MODEL_BF16,
    MODEL_Q8_0,
    MODEL_Q4_0,
    MODEL_Q4_1,
    MODEL_Q5_0,
    MODEL_Q5_1,
    MODEL_Q2_K,
    MODEL_Q3_K,
    MODEL_Q4_K,
    MODEL_Q5_K,
    MODEL_Q6_K,
    MODEL_IQ4_NL,
    MODEL_IQ4_XS,
    MODEL_MXFP4,
    MODEL_TYPE_COUNT
};

/* A weight as the file holds it: `rows` rows of `columns` elements, row-major, inside the mapped
 * file (bounds were checked). A vector has rows = 1. */
struct model_tensor {
    const char *name;
    enum model_type type;
    uint32_t rows, columns;
    const unsigned char *data;
};

/* A part that the model does not have has data NULL. */
struct model_layer {
    struct model_tensor attention_norm, q, k, v, o;
    struct model_tensor q_bias, k_bias, v_bias, o_bias;
    struct model_tensor q_norm, k_norm;                     /* [head_dim]: RMS norm of each head */
    struct model_tensor attention_post_norm, ffn_post_norm; /* before what is added to the stream */
    struct model_tensor ffn_norm, gate, up, down;
    uint32_t window; /* positions a token attends to, its own included; 0 = all before it */
    uint32_t rope;   /* index into model.ropes */
};

/* A table of rotary angles: pair i of a head turns by position * base^(-2i / rotary) / (scale *
 * factors[i]); its cosine and sine are multiplied by magnitude. Values from rotary on do not turn.
 */
struct model_rope {
    double base;
    uint32_t rotary;      /* leading values of a head; even */
    double scale;         /* linear scaling of positions; 1 = none */
    const float *factors; /* [rotary / 2], positive; NULL = all 1 */
    double magnitude;     /* 1 = none */
};
#define MODEL_ROPES_MAX 2u

/* Mapped files, in the order of their parts. */
struct model_files {
    struct base_file *file;
    uint32_t count, capacity;
};
/* Maps one more; IO, MEMORY. */
enum takt_status model_files_add(struct model_files *files, const char *path,
                                 struct takt_error *error);
void model_files_close(struct model_files *files); /* safe on a zeroed struct and twice */

struct model {
    char path[512];
    char name[128];        /* general.name, or the file's name */
    char architecture[32]; /* "llama" */
    uint32_t layers, width, heads, kv_heads, head_dim, ffn, vocab,
        context; /* context: as trained */
    float norm_epsilon;
    float gain_offset;     /* added to the gains of norms: 1 where a file holds them less 1 */
    float embedding_scale; /* 1 = none */
    float score_scale;     /* of attention scores */
    float score_cap;       /* of attention scores; 0 = none */
    float logit_cap;       /* 0 = none */
    bool gelu;             /* the gate's function is GELU (tanh form), otherwise SiLU */
    bool rope_halves; /* q and k pair values (i, i + rotary / 2) of a head; otherwise neighbours */
    struct model_rope ropes[MODEL_ROPES_MAX];
    uint32_t rope_count;
    /* longrope: contexts beyond context_short turn by these factors instead; 0, NULL = none */
    uint32_t context_short;
    const float *factors_long;
    bool tied; /* output == embedding */
    struct model_tensor embedding, output_norm, output;
    struct model_layer *layer;
    struct tokenizer *tokenizer;
    char *chat_template; /* NULL when the file has none */
    char sha256[65];     /* of the whole file; of all files in order where there are several */
    struct base_digest *digest; /* of what a folder has beside them, until model_digest */
    bool folder;                /* sha256 is of more than `files` */
    struct model_files files;
    char *own_template; /* the heap that a folder's chat_template lies in */
    struct base_arena arena;
};

/* IO, FORMAT, UNSUPPORTED, LIMIT; the message names file, place, value and remedy. */
enum takt_status model_open(struct model **model, const char *path, struct takt_error *error);
/* The same without sha256, which takes a second for two gigabytes: "" until model_digest, which may
 * run on a thread beside whatever only reads the model's tensors. */
enum takt_status model_open_undigested(struct model **model, const char *path,
                                       struct takt_error *error);
void model_digest(struct model *model);
/* For who knows it otherwise: model_digest has nothing left to do then. */
void model_set_digest(struct model *model, const char sha256[65]);
void model_close(struct model *model);
/*
 * Settles the table of angles for sessions of so many positions, before a graph is built. Only
 * longrope models have two: one for contexts up to context_short, one beyond. They are two models
 * in one file, and neither's logits depend on how much of its context is used.
 */
void model_set_context(struct model *model, uint32_t context);

/* Row r of a tensor, dequantised exactly to binary32: out[columns]. */
void model_row(const struct model_tensor *tensor, uint32_t row, float *out);
/* The same row as the file has it. */
const unsigned char *model_row_data(const struct model_tensor *tensor, uint32_t row);
/* Rows first .. end - 1 will not be read soon: the system may have their memory. The file's bytes
 * come back when they are read after all. */
void model_release(const struct model *model, const struct model_tensor *tensor, uint32_t first,
                   uint32_t end);

#endif
