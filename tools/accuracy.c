/*
 * accuracy MODEL BASELINE TEXT DOCUMENTS [CONTEXT]
 *
 * How far the numerics profile is from binary32: runs the reference on MODEL and a plain binary32
 * forward pass on BASELINE (the same file, or the one MODEL was quantised from) over the first
 * DOCUMENTS documents of TEXT, which a line <|endoftext|> separates, and prints one line of means.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "float_forward.h"
#include "graph/reference.h"

static const char separator[] = "<|endoftext|>";

struct totals {
    uint32_t documents;
    uint64_t tokens, predicted, same_top;
    double float_loss, profile_loss, divergence, worst_divergence;
};

struct pair {
    struct model *model, *baseline;
    struct base_arena arena;
    struct graph graph;
    struct reference *reference;
    struct float_forward *forward;
    uint32_t context;
    float *logits, *expected;
};

static void require(enum takt_status status, const struct takt_error *error)
{
    if (status == TAKT_OK)
        return;
    fprintf(stderr, "accuracy: %s\n", error->message);
    exit(1);
}

static void measure(struct pair *pair, const char *text, size_t length, struct totals *totals)
{
    struct takt_error error;
    const struct tokenizer *tokenizer = pair->baseline->tokenizer;
    uint32_t vocab = pair->graph.vocab;
    uint32_t *ids;
    size_t count;
    require(tokenizer_encode(tokenizer, text, length, true, true, &ids, &count, &error), &error);
    count = BASE_MIN(count, pair->context);
    for (uint32_t i = 0; i < count; i++) {
        reference_step(pair->reference, &ids[i], 1, i, pair->logits);
        float_forward_step(pair->forward, ids[i], i, pair->expected);
        double divergence = float_divergence(pair->expected, pair->logits, vocab);
        totals->divergence += divergence;
        totals->worst_divergence = BASE_MAX(totals->worst_divergence, divergence);
        totals->same_top += float_top(pair->expected, vocab) == float_top(pair->logits, vocab);
        totals->tokens++;
        if (i + 1 == count)
            break;
        totals->float_loss += float_negative_log_likelihood(pair->expected, vocab, ids[i + 1]);
        totals->profile_loss += float_negative_log_likelihood(pair->logits, vocab, ids[i + 1]);
        totals->predicted++;
    }
    free(ids);
}

static void measure_all(struct pair *pair, const struct base_file *file, uint32_t documents,
                        struct totals *totals)
{
    const char *text = (const char *)file->data;
    const char *end = text + file->size_bytes;
    size_t mark = sizeof separator - 1;
    while (text < end && totals->documents < documents) {
        const char *stop = memmem(text, (size_t)(end - text), separator, mark);
        const char *next = stop ? stop + mark : end;
        stop = stop ? stop : end;
        while (text < stop && text[0] == '\n')
            text++;
        while (text < stop && stop[-1] == '\n')
            stop--;
        if (text < stop) {
            measure(pair, text, (size_t)(stop - text), totals);
            totals->documents++;
        }
        text = next;
    }
}

static void open_pair(struct pair *pair, const char *model, const char *baseline, uint32_t context)
{
    struct takt_error error;
    require(model_open(&pair->model, model, &error), &error);
    require(model_open(&pair->baseline, baseline, &error), &error);
    pair->context = BASE_MIN(context, pair->model->context);
    require(base_arena_create(&pair->arena, graph_arena_bytes(pair->model), &error), &error);
    require(graph_build(pair->model, &pair->arena, &pair->graph, &error), &error);
    require(reference_create(&pair->reference, &pair->graph, pair->context, 1, &error), &error);
    pair->forward = float_forward_create(pair->baseline, pair->context);
    BASE_ASSERT(pair->model->vocab == pair->baseline->vocab);
    pair->logits = calloc(pair->model->vocab, sizeof(float));
    pair->expected = calloc(pair->model->vocab, sizeof(float));
    BASE_ASSERT(pair->logits != NULL && pair->expected != NULL);
}

int main(int argc, char **argv)
{
    int64_t documents = 0;
    int64_t context = INT32_MAX;
    if (argc < 5 || argc > 6 || !base_parse_i64(argv[4], 1, INT32_MAX, &documents) ||
        (argc == 6 && !base_parse_i64(argv[5], 1, INT32_MAX, &context))) {
        fprintf(stderr, "usage: accuracy MODEL BASELINE TEXT DOCUMENTS [CONTEXT]\n");
        return 2;
    }
    struct takt_error error;
    struct pair pair = {0};
    struct totals totals = {0};
    struct base_file file;
    open_pair(&pair, argv[1], argv[2], (uint32_t)context);
    require(base_file_map(&file, argv[3], &error), &error);
    measure_all(&pair, &file, (uint32_t)documents, &totals);
    printf("documents %u tokens %llu loss binary32 %.5f profile %.5f KL mean %.3e worst %.3e "
           "same top %.4f\n",
           totals.documents, (unsigned long long)totals.tokens,
           totals.float_loss / (double)totals.predicted,
           totals.profile_loss / (double)totals.predicted,
           totals.divergence / (double)totals.tokens, totals.worst_divergence,
           (double)totals.same_top / (double)totals.tokens);
    base_file_unmap(&file);
    float_forward_destroy(pair.forward);
    reference_destroy(pair.reference);
    base_arena_destroy(&pair.arena);
    model_close(pair.baseline);
    model_close(pair.model);
    free(pair.logits);
    free(pair.expected);
    return 0;
}
