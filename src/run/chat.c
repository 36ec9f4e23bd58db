/* Chats: JSON from the caller through the model's template to text and ids. */
#include "run/run.h"

#include "model/chat.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

const struct takt_vocabulary *takt_engine_vocabulary(const struct takt_engine *engine)
{
    return &engine->vocabulary;
}

/* NULL text is no JSON at all: *json stays NULL. */
static enum takt_status parse(const char *what, const char *text, json_t **json,
                              struct takt_error *error)
{
    json_error_t problem;
    *json = NULL;
    if (!text) {
        return TAKT_OK;
    }
    *json = json_loads(text, JSON_DECODE_ANY, &problem);
    if (!*json) {
        return base_fail(error, TAKT_USAGE, "%s: line %d, column %d: %s; JSON is expected", what,
                         problem.line, problem.column, problem.text);
    }
    return TAKT_OK;
}

static enum takt_status render(const struct takt_vocabulary *vocabulary,
                               const struct chat_request *request, struct takt_chat_text *chat,
                               struct takt_error *error)
{
    struct base_text text = {0}, marks = {0};
    base_text_append(&text, "", 0);
    base_text_append(&marks, "", 0);
    const enum takt_status status =
        chat_render(vocabulary->tokenizer, vocabulary->path, request, &text, &marks, error);
    if (status != TAKT_OK) {
        base_text_free(&text);
        base_text_free(&marks);
        return status;
    }
    chat->text = text.data;
    chat->length = text.length;
    chat->foreign = (unsigned char *)marks.data;
    return TAKT_OK;
}

enum takt_status takt_chat_render(const struct takt_vocabulary *vocabulary, const char *messages,
                                  const struct takt_chat_options *options,
                                  struct takt_chat_text *chat, struct takt_error *error)
{
    json_t *parts[4] = {NULL, NULL, NULL, NULL};
    *chat = (struct takt_chat_text){0};
    enum takt_status status = parse("messages", messages, &parts[0], error);
    if (status == TAKT_OK) {
        status = parse("tools", options->tools, &parts[1], error);
    }
    if (status == TAKT_OK) {
        status = parse("documents", options->documents, &parts[2], error);
    }
    if (status == TAKT_OK) {
        status = parse("variables", options->variables, &parts[3], error);
    }
    if (status == TAKT_OK) {
        const struct chat_request request = {
            .messages = parts[0],
            .tools = parts[1],
            .documents = parts[2],
            .variables = parts[3],
            .template_name = options->template_name,
            .template_source = options->template_source,
            .add_generation_prompt = options->add_generation_prompt,
            .now = options->now,
        };
        status = render(vocabulary, &request, chat, error);
    }
    for (size_t i = 0; i < BASE_COUNT(parts); i++) {
        json_decref(parts[i]);
    }
    return status;
}

enum takt_status takt_chat_encode(const struct takt_vocabulary *vocabulary,
                                  const struct takt_chat_text *chat, uint32_t **ids, size_t *count,
                                  struct takt_error *error)
{
    return tokenizer_encode_chat(vocabulary->tokenizer, chat->text, chat->foreign, chat->length,
                                 ids, count, error);
}

void takt_chat_text_free(struct takt_chat_text *chat)
{
    free(chat->text);
    free(chat->foreign);
    *chat = (struct takt_chat_text){0};
}

enum takt_status takt_chat_message(const struct takt_vocabulary *vocabulary, const char *message,
                                   int64_t now, struct takt_chat_text *chat,
                                   struct takt_error *error)
{
    *chat = (struct takt_chat_text){0};
    json_t *messages = json_pack("[{s:s,s:s}]", "role", "user", "content", message);
    if (!messages) {
        return base_fail(error, TAKT_USAGE, "%s: the message is not UTF-8 text", vocabulary->path);
    }
    const struct chat_request request = {
        .messages = messages, .add_generation_prompt = true, .now = now};
    const enum takt_status status = render(vocabulary, &request, chat, error);
    json_decref(messages);
    return status;
}

enum takt_status takt_chat_prompt(const struct takt_engine *engine, const char *message,
                                  char **text, struct takt_error *error)
{
    struct takt_chat_text chat;
    const enum takt_status status =
        takt_chat_message(&engine->vocabulary, message, 0, &chat, error);
    *text = chat.text;
    free(chat.foreign);
    return status;
}

const char *takt_chat_template(const struct takt_vocabulary *vocabulary, size_t index,
                               const char **name)
{
    const struct tokenizer_template *found = tokenizer_template_at(vocabulary->tokenizer, index);
    if (!found) {
        return NULL;
    }
    *name = found->name;
    return found->text;
}
