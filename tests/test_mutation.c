/*
 * Mutations of compiled programs: an instruction a cycle off, another stream, address, constant or
 * latency. Each must fault, be refused, take other cycles, or change what the steps leave behind:
 * the bits of their logits, the KV cache, the weights.
 *
 * TAKT_MUTATIONS says how many are tried, TAKT_MUTATION_SEED from which seed they are drawn.
 */
#include "tests.h"

#include "gguf_writer.h"
#include "mutate.h"
#include "run/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MUTATIONS_DEFAULT 1000u
#define SEED_DEFAULT 1u
#define CHUNK 7u
#define CONTEXT 80u
#define STEPS 3u

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

enum { REFUSED, OTHER_CYCLES, OTHER_LOGITS, OTHER_STATE, SURVIVED, VERDICTS };
static const char *const verdicts[] = {"refused at load", "other cycles", "other logits",
                                       "other KV cache or weights", "survived"};

/* One program with the steps that it runs, from a memory that earlier steps have left. */
struct scene {
    const char *name;
    struct takt_session *session;
    const struct run_program *program;
    uint32_t start, count[STEPS]; /* tokens of each step; 0 = no more */
    uint32_t tokens[STEPS * CHUNK];
    struct program_image before; /* the whole memory */
    uint8_t *after;              /* what the steps leave there */
    float *logits;               /* [steps][chunk][vocab] */
    size_t step_logits;          /* of them, a step's */
};

struct world {
    struct takt_engine *engine;
    char model[64], machine[64];
    size_t word_count; /* of the chip's memory */
    bool *state;       /* [word_count]: words that later steps rely on: weights, KV cache */
};

struct tally {
    uint64_t verdicts[VERDICTS], faults[CHIP_FAULT_DEADLOCK + 1], kinds[MUTATION_KINDS];
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
        image.segments[i] = (struct program_segment){
            (uint16_t)i, 0, machine->mem_words,
            memory + (size_t)i * machine->mem_words * machine_lanes(machine)};
    }
    return image;
}

/* ---- what counts as left behind -------------------------------------------------------------- */

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
        const struct program_binding *b = &program->bindings[i];
        for (size_t k = 0; k < (size_t)b->items * b->rows * b->element_bytes; k++) {
            state[(size_t)b->places[k].slice * machine->mem_words + b->places[k].address] = false;
        }
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
    assert_int_equal(
        base_file_write(world->machine, machine_text, sizeof machine_text - 1, NULL), TAKT_OK);
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

/* Runs the scene's steps; logits [steps][step_logits]. When one fails, *step says which. */
static enum takt_status run_steps(struct scene *scene, const struct run_program *program,
                                  float *logits, struct takt_error *error)
{
    uint32_t done = 0;
    for (uint32_t i = 0; i < STEPS && scene->count[i] > 0; i++) {
        uint64_t cycles;
        const enum takt_status status =
            run_step(scene->session, program, scene->tokens + done, scene->count[i],
                     scene->start + done, logits + i * scene->step_logits, &cycles, error);
        if (status != TAKT_OK) {
            return status;
        }
        done += scene->count[i];
    }
    return TAKT_OK;
}

static void open_scene(struct scene *scene, struct world *world, const char *name, uint32_t chunk,
                       uint32_t start, const uint32_t count[STEPS])
{
    struct takt_error error;
    *scene = (struct scene){.name = name, .start = start};
    scene->program = get_program(world, chunk);
    /* Twice the room: the engine's session has sized its work space with both programs. */
    scene->session = open_session(world, start);
    const float before[2 * CHUNK * 70] = {0};
    (void)before;
    const uint8_t *memory = read_memory(scene->session->chip, &world->engine->machine);
    scene->before = image_of(&world->engine->machine, memory);
    scene->step_logits = (size_t)chunk * shape.vocab;
    scene->logits = calloc(STEPS * scene->step_logits, sizeof *scene->logits);
    memcpy(scene->count, count, sizeof scene->count);
    for (uint32_t i = 0; i < STEPS * CHUNK; i++) {
        scene->tokens[i] = token_at(start + i);
    }
    replace_chip(scene, &world->engine->machine);
    if (run_steps(scene, scene->program, scene->logits, &error) != TAKT_OK) {
        fail_msg("%s", error.message);
    }
    scene->after = read_memory(scene->session->chip, &world->engine->machine);
}

