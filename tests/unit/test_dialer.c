/* SPDX-License-Identifier: Apache-2.0
 *
 * The real dialer behind its real fences, as this user and (where that is root) as
 * nobody. The test is main, exchanger, server and proxy; all of it on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>

#include "role.h"

static uid_t run_as;

struct rig {
    struct role role;
    struct kw_chan ctl, dial;
    int listener;
    unsigned port;
};

static int listen_loopback(unsigned *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    struct sockaddr sa;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memcpy(&sa, &a, sizeof sa);
    assert_int_equal(bind(fd, &sa, sizeof sa), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, &sa, &n), 0);
    memcpy(&a, &sa, sizeof a);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

/* Copies text with the port in place of its %u, if it has one. */
static void with_port(char *out, size_t size, const char *text, unsigned port)
{
    const char *at = strstr(text, "%u");
    if (at == NULL)
        (void)snprintf(out, size, "%s", text);
    else
        (void)snprintf(out, size, "%.*s%u%s", (int)(at - text), text, port, at + 2);
}

/* Starts a dialer; resolve and proxy may have one %u for our listener's port. */
static void rig_start(struct rig *r, const char *dial, const char *resolve, const char *proxy)
{
    struct kw_err err;
    struct kw_in in;
    struct kw_m_ready ready;
    struct kw_m_dialer_start start = {.timeout_ms = 3000};
    r->listener = listen_loopback(&r->port);
    with_port(start.dial, sizeof start.dial, dial, r->port);
    with_port(start.resolve, sizeof start.resolve, resolve, r->port);
    with_port(start.proxy, sizeof start.proxy, proxy, r->port);
    assert_int_equal(role_start(&r->role, "dialer", 1u << KW_FD_CTL | 1u << KW_FD_PEER, run_as), 0);
    kw_chan_init(&r->ctl, KW_CHAN_DIALER, KW_ROLE_MAIN, r->role.ends[KW_FD_CTL]);
    kw_chan_init(&r->dial, KW_CHAN_DIAL, KW_ROLE_EXCHANGER, r->role.ends[KW_FD_PEER]);
    assert_int_equal(kw_msg_send(&r->ctl, KW_DM_START, &start, NULL, 0, 1000, &err), 0);
    int got = kw_msg_expect(&r->ctl, KW_DM_READY, &ready, &in, 10000, &err);
    if (got != 0)
        print_message("%s\n", err.text);
    assert_int_equal(got, 0);
    assert_non_null(strstr(ready.fences, "seccomp"));
    kw_in_free(&in);
}

static void rig_end(struct rig *r)
{
    struct kw_err err;
    assert_int_equal(kw_msg_send(&r->ctl, KW_DM_CLOSE, NULL, NULL, 0, 1000, &err), 0);
    assert_int_equal(role_end(&r->role), 0);
    (void)close(r->listener);
}

/* Dials; *ret_fd is -1 where it was refused. */
static int dial(struct rig *r, const char *host, unsigned port, int *ret_fd, struct kw_err *err)
{
    struct kw_m_dial m = {.port = port, .timeout_ms = 1500};
    struct kw_m_dialed dialed;
    struct kw_in in;
    *ret_fd = -1;
    (void)snprintf(m.host, sizeof m.host, "%s", host);
    assert_int_equal(kw_msg_send(&r->dial, KW_D_DIAL, &m, NULL, 0, 1000, err), 0);
    int got = kw_msg_expect(&r->dial, KW_D_DIALED, &dialed, &in, 10000, err);
    if (got == 0) {
        *ret_fd = in.fds[0];
        in.fds[0] = -1;
    }
    kw_in_free(&in);
    return got;
}

/* What one end writes, the other reads. */
static void assert_connected(int a, int b)
{
    char c = 0;
    struct pollfd p = {.fd = b, .events = POLLIN};
    assert_int_equal(write(a, "x", 1), 1);
    assert_int_equal(poll(&p, 1, 2000), 1);
    assert_int_equal(read(b, &c, 1), 1);
    assert_int_equal(c, 'x');
}

static void connects_and_hands_over(void **state)
{
    (void)state;
    struct rig r;
    struct kw_err err;
    int fd;
    rig_start(&r, "127.0.0.1:%u", "", "");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(dial(&r, "127.0.0.1", r.port, &fd, &err), 0);
        int server = accept(r.listener, NULL, NULL);
        assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
        assert_connected(fd, server);
        assert_connected(server, fd);
        (void)close(fd);
        (void)close(server);
    }
    rig_end(&r);
}

static void ask_for_cmd(struct kw_chan *c, uint64_t id, const char *host, unsigned port)
{
    struct kw_m_pdial m = {.id = id, .port = port, .timeout_ms = 1500};
    struct kw_err err;
    (void)snprintf(m.host, sizeof m.host, "%s", host);
    assert_int_equal(kw_msg_send(c, KW_P_DIAL, &m, NULL, 0, 1000, &err), 0);
}

