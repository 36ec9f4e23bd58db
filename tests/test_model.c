/* model: opening good files, refusing bad ones with one line that says why, rows, chat templates.
 */
#include "tests.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gguf_writer.h"
#include "model/model.h"
#include "shared.h"

static const struct gguf_random small = {
    .seed = 1, .layers = 1, .width = 12, .heads = 2, .kv_heads = 1, .ffn = 10, .vocab = 270};

/* A file that a test damages and mends in place, so that thousands of variants cost little. */
struct scratch {
    char path[64];
    int descriptor;
    struct base_text bytes; /* the file when whole */
};

static void scratch_write(struct scratch *scratch, const void *bytes, size_t length, size_t offset)
{
    assert_int_equal(pwrite(scratch->descriptor, bytes, length, (off_t)offset), length);
}

static void scratch_open(struct scratch *scratch, const struct gguf_random *shape)
{
    *scratch = (struct scratch){.path = "/tmp/takt-model-XXXXXX"};
    scratch->descriptor = mkstemp(scratch->path);
    assert_true(scratch->descriptor >= 0);
    struct gguf_writer writer = {0};
    gguf_random_build(&writer, shape);
    gguf_writer_finish(&writer, &scratch->bytes);
    gguf_writer_free(&writer);
    scratch_write(scratch, scratch->bytes.data, scratch->bytes.length, 0);
}

static void scratch_close(struct scratch *scratch)
{
    close(scratch->descriptor);
    unlink(scratch->path);
    base_text_free(&scratch->bytes);
}

/* Offset of the byte after a text's only or first place in the file. */
static size_t scratch_after(const struct scratch *scratch, const char *text)
{
    const char *found = memmem(scratch->bytes.data, scratch->bytes.length, text, strlen(text));
    assert_non_null(found);
    return (size_t)(found - scratch->bytes.data) + strlen(text);
}

static void assert_one_line(const struct takt_error *error, const char *path)
{
    assert_true(strlen(error->message) > strlen(path));
    assert_memory_equal(error->message, path, strlen(path));
    assert_null(strchr(error->message, '\n'));
}

static void expect_refusal(const char *path, enum takt_status wanted, const char *part)
{
    struct model *model;
    struct takt_error error = {TAKT_OK, ""};
    enum takt_status status = model_open(&model, path, &error);
    if (status != wanted || strstr(error.message, part) == NULL)
        fail_msg("wanted %s with \"%s\", got %s: %s", takt_status_text(wanted), part,
                 takt_status_text(status), error.message);
    assert_null(model);
    assert_int_equal(error.status, status);
    assert_one_line(&error, path);
}

static void expect_shape_refusal(const struct gguf_random *shape, enum takt_status wanted,
                                 const char *part)
{
    struct scratch scratch;
    scratch_open(&scratch, shape);
    expect_refusal(scratch.path, wanted, part);
    scratch_close(&scratch);
}

/* ---- good files -------------------------------------------------------------------------- */

