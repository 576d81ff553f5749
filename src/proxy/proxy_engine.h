/* SPDX-License-Identifier: Apache-2.0
 *
 * The proxy of `run` as an event loop: connections, TLS on both sides, bytes. It knows
 * HTTP's framing but no cloud: what may go where, and with which Authorization, is asked
 * through hooks, most of which are answered later by id. Runs behind the sandbox: all
 * descriptors are handed in, and memory is bounded per connection.
 */
#ifndef KW_PROXY_ENGINE_H
#define KW_PROXY_ENGINE_H

#include <openssl/ssl.h>

#include "proxy_scope.h"

#define KW_CONNS_MAX 1024u  /* client connections; more wait in the listener's queue */
#define KW_HEAD_MS   30000  /* for a whole head to come, and for a TLS handshake */
#define KW_IDLE_MS   120000 /* without a byte either way, outside a request */
#define KW_STALL_MS  300000 /* without a byte either way, inside a request or tunnel */

struct kw_engine;

/* What the engine asks. Ids are the engine's, never used twice; an answer to one that has
 * gone (the client left) is ignored. A hook that returns non-zero has filled *err and
 * answers at once with a refusal. */
struct kw_engine_hooks {
    void *arg;
    /* CONNECT host:port by a client. */
    enum kw_route (*route)(void *arg, const char *host, uint16_t port, struct kw_err *err);
    /* Answered by kw_engine_dialed(). */
    int (*dial)(void *arg, uint64_t id, const char *host, uint16_t port, struct kw_err *err);
    /* A request's head inside TLS. Answered by kw_engine_authorized(), maybe before this
     * returns. The head's spans are good until it is answered, or done() ends it before. */
    int (*request)(void *arg, uint64_t id, enum kw_route route, const char *host, uint16_t port,
                   const struct kw_head *head, struct kw_err *err);
    /* A request in plain HTTP on the metadata listener, or in absolute-form on the proxy's.
     * Answered by kw_engine_answer(). */
    int (*metadata)(void *arg, uint64_t id, const struct kw_head *head, struct kw_err *err);
    /* What a client sent (on a connection for this host; "": none yet) was refused before anybody
     * could be asked about it: it is no request, or none that is served here. why is our own
     * words alone. */
    void (*unread)(void *arg, const char *host, const char *why);
    /* The head of the cloud's answer to request `id` is in. True: it is swallowed with its body,
     * and request() is called once more for the same head (a 401 that a renewed session may
     * cure); asked only where nothing of the request's body was sent or there is none. */
    bool (*again)(void *arg, uint64_t id, unsigned status);
    /* A request is over. status 0: no answer came; bytes of bodies in both directions. */
    void (*done)(void *arg, uint64_t id, unsigned status, uint64_t sent, uint64_t received);
};

/* Before the lock: makes the epoll descriptor, the run's CA (kw_ca), the TLS contexts.
 * roots: what upstream certificates are checked against (owned by the engine afterwards). */
int kw_engine_new(const struct kw_engine_hooks *hooks, X509_STORE *roots, struct kw_engine **ret,
                  struct kw_err *err);
void kw_engine_free(struct kw_engine *e);

/* The CA's certificate in PEM; it may sign for names that match these patterns ("*.x" or "x",
 * separated by spaces) and nothing else: critical name constraints, IP addresses excluded,
 * pathlen 0, P-256, valid for at most a week. Made here; the key never leaves. */
int kw_engine_ca(struct kw_engine *e, const char *patterns, struct kw_buf *ret_pem,
                 struct kw_err *err);

/* Listening sockets, non-blocking; -1 where there is none. Owned by the engine. */
int kw_engine_listen(struct kw_engine *e, int proxy_fd, int metadata_fd, struct kw_err *err);

/* One more descriptor to wait for; ready() is called when it can be read or has ended. */
int kw_engine_watch(struct kw_engine *e, int fd, void (*ready)(void *arg), void *arg,
                    struct kw_err *err);

/* Waits for it no more; the descriptor stays whose it is. */
void kw_engine_forget(struct kw_engine *e, int fd);

/* Waits for and serves what there is. Returns when the watched descriptors' callbacks have been
 * called for this turn; the caller loops. Non-zero: the loop itself is broken. */
int kw_engine_turn(struct kw_engine *e, struct kw_err *err);

/* fd >= 0: connected, non-blocking, now the engine's. Else the client is told *why. */
void kw_engine_dialed(struct kw_engine *e, uint64_t id, int fd, const struct kw_err *why);
/* head != NULL: the rewritten head that goes upstream. Else the client is told *why (its code
 * decides the status: KW_POLICY 403, KW_NET 502, else 500). */
void kw_engine_authorized(struct kw_engine *e, uint64_t id, const struct kw_buf *head,
                          const struct kw_err *why);
/* The whole answer, head and body. */
void kw_engine_answer(struct kw_engine *e, uint64_t id, const struct kw_buf *answer);

#endif
