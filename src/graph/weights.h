/*
 * From a file's tensors to what a graph holds: vectors are read when the graph is listed, matrices
 * are quantised into an image when somebody wants one. All rows are read, checked and quantised by
 * as many threads as the machine has: a row's result depends on that row alone.
 */
#ifndef GRAPH_WEIGHTS_H
#define GRAPH_WEIGHTS_H

#include "graph/graph.h"

/* One tensor to read: into a matrix's image, into `floats`, or only to look at. */
struct weights_job {
    const struct model_tensor *tensor;
    struct graph_matrix *matrix; /* NULL = none */
    float *floats;               /* [rows][columns], binary32; NULL = not kept */
    float offset;                /* added to floats */
    uint32_t head_dim, rotary;   /* the order of floats' columns, as graph_matrix has it of rows */
};

struct weights {
    struct graph *graph;
    struct weights_job *jobs;
    uint32_t job_count, job_capacity;
    uint32_t matrix_capacity;
};

void weights_create(struct weights *weights, struct graph *graph);
/* What graph_build takes from its arena for weights; counts what weights_create reserves. */
size_t weights_arena_bytes(const struct model *model);

/* bias: its data may be NULL. Vectors have memory and a job, a matrix a place in the graph; nothing
 * is read until weights_run. */
enum takt_status weights_matrix(struct weights *weights, const struct model_tensor *tensor,
                                const struct model_tensor *bias, uint32_t rotary,
                                const struct graph_matrix **matrix, struct takt_error *error);
const float *weights_gain(struct weights *weights, const struct model_tensor *tensor,
                          uint32_t rotary);
void weights_check(struct weights *weights, const struct model_tensor *tensor);

/* Runs the jobs. FORMAT for the first NaN or infinity, in the order of the jobs; MEMORY. */
enum takt_status weights_run(struct weights *weights, struct takt_error *error);
/* The matrices' image; with `channels` each output goes through graph_channels. */
enum takt_status weights_image(const struct graph *graph, bool channels, struct takt_error *error);

#endif
