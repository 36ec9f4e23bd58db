/*
 * compile, inside: what the passes hand each other. Read compile.c first: it is the list of passes.
 *
 *   plan      layouts, weight tiles, constants and KV cache get addresses (once a model)
 *   lower     graph operations become tasks over buffers: "memory -> unit -> memory"
 *   share     of several waves: buffers that are never in use together become one
 *   allocate  temporary buffers get slices and addresses
 *   schedule  every task gets the earliest cycle at which all it needs is free
 *   fetch     Ifetches, and Reads of text, so that queues get their text in time
 *   emit      instructions, sorted per queue, become text
 *   bind      named inputs and outputs
 */
#ifndef COMPILE_INTERNAL_H
#define COMPILE_INTERNAL_H

#include "compile/compile.h"
#include "num/num.h"

#define NONE 0xFFFFFFFFu
#define OPPOSITE 0xFFFFFFFEu /* of hemispheres: not the one where the data lies */
#define EXPONENT_SHIFT 23u   /* of binary32 */
#define SHORT_BURST                                                                                \
    4u /* vectors: a kernel that comes back to its columns is done with them by then */
#define LONG_BURST                                                                                 \
    32u           /* vectors: what a burst does to ALUs and streams matters more than its length */
#define PLANES 4u /* of MXM, both hemispheres' */
#define WAVE 16u  /* tokens */
#define WAVES_MAX 16u /* of a chunk */
#define STRIPES 16u   /* a superlane's lanes, a transposer's streams, the rows of one LW */

/* ---- layouts: which element of a tensor lies in which lane of which piece ----------------------
 */

struct layout {
    uint32_t pieces;
    int32_t *source; /* [pieces][lanes]: element, or -1 for a lane that holds zero */
};

/* ---- buffers: vectors in memory -------------------------------------------------------------- */

/*
 * LINEAR: byte plane b of vector v lies in slice + b, address + v.
 * STRIPE: one plane; vector v lies in slice + v % 16, address + v / 16.
 * SKEW:   four planes; slice + (v + 4 b) % 16, address + v / 16 * 4 + b: the sixteen vectors of a
 * plane lie in different slices, and so do the four planes of a vector.
 */
enum buffer_kind { BUFFER_LINEAR, BUFFER_STRIPE, BUFFER_SKEW };

struct buffer {
    char name[48];
    enum buffer_kind kind;
    uint32_t planes; /* bytes an element: 1 to 4 */
    uint32_t count;  /* vectors */
    uint32_t slice;  /* hemisphere * mem_slices + slice; NONE until allocated */
    uint32_t address;
    bool whole;        /* addresses come from data: dependencies are tracked for it as one thing */
    bool inner;        /* lies between the VXM and the weights: a map that flows outward */
    bool fixed;        /* placed by the plan */
    uint32_t *written; /* [count or 1]: first cycle a read may issue; the schedule's state */
    uint32_t *read;    /* [count or 1]: first cycle a write may issue */
};

/* Vector i of a burst is buffer vector base + (j % n0) s0 + (j / n0 % n1) s1 + j / (n0 n1) s2,
 * where j = first + i. */
struct access {
    uint32_t buffer;
    uint32_t first;
    uint32_t base;
    uint32_t n0, s0, n1, s1, s2;
};

/* ---- tasks ----------------------------------------------------------------------------------- */

/* An operand or result of a VXM kernel. */
#define KERNEL_OPS_MAX 40u
#define KERNEL_INPUTS_MAX 24u
#define KERNEL_OUTPUTS_MAX 6u
#define REF_NONE 0xFFFFu
#define REF_INPUT(i) ((uint16_t)(0x8000u | (i)))
#define REF_IS_INPUT(r) (((r)&0x8000u) != 0 && (r) != REF_NONE)
#define REF_INDEX(r) ((r)&0x7FFFu)

