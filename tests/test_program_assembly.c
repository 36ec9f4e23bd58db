/*
 * program: the assembly form: data, expectations, and how broken lines are refused.
 * Requires: tests/asm and the manual, whose example must assemble.
 */
#include "tests.h"

#include "program_helper.h"

#include <glob.h>
#include <string.h>

/* ---- taken ----------------------------------------------------------------------------------- */

static void test_vectors(void **state)
{
    (void)state;
    struct base_arena arena;
    struct program_assembly assembly;
    program_new_arena(&arena);
    program_of_text(".machine superlanes = 1\n"
                    ".data mem.e0 0 fill -1\n"
                    ".data mem.e0 1 iota 250 3\n"
                    ".data mem.e0 2 bytes 1 0xff -128\n"
                    ".data mem.e0 4 hex 000102030405060708090a0b0c0d0eff\n"
                    ".data2 mem.w0 0 i16 iota -2 1\n"
                    ".data4 mem.w4 0 f32 fill 1.5\n"
                    ".data4 mem.w4 1 f32 list 0x7f800001 -0\n"
                    ".data4 mem.w4 2 i32 iota -1 2\n"
                    ".data4 mem.w4 3 f32 iota 1 0.5\n",
                    &arena, &assembly);
    const struct program_image *image = &assembly.image;
    assert_int_equal(image->segment_count, 2 + 2 + 4 * 4);
    assert_int_equal(image->segments[0].count, 3); /* addresses 0, 1, 2 */
    const uint8_t *data = image->segments[0].data;
    assert_int_equal(data[15], 255);
    assert_int_equal(data[16 + 2], 0);
    assert_int_equal(data[32 + 1], 255);
    assert_int_equal(data[32 + 2], 128);
    assert_int_equal(data[32 + 3], 0);
    assert_int_equal(image->segments[1].address, 4);
    assert_int_equal(image->segments[1].data[15], 255);
    assert_int_equal(image->segments[2].data[0], 254);
    assert_int_equal(image->segments[3].data[0], 255);
    assert_int_equal(image->segments[3].data[2], 0);
    const struct program_segment *wide = image->segments + 4;
    assert_int_equal(wide[3].slice, 7);
    assert_int_equal(wide[3].data[5], 0x3f); /* 1.5 = 0x3fc00000 */
    assert_int_equal(wide[2].data[5], 0xc0);
    assert_int_equal(wide[4].data[0], 1);
    assert_int_equal(wide[7].data[0], 0x7f);
    assert_int_equal(wide[7].data[1], 0x80);
    assert_int_equal(wide[8].data[0], 255);
    assert_int_equal(wide[8].data[1], 1);
    assert_int_equal(wide[11].data[1], 0);
    assert_int_equal(wide[15].data[2], 0x40); /* 2.0 */
    base_arena_destroy(&arena);
}

static void test_expectations(void **state)
{
    (void)state;
    struct base_arena arena;
    struct program_assembly assembly;
    program_new_arena(&arena);
    program_of_text(".machine superlanes = 1\n"
                    ".expect mem.e1 5 fill 3\n"
                    ".expect cycles 77\n"
                    ".expect4 mem.e4 6 i32 fill 0x01020304\n"
                    ".expect fault bank-conflict\n"
                    ".expect fault range queue mem.e1 cycle 9 ; any order\n",
                    &arena, &assembly);
    const struct program_expectation *e = assembly.expectations;
    assert_int_equal(assembly.expectation_count, 8);
    assert_int_equal(e[0].kind, PROGRAM_EXPECT_MEMORY);
    assert_int_equal(e[0].line, 2);
    assert_int_equal(e[0].place.slice, 45);
    assert_int_equal(e[0].place.address, 5);
    assert_int_equal(e[0].bytes[15], 3);
    assert_int_equal(e[1].kind, PROGRAM_EXPECT_CYCLES);
    assert_int_equal(e[1].cycles, 77);
    for (int b = 0; b < 4; b++) {
        assert_int_equal(e[2 + b].place.slice, 48 + b);
        assert_int_equal(e[2 + b].line, 4);
        assert_int_equal(e[2 + b].bytes[0], 4 - b);
    }
    assert_int_equal(e[6].kind, PROGRAM_EXPECT_FAULT);
    assert_string_equal(e[6].fault, "bank-conflict");
    assert_false(e[6].has_cycle || e[6].has_queue);
    assert_true(e[7].has_cycle && e[7].has_queue);
    assert_int_equal(e[7].fault_cycle, 9);
    assert_int_equal(e[7].fault_queue, 45);
    base_arena_destroy(&arena);
}

