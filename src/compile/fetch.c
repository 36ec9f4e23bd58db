/*
 * Fetch: the program's own text comes to its queues in time.
 *
 * Requires: a schedule whose queues are sorted, and its reservations. Fills in: Ifetches in the
 * queues, Reads of text in slices with room for it, and where each block of text lies; nothing that
 * was scheduled moves. A machine whose queues hold all of their text needs none of this.
 *
 * A queue begins with its first block. Walking through its instructions, the pass finds the cycle
 * at which the next block is needed, and takes the first pair of cycles with room for it at which
 * the queue is free and some slice can send two words: a slice that is free a hop's time earlier
 * for each hop between, and a stream that nobody needs on the way. Blocks are placed in the order
 * of need, over all queues.
 *
 * What is put in makes texts longer: that of the queue that fetches, and that of the slice that
 * reads, whose blocks end earlier from there on. So its walk is done again, and a margin at the end
 * of every block absorbs what comes before it after it was placed. If a block is late for all that,
 * the pass begins again: without text in the slice whose queue it is, then with a larger margin.
 * If that is not enough either, compile.c has the whole step begin later.
 */
#include "compile/internal.h"

#include <string.h>

#define NEVER UINT64_MAX
#define TRIES_PREFERRED 16u /* cycles, before any slice will do */
#define PREFERRED 4u        /* slices of a hemisphere that hold text while they have room */

/* A place in a queue's text: what comes next, and how many bytes came before. */
struct walk {
    uint32_t item, added; /* next of the schedule's instructions, and of those put in */
    uint32_t offset;      /* bytes */
    uint64_t now;         /* first cycle after what came before */
};

struct text {
    struct issue *added; /* by cycle */
    uint32_t added_count, added_capacity;
    struct program_place *places; /* of blocks 1, 2, ... */
    uint32_t block;               /* next to fetch */
    uint32_t capacity;            /* of places, marks and reach */
    struct walk *marks;           /* [block]: where the block before it ends, but for the margin */
    uint64_t *reach;              /* [block]: first cycle at which so many blocks are used up */
    uint64_t need;                /* cycle in which block `block` must be there, or NEVER */
    uint64_t free_from;           /* first cycle for its Ifetch, after that of the block before */
};

struct fetch {
    struct compiler *c;
    const struct machine *machine;
    uint32_t block_bytes, margin, queues;
    uint32_t notifier;              /* the queue that sends the Notify: the first that runs */
    struct text *texts;             /* [queues] */
    uint32_t *free_word, *end_word; /* [slices]: the words that text may still have */
    bool *spared;                   /* [slices] that hold no text */
    uint32_t turn;                  /* spreads text over slices */
};

/* ---- the text as emit will write it ---------------------------------------------------------- */

/* An instruction with its Repeat, or the Nops before one. */
struct step {
    uint64_t cycle; /* of its issue */
    uint32_t bytes;
};

static struct walk walk_begin(const struct fetch *f, uint32_t queue)
{
    struct walk w = {0};
    w.offset = isa_packed_bytes(ISA_SYNC);
    if (queue == f->notifier) {
        w.offset += isa_packed_bytes(ISA_NOTIFY);
    }
    return w;
}

/* Instructions from the walk's on that become one with a Repeat; what was put in cuts a run. */
static uint32_t run_before(const struct queue_issues *q, const struct walk *w, uint64_t cycle)
{
    uint32_t delay = 0;
    int32_t stride = 0;
    uint32_t n = emit_run_length(q, w->item, &delay, &stride), cut = n;
    if (n > 1 && q->items[w->item + n - 1].cycle > cycle) {
        cut = (uint32_t)((cycle - q->items[w->item].cycle - 1) / delay) + 1;
    }
    return cut == 2 && delay == 1 ? 1 : cut; /* as emit_run_length has it */
}

