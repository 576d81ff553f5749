/* SPDX-License-Identifier: Apache-2.0
 *
 * One job of the agent's: its process has a crew of its own ready, gets a connection, obtains a
 * session for the JWT that comes over it, and serves until the job ends, in whatever way: END,
 * the connection's end, the death of who made it, or the agent's word. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent.h"
#include "agent_job.h"
#include "src/base/log.h"
#include "src/crew/relay.h"
#include "src/crew/spawn.h"

enum { UP_FD = 3, SEND_MS = 2000, START_MS = 10000, TELL_MS = 1000 };

/* --- the agent's side -------------------------------------------------------------------- */

static void tell_counts(struct kw_agent_job *j)
{
    struct kw_err ignored;
    j->told_ms = kw_now_ms();
    j->changed = false;
    j->count.renewals = j->serving.renewals;
    (void)kw_msg_send(&j->up, KW_JM_COUNT, &j->count, NULL, 0, 0, &ignored);
}

/* Refusals are told at once, the rest once a second. */
void kw_agent_job_event(void *arg, const struct kw_m_event *e)
{
    struct kw_agent_job *j = arg;
    struct kw_err ignored; /* a client that doesn't listen misses it, and holds nothing up */
    j->count.requests += e->kind == KW_EVENT_ALLOWED;
    j->count.refusals += e->kind == KW_EVENT_REFUSED;
    j->count.tunnels += e->kind == KW_EVENT_TUNNEL;
    j->changed = true;
    if (j->explain || e->kind == KW_EVENT_REFUSED)
        (void)kw_msg_send(&j->client, KW_AM_EVENT, e, NULL, 0, 0, &ignored);
}

void kw_agent_job_tell(struct kw_agent_job *j)
{
    if (j->changed && kw_now_ms() - j->told_ms >= TELL_MS)
        tell_counts(j);
}

/* --- waiting for a job --------------------------------------------------------------------- */

static int take_start(struct kw_agent_job *j, struct kw_err *err)
{
    static struct kw_m_job_start m;
    struct kw_in in;
    int r = kw_msg_expect(&j->up, KW_JM_START, &m, &in, START_MS, err);
    if (r == 0) {
        kw_log_init("", (int)m.verbosity);
        r = kw_config_load_text(&j->config, in.fds[0], m.path,
                                m.profile[0] != '\0' ? m.profile : NULL, err);
        j->config.verbosity = (int)m.verbosity;
    }
    kw_in_free(&in);
    if (r == 0)
        r = kw_agent_fits(&j->config, err);
    if (r == 0)
        r = kw_config_choose_cloud(&j->config,
                                   m.cloud == KW_CLOUD_OCI      ? "oci"
                                   : m.cloud == KW_CLOUD_GOOGLE ? "google"
                                                                : NULL,
                                   err);
    return r;
}

/* A role that says something, or ends, while nothing is asked of it has nothing good to say. */
static int idle_turn(struct kw_agent_job *j, struct kw_err *err)
{
    struct kw_crew *crew = &j->serving.session.crew;
    struct kw_child *const roles[] = {&crew->keeper, &crew->exchanger, &crew->dialer, &crew->proxy};
    struct pollfd p[7] = {{.fd = j->up.fd, .events = POLLIN},
                          {.fd = kw_signal_fd(), .events = POLLIN},
                          {.fd = kw_relay_fd(), .events = POLLIN}};
    for (int i = 0; i < 4; i++)
        p[3 + i] = (struct pollfd){.fd = roles[i]->ctl.fd, .events = POLLIN};
    if (poll(p, 7, -1) < 0)
        return errno == EINTR ? 0 : kw_fail_errno(err, KW_FAILED, "could not wait");
    if (p[1].revents != 0)
        kw_signal_take();
    if (p[2].revents != 0)
        kw_relay_take();
    if (kw_interrupted())
        return kw_fail(err, KW_FAILED, "interrupted");
    for (int i = 0; i < 4; i++) {
        struct kw_in in;
        if (p[3 + i].revents == 0)
            continue;
        int r = kw_child_recv(roles[i], &in, kw_now_ms() + SEND_MS, err);
        kw_in_free(&in);
        return r != 0
                   ? r
                   : kw_fail(err, KW_FAILED, "the %s spoke unasked", kw_role_name(roles[i]->role));
    }
    j->spoken = p[0].revents != 0;
    return 0;
}

/* *ret_job: false where the agent wants no more of us. */
static int await_job(struct kw_agent_job *j, bool *ret_job, struct kw_err *err)
{
    struct kw_in in;
    struct kw_m_job m;
    int r = 0;
    while (r == 0 && !j->spoken)
        r = idle_turn(j, err);
    if (r != 0)
        return r;
    r = kw_chan_recv(&j->up, &in, 0, err);
    *ret_job = r == 0 && in.type == KW_JM_JOB && kw_msg_get(&in.body, in.type, &m);
    if (*ret_job) {
        static const char *const wants[] = {"run", "request", "sign"};
        kw_chan_init(&j->client, KW_CHAN_AGENT, KW_ROLE_AGENT, in.fds[0]);
        size_t max;
        unsigned nfds; /* the agent has taken HELLO */
        (void)kw_msg_legal(KW_AM_HELLO, KW_CHAN_AGENT, KW_ROLE_CLIENT, 0, &j->client.state, &max,
                           &nfds);
        j->client.rx = 1;
        j->pidfd = in.fds[1];
        j->want = m.want;
        in.fds[0] = in.fds[1] = -1; /* ours now */
        (void)snprintf(j->caller, sizeof j->caller, "uid %u pid %u %s (agent)", m.uid, m.pid,
                       m.want < 3 ? wants[m.want] : "?");
    }
    kw_in_free(&in);
    return 0; /* an agent that has gone is none of this job's errors */
}

