/* SPDX-License-Identifier: Apache-2.0
 *
 * C_WrapKey by everything on offer. NSS reports a key as never extractable and wraps
 * it all the same, so that attributes prove nothing here; only trying does.
 */
#include "wrap.h"

#include <string.h>

#define MECHS_MAX 512

/* Not in every version of the header. */
struct rsa_aes_params {
    CK_ULONG aes_bits;
    CK_RSA_PKCS_OAEP_PARAMS *oaep;
};

static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

static CK_ATTRIBUTE attr(CK_ATTRIBUTE_TYPE type, const void *value, size_t n)
{
    return (CK_ATTRIBUTE){type, kw_unconst(value), n};
}

/* Generated, else imported: some tokens only allow one of them. */
static CK_OBJECT_HANDLE make_secret(struct kw_p11 *p, CK_SESSION_HANDLE s, CK_MECHANISM_TYPE gen,
                                    CK_KEY_TYPE type, CK_ULONG len)
{
    /* an odd constant, whose bytes have odd parity: valid as 3DES key, too. It wraps a
     * throwaway key and nothing else. */
    static const unsigned char value[33] =
        "\x01\x02\x04\x07\x08\x0b\x0d\x0e\x10\x13\x15\x16\x19\x1a"
        "\x1c\x1f\x20\x23\x25\x26\x29\x2a\x2c\x2f\x31\x32\x34\x37"
        "\x38\x3b\x3d\x3e";
    const CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_ATTRIBUTE t[] = {
        attr(CKA_TOKEN, &no, sizeof no),        attr(CKA_WRAP, &yes, sizeof yes),
        attr(CKA_VALUE_LEN, &len, sizeof len),  attr(CKA_CLASS, &class, sizeof class),
        attr(CKA_KEY_TYPE, &type, sizeof type), attr(CKA_VALUE, value, len),
    };
    CK_MECHANISM m = {gen, NULL, 0};
    CK_OBJECT_HANDLE o = 0;
    CK_RV rv;
    /* 3DES has a fixed length and takes no VALUE_LEN */
    KW_CK(rv, p, GenerateKey, s, &m, t, gen == CKM_AES_KEY_GEN ? 3 : 2, &o);
    if (rv == CKR_OK)
        return o;
    t[2] = attr(CKA_VALUE, value, len);
    KW_CK(rv, p, CreateObject, s, t, 5, &o);
    return rv == CKR_OK ? o : 0;
}

/* The twin's own modulus serves as wrapping key: no second key generation needed,
 * and what only the twin could unwrap is lost with it. Generated where a public key
 * can't be imported. */
static CK_OBJECT_HANDLE make_rsa(struct kw_p11 *p, CK_SESSION_HANDLE s,
                                 const struct kw_p11_key *twin)
{
    static const unsigned char f4[3] = {1, 0, 1};
    const CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
    const CK_KEY_TYPE type = CKK_RSA;
    const CK_ULONG bits = twin->bits;
    unsigned char mod[1024];
    size_t n = 0;
    CK_OBJECT_HANDLE pub = 0, priv = 0;
    CK_RV rv = kw_attr_get(p, s, twin->priv, CKA_MODULUS, mod, sizeof mod, &n);
    CK_ATTRIBUTE t[] = {
        attr(CKA_TOKEN, &no, sizeof no),          attr(CKA_WRAP, &yes, sizeof yes),
        attr(CKA_PUBLIC_EXPONENT, f4, sizeof f4), attr(CKA_CLASS, &class, sizeof class),
        attr(CKA_KEY_TYPE, &type, sizeof type),   attr(CKA_MODULUS, mod, n),
    };
    if (rv == CKR_OK)
        KW_CK(rv, p, CreateObject, s, t, 6, &pub);
    if (rv == CKR_OK)
        return pub;
    CK_MECHANISM m = {CKM_RSA_PKCS_KEY_PAIR_GEN, NULL, 0};
    CK_ATTRIBUTE priv_t[] = {attr(CKA_TOKEN, &no, sizeof no)};
    t[3] = attr(CKA_MODULUS_BITS, &bits, sizeof bits);
    KW_CK(rv, p, GenerateKeyPair, s, &m, t, 4, priv_t, 1, &pub, &priv);
    return rv == CKR_OK ? pub : 0; /* the private half dies with the session */
}

void kw_wrap_prepare(struct kw_p11 *p, CK_SESSION_HANDLE s, const struct kw_p11_key *twin,
                     struct kw_wrap *w)
{
    CK_MECHANISM_TYPE all[MECHS_MAX];
    CK_ULONG n = MECHS_MAX;
    CK_RV rv;
    memset(w, 0, sizeof *w);
    KW_CK(rv, p, GetMechanismList, p->slot, all, &n);
    w->listed = rv == CKR_OK;
    for (CK_ULONG i = 0; rv == CKR_OK && i < n && i < MECHS_MAX && w->n_mechs < KW_WRAP_MECHS;
         i++) {
        CK_MECHANISM_INFO info = {0};
        CK_RV got;
        KW_CK(got, p, GetMechanismInfo, p->slot, all[i], &info);
        if (got == CKR_OK && (info.flags & CKF_WRAP) != 0)
            w->mechs[w->n_mechs++] = all[i];
    }
    if (w->n_mechs == 0)
        return;
    w->keys[0] = make_secret(p, s, CKM_AES_KEY_GEN, CKK_AES, 32);
    w->keys[1] = make_rsa(p, s, twin);
    w->keys[2] = make_secret(p, s, CKM_DES3_KEY_GEN, CKK_DES3, 24);
    for (unsigned i = 0; i < KW_WRAP_KEYS; i++)
        w->had[i] = w->keys[i] != 0;
}

