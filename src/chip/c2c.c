/*
 * C2C: links to other chips. A Send puts its vector into the ring at the other end of the cable,
 * stamped with the cycle of its arrival there; the chips that run together take turns within a
 * cycle, and no latency is below one, so the order of the turns shows nowhere.
 */
#include "chip/internal.h"

#include <string.h>

/* ---- creation -------------------------------------------------------------------------------- */

/* Those under way, and those that wait. */
static uint32_t capacity(const struct machine *machine)
{
    return machine->c2c_latency_cycles / machine->c2c_vector_cycles + 2u +
           machine->c2c_buffer_vectors;
}

size_t chip_c2c_bytes(const struct machine *machine)
{
    size_t parcel = sizeof(struct chip_parcel) + machine_lanes(machine);
    return machine->c2c_links * (sizeof(struct chip_link) + capacity(machine) * parcel + 256u) +
           256u;
}

void chip_c2c_create(struct chip *chip)
{
    const uint32_t count = chip->machine.c2c_links;
    chip->link_capacity = capacity(&chip->machine);
    chip->link_arrival = UINT64_MAX;
    chip->links = BASE_NEW(&chip->arena, struct chip_link, count);
    for (uint32_t i = 0; i < count; i++) {
        struct chip_link *link = &chip->links[i];
        link->parcels = BASE_NEW(&chip->arena, struct chip_parcel, chip->link_capacity);
        link->vectors = base_arena_alloc(&chip->arena, chip->link_capacity, chip->lanes);
    }
}

void chip_c2c_reset(struct chip *chip)
{
    chip->link_arrival = UINT64_MAX;
    for (uint32_t i = 0; i < chip->machine.c2c_links; i++) {
        struct chip_link *link = &chip->links[i];
        link->free_from = 0;
        link->first = link->count = link->waiting = 0;
    }
}

enum takt_status chip_connect(struct chip *a, uint32_t link_a, struct chip *b, uint32_t link_b,
                              struct takt_error *error)
{
    if (link_a >= a->machine.c2c_links || link_b >= b->machine.c2c_links ||
        (a == b && link_a == link_b))
        return base_fail(error, TAKT_USAGE,
                         "a cable from link %u to link %u: the chips have %u and %u links", link_a,
                         link_b, a->machine.c2c_links, b->machine.c2c_links);
    if (a->links[link_a].peer || b->links[link_b].peer)
        return base_fail(error, TAKT_USAGE, "a cable from link %u to link %u: one has a cable",
                         link_a, link_b);
    char hash_a[17], hash_b[17];
    machine_hash(&a->machine, hash_a);
    machine_hash(&b->machine, hash_b);
    if (strcmp(hash_a, hash_b) != 0)
        return base_fail(error, TAKT_USAGE, "a cable between chips of two machines, %s and %s",
                         a->machine.name, b->machine.name);
    a->links[link_a].peer = b;
    a->links[link_a].peer_link = link_b;
    b->links[link_b].peer = a;
    b->links[link_b].peer_link = link_a;
    return TAKT_OK;
}

/* ---- the receiving end ----------------------------------------------------------------------- */

static struct chip_parcel *parcel(struct chip *chip, struct chip_link *link, uint32_t i,
                                  uint8_t **vector)
{
    const uint32_t slot = (link->first + i) % chip->link_capacity;
    *vector = link->vectors + (size_t)slot * chip->lanes;
    return &link->parcels[slot];
}

/* The queue that a fault of the link itself is told of. */
static uint32_t queue_of(const struct chip *chip, uint32_t link)
{
    return machine_queue_sxm(&chip->machine, link % 2u, ISA_UNIT_C2C, 0);
}

bool chip_c2c_arrive(struct chip *chip)
{
    chip->link_arrival = UINT64_MAX;
    for (uint32_t i = 0; i < chip->machine.c2c_links; i++) {
        struct chip_link *link = &chip->links[i];
        uint8_t *vector;
        while (link->waiting < link->count) {
            const struct chip_parcel *next = parcel(chip, link, link->waiting, &vector);
            if (next->arrival > chip->cycle) {
                chip->link_arrival = BASE_MIN(chip->link_arrival, next->arrival);
                break;
            }
            if (link->waiting == chip->machine.c2c_buffer_vectors)
                return chip_fault(chip, CHIP_FAULT_LINK, queue_of(chip, i), next->word, 0,
                                  "link %u: a vector arrives and %u wait in its buffer", i,
                                  link->waiting);
            link->waiting++;
        }
    }
    return true;
}

