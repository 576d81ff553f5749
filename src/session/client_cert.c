/* SPDX-License-Identifier: Apache-2.0 */
#include "client_cert.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "src/base/b64.h"
#include "src/base/io.h"

enum { CHAIN = 5 };

/* The i-th certificate of the text (from 0), NULL behind the last. */
static X509 *nth(const char *pem, int i)
{
    BIO *in = BIO_new_mem_buf(pem, -1);
    X509 *cert = NULL;
    for (; in != NULL && i >= 0; i--) {
        X509_free(cert);
        cert = PEM_read_bio_X509(in, NULL, NULL, NULL);
        if (cert == NULL)
            break;
    }
    BIO_free(in);
    ERR_clear_error();
    return cert;
}

static void describe(X509 *leaf, struct kw_client_cert *ret)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    char issuer[128] = "?", hex[2 * EVP_MAX_MD_SIZE + 1] = "";
    if (X509_NAME_get_text_by_NID(X509_get_subject_name(leaf), NID_commonName, ret->subject,
                                  (int)sizeof ret->subject) < 0)
        ret->subject[0] = '\0';
    (void)X509_NAME_get_text_by_NID(X509_get_issuer_name(leaf), NID_commonName, issuer,
                                    (int)sizeof issuer);
    if (X509_digest(leaf, EVP_sha256(), digest, &n) == 1)
        kw_hex(hex, digest, n);
    (void)snprintf(ret->shown, sizeof ret->shown, "certificate CN=%s issuer=%s sha256=%s",
                   ret->subject, issuer, hex);
    kw_printable(ret->subject);
    kw_printable(ret->shown);
}

static int check_leaf(X509 *leaf, const char *path, int64_t now, struct kw_client_cert *ret,
                      struct kw_err *err)
{
    struct tm tm;
    time_t t = (time_t)now;
    EVP_PKEY *key = X509_get0_pubkey(leaf);
    if (key == NULL || EVP_PKEY_is_a(key, "EC") != 1 || EVP_PKEY_get_bits(key) != 256)
        return kw_fail(err, KW_USAGE, "%s: the first certificate's key is not EC on P-256", path);
    if (X509_cmp_time(X509_get0_notBefore(leaf), &t) > 0)
        return kw_fail(err, KW_SUBJECT, "%s: the certificate is not valid yet; check the clock",
                       path);
    if (X509_cmp_time(X509_get0_notAfter(leaf), &t) < 0)
        return kw_fail(err, KW_SUBJECT, "%s: the certificate has expired; get a new one", path);
    if (ASN1_TIME_to_tm(X509_get0_notAfter(leaf), &tm) != 1)
        return kw_fail(err, KW_USAGE, "%s: the certificate's end can't be read", path);
    ret->not_after = (int64_t)timegm(&tm);
    return 0;
}

int kw_client_cert_read(const char *path, int64_t now, struct kw_client_cert *ret,
                        struct kw_err *err)
{
    struct kw_buf b;
    memset(ret, 0, sizeof *ret);
    kw_buf_init(&b, sizeof ret->pem - 1);
    int r = kw_read_file(path, &b, KW_USAGE, err);
    /* A private key has no business here, nor in the exchanger, where this goes. */
    if (r == 0 && strstr(kw_buf_str(&b), "PRIVATE KEY") != NULL)
        r = kw_fail(err, KW_USAGE,
                    "%s holds a private key: keyward uses the one in the token; take it out", path);
    if (r == 0)
        (void)snprintf(ret->pem, sizeof ret->pem, "%s", kw_buf_str(&b));
    kw_buf_free(&b);
    if (r != 0)
        return r;
    X509 *leaf = nth(ret->pem, 0), *more = nth(ret->pem, CHAIN);
    if (leaf == NULL)
        r = kw_fail(err, KW_USAGE, "%s: no certificate in PEM was found", path);
    else if (more != NULL)
        r = kw_fail(err, KW_USAGE, "%s: more than %d certificates", path, CHAIN);
    else
        r = check_leaf(leaf, path, now, ret, err);
    if (r == 0)
        describe(leaf, ret);
    X509_free(leaf);
    X509_free(more);
    return r;
}

int kw_client_cert_token(const struct kw_client_cert *c, struct kw_secret **ret, struct kw_err *err)
{
    struct kw_buf text;
    X509 *cert;
    bool ok = true;
    kw_buf_init(&text, KW_SECRET_MAX / 2);
    kw_put_str(&text, "[");
    for (int i = 0; ok && i < CHAIN && (cert = nth(c->pem, i)) != NULL; i++) {
        unsigned char *der = NULL;
        int n = i2d_X509(cert, &der);
        ok = n > 0;
        kw_put_str(&text, i > 0 ? ",\"" : "\"");
        if (ok)
            kw_b64_put(&text, der, (size_t)n);
        kw_put_str(&text, "\"");
        OPENSSL_free(der);
        X509_free(cert);
    }
    kw_put_str(&text, "]");
    *ret = ok && !text.bad ? kw_secret_from(text.p, text.len) : NULL;
    kw_buf_free(&text);
    return *ret != NULL ? 0 : kw_fail(err, KW_USAGE, "the client certificates are too large");
}
