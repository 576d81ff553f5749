/* SPDX-License-Identifier: Apache-2.0
 *
 * The real keyward-keeper under `run`: signatures for the proxy, and a session that follows
 * another while the old one still signs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "keeper_steps.h"

static const char host[] = "objectstorage.eu-frankfurt-1.oraclecloud.com";

/* Asks as the proxy and checks the signature with the key that is expected. */
static int psign(uint32_t generation, const char *at, const unsigned char *by, size_t by_n)
{
    struct kw_m_sign m = request(KW_SIGN_SESSION, "GET", at, "/n/", 0);
    static struct kw_m_psign p;
    struct kw_m_signed s;
    struct kw_buf string;
    memset(&p, 0, sizeof p);
    p.generation = generation;
    memcpy(p.method, m.method, sizeof p.method);
    memcpy(p.host, m.host, sizeof p.host);
    memcpy(p.target, m.target, sizeof p.target);
    memcpy(p.headers, m.headers, sizeof p.headers);
    if (kw_msg_send(&rig.proxy, KW_P_SIGN, &p, NULL, 0, RIG_MS, &err) != 0)
        fail_msg("%s", err.text);
    int r = kw_msg_expect(&rig.proxy, KW_P_SIGNED, &s, &in, RIG_MS, &err);
    if (r == 0) {
        kw_buf_init(&string, KW_LINES + KW_TARGET + KW_HOST);
        assert_int_equal(kw_oci_signing_string(&m, &string, &err), 0);
        assert_true(verifies(by, by_n, string.p, string.len, &s.signature));
        kw_buf_free(&string);
    }
    kw_in_free(&in);
    return r;
}

static void next_key(unsigned char *ret, size_t *ret_n)
{
    struct kw_m_key k;
    tell(KW_KM_RENEW, &(struct kw_m_empty){0});
    hear(KW_KM_KEY, &k);
    memcpy(ret, k.spki.p, k.spki.len);
    *ret_n = k.spki.len;
    kw_in_free(&in);
}

static void retire(uint32_t generation)
{
    struct kw_m_retire m = {generation};
    struct kw_m_empty none;
    tell(KW_KM_RETIRE, &m);
    hear(KW_KM_OK, &none);
    kw_in_free(&in);
}

static void renewals(void **state)
{
    (void)state;
    static unsigned char first[KW_SPKI_MAX], second[KW_SPKI_MAX];
    size_t first_n, second_n;
    (void)unlink(rig_log);
    rig_config(&rig, KW_FOR_RUN);
    start(true);
    hear_key();
    memcpy(first, spki, key.spki.len);
    first_n = key.spki.len;
    assert_int_equal(psign(1, host, first, first_n), KW_POLICY); /* no session yet */
    session(600);
    assert_int_equal(psign(1, host, first, first_n), 0);
    assert_int_equal(psign(1, "evil.example", first, first_n), KW_POLICY);
    assert_int_equal(psign(0, host, first, first_n), KW_POLICY);
    assert_int_equal(psign(2, host, first, first_n), KW_POLICY);
    /* The exchanger has the session key for nothing now. */
    struct kw_m_sign m = request(KW_SIGN_SESSION, "GET", host, "/n/", 0);
    assert_int_equal(ask(&rig.sign, m, first, first_n), KW_POLICY);

    next_key(second, &second_n);
    assert_true(first_n != second_n || memcmp(first, second, first_n) != 0);
    assert_int_equal(psign(1, host, first, first_n), 0); /* goes on meanwhile */
    assert_int_equal(psign(2, host, first, first_n), KW_POLICY);
    next_key(second, &second_n); /* asked again: the same one, that had no session */
    session(600);
    assert_int_equal(psign(2, host, second, second_n), 0);
    assert_int_equal(psign(1, host, first, first_n), 0); /* was under way */
    retire(1);
    assert_int_equal(psign(1, host, first, first_n), KW_POLICY);
    assert_int_equal(psign(2, host, second, second_n), 0);
    struct kw_m_retire again = {1};
    tell(KW_KM_RETIRE, &again);
    hear_error(&rig.main, KW_POLICY, "no former session");

    next_key(first, &first_n); /* and once more, now with the first's place */
    session(600);
    assert_int_equal(psign(3, host, first, first_n), 0);
    retire(2);
    next_key(second, &second_n); /* left over at the end: destroyed with the rest */
    close_rig(1);
    static const char *const words[] = {"\"event\":\"key\"", "\"why\":\"renewed\"",
                                        "\"event\":\"destroyed\"", NULL};
    static const char *const never[] = {NULL};
    audit_has(words, never);
}

