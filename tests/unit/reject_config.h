/* SPDX-License-Identifier: Apache-2.0
 *
 * URIs and configurations made up from a fixed seed, and printed from what was read. */
#ifndef KW_TEST_REJECT_CONFIG_H
#define KW_TEST_REJECT_CONFIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/config/config_keys.h"

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

#endif
