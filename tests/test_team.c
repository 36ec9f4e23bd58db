/* Runs kept and threads that share the lanes: whatever a chip that does a text again from its trace
 * leaves behind, a chip that times every run leaves too, with any number of threads. */
#include "tests.h"

#include "chip/internal.h"
#include "gguf_writer.h"
#include "program/assembly.h"
#include "run/run.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RUNS 5u
#define WORDS 256u /* of each slice that are compared */

/* ---- assembly programs ----------------------------------------------------------------------- */

struct loaded {
    struct base_arena arena;
    struct program_assembly assembly;
};

static void load_text(struct loaded *loaded, const char *path, const char *source, size_t length)
{
    struct takt_error error;
    memset(loaded, 0, sizeof *loaded);
    if (base_arena_create(&loaded->arena, (size_t)1 << 30, &error) != TAKT_OK ||
        program_assemble(path, source, length, &loaded->arena, &loaded->assembly, &error) !=
            TAKT_OK)
        fail_msg("%s", error.message);
}

static void load(struct loaded *loaded, const char *path)
{
    struct base_file file;
    struct takt_error error;
    if (base_file_map(&file, path, &error) != TAKT_OK)
        fail_msg("%s", error.message);
    load_text(loaded, path, (const char *)file.data, file.size_bytes);
    base_file_unmap(&file);
}

static struct chip *make(const struct loaded *loaded, uint32_t threads)
{
    struct chip *chip;
    assert_int_equal(chip_create(&chip, &loaded->assembly.program.machine, NULL), TAKT_OK);
    assert_int_equal(chip_set_threads(chip, threads, NULL), TAKT_OK);
    chip_load_image(chip, &loaded->assembly.image);
    for (uint32_t i = 0; i < loaded->assembly.cable_count; i++) {
        const struct program_cable *cable = &loaded->assembly.cables[i];
        assert_int_equal(chip_connect(chip, cable->a, chip, cable->b, NULL), TAKT_OK);
    }
    for (uint32_t i = 0; i < loaded->assembly.upset_count; i++) {
        const struct program_upset *upset = &loaded->assembly.upsets[i];
        assert_int_equal(chip_upset(chip, upset->place, upset->superlane, upset->bit, NULL),
                         TAKT_OK);
    }
    return chip;
}

static struct chip_text *text_of(const struct loaded *loaded)
{
    struct chip_text *text;
    struct takt_error error;
    if (chip_text_create(&text, &loaded->assembly.program, &error) != TAKT_OK)
        fail_msg("%s", error.message);
    return text;
}

static void assert_same_memory(const struct machine *machine, const struct chip *a,
                               const struct chip *b, const char *path)
{
    uint8_t x[MACHINE_LANES_MAX], y[MACHINE_LANES_MAX];
    for (uint32_t slice = 0; slice < 2u * machine->mem_slices; slice++) {
        for (uint32_t address = 0; address < BASE_MIN(WORDS, machine->mem_words); address++) {
            const struct program_place place = {(uint16_t)slice, (uint16_t)address};
            chip_read_word(a, place, x);
            chip_read_word(b, place, y);
            if (memcmp(x, y, machine_lanes(machine)) != 0)
                fail_msg("%s: slice %u, word %u differs", path, slice, address);
        }
    }
}

/* One run on each; a text of its own makes `timed` time it. */
static enum takt_status run_both(const struct loaded *loaded, struct chip *timed,
                                 struct chip *again, const struct chip_text *text, const char *path)
{
    struct chip_text *fresh = text_of(loaded);
    struct takt_error errors[2] = {{TAKT_OK, ""}, {TAKT_OK, ""}};
    uint64_t cycles[2];
    const enum takt_status status = chip_run(timed, fresh, &cycles[0], &errors[0]);
    assert_int_equal(chip_run(again, text, &cycles[1], &errors[1]), status);
    assert_string_equal(errors[0].message, errors[1].message);
    assert_int_equal(cycles[0], cycles[1]);
    for (uint32_t q = 0; status == TAKT_OK && q < loaded->assembly.program.queue_count; q++)
        assert_int_equal(chip_queue_issued(timed, q), chip_queue_issued(again, q));
    if (status == TAKT_OK) {
        assert_int_equal(chip_instructions_issued(timed), chip_instructions_issued(again));
        assert_int_equal(chip_errors_corrected(timed), chip_errors_corrected(again));
        assert_same_memory(&loaded->assembly.program.machine, timed, again, path);
    }
    chip_text_destroy(fresh);
    return status;
}

static void check_program(const char *path, uint32_t threads)
{
    struct loaded loaded;
    load(&loaded, path);
    if (program_check(&loaded.assembly.program, NULL) == TAKT_OK) {
        struct chip *timed = make(&loaded, 1), *again = make(&loaded, threads);
        struct chip_text *text = text_of(&loaded);
        chip_load_text(timed, text);
        chip_load_text(again, text);
        for (uint32_t run = 0; run < RUNS; run++)
            (void)run_both(&loaded, timed, again, text, path);
        chip_text_destroy(text);
        chip_destroy(timed);
        chip_destroy(again);
    }
    base_arena_destroy(&loaded.arena);
}

