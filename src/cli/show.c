/* takt show: what is in a model, whether takt runs it, and where it fits. */
#include "cli/cli.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct settings {
    const char *machine;
    uint32_t context;
    bool json, tensors, metadata;
};

static const char *text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value ? value : "-";
}

static uint64_t number(const json_t *object, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(object, key));
}

static bool is_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

static const char *grouped(const json_t *object, const char *key, char buffer[32])
{
    return cli_grouped(number(object, key), buffer);
}

/* ---- the parts ------------------------------------------------------------------------------- */

/* Control characters of a file's text would act on the terminal. */
static void print_plain(const char *value)
{
    for (; *value; value++) {
        putchar((unsigned char)*value < 0x20 || *value == 0x7F ? ' ' : *value);
    }
}

static void print_metadata(const json_t *metadata)
{
    const char *key;
    json_t *value;
    printf("\nmetadata\n");
    json_object_foreach((json_t *)(uintptr_t)metadata, key, value)
    {
        char *shown =
            json_is_string(value)
                ? NULL
                : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(7));
        printf("  ");
        print_plain(key);
        printf(" = ");
        print_plain(shown ? shown : json_string_value(value));
        printf("\n");
        free(shown);
    }
}

static void print_types(const json_t *object)
{
    size_t i;
    json_t *entry;
    char parameters[32], bytes[32];
    json_array_foreach(json_object_get(object, "tensor_types"), i, entry)
    {
        printf("  %-9s %5llu tensors %18s parameters %18s bytes\n", text(entry, "type"),
               (unsigned long long)number(entry, "tensors"),
               grouped(entry, "parameters", parameters), grouped(entry, "bytes", bytes));
    }
}

static void print_tensors(const json_t *tensors)
{
    size_t i, d;
    json_t *entry, *size;
    printf("\ntensors\n");
    json_array_foreach(tensors, i, entry)
    {
        char shape[96] = "";
        json_array_foreach(json_object_get(entry, "shape"), d, size)
        {
            const size_t length = strlen(shape);
            snprintf(shape + length, sizeof shape - length, "%s%lld", d > 0 ? " x " : "",
                     (long long)json_integer_value(size));
        }
        printf("  %-9s %-22s ", text(entry, "type"), shape);
        print_plain(text(entry, "name"));
        printf("\n");
    }
}

static void print_model(const json_t *object)
{
    char buffer[32];
    const json_t *tokenizer = json_object_get(object, "tokenizer");
    printf(
        "%s: %s, %llu layers, width %llu, %llu heads of %llu (%llu KV), ffn %llu\n",
        text(object, "architecture"), text(object, "name"),
        (unsigned long long)number(object, "layers"), (unsigned long long)number(object, "width"),
        (unsigned long long)number(object, "heads"), (unsigned long long)number(object, "head_dim"),
        (unsigned long long)number(object, "kv_heads"), (unsigned long long)number(object, "ffn"));
    printf("context %s%s", grouped(object, "context", buffer),
           number(object, "window") ? ", a window of " : "");
    if (number(object, "window")) {
        printf("%s in some layers or all", grouped(object, "window", buffer));
    }
    printf("; tokenizer %s%s%s of %s; %s chat template\n", text(tokenizer, "model"),
           json_object_get(tokenizer, "pre") ? " " : "",
           json_object_get(tokenizer, "pre") ? text(tokenizer, "pre") : "",
           grouped(tokenizer, "vocab", buffer), is_true(object, "chat_template") ? "with a" : "no");
}

static void print_fit(const json_t *object)
{
    char weights[32], memory[32], bytes[32];
    const json_t *chip = json_object_get(object, "chip"),
                 *native = json_object_get(object, "native");
    if (is_true(chip, "ok")) {
        printf("chip    one %s: %s bytes of weights in %s, a context of %llu\n",
               text(chip, "machine"), grouped(chip, "weight_bytes", weights),
               grouped(chip, "memory_bytes", memory), (unsigned long long)number(chip, "context"));
    } else {
        printf("chip    no: %s\n", text(chip, "why"));
    }
    printf("native  %s bytes: weights %s, and %llu a token of context, %llu of them\n",
           grouped(native, "bytes", bytes), grouped(native, "weight_bytes", weights),
           (unsigned long long)number(native, "kv_bytes_a_token"),
           (unsigned long long)number(native, "context"));
}

static void print_all(const json_t *object, const struct settings *settings)
{
    char parameters[32], bytes[32];
    printf("%s: %s", text(object, "path"),
           strcmp(text(object, "kind"), "gguf") == 0 ? "GGUF" : "Hugging Face folder");
    if (json_object_get(object, "version")) {
        printf(" version %llu", (unsigned long long)number(object, "version"));
    }
    printf(", %llu file%s, %s bytes, %s parameters\n", (unsigned long long)number(object, "files"),
           number(object, "files") == 1 ? "" : "s", grouped(object, "bytes", bytes),
           grouped(object, "parameters", parameters));
    const json_t *runs = json_object_get(object, "runs");
    if (is_true(runs, "ok")) {
        print_model(object);
    }
    print_types(object);
    if (is_true(runs, "ok")) {
        print_fit(object);
    } else {
        printf("does not run: %s\n", text(runs, "why"));
    }
    if (settings->metadata) {
        print_metadata(json_object_get(object, "metadata"));
    }
    if (settings->tensors) {
        print_tensors(json_object_get(object, "tensors"));
    }
}

/* ---- the command ----------------------------------------------------------------------------- */

static int run_show(const struct cli_command *command, int argc, char **argv)
{
    struct settings settings = {0};
    struct cli_arguments arguments;
    const int result = cli_parse(command, argc, argv, &settings, &arguments);
    if (result != CLI_GO) {
        return result;
    }
    struct takt_error error;
    char *json = NULL;
    const struct takt_show_options options = {.model_path = arguments.value[0],
                                              .machine_path = settings.machine,
                                              .context = settings.context};
    if (takt_show_model(&options, &json, &error) != TAKT_OK) {
        return cli_fail(command, &error);
    }
    if (settings.json) {
        puts(json);
    } else {
        json_t *object = json_loads(json, 0, NULL);
        if (object) {
            print_all(object, &settings);
        }
        json_decref(object);
    }
    free(json);
    return CLI_EXIT_OK;
}

#define AT(member) offsetof(struct settings, member)

static const struct cli_option options[] = {
    {"--tensors", NULL, NULL, CLI_FLAG, AT(tensors), 0, 0, "list every tensor"},
    {"--metadata", NULL, NULL, CLI_FLAG, AT(metadata), 0, 0,
     "list the keys of the file, or of config.json"},
    {"--machine", NULL, "FILE", CLI_TEXT, AT(machine), 0, 0, "the machine it should fit (tsp1)"},
    {"--ctx", NULL, "C", CLI_U32, AT(context), 1, 1048576,
     "the context that should fit (the model's, at most 4096)"},
    {"--json", NULL, NULL, CLI_FLAG, AT(json), 0, 0, "print all of it as one line of JSON"},
};

const struct cli_command cli_show = {
    .name = "show",
    .arguments = "MODEL [OPTION]...",
    .summary = "Print what is in a model, whether takt runs it and where it fits",
    .details =
        "MODEL is a GGUF file (the first of several parts, or any of them) or a folder with\n"
        "config.json and safetensors.\n"
        "\n"
        "  takt show model-Q4_K_M.gguf\n"
        "  takt show model/ --tensors\n"
        "  takt show model.gguf --json | jq .tensor_types",
    .options = options,
    .option_count = BASE_COUNT(options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_show};
