/* base: arenas, files, text, UTF-8, numbers, random numbers, digests. */
#include "tests.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"

static void test_status_texts(void **state)
{
    (void)state;
    for (int i = 0; i < TAKT_STATUS_COUNT; i++) {
        assert_non_null(takt_status_text((enum takt_status)i));
        for (int j = 0; j < i; j++)
            assert_string_not_equal(takt_status_text((enum takt_status)i),
                                    takt_status_text((enum takt_status)j));
    }
    assert_string_equal(takt_status_text(TAKT_OK), "ok");
    assert_non_null(takt_status_text(TAKT_STATUS_COUNT));
}

static void test_fail(void **state)
{
    (void)state;
    struct takt_error error;
    assert_int_equal(base_fail(&error, TAKT_LIMIT, "%s: %d", "place", 7), TAKT_LIMIT);
    assert_int_equal(error.status, TAKT_LIMIT);
    assert_string_equal(error.message, "place: 7");
    /* A message is one line, whatever a file's name holds, and may quote the one before. */
    base_fail(&error, TAKT_IO, "a\nb\x1b[31m\t%s", error.message);
    assert_string_equal(error.message, "a b [31m place: 7");
    assert_int_equal(base_fail(NULL, TAKT_IO, "nobody listens"), TAKT_IO);
    char *big = malloc(5000);
    memset(big, 'x', 4999);
    big[4999] = '\0';
    base_fail(&error, TAKT_IO, "%s", big);
    assert_int_equal(strlen(error.message), sizeof(error.message) - 1);
    free(big);
}

static void test_arena(void **state)
{
    (void)state;
    struct base_arena arena;
    assert_int_equal(base_arena_create(&arena, 10000, NULL), TAKT_OK);
    assert_true(arena.capacity_bytes >= 10000);
    unsigned char *last = NULL;
    for (size_t size = 0; size < 100; size++) {
        unsigned char *memory = base_arena_alloc(&arena, size, 1);
        assert_int_equal((uintptr_t)memory % 64, 0);
        assert_true(last == NULL || memory >= last);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(memory[i], 0);
        memset(memory, 0xAB, size);
        last = memory + size;
    }
    char *copy = base_arena_text(&arena, "text and more", 4);
    assert_string_equal(copy, "text");
    assert_string_equal(base_arena_text(&arena, NULL, 0), "");
    /* To the last byte. */
    assert_non_null(base_arena_alloc(&arena, arena.capacity_bytes - arena.used_bytes, 1));
    assert_int_equal(arena.used_bytes, arena.capacity_bytes);
    memset(arena.base + 64, 0xA5, arena.capacity_bytes - 64);
    base_arena_rewind(&arena, 64); /* within a page, and whole pages after it */
    assert_int_equal(arena.used_bytes, 64);
    const unsigned char *again = base_arena_alloc(&arena, arena.capacity_bytes - 64, 1);
    for (size_t i = 0; i < arena.capacity_bytes - 64; i++)
        assert_int_equal(again[i], 0);
    base_arena_destroy(&arena);
    base_arena_destroy(&arena);
    assert_null(arena.base);
    /* Addresses are reserved, not memory; the impossible is a status. */
    struct takt_error error;
    assert_int_equal(base_arena_create(&arena, SIZE_MAX / 2, &error), TAKT_MEMORY);
    assert_int_equal(base_arena_create(&arena, SIZE_MAX, &error), TAKT_MEMORY);
    base_arena_destroy(&arena);
    assert_int_equal(base_arena_create(&arena, (size_t)1 << 36, &error), TAKT_OK);
    base_arena_destroy(&arena);
}

