/* What is answered: one answer, whole or streamed, alone or among others; stop strings, logprobs,
 * forms; and run again. */
#include "serve_client.h"

#include "tests.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* The pieces of a stream's content one after the other; the framing is checked on the way. */
static char *stream_content(const char *answer, json_t **last)
{
    struct base_text text = {0};
    json_int_t created = 0;
    bool role = false, done = false;
    base_text_append(&text, "", 0);
    *last = NULL;
    for (const char *at = strstr(client_body(answer), "data: "); at;
         at = strstr(at + 1, "\ndata: ")) {
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
    char *answer = client_exchange(text.data, text.length);
    base_text_free(&text);
    return answer;
}

/* Whole and streamed, from a cold slot and a warm one: the same text and the same digest. */
static void same_answer(void **state)
{
    (void)state;
    json_t *whole = client_json(client_post(CHAT, "{" STORY "}"));
    json_t *again = client_json(client_post("/openai" CHAT, "{" STORY ",\"unknown_field\":[1]}"));
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
        handles[i] = client_dial();
        client_put(handles[i], request, (size_t)length);
    }
    for (int i = 0; i < CLIENTS; i++) {
        char *answer = client_get(handles[i], NULL);
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
    json_t *alone = client_json(client_post(CHAT, body));
    client_teardown(state);
    client_start(NULL); /* nothing is kept from before */
    snprintf(body, sizeof body, form, 9, 400,
             ",\"stream\":true,\"logit_bias\":{\"2\":-100,\"0\":-100}");
    const int length = snprintf(
        request, sizeof request,
        "POST " CHAT " HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
    const int other = client_dial();
    client_put(other, request, (size_t)length);
    free(client_get(other, "\"delta\":{\"content\":")); /* its prompt has run */
    snprintf(body, sizeof body, form, 4, 30, "");
    json_t *beside = client_json(client_post(CHAT, body));
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
    json_t *whole = client_json(client_post(CHAT, "{" STORY "}"));
    const char *text = content_of(whole);
    for (size_t at = 5; at < 60; at += 11) {
        char stop[8] = "", body[600];
        size_t end = 0;
        snprintf(stop, sizeof stop, "%.6s", text + at);
        assert_true(base_utf8_valid(stop, strlen(stop)) && !strpbrk(stop, "\"\\\n"));
        snprintf(body, sizeof body, "{" STORY ",\"stop\":[\"qqqq\",\"%s\"]}", stop);
        end = (size_t)(strstr(text, stop) - text);
        json_t *cut = client_json(client_post(CHAT, body));
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
    json_t *answer = client_json(client_post(
        CHAT,
        "{" HELLO ",\"temperature\":0,\"max_tokens\":12,\"logprobs\":true,\"top_logprobs\":3}"));
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
    client_expect(client_post("/v1/completions",
                              "{\"model\":\"fable-q8_0\",\"prompt\":\"Once\",\"logprobs\":2}"),
                  200, "\"token_logprobs\":[", "completions");
}

static void forms(void **state)
{
    (void)state;
    json_t *answer = client_json(client_post(
        CHAT, "{" HELLO ",\"max_tokens\":60,\"response_format\":{\"type\":\"json_schema\","
              "\"json_schema\":{\"name\":\"x\",\"schema\":{\"type\":\"object\",\"properties\":{"
              "\"n\":{\"type\":\"integer\"},\"s\":{\"enum\":[\"a\",\"b\"]}},\"required\":[\"n\","
              "\"s\"],\"additionalProperties\":false}}}}"));
    json_t *value = json_loads(content_of(answer), 0, NULL);
    assert_true(json_is_integer(json_object_get(value, "n")));
    assert_int_equal(json_string_length(json_object_get(value, "s")), 1);
    json_decref(value);
    json_decref(answer);
    answer = client_json(client_post(
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

/* Patterns, formats, bounds and branches reach the answer through the server, at every temperature.
 */
static void strict_forms(void **state)
{
    (void)state;
    static const char *const temperatures[] = {"0", "0.7", "2"};
    for (size_t i = 0; i < BASE_COUNT(temperatures); i++) {
        char body[1500];
        snprintf(body, sizeof body,
                 "{" HELLO
                 ",\"max_tokens\":160,\"temperature\":%s,\"seed\":3,\"response_format\":{\"type\":"
                 "\"json_schema\",\"json_schema\":{\"name\":\"x\",\"strict\":true,\"schema\":{"
                 "\"type\":\"object\","
                 "\"properties\":{\"id\":{\"type\":\"string\",\"pattern\":\"^[A-Z]{2}-[0-9]{3}$\"},"
                 "\"day\":{\"type\":\"string\",\"format\":\"date\"},"
                 "\"share\":{\"type\":\"number\",\"minimum\":0.25,\"exclusiveMaximum\":0.5},"
                 "\"what\":{\"oneOf\":[{\"type\":\"integer\",\"multipleOf\":5,\"minimum\":10,"
                 "\"maximum\":95},"
                 "{\"type\":\"null\"}]}},\"required\":[\"id\",\"day\",\"share\",\"what\"],"
                 "\"additionalProperties\":false}}}}",
                 temperatures[i]);
        json_t *answer = client_json(client_post(CHAT, body));
        json_t *value = json_loads(content_of(answer), 0, NULL);
        const json_t *what = json_object_get(value, "what");
        const char *id = json_string_value(json_object_get(value, "id"));
        const char *day = json_string_value(json_object_get(value, "day"));
        const double share = json_number_value(json_object_get(value, "share"));
        const json_int_t number = json_integer_value(what);
        assert_true(id && strlen(id) == 6 && id[0] >= 'A' && id[1] <= 'Z' && id[2] == '-' &&
                    strspn(id + 3, "0123456789") == 3);
        assert_true(day && strlen(day) == 10 && day[4] == '-' && atoi(day + 5) >= 1 &&
                    atoi(day + 5) <= 12);
        assert_true(share >= 0.25 && share < 0.5);
        assert_true(json_is_null(what) || (number % 5 == 0 && number >= 10 && number <= 95));
        json_decref(value);
        json_decref(answer);
    }
}

/* ---- verified ----- */

static void verifies(void **state)
{
    (void)state;
    client_start(NULL);
    const char *request =
        "{\"model\":\"fable-q8_0\",\"messages\":[{\"role\":\"user\",\"content\":\"Tell me "
        "a story.\"}],\"max_tokens\":12}";
    char *answer = client_post(CHAT, request);
    client_teardown(state);
    const char *response = client_body(answer);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, client_setup, client_teardown)

TEST_GROUP(serve_answers, TEST(same_answer), TEST(many_at_once), TEST(shared_beginning),
           TEST(stops), TEST(logprobs), TEST(forms), TEST(strict_forms),
           cmocka_unit_test(verifies));
