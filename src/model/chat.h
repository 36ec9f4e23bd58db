/*
 * Chats: messages through a file's template to text, of which each byte knows whether the template
 * or the messages brought it.
 */
#ifndef MODEL_CHAT_H
#define MODEL_CHAT_H

#include "model/tokenizer.h"

#include <jansson.h>

struct chat_request {
    const json_t *messages;                      /* array of objects */
    const json_t *tools, *documents, *variables; /* NULL: none */
    const char *template_name, *template_source; /* as struct takt_chat_options has them */
    bool add_generation_prompt;
    int64_t now; /* seconds since 1970 in UTC */
};

/* path: of the model, for messages. Appends the text to *out and 0 or 1 (foreign) for each of its
 * bytes to *marks. Statuses as takt_chat_render's. */
enum takt_status chat_render(const struct tokenizer *tokenizer, const char *path,
                             const struct chat_request *request, struct base_text *out,
                             struct base_text *marks, struct takt_error *error);

#endif
