/* MEM slices: one instruction a cycle; a stored vector is what passes the slice at issue. */
#include "chip/internal.h"

#include <string.h>

#define LARGE_BYTES (32u << 20) /* an image beyond it is worth large pages: it is read all over */

uint8_t *chip_mem_word(const struct chip *chip, uint32_t slice, uint32_t address)
{
    return chip->memory + ((size_t)slice * chip->machine.mem_words + address) * (size_t)chip->lanes;
}

static bool in_range(struct chip *chip, const struct chip_queue *queue,
                     const struct chip_word *word, int64_t address)
{
    if (address >= 0 && address < (int64_t)chip->machine.mem_words)
        return true;
    return chip_fault(chip, CHIP_FAULT_RANGE, queue->index, word, queue->repetition,
                      "word address %lld, a slice has 0..%u", (long long)address,
                      chip->machine.mem_words - 1u);
}

/* A vector from one place to another: a Read of a word that may change, a Write. */
static bool copy(struct chip *chip, const struct chip_queue *queue, const struct chip_word *word,
                 const uint8_t *from, uint8_t *to, uint32_t end)
{
    const struct chip_op op = chip_op_of(chip, queue, word);
    const uint32_t operands[2] = {chip_operand(chip, from), chip_operand(chip, to)};
    return chip_compute(chip, &op, operands, 2, end);
}

static bool read_upset(struct chip *chip, struct chip_queue *queue, const struct chip_word *word,
                       uint32_t address, const uint8_t *value)
{
    uint8_t *out = chip_emit(chip, queue, word, word->instruction.d, chip->machine.mem_read_cycles);
    chip_record_break(chip);
    memcpy(out, value, chip->lanes);
    for (uint32_t k = 0; k < queue->lanes_on / MACHINE_LANES_PER_SUPERLANE; k++)
        if (!chip_ecc_read(chip, queue, word, address, k, out + k * MACHINE_LANES_PER_SUPERLANE))
            return false;
    return true;
}

static bool read_word(struct chip *chip, struct chip_queue *queue, const struct chip_word *word)
{
    int64_t address = chip_address(queue, word, word->instruction.address);
    if (!in_range(chip, queue, word, address))
        return false;
    uint32_t stream = word->instruction.d, latency = chip->machine.mem_read_cycles;
    if (chip->check_only) {
        chip_emit_word(chip, queue, word, stream, latency, chip->zeros);
        return true;
    }
    const uint8_t *value = chip_mem_word(chip, queue->slice, (uint32_t)address);
    if (chip->upset_count > 0 && chip_ecc_upset(chip, queue->slice, (uint32_t)address))
        return read_upset(chip, queue, word, (uint32_t)address, value);
    /* It may change while under way, or is not all of the word. */
    if (chip_stores(queue, (uint32_t)address) || queue->lanes_on < chip->lanes)
        return copy(chip, queue, word, value, chip_emit(chip, queue, word, stream, latency),
                    chip->lanes);
    chip_emit_word(chip, queue, word, stream, latency, value);
    return true;
}

static bool write_word(struct chip *chip, struct chip_queue *queue, const struct chip_word *word,
                       uint16_t base)
{
    int64_t address = chip_address(queue, word, base);
    if (!in_range(chip, queue, word, address))
        return false;
    const uint8_t *value = chip_read(chip, queue, word, word->instruction.a);
    if (!value)
        return false;
    if (chip->check_only)
        return true;
    if (!copy(chip, queue, word, value, chip_mem_word(chip, queue->slice, (uint32_t)address),
              queue->lanes_on))
        return false;
    if (chip->upset_count > 0)
        chip_ecc_write(chip, queue->slice, (uint32_t)address, 0,
                       queue->lanes_on / MACHINE_LANES_PER_SUPERLANE);
    return true;
}

static bool read_write(struct chip *chip, struct chip_queue *queue, const struct chip_word *word)
{
    int64_t from = chip_address(queue, word, word->instruction.address);
    int64_t to = chip_address(queue, word, word->instruction.address2);
    if (!in_range(chip, queue, word, from) || !in_range(chip, queue, word, to))
        return false;
    int64_t bank_words = chip->machine.mem_words / 2u;
    int64_t bank_from = from >= bank_words, bank_to = to >= bank_words;
    if (bank_from == bank_to)
        return chip_fault(chip, CHIP_FAULT_BANK_CONFLICT, queue->index, word, queue->repetition,
                          "read of word %lld and write of word %lld are both in bank %lld",
                          (long long)from, (long long)to, (long long)bank_from);
    return read_word(chip, queue, word) &&
           write_word(chip, queue, word, word->instruction.address2);
}

