/* Any bytes as text: every kind of tokenizer and pre-tokenizer encodes it, and decodes it to the
 * same bytes. The first byte chooses which; the rest is the text. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/gguf.h"
#include "model/tokenizer_parts.h"

#define SPACE_MARK "\xE2\x96\x81"

/* NULL: SentencePiece-style. */
static const char *const pres[] = {NULL,     "gpt-2",    "llama-bpe",    "qwen2",
                                   "smollm", "default",  "deepseek-llm", "deepseek-v3",
                                   "gpt-4o", "superbpe", "jais-2"};

static void put_u64(struct base_text *out, uint64_t value)
{
    base_text_append(out, (const char *)&value, 8);
}

static void put_string(struct base_text *out, const char *text, size_t length)
{
    put_u64(out, length);
    base_text_append(out, text, length);
}

static void put_key(struct base_text *out, const char *key, uint32_t type)
{
    put_string(out, key, strlen(key));
    base_text_append(out, (const char *)&type, 4);
}

static void put_array(struct base_text *out, const char *key, uint32_t type, uint64_t count,
                      const struct base_text *items)
{
    put_key(out, key, GGUF_ARRAY);
    base_text_append(out, (const char *)&type, 4);
    put_u64(out, count);
    base_text_append(out, items->data, items->length);
}

struct made {
    struct base_text tokens, types, scores, merges;
    uint64_t count, merge_count;
};

static void add_token(struct made *made, const char *text, size_t length, uint32_t type)
{
    const float score = -(float)(made->count % 97); /* ties on purpose */
    put_string(&made->tokens, text, length);
    base_text_append(&made->types, (const char *)&type, 4);
    base_text_append(&made->scores, (const char *)&score, 4);
    made->count++;
}

/* Control, user-defined, the bytes, then every pair of nine characters and each doubled. */
static void make_tokens(struct made *made, bool spm)
{
    static const char letters[] = "abst'3.<|";
    add_token(made, "<unk>", 5, TOKEN_UNKNOWN);
    add_token(made, "<|e|>", 5, TOKEN_CONTROL);
    add_token(made, "<|", 2, TOKEN_USER);
    for (unsigned byte = 0; byte < 256; byte++) {
        char text[8];
        const size_t length = spm ? (size_t)snprintf(text, sizeof text, "<0x%02X>", byte)
                                  : tokenizer_byte_character((unsigned char)byte, text);
        add_token(made, text, length, spm ? TOKEN_BYTE : TOKEN_NORMAL);
    }
    if (spm) {
        add_token(made, SPACE_MARK, 3, TOKEN_NORMAL);
        add_token(made, SPACE_MARK SPACE_MARK, 6, TOKEN_NORMAL);
        add_token(made, SPACE_MARK "a", 4, TOKEN_NORMAL);
        for (size_t i = 0; i < sizeof letters - 1; i++)
            add_token(made, &letters[i], 1, TOKEN_NORMAL);
    }
    for (size_t i = 0; i < 81; i++) {
        const char pair[4] = {letters[i / 9], letters[i % 9], letters[i / 9], letters[i % 9]};
        const char merges[][5] = {{pair[0], ' ', pair[1]},
                                  {pair[0], pair[1], ' ', pair[0], pair[1]}};
        add_token(made, pair, 2, TOKEN_NORMAL);
        add_token(made, pair, 4, TOKEN_NORMAL);
        put_string(&made->merges, merges[0], 3);
        put_string(&made->merges, merges[1], 5);
        made->merge_count += 2;
    }
}

/* A vocabulary as a file in memory, *kept, in which the tokenizer's tokens lie. */
static struct tokenizer *make(const char *pre, struct base_text *kept)
{
    struct base_text pairs = {0};
    static const char head[] = "GGUF\3\0\0\0\0\0\0\0\0\0\0\0\6\0\0\0\0\0\0";
    struct made made = {0};
    make_tokens(&made, pre == NULL);
    base_text_append(&pairs, head, sizeof head);
    put_key(&pairs, "tokenizer.ggml.model", GGUF_STRING);
    put_string(&pairs, pre == NULL ? "llama" : "gpt2", pre == NULL ? 5 : 4);
    put_key(&pairs, "tokenizer.ggml.pre", GGUF_STRING);
    put_string(&pairs, pre == NULL ? "x" : pre, pre == NULL ? 1 : strlen(pre));
    put_array(&pairs, "tokenizer.ggml.tokens", GGUF_STRING, made.count, &made.tokens);
    put_array(&pairs, "tokenizer.ggml.token_type", GGUF_I32, made.count, &made.types);
    put_array(&pairs, "tokenizer.ggml.scores", GGUF_F32, made.count, &made.scores);
    put_array(&pairs, "tokenizer.ggml.merges", GGUF_STRING, made.merge_count, &made.merges);
    const struct base_file file = {.data = (const unsigned char *)pairs.data,
                                   .size_bytes = pairs.length};
    struct gguf gguf;
    struct tokenizer *tokenizer;
    struct takt_error error;
    if (model_gguf_open(&gguf, "made", &file, &error) != TAKT_OK ||
        tokenizer_create(&tokenizer, &gguf, &error) != TAKT_OK) {
        fprintf(stderr, "%s\n", error.message);
        abort();
    }
    model_gguf_close(&gguf);
    base_text_free(&made.tokens);
    base_text_free(&made.types);
    base_text_free(&made.scores);
    base_text_free(&made.merges);
    *kept = pairs;
    return tokenizer;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tokenizer *tokenizers[BASE_COUNT(pres)]; /* made once, for all inputs */
    static struct base_text files[BASE_COUNT(pres)];
    if (size == 0)
        return 0;
    const size_t kind = (data[0] & 0x7F) % BASE_COUNT(pres);
    const bool special = data[0] >= 0x80;
    if (tokenizers[kind] == NULL)
        tokenizers[kind] = make(pres[kind], &files[kind]);
    const char *text = (const char *)data + 1;
    const size_t length = size - 1;
    uint32_t *ids;
    size_t count;
    struct takt_error error;
    if (tokenizer_encode(tokenizers[kind], text, length, true, special, &ids, &count, &error) !=
        TAKT_OK) {
        BASE_ASSERT(error.status == TAKT_LIMIT || error.status == TAKT_MEMORY);
        return 0;
    }
    struct base_text out = {0};
    for (size_t i = 0; i < count; i++)
        tokenizer_decode(tokenizers[kind], ids[i], i == 0, true, &out);
    /* SentencePiece has one form for a space and its mark, and its own spaces after special tokens.
     */
    const bool exact = kind != 0 || (memmem(text, length, SPACE_MARK, 3) == NULL &&
                                     memmem(text, length, "<|", 2) == NULL && !special);
    BASE_ASSERT(!exact || out.length == length);
    BASE_ASSERT(!exact || length == 0 || memcmp(out.data, text, length) == 0);
    base_text_free(&out);
    free(ids);
    return 0;
}
