/* Sessions: one timeline of tokens, extended in prefill chunks and decode steps. */
#include "run/run.h"

#include <stdlib.h>
#include <string.h>

static enum takt_status no_memory(struct takt_error *error, const struct takt_engine *engine)
{
    return base_fail(error, TAKT_MEMORY, "%s: no memory for a session of %u tokens",
                     engine->model->path, engine->context);
}

/* The chip of the session's slot, made for the first of its users. */
static enum takt_status take_chip(struct takt_session *session, struct takt_error *error)
{
    const struct takt_engine *engine = session->engine;
    struct run_chip *shared = &engine->chips[session->slot / engine->users];
    if (shared->sessions == 0) {
        enum takt_status status = chip_create(&shared->chip, &engine->machine, error);
        if (status == TAKT_OK) {
            status = chip_set_threads(shared->chip, engine->chip_threads, error);
        }
        if (status != TAKT_OK) {
            chip_destroy(shared->chip);
            shared->chip = NULL;
            return status;
        }
        chip_load_image(shared->chip, compile_plan_image(engine->plan));
        shared->loaded = NULL;
    }
    shared->sessions++;
    session->shared = shared;
    session->chip = shared->chip;
    return TAKT_OK;
}

static void leave_chip(struct takt_session *session)
{
    if (session->chip == NULL) {
        return;
    }
    if (--session->shared->sessions == 0) {
        chip_destroy(session->shared->chip);
        session->shared->chip = NULL;
    }
}

static enum takt_status open_target(struct takt_session *session, struct takt_error *error)
{
    struct takt_engine *engine = session->engine;
    if (engine->target == TAKT_TARGET_NATIVE) {
        return TAKT_OK;
    }
    if (engine->target == TAKT_TARGET_REFERENCE) {
        session->reference_logits =
            calloc((size_t)engine->chunk * engine->graph.vocab, sizeof(float));
        if (!session->reference_logits) {
            return no_memory(error, engine);
        }
        const enum takt_status read = graph_image(&engine->graph, error);
        return read != TAKT_OK ? read
                               : reference_create(&session->reference, &engine->graph,
                                                  engine->context, engine->chunk, error);
    }
    session->staging.row = calloc(engine->graph.width, sizeof(float));
    if (!session->staging.row) {
        return no_memory(error, engine);
    }
    const enum takt_status status = take_chip(session, error);
    if (status != TAKT_OK) {
        return status;
    }
    return engine->target == TAKT_TARGET_BOTH ? run_both_open(session, error) : TAKT_OK;
}

/* A place among the engine's sessions. */
static enum takt_status take_slot(struct takt_session *session, struct takt_error *error)
{
    const struct takt_engine *engine = session->engine;
    for (uint32_t i = 0; i < engine->sessions; i++) {
        if (!engine->slots[i]) {
            engine->slots[i] = true;
            session->slot = i;
            return TAKT_OK;
        }
    }
    return base_fail(error, TAKT_LIMIT,
                     "%s: all %u sessions of the engine are open; close one or open the engine "
                     "with room for more",
                     engine->model->path, engine->sessions);
}

enum takt_status takt_session_open(struct takt_session **session, struct takt_engine *engine,
                                   struct takt_error *error)
{
    *session = NULL;
    struct takt_session *opened = calloc(1, sizeof *opened);
    if (!opened) {
        return no_memory(error, engine);
    }
    opened->engine = engine;
    opened->slot = UINT32_MAX;
    opened->steps = calloc(engine->context, sizeof *opened->steps);
    opened->tokens = calloc(engine->context, sizeof *opened->tokens);
    enum takt_status status =
        opened->steps && opened->tokens ? take_slot(opened, error) : no_memory(error, engine);
    if (status == TAKT_OK) {
        status = open_target(opened, error);
    }
    if (status != TAKT_OK) {
        takt_session_close(opened);
        return status;
    }
    *session = opened;
    return TAKT_OK;
}

