/* SPDX-License-Identifier: Apache-2.0
 *
 * `doctor` with an administrator's rights: is what is at Google what this profile's exchange
 * needs? Read only; each check names the cure. What provider and grants make of the token is
 * what `claims` says, of what is really there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "setup_google.h"
#include "src/claims/google_map.h"

struct examination {
    struct kw_setup *s;
    struct kw_google *g;
    const json_t *claims; /* of the subject token; NULL: there was none */
    json_t *members;      /* who may act as the account; NULL: there is no account */
    struct kw_setup_ear ear;
};

/* --- pool and provider ---------------------------------------------------------------------- */

/* Reads it; *ret stays NULL where it can't be used, which is told. */
static int look(struct examination *x, const char *name, const char *url, const char *restore,
                json_t **ret, struct kw_err *err)
{
    enum kw_google_seen seen;
    json_t *o = NULL;
    int r = kw_google_read(x->s, "GET", url, NULL, &seen, &o, err);
    if (r != 0)
        return r;
    if (seen == KW_GOOGLE_OFF)
        kw_setup_say(&x->ear, name, KW_CLOUD,
                     "the API is not enabled in project %s: keyward setup google", x->g->project);
    else if (seen == KW_GOOGLE_ABSENT)
        kw_setup_say(&x->ear, name, KW_CLOUD, "it is not there: keyward setup google makes it");
    else if (strcmp(kw_google_text(o, "state"), "DELETED") == 0)
        kw_setup_say(&x->ear, name, KW_CLOUD,
                     "it was deleted: keyward setup google brings back what it made");
    else if (json_is_true(json_object_get(o, "disabled")))
        kw_setup_say(&x->ear, name, KW_CLOUD, "it is disabled: %s", restore);
    else
        *ret = json_incref(o);
    json_decref(o);
    return 0;
}

static int check_pool(struct examination *x, bool *ret_good, struct kw_err *err)
{
    static const char what[] = "Google: pool";
    char url[600];
    json_t *pool = NULL;
    kw_google_pool_url(x->s, url, sizeof url);
    int r = look(x, what, url, "keyward revoke google --restore", &pool, err);
    *ret_good = pool != NULL;
    if (pool != NULL)
        kw_setup_say(&x->ear, what, 0, "%s", x->g->pool);
    json_decref(pool);
    return r;
}

static int read_provider(struct examination *x, json_t **ret, struct kw_err *err)
{
    char pool[600], url[700];
    kw_google_pool_url(x->s, pool, sizeof pool);
    (void)snprintf(url, sizeof url, "%s/providers/%s", pool, x->g->provider);
    return look(x, "Google: provider", url, "enable it, or choose another one", ret, err);
}

/* --- the account ---------------------------------------------------------------------------- */

/* Of a role with which a member can be the account; bindings with a condition are told, not
 * judged. */
static void gather(struct examination *x, const json_t *policy)
{
    const json_t *b;
    json_t *m;
    size_t i, k;
    json_array_foreach(json_object_get(policy, "bindings"), i, b)
    {
        const char *role = kw_google_text(b, "role");
        if (strcmp(role, "roles/iam.workloadIdentityUser") != 0 &&
            strcmp(role, "roles/iam.serviceAccountTokenCreator") != 0)
            continue;
        if (json_object_get(b, "condition") != NULL) {
            kw_setup_say(&x->ear, "Google: grant", 0,
                         "%s has a condition, which is not judged here", role);
            continue;
        }
        json_array_foreach(json_object_get(b, "members"), k, m)
        {
            if (json_is_string(m) && strncmp(json_string_value(m), "principal", 9) == 0)
                (void)json_array_append(x->members, m);
        }
    }
}

static int check_account(struct examination *x, struct kw_err *err)
{
    static const char what[] = "Google: service account";
    static const struct kw_google_grant policy_of = {.resource = "account"};
    char url[700];
    enum kw_google_seen seen;
    json_t *o = NULL, *policy = NULL;
    if (x->g->account[0] == '\0')
        return 0;
    kw_google_account_url(x->s, "", url, sizeof url);
    int r = look(x, what, url, "gcloud iam service-accounts enable", &o, err);
    if (r != 0 || o == NULL)
        return r;
    json_decref(o);
    kw_setup_say(&x->ear, what, 0, "%s", x->g->account);
    r = kw_google_policy(x->s, &policy_of, &seen, &policy, err);
    x->members = r == 0 ? json_array() : NULL;
    if (r == 0)
        gather(x, policy);
    json_decref(policy);
    return r;
}

/* --- what comes of the token ---------------------------------------------------------------- */

static const char *verdict_of(const json_t *o)
{
    return kw_google_text(o, "verdict");
}

