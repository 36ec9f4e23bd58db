/* See folder_writer.h. Little-endian hosts only. */
#include "folder_writer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILES_MAX = 4 };

/* One file in the making. */
struct part {
    struct base_text header, data;
};

struct writer {
    const char *folder, *prefix;
    const struct model *model;
    struct part parts[FILES_MAX];
    struct base_text map; /* of the index */
    uint32_t files, tensors;
    bool fine;
};

static void file_name(char out[64], uint32_t index, uint32_t files)
{
    if (files == 1)
        strcpy(out, "model.safetensors");
    else
        snprintf(out, 64, "model-%05u-of-%05u.safetensors", index + 1, files);
}

static void write_file(struct writer *w, const char *name, const void *data, size_t bytes)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", w->folder, name);
    w->fine = w->fine && base_file_write(path, data, bytes, NULL) == TAKT_OK;
}

/* Tensors go round the files. The header's entry comes first, then the values. */
static struct part *begin(struct writer *w, const char *name, uint32_t rows, uint32_t columns)
{
    uint32_t index = w->tensors++ % w->files;
    struct part *part = &w->parts[index];
    size_t bytes = (size_t)BASE_MAX(rows, 1u) * columns * sizeof(float), start = part->data.length;
    char file[64];
    file_name(file, index, w->files);
    base_text_format(&part->header, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[",
                     part->header.length > 0 ? "," : "", name);
    if (rows > 0)
        base_text_format(&part->header, "%u,", rows);
    base_text_format(&part->header, "%u],\"data_offsets\":[%zu,%zu]}", columns, start,
                     start + bytes);
    base_text_format(&w->map, "%s\"%s\":\"%s\"", w->map.length > 0 ? "," : "", name, file);
    return part;
}

static void put_row(struct part *part, const struct model_tensor *tensor, uint32_t row)
{
    float *values = malloc(tensor->columns * sizeof *values);
    BASE_ASSERT(values != NULL);
    model_row(tensor, row, values);
    base_text_append(&part->data, (const char *)values, tensor->columns * sizeof *values);
    free(values);
}

/* Where the row that the folder has at n stands in this model. */
static uint32_t row_of(const struct model *model, bool rotated, uint32_t n)
{
    uint32_t rotary = model->ropes[0].rotary, d = n % model->head_dim;
    if (!rotated || model->rope_halves || d >= rotary)
        return n;
    return n - d + (d < rotary / 2 ? 2 * d : 2 * (d - rotary / 2) + 1);
}

static void put_matrices(struct writer *w, const char *name, bool rotated, uint32_t count,
                         const struct model_tensor *const *tensors)
{
    uint32_t rows = 0;
    for (uint32_t i = 0; i < count; i++)
        rows += tensors[i]->rows;
    struct part *part = begin(w, name, rows, tensors[0]->columns);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t r = 0; r < tensors[i]->rows; r++)
            put_row(part, tensors[i], row_of(w->model, rotated, r));
}

static void put_vector(struct writer *w, const char *name, const struct model_tensor *tensor,
                       bool norm)
{
    if (tensor->data == NULL)
        return;
    struct part *part = begin(w, name, 0, tensor->columns);
    float *values = malloc(tensor->columns * sizeof *values);
    BASE_ASSERT(values != NULL);
    model_row(tensor, 0, values);
    for (uint32_t i = 0; norm && w->model->gelu && i < tensor->columns; i++)
        values[i] -= 1.0f; /* exact: gains lie between 0.5 and 1.5 */
    base_text_append(&part->data, (const char *)values, tensor->columns * sizeof *values);
    free(values);
}

static void put_layer(struct writer *w, uint32_t index)
{
    const struct model_layer *l = &w->model->layer[index];
    const bool fused = strcmp(w->model->architecture, "phi3") == 0, gemma = w->model->gelu;
    char name[128];
#define NAME(text) (snprintf(name, sizeof name, "%slayers.%u.%s", w->prefix, index, text), name)
#define MATRIX(text, rotated, ...)                                                                 \
    do {                                                                                           \
        const struct model_tensor *list[] = {__VA_ARGS__};                                         \
        put_matrices(w, NAME(text), rotated, BASE_COUNT(list), list);                              \
    } while (0)
    if (fused) {
        MATRIX("self_attn.qkv_proj.weight", false, &l->q, &l->k, &l->v);
        MATRIX("mlp.gate_up_proj.weight", false, &l->gate, &l->up);
    } else {
        MATRIX("self_attn.q_proj.weight", true, &l->q);
        MATRIX("self_attn.k_proj.weight", true, &l->k);
        MATRIX("self_attn.v_proj.weight", false, &l->v);
        MATRIX("mlp.gate_proj.weight", false, &l->gate);
        MATRIX("mlp.up_proj.weight", false, &l->up);
    }
    MATRIX("self_attn.o_proj.weight", false, &l->o);
    MATRIX("mlp.down_proj.weight", false, &l->down);
    put_vector(w, NAME("self_attn.q_proj.bias"), &l->q_bias, false);
    put_vector(w, NAME("self_attn.k_proj.bias"), &l->k_bias, false);
    put_vector(w, NAME("self_attn.v_proj.bias"), &l->v_bias, false);
    put_vector(w, NAME("self_attn.q_norm.weight"), &l->q_norm, true);
    put_vector(w, NAME("self_attn.k_norm.weight"), &l->k_norm, true);
    put_vector(w, NAME("input_layernorm.weight"), &l->attention_norm, true);
    put_vector(w,
               NAME(gemma ? "pre_feedforward_layernorm.weight" : "post_attention_layernorm.weight"),
               &l->ffn_norm, true);
    put_vector(w, NAME("post_attention_layernorm.weight"), &l->attention_post_norm, true);
    put_vector(w, NAME("post_feedforward_layernorm.weight"), &l->ffn_post_norm, true);
#undef MATRIX
#undef NAME
}

