/* num: against the C library in wider arithmetic, at the edges, and to the bit. */
#include "tests.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "num/num.h"

static void test_bits(void **state)
{
    (void)state;
    assert_int_equal(num_bits(1.0f), 0x3F800000);
    assert_int_equal(num_bits(-0.0f), 0x80000000);
    assert_true(num_float(0x40490FDB) == 0x1.921fb6p+1f);
}

/* Every half of both formats, against its definition. */
static void test_halves(void **state)
{
    (void)state;
    for (uint32_t half = 0; half < 65536; half++) {
        int exponent = (int)(half >> 10 & 31);
        double fraction = (double)(half & 1023) / 1024.0;
        double sign = half >> 15 ? -1.0 : 1.0;
        float x = num_f16_to_f32((uint16_t)half);
        if (exponent == 31 && fraction > 0.0)
            assert_true(isnan(x));
        else if (exponent == 31)
            assert_true(isinf(x));
        else
            assert_true(x == sign * ldexp(exponent ? 1.0 + fraction : fraction,
                                          exponent ? exponent - 15 : -14));
        assert_int_equal(num_bits(x) >> 31, half >> 15);
        assert_int_equal(num_bits(num_bf16_to_f32((uint16_t)half)), half << 16);
    }
}

/* Every half comes back; between two neighbours the nearer one is taken, the even one at a tie. */
static void test_narrowing(void **state)
{
    (void)state;
    for (uint32_t half = 0; half < 65536; half++) {
        float x = num_f16_to_f32((uint16_t)half), wide = num_bf16_to_f32((uint16_t)half);
        if (!isnan(x))
            assert_int_equal(num_f32_to_f16(x), half);
        if (!isnan(wide))
            assert_int_equal(num_f32_to_bf16(wide), half);
        if ((half & 0x7FFF) >= 0x7BFF)
            continue;
        float next = num_f16_to_f32((uint16_t)(half + 1));
        float tie = x + (next - x) * 0.5f; /* exact */
        uint32_t even = half + (half & 1);
        assert_int_equal(num_f32_to_f16(tie), even);
        assert_int_equal(num_f32_to_f16(num_float(num_bits(tie) - 1)), half);
        assert_int_equal(num_f32_to_f16(num_float(num_bits(tie) + 1)), half + 1);
        assert_int_equal(num_f32_to_bf16(num_float(half << 16 | 0x8000)), even);
        assert_int_equal(num_f32_to_bf16(num_float(half << 16 | 0x7FFF)), half);
        assert_int_equal(num_f32_to_bf16(num_float(half << 16 | 0x8001)), half + 1);
    }
    assert_int_equal(num_f32_to_f16(65504.0f), 0x7BFF);
    assert_int_equal(num_f32_to_f16(65519.996f), 0x7BFF);
    assert_int_equal(num_f32_to_f16(-65520.0f), 0xFC00);
    assert_int_equal(num_f32_to_f16(1e30f), 0x7C00);
    assert_int_equal(num_f32_to_f16(1e-30f), 0);
    assert_int_equal(num_f32_to_f16(NAN) & 0x7FFF, 0x7E00);
    assert_true(isnan(num_bf16_to_f32(num_f32_to_bf16(num_float(0x7F800001)))));
}

static double clamped(double x, double minimum, double maximum)
{
    return x < minimum ? minimum : x > maximum ? maximum : x;
}

static void check_conversions(float x)
{
    double nearest = nearbyint((double)x); /* the default mode: nearest even */
    assert_true(num_f32_to_i8(x) == clamped(nearest, -128.0, 127.0));
    assert_true(num_f32_to_i16(x) == clamped(nearest, -32768.0, 32767.0));
    assert_true(num_f32_to_i32(x) == clamped(nearest, -2147483648.0, 2147483647.0));
}

