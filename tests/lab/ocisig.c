/* SPDX-License-Identifier: Apache-2.0
 *
 * Verifies OCI request signatures (version 1, after draft-cavage-08) from the bytes
 * received. Written from the vendor's rules, on purpose without a look at, or a call
 * of, the code that signs: each would otherwise confirm the other's mistakes.
 */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lab.h"
#include "src/base/b64.h"

enum { SKEW = 300, SIGNATURE_MAX = 1024 };

static char **parameter(struct lab_authorization *z, const char *name, size_t n)
{
    static const char *const names[] = {"version", "keyId", "algorithm", "headers", "signature"};
    char **slots[] = {&z->version, &z->key_id, &z->algorithm, &z->headers, &z->signature};
    for (size_t i = 0; i < 5; i++)
        if (strlen(names[i]) == n && memcmp(names[i], name, n) == 0)
            return slots[i];
    return NULL;
}

/* name="value",name="value": any order, no spaces, each at most once. Cuts p up. */
static const char *split(char *p, struct lab_authorization *z)
{
    for (;;) {
        size_t n = strcspn(p, "=");
        char **slot = parameter(z, p, n);
        if (slot == NULL || p[n] != '=' || p[n + 1] != '"')
            return "Authorization has an unknown or malformed parameter";
        char *text = p + n + 2, *end = strpbrk(text, "\"\\");
        if (*slot != NULL || end == NULL || *end != '"')
            return "Authorization has a parameter twice or with a bad value";
        *end = 0;
        *slot = text;
        if (end[1] == 0)
            return NULL;
        if (end[1] != ',')
            return "Authorization has something between parameters";
        p = end + 2;
    }
}

const char *lab_authorization_parse(const char *value, struct lab_authorization *z)
{
    *z = (struct lab_authorization){0};
    if (value == NULL || strncmp(value, "Signature ", 10) != 0)
        return "no Authorization: Signature header, or more than one";
    char *store = strdup(value + 10);
    const char *wrong = store == NULL ? "out of memory" : split(store, z);
    z->store = store;
    if (wrong != NULL)
        return wrong;
    if (z->version != NULL && strcmp(z->version, "1") != 0)
        return "signature version is not 1";
    if (z->algorithm == NULL || strcmp(z->algorithm, "rsa-sha256") != 0)
        return "algorithm is not rsa-sha256";
    if (z->key_id == NULL || z->headers == NULL || z->signature == NULL)
        return "Authorization lacks keyId, headers or signature";
    return NULL;
}

/* Is name in the list (names separated by single spaces)? Letters' case is free. */
static size_t listed(const char *list, const char *name)
{
    size_t found = 0, n = strlen(name);
    for (const char *p = list; *p != 0;) {
        size_t k = strcspn(p, " ");
        found += k == n && strncasecmp(p, name, n) == 0;
        p += k + (p[k] == ' ');
    }
    return found;
}

/* Object Storage PutObject and UploadPart need not sign their body. */
static bool upload(const struct lab_request *r)
{
    if (strncmp(r->host, "objectstorage.", 14) != 0 || strcmp(r->method, "PUT") != 0)
        return false;
    const char *p = r->target;
    char kind = 0;
    for (int segment = 1; *p == '/'; segment++) {
        size_t n = strcspn(p + 1, "/?");
        if (segment == 1 && (n != 1 || p[1] != 'n'))
            return false;
        if (segment == 3 && (n != 1 || p[1] != 'b'))
            return false;
        if (segment == 5)
            kind = n == 1 ? p[1] : 0;
        if (segment == 6)
            return (kind == 'o' || kind == 'u') && n > 0;
        p += 1 + n;
    }
    return false;
}

static const char *judge_list(const struct lab_request *r, const char *list)
{
    bool body = strcmp(r->method, "POST") == 0 || strcmp(r->method, "PUT") == 0 ||
                strcmp(r->method, "PATCH") == 0;
    if (list[0] == 0 || list[0] == ' ' || strstr(list, "  ") != NULL ||
        list[strlen(list) - 1] == ' ')
        return "the list of signed headers is malformed";
    if (listed(list, "(request-target)") != 1 || listed(list, "host") != 1)
        return "(request-target) and host must be signed once";
    /* Where both are there, x-date is the one that counts: so it must be signed. */
    const char *date = lab_header_count(r, "x-date") > 0 ? "x-date" : "date";
    if (listed(list, date) != 1)
        return "date (or x-date, where it is there) must be signed once";
    if (body && !upload(r) &&
        (listed(list, "x-content-sha256") != 1 || listed(list, "content-type") != 1 ||
         listed(list, "content-length") != 1))
        return "a body is signed by x-content-sha256, content-type and content-length";
    return NULL;
}

static const char *put_line(struct lab_request *r, char *name)
{
    if (r->signing.len > 0)
        kw_put_str(&r->signing, "\n");
    for (char *c = name; *c != 0; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c + ('a' - 'A'));
    if (strcmp(name, "(request-target)") == 0) {
        char method[16];
        size_t n = strlen(r->method);
        for (size_t i = 0; i <= n; i++)
            method[i] = (char)(r->method[i] == 0 ? 0 : r->method[i] + ('a' - 'A'));
        kw_put_fmt(&r->signing, "(request-target): %s ", method);
        kw_put_str(&r->signing, r->target);
        return NULL;
    }
    const char *value = lab_header(r, name);
    if (value == NULL)
        return "a signed header is missing or there twice";
    kw_put_str(&r->signing, name);
    kw_put_str(&r->signing, ": ");
    kw_put_str(&r->signing, value);
    return NULL;
}

