/* SPDX-License-Identifier: Apache-2.0
 *
 * Parsing of what clients send: request head, query, forms, dates. Strict: whatever a
 * careful server could read in two ways is refused with 400.
 */
#include "http.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static const char TOKEN_CHARS[] = "!#$%&'*+-.^_`|~0123456789"
                                  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
static const char TARGET_CHARS[] = "-._~!$&'()*+,;=:@/?%0123456789"
                                   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

static int unhex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* RFC 3986 path and query, as it stands: no fragment, good percent-encodings. */
static bool target_ok(const char *t)
{
    size_t n = strlen(t);
    if (t[0] != '/' || n > LAB_TARGET_MAX || strspn(t, TARGET_CHARS) != n)
        return false;
    for (const char *p = strchr(t, '%'); p != NULL; p = strchr(p + 1, '%'))
        if (unhex(p[1]) < 0 || unhex(p[2]) < 0)
            return false;
    return true;
}

/* METHOD SP target SP HTTP/1.1, exactly. */
static int parse_request_line(char *line, struct lab_request *r, const char **why)
{
    char *sp1 = strchr(line, ' ');
    char *sp2 = sp1 == NULL ? NULL : strchr(sp1 + 1, ' ');
    if (sp2 == NULL || strchr(sp2 + 1, ' ') != NULL) {
        *why = "request line is not METHOD SP target SP version";
        return 400;
    }
    *sp1 = *sp2 = 0;
    size_t m = strlen(line);
    if (m == 0 || m > 15 || strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != m) {
        *why = "method is not upper-case letters";
        return 400;
    }
    if (strcmp(sp2 + 1, "HTTP/1.1") != 0) {
        *why = "version is not HTTP/1.1";
        return 505;
    }
    if (!target_ok(sp1 + 1)) {
        *why = "target is not an RFC 3986 path and query";
        return strlen(sp1 + 1) > LAB_TARGET_MAX ? 414 : 400;
    }
    r->method = line;
    r->target = sp1 + 1;
    r->path_len = strcspn(r->target, "?");
    return 0;
}

static int parse_header(char *line, struct lab_request *r, const char **why)
{
    char *colon = strchr(line, ':');
    if (colon == NULL || colon == line || strspn(line, TOKEN_CHARS) != (size_t)(colon - line)) {
        *why = "malformed header line";
        return 400;
    }
    if (r->n_headers == LAB_HEADERS) {
        *why = "too many headers";
        return 431;
    }
    *colon = 0;
    char *v = colon + 1 + strspn(colon + 1, " \t");
    size_t n = strlen(v);
    while (n > 0 && (v[n - 1] == ' ' || v[n - 1] == '\t'))
        v[--n] = 0;
    r->headers[r->n_headers++] = (struct lab_header){line, v};
    return 0;
}

/* Decimal, at most max, no sign, no leading zeros beyond "0". */
static bool number(const char *s, uint64_t max, uint64_t *ret)
{
    size_t n = strlen(s);
    if (n == 0 || n > 19 || strspn(s, "0123456789") != n || (n > 1 && s[0] == '0'))
        return false;
    *ret = strtoull(s, NULL, 10);
    return *ret <= max;
}

/* Exactly one Host: name or name:port. */
static int judge_host(struct lab_request *r, const char **why)
{
    r->authority = lab_header(r, "host");
    *why = "there is not exactly one good Host header";
    if (r->authority == NULL)
        return 400;
    const char *colon = strchr(r->authority, ':');
    size_t n = colon == NULL ? strlen(r->authority) : (size_t)(colon - r->authority);
    uint64_t port = 443;
    if (n == 0 || n >= sizeof r->host || (colon != NULL && !number(colon + 1, 65535, &port)))
        return 400;
    for (size_t i = 0; i < n; i++) {
        r->host[i] = (char)tolower((unsigned char)r->authority[i]);
        if (!isalnum((unsigned char)r->host[i]) && strchr(".-_", r->host[i]) == NULL)
            return 400;
    }
    r->host[n] = 0;
    r->host_port = (unsigned)port;
    return 0;
}

/* How the body is framed. Two answers to that question are one too many. */
static int judge_framing(struct lab_request *r, const char **why)
{
    size_t cl = lab_header_count(r, "content-length"),
           te = lab_header_count(r, "transfer-encoding");
    *why = "bad Content-Length or Transfer-Encoding";
    if (cl + te > 1)
        return 400;
    if (cl == 1 && !number(lab_header(r, "content-length"), INT64_MAX, &r->length))
        return 400;
    if (te == 1 && strcasecmp(lab_header(r, "transfer-encoding"), "chunked") != 0)
        return 501;
    r->chunked = te == 1;
    const char *expect = lab_header(r, "expect");
    if (lab_header_count(r, "expect") > 0) {
        if (expect == NULL || strcasecmp(expect, "100-continue") != 0) {
            *why = "unknown Expect";
            return 417;
        }
        r->expect = true;
    }
    const char *connection = lab_header(r, "connection");
    r->close = connection != NULL && strcasecmp(connection, "close") == 0;
    return 0;
}

