/* The compiler's table of contents. Each pass is a file whose first comment says what it requires
 * and fills in; a checker runs after each. */
#include "compile/plan.h"

#include <stdlib.h>

#define PLAN_OVERHEAD_BYTES (64u << 20)
#define ARENA_BYTES (16ull << 30) /* of addresses; pages are taken when used */
#define PROGRAM_BYTES (1ull << 30)
#define TASKS_MAX (1u << 20)
#define BUFFERS_MAX 4096u
#define BEGIN_LATER 64u /* cycles before the first instruction of a step whose text is late ... */
#define BEGIN_MAX 1024u /* ... and at most */
#define RETRIES_MAX 16u /* of a schedule whose text is late */

uint32_t compile_blocks(uint32_t chunk)
{
    return compile_aligned(chunk) ? chunk / STRIPES : (chunk + STRIPES - 2) / STRIPES + 1;
}

bool compile_aligned(uint32_t chunk)
{
    return chunk % STRIPES == 0;
}

uint32_t compile_bucket(const struct compile_plan *plan, uint32_t length)
{
    uint32_t tiles = 1;
    while (tiles * plan->lanes < length) {
        tiles *= 2;
    }
    return BASE_MIN(tiles, plan->context_tiles) * plan->lanes;
}

/* ---- one program ----------------------------------------------------------------------------- */

static enum takt_status compiler_open(struct compiler *c, const struct compile_plan *plan,
                                      const struct compile_step *step, uint32_t wave,
                                      struct takt_error *error)
{
    bool joint = step->users > 1;
    BASE_ASSERT(step->chunk >= 1 && step->chunk <= BASE_MAX(plan->chunk_max, plan->users));
    BASE_ASSERT(step->bucket % plan->lanes == 0);
    BASE_ASSERT(step->chunk % wave == 0 && step->chunk / wave <= WAVES_MAX);
    BASE_ASSERT(joint || compile_aligned(step->chunk) || step->chunk <= plan->unaligned_max);
    BASE_ASSERT(step->first_user + step->users <= plan->users && step->users >= 1);
    BASE_ASSERT(!joint || (step->chunk == step->users && step->all_logits));
    *c = (struct compiler){.plan = plan,
                           .graph = plan->graph,
                           .machine = &plan->machine,
                           .error = error,
                           .chunk = wave,
                           .waves = step->chunk / wave,
                           .bucket = step->bucket,
                           .tiles = step->bucket / plan->lanes,
                           .blocks = joint ? step->users : compile_blocks(wave),
                           .aligned = compile_aligned(wave),
                           .first_user = step->first_user,
                           .users = step->users,
                           .attending = NONE,
                           .late = NONE,
                           .all_logits = step->all_logits,
                           .task_capacity = TASKS_MAX,
                           .buffer_capacity = plan->buffer_count + BUFFERS_MAX};
    enum takt_status status = base_arena_create(&c->arena, ARENA_BYTES, error);
    if (status != TAKT_OK) {
        return status;
    }
    c->tasks = BASE_NEW(&c->arena, struct task, c->task_capacity);
    c->buffers = BASE_NEW(&c->arena, struct buffer, c->buffer_capacity);
    for (uint32_t i = 0; i < plan->buffer_count; i++) {
        c->buffers[i] = plan->buffers[i];
    }
    c->buffer_count = plan->buffer_count;
    return TAKT_OK;
}

typedef enum takt_status (*pass_function)(struct compiler *c);

static enum takt_status run_passes(struct compiler *c, const pass_function *passes, size_t count)
{
    enum takt_status status = TAKT_OK;
    for (size_t i = 0; i < count && status == TAKT_OK; i++) {
        status = passes[i](c);
    }
    return status;
}

static const pass_function MEMORY_PASSES[] = {lower, waves_share, lower_check, allocate,
                                              allocate_check};
static const pass_function TIME_PASSES[] = {schedule, schedule_pair, schedule_check, fetch_text,
                                            schedule_check};

/* Opens a compiler and gives everything of the step its place in memory. A long chunk goes through
 * the layers in waves, or all at once where they find no room. */
