/* SPDX-License-Identifier: Apache-2.0
 *
 * What Google's provider would make of a token: mapping with its limits,
 * condition with the term that decides, the checks on the token, principals and members. */
#include "google_token.h"

static void test_accepted(void **state)
{
    (void)state;
    usual();
    json_t *o = explain(token("{}"));
    assert_string_equal(get(o, "verdict"), "accepted");
    assert_string_equal(get(o, "text"), "");
    assert_string_equal(get(o, "principal"), "principal://iam.googleapis.com/" POOL
                                             "/subject/repo:octo/shop:ref:refs/heads/main");
    const json_t *sets = json_object_get(o, "principal_sets");
    assert_int_equal(json_array_size(sets), 2);
    assert_string_equal(json_string_value(json_array_get(sets, 0)),
                        "principalSet://iam.googleapis.com/" POOL "/attribute.repository_id/77");
    assert_string_equal(json_string_value(json_array_get(sets, 1)),
                        "principalSet://iam.googleapis.com/" POOL "/*");
    json_t *row = item(json_object_get(o, "mapping"), "key", "google.subject");
    assert_int_equal(json_integer_value(json_object_get(row, "bytes")), 34);
    assert_int_equal(json_array_size(json_object_get(json_object_get(o, "condition"), "terms")), 2);
    assert_int_equal(json_array_size(json_object_get(o, "warnings")), 0);
    json_decref(o);
}

static void test_the_failing_term_is_shown(void **state)
{
    (void)state;
    usual();
    condition("assertion.repository_owner_id == '42' && assertion.ref == 'refs/heads/main'");
    json_t *o = explain(token("{\"ref\":\"refs/heads/dev\"}"));
    assert_string_equal(get(o, "verdict"), "refused");
    assert_non_null(strstr(get(o, "text"), "assertion.ref == 'refs/heads/main' is false: "
                                           "assertion.ref is \"refs/heads/dev\""));
    const json_t *terms = json_object_get(json_object_get(o, "condition"), "terms");
    json_t *bad = item(terms, "verdict", "refuse");
    assert_string_equal(get(bad, "expression"), "assertion.ref == 'refs/heads/main'");
    json_t *value = json_array_get(json_object_get(bad, "values"), 0);
    assert_string_equal(get(value, "path"), "assertion.ref");
    assert_string_equal(get(value, "value"), "refs/heads/dev");
    json_decref(o);
    condition("assertion.ref == 'refs/heads/main' && assertion.environment == 'prod'");
    verdict(token("{}"), "refused", "assertion.environment is absent (position 49)");
    condition("assertion.ref");
    verdict(token("{}"), "refused", "no bool");
    condition("assertion.ref == 'refs/heads/main' && foo(1)");
    verdict(token("{}"), "unknown", "foo()");
    verdict(token("{\"ref\":\"x\"}"), "refused", "is false");
    condition("assertion.protected == true");
    verdict(token("{\"protected\":\"true\"}"), "refused", "a string is compared with a bool");
    condition("google.subject.startsWith('repo:octo/') && attribute.repository_id == '77'");
    verdict(token("{}"), "accepted", "");
}

static void test_limits(void **state)
{
    (void)state;
    char big[9000];
    usual();
    condition("true");
    memset(big, 'x', sizeof big);
    verdict(token("{\"sub\":\"%.127s\"}", big), "accepted", "");
    verdict(token("{\"sub\":\"%.128s\"}", big), "refused", "longer than 127 bytes");
    verdict(token("{\"sub\":\"\u00e9%.125s\"}", big), "accepted", "");
    verdict(token("{\"sub\":\"\u00e9%.126s\"}", big), "refused", "128 bytes");
    add("attribute.big=assertion.big");
    /* with google.subject (34) and attribute.repository_id (2) */
    verdict(token("{\"big\":\"%.8156s\"}", big), "accepted", "");
    verdict(token("{\"big\":\"%.8157s\"}", big), "refused", "8193 bytes");
}

