/*
 * Accuracy: how well a model predicts a text in the engine's numerics profile and in plain
 * binary32, and how far apart the two distributions are.
 *
 * The text's documents are cut into windows; as many windows as there are threads advance together,
 * a few tokens at a time: the engine's sessions one after the other, then binary32 and the
 * comparison of each window in a thread of its own. Sums are taken in the order of the text, so
 * neither threads nor chunks change a result.
 */
#include "graph/binary32.h"
#include "num/num.h"
#include "run/run.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK = 64, WINDOWS_MAX = 8 };
static const char separator[] = "<|endoftext|>";

/* Tokens [first, first + count) of the list are one window. */
struct window {
    size_t first;
    uint32_t count;
};

struct score {
    float divergence;
    float loss, loss_binary32; /* of the token that follows; of the last there is none */
    bool predicts, same_top;
};

/* A window under way. */
struct lane {
    struct measuring *m;
    const struct window *window;
    struct takt_session *session;
    struct binary32 *binary32;
    uint32_t done, count;   /* tokens before this chunk, and of it */
    float *profile, *exact; /* [CHUNK][vocab] */
    struct score *scores;   /* of the window's first token */
    pthread_t thread;
};

struct measuring {
    struct takt_engine *engine;
    const struct takt_measure_options *options;
    struct takt_error *error;
    struct model *baseline; /* NULL: the engine's */
    struct binary32_weights *weights;
    uint32_t vocab, context;
    uint32_t *tokens;
    size_t token_count, token_capacity;
    struct window *windows;
    size_t window_count, window_capacity;
    struct score *scores; /* [token_count] */
    struct lane lanes[WINDOWS_MAX];
    uint32_t lane_count;
};

static enum takt_status short_of_memory(const struct measuring *m)
{
    return base_fail(m->error, TAKT_MEMORY, "%s: no memory to measure it; free some",
                     m->engine->model->path);
}

/* ---- the text -------------------------------------------------------------------------------- */

static bool grow(void **list, size_t *capacity, size_t wanted, size_t size)
{
    if (wanted <= *capacity) {
        return true;
    }
    const size_t larger = BASE_MAX(2 * *capacity, wanted);
    void *grown = realloc(*list, larger * size);
    if (!grown) {
        return false;
    }
    *list = grown;
    *capacity = larger;
    return true;
}

/* A window: `start` (the beginning-of-text token, if any), then tokens. */
static bool add_window(struct measuring *m, const uint32_t *start, size_t starts,
                       const uint32_t *tokens, size_t count)
{
    if (!grow((void **)&m->windows, &m->window_capacity, m->window_count + 1, sizeof *m->windows) ||
        !grow((void **)&m->tokens, &m->token_capacity, m->token_count + starts + count,
              sizeof *m->tokens)) {
        return false;
    }
    m->windows[m->window_count++] = (struct window){m->token_count, (uint32_t)(starts + count)};
    memcpy(m->tokens + m->token_count, start, starts * sizeof *start);
    memcpy(m->tokens + m->token_count + starts, tokens, count * sizeof *tokens);
    m->token_count += starts + count;
    return true;
}

static enum takt_status add_document(struct measuring *m, const uint32_t *start, size_t starts,
                                     const char *text, size_t length)
{
    uint32_t *ids = NULL;
    size_t count = 0;
    enum takt_status status =
        takt_tokenize(m->engine, text, length, false, true, &ids, &count, m->error);
    for (size_t at = 0; status == TAKT_OK && at < count;) {
        const size_t most = m->options->tokens_max;
        size_t now = BASE_MIN(count - at, m->context - starts);
        if (most != 0) {
            now = BASE_MIN(now, most - BASE_MIN(most, m->token_count + starts));
        }
        if (now == 0) {
            break;
        }
        if (!add_window(m, start, starts, ids + at, now)) {
            status = short_of_memory(m);
        }
        at += now;
    }
    free(ids);
    return status;
}

/* Documents stand between lines <|endoftext|>; a text without them is one. */
static enum takt_status read_text(struct measuring *m)
{
    uint32_t *start = NULL;
    size_t starts = 0;
    enum takt_status status =
        takt_tokenize(m->engine, "", 0, true, false, &start, &starts, m->error);
    if (status == TAKT_OK && starts >= m->context) {
        status = base_fail(m->error, TAKT_USAGE, "windows of %u tokens are too short", m->context);
    }
    const char *text = m->options->text, *end = text + m->options->length;
    while (status == TAKT_OK && text < end) {
        const char *mark = memmem(text, (size_t)(end - text), separator, sizeof separator - 1);
        const char *next = mark ? mark + sizeof separator - 1 : end;
        const char *stop = mark ? mark : end;
        while (text < stop && text[0] == '\n') {
            text++;
        }
        while (text < stop && stop[-1] == '\n') {
            stop--;
        }
        if (text < stop) {
            status = add_document(m, start, starts, text, (size_t)(stop - text));
        }
        text = next;
    }
    free(start);
    if (status == TAKT_OK && m->token_count == 0) {
        status = base_fail(m->error, TAKT_USAGE, "the text has no tokens to measure");
    }
    return status;
}

