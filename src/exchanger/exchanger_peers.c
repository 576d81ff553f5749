/* SPDX-License-Identifier: Apache-2.0
 *
 * The exchanger's questions to dialer and keeper. An answer that breaks the rules, or
 * that did not come in time (it could come later, as the answer to the next question),
 * ends the conversation with that peer. */
#include <string.h>
#include <unistd.h>

#include "exchanger.h"
#include "src/wire/oci_sign.h"

enum { SLACK_MS = 250 }; /* a peer's own error shall come before our time-out */

int64_t kw_exchanger_deadline(const struct kw_exchanger *x)
{
    return kw_now_ms() + x->budget_ms;
}

/* Sends one request to a peer and awaits its answer. */
static int ask(struct kw_chan *c, bool *ended, enum kw_msg request, const void *m,
               enum kw_msg answer, void *out, struct kw_in *in, int64_t deadline_ms,
               struct kw_err *err)
{
    *in = (struct kw_in){.fds = {-1, -1}};
    if (*ended)
        return kw_fail(err, KW_FAILED, "%s: the conversation has ended", kw_channel_name(c->name));
    int r = kw_msg_send(c, request, m, NULL, 0, kw_left_ms(deadline_ms), err);
    if (r == 0)
        r = kw_msg_expect(c, answer, out, in, kw_left_ms(deadline_ms), err);
    bool told = r != 0 && in->type == KW_MSG_ERROR;
    if (r == KW_NET && !told && c->name == KW_CHAN_SIGN) /* not the network: nothing to retry */
        r = kw_fail(err, KW_TOKEN, "%s", err->text);
    if (r != 0 && !told)
        *ended = true;
    return r;
}

int kw_exchanger_dial(void *arg, const char *host, uint16_t port, int64_t deadline_ms, int *ret_fd,
                      struct kw_err *err)
{
    struct kw_exchanger *x = arg;
    struct kw_m_dial m = {.port = port};
    struct kw_m_dialed dialed;
    struct kw_in in;
    int left = kw_left_ms(deadline_ms);
    m.timeout_ms = left > 2 * SLACK_MS ? (uint32_t)(left - SLACK_MS) : (uint32_t)left;
    if (strlen(host) >= sizeof m.host)
        return kw_fail(err, KW_USAGE, "the host name %.64s... is too long", host);
    memcpy(m.host, host, strlen(host) + 1);
    int r =
        ask(&x->dial, &x->dial_ended, KW_D_DIAL, &m, KW_D_DIALED, &dialed, &in, deadline_ms, err);
    if (r == 0) {
        *ret_fd = in.fds[0];
        in.fds[0] = -1;
    }
    kw_in_free(&in);
    return r;
}

int kw_exchanger_sign(struct kw_exchanger *x, const struct kw_m_sign *m, int64_t deadline_ms,
                      struct kw_buf *b, struct kw_err *err)
{
    struct kw_m_signed s;
    struct kw_in in;
    int r = ask(&x->sign, &x->sign_ended, KW_S_SIGN, m, KW_S_SIGNED, &s, &in, deadline_ms, err);
    if (r == 0 && s.signature.len == 0)
        r = kw_fail(err, KW_FAILED, "%s: empty signature", kw_channel_name(x->sign.name));
    if (r == 0)
        kw_put(b, s.signature.p, s.signature.len);
    kw_in_free(&in);
    return r;
}

int kw_exchanger_tls(void *arg, const unsigned char *content, size_t n, unsigned char *sig,
                     size_t *ret_n)
{
    struct kw_exchanger *x = arg;
    struct kw_m_tls m = {.content = {content, n}};
    struct kw_m_signed s;
    struct kw_in in;
    struct kw_err err;
    int r = n > KW_TLS_CONTENT ? kw_fail(&err, KW_FAILED, "TLS: too much to sign in a handshake")
                               : ask(&x->sign, &x->sign_ended, KW_S_TLS, &m, KW_S_SIGNED, &s, &in,
                                     kw_exchanger_deadline(x), &err);
    if (r == 0 && (s.signature.len == 0 || s.signature.len > *ret_n))
        r = kw_fail(&err, KW_FAILED, "%s: a signature of bad length",
                    kw_channel_name(x->sign.name));
    if (r == 0) {
        memcpy(sig, s.signature.p, s.signature.len);
        *ret_n = s.signature.len;
    }
    if (n <= KW_TLS_CONTENT)
        kw_in_free(&in);
    /* OpenSSL has no way to pass our reason on: the handshake's failure is told by it. */
    if (r != 0)
        x->tls_why = err;
    return r;
}

