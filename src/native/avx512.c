/*
 * AVX-512 with VNNI. A panel's quad is two registers of 16 outputs; vpdpbusd multiplies unsigned
 * activations, one quad of a token in every lane, by signed weights. Both byte planes use a weight
 * that is loaded once.
 */
#include "native/kernels.h"

#ifdef __x86_64__
#include "native/avx512.h"
#include "native/avx512_exp.h"

static bool supported(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vnni");
}

/* ---- products -------------------------------------------------------------------------------- */

/* One quad of all tokens; sums[token][register]. */
INLINE void quad(const int8_t *weights, const uint8_t *tile, const uint32_t tokens,
                 __m512i (*high)[2], __m512i (*low)[2])
{
    const __m512i w0 = _mm512_loadu_si512(weights), w1 = _mm512_loadu_si512(weights + 64);
#pragma GCC unroll 6
    for (uint32_t m = 0; m < tokens; m++) {
        const __m512i h = broadcast(tile + m * NATIVE_TOKEN_QUAD_BYTES);
        const __m512i l = broadcast(tile + m * NATIVE_TOKEN_QUAD_BYTES + 4);
        multiply(&high[m][0], h, w0);
        multiply(&high[m][1], h, w1);
        multiply(&low[m][0], l, w0);
        multiply(&low[m][1], l, w1);
    }
}

/* `unroll` quads go into sums of their own, so that there are enough of them to fill the latency
 * of the instruction. */
INLINE void tile_of(const int8_t *panel, const int32_t *start, uint32_t quads, const uint8_t *tile,
                    const uint32_t tokens, const uint32_t unroll, const uint32_t lines,
                    const int8_t *next, uint32_t ahead, float *acc)
{
    __m512i high[4][6][2], low[4][6][2];
#pragma GCC unroll 4
    for (uint32_t u = 0; u < unroll; u++)
#pragma GCC unroll 6
        for (uint32_t m = 0; m < tokens; m++)
#pragma GCC unroll 2
            for (uint32_t i = 0; i < 2; i++) {
                high[u][m][i] = u == 0 && start != NULL ? _mm512_loadu_si512(start + 16 * i)
                                                        : _mm512_setzero_si512();
                low[u][m][i] = _mm512_setzero_si512();
            }
    const size_t stride = tokens * NATIVE_TOKEN_QUAD_BYTES;
    uint32_t q = 0;
    for (; q + unroll <= quads; q += unroll) {
#pragma GCC unroll 4
        for (uint32_t u = 0; u < unroll; u++) {
            if (lines > 0)
                _mm_prefetch(next, _MM_HINT_T0);
            if (lines > 1)
                _mm_prefetch(next + 64, _MM_HINT_T0);
            if (lines > 0)
                next += ahead;
        }
#pragma GCC unroll 4
        for (uint32_t u = 0; u < unroll; u++)
            quad(panel + u * NATIVE_PANEL_QUAD_BYTES, tile + u * stride, tokens, high[u], low[u]);
        panel += unroll * NATIVE_PANEL_QUAD_BYTES;
        tile += unroll * stride;
    }
    for (; q < quads; q++) {
        quad(panel, tile, tokens, high[0], low[0]);
        panel += NATIVE_PANEL_QUAD_BYTES;
        tile += stride;
    }
#pragma GCC unroll 6
    for (uint32_t m = 0; m < tokens; m++)
#pragma GCC unroll 2
        for (uint32_t i = 0; i < 2; i++) {
#pragma GCC unroll 4
            for (uint32_t u = 1; u < unroll; u++) {
                high[0][m][i] = _mm512_add_epi32(high[0][m][i], high[u][m][i]);
                low[0][m][i] = _mm512_add_epi32(low[0][m][i], low[u][m][i]);
            }
            _mm512_storeu_ps(acc + m * NATIVE_PANEL + 16 * i,
                             _mm512_fmadd_ps(_mm512_set1_ps(256.0f),
                                             _mm512_cvtepi32_ps(high[0][m][i]),
                                             _mm512_cvtepi32_ps(low[0][m][i])));
        }
}