struct kernel_op {
    uint8_t op; /* enum isa_op */
    uint16_t a, b;
    uint32_t imm;
    /* the mapping, filled by kernel_map */
    uint8_t level, column, row;
};

struct kernel_input {
    struct access access;
    uint8_t planes;
};

struct kernel_output {
    uint16_t op;
    struct access access;
};

struct kernel {
    uint32_t op_count, input_count, output_count;
    struct kernel_op ops[KERNEL_OPS_MAX];
    struct kernel_input inputs[KERNEL_INPUTS_MAX];
    struct kernel_output outputs[KERNEL_OUTPUTS_MAX];
};

/* A tile of weights on its way into a plane: LW i loads row group index + i index_step from address
 * + i address_step of sixteen slices. */
struct tile {
    uint32_t hemisphere, plane;
    uint32_t slice; /* first of sixteen, global */
    uint32_t address, address_step;
    uint32_t index, index_step;
    uint32_t count;
    uint32_t buffer; /* of the KV cache, for dependencies; NONE for constants */
};

/* A run of activation vectors through installed weights. */
#define PASS_SEGMENTS_MAX 4u
struct pass_segment {
    bool is_signed;
    uint8_t plane; /* byte plane of the input buffer */
    struct access input;
    struct access output; /* buffer NONE: the sums stay in the accumulators */
};
struct pass {
    uint32_t hemisphere, plane;
    uint32_t vectors;           /* a segment */
    uint32_t slots, first_slot; /* accumulators a segment, and the first vector's */
    uint32_t segment_count;
    bool first, last; /* of the passes that add up */
    struct pass_segment segments[PASS_SEGMENTS_MAX];
};

enum task_kind {
    TASK_KERNEL,     /* memory -> VXM -> memory, `n` vectors, one a cycle */
    TASK_LOAD,       /* LW ..., IW */
    TASK_PASS,       /* ABC ..., ACC ... */
    TASK_TRANSPOSE,  /* step i: 16 vectors i*16.. of `in` to 16 vectors of `out` */
    TASK_PERMUTE,    /* one byte vector and map a step */
    TASK_DISTRIBUTE, /* `planes` byte vectors, one map a step */
    TASK_SCATTER,    /* four slices of a position store by map */
    TASK_GATHER,     /* rows chosen by map move to another buffer */
    TASK_KEEP        /* the same from stripe to stripe: four slices of each */
};

struct task {
    enum task_kind kind;
    char name[40];
    uint32_t layer;
    uint32_t turn;          /* of all waves: an operation of one of them, of attention a stage */
    uint32_t n;             /* vectors or steps */
    struct kernel *kernel;  /* KERNEL */
    struct tile tile;       /* LOAD */
    struct pass *pass;      /* PASS */
    uint32_t hemisphere;    /* TRANSPOSE, PERMUTE, DISTRIBUTE: which SXM */
    uint32_t unit;          /* which transposer or first distributor */
    uint32_t planes, plane; /* DISTRIBUTE, GATHER: byte planes; TRANSPOSE: input plane */
    uint32_t out_plane;     /* TRANSPOSE, PERMUTE */
    uint32_t rows;          /* TRANSPOSE: mask of streams that take part */
    struct access in, out, map;
    /* TRANSPOSE with map: the input words are gathered at address offset of step i */
    struct access
        offset; /* buffer NONE: no gather; else n0.. give the address added to the buffer's */
    /* SCATTER: slice quad target + 0..3 */
    uint32_t target_slice, target_buffer; /* KEEP: target_slice of both; the buffer is `out`'s */
    struct access target_address;         /* added to the target buffer's address, as above */
    bool shared_value,
        shared_map; /* one stream for the four slices, else one each (vector + 0..3) */
    uint64_t start; /* where the schedule put it: cycle of the unit's first issue */
};

/* ---- the plan: what all programs of a model share -------------------------------------------- */

