/*
 * Opening a model: what kind of file it is, its hyper-parameters, the tokenizer, then every tensor
 * bound by name and shape. Whatever the file says that takt would not compute is refused, never
 * ignored.
 */
#include "model/model.h"

#include "model/opening.h"
#include "model/tokenizer_parts.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- texts and digest ------------------------------------------------------------------------ */

/* It is shown on terminals. */
static enum takt_status set_name(struct opening *opening, struct gguf_string name)
{
    struct model *model = opening->model;
    size_t length = BASE_MIN(name.length, sizeof(model->name) - 1);
    length = base_utf8_whole_prefix(name.text, length);
    for (size_t i = 0; i < length; i++)
        model->name[i] =
            (unsigned char)name.text[i] < 0x20 || name.text[i] == 0x7F ? ' ' : name.text[i];
    if (!base_utf8_valid(model->name, length))
        return base_fail(opening->error, TAKT_FORMAT, "%s: general.name is not UTF-8 text",
                         opening->path);
    return TAKT_OK;
}

/* general.name, or the last part of the path. */
static enum takt_status read_name(struct opening *opening)
{
    size_t length = strlen(opening->path);
    while (length > 1 && opening->path[length - 1] == '/')
        length--;
    size_t start = length;
    while (start > 0 && opening->path[start - 1] != '/')
        start--;
    struct gguf_string name = {opening->path + start, length - start};
    enum takt_status status = TAKT_OK;
    if (!opening->folder)
        status = model_gguf_string(&opening->gguf, "general.name", false, &name, opening->error);
    return status == TAKT_OK ? set_name(opening, name) : status;
}

static enum takt_status read_template(struct opening *opening)
{
    struct gguf_string text = {NULL, 0};
    enum takt_status status =
        model_gguf_string(&opening->gguf, "tokenizer.chat_template", false, &text, opening->error);
    if (status != TAKT_OK || text.text == NULL)
        return status;
    if (memchr(text.text, '\0', text.length) != NULL)
        return base_fail(opening->error, TAKT_FORMAT,
                         "%s: tokenizer.chat_template holds a zero byte; convert the model again",
                         opening->path);
    opening->model->chat_template = base_arena_text(&opening->model->arena, text.text, text.length);
    return TAKT_OK;
}

static enum takt_status begin_digest(const struct opening *opening)
{
    struct model *model = opening->model;
    model->digest = base_digest_create();
    if (model->digest == NULL)
        return base_fail(opening->error, TAKT_MEMORY, "%s: no memory for a digest; free some",
                         model->path);
    model->folder = opening->folder;
    if (opening->folder) {
        model_folder_digest(opening, "config.json", model->digest);
        model_folder_digest(opening, "tokenizer.json", model->digest);
    }
    return TAKT_OK;
}

/* Pages that have been read need not stay with the process. */
static void digest_file(const struct base_file *file, struct base_digest *digest)
{
    const size_t most = (size_t)16 << 20;
    for (size_t done = 0; done < file->size_bytes; done += most) {
        const size_t bytes = BASE_MIN(file->size_bytes - done, most);
        const size_t more = BASE_MIN(file->size_bytes - done - bytes, most);
        base_file_expect(file, file->data + done + bytes, more);
        base_digest_update(digest, file->data + done, bytes);
        base_file_release(file, file->data + done, bytes);
    }
}

void model_digest(struct model *model)
{
    if (model->digest == NULL)
        return;
    for (uint32_t i = 0; i < model->files.count; i++)
        digest_file(&model->files.file[i], model->digest);
    base_digest_hex(model->digest, model->sha256);
    base_digest_destroy(model->digest);
    model->digest = NULL;
}

void model_set_digest(struct model *model, const char sha256[65])
{
    memcpy(model->sha256, sha256, sizeof model->sha256);
    base_digest_destroy(model->digest);
    model->digest = NULL;
}

/* ---- GGUF ------------------------------------------------------------------------------------ */

