/*
 * run: engines (a loaded model) and sessions (a timeline of tokens), behind include/takt.h.
 *
 * Owns: which program runs when, what is written to a program's inputs and read from its outputs,
 * the KV positions of a session, sampling, streaming of text. Refuses to: compute anything of the
 * model (chip or reference do), print, or read the environment.
 * Invariants: a model that does not fit is refused when the engine opens, before anything runs;
 * every step's cycles equal the compiled ones or the session ends with a fault; nothing is
 * allocated per token. An engine and its sessions belong to one thread at a time.
 * Read next: engine.c, programs.c, step.c, session.c, generate.c.
 */
#ifndef RUN_RUN_H
#define RUN_RUN_H

#include "base/base.h"
#include "chip/chip.h"
#include "compile/compile.h"
#include "graph/graph.h"
#include "graph/reference.h"
#include "inspect/inspect.h"
#include "machine/machine.h"
#include "model/model.h"
#include "native/native.h"
#include "native/packed.h"
#include "program/program.h"
#include "takt.h"

#include <pthread.h>

#define RUN_CONTEXT_DEFAULT_MAX 4096u /* where the caller leaves the context to the model */
#define RUN_CONTEXT_MAX 1048576u
#define RUN_CHUNK_DEFAULT 16u
#define RUN_CHUNK_MAX 256u
#define RUN_NATIVE_CHUNK_DEFAULT 512u
#define RUN_NATIVE_CHUNK_MAX 4096u
#define RUN_SESSIONS_DEFAULT 8u
#define RUN_SESSIONS_MAX 1024u

/* A compiled program with its decoded text, and its inputs found by name. */
struct run_program {
    struct compile_step step;
    uint32_t chunk, bucket; /* the step's */
    bool all_logits;
    struct program *program;
    struct chip_text *text;
    char hash[65];
    const struct program_binding *x, *rope_cos[MODEL_ROPES_MAX], *rope_sin[MODEL_ROPES_MAX], *mask,
        *v_map, *k_write_map, *logits;
    const struct program_binding *k_map, *k_read_map;          /* NULL where the chunk is aligned */
    const struct program_binding *k_keep_map;                  /* NULL where it is not */
    const struct program_binding *mask_window, *own, *row_map; /* NULL where it has none */
    uint32_t wave, blocks, row_ring, k_groups;
};

/* Programs of one engine, compiled when first needed; entries stay where they are. */
struct run_programs {
    struct run_program **entries;
    size_t count, capacity;
};

/* A tokenizer with the chat templates that came with it. */
struct takt_vocabulary {
    struct tokenizer *tokenizer;
    char path[512];
};

/* A chip, for as long as a session is on it. */
struct run_chip {
    struct chip *chip;
    uint32_t sessions;
    const struct run_program *loaded; /* whose text lies in the chip's memory */
};

struct takt_engine {
    struct model *model;
    pthread_t digest_thread; /* makes the model's sha256 while the engine opens */
    bool digesting;
    struct takt_vocabulary vocabulary; /* the model's */
    struct machine machine;
    struct base_arena arena; /* graph */
    struct graph graph;
    enum takt_target target;
    uint32_t context, chunk;
    uint32_t chip_threads;        /* that share the lanes of a chip */
    uint32_t chip_chunk;          /* prefill chunk of the chip's programs */
    bool cycles;                  /* native: takt_generate is to know the chip's cycles */
    struct run_trie *trie;        /* of the vocabulary, made when a scheduler opens */
    uint32_t sessions, batch;     /* most sessions open; most tokens in a native pass */
    bool *slots;                  /* [sessions]: taken */
    uint32_t users;               /* sessions that share a chip: slots i * users .. */
    struct run_chip *chips;       /* [sessions / users, rounded up], made when first needed */
    struct native *native;        /* targets native and both */
    struct native_packed *packed; /* its weights, where they come from a file */
    char pack_path[544];          /* the model's, whether or not there is one */
    int64_t opened;               /* when the model was, seconds since 1970 */
    struct compile_plan *plan;    /* NULL without a chip, until something is compiled */
    struct takt_error unplanned;  /* why there can be none: found out once, it takes a while */
    struct run_programs programs;
};

/* Work space of the host's side of a step, sized when the session opens. */
struct run_staging {
    uint8_t planes[4][MACHINE_LANES_MAX]; /* byte planes of one row of lanes */
    float *row;                           /* [width] an embedding row */
    uint32_t *elements;                   /* one item's data, as bits */
    size_t element_capacity;
};

struct takt_session {
    struct takt_engine *engine;
    uint32_t slot;               /* of the engine's sessions; UINT32_MAX: none yet */
    struct chip *chip;           /* targets chip and both; shared with others where users > 1 */
    struct reference *reference; /* reference target */
    uint32_t length;             /* positions in the cache */
    uint32_t *tokens;            /* [context]: those held */
    struct takt_step *steps;     /* room for one a position */
    size_t step_count;
    const struct run_program **used; /* programs in order of first use */
    size_t used_count, used_capacity;
    struct run_chip *shared; /* the same, with those it is shared with */
    struct run_staging staging;
    float *reference_logits;             /* [chunk][vocab], reference target */
    float *first_logits, *second_logits; /* [chunk][vocab], target both: of the chip, of native */
    struct takt_error broken;            /* status OK, or the fault that ended the session */
};

