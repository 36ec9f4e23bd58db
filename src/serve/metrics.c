/* Numbers for Prometheus, and the account of a call that is over. */
#include "serve/internal.h"

/* Upper bounds in seconds; one more bucket has no bound. */
static const double bounds[SERVE_BUCKETS] = {0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1,
                                             0.2,    0.5,   1,     2,     5,    10,   30,   60};

void serve_observe(struct serve_histogram *histogram, double seconds)
{
    size_t bucket = 0;
    while (bucket < SERVE_BUCKETS && seconds > bounds[bucket]) {
        bucket++;
    }
    atomic_fetch_add(&histogram->counts[bucket], 1);
    atomic_fetch_add(&histogram->sum_micros, (unsigned long long)(seconds * 1e6));
}

static void head(struct base_text *out, const char *name, const char *type, const char *help)
{
    base_text_format(out, "# HELP takt_%s %s\n# TYPE takt_%s %s\n", name, help, name, type);
}

static void counter(struct base_text *out, const char *name, const char *help,
                    const atomic_ullong *value)
{
    head(out, name, "counter", help);
    base_text_format(out, "takt_%s %llu\n", name, (unsigned long long)atomic_load(value));
}

static void gauge(struct base_text *out, const char *name, const char *help, double value)
{
    head(out, name, "gauge", help);
    base_text_format(out, "takt_%s %.15g\n", name, value);
}

static void histogram_text(struct base_text *out, const char *name, const char *help,
                           struct serve_histogram *histogram)
{
    unsigned long long count = 0;
    head(out, name, "histogram", help);
    for (size_t i = 0; i < SERVE_BUCKETS; i++) {
        count += atomic_load(&histogram->counts[i]);
        base_text_format(out, "takt_%s_bucket{le=\"%.15g\"} %llu\n", name, bounds[i], count);
    }
    count += atomic_load(&histogram->counts[SERVE_BUCKETS]);
    base_text_format(
        out, "takt_%s_bucket{le=\"+Inf\"} %llu\ntakt_%s_sum %.6f\ntakt_%s_count %llu\n", name,
        count, name, (double)atomic_load(&histogram->sum_micros) * 1e-6, name, count);
}

struct model_gauge {
    const char *name, *help;
    size_t kind;
};

static double model_value(struct serve_model *model, size_t kind)
{
    pthread_mutex_lock(&model->lock);
    const struct takt_scheduler_state state = model->state;
    const uint32_t waiting = model->waiting;
    pthread_mutex_unlock(&model->lock);
    const double values[] = {(double)waiting,     (double)state.running, (double)state.batch,
                             (double)state.slots, (double)state.kv_held, (double)state.kv_capacity};
    return values[kind];
}

static void model_gauges(struct serve_server *server, struct base_text *out)
{
    static const struct model_gauge gauges[] = {
        {"queue_length", "Requests that wait for a slot.", 0},
        {"running_requests", "Requests that have a slot.", 1},
        {"batch_size", "Requests in the last step.", 2},
        {"slots", "Requests that can have a slot.", 3},
        {"kv_positions_used", "Positions that slots hold, kept prefixes included.", 4},
        {"kv_positions_capacity", "Positions that slots can hold.", 5}};
    for (size_t i = 0; i < BASE_COUNT(gauges); i++) {
        head(out, gauges[i].name, "gauge", gauges[i].help);
        for (size_t j = 0; j < server->model_count; j++) {
            base_text_format(out, "takt_%s{model=", gauges[i].name);
            serve_json_text(out, server->models[j]->id);
            base_text_format(out, "} %.15g\n", model_value(server->models[j], gauges[i].kind));
        }
    }
}

void serve_metrics_text(struct serve_server *server, struct base_text *out)
{
    struct serve_metrics *metrics = &server->metrics;
    head(out, "requests_total", "counter", "Requests answered, by the first digit of the status.");
    for (unsigned i = 1; i < BASE_COUNT(metrics->requests); i++) {
        base_text_format(out, "takt_requests_total{status=\"%uxx\"} %llu\n", i,
                         (unsigned long long)atomic_load(&metrics->requests[i]));
    }
    counter(out, "prompt_tokens_total", "Tokens of prompts.", &metrics->prompt_tokens);
    counter(out, "cached_tokens_total", "Tokens of prompts that a slot held already.",
            &metrics->cached_tokens);
    counter(out, "completion_tokens_total", "Tokens of answers.", &metrics->answer_tokens);
    counter(out, "cancelled_total", "Requests whose client went away.", &metrics->cancelled);
    gauge(out, "connections", "Open connections.", (double)atomic_load(&metrics->connections));
    gauge(out, "calls", "Requests being read or answered.", (double)atomic_load(&metrics->calls));
    gauge(out, "uptime_seconds", "Seconds since the server opened.",
          base_seconds() - server->opened);
    model_gauges(server, out);
    histogram_text(out, "queue_seconds", "From arrival to a slot.", &metrics->queue_seconds);
    histogram_text(out, "first_token_seconds", "From arrival to the first token.",
                   &metrics->first_token_seconds);
    histogram_text(out, "token_seconds", "Between tokens, a request's mean.",
                   &metrics->token_seconds);
    histogram_text(out, "request_seconds", "From arrival to the end.", &metrics->total_seconds);
}

void serve_account(struct serve_call *call, bool cancelled)
{
    struct serve_server *server = call->server;
    struct serve_metrics *metrics = &server->metrics;
    const unsigned hundred = call->status / 100;
    atomic_fetch_add(&metrics->requests[hundred < 6 ? hundred : 5], 1);
    if (cancelled) {
        atomic_fetch_add(&metrics->cancelled, 1);
    } else if (call->has_task && !call->task.answer.failed) {
        const struct serve_answer *answer = &call->task.answer;
        atomic_fetch_add(&metrics->prompt_tokens, answer->prompt_tokens);
        atomic_fetch_add(&metrics->cached_tokens, answer->cached_tokens);
        atomic_fetch_add(&metrics->answer_tokens, answer->answer_tokens);
        serve_observe(&metrics->queue_seconds, answer->started - answer->submitted);
        serve_observe(&metrics->first_token_seconds, answer->first - call->arrived);
        serve_observe(&metrics->total_seconds, answer->finished - call->arrived);
        if (answer->answer_tokens > 1) {
            serve_observe(&metrics->token_seconds,
                          (answer->finished - answer->first) / (answer->answer_tokens - 1));
        }
        serve_rate_spend(&server->keys, call->key_name, answer->answer_tokens);
    }
    if (server->log) {
        serve_log_call(server, call, cancelled);
    }
}
