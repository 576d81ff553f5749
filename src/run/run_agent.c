/* SPDX-License-Identifier: Apache-2.0
 *
 * `run` with the agent's session: CMD, its namespaces and listeners are made here, by the user
 * whose job it is; who serves the listeners is the agent's. The connection is what binds them:
 * if either end goes, the other ends. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "run.h"
#include "run_child.h"
#include "src/agent/agent.h"

struct running {
    const struct kw_run *run;
    struct kw_client client;
    struct kw_launch launch;
    int64_t started_ms;
};

static int send_run(struct running *r, struct kw_err *err)
{
    struct kw_launch *l = &r->launch;
    const struct kw_m_run m = {.metadata = l->metadata,
                               .explain = r->run->explain,
                               .isolated = l->isolated,
                               .spki = {l->spki, l->spki_len}};
    int fds[2] = {l->listeners[0], l->listeners[1]};
    int spare = -1;
    if (fds[1] < 0) /* the message carries two: without a metadata service the second is spare */
        fds[1] = spare = dup(fds[0]);
    int result = kw_client_send(&r->client, KW_AM_RUN, &m, fds, 2, err);
    if (spare >= 0)
        (void)close(spare);
    for (int i = 0; i < 2; i++) { /* theirs now: when they close them, CMD shall notice */
        if (l->listeners[i] >= 0)
            (void)close(l->listeners[i]);
        l->listeners[i] = -1;
    }
    return result;
}

/* The next message; events are shown meanwhile. 0: *in is something else. */
static int next(struct running *r, struct kw_in *in, int64_t deadline, struct kw_err *err)
{
    static struct kw_m_event e; /* large */
    for (;;) {
        int result = kw_client_recv(&r->client, in, deadline, err);
        if (result != 0 || in->type != KW_AM_EVENT)
            return result;
        if (kw_msg_get_shown(&in->body, in->type, &e))
            kw_run_show(r->run->explain, &e);
        kw_in_free(in);
    }
}

static int go(struct running *r, int *ret_code, struct kw_err *err)
{
    static struct kw_m_agent_go m; /* large */
    struct kw_in in;
    /* The exchange has the time that it would have here, and what it waits for, too. */
    int result =
        next(r, &in, kw_deadline(r->run->config) + (int64_t)r->run->config->timeout_s * 1000, err);
    if (result == 0 && (in.type != KW_AM_GO || !kw_msg_get_shown(&in.body, in.type, &m)))
        result = kw_fail(err, KW_FAILED, "the agent sent something else than leave to begin");
    kw_in_free(&in);
    if (result != 0)
        return result;
    const struct kw_launch_decoys d = {.cloud = (enum kw_cloud)m.cloud,
                                       .ca_pem = m.ca_pem,
                                       .token = m.token,
                                       .region = m.region,
                                       .tenancy = m.tenancy,
                                       .user = "keyward-run",
                                       .project = m.project,
                                       .email = m.email,
                                       .profile = m.profile};
    return kw_launch_go(&r->launch, &d, ret_code, err);
}

static int begin(struct running *r, int *ret_code, struct kw_err *err)
{
    int result = kw_run_launched(&r->launch, kw_deadline(r->run->config), err);
    if (result == 0)
        result = send_run(r, err);
    return result == 0 ? go(r, ret_code, err) : result;
}

/* What the agent says while CMD runs: events, a wish for a fresh JWT; its end is an error. */
static int hear(struct running *r, struct kw_err *err)
{
    static struct kw_m_event e; /* large */
    struct kw_in in;
    int result = kw_client_recv(&r->client, &in, kw_now_ms(), err);
    if (result == 0 && in.type == KW_AM_EVENT && kw_msg_get_shown(&in.body, in.type, &e))
        kw_run_show(r->run->explain, &e);
    else if (result == 0 && in.type != KW_MSG_NONE) /* NONE: a JWT was asked for, and given */
        result = kw_fail(err, KW_FAILED, "the agent sent what it must not send now");
    kw_in_free(&in);
    return result;
}

static int turn(void *arg, struct kw_err *err)
{
    struct running *r = arg;
    struct pollfd p[2] = {{.fd = kw_signal_fd(), .events = POLLIN},
                          {.fd = r->client.chan.fd, .events = POLLIN}};
    if (poll(p, 2, -1) < 0)
        return errno == EINTR ? 0 : kw_fail_errno(err, KW_FAILED, "could not wait");
    if (p[0].revents != 0)
        kw_signal_take();
    else if (p[1].revents != 0)
        return hear(r, err);
    return 0;
}

static int finish(struct running *r, struct kw_err *err)
{
    struct kw_m_summary m = {0};
    struct kw_in in;
    int result = kw_client_send(&r->client, KW_AM_END, NULL, NULL, 0, err);
    if (result == 0)
        result = next(r, &in, kw_deadline(r->run->config), err);
    if (result != 0)
        return result;
    if (in.type == KW_AM_SUMMARY && kw_msg_get_shown(&in.body, in.type, &m)) {
        const struct kw_m_proxy_closed p = {m.requests, m.refusals, m.tunnels, m.replays};
        kw_run_summary(r->run, (enum kw_cloud)r->client.welcome.cloud, &p, m.renewals,
                       r->started_ms);
    } else {
        result = kw_fail(err, KW_FAILED, "the agent sent something else than its summary");
    }
    kw_in_free(&in);
    return result;
}

int kw_run_by_agent(const struct kw_run *run, int *ret_code, struct kw_err *err)
{
    static struct running r; /* large */
    r = (struct running){.run = run, .client.chan.fd = -1, .started_ms = kw_now_ms()};
    *ret_code = KW_RUN_FAILED;
    int result = kw_run_launch(&run->want, &r.launch, err);
    if (result == 0)
        result = kw_client_open(&r.client, run->config, KW_WANT_RUN, "", err);
    if (result == 0)
        result = begin(&r, ret_code, err);
    if (result == 0)
        result = kw_run_attend(&r.launch, turn, &r, ret_code, err);
    kw_witness_end();
    kw_launch_abandon(&r.launch);
    if (result == 0 && finish(&r, err) != 0) {
        result = (int)err->code;
        *ret_code = KW_RUN_FAILED;
    }
    kw_client_close(&r.client);
    return result;
}
