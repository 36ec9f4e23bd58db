/* The manual of the instruction set, from isa.def. */
#include "isa/isa.h"
#include "isa/table.h"

static void write_head(struct base_text *out)
{
    base_text_format(
        out,
        "# The instruction set\n\n"
        "<!-- Printed by `takt isa` from isa.def: change the rows there. -->\n\n"
        "## Words\n\n"
        "An instruction is one word of 64 bits: the opcode in bits 63..56, the operands in the\n"
        "fields of its row, every other bit zero. A word with another bit set, an unknown opcode,\n"
        "a stream group that is not aligned, or a zero where a count belongs is refused before\n"
        "anything runs. In assembly the operands stand in the order of the row's table, separated\n"
        "by commas (ASSEMBLY.md).\n\n"
        "Marks say where an instruction's existence comes from: **P** the published papers, **T**\n"
        "third-party code run on real cards, **O** ours. The encodings are all ours.\n\n"
        "## Streams\n\n"
        "There are %u eastward streams (`e0`..`e%u`) and %u westward ones (`w0`..`w%u`), one byte "
        "a\n"
        "lane. Two bytes a lane take an aligned pair of streams, four an aligned group of four,\n"
        "low byte first; an operand names the first stream of its group. In a word, bit 5 of a\n"
        "stream field is the direction (1 west), bits 4..0 the stream.\n\n"
        "A value on a stream moves one position a cycle in its direction until it is overwritten\n"
        "or leaves the chip. A consumer reads the passing value, which moves on.\n\n",
        ISA_STREAMS, ISA_STREAMS - 1, ISA_STREAMS, ISA_STREAMS - 1);
    base_text_format(
        out,
        "## Timing\n\n"
        "Operands are read at the cycle of issue, t, at the unit's input position. A result with\n"
        "latency L is on its stream at the unit's output position at cycle t + L and moves one\n"
        "position a cycle from there: at distance d it can be read at t + L + d. Latencies and\n"
        "positions are the machine's (MACHINE.md). Nothing waits for anything: an operand read\n"
        "from a slot that holds no value, two results for one slot, and every other slip is a\n"
        "fault that stops the machine.\n\n"
        "Every queue issues its own text from cycle 0, one instruction a cycle. All superlanes\n"
        "count as working in the same cycle: the skew between them cancels in every transfer.\n\n"
        "## Repeat\n\n"
        "`repeat N, D, S` directly after an instruction issues it N more times, D cycles apart,\n"
        "its address (or row group, or accumulator; both addresses of a readwrite) increased by S\n"
        "each time. It takes no cycle itself: if the instruction issued at t, its repetitions\n"
        "issue at t + D, t + 2 D, ..., t + N D, and the next instruction of the queue at\n"
        "t + N D + 1. The address step is ours.\n\n"
        "## Text in memory\n\n"
        "A queue holds little of its text: icu_buffer_blocks blocks of two vectors (640 bytes "
        "each\n"
        "on tsp1). The first block is there when a program starts; the others lie in memory, and\n"
        "Reads and Ifetches of the program itself bring them in time. In memory an instruction\n"
        "takes 1 to 8 bytes: the opcode, then the operands in the order of the row's table, each\n"
        "from its lowest bit, without gaps, and zeros up to a whole byte. Instructions follow "
        "each\n"
        "other without gaps and across blocks; zeros fill the last block. A Repeat counts as part\n"
        "of the instruction before it, which issues only when both are there.\n\n"
        "An instruction that is not in the buffer when its cycle comes is a fault (late-fetch), "
        "and\n"
        "so is an Ifetch into a full buffer or after the text's end (fetch) and a fetched byte\n"
        "string that is no instruction of the queue (illegal). What was fetched is what is\n"
        "executed. With icu_buffer_blocks = 0 the queues hold all of their text from the start.\n");
}

/* "31..16 DELAY", from the top down, with the zeros between. */
static void write_layout(const struct isa_op_info *op, struct base_text *out)
{
    int top = ISA_OPCODE_LSB - 1;
    base_text_format(out, "Word: 63..%d = 0x%02x", ISA_OPCODE_LSB, op->opcode);
    while (top >= 0) {
        const struct isa_field_info *next = NULL;
        for (size_t i = 0; i < ISA_FIELDS_MAX && op->fields[i] != ISA_FIELD_NONE; i++) {
            const struct isa_field_info *field = isa_field_info(op->fields[i]);
            if (field->lsb <= top && (next == NULL || field->lsb > next->lsb)) {
                next = field;
            }
        }
        int field_top = next == NULL ? -1 : next->lsb + next->bits - 1;
        if (field_top < top) {
            base_text_format(out, ", %d..%d = 0", top, field_top + 1);
        }
        if (next != NULL) {
            base_text_format(out, ", %d..%d = %s", field_top, next->lsb, next->name);
        }
        top = next == NULL ? -1 : next->lsb - 1;
    }
    base_text_format(out, ".\n");
}

