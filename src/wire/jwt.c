/* SPDX-License-Identifier: Apache-2.0 */
#include "jwt.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "src/base/b64.h"
#include "src/base/buf.h"
#include "src/ipc/messages.h"

enum { DEPTH = 16, MODULUS_MIN = 256, MODULUS_MAX = 512, EXPONENT_MAX = 8 };

/* Nesting is counted before the text goes to jansson, whose own limit (2048) would
 * let a token choose how deep our stack gets. */
static bool too_deep(const char *text, size_t n)
{
    unsigned depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            if (++depth > DEPTH)
                return true;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return false;
}

/* A JSON object, or NULL with the reason. jansson's own messages quote the text,
 * and so are not used. */
static json_t *parse_object(const char *text, size_t n, const char **reason)
{
    if (too_deep(text, n)) {
        *reason = "is nested too deep";
        return NULL;
    }
    json_error_t e;
    json_t *v = json_loadb(text, n, JSON_REJECT_DUPLICATES, &e);
    if (json_is_object(v))
        return v;
    if (v != NULL)
        *reason = "is not a JSON object";
    else if (json_error_code(&e) == json_error_duplicate_key)
        *reason = "has a member twice";
    else
        *reason = "is not valid JSON";
    json_decref(v);
    return NULL;
}

static json_t *decode_part(const char *part, size_t n, const char **reason)
{
    struct kw_buf b;
    kw_buf_init(&b, KW_TOKEN_MAX);
    json_t *v = NULL;
    if (!kw_b64url_get(&b, part, n))
        *reason = "is not strict base64url";
    else
        v = parse_object((const char *)b.p, b.len, reason);
    kw_buf_free(&b);
    return v;
}

static const char *check_alg(const json_t *header)
{
    const char *alg = json_string_value(json_object_get(header, "alg"));
    if (alg == NULL || *alg == '\0')
        return "has no alg";
    return strcasecmp(alg, "none") == 0 ? "says alg none, which is no signature" : NULL;
}

static bool signature_good(const char *part, size_t n)
{
    struct kw_buf b;
    kw_buf_init(&b, KW_TOKEN_MAX);
    bool good = n > 0 && kw_b64url_get(&b, part, n) && b.len > 0;
    kw_buf_free(&b);
    return good;
}

/* Where the three parts begin and how long they are; false if there are not three. */
static bool split(const char *token, size_t len, struct kw_view part[3])
{
    for (unsigned i = 0; i < 3; i++) {
        const char *dot = memchr(token, '.', len);
        size_t n = dot != NULL ? (size_t)(dot - token) : len;
        if ((i < 2) != (dot != NULL) || n == 0)
            return false;
        part[i] = (struct kw_view){(const unsigned char *)token, n};
        if (dot != NULL) {
            token += n + 1;
            len -= n + 1;
        }
    }
    return true;
}

int kw_jwt_decode(const char *token, size_t len, const char *what, enum kw_exit code,
                  struct kw_jwt *ret, struct kw_err *err)
{
    *ret = (struct kw_jwt){0};
    struct kw_view part[3];
    const char *reason = NULL;
    if (len == 0)
        return kw_fail(err, code, "%s is empty", what);
    if (len > KW_TOKEN_MAX)
        return kw_fail(err, code, "%s is longer than %d bytes", what, KW_TOKEN_MAX);
    if (!split(token, len, part))
        return kw_fail(err, code, "%s is no JWT: it must be three parts joined by dots", what);
    ret->header = decode_part((const char *)part[0].p, part[0].len, &reason);
    if (reason == NULL)
        reason = check_alg(ret->header);
    if (reason != NULL) {
        kw_jwt_free(ret);
        return kw_fail(err, code, "%s is no JWT: its header %s", what, reason);
    }
    ret->claims = decode_part((const char *)part[1].p, part[1].len, &reason);
    if (reason == NULL && !signature_good((const char *)part[2].p, part[2].len)) {
        kw_jwt_free(ret);
        return kw_fail(err, code, "%s is no JWT: its signature is not strict base64url", what);
    }
    if (reason != NULL) {
        kw_jwt_free(ret);
        return kw_fail(err, code, "%s is no JWT: its second part (the claims) %s", what, reason);
    }
    return 0;
}

