/* SPDX-License-Identifier: Apache-2.0
 *
 * Google's Security Token Service: POST /v1/token in its three encodings, and
 * /v1/introspect. It refuses what the real one refuses, in its words.
 */
#include <string.h>
#include <strings.h>

#include "lab.h"

enum { LIFE_MAX = 48 * 3600, ROOM = 33000 };

static const char GRANT[] = "urn:ietf:params:oauth:grant-type:token-exchange";
static const char ACCESS[] = "urn:ietf:params:oauth:token-type:access_token";
static const char MTLS[] = "urn:ietf:params:oauth:token-type:mtls";
static const char JWT[] = "urn:ietf:params:oauth:token-type:jwt";
static const char ID_TOKEN[] = "urn:ietf:params:oauth:token-type:id_token";

static void refuse(struct lab_request *r, struct lab_response *a, const char *error,
                   const char *description)
{
    lab_verdict(r, "refused: %s: %s", error, description);
    lab_reply_json(a, 400,
                   json_pack("{s:s, s:s}", "error", error, "error_description", description));
}

static void sts_status(struct lab *l, struct lab_response *a, int status)
{
    (void)l;
    const char *error = status == 429 ? "quota_exceeded" : status >= 500 ? "internal_failure" : "";
    if (error[0] == 0)
        lab_reply_bytes(a, status, "text/html", "<html>Error</html>", 18);
    else
        lab_reply_json(a, status,
                       json_pack("{s:s, s:s}", "error", error, "error_description",
                                 "The request was throttled due to rate limit: "
                                 "sts.googleapis.com/requests. Please retry after a few seconds."));
}

/* --- the request, in whichever encoding ------------------------------------------------ */

struct wish {
    struct lab_form form;
    json_t *json; /* camelCase or snake_case */
};

static bool is_type(const struct lab_request *r, const char *type)
{
    const char *given = lab_header(r, "content-type");
    size_t n = given == NULL ? 0 : strcspn(given, "; ");
    return n == strlen(type) && strncasecmp(given, type, n) == 0;
}

static const char *read_wish(const struct lab_request *r, struct wish *w)
{
    if (is_type(r, "application/x-www-form-urlencoded"))
        return lab_form_parse((const char *)r->body.p, r->body.len, &w->form);
    if (!is_type(r, "application/json"))
        return "The content type is neither a form nor JSON.";
    w->json = json_loadb((const char *)r->body.p, r->body.len, JSON_REJECT_DUPLICATES, NULL);
    return json_is_object(w->json) ? NULL : "The body is not a JSON object.";
}

static const char *get(const struct wish *w, const char *snake, const char *camel)
{
    if (w->json == NULL)
        return lab_form_get(&w->form, snake);
    const char *value = json_string_value(json_object_get(w->json, camel));
    return value != NULL ? value : json_string_value(json_object_get(w->json, snake));
}

/* --- the subject token ------------------------------------------------------------------- */

static const char *judge_times(struct lab *l, const struct kw_jwt *j, bool stale, char *text,
                               size_t size)
{
    int64_t now = lab_now(l), iat = 0, exp = 0;
    if (!kw_jwt_time(j, "iat", &iat) || !kw_jwt_time(j, "exp", &exp))
        return "The ID Token has no iat or no exp.";
    if (exp - iat > LIFE_MAX)
        return "The ID Token lives longer than 48 hours.";
    if (now < exp && iat <= now + 60 && !stale)
        return NULL;
    snprintf(text, size, "ID Token issued at %lld is stale to sign-in.", (long long)iat);
    return text;
}

/* The key that the provider has, or that its issuer (one that the lab has keys of)
 * publishes; NULL and *why. */
static EVP_PKEY *find_key(struct lab *l, const struct lab_provider *p, const char *kid,
                          const char **why)
{
    EVP_PKEY *key = NULL;
    *why = "The signature of the ID Token can't be verified.";
    if (p->jwks != NULL)
        return lab_key_find(p->jwks, kid);
    const struct lab_trust *trust = NULL;
    for (size_t i = 0; i < l->n_trust; i++)
        if (strcmp(l->trust[i].issuer, p->issuer) == 0)
            trust = &l->trust[i];
    if (trust == NULL)
        *why = "Error connecting to the given credential's issuer.";
    else
        key = lab_key_find(&trust->jwks, kid);
    return key;
}

/* NULL if it is to be believed; else the description, with *error its name. */
static const char *judge(struct lab *l, const struct lab_provider *p, bool stale, const char *token,
                         struct kw_jwt *j, const char **error, struct lab_mapped *m, char *text,
                         size_t size)
{
    const char *why;
    *error = "invalid_grant";
    if (kw_jwt_decode(token, strlen(token), "subject token", KW_FAILED, j, NULL) != 0)
        return "Unable to parse the ID Token.";
    const char *iss = kw_jwt_str(j, "iss");
    if (iss == NULL || strcmp(p->issuer, iss) != 0) {
        snprintf(text, size, "The issuer in ID Token %s does not match the expected ones: %s",
                 iss != NULL ? iss : "(none)", p->issuer);
        return text;
    }
    const char *kid = json_string_value(json_object_get(j->header, "kid"));
    if (!lab_jwt_good(token, j, find_key(l, p, kid, &why)))
        return why;
    why = judge_times(l, j, stale, text, size);
    return why != NULL ? why : lab_provider_judge(p, j->header, j->claims, lab_now(l), error, m);
}

static const char *judge_certificate(struct lab *l, const struct lab_provider *p,
                                     const struct lab_request *r, const char *subject,
                                     const char **error, struct lab_mapped *m)
{
    json_t *claims = NULL, *header = json_object();
    const char *why = lab_mtls_judge(l, r, subject, p->store, &claims);
    *error = "invalid_grant";
    if (why == NULL)
        why = lab_provider_judge(p, header, claims, lab_now(l), error, m);
    json_decref(header);
    json_decref(claims);
    return why;
}

