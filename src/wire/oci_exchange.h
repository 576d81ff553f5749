/* SPDX-License-Identifier: Apache-2.0
 *
 * The token exchange of an OCI identity domain (POST /oauth2/v1/token, grant type
 * token-exchange): the form that is sent and what is believed of the answer. Pure:
 * no I/O, so that tests and the fuzzer get all of it.
 */
#ifndef KW_OCI_EXCHANGE_H
#define KW_OCI_EXCHANGE_H

#include "src/base/buf.h"
#include "src/base/err.h"
#include "src/ipc/messages.h"

#define KW_EXCHANGE_TARGET "/oauth2/v1/token"
#define KW_ANSWER_MAX      (64u * 1024u) /* largest body of an answer that holds a token */

/* Appends the form: the fields and their order are those of Oracle's own clients.
 * assertion: a client assertion's JWT (KW_AUTH_ASSERTION), else NULL. b holds the
 * subject token afterwards: to be freed as soon as it is sent. KW_USAGE where a
 * field that the request needs is missing. */
int kw_oci_form(const struct kw_m_exchange *x, const struct kw_m_go *go,
                const struct kw_secret *assertion, struct kw_buf *b, struct kw_err *err);

/* "Basic ..." for client_id and client_secret, appended to b. */
int kw_oci_basic(const struct kw_m_exchange *x, struct kw_buf *b, struct kw_err *err);

/* An answer of HTTP: what the exchanger got, headers as lines with lower-case names. */
struct kw_answer {
    unsigned status;
    const char *headers;
    const void *body;
    size_t len;
};

/* The correlation id for Oracle's support: x-oracle-dms-ecid, else opc-request-id,
 * else "". */
void kw_oci_correlation(const char *headers, char *out, size_t size);

/* Takes the session token out of the answer to an exchange at `host`. Only a 200 with
 * a JSON object whose member `token` is a compact JWS in form is believed. Errors:
 * KW_CLOUD (final) or KW_NET (429, 5xx), with error, error_description, correlation
 * id and, for each known one, its cure. */
int kw_oci_answer(const struct kw_answer *a, const char *host, struct kw_secret **ret_token,
                  struct kw_err *err);

#endif