static void every_program_again(void **state)
{
    (void)state;
    DIR *folder = opendir("tests/asm");
    assert_non_null(folder);
    uint32_t count = 0;
    for (const struct dirent *entry; (entry = readdir(folder));) {
        char path[320];
        const size_t length = strlen(entry->d_name);
        if (length < 3 || strcmp(entry->d_name + length - 2, ".s") != 0)
            continue;
        snprintf(path, sizeof path, "tests/asm/%s", entry->d_name);
        check_program(path, 1u + count++ % 4u);
    }
    closedir(folder);
    assert_true(count > 100);
}

/* ---- faults of data -------------------------------------------------------------------------- */

/* A map that was right in the runs before gets a wrong entry in one lane. */
static void check_wrong_map(uint32_t threads, uint32_t lane, const char *file, const char *queue,
                            uint32_t runs)
{
    struct loaded loaded;
    uint32_t index;
    load(&loaded, file);
    const struct machine *machine = &loaded.assembly.program.machine;
    assert_true(machine_queue_find(machine, queue, &index));
    const struct machine_queue unit = machine_queue(machine, index);
    const struct program_place place = {
        (uint16_t)(unit.hemisphere * machine->mem_slices + unit.index), 0};
    struct chip *timed = make(&loaded, 1), *again = make(&loaded, threads);
    struct chip_text *text = text_of(&loaded);
    for (uint32_t run = 0; run < runs; run++)
        assert_int_equal(run_both(&loaded, timed, again, text, file), TAKT_OK);
    uint8_t word[MACHINE_LANES_MAX];
    chip_read_word(timed, place, word);
    word[lane] = 0xF0; /* no lane, and no place in a superlane */
    chip_write_word(timed, place, word);
    chip_write_word(again, place, word);
    assert_int_equal(run_both(&loaded, timed, again, text, file), TAKT_FAULT);
    assert_int_equal(chip_last_fault(timed)->kind, chip_last_fault(again)->kind);
    assert_int_equal(chip_last_fault(timed)->cycle, chip_last_fault(again)->cycle);
    assert_int_equal(chip_last_fault(timed)->queue, chip_last_fault(again)->queue);
    chip_text_destroy(text);
    chip_destroy(timed);
    chip_destroy(again);
    base_arena_destroy(&loaded.arena);
}

static void wrong_maps(void **state)
{
    (void)state;
    for (uint32_t threads = 1; threads <= 3; threads++) {
        for (uint32_t lane = 0; lane < 48; lane += 13) {
            check_wrong_map(threads, lane, "tests/asm/permute.s", "mem.e41", 1);
            check_wrong_map(threads, lane, "tests/asm/permute.s", "mem.e41", 4);
        }
    }
}

/* ---- text that a program changes ------------------------------------------------------------- */

/*
 * The text of mem.e0 is two blocks; the second comes from words 10 and 11 of mem.e4, where a
 * Scatter may put something before, as its map says. mem.e0's reads give words of its own, which
 * are stored.
 */
static void write_fetching(struct base_text *out)
{
    base_text_format(out, ".machine superlanes = 2\n.machine icu_buffer_blocks = 2\n"
                          ".text mem.e0 mem.e4 10\n");
    for (uint32_t i = 0; i < 28; i++)
        base_text_format(out, ".data mem.e0 %u fill %u\n", i, i + 1);
    base_text_format(out, ".queue mem.e0\nnop 22\nifetch w9\n");
    for (uint32_t i = 0; i < 28; i++)
        base_text_format(out, "read %u, e0\n", i);
    base_text_format(out, "sync\n.queue mem.w8\nread 0, e20\nsync\n"
                          ".queue mem.w9\nread 0, e21\nsync\n"
                          ".queue mem.e4\nnop 14\nscatter 4, e20, e21\nnop 5\nread 10, w9\n"
                          "read 11, w9\nsync\n"
                          ".queue mem.e8\nnop 27\nwrite 0, e0\nrepeat 27, 1, 1\nsync\n");
}

static struct program_place place_of(const struct machine *machine, uint32_t hemisphere,
                                     uint32_t slice, uint32_t address)
{
    return (struct program_place){(uint16_t)(hemisphere * machine->mem_slices + slice),
                                  (uint16_t)address};
}

/* Where the map sends the vector: nowhere, or `offset` words beyond the Scatter's address. */
static void set_map(struct chip *chip, const struct machine *machine, uint32_t offset)
{
    uint8_t map[MACHINE_LANES_MAX] = {0};
    for (uint32_t k = 0; k < 2; k++) {
        map[16 * k] = (uint8_t)offset;
        map[16 * k + 1] = (uint8_t)(offset >> 8);
    }
    chip_write_word(chip, place_of(machine, MACHINE_WEST, 9, 0), map);
}