static void write_kind(const struct isa_field_info *field, struct base_text *out)
{
    long long span = 1LL << field->bits;
    switch (field->kind) {
    case ISA_KIND_STREAM_IN:
    case ISA_KIND_STREAM_OUT:
        base_text_format(out, "%s %u stream%s",
                         field->kind == ISA_KIND_STREAM_IN ? "reads" : "writes", field->width,
                         field->width == 1 ? "" : "s, aligned");
        return;
    case ISA_KIND_IMMEDIATE: base_text_format(out, "%u bits", field->bits); return;
    case ISA_KIND_SIGNED: base_text_format(out, "%lld..%lld", -span / 2, span / 2 - 1); return;
    default: base_text_format(out, "%d..%lld", field->kind == ISA_KIND_POSITIVE, span - 1); return;
    }
}

static void write_op(const struct isa_op_info *op, struct base_text *out)
{
    const char *separator = " ";
    base_text_format(out, "\n### `%s`\n\n`%s", op->mnemonic, op->mnemonic);
    for (size_t i = 0; i < ISA_FIELDS_MAX && op->fields[i] != ISA_FIELD_NONE; i++) {
        base_text_format(out, "%s%s", separator, isa_field_info(op->fields[i])->name);
        separator = ", ";
    }
    base_text_format(out, "` (%c)\n\n%s\n\n", op->mark, op->doc);
    if (op->fields[0] != ISA_FIELD_NONE) {
        base_text_format(out, "| operand | bits | values | meaning |\n|---|---|---|---|\n");
    }
    for (size_t i = 0; i < ISA_FIELDS_MAX && op->fields[i] != ISA_FIELD_NONE; i++) {
        const struct isa_field_info *field = isa_field_info(op->fields[i]);
        base_text_format(out, "| %s | %d..%d | ", field->name, field->lsb + field->bits - 1,
                         field->lsb);
        write_kind(field, out);
        base_text_format(out, " | %s |\n", field->doc);
    }
    base_text_format(out, "%s", op->fields[0] != ISA_FIELD_NONE ? "\n" : "");
    write_layout(op, out);
}

void isa_manual(struct base_text *out)
{
    static const char *const notes[ISA_UNIT_COUNT] = {
        [ISA_UNIT_ICU] = "Any queue may hold these.",
        [ISA_UNIT_MEM] = "A slice issues one instruction a cycle; its array serves one read and "
                         "one write a cycle, in different banks. Each 16 bytes have nine bits of "
                         "ECC: a Read or a Gather puts one wrong bit right, two are a machine "
                         "check.",
        [ISA_UNIT_VXM] = "Any of the sixteen ALUs, on the streams its row reaches. binary32 "
                         "arithmetic is IEEE-754, rounded to nearest even; conversions saturate, "
                         "NaN converts to 0.",
        [ISA_UNIT_VXM_LARGE] = "Only the large ALUs, half of the sixteen (MACHINE.md names them).",
        [ISA_UNIT_MXM_WEIGHTS] = "The queue of a plane that fills its weight buffer.",
        [ISA_UNIT_MXM_ACTIVATIONS] = "The queue of a plane that streams activations through it.",
        [ISA_UNIT_MXM_RESULTS] = "The queue of a plane that takes its results, in the cycle they "
                                 "arrive.",
        [ISA_UNIT_SXM_PERMUTE] = "The permuter of a hemisphere.",
        [ISA_UNIT_SXM_DISTRIBUTE] = "One of the four distributors of a hemisphere.",
        [ISA_UNIT_SXM_TRANSPOSE] = "One of the two transposers of a hemisphere.",
        [ISA_UNIT_SXM_SHIFT] = "One of the two lane shifters of a hemisphere, which also select.",
        [ISA_UNIT_SXM_ROTATE] = "The rotator of a hemisphere.",
        [ISA_UNIT_C2C] = "One of the four queues of a hemisphere that serve its links to other "
                         "chips. A vector that finds the link's buffer full, and one that nobody "
                         "has received when the program ends, are faults.",
    };
    write_head(out);
    for (unsigned unit = 0; unit < ISA_UNIT_COUNT; unit++) {
        base_text_format(out, "\n## %s\n\n%s\n", isa_unit_name((enum isa_unit)unit), notes[unit]);
        for (unsigned op = 0; op < ISA_OP_COUNT; op++) {
            if (isa_op_info((enum isa_op)op)->unit == (enum isa_unit)unit) {
                write_op(isa_op_info((enum isa_op)op), out);
            }
        }
    }
}
