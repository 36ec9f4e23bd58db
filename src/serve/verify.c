/*
 * A stored request answered again, and compared with the answer that was stored beside it. The
 * request alone decides the answer, so the bits must agree wherever and whenever it was given.
 */
#include "serve/internal.h"

#include <stdlib.h>
#include <string.h>

struct verification {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool done;
    struct base_text *report;
    bool agree;
};

static void on_output(struct serve_task *task)
{
    (void)task;
}

static void on_done(struct serve_task *task)
{
    struct verification *v = task->user;
    pthread_mutex_lock(&v->lock);
    v->done = true;
    pthread_cond_signal(&v->wake);
    pthread_mutex_unlock(&v->lock);
}

/* The whole answer that a stream's chunks make up; NULL when the text is none. */
static json_t *from_stream(const char *text, size_t length)
{
    struct base_text content = {0};
    json_t *last = NULL;
    base_text_append(&content, "", 0);
    for (const char *at = text, *end = text + length; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const size_t line = (size_t)((newline ? newline : end) - at);
        json_t *chunk = line > 6 && memcmp(at, "data: {", 7) == 0
                            ? json_loadb(at + 6, line - 6, 0, NULL)
                            : NULL;
        json_t *choice = json_array_get(json_object_get(chunk, "choices"), 0);
        const json_t *delta = json_object_get(choice, "delta");
        const char *piece =
            json_string_value(json_object_get(delta ? delta : choice, delta ? "content" : "text"));
        if (piece) {
            base_text_append(&content, piece, strlen(piece));
        }
        if (json_object_get(chunk, "x_takt")) {
            json_decref(last);
            last = json_incref(chunk);
        }
        json_decref(chunk);
        at += line + 1;
    }
    json_t *choice = json_array_get(json_object_get(last, "choices"), 0);
    if (json_object_get(choice, "delta")) {
        json_object_set_new(choice, "message",
                            json_pack("{s:s%}", "content", content.data, content.length));
    } else if (choice) {
        json_object_set_new(choice, "text", json_stringn(content.data, content.length));
    }
    base_text_free(&content);
    return last;
}

static enum takt_status parse(const char *what, const char *text, size_t length, json_t **json,
                              struct takt_error *error)
{
    json_error_t reason;
    *json = json_loadb(text, length, 0, &reason);
    if (!*json) {
        *json = from_stream(text, length);
    }
    if (!json_is_object(*json)) {
        json_decref(*json);
        *json = NULL;
        return base_fail(error, TAKT_FORMAT, "%s: not a JSON object (line %d: %s)", what,
                         reason.line, reason.text);
    }
    return TAKT_OK;
}

/* ---- comparing ------------------------------------------------------------------------------- */

static const json_t *at_path(const json_t *json, const char *path)
{
    char name[64];
    while (json && *path) {
        const size_t length = strcspn(path, ".");
        snprintf(name, sizeof name, "%.*s", (int)length, path);
        json = json_is_array(json) ? json_array_get(json, strtoul(name, NULL, 10))
                                   : json_object_get(json, name);
        path += length + (path[length] == '.');
    }
    return json;
}

static void compare(struct verification *v, const json_t *stored, const json_t *made,
                    const char *path)
{
    const json_t *a = at_path(stored, path), *b = at_path(made, path);
    if (!a || !b) {
        base_text_format(v->report, "  not told  %s\n", path);
        return;
    }
    const bool same = json_equal(a, b);
    char *left = json_dumps(a, JSON_ENCODE_ANY | JSON_COMPACT);
    char *right = json_dumps(b, JSON_ENCODE_ANY | JSON_COMPACT);
    if (same) {
        base_text_format(v->report, "  agrees    %s  %.70s%s\n", path, left,
                         strlen(left) > 70 ? "..." : "");
    } else {
        base_text_format(v->report,
                         "  DIFFERS   %s\n            stored  %s\n            made    %s\n", path,
                         left, right);
    }
    v->agree = v->agree && same;
    free(left);
    free(right);
}

/* Ids of calls are made up for each answer: they go. */
static void strip_ids(json_t *answer)
{
    json_t *calls = json_object_get(
        json_object_get(json_array_get(json_object_get(answer, "choices"), 0), "message"),
        "tool_calls");
    for (size_t i = 0; i < json_array_size(calls); i++) {
        json_object_del(json_array_get(calls, i), "id");
    }
}

