/* Lowering attention, inside: lower_cache.c (what is stored) and lower_attention.c (what is
 * computed). */
#ifndef COMPILE_LOWER_ATTENTION_H
#define COMPILE_LOWER_ATTENTION_H

#include "compile/internal.h"

struct attention {
    struct compiler *c;
    const struct compile_plan *plan;
    const struct plan_layer *layer;
    uint32_t chunk, tiles, items, groups; /* groups: query heads a KV head */
    uint32_t q, k, v;
    /* What the values' codes bound, per KV head and token, and per token. */
    uint32_t weight_up, weight_down, output_up;
    const struct attention_result *result;
};

/* KV heads in a word: the last word may hold fewer. */
uint32_t attention_word_heads(const struct attention *a, uint32_t word);
/* The binary32 temporary "attention.NAME.I". */
uint32_t attention_floats(const struct attention *a, uint32_t count, const char *name, uint32_t i);
/* An input the host fills in: maps and masks. */
uint32_t attention_map(struct compiler *c, const char *name, bool striped, uint32_t count);
/* One value a token, for bursts over (query head, token). */
struct access attention_by_token(uint32_t buffer, uint32_t base, uint32_t chunk);

/* One value a query head, for the same. */
struct access attention_by_head(uint32_t buffer, uint32_t base, uint32_t heads, uint32_t chunk);

/* Appends k and v of the step's tokens to the cache. */
void attention_append(struct attention *a);
/* Scales of K (times 1/sqrt(head_dim)) and V, lanes = positions: vector tile * kv_heads + head. */
void attention_scales(struct attention *a, uint32_t scales[2]);
/* Fills in weight_up, weight_down, output_up and the result's scale. */
void attention_bounds(struct attention *a);

#endif
