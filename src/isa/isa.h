/*
 * isa: the tsp1 instruction set. isa.def has each instruction once; this room expands it into
 * encode, decode, print, assemble and the manual.
 *
 * Refuses to: know timing or geometry (machine) or what a program is for (program, chip, compile).
 * Invariants: encode and decode are inverse on every valid instruction; a word with a bit set that
 * its instruction does not use is refused. Read next: machine/machine.h.
 */
#ifndef ISA_ISA_H
#define ISA_ISA_H

#include "base/base.h"

enum isa_op {
#define ISA_OP(name, ...) ISA_##name,
#include "isa/isa.def"
#undef ISA_OP
    ISA_OP_COUNT
};

/* Which queues may hold an instruction. */
enum isa_unit {
    ISA_UNIT_ICU,
    ISA_UNIT_MEM,
    ISA_UNIT_VXM,
    ISA_UNIT_VXM_LARGE,
    ISA_UNIT_MXM_WEIGHTS,
    ISA_UNIT_MXM_ACTIVATIONS,
    ISA_UNIT_MXM_RESULTS,
    ISA_UNIT_SXM_PERMUTE,
    ISA_UNIT_SXM_DISTRIBUTE,
    ISA_UNIT_SXM_TRANSPOSE,
    ISA_UNIT_SXM_SHIFT,
    ISA_UNIT_SXM_ROTATE,
    ISA_UNIT_C2C,
    ISA_UNIT_COUNT
};

/* A stream operand: bit 5 the direction (0 east, 1 west), bits 4..0 the first stream. */
#define ISA_STREAM(west, stream) ((uint8_t)(((west) ? 32u : 0u) | (stream)))
#define ISA_STREAM_WEST(s) (((s) >> 5) & 1u)
#define ISA_STREAM_INDEX(s) ((s)&31u)
#define ISA_STREAMS 32u  /* per direction */
#define ISA_SKIP 0xFFFFu /* map entry of gather and scatter: leave this superlane out */

/* Decoded. Members an instruction does not use are zero. */
struct isa_instruction {
    uint32_t imm;
    uint16_t address; /* also: row group, accumulator, row mask, lanes to shift by */
    uint16_t address2;
    uint16_t count;
    uint16_t delay;
    int16_t step;
    uint8_t op; /* enum isa_op */
    uint8_t a, b, d, map;
};

/* One instruction's row, for tools. fields[] lists its operands in assembly order. */
enum isa_field {
#define ISA_FIELD(name, ...) ISA_FIELD_##name,
#include "isa/isa.def"
#undef ISA_FIELD
    ISA_FIELD_COUNT
};
#define ISA_FIELDS_MAX 4
struct isa_op_info {
    const char *mnemonic;
    const char *doc;
    enum isa_unit unit;
    uint8_t opcode;
    char mark;
    enum isa_field fields[ISA_FIELDS_MAX]; /* ISA_FIELD_NONE ends */
};
enum isa_field_kind {
    ISA_KIND_UNSIGNED,
    ISA_KIND_POSITIVE, /* unsigned, not zero */
    ISA_KIND_SIGNED,
    ISA_KIND_STREAM_IN,
    ISA_KIND_STREAM_OUT,
    ISA_KIND_IMMEDIATE
};
struct isa_field_info {
    const char *name;
    const char *doc;
    uint8_t lsb, bits, width;
    enum isa_field_kind kind;
};
const struct isa_op_info *isa_op_info(enum isa_op op);
const struct isa_field_info *isa_field_info(enum isa_field field);
const char *isa_unit_name(enum isa_unit unit);

/* A field's raw value, of `bits` bits (a signed one in two's complement). put zero-extends or
 * sign-extends into the member; it checks nothing but that no bit is left over (assert). */
uint32_t isa_field_get(const struct isa_instruction *instruction, enum isa_field field);
void isa_field_put(struct isa_instruction *instruction, enum isa_field field, uint32_t value);
/* NULL when the field may hold the value, else what is wrong with it. */
const char *isa_field_flaw(enum isa_field field, uint32_t value);

/* Field values must fit their bits and streams be aligned (assert: a bug of the caller). */
uint64_t isa_encode(const struct isa_instruction *instruction);
/* FORMAT with a message: unknown opcode, a set bit outside the fields, a misaligned stream, a zero
 * count or delay. */
enum takt_status isa_decode(uint64_t word, struct isa_instruction *instruction,
                            struct takt_error *error);

/*
 * Text as it lies in memory: the opcode's byte, then the fields of the row in its order, each from
 * its lowest bit, without gaps; zeros up to a whole byte. An instruction takes 1 to 8 bytes.
 */
#define ISA_PACKED_MAX 8u
uint32_t isa_packed_bytes(enum isa_op op);
uint32_t isa_pack(const struct isa_instruction *instruction, uint8_t bytes[ISA_PACKED_MAX]);
/* The instruction at bytes[0], of `size` bytes there are; *used of them are its own. FORMAT as
 * isa_decode, or when it is cut. */
enum takt_status isa_unpack(const uint8_t *bytes, size_t size, struct isa_instruction *instruction,
                            uint32_t *used, struct takt_error *error);

/* One line of assembly without newline, e.g. "read 17, e4"; the inverse of isa_parse. */
void isa_print(const struct isa_instruction *instruction, char *line, size_t size);
/* Parses one instruction. FORMAT with column, token and what was expected. */
enum takt_status isa_parse(const char *line, struct isa_instruction *instruction,
                           struct takt_error *error);
/* The same with the 1-based column beside the message instead of in it. */
enum takt_status isa_parse_at(const char *line, struct isa_instruction *instruction,
                              unsigned *column, struct takt_error *error);
/* A token as messages show it: in quotes, cut short, unprintable bytes as '?'. */
#define ISA_QUOTE_SIZE 40
const char *isa_quote(const char *token, size_t length, char quoted[ISA_QUOTE_SIZE]);

/* The manual, in Markdown, generated from isa.def. */
void isa_manual(struct base_text *out);

#endif
