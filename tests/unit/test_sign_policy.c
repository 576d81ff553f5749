/* SPDX-License-Identifier: Apache-2.0
 *
 * The signing policy: hosts, methods, paths, budgets, and what a refusal says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/rules.h"
#include "src/wire/httpdate.h"

static struct kw_err err;
static char rule[512];

static int judge(struct kw_sign_policy *p, const char *method, const char *host, const char *target,
                 int64_t now)
{
    return kw_sign_judge(p, method, host, target, now, rule, sizeof rule, &err);
}

static void hosts(void **state)
{
    (void)state;
    struct kw_sign_policy p = {
        .hosts = "api.example  *.oraclecloud.com", .methods = "GET", .paths = ""};
    assert_int_equal(judge(&p, "GET", "iaas.x.oraclecloud.com", "/", 1), 0);
    assert_string_equal(rule, "sign.host=*.oraclecloud.com sign.method=GET");
    assert_int_equal(judge(&p, "GET", "IAAS.x.OracleCloud.com:8443", "/", 1), 0);
    assert_int_equal(judge(&p, "GET", "api.example", "/", 1), 0);
    static const char *const bad[] = {"oraclecloud.com",
                                      "evil-oraclecloud.com",
                                      "x.oraclecloud.com.evil",
                                      "x.oraclecloud.com:443.evil.example",
                                      "evil.example:1.oraclecloud.com",
                                      "api.example.",
                                      "api.example.com",
                                      "xapi.example",
                                      "",
                                      "127.0.0.1",
                                      "[::1]:443"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (judge(&p, "GET", bad[i], "/", 1) != KW_POLICY)
            fail_msg("host %s was allowed", bad[i]);
    assert_int_equal(judge(&p, "GET", "evil.example", "/", 1), KW_POLICY);
    assert_non_null(strstr(err.text, "sign.host"));
    assert_non_null(strstr(err.text, "evil.example"));
    p.hosts = "";
    assert_int_equal(judge(&p, "GET", "api.example", "/", 1), KW_POLICY);
}

static void methods(void **state)
{
    (void)state;
    struct kw_sign_policy p = {.hosts = "h", .methods = "GET POST", .paths = ""};
    assert_int_equal(judge(&p, "POST", "h", "/", 1), 0);
    assert_int_equal(judge(&p, "DELETE", "h", "/", 1), KW_POLICY);
    assert_non_null(strstr(err.text, "sign.method"));
    assert_non_null(strstr(err.text, "DELETE"));
    assert_int_equal(judge(&p, "get", "h", "/", 1), KW_POLICY);
    assert_int_equal(judge(&p, "GE", "h", "/", 1), KW_POLICY);
    assert_int_equal(judge(&p, "GET POST", "h", "/", 1), KW_POLICY);
}

static void paths(void **state)
{
    (void)state;
    struct kw_sign_policy p = {
        .hosts = "h", .methods = "GET", .paths = "/n/ /n/*/b/public/* /20160918/*"};
    assert_int_equal(judge(&p, "GET", "h", "/n/ns/b/public/o/x?secret=1", 1), 0);
    assert_string_equal(rule, "sign.host=h sign.method=GET sign.path=/n/*/b/public/*");
    assert_int_equal(judge(&p, "GET", "h", "/n/?limit=2", 1), 0);
    static const char *const bad[] = {
        "/n/ns/b/private/o/x",
        "/x?/n/",
        "/x?y=/20160918/z",
        "/N/",
        "/n/ns/b/public/../private/o/x",
        "/n/ns/b/public/%2e%2E/private/o/x",
        "/n/ns/b/public/.%2e/private",
        "/20160918/./x",
        "/20160918/..",
        "/20160918/..%2fprivate",
        "/20160918/..%2Fprivate",
        "/20160918/a%2f..%2fprivate",
        "/20160918/%2e%2e/",
        "/20160918/..%5cprivate",
        "/20160918/a%5C..",
        "/20160918/..;/private",
        "/20160918/..;x=1/private",
        "/20160918/.;/private",
        "/20160918/..%3b/x",
        "/20160918/%252e%252e/x",
        "/20160918/%252%65./x",
        "/20160918/%2%65./x",
        "/20160918/%25252E%2e/x",
        "/20160918/..%252fx",
        "/20160918/..%00/x",
        "/20160918/..%3fx",
        "/20160918/..%23",
        "/20160918/a/%2e;v=1",
        "x/20160918/",
        "",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (judge(&p, "GET", "h", bad[i], 1) != KW_POLICY)
            fail_msg("path %s was allowed", bad[i]);
    static const char *const good[] = {
        "/20160918/..x/.../a.b", "/20160918/a;..", "/20160918/;v=..", "/20160918/a%2F..b",
        "/20160918/%2e%2e%2e",   "/20160918/%25",  "/20160918/%%2e",  "/20160918/a?b=/../%2f..",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (judge(&p, "GET", "h", good[i], 1) != 0)
            fail_msg("path %s was refused", good[i]);
    /* path and query may hold what must not be logged; the patterns are ours */
    assert_int_equal(judge(&p, "GET", "h", "/secret/path?token=hunter2", 1), KW_POLICY);
    assert_non_null(strstr(err.text, "sign.path ("));
    assert_null(strstr(err.text, "secret"));
    assert_null(strstr(err.text, "hunter2"));
}

