/*
 * Batches run: a file of requests, a line each, answered one after the other beside everything
 * else. A thread takes the oldest batch that is not over, keeps some of its lines with the workers,
 * and writes each answer as a row. When all rows are there the output files are made of them.
 *
 * Requires: batches in the store, as batch_routes.c writes them. Fills in: their states and rows.
 */
#include "serve/store.h"

#include <stdlib.h>
#include <string.h>

#define LINES_MAX 50000u
#define AT_ONCE 8u
#define FIRST_ERRORS 50u

/* ---- one line -------------------------------------------------------------------------------- */

/* A line that is being answered. */
struct line {
    struct serve_store *store;
    uint32_t number;
    bool busy, over;
    char request_id[SERVE_ID_BYTES];
    struct serve_request request;
    struct serve_task task;
};

struct batch {
    char id[SERVE_ID_BYTES], endpoint[64], input[SERVE_ID_BYTES], status[24];
    struct base_file file;
    const char **begins; /* of the lines that are not blank */
    size_t *lengths;
    bool *done;
    uint32_t count;
};

static void on_output(struct serve_task *task)
{
    (void)task;
}

static void on_done(struct serve_task *task)
{
    struct line *line = task->user;
    pthread_mutex_lock(&line->store->lock);
    line->over = true;
    pthread_cond_signal(&line->store->wake);
    pthread_mutex_unlock(&line->store->lock);
}

/* The answer as a row. */
static bool write_row(struct serve_store *store, const struct batch *batch, struct line *line,
                      const json_t *item, const struct serve_failure *failure)
{
    char id[SERVE_ID_BYTES], number[16];
    struct base_text text = {0};
    serve_make_id("batch_req_", 20, id);
    snprintf(number, sizeof number, "%u", line->number);
    base_text_format(&text, "{\"id\":\"%s\",\"custom_id\":", id);
    serve_json_text(&text, json_string_value(json_object_get(item, "custom_id")));
    base_text_format(&text, ",\"response\":{\"status_code\":%u,\"request_id\":\"%s\",\"body\":",
                     failure ? failure->status : 200, line->request_id);
    if (failure) {
        serve_failure_json(failure, &text);
    } else {
        serve_answer_json(&line->task.answer, &text);
    }
    base_text_format(&text, "},\"error\":null}");
    const bool written =
        serve_store_run(store,
                        "INSERT OR IGNORE INTO results (batch, line, good, body) VALUES "
                        "(?, CAST(? AS INTEGER), CAST(? AS INTEGER), ?)",
                        batch->id, number, failure ? "0" : "1", text.data, NULL);
    base_text_free(&text);
    return written;
}

static json_t *parse_line(const struct batch *batch, uint32_t number)
{
    return json_loadb(batch->begins[number], batch->lengths[number], 0, NULL);
}

/* Hands a line to its model, or answers it at once when it cannot be. */
static void begin_line(struct serve_store *store, const struct batch *batch, struct line *line,
                       uint32_t number)
{
    struct serve_server *server = store->server;
    struct serve_failure failure;
    json_t *item = parse_line(batch, number);
    json_t *body = json_object_get(item, "body");
    json_object_set_new(body, "stream", json_false());
    char *text = json_dumps(body, JSON_COMPACT);
    *line = (struct line){.store = store, .number = number};
    serve_make_id("req_", 26, line->request_id);
    const bool chat = strstr(batch->endpoint, "chat") != NULL;
    if (serve_request_read(&line->request, chat, text ? text : "", text ? strlen(text) : 0,
                           server->models, server->model_count, &failure)) {
        line->busy = true;
        line->task = (struct serve_task){
            .request = &line->request, .on_output = on_output, .on_done = on_done, .user = line};
        serve_answer_begin(&line->task.answer, &line->request, line->request_id);
        serve_submit(line->request.model, &line->task);
    } else {
        write_row(store, batch, line, item, &failure);
        serve_request_free(&line->request);
    }
    free(text);
    json_decref(item);
}

