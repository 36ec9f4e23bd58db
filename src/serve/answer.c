/*
 * What a task gives, as the interface's JSON: one object at the end, or a stream of chunks. Chunks
 * are written as text: at thousands of tokens a second a tree of values would be most of the work.
 */
#include "serve/internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- beginning and end ----------------------------------------------------------------------- */

static void append_names(const struct serve_answer *answer, const char *object,
                         struct base_text *out)
{
    base_text_format(out,
                     "{\"id\":\"%s\",\"object\":\"%s\",\"created\":%lld,\"model\":", answer->id,
                     object, (long long)answer->created);
    serve_json_text(out, answer->request->model->id);
    base_text_format(out, ",\"system_fingerprint\":\"fp_%.12s\"",
                     answer->request->model->info.sha256);
}

void serve_answer_begin(struct serve_answer *answer, const struct serve_request *request,
                        const char *request_id)
{
    *answer = (struct serve_answer){.request = request};
    serve_make_id(request->chat ? "chatcmpl-" : "cmpl-", 24, answer->id);
    snprintf(answer->request_id, sizeof answer->request_id, "%s", request_id);
    answer->created = request->now;
    answer->submitted = base_seconds();
    base_text_append(&answer->content, "", 0);
    for (size_t i = 0; i < BASE_COUNT(answer->logprobs); i++) {
        base_text_append(&answer->logprobs[i], "", 0);
    }
    if (request->tool_choice != SERVE_TOOLS_NONE) {
        answer->tool_parser = serve_tool_parser_create();
    }
    base_text_append(&answer->head, "data: ", 6);
    append_names(answer, request->chat ? "chat.completion.chunk" : "text_completion",
                 &answer->head);
}

void serve_answer_free(struct serve_answer *answer)
{
    base_text_free(&answer->content);
    base_text_free(&answer->head);
    for (size_t i = 0; i < answer->call_count; i++) {
        base_text_free(&answer->calls[i].name);
        base_text_free(&answer->calls[i].arguments);
    }
    free(answer->calls);
    free(answer->tool_parser);
    for (size_t i = 0; i < BASE_COUNT(answer->logprobs); i++) {
        base_text_free(&answer->logprobs[i]);
    }
}

/* ---- logprobs -------------------------------------------------------------------------------- */

static void append_bytes(struct base_text *out, const char *bytes, size_t length)
{
    base_text_append(out, "[", 1);
    for (size_t i = 0; i < length; i++) {
        base_text_format(out, "%s%u", i > 0 ? "," : "", (unsigned)(unsigned char)bytes[i]);
    }
    base_text_append(out, "]", 1);
}

/* A token's bytes; long ones are cut, at 256. */
static size_t token_bytes(const struct serve_answer *answer, uint32_t token, char bytes[256])
{
    const size_t length = takt_token_bytes(answer->request->model->engine, token, true, bytes, 256);
    return BASE_MIN(length, 256);
}

static void chat_logprob(const struct serve_answer *answer, const struct takt_logprob *logprob,
                         struct base_text *out)
{
    char bytes[256];
    const size_t length = token_bytes(answer, logprob->token, bytes);
    base_text_format(out, "{\"token\":");
    serve_json_string(out, bytes, length);
    base_text_format(out, ",\"logprob\":");
    serve_json_real(out, (double)logprob->logprob);
    base_text_format(out, ",\"bytes\":");
    append_bytes(out, bytes, length);
}

static void comma(struct base_text *out)
{
    if (out->length > 0) {
        base_text_append(out, ",", 1);
    }
}

static void chat_logprobs(struct serve_answer *answer, const struct takt_token_logprobs *logprobs)
{
    struct base_text *out = &answer->logprobs[0];
    comma(out);
    chat_logprob(answer, &logprobs->drawn, out);
    base_text_format(out, ",\"top_logprobs\":[");
    for (uint32_t i = 0; i < logprobs->top_count; i++) {
        base_text_format(out, "%s", i > 0 ? "," : "");
        chat_logprob(answer, &logprobs->top[i], out);
        base_text_append(out, "}", 1);
    }
    base_text_append(out, "]}", 2);
}

static size_t characters(const char *bytes, size_t length)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++) {
        count += ((unsigned char)bytes[i] & 0xC0) != 0x80;
    }
    return count;
}

