/* The chip: creation, and the clock. Read stream.c and icu.c next, then the units. */
#include "chip/internal.h"

#include <string.h>

/* ---- creation -------------------------------------------------------------------------------- */

static size_t arena_bytes(const struct machine *machine, bool check_only)
{
    size_t lanes = machine_lanes(machine);
    return sizeof(struct chip) +
           machine_queue_count(machine) * (sizeof(struct chip_queue) + lanes) +
           (check_only ? 0u : 2u * (size_t)machine->mem_slices * machine->mem_words * lanes) +
           chip_stream_bytes(machine) + chip_mxm_bytes(machine) + chip_c2c_bytes(machine) +
           4u * lanes * sizeof(uint32_t) + CHIP_PERMUTATIONS * sizeof(struct chip_permutation) +
           (2u + CHIP_TRIMMED) * (lanes + 64u) + 8192u;
}

static void place_queue(const struct machine *machine, struct chip_queue *queue, uint32_t index)
{
    queue->index = index;
    queue->unit = machine_queue(machine, index);
    uint32_t hemisphere = queue->unit.hemisphere, position = 0;
    switch (queue->unit.unit) {
    case ISA_UNIT_MEM:
        position = machine_mem_position(machine, hemisphere, queue->unit.index);
        queue->slice = hemisphere * machine->mem_slices + queue->unit.index;
        break;
    case ISA_UNIT_VXM:
    case ISA_UNIT_VXM_LARGE: {
        uint32_t column = queue->unit.index % MACHINE_VXM_COLUMNS;
        queue->read_east = machine_vxm_read_position(machine, column, false);
        queue->read_west = machine_vxm_read_position(machine, column, true);
        queue->write = machine_vxm_write_position(machine, column);
        return;
    }
    case ISA_UNIT_MXM_WEIGHTS:
    case ISA_UNIT_MXM_ACTIVATIONS:
    case ISA_UNIT_MXM_RESULTS:
        position = machine_mxm_position(machine, hemisphere);
        queue->plane = hemisphere * MACHINE_PLANES + queue->unit.index;
        break;
    case ISA_UNIT_SXM_PERMUTE:
    case ISA_UNIT_SXM_DISTRIBUTE:
    case ISA_UNIT_SXM_TRANSPOSE:
    case ISA_UNIT_SXM_SHIFT:
    case ISA_UNIT_SXM_ROTATE: position = machine_sxm_position(machine, hemisphere); break;
    case ISA_UNIT_C2C: position = machine_c2c_position(machine, hemisphere); break;
    case ISA_UNIT_ICU:
    case ISA_UNIT_COUNT: break;
    }
    queue->read_east = queue->read_west = queue->write = position;
}

static enum takt_status create(struct chip **out, const struct machine *machine, bool check_only,
                               struct takt_error *error)
{
    *out = NULL;
    enum takt_status status = machine_check(machine, error);
    if (status != TAKT_OK)
        return status;
    struct base_arena arena = {0};
    status = base_arena_create(&arena, arena_bytes(machine, check_only), error);
    if (status != TAKT_OK)
        return status;
    struct chip *chip = BASE_NEW(&arena, struct chip, 1);
    chip->arena = arena;
    chip->machine = *machine;
    chip->lanes = machine_lanes(machine);
    chip->stride_bytes = (chip->lanes + 63u) / 64u * 64u;
    chip->queue_count = machine_queue_count(machine);
    chip->kernel = chip_kernel_best();
    chip->check_only = check_only;
    BASE_ASSERT(chip->lanes <= MACHINE_LANES_MAX);
    BASE_ASSERT(chip->queue_count <= 64u * CHIP_QUEUE_WORDS);
    chip->queues = BASE_NEW(&chip->arena, struct chip_queue, chip->queue_count);
    for (uint32_t i = 0; i < chip->queue_count; i++)
        place_queue(machine, &chip->queues[i], i);
    chip->work_d = BASE_NEW(&chip->arena, uint32_t, chip->lanes);
    chip->whole = (struct chip_range){
        .end = chip->lanes,
        .lanes_on = chip->lanes,
        .report = true,
        .a = BASE_NEW(&chip->arena, uint32_t, chip->lanes),
        .b = BASE_NEW(&chip->arena, uint32_t, chip->lanes),
        .d = BASE_NEW(&chip->arena, uint32_t, chip->lanes),
        .permutations = BASE_NEW(&chip->arena, struct chip_permutation, CHIP_PERMUTATIONS)};
    chip_stream_create(chip);
    chip_mxm_create(chip);
    chip_c2c_create(chip);
    chip->zeros = BASE_NEW(&chip->arena, uint8_t, chip->stride_bytes);
    chip->trimmed = BASE_NEW(&chip->arena, uint8_t, CHIP_TRIMMED * chip->stride_bytes);
    chip->halves = base_arena_alloc(&chip->arena, chip->queue_count, chip->lanes);
    chip->scratch = BASE_NEW(&chip->arena, uint8_t, chip->stride_bytes);
    if (!check_only)
        chip->memory = base_arena_alloc(
            &chip->arena, 2u * (size_t)machine->mem_slices * machine->mem_words, chip->lanes);
    *out = chip;
    return TAKT_OK;
}

