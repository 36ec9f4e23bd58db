/*
 * chip, inside: the state of one chip and what its units share.
 *
 * One file a unit: icu.c (queues; their text: text.c, fetch.c), stream.c (slots, landings), mem.c,
 * vxm.c, mxm.c, sxm.c, c2c.c; what concerns all: ecc.c, config.c, fault.c. chip.c has the clock. In
 * each cycle: releases, landings, then issues in queue order; every operand is read at its issue
 * cycle, so the order of queues decides only which of several faults is told.
 */
#ifndef CHIP_INTERNAL_H
#define CHIP_INTERNAL_H

#include "chip/chip.h"

#define CHIP_STREAMS (2u * ISA_STREAMS) /* the 6-bit field: direction and stream */
#define CHIP_PLANES (2u * MACHINE_PLANES)
#define CHIP_RING 256u      /* cycles a queue's next issue is looked ahead; a power of two */
#define CHIP_EVENTS 512u    /* more than any latency or notify_cycles; a power of two */
#define CHIP_QUEUE_WORDS 4u /* 64-bit sets of queues: at most 232 queues */
#define CHIP_TRIMMED 20u    /* more operands, and results, than any instruction has */
#define CHIP_FETCHES 16u    /* more than are under way to a queue: each takes two cycles */
#define CHIP_LANDINGS 64u   /* more than the latency of any unit that writes streams */

/* ---- text ------------------------------------------------------------------------------------ */

/* An instruction with the Repeat that follows it folded in. */
struct chip_word {
    struct isa_instruction instruction;
    uint16_t repeat_count; /* 0 = none */
    uint16_t repeat_delay;
    int16_t repeat_step;
    uint8_t a_width, b_width, d_width; /* streams in the group; 0 = no such operand */
};

struct chip_queue_text {
    struct chip_word *words;
    uint32_t count;
    uint64_t *stored;       /* a bit a word of the slice: its Writes change it; NULL: none does */
    uint32_t scatter_first; /* from this word on its Scatters may change any */
    /* As it lies in memory; NULL where the queues hold all of their text. */
    uint8_t *packed;  /* [block_count] blocks, the last one filled with zeros */
    uint32_t *starts; /* [count + 1] byte at which a word, with its Repeat, begins */
    uint32_t *held;   /* [block_count + 1] words that lie in the first so many blocks */
    uint32_t packed_bytes, block_count;
    const struct program_place *places; /* [place_count] of blocks 1, 2, ... */
    uint32_t place_count;
    const char *flaw; /* of a text that was fetched: why decoding ends at `count`, or NULL */
};

struct chip_text {
    struct base_arena arena;
    struct machine machine;
    uint32_t queue_count;
    uint32_t block_bytes;
    struct chip_history *history;
    struct chip_queue_text *queues; /* [queue_count] */
};

/* ---- values: what an instruction does once its operands are found ------------------------------
 *
 * Which value an instruction takes depends on cycles and positions alone, never on data. So units
 * do their work in two parts: first all that is timing (slots, hazards, addresses), which ends with
 * the places of the operands; then the values, from those places alone (chip_*_value). The second
 * part can be kept, to be done again without the first (trace.c), and divided by lanes (team.c).
 */

#define CHIP_OPERANDS 40u /* more than any instruction has */

struct chip_op {
    const struct chip_word *word;
    uint64_t loaded; /* products: the row groups that count */
    uint32_t cycle;
    uint32_t first; /* in a trace: its first operand */
    uint32_t wait;  /* in a trace: every thread must have done the ops before this one; 0 = none */
    uint16_t repetition;
    uint8_t queue, code; /* code: of the instruction, enum isa_op */
    bool fresh;          /* products: the sums of the columns are to be found first */
};

/* A permutation that was found to be one. */
struct chip_permutation {
    bool known, by_superlane;                                /* whole superlanes move, by `from` */
    uint8_t low[MACHINE_LANES_MAX], high[MACHINE_LANES_MAX]; /* the map's planes */
    uint8_t from[MACHINE_LANES_MAX / MACHINE_LANES_PER_SUPERLANE];
};
#define CHIP_PERMUTATIONS 64u

