/* SPDX-License-Identifier: Apache-2.0
 *
 * Listeners on 127.0.0.1, one thread per connection (bounded), an orderly end.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "lab.h"

enum { IDLE_SECONDS = 30, CONNS_MAX = 256 };

/* The connections under way, so that the end can cut them all. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    int fd[CONNS_MAX];
    unsigned n;
    int wake; /* eventfd: a slot is free again */
} live = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, {0}, 0, -1};

struct job {
    struct lab *lab;
    int fd;
    enum lab_door door;
};

static void live_add(int fd)
{
    pthread_mutex_lock(&live.lock);
    live.fd[live.n++] = fd;
    pthread_mutex_unlock(&live.lock);
}

/* Closes under the lock: the end must never cut a descriptor that has a new owner. */
static void live_close(int fd)
{
    uint64_t one = 1;
    pthread_mutex_lock(&live.lock);
    for (unsigned i = 0; i < live.n; i++)
        if (live.fd[i] == fd) {
            live.fd[i] = live.fd[--live.n];
            break;
        }
    close(fd);
    if (write(live.wake, &one, sizeof one) != (ssize_t)sizeof one)
        abort(); /* an eventfd takes 8 bytes unless it overflows after 2^64 */
    pthread_cond_signal(&live.ended);
    pthread_mutex_unlock(&live.lock);
}

static unsigned live_count(void)
{
    pthread_mutex_lock(&live.lock);
    unsigned n = live.n;
    pthread_mutex_unlock(&live.lock);
    return n;
}

static void say(const struct lab *l, const struct lab_request *r, const struct lab_response *a)
{
    if (l->opt.verbose)
        fprintf(stderr, "keyward-lab: %d %s %s %s%s%s\n", a->status,
                r->method == NULL ? "-" : r->method, r->host, r->target == NULL ? "-" : r->target,
                r->verdict[0] ? " - " : "", r->verdict);
}

/* Refusals of the HTTP layer itself are logged like any answer. */
static void unreadable(struct lab *l, struct lab_request *r, struct lab_response *a, int status,
                       const char *why)
{
    lab_verdict(r, "refused: %s", why);
    lab_reply_bytes(a, status, "text/plain", why, strlen(why));
    r->close = true;
    lab_journal_add(l, r, a);
}

/* One request and its answer; false when the connection is over. */
static bool serve_one(struct lab *l, struct lab_conn *c, struct kw_buf *head)
{
    struct lab_request *r = calloc(1, sizeof *r);
    struct lab_response a = {0};
    const char *why = "", *sni = NULL;
    bool more = false;
    if (c->ssl != NULL)
        sni = SSL_get_servername(c->ssl, TLSEXT_NAMETYPE_host_name);
    if (r == NULL)
        return false;
    kw_buf_init(&a.headers, 32768);
    kw_buf_init(&a.body, (size_t)l->opt.max_body + (64u << 20));
    r->sni = sni == NULL ? "" : sni;
    r->plain = c->ssl == NULL;
    r->client = r->plain ? NULL : SSL_get1_peer_certificate(c->ssl);
    r->tls = r->plain ? "" : SSL_get_version(c->ssl);
    r->port = c->port;
    int got = lab_http_read(c, (size_t)l->opt.max_body, head, r, &why);
    if (got == 1)
        lab_dispatch(l, r, &a);
    else if (got > 1)
        unreadable(l, r, &a, got, why);
    if (got != 0) {
        say(l, r, &a);
        more = !r->hit.on[LAB_DROP] && !r->hit.on[LAB_CUT] && lab_http_send(c, r, &a, lab_now(l));
    }
    kw_buf_free(&a.headers);
    kw_buf_free(&a.body);
    kw_buf_free(&r->body);
    kw_buf_free(&r->signing);
    X509_free(r->client);
    free(r);
    return more;
}

static void serve(struct lab *l, struct lab_conn *c)
{
    bool more = c->ssl == NULL || SSL_accept(c->ssl) == 1;
    while (more) {
        struct kw_buf head;
        kw_buf_init(&head, LAB_HEAD_MAX + 16);
        more = serve_one(l, c, &head);
        kw_buf_free(&head);
    }
    ERR_clear_error();
    if (c->ssl != NULL)
        SSL_shutdown(c->ssl);
}

/* Lets the peer read the answer before the kernel resets a connection on which bytes
 * are still unread (a refused upload): half-close, then read on for a second at most. */
static void drain(int fd)
{
    struct timeval second = {1, 0};
    char sink[4096];
    ssize_t n = 1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
    shutdown(fd, SHUT_WR);
    for (int i = 0; i < 4096 && n > 0; i++)
        n = read(fd, sink, sizeof sink);
}

