/* SPDX-License-Identifier: Apache-2.0
 *
 * An OCI identity domain's token endpoint: trades a subject token for a session token
 * (UPST or RPST) that is bound to the public key which came along.
 */
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lab.h"
#include "src/base/b64.h"

enum { HOUR = 3600, RPST_USUAL = 1200, RPST_MAX = 43200 };
static const char SCOPE[] = "urn:opc:idm:__myscopes__";
static const char GRANT[] = "urn:ietf:params:oauth:grant-type:token-exchange";
static const char UPST[] = "urn:oci:token-type:oci-upst";
static const char RPST[] = "urn:oci:token-type:oci-rpst";

/* What a good request asks for. */
struct wish {
    bool rpst;
    int64_t life;         /* at most */
    const char *token;    /* subject token */
    const char *res_type; /* of an RPST */
    EVP_PKEY *key;        /* public half of the session key, owned */
};

static void refuse(struct lab_request *r, struct lab_response *a, int status, const char *error,
                   const char *description)
{
    lab_verdict(r, "refused: %s: %s", error, description);
    lab_reply_json(a, status,
                   json_pack("{s:s, s:s}", "error", error, "error_description", description));
}

static void idcs_status(struct lab *l, struct lab_response *a, int status)
{
    (void)l;
    const char *error = status >= 500   ? "server_error"
                        : status == 429 ? "temporarily_unavailable"
                                        : "invalid_request";
    lab_reply_json(a, status,
                   json_pack("{s:s, s:s}", "error", error, "error_description",
                             "The request can't be processed."));
}

/* base64 of a DER SubjectPublicKeyInfo, RSA of at least 2048 bits; no PEM armour. */
static EVP_PKEY *read_public_key(const char *base64)
{
    struct kw_buf der;
    kw_buf_init(&der, 4096);
    EVP_PKEY *key = NULL;
    if (kw_b64_get(&der, base64, strlen(base64)) && der.len > 0) {
        const unsigned char *p = der.p;
        key = d2i_PUBKEY(NULL, &p, (long)der.len);
        if (key != NULL &&
            (p != der.p + der.len || !EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_get_bits(key) < 2048)) {
            EVP_PKEY_free(key);
            key = NULL;
        }
    }
    kw_buf_free(&der);
    return key;
}

static const char NO_RES_TYPE[] =
    "res_type is missing or is not the trust's impersonating resource.";

static const char *read_rpst(const struct lab_form *f, struct wish *w)
{
    const char *life = lab_form_get(f, "rpst_exp");
    w->res_type = lab_form_get(f, "res_type");
    if (w->res_type == NULL || w->res_type[0] == 0)
        return NO_RES_TYPE;
    w->life = RPST_USUAL;
    if (life == NULL)
        return NULL;
    if (strspn(life, "0123456789") != strlen(life) || strlen(life) < 1 || strlen(life) > 6 ||
        strtol(life, NULL, 10) < 1 || strtol(life, NULL, 10) > RPST_MAX)
        return "rpst_exp is not a number of seconds from 1 to 43200.";
    w->life = (int)strtol(life, NULL, 10);
    return NULL;
}

/* The form's fields; NULL or the description of an invalid_request. */
static const char *read_wish(struct lab *l, const struct lab_form *f, struct wish *w)
{
    const char *type = lab_form_get(f, "requested_token_type");
    const char *subject_type = lab_form_get(f, "subject_token_type");
    const char *key = lab_form_get(f, "public_key");
    w->token = lab_form_get(f, "subject_token");
    w->life = l->opt.session_life;
    if (type == NULL || (strcmp(type, UPST) != 0 && strcmp(type, RPST) != 0))
        return "requested_token_type is missing or not supported.";
    if (w->token == NULL || w->token[0] == 0)
        return "subject_token is missing.";
    if (subject_type == NULL || strcmp(subject_type, "jwt") != 0)
        return "subject_token_type is missing or not jwt.";
    if (key == NULL || (w->key = read_public_key(key)) == NULL)
        return "public_key is missing or not the base64 of an RSA SubjectPublicKeyInfo.";
    w->rpst = strcmp(type, RPST) == 0;
    return w->rpst ? read_rpst(f, w) : NULL;
}

