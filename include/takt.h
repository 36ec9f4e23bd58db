/*
 * takt: an open LPU. A model file is compiled to programs for a deterministic tensor-streaming chip
 * and run on a cycle-exact machine, on this CPU, or by the naive reference, with the same bits.
 *
 * Part one, for everyone: engine (a loaded model) and session (one timeline of tokens).
 * Part two, for people who work on the machine: assemble, disassemble, execute, manuals.
 *
 * Every function that can fail returns a status and fills *error (which may be NULL) with one line:
 * place, value, remedy. Nothing here exits, prints, or reads the environment or clock (but for
 * takt_generate's host_seconds).
 */
#ifndef TAKT_H
#define TAKT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "takt_status.h"

#define TAKT_VERSION "0.1.0"

/* ---- part one: engine and session ------------------------------------------------------------ */

enum takt_target {
    TAKT_TARGET_CHIP,
    TAKT_TARGET_REFERENCE,
    TAKT_TARGET_NATIVE, /* this CPU, as fast as it goes */
    TAKT_TARGET_BOTH,   /* chip and native side by side; FAULT at the first bit that differs */
};

struct takt_engine_options {
    const char *model_path;   /* GGUF */
    const char *machine_path; /* machine file; NULL = tsp1 */
    enum takt_target target;
    uint32_t context; /* most tokens a session holds; 0 = the model's own, at most 4096 */
    uint32_t chunk;   /* most tokens of a session in one step; 0 = 16, native 512 */
    uint32_t users; /* chip: sessions that share a chip, each with a cache on it; 0 = 1. Those that
                     * takt_extend_batch extends by a token each are one step */

    /* Of the native target (threads: of the chip too). None of these changes a bit of any result.
     */
    uint32_t threads;  /* 0 = a thread for each physical core; on the chip 0 = 1 */
    uint32_t sessions; /* most sessions open at once: their memory is laid out now; 0 = 8 */
    uint32_t batch;    /* most tokens in one pass, over all its sessions; 0 = 512 or the chunk */
    const char *cpu;   /* kernels: a name of takt_cpu_level; NULL = the best this CPU has */
    bool cycles; /* compile in the background, so that takt_generate knows the chip's cycles */
    /* Weights packed before (takt_pack): NULL = MODEL.takt-pack, if it is there; "" = none. One
     * that is damaged, of another version or of another model is not used, and on_notice is told.
     */
    const char *pack_path;
    /* Called while weights are quantised and packed, with parts done and total; may be NULL. */
    void (*on_load)(void *user, uint64_t done, uint64_t total);
    /* Told, in one line, what was not as wished but is no error; may be NULL. */
    void (*on_notice)(void *user, const char *text);
    void *user;
};

/* Levels of kernels built in, the plainest first: "scalar", ... NULL beyond the last. *usable: this
 * CPU has what the level needs. */
const char *takt_cpu_level(size_t index, bool *usable);

struct takt_engine;
struct takt_session;

enum takt_status takt_engine_open(struct takt_engine **engine,
                                  const struct takt_engine_options *options,
                                  struct takt_error *error);
void takt_engine_close(struct takt_engine *engine);

struct takt_model_info {
    const char *path, *name, *architecture, *sha256;
    uint32_t layers, width, heads, kv_heads, head_dim, ffn, vocab, context_trained;
    uint32_t context;    /* of sessions of this engine */
    const char *machine; /* machine name */
    double clock_hz;
    bool has_chat_template;
};
void takt_engine_info(const struct takt_engine *engine, struct takt_model_info *info);

/* A step the session executed. */
struct takt_step {
    bool prefill;
    uint32_t tokens;          /* tokens in it */
    uint32_t context;         /* the program's context bucket */
    uint64_t cycles_compiled; /* 0 where no program is known: reference, native */
    uint64_t cycles_executed; /* 0 unless the chip ran it */
};

/* LIMIT when as many sessions are open as the engine has room for. */
enum takt_status takt_session_open(struct takt_session **session, struct takt_engine *engine,
                                   struct takt_error *error);
