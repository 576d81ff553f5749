/* SPDX-License-Identifier: Apache-2.0
 *
 * Both forms of GitHub's subject, in Google's conditions and in the rules of an OCI trust; and
 * those rules. */
#include "google_token.h"

#define NEW_SUB "repo:octo@42/shop@77:ref:refs/heads/main"

static void test_github_forms(void **state)
{
    (void)state;
    usual();
    condition("assertion.sub == 'repo:octo/shop:ref:refs/heads/main'");
    json_t *o = explain(token("{}"));
    assert_string_equal(get(o, "verdict"), "accepted");
    assert_true(warned(o, "fits only the old form"));
    assert_true(warned(o, NEW_SUB));
    json_decref(o);
    o = explain(token("{\"sub\":\"" NEW_SUB "\"}"));
    assert_string_equal(get(o, "verdict"), "refused");
    assert_true(warned(o, "knows only the old form"));
    json_decref(o);
    condition("assertion.repository_id == '77'"); /* fits both */
    o = explain(token("{}"));
    assert_int_equal(json_array_size(json_object_get(o, "warnings")), 0);
    json_decref(o);
    /* the new form is longer than 127 bytes */
    o = explain(token("{\"sub\":\"repo:octo/shop:ref:refs/heads/%095d\"}", 0));
    assert_string_equal(get(o, "verdict"), "accepted");
    assert_true(warned(o, "longer than 127 bytes"));
    json_decref(o);
    (void)json_array_append_new(map.members,
                                json_string("principal://iam.googleapis.com/" POOL
                                            "/subject/repo:octo/shop:ref:refs/heads/main"));
    o = explain(token("{}"));
    assert_true(warned(o, "1 of the members match with this subject and 0 with GitHub's new form"));
    json_decref(o);
    o = explain(token("{\"sub\":\"" NEW_SUB "\"}"));
    assert_true(warned(o, "0 of the members match with this subject and 1 with GitHub's old form"));
    json_decref(o);
}

