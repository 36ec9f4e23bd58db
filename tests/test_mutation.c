/*
 * Mutations of compiled programs: an instruction a cycle off, another stream, address, constant or
 * latency. Each must fault, be refused, take other cycles, or change what the steps leave behind:
 * the bits of their logits, the KV cache, the weights.
 *
 * A mutant that a few steps do not notice runs through most of the context. One that still survives
 * is explained by two traces side by side, of the program and of the mutant: which operations the
 * change reaches, and which of them give the same bytes all the same.
 *
 * TAKT_MUTATIONS says how many are tried, TAKT_MUTATION_SEED from which seed they are drawn.
 */
#include "tests.h"

#include "mutate.h"
#include "scene.h"
#include "trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUTATIONS_DEFAULT 1000u
#define SEED_DEFAULT 1u
#define LOOKS 4u /* decode, prefill; then the same, long */
/* Bounds on the default run: a compiler that changes moves them a little. */
#define SURVIVED_MAX 60u
#define ARITHMETIC_MAX 20u /* of them, those that only the values of these runs hide */

static const char *const verdicts[] = {"refused at load", "other cycles", "other logits",
                                       "other KV cache or weights", "survived"};

/* Where a survivor's change ends, with the values of these runs; the last is the weakest reason. */
enum reason { SAME_BYTES, NOT_TAKEN, NOT_KEPT, LEFT_OUT, ARITHMETIC, REASONS };
static const char *const reasons[] = {
    "gives the same bytes", "gives other bytes, which nobody takes",
    "reaches only what nobody takes", "ends in lanes or bits that are left out",
    "ends in a maximum, a rounding or a product with zero"};

static const struct look looks[LOOKS] = {{"decode", 1, 14, 3, 1},
                                         {"prefill", SCENE_CHUNK, 7, 2, 5},
                                         {"decode", 1, 7, 55, 1},
                                         {"prefill", SCENE_CHUNK, 7, 10, 6}};

struct tally {
    uint64_t verdicts[VERDICTS], faults[CHIP_FAULT_DEADLOCK + 1], reasons[REASONS];
    uint64_t kinds[MUTATION_KINDS], survived[MUTATION_KINDS], late;
    bool queues[2][256], ops[ISA_OP_COUNT]; /* those that were mutated */
};

static uint64_t environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    int64_t value = (int64_t)otherwise;
    if (text != NULL && !base_parse_i64(text, 0, INT32_MAX, &value)) {
        fail_msg("%s=%s is not a number", name, text);
    }
    return (uint64_t)value;
}

/* ---- why a survivor is harmless -------------------------------------------------------------- */

/* Issues whose results no later issue takes: work for nothing, by instruction. */
static void print_unused(const struct scene *scene, const struct trace *trace)
{
    uint64_t all[ISA_OP_COUNT] = {0}, unused[ISA_OP_COUNT] = {0};
    const struct trace_issue *first[ISA_OP_COUNT] = {NULL};
    for (size_t i = 0; i < trace->count; i++) {
        all[trace->issues[i].instruction.op]++;
        if (!trace->issues[i].used && unused[trace->issues[i].instruction.op]++ == 0) {
            first[trace->issues[i].instruction.op] = &trace->issues[i];
        }
    }
    print_message("%s: %zu issues a step; what they give is taken by nobody:\n", scene->look.name,
                  trace->count);
    for (uint32_t op = 0; op < ISA_OP_COUNT; op++) {
        if (unused[op] > 0) {
            char queue[32], line[96];
            machine_queue_name(&scene->program->program->machine, first[op]->queue, queue);
            isa_print(&first[op]->instruction, line, sizeof line);
            print_message("  %6llu of %6llu %s, the first in cycle %llu: %s `%s`\n",
                          (unsigned long long)unused[op], (unsigned long long)all[op],
                          isa_op_info((enum isa_op)op)->mnemonic,
                          (unsigned long long)first[op]->cycle, queue, line);
        }
    }
}

