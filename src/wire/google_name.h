/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of Google's workload identity federation, checked before any network is asked:
 * most failed set-ups come from a pool where the provider belongs, or a project's ID
 * where its number does (cloud.google.com/iam/docs/workload-identity-federation).
 */
#ifndef KW_GOOGLE_NAME_H
#define KW_GOOGLE_NAME_H

#include "src/base/err.h"

struct kw_google_provider {
    char name[256]; /* projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/P */
    char number[24], pool[33], provider[33];
};

/* Reads the resource name of a provider. Also taken, because Google's pages show them:
 * the same behind "//iam.googleapis.com/" or "https://iam.googleapis.com/". KW_USAGE says
 * which part is wrong and what it looks like. */
int kw_google_provider(const char *text, struct kw_google_provider *ret, struct kw_err *err);

/* The audience of an exchange (RFC 8693 section 2.1): the provider's full resource name,
 * "//iam.googleapis.com/projects/...". */
void kw_google_audience(const struct kw_google_provider *p, char *out, size_t size);

/* The aud that a provider without allowedAudiences accepts, in its https form, which is
 * what to ask the subject token for. */
void kw_google_subject_audience(const struct kw_google_provider *p, char *out, size_t size);

/* A service account's e-mail or numeric unique id, bare or behind
 * "projects/-/serviceAccounts/", into the bare form. KW_USAGE naming `what`. */
int kw_google_account(const char *text, const char *what, char *out, size_t size,
                      struct kw_err *err);

#endif
