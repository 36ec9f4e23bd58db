/*
 * The scheduler: jobs wait in a queue, take a slot, run their prompt in chunks beside the others'
 * decode steps, and leave. A slot keeps the tokens it holds when its job has left; a new job begins
 * in the slot that shares the longest beginning with its prompt.
 */
#include "run/scheduler.h"

#include <stdlib.h>

struct slot {
    struct takt_session *session;
    uint32_t before;  /* tokens held before this step */
    uint64_t used_at; /* the step that used it last: the oldest is given away first */
    struct takt_job *job;
};

struct takt_scheduler {
    struct takt_engine *engine;
    struct slot *slots;
    uint32_t slot_count;
    bool prefix_cache;
    struct takt_job *first, **last; /* the queue */
    uint32_t queued, running, batch;
    uint64_t steps;
    float *logits;                 /* [slot_count][vocab] */
    struct takt_batch_item *items; /* [slot_count]: of this step */
    struct slot **stepped;         /* [slot_count]: the slot of each item */
};

/* Tokens of prompts in a step in which others wait for their next token. */
#define PREFILL_BESIDE 128u

static uint32_t held(const struct slot *slot)
{
    return slot->session ? (uint32_t)takt_session_length(slot->session) : 0;
}

/* ---- opening --------------------------------------------------------------------------------- */

enum takt_status takt_scheduler_open(struct takt_scheduler **scheduler, struct takt_engine *engine,
                                     const struct takt_scheduler_options *options,
                                     struct takt_error *error)
{
    *scheduler = NULL;
    struct takt_scheduler *opened = calloc(1, sizeof *opened);
    if (!opened) {
        return base_fail(error, TAKT_MEMORY, "%s: no memory for a scheduler", engine->model->path);
    }
    opened->engine = engine;
    opened->slot_count = BASE_MAX(options->slots, 1);
    opened->prefix_cache = !options->no_prefix_cache;
    opened->last = &opened->first;
    opened->slots = calloc(opened->slot_count, sizeof *opened->slots);
    opened->logits =
        calloc((size_t)opened->slot_count * engine->graph.vocab, sizeof *opened->logits);
    opened->items = calloc(opened->slot_count, sizeof *opened->items);
    opened->stepped = calloc(opened->slot_count, sizeof(struct slot *));
    enum takt_status status =
        engine->trie ? TAKT_OK : run_trie_create(&engine->trie, engine, error);
    if (status == TAKT_OK &&
        (!opened->slots || !opened->logits || !opened->items || !opened->stepped)) {
        status = base_fail(error, TAKT_MEMORY, "%s: no memory for %u slots", engine->model->path,
                           opened->slot_count);
    }
    for (uint32_t i = 0; status == TAKT_OK && i < opened->slot_count; i++) {
        status = takt_session_open(&opened->slots[i].session, engine, error);
    }
    if (status != TAKT_OK) {
        takt_scheduler_close(opened);
        return status;
    }
    *scheduler = opened;
    return TAKT_OK;
}

void takt_scheduler_close(struct takt_scheduler *scheduler)
{
    if (!scheduler) {
        return;
    }
    for (struct takt_job *job = scheduler->first; job;) {
        struct takt_job *next = job->next;
        run_job_destroy(job);
        job = next;
    }
    for (uint32_t i = 0; scheduler->slots && i < scheduler->slot_count; i++) {
        run_job_destroy(scheduler->slots[i].job);
        takt_session_close(scheduler->slots[i].session);
    }
    free(scheduler->slots);
    free(scheduler->logits);
    free(scheduler->items);
    free(scheduler->stepped);
    free(scheduler);
}

/* ---- the queue ------------------------------------------------------------------------------- */

enum takt_status takt_scheduler_submit(struct takt_scheduler *scheduler,
                                       const struct takt_job_options *options,
                                       struct takt_job **job, struct takt_error *error)
{
    const enum takt_status status = run_job_create(job, scheduler->engine, options, error);
    if (status != TAKT_OK) {
        return status;
    }
    *scheduler->last = *job;
    scheduler->last = &(*job)->next;
    scheduler->queued++;
    return TAKT_OK;
}

