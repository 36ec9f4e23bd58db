/*
 * AVX2, without a byte product that does not saturate: weights and activations are widened to 16
 * bits and vpmaddwd adds pairs of products, exactly, into 32 bits. A panel is taken in four groups
 * of eight outputs, so that the sums of two tokens fit the registers.
 */
#include "native/kernels.h"

#ifdef __x86_64__
#include <immintrin.h>

#include "native/elementwise.h"

#define INLINE static inline __attribute__((always_inline))

static bool supported(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

/* Sums of one token with eight outputs: [high, low][outputs 0-3, 4-7], two sums an output. */
struct sums {
    __m256i of[2][2];
};

INLINE void quad(const int8_t *weights, const uint8_t *tile, const uint32_t tokens,
                 struct sums *sums)
{
    const __m256i w0 =
        _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)weights));
    const __m256i w1 =
        _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(weights + 16)));
#pragma GCC unroll 2
    for (uint32_t m = 0; m < tokens; m++) {
        const __m128i bytes =
            _mm_loadl_epi64((const __m128i *)(const void *)(tile + m * NATIVE_TOKEN_QUAD_BYTES));
        const __m128i words = _mm_cvtepu8_epi16(bytes);
        const __m256i high = _mm256_broadcastq_epi64(words);
        const __m256i low = _mm256_broadcastq_epi64(_mm_unpackhi_epi64(words, words));
        struct sums *s = &sums[m];
        s->of[0][0] = _mm256_add_epi32(s->of[0][0], _mm256_madd_epi16(w0, high));
        s->of[0][1] = _mm256_add_epi32(s->of[0][1], _mm256_madd_epi16(w1, high));
        s->of[1][0] = _mm256_add_epi32(s->of[1][0], _mm256_madd_epi16(w0, low));
        s->of[1][1] = _mm256_add_epi32(s->of[1][1], _mm256_madd_epi16(w1, low));
    }
}

/* Adds the two sums of each of eight outputs, in their order. */
INLINE __m256i join(const __m256i of[2])
{
    return _mm256_permute4x64_epi64(_mm256_hadd_epi32(of[0], of[1]), 0xD8);
}

INLINE void group_of(const int8_t *panel, const int32_t *start, uint32_t quads, const uint8_t *tile,
                     size_t stride, const uint32_t tokens, float *acc)
{
    struct sums sums[2];
#pragma GCC unroll 2
    for (uint32_t m = 0; m < tokens; m++)
        for (uint32_t i = 0; i < 4; i++)
            sums[m].of[i / 2][i % 2] = _mm256_setzero_si256();
    for (uint32_t q = 0; q < quads; q++)
        quad(panel + (size_t)q * NATIVE_PANEL_QUAD_BYTES, tile + q * stride, tokens, sums);
#pragma GCC unroll 2
    for (uint32_t m = 0; m < tokens; m++) {
        __m256i high = join(sums[m].of[0]);
        if (start != NULL)
            high = _mm256_add_epi32(high, _mm256_loadu_si256((const __m256i *)(const void *)start));
        _mm256_storeu_ps(acc + m * NATIVE_PANEL,
                         _mm256_fmadd_ps(_mm256_set1_ps(256.0f), _mm256_cvtepi32_ps(high),
                                         _mm256_cvtepi32_ps(join(sums[m].of[1]))));
    }
}

static void product(const int8_t *panel, const int32_t *start, uint32_t quads, const uint8_t *tile,
                    uint32_t tokens, const int8_t *next, uint32_t ahead, float *acc)
{
    (void)next; /* the processor's own prefetching keeps up with these */
    (void)ahead;
    const size_t stride = tokens * NATIVE_TOKEN_QUAD_BYTES;
    for (uint32_t group = 0; group < 4; group++) {
        const int8_t *weights = panel + 32 * group;
        const int32_t *begin = start != NULL ? start + 8 * group : NULL;
        float *out = acc + 8 * group;
        uint32_t m = 0;
        for (; m + 2 <= tokens; m += 2)
            group_of(weights, begin, quads, tile + m * NATIVE_TOKEN_QUAD_BYTES, stride, 2,
                     out + m * NATIVE_PANEL);
        if (m < tokens)
            group_of(weights, begin, quads, tile + m * NATIVE_TOKEN_QUAD_BYTES, stride, 1,
                     out + m * NATIVE_PANEL);
    }
}

NATIVE_PEAK(2)

const struct native_kernels native_kernels_avx2 = {
    .name = "avx2",
    .supported = supported,
    .product = product,
    NATIVE_ELEMENTWISE,
};
#endif