static void test_conversions(void **state)
{
    (void)state;
    for (int i = -300000; i <= 300000; i++) {
        check_conversions((float)i * 0.125f); /* ties included */
        check_conversions(nextafterf((float)i * 0.5f, INFINITY));
    }
    for (uint32_t bits = 0; bits < 0x7F800000; bits += 4093) {
        check_conversions(num_float(bits));
        check_conversions(-num_float(bits));
    }
    check_conversions(INFINITY);
    check_conversions(-INFINITY);
    assert_int_equal(num_f32_to_i8(NAN), 0);
    assert_int_equal(num_f32_to_i16(-NAN), 0);
    assert_int_equal(num_f32_to_i32(NAN), 0);
    assert_int_equal(num_f32_to_i32(2147483520.0f), 2147483520);
    assert_int_equal(num_f32_to_i32(2147483648.0f), INT32_MAX);
    assert_int_equal(num_i32_to_u8(-1), 0);
    assert_int_equal(num_i32_to_u8(255), 255);
    assert_int_equal(num_i32_to_u8(INT32_MAX), 255);
    assert_int_equal(num_i32_to_u8(INT32_MIN), 0);
}

/* Distance of y from the exact value in units of binary32's last place at that value. */
static double units(float y, double exact)
{
    int exponent;
    frexp(exact, &exponent);
    return fabs((double)y - exact) / ldexp(1.0, (exponent < -125 ? -125 : exponent) - 24);
}

static void test_exp(void **state)
{
    (void)state;
    float previous = 0.0f;
    for (uint32_t bits = num_bits(-88.0f); bits > num_bits(-0x1p-40f); bits -= 509) {
        float x = num_float(bits);
        float y = num_exp(x);
        assert_true(y >= previous && y <= 1.0f);
        previous = y;
        if (x < -87.33654f)
            assert_int_equal(num_bits(y), 0);
        else
            assert_true(units(y, exp((double)x)) <= 0.501);
    }
    previous = 1.0f;
    for (uint32_t bits = num_bits(0x1p-40f); bits <= num_bits(88.72283f); bits += 509) {
        float y = num_exp(num_float(bits));
        assert_true(y >= previous);
        previous = y;
        assert_true(isinf(y) || units(y, exp((double)num_float(bits))) <= 0.501);
    }
}

static void test_exp_edges(void **state)
{
    (void)state;
    assert_int_equal(num_bits(num_exp(0.0f)), 0x3F800000);
    assert_int_equal(num_bits(num_exp(-0.0f)), 0x3F800000);
    assert_int_equal(num_bits(num_exp(-INFINITY)), 0);
    assert_int_equal(num_bits(num_exp(INFINITY)), 0x7F800000);
    assert_int_equal(num_bits(num_exp(89.0f)), 0x7F800000);
    assert_int_equal(num_bits(num_exp(-NAN)), 0x7FC00000);
    assert_true(num_exp(-87.33654f) >= 0x1p-126f); /* nothing subnormal is ever returned */
    assert_int_equal(num_bits(num_exp(nextafterf(-87.33654f, -INFINITY))), 0);
    assert_true(num_exp(88.72283f) < INFINITY);
}

static void test_rsqrt(void **state)
{
    (void)state;
    for (uint32_t bits = 1; bits < 0x7F800000; bits += 1021) {
        float x = num_float(bits);
        assert_true(units(num_rsqrt(x), 1.0 / sqrt((double)x)) <= 1.5);
    }
    assert_true(num_rsqrt(64.0f) == 0.125f);
    assert_int_equal(num_bits(num_rsqrt(0.0f)), 0x7F800000);
    assert_int_equal(num_bits(num_rsqrt(INFINITY)), 0);
    assert_int_equal(num_bits(num_rsqrt(-1.0f)), 0x7FC00000);
    assert_int_equal(num_bits(num_rsqrt(-NAN)), 0x7FC00000);
}

static void test_tanh(void **state)
{
    (void)state;
    float previous = 0.0f;
    for (uint32_t bits = 1; bits < num_bits(11.0f); bits += 1021) {
        float x = num_float(bits), y = num_tanh(x);
        assert_true(y >= previous && y <= 1.0f);
        assert_true(num_tanh(-x) == -y);
        assert_true(units(y, tanh((double)x)) <= 0.501);
        previous = y;
    }
    assert_int_equal(num_bits(num_tanh(-0.0f)), 0x80000000);
    assert_int_equal(num_bits(num_tanh(INFINITY)), 0x3F800000);
    assert_int_equal(num_bits(num_tanh(-INFINITY)), 0xBF800000);
    assert_int_equal(num_bits(num_tanh(-NAN)), 0x7FC00000);
    assert_int_equal(num_bits(num_sqrt(-0.0f)), 0x80000000);
    assert_int_equal(num_bits(num_sqrt(-1.0f)), 0x7FC00000);
    assert_int_equal(num_bits(num_sqrt(-NAN)), 0x7FC00000);
    assert_true(num_sqrt(6.25f) == 2.5f);
}

