/*
 * The team: threads that do the ops of a trace, each on lanes of its own.
 *
 * Lanes meet in products, whose activations are a whole vector, and in permutations; there the
 * trace says how far everyone must be (trace.c, find_waits). All else is done lane by lane or
 * within a superlane, so every thread goes through all ops on its own superlanes, and the bytes
 * that it writes are nobody else's. The chip's own thread is the first of the team.
 */
#include "chip/internal.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#ifdef __x86_64__
#include <immintrin.h>
#define RELAX() _mm_pause()
#else
#define RELAX() ((void)0)
#endif

#define SPINS 2000u /* before another thread is let to the processor */
#define AHEAD 16u   /* ops whose weights and words are asked for from memory in advance */

struct member {
    struct chip_range range;
    pthread_t thread;
    struct chip_team *team;
    _Alignas(64) _Atomic uint32_t done; /* ops; a line of its own */
};

struct chip_team {
    struct chip *chip;
    uint32_t count;
    struct member *members;         /* [count] */
    const struct chip_trace *trace; /* of the present run */
    _Atomic uint32_t stop;          /* the first op that faulted; op_count when none did */
    pthread_mutex_t mutex;
    pthread_cond_t wake, rest;
    uint64_t run; /* number of the present run */
    uint32_t working;
    bool leave;
    uint32_t *work;
    struct chip_permutation *permutations;
};

/* ---- one thread's way ------------------------------------------------------------------------ */

/* Rows of weights lie far apart in memory: what an LW a little later needs is asked for now. */
static void ask_ahead(const struct chip *chip, const struct chip_trace *trace, uint32_t i,
                      const struct chip_range *range)
{
    if (i + AHEAD >= trace->op_count)
        return;
    const struct chip_op *op = &trace->ops[i + AHEAD];
    __builtin_prefetch(op->word);
    if (op->code != ISA_LW)
        return;
    const uint32_t *operands = trace->operands + op->first;
    for (uint32_t row = 0; row < MACHINE_WEIGHT_ROWS; row++) {
        const uint8_t *bytes = chip_operand_at(chip, operands[row]);
        for (uint32_t lane = range->first; lane < range->end; lane += 64u)
            __builtin_prefetch(bytes + lane);
    }
}

/* False when the run has stopped before the op `wait`. */
static bool wait_for(struct chip_team *team, const struct member *own, uint32_t wait)
{
    for (uint32_t m = 0; m < team->count; m++) {
        struct member *other = &team->members[m];
        for (uint32_t spins = 0;
             other != own && atomic_load_explicit(&other->done, memory_order_acquire) < wait;
             spins++) {
            if (atomic_load_explicit(&team->stop, memory_order_relaxed) < wait)
                return false;
            RELAX();
            if (spins > SPINS)
                sched_yield();
        }
    }
    return true;
}

static void stop_at(struct chip_team *team, uint32_t op)
{
    uint32_t now = atomic_load(&team->stop);
    while (op < now && !atomic_compare_exchange_weak(&team->stop, &now, op)) {
    }
}

static void work(struct chip_team *team, struct member *own)
{
    struct chip *chip = team->chip;
    const struct chip_trace *trace = team->trace;
    for (uint32_t i = 0; i < trace->op_count; i++) {
        const struct chip_op *op = &trace->ops[i];
        ask_ahead(chip, trace, i, &own->range);
        if (op->wait > 0 && !wait_for(team, own, op->wait))
            return;
        if (!chip_value(chip, op, trace->operands + op->first, &own->range)) {
            stop_at(team, i);
            return;
        }
        atomic_store_explicit(&own->done, i + 1u, memory_order_release);
    }
}

/* Without a team: the same, nobody to wait for. */
static uint32_t work_alone(struct chip *chip, const struct chip_trace *trace,
                           const struct chip_range *range)
{
    for (uint32_t i = 0; i < trace->op_count; i++) {
        const struct chip_op *op = &trace->ops[i];
        ask_ahead(chip, trace, i, range);
        if (!chip_value(chip, op, trace->operands + op->first, range))
            return i;
    }
    return trace->op_count;
}

/* ---- the team -------------------------------------------------------------------------------- */

static void *live(void *argument)
{
    struct member *own = argument;
    struct chip_team *team = own->team;
    uint64_t run = 0;
    pthread_mutex_lock(&team->mutex);
    for (;;) {
        while (!team->leave && team->run == run)
            pthread_cond_wait(&team->wake, &team->mutex);
        if (team->leave)
            break;
        run = team->run;
        pthread_mutex_unlock(&team->mutex);
        work(team, own);
        pthread_mutex_lock(&team->mutex);
        if (--team->working == 0)
            pthread_cond_signal(&team->rest);
    }
    pthread_mutex_unlock(&team->mutex);
    return NULL;
}

