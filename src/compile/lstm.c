/*
 * One step of an LSTM, batch 1, laid out for latency.
 *
 * A hemisphere is home to half of the units: its matrix unit makes their sums of all four gates,
 * and they stay in the same lanes until h leaves. The inputs are four vectors (two of x, two of h),
 * so each gate meets four tiles of weights; low bytes load into plane 0 and high bytes into plane 1
 * at once, sixteen streams each, and nothing else bounds the step until the last sum. Gates come in
 * the order i, g, f, o. All that i, g and f lead to is done while the weights of o load; after o's
 * sum six operations remain:
 *
 *   i = 1 / (1 + exp(-b_i - s_i))    the vector on its way in meets all four columns of the VXM
 *   m = i tanh(s_g + b_g)
 *   c' = f c + m                     f as i; then it turns about, and so meets columns again
 *   h' = fp16(o tanh(c'))
 *
 * Between gates, i, m, tanh(c') lie in the memory beyond the VXM, whence they come back in time.
 * The two hemispheres' units do the same in mirror image, on other streams and other ALUs.
 */
#include "compile/standalone.h"

#include "num/num.h"

#define GATES 4u
enum gate { GATE_I, GATE_G, GATE_F, GATE_O };
#define TILES 4u /* x, x, h, h: half of each */
#define WEIGHT_SLICES 32u
#define ARENA_BYTES ((size_t)64 << 20)
#define ATTEMPTS 64u

/* Slices of a hemisphere. The scratch and c of a hemisphere are those of the other's units. */
enum { SCRATCH = 0, BIAS_AND_C = 4, INPUTS = 8, INNER_SLICES = 10 };
enum { WORD_I, WORD_M, WORD_TANH };
#define WORD_C GATES /* beside the biases */

struct lstm {
    struct compile_standalone *out;
    const struct machine *machine;
    uint32_t hidden, units; /* of a hemisphere */
    uint32_t lanes, halves; /* halves of the lanes in use */
    uint32_t row_groups;    /* of a tile */
    uint32_t pause;         /* cycles between gates, where the weights alone are too short */
    uint32_t shortfall;     /* cycles by which something comes too early */
};

/* The way of one hemisphere's units. `in` flows from the home matrix unit to the VXM and on. */
struct side {
    const struct lstm *l;
    uint32_t home, far; /* first global slice of each hemisphere */
    uint32_t hemisphere, mxm_position;
    bool in;               /* west? */
    uint8_t group;         /* first of two groups of streams */
    uint8_t third;         /* a group that only c comes on: it may follow m at once */
    uint32_t row, far_row; /* of ALUs; far_row: of a second one that reaches the same streams */
    uint32_t load_next[2]; /* first cycle in which LW of a plane may issue */
    uint32_t multiplied;   /* first cycle after the last activations */
    /* Cycles in which activations have streams of a plane's weights; 0 = none. */
    uint32_t taken[2][GATES * TILES], taken_count;
    uint32_t written[3]; /* WORD_*: first cycle in which it may be read */
    uint32_t done;       /* first cycle in which the vector unit is through with the gate before */
};

/* A vector on a stream group: at `position` in `cycle`. */
struct value {
    uint32_t cycle, position;
    uint8_t stream;
};

static struct side side_of(const struct lstm *l, uint32_t hemisphere)
{
    const bool east = hemisphere == MACHINE_EAST;
    const uint32_t slices = l->machine->mem_slices;
    return (struct side){.l = l,
                         .home = hemisphere * slices,
                         .far = (1 - hemisphere) * slices,
                         .hemisphere = hemisphere,
                         .mxm_position = machine_mxm_position(l->machine, hemisphere),
                         .in = east,
                         .group = east ? 0 : 16,
                         .third = east ? 8 : 12,
                         .row = east ? 0 : 1,
                         .far_row = east ? 3 : 2};
}

/* ---- the vector unit ------------------------------------------------------------------------- */

/* Column `place` in the order in which a vector on its way in meets them. */
static uint32_t column_of(const struct side *s, uint32_t place)
{
    return s->in ? MACHINE_VXM_COLUMNS - 1 - place : place;
}

static uint8_t stream_of(const struct side *s, bool inward, uint32_t group)
{
    return ISA_STREAM(inward == s->in, s->group + 4 * group);
}

static uint32_t distance(uint32_t from, uint32_t to)
{
    return from > to ? from - to : to - from;
}