/* The lanes somebody works on, and room to do it. */
struct chip_range {
    uint32_t first, end;
    uint32_t lanes_on;   /* of all: lanes that Config left on */
    bool report;         /* faults of data are told at once; else they only end the work */
    uint32_t *a, *b, *d; /* [lanes], vector unit */
    struct chip_permutation *permutations; /* [CHIP_PERMUTATIONS] */
    const uint32_t
        *text_first; /* [slices], NULL when timed: a Scatter that reaches it ends the work */
};

struct chip_trace;
struct chip_team;

/* ---- state ----------------------------------------------------------------------------------- */

struct chip_queue {
    const struct chip_word *words;
    uint32_t count;      /* 0: never runs */
    uint32_t next;       /* word to issue */
    uint32_t repetition; /* of that word, 0 first */
    bool parked;
    const uint64_t *stored; /* words of the slice that the text may change: as in its text */
    uint32_t scatter_first;
    uint32_t lanes_on; /* lanes of the superlanes that Config left on */
    uint64_t wake;     /* cycle of the next issue */
    /* Fetching. */
    const struct chip_queue_text *text; /* the program's */
    struct chip_queue_text *own;        /* NULL, or what was fetched in its place */
    uint32_t available;                 /* words known to be in the buffer: `next` is below */
    uint32_t blocks_taken, blocks_held; /* by Ifetch; of these, in the buffer */
    uint64_t ready[CHIP_FETCHES];       /* by block: when it is in the buffer */
    uint64_t issued;                    /* instructions of its own unit, in this run */
    /* Fixed when the chip is made. */
    struct machine_queue unit;
    uint32_t index;
    uint32_t read_east, read_west, write; /* stream positions */
    uint32_t slice;                       /* of MEM queues: hemisphere * mem_slices + slice */
    uint32_t plane;                       /* of MXM queues: hemisphere * 2 + plane */
};

/*
 * The value on one stream and diagonal. Its position at a cycle follows from the diagonal. The slot
 * owns a buffer; data is that, or a memory word of a slice that the program only reads.
 */
struct chip_slot {
    int64_t diagonal;
    uint64_t landed; /* cycle */
    const uint8_t *data;
    uint32_t buffer;
};

/* A result under way to its stream. */
struct chip_landing {
    const struct chip_word *word;
    const uint8_t *data;
    uint32_t repetition;
    uint32_t buffer; /* CHIP_NO_BUFFER: data is a memory word */
    uint16_t queue;
    uint8_t stream, position;
};
#define CHIP_NO_BUFFER UINT32_MAX

struct chip_weights {
    uint64_t loaded; /* a bit a row group */
    bool sums_valid;
    int8_t *rows;  /* lanes * lanes, in the kernel's own order */
    int32_t *sums; /* of each column; what and when is the kernel's own matter */
};

struct chip_plane {
    struct chip_weights *weights; /* a ring: installed, on their way, buffer */
    uint32_t weights_count;
    uint32_t installed, buffer; /* indices into the ring */
    bool any_installed;
    int32_t *results;                 /* [CHIP_RESULTS][lanes], by arrival cycle */
    const struct chip_word **sources; /* [CHIP_RESULTS]: the ABC behind each result */
    int32_t *accumulators;            /* [mxm_accumulators][lanes] */
    bool *full;                       /* [mxm_accumulators] */
};
#define CHIP_RESULTS 256u /* more than mxm_result_cycles; a power of two */

/*
 * fp16 (mxm_f16.c). A value times 2^24 is an integer of 40 bits, which is kept as digits small
 * enough that CHIP_F16_ROWS products of two digits fit an int32: weights as three of 14 bits,
 * activations as four of 11, each balanced about zero.
 */
#define CHIP_F16_DIGITS 3u
#define CHIP_F16_WEIGHT_BITS 14u
#define CHIP_F16_ACTIVATION_DIGITS 4u
#define CHIP_F16_ACTIVATION_BITS 11u
#define CHIP_F16_ROWS 160u /* 160 * 2^13 * 2^10 < 2^31 */
#define CHIP_F16_NAN 1u    /* flags of a sum */
#define CHIP_F16_PLUS 2u
#define CHIP_F16_MINUS 4u

