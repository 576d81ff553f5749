/* SPDX-License-Identifier: Apache-2.0
 *
 * The client certificate of X.509 federation, from main's side: public, but judged before
 * it goes anywhere.
 */
#ifndef KW_CLIENT_CERT_H
#define KW_CLIENT_CERT_H

#include <stddef.h>
#include <stdint.h>

#include "src/base/err.h"
#include "src/base/secret.h"

struct kw_client_cert {
    char pem[16384];   /* as it is in the file */
    char subject[256]; /* CN of the leaf, what google.subject is by default */
    char shown[640];   /* for people and the audit: subject, issuer, SHA-256 */
    int64_t not_after; /* of the leaf */
};

/* Reads the PEM file: 1 to 5 certificates, leaf first, leaf on P-256 and valid now. KW_USAGE
 * where it is not as it must be, KW_SUBJECT where it has expired or is not valid yet. */
int kw_client_cert_read(const char *path, int64_t now, struct kw_client_cert *ret,
                        struct kw_err *err);

/* The subject token of such an exchange: a JSON array of base64 DER, leaf first
 * (cloud.google.com/iam/docs/workload-identity-federation-with-x509-certificates). */
int kw_client_cert_token(const struct kw_client_cert *c, struct kw_secret **ret,
                         struct kw_err *err);

#endif
