/* takt_generate: a prompt in, streamed text and a full account of the run out. */
#include "run/cycles.h"

#include <stdlib.h>
#include <string.h>

struct generation {
    struct takt_engine *engine;
    const struct takt_request *request;
    struct takt_result *result;
    struct takt_session *session;
    struct base_digest *digest;
    float *logits;         /* [chunk][vocab] with all_logits, else [vocab] */
    const float *next;     /* [vocab]: what the next token is drawn from */
    struct base_text text; /* everything generated */
    size_t streamed;       /* bytes of it that on_text has seen */
    struct run_cycles cycles;
};

static uint32_t vocab_of(const struct generation *generation)
{
    return generation->engine->graph.vocab;
}

/* The prompt's ids. An empty text becomes the BOS token where the model has one. */
static enum takt_status encode_prompt(struct generation *generation, struct takt_error *error)
{
    const struct takt_request *request = generation->request;
    struct takt_result *result = generation->result;
    const struct model *model = generation->engine->model;
    enum takt_status status;
    if (request->chat) {
        struct takt_chat_text chat;
        const struct takt_vocabulary *vocabulary = &generation->engine->vocabulary;
        status = takt_chat_message(vocabulary, request->prompt, request->now, &chat, error);
        if (status == TAKT_OK) {
            status = takt_chat_encode(vocabulary, &chat, &result->prompt_tokens,
                                      &result->prompt_count, error);
        }
        takt_chat_text_free(&chat);
    } else {
        status = tokenizer_encode(model->tokenizer, request->prompt, strlen(request->prompt), true,
                                  true, &result->prompt_tokens, &result->prompt_count, error);
    }
    if (status != TAKT_OK || result->prompt_count > 0) {
        return status;
    }
    const uint32_t bos = tokenizer_special(model->tokenizer)->bos;
    if (bos == TOKENIZER_NONE) {
        return base_fail(error, TAKT_USAGE,
                         "%s: the prompt is empty and the model has no token to begin with; "
                         "give it some text",
                         model->path);
    }
    free(result->prompt_tokens);
    result->prompt_tokens = malloc(sizeof *result->prompt_tokens);
    if (!result->prompt_tokens) {
        return base_fail(error, TAKT_MEMORY, "%s: no memory for a prompt", model->path);
    }
    result->prompt_tokens[0] = bos;
    result->prompt_count = 1;
    return TAKT_OK;
}

static enum takt_status prepare(struct generation *generation, struct takt_error *error)
{
    struct takt_engine *engine = generation->engine;
    struct takt_result *result = generation->result;
    enum takt_status status = encode_prompt(generation, error);
    if (status != TAKT_OK) {
        return status;
    }
    if (result->prompt_count > engine->context) {
        return base_fail(
            error, TAKT_CONTEXT,
            "%s: the prompt has %zu tokens, the context holds %u; shorten the prompt or "
            "raise the context",
            engine->model->path, result->prompt_count, engine->context);
    }
    /* One token more than the room left: the last one drawn need not be held. */
    const size_t room = engine->context - result->prompt_count + 1;
    const size_t most = BASE_MIN(room, generation->request->max_tokens);
    const size_t rows = generation->request->all_logits ? engine->chunk : 1;
    result->tokens = calloc(most + 1, sizeof *result->tokens);
    generation->logits = calloc(rows * vocab_of(generation), sizeof *generation->logits);
    generation->digest = base_digest_create();
    if (!result->tokens || !generation->logits || !generation->digest) {
        return base_fail(error, TAKT_MEMORY, "%s: no memory for a generation", engine->model->path);
    }
    return takt_session_open(&generation->session, engine, error);
}

/* Feeds one position's logits to the digest, as little-endian binary32. */
static void digest_logits(struct generation *generation, const float *logits)
{
    unsigned char bytes[4 * 64];
    const uint32_t vocab = generation->request->no_digest ? 0 : vocab_of(generation);
    for (uint32_t i = 0; i < vocab;) {
        size_t used = 0;
        for (; i < vocab && used < sizeof bytes; i++) {
            uint32_t bits;
            memcpy(&bits, logits + i, sizeof bits);
            for (uint32_t b = 0; b < 4; b++) {
                bytes[used++] = (unsigned char)(bits >> (8 * b));
            }
        }
        base_digest_update(generation->digest, bytes, used);
    }
}

static void report_progress(const struct generation *generation, size_t done)
{
    const struct takt_request *request = generation->request;
    if (request->on_progress) {
        request->on_progress(request->user, done, generation->result->prompt_count);
    }
}

/* Runs the prompt a chunk at a time: the same steps that one call for all of it would make. */
static enum takt_status run_prompt(struct generation *generation, struct takt_error *error)
{
    const struct takt_result *result = generation->result;
    const bool all = generation->request->all_logits;
    size_t count;
    for (size_t done = 0; done < result->prompt_count; done += count) {
        report_progress(generation, done);
        count = BASE_MIN(result->prompt_count - done, generation->engine->chunk);
        const enum takt_status status = run_session_extend(
            generation->session, result->prompt_tokens + done, count, true,
            all ? NULL : generation->logits, all ? generation->logits : NULL, error);
        if (status != TAKT_OK) {
            return status;
        }
        for (size_t i = 0; all && i < count; i++) {
            digest_logits(generation, generation->logits + i * vocab_of(generation));
        }
        generation->next = generation->logits + (all ? (count - 1) * vocab_of(generation) : 0);
    }
    report_progress(generation, result->prompt_count);
    return TAKT_OK;
}

