/* SPDX-License-Identifier: Apache-2.0
 *
 * The TLS client key that is elsewhere: handshakes in memory, with the callback playing the
 * keeper. It gets the content of RFC 8446 section 4.4.3; its signature is the handshake's;
 * everything else still comes from the default provider. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/ec.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "src/exchanger/tls_key.h"

static EVP_PKEY *real;
static unsigned calls;
static int fail_with;
static unsigned char seen[512];
static size_t seen_n;

static int sign(void *arg, const unsigned char *content, size_t n, unsigned char *sig,
                size_t *ret_n)
{
    assert_ptr_equal(arg, &calls);
    calls++;
    assert_true(n <= sizeof seen);
    memcpy(seen, content, n);
    seen_n = n;
    if (fail_with != 0)
        return fail_with;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, real), 1);
    assert_int_equal(EVP_DigestSign(ctx, sig, ret_n, content, n), 1);
    EVP_MD_CTX_free(ctx);
    return 0;
}

static X509 *self_signed(EVP_PKEY *key)
{
    X509 *c = X509_new();
    X509_NAME *name = X509_get_subject_name(c);
    assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                                (const unsigned char *)"test", -1, -1, 0),
                     1);
    assert_int_equal(X509_set_issuer_name(c, name), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(c), 1), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(c), -60));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(c), 3600));
    assert_int_equal(X509_set_pubkey(c, key), 1);
    assert_true(X509_sign(c, key, EVP_sha256()) > 0);
    return c;
}

static int any(int ok, X509_STORE_CTX *ctx)
{
    (void)ok, (void)ctx;
    return 1;
}

/* One handshake over a BIO pair; true if both sides finished. */
static bool handshake(EVP_PKEY *client_key, X509 *cert, int version)
{
    SSL_CTX *sc = SSL_CTX_new(TLS_server_method()), *cc = SSL_CTX_new(TLS_client_method());
    X509 *server = self_signed(real);
    BIO *a, *b;
    assert_int_equal(SSL_CTX_use_certificate(sc, server), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(sc, real), 1);
    SSL_CTX_set_verify(sc, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, any);
    SSL_CTX_set_verify(cc, SSL_VERIFY_PEER, any);
    assert_int_equal(SSL_CTX_use_certificate(cc, cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(cc, client_key), 1);
    assert_int_equal(SSL_CTX_check_private_key(cc), 1);
    assert_int_equal(SSL_CTX_set_min_proto_version(cc, version), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(cc, version), 1);
    SSL *s = SSL_new(sc), *c = SSL_new(cc);
    assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
    SSL_set_bio(s, a, a);
    SSL_set_bio(c, b, b);
    SSL_set_accept_state(s);
    SSL_set_connect_state(c);
    int cr = 0, sr = 0;
    for (int i = 0; i < 20 && (cr != 1 || sr != 1); i++) {
        cr = cr == 1 ? 1 : SSL_do_handshake(c);
        sr = sr == 1 ? 1 : SSL_do_handshake(s);
    }
    bool done = cr == 1 && sr == 1;
    SSL_free(s);
    SSL_free(c);
    SSL_CTX_free(sc);
    SSL_CTX_free(cc);
    X509_free(server);
    return done;
}

static void tls13(void **state)
{
    (void)state;
    static const char context[] = "TLS 1.3, client CertificateVerify";
    struct kw_err err;
    EVP_PKEY *key = NULL;
    X509 *cert = self_signed(real);
    assert_int_equal(kw_tls_key_new(real, &key, &err), 0);
    calls = 0;
    assert_true(handshake(key, cert, TLS1_3_VERSION));
    assert_int_equal(calls, 1);
    for (size_t i = 0; i < 64; i++)
        assert_int_equal(seen[i], ' ');
    assert_memory_equal(seen + 64, context, sizeof context); /* with its NUL */
    assert_true(seen_n == 64 + sizeof context + 32 || seen_n == 64 + sizeof context + 48);
    EVP_PKEY_free(key);
    X509_free(cert);
}

static void refusal_ends_the_handshake(void **state)
{
    (void)state;
    struct kw_err err;
    EVP_PKEY *key = NULL;
    X509 *cert = self_signed(real);
    assert_int_equal(kw_tls_key_new(real, &key, &err), 0);
    fail_with = -1;
    assert_false(handshake(key, cert, TLS1_3_VERSION));
    fail_with = 0;
    EVP_PKEY_free(key);
    X509_free(cert);
}

/* A certificate of another key doesn't go with it. */
static void other_certificate(void **state)
{
    (void)state;
    struct kw_err err;
    EVP_PKEY *key = NULL, *other = EVP_EC_gen("P-256");
    X509 *cert = self_signed(other);
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    assert_int_equal(kw_tls_key_new(real, &key, &err), 0);
    assert_int_equal(SSL_CTX_use_certificate(ctx, cert), 1);
    assert_int_not_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
    SSL_CTX_free(ctx);
    X509_free(cert);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
}

static void other_kinds(void **state)
{
    (void)state;
    struct kw_err err;
    EVP_PKEY *key = NULL, *p384 = EVP_EC_gen("P-384"), *rsa = EVP_RSA_gen(2048);
    assert_int_equal(kw_tls_key_new(p384, &key, &err), KW_USAGE);
    assert_int_equal(kw_tls_key_new(rsa, &key, &err), KW_USAGE);
    assert_null(key);
    EVP_PKEY_free(p384);
    EVP_PKEY_free(rsa);
    /* and what asks for no provider gets the default one's */
    EVP_PKEY *plain = EVP_EC_gen("P-256");
    assert_non_null(plain);
    assert_string_equal(OSSL_PROVIDER_get0_name(EVP_PKEY_get0_provider(plain)), "default");
    EVP_PKEY_free(plain);
}

static int set_up(void **state)
{
    (void)state;
    struct kw_err err;
    if (kw_tls_key_init(sign, &calls, &err) != 0)
        return -1;
    real = EVP_EC_gen("P-256");
    return real != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    EVP_PKEY_free(real);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tls13),
        cmocka_unit_test(refusal_ends_the_handshake),
        cmocka_unit_test(other_certificate),
        cmocka_unit_test(other_kinds),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
