/* Part two of takt.h: programs as files, assembled, disassembled, executed; the manuals. */
#include "chip/chip.h"
#include "program/assembly.h"
#include "program/program.h"
#include "run/run.h"
#include "takt.h"

#include <stdlib.h>
#include <string.h>

/* What a base_text holds, as malloc'ed text the caller owns; "" when nothing was appended. */
static char *take_text(struct base_text *text)
{
    base_text_append(text, "", 0);
    char *data = text->data;
    return data ? data : calloc(1, 1);
}

/* ---- manuals --------------------------------------------------------------------------------- */

char *takt_isa_manual(void)
{
    struct base_text text = {0};
    isa_manual(&text);
    return take_text(&text);
}

char *takt_machine_manual(void)
{
    struct base_text text = {0};
    machine_manual(&text);
    return take_text(&text);
}

enum takt_status takt_machine_describe(const char *machine_path, char **text,
                                       struct takt_error *error)
{
    *text = NULL;
    struct machine machine;
    machine_tsp1(&machine);
    if (machine_path) {
        const enum takt_status status = machine_read(&machine, machine_path, error);
        if (status != TAKT_OK) {
            return status;
        }
    }
    struct base_text out = {0};
    char hash[17];
    machine_hash(&machine, hash);
    base_text_format(&out, "# %u lanes, %u stream positions, %u queues; parameters %s\n",
                     machine_lanes(&machine), machine_positions(&machine),
                     machine_queue_count(&machine), hash);
    machine_write(&machine, &out);
    *text = take_text(&out);
    return TAKT_OK;
}

/* ---- assembly files -------------------------------------------------------------------------- */

/* A bound on what assembling `length` bytes takes: a line names up to four words of 1024 lanes and
 * is ten bytes or more. Only what is used becomes memory. */
static size_t assembly_arena_bytes(size_t length)
{
    return ((size_t)64 << 20) + length * 1024u;
}

static enum takt_status assemble(const char *path, struct base_arena *arena,
                                 struct program_assembly *assembly, struct takt_error *error)
{
    struct base_file file = {0};
    enum takt_status status = base_file_map(&file, path, error);
    if (status != TAKT_OK) {
        return status;
    }
    status = base_arena_create(arena, assembly_arena_bytes(file.size_bytes), error);
    if (status == TAKT_OK) {
        memset(assembly, 0, sizeof *assembly);
        const char *source = file.size_bytes > 0 ? (const char *)file.data : "";
        status = program_assemble(path, source, file.size_bytes, arena, assembly, error);
    }
    base_file_unmap(&file);
    return status;
}

enum takt_status run_program_load(const char *path, struct base_arena *arena,
                                  struct program *program, struct takt_error *error)
{
    struct base_file file = {0};
    enum takt_status status = base_file_map(&file, path, error);
    if (status != TAKT_OK) {
        return status;
    }
    const bool binary = program_is_file(file.data, file.size_bytes);
    const size_t bytes = ((size_t)64 << 20) + file.size_bytes * 16u;
    base_file_unmap(&file);
    if (binary) {
        struct program_image image;
        status = base_arena_create(arena, bytes, error);
        return status == TAKT_OK ? program_read(path, arena, program, &image, error) : status;
    }
    struct program_assembly assembly;
    status = assemble(path, arena, &assembly, error);
    *program = assembly.program;
    return status == TAKT_OK ? program_check(program, error) : status;
}

enum takt_status takt_assemble_file(const char *source_path, const char *output_path,
                                    struct takt_error *error)
{
    struct base_arena arena = {0};
    struct program_assembly assembly;
    enum takt_status status = assemble(source_path, &arena, &assembly, error);
    if (status == TAKT_OK) {
        status = program_check(&assembly.program, error);
    }
    if (status == TAKT_OK) {
        status = program_write(&assembly.program, &assembly.image, output_path, error);
    }
    base_arena_destroy(&arena);
    return status;
}

