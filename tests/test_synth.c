/* Models of random weights: that their shapes are the published ones, the weights a function of the
 * seed, the files whole or not there; that they run. */
#include "tests.h"

#include "model/model.h"
#include "model/tokenizer_parts.h"
#include "runs.h"
#include "takt.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- files ----------------------------------------------------------------------------------- */

/* The group's folder: made by setup, removed with what is in it; the state. */
static int setup_folder(void **state)
{
    char *folder = strdup("/tmp/takt-synth-XXXXXX");
    *state = folder;
    return folder != NULL && mkdtemp(folder) != NULL ? 0 : -1;
}

/* The names in a folder; with `remove_all`, removed. */
static size_t files_in(const char *folder, bool remove_all)
{
    DIR *open = opendir(folder);
    assert_non_null(open);
    size_t count = 0;
    for (const struct dirent *entry = readdir(open); entry != NULL; entry = readdir(open)) {
        if (entry->d_name[0] == '.')
            continue;
        count++;
        char path[512];
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        if (remove_all)
            assert_int_equal(unlink(path), 0);
    }
    closedir(open);
    return count;
}

static int teardown_folder(void **state)
{
    files_in(*state, true);
    int result = rmdir(*state);
    free(*state);
    return result;
}

static void path_in(char path[128], const char *folder, const char *name)
{
    snprintf(path, 128, "%s/%s", folder, name);
}

static void write_model(const struct takt_synth_options *options)
{
    struct takt_error error = {0};
    if (takt_synthesise(options, NULL, NULL, &error) != TAKT_OK)
        fail_msg("%s", error.message);
}

static void digest_of(const char *path, char hex[65])
{
    struct base_file file;
    assert_int_equal(base_file_map(&file, path, NULL), TAKT_OK);
    struct base_digest *digest = base_digest_create();
    base_digest_update(digest, file.data, file.size_bytes);
    base_digest_hex(digest, hex);
    base_digest_destroy(digest);
    base_file_unmap(&file);
}

static struct model *open_model(const char *path)
{
    struct model *model;
    struct takt_error error = {0};
    if (model_open(&model, path, &error) != TAKT_OK)
        fail_msg("%s", error.message);
    return model;
}

/* ---- shapes ---------------------------------------------------------------------------------- */

/* What each release says of itself: its count of parameters, to the unit. */
static void parameters_are_the_published_ones(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t parameters;
    } published[] = {
        {"stories15m", 15191712},       {"stories42m", 41689600},     {"stories110m", 109529856},
        {"smollm2-135m", 134515008},    {"smollm2-360m", 361821120},  {"smollm2-1.7b", 1711376384},
        {"tinyllama-1.1b", 1100048384}, {"llama-2-7b", 6738415616},   {"llama-3-8b", 8030261248},
        {"llama-3.2-1b", 1235814400},   {"llama-2-70b", 68976648192},
    };
    struct takt_shape shape;
    for (size_t i = 0; i < BASE_COUNT(published); i++) {
        assert_true(takt_shape_at(i, &shape));
        assert_string_equal(shape.name, published[i].name);
        assert_true(shape.parameters == published[i].parameters);
        assert_int_equal(shape.head_dim * shape.heads, shape.width);
        assert_true(shape.bytes[0] > 2 * shape.parameters && shape.bytes[1] < shape.bytes[0]);
    }
    assert_false(takt_shape_at(BASE_COUNT(published), &shape));
}

static void check_model(const struct model *model, const struct takt_shape *shape, uint32_t layers,
                        enum model_type type)
{
    char name[128];
    snprintf(name, sizeof(name), "%s with %u of %u layers (synthetic, seed 5)", shape->name, layers,
             shape->layers);
    assert_string_equal(model->name, name);
    assert_int_equal(model->layers, layers);
    assert_int_equal(model->width, shape->width);
    assert_int_equal(model->ffn, shape->ffn);
    assert_int_equal(model->heads, shape->heads);
    assert_int_equal(model->kv_heads, shape->kv_heads);
    assert_int_equal(model->head_dim, shape->head_dim);
    assert_int_equal(model->vocab, shape->vocab);
    assert_int_equal(model->context, shape->context);
    assert_int_equal(model->tied, shape->tied);
    assert_int_equal(model->embedding.type, type);
    assert_int_equal(model->layer[layers - 1].down.type, type);
    assert_int_equal(model->layer[0].attention_norm.type, MODEL_F32);
    assert_int_equal(tokenizer_vocab(model->tokenizer), shape->vocab);
    assert_non_null(model->chat_template);
    /* Of equal texts the last one is found: no two are equal. */
    for (uint32_t id = 0; id < shape->vocab; id++) {
        const struct token *token = &model->tokenizer->tokens[id];
        assert_int_equal(tokenizer_find(model->tokenizer, token->text, token->length), id);
    }
}

