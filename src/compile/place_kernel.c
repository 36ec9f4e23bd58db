/*
 * Placing a VXM kernel: ALUs, streams of operands and results, reads and writes of memory.
 *
 * Requires: buffers with slices. Level n of the kernel issues n * (vxm_cycles + 1) cycles after
 * start: one operation and one hop to the next column's read stage.
 */
#include "compile/place.h"

#define VARIANTS_MAX 24u
#define ALONE_CYCLES 4096 /* no kernel is longer; tables reach further than any step */
#define NEVER INT32_MAX   /* a hint: no start can work */
#define VARIANTS_APART 32 /* cycles by which one variant's data may be there before another's */

struct variant {
    uint32_t phase;
    bool works_alone, hopeless; /* found out when it first fails */
    struct kernel kernel;
};

/* Streams chosen for one try. */
struct choice {
    uint8_t a[KERNEL_OPS_MAX], b[KERNEL_OPS_MAX], d[KERNEL_OPS_MAX];
};

static bool reaches(const struct kernel_op *op, uint32_t stream)
{
    return machine_vxm_row_reaches(op->row, stream);
}

static bool same_cycle_user(const struct kernel *k, uint32_t level, uint16_t ref, uint32_t j)
{
    return k->ops[j].level == level && (k->ops[j].a == ref || k->ops[j].b == ref);
}

/* One read of memory serves every op of the level that takes this input. */
static bool try_input(struct place *p, const struct task *task, const struct kernel *k,
                      uint16_t ref, uint32_t level, uint32_t column, int64_t cycle,
                      struct choice *choice)
{
    const struct kernel_input *input = &k->inputs[REF_INDEX(ref)];
    bool west = p->c->buffers[input->access.buffer].slice >= p->machine->mem_slices;
    struct place_route route = {west, machine_vxm_read_position(p->machine, column, west)};
    struct place_mark mark = place_mark(p);
    for (uint32_t s = 0; s + input->planes <= ISA_STREAMS; s += input->planes) {
        bool reached = true;
        for (uint32_t j = 0; j < k->op_count; j++) {
            reached = reached && (!same_cycle_user(k, level, ref, j) || reaches(&k->ops[j], s));
        }
        if (!reached) {
            continue;
        }
        if (place_read(p, &input->access, 0, input->planes, task->n, route, s, cycle)) {
            for (uint32_t j = 0; j < k->op_count; j++) {
                if (same_cycle_user(k, level, ref, j)) {
                    choice->a[j] = k->ops[j].a == ref ? ISA_STREAM(west, s) : choice->a[j];
                    choice->b[j] = k->ops[j].b == ref ? ISA_STREAM(west, s) : choice->b[j];
                }
            }
            return true;
        }
        place_rollback(p, mark);
        if (p->hint > 0) {
            return false;
        }
    }
    return false;
}

static bool first_user(const struct kernel *k, uint32_t i, uint16_t ref)
{
    for (uint32_t j = 0; j < i; j++) {
        if (same_cycle_user(k, k->ops[i].level, ref, j)) {
            return false;
        }
    }
    return true;
}

static bool try_inputs(struct place *p, const struct task *task, const struct kernel *k,
                       int64_t start, struct choice *choice)
{
    for (uint32_t i = 0; i < k->op_count; i++) {
        const struct kernel_op *op = &k->ops[i];
        const uint16_t operands[2] = {op->a, op->b};
        for (uint32_t j = 0; j < 2; j++) {
            if (operands[j] == REF_NONE || !REF_IS_INPUT(operands[j]) ||
                (j == 1 && op->a == op->b) || !first_user(k, i, operands[j])) {
                continue;
            }
            int64_t cycle = start + (int64_t)op->level * (p->machine->vxm_cycles + 1);
            if (!try_input(p, task, k, operands[j], op->level, op->column, cycle, choice)) {
                return false;
            }
        }
    }
    return true;
}

/* Where op i's result must get to, and whether anyone computes with it. */
struct destination {
    bool west, consumed;
    uint32_t far; /* the furthest position anyone needs it at */
};

