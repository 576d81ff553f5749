/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the engine: proxy_engine.c is the loop, proxy_conn.c the life of a connection,
 * proxy_relay.c a request and its answer, proxy_io.c bytes, proxy_ca.c certificates.
 */
#ifndef KW_PROXY_INT_H
#define KW_PROXY_INT_H

#include <openssl/x509.h>
#include <sys/epoll.h>

#include "proxy_engine.h"
#include "src/ipc/ipc.h"

enum kw_source_kind { KW_SRC_LISTENER, KW_SRC_WATCH, KW_SRC_CLIENT, KW_SRC_UPSTREAM };

/* What an epoll event is of. */
struct kw_source {
    enum kw_source_kind kind;
    void *owner;
};

/* One end: a socket, with TLS or without. */
struct kw_side {
    struct kw_source source;
    int fd;                  /* -1: none */
    SSL *ssl;                /* NULL: plain, or not yet */
    bool ready;              /* the handshake is done (plain: connected) */
    bool eof;                /* nothing more comes */
    bool clean;              /* and it was said so: FIN, in TLS close_notify */
    bool broken;             /* an error; nothing more goes either */
    uint32_t wants;          /* EPOLLIN, EPOLLOUT: what the last call waits for */
    uint32_t rwants, wwants; /* the same of the last read, and write */
    uint32_t armed;          /* what epoll was told; 0: it is not in there */
};

/* Bytes on their way; room is there only while there are any. */
struct kw_flow {
    char *p;
    size_t off, len; /* p[off .. off+len) */
    size_t passed;   /* of them, those that may go on (the body's) */
};
#define KW_FLOW_ROOM KW_HEAD_MAX

enum kw_stage {
    KW_ST_HEAD,    /* a plain head: CONNECT, or one for the metadata service */
    KW_ST_META,    /* the metadata service's answer is awaited */
    KW_ST_SAY,     /* own bytes go out; then .after */
    KW_ST_DIAL,    /* a tunnel's other end is awaited */
    KW_ST_TUNNEL,  /* bytes both ways */
    KW_ST_ACCEPT,  /* TLS with the client */
    KW_ST_REQUEST, /* a head inside TLS */
    KW_ST_ASKED,   /* may it go out? */
    KW_ST_RELAY,   /* it goes, and its answer comes */
    KW_ST_DRAIN,   /* all is said; what still comes is thrown away for a moment */
    KW_ST_DEAD,
};

struct kw_conn {
    struct kw_engine *e;
    struct kw_conn *next, *prev;
    struct kw_conn *ready_next; /* to be gone on with, without an event */
    bool is_ready;
    struct kw_side client, up;
    struct kw_flow in, back; /* from the client; from upstream */
    struct kw_buf out;       /* own bytes for the client, before .back */
    struct kw_buf head_out;  /* the rewritten head for upstream, before .in */
    size_t out_off, head_off;
    enum kw_stage stage, after;
    bool metadata; /* came by that listener */
    enum kw_route route;
    char host[KW_HOST];
    uint16_t port;
    uint64_t dial_id, request_id; /* 0: none */
    bool dialing;
    int64_t deadline_ms; /* of this stage */

    /* the request under way */
    struct kw_head *head; /* of .in, while it is asked about and until it is answered */
    size_t head_len;      /* bytes of it still in front of .in */
    struct kw_follow req, resp;
    bool req_done, resp_head, resp_done, client_keeps, up_keeps;
    bool up_used; /* an answer came over this connection before: it may just be stale */
    bool again;   /* was asked once more already */
    bool swallow; /* this answer's body is thrown away, then asked again */
    char method[16];
    unsigned status;
    uint64_t sent, received;
};

struct kw_leaf {
    char host[KW_HOST];
    X509 *cert;
    uint64_t used;
};

struct kw_ca {
    EVP_PKEY *key, *leaf_key;
    X509 *cert;
    struct kw_leaf leaves[64];
    uint64_t clock;
};

struct kw_watch {
    struct kw_source source;
    int fd;
    void (*ready)(void *arg);
    void *arg;
};

struct kw_listener {
    struct kw_source source;
    int fd;
    bool armed;
};

struct kw_engine {
    struct kw_engine_hooks hooks;
    int epoll;
    SSL_CTX *server_ctx, *client_ctx;
    struct kw_ca ca;
    struct kw_listener listeners[2]; /* proxy, metadata */
    struct kw_watch watches[8];
    struct kw_conn *first, *dead, *ready;
    unsigned conns;
    uint64_t ids;
    int64_t swept_ms;
    int head_ms, idle_ms, stall_ms; /* KW_*_MS; shorter in tests */
};

/* proxy_io.c. Reads and writes return bytes > 0, 0 for the end of file, -1 for "not now"
 * (side->wants says what for), -2 for an error. */
long kw_side_read(struct kw_side *s, void *p, size_t n);
long kw_side_write(struct kw_side *s, const void *p, size_t n);
int kw_side_handshake(struct kw_side *s); /* 1 done, 0 not yet, -1 failed */
/* ends without close_notify if `hard`: what came so far must not look complete */
void kw_side_close(struct kw_engine *e, struct kw_side *s, bool hard);
/* Tells epoll what to wait for on this end. */
void kw_side_arm(struct kw_engine *e, struct kw_side *s, uint32_t mask);
/* Fills from the side what there is room for: as kw_side_read(); -1 also without room. */
long kw_flow_fill(struct kw_flow *f, struct kw_side *s);
/* Sends what may go on: as kw_side_write(); -1 also when there is nothing. */
long kw_flow_send(struct kw_flow *f, struct kw_side *s);
void kw_flow_drop(struct kw_flow *f, size_t n); /* n bytes from the front */
void kw_flow_free(struct kw_flow *f);
/* Sends the rest of b: 1 all is out, 0 not yet, -1 error. */
int kw_out_send(struct kw_buf *b, size_t *off, struct kw_side *s);

/* Small writes go at once: what is relayed was put together by somebody else already. */
void kw_side_no_delay(int fd);

/* proxy_ca.c */
int kw_ca_make(struct kw_ca *ca, const char *patterns, struct kw_err *err);
X509 *kw_ca_leaf(struct kw_ca *ca, const char *host); /* the cache's; NULL: none */
void kw_ca_free(struct kw_ca *ca);

/* proxy_conn.c */
struct kw_conn *kw_conn_new(struct kw_engine *e, int fd, bool metadata);
void kw_conn_go(struct kw_conn *c); /* as far as it goes now; then waits for events */
void kw_conn_end(struct kw_conn *c, bool hard);
/* Answers with a refusal of our own and ends the connection. */
void kw_conn_refuse(struct kw_conn *c, unsigned status, const char *text);
void kw_conn_refuse_for(struct kw_conn *c, const struct kw_err *why); /* status by code */
void kw_conn_refuse_unread(struct kw_conn *c, unsigned status, const char *text); /* and tells */
void kw_conn_stage(struct kw_conn *c, enum kw_stage stage);
void kw_conn_dial(struct kw_conn *c);
void kw_conn_late(struct kw_conn *c); /* its deadline has passed */

/* proxy_relay.c: each true if something moved. */
bool kw_relay_request(struct kw_conn *c); /* KW_ST_REQUEST */
bool kw_relay_both(struct kw_conn *c);    /* KW_ST_RELAY */
void kw_relay_start(struct kw_conn *c);   /* the head may go */
void kw_relay_forget(struct kw_conn *c);  /* what belongs to one request */

#endif