enum takt_status takt_disassemble_file(const char *program_path, char **text,
                                       struct takt_error *error)
{
    *text = NULL;
    struct base_arena arena = {0};
    struct base_file file = {0};
    enum takt_status status = base_file_map(&file, program_path, error);
    if (status != TAKT_OK) {
        return status;
    }
    const size_t bytes = ((size_t)64 << 20) + file.size_bytes * 16u;
    base_file_unmap(&file);
    status = base_arena_create(&arena, bytes, error);
    if (status != TAKT_OK) {
        return status;
    }
    struct program program = {0};
    struct program_image image = {0};
    status = program_read(program_path, &arena, &program, &image, error);
    if (status == TAKT_OK) {
        struct base_text out = {0};
        program_disassemble(&program, &image, &out);
        *text = take_text(&out);
    }
    base_arena_destroy(&arena);
    return status;
}

/* ---- execution ------------------------------------------------------------------------------- */

/* What a run came to: the machine's state, and either cycles or a fault. */
struct outcome {
    const struct chip *chip;
    bool check_only; /* memory holds nothing to judge */
    const struct machine *machine;
    uint64_t cycles;
    const struct chip_fault *fault; /* kind NONE when the program ended */
};

static bool check_fault(const struct outcome *outcome, const struct program_expectation *expected,
                        struct base_text *why)
{
    const struct chip_fault *fault = outcome->fault;
    char name[32];
    if (strcmp(chip_fault_name(fault->kind), expected->fault) != 0) {
        base_text_format(why, "expected a %s fault", expected->fault);
        return false;
    }
    if (expected->has_cycle && fault->cycle != expected->fault_cycle) {
        base_text_format(why, "expected the fault at cycle %llu",
                         (unsigned long long)expected->fault_cycle);
        return false;
    }
    if (expected->has_queue && fault->queue != expected->fault_queue) {
        machine_queue_name(outcome->machine, expected->fault_queue, name);
        base_text_format(why, "expected the fault in queue %s", name);
        return false;
    }
    return true;
}

static bool check_memory(const struct outcome *outcome, const struct program_expectation *expected,
                         struct base_text *why)
{
    uint8_t word[MACHINE_LANES_MAX];
    const struct machine *machine = outcome->machine;
    chip_read_word(outcome->chip, expected->place, word);
    for (uint32_t lane = 0; lane < machine_lanes(machine); lane++) {
        if (word[lane] == expected->bytes[lane]) {
            continue;
        }
        const bool east = expected->place.slice >= machine->mem_slices;
        base_text_format(why, "mem.%c%u word %u lane %u is %u, expected %u", east ? 'e' : 'w',
                         expected->place.slice - (east ? machine->mem_slices : 0),
                         (unsigned)expected->place.address, lane, (unsigned)word[lane],
                         (unsigned)expected->bytes[lane]);
        return false;
    }
    return true;
}

static bool check_expectation(const struct outcome *outcome,
                              const struct program_expectation *expected, struct base_text *why)
{
    switch (expected->kind) {
    case PROGRAM_EXPECT_MEMORY: return check_memory(outcome, expected, why);
    case PROGRAM_EXPECT_CYCLES:
        if (outcome->fault->kind == CHIP_FAULT_NONE && outcome->cycles == expected->cycles) {
            return true;
        }
        base_text_format(why, "expected %llu cycles", (unsigned long long)expected->cycles);
        return false;
    case PROGRAM_EXPECT_FAULT: return check_fault(outcome, expected, why);
    case PROGRAM_EXPECT_CORRECTED:
        if (chip_errors_corrected(outcome->chip) == expected->corrected) {
            return true;
        }
        base_text_format(why, "%llu bits were put right, expected %llu",
                         (unsigned long long)chip_errors_corrected(outcome->chip),
                         (unsigned long long)expected->corrected);
        return false;
    }
    return false;
}

