/* SPDX-License-Identifier: Apache-2.0
 *
 * `run`: a session follows another. The keeper makes another key while the old one signs on;
 * the exchange is done as for the first; then the proxy changes to the new token, and only
 * when it has, the old key is destroyed. Whatever fails on the way, the old session stays. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "run_serve.h"
#include "src/base/log.h"
#include "src/session/session_int.h"
#include "src/session/session_token.h"

int kw_session_proxy_ok(struct kw_session *s, struct kw_err *err)
{
    int64_t deadline = kw_deadline(s->config);
    for (;;) {
        struct kw_in in;
        int r = kw_child_recv(&s->crew.proxy, &in, deadline, err);
        bool done = r == 0 && in.type == KW_PM_OK;
        if (r == 0 && !done)
            r = kw_serving_told(&in, err);
        kw_in_free(&in);
        if (r != 0 || done)
            return r;
    }
}

int kw_session_to_proxy(struct kw_session *s, const struct kw_secret *token, struct kw_err *err)
{
    struct kw_m_proxy_session m = {.generation = s->generation,
                                   .not_after = (uint64_t)s->not_after};
    struct kw_secret *copy = NULL; /* a message owns what it carries */
    if (token != NULL) {
        copy = kw_secret_from(kw_secret_bytes(token), kw_secret_len(token));
        if (copy == NULL)
            return kw_fail(err, KW_FAILED, "out of memory");
    }
    m.token = copy;
    int r = kw_child_send(&s->crew.proxy, KW_PM_SESSION, &m, NULL, 0, err);
    kw_secret_free(&copy);
    return r != 0 ? r : kw_session_proxy_ok(s, err);
}

/* The former key goes when the last signature with it is done; if it can't, its successor's
 * end, or the keeper's, will take it. */
static void retire(struct kw_session *s)
{
    struct kw_m_retire m = {.generation = s->generation - 1};
    struct kw_err why;
    int r = kw_child_send(&s->crew.keeper, KW_KM_RETIRE, &m, NULL, 0, &why);
    if (r == 0)
        r = kw_session_expect(&s->crew.keeper, KW_KM_OK, NULL, kw_deadline(s->config), &why);
    if (r != 0)
        kw_log(KW_WARN, "the key of the former session was not destroyed yet: %s", why.text);
}

static int renew_oci(struct kw_session *n, struct kw_err *err)
{
    n->have_key = false;
    int r = n->key_pending ? 0 : kw_child_send(&n->crew.keeper, KW_KM_RENEW, NULL, NULL, 0, err);
    n->key_pending = r == 0;
    n->keeper_deadline = kw_deadline(n->config);
    if (r == 0)
        r = kw_session_subject(n, err);
    if (r == 0)
        r = kw_session_open_exchange(n, err);
    if (r == 0)
        r = kw_session_await_key(n, err);
    if (r == 0)
        r = kw_session_send_exchange(n, err);
    return r == 0 ? kw_session_judge(n, err) : r;
}

static int renew_google(struct kw_session *n, struct kw_err *err)
{
    int r = kw_google_subject(n, err);
    return r == 0 ? kw_google_exchange(n, err) : r;
}

int kw_session_renew(struct kw_session *s, struct kw_err *err)
{
    static struct kw_session n; /* large; becomes *s when all went well */
    bool google = s->config->cloud == KW_CLOUD_GOOGLE;
    n = *s;
    n.token = n.subject = NULL;
    int r = google ? renew_google(&n, err) : renew_oci(&n, err);
    if (r == 0)
        r = kw_session_open_signing(&n, err);
    /* Channels have counters, and who died was reaped: that is of both. */
    s->crew = n.crew;
    s->key_pending = n.key_pending;
    if (r != 0) {
        kw_secret_free(&n.token);
        kw_secret_free(&n.subject);
        return r;
    }
    kw_secret_free(&s->token);
    n.generation = google ? 0 : s->generation + 1;
    *s = n;
    s->key.spki.p = s->spki;
    r = kw_session_to_proxy(s, s->token, err);
    if (r == 0 && !google)
        retire(s);
    return r;
}

int kw_session_settle(struct kw_session *s, struct kw_err *err)
{
    s->have_key = false;
    s->keeper_deadline = kw_deadline(s->config);
    return kw_session_await_key(s, err);
}

int kw_session_identity(struct kw_session *s, const char *audience, struct kw_secret **ret,
                        struct kw_err *err)
{
    static struct kw_session n;
    static struct kw_config c; /* both large; the exchange is told by the configuration */
    c = *s->config;
    *ret = NULL;
    if (c.service_account[0] == '\0')
        return kw_fail(err, KW_USAGE,
                       "an ID token is a service account's: set [google %s] service_account",
                       c.profile);
    if ((size_t)snprintf(c.id_audience, sizeof c.id_audience, "%s", audience) >=
        sizeof c.id_audience)
        return kw_fail(err, KW_USAGE, "the audience is too long");
    c.include_email = true;
    n = *s;
    n.config = &c;
    n.token = n.subject = NULL;
    int r = renew_google(&n, err);
    s->crew = n.crew;
    kw_secret_free(&n.subject);
    if (r == 0)
        *ret = n.token;
    else
        kw_secret_free(&n.token);
    return r;
}
