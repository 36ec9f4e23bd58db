/*
 * Decode: from text to issues in their cycles.
 *
 * Requires: a program that program_check accepts. Fills in: code. Queues run until they park; the
 * earliest Notify under way then releases those that were parked before it arrives, as chip.h says.
 */
#include "inspect/inspect.h"

#include <string.h>

struct runner {        /* one queue */
    uint32_t position; /* word of text */
    uint32_t words;    /* put down so far */
    uint64_t now;
    uint64_t unit_issues;
    bool parked, done;
};

struct decoder {
    struct inspect *inspect;
    struct runner *runners;
    uint64_t *releases; /* of Notifies under way */
    uint32_t release_count, release_capacity;
    uint64_t issue_count;
};

size_t inspect_code_bytes(const struct program *program)
{
    size_t words = 0;
    for (uint32_t q = 0; q < program->queue_count; q++) {
        words += program->queue_words[q];
    }
    return words * (2 * sizeof(struct inspect_word) + 2 * sizeof(uint64_t));
}

static struct inspect_word *add_word(struct decoder *d, uint32_t queue,
                                     const struct isa_instruction *instruction)
{
    struct inspect_code *code = &d->inspect->code;
    struct runner *r = &d->runners[queue];
    struct inspect_word *word = &code->words[code->word_first[queue] + r->words++];
    *word = (struct inspect_word){.instruction = *instruction,
                                  .cycle = (uint32_t)r->now,
                                  .count = 1,
                                  .delay = 1,
                                  .first = (uint32_t)r->unit_issues};
    d->issue_count++;
    return word;
}

static void put_word(struct decoder *d, uint32_t queue, const struct isa_instruction *instruction)
{
    struct runner *r = &d->runners[queue];
    struct isa_instruction in = *instruction;
    if (in.op == ISA_READ_WRITE) {
        in.op = ISA_READ;
        (void)add_word(d, queue, &in);
        in.op = ISA_WRITE;
        in.address = in.address2;
        add_word(d, queue, &in)->second = true;
    } else {
        (void)add_word(d, queue, &in);
    }
    r->now++;
    r->unit_issues++;
}

static void repeat_word(struct decoder *d, uint32_t queue, const struct isa_instruction *repeat)
{
    struct inspect_code *code = &d->inspect->code;
    struct runner *r = &d->runners[queue];
    if (r->words == 0) {
        return; /* program_check refuses it */
    }
    struct inspect_word *word = &code->words[code->word_first[queue] + r->words - 1];
    for (uint32_t i = 0; i < (word->second ? 2u : 1u); i++) {
        word[-(int32_t)i].count += repeat->count;
        word[-(int32_t)i].delay = repeat->delay;
        word[-(int32_t)i].step = repeat->step;
        d->issue_count += repeat->count;
    }
    r->now += (uint64_t)repeat->count * repeat->delay;
    r->unit_issues += repeat->count;
}

/* Until the queue parks or ends. */
static void run_queue(struct decoder *d, uint32_t queue)
{
    const struct program *program = d->inspect->program;
    struct runner *r = &d->runners[queue];
    while (!r->parked && !r->done) {
        if (r->position == program->queue_words[queue] || d->issue_count > INSPECT_ISSUES_MAX ||
            r->now > INSPECT_CYCLES_MAX) {
            r->done = true;
            return;
        }
        struct isa_instruction in = {0};
        enum takt_status status = isa_decode(program->text[queue][r->position], &in, NULL);
        BASE_ASSERT(status == TAKT_OK);
        if (in.op == ISA_SYNC) {
            r->parked = true;
            return;
        }
        r->position++;
        if (in.op == ISA_NOP) {
            r->now += in.count;
        } else if (in.op == ISA_REPEAT) {
            repeat_word(d, queue, &in);
        } else if (in.op == ISA_NOTIFY) {
            if (d->release_count < d->release_capacity) {
                d->releases[d->release_count++] = r->now + program->machine.notify_cycles;
            }
            r->now++;
        } else if (isa_op_info((enum isa_op)in.op)->unit == ISA_UNIT_ICU) {
            r->now += in.op == ISA_IFETCH ? 2 : 1; /* two vectors */
        } else {
            put_word(d, queue, &in);
        }
    }
}

