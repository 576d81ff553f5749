/* SPDX-License-Identifier: Apache-2.0
 *
 * Google's administration as the lab plays it: what a set-up makes there is what the token
 * service, IAM Credentials and the APIs then judge by.
 *
 *   gadmin.c           rights, operations, state     gadmin_services.c  Service Usage, projects
 *   gadmin_pools.c     pools and providers           gadmin_provider.c  what a provider must be
 *   gadmin_accounts.c  service accounts              gadmin_policy.c    IAM policies
 *
 * All of it is under one lock, taken by each request. Members that begin with an underscore
 * are the lab's own and never shown.
 */
#ifndef KW_LAB_GADMIN_H
#define KW_LAB_GADMIN_H

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http.h"
#include "src/base/err.h"
#include "src/claims/google_map.h"

struct lab;
struct lab_grant;

#define LAB_G_ADMIN    "user:admin@lab.test"
#define LAB_G_PARENT   "projects/" LAB_G_NUMBER "/locations/global/workloadIdentityPools"
#define LAB_G_BUCKET   "buckets/lab-bucket"
#define LAB_G_RPROJECT "projects/" LAB_G_PROJECT

struct lab_gadmin {
    pthread_mutex_t lock;
    char token[96]; /* the administrator's bearer */
    json_t *pools;  /* of pools and of providers: name -> resource */
    json_t *providers;
    json_t *accounts;   /* e-mail -> resource */
    json_t *policies;   /* resource -> {policy, etag, before, at} */
    json_t *services;   /* name -> from when on it is enabled */
    json_t *operations; /* name -> {left, operation} */
};

void lab_gadmin_init(struct lab *l);
void lab_gadmin_born(struct lab *l); /* as at the start */
void lab_gadmin_free(struct lab *l);

/* Is the caller an administrator with that permission, of the lab's project (parameter 0,
 * `-` for any), and is the API on (NULL: always)? False: the answer is made. */
bool lab_gadmin_may(struct lab *l, struct lab_request *r, struct lab_response *a,
                    const char *permission, const char *api);
/* The first half of it, for what is in no project of the path; there: is the resource? */
bool lab_gadmin_has(struct lab *l, struct lab_request *r, struct lab_response *a,
                    const char *permission, bool there);
/* The body, an object; NULL: the answer is made. Parameter i, decoded ("" if it can't be). */
json_t *lab_gadmin_body(struct lab_request *r, struct lab_response *a);
void lab_gadmin_param(const struct lab_request *r, size_t i, char *out, size_t size);
/* A page of what is in `all`, by pageSize and pageToken. Steals it. */
void lab_gadmin_page(struct lab_request *r, struct lab_response *a, const char *member, json_t *all,
                     size_t usual, size_t most);
json_t *lab_gadmin_shown(json_t *o); /* new, without what is the lab's own */
/* Answers with an operation below `parent`, whose response will be a copy of `result`. */
void lab_gadmin_operation(struct lab *l, struct lab_request *r, struct lab_response *a,
                          const char *parent, json_t *result);
void lab_gadmin_poll(struct lab *l, struct lab_request *r, struct lab_response *a);
void lab_gadmin_status(struct lab *l, struct lab_response *a, int status);
/* From when on counts what is made now. */
int64_t lab_gadmin_spread(struct lab *l);

/* gadmin_services.c */
bool lab_api_enabled(struct lab *l, const char *api);
bool lab_api_guard(struct lab *l, struct lab_request *r, struct lab_response *a, const char *api);

/* gadmin_provider.c: its mapping (map is initialised); NULL, or what Google says of it. Fills in
 * defaults. */
int lab_gprovider_map(const json_t *provider, struct kw_google_map *map, struct kw_err *err);
const char *lab_gprovider_check(struct lab *l, json_t *provider, char *text, size_t size);

/* gadmin_pools.c: a copy of the provider if it (and its pool) counts; does the pool? */
json_t *lab_gprovider_made(struct lab *l, const char *name);
bool lab_gpool_alive(struct lab *l, const char *principal);

/* gadmin_policy.c. granted: has the principal (or one of its sets, a line each) one of
 * these roles (ended by NULL) on the resource? */
bool lab_granted(struct lab *l, const char *resource, const char *who, const char *sets,
                 const char *const *roles);
void lab_policy_grant(struct lab *l, const char *resource, const char *role, const char *member);
void lab_gpolicy_get(struct lab *l, struct lab_request *r, struct lab_response *a,
                     const char *resource, long version);
/* steals the policy; conflict: the status of a stale etag */
void lab_gpolicy_set(struct lab *l, struct lab_request *r, struct lab_response *a,
                     const char *resource, json_t *policy, int conflict);
void lab_gpolicy_drop(struct lab *l, const char *resource);

/* gadmin_accounts.c: is it there for others than the administrator? The id or e-mail; the
 * e-mail and id are written. */
bool lab_gaccount_find(struct lab *l, const char *name, char *email, char *id, size_t size);
/* May the principal (or one of its sets) be that account? */
bool lab_gaccount_granted(struct lab *l, const char *email, const char *who, const char *sets);

#endif