struct weight_tile { /* of a product: column piece c, row piece k */
    uint32_t hemisphere, plane, slice, address, groups;
};
struct product {
    const struct graph_matrix *matrix;
    const struct layout *in, *out;
    struct weight_tile *tiles; /* [out->pieces][in->pieces] */
    uint32_t scale;            /* buffer: [out->pieces] f32 */
    uint32_t bias;             /* the same; NONE without one */
};

/* Constant tiles, one copy a hemisphere. */
struct plan_constants {
    uint32_t ones[2], pick[2], replicate[2], select_k[2],
        select_v[2];        /* addresses in the hemisphere's group 0 */
    uint32_t swap_map;      /* u8: neighbours exchanged */
    uint32_t broadcast_map; /* u8 [16]: all lanes of a superlane take lane x */
    uint32_t rotate_map[2]; /* i16 [superlanes]: rotation by k superlanes; two copies */
    uint32_t segment_map;   /* i16 [head superlanes]: rotation by k within each head's superlanes */
    uint32_t head_bits;     /* b32 [kv heads a word]: all ones in the lanes of a head */
    uint32_t head_ones[2];  /* like ones, but a lane meets those of its head alone; if norms ask */
};

struct plan_layer {
    uint32_t gain_attention, gain_ffn; /* buffers f32 [pieces] */
    uint32_t query_up;                 /* f32 [pieces of q]: 2^(141-E) of each lane's head */
    uint32_t query_down;               /* f32 [heads]: 2^(E-141) */
    struct product q, k, v, o, gate, up, down;
    /* KV cache, [users][kv_words]: buffers with `whole` set, sixteen slices each */
    uint32_t *key_rows, *key_tiles, *values;
};

struct compile_plan {
    const struct graph *graph;
    struct machine machine;
    struct base_arena arena;
    uint32_t lanes, superlanes, quads; /* quads: positions of MEM, both hemispheres */
    uint32_t context, chunk_max, users;
    uint32_t unaligned_max;     /* the largest chunk that may begin anywhere */
    uint32_t logits_chunk;      /* the largest with room for all its tokens' logits */
    uint32_t value_rows;        /* groups of sixteen positions */
    uint32_t context_tiles;     /* KV cache, in tiles of `lanes` positions */
    uint32_t group_slice[2][2]; /* first slice of a plane's sixteen weight slices, global */
    uint32_t *quad_used;        /* [quads] words taken by the plan */
    uint32_t buffer_count, buffer_capacity;
    struct buffer *buffers; /* [buffer_count], the fixed ones */
    struct program_image image;
    uint32_t segment_capacity;
    /* heads: K and V words */
    uint32_t group_heads; /* query heads a KV head */
    uint32_t head_superlanes, heads_word, kv_words, key_groups, row_ring;
    struct layout width_layout, ffn_layout, q_layout, kv_layout, vocab_layout;
    struct plan_constants constants;
    struct plan_layer *layers;
    uint32_t gain_output;
    uint32_t *norm_gains; /* [op_count] of GRAPH_NORM: buffer f32 [pieces]; else NONE */
    struct product output;
    uint64_t bytes_weights, bytes_kv, bytes_constants;
    uint32_t group_words[2][2]; /* weights of each plane's slices, at address 0 */
    uint8_t **group_data[2][2]; /* [16] the words of each slice */
};

/* ---- one compilation ------------------------------------------------------------------------- */

struct issue { /* one instruction at its cycle */
    uint32_t cycle;
    uint32_t placement;       /* whose it is: account.c */
    uint32_t write_placement; /* of a ReadWrite, whose Write that is; else NONE */
    struct isa_instruction instruction;
};
struct queue_issues {
    struct issue *items;
    uint32_t count, capacity;
};

struct binding_request {
    char name[48];
    bool output;
    uint32_t buffers[WAVES_MAX], waves; /* a buffer of `items` items for each wave that has it */
    uint32_t items, rows, elements;
    const int32_t *source;
    bool item_major; /* vector = item * rows + row, else row * items + item */
};

