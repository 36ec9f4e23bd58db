/* From a program and its image to assembly text that program_assemble turns into the same again. */
#include "program/program.h"
#include "program/rules.h"

#include <string.h>

#define PLACES_A_LINE 8u

static void write_machine(const struct machine *machine, struct base_text *out)
{
    base_text_format(out, ".machine name = \"%s\"\n", machine->name);
    for (uint32_t i = 0; i < machine_parameter_count(); i++) {
        base_text_format(out, ".machine %s = %u\n", machine_parameter(i)->name,
                         machine_parameter_get(machine, i));
    }
}

/* Entries as the longest arithmetic runs, from the left. */
static void write_sources(const struct program_binding *binding, uint32_t lanes,
                          struct base_text *out)
{
    uint64_t count = program_rules_sources(binding, lanes);
    const int32_t *source = binding->source;
    uint64_t next = 0;
    for (uint64_t first = 0; first < count; first = next) {
        int64_t step = 0;
        next = first + 1;
        if (next < count) {
            step = (int64_t)source[next] - source[first];
            while (next < count && (int64_t)source[next] - source[next - 1] == step) {
                next++;
            }
        }
        base_text_format(out, ".source %d %llu %lld\n", source[first],
                         (unsigned long long)(next - first), (long long)step);
    }
}

static void write_binding(const struct machine *machine, const struct program_binding *binding,
                          struct base_text *out)
{
    base_text_format(out, ".binding %s %s %u %u %u %u\n", binding->name,
                     binding->output ? "output" : "input", binding->element_bytes, binding->items,
                     binding->rows, binding->elements);
    write_sources(binding, machine_lanes(machine), out);
    uint64_t places = program_rules_places(binding);
    for (uint64_t i = 0; i < places; i++) {
        char name[32];
        machine_queue_name(machine, binding->places[i].slice, name);
        base_text_format(out, "%s %s %u", i % PLACES_A_LINE == 0 ? ".places" : "", name,
                         binding->places[i].address);
        if (i + 1 == places || (i + 1) % PLACES_A_LINE == 0) {
            base_text_append(out, "\n", 1);
        }
    }
}

/* Where the blocks of a queue's text lie. */
static void write_text_places(const struct program *program, uint32_t queue, struct base_text *out)
{
    char name[32], slice[32];
    uint32_t blocks = program->text_blocks == NULL ? 0 : program->text_blocks[queue];
    machine_queue_name(&program->machine, queue, name);
    for (uint32_t i = 0; i < blocks; i++) {
        machine_queue_name(&program->machine, program->text_places[queue][i].slice, slice);
        if (i % PLACES_A_LINE == 0) {
            base_text_format(out, "%s.text %s", i == 0 ? "" : "\n", name);
        }
        base_text_format(out, " %s %u", slice, program->text_places[queue][i].address);
    }
    base_text_append(out, "\n", blocks > 0);
}

static void write_queue(const struct program *program, uint32_t queue, struct base_text *out)
{
    char name[32];
    char line[128];
    if (program->queue_words[queue] == 0) {
        return;
    }
    machine_queue_name(&program->machine, queue, name);
    base_text_format(out, "\n.queue %s\n", name);
    for (uint32_t i = 0; i < program->queue_words[queue]; i++) {
        struct isa_instruction instruction;
        enum takt_status status = isa_decode(program->text[queue][i], &instruction, NULL);
        BASE_ASSERT(status == TAKT_OK); /* the caller gave a program that was checked */
        isa_print(&instruction, line, sizeof line);
        base_text_format(out, "    %s\n", line);
    }
    write_text_places(program, queue, out);
}

static void write_word(const char *slice, uint32_t address, const uint8_t *word, uint32_t lanes,
                       struct base_text *out)
{
    char hex[2 * MACHINE_LANES_MAX];
    bool uniform = true;
    for (uint32_t lane = 0; lane < lanes; lane++) {
        uniform = uniform && word[lane] == word[0];
        hex[2 * lane] = "0123456789abcdef"[word[lane] >> 4];
        hex[2 * lane + 1] = "0123456789abcdef"[word[lane] & 15];
    }
    base_text_format(out, ".data %s %u ", slice, address);
    if (uniform) {
        base_text_format(out, "fill %u\n", word[0]);
        return;
    }
    base_text_append(out, "hex ", 4);
    base_text_append(out, hex, 2 * (size_t)lanes);
    base_text_append(out, "\n", 1);
}

static void write_image(const struct machine *machine, const struct program_image *image,
                        struct base_text *out)
{
    uint32_t lanes = machine_lanes(machine);
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct program_segment *segment = &image->segments[i];
        char name[32];
        machine_queue_name(machine, segment->slice, name);
        base_text_append(out, "\n", i == 0);
        for (uint32_t j = 0; j < segment->count; j++) {
            write_word(name, segment->address + j, segment->data + (size_t)j * lanes, lanes, out);
        }
    }
}

void program_disassemble(const struct program *program, const struct program_image *image,
                         struct base_text *out)
{
    write_machine(&program->machine, out);
    base_text_format(out, "\n.cycles %llu\n", (unsigned long long)program->cycles);
    for (uint32_t i = 0; i < program->parameter_count; i++) {
        base_text_format(out, ".parameter %s %lld\n", program->parameters[i].name,
                         (long long)program->parameters[i].value);
    }
    for (uint32_t i = 0; i < program->binding_count; i++) {
        base_text_append(out, "\n", 1);
        write_binding(&program->machine, &program->bindings[i], out);
    }
    for (uint32_t i = 0; i < program->queue_count; i++) {
        write_queue(program, i, out);
    }
    if (image != NULL) {
        write_image(&program->machine, image, out);
    }
}