/* Reports the first expectation that does not hold; a fault that none expects is one too. */
static bool check_all(const struct program_assembly *assembly, const char *path,
                      const struct outcome *outcome, struct base_text *report)
{
    bool fault_expected = false;
    uint32_t left_out = 0;
    for (uint32_t i = 0; i < assembly->expectation_count; i++) {
        const struct program_expectation *expected = &assembly->expectations[i];
        struct base_text why = {0};
        fault_expected = fault_expected || expected->kind == PROGRAM_EXPECT_FAULT;
        if (outcome->check_only && (expected->kind == PROGRAM_EXPECT_MEMORY ||
                                    expected->kind == PROGRAM_EXPECT_CORRECTED)) {
            left_out++;
            continue;
        }
        const bool holds = check_expectation(outcome, expected, &why);
        if (!holds) {
            base_text_format(report, "%s:%u: %s\n", path, expected->line,
                             why.data ? why.data : "does not hold");
        }
        base_text_free(&why);
        if (!holds) {
            return false;
        }
    }
    if (outcome->fault->kind != CHIP_FAULT_NONE && !fault_expected) {
        base_text_format(report, "%s: no .expect line asks for this fault\n", path);
        return false;
    }
    base_text_format(report, "%u expectations hold", assembly->expectation_count - left_out);
    if (left_out > 0) {
        base_text_format(report, ", %u of memory not judged: no values", left_out);
    }
    base_text_append(report, "\n", 1);
    return true;
}

static enum takt_status execute(const struct program_assembly *assembly, const char *path,
                                bool check_only, bool *held, struct base_text *report,
                                struct takt_error *error)
{
    struct chip *chip = NULL;
    struct chip_text *text = NULL;
    struct takt_error local;
    struct takt_error *message = error ? error : &local;
    uint64_t cycles = 0;
    const struct machine *machine = &assembly->program.machine;
    enum takt_status status = check_only ? chip_create_check_only(&chip, machine, message)
                                         : chip_create(&chip, machine, message);
    if (status != TAKT_OK) {
        goto done;
    }
    chip_load_image(chip, &assembly->image);
    for (uint32_t i = 0; i < assembly->cable_count && status == TAKT_OK; i++) {
        const struct program_cable *cable = &assembly->cables[i];
        status = chip_connect(chip, cable->a, chip, cable->b, message);
    }
    for (uint32_t i = 0; i < assembly->upset_count && status == TAKT_OK && !check_only; i++) {
        const struct program_upset *upset = &assembly->upsets[i];
        status = chip_upset(chip, upset->place, upset->superlane, upset->bit, message);
    }
    if (status != TAKT_OK) {
        goto done;
    }
    status = chip_text_create(&text, &assembly->program, message);
    if (status != TAKT_OK) {
        goto done;
    }
    chip_load_text(chip, text);
    status = chip_run(chip, text, &cycles, message);
    if (status == TAKT_FAULT) {
        base_text_format(report, "%s\n", message->message);
    } else if (status == TAKT_OK) {
        base_text_format(report, "%llu cycles\n", (unsigned long long)cycles);
    } else {
        goto done;
    }
    status = TAKT_OK; /* a fault is an outcome like others: the expectations judge it */
    const struct outcome outcome = {chip, check_only, machine, cycles, chip_last_fault(chip)};
    *held = check_all(assembly, path, &outcome, report);
done:
    chip_text_destroy(text);
    chip_destroy(chip);
    return status;
}

enum takt_status takt_execute_file(const char *source_path, bool check_only, bool *held,
                                   char **report, struct takt_error *error)
{
    *held = false;
    *report = NULL;
    struct base_arena arena = {0};
    struct program_assembly assembly;
    struct base_text text = {0};
    enum takt_status status = assemble(source_path, &arena, &assembly, error);
    if (status == TAKT_OK) {
        status = execute(&assembly, source_path, check_only, held, &text, error);
    }
    base_arena_destroy(&arena);
    if (status == TAKT_OK) {
        *report = take_text(&text);
    } else {
        base_text_free(&text);
    }
    return status;
}
