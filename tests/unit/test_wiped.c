/* SPDX-License-Identifier: Apache-2.0
 *
 * No block of memory is given back with a secret in it (claim 14). Every free() is looked
 * at: ours, and those of libcurl, OpenSSL and jansson, while a subject token is fetched,
 * exchanged, and a call made with the session, over real TLS; while main stores and reads
 * a session; and where each of those libraries would leave a copy, were it not for the
 * allocators that wipe.
 */
#include "wiped_look.h"

/* --- the exchanger, in this process --------------------------------------------------- */

static char dir[64], ca_path[128];
static int server_pipe[2], port_pipe[2];
static pid_t server_pid;
static unsigned port;

enum { REPLIES = 7 }; /* in the order of the tests below */
static void serve(void) __attribute__((noreturn));

/* In a process of its own: what it frees is not what is looked at. */
static void serve(void)
{
    static struct server s;
    static char text[REPLIES][256];
    static const char *const bodies[REPLIES] = {
        "{\"count\":1,\"value\":\"" SUBJECT "\"}",
        "{\"token\":\"" SESSION "\"}",
        "[]",
        "{\"token\":\"" SESSION "\"}",
        "{\"access_token\":\"" FEDERATED "\",\"token_type\":\"Bearer\",\"expires_in\":300}",
        "{\"accessToken\":\"" ACCESS "\",\"expireTime\":\"2099-01-01T00:00:00Z\"}",
        "[]"};
    struct reply replies[REPLIES] = {{.close = true}};
    char c;
    server_start(&s, TLS_GOOD, ca_path);
    for (int i = 0; i < REPLIES; i++) {
        (void)snprintf(text[i], sizeof text[i],
                       "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
                       strlen(bodies[i]), bodies[i]);
        replies[i] = (struct reply){.raw = text[i], .close = true};
    }
    server_script(&s, replies, REPLIES);
    (void)close(server_pipe[1]);
    if (write(port_pipe[1], &s.port, sizeof s.port) != (ssize_t)sizeof s.port)
        _exit(1);
    ssize_t n = read(server_pipe[0], &c, 1); /* until the test has ended */
    server_end(&s);
    _exit(n == 0 ? 0 : 1);
}

static int dial(void *arg, const char *host, uint16_t want, int64_t deadline_ms, int *ret_fd,
                struct kw_err *err)
{
    (void)arg, (void)host, (void)want, (void)deadline_ms;
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr sa;
    memcpy(&sa, &a, sizeof sa);
    *ret_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*ret_fd < 0 || connect(*ret_fd, &sa, sizeof sa) != 0)
        return kw_fail_errno(err, KW_NET, "connect");
    return fcntl(*ret_fd, F_SETFL, O_RDWR | O_NONBLOCK);
}

/* libcurl 7.88 connects once more what is connected; the exchanger's filter has it seem to
 * succeed, and so have we. In front of libc's. */
int connect(int fd, const struct sockaddr *to, socklen_t n)
{
    struct sockaddr_storage peer;
    socklen_t room = sizeof peer;
    if (getpeername(fd, (struct sockaddr *)&peer, &room) == 0)
        return 0;
    return (int)syscall(SYS_connect, fd, to, n);
}

struct rig {
    struct kw_exchanger x;
    struct kw_chan main, keeper;
    pthread_t thread;
};

/* The keeper: one signature, then one assertion. */
static void *play_keeper(void *arg)
{
    struct rig *r = arg;
    struct kw_err err;
    struct kw_in in;
    struct kw_m_sign m;
    struct kw_m_assert a;
    const struct kw_m_signed s = {.signature = {(const unsigned char *)"signature", 9}};
    if (kw_msg_expect(&r->keeper, KW_S_SIGN, &m, &in, 20000, &err) == 0)
        (void)kw_msg_send(&r->keeper, KW_S_SIGNED, &s, NULL, 0, 1000, &err);
    kw_in_free(&in);
    if (kw_msg_expect(&r->keeper, KW_S_ASSERT, &a, &in, 20000, &err) == 0) {
        struct kw_m_asserted made = {.jwt = kw_secret_from(ASSERTION, strlen(ASSERTION))};
        (void)kw_msg_send(&r->keeper, KW_S_ASSERTED, &made, NULL, 0, 1000, &err);
        kw_secret_free(&made.jwt);
    }
    kw_in_free(&in);
    return NULL;
}

