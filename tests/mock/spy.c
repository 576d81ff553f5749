/* SPDX-License-Identifier: Apache-2.0
 *
 * A PKCS#11 module that stands between keyward and a real one, for tests: it logs
 * calls and misbehaves on demand. For what has to hold with a module that other people
 * wrote; where no real token would do it, or thousands of runs must be fast: mock.c.
 * Steered by the environment, read anew at each C_GetFunctionList:
 *
 *   KW_SPY_MODULE  the real module (absolute path)
 *   KW_SPY_LOG     file to which each call's name is appended, one a line, before the
 *                  call is made; "-" for standard error (lines "spy: C_Sign")
 *   KW_SPY_DO      what to do, words separated by spaces:
 *     low final locked     token flags of the user PIN
 *     pad                  CKF_PROTECTED_AUTHENTICATION_PATH
 *     stdout               print on standard output when loaded and at C_Initialize
 *     badsig               turn one bit of each signature
 *     undead               C_DestroyObject says OK and does nothing
 *     wrap                 C_WrapKey succeeds, with bytes of its own
 *     packs                C_WrapKey says CKR_HOST_MEMORY to single DES without an IV of 8
 *                          bytes, as p11-kit to what it can't send
 *     copy                 C_CopyObject of a private key succeeds, into an AES key that
 *                          anybody can read and copy
 *     itself               C_CopyObject succeeds, and the copy is the object itself
 *     change               C_SetAttributeValue of a CK_BBOOL succeeds, and from then on
 *                          reading that attribute of any object shows the new value
 *     force:0x162=1        every generated private key gets this CK_BBOOL attribute,
 *                          whatever the template says
 *     show:0x162=0         reading this CK_BBOOL attribute answers this
 *     C_Sign@3=0x30        the third C_Sign answers CKR 0x30 (@* all, @3.. the third and all after)
 *     C_Sign@1=hang        ... never returns; =crash segfaults, =abort aborts, =exit
 *                          calls exit(0), =sleep500 waits 500 ms and goes on; C_Sign@1=badsig
 *                          turns one bit of the signature
 *
 * One line per function: everything keyward and libp11 call is forwarded through a
 * hook, the rest of the real list is handed out as it is.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <p11-kit/pkcs11.h>

#define RULES 32

static CK_FUNCTION_LIST *real;
static CK_FUNCTION_LIST list;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;
static bool log_stderr;

static struct rule {
    char name[48]; /* word or function */
    unsigned nth;  /* 0: all */
    bool on;       /* and all after */
    unsigned seen;
    char what[32];          /* after '=' */
    CK_ATTRIBUTE_TYPE type; /* force, show */
    CK_BBOOL value;
} rules[RULES];
static unsigned n_rules;

static bool told(const char *word)
{
    for (unsigned i = 0; i < n_rules; i++)
        if (strcmp(rules[i].name, word) == 0)
            return true;
    return false;
}

/* NAME, NAME@N=WHAT, force:TYPE=VALUE, show:TYPE=VALUE */
static void add_rule(const char *word)
{
    struct rule *r = &rules[n_rules];
    char text[128];
    if (n_rules == RULES || strlen(word) >= sizeof text) {
        (void)fprintf(stderr, "spy: too much in KW_SPY_DO\n");
        abort();
    }
    memset(r, 0, sizeof *r);
    memcpy(text, word, strlen(word) + 1);
    char *eq = strchr(text, '=');
    if (eq != NULL) {
        *eq = '\0';
        (void)snprintf(r->what, sizeof r->what, "%.*s", (int)sizeof r->what - 1, eq + 1);
        r->value = eq[1] == '1' ? CK_TRUE : CK_FALSE;
    }
    char *cut = strpbrk(text, "@:");
    if (cut != NULL && *cut == '@') {
        r->nth = cut[1] == '*' ? 0 : (unsigned)strtoul(cut + 1, NULL, 10);
        r->on = strstr(cut, "..") != NULL;
    } else if (cut != NULL)
        r->type = strtoul(cut + 1, NULL, 0);
    if (cut != NULL)
        *cut = '\0';
    (void)snprintf(r->name, sizeof r->name, "%.*s", (int)sizeof r->name - 1, text);
    n_rules++;
}