static void check_rope(double base, uint32_t head_dim, uint32_t pair, uint32_t position)
{
    float c, s;
    num_rope(base, head_dim, pair, position, &c, &s);
    long double power = -2.0L * pair / head_dim;
    long double angle = position * powl((long double)base, power);
    double cosine = (double)cosl(angle);
    double sine = (double)sinl(angle);
    /* The angle's own rounding in binary64 shows only beside a zero, and far out. */
    assert_true(fabs(c - cosine) <= 0x1p-24);
    assert_true(fabs(s - sine) <= 0x1p-24);
    if (position < 4096 && fabs(cosine) > 0x1p-10 && fabs(sine) > 0x1p-10)
        assert_true(units(c, cosine) <= 0.51 && units(s, sine) <= 0.51);
}

static void test_rope(void **state)
{
    (void)state;
    static const double bases[] = {10000.0, 100000.0, 500000.0, 1000000.0};
    for (size_t b = 0; b < BASE_COUNT(bases); b++)
        for (uint32_t head_dim = 2; head_dim <= 128; head_dim += 14)
            for (uint32_t pair = 0; pair < head_dim / 2; pair++)
                for (uint32_t position = 0; position < 1u << 20; position += 1 + position / 3)
                    check_rope(bases[b], head_dim, pair, position);
    float c, s;
    num_rope(10000.0, 64, 31, 0, &c, &s);
    assert_int_equal(num_bits(c), 0x3F800000);
    assert_int_equal(num_bits(s), 0);
}

/* A divisor slows a pair down, a magnitude lengthens it; both exactly 1 change no bit. */
static void test_rope_scaled(void **state)
{
    (void)state;
    float c, s, cosine, sine;
    for (uint32_t pair = 0; pair < 32; pair++) {
        num_rope(500000.0, 64, pair, 1000, &c, &s);
        num_rope_scaled(500000.0, 64, pair, 1.0, 1.0, 1000, &cosine, &sine);
        assert_true(c == cosine && s == sine);
        num_rope_scaled(500000.0, 64, pair, 8.0, 1.5, 8000, &cosine, &sine);
        assert_true(fabsf(cosine - 1.5f * c) <= 0x1p-22f && fabsf(sine - 1.5f * s) <= 0x1p-22f);
    }
}

static void test_gelu(void **state)
{
    (void)state;
    double worst = 0.0;
    for (int i = -200000; i <= 200000; i++) {
        float x = (float)i * 1e-4f;
        double inner = 0.7978845608028654 * ((double)x + 0.044715 * (double)x * x * x);
        double exact = 0.5 * x * (1.0 + tanh(inner));
        worst = fmax(worst, fabs(num_gelu(x) - exact) / (fabs(exact) + 1e-3));
    }
    assert_true(worst < 2e-6);
    assert_true(num_gelu(0.0f) == 0.0f && num_gelu(100.0f) == 100.0f);
    assert_true(num_gelu(1e30f) == 1e30f && num_gelu(-1e30f) == 0.0f);
}

static void test_softcap(void **state)
{
    (void)state;
    float previous = -50.0f;
    for (int i = -300000; i <= 300000; i++) {
        float x = (float)i * 1e-3f, y = num_softcap(x, 50.0f);
        assert_true(fabs(y - 50.0 * tanh(x / 50.0)) <= 50.0 * 0x1p-22);
        assert_true(y >= previous);
        previous = y;
    }
    assert_true(num_softcap(1e30f, 30.0f) == 30.0f && num_softcap(-1e30f, 30.0f) == -30.0f);
}