/* Every shape whose embedding is of a size for a test; the others differ in numbers only, which the
 * count of parameters holds. */
static void shapes_open(void **state)
{
    static const enum model_type types[TAKT_SYNTH_TYPES] = {MODEL_F16, MODEL_Q8_0, MODEL_F32,
                                                            MODEL_BF16};
    char path[128];
    path_in(path, *state, "shape.gguf");
    struct takt_shape shape;
    size_t opened = 0;
    for (size_t i = 0; takt_shape_at(i, &shape); i++) {
        if ((uint64_t)shape.width * shape.vocab > 50000000)
            continue;
        size_t type = opened++ % TAKT_SYNTH_TYPES;
        uint32_t layers = 1 + (uint32_t)(i == 0);
        write_model(&(struct takt_synth_options){.shape = shape.name,
                                                 .type = takt_synth_type(type),
                                                 .layers = layers,
                                                 .seed = 5,
                                                 .path = path});
        struct model *model = open_model(path);
        check_model(model, &shape, layers, types[type]);
        model_close(model);
    }
    assert_int_equal(opened, 5);
    assert_int_equal(unlink(path), 0);
}

/* ---- weights --------------------------------------------------------------------------------- */

static void same_seed_same_bytes(void **state)
{
    char path[128], first[65], again[65], other[65];
    path_in(path, *state, "seed.gguf");
    struct takt_synth_options options = {
        .shape = "stories15m", .type = "q8_0", .layers = 1, .seed = 7, .path = path};
    write_model(&options);
    digest_of(path, first);
    write_model(&options); /* over the one that is there */
    digest_of(path, again);
    assert_string_equal(first, again);
    options.seed = 8;
    write_model(&options);
    digest_of(path, other);
    assert_string_not_equal(first, other);
    assert_int_equal(unlink(path), 0);
}

static bool rows_equal(const struct model_tensor *a, const struct model_tensor *b, uint32_t row)
{
    float left[1024], right[1024];
    assert_true(a->columns <= BASE_COUNT(left) && a->columns == b->columns);
    model_row(a, row, left);
    model_row(b, row, right);
    return memcmp(left, right, a->columns * sizeof(float)) == 0;
}

/* A tensor is the same whatever stands beside it, and no two are alike. */
static void a_layer_is_the_same_in_any_depth(void **state)
{
    char one[128], two[128];
    path_in(one, *state, "one.gguf");
    path_in(two, *state, "two.gguf");
    struct takt_synth_options options = {
        .shape = "stories15m", .type = "F16", .layers = 1, .seed = 3, .path = one};
    write_model(&options);
    options.layers = 2;
    options.path = two;
    write_model(&options);
    struct model *a = open_model(one), *b = open_model(two);
    assert_true(rows_equal(&a->embedding, &b->embedding, 31999));
    assert_true(rows_equal(&a->layer[0].down, &b->layer[0].down, 287));
    assert_true(rows_equal(&a->output_norm, &b->output_norm, 0));
    assert_false(rows_equal(&b->layer[0].q, &b->layer[1].q, 0));
    assert_false(rows_equal(&b->layer[0].q, &b->layer[0].k, 0));
    assert_false(rows_equal(&b->layer[0].q, &b->layer[0].attention_norm, 0));
    model_close(a);
    model_close(b);
    assert_int_equal(unlink(one), 0);
    assert_int_equal(unlink(two), 0);
}

/* Mean, deviation and reach of a tensor are what synth.h promises; over n elements the mean may be
 * off by five of its own deviations, the deviation by 2 % of its own. */
