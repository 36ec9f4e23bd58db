/* tokenizer.json: every kind against an outside implementation's ids; behaviours; refusals. */
#include "tests.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/tokenizer_json.h"

static enum takt_status from_json(struct tokenizer **out, const json_t *root,
                                  struct takt_error *error)
{
    struct tokenizer *tokenizer = calloc(1, sizeof *tokenizer);
    tokenizer->special.bos = tokenizer->special.eos = tokenizer->unknown = TOKENIZER_NONE;
    enum takt_status status = tokenizer_from_json(tokenizer, "test", root, error);
    if (status == TAKT_OK)
        status = tokenizer_index(tokenizer, "test", error);
    if (status != TAKT_OK) {
        tokenizer_close(tokenizer);
        tokenizer = NULL;
    }
    *out = tokenizer;
    return status;
}

static struct tokenizer *open_named(const char *name)
{
    char path[256];
    struct tokenizer *tokenizer;
    struct takt_error error = {TAKT_OK, ""};
    snprintf(path, sizeof path, "tests/tokenizers/%s.json", name);
    json_t *root = json_load_file(path, 0, NULL);
    assert_non_null(root);
    if (from_json(&tokenizer, root, &error) != TAKT_OK)
        fail_msg("%s: %s", path, error.message);
    json_decref(root);
    return tokenizer;
}

static void append_ids(const struct tokenizer *tokenizer, const char *text, size_t length,
                       struct base_text *out)
{
    uint32_t *ids;
    size_t count;
    base_text_append(out, "", 0);
    assert_int_equal(tokenizer_encode(tokenizer, text, length, false, true, &ids, &count, NULL),
                     TAKT_OK);
    for (size_t i = 0; i < count; i++)
        base_text_format(out, " %u", ids[i]);
    free(ids);
}

static void test_vectors(void **state)
{
    (void)state;
    json_t *vectors = json_load_file("tests/tokenizers/vectors.json", JSON_ALLOW_NUL, NULL);
    struct tokenizer *tokenizer = NULL;
    const char *current = "";
    size_t index, i;
    json_t *entry, *id;
    assert_true(json_array_size(vectors) > 350);
    json_array_foreach(vectors, index, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "tokenizer"));
        const json_t *text = json_object_get(entry, "text");
        if (strcmp(name, current) != 0) {
            tokenizer_close(tokenizer);
            tokenizer = open_named(name);
            current = name;
        }
        struct base_text got = {0}, wanted = {0};
        base_text_append(&wanted, "", 0);
        append_ids(tokenizer, json_string_value(text), json_string_length(text), &got);
        json_array_foreach(json_object_get(entry, "ids"), i, id)
            base_text_format(&wanted, " %lld", (long long)json_integer_value(id));
        if (strcmp(got.data, wanted.data) != 0)
            fail_msg("%s: \"%s\": got%s, wanted%s", name, json_string_value(text), got.data,
                     wanted.data);
        base_text_free(&got);
        base_text_free(&wanted);
    }
    tokenizer_close(tokenizer);
    json_decref(vectors);
}

/* What comes back is the text, but for what each kind of normaliser drops. */
static void test_round_trips(void **state)
{
    (void)state;
    static const char *const names[] = {"gpt2", "llama3", "digits", "llama2"};
    static const char text[] = "don't  DON'T\n\t12345 \xC3\xA9\xE4\xB8\xAD\xF0\x9F\x98\x80 (x)  ";
    for (size_t n = 0; n < BASE_COUNT(names); n++) {
        struct tokenizer *tokenizer = open_named(names[n]);
        struct base_text out = {0};
        uint32_t *ids;
        size_t count;
        assert_int_equal(
            tokenizer_encode(tokenizer, text, strlen(text), false, true, &ids, &count, NULL),
            TAKT_OK);
        for (size_t i = 0; i < count; i++)
            tokenizer_decode(tokenizer, ids[i], i == 0, false, &out);
        assert_string_equal(out.data, text);
        base_text_free(&out);
        free(ids);
        tokenizer_close(tokenizer);
    }
}

/* ---- behaviours ------------------------------------------------------------------------------ */

struct pieces {
    struct base_text text;
};

static enum takt_status on_piece(void *user, const char *text, size_t length)
{
    struct pieces *pieces = user;
    base_text_append(&pieces->text, "[", 1);
    base_text_append(&pieces->text, text, length);
    base_text_append(&pieces->text, "]", 1);
    return TAKT_OK;
}