static void test_types(void **state)
{
    (void)state;
    usual();
    add("google.groups=assertion.groups");
    verdict(token("{\"groups\":[\"a\",\"b\"]}"), "accepted", "");
    verdict(token("{\"groups\":[]}"), "accepted", "");
    verdict(token("{\"groups\":\"a\"}"), "refused", "google.groups must be a list of strings");
    verdict(token("{\"groups\":[\"a\",1]}"), "refused", "list of strings only");
    verdict(token("{}"), "refused",
            "the mapping of google.groups fails: assertion.groups is absent");
    verdict(token("{\"groups\":[],\"repository_id\":77}"), "refused",
            "attribute.repository_id must be a string");
    json_t *o = explain(token("{\"groups\":[\"a\",\"b/c\"]}"));
    assert_string_equal(json_string_value(json_array_get(json_object_get(o, "principal_sets"), 1)),
                        "principalSet://iam.googleapis.com/" POOL "/group/b/c");
    json_decref(o);
}

/* What an attribute is isn't known: the condition isn't judged by its absence. */
static void test_unknown_attribute(void **state)
{
    (void)state;
    usual();
    add("attribute.low=assertion.ref.lowerAscii()");
    condition("attribute.low == 'refs/heads/main'");
    verdict(token("{}"), "unknown", "lowerAscii");
    condition("attribute.repository_id == '77' || attribute.low == 'x'");
    json_t *o = explain(token("{}"));
    assert_string_equal(get(json_object_get(o, "condition"), "verdict"), "pass");
    assert_string_equal(get(o, "verdict"), "unknown");
    json_decref(o);
    condition("attribute.repository_id == '78' && attribute.low == 'x'");
    verdict(token("{}"), "refused", "attribute.repository_id == '78' is false");
}

static void refused_provider(const char *mapping, const char *text)
{
    int r = kw_google_map_add(&map, mapping, &err);
    if (r == 0)
        r = kw_google_map_check(&map, &err);
    if (r != KW_USAGE || strstr(err.text, text) == NULL)
        fail_msg("%.60s: %d %s, wanted %s", mapping, r, err.text, text);
    kw_google_map_free(&map);
    assert_int_equal(kw_google_map_init(&map, &err), 0);
    add("google.subject=assertion.sub");
}

static void test_providers_that_google_refuses(void **state)
{
    (void)state;
    char text[8192];
    assert_int_equal(kw_google_map_check(&map, &err), KW_USAGE);
    assert_non_null(strstr(err.text, "google.subject is not mapped"));
    add("google.subject=assertion.sub");
    refused_provider("google.subject=assertion.x", "mapped twice");
    refused_provider("google.name=assertion.x", "can't be mapped");
    refused_provider("subject=assertion.x", "can't be mapped");
    refused_provider("attribute.=assertion.x", "can't be mapped");
    refused_provider("attribute.A=assertion.x", "a-z, 0-9 and _");
    refused_provider("attribute.a-b=assertion.x", "a-z, 0-9 and _");
    refused_provider("attribute.a", "KEY=EXPRESSION");
    refused_provider("attribute.a=", "KEY=EXPRESSION");
    refused_provider("attribute.a=assertion.x +", "the mapping of attribute.a does not parse at "
                                                  "position 14");
    refused_provider("attribute.a=google.subject.x)", "position 17");
    refused_provider("attribute.a=attribute.b", "no variable of this name");
    (void)snprintf(text, sizeof text, "attribute.%0100d='x'", 0);
    add(text);
    assert_int_equal(kw_google_map_check(&map, &err), 0);
    (void)snprintf(text, sizeof text, "attribute.%0101d='x'", 0);
    refused_provider(text, "1 to 100");
    (void)snprintf(text, sizeof text, "attribute.a='%02046d'", 0);
    add(text);
    assert_int_equal(kw_google_map_check(&map, &err), 0);
    (void)snprintf(text, sizeof text, "attribute.b='%02047d'", 0);
    refused_provider(text, "2049 characters; Google takes 2048");
    (void)snprintf(text, sizeof text, "'%04092d'==''", 0);
    condition(text);
    assert_int_equal(kw_google_map_check(&map, &err), KW_USAGE);
    assert_non_null(strstr(err.text, "4098 characters; Google takes 4096"));
    condition("true &&");
    assert_int_equal(kw_google_map_check(&map, &err), KW_USAGE);
    assert_non_null(strstr(err.text, "the attribute condition does not parse at position 8"));
    condition("true");
    for (unsigned i = 0; i < 50; i++) {
        (void)snprintf(text, sizeof text, "attribute.a%u='x'", i);
        add(text);
    }
    assert_int_equal(kw_google_map_check(&map, &err), 0);
    refused_provider("attribute.one_more='x'", "51 custom attributes");
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
    } cases[] = {
        {PROVIDER, NULL},
        {"//iam.googleapis.com/" PROVIDER, NULL},
        {"https://iam.googleapis.com/" PROVIDER, NULL},
        {POOL, "names the pool"},
        {"projects/my-project/locations/global/workloadIdentityPools/ci-pool/providers/github",
         "has the project's ID where its number"},
        {PROVIDER "/", "goes on"},
        {"", "not the full resource name"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int r = kw_google_map_name(&map, cases[i].name, &err);
        if (cases[i].text == NULL) {
            assert_int_equal(r, 0);
            assert_string_equal(map.name, PROVIDER);
        } else if (r != KW_USAGE || strstr(err.text, cases[i].text) == NULL) {
            fail_msg("%s: %s", cases[i].name, err.text);
        }
    }
}

