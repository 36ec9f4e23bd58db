/*
 * chip: the cycle-exact machine. Executes instruction words from queues, moves bytes on streams.
 *
 * Owns: the whole state of one chip, its clock, its faults. Refuses to: know tensors, models or the
 * compiler; to run on after a fault; to have a permissive mode.
 * Invariants: the state after cycle t is a function of the state before and the text; work per
 * cycle depends on the instructions issued, not on the chip's size; nothing is allocated while it
 * runs.
 *
 * How streams work: a value on an eastward stream is at position p in cycle t for all t - p = d, a
 * constant: its diagonal. Slots are indexed by diagonal, so nothing is ever shifted.
 *
 * How a program ends: a Notify leaves alone what parks in the cycle it arrives in, and a queue that
 * is parked at its last word, which is its final Sync. When all queues are there and no Notify is
 * under way, the run is over; values on streams are dropped, but a result of the MXM that nobody
 * took is a fault of the queue that issued its activations. Of several faults in one cycle the
 * first is told: landings before issues, queues in their order.
 *
 * Running again: which value an instruction takes is decided by cycles and positions, and these by
 * the text alone. So a text's first runs are timed, cycle by cycle with every check; the second is
 * kept, and from the third on its work on values is done again in the same order, by one thread or
 * by several that share the lanes. Data cannot change a cycle; what data can do wrong (entries of
 * maps, changed text, upset words) is checked in every run. trace.c, team.c. Read next: chip.c (the
 * clock), icu.c, stream.c, then the units.
 */
#ifndef CHIP_CHIP_H
#define CHIP_CHIP_H

#include "program/program.h"

/* CHIP_FAULT(NAME, "kind as printed", "what it means") */
#define CHIP_FAULTS(X)                                                                             \
    X(EMPTY_SLOT, "empty-slot", "an operand was read from a stream slot that holds no value")      \
    X(TWO_PRODUCERS, "two-producers", "two results reached one stream slot in the same cycle")     \
    X(BANK_CONFLICT, "bank-conflict", "read and write of one bank of a slice in the same cycle")   \
    X(RANGE, "range", "a word address, accumulator, row group or map entry outside the machine")   \
    X(WEIGHT_BUFFER, "weight-buffer",                                                              \
      "row group loaded twice, install of an empty buffer, "                                       \
      "activations without installed weights")                                                     \
    X(ACCUMULATOR, "accumulator",                                                                  \
      "set of a full or add to an empty accumulator, a result that "                               \
      "nobody took, a take without a result")                                                      \
    X(MACHINE_CHECK, "machine-check", "a word was read of which more than one bit is wrong")       \
    X(LINK, "link",                                                                                \
      "a link without a cable or used twice in c2c_vector_cycles, a Receive with nothing there, "  \
      "a vector that finds the buffer full or that nobody received")                               \
    X(LATE_FETCH, "late-fetch", "a queue's next instruction was not in its buffer in its cycle")   \
    X(FETCH, "fetch", "an Ifetch into a full buffer, or after the end of the queue's text")        \
    X(ILLEGAL, "illegal", "fetched text that is no instruction of its queue")                      \
    X(DRY_QUEUE, "dry-queue", "a queue ran out of instructions before its final Sync")             \
    X(DEADLOCK, "deadlock", "every queue is parked but work is under way, or none was released")

enum chip_fault_kind {
    CHIP_FAULT_NONE,
#define CHIP_FAULT_ENUM(name, text, doc) CHIP_FAULT_##name,
    CHIP_FAULTS(CHIP_FAULT_ENUM)
#undef CHIP_FAULT_ENUM
};
const char *chip_fault_name(enum chip_fault_kind kind);

struct chip_fault {
    enum chip_fault_kind kind;
    uint64_t cycle;
    uint32_t chip;
    uint32_t queue;
    struct isa_instruction instruction;
    char reason[160];
};

struct chip;

/* Reserves the chip's memory (SRAM pages are touched when first used; all zero). MEMORY. */
enum takt_status chip_create(struct chip **chip, const struct machine *machine,
                             struct takt_error *error);
