/* tokenizers: published vectors, round trips of any bytes, special tokens, hostile lengths. */
#include "tests.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gguf_writer.h"
#include "model/tokenizer.h"
#include "shared.h"

static struct tokenizer *open_or_fail(const char *path)
{
    struct tokenizer *tokenizer;
    struct takt_error error = {TAKT_OK, ""};
    if (tokenizer_open_file(&tokenizer, path, &error) != TAKT_OK)
        fail_msg("%s", error.message);
    return tokenizer;
}

static struct tokenizer *open_random(bool spm, uint32_t vocab)
{
    char path[] = "/tmp/takt-tokenizer-XXXXXX";
    close(mkstemp(path));
    struct gguf_random shape = {.seed = 1,
                                .layers = 1,
                                .width = 4,
                                .heads = 1,
                                .kv_heads = 1,
                                .ffn = 1,
                                .vocab = vocab,
                                .spm = spm};
    assert_true(gguf_write_random(path, &shape));
    struct tokenizer *tokenizer = open_or_fail(path);
    unlink(path);
    return tokenizer;
}

static size_t encode(const struct tokenizer *tokenizer, const char *text, size_t length, bool bos,
                     bool special, uint32_t **ids)
{
    size_t count;
    struct takt_error error = {TAKT_OK, ""};
    if (tokenizer_encode(tokenizer, text, length, bos, special, ids, &count, &error) != TAKT_OK)
        fail_msg("%s", error.message);
    assert_non_null(*ids);
    for (size_t i = 0; i < count; i++)
        assert_true((*ids)[i] < tokenizer_vocab(tokenizer));
    return count;
}

/* Ids as text, " 1 22 333", as the vectors have them. */
static void append_ids(const struct tokenizer *tokenizer, const char *text, size_t length, bool bos,
                       bool special, struct base_text *out)
{
    uint32_t *ids;
    size_t count = encode(tokenizer, text, length, bos, special, &ids);
    base_text_append(out, "", 0);
    for (size_t i = 0; i < count; i++)
        base_text_format(out, " %u", ids[i]);
    free(ids);
}

static void expect_ids(const struct tokenizer *tokenizer, const char *text, bool bos, bool special,
                       const char *wanted)
{
    struct base_text out = {0};
    append_ids(tokenizer, text, strlen(text), bos, special, &out);
    assert_string_equal(out.data, wanted);
    base_text_free(&out);
}

static void expect_round_trip(const struct tokenizer *tokenizer, const char *text, size_t length)
{
    uint32_t *ids;
    size_t count = encode(tokenizer, text, length, false, false, &ids);
    struct base_text out = {0};
    base_text_append(&out, "", 0);
    for (size_t i = 0; i < count; i++)
        tokenizer_decode(tokenizer, ids[i], i == 0, false, &out);
    assert_int_equal(out.length, length);
    assert_memory_equal(out.data, text, length);
    base_text_free(&out);
    free(ids);
}

/* ---- published vectors ------------------------------------------------------------------- */

static void run_vectors(const char *name)
{
    static const char separator[] = "\n__ggml_vocab_test__\n";
    char path[1024], part[128];
    snprintf(part, sizeof(part), "vectors/tokenizers/ggml-vocab-%s.gguf", name);
    struct tokenizer *tokenizer = open_or_fail(tests_shared(path, part));
    struct base_file inputs, outputs;
    strcat(path, ".inp");
    assert_int_equal(base_file_map(&inputs, path, NULL), TAKT_OK);
    strcpy(path + strlen(path) - 4, ".out");
    assert_int_equal(base_file_map(&outputs, path, NULL), TAKT_OK);
    const char *text = (const char *)inputs.data, *end = text + inputs.size_bytes;
    const char *line = (const char *)outputs.data, *last = line + outputs.size_bytes;
    unsigned cases = 0;
    while (text < end) {
        const char *stop = memmem(text, (size_t)(end - text), separator, strlen(separator));
        assert_non_null(stop);
        const char *newline = memchr(line, '\n', (size_t)(last - line));
        assert_non_null(newline);
        struct base_text out = {0};
        append_ids(tokenizer, text, (size_t)(stop - text), false, false, &out);
        if (out.length != (size_t)(newline - line) || memcmp(out.data, line, out.length) != 0)
            fail_msg("%s: \"%.*s\": got%s, wanted%.*s", name, (int)(stop - text), text, out.data,
                     (int)(newline - line), line);
        base_text_free(&out);
        expect_round_trip(tokenizer, text, (size_t)(stop - text));
        text = stop + strlen(separator);
        line = newline + 1;
        cases++;
    }
    assert_int_equal(cases, 46);
    assert_ptr_equal(line, last);
    base_file_unmap(&inputs);
    base_file_unmap(&outputs);
    tokenizer_close(tokenizer);
}