/* --- the answer ------------------------------------------------------------------------------ */

static void issue(struct lab *l, struct lab_request *r, const struct lab_mapped *m, int64_t exp,
                  const char *scope, struct lab_response *a)
{
    struct lab_grant g = {.kind = LAB_FEDERATED};
    int64_t now = lab_now(l);
    g.until = exp < now + 3600 ? exp : now + 3600; /* it ends no later than the subject token */
    if (r->hit.on[LAB_TOKEN_LIFE])
        g.until = now + r->hit.value[LAB_TOKEN_LIFE];
    snprintf(g.who, sizeof g.who, "%s", m->who);
    snprintf(g.sets, sizeof g.sets, "%s", m->sets);
    snprintf(g.scope, sizeof g.scope, "%s", scope);
    lab_grant_add(l, &g);
    lab_verdict(r, "issued: federated token for %s", g.who);
    lab_reply_header(a, "cache-control", "no-store");
    json_t *o =
        json_pack("{s:s, s:s, s:s, s:I}", "access_token", g.token, "issued_token_type", ACCESS,
                  "token_type", "Bearer", "expires_in", (json_int_t)(g.until - now));
    if (r->hit.on[LAB_TOKEN_ABSENT])
        json_object_del(o, "access_token");
    if (r->hit.on[LAB_TOKEN_GARBAGE])
        json_object_set_new(o, "access_token", json_string("two words"));
    lab_reply_json(a, 200, o);
}

/* The fields that every exchange has; NULL or the description of what is wrong. */
static const char *check_fields(struct lab *l, const struct wish *w, bool mtls,
                                struct lab_provider *p, const char **error)
{
    const char *grant = get(w, "grant_type", "grantType");
    const char *want = get(w, "requested_token_type", "requestedTokenType");
    const char *type = get(w, "subject_token_type", "subjectTokenType");
    const char *audience = get(w, "audience", "audience");
    *error = "invalid_request";
    if (grant == NULL || strcmp(grant, GRANT) != 0)
        return "Invalid value for \"grant_type\".";
    if (want == NULL || strcmp(want, ACCESS) != 0)
        return "Invalid value for \"requested_token_type\".";
    if (type == NULL ||
        (mtls ? strcmp(type, MTLS) != 0 : strcmp(type, JWT) != 0 && strcmp(type, ID_TOKEN) != 0))
        return "Invalid value for \"subject_token_type\".";
    if (audience == NULL || strstr(audience, "/providers/") == NULL)
        return "Invalid value for \"audience\". This value should be the full resource name of "
               "the Identity Provider.";
    if (strncmp(audience, "//iam.googleapis.com/", 21) == 0 &&
        lab_provider_find(l, audience + 21, p) && p->x509 == mtls)
        return NULL;
    *error = "invalid_target";
    return "The target service indicated by the \"audience\" parameters is invalid. This might "
           "either be because the pool or provider is disabled or deleted or because it doesn't "
           "exist.";
}

static void token(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    struct wish w = {.json = NULL};
    struct lab_provider p = {.x509 = false};
    struct kw_jwt j = {NULL, NULL};
    const char *error = "invalid_request", *why = read_wish(r, &w);
    struct lab_mapped m;
    char text[640];
    bool mtls = strncmp(r->host, "sts.mtls.", 9) == 0;
    int64_t exp = lab_now(l) + 3600;
    if (why == NULL && lab_header(r, "authorization") != NULL)
        why = "Authorization is not expected.";
    if (why == NULL)
        why = check_fields(l, &w, mtls, &p, &error);
    const char *subject = why == NULL ? get(&w, "subject_token", "subjectToken") : NULL;
    const char *scope = get(&w, "scope", "scope");
    if (why == NULL && (subject == NULL || strlen(subject) > ROOM))
        why = "Invalid value for \"subject_token\".";
    if (why == NULL && (scope == NULL || scope[0] == 0))
        why = "Invalid value for \"scope\".";
    if (why == NULL && mtls)
        why = judge_certificate(l, &p, r, subject, &error, &m);
    else if (why == NULL)
        why = judge(l, &p, r->hit.on[LAB_TOKEN_STALE], subject, &j, &error, &m, text, sizeof text);
    if (why == NULL && !mtls)
        (void)kw_jwt_time(&j, "exp", &exp);
    if (why != NULL)
        refuse(r, a, error, why);
    else
        issue(l, r, &m, exp, scope, a);
    lab_provider_free(&p);
    kw_jwt_free(&j);
    json_decref(w.json);
    lab_form_free(&w.form);
}

/* What gcloud asks after an exchange without impersonation: whose token is this? */
static void introspect(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    struct wish w = {.json = NULL};
    struct lab_grant g;
    const char *why = read_wish(r, &w);
    const char *given = why == NULL ? get(&w, "token", "token") : NULL;
    if (given == NULL)
        refuse(r, a, "invalid_request", why != NULL ? why : "token is missing.");
    else if (!lab_grant_find(l, given, &g))
        lab_reply_json(a, 200, json_pack("{s:b}", "active", 0));
    else
        lab_reply_json(a, 200,
                       json_pack("{s:b, s:s, s:s, s:I}", "active", 1, "username", g.who, "scope",
                                 g.scope, "exp", (json_int_t)g.until));
    json_decref(w.json);
    lab_form_free(&w.form);
}

static const struct lab_route ROUTES[] = {
    {"POST", "/v1/token", token},
    {"POST", "/v1/introspect", introspect},
    {NULL, NULL, NULL},
};
const struct lab_service lab_sts = {"google-sts", ROUTES, NULL, sts_status, NULL};
