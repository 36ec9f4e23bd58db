/* See dequantise.h. One function a format; inner loops have fixed counts, so they vectorise. */
#include "model/dequantise.h"

#include "num/num.h"

#include <string.h>

enum { SMALL = 32, LARGE = 256 }; /* elements of a block, and of a super-block */

static uint16_t read_u16(const unsigned char *data)
{
    return (uint16_t)(data[0] | data[1] << 8);
}

static uint32_t read_u32(const unsigned char *data)
{
    return (uint32_t)read_u16(data) | (uint32_t)read_u16(data + 2) << 16;
}

static float read_half(const unsigned char *data)
{
    return num_f16_to_f32(read_u16(data));
}

/* ---- plain formats --------------------------------------------------------------------------- */

void dequantise_f32(const unsigned char *data, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = num_float(read_u32(data + 4 * i));
}

/* The half's bits stand 13 places to the left and its exponent is 112 too small: a product with a
 * power of two, exact for subnormals too. Infinity and NaN get their exponent back. */
static float widen_half(uint32_t half)
{
    uint32_t magnitude = (half & 0x7FFFu) << 13;
    uint32_t bits = num_bits(num_float(magnitude) * 0x1p112f);
    uint32_t special = (half & 0x7C00u) == 0x7C00u ? 0x7F800000u : 0u;
    return num_float(bits | special | (half & 0x8000u) << 16);
}

void dequantise_f16(const unsigned char *data, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = widen_half(read_u16(data + 2 * i));
}

void dequantise_bf16(const unsigned char *data, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = num_float((uint32_t)read_u16(data + 2 * i) << 16);
}

/* ---- blocks of 32: one scale, perhaps one offset --------------------------------------------- */

/* f16 scale; 32 signed bytes. */
void dequantise_q8_0(const unsigned char *data, size_t count, float *out)
{
    for (size_t i = 0; i < count; i += SMALL, data += 2 + SMALL) {
        float scale = read_half(data);
        int8_t weights[SMALL];
        memcpy(weights, data + 2, SMALL);
        for (int j = 0; j < SMALL; j++)
            out[i + (size_t)j] = scale * (float)weights[j];
    }
}

/* Sixteen bytes hold 32 nibbles: the low ones first, then the high ones. */
static void nibbles(const unsigned char *data, int bias, float scale, float offset, float *out)
{
    for (int j = 0; j < SMALL / 2; j++) {
        out[j] = scale * (float)((data[j] & 15) - bias) + offset;
        out[j + SMALL / 2] = scale * (float)((data[j] >> 4) - bias) + offset;
    }
}

/* f16 scale; nibbles less 8. */
void dequantise_q4_0(const unsigned char *data, size_t count, float *out)
{
    for (size_t i = 0; i < count; i += SMALL, data += 18)
        nibbles(data + 2, 8, read_half(data), 0.0f, out + i);
}

/* f16 scale, f16 offset; nibbles. */
void dequantise_q4_1(const unsigned char *data, size_t count, float *out)
{
    for (size_t i = 0; i < count; i += SMALL, data += 20)
        nibbles(data + 4, 0, read_half(data), read_half(data + 2), out + i);
}

/* Nibbles with a fifth bit each: bit j of `fifth` is element j's. */
static void fives(const unsigned char *data, uint32_t fifth, int bias, float scale, float offset,
                  float *out)
{
    for (int j = 0; j < SMALL / 2; j++) {
        int low = (data[j] & 15) | (int)(fifth >> j & 1u) << 4;
        int high = data[j] >> 4 | (int)(fifth >> (j + SMALL / 2) & 1u) << 4;
        out[j] = scale * (float)(low - bias) + offset;
        out[j + SMALL / 2] = scale * (float)(high - bias) + offset;
    }
}

/* f16 scale; 32 fifth bits; nibbles; less 16. */
void dequantise_q5_0(const unsigned char *data, size_t count, float *out)
{
    for (size_t i = 0; i < count; i += SMALL, data += 22)
        fives(data + 6, read_u32(data + 2), 16, read_half(data), 0.0f, out + i);
}