void takt_session_close(struct takt_session *session)
{
    if (!session) {
        return;
    }
    if (session->reference) {
        reference_destroy(session->reference);
    }
    leave_chip(session);
    free(session->reference_logits);
    free(session->first_logits);
    free(session->second_logits);
    free(session->staging.row);
    free(session->staging.elements);
    free(session->used);
    free(session->steps);
    free(session->tokens);
    if (session->slot != UINT32_MAX) {
        session->engine->slots[session->slot] = false;
    }
    free(session);
}

/* A program's first use in a session: room in the staging area, a place in the list of used ones.
 */
static enum takt_status note_program(struct takt_session *session,
                                     const struct run_program *program, struct takt_error *error)
{
    for (size_t i = 0; i < session->used_count; i++) {
        if (session->used[i] == program) {
            return TAKT_OK;
        }
    }
    size_t elements = 2 * (size_t)session->engine->graph.head_dim; /* cosines, then sines */
    for (uint32_t i = 0; i < program->program->binding_count; i++) {
        elements = BASE_MAX(elements, program->program->bindings[i].elements);
    }
    if (elements > session->staging.element_capacity) {
        uint32_t *grown = realloc(session->staging.elements, elements * sizeof *grown);
        if (!grown) {
            return no_memory(error, session->engine);
        }
        session->staging.elements = grown;
        session->staging.element_capacity = elements;
    }
    if (session->used_count == session->used_capacity) {
        const size_t capacity = session->used_capacity ? session->used_capacity * 2 : 16;
        const struct run_program **grown = realloc(session->used, capacity * sizeof *grown);
        if (!grown) {
            return no_memory(error, session->engine);
        }
        session->used = grown;
        session->used_capacity = capacity;
    }
    session->used[session->used_count++] = program;
    return TAKT_OK;
}

/* One step on the chip. logits: [count][vocab] if all, else [vocab], or NULL. */
static enum takt_status chip_target_step(struct takt_session *session, const uint32_t *tokens,
                                         uint32_t count, bool all, float *logits,
                                         struct takt_step *record, struct takt_error *error)
{
    struct takt_engine *engine = session->engine;
    const uint32_t bucket = compile_bucket(engine->plan, session->length + count);
    const struct run_part part = run_step_part(engine, all, session->length, count);
    const struct run_program *program;
    const struct compile_step step = {part.chunk, bucket, all, session->slot % engine->users, 1};
    BASE_ASSERT(part.tokens == count);
    enum takt_status status = run_programs_get(engine, &step, &program, error);
    if (status != TAKT_OK) {
        return status;
    }
    status = note_program(session, program, error);
    if (status != TAKT_OK) {
        return status;
    }
    record->context = bucket;
    record->cycles_compiled = program->program->cycles;
    return run_step_chunk(session, program, tokens, count, session->length, logits,
                          &record->cycles_executed, error);
}

static void reference_target_step(struct takt_session *session, const uint32_t *tokens,
                                  uint32_t count, bool all, float *logits, struct takt_step *record)
{
    const size_t vocab = session->engine->graph.vocab;
    float *out = all && logits ? logits : session->reference_logits;
    reference_step(session->reference, tokens, count, session->length, out);
    if (logits && !all) {
        const float *last = out + (size_t)(count - 1) * vocab;
        for (size_t i = 0; i < vocab; i++) {
            logits[i] = last[i];
        }
    }
    record->context = session->length + count;
}

