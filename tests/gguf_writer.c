/* GGUF files made by tests. The format: github.com/ggml-org/ggml/blob/master/docs/gguf.md */
#include "gguf_writer.h"

#include <string.h>

enum { TYPE_U32 = 4, TYPE_F32 = 6, TYPE_BOOL = 7, TYPE_STRING = 8, TYPE_ARRAY = 9 };
#define ALIGNMENT 32u

static void put(struct base_text *text, const void *bytes, size_t size)
{
    base_text_append(text, bytes, size);
}

static void put_u32(struct base_text *text, uint32_t value)
{
    put(text, &value, sizeof(value));
}

static void put_u64(struct base_text *text, uint64_t value)
{
    put(text, &value, sizeof(value));
}

static void put_string(struct base_text *text, const char *value)
{
    put_u64(text, strlen(value));
    put(text, value, strlen(value));
}

static void put_padding(struct base_text *text)
{
    static const char zeros[ALIGNMENT] = {0};
    put(text, zeros, (ALIGNMENT - text->length % ALIGNMENT) % ALIGNMENT);
}

static bool put_key(struct gguf_writer *writer, const char *key, uint32_t type)
{
    if (writer->skip != NULL && strcmp(writer->skip, key) == 0)
        return false;
    put_string(&writer->pairs, key);
    put_u32(&writer->pairs, type);
    writer->pair_count++;
    return true;
}

void gguf_writer_u32(struct gguf_writer *writer, const char *key, uint32_t value)
{
    if (put_key(writer, key, TYPE_U32))
        put_u32(&writer->pairs, value);
}

void gguf_writer_f32(struct gguf_writer *writer, const char *key, float value)
{
    if (put_key(writer, key, TYPE_F32))
        put(&writer->pairs, &value, sizeof(value));
}

void gguf_writer_bool(struct gguf_writer *writer, const char *key, bool value)
{
    if (put_key(writer, key, TYPE_BOOL))
        put(&writer->pairs, value ? "\1" : "\0", 1);
}

void gguf_writer_string(struct gguf_writer *writer, const char *key, const char *value)
{
    if (put_key(writer, key, TYPE_STRING))
        put_string(&writer->pairs, value);
}

void gguf_writer_array(struct gguf_writer *writer, const char *key, uint32_t type,
                       const void *items, uint64_t count)
{
    if (!put_key(writer, key, TYPE_ARRAY))
        return;
    put_u32(&writer->pairs, type);
    put_u64(&writer->pairs, count);
    put(&writer->pairs, items, (size_t)count * 4);
}

void gguf_writer_strings(struct gguf_writer *writer, const char *key,
                         const struct base_text *strings, uint64_t count)
{
    if (!put_key(writer, key, TYPE_ARRAY))
        return;
    put_u32(&writer->pairs, TYPE_STRING);
    put_u64(&writer->pairs, count);
    put(&writer->pairs, strings->data, strings->length);
}

void gguf_writer_tensor(struct gguf_writer *writer, const char *name, uint32_t type,
                        uint32_t columns, uint32_t rows, const void *data, size_t bytes)
{
    if (writer->skip != NULL && strcmp(writer->skip, name) == 0)
        return;
    if (writer->tensor_total++ % BASE_MAX(writer->parts, 1u) != writer->part)
        return;
    put_string(&writer->infos, name);
    put_u32(&writer->infos, rows == 0 ? 1 : 2);
    put_u64(&writer->infos, columns);
    if (rows != 0)
        put_u64(&writer->infos, rows);
    put_u32(&writer->infos, type);
    put_padding(&writer->data);
    put_u64(&writer->infos, writer->data.length);
    put(&writer->data, data, bytes);
    writer->tensor_count++;
}