static enum takt_status open_gguf(struct opening *opening)
{
    struct model *model = opening->model;
    enum takt_status status = model_read_gguf(opening);
    if (status == TAKT_OK)
        status = tokenizer_create(&model->tokenizer, &opening->gguf, opening->error);
    if (status != TAKT_OK)
        return status;
    model->vocab = tokenizer_vocab(model->tokenizer);
    uint32_t stated = model->vocab;
    char key[64];
    snprintf(key, sizeof(key), "%s.vocab_size", opening->architecture->name);
    status =
        model_gguf_u32(&opening->gguf, key, false, 1, MODEL_DIMENSION_MAX, &stated, opening->error);
    if (status == TAKT_OK && stated != model->vocab)
        return base_fail(opening->error, TAKT_FORMAT,
                         "%s: %s is %u, but tokenizer.ggml.tokens has %u; convert the model again",
                         opening->path, key, stated, model->vocab);
    return status == TAKT_OK ? read_template(opening) : status;
}

/* ---- folders --------------------------------------------------------------------------------- */

static bool is_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static enum takt_status read_own_template(struct opening *opening)
{
    struct model *model = opening->model;
    enum takt_status status = model_read_folder_template(opening, &model->own_template);
    model->chat_template = model->own_template;
    return status;
}

/* The embedding may have more rows than the tokenizer has tokens: no text becomes those. */
static enum takt_status open_folder(struct opening *opening)
{
    struct model *model = opening->model;
    enum takt_status status = model_read_folder(opening);
    if (status == TAKT_OK)
        status = tokenizer_open_folder(&model->tokenizer, opening->path, opening->error);
    if (status == TAKT_OK && tokenizer_vocab(model->tokenizer) > model->vocab)
        status = base_fail(opening->error, TAKT_FORMAT,
                           "%s: tokenizer.json has %u tokens, but vocab_size is %u; download the "
                           "folder again",
                           opening->path, tokenizer_vocab(model->tokenizer), model->vocab);
    return status == TAKT_OK ? read_own_template(opening) : status;
}

/* ---- all ------------------------------------------------------------------------------------- */

enum takt_status model_open_container(struct opening *opening)
{
    opening->folder = is_folder(opening->path);
    if (opening->folder)
        return model_open_folder(opening);
    enum takt_status status = model_gguf_open_files(&opening->gguf, &opening->model->files,
                                                    opening->path, opening->error);
    opening->tensors = opening->gguf.tensors;
    opening->tensor_count = opening->gguf.tensor_count;
    return status;
}

static enum takt_status open_parts(struct opening *opening)
{
    enum takt_status status = model_open_container(opening);
    if (status == TAKT_OK)
        status = opening->folder ? open_folder(opening) : open_gguf(opening);
    if (status == TAKT_OK)
        status = model_bind_tensors(opening);
    if (status == TAKT_OK)
        status = read_name(opening);
    if (status == TAKT_OK)
        status = begin_digest(opening);
    return status;
}

void model_close_container(struct opening *opening)
{
    model_gguf_close(&opening->gguf);
    json_decref(opening->config_file);
    json_decref(opening->headers);
    free(opening->records);
}

enum takt_status model_open_undigested(struct model **out, const char *path,
                                       struct takt_error *error)
{
    *out = NULL;
    struct model *model = calloc(1, sizeof(*model));
    if (model == NULL)
        return base_fail(error, TAKT_MEMORY, "%s: no memory to open it; free some", path);
    if (strlen(path) >= sizeof(model->path)) {
        free(model);
        return base_fail(error, TAKT_LIMIT, "%.64s...: path of %zu bytes; takt takes at most %zu",
                         path, strlen(path), sizeof(model->path) - 1);
    }
    strcpy(model->path, path);
    struct opening opening = {.model = model, .path = model->path, .error = error};
    enum takt_status status = open_parts(&opening);
    model_close_container(&opening);
    if (status != TAKT_OK) {
        model_close(model);
        return status;
    }
    *out = model;
    return TAKT_OK;
}

enum takt_status model_open(struct model **out, const char *path, struct takt_error *error)
{
    const enum takt_status status = model_open_undigested(out, path, error);
    if (status == TAKT_OK)
        model_digest(*out);
    return status;
}

void model_set_context(struct model *model, uint32_t context)
{
    if (model->context_short != 0 && context > model->context_short)
        model->ropes[0].factors = model->factors_long;
}

void model_close(struct model *model)
{
    if (model == NULL)
        return;
    tokenizer_close(model->tokenizer);
    base_digest_destroy(model->digest);
    base_arena_destroy(&model->arena);
    model_files_close(&model->files);
    free(model->own_template);
    free(model);
}
