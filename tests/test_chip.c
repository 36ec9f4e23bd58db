/*
 * The machine: small programs built by hand, every assembly test of tests/asm, each of which states
 * its own expectation, and mutations of them.
 */
#include "tests.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chip/chip.h"
#include "num/num.h"
#include "takt.h"

/* ---- programs from text, one string a queue ---------------------------------------------- */

#define WORDS_MAX 64u
#define SOURCES_MAX 16u

struct source {
    const char *queue;
    const char *lines; /* one instruction a line */
};

struct built {
    struct program program;
    uint32_t queue_words[256];
    uint64_t *text[256];
    uint64_t words[SOURCES_MAX][WORDS_MAX];
};

static void build(struct built *built, const struct machine *machine, const struct source *sources,
                  uint32_t count)
{
    memset(built, 0, sizeof *built);
    built->program.machine = *machine;
    built->program.queue_count = machine_queue_count(machine);
    built->program.queue_words = built->queue_words;
    built->program.text = built->text;
    assert_true(count <= SOURCES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t queue, words = 0;
        assert_true(machine_queue_find(machine, sources[i].queue, &queue));
        for (const char *at = sources[i].lines; *at; words++) {
            char line[128];
            size_t length = strcspn(at, "\n");
            assert_true(length < sizeof line && words < WORDS_MAX);
            memcpy(line, at, length);
            line[length] = '\0';
            at += length + (at[length] == '\n');
            struct isa_instruction instruction;
            struct takt_error error;
            if (isa_parse(line, &instruction, &error) != TAKT_OK)
                fail_msg("%s: %s", line, error.message);
            built->words[i][words] = isa_encode(&instruction);
        }
        built->queue_words[queue] = words;
        built->text[queue] = built->words[i];
    }
}

static enum takt_status run_sources(const struct machine *machine, const struct source *sources,
                                    uint32_t count, struct chip *chip, uint64_t *cycles,
                                    struct takt_error *error)
{
    struct built *built = calloc(1, sizeof *built);
    assert_non_null(built);
    build(built, machine, sources, count);
    struct chip_text *text = NULL;
    enum takt_status status = chip_text_create(&text, &built->program, error);
    if (status == TAKT_OK)
        status = chip_run(chip, text, cycles, error);
    chip_text_destroy(text);
    free(built);
    return status;
}

static void fill_random(uint8_t *bytes, size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)base_random_u64(seed, 1, i);
}

/* ---- conversions: the vector unit's loops against num ------------------------------------ */

static void put4(struct chip *chip, uint16_t slice, uint16_t address, const uint32_t *values,
                 uint32_t lanes)
{
    uint8_t plane[MACHINE_LANES_MAX];
    for (uint16_t i = 0; i < 4; i++) {
        for (uint32_t lane = 0; lane < lanes; lane++)
            plane[lane] = (uint8_t)(values[lane] >> (8u * i));
        chip_write_word(chip, (struct program_place){(uint16_t)(slice + i), address}, plane);
    }
}

static uint32_t get4(const struct chip *chip, uint16_t slice, uint32_t lane)
{
    uint8_t plane[MACHINE_LANES_MAX];
    uint32_t value = 0;
    for (uint16_t i = 0; i < 4; i++) {
        chip_read_word(chip, (struct program_place){(uint16_t)(slice + i), 1}, plane);
        value |= (uint32_t)plane[lane] << (8u * i);
    }
    return value;
}

