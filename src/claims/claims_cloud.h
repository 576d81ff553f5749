/* SPDX-License-Identifier: Apache-2.0
 *
 * `claims`: what the clouds would make of a token, from the configuration, a provider's
 * JSON and the command line.
 */
#ifndef KW_CLAIMS_CLOUD_H
#define KW_CLAIMS_CLOUD_H

#include "google_map.h"
#include "src/cli/cmd.h"
#include "src/wire/jwt.h"

struct kw_claims_clouds {
    bool google; /* map says what the provider would do */
    struct kw_google_map map;
    json_t *oci_rules;        /* array of strings, NULL: none */
    json_t *google_v, *oci_v; /* the verdicts (google_map.h, oci_rule.h), NULL: none */
};

/* Reads what is to be evaluated and checks it. KW_USAGE where it doesn't parse. */
int kw_claims_prepare(const struct kw_config *c, const struct kw_args *args,
                      struct kw_claims_clouds *k, struct kw_err *err);
/* Fills the verdicts. */
int kw_claims_explain(struct kw_claims_clouds *k, const struct kw_jwt *jwt, int64_t now,
                      struct kw_err *err);
void kw_claims_free(struct kw_claims_clouds *k);

/* "accepted", "refused" or "unknown": of both; *refusal is filled where it is refused. */
const char *kw_claims_verdict(const struct kw_claims_clouds *k, struct kw_err *refusal);

/* claims_print.c: for people. Unjudged: a provider is configured, but not what it would do. */
bool kw_claims_unjudged(const struct kw_claims_clouds *k);
void kw_claims_print(const struct kw_claims_clouds *k);
void kw_claims_print_value(const json_t *v); /* made safe for a terminal */

#endif
