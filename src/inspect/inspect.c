/* Inspect: opens a program for looking at. The list of what is done with it stands in
 * inspect_create. */
#include "inspect/inspect.h"

#include <stdlib.h>
#include <string.h>

/* ---- names and memory ------------------------------------------------------------------------ */

static uint32_t hash_of(const char *text)
{
    uint32_t hash = 2166136261u;
    for (; *text != '\0'; text++) {
        hash = (hash ^ (unsigned char)*text) * 16777619u;
    }
    return hash;
}

static void intern_names(struct inspect *inspect)
{
    const struct compile_account *account = inspect->account;
    uint32_t tasks = account == NULL ? 0 : account->task_count, capacity = 64;
    while (capacity < 2 * tasks) {
        capacity *= 2;
    }
    uint32_t *table = BASE_NEW(&inspect->arena, uint32_t, capacity); /* 1 + name */
    inspect->names = BASE_NEW(&inspect->arena, const char *, tasks + 1u);
    inspect->task_names = BASE_NEW(&inspect->arena, uint32_t, tasks + 1u);
    for (uint32_t i = 0; i < tasks; i++) {
        const char *name = account->tasks[i].name;
        uint32_t at = hash_of(name) & (capacity - 1);
        while (table[at] != 0 && strcmp(inspect->names[table[at] - 1], name) != 0) {
            at = (at + 1) & (capacity - 1);
        }
        if (table[at] == 0) {
            inspect->names[inspect->name_count++] = name;
            table[at] = inspect->name_count;
        }
        inspect->task_names[i] = table[at] - 1;
    }
}

static void map_regions(struct inspect *inspect)
{
    const struct machine *machine = inspect->machine;
    const struct compile_account *account = inspect->account;
    size_t words = 2u * (size_t)machine->mem_slices * machine->mem_words;
    inspect->region_of = BASE_NEW(&inspect->arena, uint32_t, words);
    for (uint32_t i = 0; account != NULL && i < account->region_count; i++) {
        const struct compile_region *region = &account->regions[i];
        for (uint32_t s = region->slice; s < region->slice + region->slices; s++) {
            for (uint32_t a = region->address; a < region->address + region->words; a++) {
                inspect->region_of[(size_t)s * machine->mem_words + a] = i + 1;
            }
        }
    }
}

const struct compile_region *inspect_region(const struct inspect *inspect, uint32_t slice,
                                            uint32_t address)
{
    if (inspect->account == NULL || address >= inspect->machine->mem_words ||
        slice >= 2u * inspect->machine->mem_slices) {
        return NULL;
    }
    uint32_t region = inspect->region_of[(size_t)slice * inspect->machine->mem_words + address];
    return region == 0 ? NULL : &inspect->account->regions[region - 1];
}

/* ---- placements ------------------------------------------------------------------------------ */

static void list_placements(struct inspect *inspect)
{
    const struct inspect_code *code = &inspect->code;
    const struct compile_account *account = inspect->account;
    inspect->placement_count = account == NULL ? 0 : account->placement_count;
    inspect->placements =
        BASE_NEW(&inspect->arena, struct inspect_placement, inspect->placement_count + 1u);
    for (uint32_t i = 0; i < inspect->placement_count; i++) {
        inspect->placements[i] = (struct inspect_placement){.task = account->placements[i],
                                                            .first = UINT32_MAX,
                                                            .reason = INSPECT_START,
                                                            .at = INSPECT_NONE,
                                                            .after = INSPECT_NONE};
    }
    for (uint32_t i = 0; i < code->issue_count; i++) {
        if (code->issues[i].placement != INSPECT_NONE) {
            struct inspect_placement *p = &inspect->placements[code->issues[i].placement];
            p->first = BASE_MIN(p->first, code->issues[i].cycle);
            p->last = code->issues[i].cycle;
            p->issue_count++;
        }
    }
    uint32_t total = 0;
    for (uint32_t i = 0; i < inspect->placement_count; i++) {
        inspect->placements[i].issue_first = total;
        total += inspect->placements[i].issue_count;
        inspect->placements[i].issue_count = 0;
    }
    inspect->by_placement = BASE_NEW(&inspect->arena, uint32_t, total + 1u);
    for (uint32_t i = 0; i < code->issue_count; i++) {
        if (code->issues[i].placement != INSPECT_NONE) {
            struct inspect_placement *p = &inspect->placements[code->issues[i].placement];
            inspect->by_placement[p->issue_first + p->issue_count++] = i;
        }
    }
}

