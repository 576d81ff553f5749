/* SPDX-License-Identifier: Apache-2.0
 *
 * Regular expressions: the vectors of re_vectors.txt, laws, and that time stays linear. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/cel/re.h"

static const char *outcome(const char *pattern, size_t n, const char *text, size_t len)
{
    struct kw_re *re;
    size_t at;
    const char *reason = NULL;
    enum kw_re_parsed r = kw_re_compile(pattern, n, &re, &at, &reason);
    const char *o = r == KW_RE_BAD ? "bad" : "beyond";
    if (r == KW_RE_GOOD) {
        uint64_t left = UINT64_MAX;
        o = kw_re_search(re, text, len, &left) == KW_RE_YES ? "y" : "n";
        assert_string_equal(kw_re_search(re, text, len, &left) == KW_RE_YES ? "y" : "n",
                            o); /* it may be used again */
    } else {
        assert_null(re);
        assert_non_null(reason);
        assert_true(at <= n);
    }
    kw_re_free(re);
    return o;
}

static const char *of(const char *pattern, const char *text)
{
    return outcome(pattern, strlen(pattern), text, strlen(text));
}

static void unescape(char *s)
{
    char *to = s;
    for (; *s != '\0'; s++) {
        if (s[0] == '\\' && (s[1] == 'n' || s[1] == 't' || s[1] == 'e')) {
            s++;
            if (*s != 'e')
                *to++ = *s == 'n' ? '\n' : '\t';
        } else {
            *to++ = *s;
        }
    }
    *to = '\0';
}

static void test_vectors(void **state)
{
    (void)state;
    FILE *f = fopen(KW_VECTORS "/re_vectors.txt", "r");
    char line[1024];
    unsigned number = 0, vectors = 0, bad = 0;
    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        number++;
        if (line[0] == '#' || line[0] == '\0')
            continue;
        char *text = strchr(line, '\t'), *wanted = strrchr(line, '\t');
        if (text == NULL || wanted == text)
            fail_msg("line %u has not three fields", number);
        *text++ = *wanted++ = '\0';
        if (strcmp(line, "\\e") == 0)
            line[0] = '\0';
        unescape(text);
        const char *got = of(line, text);
        if (strcmp(got, wanted) != 0) {
            print_message("line %u: %s on '%s': %s, wanted %s\n", number, line, text, got, wanted);
            bad++;
        }
        vectors++;
    }
    (void)fclose(f);
    print_message("%u vectors\n", vectors);
    assert_true(vectors > 250);
    assert_int_equal(bad, 0);
}

/* A pattern made of quoted text finds that text and no other, bytes of all kinds included. */
static void test_quoting(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (unsigned round = 0; round < 2000; round++) {
        char text[16], pattern[64] = "^";
        size_t n = 0, at = 1;
        for (unsigned i = 0; i < 8; i++) {
            seed = seed * 1103515245u + 12345u;
            char c = (char)(1 + (seed >> 16) % 126);
            text[n++] = c;
            bool letter =
                (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
            at +=
                (size_t)snprintf(pattern + at, sizeof pattern - at, "%s%c", letter ? "" : "\\", c);
        }
        (void)snprintf(pattern + at, sizeof pattern - at, "$");
        text[n] = '\0';
        assert_string_equal(of(pattern, text), "y");
        text[seed % 8] = (char)(text[seed % 8] ^ 1 ? text[seed % 8] ^ 1 : 2);
        assert_string_equal(of(pattern, text), "n");
    }
}

/* x|y is found where x or y is; x is found where (?:x)|(?:x), (x), x{1}, (?:x)+ are. */
static void test_laws(void **state)
{
    (void)state;
    static const char *const parts[] = {"a",   "b+",  "[^a]b", "^a",    "b$",   "\\bab", "(a|b)c",
                                        "a.b", "a*c", "",      "(?i)A", "x{2}", "\\d"};
    static const char *const texts[] = {"",   "a",    "b", "ab", "abc", "xx",
                                        "ba", "a\nb", "1", "A",  "cab"};
    enum { PARTS = sizeof parts / sizeof parts[0], TEXTS = sizeof texts / sizeof texts[0] };
    for (size_t i = 0; i < PARTS; i++)
        for (size_t t = 0; t < TEXTS; t++) {
            static const char *const same[] = {"(?:%s)|(?:%s)", "(%s)", "(?:%s){1}", "(?:%s)+"};
            char pattern[128];
            bool x = of(parts[i], texts[t])[0] == 'y';
            for (size_t s = 0; s < 4; s++) {
                size_t n = 0;
                for (const char *p = same[s]; *p != '\0'; p++)
                    if (p[0] == '%' && p[1] == 's') {
                        n += (size_t)snprintf(pattern + n, sizeof pattern - n, "%s", parts[i]);
                        p++;
                    } else {
                        n += (size_t)snprintf(pattern + n, sizeof pattern - n, "%c", *p);
                    }
                assert_int_equal(of(pattern, texts[t])[0] == 'y', x);
            }
            for (size_t k = 0; k < PARTS; k++) {
                bool y = of(parts[k], texts[t])[0] == 'y';
                (void)snprintf(pattern, sizeof pattern, "(?:%s)|(?:%s)", parts[i], parts[k]);
                assert_int_equal(of(pattern, texts[t])[0] == 'y', x || y);
            }
        }
}

/* What a backtracking matcher would never be done with, and one of quadratic time not before
 * the test's time is over. */
static void test_linear(void **state)
{
    (void)state;
    static const char *const patterns[] = {"(a*)*b",       "(a|a)*b",  "(a|aa)+$b",
                                           "^(.*a){12}b$", "(x+x+)+y", "a.*b"};
    enum { LENGTH = 400000 };
    char *text = malloc(LENGTH);
    assert_non_null(text);
    memset(text, 'a', LENGTH);
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++)
        assert_string_equal(outcome(patterns[i], strlen(patterns[i]), text, LENGTH), "n");
    free(text);
}

