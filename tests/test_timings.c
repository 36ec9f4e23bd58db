/*
 * What is published of the machine's timing, measured on programs of a few instructions: that the
 * number holds, and that one cycle less does not. Sources: the papers (ISCA 2020, ISCA 2022) or
 * third-party code run on real cards, as docs/MACHINE.md says ("Published timings").
 */
#include "tests.h"

#include <string.h>

#include "chip/chip.h"
#include "program/assembly.h"

struct outcome {
    enum takt_status status;
    enum chip_fault_kind fault;
    uint64_t cycles;
    bool held; /* the memory that the text expects */
};

static struct outcome run_text(struct base_text *text)
{
    struct base_arena arena = {0};
    struct program_assembly assembly;
    struct chip_text *decoded;
    struct chip *chip;
    struct takt_error error;
    struct outcome outcome = {.held = true};
    assert_int_equal(base_arena_create(&arena, (size_t)256 << 20, &error), TAKT_OK);
    if (program_assemble("timing", text->data, text->length, &arena, &assembly, &error) != TAKT_OK)
        fail_msg("%s", error.message);
    assert_int_equal(chip_create(&chip, &assembly.program.machine, &error), TAKT_OK);
    assert_int_equal(chip_text_create(&decoded, &assembly.program, &error), TAKT_OK);
    chip_load_image(chip, &assembly.image);
    for (uint32_t i = 0; i < assembly.cable_count; i++)
        assert_int_equal(chip_connect(chip, assembly.cables[i].a, chip, assembly.cables[i].b, NULL),
                         TAKT_OK);
    outcome.status = chip_run(chip, decoded, &outcome.cycles, &error);
    outcome.fault = chip_last_fault(chip)->kind;
    for (uint32_t i = 0; i < assembly.expectation_count; i++) {
        uint8_t word[MACHINE_LANES_MAX];
        chip_read_word(chip, assembly.expectations[i].place, word);
        outcome.held = outcome.held && memcmp(word, assembly.expectations[i].bytes,
                                              machine_lanes(&assembly.program.machine)) == 0;
    }
    chip_text_destroy(decoded);
    chip_destroy(chip);
    base_arena_destroy(&arena);
    base_text_free(text);
    return outcome;
}

static void holds(struct base_text *text)
{
    const struct outcome outcome = run_text(text);
    assert_int_equal(outcome.status, TAKT_OK);
    assert_true(outcome.held);
}

static void faults(struct base_text *text, enum chip_fault_kind kind)
{
    const struct outcome outcome = run_text(text);
    assert_int_equal(outcome.status, TAKT_FAULT);
    assert_int_equal(outcome.fault, kind);
}

/* ---- M1, M2, M5, M6: ICU and streams --------------------------------------------------------- */

/* M1 (paper): 35 cycles from Notify to every Sync retired: what waits issues in the 35th. */
static void m1_notify(void **state)
{
    (void)state;
    static const char source[] = ".data mem.e0 0 fill 5\n"
                                 ".queue vxm.0\nnotify\nsync\n"
                                 ".queue mem.e0\nsync\nread 0, e0\nsync\n"
                                 ".queue mem.e4\nnop %u\nwrite 0, e0\nsync\n"
                                 ".expect mem.e4 0 fill 5\n";
    struct base_text text = {0}, early = {0};
    base_text_format(&text, source, 35 + 2);
    base_text_format(&early, source, 35 + 1);
    holds(&text);
    faults(&early, CHIP_FAULT_EMPTY_SLOT);
}

/* M2 (paper): one NOP waits up to 65,535 cycles. */
static void m2_longest_nop(void **state)
{
    (void)state;
    struct isa_instruction instruction;
    struct base_text text = {0};
    assert_int_equal(isa_parse("nop 65535", &instruction, NULL), TAKT_OK);
    assert_int_equal(isa_parse("nop 65536", &instruction, NULL), TAKT_FORMAT);
    base_text_format(&text, ".queue mem.e0\nnop 65535\nsync\n");
    assert_int_equal(run_text(&text).cycles, 65535 + 1);
}

