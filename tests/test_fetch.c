/* Text in memory: packed and back, and that what a queue fetched is what it executes. */
#include "tests.h"

#include <string.h>

#include "chip/chip.h"
#include "program/assembly.h"
#include "scene.h"

/* ---- packed text ----------------------------------------------------------------------------- */

static struct isa_instruction random_instruction(enum isa_op op, uint64_t counter)
{
    const struct isa_op_info *info = isa_op_info(op);
    struct isa_instruction instruction = {.op = (uint8_t)op};
    for (uint32_t i = 0; i < ISA_FIELDS_MAX && info->fields[i] != ISA_FIELD_NONE; i++) {
        const struct isa_field_info *field = isa_field_info(info->fields[i]);
        uint64_t value =
            base_random_u64(3, op, counter * 8 + i) & ((UINT64_C(1) << field->bits) - 1);
        if (field->width > 1)
            value &= ~(uint64_t)(field->width - 1u);
        if (field->kind == ISA_KIND_POSITIVE && value == 0)
            value = 1;
        isa_field_put(&instruction, info->fields[i], (uint32_t)value);
    }
    return instruction;
}

static void packed_text_is_the_same_instruction(void **state)
{
    (void)state;
    for (uint32_t op = 0; op < ISA_OP_COUNT; op++) {
        for (uint64_t i = 0; i < 500; i++) {
            const struct isa_instruction original = random_instruction((enum isa_op)op, i);
            struct isa_instruction again;
            uint8_t bytes[ISA_PACKED_MAX];
            uint32_t used;
            const uint32_t size = isa_pack(&original, bytes);
            assert_int_equal(size, isa_packed_bytes((enum isa_op)op));
            assert_true(size >= 1 && size <= ISA_PACKED_MAX);
            assert_int_equal(isa_unpack(bytes, size, &again, &used, NULL), TAKT_OK);
            assert_int_equal(used, size);
            assert_true(isa_encode(&original) == isa_encode(&again));
            struct takt_error error;
            assert_int_equal(isa_unpack(bytes, size - 1u, &again, &used, &error), TAKT_FORMAT);
        }
    }
}

/* Whatever the bytes: refused, or an instruction that packs to the same bytes. */
static void any_bytes_are_refused_or_pack_again(void **state)
{
    (void)state;
    uint32_t refused = 0;
    for (uint64_t i = 0; i < 300000; i++) {
        uint8_t bytes[ISA_PACKED_MAX], again[ISA_PACKED_MAX];
        struct isa_instruction instruction;
        struct takt_error error;
        uint32_t used;
        const uint64_t random = base_random_u64(5, 0, i);
        memcpy(bytes, &random, sizeof bytes);
        if (isa_unpack(bytes, sizeof bytes, &instruction, &used, &error) != TAKT_OK) {
            refused++;
            continue;
        }
        assert_int_equal(isa_pack(&instruction, again), used);
        assert_memory_equal(bytes, again, used);
    }
    assert_true(refused > 1000 && refused < 300000);
}

/* ---- a queue that fetches -------------------------------------------------------------------- */

struct bench {
    struct base_arena arena;
    struct program_assembly assembly;
    struct chip_text *text;
    struct chip *chip;
};

static void open_bench(struct bench *bench)
{
    struct base_file file = {0};
    struct takt_error error;
    memset(bench, 0, sizeof *bench);
    assert_int_equal(base_file_map(&file, "tests/asm/ifetch.s", &error), TAKT_OK);
    assert_int_equal(base_arena_create(&bench->arena, (size_t)64 << 20, &error), TAKT_OK);
    assert_int_equal(program_assemble("ifetch.s", (const char *)file.data, file.size_bytes,
                                      &bench->arena, &bench->assembly, &error),
                     TAKT_OK);
    base_file_unmap(&file);
    assert_int_equal(chip_text_create(&bench->text, &bench->assembly.program, &error), TAKT_OK);
}

