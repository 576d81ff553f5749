/* SPDX-License-Identifier: Apache-2.0
 *
 * Does a condition keep strangers out? Of an issuer that gives tokens to everybody, it is held
 * against tokens as somebody else could get them: the claims that say whose a token is are his,
 * with names that he chose after having read the condition; what anybody can have (a branch, an
 * environment, an audience) is taken to be as he needs it. One of the terms that && joins must be
 * false for all of them; what then is true, or can't be told, is no condition. Evaluated by cel.h,
 * so that it counts what an expression means and not what it mentions.
 */
#include <stdio.h>
#include <string.h>

#include "setup_google.h"
#include "src/cel/cel.h"

static const char *const names[] = {"assertion", "google", "attribute", NULL};
static const char HIS[] = "stranger-7f3a"; /* a name that isn't taken */

struct tried {
    const struct kw_preset *p;
    struct kw_cel *condition;
    json_t *literals; /* of all expressions, as keys */
    json_t *used;     /* the claims that they look at, as keys */
};

/* Anybody can have them, whatever the issuer. */
static bool is_free(const struct kw_preset *p, const char *claim)
{
    static const char *const any[] = {"aud", "exp", "iat", "nbf", "jti"};
    for (size_t i = 0; i < sizeof any / sizeof any[0]; i++)
        if (strcmp(any[i], claim) == 0)
            return true;
    if (p->whose == NULL)
        return false;
    for (const char *const *w = p->whose; *w != NULL; w++)
        if (strcmp(*w, claim) == 0)
            return false;
    return true;
}

static void see(void *arg, const char *variable, const char *name)
{
    struct tried *t = arg;
    if (variable == NULL)
        (void)json_object_set_new(t->literals, name, json_null());
    else if (name != NULL && strcmp(variable, "assertion") == 0)
        (void)json_object_set_new(t->used, name, json_null());
}

/* --- his token ------------------------------------------------------------------------------ */

/* The claims whose value is his, and as "assertion.NAME" the ones that are as he needs them. */
static void put_claims(const struct tried *t, const char *name, json_t *claims, json_t *unknown)
{
    const char *claim;
    json_t *v;
    json_object_foreach(t->used, claim, v)
    {
        char text[1400];
        if (strcmp(claim, "iss") == 0)
            (void)snprintf(text, sizeof text, "%s", t->p->issuer);
        else if (strcmp(claim, "sub") == 0 && t->p->sub_begins != NULL)
            (void)snprintf(text, sizeof text, "%s%s", t->p->sub_begins, name);
        else
            (void)snprintf(text, sizeof text, "%s", name);
        char key[300];
        (void)snprintf(key, sizeof key, "assertion.%.280s", claim);
        if (is_free(t->p, claim))
            (void)json_object_set_new(unknown, key, json_string("anybody can have it"));
        else
            (void)json_object_set_new(claims, claim, json_string(text));
    }
}

/* What is mapped of it; what can't be mapped may be anything. */
static void map(const struct tried *t, json_t *claims, json_t *unknown, json_t *google,
                json_t *attribute)
{
    json_t *const values[] = {claims, google, attribute};
    const struct kw_cel_env env = {.names = names, .values = values, .unknown = unknown};
    const char *key;
    json_t *v, *later = json_object();
    json_object_foreach(t->p->mapping, key, v)
    {
        struct kw_cel *c = NULL;
        struct kw_cel_result r;
        const char *dot = strchr(key, '.');
        if (kw_cel_parse(json_string_value(v), json_string_length(v), names, &c, &r) ==
            KW_CEL_VALUE)
            kw_cel_eval(c, &env, &r);
        if (r.is == KW_CEL_VALUE && dot != NULL)
            (void)json_object_set(strncmp(key, "google.", 7) == 0 ? google : attribute, dot + 1,
                                  r.value);
        else
            (void)json_object_set_new(later, key, json_string("may be anything"));
        kw_cel_result_free(&r);
        kw_cel_free(c);
    }
    (void)json_object_update(unknown, later);
    json_decref(later);
}

