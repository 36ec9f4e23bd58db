/* The server from outside, over real sockets: what it answers, and what it survives. */
#include "tests.h"

#include "base/base.h"
#include "serve/serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define FABLE "models/fable/fable-q8_0.gguf"

static struct serve_server *server;
static char folder[64];

static void start(void (*change)(struct serve_options *))
{
    struct serve_options options;
    struct takt_error error;
    serve_defaults(&options);
    options.model_paths[0] = FABLE;
    options.model_count = 1;
    options.port = 0;
    options.slots = 3;
    options.engine.threads = 1;
    options.body_bytes = 65536;
    options.read_seconds = 20;
    if (change) {
        change(&options);
    }
    if (serve_start(&server, &options, &error) != TAKT_OK) {
        fail_msg("%s", error.message);
    }
}

static int setup(void **state)
{
    (void)state;
    start(NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    serve_stop(server);
    server = NULL;
    return 0;
}

/* ---- a client -------------------------------------------------------------------------------- */

static int dial(void)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)serve_port(server)),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int handle = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct timeval patience = {.tv_sec = 60};
    assert_true(handle >= 0);
    setsockopt(handle, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal(connect(handle, (const struct sockaddr *)&address, sizeof address), 0);
    return handle;
}

static void put(int handle, const char *bytes, size_t length)
{
    for (size_t sent = 0; sent < length;) {
        const ssize_t got = send(handle, bytes + sent, length - sent, MSG_NOSIGNAL);
        if (got <= 0) {
            return; /* the server has closed: what it said can still be read */
        }
        sent += (size_t)got;
    }
}

/* Everything until the server closes, or until `until` has come. */
static char *get(int handle, const char *until)
{
    struct base_text text = {0};
    char bytes[4096];
    ssize_t got;
    base_text_append(&text, "", 0);
    while (!(until && strstr(text.data, until)) &&
           (got = recv(handle, bytes, sizeof bytes, 0)) > 0) {
        base_text_append(&text, bytes, (size_t)got);
    }
    return text.data;
}

static char *exchange(const char *bytes, size_t length)
{
    const int handle = dial();
    put(handle, bytes, length);
    char *answer = get(handle, NULL);
    close(handle);
    return answer;
}

static char *ask(const char *method, const char *path, const char *headers, const char *body,
                 size_t length)
{
    struct base_text text = {0};
    base_text_format(&text, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s", method, path,
                     headers);
    if (body) {
        base_text_format(&text, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                         length);
    }
    base_text_format(&text, "\r\n");
    base_text_append(&text, body ? body : "", length);
    char *answer = exchange(text.data, text.length);
    base_text_free(&text);
    return answer;
}

static char *post(const char *path, const char *body)
{
    return ask("POST", path, "", body, strlen(body));
}

static int status_of(const char *answer)
{
    return strncmp(answer, "HTTP/1.1 ", 9) == 0 ? atoi(answer + 9) : 0;
}

static const char *body_of(const char *answer)
{
    const char *end = strstr(answer, "\r\n\r\n");
    return end ? end + 4 : "";
}

static void expect(char *answer, int status, const char *part, const char *what)
{
    if (status_of(answer) != status || !strstr(answer, part)) {
        fail_msg("%s: not %d with \"%s\": %.600s", what, status, part, answer);
    }
    free(answer);
}

static json_t *json_of(char *answer)
{
    json_error_t error;
    json_t *json = json_loads(body_of(answer), 0, &error);
    if (status_of(answer) != 200 || !json) {
        fail_msg("no JSON answer (%s): %.600s", error.text, answer);
    }
    free(answer);
    return json;
}

#define CHAT "/v1/chat/completions"
#define HELLO "\"model\":\"fable-q8_0\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello.\"}]"

/* ---- routes and validation ------------------------------------------------------------------- */

static void routes(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path;
        int status;
        const char *part;
    } cases[] = {
        {"GET", "/v1/models", 200, "\"object\":\"list\""},
        {"GET", "/openai/v1/models", 200, "fable-q8_0"},
        {"GET", "/v1/models/fable-q8_0", 200, "\"context_window\":512"},
        {"GET", "/v1/models/none", 404, "model_not_found"},
        {"GET", "/health", 200, "ok"},
        {"GET", "/metrics", 200, "takt_request_seconds_bucket{le=\"+Inf\"}"},
        {"GET", "/", 200, "text/html"},
        {"HEAD", "/health", 200, "x-request-id: req_"},
        {"GET", "/v1/nothing", 404, "unknown_url"},
        {"GET", "/v1", 404, "unknown_url"},
        {"GET", "/v1/v1/models", 404, "repeats '/v1'"},
        {"GET", "/openai/v1/openai/v1/models", 404, "repeats '/openai/v1'"},
        {"GET", "/v1/openai/v1/models", 404, "repeats '/openai/v1' after '/v1'"},
        {"GET", CHAT, 405, "Allow: POST"},
        {"DELETE", "/v1/models", 405, "method_not_allowed"},
        {"GET", "/v1/files", 404, "--data FOLDER"},
        {"GET", "/api/inspect?chunk=0", 400, "'chunk'"},
        {"GET", "/api/inspect?model=none", 404, "model_not_found"},
        {"GET", "/api/schedule?layer=99", 400, "'layer'"},
        {"GET", "/api/inspect", 200, "\"cycles\":"},
    };
    for (size_t i = 0; i < BASE_COUNT(cases); i++) {
        expect(ask(cases[i].method, cases[i].path, "", NULL, 0), cases[i].status, cases[i].part,
               cases[i].path);
    }
}

