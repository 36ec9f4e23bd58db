/* Report: all that was found, as one JSON object; docs/INSPECT.md describes its members. */
#include "inspect/inspect.h"

#include <string.h>

void inspect_json_string(struct base_text *out, const char *text)
{
    base_text_append(out, "\"", 1);
    for (size_t left = strlen(text); left > 0;) {
        size_t size = base_utf8_size(text, left);
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            base_text_format(out, "\\%c", c);
        } else if (c < 0x20) {
            base_text_format(out, "\\u%04x", c);
        } else if (size == 0) {
            base_text_append(out, "\xEF\xBF\xBD", 3);
        } else {
            base_text_append(out, text, size);
        }
        size = size == 0 ? 1 : size;
        text += size;
        left -= size;
    }
    base_text_append(out, "\"", 1);
}

static void put_name(struct base_text *out, const char *member, const char *value)
{
    base_text_format(out, "\"%s\":", member);
    inspect_json_string(out, value);
}

static const char *wait_name(const struct inspect *inspect, const struct inspect_wait *wait)
{
    return wait->name < inspect->name_count ? inspect->names[wait->name] : "";
}

static void put_units(const struct inspect *inspect, const struct inspect_facts *facts,
                      struct base_text *out)
{
    base_text_format(out, ",\"units\":[");
    bool comma = false;
    for (uint32_t u = 0; u < INSPECT_UNITS; u++) {
        const struct inspect_unit_cycles *c = &inspect->units[u];
        if (c->queues_used == 0 && u == INSPECT_OTHER) {
            continue;
        }
        base_text_format(out, "%s{", comma ? "," : "");
        comma = true;
        put_name(out, "unit", inspect_unit_name((enum inspect_unit)u));
        base_text_format(out, ",\"queues\":%u,\"queues_used\":%u,\"issues\":%llu", c->queues,
                         c->queues_used, (unsigned long long)c->issues);
        if (facts->issued != NULL) {
            unsigned long long issued = 0;
            for (uint32_t q = 0; q < inspect->code.queue_count; q++) {
                bool same = inspect_queue_unit(inspect, q) == (enum inspect_unit)u;
                issued += same ? facts->issued[q] : 0;
            }
            base_text_format(out, ",\"issues_executed\":%llu", issued);
        }
        double slots = (double)c->queues * (double)inspect->cycles;
        base_text_format(out,
                         ",\"busy\":%.6f,\"working\":%llu,\"moving\":%llu,\"waiting\":%llu,"
                         "\"idle\":%llu,\"waits\":[",
                         slots > 0 ? (double)c->issues / slots : 0.0,
                         (unsigned long long)c->working, (unsigned long long)c->moving,
                         (unsigned long long)c->waiting, (unsigned long long)c->idle);
        for (uint32_t i = 0; i < c->wait_count; i++) {
            base_text_format(out, "%s{", i > 0 ? "," : "");
            put_name(out, "for", wait_name(inspect, &c->waits[i]));
            base_text_format(out, ",\"cycles\":%llu}", (unsigned long long)c->waits[i].cycles);
        }
        base_text_format(out, "]}");
    }
    base_text_format(out, "]");
}

static void put_step(const struct inspect *inspect, const struct inspect_step *step,
                     struct base_text *out)
{
    const struct compile_task *task = inspect_task(inspect, step->placement);
    base_text_format(out, "{");
    put_name(out, "task", task->name);
    base_text_append(out, ",", 1);
    put_name(out, "kind", task->kind);
    base_text_append(out, ",", 1);
    put_name(out, "tensors", task->tensors);
    base_text_format(out,
                     ",\"from\":%u,\"to\":%u,\"cycles\":%u,\"working\":%u,\"moving\":%u,"
                     "\"waiting\":%u,",
                     step->from, step->to, step->to - step->from, step->working, step->moving,
                     step->waiting);
    put_name(out, "because", inspect_reason_name(step->reason));
    if (step->after != INSPECT_NONE) {
        const struct inspect_issue *at = &inspect->code.issues[step->at];
        const struct inspect_issue *after = &inspect->code.issues[step->after];
        char queue[32];
        machine_queue_name(inspect->machine, at->queue, queue);
        base_text_append(out, ",", 1);
        put_name(out, "after", inspect_task(inspect, after->placement)->name);
        base_text_format(out, ",\"after_layer\":%u,",
                         inspect_task(inspect, after->placement)->layer);
        put_name(out, "at", queue);
        struct machine_queue unit = machine_queue(inspect->machine, at->queue);
        struct isa_instruction in = inspect_instruction(inspect, step->at);
        uint32_t slice = unit.hemisphere * inspect->machine->mem_slices + unit.index;
        const struct compile_region *region =
            unit.unit == ISA_UNIT_MEM ? inspect_region(inspect, slice, in.address) : NULL;
        if (region != NULL) {
            base_text_append(out, ",", 1);
            put_name(out, "tensor", region->name);
        }
    }
    base_text_format(out, "}");
}

