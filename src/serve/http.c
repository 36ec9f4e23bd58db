/*
 * HTTP: what the library hands us becomes calls, and answers become responses. A call that waits
 * for its task is suspended, so that it costs nothing; the worker resumes it.
 */
#include "serve/internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <netdb.h>

#define STREAM_BLOCK 16384u
#define IDLE_SECONDS 75.0 /* between requests of one connection */

/* ---- calls ----------------------------------------------------------------------------------- */

static struct serve_connection *connection_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static void copy_client(struct serve_call *call)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(call->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (info && info->client_addr) {
        const socklen_t length = info->client_addr->sa_family == AF_INET6
                                     ? sizeof(struct sockaddr_in6)
                                     : sizeof(struct sockaddr_in);
        getnameinfo(info->client_addr, length, call->client, sizeof call->client, NULL, 0,
                    NI_NUMERICHOST);
    }
}

const char *serve_header(const struct serve_call *call, const char *name)
{
    return MHD_lookup_connection_value(call->mhd, MHD_HEADER_KIND, name);
}

static struct serve_call *call_create(struct serve_server *server, struct MHD_Connection *mhd,
                                      const char *method, const char *path)
{
    struct serve_call *call = calloc(1, sizeof *call);
    if (!call) {
        return NULL;
    }
    call->server = server;
    call->mhd = mhd;
    call->connection = connection_of(mhd);
    call->arrived = base_seconds();
    atomic_init(&call->references, 1);
    pthread_mutex_init(&call->lock, NULL);
    serve_make_id("req_", 26, call->id);
    snprintf(call->method, sizeof call->method, "%s", method);
    snprintf(call->path, sizeof call->path, "%s", path);
    copy_client(call);
    pthread_mutex_lock(&server->lock);
    call->next = server->calls;
    if (call->next) {
        call->next->previous = call;
    }
    server->calls = call;
    server->call_count++;
    pthread_mutex_unlock(&server->lock);
    atomic_fetch_add(&server->metrics.calls, 1);
    return call;
}

void serve_call_release(struct serve_call *call)
{
    if (atomic_fetch_sub(&call->references, 1) != 1) {
        return;
    }
    serve_request_free(&call->request);
    if (call->has_task) {
        serve_answer_free(&call->task.answer);
        base_text_free(&call->task.out);
    }
    base_text_free(&call->body);
    base_text_free(&call->out);
    pthread_mutex_destroy(&call->lock);
    free(call);
}

static void unlist(struct serve_call *call)
{
    struct serve_server *server = call->server;
    pthread_mutex_lock(&server->lock);
    if (call->next) {
        call->next->previous = call->previous;
    }
    if (call->previous) {
        call->previous->next = call->next;
    } else {
        server->calls = call->next;
    }
    server->call_count--;
    pthread_cond_broadcast(&server->idle);
    pthread_mutex_unlock(&server->lock);
    atomic_fetch_sub(&server->metrics.calls, 1);
}

/* ---- responses ------------------------------------------------------------------------------- */

static void add_number(struct MHD_Response *response, const char *name, uint32_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%u", value);
    MHD_add_response_header(response, name, text);
}

static void add_reset(struct MHD_Response *response, const char *name, double seconds)
{
    char text[32];
    snprintf(text, sizeof text, "%.3fs", seconds);
    MHD_add_response_header(response, name, text);
}

static void add_headers(const struct serve_call *call, struct MHD_Response *response)
{
    const struct serve_rate *rate = &call->rate;
    MHD_add_response_header(response, "x-request-id", call->id);
    if (call->server->options.cors_origin) {
        MHD_add_response_header(response, "Access-Control-Allow-Origin",
                                call->server->options.cors_origin);
        MHD_add_response_header(response, "Access-Control-Expose-Headers",
                                "x-request-id, retry-after, x-ratelimit-limit-requests, "
                                "x-ratelimit-remaining-requests, x-ratelimit-reset-requests, "
                                "x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, "
                                "x-ratelimit-reset-tokens");
    }
    if (rate->limited && rate->requests_limit > 0) {
        add_number(response, "x-ratelimit-limit-requests", rate->requests_limit);
        add_number(response, "x-ratelimit-remaining-requests", rate->requests_left);
        add_reset(response, "x-ratelimit-reset-requests", rate->requests_reset);
    }
    if (rate->limited && rate->tokens_limit > 0) {
        add_number(response, "x-ratelimit-limit-tokens", rate->tokens_limit);
        add_number(response, "x-ratelimit-remaining-tokens", rate->tokens_left);
        add_reset(response, "x-ratelimit-reset-tokens", rate->tokens_reset);
    }
    if (atomic_load(&call->server->draining)) {
        MHD_add_response_header(response, "Connection", "close");
    }
}

