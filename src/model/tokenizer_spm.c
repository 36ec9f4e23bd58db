/*
 * SentencePiece-style encoding: characters, merged by the score of the merged token, the highest
 * first; what is no token then becomes byte tokens, or the unknown token. Order and ties as
 * llama.cpp's SPM.
 */
#include "model/tokenizer_parts.h"

#include <stdlib.h>
#include <string.h>

/* U+2581, which stands for a space inside tokens. */
#define SPACE_MARK "\xE2\x96\x81"
#define SPACE_MARK_BYTES 3u

/* Text may not spell control tokens or <0x41> together: those types are not matched. */
static uint32_t find_piece(const struct tokenizer *tokenizer, const char *text, size_t length)
{
    uint32_t id = tokenizer_find(tokenizer, text, length);
    if (id == TOKENIZER_NONE)
        return id;
    enum token_type type = tokenizer->tokens[id].type;
    bool matched = type != TOKEN_CONTROL && type != TOKEN_UNKNOWN && type != TOKEN_BYTE;
    return matched ? id : TOKENIZER_NONE;
}

/* Scores as integers whose order is the reverse: the highest score is the smallest priority. */
static uint32_t priority_of(float score)
{
    float positive_zero = score + 0.0f; /* -0 and +0 tie */
    uint32_t bits;
    memcpy(&bits, &positive_zero, sizeof(bits));
    uint32_t ascending = (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
    return ~ascending;
}

static bool pair_by_score(const struct tokenizer *tokenizer, const struct tokenizer_work *work,
                          const struct tokenizer_symbol *left, const struct tokenizer_symbol *right,
                          uint32_t *priority, uint32_t *result)
{
    uint32_t id = find_piece(tokenizer, work->text + left->start, left->length + right->length);
    if (id == TOKENIZER_NONE)
        return false;
    *priority = priority_of(tokenizer->tokens[id].score);
    *result = id;
    return true;
}

/* Bytes when the vocabulary has all of them for this symbol, otherwise one unknown a character. */
static void append_fallback(const struct tokenizer *tokenizer, const char *text, size_t length,
                            struct tokenizer_ids *ids)
{
    for (size_t i = 0; i < length; i++) {
        if (tokenizer->byte_ids[(unsigned char)text[i]] == TOKENIZER_NONE) {
            tokenizer_ids_append(ids, tokenizer->unknown);
            return;
        }
    }
    for (size_t i = 0; i < length; i++)
        tokenizer_ids_append(ids, tokenizer->byte_ids[(unsigned char)text[i]]);
}

static enum takt_status encode_word(const struct tokenizer *tokenizer, struct tokenizer_work *work,
                                    const char *text, size_t length, struct tokenizer_ids *ids,
                                    struct takt_error *error)
{
    size_t from = ids->count;
    if (tokenizer_cache_take(work, text, length, ids))
        return TAKT_OK;
    if (!tokenizer_work_start(work, text, length))
        return base_fail(error, TAKT_MEMORY,
                         "tokenizer: no memory to encode %zu bytes; encode less", length);
    for (size_t i = 0; i < length;) {
        size_t size = base_utf8_size(text + i, length - i);
        size += size == 0 ? 1 : 0; /* an invalid byte is a symbol of its own */
        tokenizer_work_add(work, (uint32_t)i, (uint32_t)size,
                           find_piece(tokenizer, text + i, size));
        i += size;
    }
    tokenizer_merge_all(tokenizer, work, pair_by_score);
    for (size_t i = 0; i < work->symbol_count; i++) {
        const struct tokenizer_symbol *symbol = &work->symbols[i];
        if (symbol->length == 0)
            continue;
        if (symbol->id != TOKENIZER_NONE)
            tokenizer_ids_append(ids, symbol->id);
        else
            append_fallback(tokenizer, text + symbol->start, symbol->length, ids);
    }
    tokenizer_cache_put(work, text, length, ids, from);
    return TAKT_OK;
}

/* Where no token holds a space mark behind the byte in front of it, no merge crosses: what comes
 * before and after the mark are encoded apart, which gives the same ids and is linear. */
static enum takt_status encode_marked(const struct tokenizer *tokenizer,
                                      struct tokenizer_work *work, const char *text, size_t length,
                                      struct tokenizer_ids *ids, struct takt_error *error)
{
    size_t start = 0;
    enum takt_status status = TAKT_OK;
    for (size_t at = 1; status == TAKT_OK && at + SPACE_MARK_BYTES <= length; at++) {
        if (memcmp(text + at, SPACE_MARK, SPACE_MARK_BYTES) != 0 ||
            tokenizer->before_mark[(unsigned char)text[at - 1]])
            continue;
        status = encode_word(tokenizer, work, text + start, at - start, ids, error);
        start = at;
    }
    if (status == TAKT_OK && start != length)
        status = encode_word(tokenizer, work, text + start, length - start, ids, error);
    return status;
}

enum takt_status tokenizer_spm_encode(const struct tokenizer *tokenizer,
                                      struct tokenizer_work *work, const char *text, size_t length,
                                      bool add_space, struct tokenizer_ids *ids,
                                      struct takt_error *error)
{
    char *marked = malloc((length + 1) * SPACE_MARK_BYTES);
    if (marked == NULL)
        return base_fail(error, TAKT_MEMORY,
                         "tokenizer: no memory to encode %zu bytes; encode less", length);
    size_t used = 0;
    if (add_space) {
        memcpy(marked, SPACE_MARK, SPACE_MARK_BYTES);
        used = SPACE_MARK_BYTES;
    }
    for (size_t i = 0; i < length; i++) {
        if (text[i] == ' ') {
            memcpy(marked + used, SPACE_MARK, SPACE_MARK_BYTES);
            used += SPACE_MARK_BYTES;
        } else {
            marked[used++] = text[i];
        }
    }
    enum takt_status status = encode_marked(tokenizer, work, marked, used, ids, error);
    free(marked);
    return status;
}
