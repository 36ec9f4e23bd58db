/*
 * native, inside: packed matrices, the stages of a pass, caches, what the threads share.
 *
 * A pass runs `rows` tokens, those of its items one after another. Every stage divides its outputs
 * among the threads by index alone and ends with a barrier. After the last attention only the rows
 * whose logits are wanted go on ("narrow"): nothing that is computed for the others is read.
 */
#ifndef NATIVE_INTERNAL_H
#define NATIVE_INTERNAL_H

#include <stdatomic.h>

#include "native/kernels.h"
#include "native/native.h"
#include "native/packed.h"
#include "native/pool.h"

#define NATIVE_NONE UINT32_MAX
#define NATIVE_ATTENTION_ROWS 24u /* queries that share a read of the cache: four tiles */
#define NATIVE_ALONE_ROWS 2u      /* up to so many rows every thread quantises for itself */

struct native_matrix {
    const struct graph_matrix *source;
    uint32_t inputs, outputs;
    uint32_t quads;  /* of inputs, the last filled up with zeros */
    uint32_t panels; /* of outputs, the last filled up with zeros */
    int8_t *weights; /* [panels][quads][32][4]; these four may lie in a file that cannot be written
                      */
    int32_t *starts; /* [panels * 32]: -128 times the sum of an output's weights */
    float *scales;   /* [panels * 32] */
    float *bias;     /* [panels * 32], or NULL */
};

enum native_stage_kind {
    NATIVE_INPUT,
    NATIVE_PRODUCT,
    NATIVE_ROPE,
    NATIVE_ATTENTION,
    NATIVE_NORM,
    NATIVE_SWIGLU,
    NATIVE_GEGLU,
    NATIVE_SOFTCAP,
    NATIVE_ADD,
};

/* One operation, or several that became one. Tensors are the graph's; NATIVE_NONE: not there. */
struct native_stage {
    enum native_stage_kind kind;
    const struct graph_op *op;
    uint32_t inputs[GRAPH_OP_MAX], outputs[GRAPH_OP_MAX];
    /* PRODUCT */
    struct native_matrix *matrices[GRAPH_OP_MAX];
    uint32_t matrix_count;
    uint32_t exponent;                        /* tensor of the exponents to quantise with */
    uint32_t addend;                          /* tensor that is added to the only output */
    enum native_stage_kind gate;              /* SWIGLU or GEGLU of matrices 0 and 1; INPUT: none */
    float cap;                                /* above 0: outputs are capped */
    bool logits;                              /* outputs go to the callers */
    const struct native_stage *product_after; /* after the last one the first */
    /* PRODUCT, ATTENTION: what is divided among the threads, panels or units */
    uint32_t turn;                            /* which of the shares is this stage's */
    const struct native_stage *divided_after; /* the next such stage, or NULL */
    /* ATTENTION */
    bool rope_q, rope_k; /* inputs are before rotary embedding, by these tables */
    uint32_t table_q, table_k;
    bool narrow; /* the last one: its outputs are for the wanted rows alone */
    bool after;  /* after that one */
};

/* One KV head of one layer and slot. Positions are outputs of the first product, inputs of the
 * second. */
struct native_cache {
    int8_t *k;         /* panels of 32 positions: [context / 32][quads of head_dim][32][4] */
    int32_t *k_starts; /* [context] */
    float *k_scales;   /* [context]: scale(code) / sqrt(head_dim) */
    int8_t *v;         /* panels of 32 elements: [head_dim / 32][context / 4][32][4] */
    float *v_scales;   /* [context] */
    uint8_t *v_codes;  /* [context] */
    uint8_t *v_most;   /* [context]: the largest code of positions up to this */
};

/* Consecutive rows of one item over one KV head. */
struct native_unit {
    uint32_t item, row, rows, kv_head;
    bool alone; /* the item's only row, prepared by whoever has the unit */
};

/* What is left of a thread's share of a stage: items from the low half of the word up to the high
 * half. Its owner takes from the front, so that it always reads the same weights; who has nothing
 * left takes from the back of the others' shares, so that nobody waits long for a thread that the
 * system has stopped or whose memory is slower. Two of them take turns, for a share must be there
 * before its thread is. */
