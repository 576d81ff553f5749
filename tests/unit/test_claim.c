/* SPDX-License-Identifier: Apache-2.0
 *
 * Claim policy: each rule decides, names itself and the value, and can't be fooled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/rules.h"
#include "src/config/config.h"
#include "src/wire/jwt.h"

enum { NOW = 1700000000 };

static struct kw_config config;

static void rule(const char *claim, const char *values)
{
    struct kw_claim_rule *r = &config.rules[config.n_rules++];
    (void)snprintf(r->claim, sizeof r->claim, "%s", claim);
    (void)snprintf(r->values, sizeof r->values, "%s", values);
    r->line = 7;
}

static int reset(void **state)
{
    (void)state;
    memset(&config, 0, sizeof config);
    (void)snprintf(config.profile, sizeof config.profile, "prod");
    return 0;
}

static int judge_at(const char *claims, int64_t now, char *decided, size_t size, struct kw_err *err)
{
    struct kw_jwt j;
    assert_int_equal(kw_jwt_claims(claims, strlen(claims), "test", KW_FAILED, &j, NULL), 0);
    int r = kw_claims_judge(&config, &j, now, decided, size, err);
    kw_jwt_free(&j);
    return r;
}

/* members: the claims besides exp. */
static int judge(const char *members, struct kw_err *err)
{
    char claims[8192];
    (void)snprintf(claims, sizeof claims, "{\"exp\":%d%s%s}", NOW + 60, *members != '\0' ? "," : "",
                   members);
    return judge_at(claims, NOW, NULL, 0, err);
}