static enum takt_status one_step(struct takt_session *session, const uint32_t *tokens,
                                 uint32_t count, bool prefill, bool all, float *logits,
                                 struct takt_error *error)
{
    struct takt_step record = {.prefill = prefill, .tokens = count};
    if (session->reference) {
        reference_target_step(session, tokens, count, all, logits, &record);
    } else {
        struct takt_error failure = {0};
        const bool both = session->engine->target == TAKT_TARGET_BOTH;
        float *out = both && !logits ? session->first_logits : logits;
        enum takt_status status =
            chip_target_step(session, tokens, count, all, out, &record, &failure);
        if (status == TAKT_OK && both) {
            status = run_both_compare(session, tokens, count, all, out, &failure);
        }
        if (status != TAKT_OK) {
            session->broken = failure;
            return base_fail(error, status, "%s", failure.message);
        }
    }
    run_session_note(session, tokens, &record);
    return TAKT_OK;
}

/* Every step holds a token or more, and no more steps are kept than hold the session's tokens. */
void run_session_note(struct takt_session *session, const uint32_t *tokens,
                      const struct takt_step *record)
{
    const uint32_t context = session->engine->context;
    BASE_ASSERT(session->step_count < context && record->tokens <= context - session->length);
    session->steps[session->step_count++] = *record;
    memcpy(session->tokens + session->length, tokens, record->tokens * sizeof *tokens);
    session->length += record->tokens;
}

static enum takt_status check_tokens(const struct takt_session *session, const uint32_t *tokens,
                                     size_t count, struct takt_error *error)
{
    const struct takt_engine *engine = session->engine;
    if (session->broken.status != TAKT_OK) {
        return base_fail(error, session->broken.status, "%s", session->broken.message);
    }
    if (count > engine->context - session->length) {
        return base_fail(error, TAKT_CONTEXT,
                         "%s: %zu tokens after the %u held do not fit the context of %u; "
                         "shorten the text or open with a larger context",
                         engine->model->path, count, session->length, engine->context);
    }
    for (size_t i = 0; i < count; i++) {
        if (tokens[i] >= engine->graph.vocab) {
            return base_fail(error, TAKT_USAGE,
                             "%s: token %zu is %u, but the vocabulary has %u entries",
                             engine->model->path, i, tokens[i], engine->graph.vocab);
        }
    }
    return TAKT_OK;
}

enum takt_status run_session_extend(struct takt_session *session, const uint32_t *tokens,
                                    size_t count, bool prefill, float *logits, float *all_logits,
                                    struct takt_error *error)
{
    enum takt_status status = check_tokens(session, tokens, count, error);
    const size_t vocab = session->engine->graph.vocab;
    const bool native = session->engine->target == TAKT_TARGET_NATIVE;
    if (status == TAKT_OK && native && all_logits) {
        run_native_extend_all(session, tokens, count, prefill, all_logits);
    } else if (status == TAKT_OK && native) {
        const struct takt_batch_item item = {session, tokens, count, logits};
        run_native_extend(session->engine, &item, 1, prefill);
    }
    for (size_t done = 0; status == TAKT_OK && !native && done < count;) {
        uint32_t step = (uint32_t)BASE_MIN(count - done, session->engine->chunk);
        if (!session->reference) {
            step = run_step_part(session->engine, all_logits != NULL, session->length, count - done)
                       .tokens;
        }
        const bool last = done + step == count;
        float *out = all_logits ? all_logits + done * vocab : last ? logits : NULL;
        status = one_step(session, tokens + done, step, prefill, all_logits != NULL, out, error);
        done += step;
    }
    if (status == TAKT_OK && count > 0 && logits && all_logits) {
        for (size_t i = 0; i < vocab; i++) {
            logits[i] = all_logits[(count - 1) * vocab + i];
        }
    }
    return status;
}

enum takt_status takt_session_extend(struct takt_session *session, const uint32_t *tokens,
                                     size_t count, float *logits, float *all_logits,
                                     struct takt_error *error)
{
    return run_session_extend(session, tokens, count, count > 1 || session->length == 0, logits,
                              all_logits, error);
}

