/*
 * The body of chat/completions and completions. What takt cannot honour is refused by name; what
 * it does not know is ignored, as clients expect.
 */
#include "serve/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading single fields ------------------------------------------------------------------- */

static bool wrong_type(struct serve_failure *failure, const char *name, const char *wanted,
                       const json_t *value)
{
    static const char *const names[] = {"an object",     "an array", "a string", "an integer",
                                        "a real number", "true",     "false",    "null"};
    return serve_fail(failure, 400, "invalid_type", name,
                      "Invalid type for '%s': expected %s, but got %s instead.", name, wanted,
                      names[json_typeof(value)]);
}

/* A field that is absent or null; *value is what is there otherwise. */
static bool absent(const json_t *root, const char *name, const json_t **value)
{
    *value = json_object_get(root, name);
    return !*value || json_is_null(*value);
}

static bool read_flag(const json_t *root, const char *name, bool *flag,
                      struct serve_failure *failure)
{
    const json_t *value;
    if (absent(root, name, &value)) {
        return true;
    }
    if (!json_is_boolean(value)) {
        return wrong_type(failure, name, "a boolean", value);
    }
    *flag = json_is_true(value);
    return true;
}

static bool read_number(const json_t *root, const char *name, double least, double most,
                        double *number, struct serve_failure *failure)
{
    const json_t *value;
    if (absent(root, name, &value)) {
        return true;
    }
    if (!json_is_number(value)) {
        return wrong_type(failure, name, "a number", value);
    }
    const double given = json_number_value(value);
    if (!(given >= least && given <= most)) {
        return serve_fail(failure, 400, "invalid_value", name,
                          "Invalid '%s': %.15g is not between %.15g and %.15g.", name, given, least,
                          most);
    }
    *number = given;
    return true;
}

/* Whole numbers; a real number without a fraction is one. *given says whether there was one. */
static bool read_integer(const json_t *root, const char *name, int64_t least, int64_t most,
                         int64_t *number, bool *given, struct serve_failure *failure)
{
    const json_t *value;
    if (absent(root, name, &value)) {
        return true;
    }
    int64_t whole = 0;
    if (json_is_integer(value)) {
        whole = json_integer_value(value);
    } else if (json_is_real(value) && floor(json_real_value(value)) == json_real_value(value) &&
               fabs(json_real_value(value)) < 9e15) {
        whole = (int64_t)json_real_value(value);
    } else {
        return wrong_type(failure, name, "an integer", value);
    }
    if (whole < least || whole > most) {
        return serve_fail(failure, 400, "invalid_value", name,
                          "Invalid '%s': %lld is not between %lld and %lld.", name,
                          (long long)whole, (long long)least, (long long)most);
    }
    *number = whole;
    *given = true;
    return true;
}

/* ---- sampling -------------------------------------------------------------------------------- */

static bool read_sampling(struct serve_request *request, struct serve_failure *failure)
{
    const json_t *root = request->root;
    double temperature = 1.0, top_p = 1.0, min_p = 0.0, repetition = 1.0, frequency = 0.0,
           presence = 0.0;
    int64_t top_k = 0, seed = 0;
    bool given = false, seeded = false;
    if (!read_number(root, "temperature", 0.0, 2.0, &temperature, failure) ||
        !read_number(root, "top_p", 0.0, 1.0, &top_p, failure) ||
        !read_number(root, "min_p", 0.0, 1.0, &min_p, failure) ||
        !read_number(root, "repetition_penalty", 0.01, 10.0, &repetition, failure) ||
        !read_number(root, "frequency_penalty", -2.0, 2.0, &frequency, failure) ||
        !read_number(root, "presence_penalty", -2.0, 2.0, &presence, failure) ||
        !read_integer(root, "top_k", 0, UINT32_MAX, &top_k, &given, failure) ||
        !read_integer(root, "seed", INT64_MIN, INT64_MAX, &seed, &seeded, failure)) {
        return false;
    }
    request->sampling = (struct takt_sampling){.temperature = (float)temperature,
                                               .top_k = (uint32_t)top_k,
                                               .top_p = (float)top_p,
                                               .seed = (uint64_t)seed,
                                               .min_p = (float)min_p,
                                               .repetition_penalty = (float)repetition,
                                               .frequency_penalty = (float)frequency,
                                               .presence_penalty = (float)presence};
    request->seeded = seeded;
    return true;
}

