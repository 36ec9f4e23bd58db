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
    char name[64];         /* the file's tensor name */
    uint32_t inputs;       /* K, contraction */
    uint32_t outputs;      /* N */
    const int8_t *weights; /* [outputs][inputs] */
    const float *scales;   /* [outputs] */
};

/*
 * Operations, on tensors of [tokens][width] binary32. GRAPH_OP(NAME, "name", "doc")
 * NORM_LINEAR takes 1..3 matrices that share input and gain, and gives as many outputs.
 */
#define GRAPH_OPS(X)                                                                               \
    X(INPUT, "input", "out = the embedding rows of the tokens")                                    \
    X(NORM_LINEAR, "norm_linear", "out[i] = matrix[i] . (in * gain) / rms(in)")                    \
    X(LINEAR, "linear", "out = matrix . in[0]; in[1], if there: the exponent to quantise with")    \
    X(ROPE, "rope", "rotary embedding of each head, adjacent pairs")                               \
    X(ATTENTION, "attention",                                                                      \
      "append k, v to the cache; out[0]: of q over it, out[1]: exponent of a bound")               \
    X(SWIGLU, "swiglu", "out = in[0] / (1 + exp(-in[0])) * in[1]")                                 \
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
    const float *gain; /* NORM_LINEAR: [inputs] */
    uint32_t heads;    /* ROPE: heads in the tensor; ATTENTION: query heads */
};

struct graph_tensor {
    char name[48]; /* "blk.3.q" */
    uint32_t width;
};

struct graph {
    uint32_t layers, width, heads, kv_heads, head_dim, ffn, vocab;
    float norm_epsilon;
    double rope_base;
    uint32_t tensor_count, op_count;
    struct graph_tensor *tensors;
    struct graph_op *ops;      /* in execution order; op 0 is INPUT */
    uint32_t logits;           /* tensor index of the logits [tokens][vocab] */
    const struct model *model; /* for embedding rows */
};

/* Builds the step graph, quantising the weights into the arena. FORMAT when a weight is NaN or
 * infinite (names the tensor). */
enum takt_status graph_build(const struct model *model, struct base_arena *arena,
                             struct graph *graph, struct takt_error *error);
size_t graph_arena_bytes(const struct model *model); /* enough for graph_build */

#endif
