/* Models, health, and the door: keys and the server's own state. */
#include "serve/internal.h"

#include <string.h>

struct serve_model *serve_find_model(struct serve_model *const *models, size_t count,
                                     const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(models[i]->id, name) == 0) {
            return models[i];
        }
    }
    return NULL;
}

static void append_model(const struct serve_model *model, struct base_text *out)
{
    const struct takt_model_info *info = &model->info;
    base_text_format(out, "{\"id\":");
    serve_json_text(out, model->id);
    base_text_format(out,
                     ",\"object\":\"model\",\"created\":%lld,\"owned_by\":\"takt\","
                     "\"active\":true,\"context_window\":%u,\"max_completion_tokens\":%u,"
                     "\"capabilities\":{\"chat\":%s,\"completions\":true,\"logprobs\":true,"
                     "\"json_object\":true,\"json_schema\":true,\"tools\":%s},\"takt\":{\"name\":",
                     (long long)model->created, info->context, info->context,
                     info->has_chat_template ? "true" : "false",
                     info->has_chat_template ? "true" : "false");
    serve_json_text(out, info->name);
    base_text_format(out, ",\"architecture\":");
    serve_json_text(out, info->architecture);
    base_text_format(out,
                     ",\"sha256\":\"%s\",\"layers\":%u,\"width\":%u,\"heads\":%u,\"kv_heads\":%u,"
                     "\"head_dim\":%u,\"ffn\":%u,\"vocab\":%u,\"context_trained\":%u,\"machine\":",
                     info->sha256, info->layers, info->width, info->heads, info->kv_heads,
                     info->head_dim, info->ffn, info->vocab, info->context_trained);
    serve_json_text(out, info->machine);
    base_text_format(out, ",\"clock_hz\":%.0f,\"slots\":%u}}", info->clock_hz, model->slots);
}

bool serve_models(struct serve_call *call, const char *id)
{
    const struct serve_server *server = call->server;
    struct base_text text = {0};
    (void)id;
    base_text_format(&text, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < server->model_count; i++) {
        base_text_format(&text, "%s", i > 0 ? "," : "");
        append_model(server->models[i], &text);
    }
    base_text_format(&text, "]}");
    const bool queued = serve_reply(call, 200, "application/json", text.data, text.length);
    base_text_free(&text);
    return queued;
}

bool serve_model_one(struct serve_call *call, const char *id)
{
    const struct serve_model *model =
        serve_find_model(call->server->models, call->server->model_count, id);
    if (!model) {
        return serve_fail(&call->failure, 404, "model_not_found", "model",
                          "The model `%.200s` does not exist or you do not have access to it.", id);
    }
    struct base_text text = {0};
    append_model(model, &text);
    const bool queued = serve_reply(call, 200, "application/json", text.data, text.length);
    base_text_free(&text);
    return queued;
}

bool serve_health(struct serve_call *call, const char *id)
{
    (void)id;
    const bool draining = atomic_load(&call->server->draining);
    const char *text = draining ? "{\"status\":\"draining\"}" : "{\"status\":\"ok\"}";
    return serve_reply(call, draining ? 503 : 200, "application/json", text, strlen(text));
}

bool serve_metrics_reply(struct serve_call *call, const char *id)
{
    struct base_text text = {0};
    (void)id;
    serve_metrics_text(call->server, &text);
    const bool queued =
        serve_reply(call, 200, "text/plain; version=0.0.4; charset=utf-8", text.data, text.length);
    base_text_free(&text);
    return queued;
}

bool serve_admit(struct serve_call *call)
{
    struct serve_server *server = call->server;
    if (atomic_load(&server->draining)) {
        serve_fail(&call->failure, 503, "server_stopping", NULL,
                   "The server is stopping; please try again.");
        call->failure.retry_after = 1;
        return false;
    }
    snprintf(call->key_name, sizeof call->key_name, "%s", call->client);
    if (server->keys.count > 0 &&
        !serve_key_known(&server->keys, serve_header(call, "Authorization"), call->key_name)) {
        return serve_fail(&call->failure, 401, "invalid_api_key", NULL, "Invalid API Key");
    }
    return true;
}
