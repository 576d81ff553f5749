/* SPDX-License-Identifier: Apache-2.0 */
#include "run_serve.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "src/base/log.h"
#include "src/crew/relay.h"
#include "src/wire/google_name.h"

enum {
    EARLY_S = 300,  /* before its end a session is renewed, */
    EARLY_PART = 5, /* or a fifth of its life before, where that is shorter */
    RETRY_S = 30,   /* after a renewal that failed, or a quarter of what is left */
    OWN = 4,        /* descriptors of the caller's */
};

/* What the proxy asks of main is done when the loop comes round; one run, one proxy. */
static bool want_renewal;
static char want_id[4][512];
static unsigned want_ids;
static void (*tell)(void *arg, const struct kw_m_event *e);
static void *tell_arg;

/* --- what the proxy says --------------------------------------------------------- */

int kw_serving_told(struct kw_in *in, struct kw_err *err)
{
    static struct kw_m_event e; /* large */
    struct kw_m_want_id w;
    if (in->type == KW_PM_EVENT && kw_msg_get_shown(&in->body, in->type, &e)) {
        if (tell != NULL)
            tell(tell_arg, &e);
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

static int make_decoy(struct kw_serving *v, struct kw_err *err)
{
    kw_buf_init(&v->decoy, sizeof((struct kw_m_serve *)0)->decoy_token - 1);
    return v->session.config->cloud == KW_CLOUD_GOOGLE
               ? kw_decoy_bearer(&v->decoy, err)
               : kw_decoy_jwt(&v->session, (int64_t)time(NULL), &v->decoy, err);
}

static void describe(const struct kw_serving *v, const struct kw_serve_want *want,
                     struct kw_m_serve *m)
{
    const struct kw_config *c = v->session.config;
    struct kw_google_provider p;
    struct kw_err ignored; /* the exchange has judged the name */
    *m = (struct kw_m_serve){
        .cloud = c->cloud, .metadata = want->metadata, .explain = want->explain};
    (void)snprintf(m->sign_host, sizeof m->sign_host, "%s", c->sign_host);
    (void)snprintf(m->egress, sizeof m->egress, "%s", c->egress);
    m->decoy_spki = (struct kw_view){want->spki, want->spki_len};
    if (c->cloud != KW_CLOUD_GOOGLE)
        return;
    (void)snprintf(m->email, sizeof m->email, "%s", c->service_account);
    kw_decoy_project(c->service_account, m->project, sizeof m->project);
    (void)snprintf(m->universe, sizeof m->universe, "%s", c->universe);
    (void)snprintf(m->scope, sizeof m->scope, "%s", c->scope);
    if (kw_google_provider(c->provider, &p, &ignored) == 0)
        (void)snprintf(m->project_number, sizeof m->project_number, "%s", p.number);
}

static void plan_renewal(struct kw_serving *v)
{
    int64_t now = (int64_t)time(NULL), left = v->session.not_after - now;
    int64_t early = left / EARLY_PART < EARLY_S ? left / EARLY_PART : EARLY_S;
    v->renew_at = v->session.not_after - early;
}

int kw_serving_begin(struct kw_serving *v, const struct kw_serve_want *want, struct kw_err *err)
{
    static struct kw_m_serve m; /* large */
    tell = want->event;
    tell_arg = want->arg;
    int r = make_decoy(v, err);
    if (r != 0)
        return r;
    describe(v, want, &m);
    (void)snprintf(m.decoy_token, sizeof m.decoy_token, "%s", kw_buf_str(&v->decoy));
    int fds[2] = {want->listeners[0], want->listeners[1]};
    int spare = -1;
    if (fds[1] < 0) /* the message carries two: without a metadata service the second is spare */
        fds[1] = spare = dup(fds[0]);
    r = kw_child_send(&v->session.crew.proxy, KW_PM_SERVE, &m, fds, 2, err);
    if (spare >= 0)
        (void)close(spare);
    if (r == 0)
        r = kw_session_proxy_ok(&v->session, err);
    v->session.generation = v->session.config->cloud == KW_CLOUD_GOOGLE ? 0 : 1;
    if (r == 0)
        r = kw_session_to_proxy(&v->session, v->session.token, err);
    plan_renewal(v);
    return r;
}

/* --- while CMD runs --------------------------------------------------------------- */

static int renew(struct kw_serving *v, struct kw_err *err)
{
    struct kw_err why;
    int64_t now = (int64_t)time(NULL);
    want_renewal = false;
    if (kw_session_renew(&v->session, &why) == 0) {
        v->renewals++;
        plan_renewal(v);
        return 0;
    }
    const struct kw_crew *crew = &v->session.crew;
    if (crew->keeper.pid == 0 || crew->exchanger.pid == 0 || crew->dialer.pid == 0 ||
        crew->proxy.pid == 0) {
        *err = why;
        return (int)err->code;
    }
    kw_log(KW_WARN, "the session could not be renewed: %s; the one in use is good for %lld s more",
           why.text, (long long)(v->session.not_after > now ? v->session.not_after - now : 0));
    int64_t soon = (v->session.not_after - now) / 4;
    v->renew_at = now + (soon < 1 ? 1 : soon < RETRY_S ? soon : RETRY_S);
    return kw_session_to_proxy(&v->session, NULL, err); /* who waits for it goes on */
}

/* ID tokens that CMD asks the metadata service for. */
static int identities(struct kw_serving *v, struct kw_err *err)
{
    int r = 0;
    for (unsigned i = 0; r == 0 && i < want_ids; i++) {
        struct kw_m_id m = {NULL};
        struct kw_err why;
        if (i < sizeof want_id / sizeof want_id[0] &&
            kw_session_identity(&v->session, want_id[i], &m.token, &why) != 0)
            kw_log(KW_WARN, "CMD asked for an ID token for %s: %s", want_id[i], why.text);
        r = kw_child_send(&v->session.crew.proxy, KW_PM_ID, &m, NULL, 0, err);
        kw_secret_free(&m.token);
    }
    want_ids = 0;
    return r;
}

/* One role has said something, or has gone. Only the proxy speaks unasked. */
static int hear(struct kw_child *ch, struct kw_err *err)
{
    struct kw_in in;
    int r = kw_child_recv(ch, &in, kw_now_ms() + 1000, err);
    if (r == 0)
        r = ch->role == KW_ROLE_PROXY
                ? kw_serving_told(&in, err)
                : kw_fail(err, KW_FAILED, "the %s spoke unasked", kw_role_name(ch->role));
    kw_in_free(&in);
    return r;
}

int kw_serving_turn(struct kw_serving *v, struct pollfd *own, unsigned n, struct kw_err *err)
{
    struct kw_crew *crew = &v->session.crew;
    struct kw_child *const roles[] = {&crew->proxy, &crew->keeper, &crew->exchanger, &crew->dialer};
    struct pollfd p[6 + OWN] = {{.fd = kw_signal_fd(), .events = POLLIN},
                                {.fd = kw_relay_fd(), .events = POLLIN}};
    for (int i = 0; i < 4; i++)
        p[2 + i] = (struct pollfd){.fd = roles[i]->ctl.fd, .events = POLLIN};
    for (unsigned i = 0; i < n && i < OWN; i++)
        p[6 + i] = own[i];
    int64_t wait = (v->renew_at - (int64_t)time(NULL)) * 1000;
    /* clocks are set, too: hence no longer than a second */
    int got = poll(p, 6 + n, wait < 0 ? 0 : wait > 1000 ? 1000 : (int)wait);
    for (unsigned i = 0; i < n && i < OWN; i++)
        own[i].revents = got > 0 ? p[6 + i].revents : 0;
    if (got < 0)
        return errno == EINTR ? 0 : kw_fail_errno(err, KW_FAILED, "could not wait");
    if (p[0].revents != 0)
        kw_signal_take();
    if (p[1].revents != 0)
        kw_relay_take();
    int r = 0;
    for (int i = 0; r == 0 && i < 4; i++)
        if (p[2 + i].revents != 0)
            r = hear(roles[i], err);
    if (r == 0 && want_ids > 0)
        r = identities(v, err);
    if (r == 0 && (want_renewal || (int64_t)time(NULL) >= v->renew_at))
        r = renew(v, err);
    return r;
}

/* --- the end ---------------------------------------------------------------------- */

static int close_proxy(struct kw_serving *v, struct kw_m_proxy_closed *ret, struct kw_err *err)
{
    struct kw_child *proxy = &v->session.crew.proxy;
    int64_t deadline = kw_deadline(v->session.config);
    int r = kw_child_send(proxy, KW_PM_CLOSE, NULL, NULL, 0, err);
    for (bool done = false; r == 0 && !done;) {
        struct kw_in in;
        r = kw_child_recv(proxy, &in, deadline, err);
        done = r == 0 && in.type == KW_PM_CLOSED && kw_msg_get_shown(&in.body, in.type, ret);
        if (r == 0 && !done && in.type != KW_PM_OK)
            r = kw_serving_told(&in, err);
        kw_in_free(&in);
    }
    return r;
}

int kw_serving_end(struct kw_serving *v, struct kw_m_proxy_closed *ret, struct kw_err *err)
{
    struct kw_err more;
    int r = close_proxy(v, ret, err);
    if (v->session.key_pending) { /* a renewal that was given up: the keeper's word comes first */
        int had = kw_session_settle(&v->session, &more);
        if (had != 0)
            kw_log(KW_DEBUG, "%s", more.text);
    }
    int closed = kw_session_close(&v->session, NULL, r == 0 ? err : &more);
    return r != 0 ? r : closed;
}

void kw_serving_free(struct kw_serving *v)
{
    kw_buf_free(&v->decoy);
}
