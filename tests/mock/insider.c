/* SPDX-License-Identifier: Apache-2.0
 *
 * A PKCS#11 module between keyward and a real one that knows or tries more than a module
 * should, for the claim tests: what it sees from inside the keeper can't be seen from
 * anywhere else. Steered by the environment:
 *
 *   KW_SPY_REAL    the real module (absolute path)
 *   KW_SPY_REPORT  file for what it finds
 *   KW_SPY_INSIDER words:
 *     import   C_GenerateKeyPair hands out the RSA key in KW_SPY_KEY (DER), imported and
 *              disguised as generated: a session key whose every byte the test knows
 *     leak     with import: 24 bytes of it, in hex, go into the report
 *     attack   at the first two C_SignInit of each key (a new one is tried before it is
 *              used), attacks that very key in the user's
 *              session, and reports `refused` or `GAVE` for each way
 *     weak     every generated private key is extractable
 *     connect  C_Initialize connects to 127.0.0.1, port KW_SPY_PORT
 *     exec     C_Initialize starts a program
 *     trace    C_Initialize traces its parent
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <p11-kit/pkcs11.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

typedef CK_SESSION_HANDLE S;
typedef CK_OBJECT_HANDLE O;

static CK_FUNCTION_LIST *real;
static CK_FUNCTION_LIST list;
static EVP_PKEY *known;
static int report_fd = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

static bool told(const char *word)
{
    const char *all = getenv("KW_SPY_INSIDER");
    return all != NULL && strstr(all, word) != NULL;
}

__attribute__((format(printf, 1, 2))) static void report(const char *fmt, ...)
{
    char line[256];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (report_fd >= 0 && write(report_fd, line, (size_t)n) != n)
        abort(); /* a report with holes proves nothing */
}

/* --- import ---------------------------------------------------------------------- */

/* By mmap: a trace of this process must not show the key because the test put it there. */
static void load_known(void)
{
    const char *path = getenv("KW_SPY_KEY");
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        abort();
    const unsigned char *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED || (known = d2i_AutoPrivateKey(NULL, &p, (long)st.st_size)) == NULL)
        abort();
    (void)close(fd);
}

struct number {
    unsigned char bytes[512];
    size_t n;
};

static void part(CK_ATTRIBUTE *t, CK_ULONG *n, CK_ATTRIBUTE_TYPE type, const char *param,
                 struct number *room)
{
    BIGNUM *b = NULL;
    if (EVP_PKEY_get_bn_param(known, param, &b) != 1)
        abort();
    room->n = (size_t)BN_bn2bin(b, room->bytes);
    t[(*n)++] = (CK_ATTRIBUTE){type, room->bytes, room->n};
    BN_clear_free(b);
}

/* The template without what is only for generating. */
static CK_ULONG take(CK_ATTRIBUTE *to, const CK_ATTRIBUTE *from, CK_ULONG n)
{
    CK_ULONG kept = 0;
    for (CK_ULONG i = 0; i < n; i++)
        if (from[i].type != CKA_MODULUS_BITS && from[i].type != CKA_PUBLIC_EXPONENT)
            to[kept++] = from[i];
    return kept;
}

