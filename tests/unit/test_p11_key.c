/* SPDX-License-Identifier: Apache-2.0
 *
 * A key's life: birth on the ladder, attributes as read back, storage, end.
 * On a real SoftHSM, through the spy.
 */
#include "tests/mock/p11_fixture.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

static void makes_a_strict_key(void **state)
{
    struct kw_p11_key k;
    struct kw_err err;
    struct kw_p11 *p = ready("");
    (void)state;
    made(p, 2048, false, &k);
    assert_int_equal(k.rung, 1);
    assert_int_equal(k.bits, 2048);
    assert_false(k.token_object);
    assert_int_equal(k.mech, CKM_SHA256_RSA_PKCS);
    assert_string_equal(k.attributes,
                        "TOKEN=0 PRIVATE=1 SENSITIVE=1 EXTRACTABLE=0 ALWAYS_SENSITIVE=1 "
                        "NEVER_EXTRACTABLE=1 LOCAL=1 MODIFIABLE=0 COPYABLE=0 SIGN=1 DECRYPT=0 "
                        "UNWRAP=0 SIGN_RECOVER=0 DERIVE=0");
    assert_int_equal(k.id_len, 16);
    const unsigned char *der = k.spki;
    EVP_PKEY *pkey = d2i_PUBKEY(NULL, &der, (long)k.spki_len);
    assert_non_null(pkey);
    assert_int_equal(EVP_PKEY_get_bits(pkey), 2048);
    assert_int_equal(der - k.spki, k.spki_len);
    EVP_PKEY_free(pkey);
    assert_int_equal(kw_p11_destroy(p, &k, &err), 0);
    assert_int_equal(kw_p11_generate(p, 77, false, 0, &k, &err), KW_TOKEN);
    assert_non_null(strstr(err.text, "77 bits"));
    done();
}

/* Modules that refuse attributes, as measured: rung 2, rung 3, and none. */
static void goes_down_the_ladder(void **state)
{
    struct kw_p11_key k;
    struct kw_err err;
    (void)state;
    struct kw_p11 *p = ready("C_GenerateKeyPair@1=0x12 C_GenerateKeyPair@2=0x12");
    made(p, 1024, false, &k);
    assert_int_equal(k.rung, 2);
    assert_int_equal(kw_p11_destroy(p, &k, &err), 0);
    done();

    p = ready("C_GenerateKeyPair@1=0xd1"); /* does not take a label */
    made(p, 1024, false, &k);
    assert_int_equal(k.rung, 1);
    assert_int_equal(kw_p11_destroy(p, &k, &err), 0);
    done();

    p = ready("C_GenerateKeyPair@*=0x13"); /* no session objects; never to token objects */
    assert_int_equal(kw_p11_generate(p, 1024, false, 0, &k, &err), KW_TOKEN);
    assert_non_null(strstr(err.text, "storage = token"));
    assert_int_equal(count("C_GenerateKeyPair"), 4);
    done();

    p = ready("C_GenerateKeyPair@1=0x30"); /* a broken device is not asked again */
    assert_int_equal(kw_p11_generate(p, 1024, false, 0, &k, &err), KW_TOKEN);
    assert_int_equal(count("C_GenerateKeyPair"), 1);
    done();

    p = ready("C_GenerateKeyPair@1=0x5");
    made(p, 1024, true, &k);
    assert_int_equal(k.rung, 4);
    assert_int_equal(kw_p11_destroy(p, &k, &err), 0);
    done();
}

static int one_more(const struct kw_p11_key *k, const char *label, void *arg)
{
    (void)k, (void)label;
    ++*(unsigned *)arg;
    return 0;
}

/* Takes the strict template and makes a key that can't sign, as openCryptoki 3.23: away with
 * it, and down one rung. */
static void a_key_that_cannot_sign_costs_a_rung(void **state)
{
    static const char *const unfit[] = {
        "C_Sign@1=0x70",     "C_Sign@1=0x71",     "C_Sign@1=0x68",
        "C_Sign@1=0x63",     "C_Sign@1=0x54",     "C_Sign@1=0x6",
        "C_SignInit@1=0x70", "C_SignInit@1=0x68", "C_SignInit@1=0x63"};
    struct kw_p11_key k;
    struct kw_err err;
    unsigned char sig[512];
    size_t n = 0;
    (void)state;
    for (size_t i = 0; i < sizeof unfit / sizeof unfit[0]; i++) {
        const bool stored = i % 2 == 1;
        unsigned there = 0;
        struct kw_p11 *p = ready(unfit[i]);
        made(p, 1024, stored, &k);
        assert_int_equal(k.rung, stored ? 4 : 2);
        assert_int_equal(count("C_GenerateKeyPair"), 2);
        assert_true(count("C_DestroyObject") >= 2); /* both halves of the first */
        assert_int_equal(kw_p11_sign(p, &k, "abc", 3, sig, &n, &err), 0);
        assert_int_equal(kw_p11_check(&k, "abc", 3, sig, n, &err), 0);
        assert_int_equal(kw_p11_each(p, one_more, &there, &err), 0);
        assert_int_equal(there, stored ? 1 : 0);
        assert_int_equal(kw_p11_destroy(p, &k, &err), 0);
        done();
    }
}