/* The installed weights of a hemisphere, made when activations first meet them. */
struct chip_f16_weights {
    bool valid, special; /* special: one is an infinity or NaN */
    uint32_t digits_used;
    uint16_t *bits;  /* [lanes rows][lanes] */
    int16_t *digits; /* [lanes / 2 pairs of rows][CHIP_F16_DIGITS][lanes][2 rows] */
};

struct chip_f16_activation {
    uint32_t rows, digits_used;
    bool special;
    uint16_t bits[MACHINE_LANES_MAX / 2u];
    int16_t digits[CHIP_F16_ACTIVATION_DIGITS][MACHINE_LANES_MAX / 2u];
};

/* Vectors of sums: low + 2^32 high in units of 2^-48, low in 0 .. 2^32 - 1. */
struct chip_sums {
    int64_t *low, *high; /* [count][lanes] */
    uint8_t *flags;      /* [count][lanes], meant where special */
    bool *special;       /* [count] */
};

/* The two planes of a hemisphere in fp16. */
struct chip_pair {
    struct chip_f16_weights weights;
    struct chip_sums results;      /* [CHIP_RESULTS], by arrival cycle */
    struct chip_sums accumulators; /* [mxm_accumulators / 2] */
    uint16_t *added;               /* results in each accumulator; 0 = empty */
    uint64_t busy;                 /* the cycle in which both planes' multipliers were taken */
};

/* Events of a cycle, bits of chip.events. */
#define CHIP_EVENT_RESULT(plane) (1u << (plane))
#define CHIP_EVENT_INSTALL(plane) (1u << (4u + (plane)))
#define CHIP_EVENT_NOTIFY (1u << 8)

/* Inner loops with several implementations, all with the same bits; kernel tables in mxm.c. */
struct chip_kernel {
    const char *name;
    bool (*supported)(void);
    /* Puts 16 rows of lanes bytes into row group `group`. */
    void (*load)(struct chip_weights *weights, uint32_t group, const uint8_t *const rows[16],
                 uint32_t lanes, uint32_t first, uint32_t end);
    /* out[column] = sum of activation[row] * weight[row][column] over the loaded rows. Both: in
     * columns first .. end - 1, multiples of 16. */
    void (*product)(struct chip_weights *weights, const uint8_t *activation, bool is_signed,
                    uint32_t lanes, uint32_t first, uint32_t end, int32_t *out);
    /* Rows k of a group of `interleave` rows lie side by side, column by column. */
    uint32_t interleave;
    /* low + 2^32 high = the exact sum over the activation's rows of activation * weight, in units
     * of 2^-48; first_pair: the first pair of weight rows. */
    void (*f16)(const struct chip_f16_weights *weights,
                const struct chip_f16_activation *activation, uint32_t first_pair, uint32_t lanes,
                int64_t *low, int64_t *high);
    /* d = a * scale + b with one rounding, on binary32 bit patterns. */
    void (*fma)(const uint32_t *a, uint32_t scale, const uint32_t *b, uint32_t lanes, uint32_t *d);
};

/* A vector under way to a link's end, or waiting there. */
struct chip_parcel {
    uint64_t arrival;             /* cycle of the receiving chip */
    const struct chip_word *word; /* the Send */
};

struct chip_link {
    struct chip *peer; /* NULL: no cable */
    uint32_t peer_link;
    uint64_t free_from; /* first cycle at which the next vector may leave */
    /* What the other end sent, oldest first: a ring. */
    struct chip_parcel *parcels;
    uint8_t *vectors; /* [capacity][lanes] */
    uint32_t first, count;
    uint32_t waiting; /* of these, arrived */
};

/* A superlane in memory whose code word is not that of its data. */
struct chip_upset {
    uint32_t slice, address, superlane;
    uint32_t code; /* the nine bits */
};

struct chip {
    struct base_arena arena;
    struct machine machine;
    uint32_t lanes;        /* bytes of a vector */
    uint32_t stride_bytes; /* of vector buffers: lanes, rounded up to 64 */
    uint32_t queue_count;
    const struct chip_kernel *kernel;
    bool check_only; /* no values: memory is NULL, slots hold `zeros`, results go to `scratch` */
    const uint8_t *zeros;
    uint8_t *scratch;

