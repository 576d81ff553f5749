/* SPDX-License-Identifier: Apache-2.0
 *
 * The bodies of the messages in roles.h, as structs with fixed bounds, and one
 * table-driven codec for all of them. Strings are NUL-terminated, at most size-1
 * bytes, without control characters but the tab, and "\n" where a field says "lines". Binary
 * fields are views into the received buffer. Secrets are struct kw_secret.
 */
#ifndef KW_MESSAGES_H
#define KW_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "roles.h"
#include "src/base/buf.h"
#include "src/base/err.h"
#include "src/base/secret.h"

enum {
    KW_HOST = 256,
    KW_TARGET = 8192,
    KW_LINES = 16384,
    KW_TOKEN_MAX = 32768,
    KW_SPKI_MAX = 1024,
    KW_TLS_CONTENT = 64 + 34 + 48, /* spaces, context string with its NUL, SHA-384 */
    KW_SIGNS_MAX = 64              /* requests under way on CHAN_SIGN */
};

struct kw_m_error { /* KW_MSG_ERROR */
    uint32_t code;  /* enum kw_exit */
    char text[KW_ERR_TEXT];
};

enum kw_purpose {                 /* what the keeper is started for */
                  KW_FOR_SESSION, /* a fresh session key */
                  KW_FOR_STORED,  /* the stored session key .stored_id (storage = token) */
                  KW_FOR_LIST,    /* `keys` */
                  KW_FOR_PROBE,   /* `doctor`: as SESSION, then destroy at once */
                  KW_FOR_ISSUE,   /* `issue`, `jwks`: the issuer key only */
                  KW_FOR_BEARER,  /* no session key: judges and logs where a bearer goes; with
                                     .module "" without a token */
                  KW_FOR_RUN,     /* as SESSION, renewed in one keeper, never kept */
};
enum kw_pin_source {
    KW_PIN_NONE,   /* protected authentication path: C_Login with a NULL PIN */
    KW_PIN_FD,     /* KW_FD_PIN */
    KW_PIN_FILE,   /* .pin_path: regular file, owner the caller or root, mode 0600 or less */
    KW_PIN_PROMPT, /* the keeper opens /dev/tty and asks */
};
enum kw_network {                 /* what the module may reach: [token] network */
                  KW_REACH_NONE,  /* nothing */
                  KW_REACH_LOCAL, /* daemons on this machine, by UNIX sockets */
                  KW_REACH_TCP,   /* an HSM in the network */
};
enum kw_accept {                            /* weaknesses the user named in [key] accept */
                 KW_ACCEPT_EXTRACTABLE = 1, /* the token gives the twin's private part out */
                 KW_ACCEPT_MODIFIABLE = 2,  /* attributes can be changed afterwards */
                 KW_ACCEPT_NOT_LOCAL = 4,   /* CKA_LOCAL reads false on a generated key (NSS) */
                 KW_ACCEPT_PUBLIC = 8,      /* CKA_PRIVATE reads false */
};

struct kw_m_keeper_start { /* KW_KM_START */
    uint32_t purpose;      /* enum kw_purpose */
    uint32_t verbosity;
    uint32_t best_effort;  /* [sandbox] require = best-effort */
    uint32_t network;      /* enum kw_network */
    char module[1024];     /* absolute path */
    char module_args[512]; /* CK_C_INITIALIZE_ARGS.pReserved (NSS), "" for none */
    char label[33], manufacturer[33], serial[17], model[17]; /* of the token, "" = any */
    uint32_t pin_source;                                     /* enum kw_pin_source */
    char pin_path[1024];
    uint32_t bits;          /* 2048, 3072, 4096 */
    uint32_t token_object;  /* [key] storage = token */
    uint32_t accept;        /* enum kw_accept, or'ed */
    uint32_t sessions;      /* sessions that sign in parallel, 1..64 */
    char stored_id[65];     /* CKA_ID in hex of the stored session key */
    char client_label[65];  /* CKA_LABEL of the client key (client_auth = signature | assertion) */
    char client_id_hex[65]; /* CKA_ID of the same, in hex */
    char client_host[KW_HOST]; /* the only host the client key may sign for; with FOR_BEARER
                                  the only one the federated token may go to */
    char client_target[1024];  /* the only request target; with FOR_BEARER its beginning, up to
                                  the account's name and its colon */
    char client_name[256];     /* iss and sub of assertions */
    char client_kid[256];      /* kid of assertions: the certificate alias */
    char tls_label[65];        /* CKA_LABEL of the TLS client key, "" for none */
    char tls_id_hex[65];       /* CKA_ID of the same, in hex */
    char issuer_label[65];     /* CKA_LABEL of the key that issues JWTs, "" for none */
    char issuer_id_hex[65];    /* CKA_ID of the same, in hex */
    char issuer_name[512];     /* iss of the JWTs */
    uint32_t issuer_life;      /* their longest life, seconds */
    char audit_label[65]; /* CKA_LABEL of the key that signs the audit head ("": session key) */
    char profile[65];
    char sign_host[KW_LINES / 4]; /* [policy] sign.host: patterns separated by spaces */
    char sign_method[256];
    char sign_path[KW_LINES / 4];
    uint32_t per_minute; /* 0 = no budget */
    uint32_t max_count;  /* signatures per session, 0 = no budget */
    char caller[128];    /* who asked, for the audit: "uid 1000 pid 4711 request" */
};

