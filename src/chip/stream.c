/* Streams: slots by diagonal, and the wheel of results that are on their way to them. */
#include "chip/internal.h"

#include <string.h>

static uint32_t stream_ring(const struct machine *machine)
{
    uint32_t ring = 1;
    while (ring < machine_positions(machine))
        ring *= 2;
    return ring;
}

/*
 * Most results that reach streams in one cycle: a MEM queue can have a Read and a Gather land
 * together; an ALU and a result queue land one group of four; of the SXM queues a Transpose or a
 * Rotate lands 16.
 */
static uint32_t landing_capacity(const struct machine *machine)
{
    return 2u * 2u * machine->mem_slices + 4u * MACHINE_VXM_ROWS * MACHINE_VXM_COLUMNS +
           4u * CHIP_PLANES +
           2u * (1u + MACHINE_DISTRIBUTORS + 16u * MACHINE_TRANSPOSERS + 2u * MACHINE_SHIFTERS +
                 16u + MACHINE_LINK_QUEUES);
}

static uint32_t longest_latency(const struct machine *machine)
{
    uint32_t longest = BASE_MAX(machine->mem_read_cycles, machine->mem_gather_cycles);
    longest = BASE_MAX(longest, machine->vxm_cycles);
    longest = BASE_MAX(longest, machine->mxm_emit_cycles);
    longest = BASE_MAX(longest, machine->sxm_permute_cycles);
    longest = BASE_MAX(longest, machine->sxm_distribute_cycles);
    longest = BASE_MAX(longest, machine->c2c_receive_cycles);
    longest = BASE_MAX(longest, machine->sxm_shift_cycles);
    longest = BASE_MAX(longest, machine->sxm_rotate_cycles);
    return BASE_MAX(longest, machine->sxm_transpose_cycles);
}

/* Every slot holds a buffer of its own, plus those of results under way. */
static uint32_t buffer_count(const struct machine *machine)
{
    return CHIP_STREAMS * stream_ring(machine) +
           (longest_latency(machine) + 1u) * landing_capacity(machine);
}

size_t chip_stream_bytes(const struct machine *machine)
{
    size_t stride = (machine_lanes(machine) + 63u) / 64u * 64u;
    return buffer_count(machine) * (stride + sizeof(uint32_t)) +
           (size_t)CHIP_STREAMS * stream_ring(machine) * sizeof(struct chip_slot) +
           (size_t)CHIP_LANDINGS * landing_capacity(machine) * sizeof(struct chip_landing) + 1024u;
}

void chip_stream_create(struct chip *chip)
{
    const struct machine *machine = &chip->machine;
    BASE_ASSERT(longest_latency(machine) < CHIP_LANDINGS);
    BASE_ASSERT(machine_positions(machine) <= UINT8_MAX);
    chip->ring = stream_ring(machine);
    chip->landing_capacity = landing_capacity(machine);
    chip->buffer_count = buffer_count(machine);
    chip->slots = BASE_NEW(&chip->arena, struct chip_slot, (size_t)CHIP_STREAMS * chip->ring);
    chip->landings =
        BASE_NEW(&chip->arena, struct chip_landing, (size_t)CHIP_LANDINGS * chip->landing_capacity);
    chip->free_buffers = BASE_NEW(&chip->arena, uint32_t, chip->buffer_count);
    chip->buffers = base_arena_alloc(&chip->arena, chip->buffer_count, chip->stride_bytes);
}

void chip_stream_reset(struct chip *chip)
{
    uint32_t slot_count = CHIP_STREAMS * chip->ring;
    for (uint32_t i = 0; i < slot_count; i++)
        chip->slots[i] = (struct chip_slot){INT64_MIN, UINT64_MAX, NULL, i};
    chip->free_count = 0;
    for (uint32_t buffer = chip->buffer_count; buffer > slot_count; buffer--)
        chip->free_buffers[chip->free_count++] = buffer - 1u;
    memset(chip->landing_count, 0, sizeof chip->landing_count);
}

bool chip_stream_land(struct chip *chip)
{
    uint32_t bucket = (uint32_t)(chip->cycle & (CHIP_LANDINGS - 1u));
    uint32_t count = chip->landing_count[bucket];
    const struct chip_landing *landings = chip->landings + (size_t)bucket * chip->landing_capacity;
    chip->landing_count[bucket] = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct chip_landing *landing = &landings[i];
        int64_t diagonal = chip_diagonal(chip->cycle, landing->stream, landing->position);
        struct chip_slot *slot = chip_slot(chip, landing->stream, diagonal);
        if (slot->landed == chip->cycle && slot->diagonal == diagonal)
            return chip_fault(
                chip, CHIP_FAULT_TWO_PRODUCERS, landing->queue, landing->word, landing->repetition,
                "stream %c%u at position %u takes a second result this cycle",
                ISA_STREAM_WEST(landing->stream) ? 'w' : 'e',
                (unsigned)ISA_STREAM_INDEX(landing->stream), (unsigned)landing->position);
        if (landing->buffer != CHIP_NO_BUFFER) {
            chip->free_buffers[chip->free_count++] = slot->buffer;
            slot->buffer = landing->buffer;
        }
        slot->data = landing->data;
        slot->diagonal = diagonal;
        slot->landed = chip->cycle;
    }
    return true;
}

static struct chip_landing *new_landing(struct chip *chip, const struct chip_queue *queue,
                                        const struct chip_word *word, uint32_t stream,
                                        uint32_t latency)
{
    uint32_t bucket = (uint32_t)((chip->cycle + latency) & (CHIP_LANDINGS - 1u));
    uint32_t index = chip->landing_count[bucket]++;
    BASE_ASSERT(index < chip->landing_capacity);
    struct chip_landing *landing = &chip->landings[(size_t)bucket * chip->landing_capacity + index];
    landing->word = word;
    landing->repetition = queue->repetition;
    landing->queue = (uint16_t)queue->index;
    landing->stream = (uint8_t)stream;
    landing->position = (uint8_t)queue->write;
    return landing;
}

uint8_t *chip_emit(struct chip *chip, const struct chip_queue *queue, const struct chip_word *word,
                   uint32_t stream, uint32_t latency)
{
    struct chip_landing *landing = new_landing(chip, queue, word, stream, latency);
    if (chip->check_only) {
        landing->buffer = CHIP_NO_BUFFER;
        landing->data = chip->zeros;
        return chip->scratch;
    }
    BASE_ASSERT(chip->free_count > 0);
    landing->buffer = chip->free_buffers[--chip->free_count];
    uint8_t *data = chip_buffer(chip, landing->buffer);
    landing->data = data;
    if (queue->lanes_on < chip->lanes) {
        BASE_ASSERT(chip->given_count < CHIP_TRIMMED);
        chip->given[chip->given_count++] = data;
    }
    return data;
}

void chip_emit_word(struct chip *chip, const struct chip_queue *queue, const struct chip_word *word,
                    uint32_t stream, uint32_t latency, const uint8_t *data)
{
    struct chip_landing *landing = new_landing(chip, queue, word, stream, latency);
    landing->buffer = CHIP_NO_BUFFER;
    landing->data = data;
}

bool chip_stream_empty(struct chip *chip, const struct chip_queue *queue,
                       const struct chip_word *word, uint32_t stream, uint32_t position)
{
    return chip_fault(chip, CHIP_FAULT_EMPTY_SLOT, queue->index, word, queue->repetition,
                      "stream %c%u at position %u holds no value",
                      ISA_STREAM_WEST(stream) ? 'w' : 'e', (unsigned)ISA_STREAM_INDEX(stream),
                      position);
}
