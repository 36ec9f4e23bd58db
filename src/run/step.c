/*
 * One step on the chip: inputs into memory, the program, logits out. compile/compile.h says what
 * each binding holds; everything here is data movement but for the rotary angles (graph_rope).
 */
#include "run/run.h"

#include "isa/isa.h"
#include "num/num.h"

#include <string.h>

struct step {
    struct takt_session *session;
    const struct run_program *program;
    const struct run_row *rows; /* [chunk] */
    uint32_t last;              /* the last that is active */
    uint32_t lanes;
};

/* The row that token m of the program is. Waves after the last that has active rows do what that
 * one does: the rows of K that it keeps, and its logits, are then theirs too. */
static uint32_t row_of(const struct step *step, uint32_t m)
{
    const uint32_t wave = step->program->wave, begin = step->last / wave * wave;
    return m < begin + wave ? m : begin + m % wave;
}

/* Writes staging.elements as one item of a binding, split into byte planes row by row. */
static void write_item(const struct step *step, const struct program_binding *binding,
                       uint32_t item)
{
    struct run_staging *staging = &step->session->staging;
    const uint32_t bytes = binding->element_bytes;
    for (uint32_t row = 0; row < binding->rows; row++) {
        const int32_t *source = binding->source + (size_t)row * step->lanes;
        for (uint32_t lane = 0; lane < step->lanes; lane++) {
            const uint32_t bits = source[lane] >= 0 ? staging->elements[source[lane]] : 0;
            for (uint32_t b = 0; b < bytes; b++) {
                staging->planes[b][lane] = (uint8_t)(bits >> (8 * b));
            }
        }
        const struct program_place *places =
            binding->places + ((size_t)item * binding->rows + row) * bytes;
        for (uint32_t b = 0; b < bytes; b++) {
            chip_write_word(step->session->chip, places[b], staging->planes[b]);
        }
    }
}

static void write_zeros(const struct step *step, const struct program_binding *binding,
                        uint32_t item)
{
    memset(step->session->staging.elements, 0, binding->elements * sizeof(uint32_t));
    write_item(step, binding, item);
}

/* Sets a map's entry for one superlane: 16 bits, little-endian, in its lanes 0 and 1. */
static void map_set(const struct step *step, uint32_t superlane, uint32_t value)
{
    uint32_t *lane = step->session->staging.elements + superlane * MACHINE_LANES_PER_SUPERLANE;
    lane[0] = value & 0xFF;
    lane[1] = value >> 8;
}

static void map_fill(const struct step *step, uint32_t value)
{
    BASE_ASSERT(value <= ISA_SKIP);
    memset(step->session->staging.elements, 0, step->lanes * sizeof(uint32_t));
    for (uint32_t s = 0; s < step->lanes / MACHINE_LANES_PER_SUPERLANE; s++) {
        map_set(step, s, value);
    }
}

static void write_map(const struct step *step, const struct program_binding *binding, uint32_t item,
                      uint32_t value)
{
    map_fill(step, value);
    write_item(step, binding, item);
}

static void write_embedding(const struct step *step, uint32_t m)
{
    struct run_staging *staging = &step->session->staging;
    const uint32_t token = step->rows[row_of(step, m)].token;
    graph_embedding(&step->session->engine->graph, token, staging->row);
    for (uint32_t i = 0; i < step->program->x->elements; i++) {
        staging->elements[i] = num_bits(staging->row[i]);
    }
    write_item(step, step->program->x, m);
}

static void write_rope(const struct step *step, uint32_t table, uint32_t m)
{
    const struct graph *graph = &step->session->engine->graph;
    uint32_t *elements = step->session->staging.elements;
    uint32_t *sines = elements + graph->head_dim;
    const uint32_t position = step->rows[row_of(step, m)].position;
    for (uint32_t pair = 0; pair < graph->head_dim / 2; pair++) {
        float cosine, sine;
        graph_rope(graph, table, pair, position, &cosine, &sine);
        elements[2 * pair] = elements[2 * pair + 1] = num_bits(cosine);
        sines[2 * pair] = num_bits(-sine);
        sines[2 * pair + 1] = num_bits(sine);
    }
    write_item(step, step->program->rope_cos[table], m);
    memmove(elements, sines, graph->head_dim * sizeof *elements);
    write_item(step, step->program->rope_sin[table], m);
}