/* ---- refused --------------------------------------------------------------------------------- */

static void check_refusals(const char *const (*cases)[2], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct base_arena arena;
        struct program_assembly assembly;
        struct takt_error error = {TAKT_OK, ""};
        program_new_arena(&arena);
        enum takt_status status =
            program_assemble("t.s", cases[i][0], strlen(cases[i][0]), &arena, &assembly, &error);
        assert_true(status == TAKT_FORMAT || status == TAKT_LIMIT);
        if (strstr(error.message, cases[i][1]) == NULL) {
            fail_msg("expected \"%s\" in \"%s\"", cases[i][1], error.message);
        }
        base_arena_destroy(&arena);
    }
}

static void test_refused_text(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"read 1, e0\n", "t.s:1:1: \"read\": expected .queue NAME before"},
        {".queue mem.e0\n  raed 1, e0\n", "t.s:2:3: \"raed\": expected an instruction"},
        {".queue mem.e0\n read 8192, e0", "t.s:2:2: read: ADDRESS = 8192 is outside 0..8191"},
        {".queue mem.e0\n read 1, e99", "t.s:2:10: \"e99\": expected a stream"},
        {".queue mem.e0\nrepeat 1, 1, 0\n", "t.s:2:1: repeat: must directly follow"},
        {".queue mem.e0\nnop 1\nrepeat 1, 1, 0\n", "t.s:3:1: repeat: must directly follow"},
        {".queue mem.e0\nread 1, e0\nrepeat 1, 1, 0\nrepeat 1, 1, 0", "t.s:4:1: repeat: must"},
        {".queue mem.e0\nread 8190, e0\nrepeat 2, 1, 1\n",
         "t.s:3:1: read: ADDRESS = 8192 in the last repetition is outside 0..8191"},
        {".queue mem.e0\nread 1, e0\nrepeat 2, 1, -1\n", "ADDRESS = -1 in the last"},
        {".queue mxm.e0.activations\nabc.i8 e0\nrepeat 2, 1, 1\n", "abc.i8 has no address"},
        {".queue mxm.e0.weights\nlw 20, e0\n", "lw: INDEX = 20 is outside 0..19"},
        {".queue mxm.e0.results\nacc.set 256\n", "acc.set: INDEX = 256 is outside 0..255"},
        {".queue mem.e0\nadd.f32 e0, e4, e8\n", "add.f32: an instruction of VXM, not of this"},
        {".queue vxm.1\nexp.f32 e0, e4\n", "exp.f32: an instruction of VXM large ALU"},
        {".queue vxm.4\nadd.f32 e0, e8, e8\n", "stream 0 (A4) is not one that row 1 of the VXM"},
        {".queue sxm.e.rotate\nread 0, e0\n", "read: an instruction of MEM"},
        {".queue mem.e44\n", "t.s:1:8: \"mem.e44\": expected a queue"},
        {".queue\n", "t.s:1:7: the line's end: expected a queue"},
        {".queue mem.e0 x\n", "t.s:1:15: \"x\": expected nothing more"},
        {".bogus\n", "t.s:1:1: \".bogus\": expected .machine"},
        {".queue mem.e0\n.machine superlanes = 1\n", "t.s:2:10: .machine: must come before"},
        {".machine superlanes 1\n", "t.s:1:21: \"1\": expected ="},
        {".machine superlanes = 65\n", "t.s:1:10: superlanes = 65: outside 1..64"},
        {".machine superlane = 2\n", "the nearest is superlanes"},
        {".machine mem_slices = 42\n", "mem_slices = 42 is not a multiple of 4"},
        {".machine superlanes = 2\n.machine superlanes = 2\n",
         "t.s:2:10: \"superlanes\": expected"},
        {".cycles -1\n", "t.s:1:9: \"-1\": expected cycles, 0.."},
        {".cycles 1\n.cycles 1\n", "expected one .cycles line"},
        {".parameter a 1\n.parameter a 2\n", "t.s:2:12: \"a\": expected each parameter once"},
        {".parameter a\n", "t.s:1:13: the line's end: expected a value"},
        {".parameter abcdefghijklmnopqrstuvwxyzabcdef 1\n", "one word of 1..31 characters"},
    };
    check_refusals(cases, BASE_COUNT(cases));
}

