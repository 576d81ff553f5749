/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading requests from a TLS connection and sending answers, also spoilt ones.
 */
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "http.h"

enum { CHUNK = 16384 };

static int receive(struct lab_conn *c, void *p, size_t n)
{
    return c->ssl != NULL ? SSL_read(c->ssl, p, (int)n) : (int)recv(c->fd, p, n, 0);
}

static int transmit(struct lab_conn *c, const void *p, size_t n)
{
    int most = n > INT_MAX ? INT_MAX : (int)n;
    return c->ssl != NULL ? SSL_write(c->ssl, p, most) : (int)send(c->fd, p, (size_t)most, 0);
}

/* More bytes into c->in; false at the end, on an error or a time-out. */
static bool fill(struct lab_conn *c)
{
    unsigned char got[CHUNK];
    int n = receive(c, got, sizeof got);
    if (n <= 0)
        return false;
    kw_put(&c->in, got, (size_t)n);
    return !c->in.bad;
}

/* Drops n consumed bytes from the front. */
static void consume(struct lab_conn *c, size_t n)
{
    memmove(c->in.p, c->in.p + n, c->in.len - n);
    c->in.len -= n;
}

static bool take(struct lab_conn *c, struct kw_buf *body, uint64_t n)
{
    while (n > 0) {
        if (c->in.len == 0 && !fill(c))
            return false;
        size_t k = c->in.len < n ? c->in.len : (size_t)n;
        kw_put(body, c->in.p, k);
        if (body->bad)
            return false;
        consume(c, k);
        n -= k;
    }
    return true;
}

/* One CRLF-ended line of at most 31 bytes. */
static bool take_line(struct lab_conn *c, char line[32])
{
    size_t n = 0;
    for (;;) {
        if (c->in.len == 0 && !fill(c))
            return false;
        char b = (char)c->in.p[0];
        consume(c, 1);
        if (b == '\n' && n > 0 && line[n - 1] == '\r') {
            line[n - 1] = 0;
            return true;
        }
        if (n == 31)
            return false;
        line[n++] = b;
    }
}

/* Chunked body, without extensions and trailers. */
static int take_chunks(struct lab_conn *c, size_t max, struct lab_request *r, const char **why)
{
    for (;;) {
        char line[32];
        *why = "bad chunk";
        if (!take_line(c, line))
            return 400;
        size_t n = strlen(line);
        if (n == 0 || n > 8 || strspn(line, "0123456789abcdefABCDEF") != n)
            return 400;
        uint64_t size = strtoull(line, NULL, 16);
        if (r->body.len + size > max) {
            *why = "body too large";
            return 413;
        }
        if (!take(c, &r->body, size) || !take_line(c, line) || line[0] != 0)
            return 400;
        if (size == 0)
            return 1;
    }
}

static int read_body(struct lab_conn *c, size_t max, struct lab_request *r, const char **why)
{
    kw_buf_init(&r->body, max + 1);
    if (r->length > max) {
        *why = "body too large";
        return 413;
    }
    bool more = r->chunked || r->length > c->in.len;
    if (r->expect && more) {
        static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
        if (transmit(c, go_on, sizeof go_on - 1) <= 0)
            return 0;
    }
    if (r->chunked)
        return take_chunks(c, max, r, why);
    (void)kw_buf_room(&r->body, (size_t)r->length); /* at once: growing copies what is there */
    if (take(c, &r->body, r->length))
        return 1;
    *why = "body shorter than announced";
    return 400;
}

int lab_http_read(struct lab_conn *c, size_t max_body, struct kw_buf *head, struct lab_request *r,
                  const char **why)
{
    const unsigned char *end = NULL;
    while (c->in.len == 0 || (end = memmem(c->in.p, c->in.len, "\r\n\r\n", 4)) == NULL) {
        if (c->in.len >= LAB_HEAD_MAX) {
            *why = "head too large";
            return 431;
        }
        if (!fill(c)) {
            *why = "the connection ended within a head";
            return c->in.len == 0 ? 0 : 400;
        }
    }
    size_t n = (size_t)(end - c->in.p);
    if (n > LAB_HEAD_MAX) {
        *why = "head too large";
        return 431;
    }
    kw_put(head, c->in.p, n + 1); /* room for the parser's NUL */
    consume(c, n + 4);
    int status = head->bad ? 431 : lab_http_parse((char *)head->p, n, r, why);
    if (status != 0)
        return status;
    return read_body(c, max_body, r, why);
}

