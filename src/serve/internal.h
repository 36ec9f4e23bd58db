/*
 * Inside the server: a call is one HTTP request; a task is one answer to be made by a model's
 * worker, for a call or for a line of a batch; an answer is what a task has given so far, as JSON.
 */
#ifndef SERVE_INTERNAL_H
#define SERVE_INTERNAL_H

#include "serve/serve.h"

#include <jansson.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#define SERVE_STOPS_MAX 4u
#define SERVE_BIASES_MAX 1024u
#define SERVE_TOOLS_MAX 128u
#define SERVE_ID_BYTES 40u

/* ---- errors (error.c) ------------------------------------------------------------------------ */

/* What a client is told when it cannot have what it asked for. status 0: no failure. */
struct serve_failure {
    unsigned status;
    const char *type, *code; /* static; code may be NULL */
    char param[64];          /* "" = null */
    char message[1200];
    unsigned retry_after; /* seconds; 0: not said */
    char allow[32];       /* of a 405 */
};
/* Returns false, so that a check can end with it. param may be NULL. */
bool serve_fail(struct serve_failure *failure, unsigned status, const char *code, const char *param,
                const char *format, ...) __attribute__((format(printf, 5, 6)));
void serve_failure_json(const struct serve_failure *failure, struct base_text *out);

/* ---- JSON as text (json.c) ------------------------------------------------------------------- */

/* A JSON string, quotes included; bytes that are not UTF-8 become U+FFFD. */
void serve_json_string(struct base_text *out, const char *bytes, size_t length);
void serve_json_text(struct base_text *out, const char *text); /* NUL-terminated; NULL = null */
void serve_json_real(struct base_text *out, double value);     /* shortest that reads back alike */
/* prefix and random letters: an id that no other answer has. */
void serve_make_id(const char *prefix, size_t letters, char id[SERVE_ID_BYTES]);
int64_t serve_unix_seconds(void);

/* ---- models and workers (worker.c) ----------------------------------------------------------- */

struct serve_task;

struct serve_model {
    char id[160]; /* what clients call it: the file's name without .gguf */
    int64_t created;
    struct takt_engine *engine;
    struct takt_model_info info;
    enum takt_target target;
    uint32_t slots;
    struct takt_scheduler *scheduler;
    struct serve_modelled *modelled;
    pthread_t thread;
    bool thread_runs;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t wake;
    struct serve_task *inbox, **inbox_last; /* submitted, not yet seen by the worker */
    struct serve_task *active;              /* the worker's alone */
    uint32_t waiting;                       /* in the inbox or the scheduler's queue */
    bool cancels, stop;
    struct takt_scheduler_state state; /* after the last step */
};

enum takt_status serve_model_open(struct serve_model *model, const struct serve_options *options,
                                  const char *path, struct takt_error *error);
void serve_model_close(struct serve_model *model);
/* The queue is not asked: serve_queue_full does that. */
void serve_submit(struct serve_model *model, struct serve_task *task);
bool serve_queue_full(struct serve_model *model, uint32_t most);
/* The task ends soon, by its on_done; whoever calls may not hold a lock that on_done takes. */
void serve_cancel(struct serve_model *model, struct serve_task *task);

/* ---- requests (request.c) -------------------------------------------------------------------- */

enum serve_format { SERVE_FORMAT_TEXT, SERVE_FORMAT_OBJECT, SERVE_FORMAT_SCHEMA };
enum serve_tool_choice { SERVE_TOOLS_NONE, SERVE_TOOLS_AUTO, SERVE_TOOLS_REQUIRED };

struct serve_request {
    json_t *root; /* the body */
    bool chat;    /* chat/completions; else completions */
    struct serve_model *model;
    const json_t *messages, *tools, *schema; /* of root; NULL when not given */
    uint32_t *prompt;
    size_t prompt_count;
    uint32_t max_tokens; /* 0: as many as fit */
    struct takt_sampling sampling;
    struct takt_bias *biases;
    size_t bias_count;
    const char *stops[SERVE_STOPS_MAX]; /* of root */
    size_t stop_count;
    bool stream, include_usage, logprobs, seeded;
    uint32_t top_logprobs;
    enum serve_format format;
    enum serve_tool_choice tool_choice;
    const char *tool_name; /* of root: the one tool that must be called, or NULL */
    struct takt_grammar *grammar;
    int64_t now; /* seconds since 1970: when it came, or what its x_takt.now says */
};

