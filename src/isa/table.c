/*
 * The expansion of isa.def into tables, and the proof, while takt is compiled, that its rows are
 * sound: fields of a row overlap neither each other nor the opcode, and fit their members; no two
 * rows share an opcode.
 */
#include "isa/isa.h"
#include "isa/table.h"

#define OPCODE_MASK (UINT64_C(0xff) << ISA_OPCODE_LSB)

static const struct isa_field_info fields[] = {
#define ISA_FIELD(name, member, lsb, bits, kind, width, doc)                                       \
    [ISA_FIELD_##name] = {#name, doc, lsb, bits, width, ISA_KIND_##kind},
#include "isa/isa.def"
#undef ISA_FIELD
};

static const struct isa_op_info ops[] = {
#define ISA_OP(name, mnemonic, unit, opcode, f0, f1, f2, f3, mark, doc)                            \
    [ISA_##name] = {                                                                               \
        mnemonic, doc,      ISA_UNIT_##unit,                                                       \
        opcode,   #mark[0], {ISA_FIELD_##f0, ISA_FIELD_##f1, ISA_FIELD_##f2, ISA_FIELD_##f3}},
#include "isa/isa.def"
#undef ISA_OP
};

static const char *const unit_names[] = {
    [ISA_UNIT_ICU] = "ICU",
    [ISA_UNIT_MEM] = "MEM",
    [ISA_UNIT_VXM] = "VXM",
    [ISA_UNIT_VXM_LARGE] = "VXM large ALU",
    [ISA_UNIT_MXM_WEIGHTS] = "MXM weights",
    [ISA_UNIT_MXM_ACTIVATIONS] = "MXM activations",
    [ISA_UNIT_MXM_RESULTS] = "MXM results",
    [ISA_UNIT_SXM_PERMUTE] = "SXM permute",
    [ISA_UNIT_SXM_DISTRIBUTE] = "SXM distribute",
    [ISA_UNIT_SXM_TRANSPOSE] = "SXM transpose",
    [ISA_UNIT_SXM_SHIFT] = "SXM shift",
    [ISA_UNIT_SXM_ROTATE] = "SXM rotate",
    [ISA_UNIT_C2C] = "C2C",
};
_Static_assert(BASE_COUNT(unit_names) == ISA_UNIT_COUNT, "a unit without a name");

/* ---- proofs ---------------------------------------------------------------------------------- */

enum {
#define ISA_FIELD(name, member, lsb, bits, ...) LSB_##name = (lsb), BITS_##name = (bits),
#include "isa/isa.def"
#undef ISA_FIELD
};

#define MASK(field) (((UINT64_C(1) << BITS_##field) - 1) << LSB_##field)
#define UNION(f0, f1, f2, f3) (MASK(f0) | MASK(f1) | MASK(f2) | MASK(f3))
#define SUM(f0, f1, f2, f3) (MASK(f0) + MASK(f1) + MASK(f2) + MASK(f3))

#define ISA_FIELD(name, member, lsb, bits, kind, width, doc)                                       \
    _Static_assert((lsb) + (bits) <= ISA_OPCODE_LSB, #name " reaches into the opcode");            \
    _Static_assert((bits) <= 8 * sizeof(((struct isa_instruction *)0)->member),                    \
                   #name " is wider than its member");                                             \
    _Static_assert((width) == 0 || ((bits) == 6 && ISA_STREAMS % (width) == 0),                    \
                   #name " is no stream field");
#include "isa/isa.def"
#undef ISA_FIELD

/* Masks of at most 56 bits cannot carry out of 64, so their sum is their union exactly when no two
 * of them meet: a shared bit would carry. */
#define ISA_OP(name, mnemonic, unit, opcode, f0, f1, f2, f3, mark, doc)                            \
    _Static_assert(SUM(f0, f1, f2, f3) == UNION(f0, f1, f2, f3), #name ": fields overlap");        \
    _Static_assert((UNION(f0, f1, f2, f3) & OPCODE_MASK) == 0, #name ": field over opcode");       \
    _Static_assert((opcode) > 0 && (opcode) <= 0xff, #name ": opcode");                            \
    _Static_assert(sizeof(mnemonic) <= ISA_MNEMONIC_MAX, #name ": mnemonic too long");
#include "isa/isa.def"
#undef ISA_OP

/* Two rows with one opcode would be two equal cases, which no compiler accepts. */
bool isa_table_find_opcode(uint32_t opcode, enum isa_op *op)
{
    switch (opcode) {
#define ISA_OP(name, mnemonic, unit, code, ...)                                                    \
    case code:                                                                                     \
        *op = ISA_##name;                                                                          \
        return true;
#include "isa/isa.def"
#undef ISA_OP
    default: return false;
    }
}

/* ---- access ---------------------------------------------------------------------------------- */

const struct isa_op_info *isa_op_info(enum isa_op op)
{
    BASE_ASSERT((unsigned)op < ISA_OP_COUNT);
    return &ops[op];
}

const struct isa_field_info *isa_field_info(enum isa_field field)
{
    BASE_ASSERT((unsigned)field < ISA_FIELD_COUNT);
    return &fields[field];
}

const char *isa_unit_name(enum isa_unit unit)
{
    BASE_ASSERT((unsigned)unit < ISA_UNIT_COUNT);
    return unit_names[unit];
}

static uint32_t field_mask(enum isa_field field)
{
    return (uint32_t)((UINT64_C(1) << fields[field].bits) - 1);
}

uint32_t isa_field_get(const struct isa_instruction *instruction, enum isa_field field)
{
    switch (field) {
#define ISA_FIELD(name, member, ...)                                                               \
    case ISA_FIELD_##name:                                                                         \
        return (uint32_t)instruction->member & field_mask(field);
#include "isa/isa.def"
#undef ISA_FIELD
    default: break;
    }
    BASE_ASSERT(field < ISA_FIELD_COUNT);
    return 0;
}

bool isa_table_fits(const struct isa_instruction *instruction, enum isa_field field)
{
    int64_t value = 0;
    switch (field) {
#define ISA_FIELD(name, member, ...)                                                               \
    case ISA_FIELD_##name:                                                                         \
        value = instruction->member;                                                               \
        break;
#include "isa/isa.def"
#undef ISA_FIELD
    default: BASE_ASSERT(field < ISA_FIELD_COUNT);
    }
    int64_t span = INT64_C(1) << fields[field].bits;
    return fields[field].kind == ISA_KIND_SIGNED ? value >= -span / 2 && value < span / 2
                                                 : value >= 0 && value < span;
}

void isa_field_put(struct isa_instruction *instruction, enum isa_field field, uint32_t value)
{
    const struct isa_field_info *info = isa_field_info(field);
    BASE_ASSERT(field != ISA_FIELD_NONE && (value & ~field_mask(field)) == 0);
    int64_t number = value;
    if (info->kind == ISA_KIND_SIGNED && (value >> (info->bits - 1) & 1u) != 0) {
        number -= INT64_C(1) << info->bits;
    }
    switch (field) {
#define ISA_FIELD(name, member, ...)                                                               \
    case ISA_FIELD_##name:                                                                         \
        instruction->member = _Generic(instruction->member, uint8_t                                \
                                       : (uint8_t)number, uint16_t                                 \
                                       : (uint16_t)number, int16_t                                 \
                                       : (int16_t)number, uint32_t                                 \
                                       : (uint32_t)number);                                        \
        return;
#include "isa/isa.def"
#undef ISA_FIELD
    default: break;
    }
    BASE_ASSERT(field < ISA_FIELD_COUNT);
}

const char *isa_field_flaw(enum isa_field field, uint32_t value)
{
    const struct isa_field_info *info = isa_field_info(field);
    if ((value & ~field_mask(field)) != 0) {
        return "does not fit its field";
    }
    if (info->kind == ISA_KIND_POSITIVE && value == 0) {
        return "must not be zero";
    }
    if (info->width > 1 && ISA_STREAM_INDEX(value) % info->width != 0) {
        return "is not the first stream of an aligned group";
    }
    return NULL;
}
