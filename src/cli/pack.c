/* takt pack: a model's weights, packed for this CPU's kernels, into a file that opens at once. */
#include "cli/cli.h"

#include <stddef.h>
#include <sys/stat.h>

struct settings {
    const char *output;
    uint32_t threads;
};

static int run_pack(const struct cli_command *command, int argc, char **argv)
{
    struct settings settings = {0};
    struct cli_arguments arguments;
    struct takt_error error;
    const int parsed = cli_parse(command, argc, argv, &settings, &arguments);
    if (parsed != CLI_GO) {
        return parsed;
    }
    struct cli_loading loading = cli_loading(command);
    const struct takt_engine_options options = {
        .model_path = arguments.value[0],
        .target = TAKT_TARGET_NATIVE,
        .context = 1,
        .threads = settings.threads,
        .sessions = 1,
        .batch = 1,
        .pack_path = "",
        .on_load = cli_on_load,
        .on_notice = cli_on_notice,
        .user = &loading,
    };
    struct takt_engine *engine;
    if (takt_engine_open(&engine, &options, &error) != TAKT_OK) {
        return cli_fail(command, &error);
    }
    const char *path = settings.output ? settings.output : takt_pack_path(engine);
    const enum takt_status status = takt_pack(engine, path, &error);
    struct stat about;
    char digits[32];
    if (status == TAKT_OK && stat(path, &about) == 0) {
        printf("%s: %s bytes, in %.1f s\n", path, cli_grouped((uint64_t)about.st_size, digits),
               base_seconds() - loading.begin);
    }
    takt_engine_close(engine);
    return status == TAKT_OK ? CLI_EXIT_OK : cli_fail(command, &error);
}

#define AT(member) offsetof(struct settings, member)

static const struct cli_option options[] = {
    {"-o", "--output", "FILE", CLI_TEXT, AT(output), 0, 0, "the file to write (MODEL.takt-pack)"},
    {"--threads", NULL, "T", CLI_U32, AT(threads), 1, 256, "threads (one a physical core)"},
};

const struct cli_command cli_pack = {
    .name = "pack",
    .arguments = "MODEL [OPTION]...",
    .summary = "Pack a model's weights once, so that it opens faster",
    .details =
        "The native target quantises a model's weights and lays them out for its kernels whenever\n"
        "the model is opened. This writes what comes of it, about a byte a weight, beside the\n"
        "model. takt run, serve and bench use the file as it lies there when it is whole and of "
        "the\n"
        "model's very bytes, say so when it is not, and then pack as without it: no bit of any\n"
        "result depends on it. Another file than MODEL.takt-pack is named with their --pack.\n\n"
        "  takt pack model.gguf\n"
        "  takt run model.gguf -p \"Once upon a time\"\n"
        "  takt run model.gguf --pack none -p \"Once upon a time\"",
    .options = options,
    .option_count = BASE_COUNT(options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_pack};