    /* Clock and queues. */
    uint64_t cycle;
    struct chip_queue *queues;
    uint64_t ready[CHIP_RING][CHIP_QUEUE_WORDS]; /* queues to look at, by cycle */
    uint32_t running;                            /* queues neither parked nor empty */
    uint32_t notifies;                           /* under way */
    uint64_t last_park;
    uint8_t *halves;              /* [queue_count][lanes] the first vector of an Ifetch */
    bool other_text;              /* some queue fetched, in this run, bytes that are not its text */
    uint64_t started;             /* cycle 0 on the clock common to chips that run together */
    uint32_t number;              /* among these */
    uint32_t results_pending;     /* of all planes */
    uint16_t events[CHIP_EVENTS]; /* CHIP_EVENT_*, by cycle */
    uint32_t arrived;             /* planes whose result of this cycle is not taken */

    /* Streams. */
    uint32_t ring;           /* diagonals a stream keeps; a power of two >= positions */
    struct chip_slot *slots; /* [CHIP_STREAMS][ring] */
    uint8_t *buffers;
    uint32_t buffer_count, free_count;
    uint32_t *free_buffers;
    uint32_t landing_capacity;     /* a cycle */
    struct chip_landing *landings; /* [CHIP_LANDINGS][landing_capacity] */
    uint32_t landing_count[CHIP_LANDINGS];

    /* Units. */
    uint8_t *memory; /* [slices][mem_words][lanes] */
    struct chip_plane planes[CHIP_PLANES];
    struct chip_pair pairs[2];
    uint32_t *work_d;        /* [lanes], fp16 sums */
    struct chip_range whole; /* all lanes */

    /* ECC. */
    uint32_t upset_count;
    struct chip_upset upsets[CHIP_UPSETS];
    uint64_t corrected;

    /* Links. */
    struct chip_link *links; /* [c2c_links] */
    uint32_t link_capacity;  /* parcels of a ring */
    uint64_t link_arrival;   /* cycle of the next arrival on any; UINT64_MAX: none */

    /* What a queue with superlanes off reads and gives in this issue (config.c). */
    uint8_t *trimmed; /* [CHIP_TRIMMED] vectors of stride_bytes: operands with zeros */
    uint32_t trimmed_count, given_count;
    uint8_t *given[CHIP_TRIMMED]; /* results to be trimmed */

    /* Runs kept, and threads that share the lanes. */
    struct chip_trace *recording; /* NULL, or where the ops of this run go */
    struct chip_team *team;       /* NULL: one thread */
    uint32_t skip;                /* ops of this run that are done already (chip_replay) */

    /* Outcome. */
    uint64_t issued;
    struct chip_fault fault;
};

uint64_t chip_cycles_taken(const struct chip *chip); /* chip.c: of the run that has ended */

/* ---- faults (fault.c) ------------------------------------------------------------------------ */

/* Records the fault and stops the chip; returns false. word may be NULL. */
bool chip_fault(struct chip *chip, enum chip_fault_kind kind, uint32_t queue,
                const struct chip_word *word, uint32_t repetition, const char *format, ...)
    __attribute__((format(printf, 6, 7)));
enum takt_status chip_fault_report(const struct chip *chip, struct takt_error *error);

/* ---- units: each issues the queue's current word at the current cycle; false = fault --------- */

bool chip_mem_issue(struct chip *chip, struct chip_queue *queue, const struct chip_word *word);
bool chip_vxm_issue(struct chip *chip, struct chip_queue *queue, const struct chip_word *word);
bool chip_mxm_issue(struct chip *chip, struct chip_queue *queue, const struct chip_word *word);
bool chip_sxm_issue(struct chip *chip, struct chip_queue *queue, const struct chip_word *word);
bool chip_c2c_issue(struct chip *chip, struct chip_queue *queue, const struct chip_word *word);

/* Operands of an op, by their distance from the arena's begin in units of 16 bytes. */
static inline uint32_t chip_operand(const struct chip *chip, const void *vector)
{
    return (uint32_t)((size_t)((const uint8_t *)vector - chip->arena.base) / 16u);
}

