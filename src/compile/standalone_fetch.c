/*
 * A standalone program's text comes to its queues in time: as compile's fetch.c does it, but with
 * senders that do nothing else, so that no search is needed.
 *
 * A queue begins with its first block of text. Walking through its instructions, an Ifetch goes
 * into every wait that is long enough while the buffer has room and there is text to come: as early
 * as it can. The block's two words pass the queue then, sent by the hemisphere's sender. The
 * senders' own text is fetched last, from a second sender each, whose text must be one block.
 */
#include "compile/standalone.h"

#include <string.h>

/* Of so many cycles the sender begins no read in the last few: for Ifetches of its own. */
#define SENDER_TURN 32u
#define SENDER_REST 4u
#define HELD_MAX 64u /* blocks a buffer holds: the machine's largest icu_buffer_blocks */

struct fetch {
    struct compile_standalone *out;
    const struct machine *machine;
    uint32_t block_bytes, notifier;
    uint32_t cycles;  /* of the program */
    uint32_t sender;  /* the slice that sends, global */
    uint32_t stream;  /* that it sends on, in either direction */
    uint32_t address; /* its next free word */
    uint8_t *busy;    /* [cycles]: the sender reads */
};

/* Where a walk through a queue's text stands. */
struct walk {
    uint32_t offset;          /* bytes before */
    uint32_t rest;            /* bytes to come, but for what will be put in */
    uint32_t now;             /* first cycle after what came before */
    uint32_t taken;           /* blocks fetched, or begun with */
    uint32_t ready[HELD_MAX]; /* [block % HELD_MAX]: its first cycle in the buffer */
    bool late;
};

static uint32_t wait_bytes(uint32_t cycles)
{
    return (cycles + UINT16_MAX - 1) / UINT16_MAX * isa_packed_bytes(ISA_NOP);
}

static uint32_t item_bytes(const struct standalone_item *item)
{
    return isa_packed_bytes((enum isa_op)item->instruction.op) +
           (item->run.count > 1 ? isa_packed_bytes(ISA_REPEAT) : 0);
}

/* Bytes of the text before the first instruction, and of all of it. */
static uint32_t head_bytes(const struct fetch *f, uint32_t queue)
{
    return isa_packed_bytes(ISA_SYNC) + (queue == f->notifier ? isa_packed_bytes(ISA_NOTIFY) : 0);
}

static uint32_t text_bytes(const struct fetch *f, uint32_t queue)
{
    uint32_t bytes = head_bytes(f, queue) + isa_packed_bytes(ISA_SYNC), now = 0;
    for (const struct standalone_item *item = f->out->queues[queue].first; item != NULL;
         item = item->after) {
        bytes += wait_bytes(item->run.cycle - now) + item_bytes(item);
        now = standalone_item_end(item);
    }
    return bytes;
}

/* The next `bytes` of text must be in the buffer by `cycle`. */
static void pass(const struct fetch *f, struct walk *w, uint32_t bytes, uint32_t cycle)
{
    if (bytes == 0) {
        return;
    }
    w->offset += bytes;
    const uint32_t block = (w->offset - 1) / f->block_bytes;
    w->late |= block >= w->taken || w->ready[block % HELD_MAX] > cycle;
}

/* ---- one Ifetch ------------------------------------------------------------------------------ */

static uint32_t queue_position(const struct machine *machine, uint32_t queue)
{
    const struct machine_queue unit = machine_queue(machine, queue);
    if (unit.unit == ISA_UNIT_MEM) {
        return machine_mem_position(machine, unit.hemisphere, unit.index);
    }
    return machine_mxm_position(machine, unit.hemisphere);
}

/* The first cycle from `first` to `last` in which the words that the sender reads for it pass. */
static bool find_cycle(const struct fetch *f, uint32_t delay, uint32_t first, uint32_t last,
                       uint32_t *cycle)
{
    for (uint32_t c = BASE_MAX(first, delay); c <= last; c++) {
        const uint32_t read = c - delay;
        if (read % SENDER_TURN < SENDER_TURN - SENDER_REST && !f->busy[read] &&
            !f->busy[read + 1]) {
            *cycle = c;
            return true;
        }
    }
    return false;
}

