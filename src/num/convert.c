/*
 * Conversions from binary32 to integers: nearest even, saturating, NaN to 0.
 *
 * Adding 1.5 * 2^52 to a binary64 of magnitude below 2^51 rounds it to an integer, ties to even,
 * and leaves that integer in the low bits of the pattern. No conversion that C leaves undefined is
 * made, no rounding mode is read, and a loop over these vectorises.
 */
#include "num/num.h"

#include <string.h>

/* x is rounded after it is clamped: the bounds are integers, so the order does not matter. */
static int32_t nearest(float x, double minimum, double maximum)
{
    double wide = x == x ? (double)x : 0.0;
    wide = wide > minimum ? wide : minimum;
    wide = wide < maximum ? wide : maximum;
    wide += 0x1.8p52;
    int64_t bits;
    memcpy(&bits, &wide, sizeof bits);
    return (int32_t)(bits - 0x4338000000000000); /* the pattern of 1.5 * 2^52 */
}

int8_t num_f32_to_i8(float x)
{
    return (int8_t)nearest(x, -128.0, 127.0);
}

int16_t num_f32_to_i16(float x)
{
    return (int16_t)nearest(x, -32768.0, 32767.0);
}

int32_t num_f32_to_i32(float x)
{
    return nearest(x, -2147483648.0, 2147483647.0);
}

uint8_t num_i32_to_u8(int32_t x)
{
    return (uint8_t)(x < 0 ? 0 : x > 255 ? 255 : x);
}
