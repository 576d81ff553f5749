/* SPDX-License-Identifier: Apache-2.0
 *
 * Believing the session token: it must not have expired, and its jwk must be the key in
 * the PKCS#11 token. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "session.h"
#include "session_token.h"
#include "src/base/buf.h"
#include "src/wire/jwt.h"

static bool bn_is(const EVP_PKEY *pkey, const char *param, const unsigned char *bytes, size_t n)
{
    BIGNUM *bn = NULL;
    unsigned char mine[1024];
    bool same = EVP_PKEY_get_bn_param(pkey, param, &bn) == 1 &&
                (size_t)BN_num_bytes(bn) <= sizeof mine && (size_t)BN_num_bytes(bn) == n &&
                BN_bn2bin(bn, mine) == (int)n && memcmp(mine, bytes, n) == 0;
    BN_free(bn);
    return same;
}

bool kw_spki_is(const unsigned char *spki, size_t n_spki, const unsigned char *n, size_t n_len,
                const unsigned char *e, size_t e_len)
{
    const unsigned char *p = spki;
    EVP_PKEY *pkey = d2i_PUBKEY(NULL, &p, (long)n_spki);
    bool same = pkey != NULL && p == spki + n_spki && EVP_PKEY_is_a(pkey, "RSA") == 1 &&
                bn_is(pkey, OSSL_PKEY_PARAM_RSA_N, n, n_len) &&
                bn_is(pkey, OSSL_PKEY_PARAM_RSA_E, e, e_len);
    EVP_PKEY_free(pkey);
    return same;
}

static void copy_claim(const struct kw_jwt *j, const char *claim, char *to, size_t size)
{
    const char *value = kw_jwt_str(j, claim);
    if (value == NULL)
        return;
    (void)snprintf(to, size, "%s", value);
    kw_printable(to);
}

static int check_key(const struct kw_session *s, const struct kw_jwt *j, struct kw_err *err)
{
    struct kw_buf n, e;
    kw_buf_init(&n, 1024);
    kw_buf_init(&e, 16);
    int r = kw_jwt_jwk(j, &n, &e, err);
    if (r == 0 && !kw_spki_is(s->key.spki.p, s->key.spki.len, n.p, n.len, e.p, e.len))
        r = kw_fail(err, KW_CLOUD,
                    "the session token is bound to another key than the one in the PKCS#11 token "
                    "(claim jwk); it was thrown away. Somebody answers for the identity domain, "
                    "or the domain is broken: check [oci] domain_url and the connection");
    kw_buf_free(&n);
    kw_buf_free(&e);
    return r;
}

int kw_session_judge(struct kw_session *s, struct kw_err *err)
{
    struct kw_jwt j;
    int r = kw_jwt_decode(kw_secret_bytes(s->token), kw_secret_len(s->token), "the session token",
                          KW_CLOUD, &j, err);
    if (r != 0)
        return r;
    int64_t now = (int64_t)time(NULL);
    if (!kw_jwt_time(&j, "exp", &s->not_after))
        r = kw_fail(err, KW_CLOUD,
                    "the session token has no exp: its lifetime is unknown, so it "
                    "was thrown away");
    else if (s->not_after <= now)
        r = kw_fail(err, KW_CLOUD,
                    "the session token expired %lld s ago (by this machine's clock); check the "
                    "clock here, then the domain's",
                    (long long)(now - s->not_after));
    else
        r = check_key(s, &j, err);
    if (r == 0) {
        copy_claim(&j, "sub", s->principal, sizeof s->principal);
        copy_claim(&j, "res_tenant", s->tenant, sizeof s->tenant);
        copy_claim(&j, "tenant", s->tenant, sizeof s->tenant);
        copy_claim(&j, "source_authn_prin", s->original, sizeof s->original);
    }
    kw_jwt_free(&j);
    return r;
}