/* ---- scores ---------------------------------------------------------------------------------- */

static uint32_t top_of(const float *logits, uint32_t vocab)
{
    uint32_t top = 0;
    for (uint32_t i = 1; i < vocab; i++) {
        top = logits[i] > logits[top] ? i : top;
    }
    return top;
}

/* ln of the sum of exp(logits - largest), plus largest. */
static double log_sum(const float *logits, uint32_t vocab, float largest)
{
    double sum = 0.0;
    for (uint32_t i = 0; i < vocab; i++) {
        sum += (double)num_exp(logits[i] - largest);
    }
    return (double)largest + num_log(sum);
}

/* Logits of one position; next: the token that follows, or NULL. Either may be missing. */
static void score_position(const float *profile, const float *exact, uint32_t vocab,
                           const uint32_t *next, struct score *score)
{
    const float *rows[2] = {profile, exact};
    double sums[2] = {0.0, 0.0};
    uint32_t tops[2] = {0, 0};
    for (uint32_t i = 0; i < 2; i++) {
        if (rows[i]) {
            tops[i] = top_of(rows[i], vocab);
            sums[i] = log_sum(rows[i], vocab, rows[i][tops[i]]);
        }
    }
    score->predicts = next != NULL;
    if (next && profile) {
        score->loss = (float)(sums[0] - (double)profile[*next]);
    }
    if (next && exact) {
        score->loss_binary32 = (float)(sums[1] - (double)exact[*next]);
    }
    if (!profile || !exact) {
        return;
    }
    double divergence = 0.0;
    for (uint32_t i = 0; i < vocab; i++) {
        const double p = (double)exact[i] - sums[1];
        divergence += (double)num_exp((float)p) * (p - ((double)profile[i] - sums[0]));
    }
    score->divergence = (float)(divergence > 0.0 ? divergence : 0.0);
    score->same_top = tops[0] == tops[1];
}

static void *run_lane(void *argument)
{
    struct lane *lane = argument;
    const struct measuring *m = lane->m;
    const uint32_t *tokens = m->tokens + lane->window->first + lane->done;
    if (lane->binary32 && lane->count > 0) {
        binary32_step(lane->binary32, tokens, lane->count, lane->done, lane->exact);
    }
    for (uint32_t i = 0; i < lane->count; i++) {
        const size_t row = (size_t)i * m->vocab;
        const bool last = lane->done + i + 1 == lane->window->count;
        score_position(lane->session ? lane->profile + row : NULL,
                       lane->binary32 ? lane->exact + row : NULL, m->vocab,
                       last ? NULL : tokens + i + 1, &lane->scores[lane->done + i]);
    }
    return NULL;
}

/* ---- windows --------------------------------------------------------------------------------- */

/* One chunk of each of the lanes that have tokens left. */
static enum takt_status advance(struct measuring *m, uint32_t lanes)
{
    for (uint32_t i = 0; i < lanes; i++) {
        struct lane *lane = &m->lanes[i];
        lane->count = BASE_MIN(lane->window->count - lane->done, (uint32_t)CHUNK);
        if (lane->count == 0 || !lane->session) {
            continue;
        }
        const enum takt_status status =
            takt_session_extend(lane->session, m->tokens + lane->window->first + lane->done,
                                lane->count, NULL, lane->profile, m->error);
        if (status != TAKT_OK) {
            return status;
        }
    }
    bool started[WINDOWS_MAX] = {false};
    for (uint32_t i = 1; i < lanes; i++) {
        started[i] = pthread_create(&m->lanes[i].thread, NULL, run_lane, &m->lanes[i]) == 0;
    }
    run_lane(&m->lanes[0]);
    for (uint32_t i = 1; i < lanes; i++) {
        if (started[i]) {
            pthread_join(m->lanes[i].thread, NULL);
        } else {
            run_lane(&m->lanes[i]);
        }
    }
    for (uint32_t i = 0; i < lanes; i++) {
        m->lanes[i].done += m->lanes[i].count;
    }
    return TAKT_OK;
}

static enum takt_status run_windows(struct measuring *m)
{
    uint64_t done = 0;
    for (size_t at = 0; at < m->window_count; at += m->lane_count) {
        const uint32_t lanes = (uint32_t)BASE_MIN(m->window_count - at, (size_t)m->lane_count);
        uint32_t longest = 0;
        for (uint32_t i = 0; i < lanes; i++) {
            struct lane *lane = &m->lanes[i];
            lane->window = &m->windows[at + i];
            lane->scores = m->scores + lane->window->first;
            lane->done = 0;
            longest = BASE_MAX(longest, lane->window->count);
            done += lane->window->count;
            if (lane->session) {
                takt_session_truncate(lane->session, 0, NULL);
            }
        }
        for (uint32_t c = 0; c < longest; c += CHUNK) {
            const enum takt_status status = advance(m, lanes);
            if (status != TAKT_OK) {
                return status;
            }
        }
        if (m->options->on_progress &&
            !m->options->on_progress(m->options->user, done, m->token_count)) {
            return base_fail(m->error, TAKT_INTERRUPTED, "interrupted after %llu of %zu tokens",
                             (unsigned long long)done, m->token_count);
        }
    }
    return TAKT_OK;
}

