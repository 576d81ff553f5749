/* SPDX-License-Identifier: Apache-2.0
 *
 * `doctor` with an administrator's rights: is what is at OCI what this profile's exchange
 * needs? Read only; each check names the cure.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "setup_oci.h"
#include "src/wire/oci_rule.h"

#define SHOWN                                                                                      \
    "name,type,issuer,active,allowImpersonation,subjectType,oauthClients,clientClaimName,"         \
    "clientClaimValues,claimValidations,impersonationServiceUsers,impersonatingResource,"          \
    "publicKeyEndpoint,publicCertificate,tags"

enum { SHORT_ID = 40, SKEW_TOLD = 60, SKEW_MOST = 300 };

struct examination {
    struct kw_setup *s;
    struct kw_oci_setup *o;
    const json_t *claims; /* of the subject token; NULL: there was none */
    json_t *trust;
    struct kw_setup_ear ear;
};

/* Is the claim that text, or an array that has it? */
static bool claim_is(const json_t *claims, const char *name, const char *text)
{
    const json_t *v = json_object_get(claims, name), *one;
    size_t i;
    if (json_is_string(v))
        return strcmp(json_string_value(v), text) == 0;
    json_array_foreach(v, i, one)
    {
        if (json_is_string(one) && strcmp(json_string_value(one), text) == 0)
            return true;
    }
    return false;
}

static bool is_in(const json_t *list, const char *text)
{
    const json_t *one;
    size_t i;
    json_array_foreach(list, i, one)
    {
        if (json_is_string(one) && strcmp(json_string_value(one), text) == 0)
            return true;
    }
    return false;
}

/* --- the trust --------------------------------------------------------------------------- */

static int find_trust(struct examination *x, struct kw_err *err)
{
    static const char what[] = "OCI: trust";
    char other[600];
    json_t *near = NULL;
    const char *issuer = x->o->issuer;
    size_t n = strlen(issuer);
    bool slash = n > 0 && issuer[n - 1] == '/';
    int r = kw_oci_find(x->s, "IdentityPropagationTrusts", "issuer", issuer, SHOWN, "trust",
                        &x->trust, err);
    if (r != 0 || x->trust != NULL)
        return r;
    (void)snprintf(other, sizeof other, "%.*s%s", (int)(slash ? n - 1 : n), issuer,
                   slash ? "" : "/");
    r = kw_oci_find(x->s, "IdentityPropagationTrusts", "issuer", other, "issuer", "trust", &near,
                    err);
    if (r == 0 && near != NULL)
        kw_setup_say(
            &x->ear, what, KW_CLOUD,
            "there is none for %s, but one for %s: issuers are compared to the last slash; make it "
            "anew with the right one",
            issuer, other);
    else if (r == 0)
        kw_setup_say(&x->ear, what, KW_CLOUD, "there is none for %s: keyward setup oci makes it",
                     issuer);
    json_decref(near);
    return r;
}

static void check_trust(struct examination *x)
{
    static const char what[] = "OCI: trust";
    const json_t *t = x->trust;
    bool rpst = x->s->config->requested == KW_RPST;
    const char *keys = kw_oci_text(t, "publicKeyEndpoint"), *type = kw_oci_text(t, "type");
    const char *resource = kw_oci_text(t, "impersonatingResource");
    if (!json_is_true(json_object_get(t, "active")))
        kw_setup_say(&x->ear, what, KW_CLOUD, "it is switched off: keyward revoke oci --restore");
    else if (strcmp(type, "JWT") != 0)
        kw_setup_say(&x->ear, what, KW_CLOUD, "its type is %s, not JWT: make it anew", type);
    else if (!json_is_true(json_object_get(t, "allowImpersonation")))
        kw_setup_say(&x->ear, what, KW_CLOUD,
                     "allowImpersonation is false: keyward setup oci puts it right");
    else if (keys[0] == '\0' && kw_oci_text(t, "publicCertificate")[0] == '\0')
        kw_setup_say(&x->ear, what, KW_CLOUD,
                     "it has neither publicKeyEndpoint nor publicCertificate");
    else if (rpst && strcmp(resource, x->s->config->res_type) != 0)
        kw_setup_say(&x->ear, what, KW_CLOUD,
                     "impersonatingResource is \"%s\", [oci] res_type \"%s\"", resource,
                     x->s->config->res_type);
    else
        kw_setup_say(&x->ear, what, 0, "%s is active; keys at %s", kw_oci_text(t, "name"),
                     keys[0] != '\0' ? keys : "hand (publicCertificate)");
}

