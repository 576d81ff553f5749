/* SPDX-License-Identifier: Apache-2.0
 *
 * Secrets: bounded, wiped, out of dumps and children, read only from files that nobody
 * else can read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/base/io.h"
#include "src/base/secret.h"

enum { NOBODY = 65534 };

/* Runs fn in a child; its exit code, or 256 + signal. */
static int in_child(int (*fn)(void))
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(fn());
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

/* Where memory can't be locked: an error, unless weaker was asked for. */
static int without_memlock(void)
{
    const struct rlimit none = {0, 0};
    struct kw_err err;
    if (setrlimit(RLIMIT_MEMLOCK, &none) != 0)
        return 10;
    if (geteuid() == 0 && (setgid(NOBODY) != 0 || setuid(NOBODY) != 0))
        return 11;
    if (kw_secret_new(1) != NULL || strcmp(kw_secret_kind(), "none") != 0)
        return 12;
    if (kw_secret_init(false, &err) != KW_SANDBOX || strstr(err.text, "RLIMIT_MEMLOCK") == NULL)
        return 13;
    if (kw_secret_new(1) != NULL || kw_secret_init(true, &err) != 0)
        return 14;
    return strcmp(kw_secret_kind(), "unlocked") == 0 && kw_secret_new(1) != NULL ? 0 : 15;
}

static void test_locked_or_told(void **state)
{
    (void)state;
    assert_int_equal(in_child(without_memlock), 0);
    struct kw_err err;
    assert_int_equal(kw_secret_init(true, &err), 0);
    assert_int_equal(kw_secret_init(false, &err), 0); /* once is enough */
}

static void test_change(void **state)
{
    (void)state;
    struct kw_secret *s = kw_secret_new(8);
    assert_non_null(s);
    assert_int_equal(kw_secret_len(s), 0);
    assert_string_equal(kw_secret_bytes(s), "");
    assert_true(kw_secret_add(s, "12345678", 8));
    assert_false(kw_secret_add(s, "9", 1));
    assert_false(kw_secret_add(s, "9", SIZE_MAX));
    assert_string_equal(kw_secret_bytes(s), "12345678");
    const char *p = kw_secret_bytes(s);
    kw_secret_cut(s, 3);
    assert_string_equal(kw_secret_bytes(s), "123");
    for (int i = 3; i < 8; i++)
        assert_int_equal(p[i], 0); /* what is cut is wiped */
    kw_secret_cut(s, 7);           /* nothing to cut */
    assert_int_equal(kw_secret_len(s), 3);
    kw_secret_free(&s);
    assert_null(s);
    for (int i = 0; i < 8; i++)
        assert_int_equal(p[i], 0); /* and so is what is freed */
    kw_secret_free(&s);
    kw_secret_free(NULL);
}

static void test_trim(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"pin\n", "pin"}, {"pin\r\n \t", "pin"}, {" p n ", " p n"}, {"\n\n", ""}, {"", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kw_secret *s = kw_secret_from(cases[i][0], strlen(cases[i][0]));
        kw_secret_trim(s);
        assert_string_equal(kw_secret_bytes(s), cases[i][1]);
        kw_secret_free(&s);
    }
    struct kw_secret *s = kw_secret_from("a\0\n", 3);
    kw_secret_trim(s);
    assert_int_equal(kw_secret_len(s), 2); /* a NUL is no white space */
    kw_secret_free(&s);
}

static void test_limits(void **state)
{
    (void)state;
    assert_null(kw_secret_new(0));
    assert_null(kw_secret_new(KW_SECRET_MAX + 1));
    assert_null(kw_secret_new(SIZE_MAX));
    struct kw_secret *s[80];
    size_t n = 0;
    while (n < 80 && (s[n] = kw_secret_new(KW_SECRET_MAX)) != NULL)
        n++;
    assert_true(n >= 6 && n <= 8); /* full by bytes */
    assert_null(kw_secret_from("x", KW_SECRET_MAX));
    kw_secret_free(&s[2]); /* a gap in the middle is found again */
    s[2] = kw_secret_new(KW_SECRET_MAX);
    assert_non_null(s[2]);
    for (size_t i = 0; i < n; i++) { /* none lies on another */
        char fill[KW_SECRET_MAX];
        memset(fill, (int)('a' + i), sizeof fill);
        assert_true(kw_secret_add(s[i], fill, sizeof fill));
    }
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < KW_SECRET_MAX; k++)
            if (kw_secret_bytes(s[i])[k] != (char)('a' + i))
                fail();
    for (size_t i = 0; i < n; i++)
        kw_secret_free(&s[i]);
    for (n = 0; n < 80 && (s[n] = kw_secret_from("x", 1)) != NULL;)
        n++;
    assert_int_equal(n, 64); /* full by number */
    while (n > 0)
        kw_secret_free(&s[--n]);
    struct kw_secret *empty = kw_secret_from(NULL, 0);
    assert_non_null(empty);
    assert_string_equal(kw_secret_bytes(empty), "");
    kw_secret_free(&empty);
}

static struct kw_secret *inherited;

static int look_at_parents(void)
{
    (void)signal(SIGSEGV, SIG_DFL);
    (void)signal(SIGBUS, SIG_DFL);
    return *(volatile const char *)kw_secret_bytes(inherited) == 's' ? 1 : 0;
}

/* The VmFlags of the mapping that holds p. */
static void flags_of(const void *p, char *flags, size_t size)
{
    FILE *f = fopen("/proc/self/smaps", "re");
    assert_non_null(f);
    char line[1024];
    unsigned long from, to;
    bool ours = false;
    flags[0] = '\0';
    while (fgets(line, sizeof line, f) != NULL) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            ours = (uintptr_t)p >= from && (uintptr_t)p < to;
        else if (ours && strncmp(line, "VmFlags:", 8) == 0)
            (void)snprintf(flags, size, "%.255s", line + 8);
    }
    (void)fclose(f);
}