/* Reads a body: everything that can be wrong with it is found here. */
bool serve_request_read(struct serve_request *request, bool chat, const char *body, size_t length,
                        struct serve_model *const *models, size_t model_count,
                        struct serve_failure *failure);
void serve_request_free(struct serve_request *request); /* safe on a zeroed struct and twice */
/* prompt.c: the messages or the prompt as tokens. */
bool serve_prompt(struct serve_request *request, struct serve_failure *failure);

/* tools.c: response_format, tools and tool_choice; then, with the prompt known, their grammar. */
bool serve_read_forms(struct serve_request *request, struct serve_failure *failure);
bool serve_make_grammar(struct serve_request *request, struct serve_failure *failure);

/* ---- answers (answer.c) ---------------------------------------------------------------------- */

struct serve_tool_call {
    char id[SERVE_ID_BYTES];
    struct base_text name, arguments;
    bool announced; /* in a stream: id and name are out */
    size_t sent;    /* bytes of the arguments that are out */
};

struct serve_answer {
    const struct serve_request *request;
    char id[SERVE_ID_BYTES], request_id[SERVE_ID_BYTES];
    int64_t created;
    double submitted, started, first, finished; /* seconds; 0: not yet */
    struct base_text content;                   /* all of it, or with a stream what is parsed */
    /* JSON items, comma separated. chat: [0]; completions: tokens, values, tops, offsets */
    struct base_text logprobs[4];
    size_t text_offset;    /* characters shown, for completions' logprobs */
    struct base_text head; /* what every chunk of the stream begins with */
    char finish[24];       /* "" while it runs */
    uint32_t prompt_tokens, cached_tokens, answer_tokens;
    char logits_digest[65];
    struct takt_request_cycles cycles;
    bool failed;
    struct serve_failure failure;
    struct serve_tool_parser *tool_parser; /* NULL without tools */
    struct serve_tool_call *calls;
    size_t call_count;
    bool role_sent;
};

void serve_answer_begin(struct serve_answer *answer, const struct serve_request *request,
                        const char *request_id);
void serve_answer_free(struct serve_answer *answer);
/* Takes an event; a stream's bytes are appended to `out`. */
void serve_answer_event(struct serve_answer *answer, const struct takt_event *event,
                        struct base_text *out);
void serve_answer_fail(struct serve_answer *answer, const struct serve_failure *failure,
                       struct base_text *out);
/* tools.c: takes calls out of the text; what is no call is appended to content. */
struct serve_tool_parser *serve_tool_parser_create(void);
void serve_tool_text(struct serve_answer *answer, const char *bytes, size_t length,
                     struct base_text *content);
void serve_tool_end(struct serve_answer *answer, struct base_text *content);
bool serve_tool_named(const struct serve_answer *answer, size_t index);

/* The whole answer of a request without stream. */
void serve_answer_json(struct serve_answer *answer, struct base_text *out);

struct serve_task {
    struct serve_task *next; /* inbox, then the worker's list */
    const struct serve_request *request;
    struct serve_answer answer;
    struct takt_job *job; /* the worker's */
    struct base_text out; /* a stream's bytes that did not go out yet */
    double given;         /* when such bytes went out last */
    double deadline;      /* seconds of base_seconds; 0 = none */
    atomic_bool cancelled;
    bool finished;
    bool waiting; /* counted in the model's `waiting` */
    /* From the worker: something is in `out`; the task is over (finished, failed or cancelled, and
     * the worker does not know it any more). */
    void (*on_output)(struct serve_task *task);
    void (*on_done)(struct serve_task *task);
    void *user;
};

/* ---- metrics (metrics.c) --------------------------------------------------------------------- */

#define SERVE_BUCKETS 16u
struct serve_histogram {
    atomic_ullong counts[SERVE_BUCKETS + 1];
    atomic_ullong sum_micros;
};

