/*
 * The machine without values: the same cycles and the same faults as with them, in everything that
 * does not read data.
 */
#include "tests.h"

#include "chip/chip.h"
#include "program/assembly.h"
#include "run/run.h"
#include "scene.h"
#include "takt.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASSEMBLY_DIRECTORY "tests/asm"

/* What a run came to. */
struct run {
    enum takt_status status;
    uint64_t cycles, issued;
    struct chip_fault fault;
};

static struct run run_program_once(const struct program *program, const struct program_image *image,
                                   bool check_only)
{
    struct run run = {0};
    struct chip *chip = NULL;
    struct chip_text *text = NULL;
    struct takt_error error;
    run.status = check_only ? chip_create_check_only(&chip, &program->machine, &error)
                            : chip_create(&chip, &program->machine, &error);
    assert_int_equal(run.status, TAKT_OK);
    chip_load_image(chip, image);
    run.status = chip_text_create(&text, program, &error);
    if (run.status == TAKT_OK)
        chip_load_text(chip, text);
    if (run.status == TAKT_OK)
        run.status = chip_run(chip, text, &run.cycles, &error);
    run.fault = *chip_last_fault(chip);
    run.issued = chip_instructions_issued(chip);
    chip_text_destroy(text);
    chip_destroy(chip);
    return run;
}

/* Faults that only values bring about: map entries. */
static bool depends_on_values(const struct chip_fault *fault)
{
    if (fault->kind == CHIP_FAULT_ILLEGAL)
        return true;
    switch ((enum isa_op)fault->instruction.op) {
    case ISA_GATHER:
    case ISA_SCATTER:
    case ISA_PERMUTE:
    case ISA_DISTRIBUTE:
    case ISA_SELECT: return fault->kind == CHIP_FAULT_RANGE;
    default: return false;
    }
}

/* NULL, or what differs. */
static const char *compare(const struct run *full, const struct run *check)
{
    if (full->status != check->status)
        return "another outcome";
    if (full->cycles != check->cycles)
        return "other cycles";
    if (full->issued != check->issued)
        return "other instructions";
    if (full->fault.kind != check->fault.kind || full->fault.cycle != check->fault.cycle ||
        full->fault.queue != check->fault.queue ||
        strcmp(full->fault.reason, check->fault.reason) != 0)
        return "another fault";
    return NULL;
}

static int is_assembly(const struct dirent *entry)
{
    const char *end = strrchr(entry->d_name, '.');
    return end && strcmp(end, ".s") == 0;
}

static void assembly_files_end_the_same(void **state)
{
    (void)state;
    struct dirent **entries;
    int count = scandir(ASSEMBLY_DIRECTORY, &entries, is_assembly, alphasort);
    uint32_t bad = 0, of_values = 0, faults = 0;
    assert_true(count > 0);
    for (int i = 0; i < count; i++) {
        char path[512];
        struct base_file file = {0};
        struct base_arena arena = {0};
        struct program_assembly assembly;
        struct takt_error error;
        memset(&assembly, 0, sizeof assembly);
        snprintf(path, sizeof path, ASSEMBLY_DIRECTORY "/%s", entries[i]->d_name);
        free(entries[i]);
        assert_int_equal(base_file_map(&file, path, NULL), TAKT_OK);
        assert_int_equal(base_arena_create(&arena, (size_t)256 << 20, NULL), TAKT_OK);
        if (program_assemble(path, (const char *)file.data, file.size_bytes, &arena, &assembly,
                             &error) != TAKT_OK)
            fail_msg("%s", error.message);
        struct run full = run_program_once(&assembly.program, &assembly.image, false);
        struct run check = run_program_once(&assembly.program, &assembly.image, true);
        const char *why = compare(&full, &check);
        if (strstr(path, "/ifetch_other.s")) { /* it executes what only memory holds */
            assert_non_null(why);
            why = NULL;
        }
        faults += full.status == TAKT_FAULT;
        if (depends_on_values(&full.fault)) {
            of_values++;
            why = check.status == TAKT_OK ? NULL : "a fault of values without values";
        }
        if (why)
            print_error("%s: %s\n", path, why);
        bad += why != NULL;
        base_arena_destroy(&arena);
        base_file_unmap(&file);
    }
    free(entries);
    assert_int_equal(bad, 0);
    assert_true(faults > 15 && of_values >= 4); /* both kinds were there */
}

