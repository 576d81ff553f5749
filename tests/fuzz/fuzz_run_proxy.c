/* SPDX-License-Identifier: Apache-2.0
 *
 * The proxy of `run` as CMD, the servers it connects to, and main, keeper and dialer can treat
 * it (peers.h), one step whenever it has nothing to do. Channels: main, keeper, dialer; the fourth
 * is what CMD and servers do:
 *   1 byte   bits 0-1: 0 CMD connects to the proxy, 1 to the metadata service, 2 says more,
 *                      3 a server says something
 *            bit 2: and nothing more;  bit 3: that end is closed
 *            bits 4-7: of which connection, for 2 and 3 (in the order they were made)
 *   the rest what is said; nothing at all: time passes
 * TLS is left out: both ends speak in the clear where it would be. Each connection that the dialer
 * grants leads to a server. Whatever they do: the session's token goes nowhere but to a server,
 * for a request that the keeper agreed to. */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#ifdef KW_MSAN
#include <sanitizer/msan_interface.h>
#endif

#include "peers.h"
#include "src/proxy/proxy_int.h"

int proxy_main(int argc, char **argv);
#define main proxy_main
#include "src/proxy/proxy.c"
#undef main

enum { ENDS = 16, MORE = 2, SERVER = 3, LAST = 4, SHUT = 8 };

static struct peers peers;
static int listeners[2], clients[ENDS], servers[ENDS];
static unsigned n_clients, n_servers;
static struct kw_buf to_client, to_server; /* what the proxy said, all of it */

/* --- TLS, left out ----------------------------------------------------------------------- */

static int tls_error;

static int told(ssize_t n)
{
    tls_error = n > 0                               ? SSL_ERROR_NONE
                : n == 0                            ? SSL_ERROR_ZERO_RETURN
                : errno == EAGAIN || errno == EINTR ? SSL_ERROR_WANT_READ
                                                    : SSL_ERROR_SYSCALL;
    return n > 0 ? (int)n : n == 0 ? 0 : -1;
}

int __wrap_SSL_read(SSL *ssl, void *p, int n);
int __wrap_SSL_read(SSL *ssl, void *p, int n)
{
    return told(recv(SSL_get_fd(ssl), p, (size_t)n, MSG_DONTWAIT));
}

int __wrap_SSL_write(SSL *ssl, const void *p, int n);
int __wrap_SSL_write(SSL *ssl, const void *p, int n)
{
    int r = told(send(SSL_get_fd(ssl), p, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT));
    tls_error = tls_error == SSL_ERROR_WANT_READ ? SSL_ERROR_WANT_WRITE : tls_error;
    return r;
}

int __wrap_SSL_do_handshake(SSL *ssl);
int __wrap_SSL_do_handshake(SSL *ssl)
{
    (void)ssl;
    tls_error = fault_now() ? SSL_ERROR_SSL : SSL_ERROR_NONE;
    return tls_error == SSL_ERROR_NONE ? 1 : -1;
}

int __wrap_SSL_get_error(const SSL *ssl, int r);
int __wrap_SSL_get_error(const SSL *ssl, int r)
{
    (void)ssl, (void)r;
    return tls_error;
}

int __wrap_SSL_shutdown(SSL *ssl);
int __wrap_SSL_shutdown(SSL *ssl)
{
    return shutdown(SSL_get_fd(ssl), SHUT_WR) == 0;
}

int __wrap_RAND_bytes(unsigned char *p, int n);
int __wrap_RAND_bytes(unsigned char *p, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = 0x5a; /* each run is the same */
    return 1;
}

int __wrap_kw_tls_roots(const char *ca_file, X509_STORE **ret, struct kw_err *err);
int __wrap_kw_tls_roots(const char *ca_file, X509_STORE **ret, struct kw_err *err)
{
    (void)ca_file;
    *ret = X509_STORE_new();
    return *ret != NULL ? 0 : kw_fail(err, KW_FAILED, "no roots");
}

/* --- CMD and servers ---------------------------------------------------------------------- */

