/* takt synth: a model of a published shape with random weights. */
#include "cli/cli.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

struct settings {
    const char *shape, *output, *type;
    uint64_t seed;
    uint32_t layers;
    bool list;
};

/* ---- --list ---------------------------------------------------------------------------------- */

static void print_shapes(void)
{
    printf("%-15s %6s %6s %6s %5s %3s %4s %7s %14s", "# shape", "layers", "width", "ffn", "heads",
           "KV", "head", "vocab", "parameters");
    for (size_t i = 0; i < TAKT_SYNTH_TYPES; i++) {
        printf(" %8s MB", takt_synth_type(i));
    }
    printf("\n");
    struct takt_shape shape;
    for (size_t i = 0; takt_shape_at(i, &shape); i++) {
        char parameters[32];
        printf("%-15s %6u %6u %6u %5u %3u %4u %7u %14s", shape.name, shape.layers, shape.width,
               shape.ffn, shape.heads, shape.kv_heads, shape.head_dim, shape.vocab,
               cli_grouped(shape.parameters, parameters));
        for (size_t j = 0; j < TAKT_SYNTH_TYPES; j++) {
            printf(" %11.1f", (double)shape.bytes[j] / 1e6);
        }
        printf("%s%s\n", *shape.note ? "  " : "", shape.note);
    }
}

/* ---- writing --------------------------------------------------------------------------------- */

struct progress {
    bool terminal, line_shown;
    uint64_t percent;
};

static bool on_progress(void *user, uint64_t done_bytes, uint64_t total_bytes)
{
    struct progress *progress = user;
    const uint64_t percent = 100 * done_bytes / total_bytes;
    if (progress->terminal && (!progress->line_shown || percent != progress->percent)) {
        fprintf(stderr, "\r%3llu %% of %.1f MB", (unsigned long long)percent,
                (double)total_bytes / 1e6);
        progress->line_shown = true;
        progress->percent = percent;
    }
    return !cli_interrupted();
}

static int unknown_shape(const struct cli_command *command, const char *name)
{
    const char *names[64];
    size_t count = 0;
    struct takt_shape shape;
    while (count < BASE_COUNT(names) && takt_shape_at(count, &shape)) {
        names[count++] = shape.name;
    }
    const char *near = cli_nearest(name, names, count);
    return cli_usage(command, "--shape %s: no such shape%s%s%s, --list prints them", name,
                     near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
}

static bool shape_exists(const char *name)
{
    struct takt_shape shape;
    for (size_t i = 0; takt_shape_at(i, &shape); i++) {
        if (strcmp(shape.name, name) == 0) {
            return true;
        }
    }
    return false;
}

static int write_model(const struct cli_command *command, const struct settings *settings)
{
    const struct takt_synth_options options = {.shape = settings->shape,
                                               .type = settings->type,
                                               .layers = settings->layers,
                                               .seed = settings->seed,
                                               .path = settings->output};
    struct progress progress = {.terminal = isatty(STDERR_FILENO) == 1};
    struct takt_error error;
    cli_catch_interrupt();
    signal(SIGXFSZ, SIG_IGN); /* a file beyond the limit is an error to report, not an end */
    const enum takt_status status = takt_synthesise(&options, on_progress, &progress, &error);
    if (progress.line_shown) {
        fprintf(stderr, "\r\033[K");
    }
    if (status == TAKT_OK) {
        return CLI_EXIT_OK;
    }
    const int result = cli_fail(command, &error);
    return status == TAKT_INTERRUPTED ? CLI_EXIT_INTERRUPTED : result;
}

static int run_synth(const struct cli_command *command, int argc, char **argv)
{
    struct settings settings = {0};
    struct cli_arguments arguments;
    const int parsed = cli_parse(command, argc, argv, &settings, &arguments);
    if (parsed != CLI_GO) {
        return parsed;
    }
    if (settings.list) {
        print_shapes();
        return CLI_EXIT_OK;
    }
    if (!settings.shape) {
        return cli_usage(command, "--shape NAME is missing; --list prints the names");
    }
    if (!shape_exists(settings.shape)) {
        return unknown_shape(command, settings.shape);
    }
    if (!settings.output) {
        return cli_usage(command, "-o FILE is missing: the model to write");
    }
    return write_model(command, &settings);
}

#define AT(member) offsetof(struct settings, member)

static const struct cli_option options[] = {
    {"--list", NULL, NULL, CLI_FLAG, AT(list), 0, 0,
     "print the shapes, with the sizes of their tensors in each type"},
    {"--shape", NULL, "NAME", CLI_TEXT, AT(shape), 0, 0, "whose sizes the model has"},
    {"-o", "--output", "FILE", CLI_TEXT, AT(output), 0, 0, "the GGUF file to write"},
    {"--seed", NULL, "N", CLI_U64, AT(seed), 0, 9223372036854775807.0,
     "the weights are a function of the seed alone (0)"},
    {"--type", NULL, "TYPE", CLI_TEXT, AT(type), 0, 0,
     "F16, Q8_0, F32 or BF16 matrices (F16); norms are F32"},
    {"--layers", NULL, "N", CLI_U32, AT(layers), 1, 1000, "another number of layers"},
};

const struct cli_command cli_synth = {
    .name = "synth",
    .arguments = "--shape NAME -o FILE [OPTION]...",
    .summary = "Write a model of a published shape with random weights",
    .details =
        "The model has the sizes of the one it is named after, a byte-level vocabulary of made-up\n"
        "words and weights of realistic scale; its metadata says synthetic. It is streamed to "
        "disk\n"
        "and takes its name when complete. llama-3.2-1b comes without rope scaling.",
    .options = options,
    .option_count = BASE_COUNT(options),
    .run = run_synth};
