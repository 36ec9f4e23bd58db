/* What the model reads: messages through its chat template, or a plain prompt, as tokens. */
#include "serve/internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- messages -------------------------------------------------------------------------------- */

/* The text of a message's content: a string, or parts of type text one after the other. */
static bool content_text(const json_t *content, size_t index, struct base_text *out,
                         struct serve_failure *failure)
{
    char param[64];
    snprintf(param, sizeof param, "messages[%zu].content", index);
    base_text_append(out, "", 0);
    if (json_is_string(content)) {
        base_text_append(out, json_string_value(content), json_string_length(content));
        return true;
    }
    if (!json_is_array(content)) {
        return serve_fail(failure, 400, "invalid_type", param,
                          "Invalid type for '%s': expected a string or an array of parts.", param);
    }
    for (size_t i = 0; i < json_array_size(content); i++) {
        const json_t *part = json_array_get(content, i);
        const char *type = json_string_value(json_object_get(part, "type"));
        const json_t *text = json_object_get(part, "text");
        if (!type || strcmp(type, "text") != 0) {
            return serve_fail(failure, 400, "invalid_value", param,
                              "Invalid '%s': part %zu is of type '%.40s'; this model reads parts "
                              "of type 'text' only.",
                              param, i, type ? type : "");
        }
        if (!json_is_string(text)) {
            return serve_fail(failure, 400, "invalid_type", param,
                              "Invalid '%s': the 'text' of part %zu must be a string.", param, i);
        }
        base_text_append(out, json_string_value(text), json_string_length(text));
    }
    return true;
}

static bool check_role(const json_t *message, size_t index, const char **role,
                       struct serve_failure *failure)
{
    static const char *const roles[] = {"system", "developer", "user", "assistant", "tool"};
    char param[64];
    snprintf(param, sizeof param, "messages[%zu]", index);
    if (!json_is_object(message)) {
        return serve_fail(failure, 400, "invalid_type", param,
                          "Invalid type for '%s': expected an object.", param);
    }
    *role = json_string_value(json_object_get(message, "role"));
    for (size_t i = 0; *role && i < BASE_COUNT(roles); i++) {
        if (strcmp(*role, roles[i]) == 0) {
            return true;
        }
    }
    snprintf(param, sizeof param, "messages[%zu].role", index);
    return serve_fail(failure, 400, "invalid_value", param,
                      "Invalid '%s': %s%.40s%s; 'system', 'developer', 'user', 'assistant' or "
                      "'tool' is expected.",
                      param, *role ? "'" : "", *role ? *role : "missing", *role ? "'" : "");
}

static void open_arguments(json_t *message);

/* The chat template's view of a message: the same, content as one string, developer as system. */
static bool plain_message(const json_t *message, size_t index, json_t *list,
                          struct serve_failure *failure)
{
    const char *role = NULL;
    if (!check_role(message, index, &role, failure)) {
        return false;
    }
    const json_t *content = json_object_get(message, "content");
    const bool calls = json_object_get(message, "tool_calls") != NULL;
    struct base_text text = {0};
    base_text_append(&text, "", 0);
    if (!content || json_is_null(content)) {
        if (strcmp(role, "assistant") != 0 || !calls) {
            base_text_free(&text);
            char param[64];
            snprintf(param, sizeof param, "messages[%zu].content", index);
            return serve_fail(failure, 400, "missing_required_parameter", param,
                              "Missing required parameter: '%s'.", param);
        }
    } else if (!content_text(content, index, &text, failure)) {
        base_text_free(&text);
        return false;
    }
    json_t *copy = json_copy((json_t *)(uintptr_t)message);
    if (strcmp(role, "developer") == 0) {
        json_object_set_new(copy, "role", json_string("system"));
    }
    json_object_set_new(copy, "content", json_stringn(text.data, text.length));
    open_arguments(copy);
    json_array_append_new(list, copy);
    base_text_free(&text);
    return true;
}

