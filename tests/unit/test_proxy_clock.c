/* SPDX-License-Identifier: Apache-2.0
 *
 * The proxy's engine against the slow, the many, the boundless and the refused; with short
 * times. */
#include "proxy_ends.h"

#include <sys/resource.h>

#define GET "GET /a HTTP/1.1\r\nHost: " HOST "\r\n\r\n"
#define OK2 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

enum { HEAD = 600, IDLE = 900, STALL = 1400, LOOK = 500 /* between looks at the clock */ };

static struct end me, up;

static int start(void **state)
{
    (void)state;
    me = up = (struct end){-1, NULL};
    rig_start_for("DNS:" HOST, HEAD, IDLE, STALL);
    return 0;
}

static int start_patient(void **state)
{
    (void)state;
    me = up = (struct end){-1, NULL};
    rig_start_for("DNS:" HOST, 0, 0, 0);
    return 0;
}

static int start_other_name(void **state)
{
    (void)state;
    me = up = (struct end){-1, NULL};
    rig_start_for("DNS:other.test", 0, 0, STALL);
    return 0;
}

static int stop(void **state)
{
    leave(&me);
    leave(&up);
    return rig_stop(state);
}

/* Since `from` that many ms have gone by, and not many more. (A busy machine is slow: what
 * must not be late by much is late by seconds if at all.) */
static void took(int64_t from, int ms)
{
    int64_t t = kw_now_ms() - from;
    if (t < ms - 50 || t > ms + LOOK + 5000)
        fail_msg("took %ld ms, not %d", (long)t, ms);
}

static void asked(void)
{
    me = client();
    say(&me, GET);
    up = cloud();
    (void)hear_head(&up);
}

/* --- slowness ------------------------------------------------------------------------------- */

/* A byte now and then does not buy time for a head. */
static void slow_loris(void **state)
{
    static const char text[] = "GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    (void)state;
    for (int tls = 0; tls < 2; tls++) {
        me = tls == 1 ? client() : plain_client(rig.proxy_port);
        int64_t from = kw_now_ms();
        struct pollfd p = {.fd = me.fd, .events = POLLIN};
        for (size_t i = 0; i < sizeof text - 1 && poll(&p, 1, 100) == 0; i++)
            assert_true(rig_send(&me, text + i, 1));
        refused(&me, "408", "did not come in time");
        took(from, HEAD);
        leave(&me);
    }
    assert_int_equal(rig_get(&rig.asked), 0);
}

static void says_nothing(void **state)
{
    (void)state;
    me = plain_client(rig.proxy_port); /* no head */
    int64_t from = kw_now_ms();
    ends(&me, 0);
    took(from, HEAD);
    leave(&me);
    me = plain_client(rig.proxy_port); /* no handshake */
    say(&me, "CONNECT " HOST ":443 HTTP/1.1\r\n\r\n");
    refused(&me, "400", "Host");
    leave(&me);
    me = plain_client(rig.proxy_port);
    say(&me, "CONNECT " HOST ":443 HTTP/1.1\r\nHost: " HOST ":443\r\n\r\n");
    (void)hear_head(&me);
    from = kw_now_ms();
    ends(&me, 0);
    took(from, HEAD);
    leave(&me);
    me = client(); /* no request */
    from = kw_now_ms();
    ends(&me, 0);
    took(from, IDLE);
    rig_await(&rig.conns, 0);
}

static void lies_idle(void **state)
{
    (void)state;
    asked();
    say(&up, OK2);
    hear(&me, OK2);
    int64_t from = kw_now_ms();
    ends(&me, 0);
    took(from, IDLE);
    ends(&up, 0);
}

static void the_cloud_stalls(void **state)
{
    static const char *const parts[] = {"", "HTTP/1.1 20", OK2, "HTTP/1.1 200 OK\r\n\r\nsome"};
    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        char rest[RIG_TEXT];
        asked();
        assert_true(rig_send(&up, parts[i], strlen(parts[i]) - (i == 2 ? 1 : 0)));
        int64_t from = kw_now_ms();
        if (i == 0)
            refused(&me, "504", "no answer came in time");
        else /* there is no saying anything into an answer that has begun */
            assert_int_equal(hear_rest(&me, rest, sizeof rest), -1);
        took(from, STALL);
        leave(&me);
        leave(&up);
        rig_await(&rig.done, (unsigned)i + 1);
        assert_int_equal(rig.status, 0);
    }
    /* in its handshake */
    me = client();
    say(&me, GET);
    up = cloud_plain();
    int64_t from = kw_now_ms();
    refused(&me, "504", "no answer came in time");
    took(from, STALL);
}