int kw_jwt_claims(const char *text, size_t len, const char *what, enum kw_exit code,
                  struct kw_jwt *ret, struct kw_err *err)
{
    *ret = (struct kw_jwt){0};
    const char *reason = NULL;
    if (len > KW_TOKEN_MAX)
        return kw_fail(err, code, "%s is longer than %d bytes", what, KW_TOKEN_MAX);
    ret->claims = parse_object(text, len, &reason);
    if (reason != NULL)
        return kw_fail(err, code, "%s %s", what, reason);
    ret->header = json_object();
    return 0;
}

void kw_jwt_free(struct kw_jwt *j)
{
    json_decref(j->header);
    json_decref(j->claims);
    *j = (struct kw_jwt){0};
}

bool kw_jwt_time(const struct kw_jwt *j, const char *claim, int64_t *ret)
{
    const json_t *v = json_object_get(j->claims, claim);
    const int64_t most = INT64_C(1) << 53;
    if (json_is_integer(v)) {
        json_int_t n = json_integer_value(v);
        *ret = n;
        return n >= 0 && n <= most;
    }
    if (!json_is_real(v))
        return false;
    double d = json_real_value(v); /* finite: JSON has no other */
    if (!(d >= 0 && d <= (double)most))
        return false;
    *ret = (int64_t)d;
    return true;
}

const char *kw_jwt_str(const struct kw_jwt *j, const char *claim)
{
    return json_string_value(json_object_get(j->claims, claim));
}

/* Appends the integer in a base64url member of jwk, leading zeros cut; false if it
 * is not min..max bytes then. */
static bool put_integer(struct kw_buf *out, const json_t *jwk, const char *member, size_t min,
                        size_t max)
{
    const json_t *v = json_object_get(jwk, member);
    if (!json_is_string(v))
        return false;
    struct kw_buf b;
    kw_buf_init(&b, 2 * MODULUS_MAX);
    bool good = kw_b64url_get(&b, json_string_value(v), json_string_length(v));
    size_t zeros = 0;
    while (good && zeros < b.len && b.p[zeros] == 0)
        zeros++;
    size_t n = b.len - zeros;
    good = good && n >= min && n <= max && (b.p[b.len - 1] & 1) != 0; /* both are odd */
    if (good)
        kw_put(out, b.p + zeros, n);
    kw_buf_free(&b);
    return good && !out->bad;
}

static const char *read_jwk(const json_t *jwk, struct kw_buf *n, struct kw_buf *e)
{
    const char *kty = json_string_value(json_object_get(jwk, "kty"));
    if (kty == NULL || strcmp(kty, "RSA") != 0)
        return "is not an RSA key";
    if (json_object_get(jwk, "d") != NULL)
        return "holds a private key";
    if (!put_integer(n, jwk, "n", MODULUS_MIN, MODULUS_MAX))
        return "has no good modulus (2048 to 4096 bits)";
    size_t at = e->len;
    if (!put_integer(e, jwk, "e", 1, EXPONENT_MAX) || (e->len - at == 1 && e->p[at] == 1))
        return "has no good public exponent";
    return NULL;
}

int kw_jwt_jwk(const struct kw_jwt *j, struct kw_buf *n, struct kw_buf *e, struct kw_err *err)
{
    json_t *claim = json_object_get(j->claims, "jwk"), *parsed = NULL;
    const char *reason = NULL;
    if (claim == NULL)
        return kw_fail(err, KW_CLOUD, "the session token has no jwk claim: it is bound to no key");
    if (json_is_string(claim))
        claim = parsed = parse_object(json_string_value(claim), json_string_length(claim), &reason);
    if (reason == NULL)
        reason = json_is_object(claim) ? read_jwk(claim, n, e) : "is not a JSON object";
    json_decref(parsed);
    return reason == NULL
               ? 0
               : kw_fail(err, KW_CLOUD, "the session token's jwk claim %s; it is not used", reason);
}
