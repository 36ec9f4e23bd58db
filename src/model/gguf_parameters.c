/*
 * Hyper-parameters of a GGUF file. Whatever the file says that takt would not compute is refused,
 * never ignored.
 */
#include "model/opening.h"

#include <string.h>

#define KEY_BYTES 96u

/* "llama." before "block_count". */
static const char *key(const struct opening *opening, char buffer[KEY_BYTES], const char *suffix)
{
    snprintf(buffer, KEY_BYTES, "%s.%s", opening->architecture->name, suffix);
    return buffer;
}

static enum takt_status read_u32(struct opening *opening, const char *suffix, bool required,
                                 uint32_t minimum, uint32_t *value)
{
    char name[KEY_BYTES];
    return model_gguf_u32(&opening->gguf, key(opening, name, suffix), required, minimum,
                          MODEL_DIMENSION_MAX, value, opening->error);
}

static enum takt_status read_f64(struct opening *opening, const char *suffix, bool required,
                                 double *value)
{
    char name[KEY_BYTES];
    return model_gguf_f64(&opening->gguf, key(opening, name, suffix), required, value,
                          opening->error);
}

static enum takt_status read_architecture(struct opening *opening)
{
    struct gguf_string name;
    enum takt_status status =
        model_gguf_string(&opening->gguf, "general.architecture", true, &name, opening->error);
    if (status != TAKT_OK)
        return status;
    opening->architecture = model_architecture(name.text, name.length);
    if (opening->architecture == NULL)
        return base_fail(opening->error, TAKT_UNSUPPORTED,
                         "%s: general.architecture is \"%.*s\"; takt runs %s", opening->path,
                         (int)BASE_MIN(name.length, (size_t)64), name.text,
                         model_architecture_names());
    return TAKT_OK;
}

/* Keys that change the computation in ways takt does not have. */
static enum takt_status check_variants(struct opening *opening)
{
    uint32_t experts = 0;
    enum takt_status status = read_u32(opening, "expert_count", false, 0, &experts);
    if (status != TAKT_OK)
        return status;
    if (experts != 0)
        return base_fail(opening->error, TAKT_UNSUPPORTED,
                         "%s: %s.expert_count is %u; takt runs dense models only", opening->path,
                         opening->architecture->name, experts);
    bool parallel = false;
    char name[KEY_BYTES];
    status = model_gguf_bool(&opening->gguf, key(opening, name, "use_parallel_residual"), &parallel,
                             opening->error);
    if (status == TAKT_OK && parallel)
        return base_fail(opening->error, TAKT_UNSUPPORTED,
                         "%s: %s is true; takt runs one block after the other only", opening->path,
                         name);
    return status;
}

static enum takt_status read_sizes(struct opening *opening)
{
    struct model *model = opening->model;
    const struct {
        const char *suffix;
        uint32_t *value;
    } sizes[] = {
        {"block_count", &model->layers},      {"embedding_length", &model->width},
        {"feed_forward_length", &model->ffn}, {"attention.head_count", &model->heads},
        {"context_length", &model->context},
    };
    for (size_t i = 0; i < BASE_COUNT(sizes); i++) {
        enum takt_status status = read_u32(opening, sizes[i].suffix, true, 1, sizes[i].value);
        if (status != TAKT_OK)
            return status;
    }
    if (opening->tensor_count == 0)
        return base_fail(opening->error, TAKT_FORMAT,
                         "%s: the file holds no tensors, only a vocabulary; give a whole model",
                         opening->path);
    model->kv_heads = model->heads;
    return read_u32(opening, "attention.head_count_kv", false, 1, &model->kv_heads);
}

static enum takt_status read_head_dim(struct opening *opening, uint32_t *rotary)
{
    struct model *model = opening->model;
    uint32_t key_length = 0, value_length = 0;
    enum takt_status status = read_u32(opening, "attention.key_length", false, 1, &key_length);
    if (status == TAKT_OK)
        status = read_u32(opening, "attention.value_length", false, 1, &value_length);
    if (status != TAKT_OK)
        return status;
    const char *name = opening->architecture->name;
    if (key_length == 0 && model->width % model->heads != 0)
        return base_fail(opening->error, TAKT_FORMAT,
                         "%s: %s.embedding_length %u is no multiple of %s.attention.head_count %u",
                         opening->path, name, model->width, name, model->heads);
    model->head_dim = key_length != 0 ? key_length : model->width / model->heads;
    if (value_length != 0 && value_length != model->head_dim)
        return base_fail(opening->error, TAKT_UNSUPPORTED,
                         "%s: %s.attention.value_length is %u, the heads' size is %u; takt runs "
                         "equal sizes only",
                         opening->path, name, value_length, model->head_dim);
    *rotary = model->head_dim;
    return read_u32(opening, "rope.dimension_count", false, 1, rotary);
}

/* rope.scaling.*: linear scaling is a divisor; the factors of llama 3 and of longrope are tensors.
 */
