/*
 * dequantise: every format against a second definition and against values of another's making.
 *
 * The second definition is by element, not by loops: where the bits of element i of a block stand,
 * as the format's description puts it. The digests are those of ggml's own functions
 * (libggml-base of node-llama-cpp 3.22.1: dequantize_row_q4_0 and so on) over the same bytes.
 */
#include "tests.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/tensor.h"
#include "num/num.h"

enum { BLOCKS = 64 };

/* Random bytes, with scales that are sane halves (no infinity, no NaN). */
static void fill(const struct model_format *format, unsigned char *data)
{
    static const struct {
        const char *name;
        unsigned at[2], count; /* byte offsets of halves */
    } halves[] = {
        {"Q8_0", {0, 0}, 1}, {"Q4_0", {0, 0}, 1},   {"Q4_1", {0, 2}, 2},   {"Q5_0", {0, 0}, 1},
        {"Q5_1", {0, 2}, 2}, {"Q2_K", {80, 82}, 2}, {"Q3_K", {108, 0}, 1}, {"Q4_K", {0, 2}, 2},
        {"Q5_K", {0, 2}, 2}, {"Q6_K", {208, 0}, 1}, {"IQ4_NL", {0, 0}, 1}, {"IQ4_XS", {0, 0}, 1},
        {"F16", {0, 0}, 1},
    };
    for (size_t i = 0; i < (size_t)BLOCKS * format->block_bytes; i++)
        data[i] = (unsigned char)base_random_u64(format->number, 1, i);
    for (size_t h = 0; h < BASE_COUNT(halves); h++)
        for (size_t b = 0; strcmp(halves[h].name, format->name) == 0 && b < BLOCKS; b++)
            for (unsigned k = 0; k < halves[h].count; k++) {
                unsigned char *high = data + b * format->block_bytes + halves[h].at[k] + 1;
                *high = (unsigned char)((*high & 0x80) | (*high & 0x7F) % 0x7C);
            }
    for (size_t b = 0; strcmp(format->name, "MXFP4") == 0 && b < BLOCKS; b++)
        data[b * format->block_bytes] %= 250;
    for (size_t b = 0; strcmp(format->name, "F32") == 0 && b < BLOCKS; b++)
        data[4 * b + 3] &= 0xBF;
    for (size_t b = 0; strcmp(format->name, "BF16") == 0 && b < BLOCKS; b++)
        data[2 * b + 1] &= 0xBF;
}

/* ---- the second definition ------------------------------------------------------------------- */

static double half_at(const unsigned char *block, unsigned at)
{
    unsigned h = block[at] | (unsigned)block[at + 1] << 8;
    unsigned e = h >> 10 & 31, f = h & 1023;
    double value = e == 0 ? ldexp(f, -24) : ldexp(1024 + f, (int)e - 25);
    return h >> 15 ? -value : value;
}

/* `bits` bits of a bit string that begins at byte `at`: least significant first. */
static int bits_at(const unsigned char *block, unsigned at, unsigned bit, unsigned bits)
{
    int value = 0;
    for (unsigned i = 0; i < bits; i++)
        value |= (block[at + (bit + i) / 8] >> (bit + i) % 8 & 1) << i;
    return value;
}

/* Element i of 32: nibble i of the low ones, then of the high ones. */
static int nibble_at(const unsigned char *block, unsigned at, unsigned i)
{
    return bits_at(block, at, i % 16 * 8 + i / 16 * 4, 4);
}

static int pair_at(const unsigned char *block, unsigned at, unsigned i)
{
    return bits_at(block, at, (i / 128 * 32 + i % 32) * 8 + i / 32 % 4 * 2, 2);
}

static const int nl[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                           1,    13,   25,  38,  53,  69,  89,  113};

/* The six-bit pairs of Q4_K: the first four in the low six bits of bytes 0..3 and 4..7, the others
 * with their low nibbles in bytes 8..11 and their upper two bits atop the first eight. */