/* Takes a waiting job out of the queue. */
static void unqueue(struct takt_scheduler *scheduler, struct takt_job *job)
{
    struct takt_job **link = &scheduler->first;
    while (*link != job) {
        BASE_ASSERT(*link);
        link = &(*link)->next;
    }
    *link = job->next;
    if (scheduler->last == &job->next) {
        scheduler->last = link;
    }
    job->next = NULL;
    scheduler->queued--;
}

static void leave_slot(struct takt_scheduler *scheduler, struct takt_job *job)
{
    scheduler->slots[job->slot].job = NULL;
    scheduler->running--;
    job->slot = RUN_NO_SLOT;
}

void takt_scheduler_cancel(struct takt_scheduler *scheduler, struct takt_job *job)
{
    if (job->slot == RUN_NO_SLOT) {
        unqueue(scheduler, job);
    } else {
        leave_slot(scheduler, job);
    }
    run_job_destroy(job);
}

/* ---- slots ----------------------------------------------------------------------------------- */

static uint32_t shared_prefix(const struct slot *slot, const struct takt_job *job)
{
    /* The last token of the prompt is run in any case: its logits are wanted. */
    const uint32_t most = BASE_MIN(held(slot), job->prompt_count - 1);
    const uint32_t *tokens = takt_session_tokens(slot->session);
    uint32_t shared = 0;
    while (shared < most && tokens[shared] == job->prompt[shared]) {
        shared++;
    }
    /* The chip would have to run a block's beginning again: takt_session_truncate. */
    const enum takt_target target = slot->session->engine->target;
    const bool blocks = target == TAKT_TARGET_CHIP || target == TAKT_TARGET_BOTH;
    return blocks ? shared - shared % 16 : shared;
}

/* A free slot: the one with the longest shared beginning; among equals the one unused for longest.
 * NULL when all are taken. */
static struct slot *choose_slot(struct takt_scheduler *scheduler, const struct takt_job *job,
                                uint32_t *shared)
{
    struct slot *best = NULL;
    *shared = 0;
    for (uint32_t i = 0; i < scheduler->slot_count; i++) {
        struct slot *slot = &scheduler->slots[i];
        if (slot->job || !slot->session) {
            continue;
        }
        const uint32_t here = scheduler->prefix_cache ? shared_prefix(slot, job) : 0;
        if (!best || here > *shared || (here == *shared && slot->used_at < best->used_at)) {
            best = slot;
            *shared = here;
        }
    }
    return best;
}

/* On native a beginning that a busy slot holds is copied: cheaper than running it when it is long.
 */
#define WORTH_COPYING 16u

static void borrow(struct takt_scheduler *scheduler, struct slot *slot, const struct takt_job *job,
                   uint32_t *shared)
{
    const struct slot *from = NULL;
    if (scheduler->engine->target != TAKT_TARGET_NATIVE || !scheduler->prefix_cache) {
        return;
    }
    uint32_t longest = *shared + WORTH_COPYING;
    for (uint32_t i = 0; i < scheduler->slot_count; i++) {
        const struct slot *other = &scheduler->slots[i];
        if (other != slot && other->session && shared_prefix(other, job) > longest) {
            longest = shared_prefix(other, job);
            from = other;
        }
    }
    if (from && takt_session_copy_prefix(slot->session, from->session, longest, NULL) == TAKT_OK) {
        *shared = longest;
    }
}

static void admit(struct takt_scheduler *scheduler)
{
    while (scheduler->first) {
        struct takt_job *job = scheduler->first;
        uint32_t shared;
        struct slot *slot = choose_slot(scheduler, job, &shared);
        if (!slot) {
            return;
        }
        unqueue(scheduler, job);
        borrow(scheduler, slot, job, &shared);
        /* Cannot fail: it is no more than the session holds, and broken ones are replaced. */
        const enum takt_status status = takt_session_truncate(slot->session, shared, NULL);
        BASE_ASSERT(status == TAKT_OK);
        slot->job = job;
        job->slot = (uint32_t)(slot - scheduler->slots);
        job->cached = shared;
        scheduler->running++;
        run_job_started(job);
    }
}

/* ---- a step ---------------------------------------------------------------------------------- */

