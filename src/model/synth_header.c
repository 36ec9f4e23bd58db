/* The head of a synthetic GGUF file: hyper-parameters, a byte-level vocabulary, tensor records. */
#include "model/gguf.h"
#include "model/synth.h"
#include "model/tokenizer_parts.h"

#include "num/num.h"

#include <string.h>

/* Control tokens, then the bytes, then words. */
#define CONTROLS 3u
#define FIRST_WORD (CONTROLS + 256u)

static const char *const controls[CONTROLS] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
static const char chat_template[] =
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + "
    "message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant\\n' }}{% endif %}";

/* Pairs in the making. */
struct pairs {
    struct base_text text;
    uint64_t count;
};

static void put_number(struct base_text *out, uint64_t value, size_t size_bytes)
{
    char bytes[8];
    for (size_t i = 0; i < size_bytes; i++)
        bytes[i] = (char)(value >> 8 * i & 255u);
    base_text_append(out, bytes, size_bytes);
}

static void put_string(struct base_text *out, const char *text, size_t length)
{
    put_number(out, length, 8);
    base_text_append(out, text, length);
}

static void put_key(struct pairs *pairs, const char *key, enum gguf_type type)
{
    put_string(&pairs->text, key, strlen(key));
    put_number(&pairs->text, type, 4);
    pairs->count++;
}

static void pair_u32(struct pairs *pairs, const char *key, uint32_t value)
{
    put_key(pairs, key, GGUF_U32);
    put_number(&pairs->text, value, 4);
}

static void pair_f32(struct pairs *pairs, const char *key, float value)
{
    put_key(pairs, key, GGUF_F32);
    put_number(&pairs->text, num_bits(value), 4);
}

static void pair_bool(struct pairs *pairs, const char *key, bool value)
{
    put_key(pairs, key, GGUF_BOOL);
    put_number(&pairs->text, value ? 1 : 0, 1);
}

static void pair_string(struct pairs *pairs, const char *key, const char *value)
{
    put_key(pairs, key, GGUF_STRING);
    put_string(&pairs->text, value, strlen(value));
}

static void array(struct pairs *pairs, const char *key, enum gguf_type element, uint64_t count)
{
    put_key(pairs, key, GGUF_ARRAY);
    put_number(&pairs->text, element, 4);
    put_number(&pairs->text, count, 8);
}

/* ---- vocabulary ------------------------------------------------------------------------------ */

/*
 * Words are rows of syllables, a consonant and a vowel each: all of one syllable, then all of two,
 * and so on. Each stands twice, plain and then with a space in front, as real vocabularies have
 * them. So the text of an id says its number, no two are equal, and each is one merge of two
 * earlier tokens: two letters, a word and its last syllable, or the space and a word.
 */
#define SYLLABLES 100u
#define WORD_BYTES 24u

static const char consonants[] = "bcdfghjklmnprstvwxyz"; /* 20; with five vowels, SYLLABLES */
static const char vowels[] = "aeiou";

/* The text of a word without its space; *split: where its merge parts it. Returns the length. */
static size_t plain_word(uint32_t index, char text[WORD_BYTES], size_t *split)
{
    uint32_t syllables = 1, count = SYLLABLES;
    while (index >= count) {
        index -= count;
        count *= SYLLABLES;
        syllables++;
    }
    size_t length = 2 * (size_t)syllables;
    BASE_ASSERT(length + 2 <= WORD_BYTES && syllables <= 4);
    for (size_t at = length; at > 0; at -= 2) {
        text[at - 2] = consonants[index % SYLLABLES / 5];
        text[at - 1] = vowels[index % 5];
        index /= SYLLABLES;
    }
    *split = syllables == 1 ? 1 : length - 2;
    return length;
}

/* Word `index` of the vocabulary: even ones plain, odd ones with the space. */
static size_t word(uint32_t index, char text[WORD_BYTES], size_t *split)
{
    if (index % 2 == 0)
        return plain_word(index / 2, text, split);
    size_t space = tokenizer_byte_character(' ', text);
    size_t length = plain_word(index / 2, text + space, split);
    *split = space;
    return space + length;
}

static void put_tokens(struct pairs *pairs, uint32_t vocab)
{
    array(pairs, "tokenizer.ggml.tokens", GGUF_STRING, vocab);
    for (uint32_t id = 0; id < vocab; id++) {
        char text[WORD_BYTES];
        size_t split;
        if (id < CONTROLS)
            put_string(&pairs->text, controls[id], strlen(controls[id]));
        else if (id < FIRST_WORD)
            put_string(&pairs->text, text,
                       tokenizer_byte_character((unsigned char)(id - CONTROLS), text));
        else
            put_string(&pairs->text, text, word(id - FIRST_WORD, text, &split));
    }
    array(pairs, "tokenizer.ggml.token_type", GGUF_I32, vocab);
    for (uint32_t id = 0; id < vocab; id++)
        put_number(&pairs->text, id < CONTROLS ? TOKEN_CONTROL : TOKEN_NORMAL, 4);
}

