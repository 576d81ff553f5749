/* SPDX-License-Identifier: Apache-2.0
 *
 * What the engine asks, answered by the scope and by main, keeper and dialer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy.h"
#include "src/base/log.h"

enum {
    RENEW_MS = 60000, /* a cloud that refuses every session isn't asked for ever */
    UNREAD_MOST = 100 /* lines of a run about what was no request */
};

static void copy(char *out, size_t size, struct kw_span s)
{
    size_t n = s.n < size ? s.n : size - 1;
    if (s.p != NULL)
        memcpy(out, s.p, n);
    out[s.p != NULL ? n : 0] = '\0';
}

void kw_proxy_tell(struct kw_proxy *p, enum kw_event kind, uint64_t number, const char *method,
                   const char *host, struct kw_span target, unsigned status, const char *text)
{
    struct kw_m_event e = {.kind = kind, .number = number, .status = status};
    struct kw_err err;
    if (kind != KW_EVENT_REFUSED && !p->scope.say.explain)
        return;
    (void)snprintf(e.method, sizeof e.method, "%s", method);
    (void)snprintf(e.host, sizeof e.host, "%s", host);
    const char *query = target.n > 0 ? memchr(target.p, '?', target.n) : NULL;
    copy(e.path, sizeof e.path,
         (struct kw_span){target.p, query != NULL ? (size_t)(query - target.p) : target.n});
    kw_printable(e.path);
    (void)snprintf(e.text, sizeof e.text, "%.511s", text);
    kw_printable(e.text);
    if (kw_msg_send(&p->ctl, KW_PM_EVENT, &e, NULL, 0, 0, &err) != 0)
        kw_log(KW_DEBUG, "%s", err.text);
}

/* A refusal of our own: to CMD's owner, and into the audit log. */
static void note(struct kw_proxy *p, uint64_t id, const char *method, const char *host,
                 struct kw_span target, const char *why)
{
    struct kw_m_pnote n = {.method = ""};
    struct kw_err err;
    p->counts.refusals++;
    kw_proxy_tell(p, KW_EVENT_REFUSED, id, method, host, target, 0, why);
    (void)snprintf(n.method, sizeof n.method, "%s", method);
    (void)snprintf(n.host, sizeof n.host, "%s", host);
    copy(n.target, sizeof n.target, target);
    (void)snprintf(n.text, sizeof n.text, "%.511s", why);
    kw_printable(n.target);
    kw_printable(n.text);
    if (!p->sign_ended && kw_msg_send(&p->sign, KW_P_NOTE, &n, NULL, 0, 0, &err) != 0)
        kw_log(KW_DEBUG, "%s", err.text);
}

/* Whoever sends nonsense can send it without end: after a while it is only counted. */
static void unread(void *arg, const char *host, const char *why)
{
    struct kw_proxy *p = arg;
    const struct kw_span none = {"", 0};
    char text[KW_ERR_TEXT + 64];
    if (p->unread >= UNREAD_MOST) {
        p->counts.refusals++;
        return;
    }
    bool last = ++p->unread == UNREAD_MOST;
    (void)snprintf(text, sizeof text, "%s%s", why,
                   last ? " (the last of its kind that is told: more are counted)" : "");
    note(p, 0, "?", host, none, text);
}

static enum kw_route route(void *arg, const char *host, uint16_t port, struct kw_err *err)
{
    struct kw_proxy *p = arg;
    char name[KW_HOST];
    struct kw_span none = {"", 0};
    enum kw_route r = kw_scope_route(&p->scope, host, port, err);
    (void)snprintf(name, sizeof name, "%s", host);
    if (r == KW_ROUTE_REFUSE)
        note(p, 0, "CONNECT", name, none, err->text);
    else if (r == KW_ROUTE_TUNNEL) {
        p->counts.tunnels++;
        kw_proxy_tell(p, KW_EVENT_TUNNEL, 0, "CONNECT", name, none, 0,
                      "passed on untouched ([run] egress)");
    }
    return r;
}

/* What a request must be before anybody is asked about it. Google's without any credential
 * goes on as it is. */
static int judge(struct kw_proxy *p, struct kw_asked *a, const char *host, uint16_t port,
                 bool *ret_bare, struct kw_err *err)
{
    *ret_bare = false;
    if (kw_scope_leaks(&p->scope, a->head))
        return kw_fail(err, KW_POLICY,
                       "the run's stand-in credential is in a place where none belongs; it is "
                       "worthless outside of this run, so something copies credentials around");
    if (!kw_scope_same_host(a->head->host, host, port))
        return kw_fail(err, KW_POLICY,
                       "Host names another place than the connection was made to (%s)", host);
    if (a->head->upgrades)
        return kw_fail(err, KW_POLICY,
                       "the request asks for another protocol (Upgrade), which is not passed on: "
                       "nothing said in it could be judged, signed or logged");
    if (a->route == KW_ROUTE_OCI)
        return kw_scope_oci(&p->scope, a->head, host, &a->m, err);
    struct kw_m_allow m = {.method = ""};
    int r = kw_scope_google(&p->scope, a->head, host, &m, ret_bare, err);
    memcpy(a->m.method, m.method, sizeof a->m.method);
    memcpy(a->m.host, m.host, sizeof a->m.host);
    memcpy(a->m.target, m.target, sizeof a->m.target);
    return r;
}

