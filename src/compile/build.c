/*
 * Building tasks: the vocabulary in which lower_*.c says what happens.
 *
 * Requires: an open compilation. Fills in: buffers and tasks.
 */
#include "compile/internal.h"

#include <string.h>

uint32_t build_buffer(struct compiler *c, enum buffer_kind kind, uint32_t planes, uint32_t count,
                      const char *format, ...)
{
    char name[48];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    BASE_ASSERT(length > 0 && (size_t)length < sizeof name - 4);
    if (c->attending != NONE && strncmp(name, "attention.", 10) == 0) { /* each user has its own */
        snprintf(name + length, sizeof name - (size_t)length, "@%u", c->attending);
    } else if (c->waves > 1) {
        snprintf(name + length, sizeof name - (size_t)length, "@%u", c->wave);
    }
    for (uint32_t i = c->plan->buffer_count; i < c->buffer_count; i++) {
        struct buffer *b = &c->buffers[i];
        if (strcmp(b->name, name) == 0) {
            BASE_ASSERT(b->kind == kind && b->planes == planes && b->count == count);
            return i;
        }
    }
    BASE_ASSERT(c->buffer_count < c->buffer_capacity && count > 0);
    struct buffer *b = &c->buffers[c->buffer_count];
    memcpy(b->name, name, sizeof name);
    b->kind = kind;
    b->planes = planes;
    b->count = count;
    b->slice = NONE;
    return c->buffer_count++;
}

struct task *build_task(struct compiler *c, enum task_kind kind, uint32_t n, const char *format,
                        ...)
{
    BASE_ASSERT(c->task_count < c->task_capacity && n > 0);
    struct task *task = &c->tasks[c->task_count++];
    task->kind = kind;
    task->layer = c->layer;
    task->turn = c->turns;
    task->n = n;
    task->in = task->out = task->map = task->offset = access_none();
    task->target_address = access_none();
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(task->name, sizeof task->name, format, arguments);
    va_end(arguments);
    return task;
}

void build_kernel(struct compiler *c, uint32_t n, const char *name)
{
    struct task *task = build_task(c, TASK_KERNEL, n, "%s", name);
    task->kernel = BASE_NEW(&c->arena, struct kernel, 1);
    c->open = task->kernel;
}

uint16_t build_input(struct compiler *c, struct access access, uint32_t planes)
{
    struct kernel *k = c->open;
    BASE_ASSERT(k->input_count < KERNEL_INPUTS_MAX && access.buffer != NONE);
    k->inputs[k->input_count] = (struct kernel_input){access, (uint8_t)planes};
    return REF_INPUT(k->input_count++);
}

uint16_t build_op(struct compiler *c, enum isa_op op, uint16_t a, uint16_t b, uint32_t imm)
{
    struct kernel *k = c->open;
    BASE_ASSERT(k->op_count < KERNEL_OPS_MAX);
    k->ops[k->op_count] = (struct kernel_op){.op = (uint8_t)op, .a = a, .b = b, .imm = imm};
    return (uint16_t)k->op_count++;
}

void build_output(struct compiler *c, uint16_t ref, struct access access)
{
    struct kernel *k = c->open;
    BASE_ASSERT(k->output_count < KERNEL_OUTPUTS_MAX && !REF_IS_INPUT(ref));
    k->outputs[k->output_count++] = (struct kernel_output){ref, access};
}

uint32_t build_width(const struct compiler *c, uint32_t planes)
{
    if (planes == 1) {
        return 4;
    }
    /* With a latency of one cycle the operands of all levels lie on one diagonal. */
    return c->machine->vxm_cycles == 1 ? 1 : 2;
}

uint16_t build_reduce(struct compiler *c, enum isa_op op, const uint16_t *refs, uint32_t count,
                      uint32_t width)
{
    uint16_t partial[8];
    uint32_t partials = 0, next = 0;
    BASE_ASSERT(count > 0 && width <= 8);
    while (partials < width && next + 1 < count) {
        partial[partials++] = build_op(c, op, refs[next], refs[next + 1], 0);
        next += 2;
    }
    if (partials == 0) {
        return refs[0];
    }
    /* Every further input joins one of the chains, a level a round. */
    for (uint32_t lane = 0; next < count; lane = (lane + 1) % partials) {
        partial[lane] = build_op(c, op, partial[lane], refs[next++], 0);
    }
    for (; partials > 1; partials = (partials + 1) / 2) {
        for (uint32_t i = 0; i + 1 < partials; i += 2) {
            partial[i / 2] = build_op(c, op, partial[i], partial[i + 1], 0);
        }
        if (partials % 2 == 1) {
            partial[partials / 2] = partial[partials - 1];
        }
    }
    return partial[0];
}

void build_load(struct compiler *c, const struct tile *tile, const char *name)
{
    struct task *task = build_task(c, TASK_LOAD, tile->count, "%s", name);
    task->tile = *tile;
}

struct pass *build_pass(struct compiler *c, const struct tile *tile, uint32_t vectors, bool first,
                        bool last, const char *name)
{
    struct task *task = build_task(c, TASK_PASS, vectors, "%s", name);
    task->pass = BASE_NEW(&c->arena, struct pass, 1);
    task->pass->hemisphere = tile->hemisphere;
    task->pass->plane = tile->plane;
    task->pass->vectors = task->pass->slots = vectors;
    task->pass->first = first;
    task->pass->last = last;
    return task->pass;
}

void build_segment(struct pass *pass, bool is_signed, uint32_t plane, struct access input,
                   struct access output)
{
    BASE_ASSERT(pass->segment_count < PASS_SEGMENTS_MAX);
    pass->segments[pass->segment_count++] =
        (struct pass_segment){is_signed, (uint8_t)plane, input, output};
}
