/*
 * The elementwise kernels in a form that compilers vectorise: no calls, no branches, selections of
 * values only. Each level's file includes this once and compiles it with its own flags. The
 * expressions are those of num (src/num/functions.c, convert.c, quantise.c) operation by
 * operation, so the bits are the same; tests/test_native.c compares them.
 */
#ifndef NATIVE_ELEMENTWISE_H
#define NATIVE_ELEMENTWISE_H

#include "native/kernels.h"

#include <math.h>
#include <string.h>

#include "num/num.h"

enum { CHUNK = 64 };

static inline uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Nearest integer, ties to even, within the bounds, NaN to 0. Adding 1.5 * 2^23 to a number below
 * 2^22 rounds it to an integer and leaves that in the low bits. */
static inline int32_t nearest(float x, float minimum, float maximum)
{
    x = x == x ? x : 0.0f;
    x = x > minimum ? x : minimum;
    x = x < maximum ? x : maximum;
    return (int32_t)(bits_of(x + 0x1.8p23f) - bits_of(0x1.8p23f));
}

/* num_exp */
static inline float exp_of(float x)
{
    const double magic = 0x1.8p52;
    double t = (double)x * 0x1.71547652b82fep+0 + magic;
    double n = t - magic;
    double r = ((double)x - n * 0x1.62e42feep-1) - n * 0x1.a39ef35793c76p-33;
    double p = 1.0 / 6227020800.0;
    p = p * r + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    uint64_t bits;
    memcpy(&bits, &t, sizeof bits);
    bits = (bits - 0x4338000000000000u + 1023u) << 52; /* the pattern of 2^n */
    double power;
    memcpy(&power, &bits, sizeof power);
    float y = (float)(p * power);
    y = x < -87.33654f ? 0.0f : y;
    y = x > 88.72283f ? float_of(0x7F800000u) : y;
    return x == x ? y : float_of(0x7FC00000u);
}

/* ---- products' surroundings ------------------------------------------------------------------ */

static inline void scale_(const float *acc, const float *scales, float factor, const float *bias,
                          const float *add, uint32_t n, float *out)
{
    for (uint32_t i = 0; i < n; i++)
        out[i] = acc[i] * scales[i] * factor;
    if (bias != NULL)
        for (uint32_t i = 0; i < n; i++)
            out[i] = out[i] + bias[i];
    if (add != NULL)
        for (uint32_t i = 0; i < n; i++)
            out[i] = add[i] + out[i];
}

static inline uint8_t exponent_(const float *x, const float *gain, uint32_t n)
{
    uint32_t largest = NUM_EXPONENT_MIN << 23;
    if (gain != NULL)
        for (uint32_t i = 0; i < n; i++) {
            uint32_t own = bits_of(x[i] * gain[i]) & 0x7FFFFFFFu;
            largest = own > largest ? own : largest;
        }
    else
        for (uint32_t i = 0; i < n; i++) {
            uint32_t own = bits_of(x[i]) & 0x7FFFFFFFu;
            largest = own > largest ? own : largest;
        }
    return (uint8_t)(largest >> 23);
}

/* Numbers 0..65535 as high and low bytes into quads. */
static inline void put_quads(const uint32_t *values, uint32_t n, uint8_t *out, size_t stride)
{
    uint8_t high[CHUNK], low[CHUNK];
    for (uint32_t i = 0; i < CHUNK; i++) {
        high[i] = (uint8_t)(values[i] >> 8);
        low[i] = (uint8_t)values[i];
    }
    for (uint32_t i = 0; i < n; i += 4) {
        memcpy(out + i / 4 * stride, high + i, 4);
        memcpy(out + i / 4 * stride + 4, low + i, 4);
    }
}