static enum takt_status check_item(const struct takt_engine *engine,
                                   const struct takt_batch_item *items, size_t at,
                                   struct takt_error *error)
{
    const struct takt_batch_item *item = &items[at];
    if (item->session->engine != engine || item->count == 0) {
        return base_fail(error, TAKT_USAGE, "%s: item %zu of a batch is %s", engine->model->path,
                         at, item->count == 0 ? "empty" : "a session of another engine");
    }
    for (size_t i = 0; i < at; i++) {
        if (items[i].session == item->session) {
            return base_fail(error, TAKT_USAGE, "%s: items %zu and %zu of a batch are one session",
                             engine->model->path, i, at);
        }
    }
    return check_tokens(item->session, item->tokens, item->count, error);
}

/* ---- several users of a chip ----------------------------------------------------------------- */

static bool together(const struct takt_engine *engine, const struct takt_batch_item *a,
                     const struct takt_batch_item *b)
{
    return a->count == 1 && b->count == 1 &&
           a->session->slot / engine->users == b->session->slot / engine->users;
}

/* One step of one token of each item, all of one chip; by_user: [users], NULL where there is none.
 */
static enum takt_status joint_step(struct takt_engine *engine,
                                   const struct takt_batch_item *const *by_user,
                                   struct takt_error *error)
{
    struct run_row rows[COMPILE_USERS_MAX] = {{0}};
    struct takt_session *any = NULL;
    uint32_t length = 0;
    for (uint32_t u = 0; u < engine->users; u++) {
        if (by_user[u] != NULL) {
            any = by_user[u]->session;
            rows[u] = (struct run_row){true, by_user[u]->tokens[0], any->length};
            length = BASE_MAX(length, any->length);
        }
    }
    const struct compile_step step = {engine->users, compile_bucket(engine->plan, length + 1), true,
                                      0, engine->users};
    const struct run_program *program;
    enum takt_status status = run_programs_get(engine, &step, &program, error);
    for (uint32_t u = 0; status == TAKT_OK && u < engine->users; u++) {
        status = by_user[u] != NULL ? note_program(by_user[u]->session, program, error) : TAKT_OK;
    }
    if (status != TAKT_OK) {
        return status;
    }
    struct takt_step record = {.tokens = 1, .context = step.bucket};
    struct takt_error failure = {0};
    record.cycles_compiled = program->program->cycles;
    status = run_step(any, program, rows, &record.cycles_executed, &failure);
    for (uint32_t u = 0; u < engine->users; u++) {
        const struct takt_batch_item *item = by_user[u];
        if (item == NULL) {
            continue;
        }
        if (status != TAKT_OK) {
            item->session->broken = failure;
            continue;
        }
        if (item->logits != NULL) {
            run_step_logits(item->session, program, u, item->logits);
        }
        run_session_note(item->session, item->tokens, &record);
    }
    return status == TAKT_OK ? TAKT_OK : base_fail(error, status, "%s", failure.message);
}

/* Item `at` with those after it that are one step with it; *done also when an earlier item has done
 * it already, and not when it is alone. */
static enum takt_status extend_together(struct takt_engine *engine,
                                        const struct takt_batch_item *items, size_t count,
                                        size_t at, bool *done, struct takt_error *error)
{
    const struct takt_batch_item *by_user[COMPILE_USERS_MAX] = {NULL};
    uint32_t found = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == at || together(engine, &items[at], &items[i])) {
            *done = *done || i < at;
            by_user[items[i].session->slot % engine->users] = &items[i];
            found++;
        }
    }
    if (*done || found < 2 || items[at].count != 1) {
        return TAKT_OK;
    }
    *done = true;
    return joint_step(engine, by_user, error);
}

