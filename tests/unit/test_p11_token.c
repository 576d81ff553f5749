/* SPDX-License-Identifier: Apache-2.0
 *
 * Loading a module, choosing a token, and the one login.
 * On a real SoftHSM, through the spy.
 */
#include "tests/mock/p11_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* First of all: the constructor of a module runs once per process. */
static void keeps_the_module_off_our_output(void **state)
{
    int out[2], status = 0;
    char text[256];
    (void)state;
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    configure(KW_SPY, "one", "stdout");
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct kw_p11 *p = NULL;
        int err_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
        (void)dup2(out[1], STDOUT_FILENO);
        (void)dup2(err_fd, STDERR_FILENO);
        if (write(STDOUT_FILENO, "ours", 4) != 4)
            _exit(99);
        int r = kw_p11_load(&cfg, &p, NULL);
        kw_p11_free(p);
        _exit(r);
    }
    (void)close(out[1]);
    ssize_t n = read(out[0], text, sizeof text);
    assert_int_equal(n, 4);
    assert_memory_equal(text, "ours", 4);
    assert_int_equal(read(out[0], text, sizeof text), 0);
    (void)close(out[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void refuses_what_is_no_module(void **state)
{
    struct kw_p11 *p = NULL;
    struct kw_err err;
    (void)state;
    configure("libsofthsm2.so", "one", "");
    assert_int_equal(kw_p11_load(&cfg, &p, &err), KW_USAGE);
    configure("/nonexistent/module.so", "one", "");
    assert_int_equal(kw_p11_load(&cfg, &p, &err), KW_TOKEN);
    assert_non_null(strstr(err.text, "/nonexistent/module.so"));
    configure(conf, "one", "");
    assert_int_equal(kw_p11_load(&cfg, &p, &err), KW_TOKEN);
    configure("/lib/x86_64-linux-gnu/libc.so.6", "one", "");
    if (access(cfg.module, R_OK) == 0) {
        assert_int_equal(kw_p11_load(&cfg, &p, &err), KW_TOKEN);
        assert_non_null(strstr(err.text, "C_GetFunctionList"));
    }
    configure(KW_SPY, "one", "C_Initialize@1=0x2");
    assert_int_equal(kw_p11_load(&cfg, &p, &err), KW_TOKEN);
    assert_non_null(strstr(err.text, "CKR_HOST_MEMORY"));
    assert_null(p);
}

static void chooses_by_what_the_token_says(void **state)
{
    struct kw_m_keeper_ready info = {0}, other = {0};
    struct kw_p11 *p = NULL;
    struct kw_err err;
    (void)state;
    configure(KW_SPY, "two", "");
    p = loaded();
    assert_int_equal(kw_p11_choose(p, &info, &err), 0);
    assert_string_equal(info.label, "two");
    assert_string_equal(info.mechanism, "CKM_SHA256_RSA_PKCS");
    assert_true(info.min_bits <= 1024 && info.max_bits >= 4096);
    done();

    configure(KW_SPY, "", ""); /* by serial alone */
    memcpy(cfg.serial, info.serial, sizeof cfg.serial);
    p = loaded();
    assert_int_equal(kw_p11_choose(p, &other, &err), 0);
    assert_string_equal(other.label, "two");
    done();

    configure(KW_SPY, "", ""); /* two of them */
    memcpy(cfg.model, info.model, sizeof cfg.model);
    p = loaded();
    assert_int_equal(kw_p11_choose(p, &other, &err), KW_TOKEN);
    assert_non_null(strstr(err.text, "2 tokens match"));
    done();

    configure(KW_SPY, "three", "");
    p = loaded();
    assert_int_equal(kw_p11_choose(p, &other, &err), KW_TOKEN);
    assert_non_null(strstr(err.text, "no token token=three"));
    assert_non_null(strstr(err.text, "token=one"));
    assert_non_null(strstr(err.text, "token=two"));
    assert_int_equal(count("C_Login"), 0);
    done();
}

/* A token that another process is rewriting is invisible for a moment. */
static void looks_again_for_a_missing_token(void **state)
{
    struct kw_m_keeper_ready info = {0};
    struct kw_p11 *p = NULL;
    struct kw_err err;
    (void)state;
    configure(KW_SPY, "one", "C_GetTokenInfo@1=0x5 C_GetTokenInfo@2=0x5 C_GetSlotList@3=0x5");
    p = loaded();
    assert_int_equal(kw_p11_choose(p, &info, &err), 0);
    assert_string_equal(info.label, "one");
    assert_int_equal(log_in(p, "1234", &err), 0);
    assert_int_equal(count("C_Initialize"), 3);
    done();
    configure(KW_SPY, "one", "C_GetSlotList@*=0x30");
    p = loaded();
    assert_int_equal(kw_p11_choose(p, &info, &err), KW_TOKEN);
    assert_non_null(strstr(err.text, "CKR_DEVICE_ERROR"));
    done();
}

static void tries_a_pin_once(void **state)
{
    static const struct {
        const char *does, *pin;
        int code;
        unsigned logins;
        const char *says;
    } cases[] = {
        {"", "9999", KW_PIN, 1, "CKR_PIN_INCORRECT"},
        {"low", "1234", 0, 1, NULL},
        {"final", "1234", KW_PIN, 0, "one more PIN try"},
        {"locked", "1234", KW_PIN, 0, "locked"},
        {"final low locked", "1234", KW_PIN, 0, "locked"},
        {"C_Login@1=0xa4", "1234", KW_PIN, 1, "CKR_PIN_LOCKED"},
        {"C_Login@1=0xa3", "1234", KW_PIN, 1, "CKR_PIN_EXPIRED"},
        {"C_Login@1=0x100", "1234", KW_TOKEN, 1, "logged in already"},
        {"C_Login@1=0x5", "1234", KW_PIN, 1, "may have cost a try"},
        {"C_Login@1=0x32", "1234", KW_TOKEN, 1, "CKR_DEVICE_REMOVED"},
        {"C_GetTokenInfo@4=0x5", "1234", KW_TOKEN, 0, "C_GetTokenInfo"},
        {"C_OpenSession@1=0xb1", "1234", KW_TOKEN, 0, "CKR_SESSION_COUNT"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kw_err err = {0};
        struct kw_p11 *p = chosen(cases[i].does);
        if (log_in(p, cases[i].pin, &err) != cases[i].code)
            fail_msg("%s: %s", cases[i].does, err.text);
        assert_int_equal(count("C_Login"), cases[i].logins);
        if (cases[i].says != NULL && strstr(err.text, cases[i].says) == NULL)
            fail_msg("%s: says %s", cases[i].does, err.text);
        assert_null(strstr(err.text, cases[i].pin));
        done();
    }
}

static void without_a_pin_needs_a_pin_pad(void **state)
{
    struct kw_err err;
    struct kw_p11 *p = chosen("");
    (void)state;
    assert_int_equal(kw_p11_login(p, NULL, &err), KW_PIN);
    assert_int_equal(count("C_Login"), 0);
    done();
    p = chosen("pad");
    assert_int_not_equal(kw_p11_login(p, NULL, &err), 0); /* SoftHSM has none in truth */
    assert_int_equal(count("C_Login"), 1);
    done();
}

static void fewer_sessions_are_enough(void **state)
{
    struct kw_p11_key k;
    struct kw_err err;
    unsigned char sig[512];
    size_t n = 0;
    struct kw_p11 *p = ready("C_OpenSession@3=0xb1");
    (void)state;
    made(p, 1024, false, &k);
    assert_int_equal(kw_p11_sign(p, &k, "x", 1, sig, &n, &err), 0);
    assert_int_equal(kw_p11_destroy(p, &k, &err), 0);
    done();
}

static void names_return_values(void **state)
{
    (void)state;
    assert_string_equal(kw_ckr_name(CKR_PIN_INCORRECT), "CKR_PIN_INCORRECT");
    assert_string_equal(kw_ckr_name(CKR_OK), "CKR_OK");
    assert_string_equal(kw_ckr_name(0x80001234), "CKR 0x80001234");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(keeps_the_module_off_our_output, drop),
        cmocka_unit_test_teardown(refuses_what_is_no_module, drop),
        cmocka_unit_test_teardown(chooses_by_what_the_token_says, drop),
        cmocka_unit_test_teardown(looks_again_for_a_missing_token, drop),
        cmocka_unit_test_teardown(tries_a_pin_once, drop),
        cmocka_unit_test_teardown(without_a_pin_needs_a_pin_pad, drop),
        cmocka_unit_test_teardown(fewer_sessions_are_enough, drop),
        cmocka_unit_test_teardown(names_return_values, drop),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
