/*
 * The fp16 sums for AVX2 and for AVX-512 with VNNI: for each pair of rows, one instruction
 * multiplies two digits and adds the products to a column's int32. Bits as in the plain kernel.
 */
#include "chip/internal.h"

#ifdef __x86_64__
#include <immintrin.h>
#include <string.h>

#define AVX2 __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))
#define INLINE inline __attribute__((always_inline))
#define SUMS (CHIP_F16_DIGITS * CHIP_F16_ACTIVATION_DIGITS)
#define PAIRS (CHIP_F16_ROWS / 2u)

/* The instructions below want weight digits and activation digits in use as constants. */
#define EACH_SHAPE(CALL)                                                                           \
    switch (weights->digits_used * 4u + activation->digits_used) {                                 \
    case 5: CALL(1, 1);                                                                            \
    case 6: CALL(1, 2);                                                                            \
    case 7: CALL(1, 3);                                                                            \
    case 8: CALL(1, 4);                                                                            \
    case 9: CALL(2, 1);                                                                            \
    case 10: CALL(2, 2);                                                                           \
    case 11: CALL(2, 3);                                                                           \
    case 12: CALL(2, 4);                                                                           \
    case 13: CALL(3, 1);                                                                           \
    case 14: CALL(3, 2);                                                                           \
    case 15: CALL(3, 3);                                                                           \
    default: CALL(3, 4);                                                                           \
    }

struct span {
    const struct chip_f16_weights *weights;
    const struct chip_f16_activation *activation;
    uint32_t weight_pair, pair, end; /* first pairs, and one past the last of the activation */
    uint32_t lanes, column;
};

static INLINE const int16_t *digits_at(const struct span *span, uint32_t pair, uint32_t digit)
{
    size_t row = (size_t)(span->weight_pair + pair - span->pair) * CHIP_F16_DIGITS + digit;
    return span->weights->digits + (row * span->lanes + span->column) * 2u;
}

/* Both rows' digit j of a pair. */
static INLINE int pair_at(const struct span *span, uint32_t pair, uint32_t digit)
{
    int value;
    memcpy(&value, &span->activation->digits[digit][2u * pair], sizeof value);
    return value;
}

/* ---- AVX2 ------------------------------------------------------------------------------------ */

/* digits[4 i + j][8]: sums of weight digit i times activation digit j, of 8 columns. */
AVX2 static INLINE void sum8(const struct span *span, uint32_t ni, uint32_t nj,
                             int32_t digits[SUMS][8])
{
    __m256i sums[SUMS];
    for (uint32_t k = 0; k < ni * nj; k++)
        sums[k] = _mm256_setzero_si256();
    for (uint32_t pair = span->pair; pair < span->end; pair++) {
        __m256i a[CHIP_F16_ACTIVATION_DIGITS];
        for (uint32_t j = 0; j < nj; j++)
            a[j] = _mm256_set1_epi32(pair_at(span, pair, j));
        for (uint32_t i = 0; i < ni; i++) {
            __m256i w = _mm256_loadu_si256((const __m256i *)(const void *)digits_at(span, pair, i));
            for (uint32_t j = 0; j < nj; j++)
                sums[i * nj + j] = _mm256_add_epi32(sums[i * nj + j], _mm256_madd_epi16(w, a[j]));
        }
    }
    for (uint32_t i = 0; i < ni; i++)
        for (uint32_t j = 0; j < nj; j++)
            _mm256_storeu_si256((__m256i *)(void *)digits[CHIP_F16_ACTIVATION_DIGITS * i + j],
                                sums[i * nj + j]);
}

AVX2 static void sum8_shape(const struct chip_f16_weights *weights,
                            const struct chip_f16_activation *activation, const struct span *span,
                            int32_t digits[SUMS][8])
{
#define CALL(ni, nj)                                                                               \
    sum8(span, ni, nj, digits);                                                                    \
    return
    EACH_SHAPE(CALL)
#undef CALL
}

AVX2 void chip_f16_avx2(const struct chip_f16_weights *weights,
                        const struct chip_f16_activation *activation, uint32_t first_pair,
                        uint32_t lanes, int64_t *low, int64_t *high)
{
    int32_t digits[SUMS][8];
    memset(digits, 0, sizeof digits);
    memset(low, 0, lanes * sizeof *low);
    memset(high, 0, lanes * sizeof *high);
    for (uint32_t column = 0; column < lanes; column += 8u) {
        for (uint32_t pair = 0; pair < activation->rows / 2u; pair += PAIRS) {
            const struct span span = {weights,
                                      activation,
                                      first_pair + pair,
                                      pair,
                                      BASE_MIN(pair + PAIRS, activation->rows / 2u),
                                      lanes,
                                      column};
            sum8_shape(weights, activation, &span, digits);
            chip_f16_combine(digits[0], 8, 8, low + column, high + column);
        }
    }
}