static void test_bounds(void **state)
{
    (void)state;
    static char pattern[KW_RE_PATTERN + 2];
    memset(pattern, 'a', sizeof pattern);
    assert_string_equal(outcome(pattern, sizeof pattern, "a", 1), "beyond");
    assert_string_equal(outcome(pattern, KW_RE_PROGRAM - 1, "a", 1), "n");
    assert_string_equal(outcome(pattern, KW_RE_PROGRAM, "a", 1), "beyond");
    memset(pattern, '(', sizeof pattern);
    assert_string_equal(outcome(pattern, KW_RE_PATTERN, "a", 1), "beyond");
    memset(pattern, '[', sizeof pattern);
    assert_string_equal(outcome(pattern, KW_RE_PATTERN, "a", 1), "bad");
    memset(pattern, '|', sizeof pattern);
    assert_true(outcome(pattern, KW_RE_PATTERN, "a", 1)[0] != 'n');
    for (size_t i = 0; i + 4 <= KW_RE_PATTERN; i += 4)
        memcpy(pattern + i, "[\\W]", 4);
    assert_true(outcome(pattern, KW_RE_PATTERN, "a", 1)[0] != 'y');
    assert_string_equal(outcome("a\0b", 3, "xa\0bx", 5), "y"); /* a NUL is a character */
    assert_string_equal(outcome("a\0b", 3, "xabx", 4), "n");
}

/* As many steps as are given, and not one more. */
static void test_steps(void **state)
{
    (void)state;
    struct kw_re *re;
    size_t at;
    const char *reason;
    uint64_t left = 1000000, used;
    assert_int_equal(kw_re_compile("a+b$", 4, &re, &at, &reason), KW_RE_GOOD);
    assert_int_equal(kw_re_search(re, "aaaaaaaaab", 10, &left), KW_RE_YES);
    used = 1000000 - left;
    assert_in_range(used, 10, 200);
    left = used;
    assert_int_equal(kw_re_search(re, "aaaaaaaaab", 10, &left), KW_RE_YES);
    assert_int_equal(left, 0);
    for (uint64_t few = 0; few < used; few++) {
        left = few;
        assert_int_equal(kw_re_search(re, "aaaaaaaaab", 10, &left), KW_RE_TOO_MUCH);
        assert_int_equal(left, 0);
    }
    kw_re_free(re);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors), cmocka_unit_test(test_quoting),
        cmocka_unit_test(test_laws),    cmocka_unit_test(test_linear),
        cmocka_unit_test(test_bounds),  cmocka_unit_test(test_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
