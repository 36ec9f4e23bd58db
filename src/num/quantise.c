/* The quantisation rules of the w8a16 profile: activations, KV cache, weights. */
#include "num/num.h"

#include <math.h>
#include <string.h>

uint8_t num_exponent(float x)
{
    return (uint8_t)(num_bits(x) >> 23 & 255u);
}

float num_scale_up(uint8_t exponent)
{
    return num_float((268u - exponent) << 23);
}

float num_scale_down(uint8_t exponent)
{
    return num_float((exponent - (NUM_EXPONENT_MIN - 1u)) << 23);
}

int16_t num_quantise_i16(float x, uint8_t exponent)
{
    return num_f32_to_i16(x * num_scale_up(exponent));
}

int32_t num_growth(double x)
{
    int exponent = 0;
    double fraction = frexp(x, &exponent); /* x = fraction * 2^exponent, 0.5 <= fraction < 1 */
    if (!(x > 0.0)) {
        return NUM_GROWTH_MIN;
    }
    return fraction == 0.5 ? exponent - 1 : exponent;
}

uint8_t num_exponent_grown(uint8_t previous, uint8_t activations, int32_t growth)
{
    int32_t added = (int32_t)activations + growth;
    uint32_t larger = added < 0 ? 0 : added > 255 ? 255u : (uint32_t)added;
    larger = larger > previous ? larger : previous;
    larger = larger > NUM_EXPONENT_MIN ? larger : NUM_EXPONENT_MIN;
    return (uint8_t)(larger == 255 ? 255 : larger + 1);
}

uint8_t num_exponent_of_bound(double bound)
{
    int32_t exponent = num_growth(bound) + 126;
    if (exponent < (int32_t)NUM_EXPONENT_MIN) {
        return NUM_EXPONENT_MIN;
    }
    return (uint8_t)(exponent > 255 ? 255 : exponent);
}

uint8_t num_code(float x)
{
    uint32_t grid = num_bits(x) >> 20 & 0x7FFu;
    if (grid <= NUM_CODE_BASE)
        return 0;
    return (uint8_t)(grid - NUM_CODE_BASE > 255u ? 255u : grid - NUM_CODE_BASE);
}

float num_code_bound(uint8_t code)
{
    return num_float((code + NUM_CODE_BASE + 1u) << 20);
}

int8_t num_code_quantise(float x, uint8_t code)
{
    return num_f32_to_i8(x * (127.0f / num_code_bound(code)));
}

float num_code_scale(uint8_t code)
{
    return num_code_bound(code) * (1.0f / 127.0f);
}

/* The largest magnitude: of finite values, magnitudes are in the order of their bits, and a maximum
 * of integers is one that a compiler can vectorise. */
static float largest_of(const float *x, uint32_t n)
{
    uint32_t largest = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        bits &= 0x7FFFFFFFu;
        largest = bits > largest ? bits : largest;
    }
    return num_float(largest);
}

/* The nearest multiple of the scale, ties to even, within -127..127: -128 is never used, so that
 * negating a channel negates its integers. 1.5 * 2^23 leaves a binary32 no fraction. */
void num_quantise_channel(const float *weights, uint32_t n, int8_t *out, float *scale)
{
    const float step = largest_of(weights, n) / 127.0f;
    *scale = step;
    if (!(step > 0.0f)) {
        memset(out, 0, n);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        float x = weights[i] / step;
        x = x < 127.0f ? x : 127.0f;
        x = x > -127.0f ? x : -127.0f;
        x = (x + 0x1.8p23f) - 0x1.8p23f;
        out[i] = (int8_t)(int32_t)x;
    }
}
