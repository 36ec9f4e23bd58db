/* Text to ids and back; chat prompts. */
#include "run/run.h"

#include <stdlib.h>
#include <string.h>

static enum takt_status decode(const struct tokenizer *tokenizer, const uint32_t *ids, size_t count,
                               bool show_special, char **text, size_t *length, struct takt_error *error)
{
    *text = NULL;
    *length = 0;
    struct base_text out = {0};
    base_text_append(&out, "", 0);
    for (size_t i = 0; i < count; i++) {
        if (ids[i] >= tokenizer_vocab(tokenizer)) {
            base_text_free(&out);
            return base_fail(error, TAKT_USAGE, "token %zu is %u, but the vocabulary has %u entries", i,
                             ids[i], tokenizer_vocab(tokenizer));
        }
        /* A BOS that shows nothing leaves the next token the first of the text. */
        tokenizer_decode(tokenizer, ids[i], out.length == 0, show_special, &out);
    }
    *text = out.data;
    *length = out.length;
    return TAKT_OK;
}

enum takt_status takt_tokenize(const struct takt_engine *engine, const char *text, size_t length,
                               bool add_bos, bool parse_special, uint32_t **ids, size_t *count,
                               struct takt_error *error)
{
    return tokenizer_encode(engine->model->tokenizer, text, length, add_bos, parse_special, ids, count,
                            error);
}

enum takt_status takt_detokenize(const struct takt_engine *engine, const uint32_t *ids, size_t count,
                                 bool show_special, char **text, size_t *length, struct takt_error *error)
{
    return decode(engine->model->tokenizer, ids, count, show_special, text, length, error);
}

enum takt_status takt_chat_prompt(const struct takt_engine *engine, const char *message, char **text,
                                  struct takt_error *error)
{
    *text = NULL;
    const struct model_message user = {"user", message};
    struct base_text out = {0};
    base_text_append(&out, "", 0);
    const enum takt_status status = model_chat_render(engine->model, &user, 1, true, &out, error);
    if (status != TAKT_OK) {
        base_text_free(&out);
        return status;
    }
    *text = out.data;
    return TAKT_OK;
}
