/* SPDX-License-Identifier: Apache-2.0
 *
 * CEL: the vectors of cel_vectors.txt, the laws that the language promises, and the bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "src/cel/cel.h"

static const char CLAIMS[] =
    "{\"sub\":\"repo:octo/shop:ref:refs/heads/main\",\"ref\":\"refs/heads/main\","
    "\"repository\":\"octo/shop\",\"repository_owner\":\"octo\",\"repository_owner_id\":\"4242\","
    "\"repository_visibility\":\"private\",\"protected\":\"true\",\"run\":\"12345\","
    "\"region\":\"eu\",\"key\":\"region\",\"number\":5,\"one\":1,\"million\":1000000,"
    "\"huge\":9007199254740993,\"real\":1.5,\"nothing\":null,\"yes\":true,"
    "\"groups\":[\"dev\",\"qa\",\"ops\"],\"oidc.circleci.com/project-id\":\"0a1b\","
    "\"kubernetes.io\":{\"namespace\":\"build\",\"serviceaccount\":{\"name\":\"deployer\"}}}";

static const char *const names[] = {"assertion", NULL};
static json_t *claims;

static int set_up(void **state)
{
    (void)state;
    claims = json_loads(CLAIMS, 0, NULL);
    return claims == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    json_decref(claims);
    return 0;
}

static void run_n(const char *text, size_t n, struct kw_cel_result *r)
{
    struct kw_cel *c;
    json_t *const values[] = {claims};
    const struct kw_cel_env env = {names, values, NULL, NULL};
    if (kw_cel_parse(text, n, names, &c, r) == KW_CEL_VALUE)
        kw_cel_eval(c, &env, r);
    else
        assert_null(c);
    kw_cel_free(c);
}

static void run(const char *text, struct kw_cel_result *r)
{
    run_n(text, strlen(text), r);
}

/* What a result is, in the words of the vectors. */
static void outcome(const struct kw_cel_result *r, char *out, size_t size)
{
    char *dump = r->value != NULL ? json_dumps(r->value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    static const char *const words[] = {"", "!error", "!not-true", "!unknown", "!syntax"};
    if (r->is == KW_CEL_SYNTAX)
        (void)snprintf(out, size, "!syntax %zu", r->at);
    else
        (void)snprintf(out, size, "%s", r->is == KW_CEL_VALUE ? dump : words[r->is]);
    free(dump);
}

static bool as_expected(const struct kw_cel_result *r, const char *wanted)
{
    char got[512];
    if (wanted[0] == '!') {
        outcome(r, got, sizeof got);
        return strcmp(got, wanted) == 0;
    }
    json_t *v = json_loads(wanted, JSON_DECODE_ANY, NULL);
    assert_non_null(v);
    bool same = r->is == KW_CEL_VALUE && json_equal(r->value, v);
    json_decref(v);
    return same;
}

static unsigned one_vector(char *line, unsigned number)
{
    char *mark = NULL;
    for (char *p = line; (p = strstr(p, " ==> ")) != NULL; p++)
        mark = p;
    if (mark == NULL)
        fail_msg("line %u has no outcome", number);
    *mark = '\0';
    struct kw_cel_result r;
    run(line, &r);
    char got[512];
    outcome(&r, got, sizeof got);
    bool good = as_expected(&r, mark + 5);
    if (r.is != KW_CEL_VALUE) { /* whatever goes wrong is told, and where */
        assert_true(r.text[0] != '\0');
        assert_null(r.value);
        assert_true(r.at >= 1 && r.at <= strlen(line) + 1);
    }
    kw_cel_result_free(&r);
    if (!good)
        print_message("line %u: %s\n  wanted %s\n  got    %s (%s)\n", number, line, mark + 5, got,
                      r.text);
    return good ? 0 : 1;
}

static void test_vectors(void **state)
{
    (void)state;
    FILE *f = fopen(KW_VECTORS "/cel_vectors.txt", "r");
    char line[1024];
    unsigned number = 0, vectors = 0, bad = 0;
    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        number++;
        if (line[0] == '#' || line[0] == '\0')
            continue;
        vectors++;
        bad += one_vector(line, number);
    }
    (void)fclose(f);
    print_message("%u vectors\n", vectors);
    assert_true(vectors > 500);
    assert_int_equal(bad, 0);
}

