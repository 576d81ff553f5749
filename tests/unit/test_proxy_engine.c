/* SPDX-License-Identifier: Apache-2.0
 *
 * What the proxy's engine does with requests and answers, over sockets and TLS: framing,
 * connections kept and given up, ends of all kinds. Time and crowds: test_proxy_clock.c. */
#include "proxy_ends.h"

#define GET     "GET /a HTTP/1.1\r\nHost: " HOST "\r\n\r\n"
#define GET_OUT "GET /a HTTP/1.1\r\nHost: " HOST "\r\nsigned: yes\r\n\r\n"
#define OK2     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static struct end me, up;

static int start(void **state)
{
    (void)state;
    me = up = (struct end){-1, NULL};
    rig_start_for("DNS:" HOST, 0, 0, 0);
    return 0;
}

static int stop(void **state)
{
    leave(&me);
    leave(&up);
    return rig_stop(state);
}

/* A client that has asked, and the cloud that has heard it. */
static void asked(void)
{
    me = client();
    say(&me, GET);
    up = cloud();
    hear(&up, GET_OUT);
}

static void one_connection_serves_many(void **state)
{
    (void)state;
    asked();
    say(&up, OK2);
    hear(&me, OK2);
    rig_await(&rig.done, 1);
    assert_int_equal(rig.status, 200);
    assert_int_equal(rig.received, sizeof OK2 - 1);
    for (unsigned i = 2; i < 5; i++) {
        say(&me, "POST /b HTTP/1.1\r\nHost: " HOST "\r\nContent-Length: 3\r\n\r\nabc");
        hear(&up,
             "POST /b HTTP/1.1\r\nHost: " HOST "\r\nContent-Length: 3\r\nsigned: yes\r\n\r\nabc");
        say(&up, "HTTP/1.1 204 No Content\r\n\r\n");
        hear(&me, "HTTP/1.1 204 No Content\r\n\r\n");
        rig_await(&rig.done, i);
        assert_int_equal(rig.sent, 3);
    }
    assert_int_equal(rig_get(&rig.dialed), 1);
}

/* Two at once go one after the other, and what is sent behind the first is no part of it. */
static void pipelined(void **state)
{
    (void)state;
    me = client();
    say(&me, "POST /1 HTTP/1.1\r\nHost: " HOST "\r\nContent-Length: 2\r\n\r\nxy" GET);
    up = cloud();
    hear(&up, "POST /1 HTTP/1.1\r\nHost: " HOST "\r\nContent-Length: 2\r\nsigned: yes\r\n\r\nxy");
    assert_true(is_quiet(&up));
    say(&up, OK2);
    hear(&me, OK2);
    hear(&up, GET_OUT);
    say(&up, OK2);
    hear(&me, OK2);
    assert_int_equal(rig_get(&rig.asked), 2);
}