static struct destination find_destination(const struct place *p, const struct kernel *k,
                                           uint32_t i, uint32_t phase)
{
    const struct kernel_op *op = &k->ops[i];
    struct destination to = {.far = machine_vxm_write_position(p->machine, op->column)};
    for (uint32_t j = i + 1; j < k->op_count; j++) {
        to.consumed = to.consumed || k->ops[j].a == i || k->ops[j].b == i;
    }
    if (to.consumed) {
        to.west = !kernel_eastward(op, phase);
        to.far = machine_vxm_read_position(p->machine, kernel_level_column(phase, op->level + 1u),
                                           to.west);
    }
    for (uint32_t j = 0; j < k->output_count; j++) {
        if (k->outputs[j].op == i) {
            const struct buffer *buffer = &p->c->buffers[k->outputs[j].access.buffer];
            uint32_t furthest = buffer->slice + buffer_slices(buffer) - 1;
            uint32_t position = slice_position(p->machine, furthest);
            to.west = buffer->slice < p->machine->mem_slices;
            to.far = to.west ? BASE_MIN(to.far, position) : BASE_MAX(to.far, position);
        }
    }
    return to;
}

/* Books the slots of op i's results and stores them; a buffer of fewer bytes takes the low ones. */
static bool try_result_on(struct place *p, const struct task *task, const struct kernel *k,
                          uint32_t i, const struct destination *to, uint32_t stream, int64_t lands)
{
    uint32_t planes = kernel_result_planes((enum isa_op)k->ops[i].op);
    uint32_t from = machine_vxm_write_position(p->machine, k->ops[i].column);
    for (uint32_t v = 0; v < task->n; v++) {
        if (!reserve_stream(p->reserve, to->west, stream, planes, from, to->far, lands + v)) {
            return false;
        }
    }
    for (uint32_t j = 0; j < k->output_count; j++) {
        const struct access *access = &k->outputs[j].access;
        uint32_t stored = BASE_MIN(planes, p->c->buffers[access->buffer].planes);
        if (k->outputs[j].op == i &&
            !place_store(p, access, 0, stored, task->n, from, to->west, stream, lands)) {
            return false;
        }
    }
    return true;
}

static bool try_result(struct place *p, const struct task *task, const struct kernel *k, uint32_t i,
                       uint32_t phase, int64_t start, struct choice *choice)
{
    const struct kernel_op *op = &k->ops[i];
    struct destination to = find_destination(p, k, i, phase);
    uint32_t planes = kernel_result_planes((enum isa_op)op->op);
    int64_t lands =
        start + (int64_t)op->level * (p->machine->vxm_cycles + 1) + p->machine->vxm_cycles;
    struct place_mark mark = place_mark(p);
    for (uint32_t s = 0; s + planes <= ISA_STREAMS; s += planes) {
        bool reached = reaches(op, s);
        for (uint32_t j = i + 1; j < k->op_count; j++) {
            reached = reached && ((k->ops[j].a != i && k->ops[j].b != i) || reaches(&k->ops[j], s));
        }
        if (!reached) {
            continue;
        }
        if (try_result_on(p, task, k, i, &to, s, lands)) {
            choice->d[i] = ISA_STREAM(to.west, s);
            for (uint32_t j = i + 1; j < k->op_count; j++) {
                choice->a[j] = k->ops[j].a == i ? choice->d[i] : choice->a[j];
                choice->b[j] = k->ops[j].b == i ? choice->d[i] : choice->b[j];
            }
            return true;
        }
        place_rollback(p, mark);
        if (p->hint > 0) {
            return false;
        }
    }
    return false;
}

