/*
 * Exponents that are known before the values they hold: docs/NUMERICS.md, NORM_LINEAR and
 * ATTENTION.
 */
#ifndef GRAPH_BOUNDS_H
#define GRAPH_BOUNDS_H

#include "graph/graph.h"

/* Requires: a graph whose weights have been read. Fills in growth and head_exponents; takes `heads`
 * bytes a layer from the arena. */
void bounds_build(struct graph *graph, struct base_arena *arena);

#endif
