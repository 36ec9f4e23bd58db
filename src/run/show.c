/* What is in a model, whether takt runs it, and where it fits. */
#include "model/describe.h"
#include "model/tensor.h"
#include "run/run.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

/* ---- what takt makes of it ------------------------------------------------------------------- */

static json_t *token_or_null(uint32_t id)
{
    return id == TOKENIZER_NONE ? json_null() : number(id);
}

static void add_tokenizer(json_t *object, const struct model *model)
{
    const struct tokenizer_special *special = tokenizer_special(model->tokenizer);
    json_t *tokenizer = json_object_get(object, "tokenizer"), *ends = json_array();
    for (uint32_t i = 0; i < special->end_count; i++) {
        json_array_append_new(ends, number(special->ends[i]));
    }
    json_object_set_new(tokenizer, "vocab", number(tokenizer_vocab(model->tokenizer)));
    json_object_set_new(tokenizer, "bos", token_or_null(special->bos));
    json_object_set_new(tokenizer, "eos", token_or_null(special->eos));
    json_object_set_new(tokenizer, "add_bos", json_boolean(special->add_bos));
    json_object_set_new(tokenizer, "ends", ends);
}

static void add_sizes(json_t *object, const struct model *model)
{
    const struct {
        const char *key;
        uint64_t value;
    } sizes[] = {
        {"layers", model->layers},     {"width", model->width},       {"heads", model->heads},
        {"kv_heads", model->kv_heads}, {"head_dim", model->head_dim}, {"ffn", model->ffn},
        {"vocab", model->vocab},       {"context", model->context},
    };
    for (size_t i = 0; i < BASE_COUNT(sizes); i++) {
        json_object_set_new(object, sizes[i].key, number(sizes[i].value));
    }
    uint32_t window = 0;
    for (uint32_t l = 0; l < model->layers; l++) {
        window = BASE_MAX(window, model->layer[l].window);
    }
    json_object_set_new(object, "window", number(window));
    json_object_set_new(object, "tied", json_boolean(model->tied));
    json_object_set_new(object, "architecture", json_string(model->architecture));
    json_object_set_new(object, "name", json_string(model->name));
    json_object_set_new(object, "chat_template", json_boolean(model->chat_template != NULL));
    json_object_set_new(object, "sha256", json_string(model->sha256));
}

/* ---- where it fits --------------------------------------------------------------------------- */

static uint64_t matrix_bytes(const struct model_tensor *tensor)
{
    return (uint64_t)tensor->rows * tensor->columns + 4ull * tensor->rows;
}

/* Weights as the profile holds them: a byte each and a scale a channel. */
static uint64_t weight_bytes(const struct model *model)
{
    uint64_t bytes = matrix_bytes(&model->output);
    for (uint32_t i = 0; i < model->layers; i++) {
        const struct model_layer *l = &model->layer[i];
        const struct model_tensor *all[] = {&l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down};
        for (size_t j = 0; j < BASE_COUNT(all); j++) {
            bytes += matrix_bytes(all[j]);
        }
    }
    return bytes;
}

/* Keys and values of one position: a byte each and a code a head. */
static uint64_t position_bytes(const struct model *model)
{
    return 2ull * model->layers * model->kv_heads * (model->head_dim + 1);
}

static json_t *refusal(enum takt_status status, const struct takt_error *error)
{
    json_t *object = json_object();
    json_object_set_new(object, "ok", json_boolean(status == TAKT_OK));
    if (status != TAKT_OK) {
        json_object_set_new(object, "why", json_string(error->message));
    }
    return object;
}

