/* SPDX-License-Identifier: Apache-2.0
 *
 * Heads and bodies as the proxy of `run` reads them: what can be read in two ways is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "src/proxy/proxy_head.h"

#define H "Host: a.example\r\n"

static long request(const char *text, size_t n, struct kw_head *h, unsigned *status)
{
    struct kw_err err = {.code = KW_OK, .text = ""};
    long r = kw_head_request(text, n, h, status, &err);
    assert_true(r >= 0 || (err.text[0] != '\0' && *status >= 400));
    return r;
}

/* Whole, it is read to its end; without its last byte, more is needed. */
static void test_taken(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum kw_framing framing;
        uint64_t length;
        bool keep_alive;
    } good[] = {
        {"GET / HTTP/1.1\r\n" H "\r\n", KW_BODY_NONE, 0, true},
        {"GET / HTTP/1.0\r\n\r\n", KW_BODY_NONE, 0, false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", KW_BODY_NONE, 0, true},
        {"GET / HTTP/1.1\r\n" H "Connection: a, close\r\n\r\n", KW_BODY_NONE, 0, false},
        {"PUT /x?y HTTP/1.1\r\nhost:\ta.example \t\r\ncontent-length:12\r\n\r\n", KW_BODY_LENGTH,
         12, true},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n", KW_BODY_CHUNKED, 0, true},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 999999999999999999\r\n\r\n", KW_BODY_LENGTH,
         999999999999999999u, true},
        {"CONNECT a.example:443 HTTP/1.1\r\n" H "\r\n", KW_BODY_NONE, 0, true},
        {"CONNECT [::1]:443 HTTP/1.0\r\n\r\n", KW_BODY_NONE, 0, false},
        {"GET http://a.example:80/p HTTP/1.1\r\n" H "\r\n", KW_BODY_NONE, 0, true},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct kw_head h;
        unsigned status = 0;
        size_t n = strlen(good[i].text);
        assert_int_equal(request(good[i].text, n, &h, &status), (long)n);
        assert_int_equal(h.framing, good[i].framing);
        assert_true(h.length == good[i].length);
        assert_int_equal(h.keep_alive, good[i].keep_alive);
        for (size_t k = 0; k < n; k++)
            assert_int_equal(request(good[i].text, k, &h, &status), 0);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned status;
    } wrong[] = {
        {"\r\nGET / HTTP/1.1\r\n", 400},
        {"\n", 400},
        {"GET / HTTP/1.1\n", 400},
        {"GET / HTTP/1.1\rX", 400},
        {"GET /\r\n", 400},
        {"GET  / HTTP/1.1\r\n", 400},
        {"GET / HTTP/1.1 \r\n", 400},
        {"GET\t/ HTTP/1.1\r\n", 400},
        {"get / HTTP/1.1\r\n", 501},
        {"GET / http/1.1\r\n", 400},
        {"GET / HTTP/1.2\r\n", 505},
        {"PRI * HTTP/2.0\r\n", 505},
        {"GET * HTTP/1.1\r\n", 400},
        {"GET /#a HTTP/1.1\r\n", 400},
        {"GET https://a.example/ HTTP/1.1\r\n", 400},
        {"GET http://u@a.example/ HTTP/1.1\r\n", 400},
        {"CONNECT a.example HTTP/1.1\r\n", 400},
        {"CONNECT a.example:0443 HTTP/1.1\r\n", 400},
        {"CONNECT a.example:65536 HTTP/1.1\r\n", 400},
        {"CONNECT []:443 HTTP/1.1\r\n", 400},
        {"CONNECT a.example:443 HTTP/1.1\r\nHost: b.example:443\r\n\r\n", 400},
        {"CONNECT a.example:443 HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", 400},
        {"GET http://b.example/ HTTP/1.1\r\n" H "\r\n", 400},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H H "\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "A: b\r\n c\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "A : b\r\n", 400},
        {"GET / HTTP/1.1\r\n" H ": b\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "A\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "A: \x01", 400},
        {"GET / HTTP/1.1\r\n" H "A: \x7f", 400},
        {"P / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
        {"P / HTTP/1.1\r\n" H "Content-Length: 1, 1\r\n\r\n", 400},
        {"P / HTTP/1.1\r\n" H "Content-Length: 1 \r\n\r\n", 400},
        {"P / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\t\r\n\r\n", 400},
        {"P / HTTP/1.1\r\n" H "Content-Length: +1\r\n\r\n", 400},
        {"P / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n", 400},
        {"P / HTTP/1.1\r\n" H "Content-Length: 0x1\r\n\r\n", 400},
        {"P / HTTP/1.1\r\n" H "Content-Length: 01\r\n\r\n", 400},
        {"P / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", 400},
        {"P / HTTP/1.1\r\n" H "Content-Length: 18446744073709551617\r\n\r\n", 400},
        {"P / HTTP/1.1\r\n" H "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"P / HTTP/1.1\r\n" H "Transfer-Encoding: Chunked\r\n\r\n", 501},
        {"P / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
        {"P / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n", 400},
        {"P / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "Connection: Host\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "Expect: 200-ok\r\n\r\n", 417},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct kw_head h;
        unsigned status = 0;
        if (request(wrong[i].text, strlen(wrong[i].text), &h, &status) != -1 ||
            status != wrong[i].status)
            fail_msg("%s: %u", wrong[i].text, status);
    }
    struct kw_head h;
    unsigned status = 0;
    static const char nul[] = "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n";
    assert_int_equal(request(nul, sizeof nul - 1, &h, &status), -1);
}

static void test_bounds(void **state)
{
    (void)state;
    static char text[KW_HEAD_MAX + 64];
    struct kw_head h;
    unsigned status = 0;
    size_t n = (size_t)snprintf(text, sizeof text, "GET / HTTP/1.1\r\nA: ");
    memset(text + n, 'x', sizeof text - n);
    assert_int_equal(request(text, KW_HEAD_MAX - 1, &h, &status), 0);
    assert_int_equal(request(text, KW_HEAD_MAX, &h, &status), -1);
    assert_int_equal(status, 431);
    n = (size_t)snprintf(text, sizeof text, "GET / HTTP/1.1\r\n" H);
    for (unsigned i = 1; i < KW_HEAD_FIELDS; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "A: b\r\n");
    memcpy(text + n, "\r\n", 2);
    assert_int_equal(request(text, n + 2, &h, &status), (long)(n + 2));
    assert_int_equal(h.fields, KW_HEAD_FIELDS);
    memcpy(text + n, "A: b\r\n\r\n", 8);
    assert_int_equal(request(text, n + 8, &h, &status), -1);
    assert_int_equal(status, 431);
}

static void test_answers(void **state)
{
    (void)state;
    static const struct {
        const char *method, *text;
        int framing; /* -1: refused */
    } all[] = {
        {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", KW_BODY_LENGTH},
        {"GET", "HTTP/1.1 200 \r\nTransfer-Encoding: Chunked\r\n\r\n", KW_BODY_CHUNKED},
        {"GET", "HTTP/1.0 200 OK\r\n\r\n", KW_BODY_CLOSE},
        {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", KW_BODY_NONE},
        {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", KW_BODY_NONE},
        {"GET", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", KW_BODY_NONE},
        {"GET", "HTTP/1.1 100 Continue\r\n\r\n", KW_BODY_NONE},
        {"GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", -1},
        {"GET", "HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n", -1},
        {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", -1},
        {"GET", "HTTP/1.1 200\r\n\r\n", -1},
        {"GET", "HTTP/1.1 099 OK\r\n\r\n", -1},
        {"GET", "HTTP/1.1 600 OK\r\n\r\n", -1},
        {"GET", "HTTP/2.0 200 OK\r\n\r\n", -1},
        {"GET", "ICY 200 OK\r\n\r\n", -1},
        {"GET", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", -1},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct kw_head h;
        struct kw_err err;
        struct kw_span method = {.p = all[i].method, .n = strlen(all[i].method)};
        long n = kw_head_response(all[i].text, strlen(all[i].text), &method, &h, &err);
        if (n != (all[i].framing < 0 ? -1 : (long)strlen(all[i].text)) ||
            (n > 0 && (int)h.framing != all[i].framing))
            fail_msg("%s: %ld", all[i].text, n);
    }
}

/* The same verdict at once and byte by byte. */
static long follow(const char *text, size_t step, bool *done)
{
    struct kw_head h = {.framing = KW_BODY_CHUNKED};
    struct kw_follow f;
    size_t at = 0, n = strlen(text);
    kw_follow_start(&f, &h);
    for (*done = false; at < n && !*done;) {
        size_t k = n - at < step ? n - at : step;
        long r = kw_follow_bytes(&f, text + at, k, done);
        if (r < 0)
            return -1;
        assert_true(*done || (size_t)r == k);
        at += (size_t)r;
    }
    return (long)at;
}

static void test_chunks(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        long n; /* of the body; -1: refused; 0: goes on */
    } all[] = {
        {"0\r\n\r\nGET", 5},
        {"3\r\nabc\r\n0\r\n\r\n", 13},
        {"00a;x=y;z\r\n0123456789\r\n0;z\r\nA: b\r\n\r\n", 36},
        {"0\r\nX-Content-Length: 4\r\nContent-Length-X: 4\r\n\r\n", 47},
        {"0\r\nA-name-of-a-trailer-that-is-longer-than-any-other: b\r\n\r\n", 59},
        {"0\r\nContent-Length: 4\r\n\r\n", -1},
        {"0\r\nA: b\r\ntransfer-ENCODING: x\r\n\r\n", -1},
        {"0\r\nConnection: close\r\n\r\n", -1},
        {"0\r\nHost: b\r\n\r\n", -1},
        {"0\r\nAuthorization: b\r\n\r\n", -1},
        {"3;x=\"y\"\r\nabc", -1},
        {"3;\r\nabc", -1},
        {"3;=x\r\nabc", -1},
        {"3;x=\r\nabc", -1},
        {"3;x=y=z\r\nabc", -1},
        {"3;;x\r\nabc", -1},
        {"3; x\r\nabc", -1},
        {"3\r\nabc\r\n", 0},
        {"0\r\n", 0},
        {"\r\n", -1},
        {"0x3\r\nabc", -1},
        {"+3\r\n", -1},
        {"-3\r\n", -1},
        {" 3\r\n", -1},
        {"3 \r\n", -1},
        {"3\t;a\r\n", -1},
        {"3\nabc", -1},
        {"3\rabc", -1},
        {"3;a\nabc", -1},
        {"3\r\nabcd\r\n", -1},
        {"3\r\nabc\n0\r\n\r\n", -1},
        {"g\r\n", -1},
        {"0000000000000003\r\n", -1},
        {"ffffffffffffffff\r\n", -1},
        {"0\r\n\n", -1},
        {"0\r\n A: b\r\n\r\n", -1},
        {"0\r\nA : b\r\n\r\n", -1},
        {"0\r\nA: b\n\r\n", -1},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        for (size_t step = 1; step <= 64; step += 63) {
            bool done;
            long n = follow(all[i].text, step, &done);
            if (n != (all[i].n != 0 ? all[i].n : (long)strlen(all[i].text)) ||
                done != (all[i].n > 0))
                fail_msg("%s: %ld", all[i].text, n);
        }
}

static void test_lengths(void **state)
{
    (void)state;
    struct kw_head h = {.framing = KW_BODY_LENGTH, .length = 5};
    struct kw_follow f;
    bool done = true;
    kw_follow_start(&f, &h);
    assert_int_equal(kw_follow_bytes(&f, "abc", 3, &done), 3);
    assert_false(done);
    assert_int_equal(kw_follow_bytes(&f, "deGET", 5, &done), 2);
    assert_true(done);
    h.framing = KW_BODY_CLOSE;
    kw_follow_start(&f, &h);
    assert_int_equal(kw_follow_bytes(&f, "abc", 3, &done), 3);
    assert_false(done);
    h.framing = KW_BODY_NONE;
    kw_follow_start(&f, &h);
    assert_int_equal(kw_follow_bytes(&f, "abc", 3, &done), 0);
    assert_true(done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken),  cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bounds), cmocka_unit_test(test_answers),
        cmocka_unit_test(test_chunks), cmocka_unit_test(test_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
