/*
 * AVX-VNNI: the byte product of 256 bits, as processors without AVX-512 have it. A panel is taken
 * in two halves of two registers, so that the sums of three tokens fit the registers.
 */
#include "native/kernels.h"

#ifdef __x86_64__
#include <cpuid.h>
#include <immintrin.h>

#include "native/elementwise.h"

#define INLINE static inline __attribute__((always_inline))

/* CPUID leaf 7, subleaf 1, EAX bit 4; not every compiler has a name for it. */
static bool supported(void)
{
    unsigned a, b, c, d;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1u) != 0;
}

INLINE void multiply(__m256i *sum, __m256i unsigned_bytes, __m256i signed_bytes)
{
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(*sum) : "x"(unsigned_bytes), "x"(signed_bytes));
}

INLINE __m256i broadcast(const uint8_t *four_bytes)
{
    __m256i all;
    __asm__("vpbroadcastd %1, %0" : "=x"(all) : "m"(*(const uint8_t(*)[4])four_bytes));
    return all;
}

INLINE __m256i load(const int8_t *weights)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)weights);
}

INLINE void half_of(const int8_t *panel, const int32_t *start, uint32_t quads, const uint8_t *tile,
                    size_t stride, const uint32_t tokens, float *acc)
{
    __m256i high[3][2], low[3][2];
#pragma GCC unroll 3
    for (uint32_t m = 0; m < tokens; m++)
#pragma GCC unroll 2
        for (uint32_t i = 0; i < 2; i++) {
            high[m][i] = start != NULL
                             ? _mm256_loadu_si256((const __m256i *)(const void *)(start + 8 * i))
                             : _mm256_setzero_si256();
            low[m][i] = _mm256_setzero_si256();
        }
    for (uint32_t q = 0; q < quads; q++) {
        const __m256i w0 = load(panel), w1 = load(panel + 32);
#pragma GCC unroll 3
        for (uint32_t m = 0; m < tokens; m++) {
            const __m256i h = broadcast(tile + m * NATIVE_TOKEN_QUAD_BYTES);
            multiply(&high[m][0], h, w0);
            multiply(&high[m][1], h, w1);
            const __m256i l = broadcast(tile + m * NATIVE_TOKEN_QUAD_BYTES + 4);
            multiply(&low[m][0], l, w0);
            multiply(&low[m][1], l, w1);
        }
        panel += NATIVE_PANEL_QUAD_BYTES;
        tile += stride;
    }
#pragma GCC unroll 3
    for (uint32_t m = 0; m < tokens; m++)
#pragma GCC unroll 2
        for (uint32_t i = 0; i < 2; i++)
            _mm256_storeu_ps(acc + m * NATIVE_PANEL + 8 * i,
                             _mm256_fmadd_ps(_mm256_set1_ps(256.0f), _mm256_cvtepi32_ps(high[m][i]),
                                             _mm256_cvtepi32_ps(low[m][i])));
}

static void product(const int8_t *panel, const int32_t *start, uint32_t quads, const uint8_t *tile,
                    uint32_t tokens, const int8_t *next, uint32_t ahead, float *acc)
{
    (void)next; /* the processor's own prefetching keeps up with these */
    (void)ahead;
    const size_t stride = tokens * NATIVE_TOKEN_QUAD_BYTES;
    for (uint32_t half = 0; half < 2; half++)
        for (uint32_t m = 0; m < tokens; m += 3) {
            const int8_t *weights = panel + 64 * half;
            const int32_t *begin = start != NULL ? start + 16 * half : NULL;
            const uint8_t *from = tile + m * NATIVE_TOKEN_QUAD_BYTES;
            float *out = acc + m * NATIVE_PANEL + 16 * half;
            switch (tokens - m) {
            case 1: half_of(weights, begin, quads, from, stride, 1, out); break;
            case 2: half_of(weights, begin, quads, from, stride, 2, out); break;
            default: half_of(weights, begin, quads, from, stride, 3, out); break;
            }
        }
}

NATIVE_PEAK(3)

const struct native_kernels native_kernels_avx_vnni = {
    .name = "avx_vnni",
    .supported = supported,
    .product = product,
    NATIVE_ELEMENTWISE,
};
#endif