/* False behind the last step, which is the Sync at the end. */
static bool walk_on(const struct queue_issues *q, const struct text *text, struct walk *w,
                    struct step *step)
{
    const bool items = w->item < q->count, added = w->added < text->added_count;
    if (w->item > q->count) {
        return false;
    }
    if (!items && !added) {
        *step = (struct step){w->now, isa_packed_bytes(ISA_SYNC)};
        w->item++;
        w->offset += step->bytes;
        return true;
    }
    const uint64_t next_added = added ? text->added[w->added].cycle : NEVER;
    const bool from_added = !items || next_added < q->items[w->item].cycle;
    const struct issue *issue = from_added ? &text->added[w->added] : &q->items[w->item];
    *step = (struct step){w->now, 0};
    if (issue->cycle > w->now) {
        const uint64_t nops = (issue->cycle - w->now + EMIT_NOP_MAX - 1) / EMIT_NOP_MAX;
        step->bytes = (uint32_t)nops * isa_packed_bytes(ISA_NOP);
        w->now = issue->cycle;
    } else {
        const uint32_t n = from_added ? 1 : run_before(q, w, next_added);
        const struct issue *last = issue + (n - 1);
        step->bytes = isa_packed_bytes((enum isa_op)issue->instruction.op) +
                      (n > 1 ? isa_packed_bytes(ISA_REPEAT) : 0);
        w->now = last->cycle + emit_duration(&last->instruction);
        *(from_added ? &w->added : &w->item) += n;
    }
    w->offset += step->bytes;
    return true;
}

/* ---- when the next block is needed ----------------------------------------------------------- */

static void grow(struct fetch *f, struct text *text)
{
    const uint32_t capacity = text->capacity == 0 ? 16 : 2 * text->capacity;
    struct text old = *text;
    text->places = BASE_NEW(&f->c->arena, struct program_place, capacity);
    text->marks = BASE_NEW(&f->c->arena, struct walk, capacity);
    text->reach = BASE_NEW(&f->c->arena, uint64_t, capacity);
    for (uint32_t i = 0; i < old.capacity; i++) {
        text->places[i] = old.places[i];
        text->marks[i] = old.marks[i];
        text->reach[i] = old.reach[i];
    }
    text->capacity = capacity;
}

/* From the mark of block - 1: the mark of `block`, and when it is needed. */
static void find_need(struct fetch *f, uint32_t queue, uint32_t block)
{
    struct text *text = &f->texts[queue];
    const struct queue_issues *q = &f->c->queues[queue];
    const uint32_t end = block * f->block_bytes;
    struct walk w = text->marks[block - 1], before = w;
    struct step step;
    bool used_up = false;
    text->need = NEVER;
    while (before = w, walk_on(q, text, &w, &step)) {
        if (!used_up && before.offset >= end - f->block_bytes) {
            text->reach[block - 1] = step.cycle;
            used_up = true;
        }
        if (text->need == NEVER && w.offset > end - f->margin) {
            text->marks[block] = before;
            text->need = step.cycle;
        }
        if (w.offset > end) {
            return;
        }
    }
    text->need = NEVER; /* the text ends in the blocks it has */
}

/* Something was put in at `cycle`: what was found behind it is found again. */
static void find_again(struct fetch *f, uint32_t queue, uint64_t cycle)
{
    struct text *text = &f->texts[queue];
    uint32_t block = text->block;
    while (block > 1 && text->marks[block - 1].now > cycle) {
        block--;
    }
    for (; block <= text->block; block++) {
        find_need(f, queue, block);
    }
}

static void put_in(struct fetch *f, uint32_t queue, uint64_t cycle, struct isa_instruction in)
{
    struct text *text = &f->texts[queue];
    if (text->added_count == text->added_capacity) {
        const struct issue *old = text->added;
        text->added_capacity = text->added_capacity == 0 ? 32 : 2 * text->added_capacity;
        text->added = BASE_NEW(&f->c->arena, struct issue, text->added_capacity);
        if (old != NULL) {
            memcpy(text->added, old, text->added_count * sizeof *old);
        }
    }
    uint32_t at = text->added_count++;
    for (; at > 0 && text->added[at - 1].cycle > cycle; at--) {
        text->added[at] = text->added[at - 1];
    }
    text->added[at] = (struct issue){(uint32_t)cycle, NONE, NONE, in};
}

/* ---- a block finds its way ------------------------------------------------------------------- */

