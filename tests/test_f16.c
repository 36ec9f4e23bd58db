/*
 * The fp16 mode of the matrix unit against sums in plain 128-bit integers: every inner loop this
 * computer has, several widths, values of every kind.
 */
#include "tests.h"

#include "chip/internal.h"
#include "exact_f16.h"
#include "num/num.h"
#include "program/assembly.h"

#include <stdlib.h>
#include <string.h>

#define VECTORS 4u
#define SLICES 32u /* of weights: two bytes of sixteen rows */

static void rounding_of_96_bits(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 200000; i++) {
        int64_t high = (int64_t)base_random_u64(3, 0, i);
        uint32_t low = (uint32_t)base_random_u64(3, 1, i);
        const uint64_t kind = base_random_u64(3, 2, i);
        high = kind % 3 == 0 ? high >> 63 : high >> (kind / 3 % 64);
        low = kind / 256 % 4 == 0 ? low & 0xFF000000u : low >> (kind / 1024 % 32);
        if (kind / 65536 % 4 == 0)
            low = 0; /* ties */
        if (kind / 65536 % 8 == 1)
            high &= ~INT64_C(0xFFFFFFFF);
        const struct exact_sum sum = {.value = (exact_wide)high * ((exact_wide)1 << 32) + low};
        assert_int_equal(num_bits(num_fixed96_to_f32(high, low)), exact_round(&sum));
    }
    assert_int_equal(num_bits(num_fixed96_to_f32(0, 0)), 0);
    assert_int_equal(num_bits(num_fixed96_to_f32(INT64_MIN, 0)), 0xD7000000u);
}

/* ---- operands -------------------------------------------------------------------------------- */

enum kind { ORDINARY, ANY_FINITE, SUBNORMAL, CANCELLING, LARGEST, SPECIAL, KINDS };

struct operands {
    uint32_t lanes;
    uint16_t *weights;     /* [lanes rows][lanes] */
    uint16_t *activations; /* [VECTORS][lanes] */
};

static uint16_t draw(enum kind kind, uint64_t seed, uint64_t index)
{
    const uint64_t bits = base_random_u64(seed, 5, index);
    const uint16_t sign = (uint16_t)(bits >> 63 << 15);
    switch (kind) {
    case ORDINARY: return (uint16_t)(sign | (0x2400u + bits % 0x1C00u)); /* 2^-6 .. 2 */
    case SUBNORMAL: return (uint16_t)(sign | bits % 0x0800u);
    case LARGEST: return (uint16_t)(0x7BFFu | (bits % 16 == 0 ? 0x8000u : 0));
    case SPECIAL:
        if (bits % 97 == 0)
            return (uint16_t)(sign | 0x7C00u | (bits / 97 % 5 == 0 ? 1u : 0));
        if (bits % 97 == 1)
            return sign;
        return (uint16_t)(sign | bits / 128 % 0x7C00u);
    case ANY_FINITE:
    case CANCELLING:
    default: return (uint16_t)(sign | bits % 0x7C00u);
    }
}

static void fill(struct operands *o, uint32_t lanes, enum kind kind, uint64_t seed)
{
    o->lanes = lanes;
    o->weights = calloc((size_t)lanes * lanes, sizeof(uint16_t));
    o->activations = calloc((size_t)VECTORS * lanes, sizeof(uint16_t));
    assert_true(o->weights && o->activations);
    for (size_t i = 0; i < (size_t)lanes * lanes; i++)
        o->weights[i] = draw(kind, seed, i);
    for (size_t i = 0; i < (size_t)VECTORS * lanes; i++)
        o->activations[i] = draw(kind, seed + 1, i);
    if (kind != CANCELLING)
        return;
    /* The second half of the rows takes the first away again, all but a little. */
    for (uint32_t row = 0; row < lanes / 2; row++) {
        for (uint32_t v = 0; v < VECTORS; v++)
            o->activations[v * lanes + lanes / 2 + row] = o->activations[v * lanes + row];
        for (uint32_t column = 0; column < lanes; column++) {
            uint16_t w = o->weights[(size_t)row * lanes + column];
            w = (uint16_t)(w ^ 0x8000u ^ (row == column % (lanes / 2) ? 1u : 0));
            o->weights[(size_t)(lanes / 2 + row) * lanes + column] = w;
        }
    }
}

/* ---- the program: both halves of each vector into one sum, then the first alone -------------- */

