/* SPDX-License-Identifier: Apache-2.0
 *
 * `request` and `sign` of a job: one call, or one signature. The bodies of a call go by pipes
 * from the client's process straight to and from the exchanger. */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent_job.h"
#include "src/base/log.h"
#include "src/crew/relay.h"
#include "src/session/call.h"
#include "src/wire/oci_sign.h"

enum { SEND_MS = 2000 };

static bool is_pipe(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

/* Who waits for the answer may go before it is there. */
static int client_lives(struct kw_agent_job *j, const struct pollfd *client,
                        const struct pollfd *process, struct kw_err *err)
{
    if (client->revents == 0 && process->revents == 0)
        return 0;
    j->ended = true;
    return kw_fail(err, KW_FAILED, "the job has ended");
}

static int pass_on(struct kw_agent_job *j, bool *done, int64_t deadline, struct kw_err *err)
{
    static struct kw_m_head head; /* large */
    struct kw_m_end end;
    struct kw_in in;
    int r = kw_child_recv(&j->serving.session.crew.exchanger, &in, deadline, err);
    if (r == 0 && in.type == KW_XM_HEAD && kw_msg_get_shown(&in.body, in.type, &head)) {
        r = kw_msg_send(&j->client, KW_AM_HEAD, &head, NULL, 0, SEND_MS, err);
    } else if (r == 0 && in.type == KW_XM_END && kw_msg_get_shown(&in.body, in.type, &end)) {
        r = kw_msg_send(&j->client, KW_AM_DONE, &end, NULL, 0, SEND_MS, err);
        *done = true;
    } else if (r == 0) {
        r = kw_fail(err, KW_FAILED, "the exchanger sent an unexpected message");
    }
    kw_in_free(&in);
    return r;
}

static int relay(struct kw_agent_job *j, int64_t deadline, struct kw_err *err)
{
    int r = 0;
    bool done = false;
    struct kw_crew *crew = &j->serving.session.crew;
    while (r == 0 && !done) {
        struct pollfd p[6] = {{.fd = crew->exchanger.ctl.fd, .events = POLLIN},
                              {.fd = j->client.fd, .events = POLLIN},
                              {.fd = j->pidfd, .events = POLLIN},
                              {.fd = kw_signal_fd(), .events = POLLIN},
                              {.fd = kw_relay_fd(), .events = POLLIN},
                              {.fd = j->up.fd, .events = POLLIN}};
        (void)poll(p, 6, kw_left_ms(deadline));
        if (p[3].revents != 0)
            kw_signal_take();
        if (p[4].revents != 0)
            kw_relay_take();
        if (kw_interrupted() || p[5].revents != 0)
            r = kw_fail(err, KW_NET, "the agent is being stopped");
        else if (kw_left_ms(deadline) == 0)
            r = kw_fail(err, KW_NET, "no complete answer in time ([dial] timeout)");
        else if (p[0].revents != 0)
            r = pass_on(j, &done, deadline, err);
        else
            r = client_lives(j, &p[1], &p[2], err);
    }
    return r != 0 ? kw_crew_reason(crew, deadline, r, err) : 0;
}

int kw_agent_job_call(struct kw_agent_job *j, struct kw_in *in, struct kw_err *err)
{
    static struct kw_m_call m; /* large */
    if (!kw_msg_get(&in->body, KW_AM_CALL, &m))
        return kw_fail(err, KW_USAGE, "the job's CALL can't be read");
    if (!is_pipe(in->fds[0]) || !is_pipe(in->fds[1]))
        return kw_fail(err, KW_POLICY, "the job gave other descriptors than pipes");
    int r = j->config.cloud == KW_CLOUD_GOOGLE
                ? kw_google_headers(&j->config, m.headers, sizeof m.headers, err)
                : 0;
    if (r == 0)
        r = kw_agent_job_open(j, err);
    int64_t deadline = kw_deadline(&j->config);
    if (r == 0)
        r = kw_child_send(&j->serving.session.crew.exchanger, KW_XM_CALL, &m, in->fds, 2, err);
    for (unsigned i = 0; i < in->nfds; i++) { /* so that both ends are told of the end */
        (void)close(in->fds[i]);
        in->fds[i] = -1;
    }
    j->count.signatures++;
    return r == 0 ? relay(j, deadline, err) : r;
}

int kw_agent_job_sign(struct kw_agent_job *j, struct kw_in *in, struct kw_err *err)
{
    static struct kw_m_sign m; /* large */
    struct kw_m_signed answer;
    struct kw_m_authorization a = {NULL};
    struct kw_in got;
    struct kw_buf value;
    struct kw_session *s = &j->serving.session;
    if (!kw_msg_get(&in->body, KW_AM_SIGN, &m))
        return kw_fail(err, KW_USAGE, "the job's SIGN can't be read");
    if (j->config.cloud == KW_CLOUD_GOOGLE)
        return kw_fail(err, KW_USAGE, "Google's requests are not signed, they carry a bearer");
    m.key = KW_SIGN_SESSION;
    int r = kw_agent_job_open(j, err);
    if (r == 0)
        r = kw_child_send(&s->crew.keeper, KW_KM_SIGN, &m, NULL, 0, err);
    if (r != 0)
        return r;
    r = kw_child_expect(&s->crew.keeper, KW_KM_SIGNED, &answer, &got, kw_deadline(&j->config), err);
    kw_buf_init(&value, KW_TOKEN_MAX + KW_LINES);
    if (r == 0) {
        kw_oci_authorization("ST$", kw_secret_bytes(s->token), m.headers, answer.signature.p,
                             answer.signature.len, &value);
        a.value = value.bad ? NULL : kw_secret_from(value.p, value.len);
        r = a.value != NULL ? 0 : kw_fail(err, KW_FAILED, "the Authorization header is too long");
    }
    kw_in_free(&got);
    kw_buf_free(&value);
    j->count.signatures++;
    if (r == 0)
        r = kw_msg_send(&j->client, KW_AM_SIGNED, &a, NULL, 0, SEND_MS, err);
    kw_secret_free(&a.value);
    return r;
}
