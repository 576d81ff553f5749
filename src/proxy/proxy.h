/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the proxy role: what proxy.c (channels of main), proxy_ask.c (questions to keeper
 * and dialer) and proxy_hooks.c (what the engine asks) share.
 */
#ifndef KW_PROXY_H
#define KW_PROXY_H

#include "proxy_engine.h"
#include "src/ipc/talk.h"

/* A request that waits: for the keeper, or for leave to ask it. */
struct kw_asked {
    struct kw_asked *next;
    uint64_t id; /* the engine's */
    enum kw_route route;
    const struct kw_head *head; /* NULL: the client has gone, or was told that it takes too long */
    struct kw_m_sign m;         /* what is to be signed; Google: method, host and target */
};

struct kw_asked_list {
    struct kw_asked *first, *last;
    unsigned n;
};

/* A connection that waits for the dialer's leave. */
struct kw_dialling {
    struct kw_dialling *next;
    struct kw_m_pdial m;
};

struct kw_proxy {
    struct kw_chan ctl, sign, dial;
    bool sign_ended, dial_ended; /* that peer broke the rules, or has gone */
    struct kw_engine *engine;
    struct kw_scope scope;
    bool serving, over;

    struct kw_asked_list asked;     /* of the keeper, in its order of answers */
    struct kw_asked_list waiting;   /* not asked yet */
    struct kw_m_proxy_session next; /* a session to change to, when nothing is asked any more */
    bool changing;                  /* there is one */
    bool renewing;                  /* main was asked for one */
    uint32_t sessions;              /* how many there were */
    /* With which of them a request went, by its id: enough for all that can be under way. */
    struct {
        uint64_t id;
        uint32_t session;
    } went[4 * KW_CONNS_MAX];
    int64_t renewed_ms; /* when; kw_now_ms() */

    unsigned dials;                             /* under way */
    struct kw_dialling *first_dial, *last_dial; /* waiting */

    struct kw_wants {
        uint64_t id;
    } wants[16]; /* ID tokens that main was asked for, in order */
    unsigned n_wants;

    unsigned unread; /* refusals of what was no request: told, up to a limit */
    struct kw_m_proxy_closed counts;
};

/* proxy_ask.c */
/* Asks the keeper about a, which is the list's from now on; at once or when it may. */
void kw_proxy_ask(struct kw_proxy *p, struct kw_asked *a);
/* Nobody waits for this one any more. */
void kw_proxy_unask(struct kw_proxy *p, uint64_t id);
/* What the keeper and the dialer answered. Called when their channel can be read. */
void kw_proxy_from_keeper(void *arg);
void kw_proxy_from_dialer(void *arg);
int kw_proxy_dial(void *arg, uint64_t id, const char *host, uint16_t port, struct kw_err *err);
/* Takes the session that waits, if nothing that belongs to the former is under way, and lets
 * what waits go on. */
void kw_proxy_change(struct kw_proxy *p);

/* proxy_hooks.c: struct kw_engine_hooks over struct kw_proxy. */
extern const struct kw_engine_hooks kw_proxy_hooks;
/* Tells main; without waiting, and if it has no room, not at all. */
void kw_proxy_tell(struct kw_proxy *p, enum kw_event kind, uint64_t number, const char *method,
                   const char *host, struct kw_span target, unsigned status, const char *text);
/* Main's answer to the first ID token asked for. */
void kw_proxy_identity(struct kw_proxy *p, const struct kw_secret *token);

#endif
