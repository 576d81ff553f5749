/* SPDX-License-Identifier: Apache-2.0
 *
 * The dialer as main and exchanger can treat it: every message of theirs in any order
 * (peers.h). Channels: main, exchanger; the third is what a server says first, connection
 * by connection (a proxy's answer to CONNECT). Every address answers. Fences and the
 * resolver's thread are left out. fuzz_dialer_pool.c is the same with `run`'s proxy for a peer. */
#include <arpa/inet.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>

#include "peers.h"
#include "src/base/log.h"

static struct peers peers;

int dialer_main(int argc, char **argv);
#define main dialer_main
#ifdef KW_FUZZ_POOL
#define KW_FD_PROXY peers.fds[2]
#endif
#include "src/dialer/dialer.c"
#undef main

int __wrap_kw_resolver_start(struct kw_err *err);
int __wrap_kw_resolver_start(struct kw_err *err)
{
    (void)err;
    return 0;
}

/* Every name has two addresses, but that of nobody. */
int __wrap_kw_resolver_ask(const char *host, uint32_t port, int64_t deadline_ms,
                           struct addrinfo **ret, struct kw_err *err);
int __wrap_kw_resolver_ask(const char *host, uint32_t port, int64_t deadline_ms,
                           struct addrinfo **ret, struct kw_err *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICSERV | AI_NUMERICHOST};
    char service[16];
    (void)deadline_ms;
    (void)snprintf(service, sizeof service, "%u", (unsigned)port);
    if (strcmp(host, "nobody") == 0 ||
        getaddrinfo(host[0] == 'v' ? "::1" : "127.0.0.1", service, &hints, ret) != 0)
        return kw_fail(err, KW_NET, "could not resolve %s", host);
    return 0;
}

/* One end of a pair; the other has said what the input says, and gone. */
int __wrap_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol)
{
    int pair[2];
    (void)domain, (void)protocol;
    struct kw_view v = kw_get_blob(&peers.side, 65536);
    if (socketpair(AF_UNIX, type, 0, pair) != 0)
        return -1;
    (void)send(pair[1], v.p, v.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)close(pair[1]);
    return pair[0];
}

/* The last port is one where nobody listens, the one before is slow. */
int __wrap_connect(int fd, const struct sockaddr *a, socklen_t n);
int __wrap_connect(int fd, const struct sockaddr *a, socklen_t n)
{
    uint16_t port; /* at the same place in both families */
    (void)fd, (void)n;
    memcpy(&port, (const char *)a + 2, sizeof port);
    errno = ntohs(port) == 65535 ? ECONNREFUSED : EINPROGRESS;
    return ntohs(port) >= 65534 ? -1 : 0;
}

#ifdef KW_FUZZ_POOL
#define pthread_create no_thread
static int no_thread(pthread_t *t, const pthread_attr_t *a, void *(*body)(void *), void *arg)
{
    (void)t, (void)a, (void)body, (void)arg;
    return fault_now() ? EAGAIN : 0;
}
#include "src/dialer/dialer_pool.c"

/* What its threads would do: whenever there is nothing else to do. */
static unsigned questions;
static void answer_all(void)
{
    static bool at_it;
    if (at_it)
        return;
    at_it = true;
    for (; waiting > 0; questions++)
        dial_next();
    at_it = false;
}

static void idle(bool for_ever)
{
    answer_all();
    peers_idle(for_ever);
}
static const enum kw_channel chans[] = {KW_CHAN_DIALER, KW_CHAN_DIAL, KW_CHAN_PDIAL};
#else
static const enum kw_channel chans[] = {KW_CHAN_DIALER, KW_CHAN_DIAL};
#define idle peers_idle
#endif
enum { CHANS = sizeof chans / sizeof chans[0] };

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static struct kw_m_dialer_start c;
    struct kw_chan ctl, exchangers;
    struct kw_err err = {0};
    fault_seed(data, &size);
    fault_no_waiting(idle);
    peers_begin(&peers, KW_ROLE_DIALER, chans, CHANS, data, size);
    /* The dialer closes a channel that can't be understood: its copy. */
    int copy = dup(peers.fds[1]);
    must(copy >= 0);
    kw_chan_init(&ctl, KW_CHAN_DIALER, KW_ROLE_DIALER, peers.fds[0]);
    kw_chan_init(&exchangers, KW_CHAN_DIAL, KW_ROLE_DIALER, copy);
#ifdef KW_FUZZ_POOL
    first = waiting = 0;
    questions = 0;
#endif
    fault_begin();
    int r = start(&ctl, &c, CHANS == 3, &err);
    if (r == 0)
        r = serve_all(&ctl, &exchangers, CHANS == 3, &c, &err);
    must(r <= 0 || err.text[0] != '\0');
    if (r > 0)
        kw_msg_send_error(&ctl, &err);
#ifdef KW_FUZZ_POOL
    answer_all();
#endif
    (void)fault_end();
    (void)close(copy); /* if it is still there: nothing else was opened since */
    for (size_t i = 0; i < CHANS; i++)
        (void)close(peers.fds[i]);
    peers_end(&peers);
#ifdef KW_FUZZ_POOL /* one answer for each question, where there is somebody to hear it */
    must(peers.heard[2] <= questions);
#endif
    return 0;
}
