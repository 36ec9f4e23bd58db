/*
 * Chats. Messages come as clients write them; two of their forms are put into the one that
 * templates expect: text in parts becomes one string, and a tool call's arguments, which clients
 * send as a string of JSON, an object (as a string again for templates that want one).
 */
#include "model/chat.h"
#include "model/jinja.h"

#include <stdlib.h>
#include <string.h>

/* ---- messages -------------------------------------------------------------------------------- */

/* A new string of parts that are all text, joined by line ends; NULL when they are not. */
static json_t *joined_parts(const json_t *content)
{
    size_t index;
    json_t *part;
    struct base_text text = {0};
    base_text_append(&text, "", 0);
    json_array_foreach(content, index, part)
    {
        const json_t *type = json_object_get(part, "type"), *own = json_object_get(part, "text");
        if (!json_is_string(own) || !json_is_string(type) ||
            strcmp(json_string_value(type), "text") != 0) {
            base_text_free(&text);
            return NULL;
        }
        if (index != 0)
            base_text_append(&text, "\n", 1);
        base_text_append(&text, json_string_value(own), json_string_length(own));
    }
    json_t *joined = json_stringn(text.data, text.length);
    base_text_free(&text);
    return joined;
}

/* Arguments of tool calls between their two forms, in place. */
static void turn_arguments(json_t *message, bool to_objects)
{
    size_t index;
    json_t *call;
    json_array_foreach(json_object_get(message, "tool_calls"), index, call)
    {
        json_t *function = json_object_get(call, "function");
        const json_t *arguments = json_object_get(function, "arguments");
        json_t *turned = NULL;
        if (to_objects && json_is_string(arguments)) {
            turned =
                json_loadb(json_string_value(arguments), json_string_length(arguments), 0, NULL);
            if (!json_is_object(turned)) {
                json_decref(turned);
                turned = NULL;
            }
        } else if (!to_objects && json_is_object(arguments)) {
            char *text = json_dumps(arguments, 0);
            turned = text == NULL ? NULL : json_string(text);
            free(text);
        }
        if (turned != NULL)
            json_object_set_new(function, "arguments", turned);
    }
}

/* A deep copy in the templates' form; NULL when memory is short. */
static json_t *prepared(const json_t *messages)
{
    json_t *copy = json_deep_copy(messages);
    size_t index;
    json_t *message;
    json_array_foreach(copy, index, message)
    {
        json_t *content = json_object_get(message, "content");
        json_t *joined = json_is_array(content) ? joined_parts(content) : NULL;
        if (joined != NULL)
            json_object_set_new(message, "content", joined);
        turn_arguments(message, true);
    }
    return copy;
}

static enum takt_status check_messages(const char *path, const struct chat_request *request,
                                       struct takt_error *error)
{
    const char *wrong = NULL;
    size_t index;
    json_t *message;
    if (!json_is_array(request->messages))
        return base_fail(error, TAKT_USAGE, "%s: messages are not a JSON array", path);
    json_array_foreach(
        request->messages, index,
        message) if (!json_is_object(message) ||
                     !json_is_string(json_object_get(
                         message, "role"))) return base_fail(error, TAKT_USAGE,
                                                             "%s: message %zu is not an object "
                                                             "with a string \"role\"",
                                                             path, index);
    if (request->tools != NULL && !json_is_array(request->tools))
        wrong = "tools are not a JSON array";
    if (request->documents != NULL && !json_is_array(request->documents))
        wrong = "documents are not a JSON array";
    if (request->variables != NULL && !json_is_object(request->variables))
        wrong = "variables are not a JSON object";
    return wrong == NULL ? TAKT_OK : base_fail(error, TAKT_USAGE, "%s: %s", path, wrong);
}

/* ---- templates ------------------------------------------------------------------------------- */