static inline void quantise_(const float *x, const float *gain, uint32_t n, uint8_t exponent,
                             uint8_t *out, size_t stride)
{
    const float up = num_scale_up(exponent);
    for (uint32_t from = 0; from < n; from += CHUNK) {
        const uint32_t count = n - from < CHUNK ? n - from : CHUNK;
        float y[CHUNK] = {0};
        uint32_t values[CHUNK];
        memcpy(y, x + from, count * sizeof *y);
        if (gain != NULL)
            for (uint32_t i = 0; i < count; i++)
                y[i] = y[i] * gain[from + i];
        for (uint32_t i = 0; i < CHUNK; i++)
            values[i] = (uint32_t)(nearest(y[i] * up, -32768.0f, 32767.0f) + 32768);
        put_quads(values, count, out + from / 4 * stride, stride);
    }
}

static inline void squares_(const float *x, uint32_t n, uint8_t exponent, int32_t sums[4])
{
    const float up = num_scale_up(exponent);
    uint32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (uint32_t i = 0; i < n; i++) {
        int32_t x16 = nearest(x[i] * up, -32768.0f, 32767.0f);
        uint32_t square = (uint32_t)(x16 * x16);
        s0 += square & 255u;
        s1 += square >> 8 & 255u;
        s2 += square >> 16 & 255u;
        s3 += square >> 24;
    }
    sums[0] = (int32_t)s0;
    sums[1] = (int32_t)s1;
    sums[2] = (int32_t)s2;
    sums[3] = (int32_t)s3;
}

/* ---- elementwise ----------------------------------------------------------------------------- */

static inline void add_(const float *x, const float *y, uint32_t n, float *out)
{
    for (uint32_t i = 0; i < n; i++)
        out[i] = x[i] + y[i];
}

static inline void swiglu_(const float *restrict gate, const float *restrict up, uint32_t n,
                           float *restrict out)
{
    for (uint32_t i = 0; i < n; i++) {
        float t = exp_of(gate[i] * -1.0f);
        t = t + 1.0f;
        out[i] = gate[i] / t * up[i];
    }
}

static inline void geglu_(const float *restrict gate, const float *restrict up, uint32_t n,
                          float *restrict out)
{
    for (uint32_t i = 0; i < n; i++) {
        float x = gate[i];
        float t = x * x;
        t = t * NUM_GELU_C3;
        t = t + NUM_GELU_C1;
        t = t * x;
        t = exp_of(t);
        t = t + 1.0f;
        out[i] = x / t * up[i];
    }
}

static inline void softcap_(const float *x, float cap, uint32_t n, float *out)
{
    for (uint32_t i = 0; i < n; i++) {
        float t = x[i] * (2.0f / cap);
        t = exp_of(t);
        t = t + 1.0f;
        t = (cap * -2.0f) / t;
        out[i] = t + cap;
    }
}

static inline void norm_(const float *x, float factor, const float *gain, uint32_t n, float *out)
{
    for (uint32_t i = 0; i < n; i++)
        out[i] = x[i] * factor * gain[i];
}

static inline void rope_(const float *restrict x, const float *restrict cosines,
                         const float *restrict sines, uint32_t n, float *restrict out)
{
    for (uint32_t i = 0; i < n; i += 2) {
        out[i] = x[i] * cosines[i] + x[i + 1] * sines[i];
        out[i + 1] = x[i + 1] * cosines[i + 1] + x[i] * sines[i + 1];
    }
}

/* ---- attention ------------------------------------------------------------------------------- */

static inline uint8_t code_(const float *x, uint32_t n)
{
    uint32_t largest = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t own = bits_of(x[i]) & 0x7FFFFFFFu;
        largest = own > largest ? own : largest;
    }
    return num_code(float_of(largest));
}

static inline void code_quantise_(const float *x, uint32_t n, uint8_t code, int8_t *out)
{
    const float factor = 127.0f / num_code_bound(code);
    for (uint32_t i = 0; i < n; i++)
        out[i] = (int8_t)nearest(x[i] * factor, -128.0f, 127.0f);
}