static void read_rules(void)
{
    const char *todo = getenv("KW_SPY_DO");
    char text[1024], *save = NULL;
    n_rules = 0;
    (void)snprintf(text, sizeof text, "%s", todo != NULL ? todo : "");
    for (char *w = strtok_r(text, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
        add_rule(w);
    const char *log = getenv("KW_SPY_LOG");
    if (log_fd >= 0)
        (void)close(log_fd);
    log_stderr = log != NULL && strcmp(log, "-") == 0;
    log_fd =
        log == NULL || log_stderr ? -1 : open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void misbehave(const char *what)
{
    if (strcmp(what, "hang") == 0)
        for (;;)
            (void)pause();
    if (strcmp(what, "crash") == 0) {
        (void)signal(SIGSEGV, SIG_DFL); /* no sanitizer report of our own doing */
        (void)raise(SIGSEGV);
    }
    if (strcmp(what, "abort") == 0)
        abort();
    if (strcmp(what, "exit") == 0)
        exit(0);
    if (strncmp(what, "sleep", 5) == 0) {
        long ms = strtol(what + 5, NULL, 10);
        struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
        (void)nanosleep(&t, NULL);
    }
}

/* Logs the call and finds what is to become of it: CKR_OK to make it. */
static CK_RV hook_what(const char *function, char what[32])
{
    char line[64];
    what[0] = '\0';
    int n = snprintf(line, sizeof line, "%s%s\n", log_stderr ? "spy: " : "", function);
    (void)pthread_mutex_lock(&lock);
    if (log_fd >= 0 || log_stderr)
        if (write(log_stderr ? STDERR_FILENO : log_fd, line, (size_t)n) != n)
            abort(); /* a count that is wrong proves nothing */
    for (unsigned i = 0; i < n_rules; i++) {
        if (strcmp(rules[i].name, function) != 0)
            continue;
        unsigned seen = ++rules[i].seen;
        if (rules[i].nth == 0 || seen == rules[i].nth || (rules[i].on && seen > rules[i].nth))
            memcpy(what, rules[i].what, 32);
    }
    (void)pthread_mutex_unlock(&lock);
    if (strncmp(what, "0x", 2) == 0)
        return strtoul(what, NULL, 16);
    misbehave(what);
    return CKR_OK;
}

static CK_RV hook(const char *function)
{
    char what[32];
    return hook_what(function, what);
}

#define FORWARD(name, params, args)                                                                \
    static CK_RV spy_##name params                                                                 \
    {                                                                                              \
        CK_RV rv = hook(#name);                                                                    \
        return rv != CKR_OK ? rv : real->name args;                                                \
    }

typedef CK_SESSION_HANDLE S;
typedef CK_OBJECT_HANDLE O;
typedef CK_BYTE *B;
typedef CK_ULONG U;

FORWARD(C_Finalize, (void *r), (r))
FORWARD(C_GetInfo, (CK_INFO * i), (i))
FORWARD(C_GetSlotList, (CK_BBOOL present, CK_SLOT_ID *l, U *n), (present, l, n))
FORWARD(C_GetSlotInfo, (CK_SLOT_ID s, CK_SLOT_INFO *i), (s, i))
FORWARD(C_GetMechanismList, (CK_SLOT_ID s, CK_MECHANISM_TYPE *l, U *n), (s, l, n))
FORWARD(C_GetMechanismInfo, (CK_SLOT_ID s, CK_MECHANISM_TYPE m, CK_MECHANISM_INFO *i), (s, m, i))
FORWARD(C_OpenSession, (CK_SLOT_ID s, CK_FLAGS f, void *a, CK_NOTIFY n, S *h), (s, f, a, n, h))
FORWARD(C_CloseSession, (S h), (h))
FORWARD(C_CloseAllSessions, (CK_SLOT_ID s), (s))
FORWARD(C_GetSessionInfo, (S h, CK_SESSION_INFO *i), (h, i))
FORWARD(C_Login, (S h, CK_USER_TYPE u, B p, U n), (h, u, p, n))
FORWARD(C_Logout, (S h), (h))
FORWARD(C_CreateObject, (S h, CK_ATTRIBUTE *t, U n, O *o), (h, t, n, o))
FORWARD(C_FindObjectsInit, (S h, CK_ATTRIBUTE *t, U n), (h, t, n))
FORWARD(C_FindObjects, (S h, O *o, U max, U *n), (h, o, max, n))
FORWARD(C_FindObjectsFinal, (S h), (h))
FORWARD(C_SignInit, (S h, CK_MECHANISM *m, O k), (h, m, k))
FORWARD(C_GenerateKey, (S h, CK_MECHANISM *m, CK_ATTRIBUTE *t, U n, O *k), (h, m, t, n, k))
FORWARD(C_GenerateRandom, (S h, B b, U n), (h, b, n))

static void noise(void)
{
    static const char text[] = "noise from the module\n";
    if (told("stdout") && write(STDOUT_FILENO, text, sizeof text - 1) < 0)
        abort();
}

static CK_RV spy_C_Initialize(void *args)
{
    CK_RV rv = hook("C_Initialize");
    noise();
    return rv != CKR_OK ? rv : real->C_Initialize(args);
}

static CK_RV spy_C_GetTokenInfo(CK_SLOT_ID s, CK_TOKEN_INFO *i)
{
    static const struct {
        const char *word;
        CK_FLAGS flag;
    } flags[] = {{"low", CKF_USER_PIN_COUNT_LOW},
                 {"final", CKF_USER_PIN_FINAL_TRY},
                 {"locked", CKF_USER_PIN_LOCKED},
                 {"pad", CKF_PROTECTED_AUTHENTICATION_PATH}};
    CK_RV rv = hook("C_GetTokenInfo");
    if (rv == CKR_OK)
        rv = real->C_GetTokenInfo(s, i);
    for (size_t k = 0; rv == CKR_OK && k < sizeof flags / sizeof flags[0]; k++)
        if (told(flags[k].word))
            i->flags |= flags[k].flag;
    return rv;
}

static CK_RV spy_C_Sign(S h, B data, U n, B sig, U *sig_n)
{
    char what[32];
    CK_RV rv = hook_what("C_Sign", what);
    if (rv == CKR_OK)
        rv = real->C_Sign(h, data, n, sig, sig_n);
    if (rv == CKR_OK && sig != NULL && (told("badsig") || strcmp(what, "badsig") == 0))
        sig[*sig_n / 2] ^= 1;
    return rv;
}

static CK_RV spy_C_DestroyObject(S h, O o)
{
    CK_RV rv = hook("C_DestroyObject");
    return rv != CKR_OK || told("undead") ? rv : real->C_DestroyObject(h, o);
}

static CK_RV spy_C_WrapKey(S h, CK_MECHANISM *m, O wrapping, O key, B out, U *n)
{
    CK_RV rv = hook("C_WrapKey");
    if (rv == CKR_OK && told("packs") && m->mechanism == CKM_DES_CBC && m->ulParameterLen != 8)
        return CKR_HOST_MEMORY;
    if (rv == CKR_OK && told("wrap") && out != NULL && *n >= 64) {
        memset(out, 0x5a, 64);
        *n = 64;
        return CKR_OK;
    }
    return rv != CKR_OK ? rv : real->C_WrapKey(h, m, wrapping, key, out, n);
}

static CK_RV spy_C_CopyObject(S h, O o, CK_ATTRIBUTE *t, U n, O *copy)
{
    CK_RV rv = hook("C_CopyObject");
    if (rv == CKR_OK && told("itself")) {
        *copy = o;
        return CKR_OK;
    }
    if (rv != CKR_OK || !told("copy"))
        return rv != CKR_OK ? rv : real->C_CopyObject(h, o, t, n, copy);
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_ULONG len = 16;
    CK_ATTRIBUTE soft[] = {{CKA_TOKEN, &no, 1},
                           {CKA_SENSITIVE, &no, 1},
                           {CKA_EXTRACTABLE, &yes, 1},
                           {CKA_VALUE_LEN, &len, sizeof len}};
    CK_MECHANISM m = {CKM_AES_KEY_GEN, NULL, 0};
    return real->C_GenerateKey(h, &m, soft, 4, copy);
}

/* "change": takes it, and shows it from now on. */
static CK_RV spy_C_SetAttributeValue(S h, O o, CK_ATTRIBUTE *t, U n)
{
    CK_RV rv = hook("C_SetAttributeValue");
    if (rv != CKR_OK || !told("change") || n != 1 || t->ulValueLen != 1 || n_rules == RULES)
        return rv != CKR_OK ? rv : real->C_SetAttributeValue(h, o, t, n);
    struct rule *r = &rules[n_rules];
    memset(r, 0, sizeof *r);
    memcpy(r->name, "show", 5);
    r->type = t->type;
    memcpy(&r->value, t->pValue, 1);
    n_rules++;
    return CKR_OK;
}

static CK_RV spy_C_GetAttributeValue(S h, O o, CK_ATTRIBUTE *t, U n)
{
    CK_RV rv = hook("C_GetAttributeValue");
    if (rv == CKR_OK)
        rv = real->C_GetAttributeValue(h, o, t, n);
    for (unsigned i = 0; rv == CKR_OK && i < n_rules; i++)
        for (U k = 0; strcmp(rules[i].name, "show") == 0 && k < n; k++)
            if (t[k].type == rules[i].type && t[k].pValue != NULL && t[k].ulValueLen == 1)
                memcpy(t[k].pValue, &rules[i].value, 1);
    return rv;
}

static CK_RV spy_C_GenerateKeyPair(S h, CK_MECHANISM *m, CK_ATTRIBUTE *pub, U pub_n,
                                   CK_ATTRIBUTE *priv, U priv_n, O *ret_pub, O *ret_priv)
{
    CK_ATTRIBUTE t[64];
    CK_RV rv = hook("C_GenerateKeyPair");
    if (rv != CKR_OK || priv_n > 32)
        return rv != CKR_OK ? rv : (CK_RV)CKR_TEMPLATE_INCONSISTENT;
    memcpy(t, priv, priv_n * sizeof *t);
    for (unsigned i = 0; i < n_rules; i++) {
        bool there = false;
        for (U k = 0; strcmp(rules[i].name, "force") == 0 && k < priv_n; k++)
            if (t[k].type == rules[i].type) {
                t[k] = (CK_ATTRIBUTE){t[k].type, &rules[i].value, 1};
                there = true;
            }
        if (!there && strcmp(rules[i].name, "force") == 0)
            t[priv_n++] = (CK_ATTRIBUTE){rules[i].type, &rules[i].value, 1};
    }
    return real->C_GenerateKeyPair(h, m, pub, pub_n, t, priv_n, ret_pub, ret_priv);
}

__attribute__((constructor)) static void loaded(void)
{
    read_rules();
    noise();
}

static CK_RV open_real(void)
{
    CK_C_GetFunctionList get = NULL;
    const char *path = getenv("KW_SPY_MODULE");
    void *so = path != NULL ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    void *symbol = so != NULL ? dlsym(so, "C_GetFunctionList") : NULL;
    memcpy(&get, &symbol, sizeof get);
    return get != NULL ? get(&real) : (CK_RV)CKR_LIBRARY_LOAD_FAILED;
}

__attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST **ret)
{
    read_rules();
    CK_RV rv = hook("C_GetFunctionList");
    if (rv == CKR_OK && real == NULL)
        rv = open_real();
    if (rv != CKR_OK)
        return rv;
    list = *real;
#define SPY(name) list.name = spy_##name
    SPY(C_Initialize), SPY(C_Finalize), SPY(C_GetInfo), SPY(C_GetSlotList), SPY(C_GetSlotInfo);
    SPY(C_GetTokenInfo), SPY(C_GetMechanismList), SPY(C_GetMechanismInfo), SPY(C_OpenSession);
    SPY(C_CloseSession), SPY(C_CloseAllSessions), SPY(C_GetSessionInfo), SPY(C_Login);
    SPY(C_Logout), SPY(C_CreateObject), SPY(C_CopyObject), SPY(C_DestroyObject);
    SPY(C_GetAttributeValue), SPY(C_SetAttributeValue), SPY(C_FindObjectsInit);
    SPY(C_FindObjects), SPY(C_FindObjectsFinal), SPY(C_SignInit), SPY(C_Sign);
    SPY(C_GenerateKey), SPY(C_GenerateKeyPair), SPY(C_WrapKey), SPY(C_GenerateRandom);
    list.C_GetFunctionList = C_GetFunctionList;
    *ret = &list;
    return CKR_OK;
}