static int listener(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX}; /* the kernel gives it a name */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    must(fd >= 0 && bind(fd, (const struct sockaddr *)&a, sizeof a.sun_family) == 0 &&
         listen(fd, ENDS) == 0);
    return fd;
}

/* What main gave are no listeners: these are. */
int __real_kw_engine_listen(struct kw_engine *e, int proxy_fd, int metadata_fd, struct kw_err *err);
int __wrap_kw_engine_listen(struct kw_engine *e, int proxy_fd, int metadata_fd, struct kw_err *err);
int __wrap_kw_engine_listen(struct kw_engine *e, int proxy_fd, int metadata_fd, struct kw_err *err)
{
    must(proxy_fd >= 0 && close(proxy_fd) == 0);
    must(metadata_fd < 0 || close(metadata_fd) == 0);
    for (int i = 0; i < 2; i++)
        listeners[i] = i == 0 || metadata_fd >= 0 ? listener() : -1;
    e->head_ms = 1000; /* patience costs turns here */
    e->idle_ms = 2000;
    e->stall_ms = 3000;
    return __real_kw_engine_listen(e, listeners[0], listeners[1], err);
}

static void client(int at)
{
    struct sockaddr_un a;
    socklen_t n = sizeof a;
    if (at < 0 || n_clients == ENDS)
        return;
    must(getsockname(at, (struct sockaddr *)&a, &n) == 0);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    must(fd >= 0 && connect(fd, (const struct sockaddr *)&a, n) == 0);
    clients[n_clients++] = fd;
}

/* The dialer's descriptor is none of a connection: this is. */
void __real_kw_engine_dialed(struct kw_engine *e, uint64_t id, int fd, const struct kw_err *why);
void __wrap_kw_engine_dialed(struct kw_engine *e, uint64_t id, int fd, const struct kw_err *why);
void __wrap_kw_engine_dialed(struct kw_engine *e, uint64_t id, int fd, const struct kw_err *why)
{
    int pair[2];
    if (fd >= 0 && n_servers < ENDS) {
        must(close(fd) == 0);
        must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
        servers[n_servers++] = pair[1];
        fd = pair[0];
    }
    __real_kw_engine_dialed(e, id, fd, why);
}

static void listen_to(const int *ends, unsigned n, struct kw_buf *b)
{
    char text[4096];
    ssize_t got;
    for (unsigned i = 0; i < n; i++)
        while (ends[i] >= 0 && (got = recv(ends[i], text, sizeof text, MSG_DONTWAIT)) > 0)
            kw_put(b, text, (size_t)got);
}

