/* Two chips and a cable: a vector there and back, clocks that began apart, faults of one of them.
 */
#include "tests.h"

#include <string.h>

#include "chip/chip.h"
#include "program/assembly.h"

struct party {
    struct base_arena arena;
    struct program_assembly assembly;
    struct chip_text *text;
    struct chip *chip;
};

static void open_party(struct party *party, const char *source)
{
    struct takt_error error;
    memset(party, 0, sizeof *party);
    assert_int_equal(base_arena_create(&party->arena, (size_t)64 << 20, &error), TAKT_OK);
    if (program_assemble("party", source, strlen(source), &party->arena, &party->assembly,
                         &error) != TAKT_OK)
        fail_msg("%s", error.message);
    const struct program *program = &party->assembly.program;
    assert_int_equal(chip_text_create(&party->text, program, &error), TAKT_OK);
    assert_int_equal(chip_create(&party->chip, &program->machine, &error), TAKT_OK);
    chip_load_image(party->chip, &party->assembly.image);
}

static void close_party(struct party *party)
{
    chip_text_destroy(party->text);
    chip_destroy(party->chip);
    base_arena_destroy(&party->arena);
}

/* Chip 0's link 0 and chip 1's link 1. start: when chip 1 begins, chip 0 being at 0. order: which
 * of the two is named first. */
static enum takt_status run_pair(struct party parties[2], uint64_t start, uint32_t order,
                                 uint64_t cycles[2], struct takt_error *error)
{
    struct chip_party list[2] = {{0}, {0}};
    for (uint32_t i = 0; i < 2; i++) {
        list[i ^ order].chip = parties[i].chip;
        list[i ^ order].text = parties[i].text;
        list[i ^ order].start = i == 1 ? start : 0;
    }
    const enum takt_status status = chip_run_together(list, 2, error);
    for (uint32_t i = 0; i < 2; i++)
        cycles[i] = list[i ^ order].cycles;
    return status;
}

static void connect_pair(struct party parties[2])
{
    assert_int_equal(chip_connect(parties[0].chip, 0, parties[1].chip, 1, NULL), TAKT_OK);
}

static void check_expectations(const struct party *party)
{
    uint8_t word[MACHINE_LANES_MAX];
    for (uint32_t i = 0; i < party->assembly.expectation_count; i++) {
        const struct program_expectation *e = &party->assembly.expectations[i];
        assert_int_equal(e->kind, PROGRAM_EXPECT_MEMORY);
        chip_read_word(party->chip, e->place, word);
        assert_memory_equal(word, e->bytes, machine_lanes(&party->assembly.program.machine));
    }
    assert_true(party->assembly.expectation_count > 0);
}

/* ---- there and back -------------------------------------------------------------------------- */

/* Out in 2, there in 219; through an ALU (at 24 in 234, from 23 in 236), back from 38 in 251, here
 * in 468. */
static const char here[] = ".machine superlanes = 2\n"
                           ".data mem.w40 0 iota 90 1\n"
                           ".queue mem.w40\nread 0, w0\nsync\n"
                           ".queue c2c.w0\nnop 2\nsend w0, 0\nnop 465\nreceive e0, 0\nsync\n"
                           ".queue mem.w43\nnop 470\nwrite 5, e0\nsync\n"
                           ".expect mem.w43 5 bytes 100 100 100 100 100 100 100 100 100 100 100 "
                           "101 102 103 104 105 106 107 108 109 110 111 112 113 114 115 116 117 "
                           "118 119 120 121\n";
static const char there[] = ".machine superlanes = 2\n"
                            ".queue c2c.e0\nnop 219\nreceive w0, 1\nnop 31\nsend e4, 1\nsync\n"
                            ".queue vxm.2\nnop 234\nmaxi.u8 w0, e4, 100\nsync\n"
                            ".queue mem.e0\nnop 240\nwrite 1, e4\nsync\n"
                            ".expect mem.e0 1 bytes 100 100 100 100 100 100 100 100 100 100 100 "
                            "101 102 103 104 105 106 107 108 109 110 111 112 113 114 115 116 117 "
                            "118 119 120 121\n";

static void a_vector_goes_there_and_back(void **state)
{
    (void)state;
    for (uint32_t order = 0; order < 2; order++) {
        struct party parties[2];
        struct takt_error error;
        uint64_t cycles[2];
        open_party(&parties[0], here);
        open_party(&parties[1], there);
        connect_pair(parties);
        for (uint32_t i = 0; i < 3; i++) {
            if (run_pair(parties, 0, order, cycles, &error) != TAKT_OK)
                fail_msg("%s", error.message);
            assert_int_equal(cycles[0], 472);
            assert_int_equal(cycles[1], 253);
        }
        check_expectations(&parties[0]);
        check_expectations(&parties[1]);
        close_party(&parties[0]);
        close_party(&parties[1]);
    }
}

