/* takt verify: is a stored answer what the request gives? */
#include "cli/cli.h"

#include "serve/serve.h"

#include <glob.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct settings {
    const char *model, *machine;
    enum takt_target target;
    uint32_t context;
    bool json;
};

/* The model's file, by the name that the answer gives, in the places where models are kept. */
static char *find_model(const char *response, size_t length)
{
    static const char *const places[] = {"%s.gguf", "models/%s.gguf", "models/*/%s.gguf",
                                         "*/%s.gguf"};
    const char *brace = memchr(response, '{', length); /* a stream begins with "data: " */
    json_t *json =
        brace ? json_loadb(brace, length - (size_t)(brace - response), JSON_DISABLE_EOF_CHECK, NULL)
              : NULL;
    const char *name = json_string_value(json_object_get(json, "model"));
    char *found = NULL;
    for (size_t i = 0; name && !found && i < BASE_COUNT(places); i++) {
        char pattern[512];
        glob_t matches;
        const char *star = strstr(places[i], "%s");
        snprintf(pattern, sizeof pattern, "%.*s%s%s", (int)(star - places[i]), places[i], name,
                 star + 2);
        if (glob(pattern, 0, NULL, &matches) == 0) {
            found = strdup(matches.gl_pathv[0]);
            globfree(&matches);
        }
    }
    json_decref(json);
    return found;
}

static int verify(const struct cli_command *command, const struct settings *settings,
                  const struct base_file *request, const struct base_file *response)
{
    struct takt_error error;
    const char *stored = (const char *)response->data;
    char *found =
        settings->model ? strdup(settings->model) : find_model(stored, response->size_bytes);
    if (!found) {
        return cli_usage(command, "the model that answered is not here; name it with --model FILE");
    }
    const struct takt_engine_options options = {.model_path = found,
                                                .machine_path = settings->machine,
                                                .target = settings->target,
                                                .context = settings->context};
    bool agree;
    char *report;
    const enum takt_status status =
        serve_verify(&options, (const char *)request->data, request->size_bytes, stored,
                     response->size_bytes, &agree, &report, &error);
    int code = status == TAKT_OK && agree ? CLI_EXIT_OK : CLI_EXIT_ERROR;
    if (status != TAKT_OK) {
        code = cli_fail(command, &error);
    } else if (settings->json) {
        cli_print_json(
            json_pack("{s:b, s:s, s:s}", "agree", agree, "model", found, "report", report));
    } else {
        printf("%s%s: %s\n", report, found,
               agree ? "the bits agree" : "the answer is NOT what the request gives");
    }
    free(report);
    free(found);
    return code;
}

static int run_verify(const struct cli_command *command, int argc, char **argv)
{
    struct settings settings = {.target = TAKT_TARGET_NATIVE};
    struct cli_arguments arguments;
    struct takt_error error;
    struct base_file request = {0}, response = {0};
    const int parsed = cli_parse(command, argc, argv, &settings, &arguments);
    if (parsed != CLI_GO) {
        return parsed;
    }
    int code = CLI_EXIT_ERROR;
    if (base_file_map(&request, arguments.value[0], &error) != TAKT_OK ||
        base_file_map(&response, arguments.value[1], &error) != TAKT_OK) {
        code = cli_fail(command, &error);
    } else {
        code = verify(command, &settings, &request, &response);
    }
    base_file_unmap(&request);
    base_file_unmap(&response);
    return code;
}

#define AT(member) offsetof(struct settings, member)

static const struct cli_option options[] = {
    {"--model", "-m", "FILE", CLI_TEXT, AT(model), 0, 0,
     "the model; otherwise looked for by the answer's name here and in models/"},
    {"--target", NULL, "NAME", CLI_TARGET, AT(target), 0, 0,
     "what computes: native (default), chip or reference"},
    {"--ctx", NULL, "C", CLI_U32, AT(context), 1, 1048576, "the server's --ctx, if it had one"},
    {"--machine", NULL, "FILE", CLI_TEXT, AT(machine), 0, 0, "the server's machine file"},
    {"--json", NULL, NULL, CLI_FLAG, AT(json), 0, 0, "print one JSON object"},
};

const struct cli_command cli_verify = {
    .name = "verify",
    .arguments = "REQUEST.json RESPONSE.json [OPTION]...",
    .summary = "Answer a stored request again and say whether the bits agree",
    .details =
        "REQUEST.json is the body that was sent to takt serve, RESPONSE.json what came back: one\n"
        "object, or a stream as curl prints it. Exit 0: text, counts and the digest of the logits\n"
        "agree; 1: they do not.\n"
        "\n"
        "  curl -s localhost:8080/v1/chat/completions -d @request.json >response.json\n"
        "  takt verify request.json response.json",
    .options = options,
    .option_count = BASE_COUNT(options),
    .arguments_min = 2,
    .arguments_max = 2,
    .run = run_verify};
