/* SPDX-License-Identifier: Apache-2.0
 *
 * keyward-lab on one page: what it plays, its state, one file per service.
 *
 *   main.c     start, files, end               options.c  the command line
 *   ca.c       CA and certificates             server.c   listeners, connections
 *   http.c     request parser                  wire.c     reading, sending, wire faults
 *   routes.c   host -> service -> route        faults.c   what is to go wrong
 *   jose.c     RSA keys, JWK, JWS              journal.c  GET /lab/log
 *   issuer.c   GitHub-like OIDC issuer         idcs.c     OCI identity domain: tokens
 *   trust.c    subject token, rules            client.c   client authentication
 *   scim*.c    the domain's administration     ocipolicy.c  IAM policies
 *   ocisig.c   OCI request signatures          ocisvc.c   what OCI services share
 *   objects.c  Object Storage                  uploads.c  its multipart uploads
 *   cloud.c    compartments, VCNs
 *   shapes.c   tokens as other CI systems issue them, metadata services
 *   google.c   bearers of Google               google_sts.c   its token service
 *   google_pool.c   its providers
 *   gadmin*.c  Google's administration
 *   google_iam.c   IAM Credentials             google_api.c   compute and storage
 *   control.c  /lab/...                        files.c    what it writes into DIR
 *   state.c    keys, options loaded, clock
 *
 * A further cloud is a further file with a route table, and a line in routes.c.
 */
#ifndef KW_LAB_H
#define KW_LAB_H

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "faults.h"
#include "gadmin.h"
#include "google.h"
#include "http.h"
#include "scim.h"
#include "src/base/err.h"
#include "src/wire/jwt.h"

enum {
    LAB_RULES = 8,
    LAB_AUDIENCES = 8,
    LAB_KEYS = 8,
    LAB_SHAPES = 9,
    LAB_TRUSTS = LAB_KEYS + 1 + LAB_SHAPES,
    LAB_SITES = 24,
    LAB_FAULT_ARGS = 16
};

/* options.c: what the command line says; strings point into argv or at literals. */
struct lab_named_file {
    char name[512];
    const char *path;
};
struct lab_options {
    const char *dir, *ready_file, *region, *issuer, *domain_host, *tenancy, *client_id, *res_type;
    const char *universe;        /* domain of Google's services */
    const char *google_anchor;   /* PEM of X.509 federation's trust anchor */
    const char *google_provider; /* JSON of provider lab-ci, NULL: its default */
    unsigned port;
    int ready_fd; /* -1: none */
    const char *audience[LAB_AUDIENCES];
    const char *rule[LAB_RULES];
    const char *fault[LAB_FAULT_ARGS];
    struct lab_named_file api_key[LAB_KEYS], assertion_key[LAB_KEYS], trust[LAB_KEYS];
    size_t n_audience, n_rule, n_fault, n_api_key, n_assertion_key, n_trust;
    unsigned subject_life, session_life, trust_skew, max_conns;
    uint64_t max_body;
    json_t *claims; /* owned: overrides of the issuer's claims */
    bool bare;      /* nothing is set up */
    bool die_with_parent, verbose, help, man;
};

/* jose.c: a public key under a name (kid, keyId, certificate alias). */
struct lab_key {
    char id[512];
    EVP_PKEY *pkey;
};
struct lab_keys {
    struct lab_key key[LAB_KEYS];
    size_t n;
};

/* trust.c */
struct lab_rule { /* <claim> eq|co <value> => <user> */
    char claim[64], value[512], user[64];
    bool contains;
};
struct lab_trust { /* one IdentityPropagationTrust */
    char issuer[512];
    struct lab_keys jwks;
};
struct lab_user {
    const char *name, *ocid;
    bool service_user;
};
struct lab_subject { /* who a subject token is at OCI */
    char name[256], ocid[160], res_type[128];
    bool service_user, active;
};
struct lab_client { /* who asks the token endpoint */
    char id[256];   /* OAuth client, "" where a signature tells */
    bool made;      /* in the domain, as an app */
};

/* objects.c, uploads.c */
struct lab_object {
    char *name, *type;
    unsigned number; /* of a part of an upload */
    void *p;
    size_t n;
    char etag[40], md5[32]; /* of several parts: "...-COUNT" */
    int64_t created;
    struct lab_object *next;
};
struct lab_upload {
    char id[40], *name, *type;
    int64_t created;
    struct lab_object *part; /* sorted by number */
    struct lab_upload *next;
};
struct lab_store {
    pthread_mutex_t lock;
    struct lab_object *first; /* sorted by name */
    struct lab_upload *upload;
    size_t n, bytes, uploads; /* objects and parts; both are bounded, and uploads */
};

/* journal.c */
struct lab_journal {
    pthread_mutex_t lock;
    json_t *entries;
    uint64_t seen;
};

