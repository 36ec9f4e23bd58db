/* The store opened, closed and asked; the routes of files. */
#include "serve/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char schema[] =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;"
    "CREATE TABLE IF NOT EXISTS files (id TEXT PRIMARY KEY, created INTEGER, bytes INTEGER,"
    " purpose TEXT, name TEXT);"
    "CREATE TABLE IF NOT EXISTS batches (id TEXT PRIMARY KEY, created INTEGER, endpoint TEXT,"
    " input TEXT, window TEXT, metadata TEXT, status TEXT, begun INTEGER, ended INTEGER,"
    " finalizing INTEGER, cancelling INTEGER, output TEXT, error TEXT, total INTEGER DEFAULT 0,"
    " errors TEXT);"
    "CREATE TABLE IF NOT EXISTS results (batch TEXT, line INTEGER, good INTEGER, body TEXT,"
    " PRIMARY KEY (batch, line)) WITHOUT ROWID;";

enum takt_status serve_store_open(struct serve_server *server, struct takt_error *error)
{
    const char *folder = server->options.data_path;
    if (!folder) {
        return TAKT_OK;
    }
    struct serve_store *store = calloc(1, sizeof *store);
    BASE_ASSERT(store);
    server->store = store;
    store->server = server;
    store->changed = true;
    pthread_mutex_init(&store->lock, NULL);
    pthread_cond_init(&store->wake, NULL);
    snprintf(store->folder, sizeof store->folder, "%s", folder);
    char path[4352];
    snprintf(path, sizeof path, "%s/files", folder);
    if ((mkdir(folder, 0700) != 0 && errno != EEXIST) ||
        (mkdir(path, 0700) != 0 && errno != EEXIST)) {
        return base_fail(error, TAKT_IO, "%s: %s; files cannot be kept there", path,
                         strerror(errno));
    }
    snprintf(path, sizeof path, "%s/takt.db", folder);
    char *reason = NULL;
    if (sqlite3_open_v2(path, &store->database,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX,
                        NULL) != SQLITE_OK ||
        sqlite3_exec(store->database, schema, NULL, NULL, &reason) != SQLITE_OK) {
        base_fail(error, TAKT_IO, "%s: %s", path,
                  reason ? reason : sqlite3_errmsg(store->database));
        sqlite3_free(reason);
        return TAKT_IO;
    }
    if (pthread_create(&store->thread, NULL, serve_batches_run, store) != 0) {
        return base_fail(error, TAKT_MEMORY, "serve: no thread for batches");
    }
    store->thread_runs = true;
    return TAKT_OK;
}

void serve_store_wake(struct serve_store *store)
{
    pthread_mutex_lock(&store->lock);
    store->changed = true;
    pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->lock);
}

void serve_store_close(struct serve_store *store)
{
    if (!store) {
        return;
    }
    if (store->thread_runs) {
        pthread_mutex_lock(&store->lock);
        store->stop = true;
        pthread_cond_signal(&store->wake);
        pthread_mutex_unlock(&store->lock);
        pthread_join(store->thread, NULL);
    }
    sqlite3_close(store->database);
    pthread_cond_destroy(&store->wake);
    pthread_mutex_destroy(&store->lock);
    free(store);
}

/* ---- statements ------------------------------------------------------------------------------ */

bool serve_store_run(struct serve_store *store, const char *sql, ...)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(store->database, sql, -1, &statement, NULL) != SQLITE_OK) {
        return false;
    }
    va_list list;
    va_start(list, sql);
    const char *text;
    for (int i = 1; (text = va_arg(list, const char *)) != NULL; i++) {
        sqlite3_bind_text(statement, i, text, -1, SQLITE_TRANSIENT);
    }
    va_end(list);
    const bool done = sqlite3_step(statement) == SQLITE_DONE;
    sqlite3_finalize(statement);
    return done;
}

sqlite3_stmt *serve_store_query(struct serve_store *store, const char *sql, const char *argument)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(store->database, sql, -1, &statement, NULL) != SQLITE_OK) {
        return NULL;
    }
    if (argument) {
        sqlite3_bind_text(statement, 1, argument, -1, SQLITE_TRANSIENT);
    }
    return statement;
}

static void copy_column(sqlite3_stmt *row, int column, char *out, size_t capacity)
{
    const char *text = (const char *)sqlite3_column_text(row, column);
    snprintf(out, capacity, "%s", text ? text : "");
}

