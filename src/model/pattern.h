/*
 * Patterns: the regular expressions by which pre-tokenizers cut text, as tables that read each
 * character once.
 *
 * A pattern is a deterministic automaton over classes of code points, made when it is compiled.
 * Its matches are those of a backtracking engine: leftmost, and of several at one place the one
 * whose choices come first. Supported: classes, categories, scripts, groups, (?i:), alternatives,
 * quantifiers (possessive ones count as greedy), lookahead by one character, ^ and $. Refused:
 * back-references, lookbehind, lookahead by more, word boundaries.
 */
#ifndef MODEL_PATTERN_H
#define MODEL_PATTERN_H

#include "base/base.h"

struct pattern;

/* source: UTF-8. where: for messages. UNSUPPORTED for what is refused, FORMAT for what is no
 * pattern, LIMIT for one whose automaton is too large. */
enum takt_status pattern_compile(struct pattern **pattern, const char *where, const char *source,
                                 size_t length, struct takt_error *error);
void pattern_destroy(struct pattern *pattern);

/* The first match at or after `from` in valid UTF-8; empty ones are not looked for. *steps is
 * lowered by each character read and ends the search, as if nothing matched, at 0. */
bool pattern_find(const struct pattern *pattern, const char *text, size_t length, size_t from,
                  size_t *start, size_t *end, uint64_t *steps);

#endif
