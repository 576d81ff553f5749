/* SPDX-License-Identifier: Apache-2.0
 *
 * The system's resolver, within a deadline. What NSS modules do can't be bounded in
 * time, so one thread asks, and the dialer waits for it as long as it has time. An
 * answer that comes too late is thrown away; until it came, others wait their turn. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "dialer_connect.h"
#include "policy/limits.h"
#include "src/base/memory.h"

enum state { FREE, ASKED, ANSWERED };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed; /* on the monotonic clock: made by kw_resolver_start() */
static bool started, ready, abandoned;
static enum state state;
static char asked_host[KW_HOST], asked_port[8];
static struct addrinfo *list;
static int result, error;

static void *work(void *arg)
{
    (void)arg;
    /* Capabilities belong to threads: the lock of the main one does not take ours. */
    struct kw_err err;
    bool bare = kw_limits_capabilities(0, &err) == 0;
    (void)pthread_mutex_lock(&lock);
    ready = bare;
    if (!bare) {
        (void)pthread_mutex_unlock(&lock);
        return NULL;
    }
    for (;;) {
        while (state != ASKED)
            (void)pthread_cond_wait(&changed, &lock);
        const struct addrinfo hints = {
            .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP, .ai_flags = AI_NUMERICSERV};
        struct addrinfo *found = NULL;
        char host[sizeof asked_host], port[sizeof asked_port];
        memcpy(host, asked_host, sizeof host);
        memcpy(port, asked_port, sizeof port);
        (void)pthread_mutex_unlock(&lock);
        int r = getaddrinfo(host, port, &hints, &found);
        int e = errno;
        (void)pthread_mutex_lock(&lock);
        if (abandoned && r == 0)
            freeaddrinfo(found);
        result = r;
        error = e;
        list = r == 0 && !abandoned ? found : NULL;
        state = abandoned ? FREE : ANSWERED;
        abandoned = false;
        (void)pthread_cond_broadcast(&changed);
    }
}

int kw_resolver_start(struct kw_err *err)
{
    pthread_t thread;
    pthread_attr_t attr;
    pthread_condattr_t clock;
    if (started)
        return 0;
    (void)pthread_condattr_init(&clock);
    (void)pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&changed, &clock);
    (void)pthread_condattr_destroy(&clock);
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int r = pthread_create(&thread, &attr, work, NULL);
    (void)pthread_attr_destroy(&attr);
    if (r != 0)
        return kw_fail(err, KW_FAILED, "could not start the resolver's thread: %s", strerror(r));
    started = true;
    return 0;
}

static struct timespec until_ms(int64_t ms)
{
    return (struct timespec){.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
}

static bool is_number(const char *host, uint32_t port, struct addrinfo **ret)
{
    char text[8];
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_protocol = IPPROTO_TCP,
                                   .ai_flags = AI_NUMERICSERV | AI_NUMERICHOST};
    (void)snprintf(text, sizeof text, "%u", (unsigned)port);
    return getaddrinfo(host, text, &hints, ret) == 0;
}

/* Waits, with the lock held, until the state is `want`; false at the deadline. */
static bool await_state(enum state want, int64_t deadline_ms)
{
    const struct timespec until = until_ms(deadline_ms);
    for (int r = 0; state != want && r != ETIMEDOUT;)
        r = pthread_cond_timedwait(&changed, &lock, &until);
    return state == want;
}

static int ask(const char *host, uint32_t port, int64_t deadline_ms, struct addrinfo **ret,
               struct kw_err *err)
{
    if (!await_state(FREE, deadline_ms))
        return kw_fail(err, KW_NET, "could not resolve %s: the system's resolver hangs", host);
    (void)snprintf(asked_host, sizeof asked_host, "%s", host);
    (void)snprintf(asked_port, sizeof asked_port, "%u", (unsigned)port);
    state = ASKED;
    (void)pthread_cond_broadcast(&changed);
    if (!await_state(ANSWERED, deadline_ms)) {
        abandoned = true;
        return kw_fail(err, KW_NET, "could not resolve %s: %s", host,
                       ready ? "the system's resolver gave no answer in time; is the name server "
                               "reachable?"
                             : "the resolver's thread could not give up its privileges");
    }
    *ret = list;
    list = NULL;
    state = FREE;
    (void)pthread_cond_broadcast(&changed);
    if (result == EAI_SYSTEM)
        return kw_fail(err, KW_NET, "could not resolve %s: %s", host, strerror(error));
    if (result == EAI_MEMORY)
        kw_memory_none();
    if (result != 0)
        return kw_fail(err, KW_NET, "could not resolve %s: %s", host, gai_strerror(result));
    return 0;
}

int kw_resolver_ask(const char *host, uint32_t port, int64_t deadline_ms, struct addrinfo **ret,
                    struct kw_err *err)
{
    /* One question at a time: an answer is whoever's asked. */
    static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
    const struct timespec until = until_ms(deadline_ms);
    *ret = NULL;
    if (is_number(host, port, ret)) /* needs nobody's answer */
        return 0;
    int r = kw_resolver_start(err);
    if (r != 0)
        return r;
    if (pthread_mutex_clocklock(&turn, CLOCK_MONOTONIC, &until) != 0)
        return kw_fail(err, KW_NET, "could not resolve %s: the system's resolver is busy", host);
    (void)pthread_mutex_lock(&lock);
    r = ask(host, port, deadline_ms, ret, err);
    (void)pthread_mutex_unlock(&lock);
    (void)pthread_mutex_unlock(&turn);
    return r;
}
