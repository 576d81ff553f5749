/* SPDX-License-Identifier: Apache-2.0
 *
 * URLs: read exactly, or refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/wire/url.h"

static void test_good(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host, *authority;
        unsigned port;
        const char *target;
    } cases[] = {
        {"https://a.example", "a.example", "a.example", 443, "/"},
        {"HTTPS://A.Example/", "a.example", "a.example", 443, "/"},
        {"https://a.example:443/x", "a.example", "a.example", 443, "/x"},
        {"https://a.example:8443/x?y=z&y=%2F", "a.example", "a.example:8443", 8443, "/x?y=z&y=%2F"},
        {"https://a.example?q", "a.example", "a.example", 443, "/?q"},
        {"https://127.0.0.1:65535/", "127.0.0.1", "127.0.0.1:65535", 65535, "/"},
        {"https://[::1]:8/", "::1", "[::1]:8", 8, "/"},
        {"https://[2001:DB8::1]", "2001:db8::1", "[2001:db8::1]", 443, "/"},
        {"https://h/n/b/o/a%2fb%20c//d;p=1,2@:!$&'()*+=/", "h", "h", 443,
         "/n/b/o/a%2fb%20c//d;p=1,2@:!$&'()*+=/"},
        {"https://h/%7Eu/%7eu/~u", "h", "h", 443, "/%7Eu/%7eu/~u"},
        {"https://h/a?b?c/d", "h", "h", 443, "/a?b?c/d"},
        {"https://h/...", "h", "h", 443, "/..."},
        {"https://h/a.b/..c/?x=../..", "h", "h", 443, "/a.b/..c/?x=../.."},
        {"https://h/a;../b%2F..c?x=%2f..", "h", "h", 443, "/a;../b%2F..c?x=%2f.."},
        {"https://h/o/..a%2Fx", "h", "h", 443, "/o/..a%2Fx"},
        {"https://x_1.a-b.example/", "x_1.a-b.example", "x_1.a-b.example", 443, "/"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kw_url u;
        struct kw_err err;
        if (kw_url_parse(cases[i].text, "it", KW_USAGE, &u, &err) != 0)
            fail_msg("'%s': %s", cases[i].text, err.text);
        assert_string_equal(u.host, cases[i].host);
        assert_string_equal(u.authority, cases[i].authority);
        assert_int_equal(u.port, cases[i].port);
        assert_string_equal(u.target, cases[i].target);
    }
}

static void test_bad(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "https:",
        "https://",
        "https:///x",
        "http://a.example/",
        "ftp://a.example/",
        "//a.example/",
        "a.example",
        " https://a.example/",
        "https://a.example/ ",
        "https://a.example/a b",
        "https://a.example/\t",
        "https://a.example/\n",
        "https://a.example\\@evil.example/",
        "https://a.example/\x7f",
        "https://a.example/\xc3\xa9",
        "https://\xc3\xa9.example/",
        "https://user@a.example/",
        "https://user:pw@a.example/",
        "https://a.example/#f",
        "https://a.example#@evil.example/",
        "https://a.example:/",
        "https://a.example:0/",
        "https://a.example:0443/",
        "https://a.example:65536/",
        "https://a.example:99999999/",
        "https://a.example:4x3/",
        "https://a.example:-1/",
        "https://a.example:443:443/",
        "https://.a.example/",
        "https://a..example/",
        "https://a.example./",
        "https://a%2eexample/",
        "https://*.example/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.0.0.1/",
        "https://127.0.0.256/",
        "https://127.0.0.01/",
        "https://a.1/",
        "https://[::1/",
        "https://::1/",
        "https://[::1]x/",
        "https://[fe80::1%25eth0]/",
        "https://[fe80::1%eth0]/",
        "https://[]/",
        "https://[127.0.0.1]/",
        "https://[v1.x]/",
        "https://a.example/%",
        "https://a.example/%2",
        "https://a.example/%2x",
        "https://a.example/%zz",
        "https://a.example/a\"b",
        "https://a.example/<x>",
        "https://a.example/a|b",
        "https://a.example/a^b`c",
        "https://a.example/?a[]=1",
        "https://a.example/{x}",
        "https://a.example/.",
        "https://a.example/a/../b",
        "https://a.example/a/..",
        "https://a.example/a/..?x",
        "https://a.example/./b",
        "https://a.example/%2e%2E/b",
        "https://a.example/.%2e/b",
        "https://a.example/..%2fprivate",
        "https://a.example/..%2Fprivate",
        "https://a.example/a%2f..%2fprivate",
        "https://a.example/%2e%2e/",
        "https://a.example/..%5cprivate",
        "https://a.example/a%5C..",
        "https://a.example/..;/private",
        "https://a.example/..;x=1/private",
        "https://a.example/.;/private",
        "https://a.example/..%3b/x",
        "https://a.example/%252e%252e/x",
        "https://a.example/%252%65./x",
        "https://a.example/%25252E%2e/x",
        "https://a.example/..%252fx",
        "https://a.example/..%00/x",
        "https://a.example/..%3fx",
        "https://a.example/..%23",
        "https://a.example/a/%2e;v=1",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kw_url u, zero = {0};
        struct kw_err err = {0};
        if (kw_url_parse(cases[i], "the thing", KW_CLOUD, &u, &err) != KW_CLOUD)
            fail_msg("'%s' was taken", cases[i]);
        assert_non_null(strstr(err.text, "the thing"));
        assert_memory_equal(&u, &zero, sizeof u);
    }
}

/* The longest that fits, and one more. */
static void test_lengths(void **state)
{
    (void)state;
    static char text[3 * KW_TARGET];
    struct kw_url u;
    size_t last_good = 0;
    for (size_t n = KW_TARGET - 16; n < KW_TARGET + 16; n++) {
        memcpy(text, "https://h/", 10);
        memset(text + 10, 'a', n);
        text[10 + n] = '\0';
        if (kw_url_parse(text, "x", KW_USAGE, &u, NULL) == 0) {
            assert_int_equal(strlen(u.target), n + 1);
            last_good = n;
        }
    }
    assert_true(last_good > KW_TARGET - 10 && last_good < KW_TARGET);
    /* percent-encodings at the end of the room */
    for (size_t pad = 0; pad < 4; pad++) {
        size_t n = 10 + pad;
        memset(text + 10, 'a', pad);
        while (n < KW_TARGET + 20) {
            memcpy(text + n, "%aA", 3);
            n += 3;
        }
        text[n] = '\0';
        assert_int_equal(kw_url_parse(text, "x", KW_USAGE, &u, NULL), KW_USAGE);
    }
    /* labels and hosts */
    (void)snprintf(text, sizeof text, "https://%.*s/", 63,
                   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    assert_int_equal(kw_url_parse(text, "x", KW_USAGE, &u, NULL), 0);
    (void)snprintf(text, sizeof text, "https://%.*s/", 64,
                   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    assert_int_equal(kw_url_parse(text, "x", KW_USAGE, &u, NULL), KW_USAGE);
    for (size_t n = 240; n < 300; n++) {
        memcpy(text, "https://", 8);
        for (size_t i = 0; i < n; i++)
            text[8 + i] = i % 50 == 49 ? '.' : 'b';
        text[8 + n] = '\0';
        text[8 + n - 1] = 'b';
        int r = kw_url_parse(text, "x", KW_USAGE, &u, NULL);
        assert_int_equal(r, n <= 253 ? 0 : KW_USAGE);
    }
}

static void test_pct(void **state)
{
    (void)state;
    struct kw_buf b;
    kw_buf_init(&b, 1024);
    kw_pct_put(&b, "aZ09-._~ /?:@!$&'()*+,;=%\"\xff\x00z", 29);
    assert_string_equal(kw_buf_str(&b),
                        "aZ09-._~%20%2F%3F%3A%40%21%24%26%27%28%29%2A%2B%2C%3B%3D%25"
                        "%22%FF%00z");
    kw_buf_free(&b);
}

/* http is for what does not leave the machine or its hypervisor. */
static void test_local(void **state)
{
    (void)state;
    struct kw_url u;
    struct kw_err err;
    assert_int_equal(kw_url_parse_local("http://169.254.169.254/a?b=c", "x", KW_USAGE, &u, &err),
                     0);
    assert_true(u.plain && u.port == 80);
    assert_string_equal(u.authority, "169.254.169.254");
    assert_string_equal(u.target, "/a?b=c");
    assert_int_equal(kw_url_parse_local("http://localhost:81/", "x", KW_USAGE, &u, &err), 0);
    assert_true(u.plain && u.port == 81);
    assert_string_equal(u.authority, "localhost:81");
    assert_int_equal(kw_url_parse_local("HTTP://[::1]:443/", "x", KW_USAGE, &u, &err), 0);
    assert_string_equal(u.authority, "[::1]:443");
    assert_int_equal(kw_url_parse_local("https://h.example/", "x", KW_USAGE, &u, &err), 0);
    assert_false(u.plain);
    static const char *const bad[] = {"http://h.example/", "http://169.254.169.253/",
                                      "http://10.0.0.1/",  "http://metadata.google.internal.evil/",
                                      "http://127.1/",     "http://localhost.evil/",
                                      "ftp://localhost/",  "http://user@localhost/",
                                      "http:///"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(kw_url_parse_local(bad[i], "x", KW_USAGE, &u, &err), KW_USAGE);
    /* and the strict reader takes none of it */
    assert_int_equal(kw_url_parse("http://169.254.169.254/", "x", KW_USAGE, &u, &err), KW_USAGE);
    assert_int_equal(kw_url_parse("http://localhost/", "x", KW_USAGE, &u, &err), KW_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good), cmocka_unit_test(test_bad),   cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_pct),  cmocka_unit_test(test_local),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
