/* Mutations of a program: one small change each, chosen by a seed. */
#ifndef TESTS_MUTATE_H
#define TESTS_MUTATE_H

#include "program/program.h"

/* MUTATION(NAME, "what changes") */
#define MUTATIONS(X)                                                                               \
    X(EARLIER, "an instruction issues one cycle earlier")                                          \
    X(LATER, "an instruction issues one cycle later")                                              \
    X(WAIT, "a nop is one cycle longer or shorter: the rest of the queue moves")                   \
    X(STREAM, "an operand is on the next group of streams")                                        \
    X(DIRECTION, "an operand's stream flows the other way")                                        \
    X(ADDRESS, "an address, index or row mask is another by one")                                  \
    X(REPEAT_COUNT, "one repetition more or less")                                                 \
    X(REPEAT_DELAY, "repetitions one cycle closer or wider")                                       \
    X(REPEAT_STEP, "the step of a repetition is another by one")                                   \
    X(IMMEDIATE, "a bit of a constant operand")                                                    \
    X(LATENCY, "a latency of the machine is another by one")

enum mutation_kind {
#define MUTATION_ENUM(name, doc) MUTATION_##name,
    MUTATIONS(MUTATION_ENUM)
#undef MUTATION_ENUM
        MUTATION_KINDS
};
const char *mutation_name(enum mutation_kind kind);

struct mutation {
    enum mutation_kind kind;
    uint32_t queue, word;               /* of the original text */
    struct isa_instruction instruction; /* that word */
    char text[128];                     /* what was changed */
};

/* A program with one change. Shares everything but the changed queue with the original. */
struct mutant {
    struct mutation mutation;
    struct program program;
    uint64_t *words; /* the changed queue's */
};

/* The program's words by instruction, so that rare instructions are chosen as often as others. */
struct mutation_source {
    const struct program *program;
    uint32_t op_words[ISA_OP_COUNT];
    uint32_t *queues; /* those with text */
    uint32_t queue_count;
};
void mutation_source_create(struct mutation_source *source, const struct program *program);
void mutation_source_free(struct mutation_source *source);

/* Mutation number `index` of a seed; the same for the same program, seed and index. */
void mutant_create(struct mutant *mutant, const struct mutation_source *source, uint64_t seed,
                   uint64_t index);
void mutant_free(struct mutant *mutant);

#endif
