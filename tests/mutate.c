/* Mutations: a word is chosen (half of them by queue, half by instruction), then a change of it. */
#include "mutate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *mutation_name(enum mutation_kind kind)
{
    static const char *const names[] = {
#define MUTATION_NAME(name, doc) #name,
        MUTATIONS(MUTATION_NAME)
#undef MUTATION_NAME
    };
    return names[kind];
}

/* ---- chance ---------------------------------------------------------------------------------- */

struct dice {
    uint64_t seed, index, counter;
};

static uint32_t below(struct dice *dice, uint32_t n)
{
    BASE_ASSERT(n > 0);
    return (uint32_t)(base_random_u64(dice->seed, dice->index, dice->counter++) % n);
}

/* ---- a queue's text, decoded ----------------------------------------------------------------- */

struct text {
    struct isa_instruction *words;
    uint32_t count;
};

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count > 0 ? count : 1, size);
    BASE_ASSERT(memory != NULL);
    return memory;
}

static struct text decode(const struct program *program, uint32_t queue)
{
    const uint32_t count = program->queue_words[queue];
    struct text text = {allocate(count + 2u, sizeof *text.words), count}; /* room for two nops */
    for (uint32_t i = 0; i < count; i++) {
        const enum takt_status status = isa_decode(program->text[queue][i], &text.words[i], NULL);
        BASE_ASSERT(status == TAKT_OK);
    }
    return text;
}

static void insert_nop(struct text *text, uint32_t at)
{
    memmove(text->words + at + 1, text->words + at, (text->count - at) * sizeof *text->words);
    text->words[at] = (struct isa_instruction){.op = ISA_NOP, .count = 1};
    text->count++;
}

static void remove_word(struct text *text, uint32_t at)
{
    text->count--;
    memmove(text->words + at, text->words + at + 1, (text->count - at) * sizeof *text->words);
}

/* Makes the wait before word `at` longer or shorter; false where there is nothing to shorten. */
static bool change_wait(struct text *text, uint32_t at, int32_t cycles)
{
    const bool nop = at < text->count && text->words[at].op == ISA_NOP;
    if (cycles == 1 && !nop) {
        insert_nop(text, at);
        return true;
    }
    if (!nop || text->words[at].count + cycles < 0 || text->words[at].count + cycles > UINT16_MAX) {
        return false;
    }
    text->words[at].count = (uint16_t)(text->words[at].count + cycles);
    if (text->words[at].count == 0) {
        remove_word(text, at);
    }
    return true;
}

/* The word after this one and its Repeat. */
static uint32_t following(const struct text *text, uint32_t at)
{
    return at + 1u + (at + 1u < text->count && text->words[at + 1].op == ISA_REPEAT);
}

static bool of_unit(const struct isa_instruction *word)
{
    return isa_op_info((enum isa_op)word->op)->unit != ISA_UNIT_ICU;
}

/* ---- changes of one word: false where they do not apply -------------------------------------- */

/* The wait after it takes the cycle back where it can, so that nothing else moves. */
static bool move(struct text *text, uint32_t at, int32_t cycles, char *what, size_t size)
{
    if (!of_unit(&text->words[at])) {
        return false;
    }
    bool alone = change_wait(text, following(text, at), -cycles);
    const bool nop = at > 0 && text->words[at - 1].op == ISA_NOP;
    if (!change_wait(text, nop ? at - 1 : at, cycles)) {
        return false;
    }
    snprintf(what, size, "one cycle %s%s", cycles < 0 ? "earlier" : "later",
             alone ? "" : ", with the rest of its queue");
    return true;
}