static bool try_variant(struct place *p, const struct task *task, const struct variant *variant,
                        int64_t start)
{
    const struct kernel *k = &variant->kernel;
    struct choice choice;
    if (!try_inputs(p, task, k, start, &choice)) {
        return false;
    }
    for (uint32_t i = 0; i < k->op_count; i++) {
        if (!try_result(p, task, k, i, variant->phase, start, &choice)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < k->op_count; i++) {
        const struct kernel_op *op = &k->ops[i];
        uint32_t alu = op->row * MACHINE_VXM_COLUMNS + op->column;
        struct isa_instruction instruction = {.op = op->op,
                                              .a = choice.a[i],
                                              .b = op->b == REF_NONE ? 0 : choice.b[i],
                                              .d = choice.d[i],
                                              .imm = op->imm};
        int64_t cycle = start + (int64_t)op->level * (p->machine->vxm_cycles + 1);
        for (uint32_t v = 0; v < task->n; v++) {
            if (!place_issue(p, machine_queue_vxm(p->machine, alu), cycle + v, &instruction)) {
                return false;
            }
        }
    }
    return true;
}

/* How much later the variant must start, as far as ALUs, slices and dependencies tell: quick, for
 * most starts are too early. From `limit` on the exact number does not matter. */
static int64_t variant_shift(const struct place *p, const struct task *task,
                             const struct variant *variant, int64_t start, int64_t limit)
{
    const struct kernel *k = &variant->kernel;
    uint32_t level_cycles = p->machine->vxm_cycles + 1;
    int64_t shift = 0;
    for (uint32_t i = 0; i < k->op_count && shift < limit; i++) {
        const struct kernel_op *op = &k->ops[i];
        int64_t cycle = start + (int64_t)op->level * level_cycles;
        uint32_t queue = machine_queue_vxm(p->machine, op->row * MACHINE_VXM_COLUMNS + op->column);
        shift = BASE_MAX(
            shift, (int64_t)reserve_queue_shift(p->reserve, queue, RESERVE_ALONE, cycle, task->n));
        const uint16_t operands[2] = {op->a, op->b};
        for (uint32_t j = 0; j < 2; j++) {
            if (operands[j] == REF_NONE || !REF_IS_INPUT(operands[j])) {
                continue;
            }
            const struct kernel_input *in = &k->inputs[REF_INDEX(operands[j])];
            bool west = p->c->buffers[in->access.buffer].slice >= p->machine->mem_slices;
            struct place_route route = {west,
                                        machine_vxm_read_position(p->machine, op->column, west)};
            shift = BASE_MAX(
                shift, place_read_shift(p, &in->access, 0, in->planes, task->n, route, cycle));
        }
    }
    for (uint32_t i = 0; i < k->output_count && shift < limit; i++) {
        const struct kernel_op *op = &k->ops[k->outputs[i].op];
        const struct access *access = &k->outputs[i].access;
        uint32_t planes = BASE_MIN(kernel_result_planes((enum isa_op)op->op),
                                   p->c->buffers[access->buffer].planes);
        int64_t lands = start + (int64_t)op->level * level_cycles + p->machine->vxm_cycles;
        uint32_t from = machine_vxm_write_position(p->machine, op->column);
        shift = BASE_MAX(shift, place_store_shift(p, access, 0, planes, task->n, from, lands));
    }
    return shift;
}

/* Whether a variant that failed may have a place elsewhere: a burst that stands in its own way has
 * none even where nothing else is booked, at the end of the tables. */
static bool can_work(struct place *p, const struct task *task, struct variant *variant)
{
    if (!variant->works_alone) {
        const struct place_mark mark = place_mark(p);
        variant->works_alone =
            try_variant(p, task, variant, reserve_end(p->reserve) - ALONE_CYCLES);
        variant->hopeless = !variant->works_alone;
        place_rollback(p, mark);
    }
    return variant->works_alone;
}

static void find_variants(struct place *p, const struct task *task)
{
    struct variant *variants = p->variants;
    if (variants == NULL) {
        variants = BASE_NEW(&p->c->arena, struct variant, VARIANTS_MAX);
    }
    uint32_t count = 0;
    for (uint32_t turn = 0; turn < MACHINE_VXM_ROWS; turn++) {
        for (uint32_t phase = 0; phase < 6; phase++) {
            variants[count].phase = phase;
            variants[count].works_alone = variants[count].hopeless = false;
            if (kernel_map(p->c, task->kernel, phase, turn, task->n, &variants[count].kernel)) {
                count++;
            }
        }
    }
    p->kernel_task = task;
    p->variants = variants;
    p->variant_count = count;
}

bool place_kernel(struct place *p, const struct task *task, int64_t start)
{
    if (p->kernel_task != task) {
        find_variants(p, task);
    }
    const struct place_mark mark = place_mark(p);
    int64_t hint = NEVER;
    for (uint32_t i = 0; i < p->variant_count; i++) {
        struct variant *variant = &p->variants[i];
        int64_t shift = variant->hopeless ? NEVER : variant_shift(p, task, variant, start, hint);
        if (shift == 0) {
            p->hint = 0;
            if (try_variant(p, task, variant, start)) {
                return true;
            }
            place_rollback(p, mark);
            shift = can_work(p, task, variant) ? 1 : NEVER;
        }
        hint = BASE_MIN(hint, shift);
        if (i == 0 && shift > VARIANTS_APART && shift < NEVER) {
            hint = shift - VARIANTS_APART;
            break;
        }
    }
    p->hint = hint;
    return false;
}
