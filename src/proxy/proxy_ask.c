/* SPDX-License-Identifier: Apache-2.0
 *
 * The proxy's questions: may this request go out, with what signature; and who connects. The
 * keeper answers in the order of the questions, the dialer in any. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proxy.h"
#include "src/base/log.h"

enum { DIAL_MS = 30000 };

static void append(struct kw_asked_list *l, struct kw_asked *a)
{
    a->next = NULL;
    if (l->last != NULL)
        l->last->next = a;
    else
        l->first = a;
    l->last = a;
    l->n++;
}

static struct kw_asked *take(struct kw_asked_list *l)
{
    struct kw_asked *a = l->first;
    if (a == NULL)
        return NULL;
    l->first = a->next;
    if (l->first == NULL)
        l->last = NULL;
    l->n--;
    return a;
}

static void end(struct kw_proxy *p, struct kw_asked *a, const struct kw_buf *head,
                const struct kw_err *why)
{
    kw_engine_authorized(p->engine, a->id, head, why);
    if (why != NULL) {
        p->counts.refusals++;
        kw_proxy_tell(p, KW_EVENT_REFUSED, a->id, a->m.method, a->m.host,
                      (struct kw_span){a->m.target, strlen(a->m.target)}, 0, why->text);
    }
    free(a);
}

/* The keeper has gone or makes no sense: nothing can be signed any more. */
static void lose_keeper(struct kw_proxy *p, const struct kw_err *why)
{
    struct kw_asked *a;
    p->sign_ended = true;
    while ((a = take(&p->asked)) != NULL || (a = take(&p->waiting)) != NULL)
        end(p, a, NULL, why);
}

static int send(struct kw_proxy *p, const struct kw_asked *a, struct kw_err *err)
{
    static struct kw_m_psign m; /* large */
    if (a->route == KW_ROUTE_GOOGLE) {
        struct kw_m_allow allow;
        memcpy(allow.method, a->m.method, sizeof allow.method);
        memcpy(allow.host, a->m.host, sizeof allow.host);
        memcpy(allow.target, a->m.target, sizeof allow.target);
        return kw_msg_send(&p->sign, KW_P_ALLOW, &allow, NULL, 0, 0, err);
    }
    m.generation = p->scope.generation;
    memcpy(m.method, a->m.method, sizeof m.method);
    memcpy(m.host, a->m.host, sizeof m.host);
    memcpy(m.target, a->m.target, sizeof m.target);
    memcpy(m.headers, a->m.headers, sizeof m.headers);
    return kw_msg_send(&p->sign, KW_P_SIGN, &m, NULL, 0, 0, err);
}

/* Asks what may be asked now: not more than the channel takes, nothing while the session
 * changes (a token and the key that signs with it are a pair), nor while a better one is
 * awaited. */
static void go_on(struct kw_proxy *p)
{
    struct kw_err err;
    while (!p->sign_ended && !p->changing && !p->renewing && p->waiting.first != NULL &&
           p->asked.n < KW_SIGNS_MAX) {
        struct kw_asked *a = take(&p->waiting);
        int r = 0;
        if (p->scope.not_after <= (uint64_t)time(NULL))
            r = kw_fail(&err, KW_NET, "the session has expired and could not be renewed");
        else if ((r = send(p, a, &err)) == KW_USAGE)
            r = kw_fail(&err, KW_POLICY, "the request can't be signed: it is malformed");
        if (r == 0)
            append(&p->asked, a);
        else if (r == KW_NET || r == KW_POLICY)
            end(p, a, NULL, &err);
        else {
            append(&p->asked, a);
            lose_keeper(p, &err);
        }
    }
}

void kw_proxy_ask(struct kw_proxy *p, struct kw_asked *a)
{
    struct kw_err err;
    append(&p->waiting, a);
    if (p->sign_ended) {
        (void)kw_fail(&err, KW_FAILED, "the keeper has gone: nothing is signed any more");
        lose_keeper(p, &err);
    }
    go_on(p);
}

