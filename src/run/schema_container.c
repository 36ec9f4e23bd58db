/* Arrays and objects. */
#include "run/schema.h"

#include <stdlib.h>
#include <string.h>

uint32_t run_schema_array(struct schema_compiler *c, const json_t *schema, uint32_t next)
{
    static const char *const keys[] = {"type", "items", "minItems", "maxItems", NULL};
    if (!run_schema_only(c, schema, keys)) {
        return 0;
    }
    const json_t *items = json_object_get(schema, "items");
    const long least = run_schema_count(c, schema, "minItems", 0);
    const long most = run_schema_count(c, schema, "maxItems", -1);
    if (most >= 0 && least > most) {
        return run_schema_refuse(c, TAKT_UNSUPPORTED,
                                 "nothing has at least %ld and at most %ld items", least, most);
    }
    const uint32_t close = schema_text(c, "]", next);
    if (most == 0) {
        return schema_text(c, "[", close);
    }
    const uint32_t item = items ? run_schema_rule(c, items, "items", false) : c->value;
    uint32_t at = close; /* after an item */
    if (most < 0) {
        at = run_schema_loop(c, close);
        c->graph->nodes[at].other =
            schema_text(c, ",", run_schema_space(c, schema_call(c, item, at)));
    }
    for (long i = BASE_MAX(least, 1); i < most; i++) {
        at = schema_either(c, close,
                           schema_text(c, ",", run_schema_space(c, schema_call(c, item, at))));
    }
    for (long i = 1; i < least; i++) {
        at = schema_text(c, ",", run_schema_space(c, schema_call(c, item, at)));
    }
    at = schema_call(c, item, at);
    return schema_text(c, "[", least > 0 ? at : schema_either(c, close, at));
}

/* ---- objects --------------------------------------------------------------------------------- */

#define PROPERTIES_MAX 512u

struct property {
    const char *name;
    uint32_t rule;
    bool required;
};

static bool is_required(const json_t *required, const char *name)
{
    for (size_t i = 0; i < json_array_size(required); i++) {
        const char *item = json_string_value(json_array_get(required, i));
        if (item && strcmp(item, name) == 0) {
            return true;
        }
    }
    return false;
}

static size_t list_properties(struct schema_compiler *c, const json_t *schema,
                              struct property *list)
{
    const json_t *properties = json_object_get(schema, "properties");
    const json_t *required = json_object_get(schema, "required");
    size_t count = 0;
    if (json_object_size(properties) + json_array_size(required) > PROPERTIES_MAX) {
        run_schema_refuse(c, TAKT_LIMIT, "more than %u properties", PROPERTIES_MAX);
        return 0;
    }
    void *at = json_object_iter((json_t *)(uintptr_t)properties);
    for (; at && !c->failed; at = json_object_iter_next((json_t *)(uintptr_t)properties, at)) {
        const char *name = json_object_iter_key(at);
        const size_t length = strlen(c->place);
        snprintf(c->place + length, sizeof c->place - length, "/properties");
        list[count++] =
            (struct property){name, run_schema_rule(c, json_object_iter_value(at), name, false),
                              is_required(required, name)};
        if (!c->failed) {
            c->place[length] = '\0';
        }
    }
    for (size_t i = 0; i < json_array_size(required); i++) {
        const char *name = json_string_value(json_array_get(required, i));
        if (!name) {
            run_schema_refuse(c, TAKT_USAGE, "'required' must be an array of strings");
            return 0;
        }
        bool known = json_object_get(properties, name) != NULL;
        for (size_t j = 0; j < count; j++) {
            known = known || strcmp(list[j].name, name) == 0;
        }
        if (!known) {
            list[count++] = (struct property){name, c->value, true};
        }
    }
    return count;
}

static uint32_t member(struct schema_compiler *c, const struct property *property, bool comma,
                       uint32_t next)
{
    json_t *name = json_string(property->name);
    char *key = json_dumps(name, JSON_ENCODE_ANY);
    json_decref(name);
    BASE_ASSERT(key);
    uint32_t at = schema_call(c, property->rule, next);
    at = schema_text(c, key, schema_text(c, ":", run_schema_space(c, at)));
    free(key);
    return comma ? schema_text(c, ",", run_schema_space(c, at)) : at;
}

/* Properties in their order; what may be left out has a way past it. */
static uint32_t object_members(struct schema_compiler *c, const struct property *list, size_t count,
                               uint32_t next)
{
    uint32_t first = schema_text(c, "}", next), later = first; /* before and after some member */
    for (size_t i = count; i > 0; i--) {
        const struct property *property = &list[i - 1];
        const uint32_t opening = member(c, property, false, later);
        const uint32_t following = member(c, property, true, later);
        first = property->required ? opening : schema_either(c, opening, first);
        later = property->required ? following : schema_either(c, following, later);
    }
    return schema_text(c, "{", first);
}

uint32_t run_schema_object(struct schema_compiler *c, const json_t *schema, uint32_t next)
{
    static const char *const keys[] = {"type", "properties", "required", "additionalProperties",
                                       NULL};
    const json_t *properties = json_object_get(schema, "properties");
    const json_t *required = json_object_get(schema, "required");
    const json_t *more = json_object_get(schema, "additionalProperties");
    if (!run_schema_only(c, schema, keys)) {
        return 0;
    }
    if ((properties && !json_is_object(properties)) || (required && !json_is_array(required))) {
        return run_schema_refuse(c, TAKT_USAGE,
                                 "'properties' must be an object, 'required' an array");
    }
    if (more && !json_is_boolean(more) && !json_is_object(more)) {
        return run_schema_refuse(c, TAKT_USAGE,
                                 "'additionalProperties' must be a boolean or a schema");
    }
    if (json_object_size(properties) + json_array_size(required) == 0) {
        if (json_is_false(more)) {
            return schema_text(c, "{}", next);
        }
        if (json_is_object(more)) {
            return run_schema_map(c, run_schema_rule(c, more, "additionalProperties", false), next);
        }
        return schema_call(c, c->object, next);
    }
    struct property *list = calloc(PROPERTIES_MAX, sizeof *list);
    BASE_ASSERT(list);
    const size_t count = list_properties(c, schema, list);
    const uint32_t at = c->failed ? 0 : object_members(c, list, count, next);
    free(list);
    return at;
}