/* M5 (paper): a hop takes one cycle. M6 (third party): crossing the 44 slices of a hemisphere takes
 * 11: from its first position to the first one beyond. */
static void m5_m6_hops(void **state)
{
    (void)state;
    static const char hop[] = ".data mem.e0 0 fill 5\n.queue mem.e0\nread 0, e0\nsync\n"
                              ".queue mem.e4\nnop %u\nwrite 0, e0\nsync\n.expect mem.e4 0 fill 5\n";
    static const char crossing[] = ".data mem.e0 0 fill 5\n.queue mem.e0\nread 0, e0\nsync\n"
                                   ".cable 0 1\n.queue c2c.e0\nnop %u\nsend e0, 1\nsync\n"
                                   ".queue c2c.w0\nnop 300\nreceive e0, 0\nsync\n";
    struct base_text texts[4] = {{0}, {0}, {0}, {0}};
    base_text_format(&texts[0], hop, 1 + 1); /* the read itself takes one */
    base_text_format(&texts[1], hop, 1);
    base_text_format(&texts[2], crossing, 1 + 11);
    base_text_format(&texts[3], crossing, 1 + 10);
    holds(&texts[0]);
    faults(&texts[1], CHIP_FAULT_EMPTY_SLOT);
    holds(&texts[2]);
    faults(&texts[3], CHIP_FAULT_EMPTY_SLOT);
}

/* ---- M7, M8: the planes ---------------------------------------------------------------------- */

/* Sixteen slices from `first` on, whose words 0..19 are a tile of ones, read so that they pass the
 * MXM from cycle `at` on. stream: the first of sixteen. */
static void read_tile(struct base_text *text, uint32_t hemisphere, uint32_t first, uint32_t stream,
                      uint32_t groups, uint32_t at)
{
    struct machine machine;
    machine_tsp1(&machine);
    const char side = hemisphere == MACHINE_WEST ? 'w' : 'e';
    const uint32_t mxm = machine_mxm_position(&machine, hemisphere);
    for (uint32_t i = 0; i < 16; i++) {
        const uint32_t position = machine_mem_position(&machine, hemisphere, first + i);
        const uint32_t hops = position < mxm ? mxm - position : position - mxm;
        const uint32_t issue = at - machine.mem_read_cycles - hops;
        for (uint32_t word = 0; word < groups; word++)
            base_text_format(text, ".data mem.%c%u %u fill 1\n", side, first + i, word);
        base_text_format(text, ".queue mem.%c%u\n", side, first + i);
        if (issue > 0)
            base_text_format(text, "nop %u\n", issue);
        base_text_format(text, "read 0, %c%u\nrepeat %u, 1, 1\nsync\n", side, stream + i,
                         groups - 1);
    }
}

/* A slice's word 0, `bytes` of ones, passes the MXM at cycle `at` on `stream`. */
static void read_activation(struct base_text *text, uint32_t hemisphere, uint32_t slice,
                            uint32_t stream, uint32_t at)
{
    struct machine machine;
    machine_tsp1(&machine);
    const char side = hemisphere == MACHINE_WEST ? 'w' : 'e';
    const uint32_t mxm = machine_mxm_position(&machine, hemisphere);
    const uint32_t position = machine_mem_position(&machine, hemisphere, slice);
    const uint32_t hops = position < mxm ? mxm - position : position - mxm;
    base_text_format(text, ".data mem.%c%u 0 fill 1\n.queue mem.%c%u\nnop %u\nread 0, %c%u\nsync\n",
                     side, slice, side, slice, at - machine.mem_read_cycles - hops, side, stream);
}

