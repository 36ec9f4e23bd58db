/* The lines of an assembly file about memory: what it holds before, and what is expected after. */
#include "program/assembler.h"

#include <string.h>

static struct program_token here(const struct assembler *a)
{
    return program_source_peek(&a->source);
}

static void push(struct base_text *list, const void *item, size_t size_bytes)
{
    base_text_append(list, item, size_bytes);
}

/* ---- places, data, expectations -------------------------------------------------------------- */

/* A MEM queue's number is its slice's. */
enum takt_status program_assembler_place(struct assembler *a, struct program_place *place)
{
    uint32_t queue = 0;
    int64_t address = 0;
    struct program_token token = here(a);
    enum takt_status status = program_assembler_queue(a, "a MEM slice, such as mem.e3", &queue);
    if (status == TAKT_OK && machine_queue(&a->program->machine, queue).unit != ISA_UNIT_MEM) {
        status = program_source_refuse(&a->source, token, "a MEM slice, such as mem.e3");
    }
    if (status == TAKT_OK) {
        status = program_source_number(&a->source, "a word address", 0,
                                       (int64_t)a->program->machine.mem_words - 1, &address);
    }
    place->slice = (uint16_t)queue;
    place->address = (uint16_t)address;
    return status;
}

/* A place and the vector that follows it, whose planes lie in `width` slices side by side. */
static enum takt_status get_vector(struct assembler *a, uint32_t width, struct program_place *place)
{
    struct program_token token = here(a);
    enum takt_status status = program_assembler_place(a, place);
    if (status != TAKT_OK) {
        return status;
    }
    const struct machine *machine = &a->program->machine;
    if (place->slice % machine->mem_slices + width > machine->mem_slices) {
        return program_source_refuse(&a->source, token,
                                     "a slice with room for all byte planes in its hemisphere");
    }
    return program_source_vector(&a->source, width, machine_lanes(machine), a->planes);
}

static enum takt_status add_data(struct assembler *a, struct program_token token,
                                 struct program_place place, const uint8_t *bytes)
{
    uint32_t lanes = machine_lanes(&a->program->machine);
    size_t bit = (size_t)place.slice * a->program->machine.mem_words + place.address;
    if ((a->written[bit / 8] >> (bit % 8) & 1) != 0) {
        return program_source_refuse(&a->source, token, "each word of memory once");
    }
    a->written[bit / 8] = (uint8_t)(a->written[bit / 8] | 1u << (bit % 8));
    struct assembler_segment segment;
    size_t count = a->segments.length / sizeof segment;
    if (count > 0) {
        memcpy(&segment, a->segments.data + (count - 1) * sizeof segment, sizeof segment);
    }
    if (count > 0 && segment.slice == place.slice &&
        segment.address + segment.count == place.address) {
        segment.count++;
        memcpy(a->segments.data + (count - 1) * sizeof segment, &segment, sizeof segment);
    } else {
        memset(&segment, 0, sizeof segment);
        segment.slice = place.slice;
        segment.address = place.address;
        segment.count = 1;
        segment.data = a->data.length;
        push(&a->segments, &segment, sizeof segment);
    }
    push(&a->data, bytes, lanes);
    return TAKT_OK;
}

enum takt_status program_assembler_data(struct assembler *a, uint32_t width)
{
    struct program_place place = {0, 0};
    struct program_token token = here(a);
    enum takt_status status = get_vector(a, width, &place);
    for (uint32_t b = 0; b < width && status == TAKT_OK; b++) {
        struct program_place plane = {(uint16_t)(place.slice + b), place.address};
        status = add_data(a, token, plane, a->planes + b * machine_lanes(&a->program->machine));
    }
    return status;
}

/* ".cable A B" */
enum takt_status program_assembler_cable(struct assembler *a)
{
    int64_t ends[2] = {0, 0};
    struct program_token token = here(a);
    enum takt_status status = program_assembler_settle(a);
    const int64_t links = a->program->machine.c2c_links;
    for (uint32_t i = 0; i < 2 && status == TAKT_OK; i++) {
        status = program_source_number(&a->source, "a link", 0, links - 1, &ends[i]);
    }
    if (status != TAKT_OK) {
        return status;
    }
    struct program_cable cable = {(uint32_t)ends[0], (uint32_t)ends[1]};
    bool taken = cable.a == cable.b;
    for (size_t at = 0; at < a->cables.length; at += sizeof cable) {
        struct program_cable other;
        memcpy(&other, a->cables.data + at, sizeof other);
        taken = taken || cable.a == other.a || cable.a == other.b || cable.b == other.a ||
                cable.b == other.b;
    }
    if (taken) {
        return program_source_refuse(&a->source, token, "two links without a cable");
    }
    push(&a->cables, &cable, sizeof cable);
    return program_source_end(&a->source);
}

