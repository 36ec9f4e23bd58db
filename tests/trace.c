/* The plain interpreter: isa.def read once more, with loops instead of tables and rings. */
#include "trace.h"

#include "num/num.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STREAMS 64u
#define DIAGONALS 64u /* at least the positions */
#define AHEAD 256u    /* more than any latency */

struct landing {
    struct landing *next;
    struct trace_issue *issue;
    uint32_t stream, position;
    uint8_t data[];
};

struct plane {
    uint8_t *buffer, *installed; /* [lanes][lanes] */
    uint8_t *arriving[AHEAD];    /* by cycle: weights to be installed then */
    int32_t *results[AHEAD];     /* by cycle */
    int32_t *accumulators;
};

struct state {
    const struct machine *machine;
    uint32_t lanes;
    uint64_t cycle;
    uint8_t *memory;
    uint8_t *slots;                             /* [STREAMS][DIAGONALS][lanes] */
    struct trace_issue **slot_issues;           /* [STREAMS][DIAGONALS]: who gave it */
    struct trace_issue **word_issues;           /* [slices][mem_words]; NULL = the host */
    struct landing *first[AHEAD], *last[AHEAD]; /* by cycle, in order of issue */
    struct plane planes[4];
    struct trace_issue *issue; /* under way */
    uint32_t read_east, read_west, write, slice, plane;
};

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count > 0 ? count : 1, size);
    BASE_ASSERT(memory != NULL);
    return memory;
}

static void mix(uint64_t *hash, const void *data, size_t bytes)
{
    const uint8_t *at = data;
    for (size_t i = 0; i < bytes; i++) {
        *hash = (*hash ^ at[i]) * UINT64_C(0x100000001b3);
    }
}

/* ---- the schedule ---------------------------------------------------------------------------- */

static void add_issue(struct trace *trace, uint64_t cycle, uint32_t queue,
                      const struct isa_instruction *instruction)
{
    if (trace->count == trace->capacity) {
        trace->capacity = trace->capacity ? 2 * trace->capacity : 4096;
        trace->issues = realloc(trace->issues, trace->capacity * sizeof *trace->issues);
        BASE_ASSERT(trace->issues != NULL);
    }
    trace->issues[trace->count++] = (struct trace_issue){
        cycle, queue, *instruction, UINT64_C(0xcbf29ce484222325), UINT64_C(0xcbf29ce484222325),
        false};
}

/* A queue of a compiled program: a Sync that the one Notify releases, text, the final Sync. */
static void add_queue(struct trace *trace, const struct program *program, uint32_t queue)
{
    uint64_t now = program->machine.notify_cycles;
    struct isa_instruction in, last = {0};
    for (uint32_t i = 0; i < program->queue_words[queue]; i++) {
        const enum takt_status status = isa_decode(program->text[queue][i], &in, NULL);
        BASE_ASSERT(status == TAKT_OK);
        if (in.op == ISA_NOP) {
            now += in.count;
        } else if (in.op == ISA_REPEAT) {
            for (uint32_t k = 0; k < in.count; k++) {
                now += in.delay - 1u;
                last.address = (uint16_t)(last.address + in.step);
                last.address2 = (uint16_t)(last.address2 + in.step);
                add_issue(trace, now++, queue, &last);
            }
        } else if (in.op == ISA_IFETCH) { /* takes what passes in two cycles */
            add_issue(trace, now++, queue, &in);
            add_issue(trace, now++, queue, &in);
        } else if (in.op != ISA_SYNC && in.op != ISA_NOTIFY) {
            last = in;
            add_issue(trace, now++, queue, &in);
        }
    }
}

static int by_cycle(const void *left, const void *right)
{
    const struct trace_issue *a = left, *b = right;
    if (a->cycle != b->cycle) {
        return a->cycle < b->cycle ? -1 : 1;
    }
    return a->queue < b->queue ? -1 : a->queue > b->queue;
}

/* ---- streams --------------------------------------------------------------------------------- */

