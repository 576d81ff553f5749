/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop: listeners, descriptors of others, connections and their clocks. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy_int.h"

enum { EVENTS = 64, SWEEP_MS = 500 };

/* --- set-up -------------------------------------------------------------------------- */

/* The name that a client asks for in TLS is the one it asked the proxy for. */
static int on_server_name(SSL *ssl, int *alert, void *arg)
{
    const struct kw_conn *c = SSL_get_app_data(ssl);
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    (void)arg;
    if (c == NULL || name == NULL || strcasecmp(name, c->host) == 0)
        return SSL_TLSEXT_ERR_OK;
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* HTTP/1.1 only: clients that offer nothing else than h2 are told so by TLS, those that want
 * 1.0 by an answer, which they can read. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                   const unsigned char *in, unsigned n, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1\x08http/1.0";
    unsigned char *found;
    (void)ssl, (void)arg;
    if (SSL_select_next_proto(&found, out_n, ours, sizeof ours - 1, in, n) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = found;
    return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *context(const SSL_METHOD *method)
{
    SSL_CTX *ctx = SSL_CTX_new(method);
    if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                       SSL_OP_CLEANSE_PLAINTEXT);
    return ctx;
}

static bool make_contexts(struct kw_engine *e, X509_STORE *roots)
{
    unsigned char seed[32];
    e->server_ctx = context(TLS_server_method());
    e->client_ctx = context(TLS_client_method());
    if (e->server_ctx == NULL || e->client_ctx == NULL) {
        X509_STORE_free(roots);
        return false;
    }
    (void)SSL_CTX_set_tlsext_servername_callback(e->server_ctx, on_server_name);
    SSL_CTX_set_alpn_select_cb(e->server_ctx, on_alpn, NULL);
    (void)SSL_CTX_set_session_cache_mode(e->server_ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_num_tickets(e->server_ctx, 0);
    (void)SSL_CTX_set_session_cache_mode(e->client_ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_cert_store(e->client_ctx, roots);
    SSL_CTX_set_verify(e->client_ctx, SSL_VERIFY_PEER, NULL);
    static const unsigned char alpn[] = "\x08http/1.1";
    /* What is opened or asked for once is opened now. */
    SSL *once = SSL_new(e->client_ctx);
    bool ok = once != NULL && SSL_CTX_set_alpn_protos(e->client_ctx, alpn, sizeof alpn - 1) == 0 &&
              RAND_bytes(seed, sizeof seed) == 1 && RAND_priv_bytes(seed, sizeof seed) == 1;
    SSL_free(once);
    return ok;
}

int kw_engine_new(const struct kw_engine_hooks *hooks, X509_STORE *roots, struct kw_engine **ret,
                  struct kw_err *err)
{
    struct kw_engine *e = calloc(1, sizeof *e);
    *ret = NULL;
    if (e == NULL) {
        X509_STORE_free(roots);
        return kw_fail(err, KW_FAILED, "out of memory");
    }
    e->hooks = *hooks;
    e->head_ms = KW_HEAD_MS;
    e->idle_ms = KW_IDLE_MS;
    e->stall_ms = KW_STALL_MS;
    for (int i = 0; i < 2; i++)
        e->listeners[i] =
            (struct kw_listener){.source = {KW_SRC_LISTENER, &e->listeners[i]}, .fd = -1};
    for (size_t i = 0; i < sizeof e->watches / sizeof e->watches[0]; i++)
        e->watches[i].fd = -1;
    e->epoll = epoll_create1(EPOLL_CLOEXEC);
    bool ok = make_contexts(e, roots) && e->epoll >= 0;
    ERR_clear_error();
    if (!ok) {
        kw_engine_free(e);
        return kw_fail(err, KW_FAILED, "the proxy's TLS could not be set up");
    }
    *ret = e;
    return 0;
}

/* Frees the ended, but for those that the list of the ready still names. */
static void bury(struct kw_engine *e, bool all)
{
    struct kw_conn **at = &e->dead;
    while (*at != NULL) {
        struct kw_conn *c = *at;
        if (c->is_ready && !all) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        free(c);
    }
}

void kw_engine_free(struct kw_engine *e)
{
    if (e == NULL)
        return;
    while (e->first != NULL)
        kw_conn_end(e->first, true);
    bury(e, true);
    for (int i = 0; i < 2; i++)
        if (e->listeners[i].fd >= 0)
            (void)close(e->listeners[i].fd);
    if (e->epoll >= 0)
        (void)close(e->epoll);
    SSL_CTX_free(e->server_ctx);
    SSL_CTX_free(e->client_ctx);
    kw_ca_free(&e->ca);
    free(e);
}

int kw_engine_ca(struct kw_engine *e, const char *patterns, struct kw_buf *ret_pem,
                 struct kw_err *err)
{
    char *text = NULL;
    int r = kw_ca_make(&e->ca, patterns, err);
    BIO *out = r == 0 ? BIO_new(BIO_s_mem()) : NULL;
    if (r == 0 && out != NULL && PEM_write_bio_X509(out, e->ca.cert) == 1) {
        long n = BIO_get_mem_data(out, &text);
        kw_put(ret_pem, text, (size_t)n);
    } else if (r == 0)
        r = kw_fail(err, KW_FAILED, "the run's CA could not be written");
    BIO_free(out);
    return r;
}

/* --- what is waited for ------------------------------------------------------------------ */

static bool wait_for(struct kw_engine *e, struct kw_listener *l, bool on)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &l->source};
    if (l->fd < 0 || l->armed == on)
        return true;
    l->armed = on;
    return epoll_ctl(e->epoll, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, l->fd, &ev) == 0;
}

int kw_engine_listen(struct kw_engine *e, int proxy_fd, int metadata_fd, struct kw_err *err)
{
    e->listeners[0].fd = proxy_fd;
    e->listeners[1].fd = metadata_fd;
    return wait_for(e, &e->listeners[0], true) && wait_for(e, &e->listeners[1], true)
               ? 0
               : kw_fail_errno(err, KW_FAILED, "could not wait for connections");
}

int kw_engine_watch(struct kw_engine *e, int fd, void (*ready)(void *arg), void *arg,
                    struct kw_err *err)
{
    for (size_t i = 0; i < sizeof e->watches / sizeof e->watches[0]; i++) {
        struct kw_watch *w = &e->watches[i];
        if (w->fd >= 0)
            continue;
        *w = (struct kw_watch){.source = {KW_SRC_WATCH, w}, .fd = fd, .ready = ready, .arg = arg};
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &w->source};
        if (epoll_ctl(e->epoll, EPOLL_CTL_ADD, fd, &ev) != 0)
            return kw_fail_errno(err, KW_FAILED, "could not wait for a channel");
        return 0;
    }
    return kw_fail(err, KW_FAILED, "too many descriptors to wait for");
}