static void read_file_row(sqlite3_stmt *row, struct serve_file *file)
{
    copy_column(row, 0, file->id, sizeof file->id);
    file->created = sqlite3_column_int64(row, 1);
    file->bytes = sqlite3_column_int64(row, 2);
    copy_column(row, 3, file->purpose, sizeof file->purpose);
    copy_column(row, 4, file->name, sizeof file->name);
}

#define FILE_COLUMNS "SELECT id, created, bytes, purpose, name FROM files "

bool serve_store_file(struct serve_store *store, const char *id, struct serve_file *file)
{
    sqlite3_stmt *row = serve_store_query(store, FILE_COLUMNS "WHERE id = ?", id);
    const bool found = row && sqlite3_step(row) == SQLITE_ROW;
    if (found) {
        read_file_row(row, file);
    }
    sqlite3_finalize(row);
    return found;
}

/* Ids come from the database, never from a client: they are safe names. */
void serve_store_path(const struct serve_store *store, const char *id, char path[4352])
{
    snprintf(path, 4352, "%s/files/%s", store->folder, id);
}

bool serve_store_add(struct serve_store *store, const struct serve_file *file, const void *bytes,
                     size_t length)
{
    char path[4352], created[24], size[24];
    serve_store_path(store, file->id, path);
    snprintf(created, sizeof created, "%lld", (long long)file->created);
    snprintf(size, sizeof size, "%zu", length);
    return base_file_write(path, bytes, length, NULL) == TAKT_OK &&
           serve_store_run(store,
                           "INSERT OR REPLACE INTO files (id, created, bytes, purpose, name) "
                           "VALUES (?, CAST(? AS INTEGER), CAST(? AS INTEGER), ?, ?)",
                           file->id, created, size, file->purpose, file->name, NULL);
}

/* ---- routes ---------------------------------------------------------------------------------- */

bool serve_store_there(struct serve_call *call)
{
    if (call->server->store) {
        return true;
    }
    return serve_fail(&call->failure, 404, "unknown_url", NULL,
                      "Files and batches are not served here: the server was started without "
                      "--data FOLDER.");
}

static void append_file(const struct serve_file *file, struct base_text *out)
{
    base_text_format(out,
                     "{\"id\":\"%s\",\"object\":\"file\",\"bytes\":%lld,\"created_at\":%lld,"
                     "\"filename\":",
                     file->id, (long long)file->bytes, (long long)file->created);
    serve_json_text(out, file->name);
    base_text_format(out, ",\"purpose\":");
    serve_json_text(out, file->purpose);
    base_text_format(out, ",\"status\":\"processed\"}");
}

static bool reply_file(struct serve_call *call, const struct serve_file *file)
{
    struct base_text text = {0};
    append_file(file, &text);
    const bool queued = serve_reply(call, 200, "application/json", text.data, text.length);
    base_text_free(&text);
    return queued;
}

/* A form as it is read. */
struct form {
    struct serve_file file;
    struct base_text content;
    bool has_file;
};

static enum MHD_Result take_field(void *user, enum MHD_ValueKind kind, const char *key,
                                  const char *filename, const char *type, const char *encoding,
                                  const char *data, uint64_t offset, size_t size)
{
    struct form *form = user;
    (void)kind;
    (void)type;
    (void)encoding;
    if (!key) { /* a part without a name */
        return MHD_YES;
    }
    if (strcmp(key, "file") == 0) {
        form->has_file = true;
        snprintf(form->file.name, sizeof form->file.name, "%s", filename ? filename : "file");
        base_text_append(&form->content, data, size);
    } else if (strcmp(key, "purpose") == 0 && offset + size < sizeof form->file.purpose) {
        memcpy(form->file.purpose + offset, data, size);
    }
    return MHD_YES;
}

static bool store_form(struct serve_call *call, struct form *form)
{
    if (!form->has_file) {
        return serve_fail(&call->failure, 400, "missing_required_parameter", "file",
                          "Missing required parameter: 'file', of a multipart/form-data body.");
    }
    if (strcmp(form->file.purpose, "batch") != 0) {
        return serve_fail(&call->failure, 400, "invalid_value", "purpose",
                          "Invalid 'purpose': '%.39s'; 'batch' is expected.", form->file.purpose);
    }
    if (form->content.length == 0) {
        return serve_fail(&call->failure, 400, "invalid_value", "file",
                          "Invalid 'file': it is empty.");
    }
    form->file.created = serve_unix_seconds();
    form->file.bytes = (int64_t)form->content.length;
    serve_make_id("file-", 24, form->file.id);
    if (!serve_store_add(call->server->store, &form->file, form->content.data,
                         form->content.length)) {
        return serve_fail(&call->failure, 500, "internal_error", NULL,
                          "The file could not be written.");
    }
    return reply_file(call, &form->file);
}

