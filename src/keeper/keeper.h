/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the keeper: one event loop (keeper.c) that owns every structure, and threads
 * that only compute. Two threads make the key and try to extract its twin, in
 * parallel; `sessions` threads sign, one more (the clerk) signs the audit log's heads. A
 * thread takes a job, works on nothing but that
 * job and the PKCS#11 layer, marks it done and wakes the loop, which alone reads and
 * writes channels and audit log. So each channel gets its answers in the order of its
 * requests, and there is nothing to lock but the queue.
 */
#ifndef KW_KEEPER_H
#define KW_KEEPER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "audit.h"
#include "pkcs11/p11.h"
#include "policy/rules.h"
#include "policy/sandbox.h"
#include "src/ipc/talk.h"

#define KW_JOBS_MAX     KW_SIGNS_MAX /* requests under way; more wait in the socket */
#define KW_CLIENT_MAX   16           /* uses of the client key: an exchange takes one */
#define KW_REFUSALS_MAX 1000         /* then the exchanger is taken for hostile and cut off */

/* A key that signs, and what is known of its signatures. */
struct kw_signer {
    struct kw_p11_key key;
    bool there;
    atomic_bool proven; /* one signature was checked against the public half */
    atomic_bool broken; /* one was wrong: never again */
};

/* One request under way. */
struct kw_job {
    enum kw_msg answer; /* KM_SIGNED, S_SIGNED or S_ASSERTED; NONE: a head of the audit log */
    struct kw_signer *signer;
    int64_t not_after;  /* seconds since the epoch, 0: no limit */
    struct kw_buf data; /* what is signed */
    bool check;         /* the signature, also when the key is proven */
    int sync_fd;        /* synced before it is signed: -1 for none */
    unsigned char sig[512];
    size_t sig_n;
    int result; /* 0, or the code in err */
    struct kw_err err;
    bool done;            /* under the queue's lock */
    struct kw_job *next;  /* in the channel's order */
    struct kw_job *later; /* in the workers' queue */
};

/* A thread that signs. Of those that wait, the one that has waited least is woken: its stack
 * and its session are still in a cache. */
struct kw_worker {
    struct kw_workers *all;
    pthread_t thread;
    pthread_cond_t wake;
    bool waits;              /* and is among all->idle */
    struct kw_worker *below; /* that waits longer */
};

struct kw_workers {
    pthread_mutex_t lock;
    struct kw_job *first, *last;
    bool stop;
    struct kw_worker workers[64], *idle;
    unsigned n;
    struct kw_p11 *p11;
    int wake; /* eventfd that the loop polls */
};

/* One end of a channel with its requests under way. */
struct kw_peer {
    struct kw_chan chan;
    bool open;
    struct kw_job *first, *last;
    unsigned pending;
};

/* The threads at a key's birth. */
struct kw_birth {
    pthread_t make, extract;
    bool make_started, extract_started; /* and not joined yet */
    atomic_bool made, tried;            /* set by the threads as their last act */
    int make_result, extract_result;
    struct kw_err make_err, extract_err;
    struct kw_m_verdict verdict;
    struct kw_signer *whose; /* where the key is made */
};

struct kw_keeper {
    struct kw_m_keeper_start cfg;
    struct kw_fences fences;
    struct kw_p11 *p11;
    struct kw_m_keeper_ready ready;
    struct kw_peer main, exchanger, proxy;
    struct kw_workers workers;
    struct kw_workers clerk; /* signs the audit log's heads, if there is a log */
    struct kw_birth birth;

    /* The session key, and its successor or predecessor (`run`): a struct stays where it is,
     * because jobs point at it. */
    struct kw_signer sessions[2], *session, *other;
    uint32_t generation;   /* of the session in use: 1 for the first */
    uint64_t former_until; /* not_after of the one before it; 0: there is none */
    struct kw_signer client, auditor, issuer, tls;
    bool key_told, verdict_in; /* KM_KEY and a good KM_VERDICT were sent */
    bool session_asked;        /* KM_SESSION came; answered when the verdict is in */
    bool session_good;
    struct kw_m_keeper_session session_info;
    struct kw_sign_policy policy;