struct compiler {
    const struct compile_plan *plan;
    const struct graph *graph;
    const struct machine *machine;
    struct base_arena arena; /* everything of this compilation but the program */
    struct takt_error *error;
    uint32_t chunk, bucket, tiles, blocks;
    uint32_t first_user,
        users;            /* whose caches the tokens attend to: all to the first's, or one each */
    uint32_t attending;   /* the user whose attention is being lowered, of several; else NONE */
    uint32_t turns;       /* so far: task->turn */
    uint32_t waves, wave; /* `chunk` tokens each, in turns: how many, and which is being lowered */
    bool all_logits;
    uint32_t buffer_count, buffer_capacity;
    struct buffer *buffers; /* the plan's, then the temporary ones */
    uint32_t task_count, task_capacity;
    struct task *tasks;
    uint32_t request_count;
    struct binding_request requests[16];
    struct kernel *open; /* the kernel being built by lower */
    uint32_t layer;
    bool aligned; /* a chunk that begins at a multiple of sixteen, and is one: compile.h */
    uint32_t write_maps_made; /* a bit a wave: the copies of its k_write_map */
    uint32_t turn;            /* spreads work over hemispheres */
    struct reserve *reserve;  /* the schedule's, for the text's own way */
    struct queue_issues *queues;
    uint32_t *text_blocks; /* [queues] blocks of text in memory; NULL: no text is fetched */
    struct program_place **text_places;
    uint32_t begin;                  /* cycle before which no task starts */
    bool *gaps;                      /* [queues] rests now and then: a busy one cannot fetch */
    uint32_t late;                   /* the queue whose text comes too late, or NONE */
    uint64_t end_cycle;              /* first cycle after the last instruction */
    struct compile_account *account; /* NULL: nobody asked */
    uint32_t task_now;               /* index of the task being placed */
    uint32_t placement;              /* number of the placement being made */
    uint32_t placement_capacity;     /* of account->placements */
};

/* ---- passes, in order; each has its checker -------------------------------------------------- */

enum takt_status plan_build(struct compile_plan *plan, struct takt_error *error);
enum takt_status lower(struct compiler *c);
enum takt_status waves_share(struct compiler *c);
enum takt_status lower_check(struct compiler *c);
enum takt_status allocate(struct compiler *c);
enum takt_status allocate_check(struct compiler *c);
enum takt_status schedule(struct compiler *c);
enum takt_status schedule_pair(struct compiler *c);
enum takt_status schedule_check(struct compiler *c);
enum takt_status fetch_text(struct compiler *c);
enum takt_status emit(struct compiler *c, struct program *program, struct base_arena *arena);
enum takt_status emit_check(struct compiler *c, const struct program *program);
enum takt_status compile_bind(struct compiler *c, struct program *program,
                              struct base_arena *arena);

/* ---- the account (account.c) ------------------------------------------------------------------
 */

enum takt_status account_open(struct compiler *c, struct compile_account *account);
/* The placement being made stays. Called whether or not an account is kept. */
void account_placed(struct compiler *c);
/* Tasks, regions and the origin of every instruction, once the queues are final. */
void account_close(struct compiler *c);

/* ---- text (emit.c), as fetch.c foresees it --------------------------------------------------- */

#define EMIT_NOP_MAX 65535u
/* Instructions from item i on, at even distances and steps, that become one with a Repeat; 1 when
 * there is none. What fetch.c put in (its placement is NONE) stands alone. */
uint32_t emit_run_length(const struct queue_issues *q, uint32_t i, uint32_t *delay, int32_t *step);
uint32_t emit_duration(const struct isa_instruction *instruction); /* cycles of one issue */

/* ---- buffers (buffer.c) ---------------------------------------------------------------------- */

