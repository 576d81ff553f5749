/* SPDX-License-Identifier: Apache-2.0
 *
 * The ends of the conversations that the proxy's engine has (proxy_rig.h): clients and
 * the cloud. What does not come fails the test after RIG_WAIT_MS. */
#ifndef KW_TEST_PROXY_ENDS_H
#define KW_TEST_PROXY_ENDS_H

#include <errno.h>

#include "proxy_rig.h"

/* --- one end of a conversation, in the clear or in TLS ----------------------------------- */

struct end {
    int fd;
    SSL *ssl;
};

/* Bytes, or 0 for an end that was said, -1 for one that was not. */
static long rig_read(struct end *x, void *p, size_t n)
{
    if (x->ssl == NULL) {
        ssize_t got = recv(x->fd, p, n, 0);
        if (got < 0 && errno == EAGAIN)
            fail_msg("nothing came in time");
        return got;
    }
    int r = SSL_read(x->ssl, p, (int)n), e = SSL_get_error(x->ssl, r);
    ERR_clear_error();
    if (e == SSL_ERROR_WANT_READ)
        fail_msg("nothing came in time");
    return r > 0 ? r : e == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

static bool rig_send(struct end *x, const void *p, size_t n)
{
    bool ok = x->ssl == NULL ? send(x->fd, p, n, MSG_NOSIGNAL) == (ssize_t)n
                             : n == 0 || SSL_write(x->ssl, p, (int)n) == (int)n;
    ERR_clear_error();
    return ok;
}

static void say(struct end *x, const char *text)
{
    assert_true(rig_send(x, text, strlen(text)));
}

/* Reads exactly this. */
static void hear(struct end *x, const char *text)
{
    static char got[RIG_TEXT];
    size_t n = 0, want = strlen(text);
    while (n < want) {
        long r = rig_read(x, got + n, want - n);
        if (r <= 0)
            fail_msg("ended (%ld) after \"%.*s\", not \"%s\"", r, (int)n, got, text);
        n += (size_t)r;
    }
    got[n] = '\0';
    assert_string_equal(got, text);
}

/* Reads a head byte by byte. */
static const char *hear_head(struct end *x)
{
    static char head[RIG_TEXT];
    size_t n = 0;
    while (n < 4 || memcmp(head + n - 4, "\r\n\r\n", 4) != 0) {
        if (n + 1 == sizeof head || rig_read(x, head + n, 1) != 1)
            fail_msg("ended after \"%.*s\"", (int)n, head);
        n++;
    }
    head[n] = '\0';
    return head;
}

/* The rest, until the end; its kind as rig_read() has it. */
static long hear_rest(struct end *x, char *out, size_t size)
{
    size_t n = 0;
    long r;
    while ((r = rig_read(x, out + n, size - 1 - n)) > 0)
        n += (size_t)r;
    out[n] = '\0';
    return r;
}

static void ends(struct end *x, long how)
{
    char more[RIG_TEXT];
    assert_int_equal(hear_rest(x, more, sizeof more), how);
    assert_string_equal(more, "");
}

static void refused(struct end *x, const char *status, const char *word)
{
    char rest[RIG_TEXT];
    const char *head = hear_head(x);
    if (strncmp(head + 9, status, 3) != 0)
        fail_msg("not %s: %s", status, head);
    long n = strtol(strstr(head, "Content-Length: ") + 16, NULL, 10);
    for (long got = 0; got < n; got++)
        assert_int_equal(rig_read(x, rest + got, 1), 1);
    rest[n] = '\0';
    if (strstr(rest, word) == NULL)
        fail_msg("says %s", rest);
}

static void leave(struct end *x)
{
    SSL_free(x->ssl);
    (void)close(x->fd);
    *x = (struct end){-1, NULL};
}

/* With a reset instead of an end. */
static inline void leave_hard(struct end *x)
{
    const struct linger l = {1, 0};
    (void)setsockopt(x->fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
    leave(x);
}

/* --- the client and the cloud ----------------------------------------------------------------- */

static struct end plain_client(uint16_t port)
{
    return (struct end){rig_connect(port), NULL};
}

/* TLS with the proxy in the name of this host; false: no handshake. */
static bool client_tls(struct end *x, const char *host)
{
    x->ssl = SSL_new(rig.client_ctx);
    bool ok = SSL_set_fd(x->ssl, x->fd) == 1 && SSL_set1_host(x->ssl, host) == 1 &&
              SSL_set_tlsext_host_name(x->ssl, host) == 1 && SSL_connect(x->ssl) == 1;
    ERR_clear_error();
    return ok;
}

static struct end client(void)
{
    struct end x = plain_client(rig.proxy_port);
    say(&x, "CONNECT " HOST ":443 HTTP/1.1\r\nHost: " HOST ":443\r\n\r\n");
    assert_non_null(strstr(hear_head(&x), " 200 "));
    assert_true(client_tls(&x, HOST));
    return x;
}

/* The next connection that the proxy makes, in the clear. */
static struct end cloud_plain(void)
{
    struct pollfd p = {.fd = rig.cloud, .events = POLLIN};
    const struct timeval wait = {RIG_WAIT_MS / 1000, 0};
    assert_int_equal(poll(&p, 1, RIG_WAIT_MS), 1);
    struct end x = {accept4(rig.cloud, NULL, NULL, SOCK_CLOEXEC), NULL};
    assert_true(x.fd >= 0);
    (void)setsockopt(x.fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    (void)setsockopt(x.fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    return x;
}

static struct end cloud(void)
{
    struct end x = cloud_plain();
    x.ssl = SSL_new(rig.cloud_ctx);
    assert_int_equal(SSL_set_fd(x.ssl, x.fd), 1);
    assert_int_equal(SSL_accept(x.ssl), 1);
    return x;
}

/* Nothing has come, and nothing comes for a while. */
static bool is_quiet(struct end *x)
{
    struct pollfd p = {.fd = x->fd, .events = POLLIN};
    return (x->ssl == NULL || SSL_pending(x->ssl) == 0) && poll(&p, 1, 300) == 0;
}

#endif
