/*
 * Opening a model: hyper-parameters, then every tensor bound by name and shape, then the tokenizer.
 * Whatever the file says that this version would not compute is refused, never ignored.
 */
#include "model/model.h"

#include "model/gguf.h"
#include "model/tensor.h"
#include "model/tokenizer_parts.h"
#include "num/num.h"

#include <stdlib.h>
#include <string.h>

#define DIMENSION_MAX                                                                              \
    (1u << 24) /* of any hyper-parameter: keeps products within 64 bits with ease */
#define TENSORS_PER_LAYER 9u

struct opening {
    struct model *model;
    struct gguf gguf;
    size_t bound; /* tensors of the file that the model uses */
    struct takt_error *error;
};

/* ---- hyper-parameters ------------------------------------------------------------------------ */

static enum takt_status read_u32(struct opening *opening, const char *key, bool required,
                                 uint32_t minimum, uint32_t *value)
{
    return model_gguf_u32(&opening->gguf, key, required, minimum, DIMENSION_MAX, value,
                          opening->error);
}

static enum takt_status check_architecture(struct opening *opening)
{
    struct gguf_string name;
    enum takt_status status =
        model_gguf_string(&opening->gguf, "general.architecture", true, &name, opening->error);
    if (status != TAKT_OK)
        return status;
    if (!model_gguf_string_is(name, "llama"))
        return base_fail(opening->error, TAKT_UNSUPPORTED,
                         "%s: general.architecture is \"%.*s\"; this version runs \"llama\" only",
                         opening->gguf.path, (int)BASE_MIN(name.length, (size_t)64), name.text);
    strcpy(opening->model->architecture, "llama");
    return TAKT_OK;
}

/* Keys that change the computation in ways this version does not have. */
static enum takt_status check_variants(struct opening *opening)
{
    uint32_t experts = 0;
    enum takt_status status = read_u32(opening, "llama.expert_count", false, 0, &experts);
    if (status != TAKT_OK)
        return status;
    if (experts != 0)
        return base_fail(opening->error, TAKT_UNSUPPORTED,
                         "%s: llama.expert_count is %u; this version runs dense models only",
                         opening->gguf.path, experts);
    struct gguf_string scaling = {"none", 4};
    status = model_gguf_string(&opening->gguf, "llama.rope.scaling.type", false, &scaling,
                               opening->error);
    if (status != TAKT_OK)
        return status;
    if (!model_gguf_string_is(scaling, "none"))
        return base_fail(opening->error, TAKT_UNSUPPORTED,
                         "%s: llama.rope.scaling.type is \"%.*s\"; this version runs \"none\" only",
                         opening->gguf.path, (int)BASE_MIN(scaling.length, (size_t)64),
                         scaling.text);
    double scale = 1.0;
    status =
        model_gguf_f64(&opening->gguf, "llama.rope.scale_linear", false, &scale, opening->error);
    if (status == TAKT_OK && scale != 1.0)
        return base_fail(opening->error, TAKT_UNSUPPORTED,
                         "%s: llama.rope.scale_linear is %g; this version runs 1 only",
                         opening->gguf.path, scale);
    return status;
}

static enum takt_status read_sizes(struct opening *opening)
{
    struct model *model = opening->model;
    const struct {
        const char *key;
        uint32_t *value;
    } sizes[] = {
        {"llama.block_count", &model->layers},      {"llama.embedding_length", &model->width},
        {"llama.feed_forward_length", &model->ffn}, {"llama.attention.head_count", &model->heads},
        {"llama.context_length", &model->context},
    };
    for (size_t i = 0; i < BASE_COUNT(sizes); i++) {
        enum takt_status status = read_u32(opening, sizes[i].key, true, 1, sizes[i].value);
        if (status != TAKT_OK)
            return status;
    }
    if (opening->gguf.tensor_count == 0)
        return base_fail(opening->error, TAKT_FORMAT,
                         "%s: the file holds no tensors, only a vocabulary; give a whole model",
                         opening->gguf.path);
    if (model->layers > opening->gguf.tensor_count / TENSORS_PER_LAYER)
        return base_fail(
            opening->error, TAKT_FORMAT,
            "%s: llama.block_count is %u, but %zu tensors are too few for so many layers",
            opening->gguf.path, model->layers, opening->gguf.tensor_count);
    return TAKT_OK;
}

