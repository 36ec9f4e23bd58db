/* Synthetic models: the list of shapes, each shape's tensors, their weights, the stream to disk. */
#include "model/synth.h"

#include "model/tensor.h"
#include "num/num.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct synth_shape shapes[] = {
#define SHAPE(name, layers, width, ffn, heads, kv_heads, vocab, context, rope_base, tied, note)    \
    {name, layers, width, ffn, heads, kv_heads, vocab, context, rope_base, tied, note},
#include "model/shapes.def"
#undef SHAPE
};

const struct synth_shape *model_synth_shape(size_t index)
{
    return index < BASE_COUNT(shapes) ? &shapes[index] : NULL;
}

const struct synth_shape *model_synth_find(const char *name)
{
    for (size_t i = 0; i < BASE_COUNT(shapes); i++)
        if (strcmp(shapes[i].name, name) == 0)
            return &shapes[i];
    return NULL;
}

/* ---- tensors --------------------------------------------------------------------------------- */

#define PARTS 9u /* tensors of a layer */

enum { STREAM_EMBEDDING, STREAM_OUTPUT_NORM, STREAM_OUTPUT, STREAM_LAYERS = 16 };

static size_t tensor_count(const struct synth_shape *shape)
{
    return PARTS * (size_t)shape->layers + (shape->tied ? 2 : 3);
}

static void set_matrix(struct synth_tensor *tensor, enum model_type type, uint32_t columns,
                       uint32_t rows, float deviation)
{
    tensor->columns = columns;
    tensor->rows = rows;
    tensor->type = type;
    tensor->mean = 0.0f;
    tensor->deviation = deviation;
}

static void set_norm(struct synth_tensor *tensor, uint32_t columns)
{
    set_matrix(tensor, MODEL_F32, columns, 0, 0.05f);
    tensor->mean = 1.0f;
}

static void set_part(const struct synth_shape *shape, enum model_type type, uint32_t layer,
                     uint32_t part, struct synth_tensor *tensor)
{
    uint32_t width = shape->width, kv_width = width / shape->heads * shape->kv_heads;
    const struct {
        const char *name;
        uint32_t columns, rows; /* rows = 0: a norm */
    } parts[PARTS] = {
        {"attn_norm", width, 0},         {"attn_q", width, width},
        {"attn_k", width, kv_width},     {"attn_v", width, kv_width},
        {"attn_output", width, width},   {"ffn_norm", width, 0},
        {"ffn_gate", width, shape->ffn}, {"ffn_up", width, shape->ffn},
        {"ffn_down", shape->ffn, width},
    };
    if (parts[part].rows == 0)
        set_norm(tensor, width);
    else
        set_matrix(tensor, type, parts[part].columns, parts[part].rows,
                   1.0f / sqrtf((float)parts[part].columns));
    /* The stream does not depend on the number of layers, nor on what comes after them. */
    tensor->stream = STREAM_LAYERS + (uint64_t)layer * 16 + part;
    snprintf(tensor->name, sizeof(tensor->name), "blk.%u.%s.weight", layer, parts[part].name);
}

/* Tensor `index` of the file, but for its offset. */
static void set_tensor(const struct synth_shape *shape, enum model_type type, size_t index,
                       struct synth_tensor *tensor)
{
    size_t after = 1 + PARTS * (size_t)shape->layers; /* the first behind the layers */
    if (index == 0) {
        set_matrix(tensor, type, shape->width, shape->vocab, 0.02f);
        tensor->stream = STREAM_EMBEDDING;
        strcpy(tensor->name, "token_embd.weight");
    } else if (index < after) {
        set_part(shape, type, (uint32_t)((index - 1) / PARTS), (uint32_t)((index - 1) % PARTS),
                 tensor);
    } else if (index == after) {
        set_norm(tensor, shape->width);
        tensor->stream = STREAM_OUTPUT_NORM;
        strcpy(tensor->name, "output_norm.weight");
    } else {
        set_matrix(tensor, type, shape->width, shape->vocab, 1.0f / sqrtf((float)shape->width));
        tensor->stream = STREAM_OUTPUT;
        strcpy(tensor->name, "output.weight");
    }
    const struct model_format *format = model_tensor_format(tensor->type);
    BASE_ASSERT(tensor->columns % format->block == 0);
    tensor->size_bytes = (uint64_t)tensor->columns / format->block * format->block_bytes *
                         BASE_MAX(tensor->rows, 1u);
}

