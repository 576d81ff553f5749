/* SPDX-License-Identifier: Apache-2.0
 *
 * Public keys as JSON Web Keys (RFC 7517, RFC 7518 section 6), for the set that an issuer
 * registers. Pure.
 */
#ifndef KW_JWK_H
#define KW_JWK_H

#include <jansson.h>
#include <stddef.h>

#include "src/base/err.h"

#define KW_KID 44 /* base64url of a SHA-256, and the NUL */

/* The key of a DER SubjectPublicKeyInfo (RSA, or EC on P-256) with the members that
 * Google's providers take and no other: kty, alg, use, kid, and n, e or crv, x, y. kid is
 * the thumbprint of RFC 7638. *ret is a new object; kid has room for KW_KID bytes; *ret_alg
 * is "RS256" or "ES256". NULL where not wanted. KW_FAILED for other keys. */
int kw_jwk_public(const unsigned char *spki, size_t n, json_t **ret, char *kid,
                  const char **ret_alg, struct kw_err *err);

#endif
