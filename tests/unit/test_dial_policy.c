/* SPDX-License-Identifier: Apache-2.0
 *
 * Dial policy: which host:port pairs match, and which entries are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "policy/rules.h"
#include "src/dialer/dialer_connect.h"

static int judge(const char *dial, const char *host, uint32_t port)
{
    struct kw_err err;
    return kw_dial_judge(dial, host, port, &err);
}

static void allowed_pairs(void **state)
{
    (void)state;
    static const char dial[] = "*.oraclecloud.com:443 git.example.com:8443  [::1]:443 192.0.2.1:80";
    assert_int_equal(judge(dial, "idcs-1.identity.oraclecloud.com", 443), 0);
    assert_int_equal(judge(dial, "git.example.com", 8443), 0);
    assert_int_equal(judge(dial, "::1", 443), 0);
    assert_int_equal(judge(dial, "192.0.2.1", 80), 0);
}

static void refused_pairs(void **state)
{
    (void)state;
    static const char dial[] = "*.oraclecloud.com:443 git.example.com:8443 *:443";
    assert_int_equal(judge(dial, "idcs.oraclecloud.com", 8443), KW_POLICY);
    assert_int_equal(judge("*.oraclecloud.com:443", "oraclecloud.com", 443), KW_POLICY);
    assert_int_equal(judge("*.oraclecloud.com:443", "evil-oraclecloud.com", 443), KW_POLICY);
    assert_int_equal(judge("*.oraclecloud.com:443", "x.oraclecloud.com.evil.test", 443), KW_POLICY);
    assert_int_equal(judge(dial, "git.example.com", 84), KW_POLICY);
    assert_int_equal(judge(dial, "169.254.169.254", 443), KW_POLICY);
    assert_int_equal(judge(dial, "::1", 443), KW_POLICY);
    assert_int_equal(judge("", "a.test", 443), KW_POLICY);
    assert_int_equal(judge("a.test", "a.test", 443), KW_POLICY);
    assert_int_equal(judge("a.test:0443x", "a.test", 443), KW_POLICY);
}

static void refusal_names_the_rule(void **state)
{
    (void)state;
    struct kw_err err;
    assert_int_equal(kw_dial_judge("a.test:443", "b.test", 444, &err), KW_POLICY);
    assert_non_null(strstr(err.text, "b.test:444"));
    assert_non_null(strstr(err.text, "a.test:443"));
    assert_non_null(strstr(err.text, "policy dial"));
}

static void malformed_entries(void **state)
{
    (void)state;
    struct kw_err err;
    static const char *const dials[] = {"a.test",       "a.test:",     ":443",         "a.test:0",
                                        "a.test:65536", "a.test:4 43", "[::1:443",     "[::1]443",
                                        "a.test:-1",    "a.test:443x", "ok.test:443 b"};
    static const char *const overrides[] = {
        "a.test:443",     "a.test:443:127.0.0.1", "a.test:443:127.0.0.1:",  "a.test:x:127.0.0.1:80",
        "a.test:443::80", "a.test:443:[::1:80",   "a.test:443:b.test:80:90"};
    for (size_t i = 0; i < sizeof dials / sizeof dials[0]; i++)
        assert_int_equal(kw_dial_check(dials[i], "", &err), KW_USAGE);
    for (size_t i = 0; i < sizeof overrides / sizeof overrides[0]; i++)
        assert_int_equal(kw_dial_check("", overrides[i], &err), KW_USAGE);
    assert_non_null(strstr(err.text, "a.test:443:b.test:80:90"));
    assert_int_equal(kw_dial_check("a.test:443 *.b.test:1", "a.test:443:[::1]:80", &err), 0);
    assert_int_equal(kw_dial_check("", "", &err), 0);
}

static void overlong_entry(void **state)
{
    (void)state;
    struct kw_err err;
    char dial[2000];
    memset(dial, 'a', sizeof dial);
    memcpy(dial + sizeof dial - 5, ":443", 5);
    assert_int_equal(kw_dial_check(dial, "", &err), KW_USAGE);
    assert_int_equal(judge(dial, "a.test", 443), KW_POLICY);
}

static void overrides(void **state)
{
    (void)state;
    static const char resolve[] =
        "bad a.test:443:127.0.0.1:8443 *.b.test:443:[::1]:9443 a.test:444:c.test:1";
    char address[64];
    uint32_t port = 0;
    assert_true(kw_dial_resolve(resolve, "a.test", 443, address, sizeof address, &port));
    assert_string_equal(address, "127.0.0.1");
    assert_int_equal(port, 8443);
    assert_true(kw_dial_resolve(resolve, "x.b.test", 443, address, sizeof address, &port));
    assert_string_equal(address, "::1");
    assert_int_equal(port, 9443);
    assert_true(kw_dial_resolve(resolve, "a.test", 444, address, sizeof address, &port));
    assert_string_equal(address, "c.test");
    assert_false(kw_dial_resolve(resolve, "a.test", 445, address, sizeof address, &port));
    assert_false(kw_dial_resolve(resolve, "c.test", 443, address, sizeof address, &port));
    assert_false(kw_dial_resolve("a.test:443:127.0.0.1:8443", "a.test", 443, address, 4, &port));
}

static void proxies(void **state)
{
    (void)state;
    struct kw_err err;
    char host[KW_HOST];
    uint16_t port = 0;
    assert_int_equal(kw_proxy_parse("http://proxy.test:3128", host, sizeof host, &port, &err), 0);
    assert_string_equal(host, "proxy.test");
    assert_int_equal(port, 3128);
    assert_int_equal(kw_proxy_parse("http://[::1]:3128/", host, sizeof host, &port, &err), 0);
    assert_string_equal(host, "::1");
    static const char *const bad[] = {
        "https://p.test:1",    "p.test:1",        "http://p.test",
        "http://u:p@p.test:1", "http://p.test:0", "http://:1",
        "http://p.test:1/x",   "http://[::1:1",   "http://p.test:123456"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(kw_proxy_parse(bad[i], host, sizeof host, &port, &err), KW_USAGE);
}

static void proxy_answers(void **state)
{
    (void)state;
    unsigned status = 0;
#define STATUS(text) kw_proxy_status(text, sizeof(text) - 1, &status)
    assert_true(STATUS("HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n"));
    assert_int_equal(status, 200);
    assert_true(STATUS("HTTP/1.0 407\r\n\r\n"));
    assert_int_equal(status, 407);
    assert_false(STATUS("HTTP/2 200 OK\r\n\r\n"));
    assert_false(STATUS("HTTP/1.1 200 OK\r\n"));
    assert_false(STATUS("HTTP/1.1 200 OK\n\n"));
    assert_false(STATUS("HTTP/1.1 200 OK\r\nA: \001\r\n\r\n"));
    assert_false(STATUS("HTTP/1.1 20 OK\r\n\r\n"));
    assert_false(STATUS("HTTP/1.1 2000 OK\r\n\r\n"));
    assert_false(STATUS("<html></html>\r\n\r\n"));
    assert_false(STATUS("\r\n\r\n"));
    assert_false(STATUS(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allowed_pairs),
        cmocka_unit_test(refused_pairs),
        cmocka_unit_test(refusal_names_the_rule),
        cmocka_unit_test(malformed_entries),
        cmocka_unit_test(overlong_entry),
        cmocka_unit_test(overrides),
        cmocka_unit_test(proxies),
        cmocka_unit_test(proxy_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
