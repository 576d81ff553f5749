/* SPDX-License-Identifier: Apache-2.0
 *
 * `run` of a job: its listeners are served by this process's proxy until the job ends. */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent_job.h"
#include "src/base/log.h"

enum { SEND_MS = 2000 };

static int option(int fd, int name)
{
    int value = -1;
    socklen_t n = sizeof value;
    return getsockopt(fd, SOL_SOCKET, name, &value, &n) == 0 ? value : -1;
}

/* What the proxy would accept from must be what it was made for: a listening TCP socket. (In
 * which network namespace it is, is the job's own affair: it only ever lets out what is its.) */
static bool listens(int fd)
{
    return option(fd, SO_ACCEPTCONN) == 1 && option(fd, SO_TYPE) == SOCK_STREAM &&
           option(fd, SO_DOMAIN) == AF_INET && option(fd, SO_PROTOCOL) == IPPROTO_TCP;
}

static int go(struct kw_agent_job *j, struct kw_err *err)
{
    static struct kw_m_agent_go m; /* large */
    const struct kw_config *c = &j->config;
    const struct kw_session *s = &j->serving.session;
    m = (struct kw_m_agent_go){.cloud = c->cloud};
    (void)snprintf(m.ca_pem, sizeof m.ca_pem, "%s", s->proxy.ca_pem);
    (void)snprintf(m.token, sizeof m.token, "%s", kw_buf_str(&j->serving.decoy));
    (void)snprintf(m.region, sizeof m.region, "%s", c->region);
    (void)snprintf(m.tenancy, sizeof m.tenancy, "%s",
                   s->tenant[0] != '\0' ? s->tenant : c->tenancy);
    kw_decoy_project(c->service_account, m.project, sizeof m.project);
    (void)snprintf(m.email, sizeof m.email, "%s", c->service_account);
    (void)snprintf(m.profile, sizeof m.profile, "%s", c->profile);
    return kw_msg_send(&j->client, KW_AM_GO, &m, NULL, 0, SEND_MS, err);
}

/* END, or nonsense, or the connection's end: all of them are the job's end. */
static void hear_client(struct kw_agent_job *j)
{
    struct kw_in in;
    struct kw_err why;
    int r = kw_chan_recv(&j->client, &in, 0, &why);
    j->ended = true;
    j->orderly = r == 0 && in.type == KW_AM_END;
    if (!j->orderly)
        kw_log(KW_INFO, "%s", r != 0 ? why.text : "the job sent what it must not send now");
    kw_in_free(&in);
}

static int attend(struct kw_agent_job *j, struct kw_err *err)
{
    while (!j->ended) {
        struct pollfd own[3] = {{.fd = j->client.fd, .events = POLLIN},
                                {.fd = j->pidfd, .events = POLLIN},
                                {.fd = j->up.fd, .events = POLLIN}};
        int r = kw_serving_turn(&j->serving, own, 3, err);
        if (r != 0)
            return r;
        if (kw_interrupted() || own[2].revents != 0)
            return kw_fail(err, KW_NET, "the agent is being stopped");
        if (own[0].revents != 0)
            hear_client(j);
        else if (own[1].revents != 0)
            j->ended = true;
        kw_agent_job_tell(j);
    }
    return 0;
}

static int finish(struct kw_agent_job *j, struct kw_err *err)
{
    struct kw_m_proxy_closed p = {0};
    int r = kw_serving_end(&j->serving, &p, err);
    j->open = false;
    if (r != 0)
        return r;
    j->count.requests = p.requests;
    j->count.refusals = p.refusals;
    j->count.tunnels = p.tunnels;
    const struct kw_m_summary m = {.requests = p.requests,
                                   .refusals = p.refusals,
                                   .tunnels = p.tunnels,
                                   .replays = p.replays,
                                   .renewals = j->serving.renewals};
    return j->orderly ? kw_msg_send(&j->client, KW_AM_SUMMARY, &m, NULL, 0, SEND_MS, err) : 0;
}

int kw_agent_job_run(struct kw_agent_job *j, struct kw_in *in, struct kw_err *err)
{
    struct kw_m_run m;
    if (!kw_msg_get(&in->body, KW_AM_RUN, &m) || m.spki.len == 0)
        return kw_fail(err, KW_USAGE, "the job's RUN can't be read");
    if (!listens(in->fds[0]) || !listens(in->fds[1]))
        return kw_fail(err, KW_POLICY, "what the job gave to be served is no listening TCP socket");
    if (m.isolated == 0 && j->config.isolation == KW_ISOLATION_REQUIRED)
        return kw_fail(err, KW_POLICY,
                       "the agent serves isolated CMDs only: [run] isolation = required is in its "
                       "configuration");
    const struct kw_serve_want want = {.listeners = {in->fds[0], in->fds[1]},
                                       .metadata = m.metadata != 0,
                                       .explain = m.explain != 0,
                                       .spki = m.spki.p,
                                       .spki_len = m.spki.len,
                                       .event = kw_agent_job_event,
                                       .arg = j};
    j->explain = want.explain;
    int r = kw_agent_job_open(j, err);
    if (r == 0)
        r = kw_serving_begin(&j->serving, &want, err);
    for (unsigned i = 0; i < in->nfds; i++) { /* the proxy has them: with it they end */
        (void)close(in->fds[i]);
        in->fds[i] = -1;
    }
    if (r == 0)
        r = go(j, err);
    if (r == 0)
        r = attend(j, err);
    return r == 0 ? finish(j, err) : r;
}
