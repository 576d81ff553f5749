/* SPDX-License-Identifier: Apache-2.0
 *
 * Google's Security Token Service (POST /v1/token, RFC 8693) and IAM Credentials
 * (generateAccessToken, generateIdToken): what is sent and what is believed of the
 * answers. Pure: no I/O. Sources: the discovery documents sts.v1 and iamcredentials.v1.
 */
#ifndef KW_GOOGLE_STS_H
#define KW_GOOGLE_STS_H

#include "oci_exchange.h" /* struct kw_answer */

/* Appends the form of the exchange. b holds the subject token afterwards: to be freed as
 * soon as it is sent. */
int kw_sts_form(const struct kw_m_google *g, struct kw_buf *b, struct kw_err *err);

/* Takes the federated token out of the answer of `host`. *ret_expires is its lifetime in
 * seconds (0: not told). Errors: KW_SUBJECT where a fresh subject token is worth one more
 * try ("stale"), KW_CLOUD (final) or KW_NET (429, 5xx), each known one with its cure. */
int kw_sts_answer(const struct kw_answer *a, const char *host, struct kw_secret **ret_token,
                  uint32_t *ret_expires, struct kw_err *err);

/* The body of generateAccessToken, or of generateIdToken where an audience is asked for. */
int kw_iam_body(const struct kw_m_google *g, struct kw_buf *b, struct kw_err *err);

/* ":generateAccessToken" or ":generateIdToken" of the account, as a request target behind
 * the path of g->iam_url. */
int kw_iam_target(const struct kw_m_google *g, const char *path, char *out, size_t size,
                  struct kw_err *err);

/* Takes the token out of the answer; *ret_until is its end (seconds since the epoch; of an
 * ID token 0: its own exp says it). Errors as above, told with the account. */
int kw_iam_answer(const struct kw_answer *a, const char *host, const struct kw_m_google *g,
                  struct kw_secret **ret_token, int64_t *ret_until, struct kw_err *err);

/* RFC 3339 in UTC as Google writes it, "2026-01-01T00:00:00Z" with or without a fraction. */
bool kw_rfc3339(const char *text, int64_t *ret);

#endif
