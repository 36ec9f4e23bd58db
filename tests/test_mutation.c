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

#include "gguf_writer.h"
#include "mutate.h"
#include "run/run.h"
#include "trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MUTATIONS_DEFAULT 1000u
#define SEED_DEFAULT 1u
#define CHUNK 7u
#define CONTEXT 80u
#define LOOKS 4u /* decode, prefill; then the same, long */
/* Bounds on the default run: a compiler that changes moves them a little. */
#define SURVIVED_MAX 60u
#define ARITHMETIC_MAX 12u /* of them, those that only the values of these runs hide */

/* Two layers, sizes that are multiples of nothing, more than one head a KV head. */
static const struct gguf_random shape = {.seed = 21,
                                         .layers = 2,
                                         .width = 44,
                                         .heads = 4,
                                         .kv_heads = 2,
                                         .head_dim = 10,
                                         .ffn = 91,
                                         .vocab = 70,
                                         .context = 256};

/* Narrow, so that a step takes little time: latencies of its own, all above their minimum. */
static const char machine_text[] = "name = \"narrow\"\nsuperlanes = 5\nmem_slices = 24\n"
                                   "mem_words = 600\nio_positions = 2\nmem_read_cycles = 2\n"
                                   "mem_gather_cycles = 3\nvxm_cycles = 3\nmxm_install_cycles = 2\n"
                                   "mxm_result_cycles = 20\nmxm_emit_cycles = 2\n"
                                   "mxm_accumulators = 64\nsxm_permute_cycles = 5\n"
                                   "sxm_distribute_cycles = 3\nnotify_cycles = 12\n";

enum verdict { REFUSED, OTHER_CYCLES, OTHER_LOGITS, OTHER_STATE, SURVIVED, VERDICTS };
static const char *const verdicts[] = {"refused at load", "other cycles", "other logits",
                                       "other KV cache or weights", "survived"};

/* Why a survivor is harmless, from the strongest reason to the weakest. */
enum reason { SAME_BYTES, NOT_TAKEN, NOT_KEPT, LEFT_OUT, ARITHMETIC, REASONS };
static const char *const reasons[] = {
    "gives the same bytes", "gives other bytes, which nobody takes",
    "reaches only what nobody takes", "ends in lanes or bits that are left out",
    "ends in a maximum, a rounding or a product with zero"};

struct look {
    const char *name;
    uint32_t chunk, start, steps, last; /* last: tokens of the last step */
};
static const struct look looks[LOOKS] = {{"decode", 1, 14, 3, 1},
                                         {"prefill", CHUNK, 7, 2, 5},
                                         {"decode", 1, 7, 55, 1},
                                         {"prefill", CHUNK, 7, 10, 6}};

/* One program with the steps that it runs, from a memory that earlier steps have left. */
struct scene {
    struct look look;
    struct takt_session *session;
    const struct run_program *program;
    uint8_t *memory; /* before the steps */
    struct program_image before;
    bool *kept;         /* [words]: the state and this program's outputs */
    uint8_t *after;     /* what the steps leave there */
    float *logits;      /* [steps][chunk][vocab] */
    size_t step_logits; /* of them, a step's */
};

struct world {
    struct takt_engine *engine;
    char model[64], machine[64];
    size_t word_count; /* of the chip's memory */
    bool *state;       /* [word_count]: words that later steps rely on: weights, KV cache */
};

