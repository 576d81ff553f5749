/* SPDX-License-Identifier: Apache-2.0
 *
 * Properties of what reads configuration and PKCS#11 URIs (claim 40), over made-up values
 * from a fixed seed: what is printed is read back as the same; a name that is nearly right
 * is an error, and so is a number that is not written in the one way. */
#include "reject_config.h"

/* --- PKCS#11 URIs ----------------------------------------------------------------------- */

static void test_uri_print_parse(void **unused)
{
    static char text[16384];
    (void)unused;
    for (int i = 0; i < 20 * ROUNDS; i++, cases++) {
        struct kw_uri u, v;
        struct kw_err err;
        any_uri(&u);
        assert_true(kw_uri_print(&u, text, sizeof text));
        if (kw_uri_parse(text, 0, &v, &err) != 0)
            fail_msg("refused: %s: %s", err.text, text);
        assert_memory_equal(&u, &v, sizeof u);
    }
}

/* One character more, less or other: refused, or read as just what it then says. */
static void test_uri_no_guess(void **unused)
{
    static char text[16384], again[16384];
    (void)unused;
    for (int i = 0; i < 20 * ROUNDS; i++, cases++) {
        struct kw_uri u, v;
        struct kw_err err;
        any_uri(&u);
        assert_true(kw_uri_print(&u, text, sizeof text - 2));
        size_t n = strlen(text), at = any((unsigned)n);
        switch (any(3)) {
        case 0:
            memmove(text + at, text + at + 1, n - at);
            break;
        case 1:
            memmove(text + at + 1, text + at, n - at + 1);
            text[at] = (char)(' ' + any(95));
            break;
        default:
            text[at] = (char)(' ' + any(95));
        }
        if (kw_uri_parse(text, 0, &u, &err) != 0)
            continue;
        assert_true(kw_uri_print(&u, again, sizeof again));
        assert_int_equal(kw_uri_parse(again, 0, &v, &err), 0);
        assert_memory_equal(&u, &v, sizeof u);
    }
}

/* --- configurations ---------------------------------------------------------------------- */

static void check_given(const char *text, const char *printed)
{
    char line[1024];
    for (; *text != '\0'; text += strcspn(text, "\n") + 1) {
        (void)snprintf(line, sizeof line, "\n%.*s\n", (int)strcspn(text, "\n"), text);
        if (*text != '[' && strstr(line, "= pkcs11:") == NULL &&
            strstr(line, "= https://") == NULL && strncmp(line, "\naccept", 7) != 0 &&
            strstr(printed, line) == NULL)
            fail_msg("lost:%sin %s", line, printed);
    }
}

static void forget_lines(struct kw_config *c)
{
    for (size_t i = 0; i < c->n_rules; i++)
        c->rules[i].line = 0;
}

static void test_config_print_parse(void **unused)
{
    static char text[TEXT], printed[TEXT], again[TEXT];
    static struct kw_config x, y;
    struct kw_err err;
    unsigned taken = 0;
    static bool seen[KW_K_TEXT + 1];
    (void)unused;
    for (int i = 0; i < ROUNDS; i++, cases++) {
        any_config(text, sizeof text);
        if (build(&x, text, NULL, &err) != 0)
            continue;
        taken++;
        for (const struct kw_key *k = kw_keys; k->section != NULL; k++) {
            (void)snprintf(again, sizeof again, "\n%s", k->name);
            seen[k->kind] |= strstr(text, again) != NULL;
        }
        print_config(&x, printed, sizeof printed);
        check_given(text, printed);
        if (build(&y, printed, NULL, &err) != 0)
            fail_msg("refused: %s\n%s", err.text, printed);
        print_config(&y, again, sizeof again);
        assert_string_equal(printed, again);
        forget_lines(&x);
        forget_lines(&y);
        if (memcmp(&x, &y, sizeof x) != 0)
            fail_msg("another configuration:\n%s\n%s", text, printed);
    }
    assert_in_range(taken, ROUNDS / 8, ROUNDS);
    for (const struct kw_key *k = kw_keys; k->section != NULL; k++)
        if (!seen[k->kind])
            fail_msg("%s: of its kind nothing was taken", k->name);
}

/* --- what is nearly right ------------------------------------------------------------------ */

enum { EDITS = 5 };

static bool edit(unsigned how, const char *name, char *out, size_t size)
{
    size_t n = strlen(name), at = any((unsigned)n);
    (void)snprintf(out, size, "%s", name);
    switch (how) {
    case 0: /* a letter too few */
        memmove(out + at, out + at + 1, n - at);
        break;
    case 1: /* one twice */
        memmove(out + at + 1, out + at, n - at + 1);
        break;
    case 2: /* another case */
        if (out[at] < 'a' || out[at] > 'z')
            return false;
        out[at] = (char)(out[at] - 'a' + 'A');
        break;
    case 3: /* another separator */
        if (strpbrk(out, "_.") == NULL)
            return false;
        *strpbrk(out, "_.") = '-';
        break;
    default: /* one more at the end */
        (void)snprintf(out, size, "%ss", name);
    }
    return out[0] != '\0' && strcmp(out, name) != 0;
}

