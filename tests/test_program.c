/*
 * program: what a program may be, its binary form and hash, and how broken files are refused.
 * Requires: programs drawn by program_helper.c.
 */
#include "tests.h"

#include "program_helper.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- both forms ------------------------------------------------------------------------------ */

static void test_random_round_trips(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct base_arena arena;
        struct program program, decoded;
        struct program_image image, decoded_image;
        struct program_assembly assembly;
        struct base_text bytes = {NULL, 0, 0}, text = {NULL, 0, 0}, again = {NULL, 0, 0};
        struct takt_error error = {TAKT_OK, ""};
        char hash[65], other[65];
        program_new_arena(&arena);
        program_random(&program, &image, &arena, seed);
        if (program_check(&program, &error) != TAKT_OK) {
            fail_msg("seed %llu: %s", (unsigned long long)seed, error.message);
        }
        program_hash(&program, hash);
        program_encode(&program, &image, &bytes);
        if (program_decode("p", bytes.data, bytes.length, &arena, &decoded, &decoded_image,
                           &error) != TAKT_OK) {
            fail_msg("seed %llu: %s", (unsigned long long)seed, error.message);
        }
        program_hash(&decoded, other);
        assert_string_equal(hash, other);
        assert_true(program_same_image(&image, &decoded_image, machine_lanes(&program.machine)));
        program_disassemble(&program, &image, &text);
        program_of_text(text.data, &arena, &assembly);
        program_hash(&assembly.program, other);
        assert_string_equal(hash, other);
        assert_true(program_same_image(&image, &assembly.image, machine_lanes(&program.machine)));
        program_disassemble(&assembly.program, &assembly.image, &again);
        assert_string_equal(text.data, again.data);
        base_text_free(&bytes);
        base_text_free(&text);
        base_text_free(&again);
        base_arena_destroy(&arena);
    }
}

/* ---- binary form ----------------------------------------------------------------------------- */

static void check_refused(const char *bytes, size_t length)
{
    struct base_arena arena;
    struct program program;
    struct program_image image;
    struct takt_error error = {TAKT_OK, ""};
    program_new_arena(&arena);
    enum takt_status status = program_decode("p", bytes, length, &arena, &program, &image, &error);
    assert_true(status == TAKT_FORMAT || status == TAKT_UNSUPPORTED);
    assert_memory_equal(error.message, "p: ", 3);
    assert_null(strchr(error.message, '\n'));
    base_arena_destroy(&arena);
}

static void test_broken_files(void **state)
{
    (void)state;
    struct base_arena arena;
    struct program program;
    struct program_image image;
    struct base_text bytes = {NULL, 0, 0};
    program_new_arena(&arena);
    program_random(&program, &image, &arena, 3);
    program_encode(&program, &image, &bytes);
    for (size_t cut = 0; cut < bytes.length; cut += cut < 200 ? 1 : 97) {
        check_refused(bytes.data, cut);
    }
    for (size_t i = 0; i < bytes.length; i += i < 200 ? 1 : 101) {
        bytes.data[i] = (char)(bytes.data[i] ^ (1 << (i % 8)));
        check_refused(bytes.data, bytes.length);
        bytes.data[i] = (char)(bytes.data[i] ^ (1 << (i % 8)));
    }
    base_text_append(&bytes, "x", 1);
    check_refused(bytes.data, bytes.length);
    base_text_free(&bytes);
    base_arena_destroy(&arena);
}

/* Bytes changed and the digest made anew: every length and value must still be checked. */
static void test_forged_files(void **state)
{
    (void)state;
    struct base_arena arena;
    struct program program;
    struct program_image image;
    struct base_text bytes = {NULL, 0, 0};
    size_t refused = 0;
    program_new_arena(&arena);
    program_random(&program, &image, &arena, 5);
    program_encode(&program, &image, &bytes);
    size_t body = bytes.length - 64;
    size_t mark = arena.used_bytes;
    for (uint64_t i = 0; i < 3000; i++) {
        struct program decoded;
        struct program_image decoded_image;
        struct takt_error error = {TAKT_OK, ""};
        size_t at = 20 + (size_t)(base_random_u64(4, 0, i) % (body - 20));
        char before = bytes.data[at];
        bytes.data[at] = (char)(base_random_u64(4, 1, i) & 0x7f);
        struct base_digest *digest = base_digest_create();
        char hex[65];
        base_digest_update(digest, bytes.data, body);
        base_digest_hex(digest, hex);
        base_digest_destroy(digest);
        memcpy(bytes.data + body, hex, 64);
        enum takt_status status =
            program_decode("p", bytes.data, bytes.length, &arena, &decoded, &decoded_image, &error);
        refused += status != TAKT_OK;
        assert_true(status != TAKT_OK || program_check(&decoded, NULL) == TAKT_OK);
        bytes.data[at] = before;
        memset(arena.base + mark, 0, arena.used_bytes - mark);
        arena.used_bytes = mark;
    }
    assert_true(refused > 100);
    base_text_free(&bytes);
    base_arena_destroy(&arena);
}

