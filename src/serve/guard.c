/*
 * The guard: a thread that sees what the HTTP library does not look at. It ends calls whose client
 * has hung up while they wait for tokens, and connections whose request does not arrive in time
 * (a byte now and then keeps the library's own clock from running out).
 */
#include "serve/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define TICK_MILLISECONDS 250

static struct serve_connection *find(struct serve_guard *guard, uint64_t serial)
{
    struct serve_connection *connection = guard->connections;
    while (connection && connection->serial != serial) {
        connection = connection->next;
    }
    return connection;
}

static void shut_late(struct serve_guard *guard)
{
    const double now = base_seconds();
    for (struct serve_connection *at = guard->connections; at; at = at->next) {
        if (at->deadline > 0 && now > at->deadline) {
            shutdown(at->descriptor, SHUT_RDWR);
            at->deadline = 0;
        }
    }
}

static void *watch(void *user)
{
    struct serve_guard *guard = user;
    struct epoll_event events[64];
    bool stop = false;
    while (!stop) {
        const int count = epoll_wait(guard->epoll, events, BASE_COUNT(events), TICK_MILLISECONDS);
        pthread_mutex_lock(&guard->lock);
        stop = guard->stop;
        for (int i = 0; i < count; i++) {
            struct serve_connection *connection = find(guard, events[i].data.u64);
            if (connection && connection->waiting) {
                serve_call_gone(connection->waiting);
            }
        }
        shut_late(guard);
        pthread_mutex_unlock(&guard->lock);
    }
    return NULL;
}

enum takt_status serve_guard_start(struct serve_guard *guard, struct takt_error *error)
{
    *guard = (struct serve_guard){.epoll = epoll_create1(EPOLL_CLOEXEC),
                                  .wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    pthread_mutex_init(&guard->lock, NULL);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0};
    if (guard->epoll < 0 || guard->wake < 0 ||
        epoll_ctl(guard->epoll, EPOLL_CTL_ADD, guard->wake, &event) != 0 ||
        pthread_create(&guard->thread, NULL, watch, guard) != 0) {
        return base_fail(error, TAKT_IO, "serve: no guard of connections: %s", strerror(errno));
    }
    guard->runs = true;
    return TAKT_OK;
}

void serve_guard_stop(struct serve_guard *guard)
{
    if (guard->runs) {
        const uint64_t one = 1;
        pthread_mutex_lock(&guard->lock);
        guard->stop = true;
        pthread_mutex_unlock(&guard->lock);
        if (write(guard->wake, &one, sizeof one) != (ssize_t)sizeof one) {
            /* it wakes by itself within a tick */
        }
        pthread_join(guard->thread, NULL);
    }
    if (guard->epoll > 0) {
        close(guard->epoll);
        close(guard->wake);
    }
    *guard = (struct serve_guard){.epoll = -1, .wake = -1};
}

void serve_guard_add(struct serve_guard *guard, struct serve_connection *connection, double seconds)
{
    pthread_mutex_lock(&guard->lock);
    connection->serial = ++guard->serials;
    connection->deadline = base_seconds() + seconds;
    connection->previous = NULL;
    connection->next = guard->connections;
    if (connection->next) {
        connection->next->previous = connection;
    }
    guard->connections = connection;
    pthread_mutex_unlock(&guard->lock);
}

void serve_guard_remove(struct serve_guard *guard, struct serve_connection *connection)
{
    pthread_mutex_lock(&guard->lock);
    if (connection->next) {
        connection->next->previous = connection->previous;
    }
    if (connection->previous) {
        connection->previous->next = connection->next;
    } else {
        guard->connections = connection->next;
    }
    pthread_mutex_unlock(&guard->lock);
}

void serve_guard_deadline(struct serve_guard *guard, struct serve_connection *connection,
                          double seconds)
{
    pthread_mutex_lock(&guard->lock);
    connection->deadline = seconds > 0 ? base_seconds() + seconds : 0;
    pthread_mutex_unlock(&guard->lock);
}

void serve_guard_watch(struct serve_guard *guard, struct serve_connection *connection,
                       struct serve_call *call)
{
    pthread_mutex_lock(&guard->lock);
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLONESHOT,
                                .data.u64 = connection->serial};
    if (call) {
        connection->waiting = call;
        epoll_ctl(guard->epoll, EPOLL_CTL_ADD, connection->descriptor, &event);
    } else if (connection->waiting) {
        connection->waiting = NULL;
        epoll_ctl(guard->epoll, EPOLL_CTL_DEL, connection->descriptor, NULL);
    }
    pthread_mutex_unlock(&guard->lock);
}
