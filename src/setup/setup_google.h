/* SPDX-License-Identifier: Apache-2.0
 *
 * Between the files of `setup google` and `revoke`: what is wanted at Google, and how its
 * administration is asked.
 *
 *   setup_google.c       options, the row of steps, keyward.ini
 *   setup_google_want.c  the provider: mapping, condition
 *   setup_google_keys.c  its keys, certificates
 *   setup_google_stranger.c  whom a condition lets in
 *   setup_google_pool.c  APIs and pool      setup_google_provider.c
 *   setup_google_account.c   setup_google_iam.c   grants
 *   setup_google_print.c what gcloud does the same by
 *   setup_google_call.c  requests, refusals, operations
 *   setup_google_revoke.c   setup_google_doctor.c
 */
#ifndef KW_SETUP_GOOGLE_H
#define KW_SETUP_GOOGLE_H

#include "setup.h"
#include "setup_preset.h"
#include "src/wire/google_name.h"

enum { KW_GOOGLE_GRANTS = 16 };

enum kw_google_seen { KW_GOOGLE_THERE, KW_GOOGLE_ABSENT, KW_GOOGLE_OFF /* the API is */ };

struct kw_google_grant {
    char role[200];
    char resource[300]; /* "project", "account", "bucket NAME" */
};

struct kw_google {
    char project[64]; /* id or number: what the URLs have */
    char number[24];  /* "": not known yet */
    char pool[33], provider[33];
    char account[256];    /* e-mail; "": direct access */
    char account_id[31];  /* "": of another project, only to be looked at */
    int64_t account_made; /* when, by this run (kw_now_ms()); 0: it was there */
    bool x509;
    bool pool_marked;   /* look: keyward made the pool (it may stay all the same) */
    char neighbour[64]; /* look: another provider in the pool whose tokens can be whom this set-up
                           grants to; "": none */
    struct kw_preset preset; /* with --destroy it may be blank: .member "" */
    json_t *provider_want;   /* as the API has it */
    json_t *audiences;       /* --audience */
    struct kw_google_grant grants[KW_GOOGLE_GRANTS];
    size_t n_grants;
    const struct kw_setup_step *pool_step, *provider_step, *account_step;
};

static inline struct kw_google *kw_google_of(const struct kw_setup *s)
{
    return s->own;
}

/* A member's text; "" where there is none. */
static inline const char *kw_google_text(const json_t *o, const char *name)
{
    const char *v = json_string_value(json_object_get(o, name));
    return v != NULL ? v : "";
}

/* --- setup_google_want.c -------------------------------------------------------------------- */

/* Fills preset and provider_want from options and profile, and checks mapping and condition as
 * Google would. KW_USAGE. */
int kw_google_want(struct kw_setup *s, struct kw_google *g, struct kw_err *err);
/* Is it said whom it is about: by --issuer, or by an option that goes with it? */
bool kw_google_said(const struct kw_setup *s);
/* setup_google_keys.c: what is to be uploaded, into oidc.jwksJson or x509. */
int kw_google_add_keys(struct kw_setup *s, const struct kw_google *g, json_t *oidc,
                       struct kw_err *err);
/* Of keys that Google has to fetch, and may not reach. */
void kw_google_warn_of_keys(struct kw_setup *s, const struct kw_google *g);
int kw_google_add_store(struct kw_setup *s, json_t *want, struct kw_err *err);
/* setup_google_stranger.c: could a token of somebody else's fulfil the condition? Also true where
 * that can't be told; false where it is no condition. */
bool kw_google_lets_strangers_in(const struct kw_preset *p);

/* --- the steps ------------------------------------------------------------------------------ */

int kw_google_add_apis(struct kw_setup *s, struct kw_err *err);
int kw_google_add_pool(struct kw_setup *s, struct kw_err *err);
int kw_google_add_provider(struct kw_setup *s, struct kw_err *err);
int kw_google_add_account(struct kw_setup *s, struct kw_err *err);
int kw_google_add_grants(struct kw_setup *s, struct kw_err *err); /* after the account */
/* https://iam.googleapis.com/v1/projects/P/serviceAccounts/E-MAIL, and more behind it. */
void kw_google_account_url(const struct kw_setup *s, const char *more, char *url, size_t size);
/* Is a member of an IAM policy the one that the grant is for? */
bool kw_google_meant(const struct kw_setup *s, const struct kw_google_grant *w, const char *m);
/* The IAM policy of a grant's resource ("account": its own), version 3; as kw_google_read(). */
int kw_google_policy(struct kw_setup *s, const struct kw_google_grant *w, enum kw_google_seen *seen,
                     json_t **ret, struct kw_err *err);
