/*
 * Unigram encoding: of all ways to put tokens together to the text the one with the highest sum of
 * scores, and of equal ones that which comes first. A character that is no token counts as the
 * unknown one, or as its bytes.
 */
#include "model/tokenizer_parts.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

#define SPACE_MARK "\xE2\x96\x81"
#define UNKNOWN_PENALTY 10.0f /* below the lowest score, as SentencePiece has it */
#define NODES_MAX (1u << 26)

/* ---- prefixes -------------------------------------------------------------------------------- */

/* Every beginning of a token is a node; a table finds node and byte -> node. Node 0 is the root. */
struct token_prefixes {
    uint64_t *keys; /* node << 8 | byte, plus 1; 0 = free */
    uint32_t *next;
    uint32_t mask, count;
    uint32_t *tokens; /* [count] that end at a node, or TOKENIZER_NONE */
};

static uint32_t slot_of(const struct token_prefixes *prefixes, uint64_t key)
{
    uint64_t mixed = key * UINT64_C(0x9E3779B97F4A7C15);
    uint32_t slot = (uint32_t)(mixed >> 32) & prefixes->mask;
    while (prefixes->keys[slot] != 0 && prefixes->keys[slot] != key)
        slot = (slot + 1) & prefixes->mask;
    return slot;
}

/* The node behind a byte; 0 when there is none. */
static uint32_t next_node(const struct token_prefixes *prefixes, uint32_t node, unsigned char byte)
{
    uint64_t key = ((uint64_t)node << 8 | byte) + 1;
    uint32_t slot = slot_of(prefixes, key);
    return prefixes->keys[slot] == key ? prefixes->next[slot] : 0;
}

static bool takes_part(const struct token *token)
{
    return token->length != 0 && (token->type == TOKEN_NORMAL || token->type == TOKEN_USER ||
                                  token->type == TOKEN_UNUSED);
}

static void insert(struct token_prefixes *prefixes, const struct token *token, uint32_t id)
{
    uint32_t node = 0;
    for (uint32_t i = 0; i < token->length; i++) {
        uint64_t key = ((uint64_t)node << 8 | (unsigned char)token->text[i]) + 1;
        uint32_t slot = slot_of(prefixes, key);
        if (prefixes->keys[slot] == 0) {
            prefixes->keys[slot] = key;
            prefixes->tokens[prefixes->count] = TOKENIZER_NONE;
            prefixes->next[slot] = prefixes->count++;
        }
        node = prefixes->next[slot];
    }
    prefixes->tokens[node] = id;
}

void tokenizer_unigram_free(struct tokenizer *tokenizer)
{
    if (tokenizer->prefixes == NULL)
        return;
    free(tokenizer->prefixes->keys);
    free(tokenizer->prefixes->next);
    free(tokenizer->prefixes->tokens);
    free(tokenizer->prefixes);
    tokenizer->prefixes = NULL;
}

enum takt_status tokenizer_unigram_load(struct tokenizer *tokenizer, const char *where,
                                        struct takt_error *error)
{
    uint64_t bytes = 1;
    float lowest = FLT_MAX;
    for (uint32_t id = 0; id < tokenizer->vocab; id++) {
        const struct token *token = &tokenizer->tokens[id];
        bytes += takes_part(token) ? token->length : 0;
        if (token->type == TOKEN_NORMAL)
            lowest = BASE_MIN(lowest, token->score);
    }
    tokenizer->unknown_score = lowest - UNKNOWN_PENALTY;
    if (bytes > NODES_MAX / 2)
        return base_fail(error, TAKT_LIMIT, "%s: tokens of %llu bytes in all; at most %u", where,
                         (unsigned long long)bytes, NODES_MAX / 2);
    uint32_t slots = 16;
    while (slots < 2 * bytes)
        slots *= 2;
    struct token_prefixes *prefixes = calloc(1, sizeof(*prefixes));
    tokenizer->prefixes = prefixes;
    if (prefixes == NULL)
        return base_fail(error, TAKT_MEMORY, "%s: no memory for its tokens; free some", where);
    prefixes->keys = calloc(slots, sizeof(*prefixes->keys));
    prefixes->next = calloc(slots, sizeof(*prefixes->next));
    prefixes->tokens = calloc((size_t)bytes, sizeof(*prefixes->tokens));
    prefixes->mask = slots - 1;
    if (prefixes->keys == NULL || prefixes->next == NULL || prefixes->tokens == NULL)
        return base_fail(error, TAKT_MEMORY, "%s: no memory for its tokens; free some", where);
    prefixes->tokens[prefixes->count++] = TOKENIZER_NONE;
    for (uint32_t id = 0; id < tokenizer->vocab; id++)
        if (takes_part(&tokenizer->tokens[id]))
            insert(prefixes, &tokenizer->tokens[id], id);
    return TAKT_OK;
}

/* ---- encoding -------------------------------------------------------------------------------- */

/* The best way to a place in the text. */
struct tokenizer_step {
    double score;
    uint32_t from, id;
};

