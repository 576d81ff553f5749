/* SPDX-License-Identifier: Apache-2.0
 *
 * The run's certificate authority: made in memory, bound to the names that policy serves,
 * gone with the process. Its certificate is the only thing that leaves it. */
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "proxy_int.h"

enum { LIFE_S = 7 * 24 * 3600, BACK_S = 3600 };

static bool add(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *x = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = x != NULL && X509_add_ext(cert, x, -1) == 1;
    X509_EXTENSION_free(x);
    return ok;
}

static bool set_serial(X509 *cert)
{
    unsigned char bytes[16];
    BIGNUM *n = NULL;
    bool ok = RAND_bytes(bytes, sizeof bytes) == 1;
    bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40);
    ok = ok && (n = BN_bin2bn(bytes, sizeof bytes, NULL)) != NULL &&
         BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)) != NULL;
    BN_free(n);
    return ok;
}

static bool set_name(X509_NAME *name, const char *cn)
{
    const unsigned char org[] = "keyward run";
    return X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, org, -1, -1, 0) == 1 &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1,
                                      0) == 1;
}

static bool set_times(X509 *cert)
{
    return X509_gmtime_adj(X509_getm_notBefore(cert), -BACK_S) != NULL &&
           X509_gmtime_adj(X509_getm_notAfter(cert), LIFE_S) != NULL;
}

/* One permitted name for each pattern: "*.x" covers what is below x, and as constraints can't
 * say "but not x itself" in a way that all clients understand, x too. Without IP addresses, or
 * a certificate for one would be outside of any constraint. */
static bool constraints(const char *patterns, char *out, size_t size)
{
    size_t n = 0;
    for (const char *p = patterns; *p != '\0';) {
        size_t len = strcspn(p, " ");
        const char *name = len > 2 && strncmp(p, "*.", 2) == 0 ? p + 2 : p;
        int w = snprintf(out + n, size - n, "%spermitted;DNS:%.*s", n > 0 ? "," : "",
                         (int)(len - (size_t)(name - p)), name);
        if (w < 0 || (size_t)w >= size - n)
            return false;
        n += (size_t)w;
        p += len + strspn(p + len, " ");
    }
    int w = snprintf(out + n, size - n,
                     "%sexcluded;IP:0.0.0.0/0.0.0.0,excluded;IP:::/::", n > 0 ? "," : "");
    return n > 0 && w > 0 && (size_t)w < size - n;
}

int kw_ca_make(struct kw_ca *ca, const char *patterns, struct kw_err *err)
{
    char names[KW_LINES / 2] = "critical,", suffix[9], cn[64];
    unsigned char random[4] = {0};
    ca->key = EVP_EC_gen("P-256");
    ca->leaf_key = EVP_EC_gen("P-256");
    ca->cert = X509_new();
    bool ok = ca->key != NULL && ca->leaf_key != NULL && ca->cert != NULL &&
              RAND_bytes(random, sizeof random) == 1;
    if (ok && !constraints(patterns, names + 9, sizeof names - 9))
        return kw_fail(err, KW_USAGE,
                       "[policy] sign.host is empty or too long to make the run's CA for it");
    (void)snprintf(suffix, sizeof suffix, "%02x%02x%02x%02x", random[0], random[1], random[2],
                   random[3]);
    (void)snprintf(cn, sizeof cn, "CA of one run, %s", suffix);
    ok = ok && X509_set_version(ca->cert, 2) == 1 && set_serial(ca->cert) && set_times(ca->cert) &&
         X509_set_pubkey(ca->cert, ca->key) == 1 && set_name(X509_get_subject_name(ca->cert), cn) &&
         X509_set_issuer_name(ca->cert, X509_get_subject_name(ca->cert)) == 1 &&
         add(ca->cert, ca->cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
         add(ca->cert, ca->cert, NID_key_usage, "critical,keyCertSign") &&
         add(ca->cert, ca->cert, NID_subject_key_identifier, "hash") &&
         add(ca->cert, ca->cert, NID_name_constraints, names) &&
         X509_sign(ca->cert, ca->key, EVP_sha256()) > 0;
    ERR_clear_error();
    return ok ? 0 : kw_fail(err, KW_FAILED, "the run's CA could not be made");
}

static X509 *mint(struct kw_ca *ca, const char *host)
{
    char san[KW_HOST + 8];
    X509 *cert = X509_new();
    (void)snprintf(san, sizeof san, "DNS:%s", host);
    bool ok = cert != NULL && X509_set_version(cert, 2) == 1 && set_serial(cert) &&
              set_times(cert) && X509_set_pubkey(cert, ca->leaf_key) == 1 &&
              set_name(X509_get_subject_name(cert), "leaf") &&
              X509_set_issuer_name(cert, X509_get_subject_name(ca->cert)) == 1 &&
              add(cert, ca->cert, NID_basic_constraints, "critical,CA:FALSE") &&
              add(cert, ca->cert, NID_key_usage, "critical,digitalSignature") &&
              add(cert, ca->cert, NID_ext_key_usage, "serverAuth") &&
              add(cert, ca->cert, NID_authority_key_identifier, "keyid") &&
              add(cert, ca->cert, NID_subject_alt_name, san) &&
              X509_sign(cert, ca->key, EVP_sha256()) > 0;
    ERR_clear_error();
    if (!ok) {
        X509_free(cert);
        return NULL;
    }
    return cert;
}

X509 *kw_ca_leaf(struct kw_ca *ca, const char *host)
{
    struct kw_leaf *oldest = &ca->leaves[0];
    for (size_t i = 0; i < sizeof ca->leaves / sizeof ca->leaves[0]; i++) {
        struct kw_leaf *l = &ca->leaves[i];
        if (l->cert != NULL && strcmp(l->host, host) == 0) {
            l->used = ++ca->clock;
            return l->cert;
        }
        if (l->used < oldest->used)
            oldest = l;
    }
    X509 *cert = mint(ca, host);
    if (cert == NULL)
        return NULL;
    X509_free(oldest->cert);
    *oldest = (struct kw_leaf){.cert = cert, .used = ++ca->clock};
    (void)snprintf(oldest->host, sizeof oldest->host, "%s", host);
    return cert;
}

void kw_ca_free(struct kw_ca *ca)
{
    for (size_t i = 0; i < sizeof ca->leaves / sizeof ca->leaves[0]; i++)
        X509_free(ca->leaves[i].cert);
    X509_free(ca->cert);
    EVP_PKEY_free(ca->key);
    EVP_PKEY_free(ca->leaf_key);
}
