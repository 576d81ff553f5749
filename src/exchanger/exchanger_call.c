/* SPDX-License-Identifier: Apache-2.0
 *
 * XM_CALL: one signed API call. The body comes from one pipe and the answer's goes
 * into another; neither is ever held here. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "exchanger.h"
#include "src/wire/hdr.h"
#include "src/wire/oci_sign.h"

static const char empty_sha256[] = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

struct call {
    struct kw_exchanger *x;
    int out;
    int64_t deadline_ms;
    uint64_t written;
};

static int on_head(void *arg, unsigned status, const char *headers, struct kw_err *err)
{
    const struct call *c = arg;
    struct kw_m_head head = {.status = status};
    memcpy(head.headers, headers, strlen(headers) + 1); /* of the same size */
    return kw_msg_send(&c->x->ctl, KW_XM_HEAD, &head, NULL, 0, kw_left_ms(c->deadline_ms), err);
}

/* Writes to main's pipe by pages: what poll() calls writable takes that much without
 * blocking. */
static int on_body(void *arg, const void *bytes, size_t n, struct kw_err *err)
{
    struct call *c = arg;
    const char *p = bytes;
    while (n > 0) {
        struct pollfd out = {.fd = c->out, .events = POLLOUT};
        int ready = poll(&out, 1, kw_left_ms(c->deadline_ms));
        if (ready == 0)
            return kw_fail(err, KW_NET,
                           "the answer was not complete when time was up ([dial] timeout)");
        ssize_t w = ready > 0 ? write(c->out, p, n < PIPE_BUF ? n : PIPE_BUF) : -1;
        if (w < 0 && errno != EINTR && errno != EAGAIN)
            return kw_fail_errno(err, KW_FAILED, "could not pass the answer's body on");
        if (w > 0) {
            p += w;
            n -= (size_t)w;
            c->written += (uint64_t)w;
        }
    }
    return 0;
}

/* Headers that say where a message goes or ends are ours alone: were they the
 * caller's, what is sent could differ from what was signed. */
static int check_headers(const char *lines, struct kw_err *err)
{
    static const char *const ours[] = {"host",
                                       "authorization",
                                       "content-length",
                                       "transfer-encoding",
                                       "connection",
                                       "te",
                                       "trailer",
                                       "upgrade",
                                       "keep-alive",
                                       "expect",
                                       "proxy-connection",
                                       "proxy-authorization"};
    char name[128], value[8192];
    int more;
    while ((more = kw_hdr_next(&lines, name, sizeof name, value, sizeof value)) == 1)
        for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
            if (strcasecmp(name, ours[i]) == 0)
                return kw_fail(err, KW_USAGE, "the header %s can't be given: keyward sets it",
                               name);
    return more == 0 ? 0 : kw_fail(err, KW_USAGE, "the request's headers are malformed");
}

static bool method_ok(const char *method)
{
    size_t n = strlen(method);
    return n > 0 && strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == n;
}

static int authorize(struct kw_exchanger *x, const struct kw_m_call *m, const struct kw_url *url,
                     int64_t deadline_ms, char *headers, size_t size, struct kw_buf *authorization,
                     struct kw_err *err)
{
    struct kw_oci_request r = {.method = m->method,
                               .host = url->authority,
                               .target = url->target,
                               .headers = m->headers,
                               .has_body = m->has_body != 0,
                               .body_len = m->has_body ? m->body_len : 0,
                               .body_sha256 = m->has_body ? m->body_sha256 : empty_sha256,
                               .now = (int64_t)time(NULL)};
    size_t n = strlen(m->headers);
    if (n >= size)
        return kw_fail(err, KW_USAGE, "the request's headers are too long");
    memcpy(headers, m->headers, n + 1);
    return kw_exchanger_authorize(x, KW_SIGN_SESSION, "ST$", kw_secret_bytes(x->token), &r,
                                  deadline_ms, headers + n, size - n, authorization, err);
}

/* The bearer, for a request that the keeper allows. */
static int bear(struct kw_exchanger *x, const struct kw_m_call *m, const struct kw_url *url,
                int64_t deadline_ms, char *headers, size_t size, struct kw_buf *authorization,
                struct kw_err *err)
{
    int r = kw_exchanger_allow(x, KW_S_ALLOW, m->method, url, deadline_ms, err);
    if (r != 0)
        return r;
    if ((size_t)snprintf(headers, size, "%s", m->headers) >= size)
        return kw_fail(err, KW_USAGE, "the request's headers are too long");
    if (x->bearer != KW_BEARER_WHOLE)
        kw_put_str(authorization, "Bearer ");
    kw_put(authorization, kw_secret_bytes(x->token), kw_secret_len(x->token));
    return authorization->bad ? kw_fail(err, KW_FAILED, "the access token is too long") : 0;
}

/* Sends the authorized request; c says where the answer goes. */
static int perform(struct kw_exchanger *x, const struct kw_m_call *m, const struct kw_url *url,
                   int body_in, struct call *c, struct kw_err *err)
{
    char headers[KW_LINES];
    struct kw_buf authorization;
    kw_buf_init(&authorization, 2 * KW_TOKEN_MAX - 64);
    int r =
        x->bearer != KW_BEARER_NONE
            ? bear(x, m, url, c->deadline_ms, headers, sizeof headers, &authorization, err)
            : authorize(x, m, url, c->deadline_ms, headers, sizeof headers, &authorization, err);
    if (r == 0) {
        bool empty_body =
            !m->has_body && (strcmp(m->method, "POST") == 0 || strcmp(m->method, "PUT") == 0 ||
                             strcmp(m->method, "PATCH") == 0);
        struct kw_http_call call = {.url = url,
                                    .method = m->method,
                                    .headers = headers,
                                    .authorization = kw_buf_str(&authorization),
                                    .body_fd = body_in,
                                    .body_len = m->has_body ? m->body_len : 0,
                                    .has_body = m->has_body || empty_body,
                                    .deadline_ms = c->deadline_ms,
                                    .on_head = on_head,
                                    .on_body = on_body,
                                    .arg = c};
        r = kw_http_do(x->http, &call, err);
    }
    kw_buf_free(&authorization);
    return r;
}

int kw_exchanger_call(struct kw_exchanger *x, const struct kw_m_call *m, int body_in, int body_out,
                      struct kw_err *err)
{
    struct kw_url url;
    struct call c = {.x = x, .out = body_out, .deadline_ms = kw_exchanger_deadline(x)};
    if (x->token == NULL)
        return kw_fail(err, KW_FAILED, "a call was asked for before there was a session");
    int r = kw_url_parse(m->url, "the URL", KW_USAGE, &url, err);
    if (r == 0 && !method_ok(m->method))
        r = kw_fail(err, KW_USAGE, "the method is not made of capital letters, as in GET");
    if (r == 0)
        r = check_headers(m->headers, err);
    if (r == 0)
        r = perform(x, m, &url, body_in, &c, err);
    struct kw_m_end end = {.body_len = c.written};
    return r != 0 ? r : kw_msg_send(&x->ctl, KW_XM_END, &end, NULL, 0, -1, err);
}