void takt_session_close(struct takt_session *session);
/* Extends the session by tokens[0..count). logits: NULL, or [vocab] of the last token; all_logits:
 * NULL, or [count][vocab]. CONTEXT when they do not fit (nothing is run then). */
enum takt_status takt_session_extend(struct takt_session *session, const uint32_t *tokens,
                                     size_t count, float *logits, float *all_logits,
                                     struct takt_error *error);

/* One session's part of a batch. */
struct takt_batch_item {
    struct takt_session *session;
    const uint32_t *tokens;
    size_t count;  /* at least 1 */
    float *logits; /* NULL, or [vocab] of the last token */
};
/* Extends several sessions of one engine at once, each by its own tokens: the same bits as one by
 * one. Native shares each read of the weights among them; chip and reference take them in turn. A
 * session may appear once. When an item is refused (USAGE, CONTEXT) nothing is run. */
enum takt_status takt_extend_batch(struct takt_engine *engine, const struct takt_batch_item *items,
                                   size_t count, struct takt_error *error);
/* Forgets the tokens from `length` on, and the steps that ran them; USAGE when there are fewer. */
enum takt_status takt_session_truncate(struct takt_session *session, size_t length,
                                       struct takt_error *error);
/* Makes `to` hold the first `length` tokens of `from`, a session of the same engine, in place of
 * what it held. Native copies its cache; chip and reference run the tokens again. */
enum takt_status takt_session_copy_prefix(struct takt_session *to, const struct takt_session *from,
                                          size_t length, struct takt_error *error);
/* The tokens held, [takt_session_length]. */
const uint32_t *takt_session_tokens(const struct takt_session *session);
size_t takt_session_steps(const struct takt_session *session, const struct takt_step **steps);
size_t takt_session_length(const struct takt_session *session); /* tokens so far */
/* SHA-256, hex, over the hashes of the programs this session ran, in order of first use; "" where
 * none ran. */
void takt_session_program_hash(const struct takt_session *session, char hex[65]);

struct takt_sampling {
    float temperature; /* 0 = greedy */
    uint32_t top_k;    /* 0 = off */
    float top_p;       /* 1 = off */
    uint64_t seed;
    float min_p; /* 0 = off: tokens this many times less likely than the likeliest are left out */
    float repetition_penalty;                  /* 0 or 1 = off; over prompt and answer */
    float frequency_penalty, presence_penalty; /* 0 = off; over the answer */
};
/* Draws a token from logits[vocab] for a position: a pure function. Greedy ties: the lowest id. */
uint32_t takt_sample(const float *logits, uint32_t vocab, const struct takt_sampling *sampling,
                     uint64_t position);

/* Text. *ids is malloc'ed. */
enum takt_status takt_tokenize(const struct takt_engine *engine, const char *text, size_t length,
                               bool add_bos, bool parse_special, uint32_t **ids, size_t *count,
                               struct takt_error *error);
/* *text is malloc'ed, NUL-terminated. */
enum takt_status takt_detokenize(const struct takt_engine *engine, const uint32_t *ids,
                                 size_t count, bool show_special, char **text, size_t *length,
                                 struct takt_error *error);
/* The bytes of one token as it stands within a text, at most capacity of them; returns how many it
 * has. Control tokens have none unless shown. */
size_t takt_token_bytes(const struct takt_engine *engine, uint32_t token, bool show_special,
                        char *bytes, size_t capacity);
/* One user message in the model's chat template, ready for generation, as text; *text is malloc'ed.
 * Templates with a date say 1970: takt_chat_render (below) knows the time, and whose bytes are
 * whose.
 */
enum takt_status takt_chat_prompt(const struct takt_engine *engine, const char *message,
                                  char **text, struct takt_error *error);

struct takt_request {
    const char *prompt; /* NUL-terminated UTF-8 */
    bool chat;          /* wrap the prompt in the chat template */
    int64_t now;        /* for it: seconds since 1970 in UTC */
    uint32_t max_tokens;
    struct takt_sampling sampling;
    bool all_logits; /* the digest covers every prompt position too */
    bool no_digest;  /* leave logits_digest empty: hashing takes as long as a small model's step */
    /* Called with whole characters as they are known; false stops (INTERRUPTED is not an error
     * then: the result is complete up to there). May be NULL. */
    bool (*on_text)(void *user, const char *text, size_t length);
    /* Called before each step with tokens done and total of the prompt. May be NULL. */
    void (*on_progress)(void *user, size_t done, size_t total);
    void *user;
};

