/*
 * Objects: the named properties in their order, then others, if what they must be is said. Which
 * names those may have is a language: none of the named ones (a name twice would be read as one),
 * what 'propertyNames' admits, and for each choice of 'patternProperties' what just these match.
 */
#include "run/schema.h"

#include <stdlib.h>
#include <string.h>

#define PROPERTIES_MAX 512u
#define PATTERNS_MAX 6u /* each doubles the choices */

static bool is_required(const json_t *schema, const char *name)
{
    const json_t *required = json_object_get(schema, "required");
    for (size_t i = 0; i < json_array_size(required); i++) {
        const char *item = json_string_value(json_array_get(required, i));
        if (item && strcmp(item, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool names_none(const json_t *schema)
{
    return json_object_size(json_object_get(schema, "properties")) +
               json_array_size(json_object_get(schema, "required")) ==
           0;
}

/* Are properties written that it does not name? */
static bool writes_more(const json_t *schema)
{
    const json_t *more = json_object_get(schema, "additionalProperties");
    return json_is_object(more) ||
           json_object_size(json_object_get(schema, "patternProperties")) > 0 ||
           (names_none(schema) && !json_is_false(more));
}

bool run_schema_may_write(const json_t *schema, const char *name)
{
    const json_t *property = json_object_get(json_object_get(schema, "properties"), name);
    return is_required(schema, name) || (property ? !json_is_false(property) : writes_more(schema));
}

/* ---- what a property must be ----------------------------------------------------------------- */

static bool pattern_language(struct schema_compiler *c, const char *pattern,
                             struct run_language *language)
{
    struct takt_error error;
    const enum takt_status status = run_language_pattern(language, pattern, &c->work_left, &error);
    if (status != TAKT_OK) {
        run_schema_refuse(c, status, "'patternProperties': %s", error.message);
    }
    return status == TAKT_OK;
}

/* Of a name's own schema, and those of the patterns that it matches. */
static json_t *said_of(struct schema_compiler *c, const json_t *schema, const char *name)
{
    const json_t *own = json_object_get(json_object_get(schema, "properties"), name);
    json_t *said = own ? json_incref((json_t *)(uintptr_t)own) : NULL;
    const char *pattern;
    json_t *other;
    json_object_foreach(json_object_get(schema, "patternProperties"), pattern, other)
    {
        struct run_language language = {0};
        if (pattern_language(c, pattern, &language) && run_language_takes(&language, name)) {
            json_t *both = run_schema_join(said, other);
            json_decref(said);
            said = both;
        }
        run_language_free(&language);
    }
    const json_t *more = json_object_get(schema, "additionalProperties");
    return said ? said : run_schema_join(NULL, more);
}

json_t *run_schema_property(struct schema_compiler *c, const json_t *schema, const char *name,
                            bool to_write)
{
    const json_t *names = json_object_get(schema, "propertyNames");
    if (names) {
        json_t *text = json_string(name);
        const enum schema_truth holds = run_schema_holds(c, names, text);
        json_decref(text);
        if (to_write ? holds != SCHEMA_YES : holds == SCHEMA_NO) {
            return json_false();
        }
    }
    json_t *said = said_of(c, schema, name);
    if (c->failed) {
        json_decref(said);
        return NULL;
    }
    return said;
}

/* ---- other names ----------------------------------------------------------------------------- */

/* The names that 'propertyNames' admits; false when refused. */
static bool admitted_names(struct schema_compiler *c, const json_t *names,
                           struct run_language *language)
{
    json_t *flat = run_schema_flat_at(c, names, "propertyNames", SIZE_MAX);
    bool fits = flat != NULL;
    if (json_object_get(flat, "anyOf")) {
        run_schema_refuse(c, TAKT_UNSUPPORTED, "'propertyNames' of alternatives is not supported");
    } else if (json_object_get(flat, "enum")) {
        json_t *values = run_schema_values(c, flat);
        const size_t count = json_array_size(values);
        const char **words = calloc(count + 1, sizeof *words);
        size_t used = 0;
        BASE_ASSERT(words);
        for (size_t i = 0; i < count; i++) {
            words[used] = json_string_value(json_array_get(values, i));
            used += words[used] != NULL;
        }
        fits = run_language_words(language, words, used);
        free(words);
        json_decref(values);
    } else if (json_is_object(flat) && run_schema_admits(flat, "string")) {
        fits = run_schema_string_language(c, flat, language);
    } else {
        fits = flat && (json_is_true(flat) ? run_language_lengths(language, 0, -1)
                                           : run_language_words(language, NULL, 0));
    }
    if (!fits && !c->failed) {
        run_schema_refuse(c, TAKT_LIMIT, "'propertyNames' is too large");
    }
    json_decref(flat);
    return !c->failed;
}

/* Takes the place of `language` what it has in common with the other, or with its opposite. */
static bool cut(struct schema_compiler *c, struct run_language *language,
                const struct run_language *other, bool opposite)
{
    struct run_language turned = {0}, both = {0};
    const bool fits = (!opposite || run_language_not(&turned, other)) &&
                      run_language_both(&both, language, opposite ? &turned : other);
    run_language_free(&turned);
    run_language_free(language);
    *language = both;
    if (!fits) {
        run_schema_refuse(c, TAKT_LIMIT, "the names of properties need too large an automaton");
    }
    return fits;
}

/* Names that may be written beside those of the parts. */
static bool other_names(struct schema_compiler *c, const json_t *schema,
                        struct run_language *language)
{
    const json_t *names = json_object_get(schema, "propertyNames");
    const json_t *properties = json_object_get(schema, "properties");
    const json_t *required = json_object_get(schema, "required");
    const size_t most = json_object_size(properties) + json_array_size(required);
    const char **words = calloc(most + 1, sizeof *words), *key;
    size_t count = 0;
    json_t *value;
    BASE_ASSERT(words);
    json_object_foreach((json_t *)(uintptr_t)properties, key, value)
    {
        words[count++] = key;
    }
    for (size_t i = 0; i < json_array_size(required); i++) {
        words[count] = json_string_value(json_array_get(required, i));
        count += words[count] != NULL;
    }
    struct run_language named = {0};
    bool good = names ? admitted_names(c, names, language) : run_language_lengths(language, 0, -1);
    if (good && !run_language_words(&named, words, count)) {
        run_schema_refuse(c, TAKT_LIMIT, "the names of properties are too long");
        good = false;
    }
    good = good && (count == 0 || cut(c, language, &named, true));
    run_language_free(&named);
    free(words);
    return good;
}

struct choice {
    uint32_t start; /* of the rule of other members */
    uint32_t end;
    const json_t *schema;
    struct {
        struct run_language language;
        const json_t *schema;
    } patterns[PATTERNS_MAX];
    uint32_t count;
};

/* A member of these names with a value of what is said. */
static void add_choice(struct schema_compiler *c, struct choice *choice,
                       const struct run_language *names, const json_t *said)
{
    const uint32_t rule =
        json_is_true(said) ? c->value : run_schema_rule(c, said, "additionalProperties", false);
    uint32_t at = schema_text(c, ":", run_schema_space(c, schema_call(c, rule, choice->end)));
    at = schema_text(c, "\"", run_schema_language(c, names, schema_text(c, "\"", at)));
    choice->start = schema_either(c, choice->start, at);
}

/* Each pattern is matched or not. said: NULL while none is. */
static void choose(struct schema_compiler *c, struct choice *choice, uint32_t index,
                   const struct run_language *names, const json_t *said)
{
    if (c->failed || c->graph->full || run_language_is_empty(names)) {
        return;
    }
    if (index == choice->count) {
        const json_t *more = json_object_get(choice->schema, "additionalProperties");
        const bool any = choice->count == 0 && !json_is_false(more);
        json_t *value = said || json_is_object(more) || any
                            ? run_schema_join(said, said ? NULL : more)
                            : json_false();
        if (!json_is_false(value)) {
            add_choice(c, choice, names, value);
        }
        json_decref(value);
        return;
    }
    for (int opposite = 0; opposite < 2; opposite++) {
        struct run_language part = {0};
        json_t *both = opposite ? json_incref((json_t *)(uintptr_t)said)
                                : run_schema_join(said, choice->patterns[index].schema);
        if (run_language_both(&part, names, names) &&
            cut(c, &part, &choice->patterns[index].language, opposite)) {
            choose(c, choice, index + 1, &part, both);
        }
        run_language_free(&part);
        json_decref(both);
    }
}

/* The rule of a member that is not named; RUN_NO_NODE when there is none. */
static uint32_t other_members(struct schema_compiler *c, const json_t *schema)
{
    const json_t *patterns = json_object_get(schema, "patternProperties");
    if (!writes_more(schema)) {
        return RUN_NO_NODE;
    }
    if (json_object_size(patterns) > PATTERNS_MAX) {
        run_schema_refuse(c, TAKT_LIMIT, "more than %u 'patternProperties'", PATTERNS_MAX);
        return RUN_NO_NODE;
    }
    struct choice choice = {.start = RUN_NO_NODE, .schema = schema};
    const char *pattern;
    json_t *said;
    json_object_foreach((json_t *)(uintptr_t)patterns, pattern, said)
    {
        choice.patterns[choice.count].schema = said;
        pattern_language(c, pattern, &choice.patterns[choice.count++].language);
    }
    const uint32_t rule = run_graph_rule(c->graph, false);
    choice.end = run_graph_end(c->graph);
    struct run_language names = {0};
    if (!c->failed && other_names(c, schema, &names)) {
        choose(c, &choice, 0, &names, NULL);
    }
    run_language_free(&names);
    for (uint32_t i = 0; i < choice.count; i++) {
        run_language_free(&choice.patterns[i].language);
    }
    schema_start(c, rule,
                 choice.start != RUN_NO_NODE ? choice.start : schema_bytes(c, "", choice.end));
    return choice.start == RUN_NO_NODE ? RUN_NO_NODE : rule;
}

/* ---- the named ones -------------------------------------------------------------------------- */

static void add_part(struct schema_compiler *c, struct schema_parts *parts, const json_t *schema,
                     const char *name)
{
    json_t *said = run_schema_property(c, schema, name, true);
    const bool required = is_required(schema, name);
    if (said && (required || !json_is_false(said))) {
        json_t *text = json_string(name);
        const uint32_t rule = json_is_true(said) ? c->value : run_schema_rule(c, said, name, false);
        parts->list[parts->count++] = (struct schema_part){run_schema_write(text), rule, required};
        json_decref(text);
    }
    json_decref(said);
}

static void list_parts(struct schema_compiler *c, const json_t *schema, struct schema_parts *parts)
{
    const json_t *properties = json_object_get(schema, "properties");
    const json_t *required = json_object_get(schema, "required");
    const size_t length = strlen(c->place);
    const char *name;
    json_t *property;
    snprintf(c->place + length, sizeof c->place - length, "/properties");
    json_object_foreach((json_t *)(uintptr_t)properties, name, property)
    {
        add_part(c, parts, schema, name);
        if (c->failed) {
            return;
        }
    }
    c->place[length] = '\0';
    for (size_t i = 0; i < json_array_size(required) && !c->failed; i++) {
        name = json_string_value(json_array_get(required, i));
        bool known = json_object_get(properties, name) != NULL;
        for (size_t j = 0; j < i; j++) {
            const char *other = json_string_value(json_array_get(required, j));
            known = known || (other && strcmp(other, name) == 0);
        }
        if (!known) {
            add_part(c, parts, schema, name);
        }
    }
}

static uint32_t members(struct schema_compiler *c, const json_t *schema, struct schema_parts *parts,
                        uint32_t next)
{
    list_parts(c, schema, parts);
    parts->extra = c->failed ? RUN_NO_NODE : other_members(c, schema);
    const bool more = parts->extra != RUN_NO_NODE;
    if (c->failed || c->graph->full) {
        return 0;
    }
    if (more && parts->least > (long)parts->count + 1) {
        return run_schema_refuse(
            c, TAKT_UNSUPPORTED,
            "'minProperties' of %ld: of properties that are not named only one "
            "is sure to be another",
            parts->least);
    }
    if (!more && parts->least > (long)parts->count) {
        return run_schema_nothing(c, next, "there are fewer than %ld properties", parts->least);
    }
    if (parts->most >= 0 && parts->least > parts->most) {
        return run_schema_nothing(c, next, "nothing has at least %ld and at most %ld properties",
                                  parts->least, parts->most);
    }
    if (!more && parts->most >= (long)parts->count) {
        parts->most = -1;
    }
    return schema_text(c, "{", run_schema_ordered(c, parts, schema_text(c, "}", next)));
}

uint32_t run_schema_object(struct schema_compiler *c, const json_t *schema, uint32_t next)
{
    static const char *const keys[] = {"type",          "properties",        "required",
                                       "minProperties", "maxProperties",     "additionalProperties",
                                       "propertyNames", "patternProperties", NULL};
    if (!run_schema_only(c, schema, keys)) {
        return 0;
    }
    if (json_object_size(json_object_get(schema, "properties")) +
            json_array_size(json_object_get(schema, "required")) >
        PROPERTIES_MAX) {
        return run_schema_refuse(c, TAKT_LIMIT, "more than %u properties", PROPERTIES_MAX);
    }
    struct schema_parts parts = {.least = run_schema_count(c, schema, "minProperties", 0),
                                 .most = run_schema_count(c, schema, "maxProperties", -1)};
    const bool any = names_none(schema) && !json_object_get(schema, "patternProperties") &&
                     !json_object_get(schema, "propertyNames");
    const json_t *more = json_object_get(schema, "additionalProperties");
    if (any && parts.least == 0 && parts.most < 0 && (!more || json_is_true(more))) {
        return schema_call(c, c->object, next); /* whose nesting is bounded */
    }
    parts.list = calloc(PROPERTIES_MAX, sizeof *parts.list);
    BASE_ASSERT(parts.list);
    const uint32_t at = c->failed ? 0 : members(c, schema, &parts, next);
    for (uint32_t i = 0; i < parts.count; i++) {
        free(parts.list[i].text);
    }
    free(parts.list);
    return at;
}