    struct kw_audit audit;
    char audit_key[65];  /* id of the key that signs heads, "" before it was announced */
    struct kw_job *head; /* the head that is being signed, of head_mark */
    struct kw_audit_mark head_mark;
    char head_key[65]; /* by this key */

    uint32_t signatures, refusals, client_uses, issues;
    bool close_asked; /* KM_CLOSE came */
    int wake;
};

/* keeper_start.c: everything between KM_START and KM_READY. */
int kw_keeper_start(struct kw_keeper *k, int audit_fd, struct kw_err *err);

/* keeper_birth.c: starts what cfg.purpose asks for; called on each wake until both
 * threads are joined, sends KM_KEY and KM_VERDICT; waits for the threads at the end. */
int kw_birth_start(struct kw_keeper *k, struct kw_err *err);
int kw_birth_step(struct kw_keeper *k, struct kw_err *err);
void kw_birth_join(struct kw_keeper *k);
int kw_birth_again(struct kw_keeper *k, struct kw_err *err); /* KM_RENEW */

/* keeper_work.c: the worker threads, and the answers of a channel that are due. */
int kw_workers_start(struct kw_workers *w, struct kw_p11 *p11, unsigned n, int wake,
                     struct kw_err *err);
void kw_workers_stop(struct kw_workers *w); /* lets jobs in the queue finish first */
/* Appends a job to the queue. */
void kw_job_queue(struct kw_workers *w, struct kw_job *j);
/* Appends a job to the peer's answers and, unless it has failed already, to the queue. */
void kw_job_submit(struct kw_keeper *k, struct kw_peer *p, struct kw_job *j);
/* Takes the peer's first job if it is done; NULL otherwise. */
struct kw_job *kw_job_take(struct kw_keeper *k, struct kw_peer *p);
bool kw_job_done(struct kw_workers *w, const struct kw_job *j);
struct kw_job *kw_job_new(enum kw_msg answer);
void kw_job_free(struct kw_job *j);

/* keeper_sign.c: requests to sign, and their answers. Each is 0 unless the channel has
 * to be closed. */
int kw_keeper_sign(struct kw_keeper *k, struct kw_peer *p, struct kw_in *in, struct kw_err *err);
int kw_keeper_answer(struct kw_keeper *k, struct kw_peer *p, struct kw_err *err);
/* The rest of kw_keeper_sign(): `signer` signs until not_after if it may. Takes over m and j. */
int kw_keeper_judged(struct kw_keeper *k, struct kw_peer *p, struct kw_m_sign *m, struct kw_job *j,
                     struct kw_err *err);
/* Judges a request and builds its signing string; `rule` receives what allowed it. */
int kw_keeper_judge(struct kw_keeper *k, const struct kw_m_sign *m, int64_t now,
                    struct kw_buf *string, char *rule, size_t size, struct kw_err *err);
/* Takes one use of the client key, which no budget of the user's bounds. */
int kw_keeper_client_use(struct kw_keeper *k, struct kw_err *err);
/* Cuts an exchanger off that asks and asks for what it is refused. */
int kw_keeper_patience(const struct kw_keeper *k, const struct kw_peer *p, struct kw_err *err);
/* Each signed date and x-date is within 300 s of now. */
int kw_keeper_dates(const char *headers, int64_t now, struct kw_err *err);

/* keeper_allow.c: whether a request may go out with the bearer, or with the federated token. */
int kw_keeper_allow(struct kw_keeper *k, struct kw_peer *p, struct kw_in *in, struct kw_err *err);

/* keeper_run.c: requests of the proxy, and a session's successor. */
int kw_keeper_psign(struct kw_keeper *k, struct kw_in *in, struct kw_err *err);
int kw_keeper_pnote(struct kw_keeper *k, struct kw_in *in, struct kw_err *err);
int kw_keeper_renew(struct kw_keeper *k, struct kw_err *err);
int kw_keeper_retire(struct kw_keeper *k, struct kw_in *in, struct kw_err *err);
/* The successor's key is the session's from now on. */
void kw_keeper_succeed(struct kw_keeper *k);