static bool change_value(struct isa_instruction *word, enum isa_field field, uint32_t value,
                         char *what, size_t size)
{
    const struct isa_field_info *info = isa_field_info(field);
    const uint32_t mask = info->bits == 32 ? UINT32_MAX : (1u << info->bits) - 1u;
    const uint32_t before = isa_field_get(word, field);
    if ((value & mask) != value || isa_field_flaw(field, value) != NULL) {
        return false;
    }
    isa_field_put(word, field, value);
    char line[96];
    isa_print(word, line, sizeof line);
    snprintf(what, size, "%s 0x%x -> 0x%x: `%s`", info->name, before, value, line);
    return true;
}

static bool is_stream(enum isa_field field)
{
    const enum isa_field_kind kind = isa_field_info(field)->kind;
    return kind == ISA_KIND_STREAM_IN || kind == ISA_KIND_STREAM_OUT;
}

static bool is_address(enum isa_field field)
{
    return field == ISA_FIELD_ADDRESS || field == ISA_FIELD_ADDRESS2 || field == ISA_FIELD_INDEX ||
           field == ISA_FIELD_ROWS;
}

static bool is_immediate(enum isa_field field)
{
    return field == ISA_FIELD_IMM || field == ISA_FIELD_IMM8 || field == ISA_FIELD_IMM16 ||
           field == ISA_FIELD_SHIFT;
}

/* One of the word's fields that are wanted; NONE when it has none. */
static enum isa_field pick_field(const struct isa_instruction *word, bool (*wanted)(enum isa_field),
                                 struct dice *dice)
{
    const struct isa_op_info *info = isa_op_info((enum isa_op)word->op);
    enum isa_field fields[ISA_FIELDS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < ISA_FIELDS_MAX && info->fields[i] != ISA_FIELD_NONE; i++) {
        if (wanted(info->fields[i])) {
            fields[count++] = info->fields[i];
        }
    }
    return count > 0 ? fields[below(dice, count)] : ISA_FIELD_NONE;
}

/* The next group of streams that the unit reaches, the same way or the other. */
static bool change_stream(const struct machine *machine, uint32_t queue,
                          struct isa_instruction *word, bool turn, struct dice *dice, char *what,
                          size_t size)
{
    const enum isa_field field = pick_field(word, is_stream, dice);
    if (field == ISA_FIELD_NONE) {
        return false;
    }
    const uint32_t width = isa_field_info(field)->width, before = isa_field_get(word, field);
    uint32_t index = ISA_STREAM_INDEX(before);
    if (turn) {
        return change_value(word, field, before ^ ISA_STREAM(1, 0), what, size);
    }
    const uint32_t up = below(dice, 2);
    index = (index + (up ? width : ISA_STREAMS - width)) % ISA_STREAMS;
    const struct machine_queue unit = machine_queue(machine, queue);
    const bool vxm = unit.unit == ISA_UNIT_VXM || unit.unit == ISA_UNIT_VXM_LARGE;
    if (vxm && !machine_vxm_row_reaches(unit.index / MACHINE_VXM_COLUMNS, index)) {
        return false;
    }
    return change_value(word, field, ISA_STREAM(ISA_STREAM_WEST(before), index), what, size);
}

static bool change_address(struct isa_instruction *word, struct dice *dice, char *what, size_t size)
{
    const enum isa_field field = pick_field(word, is_address, dice);
    if (field == ISA_FIELD_NONE) {
        return false;
    }
    const uint32_t before = isa_field_get(word, field);
    if (field == ISA_FIELD_ROWS) {
        return change_value(word, field, before ^ (1u << below(dice, 16)), what, size);
    }
    return change_value(word, field, before + (below(dice, 2) ? 1u : UINT32_MAX), what, size);
}

static bool change_immediate(struct isa_instruction *word, struct dice *dice, char *what,
                             size_t size)
{
    const enum isa_field field = pick_field(word, is_immediate, dice);
    if (field == ISA_FIELD_NONE) {
        return false;
    }
    const uint32_t bit = below(dice, isa_field_info(field)->bits);
    return change_value(word, field, isa_field_get(word, field) ^ (1u << bit), what, size);
}

