/*
 * Threads that run one function together, with a barrier inside. Waiting spins briefly, then
 * sleeps. What each thread does follows from its index alone.
 */
#ifndef NATIVE_POOL_H
#define NATIVE_POOL_H

#include "base/base.h"

struct native_pool;

/* threads >= 1, the calling one among them. MEMORY when they cannot be had. */
enum takt_status native_pool_create(struct native_pool **pool, uint32_t threads,
                                    struct takt_error *error);
void native_pool_destroy(struct native_pool *pool); /* NULL is fine */
uint32_t native_pool_threads(const struct native_pool *pool);
/* function(user, index) on every thread, index 0 on this one; returns when all have. */
void native_pool_run(struct native_pool *pool, void (*function)(void *user, uint32_t index),
                     void *user);
/* Within that function: waits for all. What one thread wrote before, all may read after. */
void native_pool_barrier(struct native_pool *pool);
/* The same, but false where others are behind by more than some microseconds: the thread can help
 * them, and must come to the barrier again. */
bool native_pool_meet(struct native_pool *pool);

#endif