static void check(json_t *claims, const char *name, const char *wanted, const char *text)
{
    json_t *o = explain(claims);
    json_t *row = item(json_object_get(o, "checks"), "name", name);
    if (strcmp(get(row, "verdict"), wanted) != 0 || strstr(get(row, "text"), text) == NULL)
        fail_msg("%s: %s (%s), wanted %s (%s)", name, get(row, "verdict"), get(row, "text"), wanted,
                 text);
    const char *all = strcmp(wanted, "refuse") == 0    ? "refused"
                      : strcmp(wanted, "unknown") == 0 ? "unknown"
                                                       : "accepted";
    assert_string_equal(get(o, "verdict"), all);
    if (strcmp(all, "accepted") != 0) /* it is the reason that is told */
        assert_string_equal(get(o, "text"), get(row, "text"));
    json_decref(o);
}

static void test_checks(void **state)
{
    (void)state;
    usual();
    check(token("{}"), "issuer", "pass", ISSUER);
    check(token("{\"iss\":\"" ISSUER "/\"}"), "issuer", "refuse", "slash at the end");
    check(token("{\"iss\":\"https://x.test\"}"), "issuer", "refuse", "https://x.test");
    check(token("{\"iss\":null}"), "issuer", "refuse", "no iss");
    /* the default audiences, both forms */
    check(token("{\"aud\":\"//iam.googleapis.com/" PROVIDER "\"}"), "audience", "pass", "");
    check(token("{\"aud\":[\"https://iam.googleapis.com/" PROVIDER "\"]}"), "audience", "pass", "");
    check(token("{\"aud\":\"http://iam.googleapis.com/" PROVIDER "\"}"), "audience", "refuse",
          "it must be https://iam.googleapis.com/" PROVIDER);
    check(token("{\"aud\":\"//iam.googleapis.com/" POOL "\"}"), "audience", "refuse", "");
    check(token("{\"aud\":[\"x\",\"https://iam.googleapis.com/" PROVIDER "\"]}"), "audience",
          "unknown", "several");
    check(token("{\"aud\":[\"x\",\"y\"]}"), "audience", "refuse", "");
    check(token("{\"aud\":[]}"), "audience", "refuse", "");
    check(token("{\"aud\":5}"), "audience", "refuse", "");
    check(token("{\"sub\":5}"), "subject", "refuse", "no sub");
    check(token("{}"), "lifetime", "pass", "300 s");
    check(token("{\"exp\":%d}", NOW - 10 + 172799), "lifetime", "pass", "");
    check(token("{\"exp\":%d}", NOW - 10 + 172800), "lifetime", "refuse", "48 h");
    check(token("{\"iat\":\"x\"}"), "lifetime", "refuse", "no usable iat");
    check(token("{\"exp\":null}"), "lifetime", "refuse", "no usable exp");
    check(token("{\"iat\":%d}", NOW + 61), "issued", "refuse", "future");
    check(token("{\"iat\":%d}", NOW + 60), "issued", "pass", "");
    check(token("{\"exp\":%d}", NOW), "expiry", "refuse", "stale to sign-in");
    map.disabled = true;
    check(token("{}"), "provider", "refuse", "disabled");
    map.disabled = false;
    /* once there are allowed audiences, only they count */
    (void)json_array_append_new(map.audiences, json_string("mine"));
    check(token("{}"), "audience", "refuse", "none of the provider's 1 allowed audiences");
    check(token("{\"aud\":\"mine\"}"), "audience", "pass", "mine");
    map.issuer[0] = '\0';
    check(token("{\"aud\":\"mine\"}"), "issuer", "skip", "");
    map.name[0] = '\0';
    (void)json_array_clear(map.audiences);
    check(token("{\"aud\":\"x\"}"), "audience", "skip", "");
}