/* Operands that come to each kind of outcome. */
static const char *const operands[] = {
    "true",  "false", "assertion.absent", "assertion.yes == true",
    "foo()", "'a'",   "1 == '1'",         "assertion.yes"};
enum { OPERANDS = sizeof operands / sizeof operands[0] };

static void outcome_of(char *out, size_t size, const char *fmt, const char *a, const char *b,
                       const char *c)
{
    char text[512];
    struct kw_cel_result r;
    const char *part[3] = {a, b, c};
    size_t n = 0, next = 0;
    for (const char *p = fmt; *p != '\0'; p++)
        if (*p == '#')
            n += (size_t)snprintf(text + n, sizeof text - n, "(%s)", part[next++]);
        else
            n += (size_t)snprintf(text + n, sizeof text - n, "%c", *p);
    run(text, &r);
    outcome(&r, out, size);
    kw_cel_result_free(&r);
}

static void test_laws(void **state)
{
    (void)state;
    char x[64], y[64];
    for (size_t i = 0; i < OPERANDS; i++)
        for (size_t k = 0; k < OPERANDS; k++) {
            const char *a = operands[i], *b = operands[k];
            static const char *const both[] = {"# && #", "# || #", "# == #", "# != #"};
            for (size_t f = 0; f < 4; f++) { /* commutative, errors and all */
                outcome_of(x, sizeof x, both[f], a, b, NULL);
                outcome_of(y, sizeof y, both[f], b, a, NULL);
                if (strcmp(x, y) != 0)
                    fail_msg("%s of %s and %s: %s, the other way round %s", both[f], a, b, x, y);
            }
            for (size_t m = 0; m < OPERANDS; m++) {
                const char *c = operands[m];
                outcome_of(x, sizeof x, "(# && #) && #", a, b, c);
                outcome_of(y, sizeof y, "# && (# && #)", a, b, c);
                assert_string_equal(x, y);
                outcome_of(y, sizeof y, "# && # && #", a, b, c);
                assert_string_equal(x, y);
                outcome_of(x, sizeof x, "(# || #) || #", a, b, c);
                outcome_of(y, sizeof y, "# || # || #", a, b, c);
                assert_string_equal(x, y);
            }
        }
}

/* What is claimed of NOT_TRUE and ERROR: never true, whatever they are joined with. */
static void test_obstacles_stay(void **state)
{
    (void)state;
    char x[64];
    for (size_t i = 0; i < OPERANDS; i++) {
        outcome_of(x, sizeof x, "# && #", operands[i], "assertion.absent", NULL);
        assert_true(strcmp(x, "!error") == 0 || strcmp(x, "!not-true") == 0 ||
                    strcmp(x, "false") == 0);
        outcome_of(x, sizeof x, "# && #", operands[i], "1 == '1'", NULL);
        assert_true(strcmp(x, "!error") == 0 || strcmp(x, "!not-true") == 0 ||
                    strcmp(x, "false") == 0);
    }
}

static void repeat(char *out, size_t size, const char *before, const char *unit, unsigned n,
                   const char *after)
{
    size_t at = (size_t)snprintf(out, size, "%s", before);
    for (unsigned i = 0; i < n; i++)
        at += (size_t)snprintf(out + at, size - at, "%s", unit);
    (void)snprintf(out + at, size - at, "%s", after);
    assert_true(at + strlen(after) < size);
}

static void expect(const char *text, const char *wanted)
{
    struct kw_cel_result r;
    char got[256];
    run(text, &r);
    outcome(&r, got, sizeof got);
    if (strcmp(got, wanted) != 0)
        fail_msg("%.60s...: %s, wanted %s (%s)", text, got, wanted, r.text);
    kw_cel_result_free(&r);
}

