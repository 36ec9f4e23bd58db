/* Encoding around special tokens, and decoding. */
#include "model/tokenizer_parts.h"

#include <stdlib.h>
#include <string.h>

/* Offsets are 32 bits wide, and SentencePiece's form of a text takes three bytes a space. */
#define TEXT_BYTES_MAX (1u << 28)
#define CACHE_BYTES_MIN 4096u

enum takt_status tokenizer_open_file(struct tokenizer **out, const char *path,
                                     struct takt_error *error)
{
    *out = NULL;
    struct base_file file;
    enum takt_status status = base_file_map(&file, path, error);
    if (status != TAKT_OK)
        return status;
    struct gguf gguf;
    status = model_gguf_open(&gguf, path, &file, error);
    if (status == TAKT_OK) {
        status = tokenizer_create(out, &gguf, error);
        model_gguf_close(&gguf);
    }
    if (status != TAKT_OK) {
        base_file_unmap(&file);
        return status;
    }
    (*out)->file = file;
    return TAKT_OK;
}

void tokenizer_close(struct tokenizer *tokenizer)
{
    if (tokenizer == NULL)
        return;
    tokenizer_split_destroy(tokenizer->split);
    tokenizer_free_templates(tokenizer);
    base_arena_destroy(&tokenizer->arena);
    base_file_unmap(&tokenizer->file);
    free(tokenizer);
}

const struct tokenizer_special *tokenizer_special(const struct tokenizer *tokenizer)
{
    return &tokenizer->special;
}

uint32_t tokenizer_vocab(const struct tokenizer *tokenizer)
{
    return tokenizer->vocab;
}

/* ---- encoding -------------------------------------------------------------------------------- */

void tokenizer_ids_append(struct tokenizer_ids *list, uint32_t id)
{
    if (list->failed)
        return;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity < 32 ? 32 : 2 * list->capacity;
        uint32_t *grown = realloc(list->ids, capacity * sizeof(*grown));
        if (grown == NULL) {
            list->failed = true;
            return;
        }
        list->ids = grown;
        list->capacity = capacity;
    }
    list->ids[list->count++] = id;
}

/* May this token be taken from these bytes? User-defined ones always; control and unknown ones only
 * when asked for, and only of bytes that are not foreign. */
static bool may_stand(const struct token *token, const unsigned char *foreign, bool parse_special)
{
    return token->type == TOKEN_USER ||
           (parse_special && (foreign == NULL || memchr(foreign, 1, token->length) == NULL));
}

/* The first of specials[low ... high) whose byte at `at` is not less than `byte`. They begin alike
 * up to there, and all are longer. */
