/* Grammars drawn from at random and asked (grammar_helper.c). */
#ifndef TESTS_GRAMMAR_HELPER_H
#define TESTS_GRAMMAR_HELPER_H

#include "run/grammar.h"

#include <jansson.h>

extern struct takt_engine *grammar_engine; /* between setup and teardown */
int grammar_setup(void **state);
int grammar_teardown(void **state);

/* What a schema's grammar takes whole, and what it does not. */
struct grammar_case {
    const char *schema, *good[8], *bad[12];
};
void grammar_check_cases(const struct grammar_case *cases, size_t count);

/* Schemas that are refused, and a part of the message. */
struct grammar_refusal {
    const char *schema, *part;
    enum takt_status status;
};
void grammar_check_refusals(const struct grammar_refusal *cases, size_t count);

/* Both fail the test when the schema is refused. */
struct takt_grammar *grammar_of_json(const json_t *schema);
struct takt_grammar *grammar_of_text(const char *schema);
/* Does the grammar take the text, and is it whole then? */
bool grammar_takes(struct takt_grammar *grammar, const char *text);
/* Draws tokens at random, as long as the grammar lets, at most `most`; the text is malloc'ed. Fails
 * when a step allows nothing. Every token allowed must be one that run_grammar_allows admits. */
char *grammar_draw(struct takt_grammar *grammar, uint32_t most, uint64_t seed);
/* Fails unless the text is JSON that satisfies the schema (json_schema.c). */
void grammar_check(const json_t *schema, const char *text);

#endif
