/* SPDX-License-Identifier: Apache-2.0
 *
 * Whose tokens are let in, which of them, and as whom: the issuer with its keys, and rules.
 */
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "setup_oci.h"
#include "src/base/pyini.h"
#include "src/session/fetch.h"
#include "src/wire/oci_rule.h"

enum { RULES_MOST = 256, USERS_MOST = 16 };

static int add_user(struct kw_oci_setup *o, const char *name, struct kw_err *err)
{
    const json_t *one;
    size_t i;
    json_array_foreach(o->users, i, one)
    {
        if (strcmp(json_string_value(one), name) == 0)
            return 0;
    }
    if (strlen(name) > KW_OCI_TEXT)
        return kw_fail(err, KW_USAGE, "the name of a service user is longer than %d bytes",
                       KW_OCI_TEXT);
    int r = kw_oci_check_text(name, "the name of a service user", err);
    if (r == 0)
        (void)json_array_append_new(o->users, json_string(name));
    return r;
}

int kw_oci_wish_rule(struct kw_oci_setup *o, const char *text, struct kw_err *err)
{
    char rule[1280];
    struct kw_oci_rule parsed;
    const char *arrow = strstr(text, " -> "), *user = arrow != NULL ? arrow + 4 : o->user;
    size_t n = arrow != NULL ? (size_t)(arrow - text) : strlen(text);
    if (n >= sizeof rule)
        return kw_fail(err, KW_USAGE, "--rule: the rule is too long");
    memcpy(rule, text, n);
    rule[n] = '\0';
    int r = kw_oci_check_text(rule, "--rule", err);
    if (r == 0 && (strstr(rule, "->") != NULL || strstr(user, "->") != NULL))
        r = kw_fail(err, KW_USAGE,
                    "--rule '%.200s': a rule for another service user is 'CLAIM eq VALUE -> USER', "
                    "with one arrow and a blank on each side of it",
                    text);
    if (r == 0)
        r = kw_oci_rule_parse(rule, &parsed, err);
    if (r == 0 && parsed.contains && strchr(parsed.value, '*') != NULL)
        r = kw_fail(err, KW_USAGE, "the rule '%.200s': with co, * is no wildcard", rule);
    if (r == 0)
        r = add_user(o, user, err);
    if (r == 0)
        (void)json_array_append_new(o->rules, json_pack("{s:s,s:s}", "rule", rule, "user", user));
    return r;
}

static void warn_rules(struct kw_setup *s, const struct kw_oci_setup *o)
{
    const json_t *one;
    size_t i;
    json_array_foreach(o->rules, i, one)
    {
        const char *rule = kw_oci_text(one, "rule"), *wide = kw_preset_wide_rule(rule);
        struct kw_oci_rule parsed;
        if (wide != NULL)
            kw_setup_warn(s, "rule %.300s: %s", rule, wide);
        if (kw_oci_rule_parse(rule, &parsed, NULL) != 0)
            continue;
        if (parsed.quoted)
            kw_setup_warn(s,
                          "rule %.300s: its value is quoted, and live domains were seen never "
                          "to match such: leave the quotes out",
                          rule);
        if (parsed.contains)
            kw_setup_warn(s,
                          "rule %.300s: any token whose %.100s holds that text somewhere "
                          "matches, whoever's: use eq",
                          rule, parsed.claim);
    }
}

/* Does --claim have the trust itself look at it? */
static bool is_claimed(const struct kw_setup *s, const char *text)
{
    const char *one;
    int pos = 0;
    while ((one = kw_args_each(s->args, "claim", &pos)) != NULL)
        if (strcmp(one, text) == 0)
            return true;
    return false;
}

/* A rule goes by one claim, sub, and what that one doesn't say would be asked for nowhere at OCI:
 * the trust would let in more than was meant. --subject is the whole of it. */
static int check_said(const struct kw_setup *s, const struct kw_oci_setup *o, struct kw_err *err)
{
    const char *issuer = o->preset.source, *number = kw_arg(s->args, "repository-id");
    const char *owner = kw_arg(s->args, "owner-id"), *branch = kw_arg(s->args, "branch");
    const char *environment = kw_arg(s->args, "environment");
    bool github = strcmp(issuer, "github") == 0, gitlab = strcmp(issuer, "gitlab") == 0;
    bool circleci = strcmp(issuer, "circleci") == 0, both = number != NULL && owner != NULL;
    const struct {
        bool unsaid;
        const char *option, *why, *claim, *value;
    } all[] = {
        {github && environment != NULL, "branch", " beside --environment", "ref=refs/heads/",
         branch},
        {github && !both, "repository-id", " without --owner-id", "repository_id=", number},
        {github && !both, "owner-id", " without --repository-id", "repository_owner_id=", owner},
        {gitlab, "environment", "", "environment=", environment},
        {gitlab, "repository-id", "", "project_id=", number},
        {gitlab, "owner-id", "", "namespace_id=", owner},
        {circleci, "branch", "", "oidc.circleci.com/vcs-ref=refs/heads/", branch},
    };
    char text[600];
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (!all[i].unsaid || all[i].value == NULL)
            continue;
        (void)snprintf(text, sizeof text, "%s%s", all[i].claim, all[i].value);
        if (!is_claimed(s, text))
            return kw_fail(err, KW_USAGE,
                           "--%s: no rule of OCI's for %s says it%s; add --claim %s, which the "
                           "trust asks of all its tokens, or leave it out",
                           all[i].option, issuer, all[i].why, text);
    }
    return 0;
}

