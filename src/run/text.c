/* Text to ids and back, for engines and for vocabularies alone. */
#include "run/run.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Does the token show nothing of its own, as BOS does? The next one is still the first of the text.
 */
static bool is_silent(const struct tokenizer *tokenizer, uint32_t id, struct base_text *scratch)
{
    scratch->length = 0;
    tokenizer_decode(tokenizer, id, false, false, scratch);
    return scratch->length == 0;
}

static enum takt_status decode(const struct tokenizer *tokenizer, const uint32_t *ids, size_t count,
                               bool show_special, char **text, size_t *length,
                               struct takt_error *error)
{
    *text = NULL;
    *length = 0;
    struct base_text out = {0}, scratch = {0};
    bool first = true;
    base_text_append(&out, "", 0);
    for (size_t i = 0; i < count; i++) {
        if (ids[i] >= tokenizer_vocab(tokenizer)) {
            base_text_free(&out);
            base_text_free(&scratch);
            return base_fail(error, TAKT_USAGE,
                             "token %zu is %u, but the vocabulary has %u entries", i, ids[i],
                             tokenizer_vocab(tokenizer));
        }
        tokenizer_decode(tokenizer, ids[i], first, show_special, &out);
        first = first && is_silent(tokenizer, ids[i], &scratch);
    }
    base_text_free(&scratch);
    *text = out.data;
    *length = out.length;
    return TAKT_OK;
}

enum takt_status takt_tokenize(const struct takt_engine *engine, const char *text, size_t length,
                               bool add_bos, bool parse_special, uint32_t **ids, size_t *count,
                               struct takt_error *error)
{
    return tokenizer_encode(engine->model->tokenizer, text, length, add_bos, parse_special, ids,
                            count, error);
}

enum takt_status takt_detokenize(const struct takt_engine *engine, const uint32_t *ids,
                                 size_t count, bool show_special, char **text, size_t *length,
                                 struct takt_error *error)
{
    return decode(engine->model->tokenizer, ids, count, show_special, text, length, error);
}

size_t takt_token_bytes(const struct takt_engine *engine, uint32_t token, bool show_special,
                        char *bytes, size_t capacity)
{
    struct base_text out = {0};
    base_text_append(&out, "", 0);
    tokenizer_decode(engine->model->tokenizer, token, false, show_special, &out);
    const size_t length = out.length;
    memcpy(bytes, out.data, BASE_MIN(length, capacity));
    base_text_free(&out);
    return length;
}

enum takt_status takt_vocabulary_open(struct takt_vocabulary **vocabulary, const char *model_path,
                                      struct takt_error *error)
{
    *vocabulary = NULL;
    struct takt_vocabulary *opened = calloc(1, sizeof *opened);
    if (!opened) {
        return base_fail(error, TAKT_MEMORY, "%s: no memory for a vocabulary", model_path);
    }
    struct stat file;
    const bool folder = stat(model_path, &file) == 0 && S_ISDIR(file.st_mode);
    const enum takt_status status =
        folder ? tokenizer_open_folder(&opened->tokenizer, model_path, error)
               : tokenizer_open_file(&opened->tokenizer, model_path, error);
    snprintf(opened->path, sizeof opened->path, "%s", model_path);
    if (status != TAKT_OK) {
        free(opened);
        return status;
    }
    *vocabulary = opened;
    return TAKT_OK;
}

void takt_vocabulary_close(struct takt_vocabulary *vocabulary)
{
    if (vocabulary) {
        tokenizer_close(vocabulary->tokenizer);
        free(vocabulary);
    }
}

enum takt_status takt_vocabulary_encode(const struct takt_vocabulary *vocabulary, const char *text,
                                        size_t length, bool add_bos, bool parse_special,
                                        uint32_t **ids, size_t *count, struct takt_error *error)
{
    return tokenizer_encode(vocabulary->tokenizer, text, length, add_bos, parse_special, ids, count,
                            error);
}

enum takt_status takt_vocabulary_decode(const struct takt_vocabulary *vocabulary,
                                        const uint32_t *ids, size_t count, bool show_special,
                                        char **text, size_t *length, struct takt_error *error)
{
    return decode(vocabulary->tokenizer, ids, count, show_special, text, length, error);
}