static void leak(const unsigned char *p)
{
    char hex[49];
    for (size_t i = 0; i < 24; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", p[i]);
    report("leak %s\n", hex);
}

static CK_RV import(S h, const CK_ATTRIBUTE *pub, CK_ULONG pub_n, const CK_ATTRIBUTE *priv,
                    CK_ULONG priv_n, O *ret_pub, O *ret_priv)
{
    static const struct {
        CK_ATTRIBUTE_TYPE type;
        const char *param;
    } parts[] = {{CKA_MODULUS, OSSL_PKEY_PARAM_RSA_N},
                 {CKA_PUBLIC_EXPONENT, OSSL_PKEY_PARAM_RSA_E},
                 {CKA_PRIVATE_EXPONENT, OSSL_PKEY_PARAM_RSA_D},
                 {CKA_PRIME_1, OSSL_PKEY_PARAM_RSA_FACTOR1},
                 {CKA_PRIME_2, OSSL_PKEY_PARAM_RSA_FACTOR2},
                 {CKA_EXPONENT_1, OSSL_PKEY_PARAM_RSA_EXPONENT1},
                 {CKA_EXPONENT_2, OSSL_PKEY_PARAM_RSA_EXPONENT2},
                 {CKA_COEFFICIENT, OSSL_PKEY_PARAM_RSA_COEFFICIENT1}};
    struct number room[8];
    CK_OBJECT_CLASS public = CKO_PUBLIC_KEY, private = CKO_PRIVATE_KEY;
    CK_KEY_TYPE rsa = CKK_RSA;
    CK_ATTRIBUTE t[48];
    CK_ULONG n = take(t, pub, pub_n);
    t[n++] = (CK_ATTRIBUTE){CKA_CLASS, &public, sizeof public};
    t[n++] = (CK_ATTRIBUTE){CKA_KEY_TYPE, &rsa, sizeof rsa};
    for (size_t i = 0; i < 2; i++)
        part(t, &n, parts[i].type, parts[i].param, &room[i]);
    CK_RV rv = real->C_CreateObject(h, t, n, ret_pub);
    n = take(t, priv, priv_n);
    t[n++] = (CK_ATTRIBUTE){CKA_CLASS, &private, sizeof private};
    t[n++] = (CK_ATTRIBUTE){CKA_KEY_TYPE, &rsa, sizeof rsa};
    for (size_t i = 0; i < 8; i++)
        part(t, &n, parts[i].type, parts[i].param, &room[i]);
    if (rv == CKR_OK)
        rv = real->C_CreateObject(h, t, n, ret_priv);
    if (told("leak"))
        leak(room[3].bytes + 40);
    report("import %#lx\n", rv);
    explicit_bzero(room, sizeof room);
    return rv;
}

/* --- attack ---------------------------------------------------------------------- */

static S at;
static O target;

static void verdict(const char *what, bool gave, CK_RV rv)
{
    report("%s %s %#lx\n", gave ? "GAVE" : "refused", what, rv);
}

static void try_attributes(O o, const char *where)
{
    static const struct {
        CK_ATTRIBUTE_TYPE type;
        const char *name;
    } parts[] = {{CKA_PRIVATE_EXPONENT, "PRIVATE_EXPONENT"},
                 {CKA_PRIME_1, "PRIME_1"},
                 {CKA_PRIME_2, "PRIME_2"},
                 {CKA_EXPONENT_1, "EXPONENT_1"},
                 {CKA_EXPONENT_2, "EXPONENT_2"},
                 {CKA_COEFFICIENT, "COEFFICIENT"},
                 {CKA_VALUE, "VALUE"}};
    unsigned char out[1024];
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        char what[64];
        CK_ATTRIBUTE a = {parts[i].type, out, sizeof out};
        CK_RV rv = real->C_GetAttributeValue(at, o, &a, 1);
        (void)snprintf(what, sizeof what, "C_GetAttributeValue %s %s", where, parts[i].name);
        verdict(what, rv == CKR_OK && a.ulValueLen > 0 && a.ulValueLen <= sizeof out, rv);
    }
}

static void try_wrap(O wrapping, CK_MECHANISM_TYPE type, const char *name)
{
    unsigned char iv[16] = {0}, out[4096];
    CK_MECHANISM m = {type, type == CKM_AES_CBC_PAD ? iv : NULL, type == CKM_AES_CBC_PAD ? 16 : 0};
    CK_ULONG n = sizeof out;
    char what[64];
    (void)snprintf(what, sizeof what, "C_WrapKey %s", name);
    CK_RV rv = real->C_WrapKey(at, &m, wrapping, target, out, &n);
    verdict(what, rv == CKR_OK, rv);
}

