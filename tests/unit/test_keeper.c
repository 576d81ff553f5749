/* SPDX-License-Identifier: Apache-2.0
 *
 * The real keyward-keeper on a SoftHSM token: what it signs and what it refuses, for
 * the session and for the client key; stored keys, lists and probes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>

#include "src/base/b64.h"

#include "keeper_steps.h"

/* --- tests ---------------------------------------------------------------------- */

static void a_session(void **state)
{
    (void)state;
    (void)unlink(rig_log);
    rig_config(&rig, KW_FOR_SESSION);
    start(true);
    hear_key();
    assert_int_equal(key.rung, 1);
    assert_int_equal(ask_session(&rig.sign, "GET", API, "/x", 0), KW_POLICY);
    assert_non_null(strstr(err.text, "no session yet"));
    session(600);
    assert_int_equal(ask_session(&rig.sign, "GET", API, "/20160918/instances?secret=hunter2", 0),
                     0);
    assert_int_equal(ask_session(&rig.main, "POST", API ":8443", "/y", 0), 0);
    for (int i = 0; i < 70; i++) /* enough for a head in between */
        assert_int_equal(ask_session(&rig.sign, "GET", API, "/z", i % 2 == 0 ? 250 : -250), 0);
    assert_int_equal(ask_session(&rig.sign, "DELETE", API, "/x?q=hunter2", 0), KW_POLICY);
    assert_int_equal(ask_session(&rig.main, "GET", "evil.example", "/x", 0), KW_POLICY);
    assert_int_equal(ask_session(&rig.sign, "GET", API, "/x", 400), KW_POLICY);
    assert_int_equal(ask_session(&rig.sign, "GET", API, "/x", -400), KW_POLICY);
    struct kw_m_sign m = request(KW_SIGN_SESSION, "GET", API, "/x", 0);
    (void)snprintf(m.headers, sizeof m.headers, "(request-target)\nhost\n");
    assert_int_equal(ask(&rig.sign, m, spki, key.spki.len), KW_FAILED);
    m.key = 7;
    assert_int_equal(ask(&rig.sign, m, spki, key.spki.len), KW_FAILED);
    m = request(KW_SIGN_CLIENT, "POST", API, "/oauth2/v1/token", 0);
    assert_int_equal(ask(&rig.sign, m, spki, key.spki.len), KW_POLICY); /* none configured */
    close_rig(1);
    static const char *const words[] = {"\"event\":\"login\"",
                                        "\"what\":\"born\"",
                                        "\"event\":\"verdict\"",
                                        "\"event\":\"session\"",
                                        "refs/heads/main",
                                        "\"event\":\"sign\"",
                                        "\"event\":\"refusal\"",
                                        "\"event\":\"destroyed\"",
                                        "\"signatures\":72",
                                        "\"refusals\":8",
                                        "sign.host=*.oraclecloud.com",
                                        "\"is\":\"session key\"",
                                        "EXTRACTABLE=0",
                                        NULL};
    static const char *const never[] = {"hunter2", "1234\\n", "/20160918", "\"failed\"", NULL};
    audit_has(words, never);
    struct kw_audit_report rep;
    assert_int_equal(kw_audit_verify(rig_log, NULL, &rep, &err), 0);
    assert_true(rep.heads >= 2);
    assert_int_equal(rep.proven, rep.lines - 3); /* head, destroyed, end follow */
}

static void expiry(void **state)
{
    (void)state;
    rig_config(&rig, KW_FOR_SESSION);
    start(false);
    hear_key();
    struct kw_m_keeper_session s = {.not_after = (uint64_t)time(NULL) - 1};
    tell(KW_KM_SESSION, &s);
    hear_error(&rig.main, KW_POLICY, "expired");
    session(3);
    assert_int_equal(ask_session(&rig.sign, "GET", API, "/", 0), 0);
    (void)sleep(4);
    assert_int_equal(ask_session(&rig.sign, "GET", API, "/", 0), KW_POLICY);
    assert_non_null(strstr(err.text, "expired"));
    /* one key, one session: no second life */
    s.not_after = (uint64_t)time(NULL) + 600;
    tell(KW_KM_SESSION, &s);
    hear_error(&rig.main, KW_POLICY, "no key that waits");
    assert_int_equal(ask_session(&rig.main, "GET", API, "/", 0), KW_POLICY);
    close_rig(1);
}

