/* Part two of takt.h: models of random weights. */
#include "model/synth.h"
#include "model/tensor.h"
#include "takt.h"

#include <strings.h>

static const enum model_type types[] = {MODEL_F16, MODEL_Q8_0, MODEL_F32, MODEL_BF16};
_Static_assert(BASE_COUNT(types) == TAKT_SYNTH_TYPES, "takt.h says how many types there are");

const char *takt_synth_type(size_t index)
{
    return index < BASE_COUNT(types) ? model_tensor_format(types[index])->name : NULL;
}

bool takt_shape_at(size_t index, struct takt_shape *shape)
{
    const struct synth_shape *row = model_synth_shape(index);
    if (!row) {
        return false;
    }
    *shape = (struct takt_shape){
        .name = row->name,
        .note = row->note,
        .layers = row->layers,
        .width = row->width,
        .ffn = row->ffn,
        .heads = row->heads,
        .kv_heads = row->kv_heads,
        .head_dim = row->width / row->heads,
        .vocab = row->vocab,
        .context = row->context,
        .tied = row->tied,
        .parameters = model_synth_parameters(row),
    };
    for (size_t i = 0; i < BASE_COUNT(types); i++) {
        shape->bytes[i] = model_synth_bytes(row, types[i]);
    }
    return true;
}

/* Either case: "q8_0" is what people write in file names. */
static bool find_type(const char *name, enum model_type *type)
{
    for (size_t i = 0; i < BASE_COUNT(types); i++) {
        if (strcasecmp(name, takt_synth_type(i)) == 0) {
            *type = types[i];
            return true;
        }
    }
    return false;
}

enum takt_status takt_synthesise(const struct takt_synth_options *options,
                                 bool (*on_progress)(void *user, uint64_t done_bytes,
                                                     uint64_t total_bytes),
                                 void *user, struct takt_error *error)
{
    if (!options->shape || !options->path) {
        return base_fail(error, TAKT_USAGE, "a shape and a path are needed to make a model");
    }
    const struct synth_shape *shape = model_synth_find(options->shape);
    if (!shape) {
        return base_fail(error, TAKT_USAGE, "unknown shape %.80s; takt synth --list prints them",
                         options->shape);
    }
    struct synth_request request = {.shape = *shape,
                                    .layers_published = shape->layers,
                                    .seed = options->seed,
                                    .type = types[0],
                                    .path = options->path,
                                    .on_progress = on_progress,
                                    .user = user};
    if (options->type && !find_type(options->type, &request.type)) {
        return base_fail(error, TAKT_USAGE, "unknown type %.80s; F16, Q8_0, F32 or BF16",
                         options->type);
    }
    if (options->layers > SYNTH_LAYERS_MAX) {
        return base_fail(error, TAKT_USAGE, "%u layers are too many; at most %u", options->layers,
                         SYNTH_LAYERS_MAX);
    }
    request.shape.layers = options->layers > 0 ? options->layers : shape->layers;
    return model_synthesise(&request, error);
}
