/* Reading a file's vocabulary: tokens, types, scores, special ids, and the indices over them. */
#include "model/tokenizer_parts.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- the arrays of the file ------------------------------------------------------------------ */

struct arrays {
    const struct gguf_pair *tokens, *types, *scores, *merges;
};

static enum takt_status check_count(const struct gguf *gguf, const char *key,
                                    const struct gguf_pair *pair, uint64_t wanted,
                                    struct takt_error *error)
{
    if (pair == NULL || pair->count == wanted)
        return TAKT_OK;
    return base_fail(error, TAKT_FORMAT,
                     "%s: %s has %llu values, tokenizer.ggml.tokens has %llu; convert "
                     "the model again",
                     gguf->path, key, (unsigned long long)pair->count, (unsigned long long)wanted);
}

static enum takt_status find_arrays(const struct gguf *gguf, enum tokenizer_kind kind,
                                    struct arrays *arrays, struct takt_error *error)
{
    enum takt_status status =
        model_gguf_array(gguf, "tokenizer.ggml.tokens", true, GGUF_STRING, &arrays->tokens, error);
    if (status == TAKT_OK)
        status = model_gguf_array(gguf, "tokenizer.ggml.token_type", false, GGUF_I32,
                                  &arrays->types, error);
    if (status == TAKT_OK)
        status = model_gguf_array(gguf, "tokenizer.ggml.scores",
                                  kind == TOKENIZER_SPM || kind == TOKENIZER_UNIGRAM, GGUF_F32,
                                  &arrays->scores, error);
    if (status == TAKT_OK)
        status = model_gguf_array(gguf, "tokenizer.ggml.merges", kind == TOKENIZER_BPE, GGUF_STRING,
                                  &arrays->merges, error);
    if (status != TAKT_OK)
        return status;
    uint64_t count = arrays->tokens->count;
    if (count == 0 || count > VOCABULARY_MAX)
        return base_fail(error, TAKT_FORMAT,
                         "%s: tokenizer.ggml.tokens has %llu tokens, wanted 1 to %u", gguf->path,
                         (unsigned long long)count, VOCABULARY_MAX);
    if (arrays->merges != NULL && arrays->merges->count > VOCABULARY_MAX)
        return base_fail(error, TAKT_LIMIT,
                         "%s: tokenizer.ggml.merges has %llu merges, at most %u fit", gguf->path,
                         (unsigned long long)arrays->merges->count, VOCABULARY_MAX);
    status = check_count(gguf, "tokenizer.ggml.token_type", arrays->types, count, error);
    if (status == TAKT_OK)
        status = check_count(gguf, "tokenizer.ggml.scores", arrays->scores, count, error);
    return status;
}

static enum takt_status load_token(struct tokenizer *tokenizer, const struct gguf *gguf,
                                   uint32_t id, struct gguf_string text,
                                   const struct arrays *arrays, struct takt_error *error)
{
    struct token *token = &tokenizer->tokens[id];
    if (text.length > TOKEN_BYTES_MAX)
        return base_fail(error, TAKT_LIMIT,
                         "%s: tokenizer.ggml.tokens[%u] has %zu bytes; takt takes at most %u",
                         gguf->path, id, text.length, TOKEN_BYTES_MAX);
    *token =
        (struct token){.text = text.text, .length = (uint32_t)text.length, .type = TOKEN_NORMAL};
    if (arrays->types != NULL) {
        uint32_t type = model_gguf_read_u32(arrays->types->data + 4 * (size_t)id);
        if (type > TOKEN_BYTE)
            return base_fail(error, TAKT_FORMAT,
                             "%s: tokenizer.ggml.token_type[%u] is %u, wanted 0 to %d", gguf->path,
                             id, type, TOKEN_BYTE);
        token->type = type == TOKEN_UNDEFINED ? TOKEN_NORMAL : (enum token_type)type;
    }
    if (arrays->scores != NULL) {
        token->score = model_gguf_read_f32(arrays->scores->data + 4 * (size_t)id);
        if (token->score != token->score)
            return base_fail(
                error, TAKT_FORMAT,
                "%s: tokenizer.ggml.scores[%u] is not a number; convert the model again",
                gguf->path, id);
    }
    tokenizer->longest_bytes = BASE_MAX(tokenizer->longest_bytes, token->length);
    return TAKT_OK;
}