/* When the value passes the ALU in this place. */
static uint32_t meets(const struct side *s, const struct value *value, uint32_t place)
{
    const uint32_t position = machine_vxm_read_position(s->l->machine, column_of(s, place),
                                                        ISA_STREAM_WEST(value->stream));
    return value->cycle + distance(value->position, position);
}

/* The value meets an operation in this place, whose operands the instruction names: its stream, and
 * another that must pass then. */
static struct value operate(const struct side *s, uint32_t row, uint32_t place,
                            const struct value *value, struct isa_instruction instruction)
{
    const struct machine *machine = s->l->machine;
    const uint32_t column = column_of(s, place), cycle = meets(s, value, place);
    standalone_put(s->l->out, machine_queue_vxm(machine, row * MACHINE_VXM_COLUMNS + column),
                   standalone_once(cycle), instruction);
    return (struct value){cycle + machine->vxm_cycles, machine_vxm_write_position(machine, column),
                          instruction.d};
}

/* d = value op b; b: a stream, or the constant, or nothing, as the operation has it. */
static struct value apply(const struct side *s, uint32_t place, enum isa_op op,
                          const struct value *value, uint8_t b, uint32_t imm, uint8_t d)
{
    return operate(s, s->row, place, value,
                   (struct isa_instruction){
                       .op = (uint8_t)op, .imm = imm, .a = value->stream, .b = b, .d = d});
}

/* Four byte planes from memory to the ALU in this place, in this cycle. */
static uint32_t fetch(const struct side *s, uint32_t slice, uint32_t address, uint8_t stream,
                      uint32_t place, uint32_t cycle)
{
    const struct machine *machine = s->l->machine;
    const uint32_t position =
        machine_vxm_read_position(machine, column_of(s, place), ISA_STREAM_WEST(stream));
    for (uint32_t i = 0; i < 4; i++)
        standalone_read(s->l->out, slice + i, address, (uint8_t)(stream + i), position,
                        standalone_once(cycle));
    return cycle - standalone_read_cycles(machine, slice, position);
}

static uint32_t store(const struct side *s, const struct value *value, uint32_t planes,
                      uint32_t slice, uint32_t address)
{
    const struct machine *machine = s->l->machine;
    for (uint32_t i = 0; i < planes; i++)
        standalone_write(s->l->out, slice + i, address, (uint8_t)(value->stream + i),
                         value->position, standalone_once(value->cycle));
    const uint32_t hemisphere = slice / machine->mem_slices;
    return value->cycle + distance(value->position,
                                   machine_mem_position(machine, hemisphere,
                                                        slice - hemisphere * machine->mem_slices));
}

static void keep(struct side *s, const struct value *value, uint32_t word)
{
    s->written[word] = store(s, value, 4, s->far + SCRATCH, word) + 1;
}

/* What was kept comes back to the ALU; notes by how much it would be too early. */
static uint8_t recall(struct lstm *l, const struct side *s, uint32_t word, uint32_t place,
                      uint32_t cycle)
{
    const uint8_t stream = stream_of(s, false, 0);
    const uint32_t issue = fetch(s, s->far + SCRATCH, word, stream, place, cycle);
    if (issue < s->written[word])
        l->shortfall = BASE_MAX(l->shortfall, s->written[word] - issue);
    return stream;
}

static uint8_t bias(const struct side *s, enum gate gate, const struct value *sum)
{
    const uint8_t stream = stream_of(s, true, 1);
    (void)fetch(s, s->home + BIAS_AND_C, gate, stream, 0, meets(s, sum, 0));
    return stream;
}

/* 1 / (1 + exp(-b - s)), four operations; the result leaves the last column on `d`. */
static struct value sigmoid(const struct side *s, enum gate gate, const struct value *sum,
                            uint8_t d)
{
    const uint8_t way = sum->stream;
    const uint32_t one = num_bits(1.0f);
    struct value v = operate(
        s, s->row, 0, sum,
        (struct isa_instruction){.op = ISA_SUB_F32, .a = bias(s, gate, sum), .b = way, .d = way});
    v = apply(s, 1, ISA_EXP_F32, &v, 0, 0, way);
    v = apply(s, 2, ISA_ADD_F32_IMM, &v, 0, one, way);
    return apply(s, 3, ISA_RDIV_F32_IMM, &v, 0, one, d);
}

