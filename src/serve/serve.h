/*
 * serve: an HTTP API over engines, with which common clients work unmodified.
 *
 * Owns: routes, validation of requests, streams of events, keys, limits, metrics, files, batches,
 * the page. Refuses to: compute or sample anything (include/takt.h does), trust a length that a
 * client gives, keep a client waiting for another's reading.
 * Invariants: what a request answers is a function of the request alone; every answer, error or
 * not, has a request id; whatever can be refused is refused before it waits for a slot. Threads:
 * one for HTTP, one for each model, one guard (hang-ups, deadlines), one for batches. Read next:
 * internal.h, route.c, request.c, answer.c, worker.c, http.c.
 */
#ifndef SERVE_SERVE_H
#define SERVE_SERVE_H

#include "base/base.h"
#include "takt.h"

#define SERVE_MODELS_MAX 16u

struct serve_options {
    const char *model_paths[SERVE_MODELS_MAX];
    size_t model_count;
    struct takt_engine_options engine; /* for each; model_path is not looked at */
    const char *host;                  /* an address; NULL = 127.0.0.1 */
    uint32_t port;                     /* 0: the kernel chooses */
    uint32_t slots;                    /* answers made at once, per model */
    uint32_t queue;                    /* requests that may wait, per model; beyond: 503 */
    uint32_t connections;              /* beyond: not accepted */
    uint32_t body_bytes;               /* of a JSON body; beyond: 413 */
    uint32_t file_bytes;               /* of an uploaded file; beyond: 413 */
    uint32_t read_seconds;             /* for a request to arrive whole */
    uint32_t answer_seconds;           /* for an answer, waiting included; 0 = no limit */
    uint32_t drain_seconds;            /* for answers that run when the server is told to stop */
    const char *keys_path;             /* NULL: no keys are asked for */
    uint32_t requests_per_minute;      /* per key, or per address without keys; 0 = no limit */
    uint32_t tokens_per_minute;        /* the same, prompt and answer */
    const char *cors_origin;           /* NULL: no CORS headers */
    const char *log_path;              /* NULL: no request log; "-": standard error */
    const char *data_path;             /* files and batches; NULL: they are not served */
    bool no_prefix_cache;
};

/* The numbers used where nobody says otherwise. */
void serve_defaults(struct serve_options *options);

struct serve_server;

/* Opens the models, listens, serves from threads of its own. */
enum takt_status serve_start(struct serve_server **server, const struct serve_options *options,
                             struct takt_error *error);
uint32_t serve_port(const struct serve_server *server);
/* Finishes what runs (at most drain_seconds), refuses what is new, frees everything. */
void serve_stop(struct serve_server *server);

/* Makes the answer to a stored request again and compares it with a stored response: both JSON
 * texts. *report is malloc'ed: what agrees and what does not, a line each. */
enum takt_status serve_verify(const struct takt_engine_options *options, const char *request,
                              size_t request_length, const char *response, size_t response_length,
                              bool *agree, char **report, struct takt_error *error);

#endif