/* engine.c: the plan, made when first asked for (the reference target opens without one). */
enum takt_status run_engine_plan(struct takt_engine *engine, struct takt_error *error);

/* programs.c */
enum takt_status run_programs_get(struct takt_engine *engine, const struct compile_step *step,
                                  const struct run_program **program, struct takt_error *error);
bool run_programs_known(const struct takt_engine *engine, const struct compile_step *step);
void run_programs_free(struct run_programs *programs);

/* execute.c: a program file, or the program of an assembly file, checked; without its image. */
enum takt_status run_program_load(const char *path, struct base_arena *arena,
                                  struct program *program, struct takt_error *error);

/* A token of a step. */
struct run_row {
    bool active; /* else padding */
    uint32_t token, position;
};
/* step.c: one program on the chip: inputs, run. rows: [chunk], at least one of them active; of one
 * user's chunk those that are come first, at positions one after the other. */
enum takt_status run_step(struct takt_session *session, const struct run_program *program,
                          const struct run_row *rows, uint64_t *cycles, struct takt_error *error);
/* How many of `count` tokens at positions start .. the chip takes in one step, and the chunk of its
 * program. The engine has a plan; all: with every token's logits. */
struct run_part {
    uint32_t tokens, chunk;
};
struct run_part run_step_part(const struct takt_engine *engine, bool all, uint32_t start,
                              size_t count);
/* The same of a chunk of one user's tokens, at positions start .. (run_step_part). In an aligned
 * chunk the session's tokens before them in their block are computed again. logits: [count][vocab]
 * if the program gives all, else [vocab], or NULL. */
enum takt_status run_step_chunk(struct takt_session *session, const struct run_program *program,
                                const uint32_t *tokens, uint32_t count, uint32_t start,
                                float *logits, uint64_t *cycles, struct takt_error *error);
/* What it left: logits[vocab] of a row, or of the one that the program was to choose (row 0). */
void run_step_logits(struct takt_session *session, const struct run_program *program, uint32_t row,
                     float *logits);

/* sample.c: what is done to a row of logits before the draw, in this order: biases, repetition
 * penalty, frequency and presence penalty. */
struct run_adjustment {
    const struct takt_sampling *sampling;
    const struct takt_bias *biases;
    size_t bias_count;
    const uint32_t *seen; /* tokens of prompt and answer, each once */
    size_t seen_count;
    const uint32_t *drawn_counts; /* [vocab]: times in the answer */
};
void run_adjust(float *logits, const struct run_adjustment *adjustment);
void run_logprobs(const float *logits, uint32_t vocab, uint32_t drawn, uint32_t top_count,
                  struct takt_token_logprobs *out);

/* digest.c: feeds the digest with 64 bytes for a row, folded from its logits. */
void run_digest_fold(struct base_digest *digest, const float *logits, uint32_t vocab);

/* native.c: several sessions in passes of at most `batch` tokens; the items have been checked. */
void run_native_extend(struct takt_engine *engine, const struct takt_batch_item *items,
                       size_t count, bool prefill);
void run_native_extend_all(struct takt_session *session, const uint32_t *tokens, size_t count,
                           bool prefill, float *all_logits);
enum takt_status run_native_open(struct takt_engine *engine,
                                 const struct takt_engine_options *options,
                                 struct takt_error *error);

/* engine.c: waits for the model's sha256. */
void run_engine_digest(struct takt_engine *engine);

/* packed.c: opens the packed weights that the options name, if they may be the model's, and then
 * knows its digest from them where its files are unchanged. */
void run_packed_find(struct takt_engine *engine, const struct takt_engine_options *options);
/* Whether they are; if not they are closed, and the caller of the library is told. */
bool run_packed_usable(struct takt_engine *engine, const struct takt_engine_options *options);
/* They are not used after all, for this reason. */
void run_packed_refuse(struct takt_engine *engine, const struct takt_engine_options *options,
                       const char *why);

/* both.c */
enum takt_status run_both_open(struct takt_session *session, struct takt_error *error);
/* Runs natively the step that the chip has just run; logits: the chip's, of all rows or the last.
 * FAULT when a bit differs. */
enum takt_status run_both_compare(struct takt_session *session, const uint32_t *tokens,
                                  uint32_t count, bool all, const float *logits,
                                  struct takt_error *error);

/* programs.c: SHA-256, hex, over the programs' own hashes. */
void run_hash_programs(const struct run_program *const *programs, size_t count, char hex[65]);

/* session.c: a step that was run: its tokens are held, its record kept. */
void run_session_note(struct takt_session *session, const uint32_t *tokens,
                      const struct takt_step *record);
/* takt_session_extend with the kind of step given. */
enum takt_status run_session_extend(struct takt_session *session, const uint32_t *tokens,
                                    size_t count, bool prefill, float *logits, float *all_logits,
                                    struct takt_error *error);

/* job.c: does the token end an answer? */
bool run_is_end(const struct takt_engine *engine, uint32_t token);

#endif
