/* A program's text as it lies in memory: packed, in blocks of two vectors. */
#include "program/program.h"

#include <string.h>

uint32_t program_block_bytes(const struct machine *machine)
{
    return 2 * machine_lanes(machine);
}

uint32_t program_text_pack(const struct program *program, uint32_t queue, uint8_t *bytes)
{
    uint32_t length = 0;
    for (uint32_t i = 0; i < program->queue_words[queue]; i++) {
        struct isa_instruction instruction;
        uint8_t packed[ISA_PACKED_MAX];
        const enum takt_status status = isa_decode(program->text[queue][i], &instruction, NULL);
        BASE_ASSERT(status == TAKT_OK); /* the caller gave a program that was checked */
        const uint32_t size = isa_pack(&instruction, packed);
        if (bytes != NULL) {
            memcpy(bytes + length, packed, size);
        }
        length += size;
    }
    const uint32_t rest = length % program_block_bytes(&program->machine);
    if (bytes != NULL && rest != 0) {
        memset(bytes + length, 0, program_block_bytes(&program->machine) - rest);
    }
    return length;
}

uint32_t program_text_block_count(const struct program *program, uint32_t queue)
{
    const uint32_t block = program_block_bytes(&program->machine);
    return (program_text_pack(program, queue, NULL) + block - 1) / block;
}

size_t program_text_bytes(const struct program *program)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < program->queue_count; i++) {
        bytes += program_text_pack(program, i, NULL);
    }
    return bytes;
}
