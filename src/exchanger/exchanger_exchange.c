/* SPDX-License-Identifier: Apache-2.0
 *
 * XM_EXCHANGE: subject token for session token. Connection and TLS handshake are made
 * at once, while the keeper still makes the key; the request follows when XM_GO
 * brings its public half. */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "exchanger.h"
#include "src/base/b64.h"
#include "src/wire/oci_sign.h"

static const char form_type[] = "Content-Type: application/x-www-form-urlencoded\n";
static const char accept_json[] = "Accept: application/json\n";

static int token_url(const char *domain_url, struct kw_url *url, struct kw_err *err)
{
    int r = kw_url_parse(domain_url, "domain_url", KW_USAGE, url, err);
    if (r != 0)
        return r;
    if (strcmp(url->target, "/") != 0)
        return kw_fail(err, KW_USAGE, "domain_url has a path; give only https://host");
    (void)snprintf(url->target, sizeof url->target, "%s", KW_EXCHANGE_TARGET);
    return 0;
}

static int body_hash(const struct kw_buf *body, char *out, size_t size, struct kw_err *err)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    struct kw_buf text;
    kw_buf_init(&text, size - 1);
    if (EVP_Digest(body->p, body->len, digest, &n, EVP_sha256(), NULL) != 1)
        return kw_fail(err, KW_FAILED, "could not hash the exchange's form");
    kw_b64_put(&text, digest, n);
    (void)snprintf(out, size, "%s", kw_buf_str(&text));
    kw_buf_free(&text);
    return 0;
}

/* Authorization by an API key in the token: no client secret anywhere. */
static int authorize_by_key(struct kw_exchanger *x, const struct kw_m_exchange *m,
                            const struct kw_url *url, const struct kw_buf *body,
                            int64_t deadline_ms, char *headers, size_t size,
                            struct kw_buf *authorization, struct kw_err *err)
{
    char hash[64];
    struct kw_oci_request r = {.method = "POST",
                               .host = url->authority,
                               .target = url->target,
                               .headers = form_type,
                               .has_body = true,
                               .body_len = body->len,
                               .body_sha256 = hash,
                               .now = (int64_t)time(NULL)};
    if (m->client_key_id[0] == '\0')
        return kw_fail(err, KW_USAGE,
                       "exchange: client_auth = signature needs client_key_id in the [oci] section "
                       "(tenancy/user/fingerprint)");
    int bad = body_hash(body, hash, sizeof hash, err);
    size_t n = strlen(headers);
    return bad != 0
               ? bad
               : kw_exchanger_authorize(x, KW_SIGN_CLIENT, "", m->client_key_id, &r, deadline_ms,
                                        headers + n, size - n, authorization, err);
}

/* The form, and how the client says who it is: b gets the one, headers and
 * authorization the other. */
static int compose(struct kw_exchanger *x, const struct kw_m_exchange *m, const struct kw_m_go *go,
                   const struct kw_url *url, int64_t deadline_ms, struct kw_buf *form,
                   char *headers, size_t size, struct kw_buf *authorization, struct kw_err *err)
{
    struct kw_secret *assertion = NULL;
    char audience[KW_HOST + 16];
    int r = 0;
    (void)snprintf(headers, size, "%s%s", form_type, accept_json);
    (void)snprintf(audience, sizeof audience, "https://%s/", url->authority);
    if (m->auth == KW_AUTH_ASSERTION)
        r = kw_exchanger_assert(x, audience, deadline_ms, &assertion, err);
    if (r == 0)
        r = kw_oci_form(m, go, assertion, form, err);
    kw_secret_free(&assertion);
    if (r != 0 || m->auth == KW_AUTH_ASSERTION)
        return r;
    if (m->auth == KW_AUTH_BASIC)
        return kw_oci_basic(m, authorization, err);
    if (m->auth == KW_AUTH_SIGNATURE)
        return authorize_by_key(x, m, url, form, deadline_ms, headers, size, authorization, err);
    return kw_fail(err, KW_FAILED, "exchange: unknown client_auth %u", (unsigned)m->auth);
}

static int send_form(struct kw_exchanger *x, const struct kw_m_exchange *m,
                     const struct kw_m_go *go, const struct kw_url *url, int64_t deadline_ms,
                     struct kw_kept *kept, struct kw_err *err)
{
    char headers[KW_LINES];
    struct kw_buf form, authorization;
    kw_buf_init(&form, 4 * KW_TOKEN_MAX);
    kw_buf_init(&authorization, KW_TOKEN_MAX);
    int r =
        compose(x, m, go, url, deadline_ms, &form, headers, sizeof headers, &authorization, err);
    if (r == 0) {
        struct kw_http_call call = {.url = url,
                                    .method = "POST",
                                    .headers = headers,
                                    .authorization =
                                        authorization.len > 0 ? kw_buf_str(&authorization) : NULL,
                                    .body = form.p,
                                    .body_fd = -1,
                                    .body_len = form.len,
                                    .has_body = true,
                                    .deadline_ms = deadline_ms};
        r = kw_exchanger_ask(x, &call, kept, err);
        if (r != 0)
            r = kw_err_wrap(err, "exchange");
    }
    kw_buf_free(&authorization);
    kw_buf_free(&form);
    return r;
}

static int trade(struct kw_exchanger *x, const struct kw_m_exchange *m, const struct kw_m_go *go,
                 const struct kw_url *url, int64_t deadline_ms, struct kw_err *err)
{
    struct kw_kept kept;
    struct kw_m_token out = {.token = NULL};
    kept.headers[0] = '\0';
    kw_buf_init(&kept.body, KW_ANSWER_MAX);
    int r = send_form(x, m, go, url, deadline_ms, &kept, err);
    if (r == 0) {
        struct kw_answer a = {kept.status, kept.headers, kept.body.p, kept.body.len};
        r = kw_oci_answer(&a, url->host, &out.token, err);
        kw_oci_correlation(kept.headers, out.correlation, sizeof out.correlation);
    }
    kw_kept_free(&kept);
    if (r == 0)
        r = kw_msg_send(&x->ctl, KW_XM_TOKEN, &out, NULL, 0, -1, err);
    if (r == 0) {
        kw_secret_free(&x->token);
        x->token = out.token;
        out.token = NULL;
    }
    kw_secret_free(&out.token);
    return r;
}

int kw_exchanger_exchange(struct kw_exchanger *x, const struct kw_m_exchange *m, struct kw_err *err)
{
    struct kw_url url;
    struct kw_in in;
    struct kw_m_go go;
    int64_t deadline_ms = kw_exchanger_deadline(x);
    int r = token_url(m->domain_url, &url, err);
    if (r == 0 && (r = kw_http_warm(x->http, &url, deadline_ms, err)) != 0)
        return kw_err_wrap(err, "exchange");
    if (r != 0)
        return r;
    /* Waiting for the key is not work on the call: the clock stands meanwhile. */
    int left = kw_left_ms(deadline_ms);
    r = kw_msg_expect(&x->ctl, KW_XM_GO, &go, &in, -1, err);
    if (r == 0) {
        r = trade(x, m, &go, &url, kw_now_ms() + left, err);
        kw_msg_free(KW_XM_GO, &go);
    }
    kw_in_free(&in);
    return r;
}
