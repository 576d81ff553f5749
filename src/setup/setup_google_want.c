/* SPDX-License-Identifier: Apache-2.0
 *
 * What the provider is to be: whose tokens or certificates it takes, what of them becomes the
 * principal, and which are let in. All of it is checked here as Google would, before anything is
 * sent.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "setup_google.h"
#include "src/cel/cel.h"
#include "src/claims/google_map.h"

enum { AUDIENCES = 10, AUDIENCE = 256 };

static int no_memory(struct kw_err *err)
{
    return kw_fail(err, KW_FAILED, "there is no memory left");
}

/* --- whom ----------------------------------------------------------------------------------- */

/* An option that nothing comes of is a misunderstanding. */
static int none_of(struct kw_setup *s, const char *const *names, size_t n, const char *why,
                   struct kw_err *err)
{
    for (size_t i = 0; i < n; i++)
        if (kw_arg(s->args, names[i]) != NULL)
            return kw_fail(err, KW_USAGE, "--%s %s", names[i], why);
    return 0;
}

static const char *const narrowing[] = {"issuer-url", "repository",  "repository-id", "owner-id",
                                        "branch",     "environment", "subject"};
enum { NARROWING = sizeof narrowing / sizeof narrowing[0] };

bool kw_google_said(const struct kw_setup *s)
{
    bool said = kw_arg(s->args, "issuer") != NULL;
    for (size_t i = 0; i < NARROWING; i++)
        said = said || kw_arg(s->args, narrowing[i]) != NULL;
    return said;
}

/* A certificate has no claims: its subject's name is what is let in. */
static int x509_preset(struct kw_setup *s, struct kw_google *g, struct kw_err *err)
{
    static const struct kw_preset_ask none = {.issuer = "https://x509"};
    struct kw_preset *p = &g->preset;
    const char *cn = kw_arg(s->args, "subject");
    static const char *const tokens[] = {"issuer-url", "repository",  "repository-id", "owner-id",
                                         "branch",     "environment", "jwks-file",     "audience"};
    int r = none_of(s, tokens, sizeof tokens / sizeof tokens[0],
                    "is for tokens; --issuer x509 takes --subject", err);
    if (r != 0)
        return r;
    struct kw_preset_ask ask = none;
    ask.subject = cn;
    r = kw_preset(&ask, p, err); /* the checks of --subject */
    if (r != 0)
        return r;
    p->issuer[0] = '\0';
    p->shared = false;
    (void)json_object_clear(p->claims);
    (void)json_object_set_new(p->mapping, "google.subject", json_string("assertion.subject.dn.cn"));
    if (cn != NULL)
        (void)snprintf(p->condition, sizeof p->condition, "assertion.subject.dn.cn == '%s'", cn);
    else
        kw_setup_warn(s, "every certificate of these authorities is let in; narrow it by --subject "
                         "or --condition");
    return 0;
}

/* "V" of the term EXPRESSION == 'V'; false: it is no such term. */
static bool pinned(const char *term, size_t n, const char *expression, char *value, size_t size)
{
    static const char is[] = " == '";
    size_t e = strlen(expression), at = e + sizeof is - 1;
    if (n < at + 2 || strncmp(term, expression, e) != 0 ||
        strncmp(term + e, is, sizeof is - 1) != 0 || term[n - 1] != '\'')
        return false;
    for (size_t i = at; i < n - 1; i++)
        if (term[i] == '\'' || term[i] == '\\' || term[i] <= ' ')
            return false;
    return (size_t)snprintf(value, size, "%.*s", (int)(n - 1 - at), term + at) < size;
}

/* Whom the condition lets in, if it says that of something that is mapped: the subject rather
 * than an attribute, a number rather than a name. */
