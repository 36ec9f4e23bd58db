/* takt: finds the command and hands it the rest of the words. */
#include "cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>

static int run_version(const struct cli_command *command, int argc, char **argv);
static int run_help(const struct cli_command *command, int argc, char **argv);
static int run_completion(const struct cli_command *command, int argc, char **argv);

static const struct cli_command version_command = {
    .name = "version", .arguments = "", .summary = "Print the version", .run = run_version};
struct help_settings {
    bool man, names;
};

static const struct cli_option help_options[] = {
    {"--man", NULL, NULL, CLI_FLAG, offsetof(struct help_settings, man), 0, 0,
     "as a page for man(1)"},
    {"--names", NULL, NULL, CLI_FLAG, offsetof(struct help_settings, names), 0, 0,
     "the names of all commands, one a line"},
};

static const struct cli_command help_command = {.name = "help",
                                                .arguments = "[COMMAND] [OPTION]...",
                                                .options = help_options,
                                                .option_count = BASE_COUNT(help_options),
                                                .summary = "Print help on takt or on one command",
                                                .arguments_max = 1,
                                                .run = run_help};
static const struct cli_command completion_command = {
    .name = "completion",
    .arguments = "bash",
    .summary = "Print a completion script for bash",
    .details = "To use it: source <(takt completion bash)",
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_completion};

static const struct cli_command *const commands[] = {
    &cli_run,   &cli_serve, &cli_verify,   &cli_tokenize,    &cli_detokenize, &cli_template,
    &cli_pull,  &cli_pack,  &cli_compile,  &cli_asm,         &cli_disasm,     &cli_exec,
    &cli_bench, &cli_show,  &cli_accuracy, &cli_perplexity,  &cli_synth,      &cli_inspect,
    &cli_diff,  &cli_isa,   &cli_machine,  &version_command, &help_command,   &completion_command,
};

static const struct cli_command *find_command(const char *name)
{
    for (size_t i = 0; i < BASE_COUNT(commands); i++) {
        if (strcmp(commands[i]->name, name) == 0) {
            return commands[i];
        }
    }
    return NULL;
}

static int unknown_command(const char *name)
{
    const char *names[BASE_COUNT(commands)];
    for (size_t i = 0; i < BASE_COUNT(commands); i++) {
        names[i] = commands[i]->name;
    }
    const char *near = cli_nearest(name, names, BASE_COUNT(names));
    fprintf(stderr, "takt: unknown command %s%s%s%s; takt help lists them\n", name,
            near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
    return CLI_EXIT_USAGE;
}

static void print_overview(FILE *out)
{
    fprintf(out, "takt %s: compile a language model to a deterministic chip and run it there\n\n",
            TAKT_VERSION);
    for (size_t i = 0; i < BASE_COUNT(commands); i++) {
        fprintf(out, "  takt %-12s%s\n", commands[i]->name, commands[i]->summary);
    }
    fprintf(out, "\ntakt COMMAND --help says more.\n");
}

static int run_version(const struct cli_command *command, int argc, char **argv)
{
    struct cli_arguments arguments;
    const int result = cli_parse(command, argc, argv, NULL, &arguments);
    if (result != CLI_GO) {
        return result;
    }
    printf("takt %s\n", TAKT_VERSION);
    return CLI_EXIT_OK;
}

static int run_help(const struct cli_command *command, int argc, char **argv)
{
    struct cli_arguments arguments;
    struct help_settings settings = {false, false};
    const int result = cli_parse(command, argc, argv, &settings, &arguments);
    if (result != CLI_GO) {
        return result;
    }
    for (size_t i = 0; settings.names && i < BASE_COUNT(commands); i++) {
        printf("%s\n", commands[i]->name);
    }
    if (settings.names) {
        return CLI_EXIT_OK;
    }
    if (arguments.count == 0) {
        if (settings.man) {
            cli_man_overview(commands, BASE_COUNT(commands));
        } else {
            print_overview(stdout);
        }
        return CLI_EXIT_OK;
    }
    const struct cli_command *found = find_command(arguments.value[0]);
    if (!found) {
        return unknown_command(arguments.value[0]);
    }
    if (settings.man) {
        cli_man(found);
    } else {
        cli_help(found);
    }
    return CLI_EXIT_OK;
}

static void print_completion(void)
{
    printf("# bash completion for takt; written by `takt completion bash`\n"
           "_takt() {\n"
           "    local word=${COMP_WORDS[COMP_CWORD]} words=\"\"\n"
           "    case ${COMP_WORDS[1]} in\n");
    for (size_t i = 0; i < BASE_COUNT(commands) && commands[i]; i++) {
        printf("    %s) words=\"--help", commands[i]->name);
        for (size_t j = 0; j < commands[i]->option_count; j++) {
            printf(" %s", commands[i]->options[j].name);
        }
        printf("\" ;;\n");
    }
    printf("    esac\n"
           "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
           "        words=\"");
    for (size_t i = 0; i < BASE_COUNT(commands); i++) {
        printf("%s%s", i > 0 ? " " : "", commands[i]->name);
    }
    printf("\"\n"
           "    elif [ \"${word:0:1}\" != - ]; then\n"
           "        case ${COMP_WORDS[COMP_CWORD - 1]} in\n"
           "        --target) words=\"native chip both reference\" ;;\n"
           "        --type) words=\"");
    for (size_t i = 0; i < TAKT_SYNTH_TYPES; i++) {
        printf("%s%s", i > 0 ? " " : "", takt_synth_type(i));
    }
    printf("\" ;;\n"
           "        --shape) words=\"");
    struct takt_shape shape;
    for (size_t i = 0; takt_shape_at(i, &shape); i++) {
        printf("%s%s", i > 0 ? " " : "", shape.name);
    }
    printf("\" ;;\n"
           "        *) words=\"\" ;;\n"
           "        esac\n"
           "    fi\n"
           "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
           "}\n"
           "complete -o default -F _takt takt\n");
}

static int run_completion(const struct cli_command *command, int argc, char **argv)
{
    struct cli_arguments arguments;
    const int result = cli_parse(command, argc, argv, NULL, &arguments);
    if (result != CLI_GO) {
        return result;
    }
    if (strcmp(arguments.value[0], "bash") != 0) {
        return cli_usage(command, "%s: only bash has a completion script", arguments.value[0]);
    }
    print_completion();
    return CLI_EXIT_OK;
}

static int run_words(int argc, char **argv)
{
    if (argc < 2) {
        print_overview(stderr);
        return CLI_EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        name = "help";
    } else if (strcmp(name, "--version") == 0) {
        name = "version";
    }
    const struct cli_command *command = find_command(name);
    return command ? command->run(command, argc - 2, argv + 2) : unknown_command(name);
}

int main(int argc, char **argv)
{
    /* A reader that went away ends the process quietly, also where the parent ignores SIGPIPE. */
    signal(SIGPIPE, SIG_DFL);
    const int result = run_words(argc, argv);
    errno = 0;
    if ((fflush(stdout) != 0 || ferror(stdout)) && result == CLI_EXIT_OK) {
        fprintf(stderr, "takt: standard output: %s\n",
                errno ? strerror(errno) : "could not be written; what came out is incomplete");
        return CLI_EXIT_ERROR;
    }
    return result;
}
