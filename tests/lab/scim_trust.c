/* SPDX-License-Identifier: Apache-2.0
 *
 * IdentityPropagationTrusts: what one must be like, and what the token endpoint makes of it.
 */
#include <openssl/pem.h>
#include <string.h>

#include "lab.h"

enum { ID_MAX = 40, PROPAGATIONS = 3 };

/* --- making one ------------------------------------------------------------------------------ */

static bool one_of(const char *text, const char *const *list)
{
    for (; *list != NULL; list++)
        if (strcmp(*list, text) == 0)
            return true;
    return false;
}

static bool missing(struct lab_scim_why *w, const char *name)
{
    return lab_scim_no(w, 400, "error.common.validation.missingReqAttributes",
                       "Missing required attribute(s): %s", name);
}

static bool wrong(struct lab_scim_why *w, const char *name)
{
    return lab_scim_no(w, 400, "error.common.validation.invalidValue",
                       "Attribute %s has an invalid value.", name);
}

/* Each has a rule and a user's short id (an OCID is too long for it); a pair comes once. */
static bool check_users(struct lab *l, json_t *users, struct lab_scim_why *w)
{
    size_t i, k;
    json_t *one, *other;
    if (users != NULL && !json_is_array(users))
        return wrong(w, "impersonationServiceUsers");
    json_array_foreach(users, i, one)
    {
        const char *rule = lab_text(one, "rule"), *value = lab_text(one, "value");
        struct lab_rule parsed;
        if (rule[0] == 0)
            return missing(w, "impersonationServiceUsers.rule");
        if (value[0] == 0)
            return missing(w, "impersonationServiceUsers.value");
        if (strlen(value) > ID_MAX)
            return lab_scim_no(w, 400, "error.common.validation.stringExceedsMaxLimit",
                               "Attribute impersonationServiceUsers.value has more than %d "
                               "characters.",
                               ID_MAX);
        const json_t *user = lab_scim_find(l, LAB_USERS, value, NULL);
        if (user == NULL)
            return lab_scim_no(w, 400, "error.common.validation.invalidReferenceResource",
                               "impersonationServiceUsers.value %s is no user's id.", value);
        if (!lab_rule_read(rule, strlen(rule), &parsed))
            return wrong(w, "impersonationServiceUsers.rule");
        json_object_set_new(one, "ocid", json_string(lab_text(user, "ocid")));
        json_array_foreach(users, k, other) if (k < i && json_equal(one, other)) return wrong(
            w, "impersonationServiceUsers");
    }
    return true;
}

static bool check_lists(const json_t *new, struct lab_scim_why *w)
{
    static const char *const texts[] = {"oauthClients", "clientClaimValues", "claimPropagations"};
    const json_t *one, *list;
    size_t i, k;
    for (k = 0; k < 3; k++) {
        list = json_object_get(new, texts[k]);
        if (list != NULL && !json_is_array(list))
            return wrong(w, texts[k]);
        json_array_foreach(list, i, one) if (!json_is_string(one)) return wrong(w, texts[k]);
    }
    if (json_array_size(json_object_get(new, "claimPropagations")) > PROPAGATIONS)
        return wrong(w, "claimPropagations");
    list = json_object_get(new, "claimValidations");
    json_array_foreach(
        list, i, one) if (lab_text(one, "name")[0] == 0 ||
                          lab_text(one, "value")[0] ==
                              0) return missing(w, "claimValidations.name, claimValidations.value");
    return true;
}

bool lab_trust_check(struct lab *l, json_t *new, const json_t *old, struct lab_scim_why *w)
{
    static const char *const types[] = {"JWT", "SAML", "SPNEGO", "AWS", "X509", NULL};
    static const char *const subjects[] = {"User", "App", "Resource", NULL};
    const char *type = lab_text(new, "type"), *subject = lab_text(new, "subjectType");
    const char *endpoint = lab_text(new, "publicKeyEndpoint");
    const json_t *skew = json_object_get(new, "clockSkewSeconds");
    (void)old;
    if (!one_of(type, types))
        return wrong(w, "type");
    if (subject[0] != 0 && !one_of(subject, subjects))
        return wrong(w, "subjectType");
    if (endpoint[0] != 0 && strncmp(endpoint, "https://", 8) != 0)
        return wrong(w, "publicKeyEndpoint");
    if (skew != NULL && (!json_is_integer(skew) || json_integer_value(skew) < 0))
        return wrong(w, "clockSkewSeconds");
    if (strcmp(type, "X509") == 0 &&
        json_array_size(json_object_get(json_object_get(new, "CACertChain"), "rootCAs")) == 0)
        return missing(w, "CACertChain.rootCAs");
    if (strcmp(type, "SPNEGO") == 0 &&
        lab_text(json_object_get(new, "keytab"), "secretOcid")[0] == 0)
        return missing(w, "keytab.secretOcid");
    if (json_object_get(new, "active") == NULL)
        json_object_set_new(new, "active", json_false());
    return check_lists(new, w) &&
           check_users(l, json_object_get(new, "impersonationServiceUsers"), w);
}

/* --- judging by it --------------------------------------------------------------------------- */

json_t *lab_trust_made(struct lab *l, const char *issuer)
{
    pthread_mutex_lock(&l->scim.lock);
    json_t *t = json_deep_copy(lab_scim_by(l, LAB_PROPAGATION_TRUSTS, "issuer", issuer, true));
    pthread_mutex_unlock(&l->scim.lock);
    return t;
}

