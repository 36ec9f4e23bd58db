/*
 * The reference: the numerics contract in its plainest form. Loops over logical elements, one file,
 * no lanes, no tiles, no tricks; slow on purpose. Chip and native must give its bits.
 */
#ifndef GRAPH_REFERENCE_H
#define GRAPH_REFERENCE_H

#include "graph/graph.h"

struct reference; /* a graph, its KV cache and work space */

enum takt_status reference_create(struct reference **reference, const struct graph *graph,
                                  uint32_t context, uint32_t chunk_max, struct takt_error *error);
void reference_destroy(struct reference *reference);
/* Runs `count` tokens at positions start .. start + count - 1; logits: [count][vocab]. The cache
 * must hold exactly the positions before start (later ones are overwritten). */
void reference_step(struct reference *reference, const uint32_t *tokens, uint32_t count,
                    uint32_t start, float *logits);
/* The named tensor's values of the last step, [count][width], for debugging; NULL if no such name.
 */
const float *reference_tensor(const struct reference *reference, const char *name, uint32_t *width);

#endif
