/* SPDX-License-Identifier: Apache-2.0
 *
 * Signed calls by the real exchanger (exchanger_rig.h): what goes out, what comes back, bodies. */
#include "exchanger_rig.h"

static void calls_are_signed_and_sent_as_signed(void **state)
{
    (void)state;
    struct kw_err err;
    struct result res;
    struct rig *r = rig_start(TLS_GOOD, 5000);
    use_session(r);
    for (unsigned i = 0; i < 3; i++) {
        static const char target[] = "/20160918//a.b/b%2Fc?x=%7B1%7D&y=a+b&z=";
        char url[128], line[128];
        (void)snprintf(url, sizeof url, "https://api.test%s", target);
        (void)snprintf(line, sizeof line, "GET %s HTTP/1.1\r\n", target);
        assert_int_equal(call(r, "GET", url, "opc-request-id: q1\nx-empty: \n", &res, &err), 0);
        assert_int_equal(res.head.status, 200);
        assert_string_equal(res.body, "ok");
        assert_int_equal(res.body_len, 2);
        assert_int_equal(strncmp(r->server.head, line, strlen(line)), 0);
        assert_string_equal(r->asked.target, target);
        assert_string_equal(r->asked.host, "api.test");
        assert_int_equal(r->asked.key, KW_SIGN_SESSION);
        free(res.body);
    }
    assert_int_equal(r->dials, 1);
    assert_non_null(strstr(r->server.head, "keyId=\"ST$t.o.k\""));
    assert_non_null(strstr(r->server.head, "signature=\"c2lnbmF0dXJl\""));
    assert_non_null(strstr(r->server.head, "\r\nUser-Agent: keyward/"));
    assert_non_null(strstr(r->server.head, "\r\nopc-request-id: q1\r\n"));
    assert_non_null(strstr(r->server.head, "\r\nx-empty:"));
    assert_null(strstr(r->server.head, "Accept"));
    assert_null(strcasestr(r->server.head, "content-length"));
    char date[64];
    assert_true(kw_hdr_find(r->asked.headers, "date", date, sizeof date));
    assert_non_null(strstr(r->server.head, date));
    rig_end(r);
}

static void methods(void **state)
{
    (void)state;
    static const struct {
        const char *method;
        bool length;
    } cases[] = {{"GET", false}, {"HEAD", false}, {"DELETE", false},
                 {"POST", true}, {"PUT", true},   {"PATCH", true}};
    struct rig *r = rig_start(TLS_GOOD, 5000);
    use_session(r);
    for (size_t i = 0; i < LEN(cases); i++) {
        struct kw_err err;
        struct result res;
        struct reply reply = {.raw = "HTTP/1.1 204 None\r\nETag: e\r\n\r\n"};
        server_script(&r->server, &reply, 1);
        assert_int_equal(call(r, cases[i].method, "https://api.test/", "", &res, &err), 0);
        assert_int_equal(res.head.status, 204);
        assert_string_equal(res.head.headers, "etag: e\n");
        assert_int_equal(strncmp(r->server.head, cases[i].method, strlen(cases[i].method)), 0);
        assert_true((strcasestr(r->server.head, "\r\ncontent-length: 0\r\n") != NULL) ==
                    cases[i].length);
        assert_null(strstr(r->server.head, "chunked"));
        free(res.body);
    }
    rig_end(r);
}