/* Adds what the slot runs in this step: a chunk of the prompt, or the token drawn last. */
static void add_item(struct takt_scheduler *scheduler, struct slot *slot, uint32_t *prefill_left)
{
    struct takt_job *job = slot->job;
    const uint32_t done = held(slot);
    struct takt_batch_item item = {.session = slot->session, .tokens = &job->drawn, .count = 1};
    if (done < job->prompt_count) {
        const uint32_t left = job->prompt_count - done;
        item.tokens = job->prompt + done;
        item.count = BASE_MIN(BASE_MIN(left, scheduler->engine->chunk), *prefill_left);
        *prefill_left -= (uint32_t)item.count;
    }
    if (done + item.count >= job->prompt_count) {
        item.logits = scheduler->logits + (size_t)job->slot * scheduler->engine->graph.vocab;
    }
    if (item.count > 0) {
        scheduler->stepped[scheduler->batch] = slot;
        scheduler->items[scheduler->batch++] = item;
    }
}

static void finish_job(struct takt_scheduler *scheduler, struct slot *slot,
                       const struct takt_error *error)
{
    struct takt_job *job = slot->job;
    leave_slot(scheduler, job);
    run_job_finished(job, error);
    run_job_destroy(job);
}

/* A session that broke is replaced; where even that fails the slot is lost. */
static void replace_session(struct takt_scheduler *scheduler, struct slot *slot)
{
    struct takt_error ignored;
    takt_session_close(slot->session);
    takt_session_open(&slot->session, scheduler->engine, &ignored);
}

/* Rows of logits go into their jobs' digests, and tokens are drawn from them: reading them is most
 * of what is done beside the model's own work, so the threads that wrote them share it. A grammar
 * may be several jobs': theirs are drawn later, on one thread. */
static void read_rows(void *user, uint32_t index)
{
    const struct takt_scheduler *scheduler = user;
    const struct takt_engine *engine = scheduler->engine;
    const uint32_t threads = engine->native ? native_threads(engine->native) : 1;
    for (uint32_t i = index; i < scheduler->batch; i += threads) {
        const struct takt_batch_item *item = &scheduler->items[i];
        const struct slot *slot = scheduler->stepped[i];
        if (item->logits && held(slot) == slot->before + item->count) {
            run_digest_fold(slot->job->digest, item->logits, engine->graph.vocab);
            if (!slot->job->grammar) {
                run_job_draw(slot->job, item->logits, held(slot));
            }
        }
    }
}

static void read_logits(struct takt_scheduler *scheduler)
{
    if (scheduler->engine->native && scheduler->batch > 1) {
        native_together(scheduler->engine->native, read_rows, scheduler);
        return;
    }
    const uint32_t threads =
        scheduler->engine->native ? native_threads(scheduler->engine->native) : 1;
    for (uint32_t i = 0; i < threads; i++) {
        read_rows(scheduler, i);
    }
}

/* After the batch: before says how many tokens the session held. */
static void take_item(struct takt_scheduler *scheduler, const struct takt_batch_item *item,
                      struct slot *slot, uint32_t before, const struct takt_error *error)
{
    struct takt_job *job = slot->job;
    slot->used_at = scheduler->steps;
    if (error && held(slot) != before + item->count) {
        finish_job(scheduler, slot, error);
        replace_session(scheduler, slot);
        return;
    }
    if (item->logits) {
        if (job->grammar) {
            run_job_draw(job, item->logits, held(slot));
        }
        run_job_take(job);
    }
    if (job->finish) {
        finish_job(scheduler, slot, NULL);
    }
}

/* The batch of this step. Slots take turns at being first, so that prompts share what there is for
 * them. */
static void make_batch(struct takt_scheduler *scheduler)
{
    bool decodes = false;
    for (uint32_t i = 0; i < scheduler->slot_count; i++) {
        const struct slot *slot = &scheduler->slots[i];
        decodes = decodes || (slot->job && held(slot) >= slot->job->prompt_count);
    }
    uint32_t prefill_left = decodes ? PREFILL_BESIDE : UINT32_MAX;
    scheduler->batch = 0;
    for (uint32_t i = 0; i < scheduler->slot_count; i++) {
        struct slot *slot = &scheduler->slots[(i + scheduler->steps) % scheduler->slot_count];
        if (slot->job) {
            add_item(scheduler, slot, &prefill_left);
        }
    }
}