static bool let_in(const struct tried *t, size_t term, const char *name)
{
    json_t *claims = json_object(), *unknown = json_object(), *google = json_object(),
           *attribute = json_object();
    struct kw_cel_result r;
    json_t *const values[] = {claims, google, attribute};
    const struct kw_cel_env env = {.names = names, .values = values, .unknown = unknown};
    put_claims(t, name, claims, unknown);
    map(t, claims, unknown, google, attribute);
    kw_cel_eval_term(t->condition, term, &env, &r);
    bool in = r.is == KW_CEL_UNKNOWN || (r.is == KW_CEL_VALUE && !json_is_false(r.value));
    kw_cel_result_free(&r);
    json_decref(claims);
    json_decref(unknown);
    json_decref(google);
    json_decref(attribute);
    return in;
}

/* --- names that he would choose -------------------------------------------------------------- */

/* Without what isn't the name's: an anchor, or what every sub begins with. */
static const char *bare(const struct tried *t, const char *literal)
{
    const char *begins = t->p->sub_begins;
    literal += literal[0] == '^';
    return begins != NULL && strncmp(literal, begins, strlen(begins)) == 0
               ? literal + strlen(begins)
               : literal;
}

/* Those that hold what the condition looks for, as a part, an end or a beginning. A beginning is
 * his to choose only as long as the name of its owner isn't over. */
static bool let_in_by(const struct tried *t, size_t term, const char *literal)
{
    char word[600], name[1300];
    (void)snprintf(word, sizeof word, "%s", bare(t, literal));
    size_t n = strlen(word);
    if (n > 0 && word[n - 1] == '$')
        word[n - 1] = '\0';
    (void)snprintf(name, sizeof name, "%s/%s", HIS, word);
    bool in = let_in(t, term, name);
    (void)snprintf(name, sizeof name, "%s%s", HIS, word);
    in = in || let_in(t, term, name);
    (void)snprintf(name, sizeof name, "%s%s/x", word, HIS);
    return in || (strpbrk(word, "/:") == NULL && let_in(t, term, name));
}

/* A pattern that has to be more than compared, to know what it takes: one that does not begin with
 * somebody's whole name. */
static bool loose(const struct tried *t, const char *literal)
{
    static const char special[] = "[](){}*+?\\^$|";
    if (strpbrk(literal, special) == NULL)
        return false;
    const char *word = bare(t, literal);
    size_t n = strcspn(word, "[](){}*+?\\^$|.");
    if (n > 0 && word[n] != '\0' && strchr("*?{", word[n]) != NULL)
        n--; /* that byte may be there no time at all */
    bool owned = memchr(word, '/', n) != NULL || memchr(word, ':', n) != NULL;
    bool whole = word[n] == '$' && word[n + 1] == '\0';
    return literal[0] != '^' || strchr(literal, '|') != NULL || !(owned || whole);
}

/* Is the term false whoever else it is? */
static bool keeps_out(const struct tried *t, size_t term)
{
    char text[4200];
    size_t n;
    const char *source = kw_cel_term_text(t->condition, term, &n), *key;
    json_t *v;
    bool out = !let_in_by(t, term, "");
    (void)snprintf(text, sizeof text, "%.*s", (int)n, source);
    bool pattern = strstr(text, "matches") != NULL;
    json_object_foreach(t->literals, key, v)
    {
        out = out && !(pattern && loose(t, key)) && !let_in_by(t, term, key);
    }
    return out;
}

bool kw_google_lets_strangers_in(const struct kw_preset *p)
{
    struct tried t = {.p = p, .literals = json_object(), .used = json_object()};
    struct kw_cel_result why;
    struct kw_cel *c = NULL;
    const char *key;
    json_t *v;
    bool in = false;
    json_object_foreach(p->mapping, key, v)
    {
        if (kw_cel_parse(json_string_value(v), json_string_length(v), names, &c, &why) ==
            KW_CEL_VALUE)
            kw_cel_walk(c, see, &t);
        kw_cel_free(c);
        c = NULL;
    }
    if (kw_cel_parse(p->condition, strlen(p->condition), names, &t.condition, &why) ==
        KW_CEL_VALUE) {
        kw_cel_walk(t.condition, see, &t);
        in = true;
        for (size_t i = 0; in && i < kw_cel_terms(t.condition); i++)
            in = !keeps_out(&t, i);
    }
    kw_cel_free(t.condition);
    json_decref(t.literals);
    json_decref(t.used);
    return in;
}
