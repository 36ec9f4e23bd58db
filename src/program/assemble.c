/*
 * From assembly text to a program, its memory image and its expectations (docs/ASSEMBLY.md). Each
 * line is one directive or one instruction; what is collected grows on the heap and is copied into
 * the arena at the end, when the sizes are known.
 */
#include "program/assembler.h"

#include <stdlib.h>
#include <string.h>

enum takt_status program_assembler_no_room(const struct assembler *a)
{
    return base_fail(a->source.error, TAKT_LIMIT,
                     "%s:%u: does not fit the %zu bytes reserved for it; reserve more",
                     a->source.path, a->source.line, a->arena->capacity_bytes);
}

/* ---- lines ----------------------------------------------------------------------------------- */

static enum takt_status read_directive(struct assembler *a, struct program_token token)
{
    static const struct {
        const char *name;
        enum takt_status (*read)(struct assembler *a);
    } plain[] = {
        {".machine", program_assembler_machine},     {".cycles", program_assembler_cycles},
        {".parameter", program_assembler_parameter}, {".queue", program_assembler_section},
        {".text", program_assembler_text},           {".binding", program_assembler_binding},
        {".source", program_assembler_source},       {".places", program_assembler_places},
        {".cable", program_assembler_cable},         {".upset", program_assembler_upset},
    };
    static const struct {
        const char *name;
        enum takt_status (*read)(struct assembler *a, uint32_t width);
        uint32_t width;
    } wide[] = {
        {".data", program_assembler_data, 1},      {".data2", program_assembler_data, 2},
        {".data4", program_assembler_data, 4},     {".expect", program_assembler_expect, 1},
        {".expect2", program_assembler_expect, 2}, {".expect4", program_assembler_expect, 4},
    };
    for (size_t i = 0; i < BASE_COUNT(plain); i++) {
        if (program_token_is(token, plain[i].name)) {
            return plain[i].read(a);
        }
    }
    for (size_t i = 0; i < BASE_COUNT(wide); i++) {
        if (program_token_is(token, wide[i].name)) {
            return wide[i].read(a, wide[i].width);
        }
    }
    return program_source_refuse(&a->source, token,
                                 ".machine, .cycles, .parameter, .queue, .text, .binding, .source, "
                                 ".places, .cable, .upset, .data[2|4] or .expect[2|4]");
}

static enum takt_status read_lines(struct assembler *a)
{
    enum takt_status status = TAKT_OK;
    while (status == TAKT_OK && program_source_next_line(&a->source, &status)) {
        struct program_token token = program_source_peek(&a->source);
        if (token.length == 0) {
            continue;
        }
        if (token.start[0] == '.') {
            (void)program_source_next(&a->source);
            status = read_directive(a, token);
        } else {
            status = program_assembler_instruction(a);
        }
    }
    if (status == TAKT_OK) {
        a->source.buffer[0] = '\0';
        a->source.cursor = a->source.buffer;
        status = program_assembler_settle(a);
    }
    return status == TAKT_OK ? program_assembler_binding_end(a) : status;
}

/* ---- into the arena -------------------------------------------------------------------------- */

static enum takt_status finish_blocks(struct assembler *a)
{
    struct program *program = a->program;
    const size_t count = a->blocks.length / sizeof(struct assembler_block);
    const uint32_t queues = program->queue_count;
    struct program_place *places = program_rules_take(a->arena, count, sizeof *places);
    program->text_blocks = program_rules_take(a->arena, queues, sizeof *program->text_blocks);
    program->text_places = program_rules_take(a->arena, queues, sizeof *program->text_places);
    if (places == NULL || program->text_blocks == NULL || program->text_places == NULL) {
        return program_assembler_no_room(a);
    }
    for (uint32_t i = 0; i < queues; i++) {
        program->text_places[i] = places;
        places += a->text_blocks[i];
    }
    for (size_t i = 0; i < count; i++) {
        struct assembler_block block;
        memcpy(&block, a->blocks.data + i * sizeof block, sizeof block);
        program->text_places[block.queue][program->text_blocks[block.queue]++] = block.place;
    }
    return TAKT_OK;
}

static enum takt_status finish_text(struct assembler *a)
{
    struct program *program = a->program;
    size_t count = a->words.length / sizeof(struct assembler_word);
    uint32_t queues = machine_queue_count(&program->machine);
    uint64_t *text = program_rules_take(a->arena, count, sizeof *text);
    program->queue_words = program_rules_take(a->arena, queues, sizeof *program->queue_words);
    program->text = program_rules_take(a->arena, queues, sizeof *program->text);
    if (text == NULL || program->queue_words == NULL || program->text == NULL) {
        return program_assembler_no_room(a);
    }
    for (uint32_t i = 0; i < queues; i++) {
        program->text[i] = text;
        text += a->queue_words[i];
    }
    for (size_t i = 0; i < count; i++) {
        struct assembler_word word;
        memcpy(&word, a->words.data + i * sizeof word, sizeof word);
        program->text[word.queue][program->queue_words[word.queue]++] = word.bits;
    }
    program->queue_count = queues;
    return finish_blocks(a);
}