/* For CMD of `run` several are dialled at once: one that never answers (here: a proxy that
 * does not) holds nobody up. [run] egress counts for it, and not for the exchanger. */
static void dials_side_by_side(void **state)
{
    (void)state;
    struct rig r;
    struct kw_err err;
    struct kw_chan c;
    struct kw_m_ready ready;
    struct kw_m_pdialed yes;
    struct kw_m_undialed no;
    struct kw_in in;
    int fd;
    struct kw_m_dialer_start start = {.timeout_ms = 3000};
    r.listener = listen_loopback(&r.port);
    (void)snprintf(start.dial, sizeof start.dial, "slow.invalid:443");
    (void)snprintf(start.egress, sizeof start.egress, "127.0.0.1:%u localhost:%u", r.port, r.port);
    (void)snprintf(start.proxy, sizeof start.proxy, "http://127.0.0.1:%u", r.port);
    assert_int_equal(role_start(&r.role, "dialer",
                                1u << KW_FD_CTL | 1u << KW_FD_PEER | 1u << KW_FD_PROXY, run_as),
                     0);
    kw_chan_init(&r.ctl, KW_CHAN_DIALER, KW_ROLE_MAIN, r.role.ends[KW_FD_CTL]);
    kw_chan_init(&r.dial, KW_CHAN_DIAL, KW_ROLE_EXCHANGER, r.role.ends[KW_FD_PEER]);
    kw_chan_init(&c, KW_CHAN_PDIAL, KW_ROLE_PROXY, r.role.ends[KW_FD_PROXY]);
    assert_int_equal(kw_msg_send(&r.ctl, KW_DM_START, &start, NULL, 0, 1000, &err), 0);
    assert_int_equal(kw_msg_expect(&r.ctl, KW_DM_READY, &ready, &in, 10000, &err), 0);
    kw_in_free(&in);

    ask_for_cmd(&c, 7, "slow.invalid", 443);
    ask_for_cmd(&c, 8, "evil.invalid", 443);
    assert_int_equal(kw_msg_expect(&c, KW_P_UNDIALED, &no, &in, 10000, &err), 0);
    kw_in_free(&in);
    assert_int_equal(no.id, 8);
    assert_int_equal(no.code, KW_POLICY);
    ask_for_cmd(&c, 9, "127.0.0.1", r.port);
    assert_int_equal(kw_msg_expect(&c, KW_P_DIALED, &yes, &in, 10000, &err), 0);
    assert_int_equal(yes.id, 9);
    assert_true(in.fds[0] >= 0);
    kw_in_free(&in);
    assert_int_equal(dial(&r, "127.0.0.1", r.port, &fd, &err), KW_POLICY);
    assert_int_equal(kw_msg_expect(&c, KW_P_UNDIALED, &no, &in, 10000, &err), 0);
    kw_in_free(&in);
    assert_int_equal(no.id, 7);
    assert_int_equal(no.code, KW_NET);
    /* Names as well, many at once: each of them gets its own answer. */
    for (uint64_t id = 100; id < 106; id++)
        ask_for_cmd(&c, id, "localhost", r.port);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(kw_msg_expect(&c, KW_P_DIALED, &yes, &in, 10000, &err), 0);
        assert_in_range(yes.id, 100, 105);
        kw_in_free(&in);
    }
    /* One that breaks the rules is cut off, and nobody else is. */
    assert_int_equal(write(c.fd, "nonsense", 8), 8);
    struct pollfd p = {.fd = c.fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 5000), 1);
    assert_int_equal(dial(&r, "evil.invalid", 443, &fd, &err), KW_POLICY);
    rig_end(&r);
}

static void names_resolve(void **state)
{
    (void)state;
    struct rig r;
    struct kw_err err;
    int fd;
    rig_start(&r, "localhost:%u *.invalid:443", "", "");
    assert_int_equal(dial(&r, "localhost", r.port, &fd, &err), 0);
    (void)close(fd);
    assert_int_equal(dial(&r, "no-such-host.invalid", 443, &fd, &err), KW_NET);
    assert_non_null(strstr(err.text, "no-such-host.invalid"));
    assert_non_null(strstr(err.text, "resolve"));
    rig_end(&r);
}

static void overrides_count(void **state)
{
    (void)state;
    struct rig r;
    struct kw_err err;
    int fd;
    rig_start(&r, "*.cloud.invalid:443", "*.cloud.invalid:443:127.0.0.1:%u", "");
    assert_int_equal(dial(&r, "api.cloud.invalid", 443, &fd, &err), 0);
    int server = accept(r.listener, NULL, NULL);
    assert_connected(fd, server);
    (void)close(fd);
    (void)close(server);
    rig_end(&r);
}