/* ---- opening and closing --------------------------------------------------------------------- */

static enum takt_status open_baseline(struct measuring *m)
{
    const struct model *model = m->engine->model;
    if (m->options->baseline_path) {
        const enum takt_status status =
            model_open(&m->baseline, m->options->baseline_path, m->error);
        if (status != TAKT_OK) {
            return status;
        }
        if (m->baseline->vocab != model->vocab) {
            return base_fail(m->error, TAKT_USAGE,
                             "%s has a vocabulary of %u, %s one of %u: they cannot be compared",
                             model->path, model->vocab, m->baseline->path, m->baseline->vocab);
        }
        model_set_context(m->baseline, m->engine->context);
        model = m->baseline;
    }
    return binary32_weights_create(&m->weights, model, m->error);
}

static enum takt_status open_lanes(struct measuring *m)
{
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    m->lane_count = (uint32_t)BASE_MIN(BASE_MAX(online, 1), (long)WINDOWS_MAX);
    m->lane_count = (uint32_t)BASE_MIN((size_t)m->lane_count, m->window_count);
    if (m->options->profile) {
        m->lane_count = BASE_MIN(m->lane_count, m->engine->sessions);
    }
    for (uint32_t i = 0; i < m->lane_count; i++) {
        struct lane *lane = &m->lanes[i];
        lane->m = m;
        lane->profile = calloc((size_t)CHUNK * m->vocab, sizeof *lane->profile);
        lane->exact = calloc((size_t)CHUNK * m->vocab, sizeof *lane->exact);
        if (!lane->profile || !lane->exact) {
            return short_of_memory(m);
        }
        if (m->options->profile) {
            const enum takt_status status = takt_session_open(&lane->session, m->engine, m->error);
            if (status != TAKT_OK) {
                return status;
            }
        }
        if (m->options->binary32) {
            lane->binary32 = binary32_create(m->weights, m->context, CHUNK);
            if (!lane->binary32) {
                return short_of_memory(m);
            }
        }
    }
    return TAKT_OK;
}

static void close_all(struct measuring *m)
{
    for (uint32_t i = 0; i < m->lane_count; i++) {
        takt_session_close(m->lanes[i].session);
        binary32_destroy(m->lanes[i].binary32);
        free(m->lanes[i].profile);
        free(m->lanes[i].exact);
    }
    binary32_weights_destroy(m->weights);
    model_close(m->baseline);
    free(m->tokens);
    free(m->windows);
    free(m->scores);
}

/* ---- means ----------------------------------------------------------------------------------- */

static int compare_floats(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static enum takt_status sum_up(const struct measuring *m, struct takt_measure *result)
{
    double divergence = 0.0, loss = 0.0, loss_binary32 = 0.0;
    uint64_t same_top = 0;
    float *sorted = malloc(m->token_count * sizeof *sorted);
    if (!sorted) {
        return short_of_memory(m);
    }
    for (size_t i = 0; i < m->token_count; i++) {
        const struct score *score = &m->scores[i];
        sorted[i] = score->divergence;
        divergence += (double)score->divergence;
        same_top += score->same_top ? 1 : 0;
        result->predicted += score->predicts ? 1 : 0;
        loss += (double)score->loss;
        loss_binary32 += (double)score->loss_binary32;
    }
    qsort(sorted, m->token_count, sizeof *sorted, compare_floats);
    const double tokens = (double)m->token_count;
    const double predicted = (double)BASE_MAX(result->predicted, (uint64_t)1);
    result->windows = m->window_count;
    result->tokens = m->token_count;
    result->loss = loss / predicted;
    result->loss_binary32 = loss_binary32 / predicted;
    result->divergence = divergence / tokens;
    result->divergence_p99 = (double)sorted[(m->token_count - 1) * 99 / 100];
    result->divergence_max = (double)sorted[m->token_count - 1];
    result->same_top = (double)same_top / tokens;
    free(sorted);
    return TAKT_OK;
}

enum takt_status takt_measure_text(struct takt_engine *engine,
                                   const struct takt_measure_options *options,
                                   struct takt_measure *result, struct takt_error *error)
{
    *result = (struct takt_measure){0};
    const uint32_t context = options->context ? options->context : engine->context;
    if (context > engine->context) {
        return base_fail(error, TAKT_USAGE, "windows of %u tokens; the engine holds %u", context,
                         engine->context);
    }
    struct measuring m = {.engine = engine,
                          .options = options,
                          .error = error,
                          .vocab = engine->model->vocab,
                          .context = context};
    enum takt_status status = read_text(&m);
    if (status == TAKT_OK && options->binary32) {
        status = open_baseline(&m);
    }
    if (status == TAKT_OK) {
        status = open_lanes(&m);
    }
    if (status == TAKT_OK) {
        m.scores = calloc(m.token_count, sizeof *m.scores);
        status = m.scores ? run_windows(&m) : short_of_memory(&m);
    }
    if (status == TAKT_OK) {
        status = sum_up(&m, result);
    }
    close_all(&m);
    return status;
}