struct tally {
    uint64_t verdicts[VERDICTS], faults[CHIP_FAULT_DEADLOCK + 1], reasons[REASONS];
    uint64_t kinds[MUTATION_KINDS], survived[MUTATION_KINDS], late;
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

/* ---- memory ---------------------------------------------------------------------------------- */

static struct program_place place_of(const struct machine *machine, size_t word)
{
    return (struct program_place){(uint16_t)(word / machine->mem_words),
                                  (uint16_t)(word % machine->mem_words)};
}

static uint8_t *read_memory(const struct chip *chip, const struct machine *machine)
{
    const size_t words = 2u * (size_t)machine->mem_slices * machine->mem_words;
    const uint32_t lanes = machine_lanes(machine);
    uint8_t *memory = malloc(words * lanes);
    assert_non_null(memory);
    for (size_t i = 0; i < words; i++) {
        chip_read_word(chip, place_of(machine, i), memory + i * lanes);
    }
    return memory;
}

/* The image that loads a memory as read_memory gave it; it keeps the memory. */
static struct program_image image_of(const struct machine *machine, const uint8_t *memory)
{
    const uint32_t slices = 2 * machine->mem_slices;
    struct program_image image = {slices, calloc(slices, sizeof *image.segments)};
    assert_non_null(image.segments);
    for (uint32_t i = 0; i < slices; i++) {
        image.segments[i] = (struct program_segment){(uint16_t)i, 0, machine->mem_words,
                                                     memory + (size_t)i * machine->mem_words *
                                                                  machine_lanes(machine)};
    }
    return image;
}

/* ---- what counts as left behind -------------------------------------------------------------- */

static void mark_binding(const struct program_binding *binding, const struct machine *machine,
                         bool *words, bool mark)
{
    const size_t count = (size_t)binding->items * binding->rows * binding->element_bytes;
    for (size_t i = 0; i < count; i++) {
        const struct program_place place = binding->places[i];
        words[(size_t)place.slice * machine->mem_words + place.address] = mark;
    }
}

/* Clears the words that the program's own Writes name, and where its inputs and outputs lie. */
static void clear_temporaries(const struct program *program, bool *state)
{
    const struct machine *machine = &program->machine;
    for (uint32_t queue = 0; queue < program->queue_count; queue++) {
        const struct machine_queue unit = machine_queue(machine, queue);
        struct isa_instruction in, last = {0};
        bool *slice = state + ((size_t)unit.hemisphere * machine->mem_slices + unit.index) *
                                  machine->mem_words;
        for (uint32_t i = 0; unit.unit == ISA_UNIT_MEM && i < program->queue_words[queue]; i++) {
            assert_int_equal(isa_decode(program->text[queue][i], &in, NULL), TAKT_OK);
            const bool repeat = in.op == ISA_REPEAT;
            last = repeat ? last : in;
            for (int32_t k = 0; k <= (repeat ? in.count : 0); k++) {
                if (last.op == ISA_WRITE) {
                    slice[last.address + k * in.step] = false;
                } else if (last.op == ISA_READ_WRITE) {
                    slice[last.address2 + k * in.step] = false;
                }
            }
        }
    }
    for (uint32_t i = 0; i < program->binding_count; i++) {
        mark_binding(&program->bindings[i], machine, state, false);
    }
}

static const struct run_program *get_program(struct world *world, uint32_t chunk)
{
    const struct run_program *program;
    struct takt_error error;
    if (run_programs_get(world->engine, chunk, compile_bucket(world->engine->plan, CONTEXT),
                         chunk > 1, &program, &error) != TAKT_OK) {
        fail_msg("%s", error.message);
    }
    return program;
}

/* Words of the image, and words that a run over the whole context changed but no Write names. */
static void find_state(struct world *world, const struct chip *full)
{
    const struct machine *machine = &world->engine->machine;
    const uint32_t lanes = machine_lanes(machine);
    uint8_t *memory = read_memory(full, machine);
    world->word_count = 2u * (size_t)machine->mem_slices * machine->mem_words;
    world->state = calloc(world->word_count, sizeof *world->state);
    assert_non_null(world->state);
    for (size_t i = 0; i < world->word_count; i++) {
        for (uint32_t lane = 0; lane < lanes; lane++) {
            world->state[i] |= memory[i * lanes + lane] != 0;
        }
    }
    free(memory);
    clear_temporaries(get_program(world, 1)->program, world->state);
    clear_temporaries(get_program(world, CHUNK)->program, world->state);
}

/* ---- opening --------------------------------------------------------------------------------- */

static uint32_t token_at(uint32_t position)
{
    return (uint32_t)(base_random_u64(shape.seed, 5, position) % shape.vocab);
}

static struct takt_session *open_session(struct world *world, uint32_t length)
{
    struct takt_session *session;
    struct takt_error error;
    uint32_t tokens[CONTEXT];
    float logits[CONTEXT * 70];
    for (uint32_t i = 0; i < length; i++) {
        tokens[i] = token_at(i);
    }
    if (takt_session_open(&session, world->engine, &error) != TAKT_OK ||
        takt_session_extend(session, tokens, length, NULL, logits, &error) != TAKT_OK) {
        fail_msg("%s", error.message);
    }
    return session;
}

static void open_world(struct world *world)
{
    struct takt_error error;
    snprintf(world->model, sizeof world->model, "/tmp/takt-mutation-%d.gguf", (int)getpid());
    snprintf(world->machine, sizeof world->machine, "/tmp/takt-mutation-%d.machine", (int)getpid());
    assert_true(gguf_write_random(world->model, &shape));
    assert_int_equal(base_file_write(world->machine, machine_text, sizeof machine_text - 1, NULL),
                     TAKT_OK);
    const struct takt_engine_options options = {.model_path = world->model,
                                                .machine_path = world->machine,
                                                .context = CONTEXT,
                                                .chunk = CHUNK};
    if (takt_engine_open(&world->engine, &options, &error) != TAKT_OK) {
        fail_msg("%s", error.message);
    }
    struct takt_session *full = open_session(world, CONTEXT);
    find_state(world, full->chip);
    takt_session_close(full);
}

static void close_world(struct world *world)
{
    takt_engine_close(world->engine);
    free(world->state);
    unlink(world->model);
    unlink(world->machine);
}

/* ---- running --------------------------------------------------------------------------------- */

static void replace_chip(struct scene *scene, const struct machine *machine)
{
    chip_destroy(scene->session->chip);
    assert_int_equal(chip_create(&scene->session->chip, machine, NULL), TAKT_OK);
    chip_load_image(scene->session->chip, &scene->before);
}

static enum takt_status run_one(struct scene *scene, const struct run_program *program,
                                uint32_t step, float *logits, struct takt_error *error)
{
    const struct look *look = &scene->look;
    const uint32_t start = look->start + step * look->chunk;
    const uint32_t count = step + 1 == look->steps ? look->last : look->chunk;
    uint32_t tokens[CHUNK];
    uint64_t cycles;
    for (uint32_t i = 0; i < count; i++) {
        tokens[i] = token_at(start + i);
    }
    return run_step(scene->session, program, tokens, count, start, logits, &cycles, error);
}

/* Runs the steps; logits [steps][step_logits]. */
static enum takt_status run_steps(struct scene *scene, const struct run_program *program,
                                  float *logits, struct takt_error *error)
{
    enum takt_status status = TAKT_OK;
    for (uint32_t i = 0; i < scene->look.steps && status == TAKT_OK; i++) {
        status = run_one(scene, program, i, logits + i * scene->step_logits, error);
    }
    return status;
}

static void open_scene(struct scene *scene, struct world *world, const struct look *look)
{
    const struct machine *machine = &world->engine->machine;
    struct takt_error error;
    *scene = (struct scene){.look = *look, .program = get_program(world, look->chunk)};
    scene->session = open_session(world, look->start);
    scene->memory = read_memory(scene->session->chip, machine);
    scene->before = image_of(machine, scene->memory);
    scene->kept = calloc(world->word_count, sizeof *scene->kept);
    assert_non_null(scene->kept);
    memcpy(scene->kept, world->state, world->word_count * sizeof *scene->kept);
    mark_binding(scene->program->logits, machine, scene->kept, true);
    scene->step_logits = (size_t)look->chunk * shape.vocab;
    scene->logits = calloc(look->steps * scene->step_logits, sizeof *scene->logits);
    assert_non_null(scene->logits);
    replace_chip(scene, machine);
    if (run_steps(scene, scene->program, scene->logits, &error) != TAKT_OK) {
        fail_msg("%s", error.message);
    }
    scene->after = read_memory(scene->session->chip, machine);
}

static void close_scene(struct scene *scene)
{
    free(scene->before.segments);
    free(scene->memory);
    free(scene->after);
    free(scene->kept);
    free(scene->logits);
    takt_session_close(scene->session);
}

static bool same_state(const struct world *world, const struct scene *scene)
{
    const struct machine *machine = &world->engine->machine;
    const uint32_t lanes = machine_lanes(machine);
    uint8_t word[MACHINE_LANES_MAX];
    for (size_t i = 0; i < world->word_count; i++) {
        if (world->state[i]) {
            chip_read_word(scene->session->chip, place_of(machine, i), word);
            if (memcmp(word, scene->after + i * lanes, lanes) != 0) {
                return false;
            }
        }
    }
    return true;
}

/* What a mutant does; *fault is its kind, NONE unless it faulted. */
static enum verdict judge(const struct world *world, struct scene *scene,
                          const struct mutant *mutant, enum chip_fault_kind *fault)
{
    struct run_program program = *scene->program;
    struct program text = mutant->program;
    struct takt_error error;
    program.program = &text;
    *fault = CHIP_FAULT_NONE;
    if (program_check(&text, &error) != TAKT_OK) {
        assert_int_equal(error.status, TAKT_FORMAT);
        return REFUSED;
    }
    assert_int_equal(chip_text_create(&program.text, &text, NULL), TAKT_OK);
    replace_chip(scene, &text.machine);
    const size_t bytes = scene->look.steps * scene->step_logits * sizeof(float);
    float *logits = calloc(1, bytes);
    assert_non_null(logits);
    const enum takt_status status = run_steps(scene, &program, logits, &error);
    enum verdict verdict = SURVIVED;
    if (status != TAKT_OK) {
        assert_int_equal(status, TAKT_FAULT);
        *fault = chip_last_fault(scene->session->chip)->kind;
        verdict = OTHER_CYCLES; /* or a fault */
    } else if (memcmp(logits, scene->logits, bytes) != 0) {
        verdict = OTHER_LOGITS;
    } else if (!same_state(world, scene)) {
        verdict = OTHER_STATE;
    }
    free(logits);
    chip_text_destroy(program.text);
    return verdict;
}

/* ---- why a survivor is harmless -------------------------------------------------------------- */

/* Writes a step's inputs into a memory, as run_step does before an empty program. */
static void put_inputs(struct scene *scene, uint32_t step, uint8_t **memory)
{
    const struct machine *machine = &scene->program->program->machine;
    struct run_program empty = *scene->program;
    struct program text = *scene->program->program;
    text.queue_words = calloc(text.queue_count, sizeof *text.queue_words);
    assert_non_null(text.queue_words);
    text.cycles = 0;
    empty.program = &text;
    assert_int_equal(chip_text_create(&empty.text, &text, NULL), TAKT_OK);
    chip_destroy(scene->session->chip);
    assert_int_equal(chip_create(&scene->session->chip, machine, NULL), TAKT_OK);
    const struct program_image image = image_of(machine, *memory);
    chip_load_image(scene->session->chip, &image);
    assert_int_equal(run_one(scene, &empty, step, NULL, NULL), TAKT_OK);
    free(*memory);
    *memory = read_memory(scene->session->chip, machine);
    free(image.segments);
    free(text.queue_words);
    chip_text_destroy(empty.text);
}

/* Issues whose results no later issue takes: work for nothing, by instruction. */
static void print_unused(const struct scene *scene, const struct trace *trace)
{
    uint64_t all[ISA_OP_COUNT] = {0}, unused[ISA_OP_COUNT] = {0};
    for (size_t i = 0; i < trace->count; i++) {
        all[trace->issues[i].instruction.op]++;
        unused[trace->issues[i].instruction.op] += !trace->issues[i].used;
    }
    print_message("%s: %zu issues a step; what they give is taken by nobody:\n", scene->look.name,
                  trace->count);
    for (uint32_t op = 0; op < ISA_OP_COUNT; op++) {
        if (unused[op] > 0) {
            print_message("  %6llu of %6llu %s\n", (unsigned long long)unused[op],
                          (unsigned long long)all[op], isa_op_info((enum isa_op)op)->mnemonic);
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
            put_inputs(scene, step, &memory[i]);
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

static void print_count(const char *what, uint64_t count)
{
    if (count > 0) {
        print_message("  %6llu %s\n", (unsigned long long)count, what);
    }
}

static void print_tally(const struct tally *tally, uint64_t mutations, uint64_t seed)
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
    enum verdict verdict = judge(world, scene, mutant, &fault);
    if (verdict == SURVIVED) {
        verdict = judge(world, &scenes[2 + index % 2], mutant, &fault);
        tally->late += verdict != SURVIVED;
    }
    tally->faults[fault]++;
    tally->verdicts[verdict] += fault == CHIP_FAULT_NONE;
    tally->kinds[mutant->mutation.kind]++;
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
    open_world(&world);
    for (uint32_t i = 0; i < LOOKS; i++) {
        open_scene(&scenes[i], &world, &looks[i]);
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
    print_tally(&tally, mutations, seed);
    for (uint32_t i = 0; i < 2; i++) {
        mutation_source_free(&sources[i]);
    }
    for (uint32_t i = 0; i < LOOKS; i++) {
        close_scene(&scenes[i]);
    }
    close_world(&world);
    if (mutations == MUTATIONS_DEFAULT && seed == SEED_DEFAULT) {
        assert_true(tally.verdicts[SURVIVED] <= SURVIVED_MAX);
        assert_true(tally.reasons[ARITHMETIC] <= ARITHMETIC_MAX);
    }
}

TEST_GROUP(mutation, cmocka_unit_test(every_mutation_is_noticed_or_explained));
