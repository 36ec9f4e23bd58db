/* The tokenizer of a Hugging Face folder: tokenizer.json, and what the files beside it add. */
#include "model/tokenizer_json.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_BYTES_MAX ((size_t)256 << 20)

static void path_of(char path[1024], const char *folder, const char *name)
{
    snprintf(path, 1024, "%s/%s", folder, name);
}

/* A JSON file of the folder; *json stays NULL when it is not there and not required. */
static enum takt_status load_json(const char *folder, const char *name, bool required,
                                  json_t **json, struct takt_error *error)
{
    char path[1024];
    struct base_file file;
    *json = NULL;
    path_of(path, folder, name);
    if (access(path, F_OK) != 0 && !required)
        return TAKT_OK;
    enum takt_status status = base_file_map(&file, path, error);
    if (status != TAKT_OK)
        return status;
    json_error_t problem = {0};
    if (file.size_bytes > FILE_BYTES_MAX)
        status = base_fail(error, TAKT_LIMIT, "%s: %zu bytes; takt takes at most %zu", path,
                           file.size_bytes, FILE_BYTES_MAX);
    else
        *json = json_loadb((const char *)file.data, file.size_bytes, JSON_ALLOW_NUL, &problem);
    base_file_unmap(&file);
    if (status == TAKT_OK && !json_is_object(*json)) {
        json_decref(*json);
        *json = NULL;
        status = base_fail(error, TAKT_FORMAT, "%s: line %d, column %d: %s; download it again",
                           path, problem.line, problem.column,
                           problem.text[0] == '\0' ? "no JSON object" : problem.text);
    }
    return status;
}

/* ---- special tokens -------------------------------------------------------------------------- */

/* "<s>" or {"content": "<s>"}. */
static uint32_t named_token(const struct tokenizer *tokenizer, const json_t *config,
                            const char *key)
{
    const json_t *value = json_object_get(config, key);
    if (json_is_object(value))
        value = json_object_get(value, "content");
    return json_is_string(value)
               ? tokenizer_find(tokenizer, json_string_value(value), json_string_length(value))
               : TOKENIZER_NONE;
}

static uint32_t id_of(const struct tokenizer *tokenizer, const json_t *value)
{
    bool good = json_is_integer(value) && json_integer_value(value) >= 0 &&
                json_integer_value(value) < (json_int_t)tokenizer->vocab;
    return good ? (uint32_t)json_integer_value(value) : TOKENIZER_NONE;
}

/* A number, or a list of them: the first is the end of a text, all end an answer. */
static void read_end_ids(struct tokenizer *tokenizer, const json_t *config)
{
    const json_t *value = json_object_get(config, "eos_token_id");
    struct tokenizer_special *special = &tokenizer->special;
    size_t index;
    json_t *item;
    if (json_is_integer(value) && special->eos == TOKENIZER_NONE)
        special->eos = id_of(tokenizer, value);
    if (json_is_array(value) && special->eos == TOKENIZER_NONE)
        special->eos = id_of(tokenizer, json_array_get(value, 0));
    tokenizer_add_end(tokenizer, id_of(tokenizer, value));
    json_array_foreach(value, index, item) tokenizer_add_end(tokenizer, id_of(tokenizer, item));
    if (special->bos == TOKENIZER_NONE)
        special->bos = id_of(tokenizer, json_object_get(config, "bos_token_id"));
}

static void read_special(struct tokenizer *tokenizer, const json_t *config,
                         const json_t *generation, const json_t *model)
{
    struct tokenizer_special *special = &tokenizer->special;
    uint32_t bos = named_token(tokenizer, config, "bos_token");
    special->bos = bos != TOKENIZER_NONE ? bos : special->bos;
    special->eos = named_token(tokenizer, config, "eos_token");
    tokenizer_add_end(tokenizer, special->eos);
    read_end_ids(tokenizer, generation);
    read_end_ids(tokenizer, model);
    tokenizer_add_known_ends(tokenizer);
    /* Tokenizers that have no template of their own are told by the configuration. */
    special->add_bos = special->add_bos || tokenizer_json_flag(config, "add_bos_token", false);
    special->add_bos = special->add_bos && special->bos != TOKENIZER_NONE;
}

