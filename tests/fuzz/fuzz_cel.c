/* SPDX-License-Identifier: Apache-2.0
 *
 * CEL over foreign expressions and claims. Input: an expression up to an empty line, then
 * the claims as JSON (or nothing). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cel/cel.h"
#include "src/wire/jwt.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static const char *const names[] = {"assertion", "google", "attribute", NULL};

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void good(const struct kw_cel_result *r, size_t n)
{
    must((r->is == KW_CEL_VALUE) == (r->value != NULL));
    must(r->is == KW_CEL_VALUE || (r->text[0] != '\0' && r->at <= n + 1));
}

static void see(void *arg, const char *variable, const char *name)
{
    (void)arg;
    must(variable != NULL || name != NULL);
}

/* The tree is one: as many parts as there may be, and each is what its kind says. */
static size_t check_parts(const struct kw_cel *c, uint32_t at)
{
    const struct kw_cel_part p = kw_cel_part(c, at);
    size_t n = 1;
    must((p.kind == KW_CEL_LITERAL) == (p.literal != NULL));
    must((p.kind == KW_CEL_MEMBER) == (p.variable != NULL));
    must((p.kind == KW_CEL_MEMBER || p.kind == KW_CEL_METHOD) == (p.name != NULL));
    must(p.first != 0 || (p.kind != KW_CEL_AND && p.kind != KW_CEL_OR && p.kind != KW_CEL_EQUAL &&
                          p.kind != KW_CEL_IN && p.kind != KW_CEL_METHOD));
    for (uint32_t k = p.first; k != 0; k = kw_cel_part(c, k).next)
        n += check_parts(c, k);
    must(n <= KW_CEL_NODES);
    return n;
}

/* All terms of a true condition are true, and of the others not all are. */
static void check_terms(const struct kw_cel *c, const struct kw_cel_env *env,
                        const struct kw_cel_result *whole, size_t n)
{
    bool all = true;
    for (size_t i = 0; i < kw_cel_terms(c); i++) {
        struct kw_cel_result r;
        size_t len;
        must(kw_cel_term_text(c, i, &len) != NULL && len <= n);
        kw_cel_eval_term(c, i, env, &r);
        good(&r, n);
        all = all && r.is == KW_CEL_VALUE && json_is_true(r.value);
        kw_cel_result_free(&r);
        json_decref(kw_cel_term_values(c, i, env));
    }
    must(all == (whole->is == KW_CEL_VALUE && json_is_true(whole->value)));
}

/* e is what it is in brackets, and !(e) is its opposite. */
static void check_brackets(const char *text, size_t n, const struct kw_cel_env *env,
                           const struct kw_cel_result *whole)
{
    static const char *const forms[] = {"(\n", "!(\n"};
    for (size_t i = 0; i < 2; i++) {
        struct kw_cel *c;
        struct kw_cel_result r;
        size_t m = strlen(forms[i]);
        char *more = malloc(n + m + 2);
        must(more != NULL);
        memcpy(more, forms[i], m);
        memcpy(more + m, text, n);
        memcpy(more + m + n, "\n)", 2);
        if (kw_cel_parse(more, n + m + 2, names, &c, &r) == KW_CEL_VALUE) {
            kw_cel_eval(c, env, &r);
            if (i == 0)
                must(r.is == whole->is && (r.value == NULL || json_equal(r.value, whole->value)));
            else if (json_is_boolean(whole->value))
                must(json_is_true(r.value) != json_is_true(whole->value));
        } else {
            must(r.is == KW_CEL_UNKNOWN); /* just too large now */
        }
        kw_cel_result_free(&r);
        kw_cel_free(c);
        free(more);
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    const char *text = (const char *)data;
    const char *gap = memmem(data, size, "\n\n", 2);
    size_t n = gap != NULL ? (size_t)(gap - text) : size, rest = gap != NULL ? n + 2 : size;
    struct kw_cel *c;
    struct kw_cel_result r;
    struct kw_jwt j;
    if (kw_cel_parse(text, n, names, &c, &r) != KW_CEL_VALUE) {
        must(c == NULL && r.value == NULL && r.text[0] != '\0');
        must(r.at >= 1 && r.at <= n + 1 && (r.is == KW_CEL_SYNTAX || r.is == KW_CEL_UNKNOWN));
        return 0;
    }
    if (kw_jwt_claims(text + rest, size - rest, "it", KW_SUBJECT, &j, NULL) != 0)
        j = (struct kw_jwt){json_object(), json_pack("{s:s,s:i,s:[s,s]}", "sub", "a:b", "n", 5,
                                                     "groups", "x", "y")};
    json_t *google = json_pack("{s:s}", "subject", "s"),
           *unknown = json_pack("{s:s}", "attribute.u", "?");
    json_t *attribute = json_pack("{s:s}", "a", "1");
    json_t *const values[] = {j.claims, google, attribute};
    const struct kw_cel_env env = {names, values, unknown, NULL};
    json_t *before = json_deep_copy(j.claims);
    kw_cel_eval(c, &env, &r);
    good(&r, n);
    check_terms(c, &env, &r, n);
    check_brackets(text, n, &env, &r);
    kw_cel_walk(c, see, NULL);
    (void)check_parts(c, 0);
    must(json_equal(before, j.claims));
    kw_cel_result_free(&r);
    kw_cel_free(c);
    json_decref(before);
    json_decref(google);
    json_decref(attribute);
    json_decref(unknown);
    kw_jwt_free(&j);
    return 0;
}
