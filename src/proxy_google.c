/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests to Google: the stand-in bearer must be the one credential in them. */
#include <openssl/crypto.h>
#include <string.h>
#include <strings.h>

#include "proxy_scope.h"

static bool to_text(struct kw_span s, char *out, size_t size)
{
    if (s.n >= size)
        return false;
    memcpy(out, s.p, s.n);
    out[s.n] = '\0';
    return true;
}

/* access_token= in a query is a credential, whoever's it is (RFC 6750 section 2.3). */
static bool token_in_query(struct kw_span target)
{
    static const char name[] = "access_token=";
    size_t len = sizeof name - 1;
    const char *q = memchr(target.p, '?', target.n), *end = target.p + target.n;
    for (const char *p = q; p != NULL && p < end && (size_t)(end - p) > len; p++)
        if ((*p == '?' || *p == '&') && (size_t)(end - p - 1) >= len &&
            strncasecmp(p + 1, name, len) == 0)
            return true;
    return false;
}

int kw_scope_google(const struct kw_scope *s, const struct kw_head *h, const char *host,
                    struct kw_m_allow *m, bool *ret_bare, struct kw_err *err)
{
    static const char scheme[] = "Bearer ";
    size_t n = strlen(s->say.decoy_token);
    unsigned count = kw_head_count(h, "authorization");
    struct kw_span a = kw_head_find(h, "authorization");
    (void)host; /* is what Host says, by kw_scope_same_host() */
    memset(m, 0, sizeof *m);
    *ret_bare = count == 0;
    if (!to_text(h->method, m->method, sizeof m->method) ||
        !to_text(h->host, m->host, sizeof m->host) ||
        !to_text(h->target, m->target, sizeof m->target))
        return kw_fail(err, KW_POLICY, "the request's method, Host or target is too long");
    if (token_in_query(h->target))
        return kw_fail(err, KW_POLICY, "the request has a token in its query");
    if (count == 0)
        return 0;
    bool ours = count == 1 && n > 0 && a.n == n + sizeof scheme - 1 &&
                strncasecmp(a.p, scheme, sizeof scheme - 1) == 0 &&
                CRYPTO_memcmp(a.p + sizeof scheme - 1, s->say.decoy_token, n) == 0;
    return ours ? 0
                : kw_fail(err, KW_POLICY,
                          "the request's Authorization is not the run's stand-in: the tool found "
                          "other credentials (of an earlier run, or made visible by --share-home "
                          "or --keep-env)");
}