static void insert_before(struct fetch *f, uint32_t queue, struct standalone_item *next,
                          uint32_t cycle, uint8_t stream)
{
    struct standalone_item *item = BASE_NEW(&f->out->arena, struct standalone_item, 1);
    item->run = standalone_once(cycle);
    item->instruction = (struct isa_instruction){.op = ISA_IFETCH, .a = stream};
    item->after = next;
    item->before = next->before;
    next->before = item;
    *(item->before != NULL ? &item->before->after : &f->out->queues[queue].first) = item;
}

/* Fetches the next block in the wait before `next`, if there is need, room and time. */
static bool fetch_block(struct fetch *f, uint32_t queue, struct walk *w,
                        struct standalone_item *next)
{
    const uint32_t own = isa_packed_bytes(ISA_IFETCH);
    const uint32_t position = queue_position(f->machine, queue);
    const uint32_t delay = standalone_read_cycles(f->machine, f->sender, position);
    const uint32_t from = machine_mem_position(f->machine, f->sender / f->machine->mem_slices,
                                               f->sender % f->machine->mem_slices);
    uint32_t cycle;
    if (next->run.cycle < w->now + 2 ||
        !find_cycle(f, delay, w->now, next->run.cycle - 2, &cycle)) {
        return false;
    }
    const uint32_t wait = wait_bytes(cycle - w->now);
    const uint32_t total = w->offset + w->rest + wait + own;
    const uint32_t first = (w->offset + wait) / f->block_bytes; /* held while it issues */
    if (total <= w->taken * f->block_bytes || w->taken - first >= f->machine->icu_buffer_blocks) {
        return false;
    }
    const uint8_t stream = ISA_STREAM(position < from, f->stream);
    insert_before(f, queue, next, cycle, stream);
    pass(f, w, wait, w->now);
    pass(f, w, own, cycle);
    w->ready[w->taken % HELD_MAX] = cycle + 1 + f->machine->icu_fetch_cycles;
    w->taken++;
    w->rest -= wait_bytes(next->run.cycle - w->now) - wait_bytes(next->run.cycle - cycle - 2);
    w->now = cycle + 2;
    standalone_read(f->out, f->sender, f->address, stream, position,
                    (struct standalone_run){cycle, 2, 1, 1});
    f->busy[cycle - delay] = f->busy[cycle - delay + 1] = 1;
    f->address += 2;
    return true;
}

/* ---- a queue --------------------------------------------------------------------------------- */

static enum takt_status refuse(const struct fetch *f, uint32_t queue, struct takt_error *error)
{
    char name[32];
    machine_queue_name(f->machine, queue, name);
    return base_fail(error, TAKT_LIMIT,
                     "the text of %s cannot be fetched in time on \"%s\"; icu_buffer_blocks = 0, "
                     "all text in the queues, would do",
                     name, f->machine->name);
}

