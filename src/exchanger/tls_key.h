/* SPDX-License-Identifier: Apache-2.0
 *
 * A TLS client key that is elsewhere: an EVP_PKEY (EC, P-256) whose signature is made by a
 * callback. OpenSSL calls it with the whole content to be signed (RFC 8446 section 4.4.3),
 * not with a digest, so that who holds the key can see what it signs: TLS 1.3 only.
 *
 * It is a provider of OpenSSL of its own, because only a provider is handed the content:
 * EC_KEY_METHOD, which is shorter, gets a digest that could be of anything.
 */
#ifndef KW_TLS_KEY_H
#define KW_TLS_KEY_H

#include <openssl/evp.h>

#include "src/base/err.h"

/* Signs n bytes of content; the DER signature (at most 72 bytes) goes into sig. 0, or the
 * handshake fails. */
typedef int kw_tls_sign(void *arg, const unsigned char *content, size_t n, unsigned char *sig,
                        size_t *ret_n);

/* Registers the provider and touches what it loads: before the sandbox locks. The default
 * provider stays the one that everything else comes from. */
int kw_tls_key_init(kw_tls_sign *sign, void *arg, struct kw_err *err);

/* The key with the public half of pub (of a certificate). KW_USAGE if that is no P-256 key. */
int kw_tls_key_new(EVP_PKEY *pub, EVP_PKEY **ret, struct kw_err *err);

#endif
