/* The programs of an engine: one per (chunk, bucket, all logits), compiled when first needed. */
#include "run/run.h"

#include <stdlib.h>

static uint32_t parameter(const struct program *program, const char *name)
{
    const int64_t value = program_parameter(program, name, -1);
    BASE_ASSERT(value >= 0 && value <= UINT32_MAX);
    return (uint32_t)value;
}

static const struct program_binding *binding(const struct program *program, const char *name,
                                             uint32_t element_bytes)
{
    const struct program_binding *found = program_binding(program, name);
    BASE_ASSERT(found != NULL);
    BASE_ASSERT(found->element_bytes == element_bytes);
    return found;
}

/* Tables of rotary angles, as many as the model has. */
static void find_ropes(struct run_program *entry)
{
    static const char *const names[MODEL_ROPES_MAX][2] = {{"rope_cos", "rope_sin"},
                                                          {"rope_cos1", "rope_sin1"}};
    for (uint32_t i = 0; i < MODEL_ROPES_MAX; i++) {
        if (!program_binding(entry->program, names[i][0])) {
            BASE_ASSERT(i > 0);
            return;
        }
        entry->rope_cos[i] = binding(entry->program, names[i][0], 4);
        entry->rope_sin[i] = binding(entry->program, names[i][1], 4);
        BASE_ASSERT(entry->rope_cos[i]->items == entry->chunk);
        BASE_ASSERT(entry->rope_sin[i]->items == entry->chunk);
    }
}

static void check_map(const struct program_binding *map, uint32_t items, uint32_t lanes)
{
    BASE_ASSERT(map->items == items && map->elements == lanes);
}

static void check_maps(const struct run_program *entry, uint32_t lanes)
{
    check_map(entry->k_write_map, entry->blocks, lanes);
    if (entry->k_keep_map) {
        check_map(entry->v_map, entry->blocks, lanes);
        check_map(entry->k_keep_map, entry->chunk / entry->wave, lanes);
    } else {
        check_map(entry->v_map, entry->chunk * 16, lanes);
        check_map(entry->k_map, entry->chunk * 16, lanes);
        check_map(entry->k_read_map, entry->blocks, lanes);
    }
}

/* Everything that compile.h promises of a program is checked here, once, so that a step need not.
 */
static void find_bindings(struct run_program *entry)
{
    const struct program *program = entry->program;
    const uint32_t lanes = machine_lanes(&program->machine);
    entry->x = binding(program, "x", 4);
    find_ropes(entry);
    entry->mask = binding(program, "mask", 1);
    entry->mask_window = program_binding(program, "mask_window");
    entry->v_map = binding(program, "v_map", 1);
    if (compile_aligned(entry->chunk)) {
        entry->k_keep_map = binding(program, "k_keep_map", 1);
    } else {
        entry->k_map = binding(program, "k_map", 1);
        entry->k_read_map = binding(program, "k_read_map", 1);
    }
    entry->k_write_map = binding(program, "k_write_map", 1);
    entry->logits = binding(program, "logits", 4);
    entry->wave = parameter(program, "wave");
    entry->blocks = parameter(program, "blocks");
    entry->row_ring = parameter(program, "row_ring");
    entry->k_groups = parameter(program, "k_groups");
    BASE_ASSERT(entry->row_ring > 0);
    BASE_ASSERT(entry->x->items == entry->chunk && entry->mask->items == entry->chunk);
    BASE_ASSERT(entry->mask->elements == entry->bucket);
    BASE_ASSERT(!entry->mask_window || (entry->mask_window->items == entry->chunk &&
                                        entry->mask_window->elements == entry->bucket));
    check_maps(entry, lanes);
    BASE_ASSERT(entry->logits->output);
    BASE_ASSERT(entry->logits->items == (entry->all_logits ? entry->chunk : 1));
    if (entry->chunk == entry->step.users) {
        entry->own = binding(program, "own", 1);
        BASE_ASSERT(entry->own->items == entry->chunk && entry->own->elements == entry->bucket);
    }
    if (entry->chunk > 1 && !entry->all_logits) {
        entry->row_map = binding(program, "row_map", 1);
        BASE_ASSERT(entry->row_map->items == 1 && entry->row_map->elements == lanes);
    }
}

