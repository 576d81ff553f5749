/* SPDX-License-Identifier: Apache-2.0
 *
 * The real exchanger behind its real fences, as this user and (where that is root) as
 * nobody, against a TLS server on loopback. The test is main, keeper and dialer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

#include "role.h"
#include "src/hdr.h"
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

static int connect_server(const struct rig *r)
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

static void answer_dial(struct rig *r)
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

static void answer_sign(struct rig *r)
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

static void *play_peers(void *arg)
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

static struct rig *rig_start(enum server_tls tls, uint32_t timeout_ms)
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

static void rig_stop(struct rig *r, int code)
{
    assert_int_equal(write(r->stop[1], "x", 1), 1);
    assert_int_equal(pthread_join(r->peers, NULL), 0);
    assert_int_equal(role_end(&r->role), code);
    server_end(&r->server);
    (void)close(r->stop[0]);
    (void)close(r->stop[1]);
    free(r);
}

static void rig_end(struct rig *r)
{
    struct kw_err err;
    assert_int_equal(kw_msg_send(&r->ctl, KW_XM_CLOSE, NULL, NULL, 0, 1000, &err), 0);
    rig_stop(r, 0);
}

/* --- main's requests ------------------------------------------------------------------- */

static void send_exchange(struct rig *r, enum kw_client_auth auth)
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

static int send_go(struct rig *r, struct kw_err *err)
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

static int exchange(struct rig *r, struct kw_err *err)
{
    send_exchange(r, KW_AUTH_BASIC);
    return send_go(r, err);
}

static int exchange_with(struct rig *r, struct reply reply, struct kw_err *err)
{
    server_script(&r->server, &reply, 1);
    return exchange(r, err);
}

static void use_session(struct rig *r)
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

static void *drain(void *arg)
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

static void *push(void *arg)
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
static int call_body(struct rig *r, const char *method, const char *url, const char *headers,
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

static int call(struct rig *r, const char *method, const char *url, const char *headers,
                struct result *res, struct kw_err *err)
{
    return call_body(r, method, url, headers, NULL, 0, 0, res, err);
}

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

/* --- calls ---------------------------------------------------------------------------------- */

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

/* --- peers that break the rules ----------------------------------------------------------------
 */

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

static int setup(void **state)
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

static int teardown(void **state)
{
    (void)state;
    (void)unlink(ca_path);
    return rmdir(dir);
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
        cmocka_unit_test(calls_are_signed_and_sent_as_signed),
        cmocka_unit_test(methods),
        cmocka_unit_test(bodies_stream_both_ways),
        cmocka_unit_test(answers_are_passed_on),
        cmocka_unit_test(only_gets_are_repeated),
        cmocka_unit_test(bad_requests),
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
