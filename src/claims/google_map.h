/* SPDX-License-Identifier: Apache-2.0
 *
 * What a provider of a Google workload identity pool would make of a token: attribute
 * mapping, attribute condition, the checks on the token itself, and the principals that
 * come of it. Decided locally, before the token is sent anywhere, with Google's documented
 * limits; nothing is guessed: what can't be judged is "unknown".
 */
#ifndef KW_GOOGLE_MAP_H
#define KW_GOOGLE_MAP_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "src/base/err.h"

enum {
    KW_GOOGLE_SUBJECT = 127,     /* bytes of google.subject */
    KW_GOOGLE_KEY = 100,         /* characters of a custom attribute's name */
    KW_GOOGLE_MAPPED = 8192,     /* bytes of all mapped values */
    KW_GOOGLE_EXPRESSION = 2048, /* characters of one mapping */
    KW_GOOGLE_CONDITION = 4096,  /* characters */
    KW_GOOGLE_CUSTOM = 50,       /* custom attributes */
    KW_GOOGLE_NAME = 512
};

struct kw_google_map {
    /* projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/ID, or "" */
    char name[KW_GOOGLE_NAME];
    char issuer[512];  /* "": not known */
    json_t *mapping;   /* object, KEY: EXPRESSION; owned, as the others */
    json_t *condition; /* a string, or NULL: none */
    json_t *audiences; /* array of strings */
    json_t *members;   /* array of strings: members of IAM policies to hold against it */
    bool disabled;     /* or deleted */
};

/* KW_FAILED without memory. */
int kw_google_map_init(struct kw_google_map *p, struct kw_err *err);
void kw_google_map_free(struct kw_google_map *p);

/* Takes what kw_google_provider() does (google_name.h). */
int kw_google_map_name(struct kw_google_map *p, const char *name, struct kw_err *err);
/* Adds KEY=EXPRESSION. KW_USAGE for a key that Google doesn't take or that is there. */
int kw_google_map_add(struct kw_google_map *p, const char *text, struct kw_err *err);
/* Reads what `gcloud iam workload-identity-pools providers describe --format=json` prints;
 * `what` names it in errors. */
int kw_google_map_read(struct kw_google_map *p, const char *text, size_t n, const char *what,
                       struct kw_err *err);

/* Would Google take the provider: sizes, keys, and do the expressions parse? KW_USAGE with
 * the position (characters, from 1) where one doesn't. */
int kw_google_map_check(const struct kw_google_map *p, struct kw_err *err);

/* The verdict on a token, as one object (verdicts: "pass", "refuse", "unknown"; "skip" for
 * what can't be checked because it wasn't given):
 *   provider          string
 *   checks            [{name, verdict, text}]: provider, issuer, audience, subject,
 *                     lifetime, issued, expiry, alg, kid
 *   mapping           [{key, expression, verdict, value?, bytes?, text}]
 *   condition         null or {expression, verdict, text,
 *                     terms: [{expression, verdict, position, text, values: [{path, value?}]}]}
 *   principal         string or null;  principal_sets: [string]
 *   members           [{member, matches: true | false | null, text}]
 *   warnings          [string]
 *   verdict           "accepted", "refused" or "unknown";  text: the first reason, or ""
 * header: the token's, an empty object where there is only claims. NULL: no memory.
 * kw_google_map_check() must have passed. */
json_t *kw_google_map_explain(const struct kw_google_map *p, const json_t *header,
                              const json_t *claims, int64_t now);

#endif