/* All four planes, the first read in cycle 0, the first activations in cycle `product`. */
static void load_everything(struct base_text *text, uint32_t product)
{
    for (uint32_t hemisphere = 0; hemisphere < 2; hemisphere++) {
        const char side = hemisphere == MACHINE_WEST ? 'w' : 'e';
        const char in = hemisphere == MACHINE_WEST ? 'e' : 'w';
        read_activation(text, hemisphere, 11, 0, product);
        for (uint32_t plane = 0; plane < 2; plane++) {
            read_tile(text, hemisphere, 12 + 16 * plane, 16 * plane, 20, 15);
            base_text_format(text,
                             ".queue mxm.%c%u.weights\nnop 15\nlw 0, %c%u\nrepeat 19, 1, 1\niw\n"
                             "sync\n",
                             side, plane, side, 16 * plane);
            base_text_format(text, ".queue mxm.%c%u.activations\nnop %u\nabc.i8 %c0\nsync\n", side,
                             plane, product, side);
            base_text_format(text, ".queue mxm.%c%u.results\nnop %u\nacc.pass %c%u\nsync\n", side,
                             plane, product + 32, in, 4 * plane);
            /* 320 = 64 + 256, at slices 4 plane + 0 and 1, seventeen hops on */
            for (uint32_t byte = 0; byte < 2; byte++)
                base_text_format(text,
                                 ".queue mem.%c%u\nnop %u\nwrite 1, %c%u\nsync\n"
                                 ".expect mem.%c%u 1 fill %u\n",
                                 side, byte + 4 * plane, product + 33 + 17 - plane, in,
                                 4 * plane + byte, side, byte + 4 * plane, byte ? 1 : 64);
        }
    }
}

/* M7 (paper): 409,600 weights from memory to installed in less than 40 cycles, 20 of them transfer.
 * Here 36: the farthest of 32 slices is 14 hops away. */
static void m7_all_weights(void **state)
{
    (void)state;
    struct base_text text = {0}, early = {0};
    load_everything(&text, 36);
    load_everything(&early, 35);
    holds(&text);
    faults(&early, CHIP_FAULT_WEIGHT_BUFFER);
    assert_true(36 < 40);
}

/* M8 (paper): a plane, once full, gives a result vector every cycle. */
static void m8_a_vector_every_cycle(void **state)
{
    (void)state;
    struct base_text text = {0};
    read_tile(&text, MACHINE_EAST, 28, 0, 20, 11);
    base_text_format(&text, ".queue mxm.e0.weights\nnop 11\nlw 0, e0\nrepeat 19, 1, 1\niw\nsync\n"
                            ".queue mem.e0\nnop 14\nread 0, e16\nrepeat 99, 1, 1\nsync\n"
                            ".queue mxm.e0.activations\nnop 32\nabc.i8 e16\nrepeat 99, 1, 0\nsync\n"
                            ".queue mxm.e0.results\nnop 64\nacc.pass w0\nrepeat 99, 1, 0\nsync\n"
                            ".queue mem.e8\nnop 80\nwrite 0, w0\nrepeat 99, 1, 1\nsync\n");
    for (uint32_t i = 0; i < 100; i++) /* i ones: the sum is i */
        base_text_format(&text, ".data mem.e0 %u bytes %s\n.expect mem.e8 %u fill %u\n", i,
                         i % 2 ? "1" : "0", i, i % 2);
    const struct outcome outcome = run_text(&text);
    assert_int_equal(outcome.status, TAKT_OK);
    assert_true(outcome.held);
    assert_int_equal(outcome.cycles, 80 + 100 + 1);
}

/* ---- M12, M15, M16: third-party measurements ------------------------------------------------- */

