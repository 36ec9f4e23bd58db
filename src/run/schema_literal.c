/* 'enum' and 'const': values written out, as a tree of their bytes. */
#include "run/schema.h"

#include <stdlib.h>
#include <string.h>

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* How far sorted texts go on alike behind their first `depth` bytes: as far as the outer two. */
static size_t common(char *const *texts, size_t count, size_t depth)
{
    const char *first = texts[0] + depth, *last = texts[count - 1] + depth;
    size_t length = 0;
    while (first[length] != '\0' && first[length] == last[length]) {
        length++;
    }
    return length;
}

/* Sorted texts that share their first `depth` bytes, as a tree of their bytes. */
static uint32_t tree(struct schema_compiler *c, char **texts, size_t count, size_t depth,
                     uint32_t next)
{
    uint32_t at = RUN_NO_NODE;
    for (size_t i = 0; i < count && !c->graph->full;) {
        size_t same = i + 1;
        while (same < count && texts[same][depth] == texts[i][depth]) {
            same++;
        }
        const size_t length = common(texts + i, same - i, depth);
        uint32_t branch = next;
        if (length > 0) { /* else it ends here, once or several times */
            const bool alone = texts[i][depth + length] == '\0' && same - i == 1;
            branch = alone ? next : tree(c, texts + i, same - i, depth + length, next);
            branch = run_graph_literal(c->graph, texts[i] + depth, length, branch);
        }
        at = schema_either(c, at, branch);
        i = same;
    }
    return at;
}

static uint32_t alternatives(struct schema_compiler *c, char **texts, size_t count, uint32_t next)
{
    qsort(texts, count, sizeof *texts, compare_texts);
    return tree(c, texts, count, 0, next);
}

char *run_schema_write(const json_t *value)
{
    char *text = NULL;
    for (unsigned precision = 15; precision <= 17; precision++) {
        free(text);
        text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(precision));
        BASE_ASSERT(text);
        json_t *read = json_loads(text, JSON_DECODE_ANY, NULL);
        const bool same = read && json_equal(read, value);
        json_decref(read);
        if (same) {
            break;
        }
    }
    return text;
}

/* The values of 'enum' and 'const' that all of the schema admits. */
json_t *run_schema_values(struct schema_compiler *c, const json_t *schema)
{
    const json_t *fixed = json_object_get(schema, "const"), *list = json_object_get(schema, "enum");
    json_t *values = json_array(), *rest = json_copy((json_t *)(uintptr_t)schema);
    json_object_del(rest, fixed ? "const" : "enum");
    if (fixed && run_schema_holds(c, rest, fixed) == SCHEMA_YES) {
        json_array_append(values, (json_t *)(uintptr_t)fixed);
    }
    for (size_t i = 0; !fixed && i < json_array_size(list); i++) {
        json_t *value = json_array_get(list, i);
        if (json_object_size(rest) == 0 || run_schema_holds(c, rest, value) == SCHEMA_YES) {
            json_array_append(values, value);
        }
    }
    json_decref(rest);
    return values;
}

uint32_t run_schema_literals(struct schema_compiler *c, const json_t *schema, uint32_t next)
{
    if (!run_schema_only(c, schema, NULL)) {
        return 0;
    }
    json_t *values = run_schema_values(c, schema);
    const size_t count = json_array_size(values);
    char **texts = calloc(count + 1, sizeof(char *));
    BASE_ASSERT(texts);
    for (size_t i = 0; i < count; i++) {
        texts[i] = run_schema_write(json_array_get(values, i));
    }
    uint32_t at = 0;
    if (!c->failed) {
        at = count > 0 ? alternatives(c, texts, count, next)
                       : run_schema_nothing(c, next,
                                            "no value of 'enum' or 'const' is what the "
                                            "other keywords ask for");
    }
    for (size_t i = 0; i < count; i++) {
        free(texts[i]);
    }
    free(texts);
    json_decref(values);
    return at;
}
