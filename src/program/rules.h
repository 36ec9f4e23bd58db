/* What check, file and assembly of this room share. */
#ifndef PROGRAM_RULES_H
#define PROGRAM_RULES_H

#include "program/program.h"

/* May `instruction` follow `previous` (NULL at the beginning) in this queue? The message has no
 * place: the caller adds it. */
enum takt_status program_rules_word(const struct machine *machine, uint32_t queue,
                                    const struct isa_instruction *previous,
                                    const struct isa_instruction *instruction,
                                    struct takt_error *error);

/* A name that is one word of assembly: 1 to size - 1 printable characters, no space, quote or ';'.
 */
bool program_rules_name(const char *name, size_t size);

/* base_arena_alloc, but NULL instead of an assertion when the arena is too small. */
void *program_rules_take(struct base_arena *arena, uint64_t count, uint64_t size_bytes);

/* Number of entries of the two arrays of a binding. */
uint64_t program_rules_sources(const struct program_binding *binding, uint32_t lanes);
uint64_t program_rules_places(const struct program_binding *binding);

#endif