/* A field that is wrong is named. */
static void fields(void **state)
{
    (void)state;
    static const struct {
        const char *more; /* after HELLO */
        const char *part;
    } cases[] = {
        {"\"temperature\":2.5", "'temperature': 2.5 is not between 0 and 2"},
        {"\"temperature\":\"hot\"", "\"param\":\"temperature\""},
        {"\"top_p\":-0.1", "'top_p'"},
        {"\"top_k\":-1", "'top_k'"},
        {"\"top_k\":1.5", "expected an integer"},
        {"\"min_p\":2", "'min_p'"},
        {"\"frequency_penalty\":3", "'frequency_penalty'"},
        {"\"presence_penalty\":[]", "'presence_penalty'"},
        {"\"repetition_penalty\":0", "'repetition_penalty'"},
        {"\"n\":2", "'n': 2"},
        {"\"max_tokens\":0", "'max_tokens'"},
        {"\"max_completion_tokens\":1e30", "'max_completion_tokens'"},
        {"\"max_tokens\":5000", "context_length_exceeded"},
        {"\"seed\":\"x\"", "'seed'"},
        {"\"seed\":99999999999999999999", "invalid_json"},
        {"\"stream\":1", "'stream'"},
        {"\"stream\":true,\"stream_options\":7", "'stream_options'"},
        {"\"stop\":[\"a\",\"b\",\"c\",\"d\",\"e\"]", "'stop': 5 strings"},
        {"\"stop\":[1]", "'stop'"},
        {"\"logprobs\":3", "'logprobs'"},
        {"\"top_logprobs\":2", "needs 'logprobs'"},
        {"\"logprobs\":true,\"top_logprobs\":21", "'top_logprobs': 21"},
        {"\"logit_bias\":{\"x\":1}", "is not a token id"},
        {"\"logit_bias\":{\"1024\":1}", "is not a token id"},
        {"\"logit_bias\":{\"5\":101}", "from -100 to 100"},
        {"\"logit_bias\":[]", "'logit_bias'"},
        {"\"functions\":[]", "'functions' is not supported"},
        {"\"modalities\":[\"audio\"]", "'modalities'"},
        {"\"user\":7", "'user'"},
        {"\"metadata\":\"x\"", "'metadata'"},
        {"\"response_format\":{}", "'response_format'"},
        {"\"response_format\":{\"type\":\"xml\"}", "'response_format.type'"},
        {"\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":{}}}",
         "json_schema.name"},
        {"\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"a\",\"schema\":"
         "{\"type\":\"string\",\"pattern\":\"x\"}}}",
         "'pattern'"},
        {"\"response_format\":{\"type\":\"json_object\"},\"max_tokens\":1", "takes up to 2 tokens"},
        {"\"tools\":{}", "'tools'"},
        {"\"tools\":[{\"type\":\"web\"}]", "'tools[0]'"},
        {"\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"a b\"}}]", "'tools[0]'"},
        {"\"tool_choice\":\"required\"", "it needs 'tools'"},
        {"\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"tool_choice\":{"
         "\"type\":\"function\",\"function\":{\"name\":\"g\"}}",
         "not among 'tools'"},
        {"\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":"
         "\"string\",\"format\":\"date\"}}}]",
         "'format'"},
    };
    for (size_t i = 0; i < BASE_COUNT(cases); i++) {
        struct base_text body = {0};
        base_text_format(&body, "{" HELLO ",%s}", cases[i].more);
        expect(post(CHAT, body.data), 400, cases[i].part, cases[i].more);
        base_text_free(&body);
    }
}

static void bodies(void **state)
{
    (void)state;
    static const struct {
        const char *path, *body;
        int status;
        const char *part;
    } cases[] = {
        {CHAT, "", 400, "The body is empty"},
        {CHAT, "{", 400, "invalid_json"},
        {CHAT, "[]", 400, "must be a JSON object"},
        {CHAT, "{\"a\":1}x", 400, "invalid_json"},
        {CHAT, "{\"model\":\"\xFF\"}", 400, "invalid_json"},
        {CHAT, "{\"model\":\"fable-q8_0\\u0000\"}", 400, "invalid_json"},
        {CHAT, "{}", 400, "'model'"},
        {CHAT, "{\"model\":7}", 400, "'model'"},
        {CHAT, "{\"model\":\"gpt-9\"}", 404, "model_not_found"},
        {CHAT, "{\"model\":\"fable-q8_0\"}", 400, "'messages'"},
        {CHAT, "{\"model\":\"fable-q8_0\",\"messages\":\"x\"}", 400, "'messages'"},
        {CHAT, "{\"model\":\"fable-q8_0\",\"messages\":[]}", 400, "at least one"},
        {CHAT, "{\"model\":\"fable-q8_0\",\"messages\":[7]}", 400, "messages[0]"},
        {CHAT, "{\"model\":\"fable-q8_0\",\"messages\":[{\"role\":\"king\",\"content\":\"x\"}]}",
         400, "messages[0].role"},
        {CHAT, "{\"model\":\"fable-q8_0\",\"messages\":[{\"role\":\"user\"}]}", 400,
         "messages[0].content"},
        {CHAT,
         "{\"model\":\"fable-q8_0\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
         "\"image_url\"}]}]}",
         400, "parts of type 'text' only"},
        {"/v1/completions", "{\"model\":\"fable-q8_0\"}", 400, "'prompt'"},
        {"/v1/completions", "{\"model\":\"fable-q8_0\",\"prompt\":[\"a\",\"b\"]}", 400,
         "2 prompts"},
        {"/v1/completions", "{\"model\":\"fable-q8_0\",\"prompt\":[1,5000]}", 400, "item 1"},
        {"/v1/completions", "{\"model\":\"fable-q8_0\",\"prompt\":\"a\",\"echo\":true}", 400,
         "'echo'"},
        {"/v1/completions", "{\"model\":\"fable-q8_0\",\"prompt\":\"a\",\"suffix\":\"b\"}", 400,
         "'suffix'"},
    };
    for (size_t i = 0; i < BASE_COUNT(cases); i++) {
        expect(post(cases[i].path, cases[i].body), cases[i].status, cases[i].part, cases[i].body);
    }
    /* Nested beyond what the parser follows. */
    struct base_text deep = {0};
    for (size_t i = 0; i < 20000; i++) {
        base_text_append(&deep, "[", 1);
    }
    expect(post(CHAT, deep.data), 400, "invalid_json", "deep");
    base_text_free(&deep);
}

