/* Architectures, and what follows from hyper-parameters however a file writes them. */
#include "model/opening.h"
#include "num/num.h"

#include <math.h>
#include <string.h>

#define LAYER_TENSORS_MIN 6u /* of phi3; the others have more */

static const struct architecture architectures[] = {
    {.name = "llama", .model_types = {"llama", "mistral"}, .neighbours = true},
    {.name = "qwen2", .model_types = {"qwen2"}},
    {.name = "qwen3", .model_types = {"qwen3"}, .head_norms = true},
    {.name = "phi3", .model_types = {"phi3"}, .fused = true},
    {.name = "gemma2", .model_types = {"gemma2"}, .gemma = true, .pattern = 2},
    {.name = "gemma3",
     .model_types = {"gemma3_text", "gemma3"},
     .head_norms = true,
     .gemma = true,
     .pattern = 6,
     .local_base = 10000.0},
};

const struct architecture *model_architecture(const char *name, size_t length)
{
    for (size_t i = 0; i < BASE_COUNT(architectures); i++)
        if (strlen(architectures[i].name) == length &&
            memcmp(architectures[i].name, name, length) == 0)
            return &architectures[i];
    return NULL;
}

const struct architecture *model_architecture_of_type(const char *model_type)
{
    for (size_t i = 0; i < BASE_COUNT(architectures); i++)
        for (size_t j = 0; j < BASE_COUNT(architectures[i].model_types); j++)
            if (architectures[i].model_types[j] != NULL &&
                strcmp(architectures[i].model_types[j], model_type) == 0)
                return &architectures[i];
    return NULL;
}

const char *model_architecture_names(void)
{
    return "llama, qwen2, qwen3, phi3, gemma2 and gemma3";
}

enum takt_status model_make_layers(struct opening *opening, size_t more_bytes)
{
    struct model *model = opening->model;
    if (model->layers > opening->tensor_count / LAYER_TENSORS_MIN)
        return base_fail(opening->error, TAKT_FORMAT,
                         "%s: %u layers, but %zu tensors are too few for so many", opening->path,
                         model->layers, opening->tensor_count);
    size_t bytes = (size_t)model->layers * sizeof(struct model_layer) + 4096 + more_bytes;
    bytes += (opening->tensor_count + 1) * 192; /* names, and those of parts of fused tensors */
    bytes += 2 * (size_t)model->head_dim * sizeof(float) + 128; /* rotary factors */
    enum takt_status status = base_arena_create(&model->arena, bytes, opening->error);
    if (status == TAKT_OK)
        model->layer = BASE_NEW(&model->arena, struct model_layer, model->layers);
    return status;
}

static enum takt_status check_sizes(const struct opening *opening, uint32_t rotary)
{
    const struct model *model = opening->model;
    if (model->heads % model->kv_heads != 0)
        return base_fail(opening->error, TAKT_FORMAT,
                         "%s: %u query heads are no multiple of %u key and value heads",
                         opening->path, model->heads, model->kv_heads);
    if (model->head_dim % 2 != 0)
        return base_fail(opening->error, TAKT_FORMAT,
                         "%s: heads of %u values; rotary embedding needs an even number",
                         opening->path, model->head_dim);
    if (rotary == 0 || rotary % 2 != 0 || rotary > model->head_dim)
        return base_fail(opening->error, TAKT_FORMAT,
                         "%s: %u values of a head are rotated, wanted an even number up to %u",
                         opening->path, rotary, model->head_dim);
    return TAKT_OK;
}

/* Which layers have the window, and which table of angles they use. */
static void set_windows(struct opening *opening, uint32_t window)
{
    struct model *model = opening->model;
    const struct architecture *architecture = opening->architecture;
    for (uint32_t i = 0; i < model->layers; i++) {
        uint32_t pattern = architecture->pattern;
        bool local = window != 0 && (pattern == 0 || i % pattern < pattern - 1);
        model->layer[i].window = local ? window : 0;
        model->layer[i].rope = local && model->rope_count > 1 ? 1 : 0;
    }
}

enum takt_status model_finish_parameters(struct opening *opening, double epsilon, double base,
                                         uint32_t rotary, uint32_t window, double query_scalar)
{
    struct model *model = opening->model;
    const struct architecture *architecture = opening->architecture;
    enum takt_status status = check_sizes(opening, rotary);
    if (status != TAKT_OK)
        return status;
    if (!(epsilon >= 0x1p-100 && epsilon <= 1.0))
        return base_fail(opening->error, TAKT_FORMAT,
                         "%s: the norms' epsilon is %g, wanted a small number above 0",
                         opening->path, epsilon);
    if (!(base >= 1.0 && base <= 1e12))
        return base_fail(opening->error, TAKT_FORMAT, "%s: the rotary base is %g, wanted 1 to 1e12",
                         opening->path, base);
    if (!(query_scalar >= 0x1p-20 && query_scalar <= 0x1p40))
        return base_fail(opening->error, TAKT_FORMAT,
                         "%s: scores are scaled by 1 / sqrt(%g), wanted a number above 0",
                         opening->path, query_scalar);
    model->norm_epsilon = (float)epsilon;
    model->score_scale = num_rsqrt((float)query_scalar);
    model->embedding_scale = architecture->gemma ? sqrtf((float)model->width) : 1.0f;
    model->gelu = architecture->gemma;
    model->gain_offset = architecture->gemma && opening->folder ? 1.0f : 0.0f;
    model->rope_halves = opening->folder || !architecture->neighbours;
    model->ropes[0].base = base;
    model->ropes[0].rotary = rotary;
    if (!(model->ropes[0].scale > 0.0))
        model->ropes[0].scale = 1.0;
    if (!(model->ropes[0].magnitude > 0.0))
        model->ropes[0].magnitude = 1.0;
    model->rope_count = 1;
    if (architecture->local_base > 0.0 && window != 0) {
        if (!(model->ropes[1].base >= 1.0))
            model->ropes[1].base = architecture->local_base;
        model->ropes[1].rotary = rotary;
        model->ropes[1].scale = model->ropes[1].magnitude = 1.0;
        model->rope_count = 2;
    }
    set_windows(opening, window);
    strcpy(model->architecture, architecture->name);
    return TAKT_OK;
}