/* Where the queue's unit sees a stream. */
static uint32_t position_of(const struct machine *machine, uint32_t queue, bool west)
{
    const struct machine_queue unit = machine_queue(machine, queue);
    switch (unit.unit) {
    case ISA_UNIT_MEM: return machine_mem_position(machine, unit.hemisphere, unit.index);
    case ISA_UNIT_VXM:
    case ISA_UNIT_VXM_LARGE:
        return machine_vxm_read_position(machine, unit.index % MACHINE_VXM_COLUMNS, west);
    case ISA_UNIT_MXM_WEIGHTS:
    case ISA_UNIT_MXM_ACTIVATIONS:
    case ISA_UNIT_MXM_RESULTS: return machine_mxm_position(machine, unit.hemisphere);
    case ISA_UNIT_C2C: return machine_c2c_position(machine, unit.hemisphere);
    default: return machine_sxm_position(machine, unit.hemisphere);
    }
}

/* The queue's Ifetch issues at `cycle`, of a block in this slice, on a stream of this direction. */
static bool send_on(struct fetch *f, uint32_t queue, uint32_t slice, bool west, int64_t cycle)
{
    struct reserve *r = f->c->reserve;
    const uint32_t from = slice_position(f->machine, slice),
                   to = position_of(f->machine, queue, west);
    const uint32_t source = slice_queue(f->machine, slice);
    const int64_t hops = west ? (int64_t)from - to : (int64_t)to - from;
    const int64_t lands = cycle - hops, reads = lands - f->machine->mem_read_cycles;
    if (hops < 0 || reads < 0 || reserve_queue_shift(r, source, RESERVE_ALONE, reads, 2) != 0) {
        return false;
    }
    for (uint32_t stream = ISA_STREAMS; stream-- > 0;) {
        const uint32_t mark = reserve_mark(r);
        if (!reserve_stream(r, west, stream, 1, from, to, lands) ||
            !reserve_stream(r, west, stream, 1, from, to, lands + 1)) {
            reserve_rollback(r, mark);
            continue;
        }
        const bool booked = reserve_queue(r, source, RESERVE_ALONE, reads) &&
                            reserve_queue(r, source, RESERVE_ALONE, reads + 1) &&
                            reserve_queue(r, queue, RESERVE_ALONE, cycle) &&
                            reserve_queue(r, queue, RESERVE_ALONE, cycle + 1);
        BASE_ASSERT(booked); /* both were free */
        const uint8_t on = ISA_STREAM(west, stream);
        const uint16_t address = (uint16_t)f->free_word[slice];
        struct text *text = &f->texts[queue];
        put_in(f, queue, (uint64_t)cycle, (struct isa_instruction){.op = ISA_IFETCH, .a = on});
        for (uint16_t i = 0; i < 2; i++) {
            put_in(f, source, (uint64_t)(reads + i),
                   (struct isa_instruction){
                       .op = ISA_READ, .address = (uint16_t)(address + i), .d = on});
        }
        text->places[text->block - 1] = (struct program_place){(uint16_t)slice, address};
        f->free_word[slice] += 2;
        text->block++;
        text->free_from = (uint64_t)cycle + 2;
        find_again(f, source, (uint64_t)reads);
        find_again(f, queue, (uint64_t)cycle);
        return true;
    }
    return false;
}

/* The next words in a row that neither the plan nor the step has in a slice, a block's at least.
 * Temporaries that span slices lie where the fullest of them has room, and each bank has its own,
 * so there are gaps below them. */
static void find_gap(struct fetch *f, uint32_t slice)
{
    const struct compiler *c = f->c;
    uint32_t from = f->end_word[slice], to = from;
    while (to - from < 2 && to < f->machine->mem_words) {
        from = to;
        to = f->machine->mem_words;
        for (uint32_t i = c->plan->buffer_count; i < c->buffer_count; i++) {
            const struct buffer *b = &c->buffers[i];
            if (b->slice == NONE || slice < b->slice || slice >= b->slice + buffer_slices(b)) {
                continue;
            }
            const uint32_t end = b->address + buffer_words(b);
            if (b->address <= from && from < end) { /* no gap here: behind it */
                from = to = end;
                break;
            }
            if (b->address > from && b->address < to) { /* the first that is in the way */
                to = b->address;
            }
        }
    }
    f->free_word[slice] = from;
    f->end_word[slice] = to;
}

