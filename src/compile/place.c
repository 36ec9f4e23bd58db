/* place, the common pieces: instructions, ways from memory to a unit and back, dependencies. */
#include "compile/place.h"

#define UPDATES_MAX (1u << 22)

struct place_mark place_mark(const struct place *p)
{
    return (struct place_mark){reserve_mark(p->reserve), p->push_count, p->update_count};
}

void place_rollback(struct place *p, struct place_mark mark)
{
    reserve_rollback(p->reserve, mark.reserve);
    while (p->push_count > mark.pushes) {
        p->c->queues[p->pushes[--p->push_count]].count--;
    }
    p->update_count = mark.updates;
}

/* What an instruction takes of its queue's cycle. */
static enum reserve_use use_of(const struct place *p, enum isa_op op, uint32_t address)
{
    const uint32_t bank = address >= p->machine->mem_words / 2;
    switch (op) {
    case ISA_READ: return bank == 0 ? RESERVE_READ_0 : RESERVE_READ_1;
    case ISA_WRITE: return bank == 0 ? RESERVE_WRITE_0 : RESERVE_WRITE_1;
    default: return RESERVE_ALONE;
    }
}

bool place_issue(struct place *p, uint32_t queue, int64_t cycle,
                 const struct isa_instruction *instruction)
{
    const enum reserve_use use = use_of(p, (enum isa_op)instruction->op, instruction->address);
    if (!reserve_queue(p->reserve, queue, use, cycle)) {
        return false;
    }
    struct queue_issues *q = &p->c->queues[queue];
    if (q->count == q->capacity) {
        uint32_t capacity = q->capacity == 0 ? 64 : q->capacity * 2;
        struct issue *items = BASE_NEW(&p->c->arena, struct issue, capacity);
        for (uint32_t i = 0; i < q->count; i++) {
            items[i] = q->items[i];
        }
        q->items = items;
        q->capacity = capacity;
    }
    q->items[q->count++] = (struct issue){(uint32_t)cycle, p->c->placement, NONE, *instruction};
    BASE_ASSERT(p->push_count < UPDATES_MAX);
    p->pushes[p->push_count++] = queue;
    return true;
}

uint32_t place_distance(uint32_t a, uint32_t b)
{
    return a > b ? a - b : b - a;
}

static void update(struct place *p, uint32_t *cycle, int64_t value)
{
    BASE_ASSERT(p->update_count < UPDATES_MAX);
    p->updates[p->update_count++] = (struct place_update){cycle, (uint32_t)value};
}

static bool not_before(struct place *p, int64_t cycle, uint32_t earliest)
{
    if (cycle >= (int64_t)earliest) {
        return true;
    }
    p->hint = BASE_MAX(p->hint, (int64_t)earliest - cycle);
    return false;
}

bool place_may_read(struct place *p, struct buffer *buffer, uint32_t vector, int64_t cycle)
{
    uint32_t v = buffer->whole ? 0 : vector;
    BASE_ASSERT(buffer->whole || vector < buffer->count);
    if (!not_before(p, cycle, buffer->written[v]) || !not_before(p, cycle, 0)) {
        return false;
    }
    update(p, &buffer->read[v], cycle + 1);
    return true;
}

bool place_may_write(struct place *p, struct buffer *buffer, uint32_t vector, int64_t cycle)
{
    uint32_t v = buffer->whole ? 0 : vector;
    BASE_ASSERT(buffer->whole || vector < buffer->count);
    if (!not_before(p, cycle, buffer->read[v]) ||
        (!buffer->whole && !not_before(p, cycle, buffer->written[v]))) {
        return false;
    }
    update(p, &buffer->written[v], cycle + 1);
    return true;
}

struct place_route place_route(const struct place *p, uint32_t buffer, uint32_t position)
{
    uint32_t from = slice_position(p->machine, p->c->buffers[buffer].slice);
    return (struct place_route){from > position, position};
}

/* Cycles from a value at the far end of its way to its Read, or from its start there to its Write.
 */