static inline uint8_t *chip_operand_at(const struct chip *chip, uint32_t operand)
{
    return chip->arena.base + (size_t)operand * 16u;
}

/* The op of the queue's current issue; operands are the caller's. */
struct chip_op chip_op_of(const struct chip *chip, const struct chip_queue *queue,
                          const struct chip_word *word);
/* Does the op on lanes 0 .. end - 1, and keeps it when this run is recorded. */
bool chip_compute(struct chip *chip, const struct chip_op *op, const uint32_t *operands,
                  uint32_t count, uint32_t end);
/* The second parts: false = fault. */
bool chip_value(struct chip *chip, const struct chip_op *op, const uint32_t *operands,
                const struct chip_range *range);
bool chip_mem_value(struct chip *chip, const struct chip_op *op, const uint32_t *operands,
                    const struct chip_range *range);
bool chip_vxm_value(struct chip *chip, const struct chip_op *op, const uint32_t *operands,
                    const struct chip_range *range);
bool chip_mxm_value(struct chip *chip, const struct chip_op *op, const uint32_t *operands,
                    const struct chip_range *range);
bool chip_sxm_value(struct chip *chip, const struct chip_op *op, const uint32_t *operands,
                    const struct chip_range *range);

/* May the queue's text change this word of its slice while the program runs? */
static inline bool chip_stores(const struct chip_queue *queue, uint32_t address)
{
    return address >= queue->scatter_first ||
           (queue->stored && (queue->stored[address / 64u] >> (address % 64u) & 1u));
}

/* The address or index of the current repetition; may lie outside any bound. */
static inline int64_t chip_address(const struct chip_queue *queue, const struct chip_word *word,
                                   uint16_t address)
{
    return (int64_t)address + (int64_t)queue->repetition * word->repeat_step;
}

/* ---- MXM (mxm.c) ----------------------------------------------------------------------------- */

size_t chip_mxm_bytes(const struct machine *machine);
void chip_mxm_create(struct chip *chip);
void chip_mxm_reset(struct chip *chip);
void chip_mxm_install(struct chip *chip, uint32_t plane);
bool chip_mxm_end_cycle(struct chip *chip); /* faults when a result of this cycle was not taken */
/* Kernel number `index`, slowest first; NULL past the last. Not all are supported everywhere. */
const struct chip_kernel *chip_kernel(uint32_t index);
const struct chip_kernel *chip_kernel_best(void);
void chip_f16_avx2(const struct chip_f16_weights *weights,
                   const struct chip_f16_activation *activation, uint32_t first_pair,
                   uint32_t lanes, int64_t *low, int64_t *high);
void chip_f16_avx512(const struct chip_f16_weights *weights,
                     const struct chip_f16_activation *activation, uint32_t first_pair,
                     uint32_t lanes, int64_t *low, int64_t *high);
extern const struct chip_kernel chip_kernel_plain;
extern const struct chip_kernel chip_kernel_avx2;
extern const struct chip_kernel chip_kernel_avx512;

/* ---- MXM, fp16 (mxm_f16.c) ------------------------------------------------------------------- */

size_t chip_f16_bytes(const struct machine *machine);
void chip_f16_create(struct chip *chip);
void chip_f16_reset(struct chip *chip);
/* Leaves the result at its arrival cycle; the caller tells the clock. */
bool chip_f16_multiply(struct chip *chip, struct chip_queue *queue, const struct chip_word *word);
/* Takes the fp16 result of this cycle; *emits: out holds binary32 to send. */
bool chip_f16_accumulate(struct chip *chip, struct chip_queue *queue, const struct chip_word *word,
                         uint32_t *out, bool *emits);
/* Adds sums of digit products, digits[(4 i + j) * stride + column], to low + 2^32 high. */
void chip_f16_combine(const int32_t *digits, uint32_t stride, uint32_t columns, int64_t *low,
                      int64_t *high);
void chip_f16_plain(const struct chip_f16_weights *weights,
                    const struct chip_f16_activation *activation, uint32_t first_pair,
                    uint32_t lanes, int64_t *low, int64_t *high);