static enum takt_status compiler_place(struct compiler *c, const struct compile_plan *plan,
                                       const struct compile_step *step, struct takt_error *error)
{
    const bool several = step->users == 1 && step->chunk > WAVE && step->chunk % WAVE == 0;
    enum takt_status status = TAKT_CAPACITY;
    for (uint32_t wave = several ? WAVE : step->chunk; status == TAKT_CAPACITY;
         wave = step->chunk) {
        status = compiler_open(c, plan, step, wave, error);
        if (status == TAKT_OK) {
            status = run_passes(c, MEMORY_PASSES, BASE_COUNT(MEMORY_PASSES));
        }
        if (status != TAKT_OK) {
            base_arena_destroy(&c->arena);
        }
        if (wave == step->chunk) {
            break;
        }
    }
    return status;
}

/* What helps a queue whose text comes too late: that all begin later, for its first blocks may be
 * used up before the next can be there; then gaps in which it can fetch. False: nothing more. */
static bool help_late(struct compiler *c)
{
    if (c->begin > 0 && !c->gaps[c->late]) {
        c->gaps[c->late] = true;
    } else if (c->begin < BEGIN_MAX) {
        c->begin = c->begin == 0 ? BEGIN_LATER : 4 * c->begin;
    } else {
        return false;
    }
    return true;
}

static enum takt_status run_time_passes(struct compiler *c)
{
    c->gaps = BASE_NEW(&c->arena, bool, machine_queue_count(c->machine));
    const size_t used = c->arena.used_bytes;
    for (uint32_t retries = 0;; retries++) {
        c->late = NONE;
        enum takt_status status = run_passes(c, TIME_PASSES, BASE_COUNT(TIME_PASSES));
        if (status != TAKT_LIMIT || c->late == NONE || retries == RETRIES_MAX || !help_late(c)) {
            return status;
        }
        base_arena_rewind(&c->arena, used);
    }
}

struct owned_program { /* a program and what it stands on */
    struct program program;
    struct base_arena arena;
};

static enum takt_status compile(struct program **program, struct compile_account *account,
                                const struct compile_plan *plan, const struct compile_step *step,
                                struct takt_error *error)
{
    struct compiler c;
    struct owned_program *owned = calloc(1, sizeof *owned);
    if (owned == NULL) {
        return base_fail(error, TAKT_MEMORY, "compile: out of memory");
    }
    enum takt_status status = base_arena_create(&owned->arena, PROGRAM_BYTES, error);
    if (status == TAKT_OK) {
        status = compiler_place(&c, plan, step, error);
    }
    if (status != TAKT_OK) {
        compile_program_destroy(&owned->program);
        return status;
    }
    if (account != NULL) {
        status = account_open(&c, account);
    }
    if (status == TAKT_OK) {
        status = run_time_passes(&c);
    }
    if (status == TAKT_OK) {
        status = emit(&c, &owned->program, &owned->arena);
    }
    if (status == TAKT_OK) {
        status = emit_check(&c, &owned->program);
    }
    if (status == TAKT_OK) {
        status = compile_bind(&c, &owned->program, &owned->arena);
    }
    if (status == TAKT_OK) {
        status = program_check(&owned->program, error);
    }
    if (status == TAKT_OK && account != NULL) {
        account_close(&c);
        account->peak_bytes =
            base_arena_resident_bytes(&c.arena) + base_arena_resident_bytes(&owned->arena);
    }
    base_arena_destroy(&c.arena);
    if (status != TAKT_OK) {
        compile_program_destroy(&owned->program);
        return status;
    }
    *program = &owned->program;
    return TAKT_OK;
}

enum takt_status compile_program(struct program **program, const struct compile_plan *plan,
                                 const struct compile_step *step, struct takt_error *error)
{
    return compile(program, NULL, plan, step, error);
}

enum takt_status compile_program_account(struct program **program, struct compile_account **account,
                                         const struct compile_plan *plan,
                                         const struct compile_step *step, struct takt_error *error)
{
    *account = NULL;
    struct compile_account *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return base_fail(error, TAKT_MEMORY, "compile: out of memory");
    }
    enum takt_status status = compile(program, made, plan, step, error);
    if (status != TAKT_OK) {
        compile_account_destroy(made);
        return status;
    }
    *account = made;
    return TAKT_OK;
}