static void memory_reads_as_zero(void **state)
{
    (void)state;
    struct machine machine;
    struct chip *chip;
    uint8_t word[MACHINE_LANES_MAX], zeros[MACHINE_LANES_MAX] = {0};
    const struct program_place place = {3, 5};
    machine_tsp1(&machine);
    assert_int_equal(chip_create_check_only(&chip, &machine, NULL), TAKT_OK);
    memset(word, 7, sizeof word);
    chip_write_word(chip, place, word);
    chip_read_word(chip, place, word);
    assert_memory_equal(word, zeros, machine_lanes(&machine));
    chip_destroy(chip);
}

/* `takt exec --check-only` judges cycles and faults, and says what it leaves out. */
static void exec_leaves_memory_out(void **state)
{
    (void)state;
    char *report = NULL;
    bool held = false;
    struct takt_error error;
    const char *path = ASSEMBLY_DIRECTORY "/acc.s";
    assert_int_equal(takt_execute_file(path, true, &held, &report, &error), TAKT_OK);
    assert_true(held);
    assert_non_null(strstr(report, "1 expectations hold, 8 of memory not judged"));
    free(report);
    path = ASSEMBLY_DIRECTORY "/fault_bank_conflict.s";
    assert_int_equal(takt_execute_file(path, true, &held, &report, &error), TAKT_OK);
    assert_true(held);
    free(report);
    path = ASSEMBLY_DIRECTORY "/fault_range_permute.s"; /* the fault it expects is of values */
    assert_int_equal(takt_execute_file(path, true, &held, &report, &error), TAKT_OK);
    assert_false(held);
    free(report);
}

/* The bundled model's programs, without its weights. */
static void compiled_programs_take_their_cycles(void **state)
{
    (void)state;
    const struct takt_engine_options options = {
        .model_path = "models/fable/fable-q8_0.gguf", .context = 512, .chunk = 16};
    struct takt_engine *engine;
    struct takt_error error = {0};
    if (takt_engine_open(&engine, &options, &error) != TAKT_OK)
        fail_msg("%s", error.message);
    for (uint32_t chunk = 1; chunk <= 16; chunk += 15) {
        const struct run_program *program = NULL;
        const struct program_image none = {0, NULL};
        const struct compile_step step = {chunk, 320, false, 0, 1};
        if (run_programs_get(engine, &step, &program, &error) != TAKT_OK)
            fail_msg("%s", error.message);
        struct run run = run_program_once(program->program, &none, true);
        if (run.status != TAKT_OK)
            fail_msg("%s", run.fault.reason);
        assert_int_equal(run.cycles, program->program->cycles);
    }
    takt_engine_close(engine);
}

/* Changed programs of a small model: where values do not decide, the same fault in the same cycle.
 */
static void mutants_fault_the_same(void **state)
{
    (void)state;
    enum { MUTANTS = 250 };
    const struct look look = {"decode", 1, 14, 3, 1};
    struct world world;
    struct scene scene;
    struct mutation_source source;
    uint32_t faults = 0, ends = 0;
    world_open(&world);
    scene_open(&scene, &world, &look);
    mutation_source_create(&source, scene.program->program);
    for (uint64_t i = 0; i < MUTANTS; i++) {
        struct mutant mutant;
        enum chip_fault_kind kind;
        const struct program_image none = {0, NULL};
        mutant_create(&mutant, &source, 77, i);
        const enum verdict verdict = scene_judge(&world, &scene, &mutant, &kind);
        const struct chip_fault *full = chip_last_fault(scene.session->chip);
        if (verdict != REFUSED && !depends_on_values(full) &&
            !chip_fetched_other_text(scene.session->chip)) {
            struct run run = run_program_once(&mutant.program, &none, true);
            faults += kind != CHIP_FAULT_NONE;
            ends += kind == CHIP_FAULT_NONE;
            if (run.fault.kind != kind)
                fail_msg("mutant %llu (%s): %s, with values %s", (unsigned long long)i,
                         mutant.mutation.text, run.fault.reason, full->reason);
            if (kind != CHIP_FAULT_NONE) {
                assert_int_equal(run.fault.cycle, full->cycle);
                assert_int_equal(run.fault.queue, full->queue);
            }
        }
        mutant_free(&mutant);
    }
    mutation_source_free(&source);
    scene_close(&scene);
    world_close(&world);
    assert_true(faults > 50 && ends > 20);
}

TEST_GROUP(check_only, cmocka_unit_test(assembly_files_end_the_same),
           cmocka_unit_test(memory_reads_as_zero), cmocka_unit_test(exec_leaves_memory_out),
           cmocka_unit_test(compiled_programs_take_their_cycles),
           cmocka_unit_test(mutants_fault_the_same));
