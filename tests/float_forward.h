/*
 * The forward pass of every architecture in plain binary32, weights as the file holds them,
 * functions of the C library: what a model says before any quantisation. For comparisons only: it
 * shares nothing with the numerics contract, and its bits depend on the compiler and the library.
 */
#ifndef TESTS_FLOAT_FORWARD_H
#define TESTS_FLOAT_FORWARD_H

#include "model/model.h"

struct float_forward;

struct float_forward *float_forward_create(const struct model *model, uint32_t context);
void float_forward_destroy(struct float_forward *forward);
/* One token at `position`, whose predecessors were given before; logits[vocab]. */
void float_forward_step(struct float_forward *forward, uint32_t token, uint32_t position,
                        float *logits);

/* -ln of softmax(logits)[token], in binary64. */
double float_negative_log_likelihood(const float *logits, uint32_t vocab, uint32_t token);
/* KL divergence of softmax(q) from softmax(p), in nats. */
double float_divergence(const float *p, const float *q, uint32_t vocab);
/* Index of the largest; the lowest of equals. */
uint32_t float_top(const float *logits, uint32_t vocab);

#endif
