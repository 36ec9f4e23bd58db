/*
 * The inner loops, one table of them a level of instruction set, all with the same bits. scalar.c
 * is the plain text (it calls num); elementwise.h is the same in a form compilers vectorise,
 * compiled into each other level with that level's flags; products are written by hand.
 *
 * Layouts shared by all levels:
 *   panel  [quads][32][4] signed bytes: 32 outputs, contraction in quads of four elements
 *   tile   [quads][tokens][8] bytes: of each token 4 high bytes, then 4 low bytes. An activation
 *          a16 goes in as a16 + 32768, whose bytes are both unsigned: the high one is high + 128,
 *          so its sum is too large by 128 times the output's sum of weights, which `start` takes
 *          away before the first product.
 */
#ifndef NATIVE_KERNELS_H
#define NATIVE_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NATIVE_PANEL 32u /* outputs of a panel */
#define NATIVE_TILE 6u   /* most tokens of a tile */
#define NATIVE_PANEL_QUAD_BYTES (4u * NATIVE_PANEL)
#define NATIVE_TOKEN_QUAD_BYTES 8u

struct native_kernels {
    const char *name;
    bool (*supported)(void);

    /* acc[token][32] = fma(256, f32(sum of high bytes), f32(sum of low bytes)). start: [32], what
     * the sums of high bytes begin with, or NULL: zeros, and no high byte is above 127. next: what
     * to fetch from memory meanwhile, `ahead` bytes (at most 128) for each quad; or NULL. */
    void (*product)(const int8_t *panel, const int32_t *start, uint32_t quads, const uint8_t *tile,
                    uint32_t tokens, const int8_t *next, uint32_t ahead, float *acc);
    /* out[i] = (acc[i] * scales[i]) * factor; with bias: that + bias[i]; with add: add[i] + that.
     */
    void (*scale)(const float *acc, const float *scales, float factor, const float *bias,
                  const float *add, uint32_t n, float *out);

    /* Of one token: x[n], times gain[n] unless that is NULL. */
    uint8_t (*exponent)(const float *x, const float *gain, uint32_t n);
    /* Into a tile: out is the token's place in quad 0, stride the bytes from quad to quad; the last
     * quad is filled up with zeros. */
    void (*quantise)(const float *x, const float *gain, uint32_t n, uint8_t exponent, uint8_t *out,
                     size_t stride);
    /* sums[b] = sum of byte b of the squares of x quantised. */
    void (*squares)(const float *x, uint32_t n, uint8_t exponent, int32_t sums[4]);

    void (*add)(const float *x, const float *y, uint32_t n, float *out);
    void (*swiglu)(const float *gate, const float *up, uint32_t n, float *out);
    void (*geglu)(const float *gate, const float *up, uint32_t n, float *out);
    void (*softcap)(const float *x, float cap, uint32_t n, float *out); /* out may be x */
    /* out[i] = (x[i] * factor) * gain[i] */
    void (*norm)(const float *x, float factor, const float *gain, uint32_t n, float *out);
    /* cosines[i], sines[i] for each element: c, c and -s, s of a pair. */
    void (*rope)(const float *x, const float *cosines, const float *sines, uint32_t n, float *out);

    /* The scale code of a head's key or value, and its bytes. */
    uint8_t (*code)(const float *x, uint32_t n);
    void (*code_quantise)(const float *x, uint32_t n, uint8_t code, int8_t *out);

    /* out[i] = (acc[i] * down) * scales[i] */
    void (*scores)(const float *acc, float down, const float *scales, uint32_t n, float *out);
    /* Scores of a query over positions first .. n - 1 become the weights of their values in a tile
     * (high byte not biased), zeros elsewhere in the 4 * quads positions. Returns the denominator.
     * score and v_scales are 64-byte aligned; both may be read, and score overwritten,
     * up to the next multiple of 32.
     */
    float (*softmax)(float *score, const float *v_scales, uint32_t first, uint32_t n,
                     uint8_t exponent, uint32_t quads, uint8_t *out, size_t stride);

    /* For measuring what the machine can do. Reads bytes (a multiple of 256), returns a sum of
     * them; runs `rounds` times peak_ops multiplications and additions of bytes. */
    uint64_t (*read)(const void *data, size_t bytes);
    uint64_t (*peak)(uint32_t rounds);
    uint32_t peak_ops; /* of a round */

    /* One channel of weights to bytes (num_quantise_channel). A scale that is no finite number says
     * that a weight is none. */
    void (*channel)(const float *weights, uint32_t n, int8_t *out, float *scale);
    /* The same of a row of Q8_0, whose blocks of 32 are an f16 factor and 32 bytes; n is a multiple
     * of 32. */
    void (*blocks)(const unsigned char *data, uint32_t n, int8_t *out, float *scale);
    /* 32 channels, of 4 * quads bytes and `stride` (a multiple of 64) apart, into a panel; what
     * lies beyond up to the stride may be read. sums[32]: of each channel. */
    void (*panel)(const int8_t *channels, size_t stride, uint32_t quads, int8_t *out,
                  int32_t *sums);
};

extern const struct native_kernels native_kernels_scalar;
#ifdef __x86_64__
extern const struct native_kernels native_kernels_avx2, native_kernels_avx_vnni,
    native_kernels_avx512;
#endif
#ifdef __aarch64__
extern const struct native_kernels native_kernels_neon;
#endif

/* Plainest first; NULL beyond the last. */
const struct native_kernels *native_kernels_at(size_t index);

#endif