static void test_random_models(void **state)
{
    (void)state;
    static const struct gguf_random shapes[] = {
        {.seed = 1, .layers = 1, .width = 12, .heads = 2, .kv_heads = 1, .ffn = 10, .vocab = 270},
        {.seed = 2,
         .layers = 3,
         .width = 30,
         .heads = 3,
         .kv_heads = 3,
         .head_dim = 6,
         .ffn = 7,
         .vocab = 1000,
         .tied = true,
         .type = MODEL_F16},
        {.seed = 3,
         .layers = 2,
         .width = 64,
         .heads = 4,
         .kv_heads = 2,
         .ffn = 96,
         .vocab = 300,
         .type = MODEL_Q8_0,
         .spm = true},
        {.seed = 4,
         .layers = 1,
         .width = 8,
         .heads = 1,
         .kv_heads = 1,
         .ffn = 1,
         .vocab = 4,
         .type = MODEL_BF16,
         .tied = true,
         .no_template = true,
         .spm = true,
         .context = 9},
        {.seed = 5,
         .layers = 1,
         .width = 33,
         .heads = 4,
         .kv_heads = 2,
         .head_dim = 10,
         .ffn = 40,
         .vocab = 7,
         .type = MODEL_Q8_0},
    };
    for (size_t i = 0; i < BASE_COUNT(shapes); i++) {
        const struct gguf_random *shape = &shapes[i];
        struct scratch scratch;
        scratch_open(&scratch, shape);
        struct model *model;
        struct takt_error error = {TAKT_OK, ""};
        if (model_open(&model, scratch.path, &error) != TAKT_OK)
            fail_msg("shape %zu: %s", i, error.message);
        assert_int_equal(model->layers, shape->layers);
        assert_int_equal(model->width, shape->width);
        assert_int_equal(model->vocab, shape->vocab);
        assert_int_equal(model->head_dim,
                         shape->head_dim == 0 ? shape->width / shape->heads : shape->head_dim);
        assert_int_equal(model->context, shape->context == 0 ? 512 : shape->context);
        assert_int_equal(model->tied, shape->tied);
        assert_int_equal(model->chat_template == NULL, shape->no_template);
        assert_true(model->tied == (model->output.data == model->embedding.data));
        assert_int_equal(model->layer[shape->layers - 1].down.rows, shape->width);
        assert_int_equal(model->layer[shape->layers - 1].down.columns, shape->ffn);
        assert_string_equal(model->layer[0].o.name, "blk.0.attn_output.weight");
        assert_int_equal(model->embedding.type, shape->type == MODEL_Q8_0 && shape->width % 32 != 0
                                                    ? MODEL_F32
                                                    : shape->type);
        assert_string_equal(model->name, "random");
        model_close(model);
        scratch_close(&scratch);
    }
}

static void open_and_check(const char *path, uint32_t layers, uint32_t vocab, uint32_t ends)
{
    struct model *model;
    struct takt_error error = {TAKT_OK, ""};
    if (model_open(&model, path, &error) != TAKT_OK)
        fail_msg("%s", error.message);
    assert_int_equal(model->layers, layers);
    assert_int_equal(model->vocab, vocab);
    assert_int_equal(tokenizer_special(model->tokenizer)->end_count, ends);
    assert_int_equal(strlen(model->sha256), 64);
    model_close(model);
}

static void test_bundled(void **state)
{
    (void)state;
    open_and_check("models/fable/fable-q8_0.gguf", 4, 1024, 2);
}

static void test_fable_f16(void **state)
{
    (void)state;
    char path[1024];
    open_and_check(tests_shared(path, "models/fable/fable-f16.gguf"), 4, 1024, 2);
}

static void test_stories260k(void **state)
{
    (void)state;
    char path[1024];
    open_and_check(tests_shared(path, "models/stories260k/stories260K.gguf"), 5, 512, 1);
}

static void test_babyllama(void **state)
{
    (void)state;
    char path[1024];
    open_and_check(tests_shared(path, "models/babyllama-105/babyllama-105-f32.gguf"), 5, 105, 1);
    open_and_check(tests_shared(path, "models/babyllama-105/babyllama-105-q8_0.gguf"), 5, 105, 1);
}

/* ---- rows -------------------------------------------------------------------------------- */

static void test_rows(void **state)
{
    (void)state;
    float out[32];
    static const unsigned char f32[] = {0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0, 0, 0, 0, 0x40, 1, 0, 0, 0};
    struct model_tensor tensor = {"t", MODEL_F32, 2, 2, f32};
    model_row(&tensor, 0, out);
    assert_true(out[0] == 1.0f && out[1] == -2.0f);
    model_row(&tensor, 1, out);
    assert_true(out[0] == 2.0f && out[1] == 0x1p-149f);
    static const unsigned char f16[] = {0x00, 0x3C, 0x01, 0x00, 0xFF, 0xFB};
    tensor = (struct model_tensor){"t", MODEL_F16, 1, 3, f16};
    model_row(&tensor, 0, out);
    assert_true(out[0] == 1.0f && out[1] == 0x1p-24f && out[2] == -65504.0f);
    static const unsigned char bf16[] = {0x80, 0x3F, 0x49, 0x40};
    tensor = (struct model_tensor){"t", MODEL_BF16, 1, 2, bf16};
    model_row(&tensor, 0, out);
    assert_true(out[0] == 1.0f && out[1] == 3.140625f);
    /* At an odd address: rows need no alignment. */
    unsigned char q8[1 + 2 * 34] = {0};
    q8[1 + 34] = 0x00, q8[1 + 35] = 0x38; /* the second row's scale: 0.5 */
    for (int i = 0; i < 32; i++)
        q8[1 + 36 + i] = (unsigned char)(i - 16);
    tensor = (struct model_tensor){"t", MODEL_Q8_0, 2, 32, q8 + 1};
    model_row(&tensor, 1, out);
    for (int i = 0; i < 32; i++)
        assert_true(out[i] == 0.5f * (float)(i - 16));
    model_row(&tensor, 0, out);
    assert_true(out[31] == 0.0f);
}