static void compare_answers(struct verification *v, json_t *stored, json_t *made, bool chat)
{
    static const char *const both[] = {"choices.0.finish_reason", "choices.0.logprobs",
                                       "usage.prompt_tokens",     "usage.completion_tokens",
                                       "x_takt.model_sha256",     "x_takt.logits_digest"};
    static const char *const machine[] = {"x_takt.cycles", "x_takt.program_hash"};
    v->agree = true;
    strip_ids(stored);
    strip_ids(made);
    compare(v, stored, made, chat ? "choices.0.message.content" : "choices.0.text");
    if (at_path(stored, "choices.0.message.tool_calls") ||
        at_path(made, "choices.0.message.tool_calls")) {
        compare(v, stored, made, "choices.0.message.tool_calls");
    }
    for (size_t i = 0; i < BASE_COUNT(both); i++) {
        compare(v, stored, made, both[i]);
    }
    for (size_t i = 0; i < BASE_COUNT(machine); i++) {
        compare(v, stored, made, machine[i]);
    }
    v->agree = v->agree && at_path(stored, "x_takt.logits_digest") != NULL;
}

/* ---- answering again ------------------------------------------------------------------------- */

/* The request as the server saw it: its seed and its time are in the answer. */
static char *same_request(json_t *request, const json_t *response, const char *model)
{
    const json_t *seed = at_path(response, "x_groq.seed");
    json_t *created = json_object_get(response, "created");
    json_object_set_new(request, "model", json_string(model));
    json_object_set_new(request, "stream", json_false());
    if (json_is_integer(seed)) {
        json_object_set_new(request, "seed", json_copy((json_t *)(uintptr_t)seed));
    }
    if (json_is_integer(created)) {
        json_object_set_new(request, "x_takt",
                            json_pack("{s:I}", "now", json_integer_value(created)));
    }
    return json_dumps(request, JSON_COMPACT);
}

static enum takt_status answer_again(struct verification *v, struct serve_model *model,
                                     const char *text, bool chat, json_t **made,
                                     struct takt_error *error)
{
    struct serve_model *models[1] = {model};
    struct serve_request request;
    struct serve_failure failure;
    if (!serve_request_read(&request, chat, text, strlen(text), models, 1, &failure)) {
        serve_request_free(&request);
        return base_fail(error, TAKT_USAGE, "the request is one that is refused: %s",
                         failure.message);
    }
    struct serve_task task = {
        .request = &request, .on_output = on_output, .on_done = on_done, .user = v};
    serve_answer_begin(&task.answer, &request, "");
    serve_submit(model, &task);
    pthread_mutex_lock(&v->lock);
    while (!v->done) {
        pthread_cond_wait(&v->wake, &v->lock);
    }
    pthread_mutex_unlock(&v->lock);
    enum takt_status status = TAKT_OK;
    if (task.answer.failed) {
        status = base_fail(error, TAKT_FAULT, "%s", task.answer.failure.message);
    } else {
        serve_modelled_settle(model->modelled, &task.answer);
        struct base_text out = {0};
        serve_answer_json(&task.answer, &out);
        *made = json_loadb(out.data, out.length, 0, NULL);
        base_text_free(&out);
    }
    serve_answer_free(&task.answer);
    base_text_free(&task.out);
    serve_request_free(&request);
    return status;
}

static enum takt_status verify_on(struct verification *v, struct serve_model *model,
                                  json_t *request, json_t *response, struct takt_error *error)
{
    const bool chat = json_object_get(request, "messages") != NULL;
    json_t *made = NULL;
    char *text = same_request(request, response, model->id);
    const enum takt_status status = answer_again(v, model, text, chat, &made, error);
    if (status == TAKT_OK) {
        compare_answers(v, response, made, chat);
    }
    free(text);
    json_decref(made);
    return status;
}

enum takt_status serve_verify(const struct takt_engine_options *options, const char *request,
                              size_t request_length, const char *response, size_t response_length,
                              bool *agree, char **report, struct takt_error *error)
{
    struct base_text text = {0};
    struct verification v = {.report = &text};
    struct serve_options serving;
    struct serve_model *model = calloc(1, sizeof *model);
    json_t *asked = NULL, *stored = NULL;
    BASE_ASSERT(model);
    *report = NULL;
    *agree = false;
    pthread_mutex_init(&v.lock, NULL);
    pthread_cond_init(&v.wake, NULL);
    serve_defaults(&serving);
    serving.engine = *options;
    serving.slots = 1;
    enum takt_status status = parse("request", request, request_length, &asked, error);
    if (status == TAKT_OK) {
        status = parse("response", response, response_length, &stored, error);
    }
    if (status == TAKT_OK) {
        status = serve_model_open(model, &serving, options->model_path, error);
        if (status == TAKT_OK) {
            status = verify_on(&v, model, asked, stored, error);
        }
        serve_model_close(model);
    }
    json_decref(asked);
    json_decref(stored);
    free(model);
    pthread_cond_destroy(&v.wake);
    pthread_mutex_destroy(&v.lock);
    if (status != TAKT_OK) {
        base_text_free(&text);
        return status;
    }
    *agree = v.agree;
    *report = text.data;
    return TAKT_OK;
}