static int64_t slice_delay(const struct place *p, uint32_t slice, uint32_t far, bool write)
{
    const int64_t hops = place_distance(slice_position(p->machine, slice), far);
    return write ? hops : -hops - p->machine->mem_read_cycles;
}

/* From when on a vector may be read, or stored. */
static int64_t ready_cycle(const struct buffer *buffer, uint32_t vector, bool write)
{
    const uint32_t v = buffer->whole ? 0 : vector;
    if (!write) {
        return buffer->written[v];
    }
    return buffer->whole ? buffer->read[v] : BASE_MAX(buffer->read[v], buffer->written[v]);
}

/* How much later a burst must start: everything it depends on at once, and the slices' issue slots.
 * The planes of a linear buffer's vectors lie side by side at one position. */
static int64_t linear_shift(const struct place *p, const struct access *access, uint32_t plane,
                            uint32_t planes, uint32_t n, uint32_t far, bool write, int64_t start)
{
    const struct buffer *buffer = &p->c->buffers[access->buffer];
    const struct program_place first = buffer_place(buffer, access_vector(access, 0), plane);
    const enum reserve_use use = use_of(p, write ? ISA_WRITE : ISA_READ, first.address);
    const int64_t cycle = start + slice_delay(p, first.slice, far, write);
    int64_t shift = BASE_MAX(-cycle, 0);
    for (uint32_t b = 0; b < planes; b++) {
        const uint32_t queue = slice_queue(p->machine, first.slice + b);
        const int64_t free = reserve_queue_shift(p->reserve, queue, use, cycle, n);
        shift = BASE_MAX(shift, free);
    }
    for (uint32_t i = 0; i < n; i++) {
        const int64_t ready = ready_cycle(buffer, access_vector(access, i), write);
        shift = BASE_MAX(shift, ready - cycle - i);
    }
    return shift;
}

static int64_t burst_shift(const struct place *p, const struct access *access, uint32_t plane,
                           uint32_t planes, uint32_t n, uint32_t far, bool write, int64_t start)
{
    const struct buffer *buffer = &p->c->buffers[access->buffer];
    if (buffer->kind == BUFFER_LINEAR) {
        return linear_shift(p, access, plane, planes, n, far, write, start);
    }
    int64_t shift = 0;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t vector = access_vector(access, i);
        const int64_t ready = ready_cycle(buffer, vector, write);
        for (uint32_t b = plane; b < plane + planes; b++) {
            const struct program_place place = buffer_place(buffer, vector, b);
            const enum reserve_use use = use_of(p, write ? ISA_WRITE : ISA_READ, place.address);
            const int64_t cycle = start + i + slice_delay(p, place.slice, far, write);
            const bool taken = reserve_queue_shift(p->reserve, slice_queue(p->machine, place.slice),
                                                   use, cycle, 1) != 0;
            shift = BASE_MAX(shift, BASE_MAX(ready - cycle, taken));
        }
    }
    return shift;
}

int64_t place_read_shift(const struct place *p, const struct access *access, uint32_t plane,
                         uint32_t planes, uint32_t n, struct place_route route, int64_t start)
{
    return burst_shift(p, access, plane, planes, n, route.to, false, start);
}

int64_t place_store_shift(const struct place *p, const struct access *access, uint32_t plane,
                          uint32_t planes, uint32_t n, uint32_t from, int64_t start)
{
    return burst_shift(p, access, plane, planes, n, from, true, start);
}

/* A slice that is taken is taken on every stream: the hint says that no other stream helps. */
static bool issue_at_slice(struct place *p, uint32_t slice, int64_t cycle,
                           const struct isa_instruction *instruction)
{
    if (place_issue(p, slice_queue(p->machine, slice), cycle, instruction)) {
        return true;
    }
    p->hint = BASE_MAX(p->hint, 1);
    return false;
}