/* ---- answers --------------------------------------------------------------------------------- */

static const char *content_of(const json_t *answer)
{
    return json_string_value(json_object_get(
        json_object_get(json_array_get(json_object_get(answer, "choices"), 0), "message"),
        "content"));
}

static json_int_t usage_of(const json_t *answer, const char *key)
{
    return json_integer_value(json_object_get(json_object_get(answer, "usage"), key));
}

#define STORY                                                                                      \
    "\"model\":\"fable-q8_0\",\"messages\":[{\"role\":\"user\",\"content\":\"Tell me a "           \
    "story.\"}],"                                                                                  \
    "\"temperature\":0.8,\"seed\":11,\"max_tokens\":60"

/* The pieces of a stream's content one after the other; the framing is checked on the way. */
static char *stream_content(const char *answer, json_t **last)
{
    struct base_text text = {0};
    json_int_t created = 0;
    bool role = false, done = false;
    base_text_append(&text, "", 0);
    *last = NULL;
    for (const char *at = strstr(body_of(answer), "data: "); at; at = strstr(at + 1, "\ndata: ")) {
        at += *at == '\n';
        const size_t length = strcspn(at, "\n");
        assert_int_equal(strncmp(at + length, "\n\n", 2), 0);
        assert_false(done);
        if (strncmp(at, "data: [DONE]", 12) == 0) {
            done = true;
            continue;
        }
        json_t *chunk = json_loadb(at + 6, length - 6, 0, NULL);
        assert_non_null(chunk);
        const json_int_t here = json_integer_value(json_object_get(chunk, "created"));
        assert_true(created == 0 || created == here);
        created = here;
        const json_t *delta =
            json_object_get(json_array_get(json_object_get(chunk, "choices"), 0), "delta");
        const char *piece = json_string_value(json_object_get(delta, "content"));
        assert_int_equal(json_object_get(delta, "role") != NULL, !role);
        role = true;
        base_text_append(&text, piece ? piece : "", piece ? strlen(piece) : 0);
        if (json_object_get(chunk, "x_takt")) {
            *last = json_incref(chunk);
        }
        json_decref(chunk);
    }
    assert_true(done);
    assert_non_null(*last);
    return text.data;
}

/* HTTP/1.0 gets the stream without chunks' sizes in between. */
static char *stream_of(const char *body)
{
    struct base_text text = {0};
    base_text_format(&text, "POST " CHAT " HTTP/1.0\r\nContent-Length: %zu\r\n\r\n%s", strlen(body),
                     body);
    char *answer = exchange(text.data, text.length);
    base_text_free(&text);
    return answer;
}

/* Whole and streamed, from a cold slot and a warm one: the same text and the same digest. */
static void same_answer(void **state)
{
    (void)state;
    json_t *whole = json_of(post(CHAT, "{" STORY "}"));
    json_t *again = json_of(post("/openai" CHAT, "{" STORY ",\"unknown_field\":[1]}"));
    assert_string_equal(content_of(whole), content_of(again));
    assert_int_equal(usage_of(whole, "completion_tokens"), 60);
    assert_int_equal(usage_of(whole, "total_tokens"), usage_of(whole, "prompt_tokens") + 60);
    const json_t *cached =
        json_object_get(json_object_get(again, "usage"), "prompt_tokens_details");
    assert_true(json_integer_value(json_object_get(cached, "cached_tokens")) > 0);
    const char *digest =
        json_string_value(json_object_get(json_object_get(whole, "x_takt"), "logits_digest"));
    assert_true(json_equal(json_object_get(json_object_get(whole, "x_takt"), "logits_digest"),
                           json_object_get(json_object_get(again, "x_takt"), "logits_digest")));
    char *answer = stream_of("{" STORY ",\"stream\":true}");
    json_t *last;
    char *text = stream_content(answer, &last);
    assert_string_equal(text, content_of(whole));
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(last, "x_takt"), "logits_digest")),
        digest);
    assert_non_null(json_object_get(json_object_get(last, "x_groq"), "usage"));
    free(text);
    free(answer);
    json_decref(last);
    json_decref(whole);
    json_decref(again);
}

