/* SPDX-License-Identifier: Apache-2.0
 *
 * What answers of token endpoints have in common, and the answer of the endpoint
 * that hands out a subject token (GitHub's request URL and those shaped like it).
 * Pure: no I/O. Foreign text never reaches an error message unless it is bounded,
 * printable and free of anything that looks like a token.
 */
#ifndef KW_HTTP_ANSWER_H
#define KW_HTTP_ANSWER_H

#include <jansson.h>
#include <stdbool.h>

#include "oci_exchange.h"

/* Reads the body as one JSON object without duplicate members; NULL and a reason for
 * people ("is HTML", "is empty", "is not JSON") if it is none. */
json_t *kw_answer_json(const struct kw_answer *a, const char **ret_why);

/* Copies foreign text for an error message: at most size-1 bytes, cut with "...",
 * control characters replaced, runs that look like a JWT replaced by "(token)". */
void kw_quote(char *out, size_t size, const char *text);

/* Three non-empty runs of the base64url alphabet with dots between them. */
bool kw_compact_ok(const char *token, size_t n);

/* True and the host for the error message if the answer is a redirect. */
bool kw_answer_redirect(const struct kw_answer *a, char *where, size_t size);

/* Takes the subject token out of the answer of `host`: 200, a JSON object whose member
 * `field` is a compact JWS; or, with field "", a body that is one. Errors: KW_NET for 429 and 5xx,
 * else KW_SUBJECT. */
int kw_fetch_answer(const struct kw_answer *a, const char *host, const char *field,
                    struct kw_secret **ret_token, struct kw_err *err);

#endif
