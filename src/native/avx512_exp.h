/*
 * Exponentials of AVX-512 and what is made of them and around them: gates and attention. Only for
 * avx512.c.
 */
#ifndef NATIVE_AVX512_EXP_H
#define NATIVE_AVX512_EXP_H

#include "native/avx512.h"

/* `eights` (4 or 8) of numbers side by side: one alone would wait for each of its own steps, four
 * still do for half of the time. */
#define EIGHTS 8u

INLINE void exp8s(const __m256 *narrow, const uint32_t eights, __m256 *out)
{
    static const double factors[] = {1.0 / 479001600.0,
                                     1.0 / 39916800.0,
                                     1.0 / 3628800.0,
                                     1.0 / 362880.0,
                                     1.0 / 40320.0,
                                     1.0 / 5040.0,
                                     1.0 / 720.0,
                                     1.0 / 120.0,
                                     1.0 / 24.0,
                                     1.0 / 6.0,
                                     0.5,
                                     1.0,
                                     1.0};
    const __m512d magic = _mm512_set1_pd(0x1.8p52);
    __m512d t[EIGHTS], r[EIGHTS], p[EIGHTS];
#pragma GCC unroll 8
    for (uint32_t j = 0; j < eights; j++) {
        const __m512d x = _mm512_cvtps_pd(narrow[j]);
        t[j] = _mm512_add_pd(_mm512_mul_pd(x, _mm512_set1_pd(0x1.71547652b82fep+0)), magic);
        const __m512d n = _mm512_sub_pd(t[j], magic);
        r[j] = _mm512_sub_pd(x, _mm512_mul_pd(n, _mm512_set1_pd(0x1.62e42feep-1)));
        r[j] = _mm512_sub_pd(r[j], _mm512_mul_pd(n, _mm512_set1_pd(0x1.a39ef35793c76p-33)));
        p[j] = _mm512_set1_pd(1.0 / 6227020800.0);
    }
#pragma GCC unroll 13
    for (uint32_t i = 0; i < 13; i++) {
#pragma GCC unroll 8
        for (uint32_t j = 0; j < eights; j++)
            p[j] = _mm512_add_pd(_mm512_mul_pd(p[j], r[j]), _mm512_set1_pd(factors[i]));
        /* Keeps the compiler from doing one after another. */
        __asm__("" : "+v"(p[0]), "+v"(p[1]), "+v"(p[2]), "+v"(p[3]));
        if (eights == 8)
            __asm__("" : "+v"(p[4]), "+v"(p[5]), "+v"(p[6]), "+v"(p[7]));
    }
#pragma GCC unroll 8
    for (uint32_t j = 0; j < eights; j++) {
        /* The low bits of t hold n; the pattern of 2^n. */
        const __m512i power =
            _mm512_slli_epi64(_mm512_add_epi64(_mm512_castpd_si512(t[j]),
                                               _mm512_set1_epi64(1023 - 0x4338000000000000)),
                              52);
        out[j] = _mm512_cvtpd_ps(_mm512_mul_pd(p[j], _mm512_castsi512_pd(power)));
    }
}

/* x and the result: `sixteens` (2 or 4) of numbers. */
INLINE void exp16s(const __m512 *x, const uint32_t sixteens, __m512 *y)
{
    __m256 in[EIGHTS], out[EIGHTS];
#pragma GCC unroll 4
    for (uint32_t i = 0; i < sixteens; i++) {
        in[2 * i] = _mm512_castps512_ps256(x[i]);
        in[2 * i + 1] = _mm512_extractf32x8_ps(x[i], 1);
    }
    exp8s(in, 2 * sixteens, out);
#pragma GCC unroll 4
    for (uint32_t i = 0; i < sixteens; i++) {
        const __mmask16 small = _mm512_cmp_ps_mask(x[i], _mm512_set1_ps(-87.33654f), _CMP_LT_OQ);
        const __mmask16 large = _mm512_cmp_ps_mask(x[i], _mm512_set1_ps(88.72283f), _CMP_GT_OQ);
        const __mmask16 nan = _mm512_cmp_ps_mask(x[i], x[i], _CMP_UNORD_Q);
        y[i] = _mm512_insertf32x8(_mm512_castps256_ps512(out[2 * i]), out[2 * i + 1], 1);
        y[i] = _mm512_maskz_mov_ps((__mmask16)~small, y[i]);
        y[i] = _mm512_mask_mov_ps(y[i], large, _mm512_set1_ps(INFINITY));
        y[i] = _mm512_mask_mov_ps(y[i], nan, _mm512_castsi512_ps(_mm512_set1_epi32(0x7FC00000)));
    }
}

