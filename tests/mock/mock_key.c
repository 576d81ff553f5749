/* SPDX-License-Identifier: Apache-2.0
 *
 * mock.so: keys by OpenSSL: making, importing, reading.
 */
#include "mock.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

static unsigned made_1024, made_2048;

/* Keys that were decoded already, by the place of their object. */
static struct {
    CK_OBJECT_HANDLE handle;
    EVP_PKEY *pkey;
} decoded[MK_OBJECTS];

void mk_keys_reset(void)
{
    made_1024 = made_2048 = 0;
    for (unsigned i = 0; i < MK_OBJECTS; i++) {
        EVP_PKEY_free(decoded[i].pkey);
        decoded[i].pkey = NULL;
        decoded[i].handle = 0;
    }
}

EVP_PKEY *mk_key(const struct mk_object *o)
{
    size_t i = (size_t)(o - mk_store->objects);
    const unsigned char *p = o->value;
    if (decoded[i].handle != o->handle) {
        EVP_PKEY_free(decoded[i].pkey);
        decoded[i].pkey = o->class == CKO_PRIVATE_KEY
                              ? d2i_AutoPrivateKey(NULL, &p, (long)o->value_n)
                              : d2i_PUBKEY(NULL, &p, (long)o->value_n);
        decoded[i].handle = o->handle;
    }
    if (decoded[i].pkey == NULL || EVP_PKEY_up_ref(decoded[i].pkey) != 1)
        return NULL;
    return decoded[i].pkey;
}

/* --- attributes ------------------------------------------------------------------------ */

static CK_RV give(const void *bytes, CK_ULONG n, unsigned char *out, CK_ULONG room, CK_ULONG *ret_n)
{
    *ret_n = n;
    if (out != NULL && n <= room)
        memcpy(out, bytes, n);
    return out != NULL && n > room ? CKR_BUFFER_TOO_SMALL : CKR_OK;
}

static CK_RV give_number(const EVP_PKEY *k, const char *param, unsigned char *out, CK_ULONG room,
                         CK_ULONG *ret_n)
{
    unsigned char bytes[1024];
    BIGNUM *b = NULL;
    if (EVP_PKEY_get_bn_param(k, param, &b) != 1 || (size_t)BN_num_bytes(b) > sizeof bytes) {
        BN_clear_free(b);
        return CKR_ATTRIBUTE_TYPE_INVALID;
    }
    int n = BN_bn2bin(b, bytes);
    BN_clear_free(b);
    return give(bytes, (CK_ULONG)n, out, room, ret_n);
}

/* The point as an OCTET STRING. */
static CK_RV give_point(const EVP_PKEY *k, unsigned char *out, CK_ULONG room, CK_ULONG *ret_n)
{
    unsigned char bytes[140] = {0x04};
    size_t n = 0;
    if (EVP_PKEY_get_octet_string_param(k, OSSL_PKEY_PARAM_PUB_KEY, bytes + 2, 127, &n) != 1)
        return CKR_ATTRIBUTE_TYPE_INVALID;
    bytes[1] = (unsigned char)n;
    return give(bytes, n + 2, out, room, ret_n);
}

static const struct {
    CK_ATTRIBUTE_TYPE type;
    const char *param;
} numbers[] = {
    {CKA_MODULUS, OSSL_PKEY_PARAM_RSA_N},
    {CKA_PUBLIC_EXPONENT, OSSL_PKEY_PARAM_RSA_E},
    {CKA_PRIVATE_EXPONENT, OSSL_PKEY_PARAM_RSA_D},
    {CKA_PRIME_1, OSSL_PKEY_PARAM_RSA_FACTOR1},
    {CKA_PRIME_2, OSSL_PKEY_PARAM_RSA_FACTOR2},
    {CKA_EXPONENT_1, OSSL_PKEY_PARAM_RSA_EXPONENT1},
    {CKA_EXPONENT_2, OSSL_PKEY_PARAM_RSA_EXPONENT2},
    {CKA_COEFFICIENT, OSSL_PKEY_PARAM_RSA_COEFFICIENT1},
    {CKA_VALUE, OSSL_PKEY_PARAM_PRIV_KEY}, /* of an EC key */
};

