/* Byte shuffles within vectors. On x86-64 SSE2 is always there; elsewhere the plain loops. */
#include "chip/internal.h"

#ifdef __SSE2__
#include <emmintrin.h>

/*
 * Each of these is a rotation of a byte's index. One round of unpack over registers r and r + n/2
 * moves the index's top bit to the bottom; so joining planes (index: plane, lane) to words (lane,
 * plane) is two rounds, splitting four, and transposing 16 x 16 four.
 */
static inline void rotate4(__m128i r[4])
{
    __m128i low = r[1];
    r[1] = _mm_unpackhi_epi8(r[0], r[2]);
    r[0] = _mm_unpacklo_epi8(r[0], r[2]);
    r[2] = _mm_unpacklo_epi8(low, r[3]);
    r[3] = _mm_unpackhi_epi8(low, r[3]);
}

void chip_lanes_join4(const uint8_t *const planes[4], uint32_t lanes, uint32_t *words)
{
    for (uint32_t lane = 0; lane < lanes; lane += 16) {
        __m128i r[4];
        for (uint32_t plane = 0; plane < 4; plane++)
            r[plane] = _mm_loadu_si128((const __m128i *)(const void *)(planes[plane] + lane));
        rotate4(r);
        rotate4(r);
        for (uint32_t i = 0; i < 4; i++)
            _mm_storeu_si128((__m128i *)(void *)(words + lane + 4u * i), r[i]);
    }
}

void chip_lanes_split4(const uint32_t *words, uint32_t lanes, uint8_t *const planes[4])
{
    for (uint32_t lane = 0; lane < lanes; lane += 16) {
        __m128i r[4];
        for (uint32_t i = 0; i < 4; i++)
            r[i] = _mm_loadu_si128((const __m128i *)(const void *)(words + lane + 4u * i));
        rotate4(r);
        rotate4(r);
        rotate4(r);
        rotate4(r);
        for (uint32_t plane = 0; plane < 4; plane++)
            _mm_storeu_si128((__m128i *)(void *)(planes[plane] + lane), r[plane]);
    }
}

void chip_lanes_transpose(const uint8_t *const in[16], uint8_t *const out[16], uint32_t lanes)
{
    for (uint32_t lane = 0; lane < lanes; lane += 16) {
        __m128i r[2][16];
        for (uint32_t i = 0; i < 16; i++)
            r[0][i] = _mm_loadu_si128((const __m128i *)(const void *)(in[i] + lane));
        for (uint32_t round = 0; round < 4; round++) {
            const __m128i *from = r[round & 1u];
            __m128i *to = r[~round & 1u];
            for (uint32_t i = 0; i < 8; i++) {
                to[2u * i] = _mm_unpacklo_epi8(from[i], from[i + 8u]);
                to[2u * i + 1u] = _mm_unpackhi_epi8(from[i], from[i + 8u]);
            }
        }
        for (uint32_t i = 0; i < 16; i++)
            _mm_storeu_si128((__m128i *)(void *)(out[i] + lane), r[0][i]);
    }
}

#else

void chip_lanes_join4(const uint8_t *const planes[4], uint32_t lanes, uint32_t *words)
{
    for (uint32_t lane = 0; lane < lanes; lane++)
        words[lane] = (uint32_t)planes[0][lane] | (uint32_t)planes[1][lane] << 8 |
                      (uint32_t)planes[2][lane] << 16 | (uint32_t)planes[3][lane] << 24;
}

void chip_lanes_split4(const uint32_t *words, uint32_t lanes, uint8_t *const planes[4])
{
    for (uint32_t plane = 0; plane < 4; plane++)
        for (uint32_t lane = 0; lane < lanes; lane++)
            planes[plane][lane] = (uint8_t)(words[lane] >> (8u * plane));
}

void chip_lanes_transpose(const uint8_t *const in[16], uint8_t *const out[16], uint32_t lanes)
{
    for (uint32_t first = 0; first < lanes; first += 16)
        for (uint32_t i = 0; i < 16; i++)
            for (uint32_t j = 0; j < 16; j++)
                out[i][first + j] = in[j][first + i];
}

#endif
