/* isa: encode, decode, print and parse are inverse; what is not an instruction is refused. */
#include "tests.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "isa/isa.h"

/* A random instruction of the row whose operands are all permitted. */
static struct isa_instruction random_instruction(enum isa_op op, uint64_t counter)
{
    struct isa_instruction instruction;
    const struct isa_op_info *info = isa_op_info(op);
    memset(&instruction, 0, sizeof instruction);
    instruction.op = (uint8_t)op;
    for (size_t i = 0; i < ISA_FIELDS_MAX && info->fields[i] != ISA_FIELD_NONE; i++) {
        const struct isa_field_info *field = isa_field_info(info->fields[i]);
        uint64_t mask = (UINT64_C(1) << field->bits) - 1;
        uint64_t value = base_random_u64(1, op, counter * ISA_FIELDS_MAX + i);
        /* The ends of the range as often as its middle. */
        value = value >> 60 == 0 ? 0 : value >> 60 == 1 ? mask : value & mask;
        if (field->width > 1) {
            value &= ~(uint64_t)(field->width - 1u);
        }
        if (field->kind == ISA_KIND_POSITIVE && value == 0) {
            value = 1;
        }
        isa_field_put(&instruction, info->fields[i], (uint32_t)value);
    }
    return instruction;
}

static bool same(const struct isa_instruction *a, const struct isa_instruction *b)
{
    return a->imm == b->imm && a->address == b->address && a->address2 == b->address2 &&
           a->count == b->count && a->delay == b->delay && a->step == b->step && a->op == b->op &&
           a->a == b->a && a->b == b->b && a->d == b->d && a->map == b->map;
}

static void test_round_trips(void **state)
{
    (void)state;
    for (unsigned op = 0; op < ISA_OP_COUNT; op++) {
        for (uint64_t i = 0; i < 2000; i++) {
            struct isa_instruction original = random_instruction((enum isa_op)op, i);
            struct isa_instruction decoded, parsed;
            struct takt_error error = {TAKT_OK, ""};
            char line[128];
            assert_int_equal(isa_decode(isa_encode(&original), &decoded, &error), TAKT_OK);
            assert_true(same(&original, &decoded));
            isa_print(&original, line, sizeof line);
            if (isa_parse(line, &parsed, &error) != TAKT_OK || !same(&original, &parsed)) {
                fail_msg("%s: %s", line, error.message);
            }
        }
    }
}

static void check_word(uint64_t word, size_t *refused)
{
    struct isa_instruction instruction;
    struct takt_error error = {TAKT_OK, ""};
    if (isa_decode(word, &instruction, &error) == TAKT_OK) {
        assert_true(isa_encode(&instruction) == word);
    } else {
        assert_int_equal(error.status, TAKT_FORMAT);
        assert_true(error.message[0] != '\0' && strchr(error.message, '\n') == NULL);
        (*refused)++;
    }
}

static void test_mutated_words(void **state)
{
    (void)state;
    size_t refused = 0;
    for (unsigned op = 0; op < ISA_OP_COUNT; op++) {
        for (uint64_t i = 0; i < 50; i++) {
            struct isa_instruction instruction = random_instruction((enum isa_op)op, i);
            uint64_t word = isa_encode(&instruction);
            for (unsigned bit = 0; bit < 64; bit++) {
                check_word(word ^ (UINT64_C(1) << bit), &refused);
            }
        }
    }
    for (uint64_t i = 0; i < 200000; i++) {
        check_word(base_random_u64(2, 0, i), &refused);
    }
    assert_true(refused > 0);
}

static void test_refused_words(void **state)
{
    (void)state;
    const struct {
        uint64_t word;
        const char *message;
    } cases[] = {
        {0, "unknown opcode 0x00"},
        {UINT64_MAX, "unknown opcode 0xff"},
        {UINT64_C(0x0100000000000000), "must not be zero"},                     /* nop 0 */
        {UINT64_C(0x0200000000000001), "DELAY, value 0"},                       /* repeat 1, 0, 0 */
        {UINT64_C(0x0300000000000001), "belong to no field"},                   /* sync */
        {UINT64_C(0x1080000000000000), "bits 0x80000000000000"},                /* read */
        {UINT64_C(0x2200000100000000), "A4, value 1, is not the first stream"}, /* add.f32 */
        {UINT64_C(0x5000000800000000), "A16, value 8, is not"},                 /* lw */
        {UINT64_C(0x3900000000000100), "belong to no field"}, /* maxi.u8: immediate 256 */
        {UINT64_C(0x3d00000000000020), "belong to no field"}, /* shli.b32: by 32 */
    };
    for (size_t i = 0; i < BASE_COUNT(cases); i++) {
        struct isa_instruction instruction;
        struct takt_error error = {TAKT_OK, ""};
        assert_int_equal(isa_decode(cases[i].word, &instruction, &error), TAKT_FORMAT);
        if (strstr(error.message, cases[i].message) == NULL) {
            fail_msg("expected \"%s\" in \"%s\"", cases[i].message, error.message);
        }
    }
}