/* Hands over whole characters, or at the end whatever is left. Called after every token, so that a
 * caller can stop between tokens that show nothing. false: the caller asks to stop. */
static bool stream_text(struct generation *generation, bool end)
{
    const struct takt_request *request = generation->request;
    const char *fresh = generation->text.data + generation->streamed;
    const size_t left = generation->text.length - generation->streamed;
    const size_t whole = end ? left : base_utf8_whole_prefix(fresh, left);
    generation->streamed += whole;
    return !request->on_text || request->on_text(request->user, fresh, whole);
}

/* Draws, shows and appends tokens until something ends it; returns why in *finish. */
static enum takt_status decode_tokens(struct generation *generation, const char **finish,
                                      struct takt_error *error)
{
    const struct takt_request *request = generation->request;
    struct takt_result *result = generation->result;
    struct takt_engine *engine = generation->engine;
    const bool all = request->all_logits;
    *finish = "length";
    while (result->token_count < request->max_tokens) {
        if (!all || result->token_count > 0) { /* with all, the prompt's last is in already */
            digest_logits(generation, generation->next);
        }
        const size_t position = takt_session_length(generation->session);
        const uint32_t token =
            takt_sample(generation->next, vocab_of(generation), &request->sampling, position);
        result->tokens[result->token_count++] = token;
        if (run_is_end(engine, token)) {
            *finish = "stop";
            return TAKT_OK;
        }
        tokenizer_decode(engine->model->tokenizer, token, false, false, &generation->text);
        if (!stream_text(generation, false)) {
            *finish = "interrupted";
            return TAKT_OK;
        }
        if (result->token_count == request->max_tokens) {
            return TAKT_OK;
        }
        if (position == engine->context) {
            *finish = "context";
            return TAKT_OK;
        }
        const enum takt_status status = run_session_extend(generation->session, &token, 1, false,
                                                           generation->logits, NULL, error);
        if (status != TAKT_OK) {
            return status;
        }
        generation->next = generation->logits;
    }
    return TAKT_OK;
}

static enum takt_status keep_steps(struct generation *generation, struct takt_error *error)
{
    struct takt_result *result = generation->result;
    const struct takt_step *steps;
    const size_t count = takt_session_steps(generation->session, &steps);
    result->steps = calloc(count + 1, sizeof *result->steps);
    if (!result->steps) {
        return base_fail(error, TAKT_MEMORY, "%s: no memory for %zu steps",
                         generation->engine->model->path, count);
    }
    memcpy(result->steps, steps, count * sizeof *steps);
    result->step_count = count;
    return TAKT_OK;
}

static enum takt_status run_all(struct generation *generation, struct takt_error *error)
{
    struct takt_result *result = generation->result;
    const double begin = base_seconds();
    enum takt_status status = prepare(generation, error);
    if (status != TAKT_OK) {
        return status;
    }
    run_cycles_begin(&generation->cycles, generation->engine, result->prompt_count,
                     generation->request->all_logits);
    status = run_prompt(generation, error);
    if (status != TAKT_OK) {
        return status;
    }
    result->prompt_seconds = base_seconds() - begin;
    status = decode_tokens(generation, &result->finish, error);
    if (status != TAKT_OK) {
        return status;
    }
    if (generation->streamed < generation->text.length) {
        stream_text(generation, true); /* an unfinished character */
    }
    if (!generation->request->no_digest) {
        base_digest_hex(generation->digest, result->logits_digest);
    }
    takt_session_program_hash(generation->session, result->program_hash);
    status = keep_steps(generation, error);
    result->host_seconds = base_seconds() - begin;
    if (status == TAKT_OK) {
        const size_t held = takt_session_length(generation->session);
        status = run_cycles_end(&generation->cycles, held - result->prompt_count, result, error);
    }
    return status;
}

enum takt_status takt_generate(struct takt_engine *engine, const struct takt_request *request,
                               struct takt_result *result, struct takt_error *error)
{
    *result = (struct takt_result){0};
    if (!request->prompt) {
        return base_fail(error, TAKT_USAGE, "%s: no prompt was given", engine->model->path);
    }
    struct generation generation = {.engine = engine, .request = request, .result = result};
    base_text_append(&generation.text, "", 0);
    const enum takt_status status = run_all(&generation, error);
    run_cycles_cancel(&generation.cycles);
    if (generation.digest) {
        base_digest_destroy(generation.digest);
    }
    free(generation.logits);
    takt_session_close(generation.session);
    if (status != TAKT_OK) {
        base_text_free(&generation.text);
        takt_result_free(result);
        return status;
    }
    result->text = generation.text.data;
    return TAKT_OK;
}

void takt_result_free(struct takt_result *result)
{
    free(result->text);
    free(result->prompt_tokens);
    free(result->tokens);
    free(result->steps);
    *result = (struct takt_result){0};
}
