/* Tensors found by name and shape, whatever the kind of file calls them. */
#include "model/opening.h"

#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 160u

/* A tensor of a layer: its names in GGUF files and in folders, of gemma where they differ. */
struct part {
    const char *gguf, *folder, *gemma;
    uint64_t columns, rows;
    struct model_tensor *tensor;
    bool optional;
};

/* ---- one tensor ------------------------------------------------------------------------------ */

static enum takt_status bind_record(struct opening *opening, struct tensor_record *found,
                                    const char *name, uint64_t columns, uint64_t rows,
                                    struct model_tensor *tensor)
{
    const uint64_t *dims = found->dims;
    if (!found->known)
        return base_fail(opening->error, TAKT_UNSUPPORTED,
                         "%s: tensor %s has type %s (%u); takt does not read it: give the model in "
                         "another type, such as Q8_0, Q4_K or F16",
                         opening->path, name, found->type_name, found->number);
    if (dims[0] != columns || dims[1] != rows || dims[2] != 1 || dims[3] != 1)
        return base_fail(
            opening->error, TAKT_FORMAT,
            "%s: tensor %s has shape [%llu, %llu, %llu, %llu], wanted [%llu, %llu, 1, 1] by "
            "the hyper-parameters; convert the model again",
            opening->path, name, (unsigned long long)dims[0], (unsigned long long)dims[1],
            (unsigned long long)dims[2], (unsigned long long)dims[3], (unsigned long long)columns,
            (unsigned long long)rows);
    if (columns > UINT32_MAX || rows > UINT32_MAX)
        return base_fail(opening->error, TAKT_LIMIT,
                         "%s: tensor %s: a dimension passes 4294967295; takt cannot run it",
                         opening->path, name);
    *tensor = (struct model_tensor){
        .name = base_arena_text(&opening->model->arena, name, strlen(name)),
        .type = found->type,
        .rows = (uint32_t)rows,
        .columns = (uint32_t)columns,
        .data = found->data,
    };
    found->used = true;
    return TAKT_OK;
}

static struct tensor_record *find(const struct opening *opening, const char *name)
{
    return tensor_records_find(opening->tensors, opening->tensor_count, name);
}

static enum takt_status bind(struct opening *opening, const char *name, uint64_t columns,
                             uint64_t rows, bool optional, struct model_tensor *tensor)
{
    struct tensor_record *found = find(opening, name);
    if (found == NULL && optional)
        return TAKT_OK;
    if (found == NULL)
        return base_fail(opening->error, TAKT_FORMAT,
                         "%s: tensor %s is missing; convert the model again", opening->path, name);
    return bind_record(opening, found, name, columns, rows, tensor);
}

/* ---- layers ---------------------------------------------------------------------------------- */

/* False when this kind of file has no name for the part. */
static bool part_name(const struct opening *opening, const struct part *part, uint32_t index,
                      char name[NAME_BYTES])
{
    if (!opening->folder) {
        snprintf(name, NAME_BYTES, "blk.%u.%s", index, part->gguf);
        return true;
    }
    const char *own = part->folder;
    if (opening->architecture->gemma && part->gemma != NULL)
        own = part->gemma;
    snprintf(name, NAME_BYTES, "%slayers.%u.%s", opening->prefix, index, own);
    return own[0] != '\0';
}

static enum takt_status bind_parts(struct opening *opening, uint32_t index,
                                   const struct part *parts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char name[NAME_BYTES];
        if (!part_name(opening, &parts[i], index, name))
            continue;
        enum takt_status status = bind(opening, name, parts[i].columns, parts[i].rows,
                                       parts[i].optional, parts[i].tensor);
        if (status != TAKT_OK)
            return status;
    }
    return TAKT_OK;
}

/* Rows first .. first + rows - 1 of a tensor, as one of its own. */
static struct model_tensor slice(struct opening *opening, const struct model_tensor *whole,
                                 const char *what, uint32_t first, uint32_t rows)
{
    struct model_tensor part = *whole;
    char name[NAME_BYTES + 16];
    int length = snprintf(name, sizeof(name), "%s[%s]", whole->name, what);
    part.name = base_arena_text(&opening->model->arena, name, (size_t)length);
    part.rows = rows;
    part.data += (size_t)first * (size_t)model_row_bytes(whole);
    return part;
}