static size_t slot(const struct state *s, uint32_t stream, uint32_t position)
{
    const uint64_t diagonal =
        ISA_STREAM_WEST(stream) ? s->cycle + position : s->cycle + DIAGONALS * AHEAD - position;
    return stream * (size_t)DIAGONALS + diagonal % DIAGONALS;
}

static void use(struct trace_issue *issue)
{
    if (issue != NULL) {
        issue->used = true;
    }
}

static const uint8_t *take(struct state *s, uint32_t stream)
{
    const uint32_t position = ISA_STREAM_WEST(stream) ? s->read_west : s->read_east;
    const size_t index = slot(s, stream, position);
    const uint8_t *data = s->slots + index * s->lanes;
    use(s->slot_issues[index]);
    mix(&s->issue->taken, data, s->lanes);
    return data;
}

static void give(struct state *s, uint32_t stream, uint32_t latency, const uint8_t *data)
{
    struct landing *landing = malloc(sizeof *landing + s->lanes);
    BASE_ASSERT(landing != NULL && latency < AHEAD);
    const uint64_t bucket = (s->cycle + latency) % AHEAD;
    landing->next = NULL;
    landing->issue = s->issue;
    landing->stream = stream;
    landing->position = s->write;
    memcpy(landing->data, data, s->lanes);
    mix(&s->issue->given, data, s->lanes);
    if (s->first[bucket] == NULL) {
        s->first[bucket] = landing;
    } else {
        s->last[bucket]->next = landing;
    }
    s->last[bucket] = landing;
}

static void land(struct state *s)
{
    struct landing *landing = s->first[s->cycle % AHEAD];
    s->first[s->cycle % AHEAD] = NULL;
    while (landing != NULL) {
        struct landing *next = landing->next;
        const size_t index = slot(s, landing->stream, landing->position);
        memcpy(s->slots + index * s->lanes, landing->data, s->lanes);
        s->slot_issues[index] = landing->issue;
        free(landing);
        landing = next;
    }
}

/* ---- MEM ------------------------------------------------------------------------------------- */

static size_t word_index(const struct state *s, uint32_t address)
{
    BASE_ASSERT(address < s->machine->mem_words);
    return (size_t)s->slice * s->machine->mem_words + address;
}

static uint8_t *word(struct state *s, uint32_t address)
{
    return s->memory + word_index(s, address) * s->lanes;
}

static void read_word(struct state *s, const struct isa_instruction *in)
{
    use(s->word_issues[word_index(s, in->address)]);
    mix(&s->issue->taken, word(s, in->address), s->lanes);
    give(s, in->d, s->machine->mem_read_cycles, word(s, in->address));
}

static void write_word(struct state *s, uint32_t stream, uint32_t address)
{
    const uint8_t *data = take(s, stream);
    mix(&s->issue->given, data, s->lanes);
    memcpy(word(s, address), data, s->lanes);
    s->word_issues[word_index(s, address)] = s->issue;
}

static void scatter_gather(struct state *s, const struct isa_instruction *in)
{
    const uint8_t *map = take(s, in->map);
    const uint8_t *data = in->op == ISA_SCATTER ? take(s, in->a) : NULL;
    uint8_t out[MACHINE_LANES_MAX] = {0};
    for (uint32_t lane = 0; lane < s->lanes; lane += 16) {
        const uint32_t offset = (uint32_t)map[lane] | (uint32_t)map[lane + 1] << 8;
        if (offset == ISA_SKIP) {
            continue;
        }
        uint8_t *place = word(s, in->address + offset) + lane;
        if (data != NULL) {
            mix(&s->issue->given, &lane, sizeof lane);
            mix(&s->issue->given, &offset, sizeof offset);
            mix(&s->issue->given, data + lane, 16);
            memcpy(place, data + lane, 16);
        } else {
            use(s->word_issues[word_index(s, in->address + offset)]);
            mix(&s->issue->taken, place, 16);
            memcpy(out + lane, place, 16);
        }
    }
    if (data == NULL) {
        give(s, in->d, s->machine->mem_gather_cycles, out);
    }
}