static int check_client(struct examination *x, struct kw_err *err)
{
    static const char what[] = "OCI: client";
    const char *id = x->s->config->client_id;
    const json_t *clients = json_object_get(x->trust, "oauthClients");
    json_t *app = NULL;
    if (x->s->config->client_auth == KW_AUTH_SIGNATURE) {
        kw_setup_say(&x->ear, what, 0, "none: requests are signed");
        return 0;
    }
    int r =
        kw_oci_find(x->s, "Apps", "name", id, "name,displayName,active,clientType,allowedGrants",
                    "application", &app, err);
    if (r != 0)
        return r;
    if (app == NULL)
        kw_setup_say(&x->ear, what, KW_CLOUD, "no application has the client id %s", id);
    else if (!json_is_true(json_object_get(app, "active")))
        kw_setup_say(&x->ear, what, KW_CLOUD,
                     "application %s is not active: keyward revoke oci --restore",
                     kw_oci_text(app, "displayName"));
    else if (strcmp(kw_oci_text(app, "clientType"), "public") == 0 ||
             !is_in(json_object_get(app, "allowedGrants"), "client_credentials"))
        kw_setup_say(&x->ear, what, KW_CLOUD,
                     "application %s is not a confidential one with client_credentials",
                     kw_oci_text(app, "displayName"));
    else if (!is_in(clients, id))
        kw_setup_say(&x->ear, what, KW_CLOUD,
                     "the trust's oauthClients don't have %s: keyward setup oci", id);
    else
        kw_setup_say(&x->ear, what, 0, "application %s", kw_oci_text(app, "displayName"));
    json_decref(app);
    return 0;
}

/* --- what it asks of the token ----------------------------------------------------------- */

static void check_claims(struct examination *x)
{
    static const char what[] = "OCI: audience and claims";
    const char *name = kw_oci_text(x->trust, "clientClaimName");
    const json_t *values = json_object_get(x->trust, "clientClaimValues"), *one;
    size_t i;
    bool fits = name[0] == '\0';
    json_array_foreach(values, i, one)
    {
        fits = fits || (json_is_string(one) && claim_is(x->claims, name, json_string_value(one)));
    }
    if (!fits) {
        const char *first = json_string_value(json_array_get(values, 0));
        kw_setup_say(
            &x->ear, what, KW_CLOUD,
            "the token's %s is none of clientClaimValues (%s): ask for it with [source] audience, "
            "or keyward setup oci --audience",
            name, first != NULL ? first : "none");
        return;
    }
    json_array_foreach(json_object_get(x->trust, "claimValidations"), i, one)
    {
        const char *claim = kw_oci_text(one, "name"), *value = kw_oci_text(one, "value");
        if (!claim_is(x->claims, claim, value)) {
            kw_setup_say(&x->ear, what, KW_CLOUD,
                         "the trust wants %s = %s of the token, which isn't so", claim, value);
            return;
        }
    }
    kw_setup_say(&x->ear, what, 0, "%s",
                 name[0] != '\0' ? "as the trust wants them" : "the trust wants none");
}

/* Is the rule one that can match, of a user that can be one? */
static bool rule_good(struct examination *x, const json_t *one)
{
    static const char what[] = "OCI: rule";
    const char *text = kw_oci_text(one, "rule"), *value = kw_oci_text(one, "value");
    const char *wide = kw_preset_wide_rule(text);
    struct kw_oci_rule rule;
    struct kw_err why;
    if (kw_oci_rule_parse(text, &rule, &why) != 0)
        kw_setup_say(&x->ear, what, KW_CLOUD, "%s", why.text);
    else if (rule.quoted)
        kw_setup_say(
            &x->ear, what, KW_CLOUD,
            "%s: its value is quoted, and such never match: keyward setup oci with the rule "
            "without quotes",
            text);
    else if (strlen(value) > SHORT_ID || strncmp(value, "ocid1.", 6) == 0)
        kw_setup_say(&x->ear, what, KW_CLOUD, "%s: its value is an OCID, not the user's short id",
                     text);
    else if (wide != NULL)
        kw_setup_say(&x->ear, what, KW_CLOUD, "%s: %s", text, wide);
    else
        return true;
    return false;
}

