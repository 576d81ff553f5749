/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "google_name.h"
#include "log.h"
#include "relay.h"
#include "run_child.h"

enum {
    EARLY_S = 300,  /* before its end a session is renewed, */
    EARLY_PART = 5, /* or a fifth of its life before, where that is shorter */
    RETRY_S = 30,   /* after a renewal that failed, or a quarter of what is left */
    END_MS = 5000,  /* between SIGTERM and SIGKILL for CMD, when keyward failed */
};

struct running {
    const struct kw_run *run;
    struct kw_session session;
    struct kw_launch launch;
    struct kw_buf decoy;
    int64_t renew_at; /* seconds since the epoch */
    unsigned renewals;
    int64_t started_ms;
};

/* What the proxy asks of main is done when the loop comes round; one run, one proxy. */
static bool want_renewal, explain;
static char want_id[4][512];
static unsigned want_ids;

/* --- what the proxy says --------------------------------------------------------- */

static void show(const struct kw_m_event *e)
{
    static const char *const kinds[] = {"allowed", "REFUSED", "tunnel", "answered"};
    if (e->kind >= sizeof kinds / sizeof kinds[0] || (!explain && e->kind != KW_EVENT_REFUSED))
        return;
    if (e->kind == KW_EVENT_ANSWERED)
        (void)fprintf(stderr, "keyward: #%llu answered %u, %s\n", (unsigned long long)e->number,
                      e->status, e->text);
    else
        (void)fprintf(stderr, "keyward: #%llu %s: %s %s%s: %s\n", (unsigned long long)e->number,
                      kinds[e->kind], e->method, e->host, e->path, e->text);
}

int kw_run_told(struct kw_session *s, struct kw_in *in, struct kw_err *err)
{
    static struct kw_m_event e; /* large */
    struct kw_m_want_id w;
    (void)s;
    if (in->type == KW_PM_EVENT && kw_msg_get_shown(&in->body, in->type, &e)) {
        show(&e);
        return 0;
    }
    if (in->type == KW_PM_RENEW) {
        want_renewal = true;
        return 0;
    }
    if (in->type == KW_PM_WANT_ID && kw_msg_get_shown(&in->body, in->type, &w)) {
        if (want_ids < sizeof want_id / sizeof want_id[0])
            memcpy(want_id[want_ids], w.audience, sizeof w.audience);
        want_ids++; /* those without room are answered with "none" */
        return 0;
    }
    return kw_fail(err, KW_FAILED, "the proxy sent an unexpected or malformed message");
}

/* --- the start -------------------------------------------------------------------- */

static int make_decoy(struct running *r, struct kw_err *err)
{
    kw_buf_init(&r->decoy, sizeof((struct kw_m_serve *)0)->decoy_token - 1);
    return r->run->config->cloud == KW_CLOUD_GOOGLE
               ? kw_decoy_bearer(&r->decoy, err)
               : kw_decoy_jwt(&r->session, (int64_t)time(NULL), &r->decoy, err);
}

static int serve(struct running *r, struct kw_err *err)
{
    const struct kw_config *c = r->run->config;
    static struct kw_m_serve m; /* large */
    struct kw_google_provider p;
    m = (struct kw_m_serve){
        .cloud = c->cloud, .metadata = r->launch.metadata, .explain = r->run->explain};
    (void)snprintf(m.sign_host, sizeof m.sign_host, "%s", c->sign_host);
    (void)snprintf(m.egress, sizeof m.egress, "%s", c->egress);
    (void)snprintf(m.decoy_token, sizeof m.decoy_token, "%s", kw_buf_str(&r->decoy));
    m.decoy_spki = (struct kw_view){r->launch.spki, r->launch.spki_len};
    if (c->cloud == KW_CLOUD_GOOGLE) {
        (void)snprintf(m.email, sizeof m.email, "%s", c->service_account);
        kw_decoy_project(c->service_account, m.project, sizeof m.project);
        (void)snprintf(m.universe, sizeof m.universe, "%s", c->universe);
        (void)snprintf(m.scope, sizeof m.scope, "%s", c->scope);
        if (kw_google_provider(c->provider, &p, err) == 0)
            (void)snprintf(m.project_number, sizeof m.project_number, "%s", p.number);
    }
    int fds[2] = {r->launch.listeners[0], r->launch.listeners[1]};
    int null = -1;
    if (fds[1] < 0) /* the message carries two: without a metadata service the second is spare */
        fds[1] = null = dup(fds[0]);
    int result = kw_child_send(&r->session.crew.proxy, KW_PM_SERVE, &m, fds, 2, err);
    if (null >= 0)
        (void)close(null);
    if (result == 0)
        result = kw_session_proxy_ok(&r->session, err);
    r->session.generation = c->cloud == KW_CLOUD_GOOGLE ? 0 : 1;
    return result == 0 ? kw_session_to_proxy(&r->session, r->session.token, err) : result;
}