static void test_header(void **state)
{
    (void)state;
    static const struct {
        const char *header, *name, *verdict;
    } cases[] = {{"{}", "kid", "skip"},
                 {"{}", "alg", "skip"},
                 {"{\"alg\":\"RS256\",\"kid\":\"a\"}", "alg", "pass"},
                 {"{\"alg\":\"ES256\",\"kid\":\"a\"}", "alg", "pass"},
                 {"{\"alg\":\"ES256\",\"kid\":\"a\"}", "kid", "pass"},
                 {"{\"alg\":\"HS256\",\"kid\":\"a\"}", "alg", "refuse"},
                 {"{\"alg\":\"RS512\",\"kid\":\"a\"}", "alg", "refuse"},
                 {"{\"kid\":\"a\"}", "alg", "refuse"},
                 {"{\"alg\":\"RS256\"}", "kid", "refuse"},
                 {"{\"alg\":\"RS256\",\"kid\":\"\"}", "kid", "refuse"}};
    usual();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *header = json_loads(cases[i].header, 0, NULL), *claims = token("{}");
        json_t *o = kw_google_map_explain(&map, header, claims, NOW);
        assert_string_equal(
            get(item(json_object_get(o, "checks"), "name", cases[i].name), "verdict"),
            cases[i].verdict);
        json_decref(o);
        json_decref(header);
        json_decref(claims);
    }
}

static void test_members(void **state)
{
    (void)state;
    static const struct {
        const char *member;
        int matches; /* -1: can't be told */
        const char *text;
    } cases[] = {
        {"principal://iam.googleapis.com/" POOL "/subject/repo:octo/shop:ref:refs/heads/main", 1,
         ""},
        {"principal://iam.googleapis.com/" POOL "/subject/repo:octo/shop:ref:refs/heads/dev", 0,
         "google.subject is \"repo:octo/shop:ref:refs/heads/main\""},
        {"principalSet://iam.googleapis.com/" POOL "/subject/repo:octo/shop:ref:refs/heads/main", 0,
         "principal:// goes with /subject/"},
        {"principal://iam.googleapis.com/" POOL "/attribute.repository_id/77", 0,
         "principal:// goes with /subject/"},
        {"principalSet://iam.googleapis.com/" POOL "/attribute.repository_id/77", 1, ""},
        {"principalSet://iam.googleapis.com/" POOL "/attribute.repository_id/7", 0, "is \"77\""},
        {"principalSet://iam.googleapis.com/" POOL "/attribute.repository_id/777", 0, "is \"77\""},
        {"principalSet://iam.googleapis.com/" POOL "/attribute.ref/refs/heads/main", 0,
         "attribute.ref isn't mapped"},
        {"principalSet://iam.googleapis.com/" POOL "/attribute.low/x", -1, "can't be judged"},
        {"principalSet://iam.googleapis.com/" POOL "/group/a", 1, ""},
        {"principalSet://iam.googleapis.com/" POOL "/group/c", 0, "google.groups is [\"a\",\"b\"]"},
        {"principalSet://iam.googleapis.com/" POOL "/*", 1, ""},
        {"principalSet://iam.googleapis.com/" POOL "/what/x", 0, "kind 'what'"},
        {"principalSet://iam.googleapis.com/" POOL "x/*", 0, "another project or pool"},
        {"principalSet://iam.googleapis.com/projects/9/locations/global/workloadIdentityPools/"
         "ci-pool/*",
         0, "another project or pool"},
        {"deleted:principalSet://iam.googleapis.com/" POOL "/*?uid=1", 0, "deleted"},
        {"serviceAccount:a@b.iam.gserviceaccount.com", 0, "no principal of a workload"},
        {"allUsers", 1, "anybody"},
        {"allAuthenticatedUsers", -1, "isn't settled"},
        {"", 0, "no principal of a workload"},
    };
    usual();
    add("google.groups=['a', 'b']");
    add("attribute.low=assertion.ref.lowerAscii()");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        (void)json_array_append_new(map.members, json_string(cases[i].member));
    json_t *o = explain(token("{}"));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *row = json_array_get(json_object_get(o, "members"), i);
        const json_t *m = json_object_get(row, "matches");
        int got = json_is_null(m) ? -1 : json_is_true(m);
        if (got != cases[i].matches || strstr(get(row, "text"), cases[i].text) == NULL)
            fail_msg("%s: %d (%s)", cases[i].member, got, get(row, "text"));
    }
    json_decref(o);
}

