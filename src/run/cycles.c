/*
 * What the chip would have taken: while another target makes the text, a thread of the lowest
 * priority compiles the programs that the chip would have run, and their cycle counts become the
 * result's. The text never waits for it; the end of takt_generate does.
 */
#include "run/cycles.h"

#include <stdlib.h>

/* One of the chip's steps over a prompt and what follows it. */
static enum takt_status add_step(struct run_cycles *cycles, uint32_t start, uint32_t count,
                                 bool prefill, struct takt_error *error)
{
    struct takt_engine *engine = cycles->engine;
    const uint32_t bucket = compile_bucket(engine->plan, start + count);
    const bool all = prefill && cycles->all_logits;
    const struct run_part part = run_step_part(engine, all, start, count);
    const struct run_program *program;
    const struct compile_step step = {part.chunk, bucket, all, 0, 1};
    const enum takt_status status = run_programs_get(engine, &step, &program, error);
    if (status != TAKT_OK) {
        return status;
    }
    cycles->last = program;
    cycles->record = (struct takt_step){.prefill = prefill,
                                        .tokens = count,
                                        .context = bucket,
                                        .cycles_compiled = program->program->cycles};
    return TAKT_OK;
}

static uint32_t prompt_step(const struct run_cycles *cycles, size_t done)
{
    return run_step_part(cycles->engine, cycles->all_logits, (uint32_t)done,
                         cycles->prompt_count - done)
        .tokens;
}

static enum takt_status compile_ahead(struct run_cycles *cycles, struct takt_error *error)
{
    enum takt_status status = run_engine_plan(cycles->engine, error);
    for (size_t done = 0; status == TAKT_OK && done < cycles->prompt_count;) {
        const uint32_t count = prompt_step(cycles, done);
        status = add_step(cycles, (uint32_t)done, count, true, error);
        done += count;
    }
    if (status == TAKT_OK && cycles->prompt_count < cycles->engine->context) {
        status = add_step(cycles, (uint32_t)cycles->prompt_count, 1, false, error);
    }
    return status;
}

static void *work(void *argument)
{
    struct run_cycles *cycles = argument;
#ifdef SCHED_IDLE
    const struct sched_param parameters = {0};
    pthread_setschedparam(pthread_self(), SCHED_IDLE, &parameters);
#endif
    cycles->status = compile_ahead(cycles, &cycles->error);
    return NULL;
}

void run_cycles_begin(struct run_cycles *cycles, struct takt_engine *engine, size_t prompt_count,
                      bool all_logits)
{
    *cycles = (struct run_cycles){
        .engine = engine, .prompt_count = prompt_count, .all_logits = all_logits};
    if (engine->cycles && engine->native && engine->target == TAKT_TARGET_NATIVE) {
        cycles->wanted = true;
        cycles->started = pthread_create(&cycles->thread, NULL, work, cycles) == 0;
    }
}

static void join(struct run_cycles *cycles)
{
    if (!cycles->started) {
        return;
    }
#ifdef SCHED_IDLE
    const struct sched_param parameters = {0};
    pthread_setschedparam(cycles->thread, SCHED_OTHER, &parameters); /* somebody waits now */
#endif
    pthread_join(cycles->thread, NULL);
    cycles->started = false;
}

void run_cycles_cancel(struct run_cycles *cycles)
{
    join(cycles);
}

/* The hash over the hashes of the programs in order of first use, as of a session on the chip. */
struct program_list {
    const struct run_program **programs;
    size_t count;
};

static void note_program(struct program_list *list, const struct run_program *program)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->programs[i] == program) {
            return;
        }
    }
    list->programs[list->count++] = program;
}

static enum takt_status fill(struct run_cycles *cycles, size_t decoded, struct program_list *list,
                             struct takt_result *result, struct takt_error *error)
{
    size_t position = 0;
    enum takt_status status = TAKT_OK;
    while (status == TAKT_OK && position < cycles->prompt_count + decoded) {
        const bool prefill = position < cycles->prompt_count;
        const uint32_t count = prefill ? prompt_step(cycles, position) : 1;
        status = add_step(cycles, (uint32_t)position, count, prefill, error);
        if (status == TAKT_OK) {
            result->steps[result->step_count++] = cycles->record;
            note_program(list, cycles->last);
        }
        position += count;
    }
    return status;
}

enum takt_status run_cycles_end(struct run_cycles *cycles, size_t decoded,
                                struct takt_result *result, struct takt_error *error)
{
    if (!cycles->wanted) {
        return TAKT_OK;
    }
    const bool ahead = cycles->started;
    join(cycles);
    if (!ahead) {
        cycles->status = compile_ahead(cycles, &cycles->error);
    }
    const size_t most = cycles->prompt_count + decoded;
    struct takt_step *steps = calloc(most + 1, sizeof *steps);
    struct program_list list = {calloc(most + 1, sizeof *list.programs), 0};
    if (!steps || !list.programs) {
        free(steps);
        free(list.programs);
        return base_fail(error, TAKT_MEMORY, "%s: no memory for %zu steps",
                         cycles->engine->model->path, most);
    }
    free(result->steps);
    result->steps = steps;
    result->step_count = 0;
    if (cycles->status == TAKT_OK) {
        cycles->status = fill(cycles, decoded, &list, result, &cycles->error);
    }
    if (cycles->status == TAKT_OK) {
        run_hash_programs(list.programs, list.count, result->program_hash);
    } else {
        result->step_count = 0;
        snprintf(result->no_cycles, sizeof result->no_cycles, "%s", cycles->error.message);
    }
    free(list.programs);
    return TAKT_OK;
}