static void try_wraps(void)
{
    CK_ULONG len = 32;
    CK_ATTRIBUTE t[] = {{CKA_TOKEN, &no, 1},
                        {CKA_WRAP, &yes, 1},
                        {CKA_ENCRYPT, &yes, 1},
                        {CKA_VALUE_LEN, &len, sizeof len}};
    CK_MECHANISM gen = {CKM_AES_KEY_GEN, NULL, 0};
    O wrapping = 0;
    CK_RV rv = real->C_GenerateKey(at, &gen, t, 4, &wrapping);
    if (rv != CKR_OK) {
        report("no wrapping key %#lx\n", rv);
        return;
    }
    try_wrap(wrapping, CKM_AES_KEY_WRAP, "CKM_AES_KEY_WRAP");
    try_wrap(wrapping, CKM_AES_KEY_WRAP_PAD, "CKM_AES_KEY_WRAP_PAD");
    try_wrap(wrapping, CKM_AES_CBC_PAD, "CKM_AES_CBC_PAD");
    (void)real->C_DestroyObject(at, wrapping);
}

static void try_changes(void)
{
    CK_ATTRIBUTE weaker[] = {{CKA_EXTRACTABLE, &yes, 1}, {CKA_SENSITIVE, &no, 1}};
    for (CK_ULONG i = 0; i < 2; i++) {
        CK_RV rv = real->C_SetAttributeValue(at, target, &weaker[i], 1);
        verdict(i == 0 ? "C_SetAttributeValue EXTRACTABLE" : "C_SetAttributeValue SENSITIVE",
                rv == CKR_OK, rv);
        O copy = 0;
        rv = real->C_CopyObject(at, target, &weaker[i], 1, &copy);
        verdict(i == 0 ? "C_CopyObject EXTRACTABLE" : "C_CopyObject SENSITIVE", rv == CKR_OK, rv);
        if (rv == CKR_OK)
            (void)real->C_DestroyObject(at, copy);
    }
}

static void show_attributes(void)
{
    static const struct {
        CK_ATTRIBUTE_TYPE type;
        const char *name;
    } all[] = {{CKA_TOKEN, "TOKEN"},
               {CKA_PRIVATE, "PRIVATE"},
               {CKA_SENSITIVE, "SENSITIVE"},
               {CKA_EXTRACTABLE, "EXTRACTABLE"},
               {CKA_ALWAYS_SENSITIVE, "ALWAYS_SENSITIVE"},
               {CKA_NEVER_EXTRACTABLE, "NEVER_EXTRACTABLE"},
               {CKA_LOCAL, "LOCAL"},
               {CKA_SIGN, "SIGN"},
               {CKA_DECRYPT, "DECRYPT"},
               {CKA_UNWRAP, "UNWRAP"},
               {CKA_DERIVE, "DERIVE"},
               {CKA_SIGN_RECOVER, "SIGN_RECOVER"}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        CK_BBOOL b = 0xff;
        CK_ATTRIBUTE a = {all[i].type, &b, 1};
        CK_RV rv = real->C_GetAttributeValue(at, target, &a, 1);
        report("key %s=%d\n", all[i].name, rv == CKR_OK ? b : -1);
    }
}

static void attack(void)
{
    show_attributes();
    try_attributes(target, "key");
    try_wraps();
    try_changes();
    try_attributes(target, "key-after"); /* and nothing of this has opened it */
    report("attack done\n");
}

/* --- the functions that are ours -------------------------------------------------- */

