/*
 * The modelled system: an engine of its own, on which programs are compiled and looked at, never
 * run for an answer. A thread does it in the background: no text waits for a compilation.
 */
#include "serve/internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define KEPT 4u

struct kept {
    struct takt_inspection *inspection;
    uint32_t chunk, context;
    uint64_t used;
};

/* Something to do: programs to compile for a request of so many tokens, or a call to answer. */
struct want {
    struct want *next;
    uint32_t prompt_tokens, answer_tokens;
    struct serve_call *call;
    uint32_t chunk, context;
    int64_t layer; /* of the schedule; -1: the account */
};

struct serve_modelled {
    struct takt_engine_options options;
    char path[4096];
    pthread_t thread;
    pthread_mutex_t lock; /* guards wants */
    pthread_cond_t wake;
    struct want *wants;
    size_t want_count;
    bool stop;
    pthread_mutex_t engine_lock; /* guards what follows; held while compiling */
    struct takt_engine *engine;
    struct takt_error failure; /* why there is no engine */
    struct kept kept[KEPT];
    uint64_t uses;
};

static bool open_engine(struct serve_modelled *modelled)
{
    if (!modelled->engine && modelled->failure.status == TAKT_OK) {
        takt_engine_open(&modelled->engine, &modelled->options, &modelled->failure);
    }
    return modelled->engine != NULL;
}

/* ---- looking at a step ----------------------------------------------------------------------- */

static struct takt_inspection *inspect(struct serve_modelled *modelled, const struct want *want,
                                       struct takt_error *error)
{
    struct kept *oldest = &modelled->kept[0];
    for (size_t i = 0; i < KEPT; i++) {
        struct kept *kept = &modelled->kept[i];
        if (kept->inspection && kept->chunk == want->chunk && kept->context == want->context) {
            kept->used = ++modelled->uses;
            return kept->inspection;
        }
        oldest = kept->used < oldest->used ? kept : oldest;
    }
    const struct takt_inspect_options options = {.chunk = want->chunk, .context = want->context};
    struct takt_inspection *made;
    if (takt_inspect(&made, modelled->engine, &options, error) != TAKT_OK) {
        return NULL;
    }
    takt_inspection_close(oldest->inspection);
    *oldest = (struct kept){made, want->chunk, want->context, ++modelled->uses};
    return made;
}