static void close_bench(struct bench *bench)
{
    chip_text_destroy(bench->text);
    base_arena_destroy(&bench->arena);
}

/* Runs with bit `bit` of byte `byte` of the second block turned (bit 8: none). Did everything that
 * the file expects come of it? */
static bool holds_with(const struct bench *bench, uint32_t byte, uint32_t bit)
{
    struct chip *chip;
    uint8_t word[MACHINE_LANES_MAX];
    uint64_t cycles;
    const struct machine *machine = &bench->assembly.program.machine;
    const uint32_t lanes = machine_lanes(machine);
    assert_int_equal(chip_create(&chip, machine, NULL), TAKT_OK);
    chip_load_image(chip, &bench->assembly.image);
    chip_load_text(chip, bench->text);
    if (bit < 8) {
        struct program_place place = bench->assembly.program.text_places[machine->mem_slices][0];
        place.address = (uint16_t)(place.address + byte / lanes);
        chip_read_word(chip, place, word);
        word[byte % lanes] ^= (uint8_t)(1u << bit);
        chip_write_word(chip, place, word);
    }
    bool held = chip_run(chip, bench->text, &cycles, NULL) == TAKT_OK;
    for (uint32_t i = 0; held && i < bench->assembly.expectation_count; i++) {
        const struct program_expectation *e = &bench->assembly.expectations[i];
        if (e->kind == PROGRAM_EXPECT_MEMORY) {
            chip_read_word(chip, e->place, word);
            held = memcmp(word, e->bytes, lanes) == 0;
        } else {
            held = cycles == e->cycles;
        }
    }
    chip_destroy(chip);
    return held;
}

/* 54 bytes of text: 22 in the second block. */
static void a_changed_bit_of_text_shows(void **state)
{
    (void)state;
    struct bench bench;
    open_bench(&bench);
    assert_true(holds_with(&bench, 0, 8));
    for (uint32_t byte = 0; byte < 22; byte++)
        for (uint32_t bit = 0; bit < 8; bit++)
            if (holds_with(&bench, byte, bit))
                fail_msg("bit %u of byte %u goes unnoticed", bit, byte);
    assert_true(holds_with(&bench, 22, 3)); /* nobody executes what lies behind the sync */
    close_bench(&bench);
}

/* A chip that went wrong ways with other text is as before with the right one; one upset bit of a
 * text in memory is put right like any other. */
static void runs_do_not_leave_their_text_behind(void **state)
{
    (void)state;
    struct bench bench;
    struct chip *chip;
    uint8_t word[MACHINE_LANES_MAX] = {0};
    uint64_t cycles;
    open_bench(&bench);
    const struct program *program = &bench.assembly.program;
    const struct program_place place = program->text_places[program->machine.mem_slices][0];
    assert_int_equal(chip_create(&chip, &program->machine, NULL), TAKT_OK);
    chip_load_image(chip, &bench.assembly.image);
    word[1] = 3; /* a sync right after the seventh read */
    for (uint32_t i = 0; i < 3; i++) {
        chip_load_text(chip, bench.text);
        assert_int_equal(chip_upset(chip, place, 0, 17, NULL), TAKT_OK);
        assert_int_equal(chip_run(chip, bench.text, &cycles, NULL), TAKT_OK);
        assert_int_equal(cycles, 22);
        assert_int_equal(chip_errors_corrected(chip), i + 1);
    }
    chip_write_word(chip, place, word);
    assert_int_equal(chip_run(chip, bench.text, &cycles, NULL), TAKT_FAULT);
    assert_int_equal(chip_last_fault(chip)->kind,
                     CHIP_FAULT_EMPTY_SLOT); /* at the slice that waits */
    chip_destroy(chip);
    close_bench(&bench);
}

