/* The chip's cycle counts for a text that another target makes. */
#ifndef RUN_CYCLES_H
#define RUN_CYCLES_H

#include "run/run.h"

#include <pthread.h>

struct run_cycles {
    struct takt_engine *engine;
    size_t prompt_count;
    bool all_logits, wanted, started;
    pthread_t thread;
    enum takt_status status; /* of the thread's work */
    struct takt_error error;
    const struct run_program *last; /* of the last step */
    struct takt_step record;
};

/* Begins to compile where the engine was opened for it; end or cancel must follow. While it is
 * under way nothing else may use the engine's plan and programs. */
void run_cycles_begin(struct run_cycles *cycles, struct takt_engine *engine, size_t prompt_count,
                      bool all_logits);
void run_cycles_cancel(struct run_cycles *cycles);
/* The result's steps and program hash become those of the chip, which would have decoded `decoded`
 * tokens after the prompt; or result->no_cycles says why they are not known. */
enum takt_status run_cycles_end(struct run_cycles *cycles, size_t decoded,
                                struct takt_result *result, struct takt_error *error);

#endif