/* ---- bad files --------------------------------------------------------------------------- */

static void test_not_a_model(void **state)
{
    (void)state;
    expect_refusal("/nowhere/model.gguf", TAKT_IO, "cannot open");
    expect_refusal("tests", TAKT_IO, "not a regular file");
    expect_refusal("tests/test_model.c", TAKT_FORMAT, "not a GGUF file");
    struct model *model;
    struct takt_error error;
    char path[600];
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(model_open(&model, path, &error), TAKT_LIMIT);
    assert_int_equal(model_open(&model, "/nowhere", NULL), TAKT_IO);
}

/* Each key and tensor left out in turn: refused by name, but for those a file may lack. */
static void test_missing(void **state)
{
    (void)state;
    static const char *const names[] = {
        "general.architecture",
        "llama.context_length",
        "llama.embedding_length",
        "llama.block_count",
        "llama.feed_forward_length",
        "llama.attention.head_count",
        "llama.attention.layer_norm_rms_epsilon",
        "tokenizer.ggml.model",
        "tokenizer.ggml.tokens",
        "tokenizer.ggml.merges",
        "token_embd.weight",
        "output_norm.weight",
        "blk.1.attn_norm.weight",
        "blk.0.attn_q.weight",
        "blk.1.attn_k.weight",
        "blk.0.attn_v.weight",
        "blk.1.attn_output.weight",
        "blk.0.ffn_norm.weight",
        "blk.1.ffn_gate.weight",
        "blk.0.ffn_up.weight",
        "blk.1.ffn_down.weight",
    };
    struct gguf_random shape = small;
    shape.layers = 2;
    for (size_t i = 0; i < BASE_COUNT(names); i++) {
        char part[80];
        snprintf(part, sizeof(part), "%s is missing", names[i]);
        shape.skip = names[i];
        expect_shape_refusal(&shape, TAKT_FORMAT, part);
    }
    shape.spm = true;
    shape.skip = "tokenizer.ggml.scores";
    expect_shape_refusal(&shape, TAKT_FORMAT, "tokenizer.ggml.scores is missing");
    static const char *const optional[] = {
        "output.weight",
        "general.name",
        "llama.vocab_size",
        "llama.rope.freq_base",
        "llama.rope.dimension_count",
        "llama.attention.value_length",
        "tokenizer.ggml.bos_token_id",
        "tokenizer.ggml.eos_token_id",
        "tokenizer.ggml.token_type",
        "tokenizer.chat_template",
        "tokenizer.ggml.pre",
    };
    for (size_t i = 0; i < BASE_COUNT(optional); i++) {
        struct scratch scratch;
        shape.spm = i % 2 == 1;
        shape.skip = optional[i];
        scratch_open(&scratch, &shape);
        struct model *model;
        struct takt_error error = {TAKT_OK, ""};
        if (model_open(&model, scratch.path, &error) != TAKT_OK)
            fail_msg("without %s: %s", optional[i], error.message);
        model_close(model);
        scratch_close(&scratch);
    }
}