static void test_sizes_that_must_work(void **state)
{
    (void)state;
    char text[4096];
    repeat(text, sizeof text, "true", " && true", 40, "");
    expect(text, "true");
    repeat(text, sizeof text, "false", " || false", 40, " || true");
    expect(text, "true");
    repeat(text, sizeof text, "0", " + 1", 100, " == 100");
    expect(text, "true");
    repeat(text, sizeof text, "1", " == 1 == true", 1, "");
    expect(text, "true");
    repeat(text, sizeof text, "", "(", 40, "1");
    repeat(text + strlen(text), sizeof text - strlen(text), "", ")", 40, "");
    expect(text, "1");
    repeat(text, sizeof text, "", "[", 40, "1");
    repeat(text + strlen(text), sizeof text - strlen(text), "", "]", 40, "");
    repeat(text + strlen(text), sizeof text - strlen(text), "", "[0]", 40, "");
    expect(text, "1");
    repeat(text, sizeof text, "", "!", 64, "true");
    expect(text, "true");
    repeat(text, sizeof text, "[0", ", 1", 200, "][200]");
    expect(text, "1");
    repeat(text, sizeof text, "", "true ? ", 1, "1 : 2");
    expect(text, "1");
    repeat(text, sizeof text, "", "false ? 1 : ", 40, "2");
    expect(text, "2");
    repeat(text, sizeof text, "'", "x", 3000, "'.size()");
    expect(text, "3000");
    char more[4096];
    size_t n = (size_t)snprintf(more, sizeof more, "size({");
    for (unsigned i = 0; i < 40; i++)
        n += (size_t)snprintf(more + n, sizeof more - n, "'k%u': %u,", i, i);
    (void)snprintf(more + n, sizeof more - n, "})");
    expect(more, "40");
}

static void test_sizes_that_are_refused(void **state)
{
    (void)state;
    static char text[KW_CEL_SOURCE + 64];
    repeat(text, sizeof text, "", "(", 5000, "1");
    expect(text, "!unknown");
    repeat(text, sizeof text, "", "[", 5000, "");
    expect(text, "!unknown");
    repeat(text, sizeof text, "", "!", 5000, "true");
    expect(text, "!unknown");
    repeat(text, sizeof text, "", "-", 5000, "1");
    expect(text, "!unknown");
    repeat(text, sizeof text, "1", "+1", 5000, "");
    expect(text, "!unknown");
    repeat(text, sizeof text, "[1", ",1", 5000, "]");
    expect(text, "!unknown");
    repeat(text, sizeof text, "true", "?1:true", 2000, "?1:1");
    expect(text, "!unknown");
    repeat(text, sizeof text, "", "f(", 5000, "");
    expect(text, "!unknown");
    repeat(text, sizeof text, "assertion", ".a", 5000, "");
    expect(text, "!unknown");
    repeat(text, sizeof text, "", "a", KW_CEL_SOURCE + 1, "");
    expect(text, "!unknown");
    /* strings and lists that grow */
    repeat(text, sizeof text, "('", "0123456789abcdef", 500, "'");
    repeat(text + strlen(text), sizeof text - strlen(text), ").split('0').join('", "x", 200,
           "').size() > 0");
    expect(text, "!unknown");
    repeat(text, sizeof text, "'", ":", 5000, "'.split(':')");
    expect(text, "!unknown");
}

static void test_not_text(void **state)
{
    (void)state;
    struct kw_cel_result r;
    run_n("'\xff'", 3, &r);
    assert_int_equal(r.is, KW_CEL_SYNTAX);
    run_n("'a\0b'", 5, &r); /* a NUL in a string is a character as others */
    assert_int_equal(r.is, KW_CEL_VALUE);
    assert_int_equal(json_string_length(r.value), 3);
    kw_cel_result_free(&r);
    run_n("1\0", 2, &r);
    assert_int_equal(r.is, KW_CEL_SYNTAX);
    assert_int_equal(r.at, 2);
    run_n("'\r'", 3, &r);
    assert_int_equal(r.is, KW_CEL_SYNTAX);
    run_n("'''\r\n'''", 8, &r);
    assert_int_equal(r.is, KW_CEL_UNKNOWN);
    run_n("'''\n'''", 7, &r);
    assert_string_equal(json_string_value(r.value), "\n");
    kw_cel_result_free(&r);
}