static void bodies_stream_both_ways(void **state)
{
    (void)state;
    enum { SENT = 300000, RECEIVED = 500000 };
    struct kw_err err;
    struct result res;
    char *out = malloc(SENT), *raw = malloc(RECEIVED + 100);
    for (size_t i = 0; i < SENT; i++)
        out[i] = (char)(i * 7 % 251);
    int n = snprintf(raw, 100, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", RECEIVED);
    memset(raw + n, 'z', RECEIVED);
    struct rig *r = rig_start(TLS_GOOD, 10000);
    use_session(r);
    server_script(&r->server, &(struct reply){.raw = raw, .n = (size_t)n + RECEIVED}, 1);
    assert_int_equal(call_body(r, "PUT", "https://api.test/n/x/b/y/o/z",
                               "content-type: application/octet-stream\n", out, SENT, SENT, &res,
                               &err),
                     0);
    assert_int_equal(r->server.body_n, SENT);
    assert_memory_equal(r->server.body, out, SENT);
    assert_int_equal(res.body_len, RECEIVED);
    assert_int_equal(res.n, RECEIVED);
    assert_int_equal(res.body[RECEIVED - 1], 'z');
    assert_null(strstr(r->server.head, "Expect"));
    assert_int_equal(kw_hdr_count(r->asked.headers, "x-content-sha256"), 1);
    free(res.body);
    /* a body that ends early is not sent as if it were whole */
    assert_int_equal(call_body(r, "PUT", "https://api.test/x", "", out, SENT, SENT - 1, &res, &err),
                     KW_FAILED);
    assert_non_null(strstr(err.text, "299999 of 300000"));
    free(res.body);
    free(out);
    free(raw);
    rig_end(r);
}

static void answers_are_passed_on(void **state)
{
    (void)state;
    struct kw_err err;
    struct result res;
    struct rig *r = rig_start(TLS_GOOD, 5000);
    use_session(r);
    struct reply replies[] = {
        {.raw = "HTTP/1.1 404 No\r\nContent-Length: 4\r\n\r\nnope"},
        {.raw = "HTTP/1.1 302 No\r\nLocation: https://evil.test/\r\nContent-Length: 0\r\n\r\n"},
        {.raw = "HTTP/1.1 100 Continue\r\nX-Interim: 1\r\n\r\nHTTP/1.1 200 OK\r\n"
                "Opc-Request-Id:   r1 \r\nX-Esc: a\033[2Jb\xff\r\nBad name: 1\r\n"
                "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n"},
    };
    server_script(&r->server, replies, LEN(replies));
    assert_int_equal(call(r, "GET", "https://api.test/", "", &res, &err), 0);
    assert_int_equal(res.head.status, 404);
    assert_string_equal(res.body, "nope");
    free(res.body);
    assert_int_equal(call(r, "GET", "https://api.test/", "", &res, &err), 0);
    assert_int_equal(res.head.status, 302);
    free(res.body);
    assert_int_equal(r->server.requests, 2);
    assert_int_equal(call(r, "GET", "https://api.test/", "", &res, &err), 0);
    assert_int_equal(res.head.status, 200);
    assert_string_equal(res.head.headers,
                        "opc-request-id: r1\nx-esc: a?[2Jb?\ntransfer-encoding: chunked\n");
    assert_string_equal(res.body, "abc");
    free(res.body);
    rig_end(r);
}

static void only_gets_are_repeated(void **state)
{
    (void)state;
    struct kw_err err;
    struct result res;
    struct rig *r = rig_start(TLS_GOOD, 5000);
    use_session(r);
    assert_int_equal(call(r, "GET", "https://api.test/", "", &res, &err), 0);
    free(res.body);
    /* the kept connection dies when it is used again */
    server_script(&r->server, &(struct reply){.raw = NULL, .close = true}, 1);
    assert_int_equal(call(r, "GET", "https://api.test/", "", &res, &err), 0);
    assert_int_equal(r->server.requests, 3);
    assert_int_equal(r->dials, 2);
    free(res.body);
    server_script(&r->server, &(struct reply){.raw = NULL, .close = true}, 1);
    assert_int_equal(call(r, "POST", "https://api.test/", "", &res, &err), KW_NET);
    assert_int_equal(r->server.requests, 4);
    assert_non_null(strstr(err.text, "not repeated"));
    free(res.body);
    /* and a GET only once */
    struct reply dead = {.raw = NULL, .close = true};
    struct reply twice[] = {{.raw = NULL}, dead, dead, dead};
    server_script(&r->server, twice, LEN(twice));
    assert_int_equal(call(r, "GET", "https://api.test/", "", &res, &err), 0);
    free(res.body);
    assert_int_equal(call(r, "GET", "https://api.test/", "", &res, &err), KW_NET);
    assert_int_equal(r->server.requests, 7);
    free(res.body);
    rig_end(r);
}

static void bad_requests(void **state)
{
    (void)state;
    static const struct {
        const char *method, *url, *headers;
    } cases[] = {
        {"get", "https://api.test/", ""},
        {"GET", "http://api.test/", ""},
        {"GET", "https://user@api.test/", ""},
        {"GET", "https://api.test/", "Host: evil.test\n"},
        {"GET", "https://api.test/", "Authorization: x\n"},
        {"POST", "https://api.test/", "content-length: 5\n"},
        {"POST", "https://api.test/", "Transfer-Encoding: chunked\n"},
        {"GET", "https://api.test/", "no colon\n"},
    };
    struct kw_err err;
    struct result res;
    struct rig *r = rig_start(TLS_GOOD, 5000);
    assert_int_equal(call(r, "GET", "https://api.test/", "", &res, &err), KW_FAILED);
    free(res.body);
    use_session(r);
    for (size_t i = 0; i < LEN(cases); i++) {
        assert_int_equal(call(r, cases[i].method, cases[i].url, cases[i].headers, &res, &err),
                         KW_USAGE);
        free(res.body);
    }
    assert_int_equal(r->dials, 0);
    rig_end(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_signed_and_sent_as_signed),
        cmocka_unit_test(methods),
        cmocka_unit_test(bodies_stream_both_ways),
        cmocka_unit_test(answers_are_passed_on),
        cmocka_unit_test(only_gets_are_repeated),
        cmocka_unit_test(bad_requests),
    };
    run_as = geteuid();
    int failed = cmocka_run_group_tests_name("calls", tests, setup, teardown);
    if (run_as == 0) {
        run_as = NOBODY;
        failed += cmocka_run_group_tests_name("calls as nobody", tests, setup, teardown);
    }
    return failed;
}