/* f16 scale, f16 offset; 32 fifth bits; nibbles. */
void dequantise_q5_1(const unsigned char *data, size_t count, float *out)
{
    for (size_t i = 0; i < count; i += SMALL, data += 24)
        fives(data + 8, read_u32(data + 4), 0, read_half(data), read_half(data + 2), out + i);
}

/* ---- codebooks of sixteen values ------------------------------------------------------------- */

static void codes(const unsigned char *data, const float values[16], float scale, float *out)
{
    for (int j = 0; j < SMALL / 2; j++) {
        out[j] = scale * values[data[j] & 15];
        out[j + SMALL / 2] = scale * values[data[j] >> 4];
    }
}

static const float iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                     1,    13,   25,  38,  53,  69,  89,  113};

/* f16 scale; nibbles that name a value. */
void dequantise_iq4_nl(const unsigned char *data, size_t count, float *out)
{
    for (size_t i = 0; i < count; i += SMALL, data += 18)
        codes(data + 2, iq4_values, read_half(data), out + i);
}

/* f16 scale; high two bits of eight scales; their low four bits; nibbles. */
void dequantise_iq4_xs(const unsigned char *data, size_t count, float *out)
{
    for (size_t i = 0; i < count; i += LARGE, data += 136) {
        float scale = read_half(data);
        uint32_t high = read_u16(data + 2);
        for (int b = 0; b < LARGE / SMALL; b++) {
            int low = data[4 + b / 2] >> 4 * (b % 2) & 15;
            int factor = low | (int)(high >> 2 * b & 3u) << 4;
            codes(data + 8 + 16 * b, iq4_values, scale * (float)(factor - 32),
                  out + i + (size_t)(SMALL * b));
        }
    }
}

/* A byte e, the scale 2^(e - 127), NaN for 255; nibbles are floats of a sign, two bits of exponent
 * and one of fraction. The table holds twice their values, the scale half. */
void dequantise_mxfp4(const unsigned char *data, size_t count, float *out)
{
    static const float values[16] = {0, 1, 2, 3, 4, 6, 8, 12, -0.0f, -1, -2, -3, -4, -6, -8, -12};
    for (size_t i = 0; i < count; i += SMALL, data += 17) {
        uint32_t e = data[0];
        uint32_t bits = e == 255 ? 0x7FC00000u : e < 2 ? 0x00200000u << e : (e - 1) << 23;
        codes(data + 1, values, num_float(bits), out + i);
    }
}

/* ---- super-blocks of 256 --------------------------------------------------------------------- */

/* 16 bytes of scale (low nibble) and offset (high) for 16 elements each; 64 bytes of two bits; f16
 * scale of the scales, f16 of the offsets. A byte of a half (128 elements) serves four elements 32
 * apart. */
void dequantise_q2_k(const unsigned char *data, size_t count, float *out)
{
    for (size_t i = 0; i < count; i += LARGE, data += 84) {
        float scale = read_half(data + 80), offset = read_half(data + 82);
        for (int g = 0; g < 16; g++) {
            float s = scale * (float)(data[g] & 15), m = offset * (float)(data[g] >> 4);
            const unsigned char *q = data + 16 + g / 8 * 32 + g % 2 * 16;
            int shift = g / 2 % 4 * 2;
            for (int j = 0; j < 16; j++)
                out[i + (size_t)(16 * g + j)] = s * (float)(q[j] >> shift & 3) - m;
        }
    }
}

/* 32 bytes of third bits (bit b of byte j is element 32 b + j's); 64 bytes of two bits, as in Q2_K;
 * 16 scales of six bits, less 32: low nibbles in 8 bytes, the other two bits in 4; f16 scale. An
 * element is its three bits less 4. */