/* OCI puts the JWK into the token as a string that holds JSON. */
static void put_jwk(json_t *claims, EVP_PKEY *key, const char *kid, bool as_object)
{
    json_t *jwk = lab_jwk(key, kid);
    char *text = json_dumps(jwk, JSON_COMPACT);
    if (as_object)
        json_object_set(claims, "jwk", jwk);
    else if (text != NULL)
        json_object_set_new(claims, "jwk", json_string(text));
    free(text);
    json_decref(jwk);
}

static json_t *session_claims(struct lab *l, struct lab_request *r, const struct wish *w,
                              const struct kw_jwt *j, const struct lab_subject *user)
{
    int64_t now = lab_now(l), exp = now + w->life, subject_exp = 0;
    const char *sub = kw_jwt_str(j, "sub");
    char jti[33];
    lab_random_hex(jti, 16);
    if (kw_jwt_time(j, "exp", &subject_exp) && !w->rpst && subject_exp < exp)
        exp = subject_exp > now ? subject_exp : now + 1; /* within the trust's skew */
    if (r->hit.on[LAB_TOKEN_LIFE])
        exp = now + r->hit.value[LAB_TOKEN_LIFE];
    if (r->hit.on[LAB_TOKEN_EXPIRED])
        exp = now - 600;
    json_t *c =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:s}", "sub",
                  w->rpst ? sub : user->ocid, "iss", "authService.oracle.com", "aud", "oci",
                  "tenant", l->opt.tenancy, "ptype", w->rpst ? "resource" : "user", "ttype",
                  w->rpst ? "res" : "login", "iat", (json_int_t)(exp < now ? exp - 60 : now), "exp",
                  (json_int_t)exp, "jti", jti, "source_authn_prin", sub);
    if (w->rpst) {
        json_object_set_new(c, "res_tenant", json_string(l->opt.tenancy));
        json_object_set_new(c, "res_compartment", json_string(l->opt.tenancy));
        json_object_set_new(c, "res_type", json_string(w->res_type));
        json_object_set_new(c, "res_id", json_string(sub));
    }
    EVP_PKEY *key = r->hit.on[LAB_JWK_WRONG] ? l->stranger_key : w->key;
    if (!r->hit.on[LAB_JWK_MISSING])
        put_jwk(c, key, jti, r->hit.on[LAB_JWK_OBJECT]);
    return c;
}

static void issue(struct lab *l, struct lab_request *r, const struct wish *w,
                  const struct kw_jwt *j, const struct lab_subject *user, struct lab_response *a)
{
    json_t *claims = session_claims(l, r, w, j, user);
    char *token = lab_jwt_sign(l->session_key, l->session_kid, claims);
    atomic_fetch_add(&l->issued, 1);
    lab_verdict(r, "issued: %s %s for %s", w->rpst ? "RPST" : "UPST",
                json_string_value(json_object_get(claims, "jti")), kw_jwt_str(j, "sub"));
    lab_reply_header(a, "cache-control", "no-store");
    if (r->hit.on[LAB_TOKEN_ABSENT])
        lab_reply_json(a, 200, json_pack("{s:s}", "status", "done"));
    else
        lab_reply_json(
            a, 200,
            json_pack("{s:s}", "token", r->hit.on[LAB_TOKEN_GARBAGE] ? "not.a jwt" : token));
    free(token);
    json_decref(claims);
}

