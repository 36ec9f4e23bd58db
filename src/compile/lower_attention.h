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
    uint32_t first;                       /* of its tokens in the step */
    uint32_t turn;                        /* layers and users spread over the hemispheres */
    uint32_t blocks, first_block;         /* of sixteen positions that its tokens touch */
    const uint32_t *key_rows, *key_tiles, *values; /* the user's cache, [kv_words] */
    const char *mask; /* the input that says which positions a token sees */
    uint32_t q, k, v;
    /* What the values' codes bound, per KV head and token, and per token. */
    uint32_t weight_up, weight_down, output_up;
    struct attention_result result;
    uint32_t p16[KERNEL_INPUTS_MAX], ratio; /* weights of the values, and what divides their sums */
    uint32_t maximum_sets;  /* maxima of all items are found together, or of a KV head at a time */
    uint32_t value_scales;  /* V's */
    uint32_t codes, k8, v8; /* of the step's tokens: [2 * words * chunk], [words * chunk] */
    /*
     * A step of one token does not wait until its K has gone through the cache: `own` is true, the
     * cache counts as one position shorter, and the score of the own position is made beside it.
     */
    bool own;
    uint32_t k16;          /* [words] k8 as 16 bits */
    uint32_t own_sums[3];  /* [heads] int32: dot products of q16 and k8, by bytes of the products */
    uint32_t own_scale;    /* [kv_heads] binary32: of K */
    uint32_t own_codes[2]; /* [kv_heads] bytes in every lane: of K, of V */
};

/* KV heads in a word: the last word may hold fewer. */
uint32_t attention_word_heads(const struct attention *a, uint32_t word);
/* The binary32 temporary "attention.NAME.I". */
uint32_t attention_floats(const struct attention *a, uint32_t count, const char *name, uint32_t i);
/* An input the host fills in: maps and masks. */
uint32_t attention_map(struct compiler *c, const char *name, bool striped, uint32_t count);
/* One value a token, for bursts over (query head, token). */
struct access attention_by_token(uint32_t buffer, uint32_t base, uint32_t chunk);

/* Where the plan has put the word's cache, but for the ring of rows. */
uint32_t attention_hemisphere(const struct attention *a, uint32_t word);
/* Vectors of the tokens in a tensor of the whole step, from `piece` on; piece by piece. */
struct access attention_tokens(const struct attention *a, uint32_t buffer, uint32_t piece);
/* One value a query head, for bursts over (query head, token). */
struct access attention_by_head(uint32_t buffer, uint32_t base, uint32_t heads, uint32_t chunk);

/* Codes and bytes of the step's k and v. */
void attention_quantise(struct attention *a);
/* These into the cache. */
void attention_append_keys(struct attention *a);
void attention_append_values(struct attention *a);
/* U: the bound of a code, as ops. */
uint16_t attention_bound(struct compiler *c, uint16_t code);
/* Codes of a KV head that each token sees at the positions of tile t, else 0: [chunk]. */
uint32_t attention_seen(struct attention *a, uint32_t t, uint32_t kv);
/* Scales of K (times the graph's score_scale), and of V, lanes = positions: [tiles * kv_heads]. */
uint32_t attention_key_scales(struct attention *a);
uint32_t attention_value_scales(struct attention *a);
/* Fills in weight_up, weight_down, output_up and the result's scale. */
void attention_bounds(struct attention *a);

/* Scores of a KV head's items on their way to their maximum, and that. */
struct access attention_spread(struct attention *a, uint32_t kv);
struct access attention_maximum(struct attention *a, uint32_t kv);

/* In the open kernel of n scores from item `first` on: s, capped where the model caps scores. */
uint16_t attention_capped(struct attention *a, uint16_t s, uint32_t first, uint32_t n);

/* ---- the token's own position (lower_own.c) ---------------------------------------------------
 */

/* Its codes and its score; the scores with it, and a copy of them on their way to the maximum when
 * there is but one tile. */
void attention_own(struct attention *a);

#endif
