/* Reading a file's vocabulary: tokens, types, scores, special ids, and the indices over them. */
#include "model/tokenizer_parts.h"

#include <stdlib.h>
#include <string.h>

#define VOCABULARY_MAX (1u << 24) /* tokens, and merges; files today have under 2^19 */
#define TOKEN_BYTES_MAX 65535u

/* ---- text to id ------------------------------------------------------------------------------ */

/* FNV-1a, with a finish that spreads it over the low bits. */
static uint32_t hash_text(const char *text, size_t length)
{
    uint64_t hash = UINT64_C(0xCBF29CE484222325);
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001B3);
    return (uint32_t)(hash ^ hash >> 32);
}

static bool token_is(const struct token *token, const char *text, size_t length)
{
    return token->length == length && memcmp(token->text, text, length) == 0;
}

static uint32_t *slot_of(const struct tokenizer *tokenizer, const char *text, size_t length)
{
    uint32_t slot = hash_text(text, length) & tokenizer->slot_mask;
    while (tokenizer->slots[slot] != TOKENIZER_NONE &&
           !token_is(&tokenizer->tokens[tokenizer->slots[slot]], text, length))
        slot = (slot + 1) & tokenizer->slot_mask;
    return &tokenizer->slots[slot];
}

uint32_t tokenizer_find(const struct tokenizer *tokenizer, const char *text, size_t length)
{
    /* Without the first test a long text would be hashed for each of its merges. */
    if (length == 0 || length > tokenizer->longest_bytes)
        return TOKENIZER_NONE;
    return *slot_of(tokenizer, text, length);
}

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
        status = model_gguf_array(gguf, "tokenizer.ggml.scores", kind == TOKENIZER_SPM, GGUF_F32,
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
    *token = (struct token){text.text, (uint32_t)text.length, TOKEN_NORMAL, 0.0f};
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
    uint32_t slots = 16;
    while (slots < 2 * tokenizer->vocab)
        slots *= 2;
    tokenizer->slots = BASE_NEW(&tokenizer->arena, uint32_t, slots);
    tokenizer->slot_mask = slots - 1;
    for (uint32_t i = 0; i < slots; i++)
        tokenizer->slots[i] = TOKENIZER_NONE;
    /* Of equal texts the last one is found, as in llama.cpp; an empty one never is. */
    for (uint32_t id = 0; id < tokenizer->vocab; id++) {
        const struct token *token = &tokenizer->tokens[id];
        if (token->length != 0)
            *slot_of(tokenizer, token->text, token->length) = id;
    }
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

static void add_end(struct tokenizer *tokenizer, uint32_t id)
{
    struct tokenizer_special *special = &tokenizer->special;
    if (id == TOKENIZER_NONE || special->end_count == TOKENIZER_ENDS_MAX)
        return;
    for (uint32_t i = 0; i < special->end_count; i++)
        if (special->ends[i] == id)
            return;
    special->ends[special->end_count++] = id;
}

static enum takt_status read_ends(struct tokenizer *tokenizer, const struct gguf *gguf,
                                  struct takt_error *error)
{
    static const char *const keys[] = {"tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.eom_token_id"};
    /* Files often name only one end; chat models stop at any of these. */
    static const char *const names[] = {"<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end|>",
                                        "</s>"};
    add_end(tokenizer, tokenizer->special.eos);
    for (size_t i = 0; i < BASE_COUNT(keys); i++) {
        uint32_t id = TOKENIZER_NONE;
        enum takt_status status = read_id(tokenizer, gguf, keys[i], &id, error);
        if (status != TAKT_OK)
            return status;
        add_end(tokenizer, id);
    }
    for (size_t i = 0; i < BASE_COUNT(names); i++) {
        uint32_t id = tokenizer_find(tokenizer, names[i], strlen(names[i]));
        if (id != TOKENIZER_NONE && tokenizer->tokens[id].type == TOKEN_CONTROL)
            add_end(tokenizer, id);
    }
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
    }
    status = read_ends(tokenizer, gguf, error);
    special->add_bos = tokenizer->kind == TOKENIZER_SPM || tokenizer->traits.adds_bos;
    if (status == TAKT_OK)
        status = model_gguf_bool(gguf, "tokenizer.ggml.add_bos_token", &special->add_bos, error);
    special->add_bos = special->add_bos && special->bos != TOKENIZER_NONE;
    tokenizer->add_space_prefix = tokenizer->kind == TOKENIZER_SPM;
    if (status == TAKT_OK && tokenizer->kind == TOKENIZER_SPM)
        status = model_gguf_bool(gguf, "tokenizer.ggml.add_space_prefix",
                                 &tokenizer->add_space_prefix, error);
    return status;
}

/* ---- indices over the tokens ----------------------------------------------------------------- */

static void index_bytes(struct tokenizer *tokenizer, bool has_types)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        char text[8];
        size_t length = tokenizer->kind == TOKENIZER_SPM
                            ? (size_t)snprintf(text, sizeof(text), "<0x%02X>", byte)
                            : tokenizer_byte_character((unsigned char)byte, text);
        uint32_t id = tokenizer_find(tokenizer, text, length);
        if (tokenizer->kind == TOKENIZER_SPM && id != TOKENIZER_NONE) {
            if (!has_types)
                tokenizer->tokens[id].type = TOKEN_BYTE;
            if (tokenizer->tokens[id].type != TOKEN_BYTE)
                id = TOKENIZER_NONE;
        }
        tokenizer->byte_ids[byte] = id;
    }
}

