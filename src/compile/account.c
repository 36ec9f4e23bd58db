/*
 * The account: which task every instruction of a program belongs to, and what lies where.
 *
 * Requires: nothing of the passes but that place_issue writes down the placement's number and the
 * schedule calls account_placed when one stays. Fills in: the account, when one is kept; otherwise
 * the numbers are all there is.
 */
#include "compile/plan.h"

#include <stdlib.h>
#include <string.h>

#define ACCOUNT_BYTES (4ull << 30) /* of addresses */
#define PLACEMENTS_MAX (1u << 22)

enum takt_status account_open(struct compiler *c, struct compile_account *account)
{
    enum takt_status status = base_arena_create(&account->arena, ACCOUNT_BYTES, c->error);
    if (status == TAKT_OK) {
        account->placements = BASE_NEW(&account->arena, uint32_t, PLACEMENTS_MAX);
        c->placement_capacity = PLACEMENTS_MAX;
        c->account = account;
    }
    return status;
}

void account_placed(struct compiler *c)
{
    if (c->account != NULL) {
        BASE_ASSERT(c->placement < c->placement_capacity);
        c->account->placements[c->placement] = c->task_now;
    }
    c->placement++;
}

/* ---- tasks ----------------------------------------------------------------------------------- */

struct names { /* of the buffers a task touches, each once */
    const struct compiler *c;
    char text[240];
    size_t length;
};

static void add_name(struct names *names, uint32_t buffer)
{
    if (buffer == NONE) {
        return;
    }
    const char *name = names->c->buffers[buffer].name;
    size_t length = strlen(name);
    for (const char *at = names->text; (at = strstr(at, name)) != NULL; at += length) {
        bool begins = at == names->text || at[-1] == ' ';
        if (begins && (at[length] == ' ' || at[length] == '\0')) {
            return;
        }
    }
    if (names->length + length + 2 < sizeof names->text) {
        names->length +=
            (size_t)snprintf(names->text + names->length, sizeof names->text - names->length,
                             "%s%s", names->length > 0 ? " " : "", name);
    }
}

static void add_inputs(struct names *names, const struct task *task)
{
    for (uint32_t i = 0; task->kernel != NULL && i < task->kernel->input_count; i++) {
        add_name(names, task->kernel->inputs[i].access.buffer);
    }
    for (uint32_t i = 0; task->pass != NULL && i < task->pass->segment_count; i++) {
        add_name(names, task->pass->segments[i].input.buffer);
    }
    if (task->kind == TASK_LOAD) {
        add_name(names, task->tile.buffer);
        return;
    }
    add_name(names, task->in.buffer);
    add_name(names, task->map.buffer);
}

static void add_outputs(struct names *names, const struct task *task)
{
    for (uint32_t i = 0; task->kernel != NULL && i < task->kernel->output_count; i++) {
        add_name(names, task->kernel->outputs[i].access.buffer);
    }
    for (uint32_t i = 0; task->pass != NULL && i < task->pass->segment_count; i++) {
        add_name(names, task->pass->segments[i].output.buffer);
    }
    add_name(names, task->out.buffer);
    if (task->kind == TASK_SCATTER) {
        add_name(names, task->target_buffer);
    }
}

static const char *kind_name(enum task_kind kind)
{
    switch (kind) {
    case TASK_KERNEL: return "kernel";
    case TASK_LOAD: return "load";
    case TASK_PASS: return "pass";
    case TASK_TRANSPOSE: return "transpose";
    case TASK_PERMUTE: return "permute";
    case TASK_DISTRIBUTE: return "distribute";
    case TASK_SCATTER: return "scatter";
    case TASK_GATHER: return "gather";
    case TASK_KEEP: return "keep";
    }
    return "task";
}