static void plain_logprobs(struct serve_answer *answer, const struct takt_token_logprobs *logprobs)
{
    char bytes[256];
    size_t length = token_bytes(answer, logprobs->drawn.token, bytes);
    for (size_t i = 0; i < BASE_COUNT(answer->logprobs); i++) {
        comma(&answer->logprobs[i]);
    }
    serve_json_string(&answer->logprobs[0], bytes, length);
    serve_json_real(&answer->logprobs[1], (double)logprobs->drawn.logprob);
    base_text_format(&answer->logprobs[3], "%zu", answer->text_offset);
    answer->text_offset += characters(bytes, length);
    base_text_append(&answer->logprobs[2], "{", 1);
    for (uint32_t i = 0; i < logprobs->top_count; i++) {
        length = token_bytes(answer, logprobs->top[i].token, bytes);
        base_text_format(&answer->logprobs[2], "%s", i > 0 ? "," : "");
        serve_json_string(&answer->logprobs[2], bytes, length);
        base_text_append(&answer->logprobs[2], ":", 1);
        serve_json_real(&answer->logprobs[2], (double)logprobs->top[i].logprob);
    }
    base_text_append(&answer->logprobs[2], "}", 1);
}

static void note_logprobs(struct serve_answer *answer, const struct takt_event *event)
{
    for (size_t i = 0; i < event->logprob_count; i++) {
        if (answer->request->chat) {
            chat_logprobs(answer, &event->logprobs[i]);
        } else {
            plain_logprobs(answer, &event->logprobs[i]);
        }
    }
}

/* The value of "logprobs", from what was noted; nothing is noted any more then. */
static void append_logprobs(struct serve_answer *answer, struct base_text *out)
{
    if (!answer->request->logprobs) {
        base_text_format(out, "null");
        return;
    }
    const struct base_text *list = answer->logprobs;
    if (answer->request->chat) {
        base_text_format(out, "{\"content\":[%s],\"refusal\":null}", list[0].data);
    } else {
        base_text_format(out,
                         "{\"tokens\":[%s],\"token_logprobs\":[%s],\"top_logprobs\":[%s],"
                         "\"text_offset\":[%s]}",
                         list[0].data, list[1].data, list[2].data, list[3].data);
    }
    for (size_t i = 0; i < BASE_COUNT(answer->logprobs); i++) {
        answer->logprobs[i].length = 0;
        answer->logprobs[i].data[0] = '\0';
    }
}

/* ---- usage and what only this machine can say ------------------------------------------------ */

static void append_seconds(struct base_text *out, const char *name, double seconds)
{
    base_text_format(out, "\"%s\":%.9f,", name, seconds > 0 ? seconds : 0.0);
}

static void append_usage(const struct serve_answer *answer, struct base_text *out)
{
    const double first = answer->first > 0 ? answer->first : answer->finished;
    const double prompt = first - answer->started;
    const double completion = answer->finished - first;
    base_text_append(out, "{", 1);
    append_seconds(out, "queue_time", answer->started - answer->submitted);
    append_seconds(out, "prompt_time", prompt);
    append_seconds(out, "completion_time", completion);
    append_seconds(out, "total_time", prompt + completion);
    base_text_format(out,
                     "\"prompt_tokens\":%u,\"completion_tokens\":%u,\"total_tokens\":%u,"
                     "\"prompt_tokens_details\":{\"cached_tokens\":%u},"
                     "\"completion_tokens_details\":{\"reasoning_tokens\":0}}",
                     answer->prompt_tokens, answer->answer_tokens,
                     answer->prompt_tokens + answer->answer_tokens, answer->cached_tokens);
}

static void append_groq(const struct serve_answer *answer, bool usage, struct base_text *out)
{
    base_text_format(out, ",\"x_groq\":{\"id\":\"%s\",\"seed\":%lld", answer->request_id,
                     (long long)answer->request->sampling.seed);
    if (usage) {
        base_text_format(out, ",\"usage\":");
        append_usage(answer, out);
    }
    base_text_append(out, "}", 1);
}

static void append_takt(const struct serve_answer *answer, struct base_text *out)
{
    const struct serve_model *model = answer->request->model;
    const struct takt_request_cycles *cycles = &answer->cycles;
    const uint64_t all = cycles->prompt_cycles + cycles->decode_cycles;
    base_text_format(out, ",\"x_takt\":{");
    if (cycles->chips > 0) {
        base_text_format(out,
                         "\"cycles\":%llu,\"prompt_cycles\":%llu,\"decode_cycles\":%llu,"
                         "\"microseconds\":",
                         (unsigned long long)all, (unsigned long long)cycles->prompt_cycles,
                         (unsigned long long)cycles->decode_cycles);
        serve_json_real(out, (double)all * 1e6 / model->info.clock_hz);
        base_text_format(out, ",\"chips\":%u,\"program_hash\":\"%s\",\"machine\":", cycles->chips,
                         cycles->program_hash);
        serve_json_text(out, model->info.machine);
        base_text_format(out, ",\"clock_hz\":%.0f,", model->info.clock_hz);
    }
    base_text_format(out, "\"model_sha256\":\"%s\",\"logits_digest\":\"%s\"}", model->info.sha256,
                     answer->logits_digest);
}