static bool release(struct decoder *d)
{
    const struct program *program = d->inspect->program;
    if (d->release_count == 0) {
        return false;
    }
    uint32_t first = 0;
    for (uint32_t i = 1; i < d->release_count; i++) {
        first = d->releases[i] < d->releases[first] ? i : first;
    }
    uint64_t cycle = d->releases[first];
    d->releases[first] = d->releases[--d->release_count];
    for (uint32_t q = 0; q < program->queue_count; q++) {
        struct runner *r = &d->runners[q];
        if (r->parked && r->now < cycle && r->position + 1 < program->queue_words[q]) {
            r->parked = false;
            r->position++;
            r->now = cycle;
        }
    }
    return true;
}

static void expand(struct inspect *inspect)
{
    struct inspect_code *code = &inspect->code;
    uint32_t last = 0;
    for (uint32_t w = 0; w < code->word_first[code->queue_count]; w++) {
        const struct inspect_word *word = &code->words[w];
        last = BASE_MAX(last, word->count == 0 ? 0 : word->cycle + (word->count - 1) * word->delay);
    }
    code->last_cycle = last;
    uint32_t *at = BASE_NEW(&inspect->arena, uint32_t, (size_t)last + 2);
    for (uint32_t w = 0; w < code->word_first[code->queue_count]; w++) {
        const struct inspect_word *word = &code->words[w];
        for (uint32_t i = 0; i < word->count; i++) {
            at[word->cycle + i * word->delay + 1]++;
        }
    }
    for (uint32_t c = 0; c <= last; c++) {
        at[c + 1] += at[c];
    }
    for (uint32_t q = 0; q < code->queue_count; q++) {
        for (uint32_t w = code->word_first[q]; w < code->word_first[q + 1]; w++) {
            const struct inspect_word *word = &code->words[w];
            for (uint32_t i = 0; i < word->count; i++) {
                uint32_t cycle = word->cycle + i * word->delay;
                code->issues[at[cycle]++] =
                    (struct inspect_issue){.cycle = cycle,
                                           .word = w,
                                           .repetition = i,
                                           .placement = inspect_origin(inspect, q, word, i),
                                           .queue = (uint16_t)q};
            }
        }
    }
}

enum takt_status inspect_decode(struct inspect *inspect, struct takt_error *error)
{
    const struct program *program = inspect->program;
    struct inspect_code *code = &inspect->code;
    struct decoder d = {.inspect = inspect};
    uint32_t total = 0;
    code->queue_count = program->queue_count;
    code->word_first = BASE_NEW(&inspect->arena, uint32_t, program->queue_count + 1u);
    code->queue_issues = BASE_NEW(&inspect->arena, uint32_t, program->queue_count);
    for (uint32_t q = 0; q < program->queue_count; q++) {
        code->word_first[q] = total;
        total += 2 * program->queue_words[q]; /* each may be a ReadWrite */
    }
    code->word_first[program->queue_count] = total;
    code->words = BASE_NEW(&inspect->arena, struct inspect_word, total);
    d.runners = BASE_NEW(&inspect->arena, struct runner, program->queue_count);
    d.release_capacity = total;
    d.releases = BASE_NEW(&inspect->arena, uint64_t, total);
    do {
        for (uint32_t q = 0; q < program->queue_count; q++) {
            run_queue(&d, q);
        }
    } while (release(&d));
    /* Words that are no instruction of a unit leave holes at the end of each queue: close them. */
    uint32_t kept = 0;
    for (uint32_t q = 0; q < program->queue_count; q++) {
        uint32_t first = code->word_first[q];
        memmove(&code->words[kept], &code->words[first],
                d.runners[q].words * sizeof code->words[0]);
        code->word_first[q] = kept;
        kept += d.runners[q].words;
        if (program->queue_words[q] > 0) {
            inspect->cycles = BASE_MAX(inspect->cycles, d.runners[q].now + 1);
        }
        code->queue_issues[q] = (uint32_t)d.runners[q].unit_issues;
        code->instruction_count += code->queue_issues[q];
        if (d.runners[q].now > INSPECT_CYCLES_MAX || d.issue_count > INSPECT_ISSUES_MAX) {
            return base_fail(
                error, TAKT_LIMIT,
                "program: more than %u instructions or %u cycles; a shorter program can "
                "be inspected",
                INSPECT_ISSUES_MAX, INSPECT_CYCLES_MAX);
        }
    }
    code->word_first[program->queue_count] = kept;
    code->issue_count = (uint32_t)d.issue_count;
    code->issues = BASE_NEW(&inspect->arena, struct inspect_issue, code->issue_count);
    expand(inspect);
    return TAKT_OK;
}
