/* SPDX-License-Identifier: Apache-2.0
 *
 * For MemorySanitizer, which sees what our own code writes and what it knows of the C
 * library, but not what OpenSSL, jansson, libinih and libseccomp write: what they hand to
 * us is told to be written, here and nowhere else. Their heaps are taken for written as a
 * whole. fault.c does the same for what it wraps. */
#include <ini.h>
#include <jansson.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <sanitizer/msan_interface.h>
#include <stdlib.h>
#include <string.h>

/* Not the ones that fail: jansson would not survive it. */
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);

static void *plain(size_t n)
{
    return __real_calloc(1, n > 0 ? n : 1);
}

static void *ssl_malloc(size_t n, const char *file, int line)
{
    (void)file, (void)line;
    return n > 0 ? plain(n) : NULL;
}

static void *ssl_realloc(void *p, size_t n, const char *file, int line)
{
    (void)file, (void)line;
    void *q = __real_realloc(p, n);
    if (q != NULL)
        __msan_unpoison(q, n);
    return q;
}

static void ssl_free(void *p, const char *file, int line)
{
    (void)file, (void)line;
    free(p);
}

/* Before either has allocated anything. */
static void __attribute__((constructor)) heaps(void)
{
    json_set_alloc_funcs(plain, free);
    (void)CRYPTO_set_mem_functions(ssl_malloc, ssl_realloc, ssl_free);
}

#define WRAP(type, name, ...)                                                                      \
    type __real_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__)

/* OpenSSL 3.5 fetches algorithms by memcmp() of what it has written itself. */
#define HIDDEN(call)                                                                               \
    __msan_scoped_disable_interceptor_checks();                                                    \
    call;                                                                                          \
    __msan_scoped_enable_interceptor_checks()

WRAP(int, EVP_Digest, const void *data, size_t n, unsigned char *md, unsigned *size,
     const EVP_MD *type, ENGINE *impl)
{
    HIDDEN(int r = __real_EVP_Digest(data, n, md, size, type, impl));
    if (size != NULL)
        __msan_unpoison(size, sizeof *size);
    __msan_unpoison(md, size != NULL ? *size : 32);
    return r;
}

WRAP(unsigned char *, SHA256, const unsigned char *d, size_t n, unsigned char *md)
{
    HIDDEN(unsigned char *r = __real_SHA256(d, n, md));
    __msan_unpoison(md, 32);
    return r;
}

WRAP(int, EVP_EncodeBlock, unsigned char *t, const unsigned char *f, int n)
{
    int r = __real_EVP_EncodeBlock(t, f, n);
    __msan_unpoison(t, (size_t)r + 1);
    return r;
}

WRAP(int, EVP_DecodeBlock, unsigned char *t, const unsigned char *f, int n)
{
    int r = __real_EVP_DecodeBlock(t, f, n);
    if (r > 0)
        __msan_unpoison(t, (size_t)r);
    return r;
}

WRAP(int, BN_bn2bin, const BIGNUM *a, unsigned char *to)
{
    int r = __real_BN_bn2bin(a, to);
    if (r > 0)
        __msan_unpoison(to, (size_t)r);
    return r;
}

WRAP(int, EVP_DigestFinal_ex, EVP_MD_CTX *ctx, unsigned char *md, unsigned *size)
{
    HIDDEN(int r = __real_EVP_DigestFinal_ex(ctx, md, size));
    if (size != NULL)
        __msan_unpoison(size, sizeof *size);
    __msan_unpoison(md, size != NULL ? *size : 32);
    return r;
}

WRAP(int, BN_bn2binpad, const BIGNUM *a, unsigned char *to, int n)
{
    int r = __real_BN_bn2binpad(a, to, n);
    if (r > 0)
        __msan_unpoison(to, (size_t)r);
    return r;
}

WRAP(int, EVP_PKEY_get_utf8_string_param, const EVP_PKEY *k, const char *name, char *to,
     size_t size, size_t *n)
{
    HIDDEN(int r = __real_EVP_PKEY_get_utf8_string_param(k, name, to, size, n));
    if (r == 1)
        __msan_unpoison_string(to);
    return r;
}