/* What the cloud sends behind an answer is nobody's answer to the next request. */
static void an_answer_nobody_asked_for(void **state)
{
    (void)state;
    asked();
    say(&up, OK2 "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    hear(&me, OK2);
    ends(&up, 0);
    leave(&up);
    say(&me, GET);
    up = cloud();
    hear(&up, GET_OUT);
    say(&up, OK2);
    hear(&me, OK2);
}

static void either_side_may_not_keep_it(void **state)
{
    static const char bye[] = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    (void)state;
    asked();
    say(&up, bye);
    hear(&me, bye);
    ends(&up, 0);
    ends(&me, 0);
    rig_await(&rig.conns, 0);
    leave(&me);
    leave(&up);
    me = client();
    say(&me, "GET /a HTTP/1.1\r\nHost: " HOST "\r\nConnection: close\r\n\r\n");
    up = cloud();
    (void)hear_head(&up);
    say(&up, OK2);
    hear(&me, OK2);
    ends(&me, 0);
    ends(&up, 0);
    rig_await(&rig.conns, 0);
}

/* A connection that was closed while it lay idle costs no request. */
static void a_stale_connection_is_replaced(void **state)
{
    (void)state;
    asked();
    say(&up, OK2);
    hear(&me, OK2);
    for (int hard = 0; hard < 2; hard++) {
        if (hard == 1)
            leave_hard(&up);
        else
            leave(&up);
        say(&me, GET);
        up = cloud();
        hear(&up, GET_OUT);
        say(&up, OK2);
        hear(&me, OK2);
    }
    /* one that ends only when the request is there, before a byte of an answer: once more */
    say(&me, GET);
    hear(&up, GET_OUT);
    leave(&up);
    up = cloud();
    hear(&up, GET_OUT);
    leave(&up);
    refused(&me, "502", "before it answered"); /* and not for ever */
}

/* --- bodies -------------------------------------------------------------------------------- */

static void chunked_both_ways(void **state)
{
    static const char request[] = "4;ext=1\r\nWiki\r\n0A\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n",
                      answer[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                 "3\r\nabc\r\n1;x\r\nd\r\n0\r\nTrail: x\r\n\r\n";
    (void)state;
    me = client();
    say(&me, "PUT /c HTTP/1.1\r\nHost: " HOST "\r\nTransfer-Encoding: chunked\r\n\r\n");
    up = cloud();
    (void)hear_head(&up);
    for (const char *p = request; *p != '\0'; p++) /* a record for each byte */
        assert_true(rig_send(&me, p, 1));
    hear(&up, request);
    assert_true(is_quiet(&me));
    for (const char *p = answer; *p != '\0'; p++)
        assert_true(rig_send(&up, p, 1));
    hear(&me, answer);
    rig_await(&rig.done, 1);
    assert_int_equal(rig.sent, sizeof request - 1);
    say(&me, GET);
    hear(&up, GET_OUT);
    say(&up, OK2);
    hear(&me, OK2);
    assert_int_equal(rig_get(&rig.dialed), 1);
}

/* A body that breaks its own grammar goes no further, and the cloud sees that it isn't whole. */
static void broken_chunks(void **state)
{
    static const char *const bad[] = {"+3\r\nabc\r\n", "0x3\r\nabc\r\n", "3\nabc\n",
                                      "3\r\nabcd\r\n", " 3\r\nabc\r\n",  "1234567890abcdef0\r\n",
                                      "g\r\n"};
    (void)state;
    for (size_t i = 0; i < 2 * sizeof bad / sizeof bad[0]; i++) {
        char rest[RIG_TEXT];
        me = client();
        if (i % 2 == 0) {
            say(&me, "PUT /c HTTP/1.1\r\nHost: " HOST "\r\nTransfer-Encoding: chunked\r\n\r\n");
            up = cloud();
            (void)hear_head(&up);
            say(&me, bad[i / 2]);
            assert_int_equal(hear_rest(&up, rest, sizeof rest), -1);
            assert_null(strstr(rest, "0\r\n\r\n"));
            ends(&me, -1);
        } else {
            say(&me, GET);
            up = cloud();
            (void)hear_head(&up);
            say(&up, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            (void)rig_send(&up, bad[i / 2], strlen(bad[i / 2]));
            assert_int_equal(hear_rest(&me, rest, sizeof rest), -1);
        }
        leave(&me);
        leave(&up);
        rig_await(&rig.conns, 0);
    }
}

static void expects_100_continue(void **state)
{
    static const char head[] = "PUT /c HTTP/1.1\r\nHost: " HOST "\r\nContent-Length: 4\r\n"
                               "Expect: 100-continue\r\n\r\n",
                      go_on[] = "HTTP/1.1 100 Continue\r\n\r\n",
                      early[] = "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n",
                      no[] = "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno";
    (void)state;
    me = client();
    say(&me, head);
    up = cloud();
    (void)hear_head(&up);
    assert_true(is_quiet(&me));
    say(&up, go_on);
    hear(&me, go_on);
    say(&me, "body");
    hear(&up, "body");
    say(&up, early);
    say(&up, OK2);
    hear(&me, early);
    hear(&me, OK2);
    rig_await(&rig.done, 1);
    assert_int_equal(rig.status, 200);
    /* An answer instead: the body need not come, so nothing more is read as a request. */
    say(&me, head);
    (void)hear_head(&up);
    say(&up, no);
    hear(&me, no);
    ends(&me, 0);
    rig_await(&rig.done, 2);
    assert_int_equal(rig.status, 413);
    say(&me, "any");
    rig_await(&rig.conns, 1);
    leave(&me);
    rig_await(&rig.conns, 0);
}

/* An answer to HEAD and 304 have a length and no body. */
static void lengths_without_bodies(void **state)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
                      same[] = "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n";
    (void)state;
    me = client();
    say(&me, "HEAD /a HTTP/1.1\r\nHost: " HOST "\r\n\r\n");
    up = cloud();
    (void)hear_head(&up);
    say(&up, head);
    hear(&me, head);
    say(&me, GET);
    hear(&up, GET_OUT);
    say(&up, same);
    hear(&me, same);
    say(&me, GET);
    hear(&up, GET_OUT);
    say(&up, OK2);
    hear(&me, OK2);
}

static void large_bodies(void **state)
{
    enum { N = 300000 };
    static char body[N + 1], got[N + 1];
    (void)state;
    for (int i = 0; i < N; i++)
        body[i] = (char)('a' + i % 23);
    me = client();
    say(&me, "PUT /c HTTP/1.1\r\nHost: " HOST "\r\nContent-Length: 300000\r\n\r\n");
    up = cloud();
    (void)hear_head(&up);
    for (size_t sent = 0, heard = 0; heard < N;) { /* both are moved, or one would wait */
        size_t n = N - sent < 15000 ? N - sent : 15000;
        assert_true(n == 0 || rig_send(&me, body + sent, n));
        sent += n;
        while (heard < sent) {
            long r = rig_read(&up, got + heard, sent - heard);
            assert_true(r > 0);
            heard += (size_t)r;
        }
    }
    assert_memory_equal(body, got, N);
    say(&up, OK2);
    hear(&me, OK2);
    rig_await(&rig.done, 1);
    assert_int_equal(rig.sent, N);
}

/* --- ends ------------------------------------------------------------------------------------ */

/* How the cloud's connection ends in the middle of an answer, and how the client's does then:
 * an answer that is not whole must not look so. */
static void cut_off_answers(void **state)
{
    static const struct {
        const char *answer;
        long how; /* 0: close_notify, -1: FIN, -2: reset */
        long end;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\n\r\nall of it", 0, 0}, /* until the end */
        {"HTTP/1.1 200 OK\r\n\r\nall of it", -1, -1},
        {"HTTP/1.1 200 OK\r\n\r\nall of it", -2, -1},
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nnot all", 0, -1},
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nnot all", -1, -1},
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nnot all", -2, -1},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", 0, -1},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n", 0, -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char rest[RIG_TEXT];
        asked();
        say(&up, cases[i].answer);
        hear(&me, cases[i].answer);
        if (cases[i].how == 0)
            (void)SSL_shutdown(up.ssl);
        if (cases[i].how == -2)
            leave_hard(&up);
        else
            leave(&up);
        long end = hear_rest(&me, rest, sizeof rest);
        if (end != cases[i].end || rest[0] != '\0')
            fail_msg("case %zu: end %ld after \"%s\"", i, end, rest);
        leave(&me);
        rig_await(&rig.conns, 0);
        rig_await(&rig.done, (unsigned)i + 1);
        assert_int_equal(rig.status, cases[i].end == 0 ? 200 : 0);
    }
}

static void no_answer_at_all(void **state)
{
    (void)state;
    for (int how = 0; how < 5; how++) {
        static const char *const words[] = {"before it answered", "before it answered",
                                            "no answer that can be passed on"};
        me = client();
        say(&me, GET);
        up = cloud();
        hear(&up, GET_OUT);
        if (how == 0) {
            (void)SSL_shutdown(up.ssl);
        } else if (how == 2)
            say(&up, "SSH-2.0-OpenSSH\r\n\r\n");
        else if (how == 3)
            say(&up,
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n");
        else if (how == 4)
            say(&up, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n");
        if (how < 2)
            leave(&up);
        refused(&me, "502", words[how < 2 ? how : 2]);
        ends(&me, 0);
        leave(&me);
        leave(&up);
    }
}

static void the_client_leaves(void **state)
{
    char rest[RIG_TEXT];
    (void)state;
    /* in the middle of its body: what came is not whole for the cloud either */
    me = client();
    say(&me, "PUT /c HTTP/1.1\r\nHost: " HOST "\r\nContent-Length: 10\r\n\r\nabc");
    up = cloud();
    (void)hear_head(&up);
    hear(&up, "abc");
    (void)SSL_shutdown(me.ssl);
    leave(&me);
    assert_int_equal(hear_rest(&up, rest, sizeof rest), -1);
    assert_string_equal(rest, "");
    leave(&up);
    rig_await(&rig.done, 1);
    assert_int_equal(rig.status, 0);
    rig_await(&rig.conns, 0);
    /* in the middle of its head */
    me = client();
    say(&me, "GET /a HTTP/1.1\r\nHo");
    leave(&me);
    rig_await(&rig.conns, 0);
    assert_int_equal(rig_get(&rig.asked), 1);
    up = cloud_plain();
    ends(&up, 0);
    leave(&up);
    /* before the answer: it is thrown away when it comes */
    asked();
    leave_hard(&me);
    (void)rig_send(&up, OK2, sizeof OK2 - 1);
    rig_await(&rig.conns, 0);
    rig_await(&rig.done, 2);
}

/* Half-closed by the client behind a whole request: it still gets its answer. */
static void half_closed(void **state)
{
    (void)state;
    asked();
    (void)SSL_shutdown(me.ssl);
    (void)shutdown(me.fd, SHUT_WR);
    rig_sleep(100);
    say(&up, OK2);
    hear(&me, OK2);
    ends(&me, 0);
    rig_await(&rig.conns, 0);
}

static void tunnels_half_close(void **state)
{
    static const char ask[] = "CONNECT " TUNNEL ":443 HTTP/1.1\r\nHost: " TUNNEL ":443\r\n\r\n";
    (void)state;
    for (int first = 0; first < 2; first++) {
        me = plain_client(rig.proxy_port);
        say(&me, ask);
        up = cloud_plain();
        assert_non_null(strstr(hear_head(&me), " 200 "));
        struct end *a = first == 0 ? &me : &up, *b = first == 0 ? &up : &me;
        say(a, "not HTTP");
        (void)shutdown(a->fd, SHUT_WR);
        hear(b, "not HTTP");
        ends(b, 0);
        say(b, "but an answer");
        hear(a, "but an answer");
        leave(b);
        ends(a, 0);
        leave(a);
        rig_await(&rig.conns, 0);
    }
    rig_set(RIG_ALLOW, RIG_REFUSE, false);
    me = plain_client(rig.proxy_port);
    say(&me, ask);
    refused(&me, "504", "nobody answers there");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(one_connection_serves_many),
        TEST(pipelined),
        TEST(an_answer_nobody_asked_for),
        TEST(either_side_may_not_keep_it),
        TEST(a_stale_connection_is_replaced),
        TEST(chunked_both_ways),
        TEST(broken_chunks),
        TEST(expects_100_continue),
        TEST(lengths_without_bodies),
        TEST(large_bodies),
        TEST(cut_off_answers),
        TEST(no_answer_at_all),
        TEST(the_client_leaves),
        TEST(half_closed),
        TEST(tunnels_half_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
