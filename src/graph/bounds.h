/*
 * Exponents that are known before the values they hold: docs/NUMERICS.md, NORM_LINEAR and
 * ATTENTION.
 */
#ifndef GRAPH_BOUNDS_H
#define GRAPH_BOUNDS_H

#include "graph/graph.h"

/* Requires: the operations listed. Says in the matrices what is wanted of their outputs, and
 * reserves the exponents. */
void bounds_list(const struct graph *graph);
size_t bounds_arena_bytes(const struct model *model);

#endif
