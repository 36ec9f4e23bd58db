/*
 * folder: models in Hugging Face folders and in several files give the logits of the same model in
 * one GGUF file, bit for bit; damaged ones are refused with one line.
 */
#include "tests.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "architectures.h"
#include "folder_writer.h"
#include "graph/reference.h"
#include "model/opening.h"
#include <jansson.h>

enum { COUNT = 40, POSITIONS = 128 };

static void require(enum takt_status status, const struct takt_error *error)
{
    if (status != TAKT_OK)
        fail_msg("%s", error->message);
}

/* A folder without its tokenizer, which is another matter. */
static enum takt_status open_folder(struct model **out, const char *path, struct takt_error *error)
{
    struct model *model = calloc(1, sizeof *model);
    assert_non_null(model);
    snprintf(model->path, sizeof model->path, "%s", path);
    struct opening opening = {.model = model, .path = model->path, .error = error};
    enum takt_status status = model_open_container(&opening);
    if (status == TAKT_OK)
        status = model_read_folder(&opening);
    if (status == TAKT_OK)
        status = model_bind_tensors(&opening);
    model_close_container(&opening);
    *out = model;
    if (status != TAKT_OK) {
        model_close(model);
        *out = NULL;
    }
    return status;
}

static float *logits_of(struct model *model)
{
    struct base_arena arena;
    struct graph graph;
    struct reference *reference;
    struct takt_error error;
    uint32_t tokens[COUNT];
    for (uint32_t i = 0; i < COUNT; i++)
        tokens[i] = (i * 29 + 7) % model->vocab;
    model_set_context(model, POSITIONS);
    require(base_arena_create(&arena, graph_arena_bytes(model), &error), &error);
    require(graph_build(model, &arena, &graph, &error), &error);
    require(reference_create(&reference, &graph, POSITIONS, COUNT, &error), &error);
    float *logits = calloc((size_t)COUNT * model->vocab, sizeof *logits);
    assert_non_null(logits);
    reference_step(reference, tokens, COUNT, 0, logits);
    reference_destroy(reference);
    base_arena_destroy(&arena);
    return logits;
}

static void open_gguf(struct model **model, const struct gguf_random *shape)
{
    char path[] = "/tmp/takt-folder-XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    close(descriptor);
    assert_true(gguf_write_random(path, shape));
    struct takt_error error;
    require(model_open(model, path, &error), &error);
    unlink(path);
}

/* The factors that a GGUF file has as a tensor, as config.json gives them. */
static void scaling_text(struct base_text *text, const struct model *model)
{
    base_text_append(text, "", 0);
    if (model->factors_long == NULL)
        return;
    base_text_format(text,
                     ",\"original_max_position_embeddings\":%u,\"rope_scaling\":{\"type\":"
                     "\"longrope\",\"attention_factor\":%.17g",
                     model->context_short, model->ropes[0].magnitude);
    for (uint32_t k = 0; k < 2; k++) {
        const float *factors = k == 0 ? model->ropes[0].factors : model->factors_long;
        base_text_format(text, ",\"%s\":[", k == 0 ? "short_factor" : "long_factor");
        for (uint32_t i = 0; i < model->head_dim / 2; i++)
            base_text_format(text, "%s%.9g", i > 0 ? "," : "", (double)factors[i]);
        base_text_format(text, "]");
    }
    base_text_format(text, "}");
}

static void check_shape(const struct architecture_shape *shape, uint32_t files)
{
    struct model *gguf, *folder;
    struct takt_error error;
    struct base_text more = {0};
    open_gguf(&gguf, &shape->shape);
    char path[] = "/tmp/takt-folder-XXXXXX";
    assert_non_null(mkdtemp(path));
    scaling_text(&more, gguf);
    static const char *const prefixes[] = {"model.", "language_model.model.",
                                           "model.language_model.", ""};
    assert_true(folder_write_as(path, prefixes[shape->shape.ffn / 32 % 4], gguf, files, more.data));
    enum takt_status status = open_folder(&folder, path, &error);
    require(status, &error);
    assert_string_equal(folder->architecture, gguf->architecture);
    float *wanted = logits_of(gguf), *got = logits_of(folder);
    if (memcmp(wanted, got, (size_t)COUNT * gguf->vocab * sizeof *got) != 0)
        fail_msg("%s: the folder's logits differ", shape->name);
    free(wanted);
    free(got);
    model_close(folder);
    model_close(gguf);
    base_text_free(&more);
    folder_remove(path);
}

