/* exact_f16.h: the plainest way, a bit at a time. */
#include "exact_f16.h"

#include "num/num.h"

void exact_add_product(struct exact_sum *sum, uint16_t a, uint16_t b)
{
    const uint32_t ea = a >> 10 & 31u, eb = b >> 10 & 31u;
    const bool negative = ((a ^ b) & 0x8000u) != 0;
    if (ea == 31 || eb == 31) {
        const bool nan = (ea == 31 && (a & 1023u)) || (eb == 31 && (b & 1023u));
        const bool zero = (a & 0x7FFFu) == 0 || (b & 0x7FFFu) == 0;
        *(nan || zero ? &sum->nan : negative ? &sum->minus : &sum->plus) = true;
        return;
    }
    const exact_wide ma = (exact_wide)(a & 1023u) + (ea ? 1024 : 0),
                     mb = (exact_wide)(b & 1023u) + (eb ? 1024 : 0);
    const exact_wide product = (ma * mb) << ((ea ? ea - 1 : 0) + (eb ? eb - 1 : 0));
    sum->value += negative ? -product : product;
}

uint32_t exact_round(const struct exact_sum *sum)
{
    if (sum->nan || (sum->plus && sum->minus))
        return 0x7FC00000u;
    if (sum->plus || sum->minus)
        return sum->plus ? 0x7F800000u : 0xFF800000u;
    const bool negative = sum->value < 0;
    exact_wide magnitude = negative ? -sum->value : sum->value;
    int exponent = -48;
    exact_wide lost = 0, unit = 1; /* of the last place kept */
    while (magnitude >= (exact_wide)1 << 24) {
        lost += (magnitude & 1) * unit;
        unit *= 2;
        magnitude >>= 1;
        exponent++;
    }
    if (2 * lost > unit || (2 * lost == unit && (magnitude & 1)))
        magnitude++;
    /* At most 2^24, and no result is subnormal: every step below is exact. */
    float value = (float)(int32_t)magnitude;
    for (; exponent < 0; exponent++)
        value *= 0.5f;
    for (; exponent > 0; exponent--)
        value *= 2.0f;
    return num_bits(negative ? -value : value);
}
