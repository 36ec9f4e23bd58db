/* machine: floor plan and queues against the published figures; machine files, good and bad. */
#include "tests.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "machine/machine.h"

static void test_tsp1_floor_plan(void **state)
{
    (void)state;
    struct machine machine;
    machine_tsp1(&machine);
    assert_int_equal(machine_check(&machine, NULL), TAKT_OK);
    assert_int_equal(machine_lanes(&machine), 320);
    assert_int_equal(machine_positions(&machine), 45);
    assert_int_equal(machine_mxm_position(&machine, MACHINE_WEST), 0);
    assert_int_equal(machine_sxm_position(&machine, MACHINE_WEST), 2);
    assert_int_equal(machine_mem_position(&machine, MACHINE_WEST, 43), 7);
    assert_int_equal(machine_mem_position(&machine, MACHINE_WEST, 0), 17);
    assert_int_equal(machine_vxm_position(&machine), 18);
    assert_int_equal(machine_vxm_read_position(&machine, 0, false), 18);
    assert_int_equal(machine_vxm_write_position(&machine, 0), 19);
    assert_int_equal(machine_vxm_read_position(&machine, 3, true), 26);
    assert_int_equal(machine_mem_position(&machine, MACHINE_EAST, 0), 27);
    assert_int_equal(machine_mem_position(&machine, MACHINE_EAST, 3), 27);
    assert_int_equal(machine_mem_position(&machine, MACHINE_EAST, 4), 28);
    assert_int_equal(machine_mem_position(&machine, MACHINE_EAST, 43), 37);
    assert_int_equal(machine_sxm_position(&machine, MACHINE_EAST), 42);
    assert_int_equal(machine_mxm_position(&machine, MACHINE_EAST), 44);
}

static void test_vxm_reach(void **state)
{
    (void)state;
    for (uint32_t row = 0; row < MACHINE_VXM_ROWS; row++) {
        for (uint32_t stream = 0; stream < ISA_STREAMS; stream++) {
            bool reached = false;
            for (uint32_t i = 0; i < 4; i++) {
                reached = reached || stream / 4 == (2 * row + i) % 8;
            }
            assert_int_equal(machine_vxm_row_reaches(row, stream), reached);
        }
    }
    uint32_t large = 0;
    for (uint32_t alu = 0; alu < 16; alu++) {
        /* A checkerboard: 0 2 / 5 7 / 8 10 / 13 15. */
        assert_int_equal(machine_vxm_is_large(alu), (alu / 4 + alu % 4) % 2 == 0);
        large += machine_vxm_is_large(alu);
    }
    assert_int_equal(large, 8);
}

static uint32_t queue_of(const struct machine *machine, struct machine_queue place)
{
    switch (place.unit) {
    case ISA_UNIT_MEM: return machine_queue_mem(machine, place.hemisphere, place.index);
    case ISA_UNIT_VXM:
    case ISA_UNIT_VXM_LARGE: return machine_queue_vxm(machine, place.index);
    case ISA_UNIT_MXM_WEIGHTS:
    case ISA_UNIT_MXM_ACTIVATIONS:
    case ISA_UNIT_MXM_RESULTS:
        return machine_queue_mxm(machine, place.hemisphere, place.index, place.unit);
    default: return machine_queue_sxm(machine, place.hemisphere, place.unit, place.index);
    }
}

static void check_queues(const struct machine *machine)
{
    for (uint32_t queue = 0; queue < machine_queue_count(machine); queue++) {
        char name[32];
        uint32_t found = UINT32_MAX;
        struct machine_queue place = machine_queue(machine, queue);
        machine_queue_name(machine, queue, name);
        assert_true(machine_queue_find(machine, name, &found));
        assert_int_equal(found, queue);
        if (place.unit != ISA_UNIT_ICU) {
            assert_int_equal(queue_of(machine, place), queue);
        }
    }
}

