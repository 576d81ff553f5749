/* SPDX-License-Identifier: Apache-2.0
 *
 * mock.so: keys in use: signatures, and what C_WrapKey gives out or should not.
 */
#include "mock.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

/* --- signing ------------------------------------------------------------------------------ */

static CK_RV sign_init(CK_SESSION_HANDLE h, CK_MECHANISM_TYPE m, CK_OBJECT_HANDLE key)
{
    struct mk_session *s = mk_session(h);
    const struct mk_object *o = s != NULL ? mk_object(s, key) : NULL;
    bool rsa = m == CKM_RSA_PKCS || (m == CKM_SHA256_RSA_PKCS && !mk_told("no-sha256"));
    if (s == NULL)
        return CKR_SESSION_HANDLE_INVALID;
    if (s->signing)
        return CKR_OPERATION_ACTIVE;
    if (!rsa && m != CKM_ECDSA)
        return CKR_MECHANISM_INVALID;
    if (o == NULL || o->class != CKO_PRIVATE_KEY)
        return CKR_KEY_HANDLE_INVALID;
    if (o->type != (rsa ? CKK_RSA : CKK_EC))
        return CKR_KEY_TYPE_INCONSISTENT;
    if (!mk_flag(o, CKA_SIGN))
        return CKR_KEY_FUNCTION_NOT_PERMITTED;
    if (o->allowed != ~0UL && o->allowed != m)
        return CKR_MECHANISM_INVALID;
    s->signing = true;
    s->mech = m;
    s->key = key;
    return CKR_OK;
}

CK_RV C_SignInit(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
    MK_LOCKED("C_SignInit", h, sign_init(h, m->mechanism, key));
}

static bool sign_rsa(EVP_PKEY *k, CK_MECHANISM_TYPE mech, const unsigned char *data, size_t n,
                     unsigned char *sig, size_t *sig_n)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(k, NULL);
    bool ok = md != NULL && ctx != NULL;
    if (ok && mech == CKM_SHA256_RSA_PKCS)
        ok = EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, k) == 1 &&
             EVP_DigestSign(md, sig, sig_n, data, n) == 1;
    else if (ok)
        ok = EVP_PKEY_sign_init(ctx) == 1 &&
             EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
             EVP_PKEY_sign(ctx, sig, sig_n, data, n) == 1;
    EVP_PKEY_CTX_free(ctx);
    EVP_MD_CTX_free(md);
    return ok;
}

/* Both numbers, 32 bytes each, as PKCS#11 has it. */
static bool sign_ec(EVP_PKEY *k, const unsigned char *data, size_t n, unsigned char *sig,
                    size_t *sig_n)
{
    unsigned char der[128];
    const unsigned char *p = der;
    size_t der_n = sizeof der;
    ECDSA_SIG *parts = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(k, NULL);
    bool ok = ctx != NULL && EVP_PKEY_sign_init(ctx) == 1 &&
              EVP_PKEY_sign(ctx, der, &der_n, data, n) == 1 &&
              (parts = d2i_ECDSA_SIG(NULL, &p, (long)der_n)) != NULL &&
              BN_bn2binpad(ECDSA_SIG_get0_r(parts), sig, 32) == 32 &&
              BN_bn2binpad(ECDSA_SIG_get0_s(parts), sig + 32, 32) == 32;
    *sig_n = 64;
    ECDSA_SIG_free(parts);
    EVP_PKEY_CTX_free(ctx);
    return ok;
}

/* Ends the operation, or tells the room that it needs and leaves it. */
static CK_RV take_operation(CK_SESSION_HANDLE h, bool ask, CK_ULONG *n, EVP_PKEY **ret,
                            CK_MECHANISM_TYPE *ret_mech, const char **ret_fate)
{
    struct mk_session *s = mk_session(h);
    if (s == NULL || !s->signing)
        return s == NULL ? CKR_SESSION_HANDLE_INVALID : CKR_OPERATION_NOT_INITIALIZED;
    const struct mk_object *o = mk_object(s, s->key);
    CK_ULONG need = o == NULL ? 0 : o->type == CKK_EC ? 64 : (o->bits + 7) / 8;
    if (o != NULL && (ask || *n < need)) {
        *n = need;
        return ask ? CKR_OK : CKR_BUFFER_TOO_SMALL;
    }
    unsigned i = 0;
    const char *refuses = o != NULL && o->allowed != ~0UL ? mk_next("strict-sign", &i) : NULL;
    if (refuses != NULL)
        return strtoul(refuses, NULL, 16);
    s->signing = false;
    *ret_fate = o != NULL ? mk_fate_of(o->label, o->label_n) : "";
    *ret = o != NULL ? mk_key(o) : NULL;
    *ret_mech = s->mech;
    return *ret != NULL ? CKR_OK : CKR_KEY_HANDLE_INVALID;
}

