/* What encode, text and manual need of the expanded table and no other room does. */
#ifndef ISA_TABLE_H
#define ISA_TABLE_H

#include "isa/isa.h"

#define ISA_OPCODE_LSB 56
#define ISA_MNEMONIC_MAX 16u /* with its terminator */

bool isa_table_find_opcode(uint32_t opcode, enum isa_op *op);
/* Does the member's value fit the field? (isa_field_get would cut it to the field's bits.) */
bool isa_table_fits(const struct isa_instruction *instruction, enum isa_field field);

#endif