bool chip_c2c_check_end(struct chip *chip)
{
    for (uint32_t i = 0; i < chip->machine.c2c_links; i++) {
        struct chip_link *link = &chip->links[i];
        uint8_t *vector;
        if (link->count > 0)
            return chip_fault(chip, CHIP_FAULT_LINK, queue_of(chip, i),
                              parcel(chip, link, 0, &vector)->word, 0,
                              "link %u: the program has ended and nobody received %u of its "
                              "vectors",
                              i, link->count);
    }
    return true;
}

/* ---- instructions ---------------------------------------------------------------------------- */

static bool send(struct chip *chip, struct chip_queue *queue, const struct chip_word *word)
{
    const uint32_t index = word->instruction.imm;
    struct chip_link *link = &chip->links[index];
    if (!link->peer)
        return chip_fault(chip, CHIP_FAULT_LINK, queue->index, word, queue->repetition,
                          "link %u has no cable", index);
    if (chip->cycle < link->free_from)
        return chip_fault(chip, CHIP_FAULT_LINK, queue->index, word, queue->repetition,
                          "link %u carries a vector until cycle %llu", index,
                          (unsigned long long)link->free_from);
    const uint8_t *value = chip_read(chip, queue, word, word->instruction.a);
    if (!value)
        return false;
    link->free_from = chip->cycle + chip->machine.c2c_vector_cycles;
    struct chip *peer = link->peer;
    struct chip_link *end = &peer->links[link->peer_link];
    uint8_t *vector;
    if (end->count == chip->link_capacity) /* the other chip has ended, or has not begun */
        return chip_fault(chip, CHIP_FAULT_LINK, queue->index, word, queue->repetition,
                          "link %u: nobody takes its vectors at the other end", index);
    struct chip_parcel *sent = parcel(peer, end, end->count++, &vector);
    const uint64_t arrival = chip->started + chip->cycle + chip->machine.c2c_latency_cycles;
    sent->arrival = arrival > peer->started ? arrival - peer->started : 0;
    sent->word = word;
    if (!chip->check_only)
        memcpy(vector, value, chip->lanes);
    peer->link_arrival = BASE_MIN(peer->link_arrival, sent->arrival);
    return true;
}

static bool receive(struct chip *chip, struct chip_queue *queue, const struct chip_word *word)
{
    const uint32_t index = word->instruction.imm;
    struct chip_link *link = &chip->links[index];
    uint8_t *vector;
    if (link->waiting == 0)
        return chip_fault(chip, CHIP_FAULT_LINK, queue->index, word, queue->repetition,
                          "link %u: no vector has arrived", index);
    (void)parcel(chip, link, 0, &vector);
    uint8_t *out =
        chip_emit(chip, queue, word, word->instruction.d, chip->machine.c2c_receive_cycles);
    if (!chip->check_only)
        memcpy(out, vector, chip->lanes);
    link->first = (link->first + 1u) % chip->link_capacity;
    link->count--;
    link->waiting--;
    return true;
}

/* The queue's next issue is one cycle after `wake`. */
static void deskew(struct chip *chip, struct chip_queue *queue)
{
    const uint64_t period = chip->machine.c2c_deskew_cycles, now = chip->started + chip->cycle;
    queue->wake = (now / period + 1u) * period - chip->started - 1u;
}

bool chip_c2c_issue(struct chip *chip, struct chip_queue *queue, const struct chip_word *word)
{
    chip_record_break(chip);
    switch ((enum isa_op)word->instruction.op) {
    case ISA_SEND: return send(chip, queue, word);
    case ISA_RECEIVE: return receive(chip, queue, word);
    case ISA_DESKEW: deskew(chip, queue); return true;
    default: base_assert_failed("a C2C instruction", __FILE__, __LINE__);
    }
}
