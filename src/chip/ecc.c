/*
 * ECC of the memory: nine bits for each sixteen bytes (a superlane of a word), a Hamming code of
 * eight bits and the parity of the whole: one wrong bit is put right on the way to the stream and
 * counted, two are a machine check.
 *
 * A word that nothing upset holds, by definition, the code of its data: its check would find
 * nothing and change nothing. So codes are neither stored nor checked but for the superlanes that
 * chip_upset named, which are listed here with their nine bits until a store or the host puts new
 * data (and with it a new code) there. Everything else costs one comparison.
 */
#include "chip/internal.h"

#include <string.h>

#define DATA_BITS 128u
#define PARITY_BIT 0x100u /* of the nine */

/* The eight bits of the code that data bit i changes: the numbers from 3 on that are not a power of
 * two, so that each tells itself from the others and from a wrong check bit. The last is 136. */
static uint32_t column(uint32_t bit)
{
    uint32_t value = bit + 3u;
    for (uint32_t power = 4; power <= value; power *= 2u)
        value++;
    return value;
}

static uint32_t parity(uint32_t bits)
{
    return (uint32_t)__builtin_parity(bits);
}

uint32_t chip_ecc_encode(const uint8_t data[16])
{
    uint32_t code = 0, ones = 0;
    for (uint32_t bit = 0; bit < DATA_BITS; bit++) {
        if ((uint32_t)data[bit / 8u] >> (bit % 8u) & 1u) {
            code ^= column(bit);
            ones++;
        }
    }
    return code | ((ones & 1u) ^ parity(code) ? PARITY_BIT : 0u);
}

enum chip_ecc chip_ecc_decode(uint8_t data[16], uint32_t code)
{
    const uint32_t made = chip_ecc_encode(data);
    const uint32_t syndrome = (made ^ code) & 0xFFu;
    /* The parity of all 137 bits as they are: even when nothing, or an even number, is wrong. */
    const bool odd = parity((made ^ code) & PARITY_BIT) ^ parity(syndrome);
    if (!odd)
        return syndrome == 0 ? CHIP_ECC_RIGHT : CHIP_ECC_WRONG;
    if ((syndrome & (syndrome - 1u)) == 0) /* a check bit or the parity itself */
        return CHIP_ECC_CORRECTED;
    for (uint32_t bit = 0; bit < DATA_BITS; bit++) {
        if (column(bit) == syndrome) {
            data[bit / 8u] ^= (uint8_t)(1u << (bit % 8u));
            return CHIP_ECC_CORRECTED;
        }
    }
    return CHIP_ECC_WRONG; /* three bits or more */
}

/* ---- superlanes that were upset -------------------------------------------------------------- */

static struct chip_upset *find(struct chip *chip, uint32_t slice, uint32_t address,
                               uint32_t superlane)
{
    for (uint32_t i = 0; i < chip->upset_count; i++) {
        struct chip_upset *upset = &chip->upsets[i];
        if (upset->slice == slice && upset->address == address && upset->superlane == superlane)
            return upset;
    }
    return NULL;
}

enum takt_status chip_upset(struct chip *chip, struct program_place place, uint32_t superlane,
                            uint32_t bit, struct takt_error *error)
{
    const struct machine *machine = &chip->machine;
    if (chip->check_only)
        return base_fail(error, TAKT_USAGE, "an upset of a chip without values");
    if (place.slice >= 2u * machine->mem_slices || place.address >= machine->mem_words ||
        superlane >= machine->superlanes || bit >= CHIP_ECC_BITS)
        return base_fail(error, TAKT_USAGE,
                         "an upset of slice %u, word %u, superlane %u, bit %u: no such bit",
                         place.slice, place.address, superlane, bit);
    uint8_t *data = chip_mem_word(chip, place.slice, place.address) +
                    (size_t)superlane * MACHINE_LANES_PER_SUPERLANE;
    struct chip_upset *upset = find(chip, place.slice, place.address, superlane);
    if (!upset) {
        if (chip->upset_count == CHIP_UPSETS)
            return base_fail(error, TAKT_LIMIT, "more than %u superlanes with upsets", CHIP_UPSETS);
        upset = &chip->upsets[chip->upset_count++];
        *upset = (struct chip_upset){place.slice, place.address, superlane, chip_ecc_encode(data)};
    }
    if (bit < DATA_BITS)
        data[bit / 8u] ^= (uint8_t)(1u << (bit % 8u));
    else
        upset->code ^= 1u << (bit - DATA_BITS);
    return TAKT_OK;
}

bool chip_ecc_upset(const struct chip *chip, uint32_t slice, uint32_t address)
{
    for (uint32_t i = 0; i < chip->upset_count; i++)
        if (chip->upsets[i].slice == slice && chip->upsets[i].address == address)
            return true;
    return false;
}

bool chip_ecc_read(struct chip *chip, const struct chip_queue *queue, const struct chip_word *word,
                   uint32_t address, uint32_t superlane, uint8_t *data)
{
    const struct chip_upset *upset = find(chip, queue->slice, address, superlane);
    if (!upset)
        return true;
    const enum chip_ecc outcome = chip_ecc_decode(data, upset->code);
    chip->corrected += outcome == CHIP_ECC_CORRECTED;
    return outcome != CHIP_ECC_WRONG ||
           chip_fault(chip, CHIP_FAULT_MACHINE_CHECK, queue->index, word, queue->repetition,
                      "word %u, superlane %u: more than one bit is wrong", address, superlane);
}

void chip_ecc_write(struct chip *chip, uint32_t slice, uint32_t address, uint32_t first,
                    uint32_t count)
{
    for (uint32_t i = 0; i < chip->upset_count;) {
        const struct chip_upset *upset = &chip->upsets[i];
        if (upset->slice == slice && upset->address == address && upset->superlane >= first &&
            upset->superlane - first < count)
            chip->upsets[i] = chip->upsets[--chip->upset_count];
        else
            i++;
    }
}

void chip_ecc_host_read(const struct chip *chip, struct program_place place, uint8_t *word)
{
    for (uint32_t i = 0; i < chip->upset_count; i++) {
        const struct chip_upset *upset = &chip->upsets[i];
        if (upset->slice == place.slice && upset->address == place.address)
            (void)chip_ecc_decode(word + (size_t)upset->superlane * MACHINE_LANES_PER_SUPERLANE,
                                  upset->code);
    }
}

uint64_t chip_errors_corrected(const struct chip *chip)
{
    return chip->corrected;
}
