/* SPDX-License-Identifier: Apache-2.0
 *
 * Believing the session token: only one that is bound to our key, and not over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <time.h>

#include "src/base/b64.h"
#include "src/session/session_token.h"

struct key {
    unsigned char *spki;
    size_t n_spki;
    unsigned char n[512], e[8];
    size_t n_len, e_len;
};
static struct key mine, other;
static struct kw_err err;

static size_t number(const EVP_PKEY *k, const char *name, unsigned char *to, size_t size)
{
    BIGNUM *bn = NULL;
    assert_int_equal(EVP_PKEY_get_bn_param(k, name, &bn), 1);
    assert_true((size_t)BN_num_bytes(bn) <= size);
    size_t n = (size_t)BN_bn2bin(bn, to);
    BN_free(bn);
    return n;
}

static void make(struct key *k)
{
    EVP_PKEY *p = EVP_RSA_gen(2048);
    assert_non_null(p);
    int n = i2d_PUBKEY(p, &k->spki);
    assert_true(n > 0);
    k->n_spki = (size_t)n;
    k->n_len = number(p, OSSL_PKEY_PARAM_RSA_N, k->n, sizeof k->n);
    k->e_len = number(p, OSSL_PKEY_PARAM_RSA_E, k->e, sizeof k->e);
    EVP_PKEY_free(p);
}

static bool is(const struct key *k)
{
    return kw_spki_is(k->spki, k->n_spki, k->n, k->n_len, k->e, k->e_len);
}

static void test_same_key(void **state)
{
    (void)state;
    assert_true(is(&mine));
    struct key k = mine;
    k.spki = other.spki; /* sizes are equal */
    assert_false(is(&k));
    for (size_t bit = 0; bit < 8 * mine.n_len; bit += 97) { /* any bit of n matters */
        k = mine;
        k.n[bit / 8] ^= (unsigned char)(1u << bit % 8);
        assert_false(is(&k));
    }
    k = mine;
    k.e[0] ^= 2;
    assert_false(is(&k));
    k = mine;
    k.n_len--;
    assert_false(is(&k));
    k = mine;
    k.n_len = 0;
    assert_false(is(&k));
    k = mine; /* a leading zero is another writing of the number: refused */
    memmove(k.n + 1, k.n, k.n_len);
    k.n[0] = 0;
    k.n_len++;
    assert_false(is(&k));
}

static void test_spki_foreign(void **state)
{
    (void)state;
    struct key k = mine;
    for (size_t n = 0; n < mine.n_spki; n++) { /* every prefix, in its own block for ASan */
        k.spki = malloc(n + 1);
        memcpy(k.spki, mine.spki, n);
        k.n_spki = n;
        assert_false(is(&k));
        free(k.spki);
    }
    k.spki = malloc(mine.n_spki + 1); /* and one byte more */
    memcpy(k.spki, mine.spki, mine.n_spki);
    k.spki[mine.n_spki] = 0;
    k.n_spki = mine.n_spki + 1;
    assert_false(is(&k));
    free(k.spki);
    EVP_PKEY *ec = EVP_EC_gen("P-256"); /* not RSA */
    k = mine;
    k.spki = NULL;
    int n = i2d_PUBKEY(ec, &k.spki);
    assert_true(n > 0);
    k.n_spki = (size_t)n;
    assert_false(is(&k));
    OPENSSL_free(k.spki);
    EVP_PKEY_free(ec);
}

/* A token with these claims (JSON members) and jwk; judged. */
static int judge(struct kw_session *s, const struct key *jwk, const char *claims)
{
    struct kw_buf n, e, json, text;
    kw_buf_init(&n, 1024);
    kw_buf_init(&e, 64);
    kw_buf_init(&json, 8192);
    kw_buf_init(&text, 16384);
    kw_b64url_put(&n, jwk->n, jwk->n_len);
    kw_b64url_put(&e, jwk->e, jwk->e_len);
    kw_put_fmt(&json, "{%s\"jwk\":{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"}}", claims,
               kw_buf_str(&n), kw_buf_str(&e));
    assert_false(json.bad);
    static const char header[] = "{\"alg\":\"RS256\"}";
    kw_b64url_put(&text, header, sizeof header - 1);
    kw_put_str(&text, ".");
    kw_b64url_put(&text, json.p, json.len);
    kw_put_str(&text, ".c2ln");
    *s = (struct kw_session){.key.spki = {mine.spki, mine.n_spki},
                             .token = kw_secret_from(text.p, text.len)};
    int r = kw_session_judge(s, &err);
    kw_secret_free(&s->token);
    kw_buf_free(&n);
    kw_buf_free(&e);
    kw_buf_free(&json);
    kw_buf_free(&text);
    return r;
}

static void test_judge(void **state)
{
    (void)state;
    static struct kw_session s;
    char claims[512];
    long long now = (long long)time(NULL);
    (void)snprintf(
        claims, sizeof claims,
        "\"exp\":%lld,\"sub\":\"ocid1.user\\u001b[2J\",\"tenant\":\"t\",\"res_tenant\":\"r\","
        "\"source_authn_prin\":\"repo:o/r\",",
        now + 60);
    assert_int_equal(judge(&s, &mine, claims), 0);
    assert_true(s.not_after == now + 60);
    assert_string_equal(s.principal, "ocid1.user?[2J"); /* foreign text, made harmless */
    assert_string_equal(s.tenant, "t");
    assert_string_equal(s.original, "repo:o/r");

    assert_int_equal(judge(&s, &other, claims), KW_CLOUD);
    assert_non_null(strstr(err.text, "bound to another key"));
    assert_string_equal(s.principal, ""); /* nothing of it is believed */

    assert_int_equal(judge(&s, &mine, ""), KW_CLOUD);
    assert_non_null(strstr(err.text, "has no exp"));
    static const char *const bad[] = {
        "\"exp\":\"9999999999\",", "\"exp\":-1,", "\"exp\":null,",
        "\"exp\":1e300,",          "\"exp\":1,",  "\"exp\":9999999999,\"exp\":1,"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(judge(&s, &mine, bad[i]), KW_CLOUD);
    (void)snprintf(claims, sizeof claims, "\"exp\":%lld,", now - 100);
    assert_int_equal(judge(&s, &mine, claims), KW_CLOUD);
    assert_non_null(strstr(err.text, "expired 10")); /* 100 s, or a little more by now */
    struct key none = mine;
    none.n_len = none.e_len = 0;
    assert_int_equal(judge(&s, &none, "\"exp\":9999999999,"), KW_CLOUD);
}

static void test_no_token_at_all(void **state)
{
    (void)state;
    static struct kw_session s;
    static const char *const bad[] = {"", "x", "a.b", "a.b.c", "....", "<html>"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        s = (struct kw_session){.token = kw_secret_from(bad[i], strlen(bad[i]))};
        assert_int_equal(kw_session_judge(&s, &err), KW_CLOUD);
        assert_non_null(strstr(err.text, "session token"));
        kw_secret_free(&s.token);
    }
}

static int group(void **state)
{
    (void)state;
    make(&mine);
    make(&other);
    return kw_secret_init(true, &err);
}

static int end(void **state)
{
    (void)state;
    OPENSSL_free(mine.spki);
    OPENSSL_free(other.spki);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_key),
        cmocka_unit_test(test_spki_foreign),
        cmocka_unit_test(test_judge),
        cmocka_unit_test(test_no_token_at_all),
    };
    return cmocka_run_group_tests(tests, group, end);
}
