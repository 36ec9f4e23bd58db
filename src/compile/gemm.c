/*
 * GEMM in the fp16 mode, as a regular schedule.
 *
 * A part of the work is a run of vectors through tiles of weights, `lanes` by `lanes`. There are
 * two kinds. In one the weights are rows of C (A is installed, columns of X are the vectors), in
 * the other they are columns of C (X is installed, rows of A are the vectors). The second leaves no
 * column of a plane idle where it takes whole multiples of `lanes` columns of C; the first takes
 * the rest of them, and in it the columns idle that M does not fill. The hemispheres share nothing:
 * each has tiles of the second kind and columns of the first, so many that both are done at once.
 *
 * Vectors go in blocks of at most as many as there are fp16 accumulators; a block meets the tiles
 * of one group of weights after another; a tile in two halves, a vector a cycle. So a sum stays in
 * its accumulator over all of K and is rounded once. While a block meets a tile, the next tile is
 * loaded on sixteen streams, plane 0's bytes, then plane 1's; sums leave while the next group
 * begins. docs/COMPILER.md has the arithmetic.
 */
#include "compile/standalone.h"

#include <string.h>

#define WEIGHT_SLICES 16u
#define WEIGHT_STREAM 0u
#define VECTOR_STREAM 16u /* two */
#define RESULT_STREAM 0u  /* four, inward */
#define FETCH_CYCLES                                                                               \
    4u /* two Ifetches: a group, for slices of vectors and others that never rest */
#define ARENA_BYTES ((size_t)512 << 20)
#define SHELVES_MAX 64u

enum kind { BY_ROWS, BY_COLUMNS, KINDS }; /* of C: what a tile's columns are */

struct part {
    uint32_t groups;  /* of weights, `lanes` columns each; 0: nothing to do */
    uint32_t vectors; /* that meet each */
    uint32_t first;   /* by rows: of the vectors that are left, this hemisphere's first */
    uint32_t block;   /* most vectors at a time */
    uint32_t weights; /* address of the first tile, in every slice of weights */
    /* Words of the first vector, slices of the hemisphere: the first of two for each tile of K, the
     * first of four for each group. */
    struct program_place *inputs, *results;
};

struct gemm {
    struct compile_standalone *out;
    const struct machine *machine;
    uint32_t m, k, n;
    uint32_t lanes;
    uint32_t tiles;              /* of K, `lanes` each */
    uint32_t by_columns;         /* columns of C that are computed by columns: the first */
    uint32_t weight_slice;       /* first of sixteen, of a hemisphere */
    struct part parts[2][KINDS]; /* of each hemisphere */
};

static uint32_t divide_up(uint32_t a, uint32_t b)
{
    return (a + b - 1) / b;
}

/* Rows of the tile in groups of sixteen, as one LW loads. */
static uint32_t row_groups(const struct gemm *g, uint32_t tile)
{
    return divide_up(BASE_MIN(g->lanes, g->k - tile * g->lanes), MACHINE_WEIGHT_ROWS);
}

/* Words of a group's tiles in each slice of weights: each tile has two bytes of its row groups. */
static uint32_t group_words(const struct gemm *g)
{
    const uint32_t whole = 2 * divide_up(g->lanes, MACHINE_WEIGHT_ROWS);
    return (g->tiles - 1) * whole + 2 * row_groups(g, g->tiles - 1);
}

static uint32_t tile_address(const struct gemm *g, const struct part *part, uint32_t group,
                             uint32_t tile)
{
    return part->weights + group * group_words(g) +
           tile * 2 * divide_up(g->lanes, MACHINE_WEIGHT_ROWS);
}

/* ---- who does what --------------------------------------------------------------------------- */

/* Gives each hemisphere its work, `wide` groups of columns of C among it; returns the vectors
 * times groups of the one that has more. */