static void put_layers(const struct inspect *inspect, struct base_text *out)
{
    base_text_format(out, ",\"start_cycles\":%llu,\"end_cycles\":%llu,\"layers\":[",
                     (unsigned long long)inspect->start_cycles,
                     (unsigned long long)inspect->end_cycles);
    for (uint32_t l = 0; l < inspect->layer_count; l++) {
        const struct inspect_layer *layer = &inspect->layers[l];
        base_text_format(out,
                         "%s{\"layer\":%u,\"first_cycle\":%u,\"last_cycle\":%u,\"cycles\":%llu,"
                         "\"working\":%llu,\"moving\":%llu,\"waiting\":%llu,\"issues\":{",
                         l > 0 ? "," : "", l, layer->first, layer->last,
                         (unsigned long long)layer->cycles, (unsigned long long)layer->working,
                         (unsigned long long)layer->moving, (unsigned long long)layer->waiting);
        bool comma = false;
        for (uint32_t u = 0; u < INSPECT_UNITS; u++) {
            if (layer->issues[u] > 0) {
                base_text_append(out, ",", comma);
                comma = true;
                inspect_json_string(out, inspect_unit_name((enum inspect_unit)u));
                base_text_format(out, ":%llu", (unsigned long long)layer->issues[u]);
            }
        }
        base_text_format(out, "},\"path\":[");
        comma = false;
        for (uint32_t i = 0; i < inspect->step_count; i++) {
            if (inspect_task(inspect, inspect->steps[i].placement)->layer == l) {
                base_text_append(out, ",", comma);
                comma = true;
                put_step(inspect, &inspect->steps[i], out);
            }
        }
        base_text_format(out, "]}");
    }
    base_text_format(out, "]");
}

static const char *const kinds[] = {"weights", "constants", "cache", "temporary", "text"};

/* Per slice, words of each kind; then the regions themselves but for the weights' many tiles. */
static void put_memory(const struct inspect *inspect, struct base_text *out)
{
    const struct machine *machine = inspect->machine;
    const struct compile_account *account = inspect->account;
    base_text_format(out, ",\"sram\":{\"words_of_a_slice\":%u,\"word_bytes\":%u,\"slices\":[",
                     machine->mem_words, machine_lanes(machine));
    for (uint32_t s = 0; s < 2u * machine->mem_slices; s++) {
        uint32_t used[BASE_COUNT(kinds)] = {0};
        for (uint32_t a = 0; a < machine->mem_words; a++) {
            const struct compile_region *region = inspect_region(inspect, s, a);
            if (region != NULL) {
                used[region->kind]++;
            }
        }
        char queue[32];
        machine_queue_name(
            machine, machine_queue_mem(machine, s / machine->mem_slices, s % machine->mem_slices),
            queue);
        base_text_format(out, "%s{\"slice\":\"%s\"", s > 0 ? "," : "", queue);
        for (uint32_t k = 0; k < BASE_COUNT(kinds); k++) {
            base_text_format(out, ",\"%s\":%u", kinds[k], used[k]);
        }
        base_text_format(out, "}");
    }
    base_text_format(out, "],\"regions\":[");
    bool comma = false;
    for (uint32_t i = 0; i < account->region_count; i++) {
        const struct compile_region *region = &account->regions[i];
        if (region->kind == COMPILE_WEIGHTS) {
            continue;
        }
        base_text_format(out, "%s{", comma ? "," : "");
        comma = true;
        put_name(out, "name", region->name);
        base_text_format(out,
                         ",\"kind\":\"%s\",\"slice\":%u,\"slices\":%u,\"address\":%u,"
                         "\"words\":%u}",
                         kinds[region->kind], region->slice, region->slices, region->address,
                         region->words);
    }
    base_text_format(out, "]}");
}