static void check_moments(const struct model_tensor *tensor, double mean, double deviation)
{
    float row[1024];
    double sum = 0.0, squares = 0.0, largest = 0.0, fourth = 0.0;
    assert_true(tensor->columns <= BASE_COUNT(row));
    for (uint32_t r = 0; r < tensor->rows; r++) {
        model_row(tensor, r, row);
        for (uint32_t c = 0; c < tensor->columns; c++) {
            double x = ((double)row[c] - mean) / deviation;
            sum += x;
            squares += x * x;
            fourth += x * x * x * x;
            largest = fabs(x) > largest ? fabs(x) : largest;
        }
    }
    double n = (double)tensor->rows * tensor->columns;
    assert_true(fabs(sum / n) < 5.0 / sqrt(n));
    assert_true(fabs(sqrt(squares / n) - 1.0) < (n > 10000 ? 0.02 : 0.2));
    assert_true(largest < 3.5);
    if (n > 10000) { /* a bell: 3 is normal, 1.8 uniform, and four uniforms give 2.7 */
        double kurtosis = fourth / n / (squares / n * squares / n);
        assert_true(largest > 3.0 && kurtosis > 2.6 && kurtosis < 2.8);
    }
}

static void weights_have_realistic_scale(void **state)
{
    char path[128];
    path_in(path, *state, "scale.gguf");
    struct takt_synth_options options = {
        .shape = "stories15m", .layers = 1, .seed = 11, .path = path};
    for (size_t i = 0; i < TAKT_SYNTH_TYPES; i++) {
        options.type = takt_synth_type(i);
        write_model(&options);
        struct model *model = open_model(path);
        const struct model_layer *layer = &model->layer[0];
        check_moments(&model->embedding, 0.0, 0.02);
        check_moments(&layer->q, 0.0, 1.0 / sqrt(288.0));
        check_moments(&layer->v, 0.0, 1.0 / sqrt(288.0));
        check_moments(&layer->up, 0.0, 1.0 / sqrt(288.0));
        check_moments(&layer->down, 0.0, 1.0 / sqrt(768.0));
        check_moments(&layer->ffn_norm, 1.0, 0.05);
        check_moments(&model->output_norm, 1.0, 0.05);
        model_close(model);
    }
    assert_int_equal(unlink(path), 0);
}

/* The types hold one and the same draw, each rounded its own way. */
static void types_agree(void **state)
{
    static const double last_place[TAKT_SYNTH_TYPES] = {0x1p-11, 0.0, 0.0, 0x1p-8};
    float exact[288], row[288];
    char path[128];
    path_in(path, *state, "type.gguf");
    struct takt_synth_options options = {
        .shape = "stories15m", .type = "F32", .layers = 1, .seed = 2, .path = path};
    write_model(&options);
    struct model *model = open_model(path);
    model_row(&model->layer[0].gate, 100, exact);
    model_close(model);
    for (size_t i = 0; i < TAKT_SYNTH_TYPES; i++) {
        options.type = takt_synth_type(i);
        write_model(&options);
        model = open_model(path);
        model_row(&model->layer[0].gate, 100, row);
        for (size_t c = 0; c < BASE_COUNT(row); c++) {
            double error = fabs((double)row[c] - (double)exact[c]);
            double bound = fabs((double)exact[c]) * last_place[i] + 0x1p-25;
            /* Q8_0: half a step of its block, whose largest is below 3.5 deviations. */
            assert_true(error <= (i == 1 ? 3.5 / sqrt(288.0) / 127.0 * 0.51 : bound));
        }
        model_close(model);
    }
    assert_int_equal(unlink(path), 0);
}

/* ---- running --------------------------------------------------------------------------------- */

static void vocabulary_reads_back(void **state)
{
    static const char text[] = "banana Tomato\n\xC3\xA9 kuvi 12!";
    char path[128], *back;
    path_in(path, *state, "words.gguf");
    write_model(&(struct takt_synth_options){
        .shape = "stories15m", .type = "Q8_0", .layers = 1, .path = path});
    struct takt_vocabulary *vocabulary;
    assert_int_equal(takt_vocabulary_open(&vocabulary, path, NULL), TAKT_OK);
    uint32_t *ids;
    size_t count, length;
    assert_int_equal(
        takt_vocabulary_encode(vocabulary, text, strlen(text), true, true, &ids, &count, NULL),
        TAKT_OK);
    assert_int_equal(takt_vocabulary_decode(vocabulary, ids, count, false, &back, &length, NULL),
                     TAKT_OK);
    assert_string_equal(back, text);
    /* "banana" is one word, as is " kuvi". */
    assert_true(count < 16 && ids[0] > 259 + 2 * 100);
    free(ids);
    free(back);
    assert_int_equal(takt_vocabulary_encode(vocabulary, "<|im_start|>a<|im_end|>", 23, true, true,
                                            &ids, &count, NULL),
                     TAKT_OK);
    assert_int_equal(count, 3);
    assert_int_equal(ids[0], 1);
    assert_int_equal(ids[2], 2);
    free(ids);
    takt_vocabulary_close(vocabulary);
    assert_int_equal(unlink(path), 0);
}

