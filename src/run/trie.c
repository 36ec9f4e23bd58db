/* The vocabulary's bytes as a trie, flat, for walks that visit most of it. */
#include "run/grammar.h"

#include <stdlib.h>
#include <string.h>

struct spelled {
    uint32_t token, length;
    size_t offset;
    const char *bytes; /* the text at offset, once it has stopped moving */
};

static int compare(const void *a, const void *b)
{
    const struct spelled *x = a, *y = b;
    const int order = memcmp(x->bytes, y->bytes, BASE_MIN(x->length, y->length));
    if (order != 0) {
        return order;
    }
    if (x->length != y->length) {
        return x->length < y->length ? -1 : 1;
    }
    return x->token < y->token ? -1 : 1;
}

static size_t common(const struct spelled *a, const struct spelled *b)
{
    size_t i = 0;
    while (i < a->length && i < b->length && a->bytes[i] == b->bytes[i]) {
        i++;
    }
    return i;
}

/* Sorted texts become nodes in preorder; `open` holds the nodes of the text before, by depth. */
static void build(struct run_trie *trie, const struct spelled *list, uint32_t count)
{
    uint32_t open[256];
    for (uint32_t i = 0; i < count; i++) {
        const size_t shared = i > 0 ? common(&list[i - 1], &list[i]) : 0;
        for (size_t depth = i > 0 ? list[i - 1].length : 0; depth > shared; depth--) {
            struct run_trie_node *node = &trie->nodes[open[depth]];
            node->skip = trie->node_count - open[depth];
        }
        for (size_t depth = shared + 1; depth <= list[i].length; depth++) {
            open[depth] = trie->node_count;
            trie->nodes[trie->node_count++] =
                (struct run_trie_node){.first = i,
                                       .byte = (unsigned char)list[i].bytes[depth - 1],
                                       .depth = (unsigned char)depth};
        }
        struct run_trie_node *last = &trie->nodes[open[list[i].length]];
        last->first = last->count == 0 ? i : last->first;
        last->count++;
        trie->tokens[i] = list[i].token;
        if (list[i].length == 1) {
            trie->single[(unsigned char)list[i].bytes[0]] = true;
        }
    }
    for (size_t depth = count > 0 ? list[count - 1].length : 0; depth > 0; depth--) {
        trie->nodes[open[depth]].skip = trie->node_count - open[depth];
    }
}

static bool fill(struct run_trie *trie, const struct takt_engine *engine, struct base_text *all,
                 struct spelled *list)
{
    uint32_t count = 0;
    size_t bytes = 0;
    for (uint32_t token = 0; token < trie->vocab; token++) {
        const size_t before = all->length;
        tokenizer_decode(engine->model->tokenizer, token, false, false, all);
        const size_t length = all->length - before;
        if (length == 0 || length > 255 || run_is_end(engine, token)) {
            continue;
        }
        list[count++] = (struct spelled){token, (uint32_t)length, before, NULL};
        bytes += length;
    }
    for (uint32_t i = 0; i < count; i++) {
        list[i].bytes = all->data + list[i].offset;
    }
    qsort(list, count, sizeof *list, compare);
    trie->nodes = calloc(bytes + 1, sizeof *trie->nodes);
    trie->tokens = calloc((size_t)count + 1, sizeof *trie->tokens);
    if (!trie->nodes || !trie->tokens) {
        return false;
    }
    build(trie, list, count);
    return true;
}

enum takt_status run_trie_create(struct run_trie **trie, const struct takt_engine *engine,
                                 struct takt_error *error)
{
    struct run_trie *made = calloc(1, sizeof *made);
    struct spelled *list = calloc((size_t)engine->graph.vocab + 1, sizeof *list);
    struct base_text all = {0};
    base_text_append(&all, "", 0);
    *trie = NULL;
    bool good = made && list;
    if (good) {
        made->vocab = engine->graph.vocab;
        good = fill(made, engine, &all, list);
    }
    base_text_free(&all);
    free(list);
    if (!good) {
        run_trie_destroy(made);
        return base_fail(error, TAKT_MEMORY, "%s: no memory for an index of the vocabulary",
                         engine->model->path);
    }
    *trie = made;
    return TAKT_OK;
}

void run_trie_destroy(struct run_trie *trie)
{
    if (trie) {
        free(trie->nodes);
        free(trie->tokens);
        free(trie);
    }
}