/* One 4-byte value after a text in the file replaced: key and type, or a tensor's record. */
static void test_wrong_values(void **state)
{
    (void)state;
    static const struct {
        const char *after;
        size_t skip; /* bytes between the text and the value */
        uint32_t value;
        enum takt_status status;
        const char *part;
    } cases[] = {
        {"GGUF", 0, 1, TAKT_UNSUPPORTED, "GGUF version 1"},
        {"GGUF", 0, 0x03000000, TAKT_UNSUPPORTED, "little-endian"},
        {"GGUF", 4, 0xFFFFFFFF, TAKT_FORMAT, "can hold"},
        {"GGUF", 12, 0x10000000, TAKT_FORMAT, "can hold"},
        {"general.architecture", 0, 99, TAKT_FORMAT, "has type 99"},
        {"general.architecture", 0, 4, TAKT_FORMAT, "byte"},
        {"general.architecture", 12, 0x6E657771, TAKT_UNSUPPORTED, "takt runs llama, qwen2"},
        {"llama.block_count", 0, 6, TAKT_FORMAT,
         "llama.block_count has type f32, wanted one integer"},
        {"llama.block_count", 4, 0, TAKT_FORMAT, "llama.block_count is 0"},
        {"llama.block_count", 4, 3, TAKT_FORMAT, "too few"},
        {"llama.block_count", 4, 0xFFFFFFFF, TAKT_FORMAT, "llama.block_count is 4294967295"},
        {"llama.embedding_length", 4, 0, TAKT_FORMAT, "llama.embedding_length is 0"},
        {"llama.embedding_length", 4, 14, TAKT_FORMAT, "wanted [14, 270, 1, 1]"},
        {"llama.feed_forward_length", 4, 11, TAKT_FORMAT,
         "blk.0.ffn_down.weight has shape [10, 12, 1, 1]"},
        {"llama.attention.head_count", 0, 9, TAKT_FORMAT, "byte"},
        {"llama.attention.head_count_kv", 4, 0, TAKT_FORMAT, "head_count_kv is 0"},
        {"llama.attention.head_count_kv", 4, 3, TAKT_FORMAT, "no multiple"},
        {"llama.attention.head_count_kv", 4, 2, TAKT_FORMAT, "blk.0.attn_k.weight"},
        {"llama.attention.key_length", 4, 5, TAKT_UNSUPPORTED, "value_length is 6"},
        {"llama.attention.layer_norm_rms_epsilon", 4, 0x7FC00000, TAKT_FORMAT, "finite"},
        {"llama.attention.layer_norm_rms_epsilon", 4, 0, TAKT_FORMAT, "above 0"},
        {"llama.attention.layer_norm_rms_epsilon", 4, 0xBF800000, TAKT_FORMAT, "above 0"},
        {"llama.rope.dimension_count", 4, 5, TAKT_FORMAT, "5 values of a head are rotated"},
        {"llama.rope.freq_base", 4, 0xFF800000, TAKT_FORMAT, "finite"},
        {"llama.rope.freq_base", 4, 0, TAKT_FORMAT, "rotary base is 0"},
        {"llama.vocab_size", 4, 271, TAKT_FORMAT, "vocab_size is 271"},
        {"llama.vocab_size", 4, 0, TAKT_FORMAT, "vocab_size is 0"},
        {"tokenizer.ggml.model", 12, 0x766B7772, TAKT_UNSUPPORTED,
         "tokenizer.ggml.model is \"rwkv\""},
        {"tokenizer.ggml.pre", 12, 0x78787878, TAKT_UNSUPPORTED, "tokenizer.ggml.pre is \"xxxx"},
        {"tokenizer.ggml.tokens", 4, 9, TAKT_UNSUPPORTED, "array of arrays"},
        {"tokenizer.ggml.tokens", 4, 0, TAKT_FORMAT, "passes the file's end"},
        {"tokenizer.ggml.tokens", 8, 0x7FFFFFFF, TAKT_FORMAT, "more than the file holds"},
        {"tokenizer.ggml.tokens", 20, 0x7FFFFFFF, TAKT_FORMAT, "passes the file's end"},
        {"tokenizer.ggml.token_type", 16, 7, TAKT_FORMAT, "token_type[0] is 7"},
        {"tokenizer.ggml.bos_token_id", 4, 270, TAKT_FORMAT, "bos_token_id is 270"},
        {"tokenizer.ggml.eos_token_id", 4, 1000000, TAKT_FORMAT, "eos_token_id is 1000000"},
        {"token_embd.weight", 0, 0, TAKT_FORMAT, "0 dimensions"},
        {"token_embd.weight", 0, 5, TAKT_FORMAT, "5 dimensions"},
        {"token_embd.weight", 4, 0, TAKT_FORMAT, "dimension 0 is 0"},
        {"token_embd.weight", 4, 13, TAKT_FORMAT, "overlap"},
        {"token_embd.weight", 8, 0xFFFFFFFF, TAKT_FORMAT, "too large"},
        {"token_embd.weight", 12, 1000000, TAKT_FORMAT, "pass the end"},
        {"token_embd.weight", 20, 16, TAKT_UNSUPPORTED, "token_embd.weight has type IQ2_XXS (16)"},
        {"token_embd.weight", 20, 77, TAKT_UNSUPPORTED, "has type unknown (77)"},
        {"token_embd.weight", 20, 8, TAKT_FORMAT, "multiple of 32 elements, found 12"},
        {"token_embd.weight", 24, 0xFFFFFFE0, TAKT_FORMAT, "pass the end"},
        {"token_embd.weight", 24, 16, TAKT_FORMAT, "no multiple of the alignment"},
        {"blk.0.attn_norm.weight", 16, 0, TAKT_FORMAT, "overlap"},
    };
    struct scratch scratch;
    scratch_open(&scratch, &small);
    for (size_t i = 0; i < BASE_COUNT(cases); i++) {
        size_t at = scratch_after(&scratch, cases[i].after) + cases[i].skip;
        scratch_write(&scratch, &cases[i].value, 4, at);
        expect_refusal(scratch.path, cases[i].status, cases[i].part);
        scratch_write(&scratch, scratch.bytes.data + at, 4, at);
    }
    scratch_close(&scratch);
}