static void scale_and_offset(const unsigned char *block, unsigned g, int *scale, int *offset)
{
    *scale = g < 4 ? bits_at(block, 4 + g, 0, 6)
                   : bits_at(block, 8 + g, 0, 4) + 16 * bits_at(block, g, 6, 2);
    *offset = g < 4 ? bits_at(block, 8 + g, 0, 6)
                    : bits_at(block, 8 + g, 4, 4) + 16 * bits_at(block, 4 + g, 6, 2);
}

static double k_value(enum model_type type, const unsigned char *b, unsigned i)
{
    int s, m;
    switch (type) {
    case MODEL_Q2_K:
        return half_at(b, 80) * bits_at(b, i / 16, 0, 4) * pair_at(b, 16, i) -
               half_at(b, 82) * bits_at(b, i / 16, 4, 4);
    case MODEL_Q3_K:
        s = bits_at(b, 96 + i / 16 % 8, i / 128 * 4, 4) +
            16 * bits_at(b, 104 + i / 16 % 4, i / 64 * 2, 2);
        return half_at(b, 108) * (s - 32) *
               (pair_at(b, 32, i) + 4 * bits_at(b, i % 32, i / 32, 1) - 4);
    case MODEL_Q4_K:
        scale_and_offset(b, i / 32, &s, &m);
        return half_at(b, 0) * s * bits_at(b, 16 + i / 64 * 32 + i % 32, i / 32 % 2 * 4, 4) -
               half_at(b, 2) * m;
    case MODEL_Q5_K:
        scale_and_offset(b, i / 32, &s, &m);
        return half_at(b, 0) * s *
                   (bits_at(b, 48 + i / 64 * 32 + i % 32, i / 32 % 2 * 4, 4) +
                    16 * bits_at(b, 16 + i % 32, i / 32, 1)) -
               half_at(b, 2) * m;
    case MODEL_Q6_K:
        return half_at(b, 208) * (signed char)b[192 + i / 16] *
               (bits_at(b, i / 128 * 64 + i % 64, i / 64 % 2 * 4, 4) + 16 * pair_at(b, 128, i) -
                32);
    case MODEL_IQ4_XS:
        s = bits_at(b, 4, i / 32 * 4, 4) + 16 * bits_at(b, 2, i / 32 * 2, 2);
        return half_at(b, 0) * (s - 32) * nl[nibble_at(b, 8 + i / 32 * 16, i % 32)];
    default: return NAN;
    }
}