static void test_times(void **state)
{
    (void)state;
    static const struct {
        const char *claims;
        bool good;
    } cases[] = {
        {"{\"exp\":1700000001}", true},
        {"{\"exp\":1700000000}", false}, /* the last second is over */
        {"{\"exp\":1699999999}", false},
        {"{}", false},
        {"{\"exp\":\"1700000001\"}", false},
        {"{\"exp\":null}", false},
        {"{\"exp\":-1}", false},
        {"{\"exp\":1700000001,\"nbf\":1700000060}", true},
        {"{\"exp\":1700000100,\"nbf\":1700000061}", false},
        {"{\"exp\":1700000100,\"iat\":1700000060}", true},
        {"{\"exp\":1700000100,\"iat\":1700000061}", false},
        {"{\"exp\":1700000100,\"iat\":\"1\"}", false},
        {"{\"exp\":1700000100,\"nbf\":null}", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kw_err err = {0};
        if (judge_at(cases[i].claims, NOW, NULL, 0, &err) != (cases[i].good ? 0 : KW_POLICY))
            fail_msg("%s: %s", cases[i].claims, err.text);
    }
}

static void test_issuer_and_audience(void **state)
{
    (void)state;
    struct kw_err err = {0};
    (void)snprintf(config.issuer, sizeof config.issuer, "https://i.example");
    assert_int_equal(judge("\"iss\":\"https://i.example\"", &err), 0);
    assert_int_equal(judge("\"iss\":\"https://i.example/\"", &err), KW_POLICY);
    assert_non_null(strstr(err.text, "[policy prod] issuer = https://i.example"));
    assert_non_null(strstr(err.text, "https://i.example/"));
    assert_int_equal(judge("\"iss\":[\"https://i.example\"]", &err), KW_POLICY);
    assert_int_equal(judge("", &err), KW_POLICY);
    assert_non_null(strstr(err.text, "absent"));
    config.issuer[0] = '\0';
    (void)snprintf(config.audience, sizeof config.audience, "a");
    assert_int_equal(judge("\"aud\":\"a\"", &err), 0);
    assert_int_equal(judge("\"aud\":[\"b\",\"a\"]", &err), 0);
    assert_int_equal(judge("\"aud\":[\"b\",[\"a\"],{\"a\":1},5]", &err), KW_POLICY);
    assert_int_equal(judge("\"aud\":\"A\"", &err), KW_POLICY);
    assert_int_equal(judge("\"aud\":\"a b\"", &err), KW_POLICY);
    assert_int_equal(judge("\"aud\":[]", &err), KW_POLICY);
    assert_int_equal(judge("", &err), KW_POLICY);
}

static void test_rules(void **state)
{
    (void)state;
    static const struct {
        const char *claim, *values, *members;
        bool good;
    } cases[] = {
        {"ref", "refs/heads/main", "\"ref\":\"refs/heads/main\"", true},
        {"ref", "refs/heads/main", "\"ref\":\"refs/heads/Main\"", false},
        {"ref", "refs/heads/main", "\"ref\":\"refs/heads/main refs/heads/evil\"", false},
        {"ref", "a refs/heads/* b", "\"ref\":\"refs/heads/x/y\"", true},
        {"ref", "a refs/heads/* b", "\"ref\":\"b\"", true},
        {"ref", "a b", "\"ref\":\"a b\"", false}, /* patterns, not one string */
        {"ref", "*", "\"ref\":\"\"", true},
        {"ref", "*", "\"other\":\"\"", false}, /* must be there */
        {"ref", "*", "\"ref\":null", false},
        {"ref", "*", "\"ref\":{}", false},
        {"ref", "", "\"ref\":\"\"", false}, /* no pattern: nothing matches */
        {"id", "592302719", "\"id\":592302719", true},
        {"id", "592302719", "\"id\":\"592302719\"", true},
        {"id", "592302719", "\"id\":592302719.0", false},
        {"id", "592302719", "\"id\":5923027190", false},
        {"ok", "true", "\"ok\":true", true},
        {"ok", "true", "\"ok\":\"true\"", true},
        {"ok", "true", "\"ok\":false", false},
        {"groups", "admins", "\"groups\":[\"users\",\"admins\"]", true},
        {"groups", "admins", "\"groups\":[\"users\",[\"admins\"]]", false},
        {"groups", "admins", "\"groups\":[]", false},
        {"groups", "*", "\"groups\":[]", false},
        {"k8s/ns", "prod", "\"k8s\":{\"ns\":\"prod\"}", true},
        {"k8s/ns", "prod", "\"k8s\":{\"ns\":\"dev\"}", false},
        {"k8s/ns", "prod", "\"k8s\":[\"ns\"]", false},
        {"k8s/pod/name", "p", "\"k8s\":{\"pod\":{\"name\":\"p\"}}", true},
        {"oidc.x.com/id", "7", "\"oidc.x.com/id\":\"7\"", true},
        {"a//b", "1", "\"a\":{\"\":{\"b\":1}}", true},
        {"sub", "repo:o@?/r@*:ref:refs/heads/main", "\"sub\":\"repo:o@1/r@22:ref:refs/heads/main\"",
         true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kw_err err = {0};
        (void)reset(NULL);
        rule(cases[i].claim, cases[i].values);
        if (judge(cases[i].members, &err) != (cases[i].good ? 0 : KW_POLICY))
            fail_msg("claim.%s = %s on {%s}: %s", cases[i].claim, cases[i].values, cases[i].members,
                     err.text);
    }
}

static void test_refusal_names_rule_and_value(void **state)
{
    (void)state;
    struct kw_err err = {0};
    rule("repository_id", "1");
    rule("ref", "refs/heads/main refs/tags/*");
    assert_int_equal(judge("\"repository_id\":1,\"ref\":\"refs/pull/1/merge\"", &err), KW_POLICY);
    assert_non_null(strstr(err.text, "[policy prod] claim.ref = refs/heads/main refs/tags/*"));
    assert_non_null(strstr(err.text, "line 7"));
    assert_non_null(strstr(err.text, "\"refs/pull/1/merge\""));
    /* a hostile value neither overflows nor drives the terminal */
    char members[6000] = "\"repository_id\":1,\"ref\":\"\x1b[2J";
    (void)strcpy(members, "\"repository_id\":1,\"ref\":\"\\u001b[2J\\u009b");
    memset(members + strlen(members), 'x', 5000);
    (void)strcat(members, "\"");
    assert_int_equal(judge(members, &err), KW_POLICY);
    assert_true(strlen(err.text) < 600);
    assert_null(strchr(err.text, '\x1b'));
    assert_null(strstr(err.text, "\xc2\x9b"));
}

static void test_all_rules_count(void **state)
{
    (void)state;
    for (unsigned i = 0; i < KW_CLAIM_RULES; i++) {
        char claim[16];
        (void)snprintf(claim, sizeof claim, "c%u", i);
        rule(claim, "1");
    }
    char members[1024] = "", wrong[1024] = "";
    for (unsigned i = 0; i < KW_CLAIM_RULES; i++) {
        (void)snprintf(members + strlen(members), 32, "%s\"c%u\":1", i > 0 ? "," : "", i);
        (void)snprintf(wrong + strlen(wrong), 32, "%s\"c%u\":%d", i > 0 ? "," : "", i,
                       i == KW_CLAIM_RULES - 1 ? 2 : 1);
    }
    assert_int_equal(judge(members, NULL), 0);
    assert_int_equal(judge(wrong, NULL), KW_POLICY); /* only the last differs */
}

static void test_decided(void **state)
{
    (void)state;
    char decided[128];
    rule("ref", "*");
    assert_int_equal(
        judge_at("{\"exp\":1700000001,\"iss\":\"i\",\"sub\":\"s ref=x%\",\"ref\":\"m\"}", NOW,
                 decided, sizeof decided, NULL),
        0);
    assert_string_equal(decided, "iss=i sub=s%20ref%3Dx%25 ref=m");
    /* every size: whole pairs or cut with dots, always terminated */
    for (size_t size = 1; size < 64; size++) {
        char small[64];
        memset(small, '#', sizeof small);
        (void)judge_at(
            "{\"exp\":1700000001,\"iss\":\"iiiiiiiiii\",\"sub\":\"\\u0001\\u0002ssssss\"}", NOW,
            small, size, NULL);
        assert_non_null(memchr(small, '\0', size));
        for (size_t i = size; i < sizeof small; i++)
            assert_int_equal(small[i], '#');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_times, reset),
        cmocka_unit_test_setup(test_issuer_and_audience, reset),
        cmocka_unit_test_setup(test_rules, reset),
        cmocka_unit_test_setup(test_refusal_names_rule_and_value, reset),
        cmocka_unit_test_setup(test_all_rules_count, reset),
        cmocka_unit_test_setup(test_decided, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
