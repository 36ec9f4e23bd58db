/*
 * peer_accuracy MODEL TEXT CONTEXT TOKENS
 * peer_accuracy MODEL TEXT CONTEXT TOKENS LOGITS
 *
 * How far another engine is from binary32, by the measure of takt accuracy. Without LOGITS: prints
 * the windows of TEXT, a line of token ids each. With it: the file holds that engine's logits of
 * every position, binary32, [position][vocab]; prints their KL divergence from MODEL in plain
 * binary32. tools/accuracy.sh --peer runs both about llama.cpp.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "float_forward.h"
#include "graph/binary32.h"

static const char separator[] = "<|endoftext|>";

struct windows {
    const struct model *model;
    uint32_t context;
    size_t tokens_max, done;
    FILE *logits;
    struct binary32_weights *weights;
    struct binary32 *state;
    float *exact, *other;
    float *divergences;
    double loss, exact_loss;
    size_t predicted, same_top;
};

static void require(enum takt_status status, const struct takt_error *error)
{
    if (status == TAKT_OK)
        return;
    fprintf(stderr, "peer_accuracy: %s\n", error->message);
    exit(1);
}

static void measure(struct windows *w, const uint32_t *ids, uint32_t count)
{
    uint32_t vocab = w->model->vocab;
    binary32_step(w->state, ids, count, 0, w->exact);
    size_t floats = (size_t)count * vocab;
    if (fread(w->other, sizeof(float), floats, w->logits) != floats) {
        fprintf(stderr, "peer_accuracy: the logits end after %zu tokens\n", w->done);
        exit(1);
    }
    for (uint32_t i = 0; i < count; i++) {
        const float *p = w->exact + (size_t)i * vocab, *q = w->other + (size_t)i * vocab;
        w->divergences[w->done + i] = (float)float_divergence(p, q, vocab);
        w->same_top += float_top(p, vocab) == float_top(q, vocab);
        if (i + 1 == count)
            continue;
        w->loss += float_negative_log_likelihood(q, vocab, ids[i + 1]);
        w->exact_loss += float_negative_log_likelihood(p, vocab, ids[i + 1]);
        w->predicted++;
    }
}

static void window(struct windows *w, const uint32_t *ids, uint32_t count)
{
    if (w->logits != NULL)
        measure(w, ids, count);
    else
        for (uint32_t i = 0; i < count; i++)
            printf("%u%c", ids[i], i + 1 == count ? '\n' : ' ');
    w->done += count;
}

/* The same windows as takt accuracy's: documents apart, each window begun afresh. */
static void document(struct windows *w, const char *text, size_t length)
{
    struct takt_error error;
    uint32_t *start, *ids;
    size_t starts, count;
    require(tokenizer_encode(w->model->tokenizer, "", 0, true, false, &start, &starts, &error),
            &error);
    require(tokenizer_encode(w->model->tokenizer, text, length, false, true, &ids, &count, &error),
            &error);
    uint32_t *window_ids = calloc(w->context, sizeof *window_ids);
    BASE_ASSERT(window_ids != NULL);
    memcpy(window_ids, start, starts * sizeof *start);
    for (size_t at = 0; at < count;) {
        size_t now = BASE_MIN(count - at, w->context - starts);
        now = BASE_MIN(now, w->tokens_max - BASE_MIN(w->tokens_max, w->done + starts));
        if (now == 0)
            break;
        memcpy(window_ids + starts, ids + at, now * sizeof *ids);
        window(w, window_ids, (uint32_t)(starts + now));
        at += now;
    }
    free(window_ids);
    free(start);
    free(ids);
}

static void documents(struct windows *w, const char *text, const char *end)
{
    while (text < end) {
        const char *mark = memmem(text, (size_t)(end - text), separator, sizeof separator - 1);
        const char *next = mark ? mark + sizeof separator - 1 : end;
        const char *stop = mark ? mark : end;
        while (text < stop && text[0] == '\n')
            text++;
        while (text < stop && stop[-1] == '\n')
            stop--;
        if (text < stop)
            document(w, text, (size_t)(stop - text));
        text = next;
    }
}

static int compare_floats(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void report(struct windows *w)
{
    double sum = 0.0;
    for (size_t i = 0; i < w->done; i++)
        sum += (double)w->divergences[i];
    qsort(w->divergences, w->done, sizeof *w->divergences, compare_floats);
    printf("%zu tokens  loss %.5f (binary32 %.5f)  ratio %.5f  KL mean %.3e  99th percentile %.3e"
           "  same top token %.2f %%\n",
           w->done, w->loss / (double)w->predicted, w->exact_loss / (double)w->predicted,
           exp((w->loss - w->exact_loss) / (double)w->predicted), sum / (double)w->done,
           (double)w->divergences[(w->done - 1) * 99 / 100],
           100.0 * (double)w->same_top / (double)w->done);
}

int main(int argc, char **argv)
{
    int64_t context, tokens;
    if (argc < 5 || argc > 6 || !base_parse_i64(argv[3], 2, 1 << 20, &context) ||
        !base_parse_i64(argv[4], 2, INT32_MAX, &tokens)) {
        fprintf(stderr, "usage: peer_accuracy MODEL TEXT CONTEXT TOKENS [LOGITS]\n");
        return 2;
    }
    struct takt_error error;
    struct model *model;
    struct base_file file;
    require(model_open(&model, argv[1], &error), &error);
    require(base_file_map(&file, argv[2], &error), &error);
    struct windows w = {.model = model, .context = (uint32_t)context, .tokens_max = (size_t)tokens};
    if (argc == 6) {
        w.logits = fopen(argv[5], "rb");
        BASE_ASSERT(w.logits != NULL);
        require(binary32_weights_create(&w.weights, model, &error), &error);
        w.state = binary32_create(w.weights, w.context, w.context);
        w.exact = calloc((size_t)w.context * model->vocab, sizeof(float));
        w.other = calloc((size_t)w.context * model->vocab, sizeof(float));
        w.divergences = calloc((size_t)tokens, sizeof(float));
        BASE_ASSERT(w.state != NULL && w.exact != NULL && w.other != NULL && w.divergences != NULL);
    }
    documents(&w, (const char *)file.data, (const char *)file.data + file.size_bytes);
    if (argc == 6) {
        report(&w);
        fclose(w.logits);
    }
    free(w.exact);
    free(w.other);
    free(w.divergences);
    binary32_destroy(w.state);
    binary32_weights_destroy(w.weights);
    base_file_unmap(&file);
    model_close(model);
    return 0;
}
