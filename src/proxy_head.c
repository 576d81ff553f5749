/* SPDX-License-Identifier: Apache-2.0
 *
 * Heads of requests and answers. One pass, no copies, no second opinion: a byte that the
 * grammar doesn't have ends it. */
#include "proxy_head.h"

#include <string.h>
#include <strings.h>

enum { METHOD_MAX = 16, TARGET_MAX = 8191, NUMBER_DIGITS = 18 };

struct cursor {
    const char *p, *end;
};

static bool is_token_char(unsigned char c)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != '\0' && strchr(others, c) != NULL);
}

static int bad(struct kw_err *err, unsigned *status, unsigned code, const char *why)
{
    if (status != NULL)
        *status = code;
    return kw_fail(err, KW_POLICY, "the HTTP head is refused: %s", why);
}

bool kw_span_is(struct kw_span s, const char *text)
{
    return s.p != NULL && s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

bool kw_span_is_nocase(struct kw_span s, const char *text)
{
    return s.p != NULL && s.n == strlen(text) && strncasecmp(s.p, text, s.n) == 0;
}

struct kw_span kw_head_find(const struct kw_head *h, const char *name)
{
    for (size_t i = 0; i < h->fields; i++)
        if (kw_span_is_nocase(h->names[i], name))
            return h->values[i];
    return (struct kw_span){NULL, 0};
}

unsigned kw_head_count(const struct kw_head *h, const char *name)
{
    unsigned n = 0;
    for (size_t i = 0; i < h->fields; i++)
        n += kw_span_is_nocase(h->names[i], name);
    return n;
}

/* --- lines ------------------------------------------------------------------------ */

/* Takes one line without its CRLF. False where there is a CR or LF that doesn't end it. */
static bool take_line(struct cursor *c, struct kw_span *line)
{
    const char *lf = memchr(c->p, '\n', (size_t)(c->end - c->p));
    if (lf == NULL || lf == c->p || lf[-1] != '\r')
        return false;
    *line = (struct kw_span){c->p, (size_t)(lf - 1 - c->p)};
    c->p = lf + 1;
    return memchr(line->p, '\r', line->n) == NULL;
}

/* How long the head is, with its empty line; 0: not all here. */
static size_t head_length(const char *p, size_t n)
{
    static const char end[] = "\r\n\r\n";
    const char *at = n >= 4 ? memmem(p, n, end, 4) : NULL;
    return at != NULL ? (size_t)(at - p) + 4 : 0;
}

static int take_version(struct kw_span v, struct kw_head *h, unsigned *status, struct kw_err *err)
{
    if (v.n != 8 || memcmp(v.p, "HTTP/", 5) != 0 || v.p[6] != '.')
        return bad(err, status, 400, "it is not HTTP");
    if (v.p[5] != '1' || (v.p[7] != '0' && v.p[7] != '1'))
        return bad(err, status, 505, "its version is neither 1.0 nor 1.1");
    h->minor = (unsigned)(v.p[7] - '0');
    return 0;
}

static int take_field(struct kw_span line, struct kw_head *h, unsigned *status, struct kw_err *err)
{
    size_t n = 0;
    while (n < line.n && is_token_char((unsigned char)line.p[n]))
        n++;
    if (n == 0 || n == line.n || line.p[n] != ':')
        return bad(err, status, 400, "a header line has no good name (or continues another)");
    const char *from = line.p + n + 1, *end = line.p + line.n;
    while (from < end && (*from == ' ' || *from == '\t'))
        from++;
    while (from < end && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    for (const char *p = from; p < end; p++)
        if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7f)
            return bad(err, status, 400, "a header's value has a control character");
    if (h->fields == KW_HEAD_FIELDS)
        return bad(err, status, 431, "it has too many header lines");
    h->names[h->fields] = (struct kw_span){line.p, n};
    h->values[h->fields++] = (struct kw_span){from, (size_t)(end - from)};
    return 0;
}

static int take_fields(struct cursor *c, struct kw_head *h, unsigned *status, struct kw_err *err)
{
    struct kw_span line;
    for (;;) {
        if (!take_line(c, &line))
            return bad(err, status, 400, "a line ends in something else than CR LF");
        if (line.n == 0)
            return 0;
        int r = take_field(line, h, status, err);
        if (r != 0)
            return r;
    }
}

/* --- what fields mean --------------------------------------------------------------- */

/* Whether a comma-separated list has this word. */
static bool list_has(struct kw_span list, const char *word)
{
    size_t len = strlen(word);
    const char *p = list.p, *end = list.p + list.n;
    while (p != NULL && p < end) {
        while (p < end && (*p == ' ' || *p == '\t' || *p == ','))
            p++;
        const char *from = p;
        while (p < end && *p != ',')
            p++;
        size_t n = (size_t)(p - from);
        while (n > 0 && (from[n - 1] == ' ' || from[n - 1] == '\t'))
            n--;
        if (n == len && strncasecmp(from, word, n) == 0)
            return true;
    }
    return false;
}

static bool connection_has(const struct kw_head *h, const char *word)
{
    for (size_t i = 0; i < h->fields; i++)
        if (kw_span_is_nocase(h->names[i], "connection") && list_has(h->values[i], word))
            return true;
    return false;
}

static bool take_number(struct kw_span s, uint64_t *ret)
{
    uint64_t n = 0;
    if (s.n == 0 || s.n > NUMBER_DIGITS)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        n = n * 10 + (uint64_t)(s.p[i] - '0');
    }
    *ret = n;
    return true;
}