static int pass_bare(struct kw_proxy *p, const struct kw_asked *a, struct kw_err *err)
{
    struct kw_buf head;
    kw_buf_init(&head, 2 * KW_HEAD_MAX);
    int r = kw_scope_rewrite(a->head, NULL, &head, err);
    if (r == 0)
        kw_engine_authorized(p->engine, a->id, &head, NULL);
    kw_buf_free(&head);
    return r;
}

static int request(void *arg, uint64_t id, enum kw_route r, const char *host, uint16_t port,
                   const struct kw_head *head, struct kw_err *err)
{
    struct kw_proxy *p = arg;
    struct kw_asked *a = calloc(1, sizeof *a);
    bool bare = false;
    if (a == NULL)
        return kw_fail(err, KW_FAILED, "out of memory");
    a->id = id;
    a->route = r;
    a->head = head;
    int bad = judge(p, a, host, port, &bare, err);
    char method[sizeof a->m.method];
    copy(method, sizeof method, head->method);
    if (bad != 0)
        note(p, id, method, host, head->target, err->text);
    else if (bare)
        bad = pass_bare(p, a, err);
    else {
        kw_proxy_ask(p, a);
        return 0;
    }
    free(a);
    return bad;
}

static int metadata(void *arg, uint64_t id, const struct kw_head *head, struct kw_err *err)
{
    struct kw_proxy *p = arg;
    struct kw_m_want_id want = {""};
    struct kw_buf out;
    kw_buf_init(&out, KW_LINES + KW_TOKEN_MAX);
    int r = kw_scope_metadata(&p->scope, head, (int64_t)time(NULL), want.audience,
                              sizeof want.audience, &out);
    if (r == 0 && want.audience[0] == '\0')
        kw_engine_answer(p->engine, id, &out);
    else if (r == 0 && p->n_wants == sizeof p->wants / sizeof p->wants[0])
        r = kw_fail(err, KW_NET, "too many ID tokens are asked for at once");
    else if (r == 0 && (r = kw_msg_send(&p->ctl, KW_PM_WANT_ID, &want, NULL, 0, 0, err)) == 0)
        p->wants[p->n_wants++].id = id;
    else if (err->text[0] == '\0')
        (void)kw_fail(err, KW_FAILED, "the metadata service can't answer");
    kw_buf_free(&out);
    return r;
}

void kw_proxy_identity(struct kw_proxy *p, const struct kw_secret *token)
{
    struct kw_buf out;
    if (p->n_wants == 0)
        return;
    uint64_t id = p->wants[0].id;
    memmove(p->wants, p->wants + 1, --p->n_wants * sizeof p->wants[0]);
    kw_buf_init(&out, KW_LINES + KW_TOKEN_MAX);
    kw_scope_identity(token != NULL ? kw_secret_bytes(token) : "",
                      token != NULL ? kw_secret_len(token) : 0, &out);
    kw_engine_answer(p->engine, id, &out);
    kw_buf_free(&out);
}

/* The cloud says that it doesn't know the session: its clock may have jumped, or it was ended
 * early. One renewal, one repetition. */
static bool again(void *arg, uint64_t id, unsigned status)
{
    struct kw_proxy *p = arg;
    struct kw_err err;
    int64_t now = kw_now_ms();
    size_t slot = id % (sizeof p->went / sizeof p->went[0]);
    /* It went with a session that has been followed by another since. */
    if (status == 401 && p->went[slot].id == id && p->went[slot].session != p->sessions) {
        p->counts.replays++;
        return true;
    }
    if (status != 401 || (p->renewed_ms != 0 && now - p->renewed_ms < RENEW_MS && !p->renewing))
        return false;
    if (!p->renewing) {
        if (kw_msg_send(&p->ctl, KW_PM_RENEW, &(struct kw_m_empty){0}, NULL, 0, 0, &err) != 0)
            return false;
        p->renewing = true;
        p->renewed_ms = now;
    }
    p->counts.replays++;
    return true;
}

static void done(void *arg, uint64_t id, unsigned status, uint64_t sent, uint64_t received)
{
    struct kw_proxy *p = arg;
    char text[128];
    struct kw_span none = {"", 0};
    if (status == 0)
        kw_proxy_unask(p, id);
    if (!p->scope.say.explain)
        return;
    (void)snprintf(text, sizeof text, "%llu bytes sent, %llu received", (unsigned long long)sent,
                   (unsigned long long)received);
    kw_proxy_tell(p, KW_EVENT_ANSWERED, id, "", "", none, status, text);
}

const struct kw_engine_hooks kw_proxy_hooks = {
    .route = route,
    .dial = kw_proxy_dial,
    .request = request,
    .unread = unread,
    .metadata = metadata,
    .again = again,
    .done = done,
};
