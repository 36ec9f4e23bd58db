/*
 * inspect: what a program does with its cycles, read from its text.
 *
 * Owns: following every value of a program from the instruction that makes it to those that take
 * it, by time and position alone; what each unit does in each cycle and what it waits for; the
 * chain of dependences that makes the program as long as it is; pictures and tables of all that.
 * Refuses to: run a program (chip does; values are not looked at), or trust the compiler: its
 * account gives names, never cycles.
 * Read next: decode.c, flow.c, path.c; then report.c, text.c, trace.c, picture.c, diff.c.
 */
#ifndef INSPECT_INSPECT_H
#define INSPECT_INSPECT_H

#include "compile/compile.h"
#include "program/program.h"

#define INSPECT_NONE 0xFFFFFFFFu
#define INSPECT_ISSUES_MAX (1u << 27) /* of one program; beyond these it is refused */
#define INSPECT_CYCLES_MAX (1u << 26)

/* ---- the text, decoded (decode.c) ------------------------------------------------------------ */

/* A word that is no Repeat, with the Repeat that follows it. A ReadWrite is two: its Read, then its
 * Write. */
struct inspect_word {
    struct isa_instruction instruction;
    uint32_t cycle, count, delay; /* of its first issue; issues; cycles between two */
    int32_t step;
    uint32_t first; /* number of its first issue among those of its queue's own unit */
    bool second;    /* a ReadWrite's Write: the same issues as the word before */
};

/* One instruction in its cycle. Those of the ICU are not among them. */
struct inspect_issue {
    uint32_t cycle, word, repetition, placement; /* placement NONE without an account */
    uint16_t queue;
};

struct inspect_code {
    uint32_t queue_count;
    uint32_t *word_first; /* [queue_count + 1]: a queue's words are word_first[q] .. [q + 1] - 1 */
    struct inspect_word *words;
    uint32_t issue_count;
    struct inspect_issue *issues; /* by cycle, then queue; a ReadWrite is two */
    uint32_t *queue_issues;       /* [queue_count] a ReadWrite is one */
    uint32_t instruction_count;   /* the sum of those */
    uint32_t last_cycle;          /* of an issue */
};

/* Units as reports name them: both hemispheres together. */
enum inspect_unit {
    INSPECT_MEM,
    INSPECT_VXM,
    INSPECT_WEIGHTS,
    INSPECT_ACTIVATIONS,
    INSPECT_RESULTS,
    INSPECT_TRANSPOSE,
    INSPECT_PERMUTE,
    INSPECT_DISTRIBUTE,
    INSPECT_SHIFT,
    INSPECT_ROTATE,
    INSPECT_OTHER,
    INSPECT_UNITS
};
const char *inspect_unit_name(enum inspect_unit unit);

/* ---- what was found -------------------------------------------------------------------------- */

/* Why a placement begins when it does. */
enum inspect_reason {
    INSPECT_START,   /* the program begins */
    INSPECT_DATA,    /* an operand was made by `after` */
    INSPECT_INSTALL, /* weights were installed by `after` */
    INSPECT_BUFFER,  /* the plane's weight buffer or its old weights were in use until `after` */
    INSPECT_REUSE,   /* what lay where it stores was read or stored by `after` */
    INSPECT_QUEUE,   /* a queue it needs was busy with `after` */
    INSPECT_REASONS
};
const char *inspect_reason_name(enum inspect_reason reason);

struct inspect_placement {
    uint32_t task;        /* of the account */
    uint32_t first, last; /* cycles of its issues */
    uint32_t issue_first; /* its issues: by_placement[issue_first ...] */
    uint32_t issue_count;
    enum inspect_reason reason;
    uint32_t at, after; /* issues: one of its own, and the one that bounds it; NONE */
    uint32_t held;      /* cycles between the two beyond what they need: no free place */
};

/* A piece of the critical path: cycles from .. to - 1 belong to the placement. */
struct inspect_step {
    uint32_t placement, from, to;
    uint32_t working, moving, waiting; /* their sum is to - from */
    enum inspect_reason reason;        /* as of the placement, but where an IW waited */
    uint32_t at, after;
};

struct inspect_wait { /* cycles a unit waited for a task of this name */
    uint32_t name;
    uint64_t cycles;
};
#define INSPECT_WAITS_MAX 8u

struct inspect_unit_cycles {
    uint32_t queues, queues_used;
    uint64_t issues;
    /* Of the program's cycles: some queue of the unit issues; none does, but what the next issue
     * takes is under way; it is not even made yet; nothing is to come, or the start. */
    uint64_t working, moving, waiting, idle;
    struct inspect_wait waits[INSPECT_WAITS_MAX]; /* most first */
    uint32_t wait_count;
};

struct inspect_layer {
    uint32_t first, last;                      /* cycles of its issues */
    uint64_t cycles, working, moving, waiting; /* of the critical path */
    uint64_t issues[INSPECT_UNITS];
    uint32_t step_first, step_count; /* its pieces, when they are a run */
};