static int check_user(struct examination *x, const json_t *one, struct kw_err *err)
{
    static const char what[] = "OCI: service user";
    char target[KW_SCIM_ID + 128];
    json_t *user = NULL;
    bool gone = false;
    const char *id;
    const struct kw_oci_call c = {.method = "GET", .target = target, .what = what, .gone = &gone};
    if (kw_oci_id(one, "value", &id, err) != 0)
        return kw_err_wrap(err, "%s", what);
    (void)snprintf(target, sizeof target,
                   "/admin/v1/Users/%s?attributes=userName,active," KW_SCIM_USER ":serviceUser",
                   id);
    int r = kw_oci_call(x->s, &c, &user, err);
    if (r != 0)
        return r;
    const json_t *flag = json_object_get(json_object_get(user, KW_SCIM_USER), "serviceUser");
    if (gone)
        kw_setup_say(&x->ear, what, KW_CLOUD, "the rule's user %s is not there", id);
    else if (!json_is_true(flag))
        kw_setup_say(&x->ear, what, KW_CLOUD,
                     "%s is no service user, and can't become one: make another, keyward setup oci "
                     "--service-user",
                     kw_oci_text(user, "userName"));
    else if (!json_is_true(json_object_get(user, "active")))
        kw_setup_say(&x->ear, what, KW_CLOUD, "%s is not active", kw_oci_text(user, "userName"));
    else
        kw_setup_say(&x->ear, what, 0, "%s", kw_oci_text(user, "userName"));
    json_decref(user);
    return 0;
}

/* Which rule lets the token in, and as whom. */
static int check_rules(struct examination *x, struct kw_err *err)
{
    static const char what[] = "OCI: rules";
    const json_t *list = json_object_get(x->trust, "impersonationServiceUsers"), *one;
    json_t *texts = json_array();
    size_t i;
    bool good = true;
    json_array_foreach(list, i, one)
    {
        good = rule_good(x, one) && good;
        (void)json_array_append(texts, json_object_get(one, "rule"));
    }
    json_t *v = good ? kw_oci_rules_explain(texts, x->claims, err) : NULL;
    json_decref(texts);
    if (v == NULL) {
        if (good)
            return (int)err->code;
        kw_setup_say(&x->ear, what, -1, "not tried: see above");
        return 0;
    }
    const json_t *matched = json_object_get(v, "matched");
    const char *verdict = kw_oci_text(v, "verdict");
    int r = 0;
    if (json_is_integer(matched)) {
        one = json_array_get(list, (size_t)json_integer_value(matched) - 1);
        kw_setup_say(&x->ear, what, 0, "%s", kw_oci_text(one, "rule"));
        r = check_user(x, one, err);
    } else
        kw_setup_say(&x->ear, what, KW_CLOUD,
                     "%s: compare with keyward claims; keyward setup oci --rule",
                     strcmp(verdict, "refused") == 0 ? "none fits the token"
                                                     : "whether one fits the token can't be said");
    json_decref(v);
    return r;
}

/* --- all of it --------------------------------------------------------------------------- */

static void check_clock(struct examination *x)
{
    int64_t off = x->o->clock_off;
    int64_t most = off < 0 ? -off : off;
    if (!x->o->clock_seen)
        return;
    kw_setup_say(&x->ear, "OCI: clock", most > SKEW_MOST ? KW_CLOUD : 0, "%s",
                 most > SKEW_TOLD
                     ? "ours and the domain's differ by more than a minute (5 are the most): "
                       "set the clock"
                     : "ours and the domain's agree");
}

int kw_oci_examine(struct kw_setup *s, const json_t *claims, const struct kw_setup_ear *ear,
                   struct kw_err *err)
{
    struct kw_oci_setup *o = kw_oci(s);
    struct examination x = {.s = s, .o = o, .claims = claims, .ear = *ear};
    const char *issuer = json_string_value(json_object_get(claims, "iss"));
    if (issuer != NULL)
        o->issuer = issuer;
    int r = find_trust(&x, err);
    check_clock(&x);
    if (r == 0 && x.trust != NULL) {
        check_trust(&x);
        r = check_client(&x, err);
    }
    if (r == 0 && x.trust != NULL && claims != NULL) {
        check_claims(&x);
        r = check_rules(&x, err);
    } else if (r == 0 && x.trust != NULL)
        kw_setup_say(&x.ear, "OCI: rules", -1,
                     "not tried: there is no subject token to try them on");
    json_decref(x.trust);
    return r;
}
