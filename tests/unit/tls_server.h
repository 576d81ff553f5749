/* SPDX-License-Identifier: Apache-2.0
 *
 * A scripted HTTPS server on loopback for tests: certificates made on the spot, one
 * thread per connection, answers given byte by byte, requests recorded. */
#ifndef KW_TEST_TLS_SERVER_H
#define KW_TEST_TLS_SERVER_H

#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SCRIPT_MAX = 8, SERVER_BODY = 1 << 20, SERVER_THREADS = 64 };

enum server_tls {
    TLS_GOOD,
    TLS_UNKNOWN_CA,
    TLS_OTHER_CA,
    TLS_OTHER_NAME,
    TLS_EXPIRED,
    TLS_OLD,
    TLS_HANG_UP
};

/* What is done with one request. */
struct reply {
    const char *raw; /* NULL: no answer at all */
    size_t n;        /* 0: strlen(raw) */
    bool close;      /* then close the connection */
    bool silent;     /* keep it open and say nothing */
};

struct server {
    int listener;
    unsigned port;
    SSL_CTX *ctx;
    enum server_tls tls;
    pthread_t acceptor, threads[SERVER_THREADS];
    unsigned n_threads;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* under lock */
    struct reply script[SCRIPT_MAX];
    unsigned next, handshakes, requests;
    int fds[SERVER_THREADS];
    char head[65536];
    char *body;
    size_t body_n;
};

struct connection {
    struct server *s;
    int fd;
    unsigned slot;
};

/* --- certificates ------------------------------------------------------------------- */

static X509 *make_cert(EVP_PKEY *key, const char *name, const char *san, X509 *issuer,
                       EVP_PKEY *signer, long from, long to)
{
    static long serial = 1;
    X509 *c = X509_new();
    X509V3_CTX v3;
    (void)X509_set_version(c, 2);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(c), serial++);
    (void)X509_gmtime_adj(X509_getm_notBefore(c), from);
    (void)X509_gmtime_adj(X509_getm_notAfter(c), to);
    (void)X509_set_pubkey(c, key);
    X509_NAME *n = X509_get_subject_name(c);
    (void)X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    (void)X509_set_issuer_name(c, X509_get_subject_name(issuer != NULL ? issuer : c));
    X509V3_set_ctx(&v3, issuer != NULL ? issuer : c, c, NULL, NULL, 0);
    X509_EXTENSION *e =
        san != NULL ? X509V3_EXT_conf_nid(NULL, &v3, NID_subject_alt_name, san)
                    : X509V3_EXT_conf_nid(NULL, &v3, NID_basic_constraints, "critical,CA:TRUE");
    (void)X509_add_ext(c, e, -1);
    X509_EXTENSION_free(e);
    (void)X509_sign(c, signer, EVP_sha256());
    return c;
}

/* A context with a leaf under a new CA, whose certificate goes to ca_path if not NULL. */
static SSL_CTX *make_ctx(enum server_tls tls, const char *ca_path)
{
    enum { DAY = 86400 };
    EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
    X509 *ca = make_cert(ca_key, tls == TLS_UNKNOWN_CA ? "unknown CA" : "test CA", NULL, NULL,
                         ca_key, -10L * DAY, 10L * DAY);
    const char *san = tls == TLS_OTHER_NAME ? "DNS:other.test" : "DNS:idcs.test,DNS:api.test";
    X509 *leaf =
        make_cert(key, "leaf", san, ca, ca_key, -5L * DAY, tls == TLS_EXPIRED ? -DAY : DAY);
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    (void)SSL_CTX_use_certificate(ctx, leaf);
    (void)SSL_CTX_use_PrivateKey(ctx, key);
    if (tls == TLS_OLD) {
        SSL_CTX_set_security_level(ctx, 0);
        (void)SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
        (void)SSL_CTX_set_max_proto_version(ctx, TLS1_1_VERSION);
    }
    FILE *f = ca_path != NULL ? fopen(ca_path, "w") : NULL;
    if (f != NULL) {
        (void)PEM_write_X509(f, ca);
        (void)fclose(f);
    }
    X509_free(ca);
    X509_free(leaf);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(key);
    return ctx;
}

/* --- one connection ----------------------------------------------------------------- */

/* Reads head and body of one request into the server's record; false at the end. */
static bool read_request(struct server *s, SSL *ssl)
{
    static const char length[] = "\r\ncontent-length:";
    char *head = calloc(1, sizeof s->head), *body = malloc(SERVER_BODY);
    size_t n = 0, want = 0, got = 0;
    bool ok = head != NULL && body != NULL;
    while (ok && (n < 4 || memcmp(head + n - 4, "\r\n\r\n", 4) != 0))
        ok = n + 1 < sizeof s->head && SSL_read(ssl, head + n, 1) == 1 && ++n > 0;
    const char *l = ok ? strcasestr(head, length) : NULL;
    if (l != NULL)
        want = strtoul(l + sizeof length - 1, NULL, 10);
    ok = ok && want <= SERVER_BODY;
    while (ok && got < want) {
        int r = SSL_read(ssl, body + got, (int)(want - got));
        ok = r > 0;
        got += ok ? (size_t)r : 0;
    }
    (void)pthread_mutex_lock(&s->lock);
    if (ok) {
        memcpy(s->head, head, sizeof s->head);
        free(s->body);
        s->body = body;
        s->body_n = got;
        body = NULL;
        s->requests++;
        (void)pthread_cond_broadcast(&s->changed);
    }
    (void)pthread_mutex_unlock(&s->lock);
    free(head);
    free(body);
    return ok;
}