void gguf_writer_finish(const struct gguf_writer *writer, struct base_text *out)
{
    BASE_ASSERT(out->length % ALIGNMENT == 0);
    put(out, "GGUF", 4);
    put_u32(out, 3);
    put_u64(out, writer->tensor_count);
    put_u64(out, writer->pair_count);
    put(out, writer->pairs.data, writer->pairs.length);
    put(out, writer->infos.data, writer->infos.length);
    put_padding(out);
    put(out, writer->data.data, writer->data.length);
}

void gguf_writer_free(struct gguf_writer *writer)
{
    base_text_free(&writer->pairs);
    base_text_free(&writer->infos);
    base_text_free(&writer->data);
    *writer = (struct gguf_writer){0};
}

/* ---- tokenizers -------------------------------------------------------------------------- */

static size_t utf8(uint32_t point, char out[4])
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    BASE_ASSERT(point < 0x800);
    out[0] = (char)(0xC0 | point >> 6);
    out[1] = (char)(0x80 | (point & 63));
    return 2;
}

/* GPT-2's alphabet: a printable byte stands for itself, the others for U+0100 and on, in order. */
static size_t byte_character(unsigned byte, char out[4])
{
    uint32_t next = 0x100;
    for (unsigned b = 0; b < 256; b++) {
        bool printable = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        if (b == byte)
            return utf8(printable ? b : next, out);
        next += printable ? 0 : 1;
    }
    return 0;
}

/* Byte i of the vocabulary's order: printable ASCII first, so that small vocabularies can talk. */
static unsigned byte_in_order(unsigned i)
{
    return i < 95 ? 32 + i : i < 127 ? i - 95 : i;
}

/* Merged token i: all pairs of small letters, then all triples. Returns the length. */
static size_t letters(uint32_t i, char out[4])
{
    if (i < 676) {
        out[0] = (char)('a' + i / 26);
        out[1] = (char)('a' + i % 26);
        return 2;
    }
    i = (i - 676) % 17576;
    out[0] = (char)('a' + i / 676);
    out[1] = (char)('a' + i / 26 % 26);
    out[2] = (char)('a' + i % 26);
    return 3;
}

static void append_sized(struct base_text *strings, const char *text, size_t length)
{
    put_u64(strings, length);
    put(strings, text, length);
}

/* The text of token i of a model. */
static void append_token(const struct gguf_random *shape, uint32_t i, struct base_text *tokens)
{
    static const char *const bpe_control[] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
    static const char *const spm_control[] = {"<unk>", "<s>", "</s>"};
    char text[16];
    size_t length;
    if (i < 3) {
        const char *control = shape->spm ? spm_control[i] : bpe_control[i];
        append_sized(tokens, control, strlen(control));
        return;
    }
    if (i < 259) {
        length = shape->spm ? (size_t)snprintf(text, sizeof(text), "<0x%02X>", i - 3)
                            : byte_character(byte_in_order(i - 3), text);
    } else if (shape->spm && i == 259) {
        memcpy(text, "\xE2\x96\x81", 3);
        length = 3;
    } else if (shape->spm && i < 286) {
        text[0] = (char)('a' + (i - 260));
        length = 1;
    } else {
        length = letters(shape->spm ? i - 286 : i - 259, text);
    }
    append_sized(tokens, text, length);
}

static void build_merges(struct gguf_writer *writer, const struct gguf_random *shape)
{
    struct base_text merges = {0};
    uint64_t count = 0;
    for (uint32_t i = 259; i < shape->vocab; i++) {
        char text[8];
        size_t length = letters(i - 259, text);
        text[length] = text[length - 1];
        text[length - 1] = ' ';
        append_sized(&merges, text, length + 1);
        count++;
    }
    gguf_writer_strings(writer, "tokenizer.ggml.merges", &merges, count);
    base_text_free(&merges);
}