static inline void scores_(const float *acc, float down, const float *scales, uint32_t n,
                           float *out)
{
    for (uint32_t i = 0; i < n; i++)
        out[i] = acc[i] * down * scales[i];
}

static inline float denominator_(const uint32_t sums[3])
{
    float t = fmaf(256.0f, (float)(int32_t)sums[2], (float)(int32_t)sums[1]);
    t = fmaf(256.0f, t, (float)(int32_t)sums[0]);
    return t * 0x1p-23f;
}

static inline float softmax_(float *score, const float *v_scales, uint32_t first, uint32_t n,
                             uint8_t exponent, uint32_t quads, uint8_t *out, size_t stride)
{
    const float up = num_scale_up(exponent);
    float largest = score[first];
    for (uint32_t p = first + 1; p < n; p++)
        largest = largest > score[p] ? largest : score[p];
    uint32_t sums[3] = {0, 0, 0};
    for (uint32_t from = 0; from < 4 * quads; from += CHUNK) {
        const uint32_t count = 4 * quads - from < CHUNK ? 4 * quads - from : CHUNK;
        float e[CHUNK] = {0}, scales[CHUNK] = {0};
        uint32_t values[CHUNK], s0 = 0, s1 = 0, s2 = 0;
        memcpy(scales, v_scales + from, count * sizeof *scales);
        memcpy(e, score + from, count * sizeof *e);
        for (uint32_t i = 0; i < CHUNK; i++) {
            const bool seen = from + i >= first && from + i < n;
            e[i] = seen ? exp_of(e[i] - largest) : 0.0f;
            scales[i] = seen ? scales[i] : 0.0f;
        }
        for (uint32_t i = 0; i < CHUNK; i++) {
            /* At most 2^23: adding 2^23 rounds to an integer, too. */
            uint32_t fixed = bits_of(e[i] * 8388608.0f + 8388608.0f) - bits_of(8388608.0f);
            s0 += fixed & 255u;
            s1 += fixed >> 8 & 255u;
            s2 += fixed >> 16;
            values[i] = (uint32_t)nearest(e[i] * scales[i] * up, -32768.0f, 32767.0f);
        }
        sums[0] += s0;
        sums[1] += s1;
        sums[2] += s2;
        put_quads(values, count, out + from / 4 * stride, stride);
    }
    return denominator_(sums);
}

/* ---- measuring ------------------------------------------------------------------------------- */

static inline uint64_t read_(const void *data, size_t bytes)
{
    const unsigned char *from = data;
    uint64_t sums[32] = {0};
    for (size_t i = 0; i < bytes; i += sizeof sums) {
        uint64_t words[32];
        memcpy(words, from + i, sizeof words);
        for (uint32_t j = 0; j < 32; j++)
            sums[j] += words[j];
    }
    uint64_t sum = 0;
    for (uint32_t j = 0; j < 32; j++)
        sum += sums[j];
    return sum;
}

/* The rate of a level's own product, from the first cache. */
#define NATIVE_PEAK(tile_tokens)                                                                   \
    enum { PEAK_QUADS = 64, PEAK_OPS = 16 * PEAK_QUADS * (int)NATIVE_PANEL * tile_tokens };        \
    static uint64_t peak(uint32_t rounds)                                                          \
    {                                                                                              \
        static const int8_t panel[PEAK_QUADS * NATIVE_PANEL_QUAD_BYTES];                           \
        static const uint8_t tile[PEAK_QUADS * tile_tokens * NATIVE_TOKEN_QUAD_BYTES];             \
        float acc[tile_tokens * NATIVE_PANEL];                                                     \
        uint64_t sum = 0;                                                                          \
        for (uint32_t i = 0; i < rounds; i++) {                                                    \
            product(panel, NULL, PEAK_QUADS, tile, tile_tokens, NULL, 0, acc);                     \
            sum += bits_of(acc[0]);                                                                \
        }                                                                                          \
        return sum;                                                                                \
    }

/* ---- weights --------------------------------------------------------------------------------- */

