/* SPDX-License-Identifier: Apache-2.0
 *
 * The proxy's engine in a thread of its own, with real sockets on loopback and real TLS on
 * both sides, and what its hooks answer. The test is the client and the cloud, one step
 * after the other (proxy_ends.h). */
#ifndef KW_TEST_PROXY_RIG_H
#define KW_TEST_PROXY_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "src/proxy/proxy_int.h"

enum { RIG_WAIT_MS = 20000, RIG_TEXT = 70000 };

#define HOST   "api.test"    /* TLS ends at the proxy */
#define TUNNEL "tunnel.test" /* bytes are passed on */

enum rig_ask { RIG_ALLOW, RIG_REFUSE, RIG_HOLD };

static struct rig {
    struct kw_engine *e;
    pthread_t thread;
    int kick, stopping; /* eventfd */
    int proxy, meta, cloud;
    uint16_t proxy_port, meta_port, cloud_port;
    SSL_CTX *cloud_ctx, *client_ctx;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* under lock */
    enum rig_ask ask, dial;
    bool again; /* a 401 is to be asked once more */
    uint64_t dials[64];
    unsigned n_dials, dialed, asked, done, status, conns, most, unread;
    char why[KW_ERR_TEXT];
    uint64_t sent, received, turns;
} rig;

static inline void rig_sleep(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    (void)nanosleep(&t, NULL);
}

/* --- sockets ------------------------------------------------------------------------- */

