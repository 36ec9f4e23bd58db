/* The manual of machines, from machine.def and the floor plan of tsp1. */
#include "machine/machine.h"

static const char *mark_name(char mark)
{
    switch (mark) {
    case 'P': return "paper";
    case 'B': return "vendor brief";
    case 'T': return "third party";
    case 'D': return "derived";
    default: return "ours";
    }
}

static void write_head(struct base_text *out)
{
    base_text_format(
        out,
        "# Machines\n\n"
        "<!-- Printed by `takt machine` from machine.def: change the rows there. -->\n\n"
        "A machine is data: the parameters below. `tsp1`, the machine when no file is given, has\n"
        "each at its default. A machine file has lines `name = value`, and `name = \"text\"` for\n"
        "the machine's own name; `#` begins a comment; what a file leaves out is as in tsp1.\n"
        "`machines/` holds examples. A program names the machine it was compiled for and runs on\n"
        "no other.\n\n"
        "Where a number comes from: **paper** (ISCA 2020, ISCA 2022), **vendor brief** or the\n"
        "vendor's open code, **third party** code run on real cards, **derived** by arithmetic,\n"
        "**ours** where nothing is public.\n\n");
}

static void write_parameters(struct base_text *out)
{
    base_text_format(out, "## Parameters\n\n"
                          "| name | default | bounds | unit | from | meaning |\n"
                          "|---|---|---|---|---|---|\n");
    for (uint32_t i = 0; i < machine_parameter_count(); i++) {
        const struct machine_parameter *row = machine_parameter(i);
        base_text_format(out, "| `%s` | %u | %u..%u | %s | %s | %s |\n", row->name, row->standard,
                         row->minimum, row->maximum, row->unit, mark_name(row->mark), row->doc);
    }
    base_text_format(
        out,
        "\nBesides the bounds: `mem_slices` is a multiple of %u (so many slices share "
        "a position),\n`mem_words` is even (two banks), and the floor plan has at most "
        "%u positions (a limit of\ntakt). A vector has superlanes x %u lanes, one byte "
        "each.\n\n",
        MACHINE_SLICES_PER_POSITION, MACHINE_POSITIONS_MAX, MACHINE_LANES_PER_SUPERLANE);
}

static void write_range(struct base_text *out, uint32_t first, uint32_t count, const char *unit)
{
    if (count == 1) {
        base_text_format(out, "| %u | %s |\n", first, unit);
    } else if (count > 1) {
        base_text_format(out, "| %u-%u | %s |\n", first, first + count - 1, unit);
    }
}

static void write_floor_plan(const struct machine *machine, struct base_text *out)
{
    uint32_t mem = machine->mem_slices / MACHINE_SLICES_PER_POSITION;
    uint32_t vxm = machine_vxm_position(machine);
    uint32_t last = machine->mem_slices - 1;
    uint32_t sxm = machine_sxm_position(machine, MACHINE_WEST);
    char text[80];
    base_text_format(out,
                     "## Floor plan of tsp1\n\n"
                     "Streams pass positions 0 .. %u, eastward ones upwards, westward ones "
                     "downwards, one a cycle.\n\n| position | unit |\n|---|---|\n",
                     machine_positions(machine) - 1);
    write_range(out, machine_mxm_position(machine, MACHINE_WEST), 1, "MXM west, two planes");
    write_range(out, sxm - 1, 2, "SXM west; its units are at the inner position");
    write_range(out, sxm + 1, machine->io_positions, "links, west");
    (void)snprintf(text, sizeof text, "MEM west: slice %u at %u ... slice 0 at %u", last,
                   machine_mem_position(machine, MACHINE_WEST, last),
                   machine_mem_position(machine, MACHINE_WEST, 0));
    write_range(out, vxm - mem, mem, text);
    write_range(out, vxm, MACHINE_VXM_STAGES, "VXM: nine stages");
    (void)snprintf(text, sizeof text, "MEM east: slice 0 at %u ... slice %u at %u",
                   machine_mem_position(machine, MACHINE_EAST, 0), last,
                   machine_mem_position(machine, MACHINE_EAST, last));
    write_range(out, vxm + MACHINE_VXM_STAGES, mem, text);
    write_range(out, vxm + MACHINE_VXM_STAGES + mem, machine->io_positions, "links, east");
    write_range(out, machine_sxm_position(machine, MACHINE_EAST), 2,
                "SXM east; its units are at the inner position");
    write_range(out, machine_mxm_position(machine, MACHINE_EAST), 1, "MXM east, two planes");
    base_text_format(
        out,
        "\nThe units of an SXM share its inner position: %u west, %u east; those of "
        "C2C the position\nnext to MEM: %u west, %u east.\n\n",
        machine_sxm_position(machine, MACHINE_WEST), machine_sxm_position(machine, MACHINE_EAST),
        machine_c2c_position(machine, MACHINE_WEST), machine_c2c_position(machine, MACHINE_EAST));
}