/* KM_SESSION may come while the extraction test still runs; nothing is signed before. */
static void hasty(void **state)
{
    (void)state;
    struct kw_m_verdict v;
    struct kw_m_empty none;
    rig_config(&rig, KW_FOR_SESSION);
    start(false);
    hear(KW_KM_KEY, &key);
    memcpy(spki, key.spki.p, key.spki.len);
    kw_in_free(&in);
    key.spki.p = spki;
    struct kw_m_keeper_session s = {.not_after = (uint64_t)time(NULL) + 600};
    tell(KW_KM_SESSION, &s);
    hear(KW_KM_VERDICT, &v);
    kw_in_free(&in);
    hear(KW_KM_OK, &none);
    kw_in_free(&in);
    assert_int_equal(ask_session(&rig.sign, "GET", API, "/", 0), 0);
    close_rig(1);
}

static void budgets(void **state)
{
    (void)state;
    rig_config(&rig, KW_FOR_SESSION);
    rig.cfg.max_count = 2;
    start(false);
    hear_key();
    session(600);
    assert_int_equal(ask_session(&rig.sign, "GET", API, "/", 0), 0);
    assert_int_equal(ask_session(&rig.main, "GET", API, "/", 0), 0);
    assert_int_equal(ask_session(&rig.sign, "GET", API, "/", 0), KW_POLICY);
    assert_non_null(strstr(err.text, "max_count"));
    close_rig(1);
}

/* --- the client key ------------------------------------------------------------- */

static json_t *part(const char *jwt, int which)
{
    struct kw_buf b;
    for (; which > 0; which--)
        jwt = strchr(jwt, '.') + 1;
    kw_buf_init(&b, 8192);
    assert_true(kw_b64url_get(&b, jwt, strcspn(jwt, ".")));
    json_t *o = json_loadb((const char *)b.p, b.len, 0, NULL);
    assert_non_null(o);
    kw_buf_free(&b);
    return o;
}

static void check_assertion(const char *jwt, const unsigned char *der, size_t der_n)
{
    json_t *h = part(jwt, 0), *c = part(jwt, 1);
    const char *dot = strrchr(jwt, '.');
    struct kw_buf sig;
    kw_buf_init(&sig, 512);
    assert_true(kw_b64url_get(&sig, dot + 1, strlen(dot + 1)));
    struct kw_view v = {sig.p, sig.len};
    assert_true(verifies(der, der_n, jwt, (size_t)(dot - jwt), &v));
    kw_buf_free(&sig);
    assert_string_equal(json_string_value(json_object_get(h, "alg")), "RS256");
    assert_string_equal(json_string_value(json_object_get(h, "typ")), "JWT");
    assert_string_equal(json_string_value(json_object_get(h, "kid")), "cert-alias");
    assert_string_equal(json_string_value(json_object_get(c, "iss")), "my \"client\"");
    assert_string_equal(json_string_value(json_object_get(c, "sub")), "my \"client\"");
    assert_string_equal(json_string_value(json_object_get(c, "aud")),
                        "https://idcs-1.identity.oraclecloud.com/");
    json_int_t iat = json_integer_value(json_object_get(c, "iat")),
               nbf = json_integer_value(json_object_get(c, "nbf")),
               exp = json_integer_value(json_object_get(c, "exp"));
    assert_true(nbf <= iat && iat <= time(NULL) && exp > time(NULL) && exp - nbf <= 300);
    assert_int_equal(strlen(json_string_value(json_object_get(c, "jti"))), 32);
    json_decref(h);
    json_decref(c);
}

static int assertion(const char *audience, struct kw_secret **jwt)
{
    struct kw_m_assert a = {{0}};
    struct kw_m_asserted m = {NULL};
    (void)snprintf(a.audience, sizeof a.audience, "%s", audience);
    assert_int_equal(kw_msg_send(&rig.sign, KW_S_ASSERT, &a, NULL, 0, RIG_MS, &err), 0);
    int r = kw_msg_expect(&rig.sign, KW_S_ASSERTED, &m, &in, RIG_MS, &err);
    kw_in_free(&in);
    *jwt = r == 0 ? m.jwt : NULL;
    return r;
}

/* As many requests under way as the channel takes: each answer is that of its request, a
 * refusal among them too, though several sessions of the token sign at once. */
