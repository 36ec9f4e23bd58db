/*
 * Packed weights beside a model: where they are looked for, and whether they are the model's.
 *
 * They are if the model's files have the stamps (device, inode, size, times of writing and of
 * change) that they had when the weights were packed, or else the same SHA-256. A stamp is only
 * written down when the file had not been touched for two seconds before it was opened: within the
 * resolution of a file system's clock a second change would not show.
 */
#include "run/run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SETTLED_SECONDS 2

static void name_pack(struct takt_engine *engine)
{
    const char *path = engine->model->path;
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') {
        length--;
    }
    snprintf(engine->pack_path, sizeof engine->pack_path, "%.*s.takt-pack", (int)length, path);
}

void run_packed_refuse(struct takt_engine *engine, const struct takt_engine_options *options,
                       const char *why)
{
    struct base_text text = {0};
    base_text_format(&text, "%s; the weights are packed anew, takt pack writes them again", why);
    if (options->on_notice) {
        options->on_notice(options->user, text.data);
    }
    base_text_free(&text);
    native_packed_close(engine->packed);
    engine->packed = NULL;
}

/* The stamps of the model's files, if they say all there is to say. */
static void list_stamps(const struct takt_engine *engine, struct native_packed_source *source)
{
    const struct model_files *files = &engine->model->files;
    if (engine->model->folder || files->count > NATIVE_STAMPS_MAX) {
        return;
    }
    for (uint32_t i = 0; i < files->count; i++) {
        source->stamps[i] = files->file[i].stamp;
    }
    source->stamp_count = files->count;
}

static bool is_settled(const struct takt_engine *engine, const struct base_stamp *stamp)
{
    const uint64_t last = BASE_MAX(stamp->written_ns, stamp->changed_ns);
    return (int64_t)(last / 1000000000u) + SETTLED_SECONDS < engine->opened;
}

void run_packed_find(struct takt_engine *engine, const struct takt_engine_options *options)
{
    struct takt_error error;
    struct native_packed_source now = {0};
    name_pack(engine);
    engine->opened = (int64_t)time(NULL);
    const char *path = options->pack_path ? options->pack_path : engine->pack_path;
    if (engine->target != TAKT_TARGET_NATIVE || !*path ||
        (!options->pack_path && access(path, F_OK) != 0 && errno == ENOENT)) {
        return;
    }
    if (native_packed_open(&engine->packed, path, &error) != TAKT_OK) {
        run_packed_refuse(engine, options, error.message);
        return;
    }
    const struct native_packed_source *then = native_packed_source(engine->packed);
    list_stamps(engine, &now);
    if (now.stamp_count > 0 && then->stamp_count == now.stamp_count &&
        memcmp(then->stamps, now.stamps, now.stamp_count * sizeof now.stamps[0]) == 0) {
        model_set_digest(engine->model, then->sha256);
    }
}

bool run_packed_usable(struct takt_engine *engine, const struct takt_engine_options *options)
{
    if (!engine->packed) {
        return false;
    }
    run_engine_digest(engine);
    if (strcmp(native_packed_source(engine->packed)->sha256, engine->model->sha256) == 0) {
        return true;
    }
    struct base_text why = {0};
    base_text_format(&why, "%s is not of the bytes of %s", native_packed_path(engine->packed),
                     engine->model->path);
    run_packed_refuse(engine, options, why.data);
    base_text_free(&why);
    return false;
}

const char *takt_pack_path(const struct takt_engine *engine)
{
    return engine->pack_path;
}

enum takt_status takt_pack(const struct takt_engine *engine, const char *path,
                           struct takt_error *error)
{
    if (!engine->native || engine->packed) {
        return base_fail(error, TAKT_USAGE,
                         "%s: packed weights are written by a native engine that packed them",
                         engine->model->path);
    }
    struct native_packed_source source = {0};
    list_stamps(engine, &source);
    for (uint32_t i = 0; i < source.stamp_count; i++) {
        if (!is_settled(engine, &source.stamps[i])) {
            source = (struct native_packed_source){0};
        }
    }
    memcpy(source.sha256, engine->model->sha256, sizeof source.sha256);
    return native_packed_write(engine->native, &source, path ? path : engine->pack_path, error);
}