/* Where it is not the key's fault no other is made, and none is left; nor where one that does
 * not sign can't be got rid of. */
static void no_rung_is_given_up_for_less(void **state)
{
    static const char *const cases[] = {
        "C_Sign@1=0x30",     "C_Sign@1=0x5",      "C_Sign@1=0x2",      "C_Sign@1=0xe0",
        "C_Sign@*=0xb0",     "C_Sign@1=0x101",    "C_Sign@1=0x32",     "C_Sign@1=0xa0",
        "C_SignInit@*=0xb3", "C_SignInit@1=0x82", "C_SignInit@1=0x60", "C_Sign@1=badsig"};
    struct kw_p11_key k;
    struct kw_err err;
    (void)state;
    for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
        unsigned there = 0;
        struct kw_p11 *p = ready(cases[i / 2]);
        if (kw_p11_generate(p, 1024, i % 2 == 1, 0, &k, &err) != KW_TOKEN)
            fail_msg("%s was taken", cases[i / 2]);
        if (strstr(err.text, "sign") == NULL && strstr(err.text, "C_Sign") == NULL)
            fail_msg("%s: says %s", cases[i / 2], err.text);
        assert_int_equal(count("C_GenerateKeyPair"), 1);
        assert_true(count("C_DestroyObject") >= 2);
        assert_int_equal(kw_p11_each(p, one_more, &there, &err), 0);
        assert_int_equal(there, 0);
        done();
    }
    struct kw_p11 *p = ready("C_Sign@1=0x70 C_DestroyObject@1=0x6 C_DestroyObject@2=0x6");
    assert_int_equal(kw_p11_generate(p, 1024, true, 0, &k, &err), KW_TOKEN);
    assert_non_null(strstr(err.text, "C_DestroyObject"));
    assert_int_equal(count("C_GenerateKeyPair"), 1);
    done();
}