static void test_files(void **state)
{
    (void)state;
    char path[] = "/tmp/takt-program-XXXXXX";
    struct base_arena arena;
    struct program program, decoded;
    struct program_image image, decoded_image;
    struct takt_error error = {TAKT_OK, ""};
    char hash[65], other[65];
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    close(descriptor);
    program_new_arena(&arena);
    program_random(&program, &image, &arena, 8);
    assert_int_equal(program_write(&program, &image, path, &error), TAKT_OK);
    assert_int_equal(program_read(path, &arena, &decoded, &decoded_image, &error), TAKT_OK);
    program_hash(&program, hash);
    program_hash(&decoded, other);
    assert_string_equal(hash, other);
    assert_string_equal(decoded.machine.name, "tsp1");
    unlink(path);
    assert_int_equal(program_read(path, &arena, &decoded, &decoded_image, &error), TAKT_IO);
    struct base_text bytes = {NULL, 0, 0};
    struct base_arena small;
    assert_int_equal(base_arena_create(&small, 64, NULL), TAKT_OK);
    program_encode(&program, &image, &bytes);
    assert_int_equal(
        program_decode("p", bytes.data, bytes.length, &small, &decoded, &decoded_image, &error),
        TAKT_LIMIT);
    base_text_free(&bytes);
    base_arena_destroy(&small);
    base_arena_destroy(&arena);
}

/* ---- hash, look-up --------------------------------------------------------------------------- */

static void test_hash(void **state)
{
    (void)state;
    struct base_arena arena;
    struct program_assembly assembly;
    char hash[65], other[65];
    program_new_arena(&arena);
    const char *const sources[] = {
        ".queue mem.e0\nread 1, e0\n",
        ".queue mem.e0\nread 2, e0\n",
        ".queue mem.e1\nread 1, e0\n",
        ".machine superlanes = 2\n.queue mem.e0\nread 1, e0\n",
        ".parameter a 1\n.queue mem.e0\nread 1, e0\n",
        ".parameter a 2\n.queue mem.e0\nread 1, e0\n",
        ".cycles 3\n.queue mem.e0\nread 1, e0\n",
        ".binding a input 1 0 0 0\n.queue mem.e0\nread 1, e0\n",
    };
    for (size_t i = 0; i < BASE_COUNT(sources); i++) {
        for (size_t j = 0; j < BASE_COUNT(sources); j++) {
            program_of_text(sources[i], &arena, &assembly);
            program_hash(&assembly.program, hash);
            program_of_text(sources[j], &arena, &assembly);
            program_hash(&assembly.program, other);
            assert_int_equal(strcmp(hash, other) == 0, i == j);
        }
    }
    program_of_text(
        ".machine name = \"other ; name\"\n.data mem.e0 0 fill 1\n.queue mem.e0\nread 1, e0\n",
        &arena, &assembly);
    program_hash(&assembly.program, other);
    program_of_text(sources[0], &arena, &assembly);
    program_hash(&assembly.program, hash);
    assert_string_equal(hash, other);
    base_arena_destroy(&arena);
}

static void test_look_up(void **state)
{
    (void)state;
    struct base_arena arena;
    struct program_assembly assembly;
    program_new_arena(&arena);
    program_of_text(
        ".machine superlanes = 1\n.parameter chunk 16\n.parameter low -9223372036854775808\n"
        ".binding x input 2 1 1 8\n.source 7 8 -1\n.source -1 8 0\n"
        ".places mem.w3 17 mem.e0 18 ; the two byte planes\n"
        ".binding y output 1 0 0 0\n.queue vxm.0\nsync\n",
        &arena, &assembly);
    const struct program *program = &assembly.program;
    assert_int_equal(program_parameter(program, "chunk", -1), 16);
    assert_true(program_parameter(program, "low", -1) == INT64_MIN);
    assert_int_equal(program_parameter(program, "none", -1), -1);
    assert_null(program_binding(program, "z"));
    const struct program_binding *x = program_binding(program, "x");
    assert_non_null(x);
    assert_false(x->output);
    assert_int_equal(x->source[0], 7);
    assert_int_equal(x->source[7], 0);
    assert_int_equal(x->source[15], -1);
    assert_int_equal(x->places[0].slice, 3);
    assert_int_equal(x->places[1].slice, 44);
    assert_int_equal(x->places[1].address, 18);
    assert_true(program_binding(program, "y")->output);
    assert_int_equal(program_text_bytes(program), 1);
    base_arena_destroy(&arena);
}

TEST_GROUP(program, cmocka_unit_test(test_random_round_trips), cmocka_unit_test(test_broken_files),
           cmocka_unit_test(test_forged_files), cmocka_unit_test(test_files),
           cmocka_unit_test(test_hash), cmocka_unit_test(test_look_up));
