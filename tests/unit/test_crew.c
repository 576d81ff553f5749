/* SPDX-License-Identifier: Apache-2.0
 *
 * Starting the roles and telling truthfully how one ended. The roles are those of
 * crew_roles.h. */
#include "crew_roles.h"

/* --- main's side ----------------------------------------------------------------- */

static struct kw_crew crew;
static struct kw_err err;

static void start(unsigned roles)
{
    int r = kw_crew_start(&crew, roles, -1, -1, "", &err);
    if (r != 0)
        print_error("%s\n", err.text);
    assert_int_equal(r, 0);
    (void)snprintf(crew.keeper.module, sizeof crew.keeper.module, "/lib/hsm.so");
}

static int say(struct kw_child *ch, const char *what)
{
    static struct kw_m_keeper_start k;
    static struct kw_m_exchanger_start x;
    static struct kw_m_dialer_start d;
    (void)snprintf(k.module, sizeof k.module, "%s", what);
    (void)snprintf(x.ca_file, sizeof x.ca_file, "%s", what);
    (void)snprintf(d.dial, sizeof d.dial, "%s", what);
    if (ch->role == KW_ROLE_KEEPER)
        return kw_child_send(ch, KW_KM_START, &k, NULL, 0, &err);
    if (ch->role == KW_ROLE_EXCHANGER)
        return kw_child_send(ch, KW_XM_START, &x, NULL, 0, &err);
    return kw_child_send(ch, KW_DM_START, &d, NULL, 0, &err);
}

static int expect_ready(struct kw_child *ch, int ms, char *fences, char *missing)
{
    struct kw_m_keeper_ready k;
    struct kw_m_ready r;
    struct kw_in in;
    bool keeper = ch->role == KW_ROLE_KEEPER;
    int code = kw_child_expect(ch,
                               keeper                          ? KW_KM_READY
                               : ch->role == KW_ROLE_EXCHANGER ? KW_XM_READY
                                                               : KW_DM_READY,
                               keeper ? (void *)&k : (void *)&r, &in, kw_now_ms() + ms, &err);
    if (code == 0 && fences != NULL)
        (void)snprintf(fences, 256, "%s", keeper ? k.fences : r.fences);
    if (code == 0 && missing != NULL)
        (void)snprintf(missing, 256, "%s", keeper ? k.missing : r.missing);
    kw_in_free(&in);
    return code;
}

static struct kw_child *child_of(unsigned role)
{
    return role == KEEPER ? &crew.keeper : role == EXCHANGER ? &crew.exchanger : &crew.dialer;
}

/* The diagnosis of a role that does `what` instead of becoming ready. */
static void diagnosed(unsigned role, const char *what, int code, const char *text)
{
    struct kw_child *ch = child_of(role);
    start(role);
    assert_int_equal(say(ch, what), 0);
    int r = expect_ready(ch, 300, NULL, NULL);
    if (r != code || strstr(err.text, text) == NULL)
        fail_msg("%s: %d %s", what, r, err.text);
    struct kw_err at_end;
    assert_int_equal(kw_crew_end(&crew, &at_end), 0);
    assert_int_equal(ch->pid, 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child left, not even a dead one */
    assert_int_equal(errno, ECHILD);
}

static int descriptors(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d) != NULL)
        n++;
    (void)closedir(d);
    return n;
}

static void test_ready_and_nothing_left(void **state)
{
    (void)state;
    char fences[256];
    start(DIALER);
    assert_int_equal(kw_crew_end(&crew, &err), 0); /* from here on the signal descriptor stays */
    int before = descriptors();
    for (int i = 0; i < 3; i++) {
        start(KEEPER | EXCHANGER | DIALER);
        for (unsigned role = KEEPER; role <= DIALER; role <<= 1) {
            assert_int_equal(say(child_of(role), "fine"), 0);
            assert_int_equal(expect_ready(child_of(role), 5000, fences, NULL), 0);
            assert_string_equal(fences, "fine");
        }
        assert_int_equal(kw_crew_end(&crew, &err), 0);
        assert_int_equal(kw_crew_end(&crew, &err), 0); /* once is enough */
        assert_int_equal(descriptors(), before);
    }
    struct kw_crew never = {0}; /* never started: closes nothing of ours */
    assert_int_equal(kw_crew_end(&never, &err), 0);
    assert_int_equal(descriptors(), before);
    assert_int_equal(kw_child_send(&crew.keeper, KW_KM_CLOSE, NULL, NULL, 0, &err), KW_FAILED);
    assert_string_equal(err.text, "the keeper is not running");
    assert_int_equal(expect_ready(&crew.dialer, 100, NULL, NULL), KW_FAILED);
    assert_string_equal(err.text, "the dialer is not running");
}

