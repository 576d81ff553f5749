/* SPDX-License-Identifier: Apache-2.0
 *
 * RSA keys, JWK and JWS (RS256), for issuing and for verifying. The verifying side is
 * written against OpenSSL alone: it shares nothing with the code it is to check.
 */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "lab.h"
#include "src/base/b64.h"

enum { RSA_BYTES_MAX = 1024, KEY_FILE_MAX = 65536 };

EVP_PKEY *lab_rsa_new(void)
{
    return EVP_RSA_gen(2048);
}

static bool put_number(json_t *jwk, EVP_PKEY *key, const char *param, const char *member)
{
    BIGNUM *bn = NULL;
    unsigned char bytes[RSA_BYTES_MAX];
    struct kw_buf text;
    kw_buf_init(&text, 2 * RSA_BYTES_MAX);
    bool ok = EVP_PKEY_get_bn_param(key, param, &bn) == 1 && BN_num_bytes(bn) <= RSA_BYTES_MAX;
    if (ok) {
        int n = BN_bn2bin(bn, bytes);
        kw_b64url_put(&text, bytes, (size_t)n);
        ok = !text.bad && json_object_set_new(jwk, member, json_string(kw_buf_str(&text))) == 0;
    }
    BN_free(bn);
    kw_buf_free(&text);
    return ok;
}

json_t *lab_jwk(EVP_PKEY *key, const char *kid)
{
    json_t *jwk =
        json_pack("{s:s, s:s, s:s, s:s}", "kid", kid, "kty", "RSA", "alg", "RS256", "use", "sig");
    if (jwk == NULL || !put_number(jwk, key, OSSL_PKEY_PARAM_RSA_N, "n") ||
        !put_number(jwk, key, OSSL_PKEY_PARAM_RSA_E, "e")) {
        json_decref(jwk);
        return NULL;
    }
    return jwk;
}

static BIGNUM *get_number(const json_t *jwk, const char *member)
{
    const char *text = json_string_value(json_object_get(jwk, member));
    struct kw_buf b;
    kw_buf_init(&b, RSA_BYTES_MAX);
    BIGNUM *bn = NULL;
    if (text != NULL && kw_b64url_get(&b, text, strlen(text)) && b.len > 0)
        bn = BN_bin2bn(b.p, (int)b.len, NULL);
    kw_buf_free(&b);
    return bn;
}

static EVP_PKEY *rsa_from(BIGNUM *n, BIGNUM *e)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    if (ctx != NULL && bld != NULL && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) &&
        OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e) &&
        (params = OSSL_PARAM_BLD_to_param(bld)) != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(bld);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

/* A P-256 key of its two coordinates. */
static EVP_PKEY *ec_from(const json_t *jwk)
{
    const char *crv = json_string_value(json_object_get(jwk, "crv"));
    BIGNUM *x = get_number(jwk, "x"), *y = get_number(jwk, "y");
    unsigned char point[65] = {4};
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    if (crv != NULL && strcmp(crv, "P-256") == 0 && x != NULL && y != NULL && ctx != NULL &&
        bld != NULL && BN_bn2binpad(x, point + 1, 32) == 32 &&
        BN_bn2binpad(y, point + 33, 32) == 32 &&
        OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) &&
        OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point) &&
        (params = OSSL_PARAM_BLD_to_param(bld)) != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(bld);
    EVP_PKEY_CTX_free(ctx);
    BN_free(x);
    BN_free(y);
    return key;
}

/* As Google does: no members but these. */
static bool members_good(const json_t *jwk)
{
    static const char *const good[] = {"kty", "alg", "use", "kid", "n", "e", "x", "y", "crv"};
    const char *name;
    json_t *value;
    bool all = true;
    json_object_foreach((json_t *)(uintptr_t)jwk, name, value)
    {
        bool known = false;
        for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
            known = known || strcmp(good[i], name) == 0;
        all = all && known && json_is_string(value);
    }
    return all;
}

EVP_PKEY *lab_jwk_read(const json_t *jwk)
{
    const char *kty = json_string_value(json_object_get(jwk, "kty"));
    EVP_PKEY *key = NULL;
    if (!members_good(jwk))
        return NULL;
    if (kty != NULL && strcmp(kty, "EC") == 0)
        return ec_from(jwk);
    BIGNUM *n = get_number(jwk, "n"), *e = get_number(jwk, "e");
    if (kty != NULL && strcmp(kty, "RSA") == 0 && n != NULL && e != NULL && BN_is_odd(n) &&
        BN_is_odd(e) && !BN_is_one(e) && BN_num_bits(n) >= 2048 && BN_num_bits(n) <= 8192)
        key = rsa_from(n, e);
    BN_free(n);
    BN_free(e);
    return key;
}

static bool put_json(struct kw_buf *b, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT);
    if (text != NULL)
        kw_b64url_put(b, text, strlen(text));
    free(text);
    return text != NULL && !b->bad;
}

static bool rs256_sign(EVP_PKEY *key, const struct kw_buf *b, unsigned char *sig, size_t *n)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx != NULL && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
              EVP_DigestSign(ctx, sig, n, b->p, b->len) == 1;
    EVP_MD_CTX_free(ctx);
    return ok;
}

char *lab_jwt_sign(EVP_PKEY *key, const char *kid, const json_t *claims)
{
    struct kw_buf b;
    unsigned char sig[RSA_BYTES_MAX];
    size_t n = sizeof sig;
    char *out = NULL;
    json_t *header = json_pack("{s:s, s:s, s:s}", "alg", "RS256", "kid", kid, "typ", "JWT");
    kw_buf_init(&b, 65536);
    bool ok = put_json(&b, header);
    kw_put_str(&b, ".");
    if (ok && put_json(&b, claims) && rs256_sign(key, &b, sig, &n)) {
        kw_put_str(&b, ".");
        kw_b64url_put(&b, sig, n);
        out = b.bad ? NULL : strdup(kw_buf_str(&b));
    }
    json_decref(header);
    kw_buf_free(&b);
    return out;
}