static inline void channel_(const float *weights, uint32_t n, int8_t *out, float *scale)
{
    uint32_t largest = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t own = bits_of(weights[i]) & 0x7FFFFFFFu;
        largest = own > largest ? own : largest;
    }
    *scale = float_of(largest) / 127.0f;
    const float divisor = *scale > 0.0f ? *scale : 1.0f;
    const float bound = *scale > 0.0f ? 127.0f : 0.0f;
    for (uint32_t i = 0; i < n; i++)
        out[i] = (int8_t)nearest(weights[i] / divisor, -bound, bound);
}

/* An f16's bits stand 13 places to the left and its exponent is 112 too small: a product with a
 * power of two, exact for subnormals too. Infinity and NaN get their exponent back. */
static inline float half_at(const unsigned char *data)
{
    uint32_t half = (uint32_t)data[0] | (uint32_t)data[1] << 8;
    uint32_t bits = bits_of(float_of((half & 0x7FFFu) << 13) * 0x1p112f);
    uint32_t special = (half & 0x7C00u) == 0x7C00u ? 0x7F800000u : 0u;
    return float_of(bits | special | (half & 0x8000u) << 16);
}

static inline void blocks_(const unsigned char *data, uint32_t n, int8_t *out, float *scale)
{
    enum { BLOCK = 32, BLOCK_BYTES = 34 };
    uint32_t largest = 0;
    for (uint32_t i = 0; i < n / BLOCK; i++) {
        const float factor = half_at(data + (size_t)i * BLOCK_BYTES);
        int8_t bytes[BLOCK];
        memcpy(bytes, data + (size_t)i * BLOCK_BYTES + 2, BLOCK);
        for (uint32_t j = 0; j < BLOCK; j++) {
            uint32_t own = bits_of(factor * (float)bytes[j]) & 0x7FFFFFFFu;
            largest = own > largest ? own : largest;
        }
    }
    *scale = float_of(largest) / 127.0f;
    const float divisor = *scale > 0.0f ? *scale : 1.0f;
    const float bound = *scale > 0.0f ? 127.0f : 0.0f;
    for (uint32_t i = 0; i < n / BLOCK; i++) {
        const float factor = half_at(data + (size_t)i * BLOCK_BYTES);
        int8_t bytes[BLOCK];
        memcpy(bytes, data + (size_t)i * BLOCK_BYTES + 2, BLOCK);
        for (uint32_t j = 0; j < BLOCK; j++)
            out[i * BLOCK + j] = (int8_t)nearest(factor * (float)bytes[j] / divisor, -bound, bound);
    }
}

/* Quad by quad, all channels side by side. */
static inline void panel_(const int8_t *channels, size_t stride, uint32_t quads, int8_t *out,
                          int32_t *sums)
{
    for (uint32_t q = 0; q < quads; q++)
        for (uint32_t lane = 0; lane < NATIVE_PANEL; lane++)
            memcpy(out + (size_t)q * NATIVE_PANEL_QUAD_BYTES + 4 * lane,
                   channels + lane * stride + 4 * q, 4);
    for (uint32_t lane = 0; lane < NATIVE_PANEL; lane++) {
        int32_t sum = 0;
        for (uint32_t k = 0; k < 4 * quads; k++)
            sum += channels[lane * stride + k];
        sums[lane] = sum;
    }
}

/* All of the table but name, supported and product. */
#define NATIVE_ELEMENTWISE                                                                         \
    .scale = scale_, .exponent = exponent_, .quantise = quantise_, .squares = squares_,            \
    .add = add_, .swiglu = swiglu_, .geglu = geglu_, .softcap = softcap_, .norm = norm_,           \
    .rope = rope_, .code = code_, .code_quantise = code_quantise_, .scores = scores_,              \
    .softmax = softmax_, .read = read_, .peak = peak, .peak_ops = PEAK_OPS, .channel = channel_,   \
    .blocks = blocks_, .panel = panel_

#endif