INLINE void swiglu_of(const float *gate, const float *up, uint32_t n, const uint32_t sixteens,
                      float *out)
{
    const __m512 one = _mm512_set1_ps(1.0f);
    __m512 g[4], x[4], t[4];
#pragma GCC unroll 4
    for (uint32_t j = 0; j < sixteens; j++) {
        g[j] = _mm512_maskz_loadu_ps(mask_at(16 * j, n), gate + 16 * j);
        x[j] = _mm512_mul_ps(g[j], _mm512_set1_ps(-1.0f));
    }
    exp16s(x, sixteens, t);
#pragma GCC unroll 4
    for (uint32_t j = 0; j < sixteens; j++) {
        t[j] = _mm512_div_ps(g[j], _mm512_add_ps(t[j], one));
        t[j] = _mm512_mul_ps(t[j], _mm512_maskz_loadu_ps(mask_at(16 * j, n), up + 16 * j));
        _mm512_mask_storeu_ps(out + 16 * j, mask_at(16 * j, n), t[j]);
    }
}

static void swiglu(const float *gate, const float *up, uint32_t n, float *out)
{
    uint32_t i = 0;
    for (; i + 32 < n; i += 64)
        swiglu_of(gate + i, up + i, n - i, 4, out + i);
    if (i < n)
        swiglu_of(gate + i, up + i, n - i, 2, out + i);
}

/* ---- attention ------------------------------------------------------------------------------- */

static void rope(const float *x, const float *cosines, const float *sines, uint32_t n, float *out)
{
    for (uint32_t i = 0; i < n; i += 16) {
        const __mmask16 mask = mask_of(n - i);
        const __m512 y = _mm512_maskz_loadu_ps(mask, x + i);
        const __m512 swapped = _mm512_permute_ps(y, 0xB1);
        const __m512 t1 = _mm512_mul_ps(y, _mm512_maskz_loadu_ps(mask, cosines + i));
        const __m512 t2 = _mm512_mul_ps(swapped, _mm512_maskz_loadu_ps(mask, sines + i));
        _mm512_mask_storeu_ps(out + i, mask, _mm512_add_ps(t1, t2));
    }
}

static uint8_t code(const float *x, uint32_t n)
{
    __m512i largest = _mm512_setzero_si512();
    for (uint32_t i = 0; i < n; i += 16) {
        const __m512i y = _mm512_castps_si512(_mm512_maskz_loadu_ps(mask_of(n - i), x + i));
        largest = _mm512_max_epu32(largest, _mm512_and_si512(y, _mm512_set1_epi32(0x7FFFFFFF)));
    }
    return num_code(float_of(_mm512_reduce_max_epu32(largest)));
}

static void code_quantise(const float *x, uint32_t n, uint8_t of_group, int8_t *out)
{
    const __m512 factor = _mm512_set1_ps(127.0f / num_code_bound(of_group));
    for (uint32_t i = 0; i < n; i += 16) {
        const __mmask16 mask = mask_of(n - i);
        const __m512 y = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, x + i), factor);
        _mm512_mask_cvtepi32_storeu_epi8(out + i, mask, nearest16(y, -128.0f, 127.0f));
    }
}

