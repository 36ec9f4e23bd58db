/*
 * Reservation tables: who uses which queue in which cycle, and which stream slots carry a value.
 *
 * Requires: nothing. Fills in: nothing; the schedule asks and books. A stream slot is indexed by
 * its diagonal (cycle - position eastward, cycle + position westward); a word of 64 bits a diagonal
 * and stream says at which positions a value that somebody still needs is passing. Two values may
 * share a diagonal when their intervals of positions do not meet. A queue has a bit a cycle for
 * each use, set where that use is out of the question. Every booking is logged, so that a placement
 * that fails half way can be undone.
 */
#include "compile/internal.h"

#define CYCLES_MAX (1u << 22)
#define DIAGONAL_OFFSET 64 /* eastward diagonals start at -position */
#define STREAM_SLOTS (2u * ISA_STREAMS)

struct booking {
    uint64_t *word;
    uint64_t mask;
};

struct reserve {
    uint64_t *streams; /* [diagonal][direction * 32 + stream] position masks */
    uint64_t *queues;  /* [queue][cycle / 64][enum reserve_use but ALONE] */
    size_t queue_words;
    uint64_t *kept; /* [queues] cycles of each 64 that are not free */
    struct booking *log;
    uint32_t log_count;
};

#define LOG_MAX (1u << 22)
/* Of 64 cycles: the end of the tables, where bursts are tried for themselves, has no gaps. */
#define KEPT_WORDS (CYCLES_MAX / 64 - 1024)
#define USES 4u
/* The uses, as bits, that a booking leaves no room for; ALONE has room where neither bank can be
 * read, so it needs no bit. */
static const uint8_t EXCLUDES[] = {
    [RESERVE_READ_0] = 1u << RESERVE_READ_0 | 1u << RESERVE_READ_1 | 1u << RESERVE_WRITE_0,
    [RESERVE_READ_1] = 1u << RESERVE_READ_0 | 1u << RESERVE_READ_1 | 1u << RESERVE_WRITE_1,
    [RESERVE_WRITE_0] = 1u << RESERVE_WRITE_0 | 1u << RESERVE_WRITE_1 | 1u << RESERVE_READ_0,
    [RESERVE_WRITE_1] = 1u << RESERVE_WRITE_0 | 1u << RESERVE_WRITE_1 | 1u << RESERVE_READ_1,
    [RESERVE_ALONE] = (1u << USES) - 1};

struct reserve *reserve_create(struct compiler *c)
{
    struct reserve *r = BASE_NEW(&c->arena, struct reserve, 1);
    r->queue_words = CYCLES_MAX / 64;
    r->streams = BASE_NEW(&c->arena, uint64_t, (size_t)(CYCLES_MAX + 128) * STREAM_SLOTS);
    r->queues =
        BASE_NEW(&c->arena, uint64_t, r->queue_words * USES * machine_queue_count(c->machine));
    r->kept = BASE_NEW(&c->arena, uint64_t, machine_queue_count(c->machine));
    r->log = BASE_NEW(&c->arena, struct booking, LOG_MAX);
    return r;
}

void reserve_keep(struct reserve *r, uint32_t queue, uint32_t block_bytes, uint32_t longest)
{
    uint32_t period = 64;
    while (period * ISA_PACKED_MAX > block_bytes && period / 2 >= longest + 2) {
        period /= 2;
    }
    for (uint32_t i = period; longest + 2 <= period && i <= 64; i += period) {
        r->kept[queue] |= 3ull << (i - 2);
    }
}

void reserve_keep_none(struct reserve *r, uint32_t queue)
{
    r->kept[queue] = 0;
}

int64_t reserve_end(const struct reserve *r)
{
    (void)r;
    return CYCLES_MAX;
}

uint32_t reserve_mark(const struct reserve *r)
{
    return r->log_count;
}

void reserve_rollback(struct reserve *r, uint32_t mark)
{
    while (r->log_count > mark) {
        const struct booking *booking = &r->log[--r->log_count];
        *booking->word &= ~booking->mask;
    }
}

/* What is placed stays placed: the log starts anew. */
void reserve_commit(struct reserve *r)
{
    r->log_count = 0;
}

static bool book(struct reserve *r, uint64_t *word, uint64_t mask)
{
    if ((*word & mask) != 0) {
        return false;
    }
    BASE_ASSERT(r->log_count < LOG_MAX);
    *word |= mask;
    r->log[r->log_count++] = (struct booking){word, mask};
    return true;
}

/* Bits low .. high, whichever of the two is which. */
static uint64_t interval(uint32_t from, uint32_t to)
{
    uint32_t low = BASE_MIN(from, to), high = BASE_MAX(from, to);
    return (high == 63 ? ~0ull : (1ull << (high + 1)) - 1) & ~((1ull << low) - 1);
}

/* The cycles of word w of a queue that are taken for the use. */
static uint64_t taken(const struct reserve *r, uint32_t queue, uint64_t w, enum reserve_use use)
{
    const uint64_t *bits = &r->queues[(queue * r->queue_words + w) * USES];
    const uint64_t booked =
        use == RESERVE_ALONE ? bits[RESERVE_READ_0] | bits[RESERVE_READ_1] : bits[use];
    return booked | (w < KEPT_WORDS ? r->kept[queue] : 0);
}

bool reserve_queue(struct reserve *r, uint32_t queue, enum reserve_use use, int64_t cycle)
{
    if (cycle < 0 || cycle >= (int64_t)CYCLES_MAX) {
        return false;
    }
    uint64_t *words = &r->queues[queue * r->queue_words * USES];
    const uint64_t w = (uint64_t)cycle / 64, mask = 1ull << ((uint64_t)cycle % 64);
    if ((taken(r, queue, w, use) & mask) != 0) {
        return false;
    }
    for (uint32_t u = 0; u < USES; u++) {
        uint64_t *word = &words[w * USES + u];
        if ((EXCLUDES[use] >> u & 1) != 0 && (*word & mask) == 0) {
            (void)book(r, word, mask);
        }
    }
    return true;
}

uint32_t reserve_queue_shift(const struct reserve *r, uint32_t queue, enum reserve_use use,
                             int64_t cycle, uint32_t n)
{
    if (cycle < 0) {
        return (uint32_t)-cycle;
    }
    uint64_t first = (uint64_t)cycle, last = first + n - 1;
    if (last >= CYCLES_MAX) {
        return 0; /* booking will refuse it */
    }
    for (uint64_t w = last / 64 + 1; w-- > first / 64;) {
        uint64_t low = w == first / 64 ? first % 64 : 0, high = w == last / 64 ? last % 64 : 63;
        uint64_t busy = taken(r, queue, w, use) & interval((uint32_t)low, (uint32_t)high);
        if (busy != 0) {
            uint64_t latest = w * 64 + 63 - (uint64_t)__builtin_clzll(busy);
            return (uint32_t)(latest - first + 1);
        }
    }
    return 0;
}

bool reserve_stream(struct reserve *r, bool west, uint32_t stream, uint32_t width, uint32_t from,
                    uint32_t to, int64_t cycle)
{
    int64_t diagonal = west ? cycle + from : cycle - (int64_t)from + DIAGONAL_OFFSET;
    if (diagonal < 0 || diagonal >= (int64_t)CYCLES_MAX) {
        return false;
    }
    uint64_t *slot =
        &r->streams[(uint64_t)diagonal * STREAM_SLOTS + (west ? ISA_STREAMS : 0) + stream];
    uint64_t mask = interval(from, to);
    for (uint32_t i = 0; i < width; i++) {
        if (!book(r, slot + i, mask)) {
            return false;
        }
    }
    return true;
}