static enum takt_status read_head_dim(struct opening *opening)
{
    struct model *model = opening->model;
    uint32_t key_length = 0, value_length = 0, rotary = 0;
    enum takt_status status =
        read_u32(opening, "llama.attention.key_length", false, 1, &key_length);
    if (status == TAKT_OK)
        status = read_u32(opening, "llama.attention.value_length", false, 1, &value_length);
    if (status == TAKT_OK)
        status = read_u32(opening, "llama.rope.dimension_count", false, 1, &rotary);
    if (status != TAKT_OK)
        return status;
    const char *path = opening->gguf.path;
    if (key_length == 0 && model->width % model->heads != 0)
        return base_fail(
            opening->error, TAKT_FORMAT,
            "%s: llama.embedding_length %u is no multiple of llama.attention.head_count %u", path,
            model->width, model->heads);
    model->head_dim = key_length != 0 ? key_length : model->width / model->heads;
    if (value_length != 0 && value_length != model->head_dim)
        return base_fail(
            opening->error, TAKT_UNSUPPORTED,
            "%s: llama.attention.value_length is %u, the heads' size is %u; this version "
            "runs equal sizes only",
            path, value_length, model->head_dim);
    if (rotary != 0 && rotary != model->head_dim)
        return base_fail(
            opening->error, TAKT_UNSUPPORTED,
            "%s: llama.rope.dimension_count is %u, the heads' size is %u; this version "
            "rotates whole heads only",
            path, rotary, model->head_dim);
    if (model->head_dim % 2 != 0)
        return base_fail(opening->error, TAKT_FORMAT,
                         "%s: heads of %u values; rotary embedding needs an even number", path,
                         model->head_dim);
    return TAKT_OK;
}

static enum takt_status read_hyper_parameters(struct opening *opening)
{
    struct model *model = opening->model;
    enum takt_status status = read_sizes(opening);
    if (status != TAKT_OK)
        return status;
    model->kv_heads = model->heads;
    status = read_u32(opening, "llama.attention.head_count_kv", false, 1, &model->kv_heads);
    if (status != TAKT_OK)
        return status;
    if (model->heads % model->kv_heads != 0)
        return base_fail(opening->error, TAKT_FORMAT,
                         "%s: llama.attention.head_count %u is no multiple of "
                         "llama.attention.head_count_kv %u",
                         opening->gguf.path, model->heads, model->kv_heads);
    status = read_head_dim(opening);
    double epsilon = 0.0, rope_base = 10000.0;
    if (status == TAKT_OK)
        status = model_gguf_f64(&opening->gguf, "llama.attention.layer_norm_rms_epsilon", true,
                                &epsilon, opening->error);
    if (status == TAKT_OK)
        status = model_gguf_f64(&opening->gguf, "llama.rope.freq_base", false, &rope_base,
                                opening->error);
    if (status != TAKT_OK)
        return status;
    if (!(epsilon >= 0x1p-100 && epsilon <= 1.0))
        return base_fail(
            opening->error, TAKT_FORMAT,
            "%s: llama.attention.layer_norm_rms_epsilon is %g, wanted a small number above 0",
            opening->gguf.path, epsilon);
    model->norm_epsilon = (float)epsilon;
    if (!(rope_base >= 1.0 && rope_base <= 1e12))
        return base_fail(opening->error, TAKT_FORMAT,
                         "%s: llama.rope.freq_base is %g, wanted 1 to 1e12", opening->gguf.path,
                         rope_base);
    model->embedding_scale = 1.0f;
    model->score_scale = num_rsqrt((float)model->head_dim);
    model->ropes[0] = (struct model_rope){rope_base, model->head_dim, 1.0, NULL, 1.0};
    model->rope_count = 1;
    return TAKT_OK;
}

