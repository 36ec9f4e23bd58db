/* Buffers and accesses: where a vector of a buffer lies. */
#include "compile/internal.h"

struct program_place buffer_place(const struct buffer *buffer, uint32_t vector, uint32_t plane)
{
    uint32_t slice = buffer->slice, address = buffer->address;
    switch (buffer->kind) {
    case BUFFER_LINEAR:
        slice += plane;
        address += vector;
        break;
    case BUFFER_STRIPE:
        slice += vector % STRIPES;
        address += vector / STRIPES;
        break;
    case BUFFER_SKEW:
        slice += (vector + 4 * plane) % STRIPES;
        address += vector / STRIPES * 4 + plane;
        break;
    }
    return (struct program_place){(uint16_t)slice, (uint16_t)address};
}

uint32_t buffer_words(const struct buffer *buffer)
{
    uint32_t rows = (buffer->count + STRIPES - 1) / STRIPES;
    switch (buffer->kind) {
    case BUFFER_LINEAR: return buffer->count;
    case BUFFER_STRIPE: return rows;
    case BUFFER_SKEW: return rows * 4;
    }
    return 0;
}

uint32_t buffer_slices(const struct buffer *buffer)
{
    return buffer->kind == BUFFER_LINEAR ? buffer->planes : STRIPES;
}

uint32_t access_vector(const struct access *access, uint32_t i)
{
    if (access->first + i < access->n0) { /* most are runs */
        return access->base + (access->first + i) * access->s0;
    }
    uint32_t inner = (access->first + i) % access->n0, rest = (access->first + i) / access->n0;
    return access->base + inner * access->s0 + rest % access->n1 * access->s1 +
           rest / access->n1 * access->s2;
}

struct access access_linear(uint32_t buffer, uint32_t base)
{
    return (struct access){.buffer = buffer, .base = base, .n0 = 1u << 30, .s0 = 1, .n1 = 1};
}

struct access access_constant(uint32_t buffer, uint32_t base)
{
    return (struct access){.buffer = buffer, .base = base, .n0 = 1u << 30, .s0 = 0, .n1 = 1};
}

struct access access_none(void)
{
    return (struct access){.buffer = NONE, .n0 = 1, .n1 = 1};
}

/* Asked for every vector that is placed: no division. */
uint32_t slice_position(const struct machine *machine, uint32_t slice)
{
    bool east = slice >= machine->mem_slices;
    return machine_mem_position(machine, east ? MACHINE_EAST : MACHINE_WEST,
                                east ? slice - machine->mem_slices : slice);
}

uint32_t slice_queue(const struct machine *machine, uint32_t slice)
{
    bool east = slice >= machine->mem_slices;
    return machine_queue_mem(machine, east ? MACHINE_EAST : MACHINE_WEST,
                             east ? slice - machine->mem_slices : slice);
}