static bool read_bias(struct serve_request *request, struct serve_failure *failure)
{
    const json_t *object;
    if (absent(request->root, "logit_bias", &object)) {
        return true;
    }
    if (!json_is_object(object)) {
        return wrong_type(failure, "logit_bias", "an object", object);
    }
    const size_t count = json_object_size(object);
    if (count > SERVE_BIASES_MAX) {
        return serve_fail(failure, 400, "invalid_value", "logit_bias",
                          "Invalid 'logit_bias': %zu tokens are named, at most %u can be.", count,
                          SERVE_BIASES_MAX);
    }
    request->biases = calloc(count + 1, sizeof *request->biases);
    BASE_ASSERT(request->biases);
    const char *key;
    json_t *value;
    void *iterator = json_object_iter((json_t *)(uintptr_t)object);
    for (; iterator; iterator = json_object_iter_next((json_t *)(uintptr_t)object, iterator)) {
        key = json_object_iter_key(iterator);
        value = json_object_iter_value(iterator);
        int64_t token;
        if (!base_parse_i64(key, 0, (int64_t)request->model->info.vocab - 1, &token)) {
            return serve_fail(failure, 400, "invalid_value", "logit_bias",
                              "Invalid 'logit_bias': \"%.40s\" is not a token id of this model "
                              "(0 to %u).",
                              key, request->model->info.vocab - 1);
        }
        if (!json_is_number(value) || !(fabs(json_number_value(value)) <= 100.0)) {
            return serve_fail(failure, 400, "invalid_value", "logit_bias",
                              "Invalid 'logit_bias': the bias of token %s must be a number from "
                              "-100 to 100.",
                              key);
        }
        request->biases[request->bias_count++] =
            (struct takt_bias){(uint32_t)token, (float)json_number_value(value)};
    }
    return true;
}

/* ---- lengths and stops ----------------------------------------------------------------------- */

static bool read_lengths(struct serve_request *request, struct serve_failure *failure)
{
    int64_t most = 0, newer = 0, n = 1, best_of = 1;
    bool given = false;
    /* Without a length, completions answer 16 tokens, as the interface has it. */
    if (!read_integer(request->root, "max_tokens", 1, INT32_MAX, &most, &given, failure) ||
        !read_integer(request->root, "max_completion_tokens", 1, INT32_MAX, &newer, &given,
                      failure) ||
        !read_integer(request->root, "n", 1, 1, &n, &given, failure) ||
        !read_integer(request->root, "best_of", 1, 1, &best_of, &given, failure)) {
        return false;
    }
    most = newer > 0 ? newer : most;
    request->max_tokens = (uint32_t)(most > 0 ? most : request->chat ? 0 : 16);
    return true;
}

static bool read_stops(struct serve_request *request, struct serve_failure *failure)
{
    const json_t *value;
    if (absent(request->root, "stop", &value)) {
        return true;
    }
    if (json_is_string(value)) {
        request->stops[request->stop_count++] = json_string_value(value);
        return true;
    }
    if (!json_is_array(value)) {
        return wrong_type(failure, "stop", "a string or an array of strings", value);
    }
    if (json_array_size(value) > SERVE_STOPS_MAX) {
        return serve_fail(failure, 400, "invalid_value", "stop",
                          "Invalid 'stop': %zu strings, at most %u can be given.",
                          json_array_size(value), SERVE_STOPS_MAX);
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *item = json_array_get(value, i);
        if (!json_is_string(item)) {
            return wrong_type(failure, "stop", "a string or an array of strings", item);
        }
        request->stops[request->stop_count++] = json_string_value(item);
    }
    return true;
}

static bool read_logprobs(struct serve_request *request, struct serve_failure *failure)
{
    int64_t top = 0;
    bool given = false;
    if (!request->chat) { /* completions: how many */
        if (!read_integer(request->root, "logprobs", 0, TAKT_TOP_LOGPROBS_MAX, &top,
                          &request->logprobs, failure)) {
            return false;
        }
    } else if (!read_flag(request->root, "logprobs", &request->logprobs, failure) ||
               !read_integer(request->root, "top_logprobs", 0, TAKT_TOP_LOGPROBS_MAX, &top, &given,
                             failure)) {
        return false;
    } else if (given && top > 0 && !request->logprobs) {
        return serve_fail(failure, 400, "invalid_value", "top_logprobs",
                          "'top_logprobs' needs 'logprobs' to be true.");
    }
    request->top_logprobs = (uint32_t)top;
    return true;
}

/* ---- the rest -------------------------------------------------------------------------------- */

static bool read_stream(struct serve_request *request, struct serve_failure *failure)
{
    const json_t *options;
    if (!read_flag(request->root, "stream", &request->stream, failure)) {
        return false;
    }
    if (absent(request->root, "stream_options", &options)) {
        return true;
    }
    if (!json_is_object(options)) {
        return wrong_type(failure, "stream_options", "an object", options);
    }
    return read_flag(options, "include_usage", &request->include_usage, failure);
}

/* Fields that change what the answer would be, and that takt has no way to honour. */
static bool check_refused(const struct serve_request *request, struct serve_failure *failure)
{
    static const char *const chat[] = {"functions",          "function_call", "audio",
                                       "web_search_options", "documents",     "search_settings"};
    static const char *const plain[] = {"suffix"};
    const char *const *names = request->chat ? chat : plain;
    const size_t count = request->chat ? BASE_COUNT(chat) : BASE_COUNT(plain);
    const json_t *value;
    for (size_t i = 0; i < count; i++) {
        if (!absent(request->root, names[i], &value)) {
            return serve_fail(failure, 400, "unsupported_parameter", names[i],
                              "Unsupported parameter: '%s' is not supported with this model.",
                              names[i]);
        }
    }
    bool echo = false;
    if (!request->chat && !read_flag(request->root, "echo", &echo, failure)) {
        return false;
    }
    if (echo) {
        return serve_fail(failure, 400, "unsupported_parameter", "echo",
                          "Unsupported parameter: 'echo' is not supported with this model.");
    }
    if (!absent(request->root, "modalities", &value)) {
        if (!json_is_array(value) || json_array_size(value) != 1 ||
            !json_is_string(json_array_get(value, 0)) ||
            strcmp(json_string_value(json_array_get(value, 0)), "text") != 0) {
            return serve_fail(failure, 400, "unsupported_parameter", "modalities",
                              "Invalid 'modalities': only [\"text\"] is supported.");
        }
    }
    return true;
}

