/* Text: the same for reading. Columns are kept narrow enough for a terminal of 100. */
#include "inspect/inspect.h"

#include <string.h>

#define UNIT_FORMAT "  %-16s %5u %12s %5.1f %% %9s %9s %9s %9s  "

/* "1,234,567" in one of a few buffers that take turns. */
static const char *grouped(uint64_t value)
{
    static const char zero[] = "0";
    static _Thread_local char buffers[12][32];
    static _Thread_local uint32_t turn;
    char *buffer = buffers[turn++ % BASE_COUNT(buffers)] + 31;
    *buffer = '\0';
    if (value == 0) {
        return zero;
    }
    for (uint32_t i = 0; value > 0; i++, value /= 10) {
        if (i > 0 && i % 3 == 0) {
            *--buffer = ',';
        }
        *--buffer = (char)('0' + value % 10);
    }
    return buffer;
}

static void put_head(const struct inspect *inspect, const struct inspect_facts *facts,
                     struct base_text *out)
{
    struct inspect_bounds b = inspect_bounds(inspect, facts);
    base_text_format(out, "%s on %s: ", facts->model, facts->machine);
    if (facts->chunk > 0) {
        base_text_format(out, "a step of %u token%s over %u positions\n", facts->chunk,
                         facts->chunk == 1 ? "" : "s", facts->bucket);
    } else {
        base_text_format(out, "a program\n");
    }
    base_text_format(out, "  cycles    %s", grouped(inspect->cycles));
    if (facts->clock_hz > 0) {
        double seconds = (double)inspect->cycles / facts->clock_hz;
        base_text_format(out, " = %.1f us at %.0f MHz", seconds * 1e6, facts->clock_hz / 1e6);
    }
    if (facts->executed) {
        base_text_format(out, "; the machine took %s", grouped(facts->cycles_executed));
    }
    base_text_format(out, "\n  bounds    weights %s, multiply-adds %s, dependent chain %s: ",
                     grouped((uint64_t)b.weights), grouped((uint64_t)b.macs),
                     grouped((uint64_t)b.chain));
    base_text_format(out, "%.2f times the largest\n", (double)inspect->cycles / b.largest);
    if (facts->chunk > 0) {
        base_text_format(out, "  compiled  in %.2f s with %.1f MiB beside the image\n",
                         facts->compile_seconds, (double)facts->compile_peak_bytes / (1 << 20));
    }
    uint32_t used = 0;
    for (uint32_t q = 0; q < inspect->code.queue_count; q++) {
        used += inspect->program->queue_words[q] > 0;
    }
    size_t bytes = program_text_bytes(inspect->program);
    base_text_format(
        out, "  text      %s bytes in %u of %u queues: %s instructions, %.2f bytes each\n",
        grouped(bytes), used, inspect->code.queue_count, grouped(inspect->code.instruction_count),
        (double)bytes / (double)BASE_MAX(inspect->code.instruction_count, 1u));
}

static void put_units(const struct inspect *inspect, struct base_text *out)
{
    base_text_format(out,
                     "\nUnits. Of the step's cycles: some queue of the unit issues (working), none "
                     "does but its next\noperand is under way (moving), that is not even made yet "
                     "(waiting), nothing is to come (idle).\n"
                     "  unit            queues       issues    busy   working    moving   waiting  "
                     "    idle  waits for\n");
    for (uint32_t u = 0; u < INSPECT_UNITS; u++) {
        const struct inspect_unit_cycles *c = &inspect->units[u];
        if (c->queues_used == 0) {
            continue;
        }
        double slots = (double)c->queues * (double)inspect->cycles;
        base_text_format(out, UNIT_FORMAT, inspect_unit_name((enum inspect_unit)u), c->queues,
                         grouped(c->issues), 100.0 * (double)c->issues / slots, grouped(c->working),
                         grouped(c->moving), grouped(c->waiting), grouped(c->idle));
        for (uint32_t i = 0; i < BASE_MIN(c->wait_count, 2u); i++) {
            bool known = c->waits[i].name < inspect->name_count;
            base_text_format(out, "%s%s %s", i > 0 ? ", " : "",
                             known ? inspect->names[c->waits[i].name] : "its turn",
                             grouped(c->waits[i].cycles));
        }
        base_text_format(out, "\n");
    }
}

static void layer_name(const struct inspect *inspect, uint32_t layer, char name[24])
{
    if (layer + 1 == inspect->layer_count && layer > 0) {
        snprintf(name, 24, "output");
    } else {
        snprintf(name, 24, "layer %u", layer);
    }
}