static void several_at_once(void **state)
{
    (void)state;
    rig_config(&rig, KW_FOR_SESSION);
    rig.cfg.sessions = 4;
    start(false);
    hear_key();
    session(600);
    for (unsigned i = 0; i < KW_SIGNS_MAX; i++) {
        char target[32];
        (void)snprintf(target, sizeof target, "/number/%u", i);
        struct kw_m_sign m = request(KW_SIGN_SESSION, i == 7 ? "DELETE" : "GET", API, target, 0);
        if (kw_msg_send(&rig.sign, KW_S_SIGN, &m, NULL, 0, RIG_MS, &err) != 0)
            fail_msg("%u: %s", i, err.text);
    }
    for (unsigned i = 0; i < KW_SIGNS_MAX; i++) {
        struct kw_m_signed s;
        char target[32];
        (void)snprintf(target, sizeof target, "/number/%u", i);
        int r = kw_msg_expect(&rig.sign, KW_S_SIGNED, &s, &in, RIG_MS, &err);
        assert_int_equal(r, i == 7 ? KW_POLICY : 0);
        /* the date of the request isn't kept: a second may have passed since */
        bool good = i == 7;
        for (int64_t ago = 0; !good && ago < 30; ago++) {
            struct kw_m_sign m = request(KW_SIGN_SESSION, "GET", API, target, -ago);
            struct kw_buf b;
            kw_buf_init(&b, 1 << 20);
            assert_int_equal(kw_oci_signing_string(&m, &b, &err), 0);
            good = verifies(spki, key.spki.len, b.p, b.len, &s.signature);
            kw_buf_free(&b);
        }
        assert_true(good);
        kw_in_free(&in);
    }
    close_rig(1);
}