/* Several at once: each gets what it gets alone. */
static void many_at_once(void **state)
{
    (void)state;
    enum { CLIENTS = 9 };
    char *alone[CLIENTS], *together[CLIENTS], body[CLIENTS][400];
    int handles[CLIENTS];
    json_t *last;
    for (int i = 0; i < CLIENTS; i++) {
        snprintf(
            body[i], sizeof body[i],
            "{\"model\":\"fable-q8_0\",\"messages\":[{\"role\":\"user\",\"content\":\"Tell me a "
            "story about a %s.\"}],\"temperature\":1,\"seed\":%d,\"max_tokens\":%d,\"stream\":true"
            "%s}",
            i % 2 ? "fox" : "very small and very old owl in a tree", i / 3, 20 + 7 * i,
            i % 4 == 3 ? ",\"frequency_penalty\":0.5,\"repetition_penalty\":1.1" : "");
        char *answer = stream_of(body[i]);
        alone[i] = stream_content(answer, &last);
        json_decref(last);
        free(answer);
    }
    for (int i = 0; i < CLIENTS; i++) {
        char request[700];
        const int length = snprintf(request, sizeof request,
                                    "POST " CHAT " HTTP/1.0\r\nContent-Length: %zu\r\n\r\n%s",
                                    strlen(body[i]), body[i]);
        handles[i] = dial();
        put(handles[i], request, (size_t)length);
    }
    for (int i = 0; i < CLIENTS; i++) {
        char *answer = get(handles[i], NULL);
        together[i] = stream_content(answer, &last);
        assert_string_equal(together[i], alone[i]);
        json_decref(last);
        free(answer);
        free(together[i]);
        free(alone[i]);
        close(handles[i]);
    }
}

/* A long beginning that another request has, still running, is not run again; the text is the same.
 */
static void shared_beginning(void **state)
{
    (void)state;
    const char *form =
        "{\"model\":\"fable-q8_0\",\"messages\":[{\"role\":\"user\",\"content\":\"Tell me a "
        "story about a fox who finds a key in the old house by the lake.\"}],\"seed\":%d,"
        "\"max_tokens\":%d%s}";
    char body[600], request[900];
    snprintf(body, sizeof body, form, 4, 30, "");
    json_t *alone = json_of(post(CHAT, body));
    teardown(state);
    start(NULL); /* nothing is kept from before */
    snprintf(body, sizeof body, form, 9, 400,
             ",\"stream\":true,\"logit_bias\":{\"2\":-100,\"0\":-100}");
    const int length = snprintf(
        request, sizeof request,
        "POST " CHAT " HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
    const int other = dial();
    put(other, request, (size_t)length);
    free(get(other, "\"delta\":{\"content\":")); /* its prompt has run */
    snprintf(body, sizeof body, form, 4, 30, "");
    json_t *beside = json_of(post(CHAT, body));
    assert_string_equal(content_of(beside), content_of(alone));
    const json_t *details =
        json_object_get(json_object_get(beside, "usage"), "prompt_tokens_details");
    assert_int_equal(json_integer_value(json_object_get(details, "cached_tokens")),
                     usage_of(beside, "prompt_tokens") - 1);
    close(other);
    json_decref(alone);
    json_decref(beside);
}

/* The answer ends before the stop string, wherever tokens part it. */
static void stops(void **state)
{
    (void)state;
    json_t *whole = json_of(post(CHAT, "{" STORY "}"));
    const char *text = content_of(whole);
    for (size_t at = 5; at < 60; at += 11) {
        char stop[8] = "", body[600];
        size_t end = 0;
        snprintf(stop, sizeof stop, "%.6s", text + at);
        assert_true(base_utf8_valid(stop, strlen(stop)) && !strpbrk(stop, "\"\\\n"));
        snprintf(body, sizeof body, "{" STORY ",\"stop\":[\"qqqq\",\"%s\"]}", stop);
        end = (size_t)(strstr(text, stop) - text);
        json_t *cut = json_of(post(CHAT, body));
        assert_int_equal(strlen(content_of(cut)), end);
        assert_int_equal(strncmp(content_of(cut), text, end), 0);
        const json_t *choice = json_array_get(json_object_get(cut, "choices"), 0);
        assert_string_equal(json_string_value(json_object_get(choice, "finish_reason")), "stop");
        json_decref(cut);
    }
    json_decref(whole);
}

/* Logprobs: of every token shown, their bytes are the text; the drawn one is the likeliest at 0. */
static void logprobs(void **state)
{
    (void)state;
    json_t *answer = json_of(
        post(CHAT, "{" HELLO
                   ",\"temperature\":0,\"max_tokens\":12,\"logprobs\":true,\"top_logprobs\":3}"));
    const json_t *choice = json_array_get(json_object_get(answer, "choices"), 0);
    const json_t *list = json_object_get(json_object_get(choice, "logprobs"), "content");
    struct base_text text = {0};
    assert_true(json_array_size(list) > 0);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const json_t *top = json_object_get(item, "top_logprobs");
        const json_t *bytes = json_object_get(item, "bytes");
        assert_int_equal(json_array_size(top), 3);
        assert_string_equal(json_string_value(json_object_get(item, "token")),
                            json_string_value(json_object_get(json_array_get(top, 0), "token")));
        double before = 0.0;
        for (size_t j = 0; j < 3; j++) {
            const double here =
                json_number_value(json_object_get(json_array_get(top, j), "logprob"));
            assert_true(here <= before);
            before = here;
        }
        for (size_t j = 0; j < json_array_size(bytes); j++) {
            const char byte = (char)json_integer_value(json_array_get(bytes, j));
            base_text_append(&text, &byte, 1);
        }
    }
    assert_string_equal(text.data, content_of(answer));
    base_text_free(&text);
    json_decref(answer);
    expect(post("/v1/completions", "{\"model\":\"fable-q8_0\",\"prompt\":\"Once\",\"logprobs\":2}"),
           200, "\"token_logprobs\":[", "completions");
}