/* ---- tensors --------------------------------------------------------------------------------- */

static enum takt_status bind(struct opening *opening, const char *name, uint64_t columns,
                             uint64_t rows, struct model_tensor *tensor)
{
    const struct gguf *gguf = &opening->gguf;
    const struct gguf_tensor *found = model_gguf_find_tensor(gguf, name);
    if (found == NULL)
        return base_fail(opening->error, TAKT_FORMAT,
                         "%s: tensor %s is missing; convert the model again", gguf->path, name);
    const uint64_t *dims = found->dims;
    if (dims[0] != columns || dims[1] != rows || dims[2] != 1 || dims[3] != 1)
        return base_fail(
            opening->error, TAKT_FORMAT,
            "%s: tensor %s has shape [%llu, %llu, %llu, %llu], wanted [%llu, %llu, 1, 1] by "
            "the hyper-parameters; convert the model again",
            gguf->path, name, (unsigned long long)dims[0], (unsigned long long)dims[1],
            (unsigned long long)dims[2], (unsigned long long)dims[3], (unsigned long long)columns,
            (unsigned long long)rows);
    if (columns > UINT32_MAX || rows > UINT32_MAX)
        return base_fail(opening->error, TAKT_LIMIT,
                         "%s: tensor %s: a dimension passes 4294967295; takt cannot run it",
                         gguf->path, name);
    tensor->name = base_arena_text(&opening->model->arena, name, strlen(name));
    bool known = model_tensor_type(found->type, &tensor->type);
    BASE_ASSERT(known);
    tensor->rows = (uint32_t)rows;
    tensor->columns = (uint32_t)columns;
    tensor->data = gguf->data + found->offset;
    opening->bound++;
    return TAKT_OK;
}

static enum takt_status bind_layer(struct opening *opening, uint32_t index)
{
    const struct model *model = opening->model;
    struct model_layer *layer = &model->layer[index];
    uint64_t width = model->width, ffn = model->ffn;
    uint64_t q_width = (uint64_t)model->heads * model->head_dim;
    uint64_t kv_width = (uint64_t)model->kv_heads * model->head_dim;
    const struct {
        const char *name;
        uint64_t columns, rows;
        struct model_tensor *tensor;
    } parts[TENSORS_PER_LAYER] = {
        {"attn_norm", width, 1, &layer->attention_norm}, {"attn_q", width, q_width, &layer->q},
        {"attn_k", width, kv_width, &layer->k},          {"attn_v", width, kv_width, &layer->v},
        {"attn_output", q_width, width, &layer->o},      {"ffn_norm", width, 1, &layer->ffn_norm},
        {"ffn_gate", width, ffn, &layer->gate},          {"ffn_up", width, ffn, &layer->up},
        {"ffn_down", ffn, width, &layer->down},
    };
    for (size_t i = 0; i < BASE_COUNT(parts); i++) {
        char name[64];
        snprintf(name, sizeof(name), "blk.%u.%s.weight", index, parts[i].name);
        enum takt_status status =
            bind(opening, name, parts[i].columns, parts[i].rows, parts[i].tensor);
        if (status != TAKT_OK)
            return status;
    }
    return TAKT_OK;
}

/* Factors on the rotary frequencies: a file may carry a row of ones, which changes nothing. */
static enum takt_status check_rope_factors(struct opening *opening)
{
    const struct gguf_tensor *factors = model_gguf_find_tensor(&opening->gguf, "rope_freqs.weight");
    if (factors == NULL)
        return TAKT_OK;
    struct model_tensor tensor;
    enum takt_status status =
        bind(opening, "rope_freqs.weight", opening->model->head_dim / 2, 1, &tensor);
    if (status != TAKT_OK)
        return status;
    bool ones = tensor.type == MODEL_F32;
    for (uint32_t i = 0; ones && i < tensor.columns; i++)
        ones = model_gguf_read_f32(tensor.data + 4 * (size_t)i) == 1.0f;
    if (!ones)
        return base_fail(
            opening->error, TAKT_UNSUPPORTED,
            "%s: tensor rope_freqs.weight scales the rotary frequencies; this version runs "
            "models without it",
            opening->gguf.path);
    return TAKT_OK;
}

