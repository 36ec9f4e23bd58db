/* Bits of binary32; the half formats widened, which is exact, and narrowed, which rounds once. */
#include "num/num.h"

#include <float.h>
#include <string.h>

/* The contract is stated in operations on binary32 and binary64. A target that evaluates them with
 * more precision, or whose floats are something else, cannot keep it. */
_Static_assert(FLT_EVAL_METHOD == 0, "operations must round to their own type");
_Static_assert(sizeof(float) == 4 && FLT_MANT_DIG == 24 && FLT_MAX_EXP == 128, "binary32");
_Static_assert(sizeof(double) == 8 && DBL_MANT_DIG == 53 && DBL_MAX_EXP == 1024, "binary64");

uint32_t num_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

float num_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

float num_f16_to_f32(uint16_t half)
{
    uint32_t sign = (uint32_t)(half >> 15) << 31;
    uint32_t exponent = (half >> 10) & 31u;
    uint32_t fraction = half & 1023u;
    if (exponent == 31)
        return num_float(sign | 0x7F800000u | fraction << 13);
    if (exponent != 0)
        return num_float(sign | (exponent + 127 - 15) << 23 | fraction << 13);
    /* Zero or subnormal: fraction * 2^-24, a product of two exact values. */
    float magnitude = (float)fraction * 0x1p-24f;
    return num_float(sign | num_bits(magnitude));
}

float num_bf16_to_f32(uint16_t half)
{
    return num_float((uint32_t)half << 16);
}

uint16_t num_f32_to_f16(float x)
{
    uint32_t sign = num_bits(x) >> 16 & 0x8000u;
    uint32_t magnitude = num_bits(x) & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u)
        return (uint16_t)(sign | 0x7E00u);
    if (magnitude >= 0x47800000u) /* 65536 */
        return (uint16_t)(sign | 0x7C00u);
    if (magnitude < 0x38800000u) /* below 2^-14: beside 0.5, binary32 has the half's last place */
        return (uint16_t)(sign | (num_bits(num_float(magnitude) + 0.5f) - num_bits(0.5f)));
    magnitude += 0xFFFu + (magnitude >> 13 & 1u);
    return (uint16_t)(sign | (magnitude - 0x38000000u) >> 13);
}

uint16_t num_f32_to_bf16(float x)
{
    uint32_t bits = num_bits(x);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u)
        return (uint16_t)(bits >> 16 | 0x0040u);
    return (uint16_t)((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}