enum takt_status chip_create(struct chip **chip, const struct machine *machine,
                             struct takt_error *error)
{
    return create(chip, machine, false, error);
}

enum takt_status chip_create_check_only(struct chip **chip, const struct machine *machine,
                                        struct takt_error *error)
{
    return create(chip, machine, true, error);
}

void chip_destroy(struct chip *chip)
{
    if (!chip)
        return;
    for (uint32_t i = 0; i < chip->queue_count; i++)
        chip_fetch_drop(&chip->queues[i]);
    chip_team_destroy(chip->team);
    struct base_arena arena = chip->arena; /* the chip lies in it */
    base_arena_destroy(&arena);
}

uint64_t chip_instructions_issued(const struct chip *chip)
{
    return chip->issued;
}

uint64_t chip_queue_issued(const struct chip *chip, uint32_t queue)
{
    BASE_ASSERT(queue < chip->queue_count);
    return chip->queues[queue].issued;
}

/* ---- the clock ------------------------------------------------------------------------------- */

/* What reaches its place at the start of a cycle without an instruction. */
static void arrive(struct chip *chip)
{
    uint32_t index = (uint32_t)(chip->cycle & (CHIP_EVENTS - 1u));
    uint32_t events = chip->events[index];
    if (events == 0)
        return;
    chip->events[index] = 0;
    for (uint32_t plane = 0; plane < CHIP_PLANES; plane++) {
        if (events & CHIP_EVENT_INSTALL(plane))
            chip_mxm_install(chip, plane);
        if (events & CHIP_EVENT_RESULT(plane)) {
            chip->arrived |= 1u << plane;
            chip->results_pending--;
        }
    }
    if (events & CHIP_EVENT_NOTIFY)
        chip_icu_release(chip);
}

static bool issue(struct chip *chip)
{
    uint64_t *ready = chip->ready[chip->cycle & (CHIP_RING - 1u)];
    for (uint32_t i = 0; i < CHIP_QUEUE_WORDS; i++) {
        uint64_t queues = ready[i];
        ready[i] = 0;
        for (; queues != 0; queues &= queues - 1u) {
            uint32_t queue = 64u * i + (uint32_t)__builtin_ctzll(queues);
            if (!chip_icu_issue(chip, &chip->queues[queue]))
                return false;
        }
    }
    return true;
}

/* Every queue is parked and no Notify is under way: is that the end, or will nothing ever move? */
static bool check_end(struct chip *chip)
{
    for (uint32_t i = 0; i < chip->queue_count; i++) {
        const struct chip_queue *queue = &chip->queues[i];
        if (queue->count > 0 && queue->next + 1u < queue->count)
            return chip_fault(chip, CHIP_FAULT_DEADLOCK, i, &queue->words[queue->next], 0,
                              "every queue is parked, no notify is under way, and %u words follow",
                              queue->count - queue->next - 1u);
    }
    /* A result still under way has nobody to take it. */
    while (chip->results_pending > 0) {
        chip->cycle++;
        arrive(chip);
        if (!chip_mxm_end_cycle(chip))
            return false;
    }
    return true;
}