static void test_activations(void **state)
{
    (void)state;
    for (uint32_t e = NUM_EXPONENT_MIN; e <= 255; e++) {
        uint8_t exponent = (uint8_t)e;
        float up = num_scale_up(exponent);
        float down = num_scale_down(exponent);
        assert_true(up == ldexpf(1.0f, 141 - (int)e) && down == ldexpf(1.0f, (int)e - 141));
        if (e == 255)
            break;
        float largest = num_float((e << 23) + 0x7FFFFF);
        assert_int_equal(num_exponent(largest), e);
        assert_int_equal(num_exponent(-largest), e);
        assert_int_equal(num_quantise_i16(largest, exponent), 32767); /* rounds up, saturates */
        assert_int_equal(num_quantise_i16(-largest, exponent), -32768);
        assert_int_equal(num_quantise_i16(num_float(e << 23), exponent), 16384);
        for (uint32_t i = 0; i < 1000; i++) { /* half a step is the error, but for saturation */
            float x = (base_random_f32(1, e, i) * 2.0f - 1.0f) * num_float(e << 23);
            double error = (double)num_quantise_i16(x, exponent) * down - x;
            assert_true(fabs(error) <= 0.5 * (double)down);
        }
    }
    assert_int_equal(num_quantise_i16(INFINITY, 255), 32767);
    assert_int_equal(num_quantise_i16(-INFINITY, 255), -32768);
    assert_int_equal(num_quantise_i16(NAN, 255), 0);
    assert_int_equal(num_quantise_i16(0x1p-149f, NUM_EXPONENT_MIN), 0);
}

static void test_bounds(void **state)
{
    (void)state;
    assert_int_equal(num_growth(1.0), 0);
    assert_int_equal(num_growth(1.0 + 0x1p-52), 1);
    assert_int_equal(num_growth(0.25), -2);
    assert_int_equal(num_growth(0.0), NUM_GROWTH_MIN);
    for (uint32_t i = 0; i < 1000; i++) {
        double x = ldexp(1.0 + (double)base_random_f32(2, 0, i), (int)(i % 400) - 200);
        int32_t k = num_growth(x);
        assert_true(x <= ldexp(1.0, k) && x > ldexp(1.0, k - 1));
        uint32_t e = num_exponent_of_bound(x);
        assert_true(e >= NUM_EXPONENT_MIN && e <= 255);
        assert_true(e == 255 || x <= ldexp(1.0, (int)e - 126));
    }
    assert_int_equal(num_exponent_grown(0, 15, -100), 16);
    assert_int_equal(num_exponent_grown(130, 120, 5), 131);
    assert_int_equal(num_exponent_grown(100, 120, 5), 126);
    assert_int_equal(num_exponent_grown(255, 255, 300), 255);
    assert_int_equal(num_exponent_grown(254, 15, 0), 255);
}

static void test_codes(void **state)
{
    (void)state;
    uint8_t previous = 0;
    for (uint32_t bits = 0; bits <= 0x7F800000; bits += 1009) {
        float x = num_float(bits);
        uint8_t code = num_code(x);
        float bound = num_code_bound(code);
        assert_true(code >= previous && num_code(-x) == code);
        previous = code;
        int q = num_code_quantise(x, code);
        int opposite = num_code_quantise(-x, code);
        assert_true(opposite == -q || (code == 255 && q == 127 && opposite == -128));
        if (code == 255)
            continue; /* 2^12 and beyond saturate */
        assert_true(x < bound && (code == 0 || x >= bound * 0.88f));
        assert_true(fabs((double)q * num_code_scale(code) - x) <= 0.5001 * num_code_scale(code));
    }
    assert_true(num_code_bound(0) == 0x1.2p-20f);
    assert_int_equal(num_code(1.0f), 160);
    assert_int_equal(num_code(NAN), 255);
    assert_int_equal(num_code_quantise(NAN, 255), 0);
}

static void check_channel(const float *weights, uint32_t n)
{
    int8_t q[64], negated[64];
    float opposite[64];
    float scale, other;
    num_quantise_channel(weights, n, q, &scale);
    for (uint32_t i = 0; i < n; i++)
        opposite[i] = -weights[i];
    num_quantise_channel(opposite, n, negated, &other);
    assert_int_equal(num_bits(scale), num_bits(other));
    for (uint32_t i = 0; i < n; i++) {
        assert_in_range(q[i] + 127, 0, 254);
        assert_int_equal(negated[i], -q[i]);
        double error = fabs((double)q[i] * scale - weights[i]);
        bool clipped = q[i] == 127 || q[i] == -127;
        bool vanished = scale == 0.0f && fabsf(weights[i]) < 0x1p-142f; /* no scale that small */
        assert_true(clipped || vanished || error <= 0.5001 * (double)scale);
    }
}

