/* SPDX-License-Identifier: Apache-2.0
 *
 * The extraction self-test: honest tokens, lying ones, vanishing ones.
 * On a real SoftHSM, through the spy.
 */
#include "tests/mock/p11_fixture.h"

#include <string.h>

static void nothing_comes_out_of_an_honest_token(void **state)
{
    struct kw_m_verdict v;
    struct kw_err err;
    struct kw_p11 *p = ready("");
    (void)state;
    assert_int_equal(kw_p11_try_extract(p, false, 0, &v, &err), 0);
    assert_int_equal(v.weaknesses, 0);
    assert_non_null(strstr(v.text, "nothing came out: 7 reads"));
    assert_non_null(strstr(v.text, "keys: AES RSA 3DES"));
    /* it did try */
    assert_true(count("C_WrapKey") >= 9);
    assert_int_equal(count("C_CopyObject"), 3);
    assert_int_equal(count("C_SetAttributeValue"), 2);
    done();
}

/* NSS, for stored keys: whoever destroys that copy has no key any more. */
static void a_copy_that_is_the_key_itself(void **state)
{
    struct kw_m_verdict v;
    struct kw_err err;
    struct kw_p11 *p = ready("itself");
    (void)state;
    if (kw_p11_try_extract(p, false, 0, &v, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(v.weaknesses, 0);
    done();
}

/* p11-kit, for parameters that were guessed: not the token's answer, and no loss. */
static void what_the_module_cannot_send_is_no_loss(void **state)
{
    struct kw_m_verdict v;
    struct kw_err err;
    struct kw_p11 *p = ready("packs");
    (void)state;
    if (kw_p11_try_extract(p, false, 0, &v, &err) != 0)
        fail_msg("%s", err.text);
    assert_non_null(strstr(v.text, "nothing came out"));
    done();
}

static void catches_tokens_that_lie(void **state)
{
    static const struct {
        const char *does, *says;
        unsigned weakness;
    } cases[] = {
        /* as NSS: never extractable by its own words, and wraps */
        {"force:0x162=1 show:0x162=0 show:0x164=1", "C_WrapKey by CKM_", KW_ACCEPT_EXTRACTABLE},
        {"force:0x162=1 show:0x162=0 show:0x164=1 force:0x103=0 show:0x103=1 show:0x165=1",
         "CKA_PRIVATE_EXPONENT of the key can be read", KW_ACCEPT_EXTRACTABLE},
        {"wrap", "C_WrapKey", KW_ACCEPT_EXTRACTABLE},
        {"C_WrapKey@5=0x150", "C_WrapKey", KW_ACCEPT_EXTRACTABLE},
        {"copy", "C_CopyObject makes an extractable copy", KW_ACCEPT_EXTRACTABLE},
        {"change", "C_SetAttributeValue marks the key extractable", KW_ACCEPT_MODIFIABLE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kw_p11_key k;
        struct kw_m_verdict v;
        struct kw_err err = {0};
        struct kw_p11 *p = ready(cases[i].does);
        made(p, 1024, false, &k); /* its attributes are spotless */
        assert_int_equal(kw_p11_destroy(p, &k, &err), 0);
        if (kw_p11_try_extract(p, false, ~cases[i].weakness, &v, &err) != KW_TOKEN)
            fail_msg("%s was not noticed: %s", cases[i].does, v.text);
        assert_int_equal(v.weaknesses, cases[i].weakness);
        if (strstr(err.text, cases[i].says) == NULL)
            fail_msg("%s: says %s", cases[i].does, err.text);
        done();
        p = ready(cases[i].does);
        assert_int_equal(kw_p11_try_extract(p, false, cases[i].weakness, &v, &err), 0);
        assert_int_equal(v.weaknesses, cases[i].weakness);
        done();
    }
}

/* A token that goes away refuses everything, which proves nothing. */
static void a_vanished_token_proves_nothing(void **state)
{
    static const char *const cases[] = {
        "C_WrapKey@3=0xb3",
        "C_WrapKey@1=0x32",
        "C_WrapKey@1=0x2",
        "C_CopyObject@1=0x101",
        "C_SetAttributeValue@1=0xb0",
        "C_SignInit@1=0x82", /* the twin's trial */
        "C_SignInit@2=0x82",
        "badsig",
        "C_Sign@2=badsig",
        "C_GetMechanismList@1=0x5",
        "C_GetAttributeValue@5=0x190",
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kw_m_verdict v;
        struct kw_err err = {0};
        struct kw_p11 *p = ready(cases[i]);
        if (kw_p11_try_extract(p, false, UINT32_MAX, &v, &err) != KW_TOKEN)
            fail_msg("%s passed: %s", cases[i], v.text);
        done();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(nothing_comes_out_of_an_honest_token, drop),
        cmocka_unit_test_teardown(a_copy_that_is_the_key_itself, drop),
        cmocka_unit_test_teardown(what_the_module_cannot_send_is_no_loss, drop),
        cmocka_unit_test_teardown(catches_tokens_that_lie, drop),
        cmocka_unit_test_teardown(a_vanished_token_proves_nothing, drop),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
