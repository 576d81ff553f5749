/* SPDX-License-Identifier: Apache-2.0 */
#include "raw.h"

#include <dlfcn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>
#include <string.h>

static void read_spki(struct raw *k, CK_OBJECT_HANDLE pub)
{
    unsigned char n[512], e[8];
    CK_ATTRIBUTE a[] = {{CKA_MODULUS, n, sizeof n}, {CKA_PUBLIC_EXPONENT, e, sizeof e}};
    MUST(k->f->C_GetAttributeValue(k->session, pub, a, 2) == CKR_OK);
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    BIGNUM *bn = BN_bin2bn(n, (int)a[0].ulValueLen, NULL);
    BIGNUM *be = BN_bin2bn(e, (int)a[1].ulValueLen, NULL);
    MUST(OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_N, bn) == 1);
    MUST(OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_E, be) == 1);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(b);
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *p = NULL;
    MUST(EVP_PKEY_fromdata_init(c) == 1 &&
         EVP_PKEY_fromdata(c, &p, EVP_PKEY_PUBLIC_KEY, params) == 1);
    unsigned char *out = k->spki;
    k->spki_len = (size_t)i2d_PUBKEY(p, &out);
    EVP_PKEY_free(p);
    EVP_PKEY_CTX_free(c);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(b);
    BN_free(bn);
    BN_free(be);
}

static CK_SLOT_ID find_slot(struct raw *k)
{
    CK_SLOT_ID slots[64];
    CK_ULONG n = 64;
    MUST(k->f->C_GetSlotList(CK_TRUE, slots, &n) == CKR_OK);
    for (CK_ULONG i = 0; i < n; i++) {
        CK_TOKEN_INFO info;
        if (k->f->C_GetTokenInfo(slots[i], &info) == CKR_OK &&
            memcmp(info.label, k->label, strlen(k->label)) == 0)
            return slots[i];
    }
    MUST(!"token found");
    return 0;
}

static void make_key(struct raw *k)
{
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_ULONG bits = 2048;
    unsigned char e[] = {1, 0, 1};
    CK_ATTRIBUTE pub[] = {{CKA_TOKEN, &no, 1},
                          {CKA_MODULUS_BITS, &bits, sizeof bits},
                          {CKA_PUBLIC_EXPONENT, e, sizeof e}};
    CK_ATTRIBUTE priv[] = {{CKA_TOKEN, &no, 1},
                           {CKA_PRIVATE, &yes, 1},
                           {CKA_SENSITIVE, &yes, 1},
                           {CKA_EXTRACTABLE, &no, 1},
                           {CKA_SIGN, &yes, 1}};
    CK_MECHANISM mech = {CKM_RSA_PKCS_KEY_PAIR_GEN, NULL, 0};
    CK_OBJECT_HANDLE hpub;
    MUST(k->f->C_GenerateKeyPair(k->session, &mech, pub, 3, priv, 5, &hpub, &k->priv) == CKR_OK);
    read_spki(k, hpub);
}

CK_SESSION_HANDLE raw_session(struct raw *k)
{
    CK_SESSION_HANDLE s;
    MUST(k->f->C_OpenSession(k->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &s) ==
         CKR_OK);
    return s;
}

void raw_open(struct raw *k)
{
    void *lib = dlopen(k->module, RTLD_NOW);
    MUST(lib != NULL);
    CK_RV (*get)(CK_FUNCTION_LIST **);
    void *symbol = dlsym(lib, "C_GetFunctionList");
    memcpy(&get, &symbol, sizeof get);
    MUST(get(&k->f) == CKR_OK);
    CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK};
    MUST(k->f->C_Initialize(&args) == CKR_OK);
    k->slot = find_slot(k);
    k->session = raw_session(k);
    unsigned char pin[64];
    size_t n = strlen(k->pin);
    memcpy(pin, k->pin, n);
    MUST(k->f->C_Login(k->session, CKU_USER, pin, n) == CKR_OK);
    make_key(k);
}

size_t raw_sign(struct raw *k, CK_SESSION_HANDLE session, const void *data, size_t n,
                unsigned char sig[512])
{
    CK_MECHANISM mech = {CKM_SHA256_RSA_PKCS, NULL, 0};
    CK_ULONG len = 512;
    CK_BYTE *p;
    memcpy(&p, &data, sizeof p); /* C_Sign does not write to it */
    MUST(k->f->C_SignInit(session, &mech, k->priv) == CKR_OK);
    MUST(k->f->C_Sign(session, p, n, sig, &len) == CKR_OK);
    return len;
}