static enum takt_status read_scaling(struct opening *opening)
{
    struct model *model = opening->model;
    char name[KEY_BYTES];
    struct gguf_string type = {"none", 4};
    enum takt_status status = model_gguf_string(
        &opening->gguf, key(opening, name, "rope.scaling.type"), false, &type, opening->error);
    if (status != TAKT_OK)
        return status;
    if (!model_gguf_string_is(type, "none") && !model_gguf_string_is(type, "linear") &&
        !model_gguf_string_is(type, "longrope"))
        return base_fail(opening->error, TAKT_UNSUPPORTED,
                         "%s: %s is \"%.*s\"; takt runs none, linear and longrope", opening->path,
                         name, (int)BASE_MIN(type.length, (size_t)64), type.text);
    double scale = 1.0, magnitude = 1.0;
    status = read_f64(opening, "rope.scale_linear", false, &scale);
    if (status == TAKT_OK && model_gguf_string_is(type, "linear"))
        status = read_f64(opening, "rope.scaling.factor", false, &scale);
    if (status == TAKT_OK)
        status = read_f64(opening, "rope.scaling.attn_factor", false, &magnitude);
    if (status == TAKT_OK)
        status = read_u32(opening, "rope.scaling.original_context_length", false, 1,
                          &model->context_short);
    if (status == TAKT_OK && !(scale > 0.0 && scale <= 1e6 && magnitude > 0.0 && magnitude <= 1e3))
        return base_fail(opening->error, TAKT_FORMAT,
                         "%s: rotary scaling by %g and a magnitude of %g, wanted numbers above 0",
                         opening->path, scale, magnitude);
    model->ropes[0].scale = scale;
    model->ropes[0].magnitude = magnitude;
    return status;
}

/* Not all files of gemma say what divides the queries: the largest of each has other heads. */
static double default_query_scalar(const struct opening *opening)
{
    const struct model *model = opening->model;
    const char *name = opening->architecture->name;
    bool largest = (strcmp(name, "gemma2") == 0 && model->layers == 46) ||
                   (strcmp(name, "gemma3") == 0 && model->layers == 62);
    return largest ? (double)model->width / model->heads : (double)model->head_dim;
}

static enum takt_status read_caps(struct opening *opening)
{
    struct model *model = opening->model;
    bool gemma2 = strcmp(opening->architecture->name, "gemma2") == 0;
    double scores = gemma2 ? 50.0 : 0.0, logits = gemma2 ? 30.0 : 0.0;
    enum takt_status status = read_f64(opening, "attn_logit_softcapping", false, &scores);
    if (status == TAKT_OK)
        status = read_f64(opening, "final_logit_softcapping", false, &logits);
    if (status == TAKT_OK && !(scores >= 0.0 && scores <= 1e6 && logits >= 0.0 && logits <= 1e6))
        return base_fail(opening->error, TAKT_FORMAT,
                         "%s: scores capped at %g and logits at %g, wanted 0 to 1e6", opening->path,
                         scores, logits);
    model->score_cap = (float)scores;
    model->logit_cap = (float)logits;
    return status;
}

static enum takt_status read_rest(struct opening *opening, uint32_t rotary)
{
    struct model *model = opening->model;
    double epsilon = 0.0, base = 10000.0, scale = 0.0;
    uint32_t window = 0;
    enum takt_status status = read_f64(opening, "attention.layer_norm_rms_epsilon", true, &epsilon);
    if (status == TAKT_OK)
        status = read_f64(opening, "rope.freq_base", false, &base);
    if (status == TAKT_OK)
        status = read_f64(opening, "rope.freq_base_swa", false, &model->ropes[1].base);
    if (status == TAKT_OK)
        status = read_f64(opening, "attention.scale", false, &scale);
    if (status == TAKT_OK)
        status = read_u32(opening, "attention.sliding_window", false, 0, &window);
    if (status == TAKT_OK)
        status = read_scaling(opening);
    if (status == TAKT_OK)
        status = read_caps(opening);
    if (status != TAKT_OK)
        return status;
    double scalar = scale > 0.0 ? 1.0 / (scale * scale) : default_query_scalar(opening);
    return model_finish_parameters(opening, epsilon, base, rotary, window, scalar);
}

enum takt_status model_read_gguf(struct opening *opening)
{
    uint32_t rotary = 0;
    enum takt_status status = read_architecture(opening);
    if (status == TAKT_OK)
        status = read_sizes(opening);
    if (status == TAKT_OK)
        status = read_head_dim(opening, &rotary);
    if (status == TAKT_OK)
        status = check_variants(opening);
    if (status != TAKT_OK)
        return status;
    const struct gguf_pair *template = model_gguf_find(&opening->gguf, "tokenizer.chat_template");
    size_t bytes = 0;
    if (template != NULL && template->type == GGUF_STRING) {
        const unsigned char *cursor = template->data;
        bytes = model_gguf_next_string(&cursor).length;
    }
    status = model_make_layers(opening, bytes);
    return status == TAKT_OK ? read_rest(opening, rotary) : status;
}
