/* takt bench: what a model does on this CPU, beside what the CPU could do. */
#include "cli/cli.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { REPEATS_MAX = 99, BATCHES = 8, SESSIONS_MAX = 64 };

struct settings {
    uint32_t prompt, tokens, repeats, threads;
    const char *batches, *cpu, *pack;
    uint32_t batch_sizes[BATCHES], batch_count;
    bool json;
};

struct results {
    double load_seconds, first_token_seconds;
    double prefill, decode;  /* tokens a second, medians */
    double batches[BATCHES]; /* the same of all sessions together; 0 = not measured */
    uint64_t peak_bytes;
    struct takt_limits limits;
};

struct bench {
    const struct settings *settings;
    struct takt_engine *engine;
    struct takt_session *sessions[SESSIONS_MAX];
    uint32_t vocab, session_count;
    uint32_t *tokens; /* a pseudo-random text */
    float *logits;    /* [session_count][vocab] */
    bool terminal;
};

static int by_size(const void *a, const void *b)
{
    double x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

static double median(double *values, uint32_t count)
{
    qsort(values, count, sizeof *values, by_size);
    return values[count / 2];
}

/* ---- measurements ---------------------------------------------------------------------------- */

/* Seconds for `count` tokens as one prompt, its last logits included. */
static enum takt_status run_prompt(struct bench *bench, uint32_t count, double *seconds,
                                   struct takt_error *error)
{
    struct takt_session *session = bench->sessions[0];
    enum takt_status status = takt_session_truncate(session, 0, error);
    const double begin = base_seconds();
    if (status == TAKT_OK) {
        status = takt_session_extend(session, bench->tokens, count, bench->logits, NULL, error);
    }
    *seconds = base_seconds() - begin;
    return status;
}

/* Seconds for `steps` tokens of each of `count` sessions, from an empty context on. */
static enum takt_status run_decode(struct bench *bench, uint32_t count, uint32_t steps,
                                   double *seconds, struct takt_error *error)
{
    struct takt_batch_item items[SESSIONS_MAX];
    enum takt_status status = TAKT_OK;
    for (uint32_t i = 0; i < count && status == TAKT_OK; i++) {
        status = takt_session_truncate(bench->sessions[i], 0, error);
    }
    const double begin = base_seconds();
    for (uint32_t step = 0; step < steps && status == TAKT_OK; step++) {
        for (uint32_t i = 0; i < count; i++) {
            items[i] = (struct takt_batch_item){bench->sessions[i], bench->tokens + i + step, 1,
                                                bench->logits + (size_t)i * bench->vocab};
        }
        status = takt_extend_batch(bench->engine, items, count, error);
    }
    *seconds = base_seconds() - begin;
    return status;
}

/* The median of `repeats` runs after one that is not counted. */
static enum takt_status repeat(struct bench *bench, bool prompt, uint32_t count, uint32_t steps,
                               double *rate, struct takt_error *error)
{
    double rates[REPEATS_MAX];
    enum takt_status status = TAKT_OK;
    for (uint32_t i = 0; i <= bench->settings->repeats && status == TAKT_OK; i++) {
        double seconds;
        status = prompt ? run_prompt(bench, count, &seconds, error)
                        : run_decode(bench, count, steps, &seconds, error);
        if (i > 0) {
            rates[i - 1] = (double)count * (prompt ? 1.0 : (double)steps) / seconds;
        }
    }
    *rate = status == TAKT_OK ? median(rates, bench->settings->repeats) : 0.0;
    return status;
}

static void show(const struct bench *bench, const char *what)
{
    if (bench->terminal) {
        fprintf(stderr, "\r\033[K%s", what);
    }
}

static enum takt_status measure(struct bench *bench, struct results *results,
                                struct takt_error *error)
{
    const struct settings *settings = bench->settings;
    enum takt_status status = TAKT_OK;
    show(bench, "first token");
    if (settings->prompt > 0) {
        status = run_prompt(bench, settings->prompt, &results->first_token_seconds, error);
    }
    if (status == TAKT_OK && settings->prompt > 0) {
        show(bench, "prefill");
        status = repeat(bench, true, settings->prompt, 0, &results->prefill, error);
    }
    if (status == TAKT_OK && settings->tokens > 0) {
        show(bench, "decode");
        status = repeat(bench, false, 1, settings->tokens, &results->decode, error);
    }
    const uint32_t steps = BASE_MAX(settings->tokens / 4, 1);
    for (uint32_t i = 0; i < settings->batch_count && status == TAKT_OK; i++) {
        show(bench, "batches");
        status = repeat(bench, false, settings->batch_sizes[i], steps, &results->batches[i], error);
    }
    if (status == TAKT_OK) {
        show(bench, "the machine's limits");
        status = takt_measure_limits(bench->engine, &results->limits, error);
    }
    show(bench, "");
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    results->peak_bytes = (uint64_t)usage.ru_maxrss * 1024u;
    return status;
}

/* ---- results --------------------------------------------------------------------------------- */

/* Of a step that gives one row of logits to each of `rows` tokens. */
static double operations(const struct takt_native_info *info, uint32_t tokens, uint32_t rows)
{
    return (double)info->token_operations * tokens + (double)info->output_operations * rows;
}

static void print_text(const struct bench *bench, const struct takt_native_info *info,
                       const struct results *results)
{
    const struct settings *settings = bench->settings;
    const double peak = results->limits.int8_operations_per_second;
    const double read = results->limits.read_bytes_per_second;
    printf("%s kernels, %u thread%s; limits: int8 %.0f GOPS, reading the weights %.1f GB/s\n",
           info->cpu, info->threads, info->threads == 1 ? "" : "s", peak / 1e9, read / 1e9);
    printf("load %.2f s; peak memory %.1f MB; first token of %u: %.1f ms\n", results->load_seconds,
           (double)results->peak_bytes / 1e6, settings->prompt, results->first_token_seconds * 1e3);
    if (results->prefill > 0) {
        const double gops =
            results->prefill / settings->prompt * operations(info, settings->prompt, 1) / 1e9;
        printf("prefill %4u  %10.1f tokens/s  %7.0f GOPS, %3.0f %% of the limit\n",
               settings->prompt, results->prefill, gops, gops * 1e11 / peak);
    }
    if (results->decode > 0) {
        const double rate = results->decode * (double)info->step_weight_bytes;
        printf("decode  %4u  %10.1f tokens/s  %7.1f GB/s, %3.0f %% of the limit\n",
               settings->tokens, results->decode, rate / 1e9, rate * 100 / read);
    }
    for (uint32_t i = 0; i < settings->batch_count; i++) {
        const uint32_t size = settings->batch_sizes[i];
        const double steps = results->batches[i] / size;
        const double rate = steps * (double)info->step_weight_bytes;
        const double gops = steps * operations(info, size, size) / 1e9;
        printf("batch   %4u  %10.1f tokens/s  %7.1f GB/s, %3.0f %%; %5.0f GOPS, %3.0f %%\n", size,
               results->batches[i], rate / 1e9, rate * 100 / read, gops, gops * 1e11 / peak);
    }
}

static void print_json(const struct bench *bench, const struct takt_model_info *model,
                       const struct takt_native_info *info, const struct results *results)
{
    json_t *object = json_object(), *batches = json_array();
    json_object_set_new(object, "model", cli_json_text(model->path, strlen(model->path)));
    json_object_set_new(object, "cpu", json_string(info->cpu));
    json_object_set_new(object, "threads", json_integer(info->threads));
    json_object_set_new(object, "load_seconds", json_real(results->load_seconds));
    json_object_set_new(object, "peak_bytes", json_integer((json_int_t)results->peak_bytes));
    json_object_set_new(object, "weight_bytes", json_integer((json_int_t)info->step_weight_bytes));
    json_object_set_new(object, "first_token_seconds", json_real(results->first_token_seconds));
    json_object_set_new(object, "prompt", json_integer(bench->settings->prompt));
    json_object_set_new(object, "tokens", json_integer(bench->settings->tokens));
    json_object_set_new(object, "prefill_tokens_per_second", json_real(results->prefill));
    json_object_set_new(object, "decode_tokens_per_second", json_real(results->decode));
    for (uint32_t i = 0; i < bench->settings->batch_count; i++) {
        json_t *batch = json_object();
        json_object_set_new(batch, "sessions", json_integer(bench->settings->batch_sizes[i]));
        json_object_set_new(batch, "tokens_per_second", json_real(results->batches[i]));
        json_array_append_new(batches, batch);
    }
    json_object_set_new(object, "batches", batches);
    json_object_set_new(object, "operations_a_token",
                        json_integer((json_int_t)info->token_operations));
    json_object_set_new(object, "operations_of_the_output",
                        json_integer((json_int_t)info->output_operations));
    json_object_set_new(object, "limit_read_bytes_per_second",
                        json_real(results->limits.read_bytes_per_second));
    json_object_set_new(object, "limit_int8_operations_per_second",
                        json_real(results->limits.int8_operations_per_second));
    cli_print_json(object);
}

/* ---- the command ----------------------------------------------------------------------------- */

static enum takt_status open_sessions(struct bench *bench, struct takt_error *error)
{
    const uint32_t text = BASE_MAX(bench->settings->prompt, bench->settings->tokens) + 64;
    bench->tokens = calloc(text, sizeof *bench->tokens);
    bench->logits = calloc((size_t)bench->session_count * bench->vocab, sizeof *bench->logits);
    if (!bench->tokens || !bench->logits) {
        return base_fail(error, TAKT_MEMORY, "no memory for %u rows of logits",
                         bench->session_count);
    }
    for (uint32_t i = 0; i < text; i++) {
        bench->tokens[i] = (uint32_t)(base_random_u64(1, 0, i) % bench->vocab);
    }
    enum takt_status status = TAKT_OK;
    for (uint32_t i = 0; i < bench->session_count && status == TAKT_OK; i++) {
        status = takt_session_open(&bench->sessions[i], bench->engine, error);
    }
    return status;
}

static int bench_engine(const struct cli_command *command, struct bench *bench,
                        struct results *results)
{
    struct takt_error error;
    struct takt_model_info model;
    struct takt_native_info info;
    takt_engine_info(bench->engine, &model);
    takt_native_info(bench->engine, &info);
    bench->vocab = model.vocab;
    enum takt_status status = open_sessions(bench, &error);
    if (status == TAKT_OK) {
        status = measure(bench, results, &error);
    }
    for (uint32_t i = 0; i < bench->session_count; i++) {
        takt_session_close(bench->sessions[i]);
    }
    free(bench->tokens);
    free(bench->logits);
    if (status != TAKT_OK) {
        return cli_fail(command, &error);
    }
    if (bench->settings->json) {
        print_json(bench, &model, &info, results);
    } else {
        print_text(bench, &info, results);
    }
    return CLI_EXIT_OK;
}

/* "1,2,16": numbers of sessions. */
static bool parse_batches(struct settings *settings)
{
    const char *at = settings->batches;
    while (*at != '\0' && strcmp(settings->batches, "0") != 0) {
        char number[16] = "";
        const size_t length = strcspn(at, ",");
        int64_t value;
        if (length >= sizeof number || settings->batch_count == BATCHES) {
            return false;
        }
        memcpy(number, at, length);
        if (!base_parse_i64(number, 1, SESSIONS_MAX, &value)) {
            return false;
        }
        settings->batch_sizes[settings->batch_count++] = (uint32_t)value;
        at += length;
        if (*at == ',' && *++at == '\0') {
            return false;
        }
    }
    return true;
}

static uint32_t most_sessions(const struct settings *settings)
{
    uint32_t most = 1;
    for (uint32_t i = 0; i < settings->batch_count; i++) {
        most = BASE_MAX(most, settings->batch_sizes[i]);
    }
    return most;
}

static int run_bench(const struct cli_command *command, int argc, char **argv)
{
    struct settings settings = {
        .prompt = 512, .tokens = 128, .repeats = 5, .batches = "1,2,4,8,16,32"};
    struct cli_arguments arguments;
    struct takt_error error;
    if (argc > 0 && strcmp(argv[0], "chip") == 0) {
        return cli_bench_chip.run(&cli_bench_chip, argc, argv);
    }
    const int parsed = cli_parse(command, argc, argv, &settings, &arguments);
    if (parsed != CLI_GO) {
        return parsed;
    }
    if (!parse_batches(&settings)) {
        return cli_usage(command, "--batches %s: up to %d numbers from 1 to %d with commas between",
                         settings.batches, BATCHES, SESSIONS_MAX);
    }
    struct bench bench = {.settings = &settings,
                          .session_count = most_sessions(&settings),
                          .terminal = cli_terminal()};
    struct cli_loading loading = cli_loading(command);
    const struct takt_engine_options options = {
        .model_path = arguments.value[0],
        .target = TAKT_TARGET_NATIVE,
        .context = BASE_MAX(BASE_MAX(settings.prompt, settings.tokens), 1),
        .threads = settings.threads,
        .sessions = bench.session_count,
        .cpu = settings.cpu,
        .pack_path = cli_pack_path(settings.pack),
        .on_load = cli_on_load,
        .on_notice = cli_on_notice,
        .user = &loading,
    };
    struct results results = {0};
    const double begin = base_seconds();
    if (takt_engine_open(&bench.engine, &options, &error) != TAKT_OK) {
        return cli_fail(command, &error);
    }
    results.load_seconds = base_seconds() - begin;
    const int result = bench_engine(command, &bench, &results);
    takt_engine_close(bench.engine);
    return result;
}

#define AT(member) offsetof(struct settings, member)

static const struct cli_option options[] = {
    {"--prompt", NULL, "N", CLI_U32, AT(prompt), 0, 4096, "tokens of the prompt (512; 0: none)"},
    {"--tokens", NULL, "N", CLI_U32, AT(tokens), 0, 4096, "tokens to decode (128; 0: none)"},
    {"--batches", NULL, "LIST", CLI_TEXT, AT(batches), 0, 0,
     "sessions together, a quarter of the tokens each (1,2,4,8,16,32; 0: none)"},
    {"--repeat", NULL, "R", CLI_U32, AT(repeats), 1, REPEATS_MAX,
     "runs, of which the median counts (5)"},
    {"--threads", NULL, "T", CLI_U32, AT(threads), 1, 256, "threads (one a physical core)"},
    {"--cpu", NULL, "LEVEL", CLI_TEXT, AT(cpu), 0, 0,
     "kernels: scalar, avx2, avx_vnni, avx512, neon (the best there is)"},
    {"--pack", NULL, "FILE", CLI_TEXT, AT(pack), 0, 0, CLI_PACK_HELP},
    {"--json", NULL, NULL, CLI_FLAG, AT(json), 0, 0, "print one JSON object"},
};

const struct cli_command cli_bench = {
    .name = "bench",
    .arguments = "MODEL [OPTION]...",
    .summary = "Measure a model on this CPU, beside what the CPU could do",
    .details =
        "Prompt, decoding and batches of sessions, in tokens a second; GB/s and GOPS of the\n"
        "weights' products beside the rates at which this machine, now, reads the same weights\n"
        "plainly and multiplies bytes in registers.\n\n"
        "  takt bench model.gguf\n"
        "  takt bench model.gguf --threads 1 --batches 0 --json\n\n"
        "takt bench chip runs what was published of the chip; takt bench chip --help.",
    .options = options,
    .option_count = BASE_COUNT(options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_bench};
