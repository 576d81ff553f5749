/* SPDX-License-Identifier: Apache-2.0
 *
 * Files and descriptors: whole reads with a bound, writes that survive interruption, files
 * that appear whole or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/base/io.h"

static char dir[64], path[128];

static void put_file(const char *text, size_t n)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(kw_write_all(fd, text, n), 0);
    (void)close(fd);
}

static void test_read(void **state)
{
    (void)state;
    struct kw_buf b;
    struct kw_err err;
    static char text[10000];
    memset(text, 'x', sizeof text);
    put_file(text, sizeof text);
    kw_buf_init(&b, sizeof text);
    assert_int_equal(kw_read_file(path, &b, KW_USAGE, &err), 0);
    assert_int_equal(b.len, sizeof text);
    kw_buf_free(&b);
    kw_buf_init(&b, sizeof text - 1);
    assert_int_equal(kw_read_file(path, &b, KW_USAGE, &err), KW_USAGE);
    assert_non_null(strstr(err.text, "is longer than 9999 bytes"));
    kw_buf_free(&b);
    assert_int_equal(kw_read_file("/nonexistent", &b, KW_SUBJECT, &err), KW_SUBJECT);
    assert_string_equal(err.text, "could not open /nonexistent: No such file or directory");
    assert_int_equal(kw_read_file(dir, &b, KW_USAGE, &err), KW_USAGE);
    assert_non_null(strstr(err.text, "Is a directory"));
    assert_int_equal(kw_read_fd(-1, &b, "it", KW_NET, &err), KW_NET);
    kw_buf_free(&b);
}

static void on_alarm(int sig)
{
    (void)sig;
}

/* More than the pipe holds, to a reader that dawdles, under a rain of signals. */
static void test_short_writes(void **state)
{
    (void)state;
    enum { N = 300000 };
    int pipes[2];
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(pipes[1]);
        static char part[7001];
        size_t all = 0;
        for (ssize_t n; (n = read(pipes[0], part, sizeof part)) > 0; all += (size_t)n)
            (void)usleep(500);
        _exit(all == N ? 0 : 1);
    }
    (void)close(pipes[0]);
    struct sigaction sa = {.sa_handler = on_alarm}, was; /* no SA_RESTART: EINTR */
    (void)sigaction(SIGALRM, &sa, &was);
    const struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
    (void)setitimer(ITIMER_REAL, &often, NULL);
    static char text[N];
    int r = kw_write_all(pipes[1], text, N);
    (void)setitimer(ITIMER_REAL, &never, NULL);
    (void)sigaction(SIGALRM, &was, NULL);
    (void)close(pipes[1]);
    int status = 1;
    (void)waitpid(pid, &status, 0);
    assert_int_equal(r, 0);
    assert_int_equal(status, 0);
    errno = 0;
    assert_int_equal(kw_write_all(-1, "x", 1), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(kw_write_all(-1, "", 0), 0);
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_int_equal(kw_write_all(full, "x", 1), -1);
    assert_int_equal(errno, ENOSPC);
    (void)close(full);
}

static size_t files(void)
{
    size_t n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.';
    (void)closedir(d);
    return n;
}

static void expect_content(const char *text)
{
    struct kw_buf b;
    struct kw_err err;
    kw_buf_init(&b, 100);
    assert_int_equal(kw_read_file(path, &b, KW_USAGE, &err), 0);
    assert_string_equal(kw_buf_str(&b), text);
    kw_buf_free(&b);
}

