/* SPDX-License-Identifier: Apache-2.0
 *
 * systemd's credentials: where they may come from, and who may read them. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/session/session.h"

static char dir[64];

static void put(const char *name, mode_t mode)
{
    char path[160];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    (void)unlink(path); /* an earlier mode may forbid writing */
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "1234\n", 5), 5);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

static int opened(const char *name, const char *why)
{
    struct kw_err err = {0};
    int fd = -1;
    int r = kw_credential_open(name, &fd, &err);
    if (why == NULL) {
        assert_int_equal(r, 0);
        assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
        assert_int_equal(close(fd), 0);
    } else {
        assert_int_equal(r, KW_USAGE);
        assert_int_equal(fd, -1);
        assert_non_null(strstr(err.text, why));
    }
    return r;
}

static void test_modes(void **state)
{
    (void)state;
    static const mode_t bad[] = {0604, 0620, 0602, 0666, 0460};
    put("pin", 0600);
    opened("pin", NULL);
    put("pin", 0400);
    opened("pin", NULL);
    put("pin", 0440); /* root's: an access list shows so; anybody else's: the group reads */
    opened("pin", geteuid() == 0 ? NULL : "by others");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        put("pin", bad[i]);
        opened("pin", "by others");
    }
}

static void test_names(void **state)
{
    (void)state;
    char path[160];
    put("pin", 0600);
    opened("", "no name of a credential");
    opened("..", "no name of a credential");
    opened("a/b", "no name of a credential");
    opened("absent", "could not open");
    (void)snprintf(path, sizeof path, "%s/link", dir);
    assert_int_equal(symlink("pin", path), 0);
    opened("link", "could not open");
    (void)snprintf(path, sizeof path, "%s/fifo", dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    opened("fifo", "not a regular file");
}

static void test_directory(void **state)
{
    (void)state;
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
    opened("pin", "LoadCredential");
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", "relative", 1), 0);
    opened("pin", "LoadCredential");
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", dir, 1), 0);
}

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/keyward-cred.XXXXXX");
    return mkdtemp(dir) == NULL || setenv("CREDENTIALS_DIRECTORY", dir, 1) != 0;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const names[] = {"pin", "link", "fifo"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[160];
        (void)snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        (void)unlink(path);
    }
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_directory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
