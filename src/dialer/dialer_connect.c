/* SPDX-License-Identifier: Apache-2.0 */
#include "dialer_connect.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "policy/rules.h"
#include "src/wire/url.h"

enum { ADDRESSES_MAX = 16 };

/* --- TCP ------------------------------------------------------------------------ */

static void print_address(const struct sockaddr *sa, char *out, size_t size)
{
    char text[INET6_ADDRSTRLEN] = "?";
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, sa, sizeof v4);
        (void)inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
        (void)snprintf(out, size, "%s:%u", text, (unsigned)ntohs(v4.sin_port));
    } else {
        struct sockaddr_in6 v6;
        memcpy(&v6, sa, sizeof v6);
        (void)inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
        (void)snprintf(out, size, "[%s]:%u", text, (unsigned)ntohs(v6.sin6_port));
    }
}

/* Waits for events on fd: 1, 0 at the deadline, -1 with errno. */
static int wait_fd(int fd, short events, int64_t deadline_ms)
{
    struct pollfd p = {.fd = fd, .events = events};
    int n;
    do
        n = poll(&p, 1, kw_left_ms(deadline_ms));
    while (n < 0 && errno == EINTR);
    return n;
}

/* A connected socket, or -1 with errno. */
static int connect_one(const struct addrinfo *a, int64_t deadline_ms)
{
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0)
        return -1;
    int error = 0;
    socklen_t n = sizeof error;
    if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
        return fd;
    if (errno != EINPROGRESS)
        error = errno;
    else {
        int ready = wait_fd(fd, POLLOUT, deadline_ms);
        if (ready == 0)
            error = ETIMEDOUT;
        else if (ready < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0)
            error = errno;
    }
    if (error == 0)
        return fd;
    (void)close(fd);
    errno = error;
    return -1;
}

/* Tries each address in turn; the time that is left is shared among those that are
 * left, so that one that swallows packets can't take it all. */
static int connect_any(const char *name, const struct addrinfo *list, int64_t deadline_ms,
                       int *ret_fd, char *address, size_t size, struct kw_err *err)
{
    char tried[512] = "";
    int left = 0;
    for (const struct addrinfo *a = list; a != NULL && left < ADDRESSES_MAX; a = a->ai_next)
        left++;
    for (const struct addrinfo *a = list; left > 0; a = a->ai_next, left--) {
        char one[64];
        print_address(a->ai_addr, one, sizeof one);
        int fd = connect_one(a, kw_now_ms() + kw_left_ms(deadline_ms) / left);
        if (fd >= 0) {
            (void)snprintf(address, size, "%s", one);
            *ret_fd = fd;
            return 0;
        }
        size_t n = strlen(tried);
        (void)snprintf(tried + n, sizeof tried - n, "%s%s: %s", n > 0 ? ", " : "", one,
                       strerror(errno));
    }
    return kw_fail(err, KW_NET, "could not connect to %s (%s)", name,
                   tried[0] != '\0' ? tried : "it has no address");
}

static int connect_name(const char *host, uint32_t port, int64_t deadline_ms, int *ret_fd,
                        char *address, size_t size, struct kw_err *err)
{
    struct addrinfo *list = NULL;
    char name[KW_HOST + 16];
    (void)snprintf(name, sizeof name, strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host,
                   (unsigned)port);
    int r = kw_resolver_ask(host, port, deadline_ms, &list, err);
    if (r != 0)
        return r;
    r = connect_any(name, list, deadline_ms, ret_fd, address, size, err);
    freeaddrinfo(list);
    return r;
}

/* --- CONNECT -------------------------------------------------------------------- */

static int send_all(int fd, const char *text, size_t n, int64_t deadline_ms)
{
    while (n > 0) {
        int ready = wait_fd(fd, POLLOUT, deadline_ms);
        ssize_t w = ready > 0 ? send(fd, text, n, MSG_NOSIGNAL) : -1;
        if (ready == 0)
            errno = ETIMEDOUT;
        if (w < 0 && errno != EINTR && errno != EAGAIN)
            return -1;
        if (w > 0) {
            text += w;
            n -= (size_t)w;
        }
    }
    return 0;
}