/* ---- streams --------------------------------------------------------------------------------- */

/* Everything before the delta or text of a chunk. */
static void chunk_head(const struct serve_answer *answer, struct base_text *out)
{
    base_text_append(out, answer->head.data, answer->head.length);
    base_text_format(out, ",\"choices\":[{\"index\":0,");
}

static void role_chunk(struct serve_answer *answer, struct base_text *out)
{
    if (!answer->request->chat || answer->role_sent) {
        return;
    }
    answer->role_sent = true;
    chunk_head(answer, out);
    base_text_format(out, "\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,"
                          "\"finish_reason\":null}]");
    append_groq(answer, false, out);
    base_text_append(out, "}\n\n", 3);
}

static void text_chunk(struct serve_answer *answer, const char *text, size_t length,
                       struct base_text *out)
{
    chunk_head(answer, out);
    base_text_format(out, answer->request->chat ? "\"delta\":{\"content\":" : "\"text\":");
    serve_json_string(out, text, length);
    base_text_format(out, answer->request->chat ? "},\"logprobs\":" : ",\"logprobs\":");
    append_logprobs(answer, out);
    base_text_format(out, ",\"finish_reason\":null}]}\n\n");
}

/* What is new of the calls of tools. */
static void call_chunks(struct serve_answer *answer, struct base_text *out)
{
    for (size_t i = 0; i < answer->call_count; i++) {
        struct serve_tool_call *call = &answer->calls[i];
        if (!call->announced && serve_tool_named(answer, i)) {
            call->announced = true;
            chunk_head(answer, out);
            base_text_format(out,
                             "\"delta\":{\"tool_calls\":[{\"index\":%zu,\"id\":\"%s\",\"type\":"
                             "\"function\",\"function\":{\"name\":",
                             i, call->id);
            serve_json_string(out, call->name.data, call->name.length);
            base_text_format(out, ",\"arguments\":\"\"}}]},\"logprobs\":null,"
                                  "\"finish_reason\":null}]}\n\n");
        }
        if (call->announced && call->sent < call->arguments.length) {
            chunk_head(answer, out);
            base_text_format(out,
                             "\"delta\":{\"tool_calls\":[{\"index\":%zu,\"function\":"
                             "{\"arguments\":",
                             i);
            serve_json_string(out, call->arguments.data + call->sent,
                              call->arguments.length - call->sent);
            base_text_format(out, "}}]},\"logprobs\":null,\"finish_reason\":null}]}\n\n");
            call->sent = call->arguments.length;
        }
    }
}

static void last_chunks(struct serve_answer *answer, struct base_text *out)
{
    chunk_head(answer, out);
    base_text_format(out, "%s,\"logprobs\":null,\"finish_reason\":\"%s\"}],\"usage\":",
                     answer->request->chat ? "\"delta\":{}" : "\"text\":\"\"", answer->finish);
    append_usage(answer, out);
    append_groq(answer, true, out);
    append_takt(answer, out);
    base_text_append(out, "}\n\n", 3);
    if (answer->request->include_usage) {
        base_text_append(out, answer->head.data, answer->head.length);
        base_text_format(out, ",\"choices\":[],\"usage\":");
        append_usage(answer, out);
        base_text_append(out, "}\n\n", 3);
    }
    base_text_format(out, "data: [DONE]\n\n");
}

/* ---- events ---------------------------------------------------------------------------------- */

static void take_text(struct serve_answer *answer, const struct takt_event *event,
                      struct base_text *out)
{
    const char *text = event->text;
    size_t length = event->length;
    struct base_text content = {0};
    note_logprobs(answer, event);
    if (answer->tool_parser) {
        base_text_append(&content, "", 0);
        serve_tool_text(answer, text, length, &content);
        text = content.data;
        length = content.length;
    }
    if (!answer->request->stream) {
        base_text_append(&answer->content, text, length);
    } else if (length > 0 || event->logprob_count > 0) {
        text_chunk(answer, text, length, out);
    }
    if (answer->request->stream) {
        call_chunks(answer, out);
    }
    base_text_free(&content);
}

