/* takt template: what a model's chat template makes of messages, without running the model. */
#include "cli/cli.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct settings {
    const char *messages, *tools, *documents, *variables, *template, *name;
    uint64_t now;
    bool json, source, tokens, no_prompt;
};

/* A file's text, or standard input for "-"; NULL names leave the text empty. */
static enum takt_status read_text(const char *path, struct base_text *text,
                                  struct takt_error *error)
{
    struct base_file file;
    if (!path) {
        return TAKT_OK;
    }
    if (strcmp(path, "-") == 0) {
        cli_read_input(text);
        return TAKT_OK;
    }
    const enum takt_status status = base_file_map(&file, path, error);
    if (status != TAKT_OK) {
        return status;
    }
    base_text_append(text, (const char *)file.data, file.size_bytes);
    base_file_unmap(&file);
    return TAKT_OK;
}

/* Stretches of the text that came from the messages: [[start, end], ...] in bytes. */
static json_t *json_foreign(const struct takt_chat_text *chat)
{
    json_t *list = json_array();
    for (size_t i = 0; i < chat->length;) {
        size_t end = i;
        while (end < chat->length && chat->foreign[end] == chat->foreign[i]) {
            end++;
        }
        if (chat->foreign[i]) {
            json_array_append_new(list, json_pack("[I,I]", (json_int_t)i, (json_int_t)end));
        }
        i = end;
    }
    return list;
}

static enum takt_status print_chat(const struct takt_vocabulary *vocabulary,
                                   const struct settings *settings,
                                   const struct takt_chat_text *chat, struct takt_error *error)
{
    uint32_t *ids = NULL;
    size_t count = 0;
    enum takt_status status = TAKT_OK;
    if (settings->tokens || settings->json) {
        status = takt_chat_encode(vocabulary, chat, &ids, &count, error);
    }
    if (status == TAKT_OK && settings->json) {
        json_t *object = json_object();
        json_object_set_new(object, "text", cli_json_text(chat->text, chat->length));
        json_object_set_new(object, "foreign", json_foreign(chat));
        json_object_set_new(object, "tokens", cli_json_ids(ids, count));
        cli_print_json(object);
    } else if (status == TAKT_OK && settings->tokens) {
        for (size_t i = 0; i < count; i++) {
            printf("%s%u", i > 0 ? " " : "", ids[i]);
        }
        putchar('\n');
    } else if (status == TAKT_OK) {
        fwrite(chat->text, 1, chat->length, stdout);
    }
    free(ids);
    return status;
}

static enum takt_status print_source(const char *path, const struct takt_vocabulary *vocabulary,
                                     const struct settings *settings, struct takt_error *error)
{
    const char *wanted = settings->name ? settings->name : "", *name, *text;
    for (size_t i = 0; (text = takt_chat_template(vocabulary, i, &name)) != NULL; i++) {
        if (strcmp(name, wanted) == 0) {
            fputs(text, stdout);
            return TAKT_OK;
        }
    }
    struct base_text names = {0};
    base_text_append(&names, "", 0);
    for (size_t i = 0; takt_chat_template(vocabulary, i, &name) != NULL; i++) {
        base_text_format(&names, "%s%s", i > 0 ? ", " : "", *name ? name : "one without a name");
    }
    const enum takt_status status =
        base_fail(error, TAKT_UNSUPPORTED, "%s: it has no such chat template; it has %s", path,
                  names.length > 0 ? names.data : "none");
    base_text_free(&names);
    return status;
}