struct native_left {
    _Alignas(64) _Atomic uint64_t items[2];
};

/* Items of a stage that follow each other. */
struct native_run {
    uint32_t first, end;
};

/* Memory of one thread. */
struct native_worker {
    uint8_t *tile;      /* activations of NATIVE_ALONE_ROWS rows, widest product */
    float *acc;         /* [3][NATIVE_TILE][32] */
    float *q, *k;       /* [heads * head_dim], [kv_heads * head_dim] after rotary embedding */
    int8_t *bytes;      /* [head_dim] */
    float *scores;      /* [rows][context] */
    uint8_t *queries;   /* tiles of rows x head_dim */
    uint8_t *weights;   /* one tile of NATIVE_TILE x context */
    float *out;         /* [NATIVE_TILE][32] */
    float *factors;     /* [NATIVE_ALONE_ROWS] */
    uint8_t *exponents; /* [NATIVE_ALONE_ROWS]: of the activations of the last product */
    uint64_t probe;
    uint32_t alone_row; /* whose q is in here; NATIVE_NONE: none of this stage's */
};

struct native {
    const struct graph *graph;
    const struct native_kernels *kernels;
    struct native_options options;
    struct base_arena plan_arena, weights, arena; /* stages; packed weights; everything else */
    struct native_pool *pool;
    struct native_matrix *matrices;
    uint32_t matrix_count;
    struct native_stage *stages;
    uint32_t stage_count;
    float **values;  /* [tensor_count]: [batch][width], or NULL: never stored */
    uint32_t *carry; /* tensors that are read after the narrow stage and made before it */
    uint32_t carry_count;
    struct native_cache cache; /* the first of [sessions][layers][kv_heads], all of one size */
    size_t cache_bytes;        /* from one to the next */
    struct native_worker *workers;
    float *cosines, *sines; /* [rope_count][context][head_dim] */
    uint32_t rope_filled;   /* positions of them that are there */
    struct native_memory memory;

    /* The pass under way. */
    const struct native_item *items;
    uint32_t item_count, rows, wanted;
    bool narrowed;
    uint32_t *row_tokens, *row_positions, *row_items; /* [batch] */
    uint32_t *row_outputs; /* [batch]: place among the wanted rows, or NONE */
    uint32_t *wanted_rows; /* [batch] */
    float **wanted_logits; /* [batch] */
    float *kept_logits;    /* [batch][vocab], with keep_tensors */
    struct native_unit *units;
    uint32_t unit_count;
    uint32_t *unit_first;     /* [threads + 1] */
    struct native_left *left; /* [threads] */
    const struct native_stage *first_divided;
    bool prepare;         /* some unit is not alone */
    float *queries;       /* [batch][heads * head_dim] after rotary embedding */
    uint8_t *activations; /* tiles of all rows */
    float *factors;       /* [batch] */
    uint8_t *exponents;   /* [batch]: of the activations of the last product */
    uint8_t *head_codes;  /* [batch][kv_heads]: the largest value code each row saw */
};

/* layout.c: everything in the arena, in one order; sizes and pointers by the same text. */
enum takt_status native_layout(struct native *native, struct takt_error *error);
/* plan.c: the stages. UNSUPPORTED names an operation. */
enum takt_status native_plan(struct native *native, struct base_arena *arena,
                             struct takt_error *error);
/* pack.c: on all threads. MEMORY; FORMAT for a weight that is NaN or infinite. */
enum takt_status native_pack(struct native *native, struct takt_error *error);
/* packed.c: whether the file is of this graph and layout, and where its weights begin; nothing of
 * them is read yet. FORMAT. */
enum takt_status native_packed_accept(const struct native_packed *packed,
                                      const struct native *native, unsigned char **base,
                                      struct takt_error *error);
/* Reads all of it, on all threads, and gives the graph its bounds. FORMAT when it is damaged. */
enum takt_status native_packed_check(struct native *native, struct takt_error *error);
/* attention.c: one stage of a pass, on each thread. */
void native_units(struct native *native); /* once a pass: what each thread attends to */
void native_attention(struct native *native, const struct native_stage *stage, uint32_t index);
void native_attend(struct native *native, const struct native_stage *stage, uint32_t index,
                   const struct native_run *run);
