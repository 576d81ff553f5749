/* SPDX-License-Identifier: Apache-2.0
 *
 * What an identity domain's resources (SCIM, RFC 7643 and 7644) and IAM's policies are asked
 * and said, without asking: filters, differences, PatchOps, refusals in words. Pure.
 */
#ifndef KW_SCIM_H
#define KW_SCIM_H

#include <jansson.h>
#include <stdbool.h>

#include "src/base/err.h"

#define KW_SCIM_URN  "urn:ietf:params:scim:schemas:oracle:idcs:"
#define KW_SCIM_CORE "urn:ietf:params:scim:schemas:core:2.0:"
#define KW_SCIM_USER KW_SCIM_URN "extension:user:User"

/* The key of the tag that everything keyward makes has; its value is the set-up's name. */
#define KW_SCIM_TAG "keyward"

/* Is what is there as it is wanted? An object: all members that are wanted are so. An array
 * of texts: the same ones, each as often, in whatever order. Of objects: as many, each as wanted,
 * in that order. null: nothing, or nothing in it. */
bool kw_scim_same(const json_t *have, json_t *want);

/* The Operations that make `have` what is wanted, attribute by attribute; an empty array where
 * it is. Not compared: schemas, tags, and what fixed[] (ended by NULL) names. A new array. */
json_t *kw_scim_changes(const json_t *have, json_t *want, const char *const *fixed);

/* A PatchOp of these Operations, which it takes. */
json_t *kw_scim_patch(json_t *operations);

/* What a new resource is made of: `want` without what is wanted to be absent. A new object. */
json_t *kw_scim_new(json_t *want);

/* Whose it is: by its tags (SCIM) or freeformTags (IAM). "": of no set-up; else the name of the
 * one that it belongs to, which `o` owns. Just that name is ours; another is somebody else's. */
const char *kw_scim_mark(const json_t *o);
json_t *kw_scim_tags(const char *name); /* for a new resource */
/* For one that is adopted or, in IAM, changed: others' tags stay. */
json_t *kw_scim_tags_with(const json_t *have, const char *name);
json_t *kw_scim_freeform_with(const json_t *have, const char *name);

/* Is it an id, as it goes into a path, a filter and a file? Letters, digits, '.', '_' and '-',
 * the first one of the former two: no answer leads a signed request elsewhere. */
enum { KW_SCIM_ID = 255 };
bool kw_scim_is_id(const char *text);

/* "KIND?filter=ATTRIBUTE eq "VALUE"&attributes=..." percent-encoded after `base`; values may
 * hold what they like. NULL where there is no memory; freed by the caller. */
char *kw_scim_query(const char *base, const char *kind, const char *attribute, const char *value,
                    const char *attributes);

/* The one resource of a ListResponse (or of IAM's array), borrowed; NULL with 0 where there
 * is none. KW_CLOUD where the answer is none, or has several: `what` names them. */
int kw_scim_one(const json_t *answer, const char *what, json_t **ret, struct kw_err *err);

/* Is it a ListResponse with all that there are in it? KW_CLOUD where it isn't: a page of them says
 * nothing of what is on the others. */
int kw_scim_whole(const json_t *answer, const char *what, struct kw_err *err);

/* An answer of 4xx or 5xx: what was tried (`what`), what the cloud says, the cure where there
 * is one. 429 and 5xx are KW_NET, the rest KW_CLOUD. body may be NULL. */
int kw_scim_refused(unsigned status, const json_t *body, const char *id, const char *what,
                    struct kw_err *err);

#endif