static bool queue(struct serve_call *call, unsigned status, struct MHD_Response *response)
{
    if (!response) {
        return false;
    }
    add_headers(call, response);
    call->status = status;
    call->answered = true;
    const bool queued = MHD_queue_response(call->mhd, status, response) == MHD_YES;
    MHD_destroy_response(response);
    return queued;
}

bool serve_reply(struct serve_call *call, unsigned status, const char *type, const char *bytes,
                 size_t length)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(length, (void *)(uintptr_t)bytes, MHD_RESPMEM_MUST_COPY);
    if (response) {
        MHD_add_response_header(response, "Content-Type", type);
    }
    return queue(call, status, response);
}

bool serve_reply_static(struct serve_call *call, const char *type, const char *encoding,
                        const void *bytes, size_t length)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(length, (void *)(uintptr_t)bytes, MHD_RESPMEM_PERSISTENT);
    if (response) {
        MHD_add_response_header(response, "Content-Type", type);
        MHD_add_response_header(response, "Cache-Control", "no-cache");
        if (encoding) {
            MHD_add_response_header(response, "Content-Encoding", encoding);
        }
    }
    return queue(call, 200, response);
}

bool serve_reply_failure(struct serve_call *call)
{
    struct base_text text = {0};
    const struct serve_failure *failure = &call->failure;
    serve_failure_json(failure, &text);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(text.length, text.data, MHD_RESPMEM_MUST_COPY);
    base_text_free(&text);
    if (response) {
        MHD_add_response_header(response, "Content-Type", "application/json");
        if (failure->retry_after > 0) {
            add_number(response, "Retry-After", failure->retry_after);
        }
        if (failure->status == 405) {
            MHD_add_response_header(response, "Allow", failure->allow);
        }
    }
    return queue(call, failure->status, response);
}

static bool reply_preflight(struct serve_call *call)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    const char *wanted = serve_header(call, "Access-Control-Request-Headers");
    if (response) {
        MHD_add_response_header(response, "Access-Control-Allow-Methods",
                                "GET, POST, DELETE, OPTIONS");
        MHD_add_response_header(response, "Access-Control-Allow-Headers",
                                wanted ? wanted : "Authorization, Content-Type");
        MHD_add_response_header(response, "Access-Control-Max-Age", "86400");
    }
    return queue(call, 204, response);
}

/* ---- calls that wait ------------------------------------------------------------------------- */

/* With the call's lock held. */
static void wake(struct serve_call *call)
{
    if (call->suspended) {
        call->suspended = false;
        MHD_resume_connection(call->mhd);
    }
}

static void on_output(struct serve_task *task)
{
    struct serve_call *call = task->user;
    pthread_mutex_lock(&call->lock);
    base_text_append(&call->out, task->out.data, task->out.length);
    wake(call);
    pthread_mutex_unlock(&call->lock);
}

static void on_done(struct serve_task *task)
{
    struct serve_call *call = task->user;
    pthread_mutex_lock(&call->lock);
    call->done = true;
    wake(call);
    pthread_mutex_unlock(&call->lock);
    serve_call_release(call);
}

void serve_call_defer(struct serve_call *call)
{
    call->deferred = true;
    atomic_fetch_add(&call->references, 1);
    pthread_mutex_lock(&call->lock);
    call->suspended = true;
    MHD_suspend_connection(call->mhd);
    pthread_mutex_unlock(&call->lock);
    serve_guard_watch(&call->server->guard, call->connection, call);
}

void serve_call_ready(struct serve_call *call, const char *text)
{
    pthread_mutex_lock(&call->lock);
    base_text_append(&call->out, text ? text : "", text ? strlen(text) : 0);
    call->done = true;
    wake(call);
    pthread_mutex_unlock(&call->lock);
    serve_call_release(call);
}