static void put_merges(struct pairs *pairs, uint32_t vocab)
{
    array(pairs, "tokenizer.ggml.merges", GGUF_STRING, vocab - FIRST_WORD);
    for (uint32_t id = FIRST_WORD; id < vocab; id++) {
        char text[WORD_BYTES];
        size_t split, length = word(id - FIRST_WORD, text, &split);
        put_number(&pairs->text, length + 1, 8);
        base_text_append(&pairs->text, text, split);
        base_text_append(&pairs->text, " ", 1);
        base_text_append(&pairs->text, text + split, length - split);
    }
}

static void put_tokenizer(struct pairs *pairs, uint32_t vocab)
{
    BASE_ASSERT(vocab >= FIRST_WORD);
    pair_string(pairs, "tokenizer.ggml.model", "gpt2");
    pair_string(pairs, "tokenizer.ggml.pre", "gpt-2");
    put_tokens(pairs, vocab);
    put_merges(pairs, vocab);
    pair_u32(pairs, "tokenizer.ggml.bos_token_id", 0);
    pair_u32(pairs, "tokenizer.ggml.eos_token_id", 2);
    pair_bool(pairs, "tokenizer.ggml.add_bos_token", false);
    pair_string(pairs, "tokenizer.chat_template", chat_template);
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void put_general(struct pairs *pairs, const struct synth_request *request)
{
    /* The file's name for what most tensors are: llama.h, enum llama_ftype. */
    static const uint32_t file_types[MODEL_TYPE_COUNT] = {
        [MODEL_F32] = 0, [MODEL_F16] = 1, [MODEL_BF16] = 32, [MODEL_Q8_0] = 7};
    const struct synth_shape *shape = &request->shape;
    char name[128], layers[40] = "";
    if (shape->layers != request->layers_published)
        snprintf(layers, sizeof(layers), " with %u of %u layers", shape->layers,
                 request->layers_published);
    snprintf(name, sizeof(name), "%s%s (synthetic, seed %llu)", shape->name, layers,
             (unsigned long long)request->seed);
    pair_string(pairs, "general.architecture", "llama");
    pair_string(pairs, "general.name", name);
    pair_string(pairs, "general.description",
                shape->note[0] != '\0' ? shape->note : "random weights in a published shape");
    pair_u32(pairs, "general.file_type", file_types[request->type]);
    if (request->type == MODEL_Q8_0)
        pair_u32(pairs, "general.quantization_version", 2);
    pair_bool(pairs, "takt.synthetic", true);
}

static void put_hyper_parameters(struct pairs *pairs, const struct synth_shape *shape)
{
    uint32_t head_dim = shape->width / shape->heads;
    pair_u32(pairs, "llama.context_length", shape->context);
    pair_u32(pairs, "llama.embedding_length", shape->width);
    pair_u32(pairs, "llama.block_count", shape->layers);
    pair_u32(pairs, "llama.feed_forward_length", shape->ffn);
    pair_u32(pairs, "llama.attention.head_count", shape->heads);
    pair_u32(pairs, "llama.attention.head_count_kv", shape->kv_heads);
    pair_u32(pairs, "llama.attention.key_length", head_dim);
    pair_u32(pairs, "llama.attention.value_length", head_dim);
    pair_f32(pairs, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    pair_u32(pairs, "llama.rope.dimension_count", head_dim);
    pair_f32(pairs, "llama.rope.freq_base", shape->rope_base);
    pair_u32(pairs, "llama.vocab_size", shape->vocab);
}

static void put_record(struct base_text *out, const struct synth_tensor *tensor)
{
    static const uint32_t numbers[MODEL_TYPE_COUNT] = {
        [MODEL_F32] = 0, [MODEL_F16] = 1, [MODEL_BF16] = 30, [MODEL_Q8_0] = 8};
    put_string(out, tensor->name, strlen(tensor->name));
    put_number(out, tensor->rows == 0 ? 1 : 2, 4);
    put_number(out, tensor->columns, 8);
    if (tensor->rows != 0)
        put_number(out, tensor->rows, 8);
    put_number(out, numbers[tensor->type], 4);
    put_number(out, tensor->offset, 8);
}

void model_synth_header(const struct synth_request *request, const struct synth_tensor *tensors,
                        size_t count, struct base_text *out)
{
    struct pairs pairs = {{NULL, 0, 0}, 0};
    put_general(&pairs, request);
    put_hyper_parameters(&pairs, &request->shape);
    put_tokenizer(&pairs, request->shape.vocab);
    base_text_append(out, "GGUF", 4);
    put_number(out, 3, 4);
    put_number(out, count, 8);
    put_number(out, pairs.count, 8);
    base_text_append(out, pairs.text.data, pairs.text.length);
    base_text_free(&pairs.text);
    for (size_t i = 0; i < count; i++)
        put_record(out, &tensors[i]);
    while (out->length % SYNTH_ALIGNMENT != 0)
        put_number(out, 0, 1);
}
