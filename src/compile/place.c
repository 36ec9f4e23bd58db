/* place, the common pieces: instructions, ways from memory to a unit and back, dependencies. */
#include "compile/place.h"

#define UPDATES_MAX (1u << 22)

struct place_mark place_mark(const struct place *p) {
    return (struct place_mark){reserve_mark(p->reserve), p->push_count, p->update_count};
}

void place_rollback(struct place *p, struct place_mark mark) {
    reserve_rollback(p->reserve, mark.reserve);
    while (p->push_count > mark.pushes) {
        p->c->queues[p->pushes[--p->push_count]].count--;
    }
    p->update_count = mark.updates;
}

bool place_issue(struct place *p, uint32_t queue, int64_t cycle,
                 const struct isa_instruction *instruction) {
    if (!reserve_queue(p->reserve, queue, cycle)) {
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
    q->items[q->count++] = (struct issue){(uint32_t)cycle, *instruction};
    BASE_ASSERT(p->push_count < UPDATES_MAX);
    p->pushes[p->push_count++] = queue;
    return true;
}

uint32_t place_distance(uint32_t a, uint32_t b) { return a > b ? a - b : b - a; }

static void update(struct place *p, uint32_t *cycle, int64_t value) {
    BASE_ASSERT(p->update_count < UPDATES_MAX);
    p->updates[p->update_count++] = (struct place_update){cycle, (uint32_t)value};
}

static bool not_before(struct place *p, int64_t cycle, uint32_t earliest) {
    if (cycle >= (int64_t)earliest) {
        return true;
    }
    p->hint = BASE_MAX(p->hint, (int64_t)earliest - cycle);
    return false;
}

bool place_may_read(struct place *p, struct buffer *buffer, uint32_t vector, int64_t cycle) {
    uint32_t v = buffer->whole ? 0 : vector;
    BASE_ASSERT(buffer->whole || vector < buffer->count);
    if (!not_before(p, cycle, buffer->written[v]) || !not_before(p, cycle, 0)) {
        return false;
    }
    update(p, &buffer->read[v], cycle + 1);
    return true;
}

bool place_may_write(struct place *p, struct buffer *buffer, uint32_t vector, int64_t cycle) {
    uint32_t v = buffer->whole ? 0 : vector;
    BASE_ASSERT(buffer->whole || vector < buffer->count);
    if (!not_before(p, cycle, buffer->read[v]) ||
        (!buffer->whole && !not_before(p, cycle, buffer->written[v]))) {
        return false;
    }
    update(p, &buffer->written[v], cycle + 1);
    return true;
}

struct place_route place_route(const struct place *p, uint32_t buffer, uint32_t position) {
    uint32_t from = slice_position(p->machine, p->c->buffers[buffer].slice);
    return (struct place_route){from > position, position};
}

/* All of a burst's dependencies at once, so that the hint is the whole way to go. */
static bool burst_may(struct place *p, const struct access *access, uint32_t n, int64_t first_cycle,
                      bool write) {
    struct buffer *buffer = &p->c->buffers[access->buffer];
    uint32_t mark = p->update_count;
    bool may = true;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t vector = access_vector(access, i);
        bool ok = write ? place_may_write(p, buffer, vector, first_cycle + i)
                        : place_may_read(p, buffer, vector, first_cycle + i);
        may = may && ok;
    }
    p->update_count = mark;
    return may;
}

/* Issues at a slice; when a burst meets a taken cycle, it cannot start before it has passed it. */
static bool issue_at_slice(struct place *p, const struct buffer *buffer, uint32_t slice, int64_t cycle,
                           const struct isa_instruction *instruction, uint32_t i) {
    if (place_issue(p, slice_queue(p->machine, slice), cycle, instruction)) {
        return true;
    }
    p->hint = BASE_MAX(p->hint, buffer->kind == BUFFER_LINEAR ? (int64_t)i + 1 : 1);
    return false;
}

bool place_read(struct place *p, const struct access *access, uint32_t plane, uint32_t planes,
                uint32_t n, struct place_route route, uint32_t stream, int64_t start) {
    struct buffer *buffer = &p->c->buffers[access->buffer];
    uint32_t near = slice_position(p->machine, buffer->slice);
    int64_t lead = place_distance(near, route.to) + p->machine->mem_read_cycles;
    if (buffer->kind == BUFFER_LINEAR && !burst_may(p, access, n, start - lead, false)) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t vector = access_vector(access, i);
        for (uint32_t b = 0; b < planes; b++) {
            struct program_place place = buffer_place(buffer, vector, plane + b);
            uint32_t from = slice_position(p->machine, place.slice);
            int64_t leaves = start + i - place_distance(from, route.to);
            int64_t issue = leaves - p->machine->mem_read_cycles;
            struct isa_instruction read = {.op = ISA_READ,
                                           .address = place.address,
                                           .d = ISA_STREAM(route.west, stream + b)};
            if (!place_may_read(p, buffer, vector, issue) ||
                !issue_at_slice(p, buffer, place.slice, issue, &read, i) ||
                !reserve_stream(p->reserve, route.west, stream + b, 1, from, route.to, leaves)) {
                return false;
            }
        }
    }
    return true;
}

bool place_read_any(struct place *p, const struct access *access, uint32_t plane, uint32_t planes,
                    uint32_t n, struct place_route route, int64_t start, uint32_t *stream) {
    struct place_mark mark = place_mark(p);
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
                 uint32_t n, uint32_t from, bool west, uint32_t stream, int64_t start) {
    struct buffer *buffer = &p->c->buffers[access->buffer];
    uint32_t near = slice_position(p->machine, buffer->slice);
    if (buffer->kind == BUFFER_LINEAR &&
        !burst_may(p, access, n, start + place_distance(near, from), true)) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t vector = access_vector(access, i);
        for (uint32_t b = 0; b < planes; b++) {
            struct program_place place = buffer_place(buffer, vector, plane + b);
            uint32_t to = slice_position(p->machine, place.slice);
            BASE_ASSERT(west ? to <= from : to >= from);
            int64_t issue = start + i + place_distance(from, to);
            struct isa_instruction write = {.op = ISA_WRITE,
                                            .address = place.address,
                                            .a = ISA_STREAM(west, stream + b)};
            if (!place_may_write(p, buffer, vector, issue) ||
                !issue_at_slice(p, buffer, place.slice, issue, &write, i)) {
                return false;
            }
        }
    }
    return true;
}

bool place_write(struct place *p, const struct access *access, uint32_t plane, uint32_t planes,
                 uint32_t n, uint32_t from, bool west, uint32_t stream, uint32_t at_least,
                 int64_t start) {
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
                     uint32_t n, uint32_t from, bool west, int64_t start, uint32_t *stream) {
    struct place_mark mark = place_mark(p);
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