static void a_late_chip_is_named_in_the_fault(void **state)
{
    (void)state;
    struct party parties[2];
    struct takt_error error;
    uint64_t cycles[2];
    open_party(&parties[0], here);
    open_party(&parties[1], there);
    connect_pair(parties);
    /* Chip 1 begins one cycle early: it receives in its 219th, the vector arrives in its 220th. */
    struct chip_party list[2] = {{.chip = parties[0].chip, .text = parties[0].text, .start = 1},
                                 {.chip = parties[1].chip, .text = parties[1].text, .start = 0}};
    assert_int_equal(chip_run_together(list, 2, &error), TAKT_FAULT);
    assert_string_equal(error.message, "link fault at cycle 219, chip 1, queue c2c.e0, "
                                       "`receive w0, 1`: link 1: no vector has arrived");
    assert_int_equal(chip_last_fault(parties[0].chip)->kind, CHIP_FAULT_NONE);
    assert_int_equal(run_pair(parties, 0, 0, cycles, &error), TAKT_FAULT); /* it stays stopped */
    close_party(&parties[0]);
    close_party(&parties[1]);
}

/* ---- clocks that began apart ----------------------------------------------------------------- */

/* Both wait for the counter, then release their own queues: from there on they are in step. */
static const char deskewed_here[] = ".machine superlanes = 1\n"
                                    ".data mem.w40 0 iota 7 3\n"
                                    ".queue c2c.w1\ndeskew\nnotify\nsync\n"
                                    ".queue mem.w40\nsync\nread 0, w0\nsync\n"
                                    ".queue c2c.w0\nsync\nnop 2\nsend w0, 0\nsync\n"
                                    ".data mem.e0 0 fill 1\n"
                                    ".expect mem.e0 0 fill 1\n";
static const char deskewed_there[] = ".machine superlanes = 1\n"
                                     ".queue c2c.e1\ndeskew\nnotify\nsync\n"
                                     ".queue c2c.e0\nsync\nnop 219\nreceive w0, 1\nsync\n"
                                     ".queue mem.e40\nsync\nnop 221\nwrite 5, w0\nsync\n"
                                     ".expect mem.e40 5 iota 7 3\n";

static void deskew_brings_clocks_together(void **state)
{
    (void)state;
    static const uint64_t starts[] = {0, 1, 17, 100, 255};
    for (uint32_t i = 0; i < BASE_COUNT(starts); i++) {
        struct party parties[2];
        struct takt_error error;
        uint64_t cycles[2];
        open_party(&parties[0], deskewed_here);
        open_party(&parties[1], deskewed_there);
        connect_pair(parties);
        if (run_pair(parties, starts[i], 0, cycles, &error) != TAKT_OK)
            fail_msg("%s", error.message);
        assert_int_equal(cycles[0], 256 + 35 + 4);
        assert_int_equal(cycles[1], 256 + 35 + 223 - starts[i]);
        check_expectations(&parties[1]);
        close_party(&parties[0]);
        close_party(&parties[1]);
    }
}

static void a_vector_for_a_chip_that_never_asks_is_a_fault(void **state)
{
    (void)state;
    struct party parties[2];
    struct takt_error error;
    uint64_t cycles[2];
    open_party(&parties[0], deskewed_here);
    open_party(&parties[1], ".machine superlanes = 1\n.queue mem.e0\nnop 9\nsync\n");
    connect_pair(parties);
    assert_int_equal(run_pair(parties, 0, 0, cycles, &error), TAKT_FAULT);
    assert_int_equal(chip_last_fault(parties[1].chip)->kind, CHIP_FAULT_LINK);
    assert_int_equal(chip_last_fault(parties[1].chip)->chip, 1);
    close_party(&parties[0]);
    close_party(&parties[1]);
}

static void cables_join_two_free_links_of_one_machine(void **state)
{
    (void)state;
    struct party parties[2], other;
    open_party(&parties[0], here);
    open_party(&parties[1], there);
    open_party(&other, ".machine superlanes = 3\n.queue mem.e0\nsync\n");
    struct chip *a = parties[0].chip, *b = parties[1].chip;
    assert_int_equal(chip_connect(a, 3, a, 3, NULL), TAKT_USAGE);
    assert_int_equal(chip_connect(a, 11, b, 0, NULL), TAKT_USAGE);
    assert_int_equal(chip_connect(a, 0, other.chip, 0, NULL), TAKT_USAGE);
    assert_int_equal(chip_connect(a, 0, b, 0, NULL), TAKT_OK);
    assert_int_equal(chip_connect(a, 0, b, 1, NULL), TAKT_USAGE);
    assert_int_equal(chip_connect(a, 1, b, 0, NULL), TAKT_USAGE);
    close_party(&parties[0]);
    close_party(&parties[1]);
    close_party(&other);
}

TEST_GROUP(links, cmocka_unit_test(a_vector_goes_there_and_back),
           cmocka_unit_test(a_late_chip_is_named_in_the_fault),
           cmocka_unit_test(deskew_brings_clocks_together),
           cmocka_unit_test(a_vector_for_a_chip_that_never_asks_is_a_fault),
           cmocka_unit_test(cables_join_two_free_links_of_one_machine));