static void end_line(struct serve_store *store, const struct batch *batch, struct line *line)
{
    struct serve_answer *answer = &line->task.answer;
    if (!atomic_load(&line->task.cancelled)) {
        json_t *item = parse_line(batch, line->number);
        write_row(store, batch, line, item, answer->failed ? &answer->failure : NULL);
        json_decref(item);
    }
    serve_answer_free(answer);
    base_text_free(&line->task.out);
    serve_request_free(&line->request);
    line->busy = false;
}

/* ---- a batch --------------------------------------------------------------------------------- */

static void set_status(struct serve_store *store, const char *id, const char *status,
                       const char *time_column)
{
    char sql[160], now[24];
    snprintf(now, sizeof now, "%lld", (long long)serve_unix_seconds());
    snprintf(sql, sizeof sql, "UPDATE batches SET status = ?, %s = CAST(? AS INTEGER) WHERE id = ?",
             time_column);
    serve_store_run(store, sql, status, now, id, NULL);
}

static void find_lines(struct batch *batch)
{
    const char *at = (const char *)batch->file.data, *end = at + batch->file.size_bytes;
    batch->begins = calloc(LINES_MAX + 1, sizeof(const char *));
    batch->lengths = calloc(LINES_MAX + 1, sizeof *batch->lengths);
    batch->done = calloc(LINES_MAX + 1, sizeof *batch->done);
    BASE_ASSERT(batch->begins && batch->lengths && batch->done);
    while (at < end && batch->count <= LINES_MAX) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const size_t length = (size_t)((newline ? newline : end) - at);
        if (strspn(at, " \t\r") < length) {
            batch->begins[batch->count] = at;
            batch->lengths[batch->count++] = length;
        }
        at += length + (newline ? 1 : 0);
    }
}

/* What is wrong with a line; the custom ids seen so far are the keys of `seen`. */
static const char *line_fault(const struct batch *batch, const json_t *item, json_t *seen)
{
    const char *id = json_string_value(json_object_get(item, "custom_id"));
    const char *method = json_string_value(json_object_get(item, "method"));
    const char *url = json_string_value(json_object_get(item, "url"));
    if (!json_is_object(item)) {
        return "This line is not parseable as valid JSON.";
    }
    if (!id || !id[0]) {
        return "The custom_id of this line is missing.";
    }
    if (json_object_get(seen, id)) {
        return "The custom_id of this line has been used before.";
    }
    json_object_set_new(seen, id, json_true());
    if (!method || strcmp(method, "POST") != 0) {
        return "The method of this line must be POST.";
    }
    if (!url || strcmp(url, batch->endpoint) != 0) {
        return "The url of this line is not the batch's endpoint.";
    }
    return json_is_object(json_object_get(item, "body")) ? NULL
                                                         : "The body of this line is missing.";
}

static void add_fault(struct base_text *errors, const char *code, const char *message,
                      uint32_t line)
{
    base_text_format(errors, "%s{\"code\":\"%s\",\"message\":", errors->length > 0 ? "," : "",
                     code);
    serve_json_text(errors, message);
    base_text_format(errors, ",\"param\":null,\"line\":");
    base_text_format(errors, line > 0 ? "%u}" : "null}", line);
}

/* Looks at every line before any is answered. */
static bool validate(struct serve_store *store, struct batch *batch)
{
    struct base_text errors = {0};
    json_t *seen = json_object();
    uint32_t faults = 0;
    if (batch->count == 0 || batch->count > LINES_MAX) {
        add_fault(&errors, batch->count ? "too_many_tasks" : "empty_file",
                  batch->count ? "The input file has more than 50000 lines."
                               : "The input file has no lines.",
                  0);
        faults = 1;
    }
    for (uint32_t i = 0; i < batch->count && i < LINES_MAX && faults < FIRST_ERRORS; i++) {
        json_t *item = parse_line(batch, i);
        const char *fault = line_fault(batch, item, seen);
        if (fault) {
            add_fault(&errors, "invalid_line", fault, i + 1);
            faults++;
        }
        json_decref(item);
    }
    json_decref(seen);
    if (faults > 0) {
        serve_store_run(store, "UPDATE batches SET errors = ? WHERE id = ?", errors.data, batch->id,
                        NULL);
        set_status(store, batch->id, "failed", "ended");
    } else {
        char total[16];
        snprintf(total, sizeof total, "%u", batch->count);
        serve_store_run(store, "UPDATE batches SET total = CAST(? AS INTEGER) WHERE id = ?", total,
                        batch->id, NULL);
        set_status(store, batch->id, "in_progress", "begun");
    }
    base_text_free(&errors);
    return faults == 0;
}

