/* takt inspect: what a step does with its cycles. takt diff: how two schedules differ. */
#include "cli/cli.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct side_settings { /* of a model's step */
    const char *machine;
    uint32_t context, chunk, length, users;
};

struct settings {
    struct side_settings step,
        other; /* other: of diff's second side, where it is not as the first */
    const char *trace, *svg, *schedule;
    uint32_t layer;
    bool all_logits, json;
};

/* ---- opening --------------------------------------------------------------------------------- */

struct opened {
    struct takt_engine *engine; /* NULL of a program */
    struct takt_inspection *inspection;
};

static void close_side(struct opened *opened)
{
    takt_inspection_close(opened->inspection);
    takt_engine_close(opened->engine);
}

static bool is_model(const char *path)
{
    char magic[4] = "";
    FILE *file = fopen(path, "rb");
    const bool is = file && fread(magic, 1, sizeof magic, file) == sizeof magic &&
                    memcmp(magic, "GGUF", sizeof magic) == 0;
    if (file) {
        fclose(file);
    }
    return is;
}

static enum takt_status open_side(struct opened *opened, const char *path,
                                  const struct side_settings *settings, bool all_logits,
                                  struct takt_error *error)
{
    if (!is_model(path)) {
        return takt_inspect_file(&opened->inspection, path, error);
    }
    const struct takt_engine_options options = {.model_path = path,
                                                .machine_path = settings->machine,
                                                .target = TAKT_TARGET_CHIP,
                                                .context = settings->context,
                                                .chunk = settings->chunk,
                                                .users = settings->users};
    const enum takt_status status = takt_engine_open(&opened->engine, &options, error);
    const bool joint = settings->users > 1;
    const struct takt_inspect_options step = {.chunk = joint ? settings->users : settings->chunk,
                                              .context = settings->length,
                                              .all_logits = all_logits,
                                              .users = settings->users};
    return status == TAKT_OK ? takt_inspect(&opened->inspection, opened->engine, &step, error)
                             : status;
}

/* ---- inspect --------------------------------------------------------------------------------- */

/* Text goes to a file; frees it. */
static enum takt_status write_file(const char *path, char *text, struct takt_error *error)
{
    const enum takt_status status = base_file_write(path, text, strlen(text), error);
    free(text);
    return status;
}

static enum takt_status write_files(const struct settings *settings,
                                    const struct takt_inspection *inspection, uint32_t layer,
                                    struct takt_error *error)
{
    enum takt_status status = TAKT_OK;
    if (settings->trace) {
        status = write_file(settings->trace, takt_inspection_trace(inspection), error);
    }
    if (settings->svg && status == TAKT_OK) {
        status = write_file(settings->svg, takt_inspection_svg(inspection, layer), error);
    }
    if (settings->schedule && status == TAKT_OK) {
        const uint32_t which = settings->layer == UINT32_MAX ? UINT32_MAX : layer;
        status = write_file(settings->schedule, takt_inspection_schedule(inspection, which), error);
    }
    return status;
}

static int report(const struct cli_command *command, const struct settings *settings,
                  const struct takt_inspection *inspection)
{
    struct takt_error error;
    struct takt_inspect_figures figures;
    takt_inspection_figures(inspection, &figures);
    uint32_t layer = settings->layer;
    if (layer == UINT32_MAX) { /* one in the middle, like most others */
        layer = figures.layers > 1 ? (figures.layers - 1) / 2 : 0;
    } else if (layer >= figures.layers) {
        return figures.layers == 0
                   ? cli_usage(command, "--layer %u: a program has no layers, a model has", layer)
                   : cli_usage(command, "--layer %u: layers are 0 to %u; the last is the output",
                               layer, figures.layers - 1);
    }
    if (settings->svg && figures.layers == 0) {
        return cli_usage(command, "--svg shows a layer of a model; a program has none");
    }
    if (write_files(settings, inspection, layer, &error) != TAKT_OK) {
        return cli_fail(command, &error);
    }
    char *text =
        settings->json ? takt_inspection_json(inspection) : takt_inspection_text(inspection, layer);
    fputs(text, stdout);
    free(text);
    return CLI_EXIT_OK;
}

static int run_inspect(const struct cli_command *command, int argc, char **argv)
{
    struct settings settings = {.step.chunk = 1, .layer = UINT32_MAX};
    struct cli_arguments arguments;
    struct takt_error error;
    struct opened opened = {0};
    int result = cli_parse(command, argc, argv, &settings, &arguments);
    if (result != CLI_GO) {
        return result;
    }
    const enum takt_status status =
        open_side(&opened, arguments.value[0], &settings.step, settings.all_logits, &error);
    result = status == TAKT_OK ? report(command, &settings, opened.inspection)
                               : cli_fail(command, &error);
    close_side(&opened);
    return result;
}