/* ---- templates ------------------------------------------------------------------------------- */

static bool add_template(struct tokenizer *tokenizer, const char *name, const json_t *text)
{
    return !json_is_string(text) ||
           tokenizer_add_template(tokenizer, name, strlen(name), json_string_value(text),
                                  json_string_length(text));
}

/* One text, or a list of named ones of which "default" is the one without a name. */
static bool read_config_templates(struct tokenizer *tokenizer, const json_t *value)
{
    size_t index;
    json_t *item;
    bool good = add_template(tokenizer, "", value);
    json_array_foreach(value, index, item)
    {
        const char *name = tokenizer_json_text(item, "name");
        if (name != NULL && strcmp(name, "default") == 0)
            name = "";
        good = good &&
               (name == NULL || add_template(tokenizer, name, json_object_get(item, "template")));
    }
    return good;
}

static enum takt_status read_templates(struct tokenizer *tokenizer, const char *folder,
                                       const json_t *config, struct takt_error *error)
{
    char path[1024];
    struct base_file file;
    bool good;
    path_of(path, folder, "chat_template.jinja");
    if (access(path, F_OK) == 0) {
        enum takt_status status = base_file_map(&file, path, error);
        if (status != TAKT_OK)
            return status;
        good = tokenizer_add_template(tokenizer, "", 0, (const char *)file.data, file.size_bytes);
        base_file_unmap(&file);
    } else {
        good = read_config_templates(tokenizer, json_object_get(config, "chat_template"));
    }
    return good ? TAKT_OK
                : base_fail(error, TAKT_MEMORY, "%s: no memory for its chat templates; free some",
                            folder);
}

/* ---- all ------------------------------------------------------------------------------------- */

static enum takt_status load(struct tokenizer *tokenizer, const char *folder,
                             struct takt_error *error)
{
    static const char *const names[] = {"tokenizer.json", "tokenizer_config.json",
                                        "generation_config.json", "config.json"};
    json_t *files[BASE_COUNT(names)] = {NULL};
    char path[1024];
    enum takt_status status = TAKT_OK;
    if (strlen(folder) > 900)
        return base_fail(error, TAKT_LIMIT, "%.64s...: path of %zu bytes; takt takes at most 900",
                         folder, strlen(folder));
    for (size_t i = 0; status == TAKT_OK && i < BASE_COUNT(names); i++)
        status = load_json(folder, names[i], i == 0, &files[i], error);
    path_of(path, folder, names[0]);
    if (status == TAKT_OK)
        status = tokenizer_from_json(tokenizer, path, files[0], error);
    if (status == TAKT_OK)
        read_special(tokenizer, files[1], files[2], files[3]);
    if (status == TAKT_OK)
        status = read_templates(tokenizer, folder, files[1], error);
    if (status == TAKT_OK)
        status = tokenizer_index(tokenizer, path, error);
    for (size_t i = 0; i < BASE_COUNT(names); i++)
        json_decref(files[i]);
    return status;
}

enum takt_status tokenizer_open_folder(struct tokenizer **out, const char *folder,
                                       struct takt_error *error)
{
    *out = NULL;
    struct tokenizer *tokenizer = calloc(1, sizeof(*tokenizer));
    if (tokenizer == NULL)
        return base_fail(error, TAKT_MEMORY, "%s: no memory for the tokenizer; free some", folder);
    tokenizer->special.bos = tokenizer->special.eos = tokenizer->unknown = TOKENIZER_NONE;
    enum takt_status status = load(tokenizer, folder, error);
    if (status != TAKT_OK) {
        tokenizer_close(tokenizer);
        return status;
    }
    *out = tokenizer;
    return TAKT_OK;
}