/* What the keeper was asked it will answer, and in its order; what it wasn't it never is. */
void kw_proxy_unask(struct kw_proxy *p, uint64_t id)
{
    struct kw_asked_list rest = {NULL, NULL, 0};
    struct kw_asked *a;
    for (a = p->asked.first; a != NULL; a = a->next)
        if (a->id == id)
            a->head = NULL;
    while ((a = take(&p->waiting)) != NULL)
        if (a->id == id)
            free(a);
        else
            append(&rest, a);
    p->waiting = rest;
}

void kw_proxy_change(struct kw_proxy *p)
{
    struct kw_err err;
    if (p->changing && p->asked.n == 0) {
        p->changing = p->renewing = false;
        if (p->next.token != NULL && kw_secret_len(p->next.token) > 0) {
            kw_secret_free(&p->scope.token);
            p->scope.token = p->next.token;
            p->scope.generation = p->next.generation;
            p->sessions++;
            p->scope.not_after = p->next.not_after;
        } else
            kw_secret_free(&p->next.token);
        p->next.token = NULL;
        if (kw_msg_send(&p->ctl, KW_PM_OK, &(struct kw_m_empty){0}, NULL, 0, 1000, &err) != 0)
            kw_log(KW_INFO, "%s", err.text);
    }
    go_on(p);
}

/* The request with its new Authorization. */
static int rewrite(struct kw_proxy *p, const struct kw_asked *a, struct kw_view signature,
                   struct kw_buf *head, struct kw_err *err)
{
    struct kw_buf authorization;
    kw_buf_init(&authorization, 2 * KW_TOKEN_MAX);
    int r = kw_scope_authorization(&p->scope, a->route, &a->m, signature, &authorization, err);
    if (r == 0)
        r = kw_scope_rewrite(a->head, &authorization, head, err);
    kw_buf_free(&authorization);
    return r;
}

static void answer(struct kw_proxy *p, struct kw_asked *a, struct kw_view signature)
{
    struct kw_buf head;
    struct kw_err err;
    if (a->head == NULL) { /* nobody is there to send it */
        free(a);
        return;
    }
    kw_buf_init(&head, KW_HEAD_MAX + 2 * KW_TOKEN_MAX);
    size_t slot = a->id % (sizeof p->went / sizeof p->went[0]);
    p->went[slot].id = a->id;
    p->went[slot].session = p->sessions;
    p->counts.requests++;
    kw_proxy_tell(p, KW_EVENT_ALLOWED, a->id, a->m.method, a->m.host,
                  (struct kw_span){a->m.target, strlen(a->m.target)}, 0,
                  a->route == KW_ROUTE_OCI ? "signed in the token" : "given the access token");
    if (rewrite(p, a, signature, &head, &err) == 0)
        end(p, a, &head, NULL);
    else
        end(p, a, NULL, &err);
    kw_buf_free(&head);
}

/* Leave for the bearer, or a signature, as it was asked for. */
static bool is_yes(const struct kw_asked *a, struct kw_in *in, struct kw_m_signed *s)
{
    if (a->route == KW_ROUTE_GOOGLE)
        return in->type == KW_P_ALLOWED;
    return in->type == KW_P_SIGNED && kw_msg_get(&in->body, in->type, s) && s->signature.len > 0;
}