bool serve_file_upload(struct serve_call *call, const char *id)
{
    (void)id;
    if (!serve_store_there(call)) {
        return false;
    }
    struct form form = {0};
    base_text_append(&form.content, "", 0);
    struct MHD_PostProcessor *processor =
        MHD_create_post_processor(call->mhd, 65536, take_field, &form);
    bool good = processor != NULL;
    if (!good) {
        serve_fail(&call->failure, 400, "invalid_value", NULL,
                   "A body of multipart/form-data is expected.");
    } else {
        const bool read = call->body.length > 0 && MHD_post_process(processor, call->body.data,
                                                                    call->body.length) == MHD_YES;
        const bool whole = MHD_destroy_post_processor(processor) == MHD_YES;
        good = read && whole
                   ? store_form(call, &form)
                   : serve_fail(&call->failure, 400, "invalid_value", NULL,
                                "The form of the body breaks off or is malformed; it ends with its "
                                "boundary and two dashes.");
    }
    base_text_free(&form.content);
    base_text_free(&call->body);
    return good;
}

bool serve_file_list(struct serve_call *call, const char *id)
{
    (void)id;
    if (!serve_store_there(call)) {
        return false;
    }
    struct base_text text = {0};
    sqlite3_stmt *row = serve_store_query(
        call->server->store, FILE_COLUMNS "ORDER BY created DESC, id LIMIT 10000", NULL);
    base_text_format(&text, "{\"object\":\"list\",\"data\":[");
    for (bool first = true; row && sqlite3_step(row) == SQLITE_ROW; first = false) {
        struct serve_file file;
        read_file_row(row, &file);
        base_text_format(&text, "%s", first ? "" : ",");
        append_file(&file, &text);
    }
    sqlite3_finalize(row);
    base_text_format(&text, "],\"has_more\":false}");
    const bool queued = serve_reply(call, 200, "application/json", text.data, text.length);
    base_text_free(&text);
    return queued;
}

static bool reply_content(struct serve_call *call, const struct serve_file *file)
{
    char path[4352];
    struct base_file content;
    serve_store_path(call->server->store, file->id, path);
    if (base_file_map(&content, path, NULL) != TAKT_OK) {
        return serve_fail(&call->failure, 500, "internal_error", NULL,
                          "The file could not be read.");
    }
    const bool queued = serve_reply(call, 200, "application/octet-stream",
                                    (const char *)content.data, content.size_bytes);
    base_file_unmap(&content);
    return queued;
}

/* {id}, or {id}/content. */
bool serve_file_one(struct serve_call *call, const char *id)
{
    char name[SERVE_ID_BYTES];
    struct serve_file file;
    const size_t length = strcspn(id, "/");
    const bool content = strcmp(id + length, "/content") == 0;
    if (!serve_store_there(call)) {
        return false;
    }
    snprintf(name, sizeof name, "%.*s", (int)BASE_MIN(length, sizeof name - 1), id);
    if ((id[length] && !content) || !serve_store_file(call->server->store, name, &file)) {
        return serve_fail(&call->failure, 404, "file_not_found", "id",
                          "No such File object: %.100s", id);
    }
    return content ? reply_content(call, &file) : reply_file(call, &file);
}

bool serve_file_delete(struct serve_call *call, const char *id)
{
    struct serve_file file;
    char path[4352], text[128];
    if (!serve_store_there(call)) {
        return false;
    }
    if (!serve_store_file(call->server->store, id, &file)) {
        return serve_fail(&call->failure, 404, "file_not_found", "id",
                          "No such File object: %.100s", id);
    }
    if (!serve_store_run(call->server->store, "DELETE FROM files WHERE id = ?", file.id, NULL)) {
        return serve_fail(&call->failure, 500, "internal_error", NULL,
                          "The file could not be deleted.");
    }
    serve_store_path(call->server->store, file.id, path);
    unlink(path);
    snprintf(text, sizeof text, "{\"id\":\"%s\",\"object\":\"file\",\"deleted\":true}", file.id);
    return serve_reply(call, 200, "application/json", text, strlen(text));
}