struct program_place buffer_place(const struct buffer *buffer, uint32_t vector, uint32_t plane);
uint32_t access_vector(const struct access *access, uint32_t i);
struct access access_linear(uint32_t buffer, uint32_t base);
struct access access_constant(uint32_t buffer, uint32_t base);
struct access access_none(void);
/* Position of a slice given by its global number. */
uint32_t slice_position(const struct machine *machine, uint32_t slice);
uint32_t slice_queue(const struct machine *machine, uint32_t slice);
uint32_t buffer_words(const struct buffer *buffer); /* addresses it takes in each of its slices */
uint32_t buffer_slices(const struct buffer *buffer);

/* ---- building tasks (build.c) ---------------------------------------------------------------- */

/* A temporary of this name: made when first asked for, the same one afterwards (layers reuse it).
 */
uint32_t build_buffer(struct compiler *c, enum buffer_kind kind, uint32_t planes, uint32_t count,
                      const char *format, ...) __attribute__((format(printf, 5, 6)));
struct task *build_task(struct compiler *c, enum task_kind kind, uint32_t n, const char *format,
                        ...) __attribute__((format(printf, 4, 5)));
void build_kernel(struct compiler *c, uint32_t n, const char *name); /* opens a kernel */
uint16_t build_input(struct compiler *c, struct access access, uint32_t planes);
uint16_t build_op(struct compiler *c, enum isa_op op, uint16_t a, uint16_t b, uint32_t imm);
void build_output(struct compiler *c, uint16_t ref, struct access access);
/* Operations of a tree that the streams allow side by side, on operands of so many bytes. */
uint32_t build_width(const struct compiler *c, uint32_t planes);
/* Tree over `count` inputs with a binary operation, at most `width` operations side by side. */
uint16_t build_reduce(struct compiler *c, enum isa_op op, const uint16_t *refs, uint32_t count,
                      uint32_t width);
void build_load(struct compiler *c, const struct tile *tile, const char *name);
struct pass *build_pass(struct compiler *c, const struct tile *tile, uint32_t vectors, bool first,
                        bool last, const char *name);
void build_segment(struct pass *pass, bool is_signed, uint32_t plane, struct access input,
                   struct access output);

/* ---- cross-lane maxima (lower_max.c) --------------------------------------------------------- */

/* in: STRIPE, `items` byte vectors; returns a LINEAR byte buffer [items]: each vector's maximum
 * over all lanes (segments: over the lanes of each KV head) in every lane it was taken over. */
uint32_t lower_max_bytes(struct compiler *c, uint32_t in, uint32_t items, bool segments,
                         const char *name);
/* in: SKEW, `items` binary32 vectors; returns LINEAR binary32 [items]. */
uint32_t lower_max_f32(struct compiler *c, uint32_t in, uint32_t items, const char *name);

/* Where attention leaves its result: 16-bit activations of the product that follows ([pieces *
 * chunk], the layout of q), and their scale ([chunk] binary32). */
struct attention_result {
    uint32_t q16, down, exponent; /* the exponent as a byte, too */
};
void lower_queries(struct compiler *c, uint16_t x, uint32_t word, uint32_t q16);
/* q: 16-bit activations of the queries (lower_queries); k, v: tensors; all in the head layouts.
 * Opened, then lowered stage by stage. */
struct attention;
struct attention *lower_attention_open(struct compiler *c, const struct graph_op *op, uint32_t q,
                                       uint32_t k, uint32_t v,
                                       const struct attention_result *result);
uint32_t lower_attention_stages(void);
void lower_attention_stage(struct compiler *c, struct attention *users, uint32_t stage);
/* Whether some of a program's positions lie outside the operation's window. */
bool plan_windowed(const struct compile_plan *plan, const struct graph_op *op);
/* The layout of what a GRAPH_NORM takes and gives. */
const struct layout *plan_norm_layout(const struct compile_plan *plan, const struct graph_op *op);

/* ---- products and quantisation (lower_product.c) --------------------------------------------- */

/* Exponent bytes of a tensor of `pieces` pieces, on their way to the STRIPE buffer `out`: where the
 * kernel that makes piece p (a vector a token) puts them, and the largest of each token's into
 * vectors first .. of out. With one piece they go there at once. */