/* The messages as the template wants them; NULL after a failure. */
static json_t *plain_messages(const struct serve_request *request, struct serve_failure *failure)
{
    const json_t *messages = json_object_get(request->root, "messages");
    if (!messages || json_is_null(messages)) {
        serve_fail(failure, 400, "missing_required_parameter", "messages",
                   "Missing required parameter: 'messages'.");
        return NULL;
    }
    if (!json_is_array(messages)) {
        serve_fail(failure, 400, "invalid_type", "messages",
                   "Invalid type for 'messages': expected an array.");
        return NULL;
    }
    if (json_array_size(messages) == 0) {
        serve_fail(failure, 400, "invalid_value", "messages",
                   "Invalid 'messages': at least one message is expected.");
        return NULL;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(messages); i++) {
        if (!plain_message(json_array_get(messages, i), i, list, failure)) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* ---- tools ----------------------------------------------------------------------------------- */

/* Arguments of earlier calls are text for clients; templates want the object. */
static void open_arguments(json_t *message)
{
    const json_t *calls = json_object_get(message, "tool_calls");
    if (!json_is_array(calls)) {
        return;
    }
    json_t *copy = json_deep_copy(calls);
    for (size_t i = 0; i < json_array_size(copy); i++) {
        json_t *function = json_object_get(json_array_get(copy, i), "function");
        const char *text = json_string_value(json_object_get(function, "arguments"));
        json_t *object = text ? json_loads(text, 0, NULL) : NULL;
        if (object) {
            json_object_set_new(function, "arguments", object);
        }
    }
    json_object_set_new(message, "tool_calls", copy);
}

/* Does a template of the file speak of tools itself? */
static bool template_knows_tools(const struct serve_model *model)
{
    const char *name;
    const struct takt_vocabulary *vocabulary = takt_engine_vocabulary(model->engine);
    const char *source;
    for (size_t i = 0; (source = takt_chat_template(vocabulary, i, &name)) != NULL; i++) {
        if (strstr(source, "tools")) {
            return true;
        }
    }
    return false;
}

/* For templates that do not: what the tools are, in a system message of its own or the first one.
 */
static void describe_tools(const struct serve_request *request, json_t *messages)
{
    struct base_text text = {0};
    json_t *first = json_array_get(messages, 0);
    const char *role = json_string_value(json_object_get(first, "role"));
    const bool system = role && strcmp(role, "system") == 0;
    if (system) {
        base_text_format(&text, "%s\n\n", json_string_value(json_object_get(first, "content")));
    }
    base_text_format(&text, "You can call functions. To call one, write\n" TAKT_TOOL_BEGIN
                            "NAME" TAKT_TOOL_MIDDLE "ARGUMENTS" TAKT_TOOL_END "\nThe functions:");
    for (size_t i = 0; i < json_array_size(request->tools); i++) {
        const json_t *function = json_object_get(json_array_get(request->tools, i), "function");
        char *line = json_dumps(function, JSON_COMPACT);
        base_text_format(&text, "\n%s", line ? line : "");
        free(line);
    }
    json_t *content = json_stringn(text.data, text.length);
    if (system) {
        json_object_set_new(first, "content", content);
    } else {
        json_array_insert_new(messages, 0,
                              json_pack("{s:s, s:o}", "role", "system", "content", content));
    }
    base_text_free(&text);
}

/* ---- rendering ------------------------------------------------------------------------------- */

/* Messages to tokens, by the model's chat template. */
static bool render(struct serve_request *request, json_t *messages, struct serve_failure *failure)
{
    const struct takt_vocabulary *vocabulary = takt_engine_vocabulary(request->model->engine);
    char *tools = NULL;
    if (request->tool_choice != SERVE_TOOLS_NONE) {
        if (template_knows_tools(request->model)) {
            tools = json_dumps(request->tools, JSON_COMPACT);
        } else {
            describe_tools(request, messages);
        }
    }
    const struct takt_chat_options options = {
        .tools = tools, .add_generation_prompt = true, .now = request->now};
    struct takt_chat_text chat = {0};
    struct takt_error error;
    char *text = json_dumps(messages, JSON_COMPACT);
    enum takt_status status =
        takt_chat_render(vocabulary, text ? text : "", &options, &chat, &error);
    if (status == TAKT_OK) {
        status =
            takt_chat_encode(vocabulary, &chat, &request->prompt, &request->prompt_count, &error);
    }
    takt_chat_text_free(&chat);
    free(text);
    free(tools);
    if (status != TAKT_OK) {
        return serve_fail(failure, status == TAKT_MEMORY ? 500 : 400, "invalid_messages",
                          "messages", "%s", error.message);
    }
    return true;
}

/* ---- tokens ---------------------------------------------------------------------------------- */

static bool tokenize(struct serve_request *request, const char *text, size_t length,
                     struct serve_failure *failure)
{
    struct takt_error error;
    if (takt_tokenize(request->model->engine, text, length, true, true, &request->prompt,
                      &request->prompt_count, &error) != TAKT_OK) {
        return serve_fail(failure, error.status == TAKT_MEMORY ? 500 : 400, NULL,
                          request->chat ? "messages" : "prompt", "%s", error.message);
    }
    return true;
}

static bool prompt_ids(struct serve_request *request, const json_t *ids,
                       struct serve_failure *failure)
{
    const size_t count = json_array_size(ids);
    request->prompt = calloc(count + 1, sizeof *request->prompt);
    BASE_ASSERT(request->prompt);
    for (size_t i = 0; i < count; i++) {
        const json_t *id = json_array_get(ids, i);
        const json_int_t value = json_is_integer(id) ? json_integer_value(id) : -1;
        if (value < 0 || value >= (json_int_t)request->model->info.vocab) {
            return serve_fail(failure, 400, "invalid_value", "prompt",
                              "Invalid 'prompt': item %zu is not a token id of this model (0 to "
                              "%u).",
                              i, request->model->info.vocab - 1);
        }
        request->prompt[i] = (uint32_t)value;
    }
    request->prompt_count = count;
    return true;
}

static bool read_prompt(struct serve_request *request, struct serve_failure *failure)
{
    const json_t *prompt = json_object_get(request->root, "prompt");
    if (!prompt || json_is_null(prompt)) {
        return serve_fail(failure, 400, "missing_required_parameter", "prompt",
                          "Missing required parameter: 'prompt'.");
    }
    if (json_is_array(prompt) && json_array_size(prompt) > 0 &&
        json_is_integer(json_array_get(prompt, 0))) {
        return prompt_ids(request, prompt, failure);
    }
    if (json_is_array(prompt)) {
        if (json_array_size(prompt) != 1) {
            return serve_fail(failure, 400, "invalid_value", "prompt",
                              "Invalid 'prompt': %zu prompts; one is supported in a request.",
                              json_array_size(prompt));
        }
        prompt = json_array_get(prompt, 0);
    }
    if (!json_is_string(prompt)) {
        return serve_fail(failure, 400, "invalid_type", "prompt",
                          "Invalid type for 'prompt': expected a string, or token ids.");
    }
    return tokenize(request, json_string_value(prompt), json_string_length(prompt), failure);
}

static bool read_messages(struct serve_request *request, struct serve_failure *failure)
{
    json_t *messages = plain_messages(request, failure);
    const bool good = messages && render(request, messages, failure);
    json_decref(messages);
    return good;
}

/* A prompt and its answer must fit; without a length the answer has what is left. */
static bool check_context(const struct serve_request *request, struct serve_failure *failure)
{
    const uint32_t context = request->model->info.context;
    const char *param = request->chat ? "messages" : "prompt";
    if (request->prompt_count == 0) {
        return serve_fail(failure, 400, "invalid_value", param,
                          "Invalid '%s': it is empty, and this model needs something to begin "
                          "with.",
                          param);
    }
    if (request->prompt_count + request->max_tokens > context) {
        return serve_fail(failure, 400, "context_length_exceeded", param,
                          "This model's maximum context length is %u tokens. However, you "
                          "requested %zu tokens (%zu in the %s, %u in the completion). Please "
                          "reduce the length of either one.",
                          context, request->prompt_count + request->max_tokens,
                          request->prompt_count, param, request->max_tokens);
    }
    return true;
}

bool serve_prompt(struct serve_request *request, struct serve_failure *failure)
{
    return (request->chat ? read_messages(request, failure) : read_prompt(request, failure)) &&
           check_context(request, failure);
}
