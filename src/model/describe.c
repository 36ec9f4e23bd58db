/* See describe.h. */
#include "model/describe.h"

#include "model/opening.h"

#include <stdlib.h>
#include <string.h>

#define VALUE_BYTES_MAX 160u /* of a string that is shown whole */
#define ITEMS_MAX 6u         /* of an array */

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

/* Bytes of a file as JSON text: what is not UTF-8, or too long, is cut off there. */
static json_t *text_of(struct gguf_string string)
{
    size_t whole = 0, size;
    while (whole < string.length && whole < VALUE_BYTES_MAX &&
           (size = base_utf8_size(string.text + whole, string.length - whole)) != 0)
        whole += size;
    if (whole == string.length)
        return json_stringn(string.text, whole);
    struct base_text text = {0};
    base_text_append(&text, string.text, whole);
    base_text_format(&text, "... (%zu bytes)", string.length);
    json_t *json = json_stringn(text.data, text.length);
    base_text_free(&text);
    return json;
}

/* ---- GGUF ------------------------------------------------------------------------------------ */

static uint64_t bits_of(const unsigned char *data, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = bytes; i-- > 0;)
        value = value << 8 | data[i];
    return value;
}

static json_t *real_of(double value)
{
    return value - value == 0.0 ? json_real(value) : json_string(value != value ? "NaN" : "inf");
}

/* One element; *cursor passes over it. */
static json_t *element_of(enum gguf_type type, const unsigned char **cursor)
{
    static const unsigned char sizes[GGUF_TYPE_COUNT] = {
        [GGUF_U8] = 1,  [GGUF_I8] = 1,  [GGUF_U16] = 2, [GGUF_I16] = 2,
        [GGUF_U32] = 4, [GGUF_I32] = 4, [GGUF_F32] = 4, [GGUF_BOOL] = 1,
        [GGUF_U64] = 8, [GGUF_I64] = 8, [GGUF_F64] = 8,
    };
    if (type == GGUF_STRING)
        return text_of(model_gguf_next_string(cursor));
    const uint64_t bits = bits_of(*cursor, sizes[type]);
    double wide;
    *cursor += sizes[type];
    switch (type) {
    case GGUF_I8: return json_integer((int8_t)bits);
    case GGUF_I16: return json_integer((int16_t)bits);
    case GGUF_I32: return json_integer((int32_t)bits);
    case GGUF_I64: return json_integer((int64_t)bits);
    case GGUF_BOOL: return json_boolean(bits != 0);
    case GGUF_F32: return real_of((double)model_gguf_read_f32(*cursor - 4));
    case GGUF_F64: memcpy(&wide, &bits, sizeof(wide)); return real_of(wide);
    default: return number(bits);
    }
}

static json_t *value_of(const struct gguf_pair *pair)
{
    const unsigned char *cursor = pair->data;
    if (pair->type != GGUF_ARRAY)
        return element_of(pair->type, &cursor);
    json_t *array = json_array();
    for (uint64_t i = 0; i < pair->count && i < ITEMS_MAX; i++)
        json_array_append_new(array, element_of(pair->element, &cursor));
    if (pair->count <= ITEMS_MAX)
        return array;
    json_t *object = json_object();
    json_object_set_new(object, "count", number(pair->count));
    json_object_set_new(object, "first", array);
    return object;
}

static json_t *gguf_metadata(const struct gguf *gguf)
{
    json_t *metadata = json_object();
    for (size_t i = 0; i < gguf->pair_count; i++) {
        const struct gguf_pair *pair = &gguf->pairs[i];
        json_object_setn_new(metadata, pair->key.text, pair->key.length, value_of(pair));
    }
    return metadata;
}

static json_t *gguf_tokenizer(const struct gguf *gguf)
{
    static const char *const keys[] = {"tokenizer.ggml.model", "tokenizer.ggml.pre"};
    static const char *const names[] = {"model", "pre"};
    json_t *object = json_object();
    for (size_t i = 0; i < BASE_COUNT(keys); i++) {
        struct gguf_string value = {NULL, 0};
        if (model_gguf_string(gguf, keys[i], false, &value, NULL) == TAKT_OK && value.text != NULL)
            json_object_set_new(object, names[i], text_of(value));
    }
    return object;
}

