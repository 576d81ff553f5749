/* SPDX-License-Identifier: Apache-2.0
 *
 * The half of `run` that has the session: it serves CMD's requests through the proxy and
 * renews what they are signed with. It knows nothing of CMD but two listeners and the
 * stand-in key's public half, so CMD may be our own child (run.c) or a job of the agent's
 * (agent_serve.c). One in a process: the proxy speaks whenever it likes.
 */
#ifndef KW_RUN_SERVE_H
#define KW_RUN_SERVE_H

#include <poll.h>

#include "src/session/session.h"

struct kw_serve_want {
    int listeners[2]; /* the proxy's, the metadata service's (-1: none); stay the caller's */
    bool metadata;    /* 169.254.169.254:80 is the second one's */
    bool explain;     /* an event for each request, not for refusals only */
    const unsigned char *spki; /* stand-in key, public half (DER) */
    size_t spki_len;
    /* Gets each event as it comes: nothing secret is in it. */
    void (*event)(void *arg, const struct kw_m_event *e);
    void *arg;
};

struct kw_serving {
    struct kw_session session; /* opened by the caller, with KW_USE_RUN */
    struct kw_buf decoy;       /* the stand-in session token or bearer; kw_serving_free() */
    int64_t renew_at;          /* seconds since the epoch */
    unsigned renewals;
};

/* Hands the proxy its listeners, the stand-ins and the session's token. */
int kw_serving_begin(struct kw_serving *v, const struct kw_serve_want *want, struct kw_err *err);

/* Waits, at most a second, for what the roles say or for one of the caller's own n (at most 4)
 * descriptors, whose .revents are the caller's to act on; renews where it is time. An error
 * is the end of the session. */
int kw_serving_turn(struct kw_serving *v, struct pollfd *own, unsigned n, struct kw_err *err);

/* The orderly end: no more requests, the keys destroyed, all roles ended. */
int kw_serving_end(struct kw_serving *v, struct kw_m_proxy_closed *ret, struct kw_err *err);

void kw_serving_free(struct kw_serving *v);

/* A message that the proxy sends on its own: events are passed on, a wish is noted. */
int kw_serving_told(struct kw_in *in, struct kw_err *err);

/* run_decoy.c. A stand-in session token for OCI: a JWT in form (exp far ahead, tenancy), whose
 * signature is random: it is good for nothing but to be recognised by this run's proxy. */
int kw_decoy_jwt(const struct kw_session *s, int64_t now, struct kw_buf *out, struct kw_err *err);
/* The same for Google: an access token in form. */
int kw_decoy_bearer(struct kw_buf *out, struct kw_err *err);
/* The project of a service account's e-mail; "" where it names none. */
void kw_decoy_project(const char *email, char *out, size_t size);

#endif
