/* SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "src/agent/agent.h"
#include "src/base/io.h"
#include "src/crew/relay.h"

enum { CHUNK = 65536 };

/* main's ends of the two pipes, and what is under way. */
struct pump {
    struct kw_crew *crew;
    struct kw_child *exchanger;
    struct kw_client *agent; /* instead of a crew of our own */
    int body_fd;             /* source of the request body, -1: none or all given */
    int to, from;            /* our ends: written to, read from; -1: closed */
    uint64_t left;           /* of the request body */
    char out[CHUNK];         /* request bytes read but not yet taken by the pipe */
    size_t out_len, out_off;
    char in[CHUNK];
    bool handed, head, end;
    uint64_t got, length; /* body bytes received; as the exchanger counted */
    const struct kw_sink *sink;
    int64_t deadline;
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

/* Moves what the pipe takes of the request body. A peer that doesn't want the rest
 * (EPIPE) will say why on its channel. */
static int push(struct pump *p, struct kw_err *err)
{
    if (p->out_off == p->out_len && p->left > 0) {
        size_t want = p->left < CHUNK ? (size_t)p->left : CHUNK;
        ssize_t n = read(p->body_fd, p->out, want);
        if (n < 0 && errno == EINTR)
            return 0;
        if (n < 0)
            return kw_fail_errno(err, KW_FAILED, "could not read the request body");
        if (n == 0)
            return kw_fail(err, KW_FAILED,
                           "the request body became shorter while it was sent; nothing of it was "
                           "accepted");
        p->out_off = 0;
        p->out_len = (size_t)n;
        p->left -= (uint64_t)n;
    }
    ssize_t n = write(p->to, p->out + p->out_off, p->out_len - p->out_off);
    if (n >= 0)
        p->out_off += (size_t)n;
    else if (errno == EPIPE)
        p->left = p->out_len = p->out_off = 0;
    else if (errno != EAGAIN && errno != EINTR)
        return kw_fail_errno(err, KW_FAILED, "could not hand the request body over");
    if (p->out_off == p->out_len && p->left == 0)
        close_fd(&p->to);
    return 0;
}

static int pull(struct pump *p, struct kw_err *err)
{
    ssize_t n = read(p->from, p->in, sizeof p->in);
    if (n > 0) {
        p->got += (uint64_t)n;
        return p->sink->data(p->sink->arg, p->in, (size_t)n, err);
    }
    if (n == 0)
        close_fd(&p->from);
    else if (errno != EAGAIN && errno != EINTR)
        return kw_fail_errno(err, KW_FAILED, "could not take the answer's body");
    return 0;
}

static int take_message(struct pump *p, struct kw_err *err)
{
    struct kw_in in;
    struct kw_m_head head;
    struct kw_m_end end;
    bool agent = p->agent != NULL;
    int r = agent ? kw_client_recv(p->agent, &in, kw_now_ms(), err)
                  : kw_child_recv(p->exchanger, &in, p->deadline, err);
    if (r == 0 && in.type == (agent ? KW_AM_HEAD : KW_XM_HEAD) &&
        kw_msg_get_shown(&in.body, in.type, &head)) {
        p->head = true;
        r = p->sink->begin(p->sink->arg, &head, err);
    } else if (r == 0 && in.type == (agent ? KW_AM_DONE : KW_XM_END) &&
               kw_msg_get_shown(&in.body, in.type, &end)) {
        p->end = true;
        p->length = end.body_len;
    } else if (r == 0 &&
               in.type != KW_MSG_NONE) /* NONE: a subject token was asked for, and given */
        r = kw_fail(err, KW_FAILED, "the %s sent an unexpected message",
                    agent ? "agent" : "exchanger");
    kw_in_free(&in);
    return r;
}

/* Nobody waits for the keeper or the dialer now: that one of them has gone shows by its
 * channel only. What it has to say, or how it ended, is the news. */
static int hear(struct kw_child *gone, int64_t deadline, struct kw_err *err)
{
    struct kw_in in;
    int r = kw_child_recv(gone, &in, deadline, err);
    kw_in_free(&in);
    return r;
}

/* One turn of the loop. The body is only read once its head is here: HEAD comes by
 * another way than the body and could else be overtaken. */
static int turn(struct pump *p, struct kw_err *err)
{
    struct pollfd fds[7] = {
        {.fd = p->end             ? -1
               : p->agent != NULL ? p->agent->chan.fd
                                  : p->exchanger->ctl.fd,
         .events = POLLIN},
        {.fd = p->to, .events = POLLOUT},
        {.fd = p->head ? p->from : -1, .events = POLLIN},
        {.fd = kw_signal_fd(), .events = POLLIN},
        {.fd = kw_relay_fd(), .events = POLLIN},
        /* an end is told without asking */
        {.fd = p->crew != NULL ? p->crew->keeper.ctl.fd : -1},
        {.fd = p->crew != NULL ? p->crew->dialer.ctl.fd : -1},
    };
    int n = poll(fds, 7, kw_left_ms(p->deadline));
    if (n < 0)
        return errno == EINTR ? 0 : kw_fail_errno(err, KW_FAILED, "could not wait");
    if (fds[3].revents != 0)
        kw_signal_take();
    if (kw_interrupted())
        return kw_fail(err, KW_FAILED, "interrupted");
    /* Also while bytes still come: an exchanger in foreign hands could send for ever. */
    if (n == 0 || kw_left_ms(p->deadline) == 0)
        return kw_fail(err, KW_NET, "no complete answer in time ([dial] timeout)");
    if (fds[4].revents != 0)
        kw_relay_take();
    int r = 0;
    if (fds[5].revents != 0)
        r = hear(&p->crew->keeper, p->deadline, err);
    if (r == 0 && fds[6].revents != 0)
        r = hear(&p->crew->dialer, p->deadline, err);
    if (r == 0 && fds[2].revents != 0)
        r = pull(p, err);
    if (r == 0 && fds[1].revents != 0)
        r = push(p, err);
    if (r == 0 && fds[0].revents != 0)
        r = take_message(p, err);
    return r;
}

static int run_pump(struct pump *p, struct kw_err *err)
{
    int r = 0;
    while (r == 0 && (!p->end || p->from >= 0))
        r = turn(p, err);
    if (r == 0 && p->got != p->length)
        r = kw_fail(err, KW_NET, "the answer was cut short: %llu bytes came of %llu",
                    (unsigned long long)p->got, (unsigned long long)p->length);
    return r;
}

static int hand_over(struct pump *p, const struct kw_m_call *m, const int give[2],
                     struct kw_err *err)
{
    return p->agent != NULL ? kw_client_send(p->agent, KW_AM_CALL, m, give, 2, err)
                            : kw_child_send(p->exchanger, KW_XM_CALL, m, give, 2, err);
}

static int call(struct pump *p, const char *method, const char *url, const char *headers,
                const struct kw_body *body, struct kw_err *err)
{
    struct kw_m_call m = {.has_body = body->fd >= 0, .body_len = body->len};
    if ((size_t)snprintf(m.method, sizeof m.method, "%s", method) >= sizeof m.method ||
        (size_t)snprintf(m.url, sizeof m.url, "%s", url) >= sizeof m.url ||
        (size_t)snprintf(m.headers, sizeof m.headers, "%s", headers) >= sizeof m.headers)
        return kw_fail(err, KW_USAGE, "method, URL or headers are too long");
    (void)snprintf(m.body_sha256, sizeof m.body_sha256, "%s", body->sha256);
    int up[2], down[2];
    if (pipe2(up, O_CLOEXEC) != 0)
        return kw_fail_errno(err, KW_FAILED, "could not make a pipe");
    if (pipe2(down, O_CLOEXEC) != 0) {
        int r = kw_fail_errno(err, KW_FAILED, "could not make a pipe");
        (void)close(up[0]);
        (void)close(up[1]);
        return r;
    }
    p->body_fd = body->fd;
    p->left = body->len;
    p->to = up[1];
    p->from = down[0];
    (void)fcntl(p->to, F_SETFL, O_NONBLOCK);
    (void)fcntl(p->from, F_SETFL, O_NONBLOCK);
    const int give[2] = {up[0], down[1]};
    int r = hand_over(p, &m, give, err);
    (void)close(up[0]);
    (void)close(down[1]);
    if (p->left == 0)
        close_fd(&p->to);
    p->handed = r == 0;
    if (r == 0)
        r = run_pump(p, err);
    close_fd(&p->to);
    close_fd(&p->from);
    explicit_bzero(p->out, sizeof p->out);
    explicit_bzero(p->in, sizeof p->in);
    return r;
}

static struct pump pump; /* large; one call at a time */

int kw_call(struct kw_session *s, const char *method, const char *url, const char *headers,
            const struct kw_body *body, const struct kw_sink *sink, struct kw_err *err)
{
    pump = (struct pump){.crew = &s->crew,
                         .exchanger = &s->crew.exchanger,
                         .sink = sink,
                         .deadline = kw_deadline(s->config)};
    int r = call(&pump, method, url, headers, body, err);
    if (r != 0 && pump.handed && !pump.end && kw_interrupted())
        s->crew.exchanger.owes = true;
    return r != 0 && r != KW_USAGE ? kw_crew_reason(&s->crew, pump.deadline, r, err) : r;
}

int kw_call_by_agent(struct kw_client *k, const char *method, const char *url, const char *headers,
                     const struct kw_body *body, const struct kw_sink *sink, struct kw_err *err)
{
    /* The session has to come about first, in the agent's time; then the call has its own. */
    pump = (struct pump){.agent = k,
                         .sink = sink,
                         .deadline = kw_deadline(k->config) + (int64_t)k->config->timeout_s * 2000};
    return call(&pump, method, url, headers, body, err);
}
