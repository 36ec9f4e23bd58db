/* The memory's code: every single wrong bit, every pair of them, and what it costs: nothing else.
 */
#include "tests.h"

#include <string.h>

#include "chip/internal.h"

static void fill_random(uint8_t *bytes, size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)base_random_u64(seed, 1, i);
}

static void turn(uint8_t data[16], uint32_t *code, uint32_t bit)
{
    if (bit < 128)
        data[bit / 8u] ^= (uint8_t)(1u << (bit % 8u));
    else
        *code ^= 1u << (bit - 128u);
}

static void every_wrong_bit_is_put_right(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        uint8_t right[16], data[16];
        fill_random(right, 16, seed);
        const uint32_t code = chip_ecc_encode(right);
        assert_true(code < 512);
        memcpy(data, right, 16);
        assert_int_equal(chip_ecc_decode(data, code), CHIP_ECC_RIGHT);
        assert_memory_equal(data, right, 16);
        for (uint32_t bit = 0; bit < CHIP_ECC_BITS; bit++) {
            uint32_t wrong = code;
            turn(data, &wrong, bit);
            assert_int_equal(chip_ecc_decode(data, wrong), CHIP_ECC_CORRECTED);
            assert_memory_equal(data, right, 16);
        }
    }
}

static void every_pair_of_wrong_bits_is_seen(void **state)
{
    (void)state;
    uint8_t right[16], data[16];
    fill_random(right, 16, 7);
    const uint32_t code = chip_ecc_encode(right);
    for (uint32_t first = 0; first < CHIP_ECC_BITS; first++) {
        for (uint32_t second = 0; second < first; second++) {
            uint32_t wrong = code;
            memcpy(data, right, 16);
            turn(data, &wrong, first);
            turn(data, &wrong, second);
            assert_int_equal(chip_ecc_decode(data, wrong), CHIP_ECC_WRONG);
        }
    }
}

/* ---- through the chip ------------------------------------------------------------------------ */

static void upsets_last_until_new_data_comes(void **state)
{
    (void)state;
    struct machine machine;
    struct chip *chip;
    uint8_t right[MACHINE_LANES_MAX], word[MACHINE_LANES_MAX];
    const struct program_place place = {3, 17};
    machine_tsp1(&machine);
    const uint32_t lanes = machine_lanes(&machine);
    fill_random(right, lanes, 3);
    assert_int_equal(chip_create(&chip, &machine, NULL), TAKT_OK);
    chip_write_word(chip, place, right);
    assert_int_equal(chip_upset(chip, place, 4, 100, NULL), TAKT_OK);
    assert_int_equal(chip->upset_count, 1);
    assert_memory_not_equal(chip_mem_word(chip, 3, 17), right, lanes);
    chip_read_word(chip, place, word); /* the host sees what a Read would give */
    assert_memory_equal(word, right, lanes);
    assert_int_equal(chip_errors_corrected(chip), 0);
    chip_write_word(chip, place, right);
    assert_int_equal(chip->upset_count, 0);
    assert_memory_equal(chip_mem_word(chip, 3, 17), right, lanes);
    chip_destroy(chip);
}

static void upsets_name_bits_there_are(void **state)
{
    (void)state;
    struct machine machine;
    struct chip *chip;
    struct program_place place = {0, 0};
    machine_tsp1(&machine);
    assert_int_equal(chip_create(&chip, &machine, NULL), TAKT_OK);
    assert_int_equal(chip_upset(chip, place, 0, CHIP_ECC_BITS, NULL), TAKT_USAGE);
    assert_int_equal(chip_upset(chip, place, 20, 0, NULL), TAKT_USAGE);
    place.address = 8192;
    assert_int_equal(chip_upset(chip, place, 0, 0, NULL), TAKT_USAGE);
    for (uint16_t i = 0; i < CHIP_UPSETS; i++) {
        place.address = i;
        assert_int_equal(chip_upset(chip, place, 0, 5, NULL), TAKT_OK);
    }
    place.address = CHIP_UPSETS;
    assert_int_equal(chip_upset(chip, place, 0, 5, NULL), TAKT_LIMIT);
    place.address = 0; /* one that is listed may have more */
    assert_int_equal(chip_upset(chip, place, 0, 6, NULL), TAKT_OK);
    chip_destroy(chip);
    assert_int_equal(chip_create_check_only(&chip, &machine, NULL), TAKT_OK);
    assert_int_equal(chip_upset(chip, place, 0, 6, NULL), TAKT_USAGE);
    chip_destroy(chip);
}

TEST_GROUP(ecc, cmocka_unit_test(every_wrong_bit_is_put_right),
           cmocka_unit_test(every_pair_of_wrong_bits_is_seen),
           cmocka_unit_test(upsets_last_until_new_data_comes),
           cmocka_unit_test(upsets_name_bits_there_are));