static void put_queues(const struct inspect *inspect, const struct inspect_facts *facts,
                       struct base_text *out)
{
    base_text_format(out, ",\"queues\":[");
    bool comma = false;
    for (uint32_t q = 0; q < inspect->code.queue_count; q++) {
        if (inspect->program->queue_words[q] == 0) {
            continue;
        }
        char name[32];
        machine_queue_name(inspect->machine, q, name);
        base_text_format(out, "%s{\"queue\":\"%s\",\"words\":%u,\"bytes\":%u,\"issues\":%u",
                         comma ? "," : "", name, inspect->program->queue_words[q],
                         program_text_pack(inspect->program, q, NULL),
                         inspect->code.queue_issues[q]);
        if (facts->issued != NULL) {
            base_text_format(out, ",\"issues_executed\":%llu",
                             (unsigned long long)facts->issued[q]);
        }
        base_text_format(out, "}");
        comma = true;
    }
    base_text_format(out, "]");
}

/* Reads of the program's own text: of no task, where tasks are known. */
static uint32_t text_reads(const struct inspect *inspect)
{
    uint32_t count = 0;
    for (uint32_t i = 0; inspect->account != NULL && i < inspect->code.issue_count; i++) {
        count += inspect->code.issues[i].placement == INSPECT_NONE;
    }
    return count;
}

static uint64_t region_bytes(const struct inspect *inspect)
{
    uint64_t words = 0;
    for (uint32_t i = 0; i < inspect->account->region_count; i++) {
        const struct compile_region *region = &inspect->account->regions[i];
        words += (uint64_t)region->slices * region->words;
    }
    return words * machine_lanes(inspect->machine);
}

void inspect_json(const struct inspect *inspect, const struct inspect_facts *facts,
                  struct base_text *out)
{
    struct inspect_bounds bounds = inspect_bounds(inspect, facts);
    base_text_format(out, "{");
    put_name(out, "model", facts->model);
    base_text_append(out, ",", 1);
    put_name(out, "machine", facts->machine);
    base_text_format(out, ",\"chunk\":%u,\"bucket\":%u,\"context\":%u,\"cycles\":%llu",
                     facts->chunk, facts->bucket, facts->context,
                     (unsigned long long)inspect->cycles);
    if (facts->executed) {
        base_text_format(out, ",\"cycles_executed\":%llu",
                         (unsigned long long)facts->cycles_executed);
    }
    base_text_format(out,
                     ",\"bounds\":{\"weights\":%.1f,\"macs\":%.1f,\"chain\":%.0f,\"largest\":%.1f,"
                     "\"ratio\":%.4f,\"weight_bytes\":%llu,\"loaded_bytes\":%llu,"
                     "\"multiply_adds\":%llu,\"issued_multiply_adds\":%llu}",
                     bounds.weights, bounds.macs, bounds.chain, bounds.largest,
                     (double)inspect->cycles / bounds.largest,
                     (unsigned long long)facts->weight_bytes,
                     (unsigned long long)inspect->weight_loads * MACHINE_WEIGHT_ROWS *
                         machine_lanes(inspect->machine),
                     (unsigned long long)facts->macs,
                     (unsigned long long)inspect->products * machine_lanes(inspect->machine) *
                         machine_lanes(inspect->machine));
    base_text_format(out,
                     ",\"compile_seconds\":%.4f,\"compile_peak_bytes\":%llu,\"sram_bytes\":%llu,"
                     "\"text_bytes\":%llu,\"instructions\":%u,\"read_writes\":%u,\"text_reads\":%u,"
                     "\"placements\":%u,\"program_hash\":"
                     "\"%s\"",
                     facts->compile_seconds, (unsigned long long)facts->compile_peak_bytes,
                     (unsigned long long)region_bytes(inspect),
                     (unsigned long long)program_text_bytes(inspect->program),
                     inspect->code.instruction_count,
                     inspect->code.issue_count - inspect->code.instruction_count,
                     text_reads(inspect), inspect->placement_count, facts->program_hash);
    put_units(inspect, facts, out);
    put_layers(inspect, out);
    put_memory(inspect, out);
    put_queues(inspect, facts, out);
    base_text_format(out, "}\n");
}