static void say_there(int *ends, unsigned n, unsigned which, unsigned how, struct kw_view text)
{
    int *fd = &ends[which];
    if (which >= n || *fd < 0)
        return;
    (void)send(*fd, text.p, text.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if ((how & LAST) != 0)
        (void)shutdown(*fd, SHUT_WR);
    if ((how & SHUT) != 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

/* What the step said on the side is done. */
static void act_out(void)
{
    if (peers.side.rd == peers.side.len)
        return;
    struct kw_view v = kw_get_blob(&peers.side, 1 << 20);
    if (v.len == 0)
        return; /* so time passes */
    unsigned how = v.p[0], what = how & 3, before = n_clients;
    struct kw_view text = {v.p + 1, v.len - 1};
    if (what < MORE)
        client(listeners[what]);
    if (what < MORE && n_clients > before)
        say_there(clients, n_clients, n_clients - 1, how, text);
    else if (what == MORE)
        say_there(clients, n_clients, how >> 4, how, text);
    else if (what == SERVER)
        say_there(servers, n_servers, how >> 4, how, text);
}

static void idle(bool for_ever)
{
    listen_to(clients, n_clients, &to_client);
    listen_to(servers, n_servers, &to_server);
    if (peers_step(&peers)) {
        act_out();
        peers_idle(false);
    } else {
        peers_idle(for_ever);
    }
}

/* --- the run ---------------------------------------------------------------------------------- */

static void free_waiting(struct kw_asked_list *l)
{
    while (l->first != NULL) {
        struct kw_asked *a = l->first;
        l->first = a->next;
        free(a);
    }
}

/* What a process leaves to its end. */
static void tidy(struct kw_proxy *p)
{
    kw_secret_free(&p->scope.token);
    kw_secret_free(&p->next.token);
    EVP_PKEY_free(p->scope.decoy);
    kw_engine_free(p->engine);
    free_waiting(&p->asked);
    free_waiting(&p->waiting);
    while (p->first_dial != NULL) {
        struct kw_dialling *d = p->first_dial;
        p->first_dial = d->next;
        free(d);
    }
}

static int go(struct kw_proxy *p, struct kw_err *err)
{
    int r = start(p, err);
    if (r == 0)
        r = watch(p, err);
    result = 0;
    while (r == 0 && !p->over)
        r = kw_engine_turn(p->engine, err);
    if (r == 0 && result != 0) {
        r = result;
        *err = reason;
    }
    must(r <= 0 || err->text[0] != '\0');
    if (r > 0)
        kw_msg_send_error(&p->ctl, err);
    return r;
}

static bool says(const void *text, size_t n, const struct kw_secret *token)
{
    size_t len = kw_secret_len(token);
    return n > 0 && memmem(text, n, kw_secret_bytes(token), len) != NULL;
}

/* A token of some length that nobody in the input has but main, once. */
static bool only_mains(const unsigned char *data, size_t size, const struct kw_secret *token)
{
    size_t len = token != NULL ? kw_secret_len(token) : 0;
    const unsigned char *first = len >= 12 ? memmem(data, size, kw_secret_bytes(token), len) : NULL;
    return first != NULL && !says(first + 1, size - (size_t)(first + 1 - data), token);
}

static void check(const struct kw_proxy *p, const unsigned char *data, size_t size)
{
    const struct kw_secret *token = p->scope.token;
    if (!only_mains(data, size, token))
        return;
    must(!says(to_client.p, to_client.len, token));
    must(p->counts.requests > 0 || !says(to_server.p, to_server.len, token));
}

static void close_all(int *ends, unsigned *n)
{
    for (unsigned i = 0; i < *n; i++)
        if (ends[i] >= 0)
            (void)close(ends[i]);
    *n = 0;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static const enum kw_channel chans[] = {KW_CHAN_PROXY, KW_CHAN_PSIGN, KW_CHAN_PDIAL};
    struct kw_proxy *p = &proxy;
    struct kw_err err = {0};
    must(kw_secret_init(true, &err) == 0);
    fault_seed(data, &size);
    fault_no_waiting(idle);
    listeners[0] = listeners[1] = -1;
    kw_buf_init(&to_client, 8 << 20);
    kw_buf_init(&to_server, 8 << 20);
    memset(p, 0, sizeof *p);
    peers_open(&peers, KW_ROLE_PROXY, chans, 3, data, size);
    kw_chan_init(&p->ctl, KW_CHAN_PROXY, KW_ROLE_PROXY, peers.fds[0]);
    kw_chan_init(&p->sign, KW_CHAN_PSIGN, KW_ROLE_PROXY, peers.fds[1]);
    kw_chan_init(&p->dial, KW_CHAN_PDIAL, KW_ROLE_PROXY, peers.fds[2]);
    fault_begin();
#ifdef KW_MSAN /* OpenSSL calls the C library with what MSan hasn't seen it write (msan.c) */
    __msan_scoped_disable_interceptor_checks();
    (void)go(p, &err);
    __msan_scoped_enable_interceptor_checks();
#else
    (void)go(p, &err);
#endif
    (void)fault_end();
    listen_to(clients, n_clients, &to_client);
    listen_to(servers, n_servers, &to_server);
    check(p, data, size);
    tidy(p);
    close_all(clients, &n_clients);
    close_all(servers, &n_servers);
    kw_buf_free(&to_client);
    kw_buf_free(&to_server);
    for (size_t i = 0; i < 3; i++)
        (void)close(peers.fds[i]);
    peers_end(&peers);
    return 0;
}