static void write_vxm(const struct machine *machine, struct base_text *out)
{
    base_text_format(out, "## The vector unit\n\n"
                          "Sixteen ALUs in four rows and four columns; ALU = 4 row + column. Where "
                          "a column meets the\nstreams:\n\n"
                          "| column | reads eastward at | reads westward at | writes at |\n"
                          "|---|---|---|---|\n");
    for (uint32_t column = 0; column < MACHINE_VXM_COLUMNS; column++) {
        base_text_format(out, "| %u | %u | %u | %u |\n", column,
                         machine_vxm_read_position(machine, column, false),
                         machine_vxm_read_position(machine, column, true),
                         machine_vxm_write_position(machine, column));
    }
    base_text_format(out, "\nStreams a row reaches, in both directions:\n\n"
                          "| row | streams | ALUs | large ALUs |\n|---|---|---|---|\n");
    for (uint32_t row = 0; row < MACHINE_VXM_ROWS; row++) {
        const char *separator = "";
        base_text_format(out, "| %u | ", row);
        for (uint32_t stream = 0; stream < ISA_STREAMS; stream += 4) {
            if (machine_vxm_row_reaches(row, stream)) {
                base_text_format(out, "%s%u-%u", separator, stream, stream + 3);
                separator = ", ";
            }
        }
        uint32_t first = row * MACHINE_VXM_COLUMNS;
        base_text_format(out, " | %u-%u | ", first, first + MACHINE_VXM_COLUMNS - 1);
        separator = "";
        for (uint32_t alu = first; alu < first + MACHINE_VXM_COLUMNS; alu++) {
            if (machine_vxm_is_large(alu)) {
                base_text_format(out, "%s%u", separator, alu);
                separator = ", ";
            }
        }
        base_text_format(out, " |\n");
    }
    base_text_format(out, "\n");
}

static void write_queues(const struct machine *machine, struct base_text *out)
{
    uint32_t count = machine_queue_count(machine);
    base_text_format(out,
                     "## Instruction queues of tsp1\n\n"
                     "%u queues, each with its own text.\n\n"
                     "| queues | names | unit |\n|---|---|---|\n",
                     count);
    for (uint32_t first = 0; first < count;) {
        struct machine_queue queue = machine_queue(machine, first);
        uint32_t next = first + 1;
        bool listed = queue.unit == ISA_UNIT_MEM || queue.unit == ISA_UNIT_C2C;
        while (listed && next < count && machine_queue(machine, next).unit == queue.unit &&
               machine_queue(machine, next).hemisphere == queue.hemisphere) {
            next++;
        }
        char name[32], last[32];
        machine_queue_name(machine, first, name);
        machine_queue_name(machine, next - 1, last);
        const char *unit = isa_unit_name(queue.unit);
        if (next == first + 1) {
            base_text_format(out, "| %u | `%s` | %s |\n", first, name, unit);
        } else {
            base_text_format(out, "| %u-%u | `%s` .. `%s` | %s |\n", first, next - 1, name, last,
                             unit);
        }
        first = next;
    }
}

/* tests/test_timings.c measures each of these. */
static void write_timings(struct base_text *out)
{
    base_text_format(
        out,
        "\n## Published timings\n\n"
        "Measured by the suite's group `timings` on programs of a few instructions, each once as\n"
        "published and once a cycle less, which must fail.\n\n"
        "| event | published | from | tsp1 |\n|---|---|---|---|\n"
        "| Notify to every Sync retired | 35 | paper | 35 |\n"
        "| longest NOP | 65,535 | paper | 65,535 |\n"
        "| one hop | 1 | paper | 1 |\n"
        "| crossing the 44 slices of a hemisphere | 11 | third party | 11 |\n"
        "| all 409,600 weights, memory to installed | under 40, 20 of them transfer | paper | 36, "
        "20 |\n"
        "| a full plane | a result vector a cycle | paper | a vector a cycle |\n"
        "| transposer, VXM with three chained operations, back, distributor | 50 | third party | "
        "50 |\n"
        "| int8 vector by matrix, K = 80, weights to a VXM operand | 76 | third party | 76 |\n"
        "| next chunk of K on the same plane | 27, then 30 | third party | 21 |\n"
        "| the same rows into a second plane | max(K / 16, 10) later | third party | K / 16 |\n"
        "\nThe two third-party counts of 50 and 76 are of cycles with both ends: 49 and 75 from\n"
        "issue to issue. Both hold with the floor plan above, 3 cycles an operation and 32 to the\n"
        "accumulators (the last derived from the 76).\n\n"
        "Two cannot hold with the rest. A chunk of 320 rows 27 or 30 cycles after the last, on "
        "one\n"
        "plane, leaves no way to stream weights into all planes at the papers' 20,480 bytes a\n"
        "cycle: a plane takes 20 cycles of transfer, and here one more for the install. The "
        "papers\n"
        "are taken; 27 and 30 are times of one toolchain's programs. For the same reason a second\n"
        "plane may follow after K / 16 cycles also where K is below 160. Of the links, the text\n"
        "that gives a hop 722 ns (650 cycles) contradicts its own table of seven links (209 to "
        "228\n"
        "cycles); the table's mean is taken, and 650 is within the parameter's bounds.\n");
}

void machine_manual(struct base_text *out)
{
    struct machine machine;
    machine_tsp1(&machine);
    write_head(out);
    write_parameters(out);
    write_floor_plan(&machine, out);
    write_vxm(&machine, out);
    write_queues(&machine, out);
    write_timings(out);
}