/* ---- VXM ------------------------------------------------------------------------------------- */

static uint32_t float_operation(enum isa_op op, float a, float b, float imm)
{
    switch (op) {
    case ISA_ADD_F32: return num_bits(a + b);
    case ISA_SUB_F32: return num_bits(a - b);
    case ISA_MUL_F32: return num_bits(a * b);
    case ISA_MAX_F32: return a > b ? num_bits(a) : num_bits(b);
    case ISA_DIV_F32: return num_bits(a / b);
    case ISA_ADD_F32_IMM: return num_bits(a + imm);
    case ISA_MUL_F32_IMM: return num_bits(a * imm);
    case ISA_FMA_F32_IMM: return num_bits(fmaf(a, imm, b));
    case ISA_RDIV_F32_IMM: return num_bits(imm / a);
    case ISA_EXP_F32: return num_bits(num_exp(a));
    case ISA_RSQRT_F32: return num_bits(num_rsqrt(a));
    case ISA_CVT_F32_I32: return (uint32_t)num_f32_to_i32(a);
    case ISA_CVT_F32_I16: return (uint32_t)num_f32_to_i16(a);
    case ISA_CVT_F32_I8: return (uint32_t)num_f32_to_i8(a);
    default: base_assert_failed("an instruction that the trace knows", __FILE__, __LINE__);
    }
}

static uint32_t operation(enum isa_op op, uint32_t a, uint32_t b, uint32_t imm)
{
    switch (op) {
    case ISA_COPY_B8:
    case ISA_COPY_B32:
    case ISA_CVT_U8_I32: return a;
    case ISA_SELECT_B8_IMM:
    case ISA_SELECT_F32_IMM: return a != 0 ? b : imm;
    case ISA_CVT_I8_I32: return (uint32_t)(int32_t)(int8_t)a;
    case ISA_CVT_I32_I16: return (uint32_t)BASE_MIN(BASE_MAX((int32_t)a, INT16_MIN), INT16_MAX);
    case ISA_CVT_I32_F32: return num_bits((float)(int32_t)a);
    case ISA_CVT_I32_U8: return num_i32_to_u8((int32_t)a);
    case ISA_MAX_U8: return BASE_MAX(a, b);
    case ISA_MAX_U8_IMM: return BASE_MAX(a, imm);
    case ISA_ADD_I32: return a + b;
    case ISA_ADD_I32_IMM: return a + imm;
    case ISA_RSUB_I32_IMM: return imm - a;
    case ISA_SHL_B32_IMM: return a << imm;
    case ISA_SHR_B32_IMM: return a >> imm;
    case ISA_AND_B32: return a & b;
    case ISA_AND_B32_IMM: return a & imm;
    case ISA_OR_B8:
    case ISA_OR_B32: return a | b;
    case ISA_MUL_I16: return (uint32_t)((int32_t)(int16_t)a * (int32_t)(int16_t)b);
    default: return float_operation(op, num_float(a), num_float(b), num_float(imm));
    }
}

/* Streams in the group of the operand at this bit; 0 when there is none. */
static uint32_t group_width(enum isa_op op, uint32_t lsb)
{
    const struct isa_op_info *info = isa_op_info(op);
    for (uint32_t i = 0; i < ISA_FIELDS_MAX && info->fields[i] != ISA_FIELD_NONE; i++) {
        const struct isa_field_info *field = isa_field_info(info->fields[i]);
        if (field->lsb == lsb && field->width > 0) {
            return field->width;
        }
    }
    return 0;
}

static void take_group(struct state *s, uint32_t stream, uint32_t width, uint32_t *numbers)
{
    memset(numbers, 0, s->lanes * sizeof *numbers);
    for (uint32_t i = 0; i < width; i++) {
        const uint8_t *data = take(s, stream + i);
        for (uint32_t lane = 0; lane < s->lanes; lane++) {
            numbers[lane] |= (uint32_t)data[lane] << (8 * i);
        }
    }
}