static void check_changed_text(uint32_t threads, uint32_t offset, uint8_t changed,
                               enum takt_status expected)
{
    struct loaded loaded;
    struct base_text source = {0};
    write_fetching(&source);
    load_text(&loaded, "fetching", source.data, source.length);
    base_text_free(&source);
    const struct machine *machine = &loaded.assembly.program.machine;
    struct chip *chips[2] = {make(&loaded, 1), make(&loaded, threads)};
    struct chip_text *text = text_of(&loaded);
    uint8_t word[MACHINE_LANES_MAX], stored[2][MACHINE_LANES_MAX];
    for (uint32_t c = 0; c < 2; c++) {
        chip_load_text(chips[c], text);
        set_map(chips[c], machine, ISA_SKIP);
        chip_read_word(chips[c], place_of(machine, MACHINE_EAST, 4, 10), word);
        word[2] = changed; /* the address of the sixteenth read, which begins a byte before */
        chip_write_word(chips[c], place_of(machine, MACHINE_WEST, 8, 0), word);
    }
    for (uint32_t run = 0; run < 4; run++)
        assert_int_equal(run_both(&loaded, chips[0], chips[1], text, "fetching"), TAKT_OK);
    chip_read_word(chips[1], place_of(machine, MACHINE_EAST, 8, 15), stored[0]);
    for (uint32_t c = 0; c < 2; c++)
        set_map(chips[c], machine, offset);
    for (uint32_t run = 0; run < 2; run++)
        assert_int_equal(run_both(&loaded, chips[0], chips[1], text, "fetching"), expected);
    chip_read_word(chips[1], place_of(machine, MACHINE_EAST, 8, 15), stored[1]);
    if (expected == TAKT_OK && offset == 6) { /* the program ran what it had put there */
        assert_int_equal(stored[0][0], 16);
        assert_int_equal(stored[1][0], changed + 1);
    }
    chip_text_destroy(text);
    chip_destroy(chips[0]);
    chip_destroy(chips[1]);
    base_arena_destroy(&loaded.arena);
}

static void changed_text(void **state)
{
    (void)state;
    for (uint32_t threads = 1; threads <= 2; threads++) {
        check_changed_text(threads, 6, 3, TAKT_OK);       /* other text */
        check_changed_text(threads, 6, 15, TAKT_OK);      /* the same text again */
        check_changed_text(threads, 5, 3, TAKT_OK);       /* beside it */
        check_changed_text(threads, 9000, 3, TAKT_FAULT); /* beyond the slice */
    }
}

/* ---- a model --------------------------------------------------------------------------------- */

static const struct gguf_random shape = {.seed = 41,
                                         .layers = 2,
                                         .width = 72,
                                         .heads = 6,
                                         .kv_heads = 2,
                                         .head_dim = 14,
                                         .ffn = 101,
                                         .vocab = 300,
                                         .context = 512};

static void digest_of(const char *path, uint32_t threads, char digest[65])
{
    const struct takt_engine_options options = {.model_path = path,
                                                .target = TAKT_TARGET_CHIP,
                                                .context = 320,
                                                .chunk = 8,
                                                .threads = threads};
    struct takt_engine *engine;
    struct takt_session *session;
    struct takt_error error;
    if (takt_engine_open(&engine, &options, &error) != TAKT_OK ||
        takt_session_open(&session, engine, &error) != TAKT_OK)
        fail_msg("%s", error.message);
    struct base_digest *sum = base_digest_create();
    float *logits = calloc(8u * shape.vocab, sizeof *logits);
    uint32_t tokens[8];
    for (uint32_t step = 0; step < 16; step++) {
        const uint32_t count = step < 8 ? 8 : 1; /* eight chunks, eight tokens */
        for (uint32_t i = 0; i < count; i++)
            tokens[i] = (uint32_t)(base_random_u64(9, step, i) % shape.vocab);
        if (takt_session_extend(session, tokens, count, NULL, logits, &error) != TAKT_OK)
            fail_msg("%u threads, step %u: %s", threads, step, error.message);
        base_digest_update(sum, logits, count * shape.vocab * sizeof *logits);
    }
    base_digest_hex(sum, digest);
    /* What is compared is not run timed: both programs' runs could be kept. */
    const struct compile_step steps[2] = {{1, 320, false, 0, 1}, {8, 320, true, 0, 1}};
    for (size_t i = 0; i < BASE_COUNT(steps); i++) {
        const struct run_program *program;
        assert_int_equal(run_programs_get(engine, &steps[i], &program, &error), TAKT_OK);
        assert_non_null(program->text->history->trace);
    }
    base_digest_destroy(sum);
    free(logits);
    takt_session_close(session);
    takt_engine_close(engine);
}

static void a_model_with_any_number(void **state)
{
    (void)state;
    char path[] = "/tmp/takt-team-XXXXXX", first[65], other[65];
    const int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    assert_true(gguf_write_random(path, &shape));
    digest_of(path, 1, first);
    static const uint32_t threads[] = {2, 3, 7, 20};
    for (size_t i = 0; i < BASE_COUNT(threads); i++) {
        digest_of(path, threads[i], other);
        assert_string_equal(first, other);
    }
    unlink(path);
}

TEST_GROUP(team, cmocka_unit_test(every_program_again), cmocka_unit_test(wrong_maps),
           cmocka_unit_test(changed_text), cmocka_unit_test(a_model_with_any_number));