static double value_of(enum model_type type, const unsigned char *b, unsigned i)
{
    static const double fp4[8] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
    int n;
    float f;
    switch (type) {
    case MODEL_F32: memcpy(&f, b, 4); return (double)f;
    case MODEL_F16: return half_at(b, 0);
    case MODEL_BF16: return (double)num_float((uint32_t)(b[0] | b[1] << 8) << 16);
    case MODEL_Q8_0: return half_at(b, 0) * (signed char)b[2 + i];
    case MODEL_Q4_0: return half_at(b, 0) * (nibble_at(b, 2, i) - 8);
    case MODEL_Q4_1: return half_at(b, 0) * nibble_at(b, 4, i) + half_at(b, 2);
    case MODEL_Q5_0: return half_at(b, 0) * (nibble_at(b, 6, i) + 16 * bits_at(b, 2, i, 1) - 16);
    case MODEL_Q5_1:
        return half_at(b, 0) * (nibble_at(b, 8, i) + 16 * bits_at(b, 4, i, 1)) + half_at(b, 2);
    case MODEL_IQ4_NL: return half_at(b, 0) * nl[nibble_at(b, 2, i)];
    case MODEL_MXFP4:
        n = nibble_at(b, 1, i);
        return ldexp(n >= 8 ? -fp4[n - 8] : fp4[n], b[0] - 127);
    default: return k_value(type, b, i);
    }
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void test_by_element(void **state)
{
    (void)state;
    for (unsigned type = 0; type < MODEL_TYPE_COUNT; type++) {
        const struct model_format *format = model_tensor_format((enum model_type)type);
        static unsigned char data[1 + BLOCKS * 256]; /* rows need no alignment */
        static float out[BLOCKS * 256];
        fill(format, data + 1);
        struct model_tensor tensor = {"t", (enum model_type)type, 2, BLOCKS / 2 * format->block,
                                      data + 1};
        for (uint32_t row = 0; row < 2; row++) {
            model_row(&tensor, row, out);
            const unsigned char *block = data + 1 + row * (BLOCKS / 2) * format->block_bytes;
            for (unsigned i = 0; i < tensor.columns; i++) {
                double wanted =
                    value_of((enum model_type)type, block + i / format->block * format->block_bytes,
                             i % format->block);
                if ((double)out[i] != (double)(float)wanted)
                    fail_msg("%s, row %u, element %u: %a, wanted %a", format->name, row, i,
                             (double)out[i], wanted);
            }
        }
    }
}

static void test_others_values(void **state)
{
    (void)state;
    static const struct {
        enum model_type type;
        const char *digest;
    } known[] = {
#include "dequantise.inc"
    };
    for (size_t k = 0; k < BASE_COUNT(known); k++) {
        const struct model_format *format = model_tensor_format(known[k].type);
        static unsigned char data[BLOCKS * 256];
        static float out[BLOCKS * 256];
        fill(format, data);
        struct model_tensor tensor = {"t", known[k].type, 1, BLOCKS * format->block, data};
        model_row(&tensor, 0, out);
        for (unsigned i = 0; i < tensor.columns; i++)
            out[i] += 0.0f; /* a zero has no sign here */
        struct base_digest *digest = base_digest_create();
        assert_non_null(digest);
        base_digest_update(digest, out, tensor.columns * sizeof(float));
        char hex[65];
        base_digest_hex(digest, hex);
        base_digest_destroy(digest);
        if (strncmp(hex, known[k].digest, 16) != 0)
            fail_msg("%s: %.16s, wanted %s", format->name, hex, known[k].digest);
    }
}

/* A few blocks worked out by hand. */
static void test_by_hand(void **state)
{
    (void)state;
    float out[256];
    unsigned char q4[18] = {0x00, 0x38, 0x0F, 0x80}; /* 0.5; nibbles 15, 0 and 0, 8 */
    struct model_tensor tensor = {"t", MODEL_Q4_0, 1, 32, q4};
    model_row(&tensor, 0, out);
    assert_true(out[0] == 3.5f && out[16] == -4.0f && out[1] == -4.0f && out[17] == 0.0f);
    unsigned char mx[17] = {128, 0x97}; /* 2; 6 and -0.5 */
    tensor = (struct model_tensor){"t", MODEL_MXFP4, 1, 32, mx};
    model_row(&tensor, 0, out);
    assert_true(out[0] == 12.0f && out[16] == -1.0f && out[1] == 0.0f);
    mx[0] = 0; /* 2^-127, a subnormal */
    model_row(&tensor, 0, out);
    assert_true(out[0] == 0x1.8p-125f && out[16] == -0x1p-128f);
    mx[0] = 255;
    model_row(&tensor, 0, out);
    assert_true(isnan(out[0]) && isnan(out[1]));
    unsigned char q6[210] = {0};
    q6[209] = 0x3C; /* scale 1 */
    q6[192] = 2, q6[193] = 0x80;
    q6[0] = 0x0F, q6[128] = 0x03; /* element 0: 15 + 48 - 32 */
    tensor = (struct model_tensor){"t", MODEL_Q6_K, 1, 256, q6};
    model_row(&tensor, 0, out);
    assert_true(out[0] == 62.0f && out[1] == -64.0f && out[16] == 4096.0f && out[32] == 0.0f);
}

static void test_halves(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        unsigned char data[2] = {(unsigned char)h, (unsigned char)(h >> 8)};
        struct model_tensor tensor = {"t", MODEL_F16, 1, 1, data};
        float out;
        model_row(&tensor, 0, &out);
        assert_int_equal(num_bits(out), num_bits(num_f16_to_f32((uint16_t)h)));
    }
}

TEST_GROUP(dequantise, cmocka_unit_test(test_by_element), cmocka_unit_test(test_others_values),
           cmocka_unit_test(test_by_hand), cmocka_unit_test(test_halves));