/* The word address superlane k goes to, or -1 to leave it out. */
static bool map_address(struct chip *chip, const struct chip_op *op, const uint8_t *map,
                        uint32_t superlane, bool report, int64_t *address)
{
    const struct chip_word *word = op->word;
    const uint8_t *entry = map + superlane * MACHINE_LANES_PER_SUPERLANE;
    uint32_t offset = (uint32_t)entry[0] | (uint32_t)entry[1] << 8;
    *address = -1;
    if (offset == ISA_SKIP)
        return true;
    *address = (int64_t)word->instruction.address + (int64_t)op->repetition * word->repeat_step +
               (int64_t)offset;
    if (*address >= 0 && *address < (int64_t)chip->machine.mem_words)
        return true;
    return report &&
           chip_fault(chip, CHIP_FAULT_RANGE, op->queue, word, op->repetition,
                      "superlane %u: map entry %u gives word address %lld, a slice has "
                      "0..%u",
                      superlane, offset, (long long)*address, chip->machine.mem_words - 1u);
}

/* Does the whole map name words of the slice, and none from which text is fetched? Every thread
 * looks at all of it, so that all stop at the same op. */
static bool spares_text(struct chip *chip, const struct chip_op *op, const uint8_t *map,
                        const struct chip_range *range)
{
    const uint32_t first = range->text_first[chip->queues[op->queue].slice];
    for (uint32_t k = 0; k < chip->machine.superlanes; k++) {
        int64_t address;
        if (!map_address(chip, op, map, k, false, &address) || address >= (int64_t)first)
            return false;
    }
    return true;
}

/* Superlane by superlane, between the vector and the words of a slice. */
static bool move_superlanes(struct chip *chip, const struct chip_op *op, const uint8_t *map,
                            uint8_t *vector, uint8_t *slice, const struct chip_range *range)
{
    const bool stores = op->word->instruction.op == ISA_SCATTER;
    const uint32_t size = MACHINE_LANES_PER_SUPERLANE;
    if (stores && range->text_first && !spares_text(chip, op, map, range))
        return false;
    for (uint32_t k = range->first / size; k < range->end / size; k++) {
        const size_t first = (size_t)k * size;
        int64_t address;
        if (!map_address(chip, op, map, k, range->report, &address))
            return false;
        uint8_t *word = slice + (size_t)address * chip->lanes + first;
        if (address < 0 && !stores)
            memset(vector + first, 0, size);
        else if (address >= 0 && stores)
            memcpy(word, vector + first, size);
        else if (address >= 0)
            memcpy(vector + first, word, size);
    }
    return true;
}

/* Operands: from, to. Gather: map, the slice's first word, result. Scatter: map, that word, value.
 */
bool chip_mem_value(struct chip *chip, const struct chip_op *op, const uint32_t *operands,
                    const struct chip_range *range)
{
    uint8_t *first = chip_operand_at(chip, operands[0]),
            *second = chip_operand_at(chip, operands[1]);
    enum isa_op code = (enum isa_op)op->word->instruction.op;
    if (code == ISA_GATHER || code == ISA_SCATTER)
        return move_superlanes(chip, op, first, chip_operand_at(chip, operands[2]), second, range);
    memcpy(second + range->first, first + range->first, range->end - range->first);
    return true;
}

/* With upset superlanes: each that the map names is read through its ECC, or gets a new code. */
static bool check_superlanes(struct chip *chip, struct chip_queue *queue, const struct chip_op *op,
                             const uint8_t *map, uint8_t *vector)
{
    for (uint32_t k = 0; k < queue->lanes_on / MACHINE_LANES_PER_SUPERLANE; k++) {
        int64_t address;
        if (!map_address(chip, op, map, k, true, &address))
            return false;
        if (address < 0)
            continue;
        if (op->word->instruction.op == ISA_SCATTER)
            chip_ecc_write(chip, queue->slice, (uint32_t)address, k, 1);
        else if (!chip_ecc_read(chip, queue, op->word, (uint32_t)address, k,
                                vector + (size_t)k * MACHINE_LANES_PER_SUPERLANE))
            return false;
    }
    return true;
}