static void close_scene(struct scene *scene)
{
    free((void *)(uintptr_t)scene->before.segments[0].data);
    free(scene->before.segments);
    free(scene->after);
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
static int judge(const struct world *world, struct scene *scene, const struct mutant *mutant,
                 enum chip_fault_kind *fault)
{
    struct run_program program = *scene->program;
    struct program text = mutant->program;
    struct takt_error error;
    program.program = &text;
    *fault = CHIP_FAULT_NONE;
    if (program_check(&text, &error) != TAKT_OK ||
        chip_text_create(&program.text, &text, &error) != TAKT_OK) {
        assert_int_equal(error.status, TAKT_FORMAT);
        return REFUSED;
    }
    replace_chip(scene, &text.machine);
    float *logits = calloc(STEPS * scene->step_logits, sizeof *logits);
    const enum takt_status status = run_steps(scene, &program, logits, &error);
    int verdict = SURVIVED;
    if (status != TAKT_OK) {
        assert_int_equal(status, TAKT_FAULT);
        *fault = chip_last_fault(scene->session->chip)->kind;
        verdict = OTHER_CYCLES; /* or a fault */
    } else if (memcmp(logits, scene->logits, STEPS * scene->step_logits * sizeof *logits) != 0) {
        verdict = OTHER_LOGITS;
    } else if (!same_state(world, scene)) {
        verdict = OTHER_STATE;
    }
    free(logits);
    chip_text_destroy(program.text);
    return verdict;
}

/* ---- telling --------------------------------------------------------------------------------- */

static void print_survivor(const struct scene *scene, const struct mutation *m, uint64_t index,
                           const char *why)
{
    char queue[32], line[96];
    machine_queue_name(&scene->program->program->machine, m->queue, queue);
    isa_print(&m->instruction, line, sizeof line);
    if (m->kind == MUTATION_LATENCY) {
        print_message("  %llu %s, %s: %s\n", (unsigned long long)index, scene->name, m->text, why);
    } else {
        print_message("  %llu %s, %s word %u, `%s`, %s: %s\n", (unsigned long long)index,
                      scene->name, queue, m->word, line, m->text, why);
    }
}

static void print_tally(const struct tally *tally)
{
    for (int i = CHIP_FAULT_NONE + 1; i <= (int)CHIP_FAULT_DEADLOCK; i++) {
        print_message("  fault %-16s %6llu\n", chip_fault_name((enum chip_fault_kind)i),
                      (unsigned long long)tally->faults[i]);
    }
    for (int i = 0; i < VERDICTS; i++) {
        print_message("  %-26s %2llu\n", verdicts[i], (unsigned long long)tally->verdicts[i]);
    }
}

static void every_mutation_is_noticed_or_explained(void **state)
{
    (void)state;
    static const uint32_t decode[STEPS] = {1, 1, 1}, prefill[STEPS] = {7, 5, 0};
    const uint64_t mutations = environment("TAKT_MUTATIONS", MUTATIONS_DEFAULT);
    const uint64_t seed = environment("TAKT_MUTATION_SEED", SEED_DEFAULT);
    struct world world = {0};
    struct scene scenes[2];
    struct mutation_source sources[2];
    struct tally tally = {0};
    open_world(&world);
    open_scene(&scenes[0], &world, "decode", 1, 14, decode);
    open_scene(&scenes[1], &world, "prefill", CHUNK, 7, prefill);
    for (uint32_t i = 0; i < 2; i++) {
        mutation_source_create(&sources[i], scenes[i].program->program);
    }
    for (uint64_t i = 0; i < mutations; i++) {
        struct scene *scene = &scenes[i % 2];
        struct mutant mutant;
        enum chip_fault_kind fault;
        mutant_create(&mutant, &sources[i % 2], seed, i);
        const int verdict = judge(&world, scene, &mutant, &fault);
        tally.faults[fault]++;
        tally.verdicts[verdict] += fault == CHIP_FAULT_NONE;
        if (verdict == SURVIVED) {
            print_survivor(scene, &mutant.mutation, i, "?");
        }
        mutant_free(&mutant);
    }
    print_tally(&tally);
    for (uint32_t i = 0; i < 2; i++) {
        mutation_source_free(&sources[i]);
        close_scene(&scenes[i]);
    }
    close_world(&world);
}

TEST_GROUP(mutation, cmocka_unit_test(every_mutation_is_noticed_or_explained));
