/* SPDX-License-Identifier: Apache-2.0
 *
 * Does a condition keep strangers out? Of an issuer that gives tokens to everybody, one of the
 * terms that && joins has to ask for somebody's whole name or number, in a claim that says whose a
 * token is: by == or in, or by how a name begins where its owner's is over. That is looked for in
 * what the condition says. What else may keep somebody out isn't weighed: a stranger reads it, and
 * chooses his names, branches and environments.
 */
#include <stdio.h>
#include <string.h>

#include "setup_google.h"
#include "src/cel/cel.h"

static const char *const names[] = {"assertion", "google", "attribute", NULL};

/* --- claims --------------------------------------------------------------------------------- */

struct claim {
    const struct kw_preset *p;
    char name[300];
};

/* Of an issuer that nothing is known of: all but what every token has, or a job asks for. */
static bool may_say_whose(const char *claim)
{
    static const char *const no[] = {"iss", "aud", "exp", "iat", "nbf", "jti"};
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        if (strcmp(no[i], claim) == 0)
            return false;
    return true;
}

static bool is_claim(const struct kw_preset *p, const struct kw_cel_part *m, struct claim *ret)
{
    if (m->kind != KW_CEL_MEMBER || strcmp(m->variable, "assertion") != 0)
        return false;
    bool says = p->whose == NULL && may_say_whose(m->name);
    for (const struct kw_whose *w = p->whose; w != NULL && w->claim != NULL; w++)
        says = says || (!m->inner && strcmp(w->claim, m->name) == 0);
    int n = snprintf(ret->name, sizeof ret->name, "%s", m->name);
    ret->p = p;
    return says && n >= 0 && (size_t)n < sizeof ret->name;
}

/* Is it a claim that says whose, or what is mapped of one as it is? */
static bool says_whose(const struct kw_preset *p, const struct kw_cel_part *m, struct claim *ret)
{
    char key[300];
    struct kw_cel *c = NULL;
    struct kw_cel_result why;
    if (m->kind != KW_CEL_MEMBER || m->inner || strcmp(m->variable, "assertion") == 0)
        return is_claim(p, m, ret);
    int n = snprintf(key, sizeof key, "%s.%s", m->variable, m->name);
    const json_t *v = n >= 0 && (size_t)n < sizeof key ? json_object_get(p->mapping, key) : NULL;
    if (v == NULL ||
        kw_cel_parse(json_string_value(v), json_string_length(v), names, &c, &why) != KW_CEL_VALUE)
        return false;
    const struct kw_cel_part of = kw_cel_part(c, 0);
    bool says = is_claim(p, &of, ret);
    kw_cel_free(c);
    return says;
}

/* --- values --------------------------------------------------------------------------------- */

/* A name and what ends it, from at on: behind that, 0 where there is none. */
static size_t behind_name(const char *s, size_t at, size_t n)
{
    size_t from = at;
    while (at < n && s[at] != '/' && s[at] != ':')
        at++;
    return at > from && at < n ? at + 1 : 0;
}

/* Of an issuer that nothing is known of: is a name over in these n bytes, NAME/ or KIND:NAME: ? */
static bool is_over(const char *s, size_t n)
{
    static const char kubernetes[] = "system:serviceaccount:";
    if (n >= sizeof kubernetes - 1 && strncmp(s, kubernetes, sizeof kubernetes - 1) == 0)
        return behind_name(s, sizeof kubernetes - 1, n) != 0;
    size_t at = behind_name(s, 0, n);
    return at != 0 && (s[at - 1] == '/' || behind_name(s, at, n) != 0);
}

/* Do these n bytes, the whole of the claim or what it begins with, say whose it is? */
static bool names_owner(const struct claim *c, const char *s, size_t n, bool whole)
{
    if (c->p->whose == NULL)
        return n > 0 && (whole || is_over(s, n));
    for (const struct kw_whose *w = c->p->whose; w->claim != NULL; w++) {
        size_t k = strlen(w->begins);
        if (strcmp(w->claim, c->name) != 0 || n <= k || strncmp(s, w->begins, k) != 0)
            continue;
        const char *end = w->ends != '\0' ? memchr(s + k, w->ends, n - k) : NULL;
        if (end != NULL ? end > s + k : whole)
            return true;
    }
    return false;
}

