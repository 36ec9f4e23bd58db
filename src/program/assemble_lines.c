/* The lines of an assembly file that make the program: machine, parameters, bindings and text. */
#include "program/assembler.h"

#include <stdlib.h>
#include <string.h>

static struct program_token here(const struct assembler *a)
{
    return program_source_peek(&a->source);
}

static void push(struct base_text *list, const void *item, size_t size_bytes)
{
    base_text_append(list, item, size_bytes);
}

/* ---- machine, cycles, parameters ------------------------------------------------------------- */

/* Called by every line that needs the machine: from here on it stands. */
enum takt_status program_assembler_settle(struct assembler *a)
{
    struct takt_error inner = {TAKT_OK, ""};
    if (a->machine_known) {
        return TAKT_OK;
    }
    const struct machine *machine = &a->program->machine;
    enum takt_status status = machine_check(machine, &inner);
    if (status != TAKT_OK) {
        return program_source_fail(&a->source, here(a), status, inner.message);
    }
    BASE_ASSERT(machine_queue_count(machine) <= ASSEMBLER_QUEUES_MAX);
    BASE_ASSERT(machine_lanes(machine) <= MACHINE_LANES_MAX);
    a->written = calloc(2 * (size_t)machine->mem_slices * machine->mem_words / 8 + 1, 1);
    if (a->written == NULL) {
        return program_source_fail(&a->source, here(a), TAKT_MEMORY, "out of memory");
    }
    a->machine_known = true;
    return TAKT_OK;
}

enum takt_status program_assembler_machine(struct assembler *a)
{
    char name[48] = {0}, text[80] = {0};
    uint32_t index = machine_parameter_count();
    struct takt_error inner = {TAKT_OK, ""};
    struct program_token token = here(a);
    if (a->machine_known) {
        return program_source_fail(&a->source, token, TAKT_FORMAT,
                                   ".machine: must come before every line that depends on it");
    }
    enum takt_status status =
        program_source_name(&a->source, "a machine parameter", name, sizeof name);
    if (status != TAKT_OK) {
        return status;
    }
    struct program_token equals = program_source_next(&a->source);
    if (!program_token_is(equals, "=")) {
        return program_source_refuse(&a->source, equals, "=");
    }
    struct program_token value = program_source_next(&a->source);
    if (value.length == 0 || value.length >= sizeof text) {
        return program_source_refuse(&a->source, value, "a value");
    }
    memcpy(text, value.start, value.length);
    status = machine_set(&a->program->machine, name, text, &inner);
    if (status != TAKT_OK) {
        return program_source_fail(&a->source, token, status, inner.message);
    }
    (void)machine_parameter_find(name, &index);
    BASE_ASSERT(index < BASE_COUNT(a->machine_given));
    if (a->machine_given[index]) {
        return program_source_refuse(&a->source, token, "each machine parameter once");
    }
    a->machine_given[index] = true;
    return program_source_end(&a->source);
}

enum takt_status program_assembler_cycles(struct assembler *a)
{
    int64_t cycles = 0;
    struct program_token token = here(a);
    if (a->cycles_given) {
        return program_source_refuse(&a->source, token, "one .cycles line");
    }
    enum takt_status status = program_source_number(&a->source, "cycles", 0, INT64_MAX, &cycles);
    a->program->cycles = (uint64_t)cycles;
    a->cycles_given = true;
    return status == TAKT_OK ? program_source_end(&a->source) : status;
}

enum takt_status program_assembler_parameter(struct assembler *a)
{
    struct program_parameter parameter = {"", 0};
    struct program_token token = here(a);
    enum takt_status status =
        program_source_name(&a->source, "a name", parameter.name, sizeof parameter.name);
    if (status == TAKT_OK) {
        status =
            program_source_number(&a->source, "a value", INT64_MIN, INT64_MAX, &parameter.value);
    }
    if (status != TAKT_OK) {
        return status;
    }
    size_t count = a->parameters.length / sizeof parameter;
    for (size_t i = 0; i < count; i++) {
        struct program_parameter other;
        memcpy(&other, a->parameters.data + i * sizeof other, sizeof other);
        if (strcmp(other.name, parameter.name) == 0) {
            return program_source_refuse(&a->source, token, "each parameter once");
        }
    }
    if (count == PROGRAM_PARAMETERS_MAX) {
        return program_source_refuse(&a->source, token, "at most 1024 parameters");
    }
    push(&a->parameters, &parameter, sizeof parameter);
    return program_source_end(&a->source);
}

