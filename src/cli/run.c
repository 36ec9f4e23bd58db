/* takt run: text from a model, streamed, with an account of the machine's time. */
#include "cli/cli.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct settings {
    const char *prompt, *machine;
    enum takt_target target;
    uint32_t max_tokens, context, chunk, top_k, threads;
    const char *cpu, *pack;
    float temperature, top_p;
    uint64_t seed;
    uint64_t now;
    bool chat, all_logits, json, steps, plan;
};

struct stream {
    const struct settings *settings;
    bool terminal; /* standard error is one: progress may be shown */
    bool echoed;
    bool line_shown; /* a progress line stands on the terminal */
    char last;       /* last character written */
};

static void write_text(struct stream *stream, const char *text, size_t length)
{
    if (length > 0) {
        fwrite(text, 1, length, stdout);
        stream->last = text[length - 1];
    }
    fflush(stdout);
}

static bool on_text(void *user, const char *text, size_t length)
{
    struct stream *stream = user;
    if (!stream->settings->json) {
        write_text(stream, text, length);
    }
    return !cli_interrupted() && !ferror(stdout);
}

/* The first call comes when the prompt is known to fit: only now is it echoed. */
static void on_progress(void *user, size_t done, size_t total)
{
    struct stream *stream = user;
    const bool worth_showing = stream->terminal && total > 32;
    if (worth_showing && done < total) {
        fprintf(stderr, "\rprompt %zu/%zu", done, total);
        stream->line_shown = true;
    } else if (stream->line_shown) {
        fprintf(stderr, "\r\033[K");
        stream->line_shown = false;
    }
    const bool show_now = done == total || !worth_showing;
    if (show_now && !stream->echoed && !stream->settings->json && !stream->settings->chat) {
        write_text(stream, stream->settings->prompt, strlen(stream->settings->prompt));
    }
    stream->echoed = stream->echoed || show_now;
}

/* ---- --json ---------------------------------------------------------------------------------- */