static void product(const int8_t *panel, const int32_t *start, uint32_t quads, const uint8_t *tile,
                    uint32_t tokens, const int8_t *next, uint32_t ahead, float *acc)
{
    /* Each without prefetching, with a line for each quad and with two, so that the loop need not
     * ask. */
#define TILE(tokens, unroll)                                                                       \
    if (next == NULL)                                                                              \
        tile_of(panel, start, quads, tile, tokens, unroll, 0, NULL, 0, acc);                       \
    else if (ahead <= 64)                                                                          \
        tile_of(panel, start, quads, tile, tokens, unroll, 1, next, ahead, acc);                   \
    else                                                                                           \
        tile_of(panel, start, quads, tile, tokens, unroll, 2, next, ahead, acc)
    switch (tokens) {
    case 1: TILE(1, 4); break;
    case 2: TILE(2, 2); break;
    case 3: TILE(3, 2); break;
    case 4: TILE(4, 1); break;
    case 5: TILE(5, 1); break;
    default: TILE(6, 1); break;
    }
#undef TILE
}

static void scale(const float *acc, const float *scales, float factor, const float *bias,
                  const float *add, uint32_t n, float *out)
{
    if (n == NATIVE_PANEL && bias == NULL) { /* as nearly always */
        const __m512 all = _mm512_set1_ps(factor);
#pragma GCC unroll 2
        for (uint32_t i = 0; i < NATIVE_PANEL; i += 16) {
            __m512 y = _mm512_mul_ps(_mm512_loadu_ps(acc + i), _mm512_loadu_ps(scales + i));
            y = _mm512_mul_ps(y, all);
            _mm512_storeu_ps(out + i, add != NULL ? _mm512_add_ps(_mm512_loadu_ps(add + i), y) : y);
        }
        return;
    }
    for (uint32_t i = 0; i < n; i += 16) {
        const __mmask16 mask = mask_of(n - i);
        __m512 y = _mm512_mul_ps(_mm512_loadu_ps(acc + i), _mm512_maskz_loadu_ps(mask, scales + i));
        y = _mm512_mul_ps(y, _mm512_set1_ps(factor));
        if (bias != NULL)
            y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(mask, bias + i));
        if (add != NULL)
            y = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, add + i), y);
        _mm512_mask_storeu_ps(out + i, mask, y);
    }
}

/* ---- quantising ------------------------------------------------------------------------------ */

INLINE __m512 load_gained(const float *x, const float *gain, uint32_t i, __mmask16 mask)
{
    const __m512 y = _mm512_maskz_loadu_ps(mask, x + i);
    return gain != NULL ? _mm512_mul_ps(y, _mm512_maskz_loadu_ps(mask, gain + i)) : y;
}

static uint8_t exponent(const float *x, const float *gain, uint32_t n)
{
    const __m512i magnitude = _mm512_set1_epi32(0x7FFFFFFF);
    __m512i largest = _mm512_set1_epi32((int32_t)(NUM_EXPONENT_MIN << 23));
    for (uint32_t i = 0; i < n; i += 16) {
        const __m512i y = _mm512_castps_si512(load_gained(x, gain, i, mask_of(n - i)));
        largest = _mm512_max_epu32(largest, _mm512_and_si512(y, magnitude));
    }
    return (uint8_t)(_mm512_reduce_max_epu32(largest) >> 23);
}

static void quantise(const float *x, const float *gain, uint32_t n, uint8_t e, uint8_t *out,
                     size_t stride)
{
    const __m512 up = _mm512_set1_ps(num_scale_up(e));
    for (uint32_t i = 0; i < n; i += 16) {
        const __m512 y = _mm512_mul_ps(load_gained(x, gain, i, mask_of(n - i)), up);
        const __m512i a = nearest16(y, -32768.0f, 32767.0f);
        put16(_mm512_add_epi32(a, _mm512_set1_epi32(32768)), n - i, out + i / 4 * stride, stride);
    }
}

