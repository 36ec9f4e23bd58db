/*
 * Trace: the Chrome trace event format, for Perfetto and chrome://tracing; and the schedule of the
 * queues as compact JSON. A microsecond of the trace is a cycle.
 */
#include "inspect/inspect.h"

#include <string.h>

#define PID_PATH 1u
#define PID_LAYERS 2u
#define PID_UNITS 10u

static void event_name(const struct inspect *inspect, uint32_t placement, struct base_text *out)
{
    inspect_json_string(out, inspect_task(inspect, placement)->name);
}

static void put_process(uint32_t pid, uint32_t order, const char *name, struct base_text *out)
{
    base_text_format(out,
                     ",\n{\"ph\":\"M\",\"pid\":%u,\"name\":\"process_name\",\"args\":{\"name\":\"%s"
                     "\"}},\n{\"ph\":\"M\",\"pid\":%u,\"name\":\"process_sort_index\",\"args\":{"
                     "\"sort_index\":%u}}",
                     pid, name, pid, order);
}

static void put_thread(uint32_t pid, uint32_t tid, const char *name, struct base_text *out)
{
    base_text_format(out,
                     ",\n{\"ph\":\"M\",\"pid\":%u,\"tid\":%u,\"name\":\"thread_name\",\"args\":{"
                     "\"name\":\"%s\"}},\n{\"ph\":\"M\",\"pid\":%u,\"tid\":%u,\"name\":"
                     "\"thread_sort_index\",\"args\":{\"sort_index\":%u}}",
                     pid, tid, name, pid, tid, tid);
}

static void put_path(const struct inspect *inspect, struct base_text *out)
{
    put_process(PID_PATH, 0, "critical path", out);
    put_thread(PID_PATH, 0, "tasks", out);
    put_thread(PID_PATH, 1, "working, moving, waiting", out);
    for (uint32_t i = 0; i < inspect->step_count; i++) {
        const struct inspect_step *step = &inspect->steps[i];
        const struct compile_task *task = inspect_task(inspect, step->placement);
        base_text_format(
            out, ",\n{\"ph\":\"X\",\"pid\":%u,\"tid\":0,\"ts\":%u,\"dur\":%u,\"name\":", PID_PATH,
            step->from, step->to - step->from);
        event_name(inspect, step->placement, out);
        base_text_format(out, ",\"args\":{\"layer\":%u,\"because\":\"%s\",\"after\":", task->layer,
                         inspect_reason_name(step->reason));
        bool known = step->after != INSPECT_NONE;
        event_name(inspect, known ? inspect->code.issues[step->after].placement : INSPECT_NONE,
                   out);
        base_text_format(out, ",\"working\":%u,\"moving\":%u,\"waiting\":%u}}", step->working,
                         step->moving, step->waiting);
    }
}

static void put_layers(const struct inspect *inspect, struct base_text *out)
{
    if (inspect->layer_count == 0) {
        return;
    }
    put_process(PID_LAYERS, 1, "layers", out);
    for (uint32_t l = 0; l < inspect->layer_count; l++) {
        const struct inspect_layer *layer = &inspect->layers[l];
        char name[32];
        snprintf(name, sizeof name, "layer %u", l);
        put_thread(PID_LAYERS, l, l + 1 == inspect->layer_count ? "after the layers" : name, out);
        if (layer->first <= layer->last) {
            base_text_format(out,
                             ",\n{\"ph\":\"X\",\"pid\":%u,\"tid\":%u,\"ts\":%u,\"dur\":%u,\"name\":"
                             "\"%s\",\"args\":{\"critical_cycles\":%llu}}",
                             PID_LAYERS, l, layer->first, layer->last + 1 - layer->first, name,
                             (unsigned long long)layer->cycles);
        }
    }
}

/* A slice's Writes beside its Reads have a track of their own: a queue's events follow each other.
 */
static uint32_t track_of(const struct inspect *inspect, const struct inspect_issue *issue)
{
    const bool second = inspect->code.words[issue->word].second;
    return issue->queue + (second ? inspect->code.queue_count : 0);
}

static bool has_pairs(const struct inspect *inspect, uint32_t queue)
{
    bool any = false;
    const struct inspect_code *code = &inspect->code;
    for (uint32_t w = code->word_first[queue]; w < code->word_first[queue + 1]; w++) {
        any = any || code->words[w].second;
    }
    return any;
}

/* A run of instructions of one placement, cycle after cycle on one track. */
struct run {
    uint32_t first, issues, placement; /* first: issue */
    uint32_t end;                      /* cycle after the last */
};

static void put_run(const struct inspect *inspect, const struct run *run, struct base_text *out)
{
    const struct inspect_issue *issue = &inspect->code.issues[run->first];
    struct isa_instruction in = inspect_instruction(inspect, run->first);
    char line[96];
    isa_print(&in, line, sizeof line);
    base_text_format(out, ",\n{\"ph\":\"X\",\"pid\":%u,\"tid\":%u,\"ts\":%u,\"dur\":%u,\"name\":",
                     PID_UNITS + (uint32_t)inspect_queue_unit(inspect, issue->queue),
                     track_of(inspect, issue), issue->cycle, run->end - issue->cycle);
    if (run->placement == INSPECT_NONE) {
        inspect_json_string(out, isa_op_info((enum isa_op)in.op)->mnemonic);
    } else {
        event_name(inspect, run->placement, out);
    }
    base_text_format(out, ",\"args\":{\"instruction\":");
    inspect_json_string(out, line);
    base_text_format(out, ",\"issues\":%u", run->issues);
    if (run->placement != INSPECT_NONE) {
        const struct compile_task *task = inspect_task(inspect, run->placement);
        base_text_format(out, ",\"layer\":%u,\"tensors\":", task->layer);
        inspect_json_string(out, task->tensors);
    }
    base_text_format(out, "}}");
}

