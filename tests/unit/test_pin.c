/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the PIN comes from: descriptor, file, terminal; and that a source that can't
 * be right is refused before it could cost a try.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "pkcs11/p11.h"
#include "src/ipc/roles.h"

static char dir[256], path[300];
static struct kw_m_keeper_start cfg;

static int set_up(void **state)
{
    struct kw_err err;
    const char *tmp = getenv("TMPDIR");
    (void)state;
    (void)snprintf(dir, sizeof dir, "%.200s/kw-pin-XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/pin", dir);
    return kw_secret_init(true, &err);
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(dir);
}

static void write_pin(const void *bytes, size_t n, mode_t mode)
{
    (void)unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), (ssize_t)n);
    assert_int_equal(fchmod(fd, mode), 0);
    (void)close(fd);
}

static int from_file(struct kw_secret **pin, struct kw_err *err)
{
    memset(&cfg, 0, sizeof cfg);
    cfg.pin_source = KW_PIN_FILE;
    (void)snprintf(cfg.pin_path, sizeof cfg.pin_path, "%s", path);
    return kw_pin_read(&cfg, pin, err);
}

static void reads_a_file(void **state)
{
    struct kw_secret *pin = NULL;
    struct kw_err err;
    (void)state;
    write_pin("1234\n", 5, 0600);
    assert_int_equal(from_file(&pin, &err), 0);
    assert_string_equal(kw_secret_bytes(pin), "1234");
    kw_secret_free(&pin);
    write_pin("1234", 4, 0400);
    assert_int_equal(from_file(&pin, &err), 0);
    kw_secret_free(&pin);
}

static void refuses_files_that_others_can_use(void **state)
{
    static const mode_t modes[] = {0640, 0604, 0620, 0602, 0666};
    struct kw_secret *pin = NULL;
    struct kw_err err;
    char link[320];
    (void)state;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        write_pin("1234", 4, modes[i]);
        assert_int_equal(from_file(&pin, &err), KW_PIN);
        assert_null(pin);
        assert_null(strstr(err.text, "1234"));
    }
    write_pin("1234", 4, 0600);
    (void)snprintf(link, sizeof link, "%s/link", dir);
    assert_int_equal(symlink(path, link), 0);
    (void)snprintf(cfg.pin_path, sizeof cfg.pin_path, "%s", link);
    assert_int_equal(kw_pin_read(&cfg, &pin, &err), KW_PIN);
    (void)unlink(link);
    (void)unlink(path);
    assert_int_equal(from_file(&pin, &err), KW_PIN);
}

static void refuses_what_is_no_pin(void **state)
{
    char big[300];
    struct kw_secret *pin = NULL;
    struct kw_err err;
    (void)state;
    memset(big, '1', sizeof big);
    write_pin("", 0, 0600);
    assert_int_equal(from_file(&pin, &err), KW_PIN);
    write_pin("\n", 1, 0600);
    assert_int_equal(from_file(&pin, &err), KW_PIN);
    write_pin("1234\n5678\n", 10, 0600);
    assert_int_equal(from_file(&pin, &err), KW_PIN);
    write_pin("12\0"
              "34",
              5, 0600);
    assert_int_equal(from_file(&pin, &err), KW_PIN);
    write_pin(big, sizeof big, 0600);
    assert_int_equal(from_file(&pin, &err), KW_PIN);
    assert_null(pin);
    write_pin(big, 256, 0600);
    assert_int_equal(from_file(&pin, &err), 0);
    assert_int_equal(kw_secret_len(pin), 256);
    kw_secret_free(&pin);
}

/* The number of the descriptor is fixed; whatever the test has there is kept. */
static void reads_the_descriptor_once(void **state)
{
    struct kw_secret *pin = NULL;
    struct kw_err err;
    int p[2], kept = fcntl(KW_FD_PIN, F_DUPFD_CLOEXEC, 20);
    (void)state;
    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    assert_int_equal(write(p[1], "4711\n", 5), 5);
    (void)close(p[1]);
    assert_int_equal(dup2(p[0], KW_FD_PIN), KW_FD_PIN);
    if (p[0] != KW_FD_PIN)
        (void)close(p[0]);
    memset(&cfg, 0, sizeof cfg);
    cfg.pin_source = KW_PIN_FD;
    assert_int_equal(kw_pin_read(&cfg, &pin, &err), 0);
    assert_string_equal(kw_secret_bytes(pin), "4711");
    kw_secret_free(&pin);
    assert_int_equal(fcntl(KW_FD_PIN, F_GETFD), -1); /* closed */
    assert_int_equal(kw_pin_read(&cfg, &pin, &err), KW_PIN);
    if (kept >= 0) {
        (void)dup2(kept, KW_FD_PIN);
        (void)close(kept);
    }
}

