/* The request log: a line of JSON for each call that is over. */
#include "serve/internal.h"

#include <time.h>

void serve_log_call(struct serve_server *server, const struct serve_call *call, bool cancelled)
{
    struct base_text line = {0};
    struct timespec now;
    struct tm parts;
    char date[40];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
    base_text_format(&line, "{\"time\":\"%s.%03ldZ\",\"id\":\"%s\",\"client\":", date,
                     now.tv_nsec / 1000000, call->id);
    serve_json_text(&line, call->client);
    base_text_format(&line, ",\"method\":");
    serve_json_text(&line, call->method);
    base_text_format(&line, ",\"path\":");
    serve_json_text(&line, call->path);
    base_text_format(&line, ",\"status\":%u,\"seconds\":%.6f", call->status,
                     base_seconds() - call->arrived);
    if (call->model_id[0]) {
        base_text_format(&line, ",\"model\":");
        serve_json_text(&line, call->model_id);
    }
    if (call->has_task && !cancelled) {
        const struct serve_answer *answer = &call->task.answer;
        base_text_format(&line,
                         ",\"stream\":%s,\"finish\":\"%s\",\"prompt_tokens\":%u,"
                         "\"cached_tokens\":%u,\"completion_tokens\":%u,\"queue_seconds\":%.6f,"
                         "\"first_token_seconds\":%.6f",
                         call->streaming ? "true" : "false", answer->finish, answer->prompt_tokens,
                         answer->cached_tokens, answer->answer_tokens,
                         answer->started - answer->submitted, answer->first - call->arrived);
    }
    if (call->failure.status > 0) {
        base_text_format(&line, ",\"error\":");
        serve_json_text(&line, call->failure.message);
    }
    base_text_format(&line, "}\n");
    pthread_mutex_lock(&server->log_lock);
    fwrite(line.data, 1, line.length, server->log);
    fflush(server->log);
    pthread_mutex_unlock(&server->log_lock);
    base_text_free(&line);
}
