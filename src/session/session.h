/* SPDX-License-Identifier: Apache-2.0
 *
 * A session, from main's side: who does what in which order. At OCI:
 *
 *   keeper     start, log in, make the key ------------------> KEY ---> VERDICT
 *   exchanger  start, lock, fetch subject token, TLS to domain      GO --> TOKEN
 *   main       ... claim policy ...                        GO           check jwk, exp
 *
 * so that key generation, the slowest step, overlaps all that does not need the key. At
 * Google (session_google.c) there is no session key: the exchanger trades the subject
 * token for a bearer, and the keeper judges and logs where it goes.
 */
#ifndef KW_SESSION_H
#define KW_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "src/config/config.h"
#include "src/crew/spawn.h"

enum kw_session_use {
    KW_USE_FRESH = 1, /* `exchange`: never take a stored session */
    KW_USE_RUN = 2,   /* `run`: with a proxy, renewed as it goes, never kept */
};

struct kw_session {
    struct kw_crew crew;
    const struct kw_config *config;
    const char *caller;        /* "request", for the audit */
    enum kw_purpose purpose;   /* KW_FOR_SESSION, or KW_FOR_PROBE: nothing is kept */
    struct kw_secret *subject; /* the subject token, until the exchange */
    struct kw_secret *token;   /* the session token (UPST or RPST), or Google's access token */
    int64_t not_after;         /* seconds since the epoch, from its exp */
    uint64_t federated_for;    /* Google: seconds that the federated token lives */
    char principal[512];       /* sub of the token; Google: service account or principal:// */
    char tenant[256];          /* tenant or res_tenant */
    char original[256];        /* source_authn_prin: who it was before impersonation */
    char correlation[256];     /* the cloud's id for the exchange */
    char decided[1024];        /* claims that the claim policy looked at */
    char source[256];          /* which source gave the subject token */
    struct kw_m_keeper_ready keeper;
    struct kw_m_ready exchanger, dialer;
    struct kw_m_verdict verdict;
    struct kw_m_key key; /* .spki points into spki[] */
    unsigned char spki[KW_SPKI_MAX];
    bool have_key, have_verdict;
    int64_t keeper_deadline; /* kw_now_ms() clock; a person may be typing a PIN */
    bool stored;             /* an earlier session from the state file is used */
    bool rebuilt;            /* a stored one was there but no longer good; `why` says so */
    char why[256];
    char old_id[65]; /* key of an earlier stored session, destroyed once there is a new one */
    int lock;        /* state_lock.c; 0 or less: none */
    bool person;     /* a person is asked for the PIN */
    unsigned done;   /* steps (bits) that kw_session_prepare() has run already */
    /* Where the subject token comes from instead of [source]: the agent's jobs bring their
     * own. NULL: from [source]. */
    int (*ask)(void *arg, struct kw_secret **ret, struct kw_err *err);
    void *ask_arg;
    bool direct; /* with KW_USE_RUN: for calls of main's after all, not for the proxy's */
    /* `run` */
    bool run;
    struct kw_m_proxy_ready proxy;
    uint32_t generation; /* of the session key: 1 for the first; Google: 0 */
    bool key_pending;    /* KM_RENEW was sent, and KM_KEY or an error has not come */
};

/* The steps of a fresh session, in order: kw_session_open() runs them to the first
 * failure, doctor runs each that is a probe's and whose `needs` (bits of earlier steps)
 * were met. */
struct kw_session_step {
    const char *name;
    int (*run)(struct kw_session *s, struct kw_err *err);
    /* What is worth telling when it is done; may be NULL. */
    void (*tell)(const struct kw_session *s, char *text, size_t size);
    unsigned needs;
    bool probe; /* false: uses or keeps the session, which a probe doesn't */
    bool early; /* needs no subject token: can be done before anybody asks for a session */
};
const struct kw_session_step *kw_session_steps(const struct kw_config *c, size_t *ret_n);

/* Ends all after a failure; *err is replaced if a sandbox was violated. */
void kw_session_abandon(struct kw_session *s, struct kw_err *err);

