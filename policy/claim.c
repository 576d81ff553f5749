/* SPDX-License-Identifier: Apache-2.0
 *
 * Claim policy: decided before a subject token is sent anywhere. Nothing here
 * trusts the token: its signature is the cloud's to check, so these rules can only
 * make us refuse. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules.h"
#include "src/config/config.h"
#include "src/wire/jwt.h"

enum { SKEW_S = 60, VALUE_MAX = 2048, SHOWN_MAX = 160 };

/* A scalar as the text that patterns are held against; false for null, objects,
 * arrays and what is over-long. */
static bool scalar_text(const json_t *v, char *out, size_t size)
{
    if (json_is_string(v)) {
        size_t n = json_string_length(v);
        if (n >= size)
            return false;
        memcpy(out, json_string_value(v), n + 1);
        return true;
    }
    if (!json_is_number(v) && !json_is_boolean(v))
        return false;
    size_t n = json_dumpb(v, out, size - 1, JSON_ENCODE_ANY);
    if (n == 0 || n >= size)
        return false;
    out[n] = '\0';
    return true;
}

/* What an error shows of a claim; "absent" where there is none. */
static void shown(const json_t *v, char out[SHOWN_MAX])
{
    char *text = v != NULL ? json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    const char *show = text != NULL ? text : "absent";
    size_t n = strlen(show);
    (void)snprintf(out, SHOWN_MAX, "%.*s%s", SHOWN_MAX - 4, show, n > SHOWN_MAX - 4 ? "..." : "");
    free(text);
}

/* A top-level claim of that whole name, else a/b/c as members of members: names
 * such as oidc.circleci.com/project-id hold a slash themselves. */
static const json_t *find_claim(const json_t *claims, const char *name)
{
    const json_t *v = json_object_get(claims, name);
    for (const char *p = name; v == NULL && claims != NULL;) {
        size_t n = strcspn(p, "/");
        claims = json_object_getn(claims, p, n);
        if (p[n] == '\0')
            return claims;
        p += n + 1;
    }
    return v;
}

static bool matches_one(const char *patterns, const json_t *v)
{
    char text[VALUE_MAX], pattern[VALUE_MAX];
    if (!scalar_text(v, text, sizeof text))
        return false;
    for (const char *p = patterns; *p != '\0';) {
        size_t n = strcspn(p, " ");
        if (n > 0 && n < sizeof pattern) {
            memcpy(pattern, p, n);
            pattern[n] = '\0';
            if (kw_glob(pattern, text, false))
                return true;
        }
        p += n + strspn(p + n, " ");
    }
    return false;
}

/* One of the patterns matches the scalar, or one element of the array. */
static bool matches(const char *patterns, const json_t *v)
{
    if (!json_is_array(v))
        return matches_one(patterns, v);
    for (size_t i = 0; i < json_array_size(v); i++)
        if (matches_one(patterns, json_array_get(v, i)))
            return true;
    return false;
}

static bool audience_in(const json_t *aud, const char *wanted)
{
    if (json_is_string(aud))
        return strcmp(json_string_value(aud), wanted) == 0;
    for (size_t i = 0; i < json_array_size(aud); i++) {
        const char *one = json_string_value(json_array_get(aud, i));
        if (one != NULL && strcmp(one, wanted) == 0)
            return true;
    }
    return false;
}

int kw_claims_judge_times(const struct kw_jwt *j, int64_t now, struct kw_err *err)
{
    int64_t t;
    if (!kw_jwt_time(j, "exp", &t))
        return kw_fail(err, KW_POLICY, "the subject token has no usable exp claim; refused");
    if (t <= now)
        return kw_fail(err, KW_POLICY,
                       "the subject token expired %" PRId64 " s ago; get a fresh one (or check "
                       "this machine's clock)",
                       now - t);
    const char *const starts[] = {"nbf", "iat"};
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        if (json_object_get(j->claims, starts[i]) == NULL)
            continue;
        if (!kw_jwt_time(j, starts[i], &t))
            return kw_fail(err, KW_POLICY, "the subject token's %s claim is no time; refused",
                           starts[i]);
        if (t > now + SKEW_S)
            return kw_fail(err, KW_POLICY,
                           "the subject token's %s is %" PRId64 " s in the future (%d s are "
                           "tolerated); check this machine's clock",
                           starts[i], t - now, SKEW_S);
    }
    return 0;
}

