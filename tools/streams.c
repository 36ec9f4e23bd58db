/*
 * streams PORT MODEL CLIENTS REQUESTS PROMPT TOKENS [away]: so many clients on loopback, each with
 * so many streamed completions one after the other, of PROMPT tokens and with TOKENS tokens of
 * answer; prints one line of JSON. The clients share the processor with the server that they
 * measure, so they are one thread that sleeps in poll and looks at each piece once. With `away`
 * they take hardly anything: once an answer's first text has come the kernel wakes a client for its
 * end alone, as if it ran on another computer.
 *
 *   seconds        from the first request to the last byte
 *   tokens         of all answers
 *   decode_rate    tokens a second while they are drawn: the sum over the clients of an answer's
 *                  tokens but the first, by the time from its first text to its last
 *   late_ms        of each answer: when its first text was read, less what the server says passed
 *                  between its taking the request and drawing the token
 *   client_seconds of processor time that the clients took themselves
 */
#include "base/base.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENTS_MAX = 256, AWAY_BYTES = 1 << 20 };

struct settings {
    uint16_t port;
    const char *model;
    uint32_t clients, requests, prompt, tokens;
    bool away;
};

struct client {
    int handle;
    uint32_t asked; /* requests sent */
    double begin, first, last;
    struct base_text answer;
};

struct totals {
    uint64_t tokens;
    double rate; /* of the answers of one round */
    double *late;
    size_t late_count;
};

static void stop(const char *what)
{
    fprintf(stderr, "streams: %s\n", what);
    exit(1);
}

static void dial(struct client *client, const struct settings *settings)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons(settings->port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    client->handle = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->handle < 0 ||
        connect(client->handle, (const struct sockaddr *)&address, sizeof address) != 0) {
        stop("nothing listens there");
    }
}

/* No two prompts begin alike. */
static void ask(struct client *client, const struct settings *settings, uint32_t index)
{
    struct base_text body = {0}, text = {0};
    base_text_format(&body,
                     "{\"model\":\"%s\",\"max_tokens\":%u,\"temperature\":0,\"stream\":true,"
                     "\"prompt\":[",
                     settings->model, settings->tokens);
    const uint32_t serial = index + client->asked * settings->clients;
    for (uint32_t i = 0; i < settings->prompt; i++) {
        base_text_format(&body, "%s%u", i > 0 ? "," : "", 300 + (serial * 7919 + i * 31) % 600);
    }
    base_text_format(&body, "]}");
    base_text_format(&text,
                     "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                     "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                     body.length, body.data);
    dial(client, settings);
    client->begin = base_seconds();
    client->first = client->last = 0;
    client->answer.length = 0;
    client->asked++;
    if (send(client->handle, text.data, text.length, MSG_NOSIGNAL) != (ssize_t)text.length) {
        stop("a request could not be sent");
    }
    base_text_free(&body);
    base_text_free(&text);
}

static double number_after(const char *text, const char *name)
{
    const char *found = text ? strstr(text, name) : NULL;
    return found ? strtod(found + strlen(name), NULL) : -1;
}

/* The answer is whole. */
static void account(const struct client *client, const struct settings *settings,
                    struct totals *totals)
{
    const char *usage = strstr(client->answer.data, "\"usage\":{");
    const double tokens = number_after(usage, "\"completion_tokens\":");
    if (strncmp(client->answer.data, "HTTP/1.1 200", 12) != 0 || tokens != settings->tokens) {
        fprintf(stderr, "%.2000s\n", client->answer.data);
        stop("an answer is not what was asked for");
    }
    totals->tokens += settings->tokens;
    if (client->last > client->first) {
        totals->rate += (tokens - 1) / (client->last - client->first);
    }
    const double queued = number_after(usage, "\"queue_time\":");
    const double prompt = number_after(usage, "\"prompt_time\":");
    if (queued >= 0 && prompt >= 0) {
        totals->late[totals->late_count++] = client->first - client->begin - queued - prompt;
    }
}