int kw_oci_wish_rules(struct kw_setup *s, struct kw_oci_setup *o, struct kw_err *err)
{
    const char *one,
        *from = kw_pyini_get(o->from, "TrustConfiguration", "impersonationrule", false);
    const json_t *preset;
    size_t i;
    int pos = 0, r = 0;
    while (r == 0 && (one = kw_args_each(s->args, "rule", &pos)) != NULL)
        r = kw_oci_wish_rule(o, one, err);
    if (r == 0 && json_array_size(o->rules) == 0 && from != NULL && from[0] != '\0')
        r = kw_oci_wish_rule(o, from, err);
    bool by_preset = json_array_size(o->rules) == 0;
    if (r == 0 && by_preset)
        json_array_foreach(o->preset.rules, i, preset)
        {
            r = kw_oci_wish_rule(o, json_string_value(preset), err);
            if (r != 0)
                break;
        }
    if (r == 0 && json_array_size(o->rules) == 0)
        r = kw_fail(err, KW_USAGE,
                    "which tokens are let in? Give --repository (with --branch or --environment), "
                    "or --rule 'CLAIM eq VALUE'");
    if (r == 0 && by_preset && kw_arg(s->args, "subject") == NULL)
        r = check_said(s, o, err);
    if (r == 0 &&
        (json_array_size(o->rules) > RULES_MOST || json_array_size(o->users) > USERS_MOST))
        r = kw_fail(err, KW_USAGE, "more than %d rules, or more than %d service users", RULES_MOST,
                    USERS_MOST);
    if (r == 0)
        warn_rules(s, o);
    return r;
}

/* The public half of the key in the token that issues the JWTs. */
static int take_issuer_key(struct kw_setup *s, struct kw_oci_setup *o, struct kw_err *err)
{
    unsigned char spki[KW_SPKI_MAX];
    const unsigned char *p = spki;
    size_t n = 0;
    char *text = NULL;
    if (s->commands) {
        o->key_pem = json_string("$ISSUER_KEY_PEM");
        return 0;
    }
    int r = kw_public_alone(s->config, spki, &n, err);
    if (r != 0)
        return r;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)n);
    BIO *out = BIO_new(BIO_s_mem());
    long len = key != NULL && out != NULL && PEM_write_bio_PUBKEY(out, key) == 1
                   ? BIO_get_mem_data(out, &text)
                   : 0;
    if (len > 0)
        o->key_pem = json_stringn(text, (size_t)len);
    BIO_free(out);
    EVP_PKEY_free(key);
    return o->key_pem != NULL ? 0 : kw_fail(err, KW_FAILED, "the issuer key has no PEM form");
}

int kw_oci_wish_issuer(struct kw_setup *s, struct kw_oci_setup *o, struct kw_err *err)
{
    const struct kw_args *a = s->args;
    const char *from = kw_pyini_get(o->from, "TrustConfiguration", "issuer", false);
    struct kw_preset_ask ask = {.issuer = kw_arg(a, "issuer"),
                                .issuer_url = kw_arg(a, "issuer-url"),
                                .repository = kw_arg(a, "repository"),
                                .repository_id = kw_arg(a, "repository-id"),
                                .owner_id = kw_arg(a, "owner-id"),
                                .branch = kw_arg(a, "branch"),
                                .environment = kw_arg(a, "environment"),
                                .subject = kw_arg(a, "subject")};
    if (ask.issuer == NULL && from != NULL && from[0] != '\0')
        ask.issuer = from;
    bool token = ask.issuer != NULL && strcmp(ask.issuer, "token") == 0;
    if (token && ask.issuer_url == NULL && s->config->issuer_iss[0] != '\0')
        ask.issuer_url = s->config->issuer_iss;
    if (token && ask.subject == NULL && s->config->issuer_sub[0] != '\0')
        ask.subject = s->config->issuer_sub;
    int r = kw_preset(&ask, &o->preset, err);
    if (r != 0)
        return r;
    const json_t *one;
    size_t i;
    json_array_foreach(o->preset.warnings, i, one)
    {
        kw_setup_warn(s, "%s", json_string_value(one));
    }
    o->issuer = o->preset.issuer;
    r = kw_oci_take(s, "jwks-url", "TrustConfiguration", "jwk_uri",
                    o->preset.jwks_url[0] != '\0' ? o->preset.jwks_url : NULL, &o->jwks, err);
    if (r == 0 && o->jwks == NULL && token)
        return take_issuer_key(s, o, err);
    if (r == 0 && o->jwks == NULL)
        r = kw_fail(err, KW_USAGE,
                    "where are the issuer's keys? OCI fetches them: give --jwks-url https://...");
    struct kw_url url;
    return r == 0 ? kw_url_parse(o->jwks, "the URL of the issuer's keys", KW_USAGE, &url, err) : r;
}