struct takt_result {
    char *text; /* without the prompt */
    uint32_t *prompt_tokens, *tokens;
    size_t prompt_count, token_count;
    const char *finish; /* "stop" (an end token), "length", "context", "interrupted" */
    char logits_digest[65];
    char program_hash[65];
    struct takt_step *steps;
    size_t step_count;
    double host_seconds;   /* until the last token was drawn */
    double prompt_seconds; /* of these, the prompt's */
    /* Native, opened with `cycles`: the steps and hash are those the chip would have, or this says
     * why it would not run the model. "" otherwise. */
    char no_cycles[1000];
};
enum takt_status takt_generate(struct takt_engine *engine, const struct takt_request *request,
                               struct takt_result *result, struct takt_error *error);
void takt_result_free(struct takt_result *result); /* safe on a zeroed struct and twice */

/* ---- what a model is ------------------------------------------------------------------------- */

struct takt_show_options {
    const char *model_path;   /* GGUF, or a Hugging Face folder */
    const char *machine_path; /* NULL = tsp1 */
    uint32_t context;         /* positions that should fit; 0 = the model's own, at most 4096 */
};
/* *json: malloc'ed, one object: metadata, tensors, tokenizer, sizes; "runs" {ok, why}; where it
 * fits: "chip" {ok, why, machine, context, ...}, "native" {bytes, ...}. A model that takt does not
 * run is described all the same; only files that are no model at all fail. */
enum takt_status takt_show_model(const struct takt_show_options *options, char **json,
                                 struct takt_error *error);

/* ---- accuracy -------------------------------------------------------------------------------- */

struct takt_measure_options {
    const char *text; /* documents between lines <|endoftext|>, or one */
    size_t length;
    uint32_t context;          /* tokens of a window, each begun afresh; 0 = the engine's */
    uint64_t tokens_max;       /* 0 = all */
    bool profile;              /* run the engine */
    bool binary32;             /* run plain binary32; with both, they are compared */
    const char *baseline_path; /* the model that runs in binary32; NULL = the engine's own */
    /* Tokens done and in all; false stops, with INTERRUPTED. May be NULL. */
    bool (*on_progress)(void *user, uint64_t done, uint64_t total);
    void *user;
};

struct takt_measure {
    uint64_t windows, tokens;
    uint64_t predicted; /* tokens whose probability was asked for: not the first of a window */
    double loss, loss_binary32; /* mean -ln probability, nats a token */
    /* KL divergence of the profile from binary32, nats: mean, 99th percentile, largest */
    double divergence, divergence_p99, divergence_max;
    double same_top; /* share of positions with the same likeliest token */
};
enum takt_status takt_measure_text(struct takt_engine *engine,
                                   const struct takt_measure_options *options,
                                   struct takt_measure *result, struct takt_error *error);

/* ---- many requests at once ------------------------------------------------------------------- */

/*
 * A scheduler runs jobs side by side in a fixed number of slots, each a session: prompts in chunks
 * between the others' decode steps, begun at the longest prefix a slot already holds. What a job
 * gives is a function of its options alone. One thread at a time; callbacks come from
 * takt_scheduler_step and must not call the scheduler.
 */
struct takt_scheduler;
struct takt_job;
struct takt_grammar;

struct takt_scheduler_options {
    uint32_t slots; /* jobs that run at once; at least 1 */
    bool no_prefix_cache;
};

struct takt_bias {
    uint32_t token;
    float bias; /* added to the logit */
};

#define TAKT_TOP_LOGPROBS_MAX 20u
struct takt_logprob {
    uint32_t token;
    float logprob; /* natural logarithm of the model's own probability, before any setting */
};
struct takt_token_logprobs {
    struct takt_logprob drawn;
    struct takt_logprob top[TAKT_TOP_LOGPROBS_MAX]; /* likeliest first; ties: lowest id first */
    uint32_t top_count;
};

