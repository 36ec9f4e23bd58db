/* Parsing of the GGUF container. Nothing is read before it is known to lie inside the file. */
#include "model/gguf.h"

#include <stdlib.h>
#include <string.h>

#define NAME_BYTES_MAX 64u   /* of a tensor, by the format's document */
#define KEY_BYTES_MAX 65535u /* by the format's document */
#define PAIR_BYTES_MIN 14u   /* key length 8, key 1, type 4, value 1 */
#define TENSOR_BYTES_MIN                                                                           \
    33u /* name length 8, name 1, dimensions 4, one of them 8, type 4, offset 8 */
#define ALIGNMENT_DEFAULT 32u
#define ALIGNMENT_MAX (1u << 20)

/* Names in messages are cut to this many bytes. */
#define SHOWN(string) (int)BASE_MIN((string).length, (size_t)80), (string).text

struct reader {
    const char *path;
    const unsigned char *data;
    size_t size_bytes, at;
    struct takt_error *error;
};

static enum takt_status cut_short(const struct reader *reader, const char *what)
{
    return base_fail(reader->error, TAKT_FORMAT,
                     "%s: byte %zu: the file ends inside %s (size %zu bytes); download it again",
                     reader->path, reader->at, what, reader->size_bytes);
}

static bool available(const struct reader *reader, uint64_t bytes)
{
    return bytes <= reader->size_bytes - reader->at;
}

static uint64_t little_endian(const unsigned char *data, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = bytes; i-- > 0;)
        value = value << 8 | data[i];
    return value;
}

uint32_t model_gguf_read_u32(const unsigned char *data)
{
    return (uint32_t)little_endian(data, 4);
}