static void wake_at(const struct client *client, int bytes)
{
    setsockopt(client->handle, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof bytes);
}

/* Some bytes have come; true: the answer is whole. */
static bool take(struct client *client, const struct settings *settings)
{
    char bytes[65536];
    const ssize_t got = recv(client->handle, bytes, sizeof bytes, 0);
    if (got == 0) {
        close(client->handle);
        return true;
    }
    if (got < 0) {
        stop("a stream broke");
    }
    const double now = base_seconds();
    const size_t before = BASE_MIN(client->answer.length, (size_t)16);
    base_text_append(&client->answer, bytes, (size_t)got);
    /* A piece is one or more whole events, but for where the server's buffers end. */
    const char *fresh = client->answer.data + client->answer.length - (size_t)got - before;
    client->last = now;
    if (client->first == 0 && strstr(fresh, "\"text\":\"")) {
        client->first = now;
        if (settings->away) {
            wake_at(client, AWAY_BYTES);
        }
    }
    return false;
}

static void run(struct client *clients, const struct settings *settings, struct totals *totals)
{
    struct pollfd polls[CLIENTS_MAX];
    uint32_t left = settings->clients;
    for (uint32_t i = 0; i < settings->clients; i++) {
        ask(&clients[i], settings, i);
        polls[i] = (struct pollfd){.fd = clients[i].handle, .events = POLLIN};
    }
    while (left > 0) {
        if (poll(polls, settings->clients, 120000) <= 0) {
            stop("no byte for two minutes");
        }
        for (uint32_t i = 0; i < settings->clients; i++) {
            if (!polls[i].revents || !take(&clients[i], settings)) {
                continue;
            }
            account(&clients[i], settings, totals);
            if (clients[i].asked < settings->requests) {
                ask(&clients[i], settings, i);
                polls[i].fd = clients[i].handle;
            } else {
                polls[i].fd = -1;
                left--;
            }
        }
    }
}

int main(int count, char **words)
{
    if (count < 7) {
        fprintf(stderr, "streams PORT MODEL CLIENTS REQUESTS PROMPT TOKENS [away]\n");
        return 2;
    }
    const struct settings settings = {.port = (uint16_t)strtoul(words[1], NULL, 10),
                                      .model = words[2],
                                      .clients = (uint32_t)strtoul(words[3], NULL, 10),
                                      .requests = (uint32_t)strtoul(words[4], NULL, 10),
                                      .prompt = (uint32_t)strtoul(words[5], NULL, 10),
                                      .tokens = (uint32_t)strtoul(words[6], NULL, 10),
                                      .away = count > 7};
    if (settings.clients == 0 || settings.clients > CLIENTS_MAX || settings.requests == 0 ||
        settings.prompt == 0 || settings.tokens == 0) {
        stop("1 to 256 clients, with a request, a token of prompt and a token of answer at least");
    }
    struct client *clients = calloc(settings.clients, sizeof *clients);
    struct totals totals = {
        .late = calloc((size_t)settings.clients * settings.requests, sizeof *totals.late)};
    if (!clients || !totals.late) {
        stop("no memory");
    }
    const double begin = base_seconds();
    run(clients, &settings, &totals);
    const double seconds = base_seconds() - begin;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"seconds\":%.6f,\"tokens\":%llu,\"decode_rate\":%.3f,\"client_seconds\":%.6f,"
           "\"late_ms\":[",
           seconds, (unsigned long long)totals.tokens, totals.rate / settings.requests,
           (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
               1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec));
    for (size_t i = 0; i < totals.late_count; i++) {
        printf("%s%.3f", i > 0 ? "," : "", 1e3 * totals.late[i]);
    }
    printf("]}\n");
    for (uint32_t i = 0; i < settings.clients; i++) {
        base_text_free(&clients[i].answer);
    }
    free(clients);
    free(totals.late);
    return 0;
}
