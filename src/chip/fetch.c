/*
 * Fetching: which part of its text a queue's buffer holds. The text was decoded when the program
 * was loaded; what an Ifetch takes from the stream is compared with the bytes that were decoded.
 * Equal bytes are the same instructions. Where they differ (someone changed the text in memory, or
 * the vectors that passed are others), the queue gets a text of its own, with the fetched bytes in
 * it, decoded anew; that it is a copy on the heap does not matter, for no sound program comes here.
 */
#include "chip/internal.h"

#include <stdlib.h>
#include <string.h>

static const struct chip_queue_text *text_of(const struct chip_queue *queue)
{
    return queue->own ? queue->own : queue->text;
}

void chip_fetch_reset(struct chip *chip, struct chip_queue *queue, const struct chip_text *text)
{
    chip_fetch_drop(queue);
    queue->text = &text->queues[queue->index];
    queue->words = queue->text->words;
    queue->count = queue->text->count;
    queue->stored = queue->text->stored;
    queue->scatter_first = queue->text->scatter_first;
    queue->available = queue->count;
    queue->blocks_taken = queue->blocks_held = 0;
    if (chip->machine.icu_buffer_blocks > 0 && queue->count > 0) {
        queue->blocks_taken = queue->blocks_held = 1;
        queue->available = queue->text->held[1];
    }
}

void chip_fetch_drop(struct chip_queue *queue)
{
    if (queue->own) {
        free(queue->own->words);
        free(queue->own->starts);
        free(queue->own->packed);
        free(queue->own->held);
        free(queue->own);
    }
    queue->own = NULL;
}

bool chip_fetched_other_text(const struct chip *chip)
{
    return chip->other_text;
}

/* The queue's next word is not in its buffer as far as is known: is it by now? */
bool chip_fetch_arrive(struct chip *chip, struct chip_queue *queue)
{
    const struct chip_queue_text *text = text_of(queue);
    while (queue->blocks_held < queue->blocks_taken &&
           queue->ready[queue->blocks_held % CHIP_FETCHES] <= chip->cycle)
        queue->blocks_held++;
    if (text->held)
        queue->available = text->held[queue->blocks_held];
    if (queue->next < queue->available)
        return true;
    const struct chip_word *last = &queue->words[queue->count - 1u];
    if (text->flaw && text->starts[queue->count] < queue->blocks_held * 2u * chip->lanes)
        return chip_fault(chip, CHIP_FAULT_ILLEGAL, queue->index, last, 0,
                          "after this the queue fetched: %s", text->flaw);
    if (text->held && queue->blocks_held < text->block_count)
        return chip_fault(chip, CHIP_FAULT_LATE_FETCH, queue->index,
                          queue->next < queue->count ? &queue->words[queue->next] : NULL, 0,
                          "this is not in the queue's buffer: of %u blocks of its text, %u are "
                          "there and %u under way",
                          text->block_count, queue->blocks_held,
                          queue->blocks_taken - queue->blocks_held);
    return chip_fault(chip, CHIP_FAULT_DRY_QUEUE, queue->index, last, 0,
                      "no instruction after the last of %u, which must be a sync", queue->count);
}

/* ---- text that is not what was decoded ------------------------------------------------------- */

static void *copy(const void *data, size_t used, size_t bytes)
{
    uint8_t *memory = calloc(bytes, 1);
    BASE_ASSERT(memory != NULL); /* some kilobytes, in a case no sound program has */
    memcpy(memory, data, used);
    return memory;
}

static struct chip_queue_text *own_text(struct chip_queue *queue, uint32_t block_bytes)
{
    const struct chip_queue_text *from = queue->text;
    const size_t bytes = (size_t)from->block_count * block_bytes;
    struct chip_queue_text *own = copy(from, sizeof *from, sizeof *from);
    own->stored = NULL; /* not known any more */
    /* An instruction takes a byte at least. */
    own->words =
        copy(from->words, from->count * sizeof *from->words, (bytes + 1u) * sizeof *from->words);
    own->starts = copy(from->starts, (from->count + 1u) * sizeof *from->starts,
                       (bytes + 2u) * sizeof *from->starts);
    own->packed = copy(from->packed, bytes, bytes + ISA_PACKED_MAX);
    own->held = copy(from->held, 0, (from->block_count + 1u) * sizeof *from->held);
    return own;
}