float model_gguf_read_f32(const unsigned char *data)
{
    uint32_t bits = model_gguf_read_u32(data);
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static enum takt_status read_number(struct reader *reader, unsigned bytes, const char *what,
                                    uint64_t *value)
{
    if (!available(reader, bytes))
        return cut_short(reader, what);
    *value = little_endian(reader->data + reader->at, bytes);
    reader->at += bytes;
    return TAKT_OK;
}

static enum takt_status read_string(struct reader *reader, const char *what,
                                    struct gguf_string *string)
{
    uint64_t length = 0;
    size_t start = reader->at;
    enum takt_status status = read_number(reader, 8, what, &length);
    if (status != TAKT_OK)
        return status;
    if (!available(reader, length))
        return base_fail(reader->error, TAKT_FORMAT,
                         "%s: byte %zu: %s of %llu bytes passes the file's end (size %zu bytes); "
                         "download it again",
                         reader->path, start, what, (unsigned long long)length, reader->size_bytes);
    string->text = (const char *)(reader->data + reader->at);
    string->length = (size_t)length;
    reader->at += (size_t)length;
    return TAKT_OK;
}

/* A key or a tensor's name: text that can be shown and held as a C string. */
static enum takt_status read_name(struct reader *reader, const char *what, size_t bytes_max,
                                  struct gguf_string *name)
{
    size_t start = reader->at;
    enum takt_status status = read_string(reader, what, name);
    if (status != TAKT_OK)
        return status;
    if (name->length == 0 || name->length > bytes_max)
        return base_fail(reader->error, TAKT_FORMAT,
                         "%s: byte %zu: %s of %zu bytes; the format allows 1 to %zu", reader->path,
                         start, what, name->length, bytes_max);
    if (memchr(name->text, '\0', name->length) != NULL ||
        !base_utf8_valid(name->text, name->length))
        return base_fail(reader->error, TAKT_FORMAT,
                         "%s: byte %zu: %s is not UTF-8 text; download the file again",
                         reader->path, start, what);
    return TAKT_OK;
}

/* 0 for strings and arrays, whose size is in the file. */
static unsigned type_bytes(enum gguf_type type)
{
    static const unsigned char bytes[GGUF_TYPE_COUNT] = {
        [GGUF_U8] = 1,  [GGUF_I8] = 1,  [GGUF_U16] = 2, [GGUF_I16] = 2,
        [GGUF_U32] = 4, [GGUF_I32] = 4, [GGUF_F32] = 4, [GGUF_BOOL] = 1,
        [GGUF_U64] = 8, [GGUF_I64] = 8, [GGUF_F64] = 8,
    };
    return bytes[type];
}

static const char *type_name(enum gguf_type type)
{
    static const char *const names[GGUF_TYPE_COUNT] = {
        "u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
        "bool", "string", "array", "u64", "i64", "f64",
    };
    return names[type];
}

static enum takt_status read_type(struct reader *reader, struct gguf_string key,
                                  enum gguf_type *type)
{
    uint64_t number = 0;
    size_t start = reader->at;
    enum takt_status status = read_number(reader, 4, "a value's type", &number);
    if (status != TAKT_OK)
        return status;
    if (number >= GGUF_TYPE_COUNT)
        return base_fail(reader->error, TAKT_FORMAT,
                         "%s: byte %zu: key %.*s has type %llu; the format has 0 to %d",
                         reader->path, start, SHOWN(key), (unsigned long long)number,
                         GGUF_TYPE_COUNT - 1);
    *type = (enum gguf_type)number;
    return TAKT_OK;
}

/* Passes over the elements, checking every length. */
static enum takt_status skip_elements(struct reader *reader, const struct gguf_pair *pair)
{
    if (pair->element == GGUF_STRING) {
        if (pair->count > (reader->size_bytes - reader->at) / 8)
            return base_fail(
                reader->error, TAKT_FORMAT,
                "%s: byte %zu: key %.*s counts %llu strings, more than the file holds; "
                "download it again",
                reader->path, reader->at, SHOWN(pair->key), (unsigned long long)pair->count);
        for (uint64_t i = 0; i < pair->count; i++) {
            struct gguf_string string;
            enum takt_status status = read_string(reader, "a string value", &string);
            if (status != TAKT_OK)
                return status;
        }
        return TAKT_OK;
    }
    unsigned bytes = type_bytes(pair->element);
    if (pair->count > (reader->size_bytes - reader->at) / bytes)
        return base_fail(
            reader->error, TAKT_FORMAT,
            "%s: byte %zu: key %.*s counts %llu values of %u bytes, more than the file "
            "holds; download it again",
            reader->path, reader->at, SHOWN(pair->key), (unsigned long long)pair->count, bytes);
    reader->at += (size_t)pair->count * bytes;
    return TAKT_OK;
}

static enum takt_status read_pair(struct reader *reader, struct gguf_pair *pair)
{
    enum takt_status status = read_name(reader, "a key", KEY_BYTES_MAX, &pair->key);
    if (status == TAKT_OK)
        status = read_type(reader, pair->key, &pair->type);
    if (status != TAKT_OK)
        return status;
    pair->element = pair->type;
    pair->count = 1;
    if (pair->type == GGUF_ARRAY) {
        status = read_type(reader, pair->key, &pair->element);
        if (status == TAKT_OK)
            status = read_number(reader, 8, "an array's count", &pair->count);
        if (status != TAKT_OK)
            return status;
        if (pair->element == GGUF_ARRAY)
            return base_fail(
                reader->error, TAKT_UNSUPPORTED,
                "%s: byte %zu: key %.*s is an array of arrays; takt reads plain arrays",
                reader->path, reader->at, SHOWN(pair->key));
    }
    pair->data = reader->data + reader->at;
    return skip_elements(reader, pair);
}

static enum takt_status read_dims(struct reader *reader, struct tensor_record *tensor,
                                  uint64_t *elements)
{
    uint64_t count = 0;
    enum takt_status status = read_number(reader, 4, "a tensor's dimensions", &count);
    if (status != TAKT_OK)
        return status;
    if (count < 1 || count > 4)
        return base_fail(reader->error, TAKT_FORMAT,
                         "%s: tensor %.*s has %llu dimensions; the format allows 1 to 4",
                         reader->path, SHOWN(tensor->name), (unsigned long long)count);
    *elements = 1;
    for (unsigned i = 0; i < 4; i++) {
        tensor->dims[i] = 1;
        if (i >= count)
            continue;
        status = read_number(reader, 8, "a tensor's dimensions", &tensor->dims[i]);
        if (status != TAKT_OK)
            return status;
        if (tensor->dims[i] == 0)
            return base_fail(reader->error, TAKT_FORMAT,
                             "%s: tensor %.*s: dimension %u is 0; download the file again",
                             reader->path, SHOWN(tensor->name), i);
        /* 2^56 elements are beyond any file, and leave room for the size in bytes. */
        if (tensor->dims[i] > (UINT64_C(1) << 56) / *elements)
            return base_fail(reader->error, TAKT_FORMAT,
                             "%s: tensor %.*s: dimension %u is %llu, too large for any file",
                             reader->path, SHOWN(tensor->name), i,
                             (unsigned long long)tensor->dims[i]);
        *elements *= tensor->dims[i];
    }
    return TAKT_OK;
}

static enum takt_status read_tensor(struct reader *reader, struct tensor_record *tensor)
{
    enum takt_status status = read_name(reader, "a tensor's name", NAME_BYTES_MAX, &tensor->name);
    uint64_t elements = 0, type = 0;
    if (status == TAKT_OK)
        status = read_dims(reader, tensor, &elements);
    if (status == TAKT_OK)
        status = read_number(reader, 4, "a tensor's type", &type);
    if (status == TAKT_OK)
        status = read_number(reader, 8, "a tensor's offset", &tensor->offset);
    if (status != TAKT_OK)
        return status;
    tensor->number = (uint32_t)type;
    tensor->type_name = model_tensor_type_name(tensor->number);
    tensor->known = model_tensor_type(tensor->number, &tensor->type);
    if (!tensor->known)
        return TAKT_OK;
    const struct model_format *format = model_tensor_format(tensor->type);
    if (tensor->dims[0] % format->block != 0)
        return base_fail(reader->error, TAKT_FORMAT,
                         "%s: tensor %.*s: %s needs rows of a multiple of %u elements, found %llu",
                         reader->path, SHOWN(tensor->name), format->name, format->block,
                         (unsigned long long)tensor->dims[0]);
    tensor->size_bytes = elements / format->block * format->block_bytes;
    return TAKT_OK;
}

/* ---- order ----------------------------------------------------------------------------------- */

static int compare_strings(struct gguf_string a, struct gguf_string b)
{
    int order = memcmp(a.text, b.text, BASE_MIN(a.length, b.length));
    return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

static int compare_pairs(const void *a, const void *b)
{
    return compare_strings(((const struct gguf_pair *)a)->key, ((const struct gguf_pair *)b)->key);
}

static int compare_offsets(const void *a, const void *b)
{
    const struct tensor_record *left = a, *right = b;
    return (left->offset > right->offset) - (left->offset < right->offset);
}

/* ---- sections -------------------------------------------------------------------------------- */

static enum takt_status read_header(struct reader *reader, struct gguf *gguf)
{
    if (reader->size_bytes < 4 || memcmp(reader->data, "GGUF", 4) != 0)
        return base_fail(reader->error, TAKT_FORMAT,
                         "%s: byte 0: not a GGUF file (it does not begin with \"GGUF\"); give a "
                         "model in GGUF form",
                         reader->path);
    reader->at = 4;
    uint64_t version = 0, tensors = 0, pairs = 0;
    enum takt_status status = read_number(reader, 4, "the header", &version);
    if (status == TAKT_OK && version != 2 && version != 3)
        return base_fail(reader->error, TAKT_UNSUPPORTED,
                         "%s: byte 4: GGUF version %llu; takt reads little-endian versions 2 and 3",
                         reader->path, (unsigned long long)version);
    if (status == TAKT_OK)
        status = read_number(reader, 8, "the header", &tensors);
    if (status == TAKT_OK)
        status = read_number(reader, 8, "the header", &pairs);
    if (status != TAKT_OK)
        return status;
    size_t rest = reader->size_bytes - reader->at;
    if (tensors > rest / TENSOR_BYTES_MIN || pairs > rest / PAIR_BYTES_MIN)
        return base_fail(reader->error, TAKT_FORMAT,
                         "%s: byte 8: %llu tensors and %llu keys are more than %zu bytes can hold; "
                         "download the file again",
                         reader->path, (unsigned long long)tensors, (unsigned long long)pairs,
                         reader->size_bytes);
    gguf->version = (uint32_t)version;
    gguf->tensor_count = (size_t)tensors;
    gguf->pair_count = (size_t)pairs;
    return TAKT_OK;
}

static enum takt_status read_pairs(struct reader *reader, struct gguf *gguf)
{
    for (size_t i = 0; i < gguf->pair_count; i++) {
        enum takt_status status = read_pair(reader, &gguf->pairs[i]);
        if (status != TAKT_OK)
            return status;
    }
    qsort(gguf->pairs, gguf->pair_count, sizeof(*gguf->pairs), compare_pairs);
    for (size_t i = 1; i < gguf->pair_count; i++)
        if (compare_pairs(&gguf->pairs[i - 1], &gguf->pairs[i]) == 0)
            return base_fail(reader->error, TAKT_FORMAT,
                             "%s: key %.*s stands twice; download the file again", reader->path,
                             SHOWN(gguf->pairs[i].key));
    gguf->alignment = ALIGNMENT_DEFAULT;
    enum takt_status status = model_gguf_u32(gguf, "general.alignment", false, 1, ALIGNMENT_MAX,
                                             &gguf->alignment, reader->error);
    if (status == TAKT_OK && (gguf->alignment & (gguf->alignment - 1)) != 0)
        return base_fail(reader->error, TAKT_FORMAT,
                         "%s: general.alignment is %u; it must be a power of two", reader->path,
                         gguf->alignment);
    return status;
}

/* Turns offsets within the data section into offsets within the file, and checks each extent. */
static enum takt_status place_tensors(struct reader *reader, struct gguf *gguf)
{
    size_t padding = (gguf->alignment - reader->at % gguf->alignment) % gguf->alignment;
    if (!available(reader, padding))
        return gguf->tensor_count == 0 ? TAKT_OK
                                       : cut_short(reader, "the padding before the tensors");
    uint64_t start = reader->at + padding;
    for (size_t i = 0; i < gguf->tensor_count; i++) {
        struct tensor_record *tensor = &gguf->tensors[i];
        if (tensor->offset % gguf->alignment != 0)
            return base_fail(reader->error, TAKT_FORMAT,
                             "%s: tensor %.*s: offset %llu is no multiple of the alignment %u",
                             reader->path, SHOWN(tensor->name), (unsigned long long)tensor->offset,
                             gguf->alignment);
        uint64_t room = gguf->size_bytes - start;
        if (tensor->offset > room || tensor->size_bytes > room - tensor->offset)
            return base_fail(reader->error, TAKT_FORMAT,
                             "%s: tensor %.*s: %llu bytes at offset %llu pass the end of the file "
                             "(size %zu bytes); download it again",
                             reader->path, SHOWN(tensor->name),
                             (unsigned long long)tensor->size_bytes,
                             (unsigned long long)tensor->offset, gguf->size_bytes);
        tensor->offset += start;
        tensor->data = gguf->data + tensor->offset;
    }
    qsort(gguf->tensors, gguf->tensor_count, sizeof(*gguf->tensors), compare_offsets);
    for (size_t i = 1; i < gguf->tensor_count; i++) {
        const struct tensor_record *before = &gguf->tensors[i - 1], *after = &gguf->tensors[i];
        if (after->offset - before->offset < before->size_bytes)
            return base_fail(
                reader->error, TAKT_FORMAT,
                "%s: tensors %.*s and %.*s overlap at byte %llu; download the file again",
                reader->path, SHOWN(before->name), SHOWN(after->name),
                (unsigned long long)after->offset);
    }
    return TAKT_OK;
}

static enum takt_status read_tensors(struct reader *reader, struct gguf *gguf)
{
    for (size_t i = 0; i < gguf->tensor_count; i++) {
        enum takt_status status = read_tensor(reader, &gguf->tensors[i]);
        if (status != TAKT_OK)
            return status;
    }
    enum takt_status status = place_tensors(reader, gguf);
    if (status != TAKT_OK)
        return status;
    struct gguf_string twice;
    if (!tensor_records_sort(gguf->tensors, gguf->tensor_count, &twice))
        return base_fail(reader->error, TAKT_FORMAT,
                         "%s: tensor %.*s stands twice; download the file again", reader->path,
                         SHOWN(twice));
    return TAKT_OK;
}

enum takt_status model_gguf_open(struct gguf *gguf, const char *path, const struct base_file *file,
                                 struct takt_error *error)
{
    *gguf = (struct gguf){.path = path, .data = file->data, .size_bytes = file->size_bytes};
    struct reader reader = {
        .path = path, .data = file->data, .size_bytes = file->size_bytes, .error = error};
    enum takt_status status = read_header(&reader, gguf);
    if (status != TAKT_OK)
        return status;
    /* The counts were checked against the file's size, so the products cannot overflow. */
    size_t bytes =
        gguf->pair_count * sizeof(*gguf->pairs) + gguf->tensor_count * sizeof(*gguf->tensors) + 256;
    status = base_arena_create(&gguf->arena, bytes, error);
    if (status != TAKT_OK)
        return status;
    gguf->pairs = BASE_NEW(&gguf->arena, struct gguf_pair, gguf->pair_count);
    gguf->tensors = BASE_NEW(&gguf->arena, struct tensor_record, gguf->tensor_count);
    status = read_pairs(&reader, gguf);
    if (status == TAKT_OK)
        status = read_tensors(&reader, gguf);
    if (status != TAKT_OK)
        model_gguf_close(gguf);
    return status;
}

void model_gguf_close(struct gguf *gguf)
{
    base_arena_destroy(&gguf->arena);
    base_arena_destroy(&gguf->joined);
    *gguf = (struct gguf){0};
}

/* ---- lookups --------------------------------------------------------------------------------- */

const struct gguf_pair *model_gguf_find(const struct gguf *gguf, const char *key)
{
    struct gguf_pair wanted = {.key = {key, strlen(key)}};
    return gguf->pair_count == 0 ? NULL
                                 : bsearch(&wanted, gguf->pairs, gguf->pair_count,
                                           sizeof(*gguf->pairs), compare_pairs);
}

struct tensor_record *model_gguf_find_tensor(const struct gguf *gguf, const char *name)
{
    return tensor_records_find(gguf->tensors, gguf->tensor_count, name);
}

static enum takt_status missing(const struct gguf *gguf, const char *key, bool required,
                                struct takt_error *error)
{
    if (!required)
        return TAKT_OK;
    return base_fail(error, TAKT_FORMAT, "%s: key %s is missing; convert the model again",
                     gguf->path, key);
}

static enum takt_status wrong_type(const struct gguf *gguf, const struct gguf_pair *pair,
                                   const char *wanted, struct takt_error *error)
{
    bool array = pair->type == GGUF_ARRAY;
    return base_fail(error, TAKT_FORMAT, "%s: key %.*s has type %s%s, wanted %s", gguf->path,
                     SHOWN(pair->key), array ? "array of " : "", type_name(pair->element), wanted);
}

/* Any integer type, as a signed number and whether it lies beyond one. */
static bool read_integer(const struct gguf_pair *pair, int64_t *value)
{
    uint64_t bits = little_endian(pair->data, type_bytes(pair->type));
    switch (pair->type) {
    case GGUF_U8:
    case GGUF_U16:
    case GGUF_U32:
    case GGUF_U64: *value = bits > INT64_MAX ? INT64_MAX : (int64_t)bits; return true;
    case GGUF_I8:
    case GGUF_I16:
    case GGUF_I32:
    case GGUF_I64: {
        /* Sign extension by flipping about the sign bit, in unsigned arithmetic. */
        uint64_t sign = UINT64_C(1) << (8 * type_bytes(pair->type) - 1);
        uint64_t extended = (bits ^ sign) - sign;
        memcpy(value, &extended, sizeof(*value));
        return true;
    }
    default: return false;
    }
}

enum takt_status model_gguf_u32(const struct gguf *gguf, const char *key, bool required,
                                uint32_t minimum, uint32_t maximum, uint32_t *value,
                                struct takt_error *error)
{
    const struct gguf_pair *pair = model_gguf_find(gguf, key);
    if (pair == NULL)
        return missing(gguf, key, required, error);
    int64_t number;
    if (!read_integer(pair, &number))
        return wrong_type(gguf, pair, "one integer", error);
    if (number < minimum || number > maximum)
        return base_fail(error, TAKT_FORMAT, "%s: %s is %lld, wanted %u to %u", gguf->path, key,
                         (long long)number, minimum, maximum);
    *value = (uint32_t)number;
    return TAKT_OK;
}

enum takt_status model_gguf_f64(const struct gguf *gguf, const char *key, bool required,
                                double *value, struct takt_error *error)
{
    const struct gguf_pair *pair = model_gguf_find(gguf, key);
    if (pair == NULL)
        return missing(gguf, key, required, error);
    double number;
    if (pair->type == GGUF_F32) {
        number = (double)model_gguf_read_f32(pair->data);
    } else if (pair->type == GGUF_F64) {
        uint64_t bits = little_endian(pair->data, 8);
        memcpy(&number, &bits, sizeof(number));
    } else {
        return wrong_type(gguf, pair, "one f32 or f64", error);
    }
    if (!(number - number == 0.0)) /* neither NaN nor infinite */
        return base_fail(error, TAKT_FORMAT, "%s: %s is %g, wanted a finite number", gguf->path,
                         key, number);
    *value = number;
    return TAKT_OK;
}

enum takt_status model_gguf_bool(const struct gguf *gguf, const char *key, bool *value,
                                 struct takt_error *error)
{
    const struct gguf_pair *pair = model_gguf_find(gguf, key);
    if (pair == NULL)
        return TAKT_OK;
    if (pair->type != GGUF_BOOL)
        return wrong_type(gguf, pair, "bool", error);
    if (pair->data[0] > 1)
        return base_fail(error, TAKT_FORMAT, "%s: %s is %u, wanted 0 or 1", gguf->path, key,
                         (unsigned)pair->data[0]);
    *value = pair->data[0] == 1;
    return TAKT_OK;
}

enum takt_status model_gguf_string(const struct gguf *gguf, const char *key, bool required,
                                   struct gguf_string *value, struct takt_error *error)
{
    const struct gguf_pair *pair = model_gguf_find(gguf, key);
    if (pair == NULL)
        return missing(gguf, key, required, error);
    if (pair->type != GGUF_STRING)
        return wrong_type(gguf, pair, "string", error);
    const unsigned char *cursor = pair->data;
    *value = model_gguf_next_string(&cursor);
    return TAKT_OK;
}

enum takt_status model_gguf_array(const struct gguf *gguf, const char *key, bool required,
                                  enum gguf_type element, const struct gguf_pair **found,
                                  struct takt_error *error)
{
    const struct gguf_pair *pair = model_gguf_find(gguf, key);
    *found = pair;
    if (pair == NULL)
        return missing(gguf, key, required, error);
    if (pair->type != GGUF_ARRAY || pair->element != element) {
        char wanted[32];
        snprintf(wanted, sizeof(wanted), "array of %s", type_name(element));
        return wrong_type(gguf, pair, wanted, error);
    }
    return TAKT_OK;
}

struct gguf_string model_gguf_next_string(const unsigned char **cursor)
{
    struct gguf_string string = {.length = (size_t)little_endian(*cursor, 8)};
    string.text = (const char *)(*cursor + 8);
    *cursor += 8 + string.length;
    return string;
}

bool model_gguf_string_is(struct gguf_string string, const char *text)
{
    return string.length == strlen(text) && memcmp(string.text, text, string.length) == 0;
}
