/* Between instructions and 64-bit words, or packed bytes. All walk the row's fields in isa.def. */
#include "isa/isa.h"
#include "isa/table.h"

#include <string.h>

uint64_t isa_encode(const struct isa_instruction *instruction)
{
    const struct isa_op_info *op = isa_op_info((enum isa_op)instruction->op);
    uint64_t word = (uint64_t)op->opcode << ISA_OPCODE_LSB;
    for (size_t i = 0; i < ISA_FIELDS_MAX && op->fields[i] != ISA_FIELD_NONE; i++) {
        uint32_t value = isa_field_get(instruction, op->fields[i]);
        BASE_ASSERT(isa_table_fits(instruction, op->fields[i]));
        BASE_ASSERT(isa_field_flaw(op->fields[i], value) == NULL);
        word |= (uint64_t)value << isa_field_info(op->fields[i])->lsb;
    }
    return word;
}

enum takt_status isa_decode(uint64_t word, struct isa_instruction *instruction,
                            struct takt_error *error)
{
    enum isa_op code = ISA_NOP;
    memset(instruction, 0, sizeof *instruction);
    if (!isa_table_find_opcode((uint32_t)(word >> ISA_OPCODE_LSB), &code)) {
        return base_fail(error, TAKT_FORMAT, "word 0x%016llx: unknown opcode 0x%02x",
                         (unsigned long long)word, (unsigned)(word >> ISA_OPCODE_LSB));
    }
    const struct isa_op_info *op = isa_op_info(code);
    uint64_t rest = word & ((UINT64_C(1) << ISA_OPCODE_LSB) - 1);
    instruction->op = (uint8_t)code;
    for (size_t i = 0; i < ISA_FIELDS_MAX && op->fields[i] != ISA_FIELD_NONE; i++) {
        const struct isa_field_info *field = isa_field_info(op->fields[i]);
        uint64_t mask = ((UINT64_C(1) << field->bits) - 1) << field->lsb;
        uint32_t value = (uint32_t)((word & mask) >> field->lsb);
        const char *flaw = isa_field_flaw(op->fields[i], value);
        if (flaw != NULL) {
            return base_fail(error, TAKT_FORMAT, "word 0x%016llx: %s: field %s, value %u, %s",
                             (unsigned long long)word, op->mnemonic, field->name, value, flaw);
        }
        isa_field_put(instruction, op->fields[i], value);
        rest &= ~mask;
    }
    if (rest != 0) {
        return base_fail(error, TAKT_FORMAT,
                         "word 0x%016llx: %s: bits 0x%014llx belong to no field and must be zero",
                         (unsigned long long)word, op->mnemonic, (unsigned long long)rest);
    }
    return TAKT_OK;
}

/* ---- packed ---------------------------------------------------------------------------------- */

uint32_t isa_packed_bytes(enum isa_op code)
{
    const struct isa_op_info *op = isa_op_info(code);
    uint32_t bits = 64 - ISA_OPCODE_LSB;
    for (size_t i = 0; i < ISA_FIELDS_MAX && op->fields[i] != ISA_FIELD_NONE; i++) {
        bits += isa_field_info(op->fields[i])->bits;
    }
    return (bits + 7) / 8;
}

uint32_t isa_pack(const struct isa_instruction *instruction, uint8_t bytes[ISA_PACKED_MAX])
{
    const struct isa_op_info *op = isa_op_info((enum isa_op)instruction->op);
    uint64_t fields = 0;
    uint32_t at = 0;
    for (size_t i = 0; i < ISA_FIELDS_MAX && op->fields[i] != ISA_FIELD_NONE; i++) {
        fields |= (uint64_t)isa_field_get(instruction, op->fields[i]) << at;
        at += isa_field_info(op->fields[i])->bits;
    }
    const uint32_t size = isa_packed_bytes((enum isa_op)instruction->op);
    bytes[0] = op->opcode;
    for (uint32_t i = 1; i < size; i++) {
        bytes[i] = (uint8_t)(fields >> (8 * (i - 1)) & 0xffu);
    }
    return size;
}

enum takt_status isa_unpack(const uint8_t *bytes, size_t size, struct isa_instruction *instruction,
                            uint32_t *used, struct takt_error *error)
{
    enum isa_op code = ISA_NOP;
    memset(instruction, 0, sizeof *instruction);
    *used = 0;
    if (size == 0 || !isa_table_find_opcode(bytes[0], &code)) {
        return base_fail(error, TAKT_FORMAT, "packed text: unknown opcode 0x%02x",
                         size == 0 ? 0u : (unsigned)bytes[0]);
    }
    const struct isa_op_info *op = isa_op_info(code);
    const uint32_t length = isa_packed_bytes(code);
    if (size < length) {
        return base_fail(error, TAKT_FORMAT, "packed text: %s takes %u bytes, %zu are left",
                         op->mnemonic, length, size);
    }
    uint64_t fields = 0;
    for (uint32_t i = 1; i < length; i++) {
        fields |= (uint64_t)bytes[i] << (8 * (i - 1));
    }
    instruction->op = (uint8_t)code;
    for (size_t i = 0; i < ISA_FIELDS_MAX && op->fields[i] != ISA_FIELD_NONE; i++) {
        const struct isa_field_info *field = isa_field_info(op->fields[i]);
        uint32_t value = (uint32_t)(fields & ((UINT64_C(1) << field->bits) - 1));
        const char *flaw = isa_field_flaw(op->fields[i], value);
        if (flaw != NULL) {
            return base_fail(error, TAKT_FORMAT, "packed text: %s: field %s, value %u, %s",
                             op->mnemonic, field->name, value, flaw);
        }
        isa_field_put(instruction, op->fields[i], value);
        fields >>= field->bits;
    }
    if (fields != 0) {
        return base_fail(error, TAKT_FORMAT, "packed text: %s: bits after its fields must be zero",
                         op->mnemonic);
    }
    *used = length;
    return TAKT_OK;
}