static void build_tokenizer(struct gguf_writer *writer, const struct gguf_random *shape)
{
    struct base_text tokens = {0}, types = {0}, scores = {0};
    for (uint32_t i = 0; i < shape->vocab; i++) {
        append_token(shape, i, &tokens);
        put_u32(&types, i < 3 ? (shape->spm && i == 0 ? 2 : 3) : shape->spm && i < 259 ? 6 : 1);
        float score = -(float)i;
        put(&scores, &score, sizeof(score));
    }
    gguf_writer_string(writer, "tokenizer.ggml.model", shape->spm ? "llama" : "gpt2");
    gguf_writer_string(writer, "tokenizer.ggml.pre", shape->spm ? "default" : "gpt-2");
    gguf_writer_strings(writer, "tokenizer.ggml.tokens", &tokens, shape->vocab);
    gguf_writer_array(writer, "tokenizer.ggml.token_type", 5, types.data, shape->vocab);
    if (shape->spm)
        gguf_writer_array(writer, "tokenizer.ggml.scores", 6, scores.data, shape->vocab);
    else
        build_merges(writer, shape);
    gguf_writer_u32(writer, "tokenizer.ggml.bos_token_id", shape->spm ? 1 : 0);
    gguf_writer_u32(writer, "tokenizer.ggml.eos_token_id", 2);
    if (!shape->no_template)
        gguf_writer_string(
            writer, "tokenizer.chat_template",
            "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + "
            "message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt "
            "%}{{ '<|im_start|>assistant\\n' }}{% endif %}");
    base_text_free(&tokens);
    base_text_free(&types);
    base_text_free(&scores);
}

/* ---- weights ----------------------------------------------------------------------------- */

/* Toward zero; values too small for a normal half become zero. Only |x| < 65536 is asked for. */
static uint16_t half_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    uint32_t sign = bits >> 16 & 0x8000, exponent = bits >> 23 & 255;
    if (exponent < 113)
        return (uint16_t)sign;
    return (uint16_t)(sign | (exponent - 112) << 10 | (bits >> 13 & 0x3FF));
}

static void put_weight(struct base_text *data, enum model_type type, float x)
{
    if (type == MODEL_F32) {
        put(data, &x, sizeof(x));
        return;
    }
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    uint16_t half = type == MODEL_F16 ? half_of(x) : (uint16_t)(bits >> 16);
    put(data, &half, sizeof(half));
}

/* Roughly bell-shaped in (-1, 1), variance 1/6: trained weights are not uniform. */
static float bell(uint64_t seed, uint64_t stream, uint64_t counter)
{
    return base_random_f32(seed, stream, 2 * counter) +
           base_random_f32(seed, stream, 2 * counter + 1) - 1.0f;
}

static void build_matrix(struct gguf_writer *writer, const struct gguf_random *shape,
                         const char *name, uint32_t columns, uint32_t rows, float gain)
{
    static const uint32_t numbers[GGUF_RANDOM_TYPES] = {0, 1, 30, 8};
    struct base_text data = {0};
    uint64_t stream = writer->tensor_total, count = (uint64_t)columns * rows;
    enum model_type type = shape->type;
    if (type == MODEL_Q8_0 && columns % 32 != 0)
        type = MODEL_F32;
    /* Division by a power of two near the root of the contraction keeps activations of order one.
     */
    float scale = gain;
    for (uint32_t k = 1; k < columns; k *= 4)
        scale *= 0.5f;
    for (uint64_t i = 0; i < count; i++) {
        if (type != MODEL_Q8_0) {
            put_weight(&data, type, scale * 2.5f * bell(shape->seed, stream, i));
            continue;
        }
        if (i % 32 == 0) {
            float block = scale * (0.5f + base_random_f32(shape->seed, stream + (1u << 20), i));
            put_weight(&data, MODEL_F16, block * (1.0f / 64.0f));
        }
        int8_t weight = (int8_t)(127.0f * bell(shape->seed, stream, i));
        put(&data, &weight, 1);
    }
    gguf_writer_tensor(writer, name, numbers[type], columns, rows, data.data, data.length);
    base_text_free(&data);
}