static void give_group(struct state *s, uint32_t stream, uint32_t width, uint32_t latency,
                       const uint32_t *numbers)
{
    uint8_t data[MACHINE_LANES_MAX];
    for (uint32_t i = 0; i < width; i++) {
        for (uint32_t lane = 0; lane < s->lanes; lane++) {
            data[lane] = (uint8_t)(numbers[lane] >> (8 * i));
        }
        give(s, stream + i, latency, data);
    }
}

static void vector(struct state *s, const struct isa_instruction *in)
{
    const enum isa_op op = (enum isa_op)in->op;
    uint32_t a[MACHINE_LANES_MAX], b[MACHINE_LANES_MAX], d[MACHINE_LANES_MAX];
    take_group(s, in->a, group_width(op, 32), a);
    take_group(s, in->b, group_width(op, 38), b);
    for (uint32_t lane = 0; lane < s->lanes; lane++) {
        d[lane] = operation(op, a[lane], b[lane], in->imm);
    }
    give_group(s, in->d, group_width(op, 44), s->machine->vxm_cycles, d);
}

/* ---- MXM ------------------------------------------------------------------------------------- */

static void load_or_install(struct state *s, const struct isa_instruction *in)
{
    struct plane *plane = &s->planes[s->plane];
    const size_t bytes = (size_t)s->lanes * s->lanes;
    if (in->op == ISA_IW) {
        plane->arriving[(s->cycle + s->machine->mxm_install_cycles) % AHEAD] = plane->buffer;
        plane->buffer = allocate(bytes, 1);
        return;
    }
    for (uint32_t i = 0; i < 16; i++) {
        const uint8_t *row = take(s, in->a + i);
        mix(&s->issue->given, row, s->lanes);
        memcpy(plane->buffer + (in->address * 16u + i) * s->lanes, row, s->lanes);
    }
}

static void multiply(struct state *s, const struct isa_instruction *in)
{
    struct plane *plane = &s->planes[s->plane];
    const uint8_t *activation = take(s, in->a);
    int32_t *sums = allocate(s->lanes, sizeof *sums);
    mix(&s->issue->taken, plane->installed, (size_t)s->lanes * s->lanes);
    for (uint32_t row = 0; row < s->lanes; row++) {
        const int32_t factor = in->op == ISA_ABC_I8 ? (int8_t)activation[row] : activation[row];
        for (uint32_t column = 0; factor != 0 && column < s->lanes; column++) {
            sums[column] += factor * (int8_t)plane->installed[row * s->lanes + column];
        }
    }
    mix(&s->issue->given, sums, s->lanes * sizeof *sums);
    plane->results[(s->cycle + s->machine->mxm_result_cycles) % AHEAD] = sums;
}

static void accumulate(struct state *s, const struct isa_instruction *in)
{
    struct plane *plane = &s->planes[s->plane];
    const enum isa_op op = (enum isa_op)in->op;
    int32_t *result = plane->results[s->cycle % AHEAD];
    int32_t *sums = plane->accumulators + (size_t)in->address * s->lanes;
    uint32_t out[MACHINE_LANES_MAX];
    plane->results[s->cycle % AHEAD] = NULL;
    BASE_ASSERT(result != NULL);
    mix(&s->issue->taken, result, s->lanes * sizeof *result);
    const bool adds = op == ISA_ACC_ADD || op == ISA_ACC_OUT;
    if (adds) {
        mix(&s->issue->taken, sums, s->lanes * sizeof *sums);
    }
    for (uint32_t lane = 0; lane < s->lanes; lane++) {
        out[lane] = (uint32_t)result[lane] + (adds ? (uint32_t)sums[lane] : 0u);
    }
    free(result);
    if (op == ISA_ACC_OUT || op == ISA_ACC_PASS) {
        give_group(s, in->d, 4, s->machine->mxm_emit_cycles, out);
    } else {
        mix(&s->issue->given, out, s->lanes * sizeof *out);
        memcpy(sums, out, s->lanes * sizeof *out);
    }
}