/* ---- MEM (mem.c) and its ECC (ecc.c) --------------------------------------------------------- */

uint8_t *chip_mem_word(const struct chip *chip, uint32_t slice, uint32_t address);

enum chip_ecc { CHIP_ECC_RIGHT, CHIP_ECC_CORRECTED, CHIP_ECC_WRONG };
uint32_t chip_ecc_encode(const uint8_t data[16]); /* nine bits */
enum chip_ecc chip_ecc_decode(uint8_t data[16], uint32_t code);
/* Only when upset_count > 0: has the word of this slice an upset superlane? */
bool chip_ecc_upset(const struct chip *chip, uint32_t slice, uint32_t address);
/* data: sixteen bytes as read of the queue's slice; put right, or a fault. */
bool chip_ecc_read(struct chip *chip, const struct chip_queue *queue, const struct chip_word *word,
                   uint32_t address, uint32_t superlane, uint8_t *data);
/* New data, and so a new code, in superlanes first .. first + count - 1. */
void chip_ecc_write(struct chip *chip, uint32_t slice, uint32_t address, uint32_t first,
                    uint32_t count);
void chip_ecc_host_read(const struct chip *chip, struct program_place place, uint8_t *word);

/* ---- C2C (c2c.c) ----------------------------------------------------------------------------- */

size_t chip_c2c_bytes(const struct machine *machine);
void chip_c2c_create(struct chip *chip);
void chip_c2c_reset(struct chip *chip);
bool chip_c2c_arrive(struct chip *chip);    /* vectors reach the links' buffers this cycle */
bool chip_c2c_check_end(struct chip *chip); /* faults when one was not received */

/* ---- text and ICU (text.c, fetch.c, icu.c)
 * ----------------------------------------------------------------------------- */

const char *chip_text_add(const struct machine *machine, uint32_t queue,
                          const struct isa_instruction *instruction, struct chip_queue_text *text);
void chip_text_find_held(struct chip_queue_text *text, uint32_t block_bytes);
void chip_fetch_reset(struct chip *chip, struct chip_queue *queue, const struct chip_text *text);
void chip_fetch_drop(struct chip_queue *queue);
bool chip_fetch_arrive(struct chip *chip, struct chip_queue *queue);
bool chip_fetch_issue(struct chip *chip, struct chip_queue *queue, const struct chip_word *word);
void chip_icu_reset(struct chip *chip, const struct chip_text *text);
void chip_icu_release(struct chip *chip);
bool chip_icu_issue(struct chip *chip, struct chip_queue *queue);

/* ---- runs kept (trace.c) and shared among threads (team.c) ------------------------------------
 */

/* What is known of a text's runs; the text owns it. */
struct chip_history {
    uint32_t runs;
    bool hopeless; /* its runs cannot be kept */
    struct chip_trace *trace;
};

struct chip_trace {
    struct base_arena arena;
    bool broken;         /* something in it cannot be done again from places alone */
    size_t layout_bytes; /* of the chip it was made on: places are the same on one like it */
    struct chip_op *ops;
    uint32_t op_count, op_capacity;
    uint32_t *operands;
    uint32_t operand_count;
    /* Vectors of text in memory: which, and what they must be when a run begins. */
    struct chip_fetched {
        uint32_t operand;
        const uint8_t *text;
    } * fetched;
    uint32_t fetched_count;
    uint32_t *text_first; /* [slices]: the lowest of these words; UINT32_MAX for none */
    uint64_t cycles, issued;
    uint64_t *queue_issued;
};

/* Begins to record this run, where that is worth it; ends it. */
void chip_record_begin(struct chip *chip, const struct chip_text *text);
void chip_record_end(struct chip *chip, const struct chip_text *text, bool sound,
                     uint64_t issued_before);
void chip_record_op(struct chip *chip, const struct chip_op *op, const uint32_t *operands,
                    uint32_t count);
/* This run cannot be done again from places alone. */
void chip_record_break(struct chip *chip);
void chip_record_fetch(struct chip *chip, const struct chip_queue *queue, const uint8_t *vector,
                       const uint8_t *text);