/* Fields that only have to be of the right type. */
static bool check_carried(const struct serve_request *request, struct serve_failure *failure)
{
    const json_t *value;
    if (!absent(request->root, "user", &value) && !json_is_string(value)) {
        return wrong_type(failure, "user", "a string", value);
    }
    if (!absent(request->root, "metadata", &value) && !json_is_object(value)) {
        return wrong_type(failure, "metadata", "an object", value);
    }
    if (!absent(request->root, "service_tier", &value) && !json_is_string(value)) {
        return wrong_type(failure, "service_tier", "a string", value);
    }
    bool ignored = false;
    return read_flag(request->root, "parallel_tool_calls", &ignored, failure) &&
           read_flag(request->root, "store", &ignored, failure);
}

static bool find_model(struct serve_request *request, struct serve_model *const *models,
                       size_t count, struct serve_failure *failure)
{
    const json_t *value;
    if (absent(request->root, "model", &value)) {
        return serve_fail(failure, 400, "missing_required_parameter", "model",
                          "Missing required parameter: 'model'.");
    }
    if (!json_is_string(value)) {
        return wrong_type(failure, "model", "a string", value);
    }
    request->model = serve_find_model(models, count, json_string_value(value));
    if (!request->model) {
        return serve_fail(failure, 404, "model_not_found", "model",
                          "The model `%.200s` does not exist or you do not have access to it.",
                          json_string_value(value));
    }
    return true;
}

static bool parse(struct serve_request *request, const char *body, size_t length,
                  struct serve_failure *failure)
{
    json_error_t error;
    if (length == 0) {
        return serve_fail(failure, 400, "invalid_json", NULL,
                          "The body is empty; a JSON object is expected.");
    }
    request->root = json_loadb(body, length, 0, &error);
    if (!request->root) {
        return serve_fail(failure, 400, "invalid_json", NULL,
                          "We could not parse the JSON body of your request: %.200s (line %d, "
                          "column %d).",
                          error.text, error.line, error.column);
    }
    if (!json_is_object(request->root)) {
        return serve_fail(failure, 400, "invalid_json", NULL, "The body must be a JSON object.");
    }
    return true;
}

/* Templates may print the date. A request that says {"x_takt": {"now": N}} is answered as of then.
 */
static bool read_now(struct serve_request *request, struct serve_failure *failure)
{
    bool given = false;
    request->now = serve_unix_seconds();
    return read_integer(json_object_get(request->root, "x_takt"), "now", 0, INT64_C(253402300799),
                        &request->now, &given, failure);
}

/* Without a seed, one is made of the request: the same request gives the same answer. */
static bool choose_seed(struct serve_request *request)
{
    if (request->seeded) {
        return true;
    }
    char hex[65], text[128];
    const struct takt_sampling *sampling = &request->sampling;
    struct base_digest *digest = base_digest_create();
    BASE_ASSERT(digest);
    base_digest_update(digest, request->prompt, request->prompt_count * sizeof *request->prompt);
    const int length = snprintf(text, sizeof text, "%a %u %a %a", (double)sampling->temperature,
                                sampling->top_k, (double)sampling->top_p, (double)sampling->min_p);
    base_digest_update(digest, text, (size_t)length);
    base_digest_hex(digest, hex);
    base_digest_destroy(digest);
    hex[7] = '\0'; /* 28 bits: a whole number in every client */
    request->sampling.seed = strtoull(hex, NULL, 16);
    return true;
}

bool serve_request_read(struct serve_request *request, bool chat, const char *body, size_t length,
                        struct serve_model *const *models, size_t model_count,
                        struct serve_failure *failure)
{
    *request = (struct serve_request){.chat = chat};
    return parse(request, body, length, failure) &&
           find_model(request, models, model_count, failure) && check_refused(request, failure) &&
           check_carried(request, failure) && read_stream(request, failure) &&
           read_sampling(request, failure) && read_bias(request, failure) &&
           read_lengths(request, failure) && read_stops(request, failure) &&
           read_logprobs(request, failure) && serve_read_forms(request, failure) &&
           read_now(request, failure) && serve_prompt(request, failure) &&
           serve_make_grammar(request, failure) && choose_seed(request);
}

void serve_request_free(struct serve_request *request)
{
    takt_grammar_close(request->grammar);
    json_decref(request->root);
    free(request->prompt);
    free(request->biases);
    *request = (struct serve_request){0};
}
