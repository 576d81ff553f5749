/* SPDX-License-Identifier: Apache-2.0
 *
 * The exchanger between a main, a keeper and a dialer of the test's, and a TLS server. */
#ifndef KW_TEST_EXCHANGER_RIG_H
#define KW_TEST_EXCHANGER_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

#include "role.h"
#include "src/wire/hdr.h"
#include "tls_server.h"

#define OK_TOKEN   "HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{\"token\":\"a.b.c\"}"
#define LEN(array) (sizeof(array) / sizeof(array)[0])

static uid_t run_as;
static char dir[] = "/tmp/keyward-test-XXXXXX", ca_path[64];

struct rig {
    struct role role;
    struct kw_chan ctl, sign, dial;
    struct server server;
    pthread_t peers;
    int stop[2];
    /* what the dialer of this test does instead of dialling */
    struct kw_err refuse_dial;
    bool rubbish_from_keeper;
    unsigned dials;
    struct kw_m_sign asked; /* the last S_SIGN */
};

/* --- dialer and keeper ---------------------------------------------------------------- */

static inline int connect_server(const struct rig *r)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)r->server.port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr sa;
    memcpy(&sa, &a, sizeof sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, &sa, sizeof sa) != 0)
        abort();
    (void)fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
    return fd;
}

static inline void answer_dial(struct rig *r)
{
    struct kw_in in;
    struct kw_m_dial m;
    struct kw_err err;
    if (kw_msg_expect(&r->dial, KW_D_DIAL, &m, &in, 1000, &err) == 0) {
        struct kw_m_dialed dialed = {"127.0.0.1"};
        r->dials++;
        if (r->refuse_dial.code != KW_OK)
            kw_msg_send_error(&r->dial, &r->refuse_dial);
        else {
            int fd = connect_server(r);
            (void)kw_msg_send(&r->dial, KW_D_DIALED, &dialed, &fd, 1, 1000, &err);
            (void)close(fd);
        }
    }
    kw_in_free(&in);
}

static inline void answer_sign(struct rig *r)
{
    struct kw_in in;
    struct kw_err err;
    static const unsigned char signature[] = "signature";
    struct kw_m_signed s = {.signature = {signature, 9}};
    if (kw_chan_recv(&r->sign, &in, 1000, &err) != 0)
        ;
    else if (r->rubbish_from_keeper)
        (void)send(r->sign.fd, "rubbish that is no message", 26, MSG_NOSIGNAL);
    else if (in.type == KW_S_SIGN && kw_msg_get(&in.body, KW_S_SIGN, &r->asked))
        (void)kw_msg_send(&r->sign, KW_S_SIGNED, &s, NULL, 0, 1000, &err);
    else if (in.type == KW_S_ASSERT) {
        struct kw_m_asserted a = {.jwt = kw_secret_from("x.y.z", 5)};
        (void)kw_msg_send(&r->sign, KW_S_ASSERTED, &a, NULL, 0, 1000, &err);
        kw_secret_free(&a.jwt);
    }
    kw_in_free(&in);
}

static inline void *play_peers(void *arg)
{
    struct rig *r = arg;
    struct pollfd p[3] = {{.fd = r->dial.fd, .events = POLLIN},
                          {.fd = r->sign.fd, .events = POLLIN},
                          {.fd = r->stop[0], .events = POLLIN}};
    while (poll(p, 3, -1) > 0 && p[2].revents == 0) {
        for (size_t i = 0; i < 2; i++)
            if ((p[i].revents & POLLIN) != 0)
                (i == 0 ? answer_dial : answer_sign)(r);
            else if (p[i].revents != 0)
                p[i].fd = -1;
    }
    return NULL;
}

/* --- the rig ------------------------------------------------------------------------- */