uint32_t chip_team_run(struct chip *chip, const struct chip_trace *trace, struct chip_range *faulty)
{
    struct chip_team *team = chip->team;
    *faulty = chip->whole;
    faulty->report = false;
    faulty->text_first = trace->text_first;
    if (!team)
        return work_alone(chip, trace, faulty);
    pthread_mutex_lock(&team->mutex);
    for (uint32_t m = 0; m < team->count; m++)
        atomic_store(&team->members[m].done, 0);
    for (uint32_t m = 0; m < team->count; m++)
        team->members[m].range.text_first = trace->text_first;
    atomic_store(&team->stop, trace->op_count);
    team->trace = trace;
    team->working = team->count - 1u;
    team->run++;
    pthread_cond_broadcast(&team->wake);
    pthread_mutex_unlock(&team->mutex);
    work(team, &team->members[0]);
    pthread_mutex_lock(&team->mutex);
    while (team->working > 0)
        pthread_cond_wait(&team->rest, &team->mutex);
    pthread_mutex_unlock(&team->mutex);
    const uint32_t stopped = atomic_load(&team->stop);
    for (uint32_t m = 0; m < team->count && stopped < trace->op_count; m++) {
        /* Who stopped at it has done all before it and not it; of several the first lanes tell. */
        struct chip_range range = team->members[m].range;
        if (atomic_load(&team->members[m].done) == stopped &&
            !chip_value(chip, &trace->ops[stopped], trace->operands + trace->ops[stopped].first,
                        &range)) {
            *faulty = range;
            break;
        }
    }
    return stopped;
}

void chip_team_destroy(struct chip_team *team)
{
    if (!team)
        return;
    pthread_mutex_lock(&team->mutex);
    team->leave = true;
    pthread_cond_broadcast(&team->wake);
    pthread_mutex_unlock(&team->mutex);
    for (uint32_t m = 1; m < team->count; m++)
        pthread_join(team->members[m].thread, NULL);
    pthread_mutex_destroy(&team->mutex);
    pthread_cond_destroy(&team->wake);
    pthread_cond_destroy(&team->rest);
    free(team->members);
    free(team->work);
    free(team->permutations);
    free(team);
}

static void divide(struct chip_team *team, uint32_t superlanes)
{
    const struct chip *chip = team->chip;
    for (uint32_t m = 0; m < team->count; m++) {
        struct member *member = &team->members[m];
        member->team = team;
        member->range = (struct chip_range){
            .first = superlanes * m / team->count * MACHINE_LANES_PER_SUPERLANE,
            .end = superlanes * (m + 1u) / team->count * MACHINE_LANES_PER_SUPERLANE,
            .lanes_on = chip->lanes,
            .a = team->work + (3u * m) * chip->lanes,
            .b = team->work + (3u * m + 1u) * chip->lanes,
            .d = team->work + (3u * m + 2u) * chip->lanes,
            .permutations = team->permutations + m * CHIP_PERMUTATIONS};
        atomic_init(&member->done, 0);
    }
}

/* An unstarted team, or NULL when memory is short. */
static struct chip_team *create(struct chip *chip, uint32_t threads)
{
    struct chip_team *team = calloc(1, sizeof *team);
    if (!team)
        return NULL;
    team->chip = chip;
    team->count = threads;
    team->members = aligned_alloc(64, threads * sizeof *team->members);
    team->work = calloc((size_t)threads * 3u * chip->lanes, sizeof *team->work);
    team->permutations = calloc((size_t)threads * CHIP_PERMUTATIONS, sizeof *team->permutations);
    if (!team->members || !team->work || !team->permutations) {
        free(team->members);
        free(team->work);
        free(team->permutations);
        free(team);
        return NULL;
    }
    memset(team->members, 0, threads * sizeof *team->members);
    pthread_mutex_init(&team->mutex, NULL);
    pthread_cond_init(&team->wake, NULL);
    pthread_cond_init(&team->rest, NULL);
    return team;
}

enum takt_status chip_set_threads(struct chip *chip, uint32_t threads, struct takt_error *error)
{
    threads = BASE_MIN(BASE_MAX(threads, 1u), chip->machine.superlanes);
    chip_team_destroy(chip->team);
    chip->team = NULL;
    if (threads == 1)
        return TAKT_OK;
    struct chip_team *team = create(chip, threads);
    if (!team)
        return base_fail(error, TAKT_MEMORY, "chip: no memory for %u threads", threads);
    divide(team, chip->machine.superlanes);
    for (uint32_t m = 1; m < threads; m++) {
        if (pthread_create(&team->members[m].thread, NULL, live, &team->members[m]) != 0) {
            team->count = m; /* those that live */
            chip_team_destroy(team);
            return base_fail(error, TAKT_MEMORY,
                             "chip: thread %u of %u could not be started; use fewer --threads",
                             m + 1u, threads);
        }
    }
    chip->team = team;
    return TAKT_OK;
}