/* A change of count or delay lengthens the burst; the wait after it gives way where it can. */
static bool change_repeat(struct text *text, uint32_t at, enum mutation_kind kind,
                          struct dice *dice, char *what, size_t size)
{
    struct isa_instruction *word = &text->words[at];
    const int32_t by = below(dice, 2) ? 1 : -1;
    if (word->op != ISA_REPEAT) {
        return false;
    }
    if (kind == MUTATION_REPEAT_STEP) {
        const uint32_t step = isa_field_get(word, ISA_FIELD_STEP) + (uint32_t)by;
        return change_value(word, ISA_FIELD_STEP, step & UINT16_MAX, what, size);
    }
    const bool count = kind == MUTATION_REPEAT_COUNT;
    const int32_t cycles = count ? word->delay : word->count;
    if (count && word->count == 1 && by < 0) {
        snprintf(what, size, "no repetition");
        *word = (struct isa_instruction){.op = ISA_NOP, .count = word->delay};
        return true;
    }
    const enum isa_field field = count ? ISA_FIELD_TIMES : ISA_FIELD_DELAY;
    if (!change_value(word, field, isa_field_get(word, field) + (uint32_t)by, what, size)) {
        return false;
    }
    if (by < 0) {
        insert_nop(text, at + 1);
        text->words[at + 1].count = (uint16_t)cycles;
    } else if (!change_wait(text, at + 1, -cycles)) {
        const size_t length = strlen(what);
        snprintf(what + length, size - length, ", the rest of its queue later");
    }
    return true;
}

static bool change(const struct machine *machine, struct mutation *mutation, struct text *text,
                   struct dice *dice)
{
    char *what = mutation->text;
    const size_t size = sizeof mutation->text;
    const uint32_t at = mutation->word;
    struct isa_instruction *word = &text->words[at];
    switch (mutation->kind) {
    case MUTATION_EARLIER: return move(text, at, -1, what, size);
    case MUTATION_LATER: return move(text, at, 1, what, size);
    case MUTATION_WAIT: {
        const int32_t by = below(dice, 2) ? 1 : -1;
        snprintf(what, size, "one cycle %s", by > 0 ? "longer" : "shorter");
        return word->op == ISA_NOP && change_wait(text, at, by);
    }
    case MUTATION_STREAM:
        return change_stream(machine, mutation->queue, word, false, dice, what, size);
    case MUTATION_DIRECTION:
        return change_stream(machine, mutation->queue, word, true, dice, what, size);
    case MUTATION_ADDRESS: return change_address(word, dice, what, size);
    case MUTATION_REPEAT_COUNT:
    case MUTATION_REPEAT_DELAY:
    case MUTATION_REPEAT_STEP: return change_repeat(text, at, mutation->kind, dice, what, size);
    case MUTATION_IMMEDIATE: return change_immediate(word, dice, what, size);
    case MUTATION_LATENCY:
    case MUTATION_KINDS: break;
    }
    return false;
}

/* ---- the machine's side ---------------------------------------------------------------------- */

static bool change_latency(struct mutant *mutant, struct dice *dice)
{
    struct machine *machine = &mutant->program.machine;
    const uint32_t index = below(dice, machine_parameter_count());
    const struct machine_parameter *parameter = machine_parameter(index);
    if (strcmp(parameter->unit, "cycles") != 0 || strncmp(parameter->name, "c2c_", 4) == 0 ||
        strncmp(parameter->name, "sxm_shift", 9) == 0 ||
        strncmp(parameter->name, "sxm_rotate", 10) == 0) { /* no compiled program has these units */
        return false;
    }
    const uint32_t before = machine_parameter_get(machine, index);
    const uint32_t after = below(dice, 2) ? before + 1u : before - 1u;
    machine_parameter_put(machine, index, after);
    snprintf(mutant->mutation.text, sizeof mutant->mutation.text, "%s %u -> %u", parameter->name,
             before, after);
    if (after < parameter->minimum || after > parameter->maximum) {
        machine_parameter_put(machine, index, before);
        return false;
    }
    return true;
}