static inline struct rig *rig_start(enum server_tls tls, uint32_t timeout_ms)
{
    struct rig *r = calloc(1, sizeof *r);
    struct kw_err err;
    struct kw_in in;
    struct kw_m_ready ready;
    struct kw_m_exchanger_start start = {.timeout_ms = timeout_ms};
    assert_non_null(r);
    server_start(&r->server, tls, ca_path);
    (void)snprintf(start.ca_file, sizeof start.ca_file, "%s", ca_path);
    assert_int_equal(role_start(&r->role, "exchanger",
                                1u << KW_FD_CTL | 1u << KW_FD_PEER | 1u << KW_FD_DIAL, run_as),
                     0);
    kw_chan_init(&r->ctl, KW_CHAN_EXCHANGER, KW_ROLE_MAIN, r->role.ends[KW_FD_CTL]);
    kw_chan_init(&r->sign, KW_CHAN_SIGN, KW_ROLE_KEEPER, r->role.ends[KW_FD_PEER]);
    kw_chan_init(&r->dial, KW_CHAN_DIAL, KW_ROLE_DIALER, r->role.ends[KW_FD_DIAL]);
    assert_int_equal(pipe2(r->stop, O_CLOEXEC), 0);
    assert_int_equal(pthread_create(&r->peers, NULL, play_peers, r), 0);
    assert_int_equal(kw_msg_send(&r->ctl, KW_XM_START, &start, NULL, 0, 1000, &err), 0);
    int got = kw_msg_expect(&r->ctl, KW_XM_READY, &ready, &in, 20000, &err);
    if (got != 0)
        print_message("%s\n", err.text);
    assert_int_equal(got, 0);
    assert_non_null(strstr(ready.fences, "seccomp"));
    kw_in_free(&in);
    return r;
}

static inline void rig_stop(struct rig *r, int code)
{
    assert_int_equal(write(r->stop[1], "x", 1), 1);
    assert_int_equal(pthread_join(r->peers, NULL), 0);
    assert_int_equal(role_end(&r->role), code);
    server_end(&r->server);
    (void)close(r->stop[0]);
    (void)close(r->stop[1]);
    free(r);
}

static inline void rig_end(struct rig *r)
{
    struct kw_err err;
    assert_int_equal(kw_msg_send(&r->ctl, KW_XM_CLOSE, NULL, NULL, 0, 1000, &err), 0);
    rig_stop(r, 0);
}

/* --- main's requests ------------------------------------------------------------------- */

static inline void send_exchange(struct rig *r, enum kw_client_auth auth)
{
    struct kw_err err;
    struct kw_m_exchange x = {.domain_url = "https://idcs.test",
                              .auth = auth,
                              .client_id = "client",
                              .client_key_id = "t/u/f"};
    x.client_secret = kw_secret_from("secret", 6);
    assert_int_equal(kw_msg_send(&r->ctl, KW_XM_EXCHANGE, &x, NULL, 0, 1000, &err), 0);
    kw_secret_free(&x.client_secret);
}

static inline int send_go(struct rig *r, struct kw_err *err)
{
    static const unsigned char spki[] = {1, 2, 3};
    struct kw_m_go go = {.spki = {spki, sizeof spki}, .subject = kw_secret_from("s.u.b", 5)};
    struct kw_m_token t = {.token = NULL};
    struct kw_in in;
    assert_int_equal(kw_msg_send(&r->ctl, KW_XM_GO, &go, NULL, 0, 1000, err), 0);
    kw_secret_free(&go.subject);
    int got = kw_msg_expect(&r->ctl, KW_XM_TOKEN, &t, &in, 20000, err);
    if (got == 0)
        assert_string_equal(kw_secret_bytes(t.token), "a.b.c");
    kw_secret_free(&t.token);
    kw_in_free(&in);
    return got;
}

static inline int exchange(struct rig *r, struct kw_err *err)
{
    send_exchange(r, KW_AUTH_BASIC);
    return send_go(r, err);
}

