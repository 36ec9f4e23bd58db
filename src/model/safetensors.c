/*
 * Tensors of a Hugging Face folder: model.safetensors, or the files that
 * model.safetensors.index.json lists. The format: github.com/huggingface/safetensors, "Format": 8
 * bytes of length, that many of JSON, then the data; offsets count from the end of the JSON.
 */
#include "model/opening.h"

#include <stdlib.h>
#include <string.h>

#define HEADER_BYTES_MAX (100u << 20) /* by the format's own library */
#define FILES_MAX 10000u
#define INDEX_NAME "model.safetensors.index.json"
#define SINGLE_NAME "model.safetensors"

static char *join_path(const char *folder, const char *name)
{
    size_t length = strlen(folder);
    const char *slash = length > 0 && folder[length - 1] == '/' ? "" : "/";
    size_t bytes = length + strlen(name) + 2;
    char *path = malloc(bytes);
    if (path != NULL)
        snprintf(path, bytes, "%s%s%s", folder, slash, name);
    return path;
}

enum takt_status model_folder_json(const struct opening *opening, const char *name, bool required,
                                   json_t **json)
{
    *json = NULL;
    char *path = join_path(opening->path, name);
    struct base_file file = {0};
    struct takt_error ignored;
    if (path == NULL)
        return base_fail(opening->error, TAKT_MEMORY, "%s: no memory to open it; free some",
                         opening->path);
    enum takt_status status = base_file_map(&file, path, required ? opening->error : &ignored);
    if (status != TAKT_OK && !required)
        status = TAKT_OK;
    else if (status == TAKT_OK && file.size_bytes > HEADER_BYTES_MAX)
        status = base_fail(opening->error, TAKT_LIMIT, "%s: %zu bytes of JSON; takt reads up to %u",
                           path, file.size_bytes, HEADER_BYTES_MAX);
    else if (status == TAKT_OK) {
        json_error_t error;
        *json =
            json_loadb((const char *)file.data, file.size_bytes, JSON_REJECT_DUPLICATES, &error);
        if (*json == NULL)
            status = base_fail(opening->error, TAKT_FORMAT,
                               "%s: line %d, column %d: %s; download it again", path, error.line,
                               error.column, error.text);
        else if (!json_is_object(*json))
            status = base_fail(opening->error, TAKT_FORMAT, "%s: not a JSON object", path);
    }
    base_file_unmap(&file);
    free(path);
    return status;
}

enum takt_status model_folder_text(const struct opening *opening, const char *name, char **text)
{
    *text = NULL;
    char *path = join_path(opening->path, name);
    struct base_file file = {0};
    enum takt_status status = TAKT_OK;
    if (path == NULL)
        return base_fail(opening->error, TAKT_MEMORY, "%s: no memory to open it; free some",
                         opening->path);
    if (base_file_map(&file, path, NULL) == TAKT_OK && file.size_bytes > 0) {
        if (memchr(file.data, '\0', file.size_bytes) != NULL)
            status = base_fail(opening->error, TAKT_FORMAT, "%s: holds a zero byte", path);
        else if ((*text = strndup((const char *)file.data, file.size_bytes)) == NULL)
            status = base_fail(opening->error, TAKT_MEMORY, "%s: no memory to read it", path);
    }
    base_file_unmap(&file);
    free(path);
    return status;
}

void model_folder_digest(const struct opening *opening, const char *name,
                         struct base_digest *digest)
{
    char *path = join_path(opening->path, name);
    struct base_file file = {0};
    if (path != NULL && base_file_map(&file, path, NULL) == TAKT_OK)
        base_digest_update(digest, file.data, file.size_bytes);
    base_file_unmap(&file);
    free(path);
}

/* ---- one file -------------------------------------------------------------------------------- */

struct reader {
    struct opening *opening;
    const char *name; /* of the file in the folder */
    const struct base_file *file;
    uint64_t data_start;
};

static enum takt_status refuse(const struct reader *reader, const char *tensor, const char *what)
{
    return base_fail(reader->opening->error, TAKT_FORMAT,
                     "%s: %s: tensor %.80s: %s; download the file again", reader->opening->path,
                     reader->name, tensor, what);
}