/* RSASSA-PKCS1-v1_5 with SHA-256: the EVP default padding for RSA keys, set anyway. */
bool lab_rs256_good(EVP_PKEY *key, const void *p, size_t n, const void *sig, size_t sig_n)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pctx = NULL;
    bool ok = ctx != NULL && EVP_PKEY_is_a(key, "RSA") &&
              EVP_DigestVerifyInit(ctx, &pctx, EVP_sha256(), NULL, key) == 1 &&
              EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PADDING) == 1 &&
              EVP_DigestVerify(ctx, sig, sig_n, p, n) == 1;
    EVP_MD_CTX_free(ctx);
    return ok;
}

/* ES256 (RFC 7518 section 3.4): r and s of 32 bytes each. */
static bool es256_good(EVP_PKEY *key, const void *p, size_t n, const unsigned char *sig,
                       size_t sig_n)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    ECDSA_SIG *s = ECDSA_SIG_new();
    unsigned char *der = NULL;
    int len = 0;
    bool ok = ctx != NULL && s != NULL && sig_n == 64 && EVP_PKEY_is_a(key, "EC") &&
              ECDSA_SIG_set0(s, BN_bin2bn(sig, 32, NULL), BN_bin2bn(sig + 32, 32, NULL)) == 1 &&
              (len = i2d_ECDSA_SIG(s, &der)) > 0 &&
              EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
              EVP_DigestVerify(ctx, der, (size_t)len, p, n) == 1;
    OPENSSL_free(der);
    ECDSA_SIG_free(s);
    EVP_MD_CTX_free(ctx);
    return ok;
}

bool lab_jwt_good(const char *token, const struct kw_jwt *j, EVP_PKEY *key)
{
    const char *alg = json_string_value(json_object_get(j->header, "alg"));
    const char *dot = strrchr(token, '.');
    if (alg == NULL || dot == NULL || key == NULL)
        return false;
    bool rs256 = strcmp(alg, "RS256") == 0;
    if (!rs256 && strcmp(alg, "ES256") != 0)
        return false;
    struct kw_buf sig;
    kw_buf_init(&sig, RSA_BYTES_MAX);
    bool ok = kw_b64url_get(&sig, dot + 1, strlen(dot + 1)) &&
              (rs256 ? lab_rs256_good(key, token, (size_t)(dot - token), sig.p, sig.len)
                     : es256_good(key, token, (size_t)(dot - token), sig.p, sig.len));
    kw_buf_free(&sig);
    return ok;
}

EVP_PKEY *lab_key_find(const struct lab_keys *k, const char *id)
{
    for (size_t i = 0; id != NULL && i < k->n; i++)
        if (strcmp(k->key[i].id, id) == 0)
            return k->key[i].pkey;
    return NULL;
}

static int key_add(struct lab_keys *k, const char *id, EVP_PKEY *steal, struct kw_err *err)
{
    struct lab_key *slot = &k->key[k->n];
    if (k->n == LAB_KEYS || snprintf(slot->id, sizeof slot->id, "%s", id) >= (int)sizeof slot->id) {
        EVP_PKEY_free(steal);
        return kw_fail(err, KW_USAGE, "key \"%s\": too many keys or too long a name", id);
    }
    slot->pkey = steal;
    k->n++;
    return 0;
}

int lab_key_load(struct lab_keys *k, const char *id, const char *pem_path, struct kw_err *err)
{
    BIO *f = BIO_new_file(pem_path, "r");
    EVP_PKEY *key = f == NULL ? NULL : PEM_read_bio_PUBKEY(f, NULL, NULL, NULL);
    if (f != NULL && key == NULL && BIO_seek(f, 0) >= 0) {
        X509 *cert = PEM_read_bio_X509(f, NULL, NULL, NULL);
        key = cert == NULL ? NULL : X509_get_pubkey(cert);
        X509_free(cert);
    }
    BIO_free(f);
    if (key == NULL || !EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_get_bits(key) < 2048) {
        EVP_PKEY_free(key);
        return kw_fail(err, KW_USAGE,
                       "%s: no PEM public key (or certificate) of RSA with at least 2048 bits",
                       pem_path);
    }
    return key_add(k, id, key, err);
}

int lab_jwks_take(struct lab_keys *k, const json_t *set, const char *what, struct kw_err *err)
{
    json_t *keys = json_object_get(set, "keys"), *jwk;
    size_t i;
    int rc = 0;
    json_array_foreach(keys, i, jwk)
    {
        const char *kid = json_string_value(json_object_get(jwk, "kid"));
        EVP_PKEY *key = lab_jwk_read(jwk);
        if (key != NULL && kid != NULL && rc == 0)
            rc = key_add(k, kid, key, err);
        else
            EVP_PKEY_free(key);
    }
    if (rc == 0 && k->n == 0)
        rc = kw_fail(err, KW_USAGE, "%s: not a JWK set with a good RSA or P-256 key that has a kid",
                     what);
    return rc;
}

int lab_jwks_load(struct lab_keys *k, const char *path, struct kw_err *err)
{
    json_error_t e;
    json_t *set = json_load_file(path, JSON_REJECT_DUPLICATES, &e);
    int rc = lab_jwks_take(k, set, path, err);
    json_decref(set);
    return rc;
}

void lab_keys_free(struct lab_keys *k)
{
    for (size_t i = 0; i < k->n; i++)
        EVP_PKEY_free(k->key[i].pkey);
    k->n = 0;
}
