/* Part two of takt.h: what a program does with its cycles. The inspect room reads the program; here
 * it is compiled or read from a file, and run on the machine for comparison. */
#include "run/run.h"

#include <stdlib.h>
#include <string.h>

struct takt_inspection {
    struct program *compiled;        /* of a model; NULL of a file */
    struct compile_account *account; /* as well */
    struct base_arena arena;         /* of a file */
    struct program file;
    struct inspect *inspect;
    struct inspect_facts facts;
    uint64_t *issued; /* [queues] */
    char *label, *machine;
};

void takt_inspection_close(struct takt_inspection *inspection)
{
    if (!inspection) {
        return;
    }
    inspect_destroy(inspection->inspect);
    compile_account_destroy(inspection->account);
    compile_program_destroy(inspection->compiled);
    base_arena_destroy(&inspection->arena);
    free(inspection->issued);
    free(inspection->label);
    free(inspection->machine);
    free(inspection);
}

static struct takt_inspection *create(const char *label, const char *machine,
                                      struct takt_error *error)
{
    struct takt_inspection *made = calloc(1, sizeof *made);
    if (made) {
        made->label = strdup(label);
        made->machine = strdup(machine);
    }
    if (!made || !made->label || !made->machine) {
        takt_inspection_close(made);
        base_fail(error, TAKT_MEMORY, "%s: no memory to inspect it", label);
        return NULL;
    }
    made->facts.model = made->label;
    made->facts.machine = made->machine;
    return made;
}

/* ---- the machine's word ---------------------------------------------------------------------- */

static enum takt_status compare(struct takt_inspection *in, const struct chip *chip,
                                struct takt_error *error)
{
    const struct inspect *inspect = in->inspect;
    const uint64_t promised = in->compiled ? in->compiled->cycles : inspect->cycles;
    if (in->facts.cycles_executed != inspect->cycles || promised != inspect->cycles) {
        return base_fail(error, TAKT_FAULT,
                         "%s: the machine took %llu cycles, the text says %llu, the program was "
                         "compiled for %llu",
                         in->label, (unsigned long long)in->facts.cycles_executed,
                         (unsigned long long)inspect->cycles, (unsigned long long)promised);
    }
    for (uint32_t q = 0; q < inspect->code.queue_count; q++) {
        in->issued[q] = chip_queue_issued(chip, q);
        if (in->issued[q] != inspect->code.queue_issues[q]) {
            char name[32];
            machine_queue_name(inspect->machine, q, name);
            return base_fail(error, TAKT_FAULT,
                             "%s: queue %s issued %llu instructions on the machine, %u as read",
                             in->label, name, (unsigned long long)in->issued[q],
                             inspect->code.queue_issues[q]);
        }
    }
    in->facts.executed = true;
    in->facts.issued = in->issued;
    return TAKT_OK;
}

/* Every instruction and every check that needs no data. */
static enum takt_status execute(struct takt_inspection *in, struct takt_error *error)
{
    const struct program *program = in->inspect->program;
    struct chip *chip = NULL;
    struct chip_text *text = NULL;
    in->issued = calloc(program->queue_count, sizeof *in->issued);
    enum takt_status status =
        in->issued ? chip_create_check_only(&chip, &program->machine, error)
                   : base_fail(error, TAKT_MEMORY, "%s: no memory to run it", in->label);
    if (status == TAKT_OK) {
        status = chip_text_create(&text, program, error);
    }
    if (status == TAKT_OK) {
        status = chip_run(chip, text, &in->facts.cycles_executed, error);
    }
    if (status == TAKT_OK) {
        status = compare(in, chip, error);
    }
    chip_text_destroy(text);
    chip_destroy(chip);
    return status;
}

/* ---- a step of a model ----------------------------------------------------------------------- */

