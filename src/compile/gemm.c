/*
 * GEMM in the fp16 mode, as a regular schedule.
 *
 * Weights are A: columns of a tile are rows of C. The hemispheres share nothing: each holds all of
 * A and computes half of the columns of C. A hemisphere goes through its columns of C in blocks of
 * at most as many as it has fp16 accumulators; for a block, through the tiles of A (320 by 320) of
 * one group of 320 rows of C after another; for a tile, through its two halves, a vector a cycle.
 * So a sum stays in its accumulator over all of K and is rounded once. While a block's vectors
 * meet a tile, the next tile is loaded on sixteen streams, plane 0's bytes, then plane 1's; sums
 * leave while the next group begins. docs/COMPILER.md has the arithmetic.
 */
#include "compile/standalone.h"

#include <string.h>

#define WEIGHT_SLICES 16u
#define WEIGHT_STREAM 0u
#define VECTOR_STREAM 16u /* two */
#define RESULT_STREAM 0u  /* four, inward */
#define FETCH_CYCLES 4u   /* two Ifetches: a group, for slices of x and others that never rest */
#define ARENA_BYTES ((size_t)512 << 20)

struct gemm {
    struct compile_standalone *out;
    const struct machine *machine;
    uint32_t m, k, n;
    uint32_t lanes;
    uint32_t groups;            /* of rows of C, `lanes` each */
    uint32_t tiles;             /* of K, `lanes` each */
    uint32_t columns;           /* of C, a hemisphere: half, rounded up */
    uint32_t block;             /* most columns at a time */
    uint32_t x_slice, x_tiles;  /* first slice of x; tiles a pair of slices holds */
    uint32_t c_slice, c_groups; /* first slice of C; groups four slices hold */
    uint32_t a_slice;
    uint32_t sender; /* of text: the slice inside of A's; with it goes one a position farther in */
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

/* Words of the tiles before, in each slice of A: each tile has two bytes of its row groups. */
static uint32_t tile_address(const struct gemm *g, uint32_t group, uint32_t tile)
{
    const uint32_t whole = 2 * divide_up(g->lanes, MACHINE_WEIGHT_ROWS);
    const uint32_t of_group = (g->tiles - 1) * whole + 2 * row_groups(g, g->tiles - 1);
    return group * of_group + tile * whole;
}

static uint32_t x_place(const struct gemm *g, uint32_t tile, uint32_t byte)
{
    return g->x_slice + 2 * (tile / g->x_tiles) + byte;
}

static uint32_t c_place(const struct gemm *g, uint32_t group, uint32_t byte)
{
    return g->c_slice + 4 * (group / g->c_groups) + byte;
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* C nearest to the VXM, then x, then A: what is written lies behind what is read. */
static enum takt_status lay_out(struct gemm *g, struct takt_error *error)
{
    const struct machine *machine = g->machine;
    if (g->m == 0 || g->k == 0 || g->n == 0 || g->m > 65535 || g->k > 32800 || g->n > 65535) {
        return base_fail(error, TAKT_LIMIT,
                         "gemm %u x %u x %u: sizes are 1 to 65535, and K, whose sum must fit the "
                         "accumulators, 1 to 32800",
                         g->m, g->k, g->n);
    }
    g->lanes = machine_lanes(machine);
    g->groups = divide_up(g->m, g->lanes);
    g->tiles = divide_up(g->k, g->lanes);
    g->columns = divide_up(g->n, 2);
    const uint32_t blocks = divide_up(g->columns, machine->mxm_accumulators / 2);
    g->block = divide_up(g->columns, blocks);
    g->x_tiles = g->c_groups = machine->mem_words / g->columns;
    const bool columns_fit = g->columns <= machine->mem_words;
    const uint32_t senders = machine->icu_buffer_blocks > 0 ? 1 + MACHINE_SLICES_PER_POSITION : 0;
    const uint32_t needed = !columns_fit
                                ? 0
                                : 4 * divide_up(g->groups, g->c_groups) +
                                      2 * divide_up(g->tiles, g->x_tiles) + WEIGHT_SLICES + senders;
    if (!columns_fit || needed > machine->mem_slices ||
        tile_address(g, g->groups, 0) > machine->mem_words) {
        return base_fail(
            error, TAKT_LIMIT,
            "gemm %u x %u x %u: %u slices of %u a hemisphere, %u words of A in a slice "
            "of %u",
            g->m, g->k, g->n, needed, machine->mem_slices, tile_address(g, g->groups, 0),
            machine->mem_words);
    }
    g->c_slice = 0;
    g->x_slice = g->c_slice + 4 * divide_up(g->groups, g->c_groups);
    g->a_slice = machine->mem_slices - WEIGHT_SLICES;
    g->sender = g->a_slice - 1; /* where nothing needs it, no slice */
    return TAKT_OK;
}

static void fill_source(struct program_binding *binding, uint32_t lanes)
{
    for (uint32_t i = 0; i < binding->rows * lanes; i++) {
        binding->source[i] = i < binding->elements ? (int32_t)i : -1;
    }
}

static void bind_a(struct gemm *g)
{
    const uint32_t slices = g->machine->mem_slices, rows = 2 * g->groups;
    struct program_binding *a = standalone_binding(g->out, "a", false, 2, g->k, rows, g->m);
    for (uint32_t i = 0; i < rows * g->lanes; i++) { /* each hemisphere has all of it */
        const uint32_t element = i % (g->groups * g->lanes);
        a->source[i] = element < g->m ? (int32_t)element : -1;
    }
    struct program_place *place = a->places;
    for (uint32_t k = 0; k < g->k; k++) {
        const uint32_t tile = k / g->lanes, row = k % g->lanes;
        for (uint32_t r = 0; r < rows; r++) {
            for (uint32_t byte = 0; byte < 2; byte++, place++) {
                const uint32_t slice =
                    r / g->groups * slices + g->a_slice + row % MACHINE_WEIGHT_ROWS;
                place->slice = (uint16_t)slice;
                place->address = (uint16_t)(tile_address(g, r % g->groups, tile) +
                                            byte * row_groups(g, tile) + row / MACHINE_WEIGHT_ROWS);
            }
        }
    }
}

static void bind_x_and_c(struct gemm *g)
{
    struct program_binding *x = standalone_binding(g->out, "x", false, 2, g->n, g->tiles, g->k);
    struct program_binding *c = standalone_binding(g->out, "c", true, 4, g->n, g->groups, g->m);
    fill_source(x, g->lanes);
    fill_source(c, g->lanes);
    struct program_place *place = x->places;
    for (uint32_t n = 0; n < g->n; n++) {
        const uint32_t hemisphere = n / g->columns * g->machine->mem_slices;
        for (uint32_t tile = 0; tile < g->tiles; tile++) {
            for (uint32_t byte = 0; byte < 2; byte++, place++) {
                place->slice = (uint16_t)(hemisphere + x_place(g, tile, byte));
                place->address = (uint16_t)(tile % g->x_tiles * g->columns + n % g->columns);
            }
        }
    }
    place = c->places;
    for (uint32_t n = 0; n < g->n; n++) {
        const uint32_t hemisphere = n / g->columns * g->machine->mem_slices;
        for (uint32_t group = 0; group < g->groups; group++) {
            for (uint32_t byte = 0; byte < 4; byte++, place++) {
                place->slice = (uint16_t)(hemisphere + c_place(g, group, byte));
                place->address = (uint16_t)(group % g->c_groups * g->columns + n % g->columns);
            }
        }
    }
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
static uint32_t install_tile(const struct gemm *g, struct side *s, uint32_t group, uint32_t tile)
{
    const uint32_t rows = row_groups(g, tile), address = tile_address(g, group, tile);
    const uint8_t stream = ISA_STREAM(s->west, WEIGHT_STREAM);
    uint32_t cycle = s->load_next;
    for (uint32_t i = 0; i < WEIGHT_SLICES; i++) {
        standalone_read(g->out, s->slices + g->a_slice + i, address, (uint8_t)(stream + i),
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

/* The block's vectors meet half a tile; what comes of it is kept, or leaves. */
static void multiply(const struct gemm *g, const struct side *s, uint32_t cycle, uint32_t group,
                     uint32_t tile, uint32_t half, uint32_t first, uint32_t count)
{
    const struct machine *machine = g->machine;
    const struct standalone_run run = {cycle, count, 1, 1};
    const uint8_t vector = ISA_STREAM(s->west, VECTOR_STREAM);
    for (uint32_t byte = 0; byte < 2; byte++) {
        standalone_read(g->out, s->slices + x_place(g, tile, byte),
                        tile % g->x_tiles * g->columns + first, (uint8_t)(vector + byte),
                        s->position, run);
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
        standalone_write(g->out, s->slices + c_place(g, group, byte),
                         group % g->c_groups * g->columns + first, (uint8_t)(take.d + byte),
                         s->position,
                         (struct standalone_run){arrives + machine->mxm_emit_cycles, count, 1, 1});
    }
}

static void schedule_side(const struct gemm *g, uint32_t hemisphere)
{
    const uint32_t slices = hemisphere * g->machine->mem_slices;
    struct side s = {hemisphere, machine_mxm_position(g->machine, hemisphere),
                     slices,     0,
                     0,          hemisphere == MACHINE_WEST};
    s.load_next = standalone_read_cycles(g->machine, slices + g->a_slice, s.position);
    s.multiply_next = standalone_read_cycles(g->machine, slices + g->x_slice, s.position);
    const uint32_t columns =
        hemisphere == MACHINE_WEST ? g->columns : g->n - BASE_MIN(g->columns, g->n);
    for (uint32_t first = 0; first < columns; first += g->block) {
        const uint32_t count = BASE_MIN(g->block, columns - first);
        for (uint32_t group = 0; group < g->groups; group++) {
            s.multiply_next += g->machine->icu_buffer_blocks > 0 ? FETCH_CYCLES : 0;
            for (uint32_t tile = 0; tile < g->tiles; tile++) {
                uint32_t cycle = install_tile(g, &s, group, tile);
                const uint32_t halves = g->k - tile * g->lanes > g->lanes / 2 ? 2 : 1;
                for (uint32_t half = 0; half < halves; half++, cycle += count) {
                    multiply(g, &s, cycle, group, tile, half, first, count);
                }
                s.multiply_next = cycle;
            }
        }
    }
}

enum takt_status compile_gemm(struct compile_standalone **gemm, const struct machine *machine,
                              uint32_t m, uint32_t k, uint32_t n, struct takt_error *error)
{
    struct gemm g = {.machine = machine, .m = m, .k = k, .n = n};
    *gemm = NULL;
    enum takt_status status = lay_out(&g, error);
    if (status == TAKT_OK) {
        status = standalone_create(&g.out, machine, ARENA_BYTES, error);
    }
    if (status != TAKT_OK) {
        return status;
    }
    bind_a(&g);
    bind_x_and_c(&g);
    schedule_side(&g, MACHINE_WEST);
    schedule_side(&g, MACHINE_EAST);
    status = standalone_finish(g.out, g.sender, error);
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
