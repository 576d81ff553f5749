/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <strings.h>

#include "proxy_head_int.h"

#define LENGTH_DIGITS 18u /* of Content-Length: below 2^63, whoever reads it */

bool kw_head_tchar(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static unsigned bad(struct kw_err *err, unsigned status, const char *why)
{
    (void)kw_fail(err, KW_FAILED, "%s", why);
    return status;
}

static bool all_of(struct kw_span s, const char *chars)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '\0' || strchr(chars, s.p[i]) == NULL)
            return false;
    return s.n > 0;
}

static bool port_ok(struct kw_span s, uint32_t *ret)
{
    uint32_t v = 0;
    if (s.n > 5 || !all_of(s, "0123456789") || s.p[0] == '0')
        return false;
    for (size_t i = 0; i < s.n; i++)
        v = v * 10 + (uint32_t)(s.p[i] - '0');
    *ret = v;
    return v <= 65535;
}

bool kw_head_authority(struct kw_span s, struct kw_span *ret_host, uint32_t *ret_port)
{
    static const char name[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
    bool literal = s.n > 0 && s.p[0] == '[';
    const char *end = s.n == 0 ? NULL : memchr(s.p, literal ? ']' : ':', s.n);
    size_t n = end != NULL ? (size_t)(end - s.p) + literal : s.n;
    *ret_host = (struct kw_span){.p = s.p, .n = n};
    *ret_port = 0;
    struct kw_span inner = {.p = s.p + literal, .n = n};
    if (literal) {
        if (end == NULL || n < 4)
            return false;
        inner.n = n - 2;
    }
    if (n > 255 || !all_of(inner, literal ? "0123456789abcdefABCDEF:." : name))
        return false;
    if (n == s.n)
        return true;
    return s.p[n] == ':' && port_ok((struct kw_span){.p = s.p + n + 1, .n = s.n - n - 1}, ret_port);
}

bool kw_head_same_authority(struct kw_span a, struct kw_span b, uint32_t default_port)
{
    struct kw_span ha, hb;
    uint32_t pa, pb;
    if (!kw_head_authority(a, &ha, &pa) || !kw_head_authority(b, &hb, &pb))
        return false;
    return ha.n == hb.n && strncasecmp(ha.p, hb.p, ha.n) == 0 &&
           (pa != 0 ? pa : default_port) == (pb != 0 ? pb : default_port);
}

/* The next element of a comma-separated list, without white space around it. */
static bool element(struct kw_span *rest, struct kw_span *ret)
{
    if (rest->p == NULL)
        return false;
    const char *end = rest->p + rest->n;
    const char *comma = memchr(rest->p, ',', rest->n);
    const char *a = rest->p, *b = comma != NULL ? comma : end;
    while (a < b && (*a == ' ' || *a == '\t'))
        a++;
    while (a < b && (b[-1] == ' ' || b[-1] == '\t'))
        b--;
    *ret = (struct kw_span){.p = a, .n = (size_t)(b - a)};
    *rest = comma != NULL ? (struct kw_span){.p = comma + 1, .n = (size_t)(end - comma) - 1}
                          : (struct kw_span){.p = NULL, .n = 0};
    return true;
}

/* Fields that a Connection can't make hop-by-hop: the next hop would see another request. */
static bool is_end_to_end(struct kw_span s)
{
    static const char *const names[] = {"host",   "content-length", "transfer-encoding",
                                        "date",   "content-type",   "x-content-sha256",
                                        "x-date", "authorization",  "expect"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (kw_span_is_nocase(s, names[i]))
            return true;
    return false;
}

static unsigned connection(struct kw_head *h, struct kw_err *err)
{
    bool closes = false, keeps = false;
    h->upgrades = kw_head_count(h, "Upgrade") > 0;
    for (size_t i = 0; i < h->fields; i++) {
        if (!kw_span_is_nocase(h->names[i], "Connection"))
            continue;
        struct kw_span rest = h->values[i], e;
        while (element(&rest, &e)) {
            for (size_t k = 0; k < e.n; k++)
                if (!kw_head_tchar((unsigned char)e.p[k]))
                    return bad(err, 400, "Connection is not a list of tokens");
            if (is_end_to_end(e))
                return bad(err, 400, "Connection names a field that must reach the other end");
            closes = closes || kw_span_is_nocase(e, "close");
            keeps = keeps || kw_span_is_nocase(e, "keep-alive");
            h->upgrades = h->upgrades || kw_span_is_nocase(e, "upgrade");
        }
    }
    h->keep_alive = !closes && (h->minor == 1 || keeps);
    return 0;
}

/* Content-Length and Transfer-Encoding (RFC 9112, section 6), each at most once and never
 * both. An answer's "Chunked" is let pass in any case, a request's is not. */
static unsigned framing(struct kw_head *h, struct kw_err *err)
{
    struct kw_span cl = kw_head_find(h, "Content-Length");
    struct kw_span te = kw_head_find(h, "Transfer-Encoding");
    h->framing = KW_BODY_NONE;
    if (cl.p != NULL && te.p != NULL)
        return bad(err, 400, "there are both Content-Length and Transfer-Encoding");
    if (kw_head_count(h, "Content-Length") > 1 || kw_head_count(h, "Transfer-Encoding") > 1)
        return bad(err, 400, "Content-Length or Transfer-Encoding is there twice");
    /* llhttp does not know "chunked" by a tab behind it, nor Python's http.client by a blank. */
    if ((cl.p != NULL && cl.p[cl.n] != '\r') || (te.p != NULL && te.p[te.n] != '\r'))
        return bad(err, 400, "white space follows Content-Length or Transfer-Encoding");
    if (te.p != NULL) {
        if (h->minor == 0)
            return bad(err, 400, "Transfer-Encoding is not for HTTP/1.0");
        if (h->status != 0 ? !kw_span_is_nocase(te, "chunked") : !kw_span_is(te, "chunked"))
            return bad(err, 501, "Transfer-Encoding is not exactly \"chunked\"");
        h->framing = KW_BODY_CHUNKED;
    }
    if (cl.p != NULL) {
        if (cl.n > LENGTH_DIGITS || !all_of(cl, "0123456789") || (cl.n > 1 && cl.p[0] == '0'))
            return bad(err, 400, "Content-Length is not a plain number");
        for (size_t i = 0; i < cl.n; i++)
            h->length = h->length * 10 + (uint64_t)(cl.p[i] - '0');
        h->framing = KW_BODY_LENGTH;
    }
    return 0;
}

static unsigned host(struct kw_head *h, struct kw_err *err)
{
    struct kw_span name;
    uint32_t port;
    unsigned count = kw_head_count(h, "Host");
    if (count > 1)
        return bad(err, 400, "there is more than one Host");
    if (count == 0)
        return h->minor == 0 ? 0 : bad(err, 400, "there is no Host");
    h->host = kw_head_find(h, "Host");
    if (!kw_head_authority(h->host, &name, &port))
        return bad(err, 400, "Host is not a plain host and port");
    if (kw_span_is(h->method, "CONNECT"))
        return kw_head_same_authority(h->target, h->host, 443)
                   ? 0
                   : bad(err, 400, "Host is not what CONNECT asks for");
    if (h->target.p[0] == '/')
        return 0;
    const char *from = h->target.p + 7; /* http:// */
    const char *slash = memchr(from, '/', h->target.n - 7);
    struct kw_span authority = {.p = from, .n = slash != NULL ? (size_t)(slash - from) : 0};
    return kw_head_same_authority(authority, h->host, 80)
               ? 0
               : bad(err, 400, "Host is not the host of the URL in the request line");
}

unsigned kw_head_request_fields(struct kw_head *h, struct kw_err *err)
{
    unsigned status = host(h, err);
    if (status == 0)
        status = framing(h, err);
    if (status == 0)
        status = connection(h, err);
    if (status != 0)
        return status;
    if (kw_span_is(h->method, "CONNECT") && h->framing != KW_BODY_NONE)
        return bad(err, 400, "CONNECT has a body");
    unsigned expect = kw_head_count(h, "Expect");
    h->expects = expect > 0;
    if (expect > 1 ||
        (expect == 1 &&
         (h->minor == 0 || !kw_span_is_nocase(kw_head_find(h, "Expect"), "100-continue"))))
        return bad(err, 417, "Expect is not 100-continue, once and in HTTP/1.1");
    return 0;
}

unsigned kw_head_response_fields(struct kw_head *h, const struct kw_span *method,
                                 struct kw_err *err)
{
    unsigned status = framing(h, err);
    if (status == 0)
        status = connection(h, err);
    if (status != 0)
        return status;
    bool bare = h->status < 200 || h->status == 204;
    bool connected = kw_span_is(*method, "CONNECT") && h->status / 100 == 2;
    if ((bare || connected) &&
        (h->framing == KW_BODY_CHUNKED || (h->framing == KW_BODY_LENGTH && h->length > 0)))
        return bad(err, 502, "the answer announces a body that it can't have");
    if (bare || connected || h->status == 304 || kw_span_is(*method, "HEAD")) {
        h->framing = KW_BODY_NONE;
        h->length = 0;
    } else if (h->framing == KW_BODY_NONE) {
        h->framing = KW_BODY_CLOSE;
        h->keep_alive = false;
    }
    return 0;
}