/* What moves, however slowly, has all the time in the world. */
static void slow_but_sure(void **state)
{
    (void)state;
    me = client();
    say(&me, "PUT /a HTTP/1.1\r\nHost: " HOST "\r\nContent-Length: 6\r\n\r\n");
    up = cloud();
    (void)hear_head(&up);
    int64_t from = kw_now_ms();
    for (int i = 0; i < 6; i++) {
        rig_sleep(STALL / 4);
        say(&me, "x");
        hear(&up, "x");
    }
    say(&up, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n");
    (void)hear_head(&me);
    for (int i = 0; i < 6; i++) {
        rig_sleep(STALL / 4);
        say(&up, "y");
        hear(&me, "y");
    }
    assert_true(kw_now_ms() - from > 2 * STALL);
    rig_await(&rig.done, 1);
    assert_int_equal(rig.status, 200);
}

static void nobody_decides(void **state)
{
    (void)state;
    rig_set(RIG_HOLD, RIG_ALLOW, false);
    me = client();
    say(&me, GET);
    int64_t from = kw_now_ms();
    refused(&me, "504", "could not be decided in time");
    took(from, STALL);
    leave(&me);
    rig_set(RIG_ALLOW, RIG_HOLD, false);
    me = plain_client(rig.proxy_port);
    say(&me, "CONNECT " TUNNEL ":443 HTTP/1.1\r\nHost: " TUNNEL ":443\r\n\r\n");
    from = kw_now_ms();
    refused(&me, "504", "could not be decided in time");
    took(from, STALL);
    leave(&me);
    rig_await(&rig.conns, 0);
    rig_set(RIG_ALLOW, RIG_ALLOW, false); /* the dialer's answer comes for nobody */
    rig_kick();
    up = cloud_plain();
}

/* --- what has no bounds of its own ------------------------------------------------------------ */

/* The cloud can't make the proxy keep what the client does not read. */
static void nobody_reads(void **state)
{
    static const char block[16384];
    size_t sent = 0;
    (void)state;
    asked();
    say(&up, "HTTP/1.1 200 OK\r\n\r\n");
    struct pollfd p = {.fd = up.fd, .events = POLLOUT};
    (void)fcntl(up.fd, F_SETFL, O_NONBLOCK);
    (void)SSL_set_mode(up.ssl, SSL_MODE_ENABLE_PARTIAL_WRITE);
    while (poll(&p, 1, 700) == 1 && (p.revents & (POLLERR | POLLHUP)) == 0 && sent < 1u << 26) {
        int r = SSL_write(up.ssl, block, sizeof block);
        sent += r > 0 ? (size_t)r : 0;
        ERR_clear_error();
    }
    assert_true(sent < 1u << 26); /* what the kernel holds for both sockets, and one buffer */
    assert_int_equal(poll(&(struct pollfd){.fd = up.fd, .events = POLLRDHUP}, 1, RIG_WAIT_MS), 1);
    rig_await(&rig.conns, 0); /* STALL later it ends */
}

/* Whoever was refused and goes on sending is read for a moment, not for ever. */
static void talks_on(void **state)
{
    static const char block[4096];
    size_t sent = 0;
    (void)state;
    me = plain_client(rig.proxy_port);
    say(&me, "nonsense\r\n\r\n");
    while (sent < 1u << 25 && rig_send(&me, block, sizeof block))
        sent += sizeof block;
    assert_true(sent < 1u << 25);
    rig_await(&rig.conns, 0);
    leave(&me);
    me = plain_client(rig.proxy_port);
    say(&me, "nonsense\r\n\r\n");
    int64_t from = kw_now_ms();
    refused(&me, "400", "");
    ends(&me, 0); /* it is told at once, and may still read */
    rig_await(&rig.conns, 0);
    took(from, 2000);
}

/* More clients than there is room for wait in the queue, and are served when others go. */
static void flood(void **state)
{
    enum { MORE = 60, ALL = KW_CONNS_MAX + MORE };
    static struct end all[ALL];
    static const char ask[] = "GET http://metadata.google.internal/ HTTP/1.1\r\n"
                              "Host: metadata.google.internal\r\n\r\n",
                      answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmeta";
    struct rlimit limit;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(limit.rlim_max >= 2 * ALL + 100);
    limit.rlim_cur = 2 * ALL + 100;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (unsigned i = 0; i < KW_CONNS_MAX; i++)
        all[i] = plain_client(rig.proxy_port);
    rig_await(&rig.conns, KW_CONNS_MAX);
    for (unsigned i = KW_CONNS_MAX; i < ALL; i++) {
        all[i] = plain_client(rig.proxy_port);
        say(&all[i], ask);
    }
    for (unsigned i = 0; i < KW_CONNS_MAX; i += 100) { /* those inside are served as ever */
        say(&all[i], ask);
        hear(&all[i], answer);
    }
    assert_true(is_quiet(&all[KW_CONNS_MAX]));
    assert_int_equal(rig_get(&rig.conns), KW_CONNS_MAX);
    for (unsigned i = 0; i < MORE; i++)
        leave(&all[i]);
    for (unsigned i = KW_CONNS_MAX; i < ALL; i++)
        hear(&all[i], answer);
    assert_int_equal(rig_get(&rig.most), KW_CONNS_MAX);
    for (unsigned i = MORE; i < ALL; i++)
        leave(&all[i]);
    rig_await(&rig.conns, 0);
}

/* --- refusals ---------------------------------------------------------------------------- */

static void heads_that_are_refused(void **state)
{
    static char large[60000], many[12000];
    static const struct {
        const char *head, *status, *word;
    } cases[] = {
        {large, "431", ""},
        {many, "431", ""},
        {"GET /a HTTP/1.0\r\nHost: " HOST "\r\n\r\n", "505", "1.0"},
        {"GET /a HTTP/2.0\r\nHost: " HOST "\r\n\r\n", "505", ""},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505", ""},
        {"GET http://" HOST "/a HTTP/1.1\r\nHost: " HOST "\r\n\r\n", "400", "names a path"},
        {"CONNECT " HOST ":443 HTTP/1.1\r\nHost: " HOST ":443\r\n\r\n", "400", "names a path"},
        {"GET /a HTTP/1.1\r\n\r\n", "400", "Host"},
        {"GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400", "Host"},
        {"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
         "400", ""},
        {"POST /a HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n", "417", ""},
        {"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "501", ""},
    };
    size_t n = (size_t)snprintf(large, sizeof large, "GET /a HTTP/1.1\r\nHost: a\r\nX: ");
    memset(large + n, 'x', sizeof large - 1 - n);
    n = (size_t)snprintf(many, sizeof many, "GET /a HTTP/1.1\r\nHost: a\r\n");
    for (unsigned i = 0; i < KW_HEAD_FIELDS; i++)
        n += (size_t)snprintf(many + n, sizeof many - n, "X-%u: 1\r\n", i);
    (void)snprintf(many + n, sizeof many - n, "\r\n");
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        me = client();
        (void)rig_send(&me, cases[i].head, strlen(cases[i].head));
        refused(&me, cases[i].status, cases[i].word);
        ends(&me, 0);
        leave(&me);
        assert_int_equal(rig_get(&rig.unread), i + 1); /* each is told, in our own words */
        assert_null(strstr(rig.why, "xx"));
    }
    assert_int_equal(rig_get(&rig.asked), 0);
}

/* A refusal costs only the request, where it is sure where that ends. */
static void policy_refuses(void **state)
{
    (void)state;
    rig_set(RIG_REFUSE, RIG_ALLOW, false);
    me = client();
    say(&me, GET);
    refused(&me, "403", "the policy says no");
    rig_set(RIG_ALLOW, RIG_ALLOW, false);
    say(&me, GET);
    up = cloud();
    (void)hear_head(&up);
    say(&up, OK2);
    hear(&me, OK2);
    rig_set(RIG_REFUSE, RIG_ALLOW, false);
    say(&me, "PUT /a HTTP/1.1\r\nHost: " HOST "\r\nContent-Length: 100\r\n\r\n" GET);
    refused(&me, "403", "the policy says no");
    ends(&me, 0);
    ends(&up, -1);
    assert_int_equal(rig_get(&rig.asked), 3);
}

/* A 401 that a new session may cure is asked once more, and the second one stands. */
static void asked_again(void **state)
{
    static const char no[] = "HTTP/1.1 401 No\r\nContent-Length: 3\r\n\r\nnot";
    (void)state;
    rig_set(RIG_ALLOW, RIG_ALLOW, true);
    asked();
    say(&up, no);
    (void)hear_head(&up);
    say(&up, OK2);
    hear(&me, OK2);
    say(&me, GET);
    (void)hear_head(&up);
    say(&up, no);
    (void)hear_head(&up);
    say(&up, no);
    hear(&me, no);
    /* with a body that has gone it can't be */
    say(&me, "PUT /a HTTP/1.1\r\nHost: " HOST "\r\nContent-Length: 1\r\n\r\nx");
    (void)hear_head(&up);
    hear(&up, "x");
    say(&up, no);
    hear(&me, no);
    assert_int_equal(rig_get(&rig.asked), 5);
}

static void first_heads_that_are_refused(void **state)
{
    static const struct {
        const char *head, *status, *word;
    } cases[] = {
        {"CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test:443\r\n\r\n", "403", "not there"},
        {"CONNECT " HOST ":443 HTTP/1.1\r\nHost: " HOST ":443\r\n\r\nearly", "400", "follows"},
        {"CONNECT " HOST ":443 HTTP/1.1\r\nHost: " HOST ":443\r\nContent-Length: 3\r\n\r\n", "400",
         ""},
        {"GET http://" HOST "/ HTTP/1.1\r\nHost: " HOST "\r\n\r\n", "403", "in the clear"},
        {"POST http://metadata.google.internal/ HTTP/1.1\r\nHost: metadata.google.internal\r\n"
         "Content-Length: 1\r\n\r\nx",
         "400", "no bodies"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        me = plain_client(rig.proxy_port);
        say(&me, cases[i].head);
        refused(&me, cases[i].status, cases[i].word);
        ends(&me, 0);
        leave(&me);
    }
    me = plain_client(rig.meta_port); /* that one has a listener of its own */
    say(&me, "GET / HTTP/1.1\r\nHost: metadata.google.internal\r\n\r\n");
    hear(&me, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmeta");
    say(&me, "GET / HTTP/1.1\r\nHost: metadata.google.internal\r\nConnection: close\r\n\r\n");
    hear(&me, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmeta");
    ends(&me, 0);
}

/* TLS in another name than was asked for, or for another protocol. */
static void handshakes_that_are_refused(void **state)
{
    static const unsigned char h2[] = "\x02h2";
    (void)state;
    for (int i = 0; i < 2; i++) {
        me = plain_client(rig.proxy_port);
        say(&me, "CONNECT " HOST ":443 HTTP/1.1\r\nHost: " HOST ":443\r\n\r\n");
        (void)hear_head(&me);
        if (i == 1)
            (void)SSL_CTX_set_alpn_protos(rig.client_ctx, h2, sizeof h2 - 1);
        assert_false(client_tls(&me, i == 0 ? "other.test" : HOST));
        leave(&me);
    }
    rig_await(&rig.conns, 0);
}

static void the_cloud_has_another_name(void **state)
{
    (void)state;
    me = client();
    say(&me, GET);
    up = cloud_plain();
    up.ssl = SSL_new(rig.cloud_ctx);
    (void)SSL_set_fd(up.ssl, up.fd);
    (void)SSL_accept(up.ssl);
    refused(&me, "502", "can't be trusted");
    char byte;
    assert_true(rig_read(&up, &byte, 1) < 1); /* and not a byte of the request went there */
}

int main(void)
{
#define TEST(name)    cmocka_unit_test_setup_teardown(name, start, stop)
#define PATIENT(name) cmocka_unit_test_setup_teardown(name, start_patient, stop)
    const struct CMUnitTest tests[] = {
        TEST(slow_loris),
        TEST(says_nothing),
        TEST(lies_idle),
        TEST(the_cloud_stalls),
        TEST(slow_but_sure),
        TEST(nobody_decides),
        TEST(nobody_reads),
        PATIENT(talks_on),
        PATIENT(flood),
        PATIENT(heads_that_are_refused),
        PATIENT(policy_refuses),
        PATIENT(asked_again),
        PATIENT(first_heads_that_are_refused),
        PATIENT(handshakes_that_are_refused),
        cmocka_unit_test_setup_teardown(the_cloud_has_another_name, start_other_name, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
