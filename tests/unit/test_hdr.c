/* SPDX-License-Identifier: Apache-2.0
 *
 * Header lines: what is taken can't be read in two ways, and no line can smuggle another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "src/wire/hdr.h"

static void test_next(void **state)
{
    (void)state;
    const char *p = "(request-target)\nhost\nx-A: b c\nempty: \nd:  e \n";
    static const char *const want[][2] = {
        {"(request-target)", ""}, {"host", ""}, {"x-A", "b c"}, {"empty", ""}, {"d", " e "}};
    char name[32], value[32];
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        assert_int_equal(kw_hdr_next(&p, name, sizeof name, value, sizeof value), 1);
        assert_string_equal(name, want[i][0]);
        assert_string_equal(value, want[i][1]);
    }
    assert_int_equal(kw_hdr_next(&p, name, sizeof name, value, sizeof value), 0);
    assert_int_equal(kw_hdr_next(&p, name, sizeof name, value, sizeof value), 0);
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\n",
        "a: b",
        "a:b\n",
        "a:\n",
        ": b\n",
        "a : b\n",
        "a b: c\n",
        "a: b\rc\n",
        "a: b\r\n",
        " a: b\n",
        "\ta: b\n",
        "a: \x7f\n",
        "a: \x80\n",
        "a: \x01\n",
        "\xc3\xbc: b\n",
        "(host)\n",
        "(request-target): x\n",
        "a(b): c\n",
        "a\n b: c\n\n",
        "a/b: c\n",
        "a=b: c\n",
        "request target\n",
        "(request-target \n",
    };
    char name[32], value[32];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *p = bad[i];
        int r = 1;
        for (int line = 0; r == 1 && line < 8; line++)
            r = kw_hdr_next(&p, name, sizeof name, value, sizeof value);
        if (r != -1)
            print_error("taken: %s", bad[i]);
        assert_int_equal(r, -1);
        assert_int_equal(kw_hdr_count(bad[i], "x"), -1);
        const char *at = p; /* a malformed line is not stepped over */
        assert_int_equal(kw_hdr_next(&p, name, sizeof name, value, sizeof value), -1);
        assert_ptr_equal(p, at);
    }
}

static void test_bounds(void **state)
{
    (void)state;
    char name[4], value[4];
    const char *p = "abc: def\n";
    assert_int_equal(kw_hdr_next(&p, name, sizeof name, value, sizeof value), 1);
    p = "abcd: def\n";
    assert_int_equal(kw_hdr_next(&p, name, sizeof name, value, sizeof value), -1);
    p = "abc: defg\n";
    assert_int_equal(kw_hdr_next(&p, name, sizeof name, value, sizeof value), -1);
}

static void test_find_and_count(void **state)
{
    (void)state;
    char value[16];
    static const char lines[] = "Date: now\nDATE: later\nx-date: z\ndat: q\n";
    assert_true(kw_hdr_find(lines, "date", value, sizeof value));
    assert_string_equal(value, "now");
    assert_int_equal(kw_hdr_count(lines, "dAtE"), 2);
    assert_int_equal(kw_hdr_count(lines, "dates"), 0);
    assert_false(kw_hdr_find(lines, "dates", value, sizeof value));
    assert_false(kw_hdr_find(lines, "x-date", value, 1));
    assert_false(kw_hdr_find("bad\r\ndate: x\n", "date", value, sizeof value));
    assert_int_equal(kw_hdr_count("", "date"), 0);
    /* a long line before it hides nothing */
    static char big[16000];
    memset(big, 'v', sizeof big);
    memcpy(big, "a: ", 3);
    (void)snprintf(big + 12000, sizeof big - 12000, "\ndate: x\ndate: y\n");
    assert_true(kw_hdr_find(big, "date", value, sizeof value));
    assert_string_equal(value, "x");
    assert_int_equal(kw_hdr_count(big, "date"), 2);
    assert_false(kw_hdr_find(big, "a", value, sizeof value));
}

static void test_add(void **state)
{
    (void)state;
    char lines[16] = "";
    assert_true(kw_hdr_add(lines, sizeof lines, "a", "b"));
    assert_true(kw_hdr_add(lines, sizeof lines, "cde", "fgh"));
    assert_string_equal(lines, "a: b\ncde: fgh\n");
    assert_false(kw_hdr_add(lines, sizeof lines, "i", ""));
    assert_string_equal(lines, "a: b\ncde: fgh\n");
    char exact[6] = "";
    assert_true(kw_hdr_add(exact, sizeof exact, "a", "b")); /* to the last byte */
    char small[5] = "";
    assert_false(kw_hdr_add(small, sizeof small, "a", "b"));
    static const char *const bad[][2] = {
        {"", "x"},     {"a b", "x"},      {"a:", "x"},
        {"a\n", "x"},  {"a", "x\ny"},     {"a", "x\r"},
        {"a", "\x7f"}, {"a", "\xc3\xbc"}, {"(request-target)", "x"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char to[64] = "";
        assert_false(kw_hdr_add(to, sizeof to, bad[i][0], bad[i][1]));
        assert_string_equal(to, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next),   cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bounds), cmocka_unit_test(test_find_and_count),
        cmocka_unit_test(test_add),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
