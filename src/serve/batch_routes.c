/*
 * The routes of batches: made, shown, listed, cancelled.
 * Requires: the store, and batches.c to run what is written there. A batch is shown from its row.
 */
#include "serve/store.h"

#include <stdlib.h>
#include <string.h>

/* ---- shown ----------------------------------------------------------------------------------- */

#define BATCH_COLUMNS                                                                              \
    "SELECT id, created, endpoint, input, window, metadata, status, begun, ended, finalizing, "    \
    "cancelling, output, error, total, errors, "                                                   \
    "(SELECT COUNT(*) FROM results WHERE batch = id AND good = 1), "                               \
    "(SELECT COUNT(*) FROM results WHERE batch = id AND good = 0) FROM batches "

static void append_column(struct base_text *out, const char *name, sqlite3_stmt *row, int column)
{
    base_text_format(out, ",\"%s\":", name);
    if (sqlite3_column_type(row, column) == SQLITE_INTEGER) {
        base_text_format(out, "%lld", (long long)sqlite3_column_int64(row, column));
    } else {
        serve_json_text(out, (const char *)sqlite3_column_text(row, column));
    }
}

static void append_time(struct base_text *out, const char *name, sqlite3_stmt *row, int column,
                        bool applies)
{
    if (applies) {
        append_column(out, name, row, column);
    } else {
        base_text_format(out, ",\"%s\":null", name);
    }
}

static void append_batch(struct base_text *out, sqlite3_stmt *row)
{
    const char *status = (const char *)sqlite3_column_text(row, 6);
    const char *errors = (const char *)sqlite3_column_text(row, 14);
    const char *metadata = (const char *)sqlite3_column_text(row, 5);
    base_text_format(out, "{\"id\":\"%s\",\"object\":\"batch\"", sqlite3_column_text(row, 0));
    append_column(out, "endpoint", row, 2);
    base_text_format(out, ",\"errors\":");
    if (errors) {
        base_text_format(out, "{\"object\":\"list\",\"data\":[%s]}", errors);
    } else {
        base_text_format(out, "null");
    }
    append_column(out, "input_file_id", row, 3);
    append_column(out, "completion_window", row, 4);
    append_column(out, "status", row, 6);
    append_column(out, "output_file_id", row, 11);
    append_column(out, "error_file_id", row, 12);
    append_column(out, "created_at", row, 1);
    append_column(out, "in_progress_at", row, 7);
    base_text_format(out, ",\"expires_at\":%lld", (long long)sqlite3_column_int64(row, 1) + 86400);
    append_column(out, "finalizing_at", row, 9);
    append_time(out, "completed_at", row, 8, strcmp(status, "completed") == 0);
    append_time(out, "failed_at", row, 8, strcmp(status, "failed") == 0);
    base_text_format(out, ",\"expired_at\":null");
    append_column(out, "cancelling_at", row, 10);
    append_time(out, "cancelled_at", row, 8, strcmp(status, "cancelled") == 0);
    base_text_format(out,
                     ",\"request_counts\":{\"total\":%lld,\"completed\":%lld,\"failed\":%lld},"
                     "\"metadata\":%s}",
                     (long long)sqlite3_column_int64(row, 13),
                     (long long)sqlite3_column_int64(row, 15),
                     (long long)sqlite3_column_int64(row, 16), metadata ? metadata : "null");
}

static bool reply_batch(struct serve_call *call, const char *id)
{
    struct base_text text = {0};
    sqlite3_stmt *row = serve_store_query(call->server->store, BATCH_COLUMNS "WHERE id = ?", id);
    const bool found = row && sqlite3_step(row) == SQLITE_ROW;
    if (found) {
        append_batch(&text, row);
    }
    sqlite3_finalize(row);
    if (!found) {
        return serve_fail(&call->failure, 404, "batch_not_found", "id", "No such batch: %.100s",
                          id);
    }
    const bool queued = serve_reply(call, 200, "application/json", text.data, text.length);
    base_text_free(&text);
    return queued;
}

/* ---- made ------------------------------------------------------------------------------------ */

static bool check_batch(struct serve_call *call, const json_t *root)
{
    static const char *const endpoints[] = {"/v1/chat/completions", "/v1/completions"};
    const char *endpoint = json_string_value(json_object_get(root, "endpoint"));
    const char *window = json_string_value(json_object_get(root, "completion_window"));
    const char *input = json_string_value(json_object_get(root, "input_file_id"));
    const json_t *metadata = json_object_get(root, "metadata");
    struct serve_file file;
    bool known = false;
    for (size_t i = 0; endpoint && i < BASE_COUNT(endpoints); i++) {
        known = known || strcmp(endpoint, endpoints[i]) == 0;
    }
    if (!known) {
        return serve_fail(&call->failure, 400, "invalid_value", "endpoint",
                          "Invalid 'endpoint': '/v1/chat/completions' or '/v1/completions' is "
                          "expected.");
    }
    if (!window || !window[0]) {
        return serve_fail(&call->failure, 400, "missing_required_parameter", "completion_window",
                          "Missing required parameter: 'completion_window'.");
    }
    if (metadata && !json_is_null(metadata) && !json_is_object(metadata)) {
        return serve_fail(&call->failure, 400, "invalid_type", "metadata",
                          "Invalid type for 'metadata': expected an object.");
    }
    if (!input || !serve_store_file(call->server->store, input, &file)) {
        return serve_fail(&call->failure, 400, "invalid_value", "input_file_id",
                          "Invalid 'input_file_id': there is no such file.");
    }
    return true;
}