bool takt_scheduler_step(struct takt_scheduler *scheduler)
{
    struct takt_error error;
    admit(scheduler);
    if (scheduler->running == 0) {
        scheduler->batch = 0;
        return false;
    }
    scheduler->steps++;
    make_batch(scheduler);
    for (uint32_t i = 0; i < scheduler->batch; i++) {
        scheduler->stepped[i]->before = held(scheduler->stepped[i]);
    }
    const enum takt_status status =
        takt_extend_batch(scheduler->engine, scheduler->items, scheduler->batch, &error);
    read_logits(scheduler);
    for (uint32_t i = 0; i < scheduler->batch; i++) {
        take_item(scheduler, &scheduler->items[i], scheduler->stepped[i],
                  scheduler->stepped[i]->before, status == TAKT_OK ? NULL : &error);
    }
    return true;
}

void takt_scheduler_state(const struct takt_scheduler *scheduler,
                          struct takt_scheduler_state *state)
{
    *state = (struct takt_scheduler_state){
        .slots = scheduler->slot_count,
        .running = scheduler->running,
        .queued = scheduler->queued,
        .batch = scheduler->batch,
        .kv_capacity = (uint64_t)scheduler->slot_count * scheduler->engine->context,
    };
    for (uint32_t i = 0; i < scheduler->slot_count; i++) {
        state->kv_held += held(&scheduler->slots[i]);
    }
}

/* ---- the modelled system's time -------------------------------------------------------------- */

static enum takt_status step_cycles(struct takt_engine *engine, uint32_t count, uint32_t length,
                                    bool compile, const struct run_program **used,
                                    size_t *used_count, uint64_t *cycles, struct takt_error *error)
{
    const struct run_program *program;
    const struct compile_step step = {count == 1 ? 1 : engine->chunk,
                                      compile_bucket(engine->plan, length + count), false, 0, 1};
    if (!compile && !run_programs_known(engine, &step)) {
        return base_fail(error, TAKT_LIMIT, "%s: a program of %u tokens is not compiled yet",
                         engine->model->path, step.chunk);
    }
    const enum takt_status status = run_programs_get(engine, &step, &program, error);
    if (status != TAKT_OK) {
        return status;
    }
    *cycles += program->program->cycles;
    for (size_t i = 0; i < *used_count; i++) {
        if (used[i] == program) {
            return TAKT_OK;
        }
    }
    used[(*used_count)++] = program;
    return TAKT_OK;
}

enum takt_status takt_request_cycles(struct takt_engine *engine, uint32_t prompt_tokens,
                                     uint32_t answer_tokens, bool compile,
                                     struct takt_request_cycles *cycles, struct takt_error *error)
{
    *cycles = (struct takt_request_cycles){.chips = 1};
    enum takt_status status = run_engine_plan(engine, error);
    if (status != TAKT_OK) {
        return status;
    }
    /* As many programs as there are steps, at most. */
    const size_t most = (size_t)prompt_tokens + answer_tokens + 1;
    const struct run_program **used = calloc(most, sizeof(const struct run_program *));
    struct base_digest *digest = base_digest_create();
    if (!used || !digest) {
        status = base_fail(error, TAKT_MEMORY, "%s: no memory for an account of %zu steps",
                           engine->model->path, most);
    }
    size_t used_count = 0;
    for (uint32_t done = 0; status == TAKT_OK && done < prompt_tokens;) {
        const uint32_t count = BASE_MIN(prompt_tokens - done, engine->chunk);
        status = step_cycles(engine, count, done, compile, used, &used_count,
                             &cycles->prompt_cycles, error);
        done += count;
    }
    /* The last token drawn is not run. */
    for (uint32_t i = 0; status == TAKT_OK && i + 1 < answer_tokens; i++) {
        status = step_cycles(engine, 1, prompt_tokens + i, compile, used, &used_count,
                             &cycles->decode_cycles, error);
    }
    for (size_t i = 0; status == TAKT_OK && i < used_count; i++) {
        base_digest_update(digest, used[i]->hash, 64);
    }
    if (digest) {
        base_digest_hex(digest, cycles->program_hash);
        base_digest_destroy(digest);
    }
    free(used);
    return status;
}
