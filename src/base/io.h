/* SPDX-License-Identifier: Apache-2.0
 *
 * Files and descriptors: whole reads with a bound, atomic writes.
 */
#ifndef KW_IO_H
#define KW_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "buf.h"
#include "err.h"

/* Reads path to its end; more than b->max bytes is an error of `code`. */
int kw_read_file(const char *path, struct kw_buf *b, enum kw_exit code, struct kw_err *err);

/* Reads fd to its end into b (same bound); `what` names it in errors. */
int kw_read_fd(int fd, struct kw_buf *b, const char *what, enum kw_exit code, struct kw_err *err);

/* Writes all n bytes, going on after EINTR and short writes, and waiting where fd is one
 * that doesn't wait by itself (a pipe that others have made O_NONBLOCK). -1 with errno on
 * failure. */
int kw_write_all(int fd, const void *bytes, size_t n);

/* The same without waiting: a line for people is not worth it. */
int kw_write_now(int fd, const void *bytes, size_t n);

/* Whether to try again after a read() or write() that failed: interrupted, or nothing
 * there yet, in which case this has waited for events (POLLIN, POLLOUT). Keeps errno. */
bool kw_may_go_on(int fd, short events);

int kw_fsync(int fd); /* fsync() that isn't interrupted */

/* Puts /dev/null where descriptor 0, 1 or 2 is closed, so that no file or channel of ours
 * can come to lie there and be taken for standard output; using it still fails. First
 * thing in main(). */
int kw_std_open(struct kw_err *err);

/* A file that appears whole or not at all: kw_atomic_open() makes a temporary file
 * beside path with the mode, kw_atomic_commit() fsyncs and renames it,
 * kw_atomic_abort() removes it. */
struct kw_atomic {
    int fd;
    char tmp[4096], path[4096]; /* tmp: "" where nothing is to be renamed */
};
int kw_atomic_open(struct kw_atomic *a, const char *path, mode_t mode, struct kw_err *err);
/* The same for a result that the user wants at path: through a symbolic link to the file
 * behind it, and where there is a device, a pipe or the like, straight into that. */
int kw_atomic_result(struct kw_atomic *a, const char *path, mode_t mode, struct kw_err *err);
/* Whether that would work, so that it is known before there is a result. */
int kw_atomic_could(const char *path, struct kw_err *err);
int kw_atomic_commit(struct kw_atomic *a, struct kw_err *err);
void kw_atomic_abort(struct kw_atomic *a);

#endif
