/*
 * Hyper-parameters of a Hugging Face folder: config.json, as the transformers library reads it.
 * Defaults are those of its configuration classes, which files leave out. What takt would not
 * compute is refused.
 */
#include "model/opening.h"
#include "num/num.h"

#include <math.h>
#include <string.h>

/* ---- typed reads ----------------------------------------------------------------------------- */

/* NULL when absent or null. */
static const json_t *get(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

static enum takt_status wrong(const struct opening *opening, const char *key, const char *wanted)
{
    return base_fail(opening->error, TAKT_FORMAT,
                     "%s: config.json: %s is not %s; download it again", opening->path, key,
                     wanted);
}

/* fallback 0: the key is required. */
static enum takt_status read_u32(const struct opening *opening, const char *key, uint32_t fallback,
                                 uint32_t *value)
{
    const json_t *number = get(opening->config, key);
    *value = fallback;
    if (number == NULL && fallback == 0)
        return base_fail(opening->error, TAKT_FORMAT,
                         "%s: config.json: %s is missing; download it again", opening->path, key);
    if (number == NULL)
        return TAKT_OK;
    json_int_t found = json_integer_value(number);
    if (!json_is_integer(number) || found < 1 || found > MODEL_DIMENSION_MAX)
        return wrong(opening, key, "a number from 1 to 16777216");
    *value = (uint32_t)found;
    return TAKT_OK;
}

static enum takt_status read_f64_in(const struct opening *opening, const json_t *object,
                                    const char *key, double *value)
{
    const json_t *number = get(object, key);
    if (number == NULL)
        return TAKT_OK;
    if (!json_is_number(number) || !isfinite(json_number_value(number)))
        return wrong(opening, key, "a finite number");
    *value = json_number_value(number);
    return TAKT_OK;
}

static enum takt_status read_f64(const struct opening *opening, const char *key, double *value)
{
    return read_f64_in(opening, opening->config, key, value);
}

/* ---- what kind of model ---------------------------------------------------------------------- */

/* What stands before the names of the text model's tensors: that with which there is an embedding.
 */
static const char *prefix_of(const struct opening *opening)
{
    static const char *const prefixes[] = {"model.", "language_model.model.",
                                           "model.language_model.", ""};
    for (size_t i = 0; i < BASE_COUNT(prefixes); i++) {
        char name[64];
        snprintf(name, sizeof(name), "%sembed_tokens.weight", prefixes[i]);
        if (tensor_records_find(opening->tensors, opening->tensor_count, name) != NULL)
            return prefixes[i];
    }
    return prefixes[0];
}

static enum takt_status read_architecture(struct opening *opening)
{
    const char *type = json_string_value(get(opening->config_file, "model_type"));
    if (type == NULL)
        return wrong(opening, "model_type", "a name");
    opening->architecture = model_architecture_of_type(type);
    if (opening->architecture == NULL)
        return base_fail(opening->error, TAKT_UNSUPPORTED,
                         "%s: config.json: model_type is \"%.64s\"; takt runs %s", opening->path,
                         type, model_architecture_names());
    opening->config = opening->config_file;
    opening->prefix = prefix_of(opening);
    json_t *text = json_object_get(opening->config_file, "text_config");
    if (json_is_object(text)) { /* a model of text and pictures: its text part */
        opening->config = text;
    }
    const char *activation = json_string_value(get(opening->config, "hidden_activation"));
    if (activation == NULL)
        activation = json_string_value(get(opening->config, "hidden_act"));
    const char *wanted = opening->architecture->gemma ? "gelu_pytorch_tanh" : "silu";
    if (activation != NULL && strcmp(activation, wanted) != 0 &&
        !(opening->architecture->gemma && strcmp(activation, "gelu") == 0))
        return base_fail(opening->error, TAKT_UNSUPPORTED,
                         "%s: config.json: hidden_act is \"%.64s\"; takt runs %s with %s only",
                         opening->path, activation, opening->architecture->name, wanted);
    if (get(opening->config, "quantization_config") != NULL)
        return base_fail(opening->error, TAKT_UNSUPPORTED,
                         "%s: config.json: quantization_config is there; takt reads folders of "
                         "F32, F16 and BF16: give the model unquantised, or as GGUF",
                         opening->path);
    return TAKT_OK;
}

static enum takt_status read_sizes(struct opening *opening)
{
    struct model *model = opening->model;
    bool gemma3 = strcmp(opening->architecture->name, "gemma3") == 0;
    const struct {
        const char *key;
        uint32_t fallback, *value;
    } sizes[] = {
        {"num_hidden_layers", 0, &model->layers},
        {"hidden_size", 0, &model->width},
        {"intermediate_size", 0, &model->ffn},
        {"num_attention_heads", gemma3 ? 8 : 0, &model->heads},
        {"vocab_size", gemma3 ? 262208 : 0, &model->vocab},
        {"max_position_embeddings", gemma3 ? 131072 : 0, &model->context},
    };
    for (size_t i = 0; i < BASE_COUNT(sizes); i++) {
        enum takt_status status =
            read_u32(opening, sizes[i].key, sizes[i].fallback, sizes[i].value);
        if (status != TAKT_OK)
            return status;
    }
    enum takt_status status =
        read_u32(opening, "num_key_value_heads", gemma3 ? 4 : model->heads, &model->kv_heads);
    uint32_t fallback = opening->architecture->gemma ? 256 : model->width / model->heads;
    if (status == TAKT_OK && fallback == 0)
        status = wrong(opening, "hidden_size", "as large as num_attention_heads");
    return status == TAKT_OK ? read_u32(opening, "head_dim", fallback, &model->head_dim) : status;
}

/* ---- rotary embedding ------------------------------------------------------------------------ */

/* A list of one number a pair, into the arena. */
static enum takt_status read_factors(struct opening *opening, const json_t *scaling,
                                     const char *key, uint32_t pairs, float **out)
{
    const json_t *list = get(scaling, key);
    if (!json_is_array(list) || json_array_size(list) != pairs)
        return wrong(opening, key, "a list of one factor a pair of a head");
    *out = BASE_NEW(&opening->model->arena, float, pairs);
    for (uint32_t i = 0; i < pairs; i++) {
        double factor = json_number_value(json_array_get(list, i));
        if (!(factor >= 1e-6 && factor <= 1e6))
            return wrong(opening, key, "a list of factors above 0");
        (*out)[i] = (float)factor;
    }
    return TAKT_OK;
}

/* Llama 3: waves longer than the trained context turn slower by `factor`, short ones as before,
 * those between by a mean of both. The factors are rounded to binary32, as converters store them.
 */
static enum takt_status read_llama3(struct opening *opening, const json_t *scaling, double base,
                                    uint32_t rotary)
{
    double factor = 0.0, low = 0.0, high = 0.0, trained = 0.0;
    enum takt_status status = read_f64_in(opening, scaling, "factor", &factor);
    if (status == TAKT_OK)
        status = read_f64_in(opening, scaling, "low_freq_factor", &low);
    if (status == TAKT_OK)
        status = read_f64_in(opening, scaling, "high_freq_factor", &high);
    if (status == TAKT_OK)
        status = read_f64_in(opening, scaling, "original_max_position_embeddings", &trained);
    if (status != TAKT_OK)
        return status;
    if (!(factor >= 1.0 && factor <= 1e6 && low > 0.0 && high > low && trained >= 1.0))
        return wrong(opening, "rope_scaling", "a factor of 1 or more and growing frequencies");
    opening->factors = BASE_NEW(&opening->model->arena, float, rotary / 2);
    for (uint32_t i = 0; i < rotary / 2; i++) {
        double waves = trained * num_rope_frequency(base, rotary, i) / 6.283185307179586;
        double smooth = (waves - low) / (high - low);
        smooth = smooth < 0.0 ? 0.0 : smooth > 1.0 ? 1.0 : smooth;
        opening->factors[i] = (float)(1.0 / ((1.0 - smooth) / factor + smooth));
    }
    return TAKT_OK;
}

static enum takt_status read_longrope(struct opening *opening, const json_t *scaling,
                                      uint32_t rotary)
{
    struct model *model = opening->model;
    uint32_t trained = model->context;
    enum takt_status status =
        read_u32(opening, "original_max_position_embeddings", model->context, &trained);
    if (status == TAKT_OK)
        status = read_factors(opening, scaling, "short_factor", rotary / 2, &opening->factors);
    if (status == TAKT_OK)
        status = read_factors(opening, scaling, "long_factor", rotary / 2, &opening->factors_long);
    if (status != TAKT_OK)
        return status;
    model->context_short = trained;
    double ratio = (double)model->context / trained;
    double magnitude =
        ratio > 1.0 && trained > 1 ? sqrt(1.0 + num_log(ratio) / num_log((double)trained)) : 1.0;
    status = read_f64_in(opening, scaling, "attention_factor", &magnitude);
    if (status == TAKT_OK && !(magnitude > 0.0 && magnitude <= 1e3))
        return wrong(opening, "attention_factor", "a number above 0");
    model->ropes[0].magnitude = magnitude;
    return status;
}

static enum takt_status read_scaling(struct opening *opening, const json_t *scaling, double base,
                                     uint32_t rotary)
{
    const char *type = json_string_value(get(scaling, "rope_type"));
    if (type == NULL)
        type = json_string_value(get(scaling, "type"));
    if (scaling == NULL || type == NULL || strcmp(type, "default") == 0)
        return TAKT_OK;
    if (strcmp(type, "llama3") == 0)
        return read_llama3(opening, scaling, base, rotary);
    if (strcmp(type, "longrope") == 0 || strcmp(type, "su") == 0)
        return read_longrope(opening, scaling, rotary);
    if (strcmp(type, "linear") != 0)
        return base_fail(opening->error, TAKT_UNSUPPORTED,
                         "%s: config.json: rope_scaling is \"%.64s\"; takt runs linear, llama3 and "
                         "longrope",
                         opening->path, type);
    double factor = 1.0;
    enum takt_status status = read_f64_in(opening, scaling, "factor", &factor);
    if (status == TAKT_OK && !(factor > 0.0 && factor <= 1e6))
        return wrong(opening, "rope_scaling", "a factor above 0");
    opening->model->ropes[0].scale = factor;
    return status;
}

/* Older files have rope_theta and rope_scaling, newer ones rope_parameters, of gemma3 one a kind of
 * layer. */
static enum takt_status read_ropes(struct opening *opening, double *base, uint32_t *rotary)
{
    const json_t *parameters = get(opening->config, "rope_parameters");
    const json_t *local = get(parameters, "sliding_attention");
    const json_t *full = get(parameters, "full_attention");
    const json_t *scaling = full != NULL ? full : parameters;
    bool gemma3 = strcmp(opening->architecture->name, "gemma3") == 0;
    double partial = 1.0;
    *base = gemma3 ? 1e6 : 10000.0;
    enum takt_status status = read_f64(opening, "rope_theta", base);
    if (status == TAKT_OK)
        status = read_f64_in(opening, scaling, "rope_theta", base);
    if (status == TAKT_OK)
        status = read_f64(opening, "rope_local_base_freq", &opening->model->ropes[1].base);
    if (status == TAKT_OK)
        status = read_f64_in(opening, local, "rope_theta", &opening->model->ropes[1].base);
    if (status == TAKT_OK)
        status = read_f64(opening, "partial_rotary_factor", &partial);
    if (status == TAKT_OK)
        status = read_f64_in(opening, scaling, "partial_rotary_factor", &partial);
    if (status != TAKT_OK)
        return status;
    if (!(*base >= 1.0 && *base <= 1e12))
        return wrong(opening, "rope_theta", "a number from 1 to 1e12");
    if (!(partial > 0.0 && partial <= 1.0) || opening->model->head_dim * partial < 2.0)
        return wrong(opening, "partial_rotary_factor", "a share of a head");
    *rotary = (uint32_t)(opening->model->head_dim * partial);
    if (scaling == NULL)
        scaling = get(opening->config, "rope_scaling");
    return read_scaling(opening, scaling, *base, *rotary);
}

/* ---- the rest -------------------------------------------------------------------------------- */

/* qwen's files name a window that only some layers have, and only when another key says so. */
static enum takt_status read_window(struct opening *opening, uint32_t *window)
{
    const json_t *use = get(opening->config, "use_sliding_window");
    bool qwen = strncmp(opening->architecture->name, "qwen", 4) == 0;
    uint32_t fallback = strcmp(opening->architecture->name, "gemma2") == 0 ? 4096 : 0;
    *window = fallback;
    if (get(opening->config, "sliding_window") == NULL || (qwen && !json_is_true(use)))
        return TAKT_OK;
    return read_u32(opening, "sliding_window", 1, window);
}

/* layer_types, or qwen's max_window_layers: which layers the window is for. */
static enum takt_status read_layers(struct opening *opening, uint32_t window)
{
    struct model *model = opening->model;
    const json_t *types = get(opening->config, "layer_types");
    uint32_t first = 0;
    if (types == NULL && strncmp(opening->architecture->name, "qwen", 4) == 0 && window != 0) {
        enum takt_status status = read_u32(opening, "max_window_layers", 28, &first);
        if (status != TAKT_OK)
            return status;
        for (uint32_t i = 0; i < BASE_MIN(first, model->layers); i++)
            model->layer[i].window = 0;
    }
    if (types == NULL || window == 0)
        return TAKT_OK;
    if (!json_is_array(types) || json_array_size(types) < model->layers)
        return wrong(opening, "layer_types", "a list of a name for each layer");
    for (uint32_t i = 0; i < model->layers; i++) {
        const char *type = json_string_value(json_array_get(types, i));
        bool local = type != NULL && strcmp(type, "sliding_attention") == 0;
        if (!local && (type == NULL || strcmp(type, "full_attention") != 0))
            return wrong(opening, "layer_types", "of sliding_attention and full_attention");
        model->layer[i].window = local ? window : 0;
        model->layer[i].rope = local && model->rope_count > 1 ? 1 : 0;
    }
    return TAKT_OK;
}

static enum takt_status read_caps(struct opening *opening)
{
    struct model *model = opening->model;
    bool gemma2 = strcmp(opening->architecture->name, "gemma2") == 0;
    /* A key that is there and null means none. */
    double scores =
        gemma2 && json_object_get(opening->config, "attn_logit_softcapping") == NULL ? 50.0 : 0.0;
    double logits =
        gemma2 && json_object_get(opening->config, "final_logit_softcapping") == NULL ? 30.0 : 0.0;
    enum takt_status status = read_f64(opening, "attn_logit_softcapping", &scores);
    if (status == TAKT_OK)
        status = read_f64(opening, "final_logit_softcapping", &logits);
    if (status == TAKT_OK && !(scores >= 0.0 && scores <= 1e6 && logits >= 0.0 && logits <= 1e6))
        return wrong(opening, "attn_logit_softcapping or final_logit_softcapping",
                     "a number from 0 to 1e6");
    model->score_cap = (float)scores;
    model->logit_cap = (float)logits;
    return status;
}

static enum takt_status read_rest(struct opening *opening)
{
    struct model *model = opening->model;
    const json_t *tie = get(opening->config, "tie_word_embeddings");
    if (tie == NULL)
        tie = get(opening->config_file, "tie_word_embeddings");
    model->tied = tie != NULL ? json_is_true(tie) : opening->architecture->gemma;
    double epsilon = 1e-6, base = 0.0;
    double scalar = opening->architecture->gemma ? 256.0 : (double)model->head_dim;
    uint32_t rotary = 0, window = 0;
    enum takt_status status = read_f64(opening, "rms_norm_eps", &epsilon);
    if (status == TAKT_OK && opening->architecture->gemma)
        status = read_f64(opening, "query_pre_attn_scalar", &scalar);
    if (status == TAKT_OK)
        status = read_ropes(opening, &base, &rotary);
    if (status == TAKT_OK)
        status = read_window(opening, &window);
    if (status == TAKT_OK)
        status = read_caps(opening);
    if (status == TAKT_OK)
        status = model_finish_parameters(opening, epsilon, base, rotary, window, scalar);
    return status == TAKT_OK ? read_layers(opening, window) : status;
}

/* ---- the chat template ----------------------------------------------------------------------- */

/* tokenizer_config.json has one text, or a list of named ones of which one is "default". */
static const char *template_of(const json_t *config)
{
    const json_t *value = json_object_get(config, "chat_template");
    for (size_t i = 0; json_is_array(value) && i < json_array_size(value); i++) {
        const json_t *entry = json_array_get(value, i);
        const char *name = json_string_value(json_object_get(entry, "name"));
        if (name != NULL && strcmp(name, "default") == 0)
            return json_string_value(json_object_get(entry, "template"));
    }
    return json_string_value(value);
}

enum takt_status model_read_folder_template(struct opening *opening, char **text)
{
    *text = NULL;
    enum takt_status status = model_folder_text(opening, "chat_template.jinja", text);
    if (status != TAKT_OK || *text != NULL)
        return status;
    json_t *config = NULL;
    status = model_folder_json(opening, "tokenizer_config.json", false, &config);
    const char *found = template_of(config);
    if (status == TAKT_OK && found != NULL) {
        *text = strdup(found);
        if (*text == NULL)
            status = base_fail(opening->error, TAKT_MEMORY, "%s: no memory for the chat template",
                               opening->path);
    }
    json_decref(config);
    return status;
}

enum takt_status model_open_folder(struct opening *opening)
{
    enum takt_status status =
        model_folder_json(opening, "config.json", false, &opening->config_file);
    if (status == TAKT_OK && opening->config_file == NULL)
        return base_fail(opening->error, TAKT_IO,
                         "%s: not a regular file, and as a folder it has no config.json; give a "
                         "GGUF file or a Hugging Face folder",
                         opening->path);
    return status == TAKT_OK ? model_open_safetensors(opening) : status;
}

enum takt_status model_read_folder(struct opening *opening)
{
    enum takt_status status = read_architecture(opening);
    if (status == TAKT_OK)
        status = read_sizes(opening);
    if (status == TAKT_OK)
        status = model_make_layers(opening, 0);
    return status == TAKT_OK ? read_rest(opening) : status;
}
