/* SPDX-License-Identifier: Apache-2.0
 *
 * X.509 federation: the certificate of a mutual TLS handshake as Google's mtls token service
 * judges it, against the trust anchor of --google-anchor.
 */
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "lab.h"
#include "src/b64.h"

static int any_certificate(int ok, X509_STORE_CTX *ctx)
{
    (void)ok, (void)ctx; /* judged later, in the vendor's words */
    return 1;
}

int lab_mtls_ask(SSL *ssl, int *alert, void *arg)
{
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    (void)alert, (void)arg;
    if (name != NULL && strncasecmp(name, "sts.mtls.", 9) == 0)
        SSL_set_verify(ssl, SSL_VERIFY_PEER, any_certificate);
    return SSL_TLSEXT_ERR_OK;
}

static X509 *read_der(const char *base64)
{
    struct kw_buf der;
    X509 *cert = NULL;
    kw_buf_init(&der, 16384);
    if (base64 != NULL && kw_b64_get(&der, base64, strlen(base64))) {
        const unsigned char *p = der.p;
        cert = d2i_X509(NULL, &p, (long)der.len);
    }
    kw_buf_free(&der);
    return cert;
}

/* Does the chain that was sent lead from the leaf to the anchor? */
static bool trusted(const char *anchor_path, X509 *leaf, const json_t *sent)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    STACK_OF(X509) *between = sk_X509_new_null();
    bool ok = store != NULL && ctx != NULL && X509_STORE_load_file(store, anchor_path) == 1;
    for (size_t i = 1; ok && i < json_array_size(sent); i++) {
        X509 *one = read_der(json_string_value(json_array_get(sent, i)));
        ok = one != NULL && sk_X509_push(between, one) > 0;
    }
    ok = ok && X509_STORE_CTX_init(ctx, store, leaf, between) == 1 &&
         X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_CLIENT) == 1 &&
         X509_verify_cert(ctx) == 1;
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    sk_X509_pop_free(between, X509_free);
    return ok;
}

const char *lab_mtls_judge(struct lab *l, const struct lab_request *r, const char *subject,
                           char *cn, size_t size)
{
    json_t *sent = json_loads(subject, JSON_REJECT_DUPLICATES, NULL);
    X509 *leaf = read_der(json_string_value(json_array_get(sent, 0)));
    const char *why = NULL;
    if (r->client == NULL)
        why = "No client certificate was presented in the handshake.";
    else if (leaf == NULL || X509_cmp(leaf, r->client) != 0)
        why = "The first certificate of the subject token is not the handshake's.";
    else if (l->opt.google_anchor == NULL || !trusted(l->opt.google_anchor, leaf, sent))
        why = "The certificate chain does not lead to a trust anchor of the provider.";
    else if (X509_NAME_get_text_by_NID(X509_get_subject_name(leaf), NID_commonName, cn, (int)size) <
             1)
        why = "The certificate has no subject.";
    X509_free(leaf);
    json_decref(sent);
    return why;
}