/* However often the same text ran before on a chip: what is in memory now is what it executes. */
static void text_changed_between_runs_shows(void **state)
{
    (void)state;
    struct bench bench;
    struct chip *chip;
    uint8_t right[MACHINE_LANES_MAX], wrong[MACHINE_LANES_MAX], word[MACHINE_LANES_MAX];
    uint64_t cycles;
    open_bench(&bench);
    const struct program *program = &bench.assembly.program;
    const uint32_t east = program->machine.mem_slices;
    const struct program_place place = program->text_places[east][0];
    const struct program_place eighth = {(uint16_t)(east + 8), 7};
    assert_int_equal(chip_create(&chip, &program->machine, NULL), TAKT_OK);
    chip_load_image(chip, &bench.assembly.image);
    chip_load_text(chip, bench.text);
    chip_read_word(chip, place, right);
    memcpy(wrong, right, sizeof wrong);
    assert_int_equal(wrong[2], 7); /* of `read 7, e0`, the address's low byte */
    wrong[2] = 3;
    for (uint32_t i = 0; i < 24; i++) {
        const bool changed = i % 8 > 5;
        chip_write_word(chip, place, changed ? wrong : right);
        assert_int_equal(chip_run(chip, bench.text, &cycles, NULL), TAKT_OK);
        assert_int_equal(cycles, 22);
        chip_read_word(chip, eighth, word);
        assert_int_equal(word[0], changed ? 4 : 8);
        assert_true(chip_fetched_other_text(chip) == changed);
    }
    chip_destroy(chip);
    close_bench(&bench);
}

static void text_is_checked_only_where_there_are_values(void **state)
{
    (void)state;
    struct bench bench;
    struct chip *chip;
    uint64_t cycles;
    open_bench(&bench);
    assert_int_equal(chip_create_check_only(&chip, &bench.assembly.program.machine, NULL), TAKT_OK);
    assert_int_equal(chip_run(chip, bench.text, &cycles, NULL), TAKT_OK);
    assert_int_equal(cycles, 22);
    chip_destroy(chip);
    close_bench(&bench);
}

/* ---- a compiled program ---------------------------------------------------------------------- */

