/* Merging of neighbours by priority: the engine under both kinds of tokenizer. */
#include "model/tokenizer_parts.h"

#include <stdlib.h>
#include <string.h>

/* A pair that may merge: a symbol and its next. It is stale once either has changed: they only ever
 * grow, so the lengths no longer add up. */
struct tokenizer_candidate {
    uint64_t key;            /* priority << 32 | left: the heap's order, ties from the left */
    uint32_t length, result; /* length: of both together */
};

/* Children of one node lie side by side: fewer lines of memory to look at than with two. */
#define HEAP_WIDTH 4u

void tokenizer_work_free(struct tokenizer_work *work)
{
    free(work->symbols);
    free(work->heap);
    free(work->cache);
    free(work->steps);
    *work = (struct tokenizer_work){0};
}

bool tokenizer_work_start(struct tokenizer_work *work, const char *text, size_t symbols)
{
    work->text = text;
    work->symbol_count = 0;
    work->heap_count = 0;
    if (symbols > work->symbol_capacity) {
        size_t wanted = symbols + symbols / 2 + 64;
        struct tokenizer_symbol *grown_symbols =
            realloc(work->symbols, wanted * sizeof(*work->symbols));
        if (grown_symbols == NULL)
            return false;
        work->symbols = grown_symbols;
        work->symbol_capacity = wanted;
    }
    /* One candidate a neighbouring pair; a merge takes one out and puts at most two in, and there
     * are fewer merges than symbols. */
    size_t candidates = 2 * work->symbol_capacity;
    if (candidates > work->heap_capacity) {
        struct tokenizer_candidate *grown_heap =
            realloc(work->heap, candidates * sizeof(*work->heap));
        if (grown_heap == NULL)
            return false;
        work->heap = grown_heap;
        work->heap_capacity = candidates;
    }
    return true;
}

void tokenizer_work_add(struct tokenizer_work *work, uint32_t start, uint32_t length, uint32_t id)
{
    BASE_ASSERT(work->symbol_count < work->symbol_capacity);
    uint32_t index = (uint32_t)work->symbol_count++;
    work->symbols[index] = (struct tokenizer_symbol){
        start, length, id, index == 0 ? TOKENIZER_NONE : index - 1, TOKENIZER_NONE};
    if (index != 0)
        work->symbols[index - 1].next = index;
}

static void push(struct tokenizer_work *work, struct tokenizer_candidate candidate)
{
    BASE_ASSERT(work->heap_count < work->heap_capacity);
    size_t at = work->heap_count++;
    while (at != 0 && candidate.key < work->heap[(at - 1) / HEAP_WIDTH].key) {
        work->heap[at] = work->heap[(at - 1) / HEAP_WIDTH];
        at = (at - 1) / HEAP_WIDTH;
    }
    work->heap[at] = candidate;
}

static struct tokenizer_candidate pop(struct tokenizer_work *work)
{
    struct tokenizer_candidate top = work->heap[0];
    struct tokenizer_candidate last = work->heap[--work->heap_count];
    size_t at = 0;
    for (size_t first = 1; first < work->heap_count; first = HEAP_WIDTH * at + 1) {
        size_t least = first, end = BASE_MIN(first + HEAP_WIDTH, work->heap_count);
        for (size_t child = first + 1; child < end; child++)
            if (work->heap[child].key < work->heap[least].key)
                least = child;
        if (last.key <= work->heap[least].key)
            break;
        work->heap[at] = work->heap[least];
        at = least;
    }
    work->heap[at] = last;
    return top;
}

static void consider(const struct tokenizer *tokenizer, struct tokenizer_work *work,
                     tokenizer_pair pair, uint32_t left, uint32_t right)
{
    if (left == TOKENIZER_NONE || right == TOKENIZER_NONE)
        return;
    const struct tokenizer_symbol *a = &work->symbols[left], *b = &work->symbols[right];
    uint32_t priority, result;
    if (pair(tokenizer, work, a, b, &priority, &result))
        push(work, (struct tokenizer_candidate){(uint64_t)priority << 32 | left,
                                                a->length + b->length, result});
}

void tokenizer_merge_all(const struct tokenizer *tokenizer, struct tokenizer_work *work,
                         tokenizer_pair pair)
{
    for (size_t i = 1; i < work->symbol_count; i++)
        consider(tokenizer, work, pair, (uint32_t)i - 1, (uint32_t)i);
    while (work->heap_count != 0) {
        struct tokenizer_candidate best = pop(work);
        uint32_t left = (uint32_t)best.key;
        struct tokenizer_symbol *a = &work->symbols[left];
        if (a->length == 0 || a->next == TOKENIZER_NONE)
            continue;
        struct tokenizer_symbol *b = &work->symbols[a->next];
        if (a->length + b->length != best.length)
            continue;
        a->length = best.length;
        a->id = best.result;
        a->next = b->next;
        if (b->next != TOKENIZER_NONE)
            work->symbols[b->next].previous = left;
        b->length = 0;
        consider(tokenizer, work, pair, a->previous, left);
        consider(tokenizer, work, pair, left, a->next);
    }
}

/* ---- the cache ------------------------------------------------------------------------------- */

#define CACHE_SLOTS 16384u
#define CACHED_BYTES 30u
#define CACHED_IDS 4u

/* A slot holds the last piece that fell on it. */
struct tokenizer_cached {
    unsigned char length, count; /* length 0: free */
    char text[CACHED_BYTES];
    uint32_t ids[CACHED_IDS];
};

void tokenizer_cache_create(struct tokenizer_work *work)
{
    work->cache = calloc(CACHE_SLOTS, sizeof(*work->cache));
}

static struct tokenizer_cached *cache_slot(const struct tokenizer_work *work, const char *text,
                                           size_t length)
{
    uint64_t hash = length;
    for (size_t i = 0; i < length; i += 8) {
        uint64_t word = 0;
        memcpy(&word, text + i, BASE_MIN((size_t)8, length - i));
        hash = (hash ^ word) * UINT64_C(0x9E3779B97F4A7C15);
        hash ^= hash >> 29;
    }
    return &work->cache[hash % CACHE_SLOTS];
}

bool tokenizer_cache_take(const struct tokenizer_work *work, const char *text, size_t length,
                          struct tokenizer_ids *ids)
{
    if (work->cache == NULL || length > CACHED_BYTES)
        return false;
    const struct tokenizer_cached *cached = cache_slot(work, text, length);
    if (cached->length != length || memcmp(cached->text, text, length) != 0)
        return false;
    for (size_t i = 0; i < cached->count; i++)
        tokenizer_ids_append(ids, cached->ids[i]);
    return true;
}

void tokenizer_cache_put(struct tokenizer_work *work, const char *text, size_t length,
                         const struct tokenizer_ids *ids, size_t from)
{
    if (work->cache == NULL || length > CACHED_BYTES || ids->failed ||
        ids->count - from > CACHED_IDS)
        return;
    struct tokenizer_cached *cached = cache_slot(work, text, length);
    cached->length = (unsigned char)length;
    cached->count = (unsigned char)(ids->count - from);
    memcpy(cached->text, text, length);
    memcpy(cached->ids, ids->ids + from, (ids->count - from) * sizeof(*cached->ids));
}