static void forms(void **state)
{
    (void)state;
    json_t *answer = json_of(post(
        CHAT, "{" HELLO ",\"max_tokens\":60,\"response_format\":{\"type\":\"json_schema\","
              "\"json_schema\":{\"name\":\"x\",\"schema\":{\"type\":\"object\",\"properties\":{"
              "\"n\":{\"type\":\"integer\"},\"s\":{\"enum\":[\"a\",\"b\"]}},\"required\":[\"n\","
              "\"s\"],\"additionalProperties\":false}}}}"));
    json_t *value = json_loads(content_of(answer), 0, NULL);
    assert_true(json_is_integer(json_object_get(value, "n")));
    assert_int_equal(json_string_length(json_object_get(value, "s")), 1);
    json_decref(value);
    json_decref(answer);
    answer = json_of(post(
        CHAT,
        "{" HELLO ",\"max_tokens\":150,\"tools\":[{\"type\":\"function\",\"function\":{"
        "\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":{\"city\":{\"type\":"
        "\"string\",\"maxLength\":8}},\"required\":[\"city\"]}}}],\"tool_choice\":"
        "\"required\",\"parallel_tool_calls\":false}"));
    const json_t *choice = json_array_get(json_object_get(answer, "choices"), 0);
    const json_t *calls = json_object_get(json_object_get(choice, "message"), "tool_calls");
    const json_t *function = json_object_get(json_array_get(calls, 0), "function");
    assert_string_equal(json_string_value(json_object_get(choice, "finish_reason")), "tool_calls");
    assert_string_equal(json_string_value(json_object_get(function, "name")), "f");
    value = json_loads(json_string_value(json_object_get(function, "arguments")), 0, NULL);
    assert_true(json_is_string(json_object_get(value, "city")));
    json_decref(value);
    json_decref(answer);
}

static void impatient(struct serve_options *options)
{
    options->read_seconds = 1;
}

/* ---- bad clients ----------------------------------------------------------------------------- */

static long metric(const char *name)
{
    char *answer = ask("GET", "/metrics", "", NULL, 0), line[80];
    snprintf(line, sizeof line, "\n%s ", name);
    const char *found = strstr(answer, line);
    assert_non_null(found);
    const long value = atol(found + strlen(line));
    free(answer);
    return value;
}

/* Asks until the metric has the value; the test's own patience ends it otherwise. */
static void wait_metric(const char *name, long value)
{
    for (int i = 0; metric(name) != value; i++) {
        if (i == 2000) {
            fail_msg("%s does not become %ld", name, value);
        }
        poll(NULL, 0, 5);
    }
}

static void oversize(void **state)
{
    (void)state;
    char *big = calloc(1, 70001);
    memset(big, ' ', 70000);
    expect(post(CHAT, big), 413, "request_too_large", "too long");
    expect(ask("POST", CHAT, "Expect: 100-continue\r\nContent-Length: 99999999\r\n", NULL, 0), 413,
           "request_too_large", "asked first");
    memset(big, 'a', 60000);
    big[60000] = '\0';
    struct base_text header = {0};
    base_text_format(&header, "X-Long: %s\r\n", big);
    char *answer = ask("GET", "/health", header.data, NULL, 0);
    assert_true(status_of(answer) == 431 || status_of(answer) == 413);
    free(answer);
    base_text_free(&header);
    free(big);
    expect(ask("GET", "/health", "", NULL, 0), 200, "ok", "after all");
}

static void garbage(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "\r\n\r\n",
        "hello\r\n\r\n",
        "GET\r\n\r\n",
        "POST " CHAT " HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        "POST " CHAT " HTTP/1.1\r\nHost: x\r\nContent-Length: 9zz\r\n\r\n",
        "POST " CHAT " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "\x16\x03\x01\x02\x01\x01\xfc\x03\x03",
    };
    start(impatient);
    for (size_t i = 0; i < BASE_COUNT(cases); i++) {
        const int handle = dial();
        put(handle, cases[i], strlen(cases[i]));
        shutdown(handle, SHUT_WR);
        char *answer = get(handle, NULL);
        assert_true(status_of(answer) == 0 || status_of(answer) >= 400);
        free(answer);
        close(handle);
    }
    /* A good request, then garbage on the same connection. */
    const char *request = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n@@@@ nonsense\r\n\r\n";
    const int handle = dial();
    put(handle, request, strlen(request));
    char *answer = get(handle, "ok\"}");
    assert_int_equal(status_of(answer), 200);
    free(answer);
    close(handle);
    expect(ask("GET", "/health", "", NULL, 0), 200, "ok", "after garbage");
    teardown(state);
}

