/* SPDX-License-Identifier: Apache-2.0
 *
 * XM_FETCH: a subject token from a URL, with a bearer or headers (GitHub's request
 * endpoint, metadata services, and whatever is configured). */
#include <string.h>

#include "exchanger.h"
#include "src/wire/hdr.h"
#include "src/wire/http_answer.h"

static int put_bearer(const struct kw_m_fetch *m, struct kw_buf *b, struct kw_err *err)
{
    const char *text = kw_secret_bytes(m->bearer);
    if (!kw_hdr_value_ok(text) || strlen(text) != kw_secret_len(m->bearer))
        return kw_fail(err, KW_SUBJECT,
                       "subject token: the bearer for its URL holds bytes that no header may have");
    kw_put_str(b, "Bearer ");
    kw_put(b, text, kw_secret_len(m->bearer));
    return b->bad ? kw_fail(err, KW_SUBJECT, "subject token: the bearer is too long") : 0;
}

static int fetch(struct kw_exchanger *x, const struct kw_m_fetch *m, const struct kw_url *url,
                 struct kw_secret **ret, struct kw_err *err)
{
    struct kw_kept kept;
    struct kw_buf bearer;
    struct kw_http_call call = {.url = url,
                                .method = "GET",
                                .headers = m->headers,
                                .body_fd = -1,
                                .deadline_ms = kw_exchanger_deadline(x)};
    int r = 0;
    kw_buf_init(&bearer, KW_TOKEN_MAX + 16);
    if (kw_secret_len(m->bearer) > 0) {
        r = put_bearer(m, &bearer, err);
        call.authorization = kw_buf_str(&bearer);
    }
    if (r == 0) {
        r = kw_exchanger_ask(x, &call, &kept, err);
        if (r != 0)
            r = kw_err_wrap(err, "subject token from %s", url->host);
        if (r == 0) {
            struct kw_answer a = {kept.status, kept.headers, kept.body.p, kept.body.len};
            r = kw_fetch_answer(&a, url->host, m->field, ret, err);
        }
        kw_kept_free(&kept);
    }
    kw_buf_free(&bearer);
    /* Whatever can't be trusted here is a subject token that could not be had. */
    if (r == KW_CLOUD)
        r = err->code = KW_SUBJECT;
    return r;
}

int kw_exchanger_fetch(struct kw_exchanger *x, const struct kw_m_fetch *m, struct kw_err *err)
{
    struct kw_url url;
    struct kw_m_fetched out = {NULL};
    int r = kw_url_parse_local(m->url, "the subject token's URL", KW_USAGE, &url, err);
    if (r == 0)
        r = fetch(x, m, &url, &out.token, err);
    if (r == 0)
        r = kw_msg_send(&x->ctl, KW_XM_FETCHED, &out, NULL, 0, -1, err);
    kw_secret_free(&out.token);
    return r;
}