static void test_same_logits(void **state)
{
    (void)state;
    const struct architecture_shape *shape;
    for (size_t i = 0; (shape = architecture_shape(i)) != NULL; i++)
        if (strcmp(shape->name, "llama3") != 0) /* its factors are computed: test_llama3 */
            check_shape(shape, 1 + (uint32_t)i % 3);
}

/* The published rule, by its own words: long waves divided, short ones kept, a ramp between. */
static void test_llama3(void **state)
{
    (void)state;
    struct model *gguf, *folder;
    struct takt_error error;
    open_gguf(&gguf, &architecture_shape(0)->shape);
    char path[] = "/tmp/takt-folder-XXXXXX";
    assert_non_null(mkdtemp(path));
    assert_true(folder_write(path, gguf, 1,
                             ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8.0,"
                             "\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,"
                             "\"original_max_position_embeddings\":1000}"));
    require(open_folder(&folder, path, &error), &error);
    uint32_t kept = 0, divided = 0;
    for (uint32_t i = 0; i < folder->head_dim / 2; i++) {
        double frequency = pow(10000.0, -2.0 * i / folder->head_dim);
        double wave = 2.0 * 3.14159265358979323846 / frequency;
        double wanted = frequency;
        if (wave > 1000.0)
            wanted = frequency / 8.0;
        else if (wave >= 250.0) {
            double smooth = (1000.0 / wave - 1.0) / 3.0;
            wanted = (1.0 - smooth) * frequency / 8.0 + smooth * frequency;
        }
        double got = frequency / (double)folder->ropes[0].factors[i];
        assert_true(fabs(got / wanted - 1.0) < 1e-6);
        kept += wanted == frequency;
        divided += wave > 1000.0;
    }
    assert_true(kept > 0 && divided > 0);
    model_close(folder);
    model_close(gguf);
    folder_remove(path);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void write_text(const char *folder, const char *name, const char *text, size_t length)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(base_file_write(path, text, length, NULL), TAKT_OK);
}

static void expect_refusal(const char *path, enum takt_status wanted, const char *part)
{
    struct model *model;
    struct takt_error error = {TAKT_OK, ""};
    enum takt_status status = open_folder(&model, path, &error);
    if (status != wanted || strstr(error.message, part) == NULL)
        fail_msg("wanted %s with \"%s\", got %s: %s", takt_status_text(wanted), part,
                 takt_status_text(status), error.message);
    assert_null(strchr(error.message, '\n'));
}

