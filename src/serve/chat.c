/* The two routes that make text. */
#include "serve/internal.h"

#include <string.h>

static bool make_text(struct serve_call *call, bool chat)
{
    struct serve_server *server = call->server;
    struct serve_request *request = &call->request;
    if (!serve_request_read(request, chat, call->body.data, call->body.length, server->models,
                            server->model_count, &call->failure)) {
        return false;
    }
    base_text_free(&call->body);
    snprintf(call->model_id, sizeof call->model_id, "%s", request->model->id);
    if (!serve_rate_take(&server->keys, call->key_name, (uint32_t)request->prompt_count,
                         &call->rate, &call->failure)) {
        return false;
    }
    if (serve_queue_full(request->model, server->options.queue)) {
        serve_fail(&call->failure, 503, "queue_full", NULL,
                   "%u requests are waiting for %s already; please try again.",
                   server->options.queue, request->model->id);
        call->failure.retry_after = 1;
        return false;
    }
    return serve_reply_later(call);
}

bool serve_chat(struct serve_call *call, const char *id)
{
    (void)id;
    return make_text(call, true);
}

bool serve_completions(struct serve_call *call, const char *id)
{
    (void)id;
    return make_text(call, false);
}