static void chip_and_reference_agree(void **state)
{
    char path[128], chip[65], reference[65];
    path_in(path, *state, "run.gguf");
    write_model(&(struct takt_synth_options){.shape = "stories15m", .seed = 1, .path = path});
    struct run_case run = {
        .model = path, .prompt = "Hi", .chat = true, .tokens = 3, .target = TAKT_TARGET_CHIP};
    runs_digest(&run, chip);
    run.target = TAKT_TARGET_REFERENCE;
    runs_digest(&run, reference);
    assert_string_equal(chip, reference);
    assert_int_equal(unlink(path), 0);
}

/* ---- what goes wrong ------------------------------------------------------------------------- */

static void assert_fails(const struct takt_synth_options *options, enum takt_status status,
                         const char *part)
{
    struct takt_error error = {0};
    assert_int_equal(takt_synthesise(options, NULL, NULL, &error), status);
    if (strstr(error.message, part) == NULL || strchr(error.message, '\n') != NULL)
        fail_msg("\"%s\" lacks \"%s\"", error.message, part);
}

static void wrong_requests(void **state)
{
    char path[128], nowhere[128];
    path_in(path, *state, "wrong.gguf");
    path_in(nowhere, *state, "no/folder.gguf");
    struct takt_synth_options options = {.shape = "gpt-2", .layers = 1, .path = path};
    assert_fails(&options, TAKT_USAGE, "unknown shape gpt-2");
    options.shape = "stories15m";
    options.type = "Q4_0";
    assert_fails(&options, TAKT_USAGE, "unknown type Q4_0");
    options.type = "Q8_0";
    options.layers = 1001;
    assert_fails(&options, TAKT_USAGE, "1001 layers");
    options.layers = 1;
    options.path = NULL;
    assert_fails(&options, TAKT_USAGE, "path");
    options.path = nowhere;
    assert_fails(&options, TAKT_IO, nowhere);
    options.path = *state;
    assert_fails(&options, TAKT_IO, "not a regular file");
    options.path = "/dev/null";
    assert_fails(&options, TAKT_IO, "not a regular file");
    assert_int_equal(files_in(*state, false), 0);
}

static bool stop_half_way(void *user, uint64_t done_bytes, uint64_t total_bytes)
{
    uint64_t *calls = user;
    assert_true(done_bytes < total_bytes);
    return ++*calls < 3;
}

static bool count_to_the_end(void *user, uint64_t done_bytes, uint64_t total_bytes)
{
    uint64_t *last = user;
    assert_true(done_bytes > *last && done_bytes <= total_bytes);
    *last = done_bytes == total_bytes ? UINT64_MAX : done_bytes;
    return true;
}

static void an_interrupt_leaves_what_was_there(void **state)
{
    char path[128], before[65], after[65];
    uint64_t calls = 0, last = 0;
    path_in(path, *state, "stop.gguf");
    struct takt_synth_options options = {.shape = "stories15m", .layers = 1, .path = path};
    assert_int_equal(takt_synthesise(&options, count_to_the_end, &last, NULL), TAKT_OK);
    assert_true(last == UINT64_MAX);
    digest_of(path, before);
    options.seed = 1;
    struct takt_error error = {0};
    assert_int_equal(takt_synthesise(&options, stop_half_way, &calls, &error), TAKT_INTERRUPTED);
    assert_int_equal(calls, 3);
    assert_non_null(strstr(error.message, path));
    digest_of(path, after);
    assert_string_equal(before, after);
    assert_int_equal(files_in(*state, false), 1);
    assert_int_equal(unlink(path), 0);
}