/* phi3: q, k and v stacked in one matrix, gate and up in another. */
static enum takt_status bind_fused(struct opening *opening, uint32_t index)
{
    const struct model *model = opening->model;
    struct model_layer *layer = &model->layer[index];
    uint32_t q = model->heads * model->head_dim, kv = model->kv_heads * model->head_dim;
    struct model_tensor qkv, gate_up;
    const struct part parts[] = {
        {"attn_qkv.weight", "self_attn.qkv_proj.weight", NULL, model->width, q + 2 * (uint64_t)kv,
         &qkv, false},
        {"ffn_up.weight", "mlp.gate_up_proj.weight", NULL, model->width, 2 * (uint64_t)model->ffn,
         &gate_up, false},
    };
    enum takt_status status = bind_parts(opening, index, parts, BASE_COUNT(parts));
    if (status != TAKT_OK)
        return status;
    layer->q = slice(opening, &qkv, "q", 0, q);
    layer->k = slice(opening, &qkv, "k", q, kv);
    layer->v = slice(opening, &qkv, "v", q + kv, kv);
    layer->gate = slice(opening, &gate_up, "gate", 0, model->ffn);
    layer->up = slice(opening, &gate_up, "up", model->ffn, model->ffn);
    return TAKT_OK;
}

static enum takt_status bind_apart(struct opening *opening, uint32_t index)
{
    const struct model *model = opening->model;
    struct model_layer *l = &model->layer[index];
    uint64_t width = model->width, ffn = model->ffn;
    uint64_t q = (uint64_t)model->heads * model->head_dim;
    uint64_t kv = (uint64_t)model->kv_heads * model->head_dim;
    const struct part parts[] = {
        {"attn_q.weight", "self_attn.q_proj.weight", NULL, width, q, &l->q, false},
        {"attn_k.weight", "self_attn.k_proj.weight", NULL, width, kv, &l->k, false},
        {"attn_v.weight", "self_attn.v_proj.weight", NULL, width, kv, &l->v, false},
        {"attn_q.bias", "self_attn.q_proj.bias", NULL, q, 1, &l->q_bias, true},
        {"attn_k.bias", "self_attn.k_proj.bias", NULL, kv, 1, &l->k_bias, true},
        {"attn_v.bias", "self_attn.v_proj.bias", NULL, kv, 1, &l->v_bias, true},
        {"ffn_gate.weight", "mlp.gate_proj.weight", NULL, width, ffn, &l->gate, false},
        {"ffn_up.weight", "mlp.up_proj.weight", NULL, width, ffn, &l->up, false},
    };
    return bind_parts(opening, index, parts, BASE_COUNT(parts));
}

static enum takt_status bind_layer(struct opening *opening, uint32_t index)
{
    const struct model *model = opening->model;
    const struct architecture *architecture = opening->architecture;
    struct model_layer *l = &model->layer[index];
    uint64_t width = model->width, q = (uint64_t)model->heads * model->head_dim;
    const struct part parts[] = {
        {"attn_norm.weight", "input_layernorm.weight", NULL, width, 1, &l->attention_norm, false},
        {"attn_output.weight", "self_attn.o_proj.weight", NULL, q, width, &l->o, false},
        {"attn_output.bias", "self_attn.o_proj.bias", NULL, width, 1, &l->o_bias, true},
        {"ffn_norm.weight", "post_attention_layernorm.weight", "pre_feedforward_layernorm.weight",
         width, 1, &l->ffn_norm, false},
        {"ffn_down.weight", "mlp.down_proj.weight", NULL, model->ffn, width, &l->down, false},
    };
    const struct part gemma[] = {
        {"post_attention_norm.weight", "", "post_attention_layernorm.weight", width, 1,
         &l->attention_post_norm, false},
        {"post_ffw_norm.weight", "", "post_feedforward_layernorm.weight", width, 1,
         &l->ffn_post_norm, false},
    };
    const struct part head_norms[] = {
        {"attn_q_norm.weight", "self_attn.q_norm.weight", NULL, model->head_dim, 1, &l->q_norm,
         false},
        {"attn_k_norm.weight", "self_attn.k_norm.weight", NULL, model->head_dim, 1, &l->k_norm,
         false},
    };
    enum takt_status status = bind_parts(opening, index, parts, BASE_COUNT(parts));
    if (status == TAKT_OK)
        status = architecture->fused ? bind_fused(opening, index) : bind_apart(opening, index);
    if (status == TAKT_OK && architecture->gemma)
        status = bind_parts(opening, index, gemma, BASE_COUNT(gemma));
    if (status == TAKT_OK && architecture->head_norms)
        status = bind_parts(opening, index, head_norms, BASE_COUNT(head_norms));
    return status;
}

/* ---- rotary factors of GGUF files ------------------------------------------------------------ */