int kw_exchanger_allow(struct kw_exchanger *x, enum kw_msg question, const char *method,
                       const struct kw_url *url, int64_t deadline_ms, struct kw_err *err)
{
    struct kw_m_allow m = {.method = ""};
    struct kw_in in;
    if (strlen(method) >= sizeof m.method)
        return kw_fail(err, KW_USAGE, "the request's method is too long");
    memcpy(m.method, method, strlen(method) + 1);
    memcpy(m.host, url->authority, sizeof m.host);
    memcpy(m.target, url->target, sizeof m.target);
    int r = ask(&x->sign, &x->sign_ended, question, &m, KW_S_ALLOWED, NULL, &in, deadline_ms, err);
    kw_in_free(&in);
    return r;
}

int kw_exchanger_assert(struct kw_exchanger *x, const char *audience, int64_t deadline_ms,
                        struct kw_secret **ret, struct kw_err *err)
{
    struct kw_m_assert m = {""};
    struct kw_m_asserted a = {NULL};
    struct kw_in in;
    *ret = NULL;
    if (strlen(audience) >= sizeof m.audience)
        return kw_fail(err, KW_USAGE, "domain_url is too long");
    memcpy(m.audience, audience, strlen(audience) + 1);
    int r =
        ask(&x->sign, &x->sign_ended, KW_S_ASSERT, &m, KW_S_ASSERTED, &a, &in, deadline_ms, err);
    kw_in_free(&in);
    if (r == 0)
        *ret = a.jwt;
    return r;
}

int kw_exchanger_authorize(struct kw_exchanger *x, enum kw_sign_key key, const char *prefix,
                           const char *key_id, const struct kw_oci_request *r, int64_t deadline_ms,
                           char *send, size_t send_size, struct kw_buf *authorization,
                           struct kw_err *err)
{
    struct kw_m_sign m = {.key = key};
    if (strlen(r->method) >= sizeof m.method || strlen(r->host) >= sizeof m.host ||
        strlen(r->target) >= sizeof m.target)
        return kw_fail(err, KW_USAGE, "the request's method, host or path is too long");
    memcpy(m.method, r->method, strlen(r->method) + 1);
    memcpy(m.host, r->host, strlen(r->host) + 1);
    memcpy(m.target, r->target, strlen(r->target) + 1);
    int bad = kw_oci_header_lines(r, m.headers, sizeof m.headers, send, send_size, err);
    if (bad != 0)
        return bad;
    struct kw_buf signature;
    kw_buf_init(&signature, 512);
    bad = kw_exchanger_sign(x, &m, deadline_ms, &signature, err);
    if (bad == 0)
        kw_oci_authorization(prefix, key_id, m.headers, signature.p, signature.len, authorization);
    if (bad == 0 && (signature.bad || authorization->bad))
        bad = kw_fail(err, KW_FAILED, "the request's Authorization is too large");
    kw_buf_free(&signature);
    return bad;
}

/* --- short answers ---------------------------------------------------------------- */

static int keep_head(void *arg, unsigned status, const char *headers, struct kw_err *err)
{
    struct kw_kept *k = arg;
    (void)err;
    k->status = status;
    memcpy(k->headers, headers, strlen(headers) + 1); /* of the same size */
    return 0;
}

static int keep_body(void *arg, const void *bytes, size_t n, struct kw_err *err)
{
    struct kw_kept *k = arg;
    kw_put(&k->body, bytes, n);
    if (!k->body.bad)
        return 0;
    return kw_fail(err, KW_CLOUD, "the answer of %s is over %u bytes; check the URL", k->host,
                   (unsigned)KW_ANSWER_MAX);
}

int kw_exchanger_ask(struct kw_exchanger *x, struct kw_http_call *call, struct kw_kept *k,
                     struct kw_err *err)
{
    k->host = call->url->host;
    k->status = 0;
    k->headers[0] = '\0';
    kw_buf_init(&k->body, KW_ANSWER_MAX);
    call->on_head = keep_head;
    call->on_body = keep_body;
    call->arg = k;
    return kw_http_do(x->http, call, err);
}

void kw_kept_free(struct kw_kept *k)
{
    explicit_bzero(k->headers, sizeof k->headers);
    kw_buf_free(&k->body);
}