static void test_refused_data(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {".data mem.e0 8192 fill 0\n", "t.s:1:14: \"8192\": expected a word address, 0..8191"},
        {".data vxm.0 0 fill 0\n", "t.s:1:7: \"vxm.0\": expected a MEM slice"},
        {".data mem.e0 0 fill 256\n", "t.s:1:21: \"256\": expected a byte, -128..255"},
        {".data mem.e0 0 flood 1\n", "\"flood\": expected fill, iota, bytes or hex"},
        {".data mem.e0 0 fill 1 2\n", "t.s:1:23: \"2\": expected nothing more"},
        {".data mem.e0 0 hex 00\n", "expected 640 lower-case hex digits"},
        {".machine superlanes = 1\n.data mem.e0 0 bytes 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17",
         "t.s:2:61: \"17\": expected no more values than lanes"},
        {".machine superlanes = 1\n.data mem.e0 0 hex 000102030405060708090a0b0c0d0eFF\n",
         "expected 32 lower-case hex digits"},
        {".data mem.e0 0 fill 1\n.data mem.e0 0 fill 1\n",
         "t.s:2:7: \"mem.e0\": expected each word"},
        {".data4 mem.e41 0 f32 fill 1\n", "t.s:1:8: \"mem.e41\": expected a slice with room"},
        {".data4 mem.e0 0 fill 1\n", "\"fill\": expected an element type, f32 or i32"},
        {".data2 mem.e0 0 f32 fill 1\n", "\"f32\": expected the element type i16"},
        {".data4 mem.e0 0 f32 fill 1e39\n", "\"1e39\": expected a finite number"},
        {".data4 mem.e0 0 f32 iota 1e31 0\n", "\"1e31\": expected a finite number"},
        {".expect fault\n", "expected a kind of fault"},
        {".expect fault range queue mem.e0 queue mem.e1\n", "each once"},
        {".expect fault range cycle -1\n", "\"-1\": expected a cycle"},
        {".source 0 1 0\n", "expected no more entries"},
        {".places mem.e0 0\n", "expected no more places"},
        {".binding x inout 1 1 1 1\n", "\"inout\": expected input or output"},
        {".binding x input 3 1 1 1\n", "expected elements of 1, 2 or 4 bytes"},
        {".binding x input 1 1 1 1\n", "binding x lacks 320 source entries and 1 places"},
        {".binding x input 1 1 1 4\n.source 1 4 1\n", "expected entries that are elements, or -1"},
        {".binding x input 1 1 1 4\n.source 0 321 0\n", "t.s:2:11: \"321\": expected a count"},
        {".binding x input 1 1 1 4\n.places mem.e0 0 mem.e0 1\n",
         "t.s:2:18: \"mem.e0\": expected no"},
        {".binding x input 1 4294967295 4294967295 1\n", "than takt's limits"},
        {".binding x input 1 0 0 0\n.binding x input 1 0 0 0\n", "expected each binding once"},
    };
    check_refusals(cases, BASE_COUNT(cases));
}

