/*
 * JSON Schema to a grammar. What the grammar admits is JSON in one spelling: no white space but a
 * space after ':' and ',', properties in the schema's order, numbers of at most 15 digits. All of
 * it satisfies the schema; a keyword that could not be kept is refused by its name and place.
 */
#include "run/schema.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 64u

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
    c->graph->rules[rule].start = start;
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

static uint32_t reference(struct schema_compiler *c, const json_t *schema, uint32_t next)
{
    static const char *const keys[] = {"$ref", NULL};
    const char *name = json_string_value(json_object_get(schema, "$ref"));
    if (!run_schema_only(c, schema, keys)) {
        return 0;
    }
    const json_t *target = name ? find_reference(c, name) : NULL;
    if (!target) {
        return c->failed ? 0 : run_schema_refuse(c, TAKT_USAGE, "'$ref' must be a string");
    }
    for (size_t i = 0; i < c->named_count; i++) {
        if (c->named[i].schema == target) {
            return schema_call(c, c->named[i].rule, next);
        }
    }
    if (c->named_count == SCHEMA_NAMED_MAX) {
        return run_schema_refuse(c, TAKT_LIMIT, "more than %u references", SCHEMA_NAMED_MAX);
    }
    const uint32_t rule = run_graph_rule(c->graph, false);
    c->named[c->named_count++] = (struct schema_named){target, rule};
    const uint32_t start = run_schema_at(c, target, "$ref", run_graph_end(c->graph));
    c->graph->rules[rule].start = start;
    return schema_call(c, rule, next);
}

static uint32_t any_of(struct schema_compiler *c, const json_t *schema, const char *key,
                       uint32_t next)
{
    const char *const keys[] = {key, NULL};
    const json_t *list = json_object_get(schema, key);
    if (!run_schema_only(c, schema, keys)) {
        return 0;
    }
    const size_t count = json_array_size(list);
    if (count == 0) {
        return run_schema_refuse(c, TAKT_USAGE, "'%s' must be an array with something in it", key);
    }
    if (count > 1 && strcmp(key, "allOf") == 0) {
        return run_schema_refuse(c, TAKT_UNSUPPORTED,
                                 "'allOf' of several schemas is not supported");
    }
    uint32_t at = RUN_NO_NODE;
    for (size_t i = 0; i < count && !c->failed; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s/%zu", key, i);
        at = schema_either(c, at, run_schema_at(c, json_array_get(list, i), name, next));
    }
    return at;
}

uint32_t run_schema_any(struct schema_compiler *c, const json_t *schema, uint32_t next)
{
    static const char *const enum_keys[] = {"enum", "type", NULL};
    static const char *const const_keys[] = {"const", "type", NULL};
    if (c->failed || c->graph->full) {
        return 0;
    }
    if (json_is_true(schema)) {
        return schema_call(c, c->value, next);
    }
    if (!json_is_object(schema)) {
        return run_schema_refuse(c, TAKT_USAGE, "a schema must be an object");
    }
    if (json_object_get(schema, "$ref")) {
        return reference(c, schema, next);
    }
    if (json_object_get(schema, "anyOf")) {
        return any_of(c, schema, "anyOf", next);
    }
    if (json_object_get(schema, "allOf")) {
        return any_of(c, schema, "allOf", next);
    }
    if (json_object_get(schema, "enum")) {
        return run_schema_only(c, schema, enum_keys)
                   ? run_schema_literals(c, json_object_get(schema, "enum"),
                                         json_object_get(schema, "type"), next)
                   : 0;
    }
    if (json_object_get(schema, "const")) {
        json_t *list = json_array();
        json_array_append(list, json_object_get(schema, "const"));
        const uint32_t at =
            run_schema_only(c, schema, const_keys)
                ? run_schema_literals(c, list, json_object_get(schema, "type"), next)
                : 0;
        json_decref(list);
        return at;
    }
    return run_schema_types(c, schema, next);
}

/* ---- opening --------------------------------------------------------------------------------- */

static uint32_t compile_root(struct schema_compiler *c, const json_t *json,
                             const struct takt_grammar_options *options)
{
    switch (options->kind) {
    case TAKT_GRAMMAR_OBJECT: return schema_call(c, c->object, run_graph_end(c->graph));
    case TAKT_GRAMMAR_SCHEMA: return run_schema_any(c, json, run_graph_end(c->graph));
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
    free(c);
    json_decref(json);
    return status;
}