enum takt_event_kind {
    TAKT_EVENT_STARTED,  /* the job has a slot */
    TAKT_EVENT_TOKEN,    /* a token was drawn; its text may be held back, or have nothing to show */
    TAKT_EVENT_FINISHED, /* the last event; the job is gone when the callback returns */
};

struct takt_event {
    enum takt_event_kind kind;
    const char *text; /* TOKEN: whole characters that can no longer become part of a stop string */
    size_t length;
    const struct takt_token_logprobs *logprobs; /* of the tokens whose text this completes */
    size_t logprob_count;
    const char *finish; /* FINISHED: "stop", "length" or "error" */
    uint32_t prompt_tokens, cached_tokens, answer_tokens;
    /* FINISHED: SHA-256 over 64 bytes a drawn token, folded from its logits (run/digest.c) */
    const char *logits_digest;
    const struct takt_error *error; /* FINISHED with "error" */
};

struct takt_job_options {
    const uint32_t *prompt; /* at least one token; copied, as all that follows */
    size_t prompt_count;
    uint32_t max_tokens;
    struct takt_sampling sampling;
    const struct takt_bias *biases;
    size_t bias_count;
    const char *const *stops; /* the answer ends before the first of these */
    size_t stop_count;
    bool logprobs;
    uint32_t top_logprobs; /* at most TAKT_TOP_LOGPROBS_MAX */
    struct takt_grammar
        *grammar; /* NULL, or what the answer must be: this job's alone, outlives it */
    void (*on_event)(void *user, const struct takt_event *event);
    void *user;
};

enum takt_status takt_scheduler_open(struct takt_scheduler **scheduler, struct takt_engine *engine,
                                     const struct takt_scheduler_options *options,
                                     struct takt_error *error);
/* Jobs not finished are dropped without an event. */
void takt_scheduler_close(struct takt_scheduler *scheduler);
/* Queues a job. USAGE, CONTEXT (the prompt does not fit), MEMORY. */
enum takt_status takt_scheduler_submit(struct takt_scheduler *scheduler,
                                       const struct takt_job_options *options,
                                       struct takt_job **job, struct takt_error *error);
/* Frees the job and its slot at once; no event follows. */
void takt_scheduler_cancel(struct takt_scheduler *scheduler, struct takt_job *job);
/* One step for every job that has a slot. False when there was nothing to do. */
bool takt_scheduler_step(struct takt_scheduler *scheduler);

struct takt_scheduler_state {
    uint32_t slots, running, queued;
    uint32_t batch;   /* sessions in the last step */
    uint64_t kv_held; /* positions that slots hold */
    uint64_t kv_capacity;
};
void takt_scheduler_state(const struct takt_scheduler *scheduler,
                          struct takt_scheduler_state *state);

/*
 * What an answer must be, kept to by drawing only tokens that can still lead there, and to an end
 * within max_tokens. docs/SERVER.md lists what is understood of JSON Schema; UNSUPPORTED names the
 * keyword that is not. A scheduler must be open on the engine.
 */
enum takt_grammar_kind {
    TAKT_GRAMMAR_OBJECT, /* any JSON object */
    TAKT_GRAMMAR_SCHEMA, /* JSON that satisfies `json`, a schema */
    TAKT_GRAMMAR_TOOLS,  /* calls of tools; `json` is an array of {"name", "parameters"} */
};
/* A call is this, the name, the middle, the arguments (JSON), the end. */
#define TAKT_TOOL_BEGIN "<tool_call>\n{\"name\": \""
#define TAKT_TOOL_MIDDLE "\", \"arguments\": "
#define TAKT_TOOL_END "}\n</tool_call>"
struct takt_grammar_options {
    enum takt_grammar_kind kind;
    const char *json;
    size_t length;
    bool must_call; /* TOOLS: begin with a call; else free text may come first, or stand alone */
    bool parallel;  /* TOOLS: further calls may follow, each on a line of its own */
};
enum takt_status takt_grammar_open(struct takt_grammar **grammar, struct takt_engine *engine,
                                   const struct takt_grammar_options *options,
                                   struct takt_error *error);