bool serve_batch_create(struct serve_call *call, const char *id)
{
    (void)id;
    if (!serve_store_there(call)) {
        return false;
    }
    json_t *root = json_loadb(call->body.data ? call->body.data : "", call->body.length, 0, NULL);
    if (!json_is_object(root)) {
        json_decref(root);
        return serve_fail(&call->failure, 400, "invalid_json", NULL,
                          "The body must be a JSON object.");
    }
    if (!check_batch(call, root)) {
        json_decref(root);
        return false;
    }
    char name[SERVE_ID_BYTES], now[24];
    const json_t *given = json_object_get(root, "metadata");
    char *metadata = json_is_object(given) ? json_dumps(given, JSON_COMPACT) : strdup("null");
    serve_make_id("batch_", 24, name);
    snprintf(now, sizeof now, "%lld", (long long)serve_unix_seconds());
    const bool made = serve_store_run(
        call->server->store,
        "INSERT INTO batches (id, created, endpoint, input, window, metadata, status) VALUES "
        "(?, CAST(? AS INTEGER), ?, ?, ?, ?, 'validating')",
        name, now, json_string_value(json_object_get(root, "endpoint")),
        json_string_value(json_object_get(root, "input_file_id")),
        json_string_value(json_object_get(root, "completion_window")), metadata, NULL);
    free(metadata);
    json_decref(root);
    if (!made) {
        return serve_fail(&call->failure, 500, "internal_error", NULL,
                          "The batch could not be written.");
    }
    const bool queued = reply_batch(call, name);
    serve_store_wake(call->server->store);
    return queued;
}

/* ---- listed and cancelled -------------------------------------------------------------------- */

bool serve_batch_list(struct serve_call *call, const char *id)
{
    (void)id;
    if (!serve_store_there(call)) {
        return false;
    }
    const char *given = MHD_lookup_connection_value(call->mhd, MHD_GET_ARGUMENT_KIND, "limit");
    const char *after = MHD_lookup_connection_value(call->mhd, MHD_GET_ARGUMENT_KIND, "after");
    int64_t limit = 20;
    if (given && !base_parse_i64(given, 1, 100, &limit)) {
        return serve_fail(&call->failure, 400, "invalid_value", "limit",
                          "Invalid 'limit': a number from 1 to 100 is expected.");
    }
    struct base_text text = {0};
    sqlite3_stmt *row = serve_store_query(
        call->server->store,
        BATCH_COLUMNS "WHERE ?1 = '' OR rowid < (SELECT rowid FROM batches WHERE id = ?1) "
                      "ORDER BY rowid DESC LIMIT 101",
        after ? after : "");
    char first[SERVE_ID_BYTES] = "", last[SERVE_ID_BYTES] = "";
    int64_t count = 0;
    bool more = false;
    base_text_format(&text, "{\"object\":\"list\",\"data\":[");
    while (row && sqlite3_step(row) == SQLITE_ROW && !more) {
        more = count == limit;
        if (!more) {
            base_text_format(&text, "%s", count++ > 0 ? "," : "");
            append_batch(&text, row);
            snprintf(last, sizeof last, "%s", (const char *)sqlite3_column_text(row, 0));
            if (count == 1) {
                memcpy(first, last, sizeof first);
            }
        }
    }
    sqlite3_finalize(row);
    base_text_format(&text, "],\"first_id\":");
    serve_json_text(&text, count > 0 ? first : NULL);
    base_text_format(&text, ",\"last_id\":");
    serve_json_text(&text, count > 0 ? last : NULL);
    base_text_format(&text, ",\"has_more\":%s}", more ? "true" : "false");
    const bool queued = serve_reply(call, 200, "application/json", text.data, text.length);
    base_text_free(&text);
    return queued;
}

bool serve_batch_one(struct serve_call *call, const char *id)
{
    return serve_store_there(call) && reply_batch(call, id);
}

/* {id}/cancel */
bool serve_batch_cancel(struct serve_call *call, const char *id)
{
    char name[SERVE_ID_BYTES], now[24];
    const size_t length = strcspn(id, "/");
    if (!serve_store_there(call)) {
        return false;
    }
    if (strcmp(id + length, "/cancel") != 0 || length >= sizeof name) {
        return serve_fail(&call->failure, 404, "unknown_url", NULL,
                          "Unknown request URL: POST /batches/%.100s.", id);
    }
    memcpy(name, id, length);
    name[length] = '\0';
    snprintf(now, sizeof now, "%lld", (long long)serve_unix_seconds());
    serve_store_run(call->server->store,
                    "UPDATE batches SET status = 'cancelling', cancelling = CAST(? AS INTEGER) "
                    "WHERE id = ? AND status IN ('validating', 'in_progress')",
                    now, name, NULL);
    const bool queued = reply_batch(call, name);
    serve_store_wake(call->server->store);
    return queued;
}