static void test_queues(void **state)
{
    (void)state;
    struct machine machine;
    uint32_t queue = 0;
    machine_tsp1(&machine);
    assert_int_equal(machine_queue_count(&machine), 144);
    check_queues(&machine);
    assert_true(machine_queue_find(&machine, "mem.e3", &queue));
    assert_int_equal(queue, 47);
    assert_true(machine_queue_find(&machine, "sxm.e.transpose1", &queue));
    assert_true(machine_queue_find(&machine, "mxm.w1.weights", &queue));
    const char *const wrong[] = {"",        "mem",     "mem.e44",  "mem.e03", "mem.e",
                                 "mem.x3",  "mem.e3 ", "mem.e999", "vxm.16",  "mxm.w2.weights",
                                 "mem.e-1", "mem.e3x", "sxm.w",    "MEM.e3",  "mem.e4294967296"};
    for (size_t i = 0; i < BASE_COUNT(wrong); i++) {
        assert_false(machine_queue_find(&machine, wrong[i], &queue));
    }
    assert_true(machine_queue_accepts(ISA_UNIT_VXM_LARGE, ISA_ADD_F32));
    assert_true(machine_queue_accepts(ISA_UNIT_VXM_LARGE, ISA_EXP_F32));
    assert_false(machine_queue_accepts(ISA_UNIT_VXM, ISA_EXP_F32));
    assert_false(machine_queue_accepts(ISA_UNIT_ICU, ISA_READ));
    assert_true(machine_queue_accepts(ISA_UNIT_ICU, ISA_SYNC));
    assert_true(machine_queue_accepts(ISA_UNIT_MEM, ISA_NOP));
}

static bool equal(const struct machine *a, const struct machine *b)
{
    bool same = strcmp(a->name, b->name) == 0;
    for (uint32_t i = 0; i < machine_parameter_count(); i++) {
        same = same && machine_parameter_get(a, i) == machine_parameter_get(b, i);
    }
    return same;
}

/* Random machines: every one that the check accepts can be written, read and walked. */
static void test_random_machines(void **state)
{
    (void)state;
    size_t accepted = 0;
    for (uint64_t seed = 0; seed < 500; seed++) {
        struct machine machine, again;
        struct base_text text = {NULL, 0, 0};
        struct takt_error error = {TAKT_OK, ""};
        machine_tsp1(&machine);
        (void)snprintf(machine.name, sizeof machine.name, "random # %llu",
                       (unsigned long long)seed);
        for (uint32_t i = 0; i < machine_parameter_count(); i++) {
            const struct machine_parameter *row = machine_parameter(i);
            uint64_t value = base_random_u64(seed, 0, i) % (row->maximum - row->minimum + 1);
            machine_parameter_put(&machine, i, row->minimum + (uint32_t)value);
        }
        machine.mem_slices -= machine.mem_slices % 4;
        machine.mem_words -= machine.mem_words % 2;
        if (machine_check(&machine, &error) != TAKT_OK) {
            assert_int_equal(error.status, TAKT_LIMIT);
            continue;
        }
        accepted++;
        machine_write(&machine, &text);
        if (machine_parse(&again, "random", text.data, text.length, &error) != TAKT_OK) {
            fail_msg("%s", error.message);
        }
        assert_true(equal(&machine, &again));
        assert_true(machine_positions(&machine) <= MACHINE_POSITIONS_MAX);
        check_queues(&machine);
        base_text_free(&text);
    }
    assert_true(accepted > 100);
}

static void test_hash(void **state)
{
    (void)state;
    struct machine machine;
    char first[17], other[17];
    machine_tsp1(&machine);
    machine_hash(&machine, first);
    assert_int_equal(strlen(first), 16);
    (void)snprintf(machine.name, sizeof machine.name, "renamed");
    machine_hash(&machine, other);
    assert_string_equal(first, other);
    for (uint32_t i = 0; i < machine_parameter_count(); i++) {
        machine_tsp1(&machine);
        machine_parameter_put(&machine, i, machine_parameter_get(&machine, i) + 1);
        machine_hash(&machine, other);
        assert_string_not_equal(first, other);
    }
}

static void test_machine_files(void **state)
{
    (void)state;
    struct machine machine, tsp1;
    struct takt_error error = {TAKT_OK, ""};
    struct base_file file = {0};
    struct base_text text = {NULL, 0, 0};
    machine_tsp1(&tsp1);
    assert_int_equal(machine_read(&machine, "machines/tsp1.machine", &error), TAKT_OK);
    assert_true(equal(&machine, &tsp1));
    machine_write(&tsp1, &text);
    assert_int_equal(base_file_map(&file, "machines/tsp1.machine", &error), TAKT_OK);
    if (file.size_bytes != text.length || memcmp(file.data, text.data, text.length) != 0) {
        fail_msg("machines/tsp1.machine is not what machine_write gives for tsp1");
    }
    base_file_unmap(&file);
    base_text_free(&text);
    assert_int_equal(machine_read(&machine, "machines/half.machine", &error), TAKT_OK);
    assert_string_equal(machine.name, "half");
    assert_int_equal(machine_lanes(&machine), 160);
    check_queues(&machine);
    assert_int_equal(machine_read(&machine, "machines/slow.machine", &error), TAKT_OK);
    assert_int_equal(machine.mem_slices, 44);
    assert_int_equal(machine_read(&machine, "machines/none.machine", &error), TAKT_IO);
    assert_non_null(strstr(error.message, "machines/none.machine"));
}