/* ---- the choice ------------------------------------------------------------------------------ */

void mutation_source_create(struct mutation_source *source, const struct program *program)
{
    *source = (struct mutation_source){.program = program};
    source->queues = allocate(program->queue_count, sizeof *source->queues);
    for (uint32_t queue = 0; queue < program->queue_count; queue++) {
        struct text text = decode(program, queue);
        if (text.count > 0) {
            source->queues[source->queue_count++] = queue;
        }
        for (uint32_t i = 0; i < text.count; i++) {
            source->op_words[text.words[i].op]++;
        }
        free(text.words);
    }
}

void mutation_source_free(struct mutation_source *source)
{
    free(source->queues);
}

/* The n-th word of an instruction, over all queues. */
static void find_word(const struct program *program, uint32_t op, uint32_t n, uint32_t *queue,
                      uint32_t *word)
{
    struct isa_instruction instruction;
    for (*queue = 0; *queue < program->queue_count; (*queue)++) {
        for (*word = 0; *word < program->queue_words[*queue]; (*word)++) {
            if (isa_decode(program->text[*queue][*word], &instruction, NULL) == TAKT_OK &&
                instruction.op == op && n-- == 0) {
                return;
            }
        }
    }
    BASE_ASSERT(false);
}

static void pick_word(const struct mutation_source *source, struct dice *dice, uint32_t *queue,
                      uint32_t *word)
{
    if (below(dice, 2)) {
        *queue = source->queues[below(dice, source->queue_count)];
        *word = below(dice, source->program->queue_words[*queue]);
        return;
    }
    uint32_t op;
    do {
        op = below(dice, ISA_OP_COUNT);
    } while (source->op_words[op] == 0);
    find_word(source->program, op, below(dice, source->op_words[op]), queue, word);
}

static bool try_change(struct mutant *mutant, const struct mutation_source *source,
                       struct dice *dice)
{
    struct mutation *mutation = &mutant->mutation;
    pick_word(source, dice, &mutation->queue, &mutation->word);
    struct text text = decode(source->program, mutation->queue);
    mutation->instruction = text.words[mutation->word];
    const bool changed = change(&source->program->machine, mutation, &text, dice);
    if (changed) {
        const uint32_t queues = source->program->queue_count;
        mutant->words = allocate(text.count, sizeof *mutant->words);
        for (uint32_t i = 0; i < text.count; i++) {
            mutant->words[i] = isa_encode(&text.words[i]);
        }
        mutant->program.text = allocate(queues, sizeof *mutant->program.text);
        mutant->program.queue_words = allocate(queues, sizeof *mutant->program.queue_words);
        memcpy(mutant->program.text, source->program->text, queues * sizeof *mutant->program.text);
        memcpy(mutant->program.queue_words, source->program->queue_words,
               queues * sizeof *mutant->program.queue_words);
        mutant->program.text[mutation->queue] = mutant->words;
        mutant->program.queue_words[mutation->queue] = text.count;
    }
    free(text.words);
    return changed;
}

void mutant_create(struct mutant *mutant, const struct mutation_source *source, uint64_t seed,
                   uint64_t index)
{
    struct dice dice = {seed, index, 0};
    *mutant = (struct mutant){.program = *source->program};
    /* One in fifty is the machine's: there are only two for each of its latencies. */
    const bool latency = below(&dice, 50) == 0;
    bool changed = false;
    while (!changed) {
        mutant->mutation.kind =
            latency ? MUTATION_LATENCY : (enum mutation_kind)below(&dice, MUTATION_LATENCY);
        changed = latency ? change_latency(mutant, &dice) : try_change(mutant, source, &dice);
    }
}

void mutant_free(struct mutant *mutant)
{
    if (mutant->words) {
        free(mutant->program.text);
        free(mutant->program.queue_words);
        free(mutant->words);
    }
}
