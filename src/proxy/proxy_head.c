/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy_head.h"

#include <string.h>
#include <strings.h>

#include "proxy_head_int.h"

#define TARGET_MAX 8191u /* bytes, as kw_m_sign has room for; more is 414 */
#define METHOD_MAX 16u

bool kw_span_is(struct kw_span s, const char *text)
{
    size_t n = strlen(text);
    return s.p != NULL && s.n == n && memcmp(s.p, text, n) == 0;
}

bool kw_span_is_nocase(struct kw_span s, const char *text)
{
    size_t n = strlen(text);
    return s.p != NULL && s.n == n && strncasecmp(s.p, text, n) == 0;
}

struct kw_span kw_head_find(const struct kw_head *h, const char *name)
{
    for (size_t i = 0; i < h->fields; i++)
        if (kw_span_is_nocase(h->names[i], name))
            return h->values[i];
    return (struct kw_span){.p = NULL, .n = 0};
}

unsigned kw_head_count(const struct kw_head *h, const char *name)
{
    unsigned count = 0;
    for (size_t i = 0; i < h->fields; i++)
        count += kw_span_is_nocase(h->names[i], name);
    return count;
}

static unsigned bad(struct kw_err *err, unsigned status, const char *why)
{
    (void)kw_fail(err, KW_FAILED, "%s", why);
    return status;
}

/* RFC 9112, section 2.2: lines end in CRLF, and CR and LF are nowhere else. Finds the end of
 * the next line from at: 1 and *ret_n, its length without CRLF; 0 if it isn't there yet; -1. */
static int line_at(const char *p, size_t n, size_t at, size_t *ret_n)
{
    for (size_t i = at; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        if (c == '\r') {
            if (i + 1 == n)
                return 0;
            *ret_n = i - at;
            return p[i + 1] == '\n' ? 1 : -1;
        }
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return -1;
    }
    return 0;
}

/* HTTP/1.0 or HTTP/1.1; 505 for another well-formed version. */
static unsigned version(struct kw_span s, unsigned *ret_minor, struct kw_err *err)
{
    if (s.n != 8 || memcmp(s.p, "HTTP/", 5) != 0 || s.p[5] < '0' || s.p[5] > '9' || s.p[6] != '.' ||
        s.p[7] < '0' || s.p[7] > '9')
        return bad(err, 400, "the first line has no HTTP version");
    if (s.p[5] != '1' || s.p[7] > '1')
        return bad(err, 505, "the HTTP version is neither 1.0 nor 1.1");
    *ret_minor = (unsigned)(s.p[7] - '0');
    return 0;
}

static unsigned method_ok(struct kw_span s, struct kw_err *err)
{
    for (size_t i = 0; i < s.n; i++)
        if (!kw_head_tchar((unsigned char)s.p[i]))
            return bad(err, 400, "the method is not a token");
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 'A' || s.p[i] > 'Z')
            return bad(err, 501, "the method is not of letters A to Z");
    if (s.n == 0)
        return bad(err, 400, "there is no method");
    return s.n <= METHOD_MAX ? 0 : bad(err, 501, "the method is too long");
}

static unsigned target_ok(const struct kw_head *h, struct kw_err *err)
{
    struct kw_span t = h->target, host;
    uint32_t port;
    if (t.n > TARGET_MAX)
        return bad(err, 414, "the request target is too long");
    for (size_t i = 0; i < t.n; i++)
        if (t.p[i] < 0x21 || t.p[i] > 0x7e || t.p[i] == '#')
            return bad(err, 400, "the request target has a character that can't be in one");
    if (kw_span_is(h->method, "CONNECT"))
        return kw_head_authority(t, &host, &port) && port != 0
                   ? 0
                   : bad(err, 400, "CONNECT needs host:port");
    if (t.n > 0 && t.p[0] == '/')
        return 0;
    if (t.n < 8 || strncasecmp(t.p, "http://", 7) != 0)
        return bad(err, 400, "the request target is neither a path nor an http:// URL");
    const char *slash = memchr(t.p + 7, '/', t.n - 7);
    struct kw_span authority = {.p = t.p + 7, .n = slash != NULL ? (size_t)(slash - t.p) - 7 : 0};
    return kw_head_authority(authority, &host, &port)
               ? 0
               : bad(err, 400, "the URL in the request line has no plain host and path");
}