static enum takt_status parse_header(struct reader *reader, json_t **header)
{
    const struct opening *opening = reader->opening;
    const unsigned char *data = reader->file->data;
    size_t size = reader->file->size_bytes;
    uint64_t length = 0;
    for (unsigned i = 8; size >= 8 && i-- > 0;)
        length = length << 8 | data[i];
    if (size < 8 || length > size - 8 || length < 2)
        return base_fail(opening->error, TAKT_FORMAT,
                         "%s: %s: byte 0: a header of %llu bytes in a file of %zu; download it "
                         "again",
                         opening->path, reader->name, (unsigned long long)length, size);
    if (length > HEADER_BYTES_MAX)
        return base_fail(opening->error, TAKT_LIMIT,
                         "%s: %s: byte 0: a header of %llu bytes; takt reads up to %u",
                         opening->path, reader->name, (unsigned long long)length, HEADER_BYTES_MAX);
    json_error_t error;
    *header = json_loadb((const char *)data + 8, (size_t)length, JSON_REJECT_DUPLICATES, &error);
    if (*header == NULL || !json_is_object(*header)) {
        json_decref(*header);
        *header = NULL;
        return base_fail(opening->error, TAKT_FORMAT,
                         "%s: %s: header, byte %d: %s; download the file again", opening->path,
                         reader->name, error.position, "not a JSON object");
    }
    reader->data_start = 8 + length;
    return TAKT_OK;
}

static bool known_type(const char *name, enum model_type *type)
{
    static const enum model_type types[] = {MODEL_F32, MODEL_F16, MODEL_BF16};
    for (size_t i = 0; i < BASE_COUNT(types); i++)
        if (strcmp(model_tensor_format(types[i])->name, name) == 0) {
            *type = types[i];
            return true;
        }
    return false;
}

/* Dimensions stand in the order of C arrays: the last is contiguous. */
static enum takt_status read_shape(const struct reader *reader, const char *name,
                                   const json_t *shape, struct tensor_record *record,
                                   uint64_t *elements)
{
    size_t count = json_array_size(shape);
    if (!json_is_array(shape) || count > 4)
        return refuse(reader, name, "its shape is not an array of up to 4 numbers");
    *elements = 1;
    for (size_t i = 0; i < 4; i++)
        record->dims[i] = 1;
    for (size_t i = 0; i < count; i++) {
        const json_t *number = json_array_get(shape, count - 1 - i);
        json_int_t value = json_integer_value(number);
        if (!json_is_integer(number) || value < 1 ||
            (uint64_t)value > (UINT64_C(1) << 56) / *elements)
            return refuse(reader, name, "a dimension is not a number from 1 to 2^56");
        record->dims[i] = (uint64_t)value;
        *elements *= (uint64_t)value;
    }
    return TAKT_OK;
}

static enum takt_status read_record(const struct reader *reader, const char *name,
                                    const json_t *entry, struct tensor_record *record)
{
    const char *type = json_string_value(json_object_get(entry, "dtype"));
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const json_t *from = json_array_get(offsets, 0), *to = json_array_get(offsets, 1);
    uint64_t elements = 0;
    if (type == NULL || !json_is_integer(from) || !json_is_integer(to))
        return refuse(reader, name, "dtype or data_offsets is missing or of the wrong kind");
    enum takt_status status =
        read_shape(reader, name, json_object_get(entry, "shape"), record, &elements);
    if (status != TAKT_OK)
        return status;
    json_int_t begin = json_integer_value(from), end = json_integer_value(to);
    uint64_t room = reader->file->size_bytes - reader->data_start;
    if (begin < 0 || end < begin || (uint64_t)end > room)
        return refuse(reader, name, "its bytes pass the end of the file");
    record->name = (struct gguf_string){name, strlen(name)};
    record->type_name = type;
    record->known = known_type(type, &record->type);
    record->offset = reader->data_start + (uint64_t)begin;
    record->size_bytes = (uint64_t)(end - begin);
    record->data = reader->file->data + record->offset;
    if (record->known &&
        record->size_bytes != elements * model_tensor_format(record->type)->block_bytes)
        return refuse(reader, name, "its bytes do not suit its shape");
    return TAKT_OK;
}