static void test_vectors_gpt2(void **state)
{
    (void)state;
    run_vectors("gpt-2");
}

static void test_vectors_llama_bpe(void **state)
{
    (void)state;
    run_vectors("llama-bpe");
}

static void test_vectors_qwen2(void **state)
{
    (void)state;
    run_vectors("qwen2");
}

static void test_vectors_llama_spm(void **state)
{
    (void)state;
    run_vectors("llama-spm");
}

/* A line of a vector file that begins with a word, without its end: prompt "..." and ids. */
static char *line_of(const struct base_file *file, const char *word)
{
    const char *text = (const char *)file->data, *end = text + file->size_bytes;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *stop = newline == NULL ? end : newline;
        size_t length = (size_t)(stop - text);
        if (length > strlen(word) && memcmp(text, word, strlen(word)) == 0)
            return strndup(text + strlen(word), length - strlen(word));
        text = stop + 1;
    }
    fail_msg("no line \"%s\"", word);
    return NULL;
}

/* "a\nb" in quotes to its bytes, in place. */
static void unquote(char *text)
{
    size_t length = strlen(text), used = 0;
    assert_true(length >= 2 && text[0] == '"' && text[length - 1] == '"');
    for (size_t i = 1; i + 1 < length; i++) {
        bool escape = text[i] == '\\';
        i += escape ? 1 : 0;
        text[used++] = escape && text[i] == 'n' ? '\n' : text[i];
    }
    text[used] = '\0';
}

static void test_fable_prompts(void **state)
{
    (void)state;
    static const char *const names[] = {"chat", "plain", "who"};
    struct tokenizer *tokenizer = open_or_fail("models/fable/fable-q8_0.gguf");
    for (size_t i = 0; i < BASE_COUNT(names); i++) {
        char path[64];
        snprintf(path, sizeof(path), "models/fable/vectors/%s.txt", names[i]);
        struct base_file file;
        assert_int_equal(base_file_map(&file, path, NULL), TAKT_OK);
        char *prompt = line_of(&file, "prompt "), *wanted = line_of(&file, "ids");
        unquote(prompt);
        expect_ids(tokenizer, prompt, true, true, wanted);
        free(prompt);
        free(wanted);
        base_file_unmap(&file);
    }
    const struct tokenizer_special *special = tokenizer_special(tokenizer);
    assert_int_equal(special->end_count, 2);
    assert_int_equal(special->ends[0], 2);
    assert_int_equal(special->ends[1], 0);
    assert_false(special->add_bos);
    tokenizer_close(tokenizer);
}

/* ---- made vocabularies ------------------------------------------------------------------- */