void kw_proxy_from_keeper(void *arg)
{
    struct kw_proxy *p = arg;
    struct kw_err err;
    struct kw_in in;
    struct kw_m_signed s = {.signature = {NULL, 0}};
    struct kw_m_error e = {0};
    int r = kw_chan_recv(&p->sign, &in, 0, &err);
    if (r == KW_NET && in.type == KW_MSG_NONE) {
        kw_in_free(&in);
        return; /* the engine was wrong */
    }
    struct kw_asked *a = r == 0 ? take(&p->asked) : NULL;
    if (r == 0 && a == NULL) /* the table lets no answer through that wasn't asked for */
        r = kw_fail(&err, KW_FAILED, "proxy-keeper: an answer to nothing");
    else if (r == 0 && in.type == KW_MSG_ERROR && kw_msg_get(&in.body, in.type, &e)) {
        (void)kw_fail(&err, e.code <= KW_SANDBOX ? (enum kw_exit)e.code : KW_FAILED, "%s", e.text);
        end(p, a, NULL, &err);
    } else if (r == 0 && is_yes(a, &in, &s))
        answer(p, a, s.signature);
    else if (r == 0) {
        r = kw_fail(&err, KW_FAILED, "proxy-keeper: an answer that makes no sense");
        end(p, a, NULL, &err);
    }
    kw_in_free(&in);
    if (r != 0) {
        kw_engine_forget(p->engine, p->sign.fd);
        lose_keeper(p, &err);
    }
    kw_proxy_change(p);
}

/* --- the dialer ----------------------------------------------------------------- */

static void dial_on(struct kw_proxy *p)
{
    struct kw_err err;
    while (p->first_dial != NULL && p->dials < KW_SIGNS_MAX) {
        struct kw_dialling *d = p->first_dial;
        p->first_dial = d->next;
        if (p->first_dial == NULL)
            p->last_dial = NULL;
        int r = p->dial_ended ? kw_fail(&err, KW_FAILED, "the dialer has gone")
                              : kw_msg_send(&p->dial, KW_P_DIAL, &d->m, NULL, 0, 0, &err);
        if (r == 0)
            p->dials++;
        else
            kw_engine_dialed(p->engine, d->m.id, -1, &err);
        free(d);
    }
}

int kw_proxy_dial(void *arg, uint64_t id, const char *host, uint16_t port, struct kw_err *err)
{
    struct kw_proxy *p = arg;
    struct kw_dialling *d = strlen(host) < KW_HOST ? calloc(1, sizeof *d) : NULL;
    if (d == NULL)
        return kw_fail(err, KW_FAILED, "the host's name is too long, or there is no memory");
    d->m.id = id;
    d->m.port = port;
    d->m.timeout_ms = DIAL_MS;
    memcpy(d->m.host, host, strlen(host) + 1);
    if (p->last_dial != NULL)
        p->last_dial->next = d;
    else
        p->first_dial = d;
    p->last_dial = d;
    dial_on(p);
    return 0;
}

void kw_proxy_from_dialer(void *arg)
{
    struct kw_proxy *p = arg;
    struct kw_err err;
    struct kw_in in;
    struct kw_m_pdialed yes;
    struct kw_m_undialed no;
    int r = kw_chan_recv(&p->dial, &in, 0, &err);
    if (r == KW_NET && in.type == KW_MSG_NONE) {
        kw_in_free(&in);
        return;
    }
    if (r == 0 && in.type == KW_P_DIALED && kw_msg_get(&in.body, in.type, &yes)) {
        p->dials--;
        kw_engine_dialed(p->engine, yes.id, in.fds[0], NULL);
        in.fds[0] = -1;
    } else if (r == 0 && in.type == KW_P_UNDIALED && kw_msg_get(&in.body, in.type, &no)) {
        p->dials--;
        (void)kw_fail(&err,
                      no.code > 0 && no.code <= KW_SANDBOX ? (enum kw_exit)no.code : KW_FAILED,
                      "%s", no.text);
        kw_engine_dialed(p->engine, no.id, -1, &err);
    } else {
        kw_log(KW_INFO, "%s", r != 0 ? err.text : "proxy-dialer: an answer that makes no sense");
        p->dial_ended = true; /* those under way end by the engine's clock */
        kw_engine_forget(p->engine, p->dial.fd);
    }
    kw_in_free(&in);
    dial_on(p);
}
