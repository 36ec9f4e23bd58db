/*
 * A model in plain binary32: weights as the file holds them, nothing quantised, sums in the order
 * of their index. What accuracy is measured against. It is no target: it shares no operation with
 * the numerics contract, and nobody is promised its bits (they are the same everywhere all the
 * same, since it calls no library function but sqrt).
 */
#ifndef GRAPH_BINARY32_H
#define GRAPH_BINARY32_H

#include "model/model.h"

struct binary32_weights; /* shared by any number of threads */
struct binary32;         /* one timeline: a cache and work space */

/* Memory: 4 bytes a weight. FORMAT for NaN and infinity, MEMORY. */
enum takt_status binary32_weights_create(struct binary32_weights **weights,
                                         const struct model *model, struct takt_error *error);
void binary32_weights_destroy(struct binary32_weights *weights);

/* context: positions the timeline holds; chunk: most tokens of a call. NULL when memory is short.
 */
struct binary32 *binary32_create(const struct binary32_weights *weights, uint32_t context,
                                 uint32_t chunk);
void binary32_destroy(struct binary32 *state);
/* Tokens at positions start .. start + count - 1, whose predecessors were given before; logits:
 * [count][vocab]. */
void binary32_step(struct binary32 *state, const uint32_t *tokens, uint32_t count, uint32_t start,
                   float *logits);

#endif