static void test_bpe(void **state)
{
    (void)state;
    struct tokenizer *tokenizer = open_random(false, 259 + 676 + 100);
    assert_int_equal(tokenizer_vocab(tokenizer), 1035);
    /* 259 + 26 a + b is "ab"; triples follow, of a pair and a letter. */
    expect_ids(tokenizer, "", true, true, "");
    expect_ids(tokenizer, "ab", false, false, " 260");
    expect_ids(tokenizer, "aab", false, false, " 936");    /* aa, then aab */
    expect_ids(tokenizer, "zaa", false, false, " 93 259"); /* aa ranks before za: z aa */
    expect_ids(tokenizer, "<|im_end|>", false, true, " 2");
    expect_ids(tokenizer, "ab<|im_start|>ab<|im_start|><|im_end|>", false, true, " 260 1 260 1 2");
    expect_ids(tokenizer, "<|im_end", false, true, " 31 95 479 66 376 71"); /* < | im _ en d */
    const struct tokenizer_special *special = tokenizer_special(tokenizer);
    assert_int_equal(special->bos, 0);
    assert_int_equal(special->eos, 2);
    assert_false(special->add_bos);
    tokenizer_close(tokenizer);
}

/* Text never spells a control token unless asked. */
static void test_control_in_text(void **state)
{
    (void)state;
    for (int spm = 0; spm < 2; spm++) {
        struct tokenizer *tokenizer = open_random(spm == 1, 1200);
        static const char text[] = "x</s><|im_end|><unk><0x41>";
        uint32_t *ids;
        size_t count = encode(tokenizer, text, strlen(text), false, false, &ids);
        for (size_t i = 0; i < count; i++)
            assert_true(ids[i] >= 3);
        free(ids);
        expect_round_trip(tokenizer, text, strlen(text));
        tokenizer_close(tokenizer);
    }
}

static void test_spm(void **state)
{
    (void)state;
    struct tokenizer *tokenizer = open_random(true, 286 + 676);
    /* 259 is the space mark, 260 + i the letters, 286 + 26 a + b the pairs. */
    expect_ids(tokenizer, "", true, true, " 1");
    expect_ids(tokenizer, "ab", true, false, " 1 259 287");
    expect_ids(tokenizer, "aaa", false, false, " 259 286 260"); /* ties from the left */
    expect_ids(tokenizer, "zaa", false, false, " 259 285 286"); /* the higher score first */
    expect_ids(tokenizer, " ab", false, false, " 259 259 287");
    expect_ids(tokenizer, "</s>ab", false, true, " 2 259 287");
    expect_ids(tokenizer, "A\n", false, false, " 259 68 13");
    expect_ids(tokenizer, "\xC3\xA4\xFF", false, false, " 259 198 167 258");
    struct base_text out = {0};
    tokenizer_decode(tokenizer, 259, true, false, &out);
    tokenizer_decode(tokenizer, 287, false, false, &out);
    tokenizer_decode(tokenizer, 259, false, false, &out);
    tokenizer_decode(tokenizer, 2, false, false, &out);
    tokenizer_decode(tokenizer, 2, false, true, &out);
    tokenizer_decode(tokenizer, 68, false, false, &out);
    tokenizer_decode(tokenizer, 999999, false, true, &out);
    assert_string_equal(out.data, "ab </s>A");
    base_text_free(&out);
    tokenizer_close(tokenizer);
}

/* A vocabulary without some bytes: one unknown a character, or nothing where there is no unknown.
 */
static void test_missing_bytes(void **state)
{
    (void)state;
    struct tokenizer *spm = open_random(true, 20), *bpe = open_random(false, 20);
    expect_ids(spm, "\x01\xC3\xA4z", false, false, " 0 4 0 0");
    expect_ids(bpe, "! z\xFF", false, false, " 4 3");
    tokenizer_close(spm);
    tokenizer_close(bpe);
}

static void test_babyllama_unknown(void **state)
{
    (void)state;
    char path[1024];
    struct tokenizer *tokenizer =
        open_or_fail(tests_shared(path, "models/babyllama-105/babyllama-105-q8_0.gguf"));
    expect_ids(tokenizer, "e\xE6\x88\x91 a", true, false, " 1 3 4 0 3 5");
    expect_round_trip(tokenizer, "Once upon a time", 16);
    tokenizer_close(tokenizer);
}