static CK_RV asymmetric(const EVP_PKEY *k, CK_ATTRIBUTE_TYPE type, unsigned char *out,
                        CK_ULONG room, CK_ULONG *ret_n)
{
    static const unsigned char p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7};
    bool ec = EVP_PKEY_is_a(k, "EC") == 1;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (numbers[i].type == type && (type == CKA_VALUE) == ec)
            return give_number(k, numbers[i].param, out, room, ret_n);
    if (type == CKA_EC_PARAMS && ec)
        return give(p256, sizeof p256, out, room, ret_n);
    if (type == CKA_EC_POINT && ec)
        return give_point(k, out, room, ret_n);
    return CKR_ATTRIBUTE_TYPE_INVALID;
}

CK_RV mk_key_attr(const struct mk_object *o, CK_ATTRIBUTE_TYPE type, unsigned char *out,
                  CK_ULONG room, CK_ULONG *ret_n)
{
    if (o->class == CKO_SECRET_KEY && type == CKA_VALUE)
        return give(o->value, o->value_n, out, room, ret_n);
    if (o->class == CKO_SECRET_KEY && type == CKA_VALUE_LEN)
        return give(&o->value_n, sizeof o->value_n, out, room, ret_n);
    if (type == CKA_MODULUS_BITS && o->type == CKK_RSA && o->class == CKO_PUBLIC_KEY)
        return give(&o->bits, sizeof o->bits, out, room, ret_n);
    EVP_PKEY *k = o->class != CKO_SECRET_KEY ? mk_key(o) : NULL;
    CK_RV rv =
        k != NULL ? asymmetric(k, type, out, room, ret_n) : (CK_RV)CKR_ATTRIBUTE_TYPE_INVALID;
    EVP_PKEY_free(k);
    return rv;
}

/* --- key pairs -------------------------------------------------------------------------- */

static EVP_PKEY *from_pool(CK_ULONG bits, unsigned nth)
{
    unsigned char der[MK_VALUE];
    const unsigned char *p = der;
    const char *text = mk_pool(bits, nth);
    int n = text != NULL ? EVP_DecodeBlock(der, (const unsigned char *)text, (int)strlen(text)) : 0;
    return n > 0 ? d2i_AutoPrivateKey(NULL, &p, n) : NULL; /* the padding is not read */
}

static EVP_PKEY *new_rsa(CK_ULONG bits)
{
    if (bits != 1024 && bits != 2048)
        return EVP_RSA_gen((unsigned)bits);
    (void)pthread_mutex_lock(&mk_lock);
    unsigned nth = bits == 1024 ? made_1024++ : made_2048++;
    (void)pthread_mutex_unlock(&mk_lock);
    return from_pool(bits, nth);
}

static bool put_key(struct mk_object *pub, struct mk_object *priv, const EVP_PKEY *k)
{
    unsigned char *p = priv->value, *q = pub->value;
    int n = i2d_PrivateKey(k, NULL), m = i2d_PUBKEY(k, NULL);
    if (n <= 0 || n > MK_VALUE || m <= 0 || m > MK_VALUE)
        return false;
    priv->bits = pub->bits = (CK_ULONG)EVP_PKEY_get_bits(k);
    priv->value_n = (CK_ULONG)i2d_PrivateKey(k, &p);
    pub->value_n = (CK_ULONG)i2d_PUBKEY(k, &q);
    return true;
}

