/* The server as a whole: opened in order, closed in the other order. */
#include "serve/internal.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

void serve_defaults(struct serve_options *options)
{
    *options = (struct serve_options){
        .engine = {.target = TAKT_TARGET_NATIVE},
        .host = "127.0.0.1",
        .port = 8080,
        .slots = 16,
        .queue = 256,
        .connections = 1024,
        .body_bytes = 8u << 20,
        .file_bytes = 128u << 20,
        .read_seconds = 30,
        .answer_seconds = 600,
        .drain_seconds = 30,
    };
}

static enum takt_status listen_on(struct serve_server *server, struct takt_error *error)
{
    const char *host = server->options.host ? server->options.host : "127.0.0.1";
    char port[16];
    struct addrinfo *list;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV};
    snprintf(port, sizeof port, "%u", server->options.port);
    if (getaddrinfo(host, port, &hints, &list) != 0) {
        return base_fail(error, TAKT_USAGE, "%s: not an address; give one like 127.0.0.1 or ::1",
                         host);
    }
    const int one = 1;
    const int handle = socket(list->ai_family, list->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    server->listen_socket = handle;
    bool good = handle >= 0;
    good = good && setsockopt(handle, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0;
    good = good && bind(handle, list->ai_addr, list->ai_addrlen) == 0;
    good = good && listen(handle, 1024) == 0;
    const int reason = errno;
    freeaddrinfo(list);
    if (!good) {
        return base_fail(error, TAKT_IO, "%s port %u: %s; choose another port, or 0 for any", host,
                         server->options.port, strerror(reason));
    }
    struct sockaddr_storage bound;
    socklen_t length = sizeof bound;
    getsockname(handle, (struct sockaddr *)&bound, &length);
    getnameinfo((const struct sockaddr *)&bound, length, NULL, 0, port, sizeof port,
                NI_NUMERICSERV);
    server->port = (uint32_t)strtoul(port, NULL, 10);
    return TAKT_OK;
}

static enum takt_status open_log(struct serve_server *server, struct takt_error *error)
{
    const char *path = server->options.log_path;
    if (!path) {
        return TAKT_OK;
    }
    server->log = strcmp(path, "-") == 0 ? stderr : fopen(path, "ae");
    if (!server->log) {
        return base_fail(error, TAKT_IO, "%s: %s; the request log cannot be written", path,
                         strerror(errno));
    }
    return TAKT_OK;
}

static enum takt_status open_models(struct serve_server *server, struct takt_error *error)
{
    const struct serve_options *options = &server->options;
    for (size_t i = 0; i < options->model_count; i++) {
        struct serve_model *model = calloc(1, sizeof *model);
        if (!model) {
            return base_fail(error, TAKT_MEMORY, "serve: no memory for a model");
        }
        server->models[server->model_count++] = model;
        const enum takt_status status =
            serve_model_open(model, options, options->model_paths[i], error);
        if (status != TAKT_OK) {
            return status;
        }
        if (serve_find_model(server->models, i, model->id)) {
            return base_fail(error, TAKT_USAGE,
                             "%s: a model called %s is there already; give the file another name",
                             options->model_paths[i], model->id);
        }
    }
    return TAKT_OK;
}

/* A connection is a descriptor, and what a process has by default, 1,024, is not enough for as many
 * connections. */
static void raise_limit(uint32_t connections)
{
    const rlim_t wanted = (rlim_t)connections + 256; /* models, files of batches, the rest */
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < wanted) {
        limit.rlim_cur = BASE_MIN(wanted, limit.rlim_max);
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static enum takt_status open_parts(struct serve_server *server, struct takt_error *error)
{
    enum takt_status status = serve_keys_open(&server->keys, &server->options, error);
    if (status == TAKT_OK) {
        status = open_log(server, error);
    }
    if (status == TAKT_OK) {
        status = listen_on(server, error); /* before the models: a taken port is known at once */
    }
    if (status == TAKT_OK) {
        status = open_models(server, error);
    }
    if (status == TAKT_OK) {
        status = serve_store_open(server, error);
    }
    if (status == TAKT_OK) {
        status = serve_guard_start(&server->guard, error);
    }
    if (status == TAKT_OK) {
        status = serve_http_start(server, error);
    }
    return status;
}

enum takt_status serve_start(struct serve_server **server, const struct serve_options *options,
                             struct takt_error *error)
{
    *server = NULL;
    struct serve_server *opened = calloc(1, sizeof *opened);
    if (!opened) {
        return base_fail(error, TAKT_MEMORY, "serve: no memory for a server");
    }
    opened->options = *options;
    opened->listen_socket = -1;
    opened->guard.epoll = opened->guard.wake = -1;
    opened->opened = base_seconds();
    raise_limit(options->connections);
    pthread_mutex_init(&opened->lock, NULL);
    pthread_mutex_init(&opened->log_lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&opened->idle, &attributes);
    pthread_condattr_destroy(&attributes);
    const enum takt_status status = open_parts(opened, error);
    if (status != TAKT_OK) {
        serve_stop(opened);
        return status;
    }
    *server = opened;
    return TAKT_OK;
}

uint32_t serve_port(const struct serve_server *server)
{
    return server->port;
}

/* Waits until no call is left, at most so long. */
static void wait_idle(struct serve_server *server, uint32_t seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += seconds;
    pthread_mutex_lock(&server->lock);
    while (server->call_count > 0 &&
           pthread_cond_timedwait(&server->idle, &server->lock, &until) == 0) {
    }
    pthread_mutex_unlock(&server->lock);
}

/* Answers that still run are cut. */
static void cut_calls(struct serve_server *server)
{
    pthread_mutex_lock(&server->lock);
    for (struct serve_call *call = server->calls; call; call = call->next) {
        serve_call_gone(call);
    }
    pthread_mutex_unlock(&server->lock);
}

static void stop_http(struct serve_server *server)
{
    atomic_store(&server->draining, true);
    MHD_quiesce_daemon(server->daemon);
    wait_idle(server, server->options.drain_seconds);
    cut_calls(server);
    wait_idle(server, 5);
    MHD_stop_daemon(server->daemon);
}

void serve_stop(struct serve_server *server)
{
    if (!server) {
        return;
    }
    if (server->daemon) {
        stop_http(server);
    }
    if (server->listen_socket >= 0) {
        close(server->listen_socket);
    }
    serve_guard_stop(&server->guard);
    serve_store_close(server->store); /* its lines are with the workers: they go after it */
    for (size_t i = 0; i < server->model_count; i++) {
        serve_model_close(server->models[i]);
        free(server->models[i]);
    }
    serve_keys_close(&server->keys);
    if (server->log && server->log != stderr) {
        fclose(server->log);
    }
    pthread_cond_destroy(&server->idle);
    pthread_mutex_destroy(&server->lock);
    pthread_mutex_destroy(&server->log_lock);
    free(server);
}
