/* SPDX-License-Identifier: Apache-2.0
 *
 * Google as the lab plays it: the token service (google_sts.c), IAM Credentials
 * (google_iam.c), two resource APIs that check bearers (google_api.c), and the tokens that
 * tie them together (google.c).
 */
#ifndef KW_LAB_GOOGLE_H
#define KW_LAB_GOOGLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "src/google_map.h"
#include "src/jwt.h"

#define LAB_G_NUMBER        "123456789012"
#define LAB_G_PROJECT       "lab-project"
#define LAB_G_POOL          "projects/" LAB_G_NUMBER "/locations/global/workloadIdentityPools/lab-pool"
#define LAB_G_PROVIDER      LAB_G_POOL "/providers/lab-ci"
#define LAB_G_ACCOUNT(name) name "@" LAB_G_PROJECT ".iam.gserviceaccount.com"

enum { LAB_GRANTS = 256 };

enum lab_bearer { LAB_FEDERATED, LAB_OF_ACCOUNT };

struct lab_grant { /* an access token that the lab has given */
    char token[96];
    enum lab_bearer kind;
    char who[512]; /* principal://... or the account's e-mail */
    char scope[512];
    int64_t until;
    bool granted; /* may impersonate: the binding is there */
};

struct lab_google {
    pthread_mutex_t lock;
    struct lab_grant grant[LAB_GRANTS]; /* a ring */
    size_t n;
};

struct lab_provider {
    char issuer[512]; /* whose tokens it believes */
    struct kw_google_map map;
};

struct lab;
struct lab_request;
struct lab_response;

/* A new token for *g, whose rest is filled in; token receives its text. */
void lab_grant_add(struct lab *l, struct lab_grant *g);
/* The grant of a bearer that is still good. */
bool lab_grant_find(struct lab *l, const char *token, struct lab_grant *ret);
/* The grant of the request's Authorization; false: the answer is made. */
bool lab_google_bearer(struct lab *l, struct lab_request *r, struct lab_response *a,
                       struct lab_grant *ret);

/* google_pool.c: the provider of that resource name: lab-ci for the lab's own issuer, lab-hsm
 * for the first --trust, else lab-SHAPE. p->map is then to be freed. */
bool lab_provider_find(struct lab *l, const char *name, struct lab_provider *p);
/* The provider in a file, as gcloud prints it. KW_USAGE, or KW_FAILED without memory. */
int lab_provider_read(const char *path, struct kw_google_map *map, struct kw_err *err);
/* What it makes of a token that is authentic and in time: NULL, and the mapped subject; or
 * the token service's description of the *error. */
const char *lab_provider_judge(const struct lab_provider *p, const struct kw_jwt *j, int64_t now,
                               const char **error, char *subject, size_t size);

/* google.rpc.Status as Google's APIs write it; reason may be NULL. */
void lab_google_error(struct lab_request *r, struct lab_response *a, int code, const char *status,
                      const char *reason, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));

#endif
