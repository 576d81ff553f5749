/* SPDX-License-Identifier: Apache-2.0
 *
 * Roots that are parsed when a chain asks for them: the same chains are good and bad as with
 * all of them loaded. */
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/exchanger/roots.h"

struct ca {
    EVP_PKEY *key;
    X509 *cert;
};

static char path[256];
/* One and two share a subject but no key; nobody has `stranger` in a bundle. */
static struct ca one, two, other, stranger;

static void extension(X509 *c, X509 *by, int nid, const char *value)
{
    X509V3_CTX v3;
    X509V3_set_ctx(&v3, by, c, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &v3, nid, value);
    assert_int_equal(X509_add_ext(c, e, -1), 1);
    X509_EXTENSION_free(e);
}

/* Key identifiers tell roots of one subject apart. */
static X509 *issue(const char *name, EVP_PKEY *key, const struct ca *by, EVP_PKEY *signer)
{
    static long serial = 1;
    X509 *c = X509_new();
    (void)X509_set_version(c, 2);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(c), serial++);
    (void)X509_gmtime_adj(X509_getm_notBefore(c), -3600);
    (void)X509_gmtime_adj(X509_getm_notAfter(c), 3600);
    (void)X509_set_pubkey(c, key);
    X509_NAME *n = X509_get_subject_name(c);
    (void)X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    (void)X509_set_issuer_name(c, X509_get_subject_name(by != NULL ? by->cert : c));
    extension(c, c, NID_basic_constraints, by != NULL ? "CA:FALSE" : "CA:TRUE");
    extension(c, c, NID_subject_key_identifier, "hash");
    if (by != NULL)
        extension(c, by->cert, NID_authority_key_identifier, "keyid:always");
    assert_true(X509_sign(c, signer, EVP_sha256()) > 0);
    return c;
}

static struct ca make_ca(const char *name)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    return (struct ca){key, issue(name, key, NULL, key)};
}

static void free_ca(struct ca *ca)
{
    X509_free(ca->cert);
    EVP_PKEY_free(ca->key);
}

static int set_up(void **state)
{
    const char *tmp = getenv("TMPDIR");
    (void)state;
    (void)snprintf(path, sizeof path, "%.200s/kw-roots-XXXXXX", tmp != NULL ? tmp : "/tmp");
    int fd = mkstemp(path);
    one = make_ca("twin");
    two = make_ca("twin");
    other = make_ca("other");
    stranger = make_ca("stranger");
    return fd >= 0 && close(fd) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    free_ca(&one);
    free_ca(&two);
    free_ca(&other);
    free_ca(&stranger);
    return unlink(path);
}

/* Between text, a key and what is no certificate. */
static void write_bundle(const struct ca *const *cas, size_t n)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    (void)fprintf(f, "# a bundle\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    for (size_t i = 0; i < n; i++) {
        (void)fprintf(f, "\nroot %zu\n", i);
        assert_int_equal(PEM_write_X509(f, cas[i]->cert), 1);
        assert_int_equal(PEM_write_PUBKEY(f, cas[i]->key), 1);
    }
    assert_int_equal(fclose(f), 0);
}

static bool trusts(X509_STORE *store, const struct ca *ca)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *leaf = issue("leaf", key, ca, ca->key);
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    assert_int_equal(X509_STORE_CTX_init(ctx, store, leaf, NULL), 1);
    bool good = X509_verify_cert(ctx) == 1;
    X509_STORE_CTX_free(ctx);
    X509_free(leaf);
    EVP_PKEY_free(key);
    return good;
}

static void chains(void **state)
{
    const struct ca *const all[] = {&one, &other, &two};
    X509_STORE *store = X509_STORE_new();
    (void)state;
    write_bundle(all, 3);
    assert_int_equal(kw_roots_add(store, path), 3);
    assert_int_equal(sk_X509_OBJECT_num(X509_STORE_get0_objects(store)), 0); /* none parsed yet */
    for (int again = 0; again < 2; again++) {
        assert_false(trusts(store, &stranger));
        assert_true(trusts(store, &two));
        assert_true(trusts(store, &one));
    }
    assert_int_equal(sk_X509_OBJECT_num(X509_STORE_get0_objects(store)), 2);
    assert_true(trusts(store, &other));
    X509_STORE_free(store);
}

/* What the user added must not hide a root of the system's with the same subject. */
static void besides_others(void **state)
{
    const struct ca *const all[] = {&one, &other};
    X509_STORE *store = X509_STORE_new();
    (void)state;
    write_bundle(all, 2);
    assert_int_equal(X509_STORE_add_cert(store, stranger.cert), 1);
    assert_int_equal(X509_STORE_add_cert(store, two.cert), 1);
    assert_int_equal(kw_roots_add(store, path), 2);
    assert_true(trusts(store, &one));
    assert_true(trusts(store, &two));
    assert_true(trusts(store, &stranger));
    assert_true(trusts(store, &other));
    X509_STORE_free(store);
}

/* A root with another key than the one that the subject's real owner has. */
static void forged(void **state)
{
    const struct ca *const all[] = {&one};
    struct ca forger = make_ca("twin");
    X509_STORE *store = X509_STORE_new();
    (void)state;
    write_bundle(all, 1);
    assert_int_equal(kw_roots_add(store, path), 1);
    assert_false(trusts(store, &forger));
    assert_true(trusts(store, &one));
    X509_STORE_free(store);
    free_ca(&forger);
}

static void nothing(void **state)
{
    X509_STORE *store = X509_STORE_new();
    (void)state;
    assert_int_equal(kw_roots_add(store, "/nowhere/ca.pem"), 0);
    write_bundle(NULL, 0);
    assert_int_equal(kw_roots_add(store, path), 0);
    assert_false(trusts(store, &one));
    X509_STORE_free(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chains),
        cmocka_unit_test(besides_others),
        cmocka_unit_test(forged),
        cmocka_unit_test(nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
