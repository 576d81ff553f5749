/* SPDX-License-Identifier: Apache-2.0
 *
 * Signatures, RSASSA-PKCS1-v1_5 with SHA-256: two PKCS#11 calls each, and the check
 * with OpenSSL that the module computes them rightly.
 */
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <string.h>

#include "internal.h"

/* DigestInfo of SHA-256 up to the hash (RFC 8017, 9.2, note 1), for tokens that only
 * have CKM_RSA_PKCS. A constant of 19 bytes is simpler to check than ASN.1 code. */
static const unsigned char digest_info[19] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60,
                                              0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
                                              0x01, 0x05, 0x00, 0x04, 0x20};

CK_RV kw_sign_in(struct kw_p11 *p, CK_SESSION_HANDLE s, const struct kw_p11_key *key,
                 const void *data, size_t n, unsigned char sig[512], size_t *ret_n,
                 const char **ret_call)
{
    unsigned char info[sizeof digest_info + SHA256_DIGEST_LENGTH];
    CK_MECHANISM m = {key->mech, NULL, 0};
    CK_ULONG len = 512;
    CK_RV rv;
    *ret_n = 0;
    if (key->mech == CKM_ECDSA) { /* takes the hash */
        *ret_call = "SHA-256";
        if (EVP_Digest(data, n, info, NULL, EVP_sha256(), NULL) != 1)
            return CKR_FUNCTION_FAILED;
        data = info;
        n = SHA256_DIGEST_LENGTH;
    } else if (key->mech == CKM_RSA_PKCS) {
        memcpy(info, digest_info, sizeof digest_info);
        *ret_call = "SHA-256";
        if (EVP_Digest(data, n, info + sizeof digest_info, NULL, EVP_sha256(), NULL) != 1)
            return CKR_FUNCTION_FAILED;
        data = info;
        n = sizeof info;
    }
    *ret_call = "C_SignInit";
    KW_CK(rv, p, SignInit, s, &m, key->priv);
    if (rv != CKR_OK)
        return rv;
    *ret_call = "C_Sign";
    KW_CK(rv, p, Sign, s, kw_unconst(data), n, sig, &len);
    if (rv == CKR_OK)
        *ret_n = len <= 512 ? len : 0;
    return rv;
}

bool kw_session_died(CK_RV rv)
{
    return rv == CKR_SESSION_HANDLE_INVALID || rv == CKR_SESSION_CLOSED;
}

static const char *sign_cure(CK_RV rv)
{
    switch (rv) {
    case CKR_KEY_HANDLE_INVALID:
    case CKR_OBJECT_HANDLE_INVALID:
        return "the key is gone from the token: start over";
    case CKR_USER_NOT_LOGGED_IN:
    case CKR_DEVICE_REMOVED:
    case CKR_TOKEN_NOT_PRESENT:
    case CKR_CRYPTOKI_NOT_INITIALIZED:
        return "the token was reset or removed: start over";
    case CKR_GENERAL_ERROR:
    case CKR_FUNCTION_FAILED:
    case CKR_DEVICE_ERROR:
        return "if the module works through a daemon, see that it runs, and start over";
    default:
        return "";
    }
}

int kw_sign_pooled(struct kw_p11 *p, const struct kw_p11_key *key, const void *data, size_t n,
                   unsigned char *sig, size_t *ret_n, CK_RV *ret_rv, struct kw_err *err)
{
    const char *call = "";
    CK_SESSION_HANDLE s = 0;
    unsigned i = 0;
    *ret_n = 0;
    *ret_rv = CKR_OK;
    int r = kw_pool_take(p, &i, &s, err);
    if (r != 0)
        return r;
    CK_RV rv = kw_sign_in(p, s, key, data, n, sig, ret_n, &call);
    if (kw_session_died(rv)) {
        r = kw_pool_renew(p, i, &s, err);
        if (r == 0)
            rv = kw_sign_in(p, s, key, data, n, sig, ret_n, &call);
    }
    if (r == 0 && rv != CKR_OK) {
        /* An operation may be left active in the session: never use it again. */
        (void)kw_pool_renew(p, i, &s, NULL);
        *ret_rv = rv;
        r = kw_ck_fail(p, err, KW_TOKEN, call, rv, sign_cure(rv));
    }
    kw_pool_give(p, i);
    size_t want = (key->bits + 7u) / 8u * (key->mech == CKM_ECDSA ? 2 : 1);
    if (r == 0 && *ret_n != want)
        r = kw_fail(err, KW_TOKEN, "token %s gave a signature of %zu bytes for a key of %u bits",
                    p->token, *ret_n, key->bits);
    return r;
}

int kw_p11_sign(struct kw_p11 *p, const struct kw_p11_key *key, const void *data, size_t n,
                unsigned char *sig, size_t *ret_n, struct kw_err *err)
{
    CK_RV ignored; /* is in *err */
    return kw_sign_pooled(p, key, data, n, sig, ret_n, &ignored, err);
}

int kw_p11_check(const struct kw_p11_key *key, const void *data, size_t n, const unsigned char *sig,
                 size_t sig_n, struct kw_err *err)
{
    const unsigned char *der = key->spki;
    unsigned char ecdsa[128];
    if (key->mech == CKM_ECDSA && kw_ec_raw_to_der(sig, sig_n, ecdsa, sizeof ecdsa, &sig_n))
        sig = ecdsa;
    EVP_PKEY *pkey = d2i_PUBKEY(NULL, &der, (long)key->spki_len);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = pkey != NULL && ctx != NULL &&
              EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, pkey) == 1 &&
              EVP_DigestVerify(ctx, sig, sig_n, data, n) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    if (!ok)
        return kw_fail(err, KW_TOKEN,
                       "the module's signature does not verify with the key's public half; don't "
                       "use this module");
    return 0;
}
