/* SPDX-License-Identifier: Apache-2.0
 *
 * The real exchanger behind its real fences, as this user and (where that is root) as
 * nobody, against a TLS server on loopback. The test is main, keeper and dialer. */
#include "exchanger_rig.h"

/* --- exchange --------------------------------------------------------------------------- */

static void exchange_over_one_connection(void **state)
{
    (void)state;
    struct kw_err err;
    struct rig *r = rig_start(TLS_GOOD, 5000);
    server_script(&r->server, &(struct reply){.raw = OK_TOKEN}, 1);
    send_exchange(r, KW_AUTH_BASIC);
    /* TLS stands before there is anything to send, and nothing was sent */
    assert_true(server_await_handshakes(&r->server, 1));
    (void)usleep(100000);
    assert_int_equal(r->server.requests, 0);
    assert_int_equal(send_go(r, &err), 0);
    assert_int_equal(r->server.handshakes, 1);
    assert_int_equal(r->server.requests, 1);
    assert_int_equal(r->dials, 1);
    assert_int_equal(strncmp(r->server.head, "POST /oauth2/v1/token HTTP/1.1\r\n", 32), 0);
    assert_non_null(strstr(r->server.head, "\r\nHost: idcs.test\r\n"));
    assert_non_null(strstr(r->server.head, "\r\nAuthorization: Basic Y2xpZW50OnNlY3JldA==\r\n"));
    assert_non_null(
        strstr(r->server.head, "\r\nContent-Type: application/x-www-form-urlencoded\r\n"));
    assert_null(strstr(r->server.head, "Expect"));
    assert_null(strstr(r->server.head, "chunked"));
    static const char form[] =
        "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&requested_token_type=urn:oci:"
        "token-type:oci-upst&subject_token=s.u.b&subject_token_type=jwt&public_key=AQID";
    assert_int_equal(r->server.body_n, sizeof form - 1);
    assert_memory_equal(r->server.body, form, sizeof form - 1);
    rig_end(r);
}

static void exchange_by_signature(void **state)
{
    (void)state;
    struct kw_err err;
    struct rig *r = rig_start(TLS_GOOD, 5000);
    server_script(&r->server, &(struct reply){.raw = OK_TOKEN}, 1);
    send_exchange(r, KW_AUTH_SIGNATURE);
    assert_int_equal(send_go(r, &err), 0);
    assert_int_equal(r->asked.key, KW_SIGN_CLIENT);
    assert_string_equal(r->asked.method, "POST");
    assert_string_equal(r->asked.host, "idcs.test");
    assert_string_equal(r->asked.target, "/oauth2/v1/token");
    assert_int_equal(kw_hdr_count(r->asked.headers, "x-content-sha256"), 1);
    assert_non_null(strstr(r->server.head, "\r\nAuthorization: Signature version=\"1\""));
    assert_non_null(strstr(r->server.head, "keyId=\"t/u/f\""));
    assert_non_null(strcasestr(r->server.head, "\r\nx-content-sha256: "));
    assert_non_null(strcasestr(r->server.head, "\r\ndate: "));
    rig_end(r);
}

static void exchange_by_assertion(void **state)
{
    (void)state;
    struct kw_err err;
    struct rig *r = rig_start(TLS_GOOD, 5000);
    server_script(&r->server, &(struct reply){.raw = OK_TOKEN}, 1);
    send_exchange(r, KW_AUTH_ASSERTION);
    assert_int_equal(send_go(r, &err), 0);
    static const char tail[] = "&client_assertion=x.y.z";
    assert_memory_equal(r->server.body + r->server.body_n - (sizeof tail - 1), tail,
                        sizeof tail - 1);
    assert_null(strstr(r->server.head, "Authorization"));
    rig_end(r);
}