static void install(struct state *s)
{
    for (uint32_t p = 0; p < 4; p++) {
        uint8_t **arriving = &s->planes[p].arriving[s->cycle % AHEAD];
        if (*arriving != NULL) {
            free(s->planes[p].installed);
            s->planes[p].installed = *arriving;
            *arriving = NULL;
        }
    }
}

/* ---- SXM ------------------------------------------------------------------------------------- */

static void switch_lanes(struct state *s, const struct isa_instruction *in)
{
    const bool permute = in->op == ISA_PERMUTE;
    const uint8_t *data = take(s, in->a), *low = take(s, in->map);
    const uint8_t *high = permute ? take(s, in->map + 1u) : NULL;
    uint8_t out[MACHINE_LANES_MAX];
    for (uint32_t lane = 0; lane < s->lanes; lane++) {
        const uint32_t from =
            permute ? (uint32_t)low[lane] | (uint32_t)high[lane] << 8 : lane / 16 * 16 + low[lane];
        out[lane] = !permute && low[lane] == UINT8_MAX ? 0 : data[from];
    }
    give(s, in->d, permute ? s->machine->sxm_permute_cycles : s->machine->sxm_distribute_cycles,
         out);
}

static void transpose(struct state *s, const struct isa_instruction *in)
{
    static const uint8_t zeros[MACHINE_LANES_MAX];
    const uint8_t *rows[16];
    uint8_t out[MACHINE_LANES_MAX];
    for (uint32_t j = 0; j < 16; j++) {
        rows[j] = in->address >> j & 1u ? take(s, in->a + j) : zeros;
    }
    for (uint32_t i = 0; i < 16; i++) {
        for (uint32_t lane = 0; lane < s->lanes; lane++) {
            out[lane] = rows[lane % 16][lane / 16 * 16 + i];
        }
        give(s, in->d + i, s->machine->sxm_transpose_cycles, out);
    }
}

/* ---- running --------------------------------------------------------------------------------- */

static void place(struct state *s, const struct machine_queue *unit)
{
    const struct machine *machine = s->machine;
    uint32_t position = machine_mxm_position(machine, unit->hemisphere);
    if (unit->unit == ISA_UNIT_VXM || unit->unit == ISA_UNIT_VXM_LARGE) {
        const uint32_t column = unit->index % MACHINE_VXM_COLUMNS;
        s->read_east = machine_vxm_read_position(machine, column, false);
        s->read_west = machine_vxm_read_position(machine, column, true);
        s->write = machine_vxm_write_position(machine, column);
        return;
    }
    if (unit->unit == ISA_UNIT_MEM) {
        position = machine_mem_position(machine, unit->hemisphere, unit->index);
    } else if (unit->unit >= ISA_UNIT_SXM_PERMUTE) {
        position = machine_sxm_position(machine, unit->hemisphere);
    }
    s->read_east = s->read_west = s->write = position;
    s->slice = unit->hemisphere * machine->mem_slices + unit->index;
    s->plane = unit->hemisphere * MACHINE_PLANES + unit->index;
}

static void perform(struct state *s)
{
    const struct isa_instruction *in = &s->issue->instruction;
    const struct machine_queue unit = machine_queue(s->machine, s->issue->queue);
    place(s, &unit);
    switch ((enum isa_op)in->op) {
    case ISA_IFETCH: (void)take(s, in->a); break;
    case ISA_READ: read_word(s, in); break;
    case ISA_WRITE: write_word(s, in->a, in->address); break;
    case ISA_READ_WRITE:
        read_word(s, in);
        write_word(s, in->a, in->address2);
        break;
    case ISA_GATHER:
    case ISA_SCATTER: scatter_gather(s, in); break;
    case ISA_LW:
    case ISA_IW: load_or_install(s, in); break;
    case ISA_ABC_I8:
    case ISA_ABC_U8: multiply(s, in); break;
    case ISA_ACC_SET:
    case ISA_ACC_ADD:
    case ISA_ACC_OUT:
    case ISA_ACC_PASS: accumulate(s, in); break;
    case ISA_PERMUTE:
    case ISA_DISTRIBUTE: switch_lanes(s, in); break;
    case ISA_TRANSPOSE: transpose(s, in); break;
    default: vector(s, in); break;
    }
}

