/*
 * MXM inner loops for AVX-512 with VNNI: four rows at a time. The instruction multiplies unsigned
 * by signed bytes, so signed activations go in as a + 128, and 128 times the column's sum of
 * weights is taken away again; exact, as everything is an integer.
 */
#include "chip/internal.h"

#ifdef __x86_64__
#include <immintrin.h>
#include <string.h>

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

static bool supported(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni") &&
           chip_kernel_avx2.supported();
}

/* Order: rows 4k .. 4k + 3 side by side, column by column. */
static void load(struct chip_weights *weights, uint32_t group, const uint8_t *const rows[16],
                 uint32_t lanes, uint32_t first, uint32_t end)
{
    for (uint32_t quad = 0; quad < 4; quad++) {
        const uint8_t *const *in = rows + 4u * quad;
        uint8_t *out = (uint8_t *)weights->rows + ((size_t)group * 4u + quad) * 4u * (size_t)lanes;
        for (uint32_t lane = first; lane < end; lane += 16) {
            __m128i r0 = _mm_loadu_si128((const __m128i *)(const void *)(in[0] + lane));
            __m128i r1 = _mm_loadu_si128((const __m128i *)(const void *)(in[1] + lane));
            __m128i r2 = _mm_loadu_si128((const __m128i *)(const void *)(in[2] + lane));
            __m128i r3 = _mm_loadu_si128((const __m128i *)(const void *)(in[3] + lane));
            __m128i low01 = _mm_unpacklo_epi8(r0, r1), high01 = _mm_unpackhi_epi8(r0, r1);
            __m128i low23 = _mm_unpacklo_epi8(r2, r3), high23 = _mm_unpackhi_epi8(r2, r3);
            __m128i *to = (__m128i *)(void *)(out + 4u * (size_t)lane);
            _mm_storeu_si128(to, _mm_unpacklo_epi16(low01, low23));
            _mm_storeu_si128(to + 1, _mm_unpackhi_epi16(low01, low23));
            _mm_storeu_si128(to + 2, _mm_unpacklo_epi16(high01, high23));
            _mm_storeu_si128(to + 3, _mm_unpackhi_epi16(high01, high23));
        }
    }
}

/* Row quads that contribute, and their four activations, biased when signed. */
struct quads {
    uint32_t count;
    uint16_t index[MACHINE_LANES_MAX / 4u];
    uint32_t values[MACHINE_LANES_MAX / 4u];
};

/* Zeros may be skipped only when there is no bias: what is taken away again covers all loaded rows.
 */
static void find_quads(const struct chip_weights *weights, const uint8_t *activation, uint32_t bias,
                       bool skip_zeros, uint32_t lanes, struct quads *quads)
{
    uint32_t count = 0;
    for (uint32_t group = 0; group < lanes / MACHINE_WEIGHT_ROWS; group++) {
        if (!(weights->loaded >> group & 1u))
            continue;
        for (uint32_t quad = 4u * group; quad < 4u * group + 4u; quad++) {
            uint32_t value;
            memcpy(&value, activation + 4u * quad, sizeof value);
            if (skip_zeros && value == 0)
                continue;
            quads->index[count] = (uint16_t)quad;
            quads->values[count++] = value ^ bias;
        }
    }
    quads->count = count;
}

/* 16 * blocks columns from `column` on; start: NULL for zeros, or what the sums begin with. */
AVX512 static inline __attribute__((always_inline)) void
columns(const int8_t *rows, const struct quads *quads, uint32_t lanes, uint32_t column,
        uint32_t blocks, const int32_t *start, int32_t *out)
{
    __m512i sums[5];
    for (uint32_t i = 0; i < blocks; i++)
        sums[i] = start ? _mm512_loadu_si512(start + column + 16u * i) : _mm512_setzero_si512();
    for (uint32_t k = 0; k < quads->count; k++) {
        const int8_t *row = rows + 4u * ((size_t)quads->index[k] * lanes + column);
        __m512i value = _mm512_set1_epi32((int)quads->values[k]);
        for (uint32_t i = 0; i < blocks; i++)
            sums[i] = _mm512_dpbusd_epi32(sums[i], value, _mm512_loadu_si512(row + 64u * i));
    }
    for (uint32_t i = 0; i < blocks; i++)
        _mm512_storeu_si512(out + column + 16u * i, sums[i]);
}

AVX512 static void multiply(const struct chip_weights *weights, const struct quads *quads,
                            uint32_t lanes, uint32_t first, uint32_t end, const int32_t *start,
                            int32_t *out)
{
    uint32_t column = first;
    for (; column + 80u <= end; column += 80u)
        columns(weights->rows, quads, lanes, column, 5, start, out);
    for (; column < end; column += 16u)
        columns(weights->rows, quads, lanes, column, 1, start, out);
}

/* sums = -128 times the sum of each column's loaded weights. */
static void find_sums(struct chip_weights *weights, uint32_t lanes, uint32_t first, uint32_t end)
{
    static const uint8_t halves[MACHINE_LANES_MAX];
    struct quads quads;
    find_quads(weights, halves, 0x80808080u, false, lanes, &quads);
    multiply(weights, &quads, lanes, first, end, NULL, weights->sums);
    for (uint32_t column = first; column < end; column++)
        weights->sums[column] = -weights->sums[column];
    weights->sums_valid = true;
}

static void product(struct chip_weights *weights, const uint8_t *activation, bool is_signed,
                    uint32_t lanes, uint32_t first, uint32_t end, int32_t *out)
{
    struct quads quads;
    if (is_signed && !weights->sums_valid)
        find_sums(weights, lanes, first, end);
    find_quads(weights, activation, is_signed ? 0x80808080u : 0, !is_signed, lanes, &quads);
    multiply(weights, &quads, lanes, first, end, is_signed ? weights->sums : NULL, out);
}

static void fma_lanes(const uint32_t *a, uint32_t scale, const uint32_t *b, uint32_t lanes,
                      uint32_t *d)
{
    chip_kernel_avx2.fma(a, scale, b, lanes, d);
}

const struct chip_kernel chip_kernel_avx512 = {"avx512", supported,       load,     product,
                                               4,        chip_f16_avx512, fma_lanes};
#endif