/* What the step multiplies with: int8 weights, each product over both byte planes of its input. */
static void count_work(const struct graph *graph, uint32_t chunk, uint32_t bucket, bool all_logits,
                       struct inspect_facts *facts)
{
    for (uint32_t i = 0; i < graph->op_count; i++) {
        const struct graph_op *op = &graph->ops[i];
        uint64_t tokens = op->layer == graph->layers && !all_logits ? 1 : chunk;
        for (uint32_t m = 0; m < GRAPH_OP_MAX && op->matrices[m]; m++) {
            uint64_t weights = (uint64_t)op->matrices[m]->inputs * op->matrices[m]->outputs;
            facts->weight_bytes += weights;
            facts->macs += 2 * weights * tokens;
        }
        if (op->kind == GRAPH_ATTENTION) { /* scores, and the weighted sum */
            facts->macs += 2 * 2 * (uint64_t)op->heads * graph->head_dim * bucket * tokens;
        }
    }
}

static enum takt_status check_options(const struct takt_engine *engine, uint32_t chunk,
                                      uint32_t users, uint32_t context, struct takt_error *error)
{
    if (users > 1 && (users != engine->users || chunk != users)) {
        return base_fail(error, TAKT_USAGE,
                         "%s: a step of %u users of %u tokens; the engine has %u users, and each "
                         "has one token",
                         engine->model->path, users, chunk, engine->users);
    }
    if (users <= 1 && chunk != 1 && chunk != engine->chunk) {
        return base_fail(error, TAKT_USAGE,
                         "%s: a program has 1 token or the engine's chunk of %u, not %u",
                         engine->model->path, engine->chunk, chunk);
    }
    if (context < chunk || context > engine->context) {
        return base_fail(error, TAKT_USAGE,
                         "%s: a context of %u is not between the chunk's %u and the engine's %u",
                         engine->model->path, context, chunk, engine->context);
    }
    return TAKT_OK;
}

static enum takt_status inspect_step(struct takt_inspection *in, struct takt_engine *engine,
                                     const struct takt_inspect_options *options, uint32_t context,
                                     struct takt_error *error)
{
    struct inspect_facts *facts = &in->facts;
    facts->chunk = options->chunk;
    facts->context = engine->context;
    facts->bucket = compile_bucket(engine->plan, context);
    facts->clock_hz = (double)engine->machine.clock_mhz * 1e6;
    const uint32_t users = options->users > 0 ? options->users : 1;
    const bool all = (options->all_logits || users > 1) && options->chunk > 1;
    const struct compile_step step = {options->chunk, facts->bucket, all, 0, users};
    const double began = base_seconds();
    enum takt_status status =
        compile_program_account(&in->compiled, &in->account, engine->plan, &step, error);
    facts->compile_seconds = base_seconds() - began;
    if (status != TAKT_OK) {
        return status;
    }
    facts->compile_peak_bytes = in->account->peak_bytes;
    program_hash(in->compiled, facts->program_hash);
    count_work(&engine->graph, options->chunk, facts->bucket, all, facts);
    status = inspect_create(&in->inspect, in->compiled, in->account, error);
    if (status == TAKT_OK && !options->compiled_only) {
        status = execute(in, error);
    }
    return status;
}

enum takt_status takt_inspect(struct takt_inspection **inspection, struct takt_engine *engine,
                              const struct takt_inspect_options *options, struct takt_error *error)
{
    *inspection = NULL;
    const uint32_t context = options->context > 0 ? options->context : engine->context;
    enum takt_status status = check_options(engine, options->chunk, options->users, context, error);
    if (status == TAKT_OK) {
        status = run_engine_plan(engine, error);
    }
    if (status != TAKT_OK) {
        return status;
    }
    struct takt_inspection *made = create(engine->model->path, engine->machine.name, error);
    if (!made) {
        return TAKT_MEMORY;
    }
    status = inspect_step(made, engine, options, context, error);
    if (status != TAKT_OK) {
        takt_inspection_close(made);
        return status;
    }
    *inspection = made;
    return TAKT_OK;
}