void serve_call_gone(struct serve_call *call)
{
    pthread_mutex_lock(&call->lock);
    const bool first = !call->gone;
    call->gone = true;
    wake(call);
    pthread_mutex_unlock(&call->lock);
    if (first && call->has_task) {
        serve_cancel(call->request.model, &call->task);
    }
}

bool serve_reply_later(struct serve_call *call)
{
    struct serve_task *task = &call->task;
    *task = (struct serve_task){
        .request = &call->request, .on_output = on_output, .on_done = on_done, .user = call};
    const uint32_t most = call->server->options.answer_seconds;
    task->deadline = most > 0 ? call->arrived + most : 0;
    serve_answer_begin(&task->answer, &call->request, call->id);
    call->has_task = call->deferred = true;
    pthread_mutex_lock(&call->lock);
    call->suspended = true;
    MHD_suspend_connection(call->mhd);
    pthread_mutex_unlock(&call->lock);
    atomic_fetch_add(&call->references, 1);
    serve_submit(call->request.model, task);
    serve_guard_watch(&call->server->guard, call->connection, call);
    return true;
}

/* The library asks for a stream's next bytes. */
static ssize_t read_stream(void *user, uint64_t position, char *buffer, size_t most)
{
    struct serve_call *call = user;
    ssize_t result = 0;
    (void)position;
    pthread_mutex_lock(&call->lock);
    const size_t left = call->out.length - call->sent;
    if (call->gone) {
        result = MHD_CONTENT_READER_END_WITH_ERROR;
    } else if (left > 0) {
        result = (ssize_t)BASE_MIN(left, most);
        memcpy(buffer, call->out.data + call->sent, (size_t)result);
        call->sent += (size_t)result;
        if (call->sent == call->out.length) {
            call->out.length = call->sent = 0;
        }
    } else if (call->done) {
        result = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        call->suspended = true;
        MHD_suspend_connection(call->mhd);
    }
    pthread_mutex_unlock(&call->lock);
    return result;
}

static bool begin_stream(struct serve_call *call)
{
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, read_stream, call, NULL);
    if (response) {
        MHD_add_response_header(response, "Content-Type", "text/event-stream");
        MHD_add_response_header(response, "Cache-Control", "no-cache");
        MHD_add_response_header(response, "X-Accel-Buffering", "no");
    }
    call->streaming = true;
    return queue(call, 200, response);
}

/* The call was resumed: its task has something, or is over. */
static bool continue_call(struct serve_call *call)
{
    pthread_mutex_lock(&call->lock);
    const bool gone = call->gone, done = call->done, output = call->out.length > 0;
    if (!gone && !done && !output) { /* woken for nothing */
        call->suspended = true;
        MHD_suspend_connection(call->mhd);
    }
    pthread_mutex_unlock(&call->lock);
    if (gone) {
        return false;
    }
    if (call->has_task && output) {
        return begin_stream(call);
    }
    if (!done) {
        return true;
    }
    if (!call->has_task) {
        return call->failure.status > 0
                   ? serve_reply_failure(call)
                   : serve_reply(call, 200, "application/json", call->out.data, call->out.length);
    }
    struct serve_answer *answer = &call->task.answer;
    if (answer->failed) {
        call->failure = answer->failure;
        return serve_reply_failure(call);
    }
    struct base_text text = {0};
    serve_answer_json(answer, &text);
    const bool queued = serve_reply(call, 200, "application/json", text.data, text.length);
    base_text_free(&text);
    return queued;
}

/* ---- the library's callbacks ----------------------------------------------------------------- */

/* Before a body comes: is it one we would throw away anyway? */
static bool check_length(struct serve_call *call, bool *now)
{
    const char *length = serve_header(call, "Content-Length");
    const uint64_t most =
        call->upload_route ? call->server->options.file_bytes : call->server->options.body_bytes;
    const uint64_t given = length ? strtoull(length, NULL, 10) : 0;
    if (given <= most) {
        return true;
    }
    call->too_large = true;
    /* A client that asks first, or that would send for long, is told at once. */
    *now = serve_header(call, "Expect") != NULL || given > 4 * most;
    return false;
}

static void too_large(struct serve_call *call)
{
    serve_fail(&call->failure, 413, "request_too_large", NULL,
               "The request's body is larger than the %u bytes that this server takes.",
               call->upload_route ? call->server->options.file_bytes
                                  : call->server->options.body_bytes);
}

