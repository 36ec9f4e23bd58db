/* WordPiece: each word is taken apart from the left into the longest tokens; a word that does not
 * come apart is the unknown token. */
#include "model/tokenizer_parts.h"

#include <string.h>

#define WORD_BYTES_MAX 4096u

/* The longest token that the bytes begin with, behind a mark; 0 when there is none. */
static uint32_t longest(const struct tokenizer *tokenizer, const char *mark, const char *text,
                        size_t length, uint32_t *id)
{
    char buffer[WORD_BYTES_MAX + 16];
    size_t front = strlen(mark);
    size_t most = BASE_MIN(length, (size_t)tokenizer->longest_bytes - front);
    memcpy(buffer, mark, front);
    memcpy(buffer + front, text, most);
    for (size_t size = most; size != 0; size--) {
        if (size < length && ((unsigned char)text[size] & 0xC0) == 0x80)
            continue; /* within a character */
        *id = tokenizer_find(tokenizer, buffer, front + size);
        if (*id != TOKENIZER_NONE)
            return (uint32_t)size;
    }
    return 0;
}

void tokenizer_wordpiece_piece(const struct tokenizer *tokenizer, struct tokenizer_work *work,
                               const char *text, size_t length, struct tokenizer_ids *ids)
{
    size_t from = ids->count;
    size_t marks = BASE_MAX(strlen(tokenizer->word_mark), strlen(tokenizer->continuing_mark));
    bool good = length <= WORD_BYTES_MAX && tokenizer->longest_bytes > marks;
    if (tokenizer_cache_take(work, text, length, ids))
        return;
    for (size_t at = 0; good && at < length;) {
        uint32_t id,
            size = longest(tokenizer, at == 0 ? tokenizer->word_mark : tokenizer->continuing_mark,
                           text + at, length - at, &id);
        good = size != 0;
        if (good)
            tokenizer_ids_append(ids, id);
        at += size;
    }
    if (!good && !ids->failed) {
        ids->count = from;
        if (tokenizer->unknown != TOKENIZER_NONE)
            tokenizer_ids_append(ids, tokenizer->unknown);
    }
    tokenizer_cache_put(work, text, length, ids, from);
}
