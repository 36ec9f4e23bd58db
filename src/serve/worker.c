/*
 * A model's worker: the one thread that touches its engine. It takes tasks from the inbox, lets
 * the scheduler step, and tells the tasks' owners what came out.
 */
#include "serve/internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- opening --------------------------------------------------------------------------------- */

/* The file's name without folder and ending; a folder's own name. */
static void name_model(struct serve_model *model, const char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') {
        length--;
    }
    size_t begin = length;
    while (begin > 0 && path[begin - 1] != '/') {
        begin--;
    }
    if (length - begin > 5 && strncmp(path + length - 5, ".gguf", 5) == 0) {
        length -= 5;
    }
    snprintf(model->id, sizeof model->id, "%.*s", (int)(length - begin), path + begin);
}

static void *work(void *user);

enum takt_status serve_model_open(struct serve_model *model, const struct serve_options *options,
                                  const char *path, struct takt_error *error)
{
    struct takt_engine_options engine = options->engine;
    engine.model_path = path;
    engine.sessions = options->slots;
    *model = (struct serve_model){.created = serve_unix_seconds()};
    model->inbox_last = &model->inbox;
    pthread_mutex_init(&model->lock, NULL);
    pthread_cond_init(&model->wake, NULL);
    name_model(model, path);
    enum takt_status status = takt_engine_open(&model->engine, &engine, error);
    if (status != TAKT_OK) {
        return status;
    }
    takt_engine_info(model->engine, &model->info);
    model->target = options->engine.target;
    model->slots = options->slots;
    model->modelled = serve_modelled_open(options, path);
    const struct takt_scheduler_options scheduling = {.slots = options->slots,
                                                      .no_prefix_cache = options->no_prefix_cache};
    status = takt_scheduler_open(&model->scheduler, model->engine, &scheduling, error);
    if (status != TAKT_OK) {
        return status;
    }
    takt_scheduler_state(model->scheduler, &model->state);
    if (pthread_create(&model->thread, NULL, work, model) != 0) {
        return base_fail(error, TAKT_MEMORY, "%s: no thread for a worker", path);
    }
    model->thread_runs = true;
    return TAKT_OK;
}

void serve_model_close(struct serve_model *model)
{
    if (model->thread_runs) {
        pthread_mutex_lock(&model->lock);
        model->stop = true;
        pthread_cond_signal(&model->wake);
        pthread_mutex_unlock(&model->lock);
        pthread_join(model->thread, NULL);
    }
    serve_modelled_close(model->modelled);
    takt_scheduler_close(model->scheduler);
    takt_engine_close(model->engine);
    pthread_cond_destroy(&model->wake);
    pthread_mutex_destroy(&model->lock);
}

/* ---- from other threads ---------------------------------------------------------------------- */

bool serve_queue_full(struct serve_model *model, uint32_t most)
{
    pthread_mutex_lock(&model->lock);
    const bool full = model->waiting >= most;
    pthread_mutex_unlock(&model->lock);
    return full;
}

void serve_submit(struct serve_model *model, struct serve_task *task)
{
    pthread_mutex_lock(&model->lock);
    task->next = NULL;
    task->waiting = true;
    model->waiting++;
    *model->inbox_last = task;
    model->inbox_last = &task->next;
    pthread_cond_signal(&model->wake);
    pthread_mutex_unlock(&model->lock);
}

void serve_cancel(struct serve_model *model, struct serve_task *task)
{
    atomic_store(&task->cancelled, true);
    pthread_mutex_lock(&model->lock);
    model->cancels = true;
    pthread_cond_signal(&model->wake);
    pthread_mutex_unlock(&model->lock);
}

/* ---- the worker ------------------------------------------------------------------------------ */

static void no_longer_waiting(struct serve_task *task)
{
    struct serve_model *model = task->request->model;
    if (task->waiting) {
        pthread_mutex_lock(&model->lock);
        task->waiting = false;
        model->waiting--;
        pthread_mutex_unlock(&model->lock);
    }
}

static void give_output(struct serve_task *task)
{
    if (task->out.length > 0) {
        task->on_output(task);
        task->out.length = 0;
    }
}