void compile_program_destroy(struct program *program)
{
    if (program != NULL) {
        struct owned_program *owned = (struct owned_program *)program; /* its first member */
        base_arena_destroy(&owned->arena);
        free(owned);
    }
}

/* ---- the plan -------------------------------------------------------------------------------- */

/* The largest steps must find room before the first one runs. */
static enum takt_status check_room(const struct compile_plan *plan, uint32_t chunk, bool all,
                                   uint32_t users, struct takt_error *error)
{
    struct compiler c;
    const struct compile_step step = {chunk, plan->context_tiles * plan->lanes, all, 0, users};
    enum takt_status status = compiler_place(&c, plan, &step, error);
    if (status == TAKT_OK) {
        base_arena_destroy(&c.arena);
    }
    return status;
}

/* The chunk's program must find room; with all logits, it or a shorter one of whole blocks. */
static enum takt_status check_chunk(struct compile_plan *plan, struct takt_error *error)
{
    uint32_t chunk = plan->chunk_max;
    enum takt_status status = check_room(plan, chunk, true, 1, error);
    while (status == TAKT_CAPACITY && compile_aligned(chunk) && chunk > STRIPES) {
        chunk = BASE_MAX(chunk / 2 / STRIPES, 1u) * STRIPES;
        status = check_room(plan, chunk, true, 1, error);
    }
    plan->logits_chunk = chunk;
    return status == TAKT_OK && chunk < plan->chunk_max
               ? check_room(plan, plan->chunk_max, false, 1, error)
               : status;
}

static uint64_t plan_bytes(const struct graph *graph, const struct machine *machine)
{
    uint64_t vectors = 64 + 2ull * machine->mem_slices * machine->mem_words;
    return vectors * machine_lanes(machine) + (uint64_t)graph->layers * 65536 +
           (uint64_t)graph->vocab * 64 + PLAN_OVERHEAD_BYTES;
}

enum takt_status compile_plan_create(struct compile_plan **out, const struct graph *graph,
                                     const struct machine *machine, uint32_t context,
                                     uint32_t chunk_max, uint32_t users, struct takt_error *error)
{
    uint32_t most = BASE_MIN(machine->mxm_accumulators, 256u);
    if (chunk_max < 1 || chunk_max > most) {
        return base_fail(error, TAKT_LIMIT,
                         "compile: a chunk of %u tokens; \"%s\" has accumulators for 1..%u: use a "
                         "smaller --chunk",
                         chunk_max, machine->name, most);
    }
    if (users < 1 || users > COMPILE_USERS_MAX) {
        return base_fail(error, TAKT_LIMIT, "compile: %u users of a chip; it serves 1 to %u", users,
                         COMPILE_USERS_MAX);
    }
    struct compile_plan *plan = calloc(1, sizeof *plan);
    if (plan == NULL) {
        return base_fail(error, TAKT_MEMORY, "compile: out of memory");
    }
    plan->graph = graph;
    plan->machine = *machine;
    plan->context = context;
    plan->chunk_max = chunk_max;
    plan->users = users;
    enum takt_status status = base_arena_create(&plan->arena, plan_bytes(graph, machine), error);
    if (status == TAKT_OK) {
        status = plan_build(plan, error);
    }
    if (status == TAKT_OK) {
        plan_check(plan);
        plan->logits_chunk = 1;
        status = check_room(plan, 1, false, 1, error);
    }
    if (status == TAKT_OK && chunk_max > 1) {
        status = check_chunk(plan, error);
    }
    if (status == TAKT_OK && users > 1) {
        status = check_room(plan, users, true, users, error);
    }
    if (status != TAKT_OK) {
        compile_plan_destroy(plan);
        return status;
    }
    *out = plan;
    return TAKT_OK;
}

void compile_plan_destroy(struct compile_plan *plan)
{
    if (plan != NULL) {
        base_arena_destroy(&plan->arena);
        free(plan);
    }
}

uint32_t compile_logits_chunk(const struct compile_plan *plan)
{
    return plan->logits_chunk;
}

const struct program_image *compile_plan_image(const struct compile_plan *plan)
{
    return &plan->image;
}
