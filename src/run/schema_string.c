/* Strings: any, of a length, or of a language. */
#include "run/schema.h"

#include <stdlib.h>
#include <string.h>

#define STATE_ARCS_MAX 256u /* each becomes threads of the automaton's state: see THREADS_MAX */

/* ---- a language as nodes --------------------------------------------------------------------- */

/* What a state begins with: the arcs to each state it leads to as one set of characters. */
static uint32_t state_node(struct schema_compiler *c, const struct run_language *language,
                           uint32_t number, uint32_t *entries, struct run_range *ranges,
                           uint32_t next)
{
    const struct run_language_state *state = &language->states[number];
    const struct run_arc *arcs = &language->arcs[state->first_arc];
    uint32_t at = state->accepts ? next : RUN_NO_NODE;
    if (state->arc_count > STATE_ARCS_MAX) {
        return run_schema_refuse(c, TAKT_LIMIT,
                                 "more than %u ranges of characters are told apart in one place",
                                 STATE_ARCS_MAX);
    }
    for (uint32_t i = 0; i < state->arc_count && !c->graph->full; i++) {
        uint32_t count = 0, j = 0;
        while (j < i && arcs[j].to != arcs[i].to) {
            j++;
        }
        if (j < i) {
            continue; /* in an earlier one's set */
        }
        for (; j < state->arc_count; j++) {
            if (arcs[j].to == arcs[i].to) {
                ranges[count++] = arcs[j].on;
            }
        }
        if (entries[arcs[i].to] == RUN_NO_NODE) {
            entries[arcs[i].to] = run_schema_loop(c, next); /* filled in when its turn comes */
        }
        const uint32_t rule = run_schema_characters(c, ranges, count);
        at = schema_either(c, at, schema_call(c, rule, entries[arcs[i].to]));
    }
    return at != RUN_NO_NODE ? at : schema_bytes(c, "", next);
}

/* The last states first, so that nodes lead to earlier ones mostly. */
uint32_t run_schema_language(struct schema_compiler *c, const struct run_language *language,
                             uint32_t next)
{
    uint32_t *entries = malloc((size_t)language->state_count * sizeof *entries);
    struct run_range *ranges = malloc(((size_t)language->arc_count + 1) * sizeof *ranges);
    BASE_ASSERT(entries && ranges);
    memset(entries, 0xFF, (size_t)language->state_count * sizeof *entries);
    for (uint32_t i = language->state_count; i > 0 && !c->graph->full && !c->failed; i--) {
        const uint32_t at = state_node(c, language, i - 1, entries, ranges, next);
        if (entries[i - 1] == RUN_NO_NODE) {
            entries[i - 1] = at;
        } else {
            c->graph->nodes[entries[i - 1]] = c->graph->nodes[at];
        }
    }
    const uint32_t start = c->graph->full || c->failed ? 0 : entries[0];
    free(entries);
    free(ranges);
    return start;
}

/* ---- the type -------------------------------------------------------------------------------- */

static uint32_t plain_string(struct schema_compiler *c, long least, long most, uint32_t next)
{
    const uint32_t close = schema_text(c, "\"", next);
    uint32_t at = close;
    if (most < 0) {
        at = run_schema_loop(c, close);
        schema_repeat(c, at, schema_call(c, c->character, at));
    }
    for (long i = least; i < most; i++) {
        at = schema_either(c, close, schema_call(c, c->character, at));
    }
    for (long i = 0; i < least; i++) {
        at = schema_call(c, c->character, at);
    }
    return schema_text(c, "\"", at);
}

/* Keeps of the language what the pattern takes too. */
static void narrow(struct schema_compiler *c, struct run_language *language, const char *key,
                   const char *pattern)
{
    struct run_language other, both = {0};
    struct takt_error error;
    const enum takt_status status = run_language_pattern(&other, pattern, &c->work_left, &error);
    if (status != TAKT_OK) {
        run_schema_refuse(c, status, "'%s': %s", key, error.message);
        return;
    }
    const bool fits = run_language_both(&both, language, &other);
    run_language_free(&other);
    run_language_free(language);
    *language = both;
    if (!fits) {
        run_schema_refuse(c, TAKT_LIMIT,
                          "what the string must be, taken together, needs an automaton of more "
                          "than %u states",
                          RUN_LANGUAGE_STATES_MAX);
    }
}

static void narrow_to_format(struct schema_compiler *c, struct run_language *language,
                             const json_t *value)
{
    const char *name = json_string_value(value);
    const char *const *patterns = run_schema_format(name);
    if (!patterns) {
        run_schema_refuse(c, TAKT_UNSUPPORTED, "the format '%.60s' is not supported", name);
    }
    for (size_t i = 0; i < 2 && patterns && patterns[i] && !c->failed; i++) {
        narrow(c, language, "format", patterns[i]);
    }
}

static void narrow_to_pattern(struct schema_compiler *c, struct run_language *language,
                              const json_t *value)
{
    narrow(c, language, "pattern", json_string_value(value));
}

/* A keyword's value, and those of the list that schemas taken together have. */
static void each(struct schema_compiler *c, const json_t *schema, const char *key, const char *list,
                 struct run_language *language,
                 void (*use)(struct schema_compiler *, struct run_language *, const json_t *))
{
    const json_t *one = json_object_get(schema, key), *all = json_object_get(schema, list);
    if (one && !c->failed) {
        use(c, language, one);
    }
    for (size_t i = 0; i < json_array_size(all) && !c->failed; i++) {
        use(c, language, json_array_get(all, i));
    }
}

bool run_schema_string_language(struct schema_compiler *c, const json_t *schema,
                                struct run_language *language)
{
    const long least = run_schema_count(c, schema, "minLength", 0);
    const long most = run_schema_count(c, schema, "maxLength", -1);
    if (most >= 0 && least > most) {
        return !c->failed && run_language_words(language, NULL, 0);
    }
    if (!run_language_lengths(language, least, most)) {
        run_schema_refuse(c, TAKT_LIMIT, "the lengths are too large");
    }
    each(c, schema, "format", SCHEMA_FORMATS, language, narrow_to_format);
    each(c, schema, "pattern", SCHEMA_PATTERNS, language, narrow_to_pattern);
    return !c->failed;
}

uint32_t run_schema_string(struct schema_compiler *c, const json_t *schema, uint32_t next)
{
    static const char *const keys[] = {"type",   "minLength",     "maxLength",    "pattern",
                                       "format", SCHEMA_PATTERNS, SCHEMA_FORMATS, NULL};
    bool plain = true;
    for (size_t i = 3; keys[i]; i++) {
        plain = plain && !json_object_get(schema, keys[i]);
    }
    if (!run_schema_only(c, schema, keys)) {
        return 0;
    }
    struct run_language language = {0};
    uint32_t at = 0;
    if (!run_schema_string_language(c, schema, &language)) {
        at = 0;
    } else if (run_language_is_empty(&language)) {
        at = run_schema_nothing(c, next, "no string is what it asks for");
    } else if (plain) {
        at = plain_string(c, run_schema_count(c, schema, "minLength", 0),
                          run_schema_count(c, schema, "maxLength", -1), next);
    } else {
        at = schema_text(c, "\"", run_schema_language(c, &language, schema_text(c, "\"", next)));
    }
    run_language_free(&language);
    return at;
}
