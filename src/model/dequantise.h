/*
 * Blocks of the quantised formats, widened to binary32. Layouts: ggml-common.h (structs block_*)
 * and ggml-quants.c of github.com/ggml-org/ggml, and the OCP Microscaling specification for MXFP4.
 *
 * Exact: a value is a product of a scale of at most 11 + 7 significant bits and an integer of at
 * most 7, which binary32 holds, or such a product plus or minus such an offset, rounded once.
 */
#ifndef MODEL_DEQUANTISE_H
#define MODEL_DEQUANTISE_H

#include <stddef.h>
#include <stdint.h>

/* Widens `count` elements, a whole number of blocks, that begin at data (no alignment asked). */
typedef void (*dequantise_row)(const unsigned char *data, size_t count, float *out);

void dequantise_f32(const unsigned char *data, size_t count, float *out);
void dequantise_f16(const unsigned char *data, size_t count, float *out);
void dequantise_bf16(const unsigned char *data, size_t count, float *out);
void dequantise_q8_0(const unsigned char *data, size_t count, float *out);
void dequantise_q4_0(const unsigned char *data, size_t count, float *out);
void dequantise_q4_1(const unsigned char *data, size_t count, float *out);
void dequantise_q5_0(const unsigned char *data, size_t count, float *out);
void dequantise_q5_1(const unsigned char *data, size_t count, float *out);
void dequantise_q2_k(const unsigned char *data, size_t count, float *out);
void dequantise_q3_k(const unsigned char *data, size_t count, float *out);
void dequantise_q4_k(const unsigned char *data, size_t count, float *out);
void dequantise_q5_k(const unsigned char *data, size_t count, float *out);
void dequantise_q6_k(const unsigned char *data, size_t count, float *out);
void dequantise_iq4_nl(const unsigned char *data, size_t count, float *out);
void dequantise_iq4_xs(const unsigned char *data, size_t count, float *out);
void dequantise_mxfp4(const unsigned char *data, size_t count, float *out);

#endif