struct kw_m_keeper_ready { /* KW_KM_READY */
    char label[33], manufacturer[33], serial[17], model[17];
    char fences[256];   /* what stands, e.g. "seccomp landlock(abi 7: fs,net,scope) ..." */
    char missing[256];  /* what does not, "" if all */
    char mechanism[64]; /* CKM_SHA256_RSA_PKCS or CKM_RSA_PKCS */
    char secrets[32];   /* kw_secret_kind() */
    uint32_t min_bits, max_bits;
};

struct kw_m_key {         /* KW_KM_KEY */
    uint32_t rung;        /* 1..4 of the template ladder */
    char id[65];          /* CKA_ID, hex */
    char attributes[512]; /* as read back: "PRIVATE=1 SENSITIVE=1 EXTRACTABLE=0 ..." */
    struct kw_view spki;  /* DER SubjectPublicKeyInfo, <= KW_SPKI_MAX */
};

struct kw_m_verdict {    /* KW_KM_VERDICT */
    uint32_t weaknesses; /* enum kw_accept, or'ed; 0 = nothing came out */
    char text[512];      /* what was tried and what came back, in words */
};

struct kw_m_keeper_session { /* KW_KM_SESSION; KW_KM_GIVEN: principal is the subject */
    uint64_t not_after;      /* seconds since the epoch */
    char principal[512];     /* for the audit */
    char claims[1024];       /* claims that decided, for the audit: "sub=... ref=..." */
    char caller[128];        /* who asked, where that was not known at the start; else "" */
    uint32_t direct;         /* KW_FOR_RUN becomes KW_FOR_SESSION: main signs, the proxy doesn't */
};

enum kw_sign_key {
    KW_SIGN_SESSION,
    KW_SIGN_CLIENT,
    KW_SIGN_BEARER /* in the audit log only: no key is asked for with it */
};

struct kw_m_sign {          /* KW_KM_SIGN, KW_S_SIGN */
    uint32_t key;           /* enum kw_sign_key */
    char method[16];        /* upper case */
    char host[KW_HOST];     /* host[:port] as in the Host header */
    char target[KW_TARGET]; /* path and query exactly as on the wire */
    char headers[KW_LINES]; /* lines "name: value\n" in signing order; the pseudo
                               header is the line "(request-target)\n", host "host\n" */
};
struct kw_m_signed {          /* KW_KM_SIGNED, KW_S_SIGNED */
    struct kw_view signature; /* <= 512 bytes, RSASSA-PKCS1-v1_5 with SHA-256 */
};
struct kw_m_assert { /* KW_S_ASSERT */
    char audience[512];
};
struct kw_m_asserted { /* KW_S_ASSERTED */
    struct kw_secret *jwt;
};
struct kw_m_tls {           /* KW_S_TLS; answered by S_SIGNED in DER */
    struct kw_view content; /* RFC 8446 section 4.4.3, <= KW_TLS_CONTENT */
};
/* KW_S_ALLOW, KW_P_ALLOW: a request with a bearer, as kw_m_sign has it; KW_S_IMPERSONATE: that
 * with the federated token */