static CK_RV sign(const char *what, CK_SESSION_HANDLE h, const CK_BYTE *data, CK_ULONG n,
                  CK_BYTE *sig, CK_ULONG *sig_n)
{
    EVP_PKEY *k = NULL;
    CK_MECHANISM_TYPE mech = 0;
    CK_ULONG room = *sig_n;
    const char *fate = "";
    (void)pthread_mutex_lock(&mk_lock);
    CK_RV rv = take_operation(h, sig == NULL, sig_n, &k, &mech, &fate);
    (void)pthread_mutex_unlock(&mk_lock);
    mk_meet_fate(fate); /* others are not held up by it */
    if (rv != CKR_OK || k == NULL)
        return rv;
    size_t len = room;
    bool ok =
        mech == CKM_ECDSA ? sign_ec(k, data, n, sig, &len) : sign_rsa(k, mech, data, n, sig, &len);
    EVP_PKEY_free(k);
    if (!ok)
        return CKR_DATA_LEN_RANGE;
    if (strcmp(what, "badsig") == 0)
        sig[len / 2] ^= 1;
    if (strcmp(what, "shortsig") == 0)
        len--;
    if (strcmp(what, "longsig") == 0 && len < room)
        sig[len++] = 0;
    *sig_n = len;
    return CKR_OK;
}

CK_RV C_Sign(CK_SESSION_HANDLE h, CK_BYTE *data, CK_ULONG n, CK_BYTE *sig, CK_ULONG *sig_n)
{
    MK_CALL("C_Sign", h, sign(call.what, h, data, n, sig, sig_n));
}

/* --- wrapping ------------------------------------------------------------------------------- */

/* The private key as PKCS#8. */
static CK_ULONG plain(const struct mk_object *o, unsigned char *out, CK_ULONG room)
{
    EVP_PKEY *k = mk_key(o);
    PKCS8_PRIV_KEY_INFO *info = k != NULL ? EVP_PKEY2PKCS8(k) : NULL;
    int n = info != NULL ? i2d_PKCS8_PRIV_KEY_INFO(info, NULL) : 0;
    if (n > 0 && (CK_ULONG)n <= room)
        n = i2d_PKCS8_PRIV_KEY_INFO(info, &out);
    PKCS8_PRIV_KEY_INFO_free(info);
    EVP_PKEY_free(k);
    return n > 0 ? (CK_ULONG)n : 0;
}

static CK_RV wrap_by(const struct mk_object *key, const CK_MECHANISM *m,
                     const struct mk_object *target, unsigned char *out, CK_ULONG *ret_n)
{
    unsigned char clear[MK_VALUE + 64], sealed[MK_VALUE + 128];
    int n = 0, more = 0;
    CK_ULONG clear_n = plain(target, clear, sizeof clear), room = *ret_n;
    bool pad = m->mechanism == CKM_AES_KEY_WRAP_PAD;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (ctx == NULL)
        return CKR_HOST_MEMORY;
    EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    bool ok = EVP_EncryptInit_ex(ctx, pad ? EVP_aes_256_wrap_pad() : EVP_aes_256_cbc(), NULL,
                                 key->value, m->pParameter) == 1 &&
              EVP_EncryptUpdate(ctx, sealed, &n, clear, (int)clear_n) == 1 &&
              EVP_EncryptFinal_ex(ctx, sealed + n, &more) == 1;
    EVP_CIPHER_CTX_free(ctx);
    if (!ok)
        return CKR_FUNCTION_FAILED;
    *ret_n = (CK_ULONG)(n + more);
    if (out != NULL && *ret_n <= room)
        memcpy(out, sealed, *ret_n);
    return out != NULL && *ret_n > room ? CKR_BUFFER_TOO_SMALL : CKR_OK;
}

static CK_RV wrap(CK_SESSION_HANDLE h, const CK_MECHANISM *m, CK_OBJECT_HANDLE wrapping,
                  CK_OBJECT_HANDLE key, unsigned char *out, CK_ULONG *n)
{
    const struct mk_session *s = mk_session(h);
    const struct mk_object *by = s != NULL ? mk_object(s, wrapping) : NULL;
    const struct mk_object *o = s != NULL ? mk_object(s, key) : NULL;
    if (s == NULL)
        return CKR_SESSION_HANDLE_INVALID;
    if (by == NULL || by->type != CKK_AES || !mk_flag(by, CKA_WRAP))
        return by == NULL ? CKR_WRAPPING_KEY_HANDLE_INVALID : CKR_WRAPPING_KEY_TYPE_INCONSISTENT;
    if (o == NULL || o->class != CKO_PRIVATE_KEY)
        return o == NULL ? CKR_KEY_HANDLE_INVALID : CKR_KEY_NOT_WRAPPABLE;
    if (!mk_flag(o, CKA_EXTRACTABLE) && !mk_leaks("wrap"))
        return CKR_KEY_UNEXTRACTABLE;
    if (m->mechanism == CKM_AES_CBC_PAD)
        return m->ulParameterLen == 16 ? wrap_by(by, m, o, out, n) : CKR_MECHANISM_PARAM_INVALID;
    if (m->mechanism == CKM_AES_KEY_WRAP_PAD)
        return m->ulParameterLen == 0 ? wrap_by(by, m, o, out, n) : CKR_MECHANISM_PARAM_INVALID;
    return CKR_MECHANISM_INVALID;
}

CK_RV C_WrapKey(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE wrapping,
                CK_OBJECT_HANDLE key, CK_BYTE *out, CK_ULONG *n)
{
    MK_LOCKED("C_WrapKey", h, wrap(h, m, wrapping, key, out, n));
}