static enum takt_status fetch_queue(struct fetch *f, uint32_t queue, struct takt_error *error)
{
    struct program *program = &f->out->program;
    const uint32_t bytes = text_bytes(f, queue), address = f->address;
    struct walk w = {.offset = head_bytes(f, queue), .taken = 1};
    w.rest = bytes - w.offset;
    if (bytes <= f->block_bytes) {
        return TAKT_OK;
    }
    if (f->sender == STANDALONE_NO_SENDER) {
        return refuse(f, queue, error);
    }
    w.late = w.offset > f->block_bytes;
    for (struct standalone_item *item = f->out->queues[queue].first; item != NULL;
         item = item->after) {
        while (fetch_block(f, queue, &w, item)) {
        }
        const uint32_t wait = wait_bytes(item->run.cycle - w.now);
        pass(f, &w, wait, w.now);
        pass(f, &w, item_bytes(item), item->run.cycle);
        w.rest -= wait + item_bytes(item);
        w.now = standalone_item_end(item);
    }
    pass(f, &w, w.rest, w.now);
    if (w.late || f->address > f->machine->mem_words) {
        return refuse(f, queue, error);
    }
    program->text_blocks[queue] = w.taken - 1;
    program->text_places[queue] = BASE_NEW(&f->out->arena, struct program_place, w.taken - 1);
    for (uint32_t i = 0; i + 1 < w.taken; i++) {
        program->text_places[queue][i] =
            (struct program_place){(uint16_t)f->sender, (uint16_t)(address + 2 * i)};
    }
    return TAKT_OK;
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* Queues that rest little first: they have the least choice. */
static int turn_of(const struct machine *machine, uint32_t queue)
{
    switch (machine_queue(machine, queue).unit) {
    case ISA_UNIT_MXM_ACTIVATIONS: return 0;
    case ISA_UNIT_MXM_RESULTS: return 1;
    default: return 2;
    }
}

static enum takt_status fetch_hemisphere(struct fetch *f, uint32_t hemisphere, uint32_t sender,
                                         struct takt_error *error)
{
    const uint32_t slices = f->machine->mem_slices;
    const bool sends = sender != STANDALONE_NO_SENDER;
    const uint32_t own =
        sends ? machine_queue_mem(f->machine, hemisphere, sender) : STANDALONE_NO_SENDER;
    enum takt_status status = TAKT_OK;
    f->sender = sends ? hemisphere * slices + sender : STANDALONE_NO_SENDER;
    f->stream = STANDALONE_TEXT_STREAM;
    f->address = 0;
    memset(f->busy, 0, f->cycles);
    for (int turn = 0; turn < 3; turn++) {
        for (uint32_t q = 0; q < f->out->program.queue_count && status == TAKT_OK; q++) {
            const struct machine_queue unit = machine_queue(f->machine, q);
            const bool here = unit.hemisphere == hemisphere;
            if (here && q != own && f->out->queues[q].first != NULL &&
                turn_of(f->machine, q) == turn) {
                status = fetch_queue(f, q, error);
            }
        }
    }
    if (status != TAKT_OK || !sends || f->out->queues[own].first == NULL) {
        return status;
    }
    BASE_ASSERT(sender >= MACHINE_SLICES_PER_POSITION && own > f->notifier);
    f->sender -= MACHINE_SLICES_PER_POSITION;
    f->stream = STANDALONE_TEXT_STREAM - 1; /* on the other the sender may have put words */
    f->address = 0;
    memset(f->busy, 0, f->cycles);
    status = fetch_queue(f, own, error);
    const uint32_t second = own - MACHINE_SLICES_PER_POSITION;
    if (status == TAKT_OK && text_bytes(f, second) > f->block_bytes) {
        status = refuse(f, second, error);
    }
    return status;
}

enum takt_status standalone_fetch(struct compile_standalone *standalone, uint32_t sender,
                                  struct takt_error *error)
{
    struct program *program = &standalone->program;
    struct fetch f = {.out = standalone,
                      .machine = &program->machine,
                      .block_bytes = program_block_bytes(&program->machine),
                      .notifier = standalone_notifier(standalone)};
    for (uint32_t q = 0; q < program->queue_count; q++) {
        const struct standalone_item *last = standalone->queues[q].last;
        if (last != NULL) {
            f.cycles = BASE_MAX(f.cycles, standalone_item_end(last) + 2);
        }
    }
    f.busy = BASE_NEW(&standalone->arena, uint8_t, f.cycles);
    program->text_blocks = BASE_NEW(&standalone->arena, uint32_t, program->queue_count);
    program->text_places =
        BASE_NEW(&standalone->arena, struct program_place *, program->queue_count);
    enum takt_status status = fetch_hemisphere(&f, MACHINE_WEST, sender, error);
    return status == TAKT_OK ? fetch_hemisphere(&f, MACHINE_EAST, sender, error) : status;
}