/* Of the layers that have a window, which is one length in all of them (plan.c). */
static uint32_t first_in_window(const struct graph *graph, uint32_t position)
{
    uint32_t first = 0;
    for (uint32_t i = 0; i < graph->op_count; i++) {
        if (graph->ops[i].kind == GRAPH_ATTENTION) {
            first = BASE_MAX(first, graph_first_position(&graph->ops[i], position));
        }
    }
    return first;
}

/* Padding tokens see what the last real token sees, so that no softmax is empty. */
static void write_mask(const struct step *step, uint32_t m)
{
    const struct run_program *program = step->program;
    const uint32_t row = row_of(step, m);
    const uint32_t position = step->rows[step->rows[row].active ? row : step->last].position;
    const uint32_t end = program->own ? position : position + 1;
    uint32_t *elements = step->session->staging.elements;
    for (uint32_t i = 0; i < program->mask->elements; i++) {
        elements[i] = i < end ? 1 : 0;
    }
    write_item(step, program->mask, m);
    if (program->mask_window) {
        const uint32_t first = first_in_window(&step->session->engine->graph, position);
        for (uint32_t i = 0; i < first && i < program->mask_window->elements; i++) {
            elements[i] = 0;
        }
        write_item(step, program->mask_window, m);
    }
    for (uint32_t i = 0; program->own && i < program->own->elements; i++) {
        elements[i] = i == position ? 1 : 0;
    }
    if (program->own) {
        write_item(step, program->own, m);
    }
}

/* Where token m's K and V go: the one of sixteen slots that its position's remainder names. */
static void write_token_maps(const struct step *step, uint32_t m)
{
    const struct run_program *program = step->program;
    const uint32_t position = step->rows[m].position;
    const uint32_t block = position / 16;
    for (uint32_t j = 0; j < 16; j++) {
        const bool here = step->rows[m].active && position % 16 == j;
        write_map(step, program->v_map, m * 16 + j, here ? block : ISA_SKIP);
        write_map(step, program->k_map, m * 16 + j,
                  here ? (block % program->row_ring) * program->k_groups : ISA_SKIP);
    }
}

static void write_block_maps(const struct step *step)
{
    const struct run_program *program = step->program;
    const uint32_t superlanes = step->lanes / MACHINE_LANES_PER_SUPERLANE;
    const uint32_t last = step->rows[step->last].position / 16;
    const bool joint = program->step.users > 1; /* then block b is user b's */
    for (uint32_t b = 0; b < program->blocks; b++) {
        const uint32_t block =
            joint ? step->rows[b].position / 16 : step->rows[0].position / 16 + b;
        const bool here = joint ? step->rows[b].active : block <= last;
        if (program->k_keep_map) {
            write_map(step, program->v_map, b, here ? block : ISA_SKIP);
        } else {
            write_map(step, program->k_read_map, b,
                      here ? (block % program->row_ring) * program->k_groups : ISA_SKIP);
        }
        map_fill(step, ISA_SKIP);
        if (here) {
            const uint32_t address = (block / superlanes) * program->k_groups;
            BASE_ASSERT(address < ISA_SKIP);
            map_set(step, block % superlanes, address);
        }
        write_item(step, program->k_write_map, b);
    }
    for (uint32_t w = 0; program->k_keep_map && w < program->k_keep_map->items; w++) {
        const uint32_t first = step->rows[row_of(step, w * program->wave)].position / 16;
        const uint32_t kept = BASE_MIN(last, first + program->wave / 16 - 1);
        write_map(step, program->k_keep_map, w, (kept - first) * program->k_groups);
    }
}

static void write_inputs(const struct step *step)
{
    const struct run_program *program = step->program;
    for (uint32_t m = 0; m < program->chunk; m++) {
        const bool active = step->rows[row_of(step, m)].active;
        if (active) {
            write_embedding(step, m);
        } else {
            write_zeros(step, program->x, m);
        }
        for (uint32_t i = 0; i < MODEL_ROPES_MAX && program->rope_cos[i]; i++) {
            if (active) {
                write_rope(step, i, m);
            } else {
                write_zeros(step, program->rope_cos[i], m);
                write_zeros(step, program->rope_sin[i], m);
            }
        }
        write_mask(step, m);
        if (!program->k_keep_map) {
            write_token_maps(step, m);
        }
    }
    write_block_maps(step);
    if (program->row_map) {
        write_map(step, program->row_map, 0, step->last % program->wave);
    }
}