static void put_config(struct writer *w, const char *more)
{
    const struct model *m = w->model;
    struct base_text text = {0};
    uint32_t window = 0;
    for (uint32_t i = 0; i < m->layers; i++)
        window = BASE_MAX(window, m->layer[i].window);
    base_text_format(&text, "{\"model_type\":\"%s\",\"num_hidden_layers\":%u,\"hidden_size\":%u,",
                     strcmp(m->architecture, "gemma3") == 0 ? "gemma3_text" : m->architecture,
                     m->layers, m->width);
    base_text_format(&text, "\"num_attention_heads\":%u,\"num_key_value_heads\":%u,", m->heads,
                     m->kv_heads);
    base_text_format(&text, "\"head_dim\":%u,\"intermediate_size\":%u,\"vocab_size\":%u,",
                     m->head_dim, m->ffn, m->vocab);
    base_text_format(&text, "\"max_position_embeddings\":%u,\"rms_norm_eps\":%.17g,", m->context,
                     (double)m->norm_epsilon);
    base_text_format(&text, "\"rope_theta\":%.17g,\"tie_word_embeddings\":%s,", m->ropes[0].base,
                     m->tied ? "true" : "false");
    if (window != 0)
        base_text_format(&text, "\"sliding_window\":%u,", window);
    if (m->gelu)
        base_text_format(&text, "\"query_pre_attn_scalar\":%u,", m->head_dim);
    base_text_format(&text, "\"torch_dtype\":\"float32\"%s}", more);
    write_file(w, "config.json", text.data, text.length);
    base_text_free(&text);
}

static void finish_part(struct writer *w, uint32_t index)
{
    struct part *part = &w->parts[index];
    struct base_text file = {0};
    char name[64];
    file_name(name, index, w->files);
    uint64_t length = part->header.length + 2;
    base_text_append(&file, (const char *)&length, 8);
    base_text_format(&file, "{");
    base_text_append(&file, part->header.data, part->header.length);
    base_text_format(&file, "}");
    base_text_append(&file, part->data.data, part->data.length);
    write_file(w, name, file.data, file.length);
    base_text_free(&file);
    base_text_free(&part->header);
    base_text_free(&part->data);
}

bool folder_write(const char *folder, const struct model *model, uint32_t files, const char *more)
{
    return folder_write_as(folder, "model.", model, files, more);
}

bool folder_write_as(const char *folder, const char *prefix, const struct model *model,
                     uint32_t files, const char *more)
{
    BASE_ASSERT(files >= 1 && files <= FILES_MAX);
    struct writer w = {
        .folder = folder, .prefix = prefix, .model = model, .files = files, .fine = true};
    char name[128];
#define NAMED(text) (snprintf(name, sizeof name, "%s%s", prefix, text), name)
    const struct model_tensor *embedding = &model->embedding, *output = &model->output;
    put_matrices(&w, NAMED("embed_tokens.weight"), false, 1, &embedding);
    for (uint32_t i = 0; i < model->layers; i++)
        put_layer(&w, i);
    put_vector(&w, NAMED("norm.weight"), &model->output_norm, true);
    if (!model->tied)
        put_matrices(&w, "lm_head.weight", false, 1, &output);
#undef NAMED
    for (uint32_t i = 0; i < files; i++)
        finish_part(&w, i);
    if (files > 1) {
        struct base_text index = {0};
        base_text_format(&index, "{\"metadata\":{},\"weight_map\":{%s}}", w.map.data);
        write_file(&w, "model.safetensors.index.json", index.data, index.length);
        base_text_free(&index);
    }
    base_text_free(&w.map);
    put_config(&w, more);
    return w.fine;
}

void folder_remove(const char *folder)
{
    char path[512], name[64];
    static const char *const names[] = {"config.json", "model.safetensors",
                                        "model.safetensors.index.json", "tokenizer.json",
                                        "tokenizer_config.json"};
    for (size_t i = 0; i < BASE_COUNT(names); i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    for (uint32_t files = 2; files <= FILES_MAX; files++)
        for (uint32_t i = 0; i < files; i++) {
            file_name(name, i, files);
            snprintf(path, sizeof path, "%s/%s", folder, name);
            unlink(path);
        }
    rmdir(folder);
}
