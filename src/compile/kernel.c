/*
 * Mapping a VXM kernel to ALUs.
 *
 * Requires: a kernel in topological order. Fills in: level, column and row of every op; adds copies
 * where a value must wait a level or leave in two directions.
 *
 * Data crosses the columns in a zigzag: 0 1 2 3 2 1 0 1 ...; an op of level n issues n levels after
 * the first, and its result reaches the next column's read stage exactly then, so a value needs no
 * place to wait. An op that could run early is moved to the level before its consumer.
 */
#include "compile/internal.h"

#include <string.h>

static const uint8_t ZIGZAG[6] = {0, 1, 2, 3, 2, 1};

uint32_t kernel_level_column(uint32_t phase, uint32_t level)
{
    return ZIGZAG[(phase + level) % 6];
}

bool kernel_eastward(const struct kernel_op *op, uint32_t phase)
{
    return kernel_level_column(phase, op->level + 1u) > op->column;
}

uint32_t kernel_result_planes(enum isa_op op)
{
    const struct isa_op_info *info = isa_op_info(op);
    for (uint32_t i = 0; i < ISA_FIELDS_MAX; i++) {
        const struct isa_field_info *field = isa_field_info(info->fields[i]);
        if (info->fields[i] != ISA_FIELD_NONE && field->kind == ISA_KIND_STREAM_OUT) {
            return field->width;
        }
    }
    return 0;
}

static bool uses(const struct kernel_op *op, uint16_t ref)
{
    return op->a == ref || op->b == ref;
}

/* Levels: as early as operands allow, then as late as consumers allow for ops that read only
 * memory. */
void kernel_levels(struct kernel *k)
{
    for (uint32_t i = 0; i < k->op_count; i++) {
        struct kernel_op *op = &k->ops[i];
        op->level = 0;
        const uint16_t operands[2] = {op->a, op->b};
        for (uint32_t j = 0; j < 2; j++) {
            if (operands[j] != REF_NONE && !REF_IS_INPUT(operands[j])) {
                op->level = (uint8_t)BASE_MAX(op->level, k->ops[operands[j]].level + 1);
            }
        }
    }
    for (uint32_t i = k->op_count; i-- > 0;) {
        uint32_t latest = 255;
        for (uint32_t j = i + 1; j < k->op_count; j++) {
            if (uses(&k->ops[j], (uint16_t)i)) {
                latest = BASE_MIN(latest, k->ops[j].level - 1u);
            }
        }
        if (latest != 255) {
            k->ops[i].level = (uint8_t)latest;
        }
    }
}

/* Inserts a copy of op `ref` at index `at`, behind it; later references are renumbered. */
static uint16_t insert_copy(struct kernel *k, uint16_t ref)
{
    uint32_t at = ref + 1u;
    if (k->op_count == KERNEL_OPS_MAX) {
        return REF_NONE;
    }
    memmove(&k->ops[at + 1], &k->ops[at], (k->op_count - at) * sizeof k->ops[0]);
    k->op_count++;
    for (uint32_t i = at + 1; i < k->op_count; i++) {
        uint16_t *operands[2] = {&k->ops[i].a, &k->ops[i].b};
        for (uint32_t j = 0; j < 2; j++) {
            if (*operands[j] != REF_NONE && !REF_IS_INPUT(*operands[j]) && *operands[j] >= at) {
                ++*operands[j];
            }
        }
    }
    for (uint32_t i = 0; i < k->output_count; i++) {
        k->outputs[i].op = (uint16_t)(k->outputs[i].op + (k->outputs[i].op >= at ? 1 : 0));
    }
    uint32_t planes = kernel_result_planes((enum isa_op)k->ops[ref].op);
    BASE_ASSERT(planes != 2);
    k->ops[at] = (struct kernel_op){.op = planes == 1 ? ISA_COPY_B8 : ISA_COPY_B32,
                                    .a = ref,
                                    .b = REF_NONE,
                                    .level = (uint8_t)(k->ops[ref].level + 1)};
    return (uint16_t)at;
}

/* A value whose consumers stand further than one level on is handed on by copies. */
static bool bridge_levels(struct kernel *k)
{
    for (uint16_t i = 0; i < k->op_count; i++) {
        uint32_t next = k->ops[i].level + 1u;
        bool far = false;
        for (uint32_t j = i + 1u; j < k->op_count; j++) {
            far = far || (uses(&k->ops[j], i) && k->ops[j].level > next);
        }
        if (!far) {
            continue;
        }
        uint16_t copy = insert_copy(k, i);
        if (copy == REF_NONE) {
            return false;
        }
        for (uint32_t j = copy + 1u; j < k->op_count; j++) {
            struct kernel_op *op = &k->ops[j];
            if (op->level > next) {
                op->a = op->a == i ? copy : op->a;
                op->b = op->b == i ? copy : op->b;
            }
        }
    }
    return true;
}

/* Two rows at most can read a stream in one cycle: of a value with more consumers, all but the
 * first take a copy. */
