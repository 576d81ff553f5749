/* SPDX-License-Identifier: Apache-2.0
 *
 * XM_GOOGLE: subject token for a federated token, and that for a service account's token
 * where one is named. What is temporary (429, 5xx, a lost connection) is tried again while
 * there is time: both requests may be repeated. The second has the federated token, and the
 * keeper is asked before. */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "exchanger.h"
#include "src/wire/google_sts.h"
#include "src/wire/hdr.h"

enum { FIRST_MS = 400, MOST_MS = 8000, WAIT_MAX_S = 30 };

/* What the server asks for, else twice as long as the last time. */
static int pause_ms(const struct kw_kept *k, int last)
{
    char text[16];
    unsigned long s = 0;
    if (k->status != 0 && kw_hdr_find(k->headers, "retry-after", text, sizeof text) &&
        text[strspn(text, "0123456789")] == '\0')
        for (const char *p = text; *p != '\0' && s <= WAIT_MAX_S; p++)
            s = 10 * s + (unsigned long)(*p - '0');
    if (s > 0)
        return (int)(s < WAIT_MAX_S ? s : WAIT_MAX_S) * 1000;
    return last == 0 ? FIRST_MS : 2 * last < MOST_MS ? 2 * last : MOST_MS;
}

/* Reads an answer; KW_NET is worth another try. */
typedef int read_answer(void *arg, const struct kw_answer *a, const char *host, struct kw_err *err);

static int ask(struct kw_exchanger *x, struct kw_http_call *call, read_answer *read, void *arg,
               struct kw_err *err)
{
    for (int wait = 0;;) {
        struct kw_kept kept;
        int r = 0;
        if (call->authorization != NULL) /* the federated token: each time that it goes out */
            r = kw_exchanger_allow(x, KW_S_IMPERSONATE, call->method, call->url, call->deadline_ms,
                                   err);
        if (r != 0)
            return r;
        r = kw_exchanger_ask(x, call, &kept, err);
        if (r == 0) {
            struct kw_answer a = {kept.status, kept.headers, kept.body.p, kept.body.len};
            r = read(arg, &a, call->url->host, err);
        } else
            r = kw_err_wrap(err, "exchange");
        wait = pause_ms(&kept, wait);
        kw_kept_free(&kept);
        if (r != KW_NET || kw_left_ms(call->deadline_ms) <= wait)
            return r;
        (void)poll(NULL, 0, wait); /* a clock that the filter knows */
    }
}

/* --- the token service ------------------------------------------------------------ */

struct federated {
    struct kw_secret *token;
    uint32_t seconds;
};

static int read_federated(void *arg, const struct kw_answer *a, const char *host,
                          struct kw_err *err)
{
    struct federated *f = arg;
    return kw_sts_answer(a, host, &f->token, &f->seconds, err);
}

static int exchange(struct kw_exchanger *x, const struct kw_m_google *m, int64_t deadline_ms,
                    struct federated *f, struct kw_err *err)
{
    struct kw_url url;
    struct kw_buf form;
    int r = kw_url_parse(m->sts_url, "the token service's URL", KW_USAGE, &url, err);
    if (r == 0 && m->client_pem[0] != '\0')
        r = kw_http_client_cert(x->http, m->client_pem, url.host, err);
    x->tls_why.text[0] = '\0';
    if (r != 0)
        return r;
    kw_buf_init(&form, 4 * KW_TOKEN_MAX);
    r = kw_sts_form(m, &form, err);
    if (r == 0) {
        /* No Authorization: the service refuses calls that have one. */
        struct kw_http_call call = {.url = &url,
                                    .method = "POST",
                                    .headers = "Content-Type: application/x-www-form-urlencoded\n"
                                               "Accept: application/json\n",
                                    .body = form.p,
                                    .body_fd = -1,
                                    .body_len = form.len,
                                    .has_body = true,
                                    .deadline_ms = deadline_ms};
        r = ask(x, &call, read_federated, f, err);
    }
    kw_buf_free(&form);
    if (r != 0 && x->tls_why.text[0] != '\0') { /* the keeper's word explains it */
        *err = x->tls_why;
        r = (int)err->code;
    }
    return r;
}

