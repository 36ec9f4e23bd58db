/* Clients that send garbage, leave, read or write slowly, come too often; servers that are full or
 * stop. */
#include "serve_client.h"

#include "tests.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- bad clients ----------------------------------------------------------------------------- */

static void impatient(struct serve_options *options)
{
    options->read_seconds = 1;
}

static void oversize(void **state)
{
    (void)state;
    char *big = calloc(1, 70001);
    memset(big, ' ', 70000);
    client_expect(client_post(CHAT, big), 413, "request_too_large", "too long");
    client_expect(
        client_ask("POST", CHAT, "Expect: 100-continue\r\nContent-Length: 99999999\r\n", NULL, 0),
        413, "request_too_large", "asked first");
    memset(big, 'a', 60000);
    big[60000] = '\0';
    struct base_text header = {0};
    base_text_format(&header, "X-Long: %s\r\n", big);
    char *answer = client_ask("GET", "/health", header.data, NULL, 0);
    assert_true(client_status(answer) == 431 || client_status(answer) == 413);
    free(answer);
    base_text_free(&header);
    free(big);
    client_expect(client_ask("GET", "/health", "", NULL, 0), 200, "ok", "after all");
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
    client_start(impatient);
    for (size_t i = 0; i < BASE_COUNT(cases); i++) {
        const int handle = client_dial();
        client_put(handle, cases[i], strlen(cases[i]));
        shutdown(handle, SHUT_WR);
        char *answer = client_get(handle, NULL);
        assert_true(client_status(answer) == 0 || client_status(answer) >= 400);
        free(answer);
        close(handle);
    }
    /* A good request, then garbage on the same connection. */
    const char *request = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n@@@@ nonsense\r\n\r\n";
    const int handle = client_dial();
    client_put(handle, request, strlen(request));
    char *answer = client_get(handle, "ok\"}");
    assert_int_equal(client_status(answer), 200);
    free(answer);
    close(handle);
    client_expect(client_ask("GET", "/health", "", NULL, 0), 200, "ok", "after garbage");
    client_teardown(state);
}