static uint64_t padded(uint64_t bytes)
{
    return (bytes + SYNTH_ALIGNMENT - 1) / SYNTH_ALIGNMENT * SYNTH_ALIGNMENT;
}

static uint64_t elements(const struct synth_tensor *tensor)
{
    return (uint64_t)tensor->columns * BASE_MAX(tensor->rows, 1u);
}

uint64_t model_synth_parameters(const struct synth_shape *shape)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < tensor_count(shape); i++) {
        struct synth_tensor tensor;
        set_tensor(shape, MODEL_F32, i, &tensor);
        sum += elements(&tensor);
    }
    return sum;
}

uint64_t model_synth_bytes(const struct synth_shape *shape, enum model_type type)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < tensor_count(shape); i++) {
        struct synth_tensor tensor;
        set_tensor(shape, type, i, &tensor);
        sum += padded(tensor.size_bytes);
    }
    return sum;
}

/* ---- weights --------------------------------------------------------------------------------- */

#define DRAWS 1024u /* weights made at a time; whole blocks of any type */

/* Deviation of the sum of four uniform integers 0..65535: sqrt(4 (2^32 - 1) / 12); its mean. */
#define SUM_DEVIATION 37837.22703
#define SUM_MEAN 131070

static void draw(const struct synth_tensor *tensor, uint64_t seed, uint64_t first, float *out,
                 size_t count)
{
    uint64_t bits[DRAWS];
    float scale = (float)((double)tensor->deviation / SUM_DEVIATION);
    base_random_fill(seed, tensor->stream, first, bits, count);
    for (size_t i = 0; i < count; i++) {
        uint64_t x = bits[i];
        int32_t sum = (int32_t)((x & 65535) + (x >> 16 & 65535) + (x >> 32 & 65535) + (x >> 48));
        out[i] = tensor->mean + (float)(sum - SUM_MEAN) * scale;
    }
}

static unsigned char *put_u16(unsigned char *out, uint16_t value)
{
    out[0] = (unsigned char)(value & 255u);
    out[1] = (unsigned char)(value >> 8);
    return out + 2;
}

/* One Q8_0 block as ggml makes it: the largest magnitude becomes 127 steps. */
static unsigned char *put_block(unsigned char *out, const float *weights, size_t count)
{
    float largest = 0.0f;
    for (size_t i = 0; i < count; i++)
        largest = BASE_MAX(largest, fabsf(weights[i]));
    float step = largest / 127.0f, inverse = step > 0.0f ? 1.0f / step : 0.0f;
    out = put_u16(out, num_f32_to_f16(step));
    for (size_t i = 0; i < count; i++)
        *out++ = (unsigned char)num_f32_to_i8(weights[i] * inverse);
    return out;
}

static unsigned char *encode(unsigned char *out, enum model_type type, const float *weights,
                             size_t count)
{
    uint32_t block = model_tensor_format(type)->block;
    for (size_t i = 0; i < count; i += block) {
        switch (type) {
        case MODEL_F32:
            out = put_u16(out, (uint16_t)(num_bits(weights[i]) & 65535u));
            out = put_u16(out, (uint16_t)(num_bits(weights[i]) >> 16));
            break;
        case MODEL_F16: out = put_u16(out, num_f32_to_f16(weights[i])); break;
        case MODEL_BF16: out = put_u16(out, num_f32_to_bf16(weights[i])); break;
        case MODEL_Q8_0: out = put_block(out, weights + i, block); break;
        default: BASE_ASSERT(false); /* takt_synth_type lists what is written */
        }
    }
    return out;
}

/* ---- the stream ------------------------------------------------------------------------------ */

#define BUFFER_BYTES (4u << 20)

