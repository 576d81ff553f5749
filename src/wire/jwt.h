/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads JWTs (RFC 7519, compact JWS) that others signed and others will verify:
 * the subject token before it is sent, the session token after it came. Nothing
 * here verifies a signature: a decision made on these claims only ever makes us
 * refuse.
 */
#ifndef KW_JWT_H
#define KW_JWT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "src/base/err.h"

struct kw_jwt {
    json_t *header, *claims; /* objects, owned */
};

/* Decodes a compact JWS: three non-empty strict base64url parts (the signature may
 * not be empty), header and claims JSON objects without duplicate members, depth
 * and size bounded, `alg` a string and not "none". Errors carry `code` and name
 * `what`; no byte of the token is in them. */
int kw_jwt_decode(const char *token, size_t len, const char *what, enum kw_exit code,
                  struct kw_jwt *ret, struct kw_err *err);
/* The same for claims that stand alone, as a JSON text (a rehearsal of the claim policy):
 * header is an empty object then. */
int kw_jwt_claims(const char *text, size_t len, const char *what, enum kw_exit code,
                  struct kw_jwt *ret, struct kw_err *err);
void kw_jwt_free(struct kw_jwt *j);

/* A NumericDate claim as seconds since the epoch; false if absent or no number in
 * 0 .. 2^53. */
bool kw_jwt_time(const struct kw_jwt *j, const char *claim, int64_t *ret);

/* A string claim, NULL if absent or no string. */
const char *kw_jwt_str(const struct kw_jwt *j, const char *claim);

/* The public key in a session token's `jwk` claim (a JSON object, or at OCI a string
 * that holds one): RSA n and e as big-endian bytes without leading zeros, appended
 * to n and e. KW_CLOUD if absent or not a good RSA key. */
struct kw_buf;
int kw_jwt_jwk(const struct kw_jwt *j, struct kw_buf *n, struct kw_buf *e, struct kw_err *err);

#endif