static void member_of_condition(struct kw_preset *p)
{
    static const char *const names[] = {"assertion", "google", "attribute", NULL};
    struct kw_cel *c = NULL;
    struct kw_cel_result why;
    const char *key;
    char value[400];
    json_t *v;
    size_t n;
    int best = 0;
    if (strcmp(p->member, "*") != 0 ||
        kw_cel_parse(p->condition, strlen(p->condition), names, &c, &why) != KW_CEL_VALUE)
        return;
    json_object_foreach(p->mapping, key, v)
    {
        bool subject = strcmp(key, "google.subject") == 0;
        size_t end = strlen(key);
        int rank = subject ? 3 : end > 3 && strcmp(key + end - 3, "_id") == 0 ? 2 : 1;
        if (!subject && strncmp(key, "attribute.", 10) != 0)
            continue;
        for (size_t i = 0; rank > best && i < kw_cel_terms(c); i++) {
            const char *term = kw_cel_term_text(c, i, &n);
            if (!pinned(term, n, json_string_value(v), value, sizeof value))
                continue;
            (void)snprintf(p->member, sizeof p->member, "%s/%s", subject ? "subject" : key, value);
            best = rank;
        }
    }
    kw_cel_free(c);
}

/* Without --issuer: what [google NAME] says of the provider. */
static int profile_preset(struct kw_setup *s, struct kw_google *g, struct kw_err *err)
{
    const struct kw_config *c = s->config;
    struct kw_preset_ask ask = {.issuer = c->issuer_uri};
    struct kw_google_map m;
    if (c->issuer_uri[0] == '\0' && s->destroy)
        return kw_fail(err, KW_USAGE,
                       "to whom was it granted? --print-commands asks no network, so it has to be "
                       "told: --issuer and the rest, as at --apply (or [google %s] issuer_uri)",
                       c->profile);
    if (c->issuer_uri[0] == '\0')
        return kw_fail(err, KW_USAGE,
                       "whose tokens are to be let in? Give --issuer github, gitlab, circleci, "
                       "buildkite, kubernetes, token, x509 or an https URL (or [google %s] "
                       "issuer_uri)",
                       c->profile);
    int r = none_of(s, narrowing, NARROWING,
                    "goes with --issuer: without it, the profile says whose tokens are let in "
                    "(--condition says it otherwise)",
                    err);
    if (r == 0)
        r = kw_preset(&ask, &g->preset, err);
    if (r == 0)
        r = kw_google_map_init(&m, err);
    if (r != 0)
        return r;
    for (const char *p = c->attribute_mapping; r == 0 && *p != '\0';) {
        char line[4096 + 128];
        size_t n = strcspn(p, "\n");
        (void)snprintf(line, sizeof line, "%.*s", (int)n, p);
        r = kw_google_map_add(&m, line, err);
        p += n + (p[n] == '\n' ? 1 : 0);
    }
    if (r == 0 && json_object_size(m.mapping) > 0)
        r = json_object_clear(g->preset.mapping) != 0 ||
                    json_object_update(g->preset.mapping, m.mapping) != 0
                ? no_memory(err)
                : 0;
    (void)snprintf(g->preset.condition, sizeof g->preset.condition, "%s", c->attribute_condition);
    /* What comes of it is no less than what there is. */
    for (size_t i = 0; r == 0 && i < c->n_rules; i++)
        if (json_object_set_new(g->preset.claims, c->rules[i].claim,
                                json_string(c->rules[i].values)) != 0)
            r = no_memory(err);
    g->preset.source = c->source_type[0] != '\0' ? c->source_type : g->preset.source;
    kw_google_map_free(&m);
    return r;
}

static int preset(struct kw_setup *s, struct kw_google *g, struct kw_err *err)
{
    static const char *const certificates[] = {"trust-anchor", "intermediate"};
    const struct kw_config *c = s->config;
    const char *issuer = kw_arg(s->args, "issuer");
    struct kw_preset_ask ask = {.issuer = issuer,
                                .issuer_url = kw_arg(s->args, "issuer-url"),
                                .repository = kw_arg(s->args, "repository"),
                                .repository_id = kw_arg(s->args, "repository-id"),
                                .owner_id = kw_arg(s->args, "owner-id"),
                                .branch = kw_arg(s->args, "branch"),
                                .environment = kw_arg(s->args, "environment"),
                                .subject = kw_arg(s->args, "subject")};
    g->x509 = issuer != NULL && strcmp(issuer, "x509") == 0;
    if (g->x509)
        return x509_preset(s, g, err);
    int r = none_of(s, certificates, 2, "is for --issuer x509", err);
    if (r != 0)
        return r;
    if (issuer == NULL)
        return profile_preset(s, g, err);
    if (strcmp(issuer, "token") == 0) {
        if (ask.issuer_url == NULL && c->issuer_iss[0] != '\0')
            ask.issuer_url = c->issuer_iss;
        if (ask.subject == NULL && c->issuer_sub[0] != '\0')
            ask.subject = c->issuer_sub;
    }
    return kw_preset(&ask, &g->preset, err);
}

