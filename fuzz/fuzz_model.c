/* Any bytes as a GGUF file: refused with a message, or a model whose every row can be read. */
#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "graph/graph.h"
#include "model/describe.h"
#include "model/model.h"

static void read_rows(const struct model_tensor *tensor)
{
    float *row = malloc(((size_t)tensor->columns + 1) * sizeof *row);
    if (row && tensor->rows > 0) {
        model_row(tensor, 0, row);
        model_row(tensor, tensor->rows - 1, row);
    }
    free(row);
}

static void use_tokenizer(const struct tokenizer *tokenizer)
{
    static const char text[] = "A fox <|im_end|> \xFF\xC3\xA9 12345\n\n";
    uint32_t *ids = NULL;
    size_t count = 0;
    struct base_text out = {0};
    if (tokenizer_encode(tokenizer, text, sizeof text - 1, true, true, &ids, &count, NULL) ==
        TAKT_OK) {
        for (size_t i = 0; i < count; i++) {
            tokenizer_decode(tokenizer, ids[i], i == 0, true, &out);
        }
        free(ids);
    }
    base_text_free(&out);
}

/* Quantised too, where that is little work. */
static void build_graph(const struct model *model)
{
    struct base_arena arena = {0};
    struct graph graph;
    const size_t bytes = graph_arena_bytes(model);
    if (bytes < ((size_t)4 << 20) && base_arena_create(&arena, bytes, NULL) == TAKT_OK) {
        graph_build(model, &arena, &graph, NULL);
    }
    base_arena_destroy(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    struct takt_error error;
    struct model *model;
    struct tokenizer *tokenizer;
    const int file = memfd_create("fuzz", 0);
    if (file < 0 || (size > 0 && write(file, data, size) != (ssize_t)size)) {
        abort();
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    if (model_open(&model, path, &error) == TAKT_OK) {
        read_rows(&model->embedding);
        read_rows(&model->output);
        for (uint32_t i = 0; i < model->layers; i++) {
            read_rows(&model->layer[i].q);
            read_rows(&model->layer[i].down);
        }
        use_tokenizer(model->tokenizer);
        build_graph(model);
        model_close(model);
    }
    json_t *json = NULL;
    if (model_describe(path, &json, &error) == TAKT_OK) {
        json_decref(json);
    }
    if (tokenizer_open_file(&tokenizer, path, &error) == TAKT_OK) {
        use_tokenizer(tokenizer);
        tokenizer_close(tokenizer);
    }
    close(file);
    return 0;
}