static void exchange_refusals(void **state)
{
    (void)state;
#define JSON_401                                                                                   \
    "{\"error\":\"invalid_client\",\"error_description\":\"Client authentication failed.\"}"
    static const struct {
        struct reply reply;
        int code;
        const char *says;
    } cases[] = {
        {{.raw = "HTTP/1.1 401 Unauthorized\r\nx-oracle-dms-ecid: E-1\r\nContent-Length: "
                 "76\r\n\r\n" JSON_401},
         KW_CLOUD,
         "(ecid E-1)"},
        {{.raw = "HTTP/1.1 302 Found\r\nLocation: https://evil.test/\r\nContent-Length: 0\r\n\r\n"},
         KW_CLOUD,
         "redirect"},
        {{.raw = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"}, KW_CLOUD, "HTML"},
        {{.raw = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}, KW_CLOUD, "empty"},
        {{.raw = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"}, KW_NET, "503"},
        {{.raw = "HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n"}, KW_NET, "429"},
        {{.raw = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"token\":", .close = true},
         KW_NET,
         "cut short"},
        {{.raw = NULL, .close = true}, KW_NET, "connection"},
        {{.raw = "SSH-2.0-OpenSSH\r\n", .close = true}, KW_CLOUD, "not HTTP"},
        {{.raw = "HTTP/1.1 2x0 OK\r\n\r\n", .close = true}, KW_CLOUD, "not HTTP"},
    };
    struct rig *r = rig_start(TLS_GOOD, 5000);
    for (size_t i = 0; i < LEN(cases); i++) {
        struct kw_err err;
        unsigned before = r->server.requests;
        int code = exchange_with(r, cases[i].reply, &err);
        if (code != cases[i].code || strstr(err.text, cases[i].says) == NULL)
            print_message("case %zu: %d %s\n", i, code, err.text);
        assert_int_equal(code, cases[i].code);
        assert_non_null(strstr(err.text, cases[i].says));
        assert_non_null(strstr(err.text, "idcs.test"));
        assert_int_equal(r->server.requests, before + 1); /* never repeated */
    }
    rig_end(r);
}

static void overlong_answers(void **state)
{
    (void)state;
    enum { BIG = 200000 };
    char *raw = malloc(BIG);
    struct kw_err err;
    struct rig *r = rig_start(TLS_GOOD, 5000);
    memset(raw, 'a', BIG);
    static const char body[] = "HTTP/1.1 200 OK\r\nContent-Length: 199000\r\n\r\n";
    memcpy(raw, body, sizeof body - 1);
    assert_int_equal(exchange_with(r, (struct reply){.raw = raw, .n = BIG}, &err), KW_CLOUD);
    assert_non_null(strstr(err.text, "65536"));
    memset(raw, 'a', BIG);
    static const char head[] = "HTTP/1.1 200 OK\r\nX: ";
    memcpy(raw, head, sizeof head - 1);
    memcpy(raw + 40000, "\r\n\r\n", 4);
    assert_int_equal(exchange_with(r, (struct reply){.raw = raw, .n = 40004}, &err), KW_CLOUD);
    assert_non_null(strstr(err.text, "16384"));
    free(raw);
    rig_end(r);
}

static void tls_failures(void **state)
{
    (void)state;
    static const struct {
        enum server_tls tls;
        int code;
        const char *says;
    } cases[] = {
        {TLS_UNKNOWN_CA, KW_CLOUD, "[tls] ca_file"},
        {TLS_OTHER_CA, KW_CLOUD, "[tls] ca_file"},
        {TLS_OTHER_NAME, KW_CLOUD, "another name"},
        {TLS_EXPIRED, KW_CLOUD, "expired"},
        {TLS_OLD, KW_CLOUD, "TLS 1.2"},
        {TLS_HANG_UP, KW_NET, "lost"},
    };
    for (size_t i = 0; i < LEN(cases); i++) {
        struct kw_err err;
        struct rig *r = rig_start(cases[i].tls, 5000);
        int code = exchange(r, &err);
        if (code != cases[i].code || strstr(err.text, cases[i].says) == NULL)
            print_message("case %zu: %d %s\n", i, code, err.text);
        assert_int_equal(code, cases[i].code);
        assert_non_null(strstr(err.text, cases[i].says));
        assert_int_equal(r->server.requests, 0);
        rig_end(r);
    }
}

static void silence_ends_in_time(void **state)
{
    (void)state;
    struct kw_err err;
    struct rig *r = rig_start(TLS_GOOD, 1000);
    int64_t before = kw_now_ms();
    assert_int_equal(exchange_with(r, (struct reply){.silent = true}, &err), KW_NET);
    assert_true(kw_now_ms() - before < 1500);
    assert_non_null(strstr(err.text, "in time"));
    rig_end(r);
}

static void dialer_refuses(void **state)
{
    (void)state;
    struct kw_err err;
    struct rig *r = rig_start(TLS_GOOD, 5000);
    (void)kw_fail(&r->refuse_dial, KW_POLICY, "policy dial: no");
    assert_int_equal(exchange(r, &err), KW_POLICY);
    assert_non_null(strstr(err.text, "policy dial: no"));
    (void)kw_fail(&r->refuse_dial, KW_NET, "name server gone");
    assert_int_equal(exchange(r, &err), KW_NET);
    assert_non_null(strstr(err.text, "name server gone"));
    r->refuse_dial.code = KW_OK;
    assert_int_equal(exchange_with(r, (struct reply){.raw = OK_TOKEN}, &err), 0);
    rig_end(r);
}

/* --- fetch -------------------------------------------------------------------------------- */

static int fetch(struct rig *r, struct reply reply, struct kw_err *err)
{
    struct kw_m_fetch m = {.url = "https://api.test/x?audience=a%20b", .field = "value"};
    struct kw_m_fetched out = {NULL};
    struct kw_in in;
    m.bearer = kw_secret_from("bear", 4);
    server_script(&r->server, &reply, 1);
    assert_int_equal(kw_msg_send(&r->ctl, KW_XM_FETCH, &m, NULL, 0, 1000, err), 0);
    int got = kw_msg_expect(&r->ctl, KW_XM_FETCHED, &out, &in, 20000, err);
    if (got == 0)
        assert_string_equal(kw_secret_bytes(out.token), "a.b.c");
    kw_in_free(&in);
    kw_secret_free(&out.token);
    kw_secret_free(&m.bearer);
    return got;
}

static void fetches(void **state)
{
    (void)state;
    struct kw_err err;
    struct rig *r = rig_start(TLS_GOOD, 5000);
    struct reply good = {.raw = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                "11\r\n{\"value\":\"a.b.c\"}\r\n0\r\n\r\n"};
    assert_int_equal(fetch(r, good, &err), 0);
    assert_int_equal(
        strncmp(r->server.head, "GET /x?audience=a%20b HTTP/1.1\r\nHost: api.test\r\n", 48), 0);
    assert_non_null(strstr(r->server.head, "\r\nAuthorization: Bearer bear\r\n"));
    assert_int_equal(fetch(r, good, &err), 0);
    assert_int_equal(r->dials, 1); /* kept alive */
    struct reply html = {.raw = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"};
    assert_int_equal(fetch(r, html, &err), KW_SUBJECT);
    struct reply moved = {
        .raw = "HTTP/1.1 301 X\r\nLocation: https://b.test/\r\nContent-Length: 0\r\n\r\n"};
    assert_int_equal(fetch(r, moved, &err), KW_SUBJECT);
    struct reply rubbish = {.raw = "rubbish\r\n\r\n", .close = true};
    assert_int_equal(fetch(r, rubbish, &err), KW_SUBJECT);
    struct reply cut = {.raw = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", .close = true};
    assert_int_equal(fetch(r, cut, &err), KW_NET);
    rig_end(r);
    r = rig_start(TLS_OTHER_CA, 5000);
    assert_int_equal(fetch(r, good, &err), KW_SUBJECT);
    rig_end(r);
}

/* --- peers that break the rules ---------------------------------------------------------- */

static void rubbish_from_the_keeper(void **state)
{
    (void)state;
    struct kw_err err;
    struct result res;
    struct rig *r = rig_start(TLS_GOOD, 5000);
    use_session(r);
    r->rubbish_from_keeper = true;
    assert_int_equal(call(r, "GET", "https://api.test/", "", &res, &err), KW_FAILED);
    assert_non_null(strstr(err.text, "exchanger-keeper"));
    free(res.body);
    r->rubbish_from_keeper = false;
    assert_int_equal(call(r, "GET", "https://api.test/", "", &res, &err), KW_FAILED);
    assert_non_null(strstr(err.text, "has ended"));
    free(res.body);
    rig_end(r);
}

static void rubbish_from_main(void **state)
{
    (void)state;
    struct rig *r = rig_start(TLS_GOOD, 5000);
    assert_int_equal(send(r->ctl.fd, "rubbish that is no message", 26, 0), 26);
    rig_stop(r, KW_FAILED);
}

static void ends_with_main(void **state)
{
    (void)state;
    struct rig *r = rig_start(TLS_GOOD, 5000);
    (void)close(r->role.ends[KW_FD_CTL]);
    r->role.ends[KW_FD_CTL] = -1;
    rig_stop(r, 0);
}

static void bad_ca_file(void **state)
{
    (void)state;
    struct role role;
    struct kw_chan ctl;
    struct kw_err err;
    struct kw_in in;
    struct kw_m_ready ready;
    struct kw_m_exchanger_start start = {.timeout_ms = 1000, .ca_file = "/nowhere/ca.pem"};
    assert_int_equal(role_start(&role, "exchanger",
                                1u << KW_FD_CTL | 1u << KW_FD_PEER | 1u << KW_FD_DIAL, run_as),
                     0);
    kw_chan_init(&ctl, KW_CHAN_EXCHANGER, KW_ROLE_MAIN, role.ends[KW_FD_CTL]);
    assert_int_equal(kw_msg_send(&ctl, KW_XM_START, &start, NULL, 0, 1000, &err), 0);
    assert_int_equal(kw_msg_expect(&ctl, KW_XM_READY, &ready, &in, 10000, &err), KW_USAGE);
    assert_non_null(strstr(err.text, "/nowhere/ca.pem"));
    kw_in_free(&in);
    assert_int_equal(role_end(&role), KW_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exchange_over_one_connection),
        cmocka_unit_test(exchange_by_signature),
        cmocka_unit_test(exchange_by_assertion),
        cmocka_unit_test(exchange_refusals),
        cmocka_unit_test(overlong_answers),
        cmocka_unit_test(tls_failures),
        cmocka_unit_test(silence_ends_in_time),
        cmocka_unit_test(dialer_refuses),
        cmocka_unit_test(fetches),
        cmocka_unit_test(rubbish_from_the_keeper),
        cmocka_unit_test(rubbish_from_main),
        cmocka_unit_test(ends_with_main),
        cmocka_unit_test(bad_ca_file),
    };
    run_as = geteuid();
    int failed = cmocka_run_group_tests_name("exchanger", tests, setup, teardown);
    if (run_as == 0) {
        run_as = NOBODY;
        failed += cmocka_run_group_tests_name("exchanger as nobody", tests, setup, teardown);
    }
    return failed;
}