struct kw_m_allow {
    char method[16];
    char host[KW_HOST];
    char target[KW_TARGET];
};
struct kw_m_issue { /* KW_KM_ISSUE */
    char audience[512], subject[512];
    uint32_t lifetime;         /* seconds */
    char claims[KW_LINES / 4]; /* further ones, lines "name\tvalue\n" */
};
struct kw_m_issued { /* KW_KM_ISSUED */
    struct kw_secret *jwt;
};
struct kw_m_public {     /* KW_KM_PUBLIC */
    struct kw_view spki; /* DER SubjectPublicKeyInfo, <= KW_SPKI_MAX */
};
struct kw_m_destroy { /* KW_KM_DESTROY */
    char id[65];
};
struct kw_m_list_item { /* KW_KM_LIST_ITEM */
    char id[65];
    char label[65];
    uint32_t bits;
    char attributes[512];
};
struct kw_m_closed { /* KW_KM_CLOSED */
    uint32_t signatures, refusals;
    uint32_t destroyed; /* 1: the key is gone; 0: it stays (storage = token) */
};

struct kw_m_exchanger_start { /* KW_XM_START */
    uint32_t verbosity, best_effort;
    uint32_t timeout_ms; /* [dial] timeout: all work on one call */
    uint32_t tls_key;    /* there will be a TLS client key, in the keeper */
    char ca_file[1024];  /* [tls] ca_file, added to the system's roots; "" for none */
};
struct kw_m_ready { /* KW_XM_READY, KW_DM_READY */
    char fences[256], missing[256];
    char secrets[32];
};
struct kw_m_fetch {           /* KW_XM_FETCH */
    char url[2048];           /* https, or http to a metadata service or this machine */
    char field[64];           /* JSON member holding the token; "": the body is the token */
    char headers[2048];       /* to be sent, lines "name: value\n" */
    struct kw_secret *bearer; /* Authorization: Bearer ..., empty for none */
};
struct kw_m_fetched { /* KW_XM_FETCHED */
    struct kw_secret *token;
};
enum kw_client_auth { KW_AUTH_BASIC, KW_AUTH_SIGNATURE, KW_AUTH_ASSERTION };
enum kw_requested { KW_UPST, KW_RPST };

struct kw_m_exchange {    /* KW_XM_EXCHANGE */
    char domain_url[512]; /* https://host[:port], no path */
    uint32_t auth;        /* enum kw_client_auth */
    char client_id[256];
    char client_key_id[512]; /* keyId for KW_AUTH_SIGNATURE: tenancy/user/fingerprint */
    uint32_t requested;      /* enum kw_requested */
    char res_type[256];
    uint32_t rpst_exp; /* seconds, 0 = absent */
    struct kw_secret *client_secret;
};
struct kw_m_go { /* KW_XM_GO */
    struct kw_view spki;
    struct kw_secret *subject;
};
struct kw_m_token {        /* KW_XM_TOKEN */
    char correlation[256]; /* x-oracle-dms-ecid or opc-request-id, "" if none */
    struct kw_secret *token;
};
enum kw_bearer_form {
    KW_BEARER_NONE,  /* a session token: requests are signed */
    KW_BEARER_TOKEN, /* it goes out as it is, where the keeper allows it */
    KW_BEARER_WHOLE, /* the same, and it is the whole Authorization header (`setup oci`) */
};
struct kw_m_session { /* KW_XM_SESSION */
    uint32_t bearer;  /* enum kw_bearer_form */
    struct kw_secret *token;
};
struct kw_m_google {       /* KW_XM_GOOGLE */
    char sts_url[512];     /* https://sts.googleapis.com/v1/token */
    char iam_url[512];     /* https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts */
    char audience[512];    /* //iam.googleapis.com/projects/... */
    char subject_type[64]; /* urn:ietf:params:oauth:token-type:jwt */
    char scope[2048];      /* separated by spaces */
    char service_account[256]; /* e-mail or unique id; "": no impersonation */
    char delegates[2048];      /* the same, separated by spaces */
    uint32_t lifetime;         /* of the account's token, seconds */
    char quota_project[64];    /* x-goog-user-project, "" for none */
    char request_reason[256];  /* x-goog-request-reason, "" for none */
    char id_audience[512];     /* an ID token for this audience instead, "" for none */
    uint32_t include_email;    /* in the ID token */
    char client_pem[KW_LINES]; /* certificates for mutual TLS with sts_url, "" for none */
    struct kw_secret *subject;
};
struct kw_m_bearer {         /* KW_XM_BEARER */
    uint64_t not_after;      /* of the token; of an ID token 0: its exp says it */
    uint64_t federated_for;  /* seconds that the token service gave, before impersonation */
    struct kw_secret *token; /* access token, or the ID token that was asked for */
};
struct kw_m_call { /* KW_XM_CALL; descriptors: body to send (read end), body received (write end) */
    char method[16];
    char url[KW_TARGET];
    char headers[KW_LINES]; /* the caller's own, lines "name: value\n" */
    uint64_t body_len;      /* bytes that the first descriptor will give */
    uint32_t has_body;
    char body_sha256[64]; /* standard base64; set when the body is to be signed */
};
struct kw_m_head { /* KW_XM_HEAD */
    uint32_t status;
    char headers[KW_LINES]; /* the answer's, lines "name: value\n", names in lower case */
};
struct kw_m_end { /* KW_XM_END */
    uint64_t body_len;
};
struct kw_m_dialer_start { /* KW_DM_START */
    uint32_t verbosity, best_effort;
    uint32_t timeout_ms;
    char dial[KW_LINES / 4];    /* host-pattern:port separated by spaces */
    char resolve[KW_LINES / 4]; /* host:port:address:port separated by spaces */
    char proxy[512];            /* http://host:port, "" for none */
    char egress[KW_LINES / 4];  /* as .dial, for CHAN_PDIAL besides: [run] egress */
};
struct kw_m_dial { /* KW_D_DIAL */
    char host[KW_HOST];
    uint32_t port;
    uint32_t timeout_ms;
};
struct kw_m_dialed {  /* KW_D_DIALED; one descriptor */
    char address[64]; /* what it was connected to, for -v */
};
/* --- `run` ------------------------------------------------------------------------ */