static CK_RV keep_pair(CK_SESSION_HANDLE h, CK_KEY_TYPE type, const EVP_PKEY *k,
                       const CK_ATTRIBUTE *pub_t, CK_ULONG pub_n, const CK_ATTRIBUTE *priv_t,
                       CK_ULONG priv_n, CK_OBJECT_HANDLE *ret_pub, CK_OBJECT_HANDLE *ret_priv)
{
    struct mk_object *pub = NULL, *priv = NULL;
    struct mk_session *s = mk_session(h);
    if (s == NULL)
        return CKR_SESSION_HANDLE_INVALID;
    CK_RV rv = mk_object_new(s, CKO_PUBLIC_KEY, type, pub_t, pub_n, &pub);
    if (rv == CKR_OK)
        rv = mk_object_new(s, CKO_PRIVATE_KEY, type, priv_t, priv_n, &priv);
    if (rv == CKR_OK && !put_key(pub, priv, k))
        rv = CKR_FUNCTION_FAILED;
    if (rv == CKR_OK) {
        *ret_pub = pub->handle;
        *ret_priv = priv->handle;
        return rv;
    }
    if (pub != NULL)
        mk_object_free(pub);
    if (priv != NULL)
        mk_object_free(priv);
    return rv;
}

static CK_RV generate_pair(CK_SESSION_HANDLE h, const CK_MECHANISM *m, const CK_ATTRIBUTE *pub,
                           CK_ULONG pub_n, const CK_ATTRIBUTE *priv, CK_ULONG priv_n,
                           CK_OBJECT_HANDLE *ret_pub, CK_OBJECT_HANDLE *ret_priv)
{
    CK_ULONG bits = 0;
    bool rsa = m->mechanism == CKM_RSA_PKCS_KEY_PAIR_GEN;
    if (!rsa && m->mechanism != CKM_EC_KEY_PAIR_GEN)
        return CKR_MECHANISM_INVALID;
    for (CK_ULONG i = 0; i < pub_n; i++)
        if (pub[i].type == CKA_MODULUS_BITS && pub[i].ulValueLen == sizeof bits)
            memcpy(&bits, pub[i].pValue, sizeof bits);
    if (rsa && (bits < 1024 || bits > 4096))
        return CKR_KEY_SIZE_RANGE;
    EVP_PKEY *k = rsa ? new_rsa(bits) : EVP_EC_gen("P-256");
    if (k == NULL)
        return CKR_FUNCTION_FAILED;
    (void)pthread_mutex_lock(&mk_lock);
    CK_RV rv = keep_pair(h, rsa ? CKK_RSA : CKK_EC, k, pub, pub_n, priv, priv_n, ret_pub, ret_priv);
    (void)pthread_mutex_unlock(&mk_lock);
    EVP_PKEY_free(k);
    return rv;
}

CK_RV C_GenerateKeyPair(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_ATTRIBUTE *pub, CK_ULONG pub_n,
                        CK_ATTRIBUTE *priv, CK_ULONG priv_n, CK_OBJECT_HANDLE *ret_pub,
                        CK_OBJECT_HANDLE *ret_priv)
{
    MK_CALL("C_GenerateKeyPair", h,
            generate_pair(h, m, pub, pub_n, priv, priv_n, ret_pub, ret_priv));
}

void mk_key_stock(const char *label, const char *id_hex)
{
    static const CK_ATTRIBUTE_TYPE off[] = {CKA_MODIFIABLE, CKA_COPYABLE, CKA_DECRYPT, CKA_UNWRAP,
                                            CKA_SIGN_RECOVER};
    struct mk_session nobody = {.rw = true};
    struct mk_object *both[2] = {NULL, NULL};
    unsigned char id[32];
    size_t n = 0;
    char pair[3] = "";
    for (; n < sizeof id && id_hex[2 * n] != '\0'; n++) {
        memcpy(pair, id_hex + 2 * n, 2);
        id[n] = (unsigned char)strtoul(pair, NULL, 16);
    }
    CK_ATTRIBUTE t[] = {{CKA_LABEL, NULL, strlen(label)}, {CKA_ID, id, n}};
    char text[64] = "";
    memcpy(text, label, strlen(label) + 1);
    t[0].pValue = text;
    EVP_PKEY *k = from_pool(2048, made_2048++);
    if (mk_object_new(&nobody, CKO_PUBLIC_KEY, CKK_RSA, t, 2, &both[0]) != CKR_OK ||
        mk_object_new(&nobody, CKO_PRIVATE_KEY, CKK_RSA, t, 2, &both[1]) != CKR_OK || k == NULL ||
        !put_key(both[0], both[1], k))
        abort();
    for (size_t i = 0; i < sizeof off / sizeof off[0]; i++)
        mk_set_flag(both[1], off[i], false);
    EVP_PKEY_free(k);
}