static void after_sum(struct lstm *l, struct side *s, enum gate gate, struct value v)
{
    const uint8_t in0 = stream_of(s, true, 0), in1 = stream_of(s, true, 1);
    const uint8_t out0 = stream_of(s, false, 0), out1 = stream_of(s, false, 1);
    const uint8_t c = ISA_STREAM(!s->in, s->third);
    /* The gate before has the same streams. */
    if (meets(s, &v, 0) < s->done)
        l->shortfall = BASE_MAX(l->shortfall, s->done - meets(s, &v, 0));
    switch (gate) {
    case GATE_I:
        v = sigmoid(s, gate, &v, in0);
        keep(s, &v, WORD_I);
        break;
    case GATE_G:
        v = apply(s, 0, ISA_ADD_F32, &v, bias(s, gate, &v), 0, in0);
        v = apply(s, 1, ISA_TANH_F32, &v, 0, 0, in0);
        v = apply(s, 2, ISA_MUL_F32, &v, recall(l, s, WORD_I, 2, meets(s, &v, 2)), 0, in0);
        keep(s, &v, WORD_M);
        break;
    case GATE_F: /* back to the second column, the third, and in again */
        v = sigmoid(s, gate, &v, out1);
        (void)fetch(s, s->far + BIAS_AND_C, WORD_C, c, 2, meets(s, &v, 2));
        v = apply(s, 2, ISA_MUL_F32, &v, c, 0, out1);
        v = apply(s, 1, ISA_ADD_F32, &v, recall(l, s, WORD_M, 1, meets(s, &v, 1)), 0, in0);
        (void)store(s, &v, 4, s->far + BIAS_AND_C, WORD_C);
        v = apply(s, 3, ISA_TANH_F32, &v, 0, 0, in1);
        keep(s, &v, WORD_TANH);
        break;
    case GATE_O:
        v = sigmoid(s, gate, &v, out1);
        v = apply(s, 2, ISA_MUL_F32, &v, recall(l, s, WORD_TANH, 2, meets(s, &v, 2)), 0, out1);
        const uint32_t word = 2 + (s->hemisphere == MACHINE_WEST ? 0 : 1);
        const struct value home = apply(s, 1, ISA_CVT_F32_F16, &v, 0, 0, out0);
        const struct value far =
            operate(s, s->far_row, 1, &v,
                    (struct isa_instruction){.op = ISA_CVT_F32_F16, .a = v.stream, .d = in0});
        (void)store(s, &home, 2, s->home + INPUTS, word);
        (void)store(s, &far, 2, s->far + INPUTS, word);
        break;
    }
    s->done = v.cycle;
}

/* ---- the matrix unit ------------------------------------------------------------------------- */

static uint32_t weight_address(const struct lstm *l, uint32_t gate, uint32_t tile, uint32_t group)
{
    return (gate * TILES + tile) * l->row_groups + group;
}

static void load_rows(const struct side *s, uint32_t plane, uint32_t address, uint32_t first,
                      struct standalone_run run)
{
    const struct lstm *l = s->l;
    const uint8_t stream = ISA_STREAM(!s->in, 16 * plane);
    const uint32_t slice = s->home + l->machine->mem_slices - WEIGHT_SLICES + 16 * plane;
    for (uint32_t i = 0; i < MACHINE_WEIGHT_ROWS; i++)
        standalone_read(l->out, slice + i, address, (uint8_t)(stream + i), s->mxm_position, run);
    standalone_put(l->out,
                   machine_queue_mxm(l->machine, s->hemisphere, plane, ISA_UNIT_MXM_WEIGHTS), run,
                   (struct isa_instruction){.op = ISA_LW, .address = (uint16_t)first, .a = stream});
}

static bool is_taken(const struct side *s, uint32_t plane, uint32_t cycle)
{
    for (uint32_t i = 0; i < s->taken_count; i++)
        if (s->taken[plane][i] == cycle)
            return true;
    return false;
}

/* Loads a tile's byte plane, but not in cycles in which activations have its streams; returns the
 * cycle after the last. */
static uint32_t load_plane(const struct side *s, uint32_t plane, uint32_t address)
{
    uint32_t cycle = s->load_next[plane];
    for (uint32_t group = 0, count; group < s->l->row_groups; group += count, cycle += count) {
        while (is_taken(s, plane, cycle))
            cycle++;
        count = 1;
        while (group + count < s->l->row_groups && !is_taken(s, plane, cycle + count))
            count++;
        load_rows(s, plane, address + group, group, (struct standalone_run){cycle, count, 1, 1});
    }
    return cycle;
}

