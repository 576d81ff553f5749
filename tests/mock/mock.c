/* SPDX-License-Identifier: Apache-2.0
 *
 * mock.so: a whole PKCS#11 module of our own that misbehaves by a script. Its tokens,
 * sessions and keys are in memory, its RSA and EC are OpenSSL's, RSA keys of 1024 and
 * 2048 bits come from a pool, so that a run is fast and always makes the same calls.
 *
 * Which module for which test?
 *   mock.so     what no real token does on demand: a key that is lost, given out or left
 *               behind in fact, sessions that die with all that hangs on them, a token that
 *               is pulled out or is suddenly in another slot, an error after the work was
 *               done, the nth call of all; and where thousands of runs must be fast
 *   spy.so      a real token (SoftHSM), each call counted, one answer changed: what has to
 *               hold with a module that other people wrote, and with its files
 *   insider.so  what a module sees and tries from inside the keeper
 *
 *   KW_MOCK        the script, words between white space; "@/PATH" reads it from a file
 *   KW_MOCK_LOG    file to which each call's name is appended before anything is done
 *   KW_MOCK_STORE  file of the store: tokens that outlive the process, and can be looked at
 *                  from outside (struct mk_store). One process at a time.
 *
 * The script, N being a number, "N.." (from the Nth on) or "*":
 *   FUNCTION@N=WHAT, any@N=WHAT   the Nth call of a function, of all functions:
 *     0x30                  answers CKR 0x30 and does nothing
 *     late0x30              does its work and then answers CKR 0x30
 *     hang crash abort      never returns; SIGSEGV; abort()
 *     exit exit3            exit(0), exit(3)
 *     sleep500              waits 500 ms and goes on; other calls are not held up
 *     meet4                 waits until four calls do; CKR_FUNCTION_CANCELED after a minute
 *     stdout stderr         prints there and goes on
 *     die reset remove      the session dies; all do, and the login; the token is gone
 *     renumber              every token is in another slot from now on; goes on
 *     badsig shortsig longsig   C_Sign: a wrong signature, one byte less, one more
 *     many                  C_FindObjects: tells of more objects than there was room for
 *   token=LABEL,SERIAL,PIN  a token, up to four; default mock,0001,1234. Three wrong PINs
 *                           lock it, and its flags say so before
 *   slots=N                 empty slots besides the one that is always there
 *   key=LABEL,IDHEX         a key pair that is in the first token from the start; a dot in
 *                           its label is a blank
 *   low final locked pad no-login read-only   flags of the tokens
 *   stdout stderr           noise when loaded and at C_Initialize
 *   no-sha256               no CKM_SHA256_RSA_PKCS
 *   no-session-objects      as TPMs have it
 *   refuse:TYPE             a template with this attribute: CKR_ATTRIBUTE_TYPE_INVALID
 *   force:TYPE=0            generated private keys have this CK_BBOOL in fact
 *   show:TYPE@N=HOW         the Nth reading of this attribute: 0, 1, "flip" (one bit),
 *                           "gone" (not there), "long" (longer than the room given)
 *   leak=value leak=wrap leak=copy leak=change   gives the key out, whatever the attributes
 *                           say: to C_GetAttributeValue, C_WrapKey, C_CopyObject,
 *                           C_SetAttributeValue
 *   strict-sign=0x70        C_Sign by a key with CKA_ALLOWED_MECHANISMS answers this CKR, and the
 *                           operation stays active
 *   hang-by=LABEL crash-by=LABEL   C_Sign by this key, the first that is asked for
 *   undead                  C_DestroyObject says OK and does nothing
 */
#include "mock.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct mk_store *mk_store;
static struct mk_store private_store;
atomic_bool mk_initialized;

/* --- the store ------------------------------------------------------------------------ */