static void describe_tasks(const struct compiler *c, struct compile_account *account)
{
    account->task_count = c->task_count;
    account->tasks = BASE_NEW(&account->arena, struct compile_task, c->task_count);
    for (uint32_t i = 0; i < c->task_count; i++) {
        const struct task *task = &c->tasks[i];
        struct names in = {.c = c}, out = {.c = c};
        add_inputs(&in, task);
        add_outputs(&out, task);
        char tensors[sizeof in.text + sizeof out.text + 8];
        int length = snprintf(tensors, sizeof tensors, "%s > %s", in.text, out.text);
        account->tasks[i] = (struct compile_task){
            .name = base_arena_text(&account->arena, task->name, strlen(task->name)),
            .kind = kind_name(task->kind),
            .tensors = base_arena_text(&account->arena, tensors, (size_t)length),
            .layer = task->layer};
    }
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void add_region(struct compile_account *account, const char *name,
                       enum compile_region_kind kind, const uint32_t where[4])
{
    account->regions[account->region_count++] =
        (struct compile_region){.name = base_arena_text(&account->arena, name, strlen(name)),
                                .kind = kind,
                                .slice = where[0],
                                .slices = where[1],
                                .address = where[2],
                                .words = where[3]};
}

static void describe_product(struct compile_account *account, const struct product *product)
{
    for (uint32_t i = 0; i < product->in->pieces * product->out->pieces; i++) {
        const struct weight_tile *tile = &product->tiles[i];
        const uint32_t where[4] = {tile->slice, STRIPES, tile->address, tile->groups};
        add_region(account, product->matrix->name, COMPILE_WEIGHTS, where);
    }
}

static uint32_t product_tiles(const struct product *product)
{
    return product->in->pieces * product->out->pieces;
}

static void describe_weights(const struct compiler *c, struct compile_account *account)
{
    for (uint32_t l = 0; l < c->graph->layers; l++) {
        struct product *products[7];
        plan_layer_products(&c->plan->layers[l], products);
        for (uint32_t i = 0; i < BASE_COUNT(products); i++) {
            describe_product(account, products[i]);
        }
    }
    describe_product(account, &c->plan->output);
}

static uint32_t count_tiles(const struct compiler *c)
{
    uint32_t tiles = product_tiles(&c->plan->output);
    for (uint32_t l = 0; l < c->graph->layers; l++) {
        struct product *products[7];
        plan_layer_products(&c->plan->layers[l], products);
        for (uint32_t i = 0; i < BASE_COUNT(products); i++) {
            tiles += product_tiles(products[i]);
        }
    }
    return tiles;
}

static void describe_constant_tiles(const struct compiler *c, struct compile_account *account)
{
    const struct plan_constants *k = &c->plan->constants;
    for (uint32_t h = 0; h < 2; h++) {
        const struct {
            const char *name;
            uint32_t address, words;
        } tiles[] = {{"ones", k->ones[h], 1},
                     {"replicate", k->replicate[h], 1},
                     {"select_k", k->select_k[h], c->plan->heads_word},
                     {"select_v", k->select_v[h], c->plan->heads_word}};
        for (uint32_t i = 0; i < BASE_COUNT(tiles); i++) {
            const uint32_t where[4] = {c->plan->group_slice[h][0], STRIPES, tiles[i].address,
                                       tiles[i].words};
            add_region(account, tiles[i].name, COMPILE_CONSTANTS, where);
        }
    }
}

/* Runs of words with text, whichever queue's. */
static void describe_text(const struct compiler *c, struct compile_account *account)
{
    const uint32_t words = c->machine->mem_words, slices = 2 * c->machine->mem_slices;
    const uint32_t queues = c->text_blocks == NULL ? 0 : machine_queue_count(c->machine);
    bool *text = BASE_NEW(&account->arena, bool, (size_t)slices *words);
    for (uint32_t q = 0; q < queues; q++) {
        for (uint32_t i = 0; i < c->text_blocks[q]; i++) {
            const struct program_place place = c->text_places[q][i];
            bool *block = text + (size_t)place.slice * words + place.address;
            block[0] = block[1] = true;
        }
    }
    for (uint32_t s = 0; s < slices; s++) {
        const bool *in = text + (size_t)s * words;
        for (uint32_t first = 0, end = 0; first < words; first = end + 1) {
            for (end = first; end < words && in[end]; end++) {
            }
            const uint32_t where[4] = {s, 1, first, end - first};
            if (end > first) {
                add_region(account, "text", COMPILE_TEXT, where);
            }
        }
    }
}

static uint32_t count_blocks(const struct compiler *c)
{
    uint32_t blocks = 0;
    for (uint32_t q = 0; c->text_blocks != NULL && q < machine_queue_count(c->machine); q++) {
        blocks += c->text_blocks[q];
    }
    return blocks;
}

static void describe_memory(const struct compiler *c, struct compile_account *account)
{
    account->regions = BASE_NEW(&account->arena, struct compile_region,
                                (size_t)c->buffer_count + count_tiles(c) + count_blocks(c) + 8);
    describe_weights(c, account);
    describe_constant_tiles(c, account);
    for (uint32_t i = 0; i < c->buffer_count; i++) {
        const struct buffer *b = &c->buffers[i];
        if (b->slice == NONE) {
            continue;
        }
        const uint32_t where[4] = {b->slice, buffer_slices(b), b->address, buffer_words(b)};
        enum compile_region_kind kind = !b->fixed  ? COMPILE_TEMPORARY
                                        : b->whole ? COMPILE_CACHE
                                                   : COMPILE_CONSTANTS;
        add_region(account, b->name, kind, where);
        account->regions[account->region_count - 1].by_data = b->whole;
    }
    describe_text(c, account);
}

/* ---- instructions ---------------------------------------------------------------------------- */

void account_close(struct compiler *c)
{
    struct compile_account *account = c->account;
    account->placement_count = c->placement;
    account->queue_count = machine_queue_count(c->machine);
    account->issues = BASE_NEW(&account->arena, uint32_t, account->queue_count);
    account->origins = BASE_NEW(&account->arena, uint32_t *, account->queue_count);
    account->write_origins = BASE_NEW(&account->arena, uint32_t *, account->queue_count);
    for (uint32_t q = 0; q < account->queue_count; q++) {
        const struct queue_issues *queue = &c->queues[q];
        account->origins[q] = BASE_NEW(&account->arena, uint32_t, queue->count);
        account->write_origins[q] = BASE_NEW(&account->arena, uint32_t, queue->count);
        for (uint32_t i = 0; i < queue->count; i++) {
            const struct issue *issue = &queue->items[i];
            if (isa_op_info((enum isa_op)issue->instruction.op)->unit != ISA_UNIT_ICU) {
                account->write_origins[q][account->issues[q]] = issue->write_placement;
                account->origins[q][account->issues[q]++] = issue->placement;
            }
        }
    }
    describe_tasks(c, account);
    describe_memory(c, account);
}

void compile_account_destroy(struct compile_account *account)
{
    if (account != NULL) {
        base_arena_destroy(&account->arena);
        free(account);
    }
}
