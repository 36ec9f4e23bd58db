/*
 * The scheduler's parts: a job (one request: what it has drawn, shown and still holds back) and the
 * slots that jobs run in. scheduler.c moves jobs through slots; job.c is what happens to one.
 */
#ifndef RUN_SCHEDULER_H
#define RUN_SCHEDULER_H

#include "run/grammar.h"

#define RUN_STOPS_MAX 16u

/* A token's logprobs wait until its text is shown. */
struct run_pending {
    struct takt_token_logprobs logprobs;
    size_t end; /* bytes of text up to and with this token */
};

struct takt_job {
    struct takt_job *next; /* in the queue */
    struct takt_engine *engine;
    uint32_t slot; /* RUN_NO_SLOT while it waits */
    uint32_t *prompt;
    uint32_t prompt_count, cached, max_tokens, answer_count;
    struct takt_sampling sampling;
    struct takt_bias *biases;
    size_t bias_count;
    char *stops[RUN_STOPS_MAX];
    size_t stop_count, stop_longest;
    bool logprobs;
    uint32_t top_logprobs;
    struct run_pending *pending; /* [pending_count], in order */
    size_t pending_count, pending_capacity;
    /* with penalties: tokens seen, each once; times drawn; whether seen. NULL without */
    uint32_t *seen, *drawn_counts;
    bool *is_seen;
    size_t seen_count;
    struct takt_grammar *grammar; /* NULL: anything */
    uint32_t state;               /* of the grammar */
    struct base_text text;
    size_t shown;
    uint32_t drawn; /* the last token drawn, to be run next */
    struct takt_token_logprobs drawn_logprobs;
    struct base_digest *digest;
    const char *finish; /* NULL while it runs */
    void (*on_event)(void *user, const struct takt_event *event);
    void *user;
};

#define RUN_NO_SLOT 0xFFFFFFFFu

enum takt_status run_job_create(struct takt_job **job, struct takt_engine *engine,
                                const struct takt_job_options *options, struct takt_error *error);
void run_job_destroy(struct takt_job *job);
void run_job_started(struct takt_job *job);
/* Draws a token from logits[vocab] (changed in place; already in the digest) at a position. Jobs
 * without a grammar may do so on any threads, each on one. */
void run_job_draw(struct takt_job *job, float *logits, uint64_t position);
/* Adds the token's text, shows what can be shown. Sets finish when that was the last. */
void run_job_take(struct takt_job *job);
void run_job_finished(struct takt_job *job, const struct takt_error *error);

#endif