/* What a Read of this slice put on its way without a copy must not change under it. */
static void detach(struct chip *chip, const struct chip_queue *queue)
{
    const uint8_t *first = chip_mem_word(chip, queue->slice, 0);
    const uint8_t *end = first + (size_t)chip->machine.mem_words * chip->lanes;
    for (uint32_t i = 0; i < CHIP_STREAMS * chip->ring; i++) {
        struct chip_slot *slot = &chip->slots[i];
        if (slot->data >= first && slot->data < end)
            slot->data = memcpy(chip_buffer(chip, slot->buffer), slot->data, chip->lanes);
    }
    for (uint32_t bucket = 0; bucket < CHIP_LANDINGS; bucket++) {
        for (uint32_t i = 0; i < chip->landing_count[bucket]; i++) {
            struct chip_landing *landing =
                &chip->landings[(size_t)bucket * chip->landing_capacity + i];
            if (landing->data < first || landing->data >= end)
                continue;
            landing->buffer = chip->free_buffers[--chip->free_count];
            landing->data = memcpy(chip_buffer(chip, landing->buffer), landing->data, chip->lanes);
        }
    }
}

/* Decodes what follows the queue's present word, from its own bytes. */
static void decode_again(struct chip *chip, struct chip_queue *queue)
{
    struct chip_queue_text *own = queue->own;
    const uint32_t block_bytes = 2u * chip->lanes;
    const uint32_t size = own->block_count * block_bytes;
    uint32_t at = own->starts[queue->next + 1u];
    own->count = queue->next + 1u;
    own->flaw = NULL;
    while (at < size) {
        struct isa_instruction instruction;
        uint32_t used;
        bool any = false; /* after the last instruction there are zeros */
        for (uint32_t i = at; i < size && !any; i++)
            any = own->packed[i] != 0;
        if (!any)
            break;
        if (isa_unpack(own->packed + at, size - at, &instruction, &used, NULL) != TAKT_OK)
            own->flaw = "bytes that are no instruction";
        else
            own->flaw = chip_text_add(&chip->machine, queue->index, &instruction, own);
        if (own->flaw)
            break;
        at += used;
        own->starts[own->count] = at;
    }
    chip_text_find_held(own, block_bytes);
    queue->words = own->words;
    queue->count = own->count;
    queue->scatter_first = 0; /* whatever it does now */
    queue->available = own->held[queue->blocks_held];
}

static void change_text(struct chip *chip, struct chip_queue *queue, const uint8_t *first,
                        const uint8_t *second)
{
    chip->other_text = true;
    if (!queue->own) {
        queue->own = own_text(queue, 2u * chip->lanes);
        if (queue->unit.unit == ISA_UNIT_MEM)
            detach(chip, queue);
    }
    uint8_t *block = queue->own->packed + (size_t)queue->blocks_taken * 2u * chip->lanes;
    memcpy(block, first, chip->lanes);
    memcpy(block + chip->lanes, second, chip->lanes);
    decode_again(chip, queue);
}

/* ---- the instruction ------------------------------------------------------------------------- */

static bool has_room(struct chip *chip, struct chip_queue *queue, const struct chip_word *word)
{
    const struct chip_queue_text *text = text_of(queue);
    const uint32_t blocks = chip->machine.icu_buffer_blocks;
    if (blocks == 0)
        return chip_fault(chip, CHIP_FAULT_FETCH, queue->index, word, 0,
                          "the queues of this machine hold all of their text");
    if (queue->blocks_taken == text->block_count)
        return chip_fault(chip, CHIP_FAULT_FETCH, queue->index, word, 0,
                          "all %u blocks of the queue's text have been fetched", text->block_count);
    const uint32_t first = text->starts[queue->next] / (2u * chip->lanes);
    if (queue->blocks_taken - first >= blocks)
        return chip_fault(chip, CHIP_FAULT_FETCH, queue->index, word, 0,
                          "the buffer of %u blocks is full: blocks %u to %u", blocks, first,
                          queue->blocks_taken - 1u);
    return true;
}

bool chip_fetch_issue(struct chip *chip, struct chip_queue *queue, const struct chip_word *word)
{
    const size_t lanes = chip->lanes;
    uint8_t *first = chip->halves + queue->index * lanes;
    if (queue->repetition == 0 && !has_room(chip, queue, word))
        return false;
    const uint8_t *vector = chip_read(chip, queue, word, word->instruction.a);
    chip->trimmed_count = 0;
    if (!vector)
        return false;
    queue->wake++;
    const uint8_t *text = text_of(queue)->packed + queue->blocks_taken * 2u * lanes;
    /* Where ops are skipped, places hold what later ones left there; that the text was the
     * program's is known. */
    const bool known = chip->check_only || chip->skip > 0;
    if (queue->repetition == 0) {
        memcpy(first, known ? text : vector, lanes);
        chip_record_fetch(chip, queue, vector, text);
        queue->repetition = 1;
        return true;
    }
    const bool same =
        (known || !memcmp(vector, text + lanes, lanes)) && !memcmp(first, text, lanes);
    chip_record_fetch(chip, queue, vector, text + lanes);
    if (!same)
        change_text(chip, queue, first, known ? text + lanes : vector);
    queue->ready[queue->blocks_taken % CHIP_FETCHES] = chip->cycle + chip->machine.icu_fetch_cycles;
    queue->blocks_taken++;
    queue->repetition = 0;
    queue->next++;
    return true;
}