static bool write_reply(struct server *s, SSL *ssl)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    (void)pthread_mutex_lock(&s->lock);
    struct reply r = s->next < SCRIPT_MAX ? s->script[s->next++] : (struct reply){.raw = ok};
    (void)pthread_mutex_unlock(&s->lock);
    if (r.silent)
        return true;
    if (r.raw == NULL && !r.close)
        r.raw = ok;
    size_t n = r.raw == NULL ? 0 : r.n > 0 ? r.n : strlen(r.raw);
    return (n == 0 || SSL_write(ssl, r.raw, (int)n) > 0) && !r.close;
}

static void *serve_connection(void *arg)
{
    struct connection c = *(struct connection *)arg;
    free(arg);
    SSL *ssl = SSL_new(c.s->ctx);
    (void)SSL_set_fd(ssl, c.fd);
    if (c.s->tls != TLS_HANG_UP && SSL_accept(ssl) == 1) {
        (void)pthread_mutex_lock(&c.s->lock);
        c.s->handshakes++;
        (void)pthread_cond_broadcast(&c.s->changed);
        (void)pthread_mutex_unlock(&c.s->lock);
        while (read_request(c.s, ssl) && write_reply(c.s, ssl))
            ;
    }
    SSL_free(ssl);
    (void)shutdown(c.fd, SHUT_RDWR);
    return NULL;
}

static void *accept_all(void *arg)
{
    struct server *s = arg;
    for (int fd; s->n_threads < SERVER_THREADS && (fd = accept(s->listener, NULL, NULL)) >= 0;) {
        struct connection *c = malloc(sizeof *c);
        if (c == NULL)
            abort();
        *c = (struct connection){s, fd, s->n_threads};
        (void)pthread_mutex_lock(&s->lock);
        s->fds[s->n_threads] = fd;
        (void)pthread_mutex_unlock(&s->lock);
        if (pthread_create(&s->threads[s->n_threads], NULL, serve_connection, c) != 0)
            abort();
        s->n_threads++;
    }
    return NULL;
}

/* --- the server --------------------------------------------------------------------- */

/* ca_path receives the CA that clients are to trust; with TLS_UNKNOWN_CA and
 * TLS_OTHER_CA it is not the one that the server uses (the latter has its name). */
static void server_start(struct server *s, enum server_tls tls, const char *ca_path)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr sa;
    socklen_t n = sizeof sa;
    memset(s, 0, sizeof *s);
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_cond_init(&s->changed, NULL);
    s->tls = tls;
    if (tls == TLS_OTHER_CA || tls == TLS_UNKNOWN_CA) {
        s->ctx = make_ctx(TLS_GOOD, ca_path);
        SSL_CTX_free(s->ctx);
        s->ctx = make_ctx(tls, NULL);
    } else
        s->ctx = make_ctx(tls, ca_path);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memcpy(&sa, &a, sizeof sa);
    if (bind(s->listener, &sa, sizeof sa) != 0 || listen(s->listener, 16) != 0 ||
        getsockname(s->listener, &sa, &n) != 0)
        abort();
    memcpy(&a, &sa, sizeof a);
    s->port = ntohs(a.sin_port);
    if (pthread_create(&s->acceptor, NULL, accept_all, s) != 0)
        abort();
}

static void server_end(struct server *s)
{
    (void)shutdown(s->listener, SHUT_RDWR);
    (void)pthread_join(s->acceptor, NULL);
    (void)close(s->listener);
    for (unsigned i = 0; i < s->n_threads; i++) {
        (void)shutdown(s->fds[i], SHUT_RDWR);
        (void)pthread_join(s->threads[i], NULL);
        (void)close(s->fds[i]);
    }
    SSL_CTX_free(s->ctx);
    free(s->body);
}

/* The next requests get these answers, in order. */
static void server_script(struct server *s, const struct reply *replies, unsigned n)
{
    (void)pthread_mutex_lock(&s->lock);
    memset(s->script, 0, sizeof s->script);
    memcpy(s->script, replies, n * sizeof *replies);
    s->next = 0;
    (void)pthread_mutex_unlock(&s->lock);
}

/* Waits up to five seconds for that many handshakes in all. */
static inline bool server_await_handshakes(struct server *s, unsigned n)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 5;
    (void)pthread_mutex_lock(&s->lock);
    while (s->handshakes < n && pthread_cond_timedwait(&s->changed, &s->lock, &until) == 0)
        ;
    bool ok = s->handshakes >= n;
    (void)pthread_mutex_unlock(&s->lock);
    return ok;
}

#endif
