/* SPDX-License-Identifier: Apache-2.0
 *
 * Unit tests of the lab's parsers and rules: a verifier that is lax proves nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "lab.h"

static int parse(const char *head, struct lab_request *r)
{
    static char text[4096];
    const char *why = NULL;
    memset(r, 0, sizeof *r);
    strcpy(text, head);
    return lab_http_parse(text, strlen(head), r, &why);
}

static void good_heads(void **state)
{
    struct lab_request r;
    (void)state;
    assert_int_equal(parse("GET /n/a%20b?x=1&y=%41+b HTTP/1.1\r\nHost: EXAMPLE.com:8443\r\n"
                           "x-a:  v  \r\nExpect: 100-continue",
                           &r),
                     0);
    assert_string_equal(r.target, "/n/a%20b?x=1&y=%41+b");
    assert_int_equal(r.path_len, 8);
    assert_string_equal(r.host, "example.com");
    assert_string_equal(r.authority, "EXAMPLE.com:8443");
    assert_int_equal(r.host_port, 8443);
    assert_string_equal(lab_header(&r, "X-A"), "v");
    assert_true(r.expect);
    char v[8];
    assert_int_equal(lab_query(&r, "y", v, sizeof v), 1);
    assert_string_equal(v, "A b");
    assert_int_equal(lab_query(&r, "z", v, sizeof v), 0);
    assert_int_equal(parse("POST /a HTTP/1.1\r\nhost: h\r\ncontent-length: 12", &r), 0);
    assert_int_equal(r.length, 12);
}

static void bad_heads(void **state)
{
    static const struct {
        const char *head;
        int status;
    } cases[] = {
        {"", 400},
        {"GET /", 400},
        {"get / HTTP/1.1\r\nhost: h", 400},
        {"GET / HTTP/1.0\r\nhost: h", 505},
        {"GET / HTTP/1.1 \r\nhost: h", 400},
        {"GET  / HTTP/1.1\r\nhost: h", 400},
        {"GET https://h/ HTTP/1.1\r\nhost: h", 400},
        {"GET /#f HTTP/1.1\r\nhost: h", 400},
        {"GET /%4 HTTP/1.1\r\nhost: h", 400},
        {"GET /%zz HTTP/1.1\r\nhost: h", 400},
        {"GET /\"a HTTP/1.1\r\nhost: h", 400},
        {"GET / HTTP/1.1", 400},
        {"GET / HTTP/1.1\r\nhost: h\r\nhost: h", 400},
        {"GET / HTTP/1.1\r\nhost: h:0x1", 400},
        {"GET / HTTP/1.1\r\nhost: h:70000", 400},
        {"GET / HTTP/1.1\r\nhost: a@b", 400},
        {"GET / HTTP/1.1\r\nhost: h\r\n folded", 400},
        {"GET / HTTP/1.1\r\nhost: h\r\nx y: 1", 400},
        {"GET / HTTP/1.1\r\nhost: h\r\nx : 1", 400},
        {"GET / HTTP/1.1\r\nhost: h\r\nx: a\nb: c", 400},
        {"GET / HTTP/1.1\r\nhost: h\r\nx: a\rb", 400},
        {"GET / HTTP/1.1\r\nhost: h\r\nx: \x80", 400},
        {"GET / HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\ncontent-length: 1", 400},
        {"GET / HTTP/1.1\r\nhost: h\r\ncontent-length: +1", 400},
        {"GET / HTTP/1.1\r\nhost: h\r\ncontent-length: 01", 400},
        {"GET / HTTP/1.1\r\nhost: h\r\ncontent-length: 99999999999999999999", 400},
        {"GET / HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\ntransfer-encoding: chunked", 400},
        {"GET / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: gzip", 501},
        {"GET / HTTP/1.1\r\nhost: h\r\nexpect: 200-ok", 417},
    };
    struct lab_request r;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int status = parse(cases[i].head, &r);
        if (status != cases[i].status)
            fail_msg("%s: %d, not %d", cases[i].head, status, cases[i].status);
    }
}

static void forms(void **state)
{
    static const char *const bad[] = {"",     "a",     "=1",    "a=1&",   "a=1&a=2",
                                      "a=%4", "a=%00", "a=b c", "a=\x80", "a=1&%61=2"};
    struct lab_form f;
    (void)state;
    const char *good = "a=x%2By+z&b=&c==";
    assert_null(lab_form_parse(good, strlen(good), &f));
    assert_string_equal(lab_form_get(&f, "a"), "x+y z");
    assert_string_equal(lab_form_get(&f, "b"), "");
    assert_string_equal(lab_form_get(&f, "c"), "=");
    assert_null(lab_form_get(&f, "d"));
    lab_form_free(&f);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (lab_form_parse(bad[i], strlen(bad[i]), &f) == NULL)
            fail_msg("form \"%s\" was accepted", bad[i]);
        lab_form_free(&f);
    }
}

static void authorizations(void **state)
{
    static const char *const bad[] = {
        "Basic YTpi",
        "Signature",
        "Signature ",
        "signature keyId=\"k\",algorithm=\"rsa-sha256\",headers=\"h\",signature=\"s\"",
        "Signature "
        "version=\"2\",keyId=\"k\",algorithm=\"rsa-sha256\",headers=\"h\",signature=\"s\"",
        "Signature keyId=\"k\",algorithm=\"hs2019\",headers=\"h\",signature=\"s\"",
        "Signature keyId=\"k\",headers=\"h\",signature=\"s\"",
        "Signature keyId=\"k\",algorithm=\"rsa-sha256\",headers=\"h\"",
        "Signature keyId=\"k\",algorithm=\"rsa-sha256\",headers=\"h\",signature=\"s\",",
        "Signature keyId=\"k\", algorithm=\"rsa-sha256\",headers=\"h\",signature=\"s\"",
        "Signature keyId=k,algorithm=\"rsa-sha256\",headers=\"h\",signature=\"s\"",
        "Signature keyId=\"k\",keyId=\"k\",algorithm=\"rsa-sha256\",headers=\"h\",signature=\"s\"",
        "Signature keyId=\"k\\\"\",algorithm=\"rsa-sha256\",headers=\"h\",signature=\"s\"",
        "Signature keyId=\"k\",algorithm=\"rsa-sha256\",headers=\"h\",signature=\"s\",x=\"y\"",
        "Signature keyId=\"k\",algorithm=\"rsa-sha256\",headers=\"h\",signature=\"s",
    };
    struct lab_authorization z;
    (void)state;
    assert_null(lab_authorization_parse("Signature headers=\"date host\",keyId=\"k/a\",algorithm="
                                        "\"rsa-sha256\",signature=\"AA==\",version=\"1\"",
                                        &z));
    assert_string_equal(z.headers, "date host");
    assert_string_equal(z.key_id, "k/a");
    free(z.store);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (lab_authorization_parse(bad[i], &z) == NULL)
            fail_msg("%s was accepted", bad[i]);
        free(z.store);
    }
    assert_non_null(lab_authorization_parse(NULL, &z));
}

static bool rule_says(const char *rule_text, const char *claims)
{
    struct lab_rule rule;
    struct kw_jwt j = {NULL, json_loads(claims, 0, NULL)};
    assert_int_equal(lab_rule_parse(rule_text, &rule, NULL), 0);
    bool matched = lab_rule_match(&rule, &j);
    json_decref(j.claims);
    return matched;
}

static void rules(void **state)
{
    struct lab_rule rule;
    (void)state;
    assert_true(rule_says("sub eq a:b", "{\"sub\": \"a:b\"}"));
    assert_false(rule_says("sub eq a:b", "{\"sub\": \"a:bc\"}"));
    assert_true(rule_says("sub eq a*c*", "{\"sub\": \"a-b-c-d\"}"));
    assert_false(rule_says("sub eq a*c", "{\"sub\": \"a-b-c-d\"}"));
    assert_false(rule_says("sub eq a?c", "{\"sub\": \"abc\"}"));
    assert_true(rule_says("sub co b", "{\"sub\": \"abc\"}"));
    assert_false(rule_says("sub co x", "{\"sub\": \"abc\"}"));
    assert_false(rule_says("sub eq \"abc\"", "{\"sub\": \"abc\"}")); /* quotes never match */
    assert_false(rule_says("sub eq *", "{\"sub\": [\"abc\"]}"));
    assert_false(rule_says("sub eq *", "{}"));
    assert_int_equal(lab_rule_parse("sub eq x => human", &rule, NULL), 0);
    assert_string_equal(rule.user, "human");
    assert_string_equal(rule.value, "x");
    assert_int_equal(lab_rule_parse("sub co a*", &rule, NULL), KW_USAGE);
    assert_int_equal(lab_rule_parse("sub ne a", &rule, NULL), KW_USAGE);
    assert_int_equal(lab_rule_parse("sub eq", &rule, NULL), KW_USAGE);
    assert_int_equal(lab_rule_parse("sub eq a => nobody", &rule, NULL), KW_USAGE);
}