static uint64_t divide_work(struct gemm *g, uint32_t wide)
{
    const uint32_t groups = divide_up(g->m, g->lanes), west = divide_up(wide, 2);
    const uint32_t rest = g->n - wide * g->lanes; /* columns of C, by rows */
    /* The east is given so much more of the rest as it has less of the wide groups. */
    const uint64_t ahead = (uint64_t)(2 * west - wide) * g->m / groups;
    const uint32_t east = (uint32_t)BASE_MIN((rest + ahead) / 2, (uint64_t)rest);
    uint64_t most = 0;
    g->by_columns = wide * g->lanes;
    for (uint32_t h = 0; h < 2; h++) {
        struct part *rows = &g->parts[h][BY_ROWS], *columns = &g->parts[h][BY_COLUMNS];
        *rows = (struct part){.vectors = h == MACHINE_WEST ? rest - east : east,
                              .first = h == MACHINE_WEST ? 0 : rest - east};
        rows->groups = rows->vectors > 0 ? groups : 0;
        *columns = (struct part){.groups = h == MACHINE_WEST ? west : wide - west, .vectors = g->m};
        const uint64_t work =
            (uint64_t)rows->groups * rows->vectors + (uint64_t)columns->groups * columns->vectors;
        most = BASE_MAX(most, work);
    }
    return most;
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* Some slices side by side, filled from address 0. */
struct shelves {
    uint32_t used[SHELVES_MAX], count;
};

/* Room for so many words: the first shelf that has it. */
static bool take(struct shelves *shelves, uint32_t words, uint32_t capacity, uint32_t width,
                 struct program_place *place)
{
    uint32_t s = 0;
    while (s < shelves->count && shelves->used[s] + words > capacity) {
        s++;
    }
    if (s == SHELVES_MAX || words > capacity) {
        return false;
    }
    shelves->count = BASE_MAX(shelves->count, s + 1);
    *place = (struct program_place){(uint16_t)(s * width), (uint16_t)shelves->used[s]};
    shelves->used[s] += words;
    return true;
}

/* Results nearest to the VXM, then vectors, then what sends text, then weights. */
static bool lay_out_side(struct gemm *g, uint32_t hemisphere)
{
    const struct machine *machine = g->machine;
    struct shelves inputs = {{0}, 0}, results = {{0}, 0};
    uint32_t weights = 0;
    bool fits = true;
    for (int kind = KINDS - 1; kind >= 0; kind--) {
        struct part *part = &g->parts[hemisphere][kind];
        if (part->groups == 0) {
            continue;
        }
        part->block =
            divide_up(part->vectors, divide_up(part->vectors, machine->mxm_accumulators / 2));
        part->weights = weights;
        weights += part->groups * group_words(g);
        part->inputs = BASE_NEW(&g->out->arena, struct program_place, g->tiles);
        part->results = BASE_NEW(&g->out->arena, struct program_place, part->groups);
        for (uint32_t i = 0; i < g->tiles && fits; i++) {
            fits = take(&inputs, part->vectors, machine->mem_words, 2, &part->inputs[i]);
        }
        for (uint32_t i = 0; i < part->groups && fits; i++) {
            fits = take(&results, part->vectors, machine->mem_words, 4, &part->results[i]);
        }
    }
    for (uint32_t kind = 0; kind < KINDS && fits; kind++) {
        const struct part *part = &g->parts[hemisphere][kind];
        for (uint32_t i = 0; part->groups > 0 && i < g->tiles; i++) {
            part->inputs[i].slice = (uint16_t)(part->inputs[i].slice + 4 * results.count);
        }
    }
    const uint32_t senders = machine->icu_buffer_blocks > 0 ? 1 + MACHINE_SLICES_PER_POSITION : 0;
    return fits && weights <= machine->mem_words &&
           4 * results.count + 2 * inputs.count + senders + WEIGHT_SLICES <= machine->mem_slices;
}

/* The division of work that is done first, of those that fit the memory. */
static enum takt_status lay_out(struct gemm *g, struct takt_error *error)
{
    const uint32_t most = g->n / g->lanes; /* wide groups */
    bool found = false;
    uint64_t best = UINT64_MAX;
    uint32_t best_wide = 0;
    for (uint32_t wide = 0; wide <= most; wide++) {
        const uint64_t work = divide_work(g, wide);
        if (work < best && lay_out_side(g, MACHINE_WEST) && lay_out_side(g, MACHINE_EAST)) {
            best = work;
            best_wide = wide;
            found = true;
        }
    }
    if (!found) {
        return base_fail(error, TAKT_LIMIT, "gemm %u x %u x %u does not fit the memory of \"%s\"",
                         g->m, g->k, g->n, g->machine->name);
    }
    (void)divide_work(g, best_wide);
    found = lay_out_side(g, MACHINE_WEST) && lay_out_side(g, MACHINE_EAST);
    BASE_ASSERT(found);
    return TAKT_OK;
}

/* ---- bindings -------------------------------------------------------------------------------- */

/* Element (row % groups) * lanes + lane, where there is one. */
static void fill_source(struct program_binding *binding, uint32_t groups, uint32_t lanes)
{
    for (uint32_t i = 0; i < binding->rows * lanes; i++) {
        const uint32_t element = i % (groups * lanes);
        binding->source[i] = element < binding->elements ? (int32_t)element : -1;
    }
}

static struct program_place at(const struct gemm *g, uint32_t hemisphere, uint32_t slice,
                               uint32_t address)
{
    return (struct program_place){(uint16_t)(hemisphere * g->machine->mem_slices + slice),
                                  (uint16_t)address};
}

/* A by rows is in both hemispheres, X by columns where its tiles are used. Item k is a row of K. */
static void bind_weights(struct gemm *g, enum kind kind, const char *name, uint32_t elements)
{
    uint32_t rows = 0, groups = 0;
    for (uint32_t h = 0; h < 2; h++) {
        rows += g->parts[h][kind].groups;
        groups = kind == BY_ROWS ? BASE_MAX(groups, g->parts[h][kind].groups) : rows;
    }
    if (rows == 0) {
        return;
    }
    struct program_binding *b = standalone_binding(g->out, name, false, 2, g->k, rows, elements);
    struct program_place *place = b->places;
    fill_source(b, groups, g->lanes);
    for (uint32_t k = 0; k < g->k; k++) {
        const uint32_t tile = k / g->lanes, row = k % g->lanes;
        for (uint32_t h = 0; h < 2; h++) {
            const struct part *part = &g->parts[h][kind];
            for (uint32_t i = 0; i < 2 * part->groups; i++) {
                *place++ = at(g, h, g->weight_slice + row % MACHINE_WEIGHT_ROWS,
                              tile_address(g, part, i / 2, tile) + i % 2 * row_groups(g, tile) +
                                  row / MACHINE_WEIGHT_ROWS);
            }
        }
    }
}

/* Vectors of X by rows are in one hemisphere, rows of A by columns wherever they are needed. */
static void bind_vectors(struct gemm *g, enum kind kind, const char *name, uint32_t items)
{
    uint32_t copies = 0;
    for (uint32_t h = 0; h < 2; h++) {
        copies += g->parts[h][kind].groups > 0;
    }
    copies = kind == BY_ROWS ? 1 : copies;
    if (items == 0 || copies == 0) {
        return;
    }
    struct program_binding *b =
        standalone_binding(g->out, name, false, 2, items, copies * g->tiles, g->k);
    struct program_place *place = b->places;
    fill_source(b, g->tiles, g->lanes);
    for (uint32_t item = 0; item < items; item++) {
        for (uint32_t h = 0; h < 2; h++) {
            const struct part *part = &g->parts[h][kind];
            const uint32_t first = kind == BY_ROWS ? part->first : 0;
            if (part->groups == 0 || item < first || item - first >= part->vectors) {
                continue;
            }
            for (uint32_t i = 0; i < 2 * g->tiles; i++) {
                *place++ = at(g, h, part->inputs[i / 2].slice + i % 2,
                              part->inputs[i / 2].address + item - first);
            }
        }
    }
}

static void bind_results(struct gemm *g, enum kind kind, const char *name, uint32_t items,
                         uint32_t elements)
{
    const uint32_t rows = divide_up(elements, g->lanes);
    if (items == 0 || elements == 0) {
        return;
    }
    struct program_binding *b = standalone_binding(g->out, name, true, 4, items, rows, elements);
    struct program_place *place = b->places;
    fill_source(b, rows, g->lanes);
    for (uint32_t item = 0; item < items; item++) {
        for (uint32_t h = 0; h < 2; h++) {
            const struct part *part = &g->parts[h][kind];
            const uint32_t first = kind == BY_ROWS ? part->first : 0;
            if (part->groups == 0 || item < first || item - first >= part->vectors) {
                continue;
            }
            for (uint32_t i = 0; i < 4 * part->groups; i++) {
                *place++ = at(g, h, part->results[i / 4].slice + i % 4,
                              part->results[i / 4].address + item - first);
            }
        }
    }
}

static void bind_all(struct gemm *g)
{
    const uint32_t rest = g->n - g->by_columns;
    bind_weights(g, BY_ROWS, "a", g->m);
    bind_vectors(g, BY_COLUMNS, "a.rows", g->m);
    bind_vectors(g, BY_ROWS, "x", rest);
    bind_weights(g, BY_COLUMNS, "x.rows", g->by_columns);
    bind_results(g, BY_ROWS, "c", rest, g->m);
    bind_results(g, BY_COLUMNS, "c.rows", g->m, g->by_columns);
}

/* ---- time ------------------------------------------------------------------------------------ */

/* One hemisphere's units and where its schedule stands. */
struct side {
    uint32_t hemisphere, position;
    uint32_t slices;    /* of the hemisphere: the first */
    uint32_t load_next; /* first cycle in which LW may issue */
    uint32_t multiply_next;
    bool west;
};

static uint32_t mxm_queue(const struct gemm *g, const struct side *s, uint32_t plane,
                          enum isa_unit unit)
{
    return machine_queue_mxm(g->machine, s->hemisphere, plane, unit);
}

/* Loads a tile into both planes and installs it; returns the first cycle that meets it. */
static uint32_t install_tile(const struct gemm *g, struct side *s, const struct part *part,
                             uint32_t group, uint32_t tile)
{
    const uint32_t rows = row_groups(g, tile), address = tile_address(g, part, group, tile);
    const uint8_t stream = ISA_STREAM(s->west, WEIGHT_STREAM);
    uint32_t cycle = s->load_next;
    for (uint32_t i = 0; i < WEIGHT_SLICES; i++) {
        standalone_read(g->out, s->slices + g->weight_slice + i, address, (uint8_t)(stream + i),
                        s->position, (struct standalone_run){cycle, 2 * rows, 1, 1});
    }
    for (uint32_t plane = 0; plane < 2; plane++, cycle += rows) {
        standalone_put(g->out, mxm_queue(g, s, plane, ISA_UNIT_MXM_WEIGHTS),
                       (struct standalone_run){cycle, rows, 1, 1},
                       (struct isa_instruction){.op = ISA_LW, .a = stream});
    }
    /* The tile in use must have met its last vector. */
    const uint32_t install = g->machine->mxm_install_cycles;
    cycle = BASE_MAX(cycle, s->multiply_next >= install ? s->multiply_next - install : 0);
    for (uint32_t plane = 0; plane < 2; plane++) {
        standalone_put(g->out, mxm_queue(g, s, plane, ISA_UNIT_MXM_WEIGHTS), standalone_once(cycle),
                       (struct isa_instruction){.op = ISA_IW});
    }
    s->load_next = cycle + 1;
    return cycle + install;
}

/* A block of vectors and what it meets. */
struct meeting {
    const struct part *part;
    uint32_t group, tile, half;
    uint32_t first, count; /* vectors */
};

/* The block's vectors meet half a tile; what comes of it is kept, or leaves. */
static void multiply(const struct gemm *g, const struct side *s, uint32_t cycle,
                     const struct meeting *at)
{
    const struct machine *machine = g->machine;
    const uint32_t tile = at->tile, half = at->half, count = at->count;
    const struct program_place input = at->part->inputs[tile];
    const struct program_place result = at->part->results[at->group];
    const struct standalone_run run = {cycle, count, 1, 1};
    const uint8_t vector = ISA_STREAM(s->west, VECTOR_STREAM);
    for (uint32_t byte = 0; byte < 2; byte++) {
        standalone_read(g->out, s->slices + input.slice + byte, input.address + at->first,
                        (uint8_t)(vector + byte), s->position, run);
    }
    standalone_put(
        g->out, mxm_queue(g, s, 0, ISA_UNIT_MXM_ACTIVATIONS),
        (struct standalone_run){cycle, count, 1, 0},
        (struct isa_instruction){.op = ISA_ABC_F16, .address = (uint16_t)half, .a = vector});
    const bool begins = tile == 0 && half == 0;
    const bool ends = tile + 1 == g->tiles && (half == 1 || g->k - tile * g->lanes <= g->lanes / 2);
    struct isa_instruction take = {.op = ISA_ACC_ADD};
    take.op = begins && ends ? ISA_ACC_PASS : begins ? ISA_ACC_SET : ends ? ISA_ACC_OUT : take.op;
    take.d = ends ? ISA_STREAM(!s->west, RESULT_STREAM) : 0;
    const uint32_t arrives = cycle + machine->mxm_result_cycles;
    standalone_put(g->out, mxm_queue(g, s, 0, ISA_UNIT_MXM_RESULTS),
                   (struct standalone_run){arrives, count, 1, begins && ends ? 0 : 1}, take);
    for (uint32_t byte = 0; ends && byte < 4; byte++) {
        standalone_write(g->out, s->slices + result.slice + byte, result.address + at->first,
                         (uint8_t)(take.d + byte), s->position,
                         (struct standalone_run){arrives + machine->mxm_emit_cycles, count, 1, 1});
    }
}

static void schedule_part(const struct gemm *g, struct side *s, const struct part *part)
{
    struct meeting at = {.part = part};
    for (at.first = 0; at.first < part->vectors && part->groups > 0; at.first += part->block) {
        at.count = BASE_MIN(part->block, part->vectors - at.first);
        for (at.group = 0; at.group < part->groups; at.group++) {
            s->multiply_next += g->machine->icu_buffer_blocks > 0 ? FETCH_CYCLES : 0;
            for (at.tile = 0; at.tile < g->tiles; at.tile++) {
                uint32_t cycle = install_tile(g, s, part, at.group, at.tile);
                const uint32_t halves = g->k - at.tile * g->lanes > g->lanes / 2 ? 2 : 1;
                for (at.half = 0; at.half < halves; at.half++, cycle += at.count) {
                    multiply(g, s, cycle, &at);
                }
                s->multiply_next = cycle;
            }
        }
    }
}

static void schedule_side(const struct gemm *g, uint32_t hemisphere)
{
    const uint32_t slices = hemisphere * g->machine->mem_slices;
    struct side s = {hemisphere, machine_mxm_position(g->machine, hemisphere),
                     slices,     0,
                     0,          hemisphere == MACHINE_WEST};
    s.load_next = standalone_read_cycles(g->machine, slices + g->weight_slice, s.position);
    s.multiply_next = standalone_read_cycles(g->machine, slices, s.position);
    schedule_part(g, &s, &g->parts[hemisphere][BY_COLUMNS]);
    schedule_part(g, &s, &g->parts[hemisphere][BY_ROWS]);
}

enum takt_status compile_gemm(struct compile_standalone **gemm, const struct machine *machine,
                              uint32_t m, uint32_t k, uint32_t n, struct takt_error *error)
{
    struct gemm g = {.machine = machine, .m = m, .k = k, .n = n};
    *gemm = NULL;
    if (m == 0 || k == 0 || n == 0 || m > 65535 || k > 32800 || n > 65535) {
        return base_fail(error, TAKT_LIMIT,
                         "gemm %u x %u x %u: sizes are 1 to 65535, and K, whose sum must fit the "
                         "accumulators, 1 to 32800",
                         m, k, n);
    }
    g.lanes = machine_lanes(machine);
    g.tiles = divide_up(k, g.lanes);
    g.weight_slice = machine->mem_slices - WEIGHT_SLICES;
    enum takt_status status = standalone_create(&g.out, machine, ARENA_BYTES, error);
    if (status != TAKT_OK) {
        return status;
    }
    status = lay_out(&g, error);
    if (status == TAKT_OK) {
        bind_all(&g);
        schedule_side(&g, MACHINE_WEST);
        schedule_side(&g, MACHINE_EAST);
        status = standalone_finish(g.out, g.weight_slice - 1, error);
    }
    if (status != TAKT_OK) {
        compile_standalone_destroy(g.out);
        return status;
    }
    *gemm = g.out;
    return TAKT_OK;
}

uint64_t compile_gemm_bound(const struct machine *machine, uint32_t m, uint32_t k, uint32_t n)
{
    const uint64_t lanes = machine_lanes(machine), peak = 2 * (lanes / 2) * lanes;
    return ((uint64_t)m * k * n + peak - 1) / peak;
}