/* --- the job ---------------------------------------------------------------------------------- */

/* The subject token is the client's to give, each time one is needed. */
static int ask_client(void *arg, struct kw_secret **ret, struct kw_err *err)
{
    struct kw_agent_job *j = arg;
    struct kw_m_subject m = {NULL};
    struct kw_in in;
    int patience = (int)j->config.timeout_s * 1000;
    *ret = NULL;
    int r = kw_msg_send(&j->client, KW_AM_ASK, NULL, NULL, 0, SEND_MS, err);
    if (r != 0)
        return r;
    r = kw_chan_recv(&j->client, &in, patience, err);
    if (r == KW_NET)
        r = kw_fail(err, KW_SUBJECT, "the job gave no subject token in time");
    else if (r == 0 && in.type == KW_AM_END) {
        j->ended = j->orderly = true;
        r = kw_fail(err, KW_FAILED, "the job has ended");
    } else if (r == 0 && (in.type != KW_AM_SUBJECT || !kw_msg_get(&in.body, in.type, &m)))
        r = kw_fail(err, KW_SUBJECT, "the job gave no subject token, but something else");
    else if (r == 0 && kw_secret_len(m.token) == 0) {
        kw_secret_free(&m.token);
        r = kw_fail(err, KW_SUBJECT, "the job could get no subject token");
    }
    kw_in_free(&in);
    if (r == 0)
        (void)snprintf(j->serving.session.source, sizeof j->serving.session.source, "the job");
    *ret = m.token;
    return r;
}

static int welcome(struct kw_agent_job *j, struct kw_err *err)
{
    struct kw_m_welcome m = {.cloud = j->config.cloud};
    (void)snprintf(m.profile, sizeof m.profile, "%s", j->config.profile);
    kw_config_audience(&j->config, m.audience, sizeof m.audience);
    return kw_msg_send(&j->client, KW_AM_WELCOME, &m, NULL, 0, SEND_MS, err);
}

int kw_agent_job_open(struct kw_agent_job *j, struct kw_err *err)
{
    struct kw_session *s = &j->serving.session;
    s->ask = ask_client;
    s->ask_arg = j;
    s->caller = j->caller;
    s->direct = j->want != KW_WANT_RUN;
    j->open = false; /* go_on() puts all away if it fails */
    int r = kw_session_go_on(s, err);
    j->open = r == 0;
    if (r != 0)
        return r;
    (void)snprintf(j->count.principal, sizeof j->count.principal, "%s", s->principal);
    j->count.session = 1;
    tell_counts(j);
    return 0;
}

static int first_word(struct kw_agent_job *j, struct kw_err *err)
{
    struct kw_in in;
    int r = kw_chan_recv(&j->client, &in, START_MS, err);
    if (r == 0 && in.type == KW_AM_RUN && j->want == KW_WANT_RUN)
        r = kw_agent_job_run(j, &in, err);
    else if (r == 0 && in.type == KW_AM_CALL && j->want == KW_WANT_CALL)
        r = kw_agent_job_call(j, &in, err);
    else if (r == 0 && in.type == KW_AM_SIGN && j->want == KW_WANT_SIGN)
        r = kw_agent_job_sign(j, &in, err);
    else if (r == 0 && in.type != KW_AM_END)
        r = kw_fail(err, KW_USAGE, "the job wants something else than it said");
    kw_in_free(&in);
    return r;
}

static int serve(struct kw_agent_job *j, struct kw_err *err)
{
    int r = welcome(j, err);
    if (r == 0)
        r = first_word(j, err);
    if (r != 0 && !j->ended)
        kw_msg_send_error(&j->client, err);
    tell_counts(j);
    return r;
}

/* What is still open after a job, or where there was none. */
static void put_away(struct kw_agent_job *j)
{
    struct kw_err ignored;
    if (j->open && kw_session_close(&j->serving.session, NULL, &ignored) != 0)
        kw_log(KW_WARN, "%s", ignored.text);
    j->open = false;
    if (j->client.fd >= 0)
        (void)close(j->client.fd);
    if (j->pidfd >= 0)
        (void)close(j->pidfd);
    kw_serving_free(&j->serving);
    kw_config_free(&j->config);
}

int kw_agent_serve(struct kw_err *err)
{
    static struct kw_agent_job j; /* large */
    bool job = false;
    j = (struct kw_agent_job){.client.fd = -1, .pidfd = -1};
    (void)fcntl(UP_FD, F_SETFD, FD_CLOEXEC);
    kw_chan_init(&j.up, KW_CHAN_JOB, KW_ROLE_JOB, UP_FD);
    int r = take_start(&j, err);
    if (r == 0)
        r = kw_session_prepare(&j.serving.session, &j.config, "agent", KW_USE_FRESH | KW_USE_RUN,
                               err);
    j.open = r == 0;
    if (r == 0)
        r = kw_msg_send(&j.up, KW_JM_READY, NULL, NULL, 0, SEND_MS, err);
    if (r == 0)
        r = await_job(&j, &job, err);
    if (r == 0 && job)
        r = serve(&j, err);
    if (r != 0)
        kw_msg_send_error(&j.up, err);
    put_away(&j);
    err->text[0] = '\0'; /* the agent has it, and says it once */
    return r;
}
