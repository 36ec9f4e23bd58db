/* Paths: which function answers, and what a wrong path is told. */
#include "serve/internal.h"

#include <string.h>

static const struct serve_route routes[] = {
    {.path = "/chat/completions", .method = "POST", .api = true, .answer = serve_chat},
    {.path = "/completions", .method = "POST", .api = true, .answer = serve_completions},
    {.path = "/models", .method = "GET", .api = true, .answer = serve_models},
    {.path = "/models/", .method = "GET", .api = true, .answer = serve_model_one},
    {.path = "/files", .method = "POST", .api = true, .answer = serve_file_upload, .upload = true},
    {.path = "/files", .method = "GET", .api = true, .answer = serve_file_list},
    {.path = "/files/", .method = "GET", .api = true, .answer = serve_file_one},
    {.path = "/files/", .method = "DELETE", .api = true, .answer = serve_file_delete},
    {.path = "/batches", .method = "POST", .api = true, .answer = serve_batch_create},
    {.path = "/batches", .method = "GET", .api = true, .answer = serve_batch_list},
    {.path = "/batches/", .method = "GET", .api = true, .answer = serve_batch_one},
    {.path = "/batches/", .method = "POST", .api = true, .answer = serve_batch_cancel},
    {.path = "/api/inspect", .method = "GET", .answer = serve_inspect},
    {.path = "/api/schedule", .method = "GET", .answer = serve_schedule},
    {.path = "/health", .method = "GET", .answer = serve_health},
    {.path = "/metrics", .method = "GET", .answer = serve_metrics_reply},
    {.path = "/", .method = "GET", .answer = serve_page},
};

static const char *const prefixes[] = {"/openai/v1", "/v1"};

/* The path behind a prefix, or NULL. */
static const char *behind_prefix(const char *path, const char **prefix)
{
    for (size_t i = 0; i < BASE_COUNT(prefixes); i++) {
        const size_t length = strlen(prefixes[i]);
        if (strncmp(path, prefixes[i], length) == 0 && path[length] == '/') {
            *prefix = prefixes[i];
            return path + length;
        }
    }
    return NULL;
}

/* Does the route's path fit; what follows it is the id. */
static bool fits(const struct serve_route *route, const char *path, const char **id)
{
    const size_t length = strlen(route->path);
    *id = "";
    if (strcmp(path, route->path) == 0) {
        return length == 1 || route->path[length - 1] != '/';
    }
    if (length > 1 && route->path[length - 1] == '/' && strncmp(path, route->path, length) == 0) {
        *id = path + length;
        return true;
    }
    return false;
}

static const struct serve_route *unknown(const char *method, const char *path,
                                         struct serve_failure *failure)
{
    const char *first = NULL, *second = NULL;
    const char *rest = behind_prefix(path, &first);
    if (rest && behind_prefix(rest, &second)) {
        serve_fail(failure, 404, "unknown_url", NULL,
                   "Unknown request URL: %s %.200s. The path repeats '%s'%s%s%s; give the client a "
                   "base URL without it.",
                   method, path, second, strcmp(first, second) == 0 ? "" : " after '",
                   strcmp(first, second) == 0 ? "" : first, strcmp(first, second) == 0 ? "" : "'");
        return NULL;
    }
    serve_fail(failure, 404, "unknown_url", NULL,
               "Unknown request URL: %s %.200s. Please check the URL for typos, or see the docs.",
               method, path);
    return NULL;
}

const struct serve_route *serve_route_find(const char *method, const char *path, const char **id,
                                           struct serve_failure *failure)
{
    const char *prefix;
    const char *rest = behind_prefix(path, &prefix);
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    char allowed[32] = "";
    for (size_t i = 0; i < BASE_COUNT(routes); i++) {
        const struct serve_route *route = &routes[i];
        const char *here = route->api ? rest : path;
        if (!here || !fits(route, here, id)) {
            continue;
        }
        if (strcmp(wanted, route->method) == 0) {
            return route;
        }
        snprintf(allowed + strlen(allowed), sizeof allowed - strlen(allowed), "%s%s",
                 allowed[0] ? ", " : "", route->method);
    }
    if (allowed[0]) {
        serve_fail(failure, 405, "method_not_allowed", NULL,
                   "Method %s is not allowed for %.200s; use %s.", method, path, allowed);
        snprintf(failure->allow, sizeof failure->allow, "%s", allowed);
        return NULL;
    }
    return unknown(method, path, failure);
}