static void offer(struct tokenizer_step *to, double score, uint32_t from, uint32_t id)
{
    if (score > to->score)
        *to = (struct tokenizer_step){score, from, id};
}

static void find_best(const struct tokenizer *tokenizer, struct tokenizer_step *steps,
                      const char *text, uint32_t length)
{
    const struct token_prefixes *prefixes = tokenizer->prefixes;
    for (uint32_t i = 1; i <= length; i++)
        steps[i] = (struct tokenizer_step){-DBL_MAX, 0, TOKENIZER_NONE};
    steps[0] = (struct tokenizer_step){0.0, 0, TOKENIZER_NONE};
    for (uint32_t at = 0; at < length;) {
        size_t size = base_utf8_size(text + at, length - at);
        uint32_t width = size == 0 ? 1 : (uint32_t)size, node = 0;
        bool single = false;
        for (uint32_t end = at; end < length;) {
            node = next_node(prefixes, node, (unsigned char)text[end++]);
            if (node == 0)
                break;
            uint32_t id = prefixes->tokens[node];
            if (id == TOKENIZER_NONE)
                continue;
            const struct token *token = &tokenizer->tokens[id];
            double score = token->type == TOKEN_USER ? 0.0 : (double)token->score;
            single = single || end - at == width;
            offer(&steps[end], steps[at].score + score, at, id);
        }
        if (!single)
            offer(&steps[at + width], steps[at].score + (double)tokenizer->unknown_score, at,
                  TOKENIZER_NONE);
        at += width;
    }
}

/* A stretch of unknown characters: bytes where the vocabulary has them all, otherwise one unknown
 * token, which neighbours share. */
static void append_unknown(const struct tokenizer *tokenizer, const char *text, uint32_t length,
                           struct tokenizer_ids *ids)
{
    bool bytes = true;
    for (uint32_t i = 0; i < length; i++)
        bytes = bytes && tokenizer->byte_ids[(unsigned char)text[i]] != TOKENIZER_NONE;
    for (uint32_t i = 0; bytes && i < length; i++)
        tokenizer_ids_append(ids, tokenizer->byte_ids[(unsigned char)text[i]]);
    if (!bytes && tokenizer->unknown != TOKENIZER_NONE &&
        (ids->count == ids->run || ids->ids[ids->count - 1] != tokenizer->unknown))
        tokenizer_ids_append(ids, tokenizer->unknown);
}

static enum takt_status encode_word(const struct tokenizer *tokenizer, struct tokenizer_work *work,
                                    const char *text, uint32_t length, struct tokenizer_ids *ids,
                                    struct takt_error *error)
{
    size_t from = ids->count;
    if (tokenizer_cache_take(work, text, length, ids))
        return TAKT_OK;
    if (length + 1 > work->step_capacity) {
        size_t wanted = (size_t)length + length / 2 + 64;
        struct tokenizer_step *grown = realloc(work->steps, wanted * sizeof(*grown));
        if (grown == NULL)
            return base_fail(error, TAKT_MEMORY,
                             "tokenizer: no memory to encode %u bytes; encode less", length);
        work->steps = grown;
        work->step_capacity = wanted;
    }
    struct tokenizer_step *steps = work->steps;
    find_best(tokenizer, steps, text, length);
    /* Turn the way round: each step then knows where it leads. */
    uint32_t next = length;
    for (uint32_t at = length; at != 0;) {
        uint32_t before = steps[at].from;
        steps[at].from = next;
        next = at;
        at = before;
    }
    bool whole = true;
    for (uint32_t at = 0, end = next; at < length; at = end, end = steps[end].from) {
        if (steps[end].id != TOKENIZER_NONE) {
            tokenizer_ids_append(ids, steps[end].id);
            continue;
        }
        uint32_t start = at;
        while (end < length && steps[steps[end].from].id == TOKENIZER_NONE &&
               steps[end].from != end)
            end = steps[end].from;
        append_unknown(tokenizer, text + start, end - start, ids);
        whole = false;
    }
    if (whole) /* what an unknown token becomes depends on its neighbours */
        tokenizer_cache_put(work, text, length, ids, from);
    return TAKT_OK;
}

enum takt_status tokenizer_unigram_piece(const struct tokenizer *tokenizer,
                                         struct tokenizer_work *work, const char *text,
                                         size_t length, struct tokenizer_ids *ids,
                                         struct takt_error *error)
{
    size_t start = 0;
    enum takt_status status = TAKT_OK;
    /* As in tokenizer_spm.c: no token reaches over such a place. */
    for (size_t at = 1; status == TAKT_OK && at + 3 <= length; at++) {
        if (memcmp(text + at, SPACE_MARK, 3) != 0 ||
            tokenizer->before_mark[(unsigned char)text[at - 1]])
            continue;
        status = encode_word(tokenizer, work, text + start, (uint32_t)(at - start), ids, error);
        start = at;
    }
    if (status == TAKT_OK && start != length)
        status = encode_word(tokenizer, work, text + start, (uint32_t)(length - start), ids, error);
    return status;
}
