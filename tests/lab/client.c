/* SPDX-License-Identifier: Apache-2.0
 *
 * Who asks the token endpoint: client id and secret (Basic header or form), an OCI
 * request signature by a registered key, or a JWT client assertion.
 */
#include <string.h>
#include <strings.h>

#include "lab.h"
#include "src/b64.h"

static const char ASSERTION_TYPE[] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/* Both compared whatever the first says, so that time tells neither. */
static bool secret_good(const struct lab *l, const char *id, const char *secret)
{
    bool id_good = lab_same(id, l->opt.client_id), good = lab_same(secret, l->client_secret);
    return id_good && good;
}

static const char *judge_basic(const struct lab *l, const char *base64)
{
    struct kw_buf b;
    kw_buf_init(&b, 2048);
    const char *why = "Basic credentials are not strict base64 of id:secret";
    if (kw_b64_get(&b, base64, strlen(base64)) && memchr(b.p, 0, b.len) == NULL) {
        kw_put(&b, "", 1);
        char *colon = b.bad ? NULL : strchr((char *)b.p, ':');
        if (colon != NULL) {
            *colon = 0;
            why = secret_good(l, (char *)b.p, colon + 1) ? NULL : "wrong client id or secret";
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

static const char *judge_claims(struct lab *l, const char *assertion, const struct kw_jwt *j)
{
    const char *kid = json_string_value(json_object_get(j->header, "kid"));
    const char *iss = kw_jwt_str(j, "iss"), *sub = kw_jwt_str(j, "sub");
    int64_t exp, at;
    if (kid == NULL)
        return "client assertion without kid";
    if (!lab_jwt_good(assertion, j, lab_key_find(&l->assertion_keys, kid)))
        return "client assertion: unknown kid, or its signature is not good";
    if (iss == NULL || sub == NULL || strcmp(iss, l->opt.client_id) != 0 || strcmp(sub, iss) != 0)
        return "client assertion: iss and sub are not the client id";
    if (!audience_is(j, l->domain_url))
        return "client assertion: aud is not the domain's URL";
    if (!kw_jwt_time(j, "exp", &exp) || exp <= lab_now(l))
        return "client assertion: expired or without exp";
    if (kw_jwt_time(j, "nbf", &at) && at > lab_now(l) + 300)
        return "client assertion: not valid yet";
    return NULL;
}

static const char *judge_assertion(struct lab *l, const struct lab_form *f, const char *assertion)
{
    const char *type = lab_form_get(f, "client_assertion_type");
    struct kw_jwt j;
    if (type == NULL || strcmp(type, ASSERTION_TYPE) != 0)
        return "client_assertion_type is not jwt-bearer";
    if (kw_jwt_decode(assertion, strlen(assertion), "assertion", KW_FAILED, &j, NULL) != 0)
        return "client assertion is not a JWT";
    const char *why = judge_claims(l, assertion, &j);
    kw_jwt_free(&j);
    return why;
}

static const char *judge(struct lab *l, struct lab_request *r, const struct lab_form *f,
                         const char **how)
{
    const char *z = lab_header(r, "authorization"), *secret = lab_form_get(f, "client_secret");
    const char *assertion = lab_form_get(f, "client_assertion"), *id = lab_form_get(f, "client_id");
    if (lab_header_count(r, "authorization") + (secret != NULL) + (assertion != NULL) > 1)
        return "more than one client authentication";
    if (id != NULL && strcmp(id, l->opt.client_id) != 0)
        return "wrong client_id in the form";
    if (assertion != NULL) {
        *how = "assertion";
        return judge_assertion(l, f, assertion);
    }
    if (secret != NULL) {
        *how = "secret in the form";
        return id != NULL && secret_good(l, id, secret) ? NULL : "wrong client id or secret";
    }
    if (z != NULL && strncmp(z, "Basic ", 6) == 0) {
        *how = "basic";
        return judge_basic(l, z + 6);
    }
    if (z != NULL && strncmp(z, "Signature ", 10) == 0) {
        *how = "signature";
        return lab_signature_judge(l, r);
    }
    return "no client authentication";
}

bool lab_client_judge(struct lab *l, struct lab_request *r, const struct lab_form *f,
                      struct lab_response *a)
{
    const char *how = "none", *why = judge(l, r, f, &how);
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
