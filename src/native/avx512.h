/* What the kernels of AVX-512 are made of; only for avx512.c, which has the flags. */
#ifndef NATIVE_AVX512_H
#define NATIVE_AVX512_H

#include <immintrin.h>

#include "native/elementwise.h"

#define INLINE static inline __attribute__((always_inline))

/* The two instructions of the inner loop, written out: from the intrinsics gcc 12 makes copies of
 * all sums in every round and loads what it broadcasts through general registers, which halves the
 * rate. */
INLINE void multiply(__m512i *sum, __m512i unsigned_bytes, __m512i signed_bytes)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(*sum) : "v"(unsigned_bytes), "v"(signed_bytes));
}

INLINE __m512i broadcast(const uint8_t *four_bytes)
{
    __m512i all;
    __asm__("vpbroadcastd %1, %0" : "=v"(all) : "m"(*(const uint8_t(*)[4])four_bytes));
    return all;
}

/* The first `left` of 16 lanes. */
INLINE __mmask16 mask_of(uint32_t left)
{
    const uint32_t mask = left >= 16 ? 0xFFFFu : (1u << left) - 1u;
    return (__mmask16)mask;
}

INLINE __mmask16 mask_at(uint32_t i, uint32_t n)
{
    return i < n ? mask_of(n - i) : (__mmask16)0;
}

/* Nearest even by the conversion itself, after clamping to integers; NaN to 0. */
INLINE __m512i nearest16(__m512 x, float minimum, float maximum)
{
    const __mmask16 number = _mm512_cmp_ps_mask(x, x, _CMP_ORD_Q);
    x = _mm512_max_ps(x, _mm512_set1_ps(minimum));
    x = _mm512_min_ps(x, _mm512_set1_ps(maximum));
    return _mm512_maskz_cvtps_epi32(number, x);
}

/* 16 numbers 0..65535 into four quads. */
INLINE void put16(__m512i values, uint32_t left, uint8_t *out, size_t stride)
{
    const __m128i high = _mm512_cvtepi32_epi8(_mm512_srli_epi32(values, 8));
    const __m128i low = _mm512_cvtepi32_epi8(values);
    const __m128i first = _mm_unpacklo_epi32(high, low), second = _mm_unpackhi_epi32(high, low);
    _mm_storel_epi64((__m128i *)(void *)out, first);
    if (left > 4)
        _mm_storeh_pd((double *)(void *)(out + stride), _mm_castsi128_pd(first));
    if (left > 8)
        _mm_storel_epi64((__m128i *)(void *)(out + 2 * stride), second);
    if (left > 12)
        _mm_storeh_pd((double *)(void *)(out + 3 * stride), _mm_castsi128_pd(second));
}

#endif