/* Runs `operation` (e0 to e4) on a vector from slices w0..w3 to e0..e3 and compares with num. */
static void check_conversion(const char *operation, uint32_t (*expected)(float), uint32_t mask,
                             uint64_t seed)
{
    struct machine machine;
    struct chip *chip;
    struct takt_error error;
    uint64_t cycles;
    uint32_t values[MACHINE_LANES_MAX];
    machine_tsp1(&machine);
    assert_int_equal(chip_create(&chip, &machine, &error), TAKT_OK);
    uint32_t lanes = machine_lanes(&machine);
    for (uint32_t i = 0; i < lanes; i++) {
        values[i] = (uint32_t)base_random_u64(seed, 0, i);
        if (i % 4u != 0) { /* around the integers and halves of the target's range */
            float near = (float)(int64_t)(base_random_u64(seed, 1, i) % 140000u) - 70000.0f;
            values[i] = num_bits(near / (i % 4u == 1 ? 2.0f : i % 4u == 2 ? 256.0f : 3.0f));
        }
    }
    static const float edges[] = {0.5f,       -0.5f,      1.5f,          2.5f,           -2.5f,
                                  8388607.5f, 4194304.5f, 2147483647.0f, -2147483648.0f, 127.5f,
                                  -128.5f,    32767.5f,   -32768.5f,     3e9f,           -3e9f};
    for (uint32_t i = 0; i < BASE_COUNT(edges); i++)
        values[i] = num_bits(edges[i]);
    values[15] = 0x7FC00000u;
    values[16] = 0x7F800000u;
    values[17] = 0xFF800000u;
    uint16_t west = 0, east = (uint16_t)machine.mem_slices;
    put4(chip, west, 0, values, lanes);
    char vxm[96];
    snprintf(vxm, sizeof vxm, "nop 2\n%s\nsync", operation);
    const struct source sources[] = {
        {"mem.w0", "read 0, e0\nsync"},
        {"mem.w1", "read 0, e1\nsync"},
        {"mem.w2", "read 0, e2\nsync"},
        {"mem.w3", "read 0, e3\nsync"},
        {"vxm.0", vxm},
        {"mem.e0", "nop 12\nwrite 1, e4\nsync"},
        {"mem.e1", "nop 12\nwrite 1, e5\nsync"},
        {"mem.e2", "nop 12\nwrite 1, e6\nsync"},
        {"mem.e3", "nop 12\nwrite 1, e7\nsync"},
    };
    uint32_t count = BASE_COUNT(sources); /* of the stores, those that have a plane */
    count -= mask > 0xFFFFu ? 0u : mask > 0xFFu ? 2u : 3u;
    enum takt_status status = run_sources(&machine, sources, count, chip, &cycles, &error);
    if (status != TAKT_OK)
        fail_msg("%s", error.message);
    assert_int_equal(cycles, 14);
    for (uint32_t lane = 0; lane < lanes; lane++) {
        uint32_t got = get4(chip, east, lane) & mask;
        uint32_t want = expected(num_float(values[lane])) & mask;
        if (got != want)
            fail_msg("%s of %08x: %08x, num has %08x", operation, values[lane], got, want);
    }
    chip_destroy(chip);
}

static uint32_t to_i32(float x)
{
    return (uint32_t)num_f32_to_i32(x);
}
static uint32_t to_i16(float x)
{
    return (uint32_t)num_f32_to_i16(x);
}
static uint32_t to_i8(float x)
{
    return (uint32_t)num_f32_to_i8(x);
}

static void conversions_agree_with_num(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        check_conversion("cvt.f32.i32 e0, e4", to_i32, 0xFFFFFFFFu, seed);
        check_conversion("cvt.f32.i16 e0, e4", to_i16, 0xFFFFu, seed);
        check_conversion("cvt.f32.i8 e0, e4", to_i8, 0xFFu, seed);
    }
}

/* ---- determinism, and a chip that stopped ------------------------------------------------ */

static const struct source counting[] = {
    {"mem.w0", "notify\nnop 40\nread 0, e0\nrepeat 9, 3, 1\nsync"},
    {"mem.w1", "sync\nnop 6\nread 0, e1\nrepeat 9, 3, 1\nsync"},
    {"vxm.0", "nop 43\nmax.u8 e0, e1, e8\nrepeat 9, 3, 0\nsync"},
    {"mem.e0", "nop 53\nwrite 20, e8\nrepeat 9, 3, 1\nsync"},
};

static void fill_memory(struct chip *chip, uint32_t lanes)
{
    uint8_t word[MACHINE_LANES_MAX];
    for (uint16_t slice = 0; slice < 2; slice++)
        for (uint16_t address = 0; address < 10; address++) {
            fill_random(word, lanes, 100u + slice * 10u + address);
            chip_write_word(chip, (struct program_place){slice, address}, word);
        }
}

static void same_cycles_and_bytes_each_time(void **state)
{
    (void)state;
    struct machine machine;
    struct takt_error error;
    machine_tsp1(&machine);
    uint32_t lanes = machine_lanes(&machine);
    uint64_t first = 0;
    uint8_t words[2][10][MACHINE_LANES_MAX];
    for (uint32_t c = 0; c < 2; c++) {
        struct chip *chip;
        assert_int_equal(chip_create(&chip, &machine, &error), TAKT_OK);
        fill_memory(chip, lanes);
        for (uint32_t i = 0; i < 3; i++) {
            uint64_t cycles;
            enum takt_status status =
                run_sources(&machine, counting, BASE_COUNT(counting), chip, &cycles, &error);
            if (status != TAKT_OK)
                fail_msg("%s", error.message);
            first = first ? first : cycles;
            assert_int_equal(cycles, first);
            assert_int_equal(chip_instructions_issued(chip), 46u * (i + 1u));
        }
        for (uint16_t a = 0; a < 10; a++)
            chip_read_word(
                chip, (struct program_place){(uint16_t)machine.mem_slices, (uint16_t)(20u + a)},
                words[c][a]);
        chip_destroy(chip);
    }
    assert_int_equal(first, 53 + 27 + 2);
    for (uint32_t a = 0; a < 10; a++)
        assert_memory_equal(words[0][a], words[1][a], lanes);
}