static void answer(struct serve_modelled *modelled, const struct want *want)
{
    struct serve_call *call = want->call;
    struct takt_error error = {0};
    struct takt_inspection *inspection = NULL;
    if (open_engine(modelled)) {
        inspection = inspect(modelled, want, &error);
    } else {
        error = modelled->failure;
    }
    char *text = NULL;
    if (!inspection) {
        serve_fail(&call->failure, error.status == TAKT_MEMORY ? 500 : 400, "no_schedule", NULL,
                   "%s", error.message);
    } else if (want->layer < 0) {
        text = takt_inspection_json(inspection);
    } else {
        struct takt_inspect_figures figures;
        takt_inspection_figures(inspection, &figures);
        if (want->layer == UINT32_MAX || want->layer < (int64_t)figures.layers) {
            text = takt_inspection_schedule(inspection, (uint32_t)want->layer);
        } else {
            serve_fail(&call->failure, 400, "invalid_value", "layer",
                       "Invalid 'layer': %lld is not below %u.", (long long)want->layer,
                       figures.layers);
        }
    }
    serve_call_ready(call, text);
    free(text);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static void do_want(struct serve_modelled *modelled, const struct want *want)
{
    struct takt_request_cycles cycles;
    pthread_mutex_lock(&modelled->engine_lock);
    if (want->call) {
        answer(modelled, want);
    } else if (open_engine(modelled)) {
        takt_request_cycles(modelled->engine, want->prompt_tokens, want->answer_tokens, true,
                            &cycles, NULL);
    }
    pthread_mutex_unlock(&modelled->engine_lock);
}

static void *work(void *user)
{
    struct serve_modelled *modelled = user;
    /* Compiling takes what the answers leave: the nice value is the thread's own on Linux. */
    setpriority(PRIO_PROCESS, (id_t)gettid(), 19);
    for (;;) {
        pthread_mutex_lock(&modelled->lock);
        while (!modelled->wants && !modelled->stop) {
            pthread_cond_wait(&modelled->wake, &modelled->lock);
        }
        struct want *want = modelled->wants;
        const bool stop = modelled->stop;
        if (want) {
            modelled->wants = want->next;
            modelled->want_count--;
        }
        pthread_mutex_unlock(&modelled->lock);
        if (stop && !want) {
            return NULL;
        }
        if (stop && want->call) {
            serve_fail(&want->call->failure, 503, "server_stopping", NULL,
                       "The server is stopping.");
            serve_call_ready(want->call, NULL);
        } else if (!stop) {
            do_want(modelled, want);
        }
        free(want);
    }
}

#define WANTS_MAX 64u

static bool add_want(struct serve_modelled *modelled, const struct want *want)
{
    struct want *copy = malloc(sizeof *copy);
    BASE_ASSERT(copy);
    *copy = *want;
    copy->next = NULL;
    pthread_mutex_lock(&modelled->lock);
    const bool room = modelled->want_count < WANTS_MAX && !modelled->stop;
    struct want **last = &modelled->wants;
    while (*last) {
        last = &(*last)->next;
    }
    if (room) {
        *last = copy;
        modelled->want_count++;
        pthread_cond_signal(&modelled->wake);
    }
    pthread_mutex_unlock(&modelled->lock);
    if (!room) {
        free(copy);
    }
    return room;
}

/* ---- from other threads ---------------------------------------------------------------------- */

struct serve_modelled *serve_modelled_open(const struct serve_options *options, const char *path)
{
    struct serve_modelled *modelled = calloc(1, sizeof *modelled);
    BASE_ASSERT(modelled);
    snprintf(modelled->path, sizeof modelled->path, "%s", path);
    modelled->options = (struct takt_engine_options){.model_path = modelled->path,
                                                     .machine_path = options->engine.machine_path,
                                                     .target = TAKT_TARGET_REFERENCE,
                                                     .context = options->engine.context};
    pthread_mutex_init(&modelled->lock, NULL);
    pthread_mutex_init(&modelled->engine_lock, NULL);
    pthread_cond_init(&modelled->wake, NULL);
    const int started = pthread_create(&modelled->thread, NULL, work, modelled);
    BASE_ASSERT(started == 0);
    return modelled;
}

void serve_modelled_close(struct serve_modelled *modelled)
{
    if (!modelled) {
        return;
    }
    pthread_mutex_lock(&modelled->lock);
    modelled->stop = true;
    pthread_cond_signal(&modelled->wake);
    pthread_mutex_unlock(&modelled->lock);
    pthread_join(modelled->thread, NULL);
    for (size_t i = 0; i < KEPT; i++) {
        takt_inspection_close(modelled->kept[i].inspection);
    }
    takt_engine_close(modelled->engine);
    pthread_cond_destroy(&modelled->wake);
    pthread_mutex_destroy(&modelled->lock);
    pthread_mutex_destroy(&modelled->engine_lock);
    free(modelled);
}

bool serve_modelled_cycles(struct serve_modelled *modelled, uint32_t prompt_tokens,
                           uint32_t answer_tokens, struct takt_request_cycles *cycles)
{
    bool known = false;
    if (pthread_mutex_trylock(&modelled->engine_lock) == 0) {
        known =
            modelled->engine && takt_request_cycles(modelled->engine, prompt_tokens, answer_tokens,
                                                    false, cycles, NULL) == TAKT_OK;
        pthread_mutex_unlock(&modelled->engine_lock);
    }
    if (!known) {
        const struct want want = {.prompt_tokens = prompt_tokens, .answer_tokens = answer_tokens};
        add_want(modelled, &want);
    }
    return known;
}

void serve_modelled_settle(struct serve_modelled *modelled, struct serve_answer *answer)
{
    if (answer->cycles.chips == 0) {
        pthread_mutex_lock(&modelled->engine_lock);
        if (!open_engine(modelled) ||
            takt_request_cycles(modelled->engine, answer->prompt_tokens, answer->answer_tokens,
                                true, &answer->cycles, NULL) != TAKT_OK) {
            answer->cycles.chips = 0;
        }
        pthread_mutex_unlock(&modelled->engine_lock);
    }
}

/* ---- routes ---------------------------------------------------------------------------------- */

/* A number of the query; false after a failure. */
static bool query_number(struct serve_call *call, const char *name, int64_t least, int64_t most,
                         int64_t *value)
{
    const char *text = MHD_lookup_connection_value(call->mhd, MHD_GET_ARGUMENT_KIND, name);
    if (text && !base_parse_i64(text, least, most, value)) {
        return serve_fail(&call->failure, 400, "invalid_value", name,
                          "Invalid '%s': a number from %lld to %lld is expected.", name,
                          (long long)least, (long long)most);
    }
    return true;
}

static bool look(struct serve_call *call, int64_t layer)
{
    const struct serve_server *server = call->server;
    const char *name = MHD_lookup_connection_value(call->mhd, MHD_GET_ARGUMENT_KIND, "model");
    struct serve_model *model =
        name ? serve_find_model(server->models, server->model_count, name) : server->models[0];
    int64_t chunk = 1, context = 0;
    if (!serve_admit(call)) {
        return false;
    }
    if (!model) {
        return serve_fail(&call->failure, 404, "model_not_found", "model",
                          "The model `%.200s` does not exist or you do not have access to it.",
                          name);
    }
    if (!query_number(call, "chunk", 1, 256, &chunk) ||
        !query_number(call, "context", 0, model->info.context, &context)) {
        return false;
    }
    const struct want want = {
        .call = call, .chunk = (uint32_t)chunk, .context = (uint32_t)context, .layer = layer};
    serve_call_defer(call);
    if (!add_want(model->modelled, &want)) {
        serve_fail(&call->failure, 503, "queue_full", NULL, "Too many schedules are asked for.");
        call->failure.retry_after = 1;
        serve_call_ready(call, NULL);
    }
    return true;
}

bool serve_inspect(struct serve_call *call, const char *id)
{
    (void)id;
    return look(call, -1);
}

bool serve_schedule(struct serve_call *call, const char *id)
{
    int64_t layer = UINT32_MAX; /* all of them */
    (void)id;
    return query_number(call, "layer", 0, UINT32_MAX, &layer) && look(call, layer);
}