static void build_norm(struct gguf_writer *writer, const struct gguf_random *shape,
                       const char *name, uint32_t columns)
{
    struct base_text data = {0};
    for (uint32_t i = 0; i < columns; i++) {
        float gain = 0.5f + base_random_f32(shape->seed, writer->tensor_total, i);
        put(&data, &gain, sizeof(gain));
    }
    gguf_writer_tensor(writer, name, 0, columns, 0, data.data, data.length);
    base_text_free(&data);
}

static bool is(const struct gguf_random *shape, const char *architecture)
{
    return strcmp(shape->architecture == NULL ? "llama" : shape->architecture, architecture) == 0;
}

static bool is_gemma(const struct gguf_random *shape)
{
    return is(shape, "gemma2") || is(shape, "gemma3");
}

struct part {
    const char *name;
    uint32_t columns, rows; /* rows = 0: a norm or a bias */
    bool wanted;
};

static void build_parts(struct gguf_writer *writer, const struct gguf_random *shape, uint32_t layer,
                        const struct part *parts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!parts[i].wanted)
            continue;
        char name[64];
        snprintf(name, sizeof(name), "blk.%u.%s", layer, parts[i].name);
        if (parts[i].rows == 0)
            build_norm(writer, shape, name, parts[i].columns);
        else
            build_matrix(writer, shape, name, parts[i].columns, parts[i].rows, 1.0f);
    }
}

static void build_layer(struct gguf_writer *writer, const struct gguf_random *shape, uint32_t layer,
                        uint32_t head_dim)
{
    const uint32_t width = shape->width, q = shape->heads * head_dim,
                   kv = shape->kv_heads * head_dim;
    const bool fused = is(shape, "phi3"), biases = is(shape, "qwen2"), gemma = is_gemma(shape),
               head_norms = is(shape, "qwen3") || is(shape, "gemma3");
    const struct part parts[] = {
        {"attn_norm.weight", width, 0, true},
        {"attn_q.weight", width, q, !fused},
        {"attn_k.weight", width, kv, !fused},
        {"attn_v.weight", width, kv, !fused},
        {"attn_qkv.weight", width, q + 2 * kv, fused},
        {"attn_q.bias", q, 0, biases},
        {"attn_k.bias", kv, 0, biases},
        {"attn_v.bias", kv, 0, biases},
        {"attn_q_norm.weight", head_dim, 0, head_norms},
        {"attn_k_norm.weight", head_dim, 0, head_norms},
        {"attn_output.weight", q, width, true},
        {"post_attention_norm.weight", width, 0, gemma},
        {"ffn_norm.weight", width, 0, true},
        {"ffn_gate.weight", width, shape->ffn, !fused},
        {"ffn_up.weight", width, fused ? 2 * shape->ffn : shape->ffn, true},
        {"ffn_down.weight", shape->ffn, width, true},
        {"post_ffw_norm.weight", width, 0, gemma},
    };
    build_parts(writer, shape, layer, parts, BASE_COUNT(parts));
}

/* Divisors of the rotary frequencies, of one kind: from 1 for the fastest pair to 8. */
static void build_factors(struct gguf_writer *writer, const char *name, uint32_t pairs, float most)
{
    struct base_text data = {0};
    for (uint32_t i = 0; i < pairs; i++) {
        float factor = 1.0f + (most - 1.0f) * (float)i / (float)pairs;
        put(&data, &factor, sizeof(factor));
    }
    gguf_writer_tensor(writer, name, 0, pairs, 0, data.data, data.length);
    base_text_free(&data);
}

static void put_arch_u32(struct gguf_writer *writer, const struct gguf_random *shape,
                         const char *suffix, uint32_t value)
{
    char key[64];
    snprintf(key, sizeof(key), "%s.%s", shape->architecture == NULL ? "llama" : shape->architecture,
             suffix);
    gguf_writer_u32(writer, key, value);
}