/* ---- a file ---------------------------------------------------------------------------------- */

static enum takt_status inspect_file(struct takt_inspection *in, const char *path,
                                     struct takt_error *error)
{
    enum takt_status status = run_program_load(path, &in->arena, &in->file, error);
    if (status != TAKT_OK) {
        return status;
    }
    free(in->machine);
    in->machine = strdup(in->file.machine.name);
    in->facts.machine = in->machine ? in->machine : "";
    in->facts.clock_hz = (double)in->file.machine.clock_mhz * 1e6;
    program_hash(&in->file, in->facts.program_hash);
    status = inspect_create(&in->inspect, &in->file, NULL, error);
    if (status == TAKT_OK) { /* all that is loaded counts */
        const uint64_t lanes = machine_lanes(&in->file.machine);
        in->facts.weight_bytes = in->inspect->weight_loads * MACHINE_WEIGHT_ROWS * lanes;
        in->facts.macs = in->inspect->products * lanes * lanes;
    }
    return status;
}

enum takt_status takt_inspect_file(struct takt_inspection **inspection, const char *path,
                                   struct takt_error *error)
{
    *inspection = NULL;
    struct takt_inspection *made = create(path, "", error);
    if (!made) {
        return TAKT_MEMORY;
    }
    const enum takt_status status = inspect_file(made, path, error);
    if (status != TAKT_OK) {
        takt_inspection_close(made);
        return status;
    }
    *inspection = made;
    return TAKT_OK;
}

/* ---- what it says ---------------------------------------------------------------------------- */

void takt_inspection_figures(const struct takt_inspection *inspection,
                             struct takt_inspect_figures *figures)
{
    const struct inspect *inspect = inspection->inspect;
    const struct inspect_facts *facts = &inspection->facts;
    const struct inspect_bounds bounds = inspect_bounds(inspect, facts);
    *figures = (struct takt_inspect_figures){
        .cycles = inspect->cycles,
        .cycles_executed = facts->executed ? facts->cycles_executed : 0,
        .bound_weights = bounds.weights,
        .bound_macs = bounds.macs,
        .bound_chain = bounds.chain,
        .compile_seconds = facts->compile_seconds,
        .compile_peak_bytes = facts->compile_peak_bytes,
        .text_bytes = program_text_bytes(inspect->program),
        .layers = inspect->layer_count,
    };
    memcpy(figures->program_hash, facts->program_hash, sizeof figures->program_hash);
}

char *takt_inspection_json(const struct takt_inspection *inspection)
{
    struct base_text out = {0};
    inspect_json(inspection->inspect, &inspection->facts, &out);
    return out.data;
}

char *takt_inspection_text(const struct takt_inspection *inspection, uint32_t layer)
{
    struct base_text out = {0};
    inspect_text(inspection->inspect, &inspection->facts, layer, &out);
    return out.data;
}

char *takt_inspection_trace(const struct takt_inspection *inspection)
{
    struct base_text out = {0};
    inspect_trace(inspection->inspect, &inspection->facts, &out);
    return out.data;
}

char *takt_inspection_svg(const struct takt_inspection *inspection, uint32_t layer)
{
    struct base_text out = {0};
    inspect_picture(inspection->inspect, &inspection->facts, layer, &out);
    return out.data;
}

char *takt_inspection_schedule(const struct takt_inspection *inspection, uint32_t layer)
{
    struct base_text out = {0};
    inspect_schedule(inspection->inspect, layer, &out);
    return out.data;
}

char *takt_inspection_diff(const struct takt_inspection *a, const struct takt_inspection *b,
                           bool json)
{
    const struct inspect_side sides[2] = {{a->label, a->inspect, &a->facts},
                                          {b->label, b->inspect, &b->facts}};
    struct base_text out = {0};
    inspect_diff(&sides[0], &sides[1], json, &out);
    return out.data;
}
