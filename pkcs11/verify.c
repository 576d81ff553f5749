/* SPDX-License-Identifier: Apache-2.0
 *
 * What a key is, as the token tells it: attributes, modulus, exponent. One attribute
 * a call, because one that SoftHSM can't read spoils the others of the same call.
 */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>
#include <string.h>

#include "internal.h"

CK_RV kw_attr_get(struct kw_p11 *p, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_TYPE type,
                  void *out, size_t max, size_t *ret_n)
{
    CK_ATTRIBUTE a = {type, out, max};
    CK_RV rv;
    *ret_n = 0;
    KW_CK(rv, p, GetAttributeValue, s, o, &a, 1);
    if (rv != CKR_OK)
        return rv;
    if (a.ulValueLen == CK_UNAVAILABLE_INFORMATION)
        return CKR_ATTRIBUTE_TYPE_INVALID;
    if (a.ulValueLen > max)
        return CKR_BUFFER_TOO_SMALL;
    *ret_n = a.ulValueLen;
    return CKR_OK;
}

int kw_attr_bool(struct kw_p11 *p, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_TYPE type)
{
    CK_BBOOL b = 0xff;
    size_t n = 0;
    if (kw_attr_get(p, s, o, type, &b, sizeof b, &n) != CKR_OK || n != sizeof b)
        return -1;
    return b == CK_FALSE ? 0 : b == CK_TRUE ? 1 : -1;
}

enum { ANY = -1 };

static const struct rule {
    CK_ATTRIBUTE_TYPE type;
    const char *name;
    int want;         /* 0, 1 or ANY */
    unsigned accept;  /* enum kw_accept bit with which another value is taken */
    const char *word; /* the same in [key] accept */
} rules[] = {
    {CKA_TOKEN, "TOKEN", ANY, 0, NULL},
    {CKA_PRIVATE, "PRIVATE", 1, KW_ACCEPT_PUBLIC, "public"},
    {CKA_SENSITIVE, "SENSITIVE", 1, KW_ACCEPT_EXTRACTABLE, "extractable"},
    {CKA_EXTRACTABLE, "EXTRACTABLE", 0, KW_ACCEPT_EXTRACTABLE, "extractable"},
    {CKA_ALWAYS_SENSITIVE, "ALWAYS_SENSITIVE", 1, KW_ACCEPT_EXTRACTABLE, "extractable"},
    {CKA_NEVER_EXTRACTABLE, "NEVER_EXTRACTABLE", 1, KW_ACCEPT_EXTRACTABLE, "extractable"},
    {CKA_LOCAL, "LOCAL", 1, KW_ACCEPT_NOT_LOCAL, "not-local"},
    {CKA_MODIFIABLE, "MODIFIABLE", 0, KW_ACCEPT_MODIFIABLE, "modifiable"},
    {CKA_COPYABLE, "COPYABLE", ANY, 0, NULL},
    {CKA_SIGN, "SIGN", 1, 0, NULL},
    {CKA_DECRYPT, "DECRYPT", 0, 0, NULL},
    {CKA_UNWRAP, "UNWRAP", 0, 0, NULL},
    {CKA_SIGN_RECOVER, "SIGN_RECOVER", 0, 0, NULL},
    {CKA_DERIVE, "DERIVE", 0, 0, NULL},
};

static int deviation(const struct kw_p11 *p, const struct rule *r, int value, struct kw_err *err)
{
    char have[32];
    if (value < 0)
        (void)snprintf(have, sizeof have, "can't be read");
    else
        (void)snprintf(have, sizeof have, "is %d", value);
    return kw_fail(err, KW_TOKEN, "the key in token %s is not as it must be: CKA_%s %s, not %d%s%s",
                   p->token, r->name, have, r->want,
                   r->word != NULL ? "; to take the risk, add to [key] accept: " : "",
                   r->word != NULL ? r->word : "");
}

/* Is it an RSA private key at all (an EC key where it was looked for as one)? Where it is
 * not, the rest means nothing. */
static int check_class(struct kw_p11 *p, CK_SESSION_HANDLE s, const struct kw_p11_key *k,
                       struct kw_err *err)
{
    CK_ULONG class = 0, type = 0;
    size_t n = 0;
    CK_RV rv = kw_attr_get(p, s, k->priv, CKA_CLASS, &class, sizeof class, &n);
    if (rv == CKR_OK)
        rv = kw_attr_get(p, s, k->priv, CKA_KEY_TYPE, &type, sizeof type, &n);
    if (rv != CKR_OK)
        return kw_ck_fail(p, err, KW_TOKEN, "C_GetAttributeValue", rv, "");
    CK_ULONG want = k->mech == CKM_ECDSA ? CKK_EC : CKK_RSA;
    if (class != CKO_PRIVATE_KEY || type != want)
        return kw_fail(err, KW_TOKEN, "the key in token %s is not an %s private key", p->token,
                       want == CKK_EC ? "EC" : "RSA");
    return 0;
}

