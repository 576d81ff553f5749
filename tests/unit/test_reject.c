/* SPDX-License-Identifier: Apache-2.0
 *
 * Properties of what reads configuration and PKCS#11 URIs (claim 40), over made-up values
 * from a fixed seed: what is printed is read back as the same; a name that is nearly right
 * is an error, and so is a number that is not written in the one way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/config_keys.h"

enum { ROUNDS = 400, TEXT = 65536 };

static uint64_t state = 0x5eed;
static unsigned long cases;

static unsigned any(unsigned n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)(state >> 20) % n;
}

static int build(struct kw_config *c, const char *text, char *const *env, struct kw_err *err)
{
    static struct kw_ini ini;
    *err = (struct kw_err){.code = KW_OK};
    int r = kw_ini_parse(text, strlen(text), "k.ini", &ini, err);
    if (r == 0)
        r = kw_config_build(c, &ini, NULL, env, err);
    kw_ini_free(&ini);
    return r;
}

/* --- PKCS#11 URIs ----------------------------------------------------------------------- */

/* Any text that a label can be: printable, UTF-8. */
static void any_text(char *out, size_t size)
{
    static const char *const letters[] = {"a", "Z", "0", " ", ";", "?",  "&", "=", "%", "/",
                                          "|", "~", "-", "é", "€", "\"", "'", "+", "#", "\\"};
    size_t n = 0, want = any((unsigned)size);
    out[0] = '\0';
    while (n < want) {
        const char *one = letters[any(sizeof letters / sizeof letters[0])];
        if (n + strlen(one) >= size)
            break;
        n += (size_t)snprintf(out + n, size - n, "%s", one);
    }
}

static void any_uri(struct kw_uri *u)
{
    static const char *const types[] = {"", "private", "public", "cert"};
    memset(u, 0, sizeof *u);
    any_text(u->token, sizeof u->token);
    any_text(u->manufacturer, sizeof u->manufacturer);
    any_text(u->serial, sizeof u->serial);
    any_text(u->model, sizeof u->model);
    any_text(u->object, sizeof u->object);
    for (u->id_len = any(sizeof u->id + 1); any(2) == 0 && u->id_len > 0; u->id_len--)
        continue;
    for (size_t i = 0; i < u->id_len; i++)
        u->id[i] = (unsigned char)any(256);
    (void)snprintf(u->type, sizeof u->type, "%s", types[any(4)]);
    u->module_path[0] = u->pin_source[0] = '/';
    any_text(u->module_path + 1, 200);
    any_text(u->pin_source + 1, 200);
}

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

/* Keys that end in '.' stand for all they begin: ends that make names of them. */
static bool is_begin(const struct kw_key *k)
{
    return k->name[strlen(k->name) - 1] == '.';
}

static const char *const *any_ends(const struct kw_key *k)
{
    static const char *const claims[] = {"sub", "a/b", "repository_id", NULL};
    static const char *const headers[] = {"Metadata", "x-a", "X_b.1", NULL};
    static const char *const named[] = {"google.subject", "attribute.a-b", "x", NULL};
    static const char *const none[] = {"", NULL};
    if (!is_begin(k))
        return none;
    return k->kind == KW_K_HEADER ? headers : k->kind == KW_K_NAMED ? named : claims;
}