struct inspect {
    struct base_arena arena;
    const struct program *program;
    const struct compile_account *account; /* NULL: a program file has none */
    const struct machine *machine;
    uint64_t cycles; /* as the text says: until the last queue parks */
    struct inspect_code code;
    uint32_t *region_of; /* [slices][words]: 1 + region, 0 for none */
    uint32_t name_count;
    const char **names;   /* of tasks, each once */
    uint32_t *task_names; /* [tasks] */
    uint32_t placement_count;
    struct inspect_placement *placements;
    uint32_t *by_placement; /* issues, placement by placement, by cycle */
    uint32_t *producers;    /* [issues]: the issue outside MEM whose value it takes last, or NONE */
    uint32_t *edge_first;   /* [issues + 1]: what an issue takes from streams: */
    uint32_t *edges;        /* the issues that gave it */
    uint64_t chain_cycles;  /* the longest dependent chain, from Notify to the last Sync */
    struct inspect_unit_cycles units[INSPECT_UNITS];
    uint32_t step_count;
    struct inspect_step *steps;        /* in time */
    uint64_t start_cycles, end_cycles; /* before the first piece and after the last */
    uint32_t layer_count;              /* with what comes after the layers */
    struct inspect_layer *layers;
    uint64_t weight_loads; /* LW issues */
    uint64_t products;     /* planes that multiply, all cycles: an ABC is one, in fp16 two */
};

/* The program and the account must outlive it. LIMIT when the text is too long to follow. */
enum takt_status inspect_create(struct inspect **inspect, const struct program *program,
                                const struct compile_account *account, struct takt_error *error);
void inspect_destroy(struct inspect *inspect); /* NULL is fine */

/* What only the caller knows. */
struct inspect_facts {
    const char *model, *machine;
    uint32_t chunk, bucket, context;
    double clock_hz, compile_seconds;
    uint64_t compile_peak_bytes;
    uint64_t weight_bytes, macs; /* of the step's products: int8 weights; both byte planes */
    bool executed;               /* the machine ran it */
    uint64_t cycles_executed;
    const uint64_t *issued; /* [queues], by the machine; NULL */
    char program_hash[65];
};

struct inspect_bounds {
    double weights, macs, chain, largest; /* cycles */
};
struct inspect_bounds inspect_bounds(const struct inspect *inspect,
                                     const struct inspect_facts *facts);

void inspect_json(const struct inspect *inspect, const struct inspect_facts *facts,
                  struct base_text *out);
/* layer: whose critical path is told task by task. */
void inspect_text(const struct inspect *inspect, const struct inspect_facts *facts, uint32_t layer,
                  struct base_text *out);
/* Chrome trace event format: a track a queue, one for the critical path, one for each layer. */
void inspect_trace(const struct inspect *inspect, const struct inspect_facts *facts,
                   struct base_text *out);
/* One layer as an assembly line, SVG. */
void inspect_picture(const struct inspect *inspect, const struct inspect_facts *facts,
                     uint32_t layer, struct base_text *out);
/* Compact JSON: for each queue its words with cycle, count, delay, name and text. layer NONE: all.
 */
void inspect_schedule(const struct inspect *inspect, uint32_t layer, struct base_text *out);

/* ---- two of them ----------------------------------------------------------------------------- */

struct inspect_side {
    const char *label;
    const struct inspect *inspect;
    const struct inspect_facts *facts;
};
void inspect_diff(const struct inspect_side *a, const struct inspect_side *b, bool json,
                  struct base_text *out);

/* ---- inside ---------------------------------------------------------------------------------- */

size_t inspect_code_bytes(const struct program *program); /* address space for the arena */
enum takt_status inspect_decode(struct inspect *inspect, struct takt_error *error);
void inspect_flow(struct inspect *inspect); /* producers, placements, chain, units */
void inspect_path(struct inspect *inspect); /* steps, layers */

enum inspect_unit inspect_queue_unit(const struct inspect *inspect, uint32_t queue);
/* The placement that made repetition i of a word of the queue; NONE where nobody knows. */
uint32_t inspect_origin(const struct inspect *inspect, uint32_t queue,
                        const struct inspect_word *word, uint32_t i);
/* The instruction with the address of its repetition. */
struct isa_instruction inspect_instruction(const struct inspect *inspect, uint32_t issue);
/* Cycles from issue to result, or in the unit where nothing leaves it. */
uint32_t inspect_latency(const struct machine *machine, const struct isa_instruction *instruction);
const struct compile_task *inspect_task(const struct inspect *inspect, uint32_t placement);
const struct compile_region *inspect_region(const struct inspect *inspect, uint32_t slice,
                                            uint32_t address);
void inspect_json_string(struct base_text *out, const char *text); /* with its quotes */

#endif
