/* SPDX-License-Identifier: Apache-2.0
 *
 * Where CMD may go, and what goes on in the place of what it sent. */
#include "proxy_scope.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config.h"
#include "policy/rules.h"

/* --- routes ------------------------------------------------------------------------- */

/* An address in any form that a resolver takes for one: dotted quads, numbers, hexadecimal,
 * IPv6. No name ends in a label that is a number (RFC 3696 section 2). */
static bool is_address(const char *host)
{
    if (strchr(host, ':') != NULL || host[0] == '[')
        return true;
    const char *last = strrchr(host, '.');
    last = last != NULL ? last + 1 : host;
    if (strncasecmp(last, "0x", 2) == 0)
        return true;
    return *last != '\0' && last[strspn(last, "0123456789")] == '\0';
}

enum kw_route kw_scope_route(const struct kw_scope *s, const char *host, uint16_t port,
                             struct kw_err *err)
{
    struct kw_err why;
    size_t n = strlen(host);
    if (n == 0 || host[n - 1] == '.' || is_address(host)) {
        (void)kw_fail(err, KW_POLICY, "%s is no host name: addresses are not served", host);
        return KW_ROUTE_REFUSE;
    }
    if (kw_host_in(s->say.sign_host, host))
        return s->say.cloud == KW_CLOUD_GOOGLE ? KW_ROUTE_GOOGLE : KW_ROUTE_OCI;
    if (s->say.egress[0] != '\0' && kw_dial_judge(s->say.egress, host, port, &why) == 0)
        return KW_ROUTE_TUNNEL;
    (void)kw_fail(err, KW_POLICY,
                  "%s:%u is neither in [policy] sign.host nor in [run] egress; if CMD shall reach "
                  "it, add it to egress",
                  host, (unsigned)port);
    return KW_ROUTE_REFUSE;
}

bool kw_scope_same_host(struct kw_span field, const char *host, uint16_t port)
{
    char with[KW_HOST + 8];
    (void)snprintf(with, sizeof with, "%s:%u", host, (unsigned)port);
    return kw_span_is_nocase(field, with) || (port == 443 && kw_span_is_nocase(field, host));
}

/* --- leaks ---------------------------------------------------------------------------- */

static bool holds(struct kw_span s, const char *secret, size_t n)
{
    return n > 0 && s.n >= n && memmem(s.p, s.n, secret, n) != NULL;
}

/* The part that only this run's stand-in has: its random end. Percent-encoding changes none of
 * its characters; base64 of the whole would, in three alignments, but is no form in which any
 * client sends a credential. */
static struct kw_span unique(const struct kw_scope *s)
{
    enum { RANDOM = 40 };
    size_t n = strlen(s->say.decoy_token);
    return n > RANDOM ? (struct kw_span){s->say.decoy_token + n - RANDOM, RANDOM}
                      : (struct kw_span){s->say.decoy_token, n};
}

bool kw_scope_leaks(const struct kw_scope *s, const struct kw_head *h)
{
    struct kw_span mark = unique(s);
    if (holds(h->target, mark.p, mark.n))
        return true;
    for (size_t i = 0; i < h->fields; i++)
        if (holds(h->values[i], mark.p, mark.n) && !kw_span_is_nocase(h->names[i], "authorization"))
            return true;
    return false;
}

/* --- the head anew ---------------------------------------------------------------------- */

static void put(struct kw_buf *b, struct kw_span s)
{
    kw_put(b, s.p, s.n);
}

/* Whether the Connection fields name this one. */
static bool named_by_connection(const struct kw_head *h, struct kw_span name)
{
    char word[64];
    if (name.n >= sizeof word)
        return false;
    for (size_t i = 0; i < h->fields; i++) {
        if (!kw_span_is_nocase(h->names[i], "connection"))
            continue;
        const char *p = h->values[i].p, *end = p + h->values[i].n;
        while (p < end) {
            const char *from = p + strspn(p, " \t,");
            const char *to = from;
            while (to < end && *to != ',' && *to != ' ' && *to != '\t')
                to++;
            if ((size_t)(to - from) == name.n && strncasecmp(from, name.p, name.n) == 0)
                return true;
            p = to < end ? to + 1 : end;
        }
    }
    return false;
}

static bool hop_by_hop(const struct kw_head *h, struct kw_span name)
{
    static const char *const names[] = {"connection", "keep-alive", "te",
                                        "trailer",    "upgrade",    "authorization"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (kw_span_is_nocase(name, names[i]))
            return true;
    if (name.n > 6 && strncasecmp(name.p, "proxy-", 6) == 0)
        return true;
    /* What says where the message ends or goes is never dropped on anybody's word. */
    if (kw_span_is_nocase(name, "host") || kw_span_is_nocase(name, "content-length") ||
        kw_span_is_nocase(name, "transfer-encoding") || kw_span_is_nocase(name, "expect"))
        return false;
    return named_by_connection(h, name);
}

int kw_scope_rewrite(const struct kw_head *h, const struct kw_buf *authorization,
                     struct kw_buf *out, struct kw_err *err)
{
    put(out, h->method);
    kw_put_str(out, " ");
    put(out, h->target);
    kw_put_str(out, " HTTP/1.1\r\n");
    for (size_t i = 0; i < h->fields; i++) {
        if (hop_by_hop(h, h->names[i]))
            continue;
        put(out, h->names[i]);
        kw_put_str(out, ": ");
        put(out, h->values[i]);
        kw_put_str(out, "\r\n");
    }
    if (authorization != NULL) {
        kw_put_str(out, "Authorization: ");
        kw_put(out, authorization->p, authorization->len);
        kw_put_str(out, "\r\n");
    }
    kw_put_str(out, "Connection: keep-alive\r\n\r\n");
    return out->bad ? kw_fail(err, KW_POLICY, "the request's head is too long to be sent on") : 0;
}
