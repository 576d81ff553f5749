/* SPDX-License-Identifier: Apache-2.0 */
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool kw_may_go_on(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};
    int was = errno;
    if (was == EAGAIN && poll(&p, 1, -1) < 0 && errno != EINTR)
        return false;
    errno = was;
    return was == EINTR || was == EAGAIN;
}

int kw_fsync(int fd)
{
    int r;
    do
        r = fsync(fd);
    while (r != 0 && errno == EINTR);
    return r;
}

int kw_read_fd(int fd, struct kw_buf *b, const char *what, enum kw_exit code, struct kw_err *err)
{
    unsigned char chunk[4096];
    int r = 0;
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && kw_may_go_on(fd, POLLIN))
            continue;
        if (n < 0)
            r = kw_fail_errno(err, code, "could not read %s", what);
        if (n <= 0)
            break;
        kw_put(b, chunk, (size_t)n);
        if (b->bad) {
            r = kw_fail(err, code, "%s is longer than %zu bytes", what, b->max);
            break;
        }
    }
    explicit_bzero(chunk, sizeof chunk);
    return r;
}

int kw_read_file(const char *path, struct kw_buf *b, enum kw_exit code, struct kw_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return kw_fail_errno(err, code, "could not open %s", path);
    int r = kw_read_fd(fd, b, path, code, err);
    (void)close(fd);
    return r;
}

static int write_on(int fd, const void *bytes, size_t n, bool wait)
{
    const unsigned char *p = bytes;
    while (n > 0) {
        ssize_t w = write(fd, p, n);
        if (w < 0 && (errno == EINTR || (wait && kw_may_go_on(fd, POLLOUT))))
            continue;
        if (w == 0) /* a device that takes nothing: no reason to spin */
            errno = EIO;
        if (w <= 0)
            return -1;
        p += w;
        n -= (size_t)w;
    }
    return 0;
}

int kw_write_all(int fd, const void *bytes, size_t n)
{
    return write_on(fd, bytes, n, /* wait= */ true);
}

int kw_write_now(int fd, const void *bytes, size_t n)
{
    return write_on(fd, bytes, n, /* wait= */ false);
}

int kw_std_open(struct kw_err *err)
{
    /* Opened for the wrong direction: using it stays the error that it was. */
    for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
        if (fcntl(i, F_GETFD) < 0 &&
            open("/dev/null", i == STDIN_FILENO ? O_WRONLY : O_RDONLY) != i)
            return kw_fail(err, KW_FAILED, "descriptor %d is closed, and /dev/null did not open",
                           i);
    return 0;
}

int kw_atomic_open(struct kw_atomic *a, const char *path, mode_t mode, struct kw_err *err)
{
    a->fd = -1;
    if ((size_t)snprintf(a->path, sizeof a->path, "%s", path) >= sizeof a->path ||
        (size_t)snprintf(a->tmp, sizeof a->tmp, "%s.XXXXXX", path) >= sizeof a->tmp)
        return kw_fail(err, KW_USAGE, "the path %.64s... is too long", path);
    a->fd = mkostemp(a->tmp, O_CLOEXEC);
    if (a->fd < 0)
        return kw_fail_errno(err, KW_FAILED, "could not make a file beside %s", path);
    if (fchmod(a->fd, mode) != 0) {
        int r = kw_fail_errno(err, KW_FAILED, "could not set the mode of %s", a->tmp);
        kw_atomic_abort(a);
        return r;
    }
    return 0;
}

/* A pipe or device that somebody else has put there would have what we write, and what is
 * a file by now would have it with that one's mode. What we were given as output is ours. */
static bool may_write_through(int fd)
{
    struct stat st, given;
    if (fstat(fd, &st) != 0 || S_ISREG(st.st_mode))
        return false;
    bool ours = st.st_uid == geteuid() || st.st_uid == 0;
    for (int i = STDOUT_FILENO; i <= STDERR_FILENO; i++)
        ours = ours ||
               (fstat(i, &given) == 0 && given.st_dev == st.st_dev && given.st_ino == st.st_ino);
    return ours;
}

int kw_atomic_result(struct kw_atomic *a, const char *path, mode_t mode, struct kw_err *err)
{
    struct stat st, behind;
    char *real = NULL;
    a->fd = -1;
    if (stat(path, &behind) != 0) /* not there yet */
        return kw_atomic_open(a, path, mode, err);
    if (S_ISREG(behind.st_mode)) {
        if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
            real = realpath(path, NULL);
        int r = kw_atomic_open(a, real != NULL ? real : path, mode, err);
        free(real);
        return r;
    }
    /* A rename would put a file in the place of /dev/null. */
    (void)snprintf(a->path, sizeof a->path, "%s", path);
    a->tmp[0] = '\0';
    a->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (a->fd < 0)
        return kw_fail_errno(err, KW_FAILED, "could not open %s to write", path);
    if (may_write_through(a->fd))
        return 0;
    (void)close(a->fd);
    a->fd = -1;
    return kw_fail(err, KW_FAILED, "%s is no file, and neither yours nor root's: name another",
                   path);
}

int kw_atomic_could(const char *path, struct kw_err *err)
{
    struct kw_atomic a;
    struct stat st;
    /* Opening a pipe and closing it again would be the end of its reader. */
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return access(path, W_OK) == 0
                   ? 0
                   : kw_fail_errno(err, KW_FAILED, "could not open %s to write", path);
    int r = kw_atomic_result(&a, path, 0600, err);
    kw_atomic_abort(&a);
    return r;
}

/* A rename is only safe on disk once its directory is. A directory that we may write but
 * not read can't be opened for it, and some file systems have no fsync for directories:
 * the file is whole and in place all the same. */
static int sync_dir(const char *path)
{
    char copy[4096];
    (void)snprintf(copy, sizeof copy, "%s", path);
    int dir = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return errno == EACCES ? 0 : -1;
    int r = kw_fsync(dir) != 0 && errno != EINVAL && errno != ENOTSUP ? -1 : 0;
    (void)close(dir);
    return r;
}

int kw_atomic_commit(struct kw_atomic *a, struct kw_err *err)
{
    if (a->tmp[0] == '\0') {
        int fd = a->fd;
        a->fd = -1;
        return close(fd) == 0 ? 0 : kw_fail_errno(err, KW_FAILED, "could not write %s", a->path);
    }
    if (kw_fsync(a->fd) != 0 || rename(a->tmp, a->path) != 0 || sync_dir(a->path) != 0) {
        int r = kw_fail_errno(err, KW_FAILED, "could not write %s", a->path);
        kw_atomic_abort(a);
        return r;
    }
    (void)close(a->fd);
    a->fd = -1;
    return 0;
}

void kw_atomic_abort(struct kw_atomic *a)
{
    if (a->fd < 0)
        return;
    if (a->tmp[0] != '\0')
        (void)unlink(a->tmp);
    (void)close(a->fd);
    a->fd = -1;
}