/* Reads up to the empty line, byte by byte: what comes after belongs to TLS. */
static int read_head(int fd, char *head, size_t max, size_t *ret_n, int64_t deadline_ms)
{
    size_t n = 0;
    while (n < max) {
        int ready = wait_fd(fd, POLLIN, deadline_ms);
        ssize_t got = ready > 0 ? recv(fd, head + n, 1, 0) : -1;
        if (ready == 0)
            errno = ETIMEDOUT;
        if (got == 0)
            errno = ECONNRESET;
        if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN))
            return -1;
        if (got < 0)
            continue;
        n++;
        if (n >= 4 && memcmp(head + n - 4, "\r\n\r\n", 4) == 0) {
            *ret_n = n;
            return 0;
        }
    }
    errno = EMSGSIZE;
    return -1;
}

static int proxy_status(int fd, const char *host, uint32_t port, int64_t deadline_ms,
                        unsigned *ret_status, struct kw_err *err)
{
    char request[1024], head[KW_PROXY_HEAD], name[KW_HOST + 16];
    size_t n = 0;
    (void)snprintf(name, sizeof name, strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host,
                   (unsigned)port);
    int len =
        snprintf(request, sizeof request,
                 "CONNECT %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: keyward/" KW_VERSION "\r\n\r\n",
                 name, name);
    if (send_all(fd, request, (size_t)len, deadline_ms) != 0 ||
        read_head(fd, head, sizeof head, &n, deadline_ms) != 0)
        return kw_fail_errno(err, KW_NET, "[dial] proxy: asked for %s, got no answer", name);
    if (!kw_proxy_status(head, n, ret_status))
        return kw_fail(err, KW_NET, "[dial] proxy: asked for %s, the answer is not HTTP", name);
    return 0;
}

static int connect_proxy(const struct kw_m_dialer_start *c, const struct kw_m_dial *want,
                         int64_t deadline_ms, int *ret_fd, char *address, size_t size,
                         struct kw_err *err)
{
    char host[KW_HOST];
    uint16_t port = 0;
    unsigned status = 0;
    int fd = -1;
    int r = kw_proxy_parse(c->proxy, host, sizeof host, &port, err);
    if (r == 0 && (r = connect_name(host, port, deadline_ms, &fd, address, size, err)) != 0)
        return kw_err_wrap(err, "[dial] proxy");
    if (r == 0)
        r = proxy_status(fd, want->host, want->port, deadline_ms, &status, err);
    if (r == 0 && (status < 200 || status > 299))
        r = kw_fail(err, KW_NET, "[dial] proxy %s:%u refused to connect to %s:%u (status %u)%s",
                    host, (unsigned)port, want->host, (unsigned)want->port, status,
                    status == 407 ? ": it demands a login, which keyward can't give" : "");
    if (r == 0)
        *ret_fd = fd;
    else if (fd >= 0)
        (void)close(fd);
    return r;
}

/* --- all of it ------------------------------------------------------------------ */

int kw_dialer_connect(const struct kw_m_dialer_start *c, const struct kw_m_dial *want, int *ret_fd,
                      char *address, size_t size, struct kw_err *err)
{
    char other[KW_HOST];
    uint32_t port = 0;
    uint32_t ms = want->timeout_ms < c->timeout_ms ? want->timeout_ms : c->timeout_ms;
    int64_t deadline_ms = kw_now_ms() + ms;
    int r = kw_dial_judge(c->dial, want->host, want->port, err);
    if (r != 0)
        return r;
    if (kw_dial_resolve(c->resolve, want->host, want->port, other, sizeof other, &port)) {
        r = connect_name(other, port, deadline_ms, ret_fd, address, size, err);
        return r == 0
                   ? 0
                   : kw_err_wrap(err, "%s:%u by [dial] resolve", want->host, (unsigned)want->port);
    }
    if (c->proxy[0] != '\0' && !kw_host_local(want->host))
        return connect_proxy(c, want, deadline_ms, ret_fd, address, size, err);
    return connect_name(want->host, want->port, deadline_ms, ret_fd, address, size, err);
}