struct serve_metrics {
    atomic_ullong requests[6]; /* by the hundred of the status: 1xx .. 5xx */
    atomic_ullong prompt_tokens, cached_tokens, answer_tokens, cancelled;
    atomic_llong connections, calls;
    struct serve_histogram queue_seconds, first_token_seconds, token_seconds, total_seconds;
};
void serve_observe(struct serve_histogram *histogram, double seconds);
void serve_metrics_text(struct serve_server *server, struct base_text *out);

/* ---- keys and rates (keys.c) ----------------------------------------------------------------- */

struct serve_bucket {
    char name[64];           /* a key's digest, or an address */
    double requests, tokens; /* left */
    double at;
};
struct serve_keys {
    unsigned char (*digests)[32];
    size_t count;
    pthread_mutex_t lock;
    struct serve_bucket *buckets;
    size_t bucket_count, bucket_capacity;
    uint32_t requests_per_minute, tokens_per_minute;
};
struct serve_rate {
    bool limited; /* limits are set: headers are due */
    uint32_t requests_limit, tokens_limit;
    uint32_t requests_left, tokens_left;
    double requests_reset, tokens_reset; /* seconds until full again */
};
enum takt_status serve_keys_open(struct serve_keys *keys, const struct serve_options *options,
                                 struct takt_error *error);
void serve_keys_close(struct serve_keys *keys);
/* Is the Authorization header's key known? Takes the same time for every wrong one. name: whom
 * rates are counted for. */
bool serve_key_known(const struct serve_keys *keys, const char *authorization, char name[64]);
/* Takes a request and its prompt's tokens from a name's share; false: too much, *failure is set. */
bool serve_rate_take(struct serve_keys *keys, const char *name, uint32_t tokens,
                     struct serve_rate *rate, struct serve_failure *failure);
void serve_rate_spend(struct serve_keys *keys, const char *name, uint32_t tokens);

/* ---- calls (http.c, guard.c, route.c) -------------------------------------------------------- */

/* One TCP connection. */
struct serve_connection {
    struct serve_connection *next, *previous;
    uint64_t serial; /* no two connections share one */
    int descriptor;
    double deadline;            /* 0: none; when passed the socket is shut down */
    struct serve_call *waiting; /* the call whose client must stay, or NULL */
};

struct serve_call {
    struct serve_server *server;
    struct serve_call *next, *previous;
    struct serve_connection *connection;
    struct MHD_Connection *mhd;
    atomic_uint references;
    char id[SERVE_ID_BYTES];
    char method[16], path[256], client[64], key_name[64], content_type[128];
    char model_id[160];
    double arrived;
    struct base_text body;
    size_t received; /* bytes of the body */
    bool too_large, answered, upload_route;
    struct serve_failure failure;
    struct serve_rate rate;
    struct serve_request request;
    struct serve_task task;
    bool has_task, deferred;
    unsigned status;

    pthread_mutex_t lock; /* guards what follows: HTTP thread, worker and guard */
    bool suspended, done, gone, streaming;
    struct base_text out;
    size_t sent;
};

struct serve_guard {
    pthread_t thread;
    bool runs;
    int epoll, wake;      /* wake: an eventfd */
    pthread_mutex_t lock; /* taken before a call's, and a call's before a model's */
    struct serve_connection *connections;
    uint64_t serials;
    bool stop;
};
enum takt_status serve_guard_start(struct serve_guard *guard, struct takt_error *error);
void serve_guard_stop(struct serve_guard *guard);
void serve_guard_add(struct serve_guard *guard, struct serve_connection *connection,
                     double seconds);
void serve_guard_remove(struct serve_guard *guard, struct serve_connection *connection);
void serve_guard_deadline(struct serve_guard *guard, struct serve_connection *connection,
                          double seconds); /* from now; 0: none */
/* From now on a hang-up ends the call; NULL: no longer. */
void serve_guard_watch(struct serve_guard *guard, struct serve_connection *connection,
                       struct serve_call *call);

/* metrics.c: what a call that is over adds to the numbers, and its line of the log. */
void serve_account(struct serve_call *call, bool cancelled);

/* Called by the guard: the client is gone. */
void serve_call_gone(struct serve_call *call);