static void map_store(void)
{
    const char *path = getenv("KW_MOCK_STORE");
    if (mk_store != NULL && mk_store != &private_store)
        (void)munmap(mk_store, sizeof *mk_store);
    mk_store = &private_store;
    if (path == NULL)
        return;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *m = fd >= 0 && ftruncate(fd, sizeof *mk_store) == 0
                  ? mmap(NULL, sizeof *mk_store, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
                  : MAP_FAILED;
    if (m == MAP_FAILED)
        abort();
    (void)close(fd);
    mk_store = m;
}

static void add_token(const char *text)
{
    struct mk_token *t = &mk_store->tokens[mk_store->n_tokens];
    if (mk_store->n_tokens == MK_TOKENS ||
        sscanf(text, "%32[^,],%16[^,],%32s", t->label, t->serial, t->pin) != 3)
        abort();
    mk_store->n_tokens++;
}

/* Tokens as the script has them. A store that is a file keeps them. */
static void plug_in(void)
{
    unsigned i = 0;
    const char *text;
    if (mk_store == &private_store)
        memset(mk_store, 0, sizeof *mk_store);
    for (unsigned o = 0; o < MK_OBJECTS; o++) /* of a process that died */
        if (mk_store->objects[o].home != 0)
            mk_object_free(&mk_store->objects[o]);
    mk_sessions_reset();
    mk_keys_reset();
    if (mk_store->n_tokens > 0)
        return;
    while ((text = mk_next("token", &i)) != NULL)
        add_token(text);
    if (mk_store->n_tokens == 0)
        add_token("mock,0001,1234");
    for (i = 0; (text = mk_next("key", &i)) != NULL;) {
        char label[64], id[64];
        if (sscanf(text, "%63[^,],%63s", label, id) != 2)
            abort();
        for (char *dot = strchr(label, '.'); dot != NULL; dot = strchr(dot, '.'))
            *dot = ' ';
        mk_key_stock(label, id);
    }
}

static void noise(void)
{
    unsigned i = 0;
    if (mk_next("stdout", &i) != NULL)
        mk_noise(STDOUT_FILENO);
    i = 0;
    if (mk_next("stderr", &i) != NULL)
        mk_noise(STDERR_FILENO);
}

/* --- the module -------------------------------------------------------------------------- */

static CK_RV initialize(void)
{
    if (mk_initialized)
        return CKR_CRYPTOKI_ALREADY_INITIALIZED;
    noise();
    mk_initialized = true;
    return CKR_OK;
}

CK_RV C_Initialize(void *args)
{
    (void)args;
    MK_LOCKED("C_Initialize", 0, initialize());
}

static CK_RV finalize(void)
{
    mk_initialized = false;
    mk_end_all();
    return CKR_OK;
}

CK_RV C_Finalize(void *reserved)
{
    (void)reserved;
    MK_LOCKED("C_Finalize", 0, finalize());
}

/* Blank-padded, without a NUL. */
static void pad(CK_UTF8CHAR *out, size_t size, const char *text)
{
    memset(out, ' ', size);
    memcpy(out, text, strnlen(text, size));
}

static CK_RV info(CK_INFO *i)
{
    memset(i, 0, sizeof *i);
    i->cryptokiVersion = (CK_VERSION){2, 40};
    pad(i->manufacturerID, sizeof i->manufacturerID, "keyward tests");
    pad(i->libraryDescription, sizeof i->libraryDescription, "misbehaves on demand");
    return CKR_OK;
}

CK_RV C_GetInfo(CK_INFO *i)
{
    MK_LOCKED("C_GetInfo", 0, info(i));
}

static CK_RV slot_info(CK_SLOT_ID slot, CK_SLOT_INFO *i)
{
    uint32_t token = 0;
    CK_RV rv = mk_slot(slot, &token);
    if (rv == CKR_SLOT_ID_INVALID)
        return rv;
    memset(i, 0, sizeof *i);
    pad(i->slotDescription, sizeof i->slotDescription, "mock slot");
    pad(i->manufacturerID, sizeof i->manufacturerID, "keyward tests");
    i->flags = CKF_REMOVABLE_DEVICE | (rv == CKR_OK ? CKF_TOKEN_PRESENT : 0);
    return CKR_OK;
}

CK_RV C_GetSlotInfo(CK_SLOT_ID slot, CK_SLOT_INFO *i)
{
    MK_LOCKED("C_GetSlotInfo", 0, slot_info(slot, i));
}

static CK_RV token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *i)
{
    uint32_t token = 0;
    CK_RV rv = mk_slot(slot, &token);
    if (rv != CKR_OK)
        return rv;
    const struct mk_token *t = &mk_store->tokens[token];
    memset(i, 0, sizeof *i);
    pad(i->label, sizeof i->label, t->label);
    pad(i->manufacturerID, sizeof i->manufacturerID, "keyward tests");
    pad(i->model, sizeof i->model, "mock");
    pad(i->serialNumber, sizeof i->serialNumber, t->serial);
    i->flags = CKF_RNG | CKF_USER_PIN_INITIALIZED | CKF_TOKEN_INITIALIZED |
               (mk_told("no-login") ? 0 : CKF_LOGIN_REQUIRED) |
               (mk_told("read-only") ? CKF_WRITE_PROTECTED : 0) |
               (mk_told("pad") ? CKF_PROTECTED_AUTHENTICATION_PATH : 0) |
               (mk_told("low") || t->wrong > 0 ? CKF_USER_PIN_COUNT_LOW : 0) |
               (mk_told("final") || t->wrong == 2 ? CKF_USER_PIN_FINAL_TRY : 0) |
               (mk_told("locked") || t->wrong > 2 ? CKF_USER_PIN_LOCKED : 0);
    i->ulMaxSessionCount = i->ulMaxRwSessionCount = MK_SESSIONS;
    i->ulMaxPinLen = 32;
    i->ulMinPinLen = 4;
    return CKR_OK;
}