static void test_stories(void **state)
{
    (void)state;
    char path[1024];
    struct tokenizer *tokenizer =
        open_or_fail(tests_shared(path, "models/stories260k/stories260K.gguf"));
    expect_ids(tokenizer, "Once upon a time", true, false, " 1 403 407 261 378");
    expect_round_trip(tokenizer, " two spaces  \n\t\xF0\x9F\x98\x80", 19);
    tokenizer_close(tokenizer);
}

/* ---- any bytes --------------------------------------------------------------------------- */

static void test_round_trips(void **state)
{
    (void)state;
    static const char *const bits[] = {
        "a",     "the",           " ",        "  ",   "\n",       "'s",
        "12345", "\xC3\xA4",      "\t",       "\xFF", "\xF0\x9F", "<|im",
        "!?",    "\xE2\x96\x81x", "\xC2\xA0", "Q"};
    struct tokenizer *tokenizers[] = {open_random(true, 1100), open_random(false, 1100),
                                      open_or_fail("models/fable/fable-q8_0.gguf")};
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct base_text text = {0};
        uint64_t pieces = base_random_u64(seed, 0, 0) % 30;
        base_text_append(&text, "", 0);
        for (uint64_t i = 0; i < pieces; i++) {
            const char *bit = bits[base_random_u64(seed, 1, i) % BASE_COUNT(bits)];
            base_text_append(&text, bit, strlen(bit));
        }
        for (size_t i = 0; i < BASE_COUNT(tokenizers); i++)
            /* SentencePiece has one mark for a space and for the mark itself. */
            if (i != 0 || strstr(text.data, "\xE2\x96\x81") == NULL)
                expect_round_trip(tokenizers[i], text.data, text.length);
        base_text_free(&text);
    }
    for (size_t i = 0; i < BASE_COUNT(tokenizers); i++) {
        char every[256];
        for (int byte = 0; byte < 256; byte++)
            every[byte] = (char)byte;
        expect_round_trip(tokenizers[i], every, 256);
        for (int byte = 0; byte < 256; byte++)
            expect_round_trip(tokenizers[i], every + byte, 1);
        tokenizer_close(tokenizers[i]);
    }
}

/* 200 KB of one piece: seconds if merging were quadratic, milliseconds as it is. */
static void test_long_pieces(void **state)
{
    (void)state;
    static const char *const patterns[] = {"a",  " ",   "\n", "3",        "\xFF",
                                           "ab", " \n", "'",  "<|im_end|"};
    struct tokenizer *tokenizers[] = {open_random(true, 1100), open_random(false, 1100)};
    enum { LENGTH = 200000 };
    char *text = malloc(LENGTH);
    for (size_t p = 0; p < BASE_COUNT(patterns); p++) {
        for (size_t i = 0; i < LENGTH; i++)
            text[i] = patterns[p][i % strlen(patterns[p])];
        for (size_t i = 0; i < BASE_COUNT(tokenizers); i++) {
            double start = base_seconds();
            uint32_t *ids;
            assert_true(encode(tokenizers[i], text, LENGTH, false, true, &ids) != 0);
            free(ids);
            assert_true(base_seconds() - start < 5.0);
        }
    }
    free(text);
    tokenizer_close(tokenizers[0]);
    tokenizer_close(tokenizers[1]);
    tokenizer_close(NULL);
}

TEST_GROUP(tokenizer, cmocka_unit_test(test_vectors_gpt2), cmocka_unit_test(test_vectors_llama_bpe),
           cmocka_unit_test(test_vectors_qwen2), cmocka_unit_test(test_vectors_llama_spm),
           cmocka_unit_test(test_fable_prompts), cmocka_unit_test(test_bpe),
           cmocka_unit_test(test_control_in_text), cmocka_unit_test(test_spm),
           cmocka_unit_test(test_missing_bytes), cmocka_unit_test(test_babyllama_unknown),
           cmocka_unit_test(test_stories), cmocka_unit_test(test_round_trips),
           cmocka_unit_test(test_long_pieces));
