/*
 * cli: the command line; one file a subcommand, over include/takt.h and base only.
 *
 * Invariants: standard output carries results and nothing else; an error is one line on standard
 * error, "takt COMMAND: message"; exit 2 for a wrong command line, 1 for any other error, 130 after
 * an interrupt. Options are tables, so that parsing, help and completion cannot disagree.
 * Read next: main.c, options.c, run.c.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "base/base.h"
#include "takt.h"

#include <jansson.h>

enum cli_exit {
    CLI_EXIT_OK = 0,
    CLI_EXIT_ERROR = 1,
    CLI_EXIT_USAGE = 2,
    CLI_EXIT_INTERRUPTED = 130
};

/* What an option stores at `offset` of its command's settings. */
enum cli_kind {
    CLI_FLAG,   /* bool, no value */
    CLI_TEXT,   /* const char * */
    CLI_U32,    /* uint32_t */
    CLI_U64,    /* uint64_t, up to 2^63 - 1 */
    CLI_F32,    /* float */
    CLI_TARGET, /* enum takt_target */
};

struct cli_option {
    const char *name;  /* "--ctx" or "-p" */
    const char *other; /* a second spelling, or NULL */
    const char *value; /* "C" in the help; NULL for flags */
    enum cli_kind kind;
    size_t offset;
    double minimum, maximum; /* of numbers */
    const char *help;
};

#define CLI_ARGUMENTS_MAX 16u
#define CLI_GO (-1)

struct cli_arguments {
    const char *value[CLI_ARGUMENTS_MAX];
    size_t count;
};

struct cli_command {
    const char *name;
    const char *arguments; /* "MODEL [OPTION]..." */
    const char *summary;   /* one line, no full stop */
    const char *details;   /* more lines for --help, or NULL */
    const struct cli_option *options;
    size_t option_count;
    size_t arguments_min, arguments_max;
    int (*run)(const struct cli_command *command, int argc, char **argv);
};

extern const struct cli_command cli_run, cli_tokenize, cli_detokenize, cli_asm, cli_disasm,
    cli_exec, cli_compile, cli_isa, cli_machine, cli_synth, cli_serve, cli_verify, cli_inspect,
    cli_diff, cli_bench, cli_template, cli_pull, cli_accuracy, cli_perplexity, cli_show, cli_pack;

extern const struct cli_command cli_bench_chip; /* takt bench chip */

/* Fills settings and arguments from argv[0..argc), the words after the command. CLI_GO, or the exit
 * code when help was shown or the words are wrong (the message is out then). */
int cli_parse(const struct cli_command *command, int argc, char **argv, void *settings,
              struct cli_arguments *arguments);
void cli_help(const struct cli_command *command);
const char *cli_target_name(enum takt_target target);
/* Prints "takt COMMAND: message" and returns the exit code that suits the status. */
int cli_fail(const struct cli_command *command, const struct takt_error *error);
int cli_usage(const struct cli_command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The closest of the words, or NULL when none is near. */
const char *cli_nearest(const char *word, const char *const *words, size_t count);

/* man.c: a page of the manual on standard output. */
void cli_man(const struct cli_command *command);
void cli_man_overview(const struct cli_command *const *commands, size_t count);

/* interrupt.c: the first interrupt (Ctrl-C) is remembered; a second one ends
 * the process at once. */
void cli_catch_interrupt(void);
bool cli_interrupted(void);

/* account.c: on standard error, after the text. */
void cli_print_steps(const struct takt_engine *engine, const struct takt_result *result);
void cli_print_account(const struct takt_model_info *info, const struct takt_result *result);

/* output.c */
bool cli_terminal(void); /* standard error is one: progress may be shown */
/* An engine being opened: on_load is a bar once a second has passed, on_notice a line on standard
 * error. `user` is the struct, begun with cli_loading. */
struct cli_loading {
    const struct cli_command *command;
    double begin;
    bool shown;
};
struct cli_loading cli_loading(const struct cli_command *command);
void cli_on_load(void *user, uint64_t done, uint64_t total);
void cli_on_notice(void *user, const char *text);
#define CLI_PACK_HELP "packed weights; none: pack anew (MODEL.takt-pack where it is there)"
const char *cli_pack_path(const char *option); /* for takt_engine_options.pack_path */
/* A JSON string of bytes that need not be UTF-8: each wrong byte becomes U+FFFD. */
json_t *cli_json_text(const char *bytes, size_t length);
json_t *cli_json_ids(const uint32_t *ids, size_t count);
void cli_print_json(json_t *object);         /* one line; takes the reference */
void cli_read_input(struct base_text *text); /* all of standard input */
/* "1,234,567"; buffer of at least 32 bytes; returns it. */
const char *cli_grouped(uint64_t value, char *buffer);

#endif