static void test_only_their_descriptors(void **state)
{
    (void)state;
    char seen[256], env[256];
    int pipes[2]; /* neither of them close-on-exec: still nobody may have them */
    assert_int_equal(pipe2(pipes, 0), 0);
    (void)signal(SIGALRM, SIG_IGN); /* nor what our own parent had ignored */
    (void)signal(SIGUSR1, SIG_IGN);
    (void)setenv("KEYWARD_TEST_SECRET", "x", 1);
    (void)setenv("SOFTHSM2_CONF", "/x", 1);
    (void)setenv("VENDOR_HSM", "x", 1);
    (void)setenv("VENDOR_HSM_2", "x", 1);
    (void)setenv("LD_LIBRARY_PATH", "/x", 1);
    assert_int_equal(kw_crew_start(&crew, KEEPER | EXCHANGER | DIALER, pipes[1], pipes[0],
                                   "OTHER VENDOR_HSM", &err),
                     0);
    static const char *const want[] = {"0 1 2 3 4 5 6 7 8 -2 -15 -1 -13 dies:10",
                                       "0 1 2 3 4 5 6 -2 -15 -1 -13 dies:9",
                                       "0 1 2 3 4 5 -2 -15 -1 -13 dies:9"};
    for (unsigned role = KEEPER, i = 0; role <= DIALER; role <<= 1, i++) {
        assert_int_equal(say(child_of(role), "inventory"), 0);
        assert_int_equal(expect_ready(child_of(role), 5000, seen, env), 0);
        assert_string_equal(seen, want[i]);
        if (role != KEEPER)
            assert_string_equal(env, "");
        else {
            assert_non_null(strstr(env, "SOFTHSM2_CONF "));
            assert_non_null(strstr(env, "VENDOR_HSM "));
            assert_null(strstr(env, "VENDOR_HSM_2"));
            assert_null(strstr(env, "SECRET"));
            assert_null(strstr(env, "LD_"));
        }
    }
    assert_int_equal(kw_crew_end(&crew, &err), 0);
    assert_int_equal(fcntl(pipes[0], F_GETFD), 0); /* the caller's own are still the caller's */
    (void)close(pipes[0]);
    (void)close(pipes[1]);
    (void)unsetenv("LD_LIBRARY_PATH");
    (void)signal(SIGALRM, SIG_DFL);
    (void)signal(SIGUSR1, SIG_DFL);
}

static void test_the_page_is_sealed(void **state)
{
    (void)state;
    char seen[256];
    start(KEEPER);
    assert_int_equal(say(&crew.keeper, "C_Sign/page"), 0);
    assert_int_equal(expect_ready(&crew.keeper, 5000, seen, NULL), 0);
    assert_string_equal(seen, "sealed");
    assert_string_equal(kw_progress_name(kw_progress_call(crew.keeper.progress)), "C_Sign");
    assert_int_equal(kw_crew_end(&crew, &err), 0);
}

/* Standard error of this process, while it is a pipe. */
static int kept_stderr = -1, heard;

static void listen_to_ourselves(void)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    kept_stderr = dup(STDERR_FILENO);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    (void)close(ends[1]);
    heard = ends[0];
}

static void stop_listening(char *text, size_t size)
{
    assert_int_equal(dup2(kept_stderr, STDERR_FILENO), STDERR_FILENO);
    (void)close(kept_stderr);
    ssize_t n = read(heard, text, size - 1);
    text[n > 0 ? n : 0] = '\0';
    (void)close(heard);
}

