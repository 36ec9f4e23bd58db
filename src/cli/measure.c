/*
 * takt perplexity, takt accuracy: how well a model predicts a text, and how far the numerics
 * profile is from binary32.
 */
#include "cli/cli.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONTEXTS_MAX 8

struct settings {
    const char *profile, *baseline, *contexts, *tokens;
    enum takt_target target;
    uint32_t threads;
    bool json, row;
};

struct progress {
    bool terminal, shown;
    double start;
};

static bool on_progress(void *user, uint64_t done, uint64_t total)
{
    struct progress *progress = user;
    if (progress->terminal) {
        const double seconds = base_seconds() - progress->start;
        fprintf(stderr, "\r%3llu %% of %llu tokens, %.0f tokens/s ",
                (unsigned long long)(100 * done / total), (unsigned long long)total,
                seconds > 0.0 ? (double)done / seconds : 0.0);
        progress->shown = true;
    }
    return !cli_interrupted();
}

/* ---- what was measured ----------------------------------------------------------------------- */

/* Both functions leave out what was not measured. */
static void print_json(const struct takt_model_info *info, const char *text,
                       const struct takt_measure_options *options, const struct takt_measure *m)
{
    json_t *object = json_object();
    json_object_set_new(object, "model", json_string(info->path));
    json_object_set_new(object, "text", json_string(text));
    json_object_set_new(object, "context", json_integer(options->context));
    json_object_set_new(object, "windows", json_integer((json_int_t)m->windows));
    json_object_set_new(object, "tokens", json_integer((json_int_t)m->tokens));
    json_object_set_new(object, "predicted", json_integer((json_int_t)m->predicted));
    if (options->profile) {
        json_object_set_new(object, "loss", json_real(m->loss));
        json_object_set_new(object, "perplexity", json_real(exp(m->loss)));
    }
    if (options->binary32) {
        json_object_set_new(object, "loss_binary32", json_real(m->loss_binary32));
        json_object_set_new(object, "perplexity_binary32", json_real(exp(m->loss_binary32)));
    }
    if (options->profile && options->binary32) {
        json_object_set_new(object, "ratio", json_real(exp(m->loss - m->loss_binary32)));
        json_object_set_new(object, "kl_mean", json_real(m->divergence));
        json_object_set_new(object, "kl_p99", json_real(m->divergence_p99));
        json_object_set_new(object, "kl_max", json_real(m->divergence_max));
        json_object_set_new(object, "same_top", json_real(m->same_top));
    }
    cli_print_json(object);
}

