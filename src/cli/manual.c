/* takt isa, takt machine: the manuals, written from the tables that the machine is built of. */
#include "cli/cli.h"

#include <stdlib.h>

static int print_text(char *text)
{
    fputs(text, stdout);
    free(text);
    return CLI_EXIT_OK;
}

static int run_isa(const struct cli_command *command, int argc, char **argv)
{
    struct cli_arguments arguments;
    const int result = cli_parse(command, argc, argv, NULL, &arguments);
    return result != CLI_GO ? result : print_text(takt_isa_manual());
}

static int run_machine(const struct cli_command *command, int argc, char **argv)
{
    struct cli_arguments arguments;
    struct takt_error error;
    char *text;
    const int result = cli_parse(command, argc, argv, NULL, &arguments);
    if (result != CLI_GO) {
        return result;
    }
    if (arguments.count == 0) {
        return print_text(takt_machine_manual());
    }
    if (takt_machine_describe(arguments.value[0], &text, &error) != TAKT_OK) {
        return cli_fail(command, &error);
    }
    return print_text(text);
}

const struct cli_command cli_isa = {.name = "isa",
                                    .arguments = "",
                                    .summary = "Print the manual of the instruction set",
                                    .run = run_isa};

const struct cli_command cli_machine = {
    .name = "machine",
    .arguments = "[FILE]",
    .summary = "Print the manual of the machine tsp1, or what a machine file describes",
    .arguments_max = 1,
    .run = run_machine};