static int rig_listen(uint16_t *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr sa;
    socklen_t n = sizeof sa;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    memcpy(&sa, &a, sizeof sa);
    if (fd < 0 || bind(fd, &sa, sizeof sa) != 0 || listen(fd, 2048) != 0 ||
        getsockname(fd, &sa, &n) != 0)
        abort();
    memcpy(&a, &sa, sizeof a);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

static int rig_connect(uint16_t port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    struct sockaddr sa;
    const struct timeval wait = {RIG_WAIT_MS / 1000, 0};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memcpy(&sa, &a, sizeof sa);
    if (fd < 0 || connect(fd, &sa, sizeof sa) != 0)
        abort();
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    kw_side_no_delay(fd);
    return fd;
}

/* --- hooks: in the engine's thread ---------------------------------------------------------- */

static enum kw_route rig_route(void *arg, const char *host, uint16_t port, struct kw_err *err)
{
    (void)arg, (void)port;
    if (strcmp(host, HOST) == 0)
        return KW_ROUTE_OCI;
    if (strcmp(host, TUNNEL) == 0)
        return KW_ROUTE_TUNNEL;
    (void)kw_fail(err, KW_POLICY, "not there");
    return KW_ROUTE_REFUSE;
}

static void rig_kick(void)
{
    const uint64_t one = 1;
    if (write(rig.kick, &one, sizeof one) != sizeof one)
        abort();
}

static void rig_kicked(void *arg)
{
    uint64_t n;
    (void)arg;
    if (read(rig.kick, &n, sizeof n) != sizeof n)
        abort();
}

static int rig_dial(void *arg, uint64_t id, const char *host, uint16_t port, struct kw_err *err)
{
    (void)arg, (void)host, (void)port, (void)err;
    (void)pthread_mutex_lock(&rig.lock);
    if (rig.n_dials == sizeof rig.dials / sizeof rig.dials[0])
        abort();
    rig.dials[rig.n_dials++] = id;
    (void)pthread_mutex_unlock(&rig.lock);
    rig_kick();
    return 0;
}

/* Everything goes on as it came, and one field more. */
static int rig_request(void *arg, uint64_t id, enum kw_route route, const char *host, uint16_t port,
                       const struct kw_head *h, struct kw_err *err)
{
    struct kw_buf b;
    (void)arg, (void)route, (void)host, (void)port;
    (void)pthread_mutex_lock(&rig.lock);
    enum rig_ask ask = rig.ask;
    rig.asked++;
    (void)pthread_mutex_unlock(&rig.lock);
    if (ask == RIG_REFUSE)
        return kw_fail(err, KW_POLICY, "the policy says no");
    if (ask == RIG_HOLD)
        return 0;
    kw_buf_init(&b, 1 << 20);
    kw_put_fmt(&b, "%.*s %.*s HTTP/1.1\r\n", (int)h->method.n, h->method.p, (int)h->target.n,
               h->target.p);
    for (size_t i = 0; i < h->fields; i++)
        kw_put_fmt(&b, "%.*s: %.*s\r\n", (int)h->names[i].n, h->names[i].p, (int)h->values[i].n,
                   h->values[i].p);
    kw_put_str(&b, "signed: yes\r\n\r\n");
    kw_engine_authorized(rig.e, id, &b, NULL);
    kw_buf_free(&b);
    return 0;
}

static void rig_unread(void *arg, const char *host, const char *why)
{
    (void)arg, (void)host;
    (void)pthread_mutex_lock(&rig.lock);
    rig.unread++;
    (void)snprintf(rig.why, sizeof rig.why, "%s", why);
    (void)pthread_mutex_unlock(&rig.lock);
}

static int rig_metadata(void *arg, uint64_t id, const struct kw_head *h, struct kw_err *err)
{
    struct kw_buf b;
    (void)arg, (void)h, (void)err;
    kw_buf_init(&b, 1024);
    kw_put_str(&b, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmeta");
    kw_engine_answer(rig.e, id, &b);
    kw_buf_free(&b);
    return 0;
}

static bool rig_again(void *arg, uint64_t id, unsigned status)
{
    (void)arg, (void)id;
    (void)pthread_mutex_lock(&rig.lock);
    bool again = rig.again && status == 401;
    (void)pthread_mutex_unlock(&rig.lock);
    return again;
}

static void rig_done(void *arg, uint64_t id, unsigned status, uint64_t sent, uint64_t received)
{
    (void)arg, (void)id;
    (void)pthread_mutex_lock(&rig.lock);
    rig.done++;
    rig.status = status;
    rig.sent = sent;
    rig.received = received;
    (void)pthread_cond_broadcast(&rig.changed);
    (void)pthread_mutex_unlock(&rig.lock);
}

/* --- the engine ------------------------------------------------------------------------------- */

static void rig_answer_dial(uint64_t id, enum rig_ask how)
{
    struct kw_err why;
    if (how == RIG_ALLOW) {
        int fd = rig_connect(rig.cloud_port);
        (void)fcntl(fd, F_SETFL, O_NONBLOCK);
        kw_engine_dialed(rig.e, id, fd, NULL);
    } else {
        (void)kw_fail(&why, KW_NET, "nobody answers there");
        kw_engine_dialed(rig.e, id, -1, &why);
    }
}

static void *rig_run(void *arg)
{
    struct kw_err err;
    (void)arg;
    for (;;) {
        uint64_t ids[64];
        unsigned n = 0;
        if (kw_engine_turn(rig.e, &err) != 0)
            abort();
        (void)pthread_mutex_lock(&rig.lock);
        enum rig_ask how = rig.dial;
        if (how != RIG_HOLD) {
            n = rig.n_dials;
            memcpy(ids, rig.dials, n * sizeof ids[0]);
            rig.dialed += n;
            rig.n_dials = 0;
        }
        rig.turns++;
        rig.conns = rig.e->conns;
        rig.most = rig.conns > rig.most ? rig.conns : rig.most;
        bool stop = rig.stopping != 0;
        (void)pthread_cond_broadcast(&rig.changed);
        (void)pthread_mutex_unlock(&rig.lock);
        if (stop)
            return NULL;
        for (unsigned i = 0; i < n; i++)
            rig_answer_dial(ids[i], how);
    }
}

/* A certificate for the cloud, which is its own root. */
static X509 *rig_cert(EVP_PKEY *key, const char *san)
{
    X509 *c = X509_new();
    X509V3_CTX v3;
    (void)X509_set_version(c, 2);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(c), 1);
    (void)X509_gmtime_adj(X509_getm_notBefore(c), -3600);
    (void)X509_gmtime_adj(X509_getm_notAfter(c), 86400);
    (void)X509_set_pubkey(c, key);
    (void)X509_NAME_add_entry_by_txt(X509_get_subject_name(c), "CN", MBSTRING_ASC,
                                     (const unsigned char *)"cloud", -1, -1, 0);
    (void)X509_set_issuer_name(c, X509_get_subject_name(c));
    X509V3_set_ctx(&v3, c, c, NULL, NULL, 0);
    X509_EXTENSION *x = X509V3_EXT_conf_nid(NULL, &v3, NID_subject_alt_name, san);
    (void)X509_add_ext(c, x, -1);
    X509_EXTENSION_free(x);
    (void)X509_sign(c, key, EVP_sha256());
    return c;
}

static void rig_contexts(const char *san, X509_STORE *roots, const struct kw_engine_hooks *hooks)
{
    struct kw_err err;
    struct kw_buf pem;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = rig_cert(key, san);
    rig.cloud_ctx = SSL_CTX_new(TLS_server_method());
    rig.client_ctx = SSL_CTX_new(TLS_client_method());
    assert_int_equal(SSL_CTX_use_certificate(rig.cloud_ctx, cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(rig.cloud_ctx, key), 1);
    assert_int_equal(X509_STORE_add_cert(roots, cert), 1);
    X509_free(cert);
    EVP_PKEY_free(key);
    assert_int_equal(kw_engine_new(hooks, roots, &rig.e, &err), 0);
    kw_buf_init(&pem, 65536);
    assert_int_equal(kw_engine_ca(rig.e, "*.test", &pem, &err), 0);
    BIO *in = BIO_new_mem_buf(pem.p, (int)pem.len);
    cert = PEM_read_bio_X509(in, NULL, NULL, NULL);
    assert_int_equal(X509_STORE_add_cert(SSL_CTX_get_cert_store(rig.client_ctx), cert), 1);
    SSL_CTX_set_verify(rig.client_ctx, SSL_VERIFY_PEER, NULL);
    X509_free(cert);
    BIO_free(in);
    kw_buf_free(&pem);
}

/* Times in ms; 0: as they are. */
static void rig_start_for(const char *san, int head_ms, int idle_ms, int stall_ms)
{
    static const struct kw_engine_hooks hooks = {.route = rig_route,
                                                 .dial = rig_dial,
                                                 .request = rig_request,
                                                 .unread = rig_unread,
                                                 .metadata = rig_metadata,
                                                 .again = rig_again,
                                                 .done = rig_done};
    struct kw_err err;
    (void)signal(SIGPIPE, SIG_IGN); /* as all of keyward has it */
    rig = (struct rig){.stopping = 0};
    (void)pthread_mutex_init(&rig.lock, NULL);
    (void)pthread_cond_init(&rig.changed, NULL);
    rig_contexts(san, X509_STORE_new(), &hooks);
    rig.e->head_ms = head_ms > 0 ? head_ms : rig.e->head_ms;
    rig.e->idle_ms = idle_ms > 0 ? idle_ms : rig.e->idle_ms;
    rig.e->stall_ms = stall_ms > 0 ? stall_ms : rig.e->stall_ms;
    rig.kick = eventfd(0, EFD_CLOEXEC);
    rig.proxy = rig_listen(&rig.proxy_port);
    rig.meta = rig_listen(&rig.meta_port);
    rig.cloud = rig_listen(&rig.cloud_port);
    assert_int_equal(kw_engine_listen(rig.e, rig.proxy, rig.meta, &err), 0);
    assert_int_equal(kw_engine_watch(rig.e, rig.kick, rig_kicked, NULL, &err), 0);
    assert_int_equal(pthread_create(&rig.thread, NULL, rig_run, NULL), 0);
}

static int rig_stop(void **state)
{
    (void)state;
    if (rig.e == NULL)
        return 0;
    (void)pthread_mutex_lock(&rig.lock);
    rig.stopping = 1;
    (void)pthread_mutex_unlock(&rig.lock);
    rig_kick();
    (void)pthread_join(rig.thread, NULL);
    kw_engine_free(rig.e);
    (void)close(rig.kick);
    (void)close(rig.cloud);
    SSL_CTX_free(rig.cloud_ctx);
    SSL_CTX_free(rig.client_ctx);
    rig.e = NULL;
    return 0;
}

static void rig_set(enum rig_ask ask, enum rig_ask dial, bool again)
{
    (void)pthread_mutex_lock(&rig.lock);
    rig.ask = ask;
    rig.dial = dial;
    rig.again = again;
    (void)pthread_mutex_unlock(&rig.lock);
}

/* Waits until a counter of the rig's has this value, as of after a whole turn. */
static void rig_await(const unsigned *counter, unsigned value)
{
    struct timespec until;
    int r = 0;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += RIG_WAIT_MS / 1000;
    rig_kick();
    (void)pthread_mutex_lock(&rig.lock);
    const uint64_t turn = rig.turns + 2; /* one may have been half over */
    while ((rig.turns < turn || *counter != value) && r == 0) {
        if (rig.turns < turn)
            rig_kick();
        r = pthread_cond_timedwait(&rig.changed, &rig.lock, &until);
    }
    unsigned is = *counter;
    (void)pthread_mutex_unlock(&rig.lock);
    assert_int_equal(is, value);
}

static unsigned rig_get(const unsigned *counter)
{
    (void)pthread_mutex_lock(&rig.lock);
    unsigned n = *counter;
    (void)pthread_mutex_unlock(&rig.lock);
    return n;
}

#endif