/* method SP target SP version, one space each (RFC 9112, section 3) */
static unsigned request_line(struct kw_span line, struct kw_head *h, struct kw_err *err)
{
    const char *end = line.p + line.n;
    if (line.n == 0)
        return bad(err, 400, "there is an empty line before the request");
    const char *a = memchr(line.p, ' ', line.n);
    const char *b = a != NULL ? memchr(a + 1, ' ', (size_t)(end - a) - 1) : NULL;
    if (b == NULL)
        return bad(err, 400, "the request line is not method, target and version");
    h->method = (struct kw_span){.p = line.p, .n = (size_t)(a - line.p)};
    h->target = (struct kw_span){.p = a + 1, .n = (size_t)(b - a) - 1};
    struct kw_span v = {.p = b + 1, .n = (size_t)(end - b) - 1};
    unsigned status = version(v, &h->minor, err);
    if (status == 0)
        status = method_ok(h->method, err);
    return status != 0 ? status : target_ok(h, err);
}

/* version SP 3DIGIT SP [reason] (RFC 9112, section 4) */
static unsigned status_line(struct kw_span line, struct kw_head *h, struct kw_err *err)
{
    if (line.n < 13 || line.p[8] != ' ' || line.p[12] != ' ')
        return bad(err, 400, "the status line is not version, status and reason");
    for (size_t i = 9; i < 12; i++) {
        if (line.p[i] < '0' || line.p[i] > '9')
            return bad(err, 400, "the status is not three digits");
        h->status = h->status * 10 + (unsigned)(line.p[i] - '0');
    }
    if (h->status < 100 || h->status > 599)
        return bad(err, 400, "the status is not within 100 to 599");
    return version((struct kw_span){.p = line.p, .n = 8}, &h->minor, err);
}

/* name ":" OWS value OWS (RFC 9112, section 5): no obs-fold, no white space before ":" */
static unsigned field_line(struct kw_span line, struct kw_head *h, struct kw_err *err)
{
    const char *colon = memchr(line.p, ':', line.n);
    if (line.p[0] == ' ' || line.p[0] == '\t')
        return bad(err, 400, "a header line begins with white space");
    if (colon == NULL || colon == line.p)
        return bad(err, 400, "a header line has no name or no colon");
    if (h->fields == KW_HEAD_FIELDS)
        return bad(err, 431, "there are too many header fields");
    const char *v = colon + 1, *end = line.p + line.n;
    for (const char *c = line.p; c < colon; c++)
        if (!kw_head_tchar((unsigned char)*c))
            return bad(err, 400, "a header field's name is not a token");
    while (v < end && (*v == ' ' || *v == '\t'))
        v++;
    while (v < end && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    h->names[h->fields] = (struct kw_span){.p = line.p, .n = (size_t)(colon - line.p)};
    h->values[h->fields++] = (struct kw_span){.p = v, .n = (size_t)(end - v)};
    return 0;
}

typedef unsigned first_line(struct kw_span line, struct kw_head *h, struct kw_err *err);

/* Splits the head: its length, 0 or -1 as kw_head_request(). Each line is judged as soon as it
 * is whole, so that what can't become a head is not waited for. */
static long split(const char *p, size_t n, first_line *first, struct kw_head *h,
                  unsigned *ret_status, struct kw_err *err)
{
    size_t at = 0, len = 0, seen = n < KW_HEAD_MAX ? n : KW_HEAD_MAX;
    *h = (struct kw_head){.status = 0};
    for (unsigned lines = 0;; lines++, at += len + 2) {
        int r = line_at(p, seen, at, &len);
        if (r == 0 && n < KW_HEAD_MAX)
            return 0;
        *ret_status = r == 0 ? bad(err, 431, "the head is too long") : 0;
        if (r < 0)
            *ret_status = bad(err, 400, "a line has a control character or does not end in CRLF");
        if (*ret_status != 0)
            return -1;
        struct kw_span line = {.p = p + at, .n = len};
        if (lines > 0 && len == 0)
            return (long)(at + 2);
        *ret_status = lines == 0 ? first(line, h, err) : field_line(line, h, err);
        if (*ret_status != 0)
            return -1;
    }
}

long kw_head_request(const char *p, size_t n, struct kw_head *ret, unsigned *ret_status,
                     struct kw_err *err)
{
    long len = split(p, n, request_line, ret, ret_status, err);
    if (len > 0 && (*ret_status = kw_head_request_fields(ret, err)) != 0)
        return -1;
    return len;
}

long kw_head_response(const char *p, size_t n, const struct kw_span *method, struct kw_head *ret,
                      struct kw_err *err)
{
    unsigned status = 0;
    long len = split(p, n, status_line, ret, &status, err);
    if (len > 0 && kw_head_response_fields(ret, method, err) != 0)
        return -1;
    return len;
}