/*
 * The same without values: memory and weights are not there, vectors on streams hold nothing.
 * chip_run executes every instruction of a program, takes its cycles, and makes every check that
 * does not read data: empty slots, two producers, bank conflicts, addresses, accumulators, weight
 * buffers, results that nobody took, queues. For programs whose image is absent, and faster.
 * What a check needs data for is taken to hold: map entries of Gather, Scatter, Permute, Distribute
 * and Select are in range (and superlanes of Gather and Scatter left out, so that no address is
 * formed), and fetched text is the program's own. A program that ends here with c cycles therefore
 * takes c cycles with values too, or has a RANGE fault of one of those five instructions, a machine
 * check or an illegal instruction.
 */
enum takt_status chip_create_check_only(struct chip **chip, const struct machine *machine,
                                        struct takt_error *error);
void chip_destroy(struct chip *chip); /* NULL is fine */

/* How many threads share the lanes from the third run of a text on (1 after creation, as many as
 * superlanes at most). Cycles, bytes and faults are the same with any number. MEMORY. */
enum takt_status chip_set_threads(struct chip *chip, uint32_t threads, struct takt_error *error);

void chip_load_image(struct chip *chip, const struct program_image *image);
/* Direct access to memory for the host, between runs. lanes bytes. Of a check-only chip, what is
 * loaded or written is dropped and words read as zero. */
void chip_write_word(struct chip *chip, struct program_place place, const uint8_t *word);
void chip_read_word(const struct chip *chip, struct program_place place, uint8_t *word);

/*
 * Turns one bit of a superlane's code word in memory, between runs: 0..127 its data, byte by byte
 * from the lowest bit, 128..136 its ECC. One turned bit is put right whenever the word is read
 * (memory keeps it until new data comes), two are a machine check. USAGE for a bit that is not
 * there or a check-only chip, LIMIT beyond CHIP_UPSETS superlanes.
 */
#define CHIP_ECC_BITS 137u
#define CHIP_UPSETS 256u
enum takt_status chip_upset(struct chip *chip, struct program_place place, uint32_t superlane,
                            uint32_t bit, struct takt_error *error);
uint64_t chip_errors_corrected(const struct chip *chip); /* by reads of programs, since creation */

/* A program's text decoded once, for running many times. The program must outlive it and fit the
 * chip's machine (FORMAT otherwise). */
struct chip_text;
enum takt_status chip_text_create(struct chip_text **text, const struct program *program,
                                  struct takt_error *error);
void chip_text_destroy(struct chip_text *text);
/* Writes the text's blocks to where the program has them in memory: before its first run, and again
 * when something else was there. What a run then executes is what its Ifetches bring. */
void chip_load_text(struct chip *chip, const struct chip_text *text);

/*
 * Runs a program from cycle 0, all queues at their first word, streams and MXM state empty, SRAM as
 * it is, until every queue is parked at its final Sync. *cycles = cycles taken. FAULT: *error holds
 * one line, chip_last_fault the data; the chip stays stopped: further runs return the same fault.
 */
enum takt_status chip_run(struct chip *chip, const struct chip_text *text, uint64_t *cycles,
                          struct takt_error *error);
/*
 * Several chips. chip_connect joins two links, of one chip or of two of one machine, by a cable:
 * what either sends the other receives. It stays until one is destroyed; then none of them may run.
 * USAGE when a link is not there or has a cable.
 * chip_run_together runs a program on each from cycle 0, which is cycle `start` of a common clock,
 * whose multiples of c2c_deskew_cycles Deskew waits for. FAULT: as chip_run; the others of the
 * party are left where they were and must not run again.
 */
enum takt_status chip_connect(struct chip *a, uint32_t link_a, struct chip *b, uint32_t link_b,
                              struct takt_error *error);
struct chip_party {
    struct chip *chip;
    const struct chip_text *text;
    uint64_t start;  /* of the common clock */
    uint64_t cycles; /* out: taken, counted from its own cycle 0 */
    bool ended;
};
enum takt_status chip_run_together(struct chip_party *parties, uint32_t count,
                                   struct takt_error *error);
/* Did a queue fetch, in the last run, other bytes than its program's text? Not a fault by itself.
 */
bool chip_fetched_other_text(const struct chip *chip);
const struct chip_fault *chip_last_fault(const struct chip *chip); /* kind NONE when none */
uint64_t chip_instructions_issued(const struct chip *chip);        /* since creation */
/* Instructions of its own unit (not the ICU's) that a queue issued in the last run. */
uint64_t chip_queue_issued(const struct chip *chip, uint32_t queue);

#endif