static void test_kept_apart(void **state)
{
    (void)state;
    inherited = kw_secret_from("secret", 6);
    assert_int_equal(in_child(look_at_parents), 256 + SIGSEGV);
    char flags[256];
    flags_of(kw_secret_bytes(inherited), flags, sizeof flags);
    assert_non_null(strstr(flags, " dd")); /* not in a core dump */
    assert_non_null(strstr(flags, " dc")); /* not in a child */
    if (strcmp(kw_secret_kind(), "unlocked") != 0)
        assert_non_null(strstr(flags, " lo")); /* not in the swap */
    kw_secret_free(&inherited);
}

static char dir[64];

static const char *put_file(const char *name, const char *text, mode_t mode)
{
    static char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    (void)unlink(path); /* an earlier mode may forbid writing */
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(kw_write_all(fd, text, strlen(text)), 0);
    assert_int_equal(fchmod(fd, mode), 0);
    (void)close(fd);
    return path;
}

static void refused(const char *path, size_t max, const char *why)
{
    struct kw_secret *s = NULL;
    struct kw_err err;
    assert_int_equal(kw_secret_read_file(path, max, KW_PIN, &s, &err), KW_PIN);
    assert_null(s);
    assert_non_null(strstr(err.text, why));
    assert_non_null(strstr(err.text, path));
    assert_null(strstr(err.text, "1234")); /* never what was in it */
}

static void test_file(void **state)
{
    (void)state;
    struct kw_secret *s = NULL;
    struct kw_err err;
    assert_int_equal(kw_secret_read_file(put_file("ok", "1234\n", 0600), 5, KW_PIN, &s, &err), 0);
    assert_string_equal(kw_secret_bytes(s), "1234");
    kw_secret_free(&s);
    assert_int_equal(kw_secret_read_file(put_file("empty", "", 0400), 5, KW_PIN, &s, &err), 0);
    assert_int_equal(kw_secret_len(s), 0);
    kw_secret_free(&s);

    refused(put_file("long", "123456", 0600), 5, "is longer than 5 bytes");
    static const mode_t open_modes[] = {0440, 0640, 0660, 0604, 0620, 0602, 0610, 0601, 0777};
    for (size_t i = 0; i < sizeof open_modes / sizeof open_modes[0]; i++)
        refused(put_file("open", "1234", open_modes[i]), 99, "chmod 600");
    refused(dir, 99, "is not a regular file");
    refused("/dev/null", 99, "is not a regular file");
    refused("/nonexistent/pin", 99, "No such file");

    char path[128], target[128];
    (void)snprintf(target, sizeof target, "%s", put_file("target", "1234", 0600));
    (void)snprintf(path, sizeof path, "%s/link", dir);
    assert_int_equal(symlink(target, path), 0);
    refused(path, 99, "symbolic link");
    (void)snprintf(path, sizeof path, "%s/fifo", dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    refused(path, 99, "is not a regular file"); /* and no waiting for a writer */
    if (geteuid() == 0) {
        (void)snprintf(path, sizeof path, "%s", put_file("foreign", "1234", 0600));
        assert_int_equal(chown(path, NOBODY, NOBODY), 0);
        refused(path, 99, "belongs to uid 65534");
    }
}

static void on_alarm(int sig)
{
    (void)sig;
}

/* A slow writer, one byte at a time, with signals in between. */
static void test_short_reads(void **state)
{
    (void)state;
    int pipes[2];
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        for (const char *c = "slow but whole\n"; *c != '\0'; c++) {
            (void)usleep(5000);
            (void)kw_write_all(pipes[1], c, 1);
        }
        _exit(0);
    }
    (void)close(pipes[1]);
    struct sigaction sa = {.sa_handler = on_alarm}; /* no SA_RESTART: EINTR */
    assert_int_equal(sigaction(SIGALRM, &sa, NULL), 0);
    const struct itimerval often = {{0, 2000}, {0, 2000}}, never = {{0, 0}, {0, 0}};
    (void)setitimer(ITIMER_REAL, &often, NULL);
    struct kw_secret *s = NULL;
    struct kw_err err;
    int r = kw_secret_read_fd(pipes[0], 64, "the pipe", KW_PIN, &s, &err);
    (void)setitimer(ITIMER_REAL, &never, NULL); /* one may be late: the handler stays */
    assert_int_equal(r, 0);
    assert_string_equal(kw_secret_bytes(s), "slow but whole");
    kw_secret_free(&s);
    (void)close(pipes[0]);
    (void)waitpid(pid, NULL, 0);
    assert_int_equal(kw_secret_read_fd(-1, 64, "nothing", KW_PIN, &s, &err), KW_PIN);
    assert_string_equal(err.text, "could not read nothing: Bad file descriptor");
    assert_int_equal(kw_secret_read_fd(0, SIZE_MAX, "too much", KW_PIN, &s, &err), KW_FAILED);
}

static int make_dir(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(dir, sizeof dir, "%s/kw.XXXXXX", tmp != NULL && strlen(tmp) < 40 ? tmp : "/tmp");
    return mkdtemp(dir) != NULL ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    static const char *const names[] = {"ok",     "empty", "long", "open",
                                        "target", "link",  "fifo", "foreign"};
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        (void)unlink(path);
    }
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_locked_or_told), /* first: nothing is mapped yet */
        cmocka_unit_test(test_change),         cmocka_unit_test(test_trim),
        cmocka_unit_test(test_limits),         cmocka_unit_test(test_kept_apart),
        cmocka_unit_test(test_file),           cmocka_unit_test(test_short_reads),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