/* Which bytes come right before a space mark within a token. */
static void index_marks(struct tokenizer *tokenizer)
{
    for (uint32_t id = 0; id < tokenizer->vocab; id++) {
        const struct token *token = &tokenizer->tokens[id];
        for (uint32_t i = 1; i + 3 <= token->length; i++)
            if (memcmp(token->text + i, "\xE2\x96\x81", 3) == 0)
                tokenizer->before_mark[(unsigned char)token->text[i - 1]] = true;
    }
}

static bool stands_for_itself(const struct token *token)
{
    return token->length != 0 && (token->type == TOKEN_CONTROL || token->type == TOKEN_USER ||
                                  token->type == TOKEN_UNKNOWN);
}

struct special_entry {
    const struct token *token;
    uint32_t id;
};

/* By text as bytes, the shorter of two that begin alike first, then id, so that the order is total.
 */
static int compare_specials(const void *a, const void *b)
{
    const struct special_entry *left = a, *right = b;
    int order = memcmp(left->token->text, right->token->text,
                       BASE_MIN(left->token->length, right->token->length));
    if (order == 0 && left->token->length != right->token->length)
        return left->token->length < right->token->length ? -1 : 1;
    return order != 0 ? order : left->id < right->id ? -1 : 1;
}

static enum takt_status index_specials(struct tokenizer *tokenizer, const struct gguf *gguf,
                                       struct takt_error *error)
{
    uint32_t count = 0;
    for (uint32_t id = 0; id < tokenizer->vocab; id++)
        count += stands_for_itself(&tokenizer->tokens[id]) ? 1 : 0;
    struct special_entry *entries = malloc((count + 1) * sizeof(*entries));
    if (entries == NULL)
        return base_fail(error, TAKT_MEMORY, "%s: no memory for %u special tokens; free some",
                         gguf->path, count);
    count = 0;
    for (uint32_t id = 0; id < tokenizer->vocab; id++)
        if (stands_for_itself(&tokenizer->tokens[id]))
            entries[count++] = (struct special_entry){&tokenizer->tokens[id], id};
    qsort(entries, count, sizeof(*entries), compare_specials);
    tokenizer->specials = BASE_NEW(&tokenizer->arena, uint32_t, count);
    uint32_t at = 0;
    for (unsigned byte = 0; byte < 256; byte++) {
        tokenizer->special_start[byte] = at;
        for (; at < count && (unsigned char)entries[at].token->text[0] == byte; at++)
            tokenizer->specials[at] = entries[at].id;
    }
    tokenizer->special_start[256] = count;
    free(entries);
    return TAKT_OK;
}

/* ---- opening --------------------------------------------------------------------------------- */

static enum takt_status read_kind(const struct gguf *gguf, enum tokenizer_kind *kind,
                                  struct takt_error *error)
{
    struct gguf_string name;
    enum takt_status status = model_gguf_string(gguf, "tokenizer.ggml.model", true, &name, error);
    if (status != TAKT_OK)
        return status;
    if (model_gguf_string_is(name, "llama"))
        *kind = TOKENIZER_SPM;
    else if (model_gguf_string_is(name, "gpt2"))
        *kind = TOKENIZER_BPE;
    else
        return base_fail(
            error, TAKT_UNSUPPORTED,
            "%s: tokenizer.ggml.model is \"%.*s\"; this version has \"llama\" and \"gpt2\"",
            gguf->path, (int)BASE_MIN(name.length, (size_t)64), name.text);
    return TAKT_OK;
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
    /* Tokens, specials, and two tables of at most four slots an entry (a power of two at least
     * twice). */
    size_t merges = arrays.merges == NULL ? 0 : (size_t)arrays.merges->count;
    size_t bytes = (size_t)arrays.tokens->count * (sizeof(struct token) + 5 * sizeof(uint32_t)) +
                   merges * 4 * sizeof(struct token_merge) + 4096;
    status = base_arena_create(&tokenizer->arena, bytes, error);
    if (status == TAKT_OK)
        status = load_tokens(tokenizer, gguf, &arrays, error);
    if (status == TAKT_OK && tokenizer->kind == TOKENIZER_BPE) {
        struct gguf_string pre = {"default", 7};
        status = model_gguf_string(gguf, "tokenizer.ggml.pre", false, &pre, error);
        if (status == TAKT_OK)
            status = tokenizer_split_create(&tokenizer->split, gguf->path, pre, &tokenizer->traits,
                                            error);
        if (status == TAKT_OK)
            status = tokenizer_bpe_load(tokenizer, gguf, error);
    }
    if (status == TAKT_OK)
        status = read_special(tokenizer, gguf, arrays.types != NULL, error);
    if (status == TAKT_OK)
        status = tokenizer_load_templates(tokenizer, gguf, error);
    if (status != TAKT_OK)
        return status;
    index_bytes(tokenizer, arrays.types != NULL);
    index_marks(tokenizer);
    return index_specials(tokenizer, gguf, error);
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