struct access exponent_target(struct compiler *c, uint32_t pieces, uint32_t p, uint32_t tokens,
                              uint32_t out, uint32_t first, const char *name);
void reduce_exponents(struct compiler *c, uint32_t pieces, uint32_t tokens, uint32_t out,
                      uint32_t first, const char *name);
/* Ops that turn the broadcast exponent byte into 2^(141-E) or 2^(E-141). */
uint16_t lower_scale_up(struct compiler *c, struct access exponent);
uint16_t lower_scale_down(struct compiler *c, struct access exponent);
/* Ops acc = fma(256, f(hi), f(lo)). */
uint16_t lower_combine(struct compiler *c, struct access hi, struct access lo);
/* out[i] = op over the inputs' vectors i, i < n. */
void lower_reduce_burst(struct compiler *c, enum isa_op op, const struct access *inputs,
                        uint32_t count, uint32_t planes, uint32_t n, struct access out,
                        const char *name);
/* [pieces * tokens] 16 bits, of x and its tokens' broadcast exponents (vectors 0 .. tokens-1). */
uint32_t lower_quantise(struct compiler *c, uint32_t x, uint32_t pieces, uint32_t tokens,
                        uint32_t exponents, const char *name);
/* Sums over lanes and pieces: byte plane planes[s] of vectors p * stride + 0 .. n-1 of in[p]
 * through a tile of ones into outputs[s], int32 in every lane. */
void lower_ones(struct compiler *c, const uint32_t *in, uint32_t pieces, uint32_t stride,
                uint32_t n, const uint32_t *planes, const uint32_t *outputs, uint32_t segments,
                const char *name);
/* What a product's last kernel does with y, column piece by column piece. */
typedef void (*lower_epilogue)(struct compiler *c, uint16_t y, uint32_t column,
                               const void *context);
/* One of the products that share their activations: y = [residual +] product; residual NONE for
 * none. */
struct product_use {
    const struct product *product;
    uint32_t residual;
    lower_epilogue epilogue;
    const void *context;
    const char *name;
    bool after_previous; /* a column's epilogue takes what the use before this makes of its own */
};
#define PRODUCTS_MAX 3u
void lower_products(struct compiler *c, const struct product_use *uses, uint32_t count,
                    uint32_t q16, uint32_t tokens, uint32_t scale);

struct stored { /* just stored */
    uint32_t out, tokens;
};
void epilogue_store(struct compiler *c, uint16_t y, uint32_t column, const void *context);

/* ---- inputs of normalised products (lower_norm.c) -------------------------------------------- */

/* x on its way into a normalised product. Index 0: x * gain, 1: x itself. */
struct normalised {
    uint32_t x, gain, pieces, tokens;
    uint32_t q16, squares;   /* [pieces * tokens]: 16-bit activations; squares of x, 32 bits */
    uint32_t up[2], down[2]; /* [tokens] binary32: 2^(141-E), 2^(E-141) */
    const char *name;
};
struct normalised lower_normalised(struct compiler *c, uint32_t x, uint32_t gain, uint32_t tokens,
                                   const char *name);
/* The exponents: those of x, or bounds for previous + a product whose activations had the exponent
 * in `activations` ([tokens] bytes, in every lane). */
void lower_exact(struct compiler *c, const struct normalised *n);
void lower_bounds(struct compiler *c, const struct normalised *n, uint32_t previous,
                  uint32_t activations, const int32_t growth[2]);
/* Activations and squares, from x in memory, or as the epilogue of the product that makes x. */
void lower_quantise_input(struct compiler *c, const struct normalised *n);
void epilogue_normalised(struct compiler *c, uint16_t y, uint32_t column, const void *context);
/* [tokens] binary32: the epilogue's scale, 2^(E-141) / rms. */
uint32_t lower_rms(struct compiler *c, const struct normalised *n);

/* ---- norms that no product follows, caps (lower_more.c) -------------------------------------- */

