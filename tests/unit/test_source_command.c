/* SPDX-License-Identifier: Apache-2.0
 *
 * Subject tokens that a command prints ([source] type = command). */
#include "source_rig.h"

static void test_command(void **state)
{
    (void)state;
    command("printf %s " TOKEN "; echo");
    assert_int_equal(get(), 0);
    assert_string_equal(kw_secret_bytes(token), TOKEN);
    command("cat; printf a.b.c"); /* standard input is empty, and not ours */
    assert_int_equal(get(), 0);
    assert_string_equal(kw_secret_bytes(token), "a.b.c");
    command("printf a.b.c; exit 3");
    assert_int_equal(get(), KW_SUBJECT);
    assert_non_null(strstr(err.text, "exit status 3"));
    assert_null(strstr(err.text, "a.b.c"));
    command("kw-no-such-program 2>/dev/null");
    assert_int_equal(get(), KW_SUBJECT);
    assert_non_null(strstr(err.text, "not found"));
    command("kill -9 $$");
    assert_int_equal(get(), KW_SUBJECT);
    assert_non_null(strstr(err.text, "signal 9"));
    command(":");
    assert_int_equal(get(), KW_SUBJECT);
    assert_non_null(strstr(err.text, "empty"));
    command("printf 'a.b.c\\nd'");
    assert_int_equal(get(), KW_SUBJECT);
    /* a process group of its own: its number is the shell's */
    command("read -r pid name state parent group rest < /proc/$$/stat; printf %s.%s $$ $group");
    assert_int_equal(get(), 0);
    char *end;
    long shell = strtol(kw_secret_bytes(token), &end, 10);
    assert_true(shell > 1);
    assert_int_equal(strtol(end + 1, NULL, 10), shell);
}

/* Signal dispositions of ours must not leak: sh can't reset an ignored SIGPIPE. */
static void test_command_signals(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    command(
        "awk '$1 == \"SigIgn:\" || $1 == \"SigBlk:\" { printf \"%s.\", $2 }' /proc/self/status");
    assert_int_equal(get(), 0);
    char *end;
    uint64_t blocked = strtoull(kw_secret_bytes(token), &end, 16);
    uint64_t ignored = strtoull(end + 1, NULL, 16);
    assert_int_equal(blocked, 0);
    assert_int_equal(ignored & 0x7fffffffu, 0); /* the C library keeps its own two, 32 and 33 */
    (void)signal(SIGPIPE, SIG_DFL);
}

static void test_command_bounds(void **state)
{
    (void)state;
    command("head -c 40000 /dev/zero | tr '\\0' a");
    assert_int_equal(get(), KW_SUBJECT);
    assert_non_null(strstr(err.text, "more than"));
    char text[1024];
    (void)snprintf(text, sizeof text, "(sleep 300; :) & echo $! > %s; wait", path);
    command(text);
    config.timeout_s = 1;
    int64_t start = kw_now_ms();
    assert_int_equal(get(), KW_SUBJECT);
    assert_non_null(strstr(err.text, "still running after 1 s"));
    assert_true(kw_now_ms() - start < 10000);
    /* the whole group went with it */
    FILE *f = fopen(path, "r");
    int pid = 0;
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%d", &pid), 1);
    (void)fclose(f);
    (void)unlink(path);
    char status[64];
    bool gone = false;
    for (unsigned i = 0; i < 100 && !gone; i++) {
        (void)snprintf(status, sizeof status, "/proc/%d/stat", pid);
        f = fopen(status, "r");
        char c = 'Z';
        gone = f == NULL || fscanf(f, "%*d %*s %c", &c) != 1 || c == 'Z' || c == 'X';
        if (f != NULL)
            (void)fclose(f);
        (void)usleep(20000);
    }
    assert_true(gone);
    /* a daemon that keeps standard output open doesn't hold us up */
    config.timeout_s = 20;
    command("sleep 5 & printf a.b.c");
    start = kw_now_ms();
    assert_int_equal(get(), 0);
    assert_string_equal(kw_secret_bytes(token), "a.b.c");
    assert_true(kw_now_ms() - start < 4000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_command, reset),
        cmocka_unit_test_setup(test_command_signals, reset),
        cmocka_unit_test_setup(test_command_bounds, reset),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