/* One step from the scene's memory, with a bit of the program's text turned where it lies. */
static bool step_notices(struct scene *scene, uint64_t seed)
{
    const struct program *program = scene->program->program;
    const uint32_t lanes = machine_lanes(&program->machine);
    struct takt_session *session = scene->session;
    uint8_t word[MACHINE_LANES_MAX];
    uint64_t cycles, i = 0;
    uint32_t queue = 0;
    do { /* a block that is not the last of its queue: no byte of it is padding */
        queue = (uint32_t)(base_random_u64(seed, 0, i++) % program->queue_count);
    } while (program->text_blocks[queue] < 2);
    const uint64_t block = base_random_u64(seed, 1, 0) % (program->text_blocks[queue] - 1u);
    struct program_place place = program->text_places[queue][block];
    place.address = (uint16_t)(place.address + base_random_u64(seed, 2, 0) % 2);
    const uint32_t bit = (uint32_t)(base_random_u64(seed, 3, 0) % (8u * lanes));
    scene_replace_chip(scene, &program->machine); /* with the text in it */
    chip_read_word(session->shared->chip, place, word);
    word[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    chip_write_word(session->shared->chip, place, word);
    session->shared->loaded = scene->program;
    const uint32_t token = 3;
    const enum takt_status status = run_step_chunk(session, scene->program, &token, 1,
                                                   scene->look.start, scene->logits, &cycles, NULL);
    return status == TAKT_FAULT || chip_fetched_other_text(session->shared->chip);
}

/* Instructions of the queue's own, one after the other, until the bytes are full. */
static void fill_with_instructions(const struct machine *machine, uint32_t queue, uint64_t seed,
                                   uint8_t *bytes, uint32_t size)
{
    const enum isa_unit unit = machine_queue(machine, queue).unit;
    memset(bytes, 0, size);
    for (uint64_t i = 0, at = 0; at + ISA_PACKED_MAX < size; i++) {
        const enum isa_op op = (enum isa_op)(base_random_u64(seed, 4, i) % ISA_OP_COUNT);
        struct isa_instruction in = random_instruction(op, seed * 1000 + i);
        in.count = (uint16_t)(in.count % 8 + (in.count > 0)); /* waits that a test can wait for */
        in.delay = (uint16_t)(in.delay % 8 + (in.delay > 0));
        if (op == ISA_MUL_F32 || (machine_queue_accepts(unit, op) && op != ISA_SYNC))
            at += isa_pack(&in, bytes + at);
    }
}

/* A block of one queue's text becomes other instructions. What comes of it is a fault or an end,
 * whatever they are: the machine judges every instruction that reaches it. */
static void any_text_ends_in_order(void **state)
{
    (void)state;
    const struct look look = {"decode", 1, 14, 1, 1};
    struct world world;
    struct scene scene;
    uint32_t outcomes[CHIP_FAULT_DEADLOCK + 1] = {0};
    world_open(&world);
    scene_open(&scene, &world, &look);
    const struct program *program = scene.program->program;
    const uint32_t lanes = machine_lanes(&program->machine), token = 3;
    for (uint64_t seed = 0; seed < 400; seed++) {
        uint8_t bytes[2 * MACHINE_LANES_MAX];
        uint32_t queue = (uint32_t)(base_random_u64(seed, 5, 0) % program->queue_count);
        while (program->text_blocks[queue] == 0)
            queue = (queue + 1) % program->queue_count;
        struct program_place place =
            program->text_places[queue][base_random_u64(seed, 6, 0) % program->text_blocks[queue]];
        fill_with_instructions(&program->machine, queue, seed, bytes, 2 * lanes);
        scene_replace_chip(&scene, &program->machine);
        struct chip *chip = scene.session->chip;
        chip_write_word(chip, place, bytes);
        place.address++;
        chip_write_word(chip, place, bytes + lanes);
        scene.session->shared->loaded = scene.program;
        uint64_t cycles;
        (void)run_step_chunk(scene.session, scene.program, &token, 1, look.start, scene.logits,
                             &cycles, NULL);
        assert_true(chip_fetched_other_text(chip));
        outcomes[chip_last_fault(chip)->kind]++;
    }
    assert_true(outcomes[CHIP_FAULT_EMPTY_SLOT] > 0 && outcomes[CHIP_FAULT_ILLEGAL] > 0);
    scene_close(&scene);
    world_close(&world);
}

static void a_changed_bit_of_a_compiled_text_shows(void **state)
{
    (void)state;
    const struct look look = {"decode", 1, 14, 1, 1};
    struct world world;
    struct scene scene;
    uint32_t blocks = 0, ifetches = 0;
    world_open(&world);
    scene_open(&scene, &world, &look);
    const struct program *program = scene.program->program;
    for (uint32_t q = 0; q < program->queue_count; q++) {
        blocks += program->text_blocks[q];
        for (uint32_t i = 0; i < program->queue_words[q]; i++)
            ifetches += program->text[q][i] >> 56 == isa_op_info(ISA_IFETCH)->opcode;
    }
    assert_true(blocks > 100);
    assert_int_equal(blocks, ifetches);
    assert_false(chip_fetched_other_text(scene.session->shared->chip));
    for (uint64_t seed = 0; seed < 200; seed++)
        if (!step_notices(&scene, seed))
            fail_msg("seed %llu: a changed bit of text goes unnoticed", (unsigned long long)seed);
    scene_close(&scene);
    world_close(&world);
}

TEST_GROUP(fetch, cmocka_unit_test(packed_text_is_the_same_instruction),
           cmocka_unit_test(any_bytes_are_refused_or_pack_again),
           cmocka_unit_test(a_changed_bit_of_text_shows),
           cmocka_unit_test(a_changed_bit_of_a_compiled_text_shows),
           cmocka_unit_test(any_text_ends_in_order),
           cmocka_unit_test(runs_do_not_leave_their_text_behind),
           cmocka_unit_test(text_changed_between_runs_shows),
           cmocka_unit_test(text_is_checked_only_where_there_are_values));