static void squares(const float *x, uint32_t n, uint8_t e, int32_t sums[4])
{
    const __m512 up = _mm512_set1_ps(num_scale_up(e));
    __m512i s[4];
    for (uint32_t b = 0; b < 4; b++)
        s[b] = _mm512_setzero_si512();
    for (uint32_t i = 0; i < n; i += 16) {
        const __m512 y = _mm512_maskz_loadu_ps(mask_of(n - i), x + i);
        const __m512i a = nearest16(_mm512_mul_ps(y, up), -32768.0f, 32767.0f);
        const __m512i square = _mm512_mullo_epi32(a, a);
        for (uint32_t b = 0; b < 4; b++) /* a one beside the byte that is summed */
            s[b] = _mm512_dpbusd_epi32(s[b], square, _mm512_set1_epi32(1 << 8 * b));
    }
    for (uint32_t b = 0; b < 4; b++)
        sums[b] = _mm512_reduce_add_epi32(s[b]);
}

/* ---- what the machine can do ----------------------------------------------------------------- */

static uint64_t read_all(const void *data, size_t bytes)
{
    const unsigned char *from = data;
    __m512i s[4];
#pragma GCC unroll 4
    for (uint32_t j = 0; j < 4; j++)
        s[j] = _mm512_setzero_si512();
    for (size_t i = 0; i < bytes; i += sizeof s)
#pragma GCC unroll 4
        for (uint32_t j = 0; j < 4; j++)
            s[j] = _mm512_add_epi64(s[j], _mm512_loadu_si512(from + i + 64 * j));
    s[0] = _mm512_add_epi64(_mm512_add_epi64(s[0], s[1]), _mm512_add_epi64(s[2], s[3]));
    uint64_t lanes[8], sum = 0; /* added as unsigned numbers: they may wrap */
    _mm512_storeu_si512(lanes, s[0]);
    for (uint32_t j = 0; j < 8; j++)
        sum += lanes[j];
    return sum;
}

/* Nothing but the instruction: twelve sums of its own. */
static uint64_t peak(uint32_t rounds)
{
    __m512i s[12];
    const __m512i a = _mm512_set1_epi32((int)rounds), b = _mm512_set1_epi32(3);
#pragma GCC unroll 12
    for (uint32_t i = 0; i < 12; i++)
        s[i] = _mm512_set1_epi32((int)i);
    for (uint32_t r = 0; r < rounds; r++)
#pragma GCC unroll 12
        for (uint32_t i = 0; i < 12; i++)
            multiply(&s[i], a, b);
#pragma GCC unroll 12
    for (uint32_t i = 1; i < 12; i++)
        s[0] = _mm512_add_epi32(s[0], s[i]);
    uint32_t lanes[16], sum = 0;
    _mm512_storeu_si512(lanes, s[0]);
    for (uint32_t j = 0; j < 16; j++)
        sum += lanes[j];
    return sum;
}

/* ---- weights --------------------------------------------------------------------------------- */

enum { BLOCK = 32, BLOCK_BYTES = 34 };

/* Half i of a block of Q8_0, exactly. */
INLINE __m512 block_half(const unsigned char *block, uint32_t i, __m512 factor)
{
    const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(block + 2 + 16 * i));
    return _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes)), factor);
}

INLINE __m512 block_factor(const unsigned char *block)
{
    const int half = block[0] | block[1] << 8;
    return _mm512_set1_ps(_mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(half))));
}