static void find_done(struct serve_store *store, struct batch *batch)
{
    sqlite3_stmt *row =
        serve_store_query(store, "SELECT line FROM results WHERE batch = ?", batch->id);
    while (row && sqlite3_step(row) == SQLITE_ROW) {
        const int64_t line = sqlite3_column_int64(row, 0);
        if (line >= 0 && line < (int64_t)batch->count) {
            batch->done[line] = true;
        }
    }
    sqlite3_finalize(row);
}

static bool is_cancelling(struct serve_store *store, const char *id)
{
    sqlite3_stmt *row = serve_store_query(
        store, "SELECT 1 FROM batches WHERE id = ? AND status = 'cancelling'", id);
    const bool cancelling = row && sqlite3_step(row) == SQLITE_ROW;
    sqlite3_finalize(row);
    return cancelling;
}

static void cancel_lines(struct line *lines)
{
    for (size_t i = 0; i < AT_ONCE; i++) {
        if (lines[i].busy && !atomic_load(&lines[i].task.cancelled)) {
            serve_cancel(lines[i].request.model, &lines[i].task);
        }
    }
}

/* Waits until a line is over, or the batch or server is to end. */
static bool wait_change(struct serve_store *store, const struct line *lines)
{
    pthread_mutex_lock(&store->lock);
    for (;;) {
        bool over = store->stop || store->changed;
        for (size_t i = 0; i < AT_ONCE; i++) {
            over = over || (lines[i].busy && lines[i].over);
        }
        if (over) {
            break;
        }
        pthread_cond_wait(&store->wake, &store->lock);
    }
    store->changed = false;
    const bool stop = store->stop;
    pthread_mutex_unlock(&store->lock);
    return !stop;
}

/* Answers every line that has no row. False: the server stops. */
static bool answer_lines(struct serve_store *store, struct batch *batch)
{
    struct line *lines = calloc(AT_ONCE, sizeof *lines);
    BASE_ASSERT(lines);
    uint32_t next = 0, busy = 0;
    bool go_on = true, cancelling = false;
    const uint32_t at_once = BASE_MAX(1, BASE_MIN(AT_ONCE, store->server->options.slots / 2));
    while (busy > 0 || (go_on && !cancelling && next < batch->count)) {
        for (size_t i = 0; i < at_once && go_on && !cancelling; i++) {
            while (!lines[i].busy && next < batch->count) {
                if (!batch->done[next]) {
                    begin_line(store, batch, &lines[i], next);
                    busy += lines[i].busy;
                }
                next++;
            }
        }
        if (busy == 0) {
            break;
        }
        go_on = wait_change(store, lines) && go_on;
        cancelling = cancelling || is_cancelling(store, batch->id);
        if (!go_on || cancelling) {
            cancel_lines(lines);
        }
        for (size_t i = 0; i < AT_ONCE; i++) {
            pthread_mutex_lock(&store->lock);
            const bool over = lines[i].busy && lines[i].over;
            pthread_mutex_unlock(&store->lock);
            if (over) {
                end_line(store, batch, &lines[i]);
                busy--;
            }
        }
    }
    free(lines);
    return go_on;
}

/* The rows of one kind as a file; its id into the batch. The id is kept before the file is made, so
 * that a server that dies in between makes the same file again. */
