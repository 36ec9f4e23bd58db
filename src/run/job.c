/* One request: tokens drawn, stop strings looked for, text shown as whole characters, events. */
#include "run/scheduler.h"

#include <stdlib.h>
#include <string.h>

/* ---- creating -------------------------------------------------------------------------------- */

static bool has_penalties(const struct takt_sampling *sampling)
{
    const float repetition = sampling->repetition_penalty;
    return (repetition > 0.0f && repetition != 1.0f) || sampling->frequency_penalty != 0.0f ||
           sampling->presence_penalty != 0.0f;
}

static void note_seen(struct takt_job *job, uint32_t token)
{
    if (job->seen && !job->is_seen[token]) {
        job->is_seen[token] = true;
        job->seen[job->seen_count++] = token;
    }
}

static enum takt_status check_options(const struct takt_engine *engine,
                                      const struct takt_job_options *options,
                                      struct takt_error *error)
{
    const uint32_t vocab = engine->graph.vocab;
    if (options->prompt_count == 0 || options->max_tokens == 0) {
        return base_fail(error, TAKT_USAGE, "%s: a job needs a prompt and a token to draw",
                         engine->model->path);
    }
    if (options->prompt_count > engine->context) {
        return base_fail(error, TAKT_CONTEXT, "the prompt has %zu tokens, the context holds %u",
                         options->prompt_count, engine->context);
    }
    for (size_t i = 0; i < options->prompt_count; i++) {
        if (options->prompt[i] >= vocab) {
            return base_fail(error, TAKT_USAGE,
                             "token %zu of the prompt is %u, but the vocabulary has %u entries", i,
                             options->prompt[i], vocab);
        }
    }
    for (size_t i = 0; i < options->bias_count; i++) {
        if (options->biases[i].token >= vocab) {
            return base_fail(error, TAKT_USAGE,
                             "logit_bias names token %u, but the vocabulary has %u entries",
                             options->biases[i].token, vocab);
        }
    }
    if (options->grammar && takt_grammar_least_tokens(options->grammar) > options->max_tokens) {
        return base_fail(error, TAKT_USAGE,
                         "%u tokens cannot hold an answer of the form asked for; %u can",
                         options->max_tokens, takt_grammar_least_tokens(options->grammar));
    }
    if (options->stop_count > RUN_STOPS_MAX || options->top_logprobs > TAKT_TOP_LOGPROBS_MAX) {
        return base_fail(error, TAKT_USAGE, "at most %u stop strings and %u top logprobs",
                         RUN_STOPS_MAX, TAKT_TOP_LOGPROBS_MAX);
    }
    return TAKT_OK;
}

static bool copy_stops(struct takt_job *job, const struct takt_job_options *options)
{
    for (size_t i = 0; i < options->stop_count; i++) {
        if (options->stops[i][0] == '\0') {
            continue; /* an empty one stops nothing */
        }
        char *copy = strdup(options->stops[i]);
        if (!copy) {
            return false;
        }
        job->stops[job->stop_count++] = copy;
        job->stop_longest = BASE_MAX(job->stop_longest, strlen(copy));
    }
    return true;
}

static bool copy_penalties(struct takt_job *job, uint32_t vocab)
{
    if (!has_penalties(&job->sampling)) {
        return true;
    }
    job->seen = calloc(vocab, sizeof *job->seen);
    job->drawn_counts = calloc(vocab, sizeof *job->drawn_counts);
    job->is_seen = calloc(vocab, sizeof *job->is_seen);
    if (!job->seen || !job->drawn_counts || !job->is_seen) {
        return false;
    }
    for (uint32_t i = 0; i < job->prompt_count; i++) {
        note_seen(job, job->prompt[i]);
    }
    return true;
}

static bool copy_arrays(struct takt_job *job, const struct takt_job_options *options)
{
    job->prompt = malloc(options->prompt_count * sizeof *job->prompt);
    job->biases = malloc((options->bias_count + 1) * sizeof *job->biases);
    job->digest = base_digest_create();
    if (!job->prompt || !job->biases || !job->digest) {
        return false;
    }
    memcpy(job->prompt, options->prompt, options->prompt_count * sizeof *job->prompt);
    if (options->bias_count > 0) {
        memcpy(job->biases, options->biases, options->bias_count * sizeof *job->biases);
    }
    return copy_stops(job, options) && copy_penalties(job, job->engine->graph.vocab);
}