static void put_runs(const struct inspect *inspect, struct base_text *out)
{
    const struct inspect_code *code = &inspect->code;
    struct run runs[512] = {{0}}; /* of each track, open; 232 queues at most */
    BASE_ASSERT(2 * code->queue_count <= BASE_COUNT(runs));
    for (uint32_t i = 0; i < code->issue_count; i++) {
        const struct inspect_issue *issue = &code->issues[i];
        struct run *run = &runs[track_of(inspect, issue)];
        bool same = run->issues > 0 && run->end == issue->cycle &&
                    run->placement == issue->placement && issue->placement != INSPECT_NONE;
        if (!same) {
            if (run->issues > 0) {
                put_run(inspect, run, out);
            }
            *run = (struct run){.first = i, .placement = issue->placement};
        }
        run->issues++;
        run->end = issue->cycle + 1;
    }
    for (uint32_t q = 0; q < 2 * code->queue_count; q++) {
        if (runs[q].issues > 0) {
            put_run(inspect, &runs[q], out);
        }
    }
}

void inspect_trace(const struct inspect *inspect, const struct inspect_facts *facts,
                   struct base_text *out)
{
    base_text_format(out, "{\"displayTimeUnit\":\"ns\",\"otherData\":{\"unit\":"
                          "\"1 us of the trace = 1 cycle\",\"model\":");
    inspect_json_string(out, facts->model);
    base_text_format(out,
                     ",\"cycles\":%llu},\"traceEvents\":[\n{\"ph\":\"M\",\"pid\":0,\"name\":"
                     "\"process_name\",\"args\":{\"name\":\"takt\"}}",
                     (unsigned long long)inspect->cycles);
    put_path(inspect, out);
    put_layers(inspect, out);
    for (uint32_t u = 0; u < INSPECT_UNITS; u++) {
        if (inspect->units[u].queues_used > 0) {
            put_process(PID_UNITS + u, 2 + u, inspect_unit_name((enum inspect_unit)u), out);
        }
    }
    for (uint32_t q = 0; q < inspect->code.queue_count; q++) {
        if (inspect->code.queue_issues[q] > 0) {
            char name[32];
            machine_queue_name(inspect->machine, q, name);
            const uint32_t process = PID_UNITS + (uint32_t)inspect_queue_unit(inspect, q);
            put_thread(process, q, name, out);
            if (has_pairs(inspect, q)) {
                strncat(name, " beside", sizeof name - strlen(name) - 1);
                put_thread(process, q + inspect->code.queue_count, name, out);
            }
        }
    }
    put_runs(inspect, out);
    base_text_format(out, "\n]}\n");
}

/* ---- the schedule ---------------------------------------------------------------------------- */

/* The part of a word's repetitions from `first` on that one placement of the layer made. */
static uint32_t same_placement(const struct inspect *inspect, uint32_t queue,
                               const struct inspect_word *word, uint32_t first, uint32_t *placement)
{
    *placement = inspect_origin(inspect, queue, word, first);
    uint32_t n = 1;
    while (first + n < word->count &&
           inspect_origin(inspect, queue, word, first + n) == *placement) {
        n++;
    }
    return n;
}

static bool put_items(const struct inspect *inspect, uint32_t queue, uint32_t layer,
                      struct base_text *out)
{
    const struct inspect_code *code = &inspect->code;
    bool any = false;
    for (uint32_t w = code->word_first[queue]; w < code->word_first[queue + 1]; w++) {
        const struct inspect_word *word = &code->words[w];
        uint32_t placement, n;
        for (uint32_t i = 0; i < word->count; i += n) {
            n = same_placement(inspect, queue, word, i, &placement);
            bool known = placement != INSPECT_NONE;
            if (layer != INSPECT_NONE &&
                (!known || inspect_task(inspect, placement)->layer != layer)) {
                continue;
            }
            struct isa_instruction in = word->instruction;
            in.address = (uint16_t)(in.address + (int32_t)i * word->step);
            char line[96];
            isa_print(&in, line, sizeof line);
            base_text_format(out, "%s[%u,%u,%u,%d,", any ? "," : "", word->cycle + i * word->delay,
                             n, word->delay,
                             known ? (int)inspect->task_names[inspect->placements[placement].task]
                                   : -1);
            inspect_json_string(out, line);
            base_text_append(out, "]", 1);
            any = true;
        }
    }
    return any;
}

void inspect_schedule(const struct inspect *inspect, uint32_t layer, struct base_text *out)
{
    base_text_format(out, "{\"cycles\":%llu,\"layers\":%u,\"names\":[",
                     (unsigned long long)inspect->cycles, inspect->layer_count);
    for (uint32_t n = 0; n < inspect->name_count; n++) {
        base_text_append(out, ",", n > 0);
        inspect_json_string(out, inspect->names[n]);
    }
    base_text_format(out, "],\"columns\":[\"cycle\",\"count\",\"delay\",\"name\",\"instruction\"],"
                          "\"queues\":[");
    bool comma = false;
    for (uint32_t q = 0; q < inspect->code.queue_count; q++) {
        if (inspect->code.queue_issues[q] == 0) {
            continue;
        }
        char name[32];
        machine_queue_name(inspect->machine, q, name);
        base_text_format(out, "%s{\"queue\":\"%s\",\"unit\":\"%s\",\"items\":[", comma ? "," : "",
                         name, inspect_unit_name(inspect_queue_unit(inspect, q)));
        put_items(inspect, q, layer, out);
        base_text_format(out, "]}");
        comma = true;
    }
    base_text_format(out, "]}\n");
}
