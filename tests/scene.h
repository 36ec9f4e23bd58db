/*
 * A small model on a narrow machine, and its programs run again and again with changes: what of the
 * chip's memory later steps rely on, and whether a changed program leaves it as the original does.
 */
#ifndef TESTS_SCENE_H
#define TESTS_SCENE_H

#include "mutate.h"
#include "run/run.h"

#define SCENE_CHUNK 7u /* tokens of the prefill program */

enum verdict { REFUSED, OTHER_CYCLES, OTHER_LOGITS, OTHER_STATE, SURVIVED, VERDICTS };

struct look {
    const char *name;
    uint32_t chunk, start, steps, last; /* last: tokens of the last step */
};

/* One program with the steps that it runs, from a memory that earlier steps have left. */
struct scene {
    struct look look;
    struct takt_session *session;
    const struct run_program *program;
    uint8_t *memory; /* before the steps */
    struct program_image before;
    bool *kept;         /* [words]: the state and this program's outputs */
    uint8_t *after;     /* what the steps leave there */
    float *logits;      /* [steps][chunk][vocab] */
    size_t step_logits; /* of them, a step's */
};

struct world {
    struct takt_engine *engine;
    char model[64], machine[64];
    size_t word_count; /* of the chip's memory */
    bool *state;       /* [word_count]: words that later steps rely on: weights, KV cache */
};

/* The test fails where these cannot do their work. */
void world_open(struct world *world);
void world_close(struct world *world);
void scene_open(struct scene *scene, struct world *world, const struct look *look);
void scene_close(struct scene *scene);
/* A chip that holds what was in memory before the look, in place of the session's. */
void scene_replace_chip(struct scene *scene, const struct machine *machine);

/* What a mutant does; *fault is its kind, NONE unless it faulted. */
enum verdict scene_judge(const struct world *world, struct scene *scene,
                         const struct mutant *mutant, enum chip_fault_kind *fault);
/* Writes a step's inputs into a memory (replaced), as run_step does. */
void scene_put_inputs(struct scene *scene, uint32_t step, uint8_t **memory);

#endif