static void counts(void **state)
{
    (void)state;
    struct kw_sign_policy p = {.hosts = "h", .methods = "GET", .paths = "", .max_count = 3};
    assert_int_equal(judge(&p, "POST", "h", "/", 1), KW_POLICY); /* takes nothing */
    for (int i = 0; i < 3; i++)
        assert_int_equal(judge(&p, "GET", "h", "/", 1), 0);
    assert_int_equal(judge(&p, "GET", "h", "/", 1), KW_POLICY);
    assert_non_null(strstr(err.text, "sign.max_count"));
    assert_int_equal(p.count, 3);
}

static void rates(void **state)
{
    (void)state;
    struct kw_sign_policy p = {.hosts = "h", .methods = "GET", .paths = "", .per_minute = 60};
    for (int i = 0; i < 60; i++)
        assert_int_equal(judge(&p, "GET", "h", "/", 1000), 0);
    assert_int_equal(judge(&p, "GET", "h", "/", 1000), KW_POLICY);
    assert_non_null(strstr(err.text, "sign.per_minute"));
    assert_int_equal(judge(&p, "GET", "h", "/", 1500), KW_POLICY);
    assert_int_equal(judge(&p, "GET", "h", "/", 900), KW_POLICY); /* backwards: no gain */
    assert_int_equal(judge(&p, "GET", "h", "/", 2000), 0);
    assert_int_equal(judge(&p, "GET", "h", "/", 2000), KW_POLICY);
    /* never more than a minute's worth */
    for (int i = 0; i < 60; i++)
        assert_int_equal(judge(&p, "GET", "h", "/", INT64_C(1000000000)), 0);
    assert_int_equal(judge(&p, "GET", "h", "/", INT64_C(1000000000)), KW_POLICY);
    struct kw_sign_policy zero = {.hosts = "h", .methods = "GET", .paths = "", .per_minute = 1};
    assert_int_equal(judge(&zero, "GET", "h", "/", 0), 0);
    assert_int_equal(judge(&zero, "GET", "h", "/", 0), KW_POLICY);
}

static void dates(void **state)
{
    (void)state;
    static const struct {
        int64_t t;
        const char *text;
    } good[] = {
        {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"},
        {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {1709164800, "Thu, 29 Feb 2024 00:00:00 GMT"},
        {INT64_C(253402300799), "Fri, 31 Dec 9999 23:59:59 GMT"},
    };
    char text[KW_HTTPDATE];
    int64_t t;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(kw_httpdate_print(good[i].t, text));
        assert_string_equal(text, good[i].text);
        assert_true(kw_httpdate_parse(text, &t));
        assert_true(t == good[i].t);
    }
    assert_false(kw_httpdate_print(-1, text));
    assert_false(kw_httpdate_print(INT64_C(253402300800), text));
    static const char *const bad[] = {
        "",
        "Mon, 06 Nov 1994 08:49:37 GMT",
        "Thu, 05 Jan 2014 21:31:40 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 gmt",
        "sun, 06 nov 1994 08:49:37 GMT",
        " Sun, 06 Nov 1994 08:49:37 GM",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 06 Nov 1994 08:49:60 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Wed, 29 Feb 2023 00:00:00 GMT",
        "Wed, 01 Mar 2023 00:0x:00 GMT",
        "Sun, 06 Now 1994 08:49:37 GMT",
        "Sun; 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1969 08:49:37 GMT",
        "Sun, -6 Nov 1994 08:49:37 GMT",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (kw_httpdate_parse(bad[i], &t))
            fail_msg("parsed: %s", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts),  cmocka_unit_test(methods), cmocka_unit_test(paths),
        cmocka_unit_test(counts), cmocka_unit_test(rates),   cmocka_unit_test(dates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