/* Runs in a child with a terminal of its own, like a user's. */
static int terminal_session(void)
{
    int pty = posix_openpt(O_RDWR | O_NOCTTY);
    if (pty < 0 || grantpt(pty) != 0 || unlockpt(pty) != 0 || setsid() < 0)
        return 1;
    int tty = open(ptsname(pty), O_RDWR); /* becomes the controlling terminal */
    int again = open("/dev/tty", O_RDWR | O_NOCTTY);
    if (tty < 0 || again < 0 || dup2(tty, STDERR_FILENO) < 0)
        return 2;
    char seen[256], text[512];
    if (kw_crew_start(&crew, EXCHANGER | DIALER, -1, -1, "", &err) != 0)
        return 3;
    for (unsigned role = EXCHANGER; role <= DIALER; role <<= 1) {
        if (say(child_of(role), "talks") != 0 ||
            expect_ready(child_of(role), 5000, seen, NULL) != 0 || strcmp(seen, "no terminal") != 0)
            return 4;
    }
    if (kw_crew_end(&crew, &err) != 0)
        return 5;
    /* (The kernel takes its time between the two ends of a terminal.) */
    static const char wanted[] = "keyward dialer: ?]0;evil??31mkeyward: your PIN?";
    struct pollfd p = {.fd = pty, .events = POLLIN};
    size_t n = 0;
    do {
        ssize_t more = poll(&p, 1, 5000) == 1 ? read(pty, text + n, sizeof text - 1 - n) : 0;
        if (more <= 0)
            return 6;
        n += (size_t)more;
        text[n] = '\0';
    } while (strstr(text, wanted) == NULL);
    return 0;
}

static void test_the_terminal_is_mains(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0)
        _exit(terminal_session());
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void test_what_roles_say(void **state)
{
    (void)state;
    char seen[256], text[4096];
    listen_to_ourselves();
    int r = kw_crew_start(&crew, EXCHANGER, -1, -1, "", &err);
    r = r != 0 ? r : say(&crew.exchanger, "talks");
    r = r != 0 ? r : expect_ready(&crew.exchanger, 5000, seen, NULL);
    r = r != 0 ? r : kw_crew_end(&crew, &err);
    stop_listening(text, sizeof text);
    assert_int_equal(r, 0);
    assert_string_equal(seen, "no terminal");
    assert_string_equal(text, "keyward exchanger: ?]0;evil??31mkeyward: your PIN?\n"
                              "keyward exchanger: a line of ours\n"
                              "keyward exchanger: no end\n");
}

/* One that talks without end is silent where it counts. */
static void test_chatter(void **state)
{
    (void)state;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC), was = dup(STDERR_FILENO);
    start(DIALER);
    assert_int_equal(say(&crew.dialer, "chatter"), 0);
    (void)dup2(null, STDERR_FILENO);
    int64_t before = kw_now_ms();
    int r = expect_ready(&crew.dialer, 300, NULL, NULL);
    int ended = kw_crew_end(&crew, &(struct kw_err){0});
    (void)dup2(was, STDERR_FILENO);
    (void)close(was);
    (void)close(null);
    assert_int_equal(r, KW_NET);
    assert_int_equal(ended, 0);
    assert_true(kw_now_ms() - before < 3000);
}

static void test_deaths(void **state)
{
    (void)state;
    diagnosed(EXCHANGER, "exit:3", KW_FAILED,
              "the exchanger ended with exit code 3 without saying");
    diagnosed(DIALER, "exit:0", KW_FAILED, "the dialer ended with exit code 0 without saying why");
    diagnosed(EXCHANGER, "signal:11", KW_FAILED, "the exchanger died: Segmentation fault");
    diagnosed(KEEPER, "signal:9", KW_FAILED, "the keeper died: Killed");
    /* inside the module, the module is to blame, by the call's name */
    diagnosed(KEEPER, "C_Sign/signal:11", KW_TOKEN,
              "/lib/hsm.so crashed (Segmentation fault) in C_Sign; the session key is gone");
    diagnosed(KEEPER, "C_Initialize/exit:5", KW_TOKEN,
              "/lib/hsm.so ended the process (exit code 5) in C_Initialize");
    diagnosed(KEEPER, "dlopen/signal:6", KW_TOKEN, "crashed (Aborted) in dlopen");
    /* but not for what somebody else did */
    diagnosed(KEEPER, "C_Sign/signal:9", KW_TOKEN,
              "the keeper was killed while the PKCS#11 module /lib/hsm.so was in C_Sign");
}