/* Obtains a session: the stored one if there is a good one (storage = token and not
 * KW_USE_FRESH), else by exchange. caller: "request", for the audit. On error all is
 * ended, the key destroyed and nothing written; *s needs no close then. */
int kw_session_open(struct kw_session *s, const struct kw_config *c, const char *caller,
                    unsigned use, struct kw_err *err);

/* The same in two parts, for whoever knows early that there will be a session, but not whose
 * (the agent): prepare() starts the roles, logs in and makes the key; go_on() does the rest
 * with s->ask and s->caller as they are then. Never a stored session. Errors as above. */
int kw_session_prepare(struct kw_session *s, const struct kw_config *c, const char *caller,
                       unsigned use, struct kw_err *err);
int kw_session_go_on(struct kw_session *s, struct kw_err *err);

/* session_renew.c. Makes a session that follows the one in use, which goes on serving until
 * the new one stands; on error it still does. Only for KW_USE_RUN. */
int kw_session_renew(struct kw_session *s, struct kw_err *err);

/* Hands the session's token to the proxy: what is asked for from now on is signed with it. A
 * NULL token: there is no other, go on with the one in use. */
int kw_session_to_proxy(struct kw_session *s, const struct kw_secret *token, struct kw_err *err);

/* An ID token of Google's for the account of the session, for this audience. */
int kw_session_identity(struct kw_session *s, const char *audience, struct kw_secret **ret,
                        struct kw_err *err);

/* Takes the keeper's answer to a renewal that was given up. */
int kw_session_settle(struct kw_session *s, struct kw_err *err);

/* Waits for the proxy's PM_OK; what else it says meanwhile goes to kw_serving_told(). */
int kw_session_proxy_ok(struct kw_session *s, struct kw_err *err);

/* Ends it: with storage = token the key and the state file stay, else the key is
 * destroyed. Reports what went wrong at the end (KW_TOKEN: key not destroyed;
 * KW_SANDBOX). closed may be NULL. */
int kw_session_close(struct kw_session *s, struct kw_m_closed *closed, struct kw_err *err);

/* Fills the keeper's start message from the configuration (session.c, doctor, keys).
 * *ret_pin_fd is the caller's to close, -1 where the PIN does not come by descriptor. */
int kw_keeper_config(const struct kw_config *c, enum kw_purpose purpose, const char *caller,
                     struct kw_m_keeper_start *m, int *ret_pin_fd, struct kw_err *err);

/* Opens [audit] file for appending (0600 if new); -1 in *ret_fd if none is set. */
int kw_audit_open(const struct kw_config *c, int *ret_fd, struct kw_err *err);

/* The client secret of [oci]: from runtimeConfig.ini if that gave one, else from
 * client_secret_source (file:/PATH, fd:N, credential:NAME). The caller frees it. */
int kw_client_secret(const struct kw_config *c, struct kw_secret **ret, struct kw_err *err);

/* Reads a secret from where the configuration says: file:/PATH, fd:N, credential:NAME.
 * `what` names the key in errors, which are KW_USAGE; one that is empty is one, too. */
int kw_secret_from_source(const char *source, const char *what, size_t most, struct kw_secret **ret,
                          struct kw_err *err);

/* Opens $CREDENTIALS_DIRECTORY/NAME, as systemd's LoadCredential= places it; KW_USAGE
 * where systemd gave none, or others could read it. */
int kw_credential_open(const char *name, int *ret_fd, struct kw_err *err);

/* Whether SPKI (DER) is the RSA key with this modulus and exponent. */
bool kw_spki_is(const unsigned char *spki, size_t n_spki, const unsigned char *n, size_t n_len,
                const unsigned char *e, size_t e_len);

/* What a Google exchange of this configuration is; m->subject stays the caller's. */
int kw_google_message(const struct kw_session *s, struct kw_m_google *m, struct kw_err *err);

/* The deadline for one step: [dial] timeout from now. */
int64_t kw_deadline(const struct kw_config *c);

#endif