void kw_wrap_end(struct kw_p11 *p, CK_SESSION_HANDLE s, struct kw_wrap *w)
{
    for (unsigned i = 0; i < KW_WRAP_KEYS; i++) {
        CK_RV rv;
        if (w->keys[i] != 0)
            KW_CK(rv, p, DestroyObject, s, w->keys[i]);
        (void)rv; /* session objects: they end with the session at the latest */
        w->keys[i] = 0;
    }
}

enum params { NONE, IV8, IV16, CTR, GCM, OAEP, OAEP256, RSA_AES };

/* The parameters with which a mechanism works; several rows: each is tried. */
static const struct row {
    CK_MECHANISM_TYPE mech;
    enum params params;
} rows[] = {
    {CKM_RSA_PKCS, NONE},
    {CKM_RSA_X_509, NONE},
    {CKM_RSA_PKCS_OAEP, OAEP},
    {CKM_RSA_PKCS_OAEP, OAEP256},
    {CKM_RSA_AES_KEY_WRAP, RSA_AES},
    {CKM_AES_ECB, NONE},
    {CKM_AES_CBC, IV16},
    {CKM_AES_CBC_PAD, IV16},
    {CKM_AES_CTR, CTR},
    {CKM_AES_GCM, GCM},
    {CKM_AES_KEY_WRAP, NONE},
    {CKM_AES_KEY_WRAP, IV8},
    {CKM_AES_KEY_WRAP_PAD, NONE},
    {CKM_DES3_ECB, NONE},
    {CKM_DES3_CBC, IV8},
    {CKM_DES3_CBC_PAD, IV8},
};
static const enum params unknown[] = {NONE, IV8, IV16};

/* One C_WrapKey; the mechanism's parameters are built here, so that they live as
 * long as the call. */
static CK_RV wrap_once(struct kw_p11 *p, CK_SESSION_HANDLE s, CK_MECHANISM_TYPE mech,
                       enum params params, CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key,
                       unsigned char *out, CK_ULONG *n)
{
    unsigned char iv[16] = {0};
    CK_AES_CTR_PARAMS ctr = {.ulCounterBits = 128};
    CK_GCM_PARAMS gcm = {.pIv = iv, .ulIvLen = 12, .ulIvBits = 96, .ulTagBits = 128};
    CK_RSA_PKCS_OAEP_PARAMS oaep = {CKM_SHA_1, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, NULL, 0};
    struct rsa_aes_params rsa_aes = {256, &oaep};
    CK_MECHANISM m = {mech, NULL, 0};
    CK_RV rv;
    switch (params) {
    case NONE:
        break;
    case IV8:
    case IV16:
        m.pParameter = iv;
        m.ulParameterLen = params == IV8 ? 8 : 16;
        break;
    case CTR:
        m.pParameter = &ctr;
        m.ulParameterLen = sizeof ctr;
        break;
    case GCM:
        m.pParameter = &gcm;
        m.ulParameterLen = sizeof gcm;
        break;
    case OAEP256:
        oaep.hashAlg = CKM_SHA256;
        oaep.mgf = CKG_MGF1_SHA256;
        /* fall through */
    case OAEP:
        m.pParameter = &oaep;
        m.ulParameterLen = sizeof oaep;
        break;
    case RSA_AES:
        m.pParameter = &rsa_aes;
        m.ulParameterLen = sizeof rsa_aes;
        break;
    }
    KW_CK(rv, p, WrapKey, s, &m, wrapping, key, out, n);
    return rv;
}

/* guess: the parameters of an unknown mechanism. p11-kit answers CKR_HOST_MEMORY to those
 * that it can't pack: the token was not asked, nor could anybody else ask it so. */
static bool try_params(struct kw_p11 *p, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE key,
                       CK_MECHANISM_TYPE mech, enum params params, bool guess, struct kw_wrap *w)
{
    /* Far larger than any format of the twin: TOO_SMALL is no refusal here. */
    unsigned char out[16384];
    for (unsigned k = 0; k < KW_WRAP_KEYS; k++) {
        CK_ULONG n = sizeof out;
        if (w->keys[k] == 0)
            continue;
        w->tried++;
        CK_RV rv = wrap_once(p, s, mech, params, w->keys[k], key, out, &n);
        if (kw_rv_lost(rv) && !(guess && rv == CKR_HOST_MEMORY))
            w->lost = rv;
        if ((rv == CKR_OK && n > 0) || rv == CKR_BUFFER_TOO_SMALL) {
            w->by = mech;
            w->bytes = n;
            explicit_bzero(out, sizeof out);
            return true;
        }
    }
    return false;
}

bool kw_wrap_try(struct kw_p11 *p, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE key, struct kw_wrap *w)
{
    for (unsigned i = 0; i < w->n_mechs; i++) {
        bool known = false;
        for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
            if (rows[r].mech != w->mechs[i])
                continue;
            known = true;
            if (try_params(p, s, key, w->mechs[i], rows[r].params, false, w))
                return true;
        }
        for (size_t u = 0; !known && u < sizeof unknown / sizeof unknown[0]; u++)
            if (try_params(p, s, key, w->mechs[i], unknown[u], true, w))
                return true;
    }
    return false;
}