/* Content-Length and Transfer-Encoding, each at most once, never both (RFC 9112 section 6:
 * whoever lets two of them pass is what smuggling is made of). */
static int take_framing(struct kw_head *h, unsigned *status, struct kw_err *err)
{
    unsigned lengths = kw_head_count(h, "content-length");
    unsigned codings = kw_head_count(h, "transfer-encoding");
    h->framing = KW_BODY_NONE;
    if (lengths > 1 || codings > 1 || (lengths > 0 && codings > 0))
        return bad(err, status, 400, "it says in two ways how long its body is");
    if (codings == 1) {
        if (h->minor == 0 || !kw_span_is_nocase(kw_head_find(h, "transfer-encoding"), "chunked"))
            return bad(err, status, 501, "its transfer coding is not chunked alone, in HTTP/1.1");
        h->framing = KW_BODY_CHUNKED;
    }
    if (lengths == 1) {
        if (!take_number(kw_head_find(h, "content-length"), &h->length))
            return bad(err, status, 400, "its Content-Length is no number");
        h->framing = KW_BODY_LENGTH;
    }
    return 0;
}

static int take_meaning(struct kw_head *h, unsigned *status, struct kw_err *err)
{
    int r = take_framing(h, status, err);
    h->keep_alive = h->minor == 1 ? !connection_has(h, "close") : connection_has(h, "keep-alive");
    h->upgrades = kw_head_count(h, "upgrade") > 0;
    return r;
}

/* --- requests ------------------------------------------------------------------------ */

static bool visible(struct kw_span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= 0x20 || (unsigned char)s.p[i] > 0x7e || s.p[i] == '#')
            return false;
    return s.n > 0;
}

/* A host that a Host field or an authority can be: name, or IPv6 in brackets, and a port. */
static bool authority_ok(struct kw_span s, bool needs_port)
{
    size_t i = 0;
    if (s.n > 255 || s.n == 0)
        return false;
    if (s.p[0] == '[') {
        while (i < s.n && s.p[i] != ']')
            i++;
        if (i == s.n || strspn(s.p + 1, "0123456789abcdefABCDEF:.") < i - 1)
            return false;
        i++;
    } else
        while (i < s.n && s.p[i] != ':') {
            unsigned char c = (unsigned char)s.p[i];
            if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                  c == '.' || c == '-' || c == '_'))
                return false;
            i++;
        }
    if (i == 0 || (i < s.n && s.p[i] != ':'))
        return false;
    uint64_t port = 0;
    if (i == s.n)
        return !needs_port;
    return s.n - i - 1 <= 5 && take_number((struct kw_span){s.p + i + 1, s.n - i - 1}, &port) &&
           port > 0 && port < 65536;
}

static int take_target(struct kw_head *h, unsigned *status, struct kw_err *err)
{
    struct kw_span t = h->target;
    static const char scheme[] = "http://";
    if (t.n > TARGET_MAX)
        return bad(err, status, 414, "its target is too long");
    if (!visible(t))
        return bad(err, status, 400, "its target has bytes that a URL doesn't have");
    if (kw_span_is(h->method, "CONNECT"))
        return authority_ok(t, true) ? 0 : bad(err, status, 400, "CONNECT wants host:port");
    if (t.p[0] == '/')
        return 0;
    if (t.n <= sizeof scheme - 1 || strncasecmp(t.p, scheme, sizeof scheme - 1) != 0)
        return bad(err, status, 400, "its target is no path");
    struct kw_span a = {t.p + sizeof scheme - 1, 0};
    while (a.n < t.n - (sizeof scheme - 1) && a.p[a.n] != '/' && a.p[a.n] != '?')
        a.n++;
    if (!authority_ok(a, false))
        return bad(err, status, 400, "its target names no host");
    if (h->host.n != a.n || strncasecmp(h->host.p, a.p, a.n) != 0)
        return bad(err, status, 400, "its target and its Host name different places");
    return 0;
}

