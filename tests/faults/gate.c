/* SPDX-License-Identifier: Apache-2.0
 *
 * A PKCS#11 module between keyward and another one (KW_GATE_MODULE, absolute path) that
 * tells faults.so, if it is there, when a thread goes into that module and when it comes
 * back: what the vendor's code allocates is not ours to answer for, and is failed apart.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include <p11-kit/pkcs11.h>

void kw_faults_module(int in) __attribute__((weak));

static CK_FUNCTION_LIST *real;
static CK_FUNCTION_LIST list;

static void go(int in)
{
    if (kw_faults_module != NULL)
        kw_faults_module(in);
}

#define FORWARD(name, params, args)                                                                \
    static CK_RV gate_##name params                                                                \
    {                                                                                              \
        go(1);                                                                                     \
        CK_RV rv = real->name args;                                                                \
        go(-1);                                                                                    \
        return rv;                                                                                 \
    }

typedef CK_SESSION_HANDLE S;
typedef CK_OBJECT_HANDLE O;
typedef CK_ATTRIBUTE A;
typedef CK_MECHANISM M;
typedef CK_BYTE *B;
typedef CK_ULONG U;

FORWARD(C_Initialize, (void *a), (a))
FORWARD(C_Finalize, (void *r), (r))
FORWARD(C_GetInfo, (CK_INFO * i), (i))
FORWARD(C_GetSlotList, (CK_BBOOL present, CK_SLOT_ID *l, U *n), (present, l, n))
FORWARD(C_GetSlotInfo, (CK_SLOT_ID s, CK_SLOT_INFO *i), (s, i))
FORWARD(C_GetTokenInfo, (CK_SLOT_ID s, CK_TOKEN_INFO *i), (s, i))
FORWARD(C_GetMechanismList, (CK_SLOT_ID s, CK_MECHANISM_TYPE *l, U *n), (s, l, n))
FORWARD(C_GetMechanismInfo, (CK_SLOT_ID s, CK_MECHANISM_TYPE m, CK_MECHANISM_INFO *i), (s, m, i))
FORWARD(C_OpenSession, (CK_SLOT_ID s, CK_FLAGS f, void *a, CK_NOTIFY n, S *h), (s, f, a, n, h))
FORWARD(C_CloseSession, (S h), (h))
FORWARD(C_CloseAllSessions, (CK_SLOT_ID s), (s))
FORWARD(C_GetSessionInfo, (S h, CK_SESSION_INFO *i), (h, i))
FORWARD(C_Login, (S h, CK_USER_TYPE u, B p, U n), (h, u, p, n))
FORWARD(C_Logout, (S h), (h))
FORWARD(C_CreateObject, (S h, A *t, U n, O *o), (h, t, n, o))
FORWARD(C_CopyObject, (S h, O o, A *t, U n, O *copy), (h, o, t, n, copy))
FORWARD(C_DestroyObject, (S h, O o), (h, o))
FORWARD(C_GetAttributeValue, (S h, O o, A *t, U n), (h, o, t, n))
FORWARD(C_SetAttributeValue, (S h, O o, A *t, U n), (h, o, t, n))
FORWARD(C_FindObjectsInit, (S h, A *t, U n), (h, t, n))
FORWARD(C_FindObjects, (S h, O *o, U max, U *n), (h, o, max, n))
FORWARD(C_FindObjectsFinal, (S h), (h))
FORWARD(C_SignInit, (S h, M *m, O k), (h, m, k))
FORWARD(C_Sign, (S h, B d, U n, B sig, U *sig_n), (h, d, n, sig, sig_n))
FORWARD(C_GenerateKey, (S h, M *m, A *t, U n, O *k), (h, m, t, n, k))
FORWARD(C_GenerateKeyPair, (S h, M *m, A *pub, U a, A *priv, U b, O *ret_pub, O *ret_priv),
        (h, m, pub, a, priv, b, ret_pub, ret_priv))
FORWARD(C_WrapKey, (S h, M *m, O wrapping, O key, B out, U *n), (h, m, wrapping, key, out, n))
FORWARD(C_GenerateRandom, (S h, B b, U n), (h, b, n))

static CK_RV open_real(void)
{
    CK_C_GetFunctionList get = NULL;
    const char *path = getenv("KW_GATE_MODULE");
    void *so = path != NULL ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    void *symbol = so != NULL ? dlsym(so, "C_GetFunctionList") : NULL;
    memcpy(&get, &symbol, sizeof get);
    return get != NULL ? get(&real) : (CK_RV)CKR_LIBRARY_LOAD_FAILED;
}

__attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST **ret)
{
    go(1);
    CK_RV rv = real == NULL ? open_real() : CKR_OK;
    go(-1);
    if (rv != CKR_OK)
        return rv;
    list = *real;
#define GATE(name) list.name = gate_##name
    GATE(C_Initialize), GATE(C_Finalize), GATE(C_GetInfo), GATE(C_GetSlotList);
    GATE(C_GetSlotInfo), GATE(C_GetTokenInfo), GATE(C_GetMechanismList);
    GATE(C_GetMechanismInfo), GATE(C_OpenSession), GATE(C_CloseSession);
    GATE(C_CloseAllSessions), GATE(C_GetSessionInfo), GATE(C_Login), GATE(C_Logout);
    GATE(C_CreateObject), GATE(C_CopyObject), GATE(C_DestroyObject), GATE(C_GetAttributeValue);
    GATE(C_SetAttributeValue), GATE(C_FindObjectsInit), GATE(C_FindObjects);
    GATE(C_FindObjectsFinal), GATE(C_SignInit), GATE(C_Sign), GATE(C_GenerateKey);
    GATE(C_GenerateKeyPair), GATE(C_WrapKey), GATE(C_GenerateRandom);
    list.C_GetFunctionList = C_GetFunctionList;
    *ret = &list;
    return CKR_OK;
}
