/*
 * machine: a machine is data. machine.def has each geometry and timing parameter once.
 *
 * Owns: the parameter values, the floor plan (which unit sits at which stream position) and the
 * numbering and names of the instruction queues. Refuses to: execute (chip) or schedule (compile).
 * Invariant: a struct machine that machine_check accepted never makes chip or compile fail an
 * assertion. Read next: program/program.h.
 *
 * Floor plan, west to east: MXM, SXM (2 positions), IO, MEM west (slice 0 next to the VXM),
 * VXM (2 x 4 + 1 stages), MEM east (slice 0 next to the VXM), IO, SXM (2), MXM. On tsp1: positions
 * 0..44.
 */
#ifndef MACHINE_MACHINE_H
#define MACHINE_MACHINE_H

#include "isa/isa.h"

#define MACHINE_LANES_PER_SUPERLANE 16u
#define MACHINE_LANES_MAX 1024u /* 64 superlanes */
#define MACHINE_WEST 0u         /* hemispheres */
#define MACHINE_EAST 1u
#define MACHINE_VXM_ROWS 4u
#define MACHINE_VXM_COLUMNS 4u
#define MACHINE_VXM_STAGES 9u
#define MACHINE_PLANES 2u /* MXM planes a hemisphere */
#define MACHINE_SLICES_PER_POSITION 4u
#define MACHINE_TRANSPOSERS 2u    /* a hemisphere */
#define MACHINE_DISTRIBUTORS 4u   /* a hemisphere */
#define MACHINE_SHIFTERS 2u       /* a hemisphere */
#define MACHINE_LINK_QUEUES 4u    /* a hemisphere */
#define MACHINE_SXM_QUEUES 14u    /* a hemisphere, with those of C2C */
#define MACHINE_WEIGHT_ROWS 16u   /* rows one LW loads */
#define MACHINE_POSITIONS_MAX 64u /* a limit of takt: sets of positions are 64-bit masks */

struct machine {
    char name[32];
#define MACHINE_PARAM(member, ...) uint32_t member;
#include "machine/machine.def"
#undef MACHINE_PARAM
};

void machine_tsp1(struct machine *machine); /* every parameter at its default */
/* Reads "name = value" lines (# comments; `name = "text"` sets the machine's name) over tsp1.
 * FORMAT / LIMIT with file, line, name, value and bounds. */
enum takt_status machine_read(struct machine *machine, const char *path, struct takt_error *error);
enum takt_status machine_check(const struct machine *machine, struct takt_error *error);
void machine_write(const struct machine *machine,
                   struct base_text *out); /* machine_read's inverse */
/* The manual, Markdown: parameters, floor plan, queues. */
void machine_manual(struct base_text *out);
/* machine_read over text in memory; path is for messages only. */
enum takt_status machine_parse(struct machine *machine, const char *path, const char *text,
                               size_t length, struct takt_error *error);
/* One setting, as in a machine file: value a decimal number, or quoted text for "name". The message
 * of a failure has no place: the caller adds it. */
enum takt_status machine_set(struct machine *machine, const char *name, const char *value,
                             struct takt_error *error);

/* The rows of machine.def, for tools. */
struct machine_parameter {
    const char *name, *unit, *doc;
    uint32_t standard, minimum, maximum;
    char mark;
};
uint32_t machine_parameter_count(void);
const struct machine_parameter *machine_parameter(uint32_t index);
uint32_t machine_parameter_get(const struct machine *machine, uint32_t index);
void machine_parameter_put(struct machine *machine, uint32_t index, uint32_t value); /* unchecked */
bool machine_parameter_find(const char *name, uint32_t *index);

/* 16 hex digits over all parameters (the name is not one): programs name the machine they were
 * compiled for. */
void machine_hash(const struct machine *machine, char hex[17]);

uint32_t machine_lanes(const struct machine *machine);     /* bytes of a vector */
uint32_t machine_positions(const struct machine *machine); /* stream positions, 0 .. n-1 */

/* Stream positions. */
uint32_t machine_mem_position(const struct machine *machine, uint32_t hemisphere, uint32_t slice);
uint32_t machine_vxm_position(const struct machine *machine); /* stage 0 */
/* ALU of column c: reads eastward streams at stage 2c, westward ones at 2c + 2, writes both at 2c
 * + 1. */
uint32_t machine_vxm_read_position(const struct machine *machine, uint32_t column, bool west);
uint32_t machine_vxm_write_position(const struct machine *machine, uint32_t column);
uint32_t machine_sxm_position(const struct machine *machine,
                              uint32_t hemisphere); /* inner of the two */
/* The C2C unit: next to MEM. */
uint32_t machine_c2c_position(const struct machine *machine, uint32_t hemisphere);
uint32_t machine_mxm_position(const struct machine *machine, uint32_t hemisphere);

/* ALU index = row * 4 + column. Row r reads and writes stream groups (of four) 2r .. 2r+3 mod 8. */
bool machine_vxm_row_reaches(uint32_t row, uint32_t stream);
bool machine_vxm_is_large(uint32_t alu); /* 0 2 5 7 8 10 13 15 */

/* Queues: west MEM, east MEM, west SXM, east SXM, west MXM, east MXM, VXM. 144 on tsp1. */
uint32_t machine_queue_count(const struct machine *machine);
uint32_t machine_queue_mem(const struct machine *machine, uint32_t hemisphere, uint32_t slice);
uint32_t machine_queue_vxm(const struct machine *machine, uint32_t alu);
/* unit: ISA_UNIT_MXM_WEIGHTS, _ACTIVATIONS or _RESULTS */
uint32_t machine_queue_mxm(const struct machine *machine, uint32_t hemisphere, uint32_t plane,
                           enum isa_unit unit);
/* unit: ISA_UNIT_SXM_PERMUTE, _ROTATE (index 0), _DISTRIBUTE (0..3), _TRANSPOSE, _SHIFT (0..1),
 * ISA_UNIT_C2C (0..3) */
uint32_t machine_queue_sxm(const struct machine *machine, uint32_t hemisphere, enum isa_unit unit,
                           uint32_t index);
struct machine_queue {
    enum isa_unit unit;         /* ISA_UNIT_VXM_LARGE for large ALUs */
    uint32_t hemisphere, index; /* slice, ALU, plane, or which of several */
};
struct machine_queue machine_queue(const struct machine *machine, uint32_t queue);
/* May a queue of this unit hold this instruction? (ICU ones: any.) */
bool machine_queue_accepts(enum isa_unit queue_unit, enum isa_op op);
/* "mem.e3", "vxm.0", "mxm.w1.weights", "sxm.e.transpose1" ...; find returns false for no such
 * queue. */
void machine_queue_name(const struct machine *machine, uint32_t queue, char name[32]);
bool machine_queue_find(const struct machine *machine, const char *name, uint32_t *queue);

#endif