enum takt_status run_job_create(struct takt_job **job, struct takt_engine *engine,
                                const struct takt_job_options *options, struct takt_error *error)
{
    *job = NULL;
    enum takt_status status = check_options(engine, options, error);
    if (status != TAKT_OK) {
        return status;
    }
    struct takt_job *made = calloc(1, sizeof *made);
    if (!made) {
        return base_fail(error, TAKT_MEMORY, "%s: no memory for a job", engine->model->path);
    }
    /* One token more than the room left: the last one drawn need not be held. */
    const size_t room = engine->context - options->prompt_count + 1;
    *made = (struct takt_job){
        .engine = engine,
        .slot = RUN_NO_SLOT,
        .prompt_count = (uint32_t)options->prompt_count,
        .max_tokens = (uint32_t)BASE_MIN(room, options->max_tokens),
        .sampling = options->sampling,
        .bias_count = options->bias_count,
        .logprobs = options->logprobs,
        .top_logprobs = options->top_logprobs,
        .on_event = options->on_event,
        .user = options->user,
    };
    if (options->grammar) {
        made->grammar = options->grammar;
        made->state = run_grammar_start(options->grammar);
    }
    base_text_append(&made->text, "", 0);
    if (!copy_arrays(made, options)) {
        run_job_destroy(made);
        return base_fail(error, TAKT_MEMORY, "%s: no memory for a job", engine->model->path);
    }
    *job = made;
    return TAKT_OK;
}

void run_job_destroy(struct takt_job *job)
{
    if (!job) {
        return;
    }
    for (size_t i = 0; i < job->stop_count; i++) {
        free(job->stops[i]);
    }
    if (job->digest) {
        base_digest_destroy(job->digest);
    }
    base_text_free(&job->text);
    free(job->prompt);
    free(job->biases);
    free(job->pending);
    free(job->seen);
    free(job->drawn_counts);
    free(job->is_seen);
    free(job);
}

/* ---- text ------------------------------------------------------------------------------------ */

/* The first stop string that begins at or after `from`: where it begins, or the text's length. */
static size_t find_stop(const struct takt_job *job, size_t from)
{
    size_t first = job->text.length;
    for (size_t i = 0; i < job->stop_count; i++) {
        const char *found = memmem(job->text.data + from, job->text.length - from, job->stops[i],
                                   strlen(job->stops[i]));
        if (found && (size_t)(found - job->text.data) < first) {
            first = (size_t)(found - job->text.data);
        }
    }
    return first;
}

/* Bytes at the end of the text that a stop string might begin with. */
static size_t held_back(const struct takt_job *job)
{
    const size_t fresh = job->text.length - job->shown;
    size_t length = job->stop_longest > 0 ? BASE_MIN(job->stop_longest - 1, fresh) : 0;
    for (; length > 0; length--) {
        const char *tail = job->text.data + job->text.length - length;
        for (size_t i = 0; i < job->stop_count; i++) {
            if (strlen(job->stops[i]) > length && memcmp(job->stops[i], tail, length) == 0) {
                return length;
            }
        }
    }
    return 0;
}

static void send(struct takt_job *job, struct takt_event *event)
{
    event->prompt_tokens = job->prompt_count;
    event->cached_tokens = job->cached;
    event->answer_tokens = job->answer_count;
    if (job->on_event) {
        job->on_event(job->user, event);
    }
}

/* Shows the text up to `end`, with the logprobs of the tokens that end there. At the finish the
 * tokens beyond it are dropped. */
static void show(struct takt_job *job, size_t end)
{
    struct takt_token_logprobs ready[8];
    size_t taken = 0;
    bool first = true;
    do {
        size_t count = 0;
        while (taken < job->pending_count && count < BASE_COUNT(ready) &&
               job->pending[taken].end <= end) {
            ready[count++] = job->pending[taken++].logprobs;
        }
        struct takt_event event = {.kind = TAKT_EVENT_TOKEN,
                                   .text = job->text.data + job->shown,
                                   .length = first ? end - job->shown : 0,
                                   .logprobs = ready,
                                   .logprob_count = count};
        first = false;
        send(job, &event);
    } while (taken < job->pending_count && job->pending[taken].end <= end);
    job->shown = end;
    job->pending_count -= taken;
    if (taken > 0) {
        memmove(job->pending, job->pending + taken, job->pending_count * sizeof *job->pending);
    }
}

static void note_logprobs(struct takt_job *job, const struct takt_token_logprobs *logprobs)
{
    if (job->pending_count == job->pending_capacity) {
        const size_t capacity = job->pending_capacity ? job->pending_capacity * 2 : 8;
        struct run_pending *grown = realloc(job->pending, capacity * sizeof *grown);
        if (!grown) {
            return; /* these logprobs are lost; the text is not */
        }
        job->pending = grown;
        job->pending_capacity = capacity;
    }
    job->pending[job->pending_count++] = (struct run_pending){*logprobs, job->text.length};
}