static void test_files(void **state)
{
    (void)state;
    char folder[] = "/tmp/takt-base-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char path[64];
    snprintf(path, sizeof(path), "%s/file", folder);
    struct base_file file;
    struct takt_error error;
    assert_int_equal(base_file_map(&file, path, &error), TAKT_IO);
    assert_non_null(strstr(error.message, path));
    assert_int_equal(base_file_map(&file, folder, &error), TAKT_IO);
    assert_int_equal(base_file_write(path, "old", 3, &error), TAKT_OK);
    assert_int_equal(base_file_write(path, "newer", 5, &error), TAKT_OK);
    assert_int_equal(base_file_map(&file, path, &error), TAKT_OK);
    assert_int_equal(file.size_bytes, 5);
    assert_memory_equal(file.data, "newer", 5);
    base_file_unmap(&file);
    base_file_unmap(&file);
    assert_int_equal(base_file_write(path, NULL, 0, &error), TAKT_OK);
    assert_int_equal(base_file_map(&file, path, &error), TAKT_OK);
    assert_int_equal(file.size_bytes, 0);
    base_file_unmap(&file);
    char inside[80];
    snprintf(inside, sizeof(inside), "%s/no/file", folder);
    assert_int_equal(base_file_write(inside, "x", 1, &error), TAKT_IO);
    assert_non_null(strstr(error.message, inside));
    /* Nothing temporary stays behind: the folder is empty but for the file. */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void test_text(void **state)
{
    (void)state;
    struct base_text text = {0};
    base_text_append(&text, NULL, 0);
    assert_string_equal(text.data, "");
    for (int i = 0; i < 1000; i++)
        base_text_format(&text, "%d,", i);
    assert_int_equal(text.length, strlen(text.data));
    assert_int_equal(text.length, 10 * 2 + 90 * 3 + 900 * 4);
    base_text_append(&text, "a\0b", 3);
    assert_memory_equal(text.data + text.length - 3, "a\0b", 4);
    base_text_free(&text);
    base_text_free(&text);
    assert_null(text.data);
}

/* Sizes of the character in front: 0 where there is none. */
static void test_utf8_size(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
    } cases[] = {
        {"a", 1},
        {"\x7F", 1},
        {"\x80", 0},
        {"\xC0\x80", 0},
        {"\xC1\xBF", 0},
        {"\xC2\x80", 2},
        {"\xDF\xBF", 2},
        {"\xC2", 0},
        {"\xC2 ", 0},
        {"\xE0\x9F\xBF", 0},
        {"\xE0\xA0\x80", 3},
        {"\xED\x9F\xBF", 3},
        {"\xED\xA0\x80", 0},
        {"\xED\xBF\xBF", 0},
        {"\xEE\x80\x80", 3},
        {"\xEF\xBF\xBF", 3},
        {"\xE2\x82", 0},
        {"\xF0\x8F\xBF\xBF", 0},
        {"\xF0\x90\x80\x80", 4},
        {"\xF4\x8F\xBF\xBF", 4},
        {"\xF4\x90\x80\x80", 0},
        {"\xF5\x80\x80\x80", 0},
        {"\xFF", 0},
        {"\xF0\x9F\x98", 0},
        {"\xF0\x9F\x98\x80", 4},
    };
    for (size_t i = 0; i < BASE_COUNT(cases); i++) {
        size_t length = strlen(cases[i].bytes);
        assert_int_equal(base_utf8_size(cases[i].bytes, length), cases[i].size);
        assert_int_equal(base_utf8_valid(cases[i].bytes, length), cases[i].size == length);
    }
    assert_int_equal(base_utf8_size("", 0), 0);
    assert_int_equal(base_utf8_size("\0", 1), 1);
    assert_true(base_utf8_valid(NULL, 0));
    assert_false(base_utf8_valid("abc\xF0\x9F\x98", 6));
}

static void test_utf8_whole_prefix(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t whole;
    } cases[] = {
        {"", 0},
        {"abc", 3},
        {"\xC3", 0},
        {"a\xC3", 1},
        {"a\xC3\xA4", 3},
        {"\xE2\x82", 0},
        {"ab\xF0\x9F\x98", 2},
        {"ab\xF0\x9F\x98\x80", 6},
        {"\xF0\x9F", 0},
        {"\xF0\x9F\x98\x80\xE2", 4},
        /* What no later byte can complete is whole at once: a stream must not wait for it. */
        {"\x80", 1},
        {"\xFF", 1},
        {"\xC0", 1},
        {"\xE2 ", 2},
        {"\xED\xA0", 2},
        {"\xF0\x80\x80", 3},
        {"a\x98\x80\x80", 4},
    };
    for (size_t i = 0; i < BASE_COUNT(cases); i++)
        assert_int_equal(base_utf8_whole_prefix(cases[i].bytes, strlen(cases[i].bytes)),
                         cases[i].whole);
    assert_int_equal(base_utf8_whole_prefix(NULL, 0), 0);
}

static void test_integers(void **state)
{
    (void)state;
    int64_t value;
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {
        {"0", 0},
        {"7", 7},
        {"-7", -7},
        {"+7", 7},
        {"007", 7},
        {"0x10", 16},
        {"-0x10", -16},
        {"0XfF", 255},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
    };
    for (size_t i = 0; i < BASE_COUNT(good); i++) {
        assert_true(base_parse_i64(good[i].text, INT64_MIN, INT64_MAX, &value));
        assert_int_equal(value, good[i].value);
    }
    static const char *const bad[] = {"",
                                      " 1",
                                      "1 ",
                                      "1x",
                                      "x",
                                      "-",
                                      "+",
                                      "0x",
                                      "--1",
                                      "1.0",
                                      "1e3",
                                      "0b1",
                                      "0x-1",
                                      "0x0x1",
                                      "- 1",
                                      "\n1",
                                      "9223372036854775808"};
    for (size_t i = 0; i < BASE_COUNT(bad); i++)
        assert_false(base_parse_i64(bad[i], INT64_MIN, INT64_MAX, &value));
    assert_true(base_parse_i64("5", 5, 5, &value));
    assert_false(base_parse_i64("4", 5, 9, &value));
    assert_false(base_parse_i64("10", 5, 9, &value));
}