struct kw_m_retire { /* KW_KM_RETIRE */
    uint32_t generation;
};
struct kw_m_proxy_start { /* KW_PM_START */
    uint32_t verbosity, best_effort;
    char ca_file[1024];          /* [tls] ca_file, added to the system's roots; "" for none */
    char ca_names[KW_LINES / 4]; /* patterns that the run's CA may make certificates for */
};
struct kw_m_proxy_ready { /* KW_PM_READY */
    char fences[256], missing[256], secrets[32];
    char ca_pem[4096]; /* lines */
};
struct kw_m_serve {    /* KW_PM_SERVE; descriptors: the proxy's listener, the metadata service's */
    uint32_t cloud;    /* enum kw_cloud */
    uint32_t metadata; /* the second listener is one; else it is spare */
    uint32_t explain;  /* an event for each request that is let through, too */
    char sign_host[KW_LINES / 4]; /* what is served with credentials */
    char egress[KW_LINES / 4];    /* host-pattern:port that is tunnelled */
    struct kw_view decoy_spki;    /* OCI: the stand-in key's public half */
    char decoy_token[4096];       /* OCI: the stand-in session token; Google: the stand-in bearer */
    /* what the metadata service says */
    char email[256], project[64], project_number[24], universe[128], scope[2048];
};
struct kw_m_proxy_session { /* KW_PM_SESSION */
    uint32_t generation;    /* of the key that the token is bound to; Google: 0 */
    uint64_t not_after;     /* seconds since the epoch */
    struct kw_secret *token;
};
enum kw_event {
    KW_EVENT_ALLOWED,  /* signed or given the bearer */
    KW_EVENT_REFUSED,  /* by us */
    KW_EVENT_TUNNEL,   /* passed on untouched */
    KW_EVENT_ANSWERED, /* .status came for an allowed one */
};
struct kw_m_event { /* KW_PM_EVENT; nothing secret, and no query */
    uint32_t kind;  /* enum kw_event */
    uint32_t status;
    uint64_t number; /* of the request */
    char method[16];
    char host[KW_HOST];
    char path[1024];
    char text[512]; /* why, in words */
};
struct kw_m_want_id { /* KW_PM_WANT_ID */
    char audience[512];
};
struct kw_m_id {             /* KW_PM_ID */
    struct kw_secret *token; /* empty: it could not be had */
};
struct kw_m_proxy_closed { /* KW_PM_CLOSED */
    uint32_t requests, refusals, tunnels, replays;
};
struct kw_m_psign { /* KW_P_SIGN: as kw_m_sign */
    uint32_t generation;
    char method[16];
    char host[KW_HOST];
    char target[KW_TARGET];
    char headers[KW_LINES];
};
struct kw_m_pnote { /* KW_P_NOTE: a refusal of the proxy's own */
    char method[16];
    char host[KW_HOST];
    char target[1024]; /* hashed for the log */
    char text[512];    /* why */
};
struct kw_m_pdial { /* KW_P_DIAL */
    uint64_t id;
    char host[KW_HOST];
    uint32_t port;
    uint32_t timeout_ms;
};
struct kw_m_pdialed { /* KW_P_DIALED; one descriptor */
    uint64_t id;
    char address[64];
};
struct kw_m_undialed { /* KW_P_UNDIALED */
    uint64_t id;
    uint32_t code; /* enum kw_exit */
    char text[KW_ERR_TEXT];
};
/* --- the agent -------------------------------------------------------------------- */