static void test_github_form(void **state)
{
    (void)state;
    static const struct {
        const char *more;
        enum kw_github_form form;
        const char *other;
    } cases[] = {
        {"{}", KW_GITHUB_NAMES, NEW_SUB},
        {"{\"sub\":\"" NEW_SUB "\"}", KW_GITHUB_IMMUTABLE, "repo:octo/shop:ref:refs/heads/main"},
        {"{\"sub\":\"repo:octo/shop:pull_request\"}", KW_GITHUB_NAMES,
         "repo:octo@42/shop@77:pull_request"},
        {"{\"sub\":\"repo:octo/shop:environment:a%3Ab\"}", KW_GITHUB_NAMES,
         "repo:octo@42/shop@77:environment:a%3Ab"},
        {"{\"repository_id\":null}", KW_GITHUB_NAMES, NULL},
        {"{\"iss\":\"" ISSUER "/acme\"}", KW_GITHUB_NAMES, NEW_SUB},
        {"{\"iss\":\"https://token.actions.acme.ghe.com\"}", KW_GITHUB_NAMES, NEW_SUB},
        {"{\"iss\":\"" ISSUER ".evil.test\"}", KW_GITHUB_NONE, NULL},
        {"{\"iss\":\"https://ghes.example/_services/token\"}", KW_GITHUB_NONE, NULL},
        {"{\"iss\":\"https://token.actions.ghe.com.evil.test\"}", KW_GITHUB_NONE, NULL},
        {"{\"sub\":\"octo/shop\"}", KW_GITHUB_NONE, NULL},
        {"{\"sub\":\"repo:octo\"}", KW_GITHUB_NONE, NULL},
        {"{\"sub\":\"repo:octo/shop\"}", KW_GITHUB_NONE, NULL},
        {"{\"sub\":\"repo:a:b/c:d\"}", KW_GITHUB_NONE, NULL},
        {"{\"sub\":5}", KW_GITHUB_NONE, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *claims = json_loads(cases[i].more, 0, NULL), *base = token("{}"), *other;
        (void)json_object_update(base, claims);
        assert_int_equal(kw_github_form(base, &other), cases[i].form);
        if (cases[i].other == NULL)
            assert_null(other);
        else
            assert_string_equal(get(other, "sub"), cases[i].other);
        json_decref(other);
        json_decref(claims);
        json_decref(base);
    }
}

static void test_oci_rules(void **state)
{
    (void)state;
    static const struct {
        const char *rule;
        enum kw_oci_match match;
    } cases[] = {
        {"sub eq repo:octo/shop:ref:refs/heads/main", KW_OCI_YES},
        {"sub eq repo:octo/shop:*", KW_OCI_YES},
        {"sub eq *:refs/heads/main", KW_OCI_YES},
        {"sub eq repo:*/shop:*main", KW_OCI_YES},
        {"sub eq *", KW_OCI_YES},
        {"sub eq repo:octo/shop:", KW_OCI_NO},
        {"sub eq repo:octo/shop:*dev", KW_OCI_NO},
        {"sub eq REPO:octo/shop:*", KW_OCI_UNSURE},
        {"sub eq 'repo:octo/shop:*'", KW_OCI_UNSURE},
        {"sub eq \"repo:octo/shop:*\"", KW_OCI_UNSURE},
        {"sub eq \"repo:octo/other:*\"", KW_OCI_NO},
        {"sub co octo/shop", KW_OCI_YES},
        {"sub co octo/*", KW_OCI_NO}, /* no wildcard there */
        {"sub co OCTO/shop", KW_OCI_UNSURE},
        {"\"sub\" co octo/shop", KW_OCI_YES},
        {"absent eq *", KW_OCI_NO},
        {"exp eq *", KW_OCI_NO}, /* no string */
        {"groups co dev", KW_OCI_NO},
        {"sub eq ?epo:octo/shop:*", KW_OCI_NO}, /* no wildcard of ours */
        {"ref  eq  refs/heads/main ", KW_OCI_YES},
    };
    json_t *claims = token("{\"groups\":[\"dev\"]}");
    char why[512];
    struct kw_oci_rule rule;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (kw_oci_rule_parse(cases[i].rule, &rule, &err) != 0)
            fail_msg("%s", err.text);
        enum kw_oci_match m = kw_oci_rule_match(&rule, claims, why, sizeof why);
        if (m != cases[i].match)
            fail_msg("%s: %d (%s)", cases[i].rule, (int)m, why);
    }
    static const char *const bad[] = {"",         "sub",          "sub eq",
                                      "sub eq ",  "sub sw repo:", "sub eq",
                                      "sub == x", "\"sub eq x",   "sub eq ''"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (kw_oci_rule_parse(bad[i], &rule, &err) != KW_USAGE)
            fail_msg("%s was taken", bad[i]);
    json_decref(claims);
}

static void first(json_t *claims, const char *a, const char *b, const char *verdict_wanted,
                  json_int_t matched, const char *warning)
{
    json_t *rules = json_pack("[s,s]", a, b);
    json_t *o = kw_oci_rules_explain(rules, claims, &err);
    assert_non_null(o);
    assert_string_equal(get(o, "verdict"), verdict_wanted);
    assert_int_equal(json_integer_value(json_object_get(o, "matched")), matched);
    if (warning == NULL)
        assert_int_equal(json_array_size(json_object_get(o, "warnings")), 0);
    else
        assert_true(warned(o, warning));
    json_decref(o);
    json_decref(rules);
    json_decref(claims);
}

static void test_first_rule_wins(void **state)
{
    (void)state;
    first(token("{}"), "ref eq x", "ref eq refs/*", "accepted", 2, NULL);
    first(token("{}"), "ref eq refs/*", "ref eq *", "accepted", 1, NULL);
    first(token("{}"), "ref eq x", "ref eq y", "refused", 0, NULL);
    first(token("{}"), "ref eq REFS/*", "ref eq refs/*", "unknown", 0, NULL);
    first(token("{}"), "ref eq refs/*", "ref eq REFS/*", "accepted", 1, NULL);
    first(token("{}"), "ref eq x", "sub eq repo:octo/shop:*", "accepted", 2, "only the old form");
    first(token("{\"sub\":\"" NEW_SUB "\"}"), "ref eq x", "sub eq repo:octo/shop:*", "refused", 0,
          "know only the old form");
    first(token("{}"), "sub eq repo:octo@42/shop@77:*", "sub eq repo:octo/shop:*", "accepted", 2,
          NULL);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_github_forms),
        TEST(test_github_form),
        TEST(test_oci_rules),
        TEST(test_first_rule_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
