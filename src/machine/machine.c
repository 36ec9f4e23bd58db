/*
 * A machine's parameters and what follows from them: the floor plan, and the numbers and names of
 * the instruction queues. Files are in text.c, the manual in manual.c.
 */
#include "machine/machine.h"

#include <string.h>

/* SXM queues of a hemisphere in order: permute, distributors, transposers, shifters, rotate,
 * links. */
#define FIRST_DISTRIBUTOR 1u
#define FIRST_TRANSPOSER (FIRST_DISTRIBUTOR + MACHINE_DISTRIBUTORS)
#define FIRST_SHIFTER (FIRST_TRANSPOSER + MACHINE_TRANSPOSERS)
#define ROTATOR (FIRST_SHIFTER + MACHINE_SHIFTERS)
#define FIRST_LINK (ROTATOR + 1u)
#define MXM_QUEUES_PER_PLANE 3u
#define MXM_QUEUES (MXM_QUEUES_PER_PLANE * MACHINE_PLANES)
#define VXM_ALUS (MACHINE_VXM_ROWS * MACHINE_VXM_COLUMNS)
#define MXM_POSITIONS 1u /* each side */
#define SXM_POSITIONS 2u /* each side */

_Static_assert(FIRST_LINK + MACHINE_LINK_QUEUES == MACHINE_SXM_QUEUES, "queues of the SXM and C2C");
_Static_assert(MACHINE_VXM_STAGES == 2 * MACHINE_VXM_COLUMNS + 1, "two stages a column and one");

/* ---- parameters ------------------------------------------------------------------------------ */

enum parameter_index {
#define MACHINE_PARAM(member, ...) PARAMETER_##member,
#include "machine/machine.def"
#undef MACHINE_PARAM
    PARAMETER_COUNT
};