uint32_t inspect_origin(const struct inspect *inspect, uint32_t queue,
                        const struct inspect_word *word, uint32_t i)
{
    const struct compile_account *account = inspect->account;
    const bool known = account != NULL && queue < account->queue_count &&
                       account->issues[queue] == inspect->code.queue_issues[queue];
    if (!known) {
        return INSPECT_NONE;
    }
    return (word->second ? account->write_origins : account->origins)[queue][word->first + i];
}

struct isa_instruction inspect_instruction(const struct inspect *inspect, uint32_t issue)
{
    const struct inspect_issue *i = &inspect->code.issues[issue];
    const struct inspect_word *word = &inspect->code.words[i->word];
    struct isa_instruction in = word->instruction;
    in.address = (uint16_t)(in.address + (int32_t)i->repetition * word->step);
    return in;
}

uint32_t inspect_latency(const struct machine *machine, const struct isa_instruction *instruction)
{
    enum isa_op op = (enum isa_op)instruction->op;
    switch (op) {
    case ISA_READ: return machine->mem_read_cycles;
    case ISA_GATHER: return machine->mem_gather_cycles;
    case ISA_PERMUTE: return machine->sxm_permute_cycles;
    case ISA_DISTRIBUTE: return machine->sxm_distribute_cycles;
    case ISA_TRANSPOSE: return machine->sxm_transpose_cycles;
    case ISA_IW: return machine->mxm_install_cycles;
    default: break;
    }
    switch (isa_op_info(op)->unit) {
    case ISA_UNIT_VXM:
    case ISA_UNIT_VXM_LARGE: return machine->vxm_cycles;
    case ISA_UNIT_MXM_ACTIVATIONS: return machine->mxm_result_cycles;
    case ISA_UNIT_MXM_RESULTS: return machine->mxm_emit_cycles;
    case ISA_UNIT_SXM_SHIFT: return machine->sxm_shift_cycles;
    case ISA_UNIT_SXM_ROTATE: return machine->sxm_rotate_cycles;
    default: return 1;
    }
}

/* ---- opening --------------------------------------------------------------------------------- */

/* Addresses only; pages are taken when used. */
static size_t arena_bytes(const struct program *program)
{
    return inspect_code_bytes(program) + ((size_t)64 << 30);
}

enum takt_status inspect_create(struct inspect **out, const struct program *program,
                                const struct compile_account *account, struct takt_error *error)
{
    *out = NULL;
    struct inspect *inspect = calloc(1, sizeof *inspect);
    if (inspect == NULL) {
        return base_fail(error, TAKT_MEMORY, "inspect: out of memory");
    }
    inspect->program = program;
    inspect->account = account;
    inspect->machine = &program->machine;
    enum takt_status status = base_arena_create(&inspect->arena, arena_bytes(program), error);
    if (status == TAKT_OK) {
        status = inspect_decode(inspect, error);
    }
    if (status != TAKT_OK) {
        inspect_destroy(inspect);
        return status;
    }
    intern_names(inspect);
    map_regions(inspect);
    list_placements(inspect);
    inspect_flow(inspect);
    inspect_path(inspect);
    *out = inspect;
    return TAKT_OK;
}

void inspect_destroy(struct inspect *inspect)
{
    if (inspect != NULL) {
        base_arena_destroy(&inspect->arena);
        free(inspect);
    }
}

struct inspect_bounds inspect_bounds(const struct inspect *inspect,
                                     const struct inspect_facts *facts)
{
    const struct machine *machine = inspect->machine;
    double lanes = machine_lanes(machine), planes = 2.0 * MACHINE_PLANES;
    struct inspect_bounds b = {.chain = (double)inspect->chain_cycles};
    b.weights = (double)facts->weight_bytes / (planes * MACHINE_WEIGHT_ROWS * lanes);
    b.macs = (double)facts->macs / (planes * lanes * lanes);
    b.largest = BASE_MAX(b.chain, BASE_MAX(b.weights, b.macs));
    return b;
}