static void exchange(struct lab *l, struct lab_request *r, const struct lab_form *f,
                     const struct lab_client *who, struct lab_response *a)
{
    const char *code, *why;
    struct lab_subject user;
    struct kw_jwt j = {NULL, NULL};
    struct wish w = {0};
    int status = 400;
    if ((why = read_wish(l, f, &w)) != NULL)
        refuse(r, a, 400, "invalid_request", why);
    else if ((why = lab_trust_judge(l, who->id, w.token, &j, &user, &status, &code)) != NULL)
        refuse(r, a, status, code, why);
    else if (w.rpst && strcmp(w.res_type, user.res_type) != 0)
        refuse(r, a, 400, "invalid_request", NO_RES_TYPE);
    else
        issue(l, r, &w, &j, &user, a);
    EVP_PKEY_free(w.key);
    kw_jwt_free(&j);
}

/* Client credentials: a token for the domain's administration, with the roles that the app
 * has now. */
static void access_token(struct lab *l, struct lab_request *r, const struct lab_form *f,
                         const struct lab_client *who, struct lab_response *a)
{
    const char *scope = lab_form_get(f, "scope");
    if (scope == NULL || strcmp(scope, SCOPE) != 0) {
        refuse(r, a, 400, "invalid_scope", "The scope is missing or not the app's.");
        return;
    }
    pthread_mutex_lock(&l->scim.lock);
    bool admin = who->made && lab_app_is_admin(l, lab_app_client(l, who->id));
    pthread_mutex_unlock(&l->scim.lock);
    int64_t now = lab_now(l);
    json_t *c = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:[]}", "iss",
                          "https://identity.oraclecloud.com/", "sub", who->id, "client_id", who->id,
                          "aud", l->domain_url, "iat", (json_int_t)now, "exp",
                          (json_int_t)now + HOUR, "clientAppRoles");
    if (admin)
        json_array_append_new(json_object_get(c, "clientAppRoles"), json_string(LAB_ADMIN));
    char *jwt = lab_jwt_sign(l->session_key, l->session_kid, c);
    lab_verdict(r, "issued: access token for the client %s", who->id);
    lab_reply_header(a, "cache-control", "no-store");
    lab_reply_json(a, 200,
                   json_pack("{s:s, s:s, s:i}", "access_token", jwt != NULL ? jwt : "",
                             "token_type", "Bearer", "expires_in", HOUR));
    free(jwt);
    json_decref(c);
}

static void serve(struct lab *l, struct lab_request *r, const struct lab_form *f,
                  struct lab_response *a)
{
    const char *grant = lab_form_get(f, "grant_type");
    struct lab_client who;
    if (!lab_client_judge(l, r, f, a, &who))
        return;
    if (grant == NULL)
        refuse(r, a, 400, "invalid_request", "grant_type is missing.");
    else if (strcmp(grant, GRANT) == 0)
        exchange(l, r, f, &who, a);
    else if (strcmp(grant, "client_credentials") == 0 && who.id[0] != 0)
        access_token(l, r, f, &who, a);
    else
        refuse(r, a, 400, "unsupported_grant_type", "The grant type is not supported.");
}

static void token(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    static const char FORM[] = "application/x-www-form-urlencoded";
    const char *type = lab_header(r, "content-type");
    size_t n = type == NULL ? 0 : strcspn(type, "; ");
    if (n != sizeof FORM - 1 || strncasecmp(type, FORM, n) != 0) {
        refuse(r, a, 400, "invalid_request", "The content type is not form-encoded.");
        return;
    }
    struct lab_form f;
    const char *why = lab_form_parse((const char *)r->body.p, r->body.len, &f);
    if (why != NULL)
        refuse(r, a, 400, "invalid_request", why);
    else
        serve(l, r, &f, a);
    lab_form_free(&f);
}

/* Oracle's correlation id, on every answer of a domain. */
static void idcs_finish(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    char id[33];
    (void)l;
    (void)r;
    lab_random_hex(id, 16);
    lab_reply_header(a, "x-oracle-dms-ecid", "%s", id);
}

static const struct lab_route ROUTES[] = {
    {"POST", "/oauth2/v1/token", token},
    {NULL, NULL, NULL},
};
const struct lab_service lab_idcs = {"idcs", ROUTES, NULL, idcs_status, idcs_finish};