/* A value that the key takes. */
static const char *any_value(const struct kw_key *k, char *out, size_t size)
{
    static const char *const values[][3] = {
        [KW_K_WORD] = {"a", "ocid1.user.oc1..aaaa", "x/y=z;w"},
        [KW_K_WORDS] = {"a", "configdir='sql:/p' flags=readWrite", "x=1;y /z a@b.test"},
        [KW_K_COMMAND] = {"cat /run/token", "f 'a b'; g", "printf \"%s\""},
        [KW_K_PATH] = {"/a", "/run/b c", "/x;y"},
        [KW_K_NAME] = {"A", "CI_TOKEN", "_x1"},
        [KW_K_NAMES] = {"A", "A B_C", "x1 y2 z3"},
        [KW_K_OBJECT] = {"pkcs11:object=a", "pkcs11:id=%01%FF", "pkcs11:object=b%20c;type=private"},
        [KW_K_TOKEN] = {"pkcs11:token=a?module-path=/m.so",
                        "pkcs11:serial=1;model=m?module-path=/m%20n.so&pin-source=/p",
                        "pkcs11:token=%C3%A9?module-path=/m.so"},
        [KW_K_PIN] = {"prompt", "fd:7", "file:/run/pin"},
        [KW_K_SECRET] = {"fd:0", "file:/run/secret", "credential:oci"},
        [KW_K_ORIGIN] = {"https://a.test", "https://b.test:8443", "https://[::1]"},
        [KW_K_PROXY] = {"http://p.test:3128", "http://[::1]:8080", "http://10.0.0.1:1"},
        [KW_K_HOSTS] = {"a.test", "*.a.test b.test", "::1"},
        [KW_K_METHODS] = {"GET", "GET PUT", "HEAD POST DELETE"},
        [KW_K_PATHS] = {"/n/*", "/a /b/?", "*"},
        [KW_K_DIAL] = {"a.test:443", "*.b.test:443 c.test:8443", "[::1]:443"},
        [KW_K_RESOLVE] = {"a.test:443:127.0.0.1:8443", "a.test:1:b.test:2 c.test:3:[::1]:4",
                          "[::1]:1:[::2]:2"},
        [KW_K_CLAIM] = {"main", "refs/heads/* refs/tags/v?", "592302719"},
        [KW_K_HEADER] = {"true", "a, b; c=\"d\"", "x: y"},
        [KW_K_SAY] = {"main", "a b: c", "é \"=\" 'x'"},
        [KW_K_NAMED] = {"assertion.sub", "a == 'b c' && !(\"d\" in e)", "sub eq é; = x"},
        [KW_K_TEXT] = {"'a' in assertion.b", "\"é\" == x", "true;# no comment"},
    };
    size_t choices = 0, n;
    /* One domain: that the others are no universe is seen when it is to be called. */
    if (strcmp(k->name, "universe") == 0)
        return "a.test";
    switch (k->kind) {
    case KW_K_U32:
        (void)snprintf(out, size, "%u", k->min + any(k->max - k->min + 1));
        return out;
    case KW_K_CHOICE:
    case KW_K_FLAGS:
        while (k->choices[choices].word != NULL)
            choices++;
        n = (size_t)snprintf(out, size, "%s", k->choices[any((unsigned)choices)].word);
        if (k->kind == KW_K_FLAGS && any(2) == 0)
            (void)snprintf(out + n, size - n, " %s", k->choices[any((unsigned)choices)].word);
        return out;
    default:
        if ((size_t)k->kind >= sizeof values / sizeof values[0] || values[k->kind][0] == NULL)
            fail_msg("%s is of a kind that has no values here", k->name);
        return values[k->kind][any(3)];
    }
}

/* Whether there is a PKCS#11 URI for a key; each has a flag of its own. */
static bool uri_set(const struct kw_config *c, const struct kw_key *k)
{
    const struct {
        size_t offset;
        bool set;
    } uris[] = {
        {offsetof(struct kw_config, token_uri), c->token_set},
        {offsetof(struct kw_config, client_key), c->client_key_set},
        {offsetof(struct kw_config, issuer_key), c->issuer_key_set},
        {offsetof(struct kw_config, tls_key), c->tls_key_set},
    };
    for (size_t i = 0; i < sizeof uris / sizeof uris[0]; i++)
        if (uris[i].offset == k->offset)
            return uris[i].set;
    fail_msg("%s is a URI that this test does not know", k->name);
    return false;
}

/* What a configuration holds for a key, as text; "" where it holds nothing. */
static void print_value(const struct kw_config *c, const struct kw_key *k, char *out, size_t size)
{
    const char *field = (const char *)c + k->offset;
    uint32_t number = 0;
    size_t n = 0;
    out[0] = '\0';
    if (k->kind == KW_K_TOKEN || k->kind == KW_K_OBJECT) {
        struct kw_uri u;
        memcpy(&u, field, sizeof u);
        if (uri_set(c, k))
            assert_true(kw_uri_print(&u, out, size));
        return;
    }
    bool text = k->size != sizeof number && k->size != sizeof(bool);
    if (text) {
        (void)snprintf(out, size, "%s", field);
        return;
    }
    memcpy(&number, field, k->size);
    /* 0 is a value where the key may have it, else the lack of one. */
    if (k->kind == KW_K_U32 && (number > 0 || (k->min == 0 && k->dflt != NULL)))
        (void)snprintf(out, size, "%u", number);
    for (const struct kw_choice *o = k->choices; o != NULL && o->word != NULL; o++)
        if (k->kind == KW_K_FLAGS ? (number & o->value) != 0 : number == o->value)
            n += (size_t)snprintf(out + n, size - n, "%s%s", n > 0 ? " " : "", o->word);
}