static uint32_t first_not_less(const struct tokenizer *tokenizer, uint32_t low, uint32_t high,
                               uint32_t at, unsigned byte)
{
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        const struct token *token = &tokenizer->tokens[tokenizer->specials[middle]];
        if ((unsigned char)token->text[at] < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The longest special token that the text begins with, or TOKENIZER_NONE: the sorted list is
 * narrowed byte by byte. */
static uint32_t special_in_front(const struct tokenizer *tokenizer, const char *text,
                                 const unsigned char *foreign, size_t length, bool parse_special)
{
    uint32_t low = tokenizer->special_start[(unsigned char)text[0]], best = TOKENIZER_NONE;
    uint32_t high = tokenizer->special_start[(unsigned char)text[0] + 1];
    for (uint32_t at = 1; low < high; at++) {
        bool found = false; /* of equal texts the first that may stand */
        for (; low < high && tokenizer->tokens[tokenizer->specials[low]].length == at; low++) {
            uint32_t id = tokenizer->specials[low];
            if (!found && may_stand(&tokenizer->tokens[id], foreign, parse_special)) {
                best = id;
                found = true;
            }
        }
        if (at == length)
            break;
        unsigned byte = (unsigned char)text[at];
        low = first_not_less(tokenizer, low, high, at, byte);
        high = first_not_less(tokenizer, low, high, at, byte + 1);
    }
    return best;
}

struct encoder {
    const struct tokenizer *tokenizer;
    struct tokenizer_work work;
    struct tokenizer_ids ids;
    bool after_special; /* SPM puts its leading space at the start of a text and after special
                           tokens */
};

static enum takt_status encode_plain(struct encoder *encoder, const char *text, size_t length,
                                     struct takt_error *error)
{
    if (length == 0)
        return TAKT_OK;
    const struct tokenizer *tokenizer = encoder->tokenizer;
    bool add_space = tokenizer->add_space_prefix && encoder->after_special;
    encoder->after_special = false;
    if (tokenizer->kind == TOKENIZER_SPM)
        return tokenizer_spm_encode(tokenizer, &encoder->work, text, length, add_space,
                                    &encoder->ids, error);
    return tokenizer_bpe_encode(tokenizer, &encoder->work, text, length, &encoder->ids, error);
}

static enum takt_status encode_all(struct encoder *encoder, const char *text,
                                   const unsigned char *foreign, size_t length, bool parse_special,
                                   struct takt_error *error)
{
    size_t start = 0, at = 0;
    while (at < length) {
        uint32_t id =
            special_in_front(encoder->tokenizer, text + at, foreign == NULL ? NULL : foreign + at,
                             length - at, parse_special);
        if (id == TOKENIZER_NONE) {
            at++;
            continue;
        }
        enum takt_status status = encode_plain(encoder, text + start, at - start, error);
        if (status != TAKT_OK)
            return status;
        tokenizer_ids_append(&encoder->ids, id);
        encoder->after_special = true;
        at += encoder->tokenizer->tokens[id].length;
        start = at;
    }
    return encode_plain(encoder, text + start, length - start, error);
}

static enum takt_status encode(const struct tokenizer *tokenizer, const char *text,
                               const unsigned char *foreign, size_t length, bool add_bos,
                               bool parse_special, uint32_t **ids, size_t *count,
                               struct takt_error *error)
{
    *ids = NULL;
    *count = 0;
    if (length > TEXT_BYTES_MAX)
        return base_fail(error, TAKT_LIMIT,
                         "tokenizer: text of %zu bytes, at most %u; encode it in parts", length,
                         TEXT_BYTES_MAX);
    struct encoder encoder = {.tokenizer = tokenizer, .after_special = true};
    if (length >= CACHE_BYTES_MIN)
        tokenizer_cache_create(&encoder.work);
    if (add_bos && tokenizer->special.add_bos)
        tokenizer_ids_append(&encoder.ids, tokenizer->special.bos);
    enum takt_status status = encode_all(&encoder, text, foreign, length, parse_special, error);
    tokenizer_work_free(&encoder.work);
    if (status == TAKT_OK && encoder.ids.ids == NULL && !encoder.ids.failed) {
        encoder.ids.ids = malloc(sizeof(*encoder.ids.ids)); /* no ids, but never NULL */
        encoder.ids.failed = encoder.ids.ids == NULL;
    }
    if (status == TAKT_OK && encoder.ids.failed)
        status = base_fail(error, TAKT_MEMORY,
                           "tokenizer: no memory for the ids of %zu bytes; encode less", length);
    if (status != TAKT_OK) {
        free(encoder.ids.ids);
        return status;
    }
    *ids = encoder.ids.ids;
    *count = encoder.ids.count;
    return TAKT_OK;
}

enum takt_status tokenizer_encode(const struct tokenizer *tokenizer, const char *text,
                                  size_t length, bool add_bos, bool parse_special, uint32_t **ids,
                                  size_t *count, struct takt_error *error)
{
    return encode(tokenizer, text, NULL, length, add_bos, parse_special, ids, count, error);
}

enum takt_status tokenizer_encode_chat(const struct tokenizer *tokenizer, const char *text,
                                       const unsigned char *foreign, size_t length, uint32_t **ids,
                                       size_t *count, struct takt_error *error)
{
    bool has_bos = false;
    if (tokenizer->special.bos != TOKENIZER_NONE) {
        const struct token *bos = &tokenizer->tokens[tokenizer->special.bos];
        has_bos = bos->length != 0 && bos->length <= length &&
                  memcmp(bos->text, text, bos->length) == 0 &&
                  (foreign == NULL || memchr(foreign, 1, bos->length) == NULL);
    }
    return encode(tokenizer, text, foreign, length, !has_bos, true, ids, count, error);
}

/* ---- decoding -------------------------------------------------------------------------------- */

/* U+2581 becomes a space. */
static void append_spm(const struct token *token, bool drop_space, struct base_text *out)
{
    static const char mark[] = "\xE2\x96\x81";
    const char *text = token->text;
    size_t length = token->length;
    for (size_t i = 0; i < length;) {
        bool space = length - i >= 3 && memcmp(text + i, mark, 3) == 0;
        if (!space)
            base_text_append(out, text + i, 1);
        else if (i != 0 || !drop_space)
            base_text_append(out, " ", 1);
        i += space ? 3 : 1;
    }
}

/* Characters of the alphabet become their bytes; others, which no real vocabulary has, stay. */
static void append_bpe(const struct token *token, struct base_text *out)
{
    for (size_t i = 0; i < token->length;) {
        size_t size = base_utf8_size(token->text + i, token->length - i);
        unsigned char byte;
        if (size != 0 && tokenizer_character_byte(token->text + i, size, &byte))
            base_text_append(out, (const char *)&byte, 1);
        else
            base_text_append(out, token->text + i, size == 0 ? 1 : size);
        i += size == 0 ? 1 : size;
    }
}

static unsigned hex_digit(char c)
{
    return c >= '0' && c <= '9' ? (unsigned)(c - '0') : ((unsigned)(c - 'A') & 15u) + 10u;
}

/* "<0x41>" */
static void append_byte(const struct token *token, struct base_text *out)
{
    if (token->length != 6)
        return;
    char byte = (char)((hex_digit(token->text[3]) << 4 | hex_digit(token->text[4])) & 255u);
    base_text_append(out, &byte, 1);
}

void tokenizer_decode(const struct tokenizer *tokenizer, uint32_t id, bool first, bool show_special,
                      struct base_text *out)
{
    if (id >= tokenizer->vocab)
        return;
    const struct token *token = &tokenizer->tokens[id];
    switch (token->type) {
    case TOKEN_UNKNOWN:
    case TOKEN_CONTROL:
        if (show_special)
            base_text_append(out, token->text, token->length);
        break;
    case TOKEN_USER: base_text_append(out, token->text, token->length); break;
    case TOKEN_BYTE: append_byte(token, out); break;
    case TOKEN_UNDEFINED:
    case TOKEN_NORMAL:
    case TOKEN_UNUSED:
        if (tokenizer->kind == TOKENIZER_SPM)
            append_spm(token, first && tokenizer->add_space_prefix, out);
        else
            append_bpe(token, out);
        break;
    }
}