static int go(struct running *r, int *ret_code, struct kw_err *err)
{
    const struct kw_config *c = r->run->config;
    char project[64] = "";
    kw_decoy_project(c->service_account, project, sizeof project);
    const char *tenancy = r->session.tenant[0] != '\0' ? r->session.tenant : c->tenancy;
    const struct kw_launch_decoys d = {.cloud = c->cloud,
                                       .ca_pem = r->session.proxy.ca_pem,
                                       .ca_file = c->ca_file,
                                       .token = kw_buf_str(&r->decoy),
                                       .region = c->region,
                                       .tenancy = tenancy,
                                       .user = "keyward-run",
                                       .project = project,
                                       .email = c->service_account,
                                       .profile = c->profile};
    return kw_launch_go(&r->launch, &d, ret_code, err);
}

static void plan_renewal(struct running *r)
{
    int64_t now = (int64_t)time(NULL), left = r->session.not_after - now;
    int64_t early = left / EARLY_PART < EARLY_S ? left / EARLY_PART : EARLY_S;
    r->renew_at = r->session.not_after - early;
}

static int begin(struct running *r, int *ret_code, struct kw_err *err)
{
    int64_t deadline = kw_deadline(r->run->config);
    int result = kw_launch_ready(&r->launch, deadline, err);
    if (result == 0 && r->launch.missing[0] != '\0')
        kw_log(KW_WARN, "%s", r->launch.missing);
    if (result == 0)
        result = make_decoy(r, err);
    if (result == 0)
        result = serve(r, err);
    if (result == 0)
        result = go(r, ret_code, err);
    plan_renewal(r);
    return result;
}

/* --- while CMD runs --------------------------------------------------------------- */

static int renew(struct running *r, struct kw_err *err)
{
    struct kw_err why;
    int64_t now = (int64_t)time(NULL);
    want_renewal = false;
    if (kw_session_renew(&r->session, &why) == 0) {
        r->renewals++;
        plan_renewal(r);
        return 0;
    }
    const struct kw_crew *crew = &r->session.crew;
    if (crew->keeper.pid == 0 || crew->exchanger.pid == 0 || crew->dialer.pid == 0 ||
        crew->proxy.pid == 0) {
        *err = why;
        return (int)err->code;
    }
    kw_log(KW_WARN, "the session could not be renewed: %s; the one in use is good for %lld s more",
           why.text, (long long)(r->session.not_after > now ? r->session.not_after - now : 0));
    int64_t soon = (r->session.not_after - now) / 4;
    r->renew_at = now + (soon < 1 ? 1 : soon < RETRY_S ? soon : RETRY_S);
    return kw_session_to_proxy(&r->session, NULL, err); /* who waits for it goes on */
}

/* ID tokens that CMD asks the metadata service for. */
static int identities(struct running *r, struct kw_err *err)
{
    int result = 0;
    for (unsigned i = 0; result == 0 && i < want_ids; i++) {
        struct kw_m_id m = {NULL};
        struct kw_err why;
        if (i < sizeof want_id / sizeof want_id[0] &&
            kw_session_identity(&r->session, want_id[i], &m.token, &why) != 0)
            kw_log(KW_WARN, "CMD asked for an ID token for %s: %s", want_id[i], why.text);
        result = kw_child_send(&r->session.crew.proxy, KW_PM_ID, &m, NULL, 0, err);
        kw_secret_free(&m.token);
    }
    want_ids = 0;
    return result;
}

/* One role has said something, or has gone. Only the proxy speaks unasked. */
static int hear(struct running *r, struct kw_child *ch, struct kw_err *err)
{
    struct kw_in in;
    int result = kw_child_recv(ch, &in, kw_now_ms() + 1000, err);
    if (result == 0)
        result = ch->role == KW_ROLE_PROXY
                     ? kw_run_told(&r->session, &in, err)
                     : kw_fail(err, KW_FAILED, "the %s spoke unasked", kw_role_name(ch->role));
    kw_in_free(&in);
    return result;
}