void run_step_logits(struct takt_session *session, const struct run_program *program, uint32_t row,
                     float *logits)
{
    struct run_staging *staging = &session->staging;
    const struct program_binding *binding = program->logits;
    const uint32_t lanes = machine_lanes(&program->program->machine);
    for (uint32_t piece = 0; piece < binding->rows; piece++) {
        const struct program_place *places =
            binding->places + ((size_t)row * binding->rows + piece) * 4;
        const int32_t *source = binding->source + (size_t)piece * lanes;
        for (uint32_t b = 0; b < 4; b++) {
            chip_read_word(session->chip, places[b], staging->planes[b]);
        }
        for (uint32_t lane = 0; lane < lanes; lane++) {
            if (source[lane] >= 0) {
                logits[source[lane]] = num_float((uint32_t)staging->planes[0][lane] |
                                                 (uint32_t)staging->planes[1][lane] << 8 |
                                                 (uint32_t)staging->planes[2][lane] << 16 |
                                                 (uint32_t)staging->planes[3][lane] << 24);
            }
        }
    }
}

enum takt_status run_step(struct takt_session *session, const struct run_program *program,
                          const struct run_row *rows, uint64_t *cycles, struct takt_error *error)
{
    struct step step = {.session = session,
                        .program = program,
                        .rows = rows,
                        .last = UINT32_MAX,
                        .lanes = machine_lanes(&program->program->machine)};
    for (uint32_t m = 0; m < program->chunk; m++) {
        BASE_ASSERT(!rows[m].active || rows[m].position < program->bucket);
        step.last = rows[m].active ? m : step.last;
    }
    BASE_ASSERT(step.last != UINT32_MAX);
    if (session->shared->loaded !=
        program) { /* before the inputs: another program's are elsewhere */
        chip_load_text(session->chip, program->text);
        session->shared->loaded = program;
    }
    write_inputs(&step);
    const enum takt_status status = chip_run(session->chip, program->text, cycles, error);
    if (status == TAKT_OK && *cycles != program->program->cycles) {
        return base_fail(error, TAKT_FAULT,
                         "a step of %u tokens at context %u took %llu cycles, compiled for %llu: "
                         "compiler and machine disagree",
                         program->chunk, program->bucket, (unsigned long long)*cycles,
                         (unsigned long long)program->program->cycles);
    }
    return status;
}

enum takt_status run_step_chunk(struct takt_session *session, const struct run_program *program,
                                const uint32_t *tokens, uint32_t count, uint32_t start,
                                float *logits, uint64_t *cycles, struct takt_error *error)
{
    struct run_row rows[RUN_CHUNK_MAX];
    const uint32_t again = program->k_keep_map ? start % 16 : 0;
    BASE_ASSERT(count >= 1 && again + count <= program->chunk && program->chunk <= RUN_CHUNK_MAX);
    for (uint32_t m = 0; m < program->chunk; m++) {
        const bool active = m < again + count;
        const uint32_t token = m < again ? session->tokens[start - again + m]
                               : active  ? tokens[m - again]
                                         : 0;
        rows[m] = (struct run_row){active, token, start - again + m};
    }
    const enum takt_status status = run_step(session, program, rows, cycles, error);
    const uint32_t given = logits == NULL ? 0 : program->all_logits ? count : 1;
    for (uint32_t i = 0; status == TAKT_OK && i < given; i++) {
        run_step_logits(session, program, program->all_logits ? again + i : 0,
                        logits + (size_t)i * session->engine->graph.vocab);
    }
    return status;
}

struct run_part run_step_part(const struct takt_engine *engine, bool all, uint32_t start,
                              size_t count)
{
    const uint32_t chunk = all ? compile_logits_chunk(engine->plan) : engine->chip_chunk;
    if (count == 1) {
        return (struct run_part){1, 1};
    }
    const uint32_t room = compile_aligned(chunk) ? chunk - start % 16 : chunk;
    const uint32_t tokens = (uint32_t)BASE_MIN(count, room);
    return (struct run_part){tokens, tokens == 1 ? 1 : chunk};
}