void lab_reply_header(struct lab_response *a, const char *name, const char *fmt, ...)
{
    char value[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(value, sizeof value, fmt, ap);
    va_end(ap);
    kw_put_fmt(&a->headers, "%s: %s\r\n", name, value);
}

void lab_reply_bytes(struct lab_response *a, int status, const char *type, const void *p, size_t n)
{
    a->status = status;
    lab_reply_header(a, "content-type", "%s", type);
    kw_buf_reset(&a->body);
    kw_put(&a->body, p, n);
}

void lab_reply_json(struct lab_response *a, int status, json_t *steal)
{
    char *text = json_dumps(steal, JSON_COMPACT | JSON_ENCODE_ANY);
    lab_reply_bytes(a, status, "application/json", text, text == NULL ? 0 : strlen(text));
    free(text);
    json_decref(steal);
}

static const char *phrase(int status)
{
    static const struct {
        int status;
        const char *text;
    } table[] = {{200, "OK"},
                 {201, "Created"},
                 {204, "No Content"},
                 {206, "Partial Content"},
                 {302, "Found"},
                 {400, "Bad Request"},
                 {401, "Unauthorized"},
                 {403, "Forbidden"},
                 {404, "Not Found"},
                 {405, "Method Not Allowed"},
                 {409, "Conflict"},
                 {412, "Precondition Failed"},
                 {413, "Content Too Large"},
                 {415, "Unsupported Media Type"},
                 {416, "Range Not Satisfiable"},
                 {421, "Misdirected Request"},
                 {429, "Too Many Requests"},
                 {500, "Internal Server Error"},
                 {501, "Not Implemented"},
                 {503, "Service Unavailable"}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].status == status)
            return table[i].text;
    return "Status";
}

static bool send_all(struct lab_conn *c, const void *p, size_t n)
{
    const unsigned char *at = p;
    while (n > 0) {
        int k = transmit(c, at, n);
        if (k <= 0)
            return false;
        at += k;
        n -= (size_t)k;
    }
    return true;
}

/* n spaces, legal after any JSON text; `chunked` frames them. */
static bool send_spaces(struct lab_conn *c, uint64_t n, bool chunked)
{
    char pad[CHUNK];
    memset(pad, ' ', sizeof pad);
    while (n > 0) {
        size_t k = n < sizeof pad ? (size_t)n : sizeof pad;
        char size[16];
        int m = snprintf(size, sizeof size, "%zx\r\n", k);
        if (chunked && !send_all(c, size, (size_t)m))
            return false;
        if (!send_all(c, pad, k) || (chunked && !send_all(c, "\r\n", 2)))
            return false;
        n -= k;
    }
    return true;
}

/* A close that the peer sees as a TCP reset; bytes sent before may or may not arrive. */
static void reset(struct lab_conn *c)
{
    struct linger now = {1, 0};
    struct timespec settle = {0, 50 * 1000 * 1000}; /* let the first half arrive */
    nanosleep(&settle, NULL);
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    if (c->ssl != NULL)
        SSL_set_quiet_shutdown(c->ssl, 1);
}

static bool send_drip(struct lab_conn *c, const struct kw_buf *body, int64_t ms)
{
    struct timespec pause = {ms / 1000, (ms % 1000) * 1000000};
    for (size_t i = 0; i < body->len; i++) {
        if (!send_all(c, body->p + i, 1))
            return false;
        nanosleep(&pause, NULL);
    }
    return true;
}

static bool send_body(struct lab_conn *c, const struct lab_hit *hit, const struct kw_buf *body)
{
    if (hit->on[LAB_TRUNCATE] || hit->on[LAB_RESET]) {
        send_all(c, body->p, body->len / 2);
        if (hit->on[LAB_RESET])
            reset(c);
        return false;
    }
    if (hit->on[LAB_DRIP])
        return send_drip(c, body, hit->value[LAB_DRIP]);
    if (hit->on[LAB_ENDLESS]) {
        send_spaces(c, (uint64_t)hit->value[LAB_ENDLESS], true);
        return false;
    }
    if (!send_all(c, body->p, body->len))
        return false;
    uint64_t want = hit->on[LAB_OVERLONG] ? (uint64_t)hit->value[LAB_OVERLONG] : 0;
    return want <= body->len || send_spaces(c, want - body->len, false);
}

static void put_head(struct kw_buf *h, const struct lab_hit *hit, const struct lab_response *a,
                     int64_t now, bool keep)
{
    char date[40];
    lab_http_date(now, date);
    kw_put_fmt(h, "HTTP/1.1 %d %s\r\ndate: %s\r\n", a->status, phrase(a->status), date);
    if (a->headers.len > 0)
        kw_put(h, a->headers.p, a->headers.len);
    if (hit->on[LAB_LONG_HEADER]) {
        kw_put_str(h, "x-long: ");
        for (int64_t i = 0; i < hit->value[LAB_LONG_HEADER]; i++)
            kw_put_str(h, "a");
        kw_put_str(h, "\r\n");
    }
    uint64_t length = a->body.len;
    if (hit->on[LAB_OVERLONG] && (uint64_t)hit->value[LAB_OVERLONG] > length)
        length = (uint64_t)hit->value[LAB_OVERLONG];
    if (hit->on[LAB_ENDLESS])
        kw_put_str(h, "transfer-encoding: chunked\r\n");
    else if (a->status != 204)
        kw_put_fmt(h, "content-length: %llu\r\n", (unsigned long long)length);
    kw_put_str(h, keep ? "\r\n" : "connection: close\r\n\r\n");
}

bool lab_http_send(struct lab_conn *c, const struct lab_request *r, const struct lab_response *a,
                   int64_t now)
{
    struct kw_buf h;
    kw_buf_init(&h, 4u << 20);
    put_head(&h, &r->hit, a, now, !r->close);
    bool ok = !h.bad && send_all(c, h.p, h.len);
    kw_buf_free(&h);
    bool bodyless = a->status == 204 || (r->method != NULL && strcmp(r->method, "HEAD") == 0);
    if (ok && !bodyless)
        ok = send_body(c, &r->hit, &a->body);
    return ok && !r->close;
}
