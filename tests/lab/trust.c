/* SPDX-License-Identifier: Apache-2.0
 *
 * The identity domain's side of a subject token: issuer, signature, times, audience,
 * then the impersonation rules, first match first.
 */
#include <string.h>

#include "lab.h"

static const struct lab_user USERS[] = {
    {"ci-deployer", "ocid1.user.oc1..aaaaaaaakeywardlabdeployer", true},
    {"human", "ocid1.user.oc1..aaaaaaaakeywardlabhuman", false}, /* not a service user */
};

static const struct lab_user *find_user(const char *name)
{
    for (size_t i = 0; i < sizeof USERS / sizeof USERS[0]; i++)
        if (strcmp(USERS[i].name, name) == 0)
            return &USERS[i];
    return NULL;
}

bool lab_rule_read(const char *text, size_t n, struct lab_rule *rule)
{
    const char *end = text + n, *sp1 = memchr(text, ' ', n);
    const char *sp2 = sp1 == NULL ? NULL : memchr(sp1 + 1, ' ', (size_t)(end - sp1 - 1));
    memset(rule, 0, sizeof *rule);
    if (sp2 == NULL || sp2 + 1 >= end || sp1 == text ||
        (size_t)(sp1 - text) >= sizeof rule->claim || (size_t)(end - sp2 - 1) >= sizeof rule->value)
        return false;
    memcpy(rule->claim, text, (size_t)(sp1 - text));
    memcpy(rule->value, sp2 + 1, (size_t)(end - sp2 - 1));
    rule->contains = strncmp(sp1, " co ", 4) == 0;
    bool star = strchr(rule->value, '*') != NULL;
    return rule->contains ? !star : strncmp(sp1, " eq ", 4) == 0;
}

int lab_rule_parse(const char *text, struct lab_rule *rule, struct kw_err *err)
{
    const char *arrow = strstr(text, " => ");
    bool good = lab_rule_read(text, arrow != NULL ? (size_t)(arrow - text) : strlen(text), rule);
    snprintf(rule->user, sizeof rule->user, "%s", arrow != NULL ? arrow + 4 : "ci-deployer");
    if (!good || find_user(rule->user) == NULL)
        return kw_fail(err, KW_USAGE,
                       "rule \"%s\": must be CLAIM eq|co VALUE (* is a wildcard with eq, and not "
                       "allowed with co), optionally followed by \" => ci-deployer\" or "
                       "\" => human\"",
                       text);
    return 0;
}

/* `*` matches any run of characters; nothing else is special. */
static bool wildcard(const char *pattern, const char *text)
{
    const char *star = NULL, *again = NULL;
    while (*text != 0) {
        if (*pattern == '*') {
            star = pattern++;
            again = text;
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star + 1;
            text = ++again;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == 0;
}

/* Only string claims match, and quotes in a rule are characters like any other: both
 * as OCI does it. */
bool lab_rule_match(const struct lab_rule *rule, const struct kw_jwt *j)
{
    const char *value = json_string_value(json_object_get(j->claims, rule->claim));
    if (value == NULL)
        return false;
    return rule->contains ? strstr(value, rule->value) != NULL : wildcard(rule->value, value);
}

static bool audience_good(const struct lab *l, const struct kw_jwt *j)
{
    const json_t *aud = json_object_get(j->claims, "aud");
    size_t n = json_is_array(aud) ? json_array_size(aud) : 1;
    for (size_t i = 0; i < n; i++) {
        const char *one = json_string_value(json_is_array(aud) ? json_array_get(aud, i) : aud);
        for (size_t k = 0; one != NULL && k < l->opt.n_audience; k++)
            if (strcmp(one, l->opt.audience[k]) == 0)
                return true;
    }
    return false;
}

const char *lab_trust_times(struct lab *l, const struct kw_jwt *j, int64_t skew)
{
    int64_t now = lab_now(l), at;
    if (!kw_jwt_time(j, "exp", &at))
        return "The subject token has no expiry.";
    if (now >= at + skew)
        return "The subject token has expired.";
    if (json_object_get(j->claims, "nbf") != NULL &&
        (!kw_jwt_time(j, "nbf", &at) || at > now + skew))
        return "The subject token is not valid yet.";
    if (!kw_jwt_time(j, "iat", &at) || at > now + skew)
        return "The subject token was issued in the future or has no iat.";
    return NULL;
}

/* By the options' trusts. */
static const char *judge_token(struct lab *l, const char *token, const char *iss,
                               const struct kw_jwt *j)
{
    const struct lab_trust *trust = NULL;
    for (size_t i = 0; iss != NULL && !l->opt.bare && i < l->n_trust; i++)
        if (strcmp(l->trust[i].issuer, iss) == 0)
            trust = &l->trust[i];
    if (trust == NULL)
        return "No trust is configured for the issuer of the subject token.";
    const char *kid = json_string_value(json_object_get(j->header, "kid"));
    if (!lab_jwt_good(token, j, lab_key_find(&trust->jwks, kid)))
        return "The signature of the subject token is not valid.";
    const char *why = lab_trust_times(l, j, l->opt.trust_skew);
    if (why != NULL)
        return why;
    if (!audience_good(l, j))
        return "The audience of the subject token is not accepted.";
    const char *sub = kw_jwt_str(j, "sub");
    return sub == NULL || sub[0] == 0 ? "The subject token has no subject." : NULL;
}

static const char *find_subject(struct lab *l, const struct kw_jwt *j, struct lab_subject *s)
{
    const struct lab_user *user = NULL;
    for (size_t i = 0; i < l->n_rule && user == NULL; i++)
        if (lab_rule_match(&l->rule[i], j))
            user = find_user(l->rule[i].user);
    if (user == NULL)
        return "No rules matched from given token to find impersonation user.";
    snprintf(s->name, sizeof s->name, "%s", user->name);
    snprintf(s->ocid, sizeof s->ocid, "%s", user->ocid);
    snprintf(s->res_type, sizeof s->res_type, "%s", l->opt.res_type);
    s->service_user = user->service_user;
    s->active = true;
    return NULL;
}

/* A trust that was made in the domain goes before the options' of the same issuer. */
const char *lab_trust_judge(struct lab *l, const char *client, const char *token, struct kw_jwt *j,
                            struct lab_subject *s, int *status, const char **code)
{
    *status = 400;
    *code = "invalid_grant";
    *s = (struct lab_subject){.active = false};
    if (kw_jwt_decode(token, strlen(token), "subject token", KW_FAILED, j, NULL) != 0)
        return "The subject token is not a JWT.";
    const char *iss = kw_jwt_str(j, "iss");
    json_t *made = iss == NULL ? NULL : lab_trust_made(l, iss);
    const char *why = made != NULL ? lab_trust_made_judge(l, made, client, token, j)
                                   : judge_token(l, token, iss, j);
    if (why == NULL) {
        *status = 401;
        *code = "unauthorized_client";
        why = made != NULL ? lab_trust_made_user(l, made, j, s) : find_subject(l, j, s);
    }
    json_decref(made);
    if (why == NULL && !s->service_user)
        why = "User requesting is not a service user.";
    return why == NULL && !s->active ? "The user is not active." : why;
}