/* ---- folders --------------------------------------------------------------------------------- */

static json_t *folder_tokenizer(const struct opening *opening)
{
    json_t *object = json_object(), *file = NULL;
    if (model_folder_json(opening, "tokenizer.json", false, &file) == TAKT_OK && file != NULL) {
        const json_t *type = json_object_get(json_object_get(file, "model"), "type");
        json_object_set_new(
            object, "model",
            json_string(json_is_string(type) ? json_string_value(type) : "tokenizer.json"));
    }
    json_decref(file);
    return object;
}

/* ---- both ------------------------------------------------------------------------------------ */

static uint64_t elements_of(const struct tensor_record *record)
{
    return record->dims[0] * record->dims[1] * record->dims[2] * record->dims[3];
}

static json_t *tensor_of(const struct tensor_record *record)
{
    json_t *object = json_object(), *shape = json_array();
    int last = 3;
    while (last > 0 && record->dims[last] == 1)
        last--;
    for (int i = last; i >= 0; i--) /* rows first */
        json_array_append_new(shape, number(record->dims[i]));
    json_object_set_new(object, "name", json_stringn(record->name.text, record->name.length));
    json_object_set_new(object, "type", json_string(record->type_name));
    json_object_set_new(object, "shape", shape);
    json_object_set_new(object, "bytes", record->known ? number(record->size_bytes) : json_null());
    return object;
}

static void add_to(json_t *object, const char *key, uint64_t value)
{
    const json_int_t before = json_integer_value(json_object_get(object, key));
    json_object_set_new(object, key, json_integer(before + (json_int_t)value));
}

/* The entry of a type in the list, made when it is not there. */
static json_t *type_entry(json_t *types, const char *name)
{
    size_t i;
    json_t *entry;
    json_array_foreach(types, i, entry)
    {
        if (strcmp(json_string_value(json_object_get(entry, "type")), name) == 0)
            return entry;
    }
    entry = json_object();
    json_object_set_new(entry, "type", json_string(name));
    json_array_append_new(types, entry);
    return entry;
}

static void add_tensors(json_t *object, const struct opening *opening)
{
    json_t *tensors = json_array(), *types = json_array();
    uint64_t parameters = 0, bytes = 0;
    for (size_t i = 0; i < opening->tensor_count; i++) {
        const struct tensor_record *record = &opening->tensors[i];
        json_t *entry = type_entry(types, record->type_name);
        add_to(entry, "tensors", 1);
        add_to(entry, "parameters", elements_of(record));
        add_to(entry, "bytes", record->size_bytes);
        json_array_append_new(tensors, tensor_of(record));
        parameters += elements_of(record);
        bytes += record->size_bytes;
    }
    json_object_set_new(object, "parameters", number(parameters));
    json_object_set_new(object, "tensor_bytes", number(bytes));
    json_object_set_new(object, "tensor_types", types);
    json_object_set_new(object, "tensors", tensors);
}

enum takt_status model_describe(const char *path, json_t **out, struct takt_error *error)
{
    struct model model = {0}; /* only its files */
    struct opening opening = {.model = &model, .path = path, .error = error};
    enum takt_status status = model_open_container(&opening);
    if (status == TAKT_OK) {
        json_t *object = json_object();
        uint64_t bytes = 0;
        for (uint32_t i = 0; i < model.files.count; i++)
            bytes += model.files.file[i].size_bytes;
        json_object_set_new(object, "path", text_of((struct gguf_string){path, strlen(path)}));
        json_object_set_new(object, "kind", json_string(opening.folder ? "huggingface" : "gguf"));
        if (!opening.folder)
            json_object_set_new(object, "version", number(opening.gguf.version));
        json_object_set_new(object, "files", number(model.files.count));
        json_object_set_new(object, "bytes", number(bytes));
        json_object_set_new(object, "metadata",
                            opening.folder ? json_incref(opening.config_file)
                                           : gguf_metadata(&opening.gguf));
        json_object_set_new(object, "tokenizer",
                            opening.folder ? folder_tokenizer(&opening)
                                           : gguf_tokenizer(&opening.gguf));
        add_tensors(object, &opening);
        *out = object;
    }
    model_close_container(&opening);
    model_files_close(&model.files);
    return status;
}