static enum takt_status load_tokens(struct tokenizer *tokenizer, const struct gguf *gguf,
                                    const struct arrays *arrays, struct takt_error *error)
{
    tokenizer->vocab = (uint32_t)arrays->tokens->count;
    tokenizer->tokens = BASE_NEW(&tokenizer->arena, struct token, tokenizer->vocab);
    const unsigned char *cursor = arrays->tokens->data;
    for (uint32_t id = 0; id < tokenizer->vocab; id++) {
        struct gguf_string text = model_gguf_next_string(&cursor);
        enum takt_status status = load_token(tokenizer, gguf, id, text, arrays, error);
        if (status != TAKT_OK)
            return status;
    }
    tokenizer_index_texts(tokenizer);
    return TAKT_OK;
}

/* ---- special ids ----------------------------------------------------------------------------- */

/* All ones means none in some files. */
static enum takt_status read_id(const struct tokenizer *tokenizer, const struct gguf *gguf,
                                const char *key, uint32_t *id, struct takt_error *error)
{
    uint32_t value = TOKENIZER_NONE;
    enum takt_status status = model_gguf_u32(gguf, key, false, 0, UINT32_MAX, &value, error);
    if (status != TAKT_OK)
        return status;
    if (value != TOKENIZER_NONE && value >= tokenizer->vocab)
        return base_fail(error, TAKT_FORMAT, "%s: %s is %u, but the vocabulary has %u tokens",
                         gguf->path, key, value, tokenizer->vocab);
    *id = value;
    return TAKT_OK;
}

static enum takt_status read_ends(struct tokenizer *tokenizer, const struct gguf *gguf,
                                  struct takt_error *error)
{
    static const char *const keys[] = {"tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.eom_token_id"};
    tokenizer_add_end(tokenizer, tokenizer->special.eos);
    for (size_t i = 0; i < BASE_COUNT(keys); i++) {
        uint32_t id = TOKENIZER_NONE;
        enum takt_status status = read_id(tokenizer, gguf, keys[i], &id, error);
        if (status != TAKT_OK)
            return status;
        tokenizer_add_end(tokenizer, id);
    }
    tokenizer_add_known_ends(tokenizer);
    return TAKT_OK;
}

/* The unknown token: the file's, else the first of that type; SentencePiece always has one (0). */
static uint32_t default_unknown(const struct tokenizer *tokenizer)
{
    for (uint32_t id = 0; id < tokenizer->vocab; id++)
        if (tokenizer->tokens[id].type == TOKEN_UNKNOWN)
            return id;
    return tokenizer->kind == TOKENIZER_SPM ? 0 : TOKENIZER_NONE;
}

static enum takt_status read_special(struct tokenizer *tokenizer, const struct gguf *gguf,
                                     bool has_types, struct takt_error *error)
{
    struct tokenizer_special *special = &tokenizer->special;
    enum takt_status status =
        read_id(tokenizer, gguf, "tokenizer.ggml.bos_token_id", &special->bos, error);
    if (status == TAKT_OK)
        status = read_id(tokenizer, gguf, "tokenizer.ggml.eos_token_id", &special->eos, error);
    if (status == TAKT_OK)
        status =
            read_id(tokenizer, gguf, "tokenizer.ggml.unknown_token_id", &tokenizer->unknown, error);
    if (status != TAKT_OK)
        return status;
    if (tokenizer->unknown == TOKENIZER_NONE)
        tokenizer->unknown = default_unknown(tokenizer);
    if (!has_types) { /* an old file: the ids say what the types would */
        if (special->bos != TOKENIZER_NONE)
            tokenizer->tokens[special->bos].type = TOKEN_CONTROL;
        if (special->eos != TOKENIZER_NONE)
            tokenizer->tokens[special->eos].type = TOKEN_CONTROL;
        if (tokenizer->unknown != TOKENIZER_NONE)
            tokenizer->tokens[tokenizer->unknown].type = TOKEN_UNKNOWN;
        tokenizer_type_bytes(tokenizer);
    }
    status = read_ends(tokenizer, gguf, error);
    special->add_bos = tokenizer->kind == TOKENIZER_SPM || tokenizer->kind == TOKENIZER_WORDPIECE ||
                       tokenizer->traits.adds_bos;
    if (status == TAKT_OK)
        status = model_gguf_bool(gguf, "tokenizer.ggml.add_bos_token", &special->add_bos, error);
    special->add_bos = special->add_bos && special->bos != TOKENIZER_NONE;
    return status;
}