/* Runs takt with the words, its standard error in err[1024]; files may have `limit` bytes (0 = any)
 * and `signal_number` (0 = none) comes when a file appears in the folder. The exit code. */
static int run_takt(const char *const *words, const char *folder, rlim_t limit, int signal_number,
                    char err[1024])
{
    char *argv[16] = {(char *)(uintptr_t)TESTS_TAKT};
    for (size_t i = 0; words[i] != NULL; i++)
        argv[i + 1] = (char *)(uintptr_t)words[i];
    FILE *out = tmpfile();
    assert_non_null(out);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit most = {limit, limit};
        dup2(fileno(out), STDOUT_FILENO);
        dup2(fileno(out), STDERR_FILENO);
        if (limit == 0 || setrlimit(RLIMIT_FSIZE, &most) == 0)
            execv(argv[0], argv);
        _exit(127);
    }
    if (signal_number != 0) {
        while (files_in(folder, false) == 0)
            usleep(1000);
        kill(child, signal_number);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    rewind(out);
    err[fread(err, 1, 1023, out)] = '\0';
    fclose(out);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define RUN(...) run_takt((const char *const[]){"synth", __VA_ARGS__, NULL}, *state, 0, 0, err)

static void assert_one_line(const char *err, const char *part)
{
    if (strstr(err, part) == NULL || strchr(err, '\n') != err + strlen(err) - 1)
        fail_msg("\"%s\" is not one line with \"%s\"", err, part);
}

static void command_line(void **state)
{
    char path[128], err[1024];
    path_in(path, *state, "cli.gguf");
    assert_int_equal(RUN("--shape", "smolm2-135m", "-o", path), 2);
    assert_one_line(err, "did you mean smollm2-135m?");
    assert_int_equal(RUN("--shape", "stories15m"), 2);
    assert_one_line(err, "-o FILE");
    assert_int_equal(RUN("-o", path), 2);
    assert_one_line(err, "--shape NAME");
    assert_int_equal(RUN("--shape", "stories15m", "-o", path, "--type", "Q5_K"), 2);
    assert_one_line(err, "Q5_K");
    assert_int_equal(RUN("--shape", "stories15m", "-o", path, "--layers", "0"), 2);
    assert_one_line(err, "--layers 0");
    assert_int_equal(RUN("--shape", "stories15m", "-o", "/nonexistent/x.gguf"), 1);
    assert_one_line(err, "/nonexistent/x.gguf");
    assert_int_equal(files_in(*state, false), 0);
    assert_int_equal(RUN("--shape", "stories15m", "-o", path, "--layers", "1", "--seed=9"), 0);
    assert_string_equal(err, "");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(RUN("--list"), 0);
    assert_non_null(strstr(err, "# shape"));
    assert_non_null(strstr(err, "\nsmollm2-135m "));
}

/* A file limit stands for a full disk: the write fails after some bytes. */
static void a_full_disk_leaves_nothing(void **state)
{
    char path[128], err[1024];
    path_in(path, *state, "full.gguf");
    const char *const words[] = {"synth", "--shape", "stories15m", "-o", path, NULL};
    assert_int_equal(run_takt(words, *state, 10u << 20, 0, err), 1);
    assert_one_line(err, path);
    assert_int_equal(files_in(*state, false), 0);
}

static void ctrl_c_leaves_nothing(void **state)
{
    char path[128], err[1024];
    path_in(path, *state, "long.gguf");
    /* Far more than is written before the signal comes. */
    const char *const words[] = {"synth", "--shape", "llama-2-70b", "-o", path, NULL};
    assert_int_equal(run_takt(words, *state, 0, SIGINT, err), 130);
    assert_one_line(err, "interrupted");
    assert_int_equal(files_in(*state, false), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_folder, teardown_folder)

TEST_GROUP(synth, TEST(parameters_are_the_published_ones), TEST(shapes_open),
           TEST(same_seed_same_bytes), TEST(a_layer_is_the_same_in_any_depth),
           TEST(weights_have_realistic_scale), TEST(types_agree), TEST(vocabulary_reads_back),
           TEST(chip_and_reference_agree), TEST(wrong_requests),
           TEST(an_interrupt_leaves_what_was_there), TEST(command_line),
           TEST(a_full_disk_leaves_nothing), TEST(ctrl_c_leaves_nothing));
