/* SPDX-License-Identifier: Apache-2.0
 *
 * The real keyward-keeper among hostile and broken neighbours: malformed messages, a
 * main that dies, a full disk, wrong starts, and modules that lie, leak and hang. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/resource.h>

#include "keeper_steps.h"

/* --- illegal conversations ------------------------------------------------------ */

static void send_raw(int fd, uint32_t type, uint32_t serial, const char *body)
{
    struct kw_buf b;
    kw_buf_init(&b, 4096);
    kw_put_u32(&b, type);
    kw_put_u32(&b, serial);
    kw_put_u32(&b, (uint32_t)strlen(body));
    kw_put_str(&b, body);
    assert_int_equal(send(fd, b.p, b.len, MSG_NOSIGNAL), b.len);
    kw_buf_free(&b);
}

static bool at_end(int fd)
{
    char c;
    return recv(fd, &c, 1, 0) <= 0;
}

static void bad_exchanger(void **state)
{
    (void)state;
    static const struct {
        uint32_t type, serial;
        const char *body;
    } cases[] = {
        {KW_S_SIGN, 0, "junk"}, {KW_S_SIGN, 5, ""},   {KW_KM_SIGN, 0, ""},  {KW_KM_SESSION, 0, ""},
        {9999, 0, ""},          {KW_S_ASSERT, 0, ""}, {KW_KM_CLOSE, 0, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rig_config(&rig, KW_FOR_SESSION);
        start(false);
        send_raw(rig.sign.fd, cases[i].type, cases[i].serial, cases[i].body);
        assert_true(at_end(rig.sign.fd));
        hear_key(); /* main's conversation goes on */
        session(600);
        assert_int_equal(ask_session(&rig.main, "GET", API, "/", 0), 0);
        close_rig(1);
    }
    /* an exchanger that has gone */
    rig_config(&rig, KW_FOR_SESSION);
    start(false);
    (void)close(rig.sign.fd);
    rig.sign.fd = -1;
    hear_key();
    close_rig(1);
}

static void bad_main(void **state)
{
    (void)state;
    static const char *const words[] = {"\"event\":\"destroyed\"", "\"event\":\"end\"", NULL};
    static const char *const never[] = {"\"failed\"", NULL};
    static const struct {
        uint32_t type;
        const char *body;
    } cases[] = {{KW_KM_SIGN, "junk"}, {KW_S_SIGN, ""}, {KW_KM_START, ""}, {KW_KM_SESSION, "x"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)unlink(rig_log);
        rig_config(&rig, KW_FOR_SESSION);
        start(true);
        hear_key();
        send_raw(rig.main.fd, cases[i].type, rig.main.tx, cases[i].body);
        assert_int_equal(rig_end(&rig), KW_FAILED);
        audit_has(words, never);
    }
    /* main dies: the key goes */
    (void)unlink(rig_log);
    rig_config(&rig, KW_FOR_SESSION);
    start(true);
    hear_key();
    (void)close(rig.main.fd);
    rig.main.fd = -1;
    assert_int_equal(rig_end(&rig), KW_FAILED);
    audit_has(words, never);
    /* also while it is being born, and with SIGUSR1 as the kernel would send it */
    (void)unlink(rig_log);
    rig_config(&rig, KW_FOR_SESSION);
    start(true);
    assert_int_equal(kill(rig.pid, SIGUSR1), 0);
    (void)close(rig.main.fd);
    rig.main.fd = -1;
    assert_int_equal(rig_end(&rig), KW_FAILED);
    audit_has(words, never);
}

static void bad_starts(void **state)
{
    (void)state;
    rig_config(&rig, KW_FOR_SESSION);
    assert_true(rig_spawn(&rig, false));
    send_raw(rig.main.fd, KW_KM_SESSION, 0, "");
    assert_int_equal(rig_end(&rig), KW_FAILED);

    assert_true(rig_spawn(&rig, false)); /* nothing asked for, nothing done */
    tell(KW_KM_CLOSE, &(struct kw_m_empty){0});
    assert_int_equal(rig_end(&rig), 0);

    (void)unlink(rig_log);
    rig_config(&rig, KW_FOR_SESSION);
    (void)snprintf(rig.cfg.module, sizeof rig.cfg.module, "/nonexistent/module.so");
    assert_true(rig_spawn(&rig, true));
    tell(KW_KM_START, &rig.cfg);
    hear_error(&rig.main, KW_TOKEN, "/nonexistent/module.so");
    assert_int_equal(rig_end(&rig), KW_TOKEN);
    static const char *const words[] = {"\"what\":\"start\"", NULL}, *const never[] = {NULL};
    audit_has(words, never);

    rig_config(&rig, KW_FOR_SESSION);
    rig.cfg.sessions = 65;
    assert_true(rig_spawn(&rig, false));
    tell(KW_KM_START, &rig.cfg);
    hear_error(&rig.main, KW_USAGE, "sessions");
    assert_int_equal(rig_end(&rig), KW_USAGE);

    rig_config(&rig, KW_FOR_SESSION);
    (void)snprintf(rig.cfg.audit_label, sizeof rig.cfg.audit_label, "no such key");
    assert_true(rig_spawn(&rig, false));
    tell(KW_KM_START, &rig.cfg);
    hear_error(&rig.main, KW_TOKEN, "no such key");
    assert_int_equal(rig_end(&rig), KW_TOKEN);

    /* an audit log that is none: nothing is begun */
    assert_true(rig_file(rig_log, "hello\n"));
    rig_config(&rig, KW_FOR_SESSION);
    assert_true(rig_spawn(&rig, true));
    tell(KW_KM_START, &rig.cfg);
    hear_error(&rig.main, KW_FAILED, "audit log");
    assert_int_equal(rig_end(&rig), KW_FAILED);
    (void)unlink(rig_log);
}

static void wrong_pin(void **state)
{
    (void)state;
    rig_config(&rig, KW_FOR_SESSION);
    (void)snprintf(rig.cfg.pin_path, sizeof rig.cfg.pin_path, "%s/wrong", rig_dir);
    assert_true(rig_file(rig.cfg.pin_path, "4321\n"));
    assert_true(rig_spawn(&rig, false));
    tell(KW_KM_START, &rig.cfg);
    hear_error(&rig.main, KW_PIN, "");
    assert_null(strstr(err.text, "4321"));
    assert_int_equal(rig_end(&rig), KW_PIN);
}

/* The audit log can't be written: nothing is signed, and it says why. */
static void full_disk(void **state)
{
    (void)state;
    (void)unlink(rig_log);
    rig_config(&rig, KW_FOR_SESSION);
    start(true);
    hear_key();
    session(600);
    assert_int_equal(ask_session(&rig.sign, "GET", API, "/", 0), 0);
    struct stat st;
    struct rlimit old, small;
    assert_int_equal(stat(rig_log, &st), 0);
    assert_int_equal(prlimit(rig.pid, RLIMIT_FSIZE, NULL, &old), 0);
    small = old;
    small.rlim_cur = (rlim_t)st.st_size + 20;
    assert_int_equal(prlimit(rig.pid, RLIMIT_FSIZE, &small, NULL), 0);
    assert_int_equal(ask_session(&rig.sign, "GET", API, "/", 0), KW_FAILED);
    assert_non_null(strstr(err.text, "nothing is signed"));
    assert_int_equal(ask_session(&rig.main, "GET", API, "/", 0), KW_FAILED);
    assert_int_equal(prlimit(rig.pid, RLIMIT_FSIZE, &old, NULL), 0);
    assert_int_equal(ask_session(&rig.sign, "GET", API, "/", 0), 0);
    close_rig(1);
    static const char *const words[] = {"\"signatures\":2", NULL}, *const never[] = {NULL};
    audit_has(words, never);
}

/* --- modules that misbehave ----------------------------------------------------- */

static void spy(enum kw_purpose purpose, const char *todo)
{
    if (purpose == KW_FOR_SESSION)
        client_config();
    rig.cfg.purpose = purpose;
    (void)snprintf(rig.cfg.module, sizeof rig.cfg.module, "%s", KW_SPY);
    (void)setenv("KW_SPY_MODULE", rig_module, 1);
    (void)setenv("KW_SPY_DO", todo, 1);
}

/* The first signature of each key is checked; after a wrong one there is no second. */
static void wrong_signatures(void **state)
{
    (void)state;
    spy(KW_FOR_SESSION, "badsig C_GenerateKeyPair@*=sleep3000");
    start(false);
    struct kw_m_sign m =
        request(KW_SIGN_CLIENT, "POST", rig.cfg.client_host, rig.cfg.client_target, 0);
    assert_int_equal(ask(&rig.sign, m, NULL, 0), KW_TOKEN);
    assert_int_equal(ask(&rig.sign, m, NULL, 0), KW_TOKEN);
    assert_non_null(strstr(err.text, "signs wrongly"));
    close_rig(1);
}

static void hear_refusal(struct kw_m_error *e)
{
    for (;;) { /* KM_KEY may or may not have been sent before the verdict */
        assert_int_equal(kw_chan_recv(&rig.main, &in, RIG_MS, &err), 0);
        if (in.type == KW_MSG_ERROR)
            break;
        assert_int_equal(in.type, KW_KM_KEY);
        kw_in_free(&in);
    }
    assert_true(kw_msg_get(&in.body, KW_MSG_ERROR, e));
    kw_in_free(&in);
    assert_int_equal(e->code, KW_TOKEN);
    assert_non_null(strstr(e->text, "gives keys out"));
    assert_int_equal(rig_end(&rig), KW_TOKEN);
}

/* A token that gives keys out: no session, the key destroyed, unless that was accepted. */
static void leaking(void **state)
{
    (void)state;
    struct kw_m_error e;
    (void)unlink(rig_log);
    spy(KW_FOR_SESSION, "wrap");
    start(true);
    hear_refusal(&e);
    static const char *const words[] = {"\"weaknesses\":1", "\"event\":\"destroyed\"", NULL};
    static const char *const never[] = {"\"event\":\"sign\"", NULL};
    audit_has(words, never);

    spy(KW_FOR_SESSION, "wrap");
    rig.cfg.accept = KW_ACCEPT_EXTRACTABLE;
    start(false);
    struct kw_m_verdict v;
    hear(KW_KM_KEY, &key);
    memcpy(spki, key.spki.p, key.spki.len);
    kw_in_free(&in);
    key.spki.p = spki;
    hear(KW_KM_VERDICT, &v);
    kw_in_free(&in);
    assert_int_equal(v.weaknesses, KW_ACCEPT_EXTRACTABLE);
    session(600);
    assert_int_equal(ask_session(&rig.sign, "GET", API, "/", 0), 0);
    close_rig(1);
}

/* As NSS: it gives keys out, and has an attribute wrong as well. Whichever is found first,
 * both are told, the graver first. */
static void leaking_and_wrong(void **state)
{
    (void)state;
    static const char *const slow[] = {"", " C_WrapKey@1=sleep300", " C_GenerateKeyPair@1=sleep300",
                                       " C_GenerateKeyPair@2=sleep300"};
    for (size_t i = 0; i < sizeof slow / sizeof slow[0]; i++) {
        char does[64];
        struct kw_m_error e;
        (void)snprintf(does, sizeof does, "wrap show:0x163=0%s", slow[i]);
        spy(KW_FOR_SESSION, does);
        start(false);
        hear_refusal(&e);
        assert_non_null(strstr(e.text, "accept = extractable. Besides, "));
        assert_non_null(strstr(e.text, "CKA_LOCAL is 0"));
        assert_non_null(strstr(e.text, "accept: not-local"));
    }
}

/* A module that fails when the key is to be destroyed: said, not hidden. */
static void not_destroyed(void **state)
{
    (void)state;
    (void)unlink(rig_log);
    spy(KW_FOR_SESSION, "C_DestroyObject@*=0x6");
    rig.cfg.token_object = 1; /* a session object would go with its session */
    assert_true(rig_spawn(&rig, true));
    tell(KW_KM_START, &rig.cfg);
    struct kw_m_keeper_ready ready;
    hear(KW_KM_READY, &ready);
    kw_in_free(&in);
    int code = 0;
    while (code == 0) {
        struct kw_m_error e;
        assert_int_equal(kw_chan_recv(&rig.main, &in, RIG_MS, &err), 0);
        if (in.type == KW_KM_VERDICT)
            tell(KW_KM_CLOSE, &(struct kw_m_empty){0});
        else if (in.type == KW_MSG_ERROR && kw_msg_get(&in.body, KW_MSG_ERROR, &e))
            code = (int)e.code;
        else
            assert_int_equal(in.type, KW_KM_KEY);
        kw_in_free(&in);
    }
    assert_int_equal(code, KW_TOKEN);
    assert_true(rig_end(&rig) < 1000);
    static const char *const words[] = {"\"failed\":", NULL}, *const never[] = {NULL};
    audit_has(words, never);
}

/* main has died and the module hangs: nobody watches, and still no keeper is left. */
static void orphan(void **state)
{
    (void)state;
    spy(KW_FOR_SESSION, "C_GenerateKeyPair@*=hang");
    start(false);
    int64_t from = kw_now_ms();
    assert_int_equal(kill(rig.pid, SIGUSR1), 0);
    (void)close(rig.main.fd);
    rig.main.fd = -1;
    int status = 0;
    assert_int_equal(waitpid(rig.pid, &status, 0), rig.pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM);
    assert_true(kw_now_ms() - from < 20000);
    (void)close(rig.violation);
    (void)close(rig.sign.fd);
}

/* An exchanger that only asks for what it may not have is cut off before it has filled
 * the audit log. */
static void hammering(void **state)
{
    (void)state;
    rig_config(&rig, KW_FOR_SESSION);
    start(false);
    hear_key();
    session(600);
    struct kw_m_sign m = request(KW_SIGN_SESSION, "DELETE", API, "/", 0);
    int n = 0;
    while (n < 2000 && kw_msg_send(&rig.sign, KW_S_SIGN, &m, NULL, 0, RIG_MS, &err) == 0) {
        struct kw_m_empty none;
        int r = kw_msg_expect(&rig.sign, KW_S_SIGNED, &none, &in, RIG_MS, &err);
        kw_in_free(&in);
        if (r != KW_POLICY)
            break;
        n++;
    }
    assert_int_equal(n, 1000);
    assert_int_equal(ask_session(&rig.main, "GET", API, "/", 0), 0);
    close_rig(1);
}

/* The same with assertions, and with what the client key may do: no budget of the user's
 * bounds that. */
static void hammering_client_key(void **state)
{
    (void)state;
    client_config();
    start(false);
    hear_key();
    struct kw_m_assert a = {.audience = "https://idcs-1.identity.oraclecloud.com/"};
    struct kw_m_sign m =
        request(KW_SIGN_CLIENT, "POST", rig.cfg.client_host, rig.cfg.client_target, 0);
    struct kw_m_signed s;
    struct kw_m_asserted jwt;
    int r = 0, n = 0;
    for (; r == 0 && n < 100; n++) {
        bool sign = n % 2 == 0;
        assert_int_equal(kw_msg_send(&rig.sign, sign ? KW_S_SIGN : KW_S_ASSERT,
                                     sign ? (void *)&m : (void *)&a, NULL, 0, RIG_MS, &err),
                         0);
        r = kw_msg_expect(&rig.sign, sign ? KW_S_SIGNED : KW_S_ASSERTED,
                          sign ? (void *)&s : (void *)&jwt, &in, RIG_MS, &err);
        if (r == 0 && !sign)
            kw_secret_free(&jwt.jwt);
        kw_in_free(&in);
    }
    assert_int_equal(r, KW_POLICY);
    assert_int_equal(n, 16 + 1);
    assert_non_null(strstr(err.text, "client key was used 16 times"));
    for (n = 1; n < 2000; n++) {
        struct kw_m_empty none;
        if (kw_msg_send(&rig.sign, KW_S_ASSERT, &a, NULL, 0, RIG_MS, &err) != 0)
            break;
        r = kw_msg_expect(&rig.sign, KW_S_ASSERTED, &none, &in, RIG_MS, &err);
        kw_in_free(&in);
        if (r != KW_POLICY)
            break;
    }
    assert_int_equal(n, 1000);
    close_rig(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_exchanger), cmocka_unit_test(bad_main),
        cmocka_unit_test(bad_starts),    cmocka_unit_test(full_disk),
        cmocka_unit_test(wrong_pin),     cmocka_unit_test(wrong_signatures),
        cmocka_unit_test(leaking),       cmocka_unit_test(leaking_and_wrong),
        cmocka_unit_test(not_destroyed), cmocka_unit_test(orphan),
        cmocka_unit_test(hammering),     cmocka_unit_test(hammering_client_key),
    };
    return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
