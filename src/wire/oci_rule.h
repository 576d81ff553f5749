/* SPDX-License-Identifier: Apache-2.0
 *
 * Impersonation rules of an OCI trust, as far as the vendor documents them: CLAIM eq VALUE
 * (where * in the value stands for any text) or CLAIM co VALUE (contains; no wildcard).
 * Only string claims are looked at, and the first rule that matches wins.
 */
#ifndef KW_OCI_RULE_H
#define KW_OCI_RULE_H

#include <jansson.h>
#include <stdbool.h>

#include "src/base/err.h"

struct kw_oci_rule {
    char claim[128];
    char value[1024];
    bool contains; /* co */
    bool quoted;   /* the value stood in quotes, with which live domains were seen never to match */
};

enum kw_oci_match { KW_OCI_NO, KW_OCI_YES, KW_OCI_UNSURE };

/* KW_USAGE with what is wrong. */
int kw_oci_rule_parse(const char *text, struct kw_oci_rule *rule, struct kw_err *err);

/* why: one line, may hold foreign bytes. */
enum kw_oci_match kw_oci_rule_match(const struct kw_oci_rule *rule, const json_t *claims, char *why,
                                    size_t size);

/* rules: an array of strings, in the trust's order. Returns
 *   {"rules":[{"rule":..,"verdict":"match"|"no"|"unknown"|"not reached","text":..}],
 *    "matched":N|null, "verdict":"accepted"|"refused"|"unknown", "warnings":[..]}
 * or NULL with *err (KW_USAGE: a rule can't be read). matched counts from 1. */
json_t *kw_oci_rules_explain(const json_t *rules, const json_t *claims, struct kw_err *err);

#endif