/* The first check on the token that is refused is the one to be put right. */
static bool check_claims(struct examination *x, const json_t *v)
{
    static const char what[] = "Google: token";
    const json_t *one;
    size_t i;
    json_array_foreach(json_object_get(v, "checks"), i, one)
    {
        const char *name = kw_google_text(one, "name");
        if (strcmp(verdict_of(one), "refuse") != 0)
            continue;
        kw_setup_say(&x->ear, what, KW_CLOUD, "%s: %s%s", name, kw_google_text(one, "text"),
                     strcmp(name, "audience") == 0
                         ? "; ask for it with [source] audience, or keyward setup google --audience"
                     : strcmp(name, "issuer") == 0 ? "; issuers are compared to the last slash"
                                                   : "");
        return false;
    }
    kw_setup_say(&x->ear, what, 0, "issuer, audience and times are as the provider wants them");
    return true;
}

static bool check_condition(struct examination *x, const json_t *v)
{
    static const char what[] = "Google: mapping and condition";
    const char *verdict = verdict_of(v), *principal = kw_google_text(v, "principal");
    if (strcmp(verdict, "accepted") == 0) {
        kw_setup_say(&x->ear, what, 0, "%s", principal);
        return true;
    }
    kw_setup_say(
        &x->ear, what, KW_CLOUD, "%s%s: keyward claims shows it term by term; keyward setup google",
        strcmp(verdict, "unknown") == 0 ? "it can't be said what they make of the token: " : "",
        kw_google_text(v, "text"));
    return false;
}

static void check_grant(struct examination *x, const json_t *v)
{
    static const char what[] = "Google: grant";
    const json_t *one;
    size_t i;
    if (x->members == NULL)
        return;
    json_array_foreach(json_object_get(v, "members"), i, one)
    {
        if (json_is_true(json_object_get(one, "matches"))) {
            kw_setup_say(&x->ear, what, 0, "%s", kw_google_text(one, "member"));
            return;
        }
    }
    kw_setup_say(
        &x->ear, what, KW_CLOUD,
        "none of the %zu members who may act as %s is this token's principal: keyward setup google "
        "grants it",
        json_array_size(x->members), x->g->account);
}

static int check_token(struct examination *x, const json_t *provider, struct kw_err *err)
{
    struct kw_google_map map;
    char name[KW_GOOGLE_NAME];
    json_t *header = json_object(), *v = NULL;
    char *text = json_dumps(provider, JSON_COMPACT);
    (void)snprintf(name, sizeof name,
                   "projects/%s/locations/global/workloadIdentityPools/%s/providers/%s",
                   x->g->number, x->g->pool, x->g->provider);
    int r = kw_google_map_init(&map, err);
    if (r == 0 && (text == NULL || header == NULL))
        r = kw_fail(err, KW_FAILED, "there is no memory left");
    if (r == 0)
        r = kw_google_map_read(&map, text, strlen(text), "the provider", err);
    if (r == 0)
        r = kw_google_map_name(&map, name, err);
    if (r == 0 && x->members != NULL)
        (void)json_array_extend(map.members, x->members);
    if (r == 0)
        r = kw_google_map_check(&map, err);
    if (r == 0)
        v = kw_google_map_explain(&map, header, x->claims, (int64_t)time(NULL));
    if (r == 0 && v == NULL)
        r = kw_fail(err, KW_FAILED, "there is no memory left");
    if (r == 0 && check_claims(x, v) && check_condition(x, v))
        check_grant(x, v);
    json_decref(v);
    json_decref(header);
    free(text);
    kw_google_map_free(&map);
    return r == KW_USAGE ? (int)(err->code = KW_CLOUD) : r; /* it is Google's, not the user's */
}

int kw_google_examine(struct kw_setup *s, const json_t *claims, const struct kw_setup_ear *ear,
                      struct kw_err *err)
{
    struct examination x = {.s = s, .g = kw_google_of(s), .claims = claims, .ear = *ear};
    json_t *provider = NULL;
    bool good = false;
    int r = check_pool(&x, &good, err);
    if (r == 0 && good)
        r = read_provider(&x, &provider, err);
    if (provider != NULL)
        kw_setup_say(&x.ear, "Google: provider", 0, "%s", x.g->provider);
    if (r == 0)
        r = check_account(&x, err);
    if (r == 0 && provider != NULL && claims != NULL)
        r = check_token(&x, provider, err);
    else if (r == 0 && provider != NULL)
        kw_setup_say(&x.ear, "Google: token", -1,
                     "not tried: there is no subject token to try it on");
    json_decref(provider);
    json_decref(x.members);
    return r;
}