enum takt_status takt_extend_batch(struct takt_engine *engine, const struct takt_batch_item *items,
                                   size_t count, struct takt_error *error)
{
    enum takt_status status = TAKT_OK;
    for (size_t i = 0; i < count && status == TAKT_OK; i++) {
        status = check_item(engine, items, i, error);
    }
    if (engine->target == TAKT_TARGET_NATIVE && status == TAKT_OK) {
        run_native_extend(engine, items, count, false);
        return TAKT_OK;
    }
    for (size_t i = 0; i < count && status == TAKT_OK; i++) {
        bool done = false;
        if (engine->target == TAKT_TARGET_CHIP && engine->users > 1) {
            status = extend_together(engine, items, count, i, &done, error);
        }
        if (status == TAKT_OK && !done) {
            status = takt_session_extend(items[i].session, items[i].tokens, items[i].count,
                                         items[i].logits, NULL, error);
        }
    }
    return status;
}

/* Positions from `length` on are masked, and overwritten when they are reached again. */
static void truncate_to(struct takt_session *session, uint32_t length)
{
    uint32_t end = 0;
    size_t steps = 0;
    while (steps < session->step_count && end + session->steps[steps].tokens <= length) {
        end += session->steps[steps++].tokens;
    }
    session->step_count = steps;
    session->length = length;
}

static enum takt_status check_length(const struct takt_session *session, size_t length,
                                     struct takt_error *error)
{
    if (session->broken.status != TAKT_OK) {
        return base_fail(error, session->broken.status, "%s", session->broken.message);
    }
    if (length > session->length) {
        return base_fail(error, TAKT_USAGE, "%s: %zu tokens of a session that holds %u",
                         session->engine->model->path, length, session->length);
    }
    return TAKT_OK;
}

/*
 * The chip stores K sixteen positions at a time, from rows of which it keeps those of the last few
 * blocks only. Going back into an earlier block means running its beginning again, so that its rows
 * are there when the block is stored the next time.
 */
#define BLOCK 16u

static enum takt_status truncate_chip(struct takt_session *session, uint32_t length,
                                      struct takt_error *error)
{
    uint32_t again[BLOCK];
    const uint32_t begin = length - length % BLOCK;
    memcpy(again, session->tokens + begin, (length - begin) * sizeof *again);
    truncate_to(session, begin);
    return run_session_extend(session, again, length - begin, true, NULL, NULL, error);
}

enum takt_status takt_session_truncate(struct takt_session *session, size_t length,
                                       struct takt_error *error)
{
    const enum takt_status status = check_length(session, length, error);
    if (status != TAKT_OK) {
        return status;
    }
    if (session->chip && length % BLOCK != 0 && length / BLOCK < (session->length - 1) / BLOCK) {
        return truncate_chip(session, (uint32_t)length, error);
    }
    truncate_to(session, (uint32_t)length);
    return TAKT_OK;
}

enum takt_status takt_session_copy_prefix(struct takt_session *to, const struct takt_session *from,
                                          size_t length, struct takt_error *error)
{
    enum takt_status status = check_length(from, length, error);
    if (status == TAKT_OK && to->engine != from->engine) {
        status = base_fail(error, TAKT_USAGE, "%s: a prefix is copied within one engine only",
                           from->engine->model->path);
    }
    if (status != TAKT_OK || to == from) {
        return status == TAKT_OK ? takt_session_truncate(to, length, error) : status;
    }
    truncate_to(to, 0);
    if (to->engine->target == TAKT_TARGET_NATIVE) {
        native_copy(to->engine->native, to->slot, from->slot, (uint32_t)length);
        memcpy(to->tokens, from->tokens, length * sizeof *to->tokens);
        to->length = (uint32_t)length;
        return TAKT_OK;
    }
    return run_session_extend(to, from->tokens, length, true, NULL, NULL, error);
}

const uint32_t *takt_session_tokens(const struct takt_session *session)
{
    return session->tokens;
}

size_t takt_session_steps(const struct takt_session *session, const struct takt_step **steps)
{
    *steps = session->steps;
    return session->step_count;
}

size_t takt_session_length(const struct takt_session *session)
{
    return session->length;
}

void takt_session_program_hash(const struct takt_session *session, char hex[65])
{
    run_hash_programs(session->used, session->chip ? session->used_count : 0, hex);
}