static int compare_offsets(const void *a, const void *b)
{
    const struct tensor_record *x = a, *y = b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Appends the records of one file to those of the opening. */
static enum takt_status read_file(struct opening *opening, const char *name)
{
    struct reader reader = {.opening = opening, .name = name};
    char *path = join_path(opening->path, name);
    if (path == NULL)
        return base_fail(opening->error, TAKT_MEMORY, "%s: no memory to open it; free some",
                         opening->path);
    json_t *header = NULL;
    enum takt_status status = model_files_add(&opening->model->files, path, opening->error);
    free(path);
    if (status != TAKT_OK)
        return status;
    reader.file = &opening->model->files.file[opening->model->files.count - 1];
    status = parse_header(&reader, &header);
    if (status != TAKT_OK)
        return status;
    json_array_append_new(opening->headers, header);
    size_t count = json_object_size(header);
    struct tensor_record *all =
        realloc(opening->records, (opening->tensor_count + count + 1) * sizeof(*all));
    if (all == NULL)
        return base_fail(opening->error, TAKT_MEMORY, "%s: no memory to open it; free some",
                         opening->path);
    opening->records = opening->tensors = all;
    struct tensor_record *mine = all + opening->tensor_count;
    size_t made = 0;
    const char *key;
    json_t *entry;
    json_object_foreach(header, key, entry)
    {
        if (strcmp(key, "__metadata__") == 0)
            continue;
        mine[made] = (struct tensor_record){0};
        status = read_record(&reader, key, entry, &mine[made++]);
        if (status != TAKT_OK)
            return status;
    }
    opening->tensor_count += made;
    if (made > 0)
        qsort(mine, made, sizeof(*mine), compare_offsets);
    for (size_t i = 1; i < made; i++)
        if (mine[i].offset - mine[i - 1].offset < mine[i - 1].size_bytes)
            return refuse(&reader, mine[i].name.text, "it overlaps another one");
    return TAKT_OK;
}

/* ---- several --------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A file name of the folder itself: nothing outside it is opened. */
static bool plain_name(const char *name)
{
    return name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL && strlen(name) < 256;
}

static enum takt_status read_index(struct opening *opening, const json_t *index)
{
    const json_t *map = json_object_get(index, "weight_map");
    size_t count = json_object_size(map), files = 0;
    if (!json_is_object(map) || count == 0)
        return base_fail(opening->error, TAKT_FORMAT,
                         "%s: " INDEX_NAME ": weight_map is missing; download it again",
                         opening->path);
    const char **names = calloc(count, sizeof(*names));
    if (names == NULL)
        return base_fail(opening->error, TAKT_MEMORY, "%s: no memory to open it; free some",
                         opening->path);
    enum takt_status status = TAKT_OK;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)map, key, value)
    {
        const char *name = json_string_value(value);
        if (name == NULL || !plain_name(name)) {
            status = base_fail(opening->error, TAKT_FORMAT,
                               "%s: " INDEX_NAME ": tensor %.80s is in no file of the folder; "
                               "download it again",
                               opening->path, key);
            goto done;
        }
        names[files++] = name;
    }
    qsort(names, files, sizeof(*names), compare_names);
    size_t distinct = 0;
    for (size_t i = 0; i < files; i++)
        if (i == 0 || strcmp(names[i], names[i - 1]) != 0)
            names[distinct++] = names[i];
    if (distinct > FILES_MAX)
        status = base_fail(opening->error, TAKT_LIMIT, "%s: " INDEX_NAME ": %zu files; at most %u",
                           opening->path, distinct, FILES_MAX);
    for (size_t i = 0; status == TAKT_OK && i < distinct; i++)
        status = read_file(opening, names[i]);
done:
    free(names);
    return status;
}

enum takt_status model_open_safetensors(struct opening *opening)
{
    opening->headers = json_array();
    if (opening->headers == NULL)
        return base_fail(opening->error, TAKT_MEMORY, "%s: no memory to open it; free some",
                         opening->path);
    json_t *index = NULL;
    enum takt_status status = model_folder_json(opening, INDEX_NAME, false, &index);
    if (status == TAKT_OK)
        status = index != NULL ? read_index(opening, index) : read_file(opening, SINGLE_NAME);
    json_decref(index);
    if (status != TAKT_OK)
        return status;
    struct gguf_string twice;
    if (!tensor_records_sort(opening->tensors, opening->tensor_count, &twice))
        return base_fail(opening->error, TAKT_FORMAT,
                         "%s: tensor %.*s stands in two files; download them again", opening->path,
                         (int)BASE_MIN(twice.length, (size_t)80), twice.text);
    return TAKT_OK;
}
