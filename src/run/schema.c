/*
 * JSON Schema to a grammar. What the grammar admits is JSON in one spelling: no white space but a
 * space after ':' and ',', properties in the schema's order, numbers of at most 15 digits. All of
 * it satisfies the schema; a keyword that could not be kept is refused by its name and place.
 */
#include "run/schema.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 128u

/* The same one level deeper, with the place named. */
uint32_t run_schema_at(struct schema_compiler *c, const json_t *schema, const char *name,
                       uint32_t next)
{
    const size_t length = strlen(c->place);
    snprintf(c->place + length, sizeof c->place - length, "/%s", name);
    uint32_t at = 0;
    if (c->depth == DEPTH_MAX) {
        run_schema_refuse(c, TAKT_LIMIT, "nested more than %u deep", DEPTH_MAX);
    } else {
        c->depth++;
        at = run_schema_any(c, schema, next);
        c->depth--;
    }
    if (!c->failed) {
        c->place[length] = '\0';
    }
    return at;
}

uint32_t run_schema_rule(struct schema_compiler *c, const json_t *schema, const char *name,
                         bool container)
{
    const uint32_t rule = run_graph_rule(c->graph, container);
    const uint32_t start = run_schema_at(c, schema, name, run_graph_end(c->graph));
    schema_start(c, rule, start);
    return rule;
}

/* ---- schemas --------------------------------------------------------------------------------- */

/* "#", "#/$defs/name" and so on: what it points at. */
static const json_t *find_reference(struct schema_compiler *c, const char *reference)
{
    const json_t *at = c->root;
    if (reference[0] != '#') {
        run_schema_refuse(c, TAKT_UNSUPPORTED,
                          "'$ref' to another document (%.100s) is not supported", reference);
        return NULL;
    }
    for (const char *part = reference + 1; *part == '/' && at;) {
        const size_t length = strcspn(part + 1, "/");
        char name[256];
        size_t used = 0;
        for (size_t i = 1; i <= length && used + 1 < sizeof name; i++) {
            const bool escaped = part[i] == '~' && i < length && (part[i + 1] | 1) == '1';
            name[used++] = escaped ? (part[i + 1] == '0' ? '~' : '/') : part[i];
            i += escaped;
        }
        name[used] = '\0';
        at = json_is_array(at) ? json_array_get(at, strtoul(name, NULL, 10))
                               : json_object_get(at, name);
        part += length + 1;
    }
    if (!at) {
        run_schema_refuse(c, TAKT_USAGE, "'$ref' %.100s points at nothing", reference);
    }
    return at;
}

const json_t *run_schema_find(struct schema_compiler *c, const json_t *reference)
{
    return find_reference(c, json_string_value(reference));
}

bool run_schema_find_rule(struct schema_compiler *c, const void *schema, char *text, uint32_t *rule)
{
    for (size_t i = 0; i < c->named_count; i++) {
        const struct schema_named *named = &c->named[i];
        if (named->schema == schema &&
            (text ? named->text && strcmp(named->text, text) == 0 : !named->text)) {
            *rule = named->rule;
            free(text);
            return true;
        }
    }
    if (c->named_count == SCHEMA_NAMED_MAX) {
        free(text);
        run_schema_refuse(c, TAKT_LIMIT, "more than %u references", SCHEMA_NAMED_MAX);
        return true;
    }
    *rule = run_graph_rule(c->graph, false);
    c->named[c->named_count++] = (struct schema_named){schema, text, *rule};
    return false;
}

static uint32_t reference(struct schema_compiler *c, const json_t *schema, uint32_t next)
{
    const json_t *target = run_schema_find(c, json_object_get(schema, "$ref"));
    uint32_t rule = 0;
    if (target && !run_schema_find_rule(c, target, NULL, &rule)) {
        const uint32_t start = run_schema_at(c, target, "$ref", run_graph_end(c->graph));
        schema_start(c, rule, start);
    }
    return c->failed ? 0 : schema_call(c, rule, next);
}

static uint32_t any_of(struct schema_compiler *c, const json_t *schema, uint32_t next)
{
    const json_t *list = json_object_get(schema, "anyOf");
    uint32_t at = RUN_NO_NODE;
    for (size_t i = 0; i < json_array_size(list) && !c->failed; i++) {
        char name[64];
        snprintf(name, sizeof name, "anyOf/%zu", i);
        at = schema_either(c, at, run_schema_at(c, json_array_get(list, i), name, next));
    }
    return at;
}

