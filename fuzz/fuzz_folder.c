/*
 * Any bytes as a Hugging Face folder: two bytes of length, so much of config.json, the rest
 * model.safetensors. Refused with a message, or a model whose every matrix can be read.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/describe.h"
#include "model/opening.h"

static char folder[] = "/tmp/takt-fuzz-folder-XXXXXX";

static void remove_folder(void)
{
    char path[128];
    static const char *const names[] = {"config.json", "model.safetensors"};
    for (size_t i = 0; i < BASE_COUNT(names); i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

static void write_part(const char *name, const uint8_t *data, size_t size)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file < 0 || (size > 0 && write(file, data, size) != (ssize_t)size)) {
        abort();
    }
    close(file);
}

static void read_rows(const struct model_tensor *tensor)
{
    float *row = malloc(((size_t)tensor->columns + 1) * sizeof *row);
    if (row && tensor->data && tensor->rows > 0) {
        model_row(tensor, 0, row);
        model_row(tensor, tensor->rows - 1, row);
    }
    free(row);
}

/* As model_open does, but for the tokenizer, which has a fuzzer of its own. */
static void open_folder(struct model *model)
{
    struct takt_error error;
    struct opening opening = {.model = model, .path = folder, .error = &error};
    enum takt_status status = model_open_container(&opening);
    if (status == TAKT_OK) {
        status = model_read_folder(&opening);
    }
    if (status == TAKT_OK) {
        status = model_bind_tensors(&opening);
    }
    model_close_container(&opening);
    for (uint32_t i = 0; status == TAKT_OK && i < model->layers; i++) {
        read_rows(&model->layer[i].q);
        read_rows(&model->layer[i].v);
        read_rows(&model->layer[i].down);
    }
    if (status == TAKT_OK) {
        read_rows(&model->embedding);
        read_rows(&model->output);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool made;
    if (!made) {
        made = mkdtemp(folder) != NULL;
        if (!made || atexit(remove_folder) != 0) {
            abort();
        }
    }
    if (size < 2) {
        return 0;
    }
    const size_t length = BASE_MIN((size_t)(data[0] | data[1] << 8), size - 2);
    write_part("config.json", data + 2, length);
    write_part("model.safetensors", data + 2 + length, size - 2 - length);
    struct model *model = calloc(1, sizeof *model);
    json_t *json = NULL;
    if (!model) {
        abort();
    }
    open_folder(model);
    model_close(model);
    if (model_describe(folder, &json, NULL) == TAKT_OK) {
        json_decref(json);
    }
    return 0;
}