/* Names the first tensor of the file that nothing was bound to. */
static enum takt_status check_all_bound(struct opening *opening)
{
    const struct gguf *gguf = &opening->gguf;
    if (opening->bound == gguf->tensor_count)
        return TAKT_OK;
    for (size_t i = 0; i < gguf->tensor_count; i++) {
        const unsigned char *data = gguf->data + gguf->tensors[i].offset;
        const struct model *model = opening->model;
        bool used = data == model->embedding.data || data == model->output.data ||
                    data == model->output_norm.data;
        for (uint32_t l = 0; !used && l < model->layers; l++) {
            const struct model_layer *layer = &model->layer[l];
            const struct model_tensor *parts[TENSORS_PER_LAYER] = {
                &layer->attention_norm, &layer->q,    &layer->k,  &layer->v,   &layer->o,
                &layer->ffn_norm,       &layer->gate, &layer->up, &layer->down};
            for (size_t p = 0; !used && p < BASE_COUNT(parts); p++)
                used = data == parts[p]->data;
        }
        if (!used && !model_gguf_string_is(gguf->tensors[i].name, "rope_freqs.weight"))
            return base_fail(
                opening->error, TAKT_UNSUPPORTED,
                "%s: tensor %.*s is no part of the llama architecture as this version runs "
                "it; convert the model without it",
                gguf->path, (int)gguf->tensors[i].name.length, gguf->tensors[i].name.text);
    }
    return TAKT_OK;
}

static enum takt_status bind_tensors(struct opening *opening)
{
    struct model *model = opening->model;
    uint64_t vocab = tokenizer_vocab(model->tokenizer);
    enum takt_status status =
        bind(opening, "token_embd.weight", model->width, vocab, &model->embedding);
    if (status == TAKT_OK)
        status = bind(opening, "output_norm.weight", model->width, 1, &model->output_norm);
    if (status != TAKT_OK)
        return status;
    model->tied = model_gguf_find_tensor(&opening->gguf, "output.weight") == NULL;
    if (model->tied)
        model->output = model->embedding;
    else
        status = bind(opening, "output.weight", model->width, vocab, &model->output);
    for (uint32_t i = 0; status == TAKT_OK && i < model->layers; i++)
        status = bind_layer(opening, i);
    if (status == TAKT_OK)
        status = check_rope_factors(opening);
    if (status == TAKT_OK)
        status = check_all_bound(opening);
    return status;
}

/* ---- the rest -------------------------------------------------------------------------------- */

static enum takt_status read_name(struct opening *opening)
{
    struct model *model = opening->model;
    const char *slash = strrchr(opening->gguf.path, '/');
    const char *leaf = slash == NULL ? opening->gguf.path : slash + 1;
    struct gguf_string name = {leaf, strlen(leaf)};
    enum takt_status status =
        model_gguf_string(&opening->gguf, "general.name", false, &name, opening->error);
    if (status != TAKT_OK)
        return status;
    size_t length = BASE_MIN(name.length, sizeof(model->name) - 1);
    length = base_utf8_whole_prefix(name.text, length);
    for (size_t i = 0; i < length; i++) /* it is shown on terminals */
        model->name[i] =
            (unsigned char)name.text[i] < 0x20 || name.text[i] == 0x7F ? ' ' : name.text[i];
    if (!base_utf8_valid(model->name, length))
        return base_fail(opening->error, TAKT_FORMAT, "%s: general.name is not UTF-8 text",
                         opening->gguf.path);
    return TAKT_OK;
}

static enum takt_status read_template(struct opening *opening)
{
    struct gguf_string text = {NULL, 0};
    enum takt_status status =
        model_gguf_string(&opening->gguf, "tokenizer.chat_template", false, &text, opening->error);
    if (status != TAKT_OK || text.text == NULL)
        return status;
    if (memchr(text.text, '\0', text.length) != NULL)
        return base_fail(opening->error, TAKT_FORMAT,
                         "%s: tokenizer.chat_template holds a zero byte; convert the model again",
                         opening->gguf.path);
    opening->model->chat_template = base_arena_text(&opening->model->arena, text.text, text.length);
    return TAKT_OK;
}

