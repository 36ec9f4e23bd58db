/*
 * Files and batches: SQLite for what is known of them, a folder for what files hold. A batch's line
 * is done when its row is there; what a killed server had not written is done again, what it had
 * is not.
 */
#ifndef SERVE_STORE_H
#define SERVE_STORE_H

#include "serve/internal.h"

#include <sqlite3.h>

struct serve_store {
    sqlite3 *database; /* serialized: any thread may use it */
    char folder[4096];
    pthread_t thread; /* runs batches */
    bool thread_runs;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop, changed;
    struct serve_server *server;
};

struct serve_file {
    char id[SERVE_ID_BYTES], purpose[40], name[256];
    int64_t created, bytes;
};

/* False when the statement fails; what it binds is text, NULL-terminated list. */
bool serve_store_run(struct serve_store *store, const char *sql, ...) __attribute__((sentinel));
sqlite3_stmt *serve_store_query(struct serve_store *store, const char *sql, const char *argument);
bool serve_store_file(struct serve_store *store, const char *id, struct serve_file *file);
void serve_store_path(const struct serve_store *store, const char *id, char path[4352]);
/* Writes the bytes, then the row: a row without its bytes is never seen. */
bool serve_store_add(struct serve_store *store, const struct serve_file *file, const void *bytes,
                     size_t length);
/* Wakes the thread that runs batches. */
void serve_store_wake(struct serve_store *store);
/* batches.c */
void *serve_batches_run(void *user);

#endif