/* Has the slice room for a block, and a queue that runs? (One before the notifier would become it.)
 */
static bool may_send(struct fetch *f, uint32_t queue, uint32_t slice)
{
    const uint32_t source = slice_queue(f->machine, slice);
    if (f->free_word[slice] + 2 > f->end_word[slice]) {
        find_gap(f, slice);
    }
    return source != queue && !f->spared[slice] && f->free_word[slice] + 2 <= f->end_word[slice] &&
           (source > f->notifier || f->c->queues[source].count > 0);
}

/* Tries the preferred slices in turn, or all others. */
static bool send(struct fetch *f, uint32_t queue, int64_t cycle, bool preferred)
{
    /* slices 16, 20, 24 and 28 of a hemisphere, where it has so many (as programs for real chips)
     */
    const uint32_t slices = f->machine->mem_slices, first = BASE_MIN(16u, slices / 2);
    const uint32_t count = preferred ? 2 * PREFERRED : 2 * slices;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t turned = (i + f->turn) % count;
        const uint32_t slice =
            preferred ? turned % 2 * slices + BASE_MIN(first + turned / 2 * 4, slices - 1) : turned;
        if (may_send(f, queue, slice) &&
            (send_on(f, queue, slice, false, cycle) || send_on(f, queue, slice, true, cycle))) {
            f->turn++;
            return true;
        }
    }
    return false;
}