/* --- secret keys and imports ---------------------------------------------------------------- */

static CK_RV generate_secret(CK_SESSION_HANDLE h, const CK_MECHANISM *m, const CK_ATTRIBUTE *t,
                             CK_ULONG n, CK_OBJECT_HANDLE *ret)
{
    struct mk_session *s = mk_session(h);
    struct mk_object *o = NULL;
    if (s == NULL || m->mechanism != CKM_AES_KEY_GEN)
        return s == NULL ? CKR_SESSION_HANDLE_INVALID : CKR_MECHANISM_INVALID;
    CK_RV rv = mk_object_new(s, CKO_SECRET_KEY, CKK_AES, t, n, &o);
    if (rv == CKR_OK && (o->value_n != 32 || RAND_bytes(o->value, 32) != 1))
        rv = CKR_KEY_SIZE_RANGE;
    if (rv == CKR_OK)
        *ret = o->handle;
    else if (o != NULL)
        mk_object_free(o);
    return rv;
}

CK_RV C_GenerateKey(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_ATTRIBUTE *t, CK_ULONG n,
                    CK_OBJECT_HANDLE *ret)
{
    MK_LOCKED("C_GenerateKey", h, generate_secret(h, m, t, n, ret));
}

/* Secret keys alone: nothing that keyward does needs another import. */
static CK_RV create(CK_SESSION_HANDLE h, const CK_ATTRIBUTE *t, CK_ULONG n, CK_OBJECT_HANDLE *ret)
{
    struct mk_session *s = mk_session(h);
    struct mk_object *o = NULL;
    CK_OBJECT_CLASS class = 0;
    for (CK_ULONG i = 0; i < n; i++)
        if (t[i].type == CKA_CLASS && t[i].ulValueLen == sizeof class)
            memcpy(&class, t[i].pValue, sizeof class);
    if (s == NULL || class != CKO_SECRET_KEY)
        return s == NULL ? CKR_SESSION_HANDLE_INVALID : CKR_ATTRIBUTE_VALUE_INVALID;
    CK_RV rv = mk_object_new(s, class, CKK_AES, t, n, &o);
    if (rv == CKR_OK) {
        mk_set_flag(o, CKA_LOCAL, false);
        *ret = o->handle;
    } else if (o != NULL)
        mk_object_free(o);
    return rv;
}

CK_RV C_CreateObject(CK_SESSION_HANDLE h, CK_ATTRIBUTE *t, CK_ULONG n, CK_OBJECT_HANDLE *ret)
{
    MK_LOCKED("C_CreateObject", h, create(h, t, n, ret));
}

static CK_RV random_bytes(CK_SESSION_HANDLE h, CK_BYTE *out, CK_ULONG n)
{
    if (mk_session(h) == NULL)
        return CKR_SESSION_HANDLE_INVALID;
    return n <= INT32_MAX && RAND_bytes(out, (int)n) == 1 ? CKR_OK : CKR_FUNCTION_FAILED;
}

CK_RV C_GenerateRandom(CK_SESSION_HANDLE h, CK_BYTE *out, CK_ULONG n)
{
    MK_LOCKED("C_GenerateRandom", h, random_bytes(h, out, n));
}