/* The most positions, up to `wanted` and halved from there, that a plan finds room for. */
static enum takt_status plan_context(const struct graph *graph, const struct machine *machine,
                                     uint32_t wanted, uint32_t *context, struct takt_error *error)
{
    enum takt_status status = TAKT_CAPACITY;
    for (*context = wanted; *context >= 64 || *context == wanted; *context /= 2) {
        struct compile_plan *plan = NULL;
        status = compile_plan_create(&plan, graph, machine, *context,
                                     BASE_MIN(RUN_CHUNK_DEFAULT, *context), 1, error);
        if (status == TAKT_OK) {
            compile_plan_destroy(plan);
        }
        if (status != TAKT_CAPACITY && status != TAKT_LIMIT) {
            break;
        }
    }
    return status;
}

static json_t *fits_chip(struct model *model, const struct machine *machine, uint32_t wanted)
{
    const uint64_t weights = weight_bytes(model);
    const uint64_t room = 2ull * machine->mem_slices * machine->mem_words * machine_lanes(machine);
    struct takt_error error = {0};
    struct base_arena arena = {0};
    struct graph graph;
    uint32_t context = 0;
    enum takt_status status = TAKT_OK;
    if (weights > room) {
        status = base_fail(&error, TAKT_CAPACITY,
                           "int8 weights take %llu bytes, one \"%s\" has %llu: at least %llu chips",
                           (unsigned long long)weights, machine->name, (unsigned long long)room,
                           (unsigned long long)((weights + room - 1) / room));
    } else {
        model_set_context(model, wanted);
        status = base_arena_create(&arena, graph_arena_bytes(model), &error);
        if (status == TAKT_OK) {
            status = graph_build(model, &arena, &graph, &error);
        }
        if (status == TAKT_OK) {
            status = plan_context(&graph, machine, wanted, &context, &error);
        }
        base_arena_destroy(&arena);
    }
    json_t *object = refusal(status, &error);
    json_object_set_new(object, "machine", json_string(machine->name));
    json_object_set_new(object, "weight_bytes", number(weights));
    json_object_set_new(object, "memory_bytes", number(room));
    if (status == TAKT_OK) {
        json_object_set_new(object, "context", number(context));
    }
    return object;
}

static json_t *fits_host(const struct model *model, uint32_t context)
{
    const uint64_t weights = weight_bytes(model), position = position_bytes(model);
    json_t *object = json_object();
    json_object_set_new(object, "ok", json_true());
    json_object_set_new(object, "weight_bytes", number(weights));
    json_object_set_new(object, "kv_bytes_a_token", number(position));
    json_object_set_new(object, "context", number(context));
    json_object_set_new(object, "bytes", number(weights + position * context));
    return object;
}

static enum takt_status add_fit(json_t *object, struct model *model,
                                const struct takt_show_options *options, struct takt_error *error)
{
    struct machine machine;
    machine_tsp1(&machine);
    if (options->machine_path) {
        const enum takt_status status = machine_read(&machine, options->machine_path, error);
        if (status != TAKT_OK) {
            return status;
        }
    }
    const uint32_t context =
        options->context ? options->context : BASE_MIN(model->context, RUN_CONTEXT_DEFAULT_MAX);
    json_object_set_new(object, "chip", fits_chip(model, &machine, context));
    json_object_set_new(object, "native", fits_host(model, context));
    return TAKT_OK;
}

enum takt_status takt_show_model(const struct takt_show_options *options, char **json,
                                 struct takt_error *error)
{
    *json = NULL;
    json_t *object = NULL;
    enum takt_status status = model_describe(options->model_path, &object, error);
    if (status != TAKT_OK) {
        return status;
    }
    struct takt_error why = {0};
    struct model *model = NULL;
    const enum takt_status opened = model_open(&model, options->model_path, &why);
    json_object_set_new(object, "runs", refusal(opened, &why));
    if (opened == TAKT_OK) {
        add_sizes(object, model);
        add_tokenizer(object, model);
        status = add_fit(object, model, options, error);
        model_close(model);
    }
    if (status == TAKT_OK) {
        *json = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(9));
        if (!*json) {
            status =
                base_fail(error, TAKT_MEMORY, "%s: no memory to describe it", options->model_path);
        }
    }
    json_decref(object);
    return status;
}