/* ---- what each kind has beside tokens -------------------------------------------------------- */

static enum takt_status load_bpe(struct tokenizer *tokenizer, const struct gguf *gguf,
                                 struct takt_error *error)
{
    struct gguf_string pre = {"default", 7}, name = {"", 0};
    enum takt_status status = model_gguf_string(gguf, "tokenizer.ggml.pre", false, &pre, error);
    if (status == TAKT_OK)
        status = model_gguf_string(gguf, "tokenizer.ggml.model", true, &name, error);
    if (status == TAKT_OK && model_gguf_string_is(name, "gemma4"))
        pre = name;
    if (status == TAKT_OK)
        status =
            tokenizer_split_create(&tokenizer->split, gguf->path, pre, &tokenizer->traits, error);
    if (status == TAKT_OK)
        status = tokenizer_bpe_load(tokenizer, gguf, error);
    if (status != TAKT_OK || !tokenizer->traits.marks_spaces)
        return status;
    tokenizer->marks = true;
    tokenizer->normaliser = normaliser_new();
    if (tokenizer->normaliser == NULL)
        return base_fail(error, TAKT_MEMORY, "%s: no memory for the tokenizer; free some",
                         gguf->path);
    return normaliser_add(tokenizer->normaliser, gguf->path, NORMALISE_MARK_SPACES, "", 0, "", 0,
                          error);
}

/* The splitter and normaliser that unigram and WordPiece begin with, both empty. */
static enum takt_status make_empty(struct tokenizer *tokenizer, const struct gguf *gguf,
                                   struct takt_error *error)
{
    tokenizer->split = tokenizer_split_new();
    tokenizer->normaliser = normaliser_new();
    if (tokenizer->split == NULL || tokenizer->normaliser == NULL)
        return base_fail(error, TAKT_MEMORY, "%s: no memory for the tokenizer; free some",
                         gguf->path);
    return TAKT_OK;
}

static enum takt_status load_unigram(struct tokenizer *tokenizer, const struct gguf *gguf,
                                     struct takt_error *error)
{
    bool prefix = false, merges = false;
    const struct gguf_pair *map = model_gguf_find(gguf, "tokenizer.ggml.precompiled_charsmap");
    enum takt_status status = make_empty(tokenizer, gguf, error);
    if (status == TAKT_OK)
        status = model_gguf_bool(gguf, "tokenizer.ggml.add_space_prefix", &prefix, error);
    if (status == TAKT_OK)
        status = model_gguf_bool(gguf, "tokenizer.ggml.remove_extra_whitespaces", &merges, error);
    if (status == TAKT_OK && map != NULL &&
        (map->type != GGUF_ARRAY || (map->element != GGUF_U8 && map->element != GGUF_I8)))
        status =
            base_fail(error, TAKT_FORMAT,
                      "%s: tokenizer.ggml.precompiled_charsmap is no array of bytes", gguf->path);
    if (status == TAKT_OK && map != NULL && map->count != 0)
        status = normaliser_add_map(tokenizer->normaliser, gguf->path, map->data,
                                    (size_t)map->count, error);
    if (status == TAKT_OK)
        status = normaliser_add(tokenizer->normaliser, gguf->path,
                                merges   ? NORMALISE_MARK_WORDS
                                : prefix ? NORMALISE_MARK_FRONT
                                         : NORMALISE_MARK_SPACES,
                                "", 0, "", 0, error);
    tokenizer->add_space_prefix = prefix || merges;
    tokenizer->marks = true;
    return status == TAKT_OK ? tokenizer_unigram_load(tokenizer, gguf->path, error) : status;
}

