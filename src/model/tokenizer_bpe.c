/*
 * Byte-pair encoding of a piece: its bytes, as characters of GPT-2's alphabet, or its characters as
 * they are, merged by the rank of their pair in the file's list.
 */
#include "model/tokenizer_parts.h"

#include <string.h>

/* ---- the alphabet ---------------------------------------------------------------------------- */

/* Bytes that stand for the character of their own number; the others take U+0100 and on, in order.
 */
static bool is_printable(unsigned byte)
{
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

static uint32_t character_of(unsigned char byte)
{
    if (is_printable(byte))
        return byte;
    /* Not printable: 0..32, then 127..160, then 173. */
    if (byte <= 32)
        return 0x100u + byte;
    return byte <= 160 ? 0x100u + 33u + (byte - 127u) : 0x100u + 33u + 34u;
}

size_t tokenizer_byte_character(unsigned char byte, char out[2])
{
    uint32_t character = character_of(byte);
    if (character < 0x80) {
        out[0] = (char)character;
        return 1;
    }
    out[0] = (char)(0xC0 | character >> 6);
    out[1] = (char)(0x80 | (character & 63));
    return 2;
}

bool tokenizer_character_byte(const char *text, size_t size, unsigned char *byte)
{
    uint32_t character = (unsigned char)text[0];
    if (size == 2)
        character = (character & 31) << 6 | ((unsigned char)text[1] & 63u);
    if (size > 2 || size == 0)
        return false;
    if (character < 0x100) {
        *byte = (unsigned char)character;
        return is_printable(character);
    }
    uint32_t index = character - 0x100;
    if (index > 67)
        return false;
    *byte = (unsigned char)(index <= 32 ? index : index <= 66 ? index - 33 + 127 : 173);
    return true;
}

/* ---- merges ---------------------------------------------------------------------------------- */

static uint32_t merge_slot(uint64_t pair, uint32_t mask)
{
    uint64_t mixed = pair * UINT64_C(0x9E3779B97F4A7C15);
    mixed ^= mixed >> 32;
    mixed *= UINT64_C(0xD6E8FEB86659FD93);
    return (uint32_t)(mixed >> 32) & mask;
}

static const struct token_merge *find_merge(const struct tokenizer *tokenizer, uint32_t left,
                                            uint32_t right)
{
    uint64_t pair = (uint64_t)left << 32 | right;
    uint32_t slot = merge_slot(pair, tokenizer->merge_mask);
    while (tokenizer->merges[slot].pair != pair) {
        if (tokenizer->merges[slot].pair == UINT64_MAX)
            return NULL;
        slot = (slot + 1) & tokenizer->merge_mask;
    }
    return &tokenizer->merges[slot];
}

static void add_merge(struct tokenizer *tokenizer, uint32_t left, uint32_t right, uint32_t rank,
                      uint32_t result)
{
    uint64_t pair = (uint64_t)left << 32 | right;
    uint32_t slot = merge_slot(pair, tokenizer->merge_mask);
    for (; tokenizer->merges[slot].pair != UINT64_MAX; slot = (slot + 1) & tokenizer->merge_mask)
        if (tokenizer->merges[slot].pair == pair)
            return;
    tokenizer->merges[slot] = (struct token_merge){pair, rank, result};
}

void tokenizer_merges_start(struct tokenizer *tokenizer, size_t count)
{
    /* Whoever reserved the arena bounded the count: tokenizer_index_bytes. */
    uint32_t slots = 16;
    while (slots < 2 * count)
        slots *= 2;
    tokenizer->merges = BASE_NEW(&tokenizer->arena, struct token_merge, slots);
    tokenizer->merge_mask = slots - 1;
    for (uint32_t i = 0; i < slots; i++)
        tokenizer->merges[i].pair = UINT64_MAX;
}

void tokenizer_merges_add(struct tokenizer *tokenizer, uint32_t rank, const char *left,
                          size_t left_length, const char *right, size_t right_length)
{
    char joined[4096];
    if (left_length + right_length > sizeof(joined))
        return; /* so long a token would be found by nobody */
    memcpy(joined, left, left_length);
    memcpy(joined + left_length, right, right_length);
    uint32_t left_id = tokenizer_find(tokenizer, left, left_length);
    uint32_t right_id = tokenizer_find(tokenizer, right, right_length);
    uint32_t result = tokenizer_find(tokenizer, joined, left_length + right_length);
    if (left_id != TOKENIZER_NONE && right_id != TOKENIZER_NONE && result != TOKENIZER_NONE)
        add_merge(tokenizer, left_id, right_id, rank, result);
}

/* One line of the file: "left right". */
static enum takt_status load_merge(struct tokenizer *tokenizer, const struct gguf *gguf,
                                   uint32_t rank, struct gguf_string line, struct takt_error *error)
{
    const char *space = line.length < 3 ? NULL : memchr(line.text + 1, ' ', line.length - 2);
    if (space == NULL || line.length > 4096)
        return base_fail(error, TAKT_FORMAT,
                         "%s: tokenizer.ggml.merges[%u] is \"%.*s\", wanted two texts with a space "
                         "between; convert the model again",
                         gguf->path, rank, (int)BASE_MIN(line.length, (size_t)80), line.text);
    size_t left_length = (size_t)(space - line.text);
    tokenizer_merges_add(tokenizer, rank, line.text, left_length, space + 1,
                         line.length - left_length - 1);
    return TAKT_OK;
}

enum takt_status tokenizer_bpe_load(struct tokenizer *tokenizer, const struct gguf *gguf,
                                    struct takt_error *error)
{
    const struct gguf_pair *merges;
    enum takt_status status =
        model_gguf_array(gguf, "tokenizer.ggml.merges", true, GGUF_STRING, &merges, error);
    if (status != TAKT_OK)
        return status;
    tokenizer_merges_start(tokenizer, (size_t)merges->count);
    const unsigned char *cursor = merges->data;
    for (uint32_t rank = 0; status == TAKT_OK && rank < merges->count; rank++)
        status = load_merge(tokenizer, gguf, rank, model_gguf_next_string(&cursor), error);
    return status;
}

/* ---- encoding -------------------------------------------------------------------------------- */

static bool pair_by_rank(const struct tokenizer *tokenizer, const struct tokenizer_work *work,
                         const struct tokenizer_symbol *left, const struct tokenizer_symbol *right,
                         uint32_t *priority, uint32_t *result)
{
    (void)work;
    if (left->id == TOKENIZER_NONE || right->id == TOKENIZER_NONE)
        return false;
    const struct token_merge *merge = find_merge(tokenizer, left->id, right->id);
    if (merge == NULL)
        return false;
    *priority = merge->rank;
    *result = merge->result;
    return true;
}

/* The token whose text is the whole piece, in the alphabet; TOKENIZER_NONE when there is none. */
static uint32_t find_whole(const struct tokenizer *tokenizer, const char *text, size_t length)
{
    char characters[2048];
    size_t used = 0;
    uint32_t id;
    if (length > sizeof(characters) / 2 || length > tokenizer->longest_bytes)
        return TOKENIZER_NONE;
    for (size_t i = 0; !tokenizer->traits.characters && i < length; i++)
        used += tokenizer_byte_character((unsigned char)text[i], characters + used);
    id = tokenizer->traits.characters ? tokenizer_find(tokenizer, text, length)
                                      : tokenizer_find(tokenizer, characters, used);
    bool normal = id != TOKENIZER_NONE && tokenizer->tokens[id].type != TOKEN_CONTROL;
    return normal ? id : TOKENIZER_NONE;
}

static bool is_newlines(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (text[i] != '\n')
            return false;
    return true;
}

/* A symbol for each byte, or for each character where tokens are made of those. */
static void add_symbols(const struct tokenizer *tokenizer, struct tokenizer_work *work,
                        const char *text, size_t length)
{
    for (size_t i = 0; i < length && !tokenizer->traits.characters; i++)
        tokenizer_work_add(work, (uint32_t)i, 1, tokenizer->byte_ids[(unsigned char)text[i]]);
    for (size_t i = 0; i < length && tokenizer->traits.characters;) {
        size_t size = base_utf8_size(text + i, length - i);
        size += size == 0 ? 1 : 0;
        tokenizer_work_add(work, (uint32_t)i, (uint32_t)size,
                           tokenizer_find(tokenizer, text + i, size));
        i += size;
    }
}

/* What is no token: its bytes where they all are tokens, otherwise the unknown one. A byte that the
 * vocabulary lacks altogether leaves no token. */
static void append_rest(const struct tokenizer *tokenizer, const char *text, size_t length,
                        bool after_unknown, struct tokenizer_ids *ids)
{
    bool bytes = tokenizer->traits.characters;
    for (size_t i = 0; bytes && i < length; i++)
        bytes = tokenizer->byte_ids[(unsigned char)text[i]] != TOKENIZER_NONE;
    for (size_t i = 0; bytes && i < length; i++)
        tokenizer_ids_append(ids, tokenizer->byte_ids[(unsigned char)text[i]]);
    if (!bytes && tokenizer->unknown != TOKENIZER_NONE &&
        !(after_unknown && tokenizer->fuses_unknown))
        tokenizer_ids_append(ids, tokenizer->unknown);
}

static enum takt_status encode_word(const struct tokenizer *tokenizer, struct tokenizer_work *work,
                                    const char *text, size_t length, struct tokenizer_ids *ids,
                                    struct takt_error *error)
{
    size_t from = ids->count;
    if (tokenizer_cache_take(work, text, length, ids))
        return TAKT_OK;
    if (tokenizer->traits.whole_pieces ||
        (tokenizer->traits.newline_runs && is_newlines(text, length))) {
        uint32_t id = find_whole(tokenizer, text, length);
        if (id != TOKENIZER_NONE) {
            tokenizer_ids_append(ids, id);
            tokenizer_cache_put(work, text, length, ids, from);
            return TAKT_OK;
        }
    }
    if (!tokenizer_work_start(work, text, length))
        return base_fail(error, TAKT_MEMORY,
                         "tokenizer: no memory to encode %zu bytes; encode less", length);
    add_symbols(tokenizer, work, text, length);
    tokenizer_merge_all(tokenizer, work, pair_by_rank);
    bool after_unknown = false;
    for (size_t i = 0; i < work->symbol_count; i++) {
        const struct tokenizer_symbol *symbol = &work->symbols[i];
        if (symbol->length == 0)
            continue;
        if (symbol->id != TOKENIZER_NONE)
            tokenizer_ids_append(ids, symbol->id);
        else
            append_rest(tokenizer, text + symbol->start, symbol->length, after_unknown, ids);
        after_unknown = symbol->id == TOKENIZER_NONE;
    }
    tokenizer_cache_put(work, text, length, ids, from);
    return TAKT_OK;
}

#define SPACE_MARK "\xE2\x96\x81"

enum takt_status tokenizer_bpe_piece(const struct tokenizer *tokenizer, struct tokenizer_work *work,
                                     const char *text, size_t length, struct tokenizer_ids *ids,
                                     struct takt_error *error)
{
    size_t start = 0;
    enum takt_status status = TAKT_OK;
    /* As in tokenizer_spm.c: no merge reaches over such a place. */
    for (size_t at = 1; tokenizer->cuts_words && status == TAKT_OK && at + 3 <= length; at++) {
        if (memcmp(text + at, SPACE_MARK, 3) != 0 ||
            tokenizer->before_mark[(unsigned char)text[at - 1]])
            continue;
        status = encode_word(tokenizer, work, text + start, at - start, ids, error);
        start = at;
    }
    if (status == TAKT_OK && start != length)
        status = encode_word(tokenizer, work, text + start, length - start, ids, error);
    return status;
}