static void test_reals(void **state)
{
    (void)state;
    double value;
    static const struct {
        const char *text;
        double value;
    } good[] = {
        {"0", 0.0},  {"1.5", 1.5},    {"-2", -2.0},     {"+.5", 0.5},
        {"3.", 3.0}, {"1e3", 1000.0}, {"2.5E-1", 0.25},
    };
    for (size_t i = 0; i < BASE_COUNT(good); i++) {
        assert_true(base_parse_f64(good[i].text, -1e9, 1e9, &value));
        assert_true(value == good[i].value);
    }
    static const char *const bad[] = {"",     ".",     "e1", "1e", "1e+", "nan",   "inf",
                                      "-inf", "0x1p3", " 1", "1 ", "1,5", "1e999", "1f"};
    for (size_t i = 0; i < BASE_COUNT(bad); i++)
        assert_false(base_parse_f64(bad[i], -1e300, 1e300, &value));
    assert_false(base_parse_f64("1.01", 0.0, 1.0, &value));
}

static void test_random(void **state)
{
    (void)state;
    /* Fixed for good: seeds that people write down must keep their meaning. */
    assert_int_equal(base_random_u64(0, 0, 0), UINT64_C(0x238275BC38FCBE91));
    assert_int_equal(base_random_u64(1, 2, 3), UINT64_C(0xD0734750FDE362B3));
    assert_int_equal(base_random_u64(UINT64_MAX, UINT64_MAX, UINT64_MAX),
                     UINT64_C(0x595B17F487C0E71B));
    double sum = 0.0;
    unsigned buckets[16] = {0};
    for (uint64_t i = 0; i < 16000; i++) {
        float x = base_random_f32(42, i % 2, i);
        assert_true(x >= 0.0f && x < 1.0f);
        sum += (double)x;
        buckets[(unsigned)(x * 16.0f)]++;
    }
    assert_true(sum / 16000.0 > 0.49 && sum / 16000.0 < 0.51);
    for (unsigned i = 0; i < 16; i++)
        assert_in_range(buckets[i], 880, 1120); /* 1000 +- 4 standard deviations */
    /* The three arguments are not interchangeable, nor do streams shift into one another. */
    assert_int_not_equal(base_random_u64(1, 2, 3), base_random_u64(1, 3, 2));
    assert_int_not_equal(base_random_u64(1, 2, 3), base_random_u64(2, 1, 3));
    assert_int_not_equal(base_random_u64(1, 1, 2), base_random_u64(1, 2, 1));
    uint64_t block[9];
    base_random_fill(5, 6, UINT64_MAX - 3, block, BASE_COUNT(block));
    for (uint64_t i = 0; i < BASE_COUNT(block); i++)
        assert_int_equal(block[i], base_random_u64(5, 6, UINT64_MAX - 3 + i));
}

static void expect_digest(const char *text, size_t repeats, const char *wanted)
{
    struct base_digest *digest = base_digest_create();
    assert_non_null(digest);
    for (size_t i = 0; i < repeats; i++)
        base_digest_update(digest, text, strlen(text));
    char hex[65];
    base_digest_hex(digest, hex);
    assert_string_equal(hex, wanted);
    base_digest_hex(digest, hex); /* asking does not end it */
    assert_string_equal(hex, wanted);
    base_digest_destroy(digest);
}

/* FIPS 180-2, appendix B, and the empty message. */
static void test_digest(void **state)
{
    (void)state;
    expect_digest("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect_digest("abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect_digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
                  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    expect_digest("aaaaaaaaaa", 100000,
                  "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    struct base_digest *digest = base_digest_create();
    char hex[65];
    base_digest_update(digest, "a", 1);
    base_digest_hex(digest, hex);
    base_digest_update(digest, "bc", 2); /* and feeding goes on after an answer */
    base_digest_update(digest, NULL, 0);
    base_digest_hex(digest, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    base_digest_destroy(digest);
    base_digest_destroy(NULL);
}

static void test_clock(void **state)
{
    (void)state;
    double before = base_seconds(), after = base_seconds();
    assert_true(after >= before && after - before < 60.0);
}

TEST_GROUP(base, cmocka_unit_test(test_status_texts), cmocka_unit_test(test_fail),
           cmocka_unit_test(test_arena), cmocka_unit_test(test_files), cmocka_unit_test(test_text),
           cmocka_unit_test(test_utf8_size), cmocka_unit_test(test_utf8_whole_prefix),
           cmocka_unit_test(test_integers), cmocka_unit_test(test_reals),
           cmocka_unit_test(test_random), cmocka_unit_test(test_digest),
           cmocka_unit_test(test_clock));