static void test_bad_machine_files(void **state)
{
    (void)state;
    const struct {
        const char *text;
        enum takt_status status;
        const char *message;
    } cases[] = {
        {"superlanes 20\n", TAKT_FORMAT, "m:1: \"superlanes 20\": expected NAME = VALUE"},
        {"\n# x\nsuperlane = 20\n", TAKT_FORMAT,
         "m:3: \"superlane\": no such parameter; the nearest is superlanes"},
        {"mxm_result = 3\n", TAKT_FORMAT, "the nearest is mxm_result_cycles"},
        {"superlanes = x\n", TAKT_FORMAT, "m:1: superlanes = \"x\": expected a whole number 1..64"},
        {"superlanes =\n", TAKT_FORMAT, "m:1: superlanes = \"\": expected a whole number"},
        {"superlanes = 65\n", TAKT_LIMIT, "m:1: superlanes = 65: outside 1..64"},
        {"superlanes = -1\n", TAKT_LIMIT, "m:1: superlanes = -1: outside 1..64"},
        {"superlanes = 3\nsuperlanes = 3\n", TAKT_FORMAT, "m:2: superlanes: given twice"},
        {"name = x\n", TAKT_FORMAT, "m:1: name = \"x\": expected 1..31 printable"},
        {"name = \"\"\n", TAKT_FORMAT, "m:1: name = "},
        {"name = \"a\"\nname = \"b\"\n", TAKT_FORMAT, "m:2: name: given twice"},
        {"mem_slices = 42\n", TAKT_LIMIT, "m: machine tsp1: mem_slices = 42 is not a multiple"},
        {"mem_words = 8191\n", TAKT_LIMIT, "mem_words = 8191 is odd"},
        {"mem_slices = 88\nio_positions = 8\n", TAKT_LIMIT, "makes 75 stream positions"},
        {"= 3\n", TAKT_FORMAT, "m:1: \"\": no such parameter"},
    };
    for (size_t i = 0; i < BASE_COUNT(cases); i++) {
        struct machine machine;
        struct takt_error error = {TAKT_OK, ""};
        assert_int_equal(machine_parse(&machine, "m", cases[i].text, strlen(cases[i].text), &error),
                         cases[i].status);
        if (strstr(error.message, cases[i].message) == NULL) {
            fail_msg("expected \"%s\" in \"%s\"", cases[i].message, error.message);
        }
    }
    struct machine machine;
    struct takt_error error = {TAKT_OK, ""};
    char longest[400];
    memset(longest, '#', sizeof longest);
    assert_int_equal(machine_parse(&machine, "m", longest, sizeof longest, &error), TAKT_FORMAT);
    assert_int_equal(machine_parse(&machine, "m", "a\0b", 3, &error), TAKT_FORMAT);
    assert_int_equal(machine_parse(&machine, "m", NULL, 0, &error), TAKT_OK);
}

static void test_manual(void **state)
{
    (void)state;
    struct base_file file = {0};
    struct base_text manual = {NULL, 0, 0};
    struct takt_error error = {TAKT_OK, ""};
    machine_manual(&manual);
    for (uint32_t i = 0; i < machine_parameter_count(); i++) {
        assert_non_null(strstr(manual.data, machine_parameter(i)->name));
    }
    assert_int_equal(base_file_map(&file, "docs/MACHINE.md", &error), TAKT_OK);
    if (file.size_bytes != manual.length || memcmp(file.data, manual.data, manual.length) != 0) {
        fail_msg("docs/MACHINE.md is not what the table says: run make docs");
    }
    base_file_unmap(&file);
    base_text_free(&manual);
}

TEST_GROUP(machine, cmocka_unit_test(test_tsp1_floor_plan), cmocka_unit_test(test_vxm_reach),
           cmocka_unit_test(test_queues), cmocka_unit_test(test_random_machines),
           cmocka_unit_test(test_hash), cmocka_unit_test(test_machine_files),
           cmocka_unit_test(test_bad_machine_files), cmocka_unit_test(test_manual));