static void faults(void **state)
{
    static const char *const bad[] = {"",
                                      "nonsense",
                                      "latency",
                                      "latency=x",
                                      "drop=1",
                                      "status=200",
                                      "redirect",
                                      "drip=0",
                                      "drop,",
                                      "drop,count=0",
                                      "drop,count=-1",
                                      "drop,x=1",
                                      "drop,path",
                                      "clock=99999999999999999999"};
    struct lab_fault_table t;
    struct lab_fault_rule f;
    struct lab_hit hit;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (lab_fault_parse(bad[i], &f, NULL) == 0)
            fail_msg("fault \"%s\" was accepted", bad[i]);
    lab_faults_init(&t);
    assert_int_equal(lab_faults_add(&t, "status=503,count=2,skip=1,path=/n/*,method=GET", NULL), 0);
    assert_int_equal(lab_faults_add(&t, "status=429,count=1", NULL), 0);
    assert_int_equal(lab_faults_add(&t, "clock=-600", NULL), 0);
    assert_int_equal(lab_faults_clock(&t), -600);
    lab_faults_take(&t, "GET", "h", "/n/", &hit); /* 503 skips, so 429 is met and spent */
    assert_int_equal(hit.value[LAB_STATUS], 429);
    lab_faults_take(&t, "PUT", "h", "/n/", &hit);
    assert_false(hit.on[LAB_STATUS]);
    for (int i = 0; i < 2; i++) {
        lab_faults_take(&t, "GET", "h", "/n/x", &hit);
        assert_int_equal(hit.value[LAB_STATUS], 503);
    }
    lab_faults_take(&t, "GET", "h", "/n/x", &hit);
    assert_false(hit.on[LAB_STATUS]);
    lab_faults_clear(&t);
    assert_int_equal(lab_faults_clock(&t), 0);
}

