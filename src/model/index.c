/* What tokens are looked up by: text, single bytes, and those that stand for themselves. */
#include "model/tokenizer_parts.h"

#include <stdlib.h>
#include <string.h>

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

size_t tokenizer_index_bytes(size_t tokens, size_t merges)
{
    /* Tokens, specials, and two tables of at most four slots an entry (a power of two at least
     * twice). */
    return tokens * (sizeof(struct token) + 5 * sizeof(uint32_t)) +
           merges * 4 * sizeof(struct token_merge) + 8192;
}

void tokenizer_index_texts(struct tokenizer *tokenizer)
{
    for (uint32_t id = 0; id < tokenizer->vocab; id++)
        tokenizer->longest_bytes = BASE_MAX(tokenizer->longest_bytes, tokenizer->tokens[id].length);
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
}

/* ---- ends ------------------------------------------------------------------------------------ */

void tokenizer_add_end(struct tokenizer *tokenizer, uint32_t id)
{
    struct tokenizer_special *special = &tokenizer->special;
    if (id == TOKENIZER_NONE || special->end_count == TOKENIZER_ENDS_MAX)
        return;
    for (uint32_t i = 0; i < special->end_count; i++)
        if (special->ends[i] == id)
            return;
    special->ends[special->end_count++] = id;
}

void tokenizer_add_known_ends(struct tokenizer *tokenizer)
{
    static const char deepseek_end[] = "<\xEF\xBD\x9C"
                                       "end\xE2\x96\x81of\xE2\x96\x81sentence\xEF\xBD\x9C>";
    static const char *const names[] = {
        "<|im_end|>", "<|endoftext|>", "<|eot_id|>",        "<|end|>", "</s>",
        "<|eom_id|>", "<end_of_turn>", "<|end_of_text|>",   "<EOT>",   "<|return|>",
        "<|call|>",   deepseek_end,    "<end_of_utterance>"};
    /* Where an answer has parts, the end of a part is not the end. */
    bool parts = tokenizer_find(tokenizer, "<|return|>", 10) != TOKENIZER_NONE &&
                 tokenizer_find(tokenizer, "<|call|>", 8) != TOKENIZER_NONE;
    for (size_t i = 0; i < BASE_COUNT(names); i++) {
        uint32_t id = tokenizer_find(tokenizer, names[i], strlen(names[i]));
        if (id != TOKENIZER_NONE && tokenizer->tokens[id].type == TOKEN_CONTROL &&
            !(parts && strcmp(names[i], "<|end|>") == 0))
            tokenizer_add_end(tokenizer, id);
    }
}

/* ---- indices over the tokens ----------------------------------------------------------------- */

void tokenizer_type_bytes(struct tokenizer *tokenizer)
{
    for (unsigned byte = 0; tokenizer->byte_names && byte < 256; byte++) {
        char text[8];
        size_t length = (size_t)snprintf(text, sizeof(text), "<0x%02X>", byte);
        uint32_t id = tokenizer_find(tokenizer, text, length);
        if (id != TOKENIZER_NONE)
            tokenizer->tokens[id].type = TOKEN_BYTE;
    }
}

static void index_bytes(struct tokenizer *tokenizer)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        char text[8];
        size_t length = tokenizer->byte_names
                            ? (size_t)snprintf(text, sizeof(text), "<0x%02X>", byte)
                            : tokenizer_byte_character((unsigned char)byte, text);
        uint32_t id = tokenizer_find(tokenizer, text, length);
        if (tokenizer->byte_names && id != TOKENIZER_NONE &&
            tokenizer->tokens[id].type != TOKEN_BYTE)
            id = TOKENIZER_NONE;
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

static enum takt_status index_specials(struct tokenizer *tokenizer, const char *where,
                                       struct takt_error *error)
{
    uint32_t count = 0;
    for (uint32_t id = 0; id < tokenizer->vocab; id++)
        count += stands_for_itself(&tokenizer->tokens[id]) ? 1 : 0;
    struct special_entry *entries = malloc((count + 1) * sizeof(*entries));
    if (entries == NULL)
        return base_fail(error, TAKT_MEMORY, "%s: no memory for %u special tokens; free some",
                         where, count);
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

enum takt_status tokenizer_index(struct tokenizer *tokenizer, const char *where,
                                 struct takt_error *error)
{
    index_bytes(tokenizer);
    index_marks(tokenizer);
    tokenizer->cuts_words = tokenizer->traits.characters && !tokenizer->traits.whole_pieces &&
                            tokenizer_find(tokenizer, "\xE2\x96\x81", 3) != TOKENIZER_NONE;
    return index_specials(tokenizer, where, error);
}