static bool by_map(struct chip *chip, struct chip_queue *queue, const struct chip_word *word,
                   const uint8_t *map, uint8_t *vector)
{
    const struct chip_op op = chip_op_of(chip, queue, word);
    const uint32_t operands[3] = {chip_operand(chip, map),
                                  chip_operand(chip, chip_mem_word(chip, queue->slice, 0)),
                                  chip_operand(chip, vector)};
    if (!chip_compute(chip, &op, operands, 3, queue->lanes_on))
        return false;
    if (chip->upset_count == 0)
        return true;
    chip_record_break(chip);
    return check_superlanes(chip, queue, &op, map, vector);
}

static bool gather(struct chip *chip, struct chip_queue *queue, const struct chip_word *word)
{
    const uint8_t *map = chip_read(chip, queue, word, word->instruction.map);
    if (!map)
        return false;
    uint8_t *out =
        chip_emit(chip, queue, word, word->instruction.d, chip->machine.mem_gather_cycles);
    return chip->check_only || by_map(chip, queue, word, map, out);
}

static bool scatter(struct chip *chip, struct chip_queue *queue, const struct chip_word *word)
{
    const uint8_t *value = chip_read(chip, queue, word, word->instruction.a);
    const uint8_t *map = value ? chip_read(chip, queue, word, word->instruction.map) : NULL;
    if (!map)
        return false;
    /* The value is read only; the op has one shape for both directions. */
    return chip->check_only || by_map(chip, queue, word, map, (uint8_t *)(uintptr_t)value);
}

bool chip_mem_issue(struct chip *chip, struct chip_queue *queue, const struct chip_word *word)
{
    switch ((enum isa_op)word->instruction.op) {
    case ISA_READ: return read_word(chip, queue, word);
    case ISA_WRITE: return write_word(chip, queue, word, word->instruction.address);
    case ISA_READ_WRITE: return read_write(chip, queue, word);
    case ISA_GATHER: return gather(chip, queue, word);
    case ISA_SCATTER: return scatter(chip, queue, word);
    default: base_assert_failed("a MEM instruction", __FILE__, __LINE__);
    }
}

/* ---- the host's door, between runs ----------------------------------------------------------- */

static uint8_t *place_word(const struct chip *chip, struct program_place place)
{
    BASE_ASSERT(place.slice < 2u * chip->machine.mem_slices);
    BASE_ASSERT(place.address < chip->machine.mem_words);
    return chip_mem_word(chip, place.slice, place.address);
}

void chip_write_word(struct chip *chip, struct program_place place, const uint8_t *word)
{
    if (chip->check_only)
        return;
    memcpy(place_word(chip, place), word, chip->lanes);
    if (chip->upset_count > 0)
        chip_ecc_write(chip, place.slice, place.address, 0, chip->machine.superlanes);
}

void chip_read_word(const struct chip *chip, struct program_place place, uint8_t *word)
{
    if (chip->check_only) {
        memset(word, 0, chip->lanes);
        return;
    }
    memcpy(word, place_word(chip, place), chip->lanes);
    if (chip->upset_count > 0)
        chip_ecc_host_read(chip, place, word);
}

void chip_load_image(struct chip *chip, const struct program_image *image)
{
    if (chip->check_only)
        return;
    uint64_t words = 0;
    for (uint32_t i = 0; i < image->segment_count; i++)
        words += image->segments[i].count;
    if (words * chip->lanes > LARGE_BYTES)
        base_memory_is_large(chip->memory, 2u * (size_t)chip->machine.mem_slices *
                                               chip->machine.mem_words * chip->lanes);
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct program_segment *segment = &image->segments[i];
        if (segment->count == 0)
            continue;
        BASE_ASSERT(segment->slice < 2u * chip->machine.mem_slices);
        BASE_ASSERT((uint64_t)segment->address + segment->count <= chip->machine.mem_words);
        memcpy(chip_mem_word(chip, segment->slice, segment->address), segment->data,
               (size_t)segment->count * chip->lanes);
        for (uint32_t j = 0; chip->upset_count > 0 && j < segment->count; j++)
            chip_ecc_write(chip, segment->slice, segment->address + j, 0, chip->machine.superlanes);
    }
}