void takt_grammar_close(struct takt_grammar *grammar);
/* A max_tokens below this is refused. */
uint32_t takt_grammar_least_tokens(struct takt_grammar *grammar);

/* What the modelled system takes for a request by itself: the cycles of its prompt's steps and of
 * its decode steps, and the hash of their programs. What is not compiled yet is compiled, or,
 * without `compile`, LIMIT comes back. */
struct takt_request_cycles {
    uint64_t prompt_cycles, decode_cycles;
    uint32_t chips;
    char program_hash[65];
};
enum takt_status takt_request_cycles(struct takt_engine *engine, uint32_t prompt_tokens,
                                     uint32_t answer_tokens, bool compile,
                                     struct takt_request_cycles *cycles, struct takt_error *error);

/* A tokenizer without the engine (vocabulary-only files too). */
struct takt_vocabulary;
enum takt_status takt_vocabulary_open(struct takt_vocabulary **vocabulary, const char *model_path,
                                      struct takt_error *error);
void takt_vocabulary_close(struct takt_vocabulary *vocabulary);
enum takt_status takt_vocabulary_encode(const struct takt_vocabulary *vocabulary, const char *text,
                                        size_t length, bool add_bos, bool parse_special,
                                        uint32_t **ids, size_t *count, struct takt_error *error);
enum takt_status takt_vocabulary_decode(const struct takt_vocabulary *vocabulary,
                                        const uint32_t *ids, size_t count, bool show_special,
                                        char **text, size_t *length, struct takt_error *error);

/* The engine's own; it lives as long as the engine. */
const struct takt_vocabulary *takt_engine_vocabulary(const struct takt_engine *engine);

/* ---- chat ------------------------------------------------------------------------------------ */

/* What a chat template is given beside the messages. Every text is JSON, or NULL for none. */
struct takt_chat_options {
    const char *tools;         /* array, as chat completions have it */
    const char *documents;     /* array */
    const char *variables;     /* object: more variables by name ("enable_thinking": false) */
    const char *template_name; /* one of the file's; NULL = with tools "tool_use" where the file has
                                  it, otherwise the one without a name */
    const char *template_source; /* Jinja to use in place of the file's */
    bool add_generation_prompt;  /* the beginning of the assistant's turn comes last */
    int64_t now;                 /* seconds since 1970 in UTC, for templates that print the date */
};

/*
 * A chat as text. foreign[i] is 1 where byte i came from the messages, tools, documents or
 * variables: takt_chat_encode never makes such bytes part of a control token, so nobody can end a
 * turn or begin one by writing <|im_end|> into a message. The text may begin with the file's BOS.
 */
struct takt_chat_text {
    char *text; /* NUL-terminated */
    size_t length;
    unsigned char *foreign; /* [length] */
};

/*
 * Renders messages (JSON: an array of objects with role and content, tool_calls ...) with a chat
 * template of the file. USAGE when the messages are not such an array or the template refuses them
 * (raise_exception); UNSUPPORTED when the file has no template, or one with a construct that takt
 * does not know, quoted with its line and column; LIMIT when it would run or grow without end.
 */
enum takt_status takt_chat_render(const struct takt_vocabulary *vocabulary, const char *messages,
                                  const struct takt_chat_options *options,
                                  struct takt_chat_text *chat, struct takt_error *error);
/* The ids of a rendered chat. BOS comes first where the file asks for it and the text has none. */
enum takt_status takt_chat_encode(const struct takt_vocabulary *vocabulary,
                                  const struct takt_chat_text *chat, uint32_t **ids, size_t *count,
                                  struct takt_error *error);
/* One message of the user, ready for the answer. */
enum takt_status takt_chat_message(const struct takt_vocabulary *vocabulary, const char *message,
                                   int64_t now, struct takt_chat_text *chat,
                                   struct takt_error *error);
/* The file's templates in their order; NULL beyond the last. *name is "" for the one without. */
const char *takt_chat_template(const struct takt_vocabulary *vocabulary, size_t index,
                               const char **name);
void takt_chat_text_free(struct takt_chat_text *chat); /* safe on a zeroed struct and twice */

