/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy_scope.h"

#include <string.h>
#include <strings.h>

#include "policy/rules.h"
#include "proxy_head_int.h"
#include "proxy_scope_int.h"
#include "src/config/config.h"

bool kw_span_copy(struct kw_span s, char *to, size_t size)
{
    if (s.p == NULL || s.n >= size || memchr(s.p, '\0', s.n) != NULL)
        return false;
    memcpy(to, s.p, s.n);
    to[s.n] = '\0';
    return true;
}

/* What inet_aton() or a URL parser may take for an address: an IPv6 literal, or a last label
 * that is a number, as in 127.1, 0x7f.1 and 2130706433. No top-level domain is one. */
static bool is_address(const char *host)
{
    const char *dot = strrchr(host, '.'), *last = dot != NULL ? dot + 1 : host;
    if (strpbrk(host, ":[]") != NULL)
        return true;
    if (strncasecmp(last, "0x", 2) == 0)
        return last[2 + strspn(last + 2, "0123456789abcdefABCDEF")] == '\0';
    return last[strspn(last, "0123456789")] == '\0'; /* also where nothing follows the dot */
}

enum kw_route kw_scope_route(const struct kw_scope *s, const char *host, uint16_t port,
                             struct kw_err *err)
{
    if (port == 0 || is_address(host)) {
        (void)kw_fail(err, KW_POLICY,
                      "connecting to %s:%u is refused: the proxy serves names only, no addresses "
                      "and no names that end in a dot",
                      host, (unsigned)port);
        return KW_ROUTE_REFUSE;
    }
    if (kw_host_in(s->say.sign_host, host) && s->say.cloud == KW_CLOUD_OCI)
        return KW_ROUTE_OCI;
    if (kw_host_in(s->say.sign_host, host) && s->say.cloud == KW_CLOUD_GOOGLE)
        return KW_ROUTE_GOOGLE;
    if (s->say.egress[0] != '\0' && kw_dial_judge(s->say.egress, host, port, NULL) == 0)
        return KW_ROUTE_TUNNEL;
    (void)kw_fail(err, KW_POLICY,
                  "connecting to %s:%u is not allowed; if it is meant, add %s:%u to egress in the "
                  "[run] section, or the host to sign.host if it is to be given credentials",
                  host, (unsigned)port, host, (unsigned)port);
    return KW_ROUTE_REFUSE;
}

bool kw_scope_same_host(struct kw_span host_field, const char *host, uint16_t port)
{
    struct kw_span name;
    uint32_t p;
    return kw_head_authority(host_field, &name, &p) && kw_span_is_nocase(name, host) &&
           (p != 0 ? p : 443) == port;
}

int kw_scope_fill(const struct kw_head *h, const char *host, char *ret_method, size_t method_size,
                  char *ret_host, char *ret_target, struct kw_err *err)
{
    struct kw_span name;
    uint32_t port;
    if (!kw_head_authority(h->host, &name, &port) || !kw_span_is_nocase(name, host))
        return kw_fail(err, KW_POLICY, "the request's Host is not %s, which it was sent to", host);
    if (h->target.n == 0 || h->target.p[0] != '/')
        return kw_fail(err, KW_POLICY, "the request to %s has no path as its target", host);
    if (!kw_span_copy(h->method, ret_method, method_size) ||
        !kw_span_copy(h->host, ret_host, KW_HOST) ||
        !kw_span_copy(h->target, ret_target, KW_TARGET))
        return kw_fail(err, KW_POLICY, "the request to %s has too long a method or target", host);
    return 0;
}