/* A list's bytes, copied; *status keeps the first failure. */
static void *copy(struct assembler *a, const struct base_text *list, enum takt_status *status)
{
    void *memory = *status == TAKT_OK ? program_rules_take(a->arena, list->length, 1) : NULL;
    if (memory == NULL) {
        *status = *status == TAKT_OK ? program_assembler_no_room(a) : *status;
    } else if (list->length > 0) {
        memcpy(memory, list->data, list->length);
    }
    return memory;
}

static enum takt_status finish_data(struct assembler *a, struct program_assembly *assembly)
{
    enum takt_status status = TAKT_OK;
    struct program_image *image = &assembly->image;
    size_t lanes = machine_lanes(&a->program->machine);
    size_t count = a->segments.length / sizeof(struct assembler_segment);
    uint8_t *data = copy(a, &a->data, &status);
    uint8_t *expected = copy(a, &a->expected_data, &status);
    assembly->expectations = copy(a, &a->expectations, &status);
    assembly->cables = copy(a, &a->cables, &status);
    assembly->upsets = copy(a, &a->upsets, &status);
    assembly->upset_count = (uint32_t)(a->upsets.length / sizeof *assembly->upsets);
    assembly->cable_count = (uint32_t)(a->cables.length / sizeof *assembly->cables);
    image->segments = program_rules_take(a->arena, count, sizeof *image->segments);
    if (status != TAKT_OK || image->segments == NULL) {
        return status != TAKT_OK ? status : program_assembler_no_room(a);
    }
    for (size_t i = 0; i < count; i++) {
        struct assembler_segment segment;
        memcpy(&segment, a->segments.data + i * sizeof segment, sizeof segment);
        image->segments[i] = (struct program_segment){segment.slice, segment.address, segment.count,
                                                      data + segment.data};
    }
    image->segment_count = (uint32_t)count;
    assembly->expectation_count =
        (uint32_t)(a->expectations.length / sizeof *assembly->expectations);
    for (uint32_t i = 0; i < assembly->expectation_count; i++) {
        if (assembly->expectations[i].kind == PROGRAM_EXPECT_MEMORY) {
            assembly->expectations[i].bytes = expected;
            expected += lanes;
        }
    }
    return TAKT_OK;
}

static enum takt_status finish(struct assembler *a, struct program_assembly *assembly)
{
    struct program *program = a->program;
    struct takt_error inner = {TAKT_OK, ""};
    enum takt_status status = finish_text(a);
    program->bindings = copy(a, &a->bindings, &status);
    program->parameters = copy(a, &a->parameters, &status);
    if (status == TAKT_OK) {
        status = finish_data(a, assembly);
    }
    if (status != TAKT_OK) {
        return status;
    }
    program->binding_count = (uint32_t)(a->bindings.length / sizeof *program->bindings);
    program->parameter_count = (uint32_t)(a->parameters.length / sizeof *program->parameters);
    status = program_check(program, &inner);
    return status == TAKT_OK
               ? TAKT_OK
               : base_fail(a->source.error, status, "%s: %s", a->source.path, inner.message);
}

enum takt_status program_assemble(const char *path, const char *source, size_t length,
                                  struct base_arena *arena, struct program_assembly *assembly,
                                  struct takt_error *error)
{
    memset(assembly, 0, sizeof *assembly);
    struct assembler *a = calloc(1, sizeof *a);
    if (a == NULL) {
        return base_fail(error, TAKT_MEMORY, "%s: out of memory", path);
    }
    a->source.path = path;
    a->source.text = source;
    a->source.length = length;
    a->source.error = error;
    a->arena = arena;
    a->program = &assembly->program;
    machine_tsp1(&assembly->program.machine);
    enum takt_status status = read_lines(a);
    if (status == TAKT_OK) {
        status = finish(a, assembly);
    }
    base_text_free(&a->words);
    base_text_free(&a->blocks);
    base_text_free(&a->segments);
    base_text_free(&a->data);
    base_text_free(&a->expected_data);
    base_text_free(&a->expectations);
    base_text_free(&a->bindings);
    base_text_free(&a->parameters);
    base_text_free(&a->cables);
    base_text_free(&a->upsets);
    free(a->written);
    free(a);
    return status;
}