static const struct machine_parameter parameters[] = {
#define MACHINE_PARAM(member, standard, minimum, maximum, unit, mark, doc)                         \
    {#member, unit, doc, standard, minimum, maximum, #mark[0]},
#include "machine/machine.def"
#undef MACHINE_PARAM
};

#define MACHINE_PARAM(member, standard, minimum, maximum, ...)                                     \
    _Static_assert((minimum) <= (standard) && (standard) <= (maximum), #member " out of bounds");
#include "machine/machine.def"
#undef MACHINE_PARAM

uint32_t machine_parameter_count(void)
{
    return PARAMETER_COUNT;
}

const struct machine_parameter *machine_parameter(uint32_t index)
{
    BASE_ASSERT(index < PARAMETER_COUNT);
    return &parameters[index];
}

uint32_t machine_parameter_get(const struct machine *machine, uint32_t index)
{
    switch (index) {
#define MACHINE_PARAM(member, ...)                                                                 \
    case PARAMETER_##member:                                                                       \
        return machine->member;
#include "machine/machine.def"
#undef MACHINE_PARAM
    default: break;
    }
    BASE_ASSERT(index < PARAMETER_COUNT);
    return 0;
}

void machine_parameter_put(struct machine *machine, uint32_t index, uint32_t value)
{
    switch (index) {
#define MACHINE_PARAM(member, ...)                                                                 \
    case PARAMETER_##member:                                                                       \
        machine->member = value;                                                                   \
        return;
#include "machine/machine.def"
#undef MACHINE_PARAM
    default: break;
    }
    BASE_ASSERT(index < PARAMETER_COUNT);
}

bool machine_parameter_find(const char *name, uint32_t *index)
{
    for (uint32_t i = 0; i < PARAMETER_COUNT; i++) {
        if (strcmp(parameters[i].name, name) == 0) {
            *index = i;
            return true;
        }
    }
    return false;
}

void machine_tsp1(struct machine *machine)
{
    memset(machine, 0, sizeof *machine);
    memcpy(machine->name, "tsp1", sizeof "tsp1");
    for (uint32_t i = 0; i < PARAMETER_COUNT; i++) {
        machine_parameter_put(machine, i, parameters[i].standard);
    }
}

/* ---- check and hash -------------------------------------------------------------------------- */

static enum takt_status check_name(const struct machine *machine, struct takt_error *error)
{
    size_t length = 0;
    while (length < sizeof machine->name && machine->name[length] != '\0') {
        unsigned char c = (unsigned char)machine->name[length];
        if (c < 0x20 || c > 0x7e || c == '"') {
            return base_fail(error, TAKT_FORMAT,
                             "machine: byte 0x%02x in the name; use printable ASCII without quotes",
                             c);
        }
        length++;
    }
    if (length == 0 || length == sizeof machine->name) {
        return base_fail(error, TAKT_FORMAT, "machine: the name must have 1 to %zu characters",
                         sizeof machine->name - 1);
    }
    return TAKT_OK;
}

enum takt_status machine_check(const struct machine *machine, struct takt_error *error)
{
    enum takt_status status = check_name(machine, error);
    if (status != TAKT_OK) {
        return status;
    }
    for (uint32_t i = 0; i < PARAMETER_COUNT; i++) {
        uint32_t value = machine_parameter_get(machine, i);
        if (value < parameters[i].minimum || value > parameters[i].maximum) {
            return base_fail(error, TAKT_LIMIT, "machine %s: %s = %u is outside %u..%u %s",
                             machine->name, parameters[i].name, value, parameters[i].minimum,
                             parameters[i].maximum, parameters[i].unit);
        }
    }
    if (machine->mem_slices % MACHINE_SLICES_PER_POSITION != 0) {
        return base_fail(error, TAKT_LIMIT, "machine %s: mem_slices = %u is not a multiple of %u",
                         machine->name, machine->mem_slices, MACHINE_SLICES_PER_POSITION);
    }
    if (machine->mem_words % 2 != 0) {
        return base_fail(error, TAKT_LIMIT,
                         "machine %s: mem_words = %u is odd; the two banks are equal halves",
                         machine->name, machine->mem_words);
    }
    uint32_t positions = machine_positions(machine);
    if (positions > MACHINE_POSITIONS_MAX) {
        return base_fail(error, TAKT_LIMIT,
                         "machine %s: mem_slices = %u with io_positions = %u makes %u stream "
                         "positions, more than %u; lower either",
                         machine->name, machine->mem_slices, machine->io_positions, positions,
                         MACHINE_POSITIONS_MAX);
    }
    return TAKT_OK;
}

static uint64_t fnv1a(uint64_t hash, const void *data, size_t size_bytes)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size_bytes; i++) {
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

void machine_hash(const struct machine *machine, char hex[17])
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (uint32_t i = 0; i < PARAMETER_COUNT; i++) {
        uint32_t value = machine_parameter_get(machine, i);
        const unsigned char bytes[4] = {
            (unsigned char)(value & 255u), (unsigned char)(value >> 8 & 255u),
            (unsigned char)(value >> 16 & 255u), (unsigned char)(value >> 24)};
        hash = fnv1a(hash, parameters[i].name, strlen(parameters[i].name) + 1);
        hash = fnv1a(hash, bytes, sizeof bytes);
    }
    for (int digit = 0; digit < 16; digit++) {
        hex[digit] = "0123456789abcdef"[hash >> (60 - 4 * digit) & 15u];
    }
    hex[16] = '\0';
}

/* ---- floor plan ------------------------------------------------------------------------------ */

static uint32_t mem_positions(const struct machine *machine)
{
    return machine->mem_slices / MACHINE_SLICES_PER_POSITION;
}

uint32_t machine_lanes(const struct machine *machine)
{
    return machine->superlanes * MACHINE_LANES_PER_SUPERLANE;
}

uint32_t machine_positions(const struct machine *machine)
{
    uint32_t side = MXM_POSITIONS + SXM_POSITIONS + machine->io_positions + mem_positions(machine);
    return 2 * side + MACHINE_VXM_STAGES;
}

uint32_t machine_vxm_position(const struct machine *machine)
{
    return MXM_POSITIONS + SXM_POSITIONS + machine->io_positions + mem_positions(machine);
}

uint32_t machine_mem_position(const struct machine *machine, uint32_t hemisphere, uint32_t slice)
{
    BASE_ASSERT(hemisphere <= MACHINE_EAST && slice < machine->mem_slices);
    uint32_t distance = slice / MACHINE_SLICES_PER_POSITION;
    uint32_t vxm = machine_vxm_position(machine);
    return hemisphere == MACHINE_WEST ? vxm - 1 - distance : vxm + MACHINE_VXM_STAGES + distance;
}

uint32_t machine_vxm_read_position(const struct machine *machine, uint32_t column, bool west)
{
    BASE_ASSERT(column < MACHINE_VXM_COLUMNS);
    return machine_vxm_position(machine) + 2 * column + (west ? 2 : 0);
}

uint32_t machine_vxm_write_position(const struct machine *machine, uint32_t column)
{
    BASE_ASSERT(column < MACHINE_VXM_COLUMNS);
    return machine_vxm_position(machine) + 2 * column + 1;
}

uint32_t machine_sxm_position(const struct machine *machine, uint32_t hemisphere)
{
    BASE_ASSERT(hemisphere <= MACHINE_EAST);
    uint32_t inner = MXM_POSITIONS + SXM_POSITIONS - 1;
    return hemisphere == MACHINE_WEST ? inner : machine_positions(machine) - 1 - inner;
}

uint32_t machine_c2c_position(const struct machine *machine, uint32_t hemisphere)
{
    BASE_ASSERT(hemisphere <= MACHINE_EAST);
    uint32_t outermost = machine_mem_position(machine, hemisphere, machine->mem_slices - 1);
    return hemisphere == MACHINE_WEST ? outermost - 1 : outermost + 1;
}

uint32_t machine_mxm_position(const struct machine *machine, uint32_t hemisphere)
{
    BASE_ASSERT(hemisphere <= MACHINE_EAST);
    return hemisphere == MACHINE_WEST ? 0 : machine_positions(machine) - 1;
}

bool machine_vxm_row_reaches(uint32_t row, uint32_t stream)
{
    BASE_ASSERT(row < MACHINE_VXM_ROWS && stream < ISA_STREAMS);
    return ((stream / 4 + 8 - 2 * row) & 7u) < 4;
}

bool machine_vxm_is_large(uint32_t alu)
{
    BASE_ASSERT(alu < VXM_ALUS);
    const uint32_t large =
        1u << 0 | 1u << 2 | 1u << 5 | 1u << 7 | 1u << 8 | 1u << 10 | 1u << 13 | 1u << 15;
    return (large >> alu & 1u) != 0;
}

/* ---- queues ---------------------------------------------------------------------------------- */

static uint32_t first_sxm_queue(const struct machine *machine)
{
    return 2 * machine->mem_slices;
}

static uint32_t first_mxm_queue(const struct machine *machine)
{
    return first_sxm_queue(machine) + 2 * MACHINE_SXM_QUEUES;
}

static uint32_t first_vxm_queue(const struct machine *machine)
{
    return first_mxm_queue(machine) + 2 * MXM_QUEUES;
}

uint32_t machine_queue_count(const struct machine *machine)
{
    return first_vxm_queue(machine) + VXM_ALUS;
}

uint32_t machine_queue_mem(const struct machine *machine, uint32_t hemisphere, uint32_t slice)
{
    BASE_ASSERT(hemisphere <= MACHINE_EAST && slice < machine->mem_slices);
    return hemisphere * machine->mem_slices + slice;
}

uint32_t machine_queue_vxm(const struct machine *machine, uint32_t alu)
{
    BASE_ASSERT(alu < VXM_ALUS);
    return first_vxm_queue(machine) + alu;
}

uint32_t machine_queue_mxm(const struct machine *machine, uint32_t hemisphere, uint32_t plane,
                           enum isa_unit unit)
{
    BASE_ASSERT(hemisphere <= MACHINE_EAST && plane < MACHINE_PLANES);
    BASE_ASSERT(unit >= ISA_UNIT_MXM_WEIGHTS && unit <= ISA_UNIT_MXM_RESULTS);
    return first_mxm_queue(machine) + hemisphere * MXM_QUEUES + plane * MXM_QUEUES_PER_PLANE +
           (uint32_t)(unit - ISA_UNIT_MXM_WEIGHTS);
}

uint32_t machine_queue_sxm(const struct machine *machine, uint32_t hemisphere, enum isa_unit unit,
                           uint32_t index)
{
    BASE_ASSERT(hemisphere <= MACHINE_EAST);
    uint32_t first = first_sxm_queue(machine) + hemisphere * MACHINE_SXM_QUEUES;
    switch (unit) {
    case ISA_UNIT_SXM_PERMUTE: BASE_ASSERT(index == 0); return first;
    case ISA_UNIT_SXM_DISTRIBUTE:
        BASE_ASSERT(index < MACHINE_DISTRIBUTORS);
        return first + FIRST_DISTRIBUTOR + index;
    case ISA_UNIT_SXM_SHIFT:
        BASE_ASSERT(index < MACHINE_SHIFTERS);
        return first + FIRST_SHIFTER + index;
    case ISA_UNIT_SXM_ROTATE: BASE_ASSERT(index == 0); return first + ROTATOR;
    case ISA_UNIT_C2C: BASE_ASSERT(index < MACHINE_LINK_QUEUES); return first + FIRST_LINK + index;
    default:
        BASE_ASSERT(unit == ISA_UNIT_SXM_TRANSPOSE && index < MACHINE_TRANSPOSERS);
        return first + FIRST_TRANSPOSER + index;
    }
}

static struct machine_queue sxm_queue(uint32_t hemisphere, uint32_t offset)
{
    struct machine_queue queue = {ISA_UNIT_C2C, hemisphere, offset - FIRST_LINK};
    if (offset < FIRST_DISTRIBUTOR) {
        queue.unit = ISA_UNIT_SXM_PERMUTE;
        queue.index = 0;
    } else if (offset < FIRST_TRANSPOSER) {
        queue.unit = ISA_UNIT_SXM_DISTRIBUTE;
        queue.index = offset - FIRST_DISTRIBUTOR;
    } else if (offset < FIRST_SHIFTER) {
        queue.unit = ISA_UNIT_SXM_TRANSPOSE;
        queue.index = offset - FIRST_TRANSPOSER;
    } else if (offset < ROTATOR) {
        queue.unit = ISA_UNIT_SXM_SHIFT;
        queue.index = offset - FIRST_SHIFTER;
    } else if (offset < FIRST_LINK) {
        queue.unit = ISA_UNIT_SXM_ROTATE;
        queue.index = 0;
    }
    return queue;
}

struct machine_queue machine_queue(const struct machine *machine, uint32_t queue)
{
    BASE_ASSERT(queue < machine_queue_count(machine));
    struct machine_queue result = {ISA_UNIT_MEM, 0, 0};
    if (queue < first_sxm_queue(machine)) {
        result.hemisphere = queue / machine->mem_slices;
        result.index = queue % machine->mem_slices;
    } else if (queue < first_mxm_queue(machine)) {
        uint32_t offset = queue - first_sxm_queue(machine);
        result = sxm_queue(offset / MACHINE_SXM_QUEUES, offset % MACHINE_SXM_QUEUES);
    } else if (queue < first_vxm_queue(machine)) {
        uint32_t offset = queue - first_mxm_queue(machine);
        result.unit = (enum isa_unit)(ISA_UNIT_MXM_WEIGHTS + offset % MXM_QUEUES_PER_PLANE);
        result.hemisphere = offset / MXM_QUEUES;
        result.index = offset % MXM_QUEUES / MXM_QUEUES_PER_PLANE;
    } else {
        result.index = queue - first_vxm_queue(machine);
        result.unit = machine_vxm_is_large(result.index) ? ISA_UNIT_VXM_LARGE : ISA_UNIT_VXM;
    }
    return result;
}

bool machine_queue_accepts(enum isa_unit queue_unit, enum isa_op op)
{
    enum isa_unit unit = isa_op_info(op)->unit;
    return unit == ISA_UNIT_ICU || unit == queue_unit ||
           (unit == ISA_UNIT_VXM && queue_unit == ISA_UNIT_VXM_LARGE);
}

void machine_queue_name(const struct machine *machine, uint32_t queue, char name[32])
{
    struct machine_queue place = machine_queue(machine, queue);
    char side = place.hemisphere == MACHINE_WEST ? 'w' : 'e';
    switch (place.unit) {
    case ISA_UNIT_MEM: (void)snprintf(name, 32, "mem.%c%u", side, place.index); break;
    case ISA_UNIT_VXM:
    case ISA_UNIT_VXM_LARGE: (void)snprintf(name, 32, "vxm.%u", place.index); break;
    case ISA_UNIT_MXM_WEIGHTS:
        (void)snprintf(name, 32, "mxm.%c%u.weights", side, place.index);
        break;
    case ISA_UNIT_MXM_ACTIVATIONS:
        (void)snprintf(name, 32, "mxm.%c%u.activations", side, place.index);
        break;
    case ISA_UNIT_MXM_RESULTS:
        (void)snprintf(name, 32, "mxm.%c%u.results", side, place.index);
        break;
    case ISA_UNIT_SXM_PERMUTE: (void)snprintf(name, 32, "sxm.%c.permute", side); break;
    case ISA_UNIT_SXM_DISTRIBUTE:
        (void)snprintf(name, 32, "sxm.%c.distribute%u", side, place.index);
        break;
    case ISA_UNIT_SXM_TRANSPOSE:
        (void)snprintf(name, 32, "sxm.%c.transpose%u", side, place.index);
        break;
    case ISA_UNIT_SXM_SHIFT: (void)snprintf(name, 32, "sxm.%c.shift%u", side, place.index); break;
    case ISA_UNIT_SXM_ROTATE: (void)snprintf(name, 32, "sxm.%c.rotate", side); break;
    default: (void)snprintf(name, 32, "c2c.%c%u", side, place.index); break;
    }
}

/* "mem.e3": answered from the digits, since a listing of a memory image names a slice a line. */
static bool find_mem_queue(const struct machine *machine, const char *name, uint32_t *queue)
{
    if (strncmp(name, "mem.", 4) != 0 || (name[4] != 'w' && name[4] != 'e')) {
        return false;
    }
    const char *digits = name + 5;
    size_t length = strlen(digits);
    if (length < 1 || length > 2 || (digits[0] == '0' && length > 1)) {
        return false;
    }
    uint32_t slice = 0;
    for (size_t i = 0; i < length; i++) {
        if (digits[i] < '0' || digits[i] > '9') {
            return false;
        }
        slice = slice * 10 + (uint32_t)(digits[i] - '0');
    }
    if (slice >= machine->mem_slices) {
        return false;
    }
    *queue = machine_queue_mem(machine, name[4] == 'w' ? MACHINE_WEST : MACHINE_EAST, slice);
    return true;
}

bool machine_queue_find(const struct machine *machine, const char *name, uint32_t *queue)
{
    if (find_mem_queue(machine, name, queue)) {
        return true;
    }
    for (uint32_t i = first_sxm_queue(machine); i < machine_queue_count(machine); i++) {
        char candidate[32];
        machine_queue_name(machine, i, candidate);
        if (strcmp(candidate, name) == 0) {
            *queue = i;
            return true;
        }
    }
    return false;
}
