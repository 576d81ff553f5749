/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of src/claims/google_map*.c. */
#ifndef KW_GOOGLE_MAP_INT_H
#define KW_GOOGLE_MAP_INT_H

#include "google_map.h"
#include "src/cel/cel.h"

#define GOOGLE_HOST "//iam.googleapis.com/"

/* What mapping and condition come to for one set of claims. */
struct google_mapped {
    json_t *google, *attribute; /* the values, as a condition sees them */
    json_t *unknown;            /* for kw_cel_env */
    json_t *rows, *condition;   /* parts of the report */
    uint64_t work;              /* steps that are left for all expressions together */
    bool refused, unsure;
    char text[KW_ERR_TEXT]; /* the first reason */
};

extern const char *const google_map_names[], *const google_condition_names[];

/* google_map_eval.c. false: no memory. */
bool google_eval(const struct kw_google_map *p, json_t *claims, struct google_mapped *m);
void google_mapped_free(struct google_mapped *m);
void google_note(struct google_mapped *m, bool refused, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* google_map_check.c: fills an array of {name, verdict, text}; the first refusal's text goes
 * to m as well. */
void google_checks(const struct kw_google_map *p, const json_t *header, const json_t *claims,
                   int64_t now, json_t *checks, struct google_mapped *m);

/* google_map_member.c */
json_t *google_principal(const struct kw_google_map *p, const struct google_mapped *m);
json_t *google_principal_sets(const struct kw_google_map *p, const struct google_mapped *m);
json_t *google_members(const struct kw_google_map *p, const struct google_mapped *m);

#endif
