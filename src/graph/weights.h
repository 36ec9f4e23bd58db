/*
 * From a file's tensors to quantised matrices. The graph is listed first, which fixes where every
 * matrix lies; then all rows are read, checked and quantised, by as many threads as the machine
 * has: a row's result depends on that row alone.
 */
#ifndef GRAPH_WEIGHTS_H
#define GRAPH_WEIGHTS_H

#include "graph/graph.h"

/* One tensor to read: into a matrix, into `floats`, or only to look at. */
struct weights_job {
    const struct model_tensor *tensor;
    int8_t *weights; /* [rows][columns], with scales [rows]; NULL = not quantised */
    float *scales;
    float *floats; /* [rows][columns], binary32; NULL = not kept */
    float offset;  /* added to floats */
    /* Rows and vectors of q and k whose file pairs (i, i + rotary / 2) of a head of head_dim: they
     * are put where neighbours pair. 0 = as the file has them. */
    uint32_t head_dim, rotary;
};

struct weights {
    const struct model *model;
    struct base_arena *arena;
    struct weights_job *jobs;
    uint32_t job_count, job_capacity;
};

void weights_create(struct weights *weights, const struct model *model, struct base_arena *arena);
/* What graph_build takes from its arena for weights; counts what weights_create reserves. */
size_t weights_arena_bytes(const struct model *model);

/* Each reserves memory and a job; nothing is read until weights_run. bias: its data may be NULL. */
enum takt_status weights_matrix(struct weights *weights, const struct model_tensor *tensor,
                                const struct model_tensor *bias, uint32_t rotary,
                                const struct graph_matrix **matrix, struct takt_error *error);
const float *weights_gain(struct weights *weights, const struct model_tensor *tensor,
                          uint32_t rotary);
void weights_check(struct weights *weights, const struct model_tensor *tensor);

/* Reads everything. FORMAT for the first NaN or infinity, in the order of the jobs; MEMORY. */
enum takt_status weights_run(struct weights *weights, struct takt_error *error);

#endif
