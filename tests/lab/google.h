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

#include "src/claims/google_map.h"
#include "src/wire/jwt.h"

#define LAB_G_NUMBER        "123456789012"
#define LAB_G_PROJECT       "lab-project"
#define LAB_G_POOL          "projects/" LAB_G_NUMBER "/locations/global/workloadIdentityPools/lab-pool"
#define LAB_G_PROVIDER      LAB_G_POOL "/providers/lab-ci"
#define LAB_G_ACCOUNT(name) name "@" LAB_G_PROJECT ".iam.gserviceaccount.com"

enum { LAB_GRANTS = 256 };

enum lab_bearer { LAB_FEDERATED, LAB_OF_ACCOUNT, LAB_OF_ADMIN };

struct lab_grant { /* an access token that the lab has given */
    char token[96];
    enum lab_bearer kind;
    char who[512];   /* principal://... or the account's e-mail */
    char sets[2048]; /* the principalSet://... that it is in, a line each */
    char scope[512];
    int64_t until;
};

struct lab_google {
    pthread_mutex_t lock;
    struct lab_grant grant[LAB_GRANTS]; /* a ring */
    size_t n;
};

struct lab_keys;
struct lab_provider {
    char issuer[512]; /* whose tokens it believes */
    struct kw_google_map map;
    struct lab_keys *jwks; /* uploaded, or NULL */
    bool x509;             /* it believes certificates */
    json_t *store;         /* its trust store; NULL: --google-anchor */
};
struct lab_mapped { /* who a subject token is at Google */
    char who[512], sets[2048];
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

/* google_pool.c: the provider of that resource name: one that was made; else lab-ci for the
 * lab's own issuer, lab-hsm for the first --trust, lab-x509, or lab-SHAPE. p is then to be
 * freed. */
bool lab_provider_find(struct lab *l, const char *name, struct lab_provider *p);
void lab_provider_free(struct lab_provider *p);
/* The provider in a file, as gcloud prints it. KW_USAGE, or KW_FAILED without memory. */
int lab_provider_read(const char *path, struct kw_google_map *map, struct kw_err *err);
/* What it makes of a credential that is authentic and in time: NULL, and who it is; or the
 * token service's description of the *error. */
const char *lab_provider_judge(const struct lab_provider *p, const json_t *header,
                               const json_t *claims, int64_t now, const char **error,
                               struct lab_mapped *m);

/* google.rpc.Status as Google's APIs write it; reason may be NULL. */
void lab_google_error(struct lab_request *r, struct lab_response *a, int code, const char *status,
                      const char *reason, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));

#endif