static const char *signing_string(struct lab_request *r, const char *list)
{
    snprintf(r->signed_names, sizeof r->signed_names, "%s", list);
    kw_buf_init(&r->signing, 2 * LAB_HEAD_MAX);
    char *names = strdup(list), *rest = names, *name;
    const char *why = names == NULL ? "memory" : NULL;
    while (why == NULL && (name = strsep(&rest, " ")) != NULL)
        why = listed(list, name) == 1 ? put_line(r, name) : "a header is listed twice";
    free(names);
    return why;
}

static const char *judge_date(struct lab *l, const struct lab_request *r)
{
    bool x = lab_header_count(r, "x-date") > 0;
    const char *text = lab_header(r, x ? "x-date" : "date");
    int64_t at = text == NULL ? -1 : lab_http_date_parse(text), now = lab_now(l);
    if (at < 0)
        return "the date is missing or not like Sun, 06 Nov 1994 08:49:37 GMT";
    return at < now - SKEW || at > now + SKEW ? "the date is off by more than 5 minutes" : NULL;
}

static const char *judge_body(const struct lab_request *r)
{
    const char *claimed = lab_header(r, "x-content-sha256");
    if (lab_header_count(r, "x-content-sha256") == 0)
        return NULL; /* where it must be there, it must be signed, and was missed before */
    unsigned char digest[32];
    struct kw_buf text;
    kw_buf_init(&text, 64);
    bool ok = EVP_Digest(r->body.len > 0 ? (const void *)r->body.p : "", r->body.len, digest, NULL,
                         EVP_sha256(), NULL) == 1;
    kw_b64_put(&text, digest, sizeof digest);
    ok = ok && claimed != NULL && strcmp(kw_buf_str(&text), claimed) == 0;
    kw_buf_free(&text);
    return ok ? NULL : "x-content-sha256 is not the hash of the body";
}

/* jwk is a string that holds JSON, or (on request) the object itself. */
static EVP_PKEY *bound_key(const struct kw_jwt *j)
{
    json_t *claim = json_object_get(j->claims, "jwk");
    json_t *jwk = json_is_string(claim)
                      ? json_loads(json_string_value(claim), JSON_REJECT_DUPLICATES, NULL)
                      : json_incref(claim);
    EVP_PKEY *key = lab_jwk_read(jwk);
    json_decref(jwk);
    return key;
}

/* The key in a session token that we issued and that is still good. */
static const char *session_key(struct lab *l, struct lab_request *r, const char *token,
                               EVP_PKEY **key)
{
    struct kw_jwt j;
    if (kw_jwt_decode(token, strlen(token), "session token", KW_FAILED, &j, NULL) != 0)
        return "keyId holds no JWT";
    const char *why = NULL, *kid = json_string_value(json_object_get(j.header, "kid"));
    const char *iss = kw_jwt_str(&j, "iss"), *sub = kw_jwt_str(&j, "sub");
    int64_t exp;
    if (kid == NULL || strcmp(kid, l->session_kid) != 0 || !lab_jwt_good(token, &j, l->session_key))
        why = "the session token's signature is not good";
    else if (iss == NULL || strcmp(iss, "authService.oracle.com") != 0)
        why = "the session token's issuer is wrong";
    else if (!kw_jwt_time(&j, "exp", &exp) || exp <= lab_now(l))
        why = "the session token has expired";
    else if ((*key = bound_key(&j)) == NULL)
        why = "the session token holds no good key";
    else
        snprintf(r->principal, sizeof r->principal, "%s", sub == NULL ? "" : sub);
    kw_jwt_free(&j);
    return why;
}

static const char *find_key(struct lab *l, struct lab_request *r, const char *key_id,
                            EVP_PKEY **key)
{
    if (strncmp(key_id, "ST$", 3) == 0)
        return session_key(l, r, key_id + 3, key);
    *key = lab_key_find(&l->api_keys, key_id);
    if (*key == NULL)
        return "keyId is neither ST$ and a token nor a registered API key";
    EVP_PKEY_up_ref(*key);
    snprintf(r->principal, sizeof r->principal, "%.255s", key_id);
    return NULL;
}

static const char *judge_signature(struct lab *l, struct lab_request *r,
                                   const struct lab_authorization *z)
{
    struct kw_buf sig;
    EVP_PKEY *key = NULL;
    const char *why = find_key(l, r, z->key_id, &key);
    kw_buf_init(&sig, SIGNATURE_MAX);
    if (why == NULL && !kw_b64_get(&sig, z->signature, strlen(z->signature)))
        why = "signature is not strict base64";
    else if (why == NULL &&
             (r->signing.bad || !lab_rs256_good(key, r->signing.p, r->signing.len, sig.p, sig.len)))
        why = "signature does not match what was received";
    kw_buf_free(&sig);
    EVP_PKEY_free(key);
    return why;
}

const char *lab_signature_judge(struct lab *l, struct lab_request *r)
{
    struct lab_authorization z;
    const char *why = lab_authorization_parse(lab_header(r, "authorization"), &z);
    if (why == NULL)
        why = judge_list(r, z.headers);
    if (why == NULL)
        why = signing_string(r, z.headers);
    if (why == NULL)
        why = judge_date(l, r);
    if (why == NULL)
        why = judge_body(r);
    if (why == NULL)
        why = judge_signature(l, r, &z);
    free(z.store);
    return why;
}