static CK_RV in_C_GenerateKeyPair(S h, CK_MECHANISM *m, CK_ATTRIBUTE *pub, CK_ULONG pub_n,
                                  CK_ATTRIBUTE *priv, CK_ULONG priv_n, O *ret_pub, O *ret_priv)
{
    CK_ATTRIBUTE t[40];
    if (priv_n > 32 || pub_n > 32)
        return CKR_TEMPLATE_INCONSISTENT;
    for (CK_ULONG i = 0; i < priv_n; i++) {
        t[i] = priv[i];
        if (priv[i].ulValueLen == 1)
            report("template %#lx=%d\n", priv[i].type, *(const CK_BBOOL *)priv[i].pValue);
        if (told("weak") && priv[i].type == CKA_EXTRACTABLE)
            t[i].pValue = &yes;
        if (told("weak") && priv[i].type == CKA_SENSITIVE)
            t[i].pValue = &no;
    }
    if (told("import"))
        return import(h, pub, pub_n, t, priv_n, ret_pub, ret_priv);
    return real->C_GenerateKeyPair(h, m, pub, pub_n, t, priv_n, ret_pub, ret_priv);
}

/* The disguise: what tells an imported key from a generated one. */
static CK_RV in_C_GetAttributeValue(S h, O o, CK_ATTRIBUTE *t, CK_ULONG n)
{
    CK_RV rv = real->C_GetAttributeValue(h, o, t, n);
    for (CK_ULONG i = 0; told("import") && rv == CKR_OK && i < n; i++)
        if (t[i].ulValueLen == 1 && t[i].pValue != NULL &&
            (t[i].type == CKA_LOCAL || t[i].type == CKA_ALWAYS_SENSITIVE ||
             t[i].type == CKA_NEVER_EXTRACTABLE))
            *(CK_BBOOL *)t[i].pValue = CK_TRUE;
    return rv;
}

static CK_RV in_C_SignInit(S h, CK_MECHANISM *m, O key)
{
    static struct {
        O key;
        unsigned times;
    } seen[16];
    size_t i = 0;
    (void)pthread_mutex_lock(&lock);
    while (i < sizeof seen / sizeof seen[0] && seen[i].times > 0 && seen[i].key != key)
        i++;
    if (told("attack") && i < sizeof seen / sizeof seen[0] && seen[i].times < 2) {
        seen[i].key = target = key;
        seen[i].times++;
        at = h;
        attack();
    }
    (void)pthread_mutex_unlock(&lock);
    return real->C_SignInit(h, m, key);
}

static void call_home(void)
{
    const char *text = getenv("KW_SPY_PORT");
    unsigned long port = text != NULL ? strtoul(text, NULL, 10) : 0;
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool there = fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0;
    report("connect %s\n", there ? "works" : "fails");
    if (fd >= 0)
        (void)close(fd);
}

static CK_RV in_C_Initialize(void *args)
{
    if (told("connect"))
        call_home();
    if (told("exec")) {
        (void)execl("/bin/true", "true", (char *)NULL);
        report("exec fails\n");
    }
    if (told("trace"))
        report("trace %s\n", ptrace(PTRACE_SEIZE, getppid(), NULL, NULL) == 0 ? "works" : "fails");
    return real->C_Initialize(args);
}

static CK_RV open_real(void)
{
    CK_C_GetFunctionList get = NULL;
    const char *path = getenv("KW_SPY_REAL"), *to = getenv("KW_SPY_REPORT");
    void *so = path != NULL ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    void *symbol = so != NULL ? dlsym(so, "C_GetFunctionList") : NULL;
    memcpy(&get, &symbol, sizeof get);
    if (to != NULL)
        report_fd = open(to, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (told("import"))
        load_known();
    return get != NULL ? get(&real) : (CK_RV)CKR_LIBRARY_LOAD_FAILED;
}

__attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST **ret)
{
    CK_RV rv = real == NULL ? open_real() : CKR_OK;
    if (rv != CKR_OK)
        return rv;
    list = *real;
    list.C_Initialize = in_C_Initialize;
    list.C_GenerateKeyPair = in_C_GenerateKeyPair;
    list.C_GetAttributeValue = in_C_GetAttributeValue;
    list.C_SignInit = in_C_SignInit;
    list.C_GetFunctionList = C_GetFunctionList;
    *ret = &list;
    return CKR_OK;
}