#define STEP_OPTIONS(member, suffix, whose)                                                        \
    {"--context" suffix,                                                                           \
     "--ctx" suffix,                                                                               \
     "C",                                                                                          \
     CLI_U32,                                                                                      \
     offsetof(struct settings, member.context),                                                    \
     1,                                                                                            \
     1048576,                                                                                      \
     "positions the KV cache holds" whose},                                                        \
        {"--length" suffix,                                                                        \
         NULL,                                                                                     \
         "L",                                                                                      \
         CLI_U32,                                                                                  \
         offsetof(struct settings, member.length),                                                 \
         1,                                                                                        \
         1048576,                                                                                  \
         "positions the step sees, rounded up to a bucket" whose},                                 \
        {"--chunk" suffix,                                                                         \
         NULL,                                                                                     \
         "M",                                                                                      \
         CLI_U32,                                                                                  \
         offsetof(struct settings, member.chunk),                                                  \
         1,                                                                                        \
         256,                                                                                      \
         "tokens of the step" whose},                                                              \
        {"--users" suffix,                                                                         \
         NULL,                                                                                     \
         "N",                                                                                      \
         CLI_U32,                                                                                  \
         offsetof(struct settings, member.users),                                                  \
         1,                                                                                        \
         8,                                                                                        \
         "a token each of so many users of one chip, side by side" whose},                         \
    {                                                                                              \
        "--machine" suffix, NULL, "FILE", CLI_TEXT, offsetof(struct settings, member.machine), 0,  \
            0, "a machine file" whose                                                              \
    }

static const struct cli_option inspect_options[] = {
    STEP_OPTIONS(step, "", ""),
    {"--all-logits", NULL, NULL, CLI_FLAG, offsetof(struct settings, all_logits), 0, 0,
     "logits of every token of the step, not of one"},
    {"--layer", NULL, "N", CLI_U32, offsetof(struct settings, layer), 0, 1048576,
     "whose critical path is told and drawn; one in the middle otherwise"},
    {"--json", NULL, NULL, CLI_FLAG, offsetof(struct settings, json), 0, 0,
     "one JSON object instead of the tables"},
    {"--trace", NULL, "FILE", CLI_TEXT, offsetof(struct settings, trace), 0, 0,
     "write every queue's work as Chrome trace events, for ui.perfetto.dev"},
    {"--svg", NULL, "FILE", CLI_TEXT, offsetof(struct settings, svg), 0, 0,
     "draw one layer as an assembly line"},
    {"--schedule", NULL, "FILE", CLI_TEXT, offsetof(struct settings, schedule), 0, 0,
     "write every queue's words as JSON; with --layer, of that layer"},
};

const struct cli_command cli_inspect = {
    .name = "inspect",
    .arguments = "MODEL [OPTION]...",
    .summary = "Show what a step of a model does with its cycles",
    .details = "Prints the cycles of the step beside their bounds, where they go by unit and by "
               "layer, the\n"
               "critical path through one layer, and what lies where in memory. MODEL may be a "
               "program or\n"
               "an assembly file too. docs/INSPECT.md explains every line.\n\n"
               "  takt inspect model.gguf                        a decode step\n"
               "  takt inspect model.gguf --chunk 64 --json      a prefill step, as JSON\n"
               "  takt inspect model.gguf --users 2              a decode step of two users\n"
               "  takt inspect model.gguf --svg layer.svg --trace step.json",
    .options = inspect_options,
    .option_count = BASE_COUNT(inspect_options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_inspect};

/* ---- diff ------------------------------------------------------------------------------------ */

/* What is not said of the second side is as on the first. */
static struct side_settings second_side(const struct settings *settings)
{
    struct side_settings side = settings->other;
    side.machine = side.machine ? side.machine : settings->step.machine;
    side.context = side.context > 0 ? side.context : settings->step.context;
    side.length = side.length > 0 ? side.length : settings->step.length;
    side.chunk = side.chunk > 0 ? side.chunk : settings->step.chunk;
    side.users = side.users > 0 ? side.users : settings->step.users;
    return side;
}

static int run_diff(const struct cli_command *command, int argc, char **argv)
{
    struct settings settings = {.step.chunk = 1};
    struct cli_arguments arguments;
    struct takt_error error;
    struct opened a = {0}, b = {0};
    int result = cli_parse(command, argc, argv, &settings, &arguments);
    if (result != CLI_GO) {
        return result;
    }
    const struct side_settings other = second_side(&settings);
    const char *second = arguments.count > 1 ? arguments.value[1] : arguments.value[0];
    enum takt_status status = open_side(&a, arguments.value[0], &settings.step, false, &error);
    if (status == TAKT_OK) {
        status = open_side(&b, second, &other, false, &error);
    }
    if (status == TAKT_OK) {
        char *text = takt_inspection_diff(a.inspection, b.inspection, settings.json);
        fputs(text, stdout);
        free(text);
    }
    result = status == TAKT_OK ? CLI_EXIT_OK : cli_fail(command, &error);
    close_side(&a);
    close_side(&b);
    return result;
}

static const struct cli_option diff_options[] = {
    STEP_OPTIONS(step, "", " (of both, unless the next four say more)"),
    STEP_OPTIONS(other, "-b", ", of B"),
    {"--json", NULL, NULL, CLI_FLAG, offsetof(struct settings, json), 0, 0,
     "one JSON object instead of the tables"},
};

const struct cli_command cli_diff = {
    .name = "diff",
    .arguments = "A [B] [OPTION]...",
    .summary = "Compare two schedules",
    .details = "A and B are models, program files or assembly files; B is A where it is left out, "
               "for two\n"
               "machines, contexts or chunks. Prints the cycles, what differs by unit and by "
               "layer, and the\n"
               "first instruction at which they part.\n\n"
               "  takt diff model.gguf --machine-b half.machine\n"
               "  takt diff model.gguf --chunk 1 --chunk-b 16\n"
               "  takt diff yesterday.s today.s --json",
    .options = diff_options,
    .option_count = BASE_COUNT(diff_options),
    .arguments_min = 1,
    .arguments_max = 2,
    .run = run_diff};