/* A text of config.json put in place of another, then mended. */
static void test_config(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after;
        enum takt_status status;
        const char *part;
    } cases[] = {
        {"{", "[", TAKT_FORMAT, "config.json: line 1"},
        {"\"llama\"", "\"mamba\"", TAKT_UNSUPPORTED, "model_type is \"mamba\""},
        {"\"llama\"", "7", TAKT_FORMAT, "model_type is not a name"},
        {"\"hidden_size\":64", "\"hidden_size\":-1", TAKT_FORMAT, "hidden_size is not a number"},
        {"\"hidden_size\":64", "\"hidden_size\":1e99", TAKT_FORMAT, "hidden_size is not a number"},
        {"\"hidden_size\":64", "\"hidden\":64", TAKT_FORMAT, "hidden_size is missing"},
        {"\"hidden_size\":64", "\"hidden_size\":72", TAKT_FORMAT, "embed_tokens.weight has shape"},
        {"\"num_hidden_layers\":7", "\"num_hidden_layers\":8000000", TAKT_FORMAT, "too few"},
        {"\"num_hidden_layers\":7", "\"num_hidden_layers\":6", TAKT_UNSUPPORTED, "layers.6."},
        {"\"num_key_value_heads\":2", "\"num_key_value_heads\":3", TAKT_FORMAT, "no multiple"},
        {"\"head_dim\":16", "\"head_dim\":15", TAKT_FORMAT, "even number"},
        {"\"vocab_size\":320", "\"vocab_size\":321", TAKT_FORMAT, "embed_tokens.weight has shape"},
        {"\"rope_theta\":10000", "\"rope_theta\":-1", TAKT_FORMAT, "rope_theta is not"},
        {"\"rms_norm_eps\":", "\"rms_norm_eps\":9e300,\"x\":", TAKT_FORMAT, "epsilon"},
        {"\"torch_dtype\"", "\"quantization_config\":{},\"x\"", TAKT_UNSUPPORTED, "unquantised"},
        {"\"torch_dtype\"", "\"hidden_act\":\"relu\",\"x\"", TAKT_UNSUPPORTED, "relu"},
        {"\"torch_dtype\"", "\"rope_scaling\":{\"type\":\"yarn\"},\"x\"", TAKT_UNSUPPORTED, "yarn"},
        {"\"torch_dtype\"", "\"rope_scaling\":{\"rope_type\":\"llama3\"},\"x\"", TAKT_FORMAT,
         "rope_scaling is not"},
    };
    struct model *gguf;
    open_gguf(&gguf, &architecture_shape(0)->shape);
    char path[] = "/tmp/takt-folder-XXXXXX", config[512];
    assert_non_null(mkdtemp(path));
    assert_true(folder_write(path, gguf, 1, ""));
    struct base_file file;
    snprintf(config, sizeof config, "%s/config.json", path);
    assert_int_equal(base_file_map(&file, config, NULL), TAKT_OK);
    struct base_text whole = {0};
    base_text_append(&whole, (const char *)file.data, file.size_bytes);
    base_file_unmap(&file);
    for (size_t i = 0; i < BASE_COUNT(cases); i++) {
        const char *at = strstr(whole.data, cases[i].before);
        assert_non_null(at);
        struct base_text changed = {0};
        base_text_append(&changed, whole.data, (size_t)(at - whole.data));
        base_text_format(&changed, "%s%s", cases[i].after, at + strlen(cases[i].before));
        write_text(path, "config.json", changed.data, changed.length);
        expect_refusal(path, cases[i].status, cases[i].part);
        base_text_free(&changed);
    }
    unlink(config);
    expect_refusal(path, TAKT_IO, "no config.json");
    base_text_free(&whole);
    model_close(gguf);
    folder_remove(path);
}