static void test_lines(void **state)
{
    (void)state;
    const struct {
        const char *line, *printed;
    } cases[] = {
        {"read 17, e4", "read 17, e4"},
        {"  write\t0x10 ,w31;comment", "write 16, w31"},
        {"repeat 3, 1, -2", "repeat 3, 1, -2"},
        {"sync", "sync"},
        {"sync ; end", "sync"},
        {"muli.f32 e0, w4, 1.5", "muli.f32 e0, w4, 0x3fc00000  ; = 1.5"},
        {"muli.f32 e0, w4, 2", "muli.f32 e0, w4, 0x40000000  ; = 2"},
        {"addi.f32 e0, w4, -0", "addi.f32 e0, w4, 0x80000000  ; = -0"},
        {"addi.f32 e0, w4, 0x7f800000", "addi.f32 e0, w4, 0x7f800000  ; = inf"},
        {"addi.i32 e0, w4, -1", "addi.i32 e0, w4, 0xffffffff"},
        {"andi.b32 e0, w4, 255", "andi.b32 e0, w4, 0x000000ff"},
        {"maxi.u8 e1, w5, 128", "maxi.u8 e1, w5, 128"},
    };
    for (size_t i = 0; i < BASE_COUNT(cases); i++) {
        struct isa_instruction instruction;
        struct takt_error error = {TAKT_OK, ""};
        char line[128];
        if (isa_parse(cases[i].line, &instruction, &error) != TAKT_OK) {
            fail_msg("%s: %s", cases[i].line, error.message);
        }
        isa_print(&instruction, line, sizeof line);
        assert_string_equal(line, cases[i].printed);
    }
}

static void test_refused_lines(void **state)
{
    (void)state;
    const struct {
        const char *line, *message;
    } cases[] = {
        {"", "column 1: \"\": expected an instruction"},
        {"  raed 1, e0", "column 3: \"raed\": expected an instruction"},
        {"read", "column 5: \"\": expected a number 0..65535 (operand ADDRESS of read)"},
        {"read 65536, e0", "column 6: \"65536\": expected a number 0..65535"},
        {"read 1", "column 7: \"\": expected a stream"},
        {"read 1, e32", "column 9: \"e32\": expected a stream e0..e31 or w0..w31"},
        {"read 1,, e3", "column 8: \"\": expected a stream"},
        {"read 1, e3, e4", "column 11: \",\": expected the end of the line after read"},
        {"read 1, e3 e4", "column 9: \"e3 e4\": expected a stream"},
        {"nop 0", "column 5: \"0\": expected a number 1..65535"},
        {"add.f32 e0, e2, e4", "column 13: \"e2\": expected a stream e0..e31 or w0..w31, a multip"},
        {"addi.f32 e0, e4, nan", "column 18: \"nan\": expected a finite number"},
        {"addi.f32 e0, e4, 1e39", "column 18: \"1e39\": expected a finite number"},
        {"addi.i32 e0, e4, 1.5", "column 18: \"1.5\": expected an integer of 32 bits"},
        {"shli.b32 e0, e4, 32", "column 18: \"32\": expected a number 0..31"},
        {"repeat 1, 1, 32768", "column 14: \"32768\": expected a number -32768..32767"},
        {"sync now", "column 6: \"now\": expected the end of the line after sync"},
        {"read 1, \x01\xff", "column 9: \"\?\?\": expected a stream"},
    };
    for (size_t i = 0; i < BASE_COUNT(cases); i++) {
        struct isa_instruction instruction;
        struct takt_error error = {TAKT_OK, ""};
        assert_int_equal(isa_parse(cases[i].line, &instruction, &error), TAKT_FORMAT);
        if (strstr(error.message, cases[i].message) == NULL) {
            fail_msg("expected \"%s\" in \"%s\"", cases[i].message, error.message);
        }
    }
}

/* Cut text must not run over, and a short buffer still ends in NUL. */
static void test_short_buffer(void **state)
{
    (void)state;
    struct isa_instruction instruction = random_instruction(ISA_FMA_F32_IMM, 7);
    char line[128], cut[8];
    isa_print(&instruction, line, sizeof line);
    isa_print(&instruction, cut, sizeof cut);
    assert_int_equal(strlen(cut), sizeof cut - 1);
    assert_memory_equal(line, cut, sizeof cut - 1);
}

static void test_manual(void **state)
{
    (void)state;
    struct base_file file = {0};
    struct base_text manual = {NULL, 0, 0};
    struct takt_error error = {TAKT_OK, ""};
    isa_manual(&manual);
    for (unsigned op = 0; op < ISA_OP_COUNT; op++) {
        char heading[40];
        (void)snprintf(heading, sizeof heading, "### `%s`\n",
                       isa_op_info((enum isa_op)op)->mnemonic);
        assert_non_null(strstr(manual.data, heading));
    }
    assert_int_equal(base_file_map(&file, "docs/ISA.md", &error), TAKT_OK);
    if (file.size_bytes != manual.length || memcmp(file.data, manual.data, manual.length) != 0) {
        fail_msg("docs/ISA.md is not what the table says: run make docs");
    }
    base_file_unmap(&file);
    base_text_free(&manual);
}

TEST_GROUP(isa, cmocka_unit_test(test_round_trips), cmocka_unit_test(test_mutated_words),
           cmocka_unit_test(test_refused_words), cmocka_unit_test(test_lines),
           cmocka_unit_test(test_refused_lines), cmocka_unit_test(test_short_buffer),
           cmocka_unit_test(test_manual));