/* ---- text ------------------------------------------------------------------------------------ */

enum takt_status program_assembler_queue(struct assembler *a, const char *what, uint32_t *queue)
{
    char name[32] = {0};
    struct program_token token = program_source_next(&a->source);
    enum takt_status status = program_assembler_settle(a);
    if (status != TAKT_OK) {
        return status;
    }
    if (token.length < sizeof name) {
        memcpy(name, token.start, token.length);
    }
    return machine_queue_find(&a->program->machine, name, queue)
               ? TAKT_OK
               : program_source_refuse(&a->source, token, what);
}

enum takt_status program_assembler_section(struct assembler *a)
{
    enum takt_status status = program_assembler_queue(
        a, "a queue of the machine, such as mem.e3, vxm.0 or mxm.w1.weights", &a->queue);
    a->queue_chosen = status == TAKT_OK;
    return status == TAKT_OK ? program_source_end(&a->source) : status;
}

/* ".text QUEUE SLICE ADDRESS SLICE ADDRESS ...": the next blocks of the queue's text. */
enum takt_status program_assembler_text(struct assembler *a)
{
    struct assembler_block block;
    memset(&block, 0, sizeof block);
    enum takt_status status =
        program_assembler_queue(a, "a queue of the machine, such as mem.e3", &block.queue);
    do {
        if (status == TAKT_OK) {
            status = program_assembler_place(a, &block.place);
        }
        if (status != TAKT_OK) {
            return status;
        }
        push(&a->blocks, &block, sizeof block);
        a->text_blocks[block.queue]++;
    } while (here(a).length > 0);
    return TAKT_OK;
}

enum takt_status program_assembler_instruction(struct assembler *a)
{
    struct isa_instruction instruction;
    struct takt_error inner = {TAKT_OK, ""};
    unsigned column = 0;
    struct program_token token = here(a);
    enum takt_status status = isa_parse_at(a->source.buffer, &instruction, &column, &inner);
    if (status != TAKT_OK) {
        token.start = a->source.buffer + column - 1;
        return program_source_fail(&a->source, token, status, inner.message);
    }
    if (!a->queue_chosen) {
        return program_source_refuse(&a->source, token, ".queue NAME before the first instruction");
    }
    const struct isa_instruction *previous =
        a->queue_words[a->queue] > 0 ? &a->previous[a->queue] : NULL;
    status = program_rules_word(&a->program->machine, a->queue, previous, &instruction, &inner);
    if (status != TAKT_OK) {
        return program_source_fail(&a->source, token, status, inner.message);
    }
    struct assembler_word word;
    memset(&word, 0, sizeof word);
    word.bits = isa_encode(&instruction);
    word.queue = a->queue;
    push(&a->words, &word, sizeof word);
    a->previous[a->queue] = instruction;
    a->queue_words[a->queue]++;
    return TAKT_OK;
}

/* ---- bindings -------------------------------------------------------------------------------- */

static struct program_binding last_binding(const struct assembler *a)
{
    struct program_binding binding;
    BASE_ASSERT(a->bindings.length >= sizeof binding);
    memcpy(&binding, a->bindings.data + a->bindings.length - sizeof binding, sizeof binding);
    return binding;
}

enum takt_status program_assembler_binding_end(struct assembler *a)
{
    char message[160];
    if (a->sources_left == 0 && a->places_left == 0) {
        return TAKT_OK;
    }
    (void)snprintf(message, sizeof message,
                   "binding %.47s lacks %llu source entries and %llu places", last_binding(a).name,
                   (unsigned long long)a->sources_left, (unsigned long long)a->places_left);
    return program_source_fail(&a->source, here(a), TAKT_FORMAT, message);
}

/* Name and shape, without the arrays. */
static enum takt_status get_binding(struct assembler *a, struct program_binding *binding)
{
    uint32_t *const members[] = {&binding->element_bytes, &binding->items, &binding->rows,
                                 &binding->elements};
    const char *const names[] = {"bytes of an element", "items", "rows of an item",
                                 "elements of an item"};
    enum takt_status status =
        program_source_name(&a->source, "a name", binding->name, sizeof binding->name);
    if (status != TAKT_OK) {
        return status;
    }
    struct program_token token = program_source_next(&a->source);
    binding->output = program_token_is(token, "output");
    if (!binding->output && !program_token_is(token, "input")) {
        return program_source_refuse(&a->source, token, "input or output");
    }
    for (size_t i = 0; i < BASE_COUNT(members); i++) {
        int64_t number = 0;
        token = here(a);
        status =
            program_source_number(&a->source, names[i], i == 0, i == 0 ? 4 : UINT32_MAX, &number);
        if (status != TAKT_OK) {
            return status;
        }
        *members[i] = (uint32_t)number;
    }
    return binding->element_bytes == 3
               ? program_source_refuse(&a->source, token, "elements of 1, 2 or 4 bytes")
               : program_source_end(&a->source);
}

