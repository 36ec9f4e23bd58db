/*
 * NEON with the dot product of signed bytes (arm64, ARMv8.2 dotprod). High bytes go in as they
 * are, less 128; low bytes less 128 too, and 128 times the sum of weights, which is -start, is
 * added. Where there is no start, no high byte is above 127 and low bytes are split in two: the
 * upper seven bits, counted twice, and the lowest.
 */
#include "native/kernels.h"

#ifdef __aarch64__
#include <arm_neon.h>
#include <sys/auxv.h>

#include "native/elementwise.h"

#define INLINE static inline __attribute__((always_inline))

static bool supported(void)
{
    const unsigned long dotprod = 1ul << 20; /* HWCAP_ASIMDDP */
    return (getauxval(AT_HWCAP) & dotprod) != 0;
}

INLINE int8x16_t four_bytes(const uint8_t *from, uint32_t flip)
{
    uint32_t word;
    memcpy(&word, from, sizeof word);
    return vreinterpretq_s8_u32(vdupq_n_u32(word ^ flip));
}

INLINE void finish(int32x4_t high, int32x4_t low, float *acc)
{
    vst1q_f32(acc, vfmaq_f32(vcvtq_f32_s32(low), vdupq_n_f32(256.0f), vcvtq_f32_s32(high)));
}

/* One token with half a panel. */
INLINE void biased(const int8_t *panel, const int32_t *start, uint32_t quads, const uint8_t *tile,
                   size_t stride, float *acc)
{
    int32x4_t high[4], low[4];
#pragma GCC unroll 4
    for (uint32_t i = 0; i < 4; i++) {
        high[i] = vdupq_n_s32(0);
        low[i] = vnegq_s32(vld1q_s32(start + 4 * i));
    }
    for (uint32_t q = 0; q < quads; q++) {
        const int8x16_t h = four_bytes(tile, 0x80808080u), l = four_bytes(tile + 4, 0x80808080u);
#pragma GCC unroll 4
        for (uint32_t i = 0; i < 4; i++) {
            const int8x16_t w = vld1q_s8(panel + 16 * i);
            high[i] = vdotq_s32(high[i], w, h);
            low[i] = vdotq_s32(low[i], w, l);
        }
        panel += NATIVE_PANEL_QUAD_BYTES;
        tile += stride;
    }
#pragma GCC unroll 4
    for (uint32_t i = 0; i < 4; i++)
        finish(high[i], low[i], acc + 4 * i);
}

INLINE void unbiased(const int8_t *panel, uint32_t quads, const uint8_t *tile, size_t stride,
                     float *acc)
{
    int32x4_t high[4], upper[4], lowest[4];
#pragma GCC unroll 4
    for (uint32_t i = 0; i < 4; i++)
        high[i] = upper[i] = lowest[i] = vdupq_n_s32(0);
    for (uint32_t q = 0; q < quads; q++) {
        const int8x16_t h = four_bytes(tile, 0);
        const uint8x16_t l = vreinterpretq_u8_s8(four_bytes(tile + 4, 0));
        const int8x16_t l7 = vreinterpretq_s8_u8(vshrq_n_u8(l, 1));
        const int8x16_t l1 = vreinterpretq_s8_u8(vandq_u8(l, vdupq_n_u8(1)));
#pragma GCC unroll 4
        for (uint32_t i = 0; i < 4; i++) {
            const int8x16_t w = vld1q_s8(panel + 16 * i);
            high[i] = vdotq_s32(high[i], w, h);
            upper[i] = vdotq_s32(upper[i], w, l7);
            lowest[i] = vdotq_s32(lowest[i], w, l1);
        }
        panel += NATIVE_PANEL_QUAD_BYTES;
        tile += stride;
    }
#pragma GCC unroll 4
    for (uint32_t i = 0; i < 4; i++)
        finish(high[i], vaddq_s32(vshlq_n_s32(upper[i], 1), lowest[i]), acc + 4 * i);
}

static void product(const int8_t *panel, const int32_t *start, uint32_t quads, const uint8_t *tile,
                    uint32_t tokens, const int8_t *next, uint32_t ahead, float *acc)
{
    (void)next; /* the processor's own prefetching keeps up with these */
    (void)ahead;
    const size_t stride = tokens * NATIVE_TOKEN_QUAD_BYTES;
    for (uint32_t half = 0; half < 2; half++)
        for (uint32_t m = 0; m < tokens; m++) {
            const uint8_t *from = tile + m * NATIVE_TOKEN_QUAD_BYTES;
            float *out = acc + m * NATIVE_PANEL + 16 * half;
            if (start != NULL)
                biased(panel + 64 * half, start + 16 * half, quads, from, stride, out);
            else
                unbiased(panel + 64 * half, quads, from, stride, out);
        }
}

NATIVE_PEAK(2)

const struct native_kernels native_kernels_neon = {
    .name = "neon",
    .supported = supported,
    .product = product,
    NATIVE_ELEMENTWISE,
};
#endif
