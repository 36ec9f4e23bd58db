/*
 * graph: tensors, operations and shapes of a model's step, and the naive reference interpreter.
 *
 * Owns: what is computed (docs/NUMERICS.md gives the expressions), quantised weights, parameters of
 * rotary embedding. Refuses to: know lanes, streams, cycles, CPU instruction sets.
 * Read next: graph/reference.h (the contract executed plainly), then compile/compile.h.
 */
#ifndef GRAPH_GRAPH_H
#define GRAPH_GRAPH_H

#include "base/base.h"
#include "model/model.h"

/* Weights of one product, quantised: int8, channel-major, one binary32 scale an output channel. */
struct graph_matrix {
    char name[64];     /* the file's tensor name */
    uint32_t inputs;   /* K, contraction */
    uint32_t outputs;  /* N */
    int8_t *weights;   /* the image: [outputs][inputs]; NULL until somebody has it read */
    float *scales;     /* [outputs], with the image */
    const float *bias; /* [outputs], added after the scale; NULL = none */
    const struct model_tensor *tensor; /* what the image is made of; row n: graph_matrix_row */
    /* Rows of q and k whose file pairs (i, i + rotary / 2) of a head of head_dim: here neighbours
     * pair. 0 = as the file has them. */
    uint32_t head_dim, rotary;
    /* What bounds.c wants to know of each output, [outputs]; NULL where it asks for nothing. */
    double *magnitudes; /* how many times the largest input it is taken to be at most */
    double *powers;     /* the square of its largest value after the norm with power_gain */
    const float *power_gain;
};

/*
 * Operations, on tensors of [tokens][width] binary32. GRAPH_OP(NAME, "name", "doc")
 * NORM_LINEAR takes 1..3 matrices that share input and gain, and gives as many outputs. With three
 * inputs, in[0] = in[1] + a product whose activations had the exponent in[2]: the exponents it
 * quantises with are bounds that follow from these, with `growth`. With one they are the largest.
 * What an operation needs beside tensors stands in its fields below; docs/NUMERICS.md has each as
 * an expression, graph/reference.c as loops.
 */
#define GRAPH_OPS(X)                                                                               \
    X(INPUT, "input", "out = the embedding rows of the tokens, times graph.embedding_scale")       \
    X(NORM_LINEAR, "norm_linear", "out[i] = matrix[i] . (in[0] * gain) / rms(in[0]) + bias[i]")    \
    X(LINEAR, "linear",                                                                            \
      "out[0] = matrix . in[0] + bias, quantised with in[1], if there; else out[1]: with what")    \
    X(NORM, "norm", "each of `heads` equal parts of in: out = in / rms(part) * gain")              \
    X(ROPE, "rope", "rotary embedding of each head, adjacent pairs, by the table `rope`")          \
    X(ATTENTION, "attention",                                                                      \
      "append k, v to the cache; out[0]: of q over it, out[1]: exponent of a bound")               \
    X(SWIGLU, "swiglu", "out = in[0] / (1 + exp(-in[0])) * in[1]")                                 \
    X(GEGLU, "geglu", "out = gelu(in[0]) * in[1], gelu by its tanh form")                          \
    X(SOFTCAP, "softcap", "out = cap * tanh(in / cap)")                                            \
    X(ADD, "add", "out = in[0] + in[1]")

enum graph_op_kind {
#define GRAPH_OP_ENUM(name, text, doc) GRAPH_##name,
    GRAPH_OPS(GRAPH_OP_ENUM)
#undef GRAPH_OP_ENUM
};