/* One cycle; *ended when it was the last. */
static bool tick(struct chip *chip, bool *ended)
{
    arrive(chip);
    if (chip->cycle >= chip->link_arrival && !chip_c2c_arrive(chip))
        return false;
    if (!chip_stream_land(chip) || !issue(chip))
        return false;
    if (chip->arrived && !chip_mxm_end_cycle(chip))
        return false;
    if (chip->running == 0 && chip->notifies == 0) {
        *ended = true;
        return check_end(chip);
    }
    chip->cycle++;
    return true;
}

static enum takt_status check_text(struct chip *chip, const struct chip_text *text,
                                   struct takt_error *error)
{
    if (chip->fault.kind != CHIP_FAULT_NONE)
        return chip_fault_report(chip, error);
    char wanted[17], given[17];
    machine_hash(&text->machine, wanted);
    machine_hash(&chip->machine, given);
    if (strcmp(wanted, given) != 0)
        return base_fail(error, TAKT_FORMAT,
                         "the program was compiled for machine %s (%s), the chip is %s (%s)",
                         text->machine.name, wanted, chip->machine.name, given);
    return TAKT_OK;
}

static void start(struct chip *chip, const struct chip_text *text)
{
    chip->cycle = 0;
    chip_stream_reset(chip);
    chip_mxm_reset(chip);
    chip_c2c_reset(chip);
    chip_icu_reset(chip, text);
}

uint64_t chip_cycles_taken(const struct chip *chip)
{
    bool any = false;
    for (uint32_t i = 0; i < chip->queue_count; i++)
        any = any || chip->queues[i].count > 0;
    return any ? chip->last_park + 1u : 0;
}

enum takt_status chip_run(struct chip *chip, const struct chip_text *text, uint64_t *cycles,
                          struct takt_error *error)
{
    *cycles = 0;
    chip->number = 0;
    chip->started = 0;
    enum takt_status status = check_text(chip, text, error);
    if (status != TAKT_OK)
        return status;
    chip->other_text = false;
    const struct chip_trace *trace = chip_trace_of(chip, text);
    chip->skip = 0;
    if (trace && chip_replay(chip, trace, &chip->skip)) {
        *cycles = trace->cycles;
        return TAKT_OK;
    }
    if (chip->fault.kind != CHIP_FAULT_NONE)
        return chip_fault_report(chip, error);
    const uint64_t issued_before = chip->issued;
    start(chip, text);
    if (!trace)
        chip_record_begin(chip, text);
    bool sound = true;
    for (bool ended = false; !ended && sound;)
        sound = tick(chip, &ended);
    sound = sound && chip_c2c_check_end(chip);
    chip_record_end(chip, text, sound, issued_before);
    chip->skip = 0;
    if (!sound)
        return chip_fault_report(chip, error);
    *cycles = chip_cycles_taken(chip);
    return TAKT_OK;
}

/* All chips' cycle `now` of the common clock; *running counts down. */
static bool tick_together(struct chip_party *parties, uint32_t count, uint64_t now,
                          uint32_t *running, uint32_t *faulty)
{
    for (uint32_t i = 0; i < count; i++) {
        struct chip_party *party = &parties[i];
        if (party->ended || now < party->start)
            continue;
        if (!tick(party->chip, &party->ended)) {
            *faulty = i;
            return false;
        }
        *running -= party->ended;
    }
    return true;
}

enum takt_status chip_run_together(struct chip_party *parties, uint32_t count,
                                   struct takt_error *error)
{
    uint32_t running = count, faulty = 0;
    for (uint32_t i = 0; i < count; i++) {
        parties[i].ended = false;
        parties[i].cycles = 0;
        parties[i].chip->number = i;
        parties[i].chip->other_text = false;
        parties[i].chip->started = parties[i].start;
        enum takt_status status = check_text(parties[i].chip, parties[i].text, error);
        if (status != TAKT_OK)
            return status;
        start(parties[i].chip, parties[i].text);
    }
    for (uint64_t now = 0; running > 0; now++)
        if (!tick_together(parties, count, now, &running, &faulty))
            return chip_fault_report(parties[faulty].chip, error);
    for (uint32_t i = 0; i < count; i++) {
        if (!chip_c2c_check_end(parties[i].chip))
            return chip_fault_report(parties[i].chip, error);
        parties[i].cycles = chip_cycles_taken(parties[i].chip);
    }
    return TAKT_OK;
}
