/* Bits of binary32; the half formats widened, which is exact, and narrowed, which rounds once. */
#include "num/num.h"

#include <float.h>
#include <stdbool.h>
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

float num_fixed96_to_f32(int64_t high, uint32_t low)
{
    bool negative = high < 0;
    uint64_t upper = (uint64_t)high;
    if (negative) {
        low = 0u - low;
        upper = 0u - upper - (low != 0);
    }
    if (upper == 0 && low == 0)
        return 0.0f;
    /* The leading bit is moved to bit 63 of `leading`; what does not fit only matters as not zero.
     */
    uint32_t top = 95, zeros = upper != 0 ? (uint32_t)__builtin_clzll(upper) : 64u;
    uint64_t leading = (uint64_t)low << 32, rest = 0;
    if (upper == 0) {
        zeros += (uint32_t)__builtin_clz(low);
        leading <<= zeros - 64u;
    } else if (zeros == 0) {
        rest = leading;
        leading = upper;
    } else {
        rest = leading << zeros;
        leading = upper << zeros | leading >> (64u - zeros);
    }
    top -= zeros;
    uint32_t bits = (uint32_t)(leading >> 40) + ((top + 127u - 48u - 1u) << 23);
    uint64_t remainder = leading & 0xFFFFFFFFFFu, half = UINT64_C(1) << 39;
    bool up = remainder > half || (remainder == half && (rest != 0 || (bits & 1u)));
    return num_float((bits + up) | (negative ? 0x80000000u : 0u));
}