enum takt_status tokenizer_add_bert(struct tokenizer *tokenizer, const char *where, bool accents,
                                    bool lowercase, struct takt_error *error)
{
    static const enum normalise_kind kinds[] = {NORMALISE_CLEAN, NORMALISE_CHINESE, NORMALISE_NFD,
                                                NORMALISE_STRIP_ACCENTS, NORMALISE_LOWERCASE};
    const bool wanted[] = {true, true, !accents, !accents, lowercase};
    enum takt_status status = TAKT_OK;
    for (size_t i = 0; status == TAKT_OK && i < BASE_COUNT(kinds); i++)
        if (wanted[i])
            status = normaliser_add(tokenizer->normaliser, where, kinds[i], "", 0, "", 0, error);
    return status;
}

enum takt_status tokenizer_add_bert_split(struct tokenizer *tokenizer, const char *where,
                                          struct takt_error *error)
{
    static const char spaces[] = "\\s+", marks[] = "[!-/:-@\\[-`{-~\\p{P}]";
    enum takt_status status = tokenizer_split_add_pattern(
        tokenizer->split, where, spaces, strlen(spaces), SPLIT_REMOVED, false, error);
    if (status == TAKT_OK)
        status = tokenizer_split_add_pattern(tokenizer->split, where, marks, strlen(marks),
                                             SPLIT_ISOLATED, false, error);
    return status;
}

static enum takt_status load_wordpiece(struct tokenizer *tokenizer, const struct gguf *gguf,
                                       struct takt_error *error)
{
    bool lowercase = true, strips;
    enum takt_status status = make_empty(tokenizer, gguf, error);
    tokenizer->word_mark = "\xE2\x96\x81"; /* as files of this format have them */
    tokenizer->continuing_mark = "";
    tokenizer->marks = true;
    tokenizer->add_space_prefix = true;
    if (status == TAKT_OK)
        status = model_gguf_bool(gguf, "tokenizer.ggml.normalizer.lowercase", &lowercase, error);
    strips = lowercase;
    if (status == TAKT_OK)
        status = model_gguf_bool(gguf, "tokenizer.ggml.normalizer.strip_accents", &strips, error);
    if (status == TAKT_OK)
        status = tokenizer_add_bert(tokenizer, gguf->path, !strips, lowercase, error);
    return status == TAKT_OK ? tokenizer_add_bert_split(tokenizer, gguf->path, error) : status;
}

/* Phi-3's tokens take the white space behind them, which its GGUF files do not say. */
static enum takt_status read_strips(struct tokenizer *tokenizer, const struct gguf *gguf,
                                    struct takt_error *error)
{
    static const char *const without[] = {"<unk>", "<s>", "<|endoftext|>"};
    struct gguf_string name = {"", 0};
    enum takt_status status = model_gguf_string(gguf, "general.name", false, &name, error);
    bool phi = false;
    for (size_t i = 0; i + 4 <= name.length; i++)
        phi = phi || strncasecmp(name.text + i, "phi3", 4) == 0 ||
              (i + 5 <= name.length && strncasecmp(name.text + i, "phi-3", 5) == 0);
    for (uint32_t id = 0; phi && id < tokenizer->vocab; id++) {
        struct token *token = &tokenizer->tokens[id];
        struct gguf_string text = {token->text, token->length};
        token->strips_right = token->type == TOKEN_CONTROL || token->type == TOKEN_USER ||
                              token->type == TOKEN_UNKNOWN || model_gguf_string_is(text, "</s>");
        for (size_t i = 0; i < BASE_COUNT(without); i++)
            token->strips_right = token->strips_right && !model_gguf_string_is(text, without[i]);
    }
    return status;
}

/* ---- opening --------------------------------------------------------------------------------- */