/* Before the stage: has the thread's first part of it fetched from memory. */
void native_expect_attention(const struct native *native, const struct native_stage *stage,
                             uint32_t index);
/* product.c */
void native_product(struct native *native, const struct native_stage *stage, uint32_t index);
void native_multiply(struct native *native, const struct native_stage *stage, uint32_t index,
                     const struct native_run *run);
/* divide.c: the thread's share of a stage; and the share made ready, before the barrier that the
 * stage follows. */
uint32_t native_blocks(const struct native *native, const struct native_stage *stage);
uint32_t native_block_row(const struct native *native, const struct native_stage *stage,
                          uint32_t block);
uint32_t native_panels(const struct native_stage *stage);
void native_share_of(const struct native *native, const struct native_stage *stage, uint32_t index,
                     uint32_t *first, uint32_t *end);
void native_divide(struct native *native, const struct native_stage *stage, uint32_t index);
/* Items that nobody has taken: of the thread's own share, or of another's; false: none. */
bool native_take(struct native *native, const struct native_stage *stage, uint32_t index,
                 struct native_run *run);
bool native_help(struct native *native, const struct native_stage *stage, uint32_t index,
                 struct native_run *run);

static inline float *native_row(const struct native *native, uint32_t tensor, uint32_t row)
{
    return native->values[tensor] + (size_t)row * native->graph->tensors[tensor].width;
}

/* One KV head of one layer and slot: where it is follows from its place alone, so that nobody waits
 * for memory to know. */
static inline struct native_cache native_cache_at(const struct native *native, uint32_t slot,
                                                  uint32_t layer, uint32_t kv_head)
{
    const struct graph *graph = native->graph;
    const struct native_cache *first = &native->cache;
    const size_t at =
        (((size_t)slot * graph->layers + layer) * graph->kv_heads + kv_head) * native->cache_bytes;
    return (struct native_cache){.k = first->k + at,
                                 .k_starts = first->k_starts + at / sizeof(int32_t),
                                 .k_scales = first->k_scales + at / sizeof(float),
                                 .v = first->v + at,
                                 .v_scales = first->v_scales + at / sizeof(float),
                                 .v_codes = first->v_codes + at,
                                 .v_most = first->v_most + at};
}

/* Where the rotary cosines and sines of a position are, one an element of a head. */
static inline size_t native_rope_at(const struct native *native, uint32_t table, uint32_t position)
{
    return ((size_t)table * native->options.context + position) * native->graph->head_dim;
}

/* 1 / sqrt(mean of n squares + eps), from the sums of their bytes; step.c. */
float native_inverse_rms(const struct native *native, const int32_t sums[4], uint32_t n,
                         float down);

/* Rows that a stage computes. */
static inline uint32_t native_rows(const struct native *native)
{
    return native->narrowed ? native->wanted : native->rows;
}

static inline uint32_t native_up(uint32_t value, uint32_t multiple)
{
    return (value + multiple - 1) / multiple * multiple;
}

/* Thread `index` of `threads` has [share(n, index), share(n, index + 1)) of n. */
static inline uint32_t native_share(uint32_t n, uint32_t index, uint32_t threads)
{
    return (uint32_t)((uint64_t)n * index / threads);
}

/* Where row r of `rows` begins in tiles of `quads`, and the bytes from quad to quad. */
static inline uint8_t *native_tile_row(uint8_t *tiles, uint32_t r, uint32_t rows, uint32_t quads,
                                       size_t *stride)
{
    uint32_t first = r / NATIVE_TILE * NATIVE_TILE;
    uint32_t tokens = rows - first < NATIVE_TILE ? rows - first : NATIVE_TILE;
    *stride = (size_t)tokens * NATIVE_TOKEN_QUAD_BYTES;
    return tiles + (size_t)first * quads * NATIVE_TOKEN_QUAD_BYTES +
           (size_t)(r - first) * NATIVE_TOKEN_QUAD_BYTES;
}

#endif
