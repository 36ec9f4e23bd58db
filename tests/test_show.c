/* show, measure: what takt says of a model's files, and of how well it runs them. */
#include "tests.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gguf_writer.h"
#include "takt.h"

static const char fable[] = "models/fable/fable-q8_0.gguf";

static json_t *show(const char *path)
{
    const struct takt_show_options options = {.model_path = path};
    struct takt_error error;
    char *text = NULL;
    if (takt_show_model(&options, &text, &error) != TAKT_OK)
        fail_msg("%s", error.message);
    json_t *object = json_loads(text, 0, NULL);
    assert_non_null(object);
    free(text);
    return object;
}

static json_int_t count_of(const json_t *object, const char *key)
{
    assert_true(json_is_integer(json_object_get(object, key)));
    return json_integer_value(json_object_get(object, key));
}

static void test_fable(void **state)
{
    (void)state;
    json_t *object = show(fable);
    const json_t *chip = json_object_get(object, "chip"),
                 *native = json_object_get(object, "native");
    assert_true(json_is_true(json_object_get(json_object_get(object, "runs"), "ok")));
    assert_int_equal(count_of(object, "layers"), 4);
    assert_int_equal(count_of(object, "parameters"), 3771200);
    assert_int_equal(json_array_size(json_object_get(object, "tensors")), 38);
    assert_true(json_is_true(json_object_get(chip, "ok")));
    assert_int_equal(count_of(chip, "context"), 512);
    /* 4 layers of one head of 64: K and V a byte each, and a code each */
    assert_int_equal(count_of(native, "kv_bytes_a_token"), 4 * 2 * 65);
    assert_int_equal(count_of(native, "bytes"),
                     count_of(native, "weight_bytes") + 512 * count_of(native, "kv_bytes_a_token"));
    assert_true(json_is_true(json_object_get(object, "chat_template")));
    json_decref(object);
}

/* An architecture that takt does not run is described, and the reason given. */
static void test_does_not_run(void **state)
{
    (void)state;
    char path[] = "/tmp/takt-show-XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    close(descriptor);
    struct gguf_writer writer = {0};
    struct base_text file = {0};
    float row[4] = {1.0f, 2.0f, 3.0f, 4.0f};
    gguf_writer_string(&writer, "general.architecture", "mamba\x1b[31m");
    gguf_writer_f32(&writer, "odd.number", NAN);
    gguf_writer_tensor(&writer, "a", 0, 2, 2, row, sizeof row);
    gguf_writer_tensor(&writer, "b", 29, 2, 2, row, sizeof row); /* IQ1_M */
    gguf_writer_finish(&writer, &file);
    assert_int_equal(base_file_write(path, file.data, file.length, NULL), TAKT_OK);
    json_t *object = show(path);
    const json_t *runs = json_object_get(object, "runs");
    assert_true(json_is_false(json_object_get(runs, "ok")));
    assert_non_null(strstr(json_string_value(json_object_get(runs, "why")), "mamba"));
    assert_int_equal(json_array_size(json_object_get(object, "tensors")), 2);
    assert_int_equal(count_of(object, "parameters"), 8);
    assert_null(json_object_get(object, "native"));
    json_decref(object);
    unlink(path);
    base_text_free(&file);
    gguf_writer_free(&writer);
    const struct takt_show_options options = {.model_path = "tests/test_show.c"};
    struct takt_error error;
    char *text = NULL;
    assert_int_equal(takt_show_model(&options, &text, &error), TAKT_FORMAT);
    assert_null(text);
}

/* ---- measures -------------------------------------------------------------------------------- */

static struct takt_measure measure(enum takt_target target, const char *text, uint32_t context,
                                   bool profile, bool binary32)
{
    const struct takt_engine_options engine_options = {
        .model_path = fable, .target = target, .context = 64, .threads = 2};
    struct takt_engine *engine;
    struct takt_error error;
    struct takt_measure measured;
    if (takt_engine_open(&engine, &engine_options, &error) != TAKT_OK)
        fail_msg("%s", error.message);
    const struct takt_measure_options options = {.text = text,
                                                 .length = strlen(text),
                                                 .context = context,
                                                 .profile = profile,
                                                 .binary32 = binary32};
    if (takt_measure_text(engine, &options, &measured, &error) != TAKT_OK)
        fail_msg("%s", error.message);
    takt_engine_close(engine);
    return measured;
}

static const char stories[] =
    "Once upon a time, there was a fox who lived in the forest. One day, the fox found a key.\n"
    "<|endoftext|>\n"
    "Long ago, a hungry king lived in the village. He was always looking for something to eat.\n";

/* The same numbers, to the last bit, whatever runs the profile; near binary32, which is itself. */
static void test_measures(void **state)
{
    (void)state;
    const struct takt_measure native = measure(TAKT_TARGET_NATIVE, stories, 24, true, true);
    const struct takt_measure reference = measure(TAKT_TARGET_REFERENCE, stories, 24, true, true);
    const struct takt_measure exact = measure(TAKT_TARGET_NATIVE, stories, 24, false, true);
    assert_true(native.windows >= 2 && native.predicted == native.tokens - native.windows);
    assert_true(native.loss == reference.loss && native.divergence == reference.divergence);
    assert_true(native.divergence_p99 == reference.divergence_p99);
    assert_true(exact.loss_binary32 == native.loss_binary32);
    assert_true(native.loss > 0.1 && native.loss < 3.0);
    assert_true(fabs(native.loss - native.loss_binary32) < 0.02);
    assert_true(native.divergence > 0.0 && native.divergence < 2e-3);
    assert_true(native.divergence <= native.divergence_max);
    assert_true(native.same_top > 0.9);
}

TEST_GROUP(show, cmocka_unit_test(test_fable), cmocka_unit_test(test_does_not_run),
           cmocka_unit_test(test_measures));
