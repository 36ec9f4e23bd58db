/* takt serve: models behind an HTTP API, until told to stop. */
#include "cli/cli.h"

#include "serve/serve.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Tells a service manager that waits for it, as systemd does, how far the server is: a datagram to
 * the socket that it named. Whether anybody listens is not ours to mind. */
static void tell_manager(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const size_t length = path ? strlen(path) : 0;
    if (length < 2 || length >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@')) {
        return;
    }
    memcpy(address.sun_path, path, length);
    if (path[0] == '@') { /* an abstract name begins with a zero byte */
        address.sun_path[0] = '\0';
    }
    const int handle = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (handle >= 0) {
        sendto(handle, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&address,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
        close(handle);
    }
}

static int run_serve(const struct cli_command *command, int argc, char **argv)
{
    struct serve_options settings;
    struct cli_arguments arguments;
    struct takt_error error;
    serve_defaults(&settings);
    const int parsed = cli_parse(command, argc, argv, &settings, &arguments);
    if (parsed != CLI_GO) {
        return parsed;
    }
    struct cli_loading loading = cli_loading(command);
    settings.engine.pack_path = cli_pack_path(settings.engine.pack_path);
    settings.engine.on_load = cli_on_load;
    settings.engine.on_notice = cli_on_notice;
    settings.engine.user = &loading; /* models are opened before serve_start returns */
    settings.model_count = arguments.count;
    memcpy(settings.model_paths, arguments.value, sizeof arguments.value);
    /* Threads of the server inherit the mask: the signals come here and nowhere else. */
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    struct serve_server *server;
    if (serve_start(&server, &settings, &error) != TAKT_OK) {
        return cli_fail(command, &error);
    }
    const bool six = strchr(settings.host, ':') != NULL;
    printf("takt: listening on http://%s%s%s:%u\n", six ? "[" : "", settings.host, six ? "]" : "",
           serve_port(server));
    fflush(stdout);
    tell_manager("READY=1");
    int signal_number;
    sigwait(&signals, &signal_number);
    tell_manager("STOPPING=1");
    fprintf(stderr, "takt serve: stopping; answers that run have %u s\n", settings.drain_seconds);
    /* A second signal ends the process at once. */
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
    serve_stop(server);
    return CLI_EXIT_OK;
}

#define AT(member) offsetof(struct serve_options, member)
#define U32_MAX 4294967295.0

static const struct cli_option options[] = {
    {"--host", NULL, "ADDRESS", CLI_TEXT, AT(host), 0, 0, "the address to listen on (127.0.0.1)"},
    {"--port", "-p", "PORT", CLI_U32, AT(port), 0, 65535, "the port; 0: any free one (8080)"},
    {"--target", NULL, "NAME", CLI_TARGET, AT(engine.target), 0, 0,
     "what computes: native, this CPU (default), chip, the cycle-exact machine, or reference; the "
     "bytes are the same"},
    {"--slots", NULL, "N", CLI_U32, AT(slots), 1, 1024, "answers made at once, per model (16)"},
    {"--ctx", NULL, "C", CLI_U32, AT(engine.context), 1, 1048576,
     "tokens a slot holds (the model's own, at most 4096)"},
    {"--chunk", NULL, "M", CLI_U32, AT(engine.chunk), 1, 256, "tokens of a prefill step (16)"},
    {"--threads", NULL, "T", CLI_U32, AT(engine.threads), 1, 1024,
     "threads of the native target (one a physical core)"},
    {"--machine", NULL, "FILE", CLI_TEXT, AT(engine.machine_path), 0, 0,
     "a machine file; tsp1 otherwise"},
    {"--pack", NULL, "FILE", CLI_TEXT, AT(engine.pack_path), 0, 0, CLI_PACK_HELP},
    {"--queue", NULL, "N", CLI_U32, AT(queue), 1, 1048576,
     "requests that may wait, per model; beyond: 503 (256)"},
    {"--connections", NULL, "N", CLI_U32, AT(connections), 1, 1048576,
     "open connections, at most (1024)"},
    {"--max-body", NULL, "BYTES", CLI_U32, AT(body_bytes), 1024, U32_MAX,
     "of a JSON body; beyond: 413 (8388608)"},
    {"--max-file", NULL, "BYTES", CLI_U32, AT(file_bytes), 1024, U32_MAX,
     "of an uploaded file; beyond: 413 (134217728)"},
    {"--read-timeout", NULL, "S", CLI_U32, AT(read_seconds), 1, 86400,
     "seconds in which a request must arrive whole (30)"},
    {"--answer-timeout", NULL, "S", CLI_U32, AT(answer_seconds), 0, 604800,
     "seconds an answer may take, waiting included; 0: no limit (600)"},
    {"--drain", NULL, "S", CLI_U32, AT(drain_seconds), 0, 86400,
     "seconds that running answers have when the server is told to stop (30)"},
    {"--api-keys", NULL, "FILE", CLI_TEXT, AT(keys_path), 0, 0,
     "keys that clients must show, one a line; without: none is asked for"},
    {"--rpm", NULL, "N", CLI_U32, AT(requests_per_minute), 0, U32_MAX,
     "requests a minute for each key, or address (0: no limit)"},
    {"--tpm", NULL, "N", CLI_U32, AT(tokens_per_minute), 0, U32_MAX,
     "tokens a minute for each key, or address (0: no limit)"},
    {"--cors", NULL, "ORIGIN", CLI_TEXT, AT(cors_origin), 0, 0,
     "let pages of this origin (* for any) use the API"},
    {"--log", NULL, "FILE", CLI_TEXT, AT(log_path), 0, 0,
     "a JSON line for each request; - for standard error (off)"},
    {"--data", NULL, "FOLDER", CLI_TEXT, AT(data_path), 0, 0,
     "where files and batches are kept; without: they are not served"},
    {"--no-prefix-cache", NULL, NULL, CLI_FLAG, AT(no_prefix_cache), 0, 0,
     "run every prompt from its first token"},
};

const struct cli_command cli_serve = {
    .name = "serve",
    .arguments = "MODEL... [OPTION]...",
    .summary = "Serve models over an OpenAI-compatible HTTP API",
    .details =
        "Clients use http://HOST:PORT/v1 (or /openai/v1) as their base URL and a model's file "
        "name\n"
        "without .gguf as its name. The page at / lets a person try it and look at the machine.\n"
        "SIGTERM and Ctrl-C finish what runs, then stop; a second one stops at once.\n"
        "\n"
        "  takt serve models/fable/fable-q8_0.gguf\n"
        "  curl localhost:8080/v1/chat/completions -d '{\"model\": \"fable-q8_0\",\n"
        "      \"messages\": [{\"role\": \"user\", \"content\": \"Tell me a story.\"}]}'",
    .options = options,
    .option_count = BASE_COUNT(options),
    .arguments_min = 1,
    .arguments_max = CLI_ARGUMENTS_MAX,
    .run = run_serve};