static void test_silence(void **state)
{
    (void)state;
    int64_t before = kw_now_ms();
    diagnosed(KEEPER, "C_GenerateKeyPair/hang", KW_TOKEN,
              "/lib/hsm.so did not come back from C_GenerateKeyPair in time");
    diagnosed(KEEPER, "hang", KW_TOKEN, "no answer from the keeper in time");
    diagnosed(EXCHANGER, "hang", KW_NET, "no answer from the exchanger in time");
    diagnosed(DIALER, "hang", KW_NET, "no answer from the dialer in time");
    assert_true(kw_now_ms() - before < 6000); /* killed at once, not waited for */
}

static void test_violations(void **state)
{
    (void)state;
    diagnosed(EXCHANGER, "violation", KW_SANDBOX, "the exchanger tried openat(0x1, 0x2, 0x3)");
    diagnosed(KEEPER, "C_Sign/violation", KW_SANDBOX, "the keeper tried openat(");
    diagnosed(DIALER, "half-violation", KW_SANDBOX, "could not say which");
    diagnosed(DIALER, "signal:31", KW_SANDBOX, "the dialer was killed for a system call");
    diagnosed(KEEPER, "C_Sign/signal:31", KW_SANDBOX, "the keeper was killed for a system call");
}

static void test_nonsense(void **state)
{
    (void)state;
    diagnosed(EXCHANGER, "garbage", KW_FAILED,
              "the exchanger was ended: main-exchanger: malformed");
    diagnosed(DIALER, "deaf", KW_FAILED, "the dialer was ended: main-dialer: dialer has gone");
    diagnosed(KEEPER, "error:4", KW_PIN, "the reason");
    diagnosed(EXCHANGER, "error:4", KW_FAILED, "the reason"); /* it has no PIN */
    diagnosed(EXCHANGER, "error:9", KW_SANDBOX, "the reason");
    diagnosed(EXCHANGER, "error:0", KW_FAILED, "malformed error message");
    diagnosed(EXCHANGER, "error:10", KW_FAILED, "malformed error message");
    /* legal, but not what was awaited */
    start(DIALER);
    assert_int_equal(say(&crew.dialer, "fine"), 0);
    struct kw_in in;
    assert_int_equal(
        kw_child_expect(&crew.dialer, KW_XM_READY, NULL, &in, kw_now_ms() + 5000, &err), KW_FAILED);
    kw_in_free(&in);
    assert_non_null(strstr(err.text, "malformed DM_READY where XM_READY was awaited"));
    assert_int_equal(crew.dialer.pid, 0);
    assert_int_equal(kw_crew_end(&crew, &err), 0);
}

/* The peer's reason outlives the peer, even behind messages that nobody had read yet. */
static void test_last_words(void **state)
{
    (void)state;
    start(KEEPER);
    pid_t pid = crew.keeper.pid;
    assert_int_equal(say(&crew.keeper, "last-words"), 0);
    siginfo_t si;
    assert_int_equal(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT), 0);
    assert_int_equal(kw_child_send(&crew.keeper, KW_KM_CLOSE, NULL, NULL, 0, &err), KW_PIN);
    assert_string_equal(err.text, "the reason");
    assert_int_equal(kw_crew_end(&crew, &err), 0);
}