/* ---- tokens ---------------------------------------------------------------------------------- */

bool run_is_end(const struct takt_engine *engine, uint32_t token)
{
    const struct tokenizer_special *special = tokenizer_special(engine->model->tokenizer);
    for (uint32_t i = 0; i < special->end_count; i++) {
        if (special->ends[i] == token) {
            return true;
        }
    }
    return false;
}

/* After a token's text was appended: shows what is sure, and sees whether this was the end. */
static void after_text(struct takt_job *job, bool last)
{
    const size_t from = job->shown;
    const size_t stop = find_stop(job, from);
    if (stop < job->text.length) {
        job->text.length = stop;
        job->finish = "stop";
        show(job, stop);
        return;
    }
    if (last || job->finish) {
        job->finish = job->finish ? job->finish : "length";
        show(job, job->text.length);
        return;
    }
    const size_t sure = job->text.length - held_back(job) - job->shown;
    show(job, job->shown + base_utf8_whole_prefix(job->text.data + job->shown, sure));
}

/* With a grammar, the likeliest token that it allows is drawn without a mask where that is the
 * likeliest of all. */
static uint32_t draw(struct takt_job *job, float *logits, uint64_t position)
{
    const uint32_t vocab = job->engine->graph.vocab;
    if (!job->grammar) {
        return takt_sample(logits, vocab, &job->sampling, position);
    }
    const uint32_t left = job->max_tokens - job->answer_count - 1;
    job->state = run_grammar_room(job->grammar, job->state);
    uint32_t token;
    if (!(job->sampling.temperature > 0.0f)) {
        token = takt_sample(logits, vocab, &job->sampling, position);
        if (run_grammar_allows(job->grammar, job->state, token, left)) {
            return token;
        }
    }
    run_grammar_mask(job->grammar, job->state, left, logits);
    return takt_sample(logits, vocab, &job->sampling, position);
}

/* Moves the grammar on by the text that the token added. */
static void follow(struct takt_job *job, size_t before)
{
    if (job->grammar) {
        job->state = run_grammar_step(job->grammar, job->state, job->text.data + before,
                                      job->text.length - before);
        if (run_grammar_complete(job->grammar, job->state)) {
            job->finish = "stop";
        }
    }
}

void run_job_draw(struct takt_job *job, float *logits, uint64_t position)
{
    const uint32_t vocab = job->engine->graph.vocab;
    float *row = logits;
    const struct run_adjustment adjustment = {&job->sampling, job->biases,     job->bias_count,
                                              job->seen,      job->seen_count, job->drawn_counts};
    float *raw = NULL;
    if (job->logprobs && (job->bias_count > 0 || job->seen)) {
        raw = malloc(vocab * sizeof *raw); /* logprobs are of the model's own logits */
        if (raw) {
            memcpy(raw, logits, vocab * sizeof *raw);
        }
    }
    run_adjust(row, &adjustment);
    job->drawn = draw(job, row, position);
    if (job->logprobs) {
        run_logprobs(raw ? raw : logits, vocab, job->drawn, job->top_logprobs,
                     &job->drawn_logprobs);
    }
    free(raw);
}

void run_job_take(struct takt_job *job)
{
    const uint32_t token = job->drawn;
    job->answer_count++;
    if (run_is_end(job->engine, token)) {
        job->finish = "stop";
        show(job, job->text.length); /* what was held back was no stop string */
        return;
    }
    note_seen(job, token);
    if (job->drawn_counts) {
        job->drawn_counts[token]++;
    }
    const size_t before = job->text.length;
    tokenizer_decode(job->engine->model->tokenizer, token, false, false, &job->text);
    follow(job, before);
    if (job->logprobs) {
        note_logprobs(job, &job->drawn_logprobs);
    }
    after_text(job, job->answer_count == job->max_tokens);
}

void run_job_started(struct takt_job *job)
{
    struct takt_event event = {.kind = TAKT_EVENT_STARTED};
    send(job, &event);
}

void run_job_finished(struct takt_job *job, const struct takt_error *error)
{
    char digest[65];
    base_digest_hex(job->digest, digest);
    struct takt_event event = {.kind = TAKT_EVENT_FINISHED,
                               .finish = error ? "error" : job->finish,
                               .logits_digest = digest,
                               .error = error};
    send(job, &event);
}