static void test_terms(void **state)
{
    (void)state;
    static const char text[] = "assertion.ref == 'x' && (assertion.sub != '' && has(assertion.q)) "
                               "&& ('a' in ['a'] || 1 == 2)";
    static const char *const wanted[] = {"assertion.ref == 'x'", "assertion.sub != ''",
                                         "has(assertion.q)", "('a' in ['a'] || 1 == 2)"};
    static const char *const outcomes[] = {"false", "true", "false", "true"};
    struct kw_cel *c;
    struct kw_cel_result r;
    json_t *const values[] = {claims};
    const struct kw_cel_env env = {names, values, NULL, NULL};
    assert_int_equal(kw_cel_parse(text, sizeof text - 1, names, &c, &r), KW_CEL_VALUE);
    assert_int_equal(kw_cel_terms(c), 4);
    for (size_t i = 0; i < 4; i++) {
        size_t n;
        char got[64];
        const char *term = kw_cel_term_text(c, i, &n);
        assert_int_equal(n, strlen(wanted[i]));
        assert_memory_equal(term, wanted[i], n);
        kw_cel_eval_term(c, i, &env, &r);
        outcome(&r, got, sizeof got);
        assert_string_equal(got, outcomes[i]);
        kw_cel_result_free(&r);
    }
    json_t *seen = kw_cel_term_values(c, 0, &env);
    assert_int_equal(json_array_size(seen), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(seen, 0), "value")),
                        "refs/heads/main");
    json_decref(seen);
    seen = kw_cel_term_values(c, 2, &env); /* absent: a path without a value */
    assert_string_equal(json_string_value(json_object_get(json_array_get(seen, 0), "path")),
                        "assertion.q");
    assert_null(json_object_get(json_array_get(seen, 0), "value"));
    json_decref(seen);
    kw_cel_free(c);
}

static void note(void *arg, const char *variable, const char *name)
{
    char *all = arg;
    size_t n = strlen(all);
    (void)snprintf(all + n, 256 - n, "%s.%s ", variable != NULL ? variable : "'",
                   name != NULL ? name : "*");
}

static void test_walk(void **state)
{
    (void)state;
    static const char text[] = "assertion.a == 'x' && assertion['b'].c[assertion.d] in assertion";
    char all[256] = "";
    struct kw_cel *c;
    struct kw_cel_result r;
    assert_int_equal(kw_cel_parse(text, sizeof text - 1, names, &c, &r), KW_CEL_VALUE);
    kw_cel_walk(c, note, all);
    assert_string_equal(all, "assertion.a '.x assertion.b assertion.d assertion.* ");
    kw_cel_free(c);
}

/* A member that can't be told is unknown wherever it matters, and only there. */
static void test_unknown_members(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum kw_cel_is is;
    } cases[] = {
        {"assertion.u == 'a'", KW_CEL_UNKNOWN},     {"assertion['u'] == 'a'", KW_CEL_UNKNOWN},
        {"has(assertion.u)", KW_CEL_UNKNOWN},       {"assertion['' + 'u'] == 'a'", KW_CEL_UNKNOWN},
        {"size(assertion) == 1", KW_CEL_UNKNOWN},   {"'u' in assertion", KW_CEL_UNKNOWN},
        {"assertion == assertion", KW_CEL_UNKNOWN}, {"assertion.ref == 'a'", KW_CEL_VALUE},
        {"has(assertion.ref)", KW_CEL_VALUE},       {"true || assertion.u == 'a'", KW_CEL_VALUE},
    };
    json_t *unknown = json_pack("{s:s}", "assertion.u", "can't be told");
    json_t *const values[] = {claims};
    const struct kw_cel_env env = {names, values, unknown, NULL};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kw_cel *c;
        struct kw_cel_result r;
        assert_int_equal(kw_cel_parse(cases[i].text, strlen(cases[i].text), names, &c, &r),
                         KW_CEL_VALUE);
        kw_cel_eval(c, &env, &r);
        if (r.is != cases[i].is)
            fail_msg("%s: %d %s", cases[i].text, (int)r.is, r.text);
        if (r.is == KW_CEL_UNKNOWN)
            assert_non_null(strstr(r.text, "assertion.u can't be told"));
        kw_cel_result_free(&r);
        kw_cel_free(c);
    }
    json_decref(unknown);
}