static int take_request_line(struct cursor *c, struct kw_head *h, unsigned *status,
                             struct kw_err *err)
{
    struct kw_span line;
    if (!take_line(c, &line))
        return bad(err, status, 400, "a line ends in something else than CR LF");
    size_t n = 0;
    while (n < line.n && line.p[n] >= 'A' && line.p[n] <= 'Z')
        n++;
    if (n == 0 || n > METHOD_MAX || n == line.n || line.p[n] != ' ')
        return bad(err, status, n > METHOD_MAX ? 501 : 400, "it begins with no method");
    h->method = (struct kw_span){line.p, n};
    const char *target = line.p + n + 1, *end = line.p + line.n;
    const char *space = memchr(target, ' ', (size_t)(end - target));
    if (space == NULL || memchr(space + 1, ' ', (size_t)(end - space - 1)) != NULL)
        return bad(err, status, 400, "its first line is not method, target and version");
    h->target = (struct kw_span){target, (size_t)(space - target)};
    return take_version((struct kw_span){space + 1, (size_t)(end - space - 1)}, h, status, err);
}

static int take_host(struct kw_head *h, unsigned *status, struct kw_err *err)
{
    unsigned hosts = kw_head_count(h, "host");
    bool tunnel = kw_span_is(h->method, "CONNECT");
    if (hosts > 1 || (hosts == 0 && !(tunnel && h->minor == 0)))
        return bad(err, status, 400, "it must have one Host");
    if (hosts == 1) {
        h->host = kw_head_find(h, "host");
        if (!authority_ok(h->host, false))
            return bad(err, status, 400, "its Host is none");
    }
    return 0;
}

static int take_expect(struct kw_head *h, unsigned *status, struct kw_err *err)
{
    unsigned n = kw_head_count(h, "expect");
    if (n == 0)
        return 0;
    if (n > 1 || !kw_span_is_nocase(kw_head_find(h, "expect"), "100-continue"))
        return bad(err, status, 417, "it expects something else than 100-continue");
    h->expects = true;
    return 0;
}

long kw_head_request(const char *p, size_t n, struct kw_head *ret, unsigned *ret_status,
                     struct kw_err *err)
{
    memset(ret, 0, sizeof *ret);
    *ret_status = 400;
    size_t length = head_length(p, n < KW_HEAD_MAX ? n : KW_HEAD_MAX);
    /* What can't become a head is not waited for. */
    if (n > 0 && (p[0] < 'A' || p[0] > 'Z'))
        return -(bad(err, ret_status, 400, "it begins with no method") != 0);
    if (length == 0)
        return n >= KW_HEAD_MAX ? -(bad(err, ret_status, 431, "it is too long") != 0) : 0;
    struct cursor c = {p, p + length};
    int r = take_request_line(&c, ret, ret_status, err);
    if (r == 0)
        r = take_fields(&c, ret, ret_status, err);
    if (r == 0)
        r = take_host(ret, ret_status, err);
    if (r == 0)
        r = take_target(ret, ret_status, err);
    if (r == 0)
        r = take_meaning(ret, ret_status, err);
    if (r == 0)
        r = take_expect(ret, ret_status, err);
    if (r == 0 && c.p != c.end) /* an empty line in between, which take_fields() stopped at */
        r = bad(err, ret_status, 400, "it is not one head");
    return r == 0 ? (long)length : -1;
}

/* --- answers ------------------------------------------------------------------------- */

static int take_status_line(struct cursor *c, struct kw_head *h, struct kw_err *err)
{
    struct kw_span line;
    uint64_t status = 0;
    if (!take_line(c, &line) || line.n < 12 || line.p[8] != ' ' ||
        (line.n > 12 && line.p[12] != ' ') ||
        !take_number((struct kw_span){line.p + 9, 3}, &status) || status < 100 || status > 599)
        return bad(err, NULL, 0, "the answer's first line is no status line");
    h->status = (unsigned)status;
    return take_version((struct kw_span){line.p, 8}, h, NULL, err);
}

long kw_head_response(const char *p, size_t n, const struct kw_span *method, struct kw_head *ret,
                      struct kw_err *err)
{
    memset(ret, 0, sizeof *ret);
    size_t length = head_length(p, n < KW_HEAD_MAX ? n : KW_HEAD_MAX);
    if (length == 0)
        return n >= KW_HEAD_MAX ? -(bad(err, NULL, 0, "the answer's head is too long") != 0) : 0;
    struct cursor c = {p, p + length};
    int r = take_status_line(&c, ret, err);
    if (r == 0)
        r = take_fields(&c, ret, NULL, err);
    if (r == 0)
        r = take_meaning(ret, NULL, err);
    if (r != 0 || c.p != c.end)
        return -1;
    bool none = ret->status < 200 || ret->status == 204 || ret->status == 304 ||
                kw_span_is(*method, "HEAD");
    if (none)
        ret->framing = KW_BODY_NONE;
    else if (ret->framing == KW_BODY_NONE)
        ret->framing = KW_BODY_CLOSE;
    if (ret->framing == KW_BODY_CLOSE)
        ret->keep_alive = false;
    return (long)length;
}