static void client_key(void **state)
{
    (void)state;
    (void)unlink(rig_log);
    client_config();
    start(true);
    /* before any session, and bound to one request */
    unsigned char der[KW_SPKI_MAX];
    size_t n = client_spki(der, sizeof der);
    const char *host = rig.cfg.client_host, *target = rig.cfg.client_target;
    assert_int_equal(ask(&rig.sign, request(KW_SIGN_CLIENT, "POST", host, target, 0), der, n), 0);
    assert_int_equal(ask(&rig.sign, request(KW_SIGN_CLIENT, "GET", host, target, 0), der, n),
                     KW_POLICY);
    assert_int_equal(
        ask(&rig.sign, request(KW_SIGN_CLIENT, "POST", host, "/admin/v1/Apps", 0), der, n),
        KW_POLICY);
    assert_int_equal(ask(&rig.sign, request(KW_SIGN_CLIENT, "POST", API, target, 0), der, n),
                     KW_POLICY);
    assert_int_equal(ask(&rig.sign, request(KW_SIGN_CLIENT, "POST", host, target, 301), der, n),
                     KW_POLICY);
    struct kw_secret *one = NULL, *two = NULL;
    assert_int_equal(assertion("https://idcs-1.identity.oraclecloud.com/", &one), 0);
    check_assertion(kw_secret_bytes(one), der, n);
    assert_int_equal(assertion("https://idcs-1.identity.oraclecloud.com/", &two), 0);
    assert_string_not_equal(kw_secret_bytes(one), kw_secret_bytes(two)); /* jti */
    kw_secret_free(&one);
    kw_secret_free(&two);
    static const char *const bad[] = {"",
                                      "https://evil.example/",
                                      "https://idcs-1.identity.oraclecloud.com.evil.example/",
                                      "https://idcs-1.identity.oraclecloud.com@evil.example/",
                                      "https://idcs-1.identity.oraclecloud.com:99/",
                                      "http://idcs-1.identity.oraclecloud.com/",
                                      "https://idcs-1.identity.oraclecloud.com/?x",
                                      "https://identity.oraclecloud.com/"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(assertion(bad[i], &one), KW_POLICY);
    hear_key();
    /* the session key does not do the client's work, nor the other way round */
    session(600);
    assert_int_equal(ask_session(&rig.sign, "POST", API, "/", 0), 0);
    close_rig(1);
    static const char *const words[] = {"\"rule\":\"client-key\"", "\"event\":\"assert\"",
                                        "\"what\":\"assert\"", "\"is\":\"audit key\"", NULL};
    static const char *const never[] = {"eyJhbGciOi", NULL}; /* no JWT */
    audit_has(words, never);
    struct kw_audit_report rep;
    assert_int_equal(kw_audit_verify(rig_log, NULL, &rep, &err), 0);
    assert_int_equal(rep.proven, rep.lines - 1); /* the audit key's head is last */
}

/* --- stored keys, lists, probes ------------------------------------------------- */

static unsigned list(char id[65])
{
    struct kw_m_list_item item;
    unsigned n = 0;
    for (;;) {
        assert_int_equal(kw_chan_recv(&rig.main, &in, RIG_MS, &err), 0);
        if (in.type == KW_KM_LIST_END)
            break;
        assert_int_equal(in.type, KW_KM_LIST_ITEM);
        assert_true(kw_msg_get(&in.body, KW_KM_LIST_ITEM, &item));
        assert_string_equal(item.label, "keyward session");
        assert_int_equal(item.bits, 2048);
        (void)snprintf(id, 65, "%s", item.id);
        kw_in_free(&in);
        n++;
    }
    kw_in_free(&in);
    return n;
}

static void destroy(const char *id, int code)
{
    struct kw_m_destroy d = {{0}};
    struct kw_m_empty none;
    (void)snprintf(d.id, sizeof d.id, "%s", id);
    tell(KW_KM_DESTROY, &d);
    if (code != 0) {
        hear_error(&rig.main, code, "");
        return;
    }
    hear(KW_KM_OK, &none);
    kw_in_free(&in);
}

static void stored(void **state)
{
    (void)state;
    char id[65] = "", listed[65] = "";
    unsigned char first[KW_SPKI_MAX];
    rig_config(&rig, KW_FOR_SESSION);
    rig.cfg.token_object = 1;
    start(false);
    hear_key();
    assert_true(key.rung >= 3);
    session(600);
    assert_int_equal(ask_session(&rig.sign, "GET", API, "/", 0), 0);
    (void)snprintf(id, sizeof id, "%s", key.id);
    memcpy(first, spki, key.spki.len);
    close_rig(0); /* it stays */

    rig_config(&rig, KW_FOR_STORED);
    rig.cfg.token_object = 1;
    (void)snprintf(rig.cfg.stored_id, sizeof rig.cfg.stored_id, "%s", id);
    start(false);
    hear_key();
    assert_string_equal(key.id, id);
    assert_memory_equal(first, spki, key.spki.len);
    session(600);
    assert_int_equal(ask_session(&rig.sign, "GET", API, "/", 0), 0);
    destroy(id, KW_POLICY);   /* not what this keeper is for */
    (void)close(rig.main.fd); /* main dies: the key is not this run's to destroy */
    rig.main.fd = -1;
    assert_int_equal(rig_end(&rig), KW_FAILED);

    /* one whose main died before KM_CLOSE is destroyed, though it is a token object */
    rig_config(&rig, KW_FOR_SESSION);
    rig.cfg.token_object = 1;
    start(false);
    hear_key();
    session(600);
    (void)close(rig.main.fd);
    rig.main.fd = -1;
    assert_int_equal(rig_end(&rig), KW_FAILED);

    rig_config(&rig, KW_FOR_LIST);
    start(false);
    assert_int_equal(list(listed), 1);
    assert_string_equal(listed, id);
    destroy("c1", KW_TOKEN); /* the client key was not made by us */
    destroy("zz", KW_USAGE);
    destroy("", KW_USAGE);
    destroy(id, 0);
    destroy(id, KW_TOKEN);
    close_rig(1);

    rig_config(&rig, KW_FOR_LIST);
    start(false);
    assert_int_equal(list(listed), 0);
    close_rig(1);

    rig_config(&rig, KW_FOR_STORED);
    rig.cfg.token_object = 1;
    (void)snprintf(rig.cfg.stored_id, sizeof rig.cfg.stored_id, "%s", id);
    start(false);
    hear_error(&rig.main, KW_TOKEN, "");
    assert_int_equal(rig_end(&rig), KW_TOKEN);
}

static void probe(void **state)
{
    (void)state;
    (void)unlink(rig_log);
    rig_config(&rig, KW_FOR_PROBE);
    start(true);
    hear_key();
    struct kw_m_keeper_session s = {.not_after = (uint64_t)time(NULL) + 600};
    tell(KW_KM_SESSION, &s);
    hear_error(&rig.main, KW_POLICY, "no key");
    assert_int_equal(ask_session(&rig.sign, "GET", API, "/", 0), KW_POLICY);
    close_rig(1);
    static const char *const words[] = {"\"why\":\"it was a probe\"", NULL}, *const never[] = {
                                                                                 NULL};
    audit_has(words, never);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session), cmocka_unit_test(expiry),          cmocka_unit_test(hasty),
        cmocka_unit_test(budgets),   cmocka_unit_test(client_key),      cmocka_unit_test(stored),
        cmocka_unit_test(probe),     cmocka_unit_test(several_at_once),
    };
    return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
