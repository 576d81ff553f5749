/* SPDX-License-Identifier: Apache-2.0
 *
 * Who asks the token endpoint: client id and secret (Basic header or form), an OCI
 * request signature by a registered key, or a JWT client assertion.
 */
#include <string.h>
#include <strings.h>

#include "lab.h"
#include "src/base/b64.h"

static const char ASSERTION_TYPE[] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/* Both compared whatever the first says, so that time tells neither. */
static bool secret_good(struct lab *l, const char *id, const char *secret, struct lab_client *who)
{
    bool id_good = lab_same(id, l->opt.client_id), good = lab_same(secret, l->client_secret);
    good = id_good && good && !l->opt.bare;
    pthread_mutex_lock(&l->scim.lock);
    const json_t *app = lab_app_client(l, id);
    who->made = app != NULL && lab_same(secret, lab_text(app, "_secret"));
    pthread_mutex_unlock(&l->scim.lock);
    snprintf(who->id, sizeof who->id, "%s", id);
    return good || who->made;
}

static const char *judge_basic(struct lab *l, const char *base64, struct lab_client *who)
{
    struct kw_buf b;
    kw_buf_init(&b, 2048);
    const char *why = "Basic credentials are not strict base64 of id:secret";
    if (kw_b64_get(&b, base64, strlen(base64)) && memchr(b.p, 0, b.len) == NULL) {
        kw_put(&b, "", 1);
        char *colon = b.bad ? NULL : strchr((char *)b.p, ':');
        if (colon != NULL) {
            *colon = 0;
            why = secret_good(l, (char *)b.p, colon + 1, who) ? NULL : "wrong client id or secret";
        }
    }
    kw_buf_free(&b);
    return why;
}

static bool audience_is(const struct kw_jwt *j, const char *domain_url)
{
    const json_t *aud = json_object_get(j->claims, "aud");
    size_t n = json_is_array(aud) ? json_array_size(aud) : 1, u = strlen(domain_url);
    for (size_t i = 0; i < n; i++) {
        const char *one = json_string_value(json_is_array(aud) ? json_array_get(aud, i) : aud);
        if (one != NULL && strncmp(one, domain_url, u) == 0 &&
            (one[u] == 0 || strcmp(one + u, "/") == 0))
            return true;
    }
    return false;
}

/* The key of an assertion by kid: the options' for the options' client, or the certificate
 * of that alias that the app has. Owned. */
static EVP_PKEY *assertion_key(struct lab *l, const char *id, const char *kid,
                               struct lab_client *who)
{
    EVP_PKEY *key = NULL;
    const json_t *one;
    size_t i;
    if (strcmp(id, l->opt.client_id) == 0 && !l->opt.bare) {
        key = lab_key_find(&l->assertion_keys, kid);
        return key != NULL && EVP_PKEY_up_ref(key) == 1 ? key : NULL;
    }
    pthread_mutex_lock(&l->scim.lock);
    json_array_foreach(json_object_get(lab_app_client(l, id), "certificates"), i, one)
    {
        const char *alias = lab_text(one, "certAlias");
        if (key == NULL && strcmp(alias, kid) == 0)
            key = lab_certificate_key(
                lab_scim_by(l, LAB_CERTIFICATES, "certificateAlias", alias, true));
    }
    pthread_mutex_unlock(&l->scim.lock);
    who->made = key != NULL;
    return key;
}

static const char *judge_claims(struct lab *l, const char *assertion, const struct kw_jwt *j,
                                struct lab_client *who)
{
    const char *kid = json_string_value(json_object_get(j->header, "kid"));
    const char *iss = kw_jwt_str(j, "iss"), *sub = kw_jwt_str(j, "sub");
    int64_t exp, at;
    if (kid == NULL)
        return "client assertion without kid";
    if (iss == NULL || sub == NULL || strcmp(sub, iss) != 0)
        return "client assertion: iss and sub are not the client id";
    EVP_PKEY *key = assertion_key(l, iss, kid, who);
    bool good = lab_jwt_good(assertion, j, key);
    EVP_PKEY_free(key);
    if (!good)
        return "client assertion: unknown client or kid, or its signature is not good";
    snprintf(who->id, sizeof who->id, "%s", iss);
    if (!audience_is(j, l->domain_url))
        return "client assertion: aud is not the domain's URL";
    if (!kw_jwt_time(j, "exp", &exp) || exp <= lab_now(l))
        return "client assertion: expired or without exp";
    if (kw_jwt_time(j, "nbf", &at) && at > lab_now(l) + 300)
        return "client assertion: not valid yet";
    return NULL;
}

static const char *judge_assertion(struct lab *l, const struct lab_form *f, const char *assertion,
                                   struct lab_client *who)
{
    const char *type = lab_form_get(f, "client_assertion_type");
    struct kw_jwt j;
    if (type == NULL || strcmp(type, ASSERTION_TYPE) != 0)
        return "client_assertion_type is not jwt-bearer";
    if (kw_jwt_decode(assertion, strlen(assertion), "assertion", KW_FAILED, &j, NULL) != 0)
        return "client assertion is not a JWT";
    const char *why = judge_claims(l, assertion, &j, who);
    kw_jwt_free(&j);
    return why;
}

static const char *judge(struct lab *l, struct lab_request *r, const struct lab_form *f,
                         const char **how, struct lab_client *who)
{
    const char *z = lab_header(r, "authorization"), *secret = lab_form_get(f, "client_secret");
    const char *assertion = lab_form_get(f, "client_assertion"), *id = lab_form_get(f, "client_id");
    if (lab_header_count(r, "authorization") + (secret != NULL) + (assertion != NULL) > 1)
        return "more than one client authentication";
    if (assertion != NULL) {
        *how = "assertion";
        return judge_assertion(l, f, assertion, who);
    }
    if (secret != NULL) {
        *how = "secret in the form";
        return id != NULL && secret_good(l, id, secret, who) ? NULL : "wrong client id or secret";
    }
    if (z != NULL && strncmp(z, "Basic ", 6) == 0) {
        *how = "basic";
        return judge_basic(l, z + 6, who);
    }
    if (z != NULL && strncmp(z, "Signature ", 10) == 0) {
        *how = "signature";
        return lab_signature_judge(l, r);
    }
    return "no client authentication";
}

bool lab_client_judge(struct lab *l, struct lab_request *r, const struct lab_form *f,
                      struct lab_response *a, struct lab_client *who)
{
    const char *how = "none", *id = lab_form_get(f, "client_id");
    *who = (struct lab_client){.made = false};
    const char *why = judge(l, r, f, &how, who);
    if (why == NULL && id != NULL && strcmp(id, who->id[0] != 0 ? who->id : l->opt.client_id) != 0)
        why = "wrong client_id in the form";
    if (why == NULL) {
        snprintf(r->principal, sizeof r->principal, "client by %s", how);
        return true;
    }
    lab_verdict(r, "refused: client authentication (%s): %s", how, why);
    lab_reply_header(a, "www-authenticate", "Basic realm=\"keyward-lab\"");
    lab_reply_json(a, 401,
                   json_pack("{s:s, s:s}", "error", "invalid_client", "error_description",
                             "Client authentication failed."));
    return false;
}