/* What kw_crew_end() logs and returns for a role that ends like this. */
static int ended(unsigned role, const char *what, char *log, size_t size)
{
    start(role);
    assert_int_equal(say(child_of(role), what), 0);
    assert_int_equal(expect_ready(child_of(role), 5000, NULL, NULL), 0);
    int pipes[2], was = dup(STDERR_FILENO);
    assert_int_equal(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
    (void)dup2(pipes[1], STDERR_FILENO);
    int r = kw_crew_end(&crew, &err);
    (void)dup2(was, STDERR_FILENO);
    ssize_t n = read(pipes[0], log, size - 1);
    log[n > 0 ? n : 0] = '\0';
    (void)close(was);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
    return r;
}

static void test_the_end(void **state)
{
    (void)state;
    char log[1024];
    assert_int_equal(ended(DIALER, "late-exit:0", log, sizeof log), 0);
    assert_string_equal(log, "");
    assert_int_equal(ended(EXCHANGER, "late-violation", log, sizeof log), KW_SANDBOX);
    assert_non_null(strstr(err.text, "the exchanger tried openat("));
    assert_int_equal(ended(EXCHANGER, "late-signal:31", log, sizeof log), KW_SANDBOX);
    assert_non_null(strstr(err.text, "the exchanger was killed for a system call"));
    assert_int_equal(ended(KEEPER, "C_Finalize/late-signal:11", log, sizeof log), 0);
    assert_non_null(strstr(log, "the keeper died while ending, in C_Finalize: Segmentation fault"));
    assert_int_equal(ended(KEEPER, "C_Finalize/late-hang", log, sizeof log), 0);
    assert_non_null(
        strstr(log, "the keeper did not end in time, being in C_Finalize and was killed"));
}

/* Inherited from a careless parent, this would hide how a role ended. */
static void test_sigchld_ignored(void **state)
{
    (void)state;
    (void)signal(SIGCHLD, SIG_IGN);
    diagnosed(DIALER, "exit:3", KW_FAILED, "exit code 3");
}

static void test_no_program(void **state)
{
    (void)state;
    char path[4200], moved[128], program[128];
    assert_int_equal(kw_role_program(KW_ROLE_DIALER, path, sizeof path, &err), 0);
    (void)snprintf(program, sizeof program, "%s/keyward-dialer", dir);
    (void)snprintf(moved, sizeof moved, "%s/elsewhere", dir);
    assert_string_equal(path, program);
    int before = descriptors();
    assert_int_equal(rename(program, moved), 0);
    int r = kw_crew_start(&crew, KEEPER | EXCHANGER | DIALER, -1, -1, "", &err);
    assert_int_equal(rename(moved, program), 0);
    assert_int_equal(r, KW_FAILED);
    assert_non_null(strstr(err.text, "could not find keyward-dialer beside keyward or in"));
    assert_int_equal(descriptors(), before); /* those already started were ended */
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* Last, because it lasts: once asked to stop, every wait fails at once, and the crew is
 * still ended in order. */
static void test_interrupted(void **state)
{
    (void)state;
    start(KEEPER | DIALER);
    assert_int_equal(say(&crew.keeper, "hang"), 0);
    assert_int_equal(say(&crew.dialer, "fine"), 0);
    assert_false(kw_interrupted());
    int64_t before = kw_now_ms();
    pid_t pid = fork();
    if (pid == 0) {
        (void)usleep(100000);
        (void)kill(getppid(), SIGTERM);
        _exit(0);
    }
    assert_int_equal(expect_ready(&crew.keeper, 20000, NULL, NULL), KW_FAILED);
    assert_string_equal(err.text, "interrupted");
    assert_true(kw_interrupted());
    assert_true(kw_now_ms() - before < 2000);
    assert_int_not_equal(crew.keeper.pid, 0); /* not killed: it may still destroy its key */
    (void)waitpid(pid, NULL, 0);
    assert_int_equal(kw_crew_end(&crew, &err), 0);
}

int main(int argc, char **argv)
{
    if (strncmp(argv[0], "keyward-", 8) == 0)
        _exit(role_main(argv[0] + 8));
    if (argc == 1)
        return move_house();
    (void)snprintf(dir, sizeof dir, "%s", argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ready_and_nothing_left),
        cmocka_unit_test(test_only_their_descriptors),
        cmocka_unit_test(test_the_page_is_sealed),
        cmocka_unit_test(test_the_terminal_is_mains),
        cmocka_unit_test(test_what_roles_say),
        cmocka_unit_test(test_chatter),
        cmocka_unit_test(test_deaths),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_violations),
        cmocka_unit_test(test_nonsense),
        cmocka_unit_test(test_last_words),
        cmocka_unit_test(test_the_end),
        cmocka_unit_test(test_sigchld_ignored),
        cmocka_unit_test(test_no_program),
        cmocka_unit_test(test_interrupted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