/* ---- part two: for work on the machine ------------------------------------------------------- */

/* Each returns malloc'ed text. */
char *takt_isa_manual(void);
char *takt_machine_manual(void);
enum takt_status takt_machine_describe(const char *machine_path, char **text,
                                       struct takt_error *error);

/* Assembles a file to the binary program form, and back to assembly. */
enum takt_status takt_assemble_file(const char *source_path, const char *output_path,
                                    struct takt_error *error);
enum takt_status takt_disassemble_file(const char *program_path, char **text,
                                       struct takt_error *error);

/* Assembles a file, runs it on the machine and checks its .expect lines. *report is malloc'ed:
 * cycles, the fault if any, the first expectation that did not hold. *held says whether all did.
 * check_only: without values, every check that needs none; expectations of memory are not judged.
 */
enum takt_status takt_execute_file(const char *source_path, bool check_only, bool *held,
                                   char **report, struct takt_error *error);

/* The program of one step (chunk tokens, the context bucket that holds `context`) as assembly. */
enum takt_status takt_compile_to_assembly(struct takt_engine *engine, uint32_t chunk,
                                          uint32_t context, bool all_logits, char **text,
                                          struct takt_error *error);

/* ---- what a program does with its cycles ------------------------------------------------------
 */

struct takt_inspection;

struct takt_inspect_options {
    uint32_t chunk;   /* tokens of the step: 1 or the engine's chunk */
    uint32_t context; /* positions it must see, rounded up to a bucket; 0 = the engine's context */
    bool all_logits;
    uint32_t
        users; /* above 1: of one token of each of so many users, the engine's; chunk = users */
    bool compiled_only; /* do not run the program on the machine as well */
};
/* Compiles a step and reads its program: who takes what from whom, what each unit does in each
 * cycle, why every task begins when it does. The machine then runs it without values: FAULT where
 * that takes other cycles or instructions. The engine must stay open while the inspection is. */
enum takt_status takt_inspect(struct takt_inspection **inspection, struct takt_engine *engine,
                              const struct takt_inspect_options *options, struct takt_error *error);
/* The same of a program file or an assembly file: without names of tasks, layers or tensors. */
enum takt_status takt_inspect_file(struct takt_inspection **inspection, const char *path,
                                   struct takt_error *error);
void takt_inspection_close(struct takt_inspection *inspection); /* NULL is fine */

struct takt_inspect_figures {
    uint64_t cycles, cycles_executed;              /* executed: 0 when it was not run */
    double bound_weights, bound_macs, bound_chain; /* cycles; docs/INSPECT.md */
    double compile_seconds;
    uint64_t compile_peak_bytes, text_bytes;
    uint32_t layers; /* with what comes after them; 0 without an account */
    char program_hash[65];
};
void takt_inspection_figures(const struct takt_inspection *inspection,
                             struct takt_inspect_figures *figures);

/* Each returns malloc'ed text. docs/INSPECT.md describes it. layer: one of figures.layers. */
char *takt_inspection_json(const struct takt_inspection *inspection);
char *takt_inspection_text(const struct takt_inspection *inspection, uint32_t layer);
char *takt_inspection_trace(const struct takt_inspection *inspection); /* Chrome trace events */
char *takt_inspection_svg(const struct takt_inspection *inspection, uint32_t layer);
/* Compact JSON: for every queue its words, [cycle, count, delay, name, instruction] each, and the
 * names. layer UINT32_MAX: of all layers. */
char *takt_inspection_schedule(const struct takt_inspection *inspection, uint32_t layer);
/* How two differ: cycles, units, layers, the first place where they part. Text, or JSON. */
char *takt_inspection_diff(const struct takt_inspection *a, const struct takt_inspection *b,
                           bool json);

/* ---- the chip beside published figures ------------------------------------------------------- */

