/* Arrays: items one by one, then of one kind; sets, in the order of their 'enum'. */
#include "run/schema.h"

#include <stdlib.h>
#include <string.h>

struct array {
    const json_t *first; /* an array of schemas, or NULL */
    const json_t *items; /* of the others; NULL: any */
    size_t first_count;
    long least, most; /* most < 0: any number */
};

/* Also as drafts before 2020 write it: 'items' with a list, and 'additionalItems'. */
static bool read_array(struct schema_compiler *c, const json_t *schema, struct array *array)
{
    const json_t *items = json_object_get(schema, "items");
    array->first = json_object_get(schema, "prefixItems");
    array->items = items;
    if (json_is_array(items)) {
        array->first = items;
        array->items = json_object_get(schema, "additionalItems");
    }
    if (json_is_array(items) && json_object_get(schema, "prefixItems")) {
        run_schema_refuse(c, TAKT_USAGE, "'items' beside 'prefixItems' must be a schema");
        return false;
    }
    array->first_count = json_array_size(array->first);
    array->least = run_schema_count(c, schema, "minItems", 0);
    array->most = run_schema_count(c, schema, "maxItems", -1);
    if (array->first_count > SCHEMA_UNROLLED_MAX) {
        run_schema_refuse(c, TAKT_LIMIT, "more than %d items in a list", SCHEMA_UNROLLED_MAX);
        return false;
    }
    const long count = (long)array->first_count;
    if (json_is_false(array->items) && (array->most < 0 || array->most > count)) {
        array->most = count;
    }
    return !c->failed;
}

/* ---- sets ------------------------------------------------------------------------------------ */

static uint32_t set_of(struct schema_compiler *c, const struct array *array, uint32_t next)
{
    json_t *flat = array->first || !array->items ? NULL : run_schema_flat(c, array->items);
    json_t *values = flat && json_object_get(flat, "enum") ? run_schema_values(c, flat) : NULL;
    struct schema_parts parts = {.least = array->least, .most = array->most, .extra = RUN_NO_NODE};
    const size_t count = json_array_size(values);
    uint32_t at = 0;
    if (c->failed) {
        at = 0;
    } else if (!values) {
        run_schema_refuse(c, TAKT_UNSUPPORTED,
                          "'uniqueItems' is supported for items of an 'enum' only");
    } else if (array->least > (long)count) {
        at =
            run_schema_nothing(c, next, "there are fewer than %ld items that differ", array->least);
    } else {
        parts.most = array->most < 0 || array->most > (long)count ? (long)count : array->most;
        parts.list = calloc(count + 1, sizeof *parts.list);
        BASE_ASSERT(parts.list);
        for (size_t i = 0; i < count; i++) {
            parts.list[parts.count++] = (struct schema_part){
                run_schema_write(json_array_get(values, i)), RUN_NO_NODE, false};
        }
        at = schema_text(c, "[", run_schema_ordered(c, &parts, schema_text(c, "]", next)));
        for (uint32_t i = 0; i < parts.count; i++) {
            free(parts.list[i].text);
        }
        free(parts.list);
    }
    json_decref(flat);
    json_decref(values);
    return at;
}

/* ---- lists ----------------------------------------------------------------------------------- */

static uint32_t item_rule(struct schema_compiler *c, const struct array *array, size_t index,
                          uint32_t others)
{
    char name[40];
    if (index >= array->first_count) {
        return others;
    }
    snprintf(name, sizeof name, "prefixItems/%zu", index);
    return run_schema_rule(c, json_array_get(array->first, index), name, false);
}

static uint32_t list_of(struct schema_compiler *c, const struct array *array, uint32_t next)
{
    const uint32_t close = schema_text(c, "]", next);
    const size_t least = (size_t)array->least;
    const bool open = array->most < 0;
    if (array->most == 0) {
        return schema_text(c, "[", close);
    }
    /* Items that have a node each; behind them, if there is no end, a loop. */
    const size_t count =
        open ? BASE_MAX(BASE_MAX(array->first_count, least), 1) : (size_t)array->most;
    const bool rest = open || count > array->first_count;
    const uint32_t others =
        !rest || !array->items ? c->value : run_schema_rule(c, array->items, "items", false);
    uint32_t at = close;
    if (open) {
        at = run_schema_loop(c, close);
        schema_repeat(c, at, schema_text(c, ",", run_schema_space(c, schema_call(c, others, at))));
    }
    for (size_t i = count; i > 1 && !c->failed && !c->graph->full; i--) {
        const uint32_t item = schema_call(c, item_rule(c, array, i - 1, others), at);
        const uint32_t more = schema_text(c, ",", run_schema_space(c, item));
        at = i - 1 >= least ? schema_either(c, close, more) : more;
    }
    at = schema_call(c, item_rule(c, array, 0, others), at);
    return schema_text(c, "[", least > 0 ? at : schema_either(c, close, at));
}

uint32_t run_schema_array(struct schema_compiler *c, const json_t *schema, uint32_t next)
{
    static const char *const keys[] = {"type",     "items",    "prefixItems", "additionalItems",
                                       "minItems", "maxItems", "uniqueItems", NULL};
    struct array array;
    if (!run_schema_only(c, schema, keys) || !read_array(c, schema, &array)) {
        return 0;
    }
    if (array.most >= 0 && array.least > array.most) {
        return run_schema_nothing(c, next, "nothing has at least %ld and at most %ld items",
                                  array.least, array.most);
    }
    const bool set = json_is_true(json_object_get(schema, "uniqueItems"));
    return set && array.most != 0 && array.most != 1 ? set_of(c, &array, next)
                                                     : list_of(c, &array, next);
}