static void put_arch_f32(struct gguf_writer *writer, const struct gguf_random *shape,
                         const char *suffix, float value)
{
    char key[64];
    snprintf(key, sizeof(key), "%s.%s", shape->architecture == NULL ? "llama" : shape->architecture,
             suffix);
    gguf_writer_f32(writer, key, value);
}

static void build_header(struct gguf_writer *writer, const struct gguf_random *shape,
                         uint32_t head_dim)
{
    gguf_writer_string(writer, "general.architecture",
                       shape->architecture == NULL ? "llama" : shape->architecture);
    gguf_writer_string(writer, "general.name", "random");
    put_arch_u32(writer, shape, "context_length", shape->context == 0 ? 512 : shape->context);
    put_arch_u32(writer, shape, "embedding_length", shape->width);
    put_arch_u32(writer, shape, "block_count", shape->layers);
    put_arch_u32(writer, shape, "feed_forward_length", shape->ffn);
    put_arch_u32(writer, shape, "attention.head_count", shape->heads);
    put_arch_u32(writer, shape, "attention.head_count_kv", shape->kv_heads);
    put_arch_f32(writer, shape, "attention.layer_norm_rms_epsilon", 1e-5f);
    put_arch_u32(writer, shape, "attention.key_length", head_dim);
    put_arch_u32(writer, shape, "attention.value_length", head_dim);
    put_arch_u32(writer, shape, "rope.dimension_count", head_dim);
    put_arch_f32(writer, shape, "rope.freq_base", is(shape, "gemma3") ? 1000000.0f : 10000.0f);
    put_arch_u32(writer, shape, "vocab_size", shape->vocab);
    if (shape->window != 0)
        put_arch_u32(writer, shape, "attention.sliding_window", shape->window);
    if (is(shape, "gemma2")) {
        put_arch_f32(writer, shape, "attn_logit_softcapping", 50.0f);
        put_arch_f32(writer, shape, "final_logit_softcapping", 30.0f);
    }
    if (is(shape, "phi3") && shape->rope_factors) {
        put_arch_u32(writer, shape, "rope.scaling.original_context_length", 64);
        put_arch_f32(writer, shape, "rope.scaling.attn_factor", 1.19f);
    }
}

void gguf_random_build(struct gguf_writer *writer, const struct gguf_random *shape)
{
    uint32_t head_dim = shape->head_dim == 0 ? shape->width / shape->heads : shape->head_dim;
    BASE_ASSERT(shape->vocab >= 4 && head_dim >= 2 && head_dim % 2 == 0);
    writer->skip = shape->skip;
    build_header(writer, shape, head_dim);
    build_tokenizer(writer, shape);
    build_matrix(writer, shape, "token_embd.weight", shape->width, shape->vocab,
                 is_gemma(shape) ? 1.0f : 4.0f);
    for (uint32_t layer = 0; layer < shape->layers; layer++)
        build_layer(writer, shape, layer, head_dim);
    build_norm(writer, shape, "output_norm.weight", shape->width);
    if (!shape->tied)
        build_matrix(writer, shape, "output.weight", shape->width, shape->vocab, 2.0f);
    if (shape->rope_factors && is(shape, "phi3")) {
        build_factors(writer, "rope_factors_short.weight", head_dim / 2, 2.0f);
        build_factors(writer, "rope_factors_long.weight", head_dim / 2, 16.0f);
    } else if (shape->rope_factors) {
        build_factors(writer, "rope_freqs.weight", head_dim / 2, 8.0f);
    }
}

bool gguf_write_random(const char *path, const struct gguf_random *shape)
{
    struct gguf_writer writer = {0};
    struct base_text file = {0};
    gguf_random_build(&writer, shape);
    gguf_writer_finish(&writer, &file);
    bool written = base_file_write(path, file.data, file.length, NULL) == TAKT_OK;
    base_text_free(&file);
    gguf_writer_free(&writer);
    return written;
}