/* ---- AVX-512 --------------------------------------------------------------------------------- */

/* Adds one shifted half of 8 columns' sums. */
AVX512 static INLINE __m512i add_shifted(__m512i to, __m256i sums, uint32_t shift)
{
    return _mm512_add_epi64(to, _mm512_slli_epi64(_mm512_cvtepi32_epi64(sums), shift));
}

/* Adds the digit sums of 16 columns to low + 2^32 high: chip_f16_combine. */
AVX512 static INLINE void combine16(const __m512i *sums, uint32_t ni, uint32_t nj, int64_t *low,
                                    int64_t *high)
{
    for (uint32_t half = 0; half < 2; half++) {
        __m512i below = _mm512_loadu_si512(low + 8u * half);
        __m512i above = _mm512_loadu_si512(high + 8u * half);
        for (uint32_t i = 0; i < ni; i++) {
            for (uint32_t j = 0; j < nj; j++) {
                const uint32_t shift = CHIP_F16_WEIGHT_BITS * i + CHIP_F16_ACTIVATION_BITS * j;
                const __m256i part = half == 0 ? _mm512_castsi512_si256(sums[i * nj + j])
                                               : _mm512_extracti64x4_epi64(sums[i * nj + j], 1);
                if (shift < 32)
                    below = add_shifted(below, part, shift);
                else
                    above = add_shifted(above, part, shift - 32u);
            }
        }
        above = _mm512_add_epi64(above, _mm512_srai_epi64(below, 32));
        below = _mm512_and_si512(below, _mm512_set1_epi64(0xFFFFFFFF));
        _mm512_storeu_si512(low + 8u * half, below);
        _mm512_storeu_si512(high + 8u * half, above);
    }
}

/* 16 * blocks columns from span->column on. */
AVX512 static INLINE void sum16(const struct span *span, uint32_t ni, uint32_t nj, uint32_t blocks,
                                int64_t *low, int64_t *high)
{
    __m512i sums[2][SUMS];
    for (uint32_t b = 0; b < blocks; b++)
        for (uint32_t k = 0; k < ni * nj; k++)
            sums[b][k] = _mm512_setzero_si512();
    for (uint32_t pair = span->pair; pair < span->end; pair++) {
        __m512i a[CHIP_F16_ACTIVATION_DIGITS];
        for (uint32_t j = 0; j < nj; j++)
            a[j] = _mm512_set1_epi32(pair_at(span, pair, j));
        for (uint32_t i = 0; i < ni; i++) {
            const int16_t *digits = digits_at(span, pair, i);
            for (uint32_t b = 0; b < blocks; b++) {
                __m512i w = _mm512_loadu_si512(digits + 32u * b);
                for (uint32_t j = 0; j < nj; j++)
                    sums[b][i * nj + j] = _mm512_dpwssd_epi32(sums[b][i * nj + j], w, a[j]);
            }
        }
    }
    for (uint32_t b = 0; b < blocks; b++)
        combine16(sums[b], ni, nj, low + span->column + 16u * b, high + span->column + 16u * b);
}

/* Two blocks at once where their sums fit the registers. */
AVX512 static INLINE void sum_shape(struct span *span, uint32_t ni, uint32_t nj, int64_t *low,
                                    int64_t *high)
{
    if (ni * nj <= 8u)
        for (; span->column + 32u <= span->lanes; span->column += 32u)
            sum16(span, ni, nj, 2, low, high);
    for (; span->column < span->lanes; span->column += 16u)
        sum16(span, ni, nj, 1, low, high);
}

AVX512 static void sum_all(const struct chip_f16_weights *weights,
                           const struct chip_f16_activation *activation, struct span *span,
                           int64_t *low, int64_t *high)
{
#define CALL(ni, nj)                                                                               \
    sum_shape(span, ni, nj, low, high);                                                            \
    return
    EACH_SHAPE(CALL)
#undef CALL
}

AVX512 void chip_f16_avx512(const struct chip_f16_weights *weights,
                            const struct chip_f16_activation *activation, uint32_t first_pair,
                            uint32_t lanes, int64_t *low, int64_t *high)
{
    memset(low, 0, lanes * sizeof *low);
    memset(high, 0, lanes * sizeof *high);
    for (uint32_t pair = 0; pair < activation->rows / 2u; pair += PAIRS) {
        struct span span = {weights,
                            activation,
                            first_pair + pair,
                            pair,
                            BASE_MIN(pair + PAIRS, activation->rows / 2u),
                            lanes,
                            0};
        sum_all(weights, activation, &span, low, high);
    }
}
#endif