/* A row of positive numbers, one a pair; *out stays NULL when the file has none of that name. */
static enum takt_status bind_factors(struct opening *opening, const char *name, float **out)
{
    struct model *model = opening->model;
    struct model_tensor tensor = {0};
    uint32_t pairs = model->ropes[0].rotary / 2;
    enum takt_status status = bind(opening, name, pairs, 1, true, &tensor);
    if (status != TAKT_OK || tensor.data == NULL)
        return status;
    float *factors = BASE_NEW(&model->arena, float, pairs);
    model_row(&tensor, 0, factors);
    for (uint32_t i = 0; i < pairs; i++)
        if (!(factors[i] >= 1e-6f && factors[i] <= 1e6f))
            return base_fail(opening->error, TAKT_FORMAT,
                             "%s: tensor %s, column %u is %g, wanted a factor above 0; convert the "
                             "model again",
                             opening->path, name, i, (double)factors[i]);
    *out = factors;
    return TAKT_OK;
}

static enum takt_status bind_all_factors(struct opening *opening)
{
    float *lengthened = NULL;
    enum takt_status status = TAKT_OK;
    if (!opening->folder) {
        status = bind_factors(opening, "rope_freqs.weight", &lengthened);
        if (status == TAKT_OK)
            status = bind_factors(opening, "rope_factors_short.weight", &opening->factors);
        if (status == TAKT_OK)
            status = bind_factors(opening, "rope_factors_long.weight", &opening->factors_long);
        if (status != TAKT_OK)
            return status;
    }
    struct model *model = opening->model;
    model->ropes[0].factors = opening->factors != NULL ? opening->factors : lengthened;
    model->factors_long = opening->factors_long;
    if (model->factors_long == NULL || model->context_short >= model->context)
        model->context_short = 0;
    if (model->factors_long != NULL && opening->factors == NULL)
        return base_fail(opening->error, TAKT_FORMAT,
                         "%s: rotary factors for long contexts but none for short ones; convert "
                         "the model again",
                         opening->path);
    return TAKT_OK;
}

/* ---- all ------------------------------------------------------------------------------------- */

static bool begins(struct gguf_string name, const char *prefix)
{
    return name.length >= strlen(prefix) && memcmp(name.text, prefix, strlen(prefix)) == 0;
}

static bool ends(struct gguf_string name, const char *suffix)
{
    size_t length = strlen(suffix);
    return name.length >= length && memcmp(name.text + name.length - length, suffix, length) == 0;
}

/* Tensors that a text model does without: tables that are computed, and what looks at pictures. */
static bool ignored(const struct opening *opening, struct gguf_string name)
{
    return opening->folder &&
           (ends(name, ".rotary_emb.inv_freq") || begins(name, "vision_tower.") ||
            begins(name, "multi_modal_projector.") || begins(name, "model.vision_tower.") ||
            begins(name, "model.multi_modal_projector."));
}

/* Names the first tensor of the file that nothing was bound to. */
static enum takt_status check_all_bound(const struct opening *opening)
{
    for (size_t i = 0; i < opening->tensor_count; i++) {
        const struct tensor_record *record = &opening->tensors[i];
        if (!record->used && !ignored(opening, record->name))
            return base_fail(opening->error, TAKT_UNSUPPORTED,
                             "%s: tensor %.*s is no part of the %s architecture as takt runs it; "
                             "convert the model without it",
                             opening->path, (int)BASE_MIN(record->name.length, (size_t)80),
                             record->name.text, opening->architecture->name);
    }
    return TAKT_OK;
}

/* The output matrix may stand in a folder that ties it to the embedding all the same. */
static enum takt_status bind_output(struct opening *opening, uint64_t vocab)
{
    struct model *model = opening->model;
    const char *name = "output.weight";
    if (opening->folder)
        name = find(opening, "language_model.lm_head.weight") != NULL
                   ? "language_model.lm_head.weight"
                   : "lm_head.weight";
    struct tensor_record *found = find(opening, name);
    model->tied = found == NULL || (opening->folder && model->tied);
    if (!model->tied)
        return bind(opening, name, model->width, vocab, false, &model->output);
    model->output = model->embedding;
    if (found != NULL)
        found->used = true;
    return TAKT_OK;
}

enum takt_status model_bind_tensors(struct opening *opening)
{
    struct model *model = opening->model;
    char embedding[NAME_BYTES] = "token_embd.weight", norm[NAME_BYTES] = "output_norm.weight";
    if (opening->folder) {
        snprintf(embedding, sizeof(embedding), "%sembed_tokens.weight", opening->prefix);
        snprintf(norm, sizeof(norm), "%snorm.weight", opening->prefix);
    }
    enum takt_status status =
        bind(opening, embedding, model->width, model->vocab, false, &model->embedding);
    if (status == TAKT_OK)
        status = bind(opening, norm, model->width, 1, false, &model->output_norm);
    if (status == TAKT_OK)
        status = bind_output(opening, model->vocab);
    for (uint32_t i = 0; status == TAKT_OK && i < model->layers; i++)
        status = bind_layer(opening, i);
    if (status == TAKT_OK)
        status = bind_all_factors(opening);
    if (status == TAKT_OK)
        status = check_all_bound(opening);
    return status;
}
