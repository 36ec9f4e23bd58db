/* MXM inner loops for AVX2 and FMA. Bits as in the plain kernel: the sums are integers. */
#include "chip/internal.h"

#ifdef __x86_64__
#include <immintrin.h>
#include <string.h>

#define AVX2 __attribute__((target("avx2,fma")))

static bool supported(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

/* Row pairs that contribute: which pair, and its two activations as int16 side by side. */
struct pairs {
    uint32_t count;
    uint16_t index[MACHINE_LANES_MAX / 2u];
    uint32_t values[MACHINE_LANES_MAX / 2u];
};

static void find_pairs(const struct chip_weights *weights, const uint8_t *activation,
                       bool is_signed, uint32_t lanes, struct pairs *pairs)
{
    uint32_t count = 0;
    for (uint32_t group = 0; group < lanes / MACHINE_WEIGHT_ROWS; group++) {
        if (!(weights->loaded >> group & 1u))
            continue;
        for (uint32_t pair = 8u * group; pair < 8u * group + 8u; pair++) {
            uint32_t even = activation[2u * pair], odd = activation[2u * pair + 1u];
            if ((even | odd) == 0)
                continue;
            if (is_signed) { /* sign-extend to 16 bits */
                even = (even ^ 0x80u) - 0x80u;
                odd = (odd ^ 0x80u) - 0x80u;
            }
            pairs->index[count] = (uint16_t)pair;
            pairs->values[count++] = (even & 0xFFFFu) | odd << 16;
        }
    }
    pairs->count = count;
}

/* `blocks` (1, 2 or 4) times 16 columns from `column` on: a pair of rows is 32 bytes for 16
 * columns. */
AVX2 static inline __attribute__((always_inline)) void columns(const int8_t *rows,
                                                               const struct pairs *pairs,
                                                               uint32_t lanes, uint32_t column,
                                                               uint32_t blocks, int32_t *out)
{
    __m256i sums[8];
    for (uint32_t i = 0; i < 2u * blocks; i++)
        sums[i] = _mm256_setzero_si256();
    for (uint32_t k = 0; k < pairs->count; k++) {
        const int8_t *row = rows + 2u * ((size_t)pairs->index[k] * lanes + column);
        __m256i value = _mm256_set1_epi32((int)pairs->values[k]);
        for (uint32_t i = 0; i < 2u * blocks; i++) {
            __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(row + 16u * i));
            sums[i] =
                _mm256_add_epi32(sums[i], _mm256_madd_epi16(_mm256_cvtepi8_epi16(bytes), value));
        }
    }
    for (uint32_t i = 0; i < 2u * blocks; i++)
        _mm256_storeu_si256((__m256i *)(void *)(out + column + 8u * i), sums[i]);
}

AVX2 static void product(struct chip_weights *weights, const uint8_t *activation, bool is_signed,
                         uint32_t lanes, uint32_t first, uint32_t end, int32_t *out)
{
    struct pairs pairs;
    find_pairs(weights, activation, is_signed, lanes, &pairs);
    uint32_t column = first;
    for (; column + 64u <= end; column += 64u)
        columns(weights->rows, &pairs, lanes, column, 4, out);
    for (; column < end; column += 16u)
        columns(weights->rows, &pairs, lanes, column, 1, out);
}

static void load(struct chip_weights *weights, uint32_t group, const uint8_t *const rows[16],
                 uint32_t lanes, uint32_t first, uint32_t end)
{
    chip_kernel_plain.load(weights, group, rows, lanes, first, end);
}

AVX2 static void fma_lanes(const uint32_t *a, uint32_t scale, const uint32_t *b, uint32_t lanes,
                           uint32_t *d)
{
    __m256 factor = _mm256_castsi256_ps(_mm256_set1_epi32((int)scale));
    for (uint32_t lane = 0; lane < lanes; lane += 8) {
        __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)(a + lane));
        __m256i y = _mm256_loadu_si256((const __m256i *)(const void *)(b + lane));
        __m256 z = _mm256_fmadd_ps(_mm256_castsi256_ps(x), factor, _mm256_castsi256_ps(y));
        _mm256_storeu_si256((__m256i *)(void *)(d + lane), _mm256_castps_si256(z));
    }
}

const struct chip_kernel chip_kernel_avx2 = {"avx2", supported,     load,     product,
                                             2,      chip_f16_avx2, fma_lanes};
#endif
