/* ICU: what issues from the queues in each cycle. Their text is decoded in text.c, fetched in
 * fetch.c. */
#include "chip/internal.h"

#include <string.h>

/* ---- queues ---------------------------------------------------------------------------------- */

/* Marks the queue to be looked at when it next issues; far wakes are looked at again on the way. */
static void arm(struct chip *chip, const struct chip_queue *queue)
{
    uint64_t ahead = queue->wake - chip->cycle;
    uint64_t cycle = ahead < CHIP_RING ? queue->wake : chip->cycle + CHIP_RING - 1u;
    chip->ready[cycle & (CHIP_RING - 1u)][queue->index / 64u] |= UINT64_C(1)
                                                                 << (queue->index % 64u);
}

void chip_icu_reset(struct chip *chip, const struct chip_text *text)
{
    chip->running = 0;
    chip->notifies = 0;
    chip->last_park = 0;
    memset(chip->ready, 0, sizeof chip->ready);
    memset(chip->events, 0, sizeof chip->events);
    for (uint32_t i = 0; i < chip->queue_count; i++) {
        struct chip_queue *queue = &chip->queues[i];
        chip_fetch_reset(chip, queue, text);
        queue->next = 0;
        queue->repetition = 0;
        queue->issued = 0;
        queue->parked = false;
        queue->lanes_on = chip->lanes;
        queue->wake = 0;
        if (queue->count == 0)
            continue;
        chip->running++;
        arm(chip, queue);
    }
}

/*
 * A Notify arrives: the queues parked before this cycle issue in it. One that is parked at its last
 * word has nothing left to issue and stays.
 */
void chip_icu_release(struct chip *chip)
{
    chip->notifies--;
    for (uint32_t i = 0; i < chip->queue_count; i++) {
        struct chip_queue *queue = &chip->queues[i];
        if (!queue->parked || queue->next + 1u >= queue->count)
            continue;
        queue->parked = false;
        queue->next++;
        queue->wake = chip->cycle;
        chip->running++;
        arm(chip, queue);
    }
}

static bool issue_icu(struct chip *chip, struct chip_queue *queue, const struct chip_word *word)
{
    uint64_t cycle = chip->cycle + chip->machine.notify_cycles;
    switch ((enum isa_op)word->instruction.op) {
    case ISA_NOP:
        chip->issued--; /* nothing is issued */
        queue->next++;
        queue->wake += word->instruction.count;
        break;
    case ISA_SYNC:
        queue->parked = true;
        chip->running--;
        chip->last_park = chip->cycle;
        return true;
    case ISA_NOTIFY:
        /* Two in one cycle are one release. */
        if (!(chip->events[cycle & (CHIP_EVENTS - 1u)] & CHIP_EVENT_NOTIFY))
            chip->notifies++;
        chip->events[cycle & (CHIP_EVENTS - 1u)] |= CHIP_EVENT_NOTIFY;
        queue->next++;
        queue->wake++;
        break;
    case ISA_CONFIG:
        if (word->instruction.count > chip->machine.superlanes)
            return chip_fault(chip, CHIP_FAULT_RANGE, queue->index, word, 0,
                              "%u superlanes, the machine has %u",
                              (unsigned)word->instruction.count, chip->machine.superlanes);
        queue->lanes_on = word->instruction.count * MACHINE_LANES_PER_SUPERLANE;
        queue->next++;
        queue->wake++;
        break;
    case ISA_IFETCH:
        if (!chip_fetch_issue(chip, queue, word))
            return false;
        break;
    default: base_assert_failed("an ICU instruction", __FILE__, __LINE__);
    }
    arm(chip, queue);
    return true;
}

static bool issue_unit(struct chip *chip, struct chip_queue *queue, const struct chip_word *word)
{
    switch (queue->unit.unit) {
    case ISA_UNIT_MEM: return chip_mem_issue(chip, queue, word);
    case ISA_UNIT_VXM:
    case ISA_UNIT_VXM_LARGE: return chip_vxm_issue(chip, queue, word);
    case ISA_UNIT_MXM_WEIGHTS:
    case ISA_UNIT_MXM_ACTIVATIONS:
    case ISA_UNIT_MXM_RESULTS: return chip_mxm_issue(chip, queue, word);
    case ISA_UNIT_SXM_PERMUTE:
    case ISA_UNIT_SXM_DISTRIBUTE:
    case ISA_UNIT_SXM_TRANSPOSE:
    case ISA_UNIT_SXM_SHIFT:
    case ISA_UNIT_SXM_ROTATE: return chip_sxm_issue(chip, queue, word);
    case ISA_UNIT_C2C: return chip_c2c_issue(chip, queue, word);
    case ISA_UNIT_ICU:
    case ISA_UNIT_COUNT: break;
    }
    base_assert_failed("a queue with a unit", __FILE__, __LINE__);
}

bool chip_icu_issue(struct chip *chip, struct chip_queue *queue)
{
    if (queue->wake > chip->cycle) {
        arm(chip, queue);
        return true;
    }
    if (queue->next >= queue->available && !chip_fetch_arrive(chip, queue))
        return false;
    const struct chip_word *word = &queue->words[queue->next];
    chip->issued++;
    if (word->instruction.op <= ISA_IFETCH)
        return issue_icu(chip, queue, word);
    queue->issued++;
    if (!issue_unit(chip, queue, word))
        return false;
    if (queue->lanes_on < chip->lanes) {
        chip_config_trim(chip, queue);
        chip_record_break(chip);
    }
    if (queue->repetition < word->repeat_count) {
        queue->repetition++;
        queue->wake += word->repeat_delay;
    } else {
        queue->repetition = 0;
        queue->next++;
        queue->wake++;
    }
    arm(chip, queue);
    return true;
}