/* NULL: it is no text, or one that can't be in a claim. */
static const char *text(const struct kw_cel_part *part)
{
    const char *s = part->kind == KW_CEL_LITERAL ? json_string_value(part->literal) : NULL;
    return s != NULL && strlen(s) == json_string_length(part->literal) ? s : NULL;
}

static bool is_whole(const struct claim *c, const struct kw_cel_part *value)
{
    const char *s = text(value);
    if (s == NULL) /* a number is at home in claims that nothing is known of */
        return c->p->whose == NULL && value->kind == KW_CEL_LITERAL &&
               json_is_integer(value->literal);
    return names_owner(c, s, strlen(s), true);
}

/* What a pattern begins with, as far as it is nothing but text, or is as a whole. */
static bool is_pattern(const struct claim *c, const char *pattern)
{
    if (pattern[0] != '^' || strchr(pattern, '|') != NULL)
        return false;
    const char *s = pattern + 1;
    size_t n = strcspn(s, "[](){}*+?\\^$|.");
    if (s[n] == '$' && s[n + 1] == '\0')
        return names_owner(c, s, n, true);
    if (n > 0 && s[n] != '\0' && strchr("*?{", s[n]) != NULL)
        n--; /* that byte may be there no time at all */
    return names_owner(c, s, n, false);
}

/* --- terms ---------------------------------------------------------------------------------- */

static bool equal(const struct kw_preset *p, const struct kw_cel_part *a,
                  const struct kw_cel_part *b)
{
    struct claim c;
    return (says_whose(p, a, &c) && is_whole(&c, b)) || (says_whose(p, b, &c) && is_whole(&c, a));
}

/* One of a list, or what a claim lists. */
static bool in(const struct kw_preset *p, const struct kw_cel *cel, const struct kw_cel_part *a,
               const struct kw_cel_part *b)
{
    struct claim c;
    if (b->kind != KW_CEL_LIST)
        return text(a) != NULL && says_whose(p, b, &c) && is_whole(&c, a);
    bool all = says_whose(p, a, &c) && b->first != 0;
    for (uint32_t k = b->first; all && k != 0;) {
        const struct kw_cel_part one = kw_cel_part(cel, k);
        all = is_whole(&c, &one);
        k = one.next;
    }
    return all;
}

static bool method(const struct kw_preset *p, const char *name, const struct kw_cel_part *of,
                   const struct kw_cel_part *argument)
{
    struct claim c;
    const char *s = text(argument);
    if (s == NULL || argument->next != 0 || !says_whose(p, of, &c))
        return false;
    if (strcmp(name, "startsWith") == 0)
        return names_owner(&c, s, strlen(s), false);
    return strcmp(name, "matches") == 0 && is_pattern(&c, s);
}

/* A condition is no deeper than KW_CEL_DEPTH and its chains let it be. */
static bool keeps_out(const struct kw_preset *p, const struct kw_cel *c, uint32_t at)
{
    const struct kw_cel_part part = kw_cel_part(c, at);
    if (part.first == 0)
        return false;
    if (part.kind == KW_CEL_AND || part.kind == KW_CEL_OR) {
        bool all = true, any = false;
        for (uint32_t k = part.first; k != 0; k = kw_cel_part(c, k).next) {
            bool one = keeps_out(p, c, k);
            all = all && one;
            any = any || one;
        }
        return part.kind == KW_CEL_AND ? any : all;
    }
    const struct kw_cel_part a = kw_cel_part(c, part.first);
    if (a.next == 0)
        return false;
    const struct kw_cel_part b = kw_cel_part(c, a.next);
    switch (part.kind) {
    case KW_CEL_EQUAL:
        return equal(p, &a, &b);
    case KW_CEL_IN:
        return in(p, c, &a, &b);
    case KW_CEL_METHOD:
        return method(p, part.name, &a, &b);
    default:
        return false;
    }
}

bool kw_google_lets_strangers_in(const struct kw_preset *p)
{
    struct kw_cel_result why;
    struct kw_cel *c = NULL;
    enum kw_cel_is is = kw_cel_parse(p->condition, strlen(p->condition), names, &c, &why);
    bool out = is == KW_CEL_SYNTAX || (is == KW_CEL_VALUE && keeps_out(p, c, 0));
    kw_cel_free(c);
    return !out;
}
