/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy_int.h"

/* What OpenSSL's answer means; all its errors are ours to forget. */
static long tls_result(struct kw_side *s, int r)
{
    int e = SSL_get_error(s->ssl, r);
    ERR_clear_error();
    s->wants = 0;
    switch (e) {
    case SSL_ERROR_NONE:
        return r;
    case SSL_ERROR_WANT_READ:
        s->wants = EPOLLIN;
        return -1;
    case SSL_ERROR_WANT_WRITE:
        s->wants = EPOLLOUT;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        s->eof = s->clean = true;
        return 0;
    default: /* also an end without close_notify: cut off, or an attack */
        s->eof = s->broken = true;
        return -2;
    }
}

static long side_read(struct kw_side *s, void *p, size_t n)
{
    if (s->eof)
        return s->broken ? -2 : 0;
    if (s->ssl != NULL)
        return tls_result(s, SSL_read(s->ssl, p, n > INT32_MAX ? INT32_MAX : (int)n));
    ssize_t r = recv(s->fd, p, n, 0);
    s->wants = 0;
    if (r > 0)
        return r;
    if (r == 0) {
        s->eof = s->clean = true;
        return 0;
    }
    if (errno == EAGAIN || errno == EINTR) {
        s->wants = EPOLLIN;
        return -1;
    }
    s->eof = s->broken = true;
    return -2;
}

static long side_write(struct kw_side *s, const void *p, size_t n)
{
    if (s->broken)
        return -2;
    if (s->ssl != NULL)
        return tls_result(s, SSL_write(s->ssl, p, n > INT32_MAX ? INT32_MAX : (int)n));
    ssize_t r = send(s->fd, p, n, MSG_NOSIGNAL);
    s->wants = 0;
    if (r >= 0)
        return r > 0 ? r : -1;
    if (errno == EAGAIN || errno == EINTR) {
        s->wants = EPOLLOUT;
        return -1;
    }
    s->broken = true;
    return -2;
}

long kw_side_read(struct kw_side *s, void *p, size_t n)
{
    long r = side_read(s, p, n);
    s->rwants = r == -1 ? s->wants : EPOLLIN;
    return r;
}

long kw_side_write(struct kw_side *s, const void *p, size_t n)
{
    long r = side_write(s, p, n);
    s->wwants = r == -1 ? s->wants : EPOLLOUT;
    return r;
}

void kw_side_no_delay(int fd)
{
    const int one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

int kw_side_handshake(struct kw_side *s)
{
    long r = tls_result(s, SSL_do_handshake(s->ssl));
    s->ready = r > 0;
    return r > 0 ? 1 : r == -1 ? 0 : -1;
}

void kw_side_arm(struct kw_engine *e, struct kw_side *s, uint32_t mask)
{
    struct epoll_event ev = {.events = mask, .data.ptr = &s->source};
    if (s->fd < 0 || s->armed == mask)
        return;
    /* Nothing to wait for: not in there at all, or a hang-up would be told without end. */
    int op = s->armed == 0 ? EPOLL_CTL_ADD : mask == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
    if (epoll_ctl(e->epoll, op, s->fd, &ev) == 0)
        s->armed = mask;
    else
        s->broken = true;
}

void kw_side_close(struct kw_engine *e, struct kw_side *s, bool hard)
{
    if (s->fd < 0)
        return;
    kw_side_arm(e, s, 0);
    if (s->ssl != NULL) {
        if (!hard && s->ready && !s->broken)
            (void)SSL_shutdown(s->ssl);
        SSL_free(s->ssl);
        ERR_clear_error();
    }
    (void)close(s->fd);
    *s = (struct kw_side){.source = s->source, .fd = -1};
}

long kw_flow_fill(struct kw_flow *f, struct kw_side *s)
{
    if (f->p == NULL && (f->p = malloc(KW_FLOW_ROOM)) == NULL)
        return -2;
    if (f->off > 0 && f->off + f->len == KW_FLOW_ROOM) {
        memmove(f->p, f->p + f->off, f->len);
        f->off = 0;
    }
    size_t room = KW_FLOW_ROOM - f->off - f->len;
    if (room == 0)
        return -1;
    long r = kw_side_read(s, f->p + f->off + f->len, room);
    if (r > 0)
        f->len += (size_t)r;
    else if (f->len == 0)
        kw_flow_free(f);
    return r;
}

void kw_flow_drop(struct kw_flow *f, size_t n)
{
    f->off += n;
    f->len -= n;
    f->passed = f->passed > n ? f->passed - n : 0;
    if (f->len == 0)
        kw_flow_free(f);
}

long kw_flow_send(struct kw_flow *f, struct kw_side *s)
{
    if (f->passed == 0)
        return -1;
    long r = kw_side_write(s, f->p + f->off, f->passed);
    if (r > 0)
        kw_flow_drop(f, (size_t)r);
    return r;
}

/* Tokens pass through here in clear. */
void kw_flow_free(struct kw_flow *f)
{
    if (f->p != NULL)
        explicit_bzero(f->p, KW_FLOW_ROOM);
    free(f->p);
    *f = (struct kw_flow){NULL, 0, 0, 0};
}

int kw_out_send(struct kw_buf *b, size_t *off, struct kw_side *s)
{
    while (*off < b->len) {
        long r = kw_side_write(s, b->p + *off, b->len - *off);
        if (r <= 0)
            return r == -1 ? 0 : -1;
        *off += (size_t)r;
    }
    if (b->len > 0) {
        kw_buf_free(b);
        *off = 0;
    }
    return 1;
}