/* A client that leaves, waiting or in mid-stream, frees what it held. */
static void leavers(void **state)
{
    (void)state;
    const char *body =
        "{\"model\":\"fable-q8_0\",\"messages\":[{\"role\":\"user\",\"content\":\"Tell me a "
        "story.\"}],\"logit_bias\":{\"2\":-100,\"0\":-100},\"stream\":%s}";
    const long before = metric("takt_cancelled_total");
    int handles[6];
    for (int i = 0; i < 6; i++) { /* three run, three wait */
        char text[400], request[700];
        snprintf(text, sizeof text, body, i % 2 ? "true" : "false");
        const int length = snprintf(request, sizeof request,
                                    "POST " CHAT " HTTP/1.1\r\nHost: x\r\nContent-Length: "
                                    "%zu\r\n\r\n%s",
                                    strlen(text), text);
        handles[i] = dial();
        put(handles[i], request, (size_t)length);
    }
    char *some = get(handles[1], "data: ");
    free(some);
    for (int i = 0; i < 6; i++) {
        const struct linger reset = {.l_onoff = 1};
        if (i % 3 == 1) {
            setsockopt(handles[i], SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        }
        close(handles[i]);
    }
    wait_metric("takt_running_requests{model=\"fable-q8_0\"}", 0);
    wait_metric("takt_queue_length{model=\"fable-q8_0\"}", 0);
    wait_metric("takt_calls", 1); /* the one that asks */
    assert_true(metric("takt_cancelled_total") > before);
}

/* A reader that does not read does not hold the others. */
static void slow_reader(void **state)
{
    (void)state;
    const char *body = "{" STORY ",\"stream\":true}";
    char request[700];
    const int length = snprintf(
        request, sizeof request,
        "POST " CHAT " HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
    const int slow = dial();
    put(slow, request, (size_t)length);
    json_t *answer = json_of(post(CHAT, "{" STORY "}"));
    json_decref(answer);
    char *late = get(slow, "[DONE]");
    assert_non_null(strstr(late, "[DONE]"));
    free(late);
    close(slow);
}

/* ---- servers of another kind ----------------------------------------------------------------- */

/* A request that comes byte by byte, or half, is not waited for. */
static void slow_senders(void **state)
{
    (void)state;
    start(impatient);
    const char *half = "POST " CHAT " HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"mod";
    const int a = dial(), b = dial();
    put(a, half, strlen(half));
    char last;
    ssize_t got = -1;
    for (int i = 0; i < 600 && got < 0; i++) { /* a header that never ends */
        put(b, i == 0 ? "GET / HTTP/1.1\r\nX: a" : "a", i == 0 ? 20 : 1);
        poll(NULL, 0, 20);
        got = recv(b, &last, 1, MSG_DONTWAIT);
        assert_true(got >= 0 || errno == EAGAIN || errno == ECONNRESET);
        got = got < 0 && errno == ECONNRESET ? 0 : got;
    }
    assert_true(got >= 0);
    char *answer = get(a, NULL);
    assert_true(status_of(answer) == 0 || status_of(answer) >= 400);
    free(answer);
    close(a);
    close(b);
    expect(ask("GET", "/health", "", NULL, 0), 200, "ok", "after slow ones");
    teardown(state);
}

static void narrow(struct serve_options *options)
{
    options->slots = 1;
    options->queue = 1;
    options->cors_origin = "https://example.org";
}

/* One runs, one waits, the third is told to come again. */
static void full_queue(void **state)
{
    (void)state;
    start(narrow);
    const char *body =
        "{\"model\":\"fable-q8_0\",\"messages\":[{\"role\":\"user\",\"content\":\"Tell me a "
        "story.\"}],\"logit_bias\":{\"2\":-100,\"0\":-100},\"stream\":true}";
    char request[700];
    const int length = snprintf(
        request, sizeof request,
        "POST " CHAT " HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
    const int runs = dial(), waits = dial();
    put(runs, request, (size_t)length);
    free(get(runs, "data: "));
    put(waits, request, (size_t)length);
    wait_metric("takt_queue_length{model=\"fable-q8_0\"}", 1);
    expect(post(CHAT, "{" HELLO "}"), 503, "Retry-After: 1", "full");
    close(runs);
    close(waits);
    expect(ask("OPTIONS", CHAT, "Access-Control-Request-Headers: x-a\r\n", NULL, 0), 204,
           "Access-Control-Allow-Headers: x-a", "preflight");
    expect(ask("GET", "/v1/models", "", NULL, 0), 200,
           "Access-Control-Allow-Origin: https://example.org", "cors");
    teardown(state);
}

static char keys_path[80];

static void guarded(struct serve_options *options)
{
    snprintf(keys_path, sizeof keys_path, "%s/keys", folder);
    const char keys[] = "# ours\n\nsk-one\r\nsk-two \n";
    assert_int_equal(base_file_write(keys_path, keys, strlen(keys), NULL), TAKT_OK);
    options->keys_path = keys_path;
    options->requests_per_minute = 2;
    options->tokens_per_minute = 1000;
}

static void make_folder(void)
{
    strcpy(folder, "/tmp/takt-serve-XXXXXX");
    assert_non_null(mkdtemp(folder));
}

static void drop_folder(void)
{
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
}

static void keys_and_rates(void **state)
{
    (void)state;
    make_folder();
    start(guarded);
    const char *body = "{" HELLO ",\"max_tokens\":2}";
    expect(post(CHAT, body), 401, "invalid_api_key", "no key");
    expect(ask("POST", CHAT, "Authorization: Bearer sk-on\r\n", body, strlen(body)), 401,
           "invalid_api_key", "wrong key");
    expect(ask("GET", "/v1/models", "Authorization: Basic sk-one\r\n", NULL, 0), 401,
           "invalid_api_key", "wrong kind");
    expect(ask("GET", "/health", "", NULL, 0), 200, "ok", "health needs none");
    for (int i = 1; i >= 0; i--) {
        char part[64];
        snprintf(part, sizeof part, "x-ratelimit-remaining-requests: %d", i);
        expect(ask("POST", CHAT, "Authorization: Bearer sk-one\r\n", body, strlen(body)), 200, part,
               "good key");
    }
    expect(ask("POST", CHAT, "Authorization: Bearer sk-one\r\n", body, strlen(body)), 429,
           "Retry-After: ", "too many");
    expect(ask("POST", CHAT, "Authorization: Bearer sk-two\r\n", body, strlen(body)), 200,
           "x-ratelimit-limit-tokens: 1000", "another's share");
    teardown(state);
    drop_folder();
}

/* ---- files and batches ----------------------------------------------------------------------- */

static void stored(struct serve_options *options)
{
    options->data_path = folder;
}

static char *text_at(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text ? strdup(text) : NULL;
}

static json_t *upload(const char *content, size_t length, bool chunked)
{
    struct base_text form = {0}, request = {0};
    base_text_format(
        &form,
        "--xx42\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--xx42\r\n"
        "Content-Disposition: form-data; name=\"file\"; filename=\"in.jsonl\"\r\n"
        "Content-Type: application/octet-stream\r\n\r\n");
    base_text_append(&form, content, length);
    base_text_format(&form, "\r\n--xx42--\r\n");
    base_text_format(&request, "POST /v1/files HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                               "Content-Type: multipart/form-data; boundary=xx42\r\n");
    if (chunked) {
        base_text_format(&request, "Transfer-Encoding: chunked\r\n\r\n");
        for (size_t at = 0; at < form.length; at += 100) {
            const size_t part = BASE_MIN(form.length - at, 100);
            base_text_format(&request, "%zx\r\n", part);
            base_text_append(&request, form.data + at, part);
            base_text_format(&request, "\r\n");
        }
        base_text_format(&request, "0\r\n\r\n");
    } else {
        base_text_format(&request, "Content-Length: %zu\r\n\r\n", form.length);
        base_text_append(&request, form.data, form.length);
    }
    json_t *file = json_of(exchange(request.data, request.length));
    base_text_free(&form);
    base_text_free(&request);
    return file;
}

static char *start_batch(const char *file)
{
    char body[300];
    snprintf(
        body, sizeof body,
        "{\"input_file_id\":\"%s\",\"endpoint\":\"/v1/chat/completions\",\"completion_window\":"
        "\"24h\",\"metadata\":{\"a\":\"b\"}}",
        file);
    json_t *batch = json_of(post("/v1/batches", body));
    char *id = text_at(batch, "id");
    json_decref(batch);
    return id;
}

static json_t *batch_of(const char *id)
{
    char path[100];
    snprintf(path, sizeof path, "/v1/batches/%s", id);
    return json_of(ask("GET", path, "", NULL, 0));
}

static json_t *wait_batch(const char *id, const char *status)
{
    for (int i = 0;; i++) {
        json_t *batch = batch_of(id);
        const char *here = json_string_value(json_object_get(batch, "status"));
        if (strcmp(here, status) == 0) {
            return batch;
        }
        if (i == 4000) {
            fail_msg("the batch is %s, not %s", here, status);
        }
        json_decref(batch);
        poll(NULL, 0, 5);
    }
}

static char *content_at(const json_t *batch, const char *key)
{
    char path[120];
    snprintf(path, sizeof path, "/v1/files/%s/content",
             json_string_value(json_object_get(batch, key)));
    return ask("GET", path, "", NULL, 0);
}

enum { LINES = 24 };

static void write_lines(struct base_text *text)
{
    for (int i = 0; i < LINES; i++) {
        base_text_format(
            text,
            "{\"custom_id\":\"c%d\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\","
            "\"body\":{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"Tell "
            "me story %d.\"}],\"max_tokens\":%d}}\n%s",
            i, i == 7 ? "none" : "fable-q8_0", i, 10 + i, i == 3 ? "\n" : "");
    }
}

/* Every line once, in order; the server is stopped in between and takes up where it was. */
static void batches(void **state)
{
    make_folder();
    start(stored);
    struct base_text lines = {0};
    write_lines(&lines);
    json_t *file = upload(lines.data, lines.length, true);
    assert_int_equal(json_integer_value(json_object_get(file, "bytes")), lines.length);
    char *id = start_batch(json_string_value(json_object_get(file, "id")));
    json_decref(file);
    teardown(state); /* at once: few lines are done, some were with the model */
    start(stored);
    json_t *batch = wait_batch(id, "completed");
    const json_t *counts = json_object_get(batch, "request_counts");
    assert_int_equal(json_integer_value(json_object_get(counts, "completed")), LINES - 1);
    assert_int_equal(json_integer_value(json_object_get(counts, "failed")), 1);
    char *output = content_at(batch, "output_file_id");
    const char *at = body_of(output);
    for (int i = 0; i < LINES; i++) {
        char part[32];
        snprintf(part, sizeof part, "\"custom_id\":\"c%d\"", i);
        const char *newline = strchr(at, '\n');
        if (i == 7) {
            continue;
        }
        assert_non_null(newline);
        const char *found = strstr(at, part);
        assert_true(found && found < newline);
        at = newline + 1;
    }
    assert_int_equal(*at, '\0');
    free(output);
    expect(content_at(batch, "error_file_id"), 200, "model_not_found", "error file");
    json_decref(batch);
    free(id);
    base_text_free(&lines);
    teardown(state);
    drop_folder();
}

static void batch_faults(void **state)
{
    make_folder();
    start(stored);
    static const char bad[] =
        "{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\","
        "\"body\":{}}\nnot json\n{\"custom_id\":\"a\",\"method\":\"GET\"}\n";
    json_t *file = upload(bad, strlen(bad), false);
    char *id = start_batch(json_string_value(json_object_get(file, "id")));
    json_t *batch = wait_batch(id, "failed");
    const json_t *errors = json_object_get(json_object_get(batch, "errors"), "data");
    assert_int_equal(json_array_size(errors), 2);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(errors, 0), "line")), 2);
    json_decref(batch);
    free(id);
    char path[100];
    snprintf(path, sizeof path, "/v1/files/%s", json_string_value(json_object_get(file, "id")));
    expect(ask("GET", path, "", NULL, 0), 200, "in.jsonl", "file");
    expect(ask("DELETE", path, "", NULL, 0), 200, "\"deleted\":true", "delete");
    expect(ask("GET", path, "", NULL, 0), 404, "file_not_found", "gone");
    expect(ask("GET", "/v1/files/../takt.db/content", "", NULL, 0), 404, "not_found", "a path");
    expect(post("/v1/batches", "{\"endpoint\":\"/v1/x\"}"), 400, "'endpoint'", "endpoint");
    expect(post("/v1/batches", "{\"endpoint\":\"/v1/completions\",\"completion_window\":\"24h\","
                               "\"input_file_id\":\"file-none\"}"),
           400, "'input_file_id'", "input");
    expect(post("/v1/batches/none/cancel", "{}"), 404, "batch_not_found", "cancel");
    expect(post("/v1/files", "{}"), 400, "multipart/form-data", "no form");
    expect(ask("GET", "/v1/batches?limit=0", "", NULL, 0), 400, "'limit'", "limit");
    expect(ask("GET", "/v1/batches?limit=1", "", NULL, 0), 200, "\"has_more\":false", "list");
    json_decref(file);
    teardown(state);
    drop_folder();
}

/* ---- stopping, verifying --------------------------------------------------------------------- */

/* What streams when the server is told to stop is finished. */
static void drains(void **state)
{
    (void)state;
    start(NULL);
    const char *body = "{" STORY ",\"stream\":true}";
    char request[700];
    const int length = snprintf(
        request, sizeof request,
        "POST " CHAT " HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
    const int handle = dial();
    put(handle, request, (size_t)length);
    free(get(handle, "data: "));
    teardown(state);
    char *rest = get(handle, NULL);
    assert_non_null(strstr(rest, "[DONE]"));
    free(rest);
    close(handle);
}

static void verifies(void **state)
{
    (void)state;
    start(NULL);
    const char *request =
        "{\"model\":\"fable-q8_0\",\"messages\":[{\"role\":\"user\",\"content\":\"Tell me "
        "a story.\"}],\"max_tokens\":12}";
    char *answer = post(CHAT, request);
    teardown(state);
    const char *response = body_of(answer);
    const enum takt_target targets[] = {TAKT_TARGET_NATIVE, TAKT_TARGET_REFERENCE,
                                        TAKT_TARGET_CHIP};
    struct takt_error error;
    char *report;
    bool agree;
    for (size_t i = 0; i < BASE_COUNT(targets); i++) {
        const struct takt_engine_options options = {.model_path = FABLE, .target = targets[i]};
        assert_int_equal(serve_verify(&options, request, strlen(request), response,
                                      strlen(response), &agree, &report, &error),
                         TAKT_OK);
        if (!agree) {
            fail_msg("%s", report);
        }
        free(report);
    }
    char *digest = strstr(answer, "logits_digest\":\"") + 16;
    *digest = *digest == '0' ? '1' : '0';
    const struct takt_engine_options options = {.model_path = FABLE, .target = TAKT_TARGET_NATIVE};
    assert_int_equal(serve_verify(&options, request, strlen(request), response, strlen(response),
                                  &agree, &report, &error),
                     TAKT_OK);
    assert_false(agree);
    assert_non_null(strstr(report, "DIFFERS   x_takt.logits_digest"));
    free(report);
    assert_int_equal(
        serve_verify(&options, "{", 1, response, strlen(response), &agree, &report, &error),
        TAKT_FORMAT);
    free(answer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

TEST_GROUP(serve, TEST(routes), TEST(fields), TEST(bodies), TEST(same_answer), TEST(many_at_once),
           TEST(shared_beginning), TEST(stops), TEST(logprobs), TEST(forms), TEST(oversize),
           cmocka_unit_test(garbage), TEST(leavers), TEST(slow_reader),
           cmocka_unit_test(slow_senders), cmocka_unit_test(full_queue),
           cmocka_unit_test(keys_and_rates), cmocka_unit_test(batches),
           cmocka_unit_test(batch_faults), cmocka_unit_test(drains), cmocka_unit_test(verifies));