/* --- mapping, condition, audiences ---------------------------------------------------------- */

/* --condition is asked for besides what --repository-id and the like say; of a profile it takes the
 * place of what was there. */
static int take_condition(struct kw_setup *s, struct kw_google *g, const char *cel,
                          struct kw_err *err)
{
    struct kw_preset *p = &g->preset;
    char both[sizeof p->condition];
    struct kw_google_map m;
    bool besides = kw_arg(s->args, "issuer") != NULL && p->condition[0] != '\0';
    int len = besides ? snprintf(both, sizeof both, "%s && (%s)", p->condition, cel)
                      : snprintf(both, sizeof both, "%s", cel);
    if (len < 0 || (size_t)len >= sizeof both)
        return kw_fail(err, KW_USAGE, "--condition is longer than Google's %d characters",
                       KW_GOOGLE_CONDITION);
    /* Alone, so that it can't be half of something else between the brackets. */
    int r = kw_google_map_init(&m, err);
    if (r == 0) {
        m.condition = json_string(cel);
        r = m.condition != NULL && json_object_update(m.mapping, p->mapping) == 0
                ? kw_google_map_check(&m, err)
                : no_memory(err);
        kw_google_map_free(&m);
    }
    if (r == 0)
        memcpy(p->condition, both, sizeof both);
    return r;
}

/* Whom to grant to was said by what is mapped otherwise now: that would be somebody else. */
static void forget_member(struct kw_preset *p, const json_t *mapping)
{
    char key[160];
    bool subject = strncmp(p->member, "subject/", 8) == 0;
    (void)snprintf(key, sizeof key, "%.*s", (int)strcspn(p->member, "/"), p->member);
    const char *name = subject ? "google.subject" : key;
    const json_t *new = json_object_get(mapping, name);
    if (new != NULL && !json_equal(new, json_object_get(p->mapping, name)))
        (void)snprintf(p->member, sizeof p->member, "*");
}

static int add_audience(struct kw_google *g, const char *text, size_t n, struct kw_err *err)
{
    return n > 0 && n <= AUDIENCE && json_array_size(g->audiences) < AUDIENCES &&
                   json_array_append_new(g->audiences, json_stringn(text, n)) == 0
               ? 0
               : kw_fail(err, KW_USAGE, "--audience: up to %d, of up to %d bytes", AUDIENCES,
                         AUDIENCE);
}

/* Without --issuer those of the profile are as much part of it as its condition. */
static int audiences(struct kw_setup *s, struct kw_google *g, struct kw_err *err)
{
    int pos = 0, r = 0;
    for (const char *v; r == 0 && (v = kw_args_each(s->args, "audience", &pos)) != NULL;)
        r = add_audience(g, v, strlen(v), err);
    if (kw_arg(s->args, "issuer") != NULL || json_array_size(g->audiences) > 0)
        return r;
    for (const char *p = s->config->allowed_audiences; r == 0 && *(p += strspn(p, " ")) != '\0';) {
        size_t n = strcspn(p, " ");
        r = add_audience(g, p, n, err);
        p += n;
    }
    return r;
}

static int overrides(struct kw_setup *s, struct kw_google *g, struct kw_err *err)
{
    const char *condition = kw_arg(s->args, "condition");
    struct kw_google_map m;
    int pos = 0, r = kw_google_map_init(&m, err);
    if (r != 0)
        return r;
    for (const char *v; r == 0 && (v = kw_args_each(s->args, "mapping", &pos)) != NULL;)
        r = kw_google_map_add(&m, v, err);
    if (r == 0)
        forget_member(&g->preset, m.mapping);
    if (r == 0 && json_object_update(g->preset.mapping, m.mapping) != 0)
        r = no_memory(err);
    kw_google_map_free(&m);
    if (r == 0 && condition != NULL)
        r = take_condition(s, g, condition, err);
    if (r == 0)
        member_of_condition(&g->preset);
    return r != 0 ? r : audiences(s, g, err);
}