static void test_safetensors(void **state)
{
    (void)state;
    static const struct {
        uint64_t length; /* 0: of the text */
        const char *header;
        enum takt_status status;
        const char *part;
    } cases[] = {
        {UINT64_MAX, "{}", TAKT_FORMAT, "byte 0"},
        {0, "[]", TAKT_FORMAT, "not a JSON object"},
        {0, "{", TAKT_FORMAT, "header"},
        {0, "{\"a\":1}", TAKT_FORMAT, "tensor a"},
        {0, "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,99]}}", TAKT_FORMAT,
         "pass the end"},
        {0, "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[8,4]}}", TAKT_FORMAT,
         "pass the end"},
        {0, "{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,16]}}", TAKT_FORMAT,
         "do not suit"},
        {0, "{\"a\":{\"dtype\":\"F32\",\"shape\":[-3],\"data_offsets\":[0,16]}}", TAKT_FORMAT,
         "a dimension"},
        {0, "{\"a\":{\"dtype\":\"F32\",\"shape\":[1152921504606846976,4],\"data_offsets\":[0,16]}}",
         TAKT_FORMAT, "a dimension"},
        {0,
         "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}",
         TAKT_FORMAT, "overlaps"},
        {0, "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", TAKT_FORMAT,
         "too few"},
    };
    struct model *gguf;
    open_gguf(&gguf, &architecture_shape(0)->shape);
    char path[] = "/tmp/takt-folder-XXXXXX";
    assert_non_null(mkdtemp(path));
    assert_true(folder_write(path, gguf, 1, ""));
    for (size_t i = 0; i < BASE_COUNT(cases); i++) {
        struct base_text file = {0};
        uint64_t length = cases[i].length != 0 ? cases[i].length : strlen(cases[i].header);
        base_text_append(&file, (const char *)&length, 8);
        base_text_format(&file, "%s", cases[i].header);
        base_text_append(&file, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
        write_text(path, "model.safetensors", file.data, file.length);
        expect_refusal(path, cases[i].status, cases[i].part);
        base_text_free(&file);
    }
    write_text(path, "model.safetensors", "abc", 3);
    expect_refusal(path, TAKT_FORMAT, "byte 0");
    static const char *const indices[] = {
        "{}", "{\"weight_map\":{\"a\":\"../secret\"}}", "{\"weight_map\":{\"a\":7}}",
        "{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "{\"weight_map\":{\"a\":\"..\"}}"};
    for (size_t i = 0; i < BASE_COUNT(indices); i++) {
        write_text(path, "model.safetensors.index.json", indices[i], strlen(indices[i]));
        expect_refusal(path, TAKT_FORMAT, i == 0 ? "weight_map is missing" : "in no file");
    }
    model_close(gguf);
    folder_remove(path);
}

/* ---- a whole folder, with its tokenizer ------------------------------------------------------ */

static void put_json_string(struct base_text *out, struct gguf_string string)
{
    json_t *json = json_stringn(string.text, string.length);
    char *text = json_dumps(json, JSON_ENCODE_ANY);
    assert_non_null(text);
    base_text_format(out, "%s", text);
    free(text);
    json_decref(json);
}

/* tokenizer.json of a GGUF file's byte-level BPE, whose first three tokens are control tokens. */
static void write_tokenizer(const char *folder, const char *gguf_path)
{
    struct base_file file;
    struct gguf gguf;
    const struct gguf_pair *tokens, *merges;
    assert_int_equal(base_file_map(&file, gguf_path, NULL), TAKT_OK);
    assert_int_equal(model_gguf_open(&gguf, gguf_path, &file, NULL), TAKT_OK);
    model_gguf_array(&gguf, "tokenizer.ggml.tokens", true, GGUF_STRING, &tokens, NULL);
    model_gguf_array(&gguf, "tokenizer.ggml.merges", true, GGUF_STRING, &merges, NULL);
    struct base_text out = {0}, added = {0};
    const unsigned char *cursor = tokens->data;
    base_text_format(&out, "{\"version\":\"1.0\",\"model\":{\"type\":\"BPE\",\"vocab\":{");
    for (uint64_t i = 0; i < tokens->count; i++) {
        struct gguf_string token = model_gguf_next_string(&cursor);
        base_text_format(&out, i > 0 ? "," : "");
        put_json_string(&out, token);
        base_text_format(&out, ":%u", (unsigned)i);
        if (i >= 3)
            continue;
        base_text_format(&added, "%s{\"id\":%u,\"special\":true,\"content\":", i > 0 ? "," : "",
                         (unsigned)i);
        put_json_string(&added, token);
        base_text_format(&added, "}");
    }
    base_text_format(&out, "},\"merges\":[");
    cursor = merges->data;
    for (uint64_t i = 0; i < merges->count; i++) {
        base_text_format(&out, i > 0 ? "," : "");
        put_json_string(&out, model_gguf_next_string(&cursor));
    }
    base_text_format(&out,
                     "]},\"added_tokens\":[%s],\"normalizer\":null,\"pre_tokenizer\":{\"type\":"
                     "\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true},\"decoder\":{"
                     "\"type\":\"ByteLevel\"}}",
                     added.data);
    write_text(folder, "tokenizer.json", out.data, out.length);
    base_text_free(&out);
    base_text_free(&added);
    model_gguf_close(&gguf);
    base_file_unmap(&file);
}

/* The bundled model as a folder: the same tokens, the same logits. */
static void test_fable(void **state)
{
    (void)state;
    static const char gguf_path[] = "models/fable/fable-q8_0.gguf";
    static const char config[] =
        "{\"eos_token\":\"<|im_end|>\",\"chat_template\":\"{% for m in messages %}{{ m.content }}"
        "{% endfor %}\"}";
    static const char text[] = "Once upon a time, there was a fox. <|im_start|>\n\xC3\xA4 12";
    struct model *gguf, *folder;
    struct takt_error error;
    require(model_open(&gguf, gguf_path, &error), &error);
    char path[] = "/tmp/takt-folder-XXXXXX";
    assert_non_null(mkdtemp(path));
    assert_true(folder_write(path, gguf, 1, ""));
    write_tokenizer(path, gguf_path);
    write_text(path, "tokenizer_config.json", config, sizeof config - 1);
    require(model_open(&folder, path, &error), &error);
    uint32_t *ids[2];
    size_t counts[2];
    struct model *models[2] = {gguf, folder};
    for (int i = 0; i < 2; i++)
        require(tokenizer_encode(models[i]->tokenizer, text, sizeof text - 1, false, true, &ids[i],
                                 &counts[i], &error),
                &error);
    assert_int_equal(counts[0], counts[1]);
    assert_memory_equal(ids[0], ids[1], counts[0] * sizeof(uint32_t));
    float *wanted = logits_of(gguf), *got = logits_of(folder);
    assert_memory_equal(wanted, got, (size_t)COUNT * gguf->vocab * sizeof *got);
    assert_non_null(folder->chat_template);
    assert_int_equal(tokenizer_special(folder->tokenizer)->eos, 2);
    for (int i = 0; i < 2; i++)
        free(ids[i]);
    free(wanted);
    free(got);
    model_close(gguf);
    model_close(folder);
    folder_remove(path);
}

/* ---- GGUF in several files ------------------------------------------------------------------- */

static void part_path(char out[256], const char *folder, uint32_t index, uint32_t count)
{
    snprintf(out, 256, "%s/m-%05u-of-%05u.gguf", folder, index + 1, count);
}

/* Part `index` of a model: all keys in the first, every count-th tensor. */
static void write_part(const char *path, const struct gguf_random *shape, uint32_t index,
                       uint32_t count, uint32_t stated)
{
    struct gguf_writer writer = {.part = index, .parts = count};
    struct base_text file = {0};
    gguf_random_build(&writer, shape);
    if (index > 0) { /* the keys stand in the first part */
        base_text_free(&writer.pairs);
        writer.pair_count = 0;
    }
    gguf_writer_u32(&writer, "split.no", index);
    gguf_writer_u32(&writer, "split.count", count);
    gguf_writer_u32(&writer, "split.tensors.count", stated);
    gguf_writer_finish(&writer, &file);
    assert_int_equal(base_file_write(path, file.data, file.length, NULL), TAKT_OK);
    base_text_free(&file);
    gguf_writer_free(&writer);
}

static void expect_gguf_refusal(const char *path, enum takt_status wanted, const char *part)
{
    struct model *model;
    struct takt_error error = {TAKT_OK, ""};
    enum takt_status status = model_open(&model, path, &error);
    if (status != wanted || strstr(error.message, part) == NULL)
        fail_msg("wanted %s with \"%s\", got %s: %s", takt_status_text(wanted), part,
                 takt_status_text(status), error.message);
    assert_null(strchr(error.message, '\n'));
}

static void test_parts(void **state)
{
    (void)state;
    const struct gguf_random *shape = &architecture_shape(3)->shape;
    struct model *whole;
    open_gguf(&whole, shape);
    float *wanted = logits_of(whole);
    char folder[] = "/tmp/takt-folder-XXXXXX", path[256];
    assert_non_null(mkdtemp(folder));
    const uint32_t tensors = 7 * 11 + 2;
    for (uint32_t i = 0; i < 3; i++) {
        part_path(path, folder, i, 3);
        write_part(path, shape, i, 3, tensors);
    }
    for (uint32_t given = 0; given < 3; given++) { /* any of them names the model */
        struct model *model;
        struct takt_error error;
        part_path(path, folder, given, 3);
        require(model_open(&model, path, &error), &error);
        assert_int_equal(model->files.count, 3);
        float *got = logits_of(model);
        assert_memory_equal(got, wanted, (size_t)COUNT * whole->vocab * sizeof *got);
        free(got);
        model_close(model);
    }
    char first[256], odd[256];
    part_path(first, folder, 0, 3);
    write_part(first, shape, 0, 3, tensors + 1);
    expect_gguf_refusal(first, TAKT_FORMAT, "split.tensors.count is 80");
    write_part(first, shape, 0, 3, 0);
    part_path(path, folder, 1, 3);
    write_part(path, shape, 2, 3, 0); /* the third part under the second's name */
    expect_gguf_refusal(first, TAKT_FORMAT, "part 3 of 3, wanted part 2 of 3");
    unlink(path);
    expect_gguf_refusal(first, TAKT_IO, "cannot open");
    snprintf(odd, sizeof odd, "%s/m.gguf", folder);
    write_part(odd, shape, 0, 60000, 0); /* a count alone takes no memory */
    expect_gguf_refusal(odd, TAKT_FORMAT, "must end in -00001-of-60000.gguf");
    unlink(odd);
    unlink(first);
    part_path(path, folder, 2, 3);
    unlink(path);
    rmdir(folder);
    free(wanted);
    model_close(whole);
}

TEST_GROUP(folder, cmocka_unit_test(test_same_logits), cmocka_unit_test(test_llama3),
           cmocka_unit_test(test_config), cmocka_unit_test(test_safetensors),
           cmocka_unit_test(test_fable), cmocka_unit_test(test_parts));