static enum takt_status digest(struct model *model, struct takt_error *error)
{
    struct base_digest *sha = base_digest_create();
    if (sha == NULL)
        return base_fail(error, TAKT_MEMORY, "%s: no memory for a digest; free some", model->path);
    base_digest_update(sha, model->file.data, model->file.size_bytes);
    base_digest_hex(sha, model->sha256);
    base_digest_destroy(sha);
    return TAKT_OK;
}

static enum takt_status create_arena(struct opening *opening)
{
    const struct gguf_pair *template = model_gguf_find(&opening->gguf, "tokenizer.chat_template");
    size_t bytes = (size_t)opening->model->layers * sizeof(struct model_layer) + 4096;
    bytes += (opening->gguf.tensor_count + 1) * 128; /* names: 65 bytes, rounded up */
    if (template != NULL && template->type == GGUF_STRING) {
        const unsigned char *cursor = template->data;
        bytes += model_gguf_next_string(&cursor).length;
    }
    return base_arena_create(&opening->model->arena, bytes, opening->error);
}

static enum takt_status read_model(struct opening *opening)
{
    struct model *model = opening->model;
    enum takt_status status = check_architecture(opening);
    if (status == TAKT_OK)
        status = read_hyper_parameters(opening);
    if (status == TAKT_OK)
        status = check_variants(opening);
    if (status == TAKT_OK)
        status = tokenizer_create(&model->tokenizer, &opening->gguf, opening->error);
    if (status == TAKT_OK)
        status = create_arena(opening);
    if (status != TAKT_OK)
        return status;
    model->layer = BASE_NEW(&model->arena, struct model_layer, model->layers);
    model->vocab = tokenizer_vocab(model->tokenizer);
    uint32_t stated = model->vocab;
    status = read_u32(opening, "llama.vocab_size", false, 1, &stated);
    if (status == TAKT_OK && stated != model->vocab)
        return base_fail(
            opening->error, TAKT_FORMAT,
            "%s: llama.vocab_size is %u, but tokenizer.ggml.tokens has %u; convert the model "
            "again",
            opening->gguf.path, stated, model->vocab);
    if (status == TAKT_OK)
        status = bind_tensors(opening);
    if (status == TAKT_OK)
        status = read_name(opening);
    if (status == TAKT_OK)
        status = read_template(opening);
    if (status == TAKT_OK)
        status = digest(model, opening->error);
    return status;
}

enum takt_status model_open(struct model **out, const char *path, struct takt_error *error)
{
    *out = NULL;
    struct model *model = calloc(1, sizeof(*model));
    if (model == NULL)
        return base_fail(error, TAKT_MEMORY, "%s: no memory to open it; free some", path);
    struct opening opening = {.model = model, .error = error};
    enum takt_status status;
    if (strlen(path) >= sizeof(model->path)) {
        status = base_fail(error, TAKT_LIMIT, "%.64s...: path of %zu bytes; takt takes at most %zu",
                           path, strlen(path), sizeof(model->path) - 1);
        goto fail;
    }
    strcpy(model->path, path);
    status = base_file_map(&model->file, path, error);
    if (status != TAKT_OK)
        goto fail;
    status = model_gguf_open(&opening.gguf, model->path, &model->file, error);
    if (status != TAKT_OK)
        goto fail;
    status = read_model(&opening);
    if (status != TAKT_OK)
        goto fail;
    model_gguf_close(&opening.gguf);
    *out = model;
    return TAKT_OK;
fail:
    model_gguf_close(&opening.gguf);
    model_close(model);
    return status;
}

void model_close(struct model *model)
{
    if (model == NULL)
        return;
    tokenizer_close(model->tokenizer);
    base_arena_destroy(&model->arena);
    base_file_unmap(&model->file);
    free(model);
}