/* Version 2 is laid out like version 3. */
static void test_version_2(void **state)
{
    (void)state;
    struct scratch scratch;
    const uint32_t version = 2;
    scratch_open(&scratch, &small);
    scratch_write(&scratch, &version, sizeof version, 4);
    open_and_check(scratch.path, small.layers, small.vocab, 2);
    scratch_close(&scratch);
}

/* A key written over by another of the same length, and a tensor likewise. */
static void test_duplicates(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after;
        enum takt_status status;
        const char *part;
    } cases[] = {
        {"llama.rope.freq_base", "llama.context_length", TAKT_FORMAT,
         "context_length stands twice"},
        {"blk.0.attn_k.weight", "blk.0.attn_v.weight", TAKT_FORMAT, "attn_v.weight stands twice"},
        {"blk.0.attn_k.weight", "blk.0.attn_\xFF.weight", TAKT_FORMAT, "not UTF-8"},
        {"llama.vocab_size", "llama.voc\0b_size", TAKT_FORMAT, "not UTF-8"},
    };
    struct scratch scratch;
    scratch_open(&scratch, &small);
    for (size_t i = 0; i < BASE_COUNT(cases); i++) {
        size_t length = strlen(cases[i].before);
        size_t at = scratch_after(&scratch, cases[i].before) - length;
        scratch_write(&scratch, cases[i].after, length, at);
        expect_refusal(scratch.path, cases[i].status, cases[i].part);
        scratch_write(&scratch, cases[i].before, length, at);
    }
    scratch_close(&scratch);
}

static void write_with(struct gguf_writer *writer, const char *path)
{
    struct base_text file = {0};
    gguf_writer_finish(writer, &file);
    assert_int_equal(base_file_write(path, file.data, file.length, NULL), TAKT_OK);
    base_text_free(&file);
    gguf_writer_free(writer);
}

/* Keys and tensors that would change the computation. */
static void test_variants(void **state)
{
    (void)state;
    struct scratch scratch;
    scratch_open(&scratch, &small);
    struct gguf_writer writer = {0};
    gguf_random_build(&writer, &small);
    gguf_writer_u32(&writer, "llama.expert_count", 8);
    write_with(&writer, scratch.path);
    expect_refusal(scratch.path, TAKT_UNSUPPORTED, "llama.expert_count is 8");
    gguf_random_build(&writer, &small);
    gguf_writer_string(&writer, "llama.rope.scaling.type", "yarn");
    write_with(&writer, scratch.path);
    expect_refusal(scratch.path, TAKT_UNSUPPORTED, "\"yarn\"");
    gguf_random_build(&writer, &small);
    gguf_writer_u32(&writer, "general.alignment", 48);
    write_with(&writer, scratch.path);
    expect_refusal(scratch.path, TAKT_FORMAT, "power of two");
    gguf_random_build(&writer, &small);
    gguf_writer_tensor(&writer, "blk.0.ffn_up.bias", 0, 1, 0, "\0\0\0", 4);
    write_with(&writer, scratch.path);
    expect_refusal(scratch.path, TAKT_UNSUPPORTED, "blk.0.ffn_up.bias is no part");
    float factors[3] = {1.0f, 1.0f, -8.0f};
    gguf_random_build(&writer, &small);
    gguf_writer_tensor(&writer, "rope_freqs.weight", 0, 3, 0, factors, sizeof(factors));
    write_with(&writer, scratch.path);
    expect_refusal(scratch.path, TAKT_FORMAT, "rope_freqs.weight, column 2 is -8");
    factors[2] = 1.0f; /* all ones change nothing */
    gguf_random_build(&writer, &small);
    gguf_writer_tensor(&writer, "rope_freqs.weight", 0, 3, 0, factors, sizeof(factors));
    write_with(&writer, scratch.path);
    open_and_check(scratch.path, 1, 270, 2);
    scratch_close(&scratch);
}

