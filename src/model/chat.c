/*
 * Chat templates. This version recognises ChatML by its marks and renders it itself; the template's
 * own text is consulted for one thing, the system message that some files put before a chat without
 * one.
 */
#include "model/model.h"

#include <string.h>

#define START "<|im_start|>"
#define END "<|im_end|>"

static bool is_chatml(const char *template)
{
    return strstr(template, START) != NULL && strstr(template, END) != NULL;
}

static void append_message(struct base_text *out, const char *role, const char *content,
                           size_t length)
{
    base_text_format(out, START "%s\n", role);
    base_text_append(out, content, length);
    base_text_append(out, END "\n", strlen(END "\n"));
}

/*
 * The default system message: a quoted literal of the template that holds the whole of it,
 * '<|im_start|>system\nYou are ...<|im_end|>\n', with the line's end real or written as \n. Files
 * that build it from parts are taken to have none.
 */
static const char *default_system(const char *template, size_t *length)
{
    static const char head[] = START "system";
    const char *literal = strstr(template, head);
    if (literal == NULL)
        return NULL;
    literal += strlen(head);
    if (literal[0] == '\n')
        literal += 1;
    else if (literal[0] == '\\' && literal[1] == 'n')
        literal += 2;
    else
        return NULL;
    const char *end = strstr(literal, END);
    if (end == NULL || end == literal)
        return NULL;
    /* A quote, a brace or an escape before the end: not one plain literal. */
    if (strcspn(literal, "'\"{}\\") < (size_t)(end - literal))
        return NULL;
    *length = (size_t)(end - literal);
    return literal;
}

enum takt_status model_chat_render(const struct model *model, const struct model_message *messages,
                                   size_t count, bool add_generation_prompt, struct base_text *out,
                                   struct takt_error *error)
{
    if (model->chat_template == NULL)
        return base_fail(
            error, TAKT_UNSUPPORTED,
            "%s: tokenizer.chat_template is missing: not a chat model; give a plain prompt",
            model->path);
    if (!is_chatml(model->chat_template))
        return base_fail(
            error, TAKT_UNSUPPORTED,
            "%s: tokenizer.chat_template is not ChatML (%s ... %s), the only form of this "
            "version; give a plain prompt",
            model->path, START, END);
    size_t length;
    const char *system = default_system(model->chat_template, &length);
    if (system != NULL && (count == 0 || strcmp(messages[0].role, "system") != 0))
        append_message(out, "system", system, length);
    for (size_t i = 0; i < count; i++)
        append_message(out, messages[i].role, messages[i].content, strlen(messages[i].content));
    if (add_generation_prompt)
        base_text_append(out, START "assistant\n", strlen(START "assistant\n"));
    return TAKT_OK;
}
