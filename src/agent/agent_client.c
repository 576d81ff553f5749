/* SPDX-License-Identifier: Apache-2.0
 *
 * A job's side of the agent's protocol. */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent.h"
#include "src/base/log.h"
#include "src/session/fetch.h"
#include "src/session/session.h"

enum { SEND_MS = 5000 };

static int connect_to(const char *path, uint32_t timeout_s, int *ret_fd, struct kw_err *err)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    *ret_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (*ret_fd < 0)
        return kw_fail_errno(err, KW_FAILED, "could not make a socket");
    /* An agent that takes no more would be waited for without an end, and signals are blocked. */
    const struct timeval patience = {.tv_sec = (time_t)timeout_s};
    (void)setsockopt(*ret_fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(*ret_fd, (const struct sockaddr *)&a, sizeof a) == 0)
        return 0;
    int r = errno == EAGAIN || errno == ECONNREFUSED || errno == ENOENT
                ? kw_fail_errno(err, KW_NET,
                                "no agent answers at %s ([agent] socket); is it running "
                                "(systemctl status keyward-agent)?",
                                path)
            : errno == EACCES
                ? kw_fail(err, KW_FAILED,
                          "this user may not use the agent's socket %s: its group may (systemd's "
                          "unit has keyward: usermod -aG keyward USER, and log in again)",
                          path)
                : kw_fail_errno(err, KW_FAILED, "the agent's socket %s ([agent] socket)", path);
    (void)close(*ret_fd);
    *ret_fd = -1;
    return r;
}

/* A token for the agent, from this job's own [source]. One that can't be had is told as an
 * empty one, with the reason here: the agent ends the exchange, and we say why. */
static int answer_ask(struct kw_client *k, struct kw_err *err)
{
    struct kw_m_subject m = {NULL};
    char chosen[256];
    struct kw_err why;
    const struct kw_source_ways ways = kw_ways_alone(k->config, true);
    int had = kw_source_get(k->config, &ways, chosen, sizeof chosen, &m.token, &why);
    int r = kw_client_send(k, KW_AM_SUBJECT, &m, NULL, 0, err);
    kw_secret_free(&m.token);
    if (had != 0)
        *err = why;
    return had != 0 ? had : r;
}

static int wait_for(const struct kw_client *k, int64_t deadline_ms, struct kw_err *err)
{
    for (;;) {
        struct pollfd p[2] = {{.fd = k->chan.fd, .events = POLLIN},
                              {.fd = kw_signal_fd(), .events = POLLIN}};
        int n = poll(p, 2, kw_left_ms(deadline_ms));
        if (n < 0 && errno != EINTR)
            return kw_fail_errno(err, KW_FAILED, "could not wait for the agent");
        if (n > 0 && p[1].revents != 0)
            kw_signal_take();
        if (kw_interrupted())
            return kw_fail(err, KW_FAILED, "interrupted");
        if (n > 0 && p[0].revents != 0)
            return 0;
        if (kw_left_ms(deadline_ms) == 0)
            return kw_fail(err, KW_NET, "no answer from the agent in time ([dial] timeout)");
    }
}

int kw_client_recv(struct kw_client *k, struct kw_in *in, int64_t deadline_ms, struct kw_err *err)
{
    struct kw_m_error e;
    bool asked = false;
    *in = (struct kw_in){.type = KW_MSG_NONE, .fds = {-1, -1}};
    for (;;) {
        int r = wait_for(k, deadline_ms, err);
        if (r == KW_NET && asked)
            return 0;
        if (r == 0)
            r = kw_chan_recv(&k->chan, in, 0, err);
        if (r != 0) {
            kw_in_free(in);
            return r;
        }
        if (in->type == KW_MSG_ERROR)
            break;
        if (in->type != KW_AM_ASK)
            return 0;
        kw_in_free(in);
        asked = true;
        r = answer_ask(k, err);
        if (r != 0)
            return r;
    }
    bool good =
        kw_msg_get_shown(&in->body, in->type, &e) && e.code != KW_OK && e.code <= KW_SANDBOX;
    kw_in_free(in);
    return good ? kw_fail(err, (enum kw_exit)e.code, "agent: %s", e.text)
                : kw_fail(err, KW_FAILED, "malformed error message from the agent");
}

