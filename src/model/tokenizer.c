/* Encoding around special tokens, and decoding. */
#include "model/tokenizer_parts.h"
#include "model/unicode.h"

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
    normaliser_destroy(tokenizer->normaliser);
    tokenizer_unigram_free(tokenizer);
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
    struct base_text normal, scratch; /* text as the normaliser makes it */
    struct takt_error *error;
    bool first;         /* nothing of the text is encoded yet */
    bool after_special; /* SPM puts its leading space at the start of a text and after special
                           tokens */
};

static enum takt_status encode_piece(void *user, const char *text, size_t length)
{
    struct encoder *encoder = user;
    const struct tokenizer *tokenizer = encoder->tokenizer;
    switch (tokenizer->kind) {
    case TOKENIZER_UNIGRAM:
        return tokenizer_unigram_piece(tokenizer, &encoder->work, text, length, &encoder->ids,
                                       encoder->error);
    case TOKENIZER_WORDPIECE:
        tokenizer_wordpiece_piece(tokenizer, &encoder->work, text, length, &encoder->ids);
        return TAKT_OK;
    default:
        return tokenizer_bpe_piece(tokenizer, &encoder->work, text, length, &encoder->ids,
                                   encoder->error);
    }
}

static enum takt_status encode_plain(struct encoder *encoder, const char *text, size_t length)
{
    if (length == 0)
        return TAKT_OK;
    const struct tokenizer *tokenizer = encoder->tokenizer;
    bool add_space = tokenizer->add_space_prefix && encoder->after_special;
    bool first = encoder->first;
    encoder->after_special = encoder->first = false;
    encoder->ids.run = encoder->ids.count;
    if (tokenizer->kind == TOKENIZER_SPM)
        return tokenizer_spm_encode(tokenizer, &encoder->work, text, length, add_space,
                                    &encoder->ids, encoder->error);
    if (tokenizer->normaliser != NULL) {
        encoder->normal.length = 0;
        enum takt_status status =
            normaliser_run(tokenizer->normaliser, text, length, &encoder->normal, &encoder->scratch,
                           encoder->error);
        if (status != TAKT_OK)
            return status;
        text = encoder->normal.data;
        length = encoder->normal.length;
        if (length > TEXT_BYTES_MAX)
            return base_fail(encoder->error, TAKT_LIMIT,
                             "tokenizer: text of %zu bytes once normalised, at most %u; encode it "
                             "in parts",
                             length, TEXT_BYTES_MAX);
    }
    return tokenizer_split_run(tokenizer->split, text, length, first, encode_piece, encoder,
                               encoder->error);
}

static bool is_word_at(const char *text, size_t length, bool before)
{
    size_t size, at = 0;
    if (length == 0)
        return false;
    for (at = before ? length - 1 : 0; at != 0 && ((unsigned char)text[at] & 0xC0) == 0x80;)
        at--;
    uint32_t code = unicode_decode(text + at, length - at, &size);
    enum unicode_category category = unicode_category(code);
    return (category >= UNICODE_LU && category <= UNICODE_NL) || category == UNICODE_PC;
}

/* The white space at the end of the first bytes, or at the beginning of the others. */
static size_t spaces_before(const char *text, size_t length)
{
    size_t end = length, size;
    while (end != 0) {
        size_t at = end - 1;
        while (at != 0 && ((unsigned char)text[at] & 0xC0) == 0x80)
            at--;
        if (!unicode_is_space(unicode_decode(text + at, end - at, &size)))
            break;
        end = at;
    }
    return length - end;
}

static size_t spaces_behind(const char *text, size_t length)
{
    size_t at = 0, size;
    while (at < length && unicode_is_space(unicode_decode(text + at, length - at, &size)))
        at += size;
    return at;
}

static enum takt_status encode_all(struct encoder *encoder, const char *text,
                                   const unsigned char *foreign, size_t length, bool parse_special)
{
    size_t start = 0, at = 0;
    const struct tokenizer *tokenizer = encoder->tokenizer;
    while (at < length) {
        uint32_t id = special_in_front(tokenizer, text + at, foreign == NULL ? NULL : foreign + at,
                                       length - at, parse_special);
        const struct token *token = id == TOKENIZER_NONE ? NULL : &tokenizer->tokens[id];
        if (token == NULL ||
            (token->single_word &&
             (is_word_at(text + start, at - start, true) ||
              is_word_at(text + at + token->length, length - at - token->length, false)))) {
            at++;
            continue;
        }
        size_t skipped = token->strips_left ? spaces_before(text + start, at - start) : 0;
        enum takt_status status = encode_plain(encoder, text + start, at - start - skipped);
        if (status != TAKT_OK)
            return status;
        tokenizer_ids_append(&encoder->ids, id);
        encoder->after_special = true;
        encoder->first = false;
        at += token->length;
        at += token->strips_right ? spaces_behind(text + at, length - at) : 0;
        start = at;
    }
    return encode_plain(encoder, text + start, length - start);
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
    struct encoder encoder = {
        .tokenizer = tokenizer, .error = error, .first = true, .after_special = true};
    if (length >= CACHE_BYTES_MIN)
        tokenizer_cache_create(&encoder.work);
    if (add_bos && tokenizer->special.add_bos)
        tokenizer_ids_append(&encoder.ids, tokenizer->special.bos);
    enum takt_status status = encode_all(&encoder, text, foreign, length, parse_special);
    tokenizer_work_free(&encoder.work);
    base_text_free(&encoder.normal);
    base_text_free(&encoder.scratch);
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

/* A token that begins a word has a space before it, but for the first. */
static void append_word(const struct tokenizer *tokenizer, const struct token *token, bool first,
                        struct base_text *out)
{
    const char *mark =
        tokenizer->word_mark[0] != '\0' ? tokenizer->word_mark : tokenizer->continuing_mark;
    size_t length = strlen(mark);
    bool marked = token->length >= length && memcmp(token->text, mark, length) == 0;
    bool begins = tokenizer->word_mark[0] != '\0' ? marked : !marked;
    base_text_append(out, " ", begins && !first ? 1 : 0);
    base_text_append(out, token->text + (marked ? length : 0),
                     token->length - (marked ? length : 0));
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
        if (tokenizer->kind == TOKENIZER_WORDPIECE)
            append_word(tokenizer, token, first, out);
        else if (tokenizer->marks || tokenizer->traits.characters)
            append_spm(token, first && tokenizer->add_space_prefix, out);
        else
            append_bpe(token, out);
        break;
    }
}