int kw_claims_judge_who(const struct kw_config *c, const struct kw_jwt *j, struct kw_err *err)
{
    char value[SHOWN_MAX];
    const char *iss = kw_jwt_str(j, "iss");
    if (c->issuer[0] != '\0' && (iss == NULL || strcmp(iss, c->issuer) != 0)) {
        shown(json_object_get(j->claims, "iss"), value);
        return kw_fail(err, KW_POLICY,
                       "refused by [policy %s] issuer = %s: the subject token's iss is %s",
                       c->profile, c->issuer, value);
    }
    const json_t *aud = json_object_get(j->claims, "aud");
    if (c->audience[0] != '\0' && !audience_in(aud, c->audience)) {
        shown(aud, value);
        return kw_fail(err, KW_POLICY,
                       "refused by [policy %s] audience = %s: the subject token's aud is %s",
                       c->profile, c->audience, value);
    }
    return 0;
}

int kw_claims_judge_rule(const struct kw_config *c, size_t i, const struct kw_jwt *j,
                         struct kw_err *err)
{
    const struct kw_claim_rule *rule = &c->rules[i];
    const json_t *v = find_claim(j->claims, rule->claim);
    if (v != NULL && matches(rule->values, v))
        return 0;
    char value[SHOWN_MAX];
    shown(v, value);
    return kw_fail(
        err, KW_POLICY,
        "refused by [policy %s] claim.%s = %.*s%s (line %u): the subject token's %s is %s",
        c->profile, rule->claim, SHOWN_MAX, rule->values,
        strlen(rule->values) > SHOWN_MAX ? "..." : "", rule->line, rule->claim, value);
}

/* Appends " name=value"; what could be taken for the next pair or break the line is
 * percent-encoded, so that a claim can't write a second one into the audit. */
static void decide(char *decided, size_t size, const char *name, const json_t *v)
{
    char text[VALUE_MAX];
    size_t at = strlen(decided);
    if (v == NULL)
        return;
    if (!scalar_text(v, text, sizeof text))
        shown(v, text);
    int n = snprintf(decided + at, size - at, "%s%s=", at > 0 ? " " : "", name);
    if (n < 0 || (size_t)n >= size - at) {
        decided[at] = '\0'; /* whole pairs only */
        return;
    }
    size_t out = at + (size_t)n;
    for (const char *p = text; *p != '\0'; p++) {
        bool plain = *p > ' ' && *p < 0x7f && *p != '%' && *p != '=';
        if (size - out < 8) { /* room for one more and "..." */
            (void)snprintf(decided + out, size - out, "...");
            break;
        }
        out += (size_t)snprintf(decided + out, size - out, plain ? "%c" : "%%%02X",
                                (unsigned)(unsigned char)*p);
    }
}

int kw_claims_judge(const struct kw_config *c, const struct kw_jwt *j, int64_t now, char *decided,
                    size_t size, struct kw_err *err)
{
    int r = kw_claims_judge_times(j, now, err);
    if (r == 0)
        r = kw_claims_judge_who(c, j, err);
    for (size_t i = 0; r == 0 && i < c->n_rules; i++)
        r = kw_claims_judge_rule(c, i, j, err);
    if (decided == NULL || size == 0)
        return r;
    decided[0] = '\0';
    decide(decided, size, "iss", json_object_get(j->claims, "iss"));
    decide(decided, size, "sub", json_object_get(j->claims, "sub"));
    for (size_t i = 0; i < c->n_rules; i++)
        decide(decided, size, c->rules[i].claim, find_claim(j->claims, c->rules[i].claim));
    return r;
}