static enum takt_status show(const char *path, const struct takt_vocabulary *vocabulary,
                             const struct settings *settings, struct takt_error *error)
{
    static const char hello[] = "[{\"role\": \"user\", \"content\": \"Hello\"}]";
    const char *paths[] = {settings->messages, settings->tools, settings->documents,
                           settings->variables, settings->template};
    struct base_text texts[BASE_COUNT(paths)] = {{0}};
    enum takt_status status = TAKT_OK;
    if (settings->source) {
        return print_source(path, vocabulary, settings, error);
    }
    for (size_t i = 0; status == TAKT_OK && i < BASE_COUNT(paths); i++) {
        status = read_text(paths[i], &texts[i], error);
    }
    struct takt_chat_text chat = {0};
    const struct takt_chat_options options = {
        .tools = texts[1].data,
        .documents = texts[2].data,
        .variables = texts[3].data,
        .template_source = texts[4].data,
        .template_name = settings->name,
        .add_generation_prompt = !settings->no_prompt,
        .now = settings->now > 0 ? (int64_t)settings->now : (int64_t)time(NULL),
    };
    if (status == TAKT_OK) {
        status = takt_chat_render(vocabulary, texts[0].data ? texts[0].data : hello, &options,
                                  &chat, error);
    }
    if (status == TAKT_OK) {
        status = print_chat(vocabulary, settings, &chat, error);
    }
    takt_chat_text_free(&chat);
    for (size_t i = 0; i < BASE_COUNT(texts); i++) {
        base_text_free(&texts[i]);
    }
    return status;
}

static int run_template(const struct cli_command *command, int argc, char **argv)
{
    struct settings settings = {0};
    struct cli_arguments arguments;
    struct takt_error error;
    struct takt_vocabulary *vocabulary;
    const int parsed = cli_parse(command, argc, argv, &settings, &arguments);
    if (parsed != CLI_GO) {
        return parsed;
    }
    if (takt_vocabulary_open(&vocabulary, arguments.value[0], &error) != TAKT_OK) {
        return cli_fail(command, &error);
    }
    const enum takt_status status = show(arguments.value[0], vocabulary, &settings, &error);
    takt_vocabulary_close(vocabulary);
    return status == TAKT_OK ? CLI_EXIT_OK : cli_fail(command, &error);
}

#define AT(member) offsetof(struct settings, member)

static const struct cli_option options[] = {
    {"--messages", "-m", "FILE", CLI_TEXT, AT(messages), 0, 0,
     "a JSON array of messages; - reads standard input (one \"Hello\" of the user)"},
    {"--tools", NULL, "FILE", CLI_TEXT, AT(tools), 0, 0, "a JSON array of tools"},
    {"--documents", NULL, "FILE", CLI_TEXT, AT(documents), 0, 0, "a JSON array of documents"},
    {"--variables", NULL, "FILE", CLI_TEXT, AT(variables), 0, 0,
     "a JSON object of more variables, such as enable_thinking"},
    {"--name", NULL, "NAME", CLI_TEXT, AT(name), 0, 0, "the template of that name"},
    {"--template", NULL, "FILE", CLI_TEXT, AT(template), 0, 0,
     "a Jinja file in place of the model's template"},
    {"--no-prompt", NULL, NULL, CLI_FLAG, AT(no_prompt), 0, 0,
     "leave out the beginning of the assistant's turn"},
    {"--now", NULL, "SECONDS", CLI_U64, AT(now), 0, 253402300799.0,
     "the time that templates print, since 1970 in UTC (the clock's)"},
    {"--tokens", NULL, NULL, CLI_FLAG, AT(tokens), 0, 0,
     "print the token ids in place of the text"},
    {"--source", NULL, NULL, CLI_FLAG, AT(source), 0, 0, "print the template itself"},
    {"--json", NULL, NULL, CLI_FLAG, AT(json), 0, 0,
     "print one object: the text, the ids, and which bytes are the messages' own"},
};

const struct cli_command cli_template = {
    .name = "template",
    .arguments = "MODEL [OPTION]...",
    .summary = "Print what a model's chat template makes of messages",
    .details =
        "MODEL is a GGUF file, a vocabulary alone, or a Hugging Face folder. Numbers in brackets\n"
        "and what else stands there are defaults.\n"
        "\n"
        "  takt template models/fable/fable-q8_0.gguf\n"
        "  echo '[{\"role\": \"user\", \"content\": \"Hi\"}]' | takt template MODEL -m -\n"
        "  takt template MODEL --messages chat.json --tools tools.json --tokens",
    .options = options,
    .option_count = BASE_COUNT(options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_template};