/* A stream's text goes out at once unless some just did: then it waits for the end of the first
 * step after so many seconds. Whoever sends it is woken, and takes a processor from the model for
 * some tens of microseconds, however much it sends. */
#define BETWEEN_OUTPUTS 0.016

static void give_when_due(struct serve_task *task, double now)
{
    if (task->out.length > 0 && now - task->given >= BETWEEN_OUTPUTS) {
        task->given = now;
        give_output(task);
    }
}

static void on_event(void *user, const struct takt_event *event)
{
    struct serve_task *task = user;
    serve_answer_event(&task->answer, event, &task->out);
    if (event->kind == TAKT_EVENT_STARTED) {
        no_longer_waiting(task);
        give_output(task); /* what tokens give goes out at the end of the step, all at once */
    }
    if (event->kind == TAKT_EVENT_FINISHED) {
        task->finished = true; /* the rest is for deliver */
        task->job = NULL;
    }
}

static void submit(struct serve_model *model, struct serve_task *task)
{
    const struct serve_request *request = task->request;
    const struct takt_job_options options = {
        .prompt = request->prompt,
        .prompt_count = request->prompt_count,
        .max_tokens = request->max_tokens > 0 ? request->max_tokens : UINT32_MAX,
        .sampling = request->sampling,
        .biases = request->biases,
        .bias_count = request->bias_count,
        .stops = request->stops,
        .stop_count = request->stop_count,
        .logprobs = request->logprobs,
        .top_logprobs = request->top_logprobs,
        .grammar = request->grammar,
        .on_event = on_event,
        .user = task,
    };
    struct takt_error error;
    if (takt_scheduler_submit(model->scheduler, &options, &task->job, &error) != TAKT_OK) {
        const struct takt_event event = {
            .kind = TAKT_EVENT_FINISHED, .finish = "error", .logits_digest = "", .error = &error};
        on_event(task, &event);
    }
    task->next = model->active;
    model->active = task;
}

/* Too late: the answer ends with an error. */
static void expire(struct serve_model *model, struct serve_task *task)
{
    struct serve_failure failure;
    serve_fail(&failure, 503, "request_timeout", NULL,
               "The answer took longer than this server allows; ask for fewer tokens, or later.");
    takt_scheduler_cancel(model->scheduler, task->job);
    task->job = NULL;
    task->finished = true;
    serve_answer_fail(&task->answer, &failure, &task->out);
}

/* Tells owners what the step gave; forgets the tasks that are over. */
static void deliver(struct serve_model *model)
{
    const double now = base_seconds();
    struct serve_task **link = &model->active;
    while (*link) {
        struct serve_task *task = *link;
        const bool cancelled = atomic_load(&task->cancelled);
        if (task->job && task->deadline > 0 && now > task->deadline) {
            expire(model, task);
        }
        if (cancelled && task->job) {
            takt_scheduler_cancel(model->scheduler, task->job);
            task->job = NULL;
        }
        give_when_due(task, now);
        if (task->finished || cancelled) {
            give_output(task);
            *link = task->next;
            no_longer_waiting(task);
            task->on_done(task); /* the task may be gone now */
        } else {
            link = &task->next;
        }
    }
}

/* Waits until there is something to do; false: the server stops. */
static bool collect(struct serve_model *model, bool idle)
{
    pthread_mutex_lock(&model->lock);
    takt_scheduler_state(model->scheduler, &model->state);
    while (idle && !model->inbox && !model->cancels && !model->stop) {
        pthread_cond_wait(&model->wake, &model->lock);
    }
    struct serve_task *task = model->inbox;
    const bool go_on = !model->stop || task || model->active;
    model->inbox = NULL;
    model->inbox_last = &model->inbox;
    model->cancels = false;
    pthread_mutex_unlock(&model->lock);
    while (task) {
        struct serve_task *next = task->next;
        submit(model, task);
        task = next;
    }
    return go_on;
}

static void *work(void *user)
{
    struct serve_model *model = user;
    bool idle = true;
    while (collect(model, idle)) {
        idle = !takt_scheduler_step(model->scheduler);
        deliver(model);
    }
    return NULL;
}