int kw_client_send(struct kw_client *k, enum kw_msg type, const void *m, const int *fds,
                   unsigned nfds, struct kw_err *err)
{
    struct kw_err why;
    struct kw_in in;
    int r = kw_msg_send(&k->chan, type, m, fds, nfds, SEND_MS, err);
    /* It may have said why before it went. */
    if (r == KW_FAILED && kw_client_recv(k, &in, kw_now_ms(), &why) != 0 && why.code != KW_NET) {
        kw_in_free(&in);
        *err = why;
    }
    return r != 0 ? (int)err->code : 0;
}

void kw_client_close(struct kw_client *k)
{
    if (k->chan.fd >= 0)
        (void)close(k->chan.fd);
    k->chan.fd = -1;
}

static int greet(struct kw_client *k, enum kw_agent_want want, const char *host, bool json,
                 struct kw_err *err)
{
    const struct kw_config *c = k->config;
    struct kw_m_hello m = {
        .protocol = KW_AGENT_PROTOCOL, .want = want, .cloud = c->cloud, .json = json};
    (void)snprintf(m.profile, sizeof m.profile, "%s", c->agent_profile);
    (void)snprintf(m.host, sizeof m.host, "%s", host);
    int fd = -1;
    kw_signal_watch();
    int r = connect_to(c->agent_socket, c->timeout_s, &fd, err);
    kw_chan_init(&k->chan, KW_CHAN_AGENT, KW_ROLE_CLIENT, fd);
    return r == 0 ? kw_client_send(k, KW_AM_HELLO, &m, NULL, 0, err) : r;
}

int kw_client_open(struct kw_client *k, struct kw_config *c, enum kw_agent_want want,
                   const char *host, struct kw_err *err)
{
    struct kw_in in;
    *k = (struct kw_client){.config = c, .chan.fd = -1};
    int r = greet(k, want, host, false, err);
    /* It may have to log in and make a key first, and others may be before us. */
    if (r == 0)
        r = kw_client_recv(k, &in, kw_deadline(c), err);
    if (r != 0)
        goto out;
    if (in.type != KW_AM_WELCOME || !kw_msg_get_shown(&in.body, in.type, &k->welcome))
        r = kw_fail(err, KW_FAILED, "the agent sent something else than a welcome");
    kw_in_free(&in);
    /* The audience is the target's, which the agent knows; [source] audience goes before it. */
    if (r == 0 && c->source_audience[0] == '\0')
        (void)snprintf(c->source_audience, sizeof c->source_audience, "%s", k->welcome.audience);
    if (r == 0)
        c->cloud = (enum kw_cloud)k->welcome.cloud;
out:
    if (r != 0)
        kw_client_close(k);
    return r;
}

int kw_client_print(struct kw_config *c, enum kw_agent_want want, bool json, struct kw_err *err)
{
    static struct kw_m_text m; /* large */
    struct kw_client k = {.config = c, .chan.fd = -1};
    int r = greet(&k, want, "", json, err);
    m.more = 1;
    while (r == 0 && m.more != 0) {
        struct kw_in in;
        r = kw_client_recv(&k, &in, kw_deadline(c), err);
        if (r == 0 && (in.type != KW_AM_TEXT || !kw_msg_get_shown(&in.body, in.type, &m)))
            r = kw_fail(err, KW_FAILED, "the agent sent something else than text");
        kw_in_free(&in);
        if (r == 0)
            (void)fputs(m.text, stdout);
    }
    kw_client_close(&k);
    return r;
}