static void test_refused_lines(void **state)
{
    (void)state;
    struct base_arena arena;
    struct program_assembly assembly;
    struct takt_error error = {TAKT_OK, ""};
    struct base_text text = {NULL, 0, 0};
    program_new_arena(&arena);
    assert_int_equal(program_assemble("t.s", "; a\nno\0p", 8, &arena, &assembly, &error),
                     TAKT_FORMAT);
    assert_string_equal(error.message, "t.s:2:3: a NUL byte; expected text");
    for (int i = 0; i < 20000; i++) {
        base_text_append(&text, " ", 1);
    }
    assert_int_equal(program_assemble("t.s", text.data, text.length, &arena, &assembly, &error),
                     TAKT_LIMIT);
    assert_int_equal(program_assemble("t.s", "", 0, &arena, &assembly, &error), TAKT_OK);
    base_arena_destroy(&arena);
    assert_int_equal(base_arena_create(&arena, 64, NULL), TAKT_OK);
    const char *source = ".data mem.e0 0 fill 1\n.data mem.e0 1 fill 1\n.data mem.e0 2 fill 1\n"
                         ".queue mem.e0\nread 0, e0\n.binding x input 4 100 2 640\n";
    assert_int_equal(program_assemble("t.s", source, strlen(source), &arena, &assembly, &error),
                     TAKT_LIMIT);
    base_text_free(&text);
    base_arena_destroy(&arena);
}

/* ---- whole files ----------------------------------------------------------------------------- */

/* Every assembly test of the machine survives the way to text and to bytes and back. */
static void test_assembly_files(void **state)
{
    (void)state;
    glob_t found;
    assert_int_equal(glob("tests/asm/*.s", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct base_file file = {0};
        struct base_arena arena;
        struct program_assembly first, second;
        struct base_text text = {NULL, 0, 0};
        struct takt_error error = {TAKT_OK, ""};
        char hash[65], other[65];
        program_new_arena(&arena);
        assert_int_equal(base_file_map(&file, found.gl_pathv[i], &error), TAKT_OK);
        if (program_assemble(found.gl_pathv[i], (const char *)file.data, file.size_bytes, &arena,
                             &first, &error) != TAKT_OK) {
            fail_msg("%s", error.message);
        }
        program_disassemble(&first.program, &first.image, &text);
        program_of_text(text.data, &arena, &second);
        program_hash(&first.program, hash);
        program_hash(&second.program, other);
        assert_string_equal(hash, other);
        assert_true(
            program_same_image(&first.image, &second.image, machine_lanes(&first.program.machine)));
        base_text_free(&text);
        base_file_unmap(&file);
        base_arena_destroy(&arena);
    }
    globfree(&found);
}

/* The first example of the manual assembles. */
static void test_manual_example(void **state)
{
    (void)state;
    struct base_file file = {0};
    struct base_text text = {NULL, 0, 0};
    struct base_arena arena;
    struct program_assembly assembly;
    assert_int_equal(base_file_map(&file, "docs/ASSEMBLY.md", NULL), TAKT_OK);
    base_text_append(&text, (const char *)file.data, file.size_bytes);
    base_file_unmap(&file);
    char *start = strstr(text.data, "```\n");
    assert_non_null(start);
    char *end = strstr(start + 4, "```\n");
    assert_non_null(end);
    *end = '\0';
    program_new_arena(&arena);
    program_of_text(start + 4, &arena, &assembly);
    assert_int_equal(assembly.expectation_count, 2);
    base_arena_destroy(&arena);
    base_text_free(&text);
}

TEST_GROUP(program_assembly, cmocka_unit_test(test_vectors), cmocka_unit_test(test_expectations),
           cmocka_unit_test(test_refused_text), cmocka_unit_test(test_refused_data),
           cmocka_unit_test(test_refused_lines), cmocka_unit_test(test_assembly_files),
           cmocka_unit_test(test_manual_example));