static enum takt_status read_kind(const struct gguf *gguf, enum tokenizer_kind *kind,
                                  struct takt_error *error)
{
    static const struct {
        const char *name;
        enum tokenizer_kind kind;
    } kinds[] = {{"llama", TOKENIZER_SPM},
                 {"gpt2", TOKENIZER_BPE},
                 {"gemma4", TOKENIZER_BPE},
                 {"t5", TOKENIZER_UNIGRAM},
                 {"bert", TOKENIZER_WORDPIECE}};
    struct gguf_string name;
    enum takt_status status = model_gguf_string(gguf, "tokenizer.ggml.model", true, &name, error);
    if (status != TAKT_OK)
        return status;
    for (size_t i = 0; i < BASE_COUNT(kinds); i++)
        if (model_gguf_string_is(name, kinds[i].name)) {
            *kind = kinds[i].kind;
            return TAKT_OK;
        }
    return base_fail(
        error, TAKT_UNSUPPORTED,
        "%s: tokenizer.ggml.model is \"%.*s\"; takt has llama, gpt2, gemma4, t5 and bert",
        gguf->path, (int)BASE_MIN(name.length, (size_t)64), name.text);
}

static enum takt_status load_kind(struct tokenizer *tokenizer, const struct gguf *gguf,
                                  struct takt_error *error)
{
    switch (tokenizer->kind) {
    case TOKENIZER_BPE: return load_bpe(tokenizer, gguf, error);
    case TOKENIZER_UNIGRAM: return load_unigram(tokenizer, gguf, error);
    case TOKENIZER_WORDPIECE: return load_wordpiece(tokenizer, gguf, error);
    case TOKENIZER_SPM: break;
    }
    tokenizer->marks = true;
    tokenizer->add_space_prefix = true;
    return model_gguf_bool(gguf, "tokenizer.ggml.add_space_prefix", &tokenizer->add_space_prefix,
                           error);
}

static enum takt_status load(struct tokenizer *tokenizer, const struct gguf *gguf,
                             struct takt_error *error)
{
    enum takt_status status = read_kind(gguf, &tokenizer->kind, error);
    struct arrays arrays = {NULL, NULL, NULL, NULL};
    if (status == TAKT_OK)
        status = find_arrays(gguf, tokenizer->kind, &arrays, error);
    if (status != TAKT_OK)
        return status;
    size_t merges = arrays.merges == NULL ? 0 : (size_t)arrays.merges->count;
    status = base_arena_create(&tokenizer->arena,
                               tokenizer_index_bytes((size_t)arrays.tokens->count, merges), error);
    if (status == TAKT_OK)
        status = load_tokens(tokenizer, gguf, &arrays, error);
    if (status == TAKT_OK)
        status = load_kind(tokenizer, gguf, error);
    tokenizer->byte_names = tokenizer->kind != TOKENIZER_BPE || tokenizer->traits.characters;
    if (status == TAKT_OK)
        status = read_special(tokenizer, gguf, arrays.types != NULL, error);
    if (status == TAKT_OK)
        status = read_strips(tokenizer, gguf, error);
    if (status == TAKT_OK)
        status = tokenizer_load_templates(tokenizer, gguf, error);
    return status == TAKT_OK ? tokenizer_index(tokenizer, gguf->path, error) : status;
}

enum takt_status tokenizer_create(struct tokenizer **out, const struct gguf *gguf,
                                  struct takt_error *error)
{
    *out = NULL;
    struct tokenizer *tokenizer = calloc(1, sizeof(*tokenizer));
    if (tokenizer == NULL)
        return base_fail(error, TAKT_MEMORY, "%s: no memory for the tokenizer; free some",
                         gguf->path);
    tokenizer->special.bos = tokenizer->special.eos = tokenizer->unknown = TOKENIZER_NONE;
    enum takt_status status = load(tokenizer, gguf, error);
    if (status != TAKT_OK) {
        tokenizer_close(tokenizer);
        return status;
    }
    *out = tokenizer;
    return TAKT_OK;
}
