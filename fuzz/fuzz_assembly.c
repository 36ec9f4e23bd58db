/* Any text as assembly: refused with a message, or a program that disassembles and assembles again
 * to the same text. */
#include "fuzz.h"

#include <string.h>

#include "program/program.h"

#define ARENA_BYTES ((size_t)1 << 30)

static void assemble_again(const struct base_text *first, struct base_arena *arena)
{
    struct program_assembly assembly;
    struct takt_error error;
    struct base_text second = {0};
    BASE_ASSERT(program_assemble("again", first->data, first->length, arena, &assembly, &error) ==
                TAKT_OK);
    program_disassemble(&assembly.program, &assembly.image, &second);
    BASE_ASSERT(second.length == first->length &&
                memcmp(second.data, first->data, first->length) == 0);
    base_text_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct base_arena arena = {0}, arena_again = {0};
    struct program_assembly assembly;
    struct takt_error error;
    if (base_arena_create(&arena, ARENA_BYTES, &error) != TAKT_OK ||
        base_arena_create(&arena_again, ARENA_BYTES, &error) != TAKT_OK) {
        base_arena_destroy(&arena);
        return 0;
    }
    if (program_assemble("fuzz", (const char *)data, size, &arena, &assembly, &error) == TAKT_OK) {
        struct base_text text = {0};
        program_disassemble(&assembly.program, &assembly.image, &text);
        assemble_again(&text, &arena_again);
        base_text_free(&text);
    }
    base_arena_destroy(&arena_again);
    base_arena_destroy(&arena);
    return 0;
}