/* Claim rules, or a field's lines NAME SEPARATOR VALUE, as entries of the file. */
static size_t print_lines(const struct kw_config *c, const struct kw_key *k, char *out, size_t size)
{
    const char *line = (const char *)c + k->offset;
    const char *between = k->kind == KW_K_HEADER ? ": " : k->kind == KW_K_SAY ? "\t" : "=";
    size_t n = 0;
    if (k->kind == KW_K_CLAIM) {
        for (size_t i = 0; i < c->n_rules; i++)
            n += (size_t)snprintf(out + n, size - n, "%s%s = %s\n", k->name, c->rules[i].claim,
                                  c->rules[i].values);
        return n;
    }
    for (; *line != '\0'; line += strcspn(line, "\n") + 1) {
        const char *value = strstr(line, between);
        assert_true(value != NULL && value < line + strcspn(line, "\n"));
        int named = (int)(value - line);
        value += strlen(between);
        n += (size_t)snprintf(out + n, size - n, "%s%.*s = %.*s\n", k->name, named, line,
                              (int)strcspn(value, "\n"), value);
    }
    return n;
}

static bool section_set(const struct kw_config *c, const char *section)
{
    return strcmp(section, "oci") == 0      ? c->oci_set
           : strcmp(section, "google") == 0 ? c->google_set
           : strcmp(section, "policy") == 0 ? c->policy_set
                                            : true;
}

static void print_config(const struct kw_config *c, char *out, size_t size)
{
    static char value[16384];
    const char *section = "";
    size_t n = 0;
    for (const struct kw_key *k = kw_keys; k->section != NULL; k++) {
        if (!section_set(c, k->section))
            continue; /* it would be one that is there */
        if (strcmp(section, k->section) != 0)
            n += (size_t)snprintf(out + n, size - n, "[%s%s]\n", k->section,
                                  kw_section_named(k->section) ? " p" : "");
        section = k->section;
        if (is_begin(k)) {
            n += print_lines(c, k, out + n, size - n);
            continue;
        }
        print_value(c, k, value, sizeof value);
        if (value[0] != '\0' && !(strcmp(k->name, "dial") == 0 && c->dial_default))
            n += (size_t)snprintf(out + n, size - n, "%s = %s\n", k->name, value);
    }
    assert_true(n < size);
}

/* Most clouds' sections and the policy: without them other hosts are the default. */
static bool any_section(const char *section)
{
    return !kw_section_named(section) || any(4) > 0;
}

/* Values by kind, for some of the keys; a few of them don't go together, and are not what
 * this is about. */
static void any_config(char *out, size_t size)
{
    static char value[8192];
    const char *section = "";
    bool in = false;
    size_t n = 0;
    for (const struct kw_key *k = kw_keys; k->section != NULL; k++) {
        bool begins = strcmp(section, k->section) != 0;
        in = begins ? any_section(k->section) : in;
        if (begins && in)
            n += (size_t)snprintf(out + n, size - n, "[%s%s]\n", k->section,
                                  kw_section_named(k->section) ? " p" : "");
        section = k->section;
        bool together = strcmp(section, "source") == 0 ||
                        strcmp(k->name, "client_secret_source") == 0 ||
                        k->offset == offsetof(struct kw_config, client_key) ||
                        strcmp(k->name, "res_type") == 0 || strcmp(k->name, "rpst_exp") == 0;
        for (const char *const *end = any_ends(k); in && *end != NULL; end++)
            if (any(together ? 8 : 2) == 0)
                n += (size_t)snprintf(out + n, size - n, "%s%s = %s\n", k->name, *end,
                                      any_value(k, value, sizeof value));
    }
    assert_true(n < size);
}

/* What was given is there as it was given, but for URIs, origins and sets of words, which
 * have one form among several. */
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