static void a_fault_stops_the_chip(void **state)
{
    (void)state;
    struct machine machine;
    struct chip *chip;
    struct takt_error error, again;
    uint64_t cycles;
    const struct source bad[] = {{"mem.e3", "nop 7\nwrite 17, e4\nsync"}};
    const struct source good[] = {{"mem.e3", "sync"}};
    machine_tsp1(&machine);
    assert_int_equal(chip_create(&chip, &machine, &error), TAKT_OK);
    assert_int_equal(chip_last_fault(chip)->kind, CHIP_FAULT_NONE);
    assert_int_equal(run_sources(&machine, bad, 1, chip, &cycles, &error), TAKT_FAULT);
    assert_string_equal(error.message, "empty-slot fault at cycle 7, chip 0, queue mem.e3, "
                                       "`write 17, e4`: stream e4 at position 27 holds no value");
    assert_int_equal(run_sources(&machine, good, 1, chip, &cycles, &again), TAKT_FAULT);
    assert_string_equal(error.message, again.message);
    const struct chip_fault *fault = chip_last_fault(chip);
    assert_int_equal(fault->kind, CHIP_FAULT_EMPTY_SLOT);
    assert_int_equal(fault->cycle, 7);
    assert_int_equal(fault->instruction.address, 17);
    chip_destroy(chip);
}

/* Addresses and indices that the assembler would already refuse. */
static void ranges_are_checked_when_they_run(void **state)
{
    (void)state;
    static const struct {
        struct source source;
        uint64_t cycle;
    } cases[] = {
        {{"mem.e0", "read 8192, e0\nsync"}, 0},
        {{"mem.e0", "read 8190, e0\nrepeat 2, 5, 1\nsync"}, 10},
        {{"mem.e0", "read 1, e0\nrepeat 2, 5, -1\nsync"}, 10},
        {{"mem.w43", "write 65535, e0\nsync"}, 0},
        {{"mem.w43", "readwrite 0, e0, 8192, e0\nsync"}, 0},
        {{"mxm.e0.weights", "lw 20, e0\nsync"}, 0},
    };
    for (uint32_t i = 0; i < BASE_COUNT(cases); i++) {
        struct machine machine;
        struct chip *chip;
        struct takt_error error;
        uint64_t cycles;
        machine_tsp1(&machine);
        assert_int_equal(chip_create(&chip, &machine, &error), TAKT_OK);
        assert_int_equal(run_sources(&machine, &cases[i].source, 1, chip, &cycles, &error),
                         TAKT_FAULT);
        assert_int_equal(chip_last_fault(chip)->kind, CHIP_FAULT_RANGE);
        assert_int_equal(chip_last_fault(chip)->cycle, cases[i].cycle);
        chip_destroy(chip);
    }
}

static void text_that_misuses_the_machine_is_refused(void **state)
{
    (void)state;
    static const struct source cases[] = {
        {"mem.e0", "add.f32 e0, e4, e8\nsync"},
        {"vxm.0", "read 0, e0\nsync"},
        {"vxm.1", "exp.f32 e0, e4\nsync"},
        {"vxm.1", "div.f32 e0, e4, e8\nsync"},
        {"vxm.0", "copy.b32 e16, e0\nsync"},
        {"vxm.0", "copy.b32 e0, w16\nsync"},
        {"vxm.4", "add.f32 e8, e4, e8\nsync"},
        {"mem.e0", "repeat 1, 1, 1\nsync"},
        {"mem.e0", "nop 4\nrepeat 1, 1, 1\nsync"},
        {"mem.e0", "read 0, e0\nrepeat 1, 1, 1\nrepeat 1, 1, 1"},
        {"vxm.0", "copy.b32 e0, e4\nrepeat 1, 1, 1"},
        {"sxm.e.transpose0", "transpose 1, e0, e0\nrepeat 1, 1, 1"},
        {"mxm.e0.weights", "abc.i8 e0\nsync"},
        {"mxm.e0.results", "iw\nsync"},
        {"sxm.e.distribute0", "permute e0, e1, e2"},
    };
    struct machine machine;
    struct takt_error error;
    machine_tsp1(&machine);
    for (uint32_t i = 0; i < BASE_COUNT(cases); i++) {
        uint64_t cycles;
        enum takt_status status = run_sources(&machine, &cases[i], 1, NULL, &cycles, &error);
        if (status != TAKT_FORMAT)
            fail_msg("%s in %s: status %d", cases[i].lines, cases[i].queue, (int)status);
        assert_non_null(strstr(error.message, cases[i].queue));
    }
}