/* With a bearer: leave to become the account, and for one call. */
static void *play_keeper_of_bearer(void *arg)
{
    struct rig *r = arg;
    struct kw_err err;
    struct kw_in in;
    struct kw_m_allow m;
    static const enum kw_msg questions[] = {KW_S_IMPERSONATE, KW_S_ALLOW};
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        if (kw_msg_expect(&r->keeper, questions[i], &m, &in, 20000, &err) == 0)
            (void)kw_msg_send(&r->keeper, KW_S_ALLOWED, NULL, NULL, 0, 1000, &err);
        kw_in_free(&in);
    }
    return NULL;
}

static void must(int r, const struct kw_err *err)
{
    if (r != 0)
        fail_msg("%s", err->text);
}

static void rig_start(struct rig *r, void *(*keeper)(void *))
{
    struct kw_err err;
    struct kw_in in;
    int ctl[2], sign[2];
    struct kw_m_exchanger_start m = {.timeout_ms = 30000};
    memset(r, 0, sizeof *r);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ctl), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sign), 0);
    kw_chan_init(&r->main, KW_CHAN_EXCHANGER, KW_ROLE_MAIN, ctl[0]);
    kw_chan_init(&r->x.ctl, KW_CHAN_EXCHANGER, KW_ROLE_EXCHANGER, ctl[1]);
    kw_chan_init(&r->keeper, KW_CHAN_SIGN, KW_ROLE_KEEPER, sign[0]);
    kw_chan_init(&r->x.sign, KW_CHAN_SIGN, KW_ROLE_EXCHANGER, sign[1]);
    must(kw_msg_send(&r->main, KW_XM_START, &m, NULL, 0, 1000, &err), &err);
    must(kw_msg_expect(&r->x.ctl, KW_XM_START, &m, &in, 1000, &err), &err);
    kw_in_free(&in);
    const struct kw_m_ready ready = {.fences = "none"};
    struct kw_m_ready heard;
    must(kw_msg_send(&r->x.ctl, KW_XM_READY, &ready, NULL, 0, 1000, &err), &err);
    must(kw_msg_expect(&r->main, KW_XM_READY, &heard, &in, 1000, &err), &err);
    kw_in_free(&in);
    r->x.budget_ms = m.timeout_ms;
    must(kw_http_new(ca_path, dial, NULL, &r->x.http, &err), &err);
    assert_int_equal(pthread_create(&r->thread, NULL, keeper, r), 0);
}

static void fetch(struct rig *r)
{
    struct kw_err err;
    struct kw_in in;
    struct kw_m_fetched got;
    struct kw_m_fetch m = {.url = "https://idcs.test/token", .field = "value"}, heard;
    m.bearer = kw_secret_from(BEARER, strlen(BEARER));
    must(kw_msg_send(&r->main, KW_XM_FETCH, &m, NULL, 0, 1000, &err), &err);
    kw_secret_free(&m.bearer);
    must(kw_msg_expect(&r->x.ctl, KW_XM_FETCH, &heard, &in, 1000, &err), &err);
    kw_in_free(&in);
    must(kw_exchanger_fetch(&r->x, &heard, &err), &err);
    kw_msg_free(KW_XM_FETCH, &heard);
    must(kw_msg_expect(&r->main, KW_XM_FETCHED, &got, &in, 1000, &err), &err);
    kw_in_free(&in);
    assert_string_equal(kw_secret_bytes(got.token), SUBJECT);
    kw_msg_free(KW_XM_FETCHED, &got);
}