static void test_atomic(void **state)
{
    (void)state;
    struct kw_atomic a;
    struct kw_err err;
    struct stat st;
    put_file("old", 3);
    assert_int_equal(kw_atomic_open(&a, path, 0600, &err), 0);
    assert_int_equal(kw_write_all(a.fd, "new", 3), 0);
    expect_content("old");
    kw_atomic_abort(&a);
    kw_atomic_abort(&a); /* once is enough, twice does no harm */
    expect_content("old");
    assert_int_equal(files(), 1);

    assert_int_equal(kw_atomic_open(&a, path, 0600, &err), 0);
    assert_int_equal(kw_write_all(a.fd, "new", 3), 0);
    assert_int_equal(kw_atomic_commit(&a, &err), 0);
    assert_int_equal(a.fd, -1);
    expect_content("new");
    assert_int_equal(files(), 1);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void test_atomic_failures(void **state)
{
    (void)state;
    struct kw_atomic a;
    struct kw_err err;
    assert_int_equal(kw_atomic_open(&a, "/nonexistent/x", 0600, &err), KW_FAILED);
    assert_int_equal(a.fd, -1);
    kw_atomic_abort(&a);
    static char longest[5000];
    memset(longest, 'a', sizeof longest - 1);
    assert_int_equal(kw_atomic_open(&a, longest, 0600, &err), KW_USAGE);
    assert_int_equal(a.fd, -1);
    longest[4092] = '\0'; /* fits itself, but not with the temporary file's ending */
    assert_int_equal(kw_atomic_open(&a, longest, 0600, &err), KW_USAGE);
    /* a directory in the way: nothing is left behind */
    size_t before = files();
    char sub[160];
    (void)snprintf(sub, sizeof sub, "%s/sub", dir);
    assert_int_equal(mkdir(sub, 0700), 0);
    assert_int_equal(kw_atomic_open(&a, sub, 0600, &err), 0);
    assert_int_equal(kw_atomic_commit(&a, &err), KW_FAILED);
    assert_int_equal(rmdir(sub), 0);
    assert_int_equal(files(), before);
}

/* A result goes through a link, and into a pipe or a device; nothing takes their place. */
static void test_atomic_result(void **state)
{
    (void)state;
    struct kw_atomic a;
    struct kw_err err;
    struct stat st;
    char name[160];
    put_file("old", 3);
    (void)snprintf(name, sizeof name, "%s/link", dir);
    assert_int_equal(symlink(path, name), 0);
    assert_int_equal(kw_atomic_result(&a, name, 0600, &err), 0);
    assert_int_equal(kw_write_all(a.fd, "new", 3), 0);
    expect_content("old");
    assert_int_equal(kw_atomic_commit(&a, &err), 0);
    expect_content("new");
    assert_int_equal(lstat(name, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(unlink(name), 0);

    (void)snprintf(name, sizeof name, "%s/pipe", dir);
    assert_int_equal(mkfifo(name, 0600), 0);
    int reader = open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_int_equal(kw_atomic_result(&a, name, 0600, &err), 0);
    assert_int_equal(kw_write_all(a.fd, "new", 3), 0);
    assert_int_equal(kw_atomic_commit(&a, &err), 0);
    char got[8];
    assert_int_equal(read(reader, got, sizeof got), 3);
    assert_int_equal(kw_atomic_result(&a, name, 0600, &err), 0);
    kw_atomic_abort(&a);
    assert_int_equal(a.fd, -1);
    assert_int_equal(lstat(name, &st), 0);
    assert_true(S_ISFIFO(st.st_mode));
    (void)close(reader);
    assert_int_equal(unlink(name), 0);

    put_file("old", 3);
    assert_int_equal(kw_atomic_could(path, &err), 0);
    expect_content("old");
    assert_int_equal(kw_atomic_could("/dev/null", &err), 0);
    assert_int_equal(kw_atomic_could(dir, &err), KW_FAILED);
    assert_int_equal(kw_atomic_could("/nonexistent/x", &err), KW_FAILED);
    assert_int_equal(kw_atomic_result(&a, dir, 0600, &err), KW_FAILED);
    assert_non_null(strstr(err.text, "Is a directory"));
    assert_int_equal(kw_atomic_result(&a, "/nonexistent/x", 0600, &err), KW_FAILED);
    assert_int_equal(files(), 1);
}

/* A descriptor that is closed at the start is never one of ours later, and still can't be
 * used. */
static void test_std(void **state)
{
    (void)state;
    struct kw_err err;
    for (int closed = 0; closed < 8; closed++) {
        pid_t pid = fork();
        if (pid == 0) {
            for (int i = 0; i < 3; i++)
                if ((closed & 1 << i) != 0)
                    (void)close(i);
            int r = kw_std_open(&err);
            int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
            bool reads = read(0, &r, 0) == 0, writes = write(1, "", 0) == 0;
            _exit(r == 0 && next > 2 && (closed & 1 ? !reads : true) &&
                          (closed & 2 ? !writes : true)
                      ? 0
                      : 1);
        }
        int status = 1;
        (void)waitpid(pid, &status, 0);
        assert_int_equal(status, 0);
    }
}

static int make_dir(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(dir, sizeof dir, "%s/kw.XXXXXX", tmp != NULL && strlen(tmp) < 40 ? tmp : "/tmp");
    if (mkdtemp(dir) == NULL)
        return -1;
    (void)snprintf(path, sizeof path, "%s/file", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),          cmocka_unit_test(test_short_writes),
        cmocka_unit_test(test_atomic),        cmocka_unit_test(test_atomic_failures),
        cmocka_unit_test(test_atomic_result), cmocka_unit_test(test_std),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