static bool fetch_block(struct fetch *f, uint32_t queue)
{
    struct text *text = &f->texts[queue];
    const int64_t used = (int64_t)text->block + 1 - (int64_t)f->machine->icu_buffer_blocks;
    const uint64_t room = used > 0 ? text->reach[used] : 0;
    const int64_t first = (int64_t)BASE_MAX(room, text->free_from);
    const int64_t last = (int64_t)text->need - 1 - (int64_t)f->machine->icu_fetch_cycles;
    if (text->block + 1 >= text->capacity) {
        grow(f, text);
    }
    for (uint32_t pass = 0; pass < 2; pass++) {
        uint32_t tries = pass == 0 ? TRIES_PREFERRED : UINT32_MAX;
        for (int64_t cycle = first; cycle <= last && tries > 0; cycle++) {
            const uint32_t shift =
                reserve_queue_shift(f->c->reserve, queue, RESERVE_ALONE, cycle, 2);
            if (shift > 0) {
                cycle += shift - 1;
            } else if (send(f, queue, cycle, pass == 0)) {
                return true;
            } else {
                tries--;
            }
        }
    }
    return false;
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* Walks the text as it is now: is every step there in its cycle, and room for every block? */
static bool in_time(const struct fetch *f, uint32_t queue, uint64_t *ready)
{
    const struct text *text = &f->texts[queue];
    const uint32_t fetch = f->machine->icu_fetch_cycles, blocks = f->machine->icu_buffer_blocks;
    uint32_t taken = 1;
    struct walk w = walk_begin(f, queue), before = w;
    struct step step;
    ready[0] = 0;
    while (before = w, walk_on(&f->c->queues[queue], text, &w, &step)) {
        const uint32_t block = (w.offset - 1) / f->block_bytes;
        if (block >= taken || ready[block] > step.cycle) {
            return false;
        }
        if (w.added > before.added && text->added[before.added].instruction.op == ISA_IFETCH) {
            if (taken - before.offset / f->block_bytes >= blocks) {
                return false;
            }
            ready[taken++] = step.cycle + 1 + fetch;
        }
    }
    return taken == (w.offset - 1) / f->block_bytes + 1;
}

static void open_texts(struct fetch *f)
{
    struct compiler *c = f->c;
    for (uint32_t q = 0; q < f->queues; q++) {
        struct text *text = &f->texts[q];
        *text = (struct text){.block = 1, .need = NEVER};
        grow(f, text);
        text->marks[0] = walk_begin(f, q);
        if (c->queues[q].count > 0) {
            find_need(f, q, 1);
        }
    }
    for (uint32_t s = 0; s < 2 * f->machine->mem_slices; s++) {
        f->end_word[s] = c->plan->quad_used[s / MACHINE_SLICES_PER_POSITION];
        find_gap(f, s);
    }
}

/* NONE when every block has its place; else the queue whose next one finds none. */
static uint32_t fetch_all(struct fetch *f)
{
    open_texts(f);
    for (;;) {
        uint32_t next = NONE;
        for (uint32_t q = 0; q < f->queues; q++) {
            if (f->texts[q].need != NEVER &&
                (next == NONE || f->texts[q].need < f->texts[next].need)) {
                next = q;
            }
        }
        if (next == NONE) {
            break;
        }
        if (!fetch_block(f, next)) {
            return next;
        }
    }
    for (uint32_t q = 0; q < f->queues; q++) {
        struct text *text = &f->texts[q];
        const bool runs = f->c->queues[q].count > 0 || text->added_count > 0;
        uint64_t *ready = BASE_NEW(&f->c->arena, uint64_t, text->block + 1);
        if (runs && !in_time(f, q, ready)) {
            return q;
        }
    }
    return NONE;
}

static void merge(struct fetch *f, uint32_t queue)
{
    struct queue_issues *q = &f->c->queues[queue];
    const struct text *text = &f->texts[queue];
    if (text->added_count == 0) {
        return;
    }
    const uint32_t count = q->count + text->added_count;
    struct issue *items = BASE_NEW(&f->c->arena, struct issue, count);
    for (uint32_t i = 0, j = 0; i + j < count;) {
        const bool added =
            i == q->count || (j < text->added_count && text->added[j].cycle < q->items[i].cycle);
        items[i + j] = added ? text->added[j] : q->items[i];
        *(added ? &j : &i) += 1;
    }
    q->items = items;
    q->count = q->capacity = count;
}

enum takt_status fetch_text(struct compiler *c)
{
    struct fetch f = {.c = c, .machine = c->machine, .queues = machine_queue_count(c->machine)};
    f.block_bytes = program_block_bytes(c->machine);
    if (c->machine->icu_buffer_blocks == 0) {
        return TAKT_OK;
    }
    for (uint32_t q = 0; q < f.queues; q++) {
        reserve_keep_none(c->reserve, q);
    }
    while (f.notifier + 1 < f.queues && c->queues[f.notifier].count == 0) {
        f.notifier++;
    }
    f.texts = BASE_NEW(&c->arena, struct text, f.queues);
    f.spared = BASE_NEW(&c->arena, bool, 2 * c->machine->mem_slices);
    f.free_word = BASE_NEW(&c->arena, uint32_t, 2 * c->machine->mem_slices);
    f.end_word = BASE_NEW(&c->arena, uint32_t, 2 * c->machine->mem_slices);
    const uint32_t mark = reserve_mark(c->reserve);
    uint32_t late = NONE; /* a queue */
    for (f.margin = f.block_bytes / 8; f.margin <= f.block_bytes / 2;) {
        late = fetch_all(&f);
        if (late == NONE) {
            break;
        }
        reserve_rollback(c->reserve, mark);
        if (late < 2 * c->machine->mem_slices && !f.spared[late]) {
            f.spared[late] = true; /* a slice whose own text is late sends none */
        } else {
            f.margin *= 2;
        }
    }
    c->late = late;
    if (late != NONE) {
        char name[32];
        machine_queue_name(c->machine, late, name);
        return base_fail(c->error, TAKT_LIMIT,
                         "compile: block %u of the text of %s cannot be fetched in time on \"%s\"; "
                         "more icu_buffer_blocks help (0: no text is fetched)",
                         f.texts[late].block, name, c->machine->name);
    }
    c->text_blocks = BASE_NEW(&c->arena, uint32_t, f.queues);
    c->text_places = BASE_NEW(&c->arena, struct program_place *, f.queues);
    for (uint32_t q = 0; q < f.queues; q++) {
        merge(&f, q);
        c->text_blocks[q] = f.texts[q].block - 1;
        c->text_places[q] = f.texts[q].places;
    }
    return TAKT_OK;
}