static void write_program(struct base_text *text, uint32_t superlanes)
{
    base_text_format(text, ".machine superlanes = %u\n", superlanes);
    const uint32_t load = 20, use = load + superlanes + 1, take = use + 32;
    for (uint32_t i = 0; i < SLICES; i++) {
        const uint32_t slice = 12 + i, stream = i / 2 + 16 * (i % 2);
        base_text_format(text, ".queue mem.e%u\nnop %u\nread 0, e%u\nrepeat %u, 1, 1\nsync\n",
                         slice, load - 1 - (17 - slice / 4), stream, BASE_MAX(superlanes, 2u) - 1);
    }
    for (uint32_t plane = 0; plane < 2; plane++) {
        base_text_format(text, ".queue mxm.e%u.weights\nnop %u\nlw 0, e%u\n", plane, load,
                         16 * plane);
        if (superlanes > 1)
            base_text_format(text, "repeat %u, 1, 1\n", superlanes - 1);
        base_text_format(text, "iw\nsync\n");
        base_text_format(text, ".queue mem.e%u\nnop %u\n", 8 + plane, use - 1 - 15);
        base_text_format(text, "read 100, e%u\nrepeat %u, 1, 1\n", plane, VECTORS - 1);
        base_text_format(text, "read 100, e%u\nrepeat %u, 1, 1\n", plane, VECTORS - 1);
        base_text_format(text, "read 100, e%u\nsync\n", plane);
    }
    base_text_format(text,
                     ".queue mxm.e0.activations\nnop %u\nabc.f16 0, e0\nrepeat %u, 1, 0\nabc.f16 "
                     "1, e0\nrepeat %u, 1, 0\nabc.f16 0, e0\nsync\n",
                     use, VECTORS - 1, VECTORS - 1);
    base_text_format(text,
                     ".queue mxm.e0.results\nnop %u\nacc.set 5\nrepeat %u, 1, 1\nacc.out 5, "
                     "w0\nrepeat %u, 1, 1\nacc.pass w0\nsync\n",
                     take, VECTORS - 1, VECTORS - 1);
    for (uint32_t i = 0; i < 4; i++)
        base_text_format(text, ".queue mem.e%u\nnop %u\nwrite 200, w%u\nrepeat %u, 1, 1\nsync\n", i,
                         take + VECTORS + 1 + 17, i, VECTORS);
}

static void put(struct chip *chip, uint32_t slice, uint32_t address, const uint16_t *values,
                uint32_t lanes, uint32_t byte)
{
    uint8_t word[MACHINE_LANES_MAX];
    for (uint32_t lane = 0; lane < lanes; lane++)
        word[lane] = (uint8_t)(values[lane] >> (8u * byte));
    chip_write_word(chip, (struct program_place){(uint16_t)(44 + slice), (uint16_t)address}, word);
}

static uint32_t get(const struct chip *chip, uint32_t address, uint32_t lane)
{
    uint8_t word[MACHINE_LANES_MAX];
    uint32_t value = 0;
    for (uint32_t i = 0; i < 4; i++) {
        chip_read_word(chip, (struct program_place){(uint16_t)(44 + i), (uint16_t)address}, word);
        value |= (uint32_t)word[lane] << (8u * i);
    }
    return value;
}

static void check(const struct chip_kernel *kernel, const struct program *program,
                  const struct operands *o, enum kind kind)
{
    struct chip *chip;
    struct chip_text *text;
    struct takt_error error;
    uint64_t cycles;
    const uint32_t lanes = o->lanes;
    assert_int_equal(chip_create(&chip, &program->machine, &error), TAKT_OK);
    assert_int_equal(chip_text_create(&text, program, &error), TAKT_OK);
    chip->kernel = kernel;
    for (uint32_t i = 0; i < SLICES; i++)
        for (uint32_t group = 0; group < lanes / 16; group++)
            put(chip, 12 + i, group, o->weights + (size_t)(16 * group + i / 2) * lanes, lanes,
                i % 2);
    for (uint32_t v = 0; v < VECTORS; v++)
        for (uint32_t byte = 0; byte < 2; byte++)
            put(chip, 8 + byte, 100 + v, o->activations + v * lanes, lanes, byte);
    if (chip_run(chip, text, &cycles, &error) != TAKT_OK)
        fail_msg("%s", error.message);
    for (uint32_t v = 0; v <= VECTORS; v++) {
        const uint16_t *activation = o->activations + v % VECTORS * lanes;
        for (uint32_t column = 0; column < lanes; column++) {
            struct exact_sum sum = {0};
            for (uint32_t row = 0; row < (v < VECTORS ? lanes : lanes / 2); row++)
                exact_add_product(&sum, activation[row], o->weights[(size_t)row * lanes + column]);
            if (get(chip, 200 + v, column) != exact_round(&sum))
                fail_msg("%s, %u lanes, kind %d, vector %u, column %u: %08x, expected %08x",
                         kernel->name, lanes, (int)kind, v, column, get(chip, 200 + v, column),
                         exact_round(&sum));
        }
    }
    chip_text_destroy(text);
    chip_destroy(chip);
}

static void sums_are_exact(void **state)
{
    (void)state;
    static const uint32_t superlanes[] = {2, 3, 20, 64};
    for (uint32_t s = 0; s < BASE_COUNT(superlanes); s++) {
        struct base_text text = {0};
        struct base_arena arena = {0};
        struct program_assembly assembly;
        struct takt_error error;
        memset(&assembly, 0, sizeof assembly);
        write_program(&text, superlanes[s]);
        assert_int_equal(base_arena_create(&arena, (size_t)64 << 20, NULL), TAKT_OK);
        if (program_assemble("f16", text.data, text.length, &arena, &assembly, &error) != TAKT_OK)
            fail_msg("%s", error.message);
        for (int kind = 0; kind < KINDS; kind++) {
            struct operands operands;
            fill(&operands, 16 * superlanes[s], (enum kind)kind, 40u + (uint64_t)kind);
            for (uint32_t k = 0; chip_kernel(k); k++)
                if (chip_kernel(k)->supported())
                    check(chip_kernel(k), &assembly.program, &operands, (enum kind)kind);
            free(operands.weights);
            free(operands.activations);
        }
        base_arena_destroy(&arena);
        base_text_free(&text);
    }
}

TEST_GROUP(f16, cmocka_unit_test(rounding_of_96_bits), cmocka_unit_test(sums_are_exact));
