/* The native target: its sizes, and sessions extended together. */
#include "run/run.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *takt_cpu_level(size_t index, bool *usable)
{
    return native_level(index, usable);
}

/* ---- opening --------------------------------------------------------------------------------- */

/* Processors this process may run on. */
static uint32_t allowed_processors(void)
{
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
#ifdef CPU_COUNT
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) {
        return (uint32_t)CPU_COUNT(&set);
    }
#endif
    return online > 0 ? (uint32_t)online : 1;
}

/* A thread a physical core: Linux lists each core's hardware threads; elsewhere all that are
 * online. Not more than the process may run on: threads that take turns wait for each other. */
static uint32_t physical_cores(void)
{
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t cores = 0;
    for (long i = 0; i < online; i++) {
        char path[96];
        unsigned first;
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%ld/topology/thread_siblings_list",
                 i);
        FILE *file = fopen(path, "r");
        if (!file) {
            continue;
        }
        if (fscanf(file, "%u", &first) == 1 && first == (unsigned)i) {
            cores++;
        }
        fclose(file);
    }
    const uint32_t allowed = allowed_processors();
    return cores > 0 ? BASE_MIN(cores, allowed) : allowed;
}

enum takt_status run_native_open(struct takt_engine *engine,
                                 const struct takt_engine_options *options,
                                 struct takt_error *error)
{
    struct takt_error own;
    error = error ? error : &own;
    const char *level = options->cpu ? options->cpu : getenv("TAKT_CPU");
    struct native_options native = {
        .context = engine->context,
        .sessions = engine->sessions,
        .batch = engine->batch,
        .threads = options->threads > 0 ? options->threads : physical_cores(),
        .level = level && *level ? level : NULL,
        .keep_tensors = engine->target == TAKT_TARGET_BOTH,
        .on_load = options->on_load,
        .user = options->user,
    };
    if (run_packed_usable(engine, options)) {
        native.packed = engine->packed;
        const enum takt_status status =
            native_create(&engine->native, &engine->graph, &native, error);
        if (status != TAKT_FORMAT) {
            return status;
        }
        run_packed_refuse(engine, options, error->message);
        native.packed = NULL;
    }
    return native_create(&engine->native, &engine->graph, &native, error);
}

/* ---- passes ---------------------------------------------------------------------------------- */

/* Runs what was gathered and notes it in its sessions. */
static void run_pass(struct takt_engine *engine, const struct native_item *items,
                     struct takt_session *const *sessions, uint32_t count, bool prefill)
{
    native_step(engine->native, items, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct takt_step record = {.prefill =
                                             prefill || items[i].count > 1 || items[i].start == 0,
                                         .tokens = items[i].count,
                                         .context = items[i].start + items[i].count};
        run_session_note(sessions[i], items[i].tokens, &record);
    }
}

/* Passes are filled in the order of the items; one that does not fit goes on in the next pass. */
void run_native_extend(struct takt_engine *engine, const struct takt_batch_item *items,
                       size_t count, bool prefill)
{
    enum { ITEMS = 256 };
    struct native_item gathered[ITEMS];
    struct takt_session *sessions[ITEMS];
    uint32_t used = 0, room = engine->batch;
    for (size_t i = 0; i < count; i++) {
        for (size_t done = 0; done < items[i].count;) {
            const size_t left = items[i].count - done;
            const uint32_t tokens = (uint32_t)BASE_MIN(left, BASE_MIN(room, engine->chunk));
            gathered[used] = (struct native_item){
                .slot = items[i].session->slot,
                .start = items[i].session->length,
                .count = tokens,
                .tokens = items[i].tokens + done,
                .logits = tokens == left ? items[i].logits : NULL,
            };
            sessions[used++] = items[i].session;
            done += tokens;
            room -= tokens;
            /* The rest of a session waits for the next pass: it may be in one only once. */
            if (room == 0 || used == ITEMS || done < items[i].count) {
                run_pass(engine, gathered, sessions, used, prefill);
                used = 0;
                room = engine->batch;
            }
        }
    }
    if (used > 0) {
        run_pass(engine, gathered, sessions, used, prefill);
    }
}

void run_native_extend_all(struct takt_session *session, const uint32_t *tokens, size_t count,
                           bool prefill, float *all_logits)
{
    struct takt_engine *engine = session->engine;
    const size_t most = BASE_MIN(engine->batch, engine->chunk);
    for (size_t done = 0; done < count;) {
        const struct native_item item = {
            .slot = session->slot,
            .start = session->length,
            .count = (uint32_t)BASE_MIN(count - done, most),
            .tokens = tokens + done,
            .logits = all_logits + done * engine->graph.vocab,
            .all = true,
        };
        run_pass(engine, &item, &session, 1, prefill);
        done += item.count;
    }
}

/* ---- measured -------------------------------------------------------------------------------- */

void takt_native_info(const struct takt_engine *engine, struct takt_native_info *info)
{
    *info = (struct takt_native_info){0};
    if (!engine->native) {
        return;
    }
    struct native_memory memory;
    native_memory(engine->native, &memory);
    *info = (struct takt_native_info){
        .cpu = native_level_name(engine->native),
        .threads = native_threads(engine->native),
        .sessions = engine->sessions,
        .batch = engine->batch,
        .weight_bytes = memory.weights,
        .cache_bytes = memory.cache,
        .cache_bytes_a_session = memory.cache_a_session,
        .rope_bytes = memory.rope,
        .work_bytes = memory.work,
        .step_weight_bytes = memory.matrix_bytes,
        .token_operations = memory.token_operations,
        .output_operations = memory.output_operations,
        .pack_path = engine->packed ? native_packed_path(engine->packed) : NULL,
    };
}

/* The best of several: what the machine can do, not what it does on average. */
static double best_rate(struct native *native, uint64_t (*probe)(struct native *native))
{
    enum { TIMES = 5 };
    double best = 0;
    for (int i = 0; i < TIMES; i++) {
        const double begin = base_seconds();
        const double count = (double)probe(native);
        const double rate = count / (base_seconds() - begin);
        best = rate > best ? rate : best;
    }
    return best;
}

enum takt_status takt_measure_limits(struct takt_engine *engine, struct takt_limits *limits,
                                     struct takt_error *error)
{
    *limits = (struct takt_limits){0};
    if (!engine->native) {
        return base_fail(error, TAKT_USAGE, "%s: limits are those of the native target",
                         engine->model->path);
    }
    limits->read_bytes_per_second = best_rate(engine->native, native_probe_read);
    limits->int8_operations_per_second = best_rate(engine->native, native_probe_peak);
    return TAKT_OK;
}
