/* SPDX-License-Identifier: Apache-2.0
 *
 * An OIDC issuer shaped like GitHub Actions': discovery, JWKS, and the request
 * endpoint that a job calls with its ACTIONS_ID_TOKEN_REQUEST_TOKEN.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lab.h"

static void issuer_status(struct lab *l, struct lab_response *a, int status)
{
    (void)l;
    lab_reply_json(a, status, json_pack("{s:s}", "message", "The request was refused."));
}

static void discovery(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    (void)r;
    char jwks[600];
    snprintf(jwks, sizeof jwks, "%s/.well-known/jwks", l->opt.issuer);
    lab_reply_json(a, 200,
                   json_pack("{s:s, s:s, s:[s,s], s:[s], s:[s], s:[s], s:[s,s,s,s,s,s]}", "issuer",
                             l->opt.issuer, "jwks_uri", jwks, "subject_types_supported", "public",
                             "pairwise", "response_types_supported", "id_token",
                             "id_token_signing_alg_values_supported", "RS256", "scopes_supported",
                             "openid", "claims_supported", "sub", "aud", "exp", "iat", "iss",
                             "jti"));
}

static void jwks(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    (void)r;
    lab_reply_json(a, 200, json_pack("{s:[o]}", "keys", lab_jwk(l->issuer_key, l->issuer_kid)));
}

/* What a push to main in repository keyward/demo would say. */
static json_t *usual_claims(void)
{
    static const char *const text[][2] = {
        {"sub", "repo:keyward/demo:ref:refs/heads/main"},
        {"actor", "octo"},
        {"actor_id", "583231"},
        {"base_ref", ""},
        {"event_name", "push"},
        {"head_ref", ""},
        {"job_workflow_ref", "keyward/demo/.github/workflows/ci.yml@refs/heads/main"},
        {"job_workflow_sha", "8f0e0a4c5d1b2a3948576655443322110fedcba9"},
        {"ref", "refs/heads/main"},
        {"ref_protected", "true"},
        {"ref_type", "branch"},
        {"repository", "keyward/demo"},
        {"repository_id", "592302719"},
        {"repository_owner", "keyward"},
        {"repository_owner_id", "9919"},
        {"repository_visibility", "private"},
        {"run_attempt", "1"},
        {"run_id", "7346582910"},
        {"run_number", "42"},
        {"runner_environment", "self-hosted"},
        {"sha", "8f0e0a4c5d1b2a3948576655443322110fedcba9"},
        {"workflow", "ci"},
        {"workflow_ref", "keyward/demo/.github/workflows/ci.yml@refs/heads/main"},
        {"workflow_sha", "8f0e0a4c5d1b2a3948576655443322110fedcba9"},
    };
    json_t *claims = json_object();
    for (size_t i = 0; i < sizeof text / sizeof text[0]; i++)
        json_object_set_new(claims, text[i][0], json_string(text[i][1]));
    return claims;
}

/* The overrides win; null takes a claim away. */
static void override(struct lab *l, json_t *claims)
{
    const char *name;
    json_t *value;
    pthread_mutex_lock(&l->claims_lock);
    json_object_foreach(l->claims, name, value)
    {
        if (json_is_null(value))
            json_object_del(claims, name);
        else
            json_object_set_new(claims, name, json_deep_copy(value));
    }
    pthread_mutex_unlock(&l->claims_lock);
}

void lab_issuer_claims(struct lab *l, const char *audience, json_t **claims)
{
    char jti[33];
    int64_t now = lab_now(l);
    lab_random_hex(jti, 16);
    *claims = usual_claims();
    json_object_set_new(*claims, "iss", json_string(l->opt.issuer));
    json_object_set_new(*claims, "aud", json_string(audience));
    json_object_set_new(*claims, "iat", json_integer(now));
    json_object_set_new(*claims, "nbf", json_integer(now));
    json_object_set_new(*claims, "exp", json_integer(now + l->opt.subject_life));
    json_object_set_new(*claims, "jti", json_string(jti));
    override(l, *claims);
}

static bool bearer_good(struct lab *l, const struct lab_request *r)
{
    const char *z = lab_header(r, "authorization");
    return z != NULL && strncasecmp(z, "bearer ", 7) == 0 && lab_same(z + 7, l->request_token);
}

static void token_request(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    char audience[1024] = "https://github.com/keyward"; /* GitHub: the owner's URL */
    if (!bearer_good(l, r)) {
        lab_verdict(r, "refused: wrong or missing request token");
        lab_reply_json(a, 401, json_pack("{s:s}", "message", "The request token is not valid."));
        return;
    }
    int given = lab_query(r, "audience", audience, sizeof audience);
    if (given < 0 || audience[0] == 0) {
        lab_verdict(r, "refused: bad audience parameter");
        lab_reply_json(a, 400, json_pack("{s:s}", "message", "The audience is not valid."));
        return;
    }
    json_t *claims;
    lab_issuer_claims(l, audience, &claims);
    if (r->hit.on[LAB_JWT_EXPIRED]) {
        json_object_set_new(claims, "iat", json_integer(lab_now(l) - 900));
        json_object_set_new(claims, "nbf", json_integer(lab_now(l) - 900));
        json_object_set_new(claims, "exp", json_integer(lab_now(l) - 600));
    }
    EVP_PKEY *key = r->hit.on[LAB_JWT_WRONG_KEY] ? l->stranger_key : l->issuer_key;
    char *jwt = lab_jwt_sign(key, l->issuer_kid, claims);
    const char *value = r->hit.on[LAB_JWT_GARBAGE] ? "not.a jwt" : jwt;
    lab_verdict(r, "issued: subject token for audience %s", audience);
    lab_reply_header(a, "cache-control", "no-store");
    lab_reply_json(a, 200,
                   json_pack("{s:i, s:s}", "count", jwt == NULL ? 0 : (int)strlen(jwt), "value",
                             value == NULL ? "" : value));
    free(jwt);
    json_decref(claims);
}

static const struct lab_route ROUTES[] = {
    {"GET", "/.well-known/openid-configuration", discovery},
    {"GET", "/.well-known/jwks", jwks},
    {"GET", "/token-request", token_request},
    {NULL, NULL, NULL},
};
const struct lab_service lab_issuer = {"issuer", ROUTES, NULL, issuer_status, NULL};
