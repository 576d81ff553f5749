/* SPDX-License-Identifier: Apache-2.0
 *
 * The real keyward-keeper on a token of our own (tests/mock/mock.c): what no real token does
 * on demand, and what only a token that is empty at first can show. All CKRs at all calls
 * are in tests/mock/matrix_keeper.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "keeper_steps.h"

static char calls[300];

/* A mock token for the next keeper. */
static void module(const char *script)
{
    char text[256];
    rig_config(&rig, KW_FOR_SESSION);
    (void)snprintf(text, sizeof text, "token=rig,0001,1234 %s", script);
    (void)setenv("KW_MOCK", text, 1);
    (void)unlink(calls);
}

static unsigned count(const char *function)
{
    char line[64];
    unsigned n = 0;
    FILE *f = fopen(calls, "re");
    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL)
        n += strncmp(line, function, strlen(function)) == 0 && line[strlen(function)] == '\n';
    (void)fclose(f);
    return n;
}

/* The keeper does not come up: it says this, with this code, and ends. */
static void refused(int code, const char *word)
{
    assert_true(rig_spawn(&rig, false));
    tell(KW_KM_START, &rig.cfg);
    hear_error(&rig.main, code, word);
    assert_int_equal(rig_end(&rig), code);
}

/* A slow token is asked in as many sessions at once as there are: with each C_Sign waiting
 * for three others, one at a time would never end. */
static void slow_token_in_parallel(void **state)
{
    enum { N = 4 };
    (void)state;
    module("C_Sign@4..=meet4"); /* before: the trials of key and twin, the extraction test's */
    rig.cfg.sessions = N;
    start(false);
    hear_key();
    session(600);
    struct kw_m_sign m = request(KW_SIGN_SESSION, "GET", API, "/", 0);
    for (unsigned i = 0; i < N; i++)
        assert_int_equal(kw_msg_send(&rig.sign, KW_S_SIGN, &m, NULL, 0, RIG_MS, &err), 0);
    for (unsigned i = 0; i < N; i++) {
        struct kw_m_signed s;
        if (kw_msg_expect(&rig.sign, KW_S_SIGNED, &s, &in, RIG_MS, &err) != 0)
            fail_msg("%s", err.text);
        kw_in_free(&in);
    }
    close_rig(1);
}

static void pin_flags(void **state)
{
    static const char *const flags[] = {"final", "locked", "low final", "final locked"};
    (void)state;
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        module(flags[i]);
        refused(KW_PIN, "not tried");
        assert_int_equal(count("C_Login"), 0);
    }
    module("low");
    start(false);
    hear_key();
    close_rig(1);
    module("pad"); /* a PIN pad: the module asks, we have none to give */
    rig.cfg.pin_source = KW_PIN_NONE;
    start(false);
    hear_key();
    close_rig(1);
    module("");
    rig.cfg.pin_source = KW_PIN_NONE;
    refused(KW_PIN, "no PIN pad");
    assert_int_equal(count("C_Login"), 0);
}

/* The token takes a weaker rung of the ladder, which is told. */
static void rungs(void **state)
{
    (void)state;
    module("refuse:0x171"); /* CKA_COPYABLE is not known, as with openCryptoki */
    start(false);
    hear_key();
    assert_int_equal(key.rung, 2);
    close_rig(1);
    module("strict-sign=0x70"); /* that key can't sign, as with openCryptoki 3.23 */
    start(false);
    hear_key();
    assert_int_equal(key.rung, 2);
    session(600);
    assert_int_equal(ask_session(&rig.sign, "GET", API, "/", 0), 0);
    close_rig(1);
    module("strict-sign=0x30"); /* that is no key's fault */
    struct kw_m_keeper_ready ready;
    assert_true(rig_spawn(&rig, false));
    tell(KW_KM_START, &rig.cfg);
    hear(KW_KM_READY, &ready);
    kw_in_free(&in);
    hear_error(&rig.main, KW_TOKEN, "CKR_DEVICE_ERROR");
    assert_int_equal(rig_end(&rig), KW_TOKEN);
    module("no-sha256");
    start(false);
    hear_key();
    session(600);
    assert_int_equal(ask_session(&rig.sign, "GET", API, "/", 0), 0);
    close_rig(1);
}

/* Attributes that are not as asked for, and a token that has no session objects. */
static void not_as_it_must_be(void **state)
{
    static const struct {
        const char *script, *word;
    } cases[] = {{"force:0x103=0", "CKA_SENSITIVE is 0"},
                 {"force:0x162=1", "EXTRACTABLE"},
                 {"show:0x103@*=gone", "SENSITIVE can't be read"},
                 {"show:0x163@*=0", "CKA_LOCAL"},
                 {"show:0x162@*=long", "EXTRACTABLE can't be"},
                 {"show:0x2@*=0", "CKA_PRIVATE"},
                 {"force:0x105=1", "CKA_DECRYPT"},
                 {"no-session-objects", "storage"},
                 {"show:0x120@*=flip", "belong together"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kw_m_keeper_ready ready;
        module(cases[i].script);
        assert_true(rig_spawn(&rig, false));
        tell(KW_KM_START, &rig.cfg);
        hear(KW_KM_READY, &ready);
        kw_in_free(&in);
        hear_error(&rig.main, KW_TOKEN, cases[i].word);
        assert_int_equal(rig_end(&rig), KW_TOKEN);
    }
}

/* A stored key that can't be destroyed: told to main, in the log, with what to do. */
static void undead(void **state)
{
    (void)state;
    (void)unlink(rig_log);
    module("undead");
    rig.cfg.token_object = 1;
    assert_true(rig_spawn(&rig, true));
    tell(KW_KM_START, &rig.cfg);
    int code = 0;
    while (code == 0) { /* the twin can't be destroyed either: READY, perhaps KEY, the error */
        struct kw_m_error e;
        assert_int_equal(kw_chan_recv(&rig.main, &in, RIG_MS, &err), 0);
        if (in.type == KW_MSG_ERROR && kw_msg_get(&in.body, KW_MSG_ERROR, &e)) {
            code = (int)e.code;
            assert_non_null(strstr(e.text, "still there"));
            assert_non_null(strstr(e.text, "keys --prune"));
        }
        kw_in_free(&in);
    }
    assert_int_equal(code, KW_TOKEN);
    assert_int_equal(rig_end(&rig), KW_TOKEN);
    static const char *const words[] = {"\"failed\":", NULL}, *const never[] = {NULL};
    audit_has(words, never);
}

static int set_up(void **state)
{
    const char *tmp = getenv("TMPDIR");
    struct kw_err ignored;
    (void)state;
    rig_module = KW_MOCK_SO;
    (void)snprintf(rig_dir, sizeof rig_dir, "%.200s/kw-keeper-XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(rig_dir) == NULL)
        return -1;
    (void)snprintf(rig_log, sizeof rig_log, "%s/audit", rig_dir);
    (void)snprintf(rig_pin, sizeof rig_pin, "%s/pin", rig_dir);
    (void)snprintf(calls, sizeof calls, "%s/calls", rig_dir);
    bool ok = rig_file(rig_pin, "1234\n") && setenv("KW_MOCK_LOG", calls, 1) == 0 &&
              kw_secret_init(true, &ignored) == 0;
    return ok ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slow_token_in_parallel),
        cmocka_unit_test(pin_flags),
        cmocka_unit_test(rungs),
        cmocka_unit_test(not_as_it_must_be),
        cmocka_unit_test(undead),
    };
    return cmocka_run_group_tests(tests, set_up, rig_tear_down);
}
