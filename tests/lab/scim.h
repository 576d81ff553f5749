/* SPDX-License-Identifier: Apache-2.0
 *
 * The identity domain's administration as the lab plays it (SCIM below /admin/v1): what a
 * set-up makes there is what the token endpoint then judges by.
 *
 *   scim.c         requests, rights, errors     scim_kinds.c   what each kind demands
 *   scim_filter.c  filters and projections      scim_patch.c   PatchOp
 *   scim_store.c   making, changing, finding    scim_apps.c    apps, their secrets, grants
 *   scim_trust.c   IdentityPropagationTrusts, judged
 */
#ifndef KW_LAB_SCIM_H
#define KW_LAB_SCIM_H

#include <jansson.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdbool.h>

struct lab;
struct lab_request;
struct lab_response;

enum lab_scim_kind {
    LAB_APPS,
    LAB_APP_ROLES, /* there from the start, read-only */
    LAB_APP_GRANTS,
    LAB_USERS,
    LAB_GROUPS,
    LAB_PROPAGATION_TRUSTS,
    LAB_CERTIFICATES,
    LAB_SCIM_KINDS
};

struct lab_scim {
    pthread_mutex_t lock; /* around every request below /admin/v1 and every judgement */
    json_t *all[LAB_SCIM_KINDS];
    json_t *policies; /* IAM's, of the tenancy: ocipolicy.c */
};

/* What is refused: status, messageId and the words. */
struct lab_scim_why {
    int status;
    const char *id;
    char detail[384];
};
/* Fills *w and returns false, so that a check can end with it. */
bool lab_scim_no(struct lab_scim_why *w, int status, const char *id, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#define LAB_SCIM_URN  "urn:ietf:params:scim:schemas:oracle:idcs:"
#define LAB_SCIM_CORE "urn:ietf:params:scim:schemas:core:2.0:"
#define LAB_SCIM_USER LAB_SCIM_URN "extension:user:User"
#define LAB_SCIM_API  "urn:ietf:params:scim:api:messages:2.0:"
#define LAB_ADMIN_APP "IDCSAppId"
#define LAB_ADMIN     "Identity Domain Administrator"

struct lab_scim_rules {
    const char *path, *type, *schema, *ocid;
    const char *required[6], *unique, *immutable[5];
    const char *hidden[4]; /* returned: request */
    bool exact;            /* unique minds the letters' case */
    /* Further rules; old is NULL for what is new. May fill in what the server makes. */
    bool (*check)(struct lab *l, json_t *new, const json_t *old, struct lab_scim_why *w);
    bool (*removable)(struct lab *l, const json_t *old, struct lab_scim_why *w);
};
extern const struct lab_scim_rules lab_scim_rules[LAB_SCIM_KINDS];

/* scim_store.c; the lock is held. *at may be NULL. The id may be the OCID. */
void lab_scim_born(struct lab *l); /* as at the start */
void lab_scim_free(struct lab *l);
json_t *lab_scim_find(struct lab *l, enum lab_scim_kind k, const char *id,
                      size_t *at); /* borrowed */
json_t *lab_scim_by(struct lab *l, enum lab_scim_kind k, const char *name, const char *value,
                    bool exact);
bool lab_scim_create(struct lab *l, enum lab_scim_kind k, json_t *new, struct lab_scim_why *w);
/* Puts `new` in old's place if the rules allow it. Both stay the caller's. */
bool lab_scim_change(struct lab *l, enum lab_scim_kind k, const json_t *old, json_t *new,
                     struct lab_scim_why *w);
bool lab_scim_remove(struct lab *l, enum lab_scim_kind k, const char *id, struct lab_scim_why *w);
const char *lab_text(const json_t *o, const char *name); /* "" where there is none */

/* scim_filter.c: does it match? False with *bad for a filter that is none of ours. */
bool lab_scim_matches(const char *filter, const json_t *o, const char *exact, bool *bad);
/* A new object of what is to be shown: attributes is NULL or a list with commas. */
json_t *lab_scim_shown(const struct lab_scim_rules *k, json_t *o, const char *attributes, bool all);

/* scim_patch.c: applies the PatchOp to `o`. */
bool lab_scim_patch(json_t *o, const json_t *patch, struct lab_scim_why *w);

/* scim.c. begin: the right, the body and its first schema, and the path's id (NULL: none);
 * NULL: the answer is made. */
void lab_scim_error(struct lab_request *r, struct lab_response *a, const struct lab_scim_why *w);
json_t *lab_scim_begin(struct lab *l, struct lab_request *r, struct lab_response *a,
                       const char *right, const char *schema, char *id, size_t size);

/* scim_apps.c */
bool lab_app_check(struct lab *l, json_t *new, const json_t *old, struct lab_scim_why *w);
bool lab_app_removable(struct lab *l, const json_t *old, struct lab_scim_why *w);
bool lab_app_grant_check(struct lab *l, json_t *new, const json_t *old, struct lab_scim_why *w);
bool lab_certificate_check(struct lab *l, json_t *new, const json_t *old, struct lab_scim_why *w);
void lab_app_status(struct lab *l, struct lab_request *r, struct lab_response *a);
void lab_app_secret(struct lab *l, struct lab_request *r, struct lab_response *a);
/* The active confidential app of that client id that may have tokens (borrowed), or NULL;
 * and is it an administrator's? */
json_t *lab_app_client(struct lab *l, const char *client_id);
bool lab_app_is_admin(struct lab *l, const json_t *app);
EVP_PKEY *lab_certificate_key(const json_t *o); /* of an OAuthClientCertificate; owned */

/* scim_trust.c */
bool lab_trust_check(struct lab *l, json_t *new, const json_t *old, struct lab_scim_why *w);

#endif