static void believes_no_attribute_unread(void **state)
{
    static const struct {
        const char *does, *says;
        unsigned accept;
    } cases[] = {
        {"show:0x2=0", "CKA_PRIVATE is 0", KW_ACCEPT_PUBLIC},
        {"show:0x103=0", "CKA_SENSITIVE is 0", KW_ACCEPT_EXTRACTABLE},
        {"force:0x162=1", "CKA_EXTRACTABLE is 1", KW_ACCEPT_EXTRACTABLE},
        {"show:0x165=0", "CKA_ALWAYS_SENSITIVE is 0", KW_ACCEPT_EXTRACTABLE},
        {"show:0x164=0", "CKA_NEVER_EXTRACTABLE is 0", KW_ACCEPT_EXTRACTABLE},
        {"show:0x163=0", "CKA_LOCAL is 0", KW_ACCEPT_NOT_LOCAL},
        {"force:0x170=1", "CKA_MODIFIABLE is 1", KW_ACCEPT_MODIFIABLE},
        {"force:0x105=1", "CKA_DECRYPT is 1", 0},
        {"force:0x107=1", "CKA_UNWRAP is 1", 0},
        {"force:0x109=1", "CKA_SIGN_RECOVER is 1", 0},
        {"force:0x10c=1", "CKA_DERIVE is 1", 0},
        {"show:0x108=0", "CKA_SIGN is 0", 0},
        {"show:0x1=1", "made a token object", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kw_p11_key k;
        struct kw_err err = {0};
        struct kw_p11 *p = ready(cases[i].does);
        if (kw_p11_generate(p, 1024, false, ~cases[i].accept, &k, &err) != KW_TOKEN)
            fail_msg("%s was taken", cases[i].does);
        if (strstr(err.text, cases[i].says) == NULL)
            fail_msg("%s: says %s", cases[i].does, err.text);
        assert_int_equal(k.home, 0); /* destroyed at once */
        assert_true(count("C_DestroyObject") >= 2);
        if (cases[i].accept != 0) {
            assert_int_equal(kw_p11_generate(p, 1024, false, cases[i].accept, &k, &err), 0);
            assert_int_equal(kw_p11_destroy(p, &k, &err), 0);
        }
        done();
    }
}

static void an_unreadable_attribute_is_a_deviation(void **state)
{
    struct kw_p11_key k;
    struct kw_err err = {0};
    (void)state;
    /* both moduli and the exponent, CLASS and KEY_TYPE, TOKEN, PRIVATE, SENSITIVE: the eighth */
    struct kw_p11 *p = ready("C_GetAttributeValue@8=0x12");
    assert_int_equal(kw_p11_generate(p, 1024, false, 0, &k, &err), KW_TOKEN);
    assert_non_null(strstr(err.text, "CKA_SENSITIVE can't be read"));
    done();
}

static void writes_nothing_to_the_token(void **state)
{
    unsigned char before[32], after[32];
    struct kw_p11_key k;
    struct kw_m_verdict v;
    struct kw_err err;
    unsigned char sig[512];
    size_t n = 0;
    (void)state;
    struct kw_p11 *p = ready(""); /* SoftHSM counts logins in token.object */
    hash_tokens(before);
    made(p, 2048, false, &k);
    assert_int_equal(kw_p11_try_extract(p, false, 0, &v, &err), 0);
    assert_int_equal(kw_p11_sign(p, &k, "abc", 3, sig, &n, &err), 0);
    hash_tokens(after);
    assert_memory_equal(before, after, 32);
    assert_int_equal(kw_p11_destroy(p, &k, &err), 0);
    done();
    hash_tokens(after);
    assert_memory_equal(before, after, 32);
    /* and the comparison would notice */
    p = ready("");
    hash_tokens(before);
    made(p, 1024, true, &k);
    hash_tokens(after);
    assert_memory_not_equal(before, after, 32);
    assert_int_equal(kw_p11_destroy(p, &k, &err), 0);
    done();
}

static void destroys_for_good(void **state)
{
    struct kw_p11_key k, again;
    struct kw_err err;
    unsigned char sig[512];
    size_t n = 0;
    struct kw_p11 *p = ready("");
    (void)state;
    made(p, 1024, false, &k);
    struct kw_p11_key copy = k;
    assert_int_equal(kw_p11_find(p, NULL, k.id, k.id_len, true, 0, &again, &err), 0);
    assert_int_equal(kw_p11_destroy(p, &k, &err), 0);
    assert_int_equal(kw_p11_find(p, NULL, copy.id, copy.id_len, true, 0, &again, &err), KW_TOKEN);
    assert_int_equal(kw_p11_sign(p, &copy, "abc", 3, sig, &n, &err), KW_TOKEN);
    assert_non_null(strstr(err.text, "start over"));
    assert_int_equal(kw_p11_destroy(p, &k, &err), 0); /* idempotent */
    made(p, 1024, true, &k);
    copy = k;
    assert_int_equal(kw_p11_destroy(p, &k, &err), 0);
    assert_int_equal(kw_p11_destroy(p, &copy, &err), 0); /* gone already */
    done();
    /* a session object dies with its session even if the token won't destroy it */
    p = ready("C_DestroyObject@1=0x30 C_DestroyObject@2=0x30");
    made(p, 1024, false, &k);
    assert_int_equal(kw_p11_destroy(p, &k, &err), 0);
    done();
}

static void tells_what_it_could_not_destroy(void **state)
{
    struct kw_p11_key k;
    struct kw_err err;
    struct kw_p11 *p = ready("C_DestroyObject@1=0x30");
    (void)state;
    made(p, 1024, true, &k);
    assert_int_equal(kw_p11_destroy(p, &k, &err), KW_TOKEN);
    assert_non_null(strstr(err.text, "CKR_DEVICE_ERROR"));
    assert_int_equal(kw_p11_destroy(p, &k, &err), 0);
    done();
    p = ready("undead"); /* says OK and keeps the key */
    made(p, 1024, true, &k);
    struct kw_p11_key copy = k;
    assert_int_equal(kw_p11_destroy(p, &k, &err), KW_TOKEN);
    assert_non_null(strstr(err.text, "still there"));
    done();
    p = ready("");
    assert_int_equal(kw_p11_find(p, NULL, copy.id, copy.id_len, true, 0, &k, &err), 0);
    assert_int_equal(kw_p11_destroy(p, &k, &err), 0);
    done();
}

struct seen {
    unsigned n;
    struct kw_p11_key last;
    char label[65];
};

static int see(const struct kw_p11_key *k, const char *label, void *arg)
{
    struct seen *s = arg;
    s->n++;
    s->last = *k;
    (void)snprintf(s->label, sizeof s->label, "%s", label);
    return 0;
}

static int stop(const struct kw_p11_key *k, const char *label, void *arg)
{
    (void)k;
    (void)label;
    (*(unsigned *)arg)++;
    return 77;
}

static void finds_stored_keys_again(void **state)
{
    struct kw_p11_key k, second, again;
    struct seen s = {0};
    struct kw_err err;
    unsigned char sig[512];
    unsigned stopped = 0;
    size_t n = 0;
    struct kw_p11 *p = ready("");
    (void)state;
    made(p, 2048, true, &k);
    assert_int_equal(k.rung, 3);
    assert_true(k.token_object);
    done(); /* another process, later */
    p = ready("");
    assert_int_equal(kw_p11_find(p, NULL, k.id, k.id_len, true, 0, &again, &err), 0);
    assert_int_equal(again.rung, 0);
    assert_true(again.token_object && again.pub != 0 && again.home == 0);
    assert_int_equal(again.spki_len, k.spki_len);
    assert_memory_equal(again.spki, k.spki, k.spki_len);
    assert_string_equal(again.attributes, k.attributes);
    assert_int_equal(kw_p11_sign(p, &again, "abc", 3, sig, &n, &err), 0);
    assert_int_equal(kw_p11_check(&k, "abc", 3, sig, n, &err), 0);
    assert_int_equal(kw_p11_each(p, see, &s, &err), 0);
    assert_int_equal(s.n, 1);
    assert_string_equal(s.label, "keyward session");
    assert_memory_equal(s.last.id, k.id, k.id_len);
    /* two of that label: not to be guessed */
    made(p, 1024, true, &second);
    assert_int_equal(kw_p11_find(p, "keyward session", NULL, 0, false, 0, &again, &err), KW_TOKEN);
    assert_non_null(strstr(err.text, "several"));
    assert_int_equal(kw_p11_each(p, stop, &stopped, &err), 77);
    assert_int_equal(stopped, 1);
    assert_int_equal(kw_p11_destroy(p, &second, &err), 0);
    assert_int_equal(kw_p11_find(p, "keyward session", k.id, k.id_len, true, 0, &again, &err), 0);
    assert_int_equal(kw_p11_destroy(p, &again, &err), 0);
    memset(&s, 0, sizeof s);
    assert_int_equal(kw_p11_each(p, see, &s, &err), 0);
    assert_int_equal(s.n, 0);
    assert_int_equal(kw_p11_find(p, "nobody", NULL, 0, false, 0, &again, &err), KW_TOKEN);
    assert_int_equal(kw_p11_find(p, "", NULL, 0, false, 0, &again, &err), KW_USAGE);
    done();
}

/* A stored key whose attributes are not right is not used. */
static void checks_stored_keys_again(void **state)
{
    struct kw_p11_key k, again;
    struct kw_err err;
    (void)state;
    struct kw_p11 *p = ready("force:0x162=1");
    assert_int_equal(kw_p11_generate(p, 1024, true, KW_ACCEPT_EXTRACTABLE, &k, &err), 0);
    assert_int_equal(kw_p11_find(p, NULL, k.id, k.id_len, true, 0, &again, &err), KW_TOKEN);
    assert_non_null(strstr(err.text, "CKA_EXTRACTABLE"));
    assert_int_equal(kw_p11_find(p, NULL, k.id, k.id_len, false, 0, &again, &err), 0);
    assert_int_equal(kw_p11_destroy(p, &k, &err), 0);
    done();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(makes_a_strict_key, drop),
        cmocka_unit_test_teardown(goes_down_the_ladder, drop),
        cmocka_unit_test_teardown(a_key_that_cannot_sign_costs_a_rung, drop),
        cmocka_unit_test_teardown(no_rung_is_given_up_for_less, drop),
        cmocka_unit_test_teardown(believes_no_attribute_unread, drop),
        cmocka_unit_test_teardown(an_unreadable_attribute_is_a_deviation, drop),
        cmocka_unit_test_teardown(writes_nothing_to_the_token, drop),
        cmocka_unit_test_teardown(destroys_for_good, drop),
        cmocka_unit_test_teardown(tells_what_it_could_not_destroy, drop),
        cmocka_unit_test_teardown(finds_stored_keys_again, drop),
        cmocka_unit_test_teardown(checks_stored_keys_again, drop),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
