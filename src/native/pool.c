/* See pool.h. */
#include "native/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* A hundred microseconds and more: longer than it takes to wake a thread, on virtual processors
 * too, or else one that slept once would find the others asleep at every barrier that follows. */
#define SPINS 6000u
/* Some microseconds: who is behind by less is not helped. */
#define LINGER 100u

struct worker {
    struct native_pool *pool;
    uint32_t index;
    pthread_t thread;
    bool started;
};

/* `meeting`: the threads that have come to the barrier in the low half, the barriers that are
 * behind in the high one. */
struct native_pool {
    _Alignas(64) _Atomic uint64_t meeting;
    _Alignas(64) atomic_uint sleepers;
    _Alignas(64) atomic_uint threads;
    void (*function)(void *user, uint32_t index);
    void *user;
    bool stop;
    pthread_mutex_t mutex;
    pthread_cond_t awake;
    struct worker *workers;
};

static inline void relax(void)
{
#if defined __x86_64__
    __builtin_ia32_pause();
#elif defined __aarch64__
    __asm__ volatile("yield");
#endif
}

static uint32_t barriers_behind(const struct native_pool *pool)
{
    return (uint32_t)(atomic_load_explicit(&pool->meeting, memory_order_acquire) >> 32);
}

/* Comes to the barrier, which has this number; true: as the last. It looks for sleepers after
 * opening it, and a sleeper looks at the barrier after counting itself, so none is left behind. */
static bool come(struct native_pool *pool, uint32_t *number)
{
    const uint64_t before = atomic_fetch_add(&pool->meeting, 1);
    *number = (uint32_t)(before >> 32);
    if ((uint32_t)before + 1 < pool->threads)
        return false;
    atomic_store(&pool->meeting, (uint64_t)(*number + 1) << 32);
    if (atomic_load(&pool->sleepers) > 0) {
        pthread_mutex_lock(&pool->mutex);
        pthread_cond_broadcast(&pool->awake);
        pthread_mutex_unlock(&pool->mutex);
    }
    return true;
}

/* Waits for so many turns; true: the barrier is behind. */
static bool spin(const struct native_pool *pool, uint32_t number, uint32_t turns)
{
    for (uint32_t i = 0; i < turns; i++) {
        if (barriers_behind(pool) != number)
            return true;
        relax();
    }
    return false;
}

static void sleep_until(struct native_pool *pool, uint32_t number)
{
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->sleepers, 1);
    while (barriers_behind(pool) == number)
        pthread_cond_wait(&pool->awake, &pool->mutex);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->mutex);
}

void native_pool_barrier(struct native_pool *pool)
{
    uint32_t number;
    if (pool->threads > 1 && !come(pool, &number) && !spin(pool, number, SPINS))
        sleep_until(pool, number);
}

bool native_pool_meet(struct native_pool *pool)
{
    uint32_t number;
    if (pool->threads == 1 || come(pool, &number) || spin(pool, number, LINGER))
        return true;
    /* Goes away again, unless all have come meanwhile. */
    uint64_t seen = atomic_load(&pool->meeting);
    while ((uint32_t)(seen >> 32) == number) {
        if ((uint32_t)seen == pool->threads)
            seen = atomic_load(&pool->meeting); /* the last is about to open it */
        else if (atomic_compare_exchange_weak(&pool->meeting, &seen, seen - 1))
            return false;
    }
    return true;
}

static void *work(void *argument)
{
    const struct worker *worker = argument;
    struct native_pool *pool = worker->pool;
    for (;;) {
        native_pool_barrier(pool);
        if (pool->stop)
            return NULL;
        pool->function(pool->user, worker->index);
        native_pool_barrier(pool);
    }
}

void native_pool_run(struct native_pool *pool, void (*function)(void *user, uint32_t index),
                     void *user)
{
    pool->function = function;
    pool->user = user;
    native_pool_barrier(pool);
    function(user, 0);
    native_pool_barrier(pool);
}

enum takt_status native_pool_create(struct native_pool **pool, uint32_t threads,
                                    struct takt_error *error)
{
    BASE_ASSERT(threads > 0);
    *pool = NULL;
    struct native_pool *made = aligned_alloc(64, (sizeof *made + 63) / 64 * 64);
    struct worker *workers = calloc(threads, sizeof *workers);
    if (!made || !workers) {
        free(made);
        free(workers);
        return base_fail(error, TAKT_MEMORY, "no memory for %u threads", threads);
    }
    memset(made, 0, sizeof *made);
    made->threads = threads;
    made->workers = workers;
    pthread_mutex_init(&made->mutex, NULL);
    pthread_cond_init(&made->awake, NULL);
    for (uint32_t i = 1; i < threads; i++) {
        workers[i] = (struct worker){.pool = made, .index = i};
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            break;
        workers[i].started = true;
    }
    *pool = made;
    if (threads > 1 && !workers[threads - 1].started) {
        uint32_t started = 1;
        while (workers[started].started)
            started++;
        made->threads = started; /* those that did start must not wait for the others */
        native_pool_destroy(made);
        *pool = NULL;
        return base_fail(error, TAKT_MEMORY,
                         "only %u of %u threads could be started; ask for fewer", started, threads);
    }
    return TAKT_OK;
}

void native_pool_destroy(struct native_pool *pool)
{
    if (!pool)
        return;
    pool->stop = true;
    native_pool_barrier(pool);
    for (uint32_t i = 1; i < pool->threads; i++)
        pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->awake);
    pthread_mutex_destroy(&pool->mutex);
    free(pool->workers);
    free(pool);
}

uint32_t native_pool_threads(const struct native_pool *pool)
{
    return pool->threads;
}