static void policy_refuses(void **state)
{
    (void)state;
    struct rig r;
    struct kw_err err;
    int fd;
    rig_start(&r, "*.allowed.invalid:443", "", "");
    assert_int_equal(dial(&r, "127.0.0.1", r.port, &fd, &err), KW_POLICY);
    assert_non_null(strstr(err.text, "127.0.0.1"));
    assert_int_equal(dial(&r, "allowed.invalid", 443, &fd, &err), KW_POLICY);
    assert_int_equal(dial(&r, "x.allowed.invalid", 80, &fd, &err), KW_POLICY);
    struct pollfd p = {.fd = r.listener, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 50), 0);
    rig_end(&r);
}

static void refused_connection_is_told(void **state)
{
    (void)state;
    struct rig r;
    struct kw_err err;
    char name[32];
    int fd;
    rig_start(&r, "127.0.0.1:%u", "", "");
    (void)close(r.listener);
    r.listener = -1;
    assert_int_equal(dial(&r, "127.0.0.1", r.port, &fd, &err), KW_NET);
    (void)snprintf(name, sizeof name, "127.0.0.1:%u", r.port);
    assert_non_null(strstr(err.text, name));
    assert_non_null(strstr(err.text, "refused"));
    rig_end(&r);
}

/* A listener whose queue is full swallows SYNs, as a firewall does. */
static void silence_ends_in_time(void **state)
{
    (void)state;
    struct rig r;
    struct kw_err err;
    int fd, fill[16];
    rig_start(&r, "127.0.0.1:%u", "", "");
    assert_int_equal(listen(r.listener, 0), 0);
    for (size_t i = 0; i < 16; i++) {
        struct sockaddr_in a = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)r.port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        struct sockaddr sa;
        memcpy(&sa, &a, sizeof sa);
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fill[i], &sa, sizeof sa);
    }
    int64_t before = kw_now_ms();
    assert_int_equal(dial(&r, "127.0.0.1", r.port, &fd, &err), KW_NET);
    assert_true(kw_now_ms() - before >= 1400 && kw_now_ms() - before < 2500);
    assert_non_null(strstr(err.text, "timed out"));
    for (size_t i = 0; i < 16; i++)
        (void)close(fill[i]);
    rig_end(&r);
}

/* --- a proxy ---------------------------------------------------------------------- */

struct proxy {
    int listener, fd;
    const char *answer;
    char request[2048];
};

static void *proxy_serve(void *arg)
{
    struct proxy *p = arg;
    size_t n = 0;
    p->fd = accept(p->listener, NULL, NULL);
    while (n < sizeof p->request - 1 && strstr(p->request, "\r\n\r\n") == NULL) {
        ssize_t got = read(p->fd, p->request + n, sizeof p->request - 1 - n);
        if (got <= 0)
            break;
        n += (size_t)got;
        p->request[n] = '\0';
    }
    if (p->answer[0] == '\0') {
        (void)close(p->fd);
        p->fd = -1;
    } else
        (void)!write(p->fd, p->answer, strlen(p->answer));
    return NULL;
}

static int dial_by_proxy(const char *answer, struct proxy *p, int *ret_fd, struct kw_err *err)
{
    struct rig r;
    pthread_t t;
    rig_start(&r, "api.cloud.invalid:443", "", "http://127.0.0.1:%u");
    *p = (struct proxy){.listener = r.listener, .answer = answer};
    assert_int_equal(pthread_create(&t, NULL, proxy_serve, p), 0);
    int got = dial(&r, "api.cloud.invalid", 443, ret_fd, err);
    assert_int_equal(pthread_join(t, NULL), 0);
    rig_end(&r);
    return got;
}

static void proxy_connects(void **state)
{
    (void)state;
    struct proxy p;
    struct kw_err err;
    int fd;
    assert_int_equal(dial_by_proxy("HTTP/1.1 200 OK\r\nX: y\r\n\r\n", &p, &fd, &err), 0);
    assert_int_equal(strncmp(p.request,
                             "CONNECT api.cloud.invalid:443 HTTP/1.1\r\nHost: "
                             "api.cloud.invalid:443\r\n",
                             64),
                     0);
    assert_connected(fd, p.fd);
    assert_connected(p.fd, fd);
    (void)close(fd);
    (void)close(p.fd);
}

/* What is this machine's own is not asked of a proxy, on whose machine it would be
 * something else: a metadata service by way of a proxy hands out the proxy's identity. */