static void a_program_for_another_machine_is_refused(void **state)
{
    (void)state;
    struct machine machine, other;
    struct chip *chip;
    struct takt_error error;
    uint64_t cycles;
    const struct source source = {"mem.e0", "sync"};
    machine_tsp1(&machine);
    other = machine;
    other.vxm_cycles++;
    assert_int_equal(chip_create(&chip, &machine, &error), TAKT_OK);
    assert_int_equal(run_sources(&other, &source, 1, chip, &cycles, &error), TAKT_FORMAT);
    assert_int_equal(run_sources(&machine, &source, 1, chip, &cycles, &error), TAKT_OK);
    assert_int_equal(cycles, 1);
    assert_int_equal(run_sources(&machine, &source, 0, chip, &cycles, &error), TAKT_OK);
    assert_int_equal(cycles, 0);
    chip_destroy(chip);
}

/* ---- assembly tests ---------------------------------------------------------------------- */

#define ASSEMBLY_DIRECTORY "tests/asm"

static int is_assembly(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return length > 2 && strcmp(entry->d_name + length - 2, ".s") == 0;
}

static void assembly_files_hold(void **state)
{
    (void)state;
    struct dirent **entries;
    int count = scandir(ASSEMBLY_DIRECTORY, &entries, is_assembly, alphasort), bad = 0;
    assert_true(count > 0);
    for (int i = 0; i < count; i++) {
        char path[512], *report = NULL;
        bool held = false;
        struct takt_error error;
        snprintf(path, sizeof path, ASSEMBLY_DIRECTORY "/%s", entries[i]->d_name);
        free(entries[i]);
        if (takt_execute_file(path, false, &held, &report, &error) != TAKT_OK)
            print_error("%s\n", error.message);
        else if (!held)
            print_error("%s: %s", path, report);
        bad += !held;
        free(report);
    }
    free(entries);
    assert_int_equal(bad, 0);
}

/* Every row of isa.def and every kind of fault is the subject of some file. */
static void assembly_files_cover_everything(void **state)
{
    (void)state;
    struct dirent **entries;
    struct base_text all = {0};
    int count = scandir(ASSEMBLY_DIRECTORY, &entries, is_assembly, alphasort);
    assert_true(count > 0);
    for (int i = 0; i < count; i++) {
        char path[512];
        struct base_file file = {0};
        snprintf(path, sizeof path, ASSEMBLY_DIRECTORY "/%s", entries[i]->d_name);
        free(entries[i]);
        assert_int_equal(base_file_map(&file, path, NULL), TAKT_OK);
        base_text_append(&all, "\n", 1);
        base_text_append(&all, (const char *)file.data, file.size_bytes);
        base_file_unmap(&file);
    }
    free(entries);
    for (uint32_t op = 0; op < ISA_OP_COUNT; op++) {
        const struct isa_op_info *info = isa_op_info((enum isa_op)op);
        char wanted[64];
        snprintf(wanted, sizeof wanted, "\n%s%c", info->mnemonic,
                 info->fields[0] == ISA_FIELD_NONE ? '\n' : ' ');
        if (!strstr(all.data, wanted))
            fail_msg("no file of " ASSEMBLY_DIRECTORY " uses %s", info->mnemonic);
    }
    for (int kind = CHIP_FAULT_NONE + 1; kind <= (int)CHIP_FAULT_DEADLOCK; kind++) {
        char wanted[64];
        snprintf(wanted, sizeof wanted, "\n.expect fault %s cycle ",
                 chip_fault_name((enum chip_fault_kind)kind));
        if (!strstr(all.data, wanted))
            fail_msg("no file of " ASSEMBLY_DIRECTORY " expects: %s", wanted + 1);
    }
    base_text_free(&all);
}

/* ---- mutations: a wrong schedule must fault or give other values ------------------------- */