static void expect_pieces(enum split_behaviour behaviour, bool inverted, const char *text,
                          const char *wanted)
{
    struct pieces pieces = {{0}};
    struct tokenizer_split *split = tokenizer_split_new();
    assert_int_equal(tokenizer_split_add_pattern(split, "test", "-", 1, behaviour, inverted, NULL),
                     TAKT_OK);
    base_text_append(&pieces.text, "", 0);
    assert_int_equal(tokenizer_split_run(split, text, strlen(text), true, on_piece, &pieces, NULL),
                     TAKT_OK);
    assert_string_equal(pieces.text.data, wanted);
    base_text_free(&pieces.text);
    tokenizer_split_destroy(split);
}

/* The examples of the library's own documentation. */
static void test_behaviours(void **state)
{
    (void)state;
    static const char text[] = "the-final--countdown";
    expect_pieces(SPLIT_REMOVED, false, text, "[the][final][countdown]");
    expect_pieces(SPLIT_ISOLATED, false, text, "[the][-][final][-][-][countdown]");
    expect_pieces(SPLIT_WITH_PREVIOUS, false, text, "[the-][final-][-][countdown]");
    expect_pieces(SPLIT_WITH_NEXT, false, text, "[the][-final][-][-countdown]");
    expect_pieces(SPLIT_CONTIGUOUS, false, text, "[the][-][final][--][countdown]");
    expect_pieces(SPLIT_REMOVED, true, text, "[-][-][-]");
}

static void expect_named(const char *name, const char *text, const char *wanted)
{
    struct pieces pieces = {{0}};
    struct tokenizer_split *split;
    struct split_traits traits;
    struct takt_error error = {TAKT_OK, ""};
    const struct gguf_string pre = {name, strlen(name)};
    if (tokenizer_split_create(&split, "test", pre, &traits, &error) != TAKT_OK)
        fail_msg("%s", error.message);
    base_text_append(&pieces.text, "", 0);
    assert_int_equal(tokenizer_split_run(split, text, strlen(text), true, on_piece, &pieces, NULL),
                     TAKT_OK);
    if (strcmp(pieces.text.data, wanted) != 0)
        fail_msg("%s: \"%s\": got %s, wanted %s", name, text, pieces.text.data, wanted);
    base_text_free(&pieces.text);
    tokenizer_split_destroy(split);
}

/* By name, as llama.cpp cuts them: each was compared with it on random texts. */
static void test_names(void **state)
{
    (void)state;
    expect_named("gpt-2", "I'm 1234  x\n\n y", "[I]['m][ 1234][ ][ x][\n\n][ y]");
    expect_named("llama-bpe", "I'M 1234  x\n\n y!?\n", "[I]['M][ ][123][4][ ][ x][\n\n][ y][!?\n]");
    expect_named("qwen2", "a12 b", "[a][1][2][ b]");
    expect_named("smollm", "a12 b", "[a][1][2][ b]");
    expect_named("falcon", "a(1234) b", "[a][(][123][4][)][ b]");
    expect_named("default", "a(1234)", "[a][(][123][4][)]");
    expect_named("deepseek-llm", "x1 \xE4\xB8\xAD\xE6\x96\x87!\n  ",
                 "[x][1][ ][\xE4\xB8\xAD\xE6\x96\x87][!][\n][  ]");
    expect_named("deepseek-coder", "f(x12)", "[f][(][x][1][2][)]");
    expect_named("deepseek-v3", "f(x1234)", "[f][(x][123][4][)]");
    expect_named("gpt-4o", "HelloWorld's 1234/\n", "[Hello][World's][ ][123][4][/\n]");
    expect_named("tekken", "HelloWORLD 12", "[Hello][WORLD][ ][1][2]");
    expect_named("bloom", "ab (c), d", "[ab][ (][c][),][ d]");
    expect_named("superbpe", "1234567", "[1][234][567]");
    expect_named("tiny_aya", "1234567 1234x", "[1][234][567][ ][123][4][x]");
    expect_named("kimi-k2", "Hi\xE4\xB8\xAD\xE6\x96\x87ok", "[Hi][\xE4\xB8\xAD\xE6\x96\x87][ok]");
    expect_named("jais-2", "a      b", "[a][    ][ ][ b]");
    expect_named("gemma4", "a b\n\nc", "[a b][\n\n][c]");
    size_t count = 0;
    for (const char *name; (name = tokenizer_split_name(count)) != NULL; count++)
        expect_named(name, "", "");
    assert_true(count >= 75);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void expect_refusal(const char *source, enum takt_status wanted, const char *part)
{
    struct tokenizer *tokenizer;
    struct takt_error error = {TAKT_OK, ""};
    json_t *root = json_loads(source, 0, NULL);
    assert_non_null(root);
    const enum takt_status status = from_json(&tokenizer, root, &error);
    if (status != wanted || strstr(error.message, part) == NULL)
        fail_msg("%s: status %d, \"%s\"", source, (int)status, error.message);
    json_decref(root);
}

#define BPE "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}"

static void test_refusals(void **state)
{
    (void)state;
    expect_refusal("{}", TAKT_FORMAT, "model.vocab is missing");
    expect_refusal("{\"model\":{\"type\":\"WordLevel\"}}", TAKT_UNSUPPORTED, "WordLevel");
    expect_refusal("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":\"x\"}}}", TAKT_FORMAT, "id");
    expect_refusal("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1}}}", TAKT_FORMAT, "id");
    expect_refusal("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":16000000}}}", TAKT_FORMAT,
                   "highest id");
    expect_refusal("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":1152921504606846976}}}",
                   TAKT_FORMAT, "highest id");
    expect_refusal("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[5]}}", TAKT_FORMAT,
                   "merges[0]");
    expect_refusal("{\"model\":{\"type\":\"BPE\",\"end_of_word_suffix\":\"</w>\",\"vocab\":{}}}",
                   TAKT_UNSUPPORTED, "</w>");
    expect_refusal("{" BPE ",\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"}}", TAKT_UNSUPPORTED,
                   "UnicodeScripts");
    expect_refusal("{" BPE ",\"normalizer\":{\"type\":\"Nmt\"}}", TAKT_UNSUPPORTED, "Nmt");
    expect_refusal("{" BPE ",\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":"
                   "\"////\"}}",
                   TAKT_FORMAT, "map of characters");
    expect_refusal("{" BPE ",\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Isolated\","
                   "\"pattern\":{\"Regex\":\"(?<=a)b\"}}}",
                   TAKT_UNSUPPORTED, "pattern, character");
}