void kw_engine_forget(struct kw_engine *e, int fd)
{
    struct epoll_event ev = {.events = 0};
    for (size_t i = 0; i < sizeof e->watches / sizeof e->watches[0]; i++)
        if (e->watches[i].fd == fd && fd >= 0) {
            (void)epoll_ctl(e->epoll, EPOLL_CTL_DEL, fd, &ev);
            e->watches[i].fd = -1;
        }
}

static void take_connections(struct kw_engine *e, struct kw_listener *l)
{
    while (e->conns < KW_CONNS_MAX) {
        int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return; /* none, or one that has gone; without descriptors those that end help */
        struct kw_conn *c = kw_conn_new(e, fd, l == &e->listeners[1]);
        if (c == NULL)
            (void)close(fd);
        else
            kw_conn_go(c);
    }
}

/* --- the loop -------------------------------------------------------------------------------- */

static void happened(struct kw_engine *e, struct kw_source *s)
{
    struct kw_watch *w = s->owner;
    struct kw_conn *c = s->owner;
    switch (s->kind) {
    case KW_SRC_LISTENER:
        take_connections(e, s->owner);
        break;
    case KW_SRC_WATCH:
        if (w->fd >= 0)
            w->ready(w->arg);
        break;
    case KW_SRC_CLIENT:
    case KW_SRC_UPSTREAM:
        if (c->stage != KW_ST_DEAD)
            kw_conn_go(c);
        break;
    }
}

static void sweep(struct kw_engine *e)
{
    int64_t now = kw_now_ms();
    if (now - e->swept_ms < SWEEP_MS && e->swept_ms != 0)
        return;
    e->swept_ms = now;
    for (struct kw_conn *c = e->first, *next; c != NULL; c = next) {
        next = c->next; /* ends only c */
        if (now >= c->deadline_ms)
            kw_conn_late(c);
    }
}

/* Those that had more to do than a turn allows. */
static void go_on(struct kw_engine *e)
{
    struct kw_conn *list = e->ready;
    e->ready = NULL;
    while (list != NULL) {
        struct kw_conn *c = list;
        list = c->ready_next;
        c->is_ready = false;
        if (c->stage != KW_ST_DEAD)
            kw_conn_go(c);
    }
}

