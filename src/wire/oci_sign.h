/* SPDX-License-Identifier: Apache-2.0
 *
 * OCI HTTP signatures, version 1 (docs.oracle.com "Request Signatures"; the draft
 * is cavage-http-signatures-08, algorithm rsa-sha256). The keeper builds the
 * signing string; exchanger and `sign` build the header list and Authorization.
 */
#ifndef KW_OCI_SIGN_H
#define KW_OCI_SIGN_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/err.h"
#include "src/ipc/messages.h"

/* What a request will carry, for kw_oci_header_lines(). */
struct kw_oci_request {
    const char *method;  /* upper case */
    const char *host;    /* Host header */
    const char *target;  /* path and query */
    const char *headers; /* the caller's own lines; content-type, date, x-date count */
    bool has_body;
    uint64_t body_len;
    const char *body_sha256; /* standard base64; of the empty string if no body */
    int64_t now;             /* seconds since the epoch */
};

/* POST, PUT and PATCH sign their body, even an empty one, except Object Storage
 * PutObject and UploadPart. */
bool kw_oci_signs_body(const char *method, const char *host, const char *target);

/* Writes two sets of lines: `sign`, the lines to be signed in the vendor SDKs' order
 * (date|x-date (request-target) host [content-length content-type x-content-sha256];
 * x-date wins where the caller gave one, and then content-type comes before
 * content-length, as in the TypeScript SDK; opc-obo-token, x-cross-tenancy-request and
 * x-subscription follow where the caller gave them), in the form of kw_m_sign.headers; and
 * `send`, the headers to put on the wire besides Host and Authorization: those of
 * them that the caller did not give. KW_USAGE if the caller's headers contradict
 * (duplicates of signed ones, x-content-sha256 that is not the body's). */
int kw_oci_header_lines(const struct kw_oci_request *r, char *sign, size_t sign_size, char *send,
                        size_t send_size, struct kw_err *err);

/* The signing string of m (names lower-cased, "name: value" joined by "\n", no
 * trailing newline) appended to b. KW_FAILED if a line is malformed, a name occurs
 * twice, (request-target), host or date|x-date is missing, or, where the body must
 * be signed, one of content-length, content-type, x-content-sha256 is. */
int kw_oci_signing_string(const struct kw_m_sign *m, struct kw_buf *b, struct kw_err *err);

/* The value of Authorization: Signature version="1",keyId="...",algorithm=
 * "rsa-sha256",headers="...",signature="..." appended to b. key_id for a session
 * is "ST$" and the token. */
void kw_oci_authorization(const char *key_id_prefix, const char *key_id, const char *sign_lines,
                          const unsigned char *signature, size_t n, struct kw_buf *b);

#endif
