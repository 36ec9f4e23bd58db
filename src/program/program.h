/*
 * program: the one contract between compile and chip.
 *
 * Owns: instruction text per queue, memory images, named bindings; their check, their assembly
 * form, their hash. Refuses to: know tensors, schedules or how the machine executes.
 * Read next: chip/chip.h on one side, compile/compile.h on the other.
 */
#ifndef PROGRAM_PROGRAM_H
#define PROGRAM_PROGRAM_H

#include "machine/machine.h"

/* A place for one vector: slice = hemisphere * mem_slices + slice index. */
struct program_place {
    uint16_t slice;
    uint16_t address;
};

/* Data put into memory before the first step: `count` words of machine_lanes bytes each. */
struct program_segment {
    uint16_t slice;
    uint16_t address;
    uint32_t count;
    const uint8_t *data;
};

struct program_image {
    uint32_t segment_count;
    struct program_segment *segments;
};

/*
 * A named tensor that the host writes before a step (input) or reads after it (output).
 * It has `items` items (tokens of a chunk, for most). Lane l of row r of an item holds element
 * source[r * lanes + l] of the item's data, or zero where source is -1. Byte b of row r of item i
 * lies at places[(i * rows + r) * element_bytes + b].
 */
struct program_binding {
    char name[48];
    bool output;
    uint32_t element_bytes; /* 1, 2 or 4; little-endian byte planes */
    uint32_t items;
    uint32_t rows;
    uint32_t elements; /* elements of an item's data */
    int32_t *source;   /* [rows * lanes] */
    struct program_place *places;
};

/* What a program was compiled for, as name = value; the run room reads what it needs by name. */
struct program_parameter {
    char name[32];
    int64_t value;
};

struct program {
    struct machine machine;
    uint64_t
        cycles; /* as compiled: what the machine must take, from the first Notify's issue (cycle
                   0) to the cycle in which the last queue parks at its final Sync, plus one */
    uint32_t queue_count;
    uint32_t *queue_words; /* words of text of each queue; 0 = the queue never runs */
    uint64_t **text;       /* [queue_count][queue_words] */
    /* Where blocks 1, 2, ... of each queue's packed text lie, two words each, the second at the
     * next address: all blocks but the first, or none. */
    uint32_t *text_blocks;              /* [queue_count]; NULL: none of any queue */
    struct program_place **text_places; /* [queue_count][text_blocks] */
    uint32_t binding_count;
    struct program_binding *bindings;
    uint32_t parameter_count;
    struct program_parameter *parameters;
};

#define PROGRAM_BINDINGS_MAX 1024u /* limits of takt */
#define PROGRAM_PARAMETERS_MAX 1024u
#define PROGRAM_ENTRIES_MAX (1u << 24) /* of either array of a binding */

/* Every word decodes and suits its queue (VXM streams the ALU's row), Repeats follow instructions,
 * addresses and places are inside the machine, names are printable and different. FORMAT with
 * queue, index and reason. Timing, and what depends on data, is the chip's to judge. */
enum takt_status program_check(const struct program *program, struct takt_error *error);
const struct program_binding *program_binding(const struct program *program, const char *name);
int64_t program_parameter(const struct program *program, const char *name, int64_t otherwise);
/* SHA-256 over machine (but its name), cycles, text, bindings and parameters: equal programs, equal
 * hash. */
void program_hash(const struct program *program, char hex[65]);
size_t program_text_bytes(const struct program *program); /* packed, of all queues */
/*
 * Packed text (isa.h), in blocks of two vectors. program_text_pack writes a queue's, zeros up to a
 * whole block behind it, into `bytes` (NULL: only counts) and returns its length without them.
 */
uint32_t program_block_bytes(const struct machine *machine);
uint32_t program_text_pack(const struct program *program, uint32_t queue, uint8_t *bytes);
uint32_t program_text_block_count(const struct program *program, uint32_t queue);

/*
 * Binary form: magic, version, lengths, the program, its memory image, SHA-256 over all of it.
 * program_write needs a program that program_check accepts; image may be NULL. program_read checks
 * every length before use, and the program; FORMAT when the file is cut, changed, or not a program.
 * What is read lives in the arena; LIMIT when it does not fit (reserving a large one costs
 * nothing).
 */
enum takt_status program_write(const struct program *program, const struct program_image *image,
                               const char *path, struct takt_error *error);
enum takt_status program_read(const char *path, struct base_arena *arena, struct program *program,
                              struct program_image *image, struct takt_error *error);
/* Do the bytes begin as a program file does? */
bool program_is_file(const void *bytes, size_t size_bytes);
/* The same over bytes in memory; path is for messages only. */
void program_encode(const struct program *program, const struct program_image *image,
                    struct base_text *out);
enum takt_status program_decode(const char *path, const void *bytes, size_t size_bytes,
                                struct base_arena *arena, struct program *program,
                                struct program_image *image, struct takt_error *error);
/* Segments inside the machine, words counted. FORMAT with the segment. */
enum takt_status program_image_check(const struct machine *machine,
                                     const struct program_image *image, struct takt_error *error);

/*
 * Assembly form (docs/ASSEMBLY.md): ".queue NAME" sections with one instruction a line, ".machine"
 * parameters, ".data" words, ".expect" lines for tests. program_disassemble and program_assemble
 * are inverse on machine, text, bindings, parameters and data (adjacent words become one segment).
 * program_assemble: FORMAT with file, line, column, token and what was expected; LIMIT when the
 * arena is too small. program_disassemble needs a program that program_check accepts; image may be
 * NULL.
 */
struct program_expectation; /* see program/assembly.h */
struct program_cable;
struct program_upset;
struct program_assembly {
    struct program program;
    struct program_image image;
    uint32_t expectation_count;
    struct program_expectation *expectations;
    uint32_t cable_count; /* of links of this chip with each other, for tests */
    struct program_cable *cables;
    uint32_t upset_count; /* of bits of memory, before the run, for tests */
    struct program_upset *upsets;
};
enum takt_status program_assemble(const char *path, const char *source, size_t length,
                                  struct base_arena *arena, struct program_assembly *assembly,
                                  struct takt_error *error);
void program_disassemble(const struct program *program, const struct program_image *image,
                         struct base_text *out);

#endif