static json_t *json_u64(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *json_steps(const struct takt_result *result)
{
    json_t *array = json_array();
    for (size_t i = 0; i < result->step_count; i++) {
        const struct takt_step *step = &result->steps[i];
        json_t *item = json_object();
        json_object_set_new(item, "kind", json_string(step->prefill ? "prefill" : "decode"));
        json_object_set_new(item, "tokens", json_u64(step->tokens));
        json_object_set_new(item, "context", json_u64(step->context));
        json_object_set_new(item, "cycles_compiled", json_u64(step->cycles_compiled));
        json_object_set_new(item, "cycles_executed", json_u64(step->cycles_executed));
        json_array_append_new(array, item);
    }
    return array;
}

static json_t *json_model(const struct takt_model_info *info)
{
    json_t *model = json_object();
    json_object_set_new(model, "path", cli_json_text(info->path, strlen(info->path)));
    json_object_set_new(model, "name", cli_json_text(info->name, strlen(info->name)));
    json_object_set_new(model, "architecture", json_string(info->architecture));
    json_object_set_new(model, "sha256", json_string(info->sha256));
    json_object_set_new(model, "layers", json_u64(info->layers));
    json_object_set_new(model, "width", json_u64(info->width));
    json_object_set_new(model, "heads", json_u64(info->heads));
    json_object_set_new(model, "kv_heads", json_u64(info->kv_heads));
    json_object_set_new(model, "head_dim", json_u64(info->head_dim));
    json_object_set_new(model, "ffn", json_u64(info->ffn));
    json_object_set_new(model, "vocab", json_u64(info->vocab));
    json_object_set_new(model, "context_trained", json_u64(info->context_trained));
    json_object_set_new(model, "context", json_u64(info->context));
    return model;
}

static json_t *json_sampling(const struct settings *settings)
{
    json_t *sampling = json_object();
    json_object_set_new(sampling, "temperature", json_real((double)settings->temperature));
    json_object_set_new(sampling, "top_k", json_u64(settings->top_k));
    json_object_set_new(sampling, "top_p", json_real((double)settings->top_p));
    json_object_set_new(sampling, "seed", json_u64(settings->seed));
    return sampling;
}

static void print_json(const struct settings *settings, const struct takt_model_info *info,
                       const struct takt_result *result)
{
    json_t *object = json_object();
    json_t *machine = json_object();
    json_object_set_new(object, "text", cli_json_text(result->text, strlen(result->text)));
    json_object_set_new(object, "prompt_tokens",
                        cli_json_ids(result->prompt_tokens, result->prompt_count));
    json_object_set_new(object, "tokens", cli_json_ids(result->tokens, result->token_count));
    json_object_set_new(object, "finish", json_string(result->finish));
    json_object_set_new(object, "logits_digest", json_string(result->logits_digest));
    json_object_set_new(object, "steps", json_steps(result));
    json_object_set_new(object, "target", json_string(cli_target_name(settings->target)));
    json_object_set_new(object, "model", json_model(info));
    json_object_set_new(machine, "name", cli_json_text(info->machine, strlen(info->machine)));
    json_object_set_new(machine, "clock_hz", json_real(info->clock_hz));
    json_object_set_new(object, "machine", machine);
    json_object_set_new(object, "program_hash", json_string(result->program_hash));
    json_object_set_new(object, "clock_hz", json_real(info->clock_hz));
    json_object_set_new(object, "sampling", json_sampling(settings));
    json_object_set_new(object, "host_seconds", json_real(result->host_seconds));
    json_object_set_new(object, "prompt_seconds", json_real(result->prompt_seconds));
    if (result->no_cycles[0] != '\0') {
        json_object_set_new(object, "no_cycles", json_string(result->no_cycles));
    }
    cli_print_json(object);
}

/* ---- the command ----------------------------------------------------------------------------- */

static int generate(const struct cli_command *command, struct takt_engine *engine,
                    const struct settings *settings)
{
    struct stream stream = {
        .settings = settings, .terminal = isatty(STDERR_FILENO) != 0, .last = '\n'};
    const struct takt_request request = {
        .prompt = settings->prompt,
        .chat = settings->chat,
        .now = settings->now > 0 ? (int64_t)settings->now : (int64_t)time(NULL),
        .max_tokens = settings->max_tokens,
        .sampling = {.temperature = settings->temperature,
                     .top_k = settings->top_k,
                     .top_p = settings->top_p,
                     .seed = settings->seed},
        .all_logits = settings->all_logits,
        .no_digest = !settings->json,
        .on_text = on_text,
        .on_progress = on_progress,
        .user = &stream,
    };
    struct takt_model_info info;
    struct takt_result result;
    struct takt_error error;
    takt_engine_info(engine, &info);
    cli_catch_interrupt();
    const enum takt_status status = takt_generate(engine, &request, &result, &error);
    if (!settings->json && stream.last != '\n') {
        putchar('\n');
    }
    if (status != TAKT_OK) {
        fflush(stdout);
        return cli_fail(command, &error);
    }
    if (settings->json) {
        print_json(settings, &info, &result);
    } else {
        fflush(stdout);
        if (settings->steps) {
            cli_print_steps(engine, &result);
        }
        cli_print_account(&info, &result);
    }
    takt_result_free(&result);
    return cli_interrupted() ? CLI_EXIT_INTERRUPTED : CLI_EXIT_OK;
}

static int print_plan(const struct takt_engine *engine, bool json)
{
    struct takt_native_info info;
    struct takt_model_info model;
    takt_native_info(engine, &info);
    takt_engine_info(engine, &model);
    const uint64_t total = info.weight_bytes + info.cache_bytes + info.rope_bytes + info.work_bytes;
    const struct {
        const char *name, *text;
        uint64_t bytes;
    } rows[] = {{"weights", "weights, packed", info.weight_bytes},
                {"cache", "keys and values of all sessions", info.cache_bytes},
                {"cache_a_session", "  of which a session", info.cache_bytes_a_session},
                {"rope", "rotary angles", info.rope_bytes},
                {"work", "work space of a pass", info.work_bytes},
                {"total", "all", total}};
    json_t *object = json_object();
    if (!json) {
        printf("%s: %s kernels, %u thread%s, %u session%s of %u tokens, passes of %u tokens\n",
               model.path, info.cpu, info.threads, info.threads == 1 ? "" : "s", info.sessions,
               info.sessions == 1 ? "" : "s", model.context, info.batch);
    }
    for (size_t i = 0; i < BASE_COUNT(rows); i++) {
        char digits[32];
        json_object_set_new(object, rows[i].name, json_u64(rows[i].bytes));
        if (!json) {
            printf("  %-34s %16s bytes\n", rows[i].text, cli_grouped(rows[i].bytes, digits));
        }
    }
    if (json) {
        json_object_set_new(object, "cpu", json_string(info.cpu));
        json_object_set_new(object, "threads", json_u64(info.threads));
        json_object_set_new(object, "sessions", json_u64(info.sessions));
        json_object_set_new(object, "batch", json_u64(info.batch));
        json_object_set_new(object, "context", json_u64(model.context));
        cli_print_json(object);
    } else {
        json_decref(object);
    }
    return CLI_EXIT_OK;
}

static int run_run(const struct cli_command *command, int argc, char **argv)
{
    struct settings settings = {.target = TAKT_TARGET_NATIVE, .max_tokens = 256, .top_p = 1.0f};
    struct cli_arguments arguments;
    struct takt_error error;
    const int parsed = cli_parse(command, argc, argv, &settings, &arguments);
    if (parsed != CLI_GO) {
        return parsed;
    }
    if (!settings.prompt && !settings.plan) {
        return cli_usage(command, "-p TEXT is missing: the prompt");
    }
    if (settings.plan && settings.target != TAKT_TARGET_NATIVE) {
        return cli_usage(command, "--plan is of the native target");
    }
    struct cli_loading loading = cli_loading(command);
    const struct takt_engine_options options = {
        .model_path = arguments.value[0],
        .machine_path = settings.machine,
        .target = settings.target,
        .context = settings.context,
        .chunk = settings.chunk,
        .threads = settings.threads,
        .sessions = 1,
        .cpu = settings.cpu,
        .cycles = true,
        .pack_path = cli_pack_path(settings.pack),
        .on_load = cli_on_load,
        .on_notice = cli_on_notice,
        .user = &loading,
    };
    struct takt_engine *engine;
    if (takt_engine_open(&engine, &options, &error) != TAKT_OK) {
        return cli_fail(command, &error);
    }
    if (settings.plan) {
        const int printed = print_plan(engine, settings.json);
        takt_engine_close(engine);
        return printed;
    }
    struct base_text input = {0};
    if (strcmp(settings.prompt, "-") == 0) {
        cli_read_input(&input);
        settings.prompt = input.data;
    }
    const int result = generate(command, engine, &settings);
    base_text_free(&input);
    takt_engine_close(engine);
    return result;
}

#define AT(member) offsetof(struct settings, member)

static const struct cli_option options[] = {
    {"-p", "--prompt", "TEXT", CLI_TEXT, AT(prompt), 0, 0, "the prompt; - reads standard input"},
    {"-n", "--tokens", "N", CLI_U32, AT(max_tokens), 0, 1048576, "most tokens to generate (256)"},
    {"--chat", NULL, NULL, CLI_FLAG, AT(chat), 0, 0,
     "wrap the prompt in the model's chat template; it is not echoed then"},
    {"--now", NULL, "SECONDS", CLI_U64, AT(now), 0, 253402300799.0,
     "the time for templates that print it, since 1970 in UTC (the clock's)"},
    {"--temp", NULL, "T", CLI_F32, AT(temperature), 0, 100,
     "temperature (0: always the likeliest token)"},
    {"--top-k", NULL, "K", CLI_U32, AT(top_k), 0, 4294967295.0,
     "draw among the K likeliest (0: all)"},
    {"--top-p", NULL, "P", CLI_F32, AT(top_p), 0, 1,
     "draw among the likeliest that together have probability P (1: all)"},
    {"--seed", NULL, "S", CLI_U64, AT(seed), 0, 9223372036854775807.0,
     "the draws are a function of the seed and the position (0)"},
    {"--ctx", NULL, "C", CLI_U32, AT(context), 1, 1048576,
     "tokens the context holds (the model's own, at most 4096)"},
    {"--chunk", NULL, "M", CLI_U32, AT(chunk), 1, 4096,
     "tokens of a prefill step (16, native 512)"},
    {"--target", NULL, "NAME", CLI_TARGET, AT(target), 0, 0,
     "native, this CPU (default); chip, the cycle-exact machine; both, compared bit for bit; or\n"
     "                      reference, the plain interpreter"},
    {"--threads", NULL, "T", CLI_U32, AT(threads), 1, 256,
     "threads: native, one a physical core; chip, 1; no bit depends on it"},
    {"--cpu", NULL, "LEVEL", CLI_TEXT, AT(cpu), 0, 0,
     "its kernels: scalar, avx2, avx_vnni, avx512, neon (the best there is)"},
    {"--pack", NULL, "FILE", CLI_TEXT, AT(pack), 0, 0, CLI_PACK_HELP},
    {"--plan", NULL, NULL, CLI_FLAG, AT(plan), 0, 0,
     "print what the native target's memory is laid out for, and no text"},
    {"--machine", NULL, "FILE", CLI_TEXT, AT(machine), 0, 0, "a machine file; tsp1 otherwise"},
    {"--all-logits", NULL, NULL, CLI_FLAG, AT(all_logits), 0, 0,
     "logits_digest covers every prompt position too"},
    {"--steps", NULL, NULL, CLI_FLAG, AT(steps), 0, 0,
     "a line for every step at the end: its positions, cycles and the token drawn"},
    {"--json", NULL, NULL, CLI_FLAG, AT(json), 0, 0,
     "print one JSON object when done, and no text"},
};

const struct cli_command cli_run = {
    .name = "run",
    .arguments = "MODEL -p TEXT [OPTION]...",
    .summary = "Generate text from a GGUF model, on this CPU or on the chip",
    .details =
        "The text goes to standard output as it is made; the account of tokens, wall time and the\n"
        "machine's own time goes to standard error. Numbers in brackets are defaults. Control\n"
        "tokens written in the prompt are taken as such.",
    .options = options,
    .option_count = BASE_COUNT(options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_run};