struct serve_server {
    struct serve_options options;
    struct MHD_Daemon *daemon;
    int listen_socket;
    uint32_t port;
    struct serve_model *models[SERVE_MODELS_MAX];
    size_t model_count;
    struct serve_guard guard;
    struct serve_metrics metrics;
    struct serve_keys keys;
    struct serve_store *store; /* files and batches; NULL without */
    FILE *log;
    pthread_mutex_t log_lock;
    double opened;
    pthread_mutex_t lock; /* guards calls */
    pthread_cond_t idle;
    struct serve_call *calls;
    size_t call_count;
    atomic_bool draining;
};

/* route.c: what a path means. */
struct serve_route {
    const char *path; /* after the prefix; ends in "/" when an id follows */
    const char *method;
    bool api; /* under /openai/v1 and /v1, with keys and rates */
    /* Answers the call (serve_reply...), or sets call->failure and returns false. */
    bool (*answer)(struct serve_call *call, const char *id);
    bool upload; /* the body is a form with a file */
};
/* NULL and a failure when there is none. *id: what follows the path. */
const struct serve_route *serve_route_find(const char *method, const char *path, const char **id,
                                           struct serve_failure *failure);

/* http.c: answers with bytes that are copied. */
bool serve_reply(struct serve_call *call, unsigned status, const char *type, const char *bytes,
                 size_t length);
bool serve_reply_static(struct serve_call *call, const char *type, const char *encoding,
                        const void *bytes, size_t length);
bool serve_reply_failure(struct serve_call *call);
/* The call waits until some thread has made its answer: JSON, or NULL and call->failure. */
void serve_call_defer(struct serve_call *call);
void serve_call_ready(struct serve_call *call, const char *text);
/* The call now waits for its task. */
bool serve_reply_later(struct serve_call *call);
void serve_call_release(struct serve_call *call);
const char *serve_header(const struct serve_call *call, const char *name); /* or NULL */
enum takt_status serve_http_start(struct serve_server *server, struct takt_error *error);

/* chat.c: the two routes that make text. */
bool serve_chat(struct serve_call *call, const char *id);
bool serve_completions(struct serve_call *call, const char *id);

/* models.c */
/* Keys, and whether anything new is taken; false: call->failure says why not. */
bool serve_admit(struct serve_call *call);
bool serve_models(struct serve_call *call, const char *id);
bool serve_model_one(struct serve_call *call, const char *id);
bool serve_health(struct serve_call *call, const char *id);
bool serve_metrics_reply(struct serve_call *call, const char *id);
struct serve_model *serve_find_model(struct serve_model *const *models, size_t count,
                                     const char *name);

/* modelled.c: the modelled system, in the background. Cycles: false when not known yet; they will
 * be, soon. */
struct serve_modelled *serve_modelled_open(const struct serve_options *options, const char *path);
void serve_modelled_close(struct serve_modelled *modelled); /* NULL is fine */
bool serve_modelled_cycles(struct serve_modelled *modelled, uint32_t prompt_tokens,
                           uint32_t answer_tokens, struct takt_request_cycles *cycles);
/* The same, waiting for the compilation. */
void serve_modelled_settle(struct serve_modelled *modelled, struct serve_answer *answer);
bool serve_inspect(struct serve_call *call, const char *id);
bool serve_schedule(struct serve_call *call, const char *id);

/* store.c, batch_routes.c */
enum takt_status serve_store_open(struct serve_server *server, struct takt_error *error);
void serve_store_close(struct serve_store *store);
bool serve_store_there(struct serve_call *call);
bool serve_file_upload(struct serve_call *call, const char *id);
bool serve_file_list(struct serve_call *call, const char *id);
bool serve_file_one(struct serve_call *call, const char *id);
bool serve_file_delete(struct serve_call *call, const char *id);
bool serve_batch_create(struct serve_call *call, const char *id);
bool serve_batch_list(struct serve_call *call, const char *id);
bool serve_batch_one(struct serve_call *call, const char *id);
bool serve_batch_cancel(struct serve_call *call, const char *id);

/* page.c */
bool serve_page(struct serve_call *call, const char *id);

/* log.c */
void serve_log_call(struct serve_server *server, const struct serve_call *call, bool cancelled);

#endif