static bool limit_consumers(struct kernel *k)
{
    for (uint16_t i = 0; i < k->op_count; i++) {
        uint32_t consumers = 0;
        for (uint32_t j = i + 1u; j < k->op_count; j++) {
            consumers += uses(&k->ops[j], i);
        }
        if (consumers <= 2) {
            continue;
        }
        uint16_t copy = insert_copy(k, i);
        if (copy == REF_NONE) {
            return false;
        }
        bool first = true;
        for (uint32_t j = copy + 1u; j < k->op_count; j++) {
            struct kernel_op *op = &k->ops[j];
            if (uses(op, i) && !first) {
                op->a = op->a == i ? copy : op->a;
                op->b = op->b == i ? copy : op->b;
            }
            first = first && !uses(op, i);
        }
    }
    return true;
}

static bool has_consumer(const struct kernel *k, uint16_t ref)
{
    for (uint32_t j = 0; j < k->op_count; j++) {
        if (uses(&k->ops[j], ref)) {
            return true;
        }
    }
    return false;
}

/* A result leaves in one direction: outputs in the other hemisphere get a copy that turns round. */
static bool split_directions(const struct compiler *c, struct kernel *k, uint32_t phase)
{
    for (uint32_t i = 0; i < k->output_count; i++) {
        uint16_t ref = k->outputs[i].op;
        const struct kernel_op *op = &k->ops[ref];
        bool east = c->buffers[k->outputs[i].access.buffer].slice >= c->machine->mem_slices;
        bool clash = has_consumer(k, ref) && (kernel_level_column(phase, op->level + 1u) >
                                              kernel_level_column(phase, op->level)) != east;
        for (uint32_t j = 0; j < i; j++) {
            bool other = c->buffers[k->outputs[j].access.buffer].slice >= c->machine->mem_slices;
            clash = clash || (k->outputs[j].op == ref && other != east);
        }
        if (!clash) {
            continue;
        }
        uint16_t copy = insert_copy(k, ref);
        if (copy == REF_NONE) {
            return false;
        }
        k->outputs[i].op = copy;
        i = NONE; /* start over: numbers have changed */
    }
    return true;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static bool rows_share(uint32_t a, uint32_t b)
{
    return (a + 4 - b) % 4 != 2;
}

static bool row_fits(const struct kernel *k, uint32_t index, uint32_t row, uint32_t n,
                     uint32_t level_cycles)
{
    const struct kernel_op *op = &k->ops[index];
    if (isa_op_info((enum isa_op)op->op)->unit == ISA_UNIT_VXM_LARGE &&
        !machine_vxm_is_large(row * MACHINE_VXM_COLUMNS + op->column)) {
        return false;
    }
    for (uint32_t j = 0; j < index; j++) {
        const struct kernel_op *other = &k->ops[j];
        if (other->column == op->column && other->row == row) {
            uint32_t apart = (uint32_t)(other->level > op->level ? other->level - op->level
                                                                 : op->level - other->level);
            if (apart * level_cycles < n) {
                return false;
            }
        }
        bool linked = uses(op, (uint16_t)j);
        bool sibling = false; /* reads the same value in the same cycle */
        if (other->level == op->level) {
            sibling = (op->a != REF_NONE && uses(other, op->a)) ||
                      (op->b != REF_NONE && uses(other, op->b));
        }
        if ((linked || sibling) && !rows_share(other->row, row)) {
            return false;
        }
    }
    return true;
}

static bool assign_rows(struct kernel *k, uint32_t index, uint32_t turn, uint32_t n,
                        uint32_t level_cycles, uint32_t *budget)
{
    if (index == k->op_count) {
        return true;
    }
    struct kernel_op *op = &k->ops[index];
    uint32_t prefer = op->a != REF_NONE && !REF_IS_INPUT(op->a) ? k->ops[op->a].row : index + turn;
    for (uint32_t i = 0; i < MACHINE_VXM_ROWS; i++) {
        uint32_t row = (prefer + i) % MACHINE_VXM_ROWS;
        if (*budget == 0) {
            return false;
        }
        --*budget;
        if (row_fits(k, index, row, n, level_cycles)) {
            op->row = (uint8_t)row;
            if (assign_rows(k, index + 1, turn, n, level_cycles, budget)) {
                return true;
            }
        }
    }
    return false;
}

bool kernel_map(const struct compiler *c, const struct kernel *kernel, uint32_t phase,
                uint32_t turn, uint32_t n, struct kernel *mapped)
{
    *mapped = *kernel;
    if (!limit_consumers(mapped)) {
        return false;
    }
    kernel_levels(mapped);
    if (!bridge_levels(mapped) || !split_directions(c, mapped, phase)) {
        return false;
    }
    for (uint32_t i = 0; i < mapped->op_count; i++) {
        mapped->ops[i].column = (uint8_t)kernel_level_column(phase, mapped->ops[i].level);
    }
    uint32_t budget = 4000;
    return assign_rows(mapped, 0, turn, n, c->machine->vxm_cycles + 1, &budget);
}