/* ".upset SLICE ADDRESS SUPERLANE BIT" */
enum takt_status program_assembler_upset(struct assembler *a)
{
    struct program_upset upset;
    int64_t superlane = 0, bit = 0;
    memset(&upset, 0, sizeof upset);
    enum takt_status status = program_assembler_place(a, &upset.place);
    if (status == TAKT_OK) {
        status = program_source_number(&a->source, "a superlane", 0,
                                       (int64_t)a->program->machine.superlanes - 1, &superlane);
    }
    if (status == TAKT_OK) {
        status =
            program_source_number(&a->source, "a bit: 0..127 data, 128..136 ECC", 0, 136, &bit);
    }
    if (status != TAKT_OK) {
        return status;
    }
    upset.superlane = (uint32_t)superlane;
    upset.bit = (uint32_t)bit;
    push(&a->upsets, &upset, sizeof upset);
    return program_source_end(&a->source);
}

/* After "cycles" or "corrected". */
static enum takt_status expect_number(struct assembler *a, const char *what, uint64_t *number)
{
    int64_t value = 0;
    (void)program_source_next(&a->source);
    enum takt_status status = program_source_number(&a->source, what, 0, INT64_MAX, &value);
    *number = (uint64_t)value;
    return status == TAKT_OK ? program_source_end(&a->source) : status;
}

static enum takt_status expect_fault(struct assembler *a, struct program_expectation *expectation)
{
    enum takt_status status = program_source_name(&a->source, "a kind of fault", expectation->fault,
                                                  sizeof expectation->fault);
    while (status == TAKT_OK && here(a).length > 0) {
        struct program_token token = program_source_next(&a->source);
        if (program_token_is(token, "cycle") && !expectation->has_cycle) {
            int64_t cycle = 0;
            status = program_source_number(&a->source, "a cycle", 0, INT64_MAX, &cycle);
            expectation->has_cycle = true;
            expectation->fault_cycle = (uint64_t)cycle;
        } else if (program_token_is(token, "queue") && !expectation->has_queue) {
            status =
                program_assembler_queue(a, "a queue of the machine", &expectation->fault_queue);
            expectation->has_queue = true;
        } else {
            return program_source_refuse(&a->source, token, "cycle N or queue NAME, each once");
        }
    }
    return status;
}

enum takt_status program_assembler_expect(struct assembler *a, uint32_t width)
{
    struct program_expectation expectation;
    memset(&expectation, 0, sizeof expectation);
    expectation.line = a->source.line;
    struct program_token token = here(a);
    enum takt_status status = TAKT_OK;
    if (width == 1 && program_token_is(token, "cycles")) {
        expectation.kind = PROGRAM_EXPECT_CYCLES;
        status = expect_number(a, "cycles", &expectation.cycles);
    } else if (width == 1 && program_token_is(token, "corrected")) {
        expectation.kind = PROGRAM_EXPECT_CORRECTED;
        status = expect_number(a, "bits", &expectation.corrected);
    } else if (width == 1 && program_token_is(token, "fault")) {
        (void)program_source_next(&a->source);
        expectation.kind = PROGRAM_EXPECT_FAULT;
        status = expect_fault(a, &expectation);
    } else {
        struct program_place place = {0, 0};
        status = get_vector(a, width, &place);
        expectation.kind = PROGRAM_EXPECT_MEMORY;
        for (uint32_t b = 0; b < width && status == TAKT_OK; b++) {
            uint32_t lanes = machine_lanes(&a->program->machine);
            expectation.place = (struct program_place){(uint16_t)(place.slice + b), place.address};
            push(&a->expectations, &expectation, sizeof expectation);
            push(&a->expected_data, a->planes + b * lanes, lanes);
        }
        return status;
    }
    if (status == TAKT_OK) {
        push(&a->expectations, &expectation, sizeof expectation);
    }
    return status;
}
