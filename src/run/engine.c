/* Engines: a model opened, its graph built and, for the chip, its place in the machine's memory. */
#include "run/grammar.h"

#include <pthread.h>
#include <stdlib.h>

static enum takt_status check_size(const struct takt_engine_options *options, const char *what,
                                   uint32_t value, uint32_t most, struct takt_error *error)
{
    if (value > most) {
        return base_fail(error, TAKT_LIMIT, "%s: %s of %u is more than takt holds; at most %u",
                         options->model_path, what, value, most);
    }
    return TAKT_OK;
}

static enum takt_status choose_sizes(struct takt_engine *engine,
                                     const struct takt_engine_options *options,
                                     struct takt_error *error)
{
    const bool native = engine->target == TAKT_TARGET_NATIVE;
    const uint32_t chunk_max = native ? RUN_NATIVE_CHUNK_MAX : RUN_CHUNK_MAX;
    const uint32_t trained = engine->model->context;
    const uint32_t fallback = BASE_MIN(trained, RUN_CONTEXT_DEFAULT_MAX);
    engine->context = options->context > 0 ? options->context : BASE_MAX(fallback, 1);
    engine->chunk = options->chunk > 0 ? options->chunk
                    : native           ? RUN_NATIVE_CHUNK_DEFAULT
                                       : RUN_CHUNK_DEFAULT;
    engine->sessions = options->sessions > 0 ? options->sessions : RUN_SESSIONS_DEFAULT;
    engine->batch =
        options->batch > 0 ? options->batch : BASE_MAX(RUN_NATIVE_CHUNK_DEFAULT, engine->chunk);
    enum takt_status status =
        check_size(options, "a context", engine->context, RUN_CONTEXT_MAX, error);
    if (status == TAKT_OK) {
        status = check_size(options, "a prefill chunk", engine->chunk, chunk_max, error);
    }
    if (status == TAKT_OK) {
        status = check_size(options, "a batch", engine->batch, RUN_NATIVE_CHUNK_MAX, error);
    }
    if (status == TAKT_OK) {
        status =
            check_size(options, "a number of sessions", engine->sessions, RUN_SESSIONS_MAX, error);
    }
    engine->users = options->users > 0 ? options->users : 1;
    if (status == TAKT_OK) {
        status = check_size(options, "a number of users", engine->users, COMPILE_USERS_MAX, error);
    }
    engine->chunk = BASE_MIN(engine->chunk, engine->context);
    engine->chip_chunk =
        options->chunk > 0 ? BASE_MIN(options->chunk, RUN_CHUNK_MAX) : RUN_CHUNK_DEFAULT;
    engine->chip_chunk = BASE_MIN(engine->chip_chunk, engine->context);
    engine->cycles = options->cycles;
    if (engine->target == TAKT_TARGET_BOTH) {
        engine->batch = engine->chunk;
    }
    return status;
}

/* ---- the model's digest, made beside all else ------------------------------------------------ */

static void *digest(void *model)
{
    model_digest(model);
    return NULL;
}

static void begin_digest(struct takt_engine *engine)
{
    engine->digesting = pthread_create(&engine->digest_thread, NULL, digest, engine->model) == 0;
}

void run_engine_digest(struct takt_engine *engine)
{
    if (engine->digesting) {
        pthread_join(engine->digest_thread, NULL);
    } else if (engine->model) {
        model_digest(engine->model);
    }
    engine->digesting = false;
}

/* ---- opening --------------------------------------------------------------------------------- */

static enum takt_status open_parts(struct takt_engine *engine,
                                   const struct takt_engine_options *options,
                                   struct takt_error *error)
{
    machine_tsp1(&engine->machine);
    if (options->machine_path) {
        const enum takt_status status =
            machine_read(&engine->machine, options->machine_path, error);
        if (status != TAKT_OK) {
            return status;
        }
    }
    enum takt_status status = model_open_undigested(&engine->model, options->model_path, error);
    if (status != TAKT_OK) {
        return status;
    }
    engine->vocabulary.tokenizer = engine->model->tokenizer;
    snprintf(engine->vocabulary.path, sizeof engine->vocabulary.path, "%s", engine->model->path);
    status = choose_sizes(engine, options, error);
    if (status != TAKT_OK) {
        return status;
    }
    model_set_context(engine->model, engine->context);
    run_packed_find(engine, options);
    begin_digest(engine);
    engine->slots = calloc(engine->sessions, sizeof *engine->slots);
    engine->chips =
        calloc((engine->sessions + engine->users - 1) / engine->users, sizeof *engine->chips);
    if (!engine->slots || !engine->chips) {
        return base_fail(error, TAKT_MEMORY, "%s: no memory for an engine", options->model_path);
    }
    status = base_arena_create(&engine->arena, graph_arena_bytes(engine->model), error);
    if (status != TAKT_OK) {
        return status;
    }
    /* The weights' image is made for who asks for it: the chip's plan, the reference. */
    status = graph_list(engine->model, &engine->arena, &engine->graph, error);
    if (status != TAKT_OK) {
        return status;
    }
    if (engine->target == TAKT_TARGET_CHIP || engine->target == TAKT_TARGET_BOTH) {
        status = run_engine_plan(engine, error);
    }
    if (status == TAKT_OK &&
        (engine->target == TAKT_TARGET_NATIVE || engine->target == TAKT_TARGET_BOTH)) {
        status = run_native_open(engine, options, error);
    }
    return status;
}