static void no_proxy_for_local(void **state)
{
    (void)state;
    struct rig r;
    struct kw_err err;
    int fd;
    rig_start(&r, "127.0.0.1:%u", "", "http://127.0.0.1:1");
    assert_int_equal(dial(&r, "127.0.0.1", r.port, &fd, &err), 0);
    (void)close(fd);
    rig_end(&r);
}

static void proxy_errors(void **state)
{
    (void)state;
    static const struct {
        const char *answer, *says;
    } cases[] = {
        {"HTTP/1.1 403 Forbidden\r\n\r\n", "403"},
        {"HTTP/1.1 407 Auth\r\n\r\n", "login"},
        {"SSH-2.0-x\r\n\r\n", "not HTTP"},
        {"HTTP/1.1 200 OK\r\n", "no answer"},
        {"", "no answer"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct proxy p;
        struct kw_err err;
        int fd;
        assert_int_equal(dial_by_proxy(cases[i].answer, &p, &fd, &err), KW_NET);
        assert_non_null(strstr(err.text, cases[i].says));
        assert_non_null(strstr(err.text, "proxy"));
        if (p.fd >= 0)
            (void)close(p.fd);
    }
}

static void proxy_flood(void **state)
{
    (void)state;
    char answer[10000];
    struct proxy p;
    struct kw_err err;
    int fd;
    memset(answer, 'a', sizeof answer);
    memcpy(answer, "HTTP/1.1 200 OK\r\nX: ", 20);
    answer[sizeof answer - 1] = '\0';
    assert_int_equal(dial_by_proxy(answer, &p, &fd, &err), KW_NET);
    assert_non_null(strstr(err.text, "too long"));
    (void)close(p.fd);
}

/* --- bad input -------------------------------------------------------------------- */

static void bad_configuration(void **state)
{
    (void)state;
    static const struct {
        const char *dial, *resolve, *proxy;
    } cases[] = {{"nonsense", "", ""}, {"a.test:443", "a.test", ""}, {"a.test:443", "", "x"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kw_m_dialer_start start = {.timeout_ms = 1000};
        struct kw_m_ready ready;
        struct kw_chan ctl;
        struct role role;
        struct kw_err err;
        struct kw_in in;
        (void)snprintf(start.dial, sizeof start.dial, "%s", cases[i].dial);
        (void)snprintf(start.resolve, sizeof start.resolve, "%s", cases[i].resolve);
        (void)snprintf(start.proxy, sizeof start.proxy, "%s", cases[i].proxy);
        assert_int_equal(role_start(&role, "dialer", 1u << KW_FD_CTL | 1u << KW_FD_PEER, run_as),
                         0);
        kw_chan_init(&ctl, KW_CHAN_DIALER, KW_ROLE_MAIN, role.ends[KW_FD_CTL]);
        assert_int_equal(kw_msg_send(&ctl, KW_DM_START, &start, NULL, 0, 1000, &err), 0);
        assert_int_equal(kw_msg_expect(&ctl, KW_DM_READY, &ready, &in, 10000, &err), KW_USAGE);
        kw_in_free(&in);
        assert_int_equal(role_end(&role), KW_USAGE);
    }
}

static void rubbish_ends_the_conversation(void **state)
{
    (void)state;
    struct rig r;
    char c;
    rig_start(&r, "127.0.0.1:%u", "", "");
    assert_int_equal(send(r.role.ends[KW_FD_PEER], "rubbish that is no message", 26, 0), 26);
    assert_int_equal(recv(r.role.ends[KW_FD_PEER], &c, 1, 0), 0);
    rig_end(&r);
}

static void ends_with_main(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, "127.0.0.1:%u", "", "");
    (void)close(r.role.ends[KW_FD_CTL]);
    r.role.ends[KW_FD_CTL] = -1;
    assert_int_equal(role_end(&r.role), 0);
    (void)close(r.listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connects_and_hands_over),
        cmocka_unit_test(dials_side_by_side),
        cmocka_unit_test(dials_side_by_side),
        cmocka_unit_test(names_resolve),
        cmocka_unit_test(overrides_count),
        cmocka_unit_test(policy_refuses),
        cmocka_unit_test(refused_connection_is_told),
        cmocka_unit_test(silence_ends_in_time),
        cmocka_unit_test(proxy_connects),
        cmocka_unit_test(no_proxy_for_local),
        cmocka_unit_test(proxy_errors),
        cmocka_unit_test(proxy_flood),
        cmocka_unit_test(bad_configuration),
        cmocka_unit_test(rubbish_ends_the_conversation),
        cmocka_unit_test(ends_with_main),
    };
    run_as = geteuid();
    int failed = cmocka_run_group_tests_name("dialer", tests, NULL, NULL);
    if (run_as == 0) {
        run_as = NOBODY;
        failed += cmocka_run_group_tests_name("dialer as nobody", tests, NULL, NULL);
    }
    return failed;
}
