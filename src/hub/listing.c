/* Listings: reading them, and choosing what of a repository makes a model. */
#include "hub/hub.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FILES_MAX 100000u

void hub_listing_free(struct hub_listing *listing)
{
    for (size_t i = 0; i < listing->count; i++)
        free(listing->files[i].path);
    free(listing->files);
    *listing = (struct hub_listing){NULL, 0};
}

/* A path that stays within its folder and can be shown. */
static bool is_safe(const char *path)
{
    size_t length = strlen(path);
    if (length == 0 || length > 1000 || path[0] == '/' || !base_utf8_valid(path, length))
        return false;
    for (const char *part = path; part != NULL;) {
        const char *slash = strchr(part, '/');
        size_t size = slash == NULL ? strlen(part) : (size_t)(slash - part);
        if (size == 0 || (size == 1 && part[0] == '.') || (size == 2 && memcmp(part, "..", 2) == 0))
            return false;
        part = slash == NULL ? NULL : slash + 1;
    }
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)path[i] < 0x20 || path[i] == 0x7F || path[i] == '\\')
            return false;
    return true;
}

static bool is_hex(const char *text, size_t length)
{
    return text != NULL && strlen(text) == length &&
           strspn(text, "0123456789abcdefABCDEF") == length;
}

static bool add_file(struct hub_listing *listing, const json_t *item)
{
    const json_t *large = json_object_get(item, "lfs");
    const char *path = json_string_value(json_object_get(item, "path"));
    const char *sha256 = json_string_value(json_object_get(large, "oid"));
    const char *sha1 = json_string_value(json_object_get(item, "oid"));
    const json_t *size = json_object_get(json_is_object(large) ? large : item, "size");
    if (sha256 != NULL && strncmp(sha256, "sha256:", 7) == 0)
        sha256 += 7;
    if (!json_is_integer(size) || json_integer_value(size) < 0 || listing->count == FILES_MAX)
        return false;
    struct hub_file *grown =
        realloc(listing->files, (listing->count + 1) * sizeof(*listing->files));
    if (grown == NULL)
        return false;
    listing->files = grown;
    struct hub_file *file = &grown[listing->count];
    *file =
        (struct hub_file){.path = strdup(path), .size_bytes = (uint64_t)json_integer_value(size)};
    if (file->path == NULL)
        return false;
    if (is_hex(sha256, 64))
        strcpy(file->sha256, sha256);
    else if (!json_is_object(large) && is_hex(sha1, 40))
        strcpy(file->sha1, sha1);
    listing->count++;
    return true;
}

enum takt_status hub_read_listing(struct hub_listing *listing, const char *where, const char *json,
                                  size_t length, struct takt_error *error)
{
    json_t *root = json_loadb(json, length, 0, NULL);
    enum takt_status status = TAKT_OK;
    size_t index;
    json_t *item;
    if (!json_is_array(root))
        status = base_fail(error, TAKT_FORMAT, "%s: the answer is no list of files", where);
    json_array_foreach(root, index, item)
    {
        const char *type = json_string_value(json_object_get(item, "type"));
        const char *path = json_string_value(json_object_get(item, "path"));
        if (type == NULL || path == NULL || strcmp(type, "file") != 0 || !is_safe(path))
            continue;
        if (status == TAKT_OK && !add_file(listing, item))
            status = base_fail(error, TAKT_FORMAT, "%s: entry %zu has no size, or is one too many",
                               where, index);
    }
    json_decref(root);
    return status;
}

/* ---- choosing -------------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), size = strlen(end);
    return length >= size && strcasecmp(text + length - size, end) == 0;
}

static const char *leaf_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

/* A model's GGUF file, and of a sharded one the first. */
static bool is_model(const struct hub_file *file)
{
    const char *leaf = leaf_of(file->path), *of = strstr(leaf, "-of-");
    bool later = of != NULL && of - leaf >= 5 && strncmp(of - 5, "00001", 5) != 0;
    return ends_with(leaf, ".gguf") && !later && strcasestr(leaf, "mmproj") == NULL &&
           strcasestr(leaf, "imatrix") == NULL;
}