enum takt_status takt_engine_open(struct takt_engine **engine,
                                  const struct takt_engine_options *options,
                                  struct takt_error *error)
{
    *engine = NULL;
    if (!options->model_path) {
        return base_fail(error, TAKT_USAGE, "no model file was named");
    }
    struct takt_engine *opened = calloc(1, sizeof *opened);
    if (!opened) {
        return base_fail(error, TAKT_MEMORY, "%s: no memory for an engine", options->model_path);
    }
    opened->target = options->target;
    opened->chip_threads = BASE_MAX(options->threads, 1u);
    const enum takt_status status = open_parts(opened, options, error);
    run_engine_digest(opened);
    if (status != TAKT_OK) {
        takt_engine_close(opened);
        return status;
    }
    *engine = opened;
    return TAKT_OK;
}

void takt_engine_close(struct takt_engine *engine)
{
    if (!engine) {
        return;
    }
    run_programs_free(&engine->programs);
    run_trie_destroy(engine->trie);
    if (engine->plan) {
        compile_plan_destroy(engine->plan);
    }
    native_destroy(engine->native);
    native_packed_close(engine->packed);
    base_arena_destroy(&engine->arena);
    if (engine->model) {
        model_close(engine->model);
    }
    free(engine->slots);
    free(engine->chips);
    free(engine);
}

enum takt_status run_engine_plan(struct takt_engine *engine, struct takt_error *error)
{
    if (engine->plan) {
        return TAKT_OK;
    }
    if (engine->unplanned.status == TAKT_OK &&
        compile_plan_create(&engine->plan, &engine->graph, &engine->machine, engine->context,
                            engine->chip_chunk, engine->users, &engine->unplanned) == TAKT_OK) {
        return TAKT_OK;
    }
    if (error) {
        *error = engine->unplanned;
    }
    return engine->unplanned.status;
}

void takt_engine_info(const struct takt_engine *engine, struct takt_model_info *info)
{
    const struct model *model = engine->model;
    *info = (struct takt_model_info){
        .path = model->path,
        .name = model->name,
        .architecture = model->architecture,
        .sha256 = model->sha256,
        .layers = model->layers,
        .width = model->width,
        .heads = model->heads,
        .kv_heads = model->kv_heads,
        .head_dim = model->head_dim,
        .ffn = model->ffn,
        .vocab = model->vocab,
        .context_trained = model->context,
        .context = engine->context,
        .machine = engine->machine.name,
        .clock_hz = (double)engine->machine.clock_mhz * 1e6,
        .has_chat_template = model->chat_template != NULL,
    };
}

enum takt_status takt_compile_to_assembly(struct takt_engine *engine, uint32_t chunk,
                                          uint32_t context, bool all_logits, char **text,
                                          struct takt_error *error)
{
    *text = NULL;
    if (chunk != 1 && chunk != engine->chunk) {
        return base_fail(error, TAKT_USAGE,
                         "%s: a program has 1 token or the engine's chunk of %u, not %u",
                         engine->model->path, engine->chunk, chunk);
    }
    if (context < chunk || context > engine->context) {
        return base_fail(error, TAKT_USAGE,
                         "%s: a context of %u is not between the chunk's %u and the engine's %u",
                         engine->model->path, context, chunk, engine->context);
    }
    enum takt_status status = run_engine_plan(engine, error);
    if (status != TAKT_OK) {
        return status;
    }
    const struct run_program *entry;
    const struct compile_step step = {chunk, compile_bucket(engine->plan, context), all_logits, 0,
                                      1};
    status = run_programs_get(engine, &step, &entry, error);
    if (status != TAKT_OK) {
        return status;
    }
    struct base_text out = {0};
    program_disassemble(entry->program, compile_plan_image(engine->plan), &out);
    *text = out.data;
    return TAKT_OK;
}