static void refused(const char *text, char *const *env, const char *name)
{
    static struct kw_config c;
    struct kw_err err;
    cases++;
    if (build(&c, text, env, &err) != KW_USAGE)
        fail_msg("taken: %s", text);
    if (strstr(err.text, name) == NULL)
        fail_msg("'%s' does not name %s", err.text, name);
}

static void test_unknown_keys(void **unused)
{
    char name[128], text[512];
    (void)unused;
    for (const struct kw_key *k = kw_keys; k->section != NULL; k++)
        for (unsigned how = 0; how < 4 * EDITS; how++) {
            if (!edit(how % EDITS, k->name, name, sizeof name) ||
                kw_key_find(k->section, name) != NULL)
                continue;
            (void)snprintf(text, sizeof text, "[%s%s]\n%s = x\n", k->section,
                           kw_section_named(k->section) ? " p" : "", name);
            refused(text, NULL, name);
        }
}

static void test_keys_of_other_sections(void **unused)
{
    char text[512];
    (void)unused;
    for (const struct kw_key *k = kw_keys; k->section != NULL; k++)
        for (const struct kw_key *s = kw_keys; s->section != NULL; s++) {
            if (kw_key_find(s->section, k->name) != NULL)
                continue;
            (void)snprintf(text, sizeof text, "[%s%s]\n%s = x\n", s->section,
                           kw_section_named(s->section) ? " p" : "", k->name);
            refused(text, NULL, k->name);
        }
}

static void test_unknown_sections(void **unused)
{
    char name[128], text[512];
    (void)unused;
    for (const struct kw_key *k = kw_keys; k->section != NULL; k++)
        for (unsigned how = 0; how < EDITS; how++) {
            if (!edit(how, k->section, name, sizeof name) || kw_section_known(name))
                continue;
            (void)snprintf(text, sizeof text, "[%s]\n", name);
            refused(text, NULL, name);
        }
}

static void test_unknown_variables(void **unused)
{
    char name[128], full[256], other[300];
    (void)unused;
    for (const struct kw_key *k = kw_keys; k->section != NULL; k++)
        for (unsigned how = 0; how < EDITS; how++) {
            bool known = false;
            if (!edit(how, k->name, name, sizeof name))
                continue;
            assert_true(kw_key_variable(k->section, name, full, sizeof full - 2));
            for (const struct kw_key *o = kw_keys; o->section != NULL; o++)
                known |= o->env && kw_key_variable(o->section, o->name, other, sizeof other) &&
                         strcmp(full, other) == 0;
            if (known)
                continue;
            (void)snprintf(other, sizeof other, "%s=x", full);
            char *const env[] = {other, NULL};
            refused("[oci p]\n", env, full);
        }
}

static void test_twice(void **unused)
{
    char text[2048], value[1024];
    (void)unused;
    for (const struct kw_key *k = kw_keys; k->section != NULL; k++) {
        const char *v = any_value(k, value, sizeof value);
        const char *x = is_begin(k) ? "x" : "";
        (void)snprintf(text, sizeof text, "[%s%s]\n%s%s = %s\n%s%s = %s\n", k->section,
                       kw_section_named(k->section) ? " p" : "", k->name, x, v, k->name, x, v);
        refused(text, NULL, k->name);
    }
}

static void test_numbers(void **unused)
{
    char text[256], value[64];
    (void)unused;
    for (const struct kw_key *k = kw_keys; k->section != NULL; k++) {
        const char *const forms[] = {"0%u",  "+%u", "-%u",  "%u.0", "%ue0",
                                     "0x%x", "%u,", "%u s", "%u%%"};
        if (k->kind != KW_K_U32)
            continue;
        for (size_t i = 0; i < sizeof forms / sizeof forms[0] + 2; i++) {
            if (i < sizeof forms / sizeof forms[0]) {
                /* the forms are those above */
                size_t at = strcspn(forms[i], "%");
                (void)snprintf(value, sizeof value, "%.*s%u%s", (int)at, forms[i], k->min + 1,
                               forms[i] + at + 2);
            } else
                (void)snprintf(value, sizeof value, "%llu",
                               i % 2 == 0 ? (unsigned long long)k->max + 1
                                          : (1ULL << 32) + k->min + 1);
            (void)snprintf(text, sizeof text, "[%s%s]\n%s = %s\n", k->section,
                           kw_section_named(k->section) ? " p" : "", k->name, value);
            refused(text, NULL, k->name);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uri_print_parse),
        cmocka_unit_test(test_uri_no_guess),
        cmocka_unit_test(test_config_print_parse),
        cmocka_unit_test(test_unknown_keys),
        cmocka_unit_test(test_keys_of_other_sections),
        cmocka_unit_test(test_unknown_sections),
        cmocka_unit_test(test_unknown_variables),
        cmocka_unit_test(test_twice),
        cmocka_unit_test(test_numbers),
    };
    int r = cmocka_run_group_tests(tests, NULL, NULL);
    (void)printf("%lu cases\n", cases);
    return r;
}