void dequantise_q3_k(const unsigned char *data, size_t count, float *out)
{
    for (size_t i = 0; i < count; i += LARGE, data += 110) {
        float scale = read_half(data + 108);
        const unsigned char *packed = data + 96;
        for (int g = 0; g < 16; g++) {
            int low = g < 8 ? packed[g] & 15 : packed[g - 8] >> 4;
            int high = packed[8 + g % 4] >> 2 * (g / 4) & 3;
            float s = scale * (float)((low | high << 4) - 32);
            const unsigned char *q = data + 32 + g / 8 * 32 + g % 2 * 16;
            const unsigned char *third = data + g % 2 * 16;
            int shift = g / 2 % 4 * 2;
            for (int j = 0; j < 16; j++) {
                int value = (q[j] >> shift & 3) | (third[j] >> g / 2 & 1) << 2;
                out[i + (size_t)(16 * g + j)] = s * (float)(value - 4);
            }
        }
    }
}

/* Scale and offset g (0..7), six bits each, of Q4_K's and Q5_K's twelve bytes. */
static void six_bits(const unsigned char *packed, int g, float *scale, float *offset)
{
    int s, m;
    if (g < 4) {
        s = packed[g] & 63;
        m = packed[g + 4] & 63;
    } else {
        s = (packed[g + 4] & 15) | packed[g - 4] >> 6 << 4;
        m = packed[g + 4] >> 4 | packed[g] >> 6 << 4;
    }
    *scale *= (float)s;
    *offset *= (float)m;
}

/* f16 scale of the scales, f16 of the offsets; their twelve bytes; 128 bytes of nibbles: 32 low
 * ones, then the 32 high ones of the same bytes. */
void dequantise_q4_k(const unsigned char *data, size_t count, float *out)
{
    for (size_t i = 0; i < count; i += LARGE, data += 144)
        for (int g = 0; g < 8; g++) {
            float s = read_half(data), m = read_half(data + 2);
            six_bits(data + 4, g, &s, &m);
            const unsigned char *q = data + 16 + g / 2 * 32;
            int shift = g % 2 * 4;
            for (int j = 0; j < SMALL; j++)
                out[i + (size_t)(SMALL * g + j)] = s * (float)(q[j] >> shift & 15) - m;
        }
}

/* As Q4_K, with 32 bytes of fifth bits before the nibbles: bit g of byte j is element 32 g + j's.
 */
void dequantise_q5_k(const unsigned char *data, size_t count, float *out)
{
    for (size_t i = 0; i < count; i += LARGE, data += 176)
        for (int g = 0; g < 8; g++) {
            float s = read_half(data), m = read_half(data + 2);
            six_bits(data + 4, g, &s, &m);
            const unsigned char *fifth = data + 16, *q = data + 48 + g / 2 * 32;
            int shift = g % 2 * 4;
            for (int j = 0; j < SMALL; j++) {
                int value = (q[j] >> shift & 15) | (fifth[j] >> g & 1) << 4;
                out[i + (size_t)(SMALL * g + j)] = s * (float)value - m;
            }
        }
}

/* 128 bytes of low nibbles, 64 of high pairs of bits, 16 signed scales, f16 scale. In a half (128
 * elements) byte j of 64 holds elements j and j + 64, byte j of 32 pairs those 32 apart. */
void dequantise_q6_k(const unsigned char *data, size_t count, float *out)
{
    for (size_t i = 0; i < count; i += LARGE, data += 210) {
        float scale = read_half(data + 208);
        int8_t scales[16];
        memcpy(scales, data + 192, 16);
        for (int g = 0; g < 16; g++) {
            float s = scale * (float)scales[g];
            int part = g % 8 / 2, from = g % 2 * 16; /* 32 elements, and which half of them */
            const unsigned char *low = data + g / 8 * 64 + part % 2 * 32 + from;
            const unsigned char *high = data + 128 + g / 8 * 32 + from;
            for (int j = 0; j < 16; j++) {
                int value = (low[j] >> part / 2 * 4 & 15) | (high[j] >> part * 2 & 3) << 4;
                out[i + (size_t)(16 * g + j)] = s * (float)(value - 32);
            }
        }
    }
}