static inline int exchange_with(struct rig *r, struct reply reply, struct kw_err *err)
{
    server_script(&r->server, &reply, 1);
    return exchange(r, err);
}

static inline void use_session(struct rig *r)
{
    struct kw_err err;
    struct kw_m_session s = {.token = kw_secret_from("t.o.k", 5)};
    assert_int_equal(kw_msg_send(&r->ctl, KW_XM_SESSION, &s, NULL, 0, 1000, &err), 0);
    kw_secret_free(&s.token);
}

struct result {
    struct kw_m_head head;
    uint64_t body_len;
    char *body;
    size_t n;
    int fd;
};

static inline void *drain(void *arg)
{
    struct result *res = arg;
    ssize_t got;
    while ((got = read(res->fd, res->body + res->n, SERVER_BODY - res->n - 1)) > 0)
        res->n += (size_t)got;
    res->body[res->n] = '\0';
    return NULL;
}

struct feed {
    int fd;
    const char *bytes;
    size_t n;
};

static inline void *push(void *arg)
{
    const struct feed *f = arg;
    for (size_t done = 0; done < f->n;) {
        ssize_t w = write(f->fd, f->bytes + done, f->n - done);
        if (w <= 0)
            break;
        done += (size_t)w;
    }
    (void)close(f->fd);
    return NULL;
}

/* One XM_CALL; body may be NULL. given: bytes that really come (of n that are said). */
static inline int call_body(struct rig *r, const char *method, const char *url, const char *headers,
                            const char *body, size_t n, size_t given, struct result *res,
                            struct kw_err *err)
{
    int in[2], out[2];
    pthread_t reader, writer;
    struct kw_in msg;
    struct kw_m_end end = {0};
    struct kw_m_call m = {.body_len = n, .has_body = body != NULL};
    (void)snprintf(m.method, sizeof m.method, "%s", method);
    (void)snprintf(m.url, sizeof m.url, "%s", url);
    (void)snprintf(m.headers, sizeof m.headers, "%s", headers);
    (void)snprintf(m.body_sha256, sizeof m.body_sha256, "%s",
                   body != NULL ? "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" : "");
    memset(res, 0, sizeof *res);
    res->body = calloc(1, SERVER_BODY);
    assert_int_equal(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
    int fds[2] = {in[0], out[1]};
    assert_int_equal(kw_msg_send(&r->ctl, KW_XM_CALL, &m, fds, 2, 1000, err), 0);
    (void)close(in[0]);
    (void)close(out[1]);
    res->fd = out[0];
    struct feed f = {in[1], body != NULL ? body : "", given};
    assert_int_equal(pthread_create(&reader, NULL, drain, res), 0);
    assert_int_equal(pthread_create(&writer, NULL, push, &f), 0);
    int got = kw_msg_expect(&r->ctl, KW_XM_HEAD, &res->head, &msg, 20000, err);
    kw_in_free(&msg);
    if (got == 0) {
        got = kw_msg_expect(&r->ctl, KW_XM_END, &end, &msg, 20000, err);
        kw_in_free(&msg);
    }
    res->body_len = end.body_len;
    (void)pthread_join(reader, NULL);
    (void)pthread_join(writer, NULL);
    (void)close(out[0]);
    return got;
}

static inline int call(struct rig *r, const char *method, const char *url, const char *headers,
                       struct result *res, struct kw_err *err)
{
    return call_body(r, method, url, headers, NULL, 0, 0, res, err);
}

static inline int setup(void **state)
{
    struct kw_err err;
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)snprintf(dir, sizeof dir, "/tmp/keyward-test-XXXXXX");
    if (kw_secret_init(true, &err) != 0 || mkdtemp(dir) == NULL || chmod(dir, 0755) != 0)
        return -1;
    (void)snprintf(ca_path, sizeof ca_path, "%s/ca.pem", dir);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    (void)unlink(ca_path);
    return rmdir(dir);
}

#endif