/* distributor: the cycle of its issue, the transposer's being 9. */
static void transpose_compute_distribute(struct base_text *text, uint32_t distributor)
{
    for (uint32_t i = 0; i < 16; i++) {
        base_text_format(text, ".data mem.e%u 0 fill %u\n.queue mem.e%u\n", 28 + i, i + 1, 28 + i);
        if (i >= 4)
            base_text_format(text, "nop %u\n", i / 4);
        base_text_format(text, "read 0, e%u\nsync\n", i);
    }
    base_text_format(text, ".queue sxm.e.transpose0\nnop 9\ntranspose 65535, e0, w0\nsync\n"
                           ".queue vxm.3\nnop 29\nadd.i8 w0, w1, w4\nsync\n"
                           ".queue vxm.2\nnop 32\nmaxi.u8 w4, w5, 3\nsync\n"
                           ".queue vxm.1\nnop 35\nadd.i8 w5, w5, e0\nsync\n");
    base_text_format(text,
                     ".data mem.e24 0 iota 0 0\n.queue mem.e24\nnop %u\nread 0, e20\nsync\n"
                     ".queue sxm.e.distribute0\nnop %u\ndistribute e0, w20, e20\nsync\n"
                     ".queue mem.e20\nnop %u\nwrite 0, w20\nsync\n"
                     ".expect mem.e20 0 fill 6\n",
                     distributor - 10, distributor, distributor + 2 + 10);
}

/* M12 (third party): transposer, to the VXM, three chained operations, back, distributor: 50, both
 * ends counted. 4 + 16 hops + 3 x 3 - 1 + 21 hops = 49 from issue to issue. */
static void m12_transpose_compute_distribute(void **state)
{
    (void)state;
    struct base_text text = {0}, early = {0};
    transpose_compute_distribute(&text, 9 + 50 - 1);
    transpose_compute_distribute(&early, 9 + 50 - 2);
    holds(&text);
    faults(&early, CHIP_FAULT_EMPTY_SLOT);
}

/* operand: the cycle in which an ALU reads the sums; the weights' first read issues in 0. */
static void vector_by_matrix(struct base_text *text, uint32_t operand)
{
    read_tile(text, MACHINE_EAST, 0, 0, 5, 18);
    read_activation(text, MACHINE_EAST, 20, 20, 24);
    base_text_format(text, ".queue mxm.e0.weights\nnop 18\nlw 0, e0\nrepeat 4, 1, 1\niw\nsync\n"
                           ".queue mxm.e0.activations\nnop 24\nabc.i8 e20\nsync\n"
                           ".queue mxm.e0.results\nnop 56\nacc.pass w0\nsync\n");
    base_text_format(text,
                     ".queue vxm.3\nnop %u\ncvt.i32.u8 w0, e4\nsync\n"
                     ".queue mem.e32\nnop %u\nwrite 0, e4\nsync\n.expect mem.e32 0 fill 80\n",
                     operand, operand + 2 + 10);
}

/* M15 (third party): int8 vector x matrix, K = 80, from the issue of the weights to the result at
 * an operand of the VXM: 76, both ends counted, with weights in the slices next to the VXM. */
static void m15_vector_by_matrix(void **state)
{
    (void)state;
    struct base_text text = {0}, early = {0};
    vector_by_matrix(&text, 76 - 1);
    vector_by_matrix(&early, 76 - 2);
    holds(&text);
    faults(&early, CHIP_FAULT_EMPTY_SLOT);
}