/* What the parser of calls still held back; how the answer ended. */
static void end_calls(struct serve_answer *answer, struct base_text *out)
{
    struct base_text content = {0};
    if (!answer->tool_parser) {
        return;
    }
    serve_tool_end(answer, &content);
    if (answer->request->stream && content.length > 0) {
        text_chunk(answer, content.data, content.length, out);
    } else {
        base_text_append(&answer->content, content.length > 0 ? content.data : "", content.length);
    }
    base_text_free(&content);
    if (answer->call_count > 0 && strcmp(answer->finish, "stop") == 0) {
        snprintf(answer->finish, sizeof answer->finish, "tool_calls");
    }
}

void serve_answer_fail(struct serve_answer *answer, const struct serve_failure *failure,
                       struct base_text *out)
{
    answer->finished = base_seconds();
    answer->failed = true;
    answer->failure = *failure;
    snprintf(answer->finish, sizeof answer->finish, "error");
    if (answer->request->stream && answer->started > 0) {
        base_text_format(out, "event: error\ndata: ");
        serve_failure_json(failure, out);
        base_text_append(out, "\n\n", 2);
    }
}

static void take_finish(struct serve_answer *answer, const struct takt_event *event,
                        struct base_text *out)
{
    answer->finished = base_seconds();
    snprintf(answer->finish, sizeof answer->finish, "%s", event->finish);
    snprintf(answer->logits_digest, sizeof answer->logits_digest, "%s", event->logits_digest);
    if (event->error) {
        struct serve_failure failure;
        serve_fail(&failure, 500, "internal_error", NULL, "%s", event->error->message);
        serve_answer_fail(answer, &failure, out);
        return;
    }
    end_calls(answer, out);
    struct serve_model *model = answer->request->model;
    if (model->target == TAKT_TARGET_CHIP) { /* its programs have been compiled: they ran */
        takt_request_cycles(model->engine, event->prompt_tokens, event->answer_tokens, true,
                            &answer->cycles, NULL);
    } else if (!serve_modelled_cycles(model->modelled, event->prompt_tokens, event->answer_tokens,
                                      &answer->cycles)) {
        answer->cycles.chips = 0; /* not known yet */
    }
    if (answer->request->stream) {
        last_chunks(answer, out);
    }
}

void serve_answer_event(struct serve_answer *answer, const struct takt_event *event,
                        struct base_text *out)
{
    answer->prompt_tokens = event->prompt_tokens;
    answer->cached_tokens = event->cached_tokens;
    answer->answer_tokens = event->answer_tokens;
    switch (event->kind) {
    case TAKT_EVENT_STARTED:
        answer->started = base_seconds();
        if (answer->request->stream) {
            role_chunk(answer, out);
        }
        break;
    case TAKT_EVENT_TOKEN:
        answer->first = answer->first > 0 ? answer->first : base_seconds();
        take_text(answer, event, out);
        break;
    case TAKT_EVENT_FINISHED: take_finish(answer, event, out); break;
    }
}

static void append_calls(const struct serve_answer *answer, struct base_text *out)
{
    for (size_t i = 0; i < answer->call_count; i++) {
        const struct serve_tool_call *call = &answer->calls[i];
        base_text_format(out, "%s{\"id\":\"%s\",\"type\":\"function\",\"function\":{\"name\":",
                         i == 0 ? ",\"tool_calls\":[" : ",", call->id);
        serve_json_string(out, call->name.data, call->name.length);
        base_text_format(out, ",\"arguments\":");
        serve_json_string(out, call->arguments.data, call->arguments.length);
        base_text_format(out, "}}%s", i + 1 == answer->call_count ? "]" : "");
    }
}

void serve_answer_json(struct serve_answer *answer, struct base_text *out)
{
    const bool chat = answer->request->chat;
    append_names(answer, chat ? "chat.completion" : "text_completion", out);
    base_text_format(out, ",\"choices\":[{\"index\":0,");
    if (chat) {
        base_text_format(out, "\"message\":{\"role\":\"assistant\",\"content\":");
        if (answer->content.length == 0 && answer->call_count > 0) {
            base_text_format(out, "null");
        } else {
            serve_json_string(out, answer->content.data, answer->content.length);
        }
        base_text_format(out, ",\"refusal\":null");
        append_calls(answer, out);
        base_text_append(out, "}", 1);
    } else {
        base_text_format(out, "\"text\":");
        serve_json_string(out, answer->content.data, answer->content.length);
    }
    base_text_format(out, ",\"logprobs\":");
    append_logprobs(answer, out);
    base_text_format(out, ",\"finish_reason\":\"%s\"}],\"usage\":", answer->finish);
    append_usage(answer, out);
    append_groq(answer, false, out);
    append_takt(answer, out);
    base_text_append(out, "}", 1);
}
