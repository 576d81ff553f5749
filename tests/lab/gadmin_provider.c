/* SPDX-License-Identifier: Apache-2.0
 *
 * What a provider of a workload identity pool must be for Google to take it.
 */
#include <openssl/pem.h>
#include <string.h>

#include "lab.h"

enum { AUDIENCES = 10, AUDIENCE_LENGTH = 256, ANCHORS = 3, BETWEEN = 10 };

static bool one_of(const char *text, const char *const *list)
{
    for (; *list != NULL; list++)
        if (strcmp(*list, text) == 0)
            return true;
    return false;
}

/* Only these members, and a type that Google takes: what else a JWK has is refused. */
static bool jwk_good(json_t *jwk)
{
    static const char *const members[] = {"kty", "alg", "use", "kid", "n",
                                          "e",   "x",   "y",   "crv", NULL};
    const char *name, *kty = lab_text(jwk, "kty");
    json_t *v;
    if (strcmp(kty, "RSA") != 0 && strcmp(kty, "EC") != 0)
        return false;
    json_object_foreach(jwk, name, v) if (!one_of(name, members)) return false;
    EVP_PKEY *key = lab_jwk_read(jwk);
    EVP_PKEY_free(key);
    return key != NULL;
}

static bool jwks_good(const char *text)
{
    json_t *set = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    json_t *keys = json_object_get(set, "keys"), *one;
    bool good = json_array_size(keys) > 0;
    size_t i;
    json_array_foreach(keys, i, one) good = good && jwk_good(one);
    json_decref(set);
    return good;
}

static const char *check_oidc(json_t *oidc)
{
    static const char *const members[] = {"issuerUri", "allowedAudiences", "jwksJson", NULL};
    const json_t *audiences = json_object_get(oidc, "allowedAudiences"), *one, *jwks;
    const char *issuer = lab_text(oidc, "issuerUri"), *name;
    json_t *v;
    size_t i;
    json_object_foreach(
        oidc, name,
        v) if (!one_of(name,
                       members)) return "Invalid JSON payload received. Unknown name in oidc.";
    if (strncmp(issuer, "https://", 8) != 0 || issuer[8] == 0)
        return "oidc.issuer_uri must be an https URI.";
    if (json_array_size(audiences) > AUDIENCES)
        return "oidc.allowed_audiences has more than 10 entries.";
    json_array_foreach(audiences, i,
                       one) if (!json_is_string(one) ||
                                json_string_length(one) >
                                    AUDIENCE_LENGTH) return "oidc.allowed_audiences has an entry "
                                                            "of more than 256 characters.";
    jwks = json_object_get(oidc, "jwksJson");
    if (jwks != NULL && (!json_is_string(jwks) || !jwks_good(json_string_value(jwks))))
        return "Input JWK is not in a valid json format.";
    return NULL;
}

static bool pems_good(const json_t *list, size_t min, size_t max)
{
    const json_t *one;
    size_t i;
    if (json_array_size(list) < min || json_array_size(list) > max)
        return false;
    json_array_foreach(list, i, one)
    {
        BIO *b = BIO_new_mem_buf(lab_text(one, "pemCertificate"), -1);
        X509 *cert = b == NULL ? NULL : PEM_read_bio_X509(b, NULL, NULL, NULL);
        X509_free(cert);
        BIO_free(b);
        if (cert == NULL)
            return false;
    }
    return true;
}

static const char *check_x509(json_t *provider, const json_t *x509)
{
    const json_t *store = json_object_get(x509, "trustStore");
    if (!pems_good(json_object_get(store, "trustAnchors"), 1, ANCHORS) ||
        !pems_good(json_object_get(store, "intermediateCas"), 0, BETWEEN))
        return "x509.trust_store needs 1 to 3 trust anchors and takes 10 intermediate CAs, in PEM.";
    if (json_object_get(provider, "attributeMapping") == NULL)
        json_object_set_new(provider, "attributeMapping",
                            json_pack("{s:s}", "google.subject", "assertion.subject.dn.cn"));
    return NULL;
}

/* Issuers of everybody's tokens: a condition must pick some. The lab's stands for GitHub's. */
static bool everybodys(struct lab *l, const char *issuer)
{
    static const char *const issuers[] = {"https://token.actions.githubusercontent.com",
                                          "https://gitlab.com", "https://app.terraform.io",
                                          "https://oidc.vercel.com", NULL};
    return one_of(issuer, issuers) || strcmp(issuer, l->opt.issuer) == 0;
}

static bool refers(const char *condition)
{
    return strstr(condition, "assertion.") != NULL || strstr(condition, "assertion[") != NULL ||
           strstr(condition, "attribute.") != NULL || strstr(condition, "google.") != NULL;
}

/* Do mapping and condition parse, and are they within the limits? Judged by the code that
 * evaluates them for the token service. */
static const char *check_map(const json_t *provider, char *text, size_t size)
{
    struct kw_google_map map;
    struct kw_err err = {KW_OK, ""};
    if (kw_google_map_init(&map, &err) != 0)
        return "Internal error.";
    int rc = lab_gprovider_map(provider, &map, &err);
    kw_google_map_free(&map);
    if (rc == 0)
        return NULL;
    snprintf(text, size, "%s", err.text);
    return text;
}

int lab_gprovider_map(const json_t *provider, struct kw_google_map *map, struct kw_err *err)
{
    json_t *copy = json_deep_copy(provider);
    if (json_object_get(copy, "oidc") == NULL) /* X.509: it has no issuer */
        json_object_set_new(copy, "oidc", json_pack("{s:s}", "issuerUri", ""));
    char *text = json_dumps(copy, JSON_COMPACT);
    int rc = text == NULL ? kw_fail(err, KW_FAILED, "there is no memory left")
                          : kw_google_map_read(map, text, strlen(text), "the provider", err);
    free(text);
    json_decref(copy);
    return rc == 0 ? kw_google_map_check(map, err) : rc;
}

const char *lab_gprovider_check(struct lab *l, json_t *provider, char *text, size_t size)
{
    static const char *const members[] = {
        "name", "displayName",      "description",        "state", "disabled", "expireTime",
        "aws",  "attributeMapping", "attributeCondition", "oidc",  "saml",     "x509",
        NULL};
    json_t *oidc = json_object_get(provider, "oidc"), *x509 = json_object_get(provider, "x509");
    const char *condition = lab_text(provider, "attributeCondition"), *name, *why;
    json_t *v;
    json_object_foreach(provider, name, v) if (name[0] != '_' && !one_of(name, members))
    {
        snprintf(text, size, "Invalid JSON payload received. Unknown name \"%.60s\".", name);
        return text;
    }
    if ((oidc != NULL) + (x509 != NULL) != 1)
        return "Exactly one of oidc and x509 must be there (the lab plays no other).";
    if (strlen(lab_text(provider, "displayName")) > 32 ||
        strlen(lab_text(provider, "description")) > 256)
        return "display_name or description is too long.";
    why = oidc != NULL ? check_oidc(oidc) : check_x509(provider, x509);
    if (why == NULL)
        why = check_map(provider, text, size);
    if (why == NULL && oidc != NULL && everybodys(l, lab_text(oidc, "issuerUri")) &&
        !refers(condition))
        why = "The attribute condition must reference one of the provider's claims. For more "
              "information, see https://cloud.google.com/iam/docs/"
              "workload-identity-federation-with-deployment-pipelines#conditions";
    return why;
}