static void standing(void **state)
{
    struct lab_fault_table t;
    struct lab_hit hit;
    (void)state;
    lab_faults_init(&t);
    assert_int_equal(lab_faults_add(&t, "denied=Apps.*,count=1,skip=1", NULL), 0);
    assert_int_equal(lab_faults_add(&t, "lro-polls=7", NULL), 0);
    assert_int_equal(lab_faults_add(&t, "denied", NULL), KW_USAGE);
    assert_int_equal(lab_faults_add(&t, "cut=1", NULL), KW_USAGE);
    assert_int_equal(lab_faults_add(&t, "late-status=200", NULL), KW_USAGE);
    lab_faults_take(&t, "GET", "h", "/", &hit); /* concerns no request, nor is it used up */
    assert_false(hit.on[LAB_DENIED]);
    assert_false(lab_faults_denied(&t, "Users.create"));
    assert_false(lab_faults_denied(&t, "Apps.create"));
    assert_true(lab_faults_denied(&t, "Apps.read"));
    assert_false(lab_faults_denied(&t, "Apps.read"));
    assert_int_equal(lab_faults_standing(&t, LAB_LRO_POLLS, 2), 7);
    assert_int_equal(lab_faults_standing(&t, LAB_SPREAD, 2), 2);
}

static bool picks(const char *filter, bool want_bad)
{
    json_t *o =
        json_pack("{s:s, s:b, s:[{s:s},{s:s}], s:{s:b}}", "issuer", "https://A", "active", 1,
                  "members", "value", "one", "value", "two", LAB_SCIM_USER, "serviceUser", 1);
    bool bad = !want_bad, found = lab_scim_matches(filter, o, "issuer", &bad);
    assert_int_equal(bad, want_bad);
    json_decref(o);
    return found;
}