static void write_output(struct serve_store *store, const struct batch *batch, bool good)
{
    struct serve_file file = {.created = serve_unix_seconds()};
    const char *column = good ? "output" : "error";
    char sql[160];
    snprintf(sql, sizeof sql,
             "SELECT body FROM results WHERE batch = ? AND good = %d ORDER BY line", good);
    struct base_text text = {0};
    sqlite3_stmt *row = serve_store_query(store, sql, batch->id);
    while (row && sqlite3_step(row) == SQLITE_ROW) {
        base_text_format(&text, "%s\n", (const char *)sqlite3_column_text(row, 0));
    }
    sqlite3_finalize(row);
    if (text.length == 0) {
        return;
    }
    serve_make_id("file-", 24, file.id);
    snprintf(sql, sizeof sql, "UPDATE batches SET %s = ? WHERE id = ? AND %s IS NULL", column,
             column);
    serve_store_run(store, sql, file.id, batch->id, NULL);
    snprintf(sql, sizeof sql, "SELECT %s FROM batches WHERE id = ?", column);
    row = serve_store_query(store, sql, batch->id);
    if (row && sqlite3_step(row) == SQLITE_ROW) {
        snprintf(file.id, sizeof file.id, "%s", (const char *)sqlite3_column_text(row, 0));
    }
    sqlite3_finalize(row);
    snprintf(file.purpose, sizeof file.purpose, "batch_output");
    snprintf(file.name, sizeof file.name, "%s_%s.jsonl", batch->id, column);
    serve_store_add(store, &file, text.data, text.length);
    base_text_free(&text);
}

static void finish(struct serve_store *store, struct batch *batch)
{
    const bool cancelled = is_cancelling(store, batch->id);
    if (!cancelled) {
        set_status(store, batch->id, "finalizing", "finalizing");
    }
    write_output(store, batch, true);
    write_output(store, batch, false);
    set_status(store, batch->id, cancelled ? "cancelled" : "completed", "ended");
}

static void run_batch(struct serve_store *store, struct batch *batch)
{
    char path[4352];
    serve_store_path(store, batch->input, path);
    if (base_file_map(&batch->file, path, NULL) != TAKT_OK) {
        serve_store_run(store, "UPDATE batches SET errors = ? WHERE id = ?",
                        "{\"code\":\"invalid_file\",\"message\":\"The input file is gone.\","
                        "\"param\":null,\"line\":null}",
                        batch->id, NULL);
        set_status(store, batch->id, "failed", "ended");
        return;
    }
    find_lines(batch);
    if (strcmp(batch->status, "validating") != 0 || validate(store, batch)) {
        find_done(store, batch);
        if (answer_lines(store, batch)) {
            finish(store, batch);
        }
    }
    free(batch->begins);
    free(batch->lengths);
    free(batch->done);
    base_file_unmap(&batch->file);
}

static bool next_batch(struct serve_store *store, struct batch *batch)
{
    sqlite3_stmt *row = serve_store_query(
        store,
        "SELECT id, endpoint, input, status FROM batches WHERE status IN ('validating', "
        "'in_progress', 'finalizing', 'cancelling') ORDER BY created, rowid LIMIT 1",
        NULL);
    const bool found = row && sqlite3_step(row) == SQLITE_ROW;
    if (found) {
        memset(batch, 0, sizeof *batch);
        char *const out[] = {batch->id, batch->endpoint, batch->input, batch->status};
        const size_t sizes[] = {sizeof batch->id, sizeof batch->endpoint, sizeof batch->input,
                                sizeof batch->status};
        for (int i = 0; i < 4; i++) {
            snprintf(out[i], sizes[i], "%s", (const char *)sqlite3_column_text(row, i));
        }
    }
    sqlite3_finalize(row);
    return found;
}

void *serve_batches_run(void *user)
{
    struct serve_store *store = user;
    for (;;) {
        pthread_mutex_lock(&store->lock);
        while (!store->stop && !store->changed) {
            pthread_cond_wait(&store->wake, &store->lock);
        }
        const bool stop = store->stop;
        store->changed = false;
        pthread_mutex_unlock(&store->lock);
        if (stop) {
            return NULL;
        }
        struct batch batch;
        while (next_batch(store, &batch)) {
            run_batch(store, &batch);
            pthread_mutex_lock(&store->lock);
            const bool over = store->stop;
            pthread_mutex_unlock(&store->lock);
            if (over) {
                return NULL;
            }
        }
    }
}