/* --- the service account ------------------------------------------------------------ */

struct account {
    const struct kw_m_google *m;
    struct kw_secret *token;
    int64_t until;
};

static int read_account(void *arg, const struct kw_answer *a, const char *host, struct kw_err *err)
{
    struct account *c = arg;
    return kw_iam_answer(a, host, c->m, &c->token, &c->until, err);
}

static bool iam_headers(const struct kw_m_google *m, char *out, size_t size)
{
    out[0] = '\0';
    return kw_hdr_add(out, size, "Content-Type", "application/json") &&
           kw_hdr_add(out, size, "Accept", "application/json") &&
           (m->quota_project[0] == '\0' ||
            kw_hdr_add(out, size, "X-Goog-User-Project", m->quota_project)) &&
           (m->request_reason[0] == '\0' ||
            kw_hdr_add(out, size, "X-Goog-Request-Reason", m->request_reason));
}

static int impersonate(struct kw_exchanger *x, const struct kw_m_google *m,
                       const struct kw_secret *with, int64_t deadline_ms, struct account *c,
                       struct kw_err *err)
{
    struct kw_url url;
    char target[sizeof url.target], headers[1024];
    struct kw_buf body, authorization;
    int r = kw_url_parse(m->iam_url, "the URL of IAM Credentials", KW_USAGE, &url, err);
    if (r == 0)
        r = kw_iam_target(m, url.target, target, sizeof target, err);
    if (r != 0)
        return r;
    memcpy(url.target, target, sizeof url.target);
    kw_buf_init(&body, 16384);
    kw_buf_init(&authorization, KW_TOKEN_MAX);
    r = kw_iam_body(m, &body, err);
    kw_put_str(&authorization, "Bearer ");
    kw_put(&authorization, kw_secret_bytes(with), kw_secret_len(with));
    if (r == 0 && (authorization.bad || !iam_headers(m, headers, sizeof headers)))
        r = kw_fail(err, KW_USAGE, "quota_project, request_reason or the token are too long");
    if (r == 0) {
        struct kw_http_call call = {.url = &url,
                                    .method = "POST",
                                    .headers = headers,
                                    .authorization = kw_buf_str(&authorization),
                                    .body = body.p,
                                    .body_fd = -1,
                                    .body_len = body.len,
                                    .has_body = true,
                                    .deadline_ms = deadline_ms};
        r = ask(x, &call, read_account, c, err);
    }
    kw_buf_free(&authorization);
    kw_buf_free(&body);
    return r;
}

int kw_exchanger_google(struct kw_exchanger *x, const struct kw_m_google *m, struct kw_err *err)
{
    struct federated f = {NULL, 0};
    struct account c = {.m = m};
    struct kw_m_bearer out = {.token = NULL};
    int64_t deadline_ms = kw_exchanger_deadline(x);
    bool direct = m->service_account[0] == '\0', id = m->id_audience[0] != '\0';
    int r = exchange(x, m, deadline_ms, &f, err);
    int64_t now = (int64_t)time(NULL);
    if (r == 0 && direct && f.seconds == 0)
        r = kw_fail(err, KW_CLOUD,
                    "exchange: the token service gave no expires_in: the token's lifetime is "
                    "unknown, so it was thrown away");
    if (r == 0 && !direct)
        r = impersonate(x, m, f.token, deadline_ms, &c, err);
    if (r == 0) {
        out.token = direct ? f.token : c.token;
        out.not_after = direct ? (uint64_t)(now + f.seconds) : (uint64_t)c.until;
        out.federated_for = f.seconds;
        r = kw_msg_send(&x->ctl, KW_XM_BEARER, &out, NULL, 0, -1, err);
    }
    if (r == 0 && !id) { /* an ID token is the user's, not for our own calls */
        kw_secret_free(&x->token);
        x->token = direct ? f.token : c.token;
        x->bearer = KW_BEARER_TOKEN;
        *(direct ? &f.token : &c.token) = NULL;
    }
    kw_secret_free(&f.token);
    kw_secret_free(&c.token);
    return r;
}