static int turn(struct running *r, struct kw_err *err)
{
    struct kw_crew *crew = &r->session.crew;
    struct kw_child *const roles[] = {&crew->proxy, &crew->keeper, &crew->exchanger, &crew->dialer};
    struct pollfd p[6] = {{.fd = kw_signal_fd(), .events = POLLIN},
                          {.fd = kw_relay_fd(), .events = POLLIN}};
    for (int i = 0; i < 4; i++)
        p[2 + i] = (struct pollfd){.fd = roles[i]->ctl.fd, .events = POLLIN};
    int64_t wait = (r->renew_at - (int64_t)time(NULL)) * 1000;
    int n = poll(p, 6, wait < 0 ? 0 : wait > 1000 ? 1000 : (int)wait); /* clocks are set, too */
    if (n < 0)
        return errno == EINTR ? 0 : kw_fail_errno(err, KW_FAILED, "could not wait");
    if (p[0].revents != 0)
        kw_signal_take();
    if (p[1].revents != 0)
        kw_relay_take();
    int result = 0;
    for (int i = 0; result == 0 && i < 4; i++)
        if (p[2 + i].revents != 0)
            result = hear(r, roles[i], err);
    if (result == 0 && want_ids > 0)
        result = identities(r, err);
    if (result == 0 && (want_renewal || (int64_t)time(NULL) >= r->renew_at))
        result = renew(r, err);
    return result;
}

static int attend(struct running *r, int *ret_code, struct kw_err *err)
{
    int result = 0;
    while (result == 0 && !kw_run_child_ended(ret_code))
        result = turn(r, err);
    if (result != 0) {
        *ret_code = KW_RUN_FAILED;
        kw_run_child_end(END_MS);
    }
    return result;
}

/* --- the end ---------------------------------------------------------------------- */

static void summary(const struct running *r, const struct kw_m_proxy_closed *p)
{
    double seconds = (double)(kw_now_ms() - r->started_ms) / 1000;
    const char *what =
        r->run->config->cloud == KW_CLOUD_GOOGLE ? "given the access token" : "signed in the token";
    if (r->run->json)
        (void)fprintf(stderr,
                      "{\"requests\": %u, \"refused\": %u, \"tunnels\": %u, \"repeated\": %u, "
                      "\"renewals\": %u, \"seconds\": %.1f}\n",
                      p->requests, p->refusals, p->tunnels, p->replays, r->renewals, seconds);
    else
        (void)fprintf(stderr,
                      "keyward: %u requests %s, %u refused, %u tunnels, %u renewals, %.1f s\n",
                      p->requests, what, p->refusals, p->tunnels, r->renewals, seconds);
}

static int close_proxy(struct running *r, struct kw_m_proxy_closed *ret, struct kw_err *err)
{
    struct kw_child *proxy = &r->session.crew.proxy;
    int64_t deadline = kw_deadline(r->run->config);
    int result = kw_child_send(proxy, KW_PM_CLOSE, NULL, NULL, 0, err);
    for (bool done = false; result == 0 && !done;) {
        struct kw_in in;
        result = kw_child_recv(proxy, &in, deadline, err);
        done = result == 0 && in.type == KW_PM_CLOSED && kw_msg_get_shown(&in.body, in.type, ret);
        if (result == 0 && !done && in.type != KW_PM_OK)
            result = kw_run_told(&r->session, &in, err);
        kw_in_free(&in);
    }
    return result;
}

static int finish(struct running *r, struct kw_err *err)
{
    struct kw_m_proxy_closed p = {0};
    struct kw_err more;
    int result = close_proxy(r, &p, err);
    if (r->session.key_pending) { /* a renewal that was given up: the keeper's word comes first */
        int had = kw_session_settle(&r->session, &more);
        if (had != 0)
            kw_log(KW_DEBUG, "%s", more.text);
    }
    int closed = kw_session_close(&r->session, NULL, result == 0 ? err : &more);
    if (result == 0)
        summary(r, &p);
    return result != 0 ? result : closed;
}

int kw_run(const struct kw_run *run, int *ret_code, struct kw_err *err)
{
    static struct running r; /* large */
    r = (struct running){.run = run, .started_ms = kw_now_ms()};
    explain = run->explain;
    *ret_code = KW_RUN_FAILED;
    int result = kw_launch_start(&run->want, &r.launch, err);
    if (result != 0)
        return result;
    result = kw_session_open(&r.session, run->config, "run", KW_USE_FRESH | KW_USE_RUN, err);
    if (result != 0) {
        kw_launch_abandon(&r.launch);
        return result;
    }
    result = begin(&r, ret_code, err);
    if (result == 0) {
        result = kw_run_child_watch(r.launch.pid, err);
        r.launch.pid = 0; /* is CMD's now, which ends as it will */
        if (result == 0)
            result = attend(&r, ret_code, err);
    }
    kw_launch_abandon(&r.launch);
    if (result != 0) {
        kw_session_abandon(&r.session, err);
    } else if (finish(&r, err) != 0) {
        result = (int)err->code;
        *ret_code = KW_RUN_FAILED;
    }
    kw_buf_free(&r.decoy);
    return result;
}
