/* SPDX-License-Identifier: Apache-2.0
 *
 * What the provider is to be: whose tokens or certificates it takes, what of them becomes the
 * principal, and which are let in. All of it is checked here as Google would, before anything is
 * sent.
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fetch.h"
#include "google_map.h"
#include "io.h"
#include "jwk.h"
#include "setup_google.h"

enum { KEYS = 1 << 17, ANCHORS = 3, BETWEEN = 10, AUDIENCES = 10, AUDIENCE = 256 };

static int no_memory(struct kw_err *err)
{
    return kw_fail(err, KW_FAILED, "there is no memory left");
}

/* --- the issuer's keys ---------------------------------------------------------------------- */

/* Google takes these members and refuses all others; a private one would be a leak. */
static int clean_key(json_t *key, const char *path, struct kw_err *err)
{
    static const char *const taken[] = {"kty", "alg", "use", "kid", "n", "e", "crv", "x", "y"};
    static const char *const secret[] = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"};
    const char *name, *kty = json_string_value(json_object_get(key, "kty"));
    json_t *v;
    void *next;
    if (kty == NULL || (strcmp(kty, "RSA") != 0 && strcmp(kty, "EC") != 0))
        return kw_fail(err, KW_USAGE, "%s has a key that is neither RSA nor EC", path);
    for (size_t i = 0; i < sizeof secret / sizeof secret[0]; i++)
        if (json_object_get(key, secret[i]) != NULL)
            return kw_fail(err, KW_USAGE,
                           "%s has a private key in it (member %s): register the public one", path,
                           secret[i]);
    json_object_foreach_safe(key, next, name, v)
    {
        bool keep = false;
        for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
            keep = keep || strcmp(name, taken[i]) == 0;
        if (!keep)
            (void)json_object_del(key, name);
    }
    return 0;
}

static int keys_of_file(const char *path, json_t **ret, struct kw_err *err)
{
    struct kw_buf b;
    json_t *one;
    size_t i;
    kw_buf_init(&b, KEYS);
    int r = kw_read_file(path, &b, KW_USAGE, err);
    json_t *set = r == 0 ? json_loadb(kw_buf_str(&b), b.len, JSON_REJECT_DUPLICATES, NULL) : NULL;
    json_t *keys = json_object_get(set, "keys");
    kw_buf_free(&b);
    if (r == 0 && json_array_size(keys) == 0)
        r = kw_fail(err, KW_USAGE, "%s is no JWK set ({\"keys\": [...]})", path);
    json_array_foreach(keys, i, one)
    {
        if (r == 0)
            r = clean_key(one, path, err);
    }
    *ret = r == 0 ? json_pack("{s:O}", "keys", keys) : NULL;
    json_decref(set);
    return r == 0 && *ret == NULL ? no_memory(err) : r;
}

static int keys_of_token(const struct kw_config *c, json_t **ret, struct kw_err *err)
{
    unsigned char spki[KW_SPKI_MAX];
    size_t n = 0;
    json_t *jwk = NULL;
    *ret = NULL;
    int r = kw_public_alone(c, spki, &n, err);
    if (r == 0)
        r = kw_jwk_public(spki, n, &jwk, NULL, NULL, err);
    if (r == 0 && (*ret = json_pack("{s:[o]}", "keys", jwk)) == NULL)
        r = no_memory(err);
    return r;
}

