/* SPDX-License-Identifier: Apache-2.0
 *
 * Patterns: what matches, what must not, and that hostile patterns cost no time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "policy/rules.h"

static void test_glob(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool nocase, want;
    } cases[] = {
        {"", "", false, true},
        {"", "a", false, false},
        {"a", "", false, false},
        {"*", "", false, true},
        {"**", "anything/at:all", false, true},
        {"?", "", false, false},
        {"?", "a", false, true},
        {"?", "ab", false, false},
        {"refs/heads/*", "refs/heads/a/b", false, true},
        {"refs/heads/*", "refs/heads", false, false},
        {"refs/heads/main", "refs/heads/main2", false, false},
        {"refs/heads/main", "xrefs/heads/main", false, false},
        {"repo:o@*/r@*:ref:refs/heads/main", "repo:o@1/r@2:ref:refs/heads/main", false, true},
        {"*abc*abd", "abcabcabd", false, true},
        {"*abc*abd", "abcabcabe", false, false},
        {"a*b*c", "a-b-b-c", false, true},
        {"[a]", "a", false, false},
        {"\\*", "*", false, false},
        {"\\*", "\\anything", false, true},
        {"Main", "main", false, false},
        {"Main", "mAIN", true, true},
        {"*", "\xff\x01", false, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (kw_glob(cases[i].pattern, cases[i].text, cases[i].nocase) != cases[i].want)
            fail_msg("glob '%s' on '%s'", cases[i].pattern, cases[i].text);
}

/* A straightforward matcher, exponential but obviously right, as the oracle. */
static bool oracle(const char *p, const char *t)
{
    if (*p == '\0')
        return *t == '\0';
    if (*p == '*')
        return oracle(p + 1, t) || (*t != '\0' && oracle(p, t + 1));
    return *t != '\0' && (*p == '?' || *p == *t) && oracle(p + 1, t + 1);
}

static void test_glob_against_oracle(void **state)
{
    (void)state;
    uint32_t x = 12345;
    unsigned matched = 0;
    for (unsigned round = 0; round < 200000; round++) {
        char p[9], t[9];
        for (size_t i = 0; i < 8; i++) {
            x = x * 1664525u + 1013904223u;
            p[i] = "ab*?*ab\0"[x >> 29];
            t[i] = "aabbaab\0"[x >> 26 & 7];
        }
        p[8] = t[8] = '\0';
        bool want = oracle(p, t);
        matched += want;
        if (kw_glob(p, t, false) != want)
            fail_msg("glob '%s' on '%s'", p, t);
    }
    assert_true(matched > 1000); /* the sample says something */
}

static void test_glob_is_not_exponential(void **state)
{
    (void)state;
    char pattern[401], text[8001];
    for (size_t i = 0; i < 400; i += 2)
        memcpy(pattern + i, "*a", 2);
    pattern[399] = 'b'; /* can't match: the text has no b */
    pattern[400] = '\0';
    memset(text, 'a', 8000);
    text[8000] = '\0';
    clock_t start = clock();
    assert_false(kw_glob(pattern, text, false));
    assert_true(clock() - start < CLOCKS_PER_SEC);
}

static void test_hosts(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *host;
        bool want;
    } cases[] = {
        {"*.oraclecloud.com", "iaas.eu-frankfurt-1.oraclecloud.com", true},
        {"*.oraclecloud.com", "IAAS.OracleCloud.com", true},
        {"*.oraclecloud.com", "oraclecloud.com", false},
        {"*.oraclecloud.com", ".oraclecloud.com", false},
        {"*.oraclecloud.com", ".x.oraclecloud.com", false},
        {"*.oraclecloud.com", "evil-oraclecloud.com", false},
        {"*.oraclecloud.com", "iaas.oraclecloud.com.evil.example", false},
        {"*.oraclecloud.com", "iaas.oraclecloud.com.", false},
        {"iaas.oraclecloud.com", "iaas.oraclecloud.com", true},
        {"iaas.oraclecloud.com", "x.iaas.oraclecloud.com", false},
        {"127.0.0.1", "127.0.0.1", true},
        {"*.0.0.1", "127.0.0.1", false},
        {"*.1", "1.1.1.1", false},
        {"::1", "::1", true},
        {"*", "iaas.oraclecloud.com", false},
        {"*oraclecloud.com", "iaas.oraclecloud.com", false},
        {"*.*.com", "a.b.com", false},
        {"i*s.oraclecloud.com", "iaas.oraclecloud.com", false},
        {"", "", false},
        {"", "x", false},
        {"*.", "x.", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (kw_host_match(cases[i].pattern, cases[i].host) != cases[i].want)
            fail_msg("host '%s' on '%s'", cases[i].pattern, cases[i].host);
}

static void test_host_lists(void **state)
{
    (void)state;
    const char *list = "a.example  *.b.example 10.0.0.1";
    assert_true(kw_host_in(list, "a.example"));
    assert_true(kw_host_in(list, "x.b.example"));
    assert_true(kw_host_in(list, "10.0.0.1"));
    assert_false(kw_host_in(list, "b.example"));
    assert_false(kw_host_in(list, "a.example  *.b.example"));
    assert_false(kw_host_in("", "a.example"));
    assert_false(kw_host_in(" ", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_glob),
        cmocka_unit_test(test_glob_against_oracle),
        cmocka_unit_test(test_glob_is_not_exponential),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_host_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
