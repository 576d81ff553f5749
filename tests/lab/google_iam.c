/* SPDX-License-Identifier: Apache-2.0
 *
 * IAM Credentials: generateAccessToken and generateIdToken, by the IAM policies of the
 * service accounts.
 */
#include <stdlib.h>
#include <string.h>

#include "lab.h"

static const char PREFIX[] = "projects/-/serviceAccounts/";

struct account {
    char email[256], id[256];
};

static void iam_status(struct lab *l, struct lab_response *a, int status)
{
    (void)l;
    lab_google_error(NULL, a, status,
                     status == 429   ? "RESOURCE_EXHAUSTED"
                     : status >= 500 ? "UNAVAILABLE"
                     : status == 403 ? "PERMISSION_DENIED"
                                     : "NOT_FOUND",
                     NULL, "The request was not served.");
}

static void denied(struct lab_request *r, struct lab_response *a, const char *permission)
{
    lab_google_error(r, a, 403, "PERMISSION_DENIED", "IAM_PERMISSION_DENIED",
                     "Permission '%s' denied on resource (or it may not exist).", permission);
}

/* From the caller through each delegate to the account. */
static bool chain_good(struct lab *l, const struct lab_grant *g, const json_t *delegates,
                       const struct account *account)
{
    static const char member[] = "serviceAccount:";
    struct account via;
    char who[600];
    const char *sets = g->sets;
    size_t i;
    json_t *one;
    snprintf(who, sizeof who, "%s%s", g->kind == LAB_OF_ACCOUNT ? member : "", g->who);
    json_array_foreach(delegates, i, one)
    {
        const char *name = json_string_value(one);
        if (name == NULL || strncmp(name, PREFIX, sizeof PREFIX - 1) != 0 ||
            !lab_gaccount_find(l, name + sizeof PREFIX - 1, via.email, via.id, sizeof via.id) ||
            !lab_gaccount_granted(l, via.email, who, sets))
            return false;
        snprintf(who, sizeof who, "%s%s", member, via.email);
        sets = "";
    }
    return account->email[0] != 0 && lab_gaccount_granted(l, account->email, who, sets);
}

static bool has_scope(const struct lab_grant *g)
{
    return strstr(g->scope, "auth/cloud-platform") != NULL || strstr(g->scope, "auth/iam") != NULL;
}

/* Caller, account and body of both calls; false: the answer is made. */
static bool begin(struct lab *l, struct lab_request *r, struct lab_response *a,
                  const char *permission, struct account *account, json_t **body)
{
    struct lab_grant g;
    char name[256];
    *body = NULL;
    if (!lab_google_bearer(l, r, a, &g) || !lab_api_guard(l, r, a, "iamcredentials.googleapis.com"))
        return false;
    if (!has_scope(&g)) {
        lab_google_error(r, a, 403, "PERMISSION_DENIED", "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
                         "Request had insufficient authentication scopes.");
        return false;
    }
    *body = json_loadb((const char *)r->body.p, r->body.len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(*body)) {
        lab_google_error(r, a, 400, "INVALID_ARGUMENT", NULL, "Invalid JSON payload received.");
        return false;
    }
    if (!lab_unpct((const char *)r->param[0].p, r->param[0].len, false, name, sizeof name))
        name[0] = 0;
    (void)lab_gaccount_find(l, name, account->email, account->id, sizeof account->id);
    if (!lab_faults_denied(&l->faults, permission) &&
        chain_good(l, &g, json_object_get(*body, "delegates"), account))
        return true;
    denied(r, a, permission);
    return false;
}

static long lifetime(const json_t *body)
{
    const char *text = json_string_value(json_object_get(body, "lifetime"));
    char *end = NULL;
    if (text == NULL)
        return 3600;
    long n = strtol(text, &end, 10);
    return end != text && strcmp(end, "s") == 0 ? n : -1;
}

static void access_token(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    json_t *body;
    struct account account;
    if (!begin(l, r, a, "iam.serviceAccounts.getAccessToken", &account, &body)) {
        json_decref(body);
        return;
    }
    const json_t *scope = json_object_get(body, "scope");
    long life = lifetime(body);
    if (json_array_size(scope) == 0)
        lab_google_error(r, a, 400, "INVALID_ARGUMENT", NULL, "Scope required.");
    else if (life < 1 || life > 3600)
        lab_google_error(r, a, 400, "INVALID_ARGUMENT", NULL,
                         "The access token lifetime cannot exceed 3600 seconds. To extend it, add "
                         "the service account to the organization policy "
                         "constraints/iam.allowServiceAccountCredentialLifetimeExtension.");
    else {
        struct lab_grant g = {.kind = LAB_OF_ACCOUNT, .until = lab_now(l) + life};
        char until[40];
        time_t t = (time_t)g.until;
        struct tm tm;
        snprintf(g.who, sizeof g.who, "%s", account.email);
        snprintf(g.scope, sizeof g.scope, "%s", json_string_value(json_array_get(scope, 0)));
        lab_grant_add(l, &g);
        strftime(until, sizeof until, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
        lab_verdict(r, "issued: access token of %s", g.who);
        lab_reply_json(a, 200,
                       json_pack("{s:s, s:s}", "accessToken", g.token, "expireTime", until));
    }
    json_decref(body);
}

static void id_token(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    json_t *body;
    struct account account;
    if (!begin(l, r, a, "iam.serviceAccounts.getOpenIdToken", &account, &body)) {
        json_decref(body);
        return;
    }
    const char *audience = json_string_value(json_object_get(body, "audience"));
    int64_t now = lab_now(l);
    if (audience == NULL || audience[0] == 0)
        lab_google_error(r, a, 400, "INVALID_ARGUMENT", NULL, "Audience required.");
    else {
        json_t *claims =
            json_pack("{s:s, s:s, s:s, s:s, s:I, s:I}", "iss", "https://accounts.google.com", "aud",
                      audience, "azp", account.id, "sub", account.id, "iat", (json_int_t)now, "exp",
                      (json_int_t)now + 3600);
        if (json_is_true(json_object_get(body, "includeEmail"))) {
            json_object_set_new(claims, "email", json_string(account.email));
            json_object_set_new(claims, "email_verified", json_true());
        }
        char *jwt = lab_jwt_sign(l->session_key, l->session_kid, claims);
        lab_verdict(r, "issued: ID token of %s for %s", account.email, audience);
        lab_reply_json(a, 200, json_pack("{s:s}", "token", jwt != NULL ? jwt : ""));
        free(jwt);
        json_decref(claims);
    }
    json_decref(body);
}

static const struct lab_route ROUTES[] = {
    {"POST", "/v1/projects/-/serviceAccounts/{}:generateAccessToken", access_token},
    {"POST", "/v1/projects/-/serviceAccounts/{}:generateIdToken", id_token},
    {NULL, NULL, NULL},
};
const struct lab_service lab_iamcredentials = {"google-iamcredentials", ROUTES, NULL, iam_status,
                                               NULL};
