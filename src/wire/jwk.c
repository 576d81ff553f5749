/* SPDX-License-Identifier: Apache-2.0 */
#include "jwk.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/b64.h"

/* A number as base64url into the object; width 0: as short as it is. */
static bool put_number(json_t *o, const char *name, const EVP_PKEY *key, const char *param,
                       size_t width)
{
    unsigned char bytes[1024];
    struct kw_buf text;
    BIGNUM *bn = NULL;
    kw_buf_init(&text, 2048);
    bool ok = EVP_PKEY_get_bn_param(key, param, &bn) == 1;
    int n = ok ? BN_num_bytes(bn) : 0;
    if (width == 0)
        width = (size_t)n;
    ok = ok && width <= sizeof bytes && BN_bn2binpad(bn, bytes, (int)width) == (int)width;
    if (ok)
        kw_b64url_put(&text, bytes, width);
    ok = ok && !text.bad && json_object_set_new(o, name, json_string(kw_buf_str(&text))) == 0;
    kw_buf_free(&text);
    BN_free(bn);
    return ok;
}

/* RFC 7638: SHA-256 of the required members in the order of their names. */
static bool thumbprint(const json_t *required, char *kid)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    struct kw_buf text;
    char *canonical = json_dumps(required, JSON_COMPACT | JSON_SORT_KEYS);
    kw_buf_init(&text, KW_KID - 1);
    bool ok = canonical != NULL &&
              EVP_Digest(canonical, strlen(canonical), digest, &n, EVP_sha256(), NULL) == 1;
    if (ok)
        kw_b64url_put(&text, digest, n);
    ok = ok && !text.bad;
    if (ok)
        (void)snprintf(kid, KW_KID, "%s", kw_buf_str(&text));
    free(canonical);
    kw_buf_free(&text);
    return ok;
}

static bool is_p256(const EVP_PKEY *key)
{
    char group[64];
    size_t n = 0;
    return EVP_PKEY_is_a(key, "EC") == 1 &&
           EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group,
                                          &n) == 1 &&
           strcmp(group, "prime256v1") == 0;
}

/* The required members; NULL for a key of another kind. */
static json_t *required(const EVP_PKEY *key, const char **alg)
{
    json_t *o = json_object();
    bool ok;
    if (EVP_PKEY_is_a(key, "RSA") == 1) {
        *alg = "RS256";
        ok = json_object_set_new(o, "kty", json_string("RSA")) == 0 &&
             put_number(o, "n", key, OSSL_PKEY_PARAM_RSA_N, 0) &&
             put_number(o, "e", key, OSSL_PKEY_PARAM_RSA_E, 0);
    } else {
        *alg = "ES256";
        ok = is_p256(key) && json_object_set_new(o, "kty", json_string("EC")) == 0 &&
             json_object_set_new(o, "crv", json_string("P-256")) == 0 &&
             put_number(o, "x", key, OSSL_PKEY_PARAM_EC_PUB_X, 32) &&
             put_number(o, "y", key, OSSL_PKEY_PARAM_EC_PUB_Y, 32);
    }
    if (ok)
        return o;
    json_decref(o);
    return NULL;
}

int kw_jwk_public(const unsigned char *spki, size_t n, json_t **ret, char *kid,
                  const char **ret_alg, struct kw_err *err)
{
    const unsigned char *p = spki;
    const char *alg = "";
    char own[KW_KID] = "";
    EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)n);
    json_t *o = key != NULL && p == spki + n ? required(key, &alg) : NULL;
    bool ok = o != NULL && thumbprint(o, own) &&
              json_object_set_new(o, "alg", json_string(alg)) == 0 &&
              json_object_set_new(o, "use", json_string("sig")) == 0 &&
              json_object_set_new(o, "kid", json_string(own)) == 0;
    EVP_PKEY_free(key);
    if (ok && kid != NULL)
        memcpy(kid, own, sizeof own);
    if (ok && ret_alg != NULL)
        *ret_alg = alg;
    if (ok && ret != NULL)
        *ret = o;
    else
        json_decref(o);
    return ok ? 0 : kw_fail(err, KW_FAILED, "the key is neither RSA nor EC on P-256: no JWK of it");
}