/* A schema without references and lists of schemas. */
static uint32_t plain(struct schema_compiler *c, const json_t *schema, uint32_t next)
{
    if (json_is_boolean(schema)) {
        return json_is_true(schema) ? schema_call(c, c->value, next) : schema_bytes(c, "", next);
    }
    if (json_object_get(schema, "enum") || json_object_get(schema, "const")) {
        return run_schema_literals(c, schema, next);
    }
    return run_schema_types(c, schema, next);
}

/* Schemas taken together: a rule of their own, for they may lead to themselves. */
static uint32_t together(struct schema_compiler *c, const json_t *schema, uint32_t next)
{
    char *text = json_dumps(schema, JSON_SORT_KEYS | JSON_COMPACT);
    uint32_t rule = 0;
    BASE_ASSERT(text);
    if (!run_schema_find_rule(c, c->root, text, &rule)) {
        const uint32_t end = run_graph_end(c->graph);
        json_t *flat = run_schema_flat(c, schema);
        c->together++;
        const json_t *branches = json_object_get(flat, "anyOf");
        uint32_t at = branches ? RUN_NO_NODE : flat ? plain(c, flat, end) : 0;
        for (size_t i = 0; i < json_array_size(branches) && !c->failed; i++) {
            at = schema_either(c, at, plain(c, json_array_get(branches, i), end));
        }
        c->together--;
        schema_start(c, rule, at);
        json_decref(flat);
    }
    return c->failed ? 0 : schema_call(c, rule, next);
}

uint32_t run_schema_any(struct schema_compiler *c, const json_t *schema, uint32_t next)
{
    static const char *const reference_keys[] = {"$ref", NULL}, *const any_keys[] = {"anyOf", NULL};
    if (c->failed || c->graph->full) {
        return 0;
    }
    if (!run_schema_check(c, schema)) {
        return 0;
    }
    if (run_schema_has_only(schema, reference_keys)) {
        return reference(c, schema, next);
    }
    if (run_schema_has_only(schema, any_keys)) {
        return any_of(c, schema, next);
    }
    if (json_object_get(schema, "$ref") || json_object_get(schema, "allOf") ||
        json_object_get(schema, "anyOf") || json_object_get(schema, "oneOf")) {
        return together(c, schema, next);
    }
    return plain(c, schema, next);
}

/* ---- opening --------------------------------------------------------------------------------- */

static uint32_t compile_root(struct schema_compiler *c, const json_t *json,
                             const struct takt_grammar_options *options)
{
    switch (options->kind) {
    case TAKT_GRAMMAR_OBJECT: return schema_call(c, c->object, run_graph_end(c->graph));
    case TAKT_GRAMMAR_SCHEMA:
        return run_schema_check_all(c, json) ? run_schema_any(c, json, run_graph_end(c->graph)) : 0;
    case TAKT_GRAMMAR_TOOLS: return run_schema_tools(c, json, options);
    }
    return 0;
}

enum takt_status run_schema_compile(struct run_graph *graph,
                                    const struct takt_grammar_options *options,
                                    struct takt_error *error)
{
    struct takt_error own;
    json_error_t reason;
    json_t *json = NULL;
    if (options->kind != TAKT_GRAMMAR_OBJECT) {
        json = json_loadb(options->json, options->length, 0, &reason);
        if (!json) {
            return base_fail(error, TAKT_FORMAT, "the schema is not JSON: %.100s", reason.text);
        }
    }
    struct schema_compiler *c = calloc(1, sizeof *c);
    BASE_ASSERT(c);
    *c = (struct schema_compiler){.graph = graph,
                                  .root = json,
                                  .work_left = RUN_LANGUAGE_WORK,
                                  .error = error ? error : &own};
    run_schema_make_rules(c);
    graph->root = run_graph_rule(graph, false);
    const uint32_t start = compile_root(c, json, options);
    graph->rules[graph->root].start = start;
    if (!c->failed && graph->full) {
        run_schema_refuse(c, TAKT_LIMIT, "the schema is too large");
    }
    const enum takt_status status = c->failed ? c->error->status : TAKT_OK;
    run_schema_forget_characters(c);
    for (size_t i = 0; i < c->named_count; i++) {
        free(c->named[i].text);
    }
    free(c);
    json_decref(json);
    return status;
}
