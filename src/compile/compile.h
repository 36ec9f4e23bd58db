/*
 * compile: from a graph to programs for a machine. compile.c is the list of passes.
 *
 * Owns: layouts, memory maps, schedules. Refuses to: include chip, or ask the machine anything at
 * run time. Invariants: equal inputs give equal program bytes; the cycle count in a program is met
 * exactly by the machine; a model that does not fit is refused before anything runs.
 */
#ifndef COMPILE_COMPILE_H
#define COMPILE_COMPILE_H

#include "graph/graph.h"
#include "program/program.h"

#define COMPILE_USERS_MAX 8u

/* Where weights, constants and the KV cache of one model lie in one machine: shared by all its
 * programs, so that they can take turns on one memory. */
struct compile_plan;

/* context: most positions the KV cache holds; chunk_max: largest chunk any program will have;
 * users: timelines of tokens that share the machine, each with a cache of its own. CAPACITY with
 * bytes needed, available, what takes them and how many chips would do. */
enum takt_status compile_plan_create(struct compile_plan **plan, const struct graph *graph,
                                     const struct machine *machine, uint32_t context,
                                     uint32_t chunk_max, uint32_t users, struct takt_error *error);
void compile_plan_destroy(struct compile_plan *plan);
const struct program_image *compile_plan_image(const struct compile_plan *plan);

/* The largest chunk whose program may give all its tokens' logits: they take room. The plan's own
 * chunk where that has it, and at least sixteen of an aligned one. */
uint32_t compile_logits_chunk(const struct compile_plan *plan);

/* The bucket (positions a program attends over) that holds `length` positions. */
uint32_t compile_bucket(const struct compile_plan *plan, uint32_t length);

/* What a program is for: a chunk of one user's tokens, or one token of each of several (then chunk
 * = users, and all_logits). */
struct compile_step {
    uint32_t chunk, bucket; /* bucket: a value that compile_bucket gave */
    bool all_logits;        /* of every token, or of one */
    uint32_t first_user, users;
};

/* Whether a chunk of one user must begin at a multiple of sixteen: it is one itself. Its tokens
 * then fill whole blocks of the cache, and where they go is known beforehand. */
bool compile_aligned(uint32_t chunk);

/*
 * Compiles one step: `chunk` tokens, attention over `bucket` positions. Where the plan's largest
 * chunk is a multiple of sixteen, every chunk must be one, or 1.
 *
 * Bindings (token m of the chunk is at position start + m; a step may hold fewer than chunk tokens:
 * the rest are padding, their maps all ISA_SKIP, their other inputs zero, their masks any; of
 * several users, token m is user first_user + m's, at a position of its own, or padding):
 *   x           in  f32  items chunk; elements width: the embedding row
 *   rope_cos    in  f32  items chunk; elements head_dim: cosine, both elements of a pair alike
 *   rope_sin    in  f32  items chunk; elements head_dim: -sine at even, +sine at odd elements
 *               rope_cos1, rope_sin1: a second table, where the model has one
 *   mask        in  u8   items chunk; elements bucket: 1 where the token sees a position, else 0;
 *               where every user has one token it does not see its own there
 *   own         in  u8   items chunk, only where every user has one token; elements bucket: 1 at
 *               the token's position, else 0
 *   v_map, k_map, k_read_map, k_write_map   in, bytes, elements lanes: maps for Scatter and Gather,
 *               16-bit little-endian addresses in lanes 0 and 1 of each superlane:
 *     v_map       items chunk*16; item m*16+j: position/16 if position % 16 == j, else ISA_SKIP
 *     k_map       items chunk*16; item m*16+j: (position/16 % row_ring) * k_groups, or ISA_SKIP
 *     k_read_map  items blocks; item b, B = start/16 + b: (B % row_ring) * k_groups; ISA_SKIP
 *                 when block B holds no token of the step
 *     k_write_map items blocks; superlane B % superlanes: (B / superlanes) * k_groups, the other
 *                 superlanes ISA_SKIP; all ISA_SKIP when block B holds no token of the step
 *                 Of several users, blocks = users, and block b is where user b's token is.
 *               of an aligned chunk, in place of these:
 *     v_map       items blocks; item b: start/16 + b; ISA_SKIP when it holds no token of the step
 *     k_write_map as above
 *     k_keep_map  items chunk/wave; item w: (block of the last token of wave w - first block of
 *                 wave w) * k_groups
 *   row_map     in, bytes, elements lanes, 1 item; only when chunk > 1 and not all_logits: every
 *               superlane holds m % wave, m the token whose logits are wanted
 *   logits      out f32  items chunk if all_logits, else 1; elements vocab
 * A long aligned chunk is several waves of `wave` tokens. Those behind the last that holds tokens
 * repeat it, token by token: rows of x, angles, masks and k_keep_map are those of the token of the
 * last wave, v_map and k_write_map ISA_SKIP.
 * Parameters: chunk, wave, bucket, all_logits, blocks, row_ring, k_groups, superlanes.
 */
enum takt_status compile_program(struct program **program, const struct compile_plan *plan,
                                 const struct compile_step *step, struct takt_error *error);
void compile_program_destroy(struct program *program);

/* ---- the account: where a program's instructions come from ------------------------------------
 */

#define COMPILE_NONE 0xFFFFFFFFu

/* What the compiler calls a task: "gate.product"; the layer, or the number of layers for what comes
 * after them; the tensors it reads and stores, "a b > c". */
struct compile_task {
    const char *name, *kind, *tensors;
    uint32_t layer;
};

enum compile_region_kind {
    COMPILE_WEIGHTS,
    COMPILE_CONSTANTS,
    COMPILE_CACHE,
    COMPILE_TEMPORARY,
    COMPILE_TEXT
};

/* Memory that belongs together: `words` words from `address` on in each of `slices` slices. In a
 * region that is addressed by data any store may be what any read sees. */
struct compile_region {
    const char *name;
    enum compile_region_kind kind;
    uint32_t slice, slices, address, words;
    bool by_data;
};

/* A placement is a task, or the part of one, that was given a cycle as a whole: its instructions
 * keep their distances. Placements are numbered in the order in which they were made. */
struct compile_account {
    struct base_arena arena;
    uint32_t task_count, placement_count, queue_count, region_count;
    struct compile_task *tasks;
    uint32_t *placements; /* [placement_count]: its task */
    uint32_t *issues;     /* [queue_count]: instructions of the queue's own unit, each repetition */
    uint32_t **origins;   /* [queue_count][issues]: the placement of each, in order */
    uint32_t **write_origins; /* the same: of a ReadWrite, its Write's; else COMPILE_NONE */
    struct compile_region *regions;
    uint64_t peak_bytes; /* memory the compilation took, beside the program's image */
};

/* The same program, with its account. */
enum takt_status compile_program_account(struct program **program, struct compile_account **account,
                                         const struct compile_plan *plan,
                                         const struct compile_step *step, struct takt_error *error);
void compile_account_destroy(struct compile_account *account); /* NULL is fine */

#endif
