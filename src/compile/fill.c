/*
 * How long the weights of all planes take from memory to installed: every plane is filled at once,
 * on all outward streams, from the slices next to the matrix units; in the first cycle in which
 * they are installed each plane multiplies a vector, so that the machine would fault were they not.
 */
#include "compile/standalone.h"

#define WEIGHT_SLICES 32u
#define ARENA_BYTES ((size_t)4 << 20)

/* One hemisphere; returns the cycle in which its new weights are met. */
static uint32_t fill_side(struct compile_standalone *out, uint32_t hemisphere)
{
    const struct machine *machine = &out->program.machine;
    const bool west = hemisphere == MACHINE_WEST;
    const uint32_t position = machine_mxm_position(machine, hemisphere);
    const uint32_t first = hemisphere * machine->mem_slices;
    const uint32_t slice = first + machine->mem_slices - WEIGHT_SLICES;
    const uint32_t groups = machine->superlanes;
    const uint32_t start = standalone_read_cycles(machine, slice, position);
    const uint32_t install = start + groups;
    /* The vector comes from beyond the weights, so it must not come too early. */
    const uint32_t vector = first + machine->mem_slices - WEIGHT_SLICES - 1;
    uint32_t use = install + machine->mxm_install_cycles;
    use = BASE_MAX(use, standalone_read_cycles(machine, vector, position));
    const uint8_t stream = ISA_STREAM(west, 0);
    for (uint32_t i = 0; i < WEIGHT_SLICES; i++) {
        standalone_read(out, slice + i, 0, (uint8_t)(stream + i), position,
                        (struct standalone_run){start, groups, 1, 1});
    }
    standalone_read(out, vector, 0, stream, position, standalone_once(use));
    for (uint32_t plane = 0; plane < MACHINE_PLANES; plane++) {
        const uint32_t weights =
            machine_queue_mxm(machine, hemisphere, plane, ISA_UNIT_MXM_WEIGHTS);
        standalone_put(out, weights, (struct standalone_run){start, groups, 1, 1},
                       (struct isa_instruction){.op = ISA_LW, .a = (uint8_t)(stream + 16 * plane)});
        standalone_put(out, weights, standalone_once(install),
                       (struct isa_instruction){.op = ISA_IW});
        standalone_put(out, machine_queue_mxm(machine, hemisphere, plane, ISA_UNIT_MXM_ACTIVATIONS),
                       standalone_once(use),
                       (struct isa_instruction){.op = ISA_ABC_I8, .a = stream});
        standalone_put(
            out, machine_queue_mxm(machine, hemisphere, plane, ISA_UNIT_MXM_RESULTS),
            standalone_once(use + machine->mxm_result_cycles),
            (struct isa_instruction){.op = ISA_ACC_PASS, .d = ISA_STREAM(!west, 4 * plane)});
    }
    return install + machine->mxm_install_cycles;
}

enum takt_status compile_fill(struct compile_standalone **fill, const struct machine *machine,
                              uint32_t *installed_cycles, struct takt_error *error)
{
    *fill = NULL;
    if (machine->mem_slices <= WEIGHT_SLICES) {
        return base_fail(error, TAKT_LIMIT, "filling all planes takes more than %u slices, not %u",
                         WEIGHT_SLICES, machine->mem_slices);
    }
    enum takt_status status = standalone_create(fill, machine, ARENA_BYTES, error);
    if (status != TAKT_OK) {
        return status;
    }
    const uint32_t west = fill_side(*fill, MACHINE_WEST);
    const uint32_t east = fill_side(*fill, MACHINE_EAST);
    *installed_cycles = BASE_MAX(west, east);
    status = standalone_finish(*fill, STANDALONE_NO_SENDER, error);
    if (status != TAKT_OK) {
        compile_standalone_destroy(*fill);
        *fill = NULL;
    }
    return status;
}