static void program_free(struct run_program *entry)
{
    if (entry->text) {
        chip_text_destroy(entry->text);
    }
    if (entry->program) {
        compile_program_destroy(entry->program);
    }
    free(entry);
}

static enum takt_status compile_entry(struct takt_engine *engine, struct run_program *entry,
                                      struct takt_error *error)
{
    enum takt_status status = compile_program(&entry->program, engine->plan, &entry->step, error);
    if (status != TAKT_OK) {
        return status;
    }
    status = chip_text_create(&entry->text, entry->program, error);
    if (status != TAKT_OK) {
        return status;
    }
    program_hash(entry->program, entry->hash);
    find_bindings(entry);
    return TAKT_OK;
}

static bool reserve_entry(struct run_programs *programs)
{
    if (programs->count < programs->capacity) {
        return true;
    }
    const size_t capacity = programs->capacity ? programs->capacity * 2 : 16;
    struct run_program **entries = realloc(programs->entries, capacity * sizeof *entries);
    if (!entries) {
        return false;
    }
    programs->entries = entries;
    programs->capacity = capacity;
    return true;
}

static bool same_step(const struct compile_step *a, const struct compile_step *b)
{
    return a->chunk == b->chunk && a->bucket == b->bucket && a->all_logits == b->all_logits &&
           a->first_user == b->first_user && a->users == b->users;
}

enum takt_status run_programs_get(struct takt_engine *engine, const struct compile_step *wanted,
                                  const struct run_program **program, struct takt_error *error)
{
    struct run_programs *programs = &engine->programs;
    struct compile_step step = *wanted;
    step.all_logits = step.all_logits && step.chunk > 1; /* of one token they are the last's */
    for (size_t i = 0; i < programs->count; i++) {
        const struct run_program *entry = programs->entries[i];
        if (same_step(&entry->step, &step)) {
            *program = entry;
            return TAKT_OK;
        }
    }
    struct run_program *entry = calloc(1, sizeof *entry);
    if (!entry || !reserve_entry(programs)) {
        free(entry);
        return base_fail(error, TAKT_MEMORY, "%s: no memory for another program",
                         engine->model->path);
    }
    entry->step = step;
    entry->chunk = step.chunk;
    entry->bucket = step.bucket;
    entry->all_logits = step.all_logits;
    const enum takt_status status = compile_entry(engine, entry, error);
    if (status != TAKT_OK) {
        program_free(entry);
        return status;
    }
    programs->entries[programs->count++] = entry;
    *program = entry;
    return TAKT_OK;
}

bool run_programs_known(const struct takt_engine *engine, const struct compile_step *step)
{
    for (size_t i = 0; i < engine->programs.count; i++) {
        if (same_step(&engine->programs.entries[i]->step, step)) {
            return true;
        }
    }
    return false;
}

void run_programs_free(struct run_programs *programs)
{
    for (size_t i = 0; i < programs->count; i++) {
        program_free(programs->entries[i]);
    }
    free(programs->entries);
    *programs = (struct run_programs){0};
}

/* Fed with the programs' own hashes as 64 hex characters each. */
void run_hash_programs(const struct run_program *const *programs, size_t count, char hex[65])
{
    hex[0] = '\0';
    struct base_digest *digest = count > 0 ? base_digest_create() : NULL;
    for (size_t i = 0; digest && i < count; i++) {
        base_digest_update(digest, programs[i]->hash, 64);
    }
    if (digest) {
        base_digest_hex(digest, hex);
        base_digest_destroy(digest);
    }
}
