/* SPDX-License-Identifier: Apache-2.0
 *
 * Confidential applications: what they demand, their secrets (shown once), their roles and
 * the certificates of their assertions.
 */
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <string.h>

#include "lab.h"
#include "src/base/b64.h"

/* The grants that an app may be allowed; the exchange of tokens is none of them: the trust
 * allows that. */
static bool is_grant(const char *name)
{
    static const char *const names[] = {"client_credentials",
                                        "authorization_code",
                                        "refresh_token",
                                        "implicit",
                                        "password",
                                        "tls_client_auth",
                                        "urn:ietf:params:oauth:grant-type:jwt-bearer",
                                        "urn:ietf:params:oauth:grant-type:saml2-bearer",
                                        "urn:ietf:params:oauth:grant-type:device_code"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static bool check_client(json_t *new, struct lab_scim_why *w)
{
    const json_t *grants = json_object_get(new, "allowedGrants"), *one;
    const char *type = lab_text(new, "clientType");
    size_t i;
    if (grants != NULL && !json_is_array(grants))
        return lab_scim_no(w, 400, "error.common.validation.invalidType",
                           "allowedGrants must be an array.");
    json_array_foreach(grants, i, one) if (
        !json_is_string(one) ||
        !is_grant(json_string_value(
            one))) return lab_scim_no(w, 400, "error.common.validation.invalidValue",
                                      "allowedGrants has a value that is not supported: %s",
                                      json_is_string(one) ? json_string_value(one) : "(no text)");
    if (type[0] != 0 && strcmp(type, "confidential") != 0 && strcmp(type, "public") != 0 &&
        strcmp(type, "trusted") != 0)
        return lab_scim_no(w, 400, "error.common.validation.invalidValue",
                           "clientType is confidential, public or trusted, not %s.", type);
    if (json_is_true(json_object_get(new, "isOAuthClient")) && type[0] == 0)
        return lab_scim_no(w, 400, "error.common.validation.missingReqAttributes",
                           "Missing required attribute(s): clientType");
    return true;
}

/* An alias must be registered; what is read back is filled in. */
static bool check_certificates(struct lab *l, json_t *new, const json_t *old,
                               struct lab_scim_why *w)
{
    json_t *list = json_object_get(new, "certificates"), *one;
    size_t i;
    if (json_equal(list, json_object_get(old, "certificates")))
        return true; /* one that has gone since is no obstacle to other changes */
    json_array_foreach(list, i, one)
    {
        const char *alias = lab_text(one, "certAlias");
        const json_t *cert = lab_scim_by(l, LAB_CERTIFICATES, "certificateAlias", alias, true);
        if (cert == NULL)
            return lab_scim_no(w, 400, "error.common.validation.invalidReferenceResource",
                               "There is no certificate of the alias \"%s\".", alias);
        json_object_set_new(one, "kid", json_string(alias));
        json_object_set_new(one, "x5t", json_string(lab_text(cert, "_x5t")));
        json_object_set_new(one, "sha1Thumbprint", json_string(lab_text(cert, "sha1Thumbprint")));
    }
    return true;
}

static void new_secret(json_t *app)
{
    char secret[65];
    lab_random_hex(secret, 32);
    json_object_set_new(app, "_secret", json_string(secret));
    json_object_set_new(app, "_fresh", json_true());
}

bool lab_app_check(struct lab *l, json_t *new, const json_t *old, struct lab_scim_why *w)
{
    const char *template = lab_text(json_object_get(new, "basedOnTemplate"), "value");
    char name[33];
    json_object_del(new, "clientSecret"); /* a client can't choose it */
    if (strcmp(template, "CustomWebAppTemplateId") != 0)
        return lab_scim_no(w, 400, "error.common.validation.invalidReferenceResource",
                           "There is no app template \"%s\".", template);
    if (!check_client(new, w) || !check_certificates(l, new, old, w))
        return false;
    if (json_object_get(new, "name") == NULL) {
        lab_random_hex(name, 16);
        json_object_set_new(new, "name", json_string(name));
    }
    if (json_object_get(new, "active") == NULL)
        json_object_set_new(new, "active", json_false());
    if (json_is_true(json_object_get(new, "isOAuthClient")) &&
        strcmp(lab_text(new, "clientType"), "public") != 0 &&
        json_object_get(new, "_secret") == NULL)
        new_secret(new);
    return true;
}

/* Only what is not active goes, and its grants with it. */
bool lab_app_removable(struct lab *l, const json_t *old, struct lab_scim_why *w)
{
    json_t *grants = l->scim.all[LAB_APP_GRANTS];
    if (json_is_true(json_object_get(old, "active")))
        return lab_scim_no(w, 400, "error.apps.app.deleteActiveApp",
                           "An active app can't be deleted: deactivate it first.");
    for (size_t i = json_array_size(grants); i > 0; i--)
        if (strcmp(lab_text(json_object_get(json_array_get(grants, i - 1), "grantee"), "value"),
                   lab_text(old, "id")) == 0)
            json_array_remove(grants, i - 1);
    return true;
}

bool lab_app_grant_check(struct lab *l, json_t *new, const json_t *old, struct lab_scim_why *w)
{
    const json_t *grantee = json_object_get(new, "grantee"), *one;
    const json_t *what = json_object_get(new, "entitlement");
    const char *who = lab_text(grantee, "value"), *role = lab_text(what, "attributeValue");
    size_t i;
    if (strcmp(lab_text(new, "grantMechanism"), "ADMINISTRATOR_TO_APP") != 0 ||
        strcmp(lab_text(grantee, "type"), "App") != 0)
        return lab_scim_no(w, 400, "error.common.validation.invalidValue",
                           "The lab knows grants by ADMINISTRATOR_TO_APP to an App only.");
    if (strcmp(lab_text(json_object_get(new, "app"), "value"), LAB_ADMIN_APP) != 0 ||
        lab_scim_find(l, LAB_APPS, who, NULL) == NULL)
        return lab_scim_no(w, 400, "error.common.validation.invalidReferenceResource",
                           "app or grantee is not there.");
    if (strcmp(lab_text(what, "attributeName"), "appRoles") != 0 ||
        lab_scim_find(l, LAB_APP_ROLES, role, NULL) == NULL)
        return lab_scim_no(w, 400, "error.common.validation.invalidReferenceResource",
                           "The entitlement is no app role.");
    json_array_foreach(
        l->scim.all[LAB_APP_GRANTS], i,
        one) if (one != old &&
                 strcmp(lab_text(json_object_get(one, "grantee"), "value"), who) == 0 &&
                 json_equal(json_object_get(one, "entitlement"),
                            what)) return lab_scim_no(w, 409,
                                                      "error.common.validation.uniquenessViolation",
                                                      "The same grant already exists.");
    return true;
}

static void put_thumbprint(json_t *o, const char *name, const X509 *cert, const EVP_MD *md)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    struct kw_buf b;
    unsigned n = 0;
    if (X509_digest(cert, md, digest, &n) != 1)
        return;
    kw_hex(hex, digest, n);
    json_object_set_new(o, name, json_string(hex));
    kw_buf_init(&b, 128);
    kw_b64url_put(&b, digest, n);
    json_object_set_new(o, md == EVP_sha1() ? "_x5t" : "_x5t256", json_string(kw_buf_str(&b)));
    kw_buf_free(&b);
}

static void put_date(json_t *o, const char *name, const ASN1_TIME *at)
{
    char text[40];
    struct tm tm;
    if (ASN1_TIME_to_tm(at, &tm) == 1 &&
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S.000Z", &tm) > 0)
        json_object_set_new(o, name, json_string(text));
}

static X509 *read_certificate(const json_t *o)
{
    const char *base64 = lab_text(o, "x509Base64Certificate");
    struct kw_buf der;
    X509 *cert = NULL;
    kw_buf_init(&der, 16384);
    if (kw_b64_get(&der, base64, strlen(base64)) && der.len > 0) {
        const unsigned char *p = der.p;
        cert = d2i_X509(NULL, &p, (long)der.len);
    }
    kw_buf_free(&der);
    return cert;
}

EVP_PKEY *lab_certificate_key(const json_t *o)
{
    X509 *cert = read_certificate(o);
    EVP_PKEY *key = cert == NULL ? NULL : X509_get_pubkey(cert);
    X509_free(cert);
    return key;
}

bool lab_certificate_check(struct lab *l, json_t *new, const json_t *old, struct lab_scim_why *w)
{
    X509 *cert = read_certificate(new);
    (void)l, (void)old;
    EVP_PKEY *key = cert == NULL ? NULL : X509_get0_pubkey(cert);
    bool good = key != NULL && EVP_PKEY_is_a(key, "RSA") && EVP_PKEY_get_bits(key) >= 2048;
    if (good) {
        put_thumbprint(new, "sha1Thumbprint", cert, EVP_sha1());
        put_thumbprint(new, "sha256Thumbprint", cert, EVP_sha256());
        put_date(new, "certStartDate", X509_get0_notBefore(cert));
        put_date(new, "certEndDate", X509_get0_notAfter(cert));
    }
    X509_free(cert);
    return good || lab_scim_no(w, 400, "error.common.validation.invalidValue",
                               "x509Base64Certificate is not the base64 of a certificate of an "
                               "RSA key of at least 2048 bits.");
}

json_t *lab_app_client(struct lab *l, const char *client_id)
{
    json_t *app = lab_scim_by(l, LAB_APPS, "name", client_id, true);
    const json_t *grants = json_object_get(app, "allowedGrants"), *one;
    size_t i;
    if (!json_is_true(json_object_get(app, "active")) ||
        !json_is_true(json_object_get(app, "isOAuthClient")) ||
        strcmp(lab_text(app, "clientType"), "public") == 0)
        return NULL;
    json_array_foreach(grants, i, one) if (strcmp(json_string_value(one), "client_credentials") ==
                                           0) return app;
    return NULL;
}

bool lab_app_is_admin(struct lab *l, const json_t *app)
{
    const json_t *role = lab_scim_by(l, LAB_APP_ROLES, "displayName", LAB_ADMIN, true), *one;
    size_t i;
    json_array_foreach(
        l->scim.all[LAB_APP_GRANTS], i,
        one) if (strcmp(lab_text(json_object_get(one, "grantee"), "value"), lab_text(app, "id")) ==
                     0 &&
                 strcmp(lab_text(json_object_get(one, "entitlement"), "attributeValue"),
                        lab_text(role, "id")) == 0) return true;
    return false;
}

/* --- the two requests about an app that are no resource of their own ---------------------- */

void lab_app_status(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    struct lab_scim_why w = {0};
    char id[128];
    json_t *body = lab_scim_begin(l, r, a, "AppStatusChanger.update",
                                  LAB_SCIM_URN "AppStatusChanger", id, sizeof id);
    if (body == NULL)
        return;
    json_t *active = json_object_get(body, "active");
    pthread_mutex_lock(&l->scim.lock);
    const json_t *old = lab_scim_find(l, LAB_APPS, id, NULL);
    json_t *new = json_deep_copy(old);
    bool good = false;
    if (old == NULL)
        (void)lab_scim_no(&w, 404, "error.common.common.resourceNotFound", "App not found: %s", id);
    else if (!json_is_boolean(active) ||
             lab_scim_find(l, LAB_APPS, lab_text(body, "id"), NULL) != old)
        (void)lab_scim_no(&w, 400, "error.common.validation.missingReqAttributes",
                          "Missing required attribute(s): active, id (the path's)");
    else if (json_object_set(new, "active", active) == 0)
        good = lab_scim_change(l, LAB_APPS, old, new, &w);
    pthread_mutex_unlock(&l->scim.lock);
    if (good)
        lab_reply_json(a, 200,
                       json_pack("{s:[s], s:s, s:O}", "schemas", LAB_SCIM_URN "AppStatusChanger",
                                 "id", lab_text(new, "id"), "active", active));
    else
        lab_scim_error(r, a, &w);
    json_decref(new);
    json_decref(body);
}

/* The only way to a secret that was not read when it was shown; the old one is void. */
void lab_app_secret(struct lab *l, struct lab_request *r, struct lab_response *a)
{
    struct lab_scim_why w = {0};
    json_t *body = lab_scim_begin(l, r, a, "AppClientSecretRegenerator.create",
                                  LAB_SCIM_URN "AppClientSecretRegenerator", NULL, 0);
    if (body == NULL)
        return;
    pthread_mutex_lock(&l->scim.lock);
    json_t *app = lab_scim_find(l, LAB_APPS, lab_text(body, "appId"), NULL);
    if (json_object_get(app, "_secret") != NULL) {
        new_secret(app);
        json_object_del(app, "_fresh");
        lab_reply_json(a, 201,
                       json_pack("{s:[s], s:s, s:s}", "schemas",
                                 LAB_SCIM_URN "AppClientSecretRegenerator", "appId",
                                 lab_text(app, "id"), "clientSecret", lab_text(app, "_secret")));
    } else {
        (void)lab_scim_no(&w, 400, "error.common.validation.invalidReferenceResource",
                          "appId names no app that has a secret.");
        lab_scim_error(r, a, &w);
    }
    pthread_mutex_unlock(&l->scim.lock);
    json_decref(body);
}
