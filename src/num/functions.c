/*
 * The elementary functions. Each is one fixed sequence of binary64 operations (+ - x and the bit
 * pattern of a power of two), rounded once to binary32; none calls the library but for sqrtf, which
 * IEEE-754 defines to the bit. Coefficients are those of Taylor's series: the degrees are chosen so
 * that the truncation is far below half a unit of binary32, and no table of magic digits is needed.
 */
#include "num/num.h"

#include <math.h>
#include <string.h>

#define QUIET_NAN 0x7FC00000u /* the one NaN these functions return */
#define INFINITY_BITS 0x7F800000u

static const double round_magic = 0x1.8p52; /* x + this - this: nearest integer, ties to even */
static const double log2_e = 0x1.71547652b82fep+0;
/* ln 2 in two parts; the first has 32 bits, so that a product with an exponent is exact. */
static const double ln2_high = 0x1.62e42feep-1;
static const double ln2_low = 0x1.a39ef35793c76p-33;
/* pi / 2 in three parts of 33 bits and less: products with integers below 2^20 are exact. */
static const double two_over_pi = 0x1.45f306dc9c883p-1;
static const double half_pi_1 = 0x1.921fb544p+0;
static const double half_pi_2 = 0x1.0b4611a6p-34;
static const double half_pi_3 = 0x1.3198a2e037073p-69;

/* 2^exponent for -1022 <= exponent <= 1023. */
static double power_of_two(int64_t exponent)
{
    uint64_t bits = (uint64_t)(exponent + 1023) << 52;
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* exp(r) for |r| <= ln 2 / 2: terms to r^13 / 13!, below 2^-56 of the value beyond. */
static double exp_reduced(double r)
{
    double p = 1.0 / 6227020800.0;
    p = p * r + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    return p * r + 1.0;
}

/* exp(x) for |x| < 700. */
static double exp_wide(double x)
{
    double n = (x * log2_e + round_magic) - round_magic;
    double r = (x - n * ln2_high) - n * ln2_low;
    return exp_reduced(r) * power_of_two((int64_t)n);
}

float num_exp(float x)
{
    if (x != x)
        return num_float(QUIET_NAN);
    if (x < -87.33654f)
        return 0.0f;
    if (x > 88.72283f)
        return num_float(INFINITY_BITS);
    return (float)exp_wide((double)x);
}

float num_rsqrt(float x)
{
    if (!(x >= 0.0f)) /* the sign of a NaN made by the processor differs between architectures */
        return num_float(QUIET_NAN);
    return 1.0f / sqrtf(x);
}

float num_sqrt(float x)
{
    if (!(x >= 0.0f))
        return num_float(QUIET_NAN);
    return sqrtf(x);
}

float num_tanh(float x)
{
    if (x != x)
        return num_float(QUIET_NAN);
    double magnitude = x < 0.0f ? -(double)x : (double)x;
    if (magnitude > 10.0) /* tanh(10) = 1 - 4.1e-9, nearer to 1 than to the number below it */
        return x < 0.0f ? -1.0f : 1.0f;
    if (magnitude < 0x1p-6) { /* terms to x^9: less than 2^-60 of the value is left */
        double z = (double)x * (double)x;
        double p = 62.0 / 2835.0;
        p = p * z - 17.0 / 315.0;
        p = p * z + 2.0 / 15.0;
        p = p * z - 1.0 / 3.0;
        return (float)((double)x * (1.0 + z * p));
    }
    float y = (float)(1.0 - 2.0 / (exp_wide(2.0 * magnitude) + 1.0));
    return x < 0.0f ? -y : y;
}

/* ln(x) for x > 0, normal: x = 2^e m, m in [sqrt(1/2), sqrt 2); ln m = 2 artanh((m - 1) / (m + 1)),
 * whose argument is below 0.1716, so 12 terms leave less than 2^-60. */
static double log_wide(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int64_t exponent = (int64_t)(bits >> 52) - 1023;
    bits = (bits & 0x000FFFFFFFFFFFFFu) | (uint64_t)1023 << 52;
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 0x1.6a09e667f3bcdp+0) { /* sqrt 2 */
        m *= 0.5;
        exponent++;
    }
    double s = (m - 1.0) / (m + 1.0);
    double z = s * s;
    double p = 1.0 / 23.0;
    for (int odd = 21; odd >= 1; odd -= 2)
        p = p * z + 1.0 / (double)odd;
    double e = (double)exponent;
    return e * ln2_high + (e * ln2_low + 2.0 * s * p);
}

double num_log(double x)
{
    return log_wide(x);
}

/* sin(r) and cos(r) for |r| <= pi / 4: terms to r^17 / 17! and r^18 / 18!. */
static double sin_reduced(double r)
{
    double z = r * r;
    double p = 1.0 / 355687428096000.0;
    p = p * z - 1.0 / 1307674368000.0;
    p = p * z + 1.0 / 6227020800.0;
    p = p * z - 1.0 / 39916800.0;
    p = p * z + 1.0 / 362880.0;
    p = p * z - 1.0 / 5040.0;
    p = p * z + 1.0 / 120.0;
    p = p * z - 1.0 / 6.0;
    return p * z * r + r;
}

static double cos_reduced(double r)
{
    double z = r * r;
    double p = -1.0 / 6402373705728000.0;
    p = p * z + 1.0 / 20922789888000.0;
    p = p * z - 1.0 / 87178291200.0;
    p = p * z + 1.0 / 479001600.0;
    p = p * z - 1.0 / 3628800.0;
    p = p * z + 1.0 / 40320.0;
    p = p * z - 1.0 / 720.0;
    p = p * z + 1.0 / 24.0;
    p = p * z - 0.5;
    return p * z + 1.0;
}

double num_rope_frequency(double base, uint32_t rotary, uint32_t pair)
{
    double power = -2.0 * (double)pair / (double)rotary;
    return exp_wide(power * log_wide(base));
}

void num_rope_scaled(double base, uint32_t rotary, uint32_t pair, double divisor, double magnitude,
                     uint32_t position, float *cosine, float *sine)
{
    double frequency = num_rope_frequency(base, rotary, pair) / divisor;
    double angle = (double)position * frequency;
    double n = (angle * two_over_pi + round_magic) - round_magic;
    double r = ((angle - n * half_pi_1) - n * half_pi_2) - n * half_pi_3;
    double s = sin_reduced(r) * magnitude;
    double c = cos_reduced(r) * magnitude;
    switch ((uint64_t)n & 3u) { /* the quarter turn; n >= 0 */
    case 0:
        *cosine = (float)c;
        *sine = (float)s;
        break;
    case 1:
        *cosine = (float)-s;
        *sine = (float)c;
        break;
    case 2:
        *cosine = (float)-c;
        *sine = (float)-s;
        break;
    default:
        *cosine = (float)s;
        *sine = (float)-c;
        break;
    }
}

void num_rope(double base, uint32_t rotary, uint32_t pair, uint32_t position, float *cosine,
              float *sine)
{
    num_rope_scaled(base, rotary, pair, 1.0, 1.0, position, cosine, sine);
}

float num_gelu(float x)
{
    float t = x * x;
    t = t * NUM_GELU_C3;
    t = t + NUM_GELU_C1;
    t = t * x;
    t = num_exp(t);
    t = t + 1.0f;
    return x / t;
}

float num_softcap(float x, float cap)
{
    float t = x * (2.0f / cap);
    t = num_exp(t);
    t = t + 1.0f;
    t = (cap * -2.0f) / t;
    return t + cap;
}
