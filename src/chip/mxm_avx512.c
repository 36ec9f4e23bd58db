/*
 * MXM inner loops for AVX-512 with VNNI: four rows at a time. The instruction multiplies unsigned
 * by signed bytes. Unsigned activations meet the weights as they are; for signed ones the weights
 * go in as w + 128, and 128 times the sum of the activations is taken away again; exact, as
 * everything is an integer.
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

/* 16 columns of four rows, side by side. */
static inline void load16(const uint8_t *const in[4], uint32_t lane, uint8_t *out)
{
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

/* The same for 64. Unpacking leaves a quarter of each sixteen columns in a register; the last two
 * rounds bring the quarters together. */
AVX512 static inline void load64(const uint8_t *const in[4], uint32_t lane, uint8_t *out)
{
    __m512i r0 = _mm512_loadu_si512(in[0] + lane), r1 = _mm512_loadu_si512(in[1] + lane);
    __m512i r2 = _mm512_loadu_si512(in[2] + lane), r3 = _mm512_loadu_si512(in[3] + lane);
    __m512i low01 = _mm512_unpacklo_epi8(r0, r1), high01 = _mm512_unpackhi_epi8(r0, r1);
    __m512i low23 = _mm512_unpacklo_epi8(r2, r3), high23 = _mm512_unpackhi_epi8(r2, r3);
    __m512i a = _mm512_unpacklo_epi16(low01, low23), b = _mm512_unpackhi_epi16(low01, low23);
    __m512i c = _mm512_unpacklo_epi16(high01, high23), d = _mm512_unpackhi_epi16(high01, high23);
    __m512i ab02 = _mm512_shuffle_i32x4(a, b, 0x88), ab13 = _mm512_shuffle_i32x4(a, b, 0xDD);
    __m512i cd02 = _mm512_shuffle_i32x4(c, d, 0x88), cd13 = _mm512_shuffle_i32x4(c, d, 0xDD);
    uint8_t *to = out + 4u * (size_t)lane;
    _mm512_storeu_si512(to, _mm512_shuffle_i32x4(ab02, cd02, 0x88));
    _mm512_storeu_si512(to + 64, _mm512_shuffle_i32x4(ab13, cd13, 0x88));
    _mm512_storeu_si512(to + 128, _mm512_shuffle_i32x4(ab02, cd02, 0xDD));
    _mm512_storeu_si512(to + 192, _mm512_shuffle_i32x4(ab13, cd13, 0xDD));
}

/* Order: rows 4k .. 4k + 3 side by side, column by column. */
AVX512 static void load(struct chip_weights *weights, uint32_t group, const uint8_t *const rows[16],
                        uint32_t lanes, uint32_t first, uint32_t end)
{
    for (uint32_t quad = 0; quad < 4; quad++) {
        const uint8_t *const *in = rows + 4u * quad;
        uint8_t *out = (uint8_t *)weights->rows + ((size_t)group * 4u + quad) * 4u * (size_t)lanes;
        uint32_t lane = first;
        for (; lane + 64u <= end; lane += 64u)
            load64(in, lane, out);
        for (; lane < end; lane += 16u)
            load16(in, lane, out);
    }
}

/* Row quads that contribute, their four activations, and the sum of all of these, signed. */
struct quads {
    uint32_t count;
    int32_t sum;
    uint16_t index[MACHINE_LANES_MAX / 4u];
    uint32_t values[MACHINE_LANES_MAX / 4u];
};

static void find_quads(const struct chip_weights *weights, const uint8_t *activation,
                       uint32_t lanes, struct quads *quads)
{
    uint32_t count = 0;
    int32_t sum = 0;
    for (uint32_t group = 0; group < lanes / MACHINE_WEIGHT_ROWS; group++) {
        if (!(weights->loaded >> group & 1u))
            continue;
        for (uint32_t quad = 4u * group; quad < 4u * group + 4u; quad++) {
            uint32_t value;
            memcpy(&value, activation + 4u * quad, sizeof value);
            if (value == 0)
                continue;
            quads->index[count] = (uint16_t)quad;
            quads->values[count++] = value;
        }
        for (uint32_t row = 0; row < MACHINE_WEIGHT_ROWS; row++)
            sum += (int8_t)activation[MACHINE_WEIGHT_ROWS * group + row];
    }
    quads->count = count;
    quads->sum = sum;
}

/* 16 * blocks columns from `column` on. */
AVX512 static inline __attribute__((always_inline)) void
columns(const int8_t *rows, const struct quads *quads, bool is_signed, uint32_t lanes,
        uint32_t column, uint32_t blocks, int32_t *out)
{
    const __m512i flip = _mm512_set1_epi8((char)-128);
    __m512i sums[5];
    for (uint32_t i = 0; i < blocks; i++)
        sums[i] = _mm512_set1_epi32(is_signed ? -128 * quads->sum : 0);
    for (uint32_t k = 0; k < quads->count; k++) {
        const int8_t *row = rows + 4u * ((size_t)quads->index[k] * lanes + column);
        __m512i value = _mm512_set1_epi32((int)quads->values[k]);
        for (uint32_t i = 0; i < blocks; i++) {
            __m512i weight = _mm512_loadu_si512(row + 64u * i);
            sums[i] = is_signed
                          ? _mm512_dpbusd_epi32(sums[i], _mm512_xor_si512(weight, flip), value)
                          : _mm512_dpbusd_epi32(sums[i], value, weight);
        }
    }
    for (uint32_t i = 0; i < blocks; i++)
        _mm512_storeu_si512(out + column + 16u * i, sums[i]);
}

AVX512 static void product(struct chip_weights *weights, const uint8_t *activation, bool is_signed,
                           uint32_t lanes, uint32_t first, uint32_t end, int32_t *out)
{
    struct quads quads;
    find_quads(weights, activation, lanes, &quads);
    uint32_t column = first;
    for (; column + 80u <= end; column += 80u) {
        if (is_signed)
            columns(weights->rows, &quads, true, lanes, column, 5, out);
        else
            columns(weights->rows, &quads, false, lanes, column, 5, out);
    }
    for (; column < end; column += 16u)
        columns(weights->rows, &quads, is_signed, lanes, column, 1, out);
}

static void fma_lanes(const uint32_t *a, uint32_t scale, const uint32_t *b, uint32_t lanes,
                      uint32_t *d)
{
    chip_kernel_avx2.fma(a, scale, b, lanes, d);
}

const struct chip_kernel chip_kernel_avx512 = {"avx512", supported,       load,     product,
                                               4,        chip_f16_avx512, fma_lanes};
#endif