/* The installed tile meets its vector, half by half; a plane's streams are taken in each. */
static void multiply(struct side *s, uint32_t tile, uint32_t cycle)
{
    const struct lstm *l = s->l;
    const struct machine *machine = l->machine;
    for (uint32_t half = 0; half < l->halves; half++, cycle++) {
        const uint8_t stream = ISA_STREAM(!s->in, 16 * half);
        s->taken[half][s->taken_count] = cycle;
        for (uint32_t byte = 0; byte < 2; byte++)
            standalone_read(l->out, s->home + INPUTS + byte, tile, (uint8_t)(stream + byte),
                            s->mxm_position, standalone_once(cycle));
        standalone_put(
            l->out, machine_queue_mxm(machine, s->hemisphere, 0, ISA_UNIT_MXM_ACTIVATIONS),
            standalone_once(cycle),
            (struct isa_instruction){.op = ISA_ABC_F16, .address = (uint16_t)half, .a = stream});
        const bool first = tile == 0 && half == 0;
        const bool last = tile + 1 == TILES && half + 1 == l->halves;
        struct isa_instruction take = {.op = first  ? ISA_ACC_SET
                                             : last ? ISA_ACC_OUT
                                                    : ISA_ACC_ADD};
        take.d = last ? stream_of(s, true, 0) : 0;
        standalone_put(l->out, machine_queue_mxm(machine, s->hemisphere, 0, ISA_UNIT_MXM_RESULTS),
                       standalone_once(cycle + machine->mxm_result_cycles), take);
    }
    s->taken_count++;
    s->multiplied = cycle;
}

/* All tiles of a gate; its sum, on its way. */
static struct value multiply_gate(struct side *s, uint32_t gate)
{
    const struct lstm *l = s->l;
    const struct machine *machine = l->machine;
    for (uint32_t tile = 0; tile < TILES; tile++) {
        uint32_t loaded = 0;
        for (uint32_t plane = 0; plane < 2; plane++) {
            const uint32_t end = load_plane(s, plane, weight_address(l, gate, tile, 0));
            loaded = BASE_MAX(loaded, end);
        }
        const uint32_t install = machine->mxm_install_cycles;
        loaded = BASE_MAX(loaded, s->multiplied > install ? s->multiplied - install : 0);
        for (uint32_t plane = 0; plane < 2; plane++) {
            standalone_put(l->out,
                           machine_queue_mxm(machine, s->hemisphere, plane, ISA_UNIT_MXM_WEIGHTS),
                           standalone_once(loaded), (struct isa_instruction){.op = ISA_IW});
            s->load_next[plane] = loaded + 1;
        }
        multiply(s, tile, loaded + install);
    }
    const struct value sum = {s->multiplied - 1 + machine->mxm_result_cycles +
                                  machine->mxm_emit_cycles,
                              s->mxm_position, stream_of(s, true, 0)};
    s->load_next[0] += l->pause;
    s->load_next[1] += l->pause;
    return sum;
}

static void schedule_side(struct lstm *l, uint32_t hemisphere)
{
    struct side s = side_of(l, hemisphere);
    const uint32_t farthest = s.home + l->machine->mem_slices - WEIGHT_SLICES;
    s.load_next[0] = s.load_next[1] =
        BASE_MAX(standalone_read_cycles(l->machine, farthest, s.mxm_position), 1);
    s.multiplied = standalone_read_cycles(l->machine, s.home + INPUTS, s.mxm_position);
    for (uint32_t gate = 0; gate < GATES; gate++)
        after_sum(l, &s, (enum gate)gate, multiply_gate(&s, gate));
}

/* ---- bindings -------------------------------------------------------------------------------- */

static struct program_place place_at(uint32_t slice, uint32_t address)
{
    return (struct program_place){(uint16_t)slice, (uint16_t)address};
}

/* Row 2 gate + hemisphere of an item: that hemisphere's units of the gate. */
static void bind_gates(const struct lstm *l, struct program_binding *binding)
{
    for (uint32_t row = 0; row < 2 * GATES; row++)
        for (uint32_t lane = 0; lane < l->lanes; lane++)
            binding->source[row * l->lanes + lane] =
                lane < l->units ? (int32_t)(row * l->units + lane) : -1;
}

static void bind_weights(const struct lstm *l)
{
    const uint32_t slices = l->machine->mem_slices;
    struct program_binding *w =
        standalone_binding(l->out, "w", false, 2, 2 * l->hidden, 2 * GATES, GATES * l->hidden);
    bind_gates(l, w);
    struct program_place *place = w->places;
    for (uint32_t j = 0; j < 2 * l->hidden; j++) {
        const uint32_t tile = j / l->units, row = j % l->units;
        for (uint32_t r = 0; r < 2 * GATES; r++)
            for (uint32_t byte = 0; byte < 2; byte++)
                *place++ = place_at(r % 2 * slices + slices - WEIGHT_SLICES + 16 * byte +
                                        row % MACHINE_WEIGHT_ROWS,
                                    weight_address(l, r / 2, tile, row / MACHINE_WEIGHT_ROWS));
    }
}