static void *connection(void *arg)
{
    struct job *job = arg;
    bool plain = job->door == LAB_DOOR_PLAIN;
    struct lab_conn c = {
        plain ? NULL : SSL_new(job->lab->ctx[job->door]), job->fd, job->lab->port[job->door], {0}};
    struct timeval idle = {IDLE_SECONDS, 0};
    setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &idle, sizeof idle);
    setsockopt(c.fd, SOL_SOCKET, SO_SNDTIMEO, &idle, sizeof idle);
    kw_buf_init(&c.in, LAB_HEAD_MAX + 65536);
    if (plain || (c.ssl != NULL && SSL_set_fd(c.ssl, c.fd) == 1))
        serve(job->lab, &c);
    if (c.ssl == NULL || SSL_get_quiet_shutdown(c.ssl) == 0) /* else: a reset is wanted */
        drain(c.fd);
    SSL_free(c.ssl);
    kw_buf_free(&c.in);
    live_close(c.fd);
    free(job);
    return NULL;
}

static void start(struct lab *l, enum lab_door door, const pthread_attr_t *detached)
{
    int fd = accept4(l->listener[door], NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    /* Head and body go out in two writes: without this the second would wait for the
     * client's delayed acknowledgement, and every answer cost 40 ms. */
    const int one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct job *job = malloc(sizeof *job);
    pthread_t thread;
    live_add(fd);
    if (job != NULL) {
        *job = (struct job){l, fd, door};
        if (pthread_create(&thread, detached, connection, job) == 0)
            return;
    }
    free(job);
    live_close(fd);
}

static int listen_on(unsigned port, unsigned *ret_port, struct kw_err *err)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, (struct sockaddr *)&at, n) != 0 || listen(fd, 128) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &n) != 0) {
        kw_fail_errno(err, KW_FAILED, "listening on 127.0.0.1:%u", port);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    *ret_port = ntohs(at.sin_port);
    return fd;
}

int lab_server_open(struct lab *l, struct kw_err *err)
{
    for (int door = 0; door < LAB_DOORS; door++) {
        unsigned port = door == LAB_DOOR_GOOD ? l->opt.port : 0;
        l->listener[door] = listen_on(port, &l->port[door], err);
        if (l->listener[door] < 0)
            return (int)err->code;
    }
    live.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return live.wake < 0 ? kw_fail_errno(err, KW_FAILED, "making an eventfd") : 0;
}

/* Cuts what is under way and waits for the threads, at most two seconds. Tells
 * whether all are gone, that is, whether shared state may be freed. */
static bool cut_all(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 2;
    pthread_mutex_lock(&live.lock);
    for (unsigned i = 0; i < live.n; i++)
        shutdown(live.fd[i], SHUT_RDWR);
    while (live.n > 0 && pthread_cond_timedwait(&live.ended, &live.lock, &until) == 0)
        ;
    bool gone = live.n == 0;
    pthread_mutex_unlock(&live.lock);
    return gone;
}

static void loop(struct lab *l, int signals, const pthread_attr_t *detached)
{
    struct pollfd p[LAB_DOORS + 2];
    p[LAB_DOORS] = (struct pollfd){live.wake, POLLIN, 0};
    p[LAB_DOORS + 1] = (struct pollfd){signals, POLLIN, 0};
    for (;;) {
        bool full = live_count() >= l->opt.max_conns;
        for (int door = 0; door < LAB_DOORS; door++)
            p[door] = (struct pollfd){l->listener[door], full ? 0 : POLLIN, 0};
        if (poll(p, LAB_DOORS + 2, -1) < 0 && errno != EINTR)
            return;
        uint64_t drained;
        if ((p[LAB_DOORS].revents & POLLIN) != 0 && read(live.wake, &drained, sizeof drained) < 0 &&
            errno != EAGAIN)
            return;
        if ((p[LAB_DOORS + 1].revents & POLLIN) != 0)
            return;
        for (int door = 0; door < LAB_DOORS; door++)
            if ((p[door].revents & POLLIN) != 0 && live_count() < l->opt.max_conns)
                start(l, (enum lab_door)door, detached);
    }
}

int lab_server_run(struct lab *l, struct kw_err *err)
{
    sigset_t set; /* blocked in main() before any thread was made */
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    int signals = signalfd(-1, &set, SFD_CLOEXEC);
    pthread_attr_t detached;
    if (signals < 0)
        return kw_fail_errno(err, KW_FAILED, "making a signalfd");
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    loop(l, signals, &detached);
    pthread_attr_destroy(&detached);
    close(signals);
    for (int door = 0; door < LAB_DOORS; door++)
        close(l->listener[door]);
    if (!cut_all())
        return kw_fail(err, KW_FAILED, "connections are still busy after two seconds");
    return 0;
}