enum takt_status program_assembler_binding(struct assembler *a)
{
    struct program_binding binding;
    memset(&binding, 0, sizeof binding);
    struct program_token token = here(a);
    enum takt_status status = program_assembler_settle(a);
    if (status == TAKT_OK) {
        status = program_assembler_binding_end(a);
    }
    if (status == TAKT_OK) {
        status = get_binding(a, &binding);
    }
    if (status != TAKT_OK) {
        return status;
    }
    size_t count = a->bindings.length / sizeof binding;
    for (size_t i = 0; i < count; i++) {
        struct program_binding other;
        memcpy(&other, a->bindings.data + i * sizeof other, sizeof other);
        if (strcmp(other.name, binding.name) == 0) {
            return program_source_refuse(&a->source, token, "each binding once");
        }
    }
    uint64_t sources = program_rules_sources(&binding, machine_lanes(&a->program->machine));
    uint64_t places = program_rules_places(&binding);
    if (count == PROGRAM_BINDINGS_MAX || sources > PROGRAM_ENTRIES_MAX ||
        places > PROGRAM_ENTRIES_MAX) {
        return program_source_fail(&a->source, token, TAKT_LIMIT,
                                   "more bindings, or larger ones, than takt's limits");
    }
    binding.source = program_rules_take(a->arena, sources, sizeof *binding.source);
    binding.places = program_rules_take(a->arena, places, sizeof *binding.places);
    if (binding.source == NULL || binding.places == NULL) {
        return program_assembler_no_room(a);
    }
    a->sources_left = sources;
    a->places_left = places;
    push(&a->bindings, &binding, sizeof binding);
    return TAKT_OK;
}

/* ".source FIRST COUNT STEP": the next COUNT entries are FIRST, FIRST + STEP, ... */
enum takt_status program_assembler_source(struct assembler *a)
{
    int64_t first = 0, count = 0, step = 0;
    struct program_token token = here(a);
    if (a->sources_left == 0) {
        return program_source_refuse(&a->source, token, "no more entries than rows x lanes");
    }
    struct program_binding binding = last_binding(a);
    int64_t most = BASE_MIN((int64_t)binding.elements - 1, (int64_t)INT32_MAX);
    enum takt_status status =
        program_source_number(&a->source, "an element, or -1", -1, most, &first);
    if (status == TAKT_OK) {
        status = program_source_number(&a->source, "a count", 1, (int64_t)a->sources_left, &count);
    }
    if (status == TAKT_OK) {
        status = program_source_number(&a->source, "a step", INT32_MIN, UINT32_MAX, &step);
    }
    if (status != TAKT_OK) {
        return status;
    }
    int64_t last = first + (count - 1) * step;
    if (last < -1 || last > most) {
        return program_source_refuse(&a->source, token, "entries that are elements, or -1");
    }
    uint64_t done =
        program_rules_sources(&binding, machine_lanes(&a->program->machine)) - a->sources_left;
    for (int64_t i = 0; i < count; i++) {
        binding.source[done + (uint64_t)i] = (int32_t)(first + i * step);
    }
    a->sources_left -= (uint64_t)count;
    return program_source_end(&a->source);
}

/* ".places SLICE ADDRESS SLICE ADDRESS ...": the next places. */
enum takt_status program_assembler_places(struct assembler *a)
{
    if (a->places_left == 0) {
        return program_source_refuse(&a->source, here(a),
                                     "no more places than items x rows x bytes");
    }
    struct program_binding binding = last_binding(a);
    do {
        uint64_t done = program_rules_places(&binding) - a->places_left;
        if (a->places_left == 0) {
            return program_source_refuse(&a->source, here(a),
                                         "no more places than items x rows x bytes");
        }
        enum takt_status status = program_assembler_place(a, &binding.places[done]);
        if (status != TAKT_OK) {
            return status;
        }
        a->places_left--;
    } while (here(a).length > 0);
    return TAKT_OK;
}