static bool first_look(struct serve_call *call)
{
    const char *type = serve_header(call, "Content-Type");
    const char *id;
    bool now = false;
    snprintf(call->content_type, sizeof call->content_type, "%s", type ? type : "");
    const struct serve_route *route =
        serve_route_find(call->method, call->path, &id, &call->failure);
    call->upload_route = route && route->upload;
    if (!check_length(call, &now)) {
        too_large(call);
        return now ? serve_reply_failure(call) : true;
    }
    return true;
}

static bool take_bytes(struct serve_call *call, const char *data, size_t length)
{
    const size_t most =
        call->upload_route ? call->server->options.file_bytes : call->server->options.body_bytes;
    call->received += length;
    if (call->received > most) {
        call->too_large = true;
        base_text_free(&call->body);
        return call->received <= 4 * most; /* enough was read in vain */
    }
    if (!call->answered && !call->too_large) {
        base_text_append(&call->body, data, length);
    }
    return true;
}

static bool whole_request(struct serve_call *call)
{
    const char *id;
    serve_guard_deadline(&call->server->guard, call->connection, 0);
    if (call->answered) {
        return true;
    }
    if (call->too_large) {
        too_large(call);
        return serve_reply_failure(call);
    }
    if (strcmp(call->method, "OPTIONS") == 0 && call->server->options.cors_origin) {
        return reply_preflight(call);
    }
    const struct serve_route *route =
        serve_route_find(call->method, call->path, &id, &call->failure);
    if (route && (!route->api || serve_admit(call)) && route->answer(call, id)) {
        return true;
    }
    return serve_reply_failure(call);
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *mhd, const char *path,
                                  const char *method, const char *version, const char *data,
                                  size_t *length, void **context)
{
    struct serve_server *server = user;
    struct serve_call *call = *context;
    bool good;
    (void)version;
    if (!call) {
        *context = call = call_create(server, mhd, method, path);
        good = call && first_look(call);
    } else if (*length > 0) {
        good = take_bytes(call, data, *length);
        *length = 0;
    } else if (call->deferred) {
        good = continue_call(call);
    } else {
        good = whole_request(call);
    }
    return good ? MHD_YES : MHD_NO;
}

static void on_completed(void *user, struct MHD_Connection *mhd, void **context,
                         enum MHD_RequestTerminationCode code)
{
    struct serve_server *server = user;
    struct serve_call *call = *context;
    (void)mhd;
    if (!call) {
        return;
    }
    *context = NULL;
    serve_guard_watch(&server->guard, call->connection, NULL);
    serve_guard_deadline(&server->guard, call->connection,
                         IDLE_SECONDS + server->options.read_seconds);
    pthread_mutex_lock(&call->lock);
    const bool running = call->has_task && !call->done;
    /* The guard may have seen the client go first, and the worker ended the task since. */
    const bool left =
        running || (call->has_task && call->gone && code != MHD_REQUEST_TERMINATED_COMPLETED_OK);
    call->gone = true;
    pthread_mutex_unlock(&call->lock);
    if (left) {
        call->status = 499;
    }
    if (running) {
        serve_cancel(call->request.model, &call->task);
    }
    serve_account(call, left);
    unlist(call);
    serve_call_release(call);
}

static void on_connection(void *user, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct serve_server *server = user;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
        struct serve_connection *connection = calloc(1, sizeof *connection);
        BASE_ASSERT(connection);
        connection->descriptor = info->connect_fd;
        serve_guard_add(&server->guard, connection, server->options.read_seconds);
        atomic_fetch_add(&server->metrics.connections, 1);
        *context = connection;
    } else if (*context) {
        serve_guard_remove(&server->guard, *context);
        atomic_fetch_sub(&server->metrics.connections, 1);
        free(*context);
        *context = NULL;
    }
}

static void quiet(void *user, const char *format, va_list list)
{
    (void)user;
    (void)format;
    (void)list;
}

enum takt_status serve_http_start(struct serve_server *server, struct takt_error *error)
{
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, server,
        MHD_OPTION_LISTEN_SOCKET, server->listen_socket, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
        server, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)server->options.connections, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)49152,
        MHD_OPTION_EXTERNAL_LOGGER, quiet, NULL, MHD_OPTION_END);
    if (!server->daemon) {
        return base_fail(error, TAKT_IO, "serve: the HTTP library does not start");
    }
    return TAKT_OK;
}
