/* The machine's inner loops: every level this computer has against loops over single elements. */
#include "tests.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "chip/internal.h"
#include "num/num.h"

static void fill_random(uint8_t *bytes, size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)base_random_u64(seed, 1, i);
}

static int32_t widen(uint8_t byte, bool is_signed)
{
    return is_signed && byte > 127 ? (int32_t)byte - 256 : (int32_t)byte;
}

static void check_product(const struct chip_kernel *kernel, uint32_t lanes, uint64_t loaded,
                          uint32_t zero_share, uint64_t seed)
{
    uint8_t *rows = malloc((size_t)lanes * lanes);
    struct chip_weights weights = {.rows = malloc((size_t)lanes * lanes),
                                   .sums = malloc(lanes * sizeof(int32_t))};
    int32_t *out = malloc(lanes * sizeof(int32_t));
    uint8_t *activation = malloc(lanes);
    assert_true(rows && weights.rows && weights.sums && out && activation);
    fill_random(rows, (size_t)lanes * lanes, seed);
    fill_random(activation, lanes, seed + 1u);
    memset(weights.rows, 0x55, (size_t)lanes * lanes);
    for (uint32_t row = 0; row < lanes; row++)
        if (base_random_u64(seed, 2, row) % 100u < zero_share)
            activation[row] = 0;
    activation[lanes - 1u] = 0x80; /* -128 or 128, against -128 */
    memset(rows + (size_t)(lanes - 1u) * lanes, 0x80, lanes);
    for (uint32_t group = 0; group < lanes / 16u; group++) {
        const uint8_t *in[16];
        for (uint32_t i = 0; i < 16; i++)
            in[i] = rows + (size_t)(16u * group + i) * lanes;
        if (loaded >> group & 1u) { /* in two parts, which need not be equal */
            uint32_t middle = lanes / 32u * 16u;
            kernel->load(&weights, group, in, lanes, 0, middle);
            kernel->load(&weights, group, in, lanes, middle, lanes);
        }
    }
    weights.loaded = loaded;
    for (uint32_t is_signed = 0; is_signed < 2; is_signed++) {
        uint32_t middle = (lanes + 16u) / 32u * 16u;
        weights.sums_valid = false; /* each part finds the sums of its own columns */
        kernel->product(&weights, activation, is_signed != 0, lanes, 0, middle, out);
        weights.sums_valid = false;
        kernel->product(&weights, activation, is_signed != 0, lanes, middle, lanes, out);
        for (uint32_t column = 0; column < lanes; column++) {
            int32_t sum = 0;
            for (uint32_t row = 0; row < lanes; row++)
                if (loaded >> (row / 16u) & 1u)
                    sum += widen(activation[row], is_signed != 0) *
                           widen(rows[(size_t)row * lanes + column], true);
            if (out[column] != sum)
                fail_msg("%s, %u lanes, column %u: %d, expected %d", kernel->name, lanes, column,
                         out[column], sum);
        }
    }
    free(rows);
    free(weights.rows);
    free(weights.sums);
    free(out);
    free(activation);
}

static void kernels_give_exact_sums(void **state)
{
    (void)state;
    static const uint32_t lanes[] = {16, 48, 160, 320, 1024};
    for (uint32_t k = 0; chip_kernel(k); k++) {
        if (!chip_kernel(k)->supported())
            continue;
        for (uint32_t i = 0; i < BASE_COUNT(lanes); i++) {
            uint64_t all = lanes[i] == 1024 ? UINT64_MAX : (UINT64_C(1) << lanes[i] / 16u) - 1u;
            check_product(chip_kernel(k), lanes[i], all, 0, 7);
            check_product(chip_kernel(k), lanes[i], all & UINT64_C(0xA5A5A5A5A5A5A5A5), 60, 8);
            check_product(chip_kernel(k), lanes[i], all, 100, 9);
        }
    }
}

static void kernels_give_one_rounding(void **state)
{
    (void)state;
    enum { COUNT = 1024 };
    uint32_t a[COUNT], b[COUNT], d[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        a[i] = (uint32_t)base_random_u64(3, 0, i);
        b[i] = (uint32_t)base_random_u64(3, 1, i);
        if (i % 2u) { /* near enough for the rounding to matter */
            a[i] = (a[i] & 0x807FFFFFu) | 0x3F800000u;
            b[i] = (b[i] & 0x807FFFFFu) | (0x3F800000u - (i % 26u << 23));
        }
    }
    for (uint32_t k = 0; chip_kernel(k); k++) {
        if (!chip_kernel(k)->supported())
            continue;
        chip_kernel(k)->fma(a, num_bits(1.2345678f), b, COUNT, d);
        for (uint32_t i = 0; i < COUNT; i++) {
            float expected = fmaf(num_float(a[i]), 1.2345678f, num_float(b[i]));
            if (isnan(expected))
                assert_true(isnan(num_float(d[i])));
            else
                assert_int_equal(d[i], num_bits(expected));
        }
    }
}

static void lanes_join_split_and_transpose(void **state)
{
    (void)state;
    enum { LANES = 48 };
    uint8_t bytes[16][LANES], out[16][LANES];
    uint32_t words[LANES];
    const uint8_t *in[16];
    uint8_t *to[16];
    fill_random(&bytes[0][0], sizeof bytes, 11);
    for (uint32_t i = 0; i < 16; i++) {
        in[i] = bytes[i];
        to[i] = out[i];
    }
    chip_lanes_join4(in, LANES, words);
    for (uint32_t lane = 0; lane < LANES; lane++)
        assert_int_equal(words[lane], (uint32_t)bytes[0][lane] | (uint32_t)bytes[1][lane] << 8 |
                                          (uint32_t)bytes[2][lane] << 16 |
                                          (uint32_t)bytes[3][lane] << 24);
    chip_lanes_split4(words, LANES, to);
    assert_memory_equal(bytes, out, 4u * LANES);
    chip_lanes_transpose(in, to, LANES);
    for (uint32_t lane = 0; lane < LANES; lane++)
        for (uint32_t i = 0; i < 16; i++)
            assert_int_equal(out[i][lane], bytes[lane % 16u][lane / 16u * 16u + i]);
}

TEST_GROUP(chip_kernels, cmocka_unit_test(kernels_give_exact_sums),
           cmocka_unit_test(kernels_give_one_rounding),
           cmocka_unit_test(lanes_join_split_and_transpose));