/* Everybody's tokens come from such an issuer: without a condition they would all be let in.
 * Google refuses that, too, for the issuers that it knows, but is content with any mention of a
 * claim. */
static int demand_condition(struct kw_setup *s, const struct kw_google *g, struct kw_err *err)
{
    const char *c = g->preset.condition;
    if (g->preset.shared && c[0] == '\0')
        return kw_fail(err, KW_USAGE,
                       "%s issues tokens to everybody, so the provider must say whose are let in: "
                       "--repository-id NUMBER (better than a name, which can change hands), "
                       "--repository, --owner-id, --subject or --condition",
                       g->preset.issuer);
    if (g->preset.shared && kw_google_lets_strangers_in(&g->preset))
        return kw_fail(err, KW_USAGE,
                       "%s issues tokens to everybody, and the condition does not say whose are "
                       "let in (or not so that it can be judged): somebody else's token could "
                       "fulfil %.300s; ask for a whole name or number of yours: --repository-id, "
                       "--repository, --owner-id, --subject or --condition",
                       g->preset.issuer, c);
    if (c[0] == '\0')
        kw_setup_warn(s, "without a condition every token of %s is let in",
                      g->x509 ? "the authorities" : g->preset.issuer);
    return 0;
}

/* As Google will check it, and by the code that `claims` judges by. */
static int check(const struct kw_google *g, struct kw_err *err)
{
    struct kw_google_map m;
    char name[256];
    json_t *copy = json_deep_copy(g->provider_want);
    (void)snprintf(name, sizeof name,
                   "projects/%s/locations/global/workloadIdentityPools/%s/providers/%s",
                   g->number[0] != '\0' ? g->number : "1", g->pool, g->provider);
    (void)json_object_set_new(copy, "name", json_string(name));
    if (json_object_get(copy, "oidc") == NULL)
        (void)json_object_set_new(copy, "oidc", json_pack("{s:s}", "issuerUri", ""));
    char *text = copy != NULL ? json_dumps(copy, JSON_COMPACT) : NULL;
    int r = text == NULL ? no_memory(err) : kw_google_map_init(&m, err);
    if (r == 0) {
        r = kw_google_map_read(&m, text, strlen(text), "the provider", err);
        if (r == 0)
            r = kw_google_map_check(&m, err);
        kw_google_map_free(&m);
    }
    free(text);
    json_decref(copy);
    return r;
}

static void pass_warnings(struct kw_setup *s, const struct kw_google *g)
{
    const json_t *one;
    size_t i;
    json_array_foreach(g->preset.warnings, i, one)
    {
        kw_setup_warn(s, "%s", json_string_value(one));
    }
}

int kw_google_want(struct kw_setup *s, struct kw_google *g, struct kw_err *err)
{
    g->audiences = json_array();
    int r = preset(s, g, err);
    if (r == 0)
        r = overrides(s, g, err);
    if (r == 0)
        r = demand_condition(s, g, err);
    if (r != 0)
        return r;
    pass_warnings(s, g);
    g->provider_want = json_pack("{s:s, s:s, s:O}", "displayName", "keyward", "description",
                                 KW_SETUP_MARK, "attributeMapping", g->preset.mapping);
    if (g->provider_want == NULL)
        return no_memory(err);
    if (g->preset.condition[0] != '\0')
        (void)json_object_set_new(g->provider_want, "attributeCondition",
                                  json_string(g->preset.condition));
    if (g->x509)
        r = kw_google_add_store(s, g->provider_want, err);
    else {
        json_t *oidc = json_pack("{s:s}", "issuerUri", g->preset.issuer);
        (void)json_object_set_new(g->provider_want, "oidc", oidc);
        if (json_array_size(g->audiences) > 0)
            (void)json_object_set(oidc, "allowedAudiences", g->audiences);
        r = oidc == NULL ? no_memory(err) : kw_google_add_keys(s, g, oidc, err);
    }
    return r != 0 ? r : check(g, err);
}