/* Traces every step of the program and of the mutant (NULL: of the program alone). */
static void trace_steps(const struct world *world, struct scene *scene, const struct mutant *mutant,
                        struct trace_difference *difference)
{
    const struct program *programs[2] = {scene->program->program, mutant ? &mutant->program : NULL};
    const size_t bytes = world->word_count * machine_lanes(&world->engine->machine);
    uint8_t *memory[2] = {malloc(bytes), malloc(bytes)};
    assert_true(memory[0] && memory[1]);
    memcpy(memory[0], scene->memory, bytes);
    memcpy(memory[1], scene->memory, bytes);
    *difference = (struct trace_difference){0};
    for (uint32_t step = 0; step < scene->look.steps; step++) {
        struct trace traces[2] = {{0}};
        for (uint32_t i = 0; i < 2 && programs[i]; i++) {
            scene_put_inputs(scene, step, &memory[i]);
            trace_run(&traces[i], programs[i], scene->kept, memory[i]);
        }
        if (!mutant && step == 0) {
            print_unused(scene, &traces[0]);
        }
        trace_compare(&traces[0], &traces[mutant ? 1 : 0], difference);
        trace_free(&traces[0]);
        trace_free(&traces[1]);
    }
    /* The trace computes what the chip does, or it could explain nothing. */
    assert_memory_equal(memory[0], scene->after, bytes);
    free(memory[0]);
    free(memory[1]);
}

/* Operations that give the same bytes because of lanes or rows that they leave out. */
static bool leaves_out(enum isa_op op)
{
    switch (op) {
    case ISA_GATHER:
    case ISA_SCATTER:
    case ISA_PERMUTE:
    case ISA_DISTRIBUTE:
    case ISA_ABC_I8:
    case ISA_ABC_U8:
    case ISA_SELECT_F32_IMM:
    case ISA_AND_B32:
    case ISA_AND_B32_IMM:
    case ISA_SHL_B32_IMM:
    case ISA_SHR_B32_IMM: return true;
    default: return false;
    }
}

static enum reason explain(const struct world *world, struct scene *scene,
                           const struct mutant *mutant, char *why, size_t size)
{
    struct trace_difference difference;
    trace_steps(world, scene, mutant, &difference);
    const bool same = difference.given_before == difference.given_after;
    enum reason reason = difference.reached > 0 ? NOT_KEPT : same ? SAME_BYTES : NOT_TAKEN;
    int length =
        snprintf(why, size, "%llu issues changed, %llu reached",
                 (unsigned long long)difference.changed, (unsigned long long)difference.reached);
    for (uint32_t op = 0; op < ISA_OP_COUNT; op++) {
        if (difference.absorbed[op] > 0) {
            const enum reason here = leaves_out((enum isa_op)op) ? LEFT_OUT : ARITHMETIC;
            reason = BASE_MAX(reason, here);
            length += snprintf(why + length, size - (size_t)length, ", %llu end at %s",
                               (unsigned long long)difference.absorbed[op],
                               isa_op_info((enum isa_op)op)->mnemonic);
            assert_true((size_t)length < size);
        }
    }
    return reason;
}

/* ---- telling --------------------------------------------------------------------------------- */

static void print_survivor(const struct scene *scene, const struct mutation *m, uint64_t index,
                           enum reason reason, const char *why)
{
    char queue[32], line[96], place[160] = "the machine";
    machine_queue_name(&scene->program->program->machine, m->queue, queue);
    isa_print(&m->instruction, line, sizeof line);
    if (m->kind != MUTATION_LATENCY) {
        snprintf(place, sizeof place, "%s word %u `%s`", queue, m->word, line);
    }
    print_message("survivor %llu, %s, %s: %s: %s (%s)\n", (unsigned long long)index,
                  scene->look.name, place, m->text, reasons[reason], why);
}

/* What there is to mutate in both programs. */
struct spread {
    uint32_t queues, ops;
};

static struct spread spread_of(const struct mutation_source sources[2])
{
    struct spread spread = {sources[0].queue_count + sources[1].queue_count, 0};
    for (uint32_t op = 0; op < ISA_OP_COUNT; op++) {
        spread.ops += sources[0].op_words[op] > 0 || sources[1].op_words[op] > 0;
    }
    return spread;
}

static void print_count(const char *what, uint64_t count)
{
    if (count > 0) {
        print_message("  %6llu %s\n", (unsigned long long)count, what);
    }
}