/* A program that was compiled, executed to the cycle, and compared with a published figure. */
struct takt_bench_row {
    const char *name; /* "install", "lstm-512", "gemm-fp16" */
    const char *what; /* one line */
    uint32_t n;       /* of the GEMM: columns of the result; 0 otherwise */
    uint64_t cycles;
    uint64_t bound_cycles; /* what bytes and multipliers allow */
    uint64_t limit_cycles; /* the published figure: at most so many */
    bool values;           /* executed with values, each compared; otherwise check-only */
    uint64_t text_bytes; /* of the program, packed; beyond each queue's first block it is fetched */
    double machine_seconds; /* host time the execution took */
};
struct takt_bench_options {
    const char *machine_path; /* NULL = tsp1 */
    const char *folder;    /* where each program goes as NAME.takt, or NAME-N.takt; NULL: nowhere */
    bool all;              /* three of the GEMMs with values */
    double (*clock)(void); /* seconds; NULL: no machine_seconds */
    /* Called with each row as it is ready; false stops, with INTERRUPTED. */
    bool (*on_row)(void *user, const struct takt_bench_row *row);
    void *user;
};
/* FAULT when a value differs from the exact one. */
enum takt_status takt_bench_chip(const struct takt_bench_options *options,
                                 struct takt_error *error);

/* ---- the native target, measured ------------------------------------------------------------- */

/* Zero and NULL on other targets. */
struct takt_native_info {
    const char *cpu; /* level of kernels in use */
    uint32_t threads, sessions, batch;
    /* Memory laid out at open, bytes; pages are taken when first touched. */
    uint64_t weight_bytes, cache_bytes, cache_bytes_a_session, rope_bytes, work_bytes;
    uint64_t step_weight_bytes; /* read by a decode step */
    uint64_t token_operations;  /* byte multiplications and additions of a token's products, without
                                   those with the output matrix and the cache */
    uint64_t output_operations; /* of the output matrix */
    const char *pack_path;      /* the packed weights in use; NULL = packed from the model */
};
void takt_native_info(const struct takt_engine *engine, struct takt_native_info *info);

/* Writes the packed weights of a native engine that has not taken them from a file itself (USAGE),
 * so that the model opens faster: beside their name and then renamed, never half. path: NULL =
 * takt_pack_path. */
enum takt_status takt_pack(const struct takt_engine *engine, const char *path,
                           struct takt_error *error);
/* The model's path with the ending .takt-pack: where they are looked for. */
const char *takt_pack_path(const struct takt_engine *engine);

/* What this machine does at best with the engine's threads, measured now. */
struct takt_limits {
    double read_bytes_per_second;      /* all weights, plainly read */
    double int8_operations_per_second; /* multiplications and additions of bytes in registers */
};
enum takt_status takt_measure_limits(struct takt_engine *engine, struct takt_limits *limits,
                                     struct takt_error *error);

/* ---- models of random weights, in published shapes ------------------------------------------- */

#define TAKT_SYNTH_TYPES 4
/* "F16", "Q8_0", "F32", "BF16"; the first is the default. NULL beyond the last. */
const char *takt_synth_type(size_t index);

struct takt_shape {
    const char *name;
    const char *note; /* how it differs from what was published; "" = not at all */
    uint32_t layers, width, ffn, heads, kv_heads, head_dim, vocab, context;
    bool tied; /* the output is the embedding */
    uint64_t parameters;
    uint64_t bytes[TAKT_SYNTH_TYPES]; /* of the tensors, in the order of takt_synth_type */
};
/* False, and *shape alone, when index is beyond the last. */
bool takt_shape_at(size_t index, struct takt_shape *shape);

struct takt_synth_options {
    const char *shape; /* a name of takt_shape_at */
    const char *type;  /* of matrices and embeddings; NULL = the default */
    uint32_t layers;   /* 1 to 1000; 0 = the shape's */
    uint64_t seed;
    const char *path; /* the GGUF file to write */
};
/* Writes a model whose every weight is a function of seed, tensor and element alone. Memory is a
 * few MiB for any shape. on_progress (may be NULL) hears of it every few MiB; false stops, with
 * INTERRUPTED. After any failure nothing new is under the path. */
enum takt_status takt_synthesise(const struct takt_synth_options *options,
                                 bool (*on_progress)(void *user, uint64_t done_bytes,
                                                     uint64_t total_bytes),
                                 void *user, struct takt_error *error);

#endif