/* The lab fetches nothing: a key endpoint is reached if it is below an issuer that the lab
 * has keys of. */
static EVP_PKEY *endpoint_key(struct lab *l, const char *endpoint, const char *kid)
{
    for (size_t i = 0; i < l->n_trust; i++) {
        size_t n = strlen(l->trust[i].issuer);
        if (strncmp(endpoint, l->trust[i].issuer, n) == 0 &&
            (endpoint[n] == '/' || l->trust[i].issuer[n - 1] == '/'))
            return lab_key_find(&l->trust[i].jwks, kid);
    }
    return NULL;
}

static EVP_PKEY *pem_key(const char *pem)
{
    BIO *b = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = b == NULL ? NULL : PEM_read_bio_PUBKEY(b, NULL, NULL, NULL);
    if (b != NULL && key == NULL && BIO_reset(b) == 1) {
        X509 *cert = PEM_read_bio_X509(b, NULL, NULL, NULL);
        key = cert == NULL ? NULL : X509_get_pubkey(cert);
        X509_free(cert);
    }
    BIO_free(b);
    return key;
}

static bool signature_good(struct lab *l, const json_t *t, const char *token,
                           const struct kw_jwt *j)
{
    const char *pem = lab_text(t, "publicCertificate");
    const char *kid = json_string_value(json_object_get(j->header, "kid"));
    EVP_PKEY *own = pem[0] != 0 ? pem_key(pem) : NULL;
    EVP_PKEY *key = own != NULL ? own : endpoint_key(l, lab_text(t, "publicKeyEndpoint"), kid);
    bool good = lab_jwt_good(token, j, key);
    EVP_PKEY_free(own);
    return good;
}

/* Is the claim's value (or one of them) that text? */
static bool claim_is(const struct kw_jwt *j, const char *name, const char *text)
{
    const json_t *v = json_object_get(j->claims, name), *one;
    size_t i;
    if (json_is_string(v))
        return strcmp(json_string_value(v), text) == 0;
    json_array_foreach(v, i, one) if (json_is_string(one) &&
                                      strcmp(json_string_value(one), text) == 0) return true;
    return false;
}

static const char *judge_client_claim(const json_t *t, const struct kw_jwt *j)
{
    const char *name = lab_text(t, "clientClaimName");
    const json_t *values = json_object_get(t, "clientClaimValues"), *one;
    size_t i;
    if (name[0] == 0)
        return NULL;
    json_array_foreach(values, i, one) if (claim_is(j, name, json_string_value(one))) return NULL;
    return "The audience of the subject token is not accepted.";
}

const char *lab_trust_made_judge(struct lab *l, const json_t *t, const char *client,
                                 const char *token, const struct kw_jwt *j)
{
    const json_t *clients = json_object_get(t, "oauthClients"), *checks, *one;
    const char *subject = lab_text(t, "subjectClaimName");
    int64_t skew = json_integer_value(json_object_get(t, "clockSkewSeconds"));
    bool listed = client[0] == 0; /* who signs the request is no OAuth client */
    size_t i;
    if (!json_is_true(json_object_get(t, "active")) || strcmp(lab_text(t, "type"), "JWT") != 0)
        return "No trust is configured for the issuer of the subject token.";
    if (!signature_good(l, t, token, j))
        return "The signature of the subject token is not valid.";
    const char *why = lab_trust_times(l, j, skew);
    if (why == NULL)
        why = judge_client_claim(t, j);
    if (why != NULL)
        return why;
    checks = json_object_get(t, "claimValidations");
    json_array_foreach(
        checks, i,
        one) if (!claim_is(j, lab_text(one, "name"),
                           lab_text(one, "value"))) return "A claim of the subject token is not as "
                                                           "the trust validates it.";
    json_array_foreach(clients, i, one) listed =
        listed || strcmp(json_string_value(one), client) == 0;
    if (!listed)
        return "The client is not among the trust's OAuth clients.";
    subject = kw_jwt_str(j, subject[0] != 0 ? subject : "sub");
    return subject == NULL || subject[0] == 0 ? "The subject token has no subject." : NULL;
}

const char *lab_trust_made_user(struct lab *l, const json_t *t, const struct kw_jwt *j,
                                struct lab_subject *s)
{
    const json_t *users = json_object_get(t, "impersonationServiceUsers"), *one, *user = NULL;
    struct lab_rule rule;
    size_t i;
    snprintf(s->res_type, sizeof s->res_type, "%s", lab_text(t, "impersonatingResource"));
    if (!json_is_true(json_object_get(t, "allowImpersonation")))
        return "The trust allows no impersonation.";
    pthread_mutex_lock(&l->scim.lock);
    json_array_foreach(users, i, one)
    {
        const char *text = lab_text(one, "rule");
        if (user == NULL && lab_rule_read(text, strlen(text), &rule) && lab_rule_match(&rule, j)) {
            user = lab_scim_find(l, LAB_USERS, lab_text(one, "value"), NULL);
            if (user == NULL)
                break;
            snprintf(s->name, sizeof s->name, "%s", lab_text(user, "userName"));
            snprintf(s->ocid, sizeof s->ocid, "%s", lab_text(user, "ocid"));
            s->service_user =
                json_is_true(json_object_get(json_object_get(user, LAB_SCIM_USER), "serviceUser"));
            s->active = json_is_true(json_object_get(user, "active"));
        }
    }
    pthread_mutex_unlock(&l->scim.lock);
    return s->ocid[0] != 0 ? NULL : "No rules matched from given token to find impersonation user.";
}