/* Does the name hold the word, with no letter or digit beside it? */
static bool has_word(const char *path, const char *word)
{
    for (const char *at = path; (at = strcasestr(at, word)) != NULL; at++) {
        char before = at == path ? '-' : at[-1], after = at[strlen(word)];
        bool apart = strchr("-_.", before) != NULL || before == '/';
        if (apart && (after == '\0' || strchr("-./", after) != NULL))
            return true;
    }
    return false;
}

/* Marks a file and, where it is one of several shards, the others. */
static void choose_file(struct hub_listing *listing, struct hub_file *file)
{
    const char *of = strstr(leaf_of(file->path), "-of-");
    file->chosen = true;
    if (of == NULL || of - file->path < 6)
        return;
    size_t stem = (size_t)(of - file->path) - 5;
    for (size_t i = 0; i < listing->count; i++) {
        const char *path = listing->files[i].path;
        if (strlen(path) == strlen(file->path) && strncmp(path, file->path, stem) == 0 &&
            strcmp(path + stem + 5, of) == 0)
            listing->files[i].chosen = true;
    }
}

/* What takt reads of a folder: weights at its top, and the small files beside them. */
static bool choose_folder(struct hub_listing *listing)
{
    static const char *const ends[] = {".safetensors", ".json", ".jinja", "tokenizer.model"};
    bool found = false;
    for (size_t i = 0; i < listing->count; i++) {
        struct hub_file *file = &listing->files[i];
        if (strchr(file->path, '/') != NULL)
            continue;
        for (size_t j = 0; j < BASE_COUNT(ends); j++)
            file->chosen = file->chosen || ends_with(file->path, ends[j]);
        found = found || ends_with(file->path, ".safetensors");
    }
    for (size_t i = 0; !found && i < listing->count; i++)
        listing->files[i].chosen = false;
    return found;
}

static struct hub_file *find_wanted(struct hub_listing *listing, const char *wanted)
{
    for (size_t i = 0; i < listing->count; i++)
        if (strcmp(listing->files[i].path, wanted) == 0)
            return &listing->files[i];
    for (size_t i = 0; i < listing->count; i++)
        if (strcasecmp(leaf_of(listing->files[i].path), wanted) == 0)
            return &listing->files[i];
    for (size_t i = 0; i < listing->count; i++)
        if (is_model(&listing->files[i]) && has_word(listing->files[i].path, wanted))
            return &listing->files[i];
    return NULL;
}

/* Kinds by how they suit takt: eight bits are what its units multiply. */
static struct hub_file *find_best(struct hub_listing *listing)
{
    static const char *const kinds[] = {"Q8_0",  "F16",    "BF16",   "Q6_K", "Q5_K_M", "Q5_K_S",
                                        "Q5_0",  "Q4_K_M", "Q4_K_S", "Q4_0", "IQ4_NL", "IQ4_XS",
                                        "MXFP4", "F32",    "Q3_K_M", "Q2_K"};
    for (size_t k = 0; k < BASE_COUNT(kinds); k++)
        for (size_t i = 0; i < listing->count; i++)
            if (is_model(&listing->files[i]) && has_word(listing->files[i].path, kinds[k]))
                return &listing->files[i];
    for (size_t i = 0; i < listing->count; i++)
        if (is_model(&listing->files[i]))
            return &listing->files[i];
    return NULL;
}

enum takt_status hub_choose(struct hub_listing *listing, const char *repository, const char *wanted,
                            bool *folder, struct takt_error *error)
{
    *folder = false;
    struct hub_file *file = wanted != NULL ? find_wanted(listing, wanted) : find_best(listing);
    if (file != NULL) {
        choose_file(listing, file);
        return TAKT_OK;
    }
    if (wanted == NULL && choose_folder(listing)) {
        *folder = true;
        return TAKT_OK;
    }
    return wanted != NULL
               ? base_fail(error, TAKT_USAGE,
                           "%s: it has no file \"%.100s\"; takt pull %s --list shows its %zu files",
                           repository, wanted, repository, listing->count)
               : base_fail(error, TAKT_USAGE,
                           "%s: it has neither GGUF nor safetensors files, of %zu files in all",
                           repository, listing->count);
}