#define GRAPH_OP_MAX 3u
struct graph_op {
    enum graph_op_kind kind;
    uint32_t layer; /* for names and the KV cache; the final product has layer = layers */
    uint32_t input_count, output_count;
    uint32_t inputs[GRAPH_OP_MAX]; /* tensor indices */
    uint32_t outputs[GRAPH_OP_MAX];
    const struct graph_matrix *matrices[GRAPH_OP_MAX];
    const float *gain; /* NORM_LINEAR: [inputs]; NORM: [width / heads], the same for every part */
    uint32_t heads;    /* ROPE, NORM: parts of the tensor; ATTENTION: query heads */
    uint32_t rope;     /* ROPE: index into graph.ropes */
    uint32_t window;   /* ATTENTION: positions seen, the token's own included; 0 = all before it */
    float cap;         /* SOFTCAP */
    int32_t growth[2]; /* NORM_LINEAR with three inputs: of in[0] * gain, of in[0]; num.h */
    uint8_t *head_exponents; /* ATTENTION: [heads], with which queries are quantised */
};

struct graph_tensor {
    char name[48]; /* "blk.3.q" */
    uint32_t width;
};

struct graph {
    uint32_t layers, width, heads, kv_heads, head_dim, ffn, vocab;
    float norm_epsilon;
    float embedding_scale; /* 1 = none: then rows are taken as they are */
    float score_scale;     /* what scores are multiplied by: rsqrt(f32(head_dim)) in most models */
    float score_cap;       /* scores become cap * tanh(score / cap); 0 = no cap */
    const struct model_rope *ropes; /* the model's tables of rotary angles */
    uint32_t rope_count;
    uint32_t tensor_count, op_count;
    struct graph_tensor *tensors;
    struct graph_op *ops;          /* in execution order; op 0 is INPUT */
    uint32_t logits;               /* tensor index of the logits [tokens][vocab] */
    const struct model *model;     /* for embedding rows */
    struct graph_matrix *matrices; /* those of the operations, in the order of these */
    uint32_t matrix_count;
    struct base_arena *arena; /* graph_image takes from it */
    bool *bounded;            /* growth and head_exponents are there */
};

/* Builds the step graph, quantising the weights into the arena. FORMAT when a weight is NaN or
 * infinite (names the tensor). */
enum takt_status graph_build(const struct model *model, struct base_arena *arena,
                             struct graph *graph, struct takt_error *error);
size_t graph_arena_bytes(const struct model *model); /* enough for graph_build; it must outlive */

/*
 * The same in parts, for who lays weights out otherwise: the list has everything but the matrices'
 * image and what follows from it (growth, head_exponents). Who quantises the rows passes each to
 * graph_channels, and has the rest made by graph_bounds.
 */
enum takt_status graph_list(const struct model *model, struct base_arena *arena,
                            struct graph *graph, struct takt_error *error);
/* The row of matrix->tensor that output n is made of. */
uint32_t graph_matrix_row(const struct graph_matrix *matrix, uint32_t n);
/* Outputs first .. first + count - 1 of a matrix, quantised: rows[i * stride + k], scales[i]. */
void graph_channels(const struct graph_matrix *matrix, uint32_t first, uint32_t count,
                    const int8_t *rows, size_t stride, const float *scales);
void graph_bounds(const struct graph *graph);
/* The image after all, and the bounds, unless they are there. FORMAT as above. */
enum takt_status graph_image(const struct graph *graph, struct takt_error *error);
/* FORMAT and the first value of the tensor, row by row, that is NaN or infinite; OK: there is none.
 */
enum takt_status graph_find_damage(const struct model *model, const struct model_tensor *tensor,
                                   struct takt_error *error);

/* A token's INPUT: its embedding row, dequantised exactly, times embedding_scale; out[width]. */
void graph_embedding(const struct graph *graph, uint32_t token, float *out);
/* Cosine and sine of a pair of a head (elements 2 pair and 2 pair + 1) at a position, by table
 * `rope`: the model's scaling is in them. Pairs that do not turn have 1 and 0. */
void graph_rope(const struct graph *graph, uint32_t rope, uint32_t pair, uint32_t position,
                float *cosine, float *sine);
/* The first position that a token at `position` attends to; it sees all from there to its own. */
uint32_t graph_first_position(const struct graph_op *attention, uint32_t position);

#endif