/* Scatter, loads and sums count as used where they are issued; the machine faults if they are not.
 */
static void use_what_stays(struct state *s, const bool *kept)
{
    const size_t words = 2u * (size_t)s->machine->mem_slices * s->machine->mem_words;
    for (size_t i = 0; i < words; i++) {
        use(kept[i] ? s->word_issues[i] : NULL);
    }
}

static bool gives_streams(enum isa_op op)
{
    return group_width(op, 44) > 0;
}

static void free_state(struct state *s)
{
    for (uint32_t i = 0; i < AHEAD; i++, s->cycle++) {
        land(s);
        install(s);
        for (uint32_t p = 0; p < 4; p++) {
            free(s->planes[p].results[i]);
        }
    }
    for (uint32_t p = 0; p < 4; p++) {
        free(s->planes[p].buffer);
        free(s->planes[p].installed);
        free(s->planes[p].accumulators);
    }
    free(s->slots);
    free(s->slot_issues);
    free(s->word_issues);
}

void trace_run(struct trace *trace, const struct program *program, const bool *kept,
               uint8_t *memory)
{
    const struct machine *machine = &program->machine;
    struct state s = {.machine = machine, .lanes = machine_lanes(machine), .memory = memory};
    *trace = (struct trace){0};
    for (uint32_t queue = 0; queue < program->queue_count; queue++) {
        add_queue(trace, program, queue);
    }
    qsort(trace->issues, trace->count, sizeof *trace->issues, by_cycle);
    BASE_ASSERT(machine_positions(machine) <= DIAGONALS);
    s.slots = allocate((size_t)STREAMS * DIAGONALS, s.lanes);
    s.slot_issues = allocate((size_t)STREAMS * DIAGONALS, sizeof(void *));
    s.word_issues = allocate(2u * (size_t)machine->mem_slices * machine->mem_words, sizeof(void *));
    for (uint32_t p = 0; p < 4; p++) {
        s.planes[p].buffer = allocate(s.lanes, s.lanes);
        s.planes[p].installed = allocate(s.lanes, s.lanes);
        s.planes[p].accumulators =
            allocate((size_t)machine->mxm_accumulators * s.lanes, sizeof(int32_t));
    }
    for (size_t i = 0; i < trace->count; s.cycle++) {
        install(&s);
        land(&s);
        for (; i < trace->count && trace->issues[i].cycle == s.cycle; i++) {
            const enum isa_op op = (enum isa_op)trace->issues[i].instruction.op;
            s.issue = &trace->issues[i];
            s.issue->used = !gives_streams(op) && op != ISA_WRITE;
            perform(&s);
        }
    }
    use_what_stays(&s, kept);
    free_state(&s);
}

void trace_free(struct trace *trace)
{
    free(trace->issues);
}

/* ---- two of them ----------------------------------------------------------------------------- */

void trace_compare(const struct trace *a, const struct trace *b,
                   struct trace_difference *difference)
{
    size_t i = 0, j = 0;
    while (i < a->count || j < b->count) {
        int order = i == a->count ? 1 : j == b->count ? -1 : 0;
        if (order == 0) {
            order = by_cycle(&a->issues[i], &b->issues[j]);
        }
        const struct trace_issue *x = order <= 0 ? &a->issues[i++] : NULL;
        const struct trace_issue *y = order >= 0 ? &b->issues[j++] : NULL;
        if (x && y && isa_encode(&x->instruction) == isa_encode(&y->instruction)) {
            if (x->taken != y->taken) {
                difference->reached++;
                difference->absorbed[x->instruction.op] += x->given == y->given;
            }
            continue;
        }
        difference->changed++;
        difference->given_before += x ? x->given : 0;
        difference->given_after += y ? y->given : 0;
    }
}