/* Halves of a vector: both in words of both hemispheres, or each in that far from its units. */
static void bind_vector(const struct lstm *l, const char *name, bool output, uint32_t planes,
                        uint32_t slice, uint32_t word, bool both)
{
    const uint32_t slices = l->machine->mem_slices, rows = both ? 4 : 2;
    struct program_binding *v =
        standalone_binding(l->out, name, output, planes, 1, rows, l->hidden);
    for (uint32_t row = 0; row < rows; row++) {
        const uint32_t half = row % 2, hemisphere = both ? row / 2 : 1 - half;
        for (uint32_t lane = 0; lane < l->lanes; lane++)
            v->source[row * l->lanes + lane] =
                lane < l->units ? (int32_t)(half * l->units + lane) : -1;
        for (uint32_t byte = 0; byte < planes; byte++)
            v->places[row * planes + byte] =
                place_at(hemisphere * slices + slice + byte, word + (both ? half : 0));
    }
}

static void bind_all(const struct lstm *l)
{
    bind_weights(l);
    struct program_binding *b =
        standalone_binding(l->out, "bias", false, 4, 1, 2 * GATES, GATES * l->hidden);
    bind_gates(l, b);
    for (uint32_t row = 0; row < 2 * GATES; row++)
        for (uint32_t byte = 0; byte < 4; byte++)
            b->places[4 * row + byte] =
                place_at(row % 2 * l->machine->mem_slices + BIAS_AND_C + byte, row / 2);
    bind_vector(l, "x", false, 2, INPUTS, 0, true);
    bind_vector(l, "h", false, 2, INPUTS, 2, true);
    bind_vector(l, "c", false, 4, BIAS_AND_C, WORD_C, false);
    bind_vector(l, "h.new", true, 2, INPUTS, 2, true);
    bind_vector(l, "c.new", true, 4, BIAS_AND_C, WORD_C, false);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static enum takt_status lay_out(struct lstm *l, struct takt_error *error)
{
    const struct machine *machine = l->machine;
    l->lanes = machine_lanes(machine);
    l->units = l->hidden / 2;
    l->halves = l->units > l->lanes / 2 ? 2 : 1;
    l->row_groups = (l->units + MACHINE_WEIGHT_ROWS - 1) / MACHINE_WEIGHT_ROWS;
    if (l->hidden < 2 || l->hidden % 2 != 0 || l->units > l->lanes)
        return base_fail(error, TAKT_LIMIT, "lstm of %u units: an even number, 2 to %u", l->hidden,
                         2 * l->lanes);
    if (machine->mem_slices < INNER_SLICES + WEIGHT_SLICES ||
        machine->mem_words < GATES * TILES * l->row_groups)
        return base_fail(error, TAKT_LIMIT,
                         "lstm of %u units: %u slices of %u words a hemisphere, the machine has %u "
                         "of %u",
                         l->hidden, INNER_SLICES + WEIGHT_SLICES, GATES * TILES * l->row_groups,
                         machine->mem_slices, machine->mem_words);
    return TAKT_OK;
}

enum takt_status compile_lstm(struct compile_standalone **lstm, const struct machine *machine,
                              uint32_t hidden, struct takt_error *error)
{
    struct lstm l = {.machine = machine, .hidden = hidden};
    *lstm = NULL;
    enum takt_status status = lay_out(&l, error);
    for (uint32_t attempt = 0; status == TAKT_OK; attempt++) {
        BASE_ASSERT(attempt < ATTEMPTS);
        status = standalone_create(&l.out, machine, ARENA_BYTES, error);
        if (status != TAKT_OK)
            break;
        l.shortfall = 0;
        schedule_side(&l, MACHINE_WEST);
        schedule_side(&l, MACHINE_EAST);
        if (l.shortfall == 0 && !l.out->clashes) {
            bind_all(&l);
            status = standalone_finish(l.out, STANDALONE_NO_SENDER, error);
            if (status == TAKT_OK)
                *lstm = l.out;
            else
                compile_standalone_destroy(l.out);
            break;
        }
        l.pause += BASE_MAX(l.shortfall, 1u);
        compile_standalone_destroy(l.out);
    }
    return status;
}