struct lab_site { /* one host name that the lab plays */
    char host[256];
    const char
        *under; /* and the beginning of the path, NULL for any: given before the host alone */
    const struct lab_service *service;
};

/* The listeners: the good one first. */
enum lab_door {
    LAB_DOOR_GOOD,
    LAB_DOOR_TLS11,
    LAB_DOOR_EXPIRED,
    LAB_DOOR_WRONG_HOST,
    LAB_DOOR_UNKNOWN_CA,
    LAB_DOOR_PLAIN, /* no TLS: metadata services */
    LAB_DOORS
};

struct lab {
    struct lab_options opt;
    EVP_PKEY *issuer_key, *session_key, *stranger_key;
    char issuer_kid[64], session_kid[64];
    char client_secret[65], request_token[65], control_token[65];
    char ns[64], bucket[64];
    struct lab_keys api_keys, assertion_keys;
    struct lab_trust trust[LAB_TRUSTS];
    size_t n_trust;
    struct lab_rule rule[LAB_RULES];
    size_t n_rule;
    char domain_url[300];
    struct lab_site site[LAB_SITES];
    size_t n_site;

    pthread_mutex_t claims_lock;
    json_t *claims; /* overrides now in force */
    atomic_uint issued;
    struct lab_fault_table faults;
    struct lab_journal journal;
    struct lab_store store;
    struct lab_google google;
    struct lab_gadmin gadmin;
    struct lab_scim scim;

    SSL_CTX *ctx[LAB_DOORS];
    int listener[LAB_DOORS];
    unsigned port[LAB_DOORS];
};

