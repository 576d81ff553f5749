/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates. The roots are read whole before the sandbox locks: OpenSSL's own
 * default directory would be searched again at each verification. */
#include <dirent.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "http_int.h"
#include "roots.h"
#include "tls_key.h"

static int http_index = -1; /* ex_data of our SSL_CTXs: the struct kw_http */

/* Every certificate file of the directory, by its hashed name ("1f2e3d4c.0"), so that
 * none is loaded twice. */
static unsigned load_dir(X509_STORE *store, const char *path)
{
    DIR *d = opendir(path);
    unsigned n = 0;
    if (d == NULL)
        return 0;
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        char file[1024];
        if (strlen(e->d_name) != 10 || strspn(e->d_name, "0123456789abcdef") != 8 ||
            e->d_name[8] != '.')
            continue;
        int len = snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        if (len > 0 && (size_t)len < sizeof file && X509_STORE_load_file(store, file) == 1)
            n++;
    }
    (void)closedir(d);
    return n;
}

/* The distribution's bundle, wherever it has it, else OpenSSL's own directory. */
static bool load_system(X509_STORE *store)
{
    const char *const bundles[] = {"/etc/ssl/certs/ca-certificates.crt",
                                   "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
                                   X509_get_default_cert_file()};
    for (size_t i = 0; i < sizeof bundles / sizeof bundles[0]; i++)
        if (access(bundles[i], R_OK) == 0 && kw_roots_add(store, bundles[i]) > 0)
            return true;
    return load_dir(store, X509_get_default_cert_dir()) > 0;
}

/* The generator is seeded, the algorithms are fetched and the configuration is read
 * now, while files can still be opened. */
static bool touch_openssl(void)
{
    unsigned char byte;
    if (http_index < 0)
        http_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = ctx != NULL ? SSL_new(ctx) : NULL;
    bool ok = ssl != NULL && http_index >= 0 && RAND_bytes(&byte, 1) == 1 &&
              RAND_priv_bytes(&byte, 1) == 1;
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    return ok;
}

int kw_tls_roots(const char *ca_file, X509_STORE **ret, struct kw_err *err)
{
    *ret = NULL;
    if (OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL) !=
            1 ||
        !touch_openssl())
        return kw_fail(err, KW_FAILED, "OpenSSL could not be initialised: %s",
                       ERR_reason_error_string(ERR_peek_last_error()));
    X509_STORE *store = X509_STORE_new();
    if (store == NULL)
        return kw_fail(err, KW_FAILED, "out of memory");
    bool added = ca_file[0] != '\0';
    if (added && X509_STORE_load_file(store, ca_file) != 1) {
        const char *why = ERR_reason_error_string(ERR_peek_last_error());
        X509_STORE_free(store);
        return kw_fail(err, KW_USAGE, "[tls] ca_file %s: no certificate could be read (%s)",
                       ca_file, why != NULL ? why : "unknown reason");
    }
    if (!load_system(store) && !added) {
        X509_STORE_free(store);
        return kw_fail(err, KW_USAGE,
                       "no CA certificates found in the usual places; install ca-certificates or "
                       "set [tls] ca_file");
    }
    ERR_clear_error();
    *ret = store;
    return 0;
}

/* OpenSSL tells a peer that just hung up of a decode error: no failure of TLS. */
static bool hung_up(void)
{
    return ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING ||
           ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
}

static void on_info(const SSL *ssl, int where, int ret)
{
    enum { FATAL = 2 }; /* the level, in the upper byte (RFC 8446, section 6) */
    if ((where & SSL_CB_ALERT) == 0 || ret >> 8 != FATAL || hung_up())
        return;
    struct kw_http *h = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), http_index);
    if (h != NULL) {
        h->alert = true;
        h->verify = SSL_get_verify_result(ssl);
    }
}

void kw_tls_forget(struct kw_http *h)
{
    X509_free(h->leaf);
    sk_X509_pop_free(h->chain, X509_free);
    EVP_PKEY_free(h->key);
    h->leaf = NULL;
    h->chain = NULL;
    h->key = NULL;
}

int kw_http_client_cert(struct kw_http *h, const char *pem, const char *host, struct kw_err *err)
{
    BIO *in = BIO_new_mem_buf(pem, -1);
    kw_tls_forget(h);
    h->chain = sk_X509_new_null();
    h->leaf = in != NULL ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;
    for (X509 *next; h->leaf != NULL && h->chain != NULL &&
                     (next = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL;)
        if (sk_X509_push(h->chain, next) <= 0)
            X509_free(next);
    BIO_free(in);
    ERR_clear_error();
    EVP_PKEY *pub = h->leaf != NULL ? X509_get0_pubkey(h->leaf) : NULL;
    if (pub == NULL || h->chain == NULL)
        return kw_fail(err, KW_USAGE, "the client certificate can't be read");
    (void)snprintf(h->client_host, sizeof h->client_host, "%s", host);
    return kw_tls_key_new(pub, &h->key, err);
}

/* TLS 1.3 only: what is signed in older ones is a bare hash, which the keeper won't sign. */
static bool show_certificate(SSL_CTX *ctx, const struct kw_http *h)
{
    bool ok = SSL_CTX_use_certificate(ctx, h->leaf) == 1 &&
              SSL_CTX_use_PrivateKey(ctx, h->key) == 1 &&
              SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1;
    for (int i = 0; ok && i < sk_X509_num(h->chain); i++)
        ok = SSL_CTX_add1_chain_cert(ctx, sk_X509_value(h->chain, i)) == 1;
    return ok;
}

int kw_tls_prepare(SSL_CTX *ctx, struct kw_http *h)
{
    SSL_CTX_set1_cert_store(ctx, h->roots);
    SSL_CTX_set_info_callback(ctx, on_info);
    /* A kept connection keeps its record, too, and what it held. */
    (void)SSL_CTX_set_options(ctx, SSL_OP_CLEANSE_PLAINTEXT);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    bool ok = SSL_CTX_set_ex_data(ctx, http_index, h) == 1 &&
              SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1;
    if (ok && h->leaf != NULL && strcmp(h->host, h->client_host) == 0)
        ok = show_certificate(ctx, h);
    return ok ? 0 : -1;
}

static const char *cure_of(long verify)
{
    switch (verify) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return "check this machine's clock; else the server needs a new certificate";
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        return "if this server has a private CA, name its root in [tls] ca_file; else somebody is "
               "in between";
    default:
        return "the server needs a proper certificate";
    }
}

int kw_tls_explain(const struct kw_http *h, const char *host, bool wrong_name, const char *detail,
                   struct kw_err *err)
{
    if (h->alert && h->verify != X509_V_OK)
        return kw_fail(err, KW_CLOUD, "TLS with %s: its certificate can't be trusted: %s; %s", host,
                       X509_verify_cert_error_string(h->verify), cure_of(h->verify));
    if (wrong_name)
        return kw_fail(err, KW_CLOUD,
                       "TLS with %s: its certificate is for another name (%.200s); check the URL "
                       "and [dial] resolve",
                       host, detail);
    if (h->alert)
        return kw_fail(
            err, KW_CLOUD,
            "TLS with %s could not be agreed on (%.200s); it must speak TLS 1.2 or later", host,
            detail);
    return kw_fail(err, KW_NET, "TLS with %s: the connection was lost in the handshake (%.200s)",
                   host, detail);
}