/* The trace of an earlier run that this one would repeat, or NULL. */
const struct chip_trace *chip_trace_of(const struct chip *chip, const struct chip_text *text);
/* False with a fault; or without one, when the rest of the run must be timed: so many ops are done
 * (*done), and the run begins anew with chip->skip set to it. */
bool chip_replay(struct chip *chip, const struct chip_trace *trace, uint32_t *done);
void chip_trace_destroy(struct chip_trace *trace); /* NULL is fine */
/* All ops of the trace, the lanes divided among the chip's threads. The index of the first op that
 * faults, and the lanes it does so in; op_count when none does. */
uint32_t chip_team_run(struct chip *chip, const struct chip_trace *trace,
                       struct chip_range *faulty);
void chip_team_destroy(struct chip_team *team); /* NULL is fine */

/* ---- superlanes that are off (config.c) ------------------------------------------------------ */

/* A copy of the operand with zeros where the queue's superlanes are off. */
const uint8_t *chip_config_operand(struct chip *chip, const struct chip_queue *queue,
                                   const uint8_t *value);
/* After the queue's issue: the same for what it gave. */
void chip_config_trim(struct chip *chip, const struct chip_queue *queue);

/* ---- streams (stream.c) ---------------------------------------------------------------------- */

size_t chip_stream_bytes(const struct machine *machine);
void chip_stream_create(struct chip *chip);
void chip_stream_reset(struct chip *chip);
bool chip_stream_land(struct chip *chip); /* this cycle's results reach their streams */
bool chip_stream_empty(struct chip *chip, const struct chip_queue *queue,
                       const struct chip_word *word, uint32_t stream, uint32_t position);

static inline uint8_t *chip_buffer(struct chip *chip, uint32_t buffer)
{
    return chip->buffers + (size_t)buffer * chip->stride_bytes;
}

/* East: cycle - position; west: cycle + position. Constant along a value's way. */
static inline int64_t chip_diagonal(uint64_t cycle, uint32_t stream, uint32_t position)
{
    return ISA_STREAM_WEST(stream) ? (int64_t)cycle + position : (int64_t)cycle - position;
}

static inline struct chip_slot *chip_slot(struct chip *chip, uint32_t stream, int64_t diagonal)
{
    return &chip->slots[(size_t)stream * chip->ring + ((uint64_t)diagonal & (chip->ring - 1u))];
}

/* The vector passing the queue's unit on a stream now (zeros when check-only); NULL after a fault.
 */
static inline const uint8_t *chip_read(struct chip *chip, const struct chip_queue *queue,
                                       const struct chip_word *word, uint32_t stream)
{
    uint32_t position = ISA_STREAM_WEST(stream) ? queue->read_west : queue->read_east;
    int64_t diagonal = chip_diagonal(chip->cycle, stream, position);
    const struct chip_slot *slot = chip_slot(chip, stream, diagonal);
    if (slot->diagonal != diagonal) {
        chip_stream_empty(chip, queue, word, stream, position);
        return NULL;
    }
    return queue->lanes_on < chip->lanes ? chip_config_operand(chip, queue, slot->data)
                                         : slot->data;
}

/* A buffer that will be on the stream at the queue's output position in `latency` cycles. When
 * check-only a value will be there, but the buffer is scratch: units need not fill it. */
uint8_t *chip_emit(struct chip *chip, const struct chip_queue *queue, const struct chip_word *word,
                   uint32_t stream, uint32_t latency);
/* The same for a vector that stays where it is and does not change while the program runs. */
void chip_emit_word(struct chip *chip, const struct chip_queue *queue, const struct chip_word *word,
                    uint32_t stream, uint32_t latency, const uint8_t *data);

/* ---- lanes.c: byte planes and words ---------------------------------------------------------- */

/* words[lane] = the little-endian number of the four planes' bytes. */
void chip_lanes_join4(const uint8_t *const planes[4], uint32_t lanes, uint32_t *words);
void chip_lanes_split4(const uint32_t *words, uint32_t lanes, uint8_t *const planes[4]);
/* Within each superlane, lane j of out[i] = lane i of in[j]. */
void chip_lanes_transpose(const uint8_t *const in[16], uint8_t *const out[16], uint32_t lanes);

#endif