static void exchange(struct rig *r, enum kw_client_auth auth)
{
    struct kw_err err;
    struct kw_in in;
    struct kw_m_exchange m = {
        .domain_url = "https://idcs.test", .auth = auth, .client_id = "client"};
    struct kw_m_exchange heard;
    struct kw_m_go go = {.spki = {(const unsigned char *)"spki", 4}};
    struct kw_m_token got;
    m.client_secret = kw_secret_from(SECRET, strlen(SECRET));
    must(kw_msg_send(&r->main, KW_XM_EXCHANGE, &m, NULL, 0, 1000, &err), &err);
    kw_secret_free(&m.client_secret);
    go.subject = kw_secret_from(SUBJECT, strlen(SUBJECT));
    must(kw_msg_send(&r->main, KW_XM_GO, &go, NULL, 0, 1000, &err), &err);
    kw_secret_free(&go.subject);
    must(kw_msg_expect(&r->x.ctl, KW_XM_EXCHANGE, &heard, &in, 1000, &err), &err);
    kw_in_free(&in);
    must(kw_exchanger_exchange(&r->x, &heard, &err), &err);
    kw_msg_free(KW_XM_EXCHANGE, &heard);
    must(kw_msg_expect(&r->main, KW_XM_TOKEN, &got, &in, 1000, &err), &err);
    kw_in_free(&in);
    assert_string_equal(kw_secret_bytes(got.token), SESSION);
    kw_msg_free(KW_XM_TOKEN, &got);
}

static void call(struct rig *r)
{
    struct kw_err err;
    struct kw_in in;
    struct kw_m_head head;
    struct kw_m_end end;
    int out[2];
    struct kw_m_call m = {.method = "GET", .url = "https://api.test/n/"}, heard;
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    must(kw_msg_send(&r->main, KW_XM_CALL, &m, out, 2, 1000, &err), &err);
    must(kw_msg_expect(&r->x.ctl, KW_XM_CALL, &heard, &in, 1000, &err), &err);
    kw_in_free(&in);
    must(kw_exchanger_call(&r->x, &heard, -1, out[1], &err), &err);
    must(kw_msg_expect(&r->main, KW_XM_HEAD, &head, &in, 1000, &err), &err);
    kw_in_free(&in);
    assert_int_equal(head.status, 200);
    must(kw_msg_expect(&r->main, KW_XM_END, &end, &in, 1000, &err), &err);
    kw_in_free(&in);
    (void)close(out[0]);
    (void)close(out[1]);
}

static unsigned blocks; /* of the test before */

static void rig_end(struct rig *r, unsigned least)
{
    kw_secret_free(&r->x.token);
    kw_http_free(r->x.http);
    none_found(least);
    (void)pthread_join(r->thread, NULL);
    const int fds[] = {r->main.fd, r->x.ctl.fd, r->keeper.fd, r->x.sign.fd};
    for (size_t i = 0; i < 4; i++)
        (void)close(fds[i]);
}

/* Fetch, exchange, call, exchange: to the last block of libcurl and OpenSSL. */
static void exchanger_leaves_nothing(void **state)
{
    (void)state;
    static struct rig r;
    rig_start(&r, play_keeper);
    arm();
    fetch(&r);
    exchange(&r, KW_AUTH_BASIC);
    call(&r);
    exchange(&r, KW_AUTH_ASSERTION);
    rig_end(&r, 1000);
    blocks = looked_at;
}

static void google(struct rig *r)
{
    struct kw_err err;
    struct kw_in in;
    static struct kw_m_google heard; /* large */
    struct kw_m_bearer got;
    static struct kw_m_google m = {.sts_url = "https://idcs.test/v1/token",
                                   .iam_url = "https://api.test/v1/projects/-/serviceAccounts",
                                   .audience = "//iam.googleapis.com/x",
                                   .subject_type = "urn:ietf:params:oauth:token-type:jwt",
                                   .scope = "x",
                                   .service_account = "a@b.iam.gserviceaccount.com",
                                   .lifetime = 600};
    m.subject = kw_secret_from(SUBJECT, strlen(SUBJECT));
    must(kw_msg_send(&r->main, KW_XM_GOOGLE, &m, NULL, 0, 1000, &err), &err);
    kw_secret_free(&m.subject);
    must(kw_msg_expect(&r->x.ctl, KW_XM_GOOGLE, &heard, &in, 1000, &err), &err);
    kw_in_free(&in);
    must(kw_exchanger_google(&r->x, &heard, &err), &err);
    kw_msg_free(KW_XM_GOOGLE, &heard);
    must(kw_msg_expect(&r->main, KW_XM_BEARER, &got, &in, 1000, &err), &err);
    kw_in_free(&in);
    assert_string_equal(kw_secret_bytes(got.token), ACCESS);
    kw_msg_free(KW_XM_BEARER, &got);
}