int64_t lab_now(struct lab *l);                 /* the lab's clock, seconds */
void lab_random_hex(char *out, size_t n_bytes); /* 2n+1 bytes */
bool lab_same(const char *a, const char *b);    /* equal, in constant time per length */
void lab_verdict(struct lab_request *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* state.c: init cannot fail; born makes the lab's own keys and secrets; load reads what
 * the options name. */
void lab_state_init(struct lab *l);
int lab_state_born(struct lab *l, struct kw_err *err);
int lab_state_load(struct lab *l, struct kw_err *err);
void lab_state_free(struct lab *l);

/* files.c: lab.env, keyward.ini, control.curl and the secrets' files. */
int lab_files_write(const struct lab *l, struct kw_err *err);

/* options.c */
int lab_options_parse(int argc, char **argv, struct lab_options *o, struct kw_err *err);
struct lab_option {
    const char *name, *argument, *help;
    int id;
};
extern const struct lab_option lab_option_table[]; /* ended by a NULL name */

/* help.c: on standard output. */
void lab_help(void);
void lab_man(void);

/* ca.c: makes or reuses DIR/ca.pem and DIR/ca.key; the leaves live in memory. */
int lab_tls_setup(struct lab *l, struct kw_err *err);

/* server.c: opens the listeners; serves until SIGTERM or SIGINT. */
int lab_server_open(struct lab *l, struct kw_err *err);
int lab_server_run(struct lab *l, struct kw_err *err);

/* jose.c */
EVP_PKEY *lab_rsa_new(void);
json_t *lab_jwk(EVP_PKEY *key, const char *kid); /* public RSA JWK */
EVP_PKEY *lab_jwk_read(const json_t *jwk);       /* NULL if no good RSA key of >= 2048 bits */
char *lab_jwt_sign(EVP_PKEY *key, const char *kid, const json_t *claims); /* malloc'ed */
bool lab_rs256_good(EVP_PKEY *key, const void *p, size_t n, const void *sig, size_t sig_n);
/* Is the token's own signature good under key? (alg must be RS256) */
bool lab_jwt_good(const char *token, const struct kw_jwt *j, EVP_PKEY *key);
EVP_PKEY *lab_key_find(const struct lab_keys *k, const char *id);
int lab_key_load(struct lab_keys *k, const char *id, const char *pem_path, struct kw_err *err);
int lab_jwks_load(struct lab_keys *k, const char *path, struct kw_err *err);
int lab_jwks_take(struct lab_keys *k, const json_t *set, const char *what, struct kw_err *err);
void lab_keys_free(struct lab_keys *k);

/* trust.c: is the subject token to be believed, and who is it at OCI? NULL and the
 * subject, or the error's description with *code its name and *status. client: the OAuth
 * client's id, "" for none. read: a rule without user; false if it is none. */
bool lab_rule_read(const char *text, size_t n, struct lab_rule *rule);
int lab_rule_parse(const char *text, struct lab_rule *rule, struct kw_err *err);
bool lab_rule_match(const struct lab_rule *rule, const struct kw_jwt *j);
const char *lab_trust_times(struct lab *l, const struct kw_jwt *j, int64_t skew);
const char *lab_trust_judge(struct lab *l, const char *client, const char *token, struct kw_jwt *j,
                            struct lab_subject *s, int *status, const char **code);

/* scim_trust.c: the same by a trust that was made in the domain (a copy, NULL for none). */
json_t *lab_trust_made(struct lab *l, const char *issuer);
const char *lab_trust_made_judge(struct lab *l, const json_t *t, const char *client,
                                 const char *token, const struct kw_jwt *j);
const char *lab_trust_made_user(struct lab *l, const json_t *t, const struct kw_jwt *j,
                                struct lab_subject *s);

/* shapes.c: subject tokens of other systems than GitHub. */
struct lab_shape {
    const char *name, *issuer, *subject;
    const char *claims;        /* further ones, a JSON object */
    const char *claim, *value; /* the condition of Google's provider lab-NAME */
};
extern const struct lab_shape lab_shapes[LAB_SHAPES];
const struct lab_shape *lab_shape_find(const char *name);
/* A token of that shape, malloc'ed. */
char *lab_shape_mint(struct lab *l, const struct lab_shape *s, const char *audience,
                     const struct lab_hit *hit);

/* google_x509.c: mutual TLS. The first is a server name callback that asks for a client's
 * certificate where the host is the mtls one; the second judges it: NULL and the claims
 * (new) that mappings see, or the description of what is wrong. store: the provider's. */
int lab_mtls_ask(SSL *ssl, int *alert, void *arg);
const char *lab_mtls_judge(struct lab *l, const struct lab_request *r, const char *subject,
                           const json_t *store, json_t **claims);

/* client.c: who asks the token endpoint? False: refused, the answer is made. */
bool lab_client_judge(struct lab *l, struct lab_request *r, const struct lab_form *f,
                      struct lab_response *a, struct lab_client *who);

/* ocisig.c: verifies the request's signature from the bytes received. NULL if good,
 * else the reason (for the log; the client gets the vendor's one sentence). */
struct lab_authorization {
    char *version, *key_id, *algorithm, *headers, *signature; /* NULL where absent */
    char *store;                                              /* owned; the others point into it */
};
const char *lab_authorization_parse(const char *value, struct lab_authorization *z);
const char *lab_signature_judge(struct lab *l, struct lab_request *r);

/* ocisvc.c: what all OCI services share. */
bool lab_oci_guard(struct lab *l, struct lab_request *r, struct lab_response *a);
void lab_oci_error(struct lab_response *a, int status, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void lab_oci_status(struct lab *l, struct lab_response *a, int status);
void lab_oci_finish(struct lab *l, struct lab_request *r, struct lab_response *a);
/* Writes one page of an array (query limit, page) as the answer. Steals all. */
void lab_oci_page(struct lab_request *r, struct lab_response *a, json_t *all);

/* routes.c */
typedef void lab_handler(struct lab *l, struct lab_request *r, struct lab_response *a);
struct lab_route {
    const char *method, *path; /* {} matches one segment, {*} the rest */
    lab_handler *handle;
};
struct lab_service {
    const char *name;
    const struct lab_route *routes; /* ends with a NULL method */
    bool (*guard)(struct lab *l, struct lab_request *r, struct lab_response *a); /* or NULL */
    void (*status)(struct lab *l, struct lab_response *a, int status); /* the vendor's error */
    lab_handler *finish;                                               /* or NULL */
};
extern const struct lab_service lab_issuer, lab_idcs, lab_scim, lab_objects, lab_identity, lab_core,
    lab_control, lab_sts, lab_iamcredentials, lab_compute, lab_storage, lab_metadata, lab_iam,
    lab_serviceusage, lab_projects;
int lab_sites(struct lab *l, struct kw_err *err);
void lab_dispatch(struct lab *l, struct lab_request *r, struct lab_response *a);

extern const char lab_compartment[]; /* cloud.c: one below the tenancy */

/* ocipolicy.c: may the request's principal, by policy? (Who was not made here may.) And
 * the handlers of /20160918/policies. */
bool lab_statement_good(const char *text);
bool lab_policies_allow(struct lab *l, const struct lab_request *r);
lab_handler lab_policy_create, lab_policy_list, lab_policy_get, lab_policy_update,
    lab_policy_delete;
/* gadmin_accounts.c: the same of Google's service accounts. */
lab_handler lab_gaccount_create, lab_gaccount_list, lab_gaccount_get, lab_gaccount_delete,
    lab_gaccount_policy, lab_gaccount_set_policy, lab_gaccount_test;

/* issuer.c, uploads.c, journal.c: state. */
void lab_issuer_claims(struct lab *l, const char *audience, json_t **claims);
void lab_store_free(struct lab_store *s);
void lab_journal_add(struct lab *l, const struct lab_request *r, const struct lab_response *a);
json_t *lab_journal_copy(struct lab_journal *j);
void lab_journal_clear(struct lab_journal *j);

#endif