/* Three chunks of K = 320 on plane 0 (weights 1, 2, 3), one every `apart` cycles, summed. */
static void chunks(struct base_text *text, uint32_t apart)
{
    for (uint32_t i = 0; i < 16; i++) {
        const uint32_t slice = 28 + i;
        for (uint32_t word = 0; word < 60; word++)
            base_text_format(text, ".data mem.e%u %u fill %u\n", slice, word, word / 20 + 1);
        base_text_format(text, ".queue mem.e%u\n", slice);
        if (i >= 4)
            base_text_format(text, "nop %u\n", i / 4);
        for (uint32_t chunk = 0; chunk < 3; chunk++)
            base_text_format(text, "%sread %u, e%u\nrepeat 19, 1, 1\n", chunk ? "nop 1\n" : "",
                             20 * chunk, i);
        base_text_format(text, "sync\n");
    }
    base_text_format(text, ".queue mxm.e0.weights\nnop 11\n");
    for (uint32_t chunk = 0; chunk < 3; chunk++)
        base_text_format(text, "lw 0, e0\nrepeat 19, 1, 1\niw\n");
    base_text_format(text,
                     "sync\n.data mem.e0 0 fill 1\n.queue mem.e0\nnop 14\nread 0, e16\n"
                     "repeat 2, %u, 0\nsync\n"
                     ".queue mxm.e0.activations\nnop 32\nabc.i8 e16\nrepeat 2, %u, 0\nsync\n"
                     ".queue mxm.e0.results\nnop 64\nacc.set 0\nnop %u\nacc.add 0\nnop %u\n"
                     "acc.out 0, w0\nsync\n",
                     apart, apart, apart - 1, apart - 1);
    for (uint32_t byte = 0; byte < 2; byte++)
        base_text_format(
            text, ".queue mem.e%u\nnop %u\nwrite 0, w%u\nsync\n.expect mem.e%u 0 fill %u\n",
            8 + byte, 64 + 2 * apart + 16, byte, 8 + byte, byte ? 1920 / 256 : 1920 % 256);
}

/* Plane 1 loads K rows `behind` cycles after plane 0 from the same streams; its product follows. */
static void second_plane(struct base_text *text, uint32_t groups)
{
    read_tile(text, MACHINE_EAST, 28, 0, 2 * groups, 11);
    for (uint32_t plane = 0; plane < 2; plane++) {
        const uint32_t first = 11 + plane * groups, product = first + groups + 1;
        read_activation(text, MACHINE_EAST, 24 + plane, 16 + plane, product);
        base_text_format(text,
                         ".queue mxm.e%u.weights\nnop %u\nlw 0, e0\nrepeat %u, 1, 1\niw\nsync\n"
                         ".queue mxm.e%u.activations\nnop %u\nabc.i8 e%u\nsync\n"
                         ".queue mxm.e%u.results\nnop %u\nacc.pass w%u\nsync\n"
                         ".queue mem.e%u\nnop %u\nwrite 0, w%u\nsync\n"
                         ".expect mem.e%u 0 fill %u\n",
                         plane, first, groups - 1, plane, product, 16 + plane, plane, product + 32,
                         4 * plane, 8 + plane, product + 33 + 15, 4 * plane, 8 + plane,
                         groups * 16 % 256);
    }
}

/*
 * M16 (third party): the next chunk of K on one plane 27 cycles later, 30 in a steady run; a second
 * plane max(K / 16, 10) later. A full chunk needs 20 cycles of transfer by the papers (M7, and
 * 20,480 bytes a cycle into all planes), which 27 to 30 between chunks would not leave: the papers
 * are taken, and a chunk may follow after 20 loads and one install. Of the second plane K / 16 is
 * taken, as measured for K of 160 and more.
 */
static void m16_next_chunk(void **state)
{
    (void)state;
    static const uint32_t groups[] = {20, 10, 5};
    struct base_text steady = {0}, early = {0};
    chunks(&steady, 21);
    chunks(&early, 20); /* the second activations pass before their weights are installed */
    holds(&steady);
    const struct outcome outcome = run_text(&early);
    assert_true(outcome.status == TAKT_FAULT || !outcome.held);
    for (uint32_t i = 0; i < BASE_COUNT(groups); i++) {
        struct base_text text = {0};
        second_plane(&text, groups[i]);
        holds(&text);
    }
}

TEST_GROUP(timings, cmocka_unit_test(m1_notify), cmocka_unit_test(m2_longest_nop),
           cmocka_unit_test(m5_m6_hops), cmocka_unit_test(m7_all_weights),
           cmocka_unit_test(m8_a_vector_every_cycle),
           cmocka_unit_test(m12_transpose_compute_distribute),
           cmocka_unit_test(m15_vector_by_matrix), cmocka_unit_test(m16_next_chunk));