int kw_key_verify(struct kw_p11 *p, CK_SESSION_HANDLE s, bool strict, unsigned accept,
                  struct kw_p11_key *k, struct kw_err *err)
{
    int r = check_class(p, s, k, err);
    size_t at = 0;
    for (size_t i = 0; r == 0 && i < sizeof rules / sizeof rules[0]; i++) {
        int value = kw_attr_bool(p, s, k->priv, rules[i].type);
        int n = snprintf(k->attributes + at, sizeof k->attributes - at, "%s%s=%c",
                         at > 0 ? " " : "", rules[i].name, value < 0 ? '?' : '0' + value);
        at += n > 0 && (size_t)n < sizeof k->attributes - at ? (size_t)n : 0;
        if (rules[i].type == CKA_TOKEN) {
            k->token_object = value == 1;
            if (value < 0)
                return kw_fail(err, KW_TOKEN, "token %s doesn't tell where the key is (CKA_TOKEN)",
                               p->token);
        }
        if (strict && rules[i].want != ANY && value != rules[i].want &&
            (rules[i].accept & accept) == 0)
            r = deviation(p, &rules[i], value, err);
    }
    return r;
}

struct number {
    unsigned char bytes[2048];
    size_t n;
};

/* Reads an unsigned big integer without leading zeros. */
static CK_RV get_number(struct kw_p11 *p, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o,
                        CK_ATTRIBUTE_TYPE type, struct number *ret)
{
    CK_RV rv = kw_attr_get(p, s, o, type, ret->bytes, sizeof ret->bytes, &ret->n);
    size_t zeros = 0;
    while (rv == CKR_OK && zeros < ret->n && ret->bytes[zeros] == 0)
        zeros++;
    if (rv == CKR_OK && zeros == ret->n)
        return CKR_ATTRIBUTE_VALUE_INVALID;
    if (rv == CKR_OK && zeros > 0) {
        ret->n -= zeros;
        memmove(ret->bytes, ret->bytes + zeros, ret->n);
    }
    return rv;
}

/* DER SubjectPublicKeyInfo of the numbers, by OpenSSL. */
static bool make_spki(const struct number *mod, const struct number *exp, struct kw_p11_key *k)
{
    bool ok = false;
    BIGNUM *n = BN_bin2bn(mod->bytes, (int)mod->n, NULL);
    BIGNUM *e = BN_bin2bn(exp->bytes, (int)exp->n, NULL);
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *pkey = NULL;
    unsigned char *der = NULL;
    if (n != NULL && e != NULL && bld != NULL && ctx != NULL && BN_is_odd(n) && BN_is_odd(e) &&
        OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e) == 1 &&
        (params = OSSL_PARAM_BLD_to_param(bld)) != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
        EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) == 1) {
        int len = i2d_PUBKEY(pkey, &der);
        if (len > 0 && (size_t)len <= sizeof k->spki) {
            memcpy(k->spki, der, (size_t)len);
            k->spki_len = (size_t)len;
            k->bits = (unsigned)BN_num_bits(n);
            ok = true;
        }
    }
    OPENSSL_free(der);
    EVP_PKEY_free(pkey);
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(bld);
    BN_free(e);
    BN_free(n);
    return ok;
}

int kw_key_public(struct kw_p11 *p, CK_SESSION_HANDLE s, struct kw_p11_key *k, struct kw_err *err)
{
    struct number mod, exp, other;
    CK_RV rv = get_number(p, s, k->priv, CKA_MODULUS, &mod);
    if (rv == CKR_OK && k->pub != 0) {
        rv = get_number(p, s, k->pub, CKA_MODULUS, &other);
        if (rv == CKR_OK && (other.n != mod.n || memcmp(other.bytes, mod.bytes, mod.n) != 0))
            return kw_fail(err, KW_TOKEN,
                           "public and private half of the key in token %s don't belong together",
                           p->token);
    }
    if (rv == CKR_OK) {
        rv = get_number(p, s, k->priv, CKA_PUBLIC_EXPONENT, &exp);
        if (rv != CKR_OK && k->pub != 0) /* the private half need not have it */
            rv = get_number(p, s, k->pub, CKA_PUBLIC_EXPONENT, &exp);
    }
    if (rv != CKR_OK)
        return kw_ck_fail(p, err, KW_TOKEN, "C_GetAttributeValue of modulus and exponent", rv, "");
    if (exp.n < 3) /* below 65537: smaller ones have a bad history, and clouds refuse them */
        return kw_fail(err, KW_TOKEN, "the key in token %s has a public exponent below 65537",
                       p->token);
    if (!make_spki(&mod, &exp, k))
        return kw_fail(err, KW_TOKEN,
                       "the key in token %s is no valid RSA public key of at most "
                       "4096 bits",
                       p->token);
    return 0;
}