static void blocks(const unsigned char *data, uint32_t n, int8_t *out, float *step)
{
    const __m512i magnitude = _mm512_set1_epi32(0x7FFFFFFF);
    __m512i most[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    for (uint32_t b = 0; b < n / BLOCK; b++) {
        const unsigned char *block = data + (size_t)b * BLOCK_BYTES;
        const __m512 factor = block_factor(block);
#pragma GCC unroll 2
        for (uint32_t i = 0; i < 2; i++) {
            const __m512i w = _mm512_castps_si512(block_half(block, i, factor));
            most[i] = _mm512_max_epu32(most[i], _mm512_and_si512(w, magnitude));
        }
    }
    *step = float_of(_mm512_reduce_max_epu32(_mm512_max_epu32(most[0], most[1]))) / 127.0f;
    const __m512 divisor = _mm512_set1_ps(*step > 0.0f ? *step : 1.0f);
    const float bound = *step > 0.0f ? 127.0f : 0.0f;
    for (uint32_t b = 0; b < n / BLOCK; b++) {
        const unsigned char *block = data + (size_t)b * BLOCK_BYTES;
        const __m512 factor = block_factor(block);
#pragma GCC unroll 2
        for (uint32_t i = 0; i < 2; i++) {
            const __m512 x = _mm512_div_ps(block_half(block, i, factor), divisor);
            const __m128i bytes = _mm512_cvtepi32_epi8(nearest16(x, -bound, bound));
            _mm_storeu_si128((__m128i *)(void *)(out + (size_t)b * BLOCK + 16 * i), bytes);
        }
    }
}

/* 16 rows of 16 words become 16 columns. */
INLINE void transpose16(__m512i r[16])
{
    __m512i t[16];
#pragma GCC unroll 8
    for (uint32_t i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
#pragma GCC unroll 4
    for (uint32_t i = 0; i < 16; i += 4) {
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    /* r[4 g + c] has in its part p word 4 p + c of rows 4 g .. 4 g + 3. */
#pragma GCC unroll 4
    for (uint32_t c = 0; c < 4; c++) {
        t[c] = _mm512_shuffle_i32x4(r[c], r[4 + c], 0x88);
        t[4 + c] = _mm512_shuffle_i32x4(r[c], r[4 + c], 0xDD);
        t[8 + c] = _mm512_shuffle_i32x4(r[8 + c], r[12 + c], 0x88);
        t[12 + c] = _mm512_shuffle_i32x4(r[8 + c], r[12 + c], 0xDD);
    }
#pragma GCC unroll 4
    for (uint32_t c = 0; c < 4; c++) {
        r[c] = _mm512_shuffle_i32x4(t[c], t[8 + c], 0x88);
        r[4 + c] = _mm512_shuffle_i32x4(t[4 + c], t[12 + c], 0x88);
        r[8 + c] = _mm512_shuffle_i32x4(t[c], t[8 + c], 0xDD);
        r[12 + c] = _mm512_shuffle_i32x4(t[4 + c], t[12 + c], 0xDD);
    }
}

/* Sixteen quads of sixteen channels at a time. */
static void panel_of(const int8_t *channels, size_t stride, uint32_t quads, int8_t *out,
                     int32_t *sums)
{
    __m512i sum[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    for (uint32_t q = 0; q < quads; q += 16)
#pragma GCC unroll 2
        for (uint32_t half = 0; half < 2; half++) {
            __m512i words[16];
#pragma GCC unroll 16
            for (uint32_t i = 0; i < 16; i++)
                words[i] = _mm512_loadu_si512(channels + (16 * half + i) * stride + (size_t)q * 4);
            transpose16(words);
            int8_t *to = out + (size_t)q * NATIVE_PANEL_QUAD_BYTES + 64 * half;
#pragma GCC unroll 16
            for (uint32_t i = 0; i < 16; i++) {
                if (q + i >= quads)
                    break;
                multiply(&sum[half], _mm512_set1_epi8(1), words[i]);
                _mm512_storeu_si512(to + (size_t)i * NATIVE_PANEL_QUAD_BYTES, words[i]);
            }
        }
    _mm512_storeu_si512(sums, sum[0]);
    _mm512_storeu_si512(sums + 16, sum[1]);
}

const struct native_kernels native_kernels_avx512 = {
    .name = "avx512",
    .supported = supported,
    .product = product,
    .scale = scale,
    .exponent = exponent,
    .quantise = quantise,
    .squares = squares,
    .add = add_,
    .swiglu = swiglu,
    .geglu = geglu_,
    .softcap = softcap_,
    .norm = norm_,
    .rope = rope,
    .code = code,
    .code_quantise = code_quantise,
    .scores = scores,
    .softmax = softmax,
    .read = read_all,
    .peak = peak,
    .peak_ops = 12 * 128,
    .channel = channel_,
    .blocks = blocks,
    .panel = panel_of,
};
#endif