static void put_layers(const struct inspect *inspect, struct base_text *out)
{
    base_text_format(
        out, "\nLayers: each cycle of the step belongs to the one task that holds up the rest.\n"
             "  layer        cycles   working    moving   waiting   longest pieces\n");
    base_text_format(out, "  %-9s %9s\n", "start", grouped(inspect->start_cycles));
    for (uint32_t l = 0; l < inspect->layer_count; l++) {
        const struct inspect_layer *layer = &inspect->layers[l];
        char name[24];
        layer_name(inspect, l, name);
        base_text_format(out, "  %-9s %9s %9s %9s %9s   ", name, grouped(layer->cycles),
                         grouped(layer->working), grouped(layer->moving), grouped(layer->waiting));
        uint32_t told[3] = {INSPECT_NONE, INSPECT_NONE, INSPECT_NONE};
        for (uint32_t n = 0; n < 3; n++) {
            for (uint32_t i = 0; i < inspect->step_count; i++) {
                const struct inspect_step *step = &inspect->steps[i];
                bool mine = inspect_task(inspect, step->placement)->layer == l;
                bool again = i == told[0] || i == told[1] || i == told[2];
                uint32_t best = told[n] == INSPECT_NONE
                                    ? 0
                                    : inspect->steps[told[n]].to - inspect->steps[told[n]].from;
                if (mine && !again && step->to - step->from > best) {
                    told[n] = i;
                }
            }
            if (told[n] != INSPECT_NONE) {
                const struct inspect_step *step = &inspect->steps[told[n]];
                base_text_format(out, "%s%s %u", n > 0 ? ", " : "",
                                 inspect_task(inspect, step->placement)->name,
                                 step->to - step->from);
            }
        }
        base_text_format(out, "\n");
    }
    base_text_format(out, "  %-9s %9s\n", "end", grouped(inspect->end_cycles));
}

/* "data of k_rope (layer 3)" */
static void put_reason(const struct inspect *inspect, const struct inspect_step *step,
                       struct base_text *out)
{
    if (step->after == INSPECT_NONE) {
        base_text_format(out, "the program begins");
        return;
    }
    const struct inspect_issue *at = &inspect->code.issues[step->at];
    const struct inspect_issue *after = &inspect->code.issues[step->after];
    const struct compile_task *task = inspect_task(inspect, after->placement);
    const struct compile_task *own = inspect_task(inspect, step->placement);
    char queue[32];
    machine_queue_name(inspect->machine, at->queue, queue);
    switch (step->reason) {
    case INSPECT_DATA: base_text_format(out, "takes from %s", task->name); break;
    case INSPECT_INSTALL: base_text_format(out, "weights of %s", task->name); break;
    case INSPECT_BUFFER:
        base_text_format(out, "plane of %s busy with %s", queue, task->name);
        break;
    case INSPECT_REUSE:
        base_text_format(out, "its place in %s held by %s", queue, task->name);
        break;
    case INSPECT_QUEUE: base_text_format(out, "%s busy with %s", queue, task->name); break;
    case INSPECT_START:
    case INSPECT_REASONS: break;
    }
    if (task->layer != own->layer) {
        base_text_format(out, " of layer %u", task->layer);
    }
    if (step->waiting > 0) {
        base_text_format(out, "; no free place for %u", step->waiting);
    }
}

static void put_path(const struct inspect *inspect, uint32_t layer, struct base_text *out)
{
    char name[24];
    layer_name(inspect, layer, name);
    base_text_format(out,
                     "\nThe critical path through %s\n"
                     "     from  cycles    work    move    wait  task                            "
                     "why not earlier\n",
                     name);
    for (uint32_t i = 0; i < inspect->step_count; i++) {
        const struct inspect_step *step = &inspect->steps[i];
        const struct compile_task *task = inspect_task(inspect, step->placement);
        if (task->layer != layer) {
            continue;
        }
        base_text_format(out, "%9u %7u %7u %7u %7u  %-20s %-10s ", step->from,
                         step->to - step->from, step->working, step->moving, step->waiting,
                         task->name, task->kind);
        put_reason(inspect, step, out);
        base_text_format(out, "\n");
    }
}

/* A character a slice and kind of content: how full, in tenths. */
static void put_memory(const struct inspect *inspect, struct base_text *out)
{
    static const char *const titles[] = {"weights", "constants", "KV cache", "temporary"};
    const struct machine *machine = inspect->machine;
    uint64_t totals[BASE_COUNT(titles)] = {0}, all = 0;
    base_text_format(
        out, "\nSRAM, a digit a slice from west to east: tenths of its words that are taken "
             "(. none, 0 few)\n");
    for (uint32_t k = 0; k < BASE_COUNT(titles); k++) {
        base_text_format(out, "  %-10s ", titles[k]);
        for (uint32_t i = 0; i < 2u * machine->mem_slices; i++) {
            uint32_t s = i < machine->mem_slices ? machine->mem_slices - 1 - i : i;
            uint32_t used = 0;
            for (uint32_t a = 0; a < machine->mem_words; a++) {
                const struct compile_region *region = inspect_region(inspect, s, a);
                used += region != NULL && (uint32_t)region->kind == k;
            }
            totals[k] += used;
            const uint32_t tenths = used * 10 / (machine->mem_words + 1);
            char digit = '.';
            if (used > 0) {
                digit = (char)('0' + tenths);
            }
            base_text_format(out, "%s%c", i == machine->mem_slices ? " | " : "", digit);
        }
        base_text_format(out, "\n");
        all += totals[k];
    }
    uint64_t lanes = machine_lanes(machine);
    base_text_format(out, "  bytes: weights %s, constants %s, ", grouped(totals[0] * lanes),
                     grouped(totals[1] * lanes));
    base_text_format(out, "KV cache %s, temporary %s; %s of %s\n", grouped(totals[2] * lanes),
                     grouped(totals[3] * lanes), grouped(all * lanes),
                     grouped(2ull * machine->mem_slices * machine->mem_words * lanes));
}

void inspect_text(const struct inspect *inspect, const struct inspect_facts *facts, uint32_t layer,
                  struct base_text *out)
{
    put_head(inspect, facts, out);
    put_units(inspect, out);
    if (inspect->account == NULL) {
        return;
    }
    put_layers(inspect, out);
    put_path(inspect, layer, out);
    put_memory(inspect, out);
}