static void filters(void **state)
{
    static const char *const bad[] = {"",
                                      "issuer",
                                      "issuer eq",
                                      "issuer eq https://A",
                                      "issuer eq \"a\"b",
                                      "issuer eq \"a",
                                      "issuer ne \"a\"",
                                      "issuer pr and",
                                      "issuer pr or active pr",
                                      "not issuer pr",
                                      "(issuer pr)"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(picks(bad[i], true));
    assert_true(picks("issuer eq \"https://A\"", false));
    assert_false(picks("issuer eq \"https://a\"", false)); /* the one that minds the case */
    assert_true(picks("members.value eq \"TWO\" and active eq true", false));
    assert_false(picks("members.value eq \"two\" and active eq false", false));
    assert_true(picks("  members.value  co \"w\"  AND issuer PR ", false));
    assert_false(picks("name.familyName pr", false));
    assert_true(picks(LAB_SCIM_USER ":serviceUser eq true", false));
}

static void statements(void **state)
{
    static const char *const good[] = {
        "Allow group A to read buckets in tenancy",
        "allow GROUP 'Default'/'A B' to manage object-family in compartment x",
        "Allow group id ocid1.g to use vcns in compartment id ocid1.c where a = 'b'",
        "Allow any-user to inspect all-resources in tenancy"};
    static const char *const bad[] = {"",
                                      "Allow group to read buckets in tenancy",
                                      "Allow group 'A' B' to read buckets in tenancy",
                                      "Allow group A to see buckets in tenancy",
                                      "Allow group A read buckets in tenancy",
                                      "Allow group A to read buckets in compartment",
                                      "Allow group A to read buckets in compartment id",
                                      "Allow group A to read buckets in tenancy when x",
                                      "Deny group A to read buckets in tenancy"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!lab_statement_good(good[i]))
            fail_msg("\"%s\" was refused", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (lab_statement_good(bad[i]))
            fail_msg("\"%s\" was accepted", bad[i]);
}

static void dates(void **state)
{
    static const char *const bad[] = {"Mon, 06 Nov 1994 08:49:37 GMT",  "06 Nov 1994 08:49:37 GMT",
                                      "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
                                      "Sun, 6 Nov 1994 08:49:37 GMT",   "Sun, 06 Nov 1994 08:49:37",
                                      "Sun, 06 Nov 1994 08:49:37 GMT ", "",
                                      "Sun, 06 nov 1994 08:49:37 GMT"};
    char text[40];
    (void)state;
    assert_int_equal(lab_http_date_parse("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
    lab_http_date(784111777, text);
    assert_string_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (lab_http_date_parse(bad[i]) != -1)
            fail_msg("date \"%s\" was accepted", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_heads),     cmocka_unit_test(bad_heads), cmocka_unit_test(forms),
        cmocka_unit_test(authorizations), cmocka_unit_test(rules),     cmocka_unit_test(faults),
        cmocka_unit_test(dates),          cmocka_unit_test(standing),  cmocka_unit_test(filters),
        cmocka_unit_test(statements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
