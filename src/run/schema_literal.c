/* 'enum' and 'const': values written out, as a tree of their bytes. */
#include "run/schema.h"

#include <stdlib.h>
#include <string.h>

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted texts that share their first `depth` bytes, as a tree of their bytes. */
static uint32_t tree(struct schema_compiler *c, char **texts, size_t count, size_t depth,
                     uint32_t next)
{
    uint32_t at = RUN_NO_NODE;
    for (size_t i = 0; i < count;) {
        size_t same = i + 1;
        while (same < count && texts[same][depth] == texts[i][depth]) {
            same++;
        }
        uint32_t branch = next;
        if (same - i == 1) {
            branch = schema_text(c, texts[i] + depth, next); /* alone from here */
        } else if (texts[i][depth] != '\0') {
            const uint32_t rest = tree(c, texts + i, same - i, depth + 1, next);
            branch = run_graph_literal(c->graph, texts[i] + depth, 1, rest);
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

static bool is_of_type(const json_t *value, const char *type)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT: return strcmp(type, "object") == 0;
    case JSON_ARRAY: return strcmp(type, "array") == 0;
    case JSON_STRING: return strcmp(type, "string") == 0;
    case JSON_INTEGER: return strcmp(type, "integer") == 0 || strcmp(type, "number") == 0;
    case JSON_REAL: return strcmp(type, "number") == 0;
    case JSON_NULL: return strcmp(type, "null") == 0;
    default: return strcmp(type, "boolean") == 0;
    }
}

/* type: a name, an array of names, or NULL for any. */
static bool type_admits(const json_t *type, const json_t *value)
{
    bool admits = !type || (json_is_string(type) && is_of_type(value, json_string_value(type)));
    for (size_t i = 0; !admits && i < json_array_size(type); i++) {
        const char *name = json_string_value(json_array_get(type, i));
        admits = name && is_of_type(value, name);
    }
    return admits;
}

/* One of the values, of those that the type beside them admits. */
uint32_t run_schema_literals(struct schema_compiler *c, const json_t *list, const json_t *type,
                             uint32_t next)
{
    char **texts = calloc(json_array_size(list) + 1, sizeof(char *));
    size_t count = 0;
    BASE_ASSERT(texts);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *value = json_array_get(list, i);
        if (type_admits(type, value)) {
            texts[count] = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
            count += texts[count] != NULL;
        }
    }
    const uint32_t at =
        count > 0 ? alternatives(c, texts, count, next)
                  : run_schema_refuse(c, TAKT_USAGE,
                                      "'enum' must be an array with a value of the type in it");
    for (size_t i = 0; i < count; i++) {
        free(texts[i]);
    }
    free(texts);
    return at;
}