static void scores(const float *acc, float down, const float *scales, uint32_t n, float *out)
{
    for (uint32_t i = 0; i < n; i += 16) {
        const __mmask16 mask = mask_of(n - i);
        const __m512 t = _mm512_mul_ps(_mm512_loadu_ps(acc + i), _mm512_set1_ps(down));
        _mm512_mask_storeu_ps(out + i, mask,
                              _mm512_mul_ps(t, _mm512_maskz_loadu_ps(mask, scales + i)));
    }
}

/* The positions of i .. i + 15 that lie in first .. n - 1. */
INLINE __mmask16 seen(uint32_t i, uint32_t first, uint32_t n)
{
    const uint32_t below_n = n <= i ? 0 : mask_of(n - i);
    const uint32_t below_first = first <= i ? 0 : mask_of(first - i);
    return (__mmask16)(below_n & ~below_first);
}

/* As the scalar text takes it: the earlier of the two where they are not ordered. */
static float largest_of(const float *score, uint32_t first, uint32_t n)
{
    __m512 largest = _mm512_set1_ps(score[first]);
    for (uint32_t i = first / 16 * 16; i < n; i += 16)
        largest =
            _mm512_mask_max_ps(largest, seen(i, first, n), _mm512_loadu_ps(score + i), largest);
    return _mm512_reduce_max_ps(largest);
}

struct weighing {
    __m512 largest, up;
    const float *v_scales;
    uint32_t first, n, quads;
    uint8_t *out;
    size_t stride;
};

/* The weights of `sixteens` scores from position i on; s: sums of their bytes. */
INLINE void weigh(const struct weighing *w, const float *score, uint32_t i, const uint32_t sixteens,
                  __m512i s[3])
{
    __m512 x[4], y[4];
#pragma GCC unroll 4
    for (uint32_t j = 0; j < sixteens; j++)
        x[j] = _mm512_sub_ps(_mm512_load_ps(score + i + 16 * j), w->largest);
    exp16s(x, sixteens, y);
#pragma GCC unroll 4
    for (uint32_t j = 0; j < sixteens; j++) {
        const uint32_t at = i + 16 * j;
        const __mmask16 mask = seen(at, w->first, w->n);
        y[j] = _mm512_maskz_mov_ps(mask, y[j]);
        const __m512i fixed = _mm512_cvtps_epi32(_mm512_mul_ps(y[j], _mm512_set1_ps(8388608.0f)));
#pragma GCC unroll 3
        for (uint32_t b = 0; b < 3; b++)
            s[b] = _mm512_dpbusd_epi32(s[b], fixed, _mm512_set1_epi32(1 << 8 * b));
        const __m512 u = _mm512_mul_ps(y[j], _mm512_maskz_loadu_ps(mask, w->v_scales + at));
        if (at < 4 * w->quads)
            put16(nearest16(_mm512_mul_ps(u, w->up), -32768.0f, 32767.0f), 4 * w->quads - at,
                  w->out + at / 4 * w->stride, w->stride);
    }
}

static float softmax(float *score, const float *v_scales, uint32_t first, uint32_t n, uint8_t e,
                     uint32_t quads, uint8_t *out, size_t stride)
{
    const struct weighing w = {.largest = _mm512_set1_ps(largest_of(score, first, n)),
                               .up = _mm512_set1_ps(num_scale_up(e)),
                               .v_scales = v_scales,
                               .first = first,
                               .n = n,
                               .quads = quads,
                               .out = out,
                               .stride = stride};
    __m512i s[3];
#pragma GCC unroll 3
    for (uint32_t b = 0; b < 3; b++)
        s[b] = _mm512_setzero_si512();
    uint32_t i = 0;
    for (; i + 32 < 4 * quads; i += 64)
        weigh(&w, score, i, 4, s);
    if (i < 4 * quads)
        weigh(&w, score, i, 2, s);
    uint32_t sums[3];
    for (uint32_t b = 0; b < 3; b++)
        sums[b] = (uint32_t)_mm512_reduce_add_epi32(s[b]);
    return denominator_(sums);
}

#endif