static void test_reading_json(void **state)
{
    (void)state;
    static const char good[] =
        "{\"name\":\"" PROVIDER "\",\"state\":\"ACTIVE\",\"displayName\":\"x\","
        "\"attributeCondition\":\"assertion.repository_owner_id == '42'\","
        "\"attributeMapping\":{\"google.subject\":\"assertion.sub\","
        "\"attribute.ref\":\"assertion.ref\"},"
        "\"oidc\":{\"issuerUri\":\"" ISSUER "\",\"allowedAudiences\":[\"a\",\"b\"]}}";
    static const struct {
        const char *json, *text;
    } bad[] = {
        {"[]", "no JSON object"},
        {"", "no JSON object"},
        {"<html>", "no JSON object"},
        {"{}", "no name"},
        {"{\"name\":5}", "no name"},
        {"{\"name\":\"" POOL "\"}", "names the pool"},
        {"{\"name\":\"" PROVIDER "\"}", "no oidc.issuerUri"},
        {"{\"name\":\"" PROVIDER "\",\"aws\":{}}", "no oidc.issuerUri"},
        {"{\"name\":\"" PROVIDER "\",\"oidc\":{\"issuerUri\":\"i\",\"allowedAudiences\":[1]}}",
         "must be strings"},
        {"{\"name\":\"" PROVIDER "\",\"oidc\":{\"issuerUri\":\"i\"},"
         "\"attributeMapping\":{\"x\":\"y\"}}",
         "can't be mapped"},
        {"{\"name\":\"" PROVIDER "\",\"oidc\":{\"issuerUri\":\"i\"},"
         "\"attributeMapping\":{\"google.subject\":5}}",
         "no UTF-8 text"},
    };
    assert_int_equal(kw_google_map_read(&map, good, sizeof good - 1, "file", &err), 0);
    assert_string_equal(map.name, PROVIDER);
    assert_string_equal(map.issuer, ISSUER);
    assert_int_equal(json_object_size(map.mapping), 2);
    assert_int_equal(json_array_size(map.audiences), 2);
    assert_string_equal(json_string_value(map.condition), "assertion.repository_owner_id == '42'");
    assert_false(map.disabled);
    verdict(token("{\"aud\":\"b\"}"), "accepted", "");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        kw_google_map_free(&map);
        assert_int_equal(kw_google_map_init(&map, &err), 0);
        int r = kw_google_map_read(&map, bad[i].json, strlen(bad[i].json), "file", &err);
        if (r != KW_USAGE || strstr(err.text, bad[i].text) == NULL)
            fail_msg("%s: %s", bad[i].json, err.text);
    }
    char deep[4096];
    memset(deep, '[', sizeof deep);
    assert_int_equal(kw_google_map_read(&map, deep, sizeof deep, "file", &err), KW_USAGE);
}

static void test_warnings(void **state)
{
    (void)state;
    usual();
    condition("attribute.ref == 'x' || true");
    json_t *o = explain(token("{}"));
    assert_true(warned(o, "attribute.ref, which isn't mapped"));
    assert_false(warned(o, "anybody"));
    json_decref(o);
    condition("true");
    o = explain(token("{}"));
    assert_true(warned(o, "looks at no claim: anybody"));
    json_decref(o);
    json_decref(map.condition);
    map.condition = NULL;
    o = explain(token("{}"));
    assert_true(warned(o, "no attribute condition: anybody"));
    json_decref(o);
    map.issuer[0] = '\0';
    o = explain(token("{\"iss\":\"https://gitlab.example.com\"}"));
    assert_int_equal(json_array_size(json_object_get(o, "warnings")), 0);
    json_decref(o);
    o = explain(token("{\"iss\":\"https://gitlab.com\"}"));
    assert_true(warned(o, "anybody"));
    json_decref(o);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_accepted),
        TEST(test_the_failing_term_is_shown),
        TEST(test_limits),
        TEST(test_types),
        TEST(test_unknown_attribute),
        TEST(test_providers_that_google_refuses),
        TEST(test_names),
        TEST(test_checks),
        TEST(test_header),
        TEST(test_members),
        TEST(test_reading_json),
        TEST(test_warnings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