/* Heads of the log by keys that follow each other are all good. */
static void log_is_whole(void **state)
{
    (void)state;
    struct kw_audit_report report;
    if (kw_audit_verify(rig_log, NULL, &report, &err) != 0)
        fail_msg("%s", err.text);
    assert_true(report.heads >= 3);
}

static void notes(void **state)
{
    (void)state;
    struct kw_m_pnote n = {.method = "GET", .host = "evil.example", .target = "/x?secret=hunter2"};
    (void)snprintf(n.text, sizeof n.text, "the run's stand-in was sent to another place");
    (void)unlink(rig_log);
    rig_config(&rig, KW_FOR_RUN);
    start(true);
    hear_key();
    session(600);
    assert_int_equal(kw_msg_send(&rig.proxy, KW_P_NOTE, &n, NULL, 0, RIG_MS, &err), 0);
    assert_int_equal(psign(1, host, spki, key.spki.len), 0); /* no answer came in between */
    close_rig(1);
    static const char *const words[] = {"\"event\":\"refusal\"", "evil.example", "stand-in", NULL};
    static const char *const never[] = {"hunter2", NULL};
    audit_has(words, never);
}

static int allow(const char *at)
{
    struct kw_m_allow a = {.method = "GET", .target = "/x"};
    struct kw_m_empty none;
    (void)snprintf(a.host, sizeof a.host, "%s", at);
    assert_int_equal(kw_msg_send(&rig.proxy, KW_P_ALLOW, &a, NULL, 0, RIG_MS, &err), 0);
    int r = kw_msg_expect(&rig.proxy, KW_P_ALLOWED, &none, &in, RIG_MS, &err);
    kw_in_free(&in);
    return r;
}

static void bearers(void **state)
{
    (void)state;
    struct kw_m_keeper_ready ready;
    rig_config(&rig, KW_FOR_BEARER);
    rig.cfg.module[0] = '\0'; /* no token at all, and so no worker */
    rig.cfg.pin_source = KW_PIN_NONE;
    (void)snprintf(rig.cfg.sign_host, sizeof rig.cfg.sign_host, "*.googleapis.com");
    assert_true(rig_spawn(&rig, false));
    tell(KW_KM_START, &rig.cfg);
    hear(KW_KM_READY, &ready);
    kw_in_free(&in);
    session(600);
    assert_int_equal(allow("compute.googleapis.com"), 0);
    assert_int_equal(allow("evil.example"), KW_POLICY);
    close_rig(1);
}

/* What is none of the proxy's business, and what only `run` has. */
static void others(void **state)
{
    (void)state;
    rig_config(&rig, KW_FOR_SESSION);
    start(false);
    hear_key();
    session(600);
    assert_int_equal(psign(1, host, spki, key.spki.len), KW_POLICY);
    tell(KW_KM_RENEW, &(struct kw_m_empty){0});
    hear_error(&rig.main, KW_POLICY, "no session to renew");
    close_rig(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(renewals), cmocka_unit_test(log_is_whole),
                                       cmocka_unit_test(notes), cmocka_unit_test(bearers),
                                       cmocka_unit_test(others)};
    return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