static void print_tally(const struct tally *tally, const struct spread *spread, uint64_t mutations,
                        uint64_t seed)
{
    print_message("%llu mutations, seed %llu:\n", (unsigned long long)mutations,
                  (unsigned long long)seed);
    for (int i = CHIP_FAULT_NONE + 1; i <= (int)CHIP_FAULT_DEADLOCK; i++) {
        char name[64];
        snprintf(name, sizeof name, "fault: %s", chip_fault_name((enum chip_fault_kind)i));
        print_count(name, tally->faults[i]);
    }
    for (int i = 0; i < VERDICTS; i++) {
        print_count(verdicts[i], tally->verdicts[i]);
    }
    print_count("of these were noticed only in the long look", tally->late);
    print_message("of the survivors:\n");
    for (int i = 0; i < REASONS; i++) {
        print_count(reasons[i], tally->reasons[i]);
    }
    uint32_t queues = 0, ops = 0;
    for (uint32_t i = 0; i < BASE_COUNT(tally->queues[0]); i++) {
        queues += tally->queues[0][i] + tally->queues[1][i];
    }
    for (uint32_t i = 0; i < ISA_OP_COUNT; i++) {
        ops += tally->ops[i];
    }
    assert_true(mutations < MUTATIONS_DEFAULT || ops + 2 == spread->ops); /* all but sync, notify */
    print_message("in %u queues of %u, %u instructions of %u\n", queues, spread->queues, ops,
                  spread->ops);
    print_message("by what was changed, survivors of all:\n");
    for (int i = 0; i < MUTATION_KINDS; i++) {
        print_message("  %3llu of %4llu %s\n", (unsigned long long)tally->survived[i],
                      (unsigned long long)tally->kinds[i], mutation_name((enum mutation_kind)i));
    }
}

/* ---- the test -------------------------------------------------------------------------------- */

static void try_mutant(struct world *world, struct scene scenes[LOOKS], const struct mutant *mutant,
                       uint64_t index, struct tally *tally)
{
    struct scene *scene = &scenes[index % 2];
    enum chip_fault_kind fault;
    enum verdict verdict = scene_judge(world, scene, mutant, &fault);
    if (verdict == SURVIVED) {
        verdict = scene_judge(world, &scenes[2 + index % 2], mutant, &fault);
        tally->late += verdict != SURVIVED;
    }
    tally->faults[fault]++;
    tally->verdicts[verdict] += fault == CHIP_FAULT_NONE;
    tally->kinds[mutant->mutation.kind]++;
    if (mutant->mutation.kind != MUTATION_LATENCY) {
        tally->queues[index % 2][mutant->mutation.queue] = true;
        tally->ops[mutant->mutation.instruction.op] = true;
    }
    if (verdict == SURVIVED) {
        char why[400];
        const enum reason reason = explain(world, scene, mutant, why, sizeof why);
        tally->survived[mutant->mutation.kind]++;
        tally->reasons[reason]++;
        print_survivor(scene, &mutant->mutation, index, reason, why);
    }
}

static void every_mutation_is_noticed_or_explained(void **state)
{
    (void)state;
    const uint64_t mutations = environment("TAKT_MUTATIONS", MUTATIONS_DEFAULT);
    const uint64_t seed = environment("TAKT_MUTATION_SEED", SEED_DEFAULT);
    struct world world = {0};
    struct scene scenes[LOOKS];
    struct mutation_source sources[2];
    struct tally tally = {0};
    world_open(&world);
    for (uint32_t i = 0; i < LOOKS; i++) {
        scene_open(&scenes[i], &world, &looks[i]);
    }
    for (uint32_t i = 0; i < 2; i++) {
        struct trace_difference none;
        trace_steps(&world, &scenes[i], NULL, &none);
        mutation_source_create(&sources[i], scenes[i].program->program);
    }
    for (uint64_t i = 0; i < mutations; i++) {
        struct mutant mutant;
        mutant_create(&mutant, &sources[i % 2], seed, i);
        try_mutant(&world, scenes, &mutant, i, &tally);
        mutant_free(&mutant);
    }
    const struct spread spread = spread_of(sources);
    print_tally(&tally, &spread, mutations, seed);
    for (uint32_t i = 0; i < 2; i++) {
        mutation_source_free(&sources[i]);
    }
    for (uint32_t i = 0; i < LOOKS; i++) {
        scene_close(&scenes[i]);
    }
    world_close(&world);
    if (mutations == MUTATIONS_DEFAULT && seed == SEED_DEFAULT) {
        assert_true(tally.verdicts[SURVIVED] <= SURVIVED_MAX);
        assert_true(tally.reasons[ARITHMETIC] <= ARITHMETIC_MAX);
    }
}

TEST_GROUP(mutation, cmocka_unit_test(every_mutation_is_noticed_or_explained));