struct stream {
    const struct synth_request *request;
    struct base_output output;
    uint64_t total_bytes;
    unsigned char *buffer; /* [BUFFER_BYTES] */
    size_t used_bytes;
    struct takt_error *error;
};

/* On failure the output is gone. */
static enum takt_status flush(struct stream *stream)
{
    const struct synth_request *request = stream->request;
    enum takt_status status =
        base_output_write(&stream->output, stream->buffer, stream->used_bytes, stream->error);
    if (status != TAKT_OK)
        return status;
    stream->used_bytes = 0;
    uint64_t done = stream->output.written_bytes;
    if (request->on_progress == NULL ||
        request->on_progress(request->user, done, stream->total_bytes))
        return TAKT_OK;
    base_output_discard(&stream->output);
    return base_fail(stream->error, TAKT_INTERRUPTED,
                     "%s: interrupted after %llu of %llu bytes; nothing is left of it",
                     request->path, (unsigned long long)done,
                     (unsigned long long)stream->total_bytes);
}

static enum takt_status write_tensor(struct stream *stream, const struct synth_tensor *tensor)
{
    float weights[DRAWS];
    uint64_t count = elements(tensor);
    enum takt_status status = TAKT_OK;
    for (uint64_t at = 0; status == TAKT_OK && at < count; at += DRAWS) {
        size_t now = (size_t)BASE_MIN(count - at, (uint64_t)DRAWS);
        draw(tensor, stream->request->seed, at, weights, now);
        unsigned char *end =
            encode(stream->buffer + stream->used_bytes, tensor->type, weights, now);
        stream->used_bytes = (size_t)(end - stream->buffer);
        /* Room for the largest draw and for padding stays. */
        if (stream->used_bytes > BUFFER_BYTES - sizeof(weights) - SYNTH_ALIGNMENT)
            status = flush(stream);
    }
    size_t padding = (size_t)(padded(tensor->size_bytes) - tensor->size_bytes);
    memset(stream->buffer + stream->used_bytes, 0, padding);
    stream->used_bytes += padding;
    return status;
}

static enum takt_status write_file(struct stream *stream, const struct synth_tensor *tensors,
                                   size_t count)
{
    const struct synth_request *request = stream->request;
    struct base_text header = {0};
    model_synth_header(request, tensors, count, &header);
    stream->total_bytes =
        header.length + tensors[count - 1].offset + padded(tensors[count - 1].size_bytes);
    enum takt_status status = base_output_open(&stream->output, request->path, stream->error);
    if (status == TAKT_OK)
        status = base_output_write(&stream->output, header.data, header.length, stream->error);
    base_text_free(&header);
    for (size_t i = 0; status == TAKT_OK && i < count; i++)
        status = write_tensor(stream, &tensors[i]);
    if (status == TAKT_OK)
        status = flush(stream);
    if (status != TAKT_OK)
        return status;
    BASE_ASSERT(stream->output.written_bytes == stream->total_bytes);
    return base_output_commit(&stream->output, stream->error);
}

enum takt_status model_synthesise(const struct synth_request *request, struct takt_error *error)
{
    const struct synth_shape *shape = &request->shape;
    BASE_ASSERT(shape->layers >= 1 && shape->layers <= SYNTH_LAYERS_MAX);
    size_t count = tensor_count(shape);
    struct stream stream = {.request = request, .error = error};
    struct synth_tensor *tensors = calloc(count, sizeof(*tensors));
    stream.buffer = malloc(BUFFER_BYTES);
    enum takt_status status;
    if (tensors == NULL || stream.buffer == NULL) {
        status = base_fail(error, TAKT_MEMORY, "%s: no memory for %u bytes of buffer; free some",
                           request->path, BUFFER_BYTES);
        goto done;
    }
    uint64_t offset = 0;
    for (size_t i = 0; i < count; i++) {
        set_tensor(shape, request->type, i, &tensors[i]);
        tensors[i].offset = offset;
        offset += padded(tensors[i].size_bytes);
    }
    status = write_file(&stream, tensors, count);
done:
    free(stream.buffer);
    free(tensors);
    return status;
}
