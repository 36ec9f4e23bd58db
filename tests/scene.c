/* The model, the machine, the memory before and after, and the verdict on a mutant. */
#include "scene.h"

#include "gguf_writer.h"
#include "tests.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK SCENE_CHUNK
#define CONTEXT 80u

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

/* Clears the words that the program's own Writes name, and where its inputs, its outputs and its
 * own text lie. */
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
    for (uint32_t queue = 0; program->text_blocks && queue < program->queue_count; queue++) {
        for (uint32_t i = 0; i < program->text_blocks[queue]; i++) {
            const struct program_place place = program->text_places[queue][i];
            bool *words = state + (size_t)place.slice * machine->mem_words + place.address;
            words[0] = words[1] = false;
        }
    }
}

static const struct run_program *get_program(struct world *world, uint32_t chunk)
{
    const struct run_program *program;
    struct takt_error error;
    const struct compile_step step = {chunk, compile_bucket(world->engine->plan, CONTEXT),
                                      chunk > 1, 0, 1};
    if (run_programs_get(world->engine, &step, &program, &error) != TAKT_OK) {
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

void world_open(struct world *world)
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

void world_close(struct world *world)
{
    takt_engine_close(world->engine);
    free(world->state);
    unlink(world->model);
    unlink(world->machine);
}

/* ---- running --------------------------------------------------------------------------------- */

void scene_replace_chip(struct scene *scene, const struct machine *machine)
{
    chip_destroy(scene->session->chip);
    assert_int_equal(chip_create(&scene->session->chip, machine, NULL), TAKT_OK);
    chip_load_image(scene->session->chip, &scene->before);
    scene->session->shared->chip = scene->session->chip;
    scene->session->shared->loaded = NULL; /* no text but what the image holds */
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
    return run_step_chunk(scene->session, program, tokens, count, start, logits, &cycles, error);
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

void scene_open(struct scene *scene, struct world *world, const struct look *look)
{
    const struct machine *machine = &world->engine->machine;
    struct takt_error error;
    *scene = (struct scene){.look = *look, .program = get_program(world, look->chunk)};
    scene->session = open_session(world, look->start);
    chip_load_text(scene->session->chip, scene->program->text);
    scene->memory = read_memory(scene->session->chip, machine);
    scene->before = image_of(machine, scene->memory);
    scene->kept = calloc(world->word_count, sizeof *scene->kept);
    assert_non_null(scene->kept);
    memcpy(scene->kept, world->state, world->word_count * sizeof *scene->kept);
    mark_binding(scene->program->logits, machine, scene->kept, true);
    scene->step_logits = (size_t)look->chunk * shape.vocab;
    scene->logits = calloc(look->steps * scene->step_logits, sizeof *scene->logits);
    assert_non_null(scene->logits);
    scene_replace_chip(scene, machine);
    if (run_steps(scene, scene->program, scene->logits, &error) != TAKT_OK) {
        fail_msg("%s", error.message);
    }
    scene->after = read_memory(scene->session->chip, machine);
}

void scene_close(struct scene *scene)
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

enum verdict scene_judge(const struct world *world, struct scene *scene,
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
    scene_replace_chip(scene, &text.machine);
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

/* Writes a step's inputs into a memory, as run_step does before an empty program. */
void scene_put_inputs(struct scene *scene, uint32_t step, uint8_t **memory)
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
    scene->session->shared->chip = scene->session->chip;
    scene->session->shared->loaded = NULL;
    assert_int_equal(run_one(scene, &empty, step, NULL, NULL), TAKT_OK);
    free(*memory);
    *memory = read_memory(scene->session->chip, machine);
    free(image.segments);
    free(text.queue_words);
    chip_text_destroy(empty.text);
}