/* out = norm of each of op's parts of x, [+ residual]: LINEAR buffers in the operation's layout;
 * residual NONE for none. gain: the plan's. */
void lower_norm(struct compiler *c, const struct graph_op *op, uint32_t gain, uint32_t x,
                uint32_t residual, uint32_t out);
/* Ops: cap * tanh(x / cap), as num_softcap defines it. */
uint16_t lower_softcap(struct compiler *c, uint16_t x, float cap);
/* Ops: -2 sqrt(2 / pi) (x + 0.044715 x^3), whose exponential the gate of GELU takes. */
uint16_t lower_gelu_exponent(struct compiler *c, uint16_t x);

/* swiglu(gate, up) or geglu as the epilogue of the product that makes up, with its exponents. */
struct gated {
    uint32_t gate, out, bytes, pieces, tokens;
    uint32_t exponents; /* of GELU, else NONE: [pieces * tokens] what exp takes, made beside gate */
    const char *name;
};
void epilogue_swiglu(struct compiler *c, uint16_t y, uint32_t column, const void *context);
/* 16-bit activations of the result; per token, the epilogue's scale and the exponent byte. */
uint32_t lower_gated(struct compiler *c, const struct gated *g, uint32_t *scale,
                     uint32_t *exponent);

/* ---- VXM mapping (kernel.c) ------------------------------------------------------------------ */

/* Assigns level, column and row to every op of a copy of `kernel`, starting the zigzag over columns
 * at `phase` (0..5) with rows turned by `turn`, for bursts of n vectors; false when this start has
 * no mapping. */
bool kernel_map(const struct compiler *c, const struct kernel *kernel, uint32_t phase,
                uint32_t turn, uint32_t n, struct kernel *mapped);
/* When each op happens, in steps of one operation. */
void kernel_levels(struct kernel *k);
bool kernel_eastward(const struct kernel_op *op, uint32_t phase); /* direction to the next level */
uint32_t kernel_level_column(uint32_t phase, uint32_t level);
uint32_t kernel_result_planes(enum isa_op op);

/* ---- reservations (reserve.c) ---------------------------------------------------------------- */

struct reserve;
struct reserve *reserve_create(struct compiler *c);
/* Keeps two cycles of a queue free, again and again, for the Ifetch of the next block of so many
 * bytes; not so often that `longest` cycles in a row are never free. */
void reserve_keep(struct reserve *r, uint32_t queue, uint32_t block_bytes, uint32_t longest);
void reserve_keep_none(struct reserve *r, uint32_t queue);
/* The cycle at which the tables end: nothing can be booked there or later. */
int64_t reserve_end(const struct reserve *r);
/* Transactions: mark, try, and roll back what did not work out. */
uint32_t reserve_mark(const struct reserve *r);
void reserve_rollback(struct reserve *r, uint32_t mark);
/* What a queue's cycle is wanted for. A slice reads one bank and writes the other in one cycle;
 * everything else has the cycle alone. */
enum reserve_use {
    RESERVE_READ_0, /* of bank 0 */
    RESERVE_READ_1,
    RESERVE_WRITE_0,
    RESERVE_WRITE_1,
    RESERVE_ALONE
};
bool reserve_queue(struct reserve *r, uint32_t queue, enum reserve_use use, int64_t cycle);
/* How much later a run of n issues from `cycle` on must start to pass what is booked there now; 0:
 * it is free. */
uint32_t reserve_queue_shift(const struct reserve *r, uint32_t queue, enum reserve_use use,
                             int64_t cycle, uint32_t n);
/* A value at position `from` in `cycle`, moving to position `to` (its direction follows; from == to
 * needs `west`). `stream`: first of `width` streams. */
bool reserve_stream(struct reserve *r, bool west, uint32_t stream, uint32_t width, uint32_t from,
                    uint32_t to, int64_t cycle);
/* Keeps what was booked since the last commit. */
void reserve_commit(struct reserve *r);

#endif