static void none_is_a_pin_pad(void **state)
{
    struct kw_secret *pin = NULL;
    struct kw_err err;
    (void)state;
    memset(&cfg, 0, sizeof cfg);
    cfg.pin_source = KW_PIN_NONE;
    assert_int_equal(kw_pin_read(&cfg, &pin, &err), 0);
    assert_null(pin);
    cfg.pin_source = 99;
    assert_int_equal(kw_pin_read(&cfg, &pin, &err), KW_USAGE);
}

/* Asks on a terminal of its own (in a fresh process, because the secrets' memory is
 * not inherited); exits with 0 if the answer was `expect`, 10 plus the error code if
 * there was none, 1 if the echo did not come back. */
static void ask(const char *expect)
{
    struct kw_secret *pin = NULL;
    struct kw_err err;
    struct termios t;
    if (kw_secret_init(true, &err) != 0)
        _exit(3);
    memset(&cfg, 0, sizeof cfg);
    cfg.pin_source = KW_PIN_PROMPT;
    int r = kw_pin_read(&cfg, &pin, &err);
    if (tcgetattr(STDIN_FILENO, &t) != 0 || !(t.c_lflag & ECHO) || !(t.c_lflag & ICANON))
        _exit(1);
    if (r != 0)
        _exit(10 + r);
    _exit(strcmp(kw_secret_bytes(pin), expect) == 0 ? 0 : 2);
}

/* Reads what the terminal shows, up to `until` or its end. */
static void show(int master, char *out, size_t size, const char *until)
{
    size_t n = strlen(out);
    struct pollfd p = {.fd = master, .events = POLLIN};
    while (n + 1 < size && (until == NULL || strstr(out, until) == NULL) &&
           poll(&p, 1, 10000) > 0) {
        ssize_t got = read(master, out + n, size - 1 - n);
        if (got <= 0)
            break;
        n += (size_t)got;
        out[n] = '\0';
    }
}

/* Types keys (or sends a signal) at the prompt; returns the child's exit code. */
static int dialogue(const char *keys, int signal, const char *expect)
{
    int master = -1, status = 0;
    char seen[512] = "";
    pid_t pid = forkpty(&master, NULL, NULL, NULL);
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)execl("/proc/self/exe", "test_pin", "--ask", expect, (char *)NULL);
        _exit(4);
    }
    show(master, seen, sizeof seen, "PIN of the token: ");
    assert_non_null(strstr(seen, "PIN of the token: "));
    if (signal != 0)
        assert_int_equal(kill(pid, signal), 0);
    else
        assert_int_equal(write(master, keys, strlen(keys)), (ssize_t)strlen(keys));
    show(master, seen, sizeof seen, NULL);
    assert_null(strstr(seen, expect)); /* no echo */
    assert_int_equal(waitpid(pid, &status, 0), pid);
    (void)close(master);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void asks_without_echo(void **state)
{
    (void)state;
    assert_int_equal(dialogue("geheim\r", 0, "geheim"), 0);
    assert_int_equal(dialogue("gex\177heim\n", 0, "geheim"), 0);
    assert_int_equal(dialogue("wrong\025geheim\n", 0, "geheim"), 0);
    assert_int_equal(dialogue("geheim\004", 0, "geheim"), 0);
    assert_int_equal(dialogue("gehe\003im\n", 0, "geheim"), 10 + KW_PIN);
    assert_int_equal(dialogue("\004", 0, "geheim"), 10 + KW_PIN);
    assert_int_equal(dialogue("\n", 0, "geheim"), 10 + KW_PIN);
    /* a signal ends it only after the terminal is as it was */
    assert_int_equal(dialogue("", SIGTERM, "geheim"), 128 + SIGTERM);
}

static void says_that_there_is_no_terminal(void **state)
{
    int status = 0;
    (void)state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct kw_secret *pin = NULL;
        struct kw_err err = {0};
        (void)setsid();
        memset(&cfg, 0, sizeof cfg);
        cfg.pin_source = KW_PIN_PROMPT;
        int r = kw_pin_read(&cfg, &pin, &err);
        _exit(r == KW_PIN && strstr(err.text, "no terminal") != NULL ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--ask") == 0)
        ask(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_file),
        cmocka_unit_test(refuses_files_that_others_can_use),
        cmocka_unit_test(refuses_what_is_no_pin),
        cmocka_unit_test(reads_the_descriptor_once),
        cmocka_unit_test(none_is_a_pin_pad),
        cmocka_unit_test(asks_without_echo),
        cmocka_unit_test(says_that_there_is_no_terminal),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