static const char *leaf(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* A row of the table in docs/NUMERICS.md. */
static void print_row(const struct takt_model_info *info, const char *text,
                      const struct takt_measure_options *options, const struct takt_measure *m)
{
    char tokens[32];
    printf("| %s | %s | %u | %s | %.5f | %.5f | %.5f | %.2e | %.2e | %.2f %% |\n", leaf(info->path),
           leaf(text), options->context, cli_grouped(m->tokens, tokens), m->loss_binary32, m->loss,
           exp(m->loss - m->loss_binary32), m->divergence, m->divergence_p99, 100.0 * m->same_top);
}

static void print_plain(const struct takt_measure_options *options, const struct takt_measure *m,
                        double seconds)
{
    char tokens[32];
    printf("%s tokens in %llu windows of %u, %.1f s\n", cli_grouped(m->tokens, tokens),
           (unsigned long long)m->windows, options->context, seconds);
    if (options->profile) {
        printf("  w8a16     perplexity %.4f  loss %.5f\n", exp(m->loss), m->loss);
    }
    if (options->binary32) {
        printf("  binary32  perplexity %.4f  loss %.5f\n", exp(m->loss_binary32), m->loss_binary32);
    }
    if (options->profile && options->binary32) {
        printf("  ratio %.5f  KL mean %.3e  99th percentile %.3e  largest %.3e  same top token "
               "%.2f %%\n",
               exp(m->loss - m->loss_binary32), m->divergence, m->divergence_p99, m->divergence_max,
               100.0 * m->same_top);
    }
    fflush(stdout);
}

/* ---- running --------------------------------------------------------------------------------- */

/* "128,512": rising or not; 0 and what is beyond the list's room are refused. */
static bool read_contexts(const char *list, uint32_t out[CONTEXTS_MAX], size_t *count)
{
    *count = 0;
    while (*list) {
        char *end;
        const unsigned long value = strtoul(list, &end, 10);
        if (end == list || value < 2 || value > 1048576 || *count == CONTEXTS_MAX ||
            (*end != ',' && *end != '\0') || (*end == ',' && end[1] == '\0')) {
            return false;
        }
        out[(*count)++] = (uint32_t)value;
        list = *end == ',' ? end + 1 : end;
    }
    return *count > 0;
}

static int measure_one(const struct cli_command *command, const struct settings *settings,
                       struct takt_engine *engine, const char *text_path,
                       struct takt_measure_options *options)
{
    struct takt_error error;
    struct takt_measure measured;
    struct takt_model_info info;
    struct progress progress = {.terminal = isatty(STDERR_FILENO) == 1, .start = base_seconds()};
    options->on_progress = on_progress;
    options->user = &progress;
    const enum takt_status status = takt_measure_text(engine, options, &measured, &error);
    if (progress.shown) {
        fprintf(stderr, "\r\033[K");
    }
    if (status != TAKT_OK) {
        const int result = cli_fail(command, &error);
        return status == TAKT_INTERRUPTED ? CLI_EXIT_INTERRUPTED : result;
    }
    takt_engine_info(engine, &info);
    if (settings->json) {
        print_json(&info, text_path, options, &measured);
    } else if (settings->row) {
        print_row(&info, text_path, options, &measured);
    } else {
        print_plain(options, &measured, base_seconds() - progress.start);
    }
    return CLI_EXIT_OK;
}

static int measure(const struct cli_command *command, const struct settings *settings,
                   const struct cli_arguments *arguments, struct takt_measure_options *options)
{
    uint32_t contexts[CONTEXTS_MAX] = {0}, largest = 0;
    size_t count = 1;
    int64_t tokens = 0;
    if (settings->contexts && !read_contexts(settings->contexts, contexts, &count)) {
        return cli_usage(command, "--ctx %s: wanted up to %d numbers from 2, with commas",
                         settings->contexts, CONTEXTS_MAX);
    }
    if (settings->tokens && !base_parse_i64(settings->tokens, 1, INT64_MAX, &tokens)) {
        return cli_usage(command, "--tokens %s: wanted a number", settings->tokens);
    }
    for (size_t i = 0; i < count; i++) {
        largest = BASE_MAX(largest, contexts[i]);
    }
    struct takt_error error;
    struct base_file file = {0};
    struct takt_engine *engine = NULL;
    if (base_file_map(&file, arguments->value[1], &error) != TAKT_OK) {
        return cli_fail(command, &error);
    }
    struct cli_loading loading = cli_loading(command);
    const struct takt_engine_options engine_options = {.model_path = arguments->value[0],
                                                       .target = settings->target,
                                                       .context = largest,
                                                       .threads = settings->threads,
                                                       .on_load = cli_on_load,
                                                       .on_notice = cli_on_notice,
                                                       .user = &loading};
    int result = CLI_EXIT_OK;
    if (takt_engine_open(&engine, &engine_options, &error) != TAKT_OK) {
        result = cli_fail(command, &error);
    }
    options->text = file.size_bytes > 0 ? (const char *)file.data : "";
    options->length = file.size_bytes;
    options->tokens_max = (uint64_t)tokens;
    cli_catch_interrupt();
    for (size_t i = 0; i < count && result == CLI_EXIT_OK; i++) {
        struct takt_model_info info;
        takt_engine_info(engine, &info);
        options->context = contexts[i] ? contexts[i] : BASE_MIN(info.context, 512u);
        result = measure_one(command, settings, engine, arguments->value[1], options);
    }
    takt_engine_close(engine);
    base_file_unmap(&file);
    return result;
}

static int run_accuracy(const struct cli_command *command, int argc, char **argv)
{
    struct settings settings = {.target = TAKT_TARGET_NATIVE};
    struct cli_arguments arguments;
    const int result = cli_parse(command, argc, argv, &settings, &arguments);
    if (result != CLI_GO) {
        return result;
    }
    struct takt_measure_options options = {
        .profile = true, .binary32 = true, .baseline_path = settings.baseline};
    return measure(command, &settings, &arguments, &options);
}

static int run_perplexity(const struct cli_command *command, int argc, char **argv)
{
    struct settings settings = {.target = TAKT_TARGET_NATIVE, .profile = "w8a16"};
    struct cli_arguments arguments;
    const int result = cli_parse(command, argc, argv, &settings, &arguments);
    if (result != CLI_GO) {
        return result;
    }
    struct takt_measure_options options = {.profile = strcmp(settings.profile, "w8a16") == 0,
                                           .binary32 = strcmp(settings.profile, "binary32") == 0};
    if (!options.profile && !options.binary32) {
        return cli_usage(command, "--profile %s: wanted w8a16 or binary32", settings.profile);
    }
    return measure(command, &settings, &arguments, &options);
}

#define AT(member) offsetof(struct settings, member)
#define COMMON_OPTIONS                                                                             \
    {                                                                                              \
        "--ctx",                                                                                   \
        NULL,                                                                                      \
        "C[,C]...",                                                                                \
        CLI_TEXT,                                                                                  \
        AT(contexts),                                                                              \
        0,                                                                                         \
        0,                                                                                         \
        "tokens of a window, or several in turn (512 or the model's)"},                            \
        {"--tokens", NULL, "N", CLI_TEXT, AT(tokens), 0, 0, "no more of the text than this"},      \
        {"--target", NULL, "T", CLI_TARGET,                                                        \
         AT(target), 0,    0,   "what runs the profile: all give the same bits (native)"},         \
        {"--threads", NULL, "N", CLI_U32, AT(threads), 1, 1024, "of the native target"},           \
    {                                                                                              \
        "--json", NULL, NULL, CLI_FLAG, AT(json), 0, 0,                                            \
            "print a line of JSON for each window size"                                            \
    }

static const struct cli_option accuracy_options[] = {
    COMMON_OPTIONS,
    {"--baseline", NULL, "FILE", CLI_TEXT, AT(baseline), 0, 0,
     "the model that runs in binary32, such as the one MODEL was quantised from (MODEL)"},
    {"--row", NULL, NULL, CLI_FLAG, AT(row), 0, 0, "print a row of the table in docs/NUMERICS.md"},
};

static const struct cli_option perplexity_options[] = {
    COMMON_OPTIONS,
    {"--profile", NULL, "P", CLI_TEXT, AT(profile), 0, 0, "w8a16 or binary32 (w8a16)"},
};

const struct cli_command cli_accuracy = {
    .name = "accuracy",
    .arguments = "MODEL TEXT [OPTION]...",
    .summary = "Measure how far the numerics profile is from binary32 on a text",
    .details =
        "The text is cut into documents at lines <|endoftext|>, those into windows, each begun\n"
        "afresh. Every position counts. Prints the losses, the ratio of perplexities, the KL\n"
        "divergence of the profile from binary32 in nats, and the share of positions whose\n"
        "likeliest token is the same.\n"
        "\n"
        "  takt accuracy model.gguf wiki.txt --ctx 128,512\n"
        "  takt accuracy model-q4_k.gguf wiki.txt --baseline model-f16.gguf --tokens 20000",
    .options = accuracy_options,
    .option_count = BASE_COUNT(accuracy_options),
    .arguments_min = 2,
    .arguments_max = 2,
    .run = run_accuracy};

const struct cli_command cli_perplexity = {
    .name = "perplexity",
    .arguments = "MODEL TEXT [OPTION]...",
    .summary = "Measure how well a model predicts a text",
    .details = "Windows and documents as in takt accuracy; the first token of a window is given.\n"
               "\n"
               "  takt perplexity model.gguf wiki.txt\n"
               "  takt perplexity model.gguf wiki.txt --profile binary32 --ctx 1024",
    .options = perplexity_options,
    .option_count = BASE_COUNT(perplexity_options),
    .arguments_min = 2,
    .arguments_max = 2,
    .run = run_perplexity};