/* keeper_tls.c: handshakes by the TLS client key. */
int kw_keeper_tls(struct kw_keeper *k, struct kw_peer *p, struct kw_in *in, struct kw_err *err);
/* Is it the content that a TLS 1.3 client signs? */
bool kw_tls_content_ok(const unsigned char *p, size_t n);

/* keeper_assert.c: client assertions. */
int kw_keeper_assert(struct kw_keeper *k, struct kw_peer *p, struct kw_in *in, struct kw_err *err);
/* base64url(header).base64url(claims) appended to b. */
int kw_assertion_text(const struct kw_m_keeper_start *cfg, const char *audience, const char *jti,
                      int64_t now, struct kw_buf *b, struct kw_err *err);

/* keeper_issue.c: JWTs by the issuer key, and its public half. */
int kw_keeper_issue(struct kw_keeper *k, struct kw_in *in, struct kw_err *err);
int kw_keeper_public(struct kw_keeper *k, struct kw_err *err);
/* Appends base64url of the object, which it frees. */
int kw_jws_part(struct kw_buf *b, json_t *o, struct kw_err *err);

/* keeper_note.c: the audit's events. Failures are errors: the caller refuses. */
int kw_note_login(struct kw_keeper *k, struct kw_err *err);
int kw_note_key(struct kw_keeper *k, const char *what, const struct kw_p11_key *key,
                struct kw_err *err);
int kw_note_verdict(struct kw_keeper *k, const struct kw_m_verdict *v, struct kw_err *err);
int kw_note_session(struct kw_keeper *k, struct kw_err *err);
int kw_note_sign(struct kw_keeper *k, const struct kw_m_sign *m, const char *rule,
                 struct kw_err *err);
int kw_note_impersonate(struct kw_keeper *k, const struct kw_m_allow *m, struct kw_err *err);
int kw_note_given(struct kw_keeper *k, const struct kw_m_keeper_session *m, struct kw_err *err);
int kw_note_assert(struct kw_keeper *k, const char *audience, const char *jti, struct kw_err *err);
int kw_note_tls(struct kw_keeper *k, struct kw_err *err);
int kw_note_issue(struct kw_keeper *k, const struct kw_m_issue *m, const char *jti,
                  struct kw_err *err);
/* Also counts. m may be NULL. A refusal that can't be logged is still a refusal. */
void kw_note_refusal(struct kw_keeper *k, const char *what, const struct kw_m_sign *m,
                     const struct kw_err *why);
void kw_note_destroyed(struct kw_keeper *k, const char *id, const char *why,
                       const struct kw_err *failed);
void kw_note_end(struct kw_keeper *k);
/* Signs the head if it is time (or `now`); announces the key first. In time the clerk signs
 * it, so that a slow token or disk holds nothing up, and kw_note_head_step(), called on each wake,
 * writes it. */
void kw_note_head(struct kw_keeper *k, bool now);
void kw_note_head_step(struct kw_keeper *k);

/* keeper_end.c: `keys`, and the end of a key. */
int kw_keeper_list(struct kw_keeper *k, struct kw_err *err);
/* Destroys one key that keyward left in the token: for `keys --prune`, and for a new
 * stored session the key of the one before it. Never the session's own. */
int kw_keeper_prune(struct kw_keeper *k, const char *id_hex, struct kw_err *err);
/* Destroys the session key, if there is one and it is not to stay (storage = token:
 * a stored one, or one that KM_CLOSE leaves after KM_SESSION). */
int kw_keeper_drop(struct kw_keeper *k, const char *why, struct kw_err *err);
/* Ends threads, key, audit and module, and answers KM_CLOSE if it came. */
void kw_keeper_end(struct kw_keeper *k, const char *why);

/* Sends one message to main; what fails is an error. */
int kw_tell_main(struct kw_keeper *k, enum kw_msg type, const void *m, struct kw_err *err);

#endif
