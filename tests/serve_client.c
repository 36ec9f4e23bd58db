/* See serve_client.h. */
#include "serve_client.h"

#include "tests.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct serve_server *server;
char client_folder[64];

void client_start(void (*change)(struct serve_options *))
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

int client_setup(void **state)
{
    (void)state;
    client_start(NULL);
    return 0;
}

int client_teardown(void **state)
{
    (void)state;
    serve_stop(server);
    server = NULL;
    return 0;
}

/* ---- a client -------------------------------------------------------------------------------- */

int client_dial(void)
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

void client_put(int handle, const char *bytes, size_t length)
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
char *client_get(int handle, const char *until)
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

char *client_exchange(const char *bytes, size_t length)
{
    const int handle = client_dial();
    client_put(handle, bytes, length);
    char *answer = client_get(handle, NULL);
    close(handle);
    return answer;
}

char *client_ask(const char *method, const char *path, const char *headers, const char *body,
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
    char *answer = client_exchange(text.data, text.length);
    base_text_free(&text);
    return answer;
}

char *client_post(const char *path, const char *body)
{
    return client_ask("POST", path, "", body, strlen(body));
}

int client_status(const char *answer)
{
    return strncmp(answer, "HTTP/1.1 ", 9) == 0 ? atoi(answer + 9) : 0;
}

const char *client_body(const char *answer)
{
    const char *end = strstr(answer, "\r\n\r\n");
    return end ? end + 4 : "";
}

void client_expect(char *answer, int status, const char *part, const char *what)
{
    if (client_status(answer) != status || !strstr(answer, part)) {
        fail_msg("%s: not %d with \"%s\": %.600s", what, status, part, answer);
    }
    free(answer);
}

json_t *client_json(char *answer)
{
    json_error_t error;
    json_t *json = json_loads(client_body(answer), 0, &error);
    if (client_status(answer) != 200 || !json) {
        fail_msg("no JSON answer (%s): %.600s", error.text, answer);
    }
    free(answer);
    return json;
}

long client_metric(const char *name)
{
    char *answer = client_ask("GET", "/metrics", "", NULL, 0), line[80];
    snprintf(line, sizeof line, "\n%s ", name);
    const char *found = strstr(answer, line);
    assert_non_null(found);
    const long value = atol(found + strlen(line));
    free(answer);
    return value;
}

/* Asks until the metric has the value; the test's own patience ends it otherwise. */
void client_wait_metric(const char *name, long value)
{
    for (int i = 0; client_metric(name) != value; i++) {
        if (i == 2000) {
            fail_msg("%s does not become %ld", name, value);
        }
        poll(NULL, 0, 5);
    }
}

void client_make_folder(void)
{
    strcpy(client_folder, "/tmp/takt-serve-XXXXXX");
    assert_non_null(mkdtemp(client_folder));
}

void client_drop_folder(void)
{
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", client_folder);
    assert_int_equal(system(command), 0);
}