int lab_http_parse(char *head, size_t n, struct lab_request *r, const char **why)
{
    head[n] = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)head[i];
        bool cr_ok = c != '\r' || head[i + 1] == '\n',
             lf_ok = c != '\n' || (i && head[i - 1] == '\r');
        if ((c < 0x20 && c != '\t' && c != '\r' && c != '\n') || c > 0x7e || !cr_ok || !lf_ok) {
            *why = "control or non-ASCII byte, or bare CR or LF, in the head";
            return 400;
        }
    }
    bool first = true;
    for (char *line = head, *next; line != NULL; line = next) {
        char *end = strstr(line, "\r\n");
        next = end == NULL ? NULL : end + 2;
        if (end != NULL)
            *end = 0;
        int status = first ? parse_request_line(line, r, why) : parse_header(line, r, why);
        if (status != 0)
            return status;
        first = false;
    }
    int status = judge_host(r, why);
    return status != 0 ? status : judge_framing(r, why);
}

size_t lab_header_count(const struct lab_request *r, const char *name)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_headers; i++)
        n += strcasecmp(r->headers[i].name, name) == 0;
    return n;
}

const char *lab_header(const struct lab_request *r, const char *name)
{
    const char *value = NULL;
    for (size_t i = 0; i < r->n_headers; i++)
        if (strcasecmp(r->headers[i].name, name) == 0) {
            if (value != NULL)
                return NULL;
            value = r->headers[i].value;
        }
    return value;
}

bool lab_unpct(const char *text, size_t n, bool plus, char *out, size_t size)
{
    size_t o = 0;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (c == '%') {
            if (i + 2 >= n || unhex(text[i + 1]) < 0 || unhex(text[i + 2]) < 0)
                return false;
            c = (char)(unhex(text[i + 1]) * 16 + unhex(text[i + 2]));
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if (c == 0 || o + 1 >= size)
            return false;
        out[o++] = c;
    }
    out[o] = 0;
    return true;
}

int lab_query(const struct lab_request *r, const char *name, char *value, size_t size)
{
    int found = 0;
    const char *p = r->target + r->path_len;
    while (*p == '?' || *p == '&') {
        p++;
        size_t n = strcspn(p, "&"), k = strcspn(p, "=&");
        char key[128];
        if (!lab_unpct(p, k, true, key, sizeof key))
            return -1;
        if (strcmp(key, name) == 0) {
            size_t skip = k < n ? k + 1 : k;
            if (found++ > 0 || !lab_unpct(p + skip, n - skip, true, value, size))
                return -1;
        }
        p += n;
    }
    return found;
}

static const char *form_add(struct lab_form *f, const char *p, size_t n)
{
    const char *eq = memchr(p, '=', n);
    if (eq == NULL || eq == p)
        return "A form field has no name or no value.";
    if (f->n == LAB_FIELDS)
        return "There are too many form fields.";
    size_t k = (size_t)(eq - p), v = n - k - 1;
    char *name = malloc(k + 1), *value = malloc(v + 1);
    bool ok = name != NULL && value != NULL && lab_unpct(p, k, true, name, k + 1) &&
              lab_unpct(eq + 1, v, true, value, v + 1);
    bool twice = ok && lab_form_get(f, name) != NULL;
    if (!ok || twice) {
        free(name);
        free(value);
        return twice ? "A form field is given twice." : "A form field is not well encoded.";
    }
    f->field[f->n].name = name;
    f->field[f->n++].value = value;
    return NULL;
}

const char *lab_form_parse(const char *body, size_t n, struct lab_form *f)
{
    f->n = 0;
    if (n == 0)
        return "The form is empty.";
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)body[i] <= 0x20 || (unsigned char)body[i] >= 0x7f)
            return "The form has a byte that should be percent-encoded.";
    for (size_t at = 0; at <= n;) {
        const char *amp = memchr(body + at, '&', n - at);
        size_t len = amp == NULL ? n - at : (size_t)(amp - body) - at;
        const char *why = form_add(f, body + at, len);
        if (why != NULL)
            return why;
        at += len + 1;
    }
    return NULL;
}

const char *lab_form_get(const struct lab_form *f, const char *name)
{
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->field[i].name, name) == 0)
            return f->field[i].value;
    return NULL;
}

void lab_form_free(struct lab_form *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->field[i].name);
        free(f->field[i].value);
    }
    f->n = 0;
}

static const char FORM[] = "%a, %d %b %Y %H:%M:%S GMT";

void lab_http_date(int64_t t, char out[40])
{
    time_t at = (time_t)t;
    struct tm tm;
    gmtime_r(&at, &tm);
    strftime(out, 40, FORM, &tm); /* the locale is never set: English names */
}

int64_t lab_http_date_parse(const char *text)
{
    struct tm tm = {0};
    const char *end = strptime(text, FORM, &tm);
    if (end == NULL || *end != 0)
        return -1;
    int64_t t = (int64_t)timegm(&tm);
    char again[40];
    lab_http_date(t, again); /* refuses odd spellings and wrong week days */
    return t >= 0 && strcmp(again, text) == 0 ? t : -1;
}
