/* takt asm, disasm, exec, compile: programs as assembly text, as files, on the machine. */
#include "cli/cli.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct settings {
    const char *output, *machine;
    uint32_t chunk, context, length;
    bool all_logits, check_only;
};

static int run_asm(const struct cli_command *command, int argc, char **argv)
{
    struct settings settings = {0};
    struct cli_arguments arguments;
    struct takt_error error;
    const int result = cli_parse(command, argc, argv, &settings, &arguments);
    if (result != CLI_GO) {
        return result;
    }
    if (!settings.output) {
        return cli_usage(command, "-o OUT is missing: where the program goes");
    }
    if (takt_assemble_file(arguments.value[0], settings.output, &error) != TAKT_OK) {
        return cli_fail(command, &error);
    }
    return CLI_EXIT_OK;
}

/* Writes text to the file -o names, or to standard output. */
static int write_out(const struct cli_command *command, const char *output, char *text)
{
    struct takt_error error;
    enum takt_status status = TAKT_OK;
    if (output && strcmp(output, "-") != 0) {
        status = base_file_write(output, text, strlen(text), &error);
    } else {
        fputs(text, stdout);
    }
    free(text);
    return status == TAKT_OK ? CLI_EXIT_OK : cli_fail(command, &error);
}

static int run_disasm(const struct cli_command *command, int argc, char **argv)
{
    struct settings settings = {0};
    struct cli_arguments arguments;
    struct takt_error error;
    char *text;
    const int result = cli_parse(command, argc, argv, &settings, &arguments);
    if (result != CLI_GO) {
        return result;
    }
    if (takt_disassemble_file(arguments.value[0], &text, &error) != TAKT_OK) {
        return cli_fail(command, &error);
    }
    return write_out(command, settings.output, text);
}

static int run_exec(const struct cli_command *command, int argc, char **argv)
{
    struct settings settings = {0};
    struct cli_arguments arguments;
    struct takt_error error;
    bool held = false;
    char *report = NULL;
    const int result = cli_parse(command, argc, argv, &settings, &arguments);
    if (result != CLI_GO) {
        return result;
    }
    if (takt_execute_file(arguments.value[0], settings.check_only, &held, &report, &error) !=
        TAKT_OK) {
        free(report);
        return cli_fail(command, &error);
    }
    const size_t length = strlen(report);
    printf("%s%s", report, length > 0 && report[length - 1] == '\n' ? "" : "\n");
    free(report);
    return held ? CLI_EXIT_OK : CLI_EXIT_ERROR;
}

static int run_compile(const struct cli_command *command, int argc, char **argv)
{
    struct settings settings = {.chunk = 1};
    struct cli_arguments arguments;
    struct takt_error error;
    const int result = cli_parse(command, argc, argv, &settings, &arguments);
    if (result != CLI_GO) {
        return result;
    }
    const struct takt_engine_options options = {
        .model_path = arguments.value[0],
        .machine_path = settings.machine,
        .context = settings.context,
        .chunk = settings.chunk > 1 ? settings.chunk : 0,
    };
    struct takt_engine *engine;
    if (takt_engine_open(&engine, &options, &error) != TAKT_OK) {
        return cli_fail(command, &error);
    }
    const uint32_t length = settings.length > 0 ? settings.length : settings.chunk;
    char *text = NULL;
    const enum takt_status status = takt_compile_to_assembly(engine, settings.chunk, length,
                                                             settings.all_logits, &text, &error);
    takt_engine_close(engine);
    return status == TAKT_OK ? write_out(command, settings.output, text)
                             : cli_fail(command, &error);
}

static const struct cli_option asm_options[] = {
    {"-o", "--output", "OUT", CLI_TEXT, offsetof(struct settings, output), 0, 0,
     "where the program goes"},
};

const struct cli_command cli_asm = {.name = "asm",
                                    .arguments = "FILE -o OUT",
                                    .summary = "Assemble a file of assembly text to a program file",
                                    .options = asm_options,
                                    .option_count = BASE_COUNT(asm_options),
                                    .arguments_min = 1,
                                    .arguments_max = 1,
                                    .run = run_asm};

static const struct cli_option disasm_options[] = {
    {"-o", "--output", "OUT", CLI_TEXT, offsetof(struct settings, output), 0, 0,
     "where the text goes; standard output otherwise"},
};

const struct cli_command cli_disasm = {.name = "disasm",
                                       .arguments = "FILE",
                                       .summary = "Print a program file as assembly text",
                                       .options = disasm_options,
                                       .option_count = BASE_COUNT(disasm_options),
                                       .arguments_min = 1,
                                       .arguments_max = 1,
                                       .run = run_disasm};

static const struct cli_option exec_options[] = {
    {"--check-only", NULL, NULL, CLI_FLAG, offsetof(struct settings, check_only), 0, 0,
     "no values: every instruction and every check that reads no data"},
};

const struct cli_command cli_exec = {
    .name = "exec",
    .arguments = "FILE.s [--check-only]",
    .options = exec_options,
    .option_count = BASE_COUNT(exec_options),
    .summary = "Assemble a file, run it on the machine, check its .expect lines",
    .details = "Prints the cycles taken, a fault if there was one, and the first expectation that "
               "did not\n"
               "hold. Exit 0 when all held. With --check-only the machine moves no data: cycles "
               "and\n"
               "faults are the same, but for map entries out of range; expectations of memory are "
               "not judged.\n\n"
               "  takt exec tests/asm/acc.s\n"
               "  takt exec tests/asm/acc.s --check-only",
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_exec};

static const struct cli_option compile_options[] = {
    {"-o", "--output", "FILE", CLI_TEXT, offsetof(struct settings, output), 0, 0,
     "where the assembly goes; standard output otherwise"},
    {"--chunk", NULL, "M", CLI_U32, offsetof(struct settings, chunk), 1, 256,
     "tokens of the step: 1, a decode step, is the default"},
    {"--length", NULL, "L", CLI_U32, offsetof(struct settings, length), 1, 1048576,
     "positions the step must see (rounded up to a bucket); M is the default"},
    {"--ctx", NULL, "C", CLI_U32, offsetof(struct settings, context), 1, 1048576,
     "positions the KV cache holds; the model's own, at most 4096, is the default"},
    {"--all-logits", NULL, NULL, CLI_FLAG, offsetof(struct settings, all_logits), 0, 0,
     "logits of every token of the step, not of one"},
    {"--machine", NULL, "FILE", CLI_TEXT, offsetof(struct settings, machine), 0, 0,
     "a machine file; tsp1 otherwise"},
};

const struct cli_command cli_compile = {.name = "compile",
                                        .arguments = "MODEL [OPTION]...",
                                        .summary =
                                            "Print the program of one step of a model, as assembly",
                                        .options = compile_options,
                                        .option_count = BASE_COUNT(compile_options),
                                        .arguments_min = 1,
                                        .arguments_max = 1,
                                        .run = run_compile};