/* ---- folders --------------------------------------------------------------------------------- */

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(base_file_write(path, text, strlen(text), NULL), TAKT_OK);
}

static void test_folder(void **state)
{
    (void)state;
    char folder[] = "/tmp/takt-tokenizer-XXXXXX", command[128];
    struct tokenizer *tokenizer;
    struct takt_error error = {TAKT_OK, ""};
    assert_non_null(mkdtemp(folder));
    assert_int_equal(tokenizer_open_folder(&tokenizer, folder, &error), TAKT_IO);
    write_file(folder, "tokenizer.json",
               "{\"added_tokens\":[{\"id\":2,\"content\":\"<s>\",\"special\":true},{\"id\":3,"
               "\"content\":\"<e>\",\"special\":true},{\"id\":4,\"content\":\"<|im_end|>\","
               "\"special\":true}],\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":"
               "[{\"SpecialToken\":{\"id\":\"<s>\"}},{\"Sequence\":{\"id\":\"A\"}}]},"
               "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},\"model\":"
               "{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1},\"merges\":[]}}");
    write_file(folder, "tokenizer_config.json",
               "{\"bos_token\":{\"content\":\"<s>\"},\"eos_token\":\"<e>\",\"chat_template\":["
               "{\"name\":\"default\",\"template\":\"plain\"},{\"name\":\"rag\",\"template\":\"r\"}"
               "]}");
    write_file(folder, "generation_config.json", "{\"eos_token_id\":[3,1]}");
    if (tokenizer_open_folder(&tokenizer, folder, &error) != TAKT_OK)
        fail_msg("%s", error.message);
    const struct tokenizer_special *special = tokenizer_special(tokenizer);
    assert_int_equal(special->bos, 2);
    assert_int_equal(special->eos, 3);
    assert_true(special->add_bos);
    assert_int_equal(special->end_count, 3); /* <e>, b as the configuration says, <|im_end|> */
    assert_string_equal(tokenizer_template(tokenizer, "")->text, "plain");
    assert_string_equal(tokenizer_template(tokenizer, "rag")->text, "r");
    tokenizer_close(tokenizer);
    write_file(folder, "tokenizer_config.json", "{");
    assert_int_equal(tokenizer_open_folder(&tokenizer, folder, &error), TAKT_FORMAT);
    assert_non_null(strstr(error.message, "tokenizer_config.json: line 1"));
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

TEST_GROUP(tokenizer_json, cmocka_unit_test(test_vectors), cmocka_unit_test(test_round_trips),
           cmocka_unit_test(test_behaviours), cmocka_unit_test(test_names),
           cmocka_unit_test(test_refusals), cmocka_unit_test(test_folder));
