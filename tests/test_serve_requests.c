/* What is asked: paths, fields, bodies; everything that is wrong is named. */
#include "serve_client.h"

#include "tests.h"

#include <stdlib.h>
#include <string.h>

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
        client_expect(client_ask(cases[i].method, cases[i].path, "", NULL, 0), cases[i].status,
                      cases[i].part, cases[i].path);
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
         "{\"type\":\"string\",\"pattern\":\"x(?=y)\"}}}",
         "'pattern': at offset 1, look-ahead"},
        {"\"response_format\":{\"type\":\"json_object\"},\"max_tokens\":1", "takes up to 2 tokens"},
        {"\"tools\":{}", "'tools'"},
        {"\"tools\":[{\"type\":\"web\"}]", "'tools[0]'"},
        {"\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"a b\"}}]", "'tools[0]'"},
        {"\"tool_choice\":\"required\"", "it needs 'tools'"},
        {"\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"tool_choice\":{"
         "\"type\":\"function\",\"function\":{\"name\":\"g\"}}",
         "not among 'tools'"},
        {"\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":"
         "\"string\",\"format\":\"dates\"}}}]",
         "the format 'dates'"},
    };
    for (size_t i = 0; i < BASE_COUNT(cases); i++) {
        struct base_text body = {0};
        base_text_format(&body, "{" HELLO ",%s}", cases[i].more);
        client_expect(client_post(CHAT, body.data), 400, cases[i].part, cases[i].more);
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
        client_expect(client_post(cases[i].path, cases[i].body), cases[i].status, cases[i].part,
                      cases[i].body);
    }
    /* Nested beyond what the parser follows. */
    struct base_text deep = {0};
    for (size_t i = 0; i < 20000; i++) {
        base_text_append(&deep, "[", 1);
    }
    client_expect(client_post(CHAT, deep.data), 400, "invalid_json", "deep");
    base_text_free(&deep);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, client_setup, client_teardown)

TEST_GROUP(serve_requests, TEST(routes), TEST(fields), TEST(bodies));