enum kw_agent_want { KW_WANT_RUN, KW_WANT_CALL, KW_WANT_SIGN, KW_WANT_STATUS, KW_WANT_METRICS };
#define KW_AGENT_PROTOCOL 1u

struct kw_m_hello {     /* KW_AM_HELLO */
    uint32_t protocol;  /* KW_AGENT_PROTOCOL */
    uint32_t want;      /* enum kw_agent_want */
    uint32_t cloud;     /* enum kw_cloud; NONE: the profile's only one, or by .host */
    uint32_t json;      /* STATUS */
    char profile[65];   /* "": the agent's own */
    char host[KW_HOST]; /* CALL: of the URL */
};
struct kw_m_welcome { /* KW_AM_WELCOME */
    uint32_t cloud;   /* enum kw_cloud */
    char profile[65];
    char audience[512]; /* what the subject token's should be; "" where nothing says it */
};
struct kw_m_subject { /* KW_AM_SUBJECT */
    struct kw_secret *token;
};
struct kw_m_run {        /* KW_AM_RUN; descriptors as PM_SERVE */
    uint32_t metadata;   /* the second listener is the metadata service's; else it is spare */
    uint32_t explain;    /* an event for each request */
    uint32_t isolated;   /* CMD has a network namespace of its own, says the client */
    struct kw_view spki; /* stand-in key's public half */
};
struct kw_m_agent_go { /* KW_AM_GO: what CMD is to find, as struct kw_launch_decoys */
    uint32_t cloud;
    char ca_pem[4096]; /* lines */
    char token[4096];  /* the stand-in */
    char region[64], tenancy[256], project[64], email[256], profile[65];
};
struct kw_m_authorization { /* KW_AM_SIGNED */
    struct kw_secret *value;
};
struct kw_m_summary { /* KW_AM_SUMMARY */
    uint32_t requests, refusals, tunnels, replays, renewals;
};
struct kw_m_text {       /* KW_AM_TEXT */
    char text[KW_LINES]; /* lines */
    uint32_t more;       /* another one follows */
};
struct kw_m_job_start { /* KW_JM_START; one descriptor: the configuration's text */
    char profile[65];
    uint32_t cloud;     /* enum kw_cloud; NONE: the profile's only one */
    uint32_t verbosity; /* of the agent */
    char path[1024];    /* of the configuration, to be shown; "": there is no file */
};
struct kw_m_job {      /* KW_JM_JOB; descriptors: the connection, a pidfd of its other end */
    uint32_t want;     /* enum kw_agent_want */
    uint32_t uid, pid; /* of who connected, by the kernel's word */
};
struct kw_m_count { /* KW_JM_COUNT: all since the job began */
    uint32_t requests, refusals, tunnels, renewals, signatures;
    uint32_t session; /* there is one */
    char principal[512];
};
struct kw_m_empty { /* all messages without a body */
    char none;
};

/* Encodes *m (the struct of `type`) into b. False if a field is over its bound or
 * a string holds what it must not. */
bool kw_msg_put(struct kw_buf *b, enum kw_msg type, const void *m);

/* Decodes in->body into *m (zeroed first, the struct of in->type). False on any
 * excess, lack, or illegal byte; then nothing needs to be freed. On success
 * secrets in *m are the caller's: kw_msg_free(). Views live as long as in->body. */
bool kw_msg_get(struct kw_buf *b, enum kw_msg type, void *m);
void kw_msg_free(enum kw_msg type, void *m);

/* The same for main, which shows people what other roles say: texts in *m are made fit for
 * a terminal (kw_printable()), whoever wrote them. */
bool kw_msg_get_shown(struct kw_buf *b, enum kw_msg type, void *m);

/* sizeof the struct of `type`; 0 for an unknown type. */
size_t kw_msg_size(enum kw_msg type);

/* Whether `type` may go over `chan` from `sender` in `state`, and if so the state
 * after it and the limits. Used by ipc.c and the fuzz targets. */
bool kw_msg_legal(enum kw_msg type, enum kw_channel chan, enum kw_role sender, unsigned state,
                  unsigned *ret_next, size_t *ret_max, unsigned *ret_nfds);

#endif
