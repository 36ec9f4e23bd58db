/* What the parts of the assembler share: assemble.c drives, the others read one kind of line each.
 */
#ifndef PROGRAM_ASSEMBLER_H
#define PROGRAM_ASSEMBLER_H

#include "program/assembly.h"
#include "program/rules.h"
#include "program/source.h"

#define ASSEMBLER_QUEUES_MAX 256u /* more than any machine that machine_check accepts has */
#define ASSEMBLER_WIDTH_MAX 4u

struct assembler_word {
    uint64_t bits;
    uint32_t queue;
};

struct assembler_block { /* of text, in memory */
    uint32_t queue;
    struct program_place place;
};

struct assembler_segment {
    uint16_t slice, address;
    uint32_t count;
    size_t data; /* offset of its bytes */
};

struct assembler {
    struct program_source source;
    struct base_arena *arena;
    struct program *program;
    bool machine_known;     /* a line depended on it: it can no longer change */
    bool machine_given[64]; /* rows of machine.def that a line set; the last one is the name */
    bool cycles_given;
    bool queue_chosen;
    uint32_t queue;
    uint32_t queue_words[ASSEMBLER_QUEUES_MAX];
    uint32_t text_blocks[ASSEMBLER_QUEUES_MAX];
    struct isa_instruction previous[ASSEMBLER_QUEUES_MAX];
    struct base_text words;    /* struct assembler_word */
    struct base_text blocks;   /* struct assembler_block */
    struct base_text segments; /* struct assembler_segment */
    struct base_text data;     /* vectors of the segments, then of expectations */
    struct base_text expected_data;
    struct base_text expectations;      /* struct program_expectation; bytes not set yet */
    struct base_text bindings;          /* struct program_binding */
    struct base_text parameters;        /* struct program_parameter */
    struct base_text cables;            /* struct program_cable */
    struct base_text upsets;            /* struct program_upset */
    uint64_t sources_left, places_left; /* of the binding being read */
    uint8_t *written;                   /* a bit for each memory word that a .data line gave */
    uint8_t planes[ASSEMBLER_WIDTH_MAX * MACHINE_LANES_MAX];
};

/* Called by every line that needs the machine: from here on it stands. */
enum takt_status program_assembler_settle(struct assembler *a);
/* The next word as a queue of the machine; `what` says what was expected. */
enum takt_status program_assembler_queue(struct assembler *a, const char *what, uint32_t *queue);
/* The next two words as slice and address. */
enum takt_status program_assembler_place(struct assembler *a, struct program_place *place);
enum takt_status program_assembler_no_room(const struct assembler *a); /* in the arena: LIMIT */

/* One line each; the directive's name has been read. */
enum takt_status program_assembler_machine(struct assembler *a);
enum takt_status program_assembler_cycles(struct assembler *a);
enum takt_status program_assembler_parameter(struct assembler *a);
enum takt_status program_assembler_section(struct assembler *a); /* .queue */
enum takt_status program_assembler_text(struct assembler *a);
enum takt_status program_assembler_instruction(struct assembler *a);
enum takt_status program_assembler_cable(struct assembler *a);
enum takt_status program_assembler_upset(struct assembler *a);
enum takt_status program_assembler_binding(struct assembler *a);
enum takt_status program_assembler_source(struct assembler *a);
enum takt_status program_assembler_places(struct assembler *a);
enum takt_status program_assembler_binding_end(struct assembler *a); /* is the last one whole? */
/* width: bytes of an element, 1, 2 or 4 */
enum takt_status program_assembler_data(struct assembler *a, uint32_t width);
enum takt_status program_assembler_expect(struct assembler *a, uint32_t width);

#endif