/* setup_google_doctor.c: kw_setup_cloud's examine(). */
int kw_google_examine(struct kw_setup *s, const json_t *claims, const struct kw_setup_ear *ear,
                      struct kw_err *err);
/* setup_google_revoke.c: the step of a revocation, and what to say after it. */
int kw_google_revoke(struct kw_setup *s, struct kw_err *err);
void kw_google_revoked(const struct kw_setup *s, struct kw_buf *b);

/* https://iam.googleapis.com/v1/projects/P/locations/global/workloadIdentityPools/POOL */
void kw_google_pool_url(const struct kw_setup *s, char *url, size_t size);
/* For pool and provider (step.arg 1): reads it into step.found; is it one that can be used as it
 * lies there? Else state and note are set. Then what is done to it. */
int kw_google_fetch(struct kw_setup *s, struct kw_setup_step *t, enum kw_google_seen *seen,
                    struct kw_err *err);
bool kw_google_usable(struct kw_setup_step *t, const json_t *o);
void kw_google_note(struct kw_setup_step *t, enum kw_setup_state state, const char *text);
int kw_google_undelete(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err);
int kw_google_delete(struct kw_setup *s, struct kw_setup_step *t, struct kw_err *err);

/* The resource's host and what is behind it. */
void kw_google_url(const struct kw_setup *s, char *url, size_t size, const char *service,
                   const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* "principalSet://iam.googleapis.com/projects/N/locations/global/workloadIdentityPools/P/..." of
 * what is let in; with $NUMBER where that is not known. */
void kw_google_member(const struct kw_setup *s, char *member, size_t size);

/* Whom a grant is for: the account, where there is one and it is not its own policy. */
void kw_google_grantee(const struct kw_setup *s, const struct kw_google_grant *w, char *member,
                       size_t size);
const struct kw_google_grant *kw_google_grant_of(const struct kw_setup *s,
                                                 const struct kw_setup_step *t);
bool kw_google_on_account(const struct kw_google_grant *w);
/* The bucket's name, or NULL: it is on something else. */
const char *kw_google_bucket(const struct kw_google_grant *w);

/* --- setup_google_print.c: the steps' command(), and what comes before them ----------------- */

void kw_google_command_begin(const struct kw_setup *s, struct kw_buf *b);
void kw_google_command_end(const struct kw_setup *s, struct kw_buf *b);
void kw_google_command_api(const struct kw_setup *s, const struct kw_setup_step *t, bool undo,
                           struct kw_buf *b);
void kw_google_command_pool(const struct kw_setup *s, const struct kw_setup_step *t, bool undo,
                            struct kw_buf *b);
void kw_google_command_provider(const struct kw_setup *s, const struct kw_setup_step *t, bool undo,
                                struct kw_buf *b);
void kw_google_command_account(const struct kw_setup *s, const struct kw_setup_step *t, bool undo,
                               struct kw_buf *b);
void kw_google_command_grant(const struct kw_setup *s, const struct kw_setup_step *t, bool undo,
                             struct kw_buf *b);

/* --- setup_google_call.c -------------------------------------------------------------------- */

/* Reads something. *ret is new, NULL unless THERE. KW_CLOUD with Google's words and a cure. */
int kw_google_read(struct kw_setup *s, const char *method, const char *url, const json_t *body,
                   enum kw_google_seen *seen, json_t **ret, struct kw_err *err);

/* Changes something; *ret (may be NULL) is new. KW_NET too for what the state that we saw did
 * not let us expect (409, 412, "does not exist" yet): look again. */
int kw_google_write(struct kw_setup *s, const char *method, const char *url, const json_t *body,
                    json_t **ret, struct kw_err *err);

/* kw_google_write(), and follows the operation that begins to its end. service: "iam". */
int kw_google_operate(struct kw_setup *s, const char *service, const char *method, const char *url,
                      const json_t *body, const char *what, struct kw_err *err);

#endif