/* ---- damage at random -------------------------------------------------------------------- */

/* Opens what may be anything; what opens must encode and decode. */
static bool survives(const char *path)
{
    struct model *model;
    struct takt_error error = {TAKT_OK, ""};
    enum takt_status status = model_open(&model, path, &error);
    if (status != TAKT_OK) {
        assert_one_line(&error, path);
        assert_int_equal(error.status, status);
        return false;
    }
    uint32_t *ids;
    size_t count;
    static const char text[] = "Hello <|im_end|> \xFF\xC3\xA4";
    assert_int_equal(
        tokenizer_encode(model->tokenizer, text, strlen(text), true, true, &ids, &count, NULL),
        TAKT_OK);
    struct base_text out = {0};
    for (size_t i = 0; i < count; i++)
        tokenizer_decode(model->tokenizer, ids[i], i == 0, true, &out);
    base_text_free(&out);
    free(ids);
    model_close(model);
    return true;
}

static void test_truncated(void **state)
{
    (void)state;
    for (int spm = 0; spm < 2; spm++) {
        struct gguf_random shape = small;
        shape.spm = spm == 1;
        struct scratch scratch;
        scratch_open(&scratch, &shape);
        size_t length = scratch.bytes.length;
        assert_true(survives(scratch.path));
        while (length-- > 0) {
            assert_int_equal(ftruncate(scratch.descriptor, (off_t)length), 0);
            assert_false(survives(scratch.path));
            /* Every length near the ends, a sample between. */
            if (length > 300 && length + 300 < scratch.bytes.length)
                length -= base_random_u64(7, 0, length) % 23;
        }
        scratch_close(&scratch);
    }
}

static void test_flipped(void **state)
{
    (void)state;
    unsigned opened = 0, tried = 0;
    for (int spm = 0; spm < 2; spm++) {
        struct gguf_random shape = small;
        shape.spm = spm == 1;
        struct scratch scratch;
        scratch_open(&scratch, &shape);
        /* The header, keys and records: tensor data may hold anything. */
        size_t header = scratch_after(&scratch, "output_norm.weight") + 80;
        for (uint64_t seed = 0; seed < 3000; seed++, tried++) {
            size_t at[3];
            uint64_t flips = 1 + seed % 3;
            for (uint64_t i = 0; i < flips; i++) {
                uint64_t bits = base_random_u64(seed, (uint64_t)spm, i);
                at[i] = (size_t)(bits >> 8) % header;
                unsigned char byte = (unsigned char)(seed % 2 == 0 ? bits : 1u << bits % 8);
                byte ^= (unsigned char)scratch.bytes.data[at[i]];
                scratch_write(&scratch, &byte, 1, at[i]);
            }
            opened += survives(scratch.path) ? 1 : 0;
            for (uint64_t i = 0; i < flips; i++)
                scratch_write(&scratch, scratch.bytes.data + at[i], 1, at[i]);
        }
        assert_true(survives(scratch.path));
        scratch_close(&scratch);
    }
    assert_true(opened > 0 && opened < tried);
}

TEST_GROUP(model, cmocka_unit_test(test_random_models), cmocka_unit_test(test_bundled),
           cmocka_unit_test(test_fable_f16), cmocka_unit_test(test_stories260k),
           cmocka_unit_test(test_babyllama), cmocka_unit_test(test_rows),
           cmocka_unit_test(test_not_a_model), cmocka_unit_test(test_missing),
           cmocka_unit_test(test_wrong_values), cmocka_unit_test(test_duplicates),
           cmocka_unit_test(test_version_2), cmocka_unit_test(test_variants),
           cmocka_unit_test(test_truncated), cmocka_unit_test(test_flipped));
