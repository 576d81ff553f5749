/* SPDX-License-Identifier: Apache-2.0
 *
 * EC keys on P-256: issuers of JWTs (ES256) and TLS client keys. Session keys are RSA, as
 * the clouds want them; an EC key is always one of the user's that was found.
 */
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>
#include <string.h>

#include "internal.h"

enum { COORDINATE = 32, POINT = 1 + 2 * COORDINATE };

/* DER of the curve's name, 1.2.840.10045.3.1.7 (RFC 5480 section 2.1.1.1). */
static const unsigned char p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};

/* CKA_EC_POINT is a DER OCTET STRING around the uncompressed point; some modules give the
 * point bare. */
static const unsigned char *point_of(const unsigned char *value, size_t n)
{
    if (n == POINT + 2 && value[0] == 0x04 && value[1] == POINT && value[2] == 0x04)
        return value + 2;
    return n == POINT && value[0] == 0x04 ? value : NULL;
}

static bool make_spki(const unsigned char *point, struct kw_p11_key *k)
{
    bool ok = false;
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *pkey = NULL;
    unsigned char *der = NULL;
    if (bld != NULL && ctx != NULL &&
        OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, POINT) == 1 &&
        (params = OSSL_PARAM_BLD_to_param(bld)) != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
        EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) == 1) {
        int len = i2d_PUBKEY(pkey, &der);
        ok = len > 0 && (size_t)len <= sizeof k->spki;
        if (ok) {
            memcpy(k->spki, der, (size_t)len);
            k->spki_len = (size_t)len;
            k->bits = 256;
        }
    }
    OPENSSL_free(der);
    EVP_PKEY_free(pkey);
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(bld);
    return ok;
}

int kw_ec_public(struct kw_p11 *p, CK_SESSION_HANDLE s, struct kw_p11_key *k, struct kw_err *err)
{
    unsigned char params[64], value[256];
    size_t n = 0;
    CK_RV rv = kw_attr_get(p, s, k->priv, CKA_EC_PARAMS, params, sizeof params, &n);
    if (rv != CKR_OK)
        return kw_ck_fail(p, err, KW_TOKEN, "C_GetAttributeValue of CKA_EC_PARAMS", rv, "");
    if (n != sizeof p256 || memcmp(params, p256, n) != 0)
        return kw_fail(err, KW_TOKEN, "the EC key in token %s is not on P-256; use such a one",
                       p->token);
    /* PKCS#11 2.40 has the point in the public half; many tokens have it in both. */
    rv = k->pub != 0 ? kw_attr_get(p, s, k->pub, CKA_EC_POINT, value, sizeof value, &n)
                     : (CK_RV)CKR_ATTRIBUTE_TYPE_INVALID;
    if (rv != CKR_OK)
        rv = kw_attr_get(p, s, k->priv, CKA_EC_POINT, value, sizeof value, &n);
    if (rv != CKR_OK)
        return kw_ck_fail(p, err, KW_TOKEN, "C_GetAttributeValue of CKA_EC_POINT", rv,
                          "the public half must be in the token, with the key's CKA_ID");
    const unsigned char *point = point_of(value, n);
    if (point == NULL || !make_spki(point, k))
        return kw_fail(err, KW_TOKEN, "the EC key in token %s has no good public point", p->token);
    return 0;
}

bool kw_ec_raw_to_der(const unsigned char *raw, size_t n, unsigned char *der, size_t max,
                      size_t *ret_n)
{
    ECDSA_SIG *sig = n == 2 * COORDINATE ? ECDSA_SIG_new() : NULL;
    BIGNUM *r = BN_bin2bn(raw, COORDINATE, NULL);
    BIGNUM *s = sig != NULL ? BN_bin2bn(raw + COORDINATE, COORDINATE, NULL) : NULL;
    int len = -1;
    if (sig != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(sig, r, s) == 1) {
        r = s = NULL; /* sig's now */
        len = i2d_ECDSA_SIG(sig, NULL);
        if (len > 0 && (size_t)len <= max)
            len = i2d_ECDSA_SIG(sig, &der);
        else
            len = -1;
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(sig);
    *ret_n = len > 0 ? (size_t)len : 0;
    return len > 0;
}