/* Into oidc.jwksJson, if they are to be uploaded. */
static int add_keys(struct kw_setup *s, const struct kw_google *g, json_t *oidc, struct kw_err *err)
{
    const char *path = kw_arg(s->args, "jwks-file");
    json_t *set = NULL;
    int r = 0;
    bool own = g->preset.source != NULL && strcmp(g->preset.source, "token") == 0;
    if (path != NULL)
        r = keys_of_file(path, &set, err);
    else if (own)
        r = keys_of_token(s->config, &set, err);
    else if (g->preset.source != NULL && strcmp(g->preset.source, "kubernetes") == 0)
        kw_setup_warn(s,
                      "Google fetches the cluster's keys from %s, which must be reachable for it; "
                      "if it is not, upload them: --jwks-file (kubectl get --raw "
                      "/openid/v1/jwks)",
                      g->preset.issuer);
    char *text = set != NULL ? json_dumps(set, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    if (set != NULL &&
        (text == NULL || json_object_set_new(oidc, "jwksJson", json_string(text)) != 0))
        r = no_memory(err);
    free(text);
    json_decref(set);
    return r;
}

/* --- certificates --------------------------------------------------------------------------- */

static json_t *pem_of(X509 *cert)
{
    BIO *out = BIO_new(BIO_s_mem());
    char *p = NULL;
    json_t *o = NULL;
    if (out != NULL && PEM_write_bio_X509(out, cert) == 1) {
        long n = BIO_get_mem_data(out, &p);
        o = json_pack("{s:s%}", "pemCertificate", p, n > 0 ? (size_t)n : (size_t)0);
    }
    BIO_free(out);
    return o;
}

/* All certificates of a file. */
static int certificates(const char *path, json_t *list, struct kw_err *err)
{
    struct kw_buf b;
    size_t before = json_array_size(list);
    kw_buf_init(&b, KEYS);
    int r = kw_read_file(path, &b, KW_USAGE, err);
    BIO *in = r == 0 ? BIO_new_mem_buf(b.p, (int)b.len) : NULL;
    for (X509 *cert; in != NULL && (cert = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL;) {
        if (json_array_append_new(list, pem_of(cert)) != 0)
            r = no_memory(err);
        X509_free(cert);
    }
    ERR_clear_error();
    BIO_free(in);
    kw_buf_free(&b);
    if (r == 0 && json_array_size(list) == before)
        r = kw_fail(err, KW_USAGE, "%s has no certificate in PEM", path);
    return r;
}

static int store(struct kw_setup *s, json_t *want, struct kw_err *err)
{
    json_t *anchors = json_array(), *between = json_array();
    int pos = 0, r = 0;
    for (const char *p; r == 0 && (p = kw_args_each(s->args, "trust-anchor", &pos)) != NULL;)
        r = certificates(p, anchors, err);
    pos = 0;
    for (const char *p; r == 0 && (p = kw_args_each(s->args, "intermediate", &pos)) != NULL;)
        r = certificates(p, between, err);
    if (r == 0 && (json_array_size(anchors) < 1 || json_array_size(anchors) > ANCHORS ||
                   json_array_size(between) > BETWEEN))
        r = kw_fail(err, KW_USAGE,
                    "--issuer x509 takes 1 to %d certificates by --trust-anchor and up to %d by "
                    "--intermediate",
                    ANCHORS, BETWEEN);
    if (r == 0 && json_array_size(between) > 0)
        r = json_object_set_new(want, "x509",
                                json_pack("{s:{s:O, s:O}}", "trustStore", "trustAnchors", anchors,
                                          "intermediateCas", between)) == 0
                ? 0
                : no_memory(err);
    else if (r == 0)
        r = json_object_set_new(want, "x509",
                                json_pack("{s:{s:O}}", "trustStore", "trustAnchors", anchors)) == 0
                ? 0
                : no_memory(err);
    json_decref(anchors);
    json_decref(between);
    return r;
}

/* --- whom ----------------------------------------------------------------------------------- */

/* A certificate has no claims: its subject's name is what is let in. */
static int x509_preset(struct kw_setup *s, struct kw_google *g, struct kw_err *err)
{
    static const struct kw_preset_ask none = {.issuer = "https://x509"};
    struct kw_preset *p = &g->preset;
    const char *cn = kw_arg(s->args, "subject");
    static const char *const tokens[] = {"issuer-url", "repository",  "repository-id", "owner-id",
                                         "branch",     "environment", "jwks-file",     "audience"};
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++)
        if (kw_arg(s->args, tokens[i]) != NULL)
            return kw_fail(err, KW_USAGE, "--%s is for tokens; --issuer x509 takes --subject",
                           tokens[i]);
    struct kw_preset_ask ask = none;
    ask.subject = cn;
    int r = kw_preset(&ask, p, err); /* the checks of --subject */
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

/* Without --issuer: what [google NAME] says of the provider. */
static int profile_preset(const struct kw_config *c, struct kw_google *g, struct kw_err *err)
{
    struct kw_preset_ask ask = {.issuer = c->issuer_uri};
    struct kw_google_map m;
    if (c->issuer_uri[0] == '\0')
        return kw_fail(err, KW_USAGE,
                       "whose tokens are to be let in? Give --issuer github, gitlab, circleci, "
                       "buildkite, kubernetes, token, x509 or an https URL (or [google %s] "
                       "issuer_uri)",
                       c->profile);
    int r = kw_preset(&ask, &g->preset, err);
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
    kw_google_map_free(&m);
    return r;
}

static int preset(struct kw_setup *s, struct kw_google *g, struct kw_err *err)
{
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
    if (issuer == NULL && ask.repository == NULL && ask.repository_id == NULL)
        return profile_preset(c, g, err);
    if (issuer != NULL && strcmp(issuer, "token") == 0) {
        if (ask.issuer_url == NULL && c->issuer_iss[0] != '\0')
            ask.issuer_url = c->issuer_iss;
        if (ask.subject == NULL && c->issuer_sub[0] != '\0')
            ask.subject = c->issuer_sub;
    }
    return kw_preset(&ask, &g->preset, err);
}

/* --- mapping, condition, audiences ---------------------------------------------------------- */

static int overrides(struct kw_setup *s, struct kw_google *g, struct kw_err *err)
{
    const char *condition = kw_arg(s->args, "condition");
    struct kw_google_map m;
    int pos = 0, r = kw_google_map_init(&m, err);
    if (r != 0)
        return r;
    for (const char *v; r == 0 && (v = kw_args_each(s->args, "mapping", &pos)) != NULL;)
        r = kw_google_map_add(&m, v, err);
    if (r == 0 && json_object_update(g->preset.mapping, m.mapping) != 0)
        r = no_memory(err);
    kw_google_map_free(&m);
    if (r == 0 && condition != NULL &&
        (size_t)snprintf(g->preset.condition, sizeof g->preset.condition, "%s", condition) >=
            sizeof g->preset.condition)
        r = kw_fail(err, KW_USAGE, "--condition is longer than Google's %d characters",
                    KW_GOOGLE_CONDITION);
    pos = 0;
    for (const char *v; r == 0 && (v = kw_args_each(s->args, "audience", &pos)) != NULL;)
        if (v[0] == '\0' || strlen(v) > AUDIENCE || json_array_size(g->audiences) == AUDIENCES ||
            json_array_append_new(g->audiences, json_string(v)) != 0)
            r = kw_fail(err, KW_USAGE, "--audience: up to %d, of up to %d bytes", AUDIENCES,
                        AUDIENCE);
    return r;
}

/* Everybody's tokens come from such an issuer: without a condition they would all be let in.
 * Google refuses that, too, for the issuers that it knows. */
static int demand_condition(struct kw_setup *s, const struct kw_google *g, struct kw_err *err)
{
    static const char *const names[] = {"assertion.", "assertion[", "attribute.", "google."};
    const char *c = g->preset.condition;
    bool refers = false;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        refers = refers || strstr(c, names[i]) != NULL;
    if (g->preset.shared && !refers)
        return kw_fail(err, KW_USAGE,
                       "%s issues tokens to everybody, so the provider must say whose are let in: "
                       "--repository-id NUMBER (better than a name, which can change hands), "
                       "--repository, --owner-id, --subject or --condition",
                       g->preset.issuer);
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
        r = store(s, g->provider_want, err);
    else {
        json_t *oidc = json_pack("{s:s}", "issuerUri", g->preset.issuer);
        (void)json_object_set_new(g->provider_want, "oidc", oidc);
        if (json_array_size(g->audiences) > 0)
            (void)json_object_set(oidc, "allowedAudiences", g->audiences);
        r = oidc == NULL ? no_memory(err) : add_keys(s, g, oidc, err);
    }
    return r != 0 ? r : check(g, err);
}