/* The path that is absent is named as it was written. */
static void test_absent_is_named(void **state)
{
    (void)state;
    struct kw_cel_result r;
    run("true && assertion.environment == 'prod'", &r);
    assert_int_equal(r.is, KW_CEL_ERROR);
    assert_non_null(strstr(r.text, "assertion.environment is absent"));
    assert_int_equal(r.at, 19);
    run("'\u00e9\u00e9' == assertion['kubernetes.io'].node.name", &r);
    assert_non_null(strstr(r.text, "assertion['kubernetes.io'].node is absent"));
    assert_int_equal(r.at, 36); /* characters, not bytes */
}

/* Under the sanitizers, too, and counted in the processor's time: the machine may be busy. */
static void in_time(clock_t began)
{
    assert_true((double)(clock() - began) / CLOCKS_PER_SEC < 1.0);
}

/* Source and claims as large as they may be, and patterns that are in every state at once. */
static void test_work_is_bounded(void **state)
{
    (void)state;
    static char text[KW_CEL_SOURCE], claim[12 * 1024 + 1];
    size_t at = 0, n;
    memset(claim, 'a', sizeof claim - 1);
    for (int i = 0; i < 8; i++) {
        at += (size_t)snprintf(text + at, sizeof text - at, "%sassertion.big.matches('^",
                               i > 0 ? " || " : "");
        for (n = 0; n < 650; n++)
            at += (size_t)snprintf(text + at, sizeof text - at, "a?");
        for (n = 0; n < 650; n++)
            at += (size_t)snprintf(text + at, sizeof text - at, "%c", 'a');
        at += (size_t)snprintf(text + at, sizeof text - at, "x')");
    }
    json_t *big = json_pack("{s:s}", "big", claim);
    json_t *const values[] = {big};
    const struct kw_cel_env env = {names, values, NULL, NULL};
    struct kw_cel *c;
    struct kw_cel_result r;
    clock_t began = clock();
    assert_int_equal(kw_cel_parse(text, at, names, &c, &r), KW_CEL_VALUE);
    kw_cel_eval(c, &env, &r);
    assert_int_equal(r.is, KW_CEL_UNKNOWN);
    assert_non_null(strstr(r.text, "too much work"));
    in_time(began);
    kw_cel_free(c);
    /* Without a pattern: long values that are compared again and again. */
    memset(text, 0, sizeof text);
    at = (size_t)snprintf(text, sizeof text, "assertion.big == ''");
    while (at + 40 < sizeof text)
        at += (size_t)snprintf(text + at, sizeof text - at,
                               " || assertion.big in [assertion.big + 'x']");
    uint64_t few = 100000;
    const struct kw_cel_env less = {names, values, NULL, &few};
    began = clock();
    assert_int_equal(kw_cel_parse(text, at, names, &c, &r), KW_CEL_VALUE);
    kw_cel_eval(c, &less, &r);
    assert_int_equal(r.is, KW_CEL_UNKNOWN);
    assert_non_null(strstr(r.text, "too much work"));
    assert_int_equal(few, 0);
    in_time(began);
    /* What decides without work still does. */
    kw_cel_free(c);
    few = 2;
    assert_int_equal(kw_cel_parse("true || assertion.big == ''", 27, names, &c, &r), KW_CEL_VALUE);
    kw_cel_eval(c, &less, &r);
    assert_int_equal(r.is, KW_CEL_VALUE);
    kw_cel_result_free(&r);
    kw_cel_free(c);
    json_decref(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_laws),
        cmocka_unit_test(test_obstacles_stay),
        cmocka_unit_test(test_sizes_that_must_work),
        cmocka_unit_test(test_sizes_that_are_refused),
        cmocka_unit_test(test_not_text),
        cmocka_unit_test(test_terms),
        cmocka_unit_test(test_walk),
        cmocka_unit_test(test_unknown_members),
        cmocka_unit_test(test_absent_is_named),
        cmocka_unit_test(test_work_is_bounded),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