WRAP(int, X509_digest, const X509 *x, const EVP_MD *type, unsigned char *md, unsigned *n)
{
    HIDDEN(int r = __real_X509_digest(x, type, md, n));
    __msan_unpoison(n, sizeof *n);
    __msan_unpoison(md, 32);
    return r;
}

WRAP(int, X509_NAME_get_text_by_NID, const X509_NAME *name, int nid, char *to, int size)
{
    int r = __real_X509_NAME_get_text_by_NID(name, nid, to, size);
    if (r >= 0)
        __msan_unpoison_string(to);
    return r;
}

WRAP(int, i2d_X509, const X509 *x, unsigned char **to)
{
    HIDDEN(int r = __real_i2d_X509(x, to));
    if (r > 0)
        __msan_unpoison(to, sizeof *to);
    return r;
}

WRAP(int, ASN1_TIME_to_tm, const ASN1_TIME *t, struct tm *to)
{
    int r = __real_ASN1_TIME_to_tm(t, to);
    __msan_unpoison(to, sizeof *to);
    return r;
}

/* These call strcmp() and its like with what they themselves wrote. */
#define UNSEEN(type, name, arguments, ...)                                                         \
    WRAP(type, name, __VA_ARGS__)                                                                  \
    {                                                                                              \
        __msan_scoped_disable_interceptor_checks();                                                \
        type r = __real_##name arguments;                                                          \
        __msan_scoped_enable_interceptor_checks();                                                 \
        return r;                                                                                  \
    }

UNSEEN(EVP_PKEY *, d2i_PUBKEY, (a, p, n), EVP_PKEY **a, const unsigned char **p, long n)
UNSEEN(EVP_PKEY *, PEM_read_PUBKEY, (f, x, cb, u), FILE *f, EVP_PKEY **x, pem_password_cb *cb,
       void *u)
UNSEEN(int, i2d_PUBKEY, (a, p), const EVP_PKEY *a, unsigned char **p)
UNSEEN(int, EVP_PKEY_is_a, (k, name), const EVP_PKEY *k, const char *name)
UNSEEN(int, EVP_PKEY_get_bn_param, (k, name, bn), const EVP_PKEY *k, const char *name, BIGNUM **bn)
UNSEEN(X509 *, PEM_read_bio_X509, (b, x, cb, u), BIO *b, X509 **x, pem_password_cb *cb, void *u)
UNSEEN(EVP_PKEY *, X509_get0_pubkey, (x), const X509 *x)
UNSEEN(int, X509_cmp_time, (a, t), const ASN1_TIME *a, time_t *t)
UNSEEN(int, EVP_PKEY_get_bits, (k), const EVP_PKEY *k)
UNSEEN(int, EVP_DigestInit_ex, (c, t, e), EVP_MD_CTX *c, const EVP_MD *t, ENGINE *e)
UNSEEN(int, EVP_DigestVerifyInit, (c, p, t, e, k), EVP_MD_CTX *c, EVP_PKEY_CTX **p, const EVP_MD *t,
       ENGINE *e, EVP_PKEY *k)
UNSEEN(int, EVP_DigestVerify, (c, sig, ns, d, n), EVP_MD_CTX *c, const unsigned char *sig,
       size_t ns, const unsigned char *d, size_t n)

WRAP(char *, seccomp_syscall_resolve_num_arch, uint32_t arch, int num)
{
    char *name = __real_seccomp_syscall_resolve_num_arch(arch, num);
    if (name != NULL)
        __msan_unpoison_string(name);
    return name;
}

/* libinih calls us with what it cut out of the line. */
struct entry {
    ini_handler take;
    void *user;
};

static int pass(void *user, const char *section, const char *name, const char *value)
{
    const struct entry *e = user;
    __msan_unpoison_param(4);
    __msan_unpoison_string(section);
    __msan_unpoison_string(name);
    __msan_unpoison_string(value);
    return e->take(e->user, section, name, value);
}

WRAP(int, ini_parse_stream, ini_reader reader, void *stream, ini_handler take, void *user)
{
    struct entry e = {take, user};
    return __real_ini_parse_stream(reader, stream, pass, &e);
}