int kw_engine_turn(struct kw_engine *e, struct kw_err *err)
{
    struct epoll_event events[EVENTS];
    int wait = e->ready != NULL ? 0 : e->conns > 0 ? SWEEP_MS : -1;
    int n = epoll_wait(e->epoll, events, EVENTS, wait);
    if (n < 0 && errno != EINTR)
        return kw_fail_errno(err, KW_FAILED, "the proxy could not wait");
    for (int i = 0; i < n; i++)
        happened(e, events[i].data.ptr);
    go_on(e);
    sweep(e);
    bury(e, false);
    for (int i = 0; i < 2; i++)
        (void)wait_for(e, &e->listeners[i], e->conns < KW_CONNS_MAX);
    return 0;
}

/* --- answers by id ----------------------------------------------------------------------- */

static struct kw_conn *find(struct kw_engine *e, uint64_t id, bool dial)
{
    for (struct kw_conn *c = e->first; c != NULL && id != 0; c = c->next)
        if ((dial ? c->dial_id : c->request_id) == id)
            return c;
    return NULL;
}

static bool begin_upstream(struct kw_conn *c, int fd)
{
    kw_side_no_delay(fd);
    c->up.fd = fd;
    c->up.rwants = EPOLLIN;
    c->up.wwants = EPOLLOUT;
    c->up.ready = c->route == KW_ROUTE_TUNNEL;
    if (c->up.ready)
        return true;
    c->up.ssl = SSL_new(c->e->client_ctx);
    bool ok = c->up.ssl != NULL && SSL_set_fd(c->up.ssl, fd) == 1 &&
              SSL_set1_host(c->up.ssl, c->host) == 1 &&
              SSL_set_tlsext_host_name(c->up.ssl, c->host) == 1;
    ERR_clear_error();
    if (ok)
        SSL_set_connect_state(c->up.ssl);
    return ok;
}

void kw_engine_dialed(struct kw_engine *e, uint64_t id, int fd, const struct kw_err *why)
{
    struct kw_conn *c = find(e, id, true);
    if (c == NULL) {
        if (fd >= 0)
            (void)close(fd);
        return;
    }
    c->dial_id = 0;
    c->dialing = false;
    if (fd < 0) {
        /* Before there is a request it isn't news: it is dialled again when there is. */
        if (c->stage == KW_ST_DIAL || c->stage == KW_ST_RELAY)
            kw_conn_refuse_for(c, why);
    } else if (!begin_upstream(c, fd))
        kw_conn_end(c, true);
    else if (c->stage == KW_ST_DIAL) {
        static const char established[] = "HTTP/1.1 200 Connection established\r\n\r\n";
        kw_buf_init(&c->out, sizeof established);
        kw_put_str(&c->out, established);
        c->after = KW_ST_TUNNEL;
        kw_conn_stage(c, KW_ST_SAY);
    }
    if (c->stage != KW_ST_DEAD)
        kw_conn_go(c);
}

static void later(struct kw_conn *c)
{
    if (c->is_ready || c->stage == KW_ST_DEAD)
        return;
    c->is_ready = true;
    c->ready_next = c->e->ready;
    c->e->ready = c;
}

/* May be called from within a hook: what follows is done later in the turn. */
void kw_engine_authorized(struct kw_engine *e, uint64_t id, const struct kw_buf *head,
                          const struct kw_err *why)
{
    struct kw_conn *c = find(e, id, false);
    if (c == NULL || c->stage != KW_ST_ASKED)
        return;
    if (head == NULL)
        kw_conn_refuse_for(c, why);
    else {
        kw_buf_init(&c->head_out, head->len + 1);
        c->head_off = 0;
        kw_put(&c->head_out, head->p, head->len);
        if (c->head_out.bad)
            kw_conn_end(c, true);
        else
            kw_relay_start(c);
    }
    later(c);
}

void kw_engine_answer(struct kw_engine *e, uint64_t id, const struct kw_buf *answer)
{
    struct kw_conn *c = find(e, id, false);
    if (c == NULL || c->stage != KW_ST_META)
        return;
    kw_buf_init(&c->out, answer->len + 1);
    kw_put(&c->out, answer->p, answer->len);
    c->out_off = 0;
    c->request_id = 0;
    c->after = c->client_keeps && !c->out.bad ? KW_ST_HEAD : KW_ST_DRAIN;
    kw_conn_stage(c, KW_ST_SAY);
    later(c);
}