CK_RV C_GetTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO *i)
{
    MK_LOCKED("C_GetTokenInfo", 0, token_info(slot, i));
}

static const struct mech {
    CK_MECHANISM_TYPE type;
    CK_ULONG min, max;
    CK_FLAGS flags;
} mechs[] = {
    {CKM_SHA256_RSA_PKCS, 1024, 4096, CKF_SIGN},
    {CKM_RSA_PKCS, 1024, 4096, CKF_SIGN},
    {CKM_RSA_PKCS_KEY_PAIR_GEN, 1024, 4096, CKF_GENERATE_KEY_PAIR},
    {CKM_EC_KEY_PAIR_GEN, 256, 256, CKF_GENERATE_KEY_PAIR},
    {CKM_ECDSA, 256, 256, CKF_SIGN},
    {CKM_AES_KEY_GEN, 32, 32, CKF_GENERATE},
    {CKM_AES_KEY_WRAP_PAD, 32, 32, CKF_WRAP},
    {CKM_AES_CBC_PAD, 32, 32, CKF_WRAP},
};
enum { MECHS = sizeof mechs / sizeof mechs[0] };

static CK_RV mechanism_list(CK_SLOT_ID slot, CK_MECHANISM_TYPE *list, CK_ULONG *n)
{
    uint32_t token = 0;
    CK_ULONG room = *n, got = 0;
    CK_RV rv = mk_slot(slot, &token);
    if (rv != CKR_OK)
        return rv;
    for (size_t i = mk_told("no-sha256") ? 1 : 0; i < MECHS; i++) {
        if (list != NULL && got < room)
            list[got] = mechs[i].type;
        got++;
    }
    *n = got;
    return list != NULL && got > room ? CKR_BUFFER_TOO_SMALL : CKR_OK;
}

CK_RV C_GetMechanismList(CK_SLOT_ID slot, CK_MECHANISM_TYPE *list, CK_ULONG *n)
{
    MK_LOCKED("C_GetMechanismList", 0, mechanism_list(slot, list, n));
}

static CK_RV mechanism_info(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *i)
{
    uint32_t token = 0;
    CK_RV rv = mk_slot(slot, &token);
    for (size_t m = mk_told("no-sha256") ? 1 : 0; rv == CKR_OK && m < MECHS; m++)
        if (mechs[m].type == type) {
            *i = (CK_MECHANISM_INFO){mechs[m].min, mechs[m].max, mechs[m].flags};
            return CKR_OK;
        }
    return rv != CKR_OK ? rv : (CK_RV)CKR_MECHANISM_INVALID;
}

CK_RV C_GetMechanismInfo(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *i)
{
    MK_LOCKED("C_GetMechanismInfo", 0, mechanism_info(slot, type, i));
}

__attribute__((constructor)) static void loaded(void)
{
    mk_script_read();
    map_store();
    noise();
}

/* What isn't here isn't in the list either: old modules have such holes. */
static CK_FUNCTION_LIST list = {
#define HAS(name) .name = name
    HAS(C_Initialize),
    HAS(C_Finalize),
    HAS(C_GetInfo),
    HAS(C_GetSlotList),
    HAS(C_GetSlotInfo),
    HAS(C_GetTokenInfo),
    HAS(C_GetMechanismList),
    HAS(C_GetMechanismInfo),
    HAS(C_OpenSession),
    HAS(C_CloseSession),
    HAS(C_CloseAllSessions),
    HAS(C_GetSessionInfo),
    HAS(C_Login),
    HAS(C_Logout),
    HAS(C_CreateObject),
    HAS(C_CopyObject),
    HAS(C_DestroyObject),
    HAS(C_GetAttributeValue),
    HAS(C_SetAttributeValue),
    HAS(C_FindObjectsInit),
    HAS(C_FindObjects),
    HAS(C_FindObjectsFinal),
    HAS(C_SignInit),
    HAS(C_Sign),
    HAS(C_GenerateKey),
    HAS(C_GenerateKeyPair),
    HAS(C_WrapKey),
    HAS(C_GenerateRandom),
};

static CK_RV function_list(CK_FUNCTION_LIST **ret)
{
    map_store();
    plug_in();
    mk_initialized = false;
    list.version = (CK_VERSION){2, 40};
    list.C_GetFunctionList = C_GetFunctionList;
    *ret = &list;
    return CKR_OK;
}

/* Where a run begins: the script is read, its counts start, what is only in memory is
 * fresh. */
__attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST **ret)
{
    mk_script_read();
    MK_LOCKED("C_GetFunctionList", 0, function_list(ret));
}
