/* GGUF models in one file or in several. */
#include "model/gguf.h"

#include <stdlib.h>
#include <string.h>

#define SHARDS_MAX 65535u /* split.count is 16 bits wide */
#define SUFFIX_FORMAT "-%05u-of-%05u.gguf"
#define SUFFIX_BYTES_MAX 32u /* with room for numbers of any size */

enum takt_status model_files_add(struct model_files *files, const char *path,
                                 struct takt_error *error)
{
    if (files->count == files->capacity) {
        uint32_t capacity = BASE_MAX(2 * files->capacity, 4u);
        struct base_file *file = realloc(files->file, capacity * sizeof(*file));
        if (file == NULL)
            return base_fail(error, TAKT_MEMORY, "%s: no memory to open it; free some", path);
        files->file = file;
        files->capacity = capacity;
    }
    enum takt_status status = base_file_map(&files->file[files->count], path, error);
    files->count += status == TAKT_OK ? 1 : 0;
    return status;
}

void model_files_close(struct model_files *files)
{
    for (uint32_t i = 0; i < files->count; i++)
        base_file_unmap(&files->file[i]);
    free(files->file);
    *files = (struct model_files){0};
}

/* One file of several. */
struct shard {
    uint32_t index, count;
    uint32_t tensors; /* in all; 0 = not said */
};

static enum takt_status read_shard(const struct gguf *gguf, struct shard *shard,
                                   struct takt_error *error)
{
    *shard = (struct shard){.count = 1};
    enum takt_status status =
        model_gguf_u32(gguf, "split.count", false, 0, SHARDS_MAX, &shard->count, error);
    if (status != TAKT_OK || shard->count <= 1)
        return status;
    status = model_gguf_u32(gguf, "split.no", true, 0, shard->count - 1, &shard->index, error);
    if (status != TAKT_OK)
        return status;
    return model_gguf_u32(gguf, "split.tensors.count", false, 0, INT32_MAX, &shard->tensors, error);
}

/* The name of part `index` in place of that of `shard`, which path must be; malloc'ed. */
static enum takt_status shard_path(const char *path, const struct shard *shard, uint32_t index,
                                   char **out, struct takt_error *error)
{
    char suffix[SUFFIX_BYTES_MAX];
    int length = snprintf(suffix, sizeof(suffix), SUFFIX_FORMAT, shard->index + 1, shard->count);
    size_t stem = strlen(path) - BASE_MIN(strlen(path), (size_t)length);
    if (strcmp(path + stem, suffix) != 0)
        return base_fail(error, TAKT_FORMAT,
                         "%s: the file is part %u of %u, so its name must end in %s; give it the "
                         "name it was published under",
                         path, shard->index + 1, shard->count, suffix);
    *out = malloc(stem + SUFFIX_BYTES_MAX);
    if (*out == NULL)
        return base_fail(error, TAKT_MEMORY, "%s: no memory to open it; free some", path);
    memcpy(*out, path, stem);
    snprintf(*out + stem, SUFFIX_BYTES_MAX, SUFFIX_FORMAT, index + 1, shard->count);
    return TAKT_OK;
}

/* Maps part `index` and parses it; *gguf is the caller's to close, whatever comes back. */
static enum takt_status open_shard(struct gguf *gguf, struct model_files *files, const char *path,
                                   const struct shard *given, uint32_t index,
                                   struct takt_error *error)
{
    char *name = NULL;
    struct shard found;
    enum takt_status status = shard_path(path, given, index, &name, error);
    if (status == TAKT_OK)
        status = model_files_add(files, name, error);
    if (status == TAKT_OK)
        status = model_gguf_open(gguf, name, &files->file[files->count - 1], error);
    if (status == TAKT_OK)
        status = read_shard(gguf, &found, error);
    if (status == TAKT_OK && (found.count != given->count || found.index != index))
        status = base_fail(error, TAKT_FORMAT,
                           "%s: says that it is part %u of %u, wanted part %u of %u; download it "
                           "again",
                           name, found.index + 1, found.count, index + 1, given->count);
    free(name);
    gguf->path = path; /* messages name what the caller knows */
    return status;
}

/* Puts the tensors of parts[0..count) into the first one. */
static enum takt_status join(struct gguf *parts, uint32_t count, uint32_t stated,
                             struct takt_error *error)
{
    struct gguf *first = &parts[0];
    size_t total = 0;
    for (uint32_t i = 0; i < count; i++)
        total += parts[i].tensor_count;
    if (stated != 0 && stated != total)
        return base_fail(error, TAKT_FORMAT,
                         "%s: split.tensors.count is %u, but the %u parts hold %zu tensors; "
                         "download them again",
                         first->path, stated, count, total);
    enum takt_status status =
        base_arena_create(&first->joined, (total + 1) * sizeof(*first->tensors) + 64, error);
    if (status != TAKT_OK)
        return status;
    struct tensor_record *all = BASE_NEW(&first->joined, struct tensor_record, total + 1);
    size_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (parts[i].tensor_count > 0)
            memcpy(all + at, parts[i].tensors, parts[i].tensor_count * sizeof(*all));
        at += parts[i].tensor_count;
    }
    first->tensors = all;
    first->tensor_count = total;
    struct gguf_string twice;
    if (!tensor_records_sort(all, total, &twice))
        return base_fail(error, TAKT_FORMAT,
                         "%s: tensor %.*s stands in two parts; download them again", first->path,
                         (int)twice.length, twice.text);
    return TAKT_OK;
}

/* `given` describes the file that was named, which is mapped already, alone. */
static enum takt_status open_parts(struct gguf *gguf, struct model_files *files, const char *path,
                                   const struct shard *given, struct takt_error *error)
{
    model_gguf_close(gguf);
    model_files_close(files);
    /* Grown as files are found: a count alone takes no memory. */
    struct gguf *parts = NULL;
    uint32_t count = 0;
    enum takt_status status = TAKT_OK;
    while (count < given->count && status == TAKT_OK) {
        struct gguf *more = realloc(parts, (count + 1) * sizeof(*parts));
        if (more == NULL) {
            status = base_fail(error, TAKT_MEMORY, "%s: no memory to open it; free some", path);
            break;
        }
        parts = more;
        parts[count] = (struct gguf){0};
        status = open_shard(&parts[count], files, path, given, count, error);
        count++;
    }
    if (status == TAKT_OK)
        status = join(parts, count, given->tensors, error);
    if (status == TAKT_OK)
        *gguf = parts[0];
    for (uint32_t i = status == TAKT_OK ? 1 : 0; i < count; i++)
        model_gguf_close(&parts[i]);
    free(parts);
    return status;
}

enum takt_status model_gguf_open_files(struct gguf *gguf, struct model_files *files,
                                       const char *path, struct takt_error *error)
{
    *gguf = (struct gguf){0};
    struct shard shard;
    enum takt_status status = model_files_add(files, path, error);
    if (status == TAKT_OK)
        status = model_gguf_open(gguf, path, &files->file[0], error);
    if (status == TAKT_OK)
        status = read_shard(gguf, &shard, error);
    if (status == TAKT_OK && shard.count > 1)
        status = open_parts(gguf, files, path, &shard, error);
    if (status != TAKT_OK)
        model_gguf_close(gguf);
    return status;
}