static enum takt_status compile(const struct tokenizer *tokenizer, const char *path,
                                const struct chat_request *request, struct jinja **template,
                                struct takt_error *error)
{
    char name[640];
    const struct tokenizer_template *found = NULL;
    if (request->template_source != NULL) {
        snprintf(name, sizeof(name), "the given template");
        return jinja_compile(template, name, request->template_source,
                             strlen(request->template_source), error);
    }
    if (request->template_name != NULL)
        found = tokenizer_template(tokenizer, request->template_name);
    else if (json_array_size(request->tools) != 0)
        found = tokenizer_template(tokenizer, "tool_use");
    if (found == NULL && request->template_name == NULL)
        found = tokenizer_template(tokenizer, "");
    if (found == NULL && request->template_name == NULL)
        found = tokenizer_template(tokenizer, "default");
    if (found == NULL)
        return base_fail(
            error, TAKT_UNSUPPORTED,
            "%s: it has no chat template%s%.60s: not a chat model; give a plain prompt, "
            "or a template",
            path, request->template_name == NULL ? "" : " named ",
            request->template_name == NULL ? "" : request->template_name);
    snprintf(name, sizeof(name), "%.512s: chat template%s%.60s", path,
             found->name[0] == '\0' ? "" : " ", found->name);
    return jinja_compile(template, name, found->text, found->length, error);
}

struct variables {
    struct jinja_variable *items;
    size_t count;
};

static void set(struct variables *variables, const char *name, const json_t *value, bool foreign)
{
    for (size_t i = 0; i < variables->count; i++)
        if (strcmp(variables->items[i].name, name) == 0) {
            variables->items[i] = (struct jinja_variable){name, value, foreign};
            return;
        }
    variables->items[variables->count++] = (struct jinja_variable){name, value, foreign};
}

static json_t *token_text(const struct tokenizer *tokenizer, uint32_t id)
{
    struct base_text text = {0};
    base_text_append(&text, "", 0);
    if (id != TOKENIZER_NONE)
        tokenizer_decode(tokenizer, id, false, true, &text);
    json_t *json = json_stringn(text.data, text.length);
    base_text_free(&text);
    return json == NULL ? json_string("") : json;
}

static enum takt_status render(const struct jinja *template, const struct tokenizer *tokenizer,
                               const struct chat_request *request, const json_t *messages,
                               struct base_text *out, struct base_text *marks,
                               struct takt_error *error)
{
    struct variables variables = {NULL, 0};
    json_t *none = json_null();
    json_t *bos = token_text(tokenizer, tokenizer_special(tokenizer)->bos);
    json_t *eos = token_text(tokenizer, tokenizer_special(tokenizer)->eos);
    const char *name;
    json_t *value;
    variables.items = calloc(8 + json_object_size(request->variables), sizeof(*variables.items));
    if (variables.items == NULL) {
        json_decref(bos);
        json_decref(eos);
        return base_fail(error, TAKT_MEMORY, "chat: no memory for the variables; free some");
    }
    set(&variables, "messages", messages, true);
    set(&variables, "tools", request->tools != NULL ? request->tools : none, true);
    set(&variables, "documents", request->documents != NULL ? request->documents : none, true);
    set(&variables, "bos_token", bos, false);
    set(&variables, "eos_token", eos, false);
    set(&variables, "add_generation_prompt",
        request->add_generation_prompt ? json_true() : json_false(), false);
    json_object_foreach((json_t *)(uintptr_t)request->variables, name, value)
        set(&variables, name, value, true);
    enum takt_status status =
        jinja_render(template, variables.items, variables.count, request->now, out, marks, error);
    free(variables.items);
    json_decref(bos);
    json_decref(eos);
    return status;
}

enum takt_status chat_render(const struct tokenizer *tokenizer, const char *path,
                             const struct chat_request *request, struct base_text *out,
                             struct base_text *marks, struct takt_error *error)
{
    struct jinja *template;
    enum takt_status status = check_messages(path, request, error);
    if (status == TAKT_OK)
        status = compile(tokenizer, path, request, &template, error);
    if (status != TAKT_OK)
        return status;
    json_t *messages = prepared(request->messages);
    if (messages == NULL) {
        jinja_destroy(template);
        return base_fail(error, TAKT_MEMORY, "%s: no memory for the messages; free some", path);
    }
    status = render(template, tokenizer, request, messages, out, marks, error);
    if (status == TAKT_FORMAT) { /* it may want arguments as text */
        size_t index;
        json_t *message;
        json_array_foreach(messages, index, message) turn_arguments(message, false);
        if (render(template, tokenizer, request, messages, out, marks, NULL) == TAKT_OK)
            status = TAKT_OK;
    }
    json_decref(messages);
    jinja_destroy(template);
    return status;
}
