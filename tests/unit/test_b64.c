/* SPDX-License-Identifier: Apache-2.0
 *
 * Base64 and hex: RFC 4648's own vectors, and nothing that is only nearly base64. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/b64.h"

static const struct {
    const char *plain, *standard, *url;
} vectors[] = {
    {"", "", ""},
    {"f", "Zg==", "Zg"},
    {"fo", "Zm8=", "Zm8"},
    {"foo", "Zm9v", "Zm9v"},
    {"foob", "Zm9vYg==", "Zm9vYg"},
    {"fooba", "Zm9vYmE=", "Zm9vYmE"},
    {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
    {"\xfb\xff\xfe", "+//+", "-__-"},
};

static void test_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        struct kw_buf b;
        kw_buf_init(&b, 64);
        kw_b64_put(&b, vectors[i].plain, strlen(vectors[i].plain));
        assert_string_equal(kw_buf_str(&b), vectors[i].standard);
        kw_buf_reset(&b);
        kw_b64url_put(&b, vectors[i].plain, strlen(vectors[i].plain));
        assert_string_equal(kw_buf_str(&b), vectors[i].url);
        kw_buf_reset(&b);
        assert_true(kw_b64_get(&b, vectors[i].standard, strlen(vectors[i].standard)));
        assert_string_equal(kw_buf_str(&b), vectors[i].plain);
        kw_buf_reset(&b);
        assert_true(kw_b64url_get(&b, vectors[i].url, strlen(vectors[i].url)));
        assert_string_equal(kw_buf_str(&b), vectors[i].plain);
        kw_buf_free(&b);
    }
}

/* Each value has its character. */
static void test_digits(void **state)
{
    (void)state;
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    for (unsigned v = 0; v < 64; v++) {
        struct kw_buf b;
        const unsigned char bytes[3] = {(unsigned char)(v << 2), 0, (unsigned char)v};
        kw_buf_init(&b, 64);
        kw_b64_put(&b, bytes, 3);
        kw_b64url_put(&b, bytes, 3);
        const char *text = kw_buf_str(&b);
        char standard = v < 62 ? letters[v] : v == 62 ? '+' : '/';
        char url = v < 62 ? letters[v] : v == 62 ? '-' : '_';
        const char want[9] = {standard, 'A', 'A', standard, url, 'A', 'A', url, '\0'};
        assert_string_equal(text, want);
        kw_buf_free(&b);
    }
}

/* Each of the 256 bytes as the second character: 64 are digits, in both alphabets. */
static void test_alphabets(void **state)
{
    (void)state;
    unsigned standard = 0, url = 0;
    for (unsigned c = 0; c < 256; c++) {
        const char text[4] = {'A', (char)c, 'A', 'A'};
        struct kw_buf b;
        kw_buf_init(&b, 8);
        bool ok = kw_b64_get(&b, text, 4);
        standard += ok;
        assert_int_equal(ok, (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                 (c >= '0' && c <= '9') || c == '+' || c == '/');
        kw_buf_reset(&b);
        ok = kw_b64url_get(&b, text, 4);
        url += ok;
        assert_true(!ok || (c != '+' && c != '/' && c != '='));
        kw_buf_free(&b);
    }
    assert_int_equal(standard, 64);
    assert_int_equal(url, 64);
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "Z",
        "Zg",
        "Zg=",
        "Zg===",
        "=",
        "==",
        "===",
        "====",
        "Z===",
        "Zh==",
        "Zm9=",
        "Zm 9v",
        "Zm9v\n",
        " Zm9v",
        "Zm9v=",
        "Zm9v====",
        "Zg==Zg==",
        "Zm=v",
        "-__-",
        "Zm9v\x80"
        "AAA",
        "A=AA",
        "=AAA",
        "Zm9vY===",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct kw_buf b;
        kw_buf_init(&b, 64);
        kw_put_str(&b, "before");
        assert_false(kw_b64_get(&b, bad[i], strlen(bad[i])));
        assert_string_equal(kw_buf_str(&b), "before"); /* and nothing half decoded */
        kw_buf_free(&b);
    }
    static const char *const bad_url[] = {"Z",    "Zg==", "Zh",    "Zm9",
                                          "Zm8=", "+//+", "Zm9vZ", "Zm.v"};
    for (size_t i = 0; i < sizeof bad_url / sizeof bad_url[0]; i++) {
        struct kw_buf b;
        kw_buf_init(&b, 64);
        assert_false(kw_b64url_get(&b, bad_url[i], strlen(bad_url[i])));
        assert_int_equal(b.len, 0);
        kw_buf_free(&b);
    }
}

static void test_no_room(void **state)
{
    (void)state;
    struct kw_buf b;
    kw_buf_init(&b, 5);
    assert_false(kw_b64_get(&b, "Zm9vYmFy", 8));
    assert_int_equal(b.len, 0);
    kw_buf_free(&b);
    kw_buf_init(&b, 5);
    kw_b64_put(&b, "foobar", 6);
    assert_true(b.bad);
    kw_buf_free(&b);
}

static void test_hex(void **state)
{
    (void)state;
    char text[9];
    kw_hex(text, "\x00\x7f\x80\xff", 4);
    assert_string_equal(text, "007f80ff");
    kw_hex(text, "", 0);
    assert_string_equal(text, "");
    unsigned char out[4];
    size_t n = 99;
    assert_true(kw_unhex(out, sizeof out, &n, "007F80ff"));
    assert_int_equal(n, 4);
    assert_memory_equal(out, "\x00\x7f\x80\xff", 4);
    assert_true(kw_unhex(out, sizeof out, &n, ""));
    assert_int_equal(n, 0);
    static const char *const bad[] = {"0",   "0g",       "g0",         "0x",    " 0",
                                      "00 ", "\xb0\xb0", "0011223344", "0\x01", "@0"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(kw_unhex(out, sizeof out, &n, bad[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),   cmocka_unit_test(test_digits),
        cmocka_unit_test(test_alphabets), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_no_room),   cmocka_unit_test(test_hex),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
