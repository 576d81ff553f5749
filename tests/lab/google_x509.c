/* SPDX-License-Identifier: Apache-2.0
 *
 * X.509 federation: the certificate of a mutual TLS handshake as Google's mtls token service
 * judges it, against the trust store of the provider or the anchor of --google-anchor.
 */
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "lab.h"
#include "src/base/b64.h"

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

/* The certificates of a member of the trust store go to where they belong. */
static bool add_pems(const json_t *list, X509_STORE *anchors, STACK_OF(X509) * between)
{
    const json_t *one;
    size_t i;
    json_array_foreach(list, i, one)
    {
        BIO *b = BIO_new_mem_buf(lab_text(one, "pemCertificate"), -1);
        X509 *cert = b == NULL ? NULL : PEM_read_bio_X509(b, NULL, NULL, NULL);
        BIO_free(b);
        bool ok = cert != NULL && (anchors != NULL ? X509_STORE_add_cert(anchors, cert) == 1
                                                   : sk_X509_push(between, cert) > 0);
        if (anchors != NULL || !ok)
            X509_free(cert);
        if (!ok)
            return false;
    }
    return true;
}

/* Does the chain that was sent lead from the leaf to an anchor? */
static bool trusted(const char *anchor_path, const json_t *trust, X509 *leaf, const json_t *sent)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    STACK_OF(X509) *between = sk_X509_new_null();
    bool ok = store != NULL && ctx != NULL && between != NULL;
    if (ok && trust != NULL)
        ok = add_pems(json_object_get(trust, "trustAnchors"), store, NULL) &&
             add_pems(json_object_get(trust, "intermediateCas"), NULL, between);
    else if (ok)
        ok = anchor_path != NULL && X509_STORE_load_file(store, anchor_path) == 1;
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

/* --- what mappings see of it: assertion.subject.dn.cn and so on ----------------------------- */

static json_t *names_of(const X509_NAME *name)
{
    static const struct {
        const char *member;
        int nid;
    } parts[] = {
        {"cn", NID_commonName}, {"o", NID_organizationName}, {"ou", NID_organizationalUnitName}};
    json_t *dn = json_object();
    for (size_t i = 0; i < 3; i++) {
        int at = -1, last = -1; /* of several the last counts */
        while ((at = X509_NAME_get_index_by_NID(name, parts[i].nid, at)) >= 0)
            last = at;
        unsigned char *text = NULL;
        int n = last < 0 ? -1
                         : ASN1_STRING_to_UTF8(
                               &text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, last)));
        if (n > 0)
            json_object_set_new(dn, parts[i].member, json_stringn((const char *)text, (size_t)n));
        OPENSSL_free(text);
    }
    return json_pack("{s:o}", "dn", dn);
}

static json_t *first_names(X509 *cert)
{
    json_t *san = json_object();
    GENERAL_NAMES *all = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);
        const char *kind = g->type == GEN_DNS ? "dns" : g->type == GEN_URI ? "uri" : NULL;
        if (kind != NULL && json_object_get(san, kind) == NULL)
            json_object_set_new(san, kind,
                                json_stringn((const char *)ASN1_STRING_get0_data(g->d.ia5),
                                             (size_t)ASN1_STRING_length(g->d.ia5)));
    }
    GENERAL_NAMES_free(all);
    return san;
}

static json_t *claims_of(X509 *cert)
{
    unsigned char digest[32];
    struct kw_buf b;
    BIGNUM *n = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
    char *serial = n == NULL ? NULL : BN_bn2hex(n);
    kw_buf_init(&b, 128);
    if (X509_digest(cert, EVP_sha256(), digest, NULL) == 1)
        kw_b64_put(&b, digest, sizeof digest);
    json_t *o = json_pack(
        "{s:o, s:o, s:o, s:s, s:s}", "subject", names_of(X509_get_subject_name(cert)), "issuer",
        names_of(X509_get_issuer_name(cert)), "san", first_names(cert), "serialNumberHex",
        serial != NULL ? serial : "", "sha256Fingerprint", kw_buf_str(&b));
    kw_buf_free(&b);
    OPENSSL_free(serial);
    BN_free(n);
    return o;
}

const char *lab_mtls_judge(struct lab *l, const struct lab_request *r, const char *subject,
                           const json_t *store, json_t **claims)
{
    json_t *sent = json_loads(subject, JSON_REJECT_DUPLICATES, NULL);
    X509 *leaf = read_der(json_string_value(json_array_get(sent, 0)));
    const char *why = NULL;
    if (r->client == NULL)
        why = "No client certificate was presented in the handshake.";
    else if (leaf == NULL || X509_cmp(leaf, r->client) != 0)
        why = "The first certificate of the subject token is not the handshake's.";
    else if (!trusted(l->opt.google_anchor, store, leaf, sent))
        why = "The certificate chain does not lead to a trust anchor of the provider.";
    else
        *claims = claims_of(leaf);
    X509_free(leaf);
    json_decref(sent);
    return why;
}