/* The same at Google: the federated token, the account's, and a call with that. */
static void bearer_leaves_nothing(void **state)
{
    (void)state;
    static struct rig r;
    rig_start(&r, play_keeper_of_bearer);
    arm();
    google(&r);
    call(&r);
    rig_end(&r, 500);
    print_message("%u blocks looked at\n", blocks + looked_at);
}

/* --- main ------------------------------------------------------------------------------- */

/* What the state file says is parsed by jansson, which keeps copies of its own. */
static void main_leaves_nothing(void **state)
{
    (void)state;
    struct kw_err err;
    struct kw_config c = {.profile = "p", .domain_url = "https://d.example", .client_id = "id"};
    struct kw_state s = {.key_id = "00ff", .not_after = INT64_C(4000000000)}, back;
    bool stored = false;
    (void)unsetenv("STATE_DIRECTORY");
    (void)setenv("XDG_STATE_HOME", dir, 1);
    must(kw_uri_parse("pkcs11:token=t", 0, &c.token_uri, &err), &err);
    s.token = kw_secret_from(SESSION, strlen(SESSION));
    arm();
    must(kw_state_write(&c, &s, &err), &err);
    must(kw_state_read(&c, 1000, &back, &stored, &err), &err);
    assert_true(stored);
    kw_state_free(&s);
    kw_state_free(&back);
    none_found(5);
    must(kw_state_remove(&c, &err), &err);
}

/* --- the search finds -------------------------------------------------------------------- */

static unsigned parsed(void)
{
    arm();
    json_decref(json_loads("{\"token\":\"" SESSION "\"}", 0, NULL));
    return disarm();
}

/* Allocators as main() and the exchanger set them; and that it takes them. */
static void search_finds(void **state)
{
    (void)state;
    char *volatile p = strdup("Bearer " BEARER);
    arm();
    free(p);
    assert_int_equal(disarm(), 1);
    assert_int_equal(found[2], 1);

    json_set_alloc_funcs(malloc, free);
    unsigned careless = parsed();
    (void)kw_memory_watch(/* wipe= */ true); /* OpenSSL's stay as they were set */
    assert_true(careless > 0);
    assert_int_equal(parsed(), 0);

    arm(); /* OpenSSL's are set for good; its own free() is what the control takes */
    OPENSSL_free(OPENSSL_strdup(SUBJECT));
    assert_int_equal(disarm(), 0);
    char *of_curl = curl_easy_escape(NULL, SUBJECT, 0);
    arm();
    curl_free(of_curl);
    assert_int_equal(disarm(), 0);
}

static int start(void **state)
{
    (void)state;
    struct kw_err err;
    const char *tmp = getenv("TMPDIR");
    unsigned char text[96];
    if (kw_secret_init(true, &err) != 0)
        return -1;
    (void)EVP_EncodeBlock(text, (const unsigned char *)"client:" SECRET, 7 + sizeof SECRET - 1);
    (void)snprintf(basic, sizeof basic, "%s", (const char *)text + 12);
    (void)snprintf(dir, sizeof dir, "%s/kw.XXXXXX", tmp != NULL && strlen(tmp) < 40 ? tmp : "/tmp");
    if (mkdtemp(dir) == NULL || pipe2(server_pipe, O_CLOEXEC) != 0 ||
        pipe2(port_pipe, O_CLOEXEC) != 0)
        return -1;
    (void)snprintf(ca_path, sizeof ca_path, "%s/ca.pem", dir);
    server_pid = fork();
    if (server_pid == 0)
        serve();
    return read(port_pipe[0], &port, sizeof port) == (ssize_t)sizeof port ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    char path[128];
    (void)close(server_pipe[1]);
    (void)waitpid(server_pid, NULL, 0);
    (void)unlink(ca_path);
    (void)snprintf(path, sizeof path, "%s/keyward", dir);
    (void)rmdir(path);
    return rmdir(dir);
}

int main(void)
{
    if (!kw_memory_watch(/* wipe= */ true)) {
        (void)fprintf(stderr, "OpenSSL was in use before the test\n");
        return 1;
    }
#ifdef KW_SANITIZE
    if (__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) == 0)
        return 1;
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exchanger_leaves_nothing),
        cmocka_unit_test(bearer_leaves_nothing),
        cmocka_unit_test(main_leaves_nothing),
        cmocka_unit_test(search_finds),
    };
    return cmocka_run_group_tests(tests, start, end);
}