static void test_channels(void **state)
{
    (void)state;
    float weights[64];
    for (uint32_t trial = 0; trial < 2000; trial++) {
        float range = ldexpf(1.0f, (int)(trial % 270) - 149);
        uint32_t n = 1 + trial % 64;
        for (uint32_t i = 0; i < n; i++)
            weights[i] = (base_random_f32(2, trial, i) * 2.0f - 1.0f) * range;
        check_channel(weights, n);
    }
    int8_t q[2];
    float scale = 1.0f;
    num_quantise_channel((const float[]){0.0f, -0.0f}, 2, q, &scale);
    assert_true(scale == 0.0f && q[0] == 0 && q[1] == 0);
    num_quantise_channel((const float[]){3.4e38f, -3.4e38f}, 2, q, &scale);
    assert_true(isfinite(scale) && q[0] == 127 && q[1] == -127);
}

static void feed(struct base_digest *digest, uint32_t bits)
{
    unsigned char bytes[4] = {(unsigned char)bits, (unsigned char)(bits >> 8),
                              (unsigned char)(bits >> 16), (unsigned char)(bits >> 24)};
    base_digest_update(digest, bytes, sizeof bytes);
}

/* The bits themselves: the same on every compiler, level of optimisation and processor. */
static void test_fixed_bits(void **state)
{
    (void)state;
    struct base_digest *digest = base_digest_create();
    assert_non_null(digest);
    for (uint32_t i = 0; i < 200000; i++) {
        float x = num_float((uint32_t)base_random_u64(3, 0, i));
        feed(digest, num_bits(num_exp(x)));
        feed(digest, num_bits(num_exp(-90.0f * base_random_f32(3, 1, i))));
        feed(digest, num_bits(num_rsqrt(x)));
        feed(digest, (uint32_t)num_f32_to_i32(x));
        feed(digest, num_bits(num_code_scale(num_code(x))));
    }
    for (uint32_t i = 0; i < 50000; i++) {
        float c, s;
        num_rope(10000.0, 64, i % 32, i * 20u, &c, &s);
        feed(digest, num_bits(c));
        feed(digest, num_bits(s));
        num_rope_scaled(500000.0, 128, i % 64, 1.0 + i % 8, 1.19, i * 20u, &c, &s);
        feed(digest, num_bits(c));
        feed(digest, num_bits(s));
        feed(digest, num_bits(num_gelu(20.0f * base_random_f32(6, 0, i) - 10.0f)));
        feed(digest, num_bits(num_softcap(200.0f * base_random_f32(7, 0, i) - 100.0f, 30.0f)));
    }
    float weights[320];
    int8_t q[320];
    for (uint32_t channel = 0; channel < 200; channel++) {
        float scale;
        for (uint32_t i = 0; i < 320; i++)
            weights[i] = base_random_f32(4, channel, i) * base_random_f32(5, channel, i) - 0.3f;
        num_quantise_channel(weights, 320, q, &scale);
        feed(digest, num_bits(scale));
        base_digest_update(digest, q, sizeof q);
    }
    char hex[65];
    base_digest_hex(digest, hex);
    base_digest_destroy(digest);
    assert_string_equal(hex, "fe80db17381eddad9473abd233da73a54ab7fbace1a6a20fc1acf3a9df3d0f85");
}

TEST_GROUP(num, cmocka_unit_test(test_bits), cmocka_unit_test(test_halves),
           cmocka_unit_test(test_narrowing), cmocka_unit_test(test_conversions),
           cmocka_unit_test(test_exp), cmocka_unit_test(test_exp_edges),
           cmocka_unit_test(test_rsqrt), cmocka_unit_test(test_tanh), cmocka_unit_test(test_rope),
           cmocka_unit_test(test_rope_scaled), cmocka_unit_test(test_gelu),
           cmocka_unit_test(test_softcap), cmocka_unit_test(test_activations),
           cmocka_unit_test(test_bounds), cmocka_unit_test(test_codes),
           cmocka_unit_test(test_channels), cmocka_unit_test(test_fixed_bits));
