/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <strings.h>

#include <openssl/crypto.h>

#include "proxy_scope_int.h"

/* access_token= in a query is a credential, whoever's it is (RFC 6750 section 2.3). */
static bool token_in_query(struct kw_span target)
{
    static const char name[] = "access_token=";
    size_t len = sizeof name - 1;
    const char *end = target.p + target.n, *p = memchr(target.p, '?', target.n);
    for (; p != NULL && (size_t)(end - p) > len; p = memchr(p + 1, '&', (size_t)(end - p - 1)))
        if (strncasecmp(p + 1, name, len) == 0)
            return true;
    return false;
}

int kw_scope_google(const struct kw_scope *s, const struct kw_head *h, const char *host,
                    struct kw_m_allow *m, bool *ret_bare, struct kw_err *err)
{
    static const char scheme[] = "Bearer ";
    const char *decoy = s->say.decoy_token;
    unsigned count = kw_head_count(h, "Authorization");
    struct kw_span a = kw_head_find(h, "Authorization");
    *ret_bare = count == 0;
    int r = kw_scope_fill(h, host, m->method, sizeof m->method, m->host, m->target, err);
    if (r == 0 && token_in_query(h->target))
        r = kw_fail(err, KW_POLICY, "the request to %s has a token in its query", host);
    if (r != 0 || count == 0)
        return r;
    if (count > 1)
        return kw_fail(err, KW_POLICY, "the request to %s has more than one Authorization", host);
    if (a.n < sizeof scheme || strncasecmp(a.p, scheme, sizeof scheme - 1) != 0)
        return kw_fail(err, KW_POLICY, "the request to %s has an Authorization that is no Bearer",
                       host);
    a.p += sizeof scheme - 1;
    a.n -= sizeof scheme - 1;
    if (decoy[0] != '\0' && a.n == strlen(decoy) && CRYPTO_memcmp(a.p, decoy, a.n) == 0)
        return 0;
    return kw_fail(err, KW_POLICY,
                   "the request to %s has another bearer than the run's stand-in: unset what gives "
                   "the program a credential of its own (GOOGLE_APPLICATION_CREDENTIALS, say), or "
                   "use --keep-env only for what it needs",
                   host);
}