/* A client that leaves, waiting or in mid-stream, frees what it held. */
static void leavers(void **state)
{
    (void)state;
    const char *body =
        "{\"model\":\"fable-q8_0\",\"messages\":[{\"role\":\"user\",\"content\":\"Tell me a "
        "story.\"}],\"logit_bias\":{\"2\":-100,\"0\":-100},\"stream\":%s}";
    const long before = client_metric("takt_cancelled_total");
    int handles[6];
    for (int i = 0; i < 6; i++) { /* three run, three wait */
        char text[400], request[700];
        snprintf(text, sizeof text, body, i % 2 ? "true" : "false");
        const int length = snprintf(request, sizeof request,
                                    "POST " CHAT " HTTP/1.1\r\nHost: x\r\nContent-Length: "
                                    "%zu\r\n\r\n%s",
                                    strlen(text), text);
        handles[i] = client_dial();
        client_put(handles[i], request, (size_t)length);
    }
    char *some = client_get(handles[1], "data: ");
    free(some);
    for (int i = 0; i < 6; i++) {
        const struct linger reset = {.l_onoff = 1};
        if (i % 3 == 1) {
            setsockopt(handles[i], SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        }
        close(handles[i]);
    }
    client_wait_metric("takt_running_requests{model=\"fable-q8_0\"}", 0);
    client_wait_metric("takt_queue_length{model=\"fable-q8_0\"}", 0);
    client_wait_metric("takt_calls", 1); /* the one that asks */
    assert_true(client_metric("takt_cancelled_total") > before);
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
    const int slow = client_dial();
    client_put(slow, request, (size_t)length);
    json_t *answer = client_json(client_post(CHAT, "{" STORY "}"));
    json_decref(answer);
    char *late = client_get(slow, "[DONE]");
    assert_non_null(strstr(late, "[DONE]"));
    free(late);
    close(slow);
}

/* ---- servers of another kind ----------------------------------------------------------------- */

/* A request that comes byte by byte, or half, is not waited for. */
static void slow_senders(void **state)
{
    (void)state;
    client_start(impatient);
    const char *half = "POST " CHAT " HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"mod";
    const int a = client_dial(), b = client_dial();
    client_put(a, half, strlen(half));
    char last;
    ssize_t got = -1;
    for (int i = 0; i < 600 && got < 0; i++) { /* a header that never ends */
        client_put(b, i == 0 ? "GET / HTTP/1.1\r\nX: a" : "a", i == 0 ? 20 : 1);
        poll(NULL, 0, 20);
        got = recv(b, &last, 1, MSG_DONTWAIT);
        assert_true(got >= 0 || errno == EAGAIN || errno == ECONNRESET);
        got = got < 0 && errno == ECONNRESET ? 0 : got;
    }
    assert_true(got >= 0);
    char *answer = client_get(a, NULL);
    assert_true(client_status(answer) == 0 || client_status(answer) >= 400);
    free(answer);
    close(a);
    close(b);
    client_expect(client_ask("GET", "/health", "", NULL, 0), 200, "ok", "after slow ones");
    client_teardown(state);
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
    client_start(narrow);
    const char *body =
        "{\"model\":\"fable-q8_0\",\"messages\":[{\"role\":\"user\",\"content\":\"Tell me a "
        "story.\"}],\"logit_bias\":{\"2\":-100,\"0\":-100},\"stream\":true}";
    char request[700];
    const int length = snprintf(
        request, sizeof request,
        "POST " CHAT " HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
    const int runs = client_dial(), waits = client_dial();
    client_put(runs, request, (size_t)length);
    free(client_get(runs, "data: "));
    client_put(waits, request, (size_t)length);
    client_wait_metric("takt_queue_length{model=\"fable-q8_0\"}", 1);
    client_expect(client_post(CHAT, "{" HELLO "}"), 503, "Retry-After: 1", "full");
    close(runs);
    close(waits);
    client_expect(client_ask("OPTIONS", CHAT, "Access-Control-Request-Headers: x-a\r\n", NULL, 0),
                  204, "Access-Control-Allow-Headers: x-a", "preflight");
    client_expect(client_ask("GET", "/v1/models", "", NULL, 0), 200,
                  "Access-Control-Allow-Origin: https://example.org", "cors");
    client_teardown(state);
}

static char keys_path[80];

static void guarded(struct serve_options *options)
{
    snprintf(keys_path, sizeof keys_path, "%s/keys", client_folder);
    const char keys[] = "# ours\n\nsk-one\r\nsk-two \n";
    assert_int_equal(base_file_write(keys_path, keys, strlen(keys), NULL), TAKT_OK);
    options->keys_path = keys_path;
    options->requests_per_minute = 2;
    options->tokens_per_minute = 1000;
}

static void keys_and_rates(void **state)
{
    (void)state;
    client_make_folder();
    client_start(guarded);
    const char *body = "{" HELLO ",\"max_tokens\":2}";
    client_expect(client_post(CHAT, body), 401, "invalid_api_key", "no key");
    client_expect(client_ask("POST", CHAT, "Authorization: Bearer sk-on\r\n", body, strlen(body)),
                  401, "invalid_api_key", "wrong key");
    client_expect(client_ask("GET", "/v1/models", "Authorization: Basic sk-one\r\n", NULL, 0), 401,
                  "invalid_api_key", "wrong kind");
    client_expect(client_ask("GET", "/health", "", NULL, 0), 200, "ok", "health needs none");
    for (int i = 1; i >= 0; i--) {
        char part[64];
        snprintf(part, sizeof part, "x-ratelimit-remaining-requests: %d", i);
        client_expect(
            client_ask("POST", CHAT, "Authorization: Bearer sk-one\r\n", body, strlen(body)), 200,
            part, "good key");
    }
    client_expect(client_ask("POST", CHAT, "Authorization: Bearer sk-one\r\n", body, strlen(body)),
                  429, "Retry-After: ", "too many");
    client_expect(client_ask("POST", CHAT, "Authorization: Bearer sk-two\r\n", body, strlen(body)),
                  200, "x-ratelimit-limit-tokens: 1000", "another's share");
    client_teardown(state);
    client_drop_folder();
}

/* What streams when the server is told to stop is finished. */
static void drains(void **state)
{
    (void)state;
    client_start(NULL);
    const char *body = "{" STORY ",\"stream\":true}";
    char request[700];
    const int length = snprintf(
        request, sizeof request,
        "POST " CHAT " HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
    const int handle = client_dial();
    client_put(handle, request, (size_t)length);
    free(client_get(handle, "data: "));
    client_teardown(state);
    char *rest = client_get(handle, NULL);
    assert_non_null(strstr(rest, "[DONE]"));
    free(rest);
    close(handle);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, client_setup, client_teardown)

TEST_GROUP(serve_clients, TEST(oversize), cmocka_unit_test(garbage), TEST(leavers),
           TEST(slow_reader), cmocka_unit_test(slow_senders), cmocka_unit_test(full_queue),
           cmocka_unit_test(keys_and_rates), cmocka_unit_test(drains));