bool place_read(struct place *p, const struct access *access, uint32_t plane, uint32_t planes,
                uint32_t n, struct place_route route, uint32_t stream, int64_t start)
{
    struct buffer *buffer = &p->c->buffers[access->buffer];
    for (uint32_t i = 0; i < n; i++) {
        uint32_t vector = access_vector(access, i);
        for (uint32_t b = 0; b < planes; b++) {
            struct program_place place = buffer_place(buffer, vector, plane + b);
            uint32_t from = slice_position(p->machine, place.slice);
            int64_t leaves = start + i - place_distance(from, route.to);
            int64_t issue = leaves - p->machine->mem_read_cycles;
            struct isa_instruction read = {
                .op = ISA_READ, .address = place.address, .d = ISA_STREAM(route.west, stream + b)};
            if (!place_may_read(p, buffer, vector, issue) ||
                !issue_at_slice(p, place.slice, issue, &read) ||
                !reserve_stream(p->reserve, route.west, stream + b, 1, from, route.to, leaves)) {
                return false;
            }
        }
    }
    return true;
}

bool place_read_any(struct place *p, const struct access *access, uint32_t plane, uint32_t planes,
                    uint32_t n, struct place_route route, int64_t start, uint32_t *stream)
{
    struct place_mark mark = place_mark(p);
    p->hint = BASE_MAX(p->hint, place_read_shift(p, access, plane, planes, n, route, start));
    if (p->hint > 0) {
        return false;
    }
    for (uint32_t s = 0; s + planes <= ISA_STREAMS; s += planes) {
        if (place_read(p, access, plane, planes, n, route, s, start)) {
            *stream = s;
            return true;
        }
        place_rollback(p, mark);
        if (p->hint > 0) {
            return false; /* a dependency: no other stream helps */
        }
    }
    return false;
}

bool place_store(struct place *p, const struct access *access, uint32_t plane, uint32_t planes,
                 uint32_t n, uint32_t from, bool west, uint32_t stream, int64_t start)
{
    struct buffer *buffer = &p->c->buffers[access->buffer];
    for (uint32_t i = 0; i < n; i++) {
        uint32_t vector = access_vector(access, i);
        for (uint32_t b = 0; b < planes; b++) {
            struct program_place place = buffer_place(buffer, vector, plane + b);
            uint32_t to = slice_position(p->machine, place.slice);
            BASE_ASSERT(west ? to <= from : to >= from);
            int64_t issue = start + i + place_distance(from, to);
            struct isa_instruction write = {
                .op = ISA_WRITE, .address = place.address, .a = ISA_STREAM(west, stream + b)};
            if (!place_may_write(p, buffer, vector, issue) ||
                !issue_at_slice(p, place.slice, issue, &write)) {
                return false;
            }
        }
    }
    return true;
}

bool place_write(struct place *p, const struct access *access, uint32_t plane, uint32_t planes,
                 uint32_t n, uint32_t from, bool west, uint32_t stream, uint32_t at_least,
                 int64_t start)
{
    const struct buffer *buffer = &p->c->buffers[access->buffer];
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t b = 0; b < planes; b++) {
            struct program_place place = buffer_place(buffer, access_vector(access, i), plane + b);
            uint32_t to = slice_position(p->machine, place.slice);
            to = west ? BASE_MIN(to, at_least) : BASE_MAX(to, at_least);
            if (!reserve_stream(p->reserve, west, stream + b, 1, from, to, start + i)) {
                return false;
            }
        }
    }
    return place_store(p, access, plane, planes, n, from, west, stream, start);
}

bool place_write_any(struct place *p, const struct access *access, uint32_t plane, uint32_t planes,
                     uint32_t n, uint32_t from, bool west, int64_t start, uint32_t *stream)
{
    struct place_mark mark = place_mark(p);
    p->hint = BASE_MAX(p->hint, place_store_shift(p, access, plane, planes, n, from, start));
    if (p->hint > 0) {
        return false;
    }
    for (uint32_t s = 0; s + planes <= ISA_STREAMS; s += planes) {
        if (place_write(p, access, plane, planes, n, from, west, s, from, start)) {
            *stream = s;
            return true;
        }
        place_rollback(p, mark);
        if (p->hint > 0) {
            return false;
        }
    }
    return false;
}