/* Runs assembly text without its cycle counts; true when its other expectations hold. */
static bool text_holds(const char *text)
{
    char path[] = "/tmp/takt-mutation-XXXXXX", *report = NULL;
    struct takt_error error;
    bool held = false;
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    FILE *file = fdopen(descriptor, "w");
    assert_non_null(file);
    for (const char *line = text; *line;) {
        size_t length = strcspn(line, "\n");
        length += line[length] == '\n';
        if (strncmp(line, ".expect cycles", 14) != 0)
            fwrite(line, 1, length, file);
        line += length;
    }
    assert_int_equal(fclose(file), 0);
    enum takt_status status = takt_execute_file(path, false, &held, &report, &error);
    remove(path);
    free(report);
    if (status != TAKT_OK)
        fail_msg("%s", error.message);
    return held;
}

/* The text with bytes [at, at + old) replaced. */
static bool holds_with(const struct base_text *text, size_t at, size_t old, const char *replacement)
{
    struct base_text changed = {0};
    base_text_append(&changed, text->data, at);
    base_text_append(&changed, replacement, strlen(replacement));
    base_text_append(&changed, text->data + at + old, text->length - at - old);
    bool held = text_holds(changed.data);
    base_text_free(&changed);
    return held;
}

/* Mutates the line at `at`: a queue issues one cycle later, a wait is one shorter, a read goes to
 * the neighbouring stream or word. Returns how many mutations there were; all must be noticed. */
static uint32_t mutate_line(const char *path, const struct base_text *text, size_t at,
                            size_t length, bool addresses)
{
    char line[128], changed[2][160];
    uint32_t count = 0;
    unsigned first, second;
    char direction;
    if (length >= sizeof line)
        return 0;
    memcpy(line, text->data + at, length);
    line[length] = '\0';
    if (strncmp(line, ".queue ", 7) == 0) {
        snprintf(changed[count++], sizeof changed[0], "%s\nnop 1", line);
    } else if (sscanf(line, "nop %u", &first) == 1 && first > 1) {
        snprintf(changed[count++], sizeof changed[0], "nop %u", first - 1u);
    } else if (sscanf(line, "read %u, %c%u", &first, &direction, &second) == 3) {
        snprintf(changed[count++], sizeof changed[0], "read %u, %c%u", first, direction,
                 second ^ 1u);
        if (addresses)
            snprintf(changed[count++], sizeof changed[0], "read %u, %c%u", first + 50u, direction,
                     second);
    }
    for (uint32_t i = 0; i < count; i++)
        if (holds_with(text, at, length, changed[i]))
            fail_msg("%s: `%s` in place of `%s` goes unnoticed", path, changed[i], line);
    return count;
}

static void every_mutation_is_noticed(void **state)
{
    (void)state;
    /* addresses: every vector that the file reads matters to its results (a row that meets a zero
     * activation does not, nor does a low byte that is rounded away). */
    static const struct {
        const char *name;
        bool addresses;
    } files[] = {
        {"add_f32", true},   {"chain", false},     {"chain_west", false}, {"fmai_f32", false},
        {"mul_i16", true},   {"read", true},       {"write", true},       {"readwrite", true},
        {"gather", true},    {"scatter", true},    {"abc_i8", false},     {"acc", true},
        {"lw", true},        {"iw", true},         {"acc_repeat", true},  {"permute", false},
        {"transpose", true}, {"distribute", true}, {"hemisphere", true},  {"overwrite", true},
    };
    uint32_t mutations = 0;
    for (uint32_t i = 0; i < BASE_COUNT(files); i++) {
        char path[128];
        struct base_file file = {0};
        struct base_text text = {0};
        snprintf(path, sizeof path, ASSEMBLY_DIRECTORY "/%s.s", files[i].name);
        assert_int_equal(base_file_map(&file, path, NULL), TAKT_OK);
        base_text_append(&text, (const char *)file.data, file.size_bytes);
        base_file_unmap(&file);
        assert_true(text_holds(text.data));
        for (size_t at = 0; at < text.length;) {
            size_t length = strcspn(text.data + at, "\n");
            mutations += mutate_line(path, &text, at, length, files[i].addresses);
            at += length + 1u;
        }
        base_text_free(&text);
    }
    assert_true(mutations > 500);
}

TEST_GROUP(chip, cmocka_unit_test(conversions_agree_with_num),
           cmocka_unit_test(same_cycles_and_bytes_each_time),
           cmocka_unit_test(a_fault_stops_the_chip),
           cmocka_unit_test(ranges_are_checked_when_they_run),
           cmocka_unit_test(text_that_misuses_the_machine_is_refused),
           cmocka_unit_test(a_program_for_another_machine_is_refused),
           cmocka_unit_test(assembly_files_hold), cmocka_unit_test(assembly_files_cover_everything),
           cmocka_unit_test(every_mutation_is_noticed));
